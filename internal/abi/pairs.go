package abi

import (
	"encoding/binary"

	"corsfilter/filter"
	"corsfilter/internal/header"
)

// Header maps cross the ABI as one buffer: the number of entries, then for each
// the sizes of name and value, then each name and value with a NUL behind it.
// Numbers are 32 bits, least significant byte first.

const sizeLen = 4

// appendPairs appends the headers in that form. The buffer ends exactly behind
// the last NUL: Envoy takes a longer one for malformed and drops all headers
// without a word.
func appendPairs(dst []byte, headers []filter.Header) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(headers)))
	for _, h := range headers {
		dst = binary.LittleEndian.AppendUint32(dst, uint32(len(h.Name)))
		dst = binary.LittleEndian.AppendUint32(dst, uint32(len(h.Value)))
	}
	for _, h := range headers {
		dst = append(append(dst, h.Name...), 0)
		dst = append(append(dst, h.Value...), 0)
	}
	return dst
}

// visitPairs visits the entries of such a buffer; it reports false, and visits
// none or the first ones only, where the buffer is cut short.
func visitPairs(b []byte, v filter.HeaderVisitor) bool {
	if len(b) == 0 {
		return true
	}
	if len(b) < sizeLen {
		return false
	}
	n := uint64(binary.LittleEndian.Uint32(b))
	if n > uint64(len(b)-sizeLen)/(2*sizeLen) {
		return false
	}
	sizes, text := b[sizeLen:sizeLen+n*2*sizeLen], b[sizeLen+n*2*sizeLen:]
	for ; len(sizes) > 0; sizes = sizes[2*sizeLen:] {
		name := uint64(binary.LittleEndian.Uint32(sizes))
		value := uint64(binary.LittleEndian.Uint32(sizes[sizeLen:]))
		if name+value+2 > uint64(len(text)) {
			return false
		}
		v.VisitHeader(header.AsString(text[:name]), header.AsString(text[name+1:name+1+value]))
		text = text[name+value+2:]
	}
	return true
}
