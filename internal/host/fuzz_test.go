package host

import (
	"slices"
	"strings"
	"testing"
)

// FuzzHeaderMap changes a header map and a list of lines that is kept by the
// book, and takes any bytes for a serialized map.
func FuzzHeaderMap(f *testing.F) {
	f.Add([]byte("a+vary=x;a+vary=y;r+x-a=1;a+X-A=2;d+vary"))
	f.Add([]byte("a+:method=GET;a+vary=x;a+vary=y;a+origin=1;a+origin=2;a+host=3"))
	f.Add([]byte("a+:status=200;a+vary=x;a+vary=y;a+origin=1;a+origin=2;d+:status;a+vary=z;a+origin=3"))
	f.Add([]byte("\x01\x00\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00a\x00b\x00"))
	f.Add([]byte("\xff\xff\xff\xff\x01\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, text []byte) {
		h := NewHeaderMap()
		var want [][2]string
		for _, step := range strings.Split(string(text), ";") {
			op, pair, _ := strings.Cut(step, "+")
			name, value, _ := strings.Cut(pair, "=")
			lower := strings.ToLower(name)
			k := requests | responses
			if slices.ContainsFunc(want, func(e [2]string) bool { return e[0] == ":status" }) {
				k = responses
			} else if slices.ContainsFunc(want, func(e [2]string) bool { return e[0] == ":method" }) {
				k = requests
			}
			if lower == "host" && k == requests {
				lower = ":authority"
			}
			keep := slices.DeleteFunc(slices.Clone(want), func(e [2]string) bool { return e[0] == lower })
			at := slices.IndexFunc(want, func(e [2]string) bool { return e[0] == lower })
			switch op {
			case "a":
				h.Add(name, value)
				switch {
				case at < 0 || inline[lower]&k == 0:
					want = append(want, [2]string{lower, value})
				case want[at][1] == "":
					want[at][1] = value
				default:
					want[at][1] += "," + value
				}
			case "r":
				h.Replace(name, value)
				want = append(keep, [2]string{lower, value})
			case "d":
				h.Remove(name)
				want = keep
			}
			if !slices.Equal(h.pairs, want) {
				t.Fatalf("after %q: %q, want %q", step, h.pairs, want)
			}
			if got, ok := h.Get(lower); ok != slices.ContainsFunc(want, func(e [2]string) bool { return e[0] == lower }) || ok &&
				got != h.Values(lower)[0] {
				t.Fatalf("Get(%q) is %q, %v", lower, got, ok)
			}
		}
		if back := parsePairs(appendPairs(nil, h)); len(h.pairs) <= maxPairs && len(text) < maxPairsSize/2 && !slices.Equal(back.pairs, h.pairs) {
			t.Fatalf("%q came back as %q", h.pairs, back.pairs)
		}
		// What is read of any bytes is what they say: put together again, they are
		// the same.
		if got := parsePairs(text); got.Len() > 0 && got.Len() == int(text[0]) &&
			string(appendPairs(nil, got)) != strings.ToLower(string(text)) && !slices.ContainsFunc(
			text, func(c byte) bool { return c >= 'A' && c <= 'Z' || c >= 0x80 },
		) {
			t.Fatalf("%q was read as %q", text, got.pairs)
		}
	})
}
