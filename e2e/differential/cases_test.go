package differential

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"corsfilter/internal/browser"
	"corsfilter/internal/convert"
	"corsfilter/internal/convert/source"
	"corsfilter/internal/envoytest"
)

// envoysCase is a case of Envoy's tests of its filter (test/extensions/filters/http/cors),
// by its inputs and expected values. Origins have a scheme here, as those of browsers.
type envoysCase struct {
	name string
	// policy is merged over the one that all begin with, on the virtual host, and route is
	// one of the route's own; "none": there is none. old says that they stand in the fields
	// of before typed_per_filter_config.
	policy, route string
	old           bool
	action        string // in place of a route to the upstream; "none": no route
	// request is "METHOD ORIGIN METHOD-TO-COME HEADERS-TO-COME", each of which may be missing.
	request string
	// want is the status, "forwarded" where the upstream gets the request, and the CORS
	// headers, each "access-control-" and what stands here.
	want string
}

const (
	wildcard  = "OPTIONS https://test-host GET"
	answered  = "200; allow-origin: https://test-host; " + rest
	rest      = "allow-methods: GET; allow-headers: content-type; expose-headers: content-type; max-age: 0"
	localhost = `allow_origin_string_match: [{exact: "http://localhost"}]`
)

var envoysCases = []envoysCase{
	{name: "RequestWithoutOrigin", request: "GET", want: "200 forwarded"},
	{name: "RequestWithOrigin", request: "GET http://localhost",
		want: "200 forwarded; allow-origin: http://localhost; expose-headers: content-type"},
	{name: "OptionsRequestWithoutOrigin", request: "OPTIONS", want: "200 forwarded"},
	{name: "OptionsRequestWithOrigin", request: "OPTIONS http://localhost",
		want: "200 forwarded; allow-origin: http://localhost; expose-headers: content-type"},
	{name: "OptionsRequestWithOriginCorsDisabled", policy: off, request: "OPTIONS http://localhost", want: "200 forwarded"},
	{name: "OptionsRequestWithOriginCorsDisabledShadowDisabled", policy: off + ", shadow_enabled: " + never, request: wildcard,
		want: "200 forwarded"},
	{name: "OptionsRequestWithOriginCorsDisabledShadowEnabled", policy: off + ", shadow_enabled: " + always, request: wildcard,
		want: "200 forwarded"},
	{name: "OptionsRequestWithOriginCorsEnabled", policy: "filter_enabled: " + always, request: wildcard, want: answered},
	{name: "OptionsRequestMatchingOriginByWildcard", request: wildcard, want: answered},
	{name: "OptionsRequestWithOriginCorsEnabledShadowDisabled", policy: "filter_enabled: " + always + ", shadow_enabled: " + never,
		request: wildcard, want: answered},
	{name: "OptionsRequestWithOriginCorsEnabledShadowEnabled", policy: "shadow_enabled: " + always, request: wildcard, want: answered},
	{name: "OptionsRequestNotMatchingOrigin", policy: localhost, request: wildcard, want: "200 forwarded"},
	{name: "OptionsRequestNotMatchingOrigin, not forwarded", policy: localhost + ", forward_not_matching_preflights: false",
		request: wildcard, want: "200; allow-methods: GET; allow-headers: content-type; max-age: 0"},
	{name: "OptionsRequestNotMatchingOrigin, forwarded", policy: localhost + ", forward_not_matching_preflights: true", request: wildcard,
		want: "200 forwarded"},
	{name: "OptionsRequestEmptyOriginList", policy: "allow_origin_string_match: []", request: wildcard, want: "200 forwarded"},
	{name: "ValidOptionsRequestWithAllowCredentialsTrue", policy: localhost + ", allow_credentials: true",
		request: "OPTIONS http://localhost GET",
		want:    "200; allow-origin: http://localhost; allow-credentials: true; " + rest},
	{name: "ValidOptionsRequestWithAllowCredentialsFalse", request: "OPTIONS http://localhost GET",
		want: strings.Replace(answered, "https://test-host", "http://localhost", 1)},
	{name: "a star for methods", policy: `allow_methods: "*"`, request: "OPTIONS https://test-host PATCH",
		want: strings.Replace(answered, "GET", "PATCH", 1)},
	{name: "a star for headers", policy: `allow_headers: "*"`, request: "OPTIONS https://test-host GET x-a,x-b",
		want: strings.Replace(answered, "content-type", "x-a,x-b", 1)},
	{name: "OptionsRequestWithPrivateNetwork", policy: "allow_private_network_access: true", request: wildcard + " private-network",
		want: answered + "; allow-private-network: true"},
	{name: "OptionsRequestWithPrivateNetwork, not allowed", policy: "allow_private_network_access: false",
		request: wildcard + " private-network", want: answered},
	{name: "EncodeWithCorsDisabled", policy: off, request: "GET http://localhost", want: "200 forwarded"},
	{name: "EncodeWithAllowCredentialsTrue", policy: localhost + ", allow_credentials: true", request: "GET http://localhost",
		want: "200 forwarded; allow-origin: http://localhost; allow-credentials: true; expose-headers: content-type"},
	{name: "EncodeWithExposeHeaders", policy: "expose_headers: custom-header-1", request: "GET http://localhost",
		want: "200 forwarded; allow-origin: http://localhost; expose-headers: custom-header-1"},
	{name: "EncodeWithNonMatchingOrigin", policy: localhost, request: "GET https://test-host", want: "200 forwarded"},
	{name: "RedirectRoute", action: "redirect: {host_redirect: elsewhere.example}", request: "GET http://localhost", want: "301"},
	{name: "EmptyRouteEntry", action: "direct_response: {status: 203}", request: "GET http://localhost", want: "203"},
	{name: "EmptyRoute", action: "none", request: "GET http://localhost", want: "404"},
	{name: "NoCorsEntry", policy: "none", request: "OPTIONS http://localhost GET", want: "200 forwarded"},
	{name: "NoRouteCorsEntry", request: wildcard, want: answered, old: true},
	{name: "NoVHostCorsEntry", policy: "none",
		route: `allow_origin_string_match: [{exact: "*"}], allow_headers: content-type, max_age: "0"`, old: true, request: wildcard,
		want: "200; allow-origin: https://test-host; allow-headers: content-type; max-age: 0"},
	{name: "OptionsRequestMatchingOriginByRegex", policy: `allow_origin_string_match: [{safe_regex: {regex: ".*"}}]`, request: wildcard,
		want: answered},
	{name: "OptionsRequestNotMatchingOriginByRegex", policy: `allow_origin_string_match: [{safe_regex: {regex: ".*.envoyproxy.io"}}]`,
		request: "OPTIONS https://www.envoyproxy.com GET", want: "200 forwarded"},

	{name: "TestVHostConfigSuccess",
		policy: `allow_methods: "GET,POST", allow_headers: "content-type,x-grpc-web", expose_headers: "", max_age: ""`, old: true,
		request: wildcard, want: "200; allow-origin: https://test-host; allow-methods: GET,POST; allow-headers: content-type,x-grpc-web"},
	{name: "TestRouteConfigSuccess", route: route, request: "OPTIONS https://test-origin-1 GET",
		want: "200; allow-origin: https://test-origin-1; allow-methods: POST; allow-headers: content-type; " +
			"expose-headers: content-type; max-age: 100"},
	{name: "TestRouteConfigBadOrigin", route: route, request: "OPTIONS https://test-origin GET", want: "200 forwarded"},
	{name: "TestCorsDisabled", route: off, request: "OPTIONS https://test-origin GET", want: "200 forwarded"},
	{name: "TestCorsDisabled, by the old field", route: off, old: true, request: "OPTIONS https://test-origin GET", want: "200 forwarded"},
	{name: "TestEncodeHeaders", policy: `expose_headers: ""`, request: "GET https://test-host",
		want: "200 forwarded; allow-origin: https://test-host"},
	{name: "TestEncodeHeadersCredentialsAllowed", policy: "none",
		route: `allow_origin_string_match: [{exact: "https://test-origin-1"}], allow_credentials: true`, old: true,
		request: "GET https://test-origin-1", want: "200 forwarded; allow-origin: https://test-origin-1; allow-credentials: true"},
	{name: "TestAllowedOriginRegex",
		route:   `allow_origin_string_match: [{safe_regex: {regex: '.*\.envoyproxy\.io'}}], allow_credentials: true`,
		request: "GET https://www.envoyproxy.io",
		want:    "200 forwarded; allow-origin: https://www.envoyproxy.io; allow-credentials: true; expose-headers: content-type"},
	{name: "TestExposeHeaders",
		route:   `allow_origin_string_match: [{exact: "https://test-origin-1"}], expose_headers: "custom-header-1,custom-header-2"`,
		request: "GET https://test-origin-1",
		want:    "200 forwarded; allow-origin: https://test-origin-1; expose-headers: custom-header-1,custom-header-2"},

	// examples/cors/backend/front-envoy.yaml
	{name: "the example's open path", policy: sandbox, request: "GET https://anyone.example",
		want: "200 forwarded; allow-origin: https://anyone.example; expose-headers: content-type"},
	{name: "the example's disabled path", policy: sandbox, route: off, old: true, request: "GET https://anyone.example",
		want: "200 forwarded"},
	{name: "the example's restricted path", policy: sandbox,
		route: `allow_origin_string_match: [{safe_regex: {regex: '.*\.envoyproxy\.io'}}], allow_methods: GET`, old: true,
		request: "GET https://anyone.example", want: "200 forwarded"},
}

