package docs

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"corsfilter/internal/demo"
	"corsfilter/internal/envoytest"
	"corsfilter/internal/serve"
	"corsfilter/internal/wasmtest"
)

// TestTheTranscriptInTheREADMEIsWhatHappens runs the curl lines of the README
// against Envoy with envoy.yaml, the built module and the demo upstream, and compares
// what they print. Headers are shown in lower case and sorted, and without those that
// differ from run to run.
func TestTheTranscriptInTheREADMEIsWhatHappens(t *testing.T) {
	const begin, end = "<!-- transcript: run by the tests -->\n```console\n", "```\n"
	text := read(t, readme)
	before, rest, ok1 := strings.Cut(text, begin)
	got, after, ok2 := strings.Cut(rest, end)
	if !ok1 || !ok2 {
		t.Fatal("the README lacks its transcript")
	}
	address := serveEnvoy(t)
	var want strings.Builder
	for _, line := range strings.Split(got, "\n") {
		if command, ok := strings.CutPrefix(line, "$ curl "); ok {
			if want.Len() > 0 {
				want.WriteString("\n")
			}
			fmt.Fprintf(&want, "%s\n%s", line, curl(t, address, command))
		}
	}
	if want.Len() == 0 {
		t.Fatal("the transcript has no command")
	}
	if got == want.String() {
		return
	}
	if !*update {
		t.Fatalf("the transcript differs from what happens; run go test ./docs -update\n--- README\n%s--- now\n%s", got, want.String())
	}
	if err := os.WriteFile(readme, []byte(before+begin+want.String()+end+after), 0o644); err != nil {
		t.Fatal(err)
	}
}

// serveEnvoy serves envoy.yaml as make run does, in Envoy with the built module, and
// returns the listener's address.
func serveEnvoy(t *testing.T) string {
	t.Helper()
	upstream := httptest.NewServer(demo.Upstream())
	t.Cleanup(upstream.Close)
	const admin, listener = "{ address: 127.0.0.1, port_value: 9901 }", "{ address: 0.0.0.0, port_value: 10000 }"
	file := read(t, filepath.Join(wasmtest.Root(), "envoy.yaml"))
	if !strings.Contains(file, admin) || !strings.Contains(file, listener) {
		t.Fatal("envoy.yaml has other addresses")
	}
	const free = "{ address: 127.0.0.1, port_value: 0 }"
	e, err := serve.StartEnvoy(t.Context(), []byte(strings.NewReplacer(admin, free, listener, free).Replace(file)), serve.EnvoyOptions{
		Program: envoytest.Program(t), LogLevel: "warning", Stdout: io.Discard, Stderr: t.Output(),
		DemoUpstream: upstream.Listener.Addr().String(),
		ReadFile:     func(string) ([]byte, error) { return wasmtest.Module(t), nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	listeners, err := e.Listeners()
	if err != nil {
		t.Fatal(err)
	}
	return listeners[0].Address
}

// changing are the headers that differ from run to run.
var changing = []string{"date", "content-length", "x-envoy-upstream-service-time"}

// curl sends the request of a curl command; it knows -i, -X and -H.
func curl(t *testing.T, address, command string) string {
	t.Helper()
	method, target := "GET", ""
	headers := http.Header{}
	words := split(command)
	for i := 0; i < len(words); i++ {
		switch words[i] {
		case "-i":
		case "-X":
			i++
			method = words[i]
		case "-H":
			i++
			name, value, _ := strings.Cut(words[i], ": ")
			headers.Set(name, value)
		default:
			target = words[i]
		}
	}
	path, ok := strings.CutPrefix(target, "localhost:10000")
	if !ok {
		t.Fatalf("the transcript requests %q, not the listener of envoy.yaml", target)
	}
	request, err := http.NewRequestWithContext(t.Context(), method, "http://"+address+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header = headers
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for name, values := range response.Header {
		if name = strings.ToLower(name); !slices.Contains(changing, name) {
			for _, value := range values {
				lines = append(lines, name+": "+value+"\n")
			}
		}
	}
	slices.Sort(lines)
	text := response.Proto + " " + response.Status + "\n" + strings.Join(lines, "")
	if len(body) > 0 {
		text += "\n" + strings.TrimRight(string(body), "\n") + "\n"
	}
	return text
}

// split cuts a command line at spaces outside single quotes.
func split(command string) (words []string) {
	word, quoted := "", false
	for _, c := range command + " " {
		switch {
		case c == '\'':
			quoted = !quoted
		case c == ' ' && !quoted:
			if word != "" {
				words = append(words, word)
			}
			word = ""
		default:
			word += string(c)
		}
	}
	return words
}
