package convert

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"corsfilter/config"
)

// Some proxies know nothing of CORS and set its headers like any others. Their policies are
// observed: what they send for a preflight, for each method, and for every origin that their
// configuration distinguishes.

// HeaderSettings is their table: what a header becomes. origins says how an origin gets it;
// methods and headers say what stands for any.
func HeaderSettings(of, origins, methods, headers string) Settings {
	const preflight, alone = "of a preflight", "`true` alone"
	return Settings{Of: of, Rows: []Setting{
		{Key: "Access-Control-Allow-Origin", Becomes: AllowOrigins, Note: origins},
		{Key: "Access-Control-Allow-Methods", Becomes: "allow_methods", Note: preflight + methods},
		{Key: "Access-Control-Allow-Headers", Becomes: "allow_headers", Note: preflight + headers},
		{Key: "Access-Control-Expose-Headers", Becomes: "expose_headers"},
		{Key: "Access-Control-Allow-Credentials", Becomes: "allow_credentials", Note: alone},
		{Key: "Access-Control-Max-Age", Becomes: MaxAge, Note: preflight},
		{Key: "Access-Control-Allow-Private-Network", Becomes: PrivateNetwork, Note: preflight + "; " + alone},
	}}
}

// Origin is one that is tried: a text, or an origin that equals none of the texts and matches
// some of the regexes.
type Origin struct {
	Text    string
	matches map[string]bool // nil: the text says
}

// Sent is what a proxy sends to one request.
type Sent struct {
	// Allowed is access-control-allow-origin: the origin, a star, or something else; ""
	// is none.
	Allowed string
	// Headers are the others, by their canonical names.
	Headers map[string]string
	// Status is that of the proxy's own answer; 0: upstream answers.
	Status int
	// Partly says that responses with an error's status go without.
	Partly bool
	// At is where Allowed is set.
	At Place
}

func (s Sent) same(o Sent) bool {
	return (s.Allowed == "*") == (o.Allowed == "*") && s.Status == o.Status && maps.Equal(s.Headers, o.Headers)
}

// AskedHeaders and AskedMethod stand for what a preflight asks for, and Fold begins a
// regex whose letters match in both cases.
const (
	AskedHeaders = "\x00headers"
	AskedMethod  = "\x00method"
	Fold         = "(?i)"
)

// Observer asks one place of a configuration, such as a location.
type Observer struct {
	Reader
	At      Place
	Project string
	// Run sends a request; it compares its origin by Is and Matches alone.
	Run func(method string, o Origin) Sent
	// Keeps says what the source does with CORS headers that upstream sends.
	Keeps string

	texts, regexes []string // that the origin was compared with
	known          map[string]bool
}

// Is compares an origin with a text.
func (x *Observer) Is(o Origin, text string) bool {
	if x.known == nil {
		x.known = map[string]bool{}
	}
	if text != "" && text != "*" && !x.known[text] {
		x.texts, x.known[text] = append(x.texts, text), true
	}
	return o.Text == text
}

// Matches looks for a regex in an origin.
func (x *Observer) Matches(o Origin, regex string, at Place) bool {
	re, err := regexp.Compile(regex)
	if err != nil {
		x.refuse(at, fmt.Sprintf("the regex %q is not RE2 syntax", Shortened(regex)), "write it without look-ahead or look-behind")
		return false
	}
	if !slices.Contains(x.regexes, regex) {
		x.regexes = append(x.regexes, regex)
	}
	if o.matches == nil {
		return re.MatchString(o.Text)
	}
	return o.matches[regex]
}

func (x *Observer) refuse(at Place, what, remedy string) {
	source := x.place()
	x.Problem(at, source, what, remedy)
}

const (
	maxRegexes = 10
	elsewhere  = "https://elsewhere.invalid" // an origin that nothing names
)

// lets are the origins that get access-control-allow-origin for a method, and what goes
// with it.
type lets struct {
	any            bool
	texts, regexes []string
	Sent
}

func (a *lets) sameOrigins(b *lets) bool {
	return a.any == b.any && slices.Equal(a.texts, b.texts) && slices.Equal(a.regexes, b.regexes)
}

// observe tries a method; nil: no origin is allowed, or a problem says why that is not clear.
func (x *Observer) observe(method string) *lets {
	for { // until a run compares the origin with nothing new
		texts, regexes := len(x.texts), len(x.regexes)
		if regexes > maxRegexes {
			x.refuse(x.At, fmt.Sprintf("more than %d regexes tell origins apart", maxRegexes), "put them into one")
			return nil
		}
		sends := func(o Origin) Sent {
			s := x.Run(method, o)
			if s.Allowed != "*" && !x.Is(o, s.Allowed) {
				s.Allowed = ""
			}
			return s
		}
		cases := make([]Sent, 1<<regexes)
		for i := range cases {
			o := Origin{elsewhere, map[string]bool{}}
			for j, regex := range x.regexes[:regexes] {
				o.matches[regex] = i>>j&1 == 1
			}
			cases[i] = sends(o)
		}
		var named []Sent
		for _, text := range x.texts[:texts] {
			named = append(named, sends(Origin{Text: text}))
		}
		delete(x.known, elsewhere)
		x.texts = slices.DeleteFunc(x.texts, func(text string) bool { return text == elsewhere })
		if len(x.texts) == texts && len(x.regexes) == regexes {
			return x.union(cases, named)
		}
	}
}

