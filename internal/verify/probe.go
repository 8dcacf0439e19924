package verify

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"corsfilter/filter"
	"corsfilter/internal/browser"
	"corsfilter/internal/lint"
)

// fetch sends a page's request as a browser does: the preflight if it needs one, then the
// request itself. Instead of a method that may change something it sends a GET, because CORS
// headers do not depend on the method of the request itself.
func (c *Client) fetch(ctx context.Context, r browser.Request, host, path string) (o browser.Outcome, all []Exchange) {
	o = browser.Fetch(r, func(method string, headers []browser.Header) browser.Response {
		x := c.ask(ctx, c.sendable(method), host, path, headers)
		all = append(all, x)
		return browser.Response{Status: x.Status, Headers: x.Response}
	})
	return o, all
}

// sendable is the method, or what is sent in its place.
func (c *Client) sendable(method string) string {
	if c.Unsafe || slices.Contains([]string{"GET", "HEAD", "OPTIONS"}, method) {
		return method
	}
	return "GET"
}

// unanswered is the last of some exchanges if it has no answer.
func unanswered(all []Exchange) (err string, failed bool) {
	last := all[len(all)-1]
	return last.Err, last.Status == 0
}

// verdict says in a sentence how the fetch ends in the browser.
func verdict(o browser.Outcome) string {
	switch {
	case o.Response == nil:
		return "the preflight fails, and the request is not sent: " + o.Preflight.Message
	case !o.Response.Allowed:
		return "the request is sent, and the page does not get the response: " + o.Response.Message
	}
	return "the page gets the response"
}

// Page sends one page's request, and says what the page could read.
func (c *Client) Page(ctx context.Context, r browser.Request) Result {
	r.SameOrigin = filter.IsSameOrigin(r.Origin, c.base.Scheme, c.base.Host)
	result := Result{Name: r.NormalizedMethod() + " of the page " + r.Origin}
	if r.Credentials {
		result.Name += ", with credentials"
	}
	o, all := c.fetch(ctx, r, c.base.Host, c.base.RequestURI())
	result.Exchanges = all
	last := &all[len(all)-1]
	code, message, remedy := intercepted(last)
	second, remedySecond := secondOrigin(last)
	switch err, failed := unanswered(all); {
	case failed:
		result.fail(NoAnswer, "no answer: "+err, "")
	case o.Response == nil && code != "":
		result.fail(code, message, remedy)
	case !o.Allowed() && second != "":
		result.fail(SecondOrigin, second, remedySecond)
	case !o.Allowed():
		result.fail(OtherOutcome, verdict(o), "")
	default:
		result.Message = fmt.Sprintf("%s (status %d), and may read its headers %s", verdict(o), last.Status, strings.Join(o.Readable, ", "))
		if m := r.NormalizedMethod(); last.Method != m {
			result.Message += fmt.Sprintf(" (of a GET: -unsafe-methods sends %s)", m)
		}
		if to := joined(last.Response, "location"); last.Status/100 == 3 && to != "" {
			result.Message = fmt.Sprintf("the browser follows the redirect (%d) to %s, and checks again there", last.Status, to)
		}
	}
	return result
}

// danger is what it means if a server allows an origin.
type danger struct {
	code Code
	what string
	// severity is how bad it is without credentials; with them it is an error.
	severity lint.Severity
}

// dangers are by the origin's name in Neighbours.
var dangers = map[string]danger{
	anyone:                         {EchoesAny, "any origin is allowed", lint.Warning},
	"the opaque origin":            {EchoesNull, "the origin null is allowed, which any page can get with a sandboxed frame", lint.Warning},
	"a name that ends the same":    {EndsAlike, "names are allowed that only end like it, and anyone can register one", lint.Warning},
	"a name that starts the same":  {BeginsAlike, "names are allowed that only start like it, and anyone can register one", lint.Warning},
	"a letter in place of the dot": {AnyLetter, "a name is allowed that has a letter in place of a dot, and anyone can register it", lint.Warning},
	"another scheme":               {PlainHTTP, "plain http is allowed, and anyone on the network path can forge such a page", ""},
}

const anyone = "an unlisted origin"

