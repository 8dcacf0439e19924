package filter

import (
	"corsfilter/config"
	"corsfilter/internal/header"
)

// Request is what a CORS decision depends on. Absent headers are "".
type Request struct {
	Method         string
	Origin         string
	RequestMethod  string // Access-Control-Request-Method
	RequestHeaders string // Access-Control-Request-Headers
	// PrivateNetwork is Access-Control-Request-Private-Network: true.
	PrivateNetwork bool
	// SameOrigin says that the request is known to come from a page of its own
	// origin. It matters only where Decide would reject.
	SameOrigin bool
}

// Kind is what a request is to the CORS protocol.
type Kind uint8

// A request without an Origin is none of CORS' business; an OPTIONS request
// that names the method it asks for is a preflight; every other one with an
// Origin is cross-origin, as far as its headers tell (Fetch, section 3.3.2).
const (
	NotCORS Kind = iota
	Preflight
	CrossOrigin
)

// Action is what becomes of a request.
type Action uint8

// Forward lets upstream answer, Answer is the reply to a preflight of an
// allowed origin, Deny the 403 to one of another origin, Reject the 403 to any
// other request.
const (
	Forward Action = iota
	Answer
	Deny
	Reject
)

// Reason is why a browser will not let a page have its way.
type Reason uint8

// Allowed means that nothing stands against it.
const (
	Allowed Reason = iota
	OriginNotAllowed
	OriginMalformed
	MethodNotAllowed
	HeaderNotAllowed
)

// Decision is what a policy says of a request. Header values that are "" are
// not sent.
type Decision struct {
	Kind   Kind
	Action Action
	Reason Reason
	// Culprit is the method or header name at fault, as the request wrote it;
	// "" unless Reason names one and it is a token.
	Culprit string

	AllowOrigin       string
	TimingAllowOrigin string

	// For the answer to a preflight alone.
	AllowMethods   string
	AllowHeaders   string
	EchoHeaders    bool // send the request's own list, normalized, instead
	PrivateNetwork bool
}

// Decide applies a policy to a request: the server's side of the CORS protocol
// (Fetch, section 3.3). It is pure and does not allocate; the strings of the
// decision are those of the request or of the policy.
func Decide(p *config.Policy, r *Request) (d Decision) {
	d.Kind = kind(r)
	match := config.NoMatch
	if r.Origin != "" {
		match = p.Origins.Match(r.Origin)
	}
	d.AllowOrigin = allowOrigin(p, r.Origin, match)
	d.TimingAllowOrigin = timingAllowOrigin(p, r.Origin)
	if d.Kind == NotCORS {
		return d
	}
	switch {
	case d.AllowOrigin != "":
	case match == config.MalformedOrigin:
		d.Reason = OriginMalformed
	default:
		d.Reason = OriginNotAllowed
	}
	if d.Kind == Preflight {
		decidePreflight(p, r, &d)
	} else if d.Reason != Allowed && p.Reject && !r.SameOrigin {
		d.Action = Reject
	}
	return d
}

// kind tells requests apart (Fetch, section 3.3.2).
func kind(r *Request) Kind {
	switch {
	case r.Origin == "":
		return NotCORS
	case r.RequestMethod != "" && r.Method == "OPTIONS":
		return Preflight
	}
	return CrossOrigin
}

// allowOrigin returns the value of Access-Control-Allow-Origin (Fetch, section
// 3.3.3). "*" goes to requests without an Origin and to malformed ones as well,
// so that a cache can serve the response to all.
func allowOrigin(p *config.Policy, origin string, match config.Match) string {
	switch {
	case p.Wildcard():
		return "*"
	case match == config.Matches:
		return origin
	}
	return ""
}

// timingAllowOrigin returns the value of Timing-Allow-Origin (Resource Timing,
// section 3.5.1).
func timingAllowOrigin(p *config.Policy, origin string) string {
	switch {
	case p.Timing.Any:
		return "*"
	case origin != "" && !p.Timing.Empty() && p.Timing.Match(origin) == config.Matches:
		return origin
	}
	return ""
}

// decidePreflight goes on in the order in which the browser will check the
// answer (Fetch, section 4.8, "CORS-preflight fetch", steps 7 on): origin,
// method, header names. The whole lists go out in any case, so that the
// browser's console names what is missing and its cache holds the rest.
func decidePreflight(p *config.Policy, r *Request, d *Decision) {
	d.TimingAllowOrigin = "" // no script sees a preflight's response
	if d.Reason != Allowed {
		if !p.ForwardUnmatched {
			d.Action = Deny
		}
		return
	}
	d.Action = Answer
	d.AllowMethods = p.AllowMethods
	d.AllowHeaders = p.AllowHeaders
	d.EchoHeaders = p.EchoHeaders
	d.PrivateNetwork = p.PrivateNetwork && r.PrivateNetwork

	allowed := p.AllowsMethod(r.RequestMethod)
	if p.EchoMethod {
		d.AllowMethods = ""
		if allowed && header.IsToken(r.RequestMethod) {
			d.AllowMethods = r.RequestMethod
		}
	}
	if !allowed {
		d.Reason = MethodNotAllowed
		d.Culprit = token(r.RequestMethod)
		return
	}
	if len(r.RequestHeaders) > header.MaxListLen {
		d.Reason = HeaderNotAllowed
		return
	}
	for name, rest, ok := header.Next(r.RequestHeaders); ok; name, rest, ok = header.Next(rest) {
		if !p.AllowsHeader(name) {
			d.Reason = HeaderNotAllowed
			d.Culprit = token(name)
			return
		}
	}
}

// maxCulpritLen bounds what a decision quotes of a request, in bytes.
const maxCulpritLen = 64

// token returns s where it can be shown in a header or a log, else "".
func token(s string) string {
	if len(s) > maxCulpritLen || !header.IsToken(s) {
		return ""
	}
	return s
}
