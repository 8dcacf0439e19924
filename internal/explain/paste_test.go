package explain

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"corsfilter/internal/browser"
)

// in one line, for comparison.
func (p Pasted) String() string {
	var headers []string
	for _, h := range p.Headers {
		headers = append(headers, strings.ToLower(h.Name)+"="+h.Value)
	}
	return fmt.Sprintf(
		"%s %s from %s [%s] credentials=%v preflight=%v", p.Method, p.URL, p.Origin, strings.Join(headers, " "), p.Credentials, p.Preflight,
	)
}

func TestFromCurl(t *testing.T) {
	for _, c := range []struct{ name, command, want, err string }{
		{name: "as Chrome copies a POST of JSON", command: `curl 'https://api.example.com/v1/orders' \
  -H 'accept: */*' \
  -H 'accept-language: en-GB,en;q=0.9' \
  -H 'authorization: Bearer abc' \
  -H 'cache-control: no-cache' \
  -H 'content-type: application/json' \
  -b 'session=1; theme=dark' \
  -H 'origin: https://shop.example.com' \
  -H 'pragma: no-cache' \
  -H 'priority: u=1, i' \
  -H 'referer: https://shop.example.com/' \
  -H 'sec-ch-ua: "Chromium";v="142"' \
  -H 'sec-fetch-mode: cors' \
  -H 'sec-fetch-site: same-site' \
  -H 'user-agent: Mozilla/5.0' \
  --data-raw '{"item":"it'\''s"}'`,
			want: "POST https://api.example.com/v1/orders from https://shop.example.com [authorization=Bearer abc " +
				"content-type=application/json] credentials=true preflight=false"},
		{
			name:    "as Chrome quotes line breaks",
			command: `curl 'https://api.example.com/' -X 'PUT' -H 'origin: https://shop.example.com' -H 'x-request-id: 1' --data-raw $'a\nb \'c\''`,
			want: "PUT https://api.example.com/ from https://shop.example.com [x-request-id=1 " +
				"content-type=application/x-www-form-urlencoded] credentials=false preflight=false",
		},
		{
			name: "as Firefox copies a GET",
			command: `curl 'https://api.example.com/v1?x=1&y=2' --compressed -H 'User-Agent: Mozilla/5.0' -H 'Accept: */*' -H ` +
				`'Origin: https://shop.example.com' -H 'Connection: keep-alive' -H 'Cookie: a=b'`,
			want: "GET https://api.example.com/v1?x=1&y=2 from https://shop.example.com [] credentials=true preflight=false",
		},
		{
			name:    "as Safari copies a DELETE",
			command: `curl 'https://api.example.com/1' -X 'DELETE' -H 'Origin: https://shop.example.com' -H 'Sec-Fetch-Dest: empty'`,
			want:    "DELETE https://api.example.com/1 from https://shop.example.com [] credentials=false preflight=false",
		},
		{
			name: "a preflight stands for the request to come",
			command: `curl 'https://api.example.com/1' -X 'OPTIONS' -H 'access-control-request-headers: content-type,x-a' -H ` +
				`'access-control-request-method: PATCH' -H 'origin: https://shop.example.com'`,
			want: "PATCH https://api.example.com/1 from https://shop.example.com " +
				"[content-type=application/json x-a=] credentials=false preflight=false",
		},
		{name: "as Chrome copies for cmd",
			command: "curl ^\"https://api.example.com/v1?a=1^&b=^%^20^\" ^\r\n  -X ^\"PUT^\" ^\r\n  -H ^\"content-type: application/json^\" ^\r\n" +
				"  -H ^\"origin: https://shop.example.com^\" ^\r\n  -H ^\"x-note: say ^\\^\"hi^\\^\" ^& go^\" ^\r\n  --data-raw " +
				"^\"^{^\\^\"a^\\^\":^\\^\"b c^\\^\"^}^\"",
			want: `PUT https://api.example.com/v1?a=1&b=%20 from https://shop.example.com [content-type=application/json x-note=say ` +
				`"hi" & go] credentials=false preflight=false`},
		{name: "as older Chrome copies for cmd",
			command: "curl \"https://api.example.com/v1\" ^\n  -H \"origin: https://shop.example.com\" ^\n  -H \"x-path: C:\\dir\\\\\" " +
				"^\n  --data-raw \"say \"\"hi\"\" 100^%\" ^\n  --compressed",
			want: `POST https://api.example.com/v1 from https://shop.example.com [x-path=C:\dir\ ` +
				`content-type=application/x-www-form-urlencoded] credentials=false preflight=false`},
		{name: "as Firefox copies for cmd", command: `curl.exe ^"https://api.example.com/^" --compressed -H ^"Origin: ` +
			`https://shop.example.com^" -H ^"Cookie: a=b^"`,
			want: "GET https://api.example.com/ from https://shop.example.com [] credentials=true preflight=false"},
		{
			name:    "options of every form",
			command: `curl -sk -X PUT --url=https://api.example.com/ -HX-A:1 -H 'X-Empty;' -u me:secret`,
			err:     "curl's option -sk is not supported",
		},
		{name: "joined values", command: `curl -XPUT --url=https://api.example.com/ -HX-A:1 -H 'X-Empty;' -u me:secret -k`,
			want: "PUT https://api.example.com/ from  [x-a=1 x-empty=] credentials=true preflight=false"},
		{
			name:    "a form",
			command: `curl https://api.example.com/ -F file=@x`,
			want:    "POST https://api.example.com/ from  [] credentials=false preflight=false",
		},
		{
			name:    "JSON",
			command: `curl https://api.example.com/ --json '{}'`,
			want:    "POST https://api.example.com/ from  [content-type=application/json] credentials=false preflight=false",
		},
		{
			name:    "data in the query",
			command: `curl -G https://api.example.com/ -d a=1`,
			want:    "GET https://api.example.com/ from  [] credentials=false preflight=false",
		},
		{
			name:    "headers alone",
			command: `curl -I https://api.example.com/ -o /dev/null`,
			want:    "HEAD https://api.example.com/ from  [] credentials=false preflight=false",
		},

		{name: "no curl", command: `wget https://api.example.com/`, err: "that is not a curl command"},
		{name: "nothing", command: ``, err: "write one curl command"},
		{name: "no URL", command: `curl -X PUT`, err: "has no URL"},
		{name: "no value", command: `curl https://api.example.com/ -H`, err: "curl's option -H has no value"},
		{name: "an unknown option", command: `curl https://api.example.com/ --proto https`, err: "curl's option --proto is not supported"},
		{name: "two commands", command: `curl https://a.example/ ; rm -rf x`, err: "write one curl command"},
		{name: "a pipe", command: `curl https://a.example/ | sh`, err: "without pipes"},
		{name: "a redirection", command: `curl https://a.example/ > x`, err: "without pipes and redirections"},
		{name: "a substitution is not run", command: `curl "https://a.example/$(id)"`, err: "cannot be read"},
		{name: "an open quote", command: `curl 'https://a.example/`, err: "cannot be read"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := FromCurl(c.command)
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Errorf("%v, %v; want %q", got, err, c.err)
				}
				return
			}
			if err != nil || got.String() != c.want {
				t.Errorf("%s, %v\nwant %s", got, err, c.want)
			}
		})
	}
}

