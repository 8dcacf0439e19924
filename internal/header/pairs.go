package header

import "encoding/binary"

// Header maps cross proxy-wasm's ABI as one buffer, called pairs here: the number
// of entries, then for each the sizes of name and value, then each name and value
// with a NUL behind it. Numbers are 32 bits, least significant byte first.

const sizeLen = 4

// Entry is one entry of a header map; Name is in lower case.
type Entry struct {
	Name, Value string
}

// AppendPairs appends the entries in that form. The buffer ends exactly behind the
// last NUL: Envoy takes a longer one for malformed and drops all headers without a
// word.
func AppendPairs[E ~struct{ Name, Value string }](dst []byte, entries []E) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(entries)))
	for i := range entries {
		e := Entry(entries[i])
		dst = binary.LittleEndian.AppendUint32(dst, uint32(len(e.Name)))
		dst = binary.LittleEndian.AppendUint32(dst, uint32(len(e.Value)))
	}
	for i := range entries {
		e := Entry(entries[i])
		dst = append(append(dst, e.Name...), 0)
		dst = append(append(dst, e.Value...), 0)
	}
	return dst
}

// Visitor takes the entries of a header map one by one.
type Visitor interface {
	VisitHeader(name, value string)
}

// Names are names of interest among many. They are distinguished from nearly all others by
// their length and their last byte, of which six bits each count: that costs less
// than to look at them.
type Names struct {
	lengths uint64     // a bit for each
	last    [64]uint64 // by length: a bit for each last byte
}

// NamesOf returns the names, of which none is empty.
func NamesOf(names ...string) (n Names) {
	for _, name := range names {
		n.lengths |= 1 << (len(name) % 64)
		n.last[len(name)%64] |= 1 << (name[len(name)-1] % 64)
	}
	return n
}

// VisitPairs visits the entries of a buffer whose names are among wanted, and a few
// others. It reports false, and visits none or the first ones only, where the
// buffer is cut short. The strings share the buffer's memory.
func VisitPairs(b []byte, wanted *Names, v Visitor) bool {
	if len(b) == 0 {
		return true
	}
	if len(b) < 2*sizeLen {
		return len(b) == sizeLen && binary.LittleEndian.Uint32(b) == 0
	}
	n := load64(b, 0) & 0xffffffff
	if n > uint64(len(b)-sizeLen)/(2*sizeLen) {
		return false
	}
	end := sizeLen + n*2*sizeLen
	for size, at := uint64(sizeLen), end; ; size += 2 * sizeLen {
		if size, at = wanted.skip(b, size, at, end); size == end {
			return at <= uint64(len(b)) // else the last ones are cut short
		}
		sizes := load64(b, size)
		nameLen := sizes & 0xffffffff
		next := at + nameLen + sizes>>32 + 2
		if next > uint64(len(b)) {
			return false
		}
		v.VisitHeader(AsString(b[at:at+nameLen]), AsString(b[at+nameLen+1:next-1]))
		at = next
	}
}

// skip passes over the entries that are of no interest: it returns where the sizes
// and the name of the next one are that may be, or of one that is cut short. Lengths
// come first: most names need not be read. It calls nothing, and so its few variables
// stay in registers: in wasm that gains as much as looking at several entries together,
// which was tried with 4, 8 and 16.
func (n *Names) skip(b []byte, size, at, end uint64) (nextSize, nextAt uint64) {
	lengths := n.lengths
	for size < end {
		sizes := load64(b, size)
		next := at + sizes&0xffffffff + sizes>>32 + 2
		if lengths>>(sizes&63)&1 != 0 {
			// The byte before an empty name is one of this buffer as well.
			if next > uint64(len(b)) || n.last[sizes%64]>>(load8(b, at+sizes&0xffffffff-1)&63)&1 != 0 {
				break
			}
		}
		size, at = size+2*sizeLen, next
	}
	return size, at
}

// Entries returns the entries of a buffer, as copies; nil where it is cut short.
func Entries(b []byte) (entries [][2]string) {
	if len(b) < sizeLen {
		return nil
	}
	n := int(binary.LittleEndian.Uint32(b))
	sizes, rest := b[sizeLen:], b[min(sizeLen+n*2*sizeLen, len(b)):]
	for range n {
		if len(sizes) < 2*sizeLen {
			return nil
		}
		name, value := int(binary.LittleEndian.Uint32(sizes)), int(binary.LittleEndian.Uint32(sizes[sizeLen:]))
		if name+value+2 > len(rest) {
			return nil
		}
		entries = append(entries, [2]string{string(rest[:name]), string(rest[name+1 : name+1+value])})
		sizes, rest = sizes[2*sizeLen:], rest[name+value+2:]
	}
	return entries
}

// FirstValue is where the value of the first entry begins, of which there must be
// one.
func FirstValue(b []byte) int {
	return sizeLen + int(binary.LittleEndian.Uint32(b))*2*sizeLen + int(binary.LittleEndian.Uint32(b[sizeLen:])) + 1
}

// SetFirstSize writes the size of the first entry's value, of which there must be
// one.
func SetFirstSize(b []byte, size int) {
	binary.LittleEndian.PutUint32(b[2*sizeLen:], uint32(size))
}
