package browser

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Response is an answer as the browser gets it.
type Response struct {
	Status  int
	Headers []Header
}

// get returns a header's value; of several entries the values joined by ", "
// (section 2.2.2, "get").
func (r Response) get(name string) (value string, ok bool) {
	var values []string
	for _, h := range r.Headers {
		if equalFold(h.Name, name) {
			values = append(values, normalizeValue(h.Value))
		}
	}
	return strings.Join(values, ", "), len(values) > 0
}

// value is get, and empty where there is no such header.
func (r Response) value(name string) string {
	value, _ := r.get(name)
	return value
}

// list extracts the values of a list of tokens; ok is false where one is none
// (section 2.2.2, "extract header list values", with the ABNF #token, whose
// empty elements do not count).
func (r Response) list(name string) (values []string, ok bool) {
	value, present := r.get(name)
	if !present {
		return nil, true
	}
	for _, element := range strings.Split(value, ",") {
		element = strings.Trim(element, " \t")
		if element == "" {
			continue
		}
		if !isToken(element) {
			return nil, false
		}
		values = append(values, element)
	}
	return values, true
}

// Reason says which check failed. The values are stable.
type Reason string

// The checks.
const (
	Passed               Reason = ""
	OriginMissing        Reason = "allow-origin-missing"
	OriginMultiple       Reason = "allow-origin-multiple"
	OriginMismatch       Reason = "allow-origin-mismatch"
	WildcardCredentials  Reason = "wildcard-with-credentials"
	CredentialsMissing   Reason = "allow-credentials-missing"
	PreflightStatus      Reason = "preflight-status"
	MethodsMalformed     Reason = "allow-methods-malformed"
	HeadersMalformed     Reason = "allow-headers-malformed"
	MethodNotAllowed     Reason = "method-not-allowed"
	HeaderNotAllowed     Reason = "header-not-allowed"
	AuthorizationMissing Reason = "authorization-not-listed"
	PrivateNetworkDenied Reason = "private-network-not-allowed"
)

// Verdict is what the browser makes of an answer.
type Verdict struct {
	Allowed bool   `json:"allowed"`
	Reason  Reason `json:"reason,omitempty"`
	// Detail is the value, method or header at fault.
	Detail string `json:"detail,omitempty"`
	// Message is the substance of what the console says.
	Message string `json:"message,omitempty"`
	// Steps are the checks in the standard's order, up to the one that failed.
	Steps []Step `json:"steps"`
}

// Step is one check.
type Step struct {
	Check  string `json:"check"`
	Passed bool   `json:"passed"`
	Why    string `json:"why"`
}

func (v *Verdict) pass(check, why string) { v.Steps = append(v.Steps, Step{check, true, why}) }

func (v *Verdict) fail(check string, reason Reason, detail, message string) {
	v.Steps = append(v.Steps, Step{check, false, message})
	v.Allowed, v.Reason, v.Detail, v.Message = false, reason, detail, message
}

// corsCheck is section 4.10, "CORS check".
func (v *Verdict) corsCheck(r Request, resp Response) bool {
	const check = "CORS check: Access-Control-Allow-Origin"
	allowed, ok := resp.get("access-control-allow-origin")
	switch {
	case !ok:
		v.fail(check, OriginMissing, "", "the response has no Access-Control-Allow-Origin header")
		return false
	case allowed == "*" && !r.Credentials:
		v.pass(check, "\"*\" allows every origin, because no credentials are sent")
		return true
	case allowed == "*":
		v.fail(check, WildcardCredentials, allowed, "Access-Control-Allow-Origin must not be \"*\" when credentials are included")
		return false
	case allowed != r.Origin && strings.Contains(allowed, ","):
		v.fail(check, OriginMultiple, allowed, fmt.Sprintf("Access-Control-Allow-Origin has several values, %q; only one is allowed", allowed))
		return false
	case allowed != r.Origin:
		v.fail(check, OriginMismatch, allowed, fmt.Sprintf("Access-Control-Allow-Origin is %q, not the page's origin %q", allowed, r.Origin))
		return false
	}
	v.pass(check, "it is the page's origin")
	if !r.Credentials {
		return true
	}
	const credentials = "CORS check: Access-Control-Allow-Credentials"
	if value := resp.value("access-control-allow-credentials"); value != "true" {
		v.fail(credentials, CredentialsMissing, value, fmt.Sprintf("credentials are included and Access-Control-Allow-Credentials is %q, not \"true\"", value))
		return false
	}
	v.pass(credentials, "it is \"true\"")
	return true
}

