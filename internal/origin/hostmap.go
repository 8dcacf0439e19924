package origin

import (
	"hash/maphash"
	"math/bits"

	"corsfilter/internal/header"
)

// HostMap numbers hosts, and names with all hosts below them, each under a scheme, in the
// order in which they are added. Callers keep what belongs to them in slices. A look-up
// reads the host from its end, eight bytes at a time, and consults a hash table at each
// dot. So its cost depends on the host's length and the entries that apply, not on the
// number of entries, and an entry takes the same memory however many labels it has. (A tree
// over the labels was rejected: ten thousand names of 120 labels made a million nodes.) The
// zero HostMap is empty; it must not be changed while it is searched.
type HostMap struct {
	slots   []hostSlot // a power of two, at most half of them taken
	entries []hostEntry
	text    []byte // of the entries, so that they hold no pointers: see hostEntry
	longest int
	below   uint64 // the lengths of names below which all hosts are in it; see lengthBit
}

// lengthBit is the bit of a length; all lengths from 63 share one.
func lengthBit(n int) uint64 { return 1 << min(n, 63) }

// lengthsBelow has the bits of all lengths less than n. For n of 64 and more those are all
// bits, because the one is shifted out.
func lengthsBelow(n int) uint64 { return 1<<n - 1 }

type hostSlot struct {
	hash  uint32
	entry int32 // from 1; 0: free
}

// hostEntry is the position of scheme and host in the text. Strings would be pointers into
// the text of a configuration, whose start TinyGo's collector searches 16 bytes at a time:
// with sixty policies of five thousand origins a collection took 50 seconds.
type hostEntry struct {
	at           uint32
	scheme, host uint32 // their lengths
	below        bool
}

func (m *HostMap) scheme(e *hostEntry) string { return header.AsString(m.text[e.at:][:e.scheme]) }
func (m *HostMap) host(e *hostEntry) string   { return header.AsString(m.text[e.at+e.scheme:][:e.host]) }

const minSlots = 8

// Reset removes everything, and makes room for n entries whose schemes and hosts have the
// given number of bytes, so that adding them allocates nothing. It overwrites what was
// there.
func (m *HostMap) Reset(n, bytes int) {
	size := 0
	if n > 0 {
		size = minSlots
	}
	for size < 2*n {
		size *= 2
	}
	if size > cap(m.slots) {
		m.slots = make([]hostSlot, size)
	}
	m.slots = m.slots[:size]
	clear(m.slots)
	m.entries, m.text, m.longest, m.below = Room(m.entries, n), Room(m.text, bytes), 0, 0
}

// Room returns an empty slice for n values, in the memory of the old one if they fit. A
// slice that has grown once may grow again, by a little each time, so it gets some more
// than n.
func Room[E any](old []E, n int) []E {
	switch {
	case n <= cap(old):
		return old[:0]
	case cap(old) == 0:
		return make([]E, 0, n)
	}
	return make([]E, 0, n+n/4)
}

// Len returns how many entries there are.
func (m *HostMap) Len() int { return len(m.entries) }

// Index returns the number of the host, or of all hosts below it if below is set, and adds
// it if it is new.
func (m *HostMap) Index(scheme, host string, below bool) int {
	if len(m.slots) == 0 {
		m.slots = make([]hostSlot, minSlots)
	}
	hash := hashOf(scheme).addAll(host).sum(below)
	if found := m.find(hash, scheme, host, below); found >= 0 {
		return found
	}
	m.entries = append(m.entries, hostEntry{uint32(len(m.text)), uint32(len(scheme)), uint32(len(host)), below})
	m.text = append(append(m.text, scheme...), host...)
	m.longest = max(m.longest, len(host))
	if below {
		m.below |= lengthBit(len(host))
	}
	m.take(hostSlot{hash, int32(len(m.entries))})
	if 2*len(m.entries) > len(m.slots) {
		old := m.slots
		m.slots = make([]hostSlot, 2*len(old))
		for _, slot := range old {
			if slot.entry != 0 {
				m.take(slot)
			}
		}
	}
	return len(m.entries) - 1
}

func (m *HostMap) mask() uint32 { return uint32(len(m.slots) - 1) }

// take puts an entry into a free slot.
func (m *HostMap) take(slot hostSlot) {
	i := slot.hash & m.mask()
	for m.slots[i].entry != 0 {
		i = (i + 1) & m.mask()
	}
	m.slots[i] = slot
}

