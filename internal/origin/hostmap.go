package origin

import (
	"hash/maphash"
	"math/bits"

	"corsfilter/internal/header"
)

// HostMap numbers hosts, and all hosts below a name, each under a scheme, in the
// order in which they are added: what belongs to them stands in slices beside it.
// A look-up reads the host, from its end and eight bytes at a time, and asks a hash
// table at each dot, so that it costs the length of the host for each entry that
// applies, and not the number of entries; an entry takes the same memory however many
// labels it has. (A tree over the labels was tried: ten thousand names of 120 labels
// made it a million nodes.) The zero HostMap is empty; it must not be changed while it
// is searched.
type HostMap struct {
	slots   []hostSlot // a power of two, at most half of them taken
	entries []hostEntry
	text    []byte // of the entries, so that they hold no pointers: see hostEntry
	longest int
	below   uint64 // the lengths of names below which all hosts are in it; see lengthBit
}

// lengthBit stands for a length, and for all from 63 on.
func lengthBit(n int) uint64 { return 1 << min(n, 63) }

// lengthsBelow stands for all lengths less than n. From 64 on those are all bits: the
// one is shifted out.
func lengthsBelow(n int) uint64 { return 1<<n - 1 }

type hostSlot struct {
	hash  uint32
	entry int32 // from 1; 0: free
}

// hostEntry says where scheme and host stand in the text. Strings would be pointers
// into the text of a configuration, of which TinyGo's collector looks for the beginning
// 16 bytes at a time: with sixty policies of five thousand origins a collection took 50
// seconds.
type hostEntry struct {
	at           uint32
	scheme, host uint32 // their lengths
	below        bool
}

func (m *HostMap) scheme(e *hostEntry) string { return header.AsString(m.text[e.at:][:e.scheme]) }
func (m *HostMap) host(e *hostEntry) string   { return header.AsString(m.text[e.at+e.scheme:][:e.host]) }

const minSlots = 8

// Reset takes everything out, and makes room for n entries whose schemes and hosts have
// so many bytes: adding them allocates nothing more. What was there is overwritten.
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

// Room returns an empty slice for n values, in the memory of the old one where it
// fits. What has grown once may grow again, by a little each time, and so it gets
// some more.
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

// Index returns the number of the host, or of all hosts below it where below is
// set, and adds it where it was not there.
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

// find returns the number of the entry, or -1. Comparing the hosts is what makes
// it certain: hashes can be equal by chance, or because somebody wants them to.
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
// next is where Next goes on. Scheme and host must be in lower case.
func (m *HostMap) First(scheme, host string) (entry, next int) {
	if len(m.entries) == 0 {
		return -1, -1
	}
	return m.Next(scheme, host, len(host))
}

// Next goes on with a search behind the entry that it found last. All that it needs to
// know of it is a number, the dot that was looked at last, or -1 where the search is
// over: an iterator would be copied, in wasm by a call.
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
		// In front of a dot that comes first there is nothing, and what does not fit any
		// entry is not read.
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

// hashSeed differs from start to start, so that no configuration can be made to
// hit the same slots.
var hashSeed = hostHash(maphash.String(maphash.MakeSeed(), ""))

// factor is odd, and has no pattern. A bit of a product depends on no bit above it, so
// that after each multiplication the upper half goes to the lower one.
const factor = 0x9E3779B97F4A7C15

func (h hostHash) add(word uint64) hostHash {
	h = (h ^ hostHash(word)) * factor
	return h ^ h>>32
}

// addWords adds the last n bytes of the host, of which so many words were added before,
// as far as they are whole words.
func (h hostHash) addWords(host string, words, n int) (hostHash, int) {
	for ; n-8*words >= 8; words++ {
		h = h.add(header.Word(host, len(host)-8*words-8))
	}
	return h, words
}

// addRest adds what is left of the last n bytes of the host.
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

// schemeHash is hashOf, made beforehand for nearly all.
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

// lastDot returns where the last dot of s is, or -1.
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
