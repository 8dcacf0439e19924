package origin

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// parse is Parse with a buffer of its own; rejected strings give the zero Origin.
func parse(s string) (Origin, bool) {
	var buf Buffer
	o, ok := Parse(s, &buf)
	o.Scheme, o.Host = strings.Clone(o.Scheme), strings.Clone(o.Host)
	return o, ok
}

func TestParse(t *testing.T) {
	label63 := strings.Repeat("a", 63)
	for _, group := range []struct {
		name    string
		accepts map[string]Origin
		rejects []string
	}{
		{
			name: "origins as browsers serialize them",
			accepts: map[string]Origin{
				"https://example.com":             {"https", "example.com", 0},
				"http://localhost:3000":           {"http", "localhost", 3000},
				"https://xn--bcher-kva.example":   {"https", "xn--bcher-kva.example", 0},
				"https://a_b.example-1.com":       {"https", "a_b.example-1.com", 0},
				"https://192.0.2.1:8443":          {"https", "192.0.2.1", 8443},
				"https://[2001:db8::1]":           {"https", "[2001:db8::1]", 0},
				"http://[::1]:65535":              {"http", "[::1]", 65535},
				"https://a:1":                     {"https", "a", 1},
				"https://" + label63 + ".example": {"https", label63 + ".example", 0},
				"https://0x7f.example":            {"https", "0x7f.example", 0},
				"https://1.example":               {"https", "1.example", 0},
			},
		},
		{
			// A fully qualified name is an origin of its own, in browsers as well.
			name:    "one dot at the end",
			accepts: map[string]Origin{"https://example.com.": {"https", "example.com.", 0}},
			rejects: []string{"https://example.com..", "https://.", "https://..", "https://192.0.2.1."},
		},
		{
			name: "schemes of apps and extensions",
			accepts: map[string]Origin{
				"chrome-extension://abcdefghijklmnop":                    {"chrome-extension", "abcdefghijklmnop", 0},
				"moz-extension://d3a2d8ba-7c2b-4b1c-9a30-0123456789ab":   {"moz-extension", "d3a2d8ba-7c2b-4b1c-9a30-0123456789ab", 0},
				"capacitor://localhost":                                  {"capacitor", "localhost", 0},
				"x+y.z-1://a~b:80":                                       {"x+y.z-1", "a~b", 80},
				"safari-web-extension://E0E1E2E3-1111-2222-3333-4444444": {"safari-web-extension", "e0e1e2e3-1111-2222-3333-4444444", 0},
				"app://1.2.3": {"app", "1.2.3", 0},
			},
			rejects: []string{"://a", "1a://a", "-a://a", "a_b://a", "a b://a", "app://a/b"},
		},
		{
			// Their hosts are opaque to the URL standard: no names, and perhaps empty.
			name: "hosts of other schemes that no name of the DNS has",
			accepts: map[string]Origin{
				"app://.": {"app", ".", 0}, "app://a..b": {"app", "a..b", 0}, "app://.a": {"app", ".a", 0}, "app://.:80": {"app", ".", 80},
				"qrc://": {"qrc", "", 0}, "capacitor://": {"capacitor", "", 0}, "app://1": {"app", "1", 0}, "app://0x7f.1": {"app", "0x7f.1", 0},
				"app://My_App~1!": {"app", "my_app~1!", 0}, "app://%C3%BC": {"app", "%c3%bc", 0}, "APP://A$&'()+;=%b": {"app", "a$&'()+;=%b", 0},
			},
			rejects: []string{
				"app://a,b", "app://,", "qrc://,qrc://", "app://*", "app://*.a", "app://a*", "app://a b", "app://a@b", "app://a:b", "app://a:b:1",
				"app://a?b", "app://a#b", "app://a\\b", "app:///", "qrc:///a",
				"app://<a>", "app://a^b", "app://a|b", "app://a\"b", "app://a`b", "app://{a}", "app://a]", "app://[a]", "app://[::1", "app://[::01]",
				"app://ü", "app://a\x00", "app://a\x7f", "app://a\r\nb", "app:", "app:/", "app:a", "app",
				"app://:80", "qrc://:1", "app://:",
			},
		},
		{
			name:    "files, which all have one",
			accepts: map[string]Origin{"file://": {"file", "", 0}, "FILE://": {"file", "", 0}, "files://a": {"files", "a", 0}},
			rejects: []string{
				"file:", "file:///", "file:///a.html", "file://localhost", "file://.", "file://[::1]", "file://*", "file://:80", "file://, null",
				"file://,file://",
			},
		},
		{
			name: "upper case is lowered",
			accepts: map[string]Origin{
				"HTTPS://EXAMPLE.COM":   {"https", "example.com", 0},
				"https://exAmple.com:1": {"https", "example.com", 1},
				"http://[2001:DB8::A]":  {"http", "[2001:db8::a]", 0},
			},
		},
		{
			name: "a default port spelled out is read, and told by Serialized",
			accepts: map[string]Origin{
				"https://example.com:443": {"https", "example.com", 443},
				"http://example.com:80":   {"http", "example.com", 80},
			},
		},
		{
			name: "no tuple origin",
			rejects: []string{
				"", "null", "NULL", "*", "example.com", "//example.com", "https:example.com", "https:/example.com", "https", "https:", "https://",
				"https:///", "about:blank", "data:text/html,x", "blob:https://example.com",
			},
		},
		{
			// An intermediary may join two header lines; a page cannot.
			name: "two values",
			rejects: []string{
				"https://example.com https://evil.example", "https://example.com,https://evil.example", "https://example.com, https://evil.example",
				"https://example.com,", ",https://example.com", "https://example.com;https://evil.example", "null null", "null, https://example.com",
			},
		},
		{
			name: "parts of a URL that an origin lacks",
			rejects: []string{
				"https://example.com/", "https://example.com/path", "https://example.com//", "https://example.com?q", "https://example.com#f",
				"https://example.com\\", "https://example.com\\@evil.example", "https://example.com:443/",
				"https://user@example.com", "https://user:pw@example.com", "https://example.com@evil.example", "https://@example.com",
			},
		},
		{
			name: "white space and control characters",
			rejects: []string{
				" https://example.com", "https://example.com ", "https://exam ple.com", "\thttps://example.com", "https://example.com\t",
				"https://example.com\r\n", "https://example.com\r\nset-cookie: a=b", "https://example.com\n", "https://example.com\x00", "\x00",
				"https://example.com\x00.evil.example", "https://exa\x7fmple.com", "https://example.com\x1f", "https://example.com:80 ",
				"https://\u200bexample.com",
			},
		},
		{
			// Chromium sends the Unicode host of no page; a look-alike must not
			// pass for its ASCII form.
			name: "letters beyond ASCII and escapes",
			rejects: []string{
				"https://exämple.com", "https://example。com", "https://example\u2024com", "https://ⓔxample.com", "https://example.com\xff",
				"https://\xc3", "https://%65xample.com", "https://example%2ecom", "https://example.com%00",
			},
		},
		{
			name: "characters that no host name has",
			rejects: []string{
				"https://*.example.com", "https://*", "https://exam!ple.com", "https://exa$mple.com", "https://exa'mple.com", "https://(example).com",
				"https://exa+mple.com", "https://exa=mple.com", "https://exa|mple.com", "https://exa~mple.com", "https://exa\"mple.com",
				"https://<example>.com", "https://exa^mple.com", "https://exa`mple.com", "https://{example}.com",
			},
		},
		{
			name:    "empty labels",
			rejects: []string{"https://.example.com", "https://example..com", "https://.", "https://a..", "https://.:80"},
		},
		{
			// A browser writes all of these as four decimal numbers (URL, section
			// 3.5), so that they come from something else.
			name: "forms of IPv4 addresses that browsers never serialize",
			rejects: []string{
				"https://1.2.3", "https://1", "https://2130706433", "https://1.2.3.4.5", "https://01.2.3.4", "https://1.2.3.04", "https://1.2.3.256",
				"https://0x7f.0.0.1", "https://0x7f000001", "https://127.1", "https://1.2.3.0x4", "https://example.1", "https://example.0x1",
				"https://1.2.3.0x", "https://00.0.0.0", "https://1..2.3", "https://.1.2.3.4", "https://999.1.1.1",
			},
			accepts: map[string]Origin{
				"https://0.0.0.0":        {"https", "0.0.0.0", 0},
				"http://255.255.255.255": {"http", "255.255.255.255", 0},
				"https://1.2.3.4g":       {"https", "1.2.3.4g", 0},
				"https://a.0xg":          {"https", "a.0xg", 0},
			},
		},
		{
			name: "IPv6 addresses that are not canonical, or none",
			rejects: []string{
				"https://::1", "https://[::1", "https://::1]", "https://[]", "https://[:]", "https://[:::]", "https://[1:2:3:4:5:6:7]",
				"https://[1:2:3:4:5:6:7:8:9]",
				"https://[0:0:0:0:0:0:0:1]", "https://[::0:1]", "https://[2001:db8::0001]", "https://[2001:db8::1:0:0:0]", "https://[1:0:0:0:2::]",
				"https://[1:2:3:4:5:6:7::]", "https://[::2:3:4:5:6:7:8]",
				"https://[::1.2.3.4]", "https://[::ffff:192.0.2.1]", "https://[fe80::1%eth0]", "https://[fe80::1%25eth0]", "https://[::g]",
				"https://[12345::]", "https://[1::2::3]", "https://[::1]x", "https://x[::1]", "https://[::1].example", "https://[v1.a]",
				"https://[[::1]]", "https://[::1]]",
			},
			accepts: map[string]Origin{
				"https://[::]":                  {"https", "[::]", 0},
				"https://[1:2:3:4:5:6:7:8]":     {"https", "[1:2:3:4:5:6:7:8]", 0},
				"https://[::ffff:c000:201]":     {"https", "[::ffff:c000:201]", 0},
				"https://[1:0:0:2::3]":          {"https", "[1:0:0:2::3]", 0},
				"https://[1:0:2:3:4:5:6:0]":     {"https", "[1:0:2:3:4:5:6:0]", 0},
				"https://[2001:db8::1:0:0:1]":   {"https", "[2001:db8::1:0:0:1]", 0},
				"capacitor://[2001:db8::]:8080": {"capacitor", "[2001:db8::]", 8080},
			},
		},
		{
			name: "ports",
			accepts: map[string]Origin{
				"https://a:9": {"https", "a", 9}, "https://a:65535": {"https", "a", 65535},
			},
			rejects: []string{
				"https://a:", "https://a:0", "https://a:00", "https://a:080", "https://a:0443", "https://a:65536", "https://a:99999",
				"https://a:100000", "https://a:18446744073709551617",
				"https://a:-1", "https://a:+80", "https://a:8o", "https://a:80:80", "https://a::80", "https://a:0x50", "https://a:*", "https://a:[80]",
				"https://:80", "https://a:８０",
			},
		},
	} {
		t.Run(group.name, func(t *testing.T) {
			for s, want := range group.accepts {
				if o, ok := parse(s); o != want || !ok {
					t.Errorf("Parse(%q) = %+v, %v; want %+v", s, o, ok, want)
				}
			}
			for _, s := range group.rejects {
				if o, ok := parse(s); ok || o != (Origin{}) {
					t.Errorf("Parse(%q) = %+v, %v; want it refused", s, o, ok)
				}
			}
		})
	}
}