// CheckPreflight judges the answer to a preflight (section 4.8, "CORS-preflight
// fetch", step 7). The step on private networks is not in that standard but in the
// draft "Private Network Access", which puts it behind the headers.
func CheckPreflight(r Request, resp Response) (v Verdict) {
	if !v.corsCheck(r, resp) {
		return v
	}
	const status = "preflight: status"
	if resp.Status < 200 || resp.Status > 299 {
		message := fmt.Sprintf("the preflight was answered with %d; only 200 to 299 is accepted", resp.Status)
		switch resp.Status {
		case 301, 302, 303, 307, 308: // section 2.2.3, redirect status
			message += "; browsers do not follow redirects of preflights"
		}
		v.fail(status, PreflightStatus, strconv.Itoa(resp.Status), message)
		return v
	}
	v.pass(status, fmt.Sprintf("%d is an ok status", resp.Status))

	methods, ok := resp.list("access-control-allow-methods")
	if !ok {
		v.fail("preflight: Access-Control-Allow-Methods", MethodsMalformed, resp.value("access-control-allow-methods"), "Access-Control-Allow-Methods is not a list of methods")
		return v
	}
	names, ok := resp.list("access-control-allow-headers")
	if !ok {
		v.fail("preflight: Access-Control-Allow-Headers", HeadersMalformed, resp.value("access-control-allow-headers"), "Access-Control-Allow-Headers is not a list of header names")
		return v
	}
	if !v.methodCheck(r, methods) || !v.headerCheck(r, names) {
		return v
	}
	if r.PrivateNetwork {
		const private = "preflight: Access-Control-Allow-Private-Network"
		if value := resp.value("access-control-allow-private-network"); value != "true" {
			v.fail(private, PrivateNetworkDenied, value, "the target is in a more private network and Access-Control-Allow-Private-Network is not \"true\"")
			return v
		}
		v.pass(private, "it is \"true\"")
	}
	v.Allowed = true
	return v
}

// methodCheck is step 7.5: methods compare by case.
func (v *Verdict) methodCheck(r Request, methods []string) bool {
	const check = "preflight: method"
	method := r.NormalizedMethod()
	switch {
	case slices.Contains(methods, method):
		v.pass(check, method+" is listed")
	case safelistedMethod(method):
		v.pass(check, method+" never needs listing")
	case slices.Contains(methods, "*") && !r.Credentials:
		v.pass(check, "\"*\" covers "+method)
	default:
		message := "the method " + method + " is not in Access-Control-Allow-Methods"
		if slices.Contains(methods, "*") {
			message += ", and \"*\" covers nothing there when credentials are included"
		}
		if i := slices.IndexFunc(methods, func(m string) bool { return equalFold(m, method) }); i >= 0 {
			message += "; " + methods[i] + " is, but methods are case-sensitive"
		}
		v.fail(check, MethodNotAllowed, method, message)
		return false
	}
	return true
}

// headerCheck is steps 7.6 and 7.7: authorization must be listed by name, and
// "*" covers nothing when credentials are included.
func (v *Verdict) headerCheck(r Request, names []string) bool {
	listed := func(name string) bool {
		return slices.ContainsFunc(names, func(n string) bool { return equalFold(n, name) })
	}
	const check = "preflight: headers"
	unsafe := r.UnsafeHeaderNames()
	for _, h := range r.Headers {
		if equalFold(h.Name, "authorization") && !listed("authorization") {
			v.fail(check, AuthorizationMissing, "authorization", "the header authorization is not in Access-Control-Allow-Headers, and \"*\" does not cover it")
			return false
		}
	}
	for _, name := range unsafe {
		if !listed(name) && (r.Credentials || !slices.Contains(names, "*")) {
			message := "the header " + name + " is not in Access-Control-Allow-Headers"
			if slices.Contains(names, "*") {
				message += ", and \"*\" covers nothing there when credentials are included"
			}
			v.fail(check, HeaderNotAllowed, name, message)
			return false
		}
	}
	if len(unsafe) == 0 {
		v.pass(check, "none needs consent")
	} else {
		v.pass(check, strings.Join(unsafe, ", ")+" may be sent")
	}
	return true
}

