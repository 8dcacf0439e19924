package reach

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"corsfilter/internal/automaton"
	"corsfilter/internal/origin"
)

func explore(t testing.TB, regex string, meant ...string) Reach {
	t.Helper()
	a, err := new(automaton.Builder).Regex(regex, false)
	if err != nil {
		t.Fatalf("%s: %v", regex, err)
	}
	r, err := new(Explorer).Explore(a, func(domain string) bool { return slices.Contains(meant, domain) })
	if err != nil {
		t.Fatalf("%s: %v", regex, err)
	}
	return r
}

// opaque is an origin of a scheme other than http and https whose host is no IPv6
// address.
var opaque = regexp.MustCompile(`\A([a-z][a-z0-9+.-]*)://([-a-z0-9._~!$&'()+;=%]*)(?::([1-9][0-9]{0,4}))?\z`)

// wellFormed is what the filter takes for an origin, in lower case.
func wellFormed(s string) (origin.Origin, bool) {
	if m := opaque.FindStringSubmatch(s); m != nil && origin.DefaultPort(m[1]) == 0 {
		port, _ := strconv.Atoi(m[3])
		return origin.Origin{Scheme: m[1], Host: m[2], Port: uint16(port)}, port <= 65535 && len(s) <= origin.MaxLen
	}
	var buf origin.Buffer
	o, ok := origin.Parse(s, &buf)
	return o, ok && o.Serialized() && s == strings.ToLower(s)
}

func isWellFormed(s string) bool {
	_, ok := wellFormed(s)
	return ok
}

