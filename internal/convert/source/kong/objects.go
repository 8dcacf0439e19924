package kong

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"corsfilter/internal/convert"
	"corsfilter/internal/document"
)

// What Kong's ingress controller makes of Kubernetes objects.

// kongObjects are those of all files.
type kongObjects struct {
	*convert.Conversion
	objects []*convert.Object
	plugins map[string]*kongPlugin // by "namespace/name", and "/name" for those of the cluster
	// cors says that one of them is the cors plugin.
	cors   bool
	global *convert.Policy
	at     convert.From
}

// kongPlugin is a KongPlugin; cors is false for another plugin, and policy is nil
// where it is switched off.
type kongPlugin struct {
	o      *convert.Object
	cors   bool
	policy *convert.Policy
	used   bool
}

func kongObjectsOf(c *convert.Conversion, objects []*convert.Object) *kongObjects {
	k := &kongObjects{Conversion: c, objects: objects, plugins: map[string]*kongPlugin{}}
	for _, o := range objects {
		if !isKongPlugin(o) {
			continue
		}
		key := o.Space() + "/" + o.Name
		if o.Kind == "KongClusterPlugin" {
			key = "/" + o.Name
		}
		p := &kongPlugin{o: o, cors: convert.Text(convert.Child(o.Root, "plugin")) == "cors"}
		k.plugins[key] = p
		if !p.cors {
			continue
		}
		k.cors = true
		r := convert.Reader{Conversion: c, Object: o, Part: ""}
		if r.Flag(o.Root, "disabled") {
			p.used = true
			continue
		}
		for _, key := range []string{"configFrom", "configPatches"} {
			if v := document.Child(o.Root, key); v != nil {
				r.Fail(v, "its configuration stands in a Secret", "write it into config")
			}
		}
		p.policy = kongPolicy(r, convert.Child(o.Root, "config"), o.At(nil))
		if label := document.Scalar(document.Child(document.Child(document.Child(o.Root, "metadata"), "labels"), "global")); label == "true" && o.Kind == "KongClusterPlugin" {
			if p.used = true; k.global != nil {
				r.Fail(nil, "a second cors plugin holds for everything", "keep one")
			}
			k.global, k.at = p.policy, o.From("", nil)
		}
	}
	return k
}

const kongAnnotations = "konghq.com/"

// find returns the plugin of a name, as an object names it: with a namespace
// before a colon, in its own, or of the cluster.
func (k *kongObjects) find(o *convert.Object, name string) *kongPlugin {
	space, name := o.Space(), strings.TrimSpace(name)
	if s, n, ok := strings.Cut(name, ":"); ok {
		space, name = s, n
	}
	return cmp.Or(k.plugins[space+"/"+name], k.plugins["/"+name])
}

// policyOf returns the policy that an object's annotation names, and whether it
// names a cors plugin at all.
func (k *kongObjects) policyOf(o *convert.Object) (found *convert.Policy, named bool, changes []convert.Change) {
	names, node := o.Annotation(kongAnnotations + "plugins")
	r := convert.Reader{Conversion: k.Conversion, Object: o, Part: "annotation " + kongAnnotations + "plugins"}
	for name := range strings.SplitSeq(names, ",") {
		if name = strings.TrimSpace(name); name == "" {
			continue
		}
		switch p := k.named(r, node, name, &changes); {
		case p == nil || !p.cors:
		case named:
			r.Fail(node, "it names two cors plugins", "keep one")
		default:
			p.used = true
			found, named = p.policy, p.policy != nil
		}
	}
	return found, named, changes
}

// named returns the plugin of a name that stands at a node; one that is not in the files
// is a problem, or left out.
func (k *kongObjects) named(r convert.Reader, node *yaml.Node, name string, changes *[]convert.Change) *kongPlugin {
	p := k.find(r.Object, name)
	if p == nil && k.Options.Partial {
		*changes = append(*changes, convert.Change{Kind: convert.LeftOut, Text: fmt.Sprintf("the plugin %q is not in the files, and taken as another one than cors", name)})
	} else if p == nil {
		r.Fail(node, fmt.Sprintf("the plugin %q is not in the files, and may be cors", name), "add it, or leave it out with -partial")
	}
	return p
}

