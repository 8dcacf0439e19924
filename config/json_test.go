package config

import (
	"encoding/json"
	"strings"
	"testing"
)

const sample = `{"allow_origins": ["https://example.com", {"exact": "https://b.example"}], "allow_methods": "PUT, DELETE",
 "max_age": 6e2, "debug": true, "rules": [{"hosts": ["*.a.example"], "policy": {"mode": "off"}}], "stat_prefix": "é"}`

func TestTruncatedJSONIsRefused(t *testing.T) {
	whole := strings.Replace(sample, "é", "e", 1)
	mustParse(t, whole)
	for i := range whole {
		plugin, _, err := Parse([]byte(whole[:i]))
		problems, _ := err.(Problems)
		if plugin != nil || len(problems) != 1 || problems[0].Path != "" || problems[0].Code != Malformed && (i > 0 ||
			problems[0].Code != Missing) {
			t.Errorf("the first %d bytes: %v", i, err)
		}
	}
}

func TestJSON(t *testing.T) {
	const ok = `"allow_origins":["https://a.example"]`
	for _, group := range []struct {
		name string
		rows []row
	}{
		{"white space and a byte order mark around the object are fine", []row{
			{json: "\n\t {" + ok + "}\r\n "},
			{json: "\ufeff{" + ok + "}"},
		}},
		{"nothing is no configuration", []row{
			{json: "", problems: "missing"}, {json: " \n", problems: "missing"}, {json: "\ufeff", problems: "missing"},
		}},
		{"text behind the object", []row{
			{json: "{" + ok + "}}", problems: "malformed-json"},
			{json: "{" + ok + "} {}", problems: "malformed-json"},
			{json: "{" + ok + "}x", problems: "malformed-json"},
			{json: "{" + ok + "}\x00", problems: "malformed-json"},
			{json: "{" + ok + "},", problems: "malformed-json"},
		}},
		{"what JSON does not have", []row{
			{json: "{" + ok + ",}", problems: "malformed-json"},
			{json: "{'debug':true}", problems: "malformed-json"},
			{json: "{debug:true}", problems: "malformed-json"},
			{json: "{" + ok + "} // comment", problems: "malformed-json"},
			{json: `{"debug":True}`, problems: "malformed-json"},
			{json: `{"debug":NaN}`, problems: "malformed-json"},
			{json: `{"max_age":0600}`, problems: "malformed-json"},
			{json: `{"max_age":+600}`, problems: "malformed-json"},
			{json: `{"max_age":.5}`, problems: "malformed-json"},
			{json: "{\"stat_prefix\":\"a\nb\"}", problems: "malformed-json"},
			{json: `{"stat_prefix":"\x41"}`, problems: "malformed-json"},
			{json: "allow_origins: [https://a.example]", problems: "malformed-json"},
		}},
		{"invalid UTF-8", []row{
			{json: "{\"stat_prefix\":\"\xff\"," + ok + "}", problems: "malformed-json"},
			{json: "{\"stat_prefix\":\"\xc3\"," + ok + "}", problems: "malformed-json"},
			{json: "{\"stat_prefix\":\"\xed\xa0\x80\"," + ok + "}", problems: "malformed-json"},
			{json: "\xff\xfe{\x00", problems: "malformed-json"},
		}},
		{"deep nesting is refused before anything recurses", []row{
			{json: strings.Repeat("[", 65) + strings.Repeat("]", 65), problems: "malformed-json"},
			{json: strings.Repeat(`{"a":`, 100000), problems: "malformed-json"},
			{json: `{"allow_origins":` + strings.Repeat("[", 63) + strings.Repeat("]", 63) + "}", problems: "allow_origins[0] wrong-type"},
			{json: `{"stat_prefix":"` + strings.Repeat("[", 60) + `",` + ok + "}", problems: "stat_prefix bad-value"},
			{json: `{"stat_prefix":"\"` + strings.Repeat("[", 100) + `",` + ok + "}", problems: "stat_prefix bad-value"},
		}},
		{"the document is an object", []row{
			{json: "[]", problems: "wrong-type"}, {json: "null", problems: "wrong-type"}, {json: `"x"`, problems: "wrong-type"},
			{json: "1", problems: "wrong-type"}, {json: "true", problems: "wrong-type"},
		}},
		{"a key stands once, however it is written", []row{
			{json: "{" + ok + "," + ok + "}", problems: "allow_origins duplicate-key"},
			{json: "{" + ok + `,"allowOrigins":["https://b.example"]}`, problems: "allowOrigins duplicate-key"},
			{json: "{" + ok + `,"allow\u005forigins":["https://b.example"]}`, problems: "allow_origins duplicate-key"},
			{json: "{" + ok + `,"debug":true,"debug":true,"debug":false}`, problems: "debug duplicate-key, debug duplicate-key"},
			{json: "{" + ok + `,"rules":[],"rules":[]}`, problems: "rules duplicate-key"},
			{json: `{"rules":[{"policy":{"mode":"off"},"pol\u0069cy":{"mode":"off"}}]}`, problems: "rules[0].policy duplicate-key"},
			{
				json:     `{"allow_origins":[{"exact":"https://a.example","exact":"https://b.example"}]}`,
				problems: "allow_origins[0].exact duplicate-key",
			},
		}},
		{"keys in camel case and with escapes mean the same", []row{
			{json: `{"allow\u004frigins":["https://a.example"],"preflightStatus":200,"unmatchedPreflights":"forward","statPrefix":"x"}`},
			{json: `{"rules":[{"pol\u0069cy":{"mode":"off"}}]}`},
		}},
		{"an unknown key is refused", []row{
			{json: "{" + ok + `,"allow_origin_s":[]}`, problems: "allow_origin_s unknown-key"},
			{json: "{" + ok + `,"AllowMethods":[]}`, problems: "AllowMethods unknown-key"},
			{json: "{" + ok + `,"":1}`, problems: "unknown-key"},
			{json: "{" + ok + `,"$schema":"x"}`, problems: "$schema unknown-key"},
			{json: `{"rules":[{"policy":{"mode":"off","rules":[]}}]}`, problems: "rules[0].policy.rules unknown-key"},
			{json: `{"rules":[{"policy":{"mode":"off","stat_prefix":"x"}}]}`, problems: "rules[0].policy.stat_prefix unknown-key"},
			{json: `{"rules":[{"host":["a.example"],"policy":{"mode":"off"}}]}`, problems: "rules[0].host unknown-key"},
			{json: `{"allow_origins":[{"exakt":"https://a.example"}]}`, problems: "allow_origins[0].exakt unknown-key"},
		}},
		{"null stands for nothing", []row{
			{json: `{"allow_origins":null}`, problems: "allow_origins wrong-type"},
			{json: `{"allow_origins":[null]}`, problems: "allow_origins[0] wrong-type"},
			{json: "{" + ok + `,"max_age":null}`, problems: "max_age wrong-type"},
			{json: "{" + ok + `,"debug":null,"mode":null,"rules":null}`, problems: "debug wrong-type, mode wrong-type, rules wrong-type"},
			{json: `{"rules":[null]}`, problems: "rules[0] wrong-type"},
			{json: `{"rules":[{"policy":null}]}`, problems: "rules[0].policy wrong-type"},
		}},
	} {
		t.Run(group.name, func(t *testing.T) { checkRows(t, group.rows) })
	}
}

