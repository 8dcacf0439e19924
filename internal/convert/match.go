package convert

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"corsfilter/internal/document"
)

// Match is a route whose match is read.
type Match struct {
	Reader
	*Route
	// AnyCase says that letters of the path match in both cases.
	AnyCase bool
}

// Asks adds what the match asks for beyond host and path.
func (m Match) Asks(node *yaml.Node, what, remedy string) {
	at := m.Object.At(node)
	m.When = append(m.When, Condition{what, at, remedy})
}

// Path is the path that the match asks for.
func (m Match) Path(kind PathKind, text string, node *yaml.Node) {
	p := Path{Kind: kind, Text: text, At: m.Object.At(node)}
	if m.AnyCase {
		p = AnyCase(p)
	}
	m.Paths = []Path{p}
}

// Key adds what a key asks for: headers, parameters of the query, or what the source's
// table says; "" is nothing.
func (m Match) Key(key document.Member, table map[string]string) {
	each := func(what string) {
		for _, e := range Members(key.Value) {
			m.Asks(e.Key, fmt.Sprintf(what, e.Key.Value), "")
		}
		for _, e := range Elements(key.Value) {
			if name := Text(Child(e, "name")); strings.EqualFold(name, ":method") {
				m.Method(e, headerMethods(e)...)
			} else {
				m.Asks(e, fmt.Sprintf(what, name), "")
			}
		}
	}
	switch name := Snake(key.Key.Value); name {
	case "headers", "without_headers":
		each(Header)
	case "query_parameters", "query_params":
		each(Query)
	default:
		what, known := table[name]
		if !known {
			what = key.Key.Value + ", which corsctl does not know"
		}
		if what != "" {
			m.Asks(key.Value, what, "")
		}
	}
}

// Conditions that several sources share.
const (
	Header = "the header %q, which a preflight does not carry"
	Query  = "the query parameter %q"
)

// Regex is the regex that the match asks for, of the whole path and in its own letter case.
func (m Match) Regex(regex string, at Place) {
	p, err := RegexOf(regex, at)
	if err != nil {
		m.When = append(m.When, Condition{fmt.Sprintf("the regex %q of the path, which cannot be converted (%v)", Shortened(regex), err), at, "write the paths, or a prefix"})
		return
	}
	m.Paths = []Path{p}
}

// Ties sees to neighbours that the source asks in either order: groups of routes, each
// from its start to that of the next. Where two decide otherwise, the place of the
// first is a condition.
func (t *Table) Ties(starts []int, same func(i, j int) bool, project, remedy string) {
	for i := range len(starts) - 1 {
		for j := i + 1; j < len(starts)-1 && same(i, j); j++ {
			group := t.Routes[starts[i]:starts[i+1]]
			if !clash(group, t.Routes[starts[j]:starts[j+1]]) {
				continue
			}
			for n := range group {
				r := &group[n]
				r.When = append(r.When, Condition{"its place before " + t.Routes[starts[j]].From.String() + ", of the same priority, so that " + project + " asks either first", r.From.Place, remedy})
			}
			break
		}
	}
}

// clash reports whether routes decide otherwise about the same requests.
func clash(some, others []Route) bool {
	for _, x := range some {
		for _, y := range others {
			if len(x.When)+len(y.When) == 0 && x.Differs(y) && (len(x.Methods) == 0 || slices.ContainsFunc(x.Methods, func(v Value) bool { return y.accepts(v.Text) })) {
				return true
			}
		}
	}
	return false
}
