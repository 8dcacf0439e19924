package config

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"

	"corsfilter/internal/header"
)

// with completes a configuration that allows one origin.
func with(members string) string {
	return `{"allow_origins":["https://a.example"],` + members + `}`
}

func TestFieldRefusals(t *testing.T) {
	long := strings.Repeat("x", 257)
	for _, group := range []struct {
		name string
		rows []row
	}{
		{"origins are required, unless CORS is off", []row{
			{json: `{}`, problems: "allow_origins missing"},
			{json: `{"mode":false}`, problems: "mode wrong-type"},
			{json: `{"allow_origins":[]}`},
			{json: `{"rules":[]}`, problems: "allow_origins missing"},
			{json: `{"allow_origins":[],"allow_originsx":["a"]}`, problems: "allow_originsx unknown-key"},
			{
				json:     `{"allow_originsx":[],"allow_origins":[],"allow_origins.x":1,"allow_origins[0]":1}`,
				problems: "allow_originsx unknown-key, allow_origins.x unknown-key, allow_origins[0] unknown-key",
			},
			{json: `{"rules":[],"rulesx":1}`, problems: "rulesx unknown-key, allow_origins missing"},
			{json: `{"rules":{}}`, problems: "rules wrong-type"},
			{json: `{"allow_origin_patterns":[]}`},
			{json: `{"mode":"shadow"}`, problems: "allow_origins missing"},
			{json: `{"stat_prefix":"x"}`, problems: "allow_origins missing"},
			{json: `{"mode":"off"}`},
			{json: `{"mode":"off","allow_origins":[]}`},
			{json: `{"mode":"off","allow_origins":["https://a.example/"]}`, problems: "allow_origins[0] bad-origin"},
			{json: `{"rules":[{"policy":{}}]}`, problems: "rules[0].policy.allow_origins missing"},
			{json: `{"rules":[{"policy":{"mode":"off"}}],"debug":true}`, problems: "allow_origins missing", warnings: "rules covered"},
			{json: `{"timing_allow_origins":["*"]}`, problems: "allow_origins missing"},
		}},
		{"types are not coerced", []row{
			{json: `{"allow_origins":"https://a.example"}`, problems: "allow_origins wrong-type"},
			{json: `{"allow_origins":{"exact":"https://a.example"}}`, problems: "allow_origins wrong-type"},
			{json: `{"allow_origins":[1]}`, problems: "allow_origins[0] wrong-type"},
			{json: `{"allow_origins":[["https://a.example"]]}`, problems: "allow_origins[0] wrong-type"},
			{json: with(`"timing_allow_origins":true`), problems: "timing_allow_origins wrong-type"},
			{json: with(`"allow_methods":1`), problems: "allow_methods wrong-type"},
			{json: with(`"allow_methods":["PUT",2]`), problems: "allow_methods[1] wrong-type"},
			{json: with(`"allow_headers":{}`), problems: "allow_headers wrong-type"},
			{json: with(`"expose_headers":true`), problems: "expose_headers wrong-type"},
			{json: with(`"allow_credentials":"true"`), problems: "allow_credentials wrong-type"},
			{json: with(`"allow_credentials":1`), problems: "allow_credentials wrong-type"},
			{json: with(`"allow_private_network_access":0`), problems: "allow_private_network_access wrong-type"},
			{json: with(`"preflight_status":"204"`), problems: "preflight_status wrong-type"},
			{json: with(`"max_age":true`), problems: "max_age wrong-type"},
			{json: with(`"max_age":[600]`), problems: "max_age wrong-type"},
			{json: with(`"unmatched_preflights":true`), problems: "unmatched_preflights wrong-type"},
			{json: with(`"disallowed_requests":1`), problems: "disallowed_requests wrong-type"},
			{json: with(`"upstream_headers":[]`), problems: "upstream_headers wrong-type"},
			{json: with(`"mode":false`), problems: "mode wrong-type"},
			{json: with(`"debug":"yes"`), problems: "debug wrong-type"},
			{json: with(`"dangerously_tolerate":"null-origin"`), problems: "dangerously_tolerate wrong-type"},
			{json: with(`"dangerously_tolerate":[1]`), problems: "dangerously_tolerate[0] wrong-type"},
			{json: with(`"stat_prefix":1`), problems: "stat_prefix wrong-type"},
			{json: with(`"rules":{}`), problems: "rules wrong-type"},
		}},
		{"words are among the choices, letter by letter", []row{
			{json: with(`"unmatched_preflights":"allow"`), problems: "unmatched_preflights bad-value"},
			{json: with(`"unmatched_preflights":"Forward"`), problems: "unmatched_preflights bad-value"},
			{json: with(`"disallowed_requests":"deny"`), problems: "disallowed_requests bad-value"},
			{json: with(`"upstream_headers":"keep"`), problems: "upstream_headers bad-value"},
			{json: with(`"mode":"Enforce"`), problems: "mode bad-value"},
			{json: with(`"mode":""`), problems: "mode bad-value"},
			{json: with(`"dangerously_tolerate":["any-origin"]`), problems: "dangerously_tolerate[0] bad-value"},
		}},
		{"numbers have their ranges", []row{
			{json: with(`"preflight_status":199`), problems: "preflight_status out-of-range"},
			{json: with(`"preflight_status":300`), problems: "preflight_status out-of-range"},
			{json: with(`"preflight_status":204.5`), problems: "preflight_status out-of-range"},
			{json: with(`"preflight_status":1e400`), problems: "preflight_status out-of-range"},
			{json: with(`"preflight_status":-204`), problems: "preflight_status out-of-range"},
			{json: with(`"max_age":-2`), problems: "max_age out-of-range"},
			{json: with(`"max_age":2147483648`), problems: "max_age out-of-range"},
			{json: with(`"max_age":"-10m"`), problems: "max_age out-of-range"},
			{json: with(`"max_age":600.5`), problems: "max_age bad-value"},
			{json: with(`"max_age":1e400`), problems: "max_age bad-value"},
			{json: with(`"max_age":1e19`), problems: "max_age bad-value"},
			{json: with(`"max_age":9223372036854775807`), problems: "max_age out-of-range"},
			// A number with a point is a whole one as far as all of those have a value of their own.
			{json: with(`"max_age":9007199254740992.0`), problems: "max_age out-of-range"},
			{json: with(`"max_age":-9007199254740992.0`), problems: "max_age out-of-range"},
			{json: with(`"max_age":9007199254740994.0`), problems: "max_age bad-value"},
			{json: with(`"max_age":-9007199254740994.0`), problems: "max_age bad-value"},
			{json: with(`"max_age":"1.5s"`), problems: "max_age bad-value"},
			{json: with(`"max_age":"500ms"`), problems: "max_age bad-value"},
			{json: with(`"max_age":"1d"`), problems: "max_age bad-value"},
			{json: with(`"max_age":"10 m"`), problems: "max_age bad-value"},
			{json: with(`"max_age":""`), problems: "max_age bad-value"},
			{json: with(`"max_age":"600, 700"`), problems: "max_age bad-value"},
			{json: with(`"max_age":"9999999999999999999999"`), problems: "max_age bad-value"},
			{json: with(`"max_age":86401`), warnings: "max_age no-effect"},
			{json: with(`"max_age":"25h"`), warnings: "max_age no-effect"},
			{json: with(`"max_age":86400`)},
		}},
		{"methods", []row{
			{json: with(`"allow_methods":["patch"]`), problems: "allow_methods[0] bad-method"},
			{json: with(`"allow_methods":["Patch"]`), problems: "allow_methods[0] bad-method"},
			{json: with(`"allow_methods":"PUT, patch"`), problems: "allow_methods bad-method"},
			{
				json: with(`"allow_methods":["CONNECT","TRACE","TRACK","connect","Trace","track"]`),
				problems: "allow_methods[0] bad-method, allow_methods[1] bad-method, allow_methods[2] bad-method, " +
					"allow_methods[3] bad-method, allow_methods[4] bad-method, allow_methods[5] bad-method",
			},
			{
				json: with(`"allow_methods":["PUT","","P UT","PÜT","PUT\r\n","PUT,DELETE","po\u017ft"]`),
				problems: "allow_methods[1] bad-method, allow_methods[2] bad-method, allow_methods[3] bad-method, " +
					"allow_methods[4] bad-method, allow_methods[5] bad-method, allow_methods[6] bad-method",
			},
			{json: with(`"allow_methods":"PUT,,DELETE"`), problems: "allow_methods bad-method"},
			{json: with(`"allow_methods":"PUT,"`), problems: "allow_methods bad-method"},
			{json: with(`"allow_methods":"PUT\uff0cDELETE"`), problems: "allow_methods bad-method"},
			{json: with(`"allow_methods":["GET","HEAD","post"]`), warnings: "allow_methods no-effect"},
			{json: with(`"allow_methods":"GET"`), warnings: "allow_methods no-effect"},
			{json: with(`"allow_methods":["PUT","put"]`), warnings: "allow_methods[1] duplicate"},
			{json: with(`"allow_methods":["*","PUT","*"]`), warnings: "allow_methods[2] duplicate, allow_methods[1] covered"},
			{json: with(`"allow_methods":["PUT","GET","propfind","PROPFIND"]`)},
			{json: with(`"allow_methods":[]`)},
			{json: with(`"allow_methods":""`)},
		}},
		{"request headers", []row{
			{
				json: with(`"allow_headers":["x foo","","x:y","é","x\u0000","x-a,x-b"]`),
				problems: "allow_headers[0] bad-header, allow_headers[1] bad-header, allow_headers[2] bad-header, " +
					"allow_headers[3] bad-header, allow_headers[4] bad-header, allow_headers[5] bad-header",
			},
			{json: with(`"allow_headers":["` + long + `"]`), problems: "allow_headers[0] bad-header"},
			{json: with(`"allow_headers":["` + long[1:] + `"]`)},
			{
				json:     with(`"allow_headers":["origin","Cookie","sec-fetch-mode","proxy-foo"]`),
				warnings: "allow_headers[0] no-effect, allow_headers[1] no-effect, allow_headers[2] no-effect, allow_headers[3] no-effect",
			},
			{json: with(`"allow_headers":["X-Foo","x-foo"]`), warnings: "allow_headers[1] duplicate"},
			{json: with(`"allow_headers":["*","x-foo","Authorization"]`), warnings: "allow_headers[1] covered"},
			{
				json:     with(`"allow_headers":["*","x-foo","authorization"],"allow_credentials":true`),
				warnings: "allow_headers[1] covered, allow_headers[2] covered",
			},
			{
				json: with(
					`"allow_headers":["Access-Control-Allow-Origin","set-cookie","ETag","authorization","if-none-match","content-type","Vary","range"]`,
				),
				warnings: "allow_headers[0] other-direction, allow_headers[1] no-effect, allow_headers[2] " +
					"other-direction, allow_headers[6] other-direction",
			},
			{json: with(`"allow_headers":"x-a, location"`), warnings: "allow_headers other-direction"},
			{json: with(`"allow_headers":"*, *"`), warnings: "allow_headers duplicate"},
		}},
		{"response headers", []row{
			{json: with(`"expose_headers":"*","allow_credentials":true`), warnings: "expose_headers expose-any-with-credentials"},
			{json: with(`"expose_headers":["etag","*"],"allow_credentials":true`), warnings: "expose_headers[1] expose-any-with-credentials"},
			{json: with(`"expose_headers":"*"`)},
			{
				json:     with(`"expose_headers":["*","etag","authorization"]`),
				warnings: "expose_headers[2] other-direction, expose_headers[1] covered, expose_headers[2] covered",
			},
			{
				json:     with(`"expose_headers":["Set-Cookie","set-cookie2","content-type"]`),
				warnings: "expose_headers[0] no-effect, expose_headers[1] no-effect, expose_headers[2] no-effect",
			},
			{
				json: with(
					`"expose_headers":["Cookie","If-None-Match","access-control-request-method","x-request-id",` +
						`"Accept","Location","etag","www-authenticate"]`,
				),
				warnings: "expose_headers[0] other-direction, expose_headers[1] other-direction, expose_headers[2] other-direction",
			},
			{json: with(`"expose_headers":["x foo"]`), problems: "expose_headers[0] bad-header"},
		}},
		{"an open way into a private network", []row{
			{json: `{"allow_origins":["*"],"allow_private_network_access":true}`, warnings: "allow_private_network_access private-network"},
			{
				json:     `{"allow_origins":[{"regex":".*"}],"allowPrivateNetworkAccess":true}`,
				warnings: "allow_origins[0] matches-any-origin, allowPrivateNetworkAccess private-network",
			},
			{
				json: `{"allow_origins":["https://a.example","http://b.example","http://*.c.example:*",` +
					`"http://localhost:3000"],"allow_private_network_access":true}`,
				warnings: "allow_origins[1] private-network, allow_origins[2] private-network",
			},
			{json: `{"allow_origins":["https://a.example","http://127.0.0.1"],"allow_private_network_access":true}`},
			{
				json:     `{"allow_origins":[{"regex":"https?://(a|b)\\.example"}],"allow_private_network_access":true}`,
				warnings: "allow_origins[0] private-network",
			},
			{json: `{"allow_origins":[{"regex":"https://(a|b)\\.example"}],"allow_private_network_access":true}`},
			{json: `{"allow_origins":["*"],"allow_private_network_access":false}`},
		}},
		{"the prefix of counters", []row{
			{json: with(`"stat_prefix":""`), problems: "stat_prefix bad-value"},
			{json: with(`"stat_prefix":".cors"`), problems: "stat_prefix bad-value"},
			{json: with(`"stat_prefix":"cors."`), problems: "stat_prefix bad-value"},
			{json: with(`"stat_prefix":"co rs"`), problems: "stat_prefix bad-value"},
			{json: with(`"stat_prefix":"corsé"`), problems: "stat_prefix bad-value"},
			{json: with(`"stat_prefix":"` + long[:65] + `"`), problems: "stat_prefix bad-value"},
			{json: with(`"stat_prefix":"` + long[:64] + `"`)},
			{json: with(`"stat_prefix":"cors.my_shop-1"`)},
		}},
		{"waivers that nothing needs", []row{
			{
				json:     with(`"dangerously_tolerate":["null-origin","any-origin-with-credentials"]`),
				warnings: "dangerously_tolerate[0] no-effect, dangerously_tolerate[1] no-effect",
			},
			{
				json:     with(`"dangerously_tolerate":["null-origin","null-origin"]`),
				warnings: "dangerously_tolerate[1] duplicate, dangerously_tolerate[0] no-effect",
			},
		}},
	} {
		t.Run(group.name, func(t *testing.T) { checkRows(t, group.rows) })
	}
}