func TestWhatRegexesLetIn(t *testing.T) {
	for _, c := range []struct {
		regex      string
		meant      []string
		domains    string // sorted; "" where there are too many
		count      int
		any        bool
		unintended string
		insecure   string
	}{
		{regex: `^https://shop\.example\.com$`, meant: []string{"example.com"}, domains: "example.com", count: 1},
		{regex: `^https://([a-z0-9-]+\.)*example\.com(:\d+)?$`, meant: []string{"example.com"}, domains: "example.com", count: 1},
		{regex: `^https?://localhost(:\d+)?$`, domains: "localhost", count: 1, unintended: "https://localhost"},
		{regex: `^https?://.*\.localhost$`, meant: []string{"localhost"}, domains: "localhost", count: 1},
		{regex: `^https?://(www\.)?example\.(com|org|co\.uk)$`, meant: []string{"example.com", "example.org", "example.co.uk"},
			domains: "example.co.uk example.com example.org", count: 3, insecure: "http://example.org"},
		{regex: `^https://.*example\.co\.uk$`, meant: []string{"example.co.uk"}, count: Endless, any: true, unintended: "https://aexample.co.uk"},
		{regex: `^https://app\.[a-z]+\.com$`, count: Endless, any: true, unintended: "https://app.a.com"},
		{regex: `^https://app\..*example\.com$`, meant: []string{"example.com"}, count: Endless, any: true, unintended: "https://app.aexample.com"},
		{regex: `^https://(.+)\.example\.com(\.[a-z]{2})?$`, meant: []string{"example.com"}, any: true, count: 677, unintended: "https://a.example.com.om"},
		{regex: `^https://www\.example\.[a-z]{2,3}$`, any: true, count: Many, unintended: "https://www.example.aa"},
		{regex: `^https://[\w-]+\.vercel\.app$`, any: true, count: Endless, unintended: "https://a.vercel.app"},
		{regex: `^https://example\.c[a-z]$`, any: true, count: 26, unintended: "https://example.ca"},
		{regex: `^https://example.com$`, meant: []string{"example.com"}, any: true, count: 39, unintended: "https://exampleacom"},
		{regex: `.*`, any: true, count: Endless, unintended: "https://a", insecure: "http://a"},
		{regex: `https://a|`, domains: "a", count: 1, unintended: "https://a"},
		{regex: `^example\.com$`, count: 0},
		{regex: `^https://example\.com/$`, count: 0},
		{regex: `^https://example\.com:443$`, count: 0},
		{regex: `^https://EXAMPLE\.com$`, count: 0},
		{regex: `^https://example\.com:(443|8443)$`, domains: "example.com", count: 1, unintended: "https://example.com:8443"},
		{regex: `^https://example\.com:[0-9]{5}$`, domains: "example.com", count: 1, unintended: "https://example.com:10000"},
		{regex: `^https://example\.com:65536$`, count: 0},
		{regex: `^https://example\.com:6553[0-9]$`, domains: "example.com", count: 1, unintended: "https://example.com:65530"},
		{regex: `^https://example\.com\.$`, domains: "example.com", count: 1, unintended: "https://example.com."},
		{regex: `^https://example\.com\.?:80$`, domains: "example.com", count: 1, unintended: "https://example.com:80"},
		// Addresses.
		{regex: `^http://127\.0\.0\.1(:\d+)?$`, domains: "127.0.0.0/8", count: 1, unintended: "http://127.0.0.1"},
		{regex: `^http://192\.168\.\d+\.\d+$`, domains: "192.168.0.0/16", count: 1, unintended: "http://192.168.0.0", insecure: "http://192.168.0.0"},
		{regex: `^https://172\.\d+\.1\.1$`, any: true, count: Addresses, unintended: "https://172.0.1.1"},
		{regex: `^https://172\.(1[6-9]|2\d|3[01])\.1\.1$`, domains: "172.16.0.0/12", count: 1, unintended: "https://172.16.1.1"},
		{regex: `^https://203\.0\.113\.\d$`, domains: "203.0.113.0 203.0.113.1 203.0.113.2 203.0.113.3 203.0.113.4 203.0.113.5 203.0.113.6 203.0.113.7 203.0.113.8 203.0.113.9", count: 10, unintended: "https://203.0.113.0"},
		{regex: `^https://203\.0\.113\.\d+$`, any: true, count: Addresses, unintended: "https://203.0.113.0"},
		{regex: `^https://1\.2\.3$`, count: 0}, {regex: `^https://01\.2\.3\.4$`, count: 0}, {regex: `^https://1\.2\.3\.256$`, count: 0}, {regex: `^https://a\.0x1f$`, count: 0}, {regex: `^https://a\.0x1g$`, domains: "a.0x1g", count: 1, unintended: "https://a.0x1g"},
		{regex: `^https?://\[::1\](:\d+)?$`, domains: "[::1]", count: 1, unintended: "https://[::1]"},
		{regex: `^http://\[2001:db8::[0-9a-f]\]$`, domains: "[2001:db8::1] [2001:db8::2] [2001:db8::3] [2001:db8::4] [2001:db8::5] [2001:db8::6] [2001:db8::7] [2001:db8::8] [2001:db8::9] [2001:db8::a] [2001:db8::b] [2001:db8::c] [2001:db8::d] [2001:db8::e] [2001:db8::f]",
			count: 15, unintended: "http://[2001:db8::1]", insecure: "http://[2001:db8::1]"},
		{regex: `^https://\[.*\]$`, any: true, count: Addresses, unintended: "https://[::]"},
		{regex: `^https://\[0:.*\]$`, any: true, count: Addresses, unintended: "https://[0:1::]"},
		// Loopback beside other addresses.
		{regex: `^http://\[::[1-4]\]$`, domains: "[::1] [::2] [::3] [::4]", count: 4, unintended: "http://[::1]", insecure: "http://[::2]"},
		{regex: `^http://(127\.0\.0\.1|198\.51\.100\.10|203\.0\.113\.30|51\.52\.53\.54)$`, domains: "127.0.0.0/8 198.51.100.10 203.0.113.30 51.52.53.54", count: 4, unintended: "http://127.0.0.1", insecure: "http://51.52.53.54"},
		{regex: `^http://\[.*\]$`, any: true, count: Addresses, unintended: "http://[::]", insecure: "http://[::]"},
		// Some of the addresses are meant.
		{regex: `^https://1\.2\.3\.[45]$`, meant: []string{"1.2.3.4"}, domains: "1.2.3.4 1.2.3.5", count: 2, unintended: "https://1.2.3.5"},
		{regex: `^https://1\.2\.3\.4[0-2]?$`, meant: []string{"1.2.3.4", "1.2.3.40"}, domains: "1.2.3.4 1.2.3.40 1.2.3.41 1.2.3.42", count: 4, unintended: "https://1.2.3.41"},
		{regex: `^https://(127|128)\.0\.0\.1$`, meant: []string{"127.0.0.0/8"}, domains: "127.0.0.0/8 128.0.0.1", count: 2, unintended: "https://128.0.0.1"},
		{regex: `^https://172\.(16|20|40|100)\.0\.1$`, meant: []string{"172.16.0.0/12"}, domains: "172.100.0.1 172.16.0.0/12 172.40.0.1", count: 3, unintended: "https://172.40.0.1"},
		{regex: `^https://\[(::1|::2|1::2)\]$`, meant: []string{"[::1]", "[::2]"}, domains: "[1::2] [::1] [::2]", count: 3, unintended: "https://[1::2]"},
		{regex: `^https?://1\.2\.3\.4(:80)?$`, meant: []string{"1.2.3.4"}, domains: "1.2.3.4", count: 1, insecure: "http://1.2.3.4"},
		{regex: `^x+://\[::a\]$|^y://\[::[ab]1\]`, domains: "[::a1] [::a] [::b1]", count: 3, unintended: "x://[::a]"},
		// The public suffix list: wildcards, exceptions, rules below rules.
		{regex: `^https://.*\.ck$`, any: true, count: Endless, unintended: "https://a.ck"},
		{regex: `^https://.*\.www\.ck$`, domains: "www.ck", count: 1, unintended: "https://a.www.ck"},
		{regex: `^https://.*\.city\.kawasaki\.jp$`, domains: "city.kawasaki.jp", count: 1, unintended: "https://a.city.kawasaki.jp"},
		{regex: `^https://.*\.kawasaki\.jp$`, any: true, count: Endless, unintended: "https://a.kawasaki.jp"},
		{regex: `^https://.*\.amazonaws\.com$`, meant: []string{"amazonaws.com"}, any: true, count: Endless, unintended: "https://s3.amazonaws.com"},
		{regex: `^https://.*\.compute\.amazonaws\.com$`, meant: []string{"amazonaws.com"}, any: true, count: Endless, unintended: "https://a.compute.amazonaws.com"},
		// Other schemes.
		{regex: `^chrome-extension://abc$`, domains: "abc", count: 1, unintended: "chrome-extension://abc"},
		{regex: `^chrome-extension://[a-p]{32}$`, any: true, count: Many, unintended: "chrome-extension://" + strings.Repeat("a", 32)},
		{regex: `^[a-z]+://example\.com$`, meant: []string{"example.com"}, domains: "example.com", count: 1, insecure: "http://example.com"},
		{regex: `^.*://app$`, meant: []string{"app"}, domains: "app", count: 1, insecure: "http://app"},
		{regex: `^capacitor://~$`, domains: "~", count: 1, unintended: "capacitor://~"}, {regex: `^https://~$`, count: 0},
		{regex: `^qrc://$`, domains: "no host", count: 1}, {regex: `^app://\.$`, domains: "no host", count: 1}, {regex: `^https?://$`, count: 0}, {regex: `^https://\.$`, count: 0},
		{regex: `^app://(a!b_c|\.\.|x\.\.com)$`, domains: ". .com a!b_c", count: 3, unintended: "app://.."}, {regex: `^app://[]/@ ,*^|"<>{}#?\\]$`, count: 0},
		{regex: `^x://.*\.example\.com$`, meant: []string{"example.com"}, domains: "example.com", count: 1},
		{regex: `^app://[!$]$`, domains: "! $", count: 2, unintended: "app://!"}, {regex: `^app://[!$&'()+;=%~_.-]$`, count: 14, domains: "! $ % & ' ( ) + - ; = _ no host ~", unintended: "app://-"},
		{regex: `^app://.*$`, any: true, count: Endless, unintended: "app://a"}, {regex: `^app://\.*$`, domains: ". no host", count: 2, unintended: "app://.."},
		// What is no origin of a domain.
		{regex: `null`, count: 0}, {regex: `file://`, domains: "no host", count: 1}, {regex: `null|https://a\.example`, domains: "a.example", count: 1, unintended: "https://a.example"},
	} {
		r := explore(t, c.regex, c.meant...)
		whole := regexp.MustCompile(`\A(?:` + c.regex + `)\z`)
		if r.Null != whole.MatchString("null") || r.File != whole.MatchString("file://") {
			t.Errorf("%s: null %v, file %v", c.regex, r.Null, r.File)
		}
		var names []string
		for _, d := range r.Domains {
			names = append(names, d.Name)
		}
		slices.Sort(names)
		if c.domains == "" && !c.any && c.count != 0 || c.domains != "" && strings.Join(names, " ") != c.domains {
			t.Errorf("%s lets in %v", c.regex, names)
		}
		if r.Count != c.count || r.Any != c.any || r.Unintended != c.unintended || r.Insecure != c.insecure {
			t.Errorf("%s: %d, any %v, unintended %q, insecure %q; want %d, %v, %q, %q", c.regex, r.Count, r.Any, r.Unintended, r.Insecure, c.count, c.any, c.unintended, c.insecure)
		}
		check(t, c.regex, whole.MatchString, r)
	}
}

