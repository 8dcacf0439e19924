package convert

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"corsfilter/internal/document"
)

const envoyGatewayGroup = "gateway.envoyproxy.io"

// securityPolicies gives routes the cors of Envoy Gateway's SecurityPolicies. Which
// of them a rule has stands in internal/gatewayapi/securitypolicy.go, what becomes
// of it in internal/xds/translator/cors.go, read at commit d32f2829 (after 1.9.0).
var securityPolicies = attacher{
	reads:  isSecurityPolicy,
	attach: attachSecurityPolicies,
}

func isSecurityPolicy(o *object) bool { return o.is(envoyGatewayGroup, "SecurityPolicy") }

// securityTarget is what a SecurityPolicy is attached to.
type securityTarget struct {
	kind, name, section string // name with its namespace
	policy              *object
	node                *yaml.Node
}

// securityScope are all SecurityPolicies in translation.
type securityScope struct {
	*conversion
	targets []securityTarget
	// made are policies by the objects they come from, the route's first.
	made map[[2]*object]*policy
}

func attachSecurityPolicies(c *conversion, objects []*object) func(gatewayTarget) (*policy, []Change) {
	s := &securityScope{conversion: c, made: map[[2]*object]*policy{}}
	var policies []*object
	for _, o := range objects {
		if isSecurityPolicy(o) {
			policies = append(policies, o)
		}
	}
	// The oldest comes first, and then the first by name.
	slices.SortStableFunc(policies, func(a, b *object) int {
		return cmp.Or(strings.Compare(a.created, b.created), strings.Compare(a.namespace, b.namespace), strings.Compare(a.name, b.name))
	})
	for _, o := range policies {
		s.attachOne(o, objects)
	}
	return func(t gatewayTarget) (*policy, []Change) { return s.policy(t), nil }
}

func securityCORS(o *object) *yaml.Node {
	if o == nil {
		return nil
	}
	return o.spec("cors")
}

// attachOne adds the targets of one policy. Whatever it is about, it displaces those
// of wider scopes.
func (s *securityScope) attachOne(o *object, objects []*object) {
	r := reader{s.conversion, o, ""}
	var own []securityTarget
	refs := elements(o.spec("targetRefs"))
	if ref := o.spec("targetRef"); ref != nil {
		refs = []*yaml.Node{ref}
	}
	for _, ref := range refs {
		own = append(own, securityTarget{text(child(ref, "kind")), qualified(text(child(ref, "name")), o.namespace), text(child(ref, "sectionName")), o, ref})
	}
	for _, selector := range elements(o.spec("targetSelectors")) {
		for _, found := range r.selected(selector, objects) {
			own = append(own, securityTarget{found.kind, qualified(found.name, found.namespace), "", o, selector})
		}
	}
	if securityCORS(o) != nil && len(own) == 0 {
		r.fail(securityCORS(o), "the policy is attached to nothing in the files", "add its targets: the HTTPRoutes, or the Gateway with its HTTPRoutes")
	}
	for _, t := range own {
		if securityCORS(o) != nil && !attachable(t, objects) {
			r.fail(t.node, fmt.Sprintf("no route of its target %s %s is in the files", t.kind, shortened(t.name)), "add the HTTPRoutes and GRPCRoutes that it is about")
			continue
		}
		i := slices.IndexFunc(s.targets, func(other securityTarget) bool {
			return other.kind == t.kind && other.name == t.name && other.section == t.section
		})
		if i < 0 {
			s.targets = append(s.targets, t)
			continue
		}
		if first := s.targets[i].policy; first != o && (first.created == "" || o.created == "") && (securityCORS(first) != nil || securityCORS(o) != nil) {
			r.fail(t.node, fmt.Sprintf("%s has the same target: the older of them holds, and the files do not say which that is", first), "take the objects from the cluster, where they have their creationTimestamp, or leave one out")
		}
	}
}

// attachable reports whether a route in the files is a target, or is attached to it.
func attachable(t securityTarget, objects []*object) bool {
	return slices.ContainsFunc(objects, func(o *object) bool {
		if !o.is(gatewayGroup, "HTTPRoute", "GRPCRoute") {
			return false
		}
		if o.kind == t.kind {
			return qualified(o.name, o.namespace) == t.name
		}
		return slices.ContainsFunc(elements(o.spec("parentRefs")), func(ref *yaml.Node) bool {
			return cmp.Or(text(child(ref, "kind")), "Gateway") == t.kind && qualified(text(child(ref, "name")), cmp.Or(text(child(ref, "namespace")), o.namespace)) == t.name
		})
	})
}

// selected returns the objects that a selector selects.
func (r reader) selected(selector *yaml.Node, objects []*object) (found []*object) {
	if from := text(child(selector, "namespaces", "from")); from != "" && from != "Same" {
		r.fail(child(selector, "namespaces"), "targets of other namespaces hang on their labels and ReferenceGrants, which are not read", "write targetRefs, in a policy of each namespace")
		return nil
	}
	for _, o := range objects {
		if o.is(gatewayGroup, text(child(selector, "kind"))) && o.namespace == r.o.namespace && r.labelled(selector, o) {
			found = append(found, o)
		}
	}
	return found
}

