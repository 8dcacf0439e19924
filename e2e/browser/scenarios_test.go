package browser

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"corsfilter/e2e/scenario"
	"corsfilter/internal/browser"
	"corsfilter/internal/envoytest"
)

// sendable is a scenario as a script of a page would send it.
type sendable struct {
	scenario.Scenario
	scheme  string
	target  string // host and path
	request browser.Request
	// preflight says that the scenario's request is the browser's own preflight
	// for request, not request itself.
	preflight bool
	own       bool // the page's own origin: everything may be read
}

// What no page can have or do, by the words of TestEachEngineDecidesAsTheTableSays.
const (
	noOrigin   = "the browser sends no Origin"
	noPage     = "no page has this origin"
	noTarget   = "a browser writes the URL in another way"
	noTLS      = "Go's TLS refuses a server name with a trailing dot"
	noScheme   = "the proxy does not know the scheme that the browser uses"
	noScript   = "no script can send this"
	noAsking   = "no browser asks in these words"
	ownByWord  = "the browser says where it comes from itself"
	twoOrigins = "there is one Origin"
	noAdding   = "the gateway adds no headers"
)

var (
	pageOrigin = regexp.MustCompile(`^(https?)://([a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63})*|\[::[0-9]\])(?::([1-9][0-9]{0,4}))?$`)
	plainPath  = regexp.MustCompile(`^/[A-Za-z0-9/_~%?=&*-]*$`)
	usualPorts = map[string]string{"http": "80", "https": "443"}
)

// asScript turns a scenario into what a script would do, or says why none can.
func asScript(s scenario.Scenario) (b sendable, why string) {
	b.Scenario = s
	if s.Added != nil {
		return b, noAdding
	}
	given := map[string]string{}
	for _, h := range s.Request {
		if _, again := given[h[0]]; again && h[0] == "origin" {
			return b, twoOrigins
		}
		given[h[0]] = h[1]
	}
	origin, scheme := given["origin"], "https"
	if origin == "" {
		return b, noOrigin
	}
	if origin != "null" {
		parts := pageOrigin.FindStringSubmatch(origin)
		if parts == nil || parts[3] == usualPorts[parts[1]] {
			return b, noPage
		}
		if port, _ := strconv.Atoi(parts[3]); port > 65535 {
			return b, noPage
		}
		scheme = parts[1]
	}
	target, err := url.Parse(scheme + "://" + given[":authority"] + given[":path"])
	if err != nil || target.Host != strings.ToLower(target.Host) || target.Port() == usualPorts[scheme] ||
		!plainPath.MatchString(given[":path"]) || strings.Contains(given[":path"], "%2") {
		return b, noTarget
	}
	// RFC 6066, section 3, allows no dot there; Chromium sends it all the same. Over
	// plain http such a host can be tried.
	if scheme == "https" && strings.HasSuffix(target.Hostname(), ".") {
		return b, noTLS
	}
	b.scheme, b.target = scheme, given[":authority"]+given[":path"]
	b.own = scheme+"://"+given[":authority"] == origin
	proxied := given["x-forwarded-proto"]
	if proxied == "" {
		proxied = given[":scheme"]
	}
	if b.own && proxied != scheme {
		return b, noScheme
	}
	if word, ok := given["sec-fetch-site"]; ok {
		switch {
		case word == "same-origin" && !b.own, word == "cross-site" && b.own:
			return b, ownByWord
		case word == "same-site" && site(target.Hostname()) != site(strings.TrimPrefix(origin, scheme+"://")):
			return b, ownByWord
		}
	}
	b.request = browser.Request{Origin: origin, Method: given[":method"]}
	asked := given["access-control-request-method"]
	b.preflight = given[":method"] == "OPTIONS" && asked != ""
	if b.preflight {
		return b, b.asPreflight(asked, given["access-control-request-headers"])
	}
	for _, h := range s.Request {
		if h[0] == "origin" || h[0] == "sec-fetch-site" || strings.HasPrefix(h[0], ":") {
			continue
		}
		b.request.Headers = append(b.request.Headers, browser.Header{Name: h[0], Value: h[1]})
	}
	switch method := given[":method"]; {
	case b.request.Validate() != nil:
		return b, noScript
	case b.own && (method == "GET" || method == "HEAD"):
		return b, noOrigin
	}
	return b, ""
}

// site is the site of a host in the table.
func site(host string) string {
	labels := strings.Split(host, ".")
	return strings.Join(labels[max(0, len(labels)-2):], ".")
}

