package config

import (
	"math"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"
)

// Field is one key of a policy, or of the top level. Its row has everything about it; the
// reference in docs/configuration.md and config/schema.json are generated from the rows.
type Field struct {
	// Name is the key in snake_case; its lowerCamelCase form is accepted too.
	Name string
	// Type says what JSON is accepted.
	Type string
	// Default says what applies if the key is absent.
	Default string
	// Meaning is one sentence.
	Meaning string
	// Top is set for options of the whole plugin, which are only allowed at the
	// top level.
	Top bool
	// Dialect is the project whose key it is, and Setting what it means here: the
	// name of one of our fields, or its own name if we have no such field. Both are
	// empty for our own fields.
	Dialect, Setting string

	read func(p *parser, s *SourcePolicy, v value)
}

// The types of several fields.
const (
	originsType = "list of strings or matcher objects"
	headersType = "list of header names, or one comma-separated string"
	flagType    = "boolean"
)

// Fields are our own settings, in the order of the reference.
var Fields = []Field{
	{Name: allowOrigins, Type: originsType, Default: "required", Meaning: "who may read responses; `[]` allows nobody, whatever upstream sends", read: readOrigins},
	{Name: "allow_methods", Type: "list of methods, or one comma-separated string", Default: "none", Meaning: "sent as Access-Control-Allow-Methods; GET, HEAD and POST need no listing; `*` means any",
		read: func(p *parser, s *SourcePolicy, v value) { s.AllowMethods = p.namesOrText(s.AllowMethods, v) }},
	{Name: "allow_headers", Type: headersType, Default: "none", Meaning: "sent as Access-Control-Allow-Headers; `*` means any",
		read: func(p *parser, s *SourcePolicy, v value) { s.AllowHeaders = p.namesOrText(s.AllowHeaders, v) }},
	{Name: "expose_headers", Type: headersType, Default: "none", Meaning: "sent as Access-Control-Expose-Headers; `*` means any, for requests without credentials",
		read: func(p *parser, s *SourcePolicy, v value) { s.ExposeHeaders = p.namesOrText(s.ExposeHeaders, v) }},
	{Name: "allow_credentials", Type: flagType, Default: "`false`", Meaning: "sends Access-Control-Allow-Credentials: true",
		read: func(p *parser, s *SourcePolicy, v value) { s.Credentials = p.boolean(v) }},
	{Name: "max_age", Type: "seconds as number or string, or a duration such as `10m`", Default: "not sent", Meaning: "sent as Access-Control-Max-Age; 0 or -1 sends `0` (do not cache)",
		read: func(p *parser, s *SourcePolicy, v value) { s.MaxAge = p.maxAge(v) }},
	{Name: privateNetwork, Type: flagType, Default: "`false`", Meaning: "answers Access-Control-Request-Private-Network: true with Access-Control-Allow-Private-Network: true (Private Network Access). Current browsers ask their user instead (Local Network Access), and no header changes that",
		read: func(p *parser, s *SourcePolicy, v value) { s.PrivateNetwork = p.boolean(v) }},
	{Name: "preflight_status", Type: "200 to 299", Default: "`204`", Meaning: "status of an answered preflight",
		read: func(p *parser, s *SourcePolicy, v value) { s.PreflightStatus = p.status(v) }},
	{Name: unmatchedPreflights, Type: "`deny` or `forward`", Default: "`deny`", Meaning: "for a preflight from an origin that is not allowed: answer 403, or let upstream answer",
		read: func(p *parser, s *SourcePolicy, v value) { s.ForwardUnmatched = p.unmatched(v) }},
	{Name: "disallowed_requests", Type: "`forward` or `reject`", Default: "`forward`", Meaning: "for any other request from an origin that is not allowed: forward it without CORS headers, or answer 403",
		read: func(p *parser, s *SourcePolicy, v value) {
			s.Reject = p.choice(v, "forward", "reject") == "reject"
		}},
	{Name: "upstream_headers", Type: "`override` or `preserve`", Default: "`override`", Meaning: "whether to replace or keep the CORS headers that upstream sends",
		read: func(p *parser, s *SourcePolicy, v value) {
			s.Preserve = p.choice(v, "override", "preserve") == "preserve"
		}},
	{Name: "mode", Type: "`enforce`, `shadow` or `off`", Default: "`enforce`", Meaning: "`shadow` decides, counts and logs, but changes nothing; `off` does nothing",
		read: func(p *parser, s *SourcePolicy, v value) { s.Mode = p.mode(v) }},
	{Name: "debug", Type: flagType, Default: "`false`", Meaning: "adds the decision to responses, as the header x-cors-decision",
		read: func(p *parser, s *SourcePolicy, v value) { s.Debug = p.boolean(v) }},
	{Name: "timing_allow_origins", Type: "as `allow_origins`", Default: "none", Meaning: "sets Timing-Allow-Origin for those origins",
		read: func(p *parser, s *SourcePolicy, v value) { s.TimingAllowOrigins = p.origins(s.TimingAllowOrigins, v) }},
	{Name: tolerate, Type: "list of waivers", Default: "none", Meaning: "accepts settings that are refused by default; the error message names the waiver; an entry of allow_origins can have waivers of its own",
		read: func(p *parser, s *SourcePolicy, v value) { s.Tolerate = p.waivers(s.Tolerate, v) }},
	{Name: "rules", Type: "list of rules", Default: "none", Meaning: "policies by host and path; the first match wins, and the settings above apply if none matches", Top: true,
		read: func(p *parser, s *SourcePolicy, v value) { p.source.Rules = p.rules(p.source.Rules, v) }},
	{Name: "stat_prefix", Type: "1 to 64 letters, digits, `_`, `-` and inner dots", Default: "`cors`", Meaning: "prefix of the counters' names", Top: true,
		read: func(p *parser, s *SourcePolicy, v value) { p.source.StatPrefix = p.statPrefix(v) }},
}

