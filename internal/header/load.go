//go:build !wasm

package header

import (
	"encoding/binary"
	"unsafe"
)

// load64 reads eight bytes of b, which must have them.
func load64(b []byte, at uint64) uint64 { return binary.LittleEndian.Uint64(b[at:]) }

// load8 reads one byte of b, which must have it.
func load8(b []byte, at uint64) byte { return b[at] }

// Word is eight bytes of s, which must have them; the first one is the least
// significant.
func Word(s string, at int) uint64 { return binary.LittleEndian.Uint64(bytesOf(s)[at:]) }

// putWord writes the eight bytes of a Word into b, which must have room for them.
func putWord(b []byte, at int, word uint64) { binary.LittleEndian.PutUint64(b[at:], word) }

// half is four bytes of s.
func half(s string, at int) uint32 { return binary.LittleEndian.Uint32(bytesOf(s)[at:]) }

func bytesOf(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }
