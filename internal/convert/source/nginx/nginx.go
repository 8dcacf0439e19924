// Package nginx reads the CORS headers that a configuration of nginx adds by itself:
// add_header Access-Control-…, with if, set, return and map. It runs what nginx runs for a
// request, for a preflight and for the request itself, and for each origin that something
// in the configuration tells from others (run.go); what comes of it is the policy of a
// location. What nginx does was tried in nginx 1.22.1.
package nginx

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"path"
	"regexp"
	"slices"
	"strings"

	crossplane "github.com/nginxinc/nginx-go-crossplane"
	"go.yaml.in/yaml/v3"

	"corsfilter/internal/convert"
)

// Source is its line in the list of sources.
var Source = convert.Source{
	Name:  "nginx",
	Files: "add_header Access-Control-… in a configuration of nginx, with if, set, return and map, best as `nginx -T` prints it",
	Settings: []convert.Settings{convert.HeaderSettings("nginx's add_header", "the origins that get it: those that `if` and `map` tell by `$http_origin`",
		"; `$http_access_control_request_method` is `*`", "; `$http_access_control_request_headers` is `*`")},
	Text: func(f convert.File) (*yaml.Node, any, error) {
		if !directive.Match(f.Data) {
			return nil, nil, nil
		}
		all, err := parse(f.Data)
		if err != nil {
			return nil, nil, err
		}
		return nil, all, nil
	},
	Reads:  func(o *convert.Object) bool { _, is := o.Parsed.(crossplane.Directives); return is },
	Tables: tables,
}

var (
	// directive is how a file begins that is nginx'.
	directive = regexp.MustCompile(`\A(?:\s+|#[^\n]*(?:\n|\z))*[a-z_]+(?:\s(?:[^;{}:'"]|'[^']*'|"[^"]*")*)?[;{]`)
	// section is the line in front of each file that nginx -T prints.
	section = regexp.MustCompile(`(?m)^# configuration file (.+):$`)
)

// parse reads a file, or all that nginx -T prints, with the lines of the whole text.
func parse(data []byte) (crossplane.Directives, error) {
	type file struct {
		name   string
		parsed crossplane.Directives
	}
	begins := section.FindAllSubmatchIndex(data, -1)
	if begins == nil {
		begins = [][]int{{0, 0, 0, 0}}
	}
	var files []file
	for i, at := range begins {
		end := len(data)
		if i+1 < len(begins) {
			end = begins[i+1][0]
		}
		before := bytes.Count(data[:at[1]], []byte("\n"))
		payload, err := crossplane.Parse("nginx.conf", &crossplane.ParseOptions{
			SingleFile: true, SkipDirectiveContextCheck: true, SkipDirectiveArgsCheck: true,
			Open: func(string) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data[at[1]:end])), nil },
		})
		if err != nil {
			return nil, err
		}
		for _, e := range payload.Errors {
			line := before + 1
			if e.Line != nil {
				line = before + *e.Line
			}
			what, _, _ := strings.Cut(e.Error.Error(), " in nginx.conf:")
			return nil, fmt.Errorf("line %d: %s", line, what)
		}
		var shift func(all crossplane.Directives)
		shift = func(all crossplane.Directives) {
			for _, d := range all {
				d.Line += before
				shift(d.Block)
			}
		}
		shift(payload.Config[0].Parsed)
		files = append(files, file{string(data[at[2]:at[3]]), payload.Config[0].Parsed})
	}
	var include func(all crossplane.Directives, depth int) crossplane.Directives
	include = func(all crossplane.Directives, depth int) (whole crossplane.Directives) {
		for _, d := range all {
			d.Block = include(d.Block, depth)
			if d.Directive != "include" || len(d.Args) != 1 || depth > 10 || files[0].name == "" {
				whole = append(whole, d)
				continue
			}
			pattern := d.Args[0]
			if !path.IsAbs(pattern) {
				pattern = path.Join(path.Dir(files[0].name), pattern)
			}
			for _, f := range files {
				if ok, _ := path.Match(pattern, f.name); ok {
					whole = append(whole, include(f.parsed, depth+1)...)
				}
			}
		}
		return whole
	}
	return include(files[0].parsed, 0), nil
}

// level is a block with what it holds: http, server, location or if.
type level = *crossplane.Directive

// each returns the directives of a name in a block.
func each(block level, name string) (all []level) {
	for _, d := range block.Block {
		if d.Directive == name {
			all = append(all, d)
		}
	}
	return all
}

func arg(d level, i int) string {
	if 0 <= i && i < len(d.Args) {
		return d.Args[i]
	}
	return ""
}

// server is one with what is around it.
type server struct {
	reader
	http, block level
	names       []string
}

// reader says where directives stand.
type reader struct{ convert.Reader }

func node(d level) *yaml.Node { return &yaml.Node{Line: d.Line, Column: 1} }

