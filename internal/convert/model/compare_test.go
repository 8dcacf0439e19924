package model

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"corsfilter/config"
	"corsfilter/filter"
	"corsfilter/internal/browser"
	"corsfilter/internal/convert"
	"corsfilter/internal/convert/source"
)

// drawn is what somebody runs: the text of the resources, and the proxy that reads
// them.
type drawn struct {
	text string
	// ways are the proxies that the source's specification leaves open; one where
	// it leaves nothing.
	ways []way
	// reasons are what of these resources a converter may refuse, by what it says.
	reasons []reason
}

// way is a proxy with its CORS and without.
type way struct{ serve, bare proxy }

// reason is a feature that the resources have, and the words in which a refusal
// names it.
type reason struct {
	name  string
	words string // a regex
}

// waivers are those that a conversion is allowed in most runs.
var waivers = func() (names []string) {
	for _, w := range config.Waivers {
		names = append(names, string(w))
	}
	return names
}()

// friends are places and origins of the pools for which a source lets a page read
// a response.
func (d drawn) friends() (out []exchange) {
	for _, host := range hostNames {
		for _, path := range append(slices.Clone(pathTexts), pathNear...) {
			for _, origin := range pageOrigins {
				for _, method := range []string{"GET", "PUT"} {
					x := exchange{drawn: d, target: request{Host: host, Path: path}, page: browser.Request{Origin: origin, Method: method}}
					if slices.ContainsFunc(d.ways, func(w way) bool { return x.run(w.serve).Allowed() }) {
						out = append(out, x)
					}
				}
			}
		}
	}
	return out
}

// shares counts how many conversions there were and how many gave a result.
type shares struct{ drawn, converted, compared, allowed int }

// enough fails a test that converts too little to be a test.
func (s shares) enough(t *testing.T, least int) {
	t.Logf(
		"%d of %d drawn resources are converted, %d requests are compared, of which the source lets a page read %d", s.converted, s.drawn,
		s.compared, s.allowed,
	)
	if s.converted*100 < s.drawn*least {
		t.Errorf("only %d of %d conversions gave a result, fewer than %d in 100", s.converted, s.drawn, least)
	}
	if s.allowed*20 < s.compared {
		t.Errorf("only %d of %d requests are allowed: the requests are too far from the policies", s.allowed, s.compared)
	}
}

// hold converts what is drawn, and compares requests.
func (s *shares) hold(t *rapid.T, d drawn) {
	s.drawn++
	options := convert.Options{Tolerate: waivers}
	if die(t, "no waivers", 4) == 0 {
		options.Tolerate = nil
	}
	result, problems := source.Convert([]convert.File{{Name: "drawn.yaml", Data: []byte(d.text)}}, options)
	if result == nil {
		if len(problems) == 0 {
			t.Fatalf("neither a result nor a problem for\n%s", d.text)
		}
		for _, p := range problems {
			d.holdProblem(t, p, options)
		}
		return
	}
	if len(problems) > 0 {
		t.Fatalf("a result beside problems: %v\n%s", problems, d.text)
	}
	s.converted++
	c, _, err := config.Parse(result.JSON)
	if err != nil {
		t.Fatalf("the result is refused: %v\n%s\nof\n%s", err, result.JSON, d.text)
	}
	friends := d.friends()
	for range 30 {
		x := exchange{drawn: d, config: c, result: result, target: drawTarget(t), upstream: drawUpstream(t)}
		x.page = drawPage(t)
		if len(friends) > 0 && chance(t, "a friend", 2) {
			friend := pick(t, "friend", friends)
			x.target, x.page.Origin = friend.target, friend.page.Origin
		}
		x.page.SameOrigin = filter.IsSameOrigin(x.page.Origin, "https", x.target.Host)
		allowed := x.compare(t)
		if s.compared++; allowed {
			s.allowed++
		}
	}
}

