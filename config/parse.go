package config

import (
	"strconv"
	"unsafe"
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
	root, ok := r.parseJSON(data)
	if !ok {
		return nil
	}
	c := &Config{StatPrefix: "cors"}
	var rules []rawRule
	ruled := false // a list of rules was meant
	raw := r.rawPolicy(root, topSpan, topKeys, func(name string, v value) bool {
		switch name {
		case "rules":
			before := len(r.problems)
			rules = r.rawRules(v)
			ruled = len(rules) > 0 || len(r.problems) > before
		case "stat_prefix":
			c.StatPrefix = r.statPrefix(v)
		default:
			return false
		}
		return true
	})
	if !root.IsObject() {
		return nil
	}
	c.rules = r.compileRules(rules)
	if !ruled || len(raw.keys) > 0 {
		c.Default = r.compilePolicy(raw)
	}
	return c
}

// rawPolicy reads the members of a policy object; top takes those that are no
// part of the policy.
func (r *parser) rawPolicy(v value, span map[string]spelling, known []string, top func(name string, v value) bool) *rawPolicy {
	p := &rawPolicy{object: v, keys: map[string]given{}, waived: map[Code]place{}}
	r.members(v, span, known, func(name string, v value) {
		if top == nil || !top(name, v) {
			before := len(r.problems)
			r.set(p, name, v)
			p.keys[policySpan[name].means] = given{v, len(r.problems) == before}
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
		at := raw.object.place
		at.path = join(at.path, "allow_origins")
		r.fail(at, "", Missing, "no origins", `write the origins that may read responses, such as ["https://example.com"], or "mode": "off"`)
	case given && len(raw.origins) == 0 && p.Mode != Off:
		list, ok := raw.keys["allow_origins"]
		if !ok {
			list = raw.keys[originPatterns]
		}
		if list.clean {
			r.fail(list.place, list.Raw, Missing, "no origins", `write the origins that may read responses, such as ["https://example.com"], or "mode": "off"`)
		}
	}

	waived := &waivers{given: raw.waived, used: map[Code]bool{}}
	var patterns, timing []placedPattern
	p.Origins, patterns = r.compileOrigins(raw.origins, waived)
	p.Timing, timing = r.compileOrigins(raw.timing, waived)
	r.checkOrigins(raw, &p.Origins, patterns, waived)
	r.checkLoose(raw, &p.Origins, waived)
	r.warnOrigins(raw.origins, &p.Origins, patterns)
	r.warnOrigins(raw.timing, &p.Timing, timing)
	r.compileMethods(raw, p)
	r.compileHeaders(raw, p)
	r.compileExpose(raw, p)
	for _, waiver := range Waivers {
		if at, ok := raw.waived[waiver]; ok && !waived.used[waiver] {
			r.warn(at, quote(string(waiver)), NoEffect, "nothing here needs this waiver", "leave it out")
		}
	}
	return p
}

// maxStatPrefixLen bounds the first part of the counters' names, in bytes.
const maxStatPrefixLen = 64

func (r *parser) statPrefix(v value) string {
	s, ok := r.text(v)
	if !ok {
		return ""
	}
	valid := s != "" && len(s) <= maxStatPrefixLen && s[0] != '.' && s[len(s)-1] != '.'
	for i := 0; i < len(s); i++ {
		c := s[i]
		valid = valid && ('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '-' || c == '.')
	}
	if !valid {
		r.fail(v.place, v.Raw, BadValue, "is not 1 to "+strconv.Itoa(maxStatPrefixLen)+" letters, digits, \"_\", \"-\" and inner dots", `write one such as "cors" or "cors.shop"`)
	}
	return s
}

func bytesAsString(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
