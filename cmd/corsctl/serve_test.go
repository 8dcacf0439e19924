package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"corsfilter/internal/demo"
	"corsfilter/internal/gateway"
)

// plain is a bootstrap without a wasm filter, so that these tests need no
// module.
const plain = `
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
          http_filters: [{name: router, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}]
          route_config: {virtual_hosts: [{name: all, domains: ["*"], routes: [{match: {path: /}, direct_response: {status: 200, body: {inline_string: served}}}]}]}
`

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "envoy.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestUsage(t *testing.T) {
	valid := write(t, plain)
	tests := map[string]struct {
		args   []string
		code   int
		stdout string
		stderr string
	}{
		"no command":            {nil, exitUsage, "", "usage: corsctl <command>"},
		"help":                  {[]string{"-h"}, exitOK, "serve     serve an envoy.yaml", ""},
		"an unknown command":    {[]string{"server"}, exitUsage, "", `unknown command "server"`},
		"help of serve":         {[]string{"serve", "-h"}, exitOK, "", "development and test tool; in production the module runs in Envoy"},
		"an unknown flag":       {[]string{"serve", "-x"}, exitUsage, "", "flag provided but not defined: -x"},
		"no file":               {[]string{"serve"}, exitUsage, "", "-c is missing"},
		"an argument":           {[]string{"serve", "-c", valid, "more"}, exitUsage, "", `unexpected argument "more"`},
		"no worker":             {[]string{"serve", "-c", valid, "-workers", "0"}, exitUsage, "", "-workers 0: a number from 1 to 256"},
		"an unknown level":      {[]string{"serve", "-c", valid, "-log-level", "loud"}, exitUsage, "", `-log-level "loud": one of trace`},
		"a file that is not":    {[]string{"serve", "-c", "nowhere.yaml"}, exitError, "", "open nowhere.yaml: no such file or directory; name the bootstrap with -c"},
		"a module that is not":  {[]string{"serve", "-c", valid, "-module", "nowhere.wasm"}, exitError, "", "-module: open nowhere.wasm: no such file or directory; build it with make build"},
		"a file with a mistake": {[]string{"serve", "-c", write(t, strings.Replace(plain, "stat_prefix", "via: me\n          stat_prefix", 1))}, exitError, "", "can not be served:\n  static_resources.listeners[0].filter_chains[0].filters[0].typed_config.via: not supported"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			if code := run(context.Background(), test.args, &stdout, &stderr); code != test.code {
				t.Errorf("exit code %d, want %d", code, test.code)
			}
			if !strings.Contains(stdout.String(), test.stdout) || test.stdout == "" && stdout.Len() > 0 {
				t.Errorf("stdout %q, want %q in it", stdout.String(), test.stdout)
			}
			if !strings.Contains(stderr.String(), test.stderr) || test.stderr == "" && stderr.Len() > 0 {
				t.Errorf("stderr %q, want %q in it", stderr.String(), test.stderr)
			}
		})
	}
}

// TestMissingModule pins what someone reads who has not built yet.
func TestMissingModule(t *testing.T) {
	text, err := os.ReadFile("../../envoy.yaml")
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	if err := os.WriteFile("envoy.yaml", text, 0o600); err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	if code := run(context.Background(), []string{"serve", "-c", "envoy.yaml"}, io.Discard, &stderr); code != exitError {
		t.Errorf("exit code %d", code)
	}
	want := "corsctl serve: envoy.yaml can not be served:\n" +
		"  static_resources.listeners[0].filter_chains[0].filters[0].typed_config.http_filters[0].typed_config.config.vm_config.code.local.filename: " +
		"open dist/cors.wasm: no such file or directory; relative names are resolved against the working directory, as in Envoy; " +
		"make build makes the module, and envoy.yaml finds it from the repository's root\n"
	if stderr.String() != want {
		t.Errorf("%s\nwant\n%s", stderr.String(), want)
	}
}

