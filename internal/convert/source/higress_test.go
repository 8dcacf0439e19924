package source

import (
	"slices"
	"strings"
	"testing"

	"corsfilter/internal/convert"
)

// decision is a set of files, and which of the policies a, b and c each request
// gets: "host path", or the refusal that is in the way.
type decision struct {
	name, file string
	want       map[string]string
	refused    string
}

func (d decision) run(t *testing.T) {
	t.Run(d.name, func(t *testing.T) {
		result, problems := Convert([]convert.File{{Name: "source.yaml", Data: []byte(d.file)}}, convert.Options{})
		if d.refused != "" {
			if result != nil || !strings.Contains(problems.Error(), d.refused) {
				t.Fatalf("%v, want %s", problems, d.refused)
			}
			for _, p := range problems {
				if p.Line < 2 || p.Remedy == "" {
					t.Errorf("%+v", p)
				}
			}
			return
		}
		if problems != nil {
			t.Fatalf("%v\n%s", problems, d.file)
		}
		accepted(t, result)
		for request, want := range d.want {
			host, path, _ := strings.Cut(request, " ")
			if got := decides(t, result, host, path); got != want {
				t.Errorf("%s gets %q, want %q\n%s", request, got, want, result.JSON)
			}
		}
	})
}

// kubernetes joins objects to one file.
func kubernetes(objects ...string) string { return "---\n" + strings.Join(objects, "---\n") }

func ingress(name, annotations string, rules ...string) string {
	space, name, _ := strings.Cut(name, "/")
	text := "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: " + name + ", namespace: " + space + ", annotations: {" +
		annotations + "}}\nspec:\n  rules:\n"
	for _, rule := range rules { // host kind path service
		words := strings.Fields(rule)
		text += "  - {host: " + words[0] + ", http: {paths: [{pathType: " + words[1] + ", path: " + words[2] + ", backend: {service: {name: " +
			words[3] + ", port: {number: 80}}}}]}}\n"
	}
	return strings.ReplaceAll(text, "{host: any, http", "{http")
}

func higressWith(spec ...string) string {
	return "apiVersion: extensions.higress.io/v1alpha1\nkind: WasmPlugin\nmetadata: {name: cors, namespace: higress-system}\nspec:\n" +
		"  url: oci://x/cors:2.0.2\n" + strings.Join(spec, "")
}

func higressMatch(match, policy string) string {
	return "  - {" + match + ", config: {allow_origins: [\"https://" + policy + ".example\"]}}\n"
}

