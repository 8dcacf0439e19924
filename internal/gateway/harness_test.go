package gateway

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"corsfilter/internal/host"
	"corsfilter/internal/locked"
)

// file is a bootstrap put together from the parts that a test is about.
type file struct {
	manager  string // further fields of the connection manager, one per line
	filters  string // http_filters before the router, in flow style
	routes   string // routes of the one virtual host
	vhosts   string // in place of routes: the whole list
	clusters string
	rest     string // further top-level fields
}

const routerFilter = `{name: router, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}`

func (f file) yaml() []byte {
	vhosts := f.vhosts
	if vhosts == "" {
		vhosts = `[{name: all, domains: ["*"], routes: [` + f.routes + `]}]`
	}
	manager := ""
	for line := range strings.SplitSeq(strings.TrimSpace(f.manager), "\n") {
		manager += "          " + line + "\n"
	}
	return fmt.Appendf(nil, `
admin: {address: {socket_address: {address: 127.0.0.1, port_value: 9901}}}
static_resources:
  listeners:
  - name: main
    address: {socket_address: {address: 127.0.0.1, port_value: 10000}}
    filter_chains:
    - filters:
      - name: manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: test
%s
          http_filters: [%s %s]
          route_config: {name: r, virtual_hosts: %s}
  clusters: [%s]
%s
`, manager, f.filters, routerFilter, vhosts, f.clusters, f.rest)
}

// api is a cluster whose endpoints a test replaces.
const api = `{name: api, load_assignment: {cluster_name: api, endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: 1}}}}]}]}}`

const apiRoute = `{name: api-route, match: {prefix: /}, route: {cluster: api}}`

// live is a gateway on loopback, with the file's surroundings replaced.
type live struct {
	*Gateway
	base      string
	accessLog *locked.Buffer
	log       *locked.Buffer
}

func start(t *testing.T, f file, module []byte, adapt ...func(*Options)) live {
	t.Helper()
	config, err := Load(f.yaml(), LoadOptions{Module: module})
	if err != nil {
		t.Fatal(err)
	}
	l := live{accessLog: &locked.Buffer{}, log: &locked.Buffer{}}
	options := Options{Listen: Ephemeral, AccessLog: l.accessLog, Log: l.log, LogLevel: host.LogInfo}
	for _, change := range adapt {
		change(&options)
	}
	l.Gateway, err = Start(context.Background(), config, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := l.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	l.base = "http://" + l.Addr("main")
	return l
}

func withUpstream(address string) func(*Options) {
	return func(o *Options) { o.Endpoints = map[string]string{"api": address} }
}

func withTimeout(timeout time.Duration) func(*Options) {
	return func(o *Options) { o.UpstreamTimeout = timeout }
}

// upstream serves handler and returns its host:port.
func upstream(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

// answer is a response as far as tests compare it.
type answer struct {
	status int
	header http.Header
	body   string
}

// client opens a connection per request and follows no redirect.
func client() *http.Client {
	return &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true, DisableCompression: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Timeout:       10 * time.Second,
	}
}

func do(t *testing.T, c *http.Client, method, url string, headers ...string) answer {
	t.Helper()
	request, err := http.NewRequest(method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range headers {
		name, value, _ := strings.Cut(line, ": ")
		if name == "host" {
			request.Host = value
			continue
		}
		request.Header.Add(name, value)
	}
	response, err := c.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{response.StatusCode, response.Header, string(body)}
}

func (l live) get(t *testing.T, path string, headers ...string) answer {
	t.Helper()
	return do(t, client(), http.MethodGet, l.base+path, headers...)
}

// headers lists a header set as sorted "name: value" lines; those that tell
// the time or the connection are left out.
func (a answer) headers(without ...string) []string {
	var lines []string
	for name, values := range a.header {
		name = strings.ToLower(name)
		if name == "date" || name == "connection" || slices.Contains(without, name) {
			continue
		}
		for _, value := range values {
			lines = append(lines, name+": "+value)
		}
	}
	slices.Sort(lines)
	return lines
}

func expectLines(t *testing.T, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n%s\nwant:\n%s", what, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// eventually waits for what happens behind a response, such as its log line.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(5 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within five seconds", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

var buildGuest = sync.OnceValues(func() ([]byte, error) {
	directory, err := os.MkdirTemp("", "guest")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(directory)
	out := filepath.Join(directory, "guest.wasm")
	build := exec.Command("go", "build", "-buildmode=c-shared", "-o", out, "./testdata/guest")
	build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	if text, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("building the guest: %w\n%s", err, text)
	}
	return os.ReadFile(out)
})

// guest is the module of testdata/guest.
func guest(t *testing.T) []byte {
	t.Helper()
	module, err := buildGuest()
	if err != nil {
		t.Fatal(err)
	}
	return module
}

// plugin is a wasm filter with the guest; vm holds further fields of vm_config,
// config further fields beside it.
func plugin(tag, vm, config string) string {
	return fmt.Sprintf(`{name: %s, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm, config: {name: %s,
 vm_config: {runtime: envoy.wasm.runtime.v8, code: {local: {filename: guest.wasm}}%s},
 configuration: {"@type": type.googleapis.com/google.protobuf.StringValue, value: %s}%s}}},`, tag, tag, vm, tag, config)
}
