package e2e

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"corsfilter/e2e/scenario"
	"corsfilter/internal/gateway"
	"corsfilter/internal/wasmtest"
)

// TestTheProxysOwnRepliesAreStamped asks for what upstream never answers: a
// direct response, a redirect, a path without a route, an upstream that is down.
// Envoy's own CORS filter leaves those without headers.
func TestTheProxysOwnRepliesAreStamped(t *testing.T) {
	text := string(bootstrap(`{"allow_origins": ["https://shop.example.com"], "allow_credentials": true, "expose_headers": "x-a"}`))
	routes := `routes: [
              {match: {path: /direct}, direct_response: {status: 200, body: {inline_string: hello}}},
              {match: {path: /moved}, redirect: {path_redirect: /direct}},
              {match: {prefix: /down}, route: {cluster: api}}]`
	text = strings.Replace(text, "routes: [{match: {prefix: /}, route: {cluster: api}}]", routes, 1)
	config, err := gateway.Load([]byte(text), gateway.LoadOptions{Module: wasmtest.Module(t)})
	if err != nil {
		t.Fatal(err)
	}
	g, err := gateway.Start(t.Context(), config, gateway.Options{Listen: gateway.Ephemeral, AccessLog: io.Discard, Log: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		path   string
		status int
	}{{"/direct", 200}, {"/moved", 301}, {"/nowhere", 404}, {"/down", 503}} {
		for origin, want := range map[string]map[string]string{
			"https://shop.example.com": {
				"access-control-allow-origin": "https://shop.example.com", "access-control-allow-credentials": "true",
				"access-control-expose-headers": "x-a", "vary": "origin",
			},
			"https://evil.example": {"vary": "origin"},
			"":                     {"vary": "origin"},
		} {
			request, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+g.Addr("main")+c.path, nil)
			if err != nil {
				t.Fatal(err)
			}
			if origin != "" {
				request.Header.Set("Origin", origin)
			}
			response, err := http.DefaultTransport.RoundTrip(request)
			if err != nil {
				t.Fatal(err)
			}
			response.Body.Close()
			got := scenario.Collect(func(yield func(string, string) bool) {
				for name, values := range response.Header {
					for _, value := range values {
						yield(name, value)
					}
				}
			})
			s := scenario.Scenario{Want: scenario.Want{Headers: want}}
			check(t, s, outcome{headers: got})
			if response.StatusCode != c.status {
				t.Errorf("%s from %q: status %d, want %d", c.path, origin, response.StatusCode, c.status)
			}
		}
	}
}