// told is what is read of a console's lines, in one line.
func (p Pasted) told() string {
	said := string(p.Said.Engine) + " " + string(p.Said.Kind)
	if p.Said.Status != 0 {
		said += fmt.Sprint(" ", p.Said.Status)
	}
	if p.Said.Value != "" {
		said += fmt.Sprintf(" %q", p.Said.Value)
	}
	if p.Said.Redirected {
		said += " redirected"
	}
	return said + ": " + strings.TrimSpace(strings.Replace(p.String(), " credentials=false preflight=false", "", 1))
}

// TestConsolesOfTheEngines reads what the engines themselves said.
func TestConsolesOfTheEngines(t *testing.T) {
	data, err := os.ReadFile("testdata/consoles.txt")
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	for _, part := range strings.Split(string(data), "=== ")[1:] {
		name, lines, _ := strings.Cut(part, "\n")
		p, err := FromConsole(lines)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if engine, _, _ := strings.Cut(name, ":"); string(p.Said.Engine) != engine {
			t.Errorf("%s: taken for %s", name, p.Said.Engine)
		}
		_, kind, _ := strings.Cut(name, ": ")
		fmt.Fprintf(&got, "%s\n\t%s\n", kind, p.told())
	}
	compareWith(t, "testdata/consoles.read.txt", got.String())
}

