package browser

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"corsfilter/internal/browser"
)

// policies are what the comparison runs under; ORIGIN stands for the page's.
var policies = []struct{ name, policy string }{
	{"listed", `{"allow_origins": ["ORIGIN"], "allow_methods": ["PUT"], "allow_headers": ["content-type", "x-a"], "expose_headers": ["x-one"], "allow_credentials": true}`},
	{"without credentials", `{"allow_origins": ["ORIGIN"], "allow_methods": ["PUT", "PATCH"], "allow_headers": ["x-a", "authorization"]}`},
	{"anyone", `{"allow_origins": ["*"], "allow_methods": ["*"], "allow_headers": ["*"], "expose_headers": ["*"]}`},
	{"anyone, authorization listed", `{"allow_origins": ["*"], "allow_headers": ["*", "authorization"], "expose_headers": ["x-one"]}`},
	{"stars with credentials", `{"allow_origins": ["ORIGIN"], "allow_methods": ["*"], "allow_headers": ["*"], "expose_headers": ["x-two"], "allow_credentials": true}`},
	{"an unlisted origin", `{"allow_origins": ["https://shop.example.com"], "allow_methods": ["*"], "allow_headers": ["*"]}`},
	{"an unlisted origin, rejected", `{"allow_origins": ["https://shop.example.com"], "disallowed_requests": "reject"}`},
	{"an unlisted origin, preflights forwarded", `{"allow_origins": ["https://shop.example.com"], "unmatched_preflights": "forward"}`},
	{"null", `{"allow_origins": ["null"], "allow_methods": ["PUT"], "dangerously_tolerate": ["null-origin"]}`},
	{"shadow", `{"allow_origins": ["ORIGIN"], "mode": "shadow"}`},
}

// call is a script's fetch().
type call struct {
	Method      string            `json:"method"`
	Headers     map[string]string `json:"headers,omitempty"`
	Credentials string            `json:"credentials,omitempty"`
}

var calls = []call{
	{Method: "GET"}, {Method: "HEAD"}, {Method: "POST"}, {Method: "get"}, {Method: "PUT"}, {Method: "put"}, {Method: "PATCH"}, {Method: "patch"},
	{Method: "DELETE"}, {Method: "QUERY"}, {Method: "OPTIONS"},
	{Method: "GET", Credentials: "include"}, {Method: "PUT", Credentials: "include"}, {Method: "PATCH", Credentials: "include"},
	{Method: "POST", Headers: map[string]string{"Content-Type": "text/plain"}},
	{Method: "POST", Headers: map[string]string{"Content-Type": "application/json"}},
	{Method: "GET", Headers: map[string]string{"X-A": "1"}},
	{Method: "GET", Headers: map[string]string{"X-B": "1"}},
	{Method: "PUT", Headers: map[string]string{"X-A": "1", "X-B": "1", "Content-Type": "application/json"}},
	{Method: "GET", Headers: map[string]string{"Authorization": "Bearer t"}},
	{Method: "GET", Headers: map[string]string{"Authorization": "Bearer t"}, Credentials: "include"},
	{Method: "GET", Headers: map[string]string{"X-A": "1"}, Credentials: "include"},
	{Method: "GET", Headers: map[string]string{"Accept": "text/html", "Accept-Language": "en", "Content-Language": "de"}},
	{Method: "GET", Headers: map[string]string{"Accept": "(unsafe)"}},
	{Method: "GET", Headers: map[string]string{"Accept-Language": strings.Repeat("e", 129)}},
	{Method: "GET", Headers: map[string]string{"Range": "bytes=0-9"}},
	{Method: "GET", Headers: map[string]string{"Range": "bytes=-9"}},
}

// seen is what a script gets of a fetch().
type seen struct {
	Allowed bool     `json:"allowed"`
	Names   []string `json:"names"` // of the response headers it may read
}

// fetchAll is the script that runs the calls, one after the other. Each has a
// URL of its own, so that no preflight is cached for the next.
const fetchAll = `(async (base, calls) => {
  const results = [];
  for (const [i, call] of calls.entries()) {
    try {
      const response = await fetch(base + "?call=" + i + "&" + Math.random(), { ...call, mode: "cors", redirect: "manual" });
      results.push({ allowed: true, names: [...response.headers.keys()].sort() });
    } catch { results.push({ allowed: false, names: [] }); }
  }
  return results;
})`

