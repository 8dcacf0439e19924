package lint

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"corsfilter/config"
	"corsfilter/internal/document"
	"corsfilter/internal/suffix"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// TestFiles compares what is found in each file of testdata, with its places, to
// the golden file beside it.
func TestFiles(t *testing.T) {
	files, err := filepath.Glob("testdata/*.*") // fuzz is what fuzzing kept
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	for _, path := range files {
		if strings.HasSuffix(path, ".golden") {
			continue
		}
		checked++
		t.Run(filepath.Base(path), func(t *testing.T) {
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			var b strings.Builder
			for _, f := range Check(filepath.Base(path), data, true) {
				fmt.Fprintf(&b, "%s:%d:%d document %d %s\n  config %s\n  path   %s\n  value  %s\n  code   %s\n  %s\n  %s\n",
					f.File, f.Line, f.Column, f.Document, f.Severity, f.Config, f.Path, f.Value, f.Code, f.Reason, f.Remedy)
			}
			golden := path + ".golden"
			if *update {
				if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if b.String() != string(want) {
				t.Errorf("%s differs; run go test ./internal/lint -update\n%s", golden, b.String())
			}
		})
	}
	if checked < 10 {
		t.Errorf("%d files in testdata, some are lost", checked)
	}
}

// TestPlaces finds the word that a problem is about in the line and column that
// are reported, in each form in which a configuration goes around.
func TestPlaces(t *testing.T) {
	json := `{"allow_origins":
  ["https://a.example", {"regex":
      "("}], "max_age": "soon",
  "rules": [{"hosts": ["a.example", "b:1"], "policy": {"mode": "off", "mode": "shadow", "odd.key[0]": 1}}]}`
	indented := strings.ReplaceAll(json, "\n", "\n      ")
	for _, file := range []struct{ name, text string }{
		{"JSON", json},
		{
			"JSON as a WasmPlugin's flow mapping",
			"kind: WasmPlugin\napiVersion: x\nspec:\n  pluginConfig:\n   " + strings.ReplaceAll(json, "\n", "\n   "),
		},
		{
			"JSON in a block scalar",
			"x:\n- typed_config:\n    \"@type\": envoy.extensions.filters.http.wasm.v3.Wasm\n    config:\n     configuration:\n" +
				"      \"@type\": type.googleapis.com/google.protobuf.StringValue\n      value: |\n\n       " +
				strings.ReplaceAll(indented, "\n", "\n "),
		},
	} {
		t.Run(file.name, func(t *testing.T) {
			lines := strings.Split(file.text, "\n")
			want := map[string]string{ // path -> what stands there
				"allow_origins[1].regex":     "",
				"allow_origins[1]":           `{"regex":`,
				"max_age":                    `"soon"`,
				"rules[0].hosts[1]":          `"b:1"`,
				"rules[0].policy.mode":       `"mode": "shadow"`,
				"rules[0].policy.odd.key[0]": `"odd.key[0]"`,
			}
			findings := Check("f", []byte(file.text), true)
			if len(findings) == 0 {
				t.Fatal("nothing found")
			}
			for _, f := range findings {
				if f.Severity != Error {
					continue
				}
				begins, known := want[f.Path]
				if !known {
					t.Errorf("unexpected: %+v", f)
					continue
				}
				delete(want, f.Path)
				if f.Line > len(lines) || !strings.HasPrefix(lines[f.Line-1][min(f.Column-1, len(lines[f.Line-1])):], begins) {
					t.Errorf("%s: line %d, column %d is not %s", f.Path, f.Line, f.Column, begins)
				}
			}
			delete(want, "allow_origins[1].regex")
			if len(want) > 0 {
				t.Errorf("not found: %v", want)
			}
		})
	}
}

// TestYAMLBecomesTheJSONThatTheProxyGets compares conversions that go wrong
// elsewhere.
func TestYAMLBecomesTheJSONThatTheProxyGets(t *testing.T) {
	for _, c := range []struct{ yaml, json string }{
		{"allow_origins: [a]\nx: yes\ny: 'yes'\nz: Off\nv: On\nw: no", `{"allow_origins":["a"],"x":true,"y":"yes","z":false,"v":true,"w":false}`},
		{
			"allow_origins: [a]\nn: 600\no: 0600\nx: 0x10\nu: 1_000\nf: 6e2\ng: 1.5",
			`{"allow_origins":["a"],"n":600,"o":384,"x":16,"u":1000,"f":600,"g":1.5}`,
		},
		{
			"allow_origins: [a]\nt: 2026-11-23\nnothing: ~\ni: .inf\ns: \"600\"",
			`{"allow_origins":["a"],"t":"2026-11-23","nothing":null,"i":".inf","s":"600"}`,
		},
		{"a: &x [1]\nallow_origins: *x\nallow_origins: [2]", `{"a":[1],"allow_origins":[1],"allow_origins":[2]}`},
		{"allow_origins: [\"\\u00e9\\n<>&\"]", "{\"allow_origins\":[\"é\\n\\u003c\\u003e\\u0026\"]}"},
	} {
		found, err := Find([]byte(c.yaml))
		if err != nil || len(found) != 1 {
			t.Errorf("%s: %d found, %v", c.yaml, len(found), err)
			continue
		}
		if got := string(found[0].JSON); got != c.json {
			t.Errorf("%s\nis %s\nwant %s", c.yaml, got, c.json)
		}
	}
}

func FuzzCheck(f *testing.F) {
	for _, seed := range []string{
		"{}", `{"allow_origins":["*"]}`,
		"a: [",
		"kind: WasmPlugin\nspec: {pluginConfig: {a: b}}", "- &a [*a]",
		"? [a]\n: b",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, finding := range Check("f", data, len(data)%2 == 0) {
			if finding.Line < 1 || finding.Column < 1 || finding.Reason == "" {
				t.Errorf("%+v", finding)
			}
		}
	})
}

