package hostcall

import "unsafe"

const (
	minScratch = 16 << 10
	maxScratch = 256 << 10
	// maxAllocation is more than any header map or configuration that Envoy
	// hands over; a host that asks for more gets nothing.
	maxAllocation = 64 << 20
)

// maxSpare is how many allocations of their own are kept: a callback makes three
// at most, and one is room for the next configuration.
const maxSpare = 4

// scratch is the memory that the host writes values into during a callback. It
// is used again for the next callback: the host keeps nothing, and what the
// filter keeps it copies. What does not fit gets an allocation of its own, and
// the area is made larger for the callbacks to come, up to maxScratch. Beyond
// that the allocations themselves are kept for the next ones, the largest first:
// a client that sends huge headers again and again must leave no garbage.
type scratch struct {
	area    []byte
	used    int
	missing int
	pinned  [][]byte         // keeps the collector off while the host fills them
	spare   [maxSpare][]byte // free, the largest first
}

// reset makes all of the area free again. It is called where a callback starts.
func (s *scratch) reset() {
	s.used = 0
	if s.missing > 0 {
		s.regrow()
	}
}

func (s *scratch) regrow() {
	if want := len(s.area) + s.missing; want <= maxScratch {
		size := max(minScratch, len(s.area))
		for size < want {
			size *= 2
		}
		s.area = make([]byte, size)
	} else {
		for _, own := range s.pinned {
			s.keep(own[:cap(own)])
		}
	}
	clear(s.pinned)
	s.pinned = s.pinned[:0]
	s.missing = 0
}

// keep puts an allocation to the spare ones; the smallest falls out.
func (s *scratch) keep(own []byte) {
	for i := range s.spare {
		if len(own) > len(s.spare[i]) {
			own, s.spare[i] = s.spare[i], own
		}
	}
}

// allocate returns n bytes, or nil where that is out of reason. It never panics,
// and for 0 bytes it returns an address all the same: a host takes 0 for a
// failure.
func (s *scratch) allocate(n uint32) unsafe.Pointer {
	// For 0 bytes 8, without a branch.
	if size := roundUp(n); size <= uint64(len(s.area)-s.used) {
		p := unsafe.Add(unsafe.Pointer(unsafe.SliceData(s.area)), s.used)
		s.used += int(size)
		return p
	}
	return s.allocateMore(n)
}

// roundUp is the next multiple of 8, and 8 for 0.
func roundUp(n uint32) uint64 {
	none := (uint64(n) - 1) >> 63 // 1 for 0
	return (uint64(n) + 7 + none) &^ 7
}

// allocateMore is for the first allocation of all, and for what does not fit.
func (s *scratch) allocateMore(n uint32) unsafe.Pointer {
	if n > maxAllocation {
		return nil
	}
	size := int(roundUp(n))
	if s.area == nil {
		s.area = make([]byte, minScratch)
		if size <= minScratch {
			s.used = size
			return unsafe.Pointer(unsafe.SliceData(s.area))
		}
	}
	own := s.take(size)
	if own == nil {
		own = make([]byte, size, s.room(size))
	}
	s.pinned = append(s.pinned, own)
	s.missing += size
	return unsafe.Pointer(&own[0])
}

// take returns the smallest spare allocation that is large enough, or nil.
func (s *scratch) take(size int) (own []byte) {
	for i := maxSpare - 1; i >= 0; i-- {
		if size > len(s.spare[i]) {
			continue
		}
		own = s.spare[i][:size]
		copy(s.spare[i:], s.spare[i+1:])
		s.spare[maxSpare-1] = nil
		return own
	}
	return nil
}

// room is how many bytes an allocation of its own gets. A configuration that has
// outgrown the largest one may grow again, by a little each time.
func (s *scratch) room(size int) int {
	if n := len(s.spare[0]); n > 0 && size > n {
		return size + size/4
	}
	return size
}

// view returns the n bytes at an address that allocate gave out during this
// callback, or nil for any other.
func (s *scratch) view(address uintptr, n uint32) []byte {
	// What lies before the area is far behind it when counted without a sign.
	base := unsafe.Pointer(unsafe.SliceData(s.area))
	if at := address - uintptr(base); at < uintptr(s.used) && uintptr(n) <= uintptr(s.used)-at {
		// unsafe.Slice would call a function for the product of two sizes.
		return (*[maxAllocation]byte)(unsafe.Add(base, at))[:n:n]
	}
	return s.viewPinned(address, n)
}

func (s *scratch) viewPinned(address uintptr, n uint32) []byte {
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
