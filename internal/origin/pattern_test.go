package origin

import (
	"errors"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func mustParse(t interface{ Fatalf(string, ...any) }, s string) Pattern {
	p, err := ParsePattern(s)
	if err != nil {
		t.Fatalf("ParsePattern: %v", err)
	}
	return p
}

func TestParsePattern(t *testing.T) {
	one := func(ports ...uint16) []uint16 { return ports }
	for _, c := range []struct {
		name string
		want map[string]Pattern
	}{
		{"an origin is itself", map[string]Pattern{
			"https://example.com":        {Scheme: "https", Host: "example.com", Ports: one(0)},
			"http://localhost:3000":      {Scheme: "http", Host: "localhost", Ports: one(3000)},
			"http://127.0.0.1:8080":      {Scheme: "http", Host: "127.0.0.1", Ports: one(8080)},
			"https://[2001:db8::1]:8443": {Scheme: "https", Host: "[2001:db8::1]", Ports: one(8443)},
			"https://example.com.":       {Scheme: "https", Host: "example.com.", Ports: one(0)},
			"http://example.com:443":     {Scheme: "http", Host: "example.com", Ports: one(443)},
			"https://example.com:80":     {Scheme: "https", Host: "example.com", Ports: one(80)},
		}},
		{"a wildcard stands for labels in front", map[string]Pattern{
			"https://*.example.com":      {Scheme: "https", Host: "example.com", Subdomains: true, Ports: one(0)},
			"https://*.example.com:8443": {Scheme: "https", Host: "example.com", Subdomains: true, Ports: one(8443)},
			"https://*.com":              {Scheme: "https", Host: "com", Subdomains: true, Ports: one(0)},
		}},
		{"ports are any or a list", map[string]Pattern{
			"https://example.com:*":                {Scheme: "https", Host: "example.com", AnyPort: true},
			"https://example.com:[*]":              {Scheme: "https", Host: "example.com", AnyPort: true},
			"https://*.example.com:*":              {Scheme: "https", Host: "example.com", Subdomains: true, AnyPort: true},
			"https://example.com:[8080,8443]":      {Scheme: "https", Host: "example.com", Ports: one(8080, 8443)},
			"https://example.com:[8443,8080,8443]": {Scheme: "https", Host: "example.com", Ports: one(8080, 8443)},
			"https://example.com:[443,8443]":       {Scheme: "https", Host: "example.com", Ports: one(0, 8443)},
			"http://[::1]:[80,3000]":               {Scheme: "http", Host: "[::1]", Ports: one(0, 3000)},
			"http://[::1]:*":                       {Scheme: "http", Host: "[::1]", AnyPort: true},
		}},
		{"schemes of apps and extensions", map[string]Pattern{
			"chrome-extension://abcdefghijklmnop": {Scheme: "chrome-extension", Host: "abcdefghijklmnop", Ports: one(0)},
			"capacitor://localhost":               {Scheme: "capacitor", Host: "localhost", Ports: one(0)},
			"ionic://localhost:443":               {Scheme: "ionic", Host: "localhost", Ports: one(443)},
			"app://.":                             {Scheme: "app", Host: ".", Ports: one(0)},
			"qrc://":                              {Scheme: "qrc", Host: "", Ports: one(0)},
			"file://":                             {Scheme: "file", Host: "", Ports: one(0)},
			"app://1.2.3":                         {Scheme: "app", Host: "1.2.3", Ports: one(0)},
			"app://..a~!$&'()+;=%":                {Scheme: "app", Host: "..a~!$&'()+;=%", Ports: one(0)},
			"app://*.example.com":                 {Scheme: "app", Host: "example.com", Subdomains: true, Ports: one(0)},
			"app://*.1":                           {Scheme: "app", Host: "1", Subdomains: true, Ports: one(0)},
		}},
		{"a wildcard alone is every host", map[string]Pattern{
			"https://*":            {Scheme: "https", Host: anyHost, Ports: one(0)},
			"http://*:8080":        {Scheme: "http", Host: anyHost, Ports: one(8080)},
			"https://*:*":          {Scheme: "https", Host: anyHost, AnyPort: true},
			"https://*:[443,8443]": {Scheme: "https", Host: anyHost, Ports: one(0, 8443)},
			"moz-extension://*":    {Scheme: "moz-extension", Host: anyHost, Ports: one(0)},
		}},
		{"upper case of other schemes' hosts is lowered and not told", map[string]Pattern{
			"app://My_App": {Scheme: "app", Host: "my_app", Ports: one(0)},
			"APP://my_app": {Scheme: "app", Host: "my_app", Ports: one(0), Lowered: true},
			"FILE://":      {Scheme: "file", Host: "", Ports: one(0), Lowered: true},
		}},
		{"upper case is lowered and told", map[string]Pattern{
			"HTTPS://Example.COM":   {Scheme: "https", Host: "example.com", Ports: one(0), Lowered: true},
			"https://*.EXAMPLE.com": {Scheme: "https", Host: "example.com", Subdomains: true, Ports: one(0), Lowered: true},
			"http://[2001:DB8::1]":  {Scheme: "http", Host: "[2001:db8::1]", Ports: one(0), Lowered: true},
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for s, want := range c.want {
				p, err := ParsePattern(s)
				if err != nil || !equal(p, want) {
					t.Errorf("ParsePattern(%q) = %+v, %v; want %+v", s, p, err, want)
				}
			}
		})
	}
}

func equal(p, q Pattern) bool {
	return p.Scheme == q.Scheme && p.Host == q.Host && p.Subdomains == q.Subdomains && p.AnyPort == q.AnyPort &&
		slices.Equal(p.Ports, q.Ports) && p.Lowered == q.Lowered
}

func TestPatternErrors(t *testing.T) {
	const (
		noScheme   = "an origin starts with a scheme"
		noPath     = "an origin has no path"
		noSlash    = "an origin has no trailing slash"
		noQuery    = "an origin has no query"
		noFragment = "an origin has no fragment"
		noUser     = "an origin has no user info"
		noSpaces   = "an origin has no spaces or control characters"
		noHost     = "an origin of this scheme has a host"
		noName     = `"*." must be followed by a name`
		ascii      = "browsers send hosts in ASCII"
		several    = "several origins in one string"
		star       = `"*" may stand for the whole host, or for whole labels at its front`
		noSub      = "an IP address has no subdomains"
		ipv4       = "browsers write an IPv4 address as four decimal numbers"
		ipv6       = "not an IPv6 address in brackets"
		shortest   = "browsers write this IPv6 address in its shortest form"
		brackets   = "an IPv6 address stands in brackets"
		files      = "all files share one origin, which has no host"
		opaque     = `the host is not made of letters, digits and "-._~!$&'()+;=%"`
		labels     = `the host is not made of labels of letters, digits, "-" and "_"`
		colons     = "one colon and one port follow the host, and an IPv6 address stands in brackets"
		port       = "a port is a number from 1 to 65535"
		ports      = "a port list holds numbers from 1 to 65535"
		noPort     = "a colon without a port"

		noHostNoPort = "an origin without a host has no port"
		unclosed     = "the brackets of the port list are not closed"
		httpsPort    = "browsers leave out the default port of https"
		httpPort     = "browsers leave out the default port of http"

		hosts      = `write "https://example.com" or "https://*.example.com"`
		extensions = `write "moz-extension://d3a2d8ba-7c2b-4b1c-9a30-0123456789ab", or "moz-extension://*" for every extension`
		encoded    = `write the host as it is sent, percent-encoded ("%C3%BC") or in its punycode form ("xn--…")`
		portList   = `write one such as ":[8080,8443]"`
		punycode   = `write the host in its punycode form ("xn--…")`
		entries    = "write each as a separate entry"
		apart      = "write each origin as an entry of its own"
		anyPort    = `write one, or "https://example.com:*" for any port`
		example    = `write "https://example.com"`
	)
	for _, group := range []struct {
		name string
		rows [][3]string // pattern, reason, remedy
	}{
		{"nothing, or no origin", [][3]string{
			{"", "empty", `write an origin such as "https://example.com", or leave the entry out`},
			{"example.com", noScheme, example},
			{"*.example.com", noScheme, `write "https://*.example.com"`},
			{"//example.com", noScheme, example},
			{"https:example.com", noScheme, example},
			{"http:/example.com", noScheme, `write "http://example.com"`},
			{"localhost:3000", noScheme, `write "https://localhost:3000"`},
			{"https://", noHost, hosts},
			{"https://:8080", noHost, hosts},
			{"https://*.", noName, hosts},
			{"https://*..example.com", noName, hosts},
			{"*://example.com", "the scheme cannot be a wildcard", `list one origin for each scheme, such as "https://example.com"`},
			{"1http://example.com", `the scheme is not letters, digits, "+", "-" and "." after a letter`, `write one such as "https"`},
			{"blob:https://example.com", `the scheme is not letters, digits, "+", "-" and "." after a letter`, `write "https://example.com"`},
			{`'https://example.com'`, `the scheme is not letters, digits, "+", "-" and "." after a letter`, `write "https://example.com"`},
			{"https//example.com", noScheme, `write "https://example.com"`},
			{"https://a.example;https://b.example", "several origins in one string", "write each as a separate entry"},
		}},
		{"what is not an origin at all keeps its meaning in the remedy", [][3]string{
			{"NULL", "the opaque origin is written in lower case", `write "null"`},
			{`^https://.*\.example\.com$`, "a string is an origin, not a regex", `write it as a matcher, {"regex": "…"}`},
			{`^HTTPS?`, "a string is an origin, not a regex", `write it as a matcher, {"regex": "…"}`},
		}},
		{"other schemes: no remedy of theirs is a name of the DNS", [][3]string{
			{"moz-extension://", noHost, extensions},
			{"moz-extension://*.", noName, extensions},
			{"capacitor://*..a", noName, `write "capacitor://localhost", or "capacitor://*" for every host`},
			{"moz-extension://d3a2d8ba*", star, extensions},
			{"moz-extension://id/page.html", noPath, `write "moz-extension://id"`},
			{
				"chrome-extension://{id}", opaque,
				`write "chrome-extension://abcdefghijklmnopabcdefghijklmnop", or "chrome-extension://*" for every extension`,
			},
			{
				"chrome-extension://*.*", star,
				`write "chrome-extension://abcdefghijklmnopabcdefghijklmnop", or "chrome-extension://*" for every extension`,
			},
			{"capacitor://a,b", opaque, `write "capacitor://localhost", or "capacitor://*" for every host`},
			{"capacitor://a:b:1", colons, `write "capacitor://localhost", or "capacitor://*" for every host`},
			{"app://.:0", port, `write one, or "app://.:*" for any port`},
			{"qrc://:8080", noHostNoPort, `write "qrc://"`},
			{"qrc://:*", noHostNoPort, `write "qrc://"`},
			{"qrc://:", noHostNoPort, `write "qrc://"`},
			{"qrc:///", noSlash, `write "qrc://"`},
			{"qrc:///index.html", noPath, `write "qrc://"`},
			{"app://bücher", ascii, encoded},
			{"APP://*.bücher", ascii, encoded},
			{"app://a,app://b", several, entries},
		}},
		{"files have one origin", [][3]string{
			{"file:///", noSlash, `write "file://"`},
			{"file:///home/me/index.html", noPath, `write "file://"`},
			{"file://localhost", files, `write "file://"`},
			{"file://*", files, `write "file://"`},
			{"file://*:80", files, `write "file://"`},
			{"file://::1", brackets, `write "file://"`},
			{"file://:80", noHostNoPort, `write "file://"`},
		}},
		{"parts of a URL", [][3]string{
			{"https://example.com/", noSlash, example},
			{"https://example.com/v1", noPath, example},
			{"https://example.com//", noPath, example},
			{"https://example.com/*", noPath, example},
			{"https://example.com\\", noPath, example},
			{"https://example.com?q=1", noQuery, example},
			{"https://example.com#top", noFragment, example},
			{"https://user@example.com", noUser, example},
			{"https://user:pw@example.com", noUser, example},
			{"https://example.com:*/", noSlash, `write "https://example.com:*"`},
		}},
		{"white space, controls, letters beyond ASCII", [][3]string{
			{" https://example.com", noSpaces, example},
			{"https://example.com\r\n", noSpaces, example},
			{"\u007fhttps://example.com", noSpaces, example},
			{" ", noSpaces, apart},
			{" * ", noSpaces, `write "*"`},
			{"null ", noSpaces, `write "null"`},
			// Joined, this would name a host that nobody meant.
			{"https://a.example b.example", noSpaces, apart},
			{"https://a.example\x00", noSpaces, `write "https://a.example"`},
			{"https://example.com:[8080, 8443]", noSpaces, `write "https://example.com:[8080,8443]"`},
			{"https://bücher.example", ascii, punycode},
			{"https://*.bücher.example", ascii, punycode},
			{"https://a.example,https://b.example", several, entries},
			{"https://a.example, https://b.example", several, entries},
			{"https://a.example,b.example", labels, hosts},
			{"https://a.example,", labels, hosts},
		}},
		{"wildcards in other places", [][3]string{
			{"https://*:0", port, `write one, or "https://*:*" for any port`},
			{"https://*:443", httpsPort, `write "https://*"`},
			{"https://*/", noSlash, `write "https://*"`},
			{"https://*example.com", star, hosts},
			{"https://www.*.com", star, hosts},
			{"https://www.*", star, hosts},
			{"https://*.*.example.com", star, hosts},
			{"https://**.example.com", star, hosts},
			{"https://example.*:8080", star, hosts},
		}},
		{"addresses", [][3]string{
			{"https://*.192.0.2.1", noSub, `write "https://192.0.2.1"`},
			{"https://*.192.0.2.1:8080", noSub, `write "https://192.0.2.1:8080"`},
			{"https://*.[2001:db8::1]", noSub, `write "https://[2001:db8::1]"`},
			{"https://*.1", noSub, `write it so, such as "https://192.0.2.1"`},
			{"https://127.1", ipv4, `write it so, such as "https://192.0.2.1"`},
			{"https://192.0.2.01", ipv4, `write it so, such as "https://192.0.2.1"`},
			{"https://[2001:db8::1", ipv6, `write one such as "https://[2001:db8::1]"`},
			{"https://[2001:db8::g]", ipv6, `write one such as "https://[2001:db8::1]"`},
			{"https://[fe80::1%25eth0]", ipv6, `write one such as "https://[2001:db8::1]"`},
			{"https://2001:db8::1", brackets, `write "https://[2001:db8::1]"`},
			{"https://::1", brackets, `write "https://[::1]"`},
			{"https://[2001:db8:0::1]", shortest, `write "https://[2001:db8::1]"`},
			{"https://[2001:db8:0::1]:8443", shortest, `write "https://[2001:db8::1]:8443"`},
			{"https://[::ffff:192.0.2.1]", shortest, `write "https://[::ffff:c000:201]"`},
		}},
		{"host names", [][3]string{
			{"https://exa!mple.com", labels, hosts},
			{"https://example..com", labels, hosts},
			{"https://.example.com", labels, hosts},
			{"https://exam%70le.com", labels, hosts},
			{"https://example.com:8080:9090", colons, hosts},
			{"https://example.com:[8080]x", colons, hosts},
		}},
		{"ports", [][3]string{
			{"https://example.com:", noPort, example},
			{"https://example.com:443", httpsPort, example},
			{"http://example.com:80", httpPort, `write "http://example.com"`},
			{"https://*.example.com:443", httpsPort, `write "https://*.example.com"`},
			{"https://example.com:0", port, anyPort},
			{"https://example.com:080", port, anyPort},
			{"https://example.com:65536", port, anyPort},
			{"https://example.com:http", port, anyPort},
			{"https://example.com:80*", port, anyPort},
			{"https://example.com:[]", ports, portList},
			{"https://example.com:[0]", ports, portList},
			{"https://example.com:[8080,]", ports, portList},
			{"https://example.com:[8080-8090]", ports, portList},
			{"https://example.com:[8080,*]", ports, portList},
			{"https://example.com:[[8080]]", ports, portList},
			{"https://example.com:[8080", unclosed, `write "https://example.com:[8080]"`},
			{"https://[::1]:[8080,8443", unclosed, `write "https://[::1]:[8080,8443]"`},
		}},
		{"several mistakes: the reason is the first, the remedy has none of them", [][3]string{
			{"example.com/", noScheme, example},
			{"example.com:443", noScheme, example},
			{"EXAMPLE.com/", noScheme, example},
			{" example.com ", noSpaces, example},
			{"https://user@example.com:443/path", noPath, example},
			{"https://[2001:db8:0::1]:443", shortest, `write "https://[2001:db8::1]"`},
			{"https:///path", noPath, hosts},
			{"https://example.com:0/", noSlash, anyPort},
		}},
		{"longer than an origin", [][3]string{
			{"https://" + strings.Repeat("a", 505), "longer than 512 bytes, so no origin can match it", "leave it out"},
		}},
	} {
		t.Run(group.name, func(t *testing.T) {
			for _, row := range group.rows {
				p, err := ParsePattern(row[0])
				var bad *PatternError
				if !errors.As(err, &bad) {
					t.Errorf("ParsePattern(%q) = %+v, %v; want a PatternError", row[0], p, err)
					continue
				}
				if got := [3]string{bad.Value, bad.Reason, bad.Remedy}; got != row {
					t.Errorf("ParsePattern(%q):\n got %q\nwant %q", row[0], got, row)
				}
				if want := strconv.Quote(row[0]) + ": " + row[1] + "; " + row[2]; err.Error() != want {
					t.Errorf("the error reads %q, want %q", err, want)
				}
				checkRemedy(t, bad)
			}
		})
	}
}

var advice = regexp.MustCompile(`(?:write|or) ("(?:[^"\\]|\\.)*")`)

// checkRemedy follows the advice of an error: what it says to write must parse.
func checkRemedy(t interface{ Errorf(string, ...any) }, e *PatternError) {
	if !strings.Contains(e.Remedy, "write \"") {
		return
	}
	for _, m := range advice.FindAllStringSubmatch(e.Remedy, -1) {
		s, err := strconv.Unquote(m[1])
		if err != nil {
			t.Errorf("%q: %v", e.Remedy, err)
		}
		if s == "*" || s == "null" {
			continue
		}
		if _, err := ParsePattern(s); err != nil {
			t.Errorf("%q: the remedy %q does not parse: %v", e.Value, e.Remedy, err)
		}
	}
}

func FuzzParsePattern(f *testing.F) {
	for _, s := range []string{
		"https://example.com", "https://*.example.com:[80,8080]", "https://example.com:443/", "example.com", "https://[0:0::1]:443",
		"https://a:[b:[c", "*.1/", " https://a b ", "https://::1", "https://a:[[", "HTTP:*.[::1]:80", "https://\x00", "https://a:[", "app://.",
		"qrc://:1", "file://x", "App://~*", "https://*:[1,2]", "app://*..a",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := ParsePattern(s)
		var bad *PatternError
		switch {
		case errors.As(err, &bad):
			if bad.Value != s || bad.Reason == "" || bad.Remedy == "" {
				t.Fatalf("ParsePattern(%q): %+v", s, bad)
			}
			checkRemedy(t, bad)
		case err != nil:
			t.Fatalf("ParsePattern(%q): %v", s, err)
		default:
			again, err := ParsePattern(p.String())
			p.Lowered = false
			if err != nil || !equal(again, p) {
				t.Fatalf("ParsePattern(%q) = %+v; its String %q gives %+v, %v", s, p, p.String(), again, err)
			}
		}
	})
}

