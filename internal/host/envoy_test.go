package host

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"corsfilter/internal/envoy"
	"corsfilter/internal/envoytest"
)

// profileOf tells which Envoy is here.
func profileOf(t *testing.T) Profile {
	t.Helper()
	out, err := exec.Command(envoytest.Program(t), "--version").Output()
	if err != nil {
		t.Fatal(err)
	}
	var minor int
	if version := regexp.MustCompile(`/1\.(\d+)\.\d+/`).FindSubmatch(out); version == nil {
		t.Fatalf("no version in %s", out)
	} else if minor, err = strconv.Atoi(string(version[1])); err != nil {
		t.Fatal(err)
	}
	if minor < 39 {
		return Envoy133
	}
	return Envoy139
}

// TestBehaviourOfEnvoy runs all behaviours in one Envoy, each in a listener of its
// own and those with modules of their own in VMs of their own.
func TestBehaviourOfEnvoy(t *testing.T) {
	profile := profileOf(t)
	var rows []behaviour
	for _, b := range behaviours(t) {
		if b.in == nil || b.in(profile) {
			rows = append(rows, b)
		}
	}
	e := startEnvoy(t, rows)
	outcomes := make([]outcome, len(rows))
	for i, b := range rows {
		outcomes[i] = e.exchange(t, i, b)
	}
	for i := range rows {
		outcomes[i].details = e.Logged(t, fmt.Sprint(i)).Details
	}
	counters := e.Count(t)
	said := linesOf(e.Log(), len(rows))
	for i, b := range rows {
		t.Run(b.name, func(t *testing.T) {
			got := outcomes[i]
			got.said = said[i]
			got.counted = func(name string) uint64 { return counters[name] }
			b.check(t, got)
		})
	}
}

// inEnvoy is an Envoy with behaviours in it.
type inEnvoy struct {
	*envoytest.Server
	mu        sync.Mutex
	forwarded map[string]http.Header // by row
}

func startEnvoy(t *testing.T, rows []behaviour) *inEnvoy {
	t.Helper()
	e := &inEnvoy{forwarded: map[string]http.Header{}}
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		row := r.Header.Get(envoytest.Attempt)
		e.mu.Lock()
		e.forwarded[row] = r.Header.Clone()
		e.mu.Unlock()
		i, _ := strconv.Atoi(row)
		for _, h := range rows[i].upstream {
			w.Header().Add(h[0], h[1])
		}
		w.WriteHeader(http.StatusOK)
	}))
	t.Cleanup(upstream.Close)
	folder := t.TempDir()
	file := func(name string, module []byte) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, module, 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	guest, err := guestModule()
	if err != nil {
		t.Fatal(err)
	}
	guestPath := file("guest.wasm", guest)
	var listeners []envoytest.Listener
	for i, b := range rows {
		// What is logged outside of streams tells the VM alone.
		path, vm := guestPath, "shared"
		if b.vmConfiguration != "" || b.script == "" || strings.HasPrefix(b.script, "configure:") {
			vm = fmt.Sprint("vm-", i)
		}
		if b.module != nil {
			path, vm = file(fmt.Sprintf("%d.wasm", i), b.module.bytes()), fmt.Sprint("vm-", i)
		}
		more := object{}
		if b.failOpen {
			more["failure_policy"] = "FAIL_OPEN"
		}
		listeners = append(listeners, envoytest.Listener{Name: fmt.Sprint(i), Front: asFilter(t, fmt.Sprintf("row-%d", i), vm, path, b, more)})
	}
	e.Server = envoytest.Start(
		t, envoytest.Bootstrap{Listeners: listeners, Upstream: upstream.Listener.Addr().String()},
		envoy.Options{Arguments: []string{"--component-log-level", "wasm:info"}},
	)
	return e
}

type object = map[string]any

// asFilter is a list of one filter, with what its configuration has beyond the usual.
func asFilter(t *testing.T, name, vm, path string, b behaviour, more object) string {
	t.Helper()
	text := func(value string) object {
		return object{"@type": "type.googleapis.com/google.protobuf.StringValue", "value": value}
	}
	config := object{
		"name": name, "configuration": text(b.script),
		"vm_config": object{
			"vm_id":         vm,
			"runtime":       "envoy.wasm.runtime.v8",
			"code":          object{"local": object{"filename": path}},
			"configuration": text(b.vmConfiguration),
		},
	}
	maps.Copy(config, more)
	filters, err := json.Marshal(
		[]any{
			object{
				"name":         "guest",
				"typed_config": object{"@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm", "config": config},
			},
		},
	)
	if err != nil {
		t.Fatal(err)
	}
	return string(filters)
}

