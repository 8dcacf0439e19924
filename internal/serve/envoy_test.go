package serve

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"corsfilter/internal/demo"
	"corsfilter/internal/envoytest"
	"corsfilter/internal/locked"
	"corsfilter/internal/wasmtest"
)

// ourFile is the repository's envoy.yaml, on ports that the system chooses.
func ourFile(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(wasmtest.Root(), "envoy.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return replaced(t, string(text), "{ address: 127.0.0.1, port_value: 9901 }", "{ address: 127.0.0.1, port_value: 0 }",
		"{ address: 0.0.0.0, port_value: 10000 }", "{ address: 127.0.0.1, port_value: 0 }")
}

// replaced replaces what has to be there, in pairs.
func replaced(t *testing.T, text string, pairs ...string) string {
	t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(text, pairs[i]) {
			t.Fatalf("no %s in\n%s", pairs[i], text)
		}
		text = strings.ReplaceAll(text, pairs[i], pairs[i+1])
	}
	return text
}

// running is an Envoy of a test.
type running struct {
	*Envoy
	stdout, stderr locked.Buffer
	mu             sync.Mutex
	events         []demo.Event
}

func (r *running) start(t *testing.T, text string, options EnvoyOptions) error {
	t.Helper()
	options.Program, options.Stdout, options.Stderr, options.LogLevel = envoytest.Program(t), &r.stdout, &r.stderr, "info"
	var err error
	r.Envoy, err = StartEnvoy(t.Context(), []byte(text), options)
	if err == nil {
		t.Cleanup(func() {
			if err := r.Close(); err != nil {
				t.Error(err)
			}
			if _, err := os.Stat(r.folder); err == nil {
				t.Errorf("%s is left behind", r.folder)
			}
		})
	}
	return err
}

func (r *running) publish(e demo.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
}