// Where a scheme leaves little room or none for a host, remedies fit all the same.
func TestRemediesForLongSchemes(t *testing.T) {
	for n := MaxLen - 20; n < MaxLen+3; n++ {
		for _, rest := range []string{
			"", "*", "*.", "a.*", "[", "[::1", "a:b:c", "a_~^", "*.1.2.3.4", "::1", "[0::1]", "a:0", "a:", "a/b", "u@a", ":1", "*:0",
		} {
			var bad *PatternError
			if _, err := ParsePattern(strings.Repeat("y", n) + "://" + rest); errors.As(err, &bad) {
				checkRemedy(t, bad)
			} else if err != nil {
				t.Errorf("a scheme of %d bytes before %q: %v", n, rest, err)
			}
		}
	}
}

func TestPatternString(t *testing.T) {
	for s, want := range map[string]string{
		"https://example.com":                 "https://example.com",
		"HTTPS://*.Example.com":               "https://*.example.com",
		"https://example.com:[8443,443,8080]": "https://example.com:[443,8080,8443]",
		"https://example.com:[443]":           "https://example.com",
		"https://example.com:[8080]":          "https://example.com:8080",
		"https://example.com:[*]":             "https://example.com:*",
		"http://[::1]:[80,81]":                "http://[::1]:[80,81]",
		"HTTPS://*:[443,8443]":                "https://*:[443,8443]",
		"app://.":                             "app://.",
		"app://My_App":                        "app://my_app",
		"qrc://":                              "qrc://",
	} {
		if got := mustParse(t, s).String(); got != want {
			t.Errorf("String of %q: %q, want %q", s, got, want)
		}
	}
}

