package origin

import "slices"

// Set is a set of patterns. The zero Set is empty. It must not be changed once
// origins are matched against it.
type Set struct {
	hosts HostMap
	wide  bool      // anyHost is among them, of some scheme
	sets  []portSet // of the hosts
	ports []uint16  // of all hosts, other than the default ones
	size  int
}

// portSet is the ports of one host, or of all hosts below one.
type portSet struct {
	any         bool
	plain       bool   // the scheme's default port, which origins leave out
	from, count uint32 // the others, in the set's list, ascending
}

// Reset makes it a set of n other patterns, in the same memory. It calls for each pattern
// more than once, and keeps nothing of its Ports.
func (s *Set) Reset(n int, pattern func(i int) *Pattern) {
	s.size, s.wide = n, false
	bytes := 0
	for i := range n {
		p := pattern(i)
		bytes += len(p.Scheme) + len(p.Host)
	}
	s.hosts.Reset(n, bytes)
	s.sets = Room(s.sets, n)
	for i := range n {
		p := pattern(i)
		host := s.hosts.Index(p.Scheme, p.Host, p.Subdomains)
		if host == len(s.sets) {
			s.sets = append(s.sets, portSet{})
		}
		s.wide = s.wide || p.AnyHost()
		set := &s.sets[host]
		set.any = set.any || p.AnyPort
		for _, port := range p.Ports {
			if port == 0 {
				set.plain = true
			} else {
				set.count++
			}
		}
	}
	// Each host gets its part of the list of ports.
	var total uint32
	for i := range s.sets {
		set := &s.sets[i]
		set.from = total
		total += set.count
		set.count = 0
	}
	s.ports = Room(s.ports, int(total))[:total]
	if total == 0 {
		return
	}
	for i := range n {
		p := pattern(i)
		if p.plain() {
			continue
		}
		set := &s.sets[s.hosts.Index(p.Scheme, p.Host, p.Subdomains)]
		for _, port := range p.Ports {
			if port != 0 {
				s.ports[set.from+set.count] = port
				set.count++
			}
		}
	}
	for i := range s.sets {
		list := s.list(&s.sets[i])
		slices.Sort(list)
		s.sets[i].count = uint32(len(slices.Compact(list)))
	}
}

// plain reports whether the pattern has only the default port, or any port.
func (p *Pattern) plain() bool {
	return len(p.Ports) == 0 || len(p.Ports) == 1 && p.Ports[0] == 0
}

func (s *Set) list(p *portSet) []uint16 { return s.ports[p.from:][:p.count] }

// Len returns how many patterns the set is made of.
func (s *Set) Len() int { return s.size }

// Has reports whether a pattern of the set matches the origin of a scheme, a host and a
// port, as in an Origin that is Serialized. It does not allocate.
func (s *Set) Has(scheme, host string, port uint16) bool {
	for i, at := s.hosts.First(scheme, host); i >= 0; i, at = s.hosts.Next(scheme, host, at) {
		if s.takes(&s.sets[i], port) {
			return true
		}
	}
	if !s.wide {
		return false
	}
	i := s.ofAll(scheme)
	return i >= 0 && s.takes(&s.sets[i], port)
}

// takes reports whether a port is among those of a host.
func (s *Set) takes(set *portSet, port uint16) bool {
	return set.any || port == 0 && set.plain || port != 0 && set.count > 0 && s.lists(set, port)
}

// lists reports whether a port is in the host's part of the list.
func (s *Set) lists(set *portSet, port uint16) bool {
	_, found := slices.BinarySearch(s.list(set), port)
	return found
}

// ofAll returns the number of all hosts of a scheme, or -1.
func (s *Set) ofAll(scheme string) int {
	i, _ := s.hosts.First(scheme, anyHost)
	return i
}