func TestRemediesNameTheNearestWord(t *testing.T) {
	for json, want := range map[string]string{
		`{"mode":"off","allow_orgins":[]}`:                     `did you mean "allow_origins"?`,
		`{"mode":"off","alowMethods":[]}`:                      `did you mean "allow_methods"?`,
		`{"mode":"off","maxage":1}`:                            `did you mean "max_age"?`,
		`{"mode":"off","zzzzzzzzzzzz":1}`:                      "known here: " + strings.Join(topKeys.names, ", "),
		`{"mode":"off","` + strings.Repeat("a", 70) + `":1}`:   "known here: " + strings.Join(topKeys.names, ", "),
		`{"mode":"off","dangerously_tolerate":["nul-origin"]}`: `did you mean "null-origin"?`,
		`{"mode":"of"}`: `write "enforce", "shadow" or "off"`,
	} {
		_, _, err := Parse([]byte(json))
		problems, _ := err.(Problems)
		if len(problems) == 0 || problems[0].Remedy != want {
			t.Errorf("%s: %+v, want the remedy %q", json, problems, want)
		}
	}
}

// TestNearestWords holds how far a slip may go: half the letters of the word.
func TestNearestWords(t *testing.T) {
	for _, c := range []struct{ word, known, want string }{
		{"ab", "ax", "ax"}, {"ab", "xy", ""}, {"a", "b", ""}, {"abc", "abx", "abx"}, {"abc", "axy", ""}, {"abcd", "abxy", "abxy"},
		{"abcd", "axyz", ""},
		{"ABx", "abz aby", "abz"}, {"abx", "abyz aby abz", "aby"}, {"", "a", ""}, {"abcd", "", ""},
	} {
		want := "known here: " + strings.Join(strings.Fields(c.known), ", ")
		if c.want != "" {
			want = `did you mean "` + c.want + `"?`
		}
		if got := Nearest(c.word, strings.Fields(c.known)); got != want {
			t.Errorf("nearest to %q of %q: %s, want %s", c.word, c.known, got, want)
		}
	}
}

