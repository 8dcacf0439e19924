package nginx

import (
	"fmt"
	"net/textproto"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"corsfilter/config"
	"corsfilter/internal/convert"
)

// value is what a text with variables stands for.
type value struct {
	text string
	// origin says that it is the request's Origin, whole; known, that all of it is known.
	origin, known bool
}

// origin is one that the configuration tells from others: a text, or one that matches
// some of the regexes, whatever it is.
type origin struct {
	text    string
	matches map[string]bool
}

// runner runs a location's directives.
type runner struct {
	server
	levels []level
	// texts and regexes are what the runs compared the origin with; known are the texts.
	texts, regexes []string
	known          map[string]bool
}

// outcome is what a run sends.
type outcome struct {
	// allowed says that the response's ACAO is the origin, or a star.
	allowed, star bool
	returned      int
	headers       map[string]string
	// all says that those of all of its statuses are sent, errors too.
	always bool
	origin level // where ACAO is added
}

const maxRegexes = 10

// anyCase begins a regex that ~* asks.
const anyCase = "(?i)"

// elsewhere is an origin that nothing names.
const elsewhere = "https://elsewhere.invalid"

// state is that of one run.
type state struct {
	*runner
	method string
	origin origin
	vars   map[string]value
	inner  level // the if whose block counts
	status int
	depth  int
	// unsure are variables that something decides which is not known.
	unsure map[string]bool
}

func (x *runner) run(method string, o origin) outcome {
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
			regex = anyCase + regex
		}
		return s.matches(d, v, regex) == (sign[0] == '~'), v.known
	}
	return false, false
}

func (s *state) equal(v value, text string, fold bool) bool {
	if v.origin && text != "" && !s.known[text] {
		s.texts, s.known[text] = append(s.texts, text), true
	}
	return v.text == text || fold && strings.EqualFold(v.text, text)
}

