package demo

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"corsfilter/config"
	"corsfilter/filter"
	"corsfilter/internal/browser"
	"corsfilter/internal/explain"
)

// Policy is the filter's configuration that is in effect in a gateway. What is said
// of a page, of a request, and of a decision that went by follows from it.
type Policy struct {
	text   []byte
	config *config.Config
	target *url.URL // the gateway, as pages call it
	pages  []string
}

// FindPolicy returns the first configuration of this filter among those of a
// gateway; nil where there is none. The gateway's URL and those of the demo's pages
// are what browsers call them.
func FindPolicy(configurations [][]byte, gateway string, pages ...string) *Policy {
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

// Standing says in two words how the policy stands to a page.
func (p *Policy) Standing(page string) string {
	if p == nil {
		return "no policy of the filter is in effect"
	}
	report, err := p.explain(page, question{Method: "GET", Path: "/"})
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

// question is a request that a page is going to make.
type question struct {
	Method  string
	Path    string
	Headers [][2]string
	// Credentials says that cookies go along.
	Credentials bool
}

// answer is what the policy in effect says of it.
type answer struct {
	// Allowed says whether the page gets the response.
	Allowed bool `json:"allowed"`
	// Says is one sentence about what the policy does here.
	Says string `json:"says"`
	// Lines are those of a policy under which the page would get the response:
	// all of them are needed, and together they were tried.
	Lines []string `json:"lines"`
}

// advice is what the page shows of the policy in effect.
type advice struct {
	// Text is the policy as the gateway has it.
	Text string `json:"text"`
	// Allowed says whether the page's origin is one that the policy allows.
	Allowed bool `json:"allowed"`
	// Says is where the page stands, in a sentence or two.
	Says string `json:"says"`
	// Pages are the addresses of the same page, and how the policy stands to each.
	Pages []standing `json:"pages"`
	// Answers are those to the questions, in their order.
	Answers []answer `json:"answers"`
}

// standing is one address of the page, and how the policy stands to it.
type standing struct {
	URL      string `json:"url"`
	Standing string `json:"standing"`
}

// maxQuestions bounds what a page asks at once, in bytes.
const maxQuestions = 64 << 10

// policy answers what a page asks of the policy in effect.
func (l *Live) policy(w http.ResponseWriter, r *http.Request) {
	policy := l.gateway().Policy
	if policy == nil {
		http.Error(w, "no policy of the filter is in effect", http.StatusNotFound)
		return
	}
	var asked struct {
		Origin   string
		Requests []question
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxQuestions)).Decode(&asked); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	says, err := policy.advise(asked.Origin, asked.Requests)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	writeJSON(w, says)
}

// explain asks what the policy makes of a request.
func (p *Policy) explain(origin string, q question) (*explain.Report, error) {
	r := explain.Request{
		Request: browser.Request{Origin: origin, Method: q.Method, Credentials: q.Credentials},
		Scheme:  p.target.Scheme, Host: p.target.Host, Path: q.Path,
	}
	for _, h := range q.Headers {
		r.Headers = append(r.Headers, browser.Header{Name: h[0], Value: h[1]})
	}
	return explain.Explain(p.text, r)
}

// advise says what the policy makes of an origin and its requests.
func (p *Policy) advise(origin string, requests []question) (advice, error) {
	if err := explain.CheckOrigin(origin); err != nil {
		return advice{}, err
	}
	var text bytes.Buffer
	if err := json.Indent(&text, p.text, "", "  "); err != nil {
		return advice{}, err
	}
	a := advice{Text: strings.TrimSpace(text.String()), Answers: []answer{}}
	for _, page := range p.pages {
		a.Pages = append(a.Pages, standing{URL: page, Standing: p.Standing(page)})
	}
	path := "/"
	if len(requests) > 0 {
		path = requests[0].Path
	}
	var err error
	if a.Allowed, a.Says, err = p.says(origin, path); err != nil {
		return advice{}, err
	}
	for _, q := range requests {
		report, err := p.explain(origin, q)
		if err != nil {
			return advice{}, err
		}
		one := answer{Allowed: report.Allowed, Lines: []string{}}
		switch stage := blocking(report); {
		case report.Allowed:
			one.Says = "The policy lets this page read the response."
		case report.UpstreamDecides:
			one.Says = "The policy leaves the decision to upstream."
		default:
			one.Says = "The policy does not let this page read the response: " + stage.Browser.Message + "."
		}
		for _, d := range report.Engines {
			one.Says += " Browsers differ: " + d.Says + "."
		}
		if !report.Waives { // lines to copy are no place for a waiver
			for _, change := range report.Changes {
				one.Lines = append(one.Lines, change.Line)
			}
		}
		a.Answers = append(a.Answers, one)
	}
	return a, nil
}

// instead is what to try before the policy is changed, as a sentence.
func instead(report *explain.Report) string {
	if report.Instead == "" {
		return ""
	}
	return " " + strings.ToUpper(report.Instead[:1]) + report.Instead[1:] + "."
}

// blocking is the exchange that the browser stopped at.
func blocking(report *explain.Report) *explain.Stage {
	if report.Request != nil {
		return report.Request
	}
	return report.Preflight
}

// says is where a page stands, in a sentence or two.
func (p *Policy) says(origin, path string) (allowed bool, words string, err error) {
	report, err := p.explain(origin, question{Method: "GET", Path: path})
	if err != nil {
		return false, "", err
	}
	policy, rule := p.config.Select(p.target.Host, path)
	which := "The policy"
	if rule != nil {
		which = fmt.Sprintf("For %s the rule %q applies, which", path, rule.Name)
	}
	switch {
	case report.UpstreamDecides && policy == nil:
		return false, "No policy applies to " + path + ": the filter leaves this page's requests to upstream.", nil
	case report.UpstreamDecides:
		return false, which + " is in mode " + policy.Mode.String() + ": the filter leaves this page's requests to upstream.", nil
	case !report.Allowed && bool(policy.Reject):
		return false, which + " does not allow this page's origin: the filter rejects its requests." + instead(report), nil
	case !report.Allowed:
		return false, which + " does not allow this page's origin: the browser keeps every response from this page." + instead(report), nil
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

// described is an event, with what the decision means.
type described struct {
	Event
	Says string `json:"says"`
	// Counters are those that the filter counted it in.
	Counters []string `json:"counters"`
	// Passed says that the filter held nothing back.
	Passed bool `json:"passed"`
}

// describe decides again about a request that went by, since the gateway knows
// nothing of what its filters decide. p may be nil.
func (p *Policy) describe(e Event) described {
	if p == nil {
		return described{Event: e, Says: "No configuration of the CORS filter is in effect here.", Counters: []string{}, Passed: true}
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
	return described{Event: e, Says: d.Outcome(&r, e.Status), Counters: append([]string{}, d.CountedIn(p.config)...), Passed: passed}
}
