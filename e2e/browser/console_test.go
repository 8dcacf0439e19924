package browser

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"corsfilter/e2e/browser/drive"
	"corsfilter/internal/browser"
	"corsfilter/internal/explain"
	"corsfilter/internal/wasmtest"
)

const (
	consolePage = "http://shop.test:3000"
	consoleAPI  = "http://api.test:8080"
)

type kinds map[browser.Engine]explain.Kind

// failure is one that a console complains of.
type failure struct {
	name   string
	kind   explain.Kind
	but    kinds  // what an engine says in place of that; "": nothing
	script string // URL stands for the name at the API
	// answer is the server's: a status, 0 for none, and headers; ORIGIN stands for the page's. With
	// policy it is the filter's.
	answer, policy string
}

// The policies: none lets everything through that the scripts want.
const refusing, listing, open = `{"allow_origins": ["https://other.example"]}`,
	`{"allow_origins": ["` + consolePage + `"], "allow_methods": ["PUT"], "allow_headers": ["x-a"]}`,
	`{"allow_origins": ["*"], "allow_methods": ["*"], "allow_headers": ["*"]}`

var failures = []failure{
	{name: "missing", kind: browser.OriginMissing, script: `fetch(URL)`, policy: refusing},
	{name: "missing-404", kind: browser.OriginMissing, script: `fetch(URL)`, answer: "404"},
	{name: "preflight-missing-403", kind: browser.OriginMissing, but: kinds{browser.WebKit: browser.PreflightStatus},
		script: `fetch(URL, { method: "PUT" })`, policy: refusing},
	{name: "preflight-missing-204", kind: browser.OriginMissing, script: `fetch(URL, { method: "PUT" })`, answer: "204"},
	{name: "preflight-403", kind: browser.PreflightStatus,
		script: `fetch(URL, { method: "PUT" })`, answer: "403 access-control-allow-origin=ORIGIN"},
	{name: "preflight-307", kind: browser.PreflightStatus,
		script: `fetch(URL, { method: "PUT" })`, answer: "307 access-control-allow-origin=ORIGIN location=/elsewhere"},
	{name: "multiple", kind: browser.OriginMultiple,
		script: `fetch(URL)`, answer: "200 access-control-allow-origin=ORIGIN access-control-allow-origin=ORIGIN"},
	{name: "multiple-in-one", kind: browser.OriginMultiple, script: `fetch(URL)`, answer: "200 access-control-allow-origin=*,ORIGIN"},
	{name: "invalid", kind: browser.OriginMismatch, but: kinds{browser.WebKit: browser.OriginMissing},
		script: `fetch(URL)`, answer: "200 access-control-allow-origin=shop.example.com"},
	{name: "mismatch", kind: browser.OriginMismatch, but: kinds{browser.WebKit: browser.OriginMissing},
		script: `fetch(URL)`, answer: "200 access-control-allow-origin=https://other.example.com"},
	{name: "preflight-mismatch", kind: browser.OriginMismatch, but: kinds{browser.WebKit: browser.OriginMissing},
		script: `fetch(URL, { method: "PUT" })`, answer: "200 access-control-allow-origin=https://other.example.com"},
	{name: "wildcard-credentials", kind: browser.WildcardCredentials, script: `fetch(URL, { credentials: "include" })`, policy: open},
	{name: "wildcard-credentials-preflight", kind: browser.WildcardCredentials,
		script: `fetch(URL, { method: "PUT", credentials: "include" })`, policy: open},
	{name: "credentials", kind: browser.CredentialsMissing, script: `fetch(URL, { credentials: "include" })`, policy: listing},
	{name: "credentials-True", kind: browser.CredentialsMissing, script: `fetch(URL, { credentials: "include" })`,
		answer: "200 access-control-allow-origin=ORIGIN access-control-allow-credentials=True"},
	{name: "method", kind: browser.MethodNotAllowed, script: `fetch(URL, { method: "DELETE" })`, policy: listing},
	{name: "header", kind: browser.HeaderNotAllowed, script: `fetch(URL, { headers: { "X-Foo": "1" } })`, policy: listing},
	{name: "bad-methods", kind: browser.MethodsMalformed, script: `fetch(URL, { method: "PUT" })`,
		answer: "200 access-control-allow-origin=* access-control-allow-methods=PUT;x"},
	{name: "bad-headers", kind: browser.HeadersMalformed, script: `fetch(URL, { headers: { "X-Foo": "1" } })`,
		answer: "200 access-control-allow-origin=* access-control-allow-headers=x-foo;"},
	{name: "dead", kind: explain.NoAnswer, but: kinds{browser.Chromium: "", browser.WebKit: ""}, script: `fetch(URL)`, answer: "0"},
	{name: "dead-preflight", kind: explain.NoAnswer, but: kinds{browser.Chromium: ""},
		script: `fetch(URL, { method: "PUT" })`, answer: "0"},
	{name: "xhr", kind: browser.OriginMissing, script: `xhr(URL, false)`, policy: refusing},
	{name: "xhr-credentials", kind: browser.WildcardCredentials, script: `xhr(URL, true)`, policy: open},
	{name: "image", kind: browser.OriginMissing, script: `element("img", { crossOrigin: "anonymous", src: URL })`, policy: refusing},
	{name: "script", kind: browser.OriginMissing, script: `element("script", { crossOrigin: "anonymous", src: URL })`, policy: refusing},
	{name: "module", kind: browser.OriginMissing, but: kinds{browser.Firefox: explain.NoAnswer}, script: `import(URL)`, policy: refusing},
	{name: "style", kind: browser.OriginMissing,
		script: `element("link", { rel: "stylesheet", crossOrigin: "anonymous", href: URL })`, policy: refusing},
	{name: "font", kind: browser.OriginMissing, but: kinds{browser.WebKit: ""},
		script: `new FontFace("f", "url(" + URL + ")").load()`, policy: refusing},
	{name: "event-source", kind: browser.OriginMissing,
		script: `new Promise((done) => { const e = new EventSource(URL); e.onerror = () => { e.close(); done(); }; })`, policy: refusing},
	{name: "beacon", kind: browser.OriginMissing, but: kinds{browser.WebKit: browser.PreflightStatus},
		script: `navigator.sendBeacon(URL, new Blob(["{}"], { type: "application/json" }))`, policy: refusing},
	{name: "web-socket", kind: explain.Handshake,
		script: `new Promise((done) => new WebSocket(URL.replace("http", "ws")).onerror = done)`},
	{name: "redirect", kind: browser.OriginMissing,
		script: `fetch(URL)`, answer: "302 access-control-allow-origin=* location=http://other.test/redirect"},
	{name: "redirect-user", kind: explain.Redirect, but: kinds{browser.Firefox: explain.NoAnswer},
		script: `fetch(URL)`, answer: "302 access-control-allow-origin=* location=http://me:you@other.test/redirect-user"},
	{name: "same-origin-mode", kind: explain.SameOriginOnly, but: kinds{browser.WebKit: explain.Blocked},
		script: `fetch(URL, { mode: "same-origin" })`, answer: "200"},
	{name: "not-http", kind: explain.NotHTTP, script: `fetch("ftp://localhost/not-http")`},
	{name: "content-policy", kind: explain.ContentPolicy, script: `fetch("http://banned.test/content-policy")`},
	{name: "content-policy-web-socket", kind: explain.ContentPolicy, script: `new WebSocket("ws://banned.test/content-policy-web-socket")`},
	{name: "resource-policy", kind: explain.ResourcePolicy, but: kinds{browser.Chromium: ""},
		script: `element("img", { src: URL })`, answer: "200 cross-origin-resource-policy=same-origin content-type=image/png"},
}

