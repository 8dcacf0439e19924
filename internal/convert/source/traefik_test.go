package source

import (
	"strings"
	"testing"

	"corsfilter/internal/convert"
)

// traefikFileOf is a dynamic configuration: "rule => policy", or "key: value, rule =>
// policy" with the rule in single quotes.
func traefikFileOf(routers ...string) string {
	text := "http:\n  middlewares:\n"
	for _, name := range []string{"a", "b", "c"} {
		if strings.Contains(strings.Join(routers, "\n")+"\n", "=> "+name+"\n") {
			text += "    " + name + ": {headers: {accessControlAllowOriginList: [\"https://" + name + ".example\"]}}\n"
		}
	}
	text += "  routers:\n"
	for i, r := range routers {
		rule, policy, _ := strings.Cut(r, " => ")
		if !strings.Contains(rule, "rule: ") {
			rule = "rule: '" + rule + "'"
		}
		if policy != "" {
			policy = ", middlewares: [" + policy + "]"
		}
		text += "    r" + string(rune('0'+i)) + ": {" + rule + policy + "}\n"
	}
	return text
}

func traefikMiddlewareOf(name string) string {
	space, name, _ := strings.Cut(name, "/")
	return "apiVersion: traefik.io/v1alpha1\nkind: Middleware\nmetadata: {name: " + name + ", namespace: " + space +
		"}\nspec: {headers: {accessControlAllowOriginList: [\"https://" + name + ".example\"]}}\n"
}

// ingressRoute has routes "match => middlewares".
func ingressRoute(group, spec string, routes ...string) string {
	text := "apiVersion: " + group + "/v1alpha1\nkind: IngressRoute\nmetadata: {name: i, namespace: s}\nspec:\n  routes:\n"
	for _, r := range routes {
		match, middlewares, _ := strings.Cut(r, " => ")
		text += "  - {kind: Rule, match: '" + match + "', middlewares: [" + middlewares + "]}\n"
	}
	return text + spec
}

// httpRouteWith has rules "matches => middleware".
func httpRouteWith(rules ...string) string {
	text := httpRouteOf(rules...)
	for _, name := range []string{"a", "b", "c", "z"} {
		text = strings.Replace(text, `{type: CORS, cors: {allowOrigins: ["https://`+name+`.example"]}}`,
			"{type: ExtensionRef, extensionRef: {group: traefik.io, kind: Middleware, name: "+name+"}}", 1)
	}
	return text
}

