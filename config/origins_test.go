package config

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestOriginRefusals(t *testing.T) {
	for _, group := range []struct {
		name string
		rows []row
	}{
		{"strings that are no pattern", []row{
			{
				json: `{"allow_origins":["https://a.example/","https://a.example/x","https://u@a.example",` +
					`"https://a.example?q","https://a .example","https://bücher.example","https://a.example:443",` +
					`"https://a.example:0","https://a.example:65536","https://a.*.example","https://*.192.0.2.1","a.example",""]}`,
				problems: "allow_origins[0] bad-origin, allow_origins[1] bad-origin, allow_origins[2] bad-origin, " +
					"allow_origins[3] bad-origin, allow_origins[4] bad-origin, allow_origins[5] bad-origin, " +
					"allow_origins[6] bad-origin, allow_origins[7] bad-origin, allow_origins[8] bad-origin, " +
					"allow_origins[9] bad-origin, allow_origins[10] bad-origin, allow_origins[11] bad-origin, allow_origins[12] bad-origin",
			},
			{json: `{"allow_origins":["https://a.example,https://b.example"]}`, problems: "allow_origins[0] bad-origin"},
			{json: `{"allow_origins":["NULL"]}`, problems: "allow_origins[0] bad-origin"},
			{
				json:     `{"allow_origins":["https://a.example"],"timing_allow_origins":["https://a.example/"]}`,
				problems: "timing_allow_origins[0] bad-origin",
			},
		}},
		{"upper case alone is warned of", []row{
			{json: `{"allow_origins":["HTTPS://A.example"]}`, warnings: "allow_origins[0] lower-cased"},
			{json: `{"allow_origins":[{"exact":"https://A.example","ignore_case":true}]}`},
		}},
		{"null wants its waiver", []row{
			{json: `{"allow_origins":["null"]}`, problems: "allow_origins[0] null-origin"},
			{json: `{"allow_origins":[{"exact":"null"}]}`, problems: "allow_origins[0] null-origin"},
			{json: `{"allow_origins":["null"],"dangerously_tolerate":["null-origin"]}`},
			{
				json:     `{"allow_origins":["null"],"dangerously_tolerate":["any-origin-with-credentials"]}`,
				problems: "allow_origins[0] null-origin",
				warnings: "dangerously_tolerate[0] no-effect",
			},
			{json: `{"allow_origins":["null",{"exact":"null"}],"dangerously_tolerate":["null-origin"]}`, warnings: "allow_origins[1] duplicate"},
			{json: with(`"timing_allow_origins":["null"]`), problems: "timing_allow_origins[0] null-origin"},
		}},
		{"any origin with credentials wants its waiver", []row{
			{json: `{"allow_origins":["*"],"allow_credentials":true}`, problems: "allow_origins[0] any-origin-with-credentials"},
			{
				json:     `{"allow_origins":["https://a.example",{"exact":"*"}],"allow_credentials":true}`,
				problems: "allow_origins[1] any-origin-with-credentials",
				warnings: "allow_origins[1] matches-any-origin, allow_origins[0] covered",
			},
			{json: `{"allow_origins":["*"],"allow_credentials":true,"dangerously_tolerate":["any-origin-with-credentials"]}`},
			{json: `{"allow_origins":["*"]}`},
			{json: `{"allow_origins":["*"],"dangerously_tolerate":["any-origin-with-credentials"]}`, warnings: "dangerously_tolerate[0] no-effect"},
			{
				json: `{"rules":[{"policy":{"allow_origins":["*"],"allow_credentials":true}}],"allow_origins":["*"],` +
					`"allow_credentials":true,"dangerously_tolerate":["any-origin-with-credentials"]}`,
				problems: "rules[0].policy.allow_origins[0] any-origin-with-credentials",
				warnings: "rules covered",
			},
		}},
		{"plain http with credentials wants its waiver", []row{
			{
				json:     `{"allow_origins":["http://a.example","http://*.a.example:*"],"allow_credentials":true}`,
				problems: "allow_origins[0] insecure-origin, allow_origins[1] insecure-origin",
			},
			{
				json:     `{"allow_origins":["http://192.168.0.1","http://localhost.example"],"allow_credentials":true}`,
				problems: "allow_origins[0] insecure-origin, allow_origins[1] insecure-origin",
			},
			{json: `{"allow_origins":["http://localhost:3000","http://*.localhost","http://127.0.0.1:*","http://[::1]"],"allow_credentials":true}`},
			{json: `{"allow_origins":["http://a.example"]}`},
			{json: `{"allow_origins":["http://a.example"],"allow_credentials":true,"dangerously_tolerate":["insecure-origin"]}`},
		}},
		{"every name below a top-level domain with credentials wants its waiver", []row{
			{
				json:     `{"allow_origins":["https://*.com","https://*.com.","https://*.dev:*"],"allow_credentials":true}`,
				problems: "allow_origins[0] public-suffix-wildcard, allow_origins[1] public-suffix-wildcard, allow_origins[2] public-suffix-wildcard",
			},
			{
				json:     `{"allow_origins":["http://*.com"],"allow_credentials":true}`,
				problems: "allow_origins[0] insecure-origin, allow_origins[0] public-suffix-wildcard",
			},
			{json: `{"allow_origins":["https://*.com"],"allow_credentials":true,"dangerously_tolerate":["public-suffix-wildcard"]}`},
			{json: `{"allow_origins":["https://*.com"]}`, warnings: "allow_origins[0] public-suffix-wildcard"},
		}},
		{"every name below a public suffix with credentials wants its waiver", []row{
			{
				json:     credentials("https://*.co.uk", "https://*.github.io:8443", "https://*.k12.ca.us:[443,8443]"),
				problems: "allow_origins[0] public-suffix-wildcard, allow_origins[1] public-suffix-wildcard, allow_origins[2] public-suffix-wildcard",
			},
			{json: credentials("capacitor://*.vercel.app:*", "app://*.com")}, // no names of the DNS
			{
				json: credentials(
					"https://*.example.co.uk", "https://*.me.github.io", "https://co.uk", "https://*.example.com.", "https://a.github.io",
				),
			},
			{
				json:     credentials("https://*.co.uk.", "https://*.CO.UK"),
				problems: "allow_origins[0] public-suffix-wildcard, allow_origins[1] public-suffix-wildcard",
				warnings: "allow_origins[1] lower-cased",
			},
			// *.ck and !www.ck; *.kawasaki.jp and !city.kawasaki.jp
			{
				json: credentials("https://*.ck", "https://*.x.mm", "https://*.kawasaki.jp", "https://*.x.kobe.jp"),
				problems: "allow_origins[0] public-suffix-wildcard, allow_origins[1] public-suffix-wildcard, allow_origins[2] " +
					"public-suffix-wildcard, allow_origins[3] public-suffix-wildcard",
			},
			{json: credentials("https://*.www.ck", "https://*.city.kawasaki.jp", "https://*.y.x.ck")},
			// Not public itself, and unlisted origins own names below it all the same.
			{
				json:     credentials("https://*.amazonaws.com", "https://*.compute.amazonaws.com.cn"),
				problems: "allow_origins[0] public-suffix-wildcard, allow_origins[1] public-suffix-wildcard",
			},
			{json: credentials("https://*.localhost", "https://*.localhost.")},
			{json: credentials("https://*.local"), problems: "allow_origins[0] public-suffix-wildcard"}, // on no list: by the list's own default
			{
				json:     `{"allow_origins":[{"regex":"https://.*\\.github\\.io"}],"allow_credentials":true}`,
				problems: "allow_origins[0] any-origin-with-credentials",
			},
			{json: `{"allow_origins":["https://*.co.uk"]}`, warnings: "allow_origins[0] public-suffix-wildcard"},
			{json: `{"allow_origins":["https://*.co.uk"],"allow_credentials":true,"dangerously_tolerate":["public-suffix-wildcard"]}`},
			{
				json:     `{"allow_origins":["https://*.a.co.uk"],"allow_credentials":true,"dangerously_tolerate":["public-suffix-wildcard"]}`,
				warnings: "dangerously_tolerate[0] no-effect",
			},
			{
				json:     `{"rules":[{"hosts":["a.example"],"policy":{"allow_origins":["https://*.co.uk"],"allow_credentials":true}}]}`,
				problems: "rules[0].policy.allow_origins[0] public-suffix-wildcard",
			},
		}},
		{"files want the waiver of null", []row{
			{json: `{"allow_origins":["file://"]}`, problems: "allow_origins[0] null-origin"},
			{json: `{"allow_origins":[{"exact":"FILE://"}]}`, problems: "allow_origins[0] null-origin", warnings: "allow_origins[0] lower-cased"},
			{json: `{"allow_origins":["file://"],"dangerously_tolerate":["null-origin"]}`},
			{json: `{"allow_origins":["file://"],"dangerously_tolerate":["null-origin"],"allow_credentials":true}`},
			{
				json:     `{"allow_origins":["file://"],"dangerously_tolerate":["insecure-origin"]}`,
				problems: "allow_origins[0] null-origin",
				warnings: "dangerously_tolerate[0] no-effect",
			},
			{json: `{"allow_origins":["file:///home/me/index.html"]}`, problems: "allow_origins[0] bad-origin"},
			{json: with(`"timing_allow_origins":["file://"]`), problems: "timing_allow_origins[0] null-origin"},
		}},
		{"hosts of other schemes are no names", []row{
			{
				json: credentials(
					"app://.", "qrc://", "capacitor://localhost", "ionic://localhost", "app://My_App~1!",
					"chrome-extension://abcdefghijklmnopabcdefghijklmnop", "app://..a", "app://1",
				),
			},
			{json: credentials("APP://My_App"), warnings: "allow_origins[0] lower-cased"},
			{
				json: `{"allow_origins":["app://a,b","app://a b","moz-extension://","app://:80","app://{a}"]}`,
				problems: "allow_origins[0] bad-origin, allow_origins[1] bad-origin, allow_origins[2] bad-origin, " +
					"allow_origins[3] bad-origin, allow_origins[4] bad-origin",
			},
			{json: `{"allow_origins":["app://My_App",{"exact":"app://my_app"}]}`, warnings: "allow_origins[1] duplicate"},
		}},
		{"every host of a scheme is warned of for the web, and wants its waiver with credentials", []row{
			{json: `{"allow_origins":["https://*"]}`, warnings: "allow_origins[0] matches-any-origin"},
			{json: `{"allow_origins":["http://*:8080"]}`, warnings: "allow_origins[0] matches-any-origin"},
			{json: `{"allow_origins":["moz-extension://*","app://*:*"]}`},
			{
				json: credentials("https://*", "http://*:*", "moz-extension://*", "app://*"),
				problems: "allow_origins[0] any-origin-with-credentials, allow_origins[1] any-origin-with-credentials, " +
					"allow_origins[2] any-origin-with-credentials, allow_origins[3] any-origin-with-credentials",
			},
			{
				json: `{"allow_origins":["http://*","moz-extension://*"],"allow_credentials":true,` +
					`"dangerously_tolerate":["any-origin-with-credentials"]}`,
			},
			{
				json:     `{"allow_origins":["moz-extension://*"],"dangerously_tolerate":["any-origin-with-credentials"]}`,
				warnings: "dangerously_tolerate[0] no-effect",
			},
			{json: `{"allow_origins":["*","https://*","app://*"]}`, warnings: "allow_origins[1] covered, allow_origins[2] covered"},
			{
				json:     `{"allow_origins":["https://*","*"],"allow_credentials":true}`,
				problems: "allow_origins[1] any-origin-with-credentials",
				warnings: "allow_origins[0] covered",
			},
			{
				json:     `{"allow_origins":["https://a.example","https://*.b.example","https://*","https://a.example:1","http://a.example"]}`,
				warnings: "allow_origins[2] matches-any-origin, allow_origins[0] covered, allow_origins[1] covered",
			},
			{
				json:     `{"allow_origins":[{"exact":"https://*"},{"exact":"app://*"}]}`,
				problems: "allow_origins[0] bad-origin, allow_origins[1] bad-origin",
			},
			{
				json:     `{"allow_origins":["https://*",{"regex":"https://\\*|https://a\\.example"}]}`,
				warnings: "allow_origins[0] matches-any-origin, allow_origins[1] better-as-pattern",
			},
			{json: with(`"timing_allow_origins":["https://*"]`)},
			{
				json: `{"allow_origins":["https://*","http://*","app://*"],"allow_private_network_access":true}`,
				warnings: "allow_origins[0] matches-any-origin, allow_origins[1] matches-any-origin, allow_origins[0] " +
					"private-network, allow_origins[1] private-network",
			},
		}},
		{"entries without effect are warned of", []row{
			{json: `{"allow_origins":["https://a.example","https://b.example","https://a.example"]}`, warnings: "allow_origins[2] duplicate"},
			{json: `{"allow_origins":["https://a.example:[443]",{"exact":"https://a.example"}]}`, warnings: "allow_origins[1] duplicate"},
			{json: `{"allow_origins":["https://x.a.example","https://*.a.example"]}`, warnings: "allow_origins[0] covered"},
			{json: `{"allow_origins":["https://*.x.a.example","https://*.a.example:*","https://a.example"]}`, warnings: "allow_origins[0] covered"},
			{json: `{"allow_origins":["https://a.example:8080","https://a.example:[8080,8443]"]}`, warnings: "allow_origins[0] covered"},
			{json: `{"allow_origins":["https://a.b.example","https://*.b.example"]}`, warnings: "allow_origins[0] covered"},
			{
				json:     `{"allow_origins":["https://a.example","*","https://b.example","*"]}`,
				warnings: "allow_origins[3] duplicate, allow_origins[0] covered, allow_origins[2] covered",
			},
			{json: `{"allow_origins":["http://a.example","https://a.example","https://*.a.example","https://a.example:8443"]}`},
			{json: with(`"timing_allow_origins":["*","https://a.example"]`), warnings: "timing_allow_origins[1] covered"},
			{json: `{"allow_origins":["*","null"],"dangerously_tolerate":["null-origin"]}`, warnings: "allow_origins[1] covered"},
			{
				json:     `{"allow_origins":["https://a.example:[1,2]","https://a.example:[2,3]","https://a.example:[1,3]"]}`,
				warnings: "allow_origins[2] covered",
			},
		}},
		{"matcher objects say one thing", []row{
			{json: `{"allow_origins":[{}]}`, problems: "allow_origins[0] missing"},
			{json: `{"allow_origins":[{"ignore_case":true}]}`, problems: "allow_origins[0] missing"},
			{json: `{"allow_origins":[{"exact":"https://a.example","regex":"x"}]}`, problems: "allow_origins[0].regex bad-value"},
			{json: `{"allow_origins":[{"exact":1}]}`, problems: "allow_origins[0].exact wrong-type"},
			{json: `{"allow_origins":[{"exact":"https://a.example","ignoreCase":"yes"}]}`, problems: "allow_origins[0].ignoreCase wrong-type"},
			{
				json: `{"allow_origins":[{"exact":"https://*.a.example"},{"exact":"https://a.example:*"},` +
					`{"exact":"https://a.example:[8080,8443]"}]}`,
				problems: "allow_origins[0] bad-origin, allow_origins[1] bad-origin, allow_origins[2] bad-origin",
			},
			{
				json:     `{"allow_origins":[{"exact":"http://*.com"}],"allow_credentials":true}`,
				problems: "allow_origins[0] bad-origin",
			}, // what else is wrong with it is of no interest
			{
				json:     `{"allow_origins":[{"exact":"https://a.example/"},{"exact":"x"}]}`,
				problems: "allow_origins[0] bad-origin, allow_origins[1] bad-origin",
			},
			{json: `{"allow_origins":[{"safe_regex":"x"}]}`, problems: "allow_origins[0].safe_regex wrong-type"},
			{json: `{"allow_origins":[{"safe_regex":{}}]}`, problems: "allow_origins[0].safe_regex missing"},
			{
				json:     `{"allow_origins":[{"safe_regex":{"regex":"https://a\\.example","google_re2":1}}]}`,
				problems: "allow_origins[0].safe_regex.google_re2 wrong-type",
			},
			{
				json:     `{"allow_origins":[{"safe_regex":{"regexp":"x"}}]}`,
				problems: "allow_origins[0].safe_regex.regexp unknown-key, allow_origins[0].safe_regex missing",
			},
		}},
		{"regexes that do not compile", []row{
			{
				json: `{"allow_origins":[{"regex":"("},{"regex":"a)|(b"},{"regex":"(?=x)"},{"regex":"a**"},{"regex":"\\"},` +
					`{"regex":"[z-a]"},{"regex":"a{1001}"},{"regex":"(?P<n>a)(?P=n)"},{"regex":""},{"regex":"` + strings.Repeat("a", 2049) +
					`"},{"regex":"` + strings.Repeat("a", 2048) + `"}]}`,
				problems: "allow_origins[0] bad-regex, allow_origins[1] bad-regex, allow_origins[2] bad-regex, allow_origins[3] " +
					"bad-regex, allow_origins[4] bad-regex, allow_origins[5] bad-regex, allow_origins[6] bad-regex, " +
					"allow_origins[7] bad-regex, allow_origins[8] bad-value, allow_origins[9] costly-matcher",
				warnings: "allow_origins[10] no-effect",
			},
		}},
		{"prefix, suffix and contains want their waiver", []row{
			{
				json: `{"allow_origins":[{"prefix":"https://a"},{"suffix":".a.example"},{"contains":"a"},{"prefix":""}]}`,
				problems: "allow_origins[0] loose-origin-match, allow_origins[1] loose-origin-match, allow_origins[2] " +
					"loose-origin-match, allow_origins[3] bad-value",
			},
			{json: `{"allow_origins":[{"suffix":".a.example"}],"dangerously_tolerate":["loose-origin-match"]}`},
			{
				json: `{"allow_origins":[{"prefix":"https://a.example"},{"contains":"a.example"},` +
					`{"suffix":"a.example"}],"dangerously_tolerate":["loose-origin-match"]}`,
				warnings: "allow_origins[0] matches-any-origin, allow_origins[1] matches-any-origin, allow_origins[0] covered, " +
					"allow_origins[2] matches-any-origin, allow_origins[2] covered",
			},
			{
				json:     `{"allow_origins":[{"prefix":"https://a.example"}],"dangerously_tolerate":["loose-origin-match"],"allow_credentials":true}`,
				problems: "allow_origins[0] any-origin-with-credentials",
			},
			{
				json: `{"allow_origins":[{"prefix":"https://a.example"}],"dangerously_tolerate":["loose-origin-match",` +
					`"any-origin-with-credentials"],"allow_credentials":true}`,
			},
			{
				json:     `{"allow_origins":[{"suffix":".a.example"}],"dangerously_tolerate":["loose-origin-match"],"allow_credentials":true}`,
				problems: "allow_origins[0] insecure-origin",
			},
			{
				json: `{"allow_origins":[{"suffix":"://a.example"}],"dangerously_tolerate":["loose-origin-match",` +
					`"insecure-origin"],"allow_credentials":true}`,
			},
			{
				json:     `{"allow_origins":["*",{"prefix":"https://a.example"}],"dangerously_tolerate":["loose-origin-match"]}`,
				warnings: "allow_origins[1] covered",
			},
		}},
	} {
		t.Run(group.name, func(t *testing.T) { checkRows(t, group.rows) })
	}
}

