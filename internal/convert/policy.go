package convert

import (
	"slices"
	"strings"

	"corsfilter/config"
)

// How the proxies differ in what they send for the same words.

// Behaviour is what a source's proxy does with any policy.
type Behaviour struct {
	// Project is how sentences call it.
	Project string
	// Echoes says that a list of `*` alone is answered with what the preflight
	// asks for, where the policy has credentials; authorization says that it is
	// without them, too, so that this name is among it.
	Echoes, Authorization bool
	// Reflects says that any origin is answered with the origin itself.
	Reflects bool
	// Unmatched says what happens to a preflight from an origin that is not allowed, if
	// the policy does not: "Envoy forwards it". Empty: 403, as here.
	Unmatched string
	// Answers says that the proxy answers such a preflight itself, without CORS headers.
	Answers bool
	// Status is that of an answered preflight.
	Status string
	// Keeps says that CORS headers of upstream stay for origins that are not allowed.
	Keeps bool
	// Varies says that Vary names Origin there too.
	Varies bool
}

// Finish removes duplicates and what browsers ignore, and lists how the policy differs from
// its source.
func (p *Policy) Finish(m Behaviour) {
	p.AllowOrigins = once(p.AllowOrigins, written)
	for _, setting := range NameLists[1:] {
		list := p.list(setting)
		*list = once(*list, func(n config.Name) string { return strings.ToLower(n.Value) })
	}
	p.checkMethods(m)
	if p.Credentials {
		for _, setting := range NameLists[:2] {
			list := *p.list(setting)
			if !slices.Contains(list, Star) || Alone(list) && m.Echoes { // which sends back what was asked for
				continue
			}
			gain, why := "requests with credentials may use any method here", ", and they read it as a name"
			if setting == "allow_headers" {
				gain = "requests with credentials may send any header here"
				if !slices.ContainsFunc(list, func(n config.Name) bool { return strings.EqualFold(n.Value, "authorization") }) {
					gain, why = gain+", and those without may send authorization", ", which is a name for the former, and does not cover authorization for the latter"
				}
			}
			p.Change(LiteralStar, gain+": "+m.Project+" sends the `*` of "+setting+" as written"+why)
		}
	} else if Alone(p.AllowHeaders) && m.Authorization {
		// The preflight's own words came back, and `*` does not cover this one.
		p.SetList("allow_headers", Place{}, []Value{{"authorization", p.Places[Entry{"allow_headers", Star}]}})
	}
	p.behave(m)
}

func Alone(list []config.Name) bool { return len(list) == 1 && list[0] == Star }

// Unique removes duplicates.
func Unique[T comparable](list []T) []T { return once(list, func(v T) T { return v }) }

// once removes elements whose key an earlier one has.
func once[T any, K comparable](list []T, key func(T) K) (kept []T) {
	seen := map[K]bool{}
	for _, v := range list {
		if k := key(v); !seen[k] {
			seen[k] = true
			kept = append(kept, v)
		}
	}
	return kept
}

// checkMethods leaves out what no browser sends, and says which methods are allowed as
// browsers send them, where the source sends the lower case that was written.
func (p *Policy) checkMethods(m Behaviour) {
	all := slices.Clone(p.AllowMethods)
	p.AllowMethods = p.AllowMethods[:0]
	for _, n := range all {
		method := strings.ToUpper(n.Value)
		lower := method != n.Value && !slices.Contains(all, config.Name{Value: method})
		switch method {
		case "CONNECT", "TRACE", "TRACK":
			p.Change(ForbiddenMethod, method+" is left out of allow_methods: no browser sends it")
			continue
		case "DELETE", "OPTIONS", "PUT":
			if lower && !slices.Contains(all, Star) {
				p.Change(MethodCase, method+" is allowed here: "+m.Project+" sends "+n.Value+" as written, which browsers do not take for "+method)
			}
			fallthrough
		case "GET", "HEAD", "POST": // which need no listing
			if !lower {
				n.Value = method
			}
		}
		p.AllowMethods = append(p.AllowMethods, n)
	}
	p.AllowMethods = once(p.AllowMethods, func(n config.Name) string { return n.Value })
}

