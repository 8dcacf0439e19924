package header

import "unsafe"

// load64 reads eight bytes of b, which must have them. Otherwise the compiler reads
// one after the other for this architecture.
func load64(b []byte, at uint64) uint64 {
	return *(*uint64)(unsafe.Add(unsafe.Pointer(unsafe.SliceData(b)), at))
}

// load8 reads one byte of b, which must have it.
func load8(b []byte, at uint64) byte {
	return *(*byte)(unsafe.Add(unsafe.Pointer(unsafe.SliceData(b)), at))
}

// Word is eight bytes of s, which must have them; the first one is the least
// significant.
func Word(s string, at int) uint64 {
	return *(*uint64)(unsafe.Add(unsafe.Pointer(unsafe.StringData(s)), at))
}

// putWord writes the eight bytes of a Word into b, which must have room for them.
func putWord(b []byte, at int, word uint64) {
	*(*uint64)(unsafe.Add(unsafe.Pointer(unsafe.SliceData(b)), at)) = word
}

// half is four bytes of s.
func half(s string, at int) uint32 {
	return *(*uint32)(unsafe.Add(unsafe.Pointer(unsafe.StringData(s)), at))
}