// policyKeys and topKeys are the keys of a policy and of the top level. init makes them,
// because the rows above read policies through the rules, and a variable must not depend on
// itself.
var policyKeys, topKeys keySet

func init() { policyKeys, topKeys = fieldKeys(false), fieldKeys(true) }

// fieldKeys are our fields, which remedies suggest, and those of the dialects.
func fieldKeys(top bool) keySet {
	set := keySet{keys: map[string]key{}}
	for i := range Fields {
		if f := &Fields[i]; top || !f.Top {
			set.names = append(set.names, f.Name)
			set.add(key{f.Name, f.Name, f})
		}
	}
	for i := range Dialects {
		f := &Dialects[i]
		set.add(key{f.Name, f.Setting, f})
	}
	return set
}

// KnownKey reports whether a key is allowed at the top level of a configuration, in any of
// its spellings.
func KnownKey(key string) bool {
	_, ok := topKeys.keys[key]
	return ok
}

// NearKey reports whether a key is at most two typing errors away from one that only this
// filter's configuration has at its top level. It serves to recognise files, and ignores
// short keys, which are close to many words.
func NearKey(key string) bool {
	const shortest, slips = 10, 2
	if len(key) < shortest {
		return false
	}
	for known := range topKeys.keys {
		if len(known) >= shortest && edits(strings.ToLower(key), strings.ToLower(known)) <= slips {
			return true
		}
	}
	return false
}

// SettingOf returns the setting that a policy's key means, in any of its spellings; "" for
// an unknown key.
func SettingOf(key string) string { return policyKeys.keys[key].setting }

// readPolicy reads a policy object, or the top level, into an empty policy. It checks keys
// and types; values are checked when the policy is compiled.
func (p *parser) readPolicy(object value, keys keySet) *SourcePolicy {
	if p.used == len(p.policies) {
		p.policies = append(p.policies, &SourcePolicy{})
	}
	s := p.policies[p.used]
	p.used++
	s.reset(object.place)
	var dialect dialect
	p.members(object, keys, func(k key, v value) {
		before := p.mistakes.count
		k.field.read(p, s, v)
		s.given = append(s.given, given{k.setting, v.place, v.at, v.Raw, p.mistakes.count == before})
		if !k.field.Top {
			s.settings++
		}
		dialect.see(k.field, v)
	})
	s.dialect = dialect
	p.modeFromFractions(s)
	return s
}

func (p *parser) mode(v value) Mode {
	if v.Type == gjson.False {
		p.fail(v.place, v.Raw, WrongType, "YAML reads off without quotes as false", `write "off" in quotes`)
		return Off
	}
	switch p.choice(v, "enforce", "shadow", "off") {
	case "shadow":
		return Shadow
	case "off":
		return Off
	}
	return Enforce
}

func (p *parser) status(v value) uint32 {
	if v.Type != gjson.Number {
		p.wrongType(v, "a number")
		return 0
	}
	n, ok := whole(v.Raw)
	if !ok || n <= 0 || n > math.MaxUint32 {
		return math.MaxUint32 // which is none
	}
	return uint32(n)
}

// waivers reads a list of waivers, and appends them.
func (p *parser) waivers(list []Waiver, v value) []Waiver {
	p.elements(v, func(v value) {
		if name, ok := p.text(v); ok {
			list = append(list, Waiver{Code: Code(name), place: v.place})
		}
	})
	return list
}

// maxStatPrefixLen bounds the prefix of the counters' names, in bytes.
const maxStatPrefixLen = 64

func (p *parser) statPrefix(v value) string {
	s, ok := p.text(v)
	if ok {
		p.checkStatPrefix(v.place, s)
	}
	return s
}

func (p *parser) checkStatPrefix(at place, s string) {
	valid := s != "" && len(s) <= maxStatPrefixLen && s[0] != '.' && s[len(s)-1] != '.'
	for i := 0; i < len(s); i++ {
		c := s[i]
		valid = valid && ('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '-' || c == '.')
	}
	if !valid {
		p.fail(at, quote(s), BadValue, "is not 1 to "+strconv.Itoa(maxStatPrefixLen)+" letters, digits, \"_\", \"-\" and inner dots", `write one such as "cors" or "cors.shop"`)
	}
}