func TestTraefikDecidesTheSame(t *testing.T) {
	a, b := traefikMiddlewareOf("s/a"), traefikMiddlewareOf("s/b")
	for _, d := range []decision{
		{
			name: "the longer rule first",
			file: traefikFileOf("Host(`x.org`) => a", "Host(`x.org`) && PathPrefix(`/v/`) => b", "PathPrefix(`/`) => c"),
			want: map[string]string{"x.org /v/w": "b", "x.org /w": "c", "y.org /v/": "c"},
		},
		{
			name: "a priority comes before the length",
			file: traefikFileOf("rule: 'Host(`x.org`)', priority: 100 => a", "Host(`x.org`) && PathPrefix(`/v/`) => b"),
			want: map[string]string{"x.org /v/w": "a"},
		},
		{
			name: "a router without CORS keeps others away",
			file: traefikFileOf("PathPrefix(`/`) => a", "Host(`x.org`) && PathPrefix(`/v/`)"),
			want: map[string]string{"x.org /v/w": "", "x.org /w": "a"},
		},
		{name: "alternatives and parentheses", file: traefikFileOf("(Host(`x.org`) || Host(`Y.org`)) && (Path(`/v`) || Path(`/w`)) => a"),
			want: map[string]string{"x.org /v": "a", "y.org /w": "a", "y.org /": "", "z.org /v": ""}},
		{
			name: "two hosts at once are one, or none",
			file: traefikFileOf(
				"Host(`*.x.org`) && Host(`y.x.org`) => a", "Host(`x.org`) && Host(`y.org`) => b", "Host(`*.x.org`) && Host(`q.y.x.org`) => c",
			),
			want: map[string]string{"y.x.org /": "a", "z.x.org /": "", "y.org /": "", "q.y.x.org /": ""},
		},
		{
			name: "two paths at once",
			file: traefikFileOf("PathPrefix(`/v/`) && Path(`/v/w`) => a"),
			want: map[string]string{"x /v/w": "a", "x /v/": ""},
		},
		{
			name: "a wildcard, and the names below",
			file: traefikFileOf("Host(`*.x.org`) => a", "Host(`y.org`) => b"),
			want: map[string]string{"q.x.org /": "a", "x.org /": "", "y.org /": "b"},
		},
		{name: "every host", file: traefikFileOf("Host(`*`) => a"), want: map[string]string{"x.org /": "a"}},
		{
			name: "regexes in disguise",
			file: traefikFileOf(
				"HostRegexp(`^[a-z0-9-]+\\.x\\.org$`) => a", "HostRegexp(`^(y|z)\\.org$`) && PathRegexp(`^/(v|w)/`) => b",
				"HostRegexp(`^.+\\.u\\.org$`) => c",
			),
			want: map[string]string{"q.x.org /": "a", "y.org /v/q": "b", "z.org /w/": "b", "z.org /q": "", "p.q.u.org /": "c"},
		},
		{
			name: "version 2 by its looks",
			file: traefikFileOf(
				"Host(`x.org`, `y.org`) && PathPrefix(`/v/`, `/w/`) => a", "HostRegexp(`{name:[a-z0-9-]+}.z.org`) && Path(`/{id:a|b}`) => b",
			),
			want: map[string]string{"y.org /w/": "a", "x.org /v/q": "a", "q.z.org /a": "b", "q.z.org /c": ""},
		},
		{
			name: "letters' case of matchers",
			file: traefikFileOf("HOST(`x.org`) && path(`/v`) => a"),
			want: map[string]string{"x.org /v": "a", "x.org /": ""},
		},
		{
			name: "a condition that changes nothing",
			file: traefikFileOf("Host(`x.org`) && Method(`OPTIONS`) => a", "Host(`x.org`) => a"),
			want: map[string]string{"x.org /": "a"},
		},
		{
			name: "what is not asked twice",
			file: traefikFileOf("Host(`x.org`) && !PathPrefix(`/v/`) => a", "Host(`x.org`) => a"),
			want: map[string]string{"x.org /v/": "a", "x.org /": "a"},
		},
		{
			name: "everything but",
			file: traefikFileOf("!(Host(`x.org`) || Path(`/v`)) => a"),
			want: map[string]string{"x.org /": "", "y.org /v": "", "y.org /w": "a", "y.org /v/w": "a"},
		},
		{
			name: "what is left out goes to whatever comes next",
			file: traefikFileOf(
				"Host(`x.org`) && !PathPrefix(`/v/`) && !Path(`/w`) => a", "PathPrefix(`/v/`) && !Host(`y.org`) => b", "PathPrefix(`/v/q/`) => c",
				"rule: 'Path(`/w`)', priority: 1 => c",
			),
			want: map[string]string{
				"x.org /":     "a",
				"x.org /v/r":  "b",
				"x.org /v/q/": "b",
				"x.org /w":    "c",
				"y.org /v/q/": "c",
				"y.org /v/r":  "",
				"z.org /v/q/": "b",
				"z.org /w":    "c",
				"z.org /":     "",
			},
		},
		{
			name: "what is left out of nothing",
			file: traefikFileOf(
				"Host(`x.org`) && !Host(`y.org`) && !(Host(`a.org`) && Host(`b.org`)) => a", "rule: 'PathPrefix(`/`)', priority: 1 => b",
			),
			want: map[string]string{"x.org /": "a", "y.org /": "b"},
		},
		{
			name: "entry points that agree",
			file: traefikFileOf("rule: 'Host(`x.org`)', entryPoints: [web] => a", "rule: 'Host(`x.org`)', entryPoints: [websecure], tls: {} => a"),
			want: map[string]string{"x.org /": "a"},
		},
		{
			name: "entry points for other hosts",
			file: traefikFileOf("rule: 'Host(`x.org`)', entryPoints: [web] => a", "rule: 'Host(`y.org`)', entryPoints: [inner] => b"),
			want: map[string]string{"x.org /": "a", "y.org /": "b"},
		},
		{
			name: "a middleware of a service",
			file: strings.Replace(
				traefikFileOf("rule: 'Host(`x.org`)', service: s", "Host(`y.org`) => a")+"  services: {s: {middlewares: [a]}}\n", "\n  routers",
				"\n  routers", 1,
			),
			want: map[string]string{"x.org /": "a"},
		},
		{name: "scalars for lists", file: "http:\n  middlewares:\n    a: {headers: {accessControlAllowOriginList: https://a.example}}\n   " +
			" c: {chain: {middlewares: a}}\n  routers:\n" +
			"    r: {rule: 'Host(`x.org`)', entryPoints: \"web, websecure\", middlewares: c, priority: \"100\"}\n    s: {rule: " +
			"'PathPrefix(`/`) && Host(`x.org`)', entryPoints: web}\n" +
			"    t: {rule: 'PathPrefix(`/`) && Host(`x.org`)', entryPoints: websecure, tls: \"false\"}\n", want: map[string]string{"x.org /": "a"}},
		{
			name: "an IngressRoute",
			file: kubernetes(
				a, b,
				ingressRoute("traefik.io", "", "Host(`x.org`) && PathPrefix(`/v/`) => {name: a}", "Host(`x.org`) => {name: s-b@kubernetescrd}"),
			),
			want: map[string]string{"x.org /v/": "a", "x.org /": "b"},
		},
		{
			name: "another namespace, and the old group",
			file: kubernetes(
				strings.Replace(traefikMiddlewareOf("t/a"), "traefik.io", "traefik.containo.us", 1),
				ingressRoute("traefik.containo.us", "", "Host(`x.org`, `y.org`) => {name: a, namespace: t}"),
			),
			want: map[string]string{"x.org /": "a", "y.org /": "a"},
		},
		{
			name: "a chain in a chain",
			file: kubernetes(
				a,
				"apiVersion: traefik.io/v1alpha1\nkind: Middleware\nmetadata: {name: c, namespace: s}\n"+
					"spec: {chain: {middlewares: [{name: d}, {name: c}]}}\n",
				"apiVersion: traefik.io/v1alpha1\nkind: Middleware\nmetadata: {name: d, namespace: s}\n"+
					"spec: {chain: {middlewares: [{name: a, namespace: s}]}}\n",
				ingressRoute("traefik.io", "", "Host(`x.org`) => {name: c}"),
			),
			want: map[string]string{"x.org /": "a"},
		},
		{
			name: "an Ingress",
			file: kubernetes(
				a, b,
				ingress(
					"s/i", `traefik.ingress.kubernetes.io/router.middlewares: "s-a@kubernetescrd"`, "x.org Prefix /v/ t", "x.org Exact /w t",
					`"*.y.org" Prefix / t`,
				),
				ingress(
					"s/j", `traefik.ingress.kubernetes.io/router.middlewares: s-b@kubernetescrd, traefik.ingress.kubernetes.io/router.priority: "1"`,
					"x.org Prefix / t",
				),
			),
			want: map[string]string{"x.org /v/q": "a", "x.org /w": "a", "x.org /w/q": "b", "q.y.org /": "a"},
		},
		{
			name: "an Ingress of another class",
			file: kubernetes(
				a, ingress("s/i", `traefik.ingress.kubernetes.io/router.middlewares: "s-a@kubernetescrd"`, "x.org Prefix / t"),
				ingress("s/j", "kubernetes.io/ingress.class: nginx", "x.org Prefix /longer/path/ t"),
			),
			want: map[string]string{"x.org /longer/path/": "a"},
		},
		{
			name: "a path matcher",
			file: kubernetes(
				a,
				ingress(
					"s/i",
					`traefik.ingress.kubernetes.io/router.middlewares: s-a@kubernetescrd, traefik.ingress.kubernetes.io/router.pathmatcher: PathRegexp`,
					"x.org ImplementationSpecific ^/(v|w)$ t",
				),
			),
			want: map[string]string{"x.org /v": "a", "x.org /v/": ""},
		},
		{name: "an HTTPRoute", file: kubernetes(a, b, httpRouteWith("{path: {value: /v}} => a", "{path: {value: /w}} => b",
			"{path: {value: /}} => ")), want: map[string]string{"x /v/w": "a", "x /w": "b", "x /": ""}},
		{name: "an HTTPRoute, by a chain", file: kubernetes(a,
			"apiVersion: traefik.io/v1alpha1\nkind: Middleware\nmetadata: {name: c, namespace: s}\nspec: {chain: {middlewares: [{name: a}]}}\n",
			httpRouteWith("{path: {value: /v}} => c")), want: map[string]string{"x /v/w": "a", "x /": ""}},
		{name: "refused: an HTTPRoute's is missing", file: kubernetes(a, httpRouteWith("{path: {value: /v}} => a", "{path: {value: /w}} => z")),
			refused: `HTTPRoute s/r filters: the middleware "s-z@kubernetescrd" is not in the files`},
		{
			name: "refused: entry points of Ingresses",
			file: kubernetes(
				a, b,
				ingress(
					"s/i",
					`traefik.ingress.kubernetes.io/router.middlewares: s-a@kubernetescrd, traefik.ingress.kubernetes.io/router.entrypoints: "web,inner"`,
					"x.org Prefix / t",
				),
				ingress(
					"s/j",
					`traefik.ingress.kubernetes.io/router.middlewares: s-b@kubernetescrd, traefik.ingress.kubernetes.io/router.entrypoints: outer`,
					"x.org Prefix / t",
				),
			),
			refused: `-only "Traefik entry point outer"`,
		},
		{
			name:    "refused: the same length",
			file:    traefikFileOf("PathPrefix(`/v/`) => a", "PathPrefix(`/v/`) => b"),
			refused: "its place before router r1, of the same priority",
		},
		{
			name:    "refused: a wildcard of one label, and names below",
			file:    traefikFileOf("Host(`*.x.org`) && PathPrefix(`/`) => a", "Host(`p.q.x.org`) => b"),
			refused: "with one label for the star",
		},
		{
			name:    "refused: a wildcard of one label, and every host",
			file:    traefikFileOf("Host(`*.x.org`) && PathPrefix(`/`) => a", "PathPrefix(`/`) => b"),
			refused: "with one label for the star",
		},
		{
			name:    "refused: entry points that do not agree",
			file:    traefikFileOf("rule: 'Host(`x.org`)', entryPoints: [web] => a", "rule: 'Host(`x.org`)', entryPoints: [inner] => b"),
			refused: `-only "Traefik entry point inner"`,
		},
		{
			name:    "refused: one entry point, with TLS and without",
			file:    traefikFileOf("rule: 'Host(`x.org`)', entryPoints: [web] => a", "rule: 'Host(`x.org`)', entryPoints: [web], tls: {} => b"),
			refused: `-only "Traefik entry point web with TLS"`,
		},
		{
			name: "a prefix by letters",
			file: traefikFileOf("PathPrefix(`/v`) => a", "PathPrefix(`/`) => b"),
			want: map[string]string{"x /v": "a", "x /vx": "a", "x /": "b"},
		},
		{name: "refused: the method", file: traefikFileOf("Method(`GET`) => a"), refused: "methods without OPTIONS"},
		{name: "refused: a header", file: traefikFileOf("Header(`x-v`, `1`) => a"), refused: `the header "x-v"`},
		{name: "refused: a query", file: traefikFileOf("Query(`q`, `1`) => a"), refused: `the query parameter "q"`},
		{name: "refused: an address", file: traefikFileOf("ClientIP(`10.0.0.0/8`) => a"), refused: "the client's address"},
		{
			name:    "refused: everything but a regex",
			file:    traefikFileOf("!HostRegexp(`^a[0-9]+$`) => a"),
			refused: "!HostRegexp(`^a[0-9]+$`), everything else",
		},
		{name: "refused: everything but one label", file: traefikFileOf("!Host(`*.x.org`) => a"), refused: "everything else"},
		{
			name:    "refused: a regex of the host",
			file:    traefikFileOf("HostRegexp(`^a[0-9]+\\.x\\.org$`) => a"),
			refused: "the regex \"^a[0-9]+\\\\.x\\\\.org$\" of the host",
		},
		{
			name: "a regex without anchors",
			file: traefikFileOf("PathRegexp(`/v`) => a"),
			want: map[string]string{"x /v": "a", "x /w/vx": "a", "x /w": ""},
		},
		{name: "refused: no rule", file: traefikFileOf("Host(`x.org`) + 1 => a"), refused: "something other than matchers"},
		{name: "refused: no value", file: traefikFileOf("Host() => a"), refused: "Host has no value"},
		{
			name:    "refused: too many alternatives",
			file:    traefikFileOf(strings.Repeat("(Path(`/a`) || Path(`/b`)) && ", 12) + "Path(`/a`) => a"),
			refused: "more than 256 alternatives",
		},
		{name: "refused: deeper than deep", file: traefikFileOf(strings.Repeat("(", 15000) + "Path(`/a`) => a"),
			refused: "the rule cannot be parsed"},
		{name: "refused: nothing uses it", file: kubernetes(a), refused: "no router in the files uses the middleware"},
		{
			name:    "refused: it is missing",
			file:    kubernetes(a, ingressRoute("traefik.io", "", "Host(`x.org`) => {name: a}, {name: z}")),
			refused: `the middleware "s-z@kubernetescrd" is not in the files`,
		},
	} {
		d.run(t)
	}
}

