package filter

// For the tests that run the filter on a host, which are a package of their own.
const MaxLineLen = maxLineLen

// Forgetful takes the plugin's memory away.
func (c *Plugin) Forgetful() { c.memory, c.upstream.memory = nil, nil }

// Break makes the plugin fail where it gives its memory back.
func (c *Plugin) Break() { c.vm = nil }

// Blank reports whether nothing is left of a stream that is over.
func (s *Stream) Blank() bool { return s.plugin == nil && s.asked == nil && s.decision == Decision{} }

// Remembers returns how many origins and answers the plugin remembers.
func (c *Plugin) Remembers() (origins, answers int) {
	for i := range c.memory.origins {
		if c.memory.origins[i].list != nil {
			origins++
		}
	}
	for i := range c.memory.answers {
		if c.memory.answers[i].policy != nil {
			answers++
		}
	}
	return origins, answers
}

// Configured reports whether the plugin has a configuration.
func (c *Plugin) Configured() bool { return c.config != nil }
