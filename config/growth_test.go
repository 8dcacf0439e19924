package config

import (
	"errors"
	"fmt"
	"runtime"
	"testing"

	"corsfilter/internal/shapes"
)

// BenchmarkParse shows what a configuration costs, and twice as long a one: time
// and memory should double.
func BenchmarkParse(b *testing.B) {
	for _, shape := range shapes.All {
		for _, n := range []int{10_000, 20_000} {
			data := []byte(shape.Config(n))
			b.Run(fmt.Sprintf("shape=%s/entries=%d", shape.Name, n), func(b *testing.B) {
				b.ReportAllocs()
				b.SetBytes(int64(len(data)))
				for b.Loop() {
					_, _, err := Parse(data)
					if refused := errors.As(err, new(Problems)); refused != shape.Refused {
						b.Fatalf("%v", err)
					}
				}
			})
		}
	}
}

// TestMemoryOfAParseGrowsWithTheText counts what parsing leaves behind for twice
// as long a configuration. Time is held where it matters, in the module.
func TestMemoryOfAParseGrowsWithTheText(t *testing.T) {
	allocated := func(data []byte) uint64 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if _, _, err := Parse(data); err != nil && !errors.As(err, new(Problems)) {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc
	}
	for _, shape := range shapes.All {
		half, whole := allocated([]byte(shape.Config(2_000))), allocated([]byte(shape.Config(4_000)))
		// Lists that grow are copied into twice the room now and then.
		if whole > 3*half+64<<10 {
			t.Errorf("%s: %d bytes for 2,000 entries, %d for 4,000", shape.Name, half, whole)
		}
	}
}
