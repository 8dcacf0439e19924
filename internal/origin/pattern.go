package origin

import (
	"slices"
	"strconv"
	"strings"
)

// Pattern is a parsed origin pattern of a configuration: one scheme; one host, every host
// below one, or any host; and one port, several or any.
type Pattern struct {
	Scheme string
	// Host is in lower case; if Subdomains is set, it is the part after "*.". "*", which
	// is no origin's host, means any host.
	Host       string
	Subdomains bool
	// AnyPort is set by ":*". Otherwise Ports are the accepted ports in ascending order; 0
	// is the scheme's default port, which origins leave out.
	AnyPort bool
	Ports   []uint16
	// Lowered says that the pattern was written with upper-case letters where browsers
	// send lower-case ones. In hosts of schemes other than http and https they may send
	// either.
	Lowered bool
}

// anyHost is the host of a pattern for every host of its scheme.
const anyHost = "*"

// PatternError says why a string is not an origin pattern and what to write instead. Remedy
// completes the sentence "…; REMEDY".
type PatternError struct {
	Value  string
	Reason string
	Remedy string

	instead string // what Remedy says to write, where that is one whole pattern
}

func (e *PatternError) Error() string {
	return strconv.Quote(e.Value) + ": " + e.Reason + "; " + e.Remedy
}

// PatternParser parses many patterns, whose port lists share memory.
type PatternParser struct{ ports []uint16 }

// Reset reuses that memory for new patterns; earlier ones must no longer be used.
func (a *PatternParser) Reset() { a.ports = a.ports[:0] }

// Parse reads a pattern such as https://example.com, https://*.example.com,
// https://*, https://example.com:* or https://example.com:[8080,8443]. "*" and
// "null" are not patterns: what they mean depends on the policy around them. The error is a
// *PatternError.
func (a *PatternParser) Parse(s string) (Pattern, error) {
	p, e := a.parse(s)
	if e != nil {
		e.Value = s
		e.settle()
		return Pattern{}, e
	}
	return p, nil
}

// settle follows the remedy for a string with several mistakes until the suggested text has
// none.
func (e *PatternError) settle() {
	var parser PatternParser
	for next := e; next.instead != "" && next.instead != "*" && next.instead != "null"; {
		if _, next = parser.parse(next.instead); next == nil {
			return
		}
		e.Remedy = next.Remedy
	}
}

func fail(reason, remedy string) (Pattern, *PatternError) {
	return Pattern{}, &PatternError{Reason: reason, Remedy: remedy}
}

func writeInstead(reason, pattern string) *PatternError {
	return &PatternError{Reason: reason, Remedy: "write " + strconv.Quote(pattern), instead: pattern}
}

func (a *PatternParser) parse(s string) (Pattern, *PatternError) {
	written := s
	if e := checkCharacters(s); e != nil {
		return Pattern{}, e
	}
	var p Pattern
	s = strings.ToLower(s)

	scheme, rest, found := strings.Cut(s, "://")
	if !found && s == "null" {
		return Pattern{}, writeInstead("the opaque origin is written in lower case", s)
	}
	if strings.HasPrefix(s, "^") || strings.HasPrefix(s, "~") {
		return fail("a string is an origin, not a regex", "write it as a matcher, {\"regex\": \"…\"}")
	}
	if !found {
		scheme, rest := "https", s
		if i := strings.IndexAny(s, ":/"); i > 0 && DefaultPort(s[:i]) != 0 {
			scheme, rest = s[:i], s[i+1:]
		}
		return Pattern{}, writeInstead("an origin starts with a scheme", scheme+"://"+strings.TrimLeft(rest, "/"))
	}
	if strings.Contains(scheme, "*") {
		return fail("the scheme cannot be a wildcard", "list one origin for each scheme, such as "+strconv.Quote("https://"+rest))
	}
	if !validScheme(scheme) {
		const reason = "the scheme is not letters, digits, \"+\", \"-\" and \".\" after a letter"
		// A quote or "blob:" may precede a correct origin.
		if i := strings.LastIndexAny(scheme, ":\"'"); i >= 0 && validScheme(scheme[i+1:]) {
			return Pattern{}, writeInstead(reason, scheme[i+1:]+"://"+strings.TrimRight(rest, "\"'"))
		}
		return fail(reason, "write one such as \"https\"")
	}
	if p.Scheme = scheme; !p.fits("a") {
		return tooLong()
	}
	p.Lowered = s != written && (p.Web() || scheme != written[:len(scheme)])
	if e := checkShape(scheme, rest); e != nil {
		return Pattern{}, e
	}

	if _, ok := parseIPv6(rest); ok {
		return Pattern{}, writeInstead("an IPv6 address stands in brackets", scheme+"://["+rest+"]")
	}
	host, port, hasPort := SplitPort(rest)
	if strings.HasPrefix(port, "[") {
		return Pattern{}, writeInstead("the brackets of the port list are not closed", s+"]")
	}
	if i := strings.Index(rest, ":["); i >= 0 && strings.HasSuffix(rest, "]") {
		host, port, hasPort = rest[:i], rest[i+1:], true
	}
	if e := p.setHost(host); e != nil {
		if e.instead != "" && hasPort {
			e = writeInstead(e.Reason, e.instead+":"+port)
		}
		return Pattern{}, e
	}
	if host == "" && hasPort {
		return Pattern{}, writeInstead("an origin without a host has no port", p.withoutPort())
	}
	if e := a.setPorts(&p, port, hasPort); e != nil {
		return Pattern{}, e
	}
	if !p.fits(p.Host) {
		return tooLong()
	}
	return p, nil
}

