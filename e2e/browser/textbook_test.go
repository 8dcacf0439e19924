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

	"corsfilter/internal/browser"
)

// policies are what the comparison runs under; ORIGIN stands for the page's.
var policies = []struct{ name, policy string }{
	{
		"listed",
		`{"allow_origins": ["ORIGIN"], "allow_methods": ["PUT"], "allow_headers": ["content-type", "x-a"], ` +
			`"expose_headers": ["x-one"], "allow_credentials": true}`,
	},
	{"without credentials", `{"allow_origins": ["ORIGIN"], "allow_methods": ["PUT", "PATCH"], "allow_headers": ["x-a", "authorization"]}`},
	{"anyone", `{"allow_origins": ["*"], "allow_methods": ["*"], "allow_headers": ["*"], "expose_headers": ["*"]}`},
	{"anyone, authorization listed", `{"allow_origins": ["*"], "allow_headers": ["*", "authorization"], "expose_headers": ["x-one"]}`},
	{
		"stars with credentials",
		`{"allow_origins": ["ORIGIN"], "allow_methods": ["*"], "allow_headers": ["*"], "expose_headers": ["x-two"], "allow_credentials": true}`,
	},
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
	{Method: "GET"}, {Method: "HEAD"}, {Method: "POST"}, {Method: "get"}, {Method: "PUT"}, {Method: "put"}, {Method: "PATCH"},
	{Method: "patch"},
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
	// What engines do otherwise.
	{Method: "GET", Headers: map[string]string{"Range": "bytes=0-9223372036854775806"}},
	{Method: "GET", Headers: map[string]string{"Range": "bytes=0-9223372036854775807"}},
	{Method: "GET", Headers: map[string]string{"Range": "bytes=0-18446744073709551616"}},
	{Method: "GET", Headers: map[string]string{"User-Agent": "mine"}},
	{Method: "GET", Headers: map[string]string{"DPR": "1.5"}}, {Method: "GET", Headers: map[string]string{"DPR": "1."}},
	{Method: "GET", Headers: map[string]string{"Device-Memory": "2"}}, {Method: "GET", Headers: map[string]string{"Downlink": "2.5"}},
	{Method: "GET", Headers: map[string]string{"RTT": "50"}}, {Method: "GET", Headers: map[string]string{"Viewport-Width": "400"}},
	{Method: "GET", Headers: map[string]string{"Width": "400"}}, {Method: "GET", Headers: map[string]string{"Width": "1.5"}},
	{Method: "GET", Headers: map[string]string{"ECT": "4g"}}, {Method: "GET", Headers: map[string]string{"ECT": "5g"}},
	{Method: "GET", Headers: map[string]string{"Save-Data": "on"}}, {Method: "GET", Headers: map[string]string{"Save-Data": "off"}},
}

// script sends it, and says whether the script gets the response.
func (c call) script(url string) string {
	if c.Credentials == "" {
		c.Credentials = "omit"
	}
	options, err := json.Marshal(c)
	if err != nil {
		panic(err)
	}
	return fmt.Sprintf(`fetch(%q, %s).then(() => true, () => false)`, url, options)
}

// request is what the textbook browser sends for it.
func (c call) request(origin string) browser.Request {
	r := browser.Request{Origin: origin, Method: c.Method, Credentials: c.Credentials == "include"}
	for name, value := range c.Headers {
		r.Headers = append(r.Headers, browser.Header{Name: name, Value: value})
	}
	return r
}

// seen is what a script gets of a fetch().
type seen struct {
	Allowed bool     `json:"allowed"`
	Names   []string `json:"names"` // of the response headers it may read
}

// fetchAll is the script that runs the calls, one after the other. Each has a
// URL of its own, so that no preflight is cached for the next. Transfer-Encoding is
// the proxy's own.
const fetchAll = `(async (base, calls) => {
  const results = [];
  for (const [i, call] of calls.entries()) {
    try {
      const response = await fetch(base + "?call=" + i + "&" + Math.random(), { ...call, mode: "cors", redirect: "manual" });
      results.push({ allowed: true, names: [...response.headers.keys()].filter((name) => name !== "transfer-encoding").sort() });
    } catch { results.push({ allowed: false, names: [] }); }
  }
  return results;
})`

// TestEachEngineAgreesWithTheTextbook sends the same requests from a page in each
// engine and through the textbook browser as that engine, to the same Envoy, and
// compares what a script gets: the response or an error, and which headers.
func TestEachEngineAgreesWithTheTextbook(t *testing.T) {
	page := httptest.NewServer(
		http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<!doctype html><title>page</title>") }),
	)
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
	encoded, err := json.Marshal(calls)
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	for _, p := range policies {
		texts = append(texts, strings.ReplaceAll(p.policy, "ORIGIN", origin))
	}
	_, addresses := serveAll(t, upstream.Listener.Addr().String(), texts...)
	inEach(t, func(t *testing.T, b *tab) {
		b.open(t, origin)
		for i, p := range policies {
			base := localhost(addresses[i]) + "/api/x"
			script := fetchAll + fmt.Sprintf("(%q, %s)", base, encoded)
			t.Run(p.name, func(t *testing.T) { compare(t, b.engine, origin, base, evaluate[[]seen](t, b, script)) })
			t.Run(p.name+", from a sandboxed frame", func(t *testing.T) {
				compare(t, b.engine, "null", base, evaluate[[]seen](t, b, sandboxed(script)))
			})
		}
	})
}

// compare asks the textbook browser for the same.
func compare(t *testing.T, e browser.Engine, origin, base string, got []seen) {
	t.Helper()
	if len(got) != len(calls) {
		t.Fatalf("%d results for %d calls", len(got), len(calls))
	}
	for i, c := range calls {
		want := e.Fetch(
			c.request(origin), func(method string, headers []browser.Header) browser.Response { return ask(t, base, method, headers) },
		)
		if got[i].Allowed != want.Allowed() {
			t.Errorf(
				"%+v: %s allows: %v, the textbook: %v\npreflight %+v\nresponse %+v", c, e, got[i].Allowed, want.Allowed(), want.Preflight,
				want.Response,
			)
			continue
		}
		if want := slices.Sorted(slices.Values(want.Readable)); want != nil && !slices.Equal(got[i].Names, want) {
			t.Errorf("%+v: %s lets a script read %v, the textbook %v", c, e, got[i].Names, want)
		}
	}
}

// ask sends a request to Envoy unchanged.
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
	for name, values := range response.Header {
		for _, value := range values {
			answer.Headers = append(answer.Headers, browser.Header{Name: strings.ToLower(name), Value: value})
		}
	}
	return answer
}
