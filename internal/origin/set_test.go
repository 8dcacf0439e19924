package origin

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestSet(t *testing.T) {
	for _, c := range []struct {
		name     string
		patterns []string
		accepts  []string
		rejects  []string
	}{
		{
			name:     "the zero set has nothing",
			rejects:  []string{"https://example.com", "http://a"},
			patterns: nil,
		},
		{
			name:     "an origin is matched as a whole",
			patterns: []string{"https://example.com"},
			accepts:  []string{"https://example.com", "HTTPS://EXAMPLE.com"},
			rejects: []string{
				"http://example.com", "https://example.com:8443", "https://www.example.com", "https://example.com.", "https://example.co",
				"https://example.comm",
				"https://evil-example.com", "https://xexample.com", "https://example.com.evil.example", "https://com", "https://examplexcom",
			},
		},
		{
			name:     "a wildcard takes one or more labels and not none",
			patterns: []string{"https://*.example.com"},
			accepts:  []string{"https://a.example.com", "https://a.b.c.example.com", "https://xn--a.example.com", "https://1.example.com"},
			rejects: []string{
				"https://example.com", "https://aexample.com", "https://a-example.com", "https://a.example.com.", "https://a.example.com:8443",
				"https://example.com.evil.example", "https://a.example.com.evil.example", "http://a.example.com", "https://a.example.org",
			},
		},
		{
			// https://github.com/jub0bs/cors/security/advisories/GHSA-vhxv-fg4m-p2w8
			name:     "hosts with a common tail do not melt into one (GHSA-vhxv-fg4m-p2w8)",
			patterns: []string{"https://foo.com", "https://bar.com"},
			accepts:  []string{"https://foo.com", "https://bar.com"},
			rejects: []string{
				"https://barfoo.com", "https://foobar.com", "https://bar.foo.com", "https://foo.bar.com", "https://boo.com", "https://r.com",
				"https://.com", "https://com",
			},
		},
		{
			name:     "wildcards beside hosts keep apart",
			patterns: []string{"https://*.foo.com", "https://foo.com:8080", "https://a.foo.com:9090", "http://*.bar.com:*"},
			accepts: []string{
				"https://x.foo.com", "https://a.foo.com", "https://foo.com:8080", "https://a.foo.com:9090", "http://x.bar.com",
				"http://x.bar.com:1234",
			},
			rejects: []string{
				"https://foo.com", "https://x.foo.com:8080", "https://x.a.foo.com:9090", "https://x.foo.com:9090", "https://x.bar.com",
				"http://bar.com", "http://x.foo.com",
			},
		},
		{
			name:     "any port takes the default port",
			patterns: []string{"http://localhost:*"},
			accepts:  []string{"http://localhost", "http://localhost:1", "http://localhost:65535"},
			rejects:  []string{"https://localhost", "http://localhost.example", "http://a.localhost"},
		},
		{
			name:     "a port list takes its ports, the default port by its number",
			patterns: []string{"https://example.com:[443,8443]", "http://example.com:[443]"},
			accepts:  []string{"https://example.com", "https://example.com:8443", "http://example.com:443"},
			rejects:  []string{"https://example.com:8080", "https://example.com:80", "http://example.com", "https://example.com:4438"},
		},
		{
			name:     "the first port and the last",
			patterns: []string{"https://example.com:1", "https://other.example:[1,65535]"},
			accepts:  []string{"https://example.com:1", "https://other.example:1", "https://other.example:65535"},
			rejects: []string{
				"https://example.com", "https://example.com:2", "https://example.com:65535", "https://other.example", "https://other.example:65534",
			},
		},
		{
			name:     "addresses match as a whole",
			patterns: []string{"https://192.0.2.1", "https://[2001:db8::1]", "https://*.2.com"},
			accepts:  []string{"https://192.0.2.1", "https://[2001:db8::1]", "https://1.2.com"},
			rejects:  []string{"https://192.0.2.2", "https://10.192.0.2.1", "https://[2001:db8::2]", "https://[2001:db8:1::1]", "https://1.0.2.1"},
		},
		{
			name:     "one scheme is not another",
			patterns: []string{"chrome-extension://abc", "capacitor://localhost"},
			accepts:  []string{"chrome-extension://abc", "capacitor://localhost"},
			rejects:  []string{"moz-extension://abc", "chrome-extension://abcd", "http://localhost", "capacitor://abc", "capacitor://localhost:80"},
		},
		{
			name:     "a wildcard alone takes every host of its scheme, and its ports",
			patterns: []string{"https://*", "https://a.example:8443", "https://*.b.example:*", "http://*:[80,8080]", "app://*:*"},
			accepts: []string{
				"https://x", "https://x.y.example", "https://192.0.2.1", "https://[2001:db8::1]", "https://x.", "https://a.example:8443",
				"https://x.b.example:1", "HTTPS://X",
				"http://x", "http://x:8080", "http://[::1]:8080", "app://", "app://.", "app://My_App~1!", "app://x:1", "app://[::1]",
			},
			rejects: []string{
				"https://x:8443", "https://a.example:1", "http://x:81", "ftp://x", "https.x://x", "apps://x", "null", "file://", "https://*",
				"app://*",
			},
		},
		{
			name:     "hosts that are no names",
			patterns: []string{"app://.", "qrc://", "file://", "app://My_App~1!:*", "app://*.tail"},
			accepts: []string{
				"app://.", "APP://.", "qrc://", "file://", "FILE://", "app://my_app~1!", "app://MY_APP~1!:80", "app://x.tail", "app://..tail",
				"app://.x.Tail",
			},
			rejects: []string{
				"app://", "app://..", "app://.:80", "qrc://.", "qrc://a", "file://.", "files://", "app://my_app~1", "app://.tail", "app://tail",
				"http://tail",
			},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			var patterns []Pattern
			for _, s := range c.patterns {
				patterns = append(patterns, mustParse(t, s))
			}
			set := NewSet(patterns)
			if set.Len() != len(c.patterns) {
				t.Errorf("Len() = %d, want %d", set.Len(), len(c.patterns))
			}
			has := func(s string) bool {
				o, ok := parse(s)
				return ok && set.Has(o.Scheme, o.Host, o.Port)
			}
			for _, s := range c.accepts {
				if !has(s) {
					t.Errorf("%q is not in the set", s)
				}
			}
			for _, s := range c.rejects {
				if has(s) {
					t.Errorf("%q is in the set", s)
				}
			}
		})
	}
}

