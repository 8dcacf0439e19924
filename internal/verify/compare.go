package verify

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"corsfilter/internal/browser"
	"corsfilter/internal/explain"
	"corsfilter/internal/lint"
)

// Code says what a server does wrong. The codes are stable.
type Code string

// What is wrong with an answer, or with a server.
const (
	NoAnswer      Code = "no-answer"
	Redirected    Code = "redirected"
	AskedToLogIn  Code = "asked-for-credentials"
	SecondOrigin  Code = "second-allow-origin"
	Bypassed      Code = "bypassed"
	AnotherPolicy Code = "another-policy"
	VaryLost      Code = "vary-missing"
	OtherStatus   Code = "other-status"
	OtherOutcome  Code = "other-outcome"
	OtherHeader   Code = "other-header"
	EchoesAny     Code = "any-origin"
	EchoesNull    Code = "null-origin"
	EndsAlike     Code = "suffix-match"
	BeginsAlike   Code = "prefix-match"
	AnyLetter     Code = "unescaped-dot"
	PlainHTTP     Code = "plain-http"
	Contradiction Code = "wildcard-with-credentials"
)

// Difference is one between the expected answer and the actual one.
type Difference struct {
	Header string `json:"header"` // or "status"
	Want   string `json:"want"`
	Got    string `json:"got"`
}

// Result is the result of one request, one case or one probe.
type Result struct {
	Name string `json:"name"`
	// File and Line are where a case stands.
	File string `json:"file,omitempty"`
	Line int    `json:"line,omitempty"`
	// Severity is "" if everything is as expected; Code and Message say what is wrong, and
	// Remedy what to do or where to look.
	Severity    lint.Severity   `json:"severity,omitempty"`
	Code        Code            `json:"code,omitempty"`
	Message     string          `json:"message,omitempty"`
	Remedy      string          `json:"remedy,omitempty"`
	Differences []Difference    `json:"differences,omitempty"`
	Exchanges   []Exchange      `json:"exchanges,omitempty"`
	Explained   *explain.Report `json:"explained,omitempty"`
}

func (r *Result) fail(code Code, message, remedy string) {
	r.Severity, r.Code, r.Message, r.Remedy = lint.Error, code, message, remedy
}

// Names of response headers.
const (
	acao = "access-control-allow-origin"
	acac = "access-control-allow-credentials"
	acam = "access-control-allow-methods"
	acah = "access-control-allow-headers"
	aceh = "access-control-expose-headers"
	vary = "vary"
)

// compared are the response headers that a policy decides about.
var compared = []string{acao, acac, acam, acah, aceh, "access-control-max-age", "access-control-allow-private-network", "timing-allow-origin", "x-cors-decision"}

// isList reports whether a header is a list, whose order and spaces do not matter.
func isList(name string) bool { return name == acam || name == acah || name == aceh }

// expectation is the answer that a policy gives.
type expectation struct {
	replied bool // the filter answers, with the status
	status  int
	want    map[string]string // "": the header is absent; not there: upstream decides
	some    []string          // headers that are there, whatever they say
	vary    []string          // what Vary has to name
}

// expect asks the filter's decision about the request twice, with an upstream that sends no
// CORS headers and with one that sends all of them. What differs depends on upstream.
func (r *Request) expect() (e expectation) {
	sent := append([]browser.Header{{Name: ":method", Value: r.Method}, {Name: ":scheme", Value: r.Scheme}, {Name: ":authority", Value: r.Host}, {Name: ":path", Value: r.Path}}, r.Headers...)
	var upstream []browser.Header
	for _, name := range compared {
		upstream = append(upstream, browser.Header{Name: name, Value: "upstream's"})
	}
	alone, _ := explain.Ask(r.config, r.policy, sent, nil)
	over, _ := explain.Ask(r.config, r.policy, sent, upstream)
	e = expectation{replied: !alone.Forwarded, status: alone.Status, want: map[string]string{}, vary: elements(alone.Response, vary)}
	for _, name := range compared {
		switch a, b := joined(alone.Response, name), joined(over.Response, name); {
		case a == b:
			e.want[name] = a
		case a != "":
			e.some = append(e.some, name)
		}
	}
	return e
}

// values are those of a header, an entry each.
func values(headers []browser.Header, name string) (all []string) {
	for _, h := range headers {
		if h.Name == name {
			all = append(all, strings.TrimSpace(h.Value))
		}
	}
	return all
}

func joined(headers []browser.Header, name string) string {
	return strings.Join(values(headers, name), ", ")
}