// TestFromConsole reads what people paste otherwise: lines alone, wrapped, of other
// versions, and of what never reached the network.
func TestFromConsole(t *testing.T) {
	const access = "Access to fetch at 'http://192.168.1.9/x' from origin 'https://shop.example.com' has been blocked by CORS policy: "
	for _, c := range []struct{ name, message, want, err string }{
		{name: "a redirect, wrapped", want: "Chromium allow-origin-missing redirected: https://api.example.com/b from null []",
			message: "Access to XMLHttpRequest at 'https://api.example.com/b'\n (redirected from 'https://api.example.com/a') from origin 'null'\n" +
				" has been blocked by CORS policy: No 'Access-Control-Allow-Origin' header is present on the requested resource."},
		{name: "a line cut off", message: access, want: "Chromium blocked: http://192.168.1.9/x from https://shop.example.com []"},
		{name: "Chromium 142", message: access + "Permission was denied for this request to access the `unknown` address space.",
			want: `Chromium local-network "unknown": http://192.168.1.9/x from https://shop.example.com []`},
		{name: "a page over http", message: access + "The request client is not a secure context and the resource is in more-private " +
			"address space `private`.",
			want: `Chromium local-network-insecure-page "private": http://192.168.1.9/x from https://shop.example.com []`},
		{name: "another address space", message: access + "Request had a target IP address space of `loopback` yet the resource is " +
			"in address space `local`.",
			want: `Chromium local-network-address-space "local": http://192.168.1.9/x from https://shop.example.com []`},
		{name: "private network access", message: access + "Response to preflight request doesn't pass access control check: " +
			"No 'Access-Control-Allow-Private-Network' header was present in the preflight response for this private network request " +
			"targeting the `private` address space.",
			want: "Chromium private-network-not-allowed: http://192.168.1.9/x from https://shop.example.com [] credentials=false preflight=true"},
		{name: "authorization under a star, in Chromium", want: "Chromium authorization-under-star: from  []",
			message: "Authorization will not be covered by the wildcard symbol (*) in CORS 'Access-Control-Allow-Headers' handling."},
		{name: "authorization under a star, in Firefox", want: "Firefox authorization-under-star: https://api.example.com/ from  []",
			message: "Cross-Origin Request Warning: The Same Origin Policy will disallow reading the remote resource at " +
				"https://api.example.com/ soon. " +
				"(Reason: When the `Access-Control-Allow-Headers` is `*`, the `Authorization` header is not covered.)"},
		{name: "a dead server", message: "GET https://api.example.com/v1 net::ERR_CONNECTION_REFUSED",
			want: `Chromium no-answer "CONNECTION_REFUSED": https://api.example.com/v1 from  []`},
		{name: "the line behind a block", message: "GET https://api.example.com/v1 net::ERR_FAILED 200 (OK)",
			want: "Chromium blocked: https://api.example.com/v1 from  []"},
		{name: "an extension", message: "POST https://api.example.com/v1 net::ERR_BLOCKED_BY_CLIENT",
			want: "Chromium blocked-by-extension: https://api.example.com/v1 from  []"},
		{name: "opaque response blocking", message: "GET https://api.example.com/x.png net::ERR_BLOCKED_BY_ORB",
			want: "Chromium cross-origin-resource-policy: https://api.example.com/x.png from  []"},
		{name: "mixed content in Chromium", want: "Chromium mixed-content: http://api.example.com/v1 from  []",
			message: "Mixed Content: The page at 'https://shop.example.com/' was loaded over HTTPS, but requested an insecure resource " +
				"'http://api.example.com/v1'. " +
				"This request has been blocked; the content must be served over HTTPS."},
		{name: "mixed content in Firefox", message: "Blocked loading mixed active content “http://api.example.com/v1”",
			want: "Firefox mixed-content: http://api.example.com/v1 from  []"},
		{name: "mixed content in WebKit", want: "WebKit mixed-content: http://127.0.0.1:7717/health from  []",
			message: "[blocked] The page at https://shop.example.com/ requested insecure content from http://127.0.0.1:7717/health. " +
				"This content was blocked and must be served over HTTPS."},
		{name: "a WebSocket in Chromium", want: `Chromium websocket-handshake 403: wss://api.example.com/live from  []`,
			message: "WebSocket connection to 'wss://api.example.com/live' failed: Error during WebSocket handshake: Unexpected response code: 403"},
		{name: "Safari, the first line alone", message: "Preflight response is not successful. Status code: 403",
			want: "WebKit preflight-status 403: from  [] credentials=false preflight=true"},
		{name: "Safari, two origins", message: "[Error] Access-Control-Allow-Origin cannot contain more than one origin.",
			want: "WebKit allow-origin-multiple: from  []"},
		{name: "Safari, a URL behind the word", message: "Cannot load image URL https://api.example.com/x.png due to access control " +
			"checks.", want: "WebKit blocked: https://api.example.com/x.png from  []"},
		{name: "Safari, a stream", message: "EventSource cannot load URL https://api.example.com/live due to access control checks.",
			want: "WebKit blocked: https://api.example.com/live from  []"},
		{name: "something else", message: "Uncaught TypeError: Failed to fetch",
			err: "that is not a console message about a failed request"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := FromConsole(c.message)
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Errorf("%v, %v; want %q", got, err, c.err)
				}
				return
			}
			if err != nil || got.told() != c.want {
				t.Errorf("%s, %v\nwant %s", got.told(), err, c.want)
			}
		})
	}
}

