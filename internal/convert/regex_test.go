package convert

import (
	"regexp"
	"testing"

	"pgregory.net/rapid"
)

func TestWholeRegex(t *testing.T) {
	for _, c := range []struct {
		regex     string
		fromStart bool
		want      string
	}{
		{`^https://a\.example$`, false, `https://a\.example`},
		{`https://a\.example`, false, `.*https://a\.example.*`},
		{`https://a\.example`, true, `https://a\.example.*`},
		{`^a|b$`, false, `.*(?:^a|b$).*`},
		{`^(a|b)$`, false, `(a|b)`},
		{`^a\|b$`, false, `a\|b`},
		{`a\$`, true, `a\$.*`},
		{`a\\$`, true, `a\\`},
		{`[|]$`, true, `[|]`},
		{`[]|]$|b`, true, `[]|]$|b.*`},
		{`[[:alpha:]|]$`, true, `[[:alpha:]|]`},
		{`\Qa|b\E$`, true, `\Qa|b\E`},
		{`.*a.*`, false, `.*a.*`},
		{`a\.*`, true, `a\.*.*`},
		{`a)(b`, false, `a)(b`}, // which is none
		{`/a(/|$)(.*)`, true, `/a(/|$)(.*)`},
		{`(a|\(.*)`, true, `(a|\(.*).*`},
		{`(?i)^a$`, false, `(?i)^a`},
		{`(?i)a|b`, true, `(?:(?i)a|b).*`},
		{`^(?:a|b)$`, false, `(?:a|b)`},
		{`^(?P<x>a)$`, false, `(?P<x>a)`},
	} {
		if got := WholeRegex(c.regex, c.fromStart); got != c.want {
			t.Errorf("%s becomes %s, want %s", c.regex, got, c.want)
		}
	}
}

// TestWholeRegexMatchesTheSame draws regexes and texts.
func TestWholeRegexMatchesTheSame(t *testing.T) {
	pieces := []string{
		"a", "b", "|", "^", "$", ".*", "(a|b)", "(?:^a|b$)", "[a|]", "[^]b]", `\|`, `\$`, "(?i)", "(?i:A)", `\Q|\E`, "a?", "(b$)", "(^a)",
		"(.*)",
	}
	rapid.Check(t, func(t *rapid.T) {
		regex := ""
		for _, p := range rapid.SliceOfN(rapid.SampledFrom(pieces), 1, 6).Draw(t, "pieces") {
			regex += p
		}
		source, err := regexp.Compile(regex)
		if err != nil {
			return
		}
		fromStart := rapid.Bool().Draw(t, "from the start")
		text := rapid.StringOfN(rapid.SampledFrom([]rune("abAB|$]")), 0, 6, -1).Draw(t, "text")
		want := source.MatchString(text)
		if fromStart {
			want = regexp.MustCompile(`\A(?:` + regex + `)`).MatchString(text)
		}
		whole := WholeRegex(regex, fromStart)
		re, err := regexp.Compile(`\A(?:` + whole + `)\z`)
		if err != nil {
			t.Fatalf("%s becomes %s: %v", regex, whole, err)
		}
		if got := re.MatchString(text); got != want {
			t.Fatalf("%q: %s says %v, %s says %v", text, regex, want, whole, got)
		}
	})
}
