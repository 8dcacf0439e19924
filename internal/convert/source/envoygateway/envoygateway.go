// Package envoygateway gives routes the cors of Envoy Gateway's SecurityPolicies. Which
// policy a rule gets was read in internal/gatewayapi/securitypolicy.go, and how it is
// translated in internal/xds/translator/cors.go, at commit d32f2829 (after 1.9.0).
package envoygateway

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"corsfilter/config"
	"corsfilter/internal/convert"
)

const envoyGatewayGroup = "gateway.envoyproxy.io"

// Source is its line in the list of sources.
var Source = convert.Source{
	Name:     "Envoy Gateway",
	Files:    "Envoy Gateway's SecurityPolicies beside those routes",
	Settings: []convert.Settings{securitySettings},
	Attacher: &convert.Attacher{
		Project: "Envoy Gateway",
		Reads:   func(o *convert.Object) bool { return isSecurityPolicy(o) || isListenerSet(o) },
		Attach:  attachSecurityPolicies,
	},
}

func isSecurityPolicy(o *convert.Object) bool { return o.Is(envoyGatewayGroup, "SecurityPolicy") }

func isListenerSet(o *convert.Object) bool {
	return o.Is(convert.GatewayGroup, "ListenerSet") || o.Is("gateway.networking.x-k8s.io", "XListenerSet")
}

// securityTarget is what a SecurityPolicy is attached to.
type securityTarget struct {
	kind, name, section string // name with its namespace
	policy              *convert.Object
	node                *yaml.Node
}

// securityScope are all SecurityPolicies in translation.
type securityScope struct {
	*convert.Conversion
	targets []securityTarget
	// sets are the ListenerSets, by their kinds and names, and what they belong to.
	sets map[parentRef]parentRef
	// made are policies by the objects they come from, the route's first.
	made map[[2]*convert.Object]*convert.Policy
}

func attachSecurityPolicies(c *convert.Conversion, objects []*convert.Object) func(convert.GatewayTarget) (*convert.Policy, []convert.Change) {
	s := &securityScope{Conversion: c, sets: map[parentRef]parentRef{}, made: map[[2]*convert.Object]*convert.Policy{}}
	var policies []*convert.Object
	for _, o := range objects {
		if isSecurityPolicy(o) {
			policies = append(policies, o)
		} else if isListenerSet(o) {
			s.sets[parentRef{o.Kind, convert.Qualified(o.Name, o.Namespace)}] = parentOf(o.Spec("parentRef"), o)
		}
	}
	// The oldest comes first, and then the first by name.
	slices.SortStableFunc(policies, func(a, b *convert.Object) int {
		return cmp.Or(strings.Compare(a.Created, b.Created), strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name))
	})
	for _, o := range policies {
		s.attachOne(o, objects)
	}
	return func(t convert.GatewayTarget) (*convert.Policy, []convert.Change) { return s.policy(t), nil }
}

func securityCORS(o *convert.Object) *yaml.Node {
	if o == nil {
		return nil
	}
	return o.Spec("cors")
}

// attachOne adds the targets of one policy. It displaces policies of wider scopes, even if it
// has no cors.
func (s *securityScope) attachOne(o *convert.Object, objects []*convert.Object) {
	r := convert.Reader{Conversion: s.Conversion, Object: o, Part: ""}
	var own []securityTarget
	refs := convert.Elements(o.Spec("targetRefs"))
	if ref := o.Spec("targetRef"); ref != nil {
		refs = []*yaml.Node{ref}
	}
	for _, ref := range refs {
		own = append(own, securityTarget{convert.Text(convert.Child(ref, "kind")), convert.Qualified(convert.Text(convert.Child(ref, "name")), o.Namespace), convert.Text(convert.Child(ref, "sectionName")), o, ref})
	}
	for _, selector := range convert.Elements(o.Spec("targetSelectors")) {
		for _, found := range selected(r, selector, objects) {
			own = append(own, securityTarget{found.Kind, convert.Qualified(found.Name, found.Namespace), "", o, selector})
		}
	}
	if securityCORS(o) != nil && len(own) == 0 {
		r.Fail(securityCORS(o), "the policy is attached to nothing in the files", "add its targets: the HTTPRoutes, or the Gateway with its HTTPRoutes")
	}
	for _, t := range own {
		if securityCORS(o) != nil && !s.attachable(t, objects) {
			r.Fail(t.node, fmt.Sprintf("no route of its target %s %s is in the files", t.kind, convert.Shortened(t.name)), "add the HTTPRoutes and GRPCRoutes that it applies to")
			continue
		}
		i := slices.IndexFunc(s.targets, func(other securityTarget) bool {
			return other.kind == t.kind && other.name == t.name && other.section == t.section
		})
		if i < 0 {
			s.targets = append(s.targets, t)
			continue
		}
		if first := s.targets[i].policy; first != o && (first.Created == "" || o.Created == "") && (securityCORS(first) != nil || securityCORS(o) != nil) {
			r.Fail(t.node, fmt.Sprintf("%s has the same target: the older one applies, and the files do not say which is older", first), "export the objects from the cluster, with their creationTimestamp, or leave one out")
		}
	}
}

