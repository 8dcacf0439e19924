package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"corsfilter/internal/browser"
	"corsfilter/internal/envoy"
	"corsfilter/internal/envoytest"
	"corsfilter/internal/explain"
	"corsfilter/internal/lint"
)

// Listeners of the tests of paths, by the settings that each has.
const (
	asItComes = "as it comes"
	unescaped = "UNESCAPE_AND_FORWARD"
	unchanged = "KEEP_UNCHANGED"
	redirects = "UNESCAPE_AND_REDIRECT"
	refuses   = "REJECT_REQUEST"
)

var pathListeners = []string{asItComes, unescaped, unchanged, redirects, refuses}

// pathServer is an Envoy with three policies by path, in front of an upstream that
// answers with the path it gets.
func pathServer(t *testing.T) (s *envoytest.Server, bootstrap []byte) {
	t.Helper()
	const policy = `{
		"rules": [
			{"paths": ["/api/public/*"], "policy": {"allow_origins": ["*"], "allow_methods": ["PUT"]}},
			{"paths": ["/api/private/*"], "policy": {"allow_origins": ["https://shop.example.com"]}}
		],
		"allow_origins": ["https://other.example.com"]
	}`
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.RequestURI) }))
	t.Cleanup(upstream.Close)
	b := envoytest.Bootstrap{Upstream: upstream.Listener.Addr().String()}
	for _, name := range pathListeners {
		l := envoytest.Listener{Name: name, Policy: policy}
		if name != asItComes {
			l.Manager = "{normalize_path: true, merge_slashes: true, path_with_escaped_slashes_action: " + name + "}"
		}
		b.Listeners = append(b.Listeners, l)
	}
	bootstrap = b.JSON(t)
	return envoytest.StartFile(t, bootstrap, envoy.Options{}), bootstrap
}

// reply is what came back.
type reply struct {
	status                        int
	allowedOrigin, body, location string
}

// askRaw sends a request whose path no client library has put in order.
func askRaw(t *testing.T, s *envoytest.Server, listener, method, target string, headers ...string) reply {
	t.Helper()
	conn, err := net.Dial("tcp", s.Address(listener))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n%s\r\n", method, target, strings.Join(headers, ""))
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatalf("%s %s: %v", method, target, err)
	}
	body, _ := io.ReadAll(response.Body)
	return reply{response.StatusCode, response.Header.Get("Access-Control-Allow-Origin"), string(body), response.Header.Get("Location")}
}

