package config

import (
	"strconv"
	"strings"
	"unsafe"

	"github.com/tidwall/gjson"
)

// Config is the compiled configuration of one plugin. It must not be changed.
type Config struct {
	// StatPrefix is the first part of the names of the counters.
	StatPrefix string
	// Default is the policy at the top level, or nil where there is none.
	Default *Policy
	rules   ruleIndex
}

// HasRules reports whether Select looks at the host and the path.
func (c *Config) HasRules() bool { return len(c.rules.rules) > 0 }

// Policies returns every policy, the top-level one last.
func (c *Config) Policies() (all []*Policy) {
	for i := range c.rules.rules {
		all = append(all, c.rules.rules[i].Policy)
	}
	if c.Default != nil {
		all = append(all, c.Default)
	}
	return all
}

// Parse reads a plugin configuration. err is a Problems with every mistake, and
// then there is no Config: nothing of a wrong configuration takes effect.
// warnings concern settings that are accepted and can have no effect or better
// be written otherwise.
func Parse(data []byte) (c *Config, warnings Problems, err error) {
	r := &parser{}
	c = r.config(data)
	if len(r.problems) > 0 {
		return nil, r.warnings, r.problems
	}
	return c, r.warnings, nil
}

func (r *parser) config(data []byte) *Config {
	root, ok := parseJSON(data, r)
	if !ok {
		return nil
	}
	c := &Config{StatPrefix: "cors"}
	var rules []rawRule
	hasRules := false
	raw := r.rawPolicy("", root, topSpan, topKeys, func(name, path string, v gjson.Result) bool {
		switch name {
		case "rules":
			hasRules = true
			rules = r.rawRules(path, v)
		case "stat_prefix":
			c.StatPrefix = r.statPrefix(path, v)
		default:
			return false
		}
		return true
	})
	if !root.IsObject() {
		return nil
	}
	c.rules = r.compileRules(rules)
	if len(rules) == 0 && (!hasRules || r.clean("rules")) || len(raw.keys) > 0 {
		c.Default = r.compilePolicy(raw)
	}
	return c
}

// rawPolicy reads the members of a policy object; top takes those that are no
// part of the policy.
func (r *parser) rawPolicy(path string, v gjson.Result, span map[string]spelling, known []string, top func(name, path string, v gjson.Result) bool) *rawPolicy {
	p := &rawPolicy{path: path, keys: map[string]string{}, waived: map[Code]string{}}
	r.members(path, v, span, known, func(name, path string, v gjson.Result) {
		if top == nil || !top(name, path, v) {
			r.set(p, name, path, v)
		}
	})
	r.modeFromFractions(p)
	return p
}

// compilePolicy checks what a policy says as a whole and compiles it.
func (r *parser) compilePolicy(raw *rawPolicy) *Policy {
	p := &Policy{
		Mode:             raw.mode,
		Credentials:      raw.credentials,
		MaxAge:           raw.maxAge,
		PrivateNetwork:   raw.pna,
		PreflightStatus:  204,
		ForwardUnmatched: raw.forward,
		Reject:           raw.reject,
		Preserve:         raw.preserve,
		Debug:            raw.debug,
	}
	if raw.status != 0 {
		p.PreflightStatus = raw.status
	}
	given := raw.has("allow_origins") || raw.has(originPatterns)
	switch {
	case !given && p.Mode != Off:
		r.fail(join(raw.path, "allow_origins"), "", Missing, "no origins", `write the origins that may read responses, such as ["https://example.com"], or "mode": "off"`)
	case given && len(raw.origins) == 0 && p.Mode != Off:
		path := raw.keys["allow_origins"]
		if path == "" {
			path = raw.keys[originPatterns]
		}
		if r.clean(path) {
			r.fail(path, "[]", Missing, "no origins", `write the origins that may read responses, such as ["https://example.com"], or "mode": "off"`)
		}
	}

	waived := &waivers{given: raw.waived, used: map[Code]bool{}}
	var patterns, timing []placedPattern
	p.Origins, patterns = r.compileOrigins(raw.origins, waived)
	p.Timing, timing = r.compileOrigins(raw.timing, waived)
	r.checkOrigins(raw, &p.Origins, patterns, waived)
	r.checkLoose(raw, &p.Origins, waived)
	r.warnOrigins(&p.Origins, patterns)
	r.warnOrigins(&p.Timing, timing)
	r.compileMethods(raw, p)
	r.compileHeaders(raw, p)
	r.compileExpose(raw, p)
	for _, waiver := range Waivers {
		if path, ok := raw.waived[waiver]; ok && !waived.used[waiver] {
			r.warn(path, quote(string(waiver)), NoEffect, "nothing here needs this waiver", "leave it out")
		}
	}
	return p
}

// clean reports whether no mistake was found at or below the path.
func (r *parser) clean(path string) bool {
	for _, p := range r.problems {
		if strings.HasPrefix(p.Path, path) {
			return false
		}
	}
	return true
}

// maxStatPrefixLen bounds the first part of the counters' names, in bytes.
const maxStatPrefixLen = 64

func (r *parser) statPrefix(path string, v gjson.Result) string {
	s, ok := r.text(path, v)
	if !ok {
		return ""
	}
	valid := s != "" && len(s) <= maxStatPrefixLen && s[0] != '.' && s[len(s)-1] != '.'
	for i := 0; i < len(s); i++ {
		c := s[i]
		valid = valid && ('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '-' || c == '.')
	}
	if !valid {
		r.fail(path, v.Raw, BadValue, "is not 1 to "+strconv.Itoa(maxStatPrefixLen)+" letters, digits, \"_\", \"-\" and inner dots", `write one such as "cors" or "cors.shop"`)
	}
	return s
}

func bytesAsString(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