const (
	never  = "{default_value: {numerator: 0, denominator: HUNDRED}}"
	always = "{default_value: {numerator: 100, denominator: HUNDRED}}"
	off    = "filter_enabled: " + never
	route  = `allow_origin_string_match: [{exact: "https://test-origin-1"}, {exact: "https://test-host-2"}], ` +
		`allow_headers: content-type, allow_methods: POST, max_age: "100"`
	sandbox = `allow_origin_string_match: [{safe_regex: {regex: '\*'}}], filter_enabled: ` + always + ", shadow_enabled: " + never
)

// manager is the case's; a second virtual host has the policy that all begin with, so that
// there is one to convert.
func (c envoysCase) manager(t *testing.T) object {
	level := func(over object, policy string, typed, begins bool) {
		var p object
		base := `allow_origin_string_match: [{exact: "*"}], allow_methods: GET, allow_headers: content-type, expose_headers: content-type,
			allow_credentials: false, max_age: "0"`
		if !begins {
			base = ""
		}
		var more object
		for text, into := range map[string]*object{base: &p, policy: &more} {
			if err := yaml.Unmarshal([]byte("{"+text+"}"), into); err != nil {
				t.Fatalf("%v in %s", err, text)
			}
		}
		if p == nil {
			p = object{}
		}
		for key, value := range more {
			p[key] = value
		}
		if !typed {
			over["cors"] = p
			return
		}
		p["@type"] = corsPolicy
		over["typed_per_filter_config"] = object{corsFilter: p}
	}
	action := object{"cluster": "upstream"}
	r := object{"match": object{"prefix": "/"}, "route": action}
	if c.action != "" && c.action != "none" {
		r = object{"match": object{"prefix": "/"}}
		if err := yaml.Unmarshal([]byte("{"+c.action+"}"), &action); err != nil {
			t.Fatal(err)
		}
		delete(action, "cluster")
		for key, value := range action {
			r[key] = value
		}
	}
	if c.route != "" && c.old {
		level(action, c.route, false, false)
	} else if c.route != "" {
		level(r, c.route, true, false)
	}
	host := object{"name": "case", "domains": []any{"case.example"}, "routes": []any{r}}
	if c.action == "none" {
		delete(host, "routes")
	}
	if c.policy != "none" {
		level(host, c.policy, !c.old, true)
	}
	other := object{"name": "other", "domains": []any{"other.example"}, "routes": []any{
		object{"match": object{"prefix": "/"}, "route": object{"cluster": "upstream"}}}}
	level(other, "", true, true)
	return object{"route_config": object{"virtual_hosts": []any{host, other}}, "http_filters": []any{filter()}}
}

