// Package ingressnginx reads the annotations of ingress-nginx. How it decides was read
// in kubernetes/ingress-nginx at commit dbb11b92, its last release (1.15.1, March
// 2026): internal/ingress/controller (controller.go, location.go,
// template/template.go), store/store.go and rootfs/etc/nginx/template/nginx.tmpl.
package ingressnginx

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"corsfilter/internal/convert"
)

// Source is its line in the list of sources.
var Source = convert.Source{
	Name:     "ingress-nginx",
	Files:    "Ingresses with the annotations of ingress-nginx",
	Settings: []convert.Settings{nginxSettings},
	Reads: func(o *convert.Object) bool {
		return convert.IsIngress(o) || o.Is("networking.k8s.io", "IngressClass")
	},
	Tables: nginxTables,
}

const (
	nginxPrefix     = "nginx.ingress.kubernetes.io/"
	nginxController = "k8s.io/ingress-nginx"
	// nginxClassName is the class that it serves by default.
	nginxClassName = "nginx"
)

// nginxIngress is an Ingress, with the CORS policy of its annotations.
type nginxIngress struct {
	convert.Reader
	policy *convert.Policy
	// comments are what was left out of the annotations, with Options.Partial.
	comments []convert.Comment
}

func nginxTables(c *convert.Conversion, objects []*convert.Object) (tables []convert.Table) {
	known := map[string]string{} // classes, and whose they are
	for _, o := range objects {
		if o.Kind == "IngressClass" {
			known[o.Name] = convert.Text(o.Spec("controller"))
		}
	}
	var classes []string
	ingresses := map[string][]*nginxIngress{}
	for _, o := range objects {
		if o.Kind != "Ingress" {
			continue
		}
		class := cmp.Or(o.Class(), nginxClassName)
		if controller := known[class]; controller != "" && controller != nginxController || controller == "" && class == "higress" { // which has a source of its own
			continue
		}
		if ingresses[class] == nil {
			classes = append(classes, class)
		}
		n := &nginxIngress{Reader: convert.Reader{Conversion: c, Object: o, Part: ""}}
		ingresses[class] = append(ingresses[class], n)
		for _, row := range nginxSettings.Rows {
			if node := n.node(row.Key); node != nil && !n.saysCORS() {
				n.NoEffect(node, row.Key+" has no effect without enable-cors", `add nginx.ingress.kubernetes.io/enable-cors: "true", if CORS is meant`)
				break
			}
		}
	}
	for _, class := range classes {
		name := "ingress class " + class
		if !c.Wants(name) || !slices.ContainsFunc(ingresses[class], (*nginxIngress).saysCORS) {
			continue
		}
		n := ingresses[class][slices.IndexFunc(ingresses[class], (*nginxIngress).saysCORS)]
		if known[class] == "" && n.Object.Foreign(nginxClassName) {
			n.Fail(convert.Child(n.Object.Root, "metadata", "annotations"), fmt.Sprintf("the class %q usually belongs to another controller, and how that one reads ingress-nginx's annotations is unknown", class), "add the IngressClass if it is ingress-nginx's, or remove the annotations")
			continue
		}
		tables = append(tables, nginxTable(c, name, ingresses[class]))
	}
	return tables
}

// value returns an annotation's text, and its node where it is given.
func (n *nginxIngress) value(name string) (string, *yaml.Node) {
	return n.Object.Annotation(nginxPrefix + name)
}

// on reports whether an annotation is a boolean that is true.
func (n *nginxIngress) on(name string) bool {
	value, _ := n.value(name)
	on, err := strconv.ParseBool(value)
	return err == nil && on
}

// canary reports whether the Ingress only adds a backend to another one's paths:
// then none of its other annotations counts.
func (n *nginxIngress) canary() bool { return n.on("canary") }

// saysCORS reports whether anything of the Ingress is about CORS.
func (n *nginxIngress) saysCORS() bool {
	_, enable := n.value("enable-cors")
	return enable != nil || n.snippet() != nil
}

// snippet returns a snippet of nginx's own configuration that writes CORS headers.
func (n *nginxIngress) snippet() *yaml.Node {
	for _, name := range []string{"configuration-snippet", "server-snippet"} {
		if value, node := n.value(name); strings.Contains(strings.ToLower(value), "access-control-") {
			return node
		}
	}
	return nil
}

// nginxServer is what one host becomes.
type nginxServer struct {
	host string // "": the one that takes every other host
	// ingresses are those that name the host, in their order.
	ingresses []*nginxIngress
	locations []*nginxLocation
	// aliases are further names; aliased is the Ingress that has them.
	aliases []convert.Value
	aliased *nginxIngress
}

