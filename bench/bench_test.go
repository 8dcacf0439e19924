// Package bench measures the built module on internal/host: the time and linear memory
// that a configuration takes. bench/envoy measures in Envoy what users meet.
package bench

import (
	"testing"

	"corsfilter/bench/workload"
	"corsfilter/internal/host"
	"corsfilter/internal/wasmtest"
)

func compile(t testing.TB) *host.Module {
	t.Helper()
	module, err := host.Compile(t.Context(), wasmtest.Module(t))
	if err != nil {
		t.Fatal(err)
	}
	return module
}

func newVM(t testing.TB, module *host.Module) *host.VM {
	t.Helper()
	vm, err := module.NewVM(
		t.Context(), host.VMConfig{Env: map[string]string{"GOGC": "off", "GOMEMLIMIT": "64MiB"}, LogLevel: host.LogError.Always},
	)
	if err != nil {
		t.Fatal(err)
	}
	return vm
}

// BenchmarkConfigure times the parsing and compiling of a configuration in the
// module, in a VM of its own each time, and shows how large its memory is then.
func BenchmarkConfigure(b *testing.B) {
	module := compile(b)
	for name, data := range map[string][]byte{
		"origins=1": workload.WithOrigins(1), "origins=1000": workload.WithOrigins(1_000), "origins=10000": workload.WithOrigins(10_000),
		"rules=1000": workload.WithRules(1_000),
	} {
		b.Run(name, func(b *testing.B) {
			memory := uint32(0)
			for b.Loop() {
				b.StopTimer()
				vm := newVM(b, module)
				b.StartTimer()
				if _, err := vm.NewPlugin(b.Context(), host.PluginConfig{Name: "cors", Configuration: data}); err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				memory = vm.MemorySize()
				vm.Close(b.Context())
				b.StartTimer()
			}
			b.ReportMetric(float64(memory)/(1<<20), "MiB")
			b.ReportMetric(float64(len(data))/1024, "KiB/config")
		})
	}
}

// TestMemoryAfterTheStart holds what a start takes: next to nothing but Go's heap where
// there is not much to configure, which grows by half a MiB, and 6 MiB with a thousand
// origins.
func TestMemoryAfterTheStart(t *testing.T) {
	module := compile(t)
	for origins, most := range map[int]uint32{1: 4 << 20, 1_000: 6 << 20} {
		vm := newVM(t, module)
		if _, err := vm.NewPlugin(t.Context(), host.PluginConfig{Name: "cors", Configuration: workload.WithOrigins(origins)}); err != nil {
			t.Fatal(err)
		}
		if got, most := vm.MemorySize(), wasmtest.Memory(most); got > most {
			t.Errorf("%d origins: %d bytes of linear memory after the start, want %d at most", origins, got, most)
		}
	}
}
