package browser

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// The cases of web-platform-tests' cors/ directory ask a browser what it makes of a
// server's headers. Behind the filter the policy has replaced those, and the same
// cases ask whether it has: whatever upstream says, the outcome is the policy's.
// What is not asked here, by file:
//
//   - basic.htm, remote-origin.htm, access-control-basic-*: the scenario table, from
//     pages of many origins
//   - preflight-cache.htm: TestEachEngineKeepsThePreflightsAnswer
//   - client-hint-request-headers*.htm, simple-requests-ch.tentative.htm: the rows of
//     what engines do otherwise
//   - 304.htm, script-304.html, late-upload-events.htm: the browser's own caches and events
//   - of origin.htm and allow-headers.htm the values with NUL, which Envoy takes from no upstream
//   - of status-preflight.htm the status 699, which is no HTTP status to Envoy, and the method
//     CHICKEN, which its HTTP/1 codec answers itself
//   - of cors-safelisted-request-header.any.js Last-Event-ID, which the standard does not safelist
type platformCase struct {
	file     string
	policy   string
	origin   string // of the page; empty: the listed one
	request  call
	upstream http.Header
	status   int // of upstream's response; 0: 200
	options  int // of upstream's response to OPTIONS; 0: status
	allowed  bool
	// readable are the names that the script may read; nil: not compared.
	readable []string
}

const (
	platformPage = "https://page.example"
	platformRest = "https://unlisted.example"

	platformPlain       = `{"allow_origins": ["https://page.example"], "allow_methods": ["PUT"]}`
	platformCredentials = `{"allow_origins": ["https://page.example"], "allow_credentials": true}`
	platformPrint       = `{"allow_origins": ["https://page.example"], "allow_headers": ["x-print"]}`
	platformBoth        = `{"allow_origins": ["https://page.example"], "allow_headers": ["y-lol", "x-PriNT", "Y-PRINT"]}`
	platformExpose      = `{"allow_origins": ["https://page.example"], "expose_headers": ["BB-8", "x-second-expose"]}`
	platformNull        = `{"allow_origins": ["https://page.example", "null"], "dangerously_tolerate": ["null-origin"]}`
)