// nginxLocation is a place of a server, in the order in which they were made.
type nginxLocation struct {
	path  string
	exact bool
	// own is false for the location / that a server has by itself, unless an Ingress
	// gives it a backend; spare says that an Ingress which names it replaces it.
	own   bool
	spare bool
	ing   *nginxIngress // nil: none of an Ingress' annotations
	from  convert.From
	at    convert.Place
}

// nginxBuilder makes the servers of one class.
type nginxBuilder struct {
	*convert.Conversion
	ingresses []*nginxIngress
	servers   map[string]*nginxServer
	// catchAll says that an Ingress takes hosts that it does not name.
	catchAll bool
	// taken are the paths that an older Ingress has, with another policy.
	taken []*nginxLocation
}

func nginxTable(c *convert.Conversion, name string, ingresses []*nginxIngress) convert.Table {
	b := &nginxBuilder{Conversion: c, servers: map[string]*nginxServer{"": {locations: []*nginxLocation{{path: "/", spare: true}}}}}
	var canaries []*nginxIngress
	var comments []convert.Comment
	for _, n := range ingresses {
		if n.canary() {
			canaries = append(canaries, n)
			continue
		}
		for _, m := range convert.Members(convert.Child(n.Object.Root, "metadata", "annotations")) {
			if strings.HasPrefix(m.Key.Value, nginxPrefix) && m.Value.Kind != yaml.ScalarNode {
				n.Fail(m.Value, strings.TrimPrefix(m.Key.Value, nginxPrefix)+" is not a string", "write one")
			}
		}
		n.readPolicy()
		if n.policy == nil {
			comments = append(comments, n.comments...)
		}
		b.ingresses = append(b.ingresses, n)
	}
	// The older one comes first; of the same age, the one whose name is the last.
	slices.SortStableFunc(b.ingresses, func(x, y *nginxIngress) int {
		return cmp.Or(strings.Compare(x.Object.Created, y.Object.Created), strings.Compare(y.name(), x.name()))
	})
	b.makeServers()
	b.makeLocations()
	t := convert.Table{Name: name}
	for _, s := range b.inOrder() {
		t.Routes = append(t.Routes, b.server(s, canaries)...)
	}
	i := slices.IndexFunc(t.Routes, func(r convert.Route) bool { return r.Policy != nil })
	for _, l := range b.taken {
		what := "has no effect: an older Ingress, or one with a later name, has the same host and path"
		if i >= 0 {
			t.Routes[i].Changes = append(t.Routes[i].Changes, convert.Change{Kind: convert.LeftOut, Text: l.from.String() + " " + what})
		} else if l.ing.policy != nil {
			l.ing.Fail(l.ing.node("enable-cors"), "enable-cors "+what, "write it for that one")
		}
	}
	if i >= 0 && len(comments) > 0 {
		t.Routes[i].Policy.Comments = append(t.Routes[i].Policy.Comments, comments...)
	}
	return t
}

func (n *nginxIngress) name() string { return n.Object.Space() + "/" + n.Object.Name }

// guessed reports whether two Ingresses have different policies, and which of them
// is the older is not known.
func guessed(x, y *nginxIngress) bool {
	return x != y && x != nil && y != nil && (x.Object.Created == "" || y.Object.Created == "") && x.policy.Key() != y.policy.Key()
}

// refuseOrder reports that the files do not say which of two Ingresses is older.
func (n *nginxIngress) refuseOrder(at convert.Place, from convert.From, other *nginxIngress, what string) {
	n.Problem(at, from.String(), fmt.Sprintf("%s has %s as well, with another policy: the older one applies, and the files do not say which is older", other.Object, what), "export the objects from the cluster, with their creationTimestamp, or leave one out")
}

// rules calls back for each rule with its host and its part of the object.
func (n *nginxIngress) rules(each func(host, part string, rule *yaml.Node)) {
	for i, rule := range convert.Elements(n.Object.Spec("rules")) {
		each(strings.ToLower(convert.Text(convert.Child(rule, "host"))), fmt.Sprintf("rules[%d]", i), rule)
	}
}

// defaultBackend is the Ingress' own, where it is a Service.
func (n *nginxIngress) defaultBackend() *yaml.Node {
	for _, p := range convert.IngressPaths(n.Object) {
		if p.Kind == "default" && p.Service != "" {
			return p.Node
		}
	}
	return nil
}

