package config

import (
	"regexp"
	"regexp/syntax"
	"strings"
)

// looseMatcher compares the origin as a whole string: a regex, or a prefix,
// suffix or part of it. Whatever it compares was parsed strictly before, so that
// nothing but scheme, host and port can hide in it.
type looseMatcher struct {
	raw   rawOrigin
	kind  matchKind
	value string // for prefix, suffix and contains
	fold  bool
	regex *regexp.Regexp
	tree  *syntax.Regexp
}

// maxRegexLen bounds a regex, in bytes: its cost for a request is its length
// times the origin's.
const maxRegexLen = 2048

// compileMatcher compiles a matcher object that is not exact.
func (p *parser) compileMatcher(e *rawOrigin) (looseMatcher, bool) {
	m := looseMatcher{raw: *e, kind: e.kind, value: e.value, fold: e.ignoreCase}
	if e.value == "" {
		p.fail(e.place, e.written, BadValue, "empty, so it would match every origin", `write "*" for every origin, or the origins themselves`)
		return m, false
	}
	if e.kind != matchRegex {
		return m, true
	}
	var ok bool
	m.tree, m.regex, ok = p.compileRegex(e)
	return m, ok
}

// mayBeLoose refuses a matcher of a part of an origin, unless that is waived.
func (p *parser) mayBeLoose(e *rawOrigin, waived *waivers) bool {
	if e.kind == matchRegex || waived.tolerates(LooseMatch) {
		return true
	}
	p.fail(e.place, e.written, LooseMatch, "a part of an origin matches origins of strangers as well (the prefix \"https://example.com\" matches https://example.com.evil.example)",
		"write a pattern such as \"https://*.example.com\" or \"https://example.com:*\""+orWaive(LooseMatch))
	return false
}

func (p *parser) compileRegex(e *rawOrigin) (tree *syntax.Regexp, regex *regexp.Regexp, ok bool) {
	if len(e.value) > maxRegexLen {
		p.fail(e.place, e.written, BadRegex, "a regex of more than 2,048 bytes", "list the origins as patterns: a look-up costs the same however many there are")
		return nil, nil, false
	}
	flags, prefix := syntax.Perl, `\A(?:`
	if e.ignoreCase {
		flags, prefix = syntax.Perl|syntax.FoldCase, `\A(?i:`
	}
	// Alone first: what only compiles inside the anchors, such as "a)|(b", is
	// not what its author meant.
	tree, err := syntax.Parse(e.value, flags)
	if err == nil {
		// Anchored as a whole: in `a|b` both alternatives are.
		regex, err = regexp.Compile(prefix + e.value + `)\z`)
	}
	if err != nil {
		p.fail(e.place, e.written, BadRegex, strings.TrimPrefix(err.Error(), "error "), "write a regex in RE2 syntax, or a pattern such as \"https://*.example.com\"")
		return nil, nil, false
	}
	return tree, regex, true
}

// match does not allocate: a regexp keeps its working memory between calls.
func (m *looseMatcher) match(value string) bool {
	n := len(m.value)
	switch m.kind {
	case matchRegex:
		return m.regex.MatchString(value)
	case matchPrefix:
		return len(value) >= n && m.same(value[:n])
	case matchSuffix:
		return len(value) >= n && m.same(value[len(value)-n:])
	}
	for i := 0; i+n <= len(value); i++ {
		if m.same(value[i : i+n]) {
			return true
		}
	}
	return false
}

func (m *looseMatcher) same(part string) bool {
	return part == m.value || m.fold && strings.EqualFold(part, m.value)
}
