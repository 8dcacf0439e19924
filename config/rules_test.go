package config

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestRuleRefusals(t *testing.T) {
	rule := func(members string) string { return `{"rules":[{` + members + `,"policy":{"mode":"off"}}]}` }
	for _, group := range []struct {
		name string
		rows []row
	}{
		{"a rule has a policy", []row{
			{json: `{"rules":[{}]}`, problems: "rules[0] missing"},
			{json: `{"rules":[{"hosts":["a.example"]}]}`, problems: "rules[0] missing"},
			{json: `{"rules":[{"policy":[]}]}`, problems: "rules[0].policy wrong-type"},
			{json: `{"rules":[{"policy":{"mode":"off"}},"x"]}`, problems: "rules[1] wrong-type"},
		}},
		{"hosts", []row{
			{json: rule(`"hosts":[]`), problems: "rules[0].hosts missing"},
			{json: rule(`"hosts":"a.example"`), problems: "rules[0].hosts wrong-type"},
			{json: rule(`"hosts":[1]`), problems: "rules[0].hosts[0] wrong-type"},
			{
				json: rule(`"hosts":["https://a.example","a.example:80","a.*","a b","é.example","*.192.0.2.1","","a.example/x"]`),
				problems: "rules[0].hosts[0] bad-host, rules[0].hosts[1] bad-host, rules[0].hosts[2] bad-host, rules[0].hosts[3] " +
					"bad-host, rules[0].hosts[4] bad-host, rules[0].hosts[5] bad-host, rules[0].hosts[6] bad-host, rules[0].hosts[7] bad-host",
			},
			{json: rule(`"hosts":["a.example..","."]`), problems: "rules[0].hosts[0] bad-host, rules[0].hosts[1] bad-host"},
			{json: rule(`"hosts":["a.example."]`)},
			{json: rule(`"hosts":["A.example"]`), warnings: "rules[0].hosts[0] lower-cased"},
			{json: rule(`"hosts":["a.example","*.a.example","[2001:db8::1]","192.0.2.1","*"]`)},
		}},
		{"paths", []row{
			{json: rule(`"paths":[]`), problems: "rules[0].paths missing"},
			{
				json: rule(`"paths":["v1","","/v1?x","/v1#x","/v*/x","/v1**","*","/a b","/é","/*/x"]`),
				problems: "rules[0].paths[0] bad-path, rules[0].paths[1] bad-path, rules[0].paths[2] bad-path, rules[0].paths[3] " +
					"bad-path, rules[0].paths[4] bad-path, rules[0].paths[5] bad-path, rules[0].paths[6] bad-path, " +
					"rules[0].paths[7] bad-path, rules[0].paths[8] bad-path, rules[0].paths[9] bad-path",
			},
			{json: rule(`"paths":["/","/*","/v1","/v1*","/v1/*","/v1/","/v1.*","/%41"]`)},
		}},
		{"names", []row{
			{json: rule(`"name":1`), problems: "rules[0].name wrong-type"},
			{
				json:     `{"rules":[{"name":"x","paths":["/a"],"policy":{"mode":"off"}},{"name":"x","policy":{"mode":"off"}}]}`,
				warnings: "rules[1].name duplicate",
			},
		}},
		{"regexes for paths", []row{
			{json: rule(`"paths":[{"regex":"/v[0-9]+/orders"},"/status"]`)},
			{json: rule(`"paths":[{}]`), problems: "rules[0].paths[0] missing"},
			{json: rule(`"paths":[{"prefix":"/v1"}]`), problems: "rules[0].paths[0].prefix unknown-key"},
			{json: rule(`"paths":[{"regex":1},2]`), problems: "rules[0].paths[0].regex wrong-type, rules[0].paths[1] wrong-type"},
			{
				json:     rule(`"paths":[{"regex":"/a","regex":"/b"}]`),
				problems: "rules[0].paths[0].regex duplicate-key",
				warnings: "rules[0].paths[0] better-as-pattern",
			},
			{json: rule(`"paths":[{"regex":""}]`), problems: "rules[0].paths[0] bad-value"},
			{json: rule(`"paths":[{"regex":"/("}]`), problems: "rules[0].paths[0] bad-regex"},
			{json: rule(`"paths":[{"regex":"/[ab]*a[ab]{14}"}]`), problems: "rules[0].paths[0] costly-matcher"},
			{json: rule(`"paths":[{"regex":"/` + strings.Repeat("x", maxRegexLen) + `"}]`), problems: "rules[0].paths[0] costly-matcher"},
			{json: rule(`"paths":[{"regex":"/[` + strings.Repeat("x", maxRegexLen-3) + `]"}]`), warnings: "rules[0].paths[0] better-as-pattern"},
			{
				json:     rule(`"paths":[{"regex":"v[12]"},{"regex":"/v1\\?x=.*"},{"regex":"/a[ ]b"}]`),
				warnings: "rules[0].paths[0] no-effect, rules[0].paths[1] no-effect, rules[0].paths[2] no-effect",
			},
			{json: rule(`"paths":[{"regex":".*\\.json"},{"regex":"/v1/.*"},{"regex":"\\*|/[xy]"}]`)},
			{
				json: rule(`"paths":[{"regex":"/v1"},{"regex":"/v2(/.*)?"},{"regex":"/v3.*"},{"regex":"/.*"}]`),
				warnings: "rules[0].paths[0] better-as-pattern, rules[0].paths[1] better-as-pattern, rules[0].paths[2] " +
					"better-as-pattern, rules[0].paths[3] better-as-pattern",
			},
		}},
	} {
		t.Run(group.name, func(t *testing.T) { checkRows(t, group.rows) })
	}
}

