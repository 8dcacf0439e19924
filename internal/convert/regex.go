package convert

import (
	"regexp"
	"regexp/syntax"
	"strings"
	"unicode/utf8"
)

// maxExpanded is how many paths a regex may stand for, to be written as such.
const maxExpanded = 64

// RegexPaths writes a regex of the whole path as paths, where it is one in disguise:
// "/v1/.*", "/(a|b)", "/v1(/.*)?".
func RegexPaths(regex string) ([]Path, bool) {
	re, err := syntax.Parse(regex, syntax.Perl)
	if err != nil || len(regex) > 1000 {
		return nil, false
	}
	var parts []*syntax.Regexp
	Flatten(re, &parts)
	kind := ExactPath
	if n := len(parts); n > 0 {
		switch last := parts[n-1]; {
		case IsAnything(last):
			kind, parts = PrefixPath, parts[:n-1]
		case isBelowOrNothing(last):
			kind, parts = BelowPath, parts[:n-1]
		}
	}
	texts, few := Expand(parts)
	if !few {
		return nil, false
	}
	var paths []Path
	for _, t := range texts {
		paths = append(paths, Path{Kind: kind, Text: t})
	}
	return paths, true
}

// Expand returns all texts that parts match, one behind the other; false where
// they are too many.
func Expand(parts []*syntax.Regexp) (texts []string, few bool) {
	texts = []string{""}
	for _, p := range parts {
		more, ok := finite(p)
		if !ok || len(texts)*len(more) > maxExpanded {
			return nil, false
		}
		var longer []string
		for _, t := range texts {
			for _, m := range more {
				longer = append(longer, t+m)
			}
		}
		texts = longer
	}
	return texts, true
}

// Flatten lists what follows each other, without the marks of begin and end at the
// ends: the whole path is matched anyway.
func Flatten(re *syntax.Regexp, parts *[]*syntax.Regexp) {
	switch re.Op {
	case syntax.OpConcat:
		for _, sub := range re.Sub {
			Flatten(sub, parts)
		}
	case syntax.OpCapture:
		if re.Sub[0].Op == syntax.OpAlternate || re.Sub[0].Op == syntax.OpCharClass {
			*parts = append(*parts, re.Sub[0])
			return
		}
		Flatten(re.Sub[0], parts)
	case syntax.OpBeginText:
		if len(*parts) > 0 {
			*parts = append(*parts, re)
		}
	case syntax.OpEndText, syntax.OpEmptyMatch:
	default:
		*parts = append(*parts, re)
	}
}

// isAnything: `.*`. A path has no line break, so that it is all the same whether
// the dot takes one.
func IsAnything(re *syntax.Regexp) bool {
	return re.Op == syntax.OpStar && (re.Sub[0].Op == syntax.OpAnyChar || re.Sub[0].Op == syntax.OpAnyCharNotNL)
}

// isBelowOrNothing: `(/.*)?`.
func isBelowOrNothing(re *syntax.Regexp) bool {
	if re.Op != syntax.OpQuest {
		return false
	}
	var parts []*syntax.Regexp
	Flatten(re.Sub[0], &parts)
	return len(parts) == 2 && literal(parts[0]) == "/" && IsAnything(parts[1])
}

func literal(re *syntax.Regexp) string {
	if re.Op != syntax.OpLiteral || re.Flags&syntax.FoldCase != 0 {
		return ""
	}
	return string(re.Rune)
}

// finite returns the texts of a regex that has few.
func finite(re *syntax.Regexp) ([]string, bool) {
	switch re.Op {
	case syntax.OpEmptyMatch:
		return []string{""}, true
	case syntax.OpLiteral:
		return []string{string(re.Rune)}, re.Flags&syntax.FoldCase == 0
	case syntax.OpCapture:
		return finite(re.Sub[0])
	case syntax.OpQuest:
		texts, ok := finite(re.Sub[0])
		return append(texts, ""), ok
	case syntax.OpCharClass:
		var texts []string
		for i := 0; i+1 < len(re.Rune); i += 2 {
			for c := re.Rune[i]; c <= re.Rune[i+1]; c++ {
				if texts = append(texts, string(c)); len(texts) > maxExpanded {
					return nil, false
				}
			}
		}
		return texts, true
	case syntax.OpAlternate:
		var texts []string
		for _, sub := range re.Sub {
			more, ok := finite(sub)
			if texts = append(texts, more...); !ok || len(texts) > maxExpanded {
				return nil, false
			}
		}
		return texts, true
	case syntax.OpConcat:
		return Expand(re.Sub)
	}
	return nil, false
}

// RegexRegion is a prefix of all paths that a regex matches.
func RegexRegion(regex string) Path {
	re, err := regexp.Compile(`\A(?:` + regex + `)\z`)
	if err != nil {
		return Path{Kind: AnyPath}
	}
	prefix, whole := re.LiteralPrefix()
	switch {
	case !utf8.ValidString(prefix) || prefix == "":
		return Path{Kind: AnyPath}
	case whole:
		return Path{Kind: ExactPath, Text: prefix}
	}
	return Path{Kind: PrefixPath, Text: prefix}
}

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
		if end, ok := strings.CutSuffix(body, "$"); ok && !escapes(end) {
			body = end
		} else if end, ok := strings.CutSuffix(body, anything); !ok || escapes(end) {
			body += anything
		}
		all[i] = body
	}
	return strings.Join(all, "|")
}

// escapes reports whether what follows a text in a regex is escaped.
func escapes(text string) bool {
	return (len(text)-len(strings.TrimRight(text, `\`)))%2 == 1
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
	text := literal(re)
	return text, text != ""
}
