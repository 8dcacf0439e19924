package filter

import "corsfilter/internal/header"

// incoming are the request headers that a decision can depend on, as far as they
// were read. A plugin has one: callbacks do not overlap.
type incoming struct {
	whole bool // all of them were read

	origin, requestMethod, requestHeaders, requestPrivateNetwork string
	method, scheme, authority, path                              string
	forwardedProto, fetchSite                                    string
	origins                                                      int
}

// begin reads what most requests are told apart by. Few have an Origin, and of
// those few are preflights: two missing headers cost the proxy less than a copy
// of all, with their cookies.
func (in *incoming) begin(host Host) {
	if in.whole {
		return
	}
	if in.origin = host.RequestHeader(header.Origin); in.origin == "" {
		return
	}
	if host.RequestHeader(header.RequestMethod) != "" {
		in.all(host)
	}
}

// all reads every header in one call. It is for the questions that need several.
func (in *incoming) all(host Host) {
	if !in.whole {
		*in = incoming{whole: true}
		host.RequestHeaders(in)
	}
}

// VisitHeader implements HeaderVisitor. Of several entries the first counts, as
// when a header is read by name, except that two Origins are none: no browser
// sends them, and a component that reads the other one would decide otherwise.
func (in *incoming) VisitHeader(name, value string) {
	var field *string
	switch name {
	case header.Origin:
		if in.origins++; in.origins > 1 {
			in.origin = ","
			return
		}
		field = &in.origin
	case header.RequestMethod:
		field = &in.requestMethod
	case header.RequestHeaders:
		field = &in.requestHeaders
	case header.RequestPrivateNetwork:
		field = &in.requestPrivateNetwork
	case ":method":
		field = &in.method
	case ":scheme":
		field = &in.scheme
	case ":authority":
		field = &in.authority
	case ":path":
		field = &in.path
	case "x-forwarded-proto":
		field = &in.forwardedProto
	case "sec-fetch-site":
		field = &in.fetchSite
	default:
		return
	}
	if *field == "" {
		*field = value
	}
}

// request is what Decide gets.
func (in *incoming) request() Request {
	return Request{
		Method:         in.method,
		Origin:         in.origin,
		RequestMethod:  in.requestMethod,
		RequestHeaders: in.requestHeaders,
		PrivateNetwork: in.requestPrivateNetwork == "true",
	}
}
