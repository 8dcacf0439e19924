// Package traefik reads Traefik's headers middleware, with the routers that use it:
// IngressRoutes, Ingresses with the annotation router.middlewares, routes of the Gateway API
// whose filters name it, and the dynamic configuration of the file provider. What it does was
// read in pkg/middlewares/headers/header.go, the order of routers in pkg/muxer/http/mux.go,
// and what an Ingress becomes in pkg/provider/kubernetes/ingress, at release 3.7.9.
package traefik

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"corsfilter/internal/convert"
)

// Source is its line in the list of sources.
var Source = convert.Source{
	Name:     "Traefik",
	Files:    "the headers middleware of Traefik, with the IngressRoutes, Ingresses and HTTPRoutes that name it, or in a file of its dynamic configuration",
	Settings: []convert.Settings{traefikSettings},
	Reads: func(o *convert.Object) bool {
		return isTraefik(o) || isTraefikFile(o) || isGatewayRoute(o) || convert.IsIngress(o) || convert.IsService(o)
	},
	Tables:   traefikTables,
	Attacher: traefikAttacher,
}

func isTraefik(o *convert.Object) bool {
	return o.Is("traefik.io", "Middleware", "IngressRoute") || o.Is("traefik.containo.us", "Middleware", "IngressRoute")
}

func isTraefikFile(o *convert.Object) bool {
	return o.Kind == "" && (convert.Child(o.Root, "http", "routers") != nil || convert.Child(o.Root, "http", "middlewares") != nil)
}

// field returns a value whatever the letters' case of its key, as Traefik reads it.
func field(node *yaml.Node, keys ...string) *yaml.Node {
	for _, key := range keys {
		var next *yaml.Node
		for _, m := range convert.Members(node) {
			if strings.EqualFold(m.Key.Value, key) {
				next = m.Value
			}
		}
		if next == nil || next.Kind == yaml.ScalarNode && next.ShortTag() == "!!null" {
			return nil
		}
		node = next
	}
	return node
}

// listed are the elements of a list. The file provider takes a scalar for one, with commas
// between its elements (github.com/traefik/paerser, parser/element_fill.go).
func listed(node *yaml.Node) (all []*yaml.Node) {
	if node == nil || node.Kind != yaml.ScalarNode {
		return convert.Elements(node)
	}
	for text := range strings.SplitSeq(node.Value, ",") {
		if text = strings.TrimSpace(text); text != "" {
			one := *node
			one.Value = text
			all = append(all, &one)
		}
	}
	return all
}

// traefik is the whole in translation.
type traefik struct {
	*convert.Conversion
	objects     []*convert.Object
	middlewares map[string]*traefikMiddleware // by name and provider: "shop-cors@kubernetescrd"
	routers     []traefikRouter
	cors        bool
}

// traefikMiddleware is a middleware, with its policy if it has one.
type traefikMiddleware struct {
	r      convert.Reader
	node   *yaml.Node
	cors   bool
	policy *convert.Policy
	used   bool
}

// traefikRouter is a router.
type traefikRouter struct {
	from        convert.From
	r           convert.Reader
	rule        string
	at          convert.Place
	v2          bool
	priority    int
	entryPoints []string
	tls         bool
	middlewares []string
	// The rest is the result of chain.
	cors     *traefikMiddleware
	redirect bool
	changes  []convert.Change
}

const (
	traefikCRD    = "@kubernetescrd"
	traefikInFile = "@file"
)

// middlewaresOf reads those of all objects.
func middlewaresOf(c *convert.Conversion, objects []*convert.Object) *traefik {
	t := &traefik{Conversion: c, objects: objects, middlewares: map[string]*traefikMiddleware{}}
	for _, o := range objects {
		switch {
		case isTraefik(o) && o.Kind == "Middleware":
			t.middleware(convert.Reader{Conversion: c, Object: o, Part: ""}, traefikKey(o.Space(), o.Name), o.Spec())
		case isTraefikFile(o):
			for _, m := range convert.Members(field(o.Root, "http", "middlewares")) {
				t.middleware(convert.Reader{Conversion: c, Object: o, Part: "middleware " + m.Key.Value}, m.Key.Value+traefikInFile, m.Value)
			}
		}
	}
	return t
}