// parentRef is a Gateway or a ListenerSet by its kind and its name with the namespace.
type parentRef struct{ kind, name string }

func parentOf(ref *yaml.Node, o *convert.Object) parentRef {
	return parentRef{
		cmp.Or(convert.Text(convert.Child(ref, "kind")), "Gateway"),
		convert.Qualified(convert.Text(convert.Child(ref, "name")), cmp.Or(convert.Text(convert.Child(ref, "namespace")), o.Namespace)),
	}
}

// attachable reports whether a route in the files is a target, or is attached to it, itself
// or through a ListenerSet.
func (s *securityScope) attachable(t securityTarget, objects []*convert.Object) bool {
	target := parentRef{t.kind, t.name}
	return slices.ContainsFunc(objects, func(o *convert.Object) bool {
		if !o.Is(convert.GatewayGroup, "HTTPRoute", "GRPCRoute") {
			return false
		}
		if o.Kind == t.kind {
			return convert.Qualified(o.Name, o.Namespace) == t.name
		}
		return slices.ContainsFunc(convert.Elements(o.Spec("parentRefs")), func(ref *yaml.Node) bool {
			parent := parentOf(ref, o)
			return parent == target || t.section == "" && s.sets[parent] == target
		})
	})
}

// selected returns the objects that a selector selects.
func selected(r convert.Reader, selector *yaml.Node, objects []*convert.Object) (found []*convert.Object) {
	if from := convert.Text(convert.Child(selector, "namespaces", "from")); from != "" && from != "Same" {
		r.Fail(convert.Child(selector, "namespaces"), "targets in other namespaces depend on labels and ReferenceGrants, which are not read", "write targetRefs, in a policy of each namespace")
		return nil
	}
	for _, o := range objects {
		if o.Is(convert.GatewayGroup, convert.Text(convert.Child(selector, "kind"))) && o.Namespace == r.Object.Namespace && labelled(r, selector, o) {
			found = append(found, o)
		}
	}
	return found
}

// labelled reports whether an object's labels are those of a selector.
func labelled(r convert.Reader, selector *yaml.Node, o *convert.Object) bool {
	labels := map[string]string{}
	for _, m := range convert.Members(convert.Child(o.Root, "metadata", "labels")) {
		labels[m.Key.Value] = convert.Text(m.Value)
	}
	for _, m := range convert.Members(convert.Child(selector, "matchLabels")) {
		if value, has := labels[m.Key.Value]; !has || value != convert.Text(m.Value) {
			return false
		}
	}
	for _, e := range convert.Elements(convert.Child(selector, "matchExpressions")) {
		value, has := labels[convert.Text(convert.Child(e, "key"))]
		in := slices.ContainsFunc(convert.Elements(convert.Child(e, "values")), func(v *yaml.Node) bool { return convert.Text(v) == value })
		ok := false
		switch operator := convert.Text(convert.Child(e, "operator")); operator {
		case "In":
			ok = has && in
		case "NotIn":
			ok = !has || !in
		case "Exists":
			ok = has
		case "DoesNotExist":
			ok = !has
		default:
			r.Fail(e, fmt.Sprintf("%q is not an operator of a selector", convert.Shortened(operator)), "write In, NotIn, Exists or DoesNotExist")
		}
		if !ok {
			return false
		}
	}
	return true
}

// of returns the policy of a target, or nil.
func (s *securityScope) of(kind, name, section string) *convert.Object {
	for _, t := range s.targets {
		if t.kind == kind && t.name == name && t.section == section {
			return t.policy
		}
	}
	return nil
}

// parent is the policy of a listener, or else of its Gateway.
func (s *securityScope) parent(t convert.GatewayTarget) *convert.Object {
	whole := s.of(t.Kind, t.Gateway, "")
	if t.Section != "" {
		if own := s.of(t.Kind, t.Gateway, t.Section); own != nil {
			return own
		}
	}
	for _, listener := range s.targets { // where the routes do not tell listeners apart
		if t.Section == "" && listener.kind == t.Kind && listener.name == t.Gateway && listener.section != "" && (securityCORS(listener.policy) != nil || securityCORS(whole) != nil) {
			convert.Reader{Conversion: s.Conversion, Object: listener.policy, Part: ""}.Fail(listener.node, fmt.Sprintf("the policy is for the listener %s alone, and the routes are attached to all listeners", convert.Shortened(listener.section)), "target the Gateway, or write the sectionName in the parentRefs of the routes")
		}
	}
	if whole != nil || !strings.HasSuffix(t.Kind, "ListenerSet") {
		return whole
	}
	// A policy for one listener of the Gateway does not apply to the set.
	set, known := s.sets[parentRef{t.Kind, t.Gateway}]
	if !known && slices.ContainsFunc(s.targets, func(o securityTarget) bool {
		return o.kind == "Gateway" && o.section == "" && securityCORS(o.policy) != nil
	}) {
		t.Fail(t.Node, "its "+t.Kind+" "+convert.Shortened(t.Gateway)+" is not in the files, and the policy of a Gateway may hold for it", "add it")
	}
	return s.of(set.kind, set.name, "")
}

