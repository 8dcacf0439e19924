package istio

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"corsfilter/internal/convert"
)

// Delegates: VirtualServices without hosts, whose routes take the place of one of another.
// How Istio merges the two stands in pilot/pkg/model/virtualservice.go (MergeHTTPRoutes).

// istioHTTP is one entry of http, with what it has of the one that delegates to it.
type istioHTTP struct {
	convert.Reader
	node    *yaml.Node
	root    *istioHTTP // nil: it is no delegate's
	matches []istioMatch
}

// istioMatch is a match, and the one of the root that it stands in; either may be nil.
type istioMatch struct{ own, root *yaml.Node }

// setting is that of the entry, or else the root's.
func (h istioHTTP) setting(name string) (convert.Reader, *yaml.Node) {
	if node := convert.Child(h.node, name); node != nil || h.root == nil {
		return h.Reader, node
	}
	return h.root.setting(name)
}

// entries are the routes of a service, delegates in the place of what delegates to them.
func (s istioScope) entries(v *istioService) (all []istioHTTP) {
	for i, node := range convert.Elements(v.Spec("http")) {
		h := istioHTTP{Reader: convert.Reader{Conversion: s.Conversion, Object: v.Object, Part: fmt.Sprintf("http[%d]", i)}, node: node}
		for _, m := range convert.Elements(convert.Child(node, "match")) {
			h.matches = append(h.matches, istioMatch{own: m})
		}
		if delegate := convert.Child(node, "delegate"); delegate != nil {
			all = append(all, s.delegated(h, delegate)...)
		} else {
			all = append(all, h)
		}
	}
	return all
}

// delegated are the routes of a delegate, for one entry of the root. Where a route asks for
// what the root does not, Istio leaves it out.
func (s istioScope) delegated(root istioHTTP, node *yaml.Node) (all []istioHTTP) {
	name := cmp.Or(convert.Text(convert.Child(node, "namespace")), root.Object.Namespace) + "/" + convert.Text(convert.Child(node, "name"))
	d := s.delegates[strings.TrimPrefix(name, "/")]
	if d == nil {
		root.Fail(node, "the delegate "+convert.Shortened(name)+" is not in the files", "add the VirtualService, or write its routes in place of the delegate")
		return nil
	}
	d.used = true
	if to := convert.Elements(d.Spec("export_to")); len(to) > 0 && !slices.ContainsFunc(to, func(e *yaml.Node) bool {
		where := convert.Text(e)
		return where == "*" || where == root.Object.Namespace || where == "." && d.Namespace == root.Object.Namespace
	}) {
		return nil // as Istio does
	}
	for i, node := range convert.Elements(d.Spec("http")) {
		h := istioHTTP{Reader: convert.Reader{Conversion: s.Conversion, Object: d.Object, Part: fmt.Sprintf("http[%d]", i)}, node: node, root: &root}
		if further := convert.Child(node, "delegate"); further != nil {
			h.Fail(further, "a delegate delegates to another one, which Istio does not follow", "write its routes in place of it")
			continue
		}
		own := convert.Elements(convert.Child(node, "match"))
		fits := true
		for _, m := range own {
			before := len(h.matches)
			for _, r := range root.matches {
				if !conflict(r.own, m, root.Object.Namespace, d.Namespace) {
					h.matches = append(h.matches, istioMatch{m, r.own})
				}
			}
			if len(root.matches) == 0 {
				h.matches = append(h.matches, istioMatch{own: m})
			}
			fits = fits && len(h.matches) > before
		}
		if len(own) == 0 {
			for _, r := range root.matches {
				h.matches = append(h.matches, istioMatch{root: r.own})
			}
		}
		if fits {
			all = append(all, h)
		}
	}
	return all
}

// conflict reports whether a delegate's match takes what the root's does not.
func conflict(root, own *yaml.Node, rootSpace, ownSpace string) bool {
	for _, key := range []string{"uri", "scheme", "method", "authority"} {
		if outside(convert.Child(root, key), convert.Child(own, key)) {
			return true
		}
	}
	for _, key := range []string{"headers", "without_headers", "query_params"} {
		for _, m := range convert.Members(convert.Child(own, key)) {
			if outside(convert.Child(root, key, m.Key.Value), m.Value) {
				return true
			}
		}
	}
	text := func(node *yaml.Node, keys ...string) string { return convert.Text(convert.Child(node, keys...)) }
	for _, m := range convert.Members(convert.Child(own, "source_labels")) {
		if there := convert.Child(root, "source_labels", m.Key.Value); there != nil && convert.Text(there) != convert.Text(m.Value) {
			return true
		}
	}
	if port := text(root, "port"); port != "" && text(own, "port") != "" && text(own, "port") != port {
		return true
	}
	if from := text(root, "source_namespace"); from != "" && text(own, "source_namespace") != from {
		return true
	}
	gateways, theirs := gatewaysOf(own, ownSpace), gatewaysOf(root, rootSpace)
	return (text(root, "ignore_uri_case") == "true") != (text(own, "ignore_uri_case") == "true") ||
		len(theirs) > 0 && slices.ContainsFunc(gateways, func(g string) bool { return !slices.Contains(theirs, g) })
}

// outside reports whether a match of a string is not within another one, as far as Istio
// looks: regexes are within none.
func outside(root, own *yaml.Node) bool {
	if root == nil || own == nil {
		return false
	}
	text := func(node *yaml.Node, key string) string { return convert.Text(convert.Child(node, key)) }
	exact, prefix := text(root, "exact"), text(root, "prefix")
	switch {
	case text(root, "regex") != "" || text(own, "regex") != "":
		return true
	case exact != "":
		return text(own, "prefix") != "" || text(own, "exact") != exact
	case prefix != "":
		return !strings.HasPrefix(cmp.Or(text(own, "prefix"), text(own, "exact")), prefix)
	}
	return true
}

// gatewaysOf are those that a match names.
func gatewaysOf(match *yaml.Node, space string) (names []string) {
	for _, g := range convert.Elements(convert.Child(match, "gateways")) {
		names = append(names, istioGateway(convert.Text(g), space))
	}
	return names
}