func traefikTables(c *convert.Conversion, objects []*convert.Object) (tables []convert.Table) {
	t := middlewaresOf(c, objects)
	if !t.cors {
		return nil
	}
	for _, o := range objects {
		switch {
		case isGatewayRoute(o): // whose table is another source's
			for _, rule := range convert.Elements(o.Spec("rules")) {
				t.gatewayRule(o, rule)
			}
		case isTraefik(o) && o.Kind == "IngressRoute":
			t.ingressRoute(o)
		case isTraefikFile(o):
			t.file(o)
		case convert.IsIngress(o) && !o.Foreign("traefik"):
			t.ingress(o)
		}
	}
	for i := range t.routers {
		t.chain(&t.routers[i])
	}
	for _, m := range t.middlewares {
		if m.cors && !m.used {
			m.r.Fail(m.node, "no router in the files uses the middleware", "add the IngressRoutes, Ingresses, HTTPRoutes or routers that name it")
		}
	}
	return t.tables()
}

// traefikKey is the name that a Middleware has among those of all providers.
func traefikKey(space, name string) string {
	return strings.Join(strings.FieldsFunc(space+"-"+name, func(c rune) bool {
		return !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9')
	}), "-") + traefikCRD
}

func (t *traefik) middleware(r convert.Reader, key string, node *yaml.Node) {
	m := &traefikMiddleware{r: r, node: node}
	if headers := field(node, "headers"); headers != nil {
		m.policy, m.cors = traefikPolicy(r, headers)
		t.cors = t.cors || m.cors
	}
	t.middlewares[key] = m
}

func (t *traefik) ingressRoute(o *convert.Object) {
	var entryPoints []string
	for _, e := range convert.Elements(o.Spec("entryPoints")) {
		entryPoints = append(entryPoints, convert.Text(e))
	}
	for i, node := range convert.Elements(o.Spec("routes")) {
		part := fmt.Sprintf("routes[%d]", i)
		made := t.router(o.From(part, node), o, part, convert.Child(node, "match"), convert.Child(node, "priority"), o.Spec("parentRefs"))
		made.entryPoints, made.tls = entryPoints, o.Spec("tls") != nil
		made.v2 = convert.Text(convert.Child(node, "syntax")) == "v2" || o.Group == "traefik.containo.us"
		for _, ref := range convert.Elements(convert.Child(node, "middlewares")) {
			made.middlewares = append(made.middlewares, traefikRef(o, ref))
		}
		t.routers = append(t.routers, made)
	}
}

// router reads what routers have in common.
func (t *traefik) router(from convert.From, o *convert.Object, part string, rule, priority, parents *yaml.Node) traefikRouter {
	made := traefikRouter{from: from, r: convert.Reader{Conversion: t.Conversion, Object: o, Part: part}, rule: convert.Text(rule), at: o.At(rule)}
	made.priority = made.r.Whole(priority, "priority", "number")
	if len(convert.Elements(parents)) > 0 {
		made.r.Fail(parents, "parentRefs prepend the rule of another router", "write the whole rule, without parentRefs")
	}
	return made
}

// traefikRef is the middleware that an object names.
func traefikRef(o *convert.Object, ref *yaml.Node) string {
	name := convert.Text(convert.Child(ref, "name"))
	if strings.Contains(name, "@") {
		return name
	}
	return traefikKey(cmp.Or(convert.Text(convert.Child(ref, "namespace")), o.Space()), name)
}

func (t *traefik) file(o *convert.Object) {
	for _, m := range convert.Members(field(o.Root, "http", "routers")) {
		part := "router " + m.Key.Value
		made := t.router(convert.From{Source: part, Place: o.At(m.Key)}, o, part, field(m.Value, "rule"), field(m.Value, "priority"), field(m.Value, "parentRefs"))
		made.tls = field(m.Value, "tls") != nil && convert.Text(field(m.Value, "tls")) != "false"
		made.v2 = convert.Text(field(m.Value, "ruleSyntax")) == "v2"
		for _, e := range listed(field(m.Value, "entryPoints")) {
			made.entryPoints = append(made.entryPoints, convert.Text(e))
		}
		names := listed(field(m.Value, "middlewares"))
		names = append(names, listed(field(o.Root, "http", "services", convert.Text(field(m.Value, "service")), "middlewares"))...)
		for _, e := range names {
			made.middlewares = append(made.middlewares, traefikName(convert.Text(e), traefikInFile))
		}
		t.routers = append(t.routers, made)
	}
}