// makeServers makes a server of each host. Its location / has the annotations of
// the Ingress that names the host first.
func (b *nginxBuilder) makeServers() {
	for _, n := range b.ingresses {
		def := n.defaultBackend()
		if root := b.servers[""].locations[0]; def != nil && len(convert.Elements(n.Object.Spec("rules"))) == 0 {
			from := n.Object.From("defaultBackend", def)
			if root.spare {
				*root = nginxLocation{path: "/", own: true, ing: n, from: from, at: from.Place}
			} else if guessed(root.ing, n) {
				n.refuseOrder(from.Place, from, root.ing, "a backend for all hosts")
			}
			b.catchAll = true
		}
		n.rules(func(host, part string, rule *yaml.Node) {
			if host == "" {
				b.catchAll = true
				return
			}
			s := b.servers[host]
			if s == nil {
				root := &nginxLocation{path: "/", spare: true, ing: n, from: n.Object.From(part, rule), at: n.Object.At(rule)}
				if def != nil {
					root.own, root.from, root.at = true, n.Object.From("defaultBackend", def), n.Object.At(def)
				}
				s = &nginxServer{host: host, locations: []*nginxLocation{root}}
				b.servers[host] = s
			} else if first := s.ingresses[0]; guessed(first, n) && (def != nil || first.defaultBackend() != nil) {
				from := n.Object.From(part, rule)
				n.refuseOrder(from.Place, from, first, "the host "+host)
			}
			if !slices.Contains(s.ingresses, n) {
				s.ingresses = append(s.ingresses, n)
			}
			if alias, node := n.value("server-alias"); s.aliased == nil && alias != "" {
				s.aliased = n
				for a := range strings.SplitSeq(alias, ",") {
					if a = strings.ToLower(strings.TrimSpace(a)); a != "" {
						s.aliases = append(s.aliases, convert.Value{Text: a, At: n.Object.At(node)})
					}
				}
			}
		})
	}
}

// makeLocations adds the paths of all Ingresses. Of two with the same path and type
// the first holds; a location / that no Ingress has named yet is replaced.
func (b *nginxBuilder) makeLocations() {
	for _, n := range b.ingresses {
		for _, p := range convert.IngressPaths(n.Object) {
			if p.Service == "" || p.Kind == "default" {
				continue
			}
			here := n.Inside(p.Part)
			l := &nginxLocation{path: cmp.Or(p.Path, "/"), own: true, ing: n, from: p.From(), at: p.At}
			if !strings.HasPrefix(l.path, "/") {
				here.Fail(convert.Child(p.Node, "path"), fmt.Sprintf("the path %q does not begin with a slash, which Kubernetes refuses", convert.Shortened(l.path)), "write it with one")
				continue
			}
			switch p.Kind {
			case "Exact":
				l.exact = true
			case "Prefix", "ImplementationSpecific": // which ingress-nginx takes for the same
			default:
				here.Fail(convert.Child(p.Node, "pathType"), fmt.Sprintf("%q is not a pathType", convert.Shortened(p.Kind)), "write Exact, Prefix or ImplementationSpecific")
				continue
			}
			b.add(b.servers[p.Host], l)
		}
	}
}

func (b *nginxBuilder) add(s *nginxServer, l *nginxLocation) {
	i := slices.IndexFunc(s.locations, func(o *nginxLocation) bool { return o.path == l.path })
	switch {
	case i < 0 || s.locations[i].exact != l.exact:
		s.locations = append(s.locations, l)
	case s.locations[i].spare:
		s.locations[i] = l
	case guessed(s.locations[i].ing, l.ing):
		l.ing.refuseOrder(l.at, l.from, s.locations[i].ing, fmt.Sprintf("the path %q of the same host", convert.Shortened(l.path)))
	case s.locations[i].ing.policy.Key() != l.ing.policy.Key():
		b.taken = append(b.taken, l)
	}
}

// inOrder returns the servers as nginx looks for them: names, then wildcards (which
// are regexes of one label there), then the one for every other host.
func (b *nginxBuilder) inOrder() (all []*nginxServer) {
	for _, s := range b.servers {
		all = append(all, s)
	}
	slices.SortFunc(all, func(x, y *nginxServer) int {
		return cmp.Or(convert.HostRank(x.host)-convert.HostRank(y.host), len(y.host)-len(x.host), strings.Compare(x.host, y.host))
	})
	return all
}

