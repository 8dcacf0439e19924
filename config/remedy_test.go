package config

import (
	"strings"
	"testing"
)

// The remedy for a wildcard keeps the ports that the entry has.
func TestSuffixRemedyKeepsPorts(t *testing.T) {
	for entry, want := range map[string]string{
		"https://*.co.uk:8443":            `"https://*.example.co.uk:8443"`,
		"https://*.github.io:*":           `"https://*.example.github.io:*"`,
		"https://*.com":                   `"https://*.example.com"`,
		"https://*.zendesk.com:[443,444]": `"https://example.zendesk.com:[443,444]"`,
	} {
		_, warnings, err := Parse([]byte(`{"allow_origins":["` + entry + `"]}`))
		if err != nil || len(warnings) != 1 || !strings.Contains(warnings[0].Remedy, want) {
			t.Errorf("%s: %v, %v; want a remedy of %s", entry, warnings, err, want)
		}
	}
}

// Browsers compare names such as x-* as they are written.
func TestStarInsideHeaderName(t *testing.T) {
	for _, key := range []string{"allow_headers", "expose_headers"} {
		_, warnings, err := Parse([]byte(`{"allow_origins":["https://a.example"],"` + key + `":["x-*"]}`))
		if err != nil || len(warnings) != 1 || warnings[0].Code != NoEffect {
			t.Errorf("%s: %v, %v; want one warning that x-* is no wildcard", key, warnings, err)
		}
	}
}
