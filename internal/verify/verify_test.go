package verify

import (
	"fmt"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"corsfilter/config"
	"corsfilter/internal/browser"
	"corsfilter/internal/explain"
)

const shop = "https://shop.example.com"

const policy = `{"allow_origins": ["https://shop.example.com", "https://*.admin.example.com:*"], "allow_methods": ["PUT", "DELETE"],
	"allow_headers": ["content-type"], "expose_headers": ["x-total"], "allow_credentials": true, "max_age": 600}`

// filtered serves what the filter would send under a policy, in front of an upstream that
// answers 200 with headers.
func filtered(t *testing.T, policy string, upstream ...browser.Header) http.HandlerFunc {
	t.Helper()
	c, _, err := config.Parse([]byte(policy))
	if err != nil {
		t.Fatal(err)
	}
	return func(w http.ResponseWriter, r *http.Request) {
		sent := []browser.Header{
			{Name: ":method", Value: r.Method}, {Name: ":scheme", Value: "http"},
			{Name: ":authority", Value: r.Host}, {Name: ":path", Value: r.URL.RequestURI()},
		}
		for name, values := range r.Header {
			sent = append(sent, browser.Header{Name: name, Value: values[0]})
		}
		p, _ := c.Select(r.Host, r.URL.RequestURI())
		x, _ := explain.Ask(c, p, sent, upstream)
		for _, h := range x.Response {
			w.Header().Add(h.Name, h.Value)
		}
		w.WriteHeader(x.Status)
	}
}

