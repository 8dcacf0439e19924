package verify

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"sigs.k8s.io/yaml"

	"corsfilter/internal/explain"
)

const cases = `cases:
- name: the shop changes an order
  origin: https://shop.example.com
  url: https://api.example.com/v1/orders/7
  method: PUT
  headers: [content-type, "accept: application/json"]
  credentials: include
  expect: allow
  response: {access-control-max-age: "600", Access-Control-Allow-Private-Network: null}
- origin: https://shop.example.com:8443
  expect: deny
- {origin: https://x.admin.example.com, url: /v1, method: patch, expect: deny}
- {origin: https://api.example.com, url: https://api.example.com, method: PATCH, expect: allow}
- {origin: null, expect: deny}
`

func readCases(t *testing.T, text string) []Case {
	t.Helper()
	all, err := ReadCases("cases.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestCasesHoldForAPolicyAndForAServer(t *testing.T) {
	all := readCases(t, cases)
	if len(all) != 5 || all[4].Origin != "null" || all[1].Name != "GET of the page https://shop.example.com:8443 to /" || all[2].line != 12 {
		t.Errorf("%+v", all)
	}
	for _, k := range all {
		if r, err := k.Test(explain.Found{JSON: []byte(policy)}); r.Severity != "" || err != nil {
			t.Errorf("%s: %s, %v", k.Name, r.Message, err)
		}
	}
	results, leftOut := client(t, filtered(t, policy), "", Options{}).Cases(t.Context(), all)
	if len(results) != 5 || codes(results) != "" || leftOut != nil {
		t.Errorf("%+v, left out %q", results, leftOut)
	}
	results, leftOut = client(t, filtered(t, policy), "", Options{Max: 3}).Cases(t.Context(), all)
	if len(results) != 1 || leftOut[0] != "4 of 5 cases: -max is 3 requests" {
		t.Errorf("%+v, left out %q", results, leftOut)
	}
}

func TestCasesThatDoNotHoldSayWhy(t *testing.T) {
	for name, c := range map[string]struct{ replace, with, message, live string }{
		"denied": {"method: PUT", "method: PATCH",
			"expected allow: blocked: the preflight fails, and the request is not sent: the method PATCH is not in Access-Control-Allow-Methods",
			"expected allow: the preflight fails, and the request is not sent: the method PATCH is not in Access-Control-Allow-Methods"},
		"allowed": {"expect: allow", "expect: deny", "expected deny: allowed: the script gets the response",
			"expected deny: the page gets the response"},
		"another value": {`"600"`, `5`, "access-control-max-age: expected 5, got 600", "access-control-max-age: expected 5, got 600"},
		"a value where none is": {`Private-Network: null`, `Private-Network: true`,
			"access-control-allow-private-network: expected true, got none",
			"access-control-allow-private-network: expected true, got none"},
		"none where a value is": {`"600"`, `null`, "access-control-max-age: expected none, got 600",
			"access-control-max-age: expected none, got 600"},
	} {
		t.Run(name, func(t *testing.T) {
			all := readCases(t, strings.Replace(cases, c.replace, c.with, 1))
			r, err := all[0].Test(explain.Found{JSON: []byte(policy)})
			if err != nil || r.Message != c.message || r.Explained == nil || r.File != "cases.yaml" || r.Line != 2 {
				t.Errorf("%+v, %v", r, err)
			}
			live, _ := client(t, filtered(t, policy), "", Options{}).Cases(t.Context(), all[:1])
			if len(live) != 1 || live[0].Message != c.live {
				t.Errorf("live: %+v", live)
			}
		})
	}
	shadow := explain.Found{JSON: []byte(strings.Replace(policy, "{", `{"mode": "shadow", `, 1))}
	const want = "expected deny: upstream decides: the filter leaves its CORS headers as they are"
	if r, err := readCases(t, cases)[1].Test(shadow); err != nil || r.Message != want {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestCasesOfOtherHostsAreLeftOut(t *testing.T) {
	all := readCases(t, cases)
	c := client(t, filtered(t, policy), "", Options{})
	c.AnyHost = false
	results, leftOut := c.Cases(t.Context(), all)
	if len(results) != 3 || len(leftOut) != 1 || !strings.HasPrefix(leftOut[0], "2 of 5 cases: they are for hosts other than 127") {
		t.Errorf("%d, left out %q", len(results), leftOut)
	}
}

// schema is the one that editors have.
func schema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	text, err := os.ReadFile("../../docs/cases.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("cases.json", document); err != nil {
		t.Fatal(err)
	}
	s, err := compiler.Compile("cases.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func accepts(t *testing.T, s *jsonschema.Schema, text []byte) bool {
	t.Helper()
	json, err := yaml.YAMLToJSON(text)
	if err != nil {
		return false
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(json))
	if err != nil {
		t.Fatal(err)
	}
	return s.Validate(value) == nil
}

func TestMistakesInCasesAreNamedWithTheirLines(t *testing.T) {
	s := schema(t)
	if !accepts(t, s, []byte(cases)) {
		t.Error("the schema refuses cases that are read")
	}
	for _, c := range []struct {
		text, want string
		byNature   bool // no schema can say it
	}{
		{"cases: 1", `cases.yaml:1: there is no list of cases; write cases: and a list with origin, url, method and expect`, false},
		{"case: []", `cases.yaml:1: there is no list of cases`, false},
		{"cases: [{origin: null, expect: deny}]\nmore: 1", `cases.yaml:2: more: unknown key; known here: cases`, false},
		{"cases:\n- 1", `cases.yaml:2: cases[0]: not a case; write its keys: origin, url, method, expect`, false},
		{"cases:\n- origin: https://a.example\n  expct: allow", `cases.yaml:3: cases[0].expct: unknown key; did you mean "expect"?`, false},
		{"cases:\n- expect: allow", `cases.yaml:2: cases[0]: origin is missing; write the page's, such as https://shop.example.com`, false},
		{"cases:\n- origin: https://a.example", `cases.yaml:2: cases[0]: expect: ""; write allow or deny`, false},
		{"cases:\n- {origin: https://a.example, expect: yes}", `cases.yaml:2: cases[0]: expect: "yes"; write allow or deny`, false},
		{"cases:\n- {origin: https://a.example/, expect: deny}",
			`cases[0]: origin: "https://a.example/" is not what a browser sends as Origin; write "https://a.example"`, false},
		{"cases: []", `cases.yaml:1: there is no list of cases`, false},
		{"cases:\n- {origin: '', expect: deny}", `cases.yaml:2: cases[0]: origin is missing`, false},
		{"cases:\n- {origin: https://a.example, expect: deny, url: api.example.com}",
			`cases[0]: url: "api.example.com"; write one such as https://api.example.com/v1/orders`, false},
		{"cases:\n- {origin: https://a.example, expect: deny, method: TRACE}", `cases[0]: scripts cannot send TRACE`, true},
		{"cases:\n- {origin: https://a.example, expect: deny, headers: [cookie]}", `cases[0]: scripts cannot set the header cookie`, true},
		{"cases:\n- {origin: https://a.example, expect: deny, headers: cookie}",
			"cases[0]: line 2: cannot unmarshal !!str `cookie` into []string", false},
		{"cases:\n- {origin: https://a.example, expect: deny, credentials: same-origin}",
			`cases[0]: credentials: "same-origin"; write include or omit`, false},
		{"cases:\n- {origin: https://a.example, origin: https://b.example, expect: deny}",
			`mapping key "origin" already defined at line 2`, true},
		{"cases: [", `cases.yaml: document 1 is not YAML`, false},
	} {
		_, err := ReadCases("cases.yaml", []byte(c.text))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s\n%v\nwant %s", c.text, err, c.want)
		}
		if accepts(t, s, []byte(c.text)) != c.byNature {
			t.Errorf("the schema on %s: %v", c.text, !c.byNature)
		}
	}
}

func TestCasesMadeOfAPolicyHold(t *testing.T) {
	s := schema(t)
	for name, policy := range policies {
		t.Run(name, func(t *testing.T) {
			found := explain.Found{JSON: []byte(policy)}
			text, err := Init(found, Target{Scheme: "https", Host: "api.example.com", AnyHost: true})
			if err != nil {
				t.Fatal(err)
			}
			if !accepts(t, s, text) {
				t.Errorf("the schema refuses\n%s", text)
			}
			expects := map[string]int{}
			for _, k := range readCases(t, string(text)) {
				expects[k.Expect]++
				if r, err := k.Test(found); r.Severity != "" || err != nil {
					t.Errorf("%s: %s, %v", k.Name, r.Message, err)
				}
			}
			if expects["allow"] == 0 && name != "of nobody" || expects["deny"] == 0 && name != "of everybody" && name != "that preserves" {
				t.Errorf("%v in\n%s", expects, text)
			}
		})
	}
	if text, err := Init(explain.Found{JSON: []byte(`{"mode": "off"}`)}, Target{Host: "api.example.com"}); err == nil ||
		err.Error() != "the policy allows no case to be made: the top level: the mode is off, so upstream decides" {
		t.Errorf("%s, %v", text, err)
	}
	text, err := Init(explain.Found{JSON: []byte(byHost)}, Target{Scheme: "https", Host: "api.example.com", AnyHost: true})
	const leftOut = "# left out: rule shadow: the mode is shadow, so upstream decides\n"
	if err != nil || !strings.HasPrefix(string(text), leftOut) || !strings.Contains(string(text), "https://www.example.org/") {
		t.Errorf("%s, %v", text, err)
	}
}

func TestACaseIsSentWithItsOwnHost(t *testing.T) {
	all := readCases(t, `cases:
- {origin: https://other.example.com, url: https://a.example.org/x, expect: allow}
- {origin: https://other.example.com, url: https://api.example.com/x, expect: deny}
`)
	results, _ := client(t, filtered(t, byHost), "", Options{}).Cases(t.Context(), all)
	if len(results) != 2 || codes(results) != "" {
		t.Errorf("%+v", results)
	}
}