// asPreflight finds the request that makes a browser ask in the scenario's
// words.
func (b *sendable) asPreflight(method, names string) (why string) {
	b.request.Method = method
	for name := range strings.SplitSeq(names, ",") {
		if name == "" {
			continue
		}
		value := "1"
		if name == "content-type" {
			value = "application/json"
		}
		b.request.Headers = append(b.request.Headers, browser.Header{Name: name, Value: value})
	}
	if needed, _ := b.request.NeedsPreflight(); !needed || b.own || b.request.Validate() != nil || b.request.NormalizedMethod() != method {
		return noAsking
	}
	asks := map[string]string{}
	for _, h := range b.request.PreflightHeaders() {
		asks[h.Name] = h.Value
	}
	for _, h := range b.Request {
		switch value, sent := asks[h[0]]; {
		case strings.HasPrefix(h[0], ":"), h[0] == "sec-fetch-site":
		case !sent || value != h[1]:
			return noAsking
		}
	}
	return ""
}

// scriptOutcome is what a script gets of a fetch().
type scriptOutcome struct {
	Allowed bool     `json:"allowed"`
	Names   []string `json:"names"` // of the response headers it may read
	Error   string   `json:"error"`
}

const fetchOnce = `(async (url, options) => {
  try {
    const response = await fetch(url, { ...options, redirect: "manual" });
    return { allowed: true, names: [...response.headers.keys()].sort(), error: "" };
  } catch (e) { return { allowed: false, names: [], error: String(e) }; }
})`

// script fetches the target under a URL of its own: each attempt must show all of
// it, and nothing else keeps the browsers' preflight caches out.
func (b sendable) script(credentials, attempt string) string {
	var headers [][2]string
	for _, h := range b.request.Headers {
		headers = append(headers, [2]string{h.Name, h.Value})
	}
	options, err := json.Marshal(map[string]any{"method": b.request.Method, "headers": headers, "credentials": credentials})
	if err != nil {
		panic(err)
	}
	return fmt.Sprintf("%s(%q, %s)", fetchOnce, b.scheme+"://"+b.target+b.mark()+attempt, strings.Replace(string(options), "null", "[]", 1))
}

// mark stands between the target and the attempt in the URL.
func (b sendable) mark() string {
	if strings.Contains(b.target, "?") {
		return "&~"
	}
	return "?~"
}

// exchange stands between the browser and the gateway for one attempt. What the
// scenario is about goes to the gateway; the other half of the fetch, the
// preflight before it or the request behind it, is answered as kindly as can be,
// so that only the scenario's half decides.
type exchange struct {
	sendable
	gateway   string
	attempt   string // by which the access log has it
	forwarded atomic.Bool
	mu        sync.Mutex
	arrived   *http.Request  // the scenario's half
	answered  *http.Response // its answer, whose body is closed
	again     int            // more of the same, which should not come
	other     int            // requests of the other half
}

func (x *exchange) serve(w http.ResponseWriter, r *http.Request) {
	target := strings.TrimSuffix(r.RequestURI, x.mark()+x.attempt)
	if r.Host+target != x.target || target == r.RequestURI {
		http.NotFound(w, r) // the browser's own business, which leads here as well
		return
	}
	r.RequestURI = target
	if r.URL, _ = url.ParseRequestURI(target); r.URL == nil {
		panic("no target: " + target)
	}
	asked := r.Header.Get("Access-Control-Request-Method")
	x.mu.Lock()
	defer x.mu.Unlock()
	if (r.Method == "OPTIONS" && asked != "") == x.preflight {
		if x.arrived != nil {
			x.again++
		}
		x.arrived = r
		r.Header.Set(envoytest.Attempt, x.attempt)
		x.answered = pass(w, r, x.gateway)
		return
	}
	x.other++
	for _, h := range consent(r.Header.Get("Origin"), asked, r.Header.Get("Access-Control-Request-Headers")).Headers {
		w.Header().Set(h.Name, h.Value)
	}
}

// consent is an answer to whatever is asked for.
func consent(origin, method, names string) browser.Response {
	return browser.Response{Status: http.StatusOK, Headers: []browser.Header{
		{Name: "access-control-allow-origin", Value: origin}, {Name: "access-control-allow-credentials", Value: "true"},
		{Name: "access-control-allow-methods", Value: method}, {Name: "access-control-allow-headers", Value: names},
	}}
}