func tooLong() (Pattern, *PatternError) {
	return fail("longer than "+strconv.Itoa(MaxLen)+" bytes, so no origin can match it", "leave it out")
}

// checkCharacters refuses characters that no pattern may have.
func checkCharacters(s string) *PatternError {
	switch {
	case s == "":
		return &PatternError{Reason: "empty", Remedy: "write an origin such as \"https://example.com\", or leave the entry out"}
	case strings.ContainsAny(s, ",;"):
		if list := s[strings.IndexAny(s, ",;")+1:]; strings.Contains(list, "://") {
			return &PatternError{Reason: "several origins in one string", Remedy: "write each as a separate entry"}
		}
	}
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c <= ' ' || c == 0x7f:
			reason := "an origin has no spaces or control characters"
			head, list := s, ""
			if i := strings.Index(s, ":["); i >= 0 {
				head, list = s[:i], withoutSpaces(s[i:])
			}
			head = strings.TrimFunc(head, isSpace)
			// Removing spaces from the middle could join two origins.
			if head == "" || strings.ContainsFunc(head, isSpace) {
				return &PatternError{Reason: reason, Remedy: "write each origin as an entry of its own"}
			}
			return writeInstead(reason, head+list)
		case c > 0x7f:
			if scheme, _, found := strings.Cut(s, "://"); found && DefaultPort(strings.ToLower(scheme)) == 0 {
				return &PatternError{Reason: "browsers send hosts in ASCII", Remedy: "write the host as it is sent, percent-encoded (\"%C3%BC\") or in its punycode form (\"xn--…\")"}
			}
			return &PatternError{Reason: "browsers send hosts in ASCII", Remedy: "write the host in its punycode form (\"xn--…\")"}
		}
	}
	return nil
}

func isSpace(r rune) bool { return r <= ' ' || r == 0x7f }

func withoutSpaces(s string) string {
	return strings.Map(func(r rune) rune {
		if isSpace(r) {
			return -1
		}
		return r
	}, s)
}

// checkShape refuses the parts of a URL that an origin does not have.
func checkShape(scheme, rest string) *PatternError {
	origin := scheme + "://"
	if i := strings.IndexAny(rest, "/?#\\"); i >= 0 {
		switch {
		case i == len(rest)-1 && rest[i] == '/':
			return writeInstead("an origin has no trailing slash", origin+rest[:i])
		case rest[i] == '?':
			return writeInstead("an origin has no query", origin+rest[:i])
		case rest[i] == '#':
			return writeInstead("an origin has no fragment", origin+rest[:i])
		}
		return writeInstead("an origin has no path", origin+rest[:i])
	}
	if i := strings.LastIndexByte(rest, '@'); i >= 0 {
		return writeInstead("an origin has no user info", origin+rest[i+1:])
	}
	return nil
}

