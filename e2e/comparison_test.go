package e2e

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"corsfilter/internal/envoy"
	"corsfilter/internal/envoytest"
	"corsfilter/internal/wasmtest"
)

// TestTheComparisonWithEnvoysOwnFilter runs the cells of docs/comparison.md about what
// Envoy's own filter accepts and answers, and looks for each cell on the page.
func TestTheComparisonWithEnvoysOwnFilter(t *testing.T) {
	page, err := os.ReadFile(wasmtest.Root() + "/docs/comparison.md")
	if err != nil {
		t.Fatal(err)
	}
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Forwarded", r.Method)
		switch r.URL.Path {
		case "/own":
			w.Header().Set("Access-Control-Allow-Origin", "*")
		case "/vary":
			w.Header().Set("Vary", "Origin")
		}
	}))
	defer upstream.Close()
	const native = `[{name: envoy.filters.http.cors, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.cors.v3.Cors}}]`
	listener := func(name, policy string) envoytest.Listener {
		const routes = `[{match: {path: /direct}, direct_response: {status: 200}}, {match: {path: /redirect}, redirect: {path_redirect: /}},
			{match: {prefix: /}, route: {cluster: upstream}}]`
		return envoytest.Listener{Name: name, Front: native, Routes: routes, VirtualHost: `typed_per_filter_config: {envoy.filters.http.cors: {
			"@type": type.googleapis.com/envoy.extensions.filters.http.cors.v3.CorsPolicy, allow_methods: PUT, ` + policy + `}}`}
	}
	s := envoytest.Start(t, envoytest.Bootstrap{Upstream: upstream.Listener.Addr().String(), Listeners: []envoytest.Listener{
		listener("any", `allow_origin_string_match: [{prefix: "*"}], allow_credentials: true`),
		listener("regex", `allow_origin_string_match: [{safe_regex: {regex: 'https://.*example\.com'}}], allow_credentials: true`),
		listener("open", `allow_origin_string_match: [{exact: "http://shop.example.com"}, {suffix: ".github.io"}], allow_credentials: true`),
		listener("shop", `allow_origin_string_match: [{exact: "https://shop.example.com"}]`),
		listener("answers", `allow_origin_string_match: [{exact: "https://shop.example.com"}], forward_not_matching_preflights: false`),
	}}, envoy.Options{})
	ask := func(listener, request, origin string) http.Header {
		t.Helper()
		conn, err := net.Dial("tcp", s.Address(listener))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		more := ""
		if strings.HasPrefix(request, "OPTIONS") {
			more = "Access-Control-Request-Method: PUT\r\n"
		}
		fmt.Fprintf(conn, "%s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nOrigin: %s\r\n%s\r\n", request, origin, more)
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		response.Header.Set("Status", fmt.Sprint(response.StatusCode))
		return response.Header
	}
	const evil, shop, acao = "https://evil.example", "https://shop.example.com", "Access-Control-Allow-Origin"
	for _, c := range []struct {
		row, cell string
		holds     bool
	}{
		{"any origin with credentials", "every origin is reflected", ask("any", "GET /", evil).Get(acao) == evil},
		{
			"a regex that lets in more than it seems to", "accepted",
			ask("regex", "GET /", "https://evilexample.com").Get(acao) == "https://evilexample.com",
		},
		{
			"plain http, or a wildcard below a public suffix, with credentials", "accepted",
			ask("open", "GET /", "http://shop.example.com").Get(acao) == "http://shop.example.com" &&
				ask("open", "GET /", "https://evil.github.io").Get(acao) == "https://evil.github.io",
		},
		{
			"preflight of an unlisted origin", "forwarded, or 200 with everything but the origin",
			ask("shop", "OPTIONS /", evil).Get("X-Forwarded") == "OPTIONS" && ask("answers", "OPTIONS /", evil).Get("Status") == "200" &&
				ask("answers", "OPTIONS /", evil).Get("Access-Control-Allow-Methods") == "PUT" && ask("answers", "OPTIONS /", evil).Get(acao) == "",
		},
		{
			"upstream's own `access-control-allow-origin`, for such an origin", "reaches the browser",
			ask("shop", "GET /own", evil).Get(acao) == "*",
		},
		{"`Vary`", "never", ask("shop", "GET /", shop).Get("Vary") == "" && ask("shop", "OPTIONS /", shop).Get("Vary") == ""},
		{"`Vary: Origin` that is there already", "stays", ask("shop", "GET /vary", shop).Get("Vary") == "Origin"},
		{
			"the proxy's own redirects and direct responses", "without CORS headers",
			ask("shop", "GET /direct", shop).Get(acao) == "" && ask("shop", "GET /redirect", shop).Get(acao) == "" &&
				ask("shop", "GET /", shop).Get(acao) == shop,
		},
		{"why it denied", "counter of origins", func() bool {
			stats, err := s.Stats(`cors\.origin_(in)?valid$`)
			return err == nil && len(stats) == 2 && stats["http.ingress.cors.origin_invalid"] > 0
		}()},
	} {
		if !c.holds {
			t.Errorf("%s: Envoy's filter does not do this: %s", c.row, c.cell)
		}
		if !strings.Contains(string(page), "\n| "+c.row+" | "+c.cell+" |") {
			t.Errorf("docs/comparison.md does not have %q for %q", c.cell, c.row)
		}
	}
}