func TestInsecure(t *testing.T) {
	for s, want := range map[string]bool{
		"https://example.com":       false,
		"http://example.com":        true,
		"http://*.example.com:8080": true,
		"http://localhost":          false,
		"http://localhost:*":        false,
		"http://*.localhost":        false,
		"http://app.localhost:3000": false,
		"http://127.0.0.1:3000":     false,
		"http://127.255.0.9":        false,
		"http://128.0.0.1":          true,
		"http://[::1]:3000":         false,
		"http://[::2]":              true,
		"http://127.0.0.1.example":  true,
		"http://localhost.example":  true,
		"http://mylocalhost":        true,
		"http://192.168.0.1":        true,
		"https://*.localhost":       false,
		"capacitor://localhost":     false,
		"http://*":                  true,
		"http://*:8080":             true,
		"https://*":                 false,
		"app://*":                   false,
		"file://":                   false,
	} {
		p := mustParse(t, s)
		if p.Insecure() != want {
			t.Errorf("%s: Insecure %v", s, !want)
		}
	}
}

// The universe in which patterns are compared by force: every pattern, and every
// origin that could tell two of them apart.
var universe = struct {
	schemes, hosts []string
	ports          []uint16
}{
	[]string{"http", "https", "app"},
	[]string{
		"com", "a.com", "b.com", "a.a.com", "ba.com", "b.a.com", "x.com", "x.a.com", "x.b.com", "x.a.a.com", "x.ba.com", "x.b.a.com", "x",
		"[::1]",
		"", ".", ".com", "..com", ".a.com", "x.", "x..", "x..com", "x...com", "x..a.com", "..", // opaque ones
	},
	[]uint16{0, 80, 443, 8080, 9999},
}

