package load

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// policy is what the gateway serves; the two versions differ in what scripts may
// read, and in nothing that a browser would be kept out by.
func policy(version int) string {
	return fmt.Sprintf(`{"allow_origins": ["https://shop.example.com", "https://*.example.org"], "allow_methods": ["PUT"], "allow_headers": ["x-a"], "allow_credentials": true, "expose_headers": ["x-version-%d"]}`, version)
}

// bootstrap is an envoy.yaml with one listener and one upstream; without a policy
// there is no filter in it.
func bootstrap(t *testing.T, listen, upstream, configuration string) []byte {
	t.Helper()
	filter := ""
	if configuration != "" {
		quoted, err := json.Marshal(configuration)
		if err != nil {
			t.Fatal(err)
		}
		filter = fmt.Sprintf(`
          - name: cors
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm
              config:
                name: cors
                vm_config:
                  runtime: envoy.wasm.runtime.v8
                  code: {local: {filename: %q}}
                  environment_variables: {key_values: {GOGC: "off", GOMEMLIMIT: 64MiB}}
                configuration: {"@type": type.googleapis.com/google.protobuf.StringValue, value: %s}`, module(t), quoted)
	}
	place := func(address string) string {
		host, port, err := net.SplitHostPort(address)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("{socket_address: {address: %s, port_value: %s}}", host, port)
	}
	return fmt.Appendf(nil, `
static_resources:
  listeners:
  - name: main
    address: %s
    filter_chains:
    - filters:
      - name: manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: load
          http_filters:%s
          - name: router
            typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
          route_config:
            name: all
            virtual_hosts: [{name: all, domains: ["*"], routes: [{match: {prefix: /}, route: {cluster: api}}]}]
  clusters:
  - name: api
    load_assignment: {cluster_name: api, endpoints: [{lb_endpoints: [{endpoint: {address: %s}}]}]}
`, place(listen), filter, place(upstream))
}

// module is the path of the one that make built.
func module(t *testing.T) string {
	t.Helper()
	path := os.Getenv("CORSFILTER_WASM")
	if path == "" {
		t.Fatal("CORSFILTER_WASM names no module; run make test from the root")
	}
	return path
}

// upstream answers at once, slowly, with an error, or by hanging up.
func upstream(t *testing.T) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*") // careless
		switch r.URL.Path {
		case "/slow":
			time.Sleep(200 * time.Millisecond)
		case "/error":
			w.WriteHeader(http.StatusInternalServerError)
		case "/hangs-up":
			connection, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				connection.Close()
			}
			return
		}
		fmt.Fprintln(w, "upstream")
	}))
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

// output collects what corsctl says.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) count(part string) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return strings.Count(o.text.String(), part)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// proxy is corsctl serve -watch, a process of its own.
type proxy struct {
	address, file, upstream string
	said                    output
}

// corsctl builds the command.
func corsctl(t *testing.T) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "corsctl")
	build := exec.Command("go", "build", "-o", out, "./cmd/corsctl")
	build.Dir = "../.."
	if said, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	return out
}

func serve(t *testing.T, corsctl, upstream, configuration string) *proxy {
	t.Helper()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{address: free.Addr().String(), file: filepath.Join(t.TempDir(), "envoy.yaml"), upstream: upstream}
	free.Close()
	p.write(t, configuration)
	command := exec.Command(corsctl, "serve", "-c", p.file, "-watch", "-workers", "2", "-log-level", "error")
	command.Stdout, command.Stderr = &p.said, &p.said
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- command.Wait() }()
	t.Cleanup(func() {
		command.Process.Signal(os.Interrupt)
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("corsctl serve ended with %v:\n%s", err, &p.said)
			}
		case <-time.After(30 * time.Second):
			command.Process.Kill()
			t.Error("corsctl serve does not end")
		}
	})
	for deadline := time.Now().Add(60 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if connection, err := net.Dial("tcp", p.address); err == nil {
			connection.Close()
			return p
		}
		if time.Now().After(deadline) {
			t.Fatalf("corsctl serve does not listen:\n%s", &p.said)
		}
	}
}

// write puts a configuration in the place of the one that is served, as an editor
// does: whole, by a rename.
func (p *proxy) write(t *testing.T, configuration string) {
	next := p.file + ".next"
	if err := errors.Join(os.WriteFile(next, bootstrap(t, p.address, p.upstream, configuration), 0o600), os.Rename(next, p.file)); err != nil {
		t.Error(err)
	}
}