// exchange sends the request as it stands, as often as it is wanted.
func (e *inEnvoy) exchange(t *testing.T, i int, b behaviour) (got outcome) {
	t.Helper()
	text := fmt.Sprintf("GET / HTTP/1.1\r\nHost: host\r\nConnection: close\r\n%s: %d\r\n", envoytest.Attempt, i)
	for _, h := range b.request {
		text += h[0] + ": " + h[1] + "\r\n"
	}
	for range max(1, b.times) {
		e.mu.Lock()
		delete(e.forwarded, fmt.Sprint(i))
		e.mu.Unlock()
		connection, err := net.Dial("tcp", e.Address(fmt.Sprint(i)))
		if err != nil {
			t.Fatal(err)
		}
		defer connection.Close()
		if _, err := io.WriteString(connection, text+"\r\n"); err != nil {
			t.Fatal(err)
		}
		response, err := http.ReadResponse(bufio.NewReader(connection), nil)
		if err != nil {
			t.Fatalf("%s: %v", b.name, err)
		}
		body, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		got.status, got.body, got.headers = response.StatusCode, string(body), response.Header.Values
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	forwarded, reached := e.forwarded[fmt.Sprint(i)]
	got.reached, got.forwarded = reached, forwarded.Values
	return got
}

var wasmLine = regexp.MustCompile(`^\[[^]]*\]\[\d+\]\[(\w+)\]\[wasm\] \[[^]]*\] wasm log(?: row-(\d+))? (?:vm-(\d+)|shared) ?: (.*)$`)

// linesOf finds what the module of each row has said.
func linesOf(log string, rows int) [][]string {
	roots, streams := make([]outcome, rows), make([]outcome, rows)
	for line := range strings.Lines(log) {
		m := wasmLine.FindStringSubmatch(strings.TrimRight(line, "\n"))
		if m == nil {
			continue
		}
		into := streams
		if m[2] == "" {
			into = roots
		}
		row := m[2]
		if row == "" {
			row = m[3]
		}
		if i, err := strconv.Atoi(row); err == nil {
			into[i].say(m[1], m[4])
		}
	}
	all := make([][]string, rows)
	for i := range all {
		// Outside of streams everything is said once by each of three VMs: the
		// one that tries the configuration, and each thread's.
		root := roots[i].said
		if n := len(root) / 3; 3*n == len(root) && slices.Equal(root, slices.Repeat(root[:n], 3)) {
			root = root[:n]
		}
		all[i] = append(root, streams[i].said...)
	}
	return all
}

// TestLoadingInEnvoy gives Envoy all modules at once, each in a listener of its own, as a
// control plane does: what it refuses is missing from the listeners.
func TestLoadingInEnvoy(t *testing.T) {
	profile := profileOf(t)
	folder := t.TempDir()
	var rows []loading
	var listeners []envoytest.Listener
	for _, l := range loadings(t) {
		if l.in != nil && !l.in(profile) {
			continue
		}
		path := filepath.Join(folder, fmt.Sprint(len(rows), ".wasm"))
		if err := os.WriteFile(path, l.module, 0o644); err != nil {
			t.Fatal(err)
		}
		name := fmt.Sprint(len(rows))
		listeners = append(listeners, envoytest.Listener{
			Name: name, Front: asFilter(t, name, name, path, behaviour{script: "text"}, nil),
			Routes: `[{match: {prefix: /}, direct_response: {status: 200}}]`,
		})
		rows = append(rows, l)
	}
	var all struct {
		Static struct {
			Listeners []object `json:"listeners"`
		} `json:"static_resources"`
	}
	if err := json.Unmarshal((envoytest.Bootstrap{Listeners: listeners}).JSON(t), &all); err != nil {
		t.Fatal(err)
	}
	for _, l := range all.Static.Listeners {
		l["@type"] = "type.googleapis.com/envoy.config.listener.v3.Listener"
	}
	file := filepath.Join(folder, "listeners.json")
	text, err := json.Marshal(object{"resources": all.Static.Listeners})
	if err == nil {
		err = os.WriteFile(file, text, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	s := envoytest.Start(t, envoytest.Bootstrap{
		More: fmt.Sprintf(`dynamic_resources: {lds_config: {path_config_source: {path: %q}, resource_api_version: V3}}`, file),
	}, envoy.Options{Arguments: []string{"--service-node", "test", "--service-cluster", "test"}})
	envoytest.Eventually(t, "Envoy has seen them all", func() bool {
		stats, err := s.Stats(`^listener_manager\.lds\.update_rejected$`)
		return err == nil && stats["listener_manager.lds.update_rejected"] == 1
	})
	there, err := s.Listeners()
	if err != nil {
		t.Fatal(err)
	}
	for i, l := range rows {
		if _, taken := there[fmt.Sprint(i)]; taken != (l.want == "") {
			t.Errorf("%s: taken %v", l.name, taken)
		}
	}
}

// TestFailurePoliciesOfEnvoy lets a module trap in Envoy under each failure policy: what
// becomes of that request, and of later ones. The module marks what it sees.
func TestFailurePoliciesOfEnvoy(t *testing.T) {
	m := &wasm{}
	get := m.use("env", "proxy_get_header_map_value", "iiiii", "i")
	add := m.use("env", "proxy_add_header_map_value", "iiiii", "i")
	m.base(1024)
	m.bytesAt(32, []byte("x-trap"))
	m.bytesAt(40, []byte("x-seen"))
	m.give("proxy_on_request_headers", "iii", "i", code(
		put(0), put(32), put(6), put(8), put(12), invoke(get), []byte{0x45, 0x04, 0x40, unreachable, 0x0b}, // i32.eqz, if, end
		put(0))...)
	m.give("proxy_on_response_headers", "iii", "i", code(put(2), put(40), put(6), put(40), put(6), invoke(add), []byte{drop}, put(0))...)
	path := filepath.Join(t.TempDir(), "trap.wasm")
	if err := os.WriteFile(path, m.bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	policies := []string{"FAIL_CLOSED", "FAIL_OPEN", "FAIL_RELOAD"}
	var listeners []envoytest.Listener
	for _, policy := range policies {
		listeners = append(listeners, envoytest.Listener{
			Name: policy,
			Front: asFilter(
				t, policy, policy, path, behaviour{},
				object{"failure_policy": policy, "reload_config": object{"backoff": object{"base_interval": "0.1s"}}},
			),
		})
	}
	arrived, release := make(chan struct{}), make(chan struct{})
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("x-wait") != "" {
			arrived <- struct{}{}
			<-release
		}
	}))
	defer upstream.Close()
	s := envoytest.Start(t, envoytest.Bootstrap{Listeners: listeners, Upstream: upstream.Listener.Addr().String()}, envoy.Options{})
	var attempts atomic.Int64
	ask := func(policy string, with ...string) string {
		t.Helper()
		attempt := fmt.Sprint(attempts.Add(1))
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.Address(policy), nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set(envoytest.Attempt, attempt)
		for _, name := range with {
			request.Header.Set(name, "yes")
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		return strings.TrimSpace(fmt.Sprint(response.StatusCode, " ", s.Logged(t, attempt).Details, " ", response.Header.Get("x-seen")))
	}
	const seen, passed, failed = "200 via_upstream x-seen", "200 via_upstream", "503 " + detailsFailed
	for _, c := range []struct{ policy, trap, open, later string }{
		{"FAIL_CLOSED", failed, failed, failed},
		{"FAIL_OPEN", failed, failed, passed},
		{"FAIL_RELOAD", failed, failed, seen},
	} {
		t.Run(c.policy, func(t *testing.T) {
			for range 2 { // what recovers can fail again
				if got := ask(c.policy); got != seen {
					t.Errorf("before: %s", got)
				}
				open := make(chan string)
				go func() { open <- ask(c.policy, "x-wait") }()
				<-arrived
				if got := ask(c.policy, "x-trap"); got != c.trap {
					t.Errorf("the trap: %s, want %s", got, c.trap)
				}
				release <- struct{}{}
				if got := <-open; got != c.open {
					t.Errorf("a stream that was open: %s, want %s", got, c.open)
				}
				if c.policy != "FAIL_RELOAD" {
					break
				}
				envoytest.Eventually(t, "the module is reloaded", func() bool { return ask(c.policy) == seen })
			}
			for range 3 {
				if got := ask(c.policy); got != c.later {
					t.Errorf("later: %s, want %s", got, c.later)
				}
			}
		})
	}
}
