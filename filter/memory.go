package filter

import (
	"corsfilter/config"
	"corsfilter/internal/header"
	"corsfilter/internal/origin"
)

// memory is what a plugin remembers of requests and responses, so that what comes
// again is not worked out again: pages come back, and so do their origins and
// preflights. It holds answers to questions about a policy and nothing else, each
// under the whole of what the answer depends on, copied: a request's strings are
// gone with its callback. It is of a fixed size, belongs to one configuration in
// force, and is emptied when that changes. A nil memory remembers nothing, and
// everything is decided in the same way, only slower.
type memory struct {
	vary    rememberedVary
	origins [256]rememberedOrigin
	answers [8]answer
	buffer  origin.Buffer
}

// forget empties the memory: policies are known by their address, and another one
// may come to stand there.
func (m *memory) forget() {
	if m != nil {
		*m = memory{}
	}
}

// The longest values that are remembered, in bytes. What is remembered of an Origin
// fills a line of the processor's cache. A Vary of the filter's own is longer than
// those that are remembered, and takes no other's place.
const (
	maxVary   = len(varyPreflightText) - 1
	maxOrigin = 54
	maxMethod = 30
	maxList   = 200
)

// rememberedOrigin is what a list says of an Origin.
type rememberedOrigin struct {
	list  *config.Origins // nil: nothing is remembered
	match config.Match
	size  uint8
	value [maxOrigin]byte
}

// match is list.Match(value). Each value has one place; what is too short for a
// hash or too long for it is not remembered, and is malformed as a rule.
func (m *memory) match(list *config.Origins, value string) config.Match {
	if m == nil {
		return list.Match(value)
	}
	const word = 8
	if len(value) < 2*word || len(value) > maxOrigin {
		return list.MatchIn(value, &m.buffer)
	}
	// The first word is the scheme as a rule, and so the second one and the last.
	hash := (header.Word(value, word) ^ header.Word(value, len(value)-word)*3) * 0x9E3779B97F4A7C15
	e := &m.origins[hash>>56]
	if e.list == list && header.Equal(e.value[:e.size], value) {
		return e.match
	}
	match := list.MatchIn(value, &m.buffer)
	e.list, e.match, e.size = list, match, uint8(header.Copy(e.value[:], value))
	return match
}

// answer is the answer to a preflight that is allowed whatever it asks for: all of
// it follows from the policy, what was asked, and the value of
// Access-Control-Allow-Origin, which is put in.
type answer struct {
	policy     *config.Policy // nil: nothing is remembered
	private    bool           // Access-Control-Request-Private-Network is answered
	methodSize uint8
	listSize   uint8
	// The size of the answer's headers as pairs; where the value of the first one is,
	// and its size.
	size     int
	from     int
	fromSize int
	method   [maxMethod]byte
	list     [maxList]byte
	pairs    [maxAnswer]byte
}

// maxAnswer is the longest answer that is remembered, in bytes; most have 300.
const maxAnswer = 1 << 10

// place is where the answer to a preflight is or would be, or nil where it is too
// long to be remembered.
func (m *memory) place(r *Request) *answer {
	if m == nil || len(r.RequestMethod) > maxMethod || len(r.RequestHeaders) > maxList {
		return nil
	}
	hash := uint32(len(r.RequestHeaders))*31 + uint32(len(r.RequestMethod))
	if n := len(r.RequestHeaders); n > 0 {
		hash += uint32(r.RequestHeaders[n/2])*7 + uint32(r.RequestHeaders[n-1])
	}
	return &m.answers[(hash^hash>>3)%uint32(len(m.answers))]
}

// is reports whether the answer is the one to this preflight, from whichever
// origin.
func (a *answer) is(p *config.Policy, private bool, r *Request) bool {
	return a != nil && a.policy == p && a.private == private &&
		header.Equal(a.method[:a.methodSize], r.RequestMethod) && header.Equal(a.list[:a.listSize], r.RequestHeaders)
}

// keepAnswer remembers the answer to a preflight, of which headers and pairs are the two
// forms. The first header of each is Access-Control-Allow-Origin.
func (a *answer) keepAnswer(d *Decision, r *Request, headers []Header, pairs []byte) {
	if len(pairs) > maxAnswer {
		return
	}
	a.policy, a.private = nil, d.PrivateNetwork
	a.methodSize, a.listSize = uint8(copy(a.method[:], r.RequestMethod)), uint8(copy(a.list[:], r.RequestHeaders))
	a.size = copy(a.pairs[:], pairs)
	a.from, a.fromSize = header.FirstValue(pairs), len(headers[0].Value)
	a.policy = d.Policy // last: whatever fails before leaves no half of an answer
}

// to returns the answer for the value of Access-Control-Allow-Origin, or nil where
// it gets too long with it. It is good until the next call.
func (a *answer) to(allowOrigin string) []byte {
	if n := len(allowOrigin); n != a.fromSize {
		size := a.size - a.fromSize + n
		if size > maxAnswer {
			return nil
		}
		copy(a.pairs[a.from+n:size], a.pairs[a.from+a.fromSize:a.size])
		header.SetFirstSize(a.pairs[:], n)
		a.size, a.fromSize = size, n
	}
	header.Copy(a.pairs[a.from:], allowOrigin)
	return a.pairs[:a.size]
}

// rememberedVary is the last value of Vary, and what it names. The empty one names
// nothing.
type rememberedVary struct {
	names varyNames
	size  uint8
	value [maxVary]byte
}

// varies returns what a value of Vary names.
func (m *memory) varies(value string) varyNames {
	if m == nil || len(value) > maxVary {
		return varyNamesIn(value)
	}
	v := &m.vary
	if !header.Equal(v.value[:v.size], value) {
		v.names, v.size = varyNamesIn(value), uint8(copy(v.value[:], value))
	}
	return v.names
}