// PreflightMaxAge is the number of seconds that the browser keeps a preflight's
// answer, before its own limit (section 4.8, "CORS-preflight fetch", steps 7.8 and
// 7.9): 5 where the header is absent, repeated, or not a number of digits alone.
func PreflightMaxAge(resp Response) int {
	const byDefault = 5
	value := resp.value("access-control-max-age")
	if value == "" || !allDigits(value) {
		return byDefault
	}
	seconds, err := strconv.Atoi(value)
	if err != nil { // digits alone fail by their number alone
		return math.MaxInt
	}
	return seconds
}

// CheckResponse judges the answer to the request itself (section 4.4, "HTTP fetch",
// the CORS check on the network's response). Any status will do; where it is a
// redirect, passing means that the browser follows. Of the page's own origin
// nothing is checked.
func CheckResponse(r Request, resp Response) (v Verdict) {
	if r.SameOrigin {
		v.pass("same origin", "a page may read responses of its own origin")
		v.Allowed = true
		return v
	}
	v.Allowed = v.corsCheck(r, resp)
	return v
}

// ExposedHeaderNames are the response headers that the script may read, in lower
// case and sorted, of a response that passed (section 2.2.6, "CORS filtered
// response", and 4.1, "main fetch", on Access-Control-Expose-Headers).
func ExposedHeaderNames(r Request, resp Response) []string {
	exposed, _ := resp.list("access-control-expose-headers")
	all := r.SameOrigin || slices.Contains(exposed, "*") && !r.Credentials
	var names []string
	for _, h := range resp.Headers {
		name := lower(h.Name)
		switch {
		case name == "set-cookie" || name == "set-cookie2": // forbidden response-header names
		case all, safelistedResponseHeader(name), slices.ContainsFunc(exposed, func(n string) bool { return equalFold(n, name) }):
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// safelisted are the CORS-safelisted response-header names (section 2.2.2).
var safelisted = []string{"cache-control", "content-language", "content-length", "content-type", "expires", "last-modified", "pragma"}

func safelistedResponseHeader(name string) bool { return slices.Contains(safelisted, name) }

// ReadableHeaderNames are the names of the headers that the script may read where
// a response has them, in lower case and sorted. all says that these are all
// headers but set-cookie, and then there are no names.
func ReadableHeaderNames(r Request, resp Response) (names []string, all bool) {
	exposed, _ := resp.list("access-control-expose-headers")
	if r.SameOrigin || slices.Contains(exposed, "*") && !r.Credentials {
		return nil, true
	}
	names = slices.Clone(safelisted)
	for _, name := range exposed {
		if name = lower(name); name != "set-cookie" && name != "set-cookie2" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names), false
}

// Cap is how long a browser keeps the answer to a preflight at most, whatever
// Access-Control-Max-Age says.
type Cap struct {
	Browser string
	Seconds int
}

// Caps are those of the browsers' sources: Chromium's
// services/network/cors/preflight_result.cc, Firefox's
// netwerk/protocol/http/nsCORSListenerProxy.cpp, WebKit's
// Source/WebCore/loader/CrossOriginPreflightResultCache.cpp.
var Caps = []Cap{{"Safari", 600}, {"Chromium", 7200}, {"Firefox", 86400}}

// Outcome is how a whole fetch went.
type Outcome struct {
	// Preflight is nil where none was needed.
	Preflight *Verdict
	// Response is nil where the preflight failed: then the request was not sent.
	Response *Verdict
	// Readable are the response headers that the script may read.
	Readable []string
}

// Allowed reports whether the script gets the response.
func (o Outcome) Allowed() bool { return o.Response != nil && o.Response.Allowed }

// Fetch runs a whole fetch against a server: the preflight where one is needed,
// then the request.
func Fetch(r Request, server func(method string, headers []Header) Response) Outcome {
	return fetch(r, r, func(preflight Response) Response { return preflight }, server)
}

// fetch is a fetch whose preflight asks for another request than is sent, and whose
// answer is read as understood says.
func fetch(asks, sends Request, understood func(Response) Response, server func(method string, headers []Header) Response) (o Outcome) {
	if needed, _ := asks.NeedsPreflight(); needed {
		v := CheckPreflight(asks, understood(server("OPTIONS", asks.PreflightHeaders())))
		o.Preflight = &v
		if !v.Allowed {
			return o
		}
	}
	resp := server(sends.NormalizedMethod(), sends.ActualHeaders())
	v := CheckResponse(sends, resp)
	o.Response = &v
	if v.Allowed {
		o.Readable = ExposedHeaderNames(sends, resp)
	}
	return o
}
