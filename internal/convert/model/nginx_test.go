package model

import (
	"cmp"
	"regexp"
	"slices"
	"strings"

	"corsfilter/internal/browser"
)

// kubernetes/ingress-nginx at commit dbb11b92 (controller 1.15, March 2026):
// internal/ingress/annotations/cors/main.go, internal/ingress/controller
// (controller.go, location.go, template/template.go) and
// rootfs/etc/nginx/template/nginx.tmpl.

// nginxPath is one path of an Ingress' rule.
type nginxPath struct {
	Path, Type string // Exact, Prefix, ImplementationSpecific
}

// nginxRule is one rule; Host is "" for the default server.
type nginxRule struct {
	Host  string
	Paths []nginxPath
}

// ingress is an Ingress; Annotations go without their prefix.
type ingress struct {
	Namespace, Name string
	Age             int
	Annotations     map[string]string
	Rules           []nginxRule
}

type nginx struct{ Ingresses []ingress }

// nginxCORS is cors.Config.
type nginxCORS struct {
	Enabled, Credentials     bool
	Origins                  []string
	Methods, Headers, Expose string
}

var (
	nginxOrigin  = regexp.MustCompile(`^([a-z]+://(\*\.)?[A-Za-z0-9\-.]*(:\d+)?|\*|null)?$`)
	nginxOrigins = regexp.MustCompile(`^((((([a-z]+://)?(\*\.)?[A-Za-z0-9\-.]*(:\d+)?,?)|null)+)|\*)?$`)
	nginxMethods = regexp.MustCompile(`^([A-Za-z]+,?\s?)+$`)
	nginxHeaders = regexp.MustCompile(`^[A-Za-z0-9-_, ]*$`)
	nginxExposed = regexp.MustCompile(`^(([A-Za-z0-9\-\_]+|\*),?\s?)+$`)
)

// cors is Parse: what is not given or not valid has its default, which is "*" for
// the origins and true for the credentials. Spaces do not count in validation
// (parser.ValidateRegex, removeSpace).
func (i ingress) cors() (c nginxCORS) {
	a := i.Annotations
	c.Enabled = a["enable-cors"] == "true"
	c.Credentials = a["cors-allow-credentials"] != "false"
	valid := func(name string, check *regexp.Regexp) (string, bool) {
		value, ok := a[name]
		return value, ok && value != "" && check.MatchString(strings.ReplaceAll(value, " ", ""))
	}
	c.Origins = []string{"*"}
	if value, ok := valid("cors-allow-origin", nginxOrigins); ok {
		c.Origins = nil
		for _, o := range strings.Split(value, ",") {
			if o = strings.TrimSpace(o); o == "*" {
				c.Origins = []string{"*"}
				break
			}
			if o != "" && nginxOrigin.MatchString(o) {
				c.Origins = append(c.Origins, o)
			}
		}
	}
	var ok bool
	if c.Methods, ok = valid("cors-allow-methods", nginxMethods); !ok || !nginxMethods.MatchString(c.Methods) {
		c.Methods = "GET, PUT, POST, DELETE, PATCH, OPTIONS"
	}
	if c.Headers, ok = valid("cors-allow-headers", nginxHeaders); !ok {
		c.Headers = "DNT,Keep-Alive,User-Agent,X-Requested-With,If-Modified-Since,Cache-Control,Content-Type,Range,Authorization"
	}
	if c.Expose, ok = valid("cors-expose-headers", nginxExposed); !ok || !nginxExposed.MatchString(c.Expose) {
		c.Expose = ""
	}
	return c
}

// allowOrigin is buildCorsOriginRegex and the CORS template: with "*" the variable
// $http_origin itself is set to "*" and sent; else a list of expressions is
// searched for at the end of the origin, whatever its case, and nothing holds them
// to its beginning. "*." is one label.
func (c nginxCORS) allowOrigin(origin string) string {
	if slices.Equal(c.Origins, []string{"*"}) {
		return "*"
	}
	var alternatives []string
	for _, o := range c.Origins {
		alternatives = append(alternatives, "("+strings.Replace(regexp.QuoteMeta(o), `\*`, `[A-Za-z0-9\-]+`, 1)+")")
	}
	if len(alternatives) > 0 && origin != "" && compiled("(?i)("+strings.Join(alternatives, "|")+")$").MatchString(origin) {
		return origin
	}
	return ""
}

// nginxLocation is a location block; missing is the one of a server by itself,
// which goes to the default backend.
type nginxLocation struct {
	path    nginxPath
	ingress *ingress
	missing bool
}

// sorted are the Ingresses as the controller takes them: the oldest first, and of
// the same age the name that sorts last (store/store.go, sortIngressSlice).
func (n nginx) sorted() []ingress {
	ingresses := slices.Clone(n.Ingresses)
	slices.SortStableFunc(ingresses, func(a, b ingress) int {
		return cmp.Or(b.Age-a.Age, strings.Compare(b.Namespace+"/"+b.Name, a.Namespace+"/"+a.Name))
	})
	return ingresses
}

