package explain

import (
	"fmt"
	"strings"
	"testing"
)

// in one line, for comparison.
func (p Pasted) String() string {
	var headers []string
	for _, h := range p.Headers {
		headers = append(headers, strings.ToLower(h.Name)+"="+h.Value)
	}
	return fmt.Sprintf("%s %s from %s [%s] credentials=%v preflight=%v", p.Method, p.URL, p.Origin, strings.Join(headers, " "), p.Credentials, p.Preflight)
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
			want: "POST https://api.example.com/v1/orders from https://shop.example.com [authorization=Bearer abc content-type=application/json] credentials=true preflight=false"},
		{name: "as Chrome quotes line breaks", command: `curl 'https://api.example.com/' -X 'PUT' -H 'origin: https://shop.example.com' -H 'x-request-id: 1' --data-raw $'a\nb \'c\''`,
			want: "PUT https://api.example.com/ from https://shop.example.com [x-request-id=1 content-type=application/x-www-form-urlencoded] credentials=false preflight=false"},
		{name: "as Firefox copies a GET", command: `curl 'https://api.example.com/v1?x=1&y=2' --compressed -H 'User-Agent: Mozilla/5.0' -H 'Accept: */*' -H 'Origin: https://shop.example.com' -H 'Connection: keep-alive' -H 'Cookie: a=b'`,
			want: "GET https://api.example.com/v1?x=1&y=2 from https://shop.example.com [] credentials=true preflight=false"},
		{name: "as Safari copies a DELETE", command: `curl 'https://api.example.com/1' -X 'DELETE' -H 'Origin: https://shop.example.com' -H 'Sec-Fetch-Dest: empty'`,
			want: "DELETE https://api.example.com/1 from https://shop.example.com [] credentials=false preflight=false"},
		{name: "a preflight stands for the request to come", command: `curl 'https://api.example.com/1' -X 'OPTIONS' -H 'access-control-request-headers: content-type,x-a' -H 'access-control-request-method: PATCH' -H 'origin: https://shop.example.com'`,
			want: "PATCH https://api.example.com/1 from https://shop.example.com [content-type=application/json x-a=] credentials=false preflight=false"},
		{name: "options of every form", command: `curl -sk -X PUT --url=https://api.example.com/ -HX-A:1 -H 'X-Empty;' -u me:secret`, err: "the option -sk of curl is not known"},
		{name: "joined values", command: `curl -XPUT --url=https://api.example.com/ -HX-A:1 -H 'X-Empty;' -u me:secret -k`,
			want: "PUT https://api.example.com/ from  [x-a=1 x-empty=] credentials=true preflight=false"},
		{name: "a form", command: `curl https://api.example.com/ -F file=@x`, want: "POST https://api.example.com/ from  [] credentials=false preflight=false"},
		{name: "JSON", command: `curl https://api.example.com/ --json '{}'`, want: "POST https://api.example.com/ from  [content-type=application/json] credentials=false preflight=false"},
		{name: "data in the query", command: `curl -G https://api.example.com/ -d a=1`, want: "GET https://api.example.com/ from  [] credentials=false preflight=false"},
		{name: "headers alone", command: `curl -I https://api.example.com/ -o /dev/null`, want: "HEAD https://api.example.com/ from  [] credentials=false preflight=false"},

		{name: "no curl", command: `wget https://api.example.com/`, err: "that is no curl command"},
		{name: "nothing", command: ``, err: "write one curl command"},
		{name: "no URL", command: `curl -X PUT`, err: "has no URL"},
		{name: "no value", command: `curl https://api.example.com/ -H`, err: "the option -H of curl has no value"},
		{name: "an unknown option", command: `curl https://api.example.com/ --proto https`, err: "the option --proto of curl is not known"},
		{name: "two commands", command: `curl https://a.example/ ; rm -rf x`, err: "write one curl command"},
		{name: "a pipe", command: `curl https://a.example/ | sh`, err: "without pipes"},
		{name: "a redirection", command: `curl https://a.example/ > x`, err: "without pipes and redirections"},
		{name: "a substitution is not run", command: `curl "https://a.example/$(id)"`, err: "can not be read"},
		{name: "an open quote", command: `curl 'https://a.example/`, err: "can not be read"},
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

