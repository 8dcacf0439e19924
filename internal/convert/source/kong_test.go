package source

import (
	"slices"
	"strings"
	"testing"

	"corsfilter/internal/convert"
)

// kongFileOf is a declarative configuration of routes: "name: what it asks for",
// with the policy behind a slash; the plugin is the route's.
func kongFileOf(routes ...string) string {
	text := "_format_version: \"3.0\"\nservices:\n- name: s\n  url: http://s\n  routes:\n"
	for _, r := range routes {
		asks, policy, _ := strings.Cut(r, " => ")
		text += "  - {" + asks + kongCors(", ", policy) + "}\n"
	}
	return text
}

func kongCors(before, policy string) string {
	if policy == "" {
		return ""
	}
	return before + "plugins: [{name: cors, config: {origins: [\"https://" + policy + ".example\"]}}]"
}

func kongPluginOf(kind, name, policy string) string {
	return "apiVersion: configuration.konghq.com/v1\nkind: " + kind + "\nmetadata: {" + name +
		"}\nplugin: cors\nconfig: {origins: [\"https://" + policy + ".example\"]}\n"
}

func TestKongDecidesTheSame(t *testing.T) {
	a := kongPluginOf("KongPlugin", "name: a, namespace: s", "a")
	b := kongPluginOf("KongPlugin", "name: b, namespace: s", "b")
	c := kongPluginOf("KongClusterPlugin", `name: c, labels: {global: "true"}`, "c")
	use := func(name string) string { return `konghq.com/plugins: "` + name + `"` }
	service := "apiVersion: v1\nkind: Service\nmetadata: {name: t, namespace: s, annotations: {" + use("b") + "}}\n"
	for _, d := range []decision{
		{name: "more attributes first", file: kongFileOf("paths: [/x/long/] => a", "hosts: [x.org], paths: [/x/] => b", "hosts: [x.org] => c"),
			want: map[string]string{"x.org /x/long/": "b", "y.org /x/long/": "a", "x.org /y": "c", "y.org /y": ""}},
		{
			name: "a host comes before a wildcard, whatever the path",
			file: kongFileOf(`hosts: ["*.x.org"], paths: [/v/long/] => a`, "hosts: [y.x.org], paths: [/] => b"),
			want: map[string]string{"y.x.org /v/long/": "b", "z.x.org /v/long/": "a", "z.x.org /": ""},
		},
		{
			name: "a wildcard among the hosts counts for all",
			file: kongFileOf(`hosts: ["*.x.org", y.org], paths: [/] => a`, "hosts: [y.org, z.org], paths: [/] => b"),
			want: map[string]string{"y.org /": "b", "q.x.org /": "a"},
		},
		{name: "longer paths first", file: kongFileOf("paths: [/a/] => a", "paths: [/a/b/, /c/] => b", "paths: [/c/d/] => c"),
			want: map[string]string{"x /a/b/c": "b", "x /a/c": "a", "x /c/d/e": "c", "x /c/e": "b"}},
		{
			name: "regexes before prefixes, by their priority",
			file: kongFileOf(`paths: ["~/a/.*"], regex_priority: 1 => a`, `paths: ["~/a/b$"], regex_priority: 2 => b`, "paths: [/a/b/] => c"),
			want: map[string]string{"x /a/b": "b", "x /a/b/c": "a", "x /a/q": "a"},
		},
		{
			name: "a regex has no end unless it says so",
			file: kongFileOf(`paths: ["~/a/(b|c)/"] => a`),
			want: map[string]string{"x /a/b/": "a", "x /a/c/q": "a", "x /a/d/": ""},
		},
		{
			name: "before format 3 a path with other letters is a regex",
			file: strings.Replace(kongFileOf(`paths: ["/a/(b|c)$"] => a`), "3.0", "2.1", 1),
			want: map[string]string{"x /a/b": "a", "x /a/b/c": "", "x /a/d": ""},
		},
		{
			name: "methods with OPTIONS, and nothing else for the host",
			file: kongFileOf("hosts: [x.org], methods: [GET, OPTIONS] => a"),
			want: map[string]string{"x.org /": "a"},
		},
		{name: "route over service over everything", file: `_format_version: "3.0"
services:
- {name: s, routes: [{name: r, hosts: [r.org]` + kongCors(", ", "a") + `}, {name: q, hosts: [q.org]}]` + kongCors(", ", "b") + `}
- {name: t, routes: [{hosts: [t.org]}]}
` + kongCors("", "c"), want: map[string]string{"r.org /": "a", "q.org /": "b", "t.org /": "c", "other /": "c"}},
		{name: "plugins at the top name what they are for", file: `_format_version: "3.0"
services: [{name: s, id: "1"}]
routes: [{name: r, hosts: [r.org], service: s}, {name: q, hosts: [q.org], service: {id: "1"}}]
plugins: [{name: cors, route: r, config: {origins: ["https://a.example"]}}, {name: cors, service: {name: s},
  config: {origins: ["https://b.example"]}}, {name: cors, enabled: false}]
`, want: map[string]string{"r.org /": "a", "q.org /": "b", "other /": ""}},
		{
			name: "a stream is none of the browser's business",
			file: kongFileOf("protocols: [tcp], snis: [x.org]", "hosts: [x.org] => a"),
			want: map[string]string{"x.org /": "a"},
		},
		{name: "shared configurations", file: `_format_version: "3.0"
_plugin_configs: {one: {origins: ["https://a.example"]}}
services: [{name: s, routes: [{hosts: [x.org]}], plugins: [{name: cors, _config: one}]}]
`, want: map[string]string{"x.org /": "a"}},
		{
			name: "an Ingress, its Service, and the cluster",
			file: kubernetes(
				a, b, c, service, ingress("s/i", use("a"), "x.org Prefix /v t"), ingress("s/j", "", "x.org Prefix /w t", "x.org Prefix / u"),
			),
			want: map[string]string{"x.org /v": "a", "x.org /v/q": "a", "x.org /w/q": "b", "x.org /": "c", "x.org /vw": "c", "y.org /": "c"},
		},
		{
			name: "exact paths come first",
			file: kubernetes(
				a, b, ingress("s/i", use("a"), "x.org Exact /v/w t", "any Exact /any t"), ingress("s/j", use("b"), "x.org Prefix /v t"),
			),
			want: map[string]string{"x.org /v/w": "a", "x.org /v/w/": "b", "x.org /v": "b", "y.org /any": "a", "y.org /v": ""},
		},
		{
			name: "host aliases, and a regex",
			file: kubernetes(
				a,
				ingress(
					"s/i", use("a")+`, konghq.com/host-aliases: "y.org,z.org", konghq.com/regex-prefix: "/@"`,
					"x.org ImplementationSpecific /@/(a|b)/ t",
				),
			),
			want: map[string]string{"x.org /a/": "a", "z.org /b/c": "a", "y.org /c": ""},
		},
		{
			name: "an Ingress of another class",
			file: kubernetes(
				a, ingress("s/i", use("a"), "x.org Prefix / t"), ingress("s/j", "kubernetes.io/ingress.class: nginx", "x.org Prefix /v t"),
			),
			want: map[string]string{"x.org /v": "a"},
		},
		{
			name: "a plugin of the cluster that is not for everything",
			file: kubernetes(
				strings.Replace(c, `global: "true"`, `team: "x"`, 1), ingress("s/i", use("c"), "x.org Prefix / t"),
				ingress("s/j", "", "y.org Prefix / t"),
			),
			want: map[string]string{"x.org /": "c", "y.org /": ""},
		},
		{
			name: "a default backend",
			file: kubernetes(
				a, ingress("s/j", "", "x.org Prefix / t"),
				"apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: i, namespace: s, annotations: {"+use("a")+
					"}}\nspec: {defaultBackend: {service: {name: t}}}\n",
			),
			want: map[string]string{"x.org /": "", "y.org /q": "a"},
		},
		{
			name: "an HTTPRoute",
			file: kubernetes(
				a, b, c, service,
				"apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\n"+
					"metadata: {name: r, namespace: s, annotations: {"+use("a")+"}}\nspec: {hostnames: [x.org], rules: [{backendRefs: [{name: t}]}]}\n",
				"apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: q, namespace: s}\n"+
					"spec: {hostnames: [y.org], rules: [{matches: [{path: {value: /v}}], backendRefs: [{name: t}]}, {backendRefs: [{name: u}]}]}\n",
			),
			want: map[string]string{"x.org /": "a", "y.org /v/w": "b", "y.org /": "c"},
		},
		{
			name:    "refused: the same priority",
			file:    kongFileOf("hosts: [x.org], paths: [/v/] => a", "hosts: [x.org], paths: [/v/] => b"),
			refused: "source.yaml:6:5: service s routes[0]: asks for its place before service s routes[1]",
		},
		{
			name:    "refused: methods without OPTIONS",
			file:    kongFileOf("hosts: [x.org], methods: [GET] => a"),
			refused: "methods without OPTIONS",
		},
		{
			name:    "refused: methods, and another route",
			file:    kongFileOf("hosts: [x.org], methods: [GET, OPTIONS] => a", "hosts: [x.org] => b"),
			refused: "asks for methods",
		},
		{name: "refused: a header", file: kongFileOf("hosts: [x.org], headers: {x-v: [a]} => a"), refused: `the header "x-v"`},
		{name: "refused: a name in TLS", file: kongFileOf("hosts: [x.org], snis: [x.org] => a"), refused: "the name in the TLS handshake"},
		{name: "refused: an address", file: kongFileOf("hosts: [x.org], sources: [{ip: 10.0.0.0/8}] => a"), refused: "asks for addresses"},
		{name: "refused: an expression", file: kongFileOf("expression: 'http.path == \"/x\"' => a"), refused: "asks for an expression"},
		{name: "refused: a prefix of hosts", file: kongFileOf(`hosts: ["x.*"] => a`), refused: "the host x.*"},
		{name: "refused: a port", file: kongFileOf(`hosts: ["x.org:8443"] => a`), refused: "the port 8443"},
		{
			name: "a prefix by letters",
			file: kongFileOf("paths: [/v] => a", "paths: [/] => b"),
			want: map[string]string{"x /v": "a", "x /vx": "a", "x /": "b"},
		},
		{
			name:    "refused: a consumer",
			file:    "_format_version: \"3.0\"\nplugins: [{name: cors, consumer: x, config: {origins: [\"*\"]}}]\n",
			refused: "source.yaml:2:34: plugins[0]: the plugin holds for some consumers",
		},
		{
			name:    "refused: two plugins",
			file:    strings.Replace(kongFileOf("hosts: [x.org] => a"), "plugins: [", "plugins: [{name: cors}, ", 1),
			refused: "a second cors plugin",
		},
		{
			name:    "refused: an unknown service",
			file:    "_format_version: \"3.0\"\nroutes: [{hosts: [x.org], service: {name: t}" + kongCors(", ", "a") + "}]\n",
			refused: `the service "t" is not in the file`,
		},
		{name: "refused: nothing uses it", file: kubernetes(a), refused: "source.yaml:2:1: KongPlugin s/a: nothing in the files uses the plugin"},
		{
			name:    "refused: a Service alone",
			file:    kubernetes(b, service),
			refused: "source.yaml:10:69: Service s/t: no Ingress or HTTPRoute in the files leads to the Service",
		},
		{
			name:    "refused: a plugin that is missing",
			file:    kubernetes(a, ingress("s/i", use("a,other"), "x.org Prefix / t")),
			refused: `the plugin "other" is not in the files`,
		},
		{
			name:    "refused: a Secret",
			file:    kubernetes(strings.Replace(a, "config: {", "configFrom: {", 1), ingress("s/i", use("a"), "x.org Prefix / t")),
			refused: "stands in a Secret",
		},
		{
			name: "refused: Services that differ",
			file: kubernetes(
				b, service,
				"apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: q, namespace: s}\n"+
					"spec: {hostnames: [y.org], rules: [{backendRefs: [{name: u}, {name: t}]}]}\n",
			),
			refused: "its Services have different cors plugins",
		},
	} {
		d.run(t)
	}
}