// TestWhatIsOurs tells configurations of this filter from those of others: a hook
// sees every JSON and YAML file of a repository.
func TestWhatIsOurs(t *testing.T) {
	plugin := func(configuration string) string {
		return "apiVersion: extensions.istio.io/v1alpha1\nkind: WasmPlugin\nmetadata: {name: theirs}\nspec:\n  url: oci://a/b\n" +
			"  pluginConfig: " + configuration + "\n"
	}
	filter := func(configuration string) string {
		return "static_resources:\n  listeners:\n  - filters:\n    - name: theirs\n      typed_config:\n" +
			"        \"@type\": type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm\n" +
			"        config: {configuration: {\"@type\": type.googleapis.com/google.protobuf.StringValue, value: '" + configuration + "'}}\n"
	}
	for _, c := range []struct {
		name, text string
		ours       bool
	}{
		{"a package.json", `{"name": "shop", "version": "1.0.0", "scripts": {"test": "x"}}`, false},
		{"a tsconfig.json with comments", "{\n  // strict\n  \"compilerOptions\": {}\n}", false},
		{"a workflow", "on: push\njobs: {test: {runs-on: x}}\n", false},
		{"a Deployment", "apiVersion: apps/v1\nkind: Deployment\nspec: {replicas: 1}\n", false},
		{"a list", `["allow_origins"]`, false},
		{"nothing", "", false},
		{"rules of somebody else", `{"rules": [{"id": 1}], "debug": true}`, false},
		{"a mode of somebody else", `{"mode": "production"}`, false},
		{"a plugin of somebody else", plugin(`{header: x-a, rules: [{a: b}]}`), false},
		{"a filter of somebody else", filter(`{"header": "x-a"}`), false},
		{"a bare configuration", `{"allow_origins": []}`, true},
		{"rules with policies", `{"rules": [{"policy": {"mode": "off"}}]}`, true},
		{"a mode of ours", `{"mode": "off"}`, true},
		{"a key of a dialect", plugin(`{allowOriginStringMatch: []}`), true},
		{"a plugin of ours", plugin(`{allowOrigins: ["*"]}`), true},
		{"a filter of ours", filter(`{"allow_origins": ["*"]}`), true},
		{"broken, and ours", `{"allow_origins": [`, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			findings := Check("f", []byte(c.text), false)
			skipped := len(findings) == 1 && findings[0].Severity == Note && findings[0].Code == NoneFound
			if skipped == c.ours {
				t.Errorf("%+v", findings)
			}
			if required := Check("f", []byte(c.text), true); !c.ours && (len(required) != 1 || required[0].Severity != Error) {
				t.Errorf("required: %+v", required)
			}
		})
	}
	for _, text := range []string{plugin("{alow_origin: []}"), filter(`{"alow_origin": []}`)} {
		if findings := Check("f", []byte(text), false, "theirs"); Count(findings, Error) == 0 || findings[0].Code != config.UnknownKey &&
			findings[0].Code != config.Missing {
			t.Errorf("named on the command line: %+v", findings)
		}
	}
}

