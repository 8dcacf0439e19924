package hostcall

import (
	"bytes"
	"runtime"
	"testing"
	"unsafe"

	"pgregory.net/rapid"
)

func TestScratch(t *testing.T) {
	t.Run("nothing is viewed before anything was given out", func(t *testing.T) {
		var s scratch
		if s.view(0, 0) != nil || s.view(0, 1) != nil || s.view(1, 0) != nil || s.view(^uintptr(0), ^uint32(0)) != nil {
			t.Error("a view of nothing")
		}
		s.reset()
	})
	t.Run("no bytes have an address all the same", func(t *testing.T) {
		var s scratch
		p, q := s.allocate(0), s.allocate(0)
		if p == nil || q == nil || p == q {
			t.Errorf("%p, %p", p, q)
		}
		if b := s.view(uintptr(p), 0); b == nil || len(b) != 0 {
			t.Errorf("view of no bytes: %v", b)
		}
	})
	t.Run("what is out of reason gets nothing", func(t *testing.T) {
		var s scratch
		for _, n := range []uint32{maxAllocation + 1, 1 << 31, ^uint32(0), ^uint32(0) - 7} {
			if p := s.allocate(n); p != nil {
				t.Errorf("allocate(%d) = %p", n, p)
			}
		}
	})
	t.Run("what does not fit is pinned, and the area grows for the next callback", func(t *testing.T) {
		var s scratch
		s.reset()
		a := s.allocate(minScratch - 8)
		b := s.allocate(100)
		if len(s.pinned) != 1 || s.view(uintptr(a), minScratch-8) == nil || s.view(uintptr(b), 100) == nil {
			t.Fatalf("%d pinned", len(s.pinned))
		}
		s.reset()
		if len(s.pinned) != 0 || len(s.area) != 2*minScratch || s.view(uintptr(b), 100) != nil {
			t.Errorf("after a reset: %d pinned, %d bytes", len(s.pinned), len(s.area))
		}
		if s.allocate(minScratch - 8); s.allocate(100) == nil || len(s.pinned) != 0 {
			t.Error("the same callback does not fit the next time")
		}
	})
	t.Run("the area does not grow without bound", func(t *testing.T) {
		var s scratch
		p := s.allocate(maxScratch + 1)
		if s.view(uintptr(p), maxScratch+1) == nil {
			t.Error("a large value cannot be viewed")
		}
		s.reset()
		if len(s.area) > maxScratch || len(s.pinned) != 0 || s.missing != 0 {
			t.Errorf("%d bytes, %d pinned, %d missing", len(s.area), len(s.pinned), s.missing)
		}
		for range 100 {
			s.allocate(60 << 10)
			s.allocate(60 << 10)
			s.reset()
		}
		if len(s.area) > maxScratch {
			t.Errorf("%d bytes", len(s.area))
		}
	})
	t.Run("a large allocation is used for the next one", func(t *testing.T) {
		var s scratch
		push := func(n uint32) uintptr {
			s.reset()
			p := uintptr(s.allocate(n))
			if s.view(p, n) == nil || s.view(p, n+8) != nil {
				t.Fatalf("%d bytes cannot be viewed, or more than that", n)
			}
			return p
		}
		first := push(2 * maxScratch)
		if s.reset(); uintptr(s.allocate(300)) == first || push(2*maxScratch-100) != first || push(maxScratch+1) != first {
			t.Error("the memory of the first one is not used again")
		}
		larger := push(2*maxScratch + 8)
		if push(2*maxScratch+16) != larger || push(2*maxScratch) != first {
			t.Error("one that grows by a little needs new memory each time")
		}
		// Two in one callback do not get the same.
		s.reset()
		if a, b := s.allocate(maxScratch+8), s.allocate(maxScratch+8); a == b {
			t.Error("two allocations in one place")
		}
	})
	t.Run("a callback that needs several huge ones leaves nothing behind", func(t *testing.T) {
		var s scratch
		callback := func(sizes ...uint32) {
			s.reset()
			var seen [3]uintptr
			for i, n := range sizes {
				p := uintptr(s.allocate(n))
				if s.view(p, n) == nil || p == seen[0] || p == seen[1] {
					t.Fatalf("%d bytes cannot be viewed, or are another's", n)
				}
				seen[i] = p
			}
		}
		// As one request after another may need, in any order.
		huge := func() {
			callback(1<<20, 300, 1<<20+200)
			callback(200<<10, 100<<10, 90<<10)
			callback(2<<20, 1<<10)
		}
		for range 4 {
			huge()
		}
		allocated := func() (bytes uint64) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			huge()
			runtime.ReadMemStats(&after)
			return after.TotalAlloc - before.TotalAlloc
		}
		// The runtime allocates now and then as well, such as when it starts a collection:
		// what the area allocates, it allocates each time.
		least := allocated()
		for range 4 {
			least = min(least, allocated())
		}
		if least > 1<<10 {
			t.Errorf("%d more bytes are allocated", least)
		}
	})
	t.Run("the largest allocation can be had", func(t *testing.T) {
		var s scratch
		if s.allocate(maxAllocation) == nil {
			t.Error("nothing")
		}
	})
	t.Run("addresses of others are not viewed", func(t *testing.T) {
		var s scratch
		p := uintptr(s.allocate(16))
		own := uintptr(s.allocate(minScratch)) // pinned
		foreign := make([]byte, 64)
		for _, c := range []struct {
			address uintptr
			n       uint32
		}{
			{uintptr(unsafe.Pointer(&foreign[0])), 1}, {p - 1, 1}, {p, 17}, {p + 16, 1}, {p + 8, 9}, {p, ^uint32(0)}, {0, 1}, {^uintptr(0), 1},
			{own - 1, 1}, {own, minScratch + 1}, {own + minScratch, 1},
		} {
			if b := s.view(c.address, c.n); b != nil {
				t.Errorf("view(%#x, %d) has %d bytes", c.address, c.n, len(b))
			}
		}
		if s.view(p+8, 8) == nil || s.view(own+minScratch-1, 1) == nil {
			t.Error("a part of an allocation cannot be viewed")
		}
	})
	t.Run("a callback does not allocate once the area is large enough", func(t *testing.T) {
		var s scratch
		callback := func() {
			s.reset()
			for _, n := range []uint32{0, 1, 300, 4096, 20000} {
				if s.view(uintptr(s.allocate(n)), n) == nil {
					t.Fatal("no view")
				}
			}
		}
		callback()
		if n := testing.AllocsPerRun(100, callback); n != 0 {
			t.Errorf("%v allocations", n)
		}
	})
}

// TestAllocationsDoNotOverlap writes a pattern into each and reads all of them
// back before the callback ends.
func TestAllocationsDoNotOverlap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s scratch
		for range rapid.IntRange(1, 4).Draw(t, "callbacks") {
			s.reset()
			sizes := rapid.SliceOfN(rapid.OneOf(rapid.Uint32Range(0, 40), rapid.Uint32Range(0, 40<<10)), 0, 12).Draw(t, "sizes")
			var views [][]byte
			for i, n := range sizes {
				p := s.allocate(n)
				if uintptr(p)%8 != 0 {
					t.Fatalf("%p is not aligned", p)
				}
				b := s.view(uintptr(p), n)
				if p == nil || b == nil || len(b) != int(n) {
					t.Fatalf("allocation of %d bytes: %p, %d bytes", n, p, len(b))
				}
				for j := range b {
					b[j] = byte(i + 1)
				}
				views = append(views, b)
			}
			for i, b := range views {
				if !bytes.Equal(b, bytes.Repeat([]byte{byte(i + 1)}, len(b))) {
					t.Fatalf("allocation %d of %v was overwritten", i, sizes)
				}
			}
		}
	})
}
