package abi

import (
	"testing"

	"github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/types"
	"pgregory.net/rapid"
)

// named is a stream that can be told from others.
type named struct {
	types.DefaultHttpContext
	id uint32
}

func checkTable(t interface{ Fatalf(string, ...any) }, c *contexts, model map[uint32]types.HttpContext) {
	for id, want := range model {
		if got := c.get(id); got != want {
			t.Fatalf("get(%d) = %v, want %v", id, got, want)
		}
	}
	taken := 0
	for _, s := range c.slots {
		if s.id != 0 {
			taken++
		} else if s.ctx != nil {
			t.Fatalf("a free slot holds a stream")
		}
	}
	if taken != len(model) || c.taken != len(model) || 2*taken > len(c.slots) || len(c.slots)&(len(c.slots)-1) != 0 {
		t.Fatalf("%d of %d slots taken, %d counted, want %d", taken, len(c.slots), c.taken, len(model))
	}
}

func TestContextsAgreeWithAMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var c contexts
		model := map[uint32]types.HttpContext{}
		// Few ids, so that they meet again; some far apart, so that homes collide.
		id := rapid.OneOf(rapid.Uint32Range(0, 60), rapid.Custom(func(t *rapid.T) uint32 { return rapid.Uint32Range(0, 60).Draw(t, "n") << 25 }), rapid.Just(^uint32(0)))
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) {
				id := id.Draw(t, "id")
				ctx := &named{id: id}
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
			"": func(t *rapid.T) { checkTable(t, &c, model) },
		})
	})
}

// TestContextsUnderCollisions fills the table with ids of one home and takes
// them out again in every order of three.
func TestContextsUnderCollisions(t *testing.T) {
	var probe contexts
	probe.grow()
	var same []uint32
	for id := uint32(1); len(same) < 6; id++ {
		if probe.home(id) == len(probe.slots)-2 { // the run goes around the end
			same = append(same, id)
		}
	}
	for _, order := range [][3]int{{0, 1, 2}, {2, 1, 0}, {1, 0, 2}, {5, 3, 4}, {3, 5, 0}} {
		var c contexts
		model := map[uint32]types.HttpContext{}
		for _, id := range same {
			model[id] = &named{id: id}
			c.put(id, model[id])
		}
		for _, i := range order {
			if got := c.remove(same[i]); got != model[same[i]] {
				t.Fatalf("remove(%d) = %v", same[i], got)
			}
			delete(model, same[i])
			checkTable(t, &c, model)
		}
	}
}

// TestContextsOfALongLife goes through ids as a proxy does: growing, with a
// hundred streams open at a time.
func TestContextsOfALongLife(t *testing.T) {
	var c contexts
	ctx := &named{}
	id := uint32(2)
	step := func() {
		c.put(id, ctx)
		if id > 102 && c.remove(id-100) != types.HttpContext(ctx) {
			t.Fatalf("stream %d is lost", id-100)
		}
		id++
	}
	for range 1000 {
		step()
	}
	slots := len(c.slots)
	if n := testing.AllocsPerRun(200_000, step); n != 0 {
		t.Errorf("%v allocations for each stream", n)
	}
	if len(c.slots) != slots || c.taken != 101 {
		t.Errorf("%d slots, %d of them taken; want %d, 101", len(c.slots), c.taken, slots)
	}
}