// TestChromiumAgreesWithTheTextbook sends the same requests from a page in
// Chromium and through the textbook browser, to the same Envoy, and compares
// what a script gets: the response or an error, and which headers.
func TestChromiumAgreesWithTheTextbook(t *testing.T) {
	ctx := chromium(t)
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<!doctype html><title>page</title>") }))
	defer page.Close()
	origin := localhost(page.Listener.Addr().String())
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*") // for the filter to replace
		w.Header().Set("X-One", "1")
		w.Header().Set("X-Two", "2")
		w.Header().Set("Set-Cookie", "a=b")
		w.Header().Set("Content-Type", "text/plain")
	}))
	defer upstream.Close()
	do(t, ctx, chromedp.Navigate(origin))
	encoded, err := json.Marshal(calls)
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	for _, p := range policies {
		texts = append(texts, strings.ReplaceAll(p.policy, "ORIGIN", origin))
	}
	_, addresses := serveAll(t, upstream.Listener.Addr().String(), texts...)
	for i, p := range policies {
		base := localhost(addresses[i]) + "/api/x"
		t.Run(p.name, func(t *testing.T) {
			got := evaluate[[]seen](t, ctx, fetchAll+fmt.Sprintf("(%q, %s)", base, encoded))
			compare(t, origin, base, got)
		})
		t.Run(p.name+", from a sandboxed frame", func(t *testing.T) {
			got := evaluate[[]seen](t, ctx, fmt.Sprintf(`new Promise((resolve) => {
				const frame = document.createElement("iframe");
				frame.sandbox = "allow-scripts";
				addEventListener("message", (e) => { frame.remove(); resolve(e.data); }, { once: true });
				frame.srcdoc = "<script>" + %q + "</scr" + "ipt>";
				document.body.append(frame);
			})`, fetchAll+fmt.Sprintf("(%q, %s).then((r) => parent.postMessage(r, '*'))", base, encoded)))
			compare(t, "null", base, got)
		})
	}
}

// compare asks the textbook browser for the same.
func compare(t *testing.T, origin, base string, got []seen) {
	t.Helper()
	if len(got) != len(calls) {
		t.Fatalf("%d results for %d calls", len(got), len(calls))
	}
	for i, c := range calls {
		r := browser.Request{Origin: origin, Method: c.Method, Credentials: c.Credentials == "include"}
		for name, value := range c.Headers {
			r.Headers = append(r.Headers, browser.Header{Name: name, Value: value})
		}
		want := browser.Fetch(r, func(method string, headers []browser.Header) browser.Response { return ask(t, base, method, headers) })
		if want.Preflight != nil && want.Preflight.Reason == browser.AuthorizationMissing && got[i].Allowed {
			// The standard's "*" does not cover authorization. Chromium still lets
			// it, and warns in the console that it will not for ever.
			continue
		}
		if got[i].Allowed != want.Allowed() {
			t.Errorf("%+v: Chromium allows: %v, the textbook: %v\npreflight %+v\nresponse %+v", c, got[i].Allowed, want.Allowed(), want.Preflight, want.Response)
			continue
		}
		if want := slices.Sorted(slices.Values(want.Readable)); want != nil && !slices.Equal(got[i].Names, want) {
			t.Errorf("%+v: Chromium lets a script read %v, the textbook %v", c, got[i].Names, want)
		}
	}
}

// ask sends a request to Envoy as it is told.
func ask(t *testing.T, base, method string, headers []browser.Header) browser.Response {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, base, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range headers {
		request.Header.Add(h.Name, h.Value)
	}
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	answer := browser.Response{Status: response.StatusCode}
	for _, coding := range response.TransferEncoding { // which net/http takes out of the header
		answer.Headers = append(answer.Headers, browser.Header{Name: "transfer-encoding", Value: coding})
	}
	for name, values := range response.Header {
		for _, value := range values {
			answer.Headers = append(answer.Headers, browser.Header{Name: strings.ToLower(name), Value: value})
		}
	}
	return answer
}