// chosen is the name of the rule that Select takes, "default" or "none".
func chosen(p *Config, authority, path string) string {
	policy, rule := p.Select(authority, path)
	switch {
	case rule != nil && policy == rule.Policy && policy != nil:
		return rule.Name
	case rule == nil && policy == nil:
		return "none"
	case rule == nil && policy == p.Default:
		return "default"
	}
	return fmt.Sprint("policy ", policy, " of rule ", rule)
}

func TestSelect(t *testing.T) {
	for _, c := range []struct {
		name  string
		rules string
		rest  string
		want  map[[2]string]string
	}{
		{
			name: "without rules the top-level policy holds", rules: `[]`, rest: `,"mode":"off"`,
			want: map[[2]string]string{{"a.example", "/"}: "default", {"", ""}: "default"},
		},
		{
			name: "without a match and a top-level policy there is none", rules: `[{"hosts":["a.example"],"policy":{"mode":"off"}}]`,
			want: map[[2]string]string{{"a.example", "/"}: "rules[0]", {"b.example", "/"}: "none", {"", "/"}: "none"},
		},
		{
			name: "the first match wins, however it is written",
			rules: `[{"name":"status","paths":["/status"],"policy":{"mode":"off"}},{"name":"a","hosts":["a.example"],` +
				`"policy":{"mode":"off"}},{"name":"sub","hosts":["*.example"],"policy":{"mode":"off"}},{"name":"late",` +
				`"hosts":["a.example","b.test"],"paths":["/x"],"policy":{"mode":"off"}}]`,
			rest: `,"mode":"off"`,
			want: map[[2]string]string{
				{"a.example", "/status"}: "status", {"c.test", "/status"}: "status", {"a.example", "/x"}: "a", {"b.test", "/x"}: "late",
				{"b.example", "/"}: "sub", {"x.a.example", "/"}: "sub", {"example", "/"}: "default", {"c.test", "/"}: "default",
			},
		},
		{
			name: "paths are exact, or all below by segment, up to the query",
			rules: `[{"name":"v1","paths":["/v1/*"],"policy":{"mode":"off"}},{"name":"status","paths":["/status"],` +
				`"policy":{"mode":"off"}},{"name":"dir","paths":["/dir/"],"policy":{"mode":"off"}}]`,
			want: map[[2]string]string{
				{"h", "/v1"}: "v1", {"h", "/v1/"}: "v1", {"h", "/v1/a/b"}: "v1", {"h", "/v1?x=/v2"}: "v1", {"h", "/v1/?"}: "v1",
				{"h", "/v1x"}: "none", {"h", "/v10"}: "none", {"h", "/v"}: "none", {"h", "/V1"}: "none", {"h", "/x/v1"}: "none",
				{"h", "/?/v1"}: "none", {"h", ""}: "none", {"h", "*"}: "none",
				{"h", "/status"}: "status", {"h", "/status?q"}: "status", {"h", "/status/"}: "none", {"h", "/status/x"}: "none",
				{"h", "/statu"}: "none",
				{"h", "/dir/"}:  "dir", {"h", "/dir"}: "none",
			},
		},
		{
			name:  "paths by their first letters",
			rules: `[{"name":"billing","paths":["/billing.*"],"policy":{"mode":"off"}},{"name":"v1","paths":["/v1*"],"policy":{"mode":"off"}}]`,
			want: map[[2]string]string{
				{"h", "/billing.Orders/Get"}: "billing", {"h", "/billing."}: "billing", {"h", "/billing"}: "none", {"h", "/billings.X/Y"}: "none",
				{"h", "/v1"}: "v1", {"h", "/v1x"}: "v1", {"h", "/v1/x?y"}: "v1", {"h", "/v"}: "none", {"h", "/V1"}: "none", {"h", "/x/v1"}: "none",
			},
		},
		{
			name: "paths by regex, as a whole",
			rules: `[{"name":"orders","paths":[{"regex":"/v[0-9]+/orders"},{"regex":"/(eu|us)/orders/.+"}],` +
				`"policy":{"mode":"off"}},{"name":"json","hosts":["h"],"paths":[{"regex":".*\\.json"}],"policy":{"mode":"off"}}]`,
			want: map[[2]string]string{
				{"h", "/v1/orders"}: "orders", {"h", "/v12/orders?x=/"}: "orders", {"h", "/v/orders"}: "none", {"h", "/v1/orders/"}: "none",
				{"h", "/x/v1/orders"}: "none", {"h", "/V1/orders"}: "none",
				{"h", "/us/orders/1"}: "orders", {"h", "/us/orders/"}: "none", {"h", "/us/orders/1.json"}: "orders",
				{"h", "/a.json"}: "json", {"g", "/a.json"}: "none", {"h", "/a.json?b"}: "json", {"h", "/a?.json"}: "none", {"h", "*"}: "none",
				{"h", ""}: "none",
			},
		},
		{
			name: "every path below the root", rules: `[{"name":"all","paths":["/*"],"policy":{"mode":"off"}}]`,
			want: map[[2]string]string{{"h", "/"}: "all", {"h", "/a"}: "all", {"h", "/?q"}: "all", {"h", "*"}: "none"},
		},
		{
			name: "hosts go without the port and the case of letters",
			rules: `[{"name":"a","hosts":["a.example"],"policy":{"mode":"off"}},{"name":"sub","hosts":["*.B.example"],` +
				`"policy":{"mode":"off"}},{"name":"v6","hosts":["[2001:db8::1]"],"policy":{"mode":"off"}},{"name":"v4",` +
				`"hosts":["192.0.2.1"],"policy":{"mode":"off"}},{"name":"dot","hosts":["dot.example.",` +
				`"*.dots.example."],"policy":{"mode":"off"}},{"name":"one","hosts":["localhost","za"],"policy":{"mode":"off"}}]`,
			want: map[[2]string]string{
				{"a.example", "/"}: "a", {"a.example:8080", "/"}: "a", {"A.EXAMPLE:80", "/"}: "a", {"a.example:", "/"}: "a",
				{"LOCALHOST", "/"}: "one", {"zA", "/"}: "one", {"Za:1", "/"}: "one", {"local-host", "/"}: "none",
				{"xa.example", "/"}: "none", {"x.a.example", "/"}: "none", {"a.example.evil", "/"}: "none",
				{"a.example.", "/"}: "a", {"a.example.:8443", "/"}: "a", {"A.Example.:", "/"}: "a", {"x.b.example.", "/"}: "sub",
				{"X.B.example.:80", "/"}: "sub", {"192.0.2.1.", "/"}: "v4",
				{"a.example..", "/"}: "none", {".a.example.", "/"}: "none", {".", "/"}: "none", {"..", "/"}: "none", {":80", "/"}: "none",
				{".:80", "/"}: "none", {"", "/"}: "none",
				{"dot.example", "/"}: "dot", {"dot.example.", "/"}: "dot", {"x.dots.example.:1", "/"}: "dot",
				{"x.b.example", "/"}: "sub", {"X.Y.B.Example:1", "/"}: "sub", {"b.example", "/"}: "none", {"xb.example", "/"}: "none",
				{"[2001:db8::1]", "/"}: "v6", {"[2001:DB8::1]:443", "/"}: "v6", {"[2001:db8::2]", "/"}: "none", {"2001:db8::1", "/"}: "none",
				{"192.0.2.1:80", "/"}: "v4", {"1.192.0.2.1", "/"}: "none",
				{strings.Repeat("x.", 126) + "b.example", "/"}: "none", {strings.Repeat("x.", 125) + "b.example", "/"}: "sub",
				{strings.Repeat("x.", 124) + "xx.b.example", "/"}: "sub", {strings.Repeat("x", 100000), "/"}: "none",
			},
		},
		{
			name:  "a rule wants both, host and path",
			rules: `[{"name":"both","hosts":["a.example","b.example"],"paths":["/x","/y/*"],"policy":{"mode":"off"}}]`,
			want: map[[2]string]string{
				{"a.example", "/x"}:   "both",
				{"b.example", "/y/z"}: "both",
				{"a.example", "/"}:    "none",
				{"c.example", "/x"}:   "none",
			},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := mustParse(t, `{"rules":`+c.rules+c.rest+`}`)
			for at, want := range c.want {
				if got := chosen(p, at[0], at[1]); got != want {
					t.Errorf("Select(%.60q, %q): %s, want %s", at[0], at[1], got, want)
				}
				if n := testing.AllocsPerRun(10, func() { p.Select(at[0], at[1]) }); n != 0 {
					t.Errorf("Select(%.60q, %q): %v allocations", at[0], at[1], n)
				}
			}
		})
	}
}

