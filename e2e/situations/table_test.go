package situations

import (
	"crypto/tls"
	"fmt"
	"maps"
	"net/http"
	"testing"

	"sigs.k8s.io/yaml"

	"corsfilter/internal/envoytest"
)

// table returns every row.
func table(t *testing.T) []situation {
	chain, key, pool := certificate(t)
	encrypted := func(protocols string) string {
		return fmt.Sprintf(`
transport_socket:
  name: envoy.transport_sockets.tls
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
    common_tls_context:
      alpn_protocols: [%s]
      tls_certificates: [{certificate_chain: {inline_string: %q}, private_key: {inline_string: %q}}]`, protocols, chain, key)
	}
	client := func(protocols func(*http.Protocols)) *http.Transport {
		c := &http.Transport{Protocols: new(http.Protocols), TLSClientConfig: &tls.Config{RootCAs: pool}, DisableKeepAlives: true}
		protocols(c.Protocols)
		return c
	}
	tls1 := client(func(p *http.Protocols) { p.SetHTTP1(true) })
	tls2 := client(func(p *http.Protocols) { p.SetHTTP2(true) })
	h2c := client(func(p *http.Protocols) { p.SetUnencryptedHTTP2(true) })

	routed := func(more string) string { return `[{match: {prefix: /}, route: {cluster: upstream, ` + more + `}}]` }
	down := `[{match: {prefix: /}, route: {cluster: down}}]`
	rejecting := `{"allow_origins": ["https://shop.example.com"], "disallowed_requests": "reject"}`
	plain := map[string]string{"access-control-allow-origin": shop, "vary": "origin"}
	plainOwn := want{cors: map[string]string{"access-control-allow-origin": shop, "vary": preflightVary}}
	rejected := want{status: 403, details: "cors_request_rejected", cors: closed}
	theirs := `{"allow_origins": ["https://evil.example"]}`
	seen := `{"allow_origins": ["https://evil.example"], "debug": true}`
	both := `[{match: {path: /off}, route: {cluster: upstream}, typed_per_filter_config: {cors: {"@type": ` +
		`type.googleapis.com/envoy.config.route.v3.FilterConfig, disabled: true}}}, {match: {prefix: /}, route: {cluster: upstream}}]`
	untouched := want{status: 200, details: "via_upstream", cors: map[string]string{"access-control-allow-origin": "*"}}

	return []situation{
		// Protocols.
		{name: "HTTP/1.1"},
		{name: "HTTP/1.1 over TLS", listener: envoytest.Listener{Chain: encrypted("http/1.1")}, over: by(tls1, "https", "HTTP/1.1")},
		{name: "HTTP/2 over TLS", listener: envoytest.Listener{Chain: encrypted("h2")}, over: by(tls2, "https", "HTTP/2.0")},
		{name: "HTTP/2 in plain text", over: by(h2c, "http", "HTTP/2.0")},
		{
			name: "gRPC-Web",
			listener: envoytest.Listener{
				Behind: behind(t, "grpc_web", "grpc_web.v3.GrpcWeb", ""),
				Routes: `[{match: {prefix: /}, route: {cluster: grpc}}]`,
			},
			method: "POST", path: "/grpc", body: "\x00\x00\x00\x00\x00", header: map[string]string{"Content-Type": "application/grpc-web+proto"},
			shop: want{body: "grpc-status:0", more: map[string]string{"content-type": "application/grpc-web+proto"}},
		},
		{
			name:     "gRPC-Web, and nobody there",
			listener: envoytest.Listener{Behind: behind(t, "grpc_web", "grpc_web.v3.GrpcWeb", ""), Routes: down},
			method:   "POST", path: "/grpc", body: "\x00\x00\x00\x00\x00", header: map[string]string{"Content-Type": "application/grpc-web+proto"},
			shop: want{status: 503, details: "upstream_reset_before_response_started{remote_connection_failure"},
		},
		{
			name:     "gRPC answered by trailers alone",
			listener: envoytest.Listener{Routes: down}, over: by(h2c, "http", "HTTP/2.0"),
			method: "POST", path: "/grpc", body: "\x00\x00\x00\x00\x00", header: map[string]string{"Content-Type": "application/grpc"},
			shop: want{details: "upstream_reset_before_response_started{remote_connection_failure", more: map[string]string{"grpc-status": "14"}},
		},
		{
			name: "WebSocket over HTTP/1.1", path: "/websocket", ask: webSocket,
			shop: want{status: 101, details: whatever, body: "ping"},
		},
		{
			name:     "WebSocket over HTTP/1.1, unlisted origins rejected",
			listener: envoytest.Listener{Policy: rejecting}, path: "/websocket", ask: webSocket,
			shop: want{status: 101, details: whatever, body: "ping", cors: plain}, unlisted: rejected, preflight: plainOwn,
		},
		{
			name:     "WebSocket over HTTP/2",
			listener: envoytest.Listener{Manager: `http2_protocol_options: {allow_connect: true}`}, path: "/websocket",
			over: by(h2c, "http", "HTTP/2.0"), ask: webSocket2,
			shop: want{details: whatever, body: "ping"},
		},
		{
			name:     "WebSocket over HTTP/2, unlisted origins rejected",
			listener: envoytest.Listener{Policy: rejecting, Manager: `http2_protocol_options: {allow_connect: true}`}, path: "/websocket",
			over: by(h2c, "http", "HTTP/2.0"), ask: webSocket2,
			shop: want{details: whatever, body: "ping", cors: plain}, unlisted: rejected, preflight: plainOwn,
		},
		{
			name: "server-sent events come one by one", path: "/events", ask: streaming,
			shop: want{body: "data: one\n\ndata: two\n\n", more: map[string]string{"content-type": "text/event-stream"}},
		},
		{name: "HEAD", method: "HEAD", shop: want{more: map[string]string{"content-length": "14"}}},
		{
			name: "Expect: 100-continue, by Envoy", method: "POST", body: "text", ask: expecting,
			shop: want{more: map[string]string{"x-received": "text"}},
		},
		{
			name:     "Expect: 100-continue, by upstream",
			listener: envoytest.Listener{Manager: `proxy_100_continue: true`}, method: "POST", body: "text", ask: expecting,
			shop: want{more: map[string]string{"x-received": "text"}},
		},

		// What upstream does.
		{
			name:     "upstream is down",
			listener: envoytest.Listener{Routes: down},
			shop:     want{status: 503, details: "upstream_reset_before_response_started{remote_connection_failure"},
		},
		{
			name: "upstream resets before it answers",
			path: "/reset",
			shop: want{status: 503, details: "upstream_reset_before_response_started{connection_termination"},
		},
		{
			name:     "upstream is too slow",
			listener: envoytest.Listener{Routes: routed("timeout: 0.1s")}, path: "/slow",
			shop: want{status: 504, details: "response_timeout"},
		},
		{
			name:     "a retry after a 503",
			listener: envoytest.Listener{Routes: routed("retry_policy: {retry_on: 5xx, num_retries: 1}")}, path: "/flaky",
			shop: want{body: "try 2"}, asked: 2,
		},

		// What Envoy does itself.
		{
			name:     "a redirect by the route",
			listener: envoytest.Listener{Routes: `[{match: {prefix: /}, redirect: {path_redirect: /there}}]`},
			shop:     want{status: 301, details: "direct_response"},
		},
		{
			name:     "a direct response",
			listener: envoytest.Listener{Routes: `[{match: {prefix: /}, direct_response: {status: 200, body: {inline_string: direct}}}]`},
			shop:     want{details: "direct_response", body: "direct"},
		},
		{
			name:     "no route",
			listener: envoytest.Listener{Routes: `[{match: {path: /there}, route: {cluster: upstream}}]`},
			shop:     want{status: 404, details: "route_not_found"},
		},
		{
			name:     "an internal redirect",
			listener: envoytest.Listener{Routes: routed("internal_redirect_policy: {}")}, path: "/moved",
			shop: want{body: "upstream has /final"}, asked: 2,
		},
		{
			name: "a reply that local_reply_config rewrites",
			listener: envoytest.Listener{Routes: `[{match: {path: /there}, route: {cluster: upstream}}]`, Manager: `
local_reply_config:
  mappers:
  - filter: {status_code_filter: {comparison: {op: EQ, value: {default_value: 404, runtime_key: none}}}}
    status_code: 410
    body: {inline_string: it is gone}
    headers_to_add: [{header: {key: x-mapped, value: "yes"}}]`},
			shop: want{status: 410, details: "route_not_found", body: "it is gone", more: map[string]string{"x-mapped": "yes"}},
		},

		// What the filters behind do.
		{
			name: "ext_authz denies",
			listener: envoytest.Listener{Behind: behind(t, "ext_authz", "ext_authz.v3.ExtAuthz", `
http_service: {path_prefix: /deny, server_uri: {uri: http://authorization, cluster: upstream, timeout: 5s}}`)},
			shop: want{status: 403, details: "ext_authz_denied", body: "denied by the service"},
		},
		{
			name: "jwt_authn denies",
			listener: envoytest.Listener{Behind: behind(t, "jwt_authn", "jwt_authn.v3.JwtAuthentication", `
providers: {one: {issuer: https://issuer.example, local_jwks: {inline_string: '{"keys": [{"kty": "oct", "alg": "HS256",
  "k": "c2VjcmV0"}]}'}}}
rules: [{match: {prefix: /}, requires: {provider_name: one}}]`)},
			shop: want{status: 401, details: "jwt_authn_access_denied", body: "Jwt"},
		},
		{
			name:     "rbac denies",
			listener: envoytest.Listener{Behind: behind(t, "rbac", "rbac.v3.RBAC", `rules: {action: ALLOW}`)},
			shop:     want{status: 403, details: "rbac_access_denied", body: "RBAC: access denied"},
		},
		{
			name: "local_ratelimit is out of tokens, of which preflights take none",
			listener: envoytest.Listener{Behind: behind(t, "local_ratelimit", "local_ratelimit.v3.LocalRateLimit", `
stat_prefix: limit
token_bucket: {max_tokens: 1, fill_interval: 3600s}
filter_enabled: {default_value: {numerator: 100}}
filter_enforced: {default_value: {numerator: 100}}`)}, before: 1,
			shop: want{status: 429, details: "local_rate_limited"},
		},
		{
			name: "fault aborts",
			listener: envoytest.Listener{
				Behind: behind(t, "fault", "fault.v3.HTTPFault", `abort: {http_status: 503, percentage: {numerator: 100}}`),
			},
			shop: want{status: 503, details: "fault_filter_abort"},
		},
		{
			name:     "a body is larger than the buffer",
			listener: envoytest.Listener{Behind: behind(t, "buffer", "buffer.v3.Buffer", `max_request_bytes: 3`)}, method: "POST", body: "four",
			shop: want{status: 413, details: "request_payload_too_large"},
		},
		{
			name: "Lua answers, and opens itself",
			listener: envoytest.Listener{Behind: behind(t, "lua", "lua.v3.Lua", `
default_source_code:
  inline_string: |
    function envoy_on_request(handle)
      handle:respond({[":status"] = "418", ["access-control-allow-origin"] = "*", ["access-control-allow-credentials"] = "true"}, "by Lua")
    end`)},
			shop: want{status: 418, details: "lua_response", body: "by Lua"},
		},
		{
			name: "csrf denies the unintended origin",
			listener: envoytest.Listener{
				Behind: behind(
					t, "csrf", "csrf.v3.CsrfPolicy",
					`{filter_enabled: {default_value: {numerator: 100}}, additional_origins: [{exact: shop.example.com}]}`,
				),
			},
			method: "POST", body: "text",
			unlisted: want{status: 403, details: "csrf_origin_mismatch", body: "Invalid origin", cors: closed},
		},
		{
			name: "basic_auth denies",
			listener: envoytest.Listener{
				Behind: behind(t, "basic_auth", "basic_auth.v3.BasicAuth", `users: {inline_string: "user:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ="}`),
			},
			shop: want{status: 401, details: "no_credential_for_basic_auth"},
		},
		{
			name: "compressor varies as well",
			listener: envoytest.Listener{Behind: behind(t, "compressor", "compressor.v3.Compressor", `
compressor_library: {name: gzip, typed_config: {"@type": type.googleapis.com/envoy.extensions.compression.gzip.compressor.v3.Gzip}}`)},
			path: "/text", header: map[string]string{"Accept-Encoding": "gzip"},
			shop:      want{cors: with(open, "vary", "Accept-Encoding,origin"), more: map[string]string{"content-encoding": "gzip"}},
			unlisted:  want{cors: map[string]string{"vary": "Accept-Encoding,origin"}},
			preflight: want{cors: with(answered, "vary", preflightVary+", Accept-Encoding")},
			refused:   want{cors: map[string]string{"vary": preflightVary + ", Accept-Encoding"}},
		},
		{
			name: "header_mutation adds headers",
			listener: envoytest.Listener{Behind: behind(t, "header_mutation", "header_mutation.v3.HeaderMutation", `
mutations:
  request_mutations: [{append: {header: {key: x-more, value: "yes"}}}]
  response_mutations: [{append: {header: {key: x-more, value: "yes"}}}]`)},
			shop: want{more: map[string]string{"x-more": "yes"}},
		},

		// More than one of them.
		{
			name:     "another policy in the same VM",
			listener: envoytest.Listener{Policy: theirs},
			shop:     want{cors: closed}, preflight: usualOwnNo,
			unlisted: want{cors: map[string]string{"access-control-allow-origin": unlisted, "vary": "origin"}},
			refused: want{
				status:  204,
				details: "cors_preflight",
				cors:    map[string]string{"access-control-allow-origin": unlisted, "vary": preflightVary},
			},
		},
		{
			name:     "the same policy in another VM",
			listener: envoytest.Listener{Policy: theirs, Plugin: `vm_config: {vm_id: another}`},
			shop:     want{cors: closed}, preflight: usualOwnNo,
			unlisted: want{cors: map[string]string{"access-control-allow-origin": unlisted, "vary": "origin"}},
			refused: want{
				status:  204,
				details: "cors_preflight",
				cors:    map[string]string{"access-control-allow-origin": unlisted, "vary": preflightVary},
			},
		},
		{
			name:     "two in one chain, of which the first has the last word",
			listener: envoytest.Listener{Behind: yamlOf(t, []any{inner(t, seen, "")})},
			shop:     want{cors: with(open, "x-cors-decision", "denied; reason=origin")},
			unlisted: want{cors: with(closed, "x-cors-decision", "allowed")},
		},
		{
			name:     "two in one chain, each in a VM of its own",
			listener: envoytest.Listener{Behind: yamlOf(t, []any{inner(t, seen, `vm_config: {vm_id: another}`)})},
			shop:     want{cors: with(open, "x-cors-decision", "denied; reason=origin")},
			unlisted: want{cors: with(closed, "x-cors-decision", "allowed")},
		},
		{
			name:     "the filter is disabled on the route",
			listener: envoytest.Listener{Routes: both}, path: "/off",
			shop: untouched, unlisted: untouched, preflight: untouched, refused: untouched,
		},
		{name: "the filter is disabled on another route", listener: envoytest.Listener{Routes: both}, path: "/on"},
	}
}

// behind is a list of one of Envoy's own filters, with its configuration in YAML.
func behind(t *testing.T, name, kind, config string) string {
	t.Helper()
	object := map[string]any{}
	if err := yaml.Unmarshal([]byte(config), &object); err != nil {
		t.Fatalf("%v in %s", err, config)
	}
	object["@type"] = "type.googleapis.com/envoy.extensions.filters.http." + kind
	return yamlOf(t, []any{map[string]any{"name": "envoy.filters.http." + name, "typed_config": object}})
}

// inner is the filter again, behind itself.
func inner(t *testing.T, policy, plugin string) map[string]any {
	t.Helper()
	f := envoytest.Filter(t, policy, plugin)
	f["name"] = "inner"
	return f
}

// with is a copy with another value.
func with(headers map[string]string, name, value string) map[string]string {
	changed := maps.Clone(headers)
	changed[name] = value
	return changed
}