// ProbeRequests is how many requests Probe sends at most.
const ProbeRequests = 15

// Probe looks for dangerous behaviour of a server without a policy. page is the origin of a
// page that uses it; "" if none is known.
func (c *Client) Probe(ctx context.Context, page string) (results []Result) {
	base := page
	if base == "" {
		base = "https://" + c.base.Hostname()
	}
	var gets []Exchange
	ask := func(origin string) (get, preflight Exchange) {
		r := browser.Request{Origin: origin, Method: "PUT"}
		get = c.ask(ctx, "GET", c.base.Host, c.base.RequestURI(), []browser.Header{{Name: "origin", Value: origin}})
		preflight = c.ask(ctx, "OPTIONS", c.base.Host, c.base.RequestURI(), r.PreflightHeaders())
		gets = append(gets, get)
		return get, preflight
	}
	none := c.ask(ctx, "GET", c.base.Host, c.base.RequestURI(), nil)
	if none.Status == 0 {
		r := Result{Name: "GET without Origin", Exchanges: []Exchange{none}}
		r.fail(NoAnswer, "no answer: "+none.Err, "")
		return []Result{r}
	}
	gets = append(gets, none)
	get, preflight := ask(base)
	results = append(results, answered(base, get, preflight))

	everyone := false
	for _, n := range append([]Neighbour{{anyone, unlistedOrigin}}, Neighbours(base)...) {
		d, ok := dangers[n.What]
		if !ok || d.code == PlainHTTP && strings.HasPrefix(n.Origin, "https:") || everyone && d.code != EchoesNull {
			continue // where everyone is let in, the others say no more
		}
		get, preflight := ask(n.Origin)
		r := d.judge(n, get, preflight)
		everyone = everyone || r.Code == EchoesAny
		results = append(results, r)
	}
	return append(results, cached(gets))
}

// judge says whether an origin is allowed.
func (d *danger) judge(n Neighbour, all ...Exchange) Result {
	r := Result{Name: n.What + ", " + n.Origin, Exchanges: all}
	for _, x := range all {
		credentials := joined(x.Response, acac) == "true"
		switch got := joined(x.Response, acao); {
		case got == n.Origin && credentials:
			r.fail(d.code, d.what+", with credentials: such a page can read whatever the visitor can", "list the intended origins, and compare them as a whole")
			return r
		case got == n.Origin && d.severity != "":
			r.fail(d.code, d.what+", without credentials", `if everyone is meant, send "*"; otherwise list the origins`)
			r.Severity = d.severity
		case got == "*" && credentials && d.code == EchoesAny:
			r.fail(Contradiction, `"*" with Access-Control-Allow-Credentials, which browsers refuse if credentials are sent`, "list the origins, or send no credentials")
			r.Severity = lint.Warning
		}
	}
	return r
}

// answered says whether preflights get through to whatever decides about CORS, and
// whether answers have one Access-Control-Allow-Origin.
func answered(base string, get, preflight Exchange) Result {
	r := Result{Name: "GET and preflight from " + base, Exchanges: []Exchange{get, preflight}}
	if code, message, remedy := intercepted(&preflight); code != "" {
		r.fail(code, message, remedy)
	}
	for _, x := range r.Exchanges {
		if second, remedy := secondOrigin(&x); second != "" {
			r.fail(SecondOrigin, second, remedy)
		}
	}
	return r
}

// cached says whether a cache may serve one page's response to another.
func cached(gets []Exchange) Result {
	r := Result{Name: "Vary where the answer depends on Origin"}
	depends := slices.ContainsFunc(gets, func(x Exchange) bool { return joined(x.Response, acao) != joined(gets[0].Response, acao) })
	for _, x := range gets {
		names := elements(x.Response, vary)
		if depends && !slices.Contains(names, "origin") && !slices.Contains(names, "*") && !strings.Contains(joined(x.Response, "cache-control"), "no-store") {
			r.fail(VaryLost, "the answer depends on Origin, and Vary does not name it: a cache may serve one page's response to another", "add Vary: Origin to every response, including those without CORS headers")
			r.Exchanges = append(r.Exchanges, x)
		}
	}
	return r
}
