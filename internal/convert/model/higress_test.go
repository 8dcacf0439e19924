package model

import (
	"net/url"
	"regexp"
	"slices"
	"strings"

	"corsfilter/internal/browser"
)

// Higress' cors plugin 2.0.2, release 2.2.4 (plugins/wasm-go/extensions/cors at
// commit 8e4041c9), its match rules as in higress-group/wasm-go,
// pkg/matcher/rule_matcher.go at commit d153aa41, and what the controller makes of
// a WasmPlugin: pkg/ingress/config/ingress_config.go, convertIstioWasmPlugin.

// higressCORS is the plugin's configuration.
type higressCORS struct {
	Origins, Patterns, Methods, Headers, Expose []string
	Credentials                                 bool
	MaxAge                                      int
}

// keys reports whether the configuration has any.
func (c higressCORS) keys() bool {
	return len(c.Origins)+len(c.Patterns)+len(c.Methods)+len(c.Headers)+len(c.Expose)+c.MaxAge > 0 || c.Credentials
}

// higressRule is one entry of matchRules.
type higressRule struct {
	Domains, Ingresses, Services []string
	Disabled                     bool
	CORS                         higressCORS
}

type higress struct {
	Default         *higressCORS
	DefaultDisabled bool
	Rules           []higressRule
}

// config is GetMatchConfig: the first rule that matches, else the default. Of a
// rule's kinds the route counts before the domain, and the domain before the
// service; the model knows of no routes and services.
func (h higress) config(r request) *higressCORS {
	host := r.Host // compared as it came, without its port
	if i := strings.LastIndexByte(host, ':'); i >= 0 {
		host = host[:i]
	}
	for i := range h.Rules {
		rule := &h.Rules[i]
		if rule.Disabled || len(rule.Ingresses) > 0 {
			continue
		}
		for _, d := range rule.Domains {
			suffix, isSuffix := strings.CutPrefix(d, "*")
			prefix, isPrefix := strings.CutSuffix(d, "*")
			if isSuffix && strings.HasSuffix(host, suffix) || !isSuffix && isPrefix && strings.HasPrefix(host, prefix) || !isSuffix && !isPrefix &&
				host == d {
				return &rule.CORS
			}
		}
	}
	return h.global()
}

// global is what holds where no rule does (ParseRuleConfig): a plugin without any
// key is there for everything, with all defaults; beside rules a default without
// keys is none.
func (h higress) global() *higressCORS {
	ruled := slices.ContainsFunc(h.Rules, func(r higressRule) bool { return !r.Disabled })
	switch {
	case h.DefaultDisabled:
		return nil
	case h.Default != nil && h.Default.keys():
		return h.Default
	case ruled:
		return nil
	}
	return &higressCORS{}
}

// filled is parseConfig and FillDefaultValues: "*" among the origins takes the
// place of those before it, and stands in the way of credentials where it is the
// first; among the methods, headers and exposed headers likewise.
func (c higressCORS) filled() higressCORS {
	starred := func(items []string) (out []string) {
		for _, i := range items {
			if i = strings.TrimSpace(i); i == "*" {
				out = nil
			}
			if i != "" {
				out = append(out, i)
			}
		}
		return out
	}
	out := higressCORS{
		Origins:  starred(c.Origins),
		Patterns: c.Patterns,
		Methods:  starred(c.Methods),
		Headers:  starred(c.Headers),
		Expose:   starred(c.Expose),
	}
	for i := range out.Origins {
		out.Origins[i] = strings.TrimSuffix(out.Origins[i], "/")
	}
	out.Credentials = c.Credentials && (len(out.Origins) == 0 || out.Origins[0] != "*")
	if len(out.Origins) == 0 && len(out.Patterns) == 0 && !out.Credentials {
		out.Origins = []string{"*"}
	}
	if len(out.Methods) == 0 {
		out.Methods = []string{"GET", "PUT", "POST", "DELETE", "PATCH", "OPTIONS"}
	}
	if len(out.Headers) == 0 {
		out.Headers = []string{
			"DNT", "X-CustomHeader", "Keep-Alive", "User-Agent", "X-Requested-With", "If-Modified-Since", "Cache-Control", "Content-Type",
			"Authorization",
		}
	}
	return out
}