// compiled is a policy as the filter sees it, less its matchers.
func compiled(p *Policy) Policy {
	c := *p
	c.Origins, c.Timing, c.methods, c.headers = Origins{}, Origins{}, nil, header.Set{}
	c.anyMethod, c.anyHeader = false, false
	return c
}

func TestFieldsAreCompiled(t *testing.T) {
	base := Policy{Settings: Settings{PreflightStatus: 204}}
	for _, c := range []struct {
		name    string
		members string
		want    func(*Policy)
	}{
		{"defaults", `"debug":false`, func(p *Policy) {}},
		{
			"methods are joined in their order and upper-cased as browsers do", `"allow_methods":["put","PATCH","Delete","PROPFIND","propfind"]`,
			func(p *Policy) { p.AllowMethods = "PUT, PATCH, DELETE, PROPFIND, propfind" },
		},
		{
			"a comma-separated string is a list", `"allow_methods":" PUT ,\tDELETE","allow_headers":"X-A,x-b","expose_headers":"ETag"`,
			func(p *Policy) {
				p.AllowMethods, p.AllowHeaders, p.ExposeHeaders = "PUT, DELETE", "x-a, x-b", "etag"
			},
		},
		{
			"duplicates are sent once", `"allow_methods":["PUT","put"],"allow_headers":["X-A","x-a"],"expose_headers":["a","A","b"]`,
			func(p *Policy) {
				p.AllowMethods, p.AllowHeaders, p.ExposeHeaders = "PUT", "x-a", "a, b"
			},
		},
		{"any method", `"allow_methods":["PUT","*"]`, func(p *Policy) { p.AllowMethods = "*" }},
		{
			"any method with credentials is echoed", `"allow_methods":"*","allow_credentials":true`,
			func(p *Policy) { p.AllowMethods, p.EchoMethod, p.Credentials = "*", true, true },
		},
		{"any header", `"allow_headers":["*"]`, func(p *Policy) { p.AllowHeaders = "*" }},
		{"any header and authorization", `"allow_headers":["Authorization","x-a","*"]`, func(p *Policy) { p.AllowHeaders = "*, authorization" }},
		{
			"any header with credentials is echoed", `"allow_headers":["*","authorization"],"allow_credentials":true`,
			func(p *Policy) { p.AllowHeaders, p.EchoHeaders, p.Credentials = "*", true, true },
		},
		{"any response header", `"expose_headers":["x-a","*"]`, func(p *Policy) { p.ExposeHeaders = "*" }},
		{"seconds", `"max_age":600`, func(p *Policy) { p.MaxAge = "600" }},
		{"seconds as a Struct writes them", `"max_age":600.0`, func(p *Policy) { p.MaxAge = "600" }},
		{"seconds with an exponent", `"max_age":6e2`, func(p *Policy) { p.MaxAge = "600" }},
		{"seconds as a string", `"max_age":"600"`, func(p *Policy) { p.MaxAge = "600" }},
		{"minutes", `"max_age":"10m"`, func(p *Policy) { p.MaxAge = "600" }},
		{"hours", `"max_age":"24h"`, func(p *Policy) { p.MaxAge = "86400" }},
		{"a duration of several units", `"max_age":"1h30m10s"`, func(p *Policy) { p.MaxAge = "5410" }},
		{"a duration of milliseconds that is whole", `"max_age":"2000ms"`, func(p *Policy) { p.MaxAge = "2" }},
		{"zero is sent", `"max_age":0`, func(p *Policy) { p.MaxAge = "0" }},
		{"minus one is sent as zero", `"max_age":-1`, func(p *Policy) { p.MaxAge = "0" }},
		{"minus one as a string", `"max_age":"-1"`, func(p *Policy) { p.MaxAge = "0" }},
		{"the longest age", `"max_age":2147483647`, func(p *Policy) { p.MaxAge = "2147483647" }},
		{"a status as a Struct writes it", `"preflight_status":2e2`, func(p *Policy) { p.PreflightStatus = 200 }},
		{"the last status", `"preflight_status":299`, func(p *Policy) { p.PreflightStatus = 299 }},
		{
			"the switches", `"allow_credentials":true,"allow_private_network_access":true,"debug":true`,
			func(p *Policy) { p.Credentials, p.PrivateNetwork, p.Debug = true, true, true },
		},
		{
			"the choices", `"unmatched_preflights":"forward","disallowed_requests":"reject","upstream_headers":"preserve","mode":"shadow"`,
			func(p *Policy) {
				p.ForwardUnmatched, p.Reject, p.Preserve, p.Mode = true, true, true, Shadow
			},
		},
		{
			"the choices' defaults spelled out",
			`"unmatched_preflights":"deny","disallowed_requests":"forward","upstream_headers":"override","mode":"enforce"`, func(p *Policy) {},
		},
		{"camel case", `"allowMethods":["PUT"],"maxAge":"1s","allowPrivateNetworkAccess":true,"disallowedRequests":"reject"`, func(p *Policy) {
			p.AllowMethods, p.MaxAge, p.PrivateNetwork, p.Reject = "PUT", "1", true, true
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			want := base
			c.want(&want)
			plugin := mustParse(t, with(c.members))
			if got := compiled(plugin.Default); !reflect.DeepEqual(got, want) {
				t.Errorf("%+v\nwant %+v", got, want)
			}
			if plugin.StatPrefix != "cors" || plugin.HasRules() {
				t.Errorf("plugin %+v", plugin)
			}
		})
	}
}

