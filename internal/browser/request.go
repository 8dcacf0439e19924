package browser

import (
	"fmt"
	"slices"
	"sort"
	"strings"
)

// Header is one header.
type Header struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Request is a script's fetch() with mode "cors".
type Request struct {
	// Origin is the serialized origin of the page, or "null".
	Origin string
	// Method is as the script gives it.
	Method string
	// Headers are those that the script sets.
	Headers []Header
	// Credentials is credentials mode "include".
	Credentials bool
	// PrivateNetwork says that the target is in a more private network than the
	// page (Private Network Access).
	PrivateNetwork bool
	// Forced says why there is a preflight whatever the method and the headers, as
	// with a streamed body or a listener to an upload; "" where nothing forces one.
	Forced string
	// SameOrigin says that the target is of the page's own origin.
	SameOrigin bool
}

// Validate returns an error where a browser would throw or leave the header out
// before anything is sent: a method or header that scripts cannot use.
func (r Request) Validate() error {
	if !isToken(r.Method) {
		return fmt.Errorf("%q is not a method", r.Method)
	}
	if forbiddenMethod(r.Method) {
		return fmt.Errorf("scripts cannot send %s", strings.ToUpper(r.Method))
	}
	for _, h := range r.Headers {
		if !isToken(h.Name) {
			return fmt.Errorf("%q is not a header name", h.Name)
		}
		if strings.ContainsAny(normalizeValue(h.Value), "\x00\r\n") {
			return fmt.Errorf("header %s: %q is not a header value", lower(h.Name), h.Value)
		}
		if forbiddenHeader(h) {
			return fmt.Errorf("scripts cannot set the header %s", lower(h.Name))
		}
	}
	return nil
}

// NormalizedMethod is the method as sent (section 2.2.1, "normalize a method").
func (r Request) NormalizedMethod() string {
	for _, m := range []string{"DELETE", "GET", "HEAD", "OPTIONS", "POST", "PUT"} {
		if equalFold(r.Method, m) {
			return m
		}
	}
	return r.Method
}

// UnsafeHeaderNames are the names that need the server's consent, in lower case
// and sorted (section 2.2.2, "CORS-unsafe request-header names").
func (r Request) UnsafeHeaderNames() []string {
	var unsafe, potentially []string
	size := 0
	for _, h := range r.Headers {
		name, value := lower(h.Name), normalizeValue(h.Value)
		if !safelistedRequestHeader(name, value) {
			unsafe = append(unsafe, name)
		} else {
			potentially = append(potentially, name)
			size += len(value)
		}
	}
	if size > 1024 { // safelisted values that together are too long are unsafe
		unsafe = append(unsafe, potentially...)
	}
	sort.Strings(unsafe)
	return slices.Compact(unsafe)
}

// NeedsPreflight reports whether the browser sends a preflight, and why (section
// 4.4, "HTTP fetch", the step on CORS-preflight). To a page's own origin it never
// does (section 4.1, "main fetch", the step on same origin).
func (r Request) NeedsPreflight() (needed bool, why []string) {
	if r.SameOrigin {
		return false, nil
	}
	if m := r.NormalizedMethod(); !safelistedMethod(m) {
		why = append(why, "the method "+m+" is not GET, HEAD or POST")
	}
	for _, name := range r.UnsafeHeaderNames() {
		why = append(why, "the header "+name+" is not safelisted")
	}
	if r.PrivateNetwork {
		why = append(why, "the target is in a more private network")
	}
	if r.Forced != "" {
		why = append(why, r.Forced)
	}
	return len(why) > 0, why
}

// PreflightHeaders are the headers of the preflight that matter to a server
// (section 4.8, "CORS-preflight fetch", steps 1 to 5).
func (r Request) PreflightHeaders() []Header {
	headers := []Header{
		{"accept", "*/*"},
		{"origin", r.Origin},
		{"access-control-request-method", r.NormalizedMethod()},
	}
	if names := r.UnsafeHeaderNames(); len(names) > 0 {
		headers = append(headers, Header{"access-control-request-headers", strings.Join(names, ",")})
	}
	if r.PrivateNetwork {
		headers = append(headers, Header{"access-control-request-private-network", "true"})
	}
	return headers
}

// ActualHeaders are the headers of the request itself. To its own origin a page
// sends Origin where the method is neither GET nor HEAD (section 3.1, "append a
// request Origin header"), and says that it is its own (Fetch Metadata, section
// 2.4).
func (r Request) ActualHeaders() []Header {
	headers := []Header{{"origin", r.Origin}}
	if r.SameOrigin {
		if m := r.NormalizedMethod(); m == "GET" || m == "HEAD" {
			headers = nil
		}
		headers = append(headers, Header{"sec-fetch-site", "same-origin"})
	}
	for _, h := range r.Headers {
		headers = append(headers, Header{h.Name, normalizeValue(h.Value)})
	}
	return headers
}

