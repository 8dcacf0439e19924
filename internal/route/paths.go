package route

import (
	"hash/maphash"
	"math/bits"

	"corsfilter/internal/header"
	"corsfilter/internal/origin"
)

// Kind says which paths a text means.
type Kind uint8

const (
	// Exact is the path itself.
	Exact Kind = iota
	// Below is the path and everything below it, by segment.
	Below
	// Letters is every path that begins with the text.
	Letters
	// Regex is a text that begins every path which some regex of a rule accepts; the rest
	// of the regex is in the rule's automata.
	Regex

	kinds = 4
)

// whole is a bit in a set of kinds: a Below that is the path itself, not a path above it.
const whole = 1 << kinds

const allKinds = 1<<kinds - 1 | whole

// pathMap numbers texts, each of a kind, in the order in which they are added. A look-up
// hashes the path from its start, eight bytes at a time, and consults the table at the
// lengths that texts have, so it costs the path's length, not the number of texts. It is for
// paths what origin.HostMap is for hosts.
type pathMap struct {
	slots   []pathSlot // a power of two, at most half of them taken
	entries []pathEntry
	lengths [kinds]uint64 // that texts of a kind have; see lengthBit
	longest int
}

type pathSlot struct {
	hash  uint32
	entry int32 // from 1; 0: free
}

type pathEntry struct {
	text string
	kind Kind
}

// lastLength is the bit that all lengths from it on share.
const lastLength = 63

func lengthBit(n int) uint64 { return 1 << min(n, lastLength) }

const minSlots = 8

// reset removes everything, and makes room for n texts.
func (m *pathMap) reset(n int) {
	size := minSlots
	for size < 2*n {
		size *= 2
	}
	if size > cap(m.slots) {
		m.slots = make([]pathSlot, size)
	}
	m.slots = m.slots[:size]
	clear(m.slots)
	*m = pathMap{slots: m.slots, entries: origin.Room(m.entries, n)}
}

// index returns the number of a text, and adds it if it is new. reset has made room for it.
func (m *pathMap) index(text string, kind Kind) int {
	hash, words := seed.addWords(text, 0, len(text))
	sum := hash.addRest(text, words, len(text)).sum(kind)
	if found := m.find(sum, text, kind); found >= 0 {
		return found
	}
	m.entries = append(m.entries, pathEntry{text, kind})
	m.lengths[kind] |= lengthBit(len(text))
	m.longest = max(m.longest, len(text))
	i := sum & m.mask()
	for m.slots[i].entry != 0 {
		i = (i + 1) & m.mask()
	}
	m.slots[i] = pathSlot{sum, int32(len(m.entries))}
	return len(m.entries) - 1
}

func (m *pathMap) mask() uint32 { return uint32(len(m.slots) - 1) }

// find returns the number of a text, or -1. It compares the texts too.
func (m *pathMap) find(hash uint32, text string, kind Kind) int {
	for i := hash & m.mask(); m.slots[i].entry != 0; i = (i + 1) & m.mask() {
		if m.slots[i].hash != hash {
			continue
		}
		if e := &m.entries[m.slots[i].entry-1]; e.kind == kind && header.Same(e.text, text) {
			return int(m.slots[i].entry - 1)
		}
	}
	return -1
}

// cursor is a search for the texts that a path begins with.
type cursor struct {
	hash  pathHash // of the words before the length
	words int
	n     int  // the length
	kind  Kind // to be tried next
}

// next returns the next entry that is of one of the kinds and applies to the path, shortest
// first, or -1. The zero cursor is at the start.
func (m *pathMap) next(c *cursor, path string, among uint8) int {
	end := min(len(path), m.longest)
	for c.n <= end {
		if c.kind == 0 {
			lengths := uint64(0)
			for kind := range m.lengths {
				if among&(1<<kind) != 0 {
					lengths |= m.lengths[kind]
				}
			}
			if lengths &= -lengthBit(c.n); lengths == 0 {
				break
			}
			c.n = max(c.n, bits.TrailingZeros64(lengths))
			if c.n > end {
				break
			}
		}
		for c.kind < kinds {
			kind := c.kind
			c.kind++
			if among&(1<<kind) == 0 || m.lengths[kind]&lengthBit(c.n) == 0 {
				continue
			}
			switch kind {
			case Exact:
				if c.n < len(path) {
					continue
				}
			case Below:
				if c.n < len(path) && path[c.n] != '/' || c.n == len(path) && among&whole == 0 {
					continue
				}
			}
			if c.words == 0 {
				c.hash = seed
			}
			c.hash, c.words = c.hash.addWords(path, c.words, c.n)
			if found := m.find(c.hash.addRest(path, c.words, c.n).sum(kind), path[:c.n], kind); found >= 0 {
				return found
			}
		}
		c.n++
		c.kind = 0
	}
	return -1
}

// pathHash is the hash of a path's begin.
type pathHash uint64

// seed differs from start to start, so that no configuration can be made to hit the
// same slots.
var seed = pathHash(maphash.String(maphash.MakeSeed(), "")) | 1

// factor is odd, and has no pattern.
const factor = 0x9E3779B97F4A7C15

func (h pathHash) add(word uint64) pathHash {
	h = (h ^ pathHash(word)) * factor
	return h ^ h>>32
}

// addWords adds the first n bytes of the path, of which so many words were added
// before, as far as they are whole words.
func (h pathHash) addWords(path string, words, n int) (pathHash, int) {
	for ; n-8*words >= 8; words++ {
		h = h.add(header.Word(path, 8*words))
	}
	return h, words
}

// addRest adds what is left of the first n bytes.
func (h pathHash) addRest(path string, words, n int) pathHash {
	switch rest := n - 8*words; {
	case rest == 0:
		return h
	case n > 8:
		return h.add(header.Word(path, n-8) >> (64 - 8*rest))
	}
	word := uint64(0)
	for i := n - 1; i >= 0; i-- {
		word = word<<8 | uint64(path[i])
	}
	return h.add(word)
}

func (h pathHash) sum(kind Kind) uint32 {
	return uint32((h + pathHash(kind)) * factor >> 32)
}
