package config

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestRulesThatNothingReaches(t *testing.T) {
	for _, c := range []struct {
		name, rules string
		want        []string // errors, then warnings
	}{
		{"twins", `{"hosts":["a.example"],"paths":["/v1/*"]}, {"hosts":["a.example"],"paths":["/v1/*"]}`, []string{
			`rules[1]: no request reaches it: rules[0] before it takes all of its hosts and paths; move rules[1] before rules[0], or leave it out`}},
		{
			"a host, and paths of it", `{"name":"api","hosts":["api.example"]}, {"name":"public","hosts":["api.example"],"paths":["/public/*"]}`,
			[]string{
				`rules[1]: no request reaches it: rules[0] "api" before it takes all of its hosts and paths; ` +
					`move rules[1] before rules[0], or leave it out`},
		},
		{
			"a wider wildcard",
			`{"hosts":["*.example"]}, {"hosts":["a.example"]}, {"hosts":["*.a.example"],"paths":["/x"]}, {"hosts":["example"]}`,
			[]string{
				`rules[1]: no request reaches it: rules[0] before it takes all of its hosts and paths; move rules[1] before rules[0], or leave it out`,
				`rules[2]: no request reaches it: rules[0] before it takes all of its hosts and paths; move rules[2] before rules[0], or leave it out`},
		},
		{"the narrow one first", `{"hosts":["a.example"],"paths":["/public/*"]}, {"hosts":["a.example"]}, {"hosts":["*.example"]}, {}`, nil},
		{"everything", `{}, {"paths":["/a"]}, {"hosts":["*"]}`, []string{
			`rules[1]: no request reaches it: rules[0] before it takes all of its hosts and paths; move rules[1] before rules[0], or leave it out`,
			`rules[2]: no request reaches it: rules[0] before it takes all of its hosts and paths; move rules[2] before rules[0], or leave it out`}},
		{"every path but none at all", `{"paths":["/*"]}, {}, {}`, []string{
			`rules[2]: no request reaches it: rules[1] before it takes all of its hosts and paths; move rules[2] before rules[1], or leave it out`,
			`rules[1]: nothing but OPTIONS * reaches it: rules[0] before it takes all of its hosts and ` +
				`paths; move rules[1] before rules[0], or leave it out`}},
		{
			"two together", `{"hosts":["a.example"]}, {"name":"b","hosts":["b.example"]}, {"hosts":["a.example","B.example."],"paths":["/x"]}`,
			[]string{
				`rules[2]: no request reaches it: rules[0] and rules[1] "b" before it take all of its hosts and ` +
					`paths; move rules[2] before rules[0], or leave it out`,
				`rules[2].hosts[1]: "B.example.": hosts are compared in lower case; write "b.example."`},
		},
		{
			"a path and the regex of the rest",
			`{"paths":["/a/*"]}, {"paths":[{"regex":"/([^a].*|a[^/].*)?"}]}, {"hosts":["a.example"],"paths":["/*"]}`,
			[]string{
				`rules[2]: no request reaches it: rules[0] and rules[1] before it take all of its hosts and ` +
					`paths; move rules[2] before rules[0], or leave it out`},
		},
		{
			"a path and most of the rest",
			`{"paths":["/a/*"]}, {"paths":[{"regex":"/([^a].*|a[^/b].*)?"}]}, {"hosts":["a.example"],"paths":["/*"]}`, nil,
		},
		{
			"five together",
			`{"paths":["/1"]}, {"paths":["/2"]}, {"paths":["/3"]}, {"paths":["/4"]}, {"paths":["/5"]}, {"paths":["/5","/3","/1","/2","/4"]}`,
			[]string{
				`rules[5]: no request reaches it: rules[0], rules[1], rules[2] and others before it take all of its ` +
					`hosts and paths; move rules[5] before rules[0], or leave it out`},
		},
		{
			"regexes",
			`{"paths":[{"regex":"/v[0-9]+/.*"}]}, {"paths":["/v1/*"]}, {"paths":["/v2/x","/v3/y/*"]}, ` +
				`{"paths":[{"regex":"/v[1-4]/[a-z]+"},{"regex":"/v1x"}]}`,
			[]string{
				`rules[2]: no request reaches it: rules[0] before it takes all of its hosts and paths; move rules[2] before rules[0], or leave it out`,
				`rules[3].paths[1]: {"regex":"/v1x"}: an equivalent path needs no regex; write "/v1x"`,
				`rules[3].paths[0]: {"regex":"/v[1-4]/[a-z]+"}: rules[0] and rules[1] before it take all requests for ` +
					`it; move rules[3] before rules[0], or leave this out`},
		},
		{"a regex that no path matches is not taken", `{"paths":["/*"]}, {"paths":[{"regex":"v1"}]}`, []string{
			`rules[1].paths[0]: {"regex":"v1"}: no path matches it: paths begin with a slash, and are compared up to ` +
				`the query; write it for the whole path, such as "/v[0-9]+/orders"`}},
		{"a regex of more than paths", `{"paths":["/*"]}, {"paths":[{"regex":".*"}]}, {"paths":[{"regex":"[*/].*"}]}`, []string{
			`rules[2]: no request reaches it: rules[1] before it takes all of its hosts and paths; move rules[2] before rules[1], or leave it out`,
			`rules[1]: nothing but OPTIONS * reaches it: rules[0] before it takes all of its hosts and ` +
				`paths; move rules[1] before rules[0], or leave it out`}},
		{"a host of two", `{"hosts":["*.example"]}, {"hosts":["b.test","a.example","c.test"],"paths":["/x","/y"]}`, []string{
			`rules[1].hosts[1]: "a.example": rules[0] before it takes all requests for it; move rules[1] before rules[0], or leave this out`}},
		{"a path of two", `{"paths":["/a*"]}, {"hosts":["a.example","b.example"],"paths":["/b","/a/b","/ab/*"]}`, []string{
			`rules[1].paths[1]: "/a/b": rules[0] before it takes all requests for it; move rules[1] before rules[0], or leave this out`,
			`rules[1].paths[2]: "/ab/*": rules[0] before it takes all requests for it; move rules[1] before rules[0], or leave this out`}},
		{"a path on a host", `{"hosts":["*.a.example"],"paths":["/a"]}, {"hosts":["b.example","x.a.example"],"paths":["/a","/b"]}`, []string{
			`rules[1].paths[0]: "/a": rules[0] before it takes all requests for it on "x.a.example"; ` +
				`move rules[1] before rules[0], or leave this out`}},
		{
			"a path on several hosts, and a host",
			`{"hosts":["*.a.example"],"paths":["/a"]}, {"hosts":["c.example"]}, {"hosts":["c.example",` +
				`"x.a.example","y.a.example","b.example"],"paths":["/a","/b"]}`,
			[]string{
				`rules[2].hosts[0]: "c.example": rules[1] before it takes all requests for it; move rules[2] before rules[1], or leave this out`,
				`rules[2].paths[0]: "/a": rules[0] before it takes all requests for it on "x.a.example" and 1 host ` +
					`more; move rules[2] before rules[0], or leave this out`},
		},
		{
			"a host, and a path on all others",
			`{"hosts":["c.example"]}, {"paths":["/a"]}, {"hosts":["c.example","x.example"],"paths":["/a","/b"]}`,
			[]string{
				`rules[2].hosts[0]: "c.example": rules[0] before it takes all requests for it; move rules[2] before rules[0], or leave this out`,
				`rules[2].paths[0]: "/a": rules[1] before it takes all requests for it; move rules[2] before rules[1], or leave this out`},
		},
		{
			"what cannot be read takes nothing and is not judged",
			`{"hosts":[1],"paths":["/a"]}, {"hosts":["a.example"],"paths":{}}, {"paths":["/a"]}, ` +
				`{"hosts":["a.example"]}, {"hosts":["a.example"],"paths":["/a",1]}`,
			[]string{
				`rules[0].hosts[0]: 1: is a number, not a string; write a string`,
				`rules[1].paths: {}: is an object, not a list; write a list`,
				`rules[4].paths[1]: 1: is a number, not a string or {"regex": "…"}; write a string or {"regex": "…"}`},
		},
		{
			"what is wrong takes nothing and is not judged",
			`{"paths":["v1"]}, {"paths":["/a","v1"]}, {"hosts":["a b"]}, {"paths":[{"regex":"("}]}, {"hosts":[1]},` +
				` {"paths":{}}, {"paths":["/a"]}, {"paths":["/b"]}`,
			[]string{
				`rules[4].hosts[0]: 1: is a number, not a string; write a string`,
				`rules[5].paths: {}: is an object, not a list; write a list`,
				`rules[0].paths[0]: "v1": a path starts with a slash; write "/v1"`,
				`rules[1].paths[1]: "v1": a path starts with a slash; write "/v1"`,
				`rules[2].hosts[0]: "a b": a host is ASCII without spaces; write one such as "api.example.com" or "*.example.com"`,
				"rules[3].paths[0]: {\"regex\":\"(\"}: parsing regexp: missing closing ): `(`; write a " +
					"regex in RE2 syntax, or a path such as \"/v1/*\"",
				`rules[6]: no request reaches it: rules[1] before it takes all of its hosts and paths; move rules[6] before rules[1], or leave it out`},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, warnings, err := Parse([]byte(ruled(c.rules)))
			var got []string
			problems, _ := err.(Problems)
			for _, p := range slices.Concat(problems, warnings) {
				if p.Path != "rules" { // TestSettingsThatNeverApply
					got = append(got, p.Error())
				}
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(c.want, "\n"))
			}
		})
	}
}

