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
	"testing"
	"time"

	"corsfilter/internal/locked"
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

func TestServeDemo(t *testing.T) {
	ctx, interrupt := context.WithCancel(context.Background())
	defer interrupt()
	var stdout, stderr locked.Buffer
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{"serve", "-c", write(t, plain), "-demo", "-demo-upstream-port", "0", "-demo-port", "0", "-demo-other-port", "0"}, stdio{out: &stdout, err: &stderr})
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

Open (http://localhost:\d+) \(no policy of the filter is in force\)
 and (http://localhost:\d+) \(no policy of the filter is in force\)\.

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
		"/places":   `{"gateway":"http://localhost:` + announced[2] + `"}`,
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

// TestEveryPortInUseIsTold takes three ports away at once.
func TestEveryPortInUseIsTold(t *testing.T) {
	var ports []int
	for range 3 {
		taken, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer taken.Close()
		ports = append(ports, taken.Addr().(*net.TCPAddr).Port)
	}
	file := write(t, strings.Replace(plain, "port_value: 0", fmt.Sprintf("port_value: %d", ports[0]), 1))
	var stdout, stderr bytes.Buffer
	code := run(context.Background(), []string{"serve", "-c", file, "-demo", "-demo-upstream-port", fmt.Sprint(ports[1]), "-demo-port", "0", "-demo-other-port", fmt.Sprint(ports[2])}, stdio{out: &stdout, err: &stderr})
	if code != exitError || stdout.Len() > 0 {
		t.Errorf("exit code %d, stdout %q", code, stdout.String())
	}
	for _, want := range []string{
		fmt.Sprintf("port %d: needed by the demo upstream, but another process listens there", ports[1]),
		fmt.Sprintf("port %d: needed by the demo page of another origin, but another process listens there", ports[2]),
		"choose other ports with -demo-upstream-port, -demo-port and -demo-other-port",
		fmt.Sprintf("admin listener: 127.0.0.1:%d is in use by another process", ports[0]),
	} {
		if !strings.Contains(stderr.String(), want) {
			t.Errorf("%q is missing in %s", want, stderr.String())
		}
	}
}