// TestMatchersOfStarMeanAnyOrigin holds what Envoy does, which asks every
// matcher for the text "*" before it asks for the origin.
func TestMatchersOfStarMeanAnyOrigin(t *testing.T) {
	const warned = "allow_origins[0] matches-any-origin"
	for _, matcher := range []string{
		`{"exact":"*"}`, `{"exact":"*","ignore_case":true}`, `{"prefix":"*"}`, `{"suffix":"*"}`, `{"contains":"*"}`,
		`{"prefix":"*","ignore_case":true}`,
		`{"safe_regex":{"regex":"\\*"}}`, `{"safeRegex":{"googleRe2":{},"regex":"[*]"}}`, `{"regex":"\\*|https://a\\.example"}`,
		`{"regex":".*"}`, `{"regex":"."}`, `{"regex":"^.+$"}`,
		`{"regex":"(?i).*","ignore_case":true}`, `{"regex":"\\*.*"}`, `{"regex":"[^:/]*"}`,
	} {
		for _, key := range []string{"allow_origins", "allowOrigins", "allow_origin_string_match", "allow_origin"} {
			text := func(members string) string { return `{"` + key + `":[` + matcher + `]` + members + `}` }
			rename := func(place string) string { return strings.Replace(place, "allow_origins", key, 1) }
			p, got := judge(t, text(""))
			if len(got.problems) > 0 || !slices.Equal(got.warnings, split(rename(warned))) {
				t.Fatalf("%s: %q, %q", text(""), got.problems, got.warnings)
			}
			if !p.Default.Wildcard() || p.Default.Origins.Match("https://a.example") != Matches || p.Default.Origins.Match("null") != Matches {
				t.Errorf("%s: %+v", text(""), p.Default)
			}
			if _, got := judge(t, text(`,"allow_credentials":true`)); !slices.Equal(
				got.problems, split(rename("allow_origins[0] any-origin-with-credentials")),
			) {
				t.Errorf("%s with credentials: %q", text(""), got.problems)
			}
			p, got = judge(t, text(`,"allow_credentials":true,"dangerously_tolerate":["any-origin-with-credentials"]`))
			if p == nil || !p.Default.Origins.Any || !slices.Equal(got.warnings, split(rename(warned))) {
				t.Errorf("%s with the waiver: %q, %q", text(""), got.problems, got.warnings)
			}
			if _, got := judge(
				t, text(`,"dangerously_tolerate":["loose-origin-match"]`),
			); !slices.Contains(got.warnings, "dangerously_tolerate[0] no-effect") {
				t.Errorf("%s needs the waiver: %q", text(""), got.warnings)
			}
		}
		if p := mustParse(t, with(`"timing_allow_origins":[`+matcher+`]`)); !p.Default.Timing.Any {
			t.Errorf("%s is not any origin for timing", matcher)
		}
	}
	checkRows(t, []row{
		// A regex matches as a whole, in Envoy as here.
		{json: `{"allow_origins":[{"regex":"https://\\*"}]}`, warnings: "allow_origins[0] no-effect"},
		{json: `{"allow_origins":[{"regex":".."}]}`, warnings: "allow_origins[0] no-effect"},
		{json: `{"allow_origins":[{"prefix":"**"}]}`, problems: "allow_origins[0] loose-origin-match"},
		{json: `{"allow_origins":["*",{"exact":"*"},{"exact":"*"},{"regex":".*"},{"prefix":"https://a"}]}`,
			problems: "allow_origins[4] loose-origin-match",
			warnings: "allow_origins[1] duplicate, allow_origins[2] duplicate, allow_origins[3] duplicate, allow_origins[1] " +
				"matches-any-origin, allow_origins[2] matches-any-origin, allow_origins[3] matches-any-origin"},
		{json: `{"allow_origins":[{"regex":".*"},{"regex":".*"}],"allow_credentials":true}`,
			problems: "allow_origins[0] any-origin-with-credentials",
			warnings: "allow_origins[1] duplicate, allow_origins[0] matches-any-origin, allow_origins[1] matches-any-origin"},
	})
}

