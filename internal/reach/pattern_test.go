package reach

import (
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"corsfilter/internal/automaton"
	"corsfilter/internal/origin"
)

func TestPatternsThatSayTheSame(t *testing.T) {
	for regex, want := range map[string]string{
		`^https://a\.example$`: "https://a.example", `https://.*\.a\.example`: "https://*.a.example",
		`^https://.+\.a\.example$`:        "https://*.a.example",
		`https://(.*\.)a\.example(:\d+)?`: "https://*.a.example:*", `http://localhost(:[0-9]+)?`: "http://localhost:*",
		`https://a\.example:8443`:            "https://a.example:8443",
		`https://([a-z0-9_-]+\.)+a\.example`: "https://*.a.example", `^https://a\.example(:\d{1,5})?$`: "https://a.example:*",
		// Narrower or wider than any.
		`https://[a-z0-9-]+\.a\.example`: "", `https://[^.]+\.a\.example`: "", `https://(.*\.)?a\.example`: "", `https?://a\.example`: "",
		`https://a\.example(:\d{1,4})?`: "",
		`https://a\.example\.?`:         "", `https://.*\.a\.example\.?`: "", `https://(a|b)\.example`: "", `https://.*a\.example`: "",
		`https://.*\.a\.example|https://127\.0\.0\.1`: "", `nothing`: "",
		`https://a\.example|x://a\.example`: "", `x://a\.example`: "", `https://1\.2\.3\.4`: "", `https://\[::1\]`: "",
		`null|https://a\.example`: "", `(null|)`: "", `https://a\.example|file://`: "",
	} {
		a, err := new(automaton.Builder).Regex(regex, false)
		if err != nil {
			t.Fatal(err)
		}
		var e Explorer
		r, err := e.Explore(a, func(string) bool { return false })
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if p, ok := e.Pattern(r); ok {
			got = p.String()
		}
		if got != want {
			t.Errorf("%s is said to be %q, want %q", regex, got, want)
		}
	}
}

// TestWhatIsNoPatterns compares with what patterns never say, or is not decided.
func TestWhatIsNoPatterns(t *testing.T) {
	for _, c := range []struct {
		regex            string
		pattern          origin.Pattern
		within, includes bool
	}{
		{`https://a\.example`, origin.Pattern{Scheme: "https", Host: "a.example", Ports: []uint16{0}}, true, true},
		{`https://a\.example|null`, origin.Pattern{Scheme: "https", Host: "a.example", Ports: []uint16{0}}, false, true},
		{`https://a\.example|https://\[::1\]`, origin.Pattern{Scheme: "https", Host: "a.example", Ports: []uint16{0}}, false, true},
		{`https://a\.example|x://a\.example`, origin.Pattern{Scheme: "https", Host: "a.example", Ports: []uint16{0}}, false, true},
		{`https://.*\.`, origin.Pattern{Scheme: "https", Subdomains: true, Ports: []uint16{0}}, false, false},
		{`https://127\.0\.0\.1`, origin.Pattern{Scheme: "https", Host: "127.0.0.1", Ports: []uint16{0}}, false, false},
		{`x://a`, origin.Pattern{Scheme: "x", Host: "a", Ports: []uint16{0}}, false, false},
	} {
		var e Explorer
		a, err := new(automaton.Builder).Regex(c.regex, false)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := e.Explore(a, func(string) bool { return false }); err != nil {
			t.Fatal(err)
		}
		if within, includes := e.Compare(c.pattern); within != c.within || includes != c.includes {
			t.Errorf("%s and %v: within %v, includes %v", c.regex, c.pattern, within, includes)
		}
	}
}

// TestCompare draws regexes, patterns and origins, and looks for an origin that
// contradicts what was said of the two.
func TestCompare(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		regex := rapid.SampledFrom([]string{"https://", "https?://", "http://"}).Draw(t, "scheme") +
			strings.Join(
				rapid.SliceOfN(
					rapid.SampledFrom([]string{"a", "b", `\.`, `\.`, `.*`, `(.*\.)?`, `([a-z0-9_-]+\.)*`, `[ab]`, "example", `\.?`, `1`}), 1, 6,
				).Draw(t, "host"),
				"",
			) +
			rapid.SampledFrom([]string{"", "", `(:\d+)?`, `:8443`, `(:8443)?`, `:(80|8443)`}).Draw(t, "port")
		a, err := new(automaton.Builder).Regex(regex, false)
		if err != nil {
			t.Skip()
		}
		var e Explorer
		if _, err := e.Explore(a, func(string) bool { return false }); err != nil {
			t.Skip()
		}
		text := rapid.SampledFrom([]string{"https://", "http://"}).Draw(t, "pattern's scheme") +
			rapid.SampledFrom([]string{"", "*."}).Draw(t, "star") +
			rapid.SampledFrom([]string{"example", "a.example", "b.a.example", "aa.example", "a.a"}).Draw(t, "pattern's host") + rapid.SampledFrom(
			[]string{"", ":*", ":8443", ":[8443,9443]"},
		).Draw(t, "pattern's port")
		p, err := new(origin.PatternParser).Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		within, includes := e.Compare(p)
		var set origin.Set
		set.Reset(1, func(int) *origin.Pattern { return &p })
		want := regexp.MustCompile(`\A(?:` + regex + `)\z`)
		host := rapid.Custom(func(t *rapid.T) string {
			return rapid.SampledFrom([]string{"https://", "http://"}).Draw(t, "s") + strings.Join(
				rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "example", "aa", "_", "1"}), 1, 5).Draw(t, "labels"), ".",
			) +
				rapid.SampledFrom([]string{"", "", "."}).Draw(t, "dot") + rapid.SampledFrom([]string{"", "", ":8443", ":80", ":1"}).Draw(t, "p")
		})
		for _, s := range rapid.SliceOfN(host, 60, 60).Draw(t, "origins") {
			o, ok := wellFormed(s)
			if !ok {
				continue
			}
			accepted, listed := want.MatchString(s), set.Has(o.Scheme, o.Host, o.Port)
			if within && accepted && !listed || includes && listed && !accepted {
				t.Fatalf(
					"%s and %s: within %v, includes %v; of %s the regex says %v, the pattern %v", regex, text, within, includes, s, accepted, listed,
				)
			}
		}
	})
}