func TestParseIsBounded(t *testing.T) {
	const scheme, tail = "https://", ".example"
	host := func(n int) string { return strings.Repeat("a", n-len(scheme)-len(tail)) + tail }
	if o, ok := parse(scheme + host(MaxLen)); !ok || o.Host != host(MaxLen) {
		t.Errorf("an origin of %d bytes is refused", MaxLen)
	}
	if o, ok := parse(strings.ToUpper(scheme + host(MaxLen))); !ok || o != (Origin{"https", host(MaxLen), 0}) {
		t.Errorf("an upper-case origin of %d bytes is refused", MaxLen)
	}
	if _, ok := parse(scheme + host(MaxLen+1)); ok {
		t.Errorf("an origin of %d bytes is accepted", MaxLen+1)
	}
	if MaxLen != 512 {
		t.Errorf("MaxLen is %d", MaxLen)
	}
}

func TestSerialized(t *testing.T) {
	for s, want := range map[string]bool{
		"https://a": true, "https://a:444": true, "http://a:443": true, "https://a:80": true, "app://a:443": true, "app://a:80": true,
		"https://a:443": false, "http://a:80": false,
	} {
		o, ok := parse(s)
		if !ok || o.Serialized() != want {
			t.Errorf("%q: Serialized() = %v, want %v", s, o.Serialized(), want)
		}
	}
}

