package convert

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"corsfilter/config"
)

// Place is where something stands; lines and columns count from 1.
type Place struct {
	File   string `json:"file"`
	Line   int    `json:"line"`
	Column int    `json:"column"`
	// Document is the number of the YAML document, from 1.
	Document int `json:"document"`
}

// From is where a rule comes from.
type From struct {
	// Source is the object, such as "VirtualService shop/reviews".
	Source string `json:"source"`
	// Part is the place in it, such as "http[0]".
	Part string `json:"part,omitempty"`
	Place
}

func (f From) String() string {
	if f.Part == "" {
		return f.Source
	}
	return f.Source + " " + f.Part
}

// Comment says of a place of the source that it was left out.
type Comment struct {
	Place
	Text string `json:"text"`
}

func (c Comment) String() string { return fmt.Sprintf("left out: %s:%d: %s", c.File, c.Line, c.Text) }

// table is what decides about requests together: the first of its routes that
// matches gives the policy.
type table struct {
	// name is what Options.Only calls it, and messages.
	name   string
	routes []route
}

func (t table) hasPolicy() bool {
	return slices.ContainsFunc(t.routes, func(r route) bool { return r.policy != nil })
}

// idle reports whether a table passes no request on: a listener that redirects to
// https is none of CORS' business.
func (t table) idle() bool {
	return !slices.ContainsFunc(t.routes, func(r route) bool { return !r.replies })
}

// route is one row of a table.
type route struct {
	from From
	// hosts are patterns as in a rule ("api.example.com", "*.example.com"), in
	// lower case; nil is any host.
	hosts []string
	// paths are what the path may be; nil is any path.
	paths []path
	// when is what a request must have beyond that. Where there is such a thing,
	// hosts and paths need only hold every request that the route takes: they may
	// hold more.
	when []condition
	// policy is whole; nil: the source applies none to these requests, whether it
	// routes them or not.
	policy *policy
	// replies says that the source answers these requests by itself, with a
	// redirect, a fixed response, or since no route takes them.
	replies bool
	// changes are those that this route brings, beside those of its policy.
	changes []Change
}

// condition is what a rule of this filter can not ask for.
type condition struct {
	// what completes "asks for …": "the header x-version".
	what string
	at   Place
	// remedy is what to do; empty: the usual words.
	remedy string
}

// pathKind says which paths a path stands for.
type pathKind uint8

const (
	anyPath    pathKind = iota
	exactPath           // the text itself
	belowPath           // the text, and everything below it by segment
	prefixPath          // everything that begins with the text
	besidePath          // what begins with the text and goes on in the same segment
)

type path struct {
	kind pathKind
	text string
	// anyCase says that letters match in both cases.
	anyCase bool
	at      Place
}

// pattern is how a rule writes the path; only exactPath and belowPath have one.
func (p path) pattern() string {
	if p.kind == belowPath {
		return p.text + "/*"
	}
	return p.text
}

// policy is a policy in this filter's settings.
type policy struct {
	settings []setting
	// changes are what the policy does otherwise here than in its source.
	changes []Change
	// comments are what was left out of it, with Options.Partial.
	comments []Comment
	waivers  []config.Code
	// by is the object that gives it, where the route is another.
	by    string
	known string // key, once it was asked for
}

// setting is one key of a policy.
type setting struct {
	name string // as in config.Fields
	at   Place
	list bool
	// values are the elements of a list, or the one value.
	values []value
}

// value is a JSON value and where it stands.
type value struct {
	json any
	at   Place
}

func (v value) text() string {
	s, _ := v.json.(string)
	return s
}

// find returns the setting of a name, or nil.
func (p *policy) find(name string) *setting {
	for i := range p.settings {
		if p.settings[i].name == name {
			return &p.settings[i]
		}
	}
	return nil
}

// set adds a setting with one value.
func (p *policy) set(name string, at Place, v any) {
	p.settings = append(p.settings, setting{name: name, at: at, values: []value{{v, at}}})
}

// setList adds a setting that is a list, unless the list is empty.
func (p *policy) setList(name string, at Place, values []value) {
	if len(values) > 0 {
		p.settings = append(p.settings, setting{name: name, at: at, list: true, values: values})
	}
}

func (p *policy) credentials() bool {
	s := p.find("allow_credentials")
	return s != nil && s.values[0].json == true
}

// change adds a change in behaviour.
func (p *policy) change(kind ChangeKind, text string) {
	if !slices.ContainsFunc(p.changes, func(c Change) bool { return c.Kind == kind && c.Text == text }) {
		p.changes = append(p.changes, Change{kind, text})
	}
}

// fieldOrder is that of the reference.
var fieldOrder = func() map[string]int {
	order := map[string]int{}
	for i, f := range config.Fields {
		order[f.Name] = i
	}
	return order
}()

// sort puts the settings into the order of the reference.
func (p *policy) sort() {
	slices.SortStableFunc(p.settings, func(a, b setting) int { return fieldOrder[a.name] - fieldOrder[b.name] })
}

// member is a key and its value, in an object that keeps its order.
type member struct {
	key   string
	value any
}

// object of JSON in order.
type jsonObject []member

func (o jsonObject) MarshalJSON() ([]byte, error) {
	var b strings.Builder
	b.WriteByte('{')
	for i, m := range o {
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(compact(m.key))
		b.WriteByte(':')
		b.Write(compact(m.value))
	}
	b.WriteByte('}')
	return []byte(b.String()), nil
}

// compact is the JSON of a value, without escapes for HTML.
func compact(v any) []byte {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil { // nothing here is refused
		panic(err)
	}
	return []byte(strings.TrimSuffix(b.String(), "\n"))
}

// object is the policy as JSON.
func (p *policy) object() (o jsonObject) {
	if p == nil {
		return jsonObject{{"mode", "off"}}
	}
	for _, s := range p.settings {
		if !s.list {
			o = append(o, member{s.name, s.values[0].json})
			continue
		}
		elements := make([]any, len(s.values))
		for i, v := range s.values {
			elements[i] = v.json
		}
		o = append(o, member{s.name, elements})
	}
	if len(p.waivers) > 0 {
		o = append(o, member{"dangerously_tolerate", p.waivers})
	}
	return o
}

// key is the same for policies that say the same. It is asked for once a policy
// does not change any more.
func (p *policy) key() string {
	if p == nil {
		return ""
	}
	if p.known == "" {
		p.known = string(compact(p.object()))
	}
	return p.known
}

// within reports whether a policy gives nothing that the other one does not give.
func (p *policy) within(other *policy) bool {
	switch {
	case p == nil || p.key() == other.key():
		return true
	case other == nil:
		return false
	}
	for _, s := range p.settings {
		o := other.find(s.name)
		switch s.name {
		case "allow_origins", "allow_methods", "allow_headers", "expose_headers":
			if o == nil {
				return false
			}
			for _, v := range s.values {
				// `*` stands for any request header but this one.
				if !o.has(v) && (!o.has(value{json: "*"}) || s.name == "allow_headers" && v.json == "authorization") {
					return false
				}
			}
		case "max_age": // how long a page need not ask
		case "allow_credentials", "allow_private_network_access":
			if s.values[0].json == true && (o == nil || o.values[0].json != true) {
				return false
			}
		default:
			if o == nil || string(compact(o.values)) != string(compact(s.values)) {
				return false
			}
		}
	}
	return other.find("mode") == nil || p.find("mode") != nil
}

func (s *setting) has(v value) bool {
	text := string(compact(v.json))
	return slices.ContainsFunc(s.values, func(w value) bool { return string(compact(w.json)) == text })
}
