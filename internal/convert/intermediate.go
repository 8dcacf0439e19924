package convert

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"corsfilter/config"
	"corsfilter/internal/automaton"
	"corsfilter/internal/route"
)

// Place is a position in a file; lines and columns count from 1.
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

// Comment says that a part of the source was left out.
type Comment struct {
	Place
	Text string `json:"text"`
	// of is the source of the part, until Text names it.
	of string
}

func (c Comment) String() string { return fmt.Sprintf("left out: %s:%d: %s", c.File, c.Line, c.Text) }

// Table is what decides about requests together: the first of its routes that
// matches gives the policy.
type Table struct {
	// Name is what Options.Only calls it, and messages.
	Name   string
	Routes []Route
}

func (t Table) hasPolicy() bool {
	return slices.ContainsFunc(t.Routes, func(r Route) bool { return r.Policy != nil })
}

// idle reports whether a table passes no request on: a listener that redirects to
// https is not a CORS request.
func (t Table) idle() bool {
	return !slices.ContainsFunc(t.Routes, func(r Route) bool { return !r.Replies })
}

// Route is one row of a table.
type Route struct {
	From From
	// Hosts are patterns as in a rule ("api.example.com", "*.example.com"), in
	// lower case; nil is any host.
	Hosts []string
	// Paths are what the path may be; nil is any path.
	Paths []Path
	// Methods are those that the route takes, as they go over the wire; nil is any.
	Methods []Value
	// When lists what a request must have beyond that. If there is anything,
	// hosts and paths need only hold every request that the route takes: they may
	// hold more.
	When []Condition
	// Policy is whole; nil: the source applies none to these requests, whether it
	// routes them or not.
	Policy *Policy
	// Replies says that the source answers these requests itself, with a
	// redirect, a fixed response, or since no route takes them.
	Replies bool
	// Changes are the route's own, in addition to those of its policy.
	Changes []Change
}

// WithChanges adds to the routes that have a policy.
func WithChanges(routes []Route, changes ...Change) {
	for i := range routes {
		if r := &routes[i]; r.Policy != nil {
			r.Changes = slices.Concat(r.Changes, changes)
		}
	}
}

// Condition is what a rule of this filter cannot ask for.
type Condition struct {
	// What completes "asks for …": "the header x-version".
	What string
	At   Place
	// Remedy is what to do; empty: the usual words.
	Remedy string
}

// PathKind says which paths a path stands for.
type PathKind uint8

const (
	AnyPath    PathKind = iota
	ExactPath           // the text itself
	BelowPath           // the text, and everything below it by segment
	PrefixPath          // everything that begins with the text
	RegexPath           // what the regex takes as a whole
)

// Path is a set of paths; one by a regex is made by RegexOf.
type Path struct {
	Kind PathKind
	Text string
	At   Place
	// set belongs to a regex; literal is what all its paths begin with.
	set     *automaton.Automaton
	literal string
}

// RegexOf is the set of paths that a regex takes as a whole, without one where that says
// the same.
func RegexOf(regex string, at Place) (Path, error) {
	var b automaton.Builder
	set, err := b.Regex(regex, false)
	if err != nil {
		return Path{}, err
	}
	p := Path{Kind: RegexPath, Text: regex, At: at, set: set, literal: route.Literal(set)}
	if PathCovers(p, Path{Kind: PrefixPath, Text: "/"}) {
		p = Path{At: at}
	} else if kind, text, plain := route.Pattern(set); plain || kind == route.Letters {
		p.Kind, p.Text, p.set, p.literal = [...]PathKind{route.Exact: ExactPath, route.Below: BelowPath, route.Letters: PrefixPath}[kind], text, nil, ""
	}
	return p, nil
}

// AnyCase is a set of paths with their letters in both cases.
func AnyCase(p Path) Path {
	if strings.ToUpper(p.Text) == strings.ToLower(p.Text) {
		return p
	}
	either, err := RegexOf("(?i)"+p.regex(), p.At)
	if err != nil { // of a text so long that nobody has it
		return p
	}
	return either
}

// regex takes the paths of a set.
func (p Path) regex() string {
	end := ""
	switch p.Kind {
	case RegexPath:
		return p.Text
	case BelowPath:
		end = "(/.*)?"
	case PrefixPath, AnyPath:
		end = ".*"
	}
	return regexp.QuoteMeta(p.Text) + end
}

