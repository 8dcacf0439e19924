package config

import (
	"slices"
	"strings"

	"corsfilter/internal/header"
)

// compileMethods checks the methods and returns what the response field says.
func (r *parser) compileMethods(raw *rawPolicy, p *Policy) {
	var list []string
	safelistedOnly, before := len(raw.methods) > 0, len(r.problems)
	for _, e := range raw.methods {
		method := header.NormalizeMethod(e.name)
		switch {
		case e.name == "*":
			p.anyMethod = true
		case !header.IsToken(e.name):
			r.fail(e.place, quote(e.name), BadMethod, "not a method", "write one such as \"PUT\""+splitHint(e.name))
			continue
		case header.ForbiddenMethod(e.name):
			r.fail(e.place, quote(e.name), BadMethod, "browsers never send "+strings.ToUpper(e.name)+" for a page", "leave it out")
			continue
		case strings.EqualFold(e.name, "patch") && e.name != "PATCH":
			r.fail(e.place, quote(e.name), BadMethod, "methods are case-sensitive and browsers do not upper-case this one", "write \"PATCH\"")
			continue
		}
		if !header.SafelistedMethod(method) {
			safelistedOnly = false
		}
		if _, again := p.methods[method]; again {
			r.warn(e.place, quote(e.name), Duplicate, "stands twice", "keep one")
			continue
		}
		if p.methods == nil {
			p.methods = make(map[string]struct{})
		}
		p.methods[method] = struct{}{}
		list = append(list, method)
	}
	if safelistedOnly && len(r.problems) == before {
		r.warn(raw.keys["allow_methods"].place, "", NoEffect, "GET, HEAD and POST are always allowed", "leave the key out")
	}
	p.AllowMethods = strings.Join(list, ", ")
	if p.anyMethod {
		r.warnCovered(raw.methods, "*")
		p.AllowMethods = "*"
		p.EchoMethod = p.Credentials
	}
}

// compileHeaders checks the request headers and returns what the response field
// says.
func (r *parser) compileHeaders(raw *rawPolicy, p *Policy) {
	list := r.headerNames(raw.headers, &p.headers, &p.anyHeader, func(e rawName, name string) {
		if header.ForbiddenRequestHeader(name) {
			r.warn(e.place, quote(e.name), NoEffect, "no script can set this header", "leave it out")
		}
	})
	p.AllowHeaders = strings.Join(list, ", ")
	if !p.anyHeader {
		return
	}
	// "*" stands for every name but authorization, and with credentials the
	// request's own list goes out instead (Fetch, section 3.3.3).
	p.AllowHeaders = "*"
	if p.Credentials {
		r.warnCovered(raw.headers, "*")
		p.EchoHeaders = true
		return
	}
	r.warnCovered(raw.headers, "*", header.Authorization)
	if p.headers.Has(header.Authorization) {
		p.AllowHeaders = "*, " + header.Authorization
	}
}

// compileExpose checks the response headers that scripts may read.
func (r *parser) compileExpose(raw *rawPolicy, p *Policy) {
	var set header.Set
	anyName := false
	list := r.headerNames(raw.expose, &set, &anyName, func(e rawName, name string) {
		switch {
		case header.ForbiddenResponseHeader(name):
			r.warn(e.place, quote(e.name), NoEffect, "no script can read this header", "leave it out")
		case header.SafelistedResponseHeader(name):
			r.warn(e.place, quote(e.name), NoEffect, "scripts may read this header anyway", "leave it out")
		}
	})
	p.ExposeHeaders = strings.Join(list, ", ")
	if !anyName {
		return
	}
	p.ExposeHeaders = "*"
	if p.Credentials {
		all := raw.expose[slices.IndexFunc(raw.expose, func(e rawName) bool { return e.name == "*" })]
		r.fail(all.place, `"*"`, ExposeAny, "with allow_credentials browsers read \"*\" as a header of that name", "list the headers that scripts need")
		return
	}
	// The standard's "*" covers authorization in responses, unlike in requests.
	r.warnCovered(raw.expose, "*")
}

// headerNames checks a list of header names and returns it in lower case,
// without duplicates and without "*".
func (r *parser) headerNames(names []rawName, set *header.Set, anyName *bool, each func(e rawName, name string)) (list []string) {
	for _, e := range names {
		if e.name == "*" {
			if *anyName {
				r.warn(e.place, quote(e.name), Duplicate, "stands twice", "keep one")
			}
			*anyName = true
			continue
		}
		if !header.IsToken(e.name) {
			r.fail(e.place, quote(e.name), BadHeader, "not a header name", "write one such as \"x-request-id\""+splitHint(e.name))
			continue
		}
		if len(e.name) > header.MaxNameLen {
			r.fail(e.place, quote(e.name), BadHeader, "longer than any real header name", "write its name alone")
			continue
		}
		name := strings.ToLower(e.name)
		if set.Has(name) {
			r.warn(e.place, quote(e.name), Duplicate, "stands twice", "keep one")
			continue
		}
		set.Add(name)
		list = append(list, name)
		each(e, name)
	}
	return list
}

func splitHint(name string) string {
	switch {
	case name == "":
		return ", or leave the empty entry out"
	case strings.Contains(name, ","):
		return ", each as an entry of its own"
	}
	return ""
}

// warnCovered warns of names beside a "*" that covers them.
func (r *parser) warnCovered(names []rawName, except ...string) {
	for _, e := range names {
		covered := true
		for _, name := range except {
			covered = covered && !strings.EqualFold(e.name, name)
		}
		if covered {
			r.warn(e.place, quote(e.name), Covered, "\"*\" covers it", "leave it out")
		}
	}
}
