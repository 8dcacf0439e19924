package origin

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// What is left without the dropped patterns accepts what all of them accept, and
// every one of them is needed for that.
func TestDroppedPatternsAreThoseThatChangeNothing(t *testing.T) {
	hosts := []string{"a", "b.a", "c.b.a", "b", "x.b", ".a", "..a"}
	ports := []string{"", ":1", ":2", ":3", ":[1,2]", ":[2,3]", ":[443,1]", ":[1,2,3]", ":*"}
	pattern := rapid.Custom(func(t *rapid.T) Pattern {
		scheme := rapid.SampledFrom([]string{"https", "app"}).Draw(t, "scheme")
		host := rapid.SampledFrom([]string{"", "", "*.", "*.", "*"}).Draw(t, "star")
		if host != "*" {
			name := rapid.SampledFrom(hosts).Draw(t, "host")
			if scheme == "https" || host != "" {
				name = strings.TrimLeft(name, ".")
			}
			host += name
		}
		p, err := ParsePattern(scheme + "://" + host + rapid.SampledFrom(ports).Draw(t, "ports"))
		if err != nil {
			t.Fatal(err)
		}
		return p
	})
	set := func(patterns []Pattern, leave func(i int) bool) Set {
		var kept []Pattern
		for i := range patterns {
			if !leave(i) {
				kept = append(kept, patterns[i])
			}
		}
		return NewSet(kept)
	}
	same := func(a, b Set) bool {
		for _, host := range append(slices.Clone(hosts), "y.a", "y.b.a", "y.c.b.a", "y.b", "y.x.b", "y", "y..a", "y...a") {
			for _, port := range []uint16{0, 1, 2, 3, 4, 443} {
				for _, scheme := range []string{"https", "app"} {
					if scheme == "https" && (port == 443 || strings.HasPrefix(host, ".")) {
						continue // no origin
					}
					if a.Has(scheme, host, port) != b.Has(scheme, host, port) {
						return false
					}
				}
			}
		}
		return true
	}
	var r Redundant // used again and again, as a parser does
	found := 0
	rapid.Check(t, func(t *rapid.T) {
		patterns := rapid.SliceOfN(pattern, 0, 10).Draw(t, "patterns")
		all := set(patterns, func(int) bool { return false })
		r.Find(&all, func(i int) *Pattern { return &patterns[i] })
		if !same(all, set(patterns, r.Dropped)) {
			t.Fatalf("something is lost without %v", r.own)
		}
		for i := range patterns {
			if r.Dropped(i) {
				found++
			} else if same(all, set(patterns, func(j int) bool { return r.Dropped(j) || j == i })) {
				t.Fatalf("%d could be dropped too, beside %v", i, r.own)
			}
		}
	})
	if found < 50 {
		t.Errorf("%d patterns dropped in all", found)
	}
}

// TestWhichPatternsAreDropped names them: from the end of the list, each that
// those which are left cover.
func TestWhichPatternsAreDropped(t *testing.T) {
	var r Redundant
	for _, c := range []struct {
		patterns string
		dropped  []int
	}{
		{"https://a", nil},
		{"https://a https://a", []int{1}},
		{"https://a https://b http://a https://*.a https://a:1", nil},
		{"https://a:* https://a", []int{1}},
		{"https://a https://a:*", []int{0}},
		{"https://a:* https://a:*", []int{1}},
		{"https://a:* https://a:* https://a:1 https://a:*", []int{1, 2, 3}},
		{"https://a:1 https://a:[1,2] https://a:[2,3]", []int{1}},
		{"https://a:[1,2] https://a:[2,3] https://a:[1,3]", []int{2}},
		{"https://a:[1,2] https://a:2 https://a:1", []int{1, 2}},
		{"https://a:[443,1] https://a https://a:1", []int{1, 2}},
		{"https://a https://a:1 https://a:[443,1]", []int{2}},
		{"https://*.a https://b.a https://c.b.a https://*.b.a", []int{1, 2, 3}},
		{"https://*.a https://a https://ba", nil},
		{"https://*.a https://*.b.a", []int{1}},
		{"https://*.a https://b.a:1 https://b.a:[443,1]", []int{2}},
		{"https://*.a https://b.a:1 https://b.a:[443,1] https://*.b.a:1 https://c.b.a:[443,1]", []int{2, 4}},
		{"https://*.a:* https://b.a:1 https://*.b.a:* https://c.b.a:[443,7]", []int{1, 2, 3}},
		{"https://*.a:1 https://b.a:*", nil},
		{"https://*.a:1 https://b.a:2", nil},
		{"https://*.a:1 https://*.b.a:2 https://c.b.a:[1,2] https://c.b.a:3", []int{2}},
		{"https://* https://a https://*.a https://a:1 http://a", []int{1, 2}},
		{"https://a https://*:*", []int{0}},
		{"https://* https://*", []int{1}},
		{"https://*:* https://* https://*:[443,1]", []int{1, 2}},
		{"https://*:1 https://*.a:2 https://b.a:[1,2] https://a:[1,2]", []int{2}},
		{"app://*.a app://.a app://..a app://..b", []int{2}},
		{"app://* app:// app://. http://a", []int{1, 2}},
	} {
		var patterns []Pattern
		for _, s := range strings.Fields(c.patterns) {
			patterns = append(patterns, mustParse(t, s))
		}
		set := NewSet(patterns)
		r.Find(&set, func(i int) *Pattern { return &patterns[i] })
		var dropped []int
		for i := range patterns {
			if r.Dropped(i) {
				dropped = append(dropped, i)
			}
		}
		if !slices.Equal(dropped, c.dropped) {
			t.Errorf("%s: %d, want %d", c.patterns, dropped, c.dropped)
		}
	}
}
