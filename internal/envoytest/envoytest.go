// Package envoytest gives tests a real Envoy with the built module: the one that ENVOY
// names, or the one on PATH. Without one a test fails, unless ENVOY=none leaves Envoy
// out on purpose. make test finds or installs one.
package envoytest

import (
	"bufio"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"corsfilter/internal/envoy"
	"corsfilter/internal/locked"
	"corsfilter/internal/wasmtest"
)

// Program returns the Envoy, or ends the test.
func Program(t testing.TB) string {
	t.Helper()
	program, err := envoy.Find()
	switch {
	case errors.Is(err, envoy.ErrLeftOut):
		t.Skip(err)
	case err != nil:
		t.Fatalf("%v; run make test, which installs one, or leave it out with ENVOY=none", err)
	}
	return program
}

// Bootstrap is an envoy.yaml made of parts. Each part is YAML as Envoy's own files
// have it. Every port is the system's choice, on loopback.
type Bootstrap struct {
	Listeners []Listener
	// Upstream is the address (host:port) of the cluster "upstream"; "": none.
	Upstream string
	Clusters string // a list: more clusters
	// More is merged over the whole file.
	More string
}

// Listener is a listener with one connection manager.
type Listener struct {
	Name string // "" is main
	// Policy is the configuration of the filter, which stands first; "": no filter.
	Policy string
	// Plugin is merged over the filter's config, such as {failure_policy: FAIL_OPEN}.
	Plugin string
	// Front and Behind are lists of HTTP filters around ours.
	Front, Behind string
	// Routes is a list; "": everything to the cluster "upstream".
	Routes string
	// VirtualHost, RouteConfig, Manager and Chain are merged over the virtual host,
	// the route configuration, the connection manager and the filter chain.
	VirtualHost, RouteConfig, Manager, Chain string
}

type object = map[string]any

