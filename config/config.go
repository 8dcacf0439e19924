// Package config turns the plugin's JSON into an immutable, compiled policy.
// Everything that can be decided or formatted before a request comes is done
// here; every mistake of a configuration is reported at once, with its path,
// and a configuration with a mistake gives no policy at all. It imports
// internal/origin, internal/header, internal/reach, internal/route and gjson.
package config

import "corsfilter/internal/route"

// Config is the compiled configuration of one plugin. It must not be changed.
type Config struct {
	// StatPrefix is the prefix of the counters' names.
	StatPrefix string
	// Default is the policy at the top level, or nil if there is none.
	Default *Policy
	// Hash is that of the JSON; "" where there was none.
	Hash string
	// Notes say where a policy that was written for another proxy does
	// otherwise here, and what no policy is for. They are neither mistakes nor
	// warnings: nothing about the policy is wrong.
	Notes Problems
	rules []Rule
	index route.Index // of the rules
	// waived are the waivers in use, by their places in Waivers.
	waived [len(waivable)]bool

	text     []byte // what the strings here are parts of
	policies []*Policy
	used     int // of the policies
}

// HasRules reports whether Select reads the host and the path.
func (c *Config) HasRules() bool { return len(c.rules) > 0 }

// Policies returns every policy, the top-level one last.
func (c *Config) Policies() (all []*Policy) {
	for i := range c.rules {
		all = append(all, c.rules[i].Policy)
	}
	if c.Default != nil {
		all = append(all, c.Default)
	}
	return all
}

// Parse reads a plugin configuration. err is a Problems with every mistake; then there is
// no Config, because no part of a wrong configuration takes effect. warnings concern
// accepted settings that can have no effect or are better written differently.
func Parse(data []byte) (c *Config, warnings Problems, err error) {
	return new(Parser).Parse(data)
}

// read fills the source from JSON.
func (p *parser) read(data []byte) {
	root, ok := p.parseJSON(data)
	if !ok {
		return
	}
	p.config.Hash = hashed(root.Result)
	policy := p.readPolicy(root, topKeys)
	if ruled := len(p.source.Rules) > 0 || !policy.clean("rules"); root.IsObject() && (!ruled || policy.settings > 0) {
		p.source.SourcePolicy = policy
	}
}

// compile makes the configuration of a source.
func (p *parser) compile(s *Source) {
	p.compileRules(s.Rules)
	if s.StatPrefix != "" {
		p.config.StatPrefix = s.StatPrefix
	}
	if s.SourcePolicy != nil {
		p.config.Default = p.compilePolicy(s.SourcePolicy)
		p.warnDefaultTaken(s)
	} else if len(s.Rules) > 0 {
		p.noteLeftAlone(s)
	}
}

// compilePolicy checks a policy's settings, alone and together, and compiles it.
func (p *parser) compilePolicy(s *SourcePolicy) *Policy {
	policy := p.config.newPolicy()
	policy.Settings = s.Settings
	p.checkWaivers(s.Tolerate)
	p.compileStatus(s, policy)
	p.compileAge(s, policy)
	p.requireOrigins(s)
	origins, timing := &p.entries[0], &p.entries[1]
	p.compileOrigins(&policy.Origins, origins, s.AllowOrigins, s)
	p.compileOrigins(&policy.Timing, timing, s.TimingAllowOrigins, s)
	p.checkOrigins(s, policy, origins.patterns)
	p.checkMatchers(s, policy, origins)
	p.warnOrigins(s.AllowOrigins, &policy.Origins, origins.patterns)
	p.warnOrigins(s.TimingAllowOrigins, &policy.Timing, timing.patterns)
	p.warnPrivateNetwork(s, policy, origins.patterns)
	p.compileMethods(s, policy)
	p.compileHeaders(s, policy)
	p.compileExpose(s, policy)
	p.warnWaivers(s.Tolerate)
	for _, list := range [...][]SourceOrigin{s.AllowOrigins, s.TimingAllowOrigins} {
		for i := range list {
			p.warnWaivers(list[i].Tolerate)
		}
	}
	p.noteUnmatched(s, policy)
	return policy
}

// compileStatus checks the status of answered preflights.
func (p *parser) compileStatus(s *SourcePolicy, policy *Policy) {
	const setting = "preflight_status"
	switch status := s.PreflightStatus; {
	case status == 0:
		policy.PreflightStatus = defaultStatus
	case status < 200 || status > 299:
		p.fail(s.at(setting), s.written(setting), OutOfRange, "browsers accept only a status of 200 to 299 for a preflight", "write 204, or 200 for very old clients")
	}
}

const defaultStatus = 204

// requireOrigins refuses a policy that does not say who is allowed, unless it is off. An
// empty list does: nobody.
func (p *parser) requireOrigins(s *SourcePolicy) {
	if s.AllowOrigins == nil && s.Mode != Off {
		p.fail(s.inside(allowOrigins), "", Missing, "no origins", `write the origins that may read responses, such as ["https://example.com"], [] for nobody, or "mode": "off"`)
	}
}
