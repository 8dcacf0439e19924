package config

import (
	"slices"

	"corsfilter/internal/origin"
)

// redundant finds the patterns of a list that change nothing because others
// accept whatever they accept. It counts, for each host and port, the patterns
// that accept it, and goes through the list from its end: a pattern whose every
// port is accepted by another one that is still there is dropped, so that of two
// equal ones the first stays. Comparing each pattern with each other, as was done
// before, took seconds for ten thousand ports of one host.
type redundant struct {
	hosts origin.HostMap[hostClaims]
	own   []int32  // the host of each pattern, -1 once the pattern is dropped
	keys  []uint64 // host and port, ascending, each once
	count []int32  // of the patterns that accept it, for each key
	wider []int32  // the wildcards above one pattern
}

// hostClaims counts the patterns of one host, or of all hosts below one.
type hostClaims struct {
	any, plain int32 // that accept any port, and the default port
	from, to   int32 // its part of the keys, for the other ports
	below      bool
}

// find marks the redundant patterns, for dropped to tell.
func (r *redundant) find(patterns []placedPattern) {
	r.hosts.Reset(len(patterns))
	r.own, r.keys = slices.Grow(r.own[:0], len(patterns)), r.keys[:0]
	wildcards := false
	for i := range patterns {
		p := &patterns[i].pattern
		host := r.hosts.Index(p.Scheme, p.Host, p.Subdomains)
		r.own = append(r.own, int32(host))
		claims := &r.hosts.Values()[host]
		claims.below = p.Subdomains
		wildcards = wildcards || p.Subdomains
		if p.AnyPort {
			claims.any++
		}
		for _, port := range p.Ports {
			if port == 0 {
				claims.plain++
			} else {
				r.keys = append(r.keys, uint64(host)<<16|uint64(port))
			}
		}
	}
	if !wildcards && len(r.hosts.Values()) == len(patterns) {
		return // every pattern has a host of its own
	}
	r.countKeys()
	for i := len(patterns) - 1; i >= 0; i-- {
		if r.isCovered(&patterns[i].pattern, r.own[i]) {
			r.release(&patterns[i].pattern, r.own[i])
			r.own[i] = -1
		}
	}
}

func (r *redundant) dropped(i int) bool { return r.own[i] < 0 }

// countKeys sorts the keys, counts equal ones and gives each host its part.
func (r *redundant) countKeys() {
	slices.Sort(r.keys)
	r.count = r.count[:0]
	n := 0
	hosts := r.hosts.Values()
	for i, key := range r.keys {
		if i > 0 && key == r.keys[n-1] {
			r.count[n-1]++
			continue
		}
		r.keys[n] = key
		r.count = append(r.count, 1)
		claims := &hosts[key>>16]
		if claims.to == 0 {
			claims.from = int32(n)
		}
		n++
		claims.to = int32(n)
	}
	r.keys = r.keys[:n]
}

// isCovered reports whether other patterns accept every port of this one.
func (r *redundant) isCovered(p *origin.Pattern, host int32) bool {
	hosts := r.hosts.Values()
	own := &hosts[host]
	if own.any > 1 || own.any == 1 && !p.AnyPort {
		return true
	}
	r.wider = r.wider[:0]
	search := r.hosts.Search(p.Scheme, p.Host)
	for i := search.NextIndex(); i >= 0; i = search.NextIndex() {
		if hosts[i].any > 0 && hosts[i].below {
			return true
		}
		if hosts[i].below {
			r.wider = append(r.wider, int32(i))
		}
	}
	for _, port := range p.Ports {
		if r.claims(own, host, port) == 1 && !slices.ContainsFunc(r.wider, func(i int32) bool { return r.claims(&hosts[i], i, port) > 0 }) {
			return false
		}
	}
	return !p.AnyPort
}

// claims returns how many patterns of the host accept the port.
func (r *redundant) claims(c *hostClaims, host int32, port uint16) int32 {
	if port == 0 {
		return c.plain
	}
	if i, found := r.key(c, host, port); found {
		return r.count[i]
	}
	return 0
}

func (r *redundant) key(c *hostClaims, host int32, port uint16) (i int, found bool) {
	i, found = slices.BinarySearch(r.keys[c.from:c.to], uint64(host)<<16|uint64(port))
	return int(c.from) + i, found
}

// release takes a pattern out of the counts.
func (r *redundant) release(p *origin.Pattern, host int32) {
	c := &r.hosts.Values()[host]
	if p.AnyPort {
		c.any--
	}
	for _, port := range p.Ports {
		if port == 0 {
			c.plain--
		} else if i, found := r.key(c, host, port); found {
			r.count[i]--
		}
	}
}

// warnRedundant warns of the patterns that have no effect beside others.
func (p *parser) warnRedundant(patterns []placedPattern) {
	if len(patterns) < 2 {
		return
	}
	r := &p.redundant
	r.find(patterns)
	for i, e := range patterns {
		if !r.dropped(i) || p.warnings.skip(e.place) {
			continue
		}
		// Only so many are listed, so that looking for the other one costs no
		// more than going through the list so many times.
		other := 0
		for other < len(patterns) && (r.dropped(other) || !patterns[other].pattern.Covers(e.pattern)) {
			other++
		}
		switch {
		case other == len(patterns):
			p.warn(e.place, e.written, Covered, "other entries accept all of its ports", "leave it out")
		case e.pattern.Covers(patterns[other].pattern):
			p.warn(e.place, e.written, Duplicate, "is the same as "+patterns[other].path(), "keep one")
		default:
			p.warn(e.place, e.written, Covered, patterns[other].written+" covers it", "leave it out")
		}
	}
}
