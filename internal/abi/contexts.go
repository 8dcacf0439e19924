package abi

import "corsfilter/filter"

// contexts maps context ids to streams. Proxies number contexts one after the
// other, so that a stream is nearly always found where its id's low bits say; one
// that lives long, while others come and go by the hundred, has moved to a table
// by then, when its place was needed.
type contexts struct {
	others table
	recent [recentStreams]slot
}

const recentStreams = 256 // a power of two

type slot struct {
	id     uint32 // 0: free; hosts number contexts from 1
	stream *filter.Stream
}

// get returns the stream of the id, or nil.
func (c *contexts) get(id uint32) *filter.Stream {
	if s := &c.recent[id%recentStreams]; s.id == id {
		return s.stream
	}
	return c.others.get(id)
}

// put adds a stream, or replaces the one of that id.
func (c *contexts) put(id uint32, stream *filter.Stream) {
	s := &c.recent[id%recentStreams]
	if s.id|uint32(c.others.taken) != 0 || id == 0 {
		if !c.move(id, s) {
			return
		}
	}
	s.id, s.stream = id, stream
}

// move makes way for a stream of the id where the place that its id's low bits say
// is taken, or another one of that id is elsewhere.
func (c *contexts) move(id uint32, s *slot) bool {
	if id == 0 {
		return false
	}
	if s.id != id && s.id != 0 {
		c.others.put(s.id, s.stream)
	}
	c.others.remove(id)
	return true
}

// remove takes a stream out and returns it, or nil.
func (c *contexts) remove(id uint32) *filter.Stream {
	if s := &c.recent[id%recentStreams]; s.id == id {
		stream := s.stream
		s.id, s.stream = 0, nil
		return stream
	}
	return c.others.remove(id)
}

// table is a hash table with linear probing. Go's own map would do, but under
// steady insertion and deletion of growing ids it rehashes into new memory now and
// then, and nothing is collected here. This one allocates only when more streams
// are in it at once than ever before.
type table struct {
	slots []slot // a power of two, at most half of them taken
	taken int
}

const minSlots = 64

func (c *table) home(id uint32) int {
	// Fibonacci hashing; ids that grow by one land far apart.
	return int((id * 2654435769) >> 7 & uint32(len(c.slots)-1))
}

func (c *table) get(id uint32) *filter.Stream {
	if c.taken == 0 || id == 0 {
		return nil
	}
	for i := c.home(id); c.slots[i].id != 0; i = (i + 1) & (len(c.slots) - 1) {
		if c.slots[i].id == id {
			return c.slots[i].stream
		}
	}
	return nil
}

func (c *table) put(id uint32, stream *filter.Stream) {
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
	c.slots[i] = slot{id, stream}
}

func (c *table) grow() {
	old := c.slots
	c.slots = make([]slot, max(minSlots, 2*len(old)))
	c.taken = 0
	for _, s := range old {
		if s.id != 0 {
			c.put(s.id, s.stream)
		}
	}
}

func (c *table) remove(id uint32) *filter.Stream {
	if c.get(id) == nil {
		return nil
	}
	mask := len(c.slots) - 1
	i := c.home(id)
	for c.slots[i].id != id {
		i = (i + 1) & mask
	}
	removed := c.slots[i].stream
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

// pluginTable maps context ids to plugins. There are few, and nearly every look-up
// is for the same one as the last.
type pluginTable struct {
	all  map[uint32]*filter.Plugin
	id   uint32 // of last; 0: none
	last *filter.Plugin
}

func (t *pluginTable) get(id uint32) *filter.Plugin {
	if id != t.id || id == 0 {
		t.look(id)
	}
	return t.last
}

func (t *pluginTable) look(id uint32) { t.id, t.last = id, t.all[id] }

func (t *pluginTable) put(id uint32, plugin *filter.Plugin) {
	if t.all == nil {
		t.all = map[uint32]*filter.Plugin{}
	}
	t.all[id] = plugin
	t.id, t.last = id, plugin
}

func (t *pluginTable) remove(id uint32) *filter.Plugin {
	plugin := t.all[id]
	delete(t.all, id)
	t.id, t.last = 0, nil
	return plugin
}
