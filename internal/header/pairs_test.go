package header

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
	"testing"
)

// collector keeps copies of what it visits.
type collector []Entry

func (c *collector) VisitHeader(name, value string) {
	*c = append(*c, Entry{Name: strings.Clone(name), Value: strings.Clone(value)})
}

// every makes VisitPairs visit all entries.
var every = func() Names {
	all := Names{lengths: ^uint64(0)}
	for i := range all.last {
		all.last[i] = ^uint64(0)
	}
	return all
}()

var pairSamples = [][]Entry{
	nil,
	{{Name: "a", Value: "b"}},
	{{Name: "vary", Value: "origin"}, {Name: "vary", Value: ""}, {Name: "x", Value: "a\x00b"}, {Name: "y", Value: strings.Repeat("z", 5000)}},
}

func TestPairsAreWrittenAsTheABISays(t *testing.T) {
	got := AppendPairs([]byte("before"), []Entry{{Name: "vary", Value: "x"}, {Name: "a", Value: ""}})
	want := "before" +
		"\x02\x00\x00\x00" +
		"\x04\x00\x00\x00" + "\x01\x00\x00\x00" +
		"\x01\x00\x00\x00" + "\x00\x00\x00\x00" +
		"vary\x00x\x00" + "a\x00\x00"
	if string(got) != want {
		t.Errorf("%q\nwant %q", got, want)
	}
	if got := AppendPairs[Entry](nil, nil); string(got) != "\x00\x00\x00\x00" {
		t.Errorf("no headers: %q", got)
	}
}

func TestPairsComeBack(t *testing.T) {
	for _, headers := range pairSamples {
		b := AppendPairs(nil, headers)
		var got collector
		if !VisitPairs(b, &every, &got) || !slices.Equal([]Entry(got), headers) {
			t.Errorf("%.100q: %.100q", headers, got)
		}
		if got := entries(b); !slices.Equal(got, headers) {
			t.Errorf("%.100q: copied as %.100q", headers, got)
		}
		// Cut short, at every byte: refused, with a part of the entries at most.
		for i := 1; i < len(b); i++ {
			got = nil
			if VisitPairs(b[:i], &every, &got) || !isPrefix(got, headers) || VisitPairs(b[:i], &Names{}, &got) {
				t.Errorf("%d of %d bytes: %.100q", i, len(b), got)
			}
			if got := Entries(b[:i]); got != nil {
				t.Errorf("%d of %d bytes: copied as %.100q", i, len(b), got)
			}
		}
	}
	var got collector
	if !VisitPairs(nil, &every, &got) || got != nil {
		t.Errorf("an empty map: %q", got)
	}
}

func TestOnlyWantedNamesAreVisited(t *testing.T) {
	wanted := NamesOf("vary", "access-control-allow-private-network", strings.Repeat("n", 63))
	b := AppendPairs(
		nil,
		[]Entry{
			{"vary", "1"}, {"date", "2"}, {"", "3"}, {"y", "4"}, {"etag", "5"}, {strings.Repeat("n", 63), "6"}, {strings.Repeat("n", 64), "7"},
			{strings.Repeat("n", 128), "8"}, {"access-control-allow-private-network", "9"}, {"vary", ""}, {strings.Repeat("y", 4096), "10"},
		},
	)
	var got collector
	if !VisitPairs(b, &wanted, &got) {
		t.Fatal("refused")
	}
	if want := []Entry{
		{"vary", "1"}, {strings.Repeat("n", 63), "6"}, {"access-control-allow-private-network", "9"}, {"vary", ""},
	}; !slices.Equal([]Entry(got), want) {
		t.Errorf("%.200q\nwant %.200q", got, want)
	}
	var none Names
	if got = nil; !VisitPairs(b, &none, &got) || got != nil {
		t.Errorf("%.200q though nothing is wanted", got)
	}
}

// entries are those of Entries.
func entries(b []byte) (all []Entry) {
	for _, e := range Entries(b) {
		all = append(all, Entry{Name: e[0], Value: e[1]})
	}
	return all
}

// TestPassedOverByFour has the names of interest behind four others, whose sizes
// are such that the wrong ones would do.
func TestPassedOverByFour(t *testing.T) {
	wanted := NamesOf("vary")
	for i := range 4 {
		headers := make([]Entry, 4, 5)
		headers[i].Name = "bb"
		headers = append(headers, Entry{Name: "vary", Value: "x"})
		var got collector
		if !VisitPairs(AppendPairs(nil, headers), &wanted, &got) || !slices.Equal(got, headers[4:]) {
			t.Errorf("%q: %q", headers, got)
		}
	}
}