// holdProblem asks that the resources have what a refusal names.
func (d drawn) holdProblem(t *rapid.T, p convert.Problem, o convert.Options) {
	if p.Waiver != "" && slices.Contains(o.Tolerate, string(p.Waiver)) {
		t.Fatalf("refused although %s is tolerated: %v\n%s", p.Waiver, p, d.text)
	}
	if (strings.Contains(p.What, "no CORS policy") || strings.Contains(p.What, "answers these requests itself")) && len(d.friends()) == 0 {
		return
	}
	for _, r := range d.reasons {
		if compiled(r.words).MatchString(p.What + " (" + string(p.Waiver) + ")") {
			return
		}
	}
	var names []string
	for _, r := range d.reasons {
		names = append(names, r.name)
	}
	t.Fatalf("refused for what is not there: %v (waiver %q)\nthere is: %s\n%s", p, p.Waiver, strings.Join(names, ", "), d.text)
}

// exchange is one fetch of a page, by the source and by the filter.
type exchange struct {
	drawn
	config   *config.Config
	result   *convert.Result
	target   request // host and path
	page     browser.Request
	upstream []browser.Header
}

// seen is what came of a fetch.
type seen struct {
	browser.Outcome
	// answers are the preflight's and the request's, forwarded the requests that
	// reached the backend.
	answers   []browser.Response
	forwarded []string
}

// run is a fetch against a proxy.
func (x exchange) run(p proxy) (s seen) {
	s.Outcome = browser.Fetch(x.page, func(method string, headers []browser.Header) browser.Response {
		r := request{Method: method, Host: x.target.Host, Path: x.target.Path, Headers: headers}
		answer := p(r, func(r request) browser.Response {
			s.forwarded = append(s.forwarded, r.Method)
			return browser.Response{
				Status: 200,
				Headers: append([]browser.Header{{Name: "content-type", Value: "text/plain"}, {Name: "x-total", Value: "7"},
					{Name: "etag", Value: "1"}, {Name: "x-secret", Value: "0"}}, x.upstream...),
			}
		})
		s.answers = append(s.answers, answer)
		return answer
	})
	return s
}

// filtered is this filter in front of a proxy without CORS.
func (x exchange) filtered(bare proxy) proxy {
	return func(r request, upstream backend) browser.Response {
		policy, _ := x.config.Select(r.Host, r.Path)
		if policy == nil || policy.Mode != config.Enforce {
			return bare(r, upstream)
		}
		var asked filter.Request
		for _, h := range append([]browser.Header{{Name: ":method", Value: r.Method}, {Name: ":scheme", Value: "https"},
			{Name: ":authority", Value: r.Host}, {Name: ":path", Value: r.Path}}, r.Headers...) {
			asked.VisitHeader(strings.ToLower(h.Name), h.Value)
		}
		var d filter.Decision
		var buffer filter.Buffer
		filter.Decide(policy, &asked, &d)
		if d.Replies() {
			reply := d.Reply(&buffer)
			answer := browser.Response{Status: int(reply.Status)}
			for _, h := range reply.Headers {
				set(&answer, h.Name, strings.Clone(h.Value))
			}
			return answer
		}
		answer := bare(r, upstream)
		var sent filter.Upstream
		for _, h := range answer.Headers {
			sent.VisitHeader(strings.ToLower(h.Name), h.Value)
		}
		for _, edit := range d.Edits(&sent, &buffer) {
			if edit.Op != filter.Add {
				remove(&answer, edit.Name)
			}
			if edit.Op != filter.Remove {
				answer.Headers = append(answer.Headers, browser.Header{Name: edit.Name, Value: strings.Clone(edit.Value)})
			}
		}
		return answer
	}
}

// changes are those that are listed for the rule that the request falls under.
func (x exchange) changes() (kinds []convert.ChangeKind) {
	_, rule := x.config.Select(x.target.Host, x.target.Path)
	for i, r := range x.result.Rules {
		for _, c := range r.Changes {
			// What another spelling of the host comes to falls under another rule, or none.
			if rule == nil || rule.Index == i || c.Kind == convert.DefaultBackend || c.Kind == convert.HostSpelling {
				kinds = append(kinds, c.Kind)
			}
		}
	}
	return kinds
}