var portList = regexp.MustCompile(`(.*):\[(\*|\d+(,\d+)*)]`)

// patternMatches is newOriginPatternFromString: "*" is any text, and the whole
// origin must match.
func patternMatches(pattern, origin string) bool {
	pattern = strings.ToLower(strings.TrimSuffix(pattern, "/"))
	if pattern == "*" {
		return true
	}
	ports := ""
	if m := portList.FindStringSubmatch(pattern); m != nil {
		pattern, ports = m[1], ":("+strings.ReplaceAll(m[2], ",", "|")+")"
		if m[2] == "*" {
			ports = `(:\d+)?`
		}
	}
	pattern = strings.ReplaceAll(regexp.QuoteMeta(pattern), `\*`, ".*")
	return compiled("^" + pattern + ports + "$").MatchString(strings.ToLower(origin))
}

func (c higressCORS) allowed(origin string) bool {
	return slices.ContainsFunc(c.Origins, func(o string) bool { return o == "*" || strings.EqualFold(o, origin) }) ||
		slices.ContainsFunc(c.Patterns, func(p string) bool { return patternMatches(p, origin) })
}

// crossOrigin is isCorsRequest; the scheme of the model's requests is https.
func crossOrigin(r request, origin string) bool {
	u, err := url.Parse(origin)
	if err != nil {
		return false
	}
	port := u.Port()
	if port == "" && u.Scheme == "https" {
		port = "443"
	}
	host, own, _ := strings.Cut(strings.ToLower(r.Host), ":")
	if own == "" {
		own = "443"
	}
	return u.Scheme != "https" || !strings.EqualFold(u.Hostname(), host) || port != own
}

// serve is Process, onHttpRequestHeaders and onHttpResponseHeaders. A request
// whose method is not listed gets no headers, GET included.
func (h higress) serve(r request, upstream backend) browser.Response {
	found := h.config(r)
	if found == nil {
		return upstream(r)
	}
	c, origin := found.filled(), r.header("origin")
	preflight := r.preflight()
	strip := func(response browser.Response) browser.Response {
		for _, name := range []string{acao, acam, acah, aceh, acac, acma} {
			remove(&response, name)
		}
		return response
	}
	if origin == "" || !crossOrigin(r, origin) {
		return strip(upstream(r))
	}
	method := r.Method
	if preflight {
		method = r.header("access-control-request-method")
	}
	methods, ok := strings.Join(c.Methods, ","), slices.ContainsFunc(
		c.Methods, func(m string) bool { return m == "*" || strings.EqualFold(m, method) },
	)
	if slices.Contains(c.Methods, "*") {
		methods = method
	}
	asked := strings.FieldsFunc(r.header("access-control-request-headers"), func(c rune) bool { return c == ',' || c == ' ' })
	headers := strings.Join(c.Headers, ",")
	if slices.Contains(c.Headers, "*") {
		headers = strings.Join(asked, ",")
	} else if preflight {
		for _, name := range asked {
			ok = ok && slices.ContainsFunc(c.Headers, func(h string) bool { return strings.EqualFold(h, name) })
		}
	}
	valid := ok && c.allowed(origin)
	response := browser.Response{Status: 204}
	if !preflight {
		response = strip(upstream(r))
	}
	if !valid {
		return response
	}
	set(&response, acao, origin)
	set(&response, "vary", "Origin")
	if preflight {
		set(&response, acam, methods)
		if headers != "" {
			set(&response, acah, headers)
		}
	}
	if len(c.Expose) > 0 {
		set(&response, aceh, strings.Join(c.Expose, ","))
	}
	if c.Credentials {
		set(&response, acac, "true")
	}
	return response
}
