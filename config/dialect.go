package config

import (
	"math/bits"

	"github.com/tidwall/gjson"
)

// Keys under which the same settings go in Envoy's CorsPolicy, Istio's
// corsPolicy, the Gateway API's CORS filter and Higress' cors plugin, where they
// are not simply the camel case of ours.
const (
	originMatch    = "allow_origin_string_match"       // Envoy
	originList     = "allow_origin"                    // Istio, before matchers
	originPatterns = "allow_origin_patterns"           // Higress, beside allow_origins
	forwardFlag    = "forward_not_matching_preflights" // Envoy
	filterEnabled  = "filter_enabled"                  // Envoy
	shadowEnabled  = "shadow_enabled"                  // Envoy
	typeURL        = "@type"                           // Envoy, in a typed_config
)

// dialectKeys maps each of them to the setting it means: two keys that mean the
// same are a duplicate. Higress' patterns come on top of its origins, so they
// are a setting of their own, and Envoy's two fractions together are the mode.
var dialectKeys = map[string]string{
	originMatch:    "allow_origins",
	originList:     "allow_origins",
	originPatterns: originPatterns,
	forwardFlag:    "unmatched_preflights",
	filterEnabled:  filterEnabled,
	shadowEnabled:  shadowEnabled,
	typeURL:        typeURL,
}

// corsPolicyTypes are the messages that a pasted typed_config may name.
var corsPolicyTypes = []string{
	"type.googleapis.com/envoy.extensions.filters.http.cors.v3.CorsPolicy",
	"type.googleapis.com/envoy.config.route.v3.CorsPolicy",
}

// fractions are Envoy's filter_enabled and shadow_enabled, as on or off.
type fractions struct {
	enabled, shadow bool
}

func (r *parser) setDialect(p *rawPolicy, name string, v value) {
	switch name {
	case originMatch, originList:
		p.origins = append(p.origins, r.rawOrigins(v)...)
	case forwardFlag:
		p.forward = r.boolean(v)
	case filterEnabled:
		p.fractions.enabled = r.fraction(v)
	case shadowEnabled:
		p.fractions.shadow = r.fraction(v)
	case typeURL:
		r.choice(v, corsPolicyTypes...)
	}
}

// unmatched reads our own words and Istio's.
func (r *parser) unmatched(v value) (forward bool) {
	if v.Type == gjson.String {
		switch v.Str {
		case "FORWARD", "UNSPECIFIED": // Istio forwards unless told otherwise
			return true
		case "IGNORE":
			return false
		}
	}
	return r.choice(v, "deny", "forward") == "forward"
}

// modeFromFractions translates what Envoy decides for each request by chance.
// Envoy's shadow policy only counts where the filter itself is not enabled.
func (r *parser) modeFromFractions(p *rawPolicy) {
	given, enabled := p.keys[filterEnabled]
	other, shadow := p.keys[shadowEnabled]
	if !enabled {
		given = other
	}
	if !enabled && !shadow {
		return
	}
	if p.has("mode") {
		r.fail(given.key, "", DuplicateKey, `means the same as "mode"`, "keep one of the two")
		return
	}
	switch {
	case !enabled || p.fractions.enabled:
		p.mode = Enforce
	case p.fractions.shadow:
		p.mode = Shadow
	default:
		p.mode = Off
	}
}

// fraction reads a RuntimeFractionalPercent. The module decides the same for
// every request, so all or nothing is what it can do.
func (r *parser) fraction(v value) (on bool) {
	known := []string{"default_value", "runtime_key"}
	given := false
	r.members(v, exactly(known), known, func(name string, v value) {
		if name == "runtime_key" {
			if s, ok := r.text(v); ok && s != "" {
				r.warn(v.place, v.Raw, RuntimeKey, "the module can not read Envoy's runtime, so the default value holds", "leave it out")
			}
			return
		}
		given = true
		on = r.percent(v)
	})
	if v.IsObject() && !given {
		r.fail(v.place, v.Raw, Missing, "the default value is missing", `write {"default_value": {"numerator": 100}}`)
	}
	return on
}

// percent reads a FractionalPercent that is 0 or 100 %.
func (r *parser) percent(v value) (all bool) {
	known := []string{"numerator", "denominator"}
	numerator, denominator := int64(0), int64(100)
	before := len(r.problems)
	r.members(v, exactly(known), known, func(name string, v value) {
		if name == "denominator" {
			switch r.choice(v, "HUNDRED", "TEN_THOUSAND", "MILLION") {
			case "TEN_THOUSAND":
				denominator = 10_000
			case "MILLION":
				denominator = 1_000_000
			}
			return
		}
		var ok bool
		if numerator, ok = whole(v.Raw); v.Type != gjson.Number || !ok || numerator < 0 || bits.Len64(uint64(numerator)) > 32 {
			r.wrongType(v, "a whole number")
		}
	})
	if len(r.problems) == before && numerator != 0 && numerator < denominator {
		r.fail(v.place, v.Raw, OutOfRange, "the module decides the same for every request and can not take a share of them", `write a numerator of 0 or 100, or "mode": "shadow" to try a policy out`)
	}
	return numerator >= denominator
}