// TestEdits compares with the definition of the distance.
func TestEdits(t *testing.T) {
	var naive func(a, b string) int
	naive = func(a, b string) int {
		if a == "" || b == "" {
			return len(a) + len(b)
		}
		replace := naive(a[1:], b[1:])
		if a[0] != b[0] {
			replace++
		}
		return min(replace, naive(a[1:], b)+1, naive(a, b[1:])+1)
	}
	words := []string{"", "a", "b", "ab", "ba", "aab", "abba", "kitten", "sitting", "mode", "modes"}
	for _, a := range words {
		for _, b := range words {
			if got, want := edits(a, b), naive(a, b); got != want {
				t.Errorf("from %q to %q: %d, want %d", a, b, got, want)
			}
		}
	}
	// Nobody means a long word by a short one, nor is it worth the time.
	long := strings.Repeat("a", 64)
	for _, c := range []struct {
		a, b string
		want int
	}{{long, long, 0}, {long, "a", 63}, {"a", long, 63}, {long + "a", "a", 65}, {"a", long + "a", 65}, {long + "a", long + "a", 65}} {
		if got := edits(c.a, c.b); got != c.want {
			t.Errorf("from %d letters to %d: %d, want %d", len(c.a), len(c.b), got, c.want)
		}
	}
}

func TestMalformedJSONIsPlaced(t *testing.T) {
	for json, want := range map[string]string{
		"{\n  \"debug\": true\n  \"mode\": \"off\"\n}": "invalid character '\"' after object key:value pair at line 3, column 3; " +
			"write one JSON object and nothing after it",
		"{\"mode\":\n\"of": "the JSON ends in the middle, at line 2, column 4; look for a missing bracket " +
			"or quote, or for a template that cut it off",
		"{\"mode\": \"é\xff\"}": "invalid UTF-8 at line 1, column 12; save the configuration as UTF-8",
		"{} {}":                 "invalid character '{' after top-level value at line 1, column 4; write one JSON object and nothing after it",
		strings.Repeat("[", 65): "nested deeper than 64 levels at line 1, column 65; no setting needs that; look for an extra bracket",
	} {
		if _, _, err := Parse([]byte(json)); err == nil || err.Error() != want {
			t.Errorf("%q: %v\nwant %v", json, err, want)
		}
	}
}

// protobuf is a google.protobuf.Struct with one string in it, as Envoy hands it over.
func protobuf(key, text string) string {
	field := func(number int, content string) string {
		size := string(rune(len(content)))
		if len(content) >= 0x80 {
			size = string([]byte{byte(len(content))&0x7f | 0x80, byte(len(content) >> 7)})
		}
		return string(rune(number<<3|2)) + size + content
	}
	return field(1, field(1, key)+field(2, field(3, text)))
}

