package origin

import (
	"strconv"
	"strings"
)

// net/netip would do, but it imports package unique, whose clean-up runs on its own
// goroutine. The module must not start any: a collection in the wrong Envoy crashes the VM.

// endsInNumber reports whether browsers treat the host as an IPv4 address: its
// last label is all digits, or hexadecimal after 0x (URL, section 3.5, "ends in
// a number").
func endsInNumber(host string) bool {
	host = strings.TrimSuffix(host, ".")
	last := host[strings.LastIndexByte(host, '.')+1:]
	if hex, ok := strings.CutPrefix(last, "0x"); ok {
		return strings.Trim(hex, "0123456789abcdef") == ""
	}
	return last != "" && strings.Trim(last, "0123456789") == ""
}

// canonicalIPv4 reports whether s is four decimal numbers as the URL standard
// serializes them (section 3.5).
func canonicalIPv4(s string) bool {
	for n := 0; ; n++ {
		part, rest, more := strings.Cut(s, ".")
		if _, ok := parseDecimal(part, 255); !ok || n == 3 && more {
			return false
		}
		if !more {
			return n == 3
		}
		s = rest
	}
}

// canonicalIPv6 reports whether s is an IPv6 address as the URL standard
// serializes it (section 3.5, after RFC 5952): lower case, no leading zeros,
// the first longest run of two or more zeros as "::", no dotted quad.
func canonicalIPv6(s string) bool {
	pieces, ok := parseIPv6(s)
	if !ok {
		return false
	}
	var buf [40]byte
	return string(appendIPv6(buf[:0], pieces)) == s
}

// parseIPv6 reads an IPv6 address in lower case, in any form of RFC 4291,
// section 2.2.
func parseIPv6(s string) (pieces [8]uint16, ok bool) {
	head, tail, compressed := strings.Cut(s, "::")
	n, ok := parsePieces(head, pieces[:])
	if !ok {
		return pieces, false
	}
	if !compressed {
		return pieces, n == 8
	}
	if strings.Contains(head, ".") {
		return pieces, false // a dotted quad stands at the end only
	}
	var back [8]uint16
	m, ok := parsePieces(tail, back[:])
	if !ok || n+m > 7 {
		return pieces, false
	}
	copy(pieces[8-m:], back[:m])
	return pieces, true
}

// parsePieces reads colon-separated groups, the last of which may be a dotted
// quad, and returns how many there are.
func parsePieces(s string, pieces []uint16) (n int, ok bool) {
	for s != "" {
		group, rest, more := strings.Cut(s, ":")
		if more && rest == "" || n == len(pieces) {
			return 0, false
		}
		s = rest
		if !more && strings.Contains(group, ".") {
			if n+2 > len(pieces) || !canonicalIPv4(group) {
				return 0, false
			}
			for i := 0; i < 4; i++ {
				part, after, _ := strings.Cut(group, ".")
				octet, _ := parseDecimal(part, 255)
				pieces[n+i/2] = pieces[n+i/2]<<8 | octet
				group = after
			}
			return n + 2, true
		}
		value, ok := parseHex(group)
		if !ok {
			return 0, false
		}
		pieces[n] = value
		n++
	}
	return n, true
}

func parseHex(s string) (v uint16, ok bool) {
	if s == "" || len(s) > 4 {
		return 0, false
	}
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case isDigit(c):
			v = v<<4 | uint16(c-'0')
		case 'a' <= c && c <= 'f':
			v = v<<4 | uint16(c-'a'+10)
		default:
			return 0, false
		}
	}
	return v, true
}

func appendIPv6(dst []byte, pieces [8]uint16) []byte {
	from, length := -1, 1
	for i := 0; i < 8; {
		j := i
		for j < 8 && pieces[j] == 0 {
			j++
		}
		if j-i > length {
			from, length = i, j-i
		}
		i = max(j, i+1)
	}
	for i := 0; i < 8; i++ {
		if i == from {
			dst = append(dst, ':', ':')
			i += length - 1
			continue
		}
		if i > 0 && i != from+length {
			dst = append(dst, ':')
		}
		dst = strconv.AppendUint(dst, uint64(pieces[i]), 16)
	}
	return dst
}

// loopback reports whether a host reaches only the machine the browser runs on
// (Secure Contexts, section 3.1): localhost and the names below it, 127.0.0.0/8
// and [::1].
func loopback(host string) bool {
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || host == "[::1]" ||
		canonicalIPv4(host) && strings.HasPrefix(host, "127.")
}