// TestKongOrigins: origins as Kong has them, and the policy's.
func TestKongOrigins(t *testing.T) {
	for _, c := range []struct{ origins, want string }{
		{`[]`, `["*"]`},
		{`["*"]`, `["*"]`},
		{`["https://a.example", "*"]`, `["*"]`},
		{`["https://a.example"]`, `["https://a.example"]`},
		{`["https://a.example:443/x", "http://b.example:80"]`, `["https://a.example","http://b.example"]`},
		{`["https://A.example", "http://b.example:8080"]`, `["https://a.example","http://b.example:8080"]`},
		{`['https://a\.example']`, `["https://a.example"]`},
		{`['^https://a\.example$']`, `["https://a.example"]`},
		{`['https://.*\.a\.example']`, `[{"regex":"https://.*\\.a\\.example"}]`},
		{`['https://a\.example|https://b\.example']`, `[{"regex":"(?:https://a\\.example|https://b\\.example$).*"}]`},
		{`['(https://a|https://b)\.example']`, `[{"regex":"(https://a|https://b)\\.example"}]`},
		{`['a\.example']`, `[{"regex":"[a-z][a-z0-9+.-]*://(?:a\\.example)(?::[0-9]+)?"}]`},
	} {
		file := kongFileOf("hosts: [x.org], plugins: [{name: cors, config: {origins: " + c.origins + "}}]")
		result, problems := Convert([]convert.File{{Name: "kong.yaml", Data: []byte(file)}}, convert.Options{})
		if problems != nil {
			t.Errorf("%s: %v", c.origins, problems)
			continue
		}
		if got, _, _ := strings.Cut(policyText(result, 0), `,"allow_methods"`); got != `{"allow_origins":`+c.want {
			t.Errorf("%s becomes %s, want %s", c.origins, got, c.want)
		}
	}
	for origins, refused := range map[string]string{
		`["https://a.example/"]`:                     `an origin has no trailing slash`,
		`[a.example, "https://a.example"]`:           `an origin starts with a scheme`,
		`["*.a.example"]`:                            `missing argument to repetition operator`,
		`['(?<=x)https://a']`:                        `write a regex in RE2 syntax`,
		`[null]`:                                     `allow_origins: "null"`,
		`"https://a.example"`:                        `origins is not a list`,
		`['a\.example'], credentials: true`:          `insecure-origin`,
		`['https://a|https://b'], credentials: true`: `any-origin-with-credentials`,
		`["*"], credentials: true`:                   `any-origin-with-credentials`,
		`["*"], max_age: soon`:                       `max_age "soon"`,
		`["*"], methods: [get it]`:                   `not a method`,
		`["*"], origin: []`:                          `not a setting of Kong's cors plugin`,
		`["*"], credentials: 1`:                      `credentials is not a boolean`,
		`["*"], preflight_continue: true`:            `preflight_continue leaves preflights to upstream`,
	} {
		file := kongFileOf("hosts: [x.org], plugins: [{name: cors, config: {origins: " + origins + "}}]")
		if result, problems := Convert([]convert.File{{Name: "kong.yaml", Data: []byte(file)}}, convert.Options{}); result != nil ||
			!strings.Contains(problems.Error(), refused) || problems[0].Line != 6 || problems[0].Remedy == "" {
			t.Errorf("%s: %v, want %s", origins, problems, refused)
		}
	}
}

