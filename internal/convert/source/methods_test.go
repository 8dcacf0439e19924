package source

import (
	"strings"
	"testing"

	"corsfilter/internal/convert"
)

// httpRouteOf has rules "matches => policy"; a policy "!a" has no filter.
func httpRouteOf(rules ...string) string {
	text := "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: r, namespace: s}\nspec:\n  parentRefs: " +
		"[{name: g}]\n  rules:\n"
	for _, r := range rules {
		matches, policy, _ := strings.Cut(r, " => ")
		text += "  - matches: [" + matches + "]\n"
		if policy != "" {
			text += "    filters: [{type: CORS, cors: {allowOrigins: [\"https://" + policy + ".example\"]}}]\n"
		}
	}
	return text
}

// virtualServiceOf has routes "match => policy".
func virtualServiceOf(routes ...string) string {
	text := "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: v, namespace: s}\nspec:\n  hosts: [x.org]\n  " +
		"gateways: [g]\n  http:\n"
	for _, r := range routes {
		match, policy, _ := strings.Cut(r, " => ")
		text += "  - route: [{destination: {host: d}}]\n"
		if match != "" {
			text += "    match: [" + match + "]\n"
		}
		if policy != "" {
			text += "    corsPolicy: {allowOrigins: [{exact: \"https://" + policy + ".example\"}]}\n"
		}
	}
	return text
}

// TestMethodsDecideTheSame: a browser's preflight and its request go the same way.
func TestMethodsDecideTheSame(t *testing.T) {
	const (
		get     = `{path: {value: /v}, method: GET}`
		post    = `{path: {value: /v}, method: POST}`
		options = `{path: {value: /v}, method: OPTIONS}`
		class   = "---\napiVersion: gateway.networking.k8s.io/v1\nkind: GatewayClass\nmetadata: {name: eg}\nspec: {controllerName: " +
			"gateway.envoyproxy.io/gatewayclass-controller}\n"
	)
	method := func(how string) string { return `prefix: /v/, headers: [{name: ":method", ` + how + `}]` }
	envoy := func(routes ...string) string {
		text := "            - name: v\n              domains: [\"*\"]\n              routes:\n"
		for _, r := range routes {
			text += "              - {match: {" + r + "}, route: {cluster: x}, " + envoyCors(origin("a")) + "}\n"
		}
		return envoyFile(text)
	}
	for _, d := range []decision{
		{name: "HTTPRoute: GET and OPTIONS in one rule", file: httpRouteOf(get + ", " + options + " => a"),
			want: map[string]string{"x /v/w": "a", "x /": ""}},
		{name: "HTTPRoute: GET and OPTIONS in two rules", file: httpRouteOf(get+" => a", options+" => a"), want: map[string]string{"x /v": "a"}},
		{name: "HTTPRoute: GET alone", file: httpRouteOf(get + " => a"), want: map[string]string{"x /v": "a"}},
		{name: "Envoy Gateway: GET and POST, a rule for each", file: httpRouteOf(get+" => a", post+" => a") + class,
			want: map[string]string{"x /v": "a"}},
		{name: "HTTPRoute: what another rule has for the other methods is the same", file: httpRouteOf(get+" => a", "{path: {value: /v}} => a"),
			want: map[string]string{"x /v": "a"}},
		{name: "refused: HTTPRoute, another policy for another method", file: httpRouteOf(get+" => a", post+" => b"),
			refused: "would get the policy of HTTPRoute s/r rules[1]"},
		{name: "refused: HTTPRoute, no policy for another method", file: httpRouteOf(get+" => a", post), refused: "asks for methods"},
		{name: "refused: HTTPRoute, a filter on a header beside the method",
			file: httpRouteOf(`{method: GET, headers: [{name: x-v, value: "1"}]} => a`), refused: `the header "x-v"`},
		{name: "Istio: a regex with OPTIONS", file: virtualServiceOf("{uri: {prefix: /v/}, method: {regex: GET|POST|OPTIONS}} => a"),
			want: map[string]string{"x.org /v/w": "a", "x.org /": ""}},
		{name: "Istio: each by itself", file: virtualServiceOf("{method: {exact: GET}}, {method: {exact: OPTIONS}} => a"),
			want: map[string]string{"x.org /v": "a"}},
		{name: "refused: Istio, without OPTIONS", file: virtualServiceOf("{method: {regex: GET|POST}} => a"),
			refused: "methods without OPTIONS"},
		{name: "refused: Istio, a regex that is not a list", file: virtualServiceOf("{method: {regex: '[A-Z]+'}} => a"),
			refused: "asks for the method"},
		{name: "refused: Istio, the rest without a policy", file: virtualServiceOf("{method: {regex: GET|OPTIONS}} => a", ""),
			refused: "asks for methods"},
		{name: "refused: Istio, a method twice", file: virtualServiceOf("{method: {exact: GET, regex: OPTIONS}} => a"),
			refused: "asks for the method"},
		{name: "Envoy: safe_regex", file: envoy(method(`string_match: {safe_regex: {regex: "^(GET|OPTIONS)$"}}`)),
			want: map[string]string{"x /v/w": "a", "x /": ""}},
		{name: "Envoy: exact", file: envoy(method("exact_match: GET"), method("string_match: {exact: OPTIONS}")),
			want: map[string]string{"x /v/w": "a"}},
		{name: "refused: Envoy, all others", file: envoy(method("exact_match: OPTIONS, invert_match: true")), refused: "asks for the method"},
		{name: "Traefik: alternatives", file: traefikFileOf("Path(`/v`) && (Method(`get`) || Method(`OPTIONS`)) => a"),
			want: map[string]string{"x /v": "a", "x /": ""}},
		{name: "Traefik: version 2", file: traefikFileOf("Path(`/v`) && Method(`GET`, `OPTIONS`) => a"), want: map[string]string{"x /v": "a"}},
		{name: "Traefik: two at once are none", file: traefikFileOf("Path(`/v`) && Method(`GET`) && Method(`OPTIONS`) => a", "Path(`/w`) => b"),
			want: map[string]string{"x /v": "", "x /w": "b"}},
		{name: "refused: Traefik, all but one", file: traefikFileOf("Path(`/v`) && !Method(`DELETE`) => a"), refused: "everything else"},
	} {
		d.run(t)
	}
}

// TestMethodsThatAreListed: what a rule takes beyond the methods is said, and so is what a
// gateway may leave out.
func TestMethodsThatAreListed(t *testing.T) {
	for _, c := range []struct{ name, file, want string }{
		{"an answer of the proxy itself", virtualServiceOf("{method: {regex: GET|OPTIONS}} => a"), "such as 404, also carries CORS headers"},
		{"what a later route with the same policy changes", "_format_version: \"3.0\"\nplugins: [{name: cors}]\nservices:\n" +
			"- {name: a, url: http://up, routes: [{name: r, methods: [OPTIONS], paths: [/]}]}\n", "Kong's own 404"},
		{"a preflight's route that a gateway may make", httpRouteOf("{method: GET} => a"), "for a route by the method GET as well"},
		{"none where it is written", httpRouteOf("{method: GET}, {method: OPTIONS} => a"), ""},
	} {
		result, problems := Convert([]convert.File{{Name: "f", Data: []byte(c.file)}}, convert.Options{})
		if problems != nil {
			t.Fatalf("%s: %v", c.name, problems)
		}
		changes := shown(result, nil)
		if c.want == "" && strings.Contains(changes, "a route by the method") || !strings.Contains(changes, c.want) {
			t.Errorf("%s:\n%s", c.name, changes)
		}
	}
}