func TestIs(t *testing.T) {
	type at struct{ scheme, authority string }
	for _, c := range []struct {
		name   string
		origin string
		same   []at
		other  []at
	}{
		{
			"default ports may be spelled out on either side", "https://example.com",
			[]at{{"https", "example.com"}, {"https", "example.com:443"}, {"HTTPS", "EXAMPLE.com"}},
			[]at{
				{"http", "example.com"}, {"https", "example.com:80"}, {"https", "example.com:8443"}, {"http", "example.com:443"},
				{"", "example.com"}, {"https", ""}, {"", ""},
			},
		},
		{
			"a spelled-out port of the origin is the default port", "https://example.com:443",
			[]at{{"https", "example.com"}, {"https", "example.com:443"}},
			[]at{{"http", "example.com"}, {"http", "example.com:443"}},
		},
		{
			"other ports must be equal", "http://example.com:8080",
			[]at{{"http", "example.com:8080"}},
			[]at{
				{"http", "example.com"}, {"http", "example.com:80"}, {"http", "example.com:808"}, {"https", "example.com:8080"},
				{"http", "example.com:08080"},
			},
		},
		{
			"an IPv6 host keeps its brackets", "https://[2001:db8::1]",
			[]at{{"https", "[2001:db8::1]"}, {"https", "[2001:DB8::1]:443"}},
			[]at{{"https", "2001:db8::1"}, {"https", "[2001:db8::1]:80"}, {"https", "[2001:db8::2]"}},
		},
		{
			"hosts are equal as a whole", "https://example.com",
			nil,
			[]at{
				{"https", "www.example.com"}, {"https", "example.com."}, {"https", "example.co"}, {"https", "example.com:"},
				{"https", "example.com:0"}, {"https", "example.com:65979"}, {"https", "user@example.com"}, {"https", "example.com, example.com"},
				{"https,http", "example.com"},
			},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			o, ok := parse(c.origin)
			if !ok {
				t.Fatalf("%q is refused", c.origin)
			}
			for _, a := range c.same {
				if !o.Is(a.scheme, a.authority) {
					t.Errorf("%q is not %q at %q", c.origin, a.scheme, a.authority)
				}
			}
			for _, a := range c.other {
				if o.Is(a.scheme, a.authority) {
					t.Errorf("%q is %q at %q", c.origin, a.scheme, a.authority)
				}
			}
		})
	}
}