// service returns the policy of a Service by its name.
func (k *kongObjects) service(space, name string) (*convert.Policy, bool, []convert.Change) {
	for _, o := range k.objects {
		if convert.IsService(o) && o.Space() == space && o.Name == name {
			return k.policyOf(o)
		}
	}
	return nil, false, nil
}

// table makes a table of the Ingresses.
func (k *kongObjects) table(name string) convert.Table {
	var routes []kongRoute
	for _, o := range convert.Ingresses(k.objects, "kong") {
		own, has, changes := k.policyOf(o)
		base := kongRoute{changes: changes}
		base.attributes(convert.Reader{Conversion: k.Conversion, Object: o, Part: ""})
		for _, p := range convert.IngressPaths(o) {
			made := base
			made.from, made.r = p.From(), convert.Reader{Conversion: k.Conversion, Object: o, Part: p.Part}
			if made.policy = own; !has {
				service, named, changes := k.service(o.Space(), p.Service)
				made.changes = slices.Concat(made.changes, changes)
				if made.policy = service; !named {
					made.policy = k.global
				}
			}
			if p.Host != "" {
				made.hosts = append([]convert.Value{{Text: p.Host, At: p.At}}, base.hosts...)
			}
			for _, path := range kongIngressPaths(p) {
				one := made
				one.path = path
				routes = append(routes, one)
			}
		}
	}
	for _, o := range k.objects { // what HTTPRoutes name is read with them
		if convert.IsService(o) || convert.IsHTTPRoute(o) {
			k.mark(o)
		}
	}
	for _, p := range k.plugins {
		if p.cors && !p.used {
			convert.Reader{Conversion: k.Conversion, Object: p.o, Part: ""}.Fail(nil, "nothing in the files uses the plugin", "add the Ingresses, HTTPRoutes or Services that name it in the annotation konghq.com/plugins")
		}
	}
	global := k.global
	if slices.ContainsFunc(k.objects, convert.IsHTTPRoute) {
		global = nil // HTTPRoutes take requests as well
	}
	return kongOrder(k.Conversion, name, routes, global, k.at)
}

// mark takes the plugins that an object names as used. A Service needs a route that
// leads to it.
func (k *kongObjects) mark(o *convert.Object) {
	names, node := o.Annotation(kongAnnotations + "plugins")
	all := strings.Split(names, ",")
	for _, rule := range convert.Elements(o.Spec("rules")) {
		for _, ref := range kongRefs(rule) {
			all = append(all, convert.Text(convert.Child(ref, "name")))
		}
	}
	for _, name := range all {
		p := k.find(o, name)
		if p == nil || !p.cors || p.used {
			continue
		}
		p.used = true
		if convert.IsService(o) && !k.reached(o) {
			convert.Reader{Conversion: k.Conversion, Object: o, Part: ""}.Fail(node, "no Ingress or HTTPRoute in the files leads to the Service, and a rule needs hosts and paths", "add those that do")
		}
	}
}

// reached reports whether a route in the files leads to a Service.
func (k *kongObjects) reached(service *convert.Object) bool {
	return slices.ContainsFunc(k.objects, func(o *convert.Object) bool {
		switch {
		case convert.IsIngress(o):
			return o.Space() == service.Space() && slices.ContainsFunc(convert.IngressPaths(o), func(p convert.IngressPath) bool { return p.Service == service.Name })
		case convert.IsHTTPRoute(o):
			return slices.ContainsFunc(convert.Elements(o.Spec("rules")), func(rule *yaml.Node) bool {
				return slices.Contains(backendsOf(o, rule), kongBackend{service.Space(), service.Name})
			})
		}
		return false
	})
}

// kongBackend is a Service.
type kongBackend struct{ space, name string }

// backendsOf are the Services that a rule of an HTTPRoute leads to.
func backendsOf(o *convert.Object, rule *yaml.Node) (all []kongBackend) {
	for _, b := range convert.Elements(convert.Child(rule, "backend_refs")) {
		all = append(all, kongBackend{cmp.Or(convert.Text(convert.Child(b, "namespace")), o.Space()), convert.Text(convert.Child(b, "name"))})
	}
	return all
}