// JSON returns the file.
func (b Bootstrap) JSON(t testing.TB) []byte {
	t.Helper()
	var listeners []any
	for _, l := range b.Listeners {
		listeners = append(listeners, l.object(t))
	}
	clusters := list(t, b.Clusters)
	if b.Upstream != "" {
		clusters = append(clusters, Cluster(t, "upstream", b.Upstream))
	}
	file := object{
		"admin":            object{"address": socket("127.0.0.1", 0)},
		"static_resources": object{"listeners": listeners, "clusters": clusters},
	}
	merge(t, file, b.More)
	text, err := json.Marshal(file)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// Cluster is a cluster of one endpoint (host:port).
func Cluster(t testing.TB, name, address string) map[string]any {
	t.Helper()
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	port, _ := strconv.Atoi(text)
	return object{"name": name, "type": "STATIC", "connect_timeout": "1s", "load_assignment": object{
		"cluster_name": name,
		"endpoints":    []any{object{"lb_endpoints": []any{object{"endpoint": object{"address": socket(host, port)}}}}},
	}}
}

func socket(host string, port int) object {
	return object{"socket_address": object{"address": host, "port_value": port}}
}

// Attempt is the request header by which [Server.Logged] finds a line of the access log.
const Attempt = "x-attempt"

func (l Listener) object(t testing.TB) object {
	t.Helper()
	routes := list(t, l.Routes)
	if l.Routes == "" {
		routes = []any{object{"match": object{"prefix": "/"}, "route": object{"cluster": "upstream"}}}
	}
	virtualHost := object{"name": "all", "domains": []any{"*"}, "routes": routes}
	merge(t, virtualHost, l.VirtualHost)
	routeConfig := object{"name": "all", "virtual_hosts": []any{virtualHost}}
	merge(t, routeConfig, l.RouteConfig)
	filters := list(t, l.Front)
	if l.Policy != "" {
		filters = append(filters, Filter(t, l.Policy, l.Plugin))
	}
	filters = append(filters, list(t, l.Behind)...)
	filters = append(filters, object{"name": "envoy.filters.http.router", "typed_config": object{"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}})
	manager := object{
		"@type":           "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
		"stat_prefix":     "ingress",
		"upgrade_configs": []any{object{"upgrade_type": "websocket"}},
		"http_filters":    filters,
		"route_config":    routeConfig,
		"access_log": []any{object{"name": "stdout", "typed_config": object{
			"@type": "type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog",
			"log_format": object{"json_format": object{
				"attempt": "%REQ(" + Attempt + ")%", "status": "%RESPONSE_CODE%", "details": "%RESPONSE_CODE_DETAILS%", "upstream": "%UPSTREAM_HOST%", "protocol": "%PROTOCOL%",
			}},
		}}},
	}
	merge(t, manager, l.Manager)
	chain := object{"filters": []any{object{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}}}
	merge(t, chain, l.Chain)
	name := l.Name
	if name == "" {
		name = "main"
	}
	return object{"name": name, "address": socket("127.0.0.1", 0), "filter_chains": []any{chain}}
}

// Filter is the module as an HTTP filter, as envoy.yaml has it.
func Filter(t testing.TB, policy, plugin string) map[string]any {
	t.Helper()
	config := object{
		"name": "cors",
		"vm_config": object{
			"vm_id": "cors", "runtime": "envoy.wasm.runtime.v8",
			"code":                  object{"local": object{"filename": ModulePath(t)}},
			"environment_variables": object{"key_values": object{"GOGC": "off", "GOMEMLIMIT": "64MiB"}},
		},
		"configuration": object{"@type": "type.googleapis.com/google.protobuf.StringValue", "value": policy},
	}
	merge(t, config, plugin)
	return object{"name": "cors", "typed_config": object{"@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm", "config": config}}
}

// ModulePath returns a file with the built module. It outlives the test that asks first,
// and so does not lie in a test's folder; its name says what is in it.
func ModulePath(t testing.TB) string {
	t.Helper()
	if path := os.Getenv("CORSFILTER_WASM"); path != "" {
		return path
	}
	module := wasmtest.Module(t)
	path := filepath.Join(os.TempDir(), fmt.Sprintf("corsfilter-%x.wasm", sha256.Sum256(module)))
	if _, err := os.Stat(path); err == nil {
		return path
	}
	unfinished := filepath.Join(t.TempDir(), "cors.wasm")
	if err := errors.Join(os.WriteFile(unfinished, module, 0o644), os.Rename(unfinished, path)); err != nil {
		t.Fatal(err)
	}
	return path
}

// merge puts YAML over an object: objects are merged, everything else is replaced.
func merge(t testing.TB, over object, text string) {
	t.Helper()
	if text == "" {
		return
	}
	var more object
	if err := yaml.Unmarshal([]byte(text), &more); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	mergeObjects(over, more)
}

func mergeObjects(over, more object) {
	for key, value := range more {
		before, ok1 := over[key].(object)
		after, ok2 := value.(object)
		if ok1 && ok2 {
			before = maps.Clone(before)
			mergeObjects(before, after)
			value = before
		}
		over[key] = value
	}
}

func list(t testing.TB, text string) (all []any) {
	t.Helper()
	if err := yaml.Unmarshal([]byte(text), &all); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return all
}

// Entry is a line of the access log.
type Entry struct {
	Attempt, Details, Upstream, Protocol string
	Status                               int
}

// Server is an Envoy that ends with the test.
type Server struct {
	*envoy.Process
	t         testing.TB
	addresses map[string]string
	log       locked.Buffer
	mu        sync.Mutex
	logged    map[string]Entry
}

// Start runs the bootstrap in Envoy.
func Start(t testing.TB, b Bootstrap, options envoy.Options) *Server {
	t.Helper()
	return StartFile(t, b.JSON(t), options)
}

// StartFile runs a file in Envoy, with Stdout and Stderr of options taken by the
// server. Its listeners have to be bound before it returns.
func StartFile(t testing.TB, bootstrap []byte, options envoy.Options) *Server {
	t.Helper()
	s, err := TryFile(t, bootstrap, options)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TryFile is StartFile for what Envoy may refuse.
func TryFile(t testing.TB, bootstrap []byte, options envoy.Options) (*Server, error) {
	t.Helper()
	program := Program(t)
	file := filepath.Join(t.TempDir(), "envoy.json")
	if err := os.WriteFile(file, bootstrap, 0o644); err != nil {
		t.Fatal(err)
	}
	s := &Server{t: t, logged: map[string]Entry{}}
	out, in := io.Pipe()
	options.Stdout, options.Stderr = in, &s.log
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.readLog(out)
	}()
	var err error
	s.Process, err = envoy.Start(t.Context(), program, file, options)
	if err != nil {
		in.Close()
		<-done
		return nil, err
	}
	t.Cleanup(func() {
		s.Stop()
		in.Close()
		<-done
	})
	if s.addresses, err = s.Listeners(); err != nil {
		t.Fatal(err)
	}
	return s, nil
}

func (s *Server) readLog(from io.Reader) {
	for lines := bufio.NewScanner(from); lines.Scan(); {
		var e Entry
		if json.Unmarshal(lines.Bytes(), &e) == nil {
			s.mu.Lock()
			s.logged[e.Attempt] = e
			s.mu.Unlock()
		}
	}
}

// Logged returns the line of the access log about the request that had this value
// in the header [Attempt].
func (s *Server) Logged(t testing.TB, attempt string) Entry {
	t.Helper()
	for begun := time.Now(); time.Since(begun) < 10*time.Second; time.Sleep(5 * time.Millisecond) {
		s.mu.Lock()
		e, ok := s.logged[attempt]
		s.mu.Unlock()
		if ok {
			return e
		}
	}
	t.Fatalf("the access log says nothing of the request %s", attempt)
	return Entry{}
}

// Address returns the address (host:port) of a listener; "" is main.
func (s *Server) Address(listener string) string {
	if listener == "" {
		listener = "main"
	}
	if s.addresses[listener] == "" {
		s.t.Fatalf("no listener %s", listener)
	}
	return s.addresses[listener]
}

// Log returns what Envoy has said so far.
func (s *Server) Log() string { return s.log.String() }

// Count returns the filter's counters, without "wasmcustom." in front.
func (s *Server) Count(t testing.TB) map[string]uint64 {
	t.Helper()
	stats, err := s.Stats(`^wasmcustom\.`)
	if err != nil {
		t.Fatal(err)
	}
	counters := map[string]uint64{}
	for name, value := range stats {
		counters[name[len("wasmcustom."):]] = value
	}
	return counters
}

// Counted waits until the filter has handed over counters that a test wants, which
// it does once a second, and fails where they are others after five.
func (s *Server) Counted(t testing.TB, want map[string]uint64) {
	t.Helper()
	var got map[string]uint64
	for begun := time.Now(); time.Since(begun) < 5*time.Second; time.Sleep(50 * time.Millisecond) {
		got = s.Count(t)
		maps.DeleteFunc(got, func(_ string, n uint64) bool { return n == 0 })
		if maps.Equal(got, want) {
			return
		}
	}
	t.Errorf("counted %s, want %s", fmt.Sprint(got), fmt.Sprint(want))
}

// Eventually waits until something holds, for ten seconds.
func Eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for begun := time.Now(); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Since(begun) > 10*time.Second {
			t.Fatal("after ten seconds not: " + what)
		}
	}
}
