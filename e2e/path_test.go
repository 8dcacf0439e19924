package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"corsfilter/internal/gateway"
	"corsfilter/internal/host"
	"corsfilter/internal/locked"
	"corsfilter/internal/wasmtest"
)

// serveFile starts envoy.yaml with another policy, and changes of its text.
func serveFile(t *testing.T, policy string, log io.Writer, changes ...string) (g *gateway.Gateway) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(wasmtest.Root(), "envoy.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok1 := strings.Cut(string(text), "                          value: |\n")
	_, after, ok2 := strings.Cut(rest, "                  - name: envoy.filters.http.router\n")
	if !ok1 || !ok2 {
		t.Fatal("envoy.yaml has no policy where one is looked for")
	}
	changed := before + "                          value: " + strconv.Quote(policy) + "\n                  - name: envoy.filters.http.router\n" + after
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.URL.Path) }))
	t.Cleanup(upstream.Close)
	config, err := gateway.Load([]byte(strings.NewReplacer(changes...).Replace(changed)), gateway.LoadOptions{Module: wasmtest.Module(t)})
	if err != nil {
		t.Fatal(err)
	}
	g, err = gateway.Start(t.Context(), config, gateway.Options{
		Listen: gateway.Ephemeral, Endpoints: map[string]string{"api": upstream.Listener.Addr().String()}, AccessLog: io.Discard, Log: log, LogLevel: host.LogInfo,
	})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// TestRulesByPathCanNotBeWalkedAround asks for what a rule closes in the ways in
// which paths can be written. With the settings of envoy.yaml no spelling reaches
// the closed path by the open path's policy; without them some do.
func TestRulesByPathCanNotBeWalkedAround(t *testing.T) {
	const policy = `{"rules": [{"name": "public", "paths": ["/api/public/*"], "policy": {"allow_origins": ["*"]}}], "allow_origins": ["https://shop.example.com"], "disallowed_requests": "reject"}`
	spellings := []string{
		"/api/private", "/api/public/../private", "/api/public/..%2fprivate", "/api/public/%2e%2e/private", "/api/public/%2E%2E%2Fprivate", `/api/public/..\private`,
		"/api/public/..%5cprivate", "/api/public//../../private", "//api/public/../private", "/api/./private", "/api//private", "/api/%70rivate", "/api%2fprivate",
	}
	open := func(t *testing.T, g *gateway.Gateway, path string) bool {
		t.Helper()
		conn, err := net.Dial("tcp", g.Addr("main"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: localhost\r\nOrigin: https://evil.example\r\nConnection: close\r\n\r\n", path)
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		body, _ := io.ReadAll(response.Body)
		// A redirect sends the client to the plain spelling; a path that no route
		// knows reaches nobody.
		return response.StatusCode == 200 && strings.Contains(string(body), "private") && response.Header.Get("Access-Control-Allow-Origin") != ""
	}
	g := serveFile(t, policy, io.Discard)
	for _, path := range spellings {
		if open(t, g, path) {
			t.Errorf("%s is open to strangers", path)
		}
	}
	bare := serveFile(t, policy, io.Discard, "normalize_path: true", "normalize_path: false", "merge_slashes: true", "merge_slashes: false", "UNESCAPE_AND_REDIRECT", "KEEP_UNCHANGED")
	walked := 0
	for _, path := range spellings {
		if open(t, bare, path) {
			walked++
		}
	}
	if walked == 0 {
		t.Error("without the settings nothing gets around the rule: this test shows nothing")
	}
}

// TestDecisionsAreLoggedOnDemand is the first step of a roll-out.
func TestDecisionsAreLoggedOnDemand(t *testing.T) {
	var log locked.Buffer
	g := serveFile(t, `{"allow_origins": ["https://shop.example.com"]}`, &log)
	post := func(query string) {
		t.Helper()
		response, err := http.Post("http://"+g.AdminAddr()+"/logging?"+query, "", nil)
		if err != nil || response.StatusCode != http.StatusOK {
			t.Fatalf("%v, %v", response, err)
		}
		response.Body.Close()
	}
	send := func(origin string) {
		t.Helper()
		request, err := http.NewRequest(http.MethodGet, "http://"+g.Addr("main")+"/api/x", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Origin", origin)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, response.Body)
		response.Body.Close()
	}
	said := func(origin string) func() bool {
		return func() bool { return strings.Contains(log.String(), "request from "+origin+": ") }
	}
	wait := func(ok func() bool) bool {
		for deadline := time.Now().Add(5 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
			if time.Now().After(deadline) {
				return false
			}
		}
		return true
	}
	// The module looks at the level once a second.
	tick := func() {
		for _, vm := range g.VMs() {
			vm.Tick()
		}
	}
	send("https://before.example")
	post("wasm=debug")
	tick()
	send("https://during.example")
	if !wait(said("https://during.example")) || said("https://before.example")() {
		t.Errorf("after POST /logging?wasm=debug:\n%s", log.String())
	}
	post("wasm=info")
	tick()
	send("https://after.example")
	if said("https://after.example")() {
		t.Error("decisions are logged after POST /logging?wasm=info")
	}
}