// locations are those of a server, and whether all are regexes. A path is compared
// with the first location of that path alone: of the same type the older one stays
// (getBackendServers). What is ImplementationSpecific is a Prefix
// (internal/k8s/main.go, SetDefaultNGINXPathType). A server that an Ingress names
// has "/" by itself, with the annotations of the oldest that does (createServers).
// They are sorted by their length; then a prefix of whole segments becomes one that
// ends in a slash and one that is exact (updateServerLocations).
func (n nginx) locations(host string) (out []nginxLocation, regex bool) {
	var found []nginxLocation
	ingresses := n.sorted()
	for i := range ingresses {
		in := &ingresses[i]
		for _, rule := range in.Rules {
			if rule.Host != host {
				continue
			}
			if len(found) == 0 && host != "" {
				found = append(found, nginxLocation{nginxPath{"/", "Prefix"}, in, true})
			}
			for _, p := range rule.Paths {
				if p.Type == "ImplementationSpecific" {
					p.Type = "Prefix"
				}
				at := slices.IndexFunc(found, func(l nginxLocation) bool { return l.path.Path == p.Path })
				switch {
				case at < 0 || found[at].path.Type != p.Type:
					found = append(found, nginxLocation{path: p, ingress: in})
				case found[at].missing:
					found[at] = nginxLocation{path: p, ingress: in}
				}
			}
		}
	}
	slices.SortStableFunc(found, func(a, b nginxLocation) int {
		return cmp.Or(len(b.path.Path)-len(a.path.Path), strings.Compare(b.path.Path, a.path.Path))
	})
	exact := func(path string) bool {
		return slices.ContainsFunc(found, func(l nginxLocation) bool { return l.path == nginxPath{path, "Exact"} })
	}
	for _, l := range found {
		uses := l.ingress.Annotations["use-regex"] == "true"
		regex = regex || uses
		if l.path.Type != "Prefix" || l.path.Path == "/" || uses {
			out = append(out, l)
			continue
		}
		below := l
		below.path.Path = strings.TrimSuffix(l.path.Path, "/") + "/"
		out = append(out, below)
		if !exact(l.path.Path) {
			l.path.Type = "Exact"
			out = append(out, l)
		}
	}
	return out, regex
}

// server is nginx's choice of a server by its name, where a wildcard of
// ingress-nginx is one label (buildServerName). The port does not count, and a dot
// at the end does not either (nginx, ngx_http_validate_host).
func (n nginx) server(host string) string {
	best := ""
	for _, i := range n.Ingresses {
		for _, rule := range i.Rules {
			name, wild := strings.CutPrefix(rule.Host, "*.")
			switch {
			case rule.Host == host:
				return host
			case wild && compiled(`^[\w-]+\.`+regexp.QuoteMeta(name)+`$`).MatchString(host):
				best = rule.Host
			}
		}
	}
	return best
}

// location is nginx's choice of a location: the exact one, else the longest prefix,
// of which the one that lacks but the slash at its end redirects (auto_redirect).
// Where a server uses regexes all are, open at their end, whatever their case, and
// asked in the order of the list (buildLocation).
func (n nginx) location(r request) (found *nginxLocation, redirects bool) {
	locations, regex := n.locations(n.server(strings.TrimSuffix(r.host(), ".")))
	if regex {
		for i, l := range locations {
			if compiled("(?i)^" + l.path.Path).MatchString(r.path()) {
				return &locations[i], false
			}
		}
		return nil, false
	}
	for i, l := range locations {
		if l.path == (nginxPath{r.path(), "Exact"}) {
			return &locations[i], false
		}
	}
	for i, l := range locations {
		if l.path.Type == "Exact" {
			continue
		}
		if l.path.Path == r.path()+"/" {
			return nil, true
		}
		if strings.HasPrefix(r.path(), l.path.Path) && (found == nil || len(l.path.Path) > len(found.path.Path)) {
			found = &locations[i]
		}
	}
	return found, false
}

// bare is nginx without the template.
func (n nginx) bare(r request, upstream backend) browser.Response {
	switch found, redirects := n.location(r); {
	case redirects:
		return browser.Response{Status: 301, Headers: []browser.Header{{Name: "location", Value: r.path() + "/"}}}
	case found == nil || found.missing:
		return notFound()
	}
	return upstream(r)
}

// serve is the CORS template. Every OPTIONS request of an origin that is allowed
// is answered.
func (n nginx) serve(r request, upstream backend) browser.Response {
	found, redirects := n.location(r)
	if found == nil {
		return n.bare(r, upstream)
	}
	c := found.ingress.cors()
	if !c.Enabled || redirects {
		return n.bare(r, upstream)
	}
	origin := c.allowOrigin(r.header("origin"))
	response := browser.Response{Status: 204}
	if origin == "" || r.Method != "OPTIONS" {
		response = n.bare(r, upstream)
	}
	if origin == "" {
		return response
	}
	set(&response, acao, origin)
	if c.Credentials {
		set(&response, acac, "true")
	}
	set(&response, acam, c.Methods)
	set(&response, acah, c.Headers)
	if c.Expose != "" {
		set(&response, aceh, c.Expose)
	}
	return response
}
