// Package explain says what a browser's request would get: which rule and policy of a
// configuration apply, what the filter decides and why, the exact response headers, and what
// the browser does with them. It knows CORS only through the filter's own pure functions and
// the textbook browser of internal/browser. It also reads a request copied from a browser's
// network panel, and messages of its console.
package explain

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"corsfilter/config"
	"corsfilter/filter"
	"corsfilter/internal/browser"
)

// Request is what a page asks for.
type Request struct {
	browser.Request
	Scheme string // of the URL; https where it is ""
	Host   string // :authority; "" where it does not matter
	Path   string // :path
	// Upstream are the headers that upstream answers with. Nil: they are not
	// known, and upstream is taken to send none that concern CORS.
	Upstream []browser.Header
	// WebSocket says that the page opens one: the browser sends the handshake without
	// a preflight, and looks at no CORS header.
	WebSocket bool
	// EscapedSlashes is the path_with_escaped_slashes_action of Envoy's connection
	// manager around the filter; "" leaves them alone.
	EscapedSlashes string
}

// Report is the explanation.
type Report struct {
	// Rule names the rule that gives the policy; "" for the top level.
	Rule string `json:"rule,omitempty"`
	// Policy says which policy applies, in words; "" where none decides.
	Policy string `json:"policy,omitempty"`
	// SameOrigin says that the page calls its own origin.
	SameOrigin bool `json:"same_origin,omitempty"`
	// WebSocket says that the page opens one.
	WebSocket bool `json:"websocket,omitempty"`
	// Preflight is nil if the browser sends none.
	Preflight *Stage `json:"preflight,omitempty"`
	// PreflightSeconds is for how long the browser need not send another, before
	// its own limit.
	PreflightSeconds int `json:"preflight_seconds,omitempty"`
	// WhyPreflight are the reasons for which it sends one.
	WhyPreflight []string `json:"why_preflight,omitempty"`
	// Request is nil where the preflight failed, and nothing else is sent.
	Request *Stage `json:"request,omitempty"`
	// Allowed says whether the script gets the response.
	Allowed bool `json:"allowed"`
	// UpstreamDecides says that the configuration does not decide: the filter leaves it to
	// an upstream whose headers are unknown. Allowed is false then.
	UpstreamDecides bool `json:"upstream_decides,omitempty"`
	// Verdict is one sentence.
	Verdict string `json:"verdict"`
	// Engines are those that deviate from the standard here, and so from the verdict.
	Engines []Deviation `json:"engines,omitempty"`
	// Console is what the console said, if that was given. Otherwise says that the policy
	// does not cause it, and Causes are then the likely causes.
	Console   *Said    `json:"console,omitempty"`
	Otherwise string   `json:"otherwise,omitempty"`
	Causes    []string `json:"causes,omitempty"`
	// Instead is what to try before changing the policy for an unlisted origin; "" if
	// there is nothing.
	Instead string `json:"instead,omitempty"`
	// Waives says that the changes need a waiver.
	Waives bool `json:"waives,omitempty"`
	// Remedy says in words what to change; "" if nothing needs to change.
	Remedy string `json:"remedy,omitempty"`
	// Changes are the changes to the policy that let the script get the response. All of
	// them are needed, and they were tried together. Empty if no change does.
	Changes []Change `json:"changes,omitempty"`
	// Readable are the headers that the script may read if the response has them; ReadsAll
	// says that these are all except set-cookie.
	Readable []string `json:"readable,omitempty"`
	ReadsAll bool     `json:"reads_all,omitempty"`
	// Notes are facts about browsers that the standard does not know.
	Notes []string `json:"notes,omitempty"`
}

// Stage is one exchange, the preflight or the request itself.
type Stage struct {
	Filter   []string        `json:"filter"`
	Exchange Exchange        `json:"exchange"`
	Browser  browser.Verdict `json:"browser"`
	// Unknown says that the response is upstream's and its headers were not given: the one
	// in Exchange is an example, and Browser is empty.
	Unknown bool `json:"unknown,omitempty"`

	byTheManager bool // Envoy's connection manager answers
}

// Deviation says how engines deviate from the standard for the request.
type Deviation struct {
	Engines []browser.Engine `json:"engines"`
	// Allowed says whether the script gets the response there.
	Allowed bool   `json:"allowed"`
	Says    string `json:"says"`
}

// ErrNoHost is the error about a request without a host if rules depend on it.
var ErrNoHost = errors.New("rules ask for a host")