func TestSetAgreesWithALoopOverPatterns(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		patterns := rapid.SliceOfN(rapid.Custom(drawPattern), 0, 12).Draw(t, "patterns")
		set := NewSet(patterns)
		check := func() {
			everyOrigin(func(o Origin) {
				want := slices.ContainsFunc(patterns, func(p Pattern) bool { return naiveMatch(p, o) })
				if set.Has(o.Scheme, o.Host, o.Port) != want {
					t.Fatalf("Has(%+v) = %v with %v", o, !want, patterns)
				}
			})
		}
		check()
		// In the memory of one set another one leaves nothing of it.
		patterns = rapid.SliceOfN(rapid.Custom(drawPattern), 0, 12).Draw(t, "other patterns")
		set.Reset(len(patterns), func(i int) *Pattern { return &patterns[i] })
		check()
	})
}

func FuzzSet(f *testing.F) {
	f.Add("https://foo.com https://bar.com", "https://barfoo.com")
	f.Add("https://*.a.com https://a.com:* http://*.com:[80,81]", "http://x.com:81")
	f.Add("https://[::1]:* app://x", "https://[::1]:1")
	f.Add("https://*.example.com.", "https://a.example.com.")
	f.Add("app://*..a", "app://..a")
	f.Add("app://*.a qrc:// file://", "app://.a")
	f.Add("https://* https://a:1 app://*:*", "https://[::1]")
	f.Fuzz(func(t *testing.T, list, value string) {
		o, ok := parse(value)
		if !ok || !o.Serialized() {
			return
		}
		var patterns []Pattern
		want := false
		for _, s := range strings.Fields(list) {
			p, err := ParsePattern(s)
			if err != nil {
				continue
			}
			patterns = append(patterns, p)
			want = want || naiveMatch(p, o)
		}
		if set := NewSet(patterns); set.Has(o.Scheme, o.Host, o.Port) != want {
			t.Fatalf("Has(%q) = %v with %q", value, !want, list)
		}
	})
}
