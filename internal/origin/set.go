package origin

import (
	"iter"
	"slices"
)

// Set is a set of patterns. The zero Set is empty. It must not be changed once
// origins are matched against it.
type Set struct {
	schemes []schemeSet // one for each scheme; a policy has two or three
	size    int
}

type schemeSet struct {
	name  string
	hosts HostTree[portSet]
}

type portSet struct {
	any   bool
	ports []uint16 // ascending, 0 for the default port
}

// NewSet returns a set of the patterns, which are gone through twice: to make
// room, and to add them.
func NewSet(patterns iter.Seq[Pattern]) (s Set) {
	count := map[string]int{}
	for p := range patterns {
		count[p.Scheme]++
	}
	for p := range patterns {
		if n := count[p.Scheme]; n > 0 {
			s.schemes = append(s.schemes, schemeSet{name: p.Scheme})
			s.schemes[len(s.schemes)-1].hosts.Reserve(n)
			count[p.Scheme] = 0
		}
		s.Add(p)
	}
	return s
}

// Add puts a pattern in.
func (s *Set) Add(p Pattern) {
	i := slices.IndexFunc(s.schemes, func(e schemeSet) bool { return e.name == p.Scheme })
	if i < 0 {
		i = len(s.schemes)
		s.schemes = append(s.schemes, schemeSet{name: p.Scheme})
	}
	ports := s.schemes[i].hosts.At(p.Host, p.Subdomains)
	ports.any = ports.any || p.AnyPort
	if ports.ports == nil {
		ports.ports = p.Ports[:len(p.Ports):len(p.Ports)] // shared until another is added
	}
	for _, port := range p.Ports {
		if at, found := slices.BinarySearch(ports.ports, port); !found {
			ports.ports = slices.Insert(slices.Clone(ports.ports), at, port)
		}
	}
	s.size++
}

// Len returns how many patterns were added.
func (s *Set) Len() int { return s.size }

// Has reports whether a pattern of the set matches the origin, as Parse
// returned it. It does not allocate. The origin must be Serialized.
func (s *Set) Has(o Origin) bool {
	for i := range s.schemes {
		if s.schemes[i].name != o.Scheme {
			continue
		}
		search := s.schemes[i].hosts.Search(o.Host)
		for ports := search.Next(); ports != nil; ports = search.Next() {
			if ports.any {
				return true
			}
			if _, found := slices.BinarySearch(ports.ports, o.Port); found {
				return true
			}
		}
		return false
	}
	return false
}
