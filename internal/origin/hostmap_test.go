package origin

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// found is what a search finds.
func found(hosts *HostMap, scheme, host string) (all []int) {
	i, at := hosts.First(scheme, host)
	for ; i >= 0; i, at = hosts.Next(scheme, host, at) {
		all = append(all, i)
	}
	if i, _ = hosts.Next(scheme, host, at); i >= 0 {
		all = append(all, -1) // it goes on behind its end
	}
	return all
}

func TestHostMap(t *testing.T) {
	var hosts HostMap
	if all := found(&hosts, "", "a.com"); all != nil {
		t.Errorf("the zero map has %d", all)
	}
	const comBelow, a, aBelow, ba, six, x = 0, 1, 2, 3, 4, 5
	for want, e := range []struct {
		host  string
		below bool
	}{
		{"com", true}, {"a.com", false}, {"a.com", true}, {"b.a.com", false}, {"[::1]", false}, {"x", false},
	} {
		for range 2 {
			if got := hosts.Index("", e.host, e.below); got != want {
				t.Errorf("Index(%q, %v) = %d, want %d", e.host, e.below, got, want)
			}
		}
	}
	if hosts.Len() != 6 {
		t.Errorf("Len() = %d", hosts.Len())
	}
	for host, want := range map[string][]int{
		"com":       nil,
		"a.com":     {comBelow, a},
		"b.a.com":   {comBelow, aBelow, ba},
		"c.b.a.com": {comBelow, aBelow},
		"ba.com":    {comBelow},
		"a.com.":    nil,
		"":          nil,
		"[::1]":     {six},
		"x":         {x},
		"y.x":       nil,
	} {
		if got := found(&hosts, "", host); !slices.Equal(got, want) {
			t.Errorf("for %q: %d, want %d", host, got, want)
		}
		if got := found(&hosts, "https", host); got != nil {
			t.Errorf("for %q of another scheme: %d", host, got)
		}
	}
}

// Empty labels are in opaque hosts, and in what a request says of its host. A wildcard
// stands for something in front of the dot.
func TestHostMapWithEmptyLabels(t *testing.T) {
	var hosts HostMap
	for _, name := range []string{"", "com", ".com", "..com"} {
		hosts.Index("", name, true)
	}
	hosts.Index("", ".com", false)
	const below, belowCom, belowDotCom, belowDotsCom, dotCom = 0, 1, 2, 3, 4
	for host, want := range map[string][]int{
		"a.":      {below},
		"a..":     {below},
		".":       nil,
		".com":    {dotCom},
		"..com":   {belowCom},
		"...com":  {belowCom, belowDotCom},
		"a.com":   {belowCom},
		"a..com":  {belowCom, belowDotCom},
		"a...com": {belowCom, belowDotCom, belowDotsCom},
		"":        nil,
		"com":     nil,
		"a":       nil,
	} {
		if got := found(&hosts, "", host); !slices.Equal(got, want) {
			t.Errorf("for %q: %d, want %d", host, got, want)
		}
	}
}

func TestHostMapAgreesWithAList(t *testing.T) {
	type entry struct {
		scheme, host string
		below        bool
	}
	scheme := rapid.SampledFrom([]string{"", "a", "b"})
	host := rapid.Custom(func(t *rapid.T) string {
		return strings.Join(
			rapid.SliceOfN(
				rapid.SampledFrom([]string{"", "a", "b", "ab", "ba", "com", "example", "examples", "an-example", strings.Repeat("l", 30)}), 1, 5,
			).Draw(t, "labels"),
			".",
		)
	})
	rapid.Check(t, func(t *rapid.T) {
		var hosts HostMap
		for range 2 { // the second time in the memory of the first
			entries := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) entry {
				return entry{scheme.Draw(t, "scheme"), host.Draw(t, "host"), rapid.Bool().Draw(t, "below")}
			}), 0, 30).Draw(t, "entries")
			hosts.Reset(rapid.IntRange(0, 30).Draw(t, "room"), rapid.IntRange(0, 300).Draw(t, "bytes"))
			var values []entry
			for _, e := range entries {
				i := hosts.Index(e.scheme, e.host, e.below)
				if i == len(values) {
					values = append(values, e)
				}
				if values[i] != e {
					t.Fatalf("Index(%+v) is that of %+v", e, values[i])
				}
			}
			s, h := scheme.Draw(t, "scheme searched"), host.Draw(t, "host searched")
			var want []entry
			for _, e := range entries {
				if e.scheme == s && (!e.below && e.host == h || e.below && strings.HasSuffix(h, "."+e.host) && h != "."+e.host) &&
					!slices.Contains(want, e) {
					want = append(want, e)
				}
			}
			slices.SortFunc(want, func(a, b entry) int { // from the widest to the host itself
				if a.below != b.below {
					return map[bool]int{true: -1, false: 1}[a.below]
				}
				return len(a.host) - len(b.host)
			})
			var got []entry
			for _, i := range found(&hosts, s, h) {
				got = append(got, values[i])
			}
			if !slices.Equal(got, want) {
				t.Fatalf("values for %q %q: %v, want %v", s, h, got, want)
			}
		}
	})
}

