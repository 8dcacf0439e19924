package config

import (
	"reflect"
	"slices"
	"strings"
	"testing"
)

// published is a policy as somebody's documentation prints it, in JSON.
type published struct {
	name     string
	json     string
	problems string // all of them, where we refuse it
	warnings string
	want     Policy // less the matchers
	matches  []string
	others   []string
}

func (c published) check(t *testing.T) {
	for _, wrap := range []struct{ place, before, after string }{{"at the top", "", ""}, {"in a rule", `{"rules":[{"policy":`, `}]}`}} {
		text := wrap.before + c.json + wrap.after
		plugin, got := judge(t, text)
		prefix := map[string]string{"at the top": "", "in a rule": "rules[0].policy."}[wrap.place]
		for _, list := range []struct {
			kind string
			got  []string
			want string
		}{{"problems", got.problems, c.problems}, {"warnings", got.warnings, c.warnings}} {
			var want []string
			for _, place := range split(list.want) {
				want = append(want, prefix+place)
			}
			if !reflect.DeepEqual(list.got, want) {
				t.Errorf("%s: %s %q, want %q", wrap.place, list.kind, list.got, want)
			}
		}
		if plugin == nil {
			continue
		}
		p, _ := plugin.Select("h", "/")
		if policy := compiled(p); !reflect.DeepEqual(policy, c.want) {
			t.Errorf("%s: %+v\nwant %+v", wrap.place, policy, c.want)
		}
		for _, value := range c.matches {
			if p.Origins.Match(value) != Matches {
				t.Errorf("%s: %q does not match", wrap.place, value)
			}
		}
		for _, value := range c.others {
			if p.Origins.Match(value) == Matches {
				t.Errorf("%s: %q matches", wrap.place, value)
			}
		}
	}
}

