// Package config turns the plugin's JSON into an immutable, compiled policy.
// Everything that can be decided or formatted before a request comes is done
// here; every mistake of a configuration is reported at once, with its path,
// and a configuration with a mistake gives no policy at all. It imports
// internal/origin, internal/header and gjson.
package config

// Config is the compiled configuration of one plugin. It must not be changed.
type Config struct {
	// StatPrefix is the first part of the names of the counters.
	StatPrefix string
	// Default is the policy at the top level, or nil where there is none.
	Default *Policy
	// Notes say where a policy that was written for another proxy does
	// otherwise here. They are neither mistakes nor warnings: nothing about the
	// policy is wrong.
	Notes Problems
	rules ruleIndex
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
	p := newParser()
	c = p.config(data)
	if p.mistakes.count > 0 {
		return nil, p.warnings.all(), p.mistakes.all()
	}
	c.Notes = p.notes.all()
	return c, p.warnings.all(), nil
}

func (p *parser) config(data []byte) *Config {
	root, ok := p.parseJSON(data)
	if !ok {
		return nil
	}
	raw := p.rawPolicy(root, topKeys)
	if !root.IsObject() {
		return nil
	}
	c := &Config{StatPrefix: "cors", rules: p.compileRules(raw.rules)}
	if raw.has("stat_prefix") {
		c.StatPrefix = raw.statPrefix
	}
	list, given := raw.given["rules"]
	ruled := len(raw.rules) > 0 || given && !list.clean
	if !ruled || raw.policyKeys > 0 {
		c.Default = p.compilePolicy(raw)
	}
	return c
}

// compilePolicy checks what a policy says as a whole and compiles it.
func (p *parser) compilePolicy(raw *rawPolicy) *Policy {
	policy := &raw.policy
	p.requireOrigins(raw)
	waived := &waivers{given: raw.waived, used: map[Code]bool{}}
	var patterns, timing []placedPattern
	policy.Origins, patterns = p.compileOrigins(raw.origins, waived)
	policy.Timing, timing = p.compileOrigins(raw.timing, waived)
	p.checkOrigins(raw, patterns, waived)
	p.checkLoose(raw, waived)
	p.warnOrigins(raw.origins, &policy.Origins, patterns)
	p.warnOrigins(raw.timing, &policy.Timing, timing)
	p.warnPrivateNetwork(raw, patterns)
	p.compileMethods(raw)
	p.compileHeaders(raw)
	p.compileExpose(raw)
	for _, waiver := range Waivers {
		if at, ok := raw.waived[waiver]; ok && !waived.used[waiver] {
			p.warn(at, quote(string(waiver)), NoEffect, "nothing here needs this waiver", "leave it out")
		}
	}
	p.noteUnmatched(raw, policy)
	return policy
}

// requireOrigins refuses a policy without origins, unless it is off.
func (p *parser) requireOrigins(raw *rawPolicy) {
	const remedy = `write the origins that may read responses, such as ["https://example.com"], or "mode": "off"`
	if len(raw.origins) > 0 || raw.policy.Mode == Off {
		return
	}
	list, given := raw.given[allowOrigins]
	patterns, more := raw.given[originPatterns]
	switch {
	case !given && !more:
		p.fail(raw.object.inside(allowOrigins), "", Missing, "no origins", remedy)
	case given && !list.clean, more && !patterns.clean: // what is wrong there was to be one
	case given:
		p.fail(list.place, list.Raw, Missing, "no origins", remedy)
	default:
		p.fail(patterns.place, patterns.Raw, Missing, "no origins", remedy)
	}
}