// source is how a rule writes the set.
func (p Path) source() config.SourcePath {
	switch {
	case p.Kind == RegexPath || strings.Contains(p.Text, "*") || p.Kind == PrefixPath && strings.HasSuffix(p.Text, "/"):
		return config.SourcePath{Regex: true, Value: p.regex()}
	case p.Kind == BelowPath:
		return config.SourcePath{Value: p.Text + "/*"}
	case p.Kind == PrefixPath:
		return config.SourcePath{Value: p.Text + "*"}
	}
	return config.SourcePath{Value: p.Text}
}

// Policy is a policy in this filter's settings.
type Policy struct {
	config.SourcePolicy
	// Places are those of settings, and of the elements of their lists.
	Places map[Entry]Place
	// Changes are what the policy does otherwise here than in its source.
	Changes []Change
	// Comments are what was left out of it, with Options.Partial.
	Comments []Comment
	// Spelling is how the source writes origins; nil: as they are written here.
	Spelling *Spelling
	// By is the object that gives it, where the route is another.
	By    string
	known string // key, once it was asked for
}

// Entry is a setting by its name, or an element of its list: a config.Name, or the JSON
// of an origin.
type Entry struct {
	Setting string
	Element any
}

const (
	AllowOrigins   = "allow_origins"
	MaxAge         = "max_age"
	PrivateNetwork = "allow_private_network_access"
)

// Value is a string of the source with its place.
type Value struct {
	Text string
	At   Place
}

func (v Value) IsStar() bool { return v.Text == "*" }

// Put records the place of an entry; the first one counts.
func (p *Policy) Put(setting string, element any, at Place) {
	if p.Places == nil {
		p.Places = map[Entry]Place{}
	}
	if _, known := p.Places[Entry{setting, element}]; !known {
		p.Places[Entry{setting, element}] = at
	}
}

// Allow adds an origin.
func (p *Policy) Allow(o config.SourceOrigin, at Place) {
	if o.Kind == config.Pattern {
		o.Value = p.lowered(o.Value)
	}
	p.Put(AllowOrigins, nil, at)
	p.Put(AllowOrigins, written(o), at)
	p.AllowOrigins = append(p.AllowOrigins, o)
}

// written is the JSON of an origin without its waivers.
func written(o config.SourceOrigin) string {
	o.Tolerate = nil
	text, _ := o.MarshalJSON() // which never fails
	return string(text)
}

// list is one of the settings that are lists of names.
func (p *Policy) list(setting string) *[]config.Name {
	switch setting {
	case "allow_methods":
		return &p.AllowMethods
	case "allow_headers":
		return &p.AllowHeaders
	}
	return &p.ExposeHeaders
}

// NameLists are those settings.
var NameLists = []string{"allow_methods", "allow_headers", "expose_headers"}

// SetList adds the elements of such a list.
func (p *Policy) SetList(setting string, at Place, values []Value) {
	p.Put(setting, nil, at)
	list := p.list(setting)
	for _, v := range values {
		name := config.Name{Value: v.Text}
		p.Put(setting, name, v.At)
		*list = append(*list, name)
	}
}

// SetMaxAge sets how many seconds a preflight may be cached.
func (p *Policy) SetMaxAge(at Place, seconds int64) {
	p.Put(MaxAge, nil, at)
	p.MaxAge = config.Age(strconv.FormatInt(seconds, 10))
}

// Change adds a change in behaviour.
func (p *Policy) Change(kind ChangeKind, text string) {
	if !slices.ContainsFunc(p.Changes, func(c Change) bool { return c.Kind == kind && c.Text == text }) {
		p.Changes = append(p.Changes, Change{kind, text})
	}
}

// Key is the same for policies that say the same. It is asked for once a policy
// does not change any more.
func (p *Policy) Key() string {
	if p == nil {
		return ""
	}
	if p.known == "" {
		p.known = string(compact(p.SourcePolicy))
	}
	return p.known
}

// compact is the JSON of a value, without escapes for HTML.
func compact(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil { // nothing here is refused
		panic(err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// What stands for every name, and for every origin.
var (
	Star   = config.Name{Value: "*"}
	Anyone = config.SourceOrigin{Value: "*"}
)

// MaxCompared is how many routes are compared with each other for their order.
const MaxCompared = 3000

// Differs reports whether two routes have requests in common, and other policies.
func (r Route) Differs(other Route) bool {
	s := step{hosts: r.Hosts, paths: r.Paths}
	return r.Policy.Key() != other.Policy.Key() && slices.ContainsFunc(step{hosts: other.Hosts, paths: other.Paths}.cells(), s.overlaps)
}