// traefikName is a middleware's name with its provider.
func traefikName(name, provider string) string {
	if name = strings.TrimSpace(name); strings.Contains(name, "@") {
		return name
	}
	return name + provider
}

const traefikAnnotations = "traefik.ingress.kubernetes.io/"

// traefikAnnotation returns an annotation whatever its letters' case.
func traefikAnnotation(o *convert.Object, name string) (string, *yaml.Node) {
	for _, m := range convert.Members(convert.Child(o.Root, "metadata", "annotations")) {
		if strings.EqualFold(m.Key.Value, traefikAnnotations+name) {
			return convert.Text(m.Value), m.Value
		}
	}
	return "", nil
}

// annotatedWords are the elements of an annotation between commas.
func annotatedWords(o *convert.Object, name string) (words []string) {
	list, node := traefikAnnotation(o, name)
	for _, v := range convert.Words(list, o.At(node)) {
		words = append(words, v.Text)
	}
	return words
}

func (t *traefik) ingress(o *convert.Object) {
	base := traefikRouter{}
	for _, name := range annotatedWords(o, "router.middlewares") {
		base.middlewares = append(base.middlewares, traefikName(name, "@kubernetes"))
	}
	base.entryPoints = annotatedWords(o, "router.entrypoints")
	tls, _ := traefikAnnotation(o, "router.tls")
	base.tls = tls == "true"
	syntax, _ := traefikAnnotation(o, "router.rulesyntax")
	base.v2 = syntax == "v2"
	matcher, _ := traefikAnnotation(o, "router.pathmatcher")
	_, priority := traefikAnnotation(o, "router.priority")
	for _, p := range convert.IngressPaths(o) {
		made := base
		made.from, made.r, made.at = p.From(), convert.Reader{Conversion: t.Conversion, Object: o, Part: p.Part}, p.At
		made.priority = made.r.Whole(priority, "router.priority", "number")
		for _, service := range t.objects {
			if convert.IsService(service) && service.Space() == o.Space() && service.Name == p.Service {
				for _, name := range annotatedWords(service, "service.middlewares") {
					made.middlewares = append(slices.Clone(made.middlewares), traefikName(name, "@kubernetes"))
				}
			}
		}
		var rules []string
		if p.Host != "" {
			host := fmt.Sprintf("Host(%q)", p.Host)
			if below, wildcard := strings.CutPrefix(p.Host, "*."); wildcard && base.v2 {
				host = fmt.Sprintf("HostRegexp(%q)", "{subdomain:[a-zA-Z0-9-]+}."+below)
			}
			rules = append(rules, host)
		}
		switch {
		case p.Kind == "default":
			rules, made.priority = []string{`PathPrefix("/")`}, math.MinInt32
		case p.Path == "":
		case p.Kind == "Exact":
			rules = append(rules, fmt.Sprintf("Path(%q)", p.Path))
		case p.Kind == "Prefix" || matcher == "":
			rules = append(rules, fmt.Sprintf("PathPrefix(%q)", p.Path))
		default:
			rules = append(rules, fmt.Sprintf("%s(%q)", matcher, p.Path))
		}
		if made.rule = strings.Join(rules, " && "); made.rule == "" {
			continue // Traefik refuses a router without a rule
		}
		t.routers = append(t.routers, made)
	}
}

