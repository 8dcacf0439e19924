package origin

import "slices"

// Set is a set of patterns. The zero Set is empty. It must not be changed once
// origins are matched against it.
type Set struct {
	hosts HostMap[portSet]
	ports []uint16 // of all hosts, other than the default ones
	size  int
}

// portSet is the ports of one host, or of all hosts below one.
type portSet struct {
	any         bool
	plain       bool   // the scheme's default port, which origins leave out
	from, count uint32 // the others, in the set's list, ascending
}

// NewSet returns a set of the patterns. It keeps their strings, and of Ports
// nothing.
func NewSet(patterns []Pattern) (s Set) {
	s.Reset(len(patterns), func(i int) *Pattern { return &patterns[i] })
	return s
}

// Reset makes it a set of n other patterns, in the memory it has. Each of them is
// asked for more than once.
func (s *Set) Reset(n int, pattern func(i int) *Pattern) {
	s.size = n
	s.hosts.Reset(n)
	for i := range n {
		p := pattern(i)
		ports := s.hosts.At(p.Scheme, p.Host, p.Subdomains)
		ports.any = ports.any || p.AnyPort
		for _, port := range p.Ports {
			if port == 0 {
				ports.plain = true
			} else {
				ports.count++
			}
		}
	}
	// Each host gets its part of the list of ports.
	total := uint32(0)
	all := s.hosts.Values()
	for i := range all {
		all[i].from, total, all[i].count = total, total+all[i].count, 0
	}
	s.ports = room(s.ports, int(total))[:total]
	if total == 0 {
		return
	}
	for i := range n {
		p := pattern(i)
		if len(p.Ports) == 0 || len(p.Ports) == 1 && p.Ports[0] == 0 {
			continue
		}
		ports := s.hosts.At(p.Scheme, p.Host, p.Subdomains)
		for _, port := range p.Ports {
			if port != 0 {
				s.ports[ports.from+ports.count] = port
				ports.count++
			}
		}
	}
	for i := range all {
		list := s.list(&all[i])
		slices.Sort(list)
		all[i].count = uint32(len(slices.Compact(list)))
	}
}

func (s *Set) list(p *portSet) []uint16 { return s.ports[p.from:][:p.count] }

// Len returns how many patterns the set is made of.
func (s *Set) Len() int { return s.size }

// Has reports whether a pattern of the set matches the origin, as Parse
// returned it. It does not allocate. The origin must be Serialized.
func (s *Set) Has(o Origin) bool {
	search := s.hosts.Search(o.Scheme, o.Host)
	for ports := search.Next(); ports != nil; ports = search.Next() {
		if ports.any || o.Port == 0 && ports.plain {
			return true
		}
		if o.Port == 0 || ports.count == 0 {
			continue
		}
		if _, found := slices.BinarySearch(s.list(ports), o.Port); found {
			return true
		}
	}
	return false
}
