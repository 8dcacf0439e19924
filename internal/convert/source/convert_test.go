package source

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"

	"corsfilter/config"
	"corsfilter/internal/convert"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// shown is everything that a conversion says, as the golden files have it.
func shown(result *convert.Result, problems convert.Problems) string {
	var b strings.Builder
	for _, p := range problems {
		b.WriteString(p.Error() + "\n")
	}
	if result != nil {
		text, _ := result.Format("json")
		b.Write(text)
		_ = result.WriteChanges(&b)
	}
	return b.String()
}

// policyText is the policy of a rule as JSON.
func policyText(result *convert.Result, rule int) string {
	text, err := result.Source.MarshalJSON()
	if err != nil {
		panic(err)
	}
	return gjson.GetBytes(text, fmt.Sprintf("rules.%d.policy", rule)).Raw
}

// waiversOf are those of a policy's origins, and its own, of which there are none.
func waiversOf(p *config.SourcePolicy) (names []string) {
	for _, o := range append([]config.SourceOrigin{{Value: "all", Tolerate: p.Tolerate}}, p.AllowOrigins...) {
		for _, w := range o.Tolerate {
			names = append(names, o.Value+" "+string(w.Code))
		}
	}
	return names
}

// TestGolden converts each file of testdata, whole and with Partial.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*/*.[^g]*") // but for golden files
	if err != nil || len(files) < 15 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, name := range files {
		stem := strings.TrimSuffix(name, filepath.Ext(name))
		t.Run(strings.TrimPrefix(stem, "testdata/"), func(t *testing.T) {
			data, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			f := []convert.File{{Name: filepath.Base(name), Data: data}}
			result, problems := Convert(f, convert.Options{})
			if (result == nil) == (problems == nil) {
				t.Fatalf("%v and %v", result, problems)
			}
			got := shown(result, problems)
			if problems != nil {
				if partial, still := Convert(f, convert.Options{Partial: true}); still == nil {
					result = partial
					got += "--- partial\n" + shown(partial, nil)
				}
			}
			accepted(t, result)
			golden := stem + ".golden"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// accepted checks what every result has: the parser takes it, each rule says where
// it comes from, and no rule is out of reach or named as another.
func accepted(t *testing.T, result *convert.Result) {
	t.Helper()
	if result == nil {
		return
	}
	_, warnings, err := config.Parse(result.JSON)
	if err != nil {
		t.Errorf("the result is refused: %v\n%s", err, result.JSON)
	}
	for _, w := range warnings {
		if w.Code == config.Unreachable || w.Code == config.Duplicate {
			t.Errorf("%v\n%s", w, result.JSON)
		}
	}
	for _, r := range result.Rules {
		if len(r.From) == 0 || r.From[0].Line < 1 || r.From[0].File == "" {
			t.Errorf("rule %q comes from %v", r.Name, r.From)
		}
		for _, c := range r.Changes {
			if convert.Kinds[c.Kind] == "" {
				t.Errorf("%q is no kind", c.Kind)
			}
		}
	}
}

// envoyFile is a bootstrap around virtual hosts.
func envoyFile(vhosts string) string {
	return `static_resources:
  listeners:
  - filter_chains:
    - filters:
      - typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: x
          http_filters:
          - name: envoy.filters.http.cors
            typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.cors.v3.Cors}
          route_config:
            name: main
            virtual_hosts:
` + vhosts
}

func envoyCors(fields string) string {
	return `typed_per_filter_config: {envoy.filters.http.cors: {"@type": ` +
		`type.googleapis.com/envoy.extensions.filters.http.cors.v3.CorsPolicy, ` + fields + `}}`
}

func origin(name string) string {
	return `allow_origin_string_match: [{exact: "https://` + name + `.example"}]`
}

// decides says which origin a configuration lets in for a host and a path: the
// policies of these tests allow one each.
func decides(t *testing.T, result *convert.Result, host, path string) string {
	t.Helper()
	c, _, err := config.Parse(result.JSON)
	if err != nil {
		t.Fatal(err)
	}
	policy, _ := c.Select(host, path)
	if policy == nil || policy.Mode == config.Off {
		return ""
	}
	for _, name := range []string{"a", "b", "c"} {
		if policy.Origins.Match("https://"+name+".example") == config.Matches {
			return name
		}
	}
	return "?"
}

// TestEnvoyDecidesTheSame asks for hosts and paths what Envoy's own order gives.
func TestEnvoyDecidesTheSame(t *testing.T) {
	route := func(match, policy string) string {
		if policy == "" {
			return "  - {match: {" + match + "}, route: {cluster: x}}\n"
		}
		return "  - {match: {" + match + "}, route: {cluster: x}, " + envoyCors(origin(policy)) + "}\n"
	}
	vhost := func(domains string, routes ...string) string {
		return "            - {name: v, domains: [" + domains + "], routes: [\n" + strings.ReplaceAll(
			strings.Join(routes, ""), "  - ", "                ",
		) + "]}\n"
	}
	join := func(v ...string) string {
		for i := range v {
			lines := strings.Split(strings.TrimSuffix(v[i], "\n"), "\n")
			for j := 1; j < len(lines)-1; j++ {
				lines[j] += ","
			}
			v[i] = strings.Join(lines, "\n") + "\n"
		}
		return envoyFile(strings.Join(v, ""))
	}
	for _, c := range []struct {
		name, file string
		want       map[string]string // host path -> policy
	}{
		{"order of routes", join(vhost(`"*"`, route("prefix: /a/b/", "a"), route("prefix: /a/", ""), route("prefix: /", "b"))),
			map[string]string{"x /a/b/c": "a", "x /a/b/": "a", "x /a/b": "", "x /a/": "", "x /a": "b", "x /": "b", "x /ax": "b"}},
		{
			"a prefix without a slash, and what stands behind it",
			join(vhost(`"*"`, route("prefix: /api", "a"), route("path: /apix", "b"), route("prefix: /apiy/", "b"), route("path: /other", "b"))),
			map[string]string{"x /api": "a", "x /api/v": "a", "x /apix": "a", "x /apiy/z": "a", "x /other": "b", "x /apiz": "a", "x /ap": ""},
		},
		{
			"a route without a policy keeps a later one away",
			join(vhost(`"*"`, route("path_separated_prefix: /admin", ""), route("prefix: /", "b"))),
			map[string]string{"x /admin": "", "x /admin/x": "", "x /adminx": "b"},
		},
		{
			"domains",
			join(
				vhost(`"*"`, route("prefix: /", "a")), vhost(`"*.x.org", "*.org"`, route("prefix: /", "b")),
				vhost(`"y.x.org"`, route("path: /p", "c")),
			),
			map[string]string{"z /": "a", "x.org /": "b", "q.x.org /": "b", "y.x.org /p": "c", "y.x.org /q": "", "a.b.x.org /": "b", "org /": "a"},
		},
		{
			"a longer suffix of another virtual host",
			join(
				vhost(`"e.org", "*.org"`, route("prefix: /", "a")), vhost(`"*.x.org"`, route("prefix: /", "b")),
				vhost(`"*"`, route("prefix: /", "c")),
			),
			map[string]string{"e.org /": "a", "q.org /": "a", "q.x.org /": "b", "x.org /": "a", "com /": "c"},
		},
		{"letter case", join(vhost(`"X.Org"`, route("prefix: /", "a"))), map[string]string{"x.org /": "a", "X.ORG /": "a"}},
		{
			"regexes in disguise",
			join(
				vhost(
					`"*"`, route(`safe_regex: {regex: "/v1/.*"}`, "a"), route(`safe_regex: {regex: "^/(x|y)(/.*)?$"}`, "b"),
					route(`safe_regex: {regex: ".*"}`, "c"),
				),
			),
			map[string]string{"h /v1/": "a", "h /v1": "c", "h /x": "b", "h /y/z": "b", "h /xy": "c", "h /": "c"},
		},
		{"a prefix that keeps a policy away", join(vhost(`"*"`, route("prefix: /admin", ""), route("prefix: /", "b"))),
			map[string]string{"x /admin": "", "x /admin/x": "", "x /adminx": "", "x /": "b"}},
		{"a package of gRPC", join(vhost(`"*"`, route("prefix: /billing.", "a"), route("prefix: /", "b"))),
			map[string]string{"x /billing.v1.Invoices/Pay": "a", "x /billing": "b", "x /billingx": "b"}},
		{
			"a regex", join(vhost(`"*"`, route(`safe_regex: {regex: "/v[0-9]+/x"}`, "a"))),
			map[string]string{"x /v12/x": "a", "x /v/x": "", "x /v1/xy": ""},
		},
		{
			"paths in any letter case",
			join(
				vhost(`"*"`, route("path: /a, case_sensitive: false", ""), route("prefix: /v.1, case_sensitive: false", "a"), route("prefix: /", "b")),
			),
			map[string]string{"x /a": "", "x /A": "", "x /V.1x": "a", "x /vx1": "b", "x /Ab": "b"},
		},
		{
			"letter case counts in a regex", join(vhost(`"*"`, route(`safe_regex: {regex: "/v+"}, case_sensitive: false`, "a"))),
			map[string]string{"x /vv": "a", "x /V": ""},
		},
		{"a star in a path", join(vhost(`"*"`, route(`path: "/a/*"`, "a"), route(`prefix: "/b*"`, "b"))),
			map[string]string{"x /a/*": "a", "x /a/b": "", "x /b*/c": "b", "x /bc": ""}},
		{
			"what several routes take together",
			join(
				vhost(
					`"*"`, route(`safe_regex: {regex: "/v[^/].*"}`, "a"), route("path: /v", "b"), route("path: /v", "c"), route("prefix: /v/", "b"),
					route("prefix: /v", "c"), route("prefix: /", "a"),
				),
			),
			map[string]string{"x /v": "b", "x /v/": "b", "x /vx": "a", "x /w": "a"},
		},
		{
			"a condition that changes nothing",
			join(vhost(`"*"`, route(`prefix: /, headers: [{name: x-v, exact_match: "2"}]`, "a"), route("prefix: /", "a"))),
			map[string]string{"h /": "a"},
		},
		{"CONNECT", join(vhost(`"*"`, route("connect_matcher: {}", ""), route("prefix: /", "a"))), map[string]string{"h /": "a"}},
		{
			"a share of everything", join(vhost(`"*"`, route("prefix: /, runtime_fraction: {default_value: {numerator: 100}}", "a"))),
			map[string]string{"h /": "a"},
		},
		{
			"a port beside the host",
			join(vhost(`"x.org", "x.org:8080", "x.org:*"`, route("prefix: /", "a")), vhost(`"*"`, route("prefix: /", "b"))),
			map[string]string{"x.org:8080 /": "a", "y /": "b"},
		},
		{"a host with a port alone", join(vhost(`"x.org:8080"`, route("prefix: /", "a"))), map[string]string{"x.org:8080 /": "a", "y /": ""}},
	} {
		t.Run(c.name, func(t *testing.T) {
			result, problems := Convert([]convert.File{{Name: "envoy.yaml", Data: []byte(c.file)}}, convert.Options{})
			if problems != nil {
				t.Fatalf("%v\n%s", problems, c.file)
			}
			accepted(t, result)
			for request, want := range c.want {
				host, path, _ := strings.Cut(request, " ")
				if got := decides(t, result, host, path); got != want {
					t.Errorf("%s gets %q, want %q\n%s", request, got, want, result.JSON)
				}
			}
		})
	}
	for _, c := range []struct{ name, file, want string }{
		{
			"a header", join(vhost(`"*"`, route(`prefix: /, headers: [{name: x-v, exact_match: "2"}]`, "a"), route("prefix: /", "b"))),
			`the header "x-v"`,
		},
		{
			"a header, and nothing behind it", join(vhost(`"*"`, route(`prefix: /, headers: [{name: x-v, exact_match: "2"}]`, "a"))),
			`the header "x-v"`,
		},
		{
			"a header that keeps a policy away",
			join(vhost(`"*"`, route(`prefix: /, headers: [{name: x-v, exact_match: "2"}]`, ""), route("prefix: /", "b"))),
			"which get no CORS headers now",
		},
		{"the method", join(vhost(`"*"`, route(`prefix: /, headers: [{name: ":method", exact_match: GET}]`, "a"))),
			"methods without OPTIONS"},
		{"a query parameter", join(vhost(`"*"`, route(`prefix: /, query_parameters: [{name: q}]`, "a"))), `the query parameter "q"`},
		{"a regex that nothing decides", join(vhost(`"*"`, route(`safe_regex: {regex: "(/a?b?){2000}"}`, "a"))), "the regex"},
		{"a share", join(vhost(`"*"`, route("prefix: /, runtime_fraction: {default_value: {numerator: 50}}", "a"))), "a share of the requests"},
		{"a path without a slash", join(vhost(`"*"`, route(`path: a`, "a"))), "a path starts with a slash"},
		{"what is not known", join(vhost(`"*"`, route(`prefix: /, moon_phase: full`, "a"))), "moon_phase, which corsctl does not know"},
		{"a prefix of domains", join(vhost(`"x.*"`, route("prefix: /", "a")), vhost(`"*"`, route("prefix: /", "b"))), "the domain x.*"},
		{"a part of a label", join(vhost(`"*-x.org"`, route("prefix: /", "a"))), "the domain *-x.org"},
		{"a port", join(vhost(`"x.org:1"`, route("prefix: /", "a")), vhost(`"x.org:2"`, route("prefix: /", "b"))), "the port 1"},
	} {
		t.Run("refused: "+c.name, func(t *testing.T) {
			result, problems := Convert([]convert.File{{Name: "envoy.yaml", Data: []byte(c.file)}}, convert.Options{})
			if result != nil || len(problems) == 0 || !strings.Contains(problems.Error(), c.want) || problems[0].Line < 14 ||
				problems[0].Remedy == "" {
				t.Errorf("%v %v", result, problems)
			}
			partial, problems := Convert([]convert.File{{Name: "envoy.yaml", Data: []byte(c.file)}}, convert.Options{Partial: true})
			if c.name == "a path without a slash" { // a typing mistake, and no loss
				return
			}
			if problems != nil {
				t.Fatal(problems)
			}
			comments := ""
			for _, r := range partial.Rules {
				for _, c := range r.Comments {
					comments += c.String()
				}
			}
			if !strings.Contains(comments, c.want) || !strings.Contains(comments, "envoy.yaml:") {
				t.Errorf("comments %q\n%s", comments, partial.JSON)
			}
		})
	}
}

// TestEnvoyMergesSettingBySetting follows cors_filter.cc.
func TestEnvoyMergesSettingBySetting(t *testing.T) {
	file := func(config, vhost, route string) string {
		return envoyFile(`            - name: v
              domains: ["*"]
              ` + vhost + `
              routes:
              - match: {prefix: /}
                ` + route + `
            ` + config + "\n")
	}
	for _, c := range []struct{ name, config, vhost, route, want string }{
		{
			"each falls back by itself",
			envoyCors(`max_age: "5"`), envoyCors(origin("a") + ", allow_credentials: true, allow_methods: PUT"),
			"route: {cluster: x}\n                " + envoyCors(`allow_methods: DELETE, allow_credentials: false, expose_headers: ""`),
			`{"allow_origins":["https://a.example"],"allow_methods":["DELETE"],"max_age":5}`,
		},
		{
			"the nearest origins count whole", "", envoyCors(origin("a")),
			"route: {cluster: x}\n                " + envoyCors(origin("b")), `{"allow_origins":["https://b.example"]}`,
		},
		{
			"the switches are the nearest policy's", "", envoyCors(origin("a") + ", filter_enabled: {default_value: {numerator: 0}}"),
			"route: {cluster: x}\n                " + envoyCors(`max_age: "5"`),
			`{"allow_origins":["https://a.example"],"max_age":5}`,
		},
		{
			"off", "", envoyCors(origin("a")),
			"route: {cluster: x}\n                " + envoyCors("filter_enabled: {default_value: {numerator: 0}}"), "",
		},
		{
			"shadow", "",
			envoyCors(
				origin("a") + ", filter_enabled: {default_value: {numerator: 0}}, shadow_enabled: {default_value: " +
					"{numerator: 10000, denominator: TEN_THOUSAND}}",
			),
			"route: {cluster: x}",
			`{"allow_origins":["https://a.example"],"mode":"shadow"}`,
		},
		{
			"the old fields", "",
			"cors: {" + origin("a") + `, max_age: "7"}`,
			"route: {cluster: x, cors: {allow_methods: PUT}}", `{"allow_origins":["https://a.example"],"allow_methods":["PUT"],"max_age":7}`,
		},
		{
			"the old fields beside new ones", "", envoyCors(origin("a")),
			"route: {cluster: x, cors: {allow_methods: PUT}}", `{"allow_origins":["https://a.example"]}`,
		},
		{
			"API v2", "",
			`cors: {allow_origin: ["https://a.example"], allow_origin_regex: ["https://b[.]example"], enabled: true}`,
			"route: {cluster: x}", `{"allow_origins":["https://a.example",{"regex":"https://b[.]example"}]}`,
		},
		{
			"camel case", "",
			`typedPerFilterConfig: {envoy.filters.http.cors: {"@type": ` +
				`type.googleapis.com/envoy.extensions.filters.http.cors.v3.CorsPolicy, allowOriginStringMatch: ` +
				`[{safeRegex: {regex: "https://a[.]example"}, ignoreCase: true}], allowCredentials: {value: true}}}`,
			"route: {cluster: x}",
			`{"allow_origins":[{"regex":"https://a[.]example","ignore_case":true}],"allow_credentials":true}`,
		},
		{"disabled for a route", "", envoyCors(origin("a")), `route: {cluster: x}
                typed_per_filter_config: {envoy.filters.http.cors: {"@type": type.googleapis.com/envoy.config.route.v3.FilterConfig,
disabled: true}}`, ""},
		{
			"FilterConfig around the policy", "",
			`typed_per_filter_config: {envoy.filters.http.cors: {"@type": ` +
				`type.googleapis.com/envoy.config.route.v3.FilterConfig, config: {"@type": ` +
				`type.googleapis.com/envoy.extensions.filters.http.cors.v3.CorsPolicy, ` + origin("a") + `}}}`,
			"route: {cluster: x}",
			`{"allow_origins":["https://a.example"]}`,
		},
		{"a redirect", "", envoyCors(origin("a")), "redirect: {https_redirect: true}", ""},
		{"a direct response", "", envoyCors(origin("a")), "direct_response: {status: 200}", ""},
		{
			"what preflights ask for", "",
			envoyCors(`allow_origin_string_match: [{exact: "*"}], allow_headers: "*", allow_methods: "*", expose_headers: "*"`),
			"route: {cluster: x}",
			`{"allow_origins":["*"],"allow_methods":["*"],"allow_headers":["*","authorization"],"expose_headers":["*"]}`,
		},
		{
			"what preflights ask for, with credentials", "",
			envoyCors(origin("a") + `, allow_credentials: true, allow_headers: "*", allow_methods: "GET, *, TRACE", expose_headers: "*, x-a"`),
			"route: {cluster: x}",
			`{"allow_origins":["https://a.example"],"allow_methods":["GET","*"],"allow_headers":["*"],` +
				`"expose_headers":["*","x-a"],"allow_credentials":true}`,
		},
		{
			"forwarded by name", "", envoyCors(origin("a") + ", forward_not_matching_preflights: true, allow_private_network_access: true"),
			"route: {cluster: x}",
			`{"allow_origins":["https://a.example"],"allow_private_network_access":true,"unmatched_preflights":"forward"}`,
		},
		{
			"weighted clusters that agree", "", envoyCors(origin("a")),
			`route: {weighted_clusters: {clusters: [{name: x, weight: 1, ` + envoyCors(`max_age: "1"`) + `}, {name: y, weight: 1, ` +
				envoyCors(`max_age: "1"`) + `}, {name: z, weight: 0}]}}`,
			`{"allow_origins":["https://a.example"],"max_age":1}`,
		},
		{"a policy without origins", "", envoyCors(`max_age: "1"`), "route: {cluster: x}", ""},
		{
			"a policy without origins, by whose preflights upstream is not asked", "",
			envoyCors(`max_age: "1"`),
			"route: {cluster: x}\n                " + envoyCors("forward_not_matching_preflights: false"),
			`{"allow_origins":[],"upstream_headers":"preserve"}`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := file(c.config, c.vhost, c.route)
			result, problems := Convert([]convert.File{{Name: "envoy.yaml", Data: []byte(text)}}, convert.Options{})
			if c.want == "" {
				if result != nil || len(problems) != 1 || !strings.HasPrefix(problems[0].What,
					"no CORS policy is in the file") && !strings.HasPrefix(problems[0].What, "the policy has no effect") {
					t.Errorf("%v %s", problems, shown(result, nil))
				}
				return
			}
			if problems != nil {
				t.Fatalf("%v\n%s", problems, text)
			}
			if got := policyText(result, 0); len(result.Rules) != 1 || got != c.want {
				t.Errorf("%d rules, %s\nwant %s", len(result.Rules), got, c.want)
			}
		})
	}
	for _, c := range []struct{ name, config, vhost, route, want string }{
		{
			"weighted clusters that differ", "", envoyCors(origin("a")),
			`route: {weighted_clusters: {clusters: [{name: x, weight: 1, ` + envoyCors(`max_age: "1"`) + `}, {name: y, weight: 1}]}}`,
			"by the weight of the cluster x",
		},
		{
			"a percentage", "", envoyCors(origin("a") + ", filter_enabled: {default_value: {numerator: 50}}"),
			"route: {cluster: x}", "a share of the requests",
		},
		{
			"a setting that does not exist", "", envoyCors(origin("a") + ", allow_orgins: []"),
			"route: {cluster: x}", "not a setting of Envoy's CorsPolicy",
		},
		{"an age in words", "", envoyCors(origin("a") + `, max_age: "10m"`), "route: {cluster: x}", "only whole seconds"},
		{
			"an origin with a slash", "", envoyCors(`allow_origin_string_match: [{exact: "https://a.example/"}]`),
			"route: {cluster: x}", "an origin has no trailing slash",
		},
		{
			"a wildcard in exact", "", envoyCors(`allow_origin_string_match: [{exact: "https://*.example.com"}]`),
			"route: {cluster: x}", "exact takes no wildcard",
		},
		{
			"a matcher of its own", "", envoyCors(`allow_origin_string_match: [{custom: {name: x}}]`),
			"route: {cluster: x}", "by custom cannot be carried over",
		},
		{
			"needs a waiver", "", envoyCors(`allow_origin_string_match: [{exact: "*"}], allow_credentials: true`),
			"route: {cluster: x}", "-tolerate any-origin-with-credentials",
		},
	} {
		t.Run("refused: "+c.name, func(t *testing.T) {
			result, problems := Convert([]convert.File{{Name: "envoy.yaml", Data: []byte(file(c.config, c.vhost, c.route))}}, convert.Options{})
			if result != nil || len(problems) == 0 || !strings.Contains(problems.Error(), c.want) || problems[0].Line < 15 ||
				problems[0].Remedy == "" {
				t.Errorf("%v %v", shown(result, nil), problems)
			}
		})
	}
}

// TestNobodyStaysOut: where the source answers all preflights of a policy without
// origins, upstream does not get to answer them.
func TestNobodyStaysOut(t *testing.T) {
	service := func(policy string) string {
		return "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: a, namespace: shop}\n" +
			"spec: {hosts: [a.example], gateways: [g], http: [{corsPolicy: {" + policy + "}, route: []}]}\n"
	}
	const nobody = `{"allow_origins":[],"upstream_headers":"preserve"}`
	for _, c := range []struct{ name, text, want string }{
		{"Istio", service("unmatchedPreflights: IGNORE, allowMethods: [PUT]"), nobody},
		{"Istio forwards", service("allowMethods: [PUT]"), ""},
		{
			"the Gateway API",
			"apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: a}\n" +
				"spec: {hostnames: [a.example], rules: [{filters: [{type: CORS, cors: {allowMethods: [PUT]}}]}]}\n",
			nobody,
		},
		{"Envoy's shadow", envoyFile("            - {name: v, domains: ['*'], routes: [{match: {prefix: /}, route: {cluster: x}}], " +
			envoyCors(
				"forward_not_matching_preflights: false, filter_enabled: {default_value: {numerator: 0}}, "+
					"shadow_enabled: {default_value: {numerator: 100}}",
			) + "}\n"), ""},
	} {
		result, problems := Convert([]convert.File{{Name: "f", Data: []byte(c.text)}}, convert.Options{})
		if c.want == "" {
			if result != nil {
				t.Errorf("%s: %s", c.name, result.JSON)
			}
			continue
		}
		if problems != nil {
			t.Errorf("%s: %v", c.name, problems)
			continue
		}
		accepted(t, result)
		if got := policyText(result, 0); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
		if !hasChange(result, convert.NoOrigins) {
			t.Errorf("%s: %v is listed", c.name, result.Rules[0].Changes)
		}
	}
}

// TestHostSpelling: what Envoy takes for another host, and the rules do not, is
// listed where it leads to another owner or to none.
func TestHostSpelling(t *testing.T) {
	envoy := func(settings string, vhosts ...string) string {
		text := envoyFile("")
		for i, v := range vhosts {
			domains, policy, _ := strings.Cut(v, " ")
			if policy != "" {
				policy = ", " + envoyCors(origin(policy))
			}
			text += fmt.Sprintf(
				"            - {name: v%d, domains: [%s], routes: [{match: {prefix: /}, route: {cluster: x}%s}]}\n", i, domains, policy,
			)
		}
		return strings.Replace(text, "          stat_prefix: x\n", "          stat_prefix: x\n          "+settings+"\n", 1)
	}
	ignoring := func(text string) string {
		return strings.Replace(text, "            name: main\n", "            name: main\n            ignore_port_in_host_matching: true\n", 1)
	}
	istio := func(hosts string) string {
		return "---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: a, namespace: shop}\n" +
			"spec: {hosts: [" + hosts + "], gateways: [g], http: [{corsPolicy: {allowOrigins: [{exact: 'https://a.example'}]}, route: []}]}\n"
	}
	const route = "---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: r}\n" +
		"spec: {hostnames: [x.example], rules: [{backendRefs: [{name: x}]}]}\n" +
		"---\napiVersion: gateway.envoyproxy.io/v1alpha1\nkind: SecurityPolicy\nmetadata: {name: p}\n" +
		"spec: {targetRefs: [{group: gateway.networking.k8s.io, kind: HTTPRoute, name: r}], cors: {allowOrigins: ['https://a.example']}}\n"
	for _, c := range []struct{ name, text, want string }{
		{"a host by itself", envoy("", "x.example a"), "with a port, or with a dot at its end, "},
		{"a suffix by itself", envoy("", "'*.x.example' a"), "with a port, or with a dot at its end, "},
		{"ports are ignored", ignoring(envoy("", "x.example a")), "a host with a dot at its end is"},
		{"ports are taken off", envoy("strip_any_host_port: true", "x.example a"), "a host with a dot at its end is"},
		{"dots are taken off", envoy("strip_trailing_host_dot: true", "x.example a"), "a host with a port is"},
		{"both are", envoy("strip_any_host_port: true\n          strip_trailing_host_dot: true", "x.example a"), ""},
		{"all other hosts are another's", envoy("", "x.example a", "'*'"), "with a port"},
		{"all other hosts are its own", envoy("", "x.example,'*' a"), ""},
		{"a host of another among its own", envoy("", "api.example,'*.example','*' a", "x.example"), "with a port"},
		{"a host of another without a policy", envoy("", "'*' a", "x.example"), "with a port"},
		{"any host", envoy("", "'*' a"), ""},
		{"Istio", istio("x.example"), "a host with a dot at its end is treated as the plain host; Istio"},
		{"Istio, any host", istio("'*'"), ""},
		{"Envoy Gateway", route, "a host with a dot at its end is treated as the plain host; Envoy Gateway"},
	} {
		result, problems := Convert([]convert.File{{Name: "f", Data: []byte(c.text)}}, convert.Options{})
		if problems != nil {
			t.Errorf("%s: %v", c.name, problems)
			continue
		}
		got := ""
		for _, r := range result.Rules {
			for _, change := range r.Changes {
				if change.Kind == convert.HostSpelling {
					got = change.Text
				}
			}
		}
		if c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// TestAPolicyOutOfReachIsSaid: what stands behind something that takes all of its
// requests has no effect, and nobody would look for it.
func TestAPolicyOutOfReachIsSaid(t *testing.T) {
	file := func(rules string) []convert.File {
		return []convert.File{
			{
				Name: "r.yaml",
				Data: []byte(
					"apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: r}\nspec:\n  hostnames: [x.example]\n  rules:\n" + rules,
				),
			},
		}
	}
	cors := func(name string) string {
		return "filters: [{type: CORS, cors: {allowOrigins: ['https://" + name + ".example']}}]"
	}
	const first, all = "  - matches: [{path: {type: PathPrefix, value: /}}]\n", "  - "
	for _, c := range []struct{ name, rules, want string }{
		{
			"behind a route without a policy", first + all + cors("a") + "\n",
			"the policy of HTTPRoute r rules[1] (r.yaml:8) is in no rule: HTTPRoute r rules[0] takes",
		},
		{"behind one with another", first + "    " + cors("b") + "\n" + all + cors("a") + "\n", "HTTPRoute r rules[0] takes"},
		{"behind one with the same", first + "    " + cors("a") + "\n" + all + cors("a") + "\n", ""},
		{
			"of two matches one is in reach",
			first + "  - matches: [{path: {value: /}}, {path: {type: Exact, value: /a}}]\n    " + cors("a") + "\n", "",
		},
	} {
		result, problems := Convert(file(c.rules), convert.Options{})
		if problems != nil {
			t.Errorf("%s: %v", c.name, problems)
			continue
		}
		accepted(t, result)
		got := ""
		for _, r := range result.Rules {
			for _, change := range r.Changes {
				if change.Kind == convert.OutOfReach {
					got += change.Text
				}
			}
		}
		if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q\n%s", c.name, got, c.want, result.JSON)
		}
	}
}

// TestEqualMatchesAreAsOne: a prefix is every path that begins with its letters, and
// stands once where a match stands twice.
func TestEqualMatchesAreAsOne(t *testing.T) {
	for _, matches := range []string{"{uri: {prefix: /v1}}", "{uri: {prefix: /v1}}, {uri: {prefix: /v1}}"} {
		text := "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: a, namespace: shop}\n" +
			"spec: {hosts: [x.example], gateways: [g], http: [{match: [" + matches +
			"], corsPolicy: {allowOrigins: [{exact: 'https://a.example'}]}, route: []}]}\n"
		result, problems := Convert([]convert.File{{Name: "f", Data: []byte(text)}}, convert.Options{})
		if problems != nil || len(result.Source.Rules) != 1 || !strings.Contains(string(result.JSON), `"paths": ["/v1*"]`) {
			t.Errorf("%s: %v %s", matches, problems, result.JSON)
		}
	}
}

// TestAnInertPolicyIsNotBroughtToLife: what no filter reads has no effect in Envoy.
func TestAnInertPolicyIsNotBroughtToLife(t *testing.T) {
	text := envoyFile(
		"            - {name: v, domains: ['*'], routes: [{match: {prefix: /}, route: {cluster: x}, " + envoyCors(origin("a")) + "}]}\n",
	)
	text = strings.Replace(
		text, "envoy.filters.http.cors\n            typed_config: {\"@type\": type.googleapis.com/envoy.extensions.filters.http.cors.v3.Cors}",
		"envoy.filters.http.router", 1,
	)
	result, problems := Convert([]convert.File{{Name: "envoy.yaml", Data: []byte(text)}}, convert.Options{Partial: true})
	if result != nil || len(problems) != 1 || !strings.Contains(problems[0].What, "has no effect") || problems[0].Line != 13 {
		t.Errorf("%v %v", shown(result, nil), problems)
	}
}

// TestWhatIsMorePermissiveIsNamed: browsers do not take Envoy's answer for what the
// filter's says.
func TestWhatIsMorePermissiveIsNamed(t *testing.T) {
	for _, c := range []struct {
		policy string
		want   []string
	}{
		{
			"allow_methods: 'get, put, Delete, DELETE, PATCH'",
			[]string{"PUT is allowed here: Envoy sends put as written, which browsers do not take for PUT"},
		},
		{"allow_methods: 'put, *'", nil},
		{
			"allow_methods: 'PUT, *', allow_credentials: true",
			[]string{
				"requests with credentials may use any method here: Envoy sends the `*` of allow_methods as written, and they read it as a name",
			},
		},
		{
			"allow_headers: '*, x-a', allow_credentials: true",
			[]string{"requests with credentials may send any header here, and those without may send authorization: " +
				"Envoy sends the `*` of allow_headers as written, which is a name for the former, and does not cover authorization for the latter"},
		},
		{"allow_headers: '*, Authorization', allow_credentials: true", []string{"requests with credentials may send any header here: " +
			"Envoy sends the `*` of allow_headers as written, and they read it as a name"}},
		{"allow_methods: '*', allow_headers: '*', expose_headers: '*', allow_credentials: true", nil},
	} {
		text := envoyFile(
			"            - {name: v, domains: ['*'], routes: [{match: {prefix: /}, route: {cluster: x}, " + envoyCors(origin("a")+", "+c.policy) +
				"}]}\n",
		)
		result, problems := Convert([]convert.File{{Name: "envoy.yaml", Data: []byte(text)}}, convert.Options{})
		if problems != nil {
			t.Fatal(problems)
		}
		accepted(t, result)
		var got []string
		for _, change := range result.Rules[0].Changes {
			if change.Kind == convert.MethodCase || change.Kind == convert.LiteralStar {
				got = append(got, change.Text)
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.policy, got, c.want)
		}
	}
}

// TestWaivers are written into the origins that need them, and into no other; what
// matches null does not lose it in silence.
func TestWaivers(t *testing.T) {
	text := envoyFile(
		"            - {name: v, domains: ['*'], routes: [{match: {path: /a}, route: {cluster: x}, " + envoyCors(
			`allow_origin_string_match: [{exact: "*"}], allow_credentials: true`,
		) + "}," +
			"{match: {path: /b}, route: {cluster: x}, " + envoyCors(
			`allow_origin_string_match: [{prefix: "https://a."}, {exact: "null"}, {safe_regex: {regex: `+
				`"null|https://b\\.example"}}, {exact: "https://c.example"}, {suffix: "ull"}]`,
		) + "}, {match: {path: /c}, route: {cluster: x}, " + envoyCors(origin("a")) + "}]}\n",
	)
	f := []convert.File{{Name: "envoy.yaml", Data: []byte(text)}}
	_, problems := Convert(f, convert.Options{Partial: true})
	var waivers []string
	for _, p := range problems {
		waivers = append(waivers, string(p.Waiver))
	}
	if slices.Sort(waivers); !slices.Equal(
		waivers, []string{"any-origin-with-credentials", "loose-origin-match", "loose-origin-match", "null-origin", "null-origin"},
	) {
		t.Errorf("%v", problems)
	}
	result, problems := Convert(f, convert.Options{Tolerate: waivers})
	if problems != nil {
		t.Fatal(problems)
	}
	accepted(t, result)
	var got []string
	for _, r := range result.Source.Rules {
		got = append(got, waiversOf(r.Policy)...)
	}
	want := []string{
		"* any-origin-with-credentials", "https://a. loose-origin-match", "null null-origin", `null|https://b\.example null-origin`,
		"ull loose-origin-match", "ull null-origin",
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	var said strings.Builder
	if err := result.WriteChanges(&said); err != nil || !strings.Contains(said.String(), `tolerates null-origin: {"suffix":"ull"}`) {
		t.Errorf("%v %s", err, said.String())
	}
}

// TestShortNamesStandForAService follows Istio: in the mesh every spelling of its
// name, at a gateway the whole one.
func TestShortNamesStandForAService(t *testing.T) {
	service := func(gateways string) []convert.File {
		return []convert.File{
			{
				Name: "vs.yaml",
				Data: []byte(
					"apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: a, namespace: shop}\nspec:\n  hosts: [Reviews]\n" +
						"  gateways: [" + gateways + "]\n" +
						"  http:\n  - corsPolicy: {allowOrigins: [{exact: \"https://a.example\"}]}\n    route: []\n",
				),
			},
		}
	}
	for gateways, want := range map[string]map[string]string{
		"mesh": {"reviews": "a", "reviews.shop": "a", "reviews.shop.svc": "a", "reviews.shop.svc.cluster.local:8080": "a", "reviews.other": ""},
		"gw":   {"reviews": "", "reviews.shop.svc.cluster.local": "a"},
	} {
		result, problems := Convert(service(gateways), convert.Options{})
		if problems != nil {
			t.Fatal(problems)
		}
		for host, policy := range want {
			if got := decides(t, result, host, "/"); got != policy {
				t.Errorf("%s: %s gets %q, want %q", gateways, host, got, policy)
			}
		}
	}
}

// TestOnly converts one of two gateways that do not agree.
func TestOnly(t *testing.T) {
	text := ""
	for _, name := range []string{"a", "b"} {
		text += "---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: " + name +
			", namespace: shop}\nspec:\n  hosts: ['*']\n  gateways: [" + name + "]\n  http: [{corsPolicy: {allowOrigins: [{exact: 'https://" + name +
			".example'}]}, route: []}]\n"
	}
	f := []convert.File{{Name: "vs.yaml", Data: []byte(text)}}
	if result, problems := Convert(f, convert.Options{}); result != nil || len(problems) != 1 ||
		!strings.Contains(problems[0].Remedy, `-only "gateway shop/b"`) {
		t.Errorf("%v", problems)
	}
	result, problems := Convert(f, convert.Options{Only: []string{"gateway shop/b"}})
	if problems != nil || decides(t, result, "x", "/") != "b" {
		t.Errorf("%v", problems)
	}
}

// TestBounds: what a small file can make of itself is refused before it costs much.
func TestBounds(t *testing.T) {
	var many strings.Builder
	many.WriteString("virtual_hosts:\n- name: v\n  domains: ['*']\n  routes:\n")
	for i := range 12_000 {
		fmt.Fprintf(
			&many, "  - {match: {path: /p%d}, route: {cluster: x, cors: {allow_origin_string_match: [{exact: \"https://a%d.example\"}]}}}\n", i,
			i,
		)
	}
	bomb := "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
	for i := 1; i < 12; i++ {
		bomb += fmt.Sprintf("a%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 10), ", "))
	}
	for name, c := range map[string]struct{ text, want string }{
		"routes":   {many.String(), "more than 30,000,000 comparisons"},
		"aliases":  {bomb + "virtual_hosts: []\n", "more than 1000000 values"},
		"brackets": {"virtual_hosts: " + strings.Repeat("[", 100_000), "nested deeper"},
		"itself":   {"virtual_hosts: &a [*a]\n", "nested deeper"},
	} {
		began := time.Now()
		result, problems := Convert([]convert.File{{Name: "f", Data: []byte(c.text)}}, convert.Options{})
		if result != nil || len(problems) == 0 || !strings.Contains(problems.Error(), c.want) {
			t.Errorf("%s: %.300s", name, problems.Error())
		}
		if took := time.Since(began); took > 2*time.Minute { // some seconds, and ten times as long with the race detector
			t.Errorf("%s took %s", name, took)
		}
	}
}

// FuzzConvert: whatever the file holds, there is a result that the parser takes, or
// a problem with a place.
func FuzzConvert(f *testing.F) {
	files, _ := filepath.Glob("testdata/*/*.[^g]*")
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, o := range []convert.Options{{}, {Partial: true}} {
			result, problems := Convert([]convert.File{{Name: "f", Data: data}}, o)
			if (result == nil) == (len(problems) == 0) {
				t.Fatalf("%v, %v", result, problems)
			}
			for _, p := range problems {
				if p.Line < 1 || p.What == "" || strings.ContainsAny(p.Error(), "\n\x1b") {
					t.Errorf("%+v", p)
				}
			}
			if result != nil {
				if _, _, err := config.Parse(result.JSON); err != nil {
					t.Errorf("%v\n%s", err, result.JSON)
				}
			}
		}
	})
}
