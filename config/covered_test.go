package config

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"corsfilter/internal/origin"
)

// What is left without the dropped patterns accepts what all of them accept, and
// every one of them is needed for that.
func TestDroppedPatternsAreThoseThatChangeNothing(t *testing.T) {
	hosts := []string{"a", "b.a", "c.b.a", "b", "x.b"}
	ports := []string{"", ":1", ":2", ":3", ":[1,2]", ":[2,3]", ":[443,1]", ":[1,2,3]", ":*"}
	pattern := rapid.Custom(func(t *rapid.T) placedPattern {
		star := rapid.SampledFrom([]string{"", "*."}).Draw(t, "star")
		p, err := origin.ParsePattern("https://" + star + rapid.SampledFrom(hosts).Draw(t, "host") + rapid.SampledFrom(ports).Draw(t, "ports"))
		if err != nil {
			t.Fatal(err)
		}
		return placedPattern{pattern: p}
	})
	set := func(patterns []placedPattern, leave func(i int) bool) origin.Set {
		var kept []origin.Pattern
		for i := range patterns {
			if !leave(i) {
				kept = append(kept, patterns[i].pattern)
			}
		}
		return origin.NewSet(kept)
	}
	same := func(a, b origin.Set) bool {
		for _, host := range append(slices.Clone(hosts), "y.a", "y.b.a", "y.c.b.a", "y.b", "y.x.b", "y") {
			for _, port := range []uint16{0, 1, 2, 3, 4} {
				o := origin.Origin{Scheme: "https", Host: host, Port: port}
				if a.Has(o) != b.Has(o) {
					return false
				}
			}
		}
		return true
	}
	var r redundant // used again and again, as a parser does
	found := 0
	rapid.Check(t, func(t *rapid.T) {
		patterns := rapid.SliceOfN(pattern, 0, 10).Draw(t, "patterns")
		r.find(patterns)
		all := set(patterns, func(int) bool { return false })
		if !same(all, set(patterns, r.dropped)) {
			t.Fatalf("something is lost without %v", r.own)
		}
		for i := range patterns {
			if r.dropped(i) {
				found++
			} else if same(all, set(patterns, func(j int) bool { return r.dropped(j) || j == i })) {
				t.Fatalf("%d could be dropped too, beside %v", i, r.own)
			}
		}
	})
	if found < 50 {
		t.Errorf("%d patterns dropped in all", found)
	}
}

func TestWhatIsSaidOfRedundantEntries(t *testing.T) {
	for _, c := range []struct {
		origins string
		want    []string
	}{
		{`"https://a.example:[1,2]", "https://a.example:[2,3]", "https://a.example:[1,3]"`, []string{
			`allow_origins[2]: "https://a.example:[1,3]": other entries accept all of its ports; leave it out`}},
		{`"https://a.example:[1,2]", "https://a.example:[2,1]"`, []string{
			`allow_origins[1]: "https://a.example:[2,1]": is the same as allow_origins[0]; keep one`}},
		{`"https://a.example:1", "https://a.example:1", "https://*.example:[1,2]"`, []string{
			`allow_origins[0]: "https://a.example:1": "https://*.example:[1,2]" covers it; leave it out`,
			`allow_origins[1]: "https://a.example:1": "https://*.example:[1,2]" covers it; leave it out`}},
		{`"https://a.example", "https://*.example", "https://*.example:*"`, []string{
			`allow_origins[0]: "https://a.example": "https://*.example:*" covers it; leave it out`,
			`allow_origins[1]: "https://*.example": "https://*.example:*" covers it; leave it out`}},
	} {
		_, warnings, err := Parse(fmt.Appendf(nil, `{"allow_origins": [%s]}`, c.origins))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, w := range warnings {
			got = append(got, w.Error())
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.origins, got, c.want)
		}
	}
}