// chain looks through a router's middlewares, chains included.
func (t *traefik) chain(a *traefikRouter) {
	seen := map[string]bool{}
	var before []string // what may refuse in front of the headers
	var walk func(names []string)
	walk = func(names []string) {
		for _, name := range names {
			m := t.middlewares[name]
			switch {
			case m == nil && !t.Options.Partial:
				a.r.Problem(a.from.Place, a.from.String(), fmt.Sprintf("the middleware %q is not in the files, and may have CORS headers", name), "add it, or leave it out with -partial")
				continue
			case m == nil:
				a.changes = append(a.changes, convert.Change{Kind: convert.LeftOut, Text: fmt.Sprintf("the middleware %q is not in the files, and is assumed to set no CORS headers", name)})
				continue
			case seen[name]:
				continue
			}
			seen[name] = true
			if chained := field(m.node, "chain", "middlewares"); chained != nil {
				var inner []string
				for _, e := range listed(chained) {
					if e.Kind == yaml.ScalarNode {
						inner = append(inner, traefikName(e.Value, traefikInFile))
					} else {
						inner = append(inner, traefikRef(m.r.Object, e))
					}
				}
				walk(inner)
			}
			for _, kind := range []string{"basicAuth", "digestAuth", "forwardAuth", "ipAllowList", "ipWhiteList", "rateLimit", "inFlightReq", "plugin"} {
				if a.cors == nil && field(m.node, kind) != nil {
					before = append(before, kind)
				}
			}
			if field(m.node, "redirectScheme") != nil {
				a.redirect = true
			}
			if !m.cors {
				continue
			}
			m.used = true
			switch {
			case a.cors == nil:
				a.cors = m
				if len(before) > 0 {
					a.changes = append(a.changes, convert.Change{Kind: convert.EarlierInChain, Text: strings.Join(before, ", ") + " comes before the CORS headers in Traefik: it rejects preflights, and its rejections carry no CORS headers; put this filter before it"})
				}
			case a.cors.policy.Key() != m.policy.Key():
				a.r.Problem(a.from.Place, a.from.String(), "two middlewares in its chain set CORS headers", "keep one")
			}
		}
	}
	walk(a.middlewares)
}

// traefikWay is an entry point, with or without TLS: each has its own routers.
type traefikWay struct {
	entryPoint string
	tls        bool
}

func (w traefikWay) String() string {
	name := "Traefik"
	if w.entryPoint != "" {
		name += " entry point " + w.entryPoint
	}
	if w.tls {
		name += " with TLS"
	}
	return name
}

// tables makes one for each way. One that redirects alone is left out: its
// responses are of no use to a page.
func (t *traefik) tables() (tables []convert.Table) {
	var ways []traefikWay
	for _, a := range t.routers {
		for _, e := range a.entryPoints {
			ways = append(ways, traefikWay{e, a.tls})
		}
	}
	for _, a := range t.routers {
		if len(a.entryPoints) == 0 && !slices.ContainsFunc(ways, func(w traefikWay) bool { return w.tls == a.tls }) {
			ways = append(ways, traefikWay{"", a.tls})
		}
	}
	redirected := false
	for _, w := range convert.Unique(ways) {
		var own []traefikRouter
		for _, a := range t.routers {
			if a.tls == w.tls && (len(a.entryPoints) == 0 || slices.Contains(a.entryPoints, w.entryPoint)) {
				own = append(own, a)
			}
		}
		if !slices.ContainsFunc(own, func(a traefikRouter) bool { return !a.redirect || a.cors != nil }) {
			redirected = true
			continue
		}
		if t.Wants(w.String()) {
			tables = append(tables, t.table(w.String(), own))
		}
	}
	for _, table := range tables {
		if redirected {
			convert.WithChanges(table.Routes, convert.Change{Kind: convert.MoreResponses, Text: "redirects to https carry CORS headers as well, where the filter is loaded for plain http"})
		}
	}
	return tables
}

// table puts routers in order: by priority, which is the rule's length unless it is
// given.
func (t *traefik) table(name string, routers []traefikRouter) convert.Table {
	for i := range routers {
		if routers[i].priority == 0 {
			routers[i].priority = len(routers[i].rule)
		}
	}
	slices.SortStableFunc(routers, func(a, b traefikRouter) int { return cmp.Compare(b.priority, a.priority) })
	made := convert.Table{Name: name}
	var matches []traefikMatch // of each route
	var starts []int
	for _, a := range routers {
		starts = append(starts, len(made.Routes))
		routes, own := a.routes()
		made.Routes = append(made.Routes, routes...)
		matches = append(matches, own...)
	}
	starts = append(starts, len(made.Routes))
	if len(made.Routes) > convert.MaxCompared {
		t.Problem(routers[0].from.Place, name, fmt.Sprintf("there are more than %d routes", convert.MaxCompared), "convert some of the files at a time")
		return made
	}
	labels(&made, matches)
	made.Ties(starts, func(i, j int) bool { return routers[i].priority == routers[j].priority }, "Traefik", "give one of them a priority")
	if made.Routes = t.leaveOut(made.Routes, matches); len(made.Routes) > convert.MaxCompared {
		t.Problem(routers[0].from.Place, name, fmt.Sprintf("what its rules leave out makes more than %d routes", convert.MaxCompared), "convert some of the files at a time")
		made.Routes = nil
	}
	return made
}

