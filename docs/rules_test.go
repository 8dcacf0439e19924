package docs

import (
	"regexp"
	"strings"
	"testing"

	"corsfilter/config"
)

// TestTheRulesMatchAsThePageSays looks up each request of the table in rules.md in the
// configuration above it, and provokes the message.
func TestTheRulesMatchAsThePageSays(t *testing.T) {
	page := read(t, "rules.md")
	c, warnings, err := config.Parse([]byte(blocks(page, "json")[0]))
	if err != nil || len(warnings) > 0 || len(c.Notes) > 0 {
		t.Fatal(err, warnings, c.Notes)
	}
	rows := regexp.MustCompile("(?m)^\\| `([a-z.0-9:]+)(/[^`]*)` \\| (.*) \\|$").FindAllStringSubmatch(page, -1)
	if len(rows) != 12 {
		t.Fatalf("%d requests, want 12", len(rows))
	}
	for _, row := range rows {
		got := "the top level"
		if policy, rule := c.Select(row[1], row[2]); rule != nil {
			got = "`" + rule.Name + "`"
		} else if policy != c.Default {
			got = "none"
		}
		if got != row[3] {
			t.Errorf("%s%s is decided by %s, the page says %s", row[1], row[2], got, row[3])
		}
	}
	_, _, err = config.Parse(
		[]byte(
			`{"rules": [{"name": "api", "hosts": ["api.example.com"], "policy": {"mode": "off"}}, {"hosts": ` +
				`["api.example.com"], "paths": ["/public/*"], "policy": {"mode": "off"}}]}`,
		),
	)
	if err == nil || !strings.Contains(page, "\n"+err.Error()+"\n") {
		t.Errorf("the page does not show %v", err)
	}
}
