// Package caddy reads the CORS headers that Caddy sets by its header directive, in the JSON
// that `caddy adapt` makes of a Caddyfile: routes with matchers by host, path, method and
// Origin. What they do stands in Caddy's documentation of its JSON (modules http.handlers
// and http.matchers), and was tried in Caddy 2.11.9.
package caddy

import (
	"cmp"
	"fmt"
	"net/textproto"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"corsfilter/internal/convert"
)

// Source is its line in the list of sources.
var Source = convert.Source{
	Name:  "Caddy",
	Files: "the header directive of Caddy with Access-Control-…, in the JSON that caddy adapt prints",
	Settings: []convert.Settings{convert.HeaderSettings("Caddy's header", "the origins that get it: those that matchers tell by the header Origin",
		"", "; `{header.Access-Control-Request-Headers}` is `*`")},
	Text: func(f convert.File) (*yaml.Node, any, error) {
		if caddyfile.Match(f.Data) {
			return nil, nil, fmt.Errorf("line 1: a Caddyfile is read as the JSON that it becomes: hand in what caddy adapt prints for it")
		}
		return nil, nil, nil
	},
	Reads:  func(o *convert.Object) bool { return convert.Child(o.Root, "apps", "http", "servers") != nil },
	Tables: tables,
}

// caddyfile is how one begins: options, a snippet, or addresses, in front of a brace.
var caddyfile = regexp.MustCompile(`\A(?:\s+|#[^\n]*(?:\n|\z))*(?:\{[ \t]*\n\s*[a-z_]|\([\w-]+\)[ \t]*\{|(?:https?://)?[\w*-]*[.:][\w.:*/-]*(?:,\s*[\w.:*/-]+)*[ \t]*\{[ \t]*\n)`)

func tables(c *convert.Conversion, objects []*convert.Object) (all []convert.Table) {
	for _, o := range objects {
		for _, m := range convert.Members(convert.Child(o.Root, "apps", "http", "servers")) {
			if name := "Caddy server " + m.Key.Value; c.Wants(name) {
				s := &server{Reader: convert.Reader{Conversion: c, Object: o, Part: name}, routes: convert.Child(m.Value, "routes")}
				all = append(all, convert.Table{Name: name, Routes: s.table(m.Value)})
			}
		}
	}
	return convert.Having(all)
}

type server struct {
	convert.Reader
	routes *yaml.Node
}

// table has a route for each host and path that a matcher names: the closest ones first,
// and for each all of Caddy's routes are run.
func (s *server) table(node *yaml.Node) (all []convert.Route) {
	hosts, paths := []string{""}, []pattern{{}}
	var collect func(node *yaml.Node)
	collect = func(node *yaml.Node) {
		for _, e := range convert.Elements(node) {
			collect(e)
		}
		for _, m := range convert.Members(node) {
			switch m.Key.Value {
			case "host":
				for _, e := range convert.Elements(m.Value) {
					hosts = append(hosts, strings.ToLower(e.Value))
				}
			case "path":
				for _, e := range convert.Elements(m.Value) {
					if p, ok := pathOf(e.Value); ok {
						p.node = e
						paths = append(paths, p)
					}
				}
			default:
				collect(m.Value)
			}
		}
	}
	collect(s.routes)
	slices.SortStableFunc(paths, func(a, b pattern) int {
		if a.exact != b.exact {
			return map[bool]int{true: -1, false: 1}[a.exact]
		}
		return len(b.text) - len(a.text)
	})
	slices.SortStableFunc(hosts, func(a, b string) int {
		if convert.HostRank(a) == convert.HostRank(b) {
			return len(b) - len(a)
		}
		return convert.HostRank(a) - convert.HostRank(b)
	})
	hosts = convert.Unique(hosts)
	paths = slices.CompactFunc(paths, func(a, b pattern) bool { return a.exact == b.exact && a.text == b.text })
	if len(hosts)*len(paths) > convert.MaxCompared {
		s.Fail(node, fmt.Sprintf("its hosts and paths make more than %d routes", convert.MaxCompared), "convert some of its sites at a time")
		return nil
	}
	for _, host := range hosts {
		var rows []convert.Route
		for _, path := range paths {
			here := s.Inside(strings.Join(strings.Fields(s.Part+" "+host+" "+path.text), " "))
			at := s.Object.At(cmp.Or(path.node, node))
			made := convert.Route{From: convert.From{Source: here.Part, Place: at}, Hosts: convert.HostList(host)}
			match := convert.Match{Reader: here, Route: &made, AnyCase: true}
			switch {
			case path.exact:
				match.Path(convert.ExactPath, path.text, path.node)
			case path.text != "":
				match.Path(convert.PrefixPath, path.text, path.node)
			}
			x := &convert.Observer{Reader: here, At: at, Project: "Caddy", Keeps: "Caddy sets its own in front of them, where header is not deferred, and browsers refuse two"}
			x.Run = func(method string, o convert.Origin) convert.Sent {
				r := &request{Reader: s.Reader, observer: x, method: method, origin: o, host: host, path: path, set: map[string]string{}}
				return r.sent(r.run(s.routes))
			}
			made.Policy = x.Policy()
			made.Replies = made.Policy == nil && x.Run("GET", convert.Origin{}).Status != 0
			if made.Policy != nil && convert.HostRank(host) == 1 {
				made.Policy.Change(convert.OneLabel, host+" takes hosts with any number of labels for the star; Caddy takes one")
			}
			rows = append(rows, made)
		}
		for i, r := range rows { // what the next one takes alike needs no row
			next := slices.IndexFunc(paths[i+1:], func(p pattern) bool { return p.takes(paths[i]) })
			if next < 0 || rows[i+1+next].Policy.Key() != r.Policy.Key() {
				all = append(all, r)
			}
		}
	}
	return all
}

