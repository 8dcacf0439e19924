package e2e

import (
	"fmt"
	"maps"
	"testing"
	"time"

	"corsfilter/internal/host"
)

// grown leaves out the counters that are 0.
func grown(m *host.Metrics) map[string]uint64 {
	values := counted(m)
	maps.DeleteFunc(values, func(_ string, n uint64) bool { return n == 0 })
	return values
}

func expectCounted(t *testing.T, when string, m *host.Metrics, want map[string]uint64) {
	t.Helper()
	if got := grown(m); !maps.Equal(got, want) {
		t.Errorf("%s: %v, want %v", when, got, want)
	}
}

// TestCountersReachTheProxyByTicks pushes a configuration, as a control plane does, and
// checks the proxy's counters at each step.
func TestCountersReachTheProxyByTicks(t *testing.T) {
	metrics := host.NewMetrics()
	var periods []time.Duration
	vm, err := compile(t).NewVM(t.Context(), host.VMConfig{
		Env: environment, Metrics: metrics, LogLevel: host.LogError.Always,
		TickPeriod: func(_ *host.Plugin, period time.Duration) { periods = append(periods, period) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { vm.Close(t.Context()) })
	plugin := func(configuration string) *host.Plugin {
		p, err := vm.NewPlugin(t.Context(), host.PluginConfig{Name: "cors", Configuration: []byte(configuration)})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	send := func(p *host.Plugin, request [][2]string) { p.Exchange(host.NewHeaderMap(request...), plain) }

	one := plugin(everything)
	if fmt.Sprint(periods) != "[1s]" {
		t.Errorf("ticks every %v", periods)
	}
	for range 3 {
		send(one, crossOrigin)
	}
	send(one, asking)
	expectCounted(t, "before a tick", metrics, map[string]uint64{})
	vm.Tick()
	want := map[string]uint64{"origin_valid": 4, "request_allowed": 3, "preflight_allowed": 1}
	expectCounted(t, "after one", metrics, want)
	calls := vm.HostCalls()
	vm.Tick()
	if got := vm.HostCalls() - calls; got != 1 { // the log level
		t.Errorf("a tick with nothing to tell makes %d calls", got)
	}

	// The next configuration, in mode shadow, comes while a stream of this one runs.
	late := one.NewStream()
	late.OnRequestHeaders(host.NewHeaderMap(unlisted...), true)
	send(one, crossOrigin)
	two := plugin(everything[:len(everything)-1] + `, "mode": "shadow"}`)
	send(two, unlisted)
	late.OnResponseHeaders(plain(nil), true)
	late.OnDone()
	if err := one.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	want["origin_valid"], want["request_allowed"] = 5, 4
	want["origin_invalid"], want["request_denied"] = 1, 1
	expectCounted(t, "after the first one's end", metrics, want)
	if err := two.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	want["shadow.origin_invalid"], want["shadow.request_denied"] = 1, 1
	expectCounted(t, "after the second one's end", metrics, want)
	if fmt.Sprint(periods) != "[1s 1s 0s 0s]" {
		t.Errorf("ticks every %v", periods)
	}
}