// TestNothingIsInherited holds a rule's policy apart from the one around it.
func TestNothingIsInherited(t *testing.T) {
	p := mustParse(
		t,
		`{"allow_origins":["*"],"allow_methods":"PUT","max_age":60,"debug":true,"rules":[{"name":"r",`+
			`"paths":["/r"],"policy":{"allow_origins":["https://a.example"],"allow_credentials":true}}]}`,
	)
	inner, _ := p.Select("h", "/r")
	outer, _ := p.Select("h", "/")
	if inner.AllowMethods != "" || inner.MaxAge != "" || inner.Debug || !inner.Credentials || inner.Origins.Any {
		t.Errorf("the rule's policy: %+v", inner)
	}
	if outer.AllowMethods != "PUT" || outer.MaxAge != "60" || !outer.Debug || outer.Credentials || !outer.Origins.Any {
		t.Errorf("the top-level policy: %+v", outer)
	}
	if all := p.Policies(); len(all) != 2 || all[0] != inner || all[1] != outer || !p.HasRules() {
		t.Errorf("Policies: %v", all)
	}
}

// modelled is a rule as its documentation has it.
type modelled struct {
	Name   string            `json:"name"`
	Hosts  []string          `json:"hosts,omitempty"`
	Paths  []any             `json:"paths,omitempty"`
	Policy map[string]string `json:"policy"`
}

