package filter

// For the tests that run the filter on a host, which are a package of their own.
const MaxLineLen = maxLineLen

// Forget empties the plugin's cache.
func (c *Plugin) Forget() { *c.cache = cache{} }

// Break makes the plugin fail where it gives its memory back.
func (c *Plugin) Break() { c.vm = nil }

// Blank reports whether nothing is left of a stream that is over.
func (s *Stream) Blank() bool { return s.plugin == nil && s.asked == nil && s.decision == Decision{} }

// Cached returns how many origins and answers the plugin has cached.
func (c *Plugin) Cached() (origins, answers int) {
	for i := range c.cache.origins {
		if c.cache.origins[i].list != nil {
			origins++
		}
	}
	for i := range c.cache.answers {
		if c.cache.answers[i].policy != nil {
			answers++
		}
	}
	return origins, answers
}

// Configured reports whether the plugin has a configuration.
func (c *Plugin) Configured() bool { return c.config != nil }
