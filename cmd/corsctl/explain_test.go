package main

import (
	"bytes"
	"encoding/json"
	"fmt"
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
	shadow := write("shadow.yaml", "allow_origins: [https://shop.example.com]\nmode: shadow\n")
	aged := write("aged.yaml", "allow_origins: [https://shop.example.com]\nallow_methods: PUT\nmax_age: 24h\nexpose_headers: X-Total\n")
	const plugin = "apiVersion: extensions.istio.io/v1alpha1\nkind: WasmPlugin\nmetadata: {name: a}\nspec: {pluginConfig: {allow_origins: [https://%s.example]}}\n"
	two := write("two.yaml", fmt.Sprintf(plugin+"---\n"+plugin, "a", "b"))
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
		{"a header with a value that needs no consent", []string{"-c", good, "-origin", "https://shop.example.com", "-headers", "content-type: text/plain"}, exitOK, "without a preflight", ""},
		{"a JSON body needs consent", []string{"-c", good, "-origin", "https://shop.example.com", "-headers", "content-type"}, exitError, `add "content-type" to allow_headers`, ""},
		{"a configuration with a mistake", []string{"-c", bad, "-origin", "https://shop.example.com"}, exitUsage, "", `bad.json: allow_origins[0]: "https://shop.example.com/": an origin has no trailing slash`},
		{"no file", []string{"-origin", "https://shop.example.com"}, exitUsage, "", "no configuration; write -c FILE"},
		{"a file that is not there", []string{"-c", filepath.Join(dir, "none"), "-origin", "https://a.example"}, exitUsage, "", "none"},
		{"no origin", []string{"-c", good}, exitUsage, "", "no origin; write -origin"},
		{"a method that no browser sends", []string{"-c", good, "-origin", "https://shop.example.com", "-method", "TRACE"}, exitUsage, "", "scripts can not send TRACE"},
		{"an unknown format", []string{"-c", good, "-origin", "https://shop.example.com", "-o", "xml"}, exitUsage, "", "write text or json"},
		{"a URL of the page's own origin", []string{"-c", good, "-origin", "https://api.example.com", "-url", "https://api.example.com/x", "-method", "PUT"}, exitOK, "allowed: the page calls its own origin", ""},
		{"a URL and a host", []string{"-c", good, "-origin", "https://api.example.com", "-url", "https://api.example.com/x", "-host", "b.example"}, exitUsage, "", "leave out -host and -path"},
		{"no URL", []string{"-c", good, "-origin", "https://api.example.com", "-url", "api.example.com"}, exitUsage, "", "is no URL of http or https"},
		{"a default port that no browser writes", []string{"-c", good, "-origin", "https://shop.example.com:443"}, exitUsage, "", `write "https://shop.example.com"`},
		{"a request copied from the network panel", []string{"-c", good, "-curl", `curl 'https://api.example.com/' -X 'PUT' -H 'origin: https://shop.example.com' -H 'x-foo: 1'`}, exitError, `add "x-foo" to allow_headers`, ""},
		{"flags come on top of it", []string{"-c", good, "-curl", `curl 'https://api.example.com/' -X 'PUT' -H 'origin: https://evil.example'`, "-origin", "https://shop.example.com"}, exitOK, "> PUT api.example.com/", ""},
		{"a copied request without an origin", []string{"-c", good, "-curl", `curl 'https://api.example.com/'`}, exitUsage, "", "has no Origin header"},
		{"a copied command that is none", []string{"-c", good, "-curl", `wget x`}, exitUsage, "", "no curl command"},
		{"a console's message", []string{"-c", good, "-console", `Access to fetch at 'https://api.example.com/' from origin 'https://shop.example.com' has been blocked by CORS policy: Request header field x-foo is not allowed by Access-Control-Allow-Headers in preflight response.`}, exitError, `"allow_headers": ["x-foo"]`, ""},
		{"a message without the page's origin", []string{"-c", good, "-console", `Cross-Origin Request Blocked: The Same Origin Policy disallows reading the remote resource at https://api.example.com/. (Reason: CORS header ‘Access-Control-Allow-Origin’ missing).`}, exitUsage, "", "does not name the page's origin; add -origin"},
		{"a message about a preflight of something", []string{"-c", good, "-console", `Access to fetch at 'https://api.example.com/' from origin 'https://shop.example.com' has been blocked by CORS policy: Response to preflight request doesn't pass access control check: It does not have HTTP ok status.`}, exitUsage, "", "add -method PUT, for example"},
		{"both at once", []string{"-c", good, "-curl", "curl x", "-console", "y"}, exitUsage, "", "write one of them"},
		{"shadow leaves it to upstream", []string{"-c", shadow, "-origin", "https://shop.example.com"}, exitOK, "upstream decides", ""},
		{"a header of upstream settles it", []string{"-c", shadow, "-origin", "https://shop.example.com", "-upstream-header", "Vary: Origin"}, exitError, "blocked: the request is sent", ""},
		{"for the better, too", []string{"-c", shadow, "-origin", "https://shop.example.com", "-upstream-header", "Access-Control-Allow-Origin: *"}, exitOK, "allowed: the script gets the response", ""},
		{"a header of upstream without a name", []string{"-c", shadow, "-origin", "https://shop.example.com", "-upstream-header", "*"}, exitUsage, "", "write 'Name: value'"},
		{"several configurations", []string{"-c", two, "-origin", "https://shop.example.com"}, exitUsage, "", `2 configurations are in the file; write -name "spec.pluginConfig", or -name "2:spec.pluginConfig"`},
		{"the second of them", []string{"-c", two, "-name", "2:spec.pluginConfig", "-origin", "https://b.example"}, exitOK, "allowed", ""},
		{"none of them", []string{"-c", two, "-name", "x", "-origin", "https://b.example"}, exitUsage, "", `no configuration is named "x"`},
		{"a private network", []string{"-c", good, "-origin", "https://shop.example.com", "-private-network"}, exitError, "since version 142 it asks the user instead", ""},
		{"what browsers keep", []string{"-c", aged, "-origin", "https://shop.example.com", "-method", "PUT"}, exitOK, "note: Chromium keeps the answer to a preflight for 7200 seconds at most\n", ""},
		{"what a script may read", []string{"-c", aged, "-origin", "https://shop.example.com"}, exitOK, "where the response has them: cache-control, content-language, content-length, content-type, expires, last-modified, pragma, x-total\n", ""},
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