// TestCasesInEnvoy runs Envoy's own cases, in its filter and in the module, and the conformance
// suite's of the Gateway API in the module.
func TestCasesInEnvoy(t *testing.T) {
	j := &judge{T: t, named: map[convert.ChangeKind]int{}, refused: map[string]int{}}
	var all []*drawn
	for i, c := range envoysCases {
		d := j.read(&drawn{drawer: newDrawer(0), seed: uint64(i)}, c.manager(t))
		if d == nil {
			t.Fatalf("%s is refused, or none", c.name)
		}
		all = append(all, d)
	}
	result, problems := source.Convert([]convert.File{{Name: "routes.yaml", Data: []byte(conformanceRoutes)}}, convert.Options{})
	if result == nil {
		t.Fatal(problems)
	}
	server := j.start(all, envoytest.Listener{Name: "gateway", Policy: string(result.JSON)})
	for i, c := range envoysCases {
		t.Run("Envoy/"+c.name, func(t *testing.T) {
			j.T = t
			native, module := j.dial(server, "native", all[i]), j.dial(server, "module", all[i])
			words := append(strings.Fields(c.request), "", "", "")
			x := &exchange{judge: j, drawn: all[i], page: browser.Request{Origin: words[1], Method: words[2]}, host: "case.example", path: "/"}
			var headers []browser.Header
			for j, name := range []string{"origin", "access-control-request-method", "access-control-request-headers"} {
				switch value := words[j+1]; {
				case value == "private-network":
					headers = append(headers, browser.Header{Name: "access-control-request-private-network", Value: "true"})
				case value != "":
					headers = append(headers, browser.Header{Name: name, Value: value})
				}
			}
			if words[3] != "" && words[3] != "private-network" {
				for name := range strings.SplitSeq(words[3], ",") {
					x.page.Headers = append(x.page.Headers, browser.Header{Name: name, Value: "1"})
				}
			}
			x.choose()
			x.send(native, module, words[0] == "OPTIONS" && words[2] != "", words[0], headers)
			got := []string{fmt.Sprint(x.theirs[0].Status)}
			if value(x.theirs[0], "x-forwarded") != "" {
				got[0] += " forwarded"
			}
			for _, h := range x.theirs[0].Headers {
				if name, cors := strings.CutPrefix(h.Name, "access-control-"); cors {
					got = append(got, name+": "+h.Value)
				}
			}
			want := strings.Split(c.want, "; ")
			slices.Sort(want[1:])
			if !slices.Equal(got, want) {
				t.Errorf("Envoy answers %q, and its test has %q", got, want)
			}
			native.Close()
			module.Close()
		})
	}
	j.T = t
	gateway := j.connect(server.Address("gateway"))
	defer gateway.Close()
	for _, c := range conformance {
		t.Run("Gateway API/"+c.name, func(t *testing.T) { c.hold(t, gateway) })
	}
}

