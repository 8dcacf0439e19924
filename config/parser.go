package config

import "corsfilter/internal/header"

// Parser reads configurations one after the other. What one leaves behind is
// used for the next, so that the memory of a long-lived proxy to which thousands
// of configurations are pushed does not grow, and nothing has to be collected.
// The zero Parser is ready. It must not be used by two goroutines at once.
type Parser struct {
	parser parser
	spare  []*Config
}

// Parse is the function of that name, in the memory of what was recycled.
func (r *Parser) Parse(data []byte) (c *Config, warnings Problems, err error) {
	c = r.take(len(data))
	p := &r.parser
	p.begin(c)
	p.read(data)
	p.compile(&p.source)
	if p.mistakes.count > 0 {
		r.Recycle(c)
		return nil, p.warnings.all(), p.mistakes.all()
	}
	c.Notes = p.notes.all()
	return c, p.warnings.all(), nil
}

// Recycle takes back a configuration that this Parser made. It, its policies, rules and
// strings must no longer be used: the next configuration overwrites them.
func (r *Parser) Recycle(c *Config) { r.spare = append(r.spare, c) }

// take returns an empty configuration: the smallest spare one with room for a text of that
// size, else the largest, else a new one.
func (r *Parser) take(size int) *Config {
	if len(r.spare) == 0 {
		return &Config{StatPrefix: DefaultStatPrefix}
	}
	best := 0
	for i, c := range r.spare {
		room, most := cap(c.text), cap(r.spare[best].text)
		if most < size && room > most || room >= size && room < most {
			best = i
		}
	}
	c := r.spare[best]
	end := len(r.spare) - 1
	r.spare[best], r.spare[end] = r.spare[end], nil
	r.spare = r.spare[:end]
	c.reset()
	return c
}

// DefaultStatPrefix is the stat_prefix of a configuration that does not set it.
const DefaultStatPrefix = "cors"

// reset empties the configuration and keeps its memory.
func (c *Config) reset() {
	c.index.Reset(0, 0, 0)
	*c = Config{StatPrefix: DefaultStatPrefix, rules: c.rules[:0], index: c.index, text: c.text, policies: c.policies}
}

// keep copies the text of the configuration.
func (c *Config) keep(text []byte) string {
	c.text = append(c.text[:0], text...)
	return header.AsString(c.text)
}

// newPolicy returns a policy with the defaults.
func (c *Config) newPolicy() *Policy {
	if c.used == len(c.policies) {
		c.policies = append(c.policies, &Policy{})
	}
	p := c.policies[c.used]
	c.used++
	clear(p.methods)
	p.headers.Reset()
	*p = Policy{
		Origins: p.Origins.emptied(), Timing: p.Timing.emptied(),
		methods: p.methods, headers: p.headers,
	}
	return p
}

// emptied returns an empty list that reuses the memory of these origins.
func (o *Origins) emptied() Origins {
	clear(o.automata)
	o.patterns.Reset(0, nil)
	return Origins{patterns: o.patterns, automata: o.automata[:0]}
}
