// Package explain tells what one browser request would get: which rule and
// policy of a configuration apply, what the filter decides and why, the exact
// response headers, and what a browser does with them. It runs the filter itself
// and the textbook browser of internal/browser, and knows CORS only through them.
package explain

import (
	"fmt"
	"strings"

	"corsfilter/config"
	"corsfilter/filter"
	"corsfilter/internal/browser"
)

// Request is what a page asks for.
type Request struct {
	browser.Request
	Host string // :authority
	Path string // :path
}

// Report is the explanation.
type Report struct {
	// Rule names the rule that gives the policy; "" for the top level.
	Rule string `json:"rule,omitempty"`
	// Policy says which policy applies, in words.
	Policy string `json:"policy"`
	// Preflight is nil where the browser does not ask first.
	Preflight *Stage `json:"preflight,omitempty"`
	// PreflightSeconds is for how long the browser need not ask again.
	PreflightSeconds int `json:"preflight_seconds,omitempty"`
	// WhyPreflight are the reasons for which it does.
	WhyPreflight []string `json:"why_preflight,omitempty"`
	// Request is nil where the preflight failed, and nothing else is sent.
	Request *Stage `json:"request,omitempty"`
	// Allowed says whether the script gets the response.
	Allowed bool `json:"allowed"`
	// Verdict is one sentence.
	Verdict string `json:"verdict"`
	// Remedy names what to change in the configuration; "" where nothing stands
	// in the way.
	Remedy string `json:"remedy,omitempty"`
	// Readable are the response headers that the script may read.
	Readable []string `json:"readable,omitempty"`
}

// Stage is one exchange, the preflight or the request itself.
type Stage struct {
	Filter   []string        `json:"filter"`
	Exchange Exchange        `json:"exchange"`
	Browser  browser.Verdict `json:"browser"`
}

// Explain explains the request under a configuration. The error is a
// config.Problems where the configuration is refused, and says otherwise what a
// browser would not send at all.
func Explain(configuration []byte, r Request) (*Report, error) {
	plugin, _, err := config.Parse(configuration)
	if err != nil {
		return nil, err
	}
	if err := r.Validate(); err != nil {
		return nil, err
	}
	p, err := newProxy(configuration)
	if err != nil {
		return nil, err
	}
	report := &Report{}
	policy, rule := plugin.Select(r.Host, r.Path)
	report.describePolicy(plugin, policy, rule)

	ask := func(method string, headers []browser.Header, check func(browser.Request, browser.Response) browser.Verdict) *Stage {
		pseudo := []browser.Header{{Name: ":method", Value: method}, {Name: ":scheme", Value: "https"}, {Name: ":authority", Value: r.Host}, {Name: ":path", Value: r.Path}}
		x := p.exchange(append(pseudo, headers...))
		stage := &Stage{Exchange: x, Filter: decisionSteps(policy, x)}
		stage.Browser = check(r.Request, browser.Response{Status: x.Status, Headers: x.Response})
		return stage
	}

	needed, why := r.NeedsPreflight()
	if needed {
		report.WhyPreflight = why
		report.Preflight = ask("OPTIONS", r.PreflightHeaders(), browser.CheckPreflight)
		if v := report.Preflight.Browser; !v.Allowed {
			report.Verdict = "blocked: the preflight fails, and the request is not sent: " + v.Message
			report.Remedy = remedy(policy, report.Preflight, v, r)
			return report, nil
		}
		report.PreflightSeconds = browser.PreflightMaxAge(browser.Response{Headers: report.Preflight.Exchange.Response})
	}
	report.Request = ask(r.NormalizedMethod(), r.ActualHeaders(), browser.CheckResponse)
	v := report.Request.Browser
	if !v.Allowed {
		report.Verdict = "blocked: the request is sent, and the script does not get the response: " + v.Message
		if report.Request.Exchange.Status == 403 {
			report.Verdict = "blocked: the filter rejects the request: " + v.Message
		}
		report.Remedy = remedy(policy, report.Request, v, r)
		return report, nil
	}
	report.Allowed = true
	report.Verdict = "allowed: the script gets the response"
	report.Readable = browser.ExposedHeaderNames(r.Request, browser.Response{Headers: report.Request.Exchange.Response})
	return report, nil
}

func (report *Report) describePolicy(plugin *config.Config, policy *config.Policy, rule *config.Rule) {
	switch {
	case rule != nil:
		report.Rule = rule.Name
		report.Policy = "the rule " + fmt.Sprintf("%q", rule.Name) + " gives the policy: it is the first that matches the host and the path"
	case policy != nil && plugin.HasRules():
		report.Policy = "no rule matches, so the settings at the top level hold"
	case policy != nil:
		report.Policy = "the settings at the top level hold"
	default:
		report.Policy = "no rule matches and there are no settings at the top level: the filter leaves the request alone"
		return
	}
	report.Policy += "; mode " + policy.Mode.String()
}

// decisionSteps says in the standard's terms what the filter decided.
func decisionSteps(p *config.Policy, x Exchange) (steps []string) {
	var r filter.Request
	for _, h := range x.Request {
		r.VisitHeader(strings.ToLower(h.Name), h.Value)
	}
	var d filter.Decision
	filter.Decide(p, &r, &d)
	return d.Steps(&r)
}

// remedy names the setting that stands in the way.
func remedy(p *config.Policy, stage *Stage, v browser.Verdict, r Request) string {
	switch {
	case p == nil:
		return "add a rule for this host and path, or settings at the top level"
	case p.Mode != config.Enforce:
		return `set "mode": "enforce"`
	}
	switch v.Reason {
	case browser.OriginMissing:
		if stage.Exchange.Forwarded && stage.Exchange.Method == "OPTIONS" {
			return fmt.Sprintf("upstream has to answer this preflight; or add %q to allow_origins", r.Origin)
		}
		return fmt.Sprintf("add %q to allow_origins, if that page may read responses", r.Origin)
	case browser.WildcardCredentials:
		return `list the origins in place of "*", and set "allow_credentials": true`
	case browser.CredentialsMissing:
		return `set "allow_credentials": true, or send the request without credentials`
	case browser.MethodNotAllowed:
		if upper := strings.ToUpper(v.Detail); upper != v.Detail {
			return fmt.Sprintf("write %q in the script: methods are case-sensitive, and browsers upper-case only the common ones", upper)
		}
		return fmt.Sprintf("add %q to allow_methods", v.Detail)
	case browser.HeaderNotAllowed, browser.AuthorizationMissing:
		return fmt.Sprintf("add %q to allow_headers", v.Detail)
	case browser.PrivateNetworkDenied:
		return `set "allow_private_network_access": true`
	}
	return ""
}