func platformCases() (cases []platformCase) {
	get := call{Method: "GET"}
	add := func(c platformCase) { cases = append(cases, c) }

	// What upstream lets read whom is the policy's to say.
	for _, values := range [][]string{
		{"*"}, {" *  "}, {"\t*"}, {platformPage}, {" " + platformPage}, {platformPage + "   \t "}, {"https://www.page.example"},
		{"//page.example"},
		{"://page.example"}, {"ftp://page.example"}, {"https:://page.example"}, {"https:/page.example"}, {"https:page.example"}, {"page.example"},
		{platformPage + "?"}, {platformPage + "/"}, {platformPage + " /"}, {platformPage + "#"}, {platformPage + "%23"}, {platformPage + ":80"},
		{platformPage + ", *"}, {strings.ToUpper(platformPage)}, {"HTTPS://page.example"}, {"-"}, {"**"}, {"'*'"}, {`"*"`}, {"* *"}, {"* null"},
		{"*https://*"}, {"*" + platformPage}, {"* " + platformPage}, {"*, " + platformPage}, {"null " + platformPage}, {"http://example.net"},
		{"null"},
		{"null *"}, {""}, {".example"}, {"*.example"}, {"https://.example"}, {"https://*.example"}, {platformRest},
		{"", "*"}, {"*", ""}, {"*", "*"}, {"", platformPage}, {"*", platformPage}, {platformPage, platformPage},
	} {
		upstream := http.Header{"Access-Control-Allow-Origin": values}
		add(platformCase{file: "origin.htm", policy: platformPlain, request: get, upstream: upstream, allowed: true})
		add(platformCase{file: "origin.htm", policy: platformPlain, origin: platformRest, request: get, upstream: upstream})
	}
	for _, value := range []string{"true", "TRUE", "True", `"true"`, "false", "1", "0"} {
		upstream := http.Header{"Access-Control-Allow-Origin": {platformPage}, "Access-Control-Allow-Credentials": {value}}
		with := call{Method: "GET", Credentials: "include"}
		add(platformCase{file: "credentials-flag.htm", policy: platformCredentials, request: with, upstream: upstream, allowed: true})
		add(platformCase{file: "credentials-flag.htm", policy: platformPlain, request: with, upstream: upstream})
	}
	for _, value := range []string{
		"BB-8", "bb-8,,@#$#%%&^&^*()()11!", "bb-8, bb-8", "*", "\"bb-8\"", "bb-8;", "no no", "", "content-language", "set-cookie",
	} {
		upstream := http.Header{
			"Access-Control-Expose-Headers": {value},
			"Content-Language":              {"mkay"},
			"Bb-8":                          {"hey"},
			"Set-Cookie":                    {"a=b"},
			"Content-Type":                  {"text/plain"},
		}
		add(
			platformCase{
				file:     "access-control-expose-headers-parsing.window.js",
				policy:   platformExpose,
				request:  get,
				upstream: upstream,
				allowed:  true,
				readable: []string{"bb-8", "content-language", "content-length", "content-type"},
			},
		)
		add(
			platformCase{
				file:     "access-control-expose-headers-parsing.window.js",
				policy:   platformPlain,
				request:  get,
				upstream: upstream,
				allowed:  true,
				readable: []string{"content-language", "content-length", "content-type"},
			},
		)
	}
	add(platformCase{file: "response-headers.htm", policy: platformExpose, request: get, allowed: true, upstream: http.Header{
		"X-Second-Expose": {"flyingpig"}, "X-Nonexposed": {"unicorn"}, "X-Powered-By": {"something"}, "Set-Cookie2": {"a=b"},
		"Content-Type":  {"text/plain"},
		"Cache-Control": {"no-cache"}, "Content-Language": {"nn"}, "Expires": {"Thu, 01 Dec 1994 16:00:00 GMT"},
		"Last-Modified": {"Thu, 01 Dec 1994 10:00:00 GMT"},
		"Pragma":        {"no-cache"},
	}, readable: []string{
		"cache-control", "content-language", "content-length", "content-type", "expires", "last-modified", "pragma", "x-second-expose",
	}})

	// What a request may have.
	safe := map[string]string{
		"X-Print":          "unicorn",
		"Content-Type":     "text/plain",
		"Accept":           "test",
		"Accept-Language":  "nn",
		"Content-Language": "nn",
	}
	two := map[string]string{"x-print": "unicorn", "y-print": "narwhal"}
	for _, c := range []struct {
		policy  string
		headers map[string]string
		allowed bool
	}{
		{platformPrint, map[string]string{"x-print": "unicorn"}, true}, {platformPrint, safe, true}, {platformPrint, two, false},
		{platformBoth, two, true},
	} {
		add(platformCase{file: "request-headers.htm", policy: c.policy, request: call{Method: "GET", Headers: c.headers}, allowed: c.allowed})
	}
	for _, method := range []string{"GET", "HEAD", "POST"} {
		for _, headers := range []map[string]string{
			{"Accept": "test"}, {"accept-language": "test"}, {"CONTENT-language": "test"}, {"Content-Type": "application/x-www-form-urlencoded"},
			{"content-type": "multipart/form-data"}, {"content-type": "text/plain"},
			{"accept": "test", "accept-language": "test", "content-language": "test", "content-type": "text/plain; parameter=whatever"},
		} {
			add(platformCase{file: "simple-requests.htm", policy: platformPlain, request: call{Method: method, Headers: headers}, allowed: true})
		}
	}
	for value, safelisted := range map[string]bool{
		"text /plain": false, "text\t/\tplain": false, "text/plain;": true, "text/plain;garbage": true, "text/plain,": false,
		",text/plain":           false,
		"text/plain,text/plain": false, "text/plain,x/x": false, "application/www-form-urlencoded": false,
		"application/x-www-form-urlencoded;\u007f": false, "multipart/form-data": true, `multipart/form-data;"`: false,
	} {
		add(platformCase{file: "cors-safelisted-request-header.any.js", policy: platformPlain, allowed: safelisted,
			request: call{Method: "POST", Headers: map[string]string{"content-type": value}}})
	}
	for value, safelisted := range map[string]bool{
		"100-200": false, "MB=100-200": false, "bytes=100-200": true, "bytes =100-200": false, "bytes=  100-200": false, "bytes=100 -200": false,
		"bytes=100- 200": false, "bytes=100-200hello": false, "bytes=abc-def": false, "bytes=100-200,300-400": false, "bytes=-200": false,
		"bytes=200-": true, "bytes=200-100": false, "bytes=1" + strings.Repeat("0", 60) + "-2" + strings.Repeat("0", 60): false,
		"bytes 100-200": false, "bytes = 100-200": false, ",bytes=100-200": false, "bytes=,100-200": false,
	} {
		add(platformCase{file: "cors-safelisted-request-header.any.js", policy: platformPlain, allowed: safelisted,
			request: call{Method: "POST", Headers: map[string]string{"range": value}}})
	}

	// The filter answers preflights, whatever status upstream has for them; behind one
	// the script reads upstream's status.
	for _, status := range []int{200, 299, 300, 304, 400, 401, 403, 404, 405, 415, 500, 501, 503} {
		add(
			platformCase{
				file:    "preflight-failure.htm",
				policy:  platformPrint,
				request: call{Method: "GET", Headers: map[string]string{"x-print": "1"}},
				options: status,
				allowed: true,
			},
		)
	}
	for _, c := range []struct {
		method string
		status []int
	}{{"GET", []int{200, 204, 400, 401}}, {"HEAD", []int{200, 204, 400, 401, 501}}, {"POST", []int{204, 400, 401, 404}}} {
		for _, status := range c.status {
			request := call{Method: c.method, Headers: map[string]string{"x-print": "1"}}
			add(platformCase{file: "status-preflight.htm", policy: platformPrint, request: request, status: status, allowed: true})
		}
	}

	// Behind a redirect to another host the Origin is null.
	for _, c := range []struct {
		policy, location string
		allowed          bool
	}{
		{platformPlain, "https://HOST/there", true}, {platformPlain, "https://other.HOST/there", false},
		{platformNull, "https://other.HOST/there", true},
		{platformPlain, "https://user:password@HOST/there", false},
		{platformNull, "https://page.example/there", true},
	} {
		file := "redirect-origin.htm"
		if strings.Contains(c.location, "password") {
			file = "redirect-userinfo.htm"
		}
		add(
			platformCase{
				file:     file,
				policy:   c.policy,
				request:  call{Method: "GET"},
				upstream: http.Header{"Location": {c.location}},
				status:   302,
				allowed:  c.allowed,
			},
		)
	}
	add(
		platformCase{
			file:     "redirect-preflight.htm",
			policy:   platformPrint,
			request:  call{Method: "GET", Headers: map[string]string{"x-print": "1"}},
			upstream: http.Header{"Location": {"https://HOST/there"}},
			status:   302,
			allowed:  true,
		},
	)
	return cases
}

