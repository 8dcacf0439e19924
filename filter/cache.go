package filter

import (
	"corsfilter/config"
	"corsfilter/internal/header"
	"corsfilter/internal/origin"
)

// cache remembers results of earlier requests and responses, because the same pages come
// back with the same origins and preflights. It is a step around the decision, not part
// of it: it only caches answers to questions about a policy. The key of each answer is
// everything that the answer depends on, copied, because a request's strings do not
// outlive its callback. The cache has a fixed size and belongs to one configuration. It
// is emptied when that changes: policies are identified by their address, and a new one
// may get the same address.
type cache struct {
	vary    cachedVary
	origins [256]cachedOrigin
	answers [8]cachedAnswer
	buffer  origin.Buffer
}

// decide is Decide for a zero Decision and a request with an Origin. For a preflight that
// is answered, it returns the place of the answer in the cache, whether it is there yet or
// not; nil if the answer is too long to cache.
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

// The longest values that are cached, in bytes. A cached Origin fills a line of the
// processor's cache. The filter's own Vary is longer than the limit, so it does not
// displace upstream's.
const (
	maxVary   = len(varyPreflightText) - 1
	maxOrigin = 54
	maxMethod = 30
	maxList   = 200
)

// cachedOrigin is an Origin and whether a list matches it.
type cachedOrigin struct {
	list  *config.Origins // nil: nothing is cached
	match config.Match
	size  uint8
	value [maxOrigin]byte
}

// match is list.Match(value). Each value has one place. Values that are too short or too
// long to hash are not cached; they are usually malformed.
func (c *cache) match(list *config.Origins, value string) config.Match {
	const word = 8
	if len(value) < 2*word || len(value) > maxOrigin {
		return list.MatchIn(value, &c.buffer)
	}
	// The first word is usually the scheme, so the second one and the last are hashed.
	hash := (header.Word(value, word) ^ header.Word(value, len(value)-word)*3) * 0x9E3779B97F4A7C15
	e := &c.origins[hash>>56]
	if e.list == list && header.Equal(e.value[:e.size], value) {
		return e.match
	}
	match := list.MatchIn(value, &c.buffer)
	e.list, e.match, e.size = list, match, uint8(header.Copy(e.value[:], value))
	return match
}

// cachedAnswer is the answer to a preflight from an allowed origin. It depends on the
// policy, on what was asked, and on the value of Access-Control-Allow-Origin, which is
// filled in for each request.
type cachedAnswer struct {
	policy     *config.Policy // nil: nothing is cached
	private    bool           // Access-Control-Request-Private-Network is answered
	methodSize uint8
	listSize   uint8
	// The size of the answer's headers as pairs, and the position and size of the first
	// one's value.
	size     int
	from     int
	fromSize int
	method   [maxMethod]byte
	list     [maxList]byte
	pairs    [maxAnswer]byte
}

// maxAnswer is the longest answer that is cached, in bytes; most have 300.
const maxAnswer = 1 << 10

// place is where the answer to a preflight is or would be cached, or nil if it is too
// long.
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

// is reports whether this is the answer to the given preflight, from any allowed
// origin.
func (a *cachedAnswer) is(p *config.Policy, private bool, r *Request) bool {
	return a != nil && a.policy == p && a.private == private &&
		header.Equal(a.method[:a.methodSize], r.RequestMethod) && header.Equal(a.list[:a.listSize], r.RequestHeaders)
}

// store caches the answer to a preflight, as headers and as pairs. The first header in
// both is Access-Control-Allow-Origin.
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

// to returns the answer with the given value of Access-Control-Allow-Origin, or nil if
// that makes it too long. It is valid until the next call.
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

// cachedVary is the last value of Vary, and the names in it.
type cachedVary struct {
	names varyNames
	size  uint8
	value [maxVary]byte
}

// varies returns the names in a value of Vary.
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
