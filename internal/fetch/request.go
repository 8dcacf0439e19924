// Package fetch is the browser's side of CORS, as the Fetch standard has it and
// in its order: what a preflight carries, and what of the answers lets a page
// have its way. It explains decisions to people and is the oracle that the
// filter is tested against, so it is written apart from the filter: it imports
// the standard library alone, and prefers the standard's wording to speed.
package fetch

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

// Request is a script's fetch() with mode "cors", to another origin.
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
}

// Validate returns an error where a browser would throw or leave the header out
// before anything is sent: a method or header that scripts can not use.
func (r Request) Validate() error {
	if !isToken(r.Method) {
		return fmt.Errorf("%q is not a method", r.Method)
	}
	for _, forbidden := range []string{"CONNECT", "TRACE", "TRACK"} { // section 2.2.1, forbidden method
		if strings.EqualFold(r.Method, forbidden) {
			return fmt.Errorf("scripts can not send %s", forbidden)
		}
	}
	for _, h := range r.Headers {
		if !isToken(h.Name) {
			return fmt.Errorf("%q is not a header name", h.Name)
		}
		if forbiddenHeader(h.Name) {
			return fmt.Errorf("scripts can not set the header %s", strings.ToLower(h.Name))
		}
	}
	return nil
}

// NormalizedMethod is the method as sent (section 2.2.1, "normalize a method").
func (r Request) NormalizedMethod() string {
	for _, m := range []string{"DELETE", "GET", "HEAD", "OPTIONS", "POST", "PUT"} {
		if asciiEqualFold(r.Method, m) {
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
		name := strings.ToLower(h.Name)
		if !safelistedRequestHeader(name, h.Value) {
			unsafe = append(unsafe, name)
		} else {
			potentially = append(potentially, name)
			size += len(h.Value)
		}
	}
	if size > 1024 { // safelisted values that together are too long are unsafe
		unsafe = append(unsafe, potentially...)
	}
	sort.Strings(unsafe)
	return slices.Compact(unsafe)
}

// NeedsPreflight reports whether the browser asks first, and why (section 4.3,
// "HTTP fetch", the step on CORS-preflight).
func (r Request) NeedsPreflight() (needed bool, why []string) {
	if m := r.NormalizedMethod(); !safelistedMethod(m) {
		why = append(why, "the method "+m+" is not GET, HEAD or POST")
	}
	for _, name := range r.UnsafeHeaderNames() {
		why = append(why, "the header "+name+" is not safelisted")
	}
	if r.PrivateNetwork {
		why = append(why, "the target is in a more private network")
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

// ActualHeaders are the headers of the request itself.
func (r Request) ActualHeaders() []Header {
	return append([]Header{{"origin", r.Origin}}, r.Headers...)
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
		switch strings.ToLower(strings.Trim(essence, " \t\r\n")) {
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
// "parse a single range header value", and not from the end).
func simpleRange(value string) bool {
	spec, ok := strings.CutPrefix(value, "bytes=")
	first, last, dash := strings.Cut(spec, "-")
	if !ok || !dash || !allDigits(first) || first == "" || !allDigits(last) {
		return false
	}
	first, last = strings.TrimLeft(first, "0"), strings.TrimLeft(last, "0")
	_, end, _ := strings.Cut(spec, "-")
	return end == "" || len(first) < len(last) || len(first) == len(last) && first <= last
}

// forbiddenHeader is a forbidden request-header, by name (section 2.2.2).
func forbiddenHeader(name string) bool {
	name = strings.ToLower(name)
	switch name {
	case "accept-charset", "accept-encoding", "access-control-request-headers", "access-control-request-method",
		"access-control-request-private-network", "connection", "content-length", "cookie", "cookie2", "date",
		"dnt", "expect", "host", "keep-alive", "origin", "referer", "set-cookie", "te", "trailer",
		"transfer-encoding", "upgrade", "via":
		return true
	}
	return strings.HasPrefix(name, "proxy-") || strings.HasPrefix(name, "sec-")
}

func asciiEqualFold(a, b string) bool {
	return len(a) == len(b) && strings.ToUpper(a) == b
}

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