// TestSettingsThatNeverApply: where rules take all requests, the settings at the top level
// have no effect. A path that OPTIONS * lacks makes no difference to that.
func TestSettingsThatNeverApply(t *testing.T) {
	for rules, who := range map[string]string{
		`{}`:                            `rules[0] takes all requests`,
		`{"name":"all","paths":["/*"]}`: `rules[0] "all" takes all requests`,
		`{"hosts":["a.example"]}, {"hosts":["*"]}`:              `rules[1] takes all requests`,
		`{"paths":["/a*"]}, {"paths":[{"regex":"/([^a].*)?"}]}`: `rules[0] and rules[1] take all requests`,
		`{"paths":["/a*"]}, {"paths":[{"regex":"/[^a].*"}]}`:    "",
		`{"hosts":["a.example"]}`:                               "",
		`{"paths":["/v1/*"]}`:                                   "",
	} {
		_, warnings, err := Parse([]byte(ruled(rules)))
		if err != nil {
			t.Fatal(err)
		}
		want := Problems(nil)
		if who != "" {
			want = Problems{{Path: "rules", Code: Covered, Reason: "the settings at the top level never apply: " + who,
				Remedy: "leave them out, or narrow the hosts or paths of a rule"}}
		}
		for i := range warnings {
			warnings[i].Offset, warnings[i].Length = 0, 0
		}
		if !slices.Equal(warnings, want) {
			t.Errorf("%s: %v, want %v", rules, warnings, want)
		}
	}
}