// union says which regexes and texts let an origin in, where any one of them is enough.
func (x *Observer) union(cases, named []Sent) *lets {
	made := &lets{any: cases[0].Allowed != ""}
	for j, regex := range x.regexes {
		if !made.any && cases[1<<j].Allowed != "" {
			made.regexes = append(made.regexes, regex)
		}
	}
	in := func(is func(regex string) bool) bool { return made.any || slices.ContainsFunc(made.regexes, is) }
	clear := true
	take := func(s Sent, expected bool) {
		if s.Allowed != "" && made.Allowed == "" {
			made.Sent = s
		}
		clear = clear && (s.Allowed != "") == expected && (s.Allowed == "" || s.same(made.Sent))
	}
	for i, s := range cases {
		take(s, in(func(regex string) bool { return i>>slices.Index(x.regexes, regex)&1 == 1 }))
	}
	for i, s := range named {
		by := in(func(regex string) bool { return regexp.MustCompile(regex).MatchString(x.texts[i]) })
		if take(s, by || s.Allowed != ""); s.Allowed != "" && !by {
			made.texts = append(made.texts, x.texts[i])
		}
	}
	switch {
	case !clear:
		x.refuse(x.At, "some origins get other CORS headers than the rest, or are excluded from what a regex allows, and a policy has the same lists for all of its origins", "write one condition with the same headers for all of them")
	case made.Allowed != "":
		return made
	}
	return nil
}

// Policy is the observed one; nil: it lets no page read anything.
func (x *Observer) Policy() *Policy {
	preflight := x.observe("OPTIONS")
	methods := []string{"GET", "HEAD", "POST"}
	if preflight != nil {
		for _, v := range Words(preflight.Headers["Access-Control-Allow-Methods"], Place{}) {
			methods = append(methods, v.Text)
		}
	}
	var actual *lets
	var without []string
	for _, method := range Unique(methods) {
		switch made := x.observe(method); {
		case method == "OPTIONS" || method == "*":
		case made == nil:
			without = append(without, method)
		case actual == nil:
			actual = made
		case !made.sameOrigins(actual):
			x.refuse(made.At, "the origins that may read a "+method+" differ from those of the other methods", "write the same condition for all methods")
		}
	}
	if actual == nil {
		return nil
	}
	p, at := &Policy{}, actual.At
	m := Behaviour{Project: x.Project, Reflects: actual.Allowed != "*", Status: "204", Unmatched: x.Project + " answers it without access-control-allow-origin"}
	if actual.any {
		p.Allow(Anyone, at)
	}
	for _, text := range actual.texts {
		p.Allow(ExactOrigin(p, text, false), at)
	}
	for _, regex := range actual.regexes {
		plain := strings.TrimPrefix(regex, Fold)
		o := WholeOrigin(p, WholeRegex(plain, false))
		o.IgnoreCase = o.Kind == config.Regex && plain != regex
		p.Allow(o, at)
	}
	p.Credentials = actual.Headers["Access-Control-Allow-Credentials"] == "true"
	if p.Credentials && actual.Allowed == "*" {
		p.Credentials = false
		p.Change(StarCredentials, "credentials are left out: "+x.Project+" sends `*` with access-control-allow-credentials, and browsers refuse the two together")
	}
	p.SetList("expose_headers", at, Words(actual.Headers["Access-Control-Expose-Headers"], at))
	switch {
	case preflight == nil:
	case !preflight.sameOrigins(actual):
		x.refuse(preflight.At, "preflights allow other origins than the requests that follow", "write the same condition for both")
	default:
		x.preflight(p, preflight, &m)
	}
	if len(without) > 0 {
		p.Change(MoreAllowed, strings.Join(without, ", ")+" may be read as well; "+x.Project+" sends no CORS headers with the responses")
	}
	if actual.Partly {
		p.Change(MoreResponses, "responses with an error's status, such as 404 and 500, carry CORS headers as well; "+x.Project+" does not set them there")
	}
	p.Change(UpstreamHeaders, "CORS headers from upstream are replaced or removed; "+x.Keeps)
	m.Varies = strings.EqualFold(actual.Headers["Vary"], "origin")
	p.Finish(m)
	return p
}

// preflight reads what its response allows.
func (x *Observer) preflight(p *Policy, sent *lets, m *Behaviour) {
	list := func(setting, header, asked string) (echoes bool) {
		text := sent.Headers[header]
		if echoes = text == asked; echoes {
			text = "*"
		}
		p.SetList(setting, sent.At, Words(text, sent.At))
		return echoes
	}
	list("allow_methods", "Access-Control-Allow-Methods", AskedMethod)
	m.Authorization = list("allow_headers", "Access-Control-Allow-Headers", AskedHeaders)
	m.Echoes = m.Authorization
	if text := sent.Headers["Access-Control-Max-Age"]; text != "" {
		seconds, err := strconv.ParseInt(text, 10, 64)
		if p.SetMaxAge(sent.At, seconds); err != nil {
			x.refuse(sent.At, fmt.Sprintf("access-control-max-age %q is no number of seconds", text), "write one such as 600")
		}
	}
	p.PrivateNetwork = sent.Headers["Access-Control-Allow-Private-Network"] == "true"
	if sent.Status == 0 {
		m.Unmatched = x.Project + " forwards it"
		p.Change(PreflightStatus, "a preflight is answered here with 204; "+x.Project+" adds its headers to what upstream answers")
		return
	}
	m.Status = strconv.Itoa(sent.Status)
	p.Change(OptionsForwarded, fmt.Sprintf("an OPTIONS request that is not a preflight goes upstream; %s answers every OPTIONS with %d", x.Project, sent.Status))
}

// Having are the tables that have policies, which say that the others have none.
func Having(tables []Table) (kept []Table) {
	var without []Change
	for _, t := range tables {
		if t.hasPolicy() {
			kept = append(kept, t)
		} else {
			without = append(without, Change{MoreResponses, t.Name + " sets no CORS headers, and its responses get them as well where the filter is loaded for it"})
		}
	}
	for _, t := range kept {
		WithChanges(t.Routes, without...)
	}
	return kept
}
