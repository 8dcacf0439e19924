package explain

import (
	"errors"
	"regexp"
	"strconv"
	"strings"

	"corsfilter/internal/browser"
)

// Kind says what a console complains about: a reason of the textbook browser, or one of
// these, which no check of an answer gives.
type Kind = browser.Reason

// What a console says that no policy decides.
const (
	// Blocked is a line without a reason, such as WebKit's second one.
	Blocked Kind = "blocked"
	// Handshake is a WebSocket's that failed.
	Handshake Kind = "websocket-handshake"
	// Deprecation is a warning: the request went through.
	Deprecation  Kind = "authorization-under-star"
	LocalNetwork Kind = "local-network"
	// InsecurePage is one that may not ask for its local network at all.
	InsecurePage Kind = "local-network-insecure-page"
	// AddressSpace is not the one that the script named.
	AddressSpace   Kind = "local-network-address-space"
	NoAnswer       Kind = "no-answer"
	MixedContent   Kind = "mixed-content"
	ContentPolicy  Kind = "content-security-policy"
	ResourcePolicy Kind = "cross-origin-resource-policy"
	ByExtension    Kind = "blocked-by-extension"
	Redirect       Kind = "redirect"
	NotHTTP        Kind = "not-http"
	SameOriginOnly Kind = "same-origin-mode"
)

// Said is what a console says.
type Said struct {
	Engine browser.Engine `json:"engine,omitempty"`
	Kind   Kind           `json:"kind"`
	// Status is the one that it names; 0: none.
	Status int `json:"status,omitempty"`
	// Value is that of the header at fault, or the address space.
	Value string `json:"value,omitempty"`
	// Redirected says that it was a redirect which led there.
	Redirected bool `json:"redirected,omitempty"`
}

