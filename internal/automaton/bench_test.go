package automaton

import (
	"regexp"
	"testing"
)

var published = []string{
	`^https://shop\.example\.com$`, `^https://([a-z0-9-]+\.)*example\.com(:\d+)?$`,
	`^(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9][a-z0-9-]{0,61}[a-z0-9]$`,
}

func BenchmarkBuild(b *testing.B) {
	for _, regex := range published {
		b.Run(regex, func(b *testing.B) {
			var builder Builder
			b.ReportAllocs()
			for b.Loop() {
				if _, err := builder.Regex(regex, false); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkMatch(b *testing.B) {
	const text = "https://shop.example.com"
	a, err := new(Builder).Regex(published[1], false)
	if err != nil {
		b.Fatal(err)
	}
	theirs := regexp.MustCompile(`\A(?:` + published[1] + `)\z`)
	for name, match := range map[string]func(string) bool{"automaton": a.Match, "regexp": theirs.MatchString} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if !match(text) {
					b.Fatal("no match")
				}
			}
		})
	}
}
