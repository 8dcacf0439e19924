package convert

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"corsfilter/internal/document"
)

// What Kong's ingress controller makes of Kubernetes objects.

// kongObjects are those of all files.
type kongObjects struct {
	*conversion
	objects []*object
	plugins map[string]*kongPlugin // by "namespace/name", and "/name" for those of the cluster
	// cors says that one of them is the cors plugin.
	cors   bool
	global *policy
	at     From
}

// kongPlugin is a KongPlugin; cors is false for another plugin, and policy is nil
// where it is switched off.
type kongPlugin struct {
	o      *object
	cors   bool
	policy *policy
	used   bool
}

func kongObjectsOf(c *conversion, objects []*object) *kongObjects {
	k := &kongObjects{conversion: c, objects: objects, plugins: map[string]*kongPlugin{}}
	for _, o := range objects {
		if !isKongPlugin(o) {
			continue
		}
		key := o.space() + "/" + o.name
		if o.kind == "KongClusterPlugin" {
			key = "/" + o.name
		}
		p := &kongPlugin{o: o, cors: text(child(o.root, "plugin")) == "cors"}
		k.plugins[key] = p
		if !p.cors {
			continue
		}
		k.cors = true
		r := reader{c, o, ""}
		if off, _ := r.boolean(child(o.root, "disabled"), "disabled"); off {
			p.used = true
			continue
		}
		for _, key := range []string{"configFrom", "configPatches"} {
			if v := document.Child(o.root, key); v != nil {
				r.fail(v, "its configuration stands in a Secret", "write it into config")
			}
		}
		p.policy = r.kongPolicy(child(o.root, "config"), o.at(nil))
		if label := document.Scalar(document.Child(document.Child(document.Child(o.root, "metadata"), "labels"), "global")); label == "true" && o.kind == "KongClusterPlugin" {
			if p.used = true; k.global != nil {
				r.fail(nil, "a second cors plugin holds for everything", "keep one")
			}
			k.global, k.at = p.policy, o.from("", nil)
		}
	}
	return k
}

const kongAnnotations = "konghq.com/"

// find returns the plugin of a name, as an object names it: with a namespace
// before a colon, in its own, or of the cluster.
func (k *kongObjects) find(o *object, name string) *kongPlugin {
	space, name := o.space(), strings.TrimSpace(name)
	if s, n, ok := strings.Cut(name, ":"); ok {
		space, name = s, n
	}
	if p := k.plugins[space+"/"+name]; p != nil {
		return p
	}
	return k.plugins["/"+name]
}

// policyOf returns the policy that an object's annotation names, and whether it
// names a cors plugin at all.
func (k *kongObjects) policyOf(o *object) (found *policy, named bool, changes []Change) {
	names, node := o.annotation(kongAnnotations + "plugins")
	r := reader{k.conversion, o, "annotation " + kongAnnotations + "plugins"}
	for name := range strings.SplitSeq(names, ",") {
		name = strings.TrimSpace(name)
		if name == "" {
			continue
		}
		switch p := k.find(o, name); {
		case p == nil && !k.options.Partial:
			r.fail(node, fmt.Sprintf("the plugin %q is not in the files, and may be cors", name), "add it, or leave it out with -partial")
		case p == nil:
			changes = append(changes, kongMissing(name))
		case !p.cors:
		case named:
			r.fail(node, "it names two cors plugins", "keep one")
		default:
			p.used = true
			found, named = p.policy, p.policy != nil
		}
	}
	return found, named, changes
}

// kongMissing is a plugin that is left out.
func kongMissing(name string) Change {
	return Change{LeftOut, fmt.Sprintf("the plugin %q is not in the files, and taken as another one than cors", name)}
}

// service returns the policy of a Service by its name.
func (k *kongObjects) service(space, name string) (*policy, bool, []Change) {
	for _, o := range k.objects {
		if isService(o) && o.space() == space && o.name == name {
			return k.policyOf(o)
		}
	}
	return nil, false, nil
}