// client asks a server of handler, as fast as it can.
func client(t *testing.T, handler http.HandlerFunc, path string, o Options) *Client {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	o.Timeout, o.Rate = 5*time.Second, 1e6
	if o.Max == 0 {
		o.Max = 200
	}
	c, err := NewClient(server.URL+path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// run derives requests from a policy and sends them.
func run(t *testing.T, c *Client, policy string) []Result {
	t.Helper()
	plan, err := Derive([]byte(policy), c.Target(), c.Max)
	if err != nil {
		t.Fatal(err)
	}
	return c.Run(t.Context(), plan)
}

// codes are those of results, each once; without the good ones.
func codes(results []Result) string {
	found := map[string]bool{}
	for _, r := range results {
		if r.Severity != "" {
			found[fmt.Sprintf("%s %s", r.Severity, r.Code)] = true
		}
	}
	return strings.Join(slices.Sorted(maps.Keys(found)), ", ")
}

// isPreflight tells preflights apart.
func isPreflight(r *http.Request) bool {
	return r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != ""
}

// policies are some in which every setting is used that an answer depends on.
var policies = map[string]string{
	"of lists":     policy,
	"of everybody": `{"allow_origins": ["*"], "allow_methods": ["*"], "allow_headers": ["*", "authorization"]}`,
	"of nobody":    `{"allow_origins": []}`,
	"of echoes": `{"allow_origins": ["https://shop.example.com:8443"], "allow_methods": ["*"], "allow_headers": ["*"],
		"allow_credentials": true, "debug": true}`,
	"of matchers": `{"allow_origins": [{"regex": "https://[a-z]+\\.partner\\.(example|test)"},
		{"suffix": ".shop.example", "dangerously_tolerate": ["loose-origin-match"]}]}`,
	"of other schemes":   `{"allow_origins": ["chrome-extension://*", "app://.", "http://localhost:3000"]}`,
	"of null":            `{"allow_origins": ["null"], "dangerously_tolerate": ["null-origin"]}`,
	"that rejects":       `{"allow_origins": ["https://shop.example.com"], "disallowed_requests": "reject", "timing_allow_origins": ["*"]}`,
	"that forwards":      `{"allow_origins": ["https://shop.example.com"], "unmatched_preflights": "forward", "preflight_status": 200}`,
	"that preserves":     `{"allow_origins": ["https://shop.example.com"], "upstream_headers": "preserve"}`,
	"of private network": `{"allow_origins": ["https://shop.example.com"], "allow_private_network_access": true}`,
}

func TestAServerWithThePolicyAnswersAsExpected(t *testing.T) {
	upstreams := map[string][]browser.Header{
		"a plain upstream": nil,
		"an upstream with CORS headers": {
			{Name: acao, Value: "*"}, {Name: acac, Value: "true"}, {Name: aceh, Value: "x-upstream"}, {Name: vary, Value: "accept-encoding"},
		},
	}
	for name, policy := range policies {
		for of, upstream := range upstreams {
			t.Run(name+", before "+of, func(t *testing.T) {
				results := run(t, client(t, filtered(t, policy, upstream...), "", Options{}), policy)
				if len(results) < 3 {
					t.Errorf("%d requests", len(results))
				}
				for _, r := range results {
					if r.Severity != "" {
						t.Errorf("%s: %s %v\n%+v", r.Name, r.Message, r.Differences, r.Exchanges)
					}
				}
			})
		}
	}
}

// TestAnotherPolicyIsSeen serves each policy and expects each other one.
func TestAnotherPolicyIsSeen(t *testing.T) {
	for name, served := range policies {
		c := client(t, filtered(t, served), "", Options{Max: 60})
		for expected, policy := range policies {
			if name == expected || expected == "of nobody" {
				continue // whom another policy lets in, one of nobody does not say
			}
			if codes(run(t, c, policy)) == "" {
				t.Errorf("a policy %s passes for one %s", name, expected)
			}
		}
	}
}

// headersOnly leaves the status to somebody else.
type headersOnly struct{ http.ResponseWriter }

func (headersOnly) WriteHeader(int) {}

// TestWhatUpstreamMayDecideIsThereAtLeast asks a filter that preserves upstream's headers,
// and answers preflights alone.
func TestWhatUpstreamMayDecideIsThereAtLeast(t *testing.T) {
	preserves := policies["that preserves"]
	c := client(t, func(w http.ResponseWriter, r *http.Request) {
		if isPreflight(r) {
			filtered(t, preserves)(w, r)
		}
		w.Header().Set("Vary", "Origin")
	}, "", Options{})
	if got := codes(run(t, c, preserves)); got != "error another-policy" {
		t.Error(got)
	}
}

// TestAnEchoedMethodIsNotAList serves a policy of any method, with credentials.
func TestAnEchoedMethodIsNotAList(t *testing.T) {
	const listed = `{"allow_origins": ["https://shop.example.com"], "allow_methods": ["PUT"], "allow_credentials": true}`
	c := client(t, filtered(t, strings.Replace(listed, "PUT", "*", 1)), "", Options{})
	if got := codes(run(t, c, listed)); got != "error another-policy" {
		t.Error(got)
	}
}

func TestCausesAreNamed(t *testing.T) {
	good := filtered(t, policy)
	const anyOrigin = `{"regex": ".*", "dangerously_tolerate": ["any-origin-with-credentials", "insecure-origin", "null-origin"]}`
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		want    string
	}{
		"no filter":       {func(http.ResponseWriter, *http.Request) {}, "error bypassed"},
		"an error before": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }, "error bypassed"},
		"a filter for paths elsewhere": {func(w http.ResponseWriter, r *http.Request) {
			if !isPreflight(r) {
				good(w, r)
			}
		}, "error bypassed"},
		"any origin": {filtered(t, strings.Replace(policy, `"https://shop.example.com"`, anyOrigin, 1)), "error another-policy"},
		"what is asked for, beside the lists": {func(w http.ResponseWriter, r *http.Request) {
			if asked := r.Header.Get("Access-Control-Request-Headers"); asked != "" {
				defer func() { w.Header().Set(acah, "content-type, "+asked); w.WriteHeader(http.StatusNoContent) }()
				good(headersOnly{w}, r)
				return
			}
			good(w, r)
		}, "error another-policy"},
		"fewer origins":  {filtered(t, strings.Replace(policy, "shop.", "other.", 1)), "error another-policy"},
		"other lists":    {filtered(t, strings.Replace(policy, `"DELETE"`, `"PATCH"`, 1)), "error another-policy"},
		"another status": {filtered(t, strings.Replace(policy, `"max_age"`, `"preflight_status": 200, "max_age"`, 1)), "warning other-status"},
		"a redirect before": {func(w http.ResponseWriter, r *http.Request) {
			if isPreflight(r) {
				http.Redirect(w, r, "https://api.example.com/", http.StatusTemporaryRedirect)
				return
			}
			good(w, r)
		}, "error redirected"},
		"authentication before": {func(w http.ResponseWriter, r *http.Request) {
			if isPreflight(r) {
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			good(w, r)
		}, "error asked-for-credentials"},
		"two places that add headers": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Add(acao, "*")
			good(w, r)
		}, "error another-policy, error second-allow-origin"},
		"no Vary": {func(w http.ResponseWriter, r *http.Request) {
			recorder := httptest.NewRecorder()
			good(recorder, r)
			recorder.Header().Del("Vary")
			maps.Copy(w.Header(), recorder.Header())
			w.WriteHeader(recorder.Code)
		}, "error vary-missing"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := codes(run(t, client(t, c.handler, "", Options{}), policy)); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}

