package convert

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// The tables of these tests are drawn from few hosts and paths, so that they meet.
var (
	drawnHosts = []string{"a.x", "b.a.x", "*.x", "*.a.x", "y"}
	drawnPaths = []string{"/", "/v", "/v/", "/v/w", "/v/w/", "/vx", "/vx/", "/V", "/v/wx", ""}
	asked      = []string{"/", "/v", "/v/", "/v/w", "/v/w/", "/v/w/z", "/vx", "/vx/a", "/vy", "/V", "/V/w", "/v/wx", "/v/wy", "/z", "/vxy"}
)

// drawnTable draws routes; a condition is one of two coins that a request throws.
func drawnTable(t *rapid.T) table {
	var routes []route
	for i := range rapid.IntRange(1, 7).Draw(t, "routes") {
		r := route{from: From{Source: fmt.Sprint("route ", i), Place: Place{File: "f", Line: i + 1, Column: 1}}}
		for range rapid.IntRange(0, 2).Draw(t, "hosts") {
			r.hosts = append(r.hosts, rapid.SampledFrom(drawnHosts).Draw(t, "host"))
		}
		for range rapid.IntRange(0, 2).Draw(t, "paths") {
			p := path{kind: rapid.SampledFrom([]pathKind{exactPath, belowPath, prefixPath, prefixPath}).Draw(t, "kind"), text: rapid.SampledFrom(drawnPaths).Draw(t, "path"), at: r.from.Place}
			if p.kind == belowPath {
				p.text = strings.TrimSuffix(p.text, "/")
			}
			if p.kind == exactPath && p.text == "" {
				p.text = "/"
			}
			p.anyCase = rapid.IntRange(0, 7).Draw(t, "case") == 0
			r.paths = append(r.paths, p)
		}
		if rapid.IntRange(0, 3).Draw(t, "conditional") == 0 {
			r.when = []condition{{what: rapid.SampledFrom([]string{"heads", "tails"}).Draw(t, "coin")}}
		}
		if name := rapid.SampledFrom([]string{"", "", "a", "b"}).Draw(t, "policy"); name != "" {
			p := &policy{}
			p.setList("allow_origins", r.from.Place, []value{{"https://" + name + ".example", r.from.Place}})
			r.policy = p
		}
		routes = append(routes, r)
	}
	return table{name: "drawn", routes: routes}
}

// takes is what a route says, read letter by letter.
func (r *route) takes(host, where string, coins map[string]bool) bool {
	for _, w := range r.when {
		if !coins[w.what] {
			return false
		}
	}
	hosted := len(r.hosts) == 0
	for _, h := range r.hosts {
		below, wildcard := strings.CutPrefix(h, "*")
		hosted = hosted || h == host || wildcard && strings.HasSuffix(host, below) && host != below
	}
	pathed := len(r.paths) == 0
	for _, p := range r.paths {
		text, where := p.text, where
		if p.anyCase {
			text, where = strings.ToLower(text), strings.ToLower(where)
		}
		switch p.kind {
		case exactPath:
			pathed = pathed || where == text
		case prefixPath:
			pathed = pathed || strings.HasPrefix(where, text)
		default:
			pathed = pathed || where == text || strings.HasPrefix(where, text+"/")
		}
	}
	return hosted && pathed
}