func (r reader) fail(d level, what, remedy string) { r.Fail(node(d), what, remedy) }

// harmless are files that are included everywhere and hold nothing of CORS.
var harmless = regexp.MustCompile(`(?:^|/)(?:mime\.types|[a-z]+_params|fastcgi\.conf|[^/]*ssl[^/]*|modules-enabled/.*)$`)

// tables makes one of each port.
func tables(c *convert.Conversion, objects []*convert.Object) (tables []convert.Table) {
	ports := map[string][]server{}
	var order []string
	for _, o := range objects {
		top := &crossplane.Directive{Block: o.Parsed.(crossplane.Directives)}
		all := append(each(top, "http"), top)
		for _, http := range all {
			for _, block := range each(http, "server") {
				s := server{reader{convert.Reader{Conversion: c, Object: o}}, http, block, nil}
				for _, d := range each(block, "server_name") {
					s.names = append(s.names, d.Args...)
				}
				s.Part = "server " + cmp.Or(strings.Join(s.names, " "), "without a name")
				var own []string
				for _, d := range each(block, "listen") {
					own = append(own, arg(d, 0)[strings.LastIndexByte(arg(d, 0), ':')+1:])
				}
				if len(own) == 0 {
					own = []string{"80"}
				}
				for _, port := range convert.Unique(own) {
					if ports[port] == nil {
						order = append(order, port)
					}
					ports[port] = append(ports[port], s)
				}
			}
		}
	}
	for _, port := range order {
		if name := "nginx port " + port; c.Wants(name) {
			tables = append(tables, convert.Table{Name: name, Routes: routes(ports[port], port)})
		}
	}
	return convert.Having(tables)
}

// routes are those of the servers of a port, by their names: nginx asks exact ones, the
// longest with a star in front, the longest with a star at the end, regexes, and the
// default server.
func routes(servers []server, port string) (all []convert.Route) {
	var domains []convert.Domain
	isDefault := func(s server) bool {
		return slices.ContainsFunc(each(s.block, "listen"), func(d level) bool {
			return slices.Contains(d.Args, "default_server") && strings.HasSuffix(arg(d, 0), port)
		})
	}
	first := max(slices.IndexFunc(servers, isDefault), 0)
	named := false // the first takes the rest without having been told to
	for i := range servers {
		own := len(domains)
		for _, name := range servers[i].names {
			switch {
			case name == "" || name == "_":
			case name[0] == '~':
				domains = append(domains, convert.Domain{Owner: i, Text: name, Rank: 2})
			case name[0] == '.':
				domains = append(domains, convert.DomainOf(i, name[1:], nil), convert.DomainOf(i, "*"+name, nil))
			default:
				domains = append(domains, convert.DomainOf(i, name, nil))
			}
		}
		if named = named || i == first && len(domains) > own && !isDefault(servers[i]); i == first && !named {
			domains = append(domains, convert.DomainOf(i, "*", nil))
		}
	}
	// What the default server takes anyhow needs no name.
	asked := slices.DeleteFunc(slices.Clone(domains), func(d convert.Domain) bool {
		return d.Owner == first && d.Rank < 3 && !named && !slices.ContainsFunc(domains, func(o convert.Domain) bool {
			return o.Owner != first && o.Rank > 0 && convert.HostsOverlap(o.Region(), d.Text)
		})
	})
	own := map[any][]convert.Route{}
	for _, group := range convert.OrderDomains(asked) {
		i := group[0].Owner
		if own[i] == nil {
			own[i] = servers[i.(int)].routes()
		}
		for _, r := range own[i] {
			r.Hosts = convert.HostsOf(group)
			if d := group[0]; d.Rank == 2 {
				r.Hosts = nil
				r.When = append(slices.Clone(r.When), convert.Condition{What: "the server name " + d.Text, At: r.From.Place, Remedy: "write the names, or *.example.com"})
			}
			all = append(all, r)
		}
	}
	if named {
		convert.WithChanges(all, convert.Change{Kind: convert.DefaultBackend, Text: "a host that no server of port " + port + " names has no policy; nginx hands it to " + servers[first].Part + ", the first (default_server says that this is meant)"})
	}
	return all
}

// location is one with the blocks around it, the outermost first, and itself.
type location struct {
	levels []level
	sign   string // "", "=", "^~", "~", "~*" or "@"
	text   string
}

func locationsOf(levels []level) (all []location) {
	for _, d := range each(levels[len(levels)-1], "location") {
		l := location{levels: append(slices.Clone(levels), d), sign: arg(d, 0), text: arg(d, 1)}
		if len(d.Args) == 1 {
			l.sign, l.text = "", arg(d, 0)
			if strings.HasPrefix(l.text, "@") {
				l.sign = "@"
			}
		}
		all = append(append(all, l), locationsOf(l.levels)...)
	}
	return all
}