// meant is the path as an upstream reads it that decodes it once, takes a
// backslash for a slash, and puts it in order.
func meant(t *testing.T, target string) string {
	t.Helper()
	decoded, err := url.PathUnescape(target)
	if err != nil {
		t.Fatal(err)
	}
	return path.Clean(strings.ReplaceAll(decoded, `\`, "/"))
}

// TestRuleAndUpstreamAgreeOnThePathInEnvoy asks in the ways in which a path can be
// written, from origins that each policy answers otherwise. With the settings that
// the documents recommend, the rule is always the one of the path that upstream
// reads; without them a spelling leads around a rule.
func TestRuleAndUpstreamAgreeOnThePathInEnvoy(t *testing.T) {
	s, _ := pathServer(t)
	rule := func(path string) string {
		for _, name := range []string{"/api/public", "/api/private"} {
			if path == name || strings.HasPrefix(path, name+"/") {
				return name
			}
		}
		return "none"
	}
	// The rule that decided shows in which origin is let in.
	decided := func(listener, target string) (by string, body string) {
		by = "/api/private"
		for origin, rule := range map[string]string{"https://other.example.com": "none", "https://anyone.example": "/api/public"} {
			r := askRaw(t, s, listener, "GET", target, "Origin: "+origin+"\r\n")
			if r.status != http.StatusOK { // upstream never sees it
				return "", ""
			}
			if body = r.body; r.allowedOrigin == origin || r.allowedOrigin == "*" && rule == "/api/public" {
				by = rule
			}
		}
		return by, body
	}
	around := map[string][]string{}
	served := map[string]int{}
	for _, target := range []string{
		"/api/private", "/api/private/x", "/api/public/../private", "/api/public/..%2fprivate", "/api/public/%2e%2e/private",
		"/api/public/.%2e/private",
		"/api/public/%2E%2E%2Fprivate", `/api/public/..\private`, "/api/public/..%5cprivate", "/api/public/%2e%2e%5Cprivate",
		"/api/public//../../private",
		"//api/public/../private", "/api/./private", "/api//private", "/api/%70rivate", "/%61pi/private", "/api/pr%69vate/x", "/api%2fprivate",
		"/api/private%2f",
		"/api/private%2fx", "/api/public%2f..%2fprivate", "/api/public/..%252fprivate", "/api/private;x", "/api/private%3fx", "/API/private",
		"/api/public/a%2Fb", "/api/public%5Ca", "/api/public/%41", "/api/other/..%2Fpublic/a", "/api/private/..%2F..%2Fother",
	} {
		for _, listener := range pathListeners {
			by, got := decided(listener, target)
			if by == "" {
				continue
			}
			served[listener]++
			if by != rule(meant(t, got)) {
				around[listener] = append(around[listener], target)
			}
		}
	}
	for _, listener := range []string{unescaped, redirects, refuses} {
		if len(around[listener]) > 0 {
			t.Errorf("%s: another rule decides than that of the path that upstream reads, for %q", listener, around[listener])
		}
	}
	if served[unescaped] != 30 {
		t.Errorf("with %s upstream got %d of 30", unescaped, served[unescaped])
	}
	if list := around[unchanged]; !slices.Contains(list, "/api/public/..%2fprivate") || !slices.Contains(list, "/api/private%2fx") {
		t.Errorf("with %s these lead around a rule: %q; others are expected", unchanged, list)
	}
	if list := around[asItComes]; !slices.Contains(list, "/api/public/../private") || !slices.Contains(list, "/api//private") ||
		!slices.Contains(list, "/api/pr%69vate/x") {
		t.Errorf("without any setting these lead around a rule: %q; others are expected", list)
	}
}

// TestAPreflightOfAPathWithAnEscapedSlashInEnvoy fails in the page where the connection
// manager answers it before any filter, and corsctl explain says so.
func TestAPreflightOfAPathWithAnEscapedSlashInEnvoy(t *testing.T) {
	s, bootstrap := pathServer(t)
	configurations, err := lint.Find(bootstrap)
	if err != nil || len(configurations) != len(pathListeners) {
		t.Fatalf("%d configurations, %v", len(configurations), err)
	}
	for listener, want := range map[string]struct {
		reply
		details string
	}{
		asItComes: {reply{204, "*", "", ""}, "cors_preflight"},
		unchanged: {reply{204, "*", "", ""}, "cors_preflight"},
		unescaped: {reply{204, "*", "", ""}, "cors_preflight"},
		redirects: {reply{307, "", "", "/api/public/a/b"}, "path_normalization_failed"},
		refuses:   {reply{400, "", "", ""}, "path_normalization_failed"},
	} {
		got := askRaw(
			t, s, listener, "OPTIONS", "/api/public/a%2Fb", "Origin: https://shop.example.com\r\n", "Access-Control-Request-Method: PUT\r\n",
			envoytest.Attempt+": "+listener+"\r\n",
		)
		if details := s.Logged(t, listener).Details; got != want.reply || details != want.details {
			t.Errorf("%s: %+v, logged %s, want %+v", listener, got, details, want)
		}
		if got := askRaw(
			t, s, listener, "OPTIONS", "/api/public/a?x=%2F", "Origin: https://shop.example.com\r\n", "Access-Control-Request-Method: PUT\r\n",
		); got.status != 204 {
			t.Errorf("%s: an escaped slash of the query: %+v", listener, got)
		}
		found, err := explain.Configuration("envoy.json", bootstrap, configurations[slices.Index(pathListeners, listener)].Name())
		if err != nil {
			t.Fatal(err)
		}
		explained, err := explain.Explain(found.JSON, explain.Request{
			Request: browser.Request{Origin: "https://shop.example.com", Method: "PUT"}, Path: "/api/public/a%2Fb",
			EscapedSlashes: found.EscapedSlashes,
		})
		if err != nil {
			t.Fatal(err)
		}
		if x := explained.Preflight.Exchange; x.Status != want.status || x.Details != want.details || explained.Allowed != (want.status == 204) {
			t.Errorf("%s: explain says %+v, %s", listener, x, explained.Verdict)
		}
	}
}

// TestRepliesBeforeAnyFilterInEnvoy sends what the connection manager answers itself; the
// README's limits name these replies.
func TestRepliesBeforeAnyFilterInEnvoy(t *testing.T) {
	s := envoytest.Start(
		t, envoytest.Bootstrap{Listeners: []envoytest.Listener{{Policy: `{"allow_origins": ["*"]}`, Routes: direct}}}, envoy.Options{},
	)
	for _, c := range []struct {
		name, request string
		status        int
		allowedOrigin string
	}{
		{"a request that the filter sees", "GET / HTTP/1.1\r\nHost: a\r\nOrigin: https://a.example\r\n\r\n", 200, "*"},
		{"an old version of HTTP", "GET / HTTP/1.0\r\nHost: a\r\nOrigin: https://a.example\r\n\r\n", 426, ""},
		{
			"headers that are too large",
			"GET / HTTP/1.1\r\nHost: a\r\nOrigin: https://a.example\r\nX-Large: " + strings.Repeat("a", 61<<10) + "\r\n\r\n", 431, "",
		},
		{"a malformed request", "GET / HTTP/1.1\r\nHost: a\r\nOrigin: https://a.example\r\nContent-Length: none\r\n\r\n", 400, ""},
	} {
		conn, err := net.Dial("tcp", s.Address(""))
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(conn, c.request)
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		conn.Close()
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		} else if got := response.Header.Get("Access-Control-Allow-Origin"); response.StatusCode != c.status || got != c.allowedOrigin {
			t.Errorf("%s: %d with %q, want %d with %q", c.name, response.StatusCode, got, c.status, c.allowedOrigin)
		}
	}
}

// TestDecisionsAreLoggedOnDemandInEnvoy is the first step of a roll-out.
func TestDecisionsAreLoggedOnDemandInEnvoy(t *testing.T) {
	s := envoytest.Start(t, envoytest.Bootstrap{Listeners: []envoytest.Listener{{
		Policy: `{"allow_origins": ["https://shop.example.com"]}`,
		Routes: `[{match: {prefix: /}, direct_response: {status: 200}}]`,
	}}}, envoy.Options{})
	level := func(name string) {
		t.Helper()
		if _, err := s.Post("/logging?wasm=" + name); err != nil {
			t.Fatal(err)
		}
	}
	said := func(origin string) bool { return strings.Contains(s.Log(), "request from "+origin+": ") }
	send := func(origin string) { askRaw(t, s, "", "GET", "/"+origin, "Origin: "+origin+"\r\n") }

	send("https://before.example")
	level("debug")
	// The filter looks at the level once a second, and Envoy writes in its own time.
	begun := time.Now()
	envoytest.Eventually(t, "decisions are logged after POST /logging?wasm=debug", func() bool {
		send("https://during.example")
		return said("https://during.example")
	})
	if took := time.Since(begun); took > 3*time.Second {
		t.Errorf("decisions were logged after %v, and the documents say a second", took)
	}
	if said("https://before.example") {
		t.Error("decisions are logged before POST /logging?wasm=debug")
	}
	level("info")
	time.Sleep(1500 * time.Millisecond)
	send("https://after.example")
	time.Sleep(200 * time.Millisecond)
	if said("https://after.example") {
		t.Error("decisions are logged after POST /logging?wasm=info")
	}
}
