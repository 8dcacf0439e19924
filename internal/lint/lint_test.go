package lint

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestFiles compares what is found in each file of testdata, with its places, to
// the golden file beside it.
func TestFiles(t *testing.T) {
	files, err := filepath.Glob("testdata/*")
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
			for _, f := range Check(filepath.Base(path), data) {
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
		{"JSON as a WasmPlugin's flow mapping", "kind: WasmPlugin\napiVersion: x\nspec:\n  pluginConfig:\n   " + strings.ReplaceAll(json, "\n", "\n   ")},
		{"JSON in a block scalar", "x:\n- typed_config:\n    \"@type\": envoy.extensions.filters.http.wasm.v3.Wasm\n    config:\n     configuration:\n      \"@type\": a\n      value: |\n\n       " + strings.ReplaceAll(indented, "\n", "\n ")},
	} {
		t.Run(file.name, func(t *testing.T) {
			lines := strings.Split(file.text, "\n")
			want := map[string]string{ // path -> what stands there
				"allow_origins[1].regex":     "",
				"allow_origins[1]":           `{"regex":`,
				"max_age":                    `"max_age"`,
				"rules[0].hosts[1]":          `"b:1"`,
				"rules[0].policy.mode":       `"mode": "shadow"`,
				"rules[0].policy.odd.key[0]": `"odd.key[0]"`,
			}
			findings := Check("f", []byte(file.text))
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
		{"allow_origins: [a]\nn: 600\no: 0600\nx: 0x10\nu: 1_000\nf: 6e2\ng: 1.5", `{"allow_origins":["a"],"n":600,"o":384,"x":16,"u":1000,"f":600,"g":1.5}`},
		{"allow_origins: [a]\nt: 2026-11-23\nnothing: ~\ni: .inf\ns: \"600\"", `{"allow_origins":["a"],"t":"2026-11-23","nothing":null,"i":".inf","s":"600"}`},
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

// TestAliasesCanNotBlowUp reads a document of a few lines that stands for
// billions.
func TestAliasesCanNotBlowUp(t *testing.T) {
	text := "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
	for i := 1; i < 12; i++ {
		text += fmt.Sprintf("a%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 10), ", "))
	}
	text += "allow_origins: *a11\n"
	found, err := Find([]byte(text))
	if err == nil && len(found) == 1 && len(found[0].JSON) > 32<<20 {
		t.Errorf("%d bytes of JSON", len(found[0].JSON))
	}
}

func FuzzCheck(f *testing.F) {
	for _, seed := range []string{"{}", `{"allow_origins":["*"]}`, "a: [", "kind: WasmPlugin\nspec: {pluginConfig: {a: b}}", "- &a [*a]", "? [a]\n: b"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, finding := range Check("f", data) {
			if finding.Line < 1 || finding.Column < 1 || finding.Reason == "" {
				t.Errorf("%+v", finding)
			}
		}
	})
}