func TestAllowsMethodAndHeader(t *testing.T) {
	for _, c := range []struct {
		name                                   string
		members                                string
		methods, noMethods, headers, noHeaders string
	}{
		{"nothing listed", `"debug":false`, "GET HEAD POST", "PUT get OPTIONS TRACE", "", "x-a authorization"},
		{
			"lists", `"allow_methods":["put","PATCH"],"allow_headers":["X-A"]`, "GET PUT PATCH", "put patch DELETE *", "x-a X-A",
			"x-b * x-a,x-a authorization",
		},
		{
			"any without credentials", `"allow_methods":"*","allow_headers":"*"`, "GET PUT patch FOO *", "TRACE connect P(T", "x-a * cookie",
			"authorization Authorization x:y",
		},
		{
			"any and authorization", `"allow_methods":"*","allow_headers":"*,authorization"`, "PUT", "TRACK", "x-a authorization AUTHORIZATION",
			"x:y",
		},
		{
			"any with credentials", `"allow_methods":"*","allow_headers":"*","allow_credentials":true`, "PUT FOO", "TRACE P(T",
			"x-a authorization", "x:y é",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := mustParse(t, with(c.members)).Default
			for list, want := range map[string]bool{c.methods: true, c.noMethods: false} {
				for _, m := range strings.Fields(list) {
					if p.AllowsMethod(m) != want {
						t.Errorf("AllowsMethod(%q) = %v", m, !want)
					}
				}
			}
			for list, want := range map[string]bool{c.headers: true, c.noHeaders: false} {
				for _, h := range strings.Fields(list) {
					if p.AllowsHeader(h) != want {
						t.Errorf("AllowsHeader(%q) = %v", h, !want)
					}
				}
			}
			if p.AllowsMethod("") || p.AllowsHeader("") {
				t.Error("the empty string is allowed")
			}
			longest := strings.Repeat("X", header.MaxNameLen)
			if any := strings.Contains(c.name, "any"); p.AllowsMethod(longest) != any || p.AllowsMethod(longest+"X") {
				t.Errorf("of the longest method and a longer one %v and %v are allowed", p.AllowsMethod(longest), p.AllowsMethod(longest+"X"))
			}
		})
	}
}

