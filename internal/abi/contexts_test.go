package abi

import (
	"testing"

	"pgregory.net/rapid"

	"corsfilter/filter"
)

type fatal interface{ Fatalf(string, ...any) }

func checkContexts(t fatal, c *contexts, model map[uint32]*filter.Stream) {
	for id, want := range model {
		if got := c.get(id); got != want {
			t.Fatalf("get(%d) = %p, want %p", id, got, want)
		}
	}
	recent := checkSlots(t, c.recent[:])
	if others := checkTable(t, &c.others); recent+others != len(model) {
		t.Fatalf("%d and %d streams, want %d", recent, others, len(model))
	}
}

func checkTable(t fatal, c *table) (taken int) {
	taken = checkSlots(t, c.slots)
	if c.taken != taken || 2*taken > len(c.slots) || len(c.slots)&(len(c.slots)-1) != 0 {
		t.Fatalf("%d of %d slots taken, %d counted", taken, len(c.slots), c.taken)
	}
	return taken
}

func checkSlots(t fatal, slots []slot) (taken int) {
	for _, s := range slots {
		if s.id != 0 {
			taken++
		} else if s.stream != nil {
			t.Fatalf("a free slot holds a stream")
		}
	}
	return taken
}

func TestContextsAgreeWithAMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var c contexts
		model := map[uint32]*filter.Stream{}
		// Few ids, so that they meet again; some far apart, so that homes collide.
		id := rapid.OneOf(rapid.Uint32Range(0, 60), rapid.Custom(func(t *rapid.T) uint32 { return rapid.Uint32Range(0, 60).Draw(t, "n") << 25 }),
			rapid.Custom(func(t *rapid.T) uint32 { return rapid.Uint32Range(0, 4).Draw(t, "n")*recentStreams + 7 }), rapid.Just(^uint32(0)))
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) {
				id := id.Draw(t, "id")
				ctx := &filter.Stream{}
				c.put(id, ctx)
				if id != 0 {
					model[id] = ctx
				}
			},
			"remove": func(t *rapid.T) {
				id := id.Draw(t, "id")
				if got, want := c.remove(id), model[id]; got != want {
					t.Fatalf("remove(%d) = %v, want %v", id, got, want)
				}
				delete(model, id)
			},
			"get": func(t *rapid.T) {
				id := id.Draw(t, "id")
				if got, want := c.get(id), model[id]; got != want {
					t.Fatalf("get(%d) = %v, want %v", id, got, want)
				}
			},
			"": func(t *rapid.T) { checkContexts(t, &c, model) },
		})
	})
}

// TestContextsUnderCollisions fills the table with ids of one home and takes
// them out again in every order of three.
func TestContextsUnderCollisions(t *testing.T) {
	var probe table
	probe.grow()
	var same []uint32
	for id := uint32(1); len(same) < 6; id++ {
		if probe.home(id) == len(probe.slots)-2 { // the run goes around the end
			same = append(same, id)
		}
	}
	for _, order := range [][3]int{{0, 1, 2}, {2, 1, 0}, {1, 0, 2}, {5, 3, 4}, {3, 5, 0}} {
		var c table
		model := map[uint32]*filter.Stream{}
		for _, id := range same {
			model[id] = &filter.Stream{}
			c.put(id, model[id])
		}
		for _, i := range order {
			if got := c.remove(same[i]); got != model[same[i]] {
				t.Fatalf("remove(%d) = %v", same[i], got)
			}
			delete(model, same[i])
			for id, want := range model {
				if got := c.get(id); got != want {
					t.Fatalf("get(%d) = %p, want %p", id, got, want)
				}
			}
			if taken := checkTable(t, &c); taken != len(model) {
				t.Fatalf("%d streams, want %d", taken, len(model))
			}
		}
	}
}

// TestContextsOfALongLife goes through ids as a proxy does: growing, with three
// hundred streams open at a time and one that never ends.
func TestContextsOfALongLife(t *testing.T) {
	var c contexts
	ctx, forever := &filter.Stream{}, &filter.Stream{}
	c.put(2, forever)
	id := uint32(3)
	step := func() {
		c.put(id, ctx)
		if id > 302 && c.remove(id-300) != ctx {
			t.Fatalf("stream %d is lost", id-300)
		}
		id++
	}
	for range 1000 {
		step()
	}
	slots := len(c.others.slots)
	if n := testing.AllocsPerRun(200_000, step); n != 0 {
		t.Errorf("%v allocations for each stream", n)
	}
	if taken := checkSlots(t, c.recent[:]) + checkTable(t, &c.others); len(c.others.slots) != slots || taken != 301 || c.remove(2) != forever {
		t.Errorf("%d slots, want %d; %d streams, want 301", len(c.others.slots), slots, taken)
	}
}

func TestPluginsAreFoundByTheirIDs(t *testing.T) {
	var all pluginTable
	if all.get(0) != nil || all.get(1) != nil || all.remove(1) != nil {
		t.Error("an empty table has plugins")
	}
	a, b, again := &filter.Plugin{}, &filter.Plugin{}, &filter.Plugin{}
	all.put(1, a)
	all.put(9, b)
	for _, id := range []uint32{1, 9, 1, 1, 9} {
		if want := map[uint32]*filter.Plugin{1: a, 9: b}[id]; all.get(id) != want {
			t.Errorf("plugin %d is another", id)
		}
	}
	if all.get(1) != a || all.remove(1) != a || all.get(1) != nil || all.get(9) != b {
		t.Error("what was removed is still there, or the other is not")
	}
	all.get(1) // asked for while it is not there
	if all.put(1, again); all.get(1) != again || all.get(0) != nil {
		t.Error("what took its place is not there")
	}
}
