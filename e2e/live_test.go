package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"corsfilter/e2e/scenario"
	"corsfilter/internal/gateway"
	"corsfilter/internal/host"
	"corsfilter/internal/wasmtest"
)

// bootstrap is an envoy.yaml with one listener, a plugin configuration and one
// upstream for everything. The access log holds what a client can not see.
func bootstrap(configuration string) []byte {
	quoted, err := json.Marshal(configuration)
	if err != nil {
		panic(err)
	}
	return fmt.Appendf(nil, `
static_resources:
  listeners:
  - name: main
    address: {socket_address: {address: 127.0.0.1, port_value: 10000}}
    filter_chains:
    - filters:
      - name: manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: e2e
          upgrade_configs: [{upgrade_type: websocket}]
          access_log:
          - name: stdout
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog
              log_format: {text_format_source: {inline_string: "%%RESPONSE_CODE_DETAILS%%\n"}}
          http_filters:
          - name: cors
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm
              config:
                name: cors
                vm_config:
                  runtime: envoy.wasm.runtime.v8
                  code: {local: {inline_bytes: ""}}
                  environment_variables: {key_values: {GOGC: "off", GOMEMLIMIT: 64MiB}}
                configuration: {"@type": type.googleapis.com/google.protobuf.StringValue, value: %s}
          - name: router
            typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
          route_config:
            name: all
            virtual_hosts: [{name: all, domains: ["*"], routes: [{match: {prefix: /}, route: {cluster: api}}]}]
  clusters:
  - name: api
    load_assignment: {cluster_name: api, endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: 1}}}}]}]}
`, quoted)
}

// lines collects the access log.
type lines struct {
	all chan string
}

func (l *lines) Write(p []byte) (int, error) {
	l.all <- strings.TrimSpace(string(p))
	return len(p), nil
}

// live is a proxy with one configuration, and its upstream.
type live struct {
	address string
	// counters reads what the module has counted.
	counters func() map[string]uint64
	// lag is how long it may take until they are all there.
	lag      time.Duration
	details  *lines
	upstream *httptest.Server
	mu       sync.Mutex
	current  scenario.Scenario
	asked    int
}

// newLive starts the upstream, which answers what the current scenario says.
func newLive(t *testing.T) *live {
	t.Helper()
	l := &live{details: &lines{all: make(chan string, 16)}}
	l.upstream = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		l.mu.Lock()
		s := l.current
		l.asked++
		l.mu.Unlock()
		for _, h := range s.Upstream.Headers {
			w.Header().Add(h[0], h[1])
		}
		w.WriteHeader(status(s))
	}))
	t.Cleanup(l.upstream.Close)
	return l
}

// serve starts a gateway.
func serve(t *testing.T, wasm []byte, configuration string) *live {
	t.Helper()
	l := newLive(t)
	config, err := gateway.Load(bootstrap(configuration), gateway.LoadOptions{Module: wasm})
	if err != nil {
		t.Fatal(err)
	}
	g, err := gateway.Start(t.Context(), config, gateway.Options{
		Listen:    gateway.Ephemeral,
		Endpoints: map[string]string{"api": l.upstream.Listener.Addr().String()},
		AccessLog: l.details,
		Log:       io.Discard,
		LogLevel:  host.LogInfo,
	})
	if err != nil {
		t.Fatal(err)
	}
	l.address = g.Addr("main")
	l.counters = func() map[string]uint64 {
		for _, vm := range g.VMs() {
			vm.Tick()
		}
		return counted(g.Metrics())
	}
	return l
}

// run sends the scenario's request and returns the outcome.
func (l *live) run(t *testing.T, s scenario.Scenario) outcome {
	t.Helper()
	l.mu.Lock()
	l.current, l.asked = s, 0
	l.mu.Unlock()
	before := l.counters()
	request, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+l.address, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range s.Request {
		switch h[0] {
		case ":method":
			request.Method = h[1]
		case ":authority":
			request.Host = h[1]
		case ":path":
			path, query, _ := strings.Cut(h[1], "?")
			request.URL.Path, request.URL.RawQuery = path, query
		case ":scheme": // plain, as the listener is
		default:
			request.Header.Add(h[0], h[1])
		}
	}
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	got := outcome{body: string(body)}
	got.headers = scenario.Collect(func(yield func(string, string) bool) {
		for name, values := range response.Header {
			for _, value := range values {
				if !yield(name, value) {
					return
				}
			}
		}
	})
	details := <-l.details.all
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.asked == 0 {
		got.reply, got.details = response.StatusCode, details
	} else if response.StatusCode != status(s) || details != "via_upstream" {
		t.Errorf("status %d, details %s; upstream answered %s", response.StatusCode, details, strconv.Itoa(status(s)))
	}
	for begun := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		// One too many shows up in the next scenario at the latest.
		if got.counters = increments(before, l.counters()); len(got.counters) >= len(s.Want.Counters) || time.Since(begun) > l.lag {
			return got
		}
	}
}

// TestLive runs the module behind the gateway, over HTTP/1.1.
func TestLive(t *testing.T) {
	wasm := wasmtest.Module(t)
	servers := map[string]*live{}
	for _, s := range scenario.All() {
		if s.NotOverHTTP {
			continue
		}
		if servers[s.Config] == nil {
			servers[s.Config] = serve(t, wasm, s.Config)
		}
		t.Run(s.Name, func(t *testing.T) { check(t, s, servers[s.Config].run(t, s)) })
	}
}