// Explain explains the request under a configuration. The error is a config.Problems if the
// configuration is refused, else it says what a browser would never send.
func Explain(configuration []byte, r Request) (*Report, error) {
	c, _, err := config.Parse(configuration)
	if err != nil {
		return nil, err
	}
	if err := r.Validate(); err != nil {
		return nil, err
	}
	if r.Scheme == "" {
		r.Scheme = "https"
	}
	if r.Host == "" && asksForHost(configuration) {
		return nil, ErrNoHost
	}
	r.SameOrigin = r.Host != "" && filter.IsSameOrigin(r.Origin, r.Scheme, r.Host)
	x := explanation{config: c, request: r, report: &Report{SameOrigin: r.SameOrigin, WebSocket: r.WebSocket}}
	x.policy, x.rule = c.Select(r.Host, r.seen())
	x.describePolicy()
	x.run()
	x.engines()
	x.notes()
	local := x.localNetwork()
	switch {
	case x.report.Allowed && local:
		x.report.Verdict = "allowed, once the user of the browser agrees to the request (Local Network Access)"
	case x.report.Allowed || x.report.UpstreamDecides:
	case local:
		x.report.Remedy = localRemedy
	default:
		x.report.Remedy, x.report.Changes = x.remedy(configuration)
	}
	return x.report, nil
}

// asksForHost reports whether a rule has hosts.
func asksForHost(configuration []byte) bool {
	source, err := config.Read(configuration)
	return err == nil && slices.ContainsFunc(source.Rules, func(r config.SourceRule) bool { return len(r.Hosts) > 0 })
}

// explanation is one in the making.
type explanation struct {
	config  *config.Config
	policy  *config.Policy
	rule    *config.Rule
	request Request
	report  *Report
}

func (x *explanation) describePolicy() {
	report := x.report
	switch {
	case x.request.beforeTheFilter("OPTIONS") != nil: // whatever the method
		x.policy, x.rule = nil, nil
		report.Policy = "none applies: Envoy's connection manager answers before any filter"
		return
	case x.rule != nil:
		report.Rule = x.rule.Name
		report.Policy = fmt.Sprintf("the rule %q applies; it is the first that matches the host and the path", x.rule.Name)
	case x.policy != nil && x.config.HasRules():
		report.Policy = "no rule matches, so the settings at the top level apply"
	case x.policy != nil:
		report.Policy = "the settings at the top level apply"
	default:
		report.Policy = "no rule matches, and there are no settings at the top level: the filter leaves the request alone"
		return
	}
	report.Policy += "; mode " + x.policy.Mode.String()
}

// run goes through the exchanges as the browser does.
func (x *explanation) run() {
	r, report := x.request, x.report
	if needed, why := r.NeedsPreflight(); needed && !r.WebSocket {
		report.WhyPreflight = why
		stage := x.stage("OPTIONS", r.PreflightHeaders(), browser.CheckPreflight)
		report.Preflight = stage
		switch {
		case stage.Browser.Allowed:
			report.PreflightSeconds = browser.PreflightMaxAge(browser.Response{Headers: stage.Exchange.Response})
		case x.unknown(stage):
			stage.Unknown, stage.Browser = true, browser.Verdict{}
			report.UpstreamDecides = true
			report.Verdict = "upstream decides: the filter leaves the preflight to it"
			if x.enforced() && !bool(x.policy.Preserve) {
				report.Notes = append(report.Notes, `even if upstream allows the preflight, the filter removes upstream's CORS headers from the response to the request itself; "upstream_headers": "preserve" keeps them`)
			}
			return
		default:
			report.Verdict = "blocked: the preflight fails, and the request is not sent: " + stage.Browser.Message
			return
		}
	}
	check := browser.CheckResponse
	if r.WebSocket {
		check = checkHandshake
	}
	stage := x.stage(r.NormalizedMethod(), r.ActualHeaders(), check)
	report.Request = stage
	switch v := stage.Browser; {
	case r.SameOrigin:
		report.Allowed = true
		report.Verdict = "allowed: the page calls its own origin, so CORS does not apply"
	case r.WebSocket:
		report.Allowed = v.Allowed
		report.Verdict = "allowed: the WebSocket is opened; that is not a CORS request, and the browser checks no CORS header"
		if !v.Allowed {
			report.Verdict = "blocked: the WebSocket handshake is rejected"
		}
		return
	case v.Allowed:
		report.Allowed = true
		report.Verdict = "allowed: the script gets the response"
	case x.unknown(stage):
		stage.Unknown, stage.Browser = true, browser.Verdict{}
		report.UpstreamDecides = true
		report.Verdict = "upstream decides: the filter leaves its CORS headers as they are"
		return
	case stage.byTheManager:
		report.Verdict = "blocked: Envoy's connection manager answers the request: " + v.Message
		return
	case !stage.Exchange.Forwarded:
		report.Verdict = "blocked: the filter rejects the request: " + v.Message
		return
	default:
		report.Verdict = "blocked: the request is sent, and the script does not get the response: " + v.Message
		return
	}
	report.Readable, report.ReadsAll = browser.ReadableHeaderNames(r.Request, browser.Response{Headers: stage.Exchange.Response})
}

// enforced reports whether the filter acts on what it decides.
func (x *explanation) enforced() bool { return x.policy != nil && x.policy.Mode == config.Enforce }

