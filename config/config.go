// Package config turns the plugin's JSON into an immutable, compiled policy.
// Everything that can be decided or formatted before a request comes is done
// here; every mistake of a configuration is reported at once, with its path,
// and a configuration with a mistake gives no policy at all. It imports
// internal/origin, internal/header, internal/reach and gjson.
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

	text     []byte // what the strings here are parts of
	policies []*Policy
	used     int // of the policies
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
	return new(Parser).Parse(data)
}

func (p *parser) parse(data []byte) {
	root, ok := p.parseJSON(data)
	if !ok {
		return
	}
	raw := p.rawPolicy(root, topKeys)
	if !root.IsObject() {
		return
	}
	c := p.config
	p.compileRules(raw.rules)
	if raw.has("stat_prefix") {
		c.StatPrefix = raw.statPrefix
	}
	rules := raw.find("rules")
	ruled := len(raw.rules) > 0 || rules != nil && !rules.clean
	if !ruled || raw.policyKeys > 0 {
		c.Default = p.compilePolicy(raw)
	}
}

// compilePolicy checks what a policy says as a whole and compiles it.
func (p *parser) compilePolicy(raw *rawPolicy) *Policy {
	policy := raw.policy
	p.requireOrigins(raw)
	origins, timing := &p.entries[0], &p.entries[1]
	p.compileOrigins(&policy.Origins, origins, raw.origins, &raw.waived)
	p.compileOrigins(&policy.Timing, timing, raw.timing, &raw.waived)
	p.checkOrigins(raw, origins.patterns, &raw.waived)
	p.checkMatchers(raw, origins, &raw.waived)
	p.warnOrigins(raw.origins, &policy.Origins, origins.patterns)
	p.warnOrigins(raw.timing, &policy.Timing, timing.patterns)
	p.warnPrivateNetwork(raw, origins.patterns)
	p.compileMethods(raw)
	p.compileHeaders(raw)
	p.compileExpose(raw)
	for i, waiver := range raw.waived {
		if waiver.given && !waiver.used {
			p.warn(waiver.place, quote(string(waivable[i])), NoEffect, "nothing here needs this waiver", "leave it out")
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
	list, patterns := raw.find(allowOrigins), raw.find(originPatterns)
	switch {
	case list == nil && patterns == nil:
		p.fail(raw.object.inside(allowOrigins), "", Missing, "no origins", remedy)
	case list != nil && !list.clean, patterns != nil && !patterns.clean: // what is wrong there was to be one
	case list != nil:
		p.fail(list.place, list.Raw, Missing, "no origins", remedy)
	default:
		p.fail(patterns.place, patterns.Raw, Missing, "no origins", remedy)
	}
}
