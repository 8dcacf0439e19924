package filter

import (
	"corsfilter/config"
	"corsfilter/internal/header"
	"corsfilter/internal/origin"
)

// cache is what a plugin knows of earlier requests and responses, so that what comes
// again is not worked out again: pages come back, and so do their origins and
// preflights. It stands around the decision and is no part of it: what is cached are
// answers to questions about a policy and nothing else, each under the whole of what it
// depends on, copied, since a request's strings are gone with its callback. It is of a
// fixed size, belongs to one configuration in effect, and is emptied when that changes:
// policies are known by their address, and another one may come to stand there.
type cache struct {
	vary    cachedVary
	origins [256]cachedOrigin
	answers [8]cachedAnswer
	buffer  origin.Buffer
}

// decide is Decide for a zero Decision and a request with an Origin. Where a preflight is
// answered, it returns where its answer is, if known, or belongs; nil where that is too
// long.
func (c *cache) decide(p *config.Policy, r *Request, d *Decision) (a *cachedAnswer, known bool) {
	m := matches{origins: c.match(&p.Origins, r.Origin)}
	if !p.Timing.Empty() {
		m.timing = c.match(&p.Timing, r.Origin)
	}
	if decideOrigin(p, r, m, d); d.Action != Answer {
		return nil, false
	}
	a = c.place(r)
	if a.is(p, d.PrivateNetwork, r) {
		return a, true // allowed: no other answer is cached
	}
	decideAsked(r, d)
	return a, false
}

// The longest values that are cached, in bytes. What is cached of an Origin
// fills a line of the processor's cache. A Vary of the filter's own is longer than
// those that are cached, and takes no other's place.
const (
	maxVary   = len(varyPreflightText) - 1
	maxOrigin = 54
	maxMethod = 30
	maxList   = 200
)

// cachedOrigin is what a list says of an Origin.
type cachedOrigin struct {
	list  *config.Origins // nil: nothing is cached
	match config.Match
	size  uint8
	value [maxOrigin]byte
}

// match is list.Match(value). Each value has one place; what is too short for a
// hash or too long for it is not cached, and is malformed as a rule.
func (c *cache) match(list *config.Origins, value string) config.Match {
	const word = 8
	if len(value) < 2*word || len(value) > maxOrigin {
		return list.MatchIn(value, &c.buffer)
	}
	// The first word is the scheme as a rule, and so the second one and the last.
	hash := (header.Word(value, word) ^ header.Word(value, len(value)-word)*3) * 0x9E3779B97F4A7C15
	e := &c.origins[hash>>56]
	if e.list == list && header.Equal(e.value[:e.size], value) {
		return e.match
	}
	match := list.MatchIn(value, &c.buffer)
	e.list, e.match, e.size = list, match, uint8(header.Copy(e.value[:], value))
	return match
}

// cachedAnswer is the answer to a preflight that is allowed whatever it asks for: all of
// it follows from the policy, what was asked, and the value of
// Access-Control-Allow-Origin, which is put in.
type cachedAnswer struct {
	policy     *config.Policy // nil: nothing is cached
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

// maxAnswer is the longest answer that is cached, in bytes; most have 300.
const maxAnswer = 1 << 10

// place is where the answer to a preflight is or would be, or nil where it is too
// long to be cached.
func (c *cache) place(r *Request) *cachedAnswer {
	if len(r.RequestMethod) > maxMethod || len(r.RequestHeaders) > maxList {
		return nil
	}
	hash := uint32(len(r.RequestHeaders))*31 + uint32(len(r.RequestMethod))
	if n := len(r.RequestHeaders); n > 0 {
		hash += uint32(r.RequestHeaders[n/2])*7 + uint32(r.RequestHeaders[n-1])
	}
	return &c.answers[(hash^hash>>3)%uint32(len(c.answers))]
}

// is reports whether the answer is the one to this preflight, from whichever
// origin.
func (a *cachedAnswer) is(p *config.Policy, private bool, r *Request) bool {
	return a != nil && a.policy == p && a.private == private &&
		header.Equal(a.method[:a.methodSize], r.RequestMethod) && header.Equal(a.list[:a.listSize], r.RequestHeaders)
}

// store caches the answer to a preflight, of which headers and pairs are the two
// forms. The first header of each is Access-Control-Allow-Origin.
func (a *cachedAnswer) store(d *Decision, r *Request, headers []Header, pairs []byte) {
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
func (a *cachedAnswer) to(allowOrigin string) []byte {
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

// cachedVary is the last value of Vary, and what it names. The empty one names
// nothing.
type cachedVary struct {
	names varyNames
	size  uint8
	value [maxVary]byte
}

// varies returns what a value of Vary names.
func (c *cache) varies(value string) varyNames {
	if len(value) > maxVary {
		return varyNamesIn(value)
	}
	v := &c.vary
	if !header.Equal(v.value[:v.size], value) {
		v.names, v.size = varyNamesIn(value), uint8(copy(v.value[:], value))
	}
	return v.names
}