// safelistedMethod is a CORS-safelisted method (section 2.2.1).
func safelistedMethod(m string) bool { return m == "GET" || m == "HEAD" || m == "POST" }

// safelistedRequestHeader is a CORS-safelisted request-header (section 2.2.2).
func safelistedRequestHeader(name, value string) bool {
	if len(value) > 128 {
		return false
	}
	switch name {
	case "accept":
		return !hasUnsafeByte(value)
	case "accept-language", "content-language":
		for _, c := range []byte(value) {
			if !isAlnum(c) && !strings.ContainsRune(" *,-.;=", rune(c)) {
				return false
			}
		}
		return true
	case "content-type":
		if hasUnsafeByte(value) {
			return false
		}
		essence, _, _ := strings.Cut(value, ";")
		switch lower(normalizeValue(essence)) {
		case "application/x-www-form-urlencoded", "multipart/form-data", "text/plain":
			return true
		}
		return false
	case "range":
		return simpleRange(value)
	}
	return false
}

// hasUnsafeByte finds a CORS-unsafe request-header byte (section 2.2.2).
func hasUnsafeByte(value string) bool {
	for _, c := range []byte(value) {
		if c < 0x20 && c != '\t' || c == 0x7f || strings.IndexByte("\"():<>?@[\\]{}", c) >= 0 {
			return true
		}
	}
	return false
}

// simpleRange is a single range of bytes with a first position (section 2.2.2,
// "parse a single range header value", without whitespace; a range counted from
// the end is not safelisted).
func simpleRange(value string) bool {
	spec, bytes := strings.CutPrefix(value, "bytes=")
	first, last, dash := strings.Cut(spec, "-")
	if !bytes || !dash || first == "" || !allDigits(first) || !allDigits(last) {
		return false
	}
	return last == "" || !greater(first, last)
}

// greater compares decimal numbers of any length.
func greater(a, b string) bool {
	a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
	if len(a) != len(b) {
		return len(a) > len(b)
	}
	return a > b
}

// forbiddenMethod is a forbidden method (section 2.2.1).
func forbiddenMethod(m string) bool {
	return equalFold(m, "CONNECT") || equalFold(m, "TRACE") || equalFold(m, "TRACK")
}

// forbiddenHeader is a forbidden request-header (section 2.2.2), or the one that
// Private Network Access keeps to the browser.
func forbiddenHeader(h Header) bool {
	name := lower(h.Name)
	switch name {
	case "accept-charset", "accept-encoding", "access-control-request-headers", "access-control-request-method",
		"access-control-request-private-network", "connection", "content-length", "cookie", "cookie2", "date",
		"dnt", "expect", "host", "keep-alive", "origin", "referer", "set-cookie", "te", "trailer",
		"transfer-encoding", "upgrade", "via":
		return true
	case "x-http-method", "x-http-method-override", "x-method-override":
		return slices.ContainsFunc(split(h.Value), forbiddenMethod)
	}
	return strings.HasPrefix(name, "proxy-") || strings.HasPrefix(name, "sec-")
}

// split takes a value apart at the commas outside of quoted strings (section
// 2.2.2, "get, decode, and split").
func split(value string) (values []string) {
	start, quoted := 0, false
	for i := 0; i < len(value); i++ {
		switch c := value[i]; {
		case c == '"':
			quoted = !quoted
		case c == '\\' && quoted:
			i++ // the byte after it is itself, also where it is a quote
		case c == ',' && !quoted:
			values = append(values, strings.Trim(value[start:i], " \t"))
			start = i + 1
		}
	}
	return append(values, strings.Trim(value[start:], " \t"))
}

// normalizeValue is section 2.2.2, "normalize" of a header value.
func normalizeValue(value string) string { return strings.Trim(value, " \t\r\n") }

// lower is byte-lowercase. strings.ToLower would also make a letter of the Kelvin
// sign, and strings.EqualFold of the long s.
func lower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

// equalFold is a byte-case-insensitive match.
func equalFold(a, b string) bool { return lower(a) == lower(b) }

func allDigits(s string) bool {
	return strings.Trim(s, "0123456789") == ""
}

func isAlnum(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

func isToken(s string) bool {
	for _, c := range []byte(s) {
		if !isAlnum(c) && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return s != ""
}
