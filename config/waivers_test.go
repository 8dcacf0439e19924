package config

import (
	"slices"
	"strings"
	"testing"
)

// A waiver is for one entry, or for all of a policy, and what it lets in is noted.
func TestWaivers(t *testing.T) {
	for _, c := range []struct {
		json             string
		problems         []string
		notes            []string // place and code of the refusal that is waived
		warnings, waives string
	}{
		{
			json:   `{"allow_origins":[{"origin":"*","dangerously_tolerate":["any-origin-with-credentials"]}],"allow_credentials":true}`,
			notes:  []string{"allow_origins[0] any-origin-with-credentials"},
			waives: "any-origin-with-credentials",
		},
		{
			json: `{"allow_origins":[{"regex":"https://[a-z]+-team\\.[a-z]+\\.app",` +
				`"dangerously_tolerate":["any-origin-with-credentials"]},"*"],"allow_credentials":true}`,
			problems: []string{"allow_origins[1] any-origin-with-credentials"},
		},
		{
			json: `{"allow_origins":[{"regex":"https://[a-z]+-team\\.[a-z]+\\.app",` +
				`"dangerouslyTolerate":["any-origin-with-credentials"]},"https://a.example"],"allow_credentials":true}`,
			notes:  []string{"allow_origins[0] any-origin-with-credentials"},
			waives: "any-origin-with-credentials",
		},
		{
			json: `{"allow_origins":["http://a.example",{"origin":"http://b.example",` +
				`"dangerously_tolerate":["insecure-origin"]},{"exact":"https://c.example"}],"allow_credentials":true}`,
			problems: []string{"allow_origins[0] insecure-origin"},
		},
		{
			json: `{"allow_origins":["null",{"origin":"https://c.example",` +
				`"dangerously_tolerate":["public-suffix-wildcard"]},{"prefix":"https://a.example",` +
				`"dangerously_tolerate":["loose-origin-match"]}],"dangerously_tolerate":["null-origin"]}`,
			notes:    []string{"allow_origins[0] null-origin, could be narrower", "allow_origins[2] loose-origin-match"},
			warnings: "allow_origins[2] matches-any-origin, allow_origins[1].dangerously_tolerate[0] no-effect",
			waives:   "null-origin loose-origin-match",
		},
		{ // the entry's own serves first, and then nothing needs the policy's
			json: `{"allow_origins":[{"origin":"null","dangerously_tolerate":["null-origin",` +
				`"null-origin"]}],"dangerously_tolerate":["null-origin"]}`,
			notes:    []string{"allow_origins[0] null-origin"},
			warnings: "allow_origins[0].dangerously_tolerate[1] duplicate, dangerously_tolerate[0] no-effect",
			waives:   "null-origin",
		},
		{
			json:     `{"allow_origins":[{"origin":"https://a.example","dangerously_tolerate":["null-orgin"]}]}`,
			problems: []string{"allow_origins[0].dangerously_tolerate[0] bad-value"},
		},
		{
			json: `{"allow_origins":[{"dangerously_tolerate":["null-origin"]},{"origin":"https://a.example",` +
				`"exact":"https://b.example"},{"origin":"https://a.example","dangerously_tolerate":[1]}]}`,
			problems: []string{
				"allow_origins[0] missing", "allow_origins[1].exact bad-value", "allow_origins[2].dangerously_tolerate[0] wrong-type",
			},
		},
		{
			json:   `{"timing_allow_origins":[{"origin":"null","dangerously_tolerate":["null-origin"]}],"allow_origins":[]}`,
			notes:  []string{"timing_allow_origins[0] null-origin"},
			waives: "null-origin",
		},
	} {
		parsed, v := judge(t, c.json)
		if !slices.Equal(v.problems, c.problems) {
			t.Errorf("%s\nproblems %q\n    want %q", c.json, v.problems, c.problems)
		}
		if !slices.Equal(v.warnings, split(c.warnings)) && c.problems == nil {
			t.Errorf("%s\nwarnings %q\n    want %q", c.json, v.warnings, c.warnings)
		}
		if parsed == nil {
			continue
		}
		var notes []string
		for _, n := range parsed.Notes {
			_, code, _ := strings.Cut(n.Reason, `"`)
			code, _, _ = strings.Cut(code, `"`)
			note := n.Path + " " + code
			if n.Remedy != "" {
				note += ", could be narrower"
			}
			if notes = append(notes, note); n.Code != Waived {
				t.Errorf("%s: %v has the code %s", c.json, n, n.Code)
			}
		}
		if !slices.Equal(notes, c.notes) {
			t.Errorf("%s\nnotes %q\n want %q", c.json, notes, c.notes)
		}
		_, waives, _ := strings.Cut(parsed.Summary(), "waives ")
		if waives, _, _ = strings.Cut(waives, "; hash"); waives != c.waives {
			t.Errorf("%s: %q waives %q, want %q", c.json, parsed.Summary(), waives, c.waives)
		}
	}
}

