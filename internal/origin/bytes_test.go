package origin

import (
	"strings"
	"testing"
)

// TestEveryByteOfAnOrigin puts each byte into each part of an origin: what may
// stand there is written down here once more, as the standards list it.
func TestEveryByteOfAnOrigin(t *testing.T) {
	const letters, capitals, digits = "abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "0123456789"
	in := func(set string, c byte) bool { return strings.IndexByte(set, c) >= 0 }
	for i := range 256 {
		c := byte(i)
		s := string([]byte{c})
		for _, part := range []struct {
			name, value string
			want        bool
		}{
			{"the first of a scheme", s + "x://a.example", in(letters+capitals, c)},
			{"a scheme", "x" + s + "x://a.example", in(letters+capitals+digits+"+-.", c)},
			{"a host", "https://a" + s + "b.example", in(letters+capitals+digits+"-_.", c)},
			{"the last of a host", "https://a.exampl" + s, in(letters+capitals+digits+"-_.", c)},
			{"a host of another scheme", "app://a" + s + "b.example", in(letters+capitals+digits+"-._~!$&'()+;=%", c)},
			{"the first of a host of another scheme", "app://" + s, in(letters+capitals+digits+"-._~!$&'()+;=%", c)},
			{"behind file://", "file://" + s, false},
			{"the first of a port", "https://a.example:" + s + "0", in(digits, c) && c != '0'},
			{"a port", "https://a.example:8" + s, in(digits, c)},
			{"an address", "https://1.2.3." + s, in(letters+capitals+digits+"-_", c) && c != '.'},
		} {
			var buf Buffer
			o, ok := Parse(part.value, &buf)
			if ok != part.want {
				t.Errorf("%s: %q is an origin: %v", part.name, part.value, ok)
			}
			if lower := strings.ToLower(part.value); ok && !strings.HasPrefix(lower, o.Scheme+"://"+o.Host) {
				t.Errorf("%s: %q has the parts %q, %q", part.name, part.value, o.Scheme, o.Host)
			}
		}
	}
}

// TestHostsThatEndInANumber goes through the last labels that are numbers to a
// browser (URL, section 3.5), and their neighbours.
func TestHostsThatEndInANumber(t *testing.T) {
	for host, want := range map[string]bool{
		"a.0": true, "a.9": true, "a.09": true, "a.0x": true, "a.0x0": true, "a.0xa": true, "a.0xf": true, "a.0x9f": true, "0xa": true,
		"a.0xg": false, "a.0x`": false, "a.0x/": false, "a.0x:": false, "a.xa": false, "a.9a": false, "a.a9": false, "a.": false, "a.0x9.": true,
		"a.9.": true, "": false, ".": false,
	} {
		if got := endsInNumber(host); got != want {
			t.Errorf("endsInNumber(%q) is %v", host, got)
		}
	}
}

func TestNumbersOfAddresses(t *testing.T) {
	for s, want := range map[string]bool{
		"0.0.0.0": true, "255.255.255.255": true, "1.2.3.4": true, "256.0.0.0": false, "0.0.0.256": false, "1.2.3": false, "1.2.3.4.5": false,
		"1.2.3.": false, ".1.2.3": false, "1..2.3": false, "01.2.3.4": false, "1.2.3.00": false, "1.2.3.0000": false, "1.2.3.999": false,
		"1.2.3.1000": false, "a.2.3.4": false, "1.2.3.x": false, "1.2.3.4x": false, "1.2.-3.4": false,
	} {
		if got := canonicalIPv4(s); got != want {
			t.Errorf("canonicalIPv4(%q) is %v", s, got)
		}
	}
	for s, want := range map[string]bool{
		"::": true, "::1": true, "1::": true, "1:2:3:4:5:6:7:8": true, "1:2:3:4:5:6:7:0": true, "0:2:3:4:5:6:7:8": true, "1:2:3:4:5:6:7": false,
		"1:2:3:4:5:6:7:8:9": false, "1::2::3": false,
		"ffff::": true, "fffff::": false, "g::": false, "f::9": true, "1:0:2:3:4:5:6:7": true, "1::2:3:4:5:6:7": false, "1:0:0:2:3:4:5:6": false,
		"1::2:3:4:5:6": true,
		"::1.2.3.4":    false, "::102:304": true, "1:": false, ":1": false, "": false, "::ffff:1.2.3.4": false, "00::": false, "A::": false,
	} {
		if got := canonicalIPv6(s); got != want {
			t.Errorf("canonicalIPv6(%q) is %v", s, got)
		}
	}
	for s, want := range map[string]string{
		"::1.2.3.4": "::102:304", "1:2:3:4:5:6:1.2.3.4": "1:2:3:4:5:6:102:304", "0:0:0:0:0:0:0:0": "::", "1:0:0:2:0:0:0:3": "1:0:0:2::3",
		"1:0:0:2:0:0:3:4": "1::2:0:0:3:4", "0:0:1::": "0:0:1::",
	} {
		pieces, ok := parseIPv6(s)
		if got := string(appendIPv6(nil, pieces)); !ok || got != want {
			t.Errorf("%q is %q, %v, want %q", s, got, ok, want)
		}
	}
	for _, s := range []string{"1:2:3:4:5:6:7:8:", "1::2:", "1:2:3:4:5:6:7:1.2.3.4", "::1.2.3.256", "::1.2.3", "1.2.3.4", "::1.2.3.4:5"} {
		if _, ok := parseIPv6(s); ok {
			t.Errorf("%q is an address", s)
		}
	}
}

