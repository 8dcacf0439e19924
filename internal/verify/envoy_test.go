package verify

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"corsfilter/internal/envoy"
	"corsfilter/internal/envoytest"
	"corsfilter/internal/explain"
)

// native is a policy of Envoy's own filter for a virtual host.
const native = `{typed_per_filter_config: {envoy.filters.http.cors: {
	"@type": type.googleapis.com/envoy.extensions.filters.http.cors.v3.CorsPolicy,
	allow_origin_string_match: [{exact: "https://shop.example.com"}], allow_methods: "PUT,DELETE",
	allow_headers: content-type, allow_credentials: true, max_age: "600"}}}`

// TestEnvoyIsVerified asks a real Envoy: with the module, with another policy, with
// Envoy's own filter, with a redirect and with authentication in front of the module.
func TestEnvoyIsVerified(t *testing.T) {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		w.Header().Set("Vary", "Accept-Encoding")
	}))
	defer upstream.Close()
	const own = `[{name: envoy.filters.http.cors, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.cors.v3.Cors}}]`
	const login = `[{name: basic, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.basic_auth.v3.BasicAuth,
		users: {inline_string: "user:{SHA}hashhashhashhashhashhashhas="}}}]`
	const toHTTPS = `[{match: {prefix: /}, redirect: {https_redirect: true}}]`
	server := envoytest.Start(t, envoytest.Bootstrap{Upstream: upstream.Listener.Addr().String(), Listeners: []envoytest.Listener{
		{Name: "module", Policy: policy},
		{Name: "rules", Policy: byHost},
		{Name: "another", Policy: strings.Replace(policy, "shop.", "other.", 1)},
		{Name: "added", Policy: policy, RouteConfig: `{response_headers_to_add: [{header: {key: access-control-allow-origin, value: "*"}}]}`},
		{Name: "native", Front: own, VirtualHost: native},
		{Name: "none"},
		{Name: "login", Front: login, Policy: policy},
		{Name: "escaped", Policy: policy, Manager: `{path_with_escaped_slashes_action: UNESCAPE_AND_REDIRECT}`},
		{Name: "redirect", Routes: toHTTPS},
	}}, envoy.Options{})
	ask := func(listener, path, policy string) string {
		c, err := NewClient("http://"+server.Address(listener)+path, Options{Timeout: 5e9, Rate: 1e6, Max: 200})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if policy == "" {
			return codes(c.Probe(t.Context(), shop))
		}
		return codes(run(t, c, policy))
	}
	const routes = `{name: main, virtual_hosts: [{name: all, domains: ["*"], routes: [{match: {prefix: /}, route: {cluster: upstream}}], `
	converted, err := explain.Configuration("routes.yaml", []byte(routes+strings.TrimPrefix(native, "{")+"]}"), "")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ listener, path, policy, want string }{
		"the module":                       {"module", "", policy, ""},
		"the module, with rules":           {"rules", "", byHost, ""},
		"the module, and a header added":   {"added", "", policy, ""},
		"another policy":                   {"another", "", policy, "error another-policy"},
		"Envoy's filter":                   {"native", "", string(converted.JSON), "error another-policy, error vary-missing"},
		"no filter":                        {"none", "", policy, "error bypassed"},
		"authentication in front":          {"login", "", policy, "error asked-for-credentials, error bypassed"},
		"a redirect in front":              {"escaped", "/a%2Fb", policy, "error bypassed, error redirected"},
		"a redirect of all":                {"redirect", "", policy, "error bypassed, error redirected"},
		"the module, without a policy":     {"module", "", "", ""},
		"Envoy's filter, without a policy": {"native", "", "", "error vary-missing"},
		"a redirect, without a policy":     {"redirect", "", "", "error redirected"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := ask(c.listener, c.path, c.policy); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}