// A matcher that accepts the text null accepts the origin null, if that is waived.
func TestMatchersOfNull(t *testing.T) {
	checkRows(t, []row{
		{json: `{"allow_origins":[{"regex":"https://shop\\.example\\.com|null"}]}`, problems: "allow_origins[0] null-origin"},
		{json: `{"allow_origins":[{"regex":"null"}]}`, problems: "allow_origins[0] null-origin"},
		{json: `{"allow_origins":[{"regex":"null|https://example\\.com"}],"dangerously_tolerate":["null-origin"]}`},
		{json: `{"allow_origins":[{"regex":"null","dangerously_tolerate":["null-origin"]}]}`},
		{
			json:     `{"allow_origins":[{"suffix":"ll"}],"dangerously_tolerate":["loose-origin-match"]}`,
			problems: "allow_origins[0] null-origin",
			warnings: "allow_origins[0] matches-any-origin",
		},
		{json: `{"allow_origins":[{"regex":"file://|https://example\\.com"}]}`, problems: "allow_origins[0] null-origin"},
		{json: `{"allow_origins":[{"regex":"[a-z]+://.*"}]}`, warnings: "allow_origins[0] matches-any-origin"},
		{json: `{"allow_origins":["file://"]}`, problems: "allow_origins[0] null-origin"},
		{
			json: `{"allow_origins":[{"origin":"file://","dangerously_tolerate":["null-origin"]},` +
				`{"regex":"file://|https://example\\.com"}],"dangerously_tolerate":["null-origin"]}`,
		},
		{json: `{"allow_origins":[{"regex":".*"}]}`, warnings: "allow_origins[0] matches-any-origin"}, // it is "*"
	})
	c := mustParse(t, `{"allow_origins":[{"regex":"null|https://example\\.com","dangerously_tolerate":["null-origin"]}]}`)
	for origin, want := range map[string]Match{
		"null":                Matches,
		"https://example.com": Matches,
		"NULL":                MalformedOrigin,
		"https://a.example":   NoMatch,
	} {
		if got := c.Default.Origins.Match(origin); got != want {
			t.Errorf("%s: %v, want %v", origin, got, want)
		}
	}
	if c = mustParse(t, `{"allow_origins":[]}`); c.Default.Origins.Match("https://a.example") != NoMatch ||
		c.Default.Origins.Match("null") != NoMatch {
		t.Error("nobody is somebody")
	}
}

// Names below which many can have one are refused or warned of, and any port of the
// visitor's own machine is noted.
func TestWildcardsOfManyOwners(t *testing.T) {
	checkRows(t, []row{
		{json: `{"allow_origins":["https://*.com"]}`, warnings: "allow_origins[0] public-suffix-wildcard"},
		{json: `{"allow_origins":["https://*.com"],"allow_credentials":true}`, problems: "allow_origins[0] public-suffix-wildcard"},
		{
			json:     `{"allow_origins":["https://*.zendesk.com","https://*.example.zendesk.com","https://example.zendesk.com"]}`,
			warnings: "allow_origins[0] hands-out-names, allow_origins[1] covered, allow_origins[2] covered",
		},
		{json: `{"allow_origins":["https://*.nip.io"],"allow_credentials":true}`, warnings: "allow_origins[0] hands-out-names"},
		{json: `{"allow_origins":["app://*.com"]}`},
	})
	for text, want := range map[string]bool{
		`{"allow_origins":["http://localhost:*"],"allow_credentials":true}`:                          true,
		`{"allow_origins":["https://*.localhost:*"],"allow_credentials":true}`:                       true,
		`{"allow_origins":["http://127.0.0.1:*"],"allow_credentials":true}`:                          true,
		`{"allow_origins":["http://localhost:*"]}`:                                                   false,
		`{"allow_origins":["http://localhost:3000","https://a.example:*"],"allow_credentials":true}`: false,
	} {
		notes := mustParse(t, text).Notes
		if got := len(notes) == 1 && notes[0].Code == LocalPrograms; got != want || len(notes) > 1 {
			t.Errorf("%s: %v", text, notes)
		}
	}
}
