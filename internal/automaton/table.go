package automaton

// table finds the numbers of things by their hash: open addressing, a power of two
// of slots, at most half of them in use.
type table struct {
	slots  []uint32 // number+1; 0 is free
	hashes []uint32 // by number
}

func (t *table) reset() {
	clear(t.slots)
	t.hashes = t.hashes[:0]
}

// find returns the number of that hash for which same holds, or -1.
func (t *table) find(hash uint32, same func(number uint32) bool) int {
	if len(t.slots) == 0 {
		return -1
	}
	mask := uint32(len(t.slots) - 1)
	for i := hash & mask; t.slots[i] != 0; i = (i + 1) & mask {
		if number := t.slots[i] - 1; t.hashes[number] == hash && same(number) {
			return int(number)
		}
	}
	return -1
}

// add enters the next number; numbers that are left out are never found.
func (t *table) add(hash, number uint32) {
	for uint32(len(t.hashes)) <= number {
		t.hashes = append(t.hashes, 0)
	}
	t.hashes[number] = hash
	if 2*len(t.hashes) > len(t.slots) {
		old := t.slots
		t.slots = make([]uint32, max(64, 2*len(t.slots)))
		for _, entry := range old {
			if entry != 0 {
				t.put(t.hashes[entry-1], entry-1)
			}
		}
	}
	t.put(hash, number)
}

func (t *table) put(hash, number uint32) {
	mask := uint32(len(t.slots) - 1)
	i := hash & mask
	for t.slots[i] != 0 {
		i = (i + 1) & mask
	}
	t.slots[i] = number + 1
}
