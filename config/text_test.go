package config

import (
	"encoding/json"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// hostile are characters that a log, a terminal or a reader may be misled by.
var hostile = []string{
	"\n", "\r", "\t", "\x00", "\x1b[31m", "\x7f", "\u0085", "\u009b2J", "\u00a0", "\u00ad", "\u200b", "\u200e", "\u2028", "\u2029",
	"\u202e", "\u2066", "\u2069", "\ufeff", "\U000e0001", "\ufffd", "x", "é", "(", "[", "*", "https://", ".example", ",", "\\", `"`, "/",
}

func checkText(t interface{ Fatalf(string, ...any) }, text string, problems Problems) {
	for _, p := range problems {
		for _, s := range []string{p.Path, p.Value, p.Reason, p.Remedy, p.Error()} {
			if i := strings.IndexFunc(s, func(r rune) bool {
				return r != ' ' && !unicode.IsGraphic(r) || unicode.In(r, unicode.Zs) &&
					r != ' '
			}); i >= 0 || !utf8.ValidString(s) {
				t.Fatalf("%q\nsays %q, with %q in it", text, s, s[max(i, 0):])
			}
		}
		if p.Reason == "" || p.Remedy == "" || p.Code == "" || len(p.Path) > maxTextLen+len("…") || len(p.Value) > maxValueLen+len("…") ||
			len(p.Reason) > maxTextLen+len("…") || len(p.Remedy) > maxTextLen+len("…") {
			t.Fatalf("%q\nsays %+v", text, p)
		}
	}
}

// TestTextsQuoteNothingRaw puts hostile strings wherever a configuration takes a
// string, and wherever it does not.
func TestTextsQuoteNothingRaw(t *testing.T) {
	places := []string{
		`{S:1}`, `{S:1,S:2}`, `{"rules":[{S:1,"policy":{S:{}}}]}`, `{"mode":S}`, `{"max_age":S}`, `{"preflight_status":S}`, `{"stat_prefix":S}`,
		`{"dangerously_tolerate":[S]}`,
		`{"allow_origins":[S]}`, `{"allow_origins":["*",S],"allow_credentials":true}`, `{"allow_origins":[{"exact":S}]}`,
		`{"allow_origins":[{"regex":S}]}`, `{"allow_origins":[{S:S}]}`,
		`{"allow_origins":[{"safe_regex":{"regex":S,S:1}}]}`,
		`{"allow_origins":[{"prefix":S},{"suffix":S},{"contains":S}],"dangerously_tolerate":["loose-origin-match"]}`,
		`{"allow_origins":[{"prefix":S}],"dangerously_tolerate":["loose-origin-match"],"allow_credentials":true}`,
		`{"timing_allow_origins":[S,S],"allow_origins":[S,S]}`,
		`{"allow_origins":["https://a.example","https://a.example"],"allow_methods":[S,S],"allow_headers":[S,S],"expose_headers":[S,S]}`,
		`{"mode":"off","allow_methods":S,"allow_headers":S,"expose_headers":S}`,
		`{"rules":[{"name":S,"hosts":[S],"paths":[S,"/"],"policy":{"mode":S}},{"name":S,"policy":S}]}`,
		`{"rules":[{"name":S,"policy":{"mode":"off"}},{"name":S,"policy":{"mode":"off"}}]}`,
		`{"filter_enabled":{"default_value":{"denominator":S},"runtime_key":S},"@type":S}`, `{"mode":"off"} S`, `{"mode":"off",S}`, `S`,
		`{"mode":S"}`,
	}
	rapid.Check(t, func(t *rapid.T) {
		draw := rapid.Custom(func(t *rapid.T) string {
			if rapid.IntRange(0, 9).Draw(t, "long") == 0 {
				return strings.Repeat(rapid.SampledFrom(hostile).Draw(t, "repeated"), 3000)
			}
			return strings.Join(rapid.SliceOfN(rapid.OneOf(rapid.SampledFrom(hostile), rapid.StringN(1, 3, 12)), 1, 8).Draw(t, "parts"), "")
		})
		same := draw.Draw(t, "same")
		text := rapid.SampledFrom(places).Draw(t, "place")
		for strings.Contains(text, "S") {
			s := same
			if rapid.Bool().Draw(t, "other") {
				s = draw.Draw(t, "string")
			}
			quoted, err := json.Marshal(strings.ReplaceAll(s, "S", "s"))
			if err != nil {
				t.Fatal(err)
			}
			if rapid.Bool().Draw(t, "raw") { // JSON wants only controls and quotes escaped
				quoted = []byte(rawJSON(strings.ReplaceAll(s, "S", "s")))
			}
			text = strings.Replace(text, "S", string(quoted), 1)
		}
		c, warnings, err := Parse([]byte(text))
		problems, _ := err.(Problems)
		checkText(t, text, problems)
		checkText(t, text, warnings)
		if c != nil {
			checkText(t, text, c.Notes)
		}
	})
	long := strings.Repeat("\u2028x", 3000)
	for _, text := range []string{
		`{"rules":[{"paths":["` + long + `"],"hosts":["https://` + long + `"],"policy":{"mode":"off"}}]}`,
		`{"mode":"off","allow_origins":["HTTPS://A` + long + `",{"regex":"(` + long[:2000] + `"}],"allow_methods":["trace` + long + `"]}`,
		`{"mode":"off","` + long + `":1,"dangerously_tolerate":["` + long + `"]}`,
		`{"rules":[{"name":"` + long + `","hosts":["https://a.example` + strings.Repeat("a", 3000) + `"],"policy":{"mode":"off"}},{"name":"` +
			long + `","policy":{}}]}`,
		`{"rules":[{"paths":["` + strings.Repeat("a", 3000) + `"],"policy":{"mode":"off"}}]}`,
	} {
		_, warnings, err := Parse([]byte(text))
		problems, _ := err.(Problems)
		if len(problems) == 0 {
			t.Errorf("%.60q is accepted", text)
		}
		checkText(t, text, problems)
		checkText(t, text, warnings)
	}
	for text, want := range map[string]string{
		`{"allow_origins":[{"regex":"(x\nFAKE"}]}`: `allow_origins[0]: {"regex":"(x\nFAKE"}: parsing regexp: missing closing ): ` +
			"`(x\\nFAKE`" + `; write a regex in RE2 syntax, or a pattern such as "https://*.example.com"`,
		"{\"mode\":\"off\",\"a\u202eb\":1}": `a\u202eb: unknown key; known here: ` + strings.Join(topKeys.names, ", "),
		"{\"mode\":\"x\u2028y\u009b\"}": `mode: "x\u2028y\u009b": not one of the choices; ` +
			`write "enforce", "shadow" or "off"`,
		"{\"mode\":\n {\n} }": `mode: { }: is an object, not a string; write a string`,
		"{\"stat_prefix\":\"" + strings.Repeat("é", 70) + "\"": `stat_prefix: "` + strings.Repeat("é", 59),
	} {
		_, _, err := Parse([]byte(text))
		if problems, _ := err.(Problems); len(problems) == 0 || !strings.HasPrefix(problems[0].Error(), want) {
			if !strings.Contains(text, "é") {
				t.Errorf("%q\nsays %v\nwant %v", text, err, want)
			}
		}
	}
}

// rawJSON is a JSON string with as few escapes as may be.
func rawJSON(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range strings.ToValidUTF8(s, "?") {
		switch {
		case r == '"' || r == '\\':
			b.WriteString("\\" + string(r))
		case r < ' ':
			b.WriteString(`\u00` + string("0123456789abcdef"[r>>4]) + string("0123456789abcdef"[r&15]))
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// TestLongListsOfMistakesAreCut gives Parse a megabyte of wrong elements: 100 are
// listed, the rest is counted, and neither the list nor the memory grow.
func TestLongListsOfMistakesAreCut(t *testing.T) {
	const size = 1 << 20
	fill := func(before, part, after string) (text string, n int) {
		n = (size - len(before) - len(after)) / len(part)
		return before + strings.TrimSuffix(strings.Repeat(part, n), ",") + after, n
	}
	for _, c := range []struct{ name, before, part, after string }{
		{"wrong types", `{"allow_origins":[`, `1,`, `]}`},
		{"wrong types in another list", `{"mode":"off","allow_headers":[`, `[],`, `]}`},
		{"empty objects", `{"allow_origins":[`, `{},`, `]}`},
		{"unknown keys", `{"mode":"off",`, `"a":1,`, `}`},
		{"no origins", `{"mode":"off","allow_origins":[`, `"",`, `]}`},
		{"no waivers", `{"mode":"off","dangerously_tolerate":[`, `"a",`, `]}`},
		{"no methods", `{"mode":"off","allow_methods":"x`, `, `, `"}`},
		{"no regexes", `{"mode":"off","allow_origins":[`, `{"regex":"("},`, `]}`},
		{"empty rules", `{"rules":[`, `{},`, `]}`},
		{"no rules", `{"rules":[`, `1,`, `]}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			text, n := fill(c.before, c.part, c.after)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, _, err := Parse([]byte(text))
			runtime.ReadMemStats(&after)
			problems, _ := err.(Problems)
			if len(problems) != maxListed+1 {
				t.Fatalf("%d are listed", len(problems))
			}
			last := problems[maxListed]
			rest := last.Rest
			// A trailing comma in a string ends one more entry.
			if last.Code != More || rest < n-maxListed || rest > n-maxListed+1 ||
				!strings.Contains(err.Error(), strconv.Itoa(rest)+" more mistakes") {
				t.Errorf("%d of %d, then %+v", maxListed, n, last)
			}
			if problems.Count() != maxListed+rest {
				t.Errorf("%d are counted, want %d", problems.Count(), maxListed+rest)
			}
			if last.Offset <= problems[maxListed-1].Offset || last.Path == "" {
				t.Errorf("the first that is left out stands at %+v, the last listed at %+v", last, problems[maxListed-1])
			}
			used := after.TotalAlloc - before.TotalAlloc
			t.Logf("%d mistakes, %d bytes allocated for %d", n, used, len(text))
			// Most of it is for entries that are read and then found wrong one by one.
			if used > 128*size {
				t.Errorf("%d bytes allocated for %d", used, len(text))
			}
		})
	}
}

func TestWarningsAndNotesAreCutToo(t *testing.T) {
	list := strings.TrimSuffix(strings.Repeat(`"https://a.example",`, 151), ",")
	_, warnings, err := Parse([]byte(`{"allow_origins":[` + list + `]}`))
	if err != nil || len(warnings) != maxListed+1 || warnings[maxListed].Reason != "50 more warnings, the first of them here" ||
		warnings[maxListed].Path != "allow_origins[101]" {
		t.Errorf("%v, %v", err, warnings)
	}
	_, warnings, _ = Parse([]byte(`{"allow_origins":[` + strings.TrimSuffix(strings.Repeat(`"https://a.example",`, 101), ",") + `]}`))
	if len(warnings) != maxListed || warnings.Count() != maxListed || warnings[maxListed-1].Code == More || Problems(nil).Count() != 0 {
		t.Errorf("of 100 warnings, %v", warnings)
	}
	var rules []string
	for i := range 101 {
		rules = append(rules, `{"paths":["/`+strconv.Itoa(i)+`"],"policy":{"allow_origin":["https://a.example"]}}`)
	}
	c, _, err := Parse([]byte(`{"rules":[` + strings.Join(rules, ",") + `],"mode":"off"}`))
	if err != nil || len(c.Notes) != maxListed+1 || c.Notes[maxListed].Reason != "1 more notes, the first of them here" {
		t.Errorf("%v", err)
	}
}

func TestTextsAreCutBetweenCharacters(t *testing.T) {
	for _, c := range []struct {
		text  string
		bound int
		want  string
	}{
		{"", 0, ""}, {"a", 0, "…"}, {"abc", 3, "abc"}, {"abcd", 3, "abc…"}, {"aéb", 3, "aé…"}, {"aéb", 2, "a…"}, {"é", 1, "…"}, {"a€b", 3, "a…"},
		{"a😀", 4, "a…"}, {"a😀", 5, "a😀"},
	} {
		if got := cut(c.text, c.bound); got != c.want {
			t.Errorf("%q, cut at %d bytes, is %q, want %q", c.text, c.bound, got, c.want)
		}
	}
}

// TestLongTextsAreCutAtTheirBounds fills each part of a message, with characters
// that are longer when they are written out.
func TestLongTextsAreCutAtTheirBounds(t *testing.T) {
	del := strings.Repeat("\x7f", 200)
	member := `{"safe_regex":{"regex":"https://a\\.example","` + del + `":1}}`
	for _, before := range []int{0, maxListed} { // listed, and the first that is not
		_, _, err := Parse([]byte(`{"allow_origins":[` + strings.Repeat(`1,`, before) + member + `]}`))
		problems, _ := err.(Problems)
		want := cut("allow_origins["+strconv.Itoa(before)+"].safe_regex."+strings.Repeat(`\x7f`, 120)+"…", 500)
		if len(problems) != before+1 || problems[before].Path != want {
			t.Errorf("%d problems, the last %+v\nwant the path %s", len(problems), problems[len(problems)-1], want)
		}
	}
	for _, c := range []struct{ json, path, value, remedy string }{
		{
			`{"mode":"off","` + strings.Repeat("é", 61) + `":1}`, strings.Repeat("é", 60) + "…", "",
			"known here: " + strings.Join(topKeys.names, ", "),
		},
		{
			`{"mode":"off","` + strings.Repeat("x", 121) + `":1}`, strings.Repeat("x", 120) + "…", "",
			"known here: " + strings.Join(topKeys.names, ", "),
		},
		{`{"mode":"` + strings.Repeat("x", 119) + `"}`, "mode", `"` + strings.Repeat("x", 119) + "…", `write "enforce", "shadow" or "off"`},
		{`{"mode":"` + strings.Repeat("x", 118) + `"}`, "mode", `"` + strings.Repeat("x", 118) + `"`, `write "enforce", "shadow" or "off"`},
		{`{"mode":"` + strings.Repeat("é", 70) + `"}`, "mode", `"` + strings.Repeat("é", 59) + "…", `write "enforce", "shadow" or "off"`},
		{
			`{"mode":"off","allow_origins":["https://*.` + strings.Repeat("A", 500) + `/"]}`, "allow_origins[0]",
			`"https://*.` + strings.Repeat("A", 109) + "…", `write "https://*.` + strings.Repeat("a", 483) + "…",
		},
	} {
		_, _, err := Parse([]byte(c.json))
		problems, _ := err.(Problems)
		if len(problems) == 0 || problems[0].Path != c.path || problems[0].Value != c.value || problems[0].Remedy != c.remedy {
			t.Errorf("%.60q\nsays %+v\nwant %+v", c.json, problems, c)
		}
	}
}

func TestProblemsAreWrittenWithoutEmptyParts(t *testing.T) {
	for _, c := range []struct {
		problem Problem
		want    string
	}{
		{Problem{Path: "a", Value: "1", Reason: "is wrong", Remedy: "leave it out"}, "a: 1: is wrong; leave it out"},
		{Problem{Path: "a", Reason: "is wrong"}, "a: is wrong"},
		{Problem{Reason: "is wrong", Remedy: "leave it out"}, "is wrong; leave it out"},
	} {
		if got := c.problem.Error(); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
	for want, problems := range map[int]Problems{
		0: nil,
		1: {{Code: Missing}},
		3: {{Code: More, Rest: 3}},
		5: {{Code: Missing}, {Code: More, Rest: 4}},
	} {
		if got := problems.Count(); got != want {
			t.Errorf("%v are %d, want %d", problems, got, want)
		}
	}
}
