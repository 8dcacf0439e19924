// Package scenario is a table of what the filter does, request by request:
// configuration, request, upstream's response, and the exact outcome. The tests of
// package filter run it natively, those of e2e in the built module and in Envoy, those
// of e2e/browser in browsers. It is data, and imports only the standard library.
package scenario

import (
	"slices"
	"strings"
)

// Header is one header of a message.
type Header = [2]string

// Scenario is one row.
type Scenario struct {
	// Name is a sentence.
	Name string
	// Config is the plugin configuration, in JSON.
	Config string
	// Request are the headers, pseudo headers included.
	Request []Header
	// Upstream is what upstream answers if it is asked.
	Upstream Upstream
	// Added are headers that the proxy appends to every response of the route before
	// the filter sees it, as Envoy's response_headers_to_add does: to those of upstream,
	// and to the filter's own replies, where they come first.
	Added []Header
	// Want is the outcome.
	Want Want
	// NotOverHTTP is set where an HTTP client refuses to send the request.
	NotOverHTTP bool
}

// Upstream is a response; the zero value is a 200 without headers of interest.
type Upstream struct {
	Status  int
	Headers []Header
}

// Want is an outcome. What is not named must not be there.
type Want struct {
	// Reply is the status of the filter's own answer; 0: upstream was asked.
	Reply   int
	Details string // response code details of the reply
	// Headers are the headers of the response that concern CORS, each once;
	// several entries of a name are joined by " | ".
	Headers map[string]string
	// Counters are those that were incremented, without the prefix.
	Counters []string
}

// All returns every row.
func All() []Scenario {
	return slices.Concat(preflights, requests, responses, additions, origins, lists, rules, visibility, edges)
}

// Relevant reports whether a response header belongs into Want.Headers.
func Relevant(name string) bool {
	return strings.HasPrefix(name, "access-control-") || name == "vary" || name == "timing-allow-origin" || name == "x-cors-decision"
}

// Collect puts the relevant ones of a response's headers into the form of
// Want.Headers.
func Collect(headers func(yield func(name, value string) bool)) map[string]string {
	found := map[string]string{}
	headers(func(name, value string) bool {
		if name = strings.ToLower(name); Relevant(name) {
			if before, again := found[name]; again {
				value = before + " | " + value
			}
			found[name] = value
		}
		return true
	})
	return found
}

// Names of headers, as short as a table wants them.
const (
	acao = "access-control-allow-origin"
	acac = "access-control-allow-credentials"
	acam = "access-control-allow-methods"
	acah = "access-control-allow-headers"
	aceh = "access-control-expose-headers"
	acma = "access-control-max-age"
	acpn = "access-control-allow-private-network"
	tao  = "timing-allow-origin"
	vary = "vary"
	said = "x-cors-decision"
)

// Vary of the answers to preflights.
const (
	varyPreflight = "origin, access-control-request-method, access-control-request-headers"
	varyAnyone    = "access-control-request-method, access-control-request-headers"
)

// H is a set of headers.
type H = map[string]string

const shop = "https://shop.example.com"

// standard is the policy of most rows.
const standard = `{
  "allow_origins": ["https://shop.example.com", "https://*.example.org"],
  "allow_methods": ["PUT", "delete"],
  "allow_headers": ["Content-Type", "X-Request-Id"],
  "expose_headers": ["X-Total", "ETag"],
  "allow_credentials": true,
  "max_age": 600
}`

// anyone lets every origin in, without credentials.
const anyone = `{"allow_origins": ["*"], "allow_methods": ["PUT"], "expose_headers": ["x-total"]}`

// message returns a request's headers: method, then those given as name, value.
func message(method string, headers ...string) []Header {
	h := []Header{{":method", method}, {":scheme", "http"}, {":authority", "api.example.com"}, {":path", "/v1/orders"}}
	for i := 0; i+1 < len(headers); i += 2 {
		replaced := false
		for j := range h {
			if strings.HasPrefix(headers[i], ":") && h[j][0] == headers[i] {
				h[j][1], replaced = headers[i+1], true
			}
		}
		if !replaced {
			h = append(h, Header{headers[i], headers[i+1]})
		}
	}
	return h
}

func get(headers ...string) []Header { return message("GET", headers...) }

// preflight asks for a method, from an origin.
func preflight(origin, method string, headers ...string) []Header {
	return message("OPTIONS", append([]string{"origin", origin, "access-control-request-method", method}, headers...)...)
}

// with merges header sets.
func with(sets ...H) H {
	all := H{}
	for _, set := range sets {
		for name, value := range set {
			all[name] = value
		}
	}
	return all
}

// Counters of the usual outcomes.
var (
	preflightAllowed = []string{"origin_valid", "preflight_allowed"}
	preflightDenied  = []string{"origin_invalid", "preflight_denied_origin"}
	methodDenied     = []string{"origin_valid", "preflight_denied_method"}
	headersDenied    = []string{"origin_valid", "preflight_denied_headers"}
	requestAllowed   = []string{"origin_valid", "request_allowed"}
	requestDenied    = []string{"origin_invalid", "request_denied"}
	requestRejected  = []string{"origin_invalid", "request_rejected"}
)

// corsHeaders are the headers that the standard policy adds to a response for the
// origin.
func corsHeaders(origin string) H {
	return H{acao: origin, acac: "true", aceh: "x-total, etag", vary: "origin"}
}

// answered are the headers of the standard policy's answer to a preflight.
func answered(origin string) H {
	return H{
		acao: origin,
		acac: "true",
		acam: "PUT, DELETE",
		acah: "content-type, x-request-id",
		aceh: "x-total, etag",
		acma: "600",
		vary: varyPreflight,
	}
}

// denied is the answer to a preflight of an unlisted origin.
var denied = Want{Reply: 403, Details: "cors_origin_denied", Headers: H{vary: varyPreflight}, Counters: preflightDenied}

// closed is the response to an unlisted origin, or to a request without an origin, of a
// policy that depends on it.
var closed = H{vary: "origin"}