func drawPattern(t *rapid.T) Pattern {
	scheme := rapid.SampledFrom(universe.schemes).Draw(t, "scheme")
	hosts := []string{"com", "a.com", "b.com", "a.a.com", "ba.com", "b.a.com"}
	host := rapid.SampledFrom(hosts).Draw(t, "host")
	switch rapid.IntRange(0, 8).Draw(t, "wildcard") {
	case 0, 1, 2, 3:
		host = "*." + host
	case 4:
		host = "*"
	case 5:
		if scheme == "app" {
			host = rapid.SampledFrom([]string{"", ".", ".com", "..com", ".a.com"}).Draw(t, "opaque host")
		}
	}
	if host == "" {
		return mustParse(t, scheme+"://")
	}
	return mustParse(
		t, scheme+"://"+host+rapid.SampledFrom([]string{"", ":*", ":8080", ":[80,443]", ":[443,8080]", ":[80,8080]"}).Draw(t, "ports"),
	)
}

// naiveMatch is what the documentation of patterns says, word by word.
func naiveMatch(p Pattern, o Origin) bool {
	host := o.Host == p.Host || p.Host == "*"
	if p.Subdomains {
		prefix, ok := strings.CutSuffix(o.Host, "."+p.Host)
		host = ok && prefix != ""
	}
	port := o.Port
	if port == 0 {
		port = map[string]uint16{"http": 80, "https": 443}[o.Scheme]
	}
	return p.Scheme == o.Scheme && host && (p.AnyPort || slices.ContainsFunc(p.Ports, func(q uint16) bool {
		if q == 0 {
			q = map[string]uint16{"http": 80, "https": 443}[p.Scheme]
		}
		return q == port
	}))
}

