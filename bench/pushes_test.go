package bench

import (
	"encoding/json"
	"fmt"
	"testing"

	"corsfilter/bench/workload"
	"corsfilter/internal/host"
	"corsfilter/internal/wasmtest"
)

// settings are those of the manifests, and none.
var settings = map[string]map[string]string{
	"manifests": {"GOGC": "off", "GOMEMLIMIT": "64MiB"},
	"default":   {},
}

// pushes pushes configurations of n origins into one VM, as a control plane does:
// each one is accepted while the one before is in effect, and a stream that began
// under that ends after it. It returns the VM's memory after each push.
func pushes(t testing.TB, module *host.Module, env map[string]string, n, times int) (sizes []uint32) {
	t.Helper()
	vm, err := module.NewVM(t.Context(), host.VMConfig{Env: env, LogLevel: host.LogError.Always})
	if err != nil {
		t.Fatal(err)
	}
	defer vm.Close(t.Context())
	list := workload.Origins(n)
	var old *host.Plugin
	for i := range times {
		mine := fmt.Sprintf("https://push-%d.example", i)
		list[0] = mine
		// None is as long as the one before.
		data, err := json.Marshal(map[string]any{"allow_origins": list[:n-7*i%50], "allow_credentials": true})
		if err != nil {
			t.Fatal(err)
		}
		plugin, err := vm.NewPlugin(t.Context(), host.PluginConfig{Name: "cors", Configuration: data})
		if err != nil {
			t.Fatal(err)
		}
		// A mistake in one changes nothing.
		if _, err := vm.NewPlugin(t.Context(), host.PluginConfig{Name: "cors", Configuration: data[:len(data)-2]}); err == nil {
			t.Fatal("a configuration that is cut off is accepted")
		}
		request := host.NewHeaderMap([2]string{":method", "GET"}, [2]string{":authority", "api.example"}, [2]string{":path", "/"}, [2]string{"origin", mine})
		stream := plugin.NewStream()
		stream.OnRequestHeaders(request, true)
		if old != nil {
			if err := old.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		response := host.NewHeaderMap([2]string{":status", "200"})
		stream.OnResponseHeaders(response, true)
		stream.OnDone()
		if got, _ := response.Get("access-control-allow-origin"); got != mine {
			t.Fatalf("push %d: Access-Control-Allow-Origin %q", i, got)
		}
		old = plugin
		sizes = append(sizes, vm.MemorySize())
	}
	if err := vm.Failed(); err != nil {
		t.Fatal(err)
	}
	return sizes
}

// TestPushesDoNotGrowTheModule holds the memory of a long-lived proxy: what one
// configuration takes, its successor takes again.
func TestPushesDoNotGrowTheModule(t *testing.T) {
	module := compile(t)
	for _, c := range []struct {
		origins, times int
		bound          uint32
	}{
		{2_000, 200, 7 << 20},
		{20_000, 12, 24 << 20},
	} {
		for name, env := range settings {
			t.Run(fmt.Sprintf("origins=%d/settings=%s", c.origins, name), func(t *testing.T) {
				sizes := pushes(t, module, env, c.origins, c.times)
				if last := sizes[len(sizes)-1]; last > wasmtest.Memory(c.bound) {
					t.Errorf("%.1f MiB after %d pushes, want %d at most", float64(last)/(1<<20), c.times, wasmtest.Memory(c.bound)>>20)
				}
			})
		}
	}
}

// BenchmarkPushes shows the memory after 200 pushes.
func BenchmarkPushes(b *testing.B) {
	module := compile(b)
	for _, n := range []int{2_000, 20_000} {
		for name, env := range settings {
			b.Run(fmt.Sprintf("origins=%d/settings=%s", n, name), func(b *testing.B) {
				var sizes []uint32
				for b.Loop() {
					sizes = pushes(b, module, env, n, 200)
				}
				for _, i := range []int{1, 2, 10, 200} {
					b.ReportMetric(float64(sizes[i-1])/(1<<20), fmt.Sprintf("MiB/%d", i))
				}
			})
		}
	}
}