// somewhere reports whether any rule lists a change of the kind.
func (x exchange) somewhere(kind convert.ChangeKind) bool {
	return slices.ContainsFunc(x.result.Rules, func(r convert.Rule) bool {
		return slices.ContainsFunc(r.Changes, func(c convert.Change) bool { return c.Kind == kind })
	})
}

// says reports whether a change of the kind names the word.
func (x exchange) says(kind convert.ChangeKind, word string) bool {
	_, rule := x.config.Select(x.target.Host, x.target.Path)
	return rule != nil && slices.ContainsFunc(x.result.Rules[rule.Index].Changes, func(c convert.Change) bool {
		return c.Kind == kind && slices.ContainsFunc(strings.Fields(c.Text), func(f string) bool { return strings.Trim(f, ",;") == word })
	})
}

// sends reports whether the page sets a request header.
func (x exchange) sends(name string) bool {
	return slices.ContainsFunc(x.page.Headers, func(h browser.Header) bool { return strings.EqualFold(h.Name, name) })
}

// compare holds the filter to the source, and reports whether the source lets the
// page read the response.
func (x exchange) compare(t *rapid.T) bool {
	var sources []seen
	for _, w := range x.ways {
		sources = append(sources, x.run(w.serve))
	}
	var ours []seen
	for _, w := range x.ways {
		ours = append(ours, x.run(x.filtered(w.bare)))
	}
	listed := x.changes()
	// A difference may be one that is listed, where the request is one that it can
	// show in.
	differs := func(i int, what string, kinds ...convert.ChangeKind) {
		for _, k := range kinds {
			if slices.Contains(listed, k) {
				return
			}
		}
		t.Fatalf(
			"%s, which is none of the listed %v\nsource:  %s\nfilter:  %s\npage: %+v\nhost %s, path %s, upstream sends %v\nconverted to\n%s\nof\n%s",
			what, listed, sources[i], ours[i], x.page, x.target.Host, x.target.Path, x.upstream, x.result.JSON, x.text,
		)
	}
	some := func(f func(s seen) bool) bool { return slices.ContainsFunc(sources, f) }
	for i, s := range sources {
		o := ours[i]
		// A 404 of the proxy itself, to which some rule adds headers.
		own := len(s.answers) > 0 && len(s.forwarded) == 0 && s.answers[0].Status == 404
		if own && x.somewhere(convert.MoreResponses) {
			continue
		}
		// What a listed change excuses: another spelling of the host; and what becomes
		// of upstream's own CORS headers where no policy is any more.
		var excuses []convert.ChangeKind
		if len(x.upstream) > 0 {
			excuses = append(excuses, convert.GatewayDecides)
		}
		var elsewhere []convert.ChangeKind
		name, port, _ := strings.Cut(x.target.Host, ":")
		if port != "" || strings.HasSuffix(name, ".") {
			elsewhere = append(elsewhere, convert.HostSpelling)
		}
		if strings.Count(strings.TrimSuffix(name, "."), ".") > 2 {
			elsewhere = append(elsewhere, convert.OneLabel)
		}
		excuses = append(excuses, elsewhere...)
		narrower := slices.Clone(excuses)
		if len(x.upstream) > 0 { // the filter takes them away, and answers for upstream
			narrower = append(narrower, convert.UpstreamHeaders, convert.DeniedPreflight)
		}
		if last := s.answers[len(s.answers)-1]; last.Status >= 300 {
			narrower = append(narrower, convert.DefaultBackend)
		}
		if x.sends("authorization") && x.says(convert.GatewayDecides, "authorization") {
			narrower = append(narrower, convert.GatewayDecides)
		}
		if x.says(convert.GatewayDecides, "expose_headers") {
			narrower = append(narrower, convert.GatewayDecides)
		}
		switch {
		case o.Allowed() && !some(func(s seen) bool { return s.Allowed() }):
			// A response of the proxy itself may be opened, and nothing behind it.
			if !slices.Contains(o.forwarded, x.page.NormalizedMethod()) {
				excuses = append(excuses, convert.MoreResponses)
			}
			if x.page.Credentials {
				excuses = append(excuses, convert.AnyWithCredential)
			}
			if x.page.Credentials || x.sends("authorization") {
				excuses = append(excuses, convert.LiteralStar)
			}
			if x.says(convert.MethodCase, x.page.NormalizedMethod()) {
				excuses = append(excuses, convert.MethodCase)
			}
			if x.says(convert.MoreAllowed, x.page.NormalizedMethod()) {
				excuses = append(excuses, convert.MoreAllowed)
			}
			differs(i, "the filter lets a page read what the source does not", excuses...)
		case !o.Allowed() && s.Allowed() && !some(func(s seen) bool { return !s.Allowed() }):
			differs(i, "the source lets a page read what the filter does not", narrower...)
		case o.Allowed() && s.Allowed() && !some(func(s seen) bool { return slices.Equal(o.content(), s.content()) }):
			differs(i, fmt.Sprintf("a page may read %v of the source's response and %v of the filter's", s.content(), o.content()), narrower...)
		}
		// Under another rule than the source's, the answer is that rule's.
		x.compareAnswers(func(i int, what string, kinds ...convert.ChangeKind) {
			differs(i, what, append(kinds, elsewhere...)...)
		}, i, s, o)
	}
	return some(func(s seen) bool { return s.Allowed() })
}

