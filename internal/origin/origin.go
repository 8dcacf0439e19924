// Package origin implements the origins of the CORS protocol: a strict parser for the Origin
// of a request, a strict parser for the patterns of a configuration, and a set of patterns
// whose look-up costs the length of the origin, however many patterns it has. Matching is by
// component (scheme, host, port), never on substrings. It does no I/O and imports nothing of
// this module.
package origin

import (
	"math/bits"
	"strings"

	"corsfilter/internal/header"
)

// MaxLen is the longest Origin, in bytes, that can match anything. A host name
// has at most 253 bytes (RFC 1035, section 2.3.4); the rest is room for schemes
// of extensions and for ports.
const MaxLen = 512

// Origin is a parsed tuple origin (HTML, section 7.1.1). Scheme and Host are in
// lower case; an IPv6 host keeps its brackets. The host can be empty for schemes other than
// http and https, as in qrc:// and file://.
type Origin struct {
	Scheme string
	Host   string
	// Port is the port as written, or 0 if the origin has none: then it is the scheme's
	// default.
	Port uint16
}

// Buffer is scratch space for Parse; it must outlive the Origin parsed with it.
type Buffer [MaxLen]byte

// Parse reads one serialized origin (RFC 6454, section 6.2), such as browsers
// send. ok is false for everything else: null, two values, a path, a trailing
// slash, user info, white space or control characters, port 0 or above 65535,
// leading zeros, more than MaxLen bytes, a host that validHost refuses. It does not
// allocate: buf is used if letters must be lower-cased.
//
// An explicit default port is accepted, because comparing a request with its own origin
// needs it. No browser serializes an origin that way, and Serialized tells.
func Parse(s string, buf *Buffer) (o Origin, ok bool) {
	if host := PlainHost(s); host > 0 {
		return Origin{Scheme: s[:host-len("://")], Host: s[host:]}, true
	}
	return ParseAny(s, buf)
}

// ParseAny is Parse for values that PlainHost does not accept; it also works for the others.
func ParseAny(s string, buf *Buffer) (o Origin, ok bool) {
	if len(s) > MaxLen {
		return Origin{}, false
	}
	s = Lower(s, buf)
	scheme, rest, found := strings.Cut(s, "://")
	if !found || !validScheme(scheme) {
		return Origin{}, false
	}
	host, port, hasPort := SplitPort(rest)
	if !validHost(scheme, host) || hasPort && host == "" {
		return Origin{}, false
	}
	o = Origin{Scheme: scheme, Host: host}
	if hasPort {
		if o.Port, ok = parsePort(port); !ok {
			return Origin{}, false
		}
	}
	return o, true
}

// PlainHost is Parse for nearly all origins: http or https, a lower-case name of eight bytes
// or more that does not end in a number, and no port. It returns where the name begins, or 0
// for everything else, which may still be well-formed. It reads eight bytes at a time.
func PlainHost(s string) (at int) {
	const (
		http    = 0x002f2f3a70747468 // as a word
		https   = 0x2f2f3a7370747468
		each    = 0x0101010101010101
		highest = 0x80 * each
	)
	if len(s) < len("https://")+8 || len(s) > MaxLen {
		return 0
	}
	at = len("https://")
	if word := header.Word(s, 0); word != https {
		if word<<8>>8 != http {
			return 0
		}
		at = len("http://")
	}
	label := at            // where the last label begins
	before := uint64(0x80) // whether a label begins with the next word
	for i := at; i < len(s); i += 8 {
		var word uint64
		if left := len(s) - i; left >= 8 {
			word = header.Word(s, i)
		} else {
			const letters = 'a' * each
			word = header.Word(s, len(s)-8)>>(64-8*left) | letters<<(8*left)
		}
		// The highest bit of each byte of a difference says that the byte is not less
		// than the other one; no byte borrows from the next.
		high := word | highest
		letter := (high - 'a'*each) &^ (high - ('z'+1)*each)
		digit := (high - '0'*each) &^ (high - ('9'+1)*each)
		fromDot := high - '.'*each
		dot := fromDot &^ (high - ('.'+1)*each) & highest
		dash := (high - '-'*each) &^ fromDot
		if (letter|digit|dash|dot)&^word&highest != highest || dot&(dot<<8|before) != 0 {
			return 0
		}
		if before = dot >> 56; dot != 0 {
			label = i + 8 - bits.LeadingZeros64(dot)/8
		}
	}
	if label == len(s) || isDigit(s[label]) {
		return 0
	}
	return at
}

// DefaultPort returns the port that http and https leave out (URL, section
// 4.2, "special scheme"), and 0 for other schemes.
func DefaultPort(scheme string) uint16 {
	switch scheme {
	case "http":
		return 80
	case "https":
		return 443
	}
	return 0
}

