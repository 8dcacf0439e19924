package browser

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
)

// The cases of web-platform-tests' cors/ that can be asked of a filter in front of a
// server, by their files. Other tests here ask the rest of its files, or none can:
//
//   - cors-safelisted-request-header, simple-requests and client-hint-request-headers:
//     the calls of the textbook tests; preflight-cache: the test of that name here;
//   - allow-headers and access-control-expose-headers-parsing: how a browser reads
//     lists that are written in odd ways, and the filter writes its own;
//   - redirect-userinfo, script-304 and the checks of progress events: the browser's
//     alone, whatever the server sends.
const (
	wptPage = "https://page.example"
	wptOwn  = `"allow_origins": ["` + wptPage + `"]`
)

var platformTests = []struct {
	file, name string
	policy     string // without its braces
	origin     string // of the page; empty: wptPage
	query      string // what upstream answers: status, and headers by their names
	script     string // the promise of a text
	want       string // "blocked": the script got an error
	arrives    string // the methods, in their order
}{
	{"basic", "an allowed origin", wptOwn, "", "", `text()`, "served", "GET"},
	{"basic", "any origin", `"allow_origins": ["*"]`, "", "", `text()`, "served", "GET"},
	{"basic", "a policy without the origin", `"allow_origins": ["https://other.example"]`, "", "", `text()`, "blocked", "GET"},
	{"basic", "another port is another origin", wptOwn, wptPage + ":8443", "", `text()`, "blocked", "GET"},
	{"basic", "another scheme is another origin", wptOwn, "http://page.example", "", `text()`, "blocked", "GET"},
	{"origin", "a subdomain is another origin", wptOwn, "https://www.page.example", "", `text()`, "blocked", "GET"},
	{"origin", "upstream's own value, twice", wptOwn, "", "access-control-allow-origin=*&access-control-allow-origin=*",
		`text()`, "served", "GET"},
	{"origin", "upstream's own value, malformed", wptOwn, "", "access-control-allow-origin=page.example", `text()`, "served", "GET"},
	{"origin", "upstream's own star lets in nobody else", `"allow_origins": ["https://other.example"]`, "",
		"access-control-allow-origin=*", `text()`, "blocked", "GET"},
	{"remote-origin", "a sandboxed frame", wptOwn, "null", "", `text()`, "blocked", "GET"},
	{"remote-origin", "a sandboxed frame, and any origin", `"allow_origins": ["*"]`, "null", "", `text()`, "served", "GET"},
	{"allow-headers", "names compare without case", wptOwn + `, "allow_headers": ["X-PrInT"]`, "", "",
		`text({ headers: { "x-pRiNt": "1" } })`, "served", "OPTIONS GET"},
	{"allow-headers", "one of two is not listed", wptOwn + `, "allow_headers": ["x-print"]`, "", "",
		`text({ headers: { "x-print": "1", "x-other": "1" } })`, "blocked", "OPTIONS"},
	{"request-headers", "an empty value asks as well", wptOwn, "", "", `text({ headers: { "x-print": "" } })`, "blocked", "OPTIONS"},
	{"request-headers", "forbidden names are not sent", wptOwn, "", "",
		`text({ headers: { "Cookie": "a=b", "Sec-X": "1" } })`, "served", "GET"},
	{"credentials-flag", "included and allowed", wptOwn + `, "allow_credentials": true`, "", "",
		`text({ credentials: "include" })`, "served", "GET"},
	{"credentials-flag", "included and not allowed", wptOwn, "", "", `text({ credentials: "include" })`, "blocked", "GET"},
	{"credentials-flag", "upstream's own word does not count", wptOwn, "", "access-control-allow-credentials=true",
		`text({ credentials: "include" })`, "blocked", "GET"},
	{"credentials-flag", "omitted and allowed", wptOwn + `, "allow_credentials": true`, "", "", `text()`, "served", "GET"},
	{"response-headers", "those that are never hidden", wptOwn, "", "cache-control=no-cache&content-language=de&x-one=1",
		`header("cache-control", "content-language", "x-one")`, "no-cache|de|-", "GET"},
	{"response-headers", "those that are exposed", wptOwn + `, "expose_headers": ["X-One"]`, "", "x-one=1&x-two=2",
		`header("x-one", "x-two")`, "1|-", "GET"},
	{"access-control-expose-headers-parsing", "upstream's own list does not count", wptOwn, "",
		"access-control-expose-headers=x-one&x-one=1",
		`header("x-one")`, "-", "GET"},
	{"status", "404 is read", wptOwn, "", "status=404", `status()`, "404", "GET"},
	{"status", "500 is read", wptOwn, "", "status=500", `status()`, "500", "GET"},
	{"status", "204 is read", wptOwn, "", "status=204", `status()`, "204", "GET"},
	{"status-async", "404 to another origin", wptOwn, "https://other.example", "status=404", `status()`, "blocked", "GET"},
	{"status-preflight", "upstream's status is not the preflight's", wptOwn + `, "allow_methods": ["PUT"]`, "", "status=404",
		`status({ method: "PUT" })`, "404", "OPTIONS PUT"},
	{"preflight-failure", "the request is not sent", wptOwn, "", "", `text({ method: "PUT" })`, "blocked", "OPTIONS"},
	{"redirect-preflight", "upstream cannot redirect a preflight", wptOwn + `, "allow_headers": ["x-print"]`, "",
		"status=302&location=/end", `text({ headers: { "x-print": "1" } })`, "served", "OPTIONS GET OPTIONS GET"},
	{"redirect-origin", "to the same host", wptOwn, "", "status=302&location=/end", `text()`, "served", "GET GET"},
	{"redirect-origin", "to another host the origin is null", wptOwn, "", "status=302&location=https://else.example/end",
		`text()`, "blocked", "GET GET"},
	{"redirect-origin", "to another host, and any origin", `"allow_origins": ["*"]`, "", "status=302&location=https://else.example/end",
		`text()`, "served", "GET GET"},
	{"late-upload-events", "listeners that are there ask", wptOwn, "", "", `upload(true)`, "served", "OPTIONS POST"},
	{"late-upload-events", "without listeners a form could send it", wptOwn, "", "", `upload(false)`, "served", "POST"},
	{"304", "what is cached is read after a 304", wptOwn, "", "etag=\"a\"&cache-control=no-cache",
		`text().then(() => text())`, "served", "GET GET"},
}