func everyOrigin(each func(Origin)) {
	for _, scheme := range universe.schemes {
		for _, host := range universe.hosts {
			for _, port := range universe.ports {
				o := Origin{scheme, host, port}
				var buf Buffer
				if _, ok := Parse(serialize(o), &buf); ok && o.Serialized() {
					each(o)
				}
			}
		}
	}
}

func TestCovers(t *testing.T) {
	for _, c := range []struct {
		p, q string
		want bool
	}{
		{"https://a.com", "https://a.com", true},
		{"https://a.com", "http://a.com", false},
		{"https://a.com", "https://b.com", false},
		{"https://*.a.com", "https://*.b.com", false},
		{"https://a.com", "https://*.a.com", false},
		{"https://*.a.com", "https://a.com", false},
		{"https://*.a.com", "https://b.a.com", true},
		{"https://*.a.com", "https://*.b.a.com", true},
		{"https://*.b.a.com", "https://*.a.com", false},
		{"https://*.a.com", "https://ba.com", false},
		{"https://a.com:*", "https://a.com", true},
		{"https://a.com", "https://a.com:*", false},
		{"https://a.com:[443,8080]", "https://a.com:8080", true},
		{"https://a.com:[443,8080]", "https://a.com:[8080,8443]", false},
		{"https://*", "https://a.com", true},
		{"https://*", "https://*.a.com", true},
		{"https://*", "https://[::1]", true},
		{"https://*", "https://*", true},
		{"https://*", "https://a.com:8080", false},
		{"https://*", "http://a.com", false},
		{"https://*:*", "https://*.a.com:8080", true},
		{"https://*.com", "https://*", false},
		{"https://a", "https://*", false},
		{"app://*", "app://", true},
		{"app://", "app://*", false},
		{"app://*.a", "app://.a", false},
		{"app://*.a", "app://..a", true},
	} {
		if got := mustParse(t, c.p).Covers(mustParse(t, c.q)); got != c.want {
			t.Errorf("%s covers %s: %v", c.p, c.q, got)
		}
	}
}