// The lengths of the names below which all hosts are in it share one word.
func TestNamesOfEveryLengthAreFoundBelow(t *testing.T) {
	for n := 1; n < 130; n++ {
		var hosts HostMap
		name := strings.Repeat("n", n)
		hosts.Index("https", name, true)
		for host, want := range map[string][]int{
			"a." + name:      {0},
			"a.b." + name:    {0},
			name:             nil,
			"a.n" + name:     nil,
			"a." + name[1:]:  nil,
			"a.m" + name[1:]: nil,
		} {
			if got := found(&hosts, "https", host); !slices.Equal(got, want) {
				t.Errorf("below a name of %d bytes: %d for %q, want %d", n, got, host, want)
			}
		}
	}
}

func TestLastDot(t *testing.T) {
	for n := range 40 {
		// '/' and 0xae differ from a dot by one bit, and a byte behind a dot must not count.
		for _, other := range []string{"a", "/", "-", "\xae", "\x00", "\xff"} {
			s := strings.Repeat(other, n)
			if got := lastDot(s); got != -1 {
				t.Errorf("lastDot(%q) = %d", s, got)
			}
			for i := range n {
				one := s[:i] + "." + s[i+1:]
				two := "." + one[min(1, i):]
				for _, s := range []string{one, two} {
					if got, want := lastDot(s), strings.LastIndexByte(s, '.'); got != want {
						t.Errorf("lastDot(%q) = %d, want %d", s, got, want)
					}
				}
			}
		}
	}
}

// TestHashesTellHostsApart has hosts that differ in one byte, in each place of each
// length: if it did not count, all of them would meet in one slot.
func TestHashesTellHostsApart(t *testing.T) {
	for n := 1; n < 40; n++ {
		for i := range n {
			seen := map[uint32]bool{}
			for c := byte('a'); c <= 'z'; c++ {
				host := strings.Repeat("h", i) + string(c) + strings.Repeat("h", n-i-1)
				seen[hashOf("https").addAll(host).sum(false)%1024] = true
			}
			if len(seen) < 10 { // 19 of them are seen now and then, as the seed is
				t.Errorf("26 hosts that differ in byte %d of %d have %d places of 1,024", i, n, len(seen))
			}
		}
	}
}

// Among so many hosts some have the same hash.
func TestHostsOfTheSameHashStayApart(t *testing.T) {
	first := map[uint32]string{}
	var same [][2]string
	for i := 0; len(same) < 3; i++ {
		host := fmt.Sprintf("h%d", i)
		h := hashOf("").addAll(host)
		if other, again := first[h.sum(false)]; again {
			same = append(same, [2]string{other, host})
		}
		first[h.sum(false)] = host
	}
	for _, pair := range same {
		var hosts HostMap
		hosts.Index("", pair[0], false)
		if all := found(&hosts, "", pair[1]); all != nil {
			t.Errorf("%q is found for %q", pair[0], pair[1])
		}
		hosts.Index("", pair[1], false)
		for i, host := range pair {
			if got := found(&hosts, "", host); !slices.Equal(got, []int{i}) {
				t.Errorf("another host is found for %q", host)
			}
		}
	}
}

// TestEntriesHoldNoPointers keeps a collection from looking at each of many entries.
func TestEntriesHoldNoPointers(t *testing.T) {
	for field := range reflect.TypeFor[hostEntry]().NumField() {
		if f := reflect.TypeFor[hostEntry]().Field(field); f.Type.Kind() != reflect.Uint32 && f.Type.Kind() != reflect.Bool {
			t.Errorf("%s is a %s", f.Name, f.Type)
		}
	}
}
