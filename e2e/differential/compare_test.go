package differential

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"corsfilter/config"
	"corsfilter/internal/browser"
	"corsfilter/internal/convert"
)

const (
	acao = "access-control-allow-origin"
	acac = "access-control-allow-credentials"
	acam = "access-control-allow-methods"
	acah = "access-control-allow-headers"
	aceh = "access-control-expose-headers"
	acma = "access-control-max-age"
	pna  = "access-control-allow-private-network"
)

// exchange is what a page asks for.
type exchange struct {
	*judge
	*drawn
	page       browser.Request
	host, path string

	policy  *config.Policy // that the module goes by; nil: none
	changes []convert.Change
	seen    []string // for messages
}

// compare sends the preflight, where there is one, and the request, whatever the preflight
// gave, to both.
func (x *exchange) compare(native, module *connection) {
	x.select_()
	var ours, theirs []browser.Response
	send := func(preflight bool, method string, headers []browser.Header) {
		n, m := native.ask(method, x.host, x.path, headers), module.ask(method, x.host, x.path, headers)
		x.seen = append(x.seen, fmt.Sprintf("%s %v\n  Envoy:  %d %v\n  module: %d %v", method, headers, n.Status, n.Headers, m.Status, m.Headers))
		theirs, ours = append(theirs, n), append(ours, m)
		x.requests++
		if preflight && !x.page.SameOrigin {
			x.comparePreflight(n, m)
		} else {
			x.compareActual(n, m, headers)
		}
	}
	x.pages++
	if x.once(12) { // no page's request, such as a navigation
		send(false, "GET", nil)
		return
	}
	if needed, _ := x.page.NeedsPreflight(); needed {
		send(true, "OPTIONS", x.page.PreflightHeaders())
	}
	send(false, x.page.NormalizedMethod(), x.page.ActualHeaders())
	fetch := func(answers []browser.Response) browser.Outcome {
		return browser.Fetch(x.page, func(string, []browser.Header) browser.Response {
			answer := answers[0]
			answers = answers[1:]
			return answer
		})
	}
	x.compareOutcome(fetch(theirs), fetch(ours), theirs[len(theirs)-1])
}

// select_ finds the rule that the module goes by, and what is named for it.
func (x *exchange) select_() {
	authority := x.host
	if strings.Contains(x.text, "strip_any_host_port") {
		authority, _, _ = strings.Cut(authority, ":")
	}
	policy, rule := x.config.Select(authority, x.path)
	if policy != nil && policy.Mode == config.Enforce {
		x.policy = policy
	}
	if rule != nil {
		x.changes = x.result.Rules[rule.Index].Changes
	}
	// Another spelling of a host falls under the rule of the host, or under none.
	if strings.Contains(x.host, ":") || strings.HasSuffix(x.host, ".") {
		for _, r := range x.result.Rules {
			for _, c := range r.Changes {
				if c.Kind == convert.HostSpelling {
					x.changes = append(slices.Clone(x.changes), c)
				}
			}
		}
	}
}

// differs asks that one of the kinds is named.
func (x *exchange) differs(what string, kinds ...convert.ChangeKind) {
	for _, kind := range append(kinds, convert.HostSpelling) {
		if slices.ContainsFunc(x.changes, func(c convert.Change) bool { return c.Kind == kind }) {
			x.named[kind]++
			return
		}
	}
	if x.unnamed++; x.unnamed <= enough {
		x.Errorf("SEED=%d POLICIES=1: %s, which none of %v names\n%s%s, page %+v\n%s\nconverted to\n%s\nof\n%s",
			x.seed, what, x.changes, x.host, x.path, x.page, strings.Join(x.seen, "\n"), x.result.JSON, x.text)
	}
}

func value(r browser.Response, name string) string {
	var values []string
	for _, h := range r.Headers {
		if h.Name == name {
			values = append(values, h.Value)
		}
	}
	return strings.Join(values, ", ")
}

