package explain

import (
	"strings"

	"corsfilter/config"
	"corsfilter/filter"
	"corsfilter/internal/browser"
)

// Exchange is one request and what the filter did with it.
type Exchange struct {
	Method  string           `json:"method"`
	Request []browser.Header `json:"request"`
	// Forwarded says that upstream was asked.
	Forwarded bool             `json:"forwarded"`
	Status    int              `json:"status"`
	Details   string           `json:"details,omitempty"`
	Response  []browser.Header `json:"response"`
	// Counters are those that the request incremented.
	Counters []string `json:"counters,omitempty"`
}

// stage runs one exchange: the filter's decision, the reply or upstream's
// response as the decision edits it, and the browser's check.
func (x *explanation) stage(method string, headers []browser.Header, check func(browser.Request, browser.Response) browser.Verdict) *Stage {
	r := x.request
	sent := append([]browser.Header{{Name: ":method", Value: method}, {Name: ":scheme", Value: r.Scheme}, {Name: ":authority", Value: r.Host}, {Name: ":path", Value: r.Path}}, headers...)
	if by := r.beforeTheFilter(method); by != nil {
		e, steps := x.answered(Exchange{Method: method, Request: sent}, by)
		return &Stage{Exchange: e, Filter: steps, Browser: check(r.Request, browser.Response{Status: e.Status, Headers: e.Response}), byTheManager: true}
	}
	e, steps := Ask(x.config, x.policy, sent, x.upstream())
	return &Stage{Exchange: e, Filter: steps, Browser: check(r.Request, browser.Response{Status: e.Status, Headers: e.Response})}
}

// Ask returns the filter's response to one request, with pseudo headers, under a policy of c,
// and explains it. upstream are the headers that upstream answers with if it is asked.
func Ask(c *config.Config, policy *config.Policy, sent, upstream []browser.Header) (e Exchange, steps []string) {
	var request filter.Request
	for _, h := range sent {
		request.VisitHeader(strings.ToLower(h.Name), h.Value)
	}
	var d filter.Decision
	filter.Decide(policy, &request, &d)
	e = Exchange{Method: request.Method, Request: sent, Counters: d.CountedIn(c)}
	var buffer filter.Buffer
	enforced := policy != nil && policy.Mode == config.Enforce
	switch {
	case !enforced || !d.Replies():
		e.Forwarded, e.Status, e.Response = true, 200, upstream
		if enforced {
			e.Response = edited(e.Response, &d, &buffer)
		}
	default:
		reply := d.Reply(&buffer)
		e.Status, e.Details = int(reply.Status), reply.Details
		for _, h := range reply.Headers {
			e.Response = append(e.Response, browser.Header{Name: h.Name, Value: strings.Clone(h.Value)})
		}
	}
	return e, d.Steps(&request)
}

// upstream is what upstream answers.
func (x *explanation) upstream() []browser.Header {
	headers := []browser.Header{{Name: "content-type", Value: "text/plain"}}
	for _, h := range x.request.Upstream {
		headers = append(headers, browser.Header{Name: strings.ToLower(h.Name), Value: h.Value})
	}
	return headers
}

// edited is the response as the client gets it.
func edited(response []browser.Header, d *filter.Decision, buffer *filter.Buffer) []browser.Header {
	var upstream filter.Upstream
	for _, h := range response {
		upstream.VisitHeader(h.Name, h.Value)
	}
	for _, edit := range d.Edits(&upstream, buffer) {
		if edit.Op != filter.Add {
			var kept []browser.Header
			for _, h := range response {
				if h.Name != edit.Name {
					kept = append(kept, h)
				}
			}
			response = kept
		}
		if edit.Op != filter.Remove {
			response = append(response, browser.Header{Name: edit.Name, Value: strings.Clone(edit.Value)})
		}
	}
	return response
}
