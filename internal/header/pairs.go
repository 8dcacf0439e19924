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

// Names are names of interest among many. They are told from nearly all others by
// their length and their last byte, which costs less than to look at them.
type Names [64]uint64 // by length: a bit for each last byte, of which six bits count

// NamesOf returns the names, which are shorter than 64 bytes.
func NamesOf(names ...string) (n Names) {
	for _, name := range names {
		n[len(name)] |= 1 << (name[len(name)-1] & 63)
	}
	return n
}

// has is not 0 where the name at a place of b may be among them. sizes are those of
// the entry, the name's in the lower half.
func (n *Names) has(b []byte, at, sizes uint64) uint64 {
	nameLen := sizes & 0xffffffff
	// The byte before an empty name is one of this buffer as well. Of a length that
	// is not in the table the last factor is 0.
	return n[nameLen%64] >> (load8(b, at+nameLen-1) & 63) & ((nameLen - 64) >> 63)
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
	at := end // of the entry's name
	// A branch that is taken costs as much as the rest of an entry, and nearly all
	// entries are of no interest: four of them are passed over at once.
	for size := uint64(sizeLen); size < end; size += 2 * sizeLen {
		if end-size >= 4*2*sizeLen {
			one, two, three, four := load64(b, size), load64(b, size+8), load64(b, size+16), load64(b, size+24)
			atTwo := at + one&0xffffffff + one>>32 + 2
			atThree := atTwo + two&0xffffffff + two>>32 + 2
			atFour := atThree + three&0xffffffff + three>>32 + 2
			next := atFour + four&0xffffffff + four>>32 + 2
			if next <= uint64(len(b)) && wanted.has(b, at, one)|wanted.has(b, atTwo, two)|wanted.has(b, atThree, three)|wanted.has(b, atFour, four) == 0 {
				at = next
				size += 3 * 2 * sizeLen
				continue
			}
		}
		sizes := load64(b, size)
		nameLen := sizes & 0xffffffff
		next := at + nameLen + sizes>>32 + 2
		if next > uint64(len(b)) {
			return false
		}
		if wanted.has(b, at, sizes) != 0 {
			v.VisitHeader(AsString(b[at:at+nameLen]), AsString(b[at+nameLen+1:next-1]))
		}
		at = next
	}
	return true
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