// proxys reports whether an answer is the proxy's own, a 404 or what a route has in place
// of an upstream, and no filter's.
func proxys(r browser.Response) bool {
	return value(r, "x-forwarded") == "" && (r.Status != 200 || slices.ContainsFunc(r.Headers, func(h browser.Header) bool { return h.Name == "location" }))
}

// names are those of a list, each once and in their order.
func names(list string, lower bool) (all []string) {
	if lower {
		list = strings.ToLower(list)
	}
	for name := range strings.SplitSeq(list, ",") {
		if name = strings.TrimSpace(name); name != "" && !slices.Contains(all, name) {
			all = append(all, name)
		}
	}
	slices.Sort(all)
	return all
}

func (x *exchange) comparePreflight(n, m browser.Response) {
	forwarded := value(n, "x-forwarded") != ""
	switch {
	case forwarded && value(m, "x-forwarded") != "" || x.policy == nil:
		x.same(n, m)
		return
	case proxys(n):
		x.differs("the proxy's own answer to a preflight is the module's", convert.MoreResponses)
		return
	case m.Status == 403 && (forwarded || value(n, acao) == ""):
		x.differs("the preflight is denied", convert.DeniedPreflight)
		return
	case forwarded && m.Status == 204:
		x.differs("the preflight is allowed", convert.LetterCase)
		return
	case forwarded || m.Status != 204:
		x.differs("a preflight is answered otherwise")
		return
	}
	x.differs("the status of a preflight", convert.PreflightStatus)
	x.compareOrigin(n, m)
	asked := func(name string) string {
		for _, h := range x.page.PreflightHeaders() {
			if h.Name == name {
				return h.Value
			}
		}
		return ""
	}
	// What a star is: the words of the preflight itself, here and there or here alone.
	list := func(name, asks string, lower bool, star ...string) {
		a, b := names(value(n, name), lower), names(value(m, name), lower)
		if slices.Equal(a, b) || slices.Equal(b, star) && slices.Equal(a, names(asked(asks), lower)) {
			return
		}
		left := slices.DeleteFunc(a, func(name string) bool { return slices.Contains(b, name) })
		if slices.Equal(left, []string{"*"}) {
			x.differs(fmt.Sprintf("%s is without a star", name), convert.LiteralStar)
		} else {
			x.differs(fmt.Sprintf("%s is %q, without %q", name, b, left), convert.ForbiddenMethod)
		}
	}
	list(acam, "access-control-request-method", false, "*")
	list(acah, "access-control-request-headers", true, "*", "authorization")
	list(aceh, "", true)
	age := func(r browser.Response) int {
		seconds, _ := strconv.Atoi(value(r, acma))
		return seconds
	}
	if age(n) != age(m) || (value(n, acma) == "") != (value(m, acma) == "") {
		x.differs("max-age")
	}
	if value(n, acac) != value(m, acac) || value(n, pna) != value(m, pna) {
		x.differs("credentials or private networks")
	}
}

// compareOrigin compares access-control-allow-origin of what both filters have answered.
func (x *exchange) compareOrigin(n, m browser.Response) {
	if a, b := value(n, acao), value(m, acao); a != b {
		switch {
		case a == x.page.Origin && b == "*":
			x.differs("any origin is a star", convert.AnyOriginIsStar)
		case a == "" && b == x.page.Origin:
			x.differs("an origin is allowed", convert.LetterCase)
		default:
			x.differs(fmt.Sprintf("the origin is %q and not %q", b, a))
		}
	}
}