// echo lets origins in.
func echo(lets func(origin string) bool, more ...browser.Header) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Vary", "Origin")
		if origin := r.Header.Get("Origin"); origin != "" && lets(origin) {
			w.Header().Set("Access-Control-Allow-Origin", origin)
			w.Header().Set("Access-Control-Allow-Methods", "PUT")
			for _, h := range more {
				w.Header().Set(h.Name, h.Value)
			}
		}
	}
}

var credentials = browser.Header{Name: acac, Value: "true"}

func TestDangerousServersAreNamed(t *testing.T) {
	shopAnd := func(other string) func(string) bool { return func(o string) bool { return o == shop || o == other } }
	everybody := func(string) bool { return true }
	https := func(o string) bool { return strings.HasPrefix(o, "https:") }
	token := Options{Headers: []browser.Header{{Name: "authorization", Value: "Bearer x"}}}
	noStore := []browser.Header{{Name: "vary", Value: "accept"}, {Name: "cache-control", Value: "no-store"}}
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		want    string
	}{
		"one origin":              {echo(shopAnd(""), credentials), ""},
		"the filter":              {filtered(t, policy), ""},
		"no CORS at all":          {func(http.ResponseWriter, *http.Request) {}, ""},
		"everybody":               {filtered(t, `{"allow_origins": ["*"]}`), ""},
		"any origin, credentials": {echo(everybody, credentials), "error any-origin, error null-origin"},
		"any origin":              {echo(everybody), "warning any-origin, warning null-origin"},
		"null":                    {echo(shopAnd("null"), credentials), "error null-origin"},
		"a suffix": {echo(func(o string) bool { return https(o) && strings.HasSuffix(o, "shop.example.com") }, credentials),
			"error suffix-match"},
		"a suffix, no credentials":   {echo(func(o string) bool { return strings.HasSuffix(o, "shop.example.com") }), "warning suffix-match"},
		"a prefix":                   {echo(func(o string) bool { return strings.HasPrefix(o, shop) }, credentials), "error prefix-match"},
		"an unescaped dot":           {echo(shopAnd("https://shopxexample.com"), credentials), "error unescaped-dot"},
		"plain http":                 {echo(shopAnd("http://shop.example.com"), credentials), "error plain-http"},
		"plain http, no credentials": {echo(shopAnd("http://shop.example.com")), ""},
		"a star with credentials": {echo(everybody, browser.Header{Name: acao, Value: "*"}, credentials),
			"warning wildcard-with-credentials"},
		"no Vary":                     {echo(shopAnd(""), browser.Header{Name: "vary", Value: "accept-encoding"}), "error vary-missing"},
		"no Vary, and nothing stored": {echo(shopAnd(""), noStore...), ""},
		"two places that add headers": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Add(acao, "https://a.example")
			w.Header().Add(acao, "https://b.example")
		}, "error second-allow-origin"},
		"a redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/login", http.StatusFound)
		}, "error redirected"},
		"authentication": {func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") == "" {
				w.WriteHeader(http.StatusUnauthorized)
			}
		}, "error asked-for-credentials"},
	} {
		t.Run(name, func(t *testing.T) {
			results := client(t, c.handler, "", token).Probe(t.Context(), shop)
			if got := codes(results); got != c.want {
				t.Errorf("%s, want %s: %+v", got, c.want, results)
			}
			asked := 0
			for _, r := range results {
				asked += len(r.Exchanges)
			}
			if asked > ProbeRequests+3 {
				t.Errorf("%d requests", asked)
			}
		})
	}
}