// find returns the number of the entry, or -1. It compares the hosts too, because hashes can
// be equal by chance or on purpose.
func (m *HostMap) find(hash uint32, scheme, host string, below bool) int {
	for i := hash & m.mask(); m.slots[i].entry != 0; i = (i + 1) & m.mask() {
		if m.slots[i].hash != hash {
			continue
		}
		e := &m.entries[m.slots[i].entry-1]
		if e.below == below && header.Same(m.host(e), host) && header.Same(m.scheme(e), scheme) {
			return int(m.slots[i].entry - 1)
		}
	}
	return -1
}

// First starts a search of the entries that apply to the host, from the widest wildcard
// to the host itself, and returns the first one's number, or -1 where there is none.
// next is where Next continues. Scheme and host must be in lower case.
func (m *HostMap) First(scheme, host string) (entry, next int) {
	if len(m.entries) == 0 {
		return -1, -1
	}
	return m.Next(scheme, host, len(host))
}

// Next continues a search after the entry that it found last. Its only state is a number,
// the last dot that was looked at, or -1 if the search is over: an iterator would be
// copied, which is a call in wasm.
func (m *HostMap) Next(scheme, host string, at int) (entry, next int) {
	if at < 0 {
		return -1, -1
	}
	if m.below&lengthsBelow(len(host)) == 0 {
		at = 0 // no wildcard has a name that is shorter than the host
	}
	hash, words := schemeHash(scheme), 0
	for at > 0 {
		at = lastDot(host[:at])
		n := len(host) - at - 1
		// Nothing precedes a leading dot, and a name that is longer than every entry is
		// not read.
		if at <= 0 || n > m.longest {
			break
		}
		if m.below&lengthBit(n) == 0 {
			continue
		}
		hash, words = hash.addWords(host, words, n)
		if found := m.find(hash.addRest(host, n).sum(true), scheme, host[at+1:], true); found >= 0 {
			return found, at
		}
	}
	if len(host) > m.longest {
		return -1, -1
	}
	hash, _ = hash.addWords(host, words, len(host))
	return m.find(hash.addRest(host, len(host)).sum(false), scheme, host, false), -1
}

// hostHash is the hash of a scheme and the end of a host.
type hostHash uint64

// hashSeed differs at each start, so that no configuration can be crafted to collide.
var hashSeed = hostHash(maphash.String(maphash.MakeSeed(), ""))

// factor is odd and has no pattern. No bit of a product depends on higher bits, so the upper
// half is folded into the lower one after each multiplication.
const factor = 0x9E3779B97F4A7C15

func (h hostHash) add(word uint64) hostHash {
	h = (h ^ hostHash(word)) * factor
	return h ^ h>>32
}

// addWords adds the whole words of the host's last n bytes, except those that were already
// added.
func (h hostHash) addWords(host string, words, n int) (hostHash, int) {
	for ; n-8*words >= 8; words++ {
		h = h.add(header.Word(host, len(host)-8*words-8))
	}
	return h, words
}

// addRest adds the remainder of the host's last n bytes.
func (h hostHash) addRest(host string, n int) hostHash {
	first := host[len(host)-n:]
	switch rest := n % 8; {
	case rest == 0:
		return h
	case n > 8:
		return h.add(header.Word(first, 0) << (64 - 8*rest))
	}
	return h.add(short(first))
}

func (h hostHash) addAll(host string) hostHash {
	h, _ = h.addWords(host, 0, len(host))
	return h.addRest(host, len(host))
}

func (h hostHash) sum(below bool) uint32 {
	sum := uint32(h * factor >> 32)
	if below {
		sum = ^sum
	}
	return sum
}

var httpsHash = hashOf("https")

// schemeHash is hashOf, precomputed for the common schemes.
func schemeHash(scheme string) hostHash {
	if header.Is(scheme, "https") {
		return httpsHash
	}
	return hashOf(scheme)
}

// hashOf is the hash of a scheme.
func hashOf(scheme string) hostHash { return hashSeed.addAll(scheme) }

// short is a string of less than eight bytes as a number.
func short(s string) (word uint64) {
	for i := 0; i < len(s); i++ {
		word = word<<8 | uint64(s[i])
	}
	return word
}

// lastDot returns the position of the last dot of s, or -1.
func lastDot(s string) int {
	const dots, low = 0x2e2e2e2e2e2e2e2e, 0x7f7f7f7f7f7f7f7f
	end := len(s)
	for ; end >= 8; end -= 8 {
		// The highest bit of each byte that is a dot, and no other.
		word := header.Word(s, end-8) ^ dots
		if found := ^(word&low + low | word | low); found != 0 {
			return end - 1 - bits.LeadingZeros64(found)/8
		}
	}
	for end--; end >= 0 && s[end] != '.'; end-- {
	}
	return end
}