// server makes the routes of a server.
func (b *nginxBuilder) server(s *nginxServer, canaries []*nginxIngress) []convert.Route {
	routes := b.locations(s)
	hosts, when, changes := b.hosts(s)
	for _, n := range canaries {
		n.rules(func(host, _ string, _ *yaml.Node) {
			if host == s.host && n.on("enable-cors") {
				changes = append(changes, convert.Change{Kind: convert.LeftOut, Text: "the CORS annotations of " + n.Object.String() + " are left out: a canary's have no effect in ingress-nginx either"})
			}
		})
	}
	var made []convert.Route
	for _, r := range routes {
		r.Hosts = hosts
		r.When = append(slices.Clone(when), r.When...)
		made = append(made, r)
	}
	convert.WithChanges(made, changes...)
	if s.host == "" {
		return made
	}
	if slices.ContainsFunc(s.locations, func(l *nginxLocation) bool { return !l.own }) {
		convert.WithChanges(made, convert.Change{Kind: convert.DefaultBackend, Text: "paths that no Ingress names have no policy; ingress-nginx answers them by its default backend, with the CORS headers of the host's oldest Ingress"})
	}
	first := s.ingresses[0]
	if !slices.ContainsFunc(s.locations, func(l *nginxLocation) bool { return l.own && !l.exact && l.path == "/" }) {
		made = append(made, convert.Route{From: first.Object.From("rules", first.Object.Spec("rules")), Hosts: hosts, When: when, Replies: true})
	}
	// The host with or without www. only redirects, without any headers of CORS.
	if other := nginxWWW(s.host); other != "" && b.servers[other] == nil && s.some(func(l *nginxLocation) bool { return l.ing.on("from-to-www-redirect") }) {
		made = append(made, convert.Route{From: first.Object.From("", first.Object.Root), Hosts: []string{other}, Replies: true})
	}
	return made
}

func nginxWWW(host string) string {
	if rest, www := strings.CutPrefix(host, "www."); www {
		return rest
	}
	if host == "" || strings.HasPrefix(host, "*") {
		return ""
	}
	return "www." + host
}

// hosts are the patterns of a server, with what they ask for beyond rules, and how they
// differ here.
func (b *nginxBuilder) hosts(s *nginxServer) (hosts []string, when []convert.Condition, changes []convert.Change) {
	if s.host == "" {
		return nil, nil, nil
	}
	hosts = []string{s.host}
	if below, wildcard := strings.CutPrefix(s.host, "*."); wildcard {
		if b.catchAll {
			when = append(when, convert.Condition{What: "exactly one label before " + below + " in the host", At: s.locations[0].at, Remedy: "write the hosts"})
		} else {
			changes = append(changes, convert.Change{Kind: convert.OneLabel, Text: s.host + " takes hosts with any number of labels before " + below + "; ingress-nginx takes one, and answers the others by its default backend"})
		}
	}
	for _, a := range s.aliases {
		alias := a.Text
		switch _, taken := b.servers[alias]; {
		case taken || slices.Contains(hosts, alias):
		case strings.HasPrefix(alias, "*.") && !strings.ContainsAny(alias[2:], "*~^$()"), !strings.ContainsAny(alias, "*~^$()"):
			hosts = append(hosts, alias)
		default:
			b.Problem(a.At, s.aliased.Object.String(), fmt.Sprintf("the server-alias %q is a regex, or a wildcard at the end", convert.Shortened(alias)), "write the hosts")
		}
	}
	return hosts, when, changes
}

// locations makes the routes of a server's locations, as location.go and nginx
// order them: exact ones, then the longest prefix; or, where one location rewrites
// or has a regex, all of them as regexes in the order of their lengths.
func (b *nginxBuilder) locations(s *nginxServer) (routes []convert.Route) {
	// What no Ingress names is the default backend's, which has no policy here.
	all := slices.DeleteFunc(slices.Clone(s.locations), func(l *nginxLocation) bool { return !l.own })
	slices.SortStableFunc(all, func(x, y *nginxLocation) int {
		return cmp.Or(len(y.path)-len(x.path), strings.Compare(y.path, x.path))
	})
	if s.some((*nginxLocation).needsRegex) {
		for _, l := range all {
			routes = append(routes, l.regexRoute(all))
		}
	} else {
		for _, l := range all {
			if l.exact {
				routes = append(routes, l.route(convert.ExactPath, l.path))
			}
		}
		for i, l := range all {
			if !l.exact {
				b.refuseTwin(all[:i], l)
				routes = append(routes, l.prefixRoutes(all)...)
			}
		}
	}
	if slices.ContainsFunc(all, func(l *nginxLocation) bool { return l.path != "/" }) {
		convert.WithChanges(routes, convert.Change{Kind: convert.PathSpelling, Text: "a path is compared as the proxy has it; ingress-nginx decodes it first, and takes slashes that follow each other for one (Envoy's normalize_path and merge_slashes come close)"})
	}
	if s.some(func(l *nginxLocation) bool { root, _ := l.ing.value("app-root"); return strings.HasPrefix(root, "/") }) {
		convert.WithChanges(routes, convert.Change{Kind: convert.MoreResponses, Text: "the redirect of / that app-root makes carries CORS headers as well"})
	}
	return routes
}

