package docs

import (
	"context"
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
	"corsfilter/internal/gateway"
	"corsfilter/internal/wasmtest"
)

// TestTheTranscriptInTheREADMEIsWhatHappens runs the curl lines of the README
// against envoy.yaml, the built module and the demo upstream, and compares what
// they print. Headers are shown in lower case and sorted, and without those that
// differ from run to run.
func TestTheTranscriptInTheREADMEIsWhatHappens(t *testing.T) {
	const begin, end = "<!-- transcript: run by the tests -->\n```console\n", "```\n"
	text := read(t, readme)
	before, rest, ok1 := strings.Cut(text, begin)
	got, after, ok2 := strings.Cut(rest, end)
	if !ok1 || !ok2 {
		t.Fatal("the README has lost its transcript")
	}
	address := serve(t)
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
		t.Fatalf("the transcript is not what happens; run go test ./docs -update\n--- README\n%s--- now\n%s", got, want.String())
	}
	if err := os.WriteFile(readme, []byte(before+begin+want.String()+end+after), 0o644); err != nil {
		t.Fatal(err)
	}
}

// serve starts envoy.yaml with the built module and returns the listener's
// address.
func serve(t *testing.T) string {
	t.Helper()
	upstream := httptest.NewServer(demo.Upstream())
	t.Cleanup(upstream.Close)
	bootstrap, err := os.ReadFile(filepath.Join(wasmtest.Root(), "envoy.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	config, err := gateway.Load(bootstrap, gateway.LoadOptions{Module: wasmtest.Module(t)})
	if err != nil {
		t.Fatal(err)
	}
	g, err := gateway.Start(t.Context(), config, gateway.Options{
		Listen:    gateway.Ephemeral,
		Endpoints: map[string]string{"api": upstream.Listener.Addr().String()},
		AccessLog: io.Discard,
		Log:       io.Discard,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.Close(context.WithoutCancel(t.Context())) })
	return g.Addr("main")
}

// changing are the headers that differ from run to run.
var changing = []string{"date", "content-length", "x-envoy-upstream-service-time"}

// curl does what the words after "curl" say, of which it knows -i, -X and -H.
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
		t.Fatalf("the transcript asks for %q and not for the listener of envoy.yaml", target)
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