// compareAnswers looks at what no page sees: what is forwarded, the status and the
// headers.
func (x exchange) compareAnswers(differs func(int, string, ...convert.ChangeKind), i int, s, o seen) {
	policy, _ := x.config.Select(x.target.Host, x.target.Path)
	if policy == nil || policy.Mode != config.Enforce || len(s.answers) == 0 || len(o.answers) == 0 {
		return
	}
	if o.Preflight != nil {
		forwarded := slices.Contains(s.forwarded, "OPTIONS") && x.page.NormalizedMethod() != "OPTIONS"
		if forwarded && !slices.Contains(o.forwarded, "OPTIONS") {
			differs(i, "the source forwards a preflight and the filter does not", convert.DeniedPreflight, convert.GatewayDecides)
		}
		if !slices.Contains(s.forwarded, "OPTIONS") && slices.Contains(o.forwarded, "OPTIONS") && x.page.NormalizedMethod() != "OPTIONS" {
			differs(i, "the filter forwards a preflight and the source does not", convert.GatewayDecides)
		}
		from, to := s.answers[0], o.answers[0]
		if value(from, acao) != "" && value(to, acao) != "" && from.Status != to.Status && !forwarded {
			differs(
				i, fmt.Sprintf("a preflight is answered with %d and not with %d", to.Status, from.Status), convert.PreflightStatus,
				convert.GatewayDecides,
			)
		}
	}
	last := min(len(s.answers), len(o.answers)) - 1
	from, to := s.answers[last], o.answers[last]
	if value(to, acao) == "*" && value(from, acao) == x.page.Origin && len(x.upstream) == 0 {
		differs(i, "any origin is answered with * and not with the origin", convert.AnyOriginIsStar, convert.GatewayDecides)
	}
	preflight := last == 0 && o.Preflight != nil // no cache keeps its answer
	if !preflight && strings.Contains(strings.ToLower(value(to, "vary")), "origin") && value(from, "vary") == "" {
		why := []convert.ChangeKind{convert.VaryIsSet}
		if len(s.forwarded) == 0 {
			why = append(why, convert.MoreResponses)
		}
		differs(i, "Vary is set", why...)
	}
}

// content are the headers that a page may read, without those of the protocol
// itself.
func (s seen) content() []string {
	return slices.DeleteFunc(slices.Clone(s.Readable), func(name string) bool {
		return name == "vary" ||
			strings.HasPrefix(name, "access-control-")
	})
}

func (s seen) String() string {
	var out []string
	for _, a := range s.answers {
		out = append(out, fmt.Sprint(a.Status, a.Headers))
	}
	return fmt.Sprintf("allowed %v, forwarded %v, answers %s", s.Allowed(), s.forwarded, strings.Join(out, " then "))
}

func value(r browser.Response, name string) string {
	for _, h := range r.Headers {
		if strings.EqualFold(h.Name, name) {
			return h.Value
		}
	}
	return ""
}