func (l location) regex() bool { return strings.HasPrefix(l.sign, "~") }

// routes are those of a server, in nginx's order: exact locations, those with ^~, regexes,
// and the longest prefix.
func (s server) routes() (all []convert.Route) {
	around := []level{s.http, s.block}
	locations := locationsOf(around)
	rank := map[string]int{"=": 0, "^~": 1, "~": 2, "~*": 2, "": 3, "@": 4}
	if !slices.ContainsFunc(locations, location.regex) {
		rank["^~"] = 3 // it keeps regexes away
	}
	slices.SortStableFunc(locations, func(a, b location) int {
		by := rank[a.sign] - rank[b.sign]
		if by == 0 && !a.regex() {
			by = len(b.text) - len(a.text)
		}
		return by
	})
	for _, levels := range append([][]level{around}, levelsOf(locations)...) {
		for _, d := range each(levels[len(levels)-1], "include") {
			if !harmless.MatchString(arg(d, 0)) {
				s.fail(d, "it includes "+arg(d, 0)+", which is not in the file", "convert what nginx -T prints, which holds all files")
			}
		}
	}
	for _, l := range locations {
		last := l.levels[len(l.levels)-1]
		here := s
		here.Part += " location " + strings.Join(last.Args, " ")
		for _, q := range locations {
			if rank["^~"] == 1 && l.sign == "" && q.sign == "^~" && strings.HasPrefix(l.text, q.text) {
				here.fail(last, "it stands below the location ^~ "+q.text+", and regexes are asked between the two", "write ^~ for both")
			}
		}
		made := here.route(l.levels)
		match := convert.Match{Reader: here.Reader, Route: &made}
		at := made.From.Place
		switch l.sign {
		case "@":
			continue
		case "=":
			made.Paths = []convert.Path{{Kind: convert.ExactPath, Text: l.text, At: at}}
		case "~", "~*":
			match.Regex(map[string]string{"~*": convert.Fold}[l.sign]+convert.WholeRegex(l.text, false), at)
			if outer := l.levels[len(l.levels)-2]; outer.Directive == "location" {
				made.When = append(made.When, convert.Condition{What: "a regex inside of location " + strings.Join(outer.Args, " "), At: at})
			}
		default:
			made.Paths = []convert.Path{{Kind: convert.PrefixPath, Text: l.text, At: at}}
		}
		for _, d := range each(last, "try_files") {
			here.tries(d, made.Policy, locations)
		}
		all = append(all, made)
	}
	return append(all, s.route(around))
}

func levelsOf(locations []location) (all [][]level) {
	for _, l := range locations {
		all = append(all, l.levels)
	}
	return all
}

// tries looks at what a request is handed to where no file is there: the headers are then
// those of the location that takes it.
func (s server) tries(d level, own *convert.Policy, locations []location) {
	target, _, _ := strings.Cut(arg(d, len(d.Args)-1), "?")
	if strings.HasPrefix(target, "=") || strings.Contains(target, "$") {
		return
	}
	for _, l := range locations {
		takes := l.text == target
		if l.regex() {
			re, err := regexp.Compile(map[string]string{"~*": convert.Fold}[l.sign] + l.text)
			takes = err == nil && re.MatchString(target)
		} else if l.sign == "" || l.sign == "^~" {
			takes = strings.HasPrefix(target, l.text)
		}
		if !takes {
			continue
		}
		if s.route(l.levels).Policy.Key() != own.Key() {
			s.fail(d, "try_files leads to location "+strings.Join(l.levels[len(l.levels)-1].Args, " ")+", which adds other CORS headers", "write the same into both")
		}
		return
	}
}

// route is that of the innermost of some blocks, for any path.
func (s server) route(levels []level) convert.Route {
	last := levels[len(levels)-1]
	for _, d := range slices.Concat(each(last, "more_set_headers"), each(last, "add_header_inherit")) {
		if d.Directive == "add_header_inherit" || strings.Contains(strings.ToLower(strings.Join(d.Args, " ")), "access-control-") {
			s.fail(d, d.Directive+" is not read", "write each header by add_header, with always")
		}
	}
	at := s.Object.At(node(last))
	made := convert.Route{From: convert.From{Source: s.Part, Place: at}}
	x := &runner{server: s, levels: levels}
	x.Observer = &convert.Observer{Reader: s.Reader, At: at, Project: "nginx", Run: x.run, Keeps: "nginx adds its own beside them, and browsers refuse two"}
	made.Policy = x.Policy()
	made.Replies = made.Policy == nil && x.run("GET", convert.Origin{}).Status != 0
	if made.Policy != nil {
		made.Policy.Change(convert.PathSpelling, "a path is compared as the proxy has it; nginx decodes it first, and takes slashes that follow each other for one")
	}
	return made
}
