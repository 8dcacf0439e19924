// Package bench measures the built module: how long a configuration takes, and
// what memory. v8.mjs beside it times requests in V8.
package bench

import (
	"encoding/json"
	"fmt"
	"testing"

	"corsfilter/internal/host"
	"corsfilter/internal/wasmtest"
)

// origins returns n different origins, a fifth of them patterns.
func origins(n int) (list []string) {
	for i := range n {
		switch i % 5 {
		case 0:
			list = append(list, fmt.Sprintf("https://*.team-%d.example.com", i))
		default:
			list = append(list, fmt.Sprintf("https://app-%d.team-%d.example.org", i, i%97))
		}
	}
	return list
}

type rule struct {
	Name   string         `json:"name"`
	Hosts  []string       `json:"hosts"`
	Paths  []string       `json:"paths"`
	Policy map[string]any `json:"policy"`
}

func configuration(t testing.TB, nOrigins, nRules int) []byte {
	c := map[string]any{
		"allow_origins": origins(nOrigins), "allow_methods": []string{"PUT", "DELETE"},
		"allow_headers": []string{"content-type", "x-request-id"}, "allow_credentials": true, "max_age": "10m",
	}
	var rules []rule
	for i := range nRules {
		rules = append(rules, rule{
			Name: fmt.Sprintf("service %d", i), Hosts: []string{fmt.Sprintf("api-%d.example.com", i)}, Paths: []string{"/v1/*"},
			Policy: map[string]any{"allow_origins": []string{fmt.Sprintf("https://app-%d.example.com", i)}},
		})
	}
	if rules != nil {
		c["rules"] = rules
	}
	data, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

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
	vm, err := module.NewVM(t.Context(), host.VMConfig{Env: map[string]string{"GOGC": "off", "GOMEMLIMIT": "64MiB"}, LogLevel: host.LogError.Always})
	if err != nil {
		t.Fatal(err)
	}
	return vm
}

// BenchmarkConfigure times the parsing and compiling of a configuration in the
// module, in a VM of its own each time, and shows how large its memory is then.
func BenchmarkConfigure(b *testing.B) {
	for _, size := range []struct{ origins, rules int }{{1, 0}, {1_000, 0}, {10_000, 0}, {1, 1_000}, {10_000, 1_000}} {
		b.Run(fmt.Sprintf("origins=%d/rules=%d", size.origins, size.rules), func(b *testing.B) {
			module := compile(b)
			data := configuration(b, size.origins, size.rules)
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

// TestMemoryWithASmallPolicy holds what a start takes where there is not much to
// configure. Go's heap grows by half a MiB.
func TestMemoryWithASmallPolicy(t *testing.T) {
	vm := newVM(t, compile(t))
	if _, err := vm.NewPlugin(t.Context(), host.PluginConfig{Name: "cors", Configuration: configuration(t, 1, 0)}); err != nil {
		t.Fatal(err)
	}
	if got := vm.MemorySize(); got > 15<<18 {
		t.Errorf("%d bytes of linear memory after the start, want 3.75 MiB at most", got)
	}
}

// TestMemoryWithAThousandOrigins holds the budget of 6 MiB of linear memory.
func TestMemoryWithAThousandOrigins(t *testing.T) {
	vm := newVM(t, compile(t))
	if _, err := vm.NewPlugin(t.Context(), host.PluginConfig{Name: "cors", Configuration: configuration(t, 1_000, 0)}); err != nil {
		t.Fatal(err)
	}
	if got := vm.MemorySize(); got > 6<<20 {
		t.Errorf("%d bytes of linear memory after the start, want 6 MiB at most", got)
	}
}