func (r modelled) takes(host, path string) bool {
	inHosts := len(r.Hosts) == 0 || slices.ContainsFunc(r.Hosts, func(h string) bool {
		return h == "*" || h == host || strings.HasPrefix(h, "*.") && strings.HasSuffix(host, h[1:])
	})
	return inHosts && (len(r.Paths) == 0 || slices.ContainsFunc(r.Paths, func(q any) bool {
		text, ok := q.(string)
		if !ok {
			return regexp.MustCompile(`^(?:` + q.(map[string]string)["regex"] + `)$`).MatchString(path)
		}
		if tree, below := strings.CutSuffix(text, "/*"); below {
			return path == tree || strings.HasPrefix(path, tree+"/")
		}
		letters, more := strings.CutSuffix(text, "*")
		return path == text || more && strings.HasPrefix(path, letters)
	}))
}

// TestSelectAgreesWithALoopOverRules reads the rules as their documentation does, one by
// one. Those that are refused are never the first, and without them all is as it was.
func TestSelectAgreesWithALoopOverRules(t *testing.T) {
	regex := func(r string) any { return map[string]string{"regex": r} }
	hosts := []string{"a", "b", "a.b", "x.a.b", "ab", "x"}
	paths := []string{"/", "/a", "/a/", "/a/b", "/ab", "/a/b/c", "/b", "/x", "/a/x", "/abb", "/ax", "*"}
	rapid.Check(t, func(t *rapid.T) {
		rules := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) modelled {
			return modelled{
				Hosts: rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"a", "b", "a.b", "*.b", "*.a.b", "*"}), 0, 3, rapid.ID).Draw(t, "hosts"),
				Paths: rapid.SliceOfN(rapid.SampledFrom([]any{
					"/", "/*", "/a", "/a/*", "/a*", "/a/b", "/a/b/*", "/a/b*", "/ab*", regex("/a.*"), regex("/[ab]/?.*"), regex("/.+"), regex(".*b"),
					regex("/[^a].*"), regex("/a/[^b]*"),
				}), 0, 3).Draw(t, "paths"),
				Policy: map[string]string{"mode": "off"},
			}
		}), 1, 6).Draw(t, "rules")
		for i := range rules {
			rules[i].Name = fmt.Sprint("rule ", i)
		}
		text, _ := json.Marshal(map[string]any{"rules": rules})
		p, _, err := Parse(text)
		unreached := map[int]bool{}
		if problems, _ := err.(Problems); len(problems) > 0 {
			var reached []modelled
			for i, rule := range rules {
				if slices.ContainsFunc(problems, func(e Problem) bool { return e.Path == fmt.Sprintf("rules[%d]", i) && e.Code == Unreachable }) {
					unreached[i] = true
				} else {
					reached = append(reached, rule)
				}
			}
			if len(unreached) != len(problems) {
				t.Fatalf("%s: %v", text, err)
			}
			again, _ := json.Marshal(map[string]any{"rules": reached})
			p = mustParse(t, string(again))
		}
		for _, host := range hosts {
			for _, path := range paths {
				want := "none"
				for i, r := range slices.Backward(rules) {
					if r.takes(host, path) {
						want = r.Name
						if unreached[i] && !slices.ContainsFunc(rules[:i], func(r modelled) bool { return r.takes(host, path) }) {
							t.Fatalf("%q %q reaches %s of %s", host, path, r.Name, text)
						}
					}
				}
				if got := chosen(p, host+":8080", path+"?/a/b"); got != want {
					t.Fatalf("Select(%q, %q): %s, want %s with %s", host, path, got, want, text)
				}
			}
		}
	})
}
