package nginx

import (
	"net/textproto"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"corsfilter/internal/convert"
)

// value is what a text with variables stands for.
type value struct {
	text string
	// origin says that it is the request's Origin, whole; known, that all of it is known.
	origin, known bool
}

// runner runs the directives of a location, the innermost of some blocks.
type runner struct {
	server
	*convert.Observer
	levels []level
}

// state is that of one run.
type state struct {
	*runner
	method string
	origin convert.Origin
	vars   map[string]value
	inner  level // the if whose block counts
	status int
	depth  int
	// unsure are variables that something decides which is not known.
	unsure map[string]bool
}

func (x *runner) run(method string, o convert.Origin) convert.Sent {
	s := &state{runner: x, method: method, origin: o, vars: map[string]value{}, unsure: map[string]bool{}}
	last := x.levels[len(x.levels)-1]
	switch {
	case s.rewrite(x.levels[1]): // before any location is looked for
		return s.send(x.levels[:2])
	case last != x.levels[1]:
		s.inner = nil
		s.rewrite(last)
	}
	return s.send(x.levels)
}

// rewrite runs the directives of the rewrite module in a block, and reports whether it
// ends there.
func (s *state) rewrite(block level) bool {
	for _, d := range block.Block {
		switch d.Directive {
		case "set":
			s.vars[strings.TrimPrefix(arg(d, 0), "$")] = s.expand(arg(d, 1))
		case "return":
			if s.status, _ = strconv.Atoi(arg(d, 0)); s.status == 0 {
				s.status = 302
			}
			return true
		case "break":
			return true
		case "if":
			holds, known := s.condition(d)
			switch {
			case !known:
				s.unknown(d)
			case holds:
				s.inner = d
				if s.rewrite(d) {
					return true
				}
			}
		}
	}
	return false
}

// unknown sees to an if that asks for something else than the origin or the method.
func (s *state) unknown(d level) {
	for _, inner := range d.Block {
		switch {
		case inner.Directive == "set":
			s.unsure[strings.TrimPrefix(arg(inner, 0), "$")] = true
		case isCORS(inner):
			s.fail(d, "if ("+strings.Join(d.Args, " ")+") adds CORS headers, and rules ask for host and path alone", "ask for $http_origin or $request_method")
		}
	}
}

func isCORS(d level) bool {
	return d.Directive == "add_header" && strings.HasPrefix(strings.ToLower(arg(d, 0)), "access-control-")
}

// condition reports whether an if holds, and whether that is known.
func (s *state) condition(d level) (holds, known bool) {
	v := s.expand(arg(d, 0))
	switch sign := arg(d, 1); sign {
	case "":
		return v.text != "" && v.text != "0", v.known
	case "=", "!=":
		return s.equal(v, s.expand(arg(d, 2)).text, false) == (sign == "="), v.known
	case "~", "~*", "!~", "!~*":
		regex := arg(d, 2)
		if strings.HasSuffix(sign, "*") {
			regex = convert.Fold + regex
		}
		return s.matches(d, v, regex) == (sign[0] == '~'), v.known
	}
	return false, false
}

func (s *state) equal(v value, text string, fold bool) bool {
	if v.origin && fold {
		text = strings.ToLower(text)
	}
	return v.origin && s.Is(s.origin, text) || !v.origin && (v.text == text || fold && strings.EqualFold(v.text, text))
}

func (s *state) matches(d level, v value, regex string) bool {
	if v.origin {
		return s.Matches(s.origin, regex, s.server.Object.At(node(d)))
	}
	re, err := regexp.Compile(regex)
	return err == nil && re.MatchString(v.text)
}

var variable = regexp.MustCompile(`\$(?:\{(\w+)\}|(\w+))`)

// expand writes out the variables of a text.
func (s *state) expand(text string) value {
	all := value{known: true}
	at := 0
	for _, m := range variable.FindAllStringSubmatchIndex(text, -1) {
		one := s.variable(text[max(m[2], m[4]):max(m[3], m[5])])
		all.text += text[at:m[0]] + one.text
		all.known = all.known && one.known
		if at = m[1]; m[0] == 0 && m[1] == len(text) {
			return one
		}
	}
	all.text += text[at:]
	return all
}

func (s *state) variable(name string) value {
	switch name {
	case "http_origin":
		return value{s.origin.Text, true, true}
	case "request_method":
		return value{text: s.method, known: true}
	case "http_access_control_request_headers":
		return value{text: convert.AskedHeaders, known: true}
	case "http_access_control_request_method":
		return value{text: convert.AskedMethod, known: true}
	}
	if v, set := s.vars[name]; set {
		v.known = v.known && !s.unsure[name]
		return v
	}
	s.depth++
	defer func() { s.depth-- }()
	for _, d := range each(s.http, "map") {
		if arg(d, 1) == "$"+name && s.depth < 10 { // maps may name each other
			return s.mapped(d)
		}
	}
	return value{}
}

// mapped is the value of a map's variable: exact ones come first, whatever their letters'
// case, then regexes in their order.
func (s *state) mapped(d level) value {
	v := s.expand(arg(d, 0))
	otherwise := ""
	for _, entry := range d.Block {
		key := strings.TrimPrefix(entry.Directive, `\`)
		switch {
		case entry.Directive == "default":
			otherwise = arg(entry, 0)
		case entry.Directive == "hostnames" || entry.Directive == "include":
			v.known = false
		case key[:min(1, len(key))] != "~" && s.equal(v, key, true):
			return s.result(arg(entry, 0), v)
		}
	}
	for _, entry := range d.Block {
		if regex, is := strings.CutPrefix(entry.Directive, "~"); is {
			if after, ok := strings.CutPrefix(regex, "*"); ok {
				regex = convert.Fold + after
			}
			if s.matches(entry, v, regex) {
				return s.result(arg(entry, 0), v)
			}
		}
	}
	return s.result(otherwise, v)
}

func (s *state) result(text string, of value) value {
	v := s.expand(text)
	v.known = v.known && of.known
	return v
}

// success are the statuses that add_header counts for without always.
var success = []int{0, 200, 201, 204, 206, 301, 302, 303, 304, 307, 308}

// send looks at the headers that the innermost block with any adds.
func (s *state) send(blocks []level) convert.Sent {
	made := convert.Sent{Status: s.status, Headers: map[string]string{}}
	if s.inner != nil {
		blocks = append(slices.Clone(blocks), s.inner)
	}
	var added []level
	for _, block := range slices.Backward(blocks) {
		if added = each(block, "add_header"); len(added) > 0 {
			break
		}
	}
	for _, d := range added {
		name := textproto.CanonicalMIMEHeaderKey(arg(d, 0))
		if !isCORS(d) && name != "Vary" {
			continue
		}
		always := arg(d, 2) == "always"
		v := s.expand(arg(d, 1))
		switch made.Partly = made.Partly || !always; {
		case !v.known:
			s.fail(d, "the value "+arg(d, 1)+" of "+name+" hangs on more than the origin and the method", "write it by $http_origin, or as a text")
		case v.text == "" || !always && !slices.Contains(success, s.status):
		case name != "Access-Control-Allow-Origin":
			made.Headers[name] = v.text
		case made.Allowed != "":
			s.fail(d, "a second Access-Control-Allow-Origin is added, and browsers refuse two", "keep one")
		default:
			made.Allowed, made.At = v.text, s.server.Object.At(node(d))
		}
	}
	return made
}
