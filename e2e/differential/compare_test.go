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

	policy       *config.Policy // that the module goes by; nil: none
	changes      []convert.Change
	theirs, ours []browser.Response
	seen         []string // for messages
}

// compare sends the preflight, where there is one, and the request, whatever the preflight
// gave, to both.
func (x *exchange) compare(native, module *connection) {
	x.choose()
	x.pages++
	if x.once(12) { // no page's request, such as a navigation
		x.send(native, module, false, "GET", nil)
		return
	}
	if needed, _ := x.page.NeedsPreflight(); needed {
		x.send(native, module, true, "OPTIONS", x.page.PreflightHeaders())
	}
	x.send(native, module, false, x.page.NormalizedMethod(), x.page.ActualHeaders())
	fetch := func(answers []browser.Response) browser.Outcome {
		return browser.Fetch(x.page, func(string, []browser.Header) browser.Response {
			answer := answers[0]
			answers = answers[1:]
			return answer
		})
	}
	x.compareOutcome(fetch(x.theirs), fetch(x.ours), x.theirs[len(x.theirs)-1])
}

// send sends one request to both, and compares what they answer.
func (x *exchange) send(native, module *connection, preflight bool, method string, headers []browser.Header) {
	n, m := native.ask(method, x.host, x.path, headers), module.ask(method, x.host, x.path, headers)
	x.seen = append(x.seen, fmt.Sprintf("%s %v\n  Envoy:  %d %v\n  module: %d %v", method, headers, n.Status, n.Headers, m.Status, m.Headers))
	x.theirs, x.ours = append(x.theirs, n), append(x.ours, m)
	x.requests++
	if preflight {
		x.comparePreflight(n, m)
	} else {
		x.compareActual(n, m, headers)
	}
}

// choose finds the rule that the module goes by, and what is named for it.
func (x *exchange) choose() {
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
	// Another spelling of a host falls under the rule of the host, or under none. A domain
	// with a port is any other spelling than its own.
	other := strings.Contains(x.host, ":") && x.host == authority && !strings.Contains(x.text, "ignore_port_in_host_matching: true") ||
		strings.Contains(x.host, ".:") || strings.HasSuffix(x.host, ".") && !strings.Contains(x.text, "strip_trailing_host_dot: true")
	name, _, _ := strings.Cut(x.host, ":")
	excuses := func(c convert.Change) bool {
		domain, port, ok := strings.Cut(strings.TrimSuffix(c.Text, " alone"), " stands for the host with any port, or none; Envoy takes it with ")
		if !ok {
			return other
		}
		return strings.TrimSuffix(name, ".") == domain && x.host != domain+":"+port
	}
	parameters := func(c convert.Change) bool { return c.Kind == convert.PathSpelling }
	x.changes = slices.DeleteFunc(slices.Clone(x.changes), parameters)
	if strings.Contains(x.path, ";") {
		for _, r := range x.result.Rules {
			if i := slices.IndexFunc(r.Changes, parameters); i >= 0 {
				x.changes = append(x.changes, r.Changes[i])
			}
		}
	}
	isSpelling := func(c convert.Change) bool { return c.Kind == convert.HostSpelling }
	x.changes = slices.DeleteFunc(slices.Clone(x.changes), func(c convert.Change) bool { return isSpelling(c) && !excuses(c) })
	for _, r := range x.result.Rules {
		i := slices.IndexFunc(r.Changes, func(c convert.Change) bool { return isSpelling(c) && excuses(c) })
		if i >= 0 && other {
			x.changes = append(x.changes, r.Changes[i])
		}
	}
}