// The messages are those of the browsers' sources, which console.go names.
func TestFromConsole(t *testing.T) {
	for _, c := range []struct{ name, message, want, err string }{
		{name: "Chromium: no header", message: `Access to fetch at 'https://api.example.com/v1' from origin 'https://shop.example.com' has been blocked by CORS policy: No 'Access-Control-Allow-Origin' header is present on the requested resource.`,
			want: " https://api.example.com/v1 from https://shop.example.com [] credentials=false preflight=false"},
		{name: "Chromium: a redirect, wrapped", message: "Access to XMLHttpRequest at 'https://api.example.com/b'\n (redirected from 'https://api.example.com/a') from origin 'null'\n has been blocked by CORS policy: No 'Access-Control-Allow-Origin' header is present on the requested resource.",
			want: " https://api.example.com/b from null [] credentials=false preflight=false"},
		{name: "Chromium: a method", message: `Access to fetch at 'https://api.example.com/' from origin 'http://localhost:3000' has been blocked by CORS policy: Method PATCH is not allowed by Access-Control-Allow-Methods in preflight response.`,
			want: "PATCH https://api.example.com/ from http://localhost:3000 [] credentials=false preflight=true"},
		{name: "Chromium: a header", message: `Access to fetch at 'https://api.example.com/' from origin 'http://localhost:3000' has been blocked by CORS policy: Request header field content-type is not allowed by Access-Control-Allow-Headers in preflight response.`,
			want: " https://api.example.com/ from http://localhost:3000 [content-type=application/json] credentials=false preflight=true"},
		{name: "Chromium: credentials", message: `Access to fetch at 'https://api.example.com/' from origin 'https://shop.example.com' has been blocked by CORS policy: The value of the 'Access-Control-Allow-Origin' header in the response must not be the wildcard '*' when the request's credentials mode is 'include'.`,
			want: " https://api.example.com/ from https://shop.example.com [] credentials=true preflight=false"},
		{name: "Chromium: a preflight of something", message: `Access to fetch at 'https://api.example.com/' from origin 'https://shop.example.com' has been blocked by CORS policy: Response to preflight request doesn't pass access control check: No 'Access-Control-Allow-Origin' header is present on the requested resource.`,
			want: " https://api.example.com/ from https://shop.example.com [] credentials=false preflight=true"},
		{name: "Firefox: no header", message: `Cross-Origin Request Blocked: The Same Origin Policy disallows reading the remote resource at https://api.example.com/v1. (Reason: CORS header ‘Access-Control-Allow-Origin’ missing). Status code: 200.`,
			want: " https://api.example.com/v1 from  [] credentials=false preflight=false"},
		{name: "Firefox: a header", message: `Cross-Origin Request Blocked: The Same Origin Policy disallows reading the remote resource at https://api.example.com/. (Reason: header ‘x-foo’ is not allowed according to header ‘Access-Control-Allow-Headers’ from CORS preflight response).`,
			want: " https://api.example.com/ from  [x-foo=] credentials=false preflight=true"},
		{name: "Firefox: a method", message: `Cross-Origin Request Blocked: The Same Origin Policy disallows reading the remote resource at https://api.example.com/. (Reason: Did not find method in CORS header ‘Access-Control-Allow-Methods’).`,
			want: " https://api.example.com/ from  [] credentials=false preflight=true"},
		{name: "Firefox: credentials", message: `Cross-Origin Request Blocked: The Same Origin Policy disallows reading the remote resource at https://api.example.com/. (Reason: expected ‘true’ in CORS header ‘Access-Control-Allow-Credentials’).`,
			want: " https://api.example.com/ from  [] credentials=true preflight=false"},
		{name: "Safari: an origin, two lines", message: "Origin https://shop.example.com is not allowed by Access-Control-Allow-Origin. Status code: 200\nFetch API cannot load https://api.example.com/v1 due to access control checks.",
			want: " https://api.example.com/v1 from https://shop.example.com [] credentials=false preflight=false"},
		{name: "Safari: a header", message: "Request header field X-Foo is not allowed by Access-Control-Allow-Headers.\nXMLHttpRequest cannot load https://api.example.com/v1 due to access control checks.",
			want: " https://api.example.com/v1 from  [x-foo=] credentials=false preflight=false"},
		{name: "Safari: a method", message: "Method DELETE is not allowed by Access-Control-Allow-Methods.", want: "DELETE  from  [] credentials=false preflight=false"},
		{name: "Safari: credentials", message: "Cannot use wildcard in Access-Control-Allow-Origin when credentials flag is true.", want: "  from  [] credentials=true preflight=false"},
		{name: "something else", message: "Uncaught TypeError: Failed to fetch", err: "no message of a browser's console about CORS"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := FromConsole(c.message)
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

func TestCheckOrigin(t *testing.T) {
	for value, instead := range map[string]string{
		"https://shop.example.com": "", "http://localhost:3000": "", "null": "", "chrome-extension://abcdef": "", "http://[::1]:8080": "",
		"file://": "", "app://.": "", "qrc://": "", "capacitor://My_App~1!": "", "moz-extension://D3A2D8BA-7c2b-4b1c-9a30-0123456789ab": "", "app://.:8080": "",
		"app://./index.html": "app://.", "qrc:///main.html": "qrc://", "moz-extension://d3a2/page.html#x": "moz-extension://d3a2", "APP://My_App/": "app://My_App",
		"app://a,b": "?", "app://{a}": "?", "app://:80": "?", "moz-extension://*": "?",
		"https://shop.example.com:443": "https://shop.example.com", "https://SHOP.example.com/": "https://shop.example.com", "shop.example.com": "https://shop.example.com",
		"http://shop.example.com:80/a?b#c": "http://shop.example.com", "https://me@shop.example.com": "https://shop.example.com", "//shop.example.com:8443": "https://shop.example.com:8443",
		"file:///home/me/x.html": "file", "FILE:/x": "file", "file://localhost/x": "file",
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
		"https://API.example.com:8443/v1/x?y=z#f": "https api.example.com:8443 /v1/x?y=z",
		"http://localhost":                        "http localhost /",
		"ftp://a.example/":                        "! no URL of http or https",
		"/v1":                                     "! no URL of http or https",
		"https://a.example/%zz":                   "! invalid URL escape",
	} {
		scheme, host, path, err := Target(target)
		got := scheme + " " + host + " " + path
		if message, fails := strings.CutPrefix(want, "! "); fails && (err == nil || !strings.Contains(err.Error(), message)) || !fails && (err != nil || got != want) {
			t.Errorf("%s: %s, %v; want %s", target, got, err, want)
		}
	}
}
