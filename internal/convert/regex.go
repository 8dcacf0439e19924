package convert

import (
	"regexp/syntax"
	"strings"
)

// WholeRegex writes a regex that is looked for in a text as one of the whole text;
// fromStart says that it is looked for at the beginning alone.
func WholeRegex(regex string, fromStart bool) string {
	const anything = ".*"
	if inlineFlags(regex) { // they hold for all that follows, alternatives included
		if fromStart {
			return "(?:" + regex + ")" + anything
		}
		return anything + "(?:" + regex + ")" + anything
	}
	all := alternatives(regex)
	for i, one := range all {
		body, anchored := strings.CutPrefix(one, "^")
		if !anchored && !fromStart && !strings.HasPrefix(body, anything) {
			body = anything + body
		}
		if endsIn(body, "$") {
			body = strings.TrimSuffix(body, "$")
		} else if !endsIn(body, anything) && !endsIn(body, "("+anything+")") {
			body += anything
		}
		all[i] = body
	}
	return strings.Join(all, "|")
}

// endsIn reports whether a regex ends in some text, of which the first letter is not escaped.
func endsIn(regex, text string) bool {
	before, ok := strings.CutSuffix(regex, text)
	return ok && (len(before)-len(strings.TrimRight(before, `\`)))%2 == 0
}

// inlineFlags reports whether a regex sets flags for what follows: "(?i)".
func inlineFlags(regex string) bool {
	for rest := regex; ; {
		_, after, found := strings.Cut(rest, "(?")
		if !found {
			return false
		}
		if end := strings.IndexAny(after, ":)<P"); end >= 0 && after[end] == ')' {
			return true
		}
		rest = after
	}
}

// alternatives splits a regex at its outermost bars.
func alternatives(regex string) (all []string) {
	depth, begin := 0, 0
	for i := 0; i < len(regex); i++ {
		switch regex[i] {
		case '\\':
			if strings.HasPrefix(regex[i:], `\Q`) {
				if end := strings.Index(regex[i:], `\E`); end >= 0 {
					i += end
				} else {
					i = len(regex)
				}
			}
			i++
		case '[':
			i = classEnd(regex, i)
		case '(':
			depth++
		case ')':
			depth--
		case '|':
			if depth == 0 {
				all = append(all, regex[begin:i])
				begin = i + 1
			}
		}
	}
	return append(all, regex[begin:])
}

// classEnd returns where a character class that begins at i ends.
func classEnd(regex string, i int) int {
	i++
	if i < len(regex) && regex[i] == '^' {
		i++
	}
	for first := i; i < len(regex); i++ {
		switch {
		case regex[i] == '\\':
			i++
		case strings.HasPrefix(regex[i:], "[:"):
			if end := strings.Index(regex[i:], ":]"); end >= 0 {
				i += end + 1
			}
		case regex[i] == ']' && i > first:
			return i
		}
	}
	return i
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
