package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"corsfilter/e2e/scenario"
	"corsfilter/internal/envoy"
	"corsfilter/internal/envoytest"
	"corsfilter/internal/wasmtest"
)

// TestEnvoy runs the table in a real Envoy, over HTTP/1.1: one process, with a
// listener for each configuration. Counters are compared once for each, since the
// filter hands them over once a second: they have a prefix of their own.
func TestEnvoy(t *testing.T) { tableInEnvoy(t, "") }

// TestEnvoyAsTheCompilerMadeIt does so with the module that make build makes with
// RESTRUCTURE=none.
func TestEnvoyAsTheCompilerMadeIt(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cors.wasm")
	if err := os.WriteFile(path, wasmtest.Plain(t), 0o644); err != nil {
		t.Fatal(err)
	}
	tableInEnvoy(t, fmt.Sprintf("vm_config: {code: {local: {filename: %q}}}", path))
}

// tableInEnvoy runs the table with a change of the plugin.
func tableInEnvoy(t *testing.T, plugin string) {
	table := map[string][]int{} // the numbers of a configuration's scenarios
	var configurations []string
	all := scenario.All()
	for i, s := range all {
		if s.NotOverHTTP {
			continue
		}
		if table[s.Config] == nil {
			configurations = append(configurations, s.Config)
		}
		table[s.Config] = append(table[s.Config], i)
	}
	upstream := newUpstream(t, all)
	b := envoytest.Bootstrap{Upstream: upstream.Listener.Addr().String()}
	for i, configuration := range configurations {
		b.Listeners = append(b.Listeners, envoytest.Listener{
			Name: listener(i), Policy: counting(listener(i), configuration), Plugin: plugin, Routes: routes(t, all, table[configuration]),
		})
	}
	server := envoytest.Start(t, b, envoy.Options{})
	want := map[string]uint64{}
	for i, configuration := range configurations {
		for _, number := range table[configuration] {
			s := all[number]
			for _, name := range s.Want.Counters {
				want[listener(i)+"."+name]++
			}
			t.Run(s.Name, func(t *testing.T) {
				check(t, s, inEnvoy(t, server, upstream, server.Address(listener(i)), number, s))
			})
		}
	}
	server.Counted(t, want)
}

// routes are those to upstream of the scenarios with these numbers. Where one has
// headers added, the route that adds them knows its request by the number.
func routes(t *testing.T, all []scenario.Scenario, numbers []int) string {
	t.Helper()
	type object = map[string]any
	var list []any
	for _, number := range numbers {
		var added []any
		for _, h := range all[number].Added {
			added = append(added, object{"header": object{"key": h[0], "value": h[1]}})
		}
		if added != nil {
			list = append(list, object{
				"match": object{
					"prefix":  "/",
					"headers": []any{object{"name": envoytest.Attempt, "string_match": object{"exact": strconv.Itoa(number)}}},
				},
				"route": object{"cluster": "upstream"}, "response_headers_to_add": added,
			})
		}
	}
	list = append(list, object{"match": object{"prefix": "/"}, "route": object{"cluster": "upstream"}})
	text, err := json.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func listener(i int) string { return "c" + strconv.Itoa(i) }

// counting is a configuration with a prefix of its own for the counters. It is
// changed as text: what a row is about may be how it is written.
func counting(prefix, configuration string) string {
	before, after, _ := strings.Cut(configuration, "{")
	setting := fmt.Sprintf(`{"stat_prefix": %q`, prefix)
	if !strings.HasPrefix(strings.TrimSpace(after), "}") {
		setting += ", "
	}
	return before + setting + after
}

// scenarioUpstream answers each request as its scenario says.
type scenarioUpstream struct {
	*httptest.Server
	asked []bool // by number; a request is over before the next one begins
}

func newUpstream(t *testing.T, all []scenario.Scenario) *scenarioUpstream {
	t.Helper()
	u := &scenarioUpstream{asked: make([]bool, len(all))}
	u.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		number, err := strconv.Atoi(r.Header.Get(envoytest.Attempt))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		s := all[number]
		u.asked[number] = true
		for _, h := range s.Upstream.Headers {
			w.Header().Add(h[0], h[1])
		}
		if protocol := r.Header.Get("Upgrade"); protocol != "" {
			w.Header().Set("Connection", "Upgrade")
			w.Header().Set("Upgrade", protocol)
			w.WriteHeader(http.StatusSwitchingProtocols)
			return
		}
		w.WriteHeader(status(s))
	}))
	t.Cleanup(u.Close)
	return u
}

// inEnvoy sends a scenario's request and returns the outcome, except for the
// counters: those that the scenario wants are taken as counted.
func inEnvoy(t *testing.T, server *envoytest.Server, upstream *scenarioUpstream, address string, number int, s scenario.Scenario) outcome {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+address, nil)
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
	request.Header.Set(envoytest.Attempt, strconv.Itoa(number))
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	got := outcome{counters: s.Want.Counters}
	wantStatus, wantDetails := status(s), "via_upstream"
	if response.StatusCode == http.StatusSwitchingProtocols { // such a stream ends when a side leaves
		wantStatus, wantDetails = http.StatusSwitchingProtocols, "downstream_remote_disconnect"
	} else {
		body, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		got.body = string(body)
	}
	response.Body.Close()
	got.headers = scenario.Collect(func(yield func(string, string) bool) {
		for name, values := range response.Header {
			for _, value := range values {
				if !yield(name, value) {
					return
				}
			}
		}
	})
	logged := server.Logged(t, strconv.Itoa(number))
	if !upstream.asked[number] {
		got.reply, got.details = response.StatusCode, logged.Details
	} else if response.StatusCode != wantStatus || logged.Details != wantDetails {
		t.Errorf("status %d, details %s; upstream answered %d", response.StatusCode, logged.Details, wantStatus)
	}
	return got
}

// TestCountingChangesNothingElse holds what the table does to its configurations.
func TestCountingChangesNothingElse(t *testing.T) {
	want := map[string]string{
		`{}`:                        `{"stat_prefix": "c1"}`,
		` {"allow_origins": ["*"]}`: ` {"stat_prefix": "c1", "allow_origins": ["*"]}`,
	}
	for configuration := range maps.Keys(want) {
		if got := counting("c1", configuration); got != want[configuration] {
			t.Errorf("%s becomes %s", configuration, got)
		}
	}
}
