package config

import (
	"strconv"
	"strings"
)

// How much a message quotes, in bytes: of a value, and of a reason or a remedy, which may
// contain part of one.
const (
	maxValueLen = 120
	maxTextLen  = 500
)

// quote writes a string of the configuration for a reason or a remedy.
func quote(s string) string { return strconv.Quote(s) }

// shorten makes a value fit for a message, without the line breaks that JSON allows between
// its parts.
func shorten(value string) string {
	return line(strings.Map(func(r rune) rune { return max(r, ' ') }, cut(value, maxValueLen)), maxValueLen)
}

// line makes text fit for one line of a log, whatever part of the configuration it quotes:
// bounded, and escaped, so that nothing in it ends the line, moves the cursor or changes the
// direction of writing. Every text of a Problem goes through it, so that no message has to
// remember to.
func line(s string, bound int) string {
	s = cut(s, bound)
	if strings.IndexFunc(s, unprintable) < 0 {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if unprintable(r) {
			escaped := strconv.QuoteRuneToASCII(r)
			b.WriteString(escaped[1 : len(escaped)-1])
			continue
		}
		b.WriteRune(r)
	}
	return cut(b.String(), bound)
}

// unprintable reports controls, line separators and direction marks: everything that is not
// a letter, mark, number, symbol, punctuation or ASCII space.
func unprintable(r rune) bool { return !strconv.IsPrint(r) }

// cut bounds a string, in bytes, between two characters.
func cut(s string, bound int) string {
	if len(s) <= bound {
		return s
	}
	return strings.ToValidUTF8(s[:bound], "") + "…"
}
