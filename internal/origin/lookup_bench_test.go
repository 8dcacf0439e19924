package origin

import (
	"fmt"
	"testing"
)

func BenchmarkSetHas(b *testing.B) {
	for _, n := range []int{1, 100, 10_000} {
		var patterns []Pattern
		for i := range n {
			patterns = append(patterns, mustParse(b, fmt.Sprintf("https://app-%d.team-%d.example.org", i, i%97)))
		}
		set := NewSet(patterns)
		for name, c := range map[string]struct {
			origin string
			want   bool
		}{
			"known":   {"https://app-0.team-0.example.org", true},
			"unknown": {"https://evil.example", false},
		} {
			o, ok := parse(c.origin)
			if !ok || set.Has(o.Scheme, o.Host, o.Port) != c.want {
				b.Fatalf("%s: %v", c.origin, !c.want)
			}
			b.Run(fmt.Sprintf("origin=%s/patterns=%d", name, n), func(b *testing.B) {
				for b.Loop() {
					set.Has(o.Scheme, o.Host, o.Port)
				}
			})
		}
	}
}
