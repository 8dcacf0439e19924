package origin

import "slices"

// Redundant finds the patterns of a set that change nothing, because others accept
// everything they accept. For each host and port it counts the patterns that accept it, and
// walks the list from its end. It drops a pattern if remaining ones accept all of its ports,
// so that of two equal patterns the first stays. Comparing all pairs took seconds for ten
// thousand ports of one host.
type Redundant struct {
	hosts []claims
	ports []int32 // patterns that accept a port, in the order of the set's list
	own   []int32 // the host of each pattern, -1 once the pattern is dropped
	wider []int32 // the wildcards above one pattern
}

// claims counts the patterns of one host that accept any port, and the default port.
type claims struct{ any, plain int32 }

// Find examines the patterns that the set was made of, and reuses its memory.
func (r *Redundant) Find(s *Set, pattern func(i int) *Pattern) {
	r.hosts = Room(r.hosts, len(s.sets))[:len(s.sets)]
	clear(r.hosts)
	r.ports = Room(r.ports, len(s.ports))[:len(s.ports)]
	clear(r.ports)
	r.own = Room(r.own, s.size)
	wildcards := false
	for i := range s.size {
		p := pattern(i)
		wildcards = wildcards || p.Subdomains || p.AnyHost()
		host := int32(s.hosts.Index(p.Scheme, p.Host, p.Subdomains))
		r.own = append(r.own, host)
		r.count(s, p, host, 1)
	}
	if !wildcards && len(s.sets) == s.size {
		return // every pattern has a host of its own
	}
	for i := s.size - 1; i >= 0; i-- {
		if p := pattern(i); r.covered(s, p, r.own[i]) {
			r.count(s, p, r.own[i], -1)
			r.own[i] = -1
		}
	}
}

// Dropped reports whether the i-th pattern changes nothing.
func (r *Redundant) Dropped(i int) bool { return r.own[i] < 0 }

// count adds n to the counts of what the pattern accepts.
func (r *Redundant) count(s *Set, p *Pattern, host, n int32) {
	c := &r.hosts[host]
	if p.AnyPort {
		c.any += n
	}
	for _, port := range p.Ports {
		if port == 0 {
			c.plain += n
		} else if i := s.place(host, port); i >= 0 {
			r.ports[i] += n
		}
	}
}

// accepting returns how many patterns of the host accept the port.
func (r *Redundant) accepting(s *Set, host int32, port uint16) int32 {
	if port == 0 {
		return r.hosts[host].plain
	}
	if i := s.place(host, port); i >= 0 {
		return r.ports[i]
	}
	return 0
}

// place is the position of a host's port in the set's list, or -1.
func (s *Set) place(host int32, port uint16) int {
	set := &s.sets[host]
	i, found := slices.BinarySearch(s.list(set), port)
	if !found {
		return -1
	}
	return int(set.from) + i
}

// covered reports whether other patterns accept every port of this one.
func (r *Redundant) covered(s *Set, p *Pattern, host int32) bool {
	own := r.hosts[host]
	if own.any > 1 || own.any == 1 && !p.AnyPort {
		return true
	}
	r.wider = r.wider[:0]
	for i, at := s.hosts.First(p.Scheme, p.Host); i >= 0; i, at = s.hosts.Next(p.Scheme, p.Host, at) {
		switch {
		case !s.hosts.entries[i].below: // the host itself
		case r.hosts[i].any > 0:
			return true
		default:
			r.wider = append(r.wider, int32(i))
		}
	}
	if s.wide && !p.AnyHost() {
		if i := s.ofAll(p.Scheme); i >= 0 {
			if r.hosts[i].any > 0 {
				return true
			}
			r.wider = append(r.wider, int32(i))
		}
	}
	if p.AnyPort {
		return false
	}
	for _, port := range p.Ports {
		above := func(wider int32) bool { return r.accepting(s, wider, port) > 0 }
		if r.accepting(s, host, port) == 1 && !slices.ContainsFunc(r.wider, above) {
			return false
		}
	}
	return true
}