// TestKongPolicy: the settings beside the origins, and what changes.
func TestKongPolicy(t *testing.T) {
	for _, c := range []struct{ config, want, kinds string }{
		{
			`{}`,
			`{"allow_origins":["*"],"allow_methods":["GET","HEAD","PUT","PATCH","POST","DELETE","OPTIONS"],"allow_headers":["*","authorization"]}`,
			"preflight-status upstream-headers",
		},
		{
			`{origins: ["https://a.example"], credentials: true, methods: [PUT, CONNECT], max_age: 5, ` +
				`private_network: true, exposed_headers: ["*", x]}`,
			`{"allow_origins":["https://a.example"],"allow_methods":["PUT"],"allow_headers":["*"],` +
				`"expose_headers":["*","x"],"max_age":5,"allow_credentials":true,"allow_private_network_access":true}`,
			"denied-preflight forbidden-method preflight-status upstream-headers",
		},
		{`{origins: ["https://a.example"], credentials: true, methods: [], headers: ["*", x], allow_origin_absent: false}`,
			`{"allow_origins":["https://a.example"],"allow_headers":["*","x"],"allow_credentials":true}`,
			"denied-preflight literal-star preflight-status upstream-headers vary"},
		{
			`{origins: ["https://a.example"], headers: ["*"], methods: [PUT]}`,
			`{"allow_origins":["https://a.example"],"allow_methods":["PUT"],"allow_headers":["*"]}`,
			"denied-preflight preflight-status upstream-headers",
		},
	} {
		result, problems := Convert(
			[]convert.File{{Name: "kong.yaml", Data: []byte(kongFileOf("paths: [/], plugins: [{name: cors, config: " + c.config + "}]"))}},
			convert.Options{},
		)
		if problems != nil {
			t.Errorf("%s: %v", c.config, problems)
			continue
		}
		if got := policyText(result, 0); got != c.want {
			t.Errorf("%s becomes\n%s, want\n%s", c.config, got, c.want)
		}
		var kinds []string
		for _, change := range result.Rules[0].Changes {
			kinds = append(kinds, string(change.Kind))
		}
		slices.Sort(kinds)
		if got := strings.Join(kinds, " "); got != c.kinds {
			t.Errorf("%s changes %s, want %s", c.config, got, c.kinds)
		}
	}
	partial, problems := Convert(
		[]convert.File{
			{
				Name: "kong.yaml",
				Data: []byte(
					kongFileOf("hosts: [x.org], plugins: [{name: cors, config: {origins: [\"https://a.example\"], preflight_continue: true}}]"),
				),
			},
		},
		convert.Options{Partial: true},
	)
	if problems != nil {
		t.Fatal(problems)
	}
	if r := partial.Rules[0]; policyText(partial, 0) != `{"allow_origins":["https://a.example"]}` || len(r.Comments) != 1 ||
		!strings.Contains(r.Comments[0].String(), "kong.yaml:6: ") {
		t.Errorf("%s %v", partial.JSON, r.Comments)
	}
}
