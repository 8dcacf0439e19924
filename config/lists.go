package config

import (
	"slices"
	"strings"

	"corsfilter/internal/header"
)

// compileMethods checks the methods and makes the value of the response field.
func (p *parser) compileMethods(s *SourcePolicy, policy *Policy) {
	list := p.words[:0]
	safelistedOnly, before := len(s.AllowMethods) > 0, p.mistakes.count
	for _, e := range s.AllowMethods {
		method := header.NormalizeMethod(e.Value)
		switch {
		case e.Value == "*":
			policy.anyMethod = true
		case !header.IsToken(e.Value):
			p.fail(e.place, quote(e.Value), BadMethod, "not a method", "write one such as \"PUT\""+splitHint(e.Value))
			continue
		case header.ForbiddenMethod(e.Value):
			p.fail(e.place, quote(e.Value), BadMethod, "browsers never send "+strings.ToUpper(e.Value)+" for a page", "leave it out")
			continue
		case strings.EqualFold(e.Value, "patch") && e.Value != "PATCH":
			p.fail(e.place, quote(e.Value), BadMethod, "methods are case-sensitive and browsers do not upper-case this one", "write \"PATCH\"")
			continue
		}
		if !header.SafelistedMethod(method) {
			safelistedOnly = false
		}
		if _, again := policy.methods[method]; again {
			p.warn(e.place, quote(e.Value), Duplicate, "stands twice", "keep one")
			continue
		}
		if policy.methods == nil {
			policy.methods = make(map[string]struct{})
		}
		policy.methods[method] = struct{}{}
		list = append(list, method)
	}
	if safelistedOnly && p.mistakes.count == before {
		p.warn(s.at("allow_methods"), "", NoEffect, "GET, HEAD and POST are always allowed", "leave the key out")
	}
	p.words = list
	policy.AllowMethods = strings.Join(list, ", ")
	if policy.anyMethod {
		p.warnCovered(s.AllowMethods, "*")
		policy.AllowMethods = "*"
		policy.EchoMethod = policy.Credentials
	}
}

// compileHeaders checks the request headers and makes the value of the response
// field.
func (p *parser) compileHeaders(s *SourcePolicy, policy *Policy) {
	list, all := p.headerNames(s.AllowHeaders, &policy.headers, func(e Name, name string) {
		switch {
		case header.ForbiddenRequestHeader(name):
			p.warn(e.place, quote(e.Value), NoEffect, "no script can set this header", "leave it out")
		case header.ResponseOnly(name):
			p.warn(e.place, quote(e.Value), OtherDirection, "is a response header, but this list is of request headers", "leave it out, or list it in expose_headers if scripts should read it")
		}
	})
	policy.AllowHeaders = strings.Join(list, ", ")
	if all == nil {
		return
	}
	// "*" means every name except authorization, for requests without credentials (Fetch,
	// section 3.3.3). If requests may have credentials, their own list is sent instead.
	policy.anyHeader = true
	policy.AllowHeaders = "*"
	if policy.Credentials {
		p.warnCovered(s.AllowHeaders, "*")
		policy.EchoHeaders = true
		return
	}
	p.warnCovered(s.AllowHeaders, "*", header.Authorization)
	if policy.headers.Has(header.Authorization) {
		policy.AllowHeaders = "*, " + header.Authorization
	}
}

