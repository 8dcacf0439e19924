package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestExplainCommand(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := write("policy.yaml", "allow_origins: [https://shop.example.com]\nallow_methods: PUT\n")
	bad := write("bad.json", `{"allow_origins": ["https://shop.example.com/"]}`)
	for _, c := range []struct {
		name   string
		args   []string
		code   int
		stdout string // a part of it
		stderr string
	}{
		{"the browser allows", []string{"-c", good, "-origin", "https://shop.example.com", "-method", "PUT"}, exitOK, "allowed: the script gets the response", ""},
		{"the browser blocks", []string{"-c", good, "-origin", "https://shop.example.com", "-method", "PUT", "-headers", "X-Foo"}, exitError, `remedy: add "x-foo" to allow_headers`, ""},
		{"a header with a value that needs no consent", []string{"-c", good, "-origin", "https://shop.example.com", "-headers", "content-type: text/plain"}, exitOK, "without asking first", ""},
		{"a JSON body needs consent", []string{"-c", good, "-origin", "https://shop.example.com", "-headers", "content-type"}, exitError, `add "content-type" to allow_headers`, ""},
		{"a configuration with a mistake", []string{"-c", bad, "-origin", "https://shop.example.com"}, exitUsage, "", `bad.json: allow_origins[0]: "https://shop.example.com/": an origin has no trailing slash`},
		{"no file", []string{"-origin", "https://shop.example.com"}, exitUsage, "", "no configuration; write -c FILE"},
		{"a file that is not there", []string{"-c", filepath.Join(dir, "none"), "-origin", "https://a.example"}, exitUsage, "", "none"},
		{"no origin", []string{"-c", good}, exitUsage, "", "no origin; write -origin"},
		{"a method that no browser sends", []string{"-c", good, "-origin", "https://shop.example.com", "-method", "TRACE"}, exitUsage, "", "scripts can not send TRACE"},
		{"an unknown format", []string{"-c", good, "-origin", "https://shop.example.com", "-o", "xml"}, exitUsage, "", "write text or json"},
		{"a stray word", []string{"-c", good, "-origin", "https://shop.example.com", "PUT"}, exitUsage, "", `"PUT" is not a flag`},
	} {
		t.Run(c.name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			code := run(t.Context(), append([]string{"explain"}, c.args...), &stdout, &stderr)
			if code != c.code || !strings.Contains(stdout.String(), c.stdout) || !strings.Contains(stderr.String(), c.stderr) {
				t.Errorf("exit %d, want %d\nstdout: %s\nstderr: %s", code, c.code, stdout.String(), stderr.String())
			}
			if (c.stderr == "") != (stderr.Len() == 0) {
				t.Errorf("stderr: %q", stderr.String())
			}
		})
	}
}

func TestExplainAsJSON(t *testing.T) {
	path := filepath.Join(t.TempDir(), "policy.json")
	if err := os.WriteFile(path, []byte(`{"allow_origins": ["https://shop.example.com"]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), []string{"explain", "-c", path, "-origin", "https://shop.example.com", "-o", "json"}, &stdout, &stderr); code != exitOK {
		t.Fatalf("exit %d: %s", code, stderr.String())
	}
	var report struct {
		Allowed bool
		Request struct {
			Exchange struct {
				Status   int
				Response []struct{ Name, Value string }
			}
		}
	}
	if err := json.Unmarshal(stdout.Bytes(), &report); err != nil {
		t.Fatal(err)
	}
	headers := map[string]string{}
	for _, h := range report.Request.Exchange.Response {
		headers[h.Name] = h.Value
	}
	if !report.Allowed || report.Request.Exchange.Status != 200 || headers["access-control-allow-origin"] != "https://shop.example.com" || headers["vary"] != "origin" {
		t.Errorf("%s", stdout.String())
	}
}