// ruled is a configuration of rules, of which none says its policy.
func ruled(rules string) string {
	rules = strings.ReplaceAll(rules, `}, {`, `,"policy":{"mode":"off"}}, {`) + "$"
	return `{"rules":[` + strings.ReplaceAll(strings.Replace(rules, "}$", `,"policy":{"mode":"off"}}`, 1), `{,`, `{`) + `],"mode":"off"}`
}

func TestWhatIsSaidOfPaths(t *testing.T) {
	for path, want := range map[string]string{
		`"*"`:      `"*": a path starts with a slash; write "/*"`,
		`"/v1/**"`: `"/v1/**": one "*" at the end matches everything that follows; write "/v1/*"`,
		`"/v1***"`: `"/v1***": one "*" at the end matches everything that follows; write "/v1*"`,
		`"/v*/x"`: `"/v*/x": "*" stands at the end only; write one such as "/v1/*", "/v1*" or "/status", or ` +
			`a regex such as {"regex": "/v[0-9]+/orders"}`,
		`"/*/x/**"`: `"/*/x/**": "*" stands at the end only; write one such as "/v1/*", "/v1*" or "/status", or ` +
			`a regex such as {"regex": "/v[0-9]+/orders"}`,
		`1`:                     `1: is a number, not a string or {"regex": "…"}; write a string or {"regex": "…"}`,
		`{}`:                    `{}: the object does not say which paths; write one such as {"regex": "/v[0-9]+/orders"}`,
		`{"regex": ""}`:         `{"regex": ""}: empty, so it would match no path; write "/*" for every path, or the paths themselves`,
		`{"regex": "/v1.*"}`:    `{"regex": "/v1.*"}: an equivalent path needs no regex; write "/v1*"`,
		`{"regex": "/(a|b)+$"}`: ``,
	} {
		_, warnings, err := Parse([]byte(`{"rules":[{"paths":[` + path + `],"policy":{"mode":"off"}}]}`))
		problems, _ := err.(Problems)
		got := slices.Concat(problems, warnings).Error()
		if want != "" {
			want = "rules[0].paths[0]: " + want
		}
		if got != want {
			t.Errorf("%s\nwant %s", got, want)
		}
	}
}