// TestTraefikPolicy: a headers middleware, and the policy of it.
func TestTraefikPolicy(t *testing.T) {
	for _, c := range []struct{ headers, want, kinds string }{
		{`accessControlAllowOriginList: ["*"], addVaryHeader: true`, `{"allow_origins":["*"]}`, "preflight-status upstream-headers"},
		{
			`accessControlAllowOriginList: ["https://b.example", "https://a.example"], ` +
				`accessControlAllowOriginListRegex: ['^https://c\.example$', '^https://.+\.c\.example$']`,
			`{"allow_origins":["https://b.example","https://a.example","https://c.example",{"regex":"https://.+\\.c\\.example"}]}`,
			"denied-preflight preflight-status upstream-headers vary",
		},
		{
			`accessControlAllowOriginList: ["https://a.example"], accessControlAllowMethods: [PUT, TRACE], ` +
				`accessControlAllowHeaders: ["*"], accessControlExposeHeaders: ["*"], accessControlMaxAge: 0, addVaryHeader: true`,
			`{"allow_origins":["https://a.example"],"allow_methods":["PUT"],"allow_headers":["*"],"expose_headers":["*"],"max_age":0}`,
			"denied-preflight forbidden-method preflight-status upstream-headers",
		},
		{
			`accessControlAllowOriginList: ["https://a.example"], accessControlAllowMethods: ["*", PUT], ` +
				`accessControlAllowHeaders: [x, "*"], accessControlExposeHeaders: ["*", x], accessControlAllowCredentials: true, addVaryHeader: true`,
			`{"allow_origins":["https://a.example"],"allow_methods":["*"],"allow_headers":["*"],"allow_credentials":true}`,
			"denied-preflight literal-star preflight-status upstream-headers",
		},
		{`accessControlAllowOriginList: "https://a.example, https://b.example", accessControlAllowMethods: PUT, ` +
			`accessControlAllowCredentials: "true", accessControlMaxAge: "600", addVaryHeader: "1"`,
			`{"allow_origins":["https://a.example","https://b.example"],"allow_methods":["PUT"],"max_age":600,"allow_credentials":true}`,
			"denied-preflight preflight-status upstream-headers"},
		{`accessControlAllowCredentials: false, accessControlAllowHeaders: [], addVaryHeader: "0"`, "", ""}, // which Traefik takes for no CORS
		{`accessControlAllowMethods: [PUT]`, `{"allow_origins":[],"upstream_headers":"preserve"}`, "denied-preflight no-origins vary"},
	} {
		file := traefikFileOf("Host(`y.org`) => b") + "    r: {rule: 'Host(`x.org`)', middlewares: [m]}\n"
		file = strings.Replace(file, "  middlewares:\n", "  middlewares:\n    m: {headers: {"+c.headers+"}}\n", 1)
		result, problems := Convert([]convert.File{{Name: "f", Data: []byte(file)}}, convert.Options{})
		if problems != nil {
			t.Errorf("%s: %v", c.headers, problems)
			continue
		}
		var got string
		kinds := map[string]bool{}
		for i, r := range result.Rules {
			if r.Name != "router r" {
				continue
			}
			got = policyText(result, i)
			for _, change := range r.Changes {
				kinds[string(change.Kind)] = true
			}
		}
		if got != c.want {
			t.Errorf("%s becomes\n%s, want\n%s", c.headers, got, c.want)
		}
		if want := strings.Fields(c.kinds); c.want != "" && len(kinds) != len(want) {
			t.Errorf("%s changes %v, want %v", c.headers, kinds, want)
		}
		for _, kind := range strings.Fields(c.kinds) {
			if c.want != "" && !kinds[kind] {
				t.Errorf("%s does not change %s", c.headers, kind)
			}
		}
	}
	for headers, refused := range map[string]string{
		`accessControlAllowOriginList: ["*"], accessControlAllowCredentials: true`:                       "any-origin-with-credentials",
		`accessControlAllowOriginListRegex: ['https://a\.example'], accessControlAllowCredentials: true`: "any-origin-with-credentials",
		`accessControlAllowOriginListRegex: ['(']`:                                                       "missing closing )",
		`accessControlAllowOriginList: ["https://a.example/"]`:                                           "no trailing slash",
		`accessControlAllowOrigin: "*"`: "" +
			"accessControlAllowOrigin belongs to Traefik 2.0",
		`accessControlAllowOriginList: {a: b}`:                          "is not a list",
		`accessControlAllowOriginList: ["*"], addVaryHeader: "yes"`:     "addVaryHeader is not a boolean",
		`accessControlAllowOriginList: ["*"], accessControlMaxAge: 1.5`: "not a whole number",
		`customResponseHeaders: {access-control-allow-origin: "*"}`:     "customResponseHeaders sends",
	} {
		file := strings.Replace(
			traefikFileOf("Host(`y.org`) => b")+"    r: {rule: 'Host(`x.org`)', middlewares: [m]}\n", "  middlewares:\n",
			"  middlewares:\n    m: {headers: {"+headers+"}}\n", 1,
		)
		if result, problems := Convert([]convert.File{{Name: "f", Data: []byte(file)}}, convert.Options{}); result != nil ||
			!strings.Contains(problems.Error(), refused) || problems[0].Line != 3 || problems[0].Remedy == "" {
			t.Errorf("%s: %v, want %s", headers, problems, refused)
		}
	}
}

// TestCustomResponseHeadersAreLeftOut with -partial beside a policy; alone there is nothing to keep.
func TestCustomResponseHeadersAreLeftOut(t *testing.T) {
	const custom = `customResponseHeaders: {Access-Control-Allow-Private-Network: "true"}`
	for headers, want := range map[string]bool{`accessControlAllowOriginList: ["https://a.example"], ` + custom: true, custom: false} {
		file := []convert.File{{Name: "f", Data: []byte("http:\n  middlewares: {m: {headers: {" + headers +
			"}}}\n  routers: {r: {rule: 'Host(`x.org`)', middlewares: [m]}}\n")}}
		result, _ := Convert(file, convert.Options{Partial: true})
		if (result != nil) != want || want && len(result.Rules[0].Comments) != 1 {
			t.Errorf("%s: %s", headers, shown(result, nil))
		}
		if result, problems := Convert(file, convert.Options{}); result != nil || strings.Contains(problems.Error(), "-partial") != want {
			t.Errorf("%s: %v", headers, problems)
		}
	}
}
