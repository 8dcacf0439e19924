// Package traefik reads Traefik's headers middleware, with the routers that use it:
// IngressRoutes, Ingresses with the annotation router.middlewares, and the dynamic
// configuration of the file provider. What it does stands in
// pkg/middlewares/headers/header.go, in which order routers are asked in
// pkg/muxer/http/mux.go, what an Ingress becomes in pkg/provider/kubernetes/ingress:
// read at release 3.7.9.
package traefik

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"corsfilter/internal/convert"
)

// Source is its line in the list of sources.
var Source = convert.Source{
	Files: "Traefik's Middlewares with their routers",
	Reads: func(o *convert.Object) bool {
		return isTraefik(o) || isTraefikFile(o) || convert.IsIngress(o) || convert.IsService(o)
	},
	Tables: traefikTables,
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
	r       convert.Reader
	node    *yaml.Node
	cors    bool
	policy  *convert.Policy
	changes []convert.Change
	used    bool
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
	// used is what the chain comes to.
	cors     *traefikMiddleware
	redirect bool
	changes  []convert.Change
}

const (
	traefikCRD    = "@kubernetescrd"
	traefikInFile = "@file"
)

func traefikTables(c *convert.Conversion, objects []*convert.Object) (tables []convert.Table) {
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
	if !t.cors {
		return nil
	}
	for _, o := range objects {
		switch {
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
			m.r.Fail(m.node, "no router in the files uses the middleware", "add the IngressRoutes, Ingresses or routers that name it")
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
		m.policy, m.changes, m.cors = traefikPolicy(r, headers)
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
		made := traefikRouter{from: o.From(part, node), r: convert.Reader{Conversion: t.Conversion, Object: o, Part: part}, entryPoints: entryPoints, tls: o.Spec("tls") != nil}
		made.rule, made.at = convert.Text(convert.Child(node, "match")), o.At(convert.Child(node, "match"))
		made.v2 = convert.Text(convert.Child(node, "syntax")) == "v2" || o.Group == "traefik.containo.us"
		made.number(convert.Child(node, "priority"))
		if v := o.Spec("parentRefs"); len(convert.Elements(v)) > 0 {
			made.r.Fail(v, "parentRefs put the rule of another router in front", "write the whole rule, without parentRefs")
		}
		for _, ref := range convert.Elements(convert.Child(node, "middlewares")) {
			name := convert.Text(convert.Child(ref, "name"))
			if !strings.Contains(name, "@") {
				space := convert.Text(convert.Child(ref, "namespace"))
				if space == "" {
					space = o.Space()
				}
				name = traefikKey(space, name)
			}
			made.middlewares = append(made.middlewares, name)
		}
		t.routers = append(t.routers, made)
	}
}

func (a *traefikRouter) number(node *yaml.Node) {
	if node == nil {
		return
	}
	var err error
	if a.priority, err = strconv.Atoi(convert.Text(node)); err != nil {
		a.r.Fail(node, "priority is no number", "write one such as 10")
	}
}

func (t *traefik) file(o *convert.Object) {
	for _, m := range convert.Members(field(o.Root, "http", "routers")) {
		part := "router " + m.Key.Value
		made := traefikRouter{from: convert.From{Source: part, Place: o.At(m.Key)}, r: convert.Reader{Conversion: t.Conversion, Object: o, Part: part}, tls: field(m.Value, "tls") != nil}
		made.rule, made.at = convert.Text(field(m.Value, "rule")), o.At(field(m.Value, "rule"))
		made.v2 = convert.Text(field(m.Value, "ruleSyntax")) == "v2"
		made.number(field(m.Value, "priority"))
		for _, e := range convert.Elements(field(m.Value, "entryPoints")) {
			made.entryPoints = append(made.entryPoints, convert.Text(e))
		}
		if v := field(m.Value, "parentRefs"); len(convert.Elements(v)) > 0 {
			made.r.Fail(v, "parentRefs put the rule of another router in front", "write the whole rule, without parentRefs")
		}
		names := convert.Elements(field(m.Value, "middlewares"))
		names = append(names, convert.Elements(field(o.Root, "http", "services", convert.Text(field(m.Value, "service")), "middlewares"))...)
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

func traefikWords(list string) (words []string) {
	for word := range strings.SplitSeq(list, ",") {
		if word = strings.TrimSpace(word); word != "" {
			words = append(words, word)
		}
	}
	return words
}

func (t *traefik) ingress(o *convert.Object) {
	base := traefikRouter{}
	list, _ := traefikAnnotation(o, "router.middlewares")
	for _, name := range traefikWords(list) {
		base.middlewares = append(base.middlewares, traefikName(name, "@kubernetes"))
	}
	list, _ = traefikAnnotation(o, "router.entrypoints")
	base.entryPoints = traefikWords(list)
	tls, _ := traefikAnnotation(o, "router.tls")
	base.tls = tls == "true"
	syntax, _ := traefikAnnotation(o, "router.rulesyntax")
	base.v2 = syntax == "v2"
	matcher, _ := traefikAnnotation(o, "router.pathmatcher")
	_, priority := traefikAnnotation(o, "router.priority")
	for _, p := range convert.IngressPaths(o) {
		made := base
		made.from, made.r, made.at = p.From(), convert.Reader{Conversion: t.Conversion, Object: o, Part: p.Part}, p.At
		if priority != nil {
			if n, err := strconv.Atoi(priority.Value); err == nil {
				made.priority = n
			} else {
				made.r.Fail(priority, "router.priority is no number", "write one such as 10")
			}
		}
		for _, service := range t.objects {
			if convert.IsService(service) && service.Space() == o.Space() && service.Name == p.Service {
				list, _ := traefikAnnotation(service, "service.middlewares")
				for _, name := range traefikWords(list) {
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
				a.changes = append(a.changes, convert.Change{Kind: convert.LeftOut, Text: fmt.Sprintf("the middleware %q is not in the files, and taken as one without CORS headers", name)})
				continue
			case seen[name]:
				continue
			}
			seen[name] = true
			if chained := field(m.node, "chain", "middlewares"); chained != nil {
				var inner []string
				for _, e := range convert.Elements(chained) {
					switch n, space := convert.Text(convert.Child(e, "name")), convert.Text(convert.Child(e, "namespace")); {
					case e.Kind == yaml.ScalarNode:
						inner = append(inner, traefikName(e.Value, traefikInFile))
					case strings.Contains(n, "@"):
						inner = append(inner, n)
					default:
						inner = append(inner, traefikKey(cmp.Or(space, m.r.Object.Space()), n))
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
					a.changes = append(a.changes, convert.Change{Kind: convert.EarlierInChain, Text: strings.Join(before, ", ") + " stands in front of the CORS headers in Traefik, refuses preflights, and refuses without CORS headers; this filter belongs in front of it"})
				}
			case a.cors.policy.Key() != m.policy.Key():
				a.r.Problem(a.from.Place, a.from.String(), "two middlewares with CORS headers stand in its chain, and each sets some", "keep one")
			}
		}
	}
	walk(a.middlewares)
}

// traefikWay is an entry point, with or without TLS: routers are asked for each by
// itself.
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
	add := func(w traefikWay) {
		if !slices.Contains(ways, w) {
			ways = append(ways, w)
		}
	}
	for _, a := range t.routers {
		for _, e := range a.entryPoints {
			add(traefikWay{e, a.tls})
		}
	}
	for _, a := range t.routers {
		if len(a.entryPoints) == 0 && !slices.ContainsFunc(ways, func(w traefikWay) bool { return w.tls == a.tls }) {
			add(traefikWay{"", a.tls})
		}
	}
	redirected := false
	for _, w := range ways {
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
	if redirected {
		for i := range tables {
			for j := range tables[i].Routes {
				if r := &tables[i].Routes[j]; r.Policy != nil {
					r.Changes = append(slices.Clone(r.Changes), convert.Change{Kind: convert.MoreResponses, Text: "redirects to https carry CORS headers as well, where the filter is loaded for plain http"})
				}
			}
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
	for i := range routers {
		for j := i + 1; j < len(routers) && routers[i].priority == routers[j].priority; j++ {
			if made.Clash(starts[i], starts[i+1], starts[j], starts[j+1]) {
				for n := starts[i]; n < starts[i+1]; n++ {
					made.Routes[n].When = append(made.Routes[n].When, convert.Condition{
						What:   "its place before " + routers[j].from.String() + ", of the same priority, so that Traefik asks either first",
						At:     routers[i].from.Place,
						Remedy: "give one of them a priority",
					})
				}
				break
			}
		}
	}
	if made.Routes = t.leaveOut(made.Routes, matches); len(made.Routes) > convert.MaxCompared {
		t.Problem(routers[0].from.Place, name, fmt.Sprintf("what its rules leave out makes more than %d routes", convert.MaxCompared), "convert some of the files at a time")
		made.Routes = nil
	}
	return made
}

// leaveOut writes routes that leave something out as routes that do not: what is left
// out goes in front, to those that come next in the order, and to none in the end.
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
			none := convert.Route{From: r.From, Paths: region.paths}
			for _, h := range region.hosts {
				none.Hosts = append(none.Hosts, h.pattern)
			}
			for _, next := range append(rest[:len(rest):len(rest)], none) {
				if next.Hosts, next.Paths = bothHosts(next.Hosts, none.Hosts), bothPaths(next.Paths, none.Paths); next.Hosts == nil || next.Paths == nil {
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

// bothHosts are the patterns of what is in both, nil where nothing is.
func bothHosts(some, others []string) (both []string) {
	for _, host := range convert.ListOf(some) {
		if host == "" {
			return convert.ListOf(others)
		}
		both = append(both, convert.Intersect(host, others)...)
	}
	return both
}

// bothPaths are the paths of what is in both, nil where nothing is. Where two have
// something in common and neither is all of the other, it is more.
func bothPaths(some, others []convert.Path) (both []convert.Path) {
	for _, a := range convert.PathsOf(some) {
		for _, b := range convert.PathsOf(others) {
			switch {
			case convert.PathCovers(a, b):
				both = append(both, b)
			case convert.PathsOverlap(a, b):
				both = append(both, a)
			}
		}
	}
	return both
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
		made := convert.Route{From: a.from, Paths: m.paths, When: m.when}
		for _, h := range m.hosts {
			made.Hosts = append(made.Hosts, h.pattern)
		}
		if a.cors != nil {
			made.Policy = a.cors.policy
			made.Changes = slices.Clone(a.cors.changes)
		}
		made.Changes = append(made.Changes, a.changes...)
		all = append(all, made)
		matches = append(matches, m)
	}
	return all, matches
}

// labels sees to wildcards that are one label in Traefik, and any number here: where
// nothing else takes the deeper names, they may.
func labels(t *convert.Table, matches []traefikMatch) {
	for i := range t.Routes {
		made := &t.Routes[i]
		for _, h := range matches[i].hosts {
			if !h.one {
				continue
			}
			deeper := slices.ContainsFunc(t.Routes[i+1:], func(o convert.Route) bool {
				if o.Policy.Key() == made.Policy.Key() || !slices.ContainsFunc(convert.PathsOf(made.Paths), func(p convert.Path) bool {
					return convert.SomePath(o.Paths, func(q convert.Path) bool { return convert.PathsOverlap(p, q) })
				}) {
					return false
				}
				return convert.SomeHost(o.Hosts, func(pattern string) bool {
					return pattern != h.pattern && convert.HostsOverlap(pattern, h.pattern) &&
						(pattern == "" || strings.Count(pattern, ".") != strings.Count(h.pattern, "."))
				})
			})
			if deeper {
				made.When = append(made.When, convert.Condition{What: "the host " + h.pattern + " with one label for the star", At: made.From.Place, Remedy: "write the hosts"})
			} else if made.Policy != nil {
				made.Changes = append(slices.Clone(made.Changes), convert.Change{Kind: convert.OneLabel, Text: h.pattern + " takes hosts with any number of labels before " + strings.TrimPrefix(h.pattern, "*.") + "; Traefik takes one"})
			}
		}
	}
}
