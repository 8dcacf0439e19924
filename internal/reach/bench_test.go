package reach

import (
	"testing"

	"corsfilter/internal/automaton"
)

func BenchmarkExplore(b *testing.B) {
	for _, regex := range []string{
		`^https://shop\.example\.com$`, `^https://([a-z0-9-]+\.)*example\.com(:\d+)?$`, `^https?://localhost(:\d+)?$`, `.*`,
		`^https?://([a-z0-9-]+\.)?(example|sample)\.(com|org|net|co\.uk)(:[0-9]{1,5})?$`,
	} {
		b.Run(regex, func(b *testing.B) {
			var builder automaton.Builder
			a, err := builder.Regex(regex, false)
			if err != nil {
				b.Fatal(err)
			}
			var e Explorer
			b.ReportAllocs()
			for b.Loop() {
				if _, err := e.Explore(a, func(string) bool { return false }); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(e.steps), "steps/op")
			b.ReportMetric(float64(a.Len()), "states")
		})
	}
}
