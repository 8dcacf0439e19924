//go:build !wasip1

package config

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"

	"corsfilter/internal/fieldpath"
)

// The module only reads configurations, so the code that writes them, and encoding/json
// with it, is only in other programs.

// Read reads JSON into a source. err is a Problems with every mistake in the text: syntax,
// keys and types. Compile checks the values.
func Read(data []byte) (*Source, error) {
	var p parser
	p.begin(&Config{})
	p.read(data)
	if p.mistakes.count > 0 {
		return nil, p.mistakes.all()
	}
	return &p.source, nil
}

// Compile checks a source and makes the configuration, as [Parse] does from JSON. Problems
// name entries that were not read from JSON by the path that MarshalJSON gives them.
func (s *Source) Compile() (c *Config, warnings Problems, err error) {
	var r Parser
	c = r.take(0)
	p := &r.parser
	p.begin(c)
	p.settle(s)
	p.compile(s)
	if p.mistakes.count > 0 {
		return nil, p.warnings.all(), p.mistakes.all()
	}
	c.Notes = p.notes.all()
	return c, p.warnings.all(), nil
}

// settle gives entries that were not read from JSON their place, and refuses what reading
// would have refused.
func (p *parser) settle(s *Source) {
	if s.StatPrefix != "" {
		p.checkStatPrefix(place{key: "stat_prefix"}, s.StatPrefix)
	}
	if len(s.Rules) == 0 && s.SourcePolicy == nil {
		s.SourcePolicy = &SourcePolicy{} // which has no origins
	}
	if s.SourcePolicy != nil {
		s.SourcePolicy.settle("")
	}
	s.rules.settle("", "rules", 0)
	for i := range s.Rules {
		r := &s.Rules[i]
		r.place.settle("", "rules", i+1)
		path := r.path()
		r.Name.settle(path, "name", 0)
		settleNames(r.Hosts, path, "hosts")
		settlePaths(r.Paths, path)
		if r.Policy == nil {
			p.fail(r.place, "", Missing, noPolicy, noPolicyRemedy)
			continue
		}
		r.Policy.settle(fieldpath.Key(path, "policy"))
	}
}

func (s *SourcePolicy) settle(path string) {
	s.place.settle("", path, 0)
	settleNames(s.AllowMethods, path, "allow_methods")
	settleNames(s.AllowHeaders, path, "allow_headers")
	settleNames(s.ExposeHeaders, path, "expose_headers")
	settleOrigins(s.AllowOrigins, path, allowOrigins)
	settleOrigins(s.TimingAllowOrigins, path, "timing_allow_origins")
	s.settleSetting("max_age", s.MaxAge != "", s.MaxAge)
	s.settleSetting("preflight_status", s.PreflightStatus != 0, s.PreflightStatus)
	s.settleSetting(privateNetwork, s.PrivateNetwork, true)
	settleWaivers(s.Tolerate, path)
}

func settleWaivers(list []Waiver, path string) {
	for i := range list {
		list[i].used = false
		list[i].place.settle(path, tolerate, i+1)
	}
}

// settleSetting notes the value of a setting that messages quote.
func (s *SourcePolicy) settleSetting(name string, there bool, value any) {
	if there && !s.has(name) {
		s.given = append(s.given, given{setting: name, value: s.inside(name), at: s.inside(name), raw: string(compact(value)), clean: true})
	}
}

func settleNames(names []Name, path, key string) {
	for i := range names {
		names[i].place.settle(path, key, i+1)
	}
}

func settlePaths(paths []SourcePath, path string) {
	for i := range paths {
		p := &paths[i]
		p.place.settle(path, "paths", i+1)
		if p.written == "" {
			p.written = string(compact(p))
		}
	}
}

func settleOrigins(origins []SourceOrigin, path, key string) {
	for i := range origins {
		o := &origins[i]
		o.place.settle(path, key, i+1)
		o.any = false
		settleWaivers(o.Tolerate, o.path())
		if o.written == "" {
			o.written = string(compact(o))
		}
	}
}

// settle sets the place of something that has none.
func (p *place) settle(base, key string, index int) {
	if *p == (place{}) {
		*p = place{base: base, key: key, index: index}
	}
}

// MarshalJSON writes the source with our own keys. Reading and writing keep the meaning.
func (s *Source) MarshalJSON() ([]byte, error) {
	type plain Source
	return compact((*plain)(s)), nil
}

// MarshalJSON writes a string, or an object if a string cannot express it.
func (o SourceOrigin) MarshalJSON() ([]byte, error) {
	if o.Kind == Pattern && len(o.Tolerate) == 0 {
		return compact(o.Value), nil
	}
	var b bytes.Buffer
	b.WriteString(`{"` + o.Kind.String() + `":`)
	b.Write(compact(o.Value))
	if o.IgnoreCase {
		b.WriteString(`,"ignore_case":true`)
	}
	if len(o.Tolerate) > 0 {
		b.WriteString(`,"` + tolerate + `":`)
		b.Write(compact(o.Tolerate))
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// MarshalJSON writes a string, or an object with the regex.
func (p SourcePath) MarshalJSON() ([]byte, error) {
	if !p.Regex {
		return compact(p.Value), nil
	}
	return slices.Concat([]byte(`{"regex":`), compact(p.Value), []byte("}")), nil
}

// MarshalJSON writes digits as a number.
func (a Age) MarshalJSON() ([]byte, error) {
	if json.Valid([]byte(a)) && strings.Trim(string(a), "-0123456789") == "" {
		return []byte(a), nil
	}
	return compact(string(a)), nil
}

// MarshalText writes the name.
func (n Name) MarshalText() ([]byte, error) { return []byte(n.Value), nil }

// MarshalText writes the code.
func (w Waiver) MarshalText() ([]byte, error) { return []byte(w.Code), nil }

// MarshalText writes the mode.
func (m Mode) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// MarshalText writes the word.
func (f Forward) MarshalText() ([]byte, error) { return word(bool(f), "deny", "forward") }

// MarshalText writes the word.
func (r Reject) MarshalText() ([]byte, error) { return word(bool(r), "forward", "reject") }

// MarshalText writes the word.
func (p Preserve) MarshalText() ([]byte, error) { return word(bool(p), "override", "preserve") }

func word(on bool, words ...string) ([]byte, error) {
	if on {
		return []byte(words[1]), nil
	}
	return []byte(words[0]), nil
}

// compact is the JSON of a value, without escapes for HTML.
func compact(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(v) // which refuses nothing that a source has
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