// lines are the consoles' messages, more specific ones first. The groups of a match are named
// after what they contain. Chromium's are in
// services/network/public/cpp/cors and blink's cors_error_string.cc, Firefox's in
// dom/locales/en-US/chrome/security/security.properties, WebKit's in
// CrossOriginAccessControl.cpp and DocumentThreadableLoader.cpp. The console cuts and
// wraps, and people paste several lines at once, so each is searched separately.
var lines = compiled([]line{
	{browser.Chromium, browser.OriginMissing, `No 'Access-Control-Allow-Origin' header is present on the requested resource`},
	{browser.Chromium, browser.WildcardCredentials, `'Access-Control-Allow-Origin' header in the response must not be the wildcard '\*'`},
	{browser.Chromium, browser.OriginMultiple, `'Access-Control-Allow-Origin' header contains multiple values '(?P<value>[^']*)'`},
	{browser.Chromium, browser.OriginMismatch, `'Access-Control-Allow-Origin' header contains the invalid value '(?P<value>[^']*)'`},
	{browser.Chromium, browser.OriginMismatch, `'Access-Control-Allow-Origin' header has a value '(?P<value>[^']*)' that is not equal to the supplied origin`},
	{browser.Chromium, browser.CredentialsMissing, `'Access-Control-Allow-Credentials' header in the response is '(?P<value>[^']*)' which must be 'true'`},
	{browser.Chromium, browser.PreflightStatus, `It does not have HTTP ok status|Redirect is not allowed for a preflight request`},
	{browser.Chromium, browser.MethodsMalformed, `Cannot parse Access-Control-Allow-Methods response header field`},
	{browser.Chromium, browser.HeadersMalformed, `Cannot parse Access-Control-Allow-Headers response header field`},
	{browser.Chromium, browser.MethodNotAllowed, `Method (?P<method>\S+) is not allowed by Access-Control-Allow-Methods in preflight response`},
	{browser.Chromium, browser.HeaderNotAllowed, `Request header field (?P<header>\S+) is not allowed by Access-Control-Allow-Headers in preflight response`},
	{browser.Chromium, browser.PrivateNetworkDenied, `'Access-Control-Allow-Private-Network' header (?:was present )?in the preflight response`},
	{browser.Chromium, LocalNetwork, "Permission was denied for this request to access the [`']?(?P<value>\\w+)[`']? address space"},
	{browser.Chromium, LocalNetwork, `net::ERR_BLOCKED_BY_(?:LOCAL|PRIVATE)_NETWORK_ACCESS_CHECKS`},
	{browser.Chromium, InsecurePage, "request client is not a secure context and the resource is in more-private address space [`']?(?P<value>\\w+)"},
	{browser.Chromium, AddressSpace, "Request had a target IP address space of .{1,20} yet the resource is in address space [`']?(?P<value>\\w+)"},
	{browser.Chromium, Redirect, `Redirect location '(?P<value>[^']*)' contains a username and password`},
	{browser.Chromium, NotHTTP, `Fetch API cannot load (?P<url>\S+?)\. URL scheme "\S+" is not supported|Cross origin requests are only supported for protocol schemes`},
	{browser.Chromium, SameOriginOnly, `Fetch API cannot load (?P<url>\S+?)\. Request mode is "same-origin"|Cross origin requests are not allowed by request mode`},
	{browser.Chromium, Deprecation, `Authorization will not be covered by the wildcard symbol`},
	{browser.Chromium, MixedContent, `Mixed Content: The page at '[^']*' was loaded over HTTPS, but (?:requested an insecure|attempted to connect to the insecure) .{1,40}? '(?P<url>[^']+)'`},
	{browser.Chromium, ContentPolicy, `(?:Refused to connect to|Connecting to|Refused to load the \w+|Loading the \w+) '(?P<url>[^']+)'.{1,20}violates the following Content Security Policy`},
	{browser.Chromium, ByExtension, `net::ERR_BLOCKED_BY_CLIENT`},
	{browser.Chromium, ResourcePolicy, `net::ERR_BLOCKED_BY_(?:ORB|RESPONSE)`},
	{browser.Chromium, Blocked, `Access to .{1,40}? at '(?P<url>[^']+)'(?: \(redirected from '(?P<redirected>[^']+)'\))? from origin '(?P<origin>[^']+)' has been blocked by CORS policy`},
	{browser.Chromium, Handshake, `WebSocket connection to '(?P<url>[^']+)' failed: Error (?:during WebSocket handshake|in connection establishment)(?:: Unexpected response code: (?P<status>\d+))?`},
	{browser.Chromium, Blocked, `(?:[A-Z]+ (?P<url>https?://\S+) )?net::ERR_FAILED`},
	{browser.Chromium, NoAnswer, `(?:[A-Z]+ (?P<url>https?://\S+) )?net::ERR_(?P<value>[A-Z_]+)`},

	{browser.Firefox, browser.OriginMissing, `Reason: CORS header ‘Access-Control-Allow-Origin’ missing\)(?:\. Status code: (?P<status>\d+))?`},
	{browser.Firefox, browser.OriginMultiple, `Reason: Multiple CORS header ‘Access-Control-Allow-Origin’ not allowed`},
	{browser.Firefox, browser.OriginMultiple, `Reason: CORS header ‘Access-Control-Allow-Origin’ does not match ‘(?P<value>[^’]*,[^’]*)’`},
	{browser.Firefox, browser.OriginMismatch, `Reason: CORS header ‘Access-Control-Allow-Origin’ does not match ‘(?P<value>[^’]*)’`},
	{browser.Firefox, browser.WildcardCredentials, `Reason: Credential is not supported if the CORS header ‘Access-Control-Allow-Origin’ is ‘\*’`},
	{browser.Firefox, browser.CredentialsMissing, `Reason: expected ‘true’ in CORS header ‘Access-Control-Allow-Credentials’`},
	{browser.Firefox, browser.PreflightStatus, `Reason: CORS preflight response did not succeed\)(?:\. Status code: (?P<status>\d+))?`},
	{browser.Firefox, browser.MethodsMalformed, `Reason: invalid token ‘(?P<value>[^’]*)’ in CORS header ‘Access-Control-Allow-Methods’`},
	{browser.Firefox, browser.HeadersMalformed, `Reason: invalid token ‘(?P<value>[^’]*)’ in CORS header ‘Access-Control-Allow-Headers’`},
	{browser.Firefox, browser.MethodNotAllowed, `Reason: Did not find method in CORS header ‘Access-Control-Allow-Methods’`},
	{browser.Firefox, browser.HeaderNotAllowed, `Reason: header ‘(?P<header>[^’]+)’ is not allowed according to header ‘Access-Control-Allow-Headers’`},
	{browser.Firefox, Redirect, `Reason: CORS request external redirect not allowed`},
	{browser.Firefox, NotHTTP, `Reason: CORS request not http`},
	{browser.Firefox, Deprecation, `Cross-Origin Request Warning: .{1,60} disallow reading the remote resource at ‘?(?P<url>[^\s’]+)’? soon`},
	{browser.Firefox, NoAnswer, `Reason: CORS request did not succeed`},
	{browser.Firefox, Blocked, `disallows reading the remote resource at ‘?(?P<url>[^\s’]+?)’?\.? \(Reason: `},
	{browser.Firefox, Handshake, `Firefox can’t establish a connection to the server at (?P<url>wss?://\S+?)\.?(?: |$)`},
	{browser.Firefox, NoAnswer, `Firefox can’t establish a connection to the server at (?P<url>https?://\S+?)\.?(?: |$)`},
	{browser.Firefox, SameOriginOnly, `Security Error: Content at \S+ may not load data from (?P<url>\S+?)\.?(?: |$)`},
	{browser.Firefox, MixedContent, `Blocked loading mixed (?:active|display) content “(?P<url>[^”]+)”`},
	{browser.Firefox, ContentPolicy, `Content-Security-Policy: The page’s settings blocked .{1,200}? at (?P<url>(?:http|ws)s?://\S+)`},
	{browser.Firefox, ResourcePolicy, `resource at “(?P<url>[^”]+)” was blocked due to its Cross-Origin-Resource-Policy header`},

	{browser.WebKit, browser.OriginMissing, `Origin (?P<origin>\S+) is not allowed by Access-Control-Allow-Origin(?:\. Status code: (?P<status>\d+))?`},
	{browser.WebKit, browser.OriginMultiple, `Access-Control-Allow-Origin cannot contain more than one origin`},
	{browser.WebKit, browser.WildcardCredentials, `Cannot use wildcard in Access-Control-Allow-Origin when credentials flag is true`},
	{browser.WebKit, browser.CredentialsMissing, `Credentials flag is true, but Access-Control-Allow-Credentials is not "true"`},
	{browser.WebKit, browser.PreflightStatus, `Preflight response is not successful(?:\. Status code: (?P<status>\d+))?`},
	{browser.WebKit, browser.MethodsMalformed, `Header Access-Control-Allow-Methods has an invalid value: (?P<value>.*?)(?: (?:Fetch API|XMLHttpRequest|EventSource|Cannot) |$)`},
	{browser.WebKit, browser.HeadersMalformed, `Header Access-Control-Allow-Headers has an invalid value: (?P<value>.*?)(?: (?:Fetch API|XMLHttpRequest|EventSource|Cannot) |$)`},
	{browser.WebKit, browser.MethodNotAllowed, `Method (?P<method>\S+) is not allowed by Access-Control-Allow-Methods(?:\.|$)`},
	{browser.WebKit, browser.HeaderNotAllowed, `Request header field (?P<header>\S+) is not allowed by Access-Control-Allow-Headers(?:\.|$)`},
	{browser.WebKit, Redirect, `Cross-origin redirection to (?P<value>\S+) denied by Cross-Origin Resource Sharing policy`},
	{browser.WebKit, NotHTTP, `Cross origin requests are only supported for HTTP`},
	{browser.WebKit, MixedContent, `\[blocked\] The page at \S+ requested insecure content from (?P<url>\S+?)\. `},
	{browser.WebKit, ContentPolicy, `Refused to (?:connect to|load) (?P<url>\S+) because it (?:does not appear in|violates) the`},
	{browser.WebKit, ResourcePolicy, `Cancelled load to (?P<url>\S+) because it violates the resource's Cross-Origin-Resource-Policy`},
	{browser.WebKit, Handshake, `WebSocket connection to '(?P<url>[^']+)' failed(?:: Unexpected response code: (?P<status>\d+))?`},
	{browser.WebKit, NoAnswer, `Could not connect to|A server with the specified hostname could not be found|(?:network connection was lost|Connection terminated unexpectedly)`},
	{browser.WebKit, Blocked, `(?:(?:Fetch API|XMLHttpRequest|EventSource|Beacon API) cannot load|Cannot load \w+) (?:URL )?(?P<url>[a-z]+://\S+?)\.?(?: |$)`},
	{browser.WebKit, Blocked, `Cross-origin script load denied by Cross-Origin Resource Sharing policy`},
})