// TestWhatNoPolicyDecides: each of these kinds has a plain word and a remedy, and neither
// an origin nor a waiver is one.
func TestWhatNoPolicyDecides(t *testing.T) {
	for _, kind := range []Kind{
		LocalNetwork, InsecurePage, AddressSpace, NoAnswer, MixedContent, ContentPolicy, ResourcePolicy, ByExtension, Redirect, NotHTTP,
		SameOriginOnly, Deprecation,
	} {
		report := ByNoPolicy(&Said{Kind: kind, Value: "x"})
		if report == nil || report.Allowed != (kind == Deprecation) || report.Remedy == "" || strings.Contains(report.Remedy, "allow_origins") ||
			strings.Contains(report.Remedy, "dangerously") || strings.Contains(report.Verdict, "%") {
			t.Errorf("%s: %+v", kind, report)
		}
	}
	for _, kind := range []Kind{browser.OriginMissing, browser.PrivateNetworkDenied, Blocked, Handshake} {
		if report := ByNoPolicy(&Said{Kind: kind}); report != nil {
			t.Errorf("%s: %s", kind, report.Verdict)
		}
	}
	for _, l := range lines {
		if meanings[l.kind].says == "" {
			t.Errorf("%s has no meaning", l.kind)
		}
	}
}

// TestTheConsoleSaysOtherwise holds what a console said to what the policy causes.
func TestTheConsoleSaysOtherwise(t *testing.T) {
	const reject = `{"allow_origins": ["https://shop.example.com"], "allow_methods": ["PUT"], "disallowed_requests": "reject"}`
	shop, evil := "https://shop.example.com", "https://evil.example"
	for _, c := range []struct {
		name, policy string
		request      browser.Request
		said         Said
		otherwise    string // "": it agrees
	}{
		{"the policy allows it", reject, browser.Request{Origin: shop, Method: "GET"}, Said{Kind: browser.OriginMissing},
			"your console says otherwise: the answer has no Access-Control-Allow-Origin that allows the page"},
		{"behind a redirect", reject, browser.Request{Origin: shop, Method: "GET"}, Said{Kind: browser.OriginMissing, Redirected: true},
			"your console says otherwise: the answer has no Access-Control-Allow-Origin that allows the page"},
		{"two values", reject, browser.Request{Origin: evil, Method: "GET"}, Said{Kind: browser.OriginMultiple, Value: "a, b"},
			`your console says otherwise: the answer has more than one Access-Control-Allow-Origin ("a, b")`},
		{"an origin that is not allowed", reject, browser.Request{Origin: evil, Method: "GET"}, Said{Kind: browser.OriginMissing}, ""},
		{"its preflight in WebKit", reject, browser.Request{Origin: evil, Method: "PUT"}, Said{Engine: browser.WebKit,
			Kind: browser.PreflightStatus, Status: 403}, ""},
		{"its preflight in WebKit, answered by another", reject, browser.Request{Origin: evil, Method: "PUT"},
			Said{Engine: browser.WebKit, Kind: browser.PreflightStatus, Status: 401},
			"your console says otherwise: the preflight was answered with a status that is not 200 to 299 (401 Unauthorized)"},
		{"the status of a preflight that lacks more", reject, browser.Request{Origin: evil, Method: "PUT"},
			Said{Engine: browser.Chromium, Kind: browser.PreflightStatus},
			"your console says otherwise: the preflight was answered with a status that is not 200 to 299"},
		{"a method", reject, browser.Request{Origin: shop, Method: "DELETE"}, Said{Kind: browser.MethodNotAllowed}, ""},
		{"a method that is allowed", reject, browser.Request{Origin: shop, Method: "PUT"}, Said{Kind: browser.MethodNotAllowed},
			"your console says otherwise: the method is not in Access-Control-Allow-Methods"},
		{"authorization", reject, browser.Request{Origin: shop, Method: "GET", Headers: []browser.Header{header("authorization", "x")}},
			Said{Kind: browser.HeaderNotAllowed}, ""},
		{"a line without a reason", reject, browser.Request{Origin: evil, Method: "GET"}, Said{Kind: Blocked}, ""},
		{"upstream decides", `{"allow_origins": ["https://shop.example.com"], "mode": "shadow"}`, browser.Request{Origin: shop,
			Method: "GET"}, Said{Kind: browser.OriginMultiple},
			"your console shows upstream's answer: the answer has more than one Access-Control-Allow-Origin"},
	} {
		report, err := Explain([]byte(c.policy), Request{Request: c.request, Host: "api.example.com", Path: "/"})
		if err != nil {
			t.Fatal(err)
		}
		report.Compare(&c.said)
		if report.Otherwise != c.otherwise || report.Allowed {
			t.Errorf("%s: %q, want %q", c.name, report.Otherwise, c.otherwise)
		}
		if redirected := slices.Contains(report.Causes, nullByRedirect); redirected != c.said.Redirected {
			t.Errorf("%s: causes %q", c.name, report.Causes)
		}
		if upstream := report.UpstreamDecides; (len(report.Causes) > 0) != (c.otherwise != "" && !upstream) ||
			(report.Remedy == "") != (c.otherwise != "") {
			t.Errorf("%s: causes %q, remedy %q", c.name, report.Causes, report.Remedy)
		}
	}
}