func TestWhatRegexesLetIn(t *testing.T) {
	const (
		anyone   = "allow_origins[0] any-origin-with-credentials"
		insecure = "allow_origins[0] insecure-origin"
		better   = "allow_origins[0] better-as-pattern"
	)
	for _, group := range []struct {
		name     string
		regexes  []string
		problems string
		warnings string
	}{
		{"tight ones pass", []string{
			`https://(foo|bar)\.a\.example`, `https://a\.example|https://b\.example`, `https://app-[0-9]+\.a\.example`,
			`https://([a-z]+-)?preview\.a\.example`, `https://[a-z0-9-]+\.a\.example(:\d+)?`, `https://.*\.a\.(example|test)`,
			`https://[^.]+\.a\.example:80(80|81)`, `http://localhost:[0-9]+|https://a\.example`, `https://(www\.)?a\.example`,
			`^(https://a\.example|https://b\.example:8443)$`,
		}, "", ""},
		{"tight ones that a pattern says better", []string{
			`https://a\.example`, `^https://a\.example$`, `https://.*\.a\.example`, `^https://.+\.a\.example$`, `(?i)https://a\.example`,
			`https://(.*\.)a\.example(:\d+)?`, `http://localhost(:[0-9]+)?`,
		}, "", better},
		{
			"what matches everything",
			[]string{`.*`, `.+`, `^.*$`, `https?://.*`, `.*://.*`, `[\s\S]*`, `(?i).*`, `|.*`, `(.*|https://a\.example)`}, anyone, "",
		},
		{
			"what matches every https origin",
			[]string{`https://.*`, `https://.+`, `https://[^/]+`, `https://[^:]+(:\d+)?`, `https://[a-z.]+`, `https://\w+\.\w+`}, anyone, "",
		},
		{
			"no dot before the domain",
			[]string{`https://.*a\.example`, `https://[a-z]*a\.example`, `https://(.*)a\.example`, `https://\S*a\.example`}, anyone, "",
		},
		{
			"open behind the domain",
			[]string{
				`https://a\.example.*`, `https://a\.example.+`, `https://a\.example(\..+)?`, `https://.*\.a\.example.*`, `https://a\.example[^/]*`,
			},
			anyone, "",
		},
		{
			"dots that stand for any letter",
			[]string{
				`https://a.example`, `^https://www.a.example$`, `https://.*.a\.example`, `https://api.a\.example`, `https://(foo|bar).a.example`,
			},
			anyone, "",
		},
		{
			"one alternative is enough",
			[]string{`https://a\.example|https://.*`, `https://a\.example|https://b.example`, `https://a\.example|https://.*c\.example`}, anyone,
			"",
		},
		{"names below a top-level domain", []string{`https://[a-z]+\.com`, `https://[a-z0-9-]+\.io`, `https://.*\.dev`}, anyone, ""},
		{
			"plain http as well",
			[]string{
				`https?://.*\.a\.example`, `http://a\.example|https://a\.example`, `(http|https)://a\.example`, `.*\.a\.example`, `.+://a\.example`,
				`[a-z]+://(.*\.)?a\.example`, `.*//a\.example(:\d+)?`,
			},
			insecure, "",
		},
	} {
		t.Run(group.name, func(t *testing.T) {
			for _, regex := range group.regexes {
				// An asPattern warning may stand beside a refusal; it is not the point.
				_, got := judge(t, `{"allow_credentials":true,"allow_origins":[{"regex":`+quoteJSON(regex)+`}]}`)
				if !slices.Equal(got.problems, split(group.problems)) || group.problems == "" && !slices.Equal(got.warnings, split(group.warnings)) {
					t.Errorf("%s: %q, %q; want %q, %q", regex, got.problems, got.warnings, group.problems, group.warnings)
				}
				if group.problems != anyone {
					continue
				}
				_, got = judge(t, `{"allow_origins":[{"regex":`+quoteJSON(regex)+`}]}`)
				if len(got.problems) > 0 || !slices.Contains(got.warnings, "allow_origins[0] matches-any-origin") {
					t.Errorf("%s without credentials: %q, %q", regex, got.problems, got.warnings)
				}
				if _, got = judge(
					t,
					`{"allow_credentials":true,"dangerously_tolerate":["any-origin-with-credentials",`+
						`"insecure-origin"],"allow_origins":[{"regex":`+quoteJSON(regex)+`}]}`,
				); len(got.problems) > 0 {
					t.Errorf("%s with waivers: %q", regex, got.problems)
				}
			}
		})
	}
}

