// Package header holds what the CORS protocol needs to know about field names,
// methods and comma-separated lists: tokens, sets of names, the names that the
// Fetch standard treats specially, and a list parser that is bounded and does
// not allocate. It does no I/O and imports nothing of this module.
package header

import "unsafe"

// Names of the fields that the CORS protocol and this filter read or write, in
// the lower case that HTTP/2 puts on the wire (RFC 9113, section 8.2).
const (
	Origin                = "origin"
	Vary                  = "vary"
	TimingAllowOrigin     = "timing-allow-origin"
	RequestMethod         = "access-control-request-method"
	RequestHeaders        = "access-control-request-headers"
	RequestPrivateNetwork = "access-control-request-private-network"
	AllowOrigin           = "access-control-allow-origin"
	AllowCredentials      = "access-control-allow-credentials"
	AllowMethods          = "access-control-allow-methods"
	AllowHeaders          = "access-control-allow-headers"
	ExposeHeaders         = "access-control-expose-headers"
	MaxAge                = "access-control-max-age"
	AllowPrivateNetwork   = "access-control-allow-private-network"
	Authorization         = "authorization"
)

// MaxListLen is the longest Access-Control-Request-Headers value, in bytes,
// that is looked at, and the longest Vary. A browser sends the names that a
// page's script set, a few hundred bytes at most; a longer value comes from no
// browser.
const MaxListLen = 4096

// tokenByte marks the bytes of a token (RFC 9110, section 5.6.2).
var tokenByte = func() (t [256]bool) {
	for c := '0'; c <= '9'; c++ {
		t[c] = true
	}
	for c := 'a'; c <= 'z'; c++ {
		t[c], t[c-'a'+'A'] = true, true
	}
	for _, c := range "!#$%&'*+-.^_`|~" {
		t[c] = true
	}
	return t
}()

// IsToken reports whether s is a token (RFC 9110, section 5.6.2), the form of
// methods and field names.
func IsToken(s string) bool {
	for i := 0; i < len(s); i++ {
		if !tokenByte[s[i]] {
			return false
		}
	}
	return s != ""
}

// Next cuts the first element off a comma-separated list (RFC 9110, section
// 5.6.1), trims spaces and tabs around it and passes over empty elements, which
// intermediaries leave behind when they join header lines. ok is false when
// there is none left. It costs one pass over the list, whatever it holds.
func Next(list string) (element, rest string, ok bool) {
	for list != "" {
		end := 0
		for end < len(list) && list[end] != ',' {
			end++
		}
		element = trim(list[:end])
		if end < len(list) {
			end++
		}
		list = list[end:]
		if element != "" {
			return element, list, true
		}
	}
	return "", "", false
}

// trim cuts optional white space (RFC 9110, section 5.6.3) off both ends. It is
// not strings.TrimSpace, which cuts CR, LF and Unicode spaces as well: those
// must stay, so that the token check refuses the element.
func trim(s string) string {
	for s != "" && (s[0] == ' ' || s[0] == '\t') {
		s = s[1:]
	}
	for s != "" && (s[len(s)-1] == ' ' || s[len(s)-1] == '\t') {
		s = s[:len(s)-1]
	}
	return s
}

// Contains reports whether the list has the element name, compared without
// regard to case; name must be in lower case.
func Contains(list, name string) bool {
	for element, rest, ok := Next(list); ok; element, rest, ok = Next(rest) {
		if equalLower(element, name) {
			return true
		}
	}
	return false
}

// AppendLower appends s to dst with ASCII letters in lower case.
func AppendLower(dst []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		dst = append(dst, Lower(s[i]))
	}
	return dst
}

// AppendEcho appends the elements of the list to dst in lower case, joined by
// ", ": the form in which a request's own list is sent back. ok is false, and
// dst as it came, when the list is longer than MaxListLen or has an element
// that is no token: then nothing of it may reach a response.
func AppendEcho(dst []byte, list string) (echo []byte, ok bool) {
	if len(list) > MaxListLen {
		return dst, false
	}
	start := len(dst)
	echo = dst
	for element, rest, more := Next(list); more; element, rest, more = Next(rest) {
		if !IsToken(element) {
			return dst, false
		}
		if len(echo) > start {
			echo = append(echo, ", "...)
		}
		echo = AppendLower(echo, element)
	}
	return echo, len(echo) > start
}

// MaxEchoLen bounds what AppendEcho appends: of "a,b,c" every comma becomes two
// bytes, so at most half as much again.
const MaxEchoLen = MaxListLen + MaxListLen/2

// Lower returns the ASCII lower case of c.
func Lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + ('a' - 'A')
	}
	return c
}

func equalLower(s, lower string) bool {
	if len(s) != len(lower) {
		return false
	}
	for i := 0; i < len(s); i++ {
		if Lower(s[i]) != lower[i] {
			return false
		}
	}
	return true
}

// AsString is b as a string that shares its memory: it is good until b changes.
func AsString(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