// TestFieldsDescribeWhatIsRead keeps the reference and the parser together.
func TestFieldsDescribeWhatIsRead(t *testing.T) {
	for _, f := range Fields {
		for _, key := range []string{f.Name, camel(f.Name)} {
			_, _, err := Parse([]byte(`{"` + key + `":null}`))
			problems, _ := err.(Problems)
			if len(problems) == 0 || problems[0].Path != key || problems[0].Code != WrongType {
				t.Errorf("%s: %v", key, err)
			}
		}
		if f.Type == "" || f.Default == "" || f.Meaning == "" {
			t.Errorf("%s is not described: %+v", f.Name, f)
		}
	}
}

func TestSummary(t *testing.T) {
	for json, want := range map[string]string{
		`{"mode":"off"}`:          "mode off",
		`{"allow_origins":["*"]}`: "mode enforce, any origin",
		`{"allow_origins":["https://a.example","null",{"regex":"https://b\\.example"}],"allow_credentials":true,` +
			`"allow_methods":"PUT","allow_headers":"X-A","expose_headers":"ETag","max_age":60,` +
			`"mode":"shadow","dangerously_tolerate":["null-origin"]}`: "mode shadow, 3 origins, with credentials, methods PUT, headers x-a, " +
			"exposes " +
			"etag, max-age 60; waives null-origin",
		`{"allow_origins":[]}`: "mode enforce, nobody",
		`{"rules":[{"policy":{"allow_origins":[{"origin":"*",` +
			`"dangerously_tolerate":["any-origin-with-credentials"]},"null"],` +
			`"dangerously_tolerate":["null-origin"],"allow_credentials":true}}]}`: "1 rule; other requests left alone; " +
			"waives any-origin-with-credentials null-origin",
		`{"rules":[{"policy":{"mode":"off"}}]}`: "1 rule; other requests left alone",
		`{"rules":[{"paths":["/a"],"policy":{"mode":"off"}},{"policy":{"mode":"off"}}],` +
			`"allow_origins":["https://a.example"]}`: "2 rules; mode enforce, 1 origin",
	} {
		if got, want := mustParse(t, json).Summary(), want+"; hash "+hashOfText(json); got != want {
			t.Errorf("%s\n got %q\nwant %q", json, got, want)
		}
	}
}