// kongRefs are the plugins that the filters of a rule name.
func kongRefs(rule *yaml.Node) (refs []*yaml.Node) {
	for _, f := range convert.Elements(convert.Child(rule, "filters")) {
		if ref := convert.Child(f, "extension_ref"); ref != nil && convert.Text(convert.Child(ref, "group")) == kongGroup {
			refs = append(refs, ref)
		}
	}
	return refs
}

// attributes reads what annotations ask for beside host and path.
func (a *kongRoute) attributes(r convert.Reader) {
	list := func(name string) (values []convert.Value) {
		_, node := r.Object.Annotation(kongAnnotations + name)
		return r.Commas(node, name)
	}
	a.hosts, a.methods, a.snis = list("host-aliases"), list("methods"), list("snis")
	for _, m := range convert.Members(convert.Child(r.Object.Root, "metadata", "annotations")) {
		if name, ok := strings.CutPrefix(m.Key.Value, kongAnnotations+"headers."); ok {
			a.headers = append(a.headers, convert.Value{Text: name, At: r.Object.At(m.Key)})
		}
	}
	_, priority := r.Object.Annotation(kongAnnotations + "regex-priority")
	a.regexPriority = r.Whole(priority, "regex-priority", "number")
}

// kongIngressPaths are the paths that the controller writes for one of an Ingress.
func kongIngressPaths(p convert.IngressPath) []*kongPath {
	path := p.Path
	for strings.Contains(path, "//") {
		path = strings.ReplaceAll(path, "//", "/")
	}
	switch base := strings.Trim(path, "/"); {
	case p.Kind == "default" || base == "" && p.Kind != "Exact":
		return []*kongPath{{text: "/", at: p.At}}
	case p.Kind == "Prefix":
		return []*kongPath{{text: "/" + base + "/", at: p.At}, {text: "/" + base, exact: true, at: p.At}}
	case p.Kind == "Exact":
		return []*kongPath{{text: "/" + strings.TrimLeft(path, "/"), exact: true, at: p.At}}
	}
	prefix := "/~"
	if own, node := p.Object.Annotation(kongAnnotations + "regex-prefix"); node != nil {
		prefix = own
	}
	if regex, ok := strings.CutPrefix(path, prefix); ok {
		return []*kongPath{{text: regex, regex: true, at: p.At}}
	}
	return []*kongPath{{text: path, at: p.At}}
}

// kongAttacher gives rules of HTTPRoutes the plugin that they or their route name,
// or the Services that they lead to, or what holds for everything.
var kongAttacher = &convert.Attacher{
	Reads: func(o *convert.Object) bool { return isKongPlugin(o) || convert.IsService(o) },
	Attach: func(c *convert.Conversion, objects []*convert.Object) func(convert.GatewayTarget) (*convert.Policy, []convert.Change) {
		k := kongObjectsOf(c, objects)
		return func(t convert.GatewayTarget) (*convert.Policy, []convert.Change) {
			if !k.cors || !convert.IsHTTPRoute(t.Object) {
				return nil, nil
			}
			return k.rule(t.Object, t.Node)
		}
	},
}

func (k *kongObjects) rule(o *convert.Object, rule *yaml.Node) (*convert.Policy, []convert.Change) {
	r := convert.Reader{Conversion: k.Conversion, Object: o, Part: ""}
	own, has, changes := k.policyOf(o)
	for _, ref := range kongRefs(rule) {
		switch p := k.named(r, ref, convert.Text(convert.Child(ref, "name")), &changes); {
		case p == nil || p.policy == nil:
		case has:
			r.Fail(ref, "a second cors plugin, beside the route's", "keep one")
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
		if i > 0 && p.Key() != own.Key() {
			r.Fail(rule, "its Services have different cors plugins, and which one a request goes to is decided later", "name one for the HTTPRoute")
		}
		own = p
	}
	return cmp.Or(own, k.global), changes
}