func quoteJSON(s string) string {
	return `"` + strings.ReplaceAll(strings.ReplaceAll(s, `\`, `\\`), `"`, `\"`) + `"`
}

func TestMatch(t *testing.T) {
	const tolerant = `,"dangerously_tolerate":["loose-origin-match","null-origin"]`
	for _, c := range []struct {
		name                       string
		origins                    string
		matches, others, malformed []string
	}{
		{
			name: "one origin", origins: `["https://a.example"]`,
			matches: []string{"https://a.example", "HTTPS://A.example"},
			others:  []string{"null", "http://a.example", "https://a.example:8443", "https://b.example", "app://x"},
			malformed: []string{
				"", " ", "NULL", "*", "https://a.example/", "https://a.example:443", "https://a.example, https://a.example", "https://a.example\x00",
				"https://" + strings.Repeat("a", 505), "a.example",
			},
		},
		{
			name: "any origin, null included", origins: `["*"]`,
			matches:   []string{"https://x.example", "null", "app://x", "http://192.0.2.1:1"},
			malformed: []string{"", "*", "null,null", "https://a.example/", "http://a.example:80"},
		},
		{
			name: "null", origins: `["null"]`,
			matches: []string{"null"}, others: []string{"https://null", "null://null"}, malformed: []string{"NULL", "null ", " null"},
		},
		{
			name:    "files and apps",
			origins: `["file://","app://.","qrc://","capacitor://My_App~1!","moz-extension://*","https://*:8443",{"regex":"ionic://[a-z]*"}]`,
			matches: []string{
				"file://", "FILE://", "app://.", "qrc://", "capacitor://my_app~1!", "Capacitor://MY_APP~1!",
				"moz-extension://d3a2d8ba-7c2b-4b1c-9a30-0123456789ab", "moz-extension://A_B",
				"https://x:8443", "https://[::1]:8443", "ionic://localhost", "ionic://", "IONIC://LocalHost",
			},
			others: []string{
				"null", "app://", "app://..", "app://.:80", "qrc://.", "capacitor://my_app", "chrome-extension://a", "https://x", "files://",
				"ionic://1",
			},
			malformed: []string{
				"file:///", "file://a", "file:", "app://./", "qrc:///", "app://.,app://.", "file://, null", "moz-extension://*", "https://*:8443",
				"qrc://:1",
			},
		},
		{
			name: "alternatives are anchored as a whole", origins: `[{"regex":"https://a\\.example|https://b\\.example"}]`,
			matches:   []string{"https://a.example", "https://b.example"},
			others:    []string{"https://a.example.evil.example", "https://a.example:8443", "https://b.exampleX", "xhttps://b.example"},
			malformed: []string{"https://a.example/https://b.example", "https://a.example\nhttps://b.example"},
		},
		{
			name: "a multi-line flag opens nothing", origins: `[{"regex":"(?m)^https://a\\.example$"},{"regex":"(?s)https://b.*\\.example"}]`,
			matches:   []string{"https://a.example", "https://bx.example"},
			malformed: []string{"https://a.example\n", "\nhttps://a.example", "https://b\n.example", "https://b/.example"},
		},
		{
			name:    "case in a regex",
			origins: `[{"regex":"https://A\\.example","ignore_case":true},{"safe_regex":{"google_re2":{},"regex":"https://b\\.example"}}]`,
			matches: []string{"https://a.example", "https://b.example"}, others: []string{"https://c.example"},
		},
		{
			name: "prefix", origins: `[{"prefix":"https://a.example:30"}]`,
			matches:   []string{"https://a.example:3000", "https://a.example:30"},
			others:    []string{"https://a.example", "https://b.example", "http://a.example:3000", "xhttps://a.example:30"},
			malformed: []string{"https://a.example:30/"},
		},
		{
			name: "suffix", origins: `[{"suffix":".a.example"}]`,
			matches:   []string{"https://x.a.example", "http://x.y.a.example", "app://x.a.example"},
			others:    []string{"https://a.example", "https://x.a.example:1"},
			malformed: []string{"https://evil.example/.a.example", "https://evil.example#.a.example", ".a.example"},
		},
		{
			name: "contains, in any case", origins: `[{"contains":"A.EXA","ignore_case":true},{"contains":"B.EXA"}]`,
			matches: []string{"https://a.example", "https://xa.exam"}, others: []string{"https://b.example", "https://a.ex"},
			malformed: []string{"https://evil.example?a.exa"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := mustParse(t, `{"allow_origins":`+c.origins+tolerant+`}`).Default
			for want, values := range map[Match][]string{Matches: c.matches, NoMatch: c.others, MalformedOrigin: c.malformed} {
				for _, value := range values {
					if got := p.Origins.Match(value); got != want {
						t.Errorf("Match(%q) = %d, want %d", value, got, want)
					}
				}
			}
			if p.Origins.Empty() || !p.Timing.Empty() {
				t.Error("Empty is wrong")
			}
		})
	}
}

// TestMatchAgreesWithALoop compares with a reading of each entry on its own,
// without the set: the scheme, then the host, then the port.
func TestMatchAgreesWithALoop(t *testing.T) {
	schemes, hosts, ports := []string{"http", "https", "app"}, []string{"a.b", "b", "x.a.b", "xa.b", "c"}, []string{"", ":81", ":8080"}
	rapid.Check(t, func(t *rapid.T) {
		type entry struct {
			scheme, host, port string
			below              bool
		}
		entries := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) entry {
			return entry{
				rapid.SampledFrom(schemes).Draw(t, "scheme"), rapid.SampledFrom(hosts).Draw(t, "host"),
				rapid.SampledFrom(append(ports, ":*")).Draw(t, "port"), rapid.Bool().Draw(t, "below"),
			}
		}), 1, 8).Draw(t, "entries")
		var list []string
		for _, e := range entries {
			star := ""
			if e.below {
				star = "*."
			}
			list = append(list, `"`+e.scheme+"://"+star+e.host+e.port+`"`)
		}
		json := `{"allow_origins":[` + strings.Join(list, ",") + `]}`
		p := mustParse(t, json).Default
		for _, scheme := range schemes {
			for _, host := range hosts {
				for _, port := range ports {
					want := NoMatch
					for _, e := range entries {
						inHost := host == e.host
						if e.below {
							inHost = strings.HasSuffix(host, "."+e.host)
						}
						if e.scheme == scheme && inHost && (e.port == ":*" || e.port == port) {
							want = Matches
						}
					}
					if got := p.Origins.Match(scheme + "://" + host + port); got != want {
						t.Fatalf("%s://%s%s: %d, want %d with %s", scheme, host, port, got, want, json)
					}
				}
			}
		}
	})
}

