package config

import "strings"

// Code names a kind of mistake. The codes are stable: tools may compare them.
type Code string

// The kinds of mistakes. Those that a waiver lets through carry its name.
const (
	Malformed       Code = "malformed-json"
	WrongType       Code = "wrong-type"
	UnknownKey      Code = "unknown-key"
	DuplicateKey    Code = "duplicate-key"
	Missing         Code = "missing"
	OutOfRange      Code = "out-of-range"
	BadValue        Code = "bad-value"
	BadOrigin       Code = "bad-origin"
	BadMethod       Code = "bad-method"
	BadHeader       Code = "bad-header"
	BadHost         Code = "bad-host"
	BadPath         Code = "bad-path"
	BadRegex        Code = "bad-regex"
	ExposeAny       Code = "expose-any-with-credentials"
	AnyOrigin       Code = "any-origin-with-credentials"
	InsecureOrigin  Code = "insecure-origin"
	NullOrigin      Code = "null-origin"
	LooseMatch      Code = "loose-origin-match"
	PublicSuffix    Code = "public-suffix-wildcard"
	NoEffect        Code = "no-effect"
	Covered         Code = "covered"
	Duplicate       Code = "duplicate"
	Lowered         Code = "lower-cased"
	BetterAsPattern Code = "better-as-pattern"
	Unreachable     Code = "unreachable"
	MatchesAnything Code = "matches-any-origin"
	RuntimeKey      Code = "runtime-key"
)

// Waivers are the codes that dangerously_tolerate takes.
var Waivers = []Code{AnyOrigin, InsecureOrigin, NullOrigin, LooseMatch, PublicSuffix}

// Problem is one mistake in a configuration, or one warning.
type Problem struct {
	// Path is where it stands, such as rules[2].policy.allow_origins[0]; empty
	// for the document as a whole.
	Path string
	// Offset and Length are the bytes of that place in the text given to Parse:
	// of the value, or of the key where the key is the mistake.
	Offset, Length int
	// Value is the offending value as JSON, shortened; empty where the place
	// alone tells.
	Value  string
	Code   Code
	Reason string
	Remedy string
}

// Error returns the problem in one line: path, value, reason, remedy.
func (p Problem) Error() string {
	var s strings.Builder
	for _, part := range []string{p.Path, p.Value, p.Reason} {
		if part == "" {
			continue
		}
		if s.Len() > 0 {
			s.WriteString(": ")
		}
		s.WriteString(part)
	}
	if p.Remedy != "" {
		s.WriteString("; ")
		s.WriteString(p.Remedy)
	}
	return s.String()
}

// Problems are all mistakes of a configuration: first those of its JSON, in the
// order in which it states them, then those of what the settings say.
type Problems []Problem

// Error returns one line for each problem.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.Error()
	}
	return strings.Join(lines, "\n")
}

// parser collects mistakes and warnings while a configuration is read.
type parser struct {
	problems Problems
	warnings Problems
}

func (r *parser) fail(at place, value string, code Code, reason, remedy string) {
	r.problems = append(r.problems, at.problem(value, code, reason, remedy))
}

func (r *parser) warn(at place, value string, code Code, reason, remedy string) {
	r.warnings = append(r.warnings, at.problem(value, code, reason, remedy))
}

func (at place) problem(value string, code Code, reason, remedy string) Problem {
	return Problem{Path: at.path, Offset: at.offset, Length: at.length, Value: shorten(value), Code: code, Reason: reason, Remedy: remedy}
}

// maxValueLen bounds what a message quotes of a value, in bytes.
const maxValueLen = 120

// shorten makes a value fit for one line of a log: bounded, and without the
// line breaks that JSON allows between its parts.
func shorten(value string) string {
	value = strings.Map(func(r rune) rune {
		if r < ' ' {
			return ' '
		}
		return r
	}, value)
	if len(value) <= maxValueLen {
		return value
	}
	cut := maxValueLen
	for cut > 0 && value[cut]&0xC0 == 0x80 {
		cut--
	}
	return value[:cut] + "…"
}