// check holds what is said of a matcher to what it accepts and to our own parser.
func check(t interface{ Errorf(string, ...any) }, matcher string, accepts func(string) bool, r Reach) {
	valid := func(what, s string) bool {
		ok := isWellFormed(s)
		if !ok || !accepts(s) {
			t.Errorf("%s: the %s %q is well-formed: %v, and let in: %v", matcher, what, s, ok, accepts(s))
		}
		return ok
	}
	for _, s := range []string{r.Unintended, r.Insecure} {
		if s != "" {
			valid("witness", s)
		}
	}
	if owner := Owner(r.Insecure); owner == localhost || owner == loopback4 || owner == loopback6 {
		t.Errorf("%s: %q is loopback, and no insecure origin", matcher, r.Insecure)
	}
	for _, d := range r.Domains {
		ok := valid("example", d.Example)
		if ok && Owner(d.Example) != d.Name {
			t.Errorf("%s: %q is an example of %s, and belongs to %s", matcher, d.Example, d.Name, Owner(d.Example))
		}
	}
}

// TestNothingIsMissed draws regexes and origins, and expects each origin that gets
// in to be accounted for, and none to be shorter than the witness.
func TestNothingIsMissed(t *testing.T) { rapid.Check(t, nothingIsMissed) }

func FuzzReach(f *testing.F) { f.Fuzz(rapid.MakeFuzz(nothingIsMissed)) }