// pattern is one of the path matcher, which does not look at letters' case: a text, or how
// it begins.
type pattern struct {
	text  string
	exact bool
	node  *yaml.Node
}

func pathOf(text string) (p pattern, ok bool) {
	text, prefix := strings.CutSuffix(strings.ToLower(text), "*")
	if prefix && text == "/" {
		text = ""
	}
	return pattern{text: text, exact: !prefix}, !strings.ContainsAny(text, "*{")
}

// takes reports whether all that another one takes is taken.
func (p pattern) takes(other pattern) bool {
	return p.text == other.text && p.exact == other.exact || !p.exact && strings.HasPrefix(other.text, p.text)
}

// request is one that runs through the routes.
type request struct {
	convert.Reader
	observer *convert.Observer
	method   string
	origin   convert.Origin
	host     string // of the region that is asked for
	path     pattern
	set      map[string]string // headers of the response
	deferred []*yaml.Node
	at       convert.Place
	status   int
}

// truth is whether a matcher matches, and maybe where that is not known.
type truth int

const (
	no truth = iota
	maybe
	yes
)

func truthOf(b bool) truth {
	if b {
		return yes
	}
	return no
}

// run runs routes, and reports whether the request is answered.
func (r *request) run(routes *yaml.Node) bool {
	taken := map[string]bool{}
	for _, route := range convert.Elements(routes) {
		group := convert.Text(convert.Child(route, "group"))
		if group != "" && taken[group] {
			continue
		}
		handlers := convert.Child(route, "handle")
		switch r.any(convert.Child(route, "match")) {
		case no:
			continue
		case maybe:
			if mentions(handlers) {
				r.Fail(route, "its matcher asks for more than host, path, method and Origin, and sets CORS headers", "match by these alone")
			}
			continue
		}
		taken[group] = true
		for _, h := range convert.Elements(handlers) {
			if r.handle(h) {
				return true
			}
		}
		if r.Flag(route, "terminal") {
			return false
		}
	}
	return false
}

// mentions reports whether CORS headers stand anywhere below a node.
func mentions(node *yaml.Node) bool {
	for _, m := range convert.Members(node) {
		if isCORS(m.Key.Value) || mentions(m.Value) {
			return true
		}
	}
	return slices.ContainsFunc(convert.Elements(node), mentions)
}

func isCORS(name string) bool { return strings.HasPrefix(strings.ToLower(name), "access-control-") }

// any reports whether one of some sets of matchers matches; none matches everything.
func (r *request) any(sets *yaml.Node) truth {
	all := convert.Elements(sets)
	if len(all) == 0 {
		return yes
	}
	found := no
	for _, set := range all {
		every := yes
		for _, m := range convert.Members(set) {
			every = min(every, r.matches(m.Key.Value, m.Value))
		}
		found = max(found, every)
	}
	return found
}

func (r *request) matches(matcher string, node *yaml.Node) truth {
	found := no
	switch matcher {
	case "not":
		return yes - r.any(node)
	case "method":
		for _, e := range convert.Elements(node) {
			found = max(found, truthOf(strings.EqualFold(e.Value, r.method)))
		}
	case "host":
		for _, e := range convert.Elements(node) {
			found = max(found, truthOf(convert.HostCovers(strings.ToLower(e.Value), r.host) && r.host != ""))
		}
	case "path":
		for _, e := range convert.Elements(node) {
			if p, ok := pathOf(e.Value); ok {
				found = max(found, truthOf(p.takes(r.path)))
			} else {
				found = max(found, maybe)
			}
		}
	case "header":
		found = yes
		for _, m := range convert.Members(node) {
			found = min(found, r.header(m.Key.Value, convert.Elements(m.Value)))
		}
	case "header_regexp":
		found = yes
		for _, m := range convert.Members(node) {
			one := maybe
			if strings.EqualFold(m.Key.Value, "origin") {
				one = truthOf(r.observer.Matches(r.origin, convert.Text(convert.Child(m.Value, "pattern")), r.Object.At(m.Value)))
			}
			found = min(found, one)
		}
	default:
		return maybe
	}
	return found
}