// differs asks that one of the kinds is named.
func (x *exchange) differs(what string, kinds ...convert.ChangeKind) {
	for _, kind := range append(kinds, convert.HostSpelling, convert.PathSpelling) {
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
	return value(r, "x-forwarded") == "" && r.Status != 200
}

// names are those of a list, each once, sorted and as far as browsers tell them apart: all
// but methods by letter, and without credentials a star covers the rest.
func (x *exchange) names(r browser.Response, name string) (all []string) {
	for element := range strings.SplitSeq(value(r, name), ",") {
		element = strings.TrimSpace(element)
		if upper := strings.ToUpper(element); name != acam && name != acao {
			element = strings.ToLower(element)
		} else if slices.Contains([]string{"GET", "HEAD", "POST"}, upper) { // which need no listing
			element = upper
		}
		if element != "" {
			all = append(all, element)
		}
	}
	if name == acam { // one in lower case matches no request, and here the other counts
		all = slices.DeleteFunc(slices.Clone(all), func(n string) bool {
			upper := strings.ToUpper(n)
			return n != upper && slices.Contains([]string{"DELETE", "OPTIONS", "PUT"}, upper) && slices.Contains(all, upper)
		})
	}
	if x.policy != nil && !x.policy.Credentials && slices.Contains(all, "*") {
		all = slices.DeleteFunc(all, func(n string) bool { return n != "*" && (name != acah || n != "authorization") })
	}
	slices.Sort(all)
	return slices.Compact(all)
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
	if !x.compareOrigin(n, m) {
		return
	}
	var asks browser.Response
	for _, h := range x.page.PreflightHeaders() {
		asks.Headers = append(asks.Headers, browser.Header{Name: strings.Replace(h.Name, "request-method", "allow-methods", 1), Value: h.Value})
		asks.Headers = append(asks.Headers, browser.Header{Name: strings.Replace(h.Name, "request-headers", "allow-headers", 1), Value: h.Value})
	}
	// What a star is: the words of the preflight itself, here and there or there alone.
	list := func(name string, star ...string) {
		a, b := x.names(n, name), x.names(m, name)
		if slices.Equal(a, b) || slices.Equal(b, star) && slices.Equal(a, x.names(asks, name)) {
			return
		}
		left := slices.DeleteFunc(slices.Clone(a), func(name string) bool { return slices.Contains(b, name) })
		kinds := []convert.ChangeKind{convert.ForbiddenMethod}
		switch {
		case slices.Contains(a, "*"):
			kinds = []convert.ChangeKind{convert.LiteralStar}
		case slices.ContainsFunc(left, func(name string) bool { return name != strings.ToUpper(name) }):
			kinds = []convert.ChangeKind{convert.MethodCase}
		}
		x.differs(fmt.Sprintf("%s is %q and not %q", name, b, a), kinds...)
	}
	list(acam, "*")
	list(acah, "*", "authorization")
	list(aceh)
	age := func(r browser.Response) int {
		seconds, _ := strconv.Atoi(value(r, acma))
		return max(seconds, 0) // less than nothing is nothing to browsers
	}
	if age(n) != age(m) || (value(n, acma) == "") != (value(m, acma) == "") {
		x.differs("max-age")
	}
	if value(n, acac) != value(m, acac) || value(n, pna) != value(m, pna) {
		x.differs("credentials or private networks")
	}
}

// compareOrigin compares access-control-allow-origin of what both filters have answered, and
// reports whether it allows the origin in both or in neither.
func (x *exchange) compareOrigin(n, m browser.Response) bool {
	a, b := value(n, acao), value(m, acao)
	switch {
	case a == b:
	case a == x.page.Origin && b == "*":
		x.differs("any origin is a star", convert.AnyOriginIsStar)
	case a == "" && b == x.page.Origin:
		x.differs("an origin is allowed", convert.LetterCase)
		return false
	default:
		x.differs(fmt.Sprintf("the origin is %q and not %q", b, a))
	}
	return true
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
		case slices.Equal(x.names(n, name), x.names(m, name)):
		case proxys(n):
			x.differs(name+" of the proxy's own answer", convert.MoreResponses)
		case strings.Contains(a, "x-added"):
			x.differs(name+" that is added", convert.AddedBeside)
		case opened:
			x.differs(name+" for another origin", convert.LetterCase)
		case a == upstream[name] && name != acao && b == "" && value(n, acao) == "": // the header alone, which opens nothing
			x.differs(name+" of upstream without "+acao, convert.UpstreamHeaders, convert.NoOrigins)
		case a == upstream[name] && a != "" && (b == "" || b == "*" && name == acao):
			x.differs(name+" of upstream", convert.UpstreamHeaders)
		case name == acao && a == origin && b == "*", origin == "" && value(m, acao) == "*":
			x.differs("any origin is a star", convert.AnyOriginIsStar)
		default:
			x.differs(fmt.Sprintf("%s is %q and not %q", name, b, a))
		}
	}
}

// compareVary asks that Vary keeps its names, and gets Origin alone where that is named.
func (x *exchange) compareVary(n, m browser.Response) {
	a, b := x.names(n, "vary"), x.names(m, "vary")
	b = slices.DeleteFunc(b, func(name string) bool { return name == "origin" && !slices.Contains(a, name) })
	if !slices.Equal(a, b) {
		x.differs(fmt.Sprintf("vary is %q and not %q", b, a))
	}
	if len(x.names(m, "vary")) > len(b) {
		x.differs("vary names origin", convert.VaryIsSet)
	}
}

// same compares what no policy of the module touches.
func (x *exchange) same(n, m browser.Response) {
	cors := func(r browser.Response) (all []browser.Header) {
		for _, h := range r.Headers {
			if strings.HasPrefix(h.Name, "access-control-") || h.Name == "x-forwarded" {
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
	var narrower []convert.ChangeKind
	if strings.Contains(x.path, "own=a") { // upstream's headers, which the module removes, or answers for
		narrower = append(narrower, convert.UpstreamHeaders, convert.DeniedPreflight)
	}
	if strings.Contains(x.text, "x-added") {
		narrower = append(narrower, convert.AddedBeside)
	}
	wider := []convert.ChangeKind{convert.LetterCase}
	if method := x.page.NormalizedMethod(); method == "PUT" || method == "DELETE" || method == "OPTIONS" {
		wider = append(wider, convert.MethodCase)
	}
	if x.page.Credentials || slices.ContainsFunc(x.page.Headers, func(h browser.Header) bool { return h.Name == "authorization" }) {
		wider = append(wider, convert.LiteralStar)
	}
	if proxys(last) {
		wider = append(wider, convert.MoreResponses)
	}
	content := func(o browser.Outcome) []string {
		return slices.DeleteFunc(slices.Clone(o.Readable), func(name string) bool {
			return name == "vary" || strings.HasPrefix(name, "access-control-")
		})
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
