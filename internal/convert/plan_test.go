package convert

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"corsfilter/config"
)

// The tables of these tests are drawn from few hosts and paths, so that they meet.
var (
	drawnHosts = []string{"a.x", "b.a.x", "*.x", "*.a.x", "y"}
	drawnPaths = []string{"/", "/v", "/v/", "/v/w", "/v/w/", "/vx", "/vx/", "/V", "/v/wx", ""}
	asked      = []string{"/", "/v", "/v/", "/v/w", "/v/w/", "/v/w/z", "/vx", "/vx/a", "/vy", "/V", "/V/w", "/v/wx", "/v/wy", "/z", "/vxy"}
)

// drawnTable draws routes; a condition is one of two coins that a request throws.
func drawnTable(t *rapid.T) Table {
	var routes []Route
	for i := range rapid.IntRange(1, 7).Draw(t, "routes") {
		r := Route{From: From{Source: fmt.Sprint("route ", i), Place: Place{File: "f", Line: i + 1, Column: 1}}}
		for range rapid.IntRange(0, 2).Draw(t, "hosts") {
			r.Hosts = append(r.Hosts, rapid.SampledFrom(drawnHosts).Draw(t, "host"))
		}
		for range rapid.IntRange(0, 2).Draw(t, "paths") {
			p := Path{Kind: rapid.SampledFrom([]PathKind{ExactPath, BelowPath, PrefixPath, PrefixPath}).Draw(t, "kind"), Text: rapid.SampledFrom(drawnPaths).Draw(t, "path"), At: r.From.Place}
			if p.Kind == BelowPath {
				p.Text = strings.TrimSuffix(p.Text, "/")
			}
			if p.Kind == ExactPath && p.Text == "" {
				p.Text = "/"
			}
			p.AnyCase = rapid.IntRange(0, 7).Draw(t, "case") == 0
			r.Paths = append(r.Paths, p)
		}
		if rapid.IntRange(0, 3).Draw(t, "conditional") == 0 {
			r.When = []Condition{{What: rapid.SampledFrom([]string{"heads", "tails"}).Draw(t, "coin")}}
		}
		if name := rapid.SampledFrom([]string{"", "", "a", "b"}).Draw(t, "policy"); name != "" {
			p := &Policy{}
			p.SetList("allow_origins", r.From.Place, []Value{{"https://" + name + ".example", r.From.Place}})
			r.Policy = p
		}
		routes = append(routes, r)
	}
	return Table{Name: "drawn", Routes: routes}
}

// takes is what a route says, read letter by letter.
func (r *Route) takes(host, where string, coins map[string]bool) bool {
	for _, w := range r.When {
		if !coins[w.What] {
			return false
		}
	}
	hosted := len(r.Hosts) == 0
	for _, h := range r.Hosts {
		below, wildcard := strings.CutPrefix(h, "*")
		hosted = hosted || h == host || wildcard && strings.HasSuffix(host, below) && host != below
	}
	pathed := len(r.Paths) == 0
	for _, p := range r.Paths {
		text, where := p.Text, where
		if p.AnyCase {
			text, where = strings.ToLower(text), strings.ToLower(where)
		}
		switch p.Kind {
		case ExactPath:
			pathed = pathed || where == text
		case PrefixPath:
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
		c := &Conversion{}
		rules := c.plan(Table{drawn.Name, slices.Clone(drawn.Routes)})
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
					var want, got *Policy
					for i := range drawn.Routes {
						if r := &drawn.Routes[i]; r.takes(host, where, thrown) {
							want = r.Policy
							break
						}
					}
					for _, r := range rules {
						if (&Route{Hosts: r.hosts, Paths: r.paths}).takes(host, where, nil) {
							got = r.policy
							break
						}
					}
					if got.Key() != want.Key() && !(lessens && got == nil) {
						t.Fatalf("%s%s with %v gets %s, want %s\ntable %+v\nrules %s", host, where, thrown, got.Key(), want.Key(), drawn.Routes, finished(rules).JSON)
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
		strict := &Conversion{}
		strict.plan(Table{drawn.Name, slices.Clone(drawn.Routes)})
		c := &Conversion{Options: Options{Partial: true}}
		rules := c.plan(Table{drawn.Name, slices.Clone(drawn.Routes)})
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
	with := func(changes ...func(*Policy)) *Policy {
		p := &Policy{}
		for _, change := range changes {
			change(p)
		}
		if p.AllowOrigins == nil {
			p.Allow(config.SourceOrigin{Value: "https://a.example"}, Place{})
		}
		return p
	}
	list := func(name string, names ...string) func(*Policy) {
		return func(p *Policy) {
			for _, n := range names {
				p.SetList(name, Place{}, []Value{{Text: n}})
			}
		}
	}
	origins := func(p *Policy) { p.Allow(Anyone, Place{}) }
	credentials := func(p *Policy) { p.Credentials = true }
	network := func(p *Policy) { p.PrivateNetwork = true }
	forward := func(p *Policy) { p.ForwardUnmatched = true }
	shadow := func(p *Policy) { p.Mode = config.Shadow }
	reject := func(p *Policy) { p.Reject = true }
	preserve := func(p *Policy) { p.Preserve = true }
	age := func(seconds int64) func(*Policy) {
		return func(p *Policy) { p.SetMaxAge(Place{}, seconds) }
	}
	for i, c := range []struct {
		p, other *Policy
		want     bool
	}{
		{nil, nil, true},
		{nil, with(), true},
		{with(), nil, false},
		{with(), with(), true},
		{with(), with(origins), true},
		{with(origins), with(), false},
		{with(credentials), with(), false},
		{with(), with(credentials), true},
		{with(credentials), with(credentials), true},
		{with(list("allow_methods", "PUT")), with(), false},
		{with(list("allow_methods", "PUT")), with(list("allow_methods", "PUT", "DELETE")), true},
		{with(list("allow_headers", "x-a")), with(list("allow_headers", "*")), true},
		{with(list("allow_headers", "authorization")), with(list("allow_headers", "*")), false},
		{with(list("allow_headers", "authorization")), with(list("allow_headers", "*", "authorization")), true},
		{with(list("expose_headers", "x-a")), with(list("expose_headers", "x-b")), false},
		{with(network), with(), false},
		{with(age(5)), with(age(600)), true},
		{with(forward), with(), false},
		{with(), with(shadow), false},
		{with(shadow), with(), false},
		{with(shadow), with(shadow, origins), true},
		{with(reject), with(), false},
		{with(), with(reject), true},
		{with(preserve), with(), false},
	} {
		if got := c.p.within(c.other); got != c.want {
			t.Errorf("%d: %s within %s: %v", i, c.p.Key(), c.other.Key(), got)
		}
	}
}