// canonical is what browsers write, by net/netip. That package writes the IPv4
// part of mapped addresses as a dotted quad, the URL standard does not.
func canonical(s string) (string, bool) {
	a, err := netip.ParseAddr(s)
	if err != nil || !a.Is6() || a.Zone() != "" {
		return "", false
	}
	if a.Is4In6() {
		b := a.As16()
		return fmt.Sprintf("::ffff:%x:%x", uint16(b[12])<<8|uint16(b[13]), uint16(b[14])<<8|uint16(b[15])), true
	}
	return a.String(), true
}

func compareIPv6(t interface{ Fatalf(string, ...any) }, s string) {
	want, valid := canonical(s)
	pieces, ok := parseIPv6(s)
	if ok != valid {
		t.Fatalf("parseIPv6(%q): %v, net/netip says %v", s, ok, valid)
	}
	if ok && string(appendIPv6(nil, pieces)) != want {
		t.Fatalf("%q is written as %q, want %q", s, appendIPv6(nil, pieces), want)
	}
	if canonicalIPv6(s) != (valid && s == want) {
		t.Fatalf("canonicalIPv6(%q) = %v, want %q", s, canonicalIPv6(s), want)
	}
}

func TestIPv6AgreesWithNetip(t *testing.T) {
	for _, s := range []string{
		"", ":", "::", ":::", "1::", "::1", "1.2.3.4", "1.2.3.4::", "1::1.2.3.4::", "::1.2.3.4", "1:2:3:4:5:6:1.2.3.4",
		"1:2:3:4:5:6:7:1.2.3.4", "::ffff:1.2.3.4", "1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:", ":1:2:3:4:5:6:7", "::1:2:3:4:5:6:7:8", "1::2::3",
		"00001::", "::1.2.3", "::1.2.3.04",
	} {
		compareIPv6(t, s)
	}
	rapid.Check(t, func(t *rapid.T) {
		group := rapid.SampledFrom([]string{"0", "0", "0", "1", "a", "ffff", "10", "0001", "", "00", "12345", "1.2.3.4", "g"})
		s := strings.Join(rapid.SliceOfN(group, 0, 9).Draw(t, "groups"), ":")
		compareIPv6(t, s)
	})
	rapid.Check(t, func(t *rapid.T) {
		var b [16]byte
		for i := range b {
			b[i] = rapid.SampledFrom([]byte{0, 0, 0, 1, 0xff}).Draw(t, "byte")
		}
		want, _ := canonical(netip.AddrFrom16(b).StringExpanded())
		if !canonicalIPv6(want) {
			t.Fatalf("%q is not taken for canonical", want)
		}
		compareIPv6(t, netip.AddrFrom16(b).StringExpanded())
	})
}