func TestMatchDoesNotAllocate(t *testing.T) {
	p := mustParse(
		t,
		`{"allow_origins":["https://*.a.example","null","app://*","qrc://",`+
			`{"regex":"https://([a-z]+)\\.b\\.(example|test)"},{"prefix":"https://C","ignore_case":true}],`+
			`"dangerously_tolerate":["null-origin","loose-origin-match"]}`,
	).Default
	for value, want := range map[string]Match{
		"https://x.a.example": Matches, "HTTPS://X.A.EXAMPLE": Matches, "null": Matches, "app://My_App": Matches, "qrc://": Matches,
		"file://": NoMatch, "https://x.b.test": Matches, "HTTPS://X.B.Test": Matches, "https://cx": Matches,
		"https://evil.example": NoMatch, "https://a.example, https://b": MalformedOrigin, strings.Repeat("https://", 1000): MalformedOrigin,
		"https://" + strings.Repeat("a", 490) + ".b.test": Matches,
	} {
		if got := p.Origins.Match(value); got != want {
			t.Fatalf("Match(%.40q) = %d, want %d", value, got, want)
		}
		if n := testing.AllocsPerRun(100, func() { p.Origins.Match(value) }); n != 0 {
			t.Errorf("Match(%.40q): %v allocations", value, n)
		}
	}
}