// TestBounds reads files that stand for more than they look.
func TestBounds(t *testing.T) {
	bomb := "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
	for i := 1; i < 12; i++ {
		bomb += fmt.Sprintf("a%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 10), ", "))
	}
	for _, c := range []struct{ name, text, want string }{
		{"aliases in a configuration", bomb + "allow_origins: *a11\n", "holds more than 1000000 values"},
		{"aliases anywhere", bomb + "kind: X\napiVersion: allow_origin\n", "holds more than 1000000 values"},
		{"brackets", "allow_origins: " + strings.Repeat("[", 100_000), "nested deeper than 1000 levels"},
		{"brackets in JSON", `{"allow_origins": ` + strings.Repeat("[", 100_000), "nested deeper than 1000 levels"},
		{
			"brackets in a value",
			"kind: WasmPlugin\nspec: {pluginConfig: '{\"allow_origins\": " + strings.Repeat("[", 100_000) + "'}",
			"nested deeper than 1000 levels",
		},
		{"dashes", "allow_origins:\n" + strings.Repeat("- ", 100_000) + "x\n", "exceeded max depth"},
		{"a document in itself", "allow_origins: &a [*a]\n", "nested deeper than 1000 levels, or in itself"},
		{"a large file", "allow_origins: [a]\n" + strings.Repeat("#", document.MaxFile), "and more than 8388608 are not read"},
	} {
		t.Run(c.name, func(t *testing.T) {
			began := time.Now()
			findings := Check("f", []byte(c.text), false)
			if took := time.Since(began); took > 10*time.Second {
				t.Errorf("it took %s", took)
			}
			if Count(findings, Error) == 0 || !strings.Contains(findings[0].Reason, c.want) {
				t.Errorf("%+v", findings)
			}
		})
	}
}

func TestMergeKeys(t *testing.T) {
	found, err := Find(
		[]byte("base: &base {allow_methods: PUT, max_age: 1, allow_origins: [https://x.example]}\nmore: &more {debug: true, max_age: 2}\n" +
			"allow_origins: [https://a.example]\n<<: [*base, *more]\nmax_age: 3\n"),
	)
	if err != nil || len(found) != 1 {
		t.Fatalf("%d found, %v", len(found), err)
	}
	if got, want := string(found[0].JSON), `{"base":{"allow_methods":"PUT","max_age":1,`+
		`"allow_origins":["https://x.example"]},"more":{"debug":true,"max_age":2},`+
		`"allow_origins":["https://a.example"],"max_age":3,"allow_methods":"PUT","debug":true}`; got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	text := "x-base: &base\n  allow_origins: [https://a.example/]\nkind: WasmPlugin\nspec:\n  pluginConfig:\n    <<: *base\n    debug: 1\n"
	findings := Check("f", []byte(text), true)
	if len(findings) != 2 || findings[0].Line != 2 || findings[1].Line != 7 {
		t.Errorf("%+v", findings)
	}
}

func TestATemplateIsToBeRenderedFirst(t *testing.T) {
	findings := Check(
		"f",
		[]byte(
			"kind: WasmPlugin\nspec:\n  pluginConfig:\n    allow_origins: {{ .Values.origins | toJson }}\n    {{- if .Values.debug }}\n"+
				"    debug: true\n"+
				"    {{- end }}\n",
		),
		false,
	)
	if len(findings) != 1 || findings[0].Severity != Error ||
		!strings.Contains(findings[0].Reason, "is a template and not YAML yet: render it first, for example with helm template") {
		t.Errorf("%+v", findings)
	}
	if findings := Check(
		"f", []byte("kind: Deployment\nspec:\n  {{- if .Values.debug }}\n  a: b\n  {{- end }}\n"), false,
	); len(findings) != 1 ||
		findings[0].Severity != Note {
		t.Errorf("a template of something else: %+v", findings)
	}
}

func TestTheResourceAroundIsDecodedStrictly(t *testing.T) {
	const plugin = "apiVersion: extensions.%s/v1alpha1\nkind: WasmPlugin\nmetadata: {name: cors}\nspec:\n  url: oci://a/b\n  %s\n" +
		"  %s: {allow_origins: [https://a.example]}\n"
	for _, c := range []struct{ group, line, key, want string }{
		{"istio.io", "phase: AUTHN", "pluginConfig", ""},
		{"istio.io", "phase: AUTHNN", "pluginConfig", "AUTHNN"},
		{"istio.io", "priorty: 10", "pluginConfig", `unknown field "priorty"`},
		{"istio.io", "matchRules: []", "pluginConfig", `unknown field "matchRules"`},
		{"higress.io", "matchRules: []", "defaultConfig", ""},
		{"higress.io", "priorty: 10", "defaultConfig", `unknown field "priorty"`},
	} {
		resourceFinding(t, fmt.Sprintf(plugin, c.group, c.line, c.key), c.want)
	}
	const extension = "apiVersion: extensions.istio.io/v1alpha1\nkind: TrafficExtension\nmetadata: {name: cors}\nspec:\n  targetRefs: " +
		"[{kind: Gateway, group: gateway.networking.k8s.io, name: g}]\n  %s\n  %s\n"
	for _, c := range []struct{ line, wasm, want string }{
		{"phase: AUTHN", "wasm: {url: oci://a/b, pluginConfig: {allow_origins: [https://a.example]}}", ""},
		{"phase: AUTHNN", "wasm: {url: oci://a/b, pluginConfig: {allow_origins: [https://a.example]}}", "AUTHNN"},
		{"wasm: {url: oci://a/b, pluginCnofig: {}, pluginConfig: {allow_origins: [https://a.example]}}", "phase: AUTHN",
			`unknown field "pluginCnofig"`},
	} {
		resourceFinding(t, fmt.Sprintf(extension, c.line, c.wasm), c.want)
	}
	findings := Check("f", []byte(fmt.Sprintf(extension, "phase: AUTHN",
		`wasm: {url: oci://a/b, pluginConfig: {allow_origins: ["https://a.example/"]}}`)), true)
	if len(findings) != 1 || findings[0].Line != 7 || findings[0].Config != "spec.wasm.pluginConfig" || findings[0].Code != config.BadOrigin {
		t.Errorf("%+v", findings)
	}
}

// resourceFinding expects one finding in line 6, or none.
func resourceFinding(t *testing.T, file, want string) {
	t.Helper()
	findings := Check("f", []byte(file), true)
	if want == "" {
		if len(findings) > 0 {
			t.Errorf("%s\n%+v", file, findings)
		}
		return
	}
	if len(findings) != 1 || findings[0].Code != BadResource || findings[0].Line != 6 || !strings.Contains(findings[0].Reason, want) {
		t.Errorf("%s\n%+v", file, findings)
	}
}

func TestInternationalNamesGetTheirPunycode(t *testing.T) {
	for value, want := range map[string]string{
		"https://bücher.example":          `write "https://xn--bcher-kva.example"`,
		"https://*.Bücher.example:8443":   `write "https://*.xn--bcher-kva.example:8443"`,
		"https://shop.例え.テスト":             `write "https://shop.xn--r8jz45g.xn--zckzah"`,
		"https://a\u200d.example":         "", // no domain's name
		"https://shop.example.com/bücher": "",
	} {
		findings := Check("f", []byte(`{"allow_origins": [`+strconv.Quote(value)+`]}`), true)
		if len(findings) == 0 || want != "" && findings[0].Remedy != want || want == "" && strings.Contains(findings[0].Remedy, "xn--a") {
			t.Errorf("%s: %+v", value, findings)
		}
	}
	findings := Check("f", []byte(`{"rules": [{"hosts": ["api.bücher.example"], "policy": {"mode": "off"}}]}`), true)
	if len(findings) != 1 || findings[0].Remedy != `write "api.xn--bcher-kva.example"` {
		t.Errorf("%+v", findings)
	}
}

func TestNotesAreNoWarnings(t *testing.T) {
	findings := Check("f", []byte(`{"allow_origin_string_match": [{"exact": "https://a.example"}]}`), true)
	if Count(findings, Note) != 1 || Count(findings, Warning) != 0 || Count(findings, Error) != 0 || findings[0].Code != config.Unmatched {
		t.Errorf("%+v", findings)
	}
}

func TestWhatIsNotListedIsCounted(t *testing.T) {
	findings := Check("f", []byte(`{"allow_origins": [`+strings.TrimSuffix(strings.Repeat("1,", 250), ",")+`]}`), true)
	if len(findings) != 101 || Count(findings, Error) != 250 {
		t.Errorf("%d listed, %d counted", len(findings), Count(findings, Error))
	}
}

// The list's age is told once it is over a year.
func TestListAge(t *testing.T) {
	of, err := time.Parse(time.DateOnly, suffix.Date)
	if err != nil {
		t.Fatal(err)
	}
	for days, want := range map[int]bool{-1: false, 0: false, 364: false, 366: true, 4000: true} {
		if note, old := ListAge(of.AddDate(0, 0, days)); old != want || old && (note.Severity != Note || note.Code != OldList) {
			t.Errorf("%d days: %+v, %v", days, note, old)
		}
	}
}
