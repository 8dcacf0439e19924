package config

import (
	"slices"
	"strconv"
	"strings"
)

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
	Costly          Code = "costly-matcher"
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
	OtherDirection  Code = "other-direction"
	PrivateNetwork  Code = "private-network"
	HandsOut        Code = "hands-out-names"
	More            Code = "more"
)

// The codes of notes, see Config.Notes: the policy's source forwards preflights that are
// denied here; a waiver lets something in; any port of the visitor's machine is allowed
// with credentials; there are rules, but no policy for requests that no rule takes.
const (
	Unmatched     Code = "unmatched-preflights"
	Waived        Code = "waived"
	LocalPrograms Code = "local-programs"
	LeftAlone     Code = "left-alone"
)

// Waivers are the codes that dangerously_tolerate takes.
var Waivers = waivable[:]

var waivable = [...]Code{AnyOrigin, InsecureOrigin, NullOrigin, LooseMatch, PublicSuffix}

// Problem is one mistake in a configuration, or one warning. Its texts are safe for a log:
// they have only printable characters and no line breaks.
type Problem struct {
	// Path is its place, such as rules[2].policy.allow_origins[0]; empty for the whole
	// document.
	Path string
	// Offset and Length are the bytes of that place in the text given to Parse: those of
	// the value, or of the key if the key is the mistake.
	Offset, Length int
	// Value is the offending value as JSON, shortened; empty if the place says enough.
	Value  string
	Code   Code
	Reason string
	Remedy string
	// Rest is how many more there are; only for the code More.
	Rest int
}

// Error returns the problem in one line: path, value, reason, remedy.
func (p Problem) Error() string {
	parts := slices.DeleteFunc([]string{p.Path, p.Value, p.Reason}, func(part string) bool { return part == "" })
	text := strings.Join(parts, ": ")
	if p.Remedy != "" {
		text += "; " + p.Remedy
	}
	return text
}

// Problems are the mistakes of a configuration: first those of its JSON, in the order of the
// text, then those of its settings. If there are more than 100, the last one has the code
// More and says how many more.
type Problems []Problem

// Error returns one line for each problem.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.Error()
	}
	return strings.Join(lines, "\n")
}

// Count is how many there are, including those that are not listed.
func (ps Problems) Count() int {
	if n := len(ps); n > 0 && ps[n-1].Code == More {
		return n - 1 + ps[n-1].Rest
	}
	return len(ps)
}

// maxListed is how many mistakes, warnings or notes are listed. Nobody reads more, and a
// long list of wrong elements must not fill the log or memory.
const maxListed = 100

// tally collects problems up to that bound and counts all.
type tally struct {
	noun  string // what the rest is called
	list  Problems
	count int
	next  place // of the first that is not listed
}

func (f *tally) add(at place, value string, code Code, reason, remedy string) {
	if f.skip(at) {
		return
	}
	f.count++
	// The texts outlive the configuration that they quote, whose memory is reused.
	f.list = append(f.list, Problem{
		Path: strings.Clone(line(at.path(), maxTextLen)), Offset: at.offset, Length: at.length, Value: strings.Clone(shorten(value)),
		Code: code, Reason: strings.Clone(line(reason, maxTextLen)), Remedy: strings.Clone(line(remedy, maxTextLen)),
	})
}

// skip reports whether no more findings are listed, and then counts this one. Call it first
// if composing the text for each element of a list costs something.
func (f *tally) skip(at place) bool {
	if f.count < maxListed {
		return false
	}
	if f.count == maxListed {
		f.next = at
	}
	f.count++
	return true
}

// all returns what is listed, and how much is not.
func (f *tally) all() Problems {
	if f.count <= maxListed {
		return f.list
	}
	rest := f.count - maxListed
	return append(f.list, Problem{
		Path: strings.Clone(line(f.next.path(), maxTextLen)), Offset: f.next.offset, Length: f.next.length,
		Code: More, Reason: strconv.Itoa(rest) + " more " + f.noun + ", the first of them here", Remedy: "fix those above, then look again", Rest: rest,
	})
}
