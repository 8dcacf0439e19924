package abi

import "unsafe"

const (
	minScratch = 16 << 10
	maxScratch = 256 << 10
	// maxAllocation is more than any header map or configuration that Envoy
	// hands over; a host that asks for more gets nothing.
	maxAllocation = 64 << 20
)

// scratch is the memory that the host writes values into during a callback. It
// is used again for the next callback: the host keeps nothing, and what the
// filter keeps it copies. What does not fit gets an allocation of its own, and
// the area is made larger for the callbacks to come, up to maxScratch. Of larger
// allocations, which are configurations, the largest is kept for the next one.
type scratch struct {
	area    []byte
	used    int
	pinned  [][]byte // keeps the collector off while the host fills them
	missing int
	large   []byte // free
}

// reset makes all of the area free again. It is called where a callback starts.
func (s *scratch) reset() {
	s.used = 0
	if s.missing > 0 {
		s.regrow()
	}
}

func (s *scratch) regrow() {
	for _, own := range s.pinned {
		if cap(own) > max(maxScratch, len(s.large)) {
			s.large = own[:cap(own)]
		}
	}
	clear(s.pinned)
	s.pinned = s.pinned[:0]
	if want := len(s.area) + s.missing; want <= maxScratch {
		size := max(minScratch, len(s.area))
		for size < want {
			size *= 2
		}
		s.area = make([]byte, size)
	}
	s.missing = 0
}

// allocate returns n bytes, or nil where that is out of reason. It never panics,
// and for 0 bytes it returns an address all the same: a host takes 0 for a
// failure.
func (s *scratch) allocate(n uint32) unsafe.Pointer {
	if n > maxAllocation {
		return nil
	}
	if s.area == nil {
		s.area = make([]byte, minScratch)
	}
	size := (int(n) + 7) &^ 7
	if size == 0 {
		size = 8
	}
	if size <= len(s.area)-s.used {
		p := unsafe.Pointer(&s.area[s.used])
		s.used += size
		return p
	}
	own := s.large
	if size > maxScratch && size <= len(own) {
		own, s.large = own[:size], nil
	} else {
		own = make([]byte, size, s.room(size))
	}
	s.pinned = append(s.pinned, own)
	s.missing += size
	return unsafe.Pointer(&own[0])
}

// room is how many bytes an allocation of its own gets. A configuration that has
// outgrown the largest one may grow again, by a little each time.
func (s *scratch) room(size int) int {
	if n := len(s.large); n > 0 && size > n {
		return size + size/4
	}
	return size
}

// view returns the n bytes at an address that allocate gave out during this
// callback, or nil for any other.
func (s *scratch) view(address uintptr, n uint32) []byte {
	if b := within(s.area[:s.used], address, n); b != nil {
		return b
	}
	for _, own := range s.pinned {
		if b := within(own, address, n); b != nil {
			return b
		}
	}
	return nil
}

func within(area []byte, address uintptr, n uint32) []byte {
	base := uintptr(unsafe.Pointer(unsafe.SliceData(area)))
	if address < base || address-base > uintptr(len(area)) || uintptr(len(area))-(address-base) < uintptr(n) {
		return nil
	}
	return area[address-base:][:n]
}
