package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"corsfilter/e2e/scenario"
	"corsfilter/internal/wasmtest"
)

// TestEnvoy runs the scenario table through envoy.yaml in the Envoy that
// CORSFILTER_ENVOY names. make envoy looks for one.
func TestEnvoy(t *testing.T) {
	envoy := os.Getenv("CORSFILTER_ENVOY")
	if envoy == "" {
		t.Skip("CORSFILTER_ENVOY names no Envoy; make envoy runs this test")
	}
	inEnvoy(t, envoy, 1<<30)
}

// TestEnvoyStandIn runs the beginning of it with a program that takes Envoy's
// command line and calls corsctl serve, so that the way through a process is known
// to work where there is no Envoy.
func TestEnvoyStandIn(t *testing.T) {
	wasmtest.Module(t)
	folder := t.TempDir()
	build := exec.Command("go", "build", "-o", filepath.Join(folder, "corsctl"), "./cmd/corsctl")
	build.Dir = wasmtest.Root()
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	envoy := filepath.Join(folder, "envoy")
	script := "#!/bin/sh\nwhile [ \"$1\" != -c ]; do shift; done\nexec " + filepath.Join(folder, "corsctl") + " serve -c \"$2\"\n"
	if err := os.WriteFile(envoy, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	inEnvoy(t, envoy, 12)
}

// inEnvoy runs so many scenarios, each configuration in a process of its own.
func inEnvoy(t *testing.T, envoy string, most int) {
	of := map[string][]scenario.Scenario{} // by configuration
	var configurations []string
	for _, s := range scenario.All() {
		if s.NotOverHTTP {
			continue
		}
		if most--; most < 0 {
			break
		}
		if of[s.Config] == nil {
			configurations = append(configurations, s.Config)
		}
		of[s.Config] = append(of[s.Config], s)
	}
	for i, configuration := range configurations {
		// One process at a time: a whole table of Envoys is more than a machine bears.
		t.Run(fmt.Sprintf("configuration %d", i+1), func(t *testing.T) {
			server := startEnvoy(t, envoy, configuration)
			for _, s := range of[configuration] {
				t.Run(s.Name, func(t *testing.T) { check(t, s, server.run(t, s)) })
			}
		})
	}
}

// startEnvoy starts envoy.yaml with another policy, everything routed to one
// upstream, ports of the system's choice, and an access log of the details alone.
func startEnvoy(t *testing.T, envoy, configuration string) *live {
	t.Helper()
	l := newLive(t)
	text, err := os.ReadFile(filepath.Join(wasmtest.Root(), "envoy.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var document any
	if err := yaml.Unmarshal(text, &document); err != nil {
		t.Fatal(err)
	}
	admin := freeAddress(t)
	l.address = freeAddress(t)
	setAddress(t, document, admin, "admin", "address", "socket_address")
	setAddress(t, document, l.address, "static_resources", "listeners", 0, "address", "socket_address")
	setAddress(t, document, l.upstream.Listener.Addr().String(), "static_resources", "clusters", 0, "load_assignment", "endpoints", 0, "lb_endpoints", 0, "endpoint", "address", "socket_address")
	manager := wasmtest.Within(t, document, "static_resources", "listeners", 0, "filter_chains", 0, "filters", 0, "typed_config")
	wasmtest.Within(t, manager, "access_log", 0, "typed_config", "log_format", "text_format_source")["inline_string"] = "%RESPONSE_CODE_DETAILS%\n"
	plugin := wasmtest.Within(t, manager, "http_filters", 0, "typed_config", "config")
	wasmtest.Within(t, plugin, "configuration")["value"] = configuration
	wasmtest.Within(t, plugin, "vm_config", "code", "local")["filename"] = os.Getenv("CORSFILTER_WASM")
	wasmtest.Within(t, manager, "route_config", "virtual_hosts", 0)["routes"] = []any{
		map[string]any{"match": map[string]any{"prefix": "/"}, "route": map[string]any{"cluster": "api"}},
	}
	// The table has paths as the filter sees them.
	for _, name := range []string{"normalize_path", "merge_slashes", "path_with_escaped_slashes_action"} {
		delete(manager, name)
	}
	file := filepath.Join(t.TempDir(), "envoy.json")
	changed, err := json.Marshal(document)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, changed, 0o644); err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	// The log is written at once, and several may run on one machine.
	process := exec.CommandContext(t.Context(), envoy, "--concurrency", "1", "--disable-hot-restart", "--file-flush-interval-msec", "1", "--log-level", "warning", "-c", file)
	process.Stderr = &stderr
	process.Cancel = func() error { return process.Process.Signal(syscall.SIGTERM) }
	process.WaitDelay = 10 * time.Second
	out, err := process.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := process.Start(); err != nil {
		t.Fatalf("%s: %v", envoy, err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			// corsctl serve says where it listens; details are one word.
			if line := lines.Text(); line != "" && !strings.Contains(line, " ") {
				l.details.Write([]byte(line))
			}
		}
		process.Wait()
	}()
	t.Cleanup(func() {
		process.Process.Signal(syscall.SIGTERM)
		<-ended
	})
	for begun := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		if response, err := http.Get("http://" + admin + "/ready"); err == nil {
			response.Body.Close()
			if response.StatusCode == http.StatusOK {
				break
			}
		}
		select {
		case <-ended:
			t.Fatalf("%s has ended:\n%s", envoy, &stderr)
		default:
		}
		if time.Since(begun) > time.Minute {
			t.Fatalf("%s is not ready after a minute:\n%s", envoy, &stderr)
		}
	}
	l.counters = func() map[string]uint64 { return countedBy(t, admin) }
	l.lag = 5 * time.Second // the filter tells them once a second
	return l
}

// countedBy reads the counters from the admin listener.
func countedBy(t *testing.T, admin string) map[string]uint64 {
	t.Helper()
	response, err := http.Get("http://" + admin + "/stats")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]uint64{}
	for line := range strings.Lines(string(body)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		if name, ok := strings.CutPrefix(name, "wasmcustom.cors."); ok {
			if values[name], err = strconv.ParseUint(value, 10, 64); err != nil {
				t.Fatal(err)
			}
		}
	}
	return values
}

// freeAddress is one that nothing listens on, just now. Its port is below those
// that systems give to outgoing connections, or one of these could have it by the
// time that a process listens.
func freeAddress(t *testing.T) string {
	t.Helper()
	for range 100 {
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(20_000+rand.IntN(10_000))))
		if err == nil {
			defer l.Close()
			return l.Addr().String()
		}
	}
	t.Fatal("no free port from 20000 to 30000")
	return ""
}

func setAddress(t *testing.T, document any, address string, steps ...any) {
	t.Helper()
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	socket := wasmtest.Within(t, document, steps...)
	socket["address"] = host
	socket["port_value"], _ = strconv.Atoi(port)
}
