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

// nginxLocation is a location block.
type nginxLocation struct {
	path    nginxPath
	ingress *ingress
}

// locations are those of a server: of the same path and type the oldest Ingress'
// (getBackendServers), and for a prefix of whole segments one that ends in a slash
// and one that is exact (updateServerLocations).
func (n nginx) locations(host string) (out []nginxLocation, regex bool) {
	ingresses := slices.Clone(n.Ingresses)
	slices.SortStableFunc(ingresses, func(a, b ingress) int {
		return cmp.Or(b.Age-a.Age, strings.Compare(a.Namespace+"/"+a.Name, b.Namespace+"/"+b.Name))
	})
	var found []nginxLocation
	for i := range ingresses {
		for _, rule := range ingresses[i].Rules {
			if rule.Host != host {
				continue
			}
			for _, p := range rule.Paths {
				if !slices.ContainsFunc(found, func(l nginxLocation) bool { return l.path == p }) {
					found = append(found, nginxLocation{p, &ingresses[i]})
				}
			}
			regex = regex || ingresses[i].Annotations["use-regex"] == "true"
		}
	}
	exact := func(path string) bool {
		return slices.ContainsFunc(found, func(l nginxLocation) bool { return l.path == nginxPath{path, "Exact"} })
	}
	for _, l := range found {
		if l.path.Type == "Prefix" && l.path.Path != "/" && l.ingress.Annotations["use-regex"] != "true" {
			if !exact(l.path.Path) {
				out = append(out, nginxLocation{nginxPath{l.path.Path, "Exact"}, l.ingress})
			}
			l.path.Path = strings.TrimSuffix(l.path.Path, "/") + "/"
		}
		out = append(out, l)
	}
	slices.SortStableFunc(out, func(a, b nginxLocation) int {
		return cmp.Or(len(b.path.Path)-len(a.path.Path), strings.Compare(b.path.Path, a.path.Path))
	})
	return out, regex
}

// server is nginx' choice of a server by its name, where a wildcard of
// ingress-nginx is one label (buildServerName).
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

// location is nginx' choice of a location: the exact one, else the longest prefix;
// where a server uses regexes all are, whatever their case, and the longest path
// is asked first (buildLocation).
func (n nginx) location(r request) *ingress {
	locations, regex := n.locations(n.server(r.host()))
	for _, l := range locations {
		if !regex && l.path.Type == "Exact" && l.path.Path == r.path() {
			return l.ingress
		}
	}
	for _, l := range locations {
		if regex {
			if compiled("(?i)^" + l.path.Path).MatchString(r.path()) {
				return l.ingress
			}
		} else if l.path.Type != "Exact" && strings.HasPrefix(r.path(), l.path.Path) {
			return l.ingress
		}
	}
	return nil
}

// serve is the CORS template. Every OPTIONS request of an origin that is allowed
// is answered.
func (n nginx) serve(r request, upstream backend) browser.Response {
	found := n.location(r)
	if found == nil {
		return notFound()
	}
	c := found.cors()
	if !c.Enabled {
		return upstream(r)
	}
	origin := c.allowOrigin(r.header("origin"))
	response := browser.Response{Status: 204}
	if origin == "" || r.Method != "OPTIONS" {
		response = upstream(r)
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
