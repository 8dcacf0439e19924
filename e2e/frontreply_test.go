package e2e

import (
	"maps"
	"net/http"
	"strings"
	"testing"

	"corsfilter/e2e/scenario"
	"corsfilter/internal/envoy"
	"corsfilter/internal/envoytest"
)

// TestRepliesOfFiltersInFrontInEnvoy has filters in front of the module answer: the module is
// never asked about such a stream, so that the response has no CORS headers, nothing is
// counted, and requests that get through are served as ever.
func TestRepliesOfFiltersInFrontInEnvoy(t *testing.T) {
	const (
		lua = `[{name: envoy.filters.http.lua, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua,
		  default_source_code: {
		  inline_string: "function envoy_on_request(h) if h:headers():get('x-front') then h:respond({[':status'] = '401'}, '') end end"}}}]`
		fault = `[{name: envoy.filters.http.fault, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault,
		  abort: {http_status: 429, percentage: {numerator: 100}}, headers: [{name: x-front, present_match: true}]}}]`
		direct = `[{match: {prefix: /}, direct_response: {status: 200}}]`
	)
	server := envoytest.Start(t, envoytest.Bootstrap{Listeners: []envoytest.Listener{
		{Name: "lua", Policy: replying, Front: lua, Routes: direct}, {Name: "fault", Policy: replying, Front: fault, Routes: direct},
	}}, envoy.Options{})
	ask := func(listener, method string, headers ...string) (int, map[string]string) {
		t.Helper()
		request, err := http.NewRequestWithContext(t.Context(), method, "http://"+server.Address(listener), nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(headers); i += 2 {
			request.Header.Set(headers[i], headers[i+1])
		}
		response, err := http.DefaultTransport.RoundTrip(request)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		return response.StatusCode, scenario.Collect(entries(response.Header))
	}
	allowed := map[string]string{
		"access-control-allow-origin": shop, "access-control-expose-headers": "x-total",
		"vary":            "origin",
		"x-cors-decision": "allowed",
	}
	for listener, want := range map[string]int{"lua": 401, "fault": 429} {
		for range 3 {
			if status, got := ask(listener, http.MethodGet, "Origin", shop, "X-Front", "yes"); status != want || len(got) > 0 {
				t.Errorf("%s in front: status %d, %v; want %d without CORS headers", listener, status, got, want)
			}
			if status, got := ask(
				listener, http.MethodOptions, "Origin", shop, "Access-Control-Request-Method", "PUT", "X-Front", "yes",
			); status != want ||
				len(got) > 0 {
				t.Errorf("%s in front: a preflight gets status %d, %v; want %d without CORS headers", listener, status, got, want)
			}
			if status, got := ask(listener, http.MethodGet, "Origin", shop); status != 200 || !maps.Equal(got, allowed) {
				t.Errorf("behind %s: status %d, %v; want 200 and %v", listener, status, got, allowed)
			}
		}
	}
	server.Counted(t, map[string]uint64{"cors.origin_valid": 6, "cors.request_allowed": 6})
	if log := server.Log(); strings.Contains(log, "bug in") || strings.Contains(log, "panic") || strings.Contains(log, "[critical]") {
		t.Errorf("Envoy says\n%s", log)
	}
}
