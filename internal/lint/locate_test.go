package lint

import (
	"fmt"
	"testing"
)

// TestPathsLeadToTheirLines goes from paths of a configuration to the file: keys as they
// are written there, and what is around those that are not.
func TestPathsLeadToTheirLines(t *testing.T) {
	found, err := Find([]byte(`kind: WasmPlugin
spec:
  pluginConfig:
    allowOrigins: ["https://a.example",
      "https://b.example"]
    rules:
    - paths: [/a]
      policy:
        allow_origins: []
        maxAge: 600
`))
	if err != nil || len(found) != 1 {
		t.Fatal(found, err)
	}
	for path, want := range map[string]string{
		"":                              "4:5",
		"allow_origins":                 "4:19",
		"allow_origins[1]":              "5:7",
		"allow_origins[2]":              "4:19",
		"rules[0].policy.max_age":       "10:17",
		"rules[0].policy.allow_methods": "9:9",
		"rules[1].policy":               "7:5",
	} {
		at := found[0].Locate(path)
		if got := fmt.Sprintf("%d:%d", at.Line, at.Column); got != want {
			t.Errorf("%s is at %s, want %s", path, got, want)
		}
	}
}
