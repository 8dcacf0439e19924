package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"corsfilter/internal/lint"
)

func TestCheckCommand(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := write("good.yaml", "allow_origins: [https://shop.example.com]\n")
	warned := write("warned.json", `{"allow_origins": ["https://shop.example.com"], "max_age": 100000}`)
	bad := write("bad.json", "{\"allow_origins\": [\n  \"https://shop.example.com/\"]}")
	for _, c := range []struct {
		name   string
		args   []string
		stdin  string
		code   int
		stdout string // all of it, with DIR for the folder
		stderr string // a part of it
	}{
		{"no mistakes", []string{good}, "", exitOK, "0 errors, 0 warnings in 1 file\n", ""},
		{"warnings alone", []string{good, warned}, "", exitOK, `DIR/warned.json:1:49: warning: max_age: 100000: no browser caches a preflight for more than 24 hours; write 86400 or less [no-effect]
0 errors, 1 warning in 2 files
`, ""},
		{"warnings in strict mode", []string{"-strict", warned}, "", exitError, `DIR/warned.json:1:49: warning: max_age: 100000: no browser caches a preflight for more than 24 hours; write 86400 or less [no-effect]
0 errors, 1 warning in 1 file
`, ""},
		{"errors", []string{bad}, "", exitError, `DIR/bad.json:2:3: error: allow_origins[0]: "https://shop.example.com/": an origin has no trailing slash; write "https://shop.example.com" [bad-origin]
1 error, 0 warnings in 1 file
`, ""},
		{"in colour", []string{"-color", "always", bad}, "", exitError, "\x1b[1mDIR/bad.json:2:3\x1b[0m: \x1b[31merror\x1b[0m: allow_origins[0]: \"https://shop.example.com/\": an origin has no trailing slash; write \"https://shop.example.com\" \x1b[2m[bad-origin]\x1b[0m\n1 error, 0 warnings in 1 file\n", ""},
		{"standard input", nil, "kind: WasmPlugin\nspec:\n  pluginConfig: {mode: off}\n", exitError, "<stdin>:3:18: error: spec.pluginConfig > mode: false: YAML reads off without quotes as false; write \"off\" in quotes [wrong-type]\n1 error, 0 warnings in 1 file\n", ""},
		{"standard input by name", []string{"-"}, "mode: 'off'", exitOK, "0 errors, 0 warnings in 1 file\n", ""},
		{"the manifests of this repository", []string{"../../envoy.yaml", "../../istio.yaml"}, "", exitOK, "0 errors, 0 warnings in 2 files\n", ""},
		{"a file that is not there", []string{good, filepath.Join(dir, "none")}, "", exitUsage, "", "none: no such file"},
		{"an unknown format", []string{"-o", "xml", good}, "", exitUsage, "", "write text or json"},
		{"an unknown colour", []string{"-color", "blue", good}, "", exitUsage, "", "write auto, always or never"},
		{"an unknown flag", []string{"-fast", good}, "", exitUsage, "", "usage: corsctl check"},
	} {
		t.Run(c.name, func(t *testing.T) {
			stdin = strings.NewReader(c.stdin)
			var stdout, stderr bytes.Buffer
			code := run(t.Context(), append([]string{"check"}, c.args...), &stdout, &stderr)
			if got := strings.ReplaceAll(stdout.String(), dir, "DIR"); code != c.code || got != c.stdout {
				t.Errorf("exit %d, want %d\n%s\nwant\n%s", code, c.code, got, c.stdout)
			}
			if !strings.Contains(stderr.String(), c.stderr) || (c.stderr == "") != (stderr.Len() == 0) {
				t.Errorf("stderr: %s", stderr.String())
			}
		})
	}
}

func TestCheckAsJSON(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bad.json")
	if err := os.WriteFile(path, []byte("{\"allow_origins\": [\n  \"https://a.example/\"]}"), 0o600); err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), []string{"check", "-o", "json", path}, &stdout, &stderr); code != exitError {
		t.Fatalf("exit %d: %s", code, stderr.String())
	}
	var findings []lint.Finding
	if err := json.Unmarshal(stdout.Bytes(), &findings); err != nil {
		t.Fatal(err)
	}
	want := lint.Finding{
		File: path, Line: 2, Column: 3, Document: 1, Path: "allow_origins[0]", Value: `"https://a.example/"`, Code: "bad-origin",
		Severity: lint.Error, Reason: "an origin has no trailing slash", Remedy: `write "https://a.example"`,
	}
	if len(findings) != 1 || findings[0] != want {
		t.Errorf("%+v", findings)
	}
	for _, key := range []string{"file", "line", "column", "document", "path", "value", "code", "severity", "reason", "remedy"} {
		if !strings.Contains(stdout.String(), `"`+key+`":`) {
			t.Errorf("the field %s is missing", key)
		}
	}

	stdout.Reset()
	stdin = strings.NewReader(`{"allow_origins": ["https://a.example"]}`)
	if code := run(t.Context(), []string{"check", "-o", "json"}, &stdout, &stderr); code != exitOK || strings.TrimSpace(stdout.String()) != "[]" {
		t.Errorf("exit %d, %s; want an empty list", code, stdout.String())
	}
}