// compareActual compares what both answer to a request that is no preflight.
func (x *exchange) compareActual(n, m browser.Response, headers []browser.Header) {
	if x.policy == nil {
		x.same(n, m)
		return
	}
	if n.Status != m.Status || value(n, "x-forwarded") != value(m, "x-forwarded") {
		x.differs("the status")
	}
	x.compareVary(n, m)
	upstream := map[string]string{}
	switch _, own, _ := strings.Cut(x.path, "own="); own {
	case "any":
		upstream[acao] = "*"
	case "app":
		upstream = map[string]string{acao: "https://app.example.org", acac: "true", aceh: "x-secret"}
	}
	origin := ""
	for _, h := range headers {
		if h.Name == "origin" {
			origin = h.Value
		}
	}
	opened := origin != "" && value(n, acao) != origin && value(m, acao) == origin // but is not in the source
	for _, name := range []string{acao, acac, aceh, acam, acah, acma, pna} {
		a, b := value(n, name), value(m, name)
		switch {
		case slices.Equal(names(a, name != acao), names(b, name != acao)):
		case proxys(n):
			x.differs(name+" of the proxy's own answer", convert.MoreResponses)
		case strings.Contains(a, "x-secret") && strings.Contains(x.text, "response_headers_to_add"):
			x.differs(name+" that is added", convert.AddedBeside)
		case opened:
			x.differs(name+" for another origin", convert.LetterCase)
		case a == upstream[name] && a != "" && (b == "" || b == "*" && name == acao):
			x.differs(name+" of upstream", convert.UpstreamHeaders, convert.NoOrigins)
		case name == acao && a == origin && b == "*", origin == "" && value(m, acao) == "*":
			x.differs("any origin is a star", convert.AnyOriginIsStar)
		default:
			x.differs(fmt.Sprintf("%s is %q and not %q", name, b, a))
		}
	}
}

// compareVary asks that Vary keeps its names, and gets Origin alone where that is named.
func (x *exchange) compareVary(n, m browser.Response) {
	a, b := names(value(n, "vary"), true), names(value(m, "vary"), true)
	b = slices.DeleteFunc(b, func(name string) bool { return name == "origin" && !slices.Contains(a, name) })
	if !slices.Equal(a, b) {
		x.differs(fmt.Sprintf("vary is %q and not %q", b, a))
	}
	if len(names(value(m, "vary"), true)) > len(b) {
		x.differs("vary names origin", convert.VaryIsSet)
	}
}

// same compares what no policy of the module touches.
func (x *exchange) same(n, m browser.Response) {
	cors := func(r browser.Response) (all []browser.Header) {
		for _, h := range r.Headers {
			if strings.HasPrefix(h.Name, "access-control-") || h.Name == "vary" && h.Value != "origin" || h.Name == "x-forwarded" {
				all = append(all, h)
			}
		}
		return all
	}
	if n.Status != m.Status || !slices.Equal(cors(n), cors(m)) {
		x.differs("an answer that no policy touches is another")
	}
	if x.policy != nil {
		x.compareVary(n, m)
	} else if value(n, "vary") != value(m, "vary") {
		x.differs("vary where there is no policy")
	}
}

// compareOutcome compares what the page gets to read; last is Envoy's answer to the request.
func (x *exchange) compareOutcome(n, m browser.Outcome, last browser.Response) {
	if n.Allowed() {
		x.allowed++
	}
	narrower := []convert.ChangeKind{convert.LiteralStar}
	if strings.Contains(x.path, "own=a") { // upstream's headers, which the module removes, or answers for
		narrower = append(narrower, convert.UpstreamHeaders, convert.DeniedPreflight)
	}
	if strings.Contains(x.text, "response_headers_to_add") {
		narrower = append(narrower, convert.AddedBeside)
	}
	wider := []convert.ChangeKind{convert.LetterCase}
	if proxys(last) {
		wider = append(wider, convert.MoreResponses)
	}
	content := func(o browser.Outcome) []string {
		return slices.DeleteFunc(slices.Clone(o.Readable), func(name string) bool { return name == "vary" || strings.HasPrefix(name, "access-control-") })
	}
	switch {
	case n.Allowed() && !m.Allowed():
		x.differs("a page may not read the response any more", narrower...)
	case !n.Allowed() && m.Allowed():
		x.differs("a page may read the response", wider...)
	case !slices.Equal(content(n), content(m)):
		x.differs(fmt.Sprintf("a page may read %q and not %q", content(m), content(n)), append(narrower, wider...)...)
	}
}
