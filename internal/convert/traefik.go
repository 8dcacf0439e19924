package convert

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// traefikSource reads Traefik's headers middleware, with the routers that use it:
// IngressRoutes, Ingresses with the annotation router.middlewares, and the dynamic
// configuration of the file provider. What it does stands in
// pkg/middlewares/headers/header.go, in which order routers are asked in
// pkg/muxer/http/mux.go, what an Ingress becomes in pkg/provider/kubernetes/ingress:
// read at release 3.7.9.
var traefikSource = source{
	name:   "Traefik",
	reads:  func(o *object) bool { return isTraefik(o) || isTraefikFile(o) || isIngress(o) || isService(o) },
	tables: traefikTables,
}

func isTraefik(o *object) bool {
	return o.is("traefik.io", "Middleware", "IngressRoute") || o.is("traefik.containo.us", "Middleware", "IngressRoute")
}

func isTraefikFile(o *object) bool {
	return o.kind == "" && (child(o.root, "http", "routers") != nil || child(o.root, "http", "middlewares") != nil)
}

// field returns a value whatever the letters' case of its key, as Traefik reads it.
func field(node *yaml.Node, keys ...string) *yaml.Node {
	for _, key := range keys {
		var next *yaml.Node
		for _, m := range members(node) {
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
	*conversion
	objects     []*object
	middlewares map[string]*traefikMiddleware // by name and provider: "shop-cors@kubernetescrd"
	routers     []traefikRouter
	cors        bool
}

// traefikMiddleware is a middleware, with its policy if it has one.
type traefikMiddleware struct {
	r       reader
	node    *yaml.Node
	cors    bool
	policy  *policy
	changes []Change
	used    bool
}

// traefikRouter is a router.
type traefikRouter struct {
	from        From
	r           reader
	rule        string
	at          Place
	v2          bool
	priority    int
	entryPoints []string
	tls         bool
	middlewares []string
	// used is what the chain comes to.
	cors     *traefikMiddleware
	redirect bool
	changes  []Change
}

const (
	traefikCRD    = "@kubernetescrd"
	traefikInFile = "@file"
)

func traefikTables(c *conversion, objects []*object) (tables []table) {
	t := &traefik{conversion: c, objects: objects, middlewares: map[string]*traefikMiddleware{}}
	for _, o := range objects {
		switch {
		case isTraefik(o) && o.kind == "Middleware":
			t.middleware(reader{c, o, ""}, traefikKey(o.space(), o.name), o.spec())
		case isTraefikFile(o):
			for _, m := range members(field(o.root, "http", "middlewares")) {
				t.middleware(reader{c, o, "middleware " + m.Key.Value}, m.Key.Value+traefikInFile, m.Value)
			}
		}
	}
	if !t.cors {
		return nil
	}
	for _, o := range objects {
		switch {
		case isTraefik(o) && o.kind == "IngressRoute":
			t.ingressRoute(o)
		case isTraefikFile(o):
			t.file(o)
		case isIngress(o) && !o.foreign("traefik"):
			t.ingress(o)
		}
	}
	for i := range t.routers {
		t.chain(&t.routers[i])
	}
	for _, m := range t.middlewares {
		if m.cors && !m.used {
			m.r.fail(m.node, "no router in the files uses the middleware", "add the IngressRoutes, Ingresses or routers that name it")
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

func (t *traefik) middleware(r reader, key string, node *yaml.Node) {
	m := &traefikMiddleware{r: r, node: node}
	if headers := field(node, "headers"); headers != nil {
		m.policy, m.changes, m.cors = r.traefikPolicy(headers)
		t.cors = t.cors || m.cors
	}
	t.middlewares[key] = m
}

func (t *traefik) ingressRoute(o *object) {
	var entryPoints []string
	for _, e := range elements(o.spec("entryPoints")) {
		entryPoints = append(entryPoints, text(e))
	}
	for i, node := range elements(o.spec("routes")) {
		part := fmt.Sprintf("routes[%d]", i)
		made := traefikRouter{from: o.from(part, node), r: reader{t.conversion, o, part}, entryPoints: entryPoints, tls: o.spec("tls") != nil}
		made.rule, made.at = text(child(node, "match")), o.at(child(node, "match"))
		made.v2 = text(child(node, "syntax")) == "v2" || o.group == "traefik.containo.us"
		made.number(child(node, "priority"))
		if v := o.spec("parentRefs"); len(elements(v)) > 0 {
			made.r.fail(v, "parentRefs put the rule of another router in front", "write the whole rule, without parentRefs")
		}
		for _, ref := range elements(child(node, "middlewares")) {
			name := text(child(ref, "name"))
			if !strings.Contains(name, "@") {
				space := text(child(ref, "namespace"))
				if space == "" {
					space = o.space()
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
	if a.priority, err = strconv.Atoi(text(node)); err != nil {
		a.r.fail(node, "priority is no number", "write one such as 10")
	}
}

func (t *traefik) file(o *object) {
	for _, m := range members(field(o.root, "http", "routers")) {
		part := "router " + m.Key.Value
		made := traefikRouter{from: From{Source: part, Place: o.at(m.Key)}, r: reader{t.conversion, o, part}, tls: field(m.Value, "tls") != nil}
		made.rule, made.at = text(field(m.Value, "rule")), o.at(field(m.Value, "rule"))
		made.v2 = text(field(m.Value, "ruleSyntax")) == "v2"
		made.number(field(m.Value, "priority"))
		for _, e := range elements(field(m.Value, "entryPoints")) {
			made.entryPoints = append(made.entryPoints, text(e))
		}
		if v := field(m.Value, "parentRefs"); len(elements(v)) > 0 {
			made.r.fail(v, "parentRefs put the rule of another router in front", "write the whole rule, without parentRefs")
		}
		names := elements(field(m.Value, "middlewares"))
		names = append(names, elements(field(o.root, "http", "services", text(field(m.Value, "service")), "middlewares"))...)
		for _, e := range names {
			made.middlewares = append(made.middlewares, traefikName(text(e), traefikInFile))
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
func (o *object) traefikAnnotation(name string) (string, *yaml.Node) {
	for _, m := range members(child(o.root, "metadata", "annotations")) {
		if strings.EqualFold(m.Key.Value, traefikAnnotations+name) {
			return text(m.Value), m.Value
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

func (t *traefik) ingress(o *object) {
	base := traefikRouter{}
	list, _ := o.traefikAnnotation("router.middlewares")
	for _, name := range traefikWords(list) {
		base.middlewares = append(base.middlewares, traefikName(name, "@kubernetes"))
	}
	list, _ = o.traefikAnnotation("router.entrypoints")
	base.entryPoints = traefikWords(list)
	tls, _ := o.traefikAnnotation("router.tls")
	base.tls = tls == "true"
	syntax, _ := o.traefikAnnotation("router.rulesyntax")
	base.v2 = syntax == "v2"
	matcher, _ := o.traefikAnnotation("router.pathmatcher")
	_, priority := o.traefikAnnotation("router.priority")
	for _, p := range ingressPaths(o) {
		made := base
		made.from, made.r, made.at = p.from(), reader{t.conversion, o, p.part}, p.at
		if priority != nil {
			if n, err := strconv.Atoi(priority.Value); err == nil {
				made.priority = n
			} else {
				made.r.fail(priority, "router.priority is no number", "write one such as 10")
			}
		}
		for _, service := range t.objects {
			if isService(service) && service.space() == o.space() && service.name == p.service {
				list, _ := service.traefikAnnotation("service.middlewares")
				for _, name := range traefikWords(list) {
					made.middlewares = append(slices.Clone(made.middlewares), traefikName(name, "@kubernetes"))
				}
			}
		}
		var rules []string
		if p.host != "" {
			host := fmt.Sprintf("Host(%q)", p.host)
			if below, wildcard := strings.CutPrefix(p.host, "*."); wildcard && base.v2 {
				host = fmt.Sprintf("HostRegexp(%q)", "{subdomain:[a-zA-Z0-9-]+}."+below)
			}
			rules = append(rules, host)
		}
		switch {
		case p.kind == "default":
			rules, made.priority = []string{`PathPrefix("/")`}, math.MinInt32
		case p.path == "":
		case p.kind == "Exact":
			rules = append(rules, fmt.Sprintf("Path(%q)", p.path))
		case p.kind == "Prefix" || matcher == "":
			rules = append(rules, fmt.Sprintf("PathPrefix(%q)", p.path))
		default:
			rules = append(rules, fmt.Sprintf("%s(%q)", matcher, p.path))
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
			case m == nil && !t.options.Partial:
				a.r.problem(a.from.Place, a.from.String(), fmt.Sprintf("the middleware %q is not in the files, and may have CORS headers", name), "add it, or leave it out with -partial")
				continue
			case m == nil:
				a.changes = append(a.changes, Change{LeftOut, fmt.Sprintf("the middleware %q is not in the files, and taken as one without CORS headers", name)})
				continue
			case seen[name]:
				continue
			}
			seen[name] = true
			if chained := field(m.node, "chain", "middlewares"); chained != nil {
				var inner []string
				for _, e := range elements(chained) {
					switch n, space := text(child(e, "name")), text(child(e, "namespace")); {
					case e.Kind == yaml.ScalarNode:
						inner = append(inner, traefikName(e.Value, traefikInFile))
					case strings.Contains(n, "@"):
						inner = append(inner, n)
					default:
						inner = append(inner, traefikKey(cmp.Or(space, m.r.o.space()), n))
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
					a.changes = append(a.changes, Change{EarlierInChain, strings.Join(before, ", ") + " stands in front of the CORS headers in Traefik, refuses preflights, and refuses without CORS headers; this filter belongs in front of it"})
				}
			case a.cors.policy.key() != m.policy.key():
				a.r.problem(a.from.Place, a.from.String(), "two middlewares with CORS headers stand in its chain, and each sets some", "keep one")
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
func (t *traefik) tables() (tables []table) {
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
		if t.wants(w.String()) {
			tables = append(tables, t.table(w.String(), own))
		}
	}
	if redirected {
		for i := range tables {
			for j := range tables[i].routes {
				if r := &tables[i].routes[j]; r.policy != nil {
					r.changes = append(slices.Clone(r.changes), Change{MoreResponses, "redirects to https carry CORS headers as well, where the filter is loaded for plain http"})
				}
			}
		}
	}
	return tables
}

// table puts routers in order: by priority, which is the rule's length unless it is
// given.
func (t *traefik) table(name string, routers []traefikRouter) table {
	for i := range routers {
		if routers[i].priority == 0 {
			routers[i].priority = len(routers[i].rule)
		}
	}
	slices.SortStableFunc(routers, func(a, b traefikRouter) int { return cmp.Compare(b.priority, a.priority) })
	made := table{name: name}
	var matches []traefikMatch // of each route
	var starts []int
	for _, a := range routers {
		starts = append(starts, len(made.routes))
		routes, own := a.routes()
		made.routes = append(made.routes, routes...)
		matches = append(matches, own...)
	}
	starts = append(starts, len(made.routes))
	if len(made.routes) > maxCompared {
		t.problem(routers[0].from.Place, name, fmt.Sprintf("there are more than %d routes", maxCompared), "convert some of the files at a time")
		return made
	}
	made.labels(matches)
	for i := range routers {
		for j := i + 1; j < len(routers) && routers[i].priority == routers[j].priority; j++ {
			if made.clash(starts[i], starts[i+1], starts[j], starts[j+1]) {
				for n := starts[i]; n < starts[i+1]; n++ {
					made.routes[n].when = append(made.routes[n].when, condition{
						what:   "its place before " + routers[j].from.String() + ", of the same priority, so that Traefik asks either first",
						at:     routers[i].from.Place,
						remedy: "give one of them a priority",
					})
				}
				break
			}
		}
	}
	if made.routes = t.leaveOut(made.routes, matches); len(made.routes) > maxCompared {
		t.problem(routers[0].from.Place, name, fmt.Sprintf("what its rules leave out makes more than %d routes", maxCompared), "convert some of the files at a time")
		made.routes = nil
	}
	return made
}

// leaveOut writes routes that leave something out as routes that do not: what is left
// out goes in front, to those that come next in the order, and to none in the end.
func (t *traefik) leaveOut(routes []route, matches []traefikMatch) (all []route) {
	for i, r := range slices.Backward(routes) {
		rest := all
		all = nil
		for _, out := range matches[i].but {
			region := traefikMatch{hosts: matches[i].hosts, paths: slices.Clone(matches[i].paths)}
			if out.hosts != nil && !region.narrowHosts(out.hosts) || !region.narrowPaths(out.paths, r.from.Place) {
				continue
			}
			if len(region.when) > 0 { // not nested, which paths of these kinds are
				r.when = append(slices.Clone(r.when), region.when...)
				continue
			}
			none := route{from: r.from, paths: region.paths}
			for _, h := range region.hosts {
				none.hosts = append(none.hosts, h.pattern)
			}
			for _, next := range append(rest[:len(rest):len(rest)], none) {
				if next.hosts, next.paths = bothHosts(next.hosts, none.hosts), bothPaths(next.paths, none.paths); next.hosts == nil || next.paths == nil {
					continue
				}
				if next.hosts[0] == "" {
					next.hosts = nil
				}
				all = append(all, next)
			}
			if len(all)+len(rest) > maxCompared {
				return append(all, rest...)
			}
		}
		all = append(append(all, r), rest...)
	}
	return all
}

// bothHosts are the patterns of what is in both, nil where nothing is.
func bothHosts(some, others []string) (both []string) {
	for _, host := range listOf(some) {
		if host == "" {
			return listOf(others)
		}
		both = append(both, intersect(host, others)...)
	}
	return both
}

// bothPaths are the paths of what is in both, nil where nothing is. Where two have
// something in common and neither is all of the other, it is more.
func bothPaths(some, others []path) (both []path) {
	for _, a := range pathsOf(some) {
		for _, b := range pathsOf(others) {
			switch {
			case pathCovers(a, b):
				both = append(both, b)
			case pathsOverlap(a, b):
				both = append(both, a)
			}
		}
	}
	return both
}

// routes are those of a router, one for each alternative of its rule.
func (a traefikRouter) routes() (all []route, matches []traefikMatch) {
	branches, err := traefikBranches(a.rule)
	if err != nil {
		a.r.problem(a.at, a.from.String(), err.Error(), "write a rule such as Host(`example.com`) && PathPrefix(`/v1`)")
		return nil, nil
	}
	v2 := a.v2 || isVersion2(branches)
	for _, terms := range branches {
		m, ok := a.r.traefikMatch(terms, v2, a.at)
		if !ok {
			continue
		}
		made := route{from: a.from, paths: m.paths, when: m.when}
		for _, h := range m.hosts {
			made.hosts = append(made.hosts, h.pattern)
		}
		if a.cors != nil {
			made.policy = a.cors.policy
			made.changes = slices.Clone(a.cors.changes)
		}
		made.changes = append(made.changes, a.changes...)
		all = append(all, made)
		matches = append(matches, m)
	}
	return all, matches
}

// labels sees to wildcards that are one label in Traefik, and any number here: where
// nothing else takes the deeper names, they may.
func (t *table) labels(matches []traefikMatch) {
	for i := range t.routes {
		made := &t.routes[i]
		for _, h := range matches[i].hosts {
			if !h.one {
				continue
			}
			deeper := slices.ContainsFunc(t.routes[i+1:], func(o route) bool {
				if o.policy.key() == made.policy.key() || !slices.ContainsFunc(pathsOf(made.paths), func(p path) bool { return somePath(o.paths, func(q path) bool { return pathsOverlap(p, q) }) }) {
					return false
				}
				return someHost(o.hosts, func(pattern string) bool {
					return pattern != h.pattern && hostsOverlap(pattern, h.pattern) &&
						(pattern == "" || strings.Count(pattern, ".") != strings.Count(h.pattern, "."))
				})
			})
			if deeper {
				made.when = append(made.when, condition{what: "the host " + h.pattern + " with one label for the star", at: made.from.Place, remedy: "write the hosts"})
			} else if made.policy != nil {
				made.changes = append(slices.Clone(made.changes), Change{OneLabel, h.pattern + " takes hosts with any number of labels before " + strings.TrimPrefix(h.pattern, "*.") + "; Traefik takes one"})
			}
		}
	}
}