// TestIsComparesEveryLetter changes one letter of a scheme or a host.
func TestIsComparesEveryLetter(t *testing.T) {
	o := Origin{Scheme: "https", Host: "shop.example"}
	for _, part := range []string{o.Scheme, o.Host} {
		for i := range part {
			scheme, host := o.Scheme, o.Host
			changed := part[:i] + "!" + part[i+1:]
			if part == o.Scheme {
				scheme = changed
			} else {
				host = changed
			}
			if o.Is(scheme, host) {
				t.Errorf("%v is at %s and %s", o, scheme, host)
			}
		}
	}
	if !o.Is("HTTPS", "SHOP.EXAMPLE:443") || o.Is("https", "shop.example:444") || o.Is("https", "shop.example:") ||
		o.Is("https", "shop.example:x") {
		t.Error("ports and cases")
	}
	if z := (Origin{Scheme: "z", Host: "z[.a@"}); !z.Is("Z", "Z[.A@") || z.Is("z", "z{.a@") || z.Is("z", "z[.a`") {
		t.Error("the letters at the ends, and their neighbours")
	}
}

func TestSplittingPorts(t *testing.T) {
	for s, want := range map[string][2]string{
		"a:1":     {"a", "1"},
		"a":       {"a", ""},
		"[::1]":   {"[::1]", ""},
		"[::1]:2": {"[::1]", "2"},
		"a:":      {"a", ""},
		":1":      {"", "1"},
	} {
		host, port, has := SplitPort(s)
		if host != want[0] || port != want[1] || has != (s != "a" && s != "[::1]") {
			t.Errorf("%q is %q and %q, %v", s, host, port, has)
		}
	}
}

func TestRoom(t *testing.T) {
	if r := Room[int](nil, 0); len(r) != 0 || cap(r) != 0 {
		t.Errorf("for none: %d of %d", len(r), cap(r))
	}
	if r := Room[int](nil, 100); len(r) != 0 || cap(r) < 100 || cap(r) >= 125 {
		t.Errorf("the first: %d of %d", len(r), cap(r))
	}
	old := make([]int, 7, 100)
	for _, n := range []int{0, 99, 100} {
		if r := Room(old, n); len(r) != 0 || &r[:1][0] != &old[0] {
			t.Errorf("%d: not in the memory of the old one", n)
		}
	}
	if r := Room(old, 104); len(r) != 0 || cap(r) < 104+26 {
		t.Errorf("grown: %d of %d", len(r), cap(r))
	}
}

// TestWhatIsWrongWithAPattern has mistakes at the very beginning of a part, where
// they are as wrong as elsewhere.
func TestWhatIsWrongWithAPattern(t *testing.T) {
	for pattern, want := range map[string]string{
		"https://@example.com": "an origin has no user info",
		"https://a..1":         "browsers write an IPv4 address as four decimal numbers",
		"https://a.1":          "browsers write an IPv4 address as four decimal numbers",
	} {
		_, err := ParsePattern(pattern)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", pattern, err, want)
		}
	}
}
