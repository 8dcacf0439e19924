package config

import (
	"strconv"
	"strings"
)

// Summary describes the policy in effect in one line, with its waivers and its hash.
func (c *Config) Summary() string {
	var parts []string
	if n := len(c.rules); n > 0 {
		parts = append(parts, count(n, "rule"))
	}
	switch {
	case c.Default != nil:
		parts = append(parts, c.Default.summary())
	default:
		parts = append(parts, "other requests left alone")
	}
	waivers := ""
	for i, waived := range c.waived {
		if waived {
			waivers += " " + string(Waivers[i])
		}
	}
	if waivers != "" {
		parts = append(parts, "waives"+waivers)
	}
	if c.Hash != "" {
		parts = append(parts, "hash "+c.Hash)
	}
	return strings.Join(parts, "; ")
}

func (p *Policy) summary() string {
	parts := []string{"mode " + p.Mode.String()}
	if p.Mode == Off {
		return parts[0]
	}
	switch {
	case p.Origins.Any:
		parts = append(parts, "any origin")
	default:
		n := p.Origins.patterns.Len() + p.Origins.matchers
		if p.Origins.Null {
			n++
		}
		if n == 0 {
			parts = append(parts, "nobody")
		} else {
			parts = append(parts, count(n, "origin"))
		}
	}
	if p.Credentials {
		parts = append(parts, "with credentials")
	}
	for _, field := range []struct{ name, value string }{
		{"methods", p.AllowMethods}, {"headers", p.AllowHeaders}, {"exposes", p.ExposeHeaders}, {"max-age", p.MaxAge},
	} {
		if field.value != "" {
			parts = append(parts, field.name+" "+shorten(field.value))
		}
	}
	return strings.Join(parts, ", ")
}

func count(n int, noun string) string {
	s := strconv.Itoa(n) + " " + noun
	if n != 1 {
		s += "s"
	}
	return s
}