func TestCheckOrigin(t *testing.T) {
	for value, instead := range map[string]string{
		"https://shop.example.com": "", "http://localhost:3000": "", "null": "", "chrome-extension://abcdef": "", "http://[::1]:8080": "",
		"file://": "", "app://.": "", "qrc://": "", "capacitor://My_App~1!": "", "moz-extension://D3A2D8BA-7c2b-4b1c-9a30-0123456789ab": "",
		"app://.:8080":       "",
		"app://./index.html": "app://.", "qrc:///main.html": "qrc://", "moz-extension://d3a2/page.html#x": "moz-extension://d3a2",
		"APP://My_App/": "app://My_App",
		"app://a,b":     "?", "app://{a}": "?", "app://:80": "?", "moz-extension://*": "?",
		"https://shop.example.com:443": "https://shop.example.com", "https://SHOP.example.com/": "https://shop.example.com",
		"shop.example.com":                 "https://shop.example.com",
		"http://shop.example.com:80/a?b#c": "http://shop.example.com", "https://me@shop.example.com": "https://shop.example.com",
		"//shop.example.com:8443": "https://shop.example.com:8443",
		"file:///home/me/x.html":  "file", "FILE:/x": "file", "file://localhost/x": "file",
		"about:blank": "null", "data:text/html,x": "null", "NULL": "null", "https://bücher.example": "https://xn--bcher-kva.example",
		"HTTP://[::1]:80": "http://[::1]", "https://*.example.com": "?", "https://": "?", "": "?", "https://a b": "?",
	} {
		err := CheckOrigin(value)
		if instead == "file" {
			if err == nil || !strings.Contains(err.Error(), `write "null", or "file://", which`) {
				t.Errorf("%q: %v", value, err)
			}
			continue
		}
		switch {
		case instead == "":
			if err != nil {
				t.Errorf("%q: %v", value, err)
			}
		case instead == "?":
			if err == nil || !strings.Contains(err.Error(), "write scheme, host and") {
				t.Errorf("%q: %v", value, err)
			}
		case err == nil || err.Error() != fmt.Sprintf("%q is not what a browser sends as Origin; write %q", value, instead):
			t.Errorf("%q: %v, want %q", value, err, instead)
		}
	}
}

func TestTarget(t *testing.T) {
	for target, want := range map[string]string{
		"https://API.example.com:8443/v1/x?y=z#f": "https api.example.com:8443 /v1/x?y=z false",
		"http://localhost":                        "http localhost / false",
		"wss://api.example.com/live":              "https api.example.com /live true",
		"ws://localhost:8080":                     "http localhost:8080 / true",
		"ftp://a.example/":                        "! is not an http, https, ws or wss URL",
		"/v1":                                     "! is not an http, https, ws or wss URL",
		"https://a.example/%zz":                   "! invalid URL escape",
	} {
		var r Request
		err := r.Target(target)
		got := fmt.Sprint(r.Scheme, " ", r.Host, " ", r.Path, " ", r.WebSocket)
		if message, fails := strings.CutPrefix(want, "! "); fails && (err == nil || !strings.Contains(err.Error(), message)) || !fails &&
			(err != nil || got != want) {
			t.Errorf("%s: %s, %v; want %s", target, got, err, want)
		}
	}
}