// Of a length and of a last byte six bits count.
func TestNamesThatLookAlikeAreVisited(t *testing.T) {
	wanted := NamesOf("vary", strings.Repeat("z", 70))
	for name, want := range map[string]int{
		strings.Repeat("z", 70): 1, "zzzzzz": 1, "zzzzz": 0,
		"vary": 1, "nary": 1, strings.Repeat("y", 4+64): 1, strings.Repeat("y", 4+128): 1, "var9": 1,
		"varx": 0, "ary": 0, "avary": 0, strings.Repeat("y", 5+64): 0, "": 0,
	} {
		var got collector
		if !VisitPairs(AppendPairs(nil, []Entry{{Name: name}}), &wanted, &got) || len(got) != want {
			t.Errorf("%.80q is visited as %.80q, want %d entries", name, got, want)
		}
	}
}

func TestWhatIsBehindTheEndIsNotRead(t *testing.T) {
	for n := range 20 {
		var got collector
		if b := make([]byte, sizeLen+n); (n == 0 || n >= sizeLen) && (!VisitPairs(b, &every, &got) || got != nil) {
			t.Errorf("an empty map, and %d bytes behind it: %q", n, got)
		}
	}
}

func TestTheFirstValueIsChanged(t *testing.T) {
	headers := []Entry{{Name: "first", Value: "old"}, {Name: "b", Value: "2"}, {Name: "c", Value: "3"}}
	b := AppendPairs(nil, headers)
	at := FirstValue(b)
	if got := string(b[at : at+4]); got != "old\x00" {
		t.Fatalf("the first value begins as %q", got)
	}
	b = slices.Replace(b, at, at+len("old"), []byte("newer")...)
	SetFirstSize(b, len("newer"))
	if headers[0].Value = "newer"; !slices.Equal(entries(b), headers) {
		t.Errorf("%q", entries(b))
	}
}

func isPrefix(part, whole []Entry) bool {
	return len(part) <= len(whole) && slices.Equal(part, whole[:len(part)])
}

func TestHostilePairsAreRefused(t *testing.T) {
	le := func(numbers ...uint32) (b []byte) {
		for _, n := range numbers {
			b = binary.LittleEndian.AppendUint32(b, n)
		}
		return b
	}
	for name, b := range map[string][]byte{
		"more entries than bytes":          le(1<<31, 0, 0),
		"as many entries as can be":        le(^uint32(0), 0, 0, 0),
		"a count whose sizes overflow":     le(1<<29, 1, 1),
		"a name longer than the buffer":    append(le(1, 1000, 1), "a\x00b\x00"...),
		"sizes whose sum overflows":        append(le(1, ^uint32(0), ^uint32(0)), "a\x00b\x00"...),
		"sizes whose sum wraps to fit":     append(le(1, ^uint32(0), 3), "a\x00b\x00"...),
		"no room for the last NUL":         append(le(1, 1, 1), "a\x00b"...),
		"half a count":                     {1, 0},
		"the second entry is out of reach": append(le(2, 1, 1, 1, 1), "a\x00b\x00"...),
	} {
		var got collector
		if VisitPairs(b, &every, &got) {
			t.Errorf("%s: accepted as %q", name, got)
		}
		if got := Entries(b); got != nil {
			t.Errorf("%s: copied as %q", name, got)
		}
	}
}

func TestPairsDoNotAllocate(t *testing.T) {
	headers := pairSamples[2]
	buf := make([]byte, 0, 8192)
	var n counter
	if allocs := testing.AllocsPerRun(100, func() {
		n = 0
		buf = AppendPairs(buf[:0], headers)
		VisitPairs(buf, &every, &n)
	}); allocs != 0 || int(n) != len(headers) {
		t.Errorf("%v allocations, %d entries", allocs, n)
	}
}

type counter int

func (n *counter) VisitHeader(string, string) { *n++ }

func FuzzPairs(f *testing.F) {
	for _, headers := range pairSamples {
		f.Add(AppendPairs(nil, headers))
	}
	f.Add([]byte{1, 0, 0, 0, 255, 255, 255, 255, 2, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		var got collector
		if !VisitPairs(b, &every, &got) || len(b) == 0 {
			return
		}
		if n := binary.LittleEndian.Uint32(b); int(n) != len(got) {
			return // some have names that nobody asks for
		}
		// What is accepted is written back the same way, but for the bytes that
		// should be NUL and those behind the end.
		again := AppendPairs(nil, got)
		if len(again) > len(b) || !bytes.Equal(again[:4+8*len(got)], b[:4+8*len(got)]) {
			t.Fatalf("%q is read as %q", b, got)
		}
		var back collector
		if !VisitPairs(again, &every, &back) || !slices.Equal(back, got) {
			t.Fatalf("%q comes back as %q", got, back)
		}
	})
}
