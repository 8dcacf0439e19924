package config

import (
	"math/bits"

	"github.com/tidwall/gjson"
)

// Settings with several keys, and keys that are given more than once.
const (
	allowOrigins        = "allow_origins"
	originPatterns      = "allow_origin_patterns"
	unmatchedPreflights = "unmatched_preflights"
	filterEnabled       = "filter_enabled"
	shadowEnabled       = "shadow_enabled"
	tolerate            = "dangerously_tolerate"
	privateNetwork      = "allow_private_network_access"
)

const (
	envoy   = "Envoy"
	istio   = "Istio"
	higress = "Higress"
)

// Dialects are the keys of Envoy's CorsPolicy, Istio's corsPolicy and Higress' cors plugin
// that differ from ours by more than camel case. The Gateway API's CORS filter has none.
// Higress' patterns are a separate setting, because they are added to its origins. Envoy's
// two fractions together make the mode.
var Dialects = []Field{
	{Name: "allow_origin_string_match", Dialect: envoy, Setting: allowOrigins, Type: originsType, Meaning: "Envoy's name of allow_origins", read: readOrigins},
	{Name: "allow_origin", Dialect: istio, Setting: allowOrigins, Type: originsType, Meaning: "an older name of allow_origins, in Istio", read: readOrigins},
	{Name: originPatterns, Dialect: higress, Setting: originPatterns, Type: originsType, Meaning: "Higress' patterns; they add to allow_origins", read: readOrigins},
	{Name: "forward_not_matching_preflights", Dialect: envoy, Setting: unmatchedPreflights, Type: flagType, Meaning: "Envoy's name of unmatched_preflights: forward",
		read: func(p *parser, s *SourcePolicy, v value) { s.ForwardUnmatched = Forward(p.boolean(v)) }},
	{Name: filterEnabled, Dialect: envoy, Setting: filterEnabled, Type: fractionType, Meaning: "Envoy's switch: 0 % or 100 %",
		read: func(p *parser, s *SourcePolicy, v value) { s.enabled = p.fraction(v) }},
	{Name: shadowEnabled, Dialect: envoy, Setting: shadowEnabled, Type: fractionType, Meaning: "Envoy's switch for mode shadow: 0 % or 100 %",
		read: func(p *parser, s *SourcePolicy, v value) { s.shadow = p.fraction(v) }},
	{Name: "@type", Dialect: envoy, Setting: "@type", Type: typeURLType, Meaning: "names the message in a pasted typed_config",
		read: func(p *parser, s *SourcePolicy, v value) { p.choice(v, corsPolicyTypes...) }},
}

const (
	fractionType = "fraction of 0 % or 100 %"
	typeURLType  = "type of a CorsPolicy"
)

// corsPolicyTypes are the messages that a pasted typed_config may name.
var corsPolicyTypes = []string{
	"type.googleapis.com/envoy.extensions.filters.http.cors.v3.CorsPolicy",
	"type.googleapis.com/envoy.config.route.v3.CorsPolicy",
}

func readOrigins(p *parser, s *SourcePolicy, v value) {
	if s.AllowOrigins == nil {
		if s.AllowOrigins = s.room; s.room == nil {
			s.AllowOrigins = []SourceOrigin{} // nobody, should nothing follow
		}
	}
	s.AllowOrigins = p.origins(s.AllowOrigins, v)
}

// dialect says which project's keys a policy uses.
type dialect struct {
	project string
	place   place // of the key that decides
}

var allowOriginsInCamel = camel(allowOrigins)

// see notes the dialect of one member of a policy. Some keys exist in one project only.
// Istio's allowOrigins are recognised by their matcher objects: strings there could also be
// the Gateway API's or ours.
func (d *dialect) see(f *Field, v value) {
	if d.project != "" {
		return
	}
	*d = dialect{f.Dialect, v.at}
	if v.name == allowOriginsInCamel && v.beginsWithObject() {
		d.project = istio
	}
}

// noteUnmatched notes that a policy behaves differently where it comes from: Envoy and Istio
// forward a preflight from an unlisted origin, unless the policy says otherwise. Higress
// answers it, and implementations of the Gateway API differ.
func (p *parser) noteUnmatched(s *SourcePolicy, policy *Policy) {
	from := s.dialect.project
	if from != envoy && from != istio || s.has(unmatchedPreflights) || s.Mode == Off || policy.Origins.Any {
		return
	}
	p.notes.add(s.dialect.place, "", Unmatched, from+" forwards a preflight from an unlisted origin; this filter answers it with 403",
		`add "unmatched_preflights": "forward" to keep that, or "deny" to confirm the 403`)
}

// unmatchedInIstio are Istio's words for unmatched_preflights; unspecified is
// forward there.
var unmatchedInIstio = map[string]Forward{"FORWARD": true, "UNSPECIFIED": true, "IGNORE": false}

// unmatched reads our own words and Istio's.
func (p *parser) unmatched(v value) Forward {
	if v.Type == gjson.String {
		if forward, ok := unmatchedInIstio[v.Str]; ok {
			return forward
		}
	}
	return p.choice(v, "deny", "forward") == "forward"
}

// modeFromFractions translates Envoy's fractions of requests into a mode. Envoy's shadow
// policy only counts if the filter itself is not enabled.
func (p *parser) modeFromFractions(s *SourcePolicy) {
	first := s.find(filterEnabled)
	enabled := first != nil
	if !enabled {
		first = s.find(shadowEnabled)
	}
	if first == nil {
		return
	}
	switch {
	case s.has("mode"):
		p.fail(first.at, "", DuplicateKey, `means the same as "mode"`, "keep one of the two")
	case !enabled || s.enabled:
		s.Mode = Enforce
	case s.shadow:
		s.Mode = Shadow
	default:
		s.Mode = Off
	}
}

var fractionKeys, percentKeys = keysOf("default_value", "runtime_key"), keysOf("numerator", "denominator")

// fraction reads a RuntimeFractionalPercent. The module treats every request alike, so it
// accepts only all or nothing.
func (p *parser) fraction(v value) (on bool) {
	given := false
	p.members(v, fractionKeys, func(k key, v value) {
		if k.name == "runtime_key" {
			if s, ok := p.text(v); ok && s != "" {
				p.warn(v.place, v.Raw, RuntimeKey, "the module cannot read Envoy's runtime, so the default value applies", "leave it out")
			}
			return
		}
		given = true
		on = p.percent(v)
	})
	if v.IsObject() && !given {
		p.fail(v.place, v.Raw, Missing, "the default value is missing", `write {"default_value": {"numerator": 100}}`)
	}
	return on
}

// percent reads a FractionalPercent that is 0 or 100 %.
func (p *parser) percent(v value) (all bool) {
	numerator, denominator := int64(0), int64(100)
	before := p.mistakes.count
	p.members(v, percentKeys, func(k key, v value) {
		if k.name == "denominator" {
			switch p.choice(v, "HUNDRED", "TEN_THOUSAND", "MILLION") {
			case "TEN_THOUSAND":
				denominator = 10_000
			case "MILLION":
				denominator = 1_000_000
			}
			return
		}
		var ok bool
		if numerator, ok = whole(v.Raw); !ok || numerator < 0 || bits.Len64(uint64(numerator)) > 32 {
			p.wrongType(v, "a whole number")
		}
	})
	if p.mistakes.count == before && numerator != 0 && numerator < denominator {
		p.fail(v.place, v.Raw, OutOfRange, "the module treats every request alike and cannot pick a share of them", `write a numerator of 0 or 100, or "mode": "shadow" to try out a policy`)
	}
	return numerator >= denominator
}