// TestWebPlatformTestsBehindTheFilter asks the cases of every engine, through the module in
// Envoy.
func TestWebPlatformTestsBehindTheFilter(t *testing.T) {
	cases := platformCases()
	hosts := map[string]string{} // of each policy
	for _, c := range cases {
		if hosts[c.policy] == "" {
			hosts[c.policy] = fmt.Sprintf("api%d.example", len(hosts))
		}
	}
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i, err := strconv.Atoi(strings.TrimPrefix(r.URL.Path, "/"))
		if err != nil { // behind a redirect
			return
		}
		for name, values := range cases[i].upstream {
			for _, value := range values {
				w.Header().Add(name, strings.ReplaceAll(value, "HOST", hosts[cases[i].policy]))
			}
		}
		status := cases[i].status
		if r.Method == "OPTIONS" {
			status = max(cases[i].options, status)
		}
		w.WriteHeader(max(status, http.StatusOK))
	}))
	defer upstream.Close()
	policies := slices.Sorted(maps.Keys(hosts))
	_, addresses := serveAll(t, upstream.Listener.Addr().String(), policies...)

	inEach(t, func(t *testing.T, b *tab) {
		b.answer(func(w http.ResponseWriter, r *http.Request) {
			for i, policy := range policies {
				if name := hosts[policy]; r.Host == name || r.Host == "other."+name || r.Host == "page.example" && policy == platformNull {
					pass(w, r, addresses[i])
					return
				}
			}
			http.NotFound(w, r)
		})
		type request struct {
			URL     string `json:"url"`
			Options call   `json:"options"`
		}
		type result struct {
			Status int      `json:"status"` // 0: the script gets an error
			Names  []string `json:"names"`
		}
		for _, origin := range []string{platformPage, platformRest} {
			var asked []platformCase
			var requests []request
			for i, c := range cases {
				if c.origin == "" {
					c.origin = platformPage
				}
				if c.origin == origin {
					if c.request.Credentials == "" {
						c.request.Credentials = "omit"
					}
					asked = append(asked, c)
					requests = append(requests, request{fmt.Sprintf("https://%s/%d", hosts[c.policy], i), c.request})
				}
			}
			encoded, err := json.Marshal(requests)
			if err != nil {
				t.Fatal(err)
			}
			got := run[[]result](t, b, origin, fmt.Sprintf(`(async () => {
				const results = [];
				for (const r of %s) {
					results.push(await fetch(r.url, r.options).then((a) => ({ status: a.status, names: [...a.headers.keys()].sort() }), () => ({ status: 0, names: [] })));
				}
				return results;
			})()`, encoded))
			for i, c := range asked {
				status := 0
				if c.allowed {
					if status = max(c.status, http.StatusOK); status == http.StatusFound {
						status = http.StatusOK
					}
				}
				if got[i].Status != status || c.readable != nil && !slices.Equal(got[i].Names, c.readable) {
					t.Errorf("%s: %+v from %s, where upstream has %d %q, under\n%s\nthe script gets %+v, want %d %q",
						c.file, c.request, origin, c.status, c.upstream, c.policy, got[i], status, c.readable)
				}
			}
		}
	})
}