// TestRegexesOfPathsAreBounded has too many to decide, and more than can be united.
func TestRegexesOfPathsAreBounded(t *testing.T) {
	var rules, paths []string
	for i := range 3000 {
		rules = append(rules, fmt.Sprintf(`{"paths":[{"regex":"/v%d/[0-9]+"}],"policy":{"mode":"off"}}`, i))
	}
	_, _, err := Parse([]byte(`{"rules":[` + strings.Join(rules, ",") + `]}`))
	problems, _ := err.(Problems)
	if len(problems) != 1 || problems[0].Code != Costly || !strings.Contains(problems[0].Reason, "4,000,000 steps") {
		t.Errorf("%v", problems)
	}
	for i := range 20 {
		paths = append(paths, fmt.Sprintf(`{"regex":"/v%d(aaaaaaa){300}"}`, i))
	}
	_, got := judge(t, `{"rules":[{"paths":[`+strings.Join(paths, ",")+`],"policy":{"mode":"off"}}]}`)
	if want := split("rules[0].paths[19] costly-matcher"); !slices.Equal(got.problems, want) {
		t.Errorf("%q", got.problems)
	}
}

// TestWhatIsReachedIsDecidedWithinBounds has rules that take too long to decide: they are
// accepted, and so is what comes behind them, though nothing reaches it.
func TestWhatIsReachedIsDecidedWithinBounds(t *testing.T) {
	regex := func(r string) string { return `{"regex":"` + r + `"}` }
	rules := []string{`{"paths":["/c"]}`}
	for _, q := range []int{31, 37, 41, 43} {
		rules = append(rules, `{"paths":[`+regex(fmt.Sprintf(`/([ab]{%d})*[ab]{1,%d}c`, q, q-1))+`]}`)
	}
	hard := `{"paths":[` + strings.Repeat(regex(`/[ab]*c`)+",", 5) + `"/c"]}`
	twin := `{"hosts":["a.example"],"paths":["/c"]}`
	for _, c := range []struct {
		name, rules string
		problems    string
	}{
		{"something else behind them", twin, "rules[5] unreachable"},
		{"too many steps for one rule, and none left", hard + ", " + twin, ""},
	} {
		_, got := judge(t, ruled(strings.Join(rules, ", ")+", "+c.rules))
		if !slices.Equal(got.problems, split(c.problems)) || len(got.warnings) > 0 {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}
