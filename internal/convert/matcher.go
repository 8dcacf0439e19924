package convert

import (
	"strings"

	"go.yaml.in/yaml/v3"

	"corsfilter/internal/document"
)

// origins reads a list of matchers, as Envoy and Istio write them.
func (r reader) origins(p *policy, node *yaml.Node) (values []value) {
	node = document.Resolve(node)
	if node == nil {
		return nil
	}
	if node.Kind != yaml.SequenceNode {
		r.fail(node, "the origins are no list", "write a list of matchers")
		return nil
	}
	for _, e := range elements(node) {
		if v, ok := r.origin(p, e); ok {
			values = append(values, v)
		}
	}
	return values
}

// origin reads one matcher.
func (r reader) origin(p *policy, node *yaml.Node) (v value, ok bool) {
	v.at = r.o.at(node)
	if node.Kind != yaml.MappingNode {
		r.fail(node, "a matcher of an origin is no mapping", `write one such as {exact: "https://example.com"}`)
		return v, false
	}
	var how, what string
	ignoreCase := false
	for _, m := range members(node) {
		switch key := snake(m.Key.Value); key {
		case "ignore_case":
			ignoreCase, _ = r.boolean(m.Value, "ignore_case")
			continue
		case "exact", "prefix", "suffix", "contains", "regex":
			how, what = key, text(m.Value)
		case "safe_regex":
			how, what = "regex", text(child(m.Value, "regex"))
		default:
			r.fail(m.Key, "a matcher of an origin by "+m.Key.Value+" can not be carried over", "write the origins as exact, or as regex")
			return v, false
		}
		if what == "" {
			r.fail(m.Value, "the matcher of an origin says nothing", "write the origin")
			return v, false
		}
	}
	if how == "" {
		r.fail(node, "a matcher of an origin does not say what to match", `write one such as {exact: "https://example.com"}`)
		return v, false
	}
	if how != "exact" {
		o := jsonObject{{how, what}}
		if ignoreCase {
			o = append(o, member{"ignore_case", true})
		}
		v.json = o
		return v, true
	}
	v.json = exactOrigin(p, what, ignoreCase)
	return v, true
}

// exactOrigin is an origin that is compared letter by letter. As a string it would
// be a pattern where it holds a wildcard, which it is not there.
func exactOrigin(p *policy, text string, ignoreCase bool) any {
	if text == "*" {
		return text
	}
	if lower := strings.ToLower(text); lower != text {
		if !ignoreCase {
			p.change(LetterCase, "the origin "+text+" matches here: browsers send origins in lower case, so that it matches nobody in the source")
		}
		text = lower
	}
	if strings.ContainsAny(text, "*[") {
		return jsonObject{{"exact", text}}
	}
	return text
}
