package explain

import (
	"fmt"
	"net/http"
	"strings"

	"corsfilter/internal/browser"
)

// meaning is what a complaint of a console means.
type meaning struct {
	// says puts it in one sentence; %s is the value that it names.
	says string
	// causes are the likely ones where the policy is none.
	causes []string
	// remedy is for what no policy decides; "" elsewhere.
	remedy string
}

const (
	notTheFilters = "something in front of the filter answers: a CDN, a load balancer, a redirect to https or to a login page, an error page of another proxy"
	otherPolicy   = "the proxy has a different policy than this file, or the route bypasses the filter"
	cachedAnswer  = "the answer comes from a cache: reload without the cache, and make caches respect Vary"
	noHeaderHelps = "no response header can replace the user's consent; allow_private_network_access answers the preflight of Private Network Access, which current browsers no longer send"
	localRemedy   = "have the user allow it in the browser's site settings (in a company, with the policy LocalNetworkAccessAllowedForUrls), serve the page from the same network, or give the API a public address"
)

var meanings = map[Kind]meaning{
	browser.OriginMissing:        {says: "the answer has no Access-Control-Allow-Origin that allows the page", causes: []string{notTheFilters, otherPolicy, cachedAnswer}},
	browser.OriginMultiple:       {says: "the answer has more than one Access-Control-Allow-Origin%s", causes: []string{"a proxy, a CDN or a load balancer in front of the filter adds its own", `the policy has "upstream_headers": "preserve", and upstream sends two`, otherPolicy}},
	browser.OriginMismatch:       {says: "Access-Control-Allow-Origin%s is not the page's origin", causes: []string{"a cache answers with another page's response: make it respect Vary", "something in front of the filter sets the header to the same value for everyone", otherPolicy}},
	browser.WildcardCredentials:  {says: `Access-Control-Allow-Origin is "*", and credentials are included`, causes: []string{otherPolicy, "something in front of the filter sets the header"}},
	browser.CredentialsMissing:   {says: `credentials are included, and Access-Control-Allow-Credentials%s is not "true"`, causes: []string{otherPolicy, notTheFilters}},
	browser.PreflightStatus:      {says: "the preflight was answered with a status that is not 200 to 299%s", causes: []string{"another filter answers preflights before this one does: authentication (ext_authz, jwt_authn), a rate limit or a redirect; put this filter first", notTheFilters, otherPolicy}},
	browser.MethodsMalformed:     {says: "Access-Control-Allow-Methods is not a list of methods%s", causes: []string{otherPolicy, "upstream answers the preflight"}},
	browser.HeadersMalformed:     {says: "Access-Control-Allow-Headers is not a list of header names%s", causes: []string{otherPolicy, "upstream answers the preflight"}},
	browser.MethodNotAllowed:     {says: "the method is not in Access-Control-Allow-Methods", causes: []string{otherPolicy, cachedPreflight, "upstream answers the preflight"}},
	browser.HeaderNotAllowed:     {says: "the header is not in Access-Control-Allow-Headers", causes: []string{otherPolicy, cachedPreflight, "upstream answers the preflight"}},
	browser.PrivateNetworkDenied: {says: "the answer to the preflight has no Access-Control-Allow-Private-Network: true", causes: []string{otherPolicy, notTheFilters}},
	Blocked:                      {says: "the browser blocks the response; the reason is in another line", causes: []string{"the line before or after it has the reason; paste it as well", notTheFilters, otherPolicy}},
	Handshake:                    {says: "the WebSocket could not be opened%s", causes: []string{`the proxy has a different policy than this file, with "disallowed_requests": "reject"`, "the server is not reached, or its certificate is not trusted", "the route has no upgrade_configs for websocket", "upstream refuses the handshake, perhaps with its own list of origins"}},

	Deprecation: {says: `the request passed, with a warning: "*" in Access-Control-Allow-Headers will not cover authorization forever`,
		remedy: `add "authorization" to allow_headers, beside "*"`},
	LocalNetwork: {says: "the page may not call an address of the user's local network or machine%s: the browser asks its user first (Local Network Access), and nothing reached the server; " + noHeaderHelps,
		remedy: localRemedy},
	InsecurePage: {says: "a page that was not loaded over https may not call an address of the user's local network or machine%s (Local Network Access): nothing reached the server, and no header helps",
		remedy: "serve the page over https; then the browser asks its user"},
	AddressSpace: {says: "the script names a different address space (targetAddressSpace) than the address is in%s (Local Network Access)",
		remedy: "name the address's own in the script's fetch()"},
	NoAnswer: {says: "the browser got no answer%s",
		causes: []string{"the server cannot be reached: it is down, or its name, port or network is wrong", "its certificate is not trusted: open the URL in a tab",
			"an extension or the user's security software blocks the request", "Local Network Access: a page on the public web called a private or loopback address, and the user did not agree"},
		remedy: "open the URL in a tab, and see what the network panel says about the request"},
	MixedContent: {says: "a page over https called http (mixed content), and nothing was sent",
		remedy: "call the API over https"},
	ContentPolicy: {says: "the page's own Content-Security-Policy forbids the request, and nothing was sent",
		remedy: "add the API's origin to connect-src in the page's Content-Security-Policy"},
	ResourcePolicy: {says: "the browser blocks the response because of its Cross-Origin-Resource-Policy or its type (Opaque Response Blocking)",
		remedy: `load it with CORS (the attribute crossorigin, or mode "cors"), or send Cross-Origin-Resource-Policy: cross-origin`},
	ByExtension: {says: "a browser extension, such as an ad blocker, blocks the request",
		remedy: "try it in a window without extensions"},
	Redirect: {says: "the server redirects to a URL that a CORS request may not follow%s",
		remedy: "call the final URL directly"},
	NotHTTP: {says: "CORS requests work only over http and https",
		remedy: "serve the page and the API over http or https; a page opened from a file has no origin to allow"},
	SameOriginOnly: {says: `the script's own mode "same-origin" forbids the request`,
		remedy: `write mode: "cors" in the script, or leave it out`},
}