// table makes a table of the Ingresses.
func (k *kongObjects) table(name string) table {
	var routes []kongRoute
	var all []*object
	for _, o := range k.objects {
		if isIngress(o) && !o.foreign("kong") {
			all = append(all, o)
		}
	}
	slices.SortStableFunc(all, byAge)
	for _, o := range all {
		own, has, changes := k.policyOf(o)
		base := kongRoute{changes: changes}
		base.attributes(reader{k.conversion, o, ""})
		for _, p := range ingressPaths(o) {
			made := base
			made.from, made.r = p.from(), reader{k.conversion, o, p.part}
			if made.policy = own; !has {
				service, named, changes := k.service(o.space(), p.service)
				made.changes = slices.Concat(made.changes, changes)
				if made.policy = service; !named {
					made.policy = k.global
				}
			}
			if p.host != "" {
				made.hosts = append([]value{{p.host, p.at}}, base.hosts...)
			}
			for _, path := range kongIngressPaths(p) {
				one := made
				one.path = path
				routes = append(routes, one)
			}
		}
	}
	for _, o := range k.objects { // what HTTPRoutes name is read with them
		if isService(o) || isHTTPRoute(o) {
			k.mark(o)
		}
	}
	for _, p := range k.plugins {
		if p.cors && !p.used {
			reader{k.conversion, p.o, ""}.fail(nil, "nothing in the files uses the plugin", "add the Ingresses, HTTPRoutes or Services that name it in the annotation konghq.com/plugins")
		}
	}
	global := k.global
	if slices.ContainsFunc(k.objects, isHTTPRoute) {
		global = nil // HTTPRoutes take requests as well
	}
	return kongOrder(k.conversion, name, routes, global, k.at)
}

// mark takes the plugins that an object names as used. A Service needs a route that
// leads to it.
func (k *kongObjects) mark(o *object) {
	names, node := o.annotation(kongAnnotations + "plugins")
	all := strings.Split(names, ",")
	for _, rule := range elements(o.spec("rules")) {
		for _, ref := range kongRefs(rule) {
			all = append(all, text(child(ref, "name")))
		}
	}
	for _, name := range all {
		p := k.find(o, name)
		if p == nil || !p.cors || p.used {
			continue
		}
		p.used = true
		if isService(o) && !k.reached(o) {
			reader{k.conversion, o, ""}.fail(node, "no Ingress or HTTPRoute in the files leads to the Service, and a rule needs hosts and paths", "add those that do")
		}
	}
}

// reached reports whether a route in the files leads to a Service.
func (k *kongObjects) reached(service *object) bool {
	return slices.ContainsFunc(k.objects, func(o *object) bool {
		switch {
		case isIngress(o):
			return o.space() == service.space() && slices.ContainsFunc(ingressPaths(o), func(p ingressPath) bool { return p.service == service.name })
		case isHTTPRoute(o):
			return slices.ContainsFunc(elements(o.spec("rules")), func(rule *yaml.Node) bool {
				return slices.Contains(backendsOf(o, rule), kongBackend{service.space(), service.name})
			})
		}
		return false
	})
}

// kongBackend is a Service.
type kongBackend struct{ space, name string }

// backendsOf are the Services that a rule of an HTTPRoute leads to.
func backendsOf(o *object, rule *yaml.Node) (all []kongBackend) {
	for _, b := range elements(child(rule, "backend_refs")) {
		space := text(child(b, "namespace"))
		if space == "" {
			space = o.space()
		}
		all = append(all, kongBackend{space, text(child(b, "name"))})
	}
	return all
}

// kongRefs are the plugins that the filters of a rule name.
func kongRefs(rule *yaml.Node) (refs []*yaml.Node) {
	for _, f := range elements(child(rule, "filters")) {
		if ref := child(f, "extension_ref"); ref != nil && text(child(ref, "group")) == kongGroup {
			refs = append(refs, ref)
		}
	}
	return refs
}

