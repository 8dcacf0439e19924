package convert

import (
	"regexp/syntax"
	"strings"

	"corsfilter/internal/automaton"
)

// WholeRegex writes a regex that is looked for in a text as one of the whole text;
// fromStart says that it is looked for at the beginning alone. It keeps what was written,
// without the marks of begin and end, where that means the same.
func WholeRegex(regex string, fromStart bool) string {
	const anything = ".*"
	var b automaton.Builder
	if _, err := syntax.Parse(regex, syntax.Perl); err != nil {
		return regex
	}
	whole := "(?:" + regex + ")" + anything
	if !fromStart {
		whole = anything + whole
	}
	want, err := b.Regex(whole, false)
	if err != nil {
		return whole
	}
	open, end := strings.TrimPrefix(regex, "^"), strings.TrimSuffix(regex, "$")
	for _, body := range []string{strings.TrimSuffix(open, "$"), open, end, regex} {
		for _, one := range []string{body, body + anything, anything + body, anything + body + anything} {
			if made, err := b.Regex(one, false); err == nil && made.Equal(want) {
				return one
			}
		}
	}
	return whole
}

// literalRegex returns the text of a regex that stands for one.
func literalRegex(regex string) (string, bool) {
	re, err := syntax.Parse(regex, syntax.Perl)
	if err != nil {
		return "", false
	}
	if re.Op == syntax.OpEmptyMatch {
		return "", true
	}
	if re.Op != syntax.OpLiteral || re.Flags&syntax.FoldCase != 0 {
		return "", false
	}
	return string(re.Rune), true
}