// output can be read while serve still writes.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// ephemeral keeps the tests off the ports of the file and of the demo.
func ephemeral(t *testing.T) {
	t.Helper()
	ports, address := demoPorts, listen
	t.Cleanup(func() { demoPorts, listen = ports, address })
	demoPorts, listen = demo.Ports{}, gateway.Ephemeral
}

func TestServeDemo(t *testing.T) {
	ephemeral(t)
	ctx, interrupt := context.WithCancel(context.Background())
	defer interrupt()
	var stdout, stderr output
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{"serve", "-c", write(t, plain), "-demo"}, &stdout, &stderr)
	}()
	for deadline := time.Now().Add(10 * time.Second); !strings.Contains(stdout.String(), "Ctrl-C"); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("no announcement within ten seconds: %q %q", stdout.String(), stderr.String())
		}
	}
	text := stdout.String()
	announced := regexp.MustCompile(`^This is a development and test tool; in production the module runs in Envoy\.
listener main: http://(127\.0\.0\.1:(\d+))
admin: http://(127\.0\.0\.1:\d+)

Open (http://localhost:\d+) \(an origin the policy allows\)
 and (http://localhost:\d+) \(the same page, not allowed\)\.

Or try:
(?:  curl -i .*http://localhost:(?:\d+)/.*\n){3}
Ctrl-C ends all of it\.
$`).FindStringSubmatch(text)
	if announced == nil {
		t.Fatalf("announced %q", text)
	}
	for _, url := range []string{"http://" + announced[1], "http://" + announced[3] + "/ready", announced[4], announced[5]} {
		response, err := http.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(response.Body)
		response.Body.Close()
		if response.StatusCode != http.StatusOK || len(body) == 0 {
			t.Errorf("%s: %d %q", url, response.StatusCode, body)
		}
	}
	for path, want := range map[string]string{
		"/places":   `{"gateway":"http://localhost:` + announced[2] + `","allowed":"` + announced[4] + `","disallowed":"` + announced[5] + `"}`,
		"/counters": `{}`, // plain has no module
		"/events":   `"method":"GET","authority":"` + announced[1] + `","path":"/"`,
	} {
		if got := firstLine(t, announced[4]+path); !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %s in it", path, got, want)
		}
	}
	if lines := strings.Count(text, "http://localhost:"+announced[2]+"/"); lines != 3 {
		t.Errorf("%d curl lines name the listener, want 3", lines)
	}
	interrupt()
	select {
	case code := <-ended:
		if code != exitOK {
			t.Errorf("exit code %d: %s", code, stderr.String())
		}
	case <-time.After(10 * time.Second):
		t.Fatal("did not end within ten seconds")
	}
	for _, url := range []string{"http://" + announced[1], "http://" + announced[3], announced[4], announced[5]} {
		if conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://")); err == nil {
			conn.Close()
			t.Errorf("%s is still there", url)
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

func TestServePortInUse(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	port := taken.Addr().(*net.TCPAddr).Port
	file := write(t, plain)
	tests := map[string]struct {
		prepare func()
		want    string
	}{
		"of the demo": {
			func() { demoPorts.Upstream = port },
			fmt.Sprintf("corsctl serve: port %d: needed by the demo upstream, but another process listens there; stop that process and start again\n", port),
		},
		"of the listener": {
			func() { listen = func(string, string) string { return taken.Addr().String() } },
			fmt.Sprintf("corsctl serve: listener main: 127.0.0.1:%d is in use by another process; stop that process, or change the address in the file\n", port),
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			ephemeral(t)
			test.prepare()
			var stdout, stderr bytes.Buffer
			if code := run(context.Background(), []string{"serve", "-c", file, "-demo"}, &stdout, &stderr); code != exitError {
				t.Errorf("exit code %d", code)
			}
			if stderr.String() != test.want || stdout.Len() > 0 {
				t.Errorf("%q\nwant %q; stdout %q", stderr.String(), test.want, stdout.String())
			}
		})
	}
}