func (p *Pattern) setHost(host string) *PatternError {
	if p.Scheme == fileScheme && host != "" {
		return writeInstead("all files share one origin, which has no host", "file://")
	}
	if host == anyHost {
		p.Host = host
		return nil
	}
	base, below := strings.CutPrefix(host, "*.")
	if below {
		p.Subdomains, host = true, base
	}
	switch {
	case below && (host == "" || host[0] == '.'):
		return &PatternError{Reason: "\"*.\" must be followed by a name", Remedy: p.examples()}
	case host == "" && (p.Web() || p.Extension()):
		return &PatternError{Reason: "an origin of this scheme has a host", Remedy: p.examples()}
	case strings.Contains(host, "*"):
		return &PatternError{Reason: "\"*\" may stand for the whole host, or for whole labels at its front", Remedy: p.examples()}
	case strings.HasPrefix(host, "["):
		return p.setIPv6(host)
	case strings.Contains(host, ":"):
		return &PatternError{Reason: "one colon and one port follow the host, and an IPv6 address stands in brackets", Remedy: p.examples()}
	case below && p.Web() && endsInNumber(host):
		return writeInstead("an IP address has no subdomains", p.Scheme+"://"+host)
	case validHost(p.Scheme, host):
		p.Host = host
		return nil
	case !p.Web():
		return &PatternError{Reason: "the host is not made of letters, digits and \"" + opaqueMarks + "\"", Remedy: p.examples()}
	case endsInNumber(host):
		return &PatternError{Reason: "browsers write an IPv4 address as four decimal numbers", Remedy: "write it so, such as " + strconv.Quote(p.Scheme+"://192.0.2.1")}
	}
	return &PatternError{Reason: "the host is not made of labels of letters, digits, \"-\" and \"_\"", Remedy: p.examples()}
}

// AnyHost reports whether the pattern matches every host of its scheme.
func (p *Pattern) AnyHost() bool { return p.Host == anyHost }

// Web reports whether the scheme is http or https.
func (p *Pattern) Web() bool { return DefaultPort(p.Scheme) != 0 }

// Extension reports whether the scheme is that of a browser's extensions, whose
// hosts are ids.
func (p *Pattern) Extension() bool { return strings.HasSuffix(p.Scheme, "-extension") }

// Example is an origin of the pattern's scheme, for a remedy.
func (p *Pattern) Example() string {
	host := "localhost"
	switch {
	case p.Scheme == "chrome-extension":
		host = "abcdefghijklmnopabcdefghijklmnop" // 32 letters from a to p
	case p.Extension():
		host = "d3a2d8ba-7c2b-4b1c-9a30-0123456789ab"
	case p.Web():
		host = "example.com"
	}
	return p.Scheme + "://" + host
}

// examples is a remedy. It is only composed for a mistake: the module runs without a
// collector, so what a correct configuration allocates stays until the VM ends.
func (p *Pattern) examples() string {
	example := p.Example()
	switch {
	case len(example) > MaxLen-len("*."):
		return "write " + strconv.Quote(p.Scheme+"://a")
	case p.Web():
		return "write " + strconv.Quote(example) + " or " + strconv.Quote(p.Scheme+"://*.example.com")
	case p.Extension():
		return "write " + strconv.Quote(example) + ", or " + strconv.Quote(p.Scheme+"://*") + " for every extension"
	}
	return "write " + strconv.Quote(example) + ", or " + strconv.Quote(p.Scheme+"://*") + " for every host"
}

// fits reports whether a pattern of the scheme and the host is short enough.
func (p *Pattern) fits(host string) bool { return len(p.Scheme)+len("://")+len(host) <= MaxLen }

func (p *Pattern) setIPv6(host string) *PatternError {
	address, closed := strings.CutSuffix(host[1:], "]")
	pieces, ok := parseIPv6(address)
	if !closed || !ok {
		const reason, example = "not an IPv6 address in brackets", "[2001:db8::1]"
		if !p.fits(example) {
			return &PatternError{Reason: reason, Remedy: p.examples()}
		}
		return &PatternError{Reason: reason, Remedy: "write one such as " + strconv.Quote(p.Scheme+"://"+example)}
	}
	var buf [40]byte
	canonical := appendIPv6(buf[:0], pieces)
	switch {
	case p.Subdomains:
		return writeInstead("an IP address has no subdomains", p.Scheme+"://["+string(canonical)+"]")
	case string(canonical) != address:
		return writeInstead("browsers write this IPv6 address in its shortest form", p.Scheme+"://["+string(canonical)+"]")
	}
	p.Host = host
	return nil
}

// defaultPort is shared by the many patterns that name no port.
var defaultPort = []uint16{0}

func (a *PatternParser) setPorts(p *Pattern, port string, hasPort bool) *PatternError {
	switch {
	case !hasPort:
		p.Ports = defaultPort
		return nil
	case port == "*" || port == "[*]":
		p.AnyPort = true
		return nil
	case strings.HasPrefix(port, "["):
		return a.setPortList(p, port[1:len(port)-1])
	}
	number, ok := parsePort(port)
	switch {
	case port == "":
		return writeInstead("a colon without a port", p.withoutPort())
	case !ok:
		return &PatternError{Reason: "a port is a number from 1 to 65535", Remedy: "write one, or " + strconv.Quote(p.withoutPort()+":*") + " for any port"}
	case number == DefaultPort(p.Scheme):
		return writeInstead("browsers leave out the default port of "+p.Scheme, p.withoutPort())
	}
	a.ports = append(a.ports, number)
	p.Ports = a.ports[len(a.ports)-1 : len(a.ports) : len(a.ports)]
	return nil
}