func credentials(origins ...string) string {
	return `{"allow_origins":["` + strings.Join(origins, `","`) + `"],"allow_credentials":true}`
}

// TestAStringForAListOfOrigins: the remedy is the list that was meant.
func TestAStringForAListOfOrigins(t *testing.T) {
	for text, remedy := range map[string]string{
		"https://a.example":                     `write ["https://a.example"]`,
		"https://a.example, https://b.example,": `write ["https://a.example", "https://b.example"]`,
		"":                                      "write a list",
		strings.Repeat("a", 1000):               "write a list",
	} {
		_, _, err := Parse([]byte(`{"allow_origins": "` + text + `"}`))
		if problems, _ := err.(Problems); len(problems) != 1 || problems[0].Code != WrongType || problems[0].Remedy != remedy {
			t.Errorf("%q: %v, want %q", text, err, remedy)
		}
	}
}

// TestWebSocketsHaveThePagesOrigin: browsers send the page's origin, never ws or wss.
func TestWebSocketsHaveThePagesOrigin(t *testing.T) {
	for written, page := range map[string]string{
		"ws://a.example:81": "http://a.example:81", "wss://*.a.example": "https://*.a.example", "wss://a.example:443": "https://a.example",
	} {
		_, warnings, err := Parse([]byte(`{"allow_origins": ["` + written + `"]}`))
		if err != nil || len(warnings) != 1 || warnings[0].Code != NoEffect || warnings[0].Remedy != `write "`+page+`"` {
			t.Errorf("%s: %v, %v", written, warnings, err)
		}
	}
}