func TestKnownKeys(t *testing.T) {
	for _, key := range []string{
		"allow_origins", "allowOrigins", "rules", "stat_prefix", "statPrefix", "allow_origin_string_match", "@type", "filterEnabled",
	} {
		if !KnownKey(key) {
			t.Errorf("%s is not known", key)
		}
	}
	for _, key := range []string{"", "origins", "AllowOrigins", "hosts", "exact"} {
		if KnownKey(key) {
			t.Errorf("%s is known", key)
		}
	}
}

func TestNearKey(t *testing.T) {
	for key, want := range map[string]bool{
		"allow_origins": true, "alow_origin": true, "Allow_Orgins": true, "allow_origins_": true, "statPrefab": true,
		"allowing_origin": false, "statPrefuse": false, "statPrefi": false, "mode": false, "rule": false, "access_logs": false, "": false,
	} {
		if got := NearKey(key); got != want {
			t.Errorf("%s is near: %v", key, got)
		}
	}
}

// TestEveryFieldIsRead holds the rows of the table together: what is listed is
// read, and what a dialect's key means is a field of ours or a setting of its
// own.
func TestEveryFieldIsRead(t *testing.T) {
	for _, f := range slices.Concat(Fields, Dialects) {
		if f.read == nil || f.Type == "" || f.Meaning == "" || (f.Dialect == "") != (f.Setting == "") {
			t.Errorf("%+v", f)
		}
		if f.Setting != "" && f.Setting != f.Name && !slices.ContainsFunc(Fields, func(ours Field) bool { return ours.Name == f.Setting }) {
			t.Errorf("%s means %s, which is no field", f.Name, f.Setting)
		}
	}
}

