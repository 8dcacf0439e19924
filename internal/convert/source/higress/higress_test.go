package higress

import "testing"

// TestHigressPatterns: the pattern's text, and what it becomes.
func TestHigressPatterns(t *testing.T) {
	for pattern, want := range map[string]string{
		"*":                            `"*"`,
		"https://a.example":            `"https://a.example"`,
		"HTTPS://*.A.example/":         `"https://*.a.example"`,
		"https://*.a.example:[*]":      `"https://*.a.example:*"`,
		"https://*.a.example:[1,22]":   `"https://*.a.example:[1,22]"`,
		"https://a.*.example":          `{"regex":"https://a\\..*\\.example"}`,
		"http://*":                     `{"regex":"http://.*"}`,
		"*.a.example":                  `{"regex":".*\\.a\\.example"}`,
		"https://*a.example:[8080,81]": `{"regex":"https://.*a\\.example:(8080|81)"}`,
		"https://*a.example:[*]":       `{"regex":"https://.*a\\.example(:[0-9]+)?"}`,
		"https://a.example:[x]":        `{"regex":"https://a\\.example:\\[x\\]"}`,
	} {
		if got, err := higressPattern(pattern).MarshalJSON(); err != nil || string(got) != want {
			t.Errorf("%s becomes %s, want %s", pattern, got, want)
		}
	}
}

func TestVersionsBefore202(t *testing.T) {
	for tag, old := range map[string]bool{
		"1.0.0":  true,
		"2.0.0":  true,
		"2.0.1":  true,
		"v2.0.1": true,
		"2.0.2":  false,
		"2.1.0":  false,
		"3.0.0":  false,
		"latest": false,
		"":       false,
		"2.0":    false,
		"x.y.z":  false,
	} {
		if got := before202(tag); got != old {
			t.Errorf("%q: %v", tag, got)
		}
	}
}