// setPortList also accepts the scheme's default port, because a list has no other way to
// name it.
func (a *PatternParser) setPortList(p *Pattern, list string) *PatternError {
	begin := len(a.ports)
	for more := true; more; {
		var port string
		port, list, more = strings.Cut(list, ",")
		number, ok := parsePort(port)
		if !ok {
			return &PatternError{Reason: "a port list holds numbers from 1 to 65535", Remedy: "write one such as \":[8080,8443]\""}
		}
		if number == DefaultPort(p.Scheme) {
			number = 0
		}
		a.ports = append(a.ports, number)
	}
	slices.Sort(a.ports[begin:])
	a.ports = a.ports[:begin+len(slices.Compact(a.ports[begin:]))]
	p.Ports = a.ports[begin:len(a.ports):len(a.ports)]
	return nil
}

func (p Pattern) withoutPort() string {
	if p.Subdomains {
		return p.Scheme + "://*." + p.Host
	}
	return p.Scheme + "://" + p.Host
}

// String returns the pattern as a configuration writes it.
func (p Pattern) String() string {
	s := p.withoutPort()
	switch {
	case p.AnyPort:
		return s + ":*"
	case len(p.Ports) == 1 && p.Ports[0] == 0:
		return s
	case len(p.Ports) == 1:
		return s + ":" + strconv.Itoa(int(p.Ports[0]))
	}
	ports := make([]string, len(p.Ports))
	for i, port := range p.Ports {
		ports[i] = strconv.Itoa(int(effectivePort(port, p.Scheme)))
	}
	return s + ":[" + strings.Join(ports, ",") + "]"
}

// Insecure reports whether the pattern matches an origin whose pages anyone on
// the network path can forge: plain http, other than the loopback (Secure
// Contexts, section 3.1).
func (p Pattern) Insecure() bool { return p.Scheme == "http" && !p.Loopback() }

// Loopback reports whether its hosts are the visitor's own machine.
func (p Pattern) Loopback() bool { return loopback(p.Host) }

// Covers reports whether every origin that q matches is matched by p as well.
func (p Pattern) Covers(q Pattern) bool {
	if p.Scheme != q.Scheme || !p.coversHost(q) {
		return false
	}
	if p.AnyPort || q.AnyPort {
		return p.AnyPort
	}
	for _, port := range q.Ports {
		if _, found := slices.BinarySearch(p.Ports, port); !found {
			return false
		}
	}
	return true
}

func (p Pattern) coversHost(q Pattern) bool {
	if p.Host == anyHost || p.Host == q.Host && p.Subdomains == q.Subdomains {
		return true
	}
	front, ok := strings.CutSuffix(q.Host, p.Host)
	// An opaque host may start with a dot, which no label precedes.
	return p.Subdomains && ok && strings.HasSuffix(front, ".") && front != "."
}

// ParseHostPattern reads a host without a port, or "*." and a host for all hosts
// below it, and returns the host in lower case.
func ParseHostPattern(s string) (host string, below bool, err *PatternError) {
	bad := func(reason, remedy string) (string, bool, *PatternError) {
		return "", false, &PatternError{Value: s, Reason: reason, Remedy: remedy}
	}
	example := "write one such as \"api.example.com\" or \"*.example.com\""
	if err := checkCharacters(s); err != nil {
		return bad("a host is ASCII without spaces", example)
	}
	host, below = strings.CutPrefix(strings.ToLower(s), "*.")
	prefix := ""
	if below {
		prefix = "*."
	}
	if _, rest, found := strings.Cut(host, "://"); found {
		rest, _, _ = strings.Cut(rest, "/")
		rest, _, _ = SplitPort(rest)
		return bad("a host has no scheme", "write "+strconv.Quote(prefix+rest))
	}
	if strings.Contains(host, "*") {
		return bad("\"*\" may stand for whole labels at the front of the host only", example)
	}
	if name, _, hasPort := SplitPort(host); hasPort && strings.Count(name, ":") == 0 {
		return bad("hosts are compared without the port", "write "+strconv.Quote(prefix+name))
	}
	if below && endsInNumber(host) || !validHost("https", host) {
		return bad("not a host", example)
	}
	return host, below, nil
}
