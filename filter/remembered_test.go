package filter

import (
	"bytes"
	"strings"
	"testing"

	"corsfilter/internal/header"
)

// remembered returns how many origins a memory remembers.
func remembered(m *memory) int {
	origins, _ := (&Plugin{memory: m}).Remembers()
	return origins
}

// What is longer than the place for it would be taken for what it begins with.
func TestWhatIsTooLongIsNotRemembered(t *testing.T) {
	list := &policy(t, strict).Origins
	for n, want := range map[int]int{15: 0, 16: 1, maxOrigin: 1, maxOrigin + 1: 0} {
		m := &memory{}
		if m.match(list, "https://"+strings.Repeat("n", n-len("https://"))); remembered(m) != want {
			t.Errorf("%d origins of %d bytes are remembered, want %d", remembered(m), n, want)
		}
	}
	for n, want := range map[int]int{1: 1, maxVary: maxVary, maxVary + 1: 0, 100: 0} {
		m := &memory{}
		if got := m.varies("*" + strings.Repeat(",", n-1)); got != varyAll || int(m.vary.size) != want {
			t.Errorf("of a Vary of %d bytes %d are remembered, want %d; it names %b", n, m.vary.size, want, got)
		}
	}
	for _, c := range []struct {
		method, list int
		want         bool
	}{{maxMethod, maxList, true}, {maxMethod + 1, maxList, false}, {maxMethod, maxList + 1, false}, {1, 0, true}} {
		r := &Request{RequestMethod: strings.Repeat("M", c.method), RequestHeaders: strings.Repeat("x", c.list)}
		if got := (&memory{}).place(r) != nil; got != c.want {
			t.Errorf("a place for a method of %d bytes and a list of %d: %v", c.method, c.list, got)
		}
	}
	for size, want := range map[int]bool{maxAnswer: true, maxAnswer + 1: false} {
		headers := []Header{{header.AllowOrigin, "https://a.example"}, {"x", ""}}
		headers[1].Value = strings.Repeat("x", size-len(header.AppendPairs(nil, headers)))
		pairs, a := header.AppendPairs(nil, headers), answer{}
		a.keepAnswer(&Decision{Policy: policy(t, strict)}, &Request{}, headers, pairs)
		if (a.policy != nil) != want {
			t.Errorf("an answer of %d bytes is remembered: %v", size, !want)
		}
		if !want {
			continue
		}
		// Longer with another origin, and as long as before with the next.
		if got := a.to("https://aa.example"); got != nil {
			t.Errorf("an answer of %d bytes", len(got))
		}
		headers[0].Value = "https://b.example"
		if got := a.to(headers[0].Value); !bytes.Equal(got, header.AppendPairs(nil, headers)) {
			t.Errorf("%q", got)
		}
		headers[0].Value = "https://x"
		a.to(headers[0].Value)
		headers[0].Value = "https://c.example"
		if got := a.to(headers[0].Value); !bytes.Equal(got, header.AppendPairs(nil, headers)) {
			t.Errorf("%q", got)
		}
	}
}

// TestPlacesOfOrigins holds where origins are remembered to their bytes and no
// others, and to the last one, in which those of one host's ports differ.
func TestPlacesOfOrigins(t *testing.T) {
	list, m := &policy(t, strict).Origins, &memory{}
	for _, behind := range "abcdefgh" {
		const shortest = "https://a.exampl"
		m.match(list, (shortest + string(behind))[:len(shortest)])
	}
	if n := remembered(m); n != 1 {
		t.Errorf("one origin has %d places", n)
	}
	m.forget()
	const last = "0123456789abcdefghijklmnopqrstuvwxyz"
	for i := range last {
		m.match(list, "https://a.example.example-"+last[i:i+1])
	}
	if n := remembered(m); n != len(last) {
		t.Errorf("%d origins have %d places", len(last), n)
	}
}

// TestAPreflightThatComesAgain asks whether the memory answers it.
func TestAPreflightThatComesAgain(t *testing.T) {
	for _, json := range []string{strict, personal, public} {
		p := policy(t, json)
		c := &Plugin{memory: &memory{}, request: Request{Method: "OPTIONS", Origin: "https://a.example", RequestMethod: "PUT", RequestHeaders: "x-a"}}
		var before []byte
		for time := range 3 {
			var d Decision
			decide(p, &c.request, c.memory, &d)
			_, _, pairs := c.reply(&d)
			if again := time > 0; d.answered != again || again && !bytes.Equal(pairs, before) {
				t.Errorf("%s, time %d: answered from memory: %v, as %q, before %q", json, time, d.answered, pairs, before)
			}
			before = bytes.Clone(pairs)
		}
	}
}
