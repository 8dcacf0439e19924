package filter

import (
	"corsfilter/config"
	"corsfilter/internal/header"
)

// Request is what a decision can depend on. Absent headers are "".
type Request struct {
	Method, Scheme, Authority, Path string // pseudo headers
	ForwardedProto                  string // X-Forwarded-Proto
	FetchSite                       string // Sec-Fetch-Site
	Origin                          string
	RequestMethod                   string // Access-Control-Request-Method
	RequestHeaders                  string // Access-Control-Request-Headers
	RequestPrivateNetwork           string // Access-Control-Request-Private-Network

	origins int
}

// VisitHeader implements HeaderVisitor. Of several entries the first counts, as
// when a header is read by name, except that two Origins are none: no browser
// sends them, and a component that reads the other one would decide otherwise.
func (r *Request) VisitHeader(name, value string) {
	var field *string
	switch name {
	case header.Origin:
		if r.origins++; r.origins > 1 {
			r.Origin = ","
			return
		}
		field = &r.Origin
	case header.RequestMethod:
		field = &r.RequestMethod
	case header.RequestHeaders:
		field = &r.RequestHeaders
	case header.RequestPrivateNetwork:
		field = &r.RequestPrivateNetwork
	case ":method":
		field = &r.Method
	case ":scheme":
		field = &r.Scheme
	case ":authority":
		field = &r.Authority
	case ":path":
		field = &r.Path
	case "x-forwarded-proto":
		field = &r.ForwardedProto
	case "sec-fetch-site":
		field = &r.FetchSite
	default:
		return
	}
	if *field == "" {
		*field = value
	}
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

// selectPolicy returns the policy that is to decide, or nil. Where rules look at
// the host and the path, it reads all of the request.
func (c *pluginContext) selectPolicy() *config.Policy {
	c.request = Request{}
	if !c.config.HasRules() {
		return c.config.Default
	}
	c.host.RequestHeaders(&c.request)
	policy, _ := c.config.Select(c.request.Authority, c.request.Path)
	return policy
}

// readRequest reads as much of the request as the policy needs to decide.
//
// Few requests have an Origin, and of those few are preflights: two missing
// headers cost the proxy less than a copy of all, with their cookies. All are
// read, in one call, where there is a method to come, and where the policy
// rejects, since whether a request comes from its own origin takes several.
func (c *pluginContext) readRequest(p *config.Policy) {
	if p == nil || p.Mode == config.Off || c.config.HasRules() {
		return
	}
	r := &c.request
	if r.Origin = c.host.RequestHeader(header.Origin); r.Origin == "" {
		return
	}
	if p.Reject || c.host.RequestHeader(header.RequestMethod) != "" {
		*r = Request{}
		c.host.RequestHeaders(r)
	}
}