// Serialized reports whether a browser would write the origin like this, without the
// scheme's default port.
func (o Origin) Serialized() bool {
	return o.Port == 0 || o.Port != DefaultPort(o.Scheme)
}

// Is reports whether the origin is that of scheme and authority, a host with or without a
// port. Either side may have an explicit default port. scheme and authority are compared
// without regard to case.
func (o Origin) Is(scheme, authority string) bool {
	host, port, hasPort := SplitPort(authority)
	var number uint16
	if hasPort {
		var ok bool
		if number, ok = parsePort(port); !ok {
			return false
		}
	}
	return equalFold(scheme, o.Scheme) && equalFold(host, o.Host) &&
		effectivePort(number, o.Scheme) == effectivePort(o.Port, o.Scheme)
}

func effectivePort(port uint16, scheme string) uint16 {
	if port == 0 {
		return DefaultPort(scheme)
	}
	return port
}

// SplitPort cuts ":port" off an authority. The colons inside the brackets of an
// IPv6 address do not count.
func SplitPort(s string) (host, port string, hasPort bool) {
	i := strings.LastIndexByte(s, ':')
	if i < 0 || strings.LastIndexByte(s, ']') > i {
		return s, "", false
	}
	return s[:i], s[i+1:], true
}

func parsePort(s string) (port uint16, ok bool) {
	port, ok = parseDecimal(s, 65535)
	return port, ok && port > 0
}

// parseDecimal reads a number without leading zeros.
func parseDecimal(s string, most uint) (uint16, bool) {
	n := uint(0)
	for i := 0; i < len(s); i++ {
		if n = 10*n + uint(s[i]-'0'); !isDigit(s[i]) || n > most || i > 0 && s[0] == '0' {
			return 0, false
		}
	}
	return uint16(n), s != ""
}

// validScheme checks RFC 3986, section 3.1, in lower case.
func validScheme(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if !isLetter(c) && (i == 0 || !isDigit(c) && c != '+' && c != '-' && c != '.') {
			return false
		}
	}
	return s != ""
}

// validHost checks a lower-case host. Hosts of http and https are domain names,
// IPv4 or IPv6 addresses in the one form that browsers serialize; those of other
// schemes are IPv6 addresses or opaque (URL, section 3.1). Files have none: browsers that
// give files an origin serialize file:// for all of them.
func validHost(scheme, host string) bool {
	switch {
	case scheme == fileScheme:
		return host == ""
	case strings.HasPrefix(host, "["):
		return strings.HasSuffix(host, "]") && canonicalIPv6(host[1:len(host)-1])
	case DefaultPort(scheme) == 0:
		return validOpaque(host)
	}
	return validName(host) && (!endsInNumber(host) || canonicalIPv4(host))
}

const fileScheme = "file"

// validName checks a domain name.
func validName(host string) bool {
	start := 0
	for i := 0; i <= len(host); i++ {
		if i == len(host) || host[i] == '.' {
			// A trailing dot makes a fully qualified name, which is a separate origin.
			if i == start && (i < len(host) || i == 0) {
				return false
			}
			start = i + 1
			continue
		}
		if c := host[i]; !isLetter(c) && !isDigit(c) && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

// opaqueMarks are the characters besides letters and digits that an opaque host may have:
// reg-name of RFC 3986, section 3.2.2, without the comma, which separates two origins that a
// proxy has joined, and without "*", the wildcard of patterns. The URL standard allows some
// more, such as quotes and braces, but no browser or app is known to send them.
const opaqueMarks = "-._~!$&'()+;=%"

// validOpaque checks the host of a scheme other than http and https.
func validOpaque(host string) bool {
	for i := 0; i < len(host); i++ {
		if c := host[i]; !isLetter(c) && !isDigit(c) && strings.IndexByte(opaqueMarks, c) < 0 {
			return false
		}
	}
	return true
}

// Lower returns s in lower case, as far as it fits into buf. It copies only if s has an
// upper-case letter, which browsers never send.
func Lower(s string, buf *Buffer) string {
	for i := 0; i < len(s); i++ {
		if 'A' <= s[i] && s[i] <= 'Z' {
			return header.AsString(header.AppendLower(buf[:0], s[:min(len(s), len(buf))]))
		}
	}
	return s
}

func equalFold(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := 0; i < len(a); i++ {
		if header.Lower(a[i]) != header.Lower(b[i]) {
			return false
		}
	}
	return true
}

func isLetter(c byte) bool { return 'a' <= c && c <= 'z' }
func isDigit(c byte) bool  { return '0' <= c && c <= '9' }