// labelled reports whether an object's labels are those of a selector.
func (r reader) labelled(selector *yaml.Node, o *object) bool {
	labels := map[string]string{}
	for _, m := range members(child(o.root, "metadata", "labels")) {
		labels[m.Key.Value] = text(m.Value)
	}
	for _, m := range members(child(selector, "matchLabels")) {
		if value, has := labels[m.Key.Value]; !has || value != text(m.Value) {
			return false
		}
	}
	for _, e := range elements(child(selector, "matchExpressions")) {
		value, has := labels[text(child(e, "key"))]
		in := slices.ContainsFunc(elements(child(e, "values")), func(v *yaml.Node) bool { return text(v) == value })
		ok := false
		switch operator := text(child(e, "operator")); operator {
		case "In":
			ok = has && in
		case "NotIn":
			ok = !has || !in
		case "Exists":
			ok = has
		case "DoesNotExist":
			ok = !has
		default:
			r.fail(e, fmt.Sprintf("%q is no operator of a selector", shortened(operator)), "write In, NotIn, Exists or DoesNotExist")
		}
		if !ok {
			return false
		}
	}
	return true
}

// of returns the policy of a target, or nil.
func (s *securityScope) of(kind, name, section string) *object {
	for _, t := range s.targets {
		if t.kind == kind && t.name == name && t.section == section {
			return t.policy
		}
	}
	return nil
}

// parent is the policy of a listener, or else of its Gateway.
func (s *securityScope) parent(t gatewayTarget) *object {
	whole := s.of(t.kind, t.gateway, "")
	if t.section != "" {
		if own := s.of(t.kind, t.gateway, t.section); own != nil {
			return own
		}
		return whole
	}
	for _, listener := range s.targets { // where the routes do not tell listeners apart
		if listener.kind == t.kind && listener.name == t.gateway && listener.section != "" && (securityCORS(listener.policy) != nil || securityCORS(whole) != nil) {
			reader{s.conversion, listener.policy, ""}.fail(listener.node, fmt.Sprintf("the policy is one for the listener %s alone, and the routes are at all of them", shortened(listener.section)), "write the Gateway as the target, or the sectionName in the parentRefs of the routes")
		}
	}
	return whole
}

// policy is that of a rule: its own, else its route's, else its listener's, else its
// Gateway's. The first there is counts, with cors or without, unless it is merged.
func (s *securityScope) policy(t gatewayTarget) *policy {
	name := qualified(t.route.name, t.route.namespace)
	var own *object
	if t.rule != "" {
		own = s.of(t.route.kind, name, t.rule)
	}
	if own == nil {
		own = s.of(t.route.kind, name, "")
	}
	var parent *object
	if own == nil || own.spec("mergeType") != nil {
		parent = s.parent(t)
	}
	from := [2]*object{own, parent}
	if securityCORS(own) == nil {
		from = [2]*object{parent, nil}
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
func (s *securityScope) setting(from [2]*object, name string) (reader, *yaml.Node) {
	for _, o := range from {
		if node := child(securityCORS(o), name); node != nil {
			return reader{s.conversion, o, "cors"}, node
		}
	}
	return reader{s.conversion, from[0], "cors"}, nil
}

func (s *securityScope) translate(from [2]*object) *policy {
	for _, o := range from {
		for _, m := range members(securityCORS(o)) {
			if !slices.Contains(gatewaySettings, m.Key.Value) {
				reader{s.conversion, o, "cors"}.fail(m.Key, fmt.Sprintf("%q is no setting of a SecurityPolicy's cors", shortened(m.Key.Value)), "look for a typing mistake")
			}
		}
	}
	p := &policy{by: from[0].String()}
	if securityCORS(from[1]) != nil {
		p.by += " and " + from[1].String()
	}
	r, node := s.setting(from, "allowOrigins")
	origins := r.list(node, "allowOrigins")
	if len(origins) == 0 {
		r.fail(securityCORS(from[0]), "cors without allowOrigins lets nobody in, and Envoy Gateway answers all preflights with that", "name an origin, or take cors away")
		return nil
	}
	for i := range origins {
		origins[i].json = securityOrigin(p, origins[i].text())
	}
	p.setList("allow_origins", origins[0].at, origins)
	for _, name := range []string{"allow_methods", "allow_headers", "expose_headers"} {
		r, node := s.setting(from, document.Camel(name))
		values := r.list(node, document.Camel(name))
		if any := (value{json: "*"}); name != "expose_headers" && (&setting{values: values}).has(any) {
			values = slices.DeleteFunc(values, func(v value) bool { return v.json != "*" }) // as the header that goes out
		}
		if node != nil {
			p.setList(name, r.o.at(node), values)
		}
	}
	if r, node := s.setting(from, "maxAge"); node != nil {
		age, err := time.ParseDuration(text(node))
		if err != nil {
			r.fail(node, fmt.Sprintf("maxAge %q is no duration", shortened(text(node))), `write one such as "10m"`)
		} else {
			p.set("max_age", r.o.at(node), int64(age.Seconds()))
		}
	}
	if r, node := s.setting(from, "allowCredentials"); node != nil {
		if on, _ := r.boolean(node, "allowCredentials"); on {
			p.set("allow_credentials", r.o.at(node), true)
		}
	}
	p.finish(manner{project: "Envoy Gateway", echoes: true, authorization: true, reflects: true, keeps: true, status: "200", unmatched: "Envoy Gateway answers it with 200 and no access-control-allow-origin"})
	return p
}

// securityOrigin is one origin: letter by letter, or with stars for any text. One in
// front of a dot, or alone, is a pattern here as well.
func securityOrigin(p *policy, origin string) any {
	if origin == "*" || !strings.Contains(origin, "*") {
		return exactOrigin(p, origin, false)
	}
	scheme, host, _ := strings.Cut(origin, "://")
	if below, wildcard := strings.CutPrefix(host, "*."); wildcard && !strings.Contains(scheme+below, "*") {
		return origin
	}
	return jsonObject{{"regex", strings.ReplaceAll(regexp.QuoteMeta(origin), `\*`, ".*")}}
}
