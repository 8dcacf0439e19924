package host

import (
	"encoding/binary"
	"strings"
)

// Limits of Envoy for a serialized header map.
const (
	maxPairs     = 1024
	maxPairsSize = 1 << 20
)

// appendPairs serializes a header map: the number of entries, the sizes of each
// name and value, then each name and value with a NUL behind it.
func appendPairs(dst []byte, h *HeaderMap) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(h.pairs)))
	for i := range h.pairs {
		dst = binary.LittleEndian.AppendUint32(dst, uint32(len(h.pairs[i][0])))
		dst = binary.LittleEndian.AppendUint32(dst, uint32(len(h.pairs[i][1])))
	}
	for i := range h.pairs {
		dst = append(append(dst, h.pairs[i][0]...), 0)
		dst = append(append(dst, h.pairs[i][1]...), 0)
	}
	return dst
}

// parsePairs reads such a buffer. It must end exactly behind the last NUL; of a
// malformed one nothing is taken, and nobody is told: so does Envoy.
func parsePairs(b []byte) *HeaderMap {
	empty := NewHeaderMap()
	if len(b) < 4 || len(b) > maxPairsSize {
		return empty
	}
	n := binary.LittleEndian.Uint32(b)
	if n > maxPairs || uint64(len(b)) < 4+8*uint64(n) {
		return empty
	}
	sizes, text := b[4:4+8*n], b[4+8*n:]
	h := NewHeaderMap()
	next := func(size uint32) (string, bool) {
		if uint64(size)+1 > uint64(len(text)) || text[size] != 0 {
			return "", false
		}
		s := string(text[:size])
		text = text[size+1:]
		return s, true
	}
	for ; len(sizes) > 0; sizes = sizes[8:] {
		name, ok := next(binary.LittleEndian.Uint32(sizes))
		if !ok {
			return empty
		}
		value, ok := next(binary.LittleEndian.Uint32(sizes[4:]))
		if !ok {
			return empty
		}
		// They are joined where they are added to the response.
		h.pairs = append(h.pairs, [2]string{strings.ToLower(name), value})
	}
	if len(text) != 0 {
		return empty
	}
	return h
}
