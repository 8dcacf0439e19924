package config

import (
	"strconv"
	"strings"

	"github.com/tidwall/gjson"
)

// Field describes one setting, for the reference in the README and for tools.
type Field struct {
	// Name is the key in snake_case; its lowerCamelCase form is accepted too.
	Name string
	// Type says what JSON is accepted.
	Type string
	// Default says what holds where the key is absent.
	Default string
	// Meaning is one sentence.
	Meaning string
	// Top is set for options of the whole plugin, which stand at the top level
	// only.
	Top bool
}

// Fields are all settings, in the order of the reference.
var Fields = []Field{
	{Name: "allow_origins", Type: "list of strings or matcher objects", Default: "required", Meaning: "who may read responses"},
	{Name: "allow_methods", Type: "list of strings, or one comma-separated string", Default: "none", Meaning: "sent as Access-Control-Allow-Methods; GET, HEAD and POST never need listing; `*` is any"},
	{Name: "allow_headers", Type: "list of strings, or one comma-separated string", Default: "none", Meaning: "sent as Access-Control-Allow-Headers; `*` is any"},
	{Name: "expose_headers", Type: "list of strings, or one comma-separated string", Default: "none", Meaning: "sent as Access-Control-Expose-Headers"},
	{Name: "allow_credentials", Type: "boolean", Default: "`false`", Meaning: "sends Access-Control-Allow-Credentials: true"},
	{Name: "max_age", Type: "seconds as number or string, or a duration such as `10m`", Default: "not sent", Meaning: "Access-Control-Max-Age; 0 or -1 sends `0`, do not cache"},
	{Name: "allow_private_network_access", Type: "boolean", Default: "`false`", Meaning: "answers Access-Control-Request-Private-Network: true with Access-Control-Allow-Private-Network: true"},
	{Name: "preflight_status", Type: "200 to 299", Default: "`204`", Meaning: "status of an answered preflight"},
	{Name: "unmatched_preflights", Type: "`deny` or `forward`", Default: "`deny`", Meaning: "preflight from an origin that is not allowed: answer 403 here, or let upstream answer"},
	{Name: "disallowed_requests", Type: "`forward` or `reject`", Default: "`forward`", Meaning: "other request from an origin that is not allowed: forward it without CORS headers, or answer 403"},
	{Name: "upstream_headers", Type: "`override` or `preserve`", Default: "`override`", Meaning: "what becomes of CORS headers that upstream sent itself"},
	{Name: "mode", Type: "`enforce`, `shadow` or `off`", Default: "`enforce`", Meaning: "shadow decides, counts and logs, and touches nothing"},
	{Name: "timing_allow_origins", Type: "as `allow_origins`", Default: "none", Meaning: "stamps Timing-Allow-Origin for those origins"},
	{Name: "debug", Type: "boolean", Default: "`false`", Meaning: "adds the decision as the response header x-cors-decision"},
	{Name: "dangerously_tolerate", Type: "list of waivers", Default: "none", Meaning: "lets through a setting that is refused otherwise; the refusal names the waiver"},
	{Name: "rules", Type: "list of rules", Default: "none", Meaning: "policies by host and path; the first that matches wins, else the settings above", Top: true},
	{Name: "stat_prefix", Type: "string", Default: "`cors`", Meaning: "first part of the names of the counters", Top: true},
}

// policyKeys and topKeys are the names that unknown keys are compared with.
var (
	policyKeys = fieldNames(false)
	topKeys    = fieldNames(true)
	policySpan = spellings(policyKeys)
	topSpan    = spellings(topKeys)
)

func fieldNames(top bool) (names []string) {
	for _, f := range Fields {
		if top || !f.Top {
			names = append(names, f.Name)
		}
	}
	return names
}

// spellings maps every accepted spelling of the keys, dialects included.
func spellings(names []string) map[string]spelling {
	span := exactly(names)
	for name, means := range dialectKeys {
		span[name], span[camel(name)] = spelling{name, means}, spelling{name, means}
	}
	return span
}

// camel is the lowerCamelCase form of a snake_case key, as protobuf's JSON
// mapping makes it.
func camel(name string) string {
	parts := strings.Split(name, "_")
	for i, part := range parts[1:] {
		if part != "" {
			parts[i+1] = strings.ToUpper(part[:1]) + part[1:]
		}
	}
	return strings.Join(parts, "")
}