// line is one message.
type line struct {
	engine  browser.Engine
	kind    Kind
	pattern string
}

type compiledLine struct {
	line
	*regexp.Regexp
}

func compiled(lines []line) (all []compiledLine) {
	for _, l := range lines {
		all = append(all, compiledLine{l, regexp.MustCompile(l.pattern)})
	}
	return all
}

// ofPreflights are complaints that only an answer to a preflight gives.
var ofPreflights = map[Kind]bool{
	browser.PreflightStatus: true, browser.MethodsMalformed: true, browser.HeadersMalformed: true, browser.MethodNotAllowed: true,
	browser.HeaderNotAllowed: true, browser.PrivateNetworkDenied: true,
}

// FromConsole reads what a browser's console says of a request: one message or
// several, of Chromium, Firefox or WebKit.
func FromConsole(message string) (p Pasted, err error) {
	text := strings.Join(strings.Fields(message), " ")
	for _, l := range lines {
		for _, m := range l.FindAllStringSubmatch(text, -1) {
			part := func(name string) string {
				if i := l.SubexpIndex(name); i >= 0 {
					return m[i]
				}
				return ""
			}
			if p.Said == nil {
				status, _ := strconv.Atoi(part("status"))
				p.Said = &Said{Engine: l.engine, Kind: l.kind, Status: status, Value: part("value")}
			}
			first := func(field *string, value string) {
				if *field == "" {
					*field = value
				}
			}
			first(&p.URL, part("url"))
			first(&p.Origin, part("origin"))
			first(&p.Method, part("method"))
			p.Said.Redirected = p.Said.Redirected || part("redirected") != ""
			if name := part("header"); name != "" {
				p.Headers = append(p.Headers, browser.Header{Name: name, Value: ExampleValue(name)})
			}
		}
	}
	if p.Said == nil {
		return p, errors.New("that is not a console message about a failed request; paste the complete message, such as: Access to fetch at 'https://api.example.com/' from origin 'https://shop.example.com' has been blocked by CORS policy: …")
	}
	p.Credentials = p.Said.Kind == browser.WildcardCredentials || p.Said.Kind == browser.CredentialsMissing
	// After a failed preflight Firefox also says that the request did not succeed.
	p.Preflight = ofPreflights[p.Said.Kind] || strings.Contains(text, "Response to preflight request") ||
		p.Said.Engine == browser.Firefox && p.Said.Kind != NoAnswer && strings.Contains(text, "Reason: CORS request did not succeed")
	return p, nil
}