// unknown reports whether the outcome of an exchange depends on CORS headers of upstream that
// were not given: the filter leaves the response alone, the preflight was forwarded, or the
// policy preserves what upstream sends.
func (x *explanation) unknown(s *Stage) bool {
	if x.request.Upstream != nil || !s.Exchange.Forwarded {
		return false
	}
	return !x.enforced() || s.Exchange.Method == "OPTIONS" && s == x.report.Preflight || bool(x.policy.Preserve)
}

// engines finds how engines deviate from the standard: whether, with the same server, the
// script gets the response, or whether there is a preflight.
func (x *explanation) engines() {
	report := x.report
	if report.UpstreamDecides || x.request.WebSocket {
		return
	}
	server := func(method string, headers []browser.Header) browser.Response {
		e := x.stage(method, headers, browser.CheckResponse).Exchange
		return browser.Response{Status: e.Status, Headers: e.Response}
	}
	for _, d := range browser.Deviations {
		var found Deviation
		for _, engine := range d.Engines {
			o := d.Fetch(engine, x.request.Request, server)
			if o.Allowed() != report.Allowed || (o.Preflight != nil) != (report.Preflight != nil) {
				found.Engines, found.Allowed = append(found.Engines, engine), o.Allowed()
			}
		}
		if len(found.Engines) == 0 {
			continue
		}
		found.Says = fmt.Sprintf("%s, by the standard; in %s %s", d.Standard, listed(found.Engines), d.Instead)
		switch {
		case found.Allowed && !report.Allowed:
			found.Says += ": there the script gets the response"
		case !found.Allowed && report.Allowed:
			found.Says += ": there the script does not get the response"
		}
		report.Engines = append(report.Engines, found)
	}
}

// listed names engines in a sentence.
func listed(engines []browser.Engine) string {
	var b strings.Builder
	for i, e := range engines {
		switch {
		case i > 0 && i == len(engines)-1:
			b.WriteString(" and ")
		case i > 0:
			b.WriteString(", ")
		}
		b.WriteString(string(e))
	}
	return b.String()
}

// checkHandshake is a browser's check of the answer to a WebSocket handshake.
func checkHandshake(_ browser.Request, resp browser.Response) (v browser.Verdict) {
	const check = "WebSocket handshake"
	if v.Allowed = resp.Status < 400; v.Allowed {
		v.Steps = []browser.Step{{Check: check, Passed: true, Why: "browsers check no CORS header"}}
		return v
	}
	v.Reason, v.Message = browser.OriginMissing, fmt.Sprintf("the handshake was answered with %d", resp.Status)
	v.Steps = []browser.Step{{Check: check, Why: v.Message}}
	return v
}

func (x *explanation) notes() {
	report := x.report
	add := func(format string, args ...any) { report.Notes = append(report.Notes, fmt.Sprintf(format, args...)) }
	if report.PreflightSeconds > 0 {
		for _, limit := range browser.Caps {
			if report.PreflightSeconds > limit.Seconds {
				add("%s caches the answer to a preflight for at most %d seconds", limit.Browser, limit.Seconds)
			}
		}
	}
	switch o := x.request.Origin; {
	case strings.HasPrefix(o, "moz-extension://"):
		add(`Firefox gives an extension a different id in each browser; only "moz-extension://*" allows it everywhere, and that allows all other extensions too`)
	case o == "null" && !report.Allowed:
		add("sandboxed frames, files and data: URLs have the origin null; and " + nullByRedirect)
	case o == "file://":
		add("WebViews, Electron and Chromium with --allow-file-access-from-files send file:// for every page opened from a file; other browsers send null")
	}
	if seen := x.request.seen(); seen != x.request.Path {
		add("the filter and upstream see the path %s, because path_with_escaped_slashes_action is %s", seen, x.request.EscapedSlashes)
	}
	switch private, from := private(x.request.Host), x.request.Origin; {
	case x.localNetwork():
		add("%s is on the public web, and %s is a private or loopback address: Chromium (since version 142) and Firefox ask their user before anything reaches the server, and a page that was not loaded over https may not even ask (Local Network Access); %s", from, x.request.Host, noHeaderHelps)
	case private && from == "null", x.request.PrivateNetwork:
		add("if the page is on the public web, Chromium (since version 142) and Firefox ask their user before anything reaches a private or loopback address (Local Network Access); %s", noHeaderHelps)
	}
	if x.request.Scheme == "http" && strings.HasPrefix(x.request.Origin, "https:") && !private(x.request.Host) && !x.request.SameOrigin {
		add("a page over https that calls http is mixed content: before CORS applies, browsers block the request or send it over https instead")
	}
	if words := x.request.overHTTP1(); words != "" {
		add("%s", words)
	}
	if r := x.request; r.WebSocket && report.Allowed && !r.SameOrigin && x.enforced() && x.policy.Origins.Match(r.Origin) != config.Matches {
		add(`the origin is not in allow_origins, and browsers leave it to the server to refuse a WebSocket; "disallowed_requests": "reject" answers its handshake with 403`)
	}
	if x.policy != nil && x.policy.Mode == config.Shadow {
		add("the policy is in shadow mode: the filter decides and counts, and the browser gets upstream's headers")
	}
}