func TestBinaryConfigurations(t *testing.T) {
	const binary = "the plugin configuration is binary; use google.protobuf.StringValue, with the JSON as its value"
	var structs []string
	for n := range 300 { // lengths that are white space, a brace, two bytes
		structs = append(structs, protobuf("allow_origins", strings.Repeat("x", n)))
	}
	for _, text := range append(structs, "\x08\x01", "\x0a\x02\x10\x01", "\x1a\x05hello", "{\x00\"\x00", "\x00") {
		if _, _, err := Parse([]byte(text)); err == nil || err.Error() != binary {
			t.Errorf("%q: %v", text, err)
		}
	}
	for _, text := range []string{
		"\xff\xfe{\x00", "{\"stat_prefix\":\"\x01\"}", "\n{ \n\"\x01", " { }\x00", "{", "{ \x09", "{'debug':true}", "caf\xe9", "\x80\x01",
		"allow_origins:\n\t- x\r\n", "\xff\x01",
	} {
		if _, _, err := Parse([]byte(text)); err == nil || err.Error() == binary {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// TestMessagesFitALine keeps what a configuration holds from breaking a log.
func TestMessagesFitALine(t *testing.T) {
	long := strings.Repeat("é", 5000)
	for _, json := range []string{
		`{"mode":"off","a\nb":1}`,
		`{"mode":"off","` + long + `":1}`,
		"{\"mode\":\n\n{\n}}",
		`{"mode":"` + long + `"}`,
		`{"allow_origins":["https://a\u0000\r\n.example"]}`,
		`{"allow_methods":["` + long + `\n"],"mode":"off"}`,
	} {
		_, _, err := Parse([]byte(json))
		problems, _ := err.(Problems)
		if len(problems) == 0 {
			t.Errorf("%.40q is accepted", json)
		}
		for _, p := range problems {
			if line := p.Error(); strings.ContainsAny(line, "\r\n\x00") || len(line) > 600 {
				t.Errorf("%.40q: %q", json, line)
			}
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		sample, "", "{}", "[]", `{"allow_origins":["*"],"allow_credentials":true}`,
		`{"allow_origins":[{"regex":"https://.*\\.a\\.example|b"}],"expose_headers":"*"}`,
		`{"filter_enabled":{"default_value":{"numerator":100,"denominator":"MILLION"}}}`,
		`{"rules":[{"paths":["/*"],"policy":{"mode":"off"}}],"max_age":"1h"}`,
		`{"allow_origins":[{"prefix":"https://a"},{"suffix":".a"},{"contains":"a","ignore_case":true}],` +
			`"dangerously_tolerate":["loose-origin-match"],"allow_credentials":true}`,
	} {
		f.Add(s, "https://a.example")
	}
	f.Fuzz(func(t *testing.T, text, value string) {
		plugin, warnings, err := Parse([]byte(text))
		if err != nil {
			problems, ok := err.(Problems)
			if plugin != nil || !ok || len(problems) == 0 {
				t.Fatalf("a refused configuration gives %v, %#v", plugin, err)
			}
			for _, p := range append(problems, warnings...) {
				if p.Code == "" || p.Reason == "" || p.Remedy == "" || strings.ContainsAny(p.Error(), "\r\n") {
					t.Fatalf("%+v", p)
				}
			}
			return
		}
		if !json.Valid([]byte(strings.TrimPrefix(text, "\ufeff"))) {
			t.Fatalf("%q is no JSON and was accepted", text)
		}
		policy, _ := plugin.Select("a.example", "/")
		if plugin.Summary() == "" || policy != nil && policy.Credentials && policy.Wildcard() {
			t.Fatalf("%+v", policy)
		}
		for _, p := range plugin.Policies() {
			if p.PreflightStatus < 200 || p.PreflightStatus > 299 ||
				strings.ContainsAny(p.AllowMethods+p.AllowHeaders+p.ExposeHeaders+p.MaxAge, "\r\n\x00") {
				t.Fatalf("%+v", p)
			}
			if p.Origins.Match(value) == Matches && p.Origins.Match(value+"/") == Matches {
				t.Fatalf("an origin with a slash matches")
			}
		}
	})
}
