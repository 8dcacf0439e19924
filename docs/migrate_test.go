package docs

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"corsfilter/config"
	"corsfilter/internal/browser"
	"corsfilter/internal/convert/source"
	"corsfilter/internal/explain"
)

// TestTheExamplesFromCode sends the requests beneath each policy as a browser does.
func TestTheExamplesFromCode(t *testing.T) {
	page := read(t, "migrate/code.md")
	row := regexp.MustCompile("(?m)^\\| `(https?://\\S+)` \\| `([A-Z]+) (\\S+)` \\| *`?([^|`]*)`? *\\| (yes|no) \\| (the " +
		"response|nothing) \\|$")
	sections := strings.Split(page, "\n## ")
	for _, section := range sections[1 : len(sections)-1] {
		name, _, _ := strings.Cut(section, "\n")
		policies, requests := blocks(section, "json"), row.FindAllStringSubmatch(section, -1)
		if len(policies) != 1 || len(requests) < 2 {
			t.Errorf("%s has %d policies and %d requests", name, len(policies), len(requests))
			continue
		}
		for _, m := range requests {
			r := explain.Request{Host: "api.example.com", Path: m[3]}
			r.Origin, r.Method, r.Credentials = m[1], m[2], m[5] == "yes"
			for header := range strings.FieldsFuncSeq(m[4], func(c rune) bool { return c == ',' || c == ' ' }) {
				r.Headers = append(r.Headers, browser.Header{Name: header, Value: explain.ExampleValue(header)})
			}
			report, err := explain.Explain([]byte(policies[0]), r)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if report.Allowed != (m[6] == "the response") {
				t.Errorf("%s: %s: %s", name, m[0], report.Verdict)
			}
		}
	}
}

// TestTheMigrationPagesHaveTheTables compares the settings on the pages with the tables
// of the sources.
func TestTheMigrationPagesHaveTheTables(t *testing.T) {
	code := func(text string) string {
		if text == "" {
			return ""
		}
		return "`" + strings.ReplaceAll(text, ",", ", ") + "`"
	}
	all, err := filepath.Glob("migrate/*.md")
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]string{}
	for _, page := range all {
		texts[page] = read(t, page)
	}
	for _, s := range source.All {
		if len(s.Settings) == 0 {
			t.Errorf("%s has no table", s.Name)
		}
		for _, table := range s.Settings {
			begin, end := "<!-- settings of "+table.Of+" -->\n", "<!-- end of settings -->\n"
			want := "| setting | here | default | |\n|---|---|---|---|\n"
			for _, row := range table.Rows {
				want += fmt.Sprintf(
					"| `%s` | %s | %s | %s |\n", row.Key, cmp.Or(code(row.Becomes), "no setting"), cmp.Or(code(row.Default), "none"), row.Note,
				)
			}
			found := false
			for page, text := range texts {
				before, rest, ok := strings.Cut(text, begin)
				got, after, ended := strings.Cut(rest, end)
				if !ok || !ended {
					continue
				}
				found = true
				switch {
				case got == want:
				case !*update:
					t.Errorf("%s: the settings of %s differ from its table; run go test ./docs -update", page, table.Of)
				default:
					texts[page] = before + begin + want + end + after
					if err := os.WriteFile(page, []byte(texts[page]), 0o644); err != nil {
						t.Fatal(err)
					}
				}
			}
			if !found {
				t.Errorf("no page has the settings of %s, between %q and %q", table.Of, begin, end)
			}
		}
	}
}

// TestTheMigrationPagesNameTheirRelease looks for the commit or release that a page
// describes.
func TestTheMigrationPagesNameTheirRelease(t *testing.T) {
	all, err := filepath.Glob("migrate/*.md")
	if err != nil || len(all) < 4 {
		t.Fatalf("%v, %v", all, err)
	}
	for _, page := range all {
		if !regexp.MustCompile(`\b(commit [0-9a-f]{8}|release [0-9.]+|documented in [A-Z][a-z]+ [0-9]{4})\b`).MatchString(
			strings.ReplaceAll(read(t, page), "\n", " "),
		) {
			t.Errorf("%s does not name the commit or release that it describes", page)
		}
	}
}

// TestTheMigrationPagesDescribeThisFilter tries what their tables say is refused or
// accepted here.
func TestTheMigrationPagesDescribeThisFilter(t *testing.T) {
	for _, c := range []struct {
		policy string
		want   config.Code // "" is accepted
	}{
		// Envoy
		{`{"allow_methods": "PUT, DELETE"}`, config.Missing},
		{`{"allow_origin_string_match": [{"prefix": "*"}], "allow_credentials": true}`, config.AnyOrigin},
		{`{"allow_origin_string_match": [{"prefix": "*"}]}`, ""},
		{`{"allow_origin_string_match": [{"prefix": "https://shop"}]}`, config.LooseMatch},
		{`{"allow_origin_string_match": [{"safe_regex": {"regex": "https://.*example.com"}}], "allow_credentials": true}`, config.AnyOrigin},
		{
			`{"allow_origin_string_match": [{"exact": "https://shop.example.com"}], "filter_enabled": {"default_value": {"numerator": 50}}}`,
			config.OutOfRange,
		},
		{`{"allow_origin_string_match": [{"exact": "https://shop.example.com"}], "forward_not_matching_preflights": true}`, ""},
		// Istio
		{`{"allowOrigins": [{"exact": "https://shop.example.com"}], "allowMethods": ["BREW"], "unmatchedPreflights": "FORWARD"}`, ""},
		{`{"allowOrigins": [{"exact": "https://shop.example.com"}], "maxAge": "1.5s"}`, config.BadValue},
		{`{"allowOrigins": [{"regex": "https://(shop"}]}`, config.BadRegex},
		// Gateway API
		{`{"allowOrigins": ["https://*"]}`, ""},
		{`{"allowOrigins": ["https://*"], "allowCredentials": true}`, config.AnyOrigin},
		{`{"allowOrigins": ["*"], "allowHeaders": ["*", "authorization"]}`, ""},
		{`{"allowOrigins": ["*"], "allowCredentials": true}`, config.AnyOrigin},
		{`{"allowOrigins": ["https://shop.example.com"], "allowCredentials": true, "exposeHeaders": ["*"]}`, ""},
		{`{"allowOrigins": ["https://shop.example.com"], "allowCredentials": true, "allowHeaders": ["*"], "allowMethods": ["*"]}`, ""},
		// Higress
		{`{"allow_methods": ["PUT"], "allow_credentials": false}`, config.Missing},
		{`{"allow_origin_patterns": ["*"], "allow_credentials": true}`, config.AnyOrigin},
		{`{"allow_origins": ["http://shop.example.com"], "allow_credentials": true}`, config.InsecureOrigin},
		{`{"allow_origins": ["http://localhost:3000"], "allow_credentials": true}`, ""},
		{`{"allow_origins": ["https://shop.example.com/"]}`, config.BadOrigin},
		{`{"allow_origins": ["https://shop.example.com"], "max_age": 0}`, ""},
	} {
		_, _, err := config.Parse([]byte(c.policy))
		var problems config.Problems
		errors.As(err, &problems)
		switch {
		case c.want == "" && err != nil, c.want != "" && (len(problems) != 1 || problems[0].Code != c.want):
			t.Errorf("%s: %v, want %q", c.policy, err, c.want)
		}
	}
}