// rawPolicy is a policy as written: types are checked, values are not.
type rawPolicy struct {
	object      value
	keys        map[string]given // by setting
	origins     []rawOrigin
	timing      []rawOrigin
	methods     []rawName
	headers     []rawName
	expose      []rawName
	credentials bool
	maxAge      string // value of the response field, or empty
	pna         bool
	status      uint32
	forward     bool
	reject      bool
	preserve    bool
	mode        Mode
	debug       bool
	waived      map[Code]place
	fractions   fractions
}

// given is the value of a setting as written; clean says that no mistake was
// found in it.
type given struct {
	value
	clean bool
}

// rawName is an element of a list of methods or header names.
type rawName struct {
	place
	name string
}

func (p *rawPolicy) has(key string) bool { _, ok := p.keys[key]; return ok }

// set reads one member of a policy object.
func (r *parser) set(p *rawPolicy, name string, v value) {
	switch name {
	case "allow_origins", originPatterns:
		p.origins = append(p.origins, r.rawOrigins(v)...)
	case "timing_allow_origins":
		p.timing = r.rawOrigins(v)
	case "allow_methods":
		p.methods = r.names(v)
	case "allow_headers":
		p.headers = r.names(v)
	case "expose_headers":
		p.expose = r.names(v)
	case "allow_credentials":
		p.credentials = r.boolean(v)
	case "max_age":
		p.maxAge = r.maxAge(v)
	case "allow_private_network_access":
		p.pna = r.boolean(v)
	case "preflight_status":
		p.status = r.status(v)
	case "unmatched_preflights":
		p.forward = r.unmatched(v)
	case "disallowed_requests":
		p.reject = r.choice(v, "forward", "reject") == "reject"
	case "upstream_headers":
		p.preserve = r.choice(v, "override", "preserve") == "preserve"
	case "mode":
		p.mode = r.mode(v)
	case "debug":
		p.debug = r.boolean(v)
	case "dangerously_tolerate":
		r.waivers(p, v)
	default:
		r.setDialect(p, name, v)
	}
}

func (r *parser) mode(v value) Mode {
	if v.Type == gjson.False {
		r.fail(v.place, v.Raw, WrongType, "YAML reads off without quotes as false", `write "off" in quotes`)
		return Off
	}
	switch r.choice(v, "enforce", "shadow", "off") {
	case "shadow":
		return Shadow
	case "off":
		return Off
	}
	return Enforce
}

func (r *parser) status(v value) uint32 {
	if v.Type != gjson.Number {
		r.wrongType(v, "a number")
		return 0
	}
	n, ok := whole(v.Raw)
	if !ok || n < 200 || n > 299 {
		r.fail(v.place, v.Raw, OutOfRange, "browsers take only a status of 200 to 299 for an answered preflight", "write 204, or 200 for very old clients")
		return 0
	}
	return uint32(n)
}

func (r *parser) waivers(p *rawPolicy, v value) {
	r.elements(v, func(v value) {
		s, ok := r.text(v)
		if !ok {
			return
		}
		var known []string
		for _, waiver := range Waivers {
			if s == string(waiver) {
				if _, again := p.waived[waiver]; again {
					r.warn(v.place, v.Raw, Duplicate, "stands twice", "keep one")
				}
				p.waived[waiver] = v.place
				return
			}
			known = append(known, string(waiver))
		}
		r.fail(v.place, v.Raw, BadValue, "no waiver of this name", nearest(s, known))
	})
}

// names reads a list of strings, or one comma-separated string, into its
// elements.
func (r *parser) names(v value) (names []rawName) {
	if v.Type == gjson.String {
		if strings.TrimSpace(v.Str) == "" {
			return nil
		}
		begin := 0
		for _, part := range strings.Split(v.Str, ",") {
			name := strings.Trim(part, " \t")
			at := begin + strings.Index(part, name)
			names = append(names, rawName{v.part(at, at+len(name)), name})
			begin += len(part) + len(",")
		}
		return names
	}
	if !v.IsArray() {
		r.wrongType(v, "a list of strings or one comma-separated string")
		return nil
	}
	r.elements(v, func(v value) {
		if s, ok := r.text(v); ok {
			names = append(names, rawName{v.place, s})
		}
	})
	return names
}

func quote(s string) string { return strconv.Quote(s) }