// refuseTwin refuses the prefixes "/api" and "/api/" of one host with two policies:
// they become the same location, and nginx does not load a configuration that has it twice.
func (b *nginxBuilder) refuseTwin(before []*nginxLocation, l *nginxLocation) {
	for _, o := range before {
		if !o.exact && o.path == l.path+"/" && o.ing.policy.Key() != l.ing.policy.Key() {
			b.Problem(l.at, l.from.String(), fmt.Sprintf("the prefix %q becomes the same location as %q of %s, which has another policy, and nginx loads neither", convert.Shortened(l.path), convert.Shortened(o.path), o.from), "keep one of them")
		}
	}
}

// some reports whether a location with an Ingress' annotations is so.
func (s *nginxServer) some(is func(*nginxLocation) bool) bool {
	return slices.ContainsFunc(s.locations, func(l *nginxLocation) bool { return l.ing != nil && is(l) })
}

// rewrites reports whether the location is a regex by its own annotations.
func (l *nginxLocation) rewrites() bool {
	target, _ := l.ing.value("rewrite-target")
	target = strings.TrimSpace(target)
	return target != "" && nginxTarget.MatchString(target) && target != l.path || l.ing.on("use-regex")
}

var nginxTarget = regexp.MustCompile(`^[A-Za-z0-9/\-._~:$]*$`)

// needsRegex reports whether the location makes all of its server's regexes. The
// slash that a prefix gets at its end counts as another path than the target.
func (l *nginxLocation) needsRegex() bool {
	if l.rewrites() {
		return true
	}
	target, _ := l.ing.value("rewrite-target")
	target = strings.TrimSpace(target)
	return !l.exact && l.path != "/" && target != "" && nginxTarget.MatchString(target) && !strings.HasSuffix(l.path, "/")
}

func (l *nginxLocation) route(kind convert.PathKind, text string) convert.Route {
	return convert.Route{From: l.from, Policy: l.ing.policy, Paths: []convert.Path{{Kind: kind, Text: text, At: l.at}}}
}

// prefixRoutes are those of a prefix: nginx has it with a slash at its end, and a
// location for the path without. Where that is left to somebody else, or where the
// slash is the Ingress' own, the path without is redirected to the one with it,
// without CORS headers.
func (l *nginxLocation) prefixRoutes(all []*nginxLocation) []convert.Route {
	stem, slash := strings.CutSuffix(l.path, "/")
	if stem == "" {
		return []convert.Route{l.route(convert.PrefixPath, l.path)}
	}
	switch {
	case !slash: // an exact location for the stem comes first anyway
		return []convert.Route{l.route(convert.BelowPath, stem)}
	case nginxExact(all, stem):
		return []convert.Route{l.route(convert.PrefixPath, stem+"/")}
	}
	routes := []convert.Route{l.route(convert.PrefixPath, l.path)}
	if !slices.ContainsFunc(all, func(o *nginxLocation) bool { return !o.exact && o.path == stem }) {
		redirect := l.route(convert.ExactPath, stem)
		redirect.Policy, redirect.Replies = nil, true
		routes = append(routes, redirect)
	}
	return routes
}

// nginxExact reports whether a location has a path exactly.
func nginxExact(all []*nginxLocation, path string) bool {
	return slices.ContainsFunc(all, func(l *nginxLocation) bool { return l.exact && l.path == path })
}

// regexRoute is the location as a regex: without case, and open at its end, an exact
// one as well. A prefix beside an exact one begins with the slash behind.
func (l *nginxLocation) regexRoute(all []*nginxLocation) convert.Route {
	r := convert.Route{From: l.from, Policy: l.ing.policy}
	if l.path == "/" {
		return r
	}
	regex := l.path
	if !l.exact && !l.rewrites() && nginxExact(all, l.path) && !strings.HasSuffix(regex, "/") {
		regex += "/"
	}
	p, err := convert.RegexOf("(?i)"+convert.WholeRegex(regex, true), l.at)
	if err != nil {
		r.When = []convert.Condition{{What: fmt.Sprintf("the path %q, which is a regex in ingress-nginx and cannot be converted (%v)", convert.Shortened(l.path), err), At: l.at, Remedy: `write the path, or a prefix ("/api(/|$)(.*)" is one)`}}
		return r
	}
	r.Paths = []convert.Path{p}
	return r
}
