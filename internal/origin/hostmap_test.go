package origin

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestHostMap(t *testing.T) {
	var hosts HostMap[string]
	if search := hosts.Search("", "a.com"); search.Next() != nil {
		t.Error("the zero map has a value")
	}
	for _, e := range []struct {
		host  string
		below bool
		value string
	}{
		{"com", true, "*.com"}, {"a.com", false, "a.com"}, {"a.com", true, "*.a.com"}, {"b.a.com", false, "b.a.com"}, {"[::1]", false, "[::1]"}, {"x", false, "x"},
	} {
		value := hosts.At("", e.host, e.below)
		if *value != "" {
			t.Errorf("At(%q, %v) holds %q before it was filled", e.host, e.below, *value)
		}
		*value = e.value
	}
	if got := *hosts.At("", "a.com", true); got != "*.a.com" {
		t.Errorf("At gives %q the second time", got)
	}
	for host, want := range map[string][]string{
		"com":       nil,
		"a.com":     {"*.com", "a.com"},
		"b.a.com":   {"*.com", "*.a.com", "b.a.com"},
		"c.b.a.com": {"*.com", "*.a.com"},
		"ba.com":    {"*.com"},
		"a.com.":    nil,
		"":          nil,
		"[::1]":     {"[::1]"},
		"x":         {"x"},
		"y.x":       nil,
	} {
		var got []string
		search := hosts.Search("", host)
		for value := search.Next(); value != nil; value = search.Next() {
			got = append(got, *value)
		}
		if !slices.Equal(got, want) {
			t.Errorf("values for %q: %q, want %q", host, got, want)
		}
		if search.Next() != nil {
			t.Errorf("the search of %q goes on behind its end", host)
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
		return strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"", "a", "b", "ab", "ba", "com"}), 1, 5).Draw(t, "labels"), ".")
	})
	rapid.Check(t, func(t *rapid.T) {
		var hosts HostMap[entry]
		for range 2 { // the second time in the memory of the first
			entries := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) entry {
				return entry{scheme.Draw(t, "scheme"), host.Draw(t, "host"), rapid.Bool().Draw(t, "below")}
			}), 0, 30).Draw(t, "entries")
			hosts.Reset(rapid.IntRange(0, 30).Draw(t, "room"))
			for _, e := range entries {
				value := hosts.At(e.scheme, e.host, e.below)
				if *value != e && *value != (entry{}) {
					t.Fatalf("At(%+v) is that of %+v", e, *value)
				}
				*value = e
			}
			s, h := scheme.Draw(t, "scheme searched"), host.Draw(t, "host searched")
			var want []entry
			for _, e := range entries {
				if e.scheme == s && (!e.below && e.host == h || e.below && strings.HasSuffix(h, "."+e.host)) && !slices.Contains(want, e) {
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
			search := hosts.Search(s, h)
			for value := search.Next(); value != nil; value = search.Next() {
				got = append(got, *value)
			}
			if !slices.Equal(got, want) {
				t.Fatalf("values for %q %q: %v, want %v", s, h, got, want)
			}
		}
	})
}

// Among so many hosts some have the same hash.
func TestHostsOfTheSameHashStayApart(t *testing.T) {
	first := map[uint32]string{}
	var same [][2]string
	for i := 0; len(same) < 3; i++ {
		host := fmt.Sprintf("h%d", i)
		h := hashScheme("")
		for j := len(host) - 1; j >= 0; j-- {
			h = h.add(host[j])
		}
		if other, again := first[h.sum(false)]; again {
			same = append(same, [2]string{other, host})
		}
		first[h.sum(false)] = host
	}
	for _, pair := range same {
		var hosts HostMap[string]
		*hosts.At("", pair[0], false) = pair[0]
		search := hosts.Search("", pair[1])
		if value := search.Next(); value != nil {
			t.Errorf("%q is found for %q", *value, pair[1])
		}
		*hosts.At("", pair[1], false) = pair[1]
		for _, host := range pair {
			search := hosts.Search("", host)
			if value := search.Next(); value == nil || *value != host {
				t.Errorf("another host is found for %q", host)
			}
		}
	}
}
