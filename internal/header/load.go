//go:build !wasm

package header

import "encoding/binary"

// load64 reads eight bytes of b, which must have them.
func load64(b []byte, at uint64) uint64 { return binary.LittleEndian.Uint64(b[at:]) }

// load8 reads one byte of b, which must have it.
func load8(b []byte, at uint64) byte { return b[at] }