const consoleHead = `# What the consoles of the engines say of each kind of failure. Renewed by
# go test ./e2e/browser -run Console -update, and consoles.read.txt by go test ./internal/explain -update.

`

const consoleScript = `<!doctype html><title>page</title><link rel="icon" href="data:,"><script>
const pause = (ms) => new Promise((done) => setTimeout(done, ms));
const element = (tag, attributes) => new Promise((done) => {
  const e = document.createElement(tag);
  e.onload = e.onerror = done;
  document.head.append(Object.assign(e, attributes));
  setTimeout(done, 500);
});
const xhr = (url, withCredentials) => new Promise((done) => {
  const x = new XMLHttpRequest();
  x.open("GET", url);
  x.onloadend = done;
  x.withCredentials = withCredentials;
  x.send();
});
const finished = (async () => {
  for (const [name, run] of [CASES]) {
    console.log("=== " + name);
    try { await run("` + consoleAPI + `/" + name); } catch {}
    await pause(80);
  }
  console.log("=== end");
  await pause(80);
  await fetch("/done");
  return true;
})();
</script>`

// TestExplainReadsWhatEachConsoleSays provokes each kind of failure in each engine, by
// the filter where it can, and gives explain what the console says. With -update the
// lines become the ones that explain's own tests read.
func TestExplainReadsWhatEachConsoleSays(t *testing.T) {
	upstream := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer upstream.Close()
	_, addresses := serveAll(t, upstream.Listener.Addr().String(), refusing, listing, open)
	policies := map[string]string{refusing: addresses[0], listing: addresses[1], open: addresses[2]}
	var cases strings.Builder
	for _, f := range failures {
		fmt.Fprintf(&cases, "[%q, (URL) => %s],\n", f.name, f.script)
	}
	serve := func(done func()) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			switch r.Host + r.URL.Path {
			case "shop.test:3000/":
				w.Header().Set("Content-Type", "text/html")
				w.Header().Set("Content-Security-Policy", "connect-src 'self' "+consoleAPI+" http://other.test ftp://localhost ws://api.test:8080")
				io.WriteString(w, strings.Replace(consoleScript, "CASES", cases.String(), 1))
				return
			case "shop.test:3000/done":
				done()
				return
			}
			for _, f := range failures {
				if r.Host+r.URL.Path != "api.test:8080/"+f.name {
					continue
				}
				if f.policy != "" {
					pass(w, r, policies[f.policy])
					return
				}
				answer(w, strings.ReplaceAll(f.answer, "ORIGIN", consolePage))
			}
		}
	}
	var all strings.Builder
	inEach(t, func(t *testing.T, b *tab) {
		ctx, done := context.WithTimeout(t.Context(), time.Minute)
		defer done()
		b.answer(serve(done))
		var lines []string
		if b.engine == browser.WebKit {
			var err error
			if lines, err = drive.WebKitConsole(ctx, b.address, consolePage); err != nil {
				t.Fatal(err)
			}
		} else {
			b.Console()
			b.open(t, consolePage)
			evaluate[bool](t, b, "finished")
			lines = b.Console()
		}
		said := map[string]string{}
		name := ""
		for _, line := range lines {
			if next, ok := strings.CutPrefix(line, "=== "); ok {
				name = next
				continue
			}
			said[name] += line + "\n"
		}
		for _, f := range failures {
			want, special := f.but[b.engine]
			if !special {
				want = f.kind
			}
			text := said[f.name]
			p, err := explain.FromConsole(text)
			switch {
			case text == "" && want == "":
			case err != nil, p.Said.Kind != want, p.Said.Engine != b.engine:
				t.Errorf("%s: %q is read as %+v (%v), want %s", f.name, text, p.Said, err, want)
			case strings.Contains(text, "/"+f.name) != strings.HasSuffix(p.URL, "/"+f.name),
				p.Origin != "" && p.Origin != consolePage && p.Origin != "null":
				t.Errorf("%s: in %q the URL is %q, and the origin %q", f.name, text, p.URL, p.Origin)
			}
			if text != "" {
				fmt.Fprintf(&all, "=== %s: %s\n%s", b.engine, f.name, text)
			}
		}
	})
	if *update && len(wanted()) == len(browser.Engines) {
		path := filepath.Join(wasmtest.Root(), "internal", "explain", "testdata", "consoles.txt")
		if err := os.WriteFile(path, []byte(consoleHead+all.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// answer writes a status and headers; 0 is a server that dies.
func answer(w http.ResponseWriter, text string) {
	words := strings.Fields(text)
	if len(words) == 0 || words[0] == "0" {
		panic(http.ErrAbortHandler)
	}
	for _, word := range words[1:] {
		name, value, _ := strings.Cut(word, "=")
		w.Header().Add(name, value)
	}
	var status int
	fmt.Sscan(words[0], &status)
	w.WriteHeader(status)
}
