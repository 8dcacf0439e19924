package origin

import (
	"iter"
	"slices"
)

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

// NewSet returns a set of the patterns, which are gone through more than once.
// It keeps their strings, and of Ports nothing.
func NewSet(patterns iter.Seq[Pattern]) (s Set) {
	s.Reset(patterns)
	return s
}

// Reset makes it a set of other patterns, in the memory it has.
func (s *Set) Reset(patterns iter.Seq[Pattern]) {
	s.size = 0
	for range patterns {
		s.size++
	}
	s.hosts.Reset(s.size)
	for p := range patterns {
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
	s.fillPorts(patterns)
}

// fillPorts gives each host its part of the list of ports.
func (s *Set) fillPorts(patterns iter.Seq[Pattern]) {
	total := uint32(0)
	all := s.hosts.Values()
	for i := range all {
		all[i].from, total, all[i].count = total, total+all[i].count, 0
	}
	if int(total) > cap(s.ports) {
		s.ports = make([]uint16, total)
	}
	s.ports = s.ports[:total]
	if total == 0 {
		return
	}
	for p := range patterns {
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
