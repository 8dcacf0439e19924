package config

import (
	"flag"
	"os"
	"strings"
	"testing"
)

var updateMistakes = flag.Bool("update-mistakes", false, "rewrite testdata/mistakes.txt")

// TestTextOfManyMistakes pins what a user reads. The other tests compare places
// and codes, so that a better wording changes this file alone.
func TestTextOfManyMistakes(t *testing.T) {
	var got strings.Builder
	for _, text := range []string{
		`{
  "allow_orgins": [],
  "allow_origins": ["https://a.example/", "*", "null", "http://b.example", "https://*.com", {"regex": "https://.*c\\.example"},
    {"prefix": "https://d"}, {"regex": "("}, 7, "https://E.example"],
  "allowOrigins": ["https://z.example"],
  "allow_methods": ["patch", "TRACE", "P UT", "GET"],
  "allow_headers": "x-a, x b, cookie",
  "expose_headers": "*",
  "allow_credentials": true,
  "max_age": "1.5s",
  "preflight_status": 404,
  "unmatched_preflights": "allow",
  "debug": "yes",
  "dangerously_tolerate": ["null-orgin"],
  "stat_prefix": ".cors",
  "rules": [
    {"name": "v1", "hosts": ["https://api.example"], "paths": ["v1/*"], "policy": {"allow_origins": []}},
    {"path": ["/x"]}
  ]
}`,
		// What is not said of the first.
		`{
  "mode": [], "filter_enabled": {"default_value": {"numerator": "100"}}, "debug": {}, "allow_credentials": true,
  "allow_origins": [{"regex": "https://.*a\\.example"}, {"regex": "https?://b\\.example"}],
  "allow_methods": ["", "PUT,DELETE"],
  "allow_headers": ["", "x-a,x-b"],
  "max_age": 2147483648,
  "preflight_status": null,
  "stat_prefix": true,
  "rules": [{"name": false, "paths": ["/~a?b", "/~a#b", "/é"], "policy": {"mode": "off"}}]
}`,
		`{"allow_origins": [{"prefix": "https://a"}, {}, {"exact": "https://a.example", "regex": "x"}, ` +
			`{"safe_regex": {}}, {"exact": "https://*.a.example"}, {"exact": ""}, {"regex": ""}]}`,
		`{"allow_origins": ["file://", "https://*", "http://*:8080", "moz-extension://*", "chrome-extension://*", ` +
			`"app://*", "moz-extension://", "chrome-extension://abc*", "capacitor://{x}", {"exact": "app://*"}], "allow_credentials": true}`,
		`{"allow_origins": ["https://*", "http://*:8080", "moz-extension://*", "https://a.example", ` +
			`"file:///home"], "allow_private_network_access": true}`,
		"",
		protobuf("allow_origins", "x"),
	} {
		plugin, warnings, err := Parse([]byte(text))
		if plugin != nil || err == nil {
			t.Fatalf("plugin %v, error %v", plugin, err)
		}
		got.WriteString(err.Error() + "\n")
		if len(warnings) > 0 {
			got.WriteString("warnings:\n" + warnings.Error() + "\n")
		}
	}
	if *updateMistakes {
		if err := os.WriteFile("testdata/mistakes.txt", []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/mistakes.txt")
	if err != nil {
		t.Fatal(err)
	}
	if got.String() != string(want) {
		t.Errorf("the text is\n%s\nwant\n%s", got.String(), want)
	}
}
