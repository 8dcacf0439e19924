package gateway

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// echo answers with what upstream received: the request line, the host, and
// the headers.
func echo(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain")
	w.Header().Set("Server", "upstream")
	w.Header().Set("Connection", "X-Hop")
	w.Header().Set("X-Hop", "1")
	w.Header().Add("Set-Cookie", "a=1")
	w.Header().Add("Set-Cookie", "b=2")
	fmt.Fprintf(w, "%s %s\nhost: %s\n", r.Method, r.RequestURI, r.Host)
	a := answer{header: r.Header}
	for _, line := range a.headers() {
		fmt.Fprintln(w, line)
	}
	body, _ := io.ReadAll(r.Body)
	w.Write(body)
}

func TestRoutesLive(t *testing.T) {
	l := start(t, file{
		routes: `{match: {path: /direct}, direct_response: {status: 201, body: {inline_string: "made here\n"}}},
 {match: {path: /empty}, direct_response: {status: 404}},
 {match: {prefix: /old/}, redirect: {path_redirect: /new}},
 {match: {prefix: /api/}, route: {cluster: api}}`,
		clusters: api,
	}, nil, withUpstream(upstream(t, echo)))
	host := strings.TrimPrefix(l.base, "http://")
	tests := map[string]struct {
		method, path string
		send         []string
		status       int
		headers      []string
		body         string
	}{
		"a direct response": {
			path: "/direct", status: 201,
			headers: []string{"content-length: 10", "content-type: text/plain", "server: envoy"}, body: "made here\n",
		},
		"HEAD of a direct response": {
			method: "HEAD", path: "/direct?x#y", status: 201,
			headers: []string{"content-length: 10", "content-type: text/plain", "server: envoy"},
		},
		"a direct response without body": {path: "/empty", status: 404, headers: []string{"content-length: 0", "server: envoy"}},
		"no route":                       {path: "/direct/", status: 404, headers: []string{"content-length: 0", "server: envoy"}},
		"a redirect": {
			path: "/old/x?y", send: []string{"X-Forwarded-Proto: https"}, status: 301,
			headers: []string{"content-length: 0", "location: https://" + host + "/new", "server: envoy"},
		},
		"a cluster": {
			path: "/api/a%2Fb//c?y;z", send: []string{
				"X-B: 1", "X-B: 2", "X-A: 0", "Connection: x-drop", "X-Drop: 1", "Keep-Alive: 5", "Te: gzip, trailers",
				"X-Forwarded-Proto: https", "X-Forwarded-For: 192.0.2.1", "Forwarded: for=192.0.2.1",
			},
			status:  200,
			headers: []string{"content-type: text/plain", "server: envoy", "set-cookie: a=1", "set-cookie: b=2"},
			body: "GET /api/a%2Fb//c?y;z\nhost: " + host + "\nforwarded: for=192.0.2.1\nte: trailers\nuser-agent: Go-http-client/1.1\nx-a: 0\nx-b: 1\nx-b: 2\n" +
				"x-forwarded-for: 192.0.2.1\nx-forwarded-proto: https\n",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if test.method == "" {
				test.method = http.MethodGet
			}
			got := do(t, client(), test.method, l.base+test.path, test.send...)
			if got.status != test.status || got.body != test.body {
				t.Errorf("%d %q\nwant %d %q", got.status, got.body, test.status, test.body)
			}
			expectLines(t, "headers", got.headers("x-envoy-upstream-service-time"), withLength(test.headers, got))
		})
	}
}

// withLength adds the length of an echo, which the tests do not count.
func withLength(lines []string, got answer) []string {
	if got.header.Get("Set-Cookie") == "" {
		return lines
	}
	return append([]string{fmt.Sprintf("content-length: %d", len(got.body))}, lines...)
}