// elements are those of a list, in lower case but for methods, sorted.
func elements(headers []browser.Header, name string) (all []string) {
	for element := range strings.SplitSeq(joined(headers, name), ",") {
		if element = strings.TrimSpace(element); element != "" {
			if name != acam {
				element = strings.ToLower(element)
			}
			all = append(all, element)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// differences are those of an answer.
func (e *expectation) differences(x *Exchange) (all []Difference) {
	add := func(name, want, got string) {
		for _, text := range []*string{&want, &got} {
			if *text == "" {
				*text = "none"
			}
		}
		all = append(all, Difference{name, want, got})
	}
	if e.replied && e.status != x.Status {
		add("status", strconv.Itoa(e.status), strconv.Itoa(x.Status))
	}
	for _, name := range compared {
		want, exact := e.want[name]
		got := joined(x.Response, name)
		same := got == want
		if isList(name) {
			same = slices.Equal(elements([]browser.Header{{Name: name, Value: want}}, name), elements(x.Response, name))
		}
		if exact && !same {
			add(name, want, got)
		} else if slices.Contains(e.some, name) && got == "" {
			add(name, "some value", "")
		}
	}
	names := elements(x.Response, vary)
	if missing := slices.DeleteFunc(slices.Clone(e.vary), func(name string) bool { return slices.Contains(names, name) }); len(missing) > 0 && !slices.Contains(names, "*") {
		add(vary, strings.Join(missing, ", "), joined(x.Response, vary))
	}
	return all
}

// Run sends the requests of a plan and compares the answers, until the server does not
// answer any more.
func (c *Client) Run(ctx context.Context, plan *Plan) (results []Result) {
	seen := map[*Place]bool{} // the filter has set a header there
	usual := map[*Place]int{} // status without Origin
	for _, r := range plan.Requests {
		x := c.ask(ctx, r.Method, r.Host, r.Path, r.Headers)
		e := r.expect()
		if joined(r.Headers, "origin") == "" {
			usual[r.Place] = x.Status
		}
		if x.Status == http.StatusForbidden && !e.replied && r.Method == "GET" && usual[r.Place] != 0 {
			e.replied, e.status = true, usual[r.Place] // the policy forwards it, and so does upstream's answer
		}
		seen[r.Place] = seen[r.Place] || e.want[acao] != "" && e.want[acao] == joined(x.Response, acao)
		result := Result{Name: r.Name, Exchanges: []Exchange{x}}
		switch result.Differences = e.differences(&x); {
		case x.Status == 0:
			result.Differences = nil
			result.fail(NoAnswer, "no answer: "+x.Err, "")
		case len(result.Differences) > 0:
			e.blame(&result, &x, seen[r.Place])
		}
		if results = append(results, result); c.gone() || ctx.Err() != nil {
			break
		}
	}
	return results
}

// intercepted says what answers a preflight before the filter, or before whatever decides
// about CORS; "" if nothing does.
func intercepted(x *Exchange) (code Code, message, remedy string) {
	switch {
	case x.Status >= 300 && x.Status < 400:
		to := joined(x.Response, "location")
		return Redirected, fmt.Sprintf("the preflight is redirected (%d to %s), and browsers do not follow redirects of preflights", x.Status, to), "use that URL in the page, or answer preflights before the redirect"
	case x.Status == http.StatusUnauthorized, x.Status == http.StatusProxyAuthRequired:
		return AskedToLogIn, fmt.Sprintf("the preflight is asked for credentials (%d), and preflights never carry any", x.Status), "put the CORS filter before authentication, or let OPTIONS through there"
	}
	return "", "", ""
}

// secondOrigin says that there are several values of Access-Control-Allow-Origin.
func secondOrigin(x *Exchange) (message, remedy string) {
	if got := values(x.Response, acao); len(got) > 1 || strings.Contains(strings.Join(got, ""), ",") {
		return fmt.Sprintf("a second Access-Control-Allow-Origin (%s), which browsers refuse", strings.Join(got, ", ")), "add CORS headers in one place only: look for another filter, a response_headers_to_add, or a CDN in front"
	}
	return "", ""
}

// blame names the likely cause of the differences. seen says that the filter's work was seen
// in the same place.
func (e *expectation) blame(r *Result, x *Exchange, seen bool) {
	differs := func(names ...string) bool {
		return !slices.ContainsFunc(r.Differences, func(d Difference) bool { return !slices.Contains(names, d.Header) })
	}
	code, message, remedy := intercepted(x)
	second, remedySecond := secondOrigin(x)
	got := joined(x.Response, acao)
	other := slices.ContainsFunc(compared, func(name string) bool { return joined(x.Response, name) != "" })
	switch {
	case e.replied && x.Method == "OPTIONS" && code != "":
		r.fail(code, message, remedy)
	case second != "":
		r.fail(SecondOrigin, second, remedySecond)
	case differs("status") && e.status/100 == 2 && x.Status/100 == 2:
		r.fail(OtherStatus, "a different status, which browsers also accept", "preflight_status sets it")
		r.Severity = lint.Warning
	case differs(vary) && (seen || e.want[acao] != ""):
		r.fail(VaryLost, "Vary does not name "+r.Differences[0].Want+", so a cache may serve one page's response to another", "find out what changes Vary between the filter and here")
	case !slices.Contains(elements(x.Response, vary), "origin") && (!other || !seen && slices.Contains(e.vary, "origin")):
		r.fail(Bypassed, "the response bypassed the filter: it has no header of the filter", "check that the route, the listener and the host have the filter, and what answers in front of it")
	case got != "" && e.want[acao] == "":
		r.fail(AnotherPolicy, "another policy: it allows the origin", "check which configuration the proxy has, and whether upstream's own headers bypass the filter")
	case got == "" && e.want[acao] != "":
		r.fail(AnotherPolicy, "another policy: it does not allow the origin", "check which configuration the proxy has")
	default:
		var names []string
		for _, d := range r.Differences {
			names = append(names, d.Header)
		}
		r.fail(AnotherPolicy, "another policy: it differs in "+strings.Join(names, ", "), "check which configuration the proxy has")
	}
}
