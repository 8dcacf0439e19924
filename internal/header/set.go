package header

// MaxNameLen is the longest field name that a Set can hold, in bytes; a longer
// one in a request is not looked up at all.
const MaxNameLen = 256

// Set is a set of field names, compared without regard to case. The zero Set is
// empty. A Set must not be changed once requests are matched against it.
type Set struct {
	names   map[string]struct{}
	longest int
}

// Add puts a name in; it must be a token of at most MaxNameLen bytes, in lower
// case.
func (s *Set) Add(name string) {
	if s.names == nil {
		s.names = make(map[string]struct{})
	}
	s.names[name] = struct{}{}
	s.longest = max(s.longest, len(name))
}

// Reset takes all names out.
func (s *Set) Reset() {
	clear(s.names)
	s.longest = 0
}

// Has reports whether name is in the set. A name longer than every name of the
// set is refused by its length, so that a hostile one costs nothing.
func (s *Set) Has(name string) bool {
	if len(name) > s.longest {
		return false
	}
	var lower [MaxNameLen]byte
	_, ok := s.names[string(AppendLower(lower[:0], name))]
	return ok
}