func nothingIsMissed(t *rapid.T) {
	piece := rapid.SampledFrom([]string{
		"a", "b", "co", "com", "uk", "ck", "www", "jp", "kawasaki", "city", "github", "io", "localhost", "1", "127", "10", "0", "0x1", "-", `\.`, `\.`, `\.`, ".", `[ab]`, `[a-b]?`, `\w`, `(a|com)`, `(\.com)?`, `(b\.)*`,
		`~`, `[!-/]`, `\d`, `[0-9]{1,2}`, `(:\d+)?`, `:80`, `:(443|80)`, `\.?`, `.?`, `(a|)`, `\[::1\]`, `\[`, `\]`, `::`, `:`,
	})
	regex := rapid.SampledFrom([]string{"https://", "http://", "https?://", "x://", "[a-z]+://", "(https|http|x)://", ""}).Draw(t, "scheme") +
		strings.Join(rapid.SliceOfN(piece, 1, 7).Draw(t, "host"), "")
	want, err := regexp.Compile(`\A(?:` + regex + `)\z`)
	if err != nil {
		t.Skip()
	}
	var b automaton.Builder
	a, err := b.Regex(regex, false)
	if err != nil {
		t.Skip()
	}
	meant := func(domain string) bool { return domain == "a.com" }
	r, err := new(Explorer).Explore(a, meant)
	if err != nil {
		t.Fatalf("%s: %v", regex, err)
	}
	check(t, regex, want.MatchString, r)
	text := rapid.SampledFrom([]string{"a", "b", "co", "com", "uk", "ck", "www", "jp", "kawasaki", "city", "github", "io", "localhost", "1", "127", "10", "0", "-", "_", "c", "9", "0x1", "!", "~", ".", ""})
	origins := rapid.Custom(func(t *rapid.T) string {
		host := strings.Join(rapid.SliceOfN(text, 1, 4).Draw(t, "labels"), rapid.SampledFrom([]string{".", ".", ""}).Draw(t, "dot"))
		host = rapid.SampledFrom([]string{host, host, host, host + ".", "", ".", "1.2.3.4", "127.0.0.1", "10.0.0.1", "[::1]", "[1::]"}).Draw(t, "host")
		return rapid.SampledFrom([]string{"https", "http", "x"}).Draw(t, "scheme") + "://" + host + rapid.SampledFrom([]string{"", "", "", ":80", ":443", ":8"}).Draw(t, "port")
	})
	for _, s := range rapid.SliceOfN(origins, 50, 50).Draw(t, "origins") {
		if isWellFormed(s) && want.MatchString(s) {
			missed(t, regex, r, s, meant)
		}
	}
}

