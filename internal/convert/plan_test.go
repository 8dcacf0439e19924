package convert

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"corsfilter/config"
)

// The tables of these tests are drawn from few hosts and paths, so that they meet.
var (
	drawnHosts = []string{"a.x", "b.a.x", "*.x", "*.a.x", "y"}
	drawnPaths = []string{"/", "/v", "/v/", "/v/w", "/v/w/", "/vx", "/vx/", "/V", "/v/wx", "", "/v*", "/v.w"}
	// The first three are paths of other kinds.
	drawnRegexes = []string{"/v/.*", "/v(/.*)?", "/v", "/v[wx]", "/v/.*[xy]", "/v./?.*", "/(v|vx)/.", ".*"}
	asked        = []string{
		"/", "/v", "/v/", "/v/w", "/v/w/", "/v/w/z", "/vx", "/vx/a", "/vy", "/V", "/V/w", "/v/wx", "/v/wy", "/z", "/vxy", "/v*", "/v*/a",
		"/v.w", "/v.w/a",
	}
)

func drawnPath(t *rapid.T, at Place) Path {
	kind := rapid.SampledFrom([]PathKind{ExactPath, BelowPath, PrefixPath, PrefixPath, RegexPath}).Draw(t, "kind")
	p := Path{Kind: kind, Text: rapid.SampledFrom(drawnPaths).Draw(t, "path"), At: at}
	switch {
	case kind == RegexPath:
		p, _ = RegexOf(rapid.SampledFrom(drawnRegexes).Draw(t, "regex"), at)
	case kind == BelowPath:
		p.Text = strings.TrimSuffix(p.Text, "/")
	case kind == ExactPath && p.Text == "":
		p.Text = "/"
	}
	if rapid.IntRange(0, 7).Draw(t, "case") == 0 {
		p = AnyCase(p)
	}
	return p
}

// TestSetsOfPaths compares what is said of two sets with all short paths in them.
func TestSetsOfPaths(t *testing.T) {
	short := []string{"/"}
	for i := 0; len(short[i]) < 6; i++ {
		for _, c := range "/vwxV*." {
			short = append(short, short[i]+string(c))
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		a, b := Normal(drawnPath(t, Place{})), Normal(drawnPath(t, Place{}))
		common, beyond := false, false
		for _, path := range short {
			inA, inB := (&Route{Paths: []Path{a}}).takes("", path, nil), (&Route{Paths: []Path{b}}).takes("", path, nil)
			common, beyond = common || inA && inB, beyond || inB && !inA
		}
		if got := PathsOverlap(a, b); got != common || got != PathsOverlap(b, a) {
			t.Errorf("%+v and %+v overlap: %v", a, b, got)
		}
		// Of a regex below a path it may say no.
		if got := PathCovers(a, b); got == beyond && (got || a.Kind != BelowPath) {
			t.Errorf("%+v covers %+v: %v", a, b, got)
		}
	})
}

// drawnTable draws routes; a condition is one of two coins that a request throws.
func drawnTable(t *rapid.T) Table {
	var routes []Route
	for i := range rapid.IntRange(1, 7).Draw(t, "routes") {
		r := Route{From: From{Source: fmt.Sprint("route ", i), Place: Place{File: "f", Line: i + 1, Column: 1}}}
		for range rapid.IntRange(0, 2).Draw(t, "hosts") {
			r.Hosts = append(r.Hosts, rapid.SampledFrom(drawnHosts).Draw(t, "host"))
		}
		for range rapid.IntRange(0, 2).Draw(t, "paths") {
			r.Paths = append(r.Paths, drawnPath(t, r.From.Place))
		}
		if rapid.IntRange(0, 3).Draw(t, "conditional") == 0 {
			r.When = []Condition{{What: rapid.SampledFrom([]string{"heads", "tails"}).Draw(t, "coin")}}
		}
		if name := rapid.SampledFrom([]string{"", "", "a", "b"}).Draw(t, "policy"); name != "" {
			p := &Policy{}
			p.Allow(config.SourceOrigin{Value: "https://" + name + ".example"}, r.From.Place)
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
		switch p.Kind {
		case AnyPath:
			pathed = true
		case ExactPath:
			pathed = pathed || where == p.Text
		case PrefixPath:
			pathed = pathed || strings.HasPrefix(where, p.Text)
		case BelowPath:
			pathed = pathed || where == p.Text || strings.HasPrefix(where, p.Text+"/")
		case RegexPath:
			pathed = pathed || wholly(p.Text).MatchString(where)
		}
	}
	return hosted && pathed
}

// wholly is a regex of whole texts.
var wholly = func() func(string) *regexp.Regexp {
	known := map[string]*regexp.Regexp{}
	return func(regex string) *regexp.Regexp {
		if known[regex] == nil {
			known[regex] = regexp.MustCompile(`\A(?:` + regex + `)\z`)
		}
		return known[regex]
	}
}()

// TestRulesDecideAsTheTable compares what the configuration says of every request with
// what the table says itself.
func TestRulesDecideAsTheTable(t *testing.T) {
	whole := 0
	rapid.Check(t, func(t *rapid.T) {
		drawn := drawnTable(t)
		c := &Conversion{}
		rules := c.plan(Table{drawn.Name, slices.Clone(drawn.Routes)})
		if len(c.problems) > 0 {
			return
		}
		made := &config.Config{}
		var result *Result
		if len(rules) > 0 {
			if result = c.result(rules); result == nil {
				t.Fatalf("%v\ntable %+v", c.problems, drawn.Routes)
			}
			var err error
			if made, _, err = config.Parse(result.JSON); err != nil {
				t.Fatal(err)
			}
		}
		whole++
		for _, host := range []string{"a.x", "b.a.x", "c.b.a.x", "x", "c.x", "y", "z"} {
			for _, where := range asked {
				for coins := range 4 {
					thrown := map[string]bool{"heads": coins&1 > 0, "tails": coins&2 > 0}
					want, got := "", ""
					for i := range drawn.Routes {
						if r := &drawn.Routes[i]; r.takes(host, where, thrown) {
							if r.Policy != nil {
								want = r.Policy.AllowOrigins[0].Value
							}
							break
						}
					}
					if _, rule := made.Select(host, where); rule != nil {
						if p := result.Rules[rule.Index].made.policy; p != nil {
							got = p.AllowOrigins[0].Value
						}
					}
					if got != want {
						t.Fatalf("%s%s with %v gets %q, want %q\ntable %+v\nrules %s", host, where, thrown, got, want, drawn.Routes, result.JSON)
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
