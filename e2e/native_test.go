package e2e

import (
	"strings"
	"testing"

	"github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/proxytest"
	"github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/types"

	"corsfilter/e2e/scenario"
	"corsfilter/filter"
	"corsfilter/internal/abi"
)

// TestNative runs the filter, built for this machine, under the SDK's emulator.
// The SDK's variant of the ABI can not pass details on, and the emulator's
// header map is not Envoy's (see emulated): what that hides the other runners
// compare.
func TestNative(t *testing.T) {
	for _, s := range scenario.All() {
		if s.NotNative {
			continue
		}
		t.Run(s.Name, func(t *testing.T) {
			host, reset := proxytest.NewHostEmulator(proxytest.NewEmulatorOption().
				WithPluginConfiguration([]byte(s.Config)).
				WithVMContext(filter.New(abi.Host{})))
			defer reset()
			if host.StartVM() != types.OnVMStartStatusOK || host.StartPlugin() != types.OnPluginStartStatusOK {
				t.Fatalf("the plugin does not start: %v", host.GetErrorLogs())
			}
			before := nativeCounters(host)
			id := host.InitializeHttpContext()
			action := host.CallOnRequestHeaders(id, s.Request, true)
			got := outcome{details: s.Want.Details}
			headers := append([][2]string{{":status", "200"}}, s.Upstream.Headers...)
			if reply := host.GetSentLocalResponse(id); reply != nil {
				if action != types.ActionPause {
					t.Error("the stream goes on behind the reply")
				}
				got.reply, got.body = int(reply.StatusCode), string(reply.Data)
				headers = reply.Headers
			} else if action != types.ActionContinue {
				t.Fatal("the stream is paused without a reply")
			}
			// A reply of the filter passes its own response callback, as in Envoy.
			if host.CallOnResponseHeaders(id, headers, true) != types.ActionContinue {
				t.Error("the response is held back")
			}
			result := host.GetCurrentResponseHeaders(id)
			host.CompleteHttpContext(id)
			got.headers = emulated(result, s.Want.Headers)
			for name, value := range nativeCounters(host) {
				for range value - before[name] {
					got.counters = append(got.counters, name)
				}
			}
			check(t, s, got)
		})
	}
}

// emulated makes up for two ways of the emulator: it appends to a header without
// a comma in between, and replacing a header with two entries leaves two, each
// with the new value.
func emulated(headers [][2]string, want map[string]string) map[string]string {
	found := scenario.Collect(func(yield func(string, string) bool) {
		for _, h := range headers {
			if !yield(h[0], h[1]) {
				return
			}
		}
	})
	glue := strings.NewReplacer(",", "", " | ", "")
	for name, value := range found {
		if first, second, two := strings.Cut(value, " | "); two && first == second {
			found[name] = first
		}
		if name == "vary" && glue.Replace(value) == glue.Replace(want[name]) {
			found[name] = want[name]
		}
	}
	return found
}

var counterNames = []string{
	"origin_valid", "origin_invalid", "preflight_allowed", "preflight_denied_origin", "preflight_denied_method",
	"preflight_denied_headers", "preflight_forwarded", "request_allowed", "request_denied", "request_rejected",
}

// nativeCounters reads the counters of both modes; the emulator knows those that
// are defined.
func nativeCounters(host proxytest.HostEmulator) map[string]uint64 {
	values := map[string]uint64{}
	for _, mode := range []string{"", "shadow."} {
		for _, name := range counterNames {
			if value, err := host.GetCounterMetric("cors." + mode + name); err == nil {
				values[mode+name] = value
			}
		}
	}
	return values
}