// TestEnvoyPolicies holds the policies of Envoy's CORS example
// (examples/cors/backend/envoy.yaml) and of its CorsPolicy reference.
func TestEnvoyPolicies(t *testing.T) {
	const policyType = `"@type":"type.googleapis.com/envoy.extensions.filters.http.cors.v3.CorsPolicy"`
	for _, c := range []published{
		{
			// The regex is a literal star, and Envoy asks for that first.
			name: "the example's virtual host",
			json: `{` + policyType + `,"allow_origin_string_match":[{"safe_regex":{"regex":"\\*"}}],"allow_methods":"GET",` +
				`"filter_enabled":{"default_value":{"numerator":100,"denominator":"HUNDRED"},` +
				`"runtime_key":"cors.www.enabled"},"shadow_enabled":{"default_value":{"numerator":0,` +
				`"denominator":"HUNDRED"},"runtime_key":"cors.www.shadow_enabled"}}`,
			warnings: "filter_enabled.runtime_key runtime-key, shadow_enabled.runtime_key runtime-key, " +
				"allow_origin_string_match[0] matches-any-origin, allow_methods no-effect",
			want:    Policy{AllowMethods: "GET", Settings: Settings{PreflightStatus: 204}},
			matches: []string{"https://a.example", "null"},
		},
		{
			name: "the example's disabled route",
			json: `{` + policyType + `,"filter_enabled":{"default_value":{"numerator":0,"denominator":"HUNDRED"}}}`,
			want: Policy{Settings: Settings{Mode: Off, PreflightStatus: 204}},
		},
		{
			name:     "the example's restricted route",
			json:     `{` + policyType + `,"allow_origin_string_match":[{"safe_regex":{"regex":".*\\.envoyproxy\\.io"}}],"allow_methods":"GET"}`,
			warnings: "allow_methods no-effect",
			want:     Policy{AllowMethods: "GET", Settings: Settings{PreflightStatus: 204}},
			matches:  []string{"https://www.envoyproxy.io", "http://a.b.envoyproxy.io"},
			others:   []string{"https://envoyproxy.io", "https://evilenvoyproxy.io", "https://www.envoyproxy.io.evil.example"},
		},
		{
			name: "every field of the message, as protobuf writes its JSON",
			json: `{"allowOriginStringMatch":[{"exact":"https://a.example"},{"safeRegex":{"googleRe2":{},` +
				`"regex":"https://[a-z]+\\.b\\.example"},"ignoreCase":false}],"allowMethods":"PUT, DELETE",` +
				`"allowHeaders":"Content-Type,X-Grpc-Web","exposeHeaders":"grpc-status,grpc-message",` +
				`"maxAge":"1728000","allowCredentials":true,"allowPrivateNetworkAccess":true,` +
				`"forwardNotMatchingPreflights":true,"filterEnabled":{"defaultValue":{"numerator":1000000,"denominator":"MILLION"}}}`,
			want: Policy{
				AllowMethods:  "PUT, DELETE",
				AllowHeaders:  "content-type, x-grpc-web",
				ExposeHeaders: "grpc-status, grpc-message",
				MaxAge:        "1728000",
				Settings:      Settings{Credentials: true, PrivateNetwork: true, ForwardUnmatched: true, PreflightStatus: 204},
			},
			matches: []string{"https://a.example", "https://x.b.example"}, others: []string{"https://b.example"},
			warnings: "maxAge no-effect",
		},
		{
			// Envoy's own gRPC-Web example allows every origin by a prefix.
			name:     "a prefix of every origin",
			json:     `{"allow_origin_string_match":[{"prefix":"*"}],"allow_methods":"GET, PUT, DELETE, POST, OPTIONS"}`,
			warnings: "allow_origin_string_match[0] matches-any-origin",
			want:     Policy{AllowMethods: "GET, PUT, DELETE, POST, OPTIONS", Settings: Settings{PreflightStatus: 204}},
			matches:  []string{"https://a.example", "null"},
		},
		{
			name: "shadow only",
			json: `{"allow_origin_string_match":[{"exact":"https://a.example"}],"filter_enabled":{"default_value":{}},` +
				`"shadow_enabled":{"default_value":{"numerator":10000,"denominator":"TEN_THOUSAND"}}}`,
			want: Policy{Settings: Settings{Mode: Shadow, PreflightStatus: 204}}, matches: []string{"https://a.example"},
		},
		{
			name: "filter_enabled takes precedence over shadow_enabled",
			json: `{"allow_origin_string_match":[{"exact":"https://a.example"}],` +
				`"filter_enabled":{"default_value":{"numerator":100}},"shadow_enabled":{"default_value":{"numerator":100}}}`,
			want: Policy{Settings: Settings{PreflightStatus: 204}}, matches: []string{"https://a.example"},
		},
		{
			name: "shadow_enabled alone leaves the filter on",
			json: `{"allow_origin_string_match":[{"exact":"*"}],"shadow_enabled":{"default_value":{"numerator":100}}}`,
			want: Policy{Settings: Settings{PreflightStatus: 204}}, matches: []string{"https://a.example"},
			warnings: "allow_origin_string_match[0] matches-any-origin",
		},
		{
			name:     "credentials for everyone",
			json:     `{"allow_origin_string_match":[{"safe_regex":{"regex":".*"}}],"allow_credentials":true}`,
			warnings: "allow_origin_string_match[0] matches-any-origin",
			problems: "allow_origin_string_match[0] any-origin-with-credentials",
		},
	} {
		t.Run(c.name, c.check)
	}
}