func TestTLSBesidePlainHTTPIsNoDanger(t *testing.T) {
	both := func(o string) bool { return strings.HasSuffix(o, "://localhost:3000") }
	if got := codes(client(t, echo(both, credentials), "", Options{}).Probe(t.Context(), "http://localhost:3000")); got != "" {
		t.Error(got)
	}
}

// TestOnlyWhatChangesNothingIsSent looks at what a server gets.
func TestOnlyWhatChangesNothingIsSent(t *testing.T) {
	for _, unsafe := range []bool{false, true} {
		got := map[string]int{}
		c := client(t, func(w http.ResponseWriter, r *http.Request) {
			kind := r.Method
			if isPreflight(r) {
				kind = "preflight"
			}
			if r.Header.Get("Authorization") != "" {
				kind += " with a token"
			}
			got[kind]++
			filtered(t, policy)(w, r)
		}, "", Options{Unsafe: unsafe, Headers: []browser.Header{{Name: "Authorization", Value: "Bearer x"}}})
		r := c.Page(t.Context(), browser.Request{Origin: shop, Method: "DELETE", Credentials: true})
		want := map[string]int{"preflight": 1, "GET with a token": 1}
		if unsafe {
			want = map[string]int{"preflight": 1, "DELETE with a token": 1}
		}
		if r.Severity != "" || !maps.Equal(got, want) {
			t.Errorf("%+v; the server got %v", r, got)
		}
	}
}

func TestReportsWhatThePageGets(t *testing.T) {
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		request browser.Request
		code    Code
		message string
	}{
		"allowed": {filtered(t, policy, browser.Header{Name: "x-total", Value: "1"}), browser.Request{Origin: shop, Method: "PUT"}, "",
			"the page gets the response (status 200), and may read its headers content-length, x-total (of a GET: -unsafe-methods sends PUT)"},
		"no method": {filtered(t, policy), browser.Request{Origin: shop, Method: "PATCH"}, OtherOutcome,
			"the preflight fails, and the request is not sent: the method PATCH is not in Access-Control-Allow-Methods"},
		"no origin": {filtered(t, policy), browser.Request{Origin: unlistedOrigin, Method: "GET"}, OtherOutcome,
			"the request is sent, and the page does not get the response: the response has no Access-Control-Allow-Origin header"},
		"redirected": {http.RedirectHandler("/b", http.StatusPermanentRedirect).ServeHTTP, browser.Request{Origin: shop, Method: "PUT"},
			Redirected, "the preflight is redirected (308 to /b), and browsers do not follow redirects of preflights"},
		"a redirect that is allowed": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set(acao, "*")
			http.Redirect(w, r, "/b", http.StatusFound)
		}, browser.Request{Origin: shop, Method: "GET"}, "", "the browser follows the redirect (302) to /b, and checks again there"},
	} {
		t.Run(name, func(t *testing.T) {
			r := client(t, c.handler, "/a", Options{}).Page(t.Context(), c.request)
			if r.Code != c.code || r.Message != c.message {
				t.Errorf("%s %q, want %s %q", r.Code, r.Message, c.code, c.message)
			}
		})
	}
}

