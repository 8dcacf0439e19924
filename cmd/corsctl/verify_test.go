package main

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// shopOnly lets one origin in, by hand.
func shopOnly(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Vary", "Origin, Access-Control-Request-Method, Access-Control-Request-Headers")
	if r.Header.Get("Origin") == "https://shop.example.com" {
		w.Header().Set("Access-Control-Allow-Origin", "https://shop.example.com")
	}
	if r.Method == http.MethodOptions {
		w.WriteHeader(http.StatusNoContent)
	}
}

// verifying runs the command with the server's URL behind the flags, in a folder with
// the files that the flags name.
func verifying(t *testing.T, server *httptest.Server, flags ...string) (stdout, stderr string, code int) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"policy.json": `{"allow_origins": ["https://shop.example.com"], "unmatched_preflights": "forward"}`,
		"put.json":    `{"allow_origins": ["https://shop.example.com"], "allow_methods": ["PUT"]}`,
		"rules.json":  `{"rules": [{"name": "a", "hosts": ["a.example.com"], "policy": {"allow_origins": ["*"]}}]}`,
		"cases.yaml": "cases:\n- {name: shop, origin: https://shop.example.com, expect: allow}\n" +
			"- {name: other, origin: https://a.example, expect: allow}\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
	var out, errs bytes.Buffer
	args := slices.Concat([]string{"verify", "-rate", "1000"}, flags, []string{server.URL})
	code = run(context.Background(), args, stdio{in: strings.NewReader(""), out: &out, err: &errs})
	return strings.ReplaceAll(out.String(), server.URL, "URL"), errs.String(), code
}

func TestVerify(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(shopOnly))
	defer server.Close()
	for name, c := range map[string]struct {
		flags          string
		code           int
		stdout, stderr string
	}{
		"a policy": {"-c policy.json", exitOK, "URL: 26 of 26 as expected, 0 errors, 0 warnings\n", ""},
		"another policy": {"-c put.json -max 5", exitError,
			"error: preflight of PUT from https://shop.example.com: another policy: it differs in " +
				`access-control-allow-methods; check which configuration the proxy has [another-policy]
    OPTIONS URL/: 204
    access-control-allow-methods: expected PUT, got none
`, "left out: 21 of 26 requests: -max is 5"},
		"rules of another host, at this address": {"-c rules.json", exitError, "error: rule a: GET from https://unlisted.example", ""},
		"cases": {"-cases cases.yaml", exitError,
			`cases.yaml:3: error: other: expected allow: the request is sent, and the page does not get the response: ` +
				`the response has no Access-Control-Allow-Origin header [other-outcome]
    GET URL/: 200
URL: 1 of 2`, ""},
		"a page": {"-origin https://shop.example.com -headers x-a", exitError,
			"error: GET of the page https://shop.example.com: the preflight fails", ""},
		"a page that may": {"-origin https://shop.example.com -credentials=false -method HEAD", exitOK,
			"ok: HEAD of the page https://shop.example.com: the page gets the response (status 200)", ""},
		"no page":    {"", exitOK, "as expected, 0 errors, 0 warnings\n", ""},
		"two things": {"-c policy.json -cases cases.yaml", exitUsage, "", "use one of them"},
		"a page too": {"-c policy.json -origin https://a.example", exitUsage, "", "-origin is for a run without -c and -cases"},
		"no origin":  {"-method PUT", exitUsage, "", "add -origin https://shop.example.com"},
		"no origin form": {"-origin https://a.example/", exitUsage, "",
			`-origin: "https://a.example/" is not what a browser sends as Origin; write "https://a.example"`},
		"no method":      {"-origin https://a.example -method TRACE", exitUsage, "", "scripts cannot send TRACE"},
		"nothing at all": {"-max 0", exitUsage, "", "-max, -rate and -timeout must be above 0"},
		"no such file":   {"-c none.json", exitUsage, "", "none.json: no such file"},
		"no address":     {"-resolve localhost", exitUsage, "", "write HOST:PORT:ADDRESS"},
		"two URLs":       {"https://a.example", exitUsage, "", "give one URL, after the flags"},
	} {
		t.Run(name, func(t *testing.T) {
			stdout, stderr, code := verifying(t, server, strings.Fields(c.flags)...)
			if code != c.code || !strings.Contains(stdout, c.stdout) || !strings.Contains(stderr, c.stderr) || c.stdout == "" && stdout != "" {
				t.Errorf("exit code %d\n%s%s", code, stdout, stderr)
			}
		})
	}
	var errs bytes.Buffer
	for url, want := range map[string]string{
		"": "no URL", "ftp://a.example": "not the URL of a server", "https://user@a.example": "send credentials with -header",
	} {
		args := []string{"verify", url}
		if url == "" {
			args = args[:1]
		}
		if code := run(context.Background(), args, stdio{err: &errs}); code != exitUsage || !strings.Contains(errs.String(), want) {
			t.Errorf("%q: exit code %d, %s", url, code, errs.String())
		}
	}
}

// TestResultsForOtherPrograms reads what they read.
func TestResultsForOtherPrograms(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(shopOnly))
	defer server.Close()
	stdout, _, _ := verifying(t, server, "-c", "put.json", "-max", "3", "-o", "json")
	var results []struct {
		Name, Severity, Code string
		Differences          []map[string]string
		Exchanges            []struct{ URL string }
	}
	if err := json.Unmarshal([]byte(stdout), &results); err != nil || len(results) != 3 || results[0].Severity != "" ||
		results[1].Code != "another-policy" || len(results[1].Differences) != 1 || results[1].Exchanges[0].URL != "URL/" {
		t.Errorf("%v\n%s", err, stdout)
	}
	stdout, _, _ = verifying(t, server, "-c", "put.json", "-max", "3", "-o", "junit")
	var suite struct {
		Tests    int `xml:"tests,attr"`
		Failures int `xml:"failures,attr"`
		Cases    []struct {
			Name    string `xml:"name,attr"`
			Failure *struct {
				Text string `xml:",chardata"`
			} `xml:"failure"`
		} `xml:"testcase"`
	}
	if err := xml.Unmarshal([]byte(stdout), &suite); err != nil || suite.Tests != 3 || suite.Failures != 1 || suite.Cases[0].Failure != nil ||
		suite.Cases[1].Failure.Text != "OPTIONS URL/: 204\naccess-control-allow-methods: expected PUT, got none\n" {
		t.Errorf("%v\n%s", err, stdout)
	}
	stdout, _, _ = verifying(t, server, "-c", "put.json", "-max", "3", "-o", "github")
	const want = "::error title=corsctl%3A another-policy::preflight of PUT from https://shop.example.com: another policy: "
	if !strings.HasPrefix(stdout, want) {
		t.Error(stdout)
	}
}

// TestManyAlikeAreShownOnce asks a server without the filter.
func TestManyAlikeAreShownOnce(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	stdout, _, code := verifying(t, server, "-c", "policy.json")
	const end = "… and 23 more for the same reasons; -o json lists all\nURL: 0 of 26 as expected, 26 errors, 0 warnings\n"
	if code != exitError || strings.Count(stdout, "error: ") != maxAlike || !strings.HasSuffix(stdout, end) {
		t.Errorf("exit code %d\n%s", code, stdout)
	}
}