// header matches one header by values, with a star at their ends.
func (r *request) header(name string, values []*yaml.Node) truth {
	isOrigin := strings.EqualFold(name, "origin")
	if !isOrigin && !strings.HasPrefix(strings.ToLower(name), "access-control-request-") {
		return maybe
	}
	found := truthOf(len(values) == 0)
	for _, v := range values {
		text := strings.Trim(v.Value, "*")
		switch {
		case text == "":
			found = yes
		case !isOrigin:
			return maybe
		case text == v.Value:
			found = max(found, truthOf(r.observer.Is(r.origin, text)))
		default:
			regex := regexp.QuoteMeta(text)
			if !strings.HasPrefix(v.Value, "*") {
				regex = "^" + regex
			}
			if !strings.HasSuffix(v.Value, "*") {
				regex += "$"
			}
			found = max(found, truthOf(r.observer.Matches(r.origin, regex, r.Object.At(v))))
		}
	}
	if !isOrigin && r.method != "OPTIONS" { // a preflight alone has it
		return no
	}
	return found
}

// handle runs a handler, and reports whether it answers.
func (r *request) handle(h *yaml.Node) bool {
	switch name := convert.Text(convert.Child(h, "handler")); name {
	case "headers":
		response := convert.Child(h, "response")
		switch {
		case convert.Child(response, "require") != nil && mentions(response):
			r.Fail(response, "CORS headers are set for some responses alone", "take the response matcher out")
		case r.Flag(response, "deferred"):
			r.deferred = append(r.deferred, response)
		default:
			r.change(response)
		}
	case "subroute":
		return r.run(convert.Child(h, "routes"))
	case "reverse_proxy":
		r.change(convert.Child(h, "headers", "response"))
		return true
	case "file_server":
		return true
	case "static_response", "error":
		if r.status, _ = strconv.Atoi(convert.Text(convert.Child(h, "status_code"))); r.status == 0 {
			r.status = 200
		}
		for _, m := range convert.Members(convert.Child(h, "headers")) {
			r.put(m.Key, convert.Elements(m.Value))
		}
		return true
	case "cors":
		r.Fail(h, "a plugin handles CORS", "write what it does as header")
	}
	return false
}

// change runs operations on the headers of the response.
func (r *request) change(operations *yaml.Node) {
	for _, e := range convert.Elements(convert.Child(operations, "delete")) {
		for name := range r.set {
			pattern := textproto.CanonicalMIMEHeaderKey(e.Value)
			if stem, star := strings.CutSuffix(pattern, "*"); name == pattern || star && strings.HasPrefix(name, stem) {
				delete(r.set, name)
			}
		}
	}
	for _, m := range convert.Members(convert.Child(operations, "replace")) {
		if isCORS(m.Key.Value) {
			r.Fail(m.Key, "a part of "+m.Key.Value+" is replaced", "set it whole")
		}
	}
	for _, operation := range []string{"set", "add"} {
		for _, m := range convert.Members(convert.Child(operations, operation)) {
			values := convert.Elements(m.Value)
			if name := textproto.CanonicalMIMEHeaderKey(m.Key.Value); name == origin && (len(values) > 1 || operation == "add" && r.set[name] != "") {
				r.Fail(m.Key, "a second "+name+" is added, and browsers refuse two", "keep one")
			}
			r.put(m.Key, values)
		}
	}
}

const origin = "Access-Control-Allow-Origin"

func (r *request) put(key *yaml.Node, values []*yaml.Node) {
	name := textproto.CanonicalMIMEHeaderKey(key.Value)
	if !isCORS(name) && name != "Vary" {
		return
	}
	var texts []string
	for _, v := range values {
		switch text := v.Value; {
		case strings.EqualFold(text, "{http.request.header.origin}"):
			texts = append(texts, r.origin.Text)
		case strings.EqualFold(text, "{http.request.header.access-control-request-headers}"):
			texts = append(texts, convert.AskedHeaders)
		case strings.EqualFold(text, "{http.request.header.access-control-request-method}"):
			texts = append(texts, convert.AskedMethod)
		case strings.Contains(text, "{"):
			r.Fail(v, "the value "+text+" of "+name+" hangs on more than the origin and the method", "write {header.Origin}, or a text")
		default:
			texts = append(texts, text)
		}
	}
	if r.set[name] = strings.Join(texts, ", "); name == origin {
		r.at = r.Object.At(key)
	}
}

// sent is what leaves Caddy. A request that nothing answers gets 200, to which nothing is
// deferred.
func (r *request) sent(answered bool) convert.Sent {
	if !answered {
		r.status, r.deferred = 200, nil
	}
	for _, operations := range r.deferred {
		r.change(operations)
	}
	made := convert.Sent{Allowed: r.set[origin], Headers: r.set, Status: r.status, At: r.at, Partly: len(r.deferred) > 0}
	delete(r.set, origin)
	return made
}
