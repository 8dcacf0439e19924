package e2e

import (
	"slices"
	"strings"
	"testing"

	"corsfilter/config"
	"corsfilter/internal/host"
	"corsfilter/internal/lint"
)

// TestModuleAndCheckGiveTheSameVerdict starts the built module with policies
// that are refused and others that only look alike, and holds corsctl check to
// what the module says, word for word.
func TestModuleAndCheckGiveTheSameVerdict(t *testing.T) {
	module := compile(t)
	for _, c := range []struct {
		origin string // in JSON, with credentials
		want   config.Code
	}{
		{`"https://*.com"`, config.PublicSuffix},
		{`"https://*.co.uk"`, config.PublicSuffix},
		{`"https://*.co.uk:8443"`, config.PublicSuffix},
		{`"https://*.co.uk:*"`, config.PublicSuffix},
		{`"https://*.github.io:[443,8443]"`, config.PublicSuffix},
		{`"capacitor://*.github.io"`, ""}, // no name of the DNS
		{`"https://*"`, config.AnyOrigin},
		{`"moz-extension://*"`, config.AnyOrigin},
		{`"app://."`, ""},
		{`"file://"`, config.NullOrigin},
		{`{"regex": "https://.*\\.github\\.io"}`, config.AnyOrigin},
		{`"https://*.ck"`, config.PublicSuffix},
		{`"https://*.amazonaws.com"`, config.PublicSuffix},
		{`"https://*.www.ck"`, ""},
		{`"https://*.example.co.uk"`, ""},
		{`"https://*.me.github.io:*"`, ""},
		{`"https://github.io"`, ""},
		{`"*"`, config.AnyOrigin},
		{`{"regex": ".*"}`, config.AnyOrigin},
		{`"http://a.example"`, config.InsecureOrigin},
		{`"null"`, config.NullOrigin},
		{`{"suffix": ".example.com"}`, config.LooseMatch},
	} {
		for _, configuration := range []string{
			`{"allow_credentials": true, "allow_origins": [` + c.origin + `]}`,
			`{"rules": [{"paths": ["/v1/*"], "policy": {"allow_credentials": true, "allow_origins": [` + c.origin + `]}}]}`,
		} {
			t.Run(configuration, func(t *testing.T) {
				said, err := logged(t, module, host.LogWarn, configuration)
				if (err != nil) != (c.want != "") {
					t.Errorf("the module starts with %v, want %q", err, c.want)
				}
				said = slices.DeleteFunc(said, func(line string) bool { return strings.Contains(line, "no part of it takes effect") })
				slices.Sort(said)
				var checked []string
				codes := map[config.Code]bool{}
				for _, f := range lint.Check("policy.json", []byte(configuration), true) {
					if f.Severity == lint.Note { // which the module does not log
						continue
					}
					if f.Severity == lint.Error {
						codes[f.Code] = true
					}
					p := config.Problem{Path: f.Path, Value: f.Value, Reason: f.Reason, Remedy: f.Remedy}
					checked = append(checked, string(f.Severity)+": configuration: "+p.Error())
				}
				slices.Sort(checked)
				if !slices.Equal(said, checked) {
					t.Errorf("the module says\n%s\nand corsctl check says\n%s", strings.Join(said, "\n"), strings.Join(checked, "\n"))
				}
				if c.want != "" && !codes[c.want] || c.want == "" && len(codes) > 0 {
					t.Errorf("refused for %v, want %q", codes, c.want)
				}
			})
		}
	}
}
