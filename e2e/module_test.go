package e2e

import (
	"fmt"
	"maps"
	"strconv"
	"strings"
	"testing"

	"corsfilter/e2e/scenario"
	"corsfilter/internal/host"
	"corsfilter/internal/wasmtest"
)

// compile compiles the built module, once for all tests.
func compile(t testing.TB) *host.Module {
	t.Helper()
	module, err := host.Compile(t.Context(), wasmtest.Module(t))
	if err != nil {
		t.Fatal(err)
	}
	return module
}

// environment is what the manifests set.
var environment = map[string]string{"GOGC": "off", "GOMEMLIMIT": "64MiB"}

func start(t testing.TB, module *host.Module, configuration string, metrics *host.Metrics) *host.Plugin {
	t.Helper()
	var log []string
	vm, err := module.NewVM(t.Context(), host.VMConfig{
		Env: environment, Metrics: metrics, LogLevel: host.LogInfo.Always,
		Log: func(level host.LogLevel, _, message string) { log = append(log, level.String()+" "+message) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { vm.Close(t.Context()) })
	plugin, err := vm.NewPlugin(t.Context(), host.PluginConfig{Name: "cors", Configuration: []byte(configuration)})
	if err != nil {
		t.Fatalf("%v\n%s", err, strings.Join(log, "\n"))
	}
	return plugin
}

// TestModule runs the built module in wazero.
func TestModule(t *testing.T) { tableInWazero(t, compile(t)) }

// TestModuleAsTheCompilerMadeIt runs the one that make build makes with
// RESTRUCTURE=none.
func TestModuleAsTheCompilerMadeIt(t *testing.T) {
	module, err := host.Compile(t.Context(), wasmtest.Plain(t))
	if err != nil {
		t.Fatal(err)
	}
	tableInWazero(t, module)
}

func tableInWazero(t *testing.T, module *host.Module) {
	plugins := map[string]*host.Plugin{}
	metrics := map[string]*host.Metrics{}
	for _, s := range scenario.All() {
		if plugins[s.Config] == nil {
			metrics[s.Config] = host.NewMetrics()
			plugins[s.Config] = start(t, module, s.Config, metrics[s.Config])
		}
		t.Run(s.Name, func(t *testing.T) {
			before := counted(metrics[s.Config])
			response := plugins[s.Config].ExchangeAdding(host.NewHeaderMap(s.Request...), func(*host.HeaderMap) *host.HeaderMap {
				return host.NewHeaderMap(append([][2]string{{":status", fmt.Sprint(status(s))}}, s.Upstream.Headers...)...)
			}, s.Added)
			if response.Paused {
				t.Fatal("the stream is paused without a reply")
			}
			plugins[s.Config].Tick()
			got := outcome{body: string(response.Body), counters: increments(before, counted(metrics[s.Config]))}
			got.headers = scenario.Collect(response.Headers.All())
			if !response.Forwarded {
				value, _ := response.Headers.Get(":status")
				got.reply, _ = strconv.Atoi(value)
				got.details = response.Details
			}
			check(t, s, got)
		})
	}
}

// counted returns the values of the filter's counters.
func counted(m *host.Metrics) map[string]uint64 {
	values := map[string]uint64{}
	for _, metric := range m.All() {
		if name, ok := strings.CutPrefix(metric.Name, "cors."); ok {
			values[name] = metric.Value
		}
	}
	return values
}

func increments(before, after map[string]uint64) (names []string) {
	for name := range maps.Keys(after) {
		for range after[name] - before[name] {
			names = append(names, name)
		}
	}
	return names
}
