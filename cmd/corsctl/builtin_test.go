package main

import (
	"bufio"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"corsfilter/internal/wasmtest"
)

// TestAReleaseHasTheModuleBuiltIn builds corsctl as the Makefile does for a release, and
// serves a policy by it in a folder that has nothing else.
func TestAReleaseHasTheModuleBuiltIn(t *testing.T) {
	rule := exec.CommandContext(t.Context(), "make", "-n", "dist/corsctl-linux-amd64")
	rule.Dir = wasmtest.Root()
	made, err := rule.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, made)
	}
	build := regexp.MustCompile(`go build (-tags=\S+) -overlay=dist/overlay-\S+ `).FindStringSubmatch(string(made))
	replaced := regexp.MustCompile(`echo '({"Replace": .*})' >dist/overlay-`).FindStringSubmatch(string(made))
	if build == nil || replaced == nil {
		t.Fatalf("make builds no module in: %s", made)
	}
	var overlay struct{ Replace map[string]string }
	if err := json.Unmarshal([]byte(replaced[1]), &overlay); err != nil || len(overlay.Replace) != 1 {
		t.Fatal(replaced[1], err)
	}
	dir := t.TempDir()
	for name := range overlay.Replace { // dist may have none, or another
		overlay.Replace[name] = modulePath(t)
	}
	text, _ := json.Marshal(overlay)
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	program := filepath.Join(dir, "corsctl")
	compile := exec.CommandContext(t.Context(), "go", "build", build[1], "-overlay="+write("overlay.json", string(text)), "-o", program, ".")
	if out, err := compile.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}

	serve := exec.CommandContext(t.Context(), program, "serve", "-c", write("policy.json", `{"allow_origins": ["https://a.example"]}`),
		"-upstream", "http://127.0.0.1:1", "-listen", "127.0.0.1:0", "-log-level", "error")
	serve.Dir, serve.Stderr = dir, t.Output()
	out, err := serve.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := serve.Start(); err != nil {
		t.Fatal(err)
	}
	defer serve.Wait()
	defer serve.Process.Signal(os.Interrupt)
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if _, url, ok := strings.Cut(lines.Text(), "listener main: "); ok {
			preflight, _ := http.NewRequestWithContext(t.Context(), http.MethodOptions, url, nil)
			preflight.Header = http.Header{"Origin": {"https://a.example"}, "Access-Control-Request-Method": {"PUT"}}
			response, err := http.DefaultTransport.RoundTrip(preflight)
			if err != nil {
				t.Fatal(err)
			}
			response.Body.Close()
			if got := response.Header.Get("Access-Control-Allow-Origin"); got != "https://a.example" {
				t.Errorf("the module allows %q", got)
			}
			return
		}
	}
	t.Error("nothing is served")
}

// TestABootstrapMayDoWithTheModuleBuiltIn reads the module that a bootstrap names, where
// it is there and where it is not.
func TestABootstrapMayDoWithTheModuleBuiltIn(t *testing.T) {
	before := builtIn
	defer func() { builtIn = before }()
	there := write(t, "there")
	for _, c := range []struct{ name, flag, builtIn, want string }{
		{there, "", "built in", "there"},
		{"gone.wasm", "", "built in", "built in"},
		{"gone.wasm", "gone.wasm", "built in", ""}, // by -module
		{"gone.wasm", "", "", ""},
	} {
		builtIn = nil
		if c.builtIn != "" {
			builtIn = []byte(c.builtIn)
		}
		var told strings.Builder
		got, err := (&serveFlags{module: c.flag}).moduleFile(stdio{out: &told}, newWatched())(c.name)
		if string(got) != c.want || (err == nil) != (c.want != "") || (told.Len() > 0) != (c.want == "built in") {
			t.Errorf("%+v: %q, %v, told %q", c, got, err, told.String())
		}
	}
}
