package convert

import (
	"encoding/json"
	"slices"
	"strings"

	"corsfilter/config"
)

// How the proxies differ in what they send for the same words.

// manner is what a source's proxy does with any policy.
type manner struct {
	// project is how sentences call it.
	project string
	// echoes says that a list of `*` alone is answered with what the preflight
	// asks for, where the policy has credentials; authorization says that it is
	// without them, too, so that this name is among it.
	echoes, authorization bool
	// reflects says that any origin is answered with the origin itself.
	reflects bool
	// unmatched says what becomes of a preflight from an origin that is not allowed,
	// where the policy does not say it: "goes upstream".
	unmatched string
	// answers says that the proxy answers such a preflight by itself, without
	// CORS headers.
	answers bool
	// status is that of an answered preflight.
	status string
	// keeps says that CORS headers of upstream stay for origins that are not allowed.
	keeps bool
	// varies says that Vary names Origin there too.
	varies bool
}

// finish brings a policy into the order of the reference, leaves out what has no
// meaning in browsers, and says what it does otherwise here.
func (p *policy) finish(m manner) {
	credentials := p.credentials()
	for i := range p.settings {
		s := &p.settings[i]
		if !s.list {
			continue
		}
		s.distinct()
		switch s.name {
		case "allow_methods":
			p.dropForbidden(s)
			p.stars(s, m, credentials)
		case "allow_headers":
			p.stars(s, m, credentials)
			if s.alone() && m.authorization && !credentials {
				// The preflight's own words came back, and `*` does not cover this one.
				s.values = append(s.values, value{"authorization", s.values[0].at})
			}
		case "expose_headers":
			if credentials {
				p.dropStar(s, "expose_headers")
			}
		}
	}
	p.settings = slices.DeleteFunc(p.settings, func(s setting) bool { return s.list && len(s.values) == 0 && s.name != "allow_origins" })
	p.sort()
	p.behave(m, credentials)
}

func (s *setting) alone() bool { return len(s.values) == 1 && s.values[0].json == "*" }

// distinct leaves out what stands twice.
func (s *setting) distinct() {
	seen := map[string]bool{}
	s.values = slices.DeleteFunc(s.values, func(v value) bool {
		key := string(compact(v.json))
		if s.name == "allow_headers" || s.name == "expose_headers" {
			key = strings.ToLower(key)
		}
		again := seen[key]
		seen[key] = true
		return again
	})
}

// stars sees to a `*` among methods or request headers: alone it is sent back as
// what was asked for, beside others it goes out as it stands, and with credentials
// browsers read that as a name.
func (p *policy) stars(s *setting, m manner, credentials bool) {
	if credentials && !(s.alone() && m.echoes) {
		p.dropStar(s, s.name)
	}
}

func (p *policy) dropStar(s *setting, name string) {
	before := len(s.values)
	s.values = slices.DeleteFunc(s.values, func(v value) bool { return v.json == "*" })
	if len(s.values) < before {
		p.change(LiteralStar, "`*` in "+name+" is left out: with credentials browsers read it as a name")
	}
}

func (p *policy) dropForbidden(s *setting) {
	s.values = slices.DeleteFunc(s.values, func(v value) bool {
		switch strings.ToUpper(v.text()) {
		case "CONNECT", "TRACE", "TRACK":
			p.change(ForbiddenMethod, strings.ToUpper(v.text())+" is left out of allow_methods: no browser sends it")
			return true
		}
		return false
	})
}

// noSite is an origin that no page can have: its name is none by definition (RFC
// 6761, section 6.4). A policy here needs an origin.
const noSite = "https://nobody.invalid"

// nobody is a policy without origins of a proxy that answers its preflights by
// itself; what upstream sends on other responses stays. Off would hand preflights
// to upstream, which may allow what the proxy refused.
func nobody(at Place, m manner) *policy {
	p := &policy{}
	p.setList("allow_origins", at, []value{{noSite, at}})
	p.set("upstream_headers", at, "preserve")
	p.sort()
	p.change(NoOrigins, "the policy allows no origin, and "+noSite+" stands for that, a name that no site can have; CORS headers that upstream sends itself on other responses than a preflight's stay, as with "+m.project)
	m.status, m.keeps = "204", false // no preflight is allowed, and the rest is said
	p.behave(m, false)
	return p
}

// anyOrigin reports whether a list of origins lets any in: by "*", or by a matcher
// that the parser takes for it.
func (s *setting) anyOrigin() bool {
	for _, v := range s.values {
		if v.json == "*" {
			return true
		}
		if _, plain := v.json.(string); plain {
			continue
		}
		text, err := json.Marshal(map[string]any{"allow_origins": []any{v.json}, "dangerously_tolerate": config.Waivers})
		if err != nil {
			continue
		}
		if c, _, err := config.Parse(text); err == nil && c.Default.Origins.Any {
			return true
		}
	}
	return false
}

// behave lists what the policy does otherwise here.
func (p *policy) behave(m manner, credentials bool) {
	if p.find("mode") != nil { // shadow: nothing is touched on either side
		return
	}
	origins := p.find("allow_origins")
	anyOrigin := origins != nil && origins.anyOrigin()
	unmatched := p.find("unmatched_preflights")
	if forwards := unmatched != nil && unmatched.values[0].json == "forward"; !anyOrigin && !forwards {
		p.change(DeniedPreflight, "a preflight from an origin that is not allowed is answered with 403; "+m.unmatched)
	}
	if m.status != "204" {
		p.change(PreflightStatus, "an answered preflight has the status 204, and not "+m.status+`; "preflight_status": `+m.status+" keeps it")
	}
	if m.keeps {
		p.change(UpstreamHeaders, "CORS headers that upstream sends itself are replaced or removed, for every origin; "+m.project+` leaves them where it has none of its own to send ("upstream_headers": "preserve" keeps those beside an access-control-allow-origin)`)
	}
	switch {
	case anyOrigin && !credentials && !m.reflects: // the same answer for all, here and there
	case anyOrigin && !credentials:
		p.change(AnyOriginIsStar, "any origin is answered with `*`, on every response, so that caches serve everyone the same; "+m.project+" sends the request's own origin")
	case !m.varies:
		p.change(VaryIsSet, "Vary names Origin on every response; "+m.project+" does not set it")
	}
}
