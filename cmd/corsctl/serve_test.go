package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"corsfilter/internal/envoytest"
	"corsfilter/internal/locked"
	"corsfilter/internal/wasmtest"
)

// plain is a bootstrap without a wasm filter, so that these tests need no
// module.
const plain = `
admin: {address: {socket_address: {address: 127.0.0.1, port_value: 0}}}
static_resources:
  listeners:
  - name: main
    address: {socket_address: {address: 127.0.0.1, port_value: 0}}
    filter_chains:
    - filters:
      - name: manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: test
          http_filters: [{name: router, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}]
          route_config: {virtual_hosts: [{name: all, domains: ["*"], routes: [{match: {path: /}, direct_response: {status: 200,
            body: {inline_string: served}}}, {match: {prefix: /api/}, route: {cluster: api}}]}]}
  clusters:
  - {name: api, load_assignment: {cluster_name: api,
    endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: 9000}}}}]}]}}
`

// modulePath is a file with the built module.
func modulePath(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "cors.wasm")
	if err := os.WriteFile(path, wasmtest.Module(t), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "envoy.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestTheDemo starts all of it, with Envoy and without.
func TestTheDemo(t *testing.T) {
	policy := write(t, `{"allow_origins": ["https://a.example"]}`)
	for _, c := range []struct {
		name          string
		args          []string
		first, stands string
		passed        string // what the event says
	}{
		{
			"in Envoy", []string{"-c", write(t, plain), "-envoy", envoytest.Program(t)},
			"starting .*; compiling the module takes a few seconds", "no policy of the filter is in effect",
			"No configuration of the CORS filter is in effect here.",
		},
		{
			"a policy", []string{"-c", policy, "-listen", "127.0.0.1:0", "-module", modulePath(t)},
			"This is a development and test tool; in production the module runs in Envoy\\.", "by the policy, this origin is not allowed",
			"Upstream answered, and its response got no CORS headers: this page's origin is not in the policy.",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := startServing(t, append(c.args, "-demo", "-demo-upstream-port", "0", "-demo-port", "0", "-demo-other-port", "0")...)
			s.expect(t, "Ctrl-C")
			text := s.stdout.String()
			announced := regexp.MustCompile(`^` + c.first + `
listener main: http://(127\.0\.0\.1:(\d+))
(?:admin: http://(127\.0\.0\.1:\d+)
)?
Open (http://localhost:\d+) \(` + c.stands + `\)
 and (http://localhost:\d+) \(` + c.stands + `\)\.

Or try:
(?:  curl -i .*http://localhost:(?:\d+)/.*\n){3}
Ctrl-C stops everything\.
$`).FindStringSubmatch(text)
			if announced == nil {
				t.Fatalf("announced %q", text)
			}
			request, err := http.NewRequest("GET", "http://"+announced[1]+"/api/hello?attempt=1", nil)
			if err != nil {
				t.Fatal(err)
			}
			request.Header.Set("Origin", "http://localhost:1")
			response, err := http.DefaultClient.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			response.Body.Close()
			if got := response.Header.Get("X-Demo-Upstream"); response.StatusCode != 200 || got != "corsctl" {
				t.Errorf("%d %q", response.StatusCode, got)
			}
			for path, want := range map[string]string{
				"/places":   `{"gateway":"http://localhost:` + announced[2] + `"}`,
				"/counters": `{`,
				"/events": `"method":"GET","authority":"` + announced[1] +
					`","path":"/api/hello?attempt=1","request":[["origin","http://localhost:1"],` +
					`["x-forwarded-proto","http"]],"response":[`,
			} {
				got := firstLine(t, announced[4]+path)
				if !strings.Contains(got, want) || path == "/events" && !strings.Contains(got, c.passed) {
					t.Errorf("%s: %q, want %s in it", path, got, want)
				}
			}
			if lines := strings.Count(text, "http://localhost:"+announced[2]+"/"); lines != 3 {
				t.Errorf("%d curl lines name the listener, want 3", lines)
			}
			s.stop()
			if code := <-s.ended; code != exitOK {
				t.Errorf("exit code %d: %s", code, s.stderr.String())
			}
			s.ended <- exitOK // for the test's end
			for _, url := range []string{announced[1], announced[3], announced[4], announced[5]} {
				if conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://")); url != "" && err == nil {
					conn.Close()
					t.Errorf("%s is still there", url)
				}
			}
		})
	}
}

