package config

import (
	"corsfilter/internal/automaton"
	"corsfilter/internal/header"
	"corsfilter/internal/origin"
)

// Policy is one compiled policy. It must not be changed.
type Policy struct {
	// The fields that nearly every decision needs come first. PreflightStatus is never 0.
	Settings
	// EchoMethod and EchoHeaders say that the request's own method and header names are
	// sent back: for a request with credentials "*" is a name (Fetch, section 3.3.3), and
	// a preflight does not say whether the request will have any.
	EchoMethod  bool
	EchoHeaders bool
	// ExposeHeaders, AllowMethods, AllowHeaders and MaxAge are the values of the
	// response fields; the empty string means that the field is not sent.
	ExposeHeaders string
	// Origins are those that may read responses.
	Origins Origins
	// Timing are those that may read resource timing; Timing.Empty means that
	// the filter leaves Timing-Allow-Origin alone.
	Timing       Origins
	AllowMethods string
	AllowHeaders string
	MaxAge       string

	methods   map[string]struct{}
	anyMethod bool
	headers   header.Set
	anyHeader bool
}

// Wildcard reports whether Access-Control-Allow-Origin is "*" on every
// response: any origin, without credentials.
func (p *Policy) Wildcard() bool { return p.Origins.Any && !p.Credentials }

// AllowsMethod reports whether a browser will let the method through.
func (p *Policy) AllowsMethod(method string) bool {
	if header.SafelistedMethod(method) {
		return true
	}
	if p.anyMethod {
		return len(method) <= header.MaxNameLen && header.IsToken(method) && !header.ForbiddenMethod(method)
	}
	_, ok := p.methods[method]
	return ok
}

// AllowsHeader reports whether a browser will let a script set the field. With
// "*" and without credentials that is every field but Authorization, which must
// be listed (Fetch, section 2.2.2, "CORS non-wildcard request-header name").
func (p *Policy) AllowsHeader(name string) bool {
	if p.headers.Has(name) {
		return true
	}
	return p.anyHeader && header.IsToken(name) && (p.Credentials || !header.Contains(name, header.Authorization))
}

// Match says whether Origins match a request's Origin.
type Match uint8

// NoMatch is a well-formed origin that is not allowed; MalformedOrigin is not an origin, and
// only "*" matches it.
const (
	NoMatch Match = iota
	MalformedOrigin
	Matches
)

// Origins is a compiled list of origins.
type Origins struct {
	// Any is set by "*".
	Any bool
	// Null is set by "null".
	Null     bool
	patterns origin.Set
	automata []*automaton.Automaton // of all matchers, one if that fits the bounds
	matchers int                    // how many there are
}

// Empty reports whether there is no origin in the list.
func (o *Origins) Empty() bool {
	return !o.Any && !o.Null && o.patterns.Len() == 0 && o.matchers == 0
}

// Match decides about the value of a request's Origin field. It does not
// allocate, and its cost does not grow with the number of patterns.
func (o *Origins) Match(value string) Match {
	var buf origin.Buffer
	return o.MatchIn(value, &buf)
}

// MatchIn is Match with scratch memory, which need not be cleared.
func (o *Origins) MatchIn(value string, buf *origin.Buffer) Match {
	if host := origin.PlainHost(value); host > 0 {
		return o.has(value[:host-len("://")], value[host:], 0, value)
	}
	return o.matchAny(value, buf)
}

// matchAny is MatchIn for values that are not a plain origin.
func (o *Origins) matchAny(value string, buf *origin.Buffer) Match {
	if value == "null" {
		if o.Any || o.Null {
			return Matches
		}
		return NoMatch
	}
	parsed, ok := origin.ParseAny(value, buf)
	if !ok || !parsed.Serialized() {
		return MalformedOrigin
	}
	return o.has(parsed.Scheme, parsed.Host, parsed.Port, origin.Lower(value, buf))
}

// has reports whether the list has an origin, of which value is the text in lower case.
func (o *Origins) has(scheme, host string, port uint16, value string) Match {
	if o.Any || o.patterns.Has(scheme, host, port) {
		return Matches
	}
	if len(o.automata) > 0 && o.recognizes(value) {
		return Matches
	}
	return NoMatch
}

func (o *Origins) recognizes(value string) bool {
	for _, a := range o.automata {
		if a.Match(value) {
			return true
		}
	}
	return false
}