// TestIstioPolicies holds the corsPolicy of Istio's VirtualService reference and
// its variants in use.
func TestIstioPolicies(t *testing.T) {
	for _, c := range []published{
		{
			name: "the reference",
			json: `{"allowOrigins":[{"exact":"https://example.com"}],"allowMethods":["POST","GET"],` +
				`"allowCredentials":false,"allowHeaders":["X-Foo-Bar"],"maxAge":"24h"}`,
			warnings: "allowMethods no-effect",
			want:     Policy{AllowMethods: "POST, GET", AllowHeaders: "x-foo-bar", MaxAge: "86400", Settings: Settings{PreflightStatus: 204}},
			matches:  []string{"https://example.com"}, others: []string{"https://www.example.com"},
		},
		{
			name: "any origin",
			json: `{"allowOrigins":[{"exact":"*"}],"allowMethods":["POST","GET","OPTIONS"],"allowHeaders":["DNT",` +
				`"Keep-Alive","User-Agent","X-Requested-With","If-Modified-Since","Cache-Control","Content-Type",` +
				`"Authorization"],"allowCredentials":false,"maxAge":"24h"}`,
			want: Policy{
				AllowMethods: "POST, GET, OPTIONS",
				AllowHeaders: "dnt, keep-alive, user-agent, x-requested-with, if-modified-since, cache-control, content-type, authorization",
				MaxAge:       "86400",
				Settings:     Settings{PreflightStatus: 204},
			},
			matches:  []string{"https://a.example", "null"},
			warnings: "allowOrigins[0] matches-any-origin, allowHeaders[0] no-effect, allowHeaders[1] no-effect",
		},
		{
			name: "the old list with credentials for everyone",
			json: `{"allowOrigin":["*"],"allowMethods":["POST","GET","OPTIONS"],"allowHeaders":["content-type","namespace",` +
				`"auth-token"],"maxAge":"300s","allowCredentials":true}`,
			problems: "allowOrigin[0] any-origin-with-credentials",
		},
		{
			name:     "unmatched preflights forwarded",
			json:     `{"allowOrigins":[{"regex":"https://.*\\.a\\.example"}],"unmatchedPreflights":"FORWARD","exposeHeaders":["x-b"]}`,
			want:     Policy{ExposeHeaders: "x-b", Settings: Settings{ForwardUnmatched: true, PreflightStatus: 204}},
			warnings: "allowOrigins[0] better-as-pattern",
			matches:  []string{"https://x.a.example"}, others: []string{"http://x.a.example"},
		},
		{
			name: "unmatched preflights ignored",
			json: `{"allowOrigins":[{"exact":"https://a.example"}],"unmatchedPreflights":"IGNORE"}`,
			want: Policy{Settings: Settings{PreflightStatus: 204}},
		},
		{
			// virtual_service.proto: UNSPECIFIED defaults to FORWARD.
			name: "unmatched preflights unspecified",
			json: `{"allowOrigins":[{"exact":"https://a.example"}],"unmatchedPreflights":"UNSPECIFIED"}`,
			want: Policy{Settings: Settings{ForwardUnmatched: true, PreflightStatus: 204}},
		},
		{
			name:     "a host without a scheme",
			json:     `{"allowOrigins":[{"exact":"cors-host"}]}`,
			problems: "allowOrigins[0] bad-origin",
		},
	} {
		t.Run(c.name, c.check)
	}
}