// conformanceRoutes are those of the Gateway API's conformance tests of the CORS filter
// (conformance/tests/httproute-cors.yaml).
const conformanceRoutes = `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: cors-multiple-origins-methods-headers, namespace: gateway-conformance-infra}
spec:
  parentRefs: [{name: same-namespace}]
  rules: [{matches: [{path: {type: PathPrefix, value: /cors-1}}], backendRefs: [{name: v1, port: 8080}],
  filters: [{type: CORS, cors: {allowOrigins: ["https://www.foo.com", "https://*.bar.com"], allowMethods: [GET, OPTIONS],
    allowHeaders: [x-header-1, x-header-2],
    exposeHeaders: [x-header-3, x-header-4], allowCredentials: true, maxAge: 3600}}]}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: cors-wildcard-methods, namespace: gateway-conformance-infra}
spec:
  parentRefs: [{name: same-namespace}]
  rules: [{matches: [{path: {type: PathPrefix, value: /cors-2}}], backendRefs: [{name: v1, port: 8080}],
  filters: [{type: CORS, cors: {allowOrigins: ["https://www.foo.com"], allowMethods: ["*"]}}]}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: cors-wildcard-origin, namespace: gateway-conformance-infra}
spec:
  parentRefs: [{name: same-namespace}]
  rules: [{matches: [{path: {type: PathPrefix, value: /cors-wildcard-origin}}], backendRefs: [{name: v1, port: 8080}],
  filters: [{type: CORS, cors: {allowOrigins: ["*"], allowMethods: [PUT], allowCredentials: false}}]}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: cors-wildcard-methods-headers, namespace: gateway-conformance-infra}
spec:
  parentRefs: [{name: same-namespace}]
  rules: [{matches: [{path: {type: PathPrefix, value: /cors-wildcard-methods-headers}}], backendRefs: [{name: v1, port: 8080}],
  filters: [{type: CORS, cors: {allowOrigins: ["https://other.foo.com"], allowMethods: ["*"], allowHeaders: ["*"],
    allowCredentials: true}}]},
  {matches: [{path: {type: PathPrefix, value: /cors-wildcard-methods-headers-unauth}}], backendRefs: [{name: v1, port: 8080}],
  filters: [{type: CORS, cors: {allowOrigins: ["https://other.foo.com"], allowMethods: ["*"], allowHeaders: ["*"]}}]}]
`

// conformanceCase is one of conformance/tests/httproute-cors.go, by its inputs and expected
// values.
type conformanceCase struct {
	name, path, request string // the request as an envoysCase has it
	status              string // those that will do; "": any
	// want are "header: value | another", of which the spaces do not count; no value: the
	// header is absent.
	want string
}