func TestIPv4AgreesWithNetip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		part := rapid.SampledFrom([]string{"0", "1", "9", "10", "255", "256", "00", "01", "", "1000", "a", "0x1"})
		s := strings.Join(rapid.SliceOfN(part, 1, 5).Draw(t, "parts"), ".")
		a, err := netip.ParseAddr(s)
		if want := err == nil && a.Is4(); canonicalIPv4(s) != want {
			t.Fatalf("canonicalIPv4(%q) = %v", s, !want)
		}
	})
}

// plain reports whether a name is one that PlainHost is to take: no label is empty,
// and the last one is no number, as far as its first byte tells.
func plain(host string) bool {
	labels := strings.Split(host, ".")
	for _, l := range labels {
		if l == "" || strings.Trim(l, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			return false
		}
	}
	return !isDigit(labels[len(labels)-1][0])
}

func TestPlainOriginsAreThoseOfAnyForm(t *testing.T) {
	var buf Buffer
	compare := func(t interface{ Fatalf(string, ...any) }, s string) {
		at := PlainHost(s)
		scheme, host, _ := strings.Cut(s, "://")
		if want := plain(host) && (scheme == "https" || scheme == "http") && len(s) >= len("https://")+8 && len(s) <= MaxLen; at > 0 != want {
			t.Fatalf("PlainHost(%q) = %v", s, at)
		}
		if at == 0 {
			return
		}
		o := Origin{Scheme: s[:at-len("://")], Host: s[at:]}
		if again, taken := ParseAny(s, &buf); !taken || o != again {
			t.Fatalf("PlainHost(%q) = %d: %+v; in any form %+v, %v", s, at, o, again, taken)
		}
	}
	// Every byte in every place of a word and of what is left behind it.
	for _, host := range []string{"abcdefgh.com", "example.com", "abcdefghijkl.example.org", "abcdefghi"} {
		for i := range len(host) {
			for c := range 256 {
				compare(t, "https://"+host[:i]+string([]byte{byte(c)})+host[i+1:])
			}
		}
	}
	// Every length around a word and what is left behind it, and schemes that differ in
	// one byte.
	for _, scheme := range []string{"https://", "http://"} {
		for n := range 34 {
			host := strings.Repeat("a", n)
			compare(t, scheme+host)
			compare(t, scheme+host+".")
			for i := range len(scheme) {
				for _, by := range []byte{1, 0x20, 0xff} {
					compare(t, scheme[:i]+string([]byte{scheme[i] + by})+scheme[i+1:]+host)
				}
			}
		}
	}
	for _, n := range []int{MaxLen, MaxLen + 1} {
		compare(t, "https://"+strings.Repeat("a", n-len("https://")))
	}
	rapid.Check(t, func(t *rapid.T) {
		part := rapid.SampledFrom(
			[]string{".", "..", "a", "z", "0", "9", "-", "example", "com", "1", "A", "_", "~", ":", "/", "`", "{", "\x80", "\xae", "\xe1"},
		)
		compare(t, rapid.SampledFrom([]string{"https://", "http://", "ftp://", "httpx://", "https:/", "http:///"}).Draw(t, "scheme")+
			strings.Join(rapid.SliceOfN(part, 1, 12).Draw(t, "parts"), ""))
	})
}