// TestGatewayPolicies holds the examples of the Gateway API's guide to CORS
// (examples/standard/http-cors) and of Envoy Gateway's CORS task.
func TestGatewayPolicies(t *testing.T) {
	for _, c := range []published{
		{
			name: "one origin", json: `{"allowOrigins":["https://app.example"],"allowCredentials":false}`,
			want: Policy{Settings: Settings{PreflightStatus: 204}}, matches: []string{"https://app.example"},
			others: []string{"https://x.app.example"},
		},
		{
			name: "one origin with credentials", json: `{"allowOrigins":["https://app.example"],"allowCredentials":true}`,
			want: Policy{Settings: Settings{Credentials: true, PreflightStatus: 204}}, matches: []string{"https://app.example"},
		},
		{
			name: "any origin", json: `{"allowOrigins":["*"],"allowCredentials":false}`,
			want: Policy{Settings: Settings{PreflightStatus: 204}}, matches: []string{"https://app.example", "null"},
		},
		{
			name: "wildcards", json: `{"allowOrigins":["https://www.baz.com","https://*.bar.com","https://*.foo.com"],"allowCredentials":false}`,
			want:    Policy{Settings: Settings{PreflightStatus: 204}},
			matches: []string{"https://www.baz.com", "https://a.b.bar.com", "https://x.foo.com"},
			others:  []string{"https://bar.com", "https://xbar.com", "http://x.foo.com"},
		},
		{
			name: "all fields",
			json: `{"allowOrigins":["https://www.foo.com","https://*.bar.com"],"allowMethods":["GET","OPTIONS"],` +
				`"allowHeaders":["*"],"exposeHeaders":["x-header-3","x-header-4"],"allowCredentials":true,"maxAge":3600}`,
			want: Policy{
				AllowMethods:  "GET, OPTIONS",
				AllowHeaders:  "*",
				EchoHeaders:   true,
				ExposeHeaders: "x-header-3, x-header-4",
				MaxAge:        "3600",
				Settings:      Settings{Credentials: true, PreflightStatus: 204},
			},
			matches: []string{"https://www.foo.com", "https://x.bar.com"}, others: []string{"https://foo.com"},
		},
		{
			name: "Envoy Gateway's task",
			json: `{"allowOrigins":["http://*.foo.com"],"allowMethods":["GET","POST"],"allowHeaders":["x-header-1",` +
				`"x-header-2"],"exposeHeaders":["x-header-3","x-header-4"]}`,
			want: Policy{
				AllowMethods:  "GET, POST",
				AllowHeaders:  "x-header-1, x-header-2",
				ExposeHeaders: "x-header-3, x-header-4",
				Settings:      Settings{PreflightStatus: 204},
			},
			warnings: "allowMethods no-effect",
			matches:  []string{"http://www.foo.com"}, others: []string{"http://www.bar.com", "http://www.foo.com:8080"},
		},
	} {
		t.Run(c.name, c.check)
	}
}

// TestHigressPolicies holds the examples of the Higress cors plugin's README.
func TestHigressPolicies(t *testing.T) {
	for _, c := range []published{
		{
			name: "everyone without credentials",
			json: `{"allow_origins":["*"],"allow_methods":["*"],"allow_headers":["*"],` +
				`"expose_headers":["*"],"allow_credentials":false,"max_age":7200}`,
			want:    Policy{AllowMethods: "*", AllowHeaders: "*", ExposeHeaders: "*", MaxAge: "7200", Settings: Settings{PreflightStatus: 204}},
			matches: []string{"https://a.example", "null"},
		},
		{
			name: "everyone with credentials",
			json: `{"allow_origin_patterns":["*"],"allow_methods":["*"],"allow_headers":["*"],` +
				`"expose_headers":["*"],"allow_credentials":true,"max_age":7200}`,
			problems: "allow_origin_patterns[0] any-origin-with-credentials", warnings: "expose_headers[0] expose-any-with-credentials",
		},
		{
			name: "some domains with credentials",
			json: `{"allow_origin_patterns":["http://*.example.com","http://*.example.org:[8080,9090]"],` +
				`"allow_methods":["GET","PUT","POST","DELETE"],"allow_headers":["Token","Content-Type",` +
				`"Authorization"],"expose_headers":["*"],"allow_credentials":true,"max_age":7200}`,
			problems: "allow_origin_patterns[0] insecure-origin, allow_origin_patterns[1] insecure-origin",
			warnings: "expose_headers[0] expose-any-with-credentials",
		},
		{
			name: "the test's plugin",
			json: `{"allow_origins":["http://httpbin.example.net"],"allow_origin_patterns":["http://*.example.com:[*]",` +
				`"http://*.example.org:[9090,8080]"],"allow_methods":["GET","POST","PATCH"],` +
				`"allow_headers":["Content-Type","Token","Authorization"],"expose_headers":["X-Custom-Header",` +
				`"X-Env-UTM"],"allow_credentials":true,"max_age":3600}`,
			problems: "allow_origins[0] insecure-origin, allow_origin_patterns[0] insecure-origin, allow_origin_patterns[1] insecure-origin",
		},
		{
			name: "the test's plugin with the waiver",
			json: `{"allow_origins":["http://httpbin.example.net"],"allow_origin_patterns":["http://*.example.com:[*]",` +
				`"http://*.example.org:[9090,8080]"],"allow_methods":["GET","POST","PATCH"],` +
				`"allow_headers":["Content-Type","Token","Authorization"],"expose_headers":["X-Custom-Header",` +
				`"X-Env-UTM"],"allow_credentials":true,"max_age":3600,"dangerously_tolerate":["insecure-origin"]}`,
			want: Policy{
				AllowMethods:  "GET, POST, PATCH",
				AllowHeaders:  "content-type, token, authorization",
				ExposeHeaders: "x-custom-header, x-env-utm",
				MaxAge:        "3600",
				Settings:      Settings{Credentials: true, PreflightStatus: 204},
			},
			matches: []string{"http://httpbin.example.net", "http://x.example.com:1234", "http://httpbin2.example.org:9090"},
			others:  []string{"http://httpbin2.example.org", "http://example.com"},
		},
	} {
		t.Run(c.name, c.check)
	}
}