// TestAFileThatChangesWhileEnvoyServesIt goes through what people change, on one
// connection and with a WebSocket open.
func TestAFileThatChangesWhileEnvoyServesIt(t *testing.T) {
	upstream := httptest.NewServer(demo.Upstream())
	defer upstream.Close()
	module := filepath.Join(t.TempDir(), "cors.wasm")
	wasm := wasmtest.Module(t)
	put := func(wasm []byte) {
		t.Helper()
		if err := os.WriteFile(module, wasm, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put(wasm)
	file := ourFile(t)
	var r running
	if err := r.start(
		t, file, EnvoyOptions{Module: module, Watch: true, DemoUpstream: upstream.Listener.Addr().String(), OnEvent: r.publish},
	); err != nil {
		t.Fatal(err)
	}
	listeners, err := r.Listeners()
	if err != nil || len(listeners) != 1 || listeners[0].Name != "main" {
		t.Fatalf("%v, %v", listeners, err)
	}
	base := "http://" + listeners[0].Address
	one := &http.Client{Transport: &http.Transport{MaxConnsPerHost: 1}, Timeout: 20 * time.Second}
	defer one.CloseIdleConnections()
	get := func(path, origin string) (*http.Response, string) {
		t.Helper()
		request, _ := http.NewRequest("GET", base+path, nil)
		request.Header.Set("Origin", origin)
		response, err := one.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		body, _ := io.ReadAll(response.Body)
		return response, string(body)
	}
	allows := func(what, origin string, want bool) {
		t.Helper()
		for begun := time.Now(); ; { // workers take a moment longer
			response, _ := get("/api/hello", origin)
			if response.StatusCode != 200 {
				t.Errorf("%s: %s: %d %v", what, origin, response.StatusCode, response.Header)
			}
			if (response.Header.Get("Access-Control-Allow-Origin") == origin) == want {
				return
			}
			if time.Since(begun) > time.Second {
				t.Errorf("%s: %s: %v", what, origin, response.Header)
				return
			}
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	socket, _, err := websocket.Dial(ctx, base+"/api/ws", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer socket.CloseNow()
	const page, other = "http://localhost:8000", "http://localhost:8001"
	allows("at first", page, true)
	allows("at first", other, false)

	// Meanwhile others ask on.
	asking, stop := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	for range 4 {
		clients.Go(func() {
			client := &http.Client{Transport: &http.Transport{}}
			defer client.CloseIdleConnections()
			for asking.Err() == nil {
				response, err := client.Get(base + "/api/hello")
				if err != nil {
					t.Error(err)
					return
				}
				if response.Body.Close(); response.StatusCode != 200 {
					t.Errorf("meanwhile: %s", response.Status)
				}
				time.Sleep(time.Millisecond)
			}
		})
	}
	defer clients.Wait()
	defer stop()

	changed := replaced(t, file, page, other)
	for _, c := range []struct{ what, text, refused string }{
		{"a policy", changed, ""},
		{
			"a mistake in the policy", replaced(t, file, page, other+"/"),
			"Envoy refuses it: Unable to create Wasm plugin cors\n  wasm log cors: configuration: allow_origins[0]: \"" + other +
				"/\": an origin has no trailing slash",
		},
		{"a field that does not exist", replaced(t, file, "stat_prefix:", "stat_prefixx:"), "'stat_prefixx'"},
		{
			"a value that Envoy refuses", replaced(t, file, "stat_prefix: ingress", `stat_prefix: ""`),
			"value length must be at least 1 characters",
		},
		{
			"a cluster that is not there, after one that is",
			replaced(t, file, "cluster: api }", "cluster: apis }", "connect_timeout: 1s", "connect_timeout: 2s"),
			"route: unknown cluster 'apis'",
		},
		{
			"a filter's name, and its policy refused",
			replaced(t, file, "- name: cors\n", "- name: corsi\n", page, other+"?"), "an origin has no query",
		},
		{"outside of what can change", replaced(t, file, "admin:", "layered_runtime: {}\nadmin:"), "takes a new start"},
		{"no YAML", "{", "yaml: "},
		{"no bootstrap", "[]", "not an Envoy bootstrap"},
		{
			"a cluster's name and a direct response",
			replaced(
				t, changed, "cluster: api }", "cluster: apis }", "name: api\n      type", "name: apis\n      type", "cluster_name: api",
				"cluster_name: apis", "is in front", "stands in front",
			),
			"",
		},
		{"a filter's name", replaced(t, changed, "- name: cors\n", "- name: corsi\n"), ""},
	} {
		switch err := r.Reload([]byte(c.text)); {
		case err == nil && c.refused != "":
			t.Errorf("%s is taken", c.what)
		case err != nil && (c.refused == "" || !strings.Contains(err.Error(), c.refused)):
			t.Errorf("%s: %v, want %s", c.what, err, c.refused)
		}
		allows(c.what, page, false)
		allows(c.what, other, true)
		if len(r.Configurations()) != 1 || !strings.Contains(string(r.Configurations()[0]), `"`+other+`"`) {
			t.Errorf("%s: %s", c.what, r.Configurations())
		}
	}
	if clusters, err := r.process.Get("/config_dump?resource=dynamic_active_clusters"); err != nil || !strings.Contains(clusters, `"apis"`) ||
		strings.Contains(clusters, `"2s"`) {
		t.Errorf("%v: a cluster that is not kept, or one of a file that was refused:\n%s", err, clusters)
	}
	if err := r.Reload([]byte(replaced(t, changed, "is in front", "stands in front"))); err != nil {
		t.Error(err)
	}
	for before := 0; ; before++ {
		response, body := get("/", other)
		if strings.Contains(body, "stands in front") {
			break
		}
		// Workers take a moment; then a connection that stands gets one more answer.
		if time.Sleep(10 * time.Millisecond); response.Close || before < 100 {
			continue
		}
		t.Fatal("a connection goes on with the listener before")
	}
	put([]byte("no module"))
	if err := r.Reload([]byte(changed)); err == nil || !strings.Contains(err.Error(), "Wasm VM failed") {
		t.Error(err)
	}
	put(append(append([]byte{}, wasm...), 0, 2, 1, 'x')) // a section that means nothing
	if err := r.Reload([]byte(changed)); err != nil {
		t.Error(err)
	}
	allows("another module", other, true)
	if err := os.Remove(module); err != nil {
		t.Fatal(err)
	}
	if err := r.Reload([]byte(changed)); err == nil || !strings.Contains(err.Error(), "make build makes it") {
		t.Error(err)
	}
	if err := socket.Write(ctx, websocket.MessageText, []byte("still there")); err != nil {
		t.Error(err)
	}
	if _, got, err := socket.Read(ctx); err != nil || string(got) != "still there" {
		t.Errorf("the WebSocket: %q, %v", got, err)
	}
	envoytest.Eventually(t, "counters", func() bool { return r.Counters()["cors.origin_valid"] > 5 })
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.events) == 0 || r.events[0].Method != "GET" || r.events[0].Authority != listeners[0].Address ||
		r.events[0].Path != "/api/hello" ||
		r.events[0].Status != 200 || r.events[0].Details != "via_upstream" || time.Since(r.events[0].Time) > time.Minute ||
		fmt.Sprint(r.events[0].Request) != "[[origin http://localhost:8000] [x-forwarded-proto http]]" ||
		!strings.Contains(fmt.Sprint(r.events[0].Response), "[x-demo-upstream corsctl]") {
		t.Errorf("%+v", r.events)
	}
	if out := r.stdout.String(); !strings.Contains(out, `"GET /api/hello HTTP/1.1" 200 via_upstream`) || strings.Contains(out, eventKey) {
		t.Errorf("standard output:\n%s", out)
	}
	if strings.Contains(r.stderr.String(), "virtual_hosts {") || strings.Contains(r.stderr.String(), "goo.gle") ||
		!strings.Contains(r.stderr.String(), "wasm log cors: version") {
		t.Errorf("standard error:\n%s", r.stderr.String())
	}
}

// without is a listener, with further fields, that answers by itself.
func without(fields string) string {
	return `{static_resources: {listeners: [{` + fields +
		` address: {socket_address: {address: 127.0.0.1, port_value: 0}}, filter_chains: [{filters: [{name: manager, typed_config: {
"@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager, stat_prefix: a,
http_filters: [{name: router, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}],
route_config: {virtual_hosts: [{name: all, domains: ["*"], routes: [{match: {prefix: /}, direct_response: {status: 200,
  body: {inline_string: served}}}]}]}}}]}]}]}}`
}

func TestAFileWithoutTheFilter(t *testing.T) {
	var r running
	if err := r.start(t, without(""), EnvoyOptions{}); err != nil {
		t.Fatal(err)
	}
	listeners, err := r.Listeners()
	if err != nil || len(listeners) != 1 || listeners[0].Name != "127.0.0.1:0" || r.Configurations() != nil || r.Admin() == "" ||
		len(r.Counters()) != 0 {
		t.Fatalf("%v %v %v", listeners, err, r.Counters())
	}
	response, err := http.Get("http://" + listeners[0].Address)
	if err != nil || response.StatusCode != 200 {
		t.Errorf("%v, %v", response, err)
	}
	r.process.Stop()
	<-r.Ended()
}

func TestWhatEnvoyDoesNotStartWith(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	_, port, _ := net.SplitHostPort(taken.Addr().String())
	busy := replaced(t, without(""), "port_value: 0", "port_value: "+port)
	inUse := "127.0.0.1:" + port + " is in use by another process; stop that process, or change the address in the file"
	for _, c := range []struct {
		text  string
		watch bool
		want  string
	}{
		{busy, false, inUse},
		{busy, true, inUse},
		{without("nam: a,"), false, "'nam'"},
		{without("nam: a,"), true, "'nam'"},
		{ourFile(t), false, "the module: open dist/nothing.wasm: no such file or directory; make build makes it"},
		{"{static_resources: {clusters: []}}", false, "static_resources.listeners: no listener: there is nothing to serve"},
		{"{static_resources: {listeners: [1]}}", false, "Envoy refuses it: "},
		{
			replaced(t, without(""), "{static_resources:", "{dynamic_resources: {lds_config: {path_config_source: {path: x}}}, static_resources:"),
			true, "leave -watch out",
		},
	} {
		var r running
		err := r.start(
			t, c.text, EnvoyOptions{Watch: c.watch, ReadFile: func(name string) ([]byte, error) { return os.ReadFile("dist/nothing.wasm") }},
		)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(r.stderr.String(), "filter_chains {") {
			t.Errorf("%v, want %s\n%s", err, c.want, r.stderr.String())
		}
	}
	if _, err := StartEnvoy(
		t.Context(), []byte(without("")), EnvoyOptions{Program: "testdata/no-envoy", LogLevel: "error", Stderr: io.Discard},
	); err == nil ||
		!strings.Contains(err.Error(), "testdata/no-envoy: no such file") {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := StartEnvoy(
		ctx, []byte(without("")), EnvoyOptions{Program: envoytest.Program(t), LogLevel: "error", Stderr: io.Discard},
	); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// TestWhatEnvoyGets looks at the file that becomes of one, without an Envoy.
func TestWhatEnvoyGets(t *testing.T) {
	const text = `
admin: {access_log: []}
static_resources:
  listeners:
  - address: {socket_address: {address: 0.0.0.0, port_value: 80}}
    filter_chains:
    - filters:
      - typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          access_log: [{name: theirs}]
          http_filters:
          - {name: cors, disabled: true, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm,
            config: {vm_config: {code: {local: {filename: a.wasm}}}, configuration: {value: "{}"}}}}
          - {name: cors, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm,
            config: {vm_config: {code: {remote: {sha256: x}}}, configuration: {value: "{\"a\": 1}"}}}}
  clusters:
  - {name: demo, load_assignment: {endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1,
    port_value: 9000}}}}]}]}}
  - {name: other, load_assignment: {endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.2,
    port_value: 9000}}}}]}]}}
  big: 12345678901234567890
`
	options := EnvoyOptions{
		DemoUpstream: "127.0.0.1:4321",
		OnEvent:      func(demo.Event) {},
		ReadFile:     func(name string) ([]byte, error) { return []byte("code of " + name), nil },
	}
	b, err := options.read([]byte(text), "/t")
	if err != nil {
		t.Fatal(err)
	}
	whole := string(b.outside())
	for _, want := range []string{
		`"access_log":[{"name":"theirs"},{"name":"corsctl",`, `"filename":"/t/`, `{"remote":{"sha256":"x"}}`,
		`{"address":"127.0.0.1","port_value":4321}`, `{"address":"127.0.0.2","port_value":9000}`, `{"address":"127.0.0.1","port_value":0}`,
		`"name":"0.0.0.0:80"`, `12345678901234567890`,
	} {
		if !strings.Contains(whole, want) {
			t.Errorf("no %s in %s", want, whole)
		}
	}
	if len(b.files) != 1 || string(b.files[0].content) != "code of a.wasm" || len(b.configurations) != 2 ||
		string(b.configurations[1]) != `{"a": 1}` {
		t.Errorf("%q %q", b.files, b.configurations)
	}
	if err := b.split("/t", []any{object{"name": "demo"}, object{"name": "before"}}); err != nil {
		t.Fatal(err)
	}
	var order []string
	for _, f := range b.files[1:] {
		order = append(order, f.stats)
		if !json.Valid(f.content) {
			t.Errorf("%s", f.content)
		}
	}
	if got := strings.Join(order, " "); got != "cluster_manager.cds extension_config_discovery.http_filter.cors "+
		"extension_config_discovery.http_filter.cors listener_manager.lds" ||
		b.files[2].path == b.files[3].path {
		t.Errorf("%s %v", got, b.files)
	}
	if whole := string(b.outside()); !strings.Contains(whole, `"static_resources":{"big":`) ||
		!strings.Contains(whole, `"lds_config":{"path_config_source":{"path":"/t/listeners.json"}`) {
		t.Error(whole)
	}
	if clusters := string(b.files[1].content); strings.Count(clusters, `"name":"demo"`) != 1 ||
		!strings.Contains(clusters, `"name":"before"`) {
		t.Error(clusters)
	}
	if listeners := string(b.files[4].content); !strings.Contains(listeners, `"disabled":true`) || strings.Contains(listeners, "vm_config") ||
		!strings.Contains(listeners, b.files[2].path) {
		t.Error(listeners)
	}
}
