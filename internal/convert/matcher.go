package convert

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"corsfilter/config"
	"corsfilter/internal/document"
)

// Origins reads a list of matchers, as Envoy and Istio write them.
func (r Reader) Origins(p *Policy, node *yaml.Node) {
	node = document.Resolve(node)
	if node != nil && node.Kind != yaml.SequenceNode {
		r.Fail(node, "the origins are not a list", "write a list of matchers")
	}
	for _, e := range Elements(node) {
		if o, ok := r.origin(p, e); ok {
			p.Allow(o, r.Object.At(e))
		}
	}
}

// origin reads one matcher.
func (r Reader) origin(p *Policy, node *yaml.Node) (o config.SourceOrigin, ok bool) {
	if node.Kind != yaml.MappingNode {
		r.Fail(node, "an origin matcher is not a mapping", `write one such as {exact: "https://example.com"}`)
		return o, false
	}
	for _, m := range Members(node) {
		switch key := Snake(m.Key.Value); key {
		case "ignore_case":
			o.IgnoreCase, _ = r.Boolean(m.Value, "ignore_case")
			continue
		case "safe_regex":
			o.Kind, o.Value = config.Regex, Text(Child(m.Value, "regex"))
		default:
			kind := slices.IndexFunc(matchKinds, func(k config.MatchKind) bool { return k.String() == key })
			if kind < 0 {
				r.Fail(m.Key, "a matcher of an origin by "+m.Key.Value+" cannot be carried over", "write the origins as exact, or as regex")
				return o, false
			}
			o.Kind, o.Value = matchKinds[kind], Text(m.Value)
		}
		if o.Value == "" {
			r.Fail(m.Value, "the origin matcher is empty", "write the origin")
			return o, false
		}
	}
	switch o.Kind {
	case config.Pattern:
		r.Fail(node, "an origin matcher does not say what to match", `write one such as {exact: "https://example.com"}`)
		return o, false
	case config.Exact:
		return ExactOrigin(p, o.Value, o.IgnoreCase), true
	}
	return o, true
}

var matchKinds = []config.MatchKind{config.Exact, config.Regex, config.Prefix, config.Suffix, config.Contains}

// ExactOrigin is an origin that is compared letter by letter. As a string it would
// be a pattern where it holds a wildcard, which it is not there.
func ExactOrigin(p *Policy, text string, ignoreCase bool) config.SourceOrigin {
	if text == "*" {
		return config.SourceOrigin{Value: text}
	}
	if ignoreCase {
		text = strings.ToLower(text)
	}
	text = p.lowered(text)
	if strings.ContainsAny(text, "*[") {
		return config.SourceOrigin{Kind: config.Exact, Value: text}
	}
	return config.SourceOrigin{Value: text}
}

// lowered is an origin in the lower case of browsers, which the source does not match unless
// it is written so.
func (p *Policy) lowered(text string) string {
	lower := strings.ToLower(text)
	if lower != text {
		p.Change(LetterCase, "the origin "+text+" matches here: browsers send origins in lower case, so that it matches nobody in the source")
	}
	return lower
}

func RegexOrigin(regex string) config.SourceOrigin {
	return config.SourceOrigin{Kind: config.Regex, Value: regex}
}

// WholeOrigin is a regex of a whole origin, or the origin where it is the only one.
func WholeOrigin(p *Policy, regex string) config.SourceOrigin {
	if text, ok := literalRegex(regex); ok {
		return ExactOrigin(p, text, false)
	}
	return RegexOrigin(regex)
}
