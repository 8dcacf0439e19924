package convert

import (
	"regexp"
	"regexp/syntax"
	"unicode/utf8"
)

// maxExpanded is how many paths a regex may stand for, to be written as such.
const maxExpanded = 64

// regexPaths writes a regex of the whole path as paths, where it is one in disguise:
// "/v1/.*", "/(a|b)", "/v1(/.*)?".
func regexPaths(regex string) ([]path, bool) {
	re, err := syntax.Parse(regex, syntax.Perl)
	if err != nil || len(regex) > 1000 {
		return nil, false
	}
	var parts []*syntax.Regexp
	flatten(re, &parts)
	kind := exactPath
	if n := len(parts); n > 0 {
		switch last := parts[n-1]; {
		case isAnything(last):
			kind, parts = prefixPath, parts[:n-1]
		case isBelowOrNothing(last):
			kind, parts = belowPath, parts[:n-1]
		}
	}
	texts := []string{""}
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
	var paths []path
	for _, t := range texts {
		paths = append(paths, path{kind: kind, text: t})
	}
	return paths, true
}

// flatten lists what follows each other, without the marks of begin and end at the
// ends: the whole path is matched anyway.
func flatten(re *syntax.Regexp, parts *[]*syntax.Regexp) {
	switch re.Op {
	case syntax.OpConcat:
		for _, sub := range re.Sub {
			flatten(sub, parts)
		}
	case syntax.OpCapture:
		if re.Sub[0].Op == syntax.OpAlternate || re.Sub[0].Op == syntax.OpCharClass {
			*parts = append(*parts, re.Sub[0])
			return
		}
		flatten(re.Sub[0], parts)
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
func isAnything(re *syntax.Regexp) bool {
	return re.Op == syntax.OpStar && (re.Sub[0].Op == syntax.OpAnyChar || re.Sub[0].Op == syntax.OpAnyCharNotNL)
}

// isBelowOrNothing: `(/.*)?`.
func isBelowOrNothing(re *syntax.Regexp) bool {
	if re.Op != syntax.OpQuest {
		return false
	}
	var parts []*syntax.Regexp
	flatten(re.Sub[0], &parts)
	return len(parts) == 2 && literal(parts[0]) == "/" && isAnything(parts[1])
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
		texts := []string{""}
		for _, sub := range re.Sub {
			more, ok := finite(sub)
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
	return nil, false
}

// regexRegion is a prefix of all paths that a regex matches.
func regexRegion(regex string) path {
	re, err := regexp.Compile(`\A(?:` + regex + `)\z`)
	if err != nil {
		return path{kind: anyPath}
	}
	prefix, whole := re.LiteralPrefix()
	switch {
	case !utf8.ValidString(prefix) || prefix == "":
		return path{kind: anyPath}
	case whole:
		return path{kind: exactPath, text: prefix}
	}
	return path{kind: prefixPath, text: prefix}
}