const platformScript = `((url) => {
  const get = (options) => fetch(url, { credentials: "omit", ...options });
  const text = (options) => get(options).then((r) => r.text());
  const status = (options) => get(options).then((r) => String(r.status));
  const header = (...names) => get().then((r) => names.map((n) => r.headers.get(n) ?? "-").join("|"));
  const upload = (listen) => new Promise((done, fail) => {
    const x = new XMLHttpRequest();
    x.open("POST", url);
    if (listen) x.upload.onprogress = () => {};
    x.onload = () => done(x.responseText);
    x.onerror = fail;
    x.send("text");
  });
  return %s.catch(() => "blocked");
})(%q)`

// TestPlatformTests asks the cases of web-platform-tests in each engine, through the
// filter in Envoy.
func TestPlatformTests(t *testing.T) {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		status := http.StatusOK
		for name, values := range r.URL.Query() {
			switch name {
			case "status":
				status, _ = strconv.Atoi(values[0])
			default:
				w.Header()[http.CanonicalHeaderKey(name)] = values
			}
		}
		if tag := w.Header().Get("Etag"); tag != "" && r.Header.Get("If-None-Match") == tag {
			status = http.StatusNotModified
		}
		w.WriteHeader(status)
		if status == http.StatusOK {
			fmt.Fprint(w, "served")
		}
	}))
	defer upstream.Close()
	var policies []string
	for _, c := range platformTests {
		policies = append(policies, "{"+c.policy+"}")
	}
	_, addresses := serveAll(t, upstream.Listener.Addr().String(), policies...)
	inEach(t, func(t *testing.T, b *tab) {
		for i, c := range platformTests {
			t.Run(c.file+": "+c.name, func(t *testing.T) {
				arrived := make(chan string, 16)
				b.answer(func(w http.ResponseWriter, r *http.Request) {
					if r.Host != "api.example" && r.Host != "else.example" {
						return // the browser's own business
					}
					arrived <- r.Method
					pass(w, r, addresses[i])
				})
				origin := c.origin
				if origin == "" {
					origin = wptPage
				}
				got := run[string](t, b, origin, fmt.Sprintf(platformScript, c.script, fmt.Sprintf("https://api.example/%d?%s", i, c.query)))
				var methods []string
				for range len(arrived) {
					methods = append(methods, <-arrived)
				}
				if arrives := strings.Join(methods, " "); got != c.want || arrives != c.arrives {
					t.Errorf("the script gets %q, and the server %q; want %q, %q", got, arrives, c.want, c.arrives)
				}
			})
		}
	})
}