func TestDialectRefusals(t *testing.T) {
	const origins = `"allow_origin_string_match":[{"exact":"https://a.example"}]`
	for _, group := range []struct {
		name string
		rows []row
	}{
		{"a key that means the same as another is a duplicate", []row{
			{json: with(origins), problems: "allow_origin_string_match duplicate-key"},
			{json: with(`"allowOrigin":["https://b.example"]`), problems: "allowOrigin duplicate-key"},
			{json: `{` + origins + `,"allow_origin":["https://b.example"]}`, problems: "allow_origin duplicate-key"},
			{
				json:     with(`"unmatched_preflights":"deny","forward_not_matching_preflights":false`),
				problems: "forward_not_matching_preflights duplicate-key",
			},
			{json: with(`"mode":"enforce","filter_enabled":{"default_value":{"numerator":100}}`), problems: "filter_enabled duplicate-key"},
			{json: with(`"mode":"enforce","shadowEnabled":{"default_value":{"numerator":0}}`), problems: "shadowEnabled duplicate-key"},
			{
				json:     with(`"filter_enabled":{"default_value":{"numerator":100}},"filterEnabled":{"default_value":{"numerator":100}}`),
				problems: "filterEnabled duplicate-key",
			},
			{json: with(`"allow_origin_patterns":["https://b.example"]`)},
			{json: with(`"allow_origin_patterns":["https://a.example"]`), warnings: "allow_origin_patterns[0] duplicate"},
		}},
		{"a share of the requests cannot be had", []row{
			{json: with(`"filter_enabled":{"default_value":{"numerator":50}}`), problems: "filter_enabled.default_value out-of-range"},
			{
				json:     with(`"filter_enabled":{"default_value":{"numerator":100,"denominator":"TEN_THOUSAND"}}`),
				problems: "filter_enabled.default_value out-of-range",
			},
			{
				json:     with(`"shadow_enabled":{"default_value":{"numerator":1,"denominator":"MILLION"}}`),
				problems: "shadow_enabled.default_value out-of-range",
			},
			{
				json:     with(`"filter_enabled":{"default_value":{"numerator":10000,"denominator":"MILLION"}}`),
				problems: "filter_enabled.default_value out-of-range",
			},
			{json: with(`"filter_enabled":{"default_value":{"numerator":1e2,"denominator":"HUNDRED"}}`)},
		}},
		{"fractions have a form", []row{
			{json: with(`"filter_enabled":{}`), problems: "filter_enabled missing"},
			{
				json:     with(`"filter_enabled":{"runtime_key":"x"}`),
				problems: "filter_enabled missing",
				warnings: "filter_enabled.runtime_key runtime-key",
			},
			{json: with(`"filter_enabled":true`), problems: "filter_enabled wrong-type"},
			{json: with(`"filter_enabled":{"default_value":100}`), problems: "filter_enabled.default_value wrong-type"},
			{json: with(`"filter_enabled":{"default_value":{"numerator":"100"}}`), problems: "filter_enabled.default_value.numerator wrong-type"},
			{json: with(`"filter_enabled":{"default_value":{"numerator":-1}}`), problems: "filter_enabled.default_value.numerator wrong-type"},
			{json: with(`"filter_enabled":{"default_value":{"numerator":0.5}}`), problems: "filter_enabled.default_value.numerator wrong-type"},
			{json: with(`"filter_enabled":{"default_value":{"numerator":4294967295}}`)}, // the last of an uint32
			{
				json:     with(`"filter_enabled":{"default_value":{"numerator":4294967296}}`),
				problems: "filter_enabled.default_value.numerator wrong-type",
			},
			{json: with(`"filter_enabled":{"default_value":{"numerator":100},"runtime_key":""}`)},
			{json: with(`"filter_enabled":{"default_value":{"numerator":100},"runtime_key":1}`), problems: "filter_enabled.runtime_key wrong-type"},
			{
				json:     with(`"filter_enabled":{"default_value":{"numerator":100,"denominator":"hundred"}}`),
				problems: "filter_enabled.default_value.denominator bad-value",
			},
			{json: with(`"filter_enabled":{"default_value":{"percent":100}}`), problems: "filter_enabled.default_value.percent unknown-key"},
		}},
		{"keys of the dialects have types", []row{
			{json: `{"allow_origin_string_match":"https://a.example"}`, problems: "allow_origin_string_match wrong-type"},
			{json: with(`"forward_not_matching_preflights":"true"`), problems: "forward_not_matching_preflights wrong-type"},
			{json: with(`"@type":"type.googleapis.com/envoy.extensions.filters.http.cors.v3.Cors"`), problems: "@type bad-value"},
			{json: with(`"unmatchedPreflights":"forward "`), problems: "unmatchedPreflights bad-value"},
		}},
	} {
		t.Run(group.name, func(t *testing.T) { checkRows(t, group.rows) })
	}
}

