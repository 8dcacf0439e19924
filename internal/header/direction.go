package header

// responseOnly are names that are registered for responses alone: what the
// header says makes no sense in a request (RFC 9110 unless another is named).
// Representation metadata such as content-encoding goes both ways and is not
// among them.
var responseOnly = setOf(
	// Fetch, section 3.3.3; Private Network Access, section 3.1.
	"access-control-allow-credentials", "access-control-allow-headers", "access-control-allow-methods",
	"access-control-allow-origin", "access-control-allow-private-network", "access-control-expose-headers",
	"access-control-max-age", "timing-allow-origin",
	"accept-ranges", "age", "allow", "authentication-info", "etag", "last-modified", "location",
	"retry-after", "server", "vary", "www-authenticate",
	"accept-patch",                        // RFC 5789
	"alt-svc",                             // RFC 7838
	"clear-site-data",                     // Clear Site Data
	"content-security-policy",             // CSP 3
	"content-security-policy-report-only", // CSP 3
	"cross-origin-embedder-policy",        // HTML
	"cross-origin-opener-policy",          // HTML
	"cross-origin-resource-policy",        // Fetch
	"expires",                             // RFC 9111
	"permissions-policy",                  // Permissions Policy
	"referrer-policy",                     // Referrer Policy
	"reporting-endpoints",                 // Reporting API
	"server-timing",                       // Server Timing
	"set-cookie",                          // RFC 6265
	"strict-transport-security",           // RFC 6797
	"x-content-type-options",              // Fetch
	"x-frame-options",                     // HTML
)

// requestOnly are names that are registered for requests alone. Accept and
// accept-encoding are not among them: a 415 response carries them.
var requestOnly = setOf(
	"access-control-request-headers", "access-control-request-method", "access-control-request-private-network",
	Authorization, "expect", "from", "host", "if-match", "if-modified-since", "if-none-match", "if-range",
	"if-unmodified-since", "max-forwards", "proxy-authorization", "range", "referer", "te", "user-agent",
	"cookie",                    // RFC 6265
	"origin",                    // Fetch
	"upgrade-insecure-requests", // Upgrade Insecure Requests
)

// ResponseOnly reports whether the field is one of responses, so that no script
// has a reason to send it. name must be in lower case.
func ResponseOnly(name string) bool { return responseOnly.Has(name) }

// RequestOnly reports whether the field is one of requests, so that there is
// nothing to read in a response. name must be in lower case.
func RequestOnly(name string) bool { return requestOnly.Has(name) }