// compileExpose checks the response headers that scripts may read.
func (p *parser) compileExpose(s *SourcePolicy, policy *Policy) {
	p.exposed.Reset()
	list, all := p.headerNames(s.ExposeHeaders, &p.exposed, func(e Name, name string) {
		switch {
		case header.ForbiddenResponseHeader(name):
			p.warn(e.place, quote(e.Value), NoEffect, "no script can read this header", "leave it out")
		case header.SafelistedResponseHeader(name):
			p.warn(e.place, quote(e.Value), NoEffect, "scripts may read this header anyway", "leave it out")
		case header.RequestOnly(name):
			p.warn(e.place, quote(e.Value), OtherDirection, "is a request header, but this list is of response headers that scripts may read", "leave it out, or list it in allow_headers if scripts should send it")
		}
	})
	policy.ExposeHeaders = strings.Join(list, ", ")
	switch {
	case all == nil:
	case policy.Credentials:
		// The request's credentials mode decides whether it is a wildcard (Fetch, section
		// 3.3.3), and a server does not know it.
		p.warn(all.place, `"*"`, ExposeAny, "if a request has credentials, scripts see only the headers listed beside \"*\"", "also list the headers that they need")
		policy.ExposeHeaders = strings.TrimSuffix("*, "+policy.ExposeHeaders, ", ")
	default:
		// The standard's "*" covers authorization in responses, unlike in requests.
		policy.ExposeHeaders = "*"
		p.warnCovered(s.ExposeHeaders, "*")
	}
}

// headerNames checks a list of header names and returns it in lower case, without
// duplicates and without "*"; all reports whether that was in it. The list is valid until
// the next one is checked.
func (p *parser) headerNames(names []Name, set *header.Set, each func(e Name, name string)) (list []string, all *Name) {
	list = p.words[:0]
	for i, e := range names {
		name := strings.ToLower(e.Value)
		switch {
		case e.Value == "*" && all == nil:
			all = &names[i]
		case e.Value == "*", set.Has(name):
			p.warn(e.place, quote(e.Value), Duplicate, "stands twice", "keep one")
		case !header.IsToken(e.Value):
			p.fail(e.place, quote(e.Value), BadHeader, "not a header name", "write one such as \"x-request-id\""+splitHint(e.Value))
		case len(e.Value) > header.MaxNameLen:
			p.fail(e.place, quote(e.Value), BadHeader, "longer than any real header name", "write its name alone")
		default:
			set.Add(name)
			list = append(list, name)
			if strings.Contains(name, "*") {
				p.warn(e.place, quote(e.Value), NoEffect, "\"*\" is a wildcard only when it stands alone", "list the names, or write \"*\" for any")
			}
			each(e, name)
		}
	}
	p.words = list
	return list, all
}

func splitHint(name string) string {
	switch {
	case name == "":
		return ", or leave the empty entry out"
	case strings.Contains(name, ","):
		return ", each as a separate entry"
	}
	return ""
}

// warnCovered warns of names that a "*" in the same list covers.
func (p *parser) warnCovered(names []Name, except ...string) {
	for _, e := range names {
		if !slices.ContainsFunc(except, func(name string) bool { return strings.EqualFold(e.Value, name) }) {
			p.warn(e.place, quote(e.Value), Covered, "\"*\" covers it", "leave it out")
		}
	}
}

// warnPrivateNetwork warns of origins that open a private network: any site that a user
// visits, and pages that anyone on the network path can forge, which browsers do not let in
// at all (Private Network Access, section 3.1.1).
func (p *parser) warnPrivateNetwork(s *SourcePolicy, policy *Policy, patterns []placedPattern) {
	if !policy.PrivateNetwork {
		return
	}
	if policy.Origins.Any {
		p.warn(s.at(privateNetwork), s.written(privateNetwork), PrivateNetwork, anyPageInside, "list the origins that need it")
		return
	}
	for _, e := range patterns {
		switch {
		case e.pattern.Insecure():
			p.warn(e.place, e.written, PrivateNetwork, insecurePage, "write https")
		case e.pattern.AnyHost() && e.pattern.Web():
			p.warn(e.place, e.written, PrivateNetwork, anyPageInside, "list the origins that need it")
		}
	}
}

const anyPageInside = "any page on the web may reach into the private network through its visitors' browsers"

const insecurePage = "browsers ask for access to a private network only for pages of secure origins, and anyone on the path can forge a page of a plain http one"
