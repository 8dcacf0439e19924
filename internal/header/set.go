package header

import "hash/maphash"

// MaxNameLen is the longest field name that a Set can hold, in bytes; a longer
// one in a request is not looked up at all.
const MaxNameLen = 256

// Set is a set of field names, compared without regard to case: a hash table of
// our own, since Go's would want the name in lower case, in memory that is cleared
// for each. The zero Set is empty. A Set must not be changed once requests are
// matched against it.
type Set struct {
	names   []string
	slots   []uint32 // places in names, from 1; a power of two, at most half taken
	longest int
}

const minSlots = 8

// hashSeed differs at each start, so that no configuration can be crafted to collide.
var hashSeed = uint32(maphash.String(maphash.MakeSeed(), ""))

// slot is where a name is, or the free slot where it would be.
func (s *Set) slot(name string) *uint32 {
	h := hashSeed
	for i := 0; i < len(name); i++ {
		h = (h ^ uint32(Lower(name[i]))) * 16777619
	}
	mask := uint32(len(s.slots) - 1)
	i := (h ^ h>>15) & mask
	for s.slots[i] != 0 && !equalLower(name, s.names[s.slots[i]-1]) {
		i = (i + 1) & mask
	}
	return &s.slots[i]
}

// Add puts a name in; it must be a token of at most MaxNameLen bytes, in lower
// case.
func (s *Set) Add(name string) {
	if s.Has(name) {
		return
	}
	s.names = append(s.names, name)
	s.longest = max(s.longest, len(name))
	if 2*len(s.names) <= len(s.slots) {
		*s.slot(name) = uint32(len(s.names))
		return
	}
	s.slots = make([]uint32, max(minSlots, 2*len(s.slots)))
	for i, name := range s.names {
		*s.slot(name) = uint32(i + 1)
	}
}

// Reset takes all names out.
func (s *Set) Reset() {
	clear(s.names)
	s.names = s.names[:0]
	clear(s.slots)
	s.longest = 0
}

// Has reports whether name is in the set. A name longer than every name of the
// set is refused by its length, so that a hostile one costs nothing.
func (s *Set) Has(name string) bool {
	return len(name) <= s.longest && name != "" && *s.slot(name) != 0
}