func TestRefusedRequests(t *testing.T) {
	l := start(t, file{
		manager: accessLog("%RESPONSE_CODE_DETAILS%"),
		routes:  `{match: {prefix: /}, direct_response: {status: 200}}`,
	}, nil)
	tests := map[string]struct {
		request string
		status  int
		log     string
	}{
		"HTTP/1.0":                    {"GET / HTTP/1.0\r\nHost: a\r\n\r\n", 426, "low_version"},
		"headers over 60 KiB":         {"GET / HTTP/1.1\r\nHost: a\r\nX-Big: " + strings.Repeat("x", 60<<10) + "\r\n\r\n", 431, "http1.headers_too_large"},
		"more than 100 headers":       {"GET / HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("X-Many: x\r\n", 101) + "\r\n", 431, "http1.too_many_headers"},
		"CONNECT":                     {"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", 403, "upgrade_failed"},
		"an upgrade that is not on":   {"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", 403, "upgrade_failed"},
		"an upgrade to h2c, ignored":  {"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\n\r\n", 200, "direct_response"},
		"OPTIONS *":                   {"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 404, "absolute_path_rejected"},
		"the absolute form is served": {"GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n", 200, "direct_response"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			before := l.accessLog.String()
			if got := raw(t, l.Addr("main"), test.request); got.status != test.status {
				t.Errorf("status %d, want %d", got.status, test.status)
			}
			l.expectLog(t, before, test.log+"\n")
		})
	}
}

// raw sends bytes as they are.
func raw(t *testing.T, address, request string) answer {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(response.Body)
	return answer{response.StatusCode, response.Header, string(body)}
}

func accessLog(format string) string {
	return `access_log: [{name: log, typed_config: {"@type": type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog, log_format: {text_format_source: {inline_string: "` + format + `\n"}}}}]`
}

// expectLog waits for what was logged after before.
func (l live) expectLog(t *testing.T, before, want string) {
	t.Helper()
	eventually(t, "the access log", func() bool { return len(l.accessLog.String()) > len(before) })
	if got := strings.TrimPrefix(l.accessLog.String(), before); got != want {
		t.Errorf("logged %q, want %q", got, want)
	}
}

func TestAccessLog(t *testing.T) {
	address := upstream(t, echo)
	l := start(t, file{
		manager:  accessLog("%% [%START_TIME%] %PROTOCOL% %REQ(X-NONE?:METHOD)% %REQ(X-NONE)% %RESP(SET-COOKIE)% %UPSTREAM_HOST% %DURATION%"),
		routes:   apiRoute,
		clusters: api,
	}, nil, withUpstream(address))
	l.get(t, "/x?y")
	eventually(t, "the access log", func() bool { return l.accessLog.String() != "" })
	want := `^% \[\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\] HTTP/1\.1 GET - a=1 ` + regexp.QuoteMeta(address) + ` \d+\n$`
	if got := l.accessLog.String(); !regexp.MustCompile(want).MatchString(got) {
		t.Errorf("logged %q, want %s", got, want)
	}
}

// TestHTTP2 speaks it without TLS, with prior knowledge.
func TestHTTP2(t *testing.T) {
	protocols := &http.Protocols{}
	protocols.SetUnencryptedHTTP2(true)
	h2 := &http.Client{Transport: &http.Transport{Protocols: protocols}}
	address := upstream(t, echo)
	l := start(t, file{manager: accessLog("%PROTOCOL% %RESPONSE_CODE%"), routes: apiRoute, clusters: api}, nil, withUpstream(address))
	got := do(t, h2, http.MethodPost, l.base+"/x")
	if got.status != 200 || !strings.HasPrefix(got.body, "POST /x\nhost: "+l.Addr("main")+"\n") {
		t.Errorf("%d %q", got.status, got.body)
	}
	l.expectLog(t, "", "HTTP/2 200\n")
}

func TestHeadersAreLowerCase(t *testing.T) {
	l := start(t, file{routes: apiRoute, clusters: api}, nil, withUpstream(upstream(t, echo)))
	conn, err := net.Dial("tcp", l.Addr("main"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
	text, _ := io.ReadAll(conn)
	head, _, _ := bytes.Cut(text, []byte("\r\n\r\n"))
	for _, line := range strings.Split(string(head), "\r\n")[1:] {
		name, _, _ := strings.Cut(line, ":")
		if name != strings.ToLower(name) && name != "Content-Length" && name != "Connection" {
			t.Errorf("%s is not in lower case", name)
		}
	}
	if strings.Count(strings.ToLower(string(head)), "\ndate:") != 1 || strings.Count(strings.ToLower(string(head)), "\ncontent-type:") != 1 {
		t.Errorf("date and content-type must be there once:\n%s", head)
	}
}
