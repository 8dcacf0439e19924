package config

import "corsfilter/internal/origin"

// OriginUse is a pattern of a configuration in the policy that uses it.
type OriginUse struct {
	// Path and Value are the entry as written.
	Path, Value string
	Pattern     origin.Pattern
	// Credentials says that the policy allows them.
	Credentials bool
	// Tolerated are the waivers of the policy.
	Tolerated map[Code]bool
}

// Patterns returns the patterns by which the policies of a configuration let
// origins in, regexes included that say what a pattern could. Tools that know
// more than the module, such as the public suffix list, look at them. Mistakes
// are not reported: Parse does that.
func Patterns(data []byte) (uses []OriginUse) {
	p := newParser()
	root, ok := p.parseJSON(data)
	if !ok {
		return nil
	}
	policies := []*rawPolicy{p.rawPolicy(root, topKeys)}
	for _, rule := range policies[0].rules {
		if rule.policy != nil {
			policies = append(policies, rule.policy)
		}
	}
	for _, p := range policies {
		tolerated := map[Code]bool{}
		for waiver := range p.waived {
			tolerated[waiver] = true
		}
		for _, e := range p.origins {
			if pattern, ok := e.asPattern(); ok {
				uses = append(uses, OriginUse{e.path(), shorten(e.written), pattern, p.policy.Credentials, tolerated})
			}
		}
	}
	return uses
}

// asPattern returns what the entry says as a pattern, where it can be said so.
func (e *rawOrigin) asPattern() (origin.Pattern, bool) {
	value := e.value
	switch e.kind {
	case matchString, matchExact:
	case matchRegex:
		m := looseMatcher{raw: *e, kind: e.kind}
		value = m.asPattern()
	default:
		return origin.Pattern{}, false
	}
	p, err := origin.ParsePattern(value)
	return p, err == nil
}