// missed finds out whether an origin that a matcher lets in is accounted for, and
// no shorter than the witness.
func missed(t interface{ Errorf(string, ...any) }, matcher string, r Reach, s string, meant func(string) bool) {
	owner := Owner(s)
	if r.Count >= 0 && r.Count <= MaxDomains && !slices.ContainsFunc(r.Domains, func(d Domain) bool { return d.Name == owner }) {
		t.Errorf("%s lets in %s of %s, which is not among %v", matcher, s, owner, r.Domains)
	}
	if owner != noHost && !meant(owner) && (r.Unintended == "" || kindOf(s) < kindOf(r.Unintended) || kindOf(s) == kindOf(r.Unintended) && len(s) < len(r.Unintended)) {
		t.Errorf("%s lets in %s, and the unintended origin is %q", matcher, s, r.Unintended)
	}
	loopback := owner == localhost || owner == loopback4 || owner == loopback6
	if kindOf(s) == http && !loopback && (r.Insecure == "" || len(s) < len(r.Insecure)) {
		t.Errorf("%s lets in %s, and the insecure one is %q", matcher, s, r.Insecure)
	}
}

// TestIPv4Forms compares the form of addresses with the parser on every number of
// up to four digits.
func TestIPv4Forms(t *testing.T) {
	for n := range 11000 {
		for _, text := range []string{fmt.Sprintf("1.%d.0.255", n), fmt.Sprintf("1.2.3.%03d", n), fmt.Sprintf("%d.3.4", n), fmt.Sprintf("1.2.3.4.%d", n)} {
			q, ok := quad{}, true
			for i := 0; i < len(text) && ok; i++ {
				q, ok = q.read(text[i])
			}
			_, want := wellFormed("https://" + text)
			if got := ok && q.ends(); got != want {
				t.Fatalf("%s is canonical: %v, want %v", text, got, want)
			}
		}
	}
}

// TestIPv6Forms compares the form of addresses with the parser on many texts: on
// all of zeros, ones and one "::" at most.
func TestIPv6Forms(t *testing.T) {
	canonical := func(text string) bool {
		s, ok := six{least: 2}, true
		for i := 0; i < len(text) && ok; i++ {
			s, ok = s.read(text[i])
		}
		return ok && s.ends()
	}
	texts := []string{":", ":1", "1:", "", ":::", "1:::", "1::1::1", "00::", "12345::", "1:02::", "ffff::abcd", "1:2:3:4:5:6:7:8:"}
	for groups := range 10 {
		for bits := range 1 << groups {
			digits := strings.Split(fmt.Sprintf("%0*b", groups, bits)[:groups], "")
			texts = append(texts, strings.Join(digits, ":"))
			for at := range groups + 1 {
				texts = append(texts, strings.Join(digits[:at], ":")+"::"+strings.Join(digits[at:], ":"))
			}
		}
	}
	for _, text := range texts {
		if got, want := canonical(text), isWellFormed("https://["+text+"]"); got != want {
			t.Errorf("%s is canonical: %v; want %v", text, got, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		groups := rapid.SliceOfN(rapid.SampledFrom([]string{"0", "0", "1", "ab", "ffff", "00", "01", "12345", "", ""}), 1, 9).Draw(t, "groups")
		text := strings.Join(groups, ":")
		if rapid.Bool().Draw(t, "cut") {
			text = rapid.SampledFrom([]string{"::", "::" + text, text + "::", ":" + text, text + ":", strings.Replace(text, ":0:0", ":", 1), strings.Replace(text, "0:0:", ":", 1)}).Draw(t, "text")
		}
		if got, want := canonical(text), isWellFormed("https://["+text+"]"); got != want {
			t.Fatalf("%s is canonical: %v; want %v", text, got, want)
		}
	})
}

// TestCostly asks for what could take long: it is decided, or given up within the
// bound.
func TestCostly(t *testing.T) {
	for regex, decided := range map[string]bool{
		`https?://.*`: true, `.*`: true, `^(https?://)?([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,}$`: true,
		`https://[ab]*a[ab]{10}\.com`: true, `.*[ab]{9}.*\.example\.com`: true, `https://(a|b|c.){60}d`: true, `https://.*[0-9].{8}`: false,
	} {
		e := new(Explorer)
		a, err := new(automaton.Builder).Regex(regex, false)
		if err != nil {
			t.Errorf("%s: %v", regex, err)
			continue
		}
		_, err = e.Explore(a, func(string) bool { return false })
		if (err == nil) != decided || e.Steps() > 2*maxSteps {
			t.Errorf("%s, %d states: %d steps, %v", regex, a.Len(), e.Steps(), err)
		}
	}
}
