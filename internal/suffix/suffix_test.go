package suffix

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestWhatIsPublic(t *testing.T) {
	for _, c := range []struct{ host, public, registrable string }{
		{"com", "com", ""},
		{"example.com", "com", "example.com"},
		{"a.b.example.com", "com", "example.com"},
		{"co.uk", "co.uk", ""},
		{"www.example.co.uk", "co.uk", "example.co.uk"},
		{"github.io", "github.io", ""}, // the private part
		{"me.github.io", "github.io", "me.github.io"},
		{"notgithub.io", "io", "notgithub.io"},
		{"ck", "ck", ""}, // *.ck
		{"x.ck", "x.ck", ""},
		{"y.x.ck", "x.ck", "y.x.ck"},
		{"www.ck", "ck", "www.ck"}, // !www.ck
		{"a.www.ck", "ck", "www.ck"},
		{"awww.ck", "awww.ck", ""},
		{"kawasaki.jp", "jp", "kawasaki.jp"}, // *.kawasaki.jp
		{"x.kawasaki.jp", "x.kawasaki.jp", ""},
		{"city.kawasaki.jp", "kawasaki.jp", "city.kawasaki.jp"},
		{"xn--p1ai", "xn--p1ai", ""},
		{"localhost", "localhost", ""}, // no rule
		{"db.corp.internal", "internal", "corp.internal"},
		{"under_score.example.com", "com", "example.com"},
		{"", "", ""},
		{".", "", ""},
		{".com", "com", ""},
		{"a..com", "com", ""},
		{"example.com.", "", ""}, // hosts come without it
	} {
		if got := c.host[Public(c.host):]; got != c.public {
			t.Errorf("Public(%q) = %q, want %q", c.host, got, c.public)
		}
		if got, ok := Registrable(c.host); got != c.registrable || ok != (got != "") {
			t.Errorf("Registrable(%q) = %q, %t, want %q", c.host, got, ok, c.registrable)
		}
	}
}

func TestPublicSuffixesWithinAHost(t *testing.T) {
	for host, want := range map[string]string{
		"com": "com", "co.uk": "co.uk", "github.io": "github.io", "nosuchdomain": "nosuchdomain",
		"example.com": "", "me.github.io": "", "x.me.github.io": "", "www.ck": "", "city.kawasaki.jp": "",
		"ck":                           "ck",
		"kawasaki.jp":                  "any.kawasaki.jp", // *.kawasaki.jp
		"compute.amazonaws.com":        "any.compute.amazonaws.com",
		"us-1.compute.amazonaws.com":   "us-1.compute.amazonaws.com",
		"i.us-1.compute.amazonaws.com": "",
		"azonaws.com":                  "", // the end of another's label
		"ub.io":                        "",
	} {
		if got, ok := Within(host); got != want || ok != (want != "") {
			t.Errorf("Within(%q) = %q, %t, want %q", host, got, ok, want)
		}
	}
	// Which one of many is told does not matter.
	if got, ok := Within("amazonaws.com"); !ok || Public(got) != 0 || !strings.HasSuffix(got, ".amazonaws.com") {
		t.Errorf("Within(%q) = %q, %t", "amazonaws.com", got, ok)
	}
}

func TestLookUpDoesNotAllocate(t *testing.T) {
	host := "a.www.city.kawasaki.jp"
	if n := testing.AllocsPerRun(100, func() {
		_ = Public(host)
		_, _ = Registrable(host)
		_, _ = Within(host)
		_, _ = HandsOut(host)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// Hosts made of labels that stand in rules, where a look-up can go wrong, and of
// others.
func TestAgreesWithTheReference(t *testing.T) {
	r := newReference(t)
	labels := strings.Fields(
		"com uk co github io ck www jp kawasaki city kobe amazonaws s3 compute us-east-1 dualstack on aws x xn--p1ai -a a- a_b 1 co1",
	)
	rapid.Check(t, func(t *rapid.T) {
		label := rapid.OneOf(rapid.SampledFrom(labels), rapid.StringMatching(`[a-z0-9_-]{1,8}`))
		host := strings.Join(rapid.SliceOfN(label, 1, 6).Draw(t, "labels"), ".")
		if want := r.public(host); host[Public(host):] != want {
			t.Fatalf("Public(%q) = %q, want %q", host, host[Public(host):], want)
		}
	})
}

// No host ends a look-up outside the table.
func FuzzPublic(f *testing.F) {
	for _, seed := range []string{"", ".", "..", "example.co.uk", "\x00.com", "É.jp", "a.b.kawasaki.jp"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, host string) {
		public := Public(host)
		registrable, ok := Registrable(host)
		_, _ = Within(host)
		if !strings.HasSuffix(host, registrable) || ok && len(registrable) <= len(host)-public {
			t.Errorf("%q: public from %d, registrable %q", host, public, registrable)
		}
	})
}