// Nobody is a policy without origins of a proxy that answers preflights itself. Other
// responses keep what upstream sends. Switching the policy off instead would forward
// preflights to upstream, which may allow what the proxy denied.
func Nobody(at Place, m Behaviour) *Policy {
	p := &Policy{}
	p.Put(AllowOrigins, nil, at)
	p.AllowOrigins = []config.SourceOrigin{}
	p.Preserve = true
	p.Change(NoOrigins, "the policy allows no origin; responses to other requests than preflights keep the CORS headers that upstream sends beside an access-control-allow-origin, as with "+m.Project)
	m.Status, m.Keeps = "204", false // no preflight is allowed, and the rest is said
	p.behave(m)
	return p
}

// WithoutOrigins is what becomes of a policy of Envoy's filter that allows none.
func WithoutOrigins(at Place, m Behaviour) (*Policy, []Change) {
	if m.Answers {
		return Nobody(at, m), nil
	}
	return nil, []Change{{NoOrigins, "the policy allows no origin, and is off here: upstream answers preflights"}}
}

// anyOrigin reports whether any origin is allowed, by "*" or by a matcher that counts as it.
func (p *Policy) anyOrigin() bool {
	return slices.ContainsFunc(p.AllowOrigins, func(o config.SourceOrigin) bool {
		if o.Kind == config.Pattern || o.Kind == config.Exact {
			return o.Value == "*"
		}
		alone := config.SourcePolicy{AllowOrigins: []config.SourceOrigin{o}}
		for _, code := range config.Waivers {
			alone.Tolerate = append(alone.Tolerate, config.Waiver{Code: code})
		}
		c, _, err := (&config.Source{SourcePolicy: &alone}).Compile()
		return err == nil && c.Default.Origins.Any
	})
}

// behave lists how the policy differs from its source because of the proxy's behaviour.
func (p *Policy) behave(m Behaviour) {
	if p.Mode != config.Enforce { // shadow: nothing is touched on either side
		return
	}
	anyOrigin := p.anyOrigin()
	if !anyOrigin && !bool(p.ForwardUnmatched) && m.Unmatched != "" {
		p.Change(DeniedPreflight, "a preflight from an unlisted origin is answered with 403; "+m.Unmatched)
	}
	if m.Status != "204" {
		p.Change(PreflightStatus, "an answered preflight has the status 204 instead of "+m.Status+`; "preflight_status": `+m.Status+" keeps it")
	}
	if m.Keeps {
		p.Change(UpstreamHeaders, "CORS headers from upstream are replaced or removed, for every origin; "+m.Project+` keeps them if it sends none of its own ("upstream_headers": "preserve" keeps those that come with an access-control-allow-origin)`)
	}
	switch {
	case anyOrigin && !p.Credentials && !m.Reflects: // the same answer for all, here and there
	case anyOrigin && !p.Credentials:
		p.Change(AnyOriginIsStar, "any origin gets `*`, on every response, so that caches can serve everyone; "+m.Project+" sends the request's own origin")
	case !m.Varies:
		p.Change(VaryIsSet, "Vary names Origin on every response; "+m.Project+" does not set it")
	}
}

// Unlisted says which methods need no preflight, and are not among those that a source
// sends CORS headers for.
func (p *Policy) Unlisted(project string) {
	var unlisted []string
	for _, name := range []string{"GET", "HEAD", "POST"} {
		if !slices.Contains(p.AllowMethods, Star) && !slices.Contains(p.AllowMethods, config.Name{Value: name}) {
			unlisted = append(unlisted, name)
		}
	}
	if len(unlisted) > 0 {
		p.Change(MoreAllowed, strings.Join(unlisted, " and ")+" may be read without being listed, as browsers have it; "+project+" sends no CORS headers for a method that is not listed")
	}
}