// TestNotes holds where a policy does otherwise than the proxy it was written
// for: what happens to a preflight from an origin that is not allowed.
func TestNotes(t *testing.T) {
	const origins = `"allow_origin_string_match":[{"exact":"https://a.example"}]`
	for key, project := range map[string]string{"allow_origin_string_match": "Envoy", "allow_origin": "Istio"} {
		got := mustParse(t, `{"`+key+`":["https://a.example"]}`).Notes.Error()
		if want := key + ": " + project + ` forwards a preflight from an unlisted origin; this filter answers it with 403; add ` +
			`"unmatched_preflights": "forward" to keep that, or "deny" to confirm the 403`; got != want {
			t.Errorf("%s\nwant %s", got, want)
		}
	}
	for _, c := range []struct{ name, json, want string }{
		{"Envoy forwards", `{` + origins + `}`, "allow_origin_string_match unmatched-preflights"},
		{"Envoy in camel case", `{"allowOriginStringMatch":[{"exact":"https://a.example"}]}`, "allowOriginStringMatch unmatched-preflights"},
		{
			"Envoy by its type alone", `{"@type":"type.googleapis.com/envoy.config.route.v3.CorsPolicy","allow_origins":["https://a.example"]}`,
			"@type unmatched-preflights",
		},
		{"Envoy by its switch alone", with(`"filter_enabled":{"default_value":{"numerator":100}}`), "filter_enabled unmatched-preflights"},
		{"in shadow mode as well", `{` + origins + `,"mode":"shadow"}`, "allow_origin_string_match unmatched-preflights"},
		{
			"in a rule", `{"rules":[{"paths":["/a"],"policy":{` + origins + `}},{"policy":{"mode":"off"}}]}`,
			"rules[0].policy.allow_origin_string_match unmatched-preflights",
		},
		{"Istio forwards", `{"allowOrigins":[{"exact":"https://a.example"}]}`, "allowOrigins unmatched-preflights"},
		{"Istio's older list", `{"allowOrigin":["https://a.example"]}`, "allowOrigin unmatched-preflights"},
		{"said by Envoy's key", `{` + origins + `,"forward_not_matching_preflights":false}`, ""},
		{"said by Istio's word", `{"allowOrigins":[{"exact":"https://a.example"}],"unmatchedPreflights":"IGNORE"}`, ""},
		{"said by ours", `{` + origins + `,"unmatched_preflights":"deny"}`, ""},
		{"where every origin is allowed none is unmatched", `{"allow_origin_string_match":[{"exact":"*"}]}`, ""},
		{"where it is off", `{"filter_enabled":{"default_value":{}}}`, ""},
		{"our own fields", `{"allow_origins":[{"exact":"https://a.example"},"https://b.example"]}`, ""},
		{"our own fields in camel case, or the Gateway API's", `{"allowOrigins":["https://a.example"],"maxAge":60}`, ""},
		{"Higress answers by itself", `{"allow_origin_patterns":["https://*.a.example"]}`, ""},
		{
			"the first key tells", `{"debug":false,` + origins + `,"filter_enabled":{"default_value":{"numerator":100}}}`,
			"allow_origin_string_match unmatched-preflights",
		},
		{
			"the first key tells, of two projects",
			`{"allow_origin_patterns":["https://*.a.example"],"filter_enabled":{"default_value":{"numerator":100}}}`, "",
		},
		{"rules without a policy for the rest", `{"rules":[{"paths":["/a"],"policy":{"mode":"off"}}]}`, "rules left-alone"},
		{"rules and a policy for the rest", `{"rules":[{"paths":["/a"],"policy":{"mode":"off"}}],"mode":"off"}`, ""},
		{
			"rules that leave nothing",
			`{"rules":[{"hosts":["a"],"policy":{"mode":"off"}},{"paths":["/a/*"],"policy":{"mode":"off"}},` +
				`{"hosts":["*"],"paths":["/*"],"policy":{"mode":"off"}}]}`,
			"",
		},
		{
			"rules that leave nothing together",
			`{"rules":[{"paths":[{"regex":"/[ab].*"}],"policy":{"mode":"off"}},{"paths":[{"regex":"/[^ab].*|/"}],"policy":{"mode":"off"}}]}`, "",
		},
		{
			"rules that leave one path",
			`{"rules":[{"paths":[{"regex":"/[ab].*"}],"policy":{"mode":"off"}},{"paths":[{"regex":"/[^ab].*"}],"policy":{"mode":"off"}}]}`,
			"rules left-alone",
		},
		{"an empty list tells nothing", `{"allowOrigins":[],"allow_origin_patterns":["https://*.a.example"]}`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, warnings, err := Parse([]byte(c.json))
			if err != nil {
				t.Fatal(err)
			}
			if got := places(p.Notes); !slices.Equal(got, split(c.want)) {
				t.Errorf("notes %q, want %q", got, c.want)
			}
			if slices.Contains(places(warnings), c.want) {
				t.Errorf("the note is a warning: %v", warnings)
			}
			for _, note := range p.Notes {
				if key := c.json[note.Offset : note.Offset+note.Length]; note.Path != "rules" && !strings.HasSuffix(note.Path, strings.Trim(key, `"`)) {
					t.Errorf("the note stands at %q", key)
				}
			}
		})
	}
}