// TestRulesDecideAsTheTable compares every request with what the table says itself.
// Where a change is listed, the rules may give less, and never more.
func TestRulesDecideAsTheTable(t *testing.T) {
	whole := 0
	rapid.Check(t, func(t *rapid.T) {
		drawn := drawnTable(t)
		c := &conversion{}
		rules := c.plan(table{drawn.name, slices.Clone(drawn.routes)})
		if len(c.problems) > 0 {
			return
		}
		whole++
		lessens := false
		for _, r := range rules {
			lessens = lessens || slices.ContainsFunc(r.changes, func(c Change) bool { return c.Kind == WholeSegments || c.Kind == LetterCase })
		}
		for _, host := range []string{"a.x", "b.a.x", "c.b.a.x", "x", "c.x", "y", "z"} {
			for _, where := range asked {
				for coins := range 4 {
					thrown := map[string]bool{"heads": coins&1 > 0, "tails": coins&2 > 0}
					var want, got *policy
					for i := range drawn.routes {
						if r := &drawn.routes[i]; r.takes(host, where, thrown) {
							want = r.policy
							break
						}
					}
					for _, r := range rules {
						if (&route{hosts: r.hosts, paths: r.paths}).takes(host, where, nil) {
							got = r.policy
							break
						}
					}
					if got.key() != want.key() && !(lessens && got == nil) {
						t.Fatalf("%s%s with %v gets %s, want %s\ntable %+v\nrules %s", host, where, thrown, got.key(), want.key(), drawn.routes, finished(rules).JSON)
					}
				}
			}
		}
	})
	if whole < 10 {
		t.Errorf("only %d tables were converted whole", whole)
	}
}

// TestNothingIsLeftOutInSilence: with Partial, a request that gets something else
// than in the table is spoken of by a comment or a change.
func TestNothingIsLeftOutInSilence(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		drawn := drawnTable(t)
		strict := &conversion{}
		strict.plan(table{drawn.name, slices.Clone(drawn.routes)})
		c := &conversion{options: Options{Partial: true}}
		rules := c.plan(table{drawn.name, slices.Clone(drawn.routes)})
		if len(c.problems) > 0 {
			t.Fatal(c.problems)
		}
		said := 0
		for _, r := range rules {
			said += len(r.comments)
		}
		if len(strict.problems) > 0 && said == 0 {
			t.Fatalf("%v, and no comment", strict.problems)
		}
	})
}

// TestWithin: where a prefix's rest goes to another policy, that one must give no
// more than the prefix's own, in any setting.
func TestWithin(t *testing.T) {
	with := func(settings ...setting) *policy {
		p := &policy{}
		p.setList("allow_origins", Place{}, []value{{json: "https://a.example"}})
		for _, s := range settings {
			if s.name == "allow_origins" {
				p.settings = nil
			}
			p.settings = append(p.settings, s)
		}
		return p
	}
	list := func(name string, values ...string) setting {
		s := setting{name: name, list: true}
		for _, v := range values {
			s.values = append(s.values, value{json: v})
		}
		return s
	}
	one := func(name string, v any) setting { return setting{name: name, values: []value{{json: v}}} }
	for i, c := range []struct {
		p, other *policy
		want     bool
	}{
		{nil, nil, true},
		{nil, with(), true},
		{with(), nil, false},
		{with(), with(), true},
		{with(), with(list("allow_origins", "*")), true},
		{with(list("allow_origins", "*")), with(), false},
		{with(one("allow_credentials", true)), with(), false},
		{with(), with(one("allow_credentials", true)), true},
		{with(one("allow_credentials", true)), with(one("allow_credentials", true)), true},
		{with(list("allow_methods", "PUT")), with(), false},
		{with(list("allow_methods", "PUT")), with(list("allow_methods", "PUT", "DELETE")), true},
		{with(list("allow_headers", "x-a")), with(list("allow_headers", "*")), true},
		{with(list("allow_headers", "authorization")), with(list("allow_headers", "*")), false},
		{with(list("allow_headers", "authorization")), with(list("allow_headers", "*", "authorization")), true},
		{with(list("expose_headers", "x-a")), with(list("expose_headers", "x-b")), false},
		{with(one("allow_private_network_access", true)), with(), false},
		{with(one("max_age", 5)), with(one("max_age", 600)), true},
		{with(one("unmatched_preflights", "forward")), with(), false},
		{with(), with(one("mode", "shadow")), false},
		{with(one("mode", "shadow")), with(), false},
	} {
		if got := c.p.within(c.other); got != c.want {
			t.Errorf("%d: %s within %s: %v", i, c.p.key(), c.other.key(), got)
		}
	}
}
