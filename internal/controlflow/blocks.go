package controlflow

import "encoding/binary"

// The runtime takes what it keeps for ever from blocks of 256 KiB, of which it needs a
// quarter before there is a processor, and one more, for the processor, of which it
// needs a few hundred bytes: with the heap's arenas, which are aligned to 512 KiB, a
// module that has started takes 256 KiB less where a block is half as large. A block
// must hold 64 KiB and a link: what is larger is not taken from one. See
// runtime.persistentalloc1 of Go's sources.
const (
	blockSize     = 256 << 10
	halfBlockSize = blockSize / 2
	blocksNamed   = "runtime.persistentalloc1"
)

// halveBlocks makes the blocks half as large, and reports whether it did: whether the
// function is there, and has their size where it asks whether one is full, and where it
// gets another.
func (m *module) halveBlocks() bool {
	for index, name := range m.names {
		if name != blocksNamed {
			continue
		}
		body := m.bodies[index-m.imports]
		r := &reader{b: body}
		r.skipLocals()
		halved, sizes := append([]byte(nil), body[:r.at]...), 0
		for r.more() {
			in := r.instruction()
			if in.op == opI64Const && (&reader{b: in.raw[1:]}).signed() == blockSize {
				sizes++
				in.raw = appendSigned([]byte{opI64Const}, halfBlockSize)
			}
			halved = append(halved, in.raw...)
		}
		if sizes == 2 {
			m.bodies[index-m.imports] = halved
			return true
		}
	}
	return false
}

// appendSigned appends a number that is not negative, with room for its sign.
func appendSigned(b []byte, n uint64) []byte {
	b = binary.AppendUvarint(b, n)
	if last := len(b) - 1; b[last]&0x40 != 0 {
		b[last] |= 0x80
		b = append(b, 0)
	}
	return b
}