// TestEnvoyEnds has it end by itself, while its file is looked at and while it is not.
func TestEnvoyEnds(t *testing.T) {
	program := envoytest.Program(t)
	for _, more := range [][]string{nil, {"-watch"}} {
		var stdout, stderr locked.Buffer
		ended := make(chan int, 1)
		go func() {
			ended <- run(
				t.Context(), append([]string{"serve", "-c", write(t, plain), "-envoy", program}, more...), stdio{out: &stdout, err: &stderr},
			)
		}()
		var admin []string
		envoytest.Eventually(t, "an admin listener", func() bool {
			admin = regexp.MustCompile(`admin: (http://.*)\n`).FindStringSubmatch(stdout.String())
			return admin != nil
		})
		if _, err := http.Post(admin[1]+"/quitquitquit", "", nil); err != nil {
			t.Fatal(err)
		}
		if code := <-ended; code != exitError || !strings.HasSuffix(stderr.String(), "corsctl serve: the Envoy process has exited\n") {
			t.Errorf("exit code %d: %s", code, stderr.String())
		}
	}
}

// firstLine reads the first line of data, of a stream that does not end too.
func firstLine(t *testing.T, url string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		if line := lines.Text(); line != "" && !strings.HasPrefix(line, ":") {
			return line
		}
	}
	t.Fatalf("%s: no data: %v", url, lines.Err())
	return ""
}

// TestEveryPortInUseIsReported takes three ports away.
func TestEveryPortInUseIsReported(t *testing.T) {
	var ports []int
	for range 3 {
		taken, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer taken.Close()
		ports = append(ports, taken.Addr().(*net.TCPAddr).Port)
	}
	code, stderr := 0, bytes.Buffer{}
	serve := func(args ...string) string {
		t.Helper()
		stderr.Reset()
		var stdout bytes.Buffer
		if code = run(t.Context(), append([]string{"serve"}, args...), stdio{out: &stdout, err: &stderr}); code != exitError ||
			strings.Contains(stdout.String(), "listener") {
			t.Errorf("exit code %d, stdout %q", code, stdout.String())
		}
		return stderr.String()
	}
	policy := write(t, `{"allow_origins": ["https://a.example"]}`)
	got := serve(
		"-c", policy, "-module", modulePath(t), "-demo", "-demo-upstream-port", fmt.Sprint(ports[1]), "-demo-port", "0", "-demo-other-port",
		fmt.Sprint(ports[2]),
	)
	for _, want := range []string{
		fmt.Sprintf("port %d, which the demo upstream needs, is in use by another process", ports[1]),
		fmt.Sprintf("port %d, which the demo page of another origin needs, is in use by another process", ports[2]),
		"choose other ports with -demo-upstream-port, -demo-port and -demo-other-port",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in %s", want, got)
		}
	}
	busy := fmt.Sprintf("127.0.0.1:%d", ports[0])
	if got, want := serve(
		"-c", policy, "-module", modulePath(t), "-upstream", "http://127.0.0.1:1", "-listen", busy,
	), "corsctl serve: "+busy+" is in use by another process; stop that process, or choose another address\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	file := write(t, strings.Replace(plain, "port_value: 0", fmt.Sprintf("port_value: %d", ports[0]), 1))
	if got, want := serve(
		"-c", file, "-envoy", envoytest.Program(t),
	), "corsctl serve: "+file+": "+busy+
		" is in use by another process; stop that process, or change the address in the file\n"; !strings.HasSuffix(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