const (
	lists = "allow-methods: GET,OPTIONS | OPTIONS,GET; allow-headers: x-header-1,x-header-2 | x-header-2,x-header-1; " +
		"expose-headers: x-header-3,x-header-4 | x-header-4,x-header-3; max-age: 3600; allow-credentials: true"
	asks = " GET x-header-1,x-header-2"
	echo = "allow-methods: PUT; allow-headers: x-header-1,x-header-2 | x-header-2,x-header-1; allow-credentials: true"
)

var conformance = []conformanceCase{
	{"preflight of an exact origin", "/cors-1", "OPTIONS https://www.foo.com" + asks, "200 204",
		"allow-origin: https://www.foo.com; " + lists},
	{"preflight of a wildcard's origin", "/cors-1", "OPTIONS https://www.bar.com" + asks, "200 204",
		"allow-origin: https://www.bar.com; " + lists},
	{"preflight of a wildcard's origin with more labels", "/cors-1", "OPTIONS https://xpto.www.bar.com" + asks, "200 204",
		"allow-origin: https://xpto.www.bar.com; " + lists},
	{"preflight of another origin", "/cors-1", "OPTIONS https://foobar.com GET", "200 204 403", "allow-origin:"},
	{"request of an exact origin", "/cors-1", "GET https://www.foo.com" + asks, "200 204", "allow-origin: https://www.foo.com"},
	{"request of a wildcard's origin", "/cors-1", "GET https://www.bar.com" + asks, "200 204", "allow-origin: https://www.bar.com"},
	{"request of another origin", "/cors-1", "GET https://foobar.com GET", "", "allow-origin:"},
	{"preflight of any method", "/cors-2", "OPTIONS https://www.foo.com POST", "200 204",
		"allow-origin: https://www.foo.com; allow-methods: POST | *; allow-credentials:"},
	{"preflight without credentials", "/cors-2", "OPTIONS https://www.foo.com POST", "", "allow-credentials:"},
	{"preflight of any origin", "/cors-wildcard-origin", "OPTIONS https://foobar.com PUT", "200 204",
		"allow-origin: https://foobar.com | *; allow-methods: PUT; allow-credentials:"},
	{"preflight of any origin with a port", "/cors-wildcard-origin", "OPTIONS https://foobar.com:12345 PUT", "200 204",
		"allow-origin: https://foobar.com:12345 | *; allow-methods: PUT; allow-credentials:"},
	{"request of any origin with a port", "/cors-wildcard-origin", "PUT https://foobar.com:12345", "200",
		"allow-origin: https://foobar.com:12345 | *"},
	{"request of any origin", "/cors-wildcard-origin", "PUT https://foobar.com", "200 204",
		"allow-origin: https://foobar.com | *; allow-credentials:"},
	{"preflight with credentials of any method and header", "/cors-wildcard-methods-headers",
		"OPTIONS https://other.foo.com PUT x-header-1,x-header-2", "200 204",
		"allow-origin: https://other.foo.com; " + echo},
	{"preflight without credentials of any method and header", "/cors-wildcard-methods-headers-unauth",
		"OPTIONS https://other.foo.com PUT x-header-1,x-header-2", "200 204",
		"allow-origin: https://other.foo.com | *; allow-methods: PUT | *; " +
			"allow-headers: x-header-1,x-header-2 | x-header-2,x-header-1 | *; allow-credentials:"},
	{"request with credentials", "/cors-wildcard-methods-headers", "GET https://other.foo.com", "200",
		"allow-origin: https://other.foo.com; allow-credentials: true"},
	{"request without credentials", "/cors-wildcard-methods-headers-unauth", "GET https://other.foo.com", "200",
		"allow-origin: https://other.foo.com; allow-credentials:"},
}

func (c conformanceCase) hold(t *testing.T, gateway *connection) {
	words := append(strings.Fields(c.request), "", "", "")
	var headers []browser.Header
	for i, name := range []string{"origin", "access-control-request-method", "access-control-request-headers"} {
		if words[i+1] != "" {
			headers = append(headers, browser.Header{Name: name, Value: words[i+1]})
		}
	}
	got := gateway.ask(words[0], "gateway.example", c.path, headers)
	if c.status != "" && !slices.Contains(strings.Fields(c.status), fmt.Sprint(got.Status)) {
		t.Errorf("the status is %d, want one of %s", got.Status, c.status)
	}
	for want := range strings.SplitSeq(c.want, "; ") {
		name, values, _ := strings.Cut(want, ":")
		have := strings.ReplaceAll(value(got, "access-control-"+name), " ", "")
		if !slices.Contains(strings.Split(strings.ReplaceAll(values, " ", ""), "|"), have) {
			t.Errorf("%s is %q, want %s", name, have, values)
		}
	}
}