// TestEachEngineDecidesAsTheTableSays sends every scenario that a browser can
// send, from a page of the scenario's origin, with and without credentials. Each
// engine must make of the outcome in the table what the textbook browser does, and
// deviate from the standard as that has it.
func TestEachEngineDecidesAsTheTableSays(t *testing.T) {
	var current *exchange // written before its request is sent, and read by whom that reaches
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		current.forwarded.Store(true)
		for _, h := range current.Upstream.Headers {
			w.Header().Add(h[0], h[1])
		}
		w.WriteHeader(max(current.Upstream.Status, 200))
	}))
	defer upstream.Close()

	left := map[string]int{}
	byConfig := map[string][]sendable{}
	for _, s := range scenario.All() {
		b, why := asScript(s)
		if why != "" {
			left[why]++
			continue
		}
		byConfig[s.Config] = append(byConfig[s.Config], b)
	}
	configurations := slices.Sorted(maps.Keys(byConfig))
	server, addresses := serveAll(t, upstream.Listener.Addr().String(), configurations...)
	attempts := 0
	inEach(t, func(t *testing.T, b *tab) {
		sent, blocked := 0, 0
		for i, config := range configurations {
			for _, s := range byConfig[config] {
				for _, credentials := range []string{"omit", "include"} {
					if port1 := strings.HasSuffix(s.request.Origin, ":1"); port1 && b.engine == browser.WebKit {
						continue // it opens no page there, whatever is set
					}
					t.Run(s.Name+", credentials "+credentials, func(t *testing.T) {
						sent++
						attempts++
						x := &exchange{sendable: s, gateway: addresses[i], attempt: strconv.Itoa(attempts)}
						current = x
						x.request.Credentials, x.request.SameOrigin = credentials == "include", x.own
						b.answer(x.serve)
						got := run[scriptOutcome](t, b, s.request.Origin, s.script(credentials, x.attempt))
						x.check(t, server, b.engine, got)
						if !got.Allowed {
							blocked++
						}
					})
				}
			}
		}
		t.Logf("%d attempts, %d of them blocked; left out: %v", sent, blocked, left)
		// The table grows; what a browser can send of it must not silently shrink.
		if sent < 300 || blocked < 100 || sent-blocked < 100 {
			t.Errorf("%d attempts, %d of them blocked: the runner leaves too much out: %v", sent, blocked, left)
		}
	})
}

func (x *exchange) check(t *testing.T, server *envoytest.Server, e browser.Engine, got scriptOutcome) {
	t.Helper()
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.arrived == nil || x.answered == nil {
		t.Fatalf("nothing arrived, or nothing answered: %s", got.Error)
	}
	if x.again > 0 {
		t.Fatalf("%d more of %s", x.again, x.arrived.Method)
	}
	for _, h := range x.Request {
		var have string
		switch h[0] {
		case ":method":
			have = x.arrived.Method
		case ":authority":
			have = x.arrived.Host
		case ":path":
			have = x.arrived.RequestURI
		case ":scheme":
			continue
		default:
			have = x.arrived.Header.Get(h[0])
		}
		if have != h[1] {
			t.Errorf("the browser sends %s: %q, the scenario %q", h[0], have, h[1])
		}
	}

	// The filter's part.
	forwarded, status := x.forwarded.Load(), x.answered.StatusCode
	if forwarded != (x.Want.Reply == 0) || !forwarded && status != x.Want.Reply {
		t.Errorf("forwarded: %v, status %d; want the reply %d (0: forwarded)", forwarded, status, x.Want.Reply)
	}
	if details := server.Logged(t, x.attempt).Details; !forwarded && details != x.Want.Details {
		t.Errorf("details %q, want %q", details, x.Want.Details)
	}
	response := browser.Response{Status: status}
	for name, values := range x.answered.Header {
		for _, value := range values {
			response.Headers = append(response.Headers, browser.Header{Name: strings.ToLower(name), Value: value})
		}
	}
	headers := scenario.Collect(func(yield func(string, string) bool) {
		for _, h := range response.Headers {
			if !yield(h.Name, h.Value) {
				return
			}
		}
	})
	if !maps.Equal(headers, x.Want.Headers) {
		t.Errorf("CORS headers %v, want %v", headers, x.Want.Headers)
	}

	// The browser's part.
	want := e.Fetch(x.request, func(method string, headers []browser.Header) browser.Response {
		asks := words(headers)
		asked := asks["access-control-request-method"]
		if (method == "OPTIONS" && asked != "") == x.preflight {
			return response
		}
		return consent(x.request.Origin, asked, asks["access-control-request-headers"])
	})
	if got.Allowed != want.Allowed() || x.preflight && (x.other > 0) != (want.Response != nil) {
		t.Errorf("the request is sent: %v, the script gets the response: %v (%s); want %+v", x.other > 0, got.Allowed, got.Error, want)
	}
	if redirected := status/100 == 3; want.Allowed() && !x.preflight && !x.own && !redirected && !slices.Equal(got.Names, want.Readable) {
		t.Errorf("the script may read the headers %v, want %v", got.Names, want.Readable)
	}
}