// policy is that of a rule: its own, else its route's, else its listener's, else its
// Gateway's. The first one counts, with or without cors, unless it is merged.
func (s *securityScope) policy(t convert.GatewayTarget) *convert.Policy {
	name := convert.Qualified(t.Object.Name, t.Object.Namespace)
	var own *convert.Object
	if t.Rule != "" {
		own = s.of(t.Object.Kind, name, t.Rule)
	}
	if own == nil {
		own = s.of(t.Object.Kind, name, "")
	}
	var parent *convert.Object
	if own == nil || own.Spec("mergeType") != nil {
		parent = s.parent(t)
	}
	from := [2]*convert.Object{own, parent}
	if securityCORS(own) == nil {
		from = [2]*convert.Object{parent, nil}
	}
	if securityCORS(from[0]) == nil {
		return nil
	}
	p, known := s.made[from]
	if !known {
		p = s.translate(from)
		s.made[from] = p
	}
	return p
}

// setting returns a setting of the policy, or else of the one that it is merged into,
// with a reader for it.
func (s *securityScope) setting(from [2]*convert.Object, name string) (convert.Reader, *yaml.Node) {
	for _, o := range from {
		if node := convert.Child(securityCORS(o), name); node != nil {
			return convert.Reader{Conversion: s.Conversion, Object: o, Part: "cors"}, node
		}
	}
	return convert.Reader{Conversion: s.Conversion, Object: from[0], Part: "cors"}, nil
}

// securitySettings are those of a SecurityPolicy's cors.
var securitySettings = convert.Settings{
	Of: "a SecurityPolicy's cors", Lists: true, Star: convert.NameLists[:2],
	MaxAge: convert.Unit{Seconds: convert.Duration, What: "maxAge %q is not a duration", Remedy: `write one such as "10m"`},
	Rows: []convert.Setting{
		{Key: "allowOrigins", Becomes: convert.AllowOrigins, Note: "a star stands for any letters, so that `https://*` is any host and port"},
		{Key: "allowMethods", Becomes: "allow_methods", Note: "`*` is sent alone"},
		{Key: "allowHeaders", Becomes: "allow_headers", Note: "`*` is sent alone; without credentials it is written with `authorization` beside"},
		{Key: "exposeHeaders", Becomes: "expose_headers"},
		{Key: "maxAge", Becomes: convert.MaxAge, Note: "a duration"},
		{Key: "allowCredentials", Becomes: "allow_credentials", Default: "false"},
	},
}

var securityBehaviour = convert.Behaviour{Project: "Envoy Gateway", Echoes: true, Authorization: true, Reflects: true, Keeps: true, Status: "200", Unmatched: "Envoy Gateway answers it with 200 and no access-control-allow-origin"}

func (s *securityScope) translate(from [2]*convert.Object) *convert.Policy {
	for _, o := range from {
		securitySettings.Check(convert.Reader{Conversion: s.Conversion, Object: o, Part: "cors"}, securityCORS(o))
	}
	p := &convert.Policy{By: from[0].String()}
	if securityCORS(from[1]) != nil {
		p.By += " and " + from[1].String()
	}
	r, node := s.setting(from, "allowOrigins")
	for _, v := range r.List(node, "allowOrigins") {
		p.Allow(securityOrigin(p, v.Text), v.At)
	}
	if len(p.AllowOrigins) == 0 {
		nobody := convert.Nobody(r.Object.At(securityCORS(from[0])), securityBehaviour)
		nobody.By = p.By
		return nobody
	}
	securitySettings.Take(p, p.Places[convert.Entry{Setting: convert.AllowOrigins}], func(key string) (convert.Reader, *yaml.Node) { return s.setting(from, key) })
	p.Finish(securityBehaviour)
	return p
}

// securityOrigin is one origin: compared as a text, or with stars for any text. A star before
// a dot, or alone, makes a pattern here as well.
func securityOrigin(p *convert.Policy, origin string) config.SourceOrigin {
	if origin == "*" || !strings.Contains(origin, "*") {
		return convert.ExactOrigin(p, origin, false)
	}
	scheme, host, _ := strings.Cut(origin, "://")
	if below, wildcard := strings.CutPrefix(host, "*."); wildcard && !strings.Contains(scheme+below, "*") {
		return config.SourceOrigin{Value: origin}
	}
	return convert.RegexOrigin(strings.ReplaceAll(regexp.QuoteMeta(origin), `\*`, ".*"))
}