func (s *state) matches(d level, v value, regex string) bool {
	re, err := regexp.Compile(regex)
	if err != nil {
		s.fail(d, fmt.Sprintf("the regex %q is none of RE2, which is read here", convert.Shortened(regex)), "write it without looking ahead or back")
		return false
	}
	if !v.origin {
		return re.MatchString(v.text)
	}
	if !slices.Contains(s.regexes, regex) {
		s.regexes = append(s.regexes, regex)
	}
	if s.origin.matches == nil {
		return re.MatchString(s.origin.text)
	}
	return s.origin.matches[regex]
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

// asked stand for what a preflight asks for.
const (
	askedHeaders = "\x00headers"
	askedMethod  = "\x00method"
)

func (s *state) variable(name string) value {
	switch name {
	case "http_origin":
		return value{s.origin.text, true, true}
	case "request_method":
		return value{text: s.method, known: true}
	case "http_access_control_request_headers":
		return value{text: askedHeaders, known: true}
	case "http_access_control_request_method":
		return value{text: askedMethod, known: true}
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
		case key[:min(1, len(key))] != "~" && s.equal(v, strings.ToLower(key), true):
			return s.result(arg(entry, 0), v)
		}
	}
	for _, entry := range d.Block {
		if regex, is := strings.CutPrefix(entry.Directive, "~"); is {
			if after, ok := strings.CutPrefix(regex, "*"); ok {
				regex = anyCase + after
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
func (s *state) send(blocks []level) outcome {
	made := outcome{returned: s.status, headers: map[string]string{}, always: true}
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
		switch made.always = made.always && always; {
		case !v.known:
			s.fail(d, "the value "+arg(d, 1)+" of "+name+" hangs on more than the origin and the method", "write it by $http_origin, or as a text")
		case v.text == "" || !always && !slices.Contains(success, s.status):
		case name == "Access-Control-Allow-Origin":
			if made.origin != nil {
				s.fail(d, "a second Access-Control-Allow-Origin is added, and browsers refuse two", "keep one")
			}
			made.origin, made.star = d, v.text == "*"
			made.allowed = made.star || v.origin || s.equal(value{text: s.origin.text, origin: true}, v.text, false)
		default:
			made.headers[name] = v.text
		}
	}
	return made
}

// allowed are the origins that get ACAO for a method, and what goes with it.
type allowed struct {
	any     bool
	texts   []string
	regexes []string
	outcome
}

// same reports whether both let in the same.
func (a *allowed) same(b *allowed) bool {
	return a.any == b.any && slices.Equal(a.texts, b.texts) && slices.Equal(a.regexes, b.regexes)
}

// origins runs a method for every origin that the configuration tells from others; nil:
// none gets ACAO, or it is told why that is not clear.
func (x *runner) origins(method string) *allowed {
	for { // until a run compares the origin with nothing new
		texts, regexes := len(x.texts), len(x.regexes)
		if regexes > maxRegexes {
			x.fail(x.levels[len(x.levels)-1], fmt.Sprintf("more than %d regexes tell origins apart", maxRegexes), "put them into one")
			return nil
		}
		cases := make([]outcome, 1<<regexes)
		for i := range cases {
			o := origin{elsewhere, map[string]bool{}}
			for j, regex := range x.regexes[:regexes] {
				o.matches[regex] = i>>j&1 == 1
			}
			cases[i] = x.run(method, o)
		}
		var named []outcome
		for _, text := range x.texts[:texts] {
			named = append(named, x.run(method, origin{text: text}))
		}
		if len(x.texts) == texts && len(x.regexes) == regexes {
			return x.union(cases, named)
		}
	}
}

// union says which regexes and texts let an origin in, where any one of them is enough.
func (x *runner) union(cases, named []outcome) *allowed {
	made := &allowed{any: cases[0].allowed}
	for j, regex := range x.regexes {
		if !made.any && cases[1<<j].allowed {
			made.regexes = append(made.regexes, regex)
		}
	}
	lets := func(in func(regex string) bool) bool { return made.any || slices.ContainsFunc(made.regexes, in) }
	take := func(o outcome, expected bool) bool {
		if o.allowed && made.origin == nil {
			made.outcome = o
		}
		return o.allowed == expected && (!o.allowed || o.same(made.outcome))
	}
	clear := true
	for i, o := range cases {
		clear = take(o, lets(func(regex string) bool { return i>>slices.Index(x.regexes, regex)&1 == 1 })) && clear
	}
	for i, o := range named {
		by := lets(func(regex string) bool { return regexp.MustCompile(regex).MatchString(x.texts[i]) })
		if clear = take(o, by || o.allowed) && clear; o.allowed && !by {
			made.texts = append(made.texts, x.texts[i])
		}
	}
	if !clear {
		x.fail(x.levels[len(x.levels)-1], "some origins get other CORS headers than others, or are left out of what a regex lets in, and a policy has one list of each for all of its origins", "write one condition with the same headers for all of them")
		return nil
	}
	if made.origin == nil {
		return nil
	}
	return made
}

func (o outcome) same(other outcome) bool {
	return o.star == other.star && o.returned == other.returned && fmt.Sprint(o.headers) == fmt.Sprint(other.headers)
}

// policy is that of the location; nil: it adds no CORS headers that a page can read by.
func (x *runner) policy() *convert.Policy {
	preflight := x.origins("OPTIONS")
	methods := []string{"GET", "HEAD", "POST"}
	if preflight != nil {
		for _, v := range convert.Words(preflight.headers["Access-Control-Allow-Methods"], convert.Place{}) {
			methods = append(methods, v.Text)
		}
	}
	var actual *allowed
	var without []string
	for _, method := range slices.DeleteFunc(convert.Unique(methods), func(m string) bool { return m == "OPTIONS" }) {
		switch made := x.origins(method); {
		case made == nil:
			without = append(without, method)
		case actual == nil:
			actual = made
		case !made.same(actual):
			x.fail(made.origin, "the origins that may read a "+method+" are others than those for the rest", "write the same condition for all methods")
		}
	}
	if actual == nil {
		return nil
	}
	r, at := x.Reader, x.Object.At(node(actual.origin))
	p := &convert.Policy{}
	m := convert.Manner{Project: "nginx", Reflects: !actual.star, Status: "204", Unmatched: "nginx answers it without access-control-allow-origin"}
	if actual.any {
		p.Allow(convert.Anyone, at)
	}
	for _, text := range actual.texts {
		p.Allow(convert.ExactOrigin(p, text, false), at)
	}
	for _, regex := range actual.regexes {
		plain := strings.TrimPrefix(regex, anyCase)
		o := convert.WholeOrigin(p, convert.WholeRegex(plain, false))
		o.IgnoreCase = o.Kind == config.Regex && plain != regex
		p.Allow(o, at)
	}
	p.Credentials = actual.headers["Access-Control-Allow-Credentials"] == "true"
	if p.Credentials && actual.star {
		p.Credentials = false
		p.Change(convert.StarCredentials, "credentials are left out: nginx sends `*` with access-control-allow-credentials, and browsers refuse the two together")
	}
	p.SetList("expose_headers", at, convert.Words(actual.headers["Access-Control-Expose-Headers"], at))
	switch {
	case preflight == nil:
	case !preflight.same(actual):
		r.Fail(node(preflight.origin), "preflights let in other origins than the requests behind them", "write the same condition for both")
	default:
		x.preflight(p, preflight, &m)
	}
	if len(without) > 0 {
		p.Change(convert.MoreAllowed, strings.Join(without, ", ")+" may be read as well; nginx adds no CORS headers to the responses")
	}
	if !actual.always {
		p.Change(convert.MoreResponses, "responses with an error's status, such as 404 and 500, carry CORS headers as well; nginx adds them there with `always` alone")
	}
	p.Change(convert.UpstreamHeaders, "CORS headers that upstream sends itself are replaced or removed; nginx adds its own beside them, and browsers refuse two")
	m.Varies = strings.EqualFold(actual.headers["Vary"], "origin")
	p.Finish(m)
	p.Change(convert.PathSpelling, "a path is compared as the proxy has it; nginx decodes it first, and takes slashes that follow each other for one")
	return p
}

// preflight reads what its response allows.
func (x *runner) preflight(p *convert.Policy, o *allowed, m *convert.Manner) {
	at := x.Object.At(node(o.origin))
	list := func(setting, header, asked string) bool {
		text := o.headers[header]
		if text == asked {
			text = "*"
		}
		p.SetList(setting, at, convert.Words(text, at))
		return text == "*" && o.headers[header] == asked
	}
	list("allow_methods", "Access-Control-Allow-Methods", askedMethod)
	m.Authorization = list("allow_headers", "Access-Control-Allow-Headers", askedHeaders)
	m.Echoes = m.Authorization
	if text := o.headers["Access-Control-Max-Age"]; text != "" {
		if seconds, err := strconv.ParseInt(text, 10, 64); err != nil {
			x.fail(o.origin, fmt.Sprintf("Access-Control-Max-Age %q is no number of seconds", text), "write one such as 600")
		} else {
			p.SetMaxAge(at, seconds)
		}
	}
	p.PrivateNetwork = o.headers["Access-Control-Allow-Private-Network"] == "true"
	if o.returned == 0 {
		m.Unmatched = "nginx forwards it"
		p.Change(convert.PreflightStatus, "a preflight is answered here with 204; nginx adds its headers to what upstream answers, where that is no error")
		return
	}
	m.Status = strconv.Itoa(o.returned)
	p.Change(convert.OptionsForwarded, fmt.Sprintf("an OPTIONS request that is no preflight goes upstream; nginx answers every OPTIONS with %d", o.returned))
}