func TestAServerThatDoesNotAnswerStopsTheRun(t *testing.T) {
	gone := httptest.NewServer(nil)
	gone.Close()
	for name, ask := range map[string]func(c *Client) []Result{
		"a policy": func(c *Client) []Result { return run(t, c, policy) },
		"probes":   func(c *Client) []Result { return c.Probe(t.Context(), "") },
		"a page": func(c *Client) []Result {
			return []Result{c.Page(t.Context(), browser.Request{Origin: shop, Method: "PUT"})}
		},
	} {
		c, err := NewClient(gone.URL, Options{Timeout: time.Second, Rate: 1e6, Max: 100})
		if err != nil {
			t.Fatal(err)
		}
		if results := ask(c); len(results) != 1 || results[0].Code != NoAnswer || !strings.Contains(results[0].Message, "refused") {
			t.Errorf("%s: %+v", name, results)
		}
	}
	asked := 0
	c := client(t, func(w http.ResponseWriter, r *http.Request) {
		if asked++; asked > 5 {
			panic(http.ErrAbortHandler)
		}
		filtered(t, policy)(w, r)
	}, "", Options{})
	if results := run(t, c, policy); len(results) != 8 || codes(results) != "error no-answer" {
		t.Errorf("%d results: %s", len(results), codes(results))
	}
}

const byHost = `{"rules": [
	{"name": "public", "paths": ["/public/*"], "policy": {"allow_origins": ["*"]}},
	{"name": "orders", "hosts": ["api.example.com"], "paths": [{"regex": "/v[0-9]+/orders"}, "/orders*"],
		"policy": {"allow_origins": ["https://shop.example.com"]}},
	{"name": "others", "hosts": ["*.example.org"], "policy": {"allow_origins": ["https://other.example.com"]}},
	{"name": "shadow", "paths": ["/shadow"], "policy": {"allow_origins": ["*"], "mode": "shadow"}}],
	"allow_origins": ["https://www.example.com"]}`

func TestRulesAreAskedWhereTheyDecide(t *testing.T) {
	for name, c := range map[string]struct {
		target  Target
		want    map[string]string
		leftOut []string
	}{
		"a host": {Target{"https", "api.example.com", "", false},
			map[string]string{"public": "api.example.com/public/", "orders": "api.example.com/v0/orders", "": "api.example.com/"},
			[]string{"rule shadow: the mode is shadow, so upstream decides", "rule others: no request to api.example.com reaches it"}},
		"a host that no rule names": {Target{"https", "localhost:8080", "", false},
			map[string]string{"public": "localhost:8080/public/", "": "localhost:8080/"},
			[]string{"rule shadow: the mode is shadow, so upstream decides", "rule orders, rule others: no request to localhost:8080 reaches it"}},
		"any host": {Target{"http", "localhost:8080", "", true},
			map[string]string{"public": "localhost:8080/public/", "orders": "api.example.com/v0/orders", "others": "www.example.org/",
				"": "localhost:8080/"},
			[]string{"rule shadow: the mode is shadow, so upstream decides"}},
		"a path": {Target{"https", "api.example.com", "/orders/7?x=1", false},
			map[string]string{"orders": "api.example.com/orders/7?x=1"},
			[]string{"rule public, rule others, rule shadow, the top level: no request to api.example.com/orders/7?x=1 reaches it"}},
	} {
		t.Run(name, func(t *testing.T) {
			plan, err := Derive([]byte(byHost), c.target, 1000)
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]string{}
			for _, r := range plan.Requests {
				got[r.Rule] = r.Host + r.Path
			}
			if !maps.Equal(got, c.want) || !slices.Equal(plan.LeftOut, c.leftOut) {
				t.Errorf("%v\nleft out: %q", got, plan.LeftOut)
			}
		})
	}
	t.Run("all at one address", func(t *testing.T) {
		results := run(t, client(t, filtered(t, byHost), "", Options{}), byHost)
		if len(results) < 60 || codes(results) != "" {
			t.Errorf("%d requests: %s", len(results), codes(results))
		}
	})
}