func TestCoversAgreesWithBruteForce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, q := drawPattern(t), drawPattern(t)
		want := true
		everyOrigin(func(o Origin) {
			if naiveMatch(q, o) && !naiveMatch(p, o) {
				want = false
			}
		})
		if p.Covers(q) != want {
			t.Fatalf("%s covers %s: %v, want %v", p, q, p.Covers(q), want)
		}
	})
}

func TestParseHostPattern(t *testing.T) {
	const (
		ascii   = "a host is ASCII without spaces"
		noHost  = "not a host"
		star    = `"*" may stand for whole labels at the front of the host only`
		port    = "hosts are compared without the port"
		scheme  = "a host has no scheme"
		example = `write one such as "api.example.com" or "*.example.com"`
	)
	type result struct {
		host  string
		below bool
	}
	for s, want := range map[string]result{
		"api.example.com":    {"api.example.com", false},
		"*.Example.com":      {"example.com", true},
		"localhost":          {"localhost", false},
		"192.0.2.1":          {"192.0.2.1", false},
		"[2001:db8::1]":      {"[2001:db8::1]", false},
		"api.example.com.":   {"api.example.com.", false},
		"my_svc.default.svc": {"my_svc.default.svc", false},
	} {
		host, below, err := ParseHostPattern(s)
		if err != nil || (result{host, below}) != want {
			t.Errorf("ParseHostPattern(%q) = %q, %v, %v; want %+v", s, host, below, err, want)
		}
	}
	for _, row := range [][3]string{
		{"", ascii, example},
		{"a b", ascii, example},
		{"bücher.example", ascii, example},
		{"*", star, example},
		{"api.*.com", star, example},
		{"*.*.com", star, example},
		{"*.192.0.2.1", noHost, example},
		{"*.", noHost, example},
		{"a..b", noHost, example},
		{"api.example.com/v1", noHost, example},
		{"127.1", noHost, example},
		{"2001:db8::1", noHost, example},
		{"api.example.com:8080", port, `write "api.example.com"`},
		{"*.example.com:8080", port, `write "*.example.com"`},
		{"https://api.example.com", scheme, `write "api.example.com"`},
		{"https://api.example.com/v1", scheme, `write "api.example.com"`},
		{"https://*.example.com:8080/v1", scheme, `write "*.example.com"`},
	} {
		host, below, err := ParseHostPattern(row[0])
		if err == nil || host != "" || below || [3]string{err.Value, err.Reason, err.Remedy} != row {
			t.Errorf("ParseHostPattern(%q) = %q, %v, %v; want %q", row[0], host, below, err, row)
		}
	}
}

// Parsing leaves nothing behind but what its strings need, and lists of ports
// stay apart in the memory that they share.
func TestPatternsShareMemory(t *testing.T) {
	var parser PatternParser
	texts := []string{
		"https://example.com", "https://*.example.com:8443", "http://[2001:db8::1]:[81,80,82]", "http://a.example:*", "http://127.0.0.1:3000",
	}
	parse := func() (all []string) {
		var patterns [5]Pattern
		parser.Reset()
		for i, s := range texts {
			p, err := parser.Parse(s)
			if err != nil {
				t.Fatal(err)
			}
			patterns[i] = p
		}
		for _, p := range patterns {
			_ = append(p.Ports, 1) // must not run into the next list
		}
		for _, p := range patterns {
			all = append(all, p.String())
		}
		return all
	}
	want := []string{
		"https://example.com", "https://*.example.com:8443", "http://[2001:db8::1]:[80,81,82]", "http://a.example:*", "http://127.0.0.1:3000",
	}
	for range 2 {
		if got := parse(); !slices.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if n := testing.AllocsPerRun(10, func() {
		parser.Reset()
		for _, s := range texts {
			_, _ = parser.Parse(s)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