func TestHigressDecidesTheSame(t *testing.T) {
	rest := "  defaultConfig: {allow_origins: [\"https://c.example\"]}\n"
	for _, d := range []decision{
		{
			name: "the first rule counts, the default where none does",
			file: higressWith(
				rest, "  matchRules:\n", higressMatch(`domain: [x.org, "*.x.org"]`, "a"), higressMatch(`domain: ["*.y.x.org", z.org]`, "b"),
			),
			want: map[string]string{"x.org /": "a", "q.x.org /": "a", "q.y.x.org /": "a", "z.org /": "b", "other /": "c", "X.org:80 /": "a"},
		},
		{
			name: "every domain",
			file: higressWith(rest, "  matchRules:\n", higressMatch(`domain: ["*"]`, "a")),
			want: map[string]string{"x.org /": "a"},
		},
		{
			name: "no default",
			file: higressWith("  matchRules:\n", higressMatch("domain: [x.org]", "a")),
			want: map[string]string{"x.org /": "a", "y.org /": ""},
		},
		{
			name: "a default that is switched off",
			file: higressWith(rest, "  defaultConfigDisable: true\n  matchRules:\n", higressMatch("domain: [x.org]", "a")),
			want: map[string]string{"x.org /": "a", "y.org /": ""},
		},
		{
			name: "a domain beside an Ingress is not asked for",
			file: kubernetes(
				higressWith(rest, "  matchRules:\n", higressMatch("ingress: [s/i], domain: [z.org]", "a")), ingress("s/i", "", "x.org Prefix /v s"),
			),
			want: map[string]string{"x.org /v": "a", "x.org /v/w": "a", "x.org /vw": "c", "x.org /": "c", "z.org /v": "c"},
		},
		{
			name: "a domain in front of an Ingress",
			file: kubernetes(
				higressWith("  matchRules:\n", higressMatch("domain: [x.org]", "b"), higressMatch("ingress: [s/i]", "a")),
				ingress("s/i", "", "x.org Prefix /v s", `"*.org" Prefix / s`),
			),
			want: map[string]string{"x.org /v": "b", "x.org /": "b", "y.org /": "a", "a.y.org /q": "a", "com /": ""},
		},
		{
			name: "methods with OPTIONS among them, and the proxy's own 404 for the rest",
			file: ingress("s/i", `higress.io/match-method: "GET OPTIONS", higress.io/enable-cors: "true", `+
				`higress.io/cors-allow-origin: "https://a.example"`, "x.org Prefix / s"),
			want: map[string]string{"x.org /": "a"},
		},
		{
			name: "methods without OPTIONS",
			file: ingress("s/i", `higress.io/match-method: GET, higress.io/enable-cors: "true", higress.io/cors-allow-origin: "https://a.example"`,
				"x.org Prefix / s"),
			refused: "asks for methods without OPTIONS",
		},
		{
			name: "an annotation is a boolean in each spelling",
			file: ingress("s/i", `higress.io/enable-cors: "True", higress.io/cors-allow-origin: "https://a.example"`, "x.org Prefix / s"),
			want: map[string]string{"x.org /": "a"},
		},
		{
			name: "other Ingresses take their paths",
			file: kubernetes(
				higressWith("  matchRules:\n", higressMatch("ingress: [i]", "a")),
				ingress("higress-system/i", "", "x.org Prefix / s", "x.org Exact /e s"),
				ingress("s/j", "", "x.org Prefix /e/f s", "x.org Prefix /e s"),
			),
			want: map[string]string{"x.org /": "a", "x.org /e": "a", "x.org /e/g": "", "x.org /e/f": "", "x.org /ef": "a"},
		},
		{
			name: "an Ingress and its service",
			file: kubernetes(
				higressWith(rest, "  matchRules:\n", higressMatch("ingress: [s/i], service: [t.s.svc.cluster.local]", "a")),
				ingress("s/i", "", "x.org Prefix /t t", "x.org Prefix /u u"),
			),
			want: map[string]string{"x.org /t": "a", "x.org /u": "c"},
		},
		{
			name: "a service with its port",
			file: kubernetes(
				higressWith(
					"  matchRules:\n", higressMatch(`service: ["t.s.svc.cluster.local:80"]`, "a"),
					higressMatch(`service: ["t.s.svc.cluster.local"]`, "b"),
				),
				ingress("s/i", "", "x.org Prefix /t t"),
			),
			want: map[string]string{"x.org /t": "a"},
		},
		{
			name: "a default backend",
			file: kubernetes(
				higressWith("  matchRules:\n", higressMatch("ingress: [s/i]", "a")),
				"apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: i, namespace: s}\nspec: {defaultBackend: {service: {name: s}}}\n",
				ingress("s/j", "", "x.org Prefix / s"),
			),
			want: map[string]string{"x.org /": "", "y.org /": "a"},
		},
		{
			name: "a regex in disguise",
			file: kubernetes(
				higressWith("  matchRules:\n", higressMatch("ingress: [s/i]", "a")),
				ingress("s/i", `higress.io/use-regex: "true"`, "x.org ImplementationSpecific /v/ s"),
			),
			want: map[string]string{"x.org /v/w": "a", "x.org /v/": "a", "x.org /w": ""},
		},
		{
			name: "rules in pluginConfig",
			file: higressWith(
				"  pluginConfig:\n    allow_origins: [\"https://c.example\"]\n    _rules_:\n" +
					"    - {_match_domain_: [x.org], allow_origins: [\"https://a.example\"]}\n",
			),
			want: map[string]string{"x.org /": "a", "y.org /": "c"},
		},
		{
			name: "a regex",
			file: kubernetes(
				higressWith("  matchRules:\n", higressMatch("ingress: [s/i]", "a")),
				ingress("s/i", `higress.io/use-regex: "true"`, `x.org ImplementationSpecific "/v[0-9]+" s`),
			),
			want: map[string]string{"x.org /v12": "a", "x.org /v": ""},
		},
		{
			name: "refused: a header",
			file: kubernetes(
				higressWith("  matchRules:\n", higressMatch("ingress: [s/i]", "a")),
				ingress("s/i", `higress.io/exact-match-header-x: "1"`, `x.org Prefix / s`),
			),
			refused: "match-header",
		},
		{
			name:    "refused: part of a label",
			file:    higressWith(rest, "  matchRules:\n", higressMatch(`domain: ["*-x.org"]`, "a")),
			refused: "the domain *-x.org, a part of a label",
		},
		{
			name:    "refused: the prefix of names",
			file:    higressWith("  pluginConfig:\n    _rules_:\n    - {_match_route_prefix_: [x], allow_origins: [\"https://a.example\"]}\n"),
			refused: "the prefix \"x\" of routes' names",
		},
		{
			name: "refused: a share",
			file: kubernetes(
				higressWith(rest, "  matchRules:\n", higressMatch("service: [a.dns]", "a")),
				ingress("s/i", `higress.io/destination: "60% a.dns:80 40% b.dns:80"`, `x.org Prefix / s`),
			),
			refused: "a share of the requests",
		},
	} {
		d.run(t)
	}
}

func TestHigressVersions(t *testing.T) {
	file := strings.ReplaceAll(higressWith("  defaultConfig: {allow_origin_patterns: [\"https://*.a.example\"]}\n"), "2.0.2", "2.0.0")
	result, problems := Convert([]convert.File{{Name: "f", Data: []byte(file)}}, convert.Options{})
	if problems != nil {
		t.Fatal(problems)
	}
	var kinds []string
	for _, c := range result.Rules[0].Changes {
		kinds = append(kinds, string(c.Kind))
	}
	slices.Sort(kinds)
	if got, want := strings.Join(kinds, " "),
		"more-allowed more-allowed more-allowed more-allowed preflight-status stricter-patterns vary"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if !result.Source.Rules[0].Policy.Reject {
		t.Errorf("%s", result.JSON)
	}
}

// TestOneWaiverForSeveralValues: each of them gets it.
func TestOneWaiverForSeveralValues(t *testing.T) {
	file := higressWith(
		"  defaultConfig: {allow_credentials: true, allow_origins: [\"http://a.example\", \"http://b.example\"], " +
			"allow_origin_patterns: [\"http://*.c.example\"]}\n",
	)
	if _, problems := Convert([]convert.File{{Name: "f", Data: []byte(file)}}, convert.Options{}); len(problems) != 3 {
		t.Errorf("%v", problems)
	}
	result, problems := Convert([]convert.File{{Name: "f", Data: []byte(file)}}, convert.Options{Tolerate: []string{"insecure-origin"}})
	if problems != nil {
		t.Fatal(problems)
	}
	accepted(t, result)
	if got := waiversOf(result.Source.Rules[0].Policy); len(got) != 3 {
		t.Errorf("waivers %q", got)
	}
}