func TestWhatMattersMostIsAskedFirst(t *testing.T) {
	plan, err := Derive([]byte(policy), Target{Scheme: "https", Host: "api.example.com"}, 6)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range plan.Requests {
		got = append(got, r.Name)
	}
	want := []string{
		"GET from https://shop.example.com", "preflight of PUT from https://shop.example.com with content-type", "GET without Origin",
		"GET from https://unlisted.example, an unlisted origin", "preflight of PUT from https://unlisted.example, an unlisted origin",
		"GET from http://shop.example.com, another scheme",
	}
	if !slices.Equal(got, want) || len(plan.LeftOut) != 1 || !strings.HasSuffix(plan.LeftOut[0], "requests: -max is 6") {
		t.Errorf("%q\n%q", got, plan.LeftOut)
	}
}

func TestNeighboursDifferInOneThing(t *testing.T) {
	for value, want := range map[string][]string{
		shop: {"http://shop.example.com", "https://shop.example.com:8443", "https://below.shop.example.com", "https://example.com",
			"https://notshop.example.com", "https://shop.example.com.unlisted.example", "https://shopxexample.com", "null"},
		"http://localhost:3000": {"https://localhost:3000", "http://localhost", "http://below.localhost:3000",
			"http://notlocalhost:3000", "http://localhost.unlisted.example:3000", "null"},
		"https://127.0.0.1:8443":  {"http://127.0.0.1:8443", "https://127.0.0.1", "null"},
		"https://[::1]":           {"http://[::1]", "https://[::1]:8443", "null"},
		"chrome-extension://abcd": {"null"},
	} {
		var got []string
		for _, n := range Neighbours(value) {
			got = append(got, n.Origin)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q", value, got)
		}
	}
}

func TestResolve(t *testing.T) {
	if from, to, err := ParseResolve("API.example.com:443:127.0.0.1"); from != "api.example.com:443" || to != "127.0.0.1:443" || err != nil {
		t.Error(from, to, err)
	}
	if from, to, err := ParseResolve("api.example.com:443:[::1]"); from != "api.example.com:443" || to != "[::1]:443" || err != nil {
		t.Error(from, to, err)
	}
	for _, text := range []string{"", "api.example.com", "api.example.com:443", "api.example.com:443:localhost"} {
		if _, _, err := ParseResolve(text); err == nil {
			t.Errorf("%q is accepted", text)
		}
	}
	server := httptest.NewUnstartedServer(filtered(t, policy))
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // of the client that takes no such certificate
	server.StartTLS()
	defer server.Close()
	address := server.Listener.Addr().String()
	for insecure, want := range map[bool]string{true: "", false: "error no-answer"} {
		o := Options{Insecure: insecure, Timeout: 5 * time.Second, Rate: 1e6, Max: 20, Resolve: map[string]string{"api.example.com:443": address}}
		c, err := NewClient("https://api.example.com", o)
		if err != nil {
			t.Fatal(err)
		}
		if got := codes(run(t, c, policy)); got != want {
			t.Errorf("insecure %v: %s", insecure, got)
		}
		c.Close()
	}
}

func TestTheRateIsKept(t *testing.T) {
	c := client(t, func(http.ResponseWriter, *http.Request) {}, "", Options{})
	c.Rate = 100
	began := time.Now()
	for range 6 {
		c.Page(t.Context(), browser.Request{Origin: shop, Method: "GET"})
	}
	if took := time.Since(began); took < 50*time.Millisecond {
		t.Errorf("6 requests at 100 per second took %v", took)
	}
}