// attributes reads what annotations ask for beside host and path.
func (a *kongRoute) attributes(r reader) {
	list := func(name string) (values []value) {
		_, node := r.o.annotation(kongAnnotations + name)
		return r.commas(node, name)
	}
	a.hosts, a.methods, a.snis = list("host-aliases"), list("methods"), list("snis")
	for _, m := range members(child(r.o.root, "metadata", "annotations")) {
		if name, ok := strings.CutPrefix(m.Key.Value, kongAnnotations+"headers."); ok {
			a.headers = append(a.headers, value{name, r.o.at(m.Key)})
		}
	}
	if priority, node := r.o.annotation(kongAnnotations + "regex-priority"); node != nil {
		var err error
		if a.regexPriority, err = strconv.Atoi(priority); err != nil {
			r.fail(node, "regex-priority is no number", "write one such as 10")
		}
	}
}

// kongIngressPaths are the paths that the controller writes for one of an Ingress.
func kongIngressPaths(p ingressPath) []*kongPath {
	path := p.path
	for strings.Contains(path, "//") {
		path = strings.ReplaceAll(path, "//", "/")
	}
	switch base := strings.Trim(path, "/"); {
	case p.kind == "default" || base == "" && p.kind != "Exact":
		return []*kongPath{{text: "/", at: p.at}}
	case p.kind == "Prefix":
		return []*kongPath{{text: "/" + base + "/", at: p.at}, {text: "/" + base, exact: true, at: p.at}}
	case p.kind == "Exact":
		return []*kongPath{{text: "/" + strings.TrimLeft(path, "/"), exact: true, at: p.at}}
	}
	prefix := "/~"
	if own, node := p.o.annotation(kongAnnotations + "regex-prefix"); node != nil {
		prefix = own
	}
	if regex, ok := strings.CutPrefix(path, prefix); ok {
		return []*kongPath{{text: regex, regex: true, at: p.at}}
	}
	return []*kongPath{{text: path, at: p.at}}
}

// kongAttacher gives rules of HTTPRoutes the plugin that they or their route name,
// or the Services that they lead to, or what holds for everything.
var kongAttacher = attacher{
	reads: func(o *object) bool { return isKongPlugin(o) || isService(o) },
	attach: func(c *conversion, objects []*object) func(gatewayTarget) (*policy, []Change) {
		k := kongObjectsOf(c, objects)
		return func(t gatewayTarget) (*policy, []Change) {
			if !k.cors || !isHTTPRoute(t.route) {
				return nil, nil
			}
			return k.rule(t.route, t.node)
		}
	},
}

func (k *kongObjects) rule(o *object, rule *yaml.Node) (*policy, []Change) {
	r := reader{k.conversion, o, ""}
	own, has, changes := k.policyOf(o)
	for _, ref := range kongRefs(rule) {
		p := k.find(o, text(child(ref, "name")))
		switch {
		case p == nil && !k.options.Partial:
			r.fail(ref, fmt.Sprintf("the plugin %q is not in the files, and may be cors", text(child(ref, "name"))), "add it, or leave it out with -partial")
		case p == nil:
			changes = append(changes, kongMissing(text(child(ref, "name"))))
		case p.policy == nil:
		case has:
			r.fail(ref, "a second cors plugin, beside the route's", "keep one")
		default:
			own, has = p.policy, true
		}
	}
	if has {
		return own, changes
	}
	for i, b := range backendsOf(o, rule) {
		p, named, missing := k.service(b.space, b.name)
		changes = append(changes, missing...)
		if !named {
			p = k.global
		}
		if i > 0 && p.key() != own.key() {
			r.fail(rule, "its Services have different cors plugins, and which one a request goes to is decided later", "name one for the HTTPRoute")
		}
		own = p
	}
	if own == nil {
		own = k.global
	}
	return own, changes
}