// leaveOut rewrites routes that exclude something as routes that do not: in front of each go
// routes for what it excludes, with the policies of those that come next, and none in the end.
func (t *traefik) leaveOut(routes []convert.Route, matches []traefikMatch) (all []convert.Route) {
	for i, r := range slices.Backward(routes) {
		rest := all
		all = nil
		for _, out := range matches[i].but {
			region := traefikMatch{hosts: matches[i].hosts, paths: slices.Clone(matches[i].paths)}
			if out.hosts != nil && !region.narrowHosts(out.hosts) || !region.narrowPaths(out.paths, r.From.Place) {
				continue
			}
			if len(region.when) > 0 { // not nested, which paths of these kinds are
				r.When = append(slices.Clone(r.When), region.when...)
				continue
			}
			none := convert.Route{From: r.From, Hosts: patterns(region.hosts), Paths: region.paths}
			for _, next := range append(rest[:len(rest):len(rest)], none) {
				if next.Hosts, next.Paths = convert.Intersect(next.Hosts, none.Hosts), bothPaths(next.Paths, none.Paths); next.Hosts == nil || next.Paths == nil {
					continue
				}
				if next.Hosts[0] == "" {
					next.Hosts = nil
				}
				all = append(all, next)
			}
			if len(all)+len(rest) > convert.MaxCompared {
				return append(all, rest...)
			}
		}
		all = append(append(all, r), rest...)
	}
	return all
}

// routes are those of a router, one for each alternative of its rule.
func (a traefikRouter) routes() (all []convert.Route, matches []traefikMatch) {
	branches, err := traefikBranches(a.rule)
	if err != nil {
		a.r.Problem(a.at, a.from.String(), err.Error(), "write a rule such as Host(`example.com`) && PathPrefix(`/v1`)")
		return nil, nil
	}
	v2 := a.v2 || isVersion2(branches)
	for _, terms := range branches {
		m, ok := matchOf(a.r, terms, v2, a.at)
		if !ok {
			continue
		}
		made := convert.Route{From: a.from, Hosts: patterns(m.hosts), Paths: m.paths, Methods: m.methods, When: m.when, Changes: slices.Clone(a.changes)}
		if a.cors != nil {
			made.Policy = a.cors.policy
		}
		all = append(all, made)
		matches = append(matches, m)
	}
	return all, matches
}

// labels handles wildcards, which stand for one label in Traefik and for any number here. That
// is a change, or a condition if other routes take the deeper names.
func labels(t *convert.Table, matches []traefikMatch) {
	for i := range t.Routes {
		made := &t.Routes[i]
		for _, h := range matches[i].hosts {
			if !h.one {
				continue
			}
			deeper := slices.ContainsFunc(t.Routes[i+1:], func(o convert.Route) bool {
				o.Hosts = slices.DeleteFunc(slices.Clone(convert.ListOf(o.Hosts)), func(pattern string) bool {
					return pattern == h.pattern || pattern != "" && strings.Count(pattern, ".") == strings.Count(h.pattern, ".")
				})
				return len(o.Hosts) > 0 && o.Differs(convert.Route{Hosts: []string{h.pattern}, Paths: made.Paths, Policy: made.Policy})
			})
			if deeper {
				made.When = append(made.When, convert.Condition{What: "the host " + h.pattern + " with one label for the star", At: made.From.Place, Remedy: "write the hosts"})
			} else if made.Policy != nil {
				made.Changes = append(slices.Clone(made.Changes), convert.Change{Kind: convert.OneLabel, Text: h.pattern + " takes hosts with any number of labels before " + strings.TrimPrefix(h.pattern, "*.") + "; Traefik takes one"})
			}
		}
	}
}
