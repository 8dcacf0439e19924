package config

import (
	"os"
	"testing"
)

// TestTextOfManyMistakes pins what a user reads. The other tests compare places
// and codes, so that a better wording changes this file alone.
func TestTextOfManyMistakes(t *testing.T) {
	const text = `{
  "allow_orgins": [],
  "allow_origins": ["https://a.example/", "*", "null", "http://b.example", "https://*.com", {"regex": "https://.*c\\.example"}, {"prefix": "https://d"}, {"regex": "("}, 7, "https://E.example"],
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
}`
	plugin, warnings, err := Parse([]byte(text))
	if plugin != nil || err == nil {
		t.Fatalf("plugin %v, error %v", plugin, err)
	}
	got := err.Error() + "\nwarnings:\n" + warnings.Error() + "\n"
	want, err := os.ReadFile("testdata/mistakes.txt")
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("the text is\n%s\nwant\n%s", got, want)
	}
}
