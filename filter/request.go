package filter

import (
	"corsfilter/config"
	"corsfilter/internal/header"
)

// Request is what a decision can depend on. Absent headers are "".
type Request struct {
	Origin                          string
	RequestMethod                   string // Access-Control-Request-Method
	RequestHeaders                  string // Access-Control-Request-Headers
	RequestPrivateNetwork           string // Access-Control-Request-Private-Network
	Method, Scheme, Authority, Path string // pseudo headers
	ForwardedProto                  string // X-Forwarded-Proto
	FetchSite                       string // Sec-Fetch-Site

	origins int
}

var (
	// preflightFields are those that make a preflight and decide it; allFields are all
	// that a Request has.
	preflightFields = header.NamesOf(header.Origin, header.RequestMethod, header.RequestHeaders, header.RequestPrivateNetwork, ":method")
	allFields       = header.NamesOf(header.Origin, header.RequestMethod, header.RequestHeaders, header.RequestPrivateNetwork,
		":method", ":scheme", ":authority", ":path", "x-forwarded-proto", "sec-fetch-site")
)

// read reads the fields that a header map has.
func (r *Request) read(pairs []byte, names *header.Names) {
	header.VisitPairs(pairs, names, r)
}

// VisitHeader reads an entry of the request, if it is one of the fields. Of several
// entries the first counts, as when a header is read by name. But two Origins count as
// none: no browser sends them, and a component that reads the other one would decide
// differently.
func (r *Request) VisitHeader(name, value string) {
	field := r.field(name)
	if field == nil {
		return
	}
	if field == &r.Origin {
		if r.origins++; r.origins > 1 {
			r.Origin = ","
			return
		}
	}
	if *field == "" {
		*field = value
	}
}

// field returns the place of a field's value, or nil. At most two names have the same
// length.
func (r *Request) field(name string) *string {
	switch len(name) {
	case len(header.Origin):
		if header.Is(name, header.Origin) {
			return &r.Origin
		}
	case len(header.RequestMethod):
		if header.Is(name, header.RequestMethod) {
			return &r.RequestMethod
		}
	case len(header.RequestHeaders):
		if header.Is(name, header.RequestHeaders) {
			return &r.RequestHeaders
		}
	case len(header.RequestPrivateNetwork):
		if name == header.RequestPrivateNetwork {
			return &r.RequestPrivateNetwork
		}
	case len(":method"):
		if header.Is(name, ":method") {
			return &r.Method
		}
		if header.Is(name, ":scheme") {
			return &r.Scheme
		}
	case len(":authority"):
		if header.Is(name, ":authority") {
			return &r.Authority
		}
	case len(":path"):
		if header.Is(name, ":path") {
			return &r.Path
		}
	case len("x-forwarded-proto"):
		if header.Is(name, "x-forwarded-proto") {
			return &r.ForwardedProto
		}
	case len("sec-fetch-site"):
		if header.Is(name, "sec-fetch-site") {
			return &r.FetchSite
		}
	}
	return nil
}

// scheme is the one that the client used. A WebSocket's is that of the request
// that opens it.
func (r *Request) scheme() string {
	scheme := r.ForwardedProto
	if scheme == "" {
		scheme = r.Scheme
	}
	switch scheme {
	case "ws":
		return "http"
	case "wss":
		return "https"
	}
	return scheme
}

// selectPolicy returns the policy that decides, or nil. If rules depend on host and path,
// it reads the whole request.
func (c *Plugin) selectPolicy() *config.Policy {
	if c.ruled {
		return c.selectByRules()
	}
	return c.config.Default
}

func (c *Plugin) selectByRules() *config.Policy {
	c.readAll(&allFields)
	policy, _ := c.config.SelectIn(c.request.Authority, c.request.Path, &c.letters)
	return policy
}

// readOrigin reads the Origin, unless that was already done for the rules, and reports
// whether there is one.
func (c *Plugin) readOrigin() bool {
	if !c.ruled {
		c.request = Request{Origin: c.host.RequestHeader(header.Origin)}
	}
	return c.request.Origin != ""
}

// readRequest reads as much of a request with an Origin as the policy needs to
// decide.
//
// Few requests have an Origin, and few of those are preflights. Asking for two missing
// headers costs the proxy less than copying all headers with their cookies. One call gets
// all of them if the request is a preflight, or if the policy rejects requests, because
// recognising a same-origin request takes several headers.
func (c *Plugin) readRequest(p *config.Policy) {
	switch {
	case c.ruled:
	case bool(p.Reject):
		c.readAll(&allFields)
	case c.host.RequestHeader(header.RequestMethod) != "":
		c.readAll(&preflightFields)
	}
}

// readAll reads the fields, in one call.
func (c *Plugin) readAll(fields *header.Names) {
	c.request = Request{}
	if pairs, ok := c.host.RequestHeaders(); ok {
		c.request.read(pairs, fields)
	}
}
