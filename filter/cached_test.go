package filter

import (
	"bytes"
	"strings"
	"testing"

	"corsfilter/internal/header"
)

// cachedOrigins returns how many origins are cached.
func (c *cache) cachedOrigins() int {
	origins, _ := (&Plugin{cache: c}).Cached()
	return origins
}

// What is longer than the place for it would be taken for what it begins with.
func TestWhatIsTooLongIsNotCached(t *testing.T) {
	list := &policy(t, strict).Origins
	for n, want := range map[int]int{15: 0, 16: 1, maxOrigin: 1, maxOrigin + 1: 0} {
		c := &cache{}
		if c.match(list, "https://"+strings.Repeat("n", n-len("https://"))); c.cachedOrigins() != want {
			t.Errorf("%d origins of %d bytes are cached, want %d", c.cachedOrigins(), n, want)
		}
	}
	for n, want := range map[int]int{1: 1, maxVary: maxVary, maxVary + 1: 0, 100: 0} {
		c := &cache{}
		if got := c.varies("*" + strings.Repeat(",", n-1)); got != varyAll || int(c.vary.size) != want {
			t.Errorf("of a Vary of %d bytes %d are cached, want %d; it names %b", n, c.vary.size, want, got)
		}
	}
	for _, c := range []struct {
		method, list int
		want         bool
	}{{maxMethod, maxList, true}, {maxMethod + 1, maxList, false}, {maxMethod, maxList + 1, false}, {1, 0, true}} {
		r := &Request{RequestMethod: strings.Repeat("M", c.method), RequestHeaders: strings.Repeat("x", c.list)}
		if got := (&cache{}).place(r) != nil; got != c.want {
			t.Errorf("a place for a method of %d bytes and a list of %d: %v", c.method, c.list, got)
		}
	}
	for size, want := range map[int]bool{maxAnswer: true, maxAnswer + 1: false} {
		headers := []Header{{header.AllowOrigin, "https://a.example"}, {"x", ""}}
		headers[1].Value = strings.Repeat("x", size-len(header.AppendPairs(nil, headers)))
		pairs, a := header.AppendPairs(nil, headers), cachedAnswer{}
		a.store(&Decision{Policy: policy(t, strict)}, &Request{}, headers, pairs)
		if (a.policy != nil) != want {
			t.Errorf("an answer of %d bytes is cached: %v", size, !want)
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

// TestPlacesOfOrigins holds where origins are cached to their bytes and no
// others, and to the last one, in which those of one host's ports differ.
func TestPlacesOfOrigins(t *testing.T) {
	list, c := &policy(t, strict).Origins, &cache{}
	for _, behind := range "abcdefgh" {
		const shortest = "https://a.exampl"
		c.match(list, (shortest + string(behind))[:len(shortest)])
	}
	if n := c.cachedOrigins(); n != 1 {
		t.Errorf("one origin has %d places", n)
	}
	*c = cache{}
	const last = "0123456789abcdefghijklmnopqrstuvwxyz"
	for i := range last {
		c.match(list, "https://a.example.example-"+last[i:i+1])
	}
	if n := c.cachedOrigins(); n != len(last) {
		t.Errorf("%d origins have %d places", len(last), n)
	}
}

// TestAPreflightThatComesAgain asks whether it is answered from the cache, and whether
// that is what Decide says.
func TestAPreflightThatComesAgain(t *testing.T) {
	const everything = `{"allow_origins":["*"],"allow_methods":["*"],"allow_headers":["*"],"allow_credentials":true,` +
		`"dangerously_tolerate":["any-origin-with-credentials"]}`
	for _, json := range []string{strict, personal, public, everything} {
		p := policy(t, json)
		c := &Plugin{
			cache:   &cache{},
			request: Request{Method: "OPTIONS", Origin: "https://a.example", RequestMethod: "PUT", RequestHeaders: "x-a"},
		}
		var pure Decision
		Decide(p, &c.request, &pure)
		var before []byte
		for time := range 3 {
			var d Decision
			cached, known := c.cache.decide(p, &c.request, &d)
			_, _, pairs := c.reply(&d, cached, known)
			if again := time > 0; known != again || d != pure || again && !bytes.Equal(pairs, before) {
				t.Errorf("%s, time %d: cached: %v, %+v, as %q, before %q", json, time, known, d, pairs, before)
			}
			before = bytes.Clone(pairs)
		}
	}
}
