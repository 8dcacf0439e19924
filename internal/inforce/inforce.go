// Package inforce tells of the policy that is in force in a gateway, for the demo:
// where a page stands, what a request would get, and what a decision that went by
// means. Whatever is said follows from the configuration that the gateway has. It
// imports the filter's packages, the gateway and the demo, which know nothing of
// each other.
package inforce

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"

	"corsfilter/config"
	"corsfilter/filter"
	"corsfilter/internal/browser"
	"corsfilter/internal/demo"
	"corsfilter/internal/explain"
	"corsfilter/internal/gateway"
)

// Policy is the filter's configuration in a gateway.
type Policy struct {
	text   []byte
	config *config.Config
	target *url.URL // the gateway, as pages call it
	pages  []string
}

// Find returns the first configuration of this filter among those of a listener;
// nil where there is none. gateway is the listener's URL, pages are those of the
// demo's pages.
func Find(configurations [][]byte, gateway string, pages ...string) *Policy {
	target, err := url.Parse(gateway)
	if err != nil {
		return nil
	}
	for _, text := range configurations {
		if c, _, err := config.Parse(text); err == nil {
			return &Policy{text: text, config: c, target: target, pages: pages}
		}
	}
	return nil
}

// explain asks what the policy makes of a request.
func (p *Policy) explain(origin string, q demo.Question) (*explain.Report, error) {
	r := explain.Request{
		Request: browser.Request{Origin: origin, Method: q.Method, Credentials: q.Credentials},
		Scheme:  p.target.Scheme, Host: p.target.Host, Path: q.Path,
	}
	for _, h := range q.Headers {
		r.Headers = append(r.Headers, browser.Header{Name: h[0], Value: h[1]})
	}
	return explain.Explain(p.text, r)
}

// Advise implements demo.Adviser.
func (p *Policy) Advise(origin string, requests []demo.Question) (demo.Policy, error) {
	if err := explain.CheckOrigin(origin); err != nil {
		return demo.Policy{}, err
	}
	var text bytes.Buffer
	if err := json.Indent(&text, p.text, "", "  "); err != nil {
		return demo.Policy{}, err
	}
	policy := demo.Policy{Text: strings.TrimSpace(text.String()), Answers: []demo.Answer{}}
	for _, page := range p.pages {
		policy.Pages = append(policy.Pages, demo.Page{URL: page, Standing: p.Standing(page)})
	}
	path := "/"
	if len(requests) > 0 {
		path = requests[0].Path
	}
	var err error
	if policy.Allowed, policy.Says, err = p.says(origin, path); err != nil {
		return demo.Policy{}, err
	}
	for _, q := range requests {
		report, err := p.explain(origin, q)
		if err != nil {
			return demo.Policy{}, err
		}
		answer := demo.Answer{Allowed: report.Allowed, Lines: []string{}}
		switch stage := blocking(report); {
		case report.Allowed:
			answer.Says = "The policy lets this page read the response."
		case report.UpstreamDecides:
			answer.Says = "The policy leaves it to upstream."
		default:
			answer.Says = "The policy does not let this page read the response: " + stage.Browser.Message + "."
		}
		for _, change := range report.Changes {
			answer.Lines = append(answer.Lines, change.Line)
		}
		policy.Answers = append(policy.Answers, answer)
	}
	return policy, nil
}

// blocking is the exchange that the browser stopped at.
func blocking(report *explain.Report) *explain.Stage {
	if report.Request != nil {
		return report.Request
	}
	return report.Preflight
}

// Standing says in two words how the policy stands to a page.
func (p *Policy) Standing(page string) string {
	report, err := p.explain(page, demo.Question{Method: "GET", Path: "/"})
	switch {
	case err != nil:
		return "unknown"
	case report.Allowed:
		return "allowed"
	case report.UpstreamDecides:
		return "left to upstream"
	}
	return "not allowed"
}

// says is where a page stands, in a sentence or two.
func (p *Policy) says(origin, path string) (allowed bool, words string, err error) {
	report, err := p.explain(origin, demo.Question{Method: "GET", Path: path})
	if err != nil {
		return false, "", err
	}
	policy, rule := p.config.Select(p.target.Host, path)
	which := "The policy"
	if rule != nil {
		which = fmt.Sprintf("For %s the rule %q gives the policy, which", path, rule.Name)
	}
	switch {
	case report.UpstreamDecides && policy == nil:
		return false, "No policy applies to " + path + ": the filter leaves this page's requests to upstream.", nil
	case report.UpstreamDecides:
		return false, which + " is in mode " + policy.Mode.String() + ": the filter leaves this page's requests to upstream.", nil
	case !report.Allowed && policy.Reject:
		return false, which + " does not allow this page's origin: the filter rejects its requests.", nil
	case !report.Allowed:
		return false, which + " does not allow this page's origin: the browser keeps every response from this page.", nil
	}
	return true, which + " allows this page's origin. " + uses(policy), nil
}

// uses says what an allowed origin may do.
func uses(p *config.Policy) string {
	methods, headers := "GET, HEAD and POST", "no header that needs consent"
	switch {
	case p.AllowMethods == "*" || p.EchoMethod:
		methods = "every method"
	case p.AllowMethods != "":
		methods = "GET, HEAD, POST and " + p.AllowMethods
	}
	switch {
	case p.EchoHeaders || strings.HasPrefix(p.AllowHeaders, "*"):
		headers = "every header"
	case p.AllowHeaders != "":
		headers = p.AllowHeaders
	}
	credentials := "no credentials"
	if p.Credentials {
		credentials = "credentials"
	}
	return "It may use " + methods + ", send " + headers + ", and use " + credentials + "."
}

// Event is one of the gateway, with what the decision means.
type Event struct {
	gateway.Event
	Says string `json:"says"`
	// Counters are those that the filter counted it in.
	Counters []string `json:"counters"`
	// Passed says that the filter held nothing back.
	Passed bool `json:"passed"`
}

// Describe decides again about a request that went by, since the gateway knows
// nothing of what its filters decide. p may be nil.
func (p *Policy) Describe(e gateway.Event) Event {
	if p == nil {
		return Event{Event: e, Says: "No configuration of the CORS filter is in force here.", Counters: []string{}, Passed: true}
	}
	r := filter.Request{Scheme: p.target.Scheme}
	r.VisitHeader(":method", e.Method)
	r.VisitHeader(":authority", e.Authority)
	r.VisitHeader(":path", e.Path)
	for _, h := range e.Request {
		r.VisitHeader(h[0], h[1])
	}
	policy, _ := p.config.Select(r.Authority, r.Path)
	var d filter.Decision
	filter.Decide(policy, &r, &d)
	passed := d.Reason == filter.Allowed || d.Policy.Mode != config.Enforce || d.Kind == filter.Preflight && d.Action == filter.Forward
	return Event{Event: e, Says: d.Outcome(&r, e.Status), Counters: append([]string{}, d.CountedIn(p.config)...), Passed: passed}
}
