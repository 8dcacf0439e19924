package docs

import (
	"regexp"
	"strings"
	"testing"

	"corsfilter/config"
	"corsfilter/internal/browser"
	"corsfilter/internal/explain"
)

// TestTheCookbook checks each policy of the page, and sends it the requests of the table
// below it.
func TestTheCookbook(t *testing.T) {
	row := regexp.MustCompile("(?m)^\\| `([^`]+)` \\| `([A-Z]+) (https://[^`]+)`(?: with (.*))? \\| (yes|no|upstream decides) \\|$")
	recipes := strings.Split(read(t, "cookbook.md"), "\n## ")[1:]
	if len(recipes) < 13 {
		t.Fatalf("%d recipes; some are missing", len(recipes))
	}
	for _, recipe := range recipes {
		name, _, _ := strings.Cut(recipe, "\n")
		t.Run(name, func(t *testing.T) {
			policies, rows := blocks(recipe, "json"), row.FindAllStringSubmatch(recipe, -1)
			if len(policies) != 1 || len(rows) < 2 || len(rows) != strings.Count(recipe, "\n|")-2 {
				t.Fatalf("%d policies and %d requests; the test does not understand a line of the table", len(policies), len(rows))
			}
			if _, warnings, err := config.Parse([]byte(policies[0])); err != nil || len(warnings) > 0 {
				t.Errorf("%v, %v", err, warnings)
			}
			for _, r := range rows {
				request := explain.Request{Request: browser.Request{Origin: r[1], Method: r[2], Credentials: strings.Contains(r[4], "cookies")}}
				if err := request.Target(r[3]); err != nil {
					t.Fatal(err)
				}
				for _, header := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(r[4], -1) {
					request.Headers = append(request.Headers, browser.Header{Name: header[1], Value: explain.ExampleValue(header[1])})
				}
				report, err := explain.Explain([]byte(policies[0]), request)
				if err != nil {
					t.Errorf("%s: %v", r[0], err)
					continue
				}
				got := map[bool]string{true: "yes", false: "no"}[report.Allowed]
				if report.UpstreamDecides {
					got = "upstream decides"
				}
				if got != r[5] {
					t.Errorf("%s\ngets it: %s, the page says %s; %s", r[0], got, r[5], report.Verdict)
				}
			}
		})
	}
}