const nullByRedirect = "after a redirect from one cross-origin URL to another origin, the Origin is null instead of the page's: call the final URL directly"

const cachedPreflight = "the browser has cached an earlier answer to the preflight (max_age): close the page, or wait"

// sentence is what the console says, in words.
func (s Said) sentence() string {
	words := meanings[s.Kind].says
	if !strings.Contains(words, "%s") {
		return words
	}
	value := ""
	switch {
	case s.Value != "" && (s.Kind == LocalNetwork || s.Kind == InsecurePage || s.Kind == AddressSpace):
		value = " (" + s.Value + ")"
	case s.Value != "":
		value = fmt.Sprintf(" (%q)", s.Value)
	case s.Status != 0:
		value = fmt.Sprintf(" (%d %s)", s.Status, http.StatusText(s.Status))
	}
	return fmt.Sprintf(words, value)
}

// ByNoPolicy is the report on a console message that no policy can cause; nil if one can.
func ByNoPolicy(s *Said) *Report {
	if s == nil || meanings[s.Kind].remedy == "" {
		return nil
	}
	m := meanings[s.Kind]
	report := &Report{Console: s, Causes: m.causes, Remedy: m.remedy}
	if s.Kind == Deprecation {
		report.Allowed, report.Verdict = true, "allowed: "+s.sentence()
	} else {
		report.Verdict = "this is not a CORS failure, and no policy helps: " + s.sentence()
	}
	return report
}

// Compare compares the report with what the browser's console says about the request. If the
// policy would not cause that, it says so, with the likely causes.
func (report *Report) Compare(s *Said) {
	report.Console = s
	switch {
	case report.UpstreamDecides:
		report.Otherwise = "your console shows upstream's answer: " + s.sentence()
	case !report.agrees(s):
		report.Otherwise, report.Causes = "your console says otherwise: "+s.sentence(), meanings[s.Kind].causes
		report.Verdict = "with this policy: " + report.Verdict
		report.Allowed, report.Remedy, report.Changes = false, "", nil
		report.Readable, report.ReadsAll = nil, false
		if s.Redirected {
			report.Causes = append([]string{nullByRedirect}, report.Causes...)
		}
	}
}

// agrees reports whether the console says what the policy causes.
func (report *Report) agrees(s *Said) bool {
	if report.Allowed {
		return false
	}
	stage, preflight := failing(report), report.Request == nil
	reason := stage.Browser.Reason
	switch s.Kind {
	case Blocked, Handshake:
		return true
	case browser.PreflightStatus:
		// WebKit looks at the status before it looks at the origin.
		status := stage.Exchange.Status
		return preflight && (status < 200 || status > 299) && (s.Status == 0 || s.Status == status) && (s.Engine == browser.WebKit || reason == s.Kind)
	case browser.OriginMissing:
		return reason == s.Kind || s.Engine == browser.WebKit && reason == browser.OriginMismatch
	case browser.HeaderNotAllowed:
		return reason == s.Kind || reason == browser.AuthorizationMissing
	}
	return reason == s.Kind
}
