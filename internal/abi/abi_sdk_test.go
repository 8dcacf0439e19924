package abi

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/proxytest"
	"github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/types"

	"corsfilter/filter"
)

// TestTheSDKVariant runs the filter through the SDK under its emulator. The
// scenario table is not run here: the emulator's header map is not Envoy's.
func TestTheSDKVariant(t *testing.T) {
	emulator, reset := proxytest.NewHostEmulator(proxytest.NewEmulatorOption().
		WithPluginConfiguration(
			[]byte(`{"allow_origins": ["https://a.example"], "allow_methods": "PUT", "allow_credentials": true, "disallowed_requests": "reject"}`),
		).
		WithVMContext(filter.New(Host{})))
	defer reset()
	if emulator.StartVM() != types.OnVMStartStatusOK || emulator.StartPlugin() != types.OnPluginStartStatusOK {
		t.Fatalf("the plugin does not start: %v", emulator.GetErrorLogs())
	}
	if logs := emulator.GetInfoLogs(); len(logs) != 1 {
		t.Errorf("logs %q", logs)
	}

	id := emulator.InitializeHttpContext()
	request := [][2]string{{":method", "OPTIONS"}, {"origin", "https://a.example"}, {"access-control-request-method", "PUT"}}
	if emulator.CallOnRequestHeaders(id, request, true) != types.ActionPause {
		t.Error("the preflight goes on")
	}
	reply := emulator.GetSentLocalResponse(id)
	if reply == nil || reply.StatusCode != 204 {
		t.Fatalf("reply %+v", reply)
	}
	want := [][2]string{
		{"access-control-allow-origin", "https://a.example"}, {"access-control-allow-credentials", "true"},
		{"access-control-allow-methods", "PUT"},
		{"vary", "origin, access-control-request-method, access-control-request-headers"},
	}
	if !reflect.DeepEqual(reply.Headers, want) {
		t.Errorf("headers %v, want %v", reply.Headers, want)
	}
	emulator.CompleteHttpContext(id)

	id = emulator.InitializeHttpContext()
	if emulator.CallOnRequestHeaders(id, [][2]string{{":method", "POST"}, {"origin", "https://a.example"}}, true) != types.ActionContinue {
		t.Error("the request does not go on")
	}
	emulator.CallOnResponseHeaders(
		id, [][2]string{{":status", "200"}, {"access-control-allow-origin", "*"}, {"access-control-expose-headers", "x"}}, true,
	)
	got := emulator.GetCurrentResponseHeaders(id)
	slices.SortFunc(got, func(a, b [2]string) int { return strings.Compare(a[0], b[0]) })
	want = [][2]string{
		{":status", "200"}, {"access-control-allow-credentials", "true"}, {"access-control-allow-origin", "https://a.example"},
		{"vary", "origin"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("headers %v, want %v", got, want)
	}
	emulator.CompleteHttpContext(id)

	emulator.Tick()
	for name, want := range map[string]uint64{
		"cors.origin_valid":      2,
		"cors.preflight_allowed": 1,
		"cors.request_allowed":   1,
		"cors.request_denied":    0,
	} {
		if got, err := emulator.GetCounterMetric(name); err != nil || got != want {
			t.Errorf("%s is %d, %v; want %d", name, got, err, want)
		}
	}
}