// serialize writes an origin with its port, the default one too.
func serialize(o Origin) string {
	s := o.Scheme + "://" + o.Host
	if o.Port != 0 {
		s += fmt.Sprintf(":%d", o.Port)
	}
	return s
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"https://example.com", "HTTP://A:80", "https://[::1]:8080", "https://1.2.3.4", "null", "a://b", "app://.", "file://", "qrc://:1",
		"app://A~!%", "https://a.", "https://a,https://b", "https://\x00",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		o, ok := parse(s)
		if !ok {
			return
		}
		// What is accepted has no room for anything but scheme, host and port.
		again := serialize(o)
		if again != strings.ToLower(s) || len(s) > MaxLen ||
			strings.ContainsAny(strings.TrimPrefix(again, o.Scheme+"://"), " \t\r\n\x00/?#@,*\\") {
			t.Fatalf("Parse(%q) = %+v, which is written %q", s, o, again)
		}
		if !o.Is(o.Scheme, strings.TrimPrefix(again, o.Scheme+"://")) {
			t.Fatalf("%q is not the same origin as itself", s)
		}
	})
}

func TestParseAndLookUpDoNotAllocate(t *testing.T) {
	set := NewSet([]Pattern{
		mustParse(t, "https://*.example.com"), mustParse(t, "http://localhost:*"), mustParse(t, "https://[2001:db8::1]:[80,8080]"),
		mustParse(t, "app://*"),
	})
	for s, want := range map[string]bool{
		"https://a.b.example.com":                              true,
		"HTTPS://A.B.EXAMPLE.COM":                              true,
		"http://localhost:3000":                                true,
		"https://[2001:db8::1]:8080":                           true,
		"https://evil.example":                                 false,
		"https://" + strings.Repeat("a.", 240) + "example.com": true,
		"https://example.com, null":                            false,
		"app://My_App~1!":                                      true,
		"APP://.":                                              true,
		"moz-extension://d3a2d8ba-7c2b-4b1c-9a30-0123456789ab": false,
	} {
		var buf Buffer
		has := func() bool {
			o, ok := Parse(s, &buf)
			return ok && set.Has(o.Scheme, o.Host, o.Port)
		}
		if has() != want {
			t.Fatalf("%.60q: %v", s, !want)
		}
		if n := testing.AllocsPerRun(100, func() { has() }); n != 0 {
			t.Errorf("%.60q: %v allocations", s, n)
		}
	}
}
