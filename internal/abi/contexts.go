package abi

import "github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/types"

// contexts maps context ids to streams: a hash table with linear probing. Go's
// own map would do, but under steady insertion and deletion of growing ids it
// rehashes into new memory now and then, and nothing is collected here. This one
// allocates only when more streams are open at once than ever before.
type contexts struct {
	slots []slot // a power of two, at most half of them taken
	taken int
}

type slot struct {
	id  uint32 // 0: free; hosts number contexts from 1
	ctx types.HttpContext
}

const minSlots = 64

func (c *contexts) home(id uint32) int {
	// Fibonacci hashing; ids that grow by one land far apart.
	return int((id * 2654435769) >> 7 & uint32(len(c.slots)-1))
}

// get returns the stream of the id, or nil.
func (c *contexts) get(id uint32) types.HttpContext {
	if c.taken == 0 || id == 0 {
		return nil
	}
	for i := c.home(id); c.slots[i].id != 0; i = (i + 1) & (len(c.slots) - 1) {
		if c.slots[i].id == id {
			return c.slots[i].ctx
		}
	}
	return nil
}

// put adds a stream, or replaces the one of that id.
func (c *contexts) put(id uint32, ctx types.HttpContext) {
	if id == 0 {
		return
	}
	if 2*(c.taken+1) > len(c.slots) {
		c.grow()
	}
	i := c.home(id)
	for c.slots[i].id != 0 && c.slots[i].id != id {
		i = (i + 1) & (len(c.slots) - 1)
	}
	if c.slots[i].id == 0 {
		c.taken++
	}
	c.slots[i] = slot{id, ctx}
}

func (c *contexts) grow() {
	old := c.slots
	c.slots = make([]slot, max(minSlots, 2*len(old)))
	c.taken = 0
	for _, s := range old {
		c.put(s.id, s.ctx)
	}
}

// remove takes a stream out and returns it, or nil.
func (c *contexts) remove(id uint32) types.HttpContext {
	if c.get(id) == nil {
		return nil
	}
	mask := len(c.slots) - 1
	i := c.home(id)
	for c.slots[i].id != id {
		i = (i + 1) & mask
	}
	removed := c.slots[i].ctx
	// Close the gap: what follows moves up unless that would put it before its
	// home. Marking the slot as deleted instead would fill the table with marks.
	for j := (i + 1) & mask; c.slots[j].id != 0; j = (j + 1) & mask {
		if (j-c.home(c.slots[j].id))&mask >= (j-i)&mask {
			c.slots[i] = c.slots[j]
			i = j
		}
	}
	c.slots[i] = slot{}
	c.taken--
	return removed
}