// TestEveryCharacterOfANameOrAPath tries each of ASCII, and one beyond, where
// strings have an alphabet of their own.
func TestEveryCharacterOfANameOrAPath(t *testing.T) {
	const letters, digits = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", "0123456789"
	const punctuation = "!\"$%&'()+,-./:;<=>@[\\]^_`{|}~" // what stands in a path, less the "*", "?" and "#" of other meaning
	quoted := func(s string) string {
		text, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	for r := range rune(0x81) {
		c := string(r)
		for _, place := range []struct{ name, text, set string }{
			{"the first of a prefix", `{"mode":"off","stat_prefix":` + quoted(c+"x") + `}`, letters + digits + "_-"},
			{"in a prefix", `{"mode":"off","stat_prefix":` + quoted("x"+c+"x") + `}`, letters + digits + "_-."},
			{"the last of a prefix", `{"mode":"off","stat_prefix":` + quoted("x"+c) + `}`, letters + digits + "_-"},
			{"in a path", `{"rules":[{"paths":[` + quoted("/a"+c+"b") + `],"policy":{"mode":"off"}}]}`, letters + digits + punctuation},
		} {
			_, _, err := Parse([]byte(place.text))
			if want := strings.Contains(place.set, c); (err == nil) != want {
				t.Errorf("%q may stand %s: %v", c, place.name, err)
			}
		}
	}
}
