package gateway

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestHalfOpenConnectionsEnd holds connections open without a whole request.
func TestHalfOpenConnectionsEnd(t *testing.T) {
	l := start(t, file{routes: `{match: {path: /}, direct_response: {status: 200}}`}, nil, func(o *Options) { o.HeaderTimeout = 100 * time.Millisecond })
	for _, address := range []string{l.Addr("main"), l.AdminAddr()} {
		for _, begun := range []string{"", "GET / HTTP/1.1\r\nHost: localhost\r\n"} {
			conn, err := net.Dial("tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			io.WriteString(conn, begun)
			conn.SetReadDeadline(time.Now().Add(10 * time.Second))
			if _, err := io.Copy(io.Discard, conn); err != nil {
				t.Errorf("%s after %q: %v", address, begun, err)
			}
		}
	}
	for _, s := range []*http.Server{l.servers[0].http, l.admin.http} {
		if s.IdleTimeout <= 0 {
			t.Error("connections may wait for their next request for ever")
		}
	}
}

// TestTheAdminListenerAnswersLoopbackNamesAlone asks it under names that a page
// elsewhere could have given this machine's address.
func TestTheAdminListenerAnswersLoopbackNamesAlone(t *testing.T) {
	l := start(t, file{routes: `{match: {path: /}, direct_response: {status: 200}}`}, nil)
	for host, want := range map[string]int{
		"localhost": 200, "localhost:9901": 200, "LOCALHOST": 200, "envoy.localhost": 200, "127.0.0.1": 200, "127.8.9.10:1": 200, "[::1]:9901": 200, "[::1]": 200,
		"evil.example": 403, "localhost.evil.example": 403, "evil.example:9901": 403, "192.0.2.1": 403, "[2001:db8::1]:9901": 403, "127.0.0.1.evil.example": 403,
	} {
		if a := do(t, client(), http.MethodGet, "http://"+l.AdminAddr()+"/ready", "host: "+host); a.status != want || want == 403 && !strings.Contains(a.body, "localhost and loopback addresses alone") {
			t.Errorf("%s: %d %.80s", host, a.status, a.body)
		}
	}
}

func TestNoControlCharactersReachTheLogs(t *testing.T) {
	const bidi, c1, separator = "\u202e", "\u009b", "\u2028"
	l := start(t, file{
		manager: `access_log: [{name: out, typed_config: {"@type": type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog, log_format: {text_format_source: {inline_string: "%REQ(X-A)%\n"}}}}]`,
		routes:  `{match: {path: /}, direct_response: {status: 200}}`,
	}, nil)
	// By hand: the client of net/http would not send them.
	conn, err := net.Dial("tcp", l.Addr("main"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: a\r\nX-A: a%s%s%s\xff\xc2é\r\nConnection: close\r\n\r\n", bidi, c1, separator)
	if response, err := http.ReadResponse(bufio.NewReader(conn), nil); err != nil || response.StatusCode != 200 {
		t.Fatalf("%v, %v", response, err)
	}
	const want = `a\u202e\u009b\u2028\xff\xc2é` + "\n"
	eventually(t, "the access log", func() bool { return l.accessLog.String() != "" })
	if got := l.accessLog.String(); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	l.Gateway.log.wasm(3, "cors", "a\x1b[31m\nb"+bidi)
	if got := l.log.String(); !strings.Contains(got, `a\x1b[31m\x0ab\u202e`+"\n") || strings.Count(got, "\n") != 1 {
		t.Errorf("%q", got)
	}
}

func TestEventsGiveNoSecretsAway(t *testing.T) {
	events := make(chan Event, 1)
	l := start(t, file{routes: apiRoute, clusters: api}, nil,
		withUpstream(upstream(t, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Set-Cookie", "session=secret") })),
		func(o *Options) { o.OnStream = func(e Event) { events <- e } })
	l.get(t, "/", "cookie: session=secret", "authorization: Bearer secret", "proxy-authorization: Basic secret", "x-a: shown")
	e := <-events
	if text := fmt.Sprint(e); strings.Contains(text, "secret") || !strings.Contains(text, "[cookie (not shown)]") || !strings.Contains(text, "[x-a shown]") || !strings.Contains(text, "[set-cookie (not shown)]") {
		t.Errorf("%s", text)
	}
}

func TestLogging(t *testing.T) {
	l := start(t, file{routes: `{match: {path: /}, direct_response: {status: 200}}`}, nil)
	post := func(query string) answer {
		return do(t, client(), http.MethodPost, "http://"+l.AdminAddr()+"/logging"+query)
	}
	for _, c := range []struct {
		query string
		code  int
		want  string
	}{
		{"", 200, "active loggers:\n  admin: info\n  http: info\n  wasm: info\n\n"},
		{"?wasm=debug", 200, "active loggers:\n  admin: info\n  http: info\n  wasm: debug\n\n"},
		{"?level=warning", 200, "active loggers:\n  admin: warning\n  http: warning\n  wasm: warning\n\n"},
		{"?paths=wasm:trace,http:off", 200, "active loggers:\n  admin: warning\n  http: off\n  wasm: trace\n\n"},
		{"?paths=wasm:info,nobody:info", 400, `error: unknown logger name "nobody"`},
		{"?wasm=loud", 400, `error: unknown logger level "loud"`},
		{"?wasm=", 400, "usage: /logging?<name>=<level>"},
		{"?wasm=info&http=info", 400, "error: invalid number of parameters"},
		{"", 200, "  wasm: trace\n"}, // a mistake changed nothing
	} {
		if a := post(c.query); a.status != c.code || !strings.Contains(a.body, c.want) || !strings.Contains(a.body, "active loggers:\n") {
			t.Errorf("%s: %d\n%s\nwant %d\n%s", c.query, a.status, a.body, c.code, c.want)
		}
	}
	if a := do(t, client(), http.MethodGet, "http://"+l.AdminAddr()+"/logging?wasm=debug"); a.status != http.StatusMethodNotAllowed {
		t.Errorf("GET: %d", a.status)
	}
}

func TestPathsAreNormalizedAsInEnvoy(t *testing.T) {
	const routes = `{match: {prefix: /}, direct_response: {status: 200}}`
	log := "\n" + `access_log: [{name: out, typed_config: {"@type": type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog, log_format: {text_format_source: {inline_string: "%REQ(:PATH)% %RESPONSE_CODE_DETAILS%\n"}}}}]`
	for _, c := range []struct {
		options string
		paths   map[string]string // path -> what filters see, or a status and location
	}{
		{"", map[string]string{"/a/../b": "/a/../b", "//a": "//a", "/a%2fb": "/a%2fb", "/%61": "/%61"}},
		{"normalize_path: true", map[string]string{
			"/a/../b": "/b", "/a/./b/.": "/a/b/", "/a/b/..": "/a/", "/../a": "/a", "/..": "/", "/%61%2D%7e%2e": "/a-~.", "/a/%2e%2E/b": "/b", `/a\..\b`: "/b",
			"/a%2f..%2fb": "/a%2f..%2fb", "/a//../b": "/a/b", "//a": "//a", "/%20": "/%20", "/a?x=/../b": "/a?x=/../b", "/%00": "400",
		}},
		{"merge_slashes: true", map[string]string{"//a///b//": "/a/b/", "/a?x=//": "/a?x=//", "/a/../b": "/a/../b"}},
		{"path_with_escaped_slashes_action: KEEP_UNCHANGED", map[string]string{"/a%2fb": "/a%2fb"}},
		{"path_with_escaped_slashes_action: REJECT_REQUEST", map[string]string{"/a%2fb": "400", "/a%5Cb": "400", "/a?x=%2f": "/a?x=%2f", "/a": "/a"}},
		{"path_with_escaped_slashes_action: UNESCAPE_AND_FORWARD", map[string]string{"/a%2Fb%5c": `/a/b\`}},
		{"path_with_escaped_slashes_action: UNESCAPE_AND_REDIRECT", map[string]string{"/a%2Fb?x": "307 /a/b?x", "/a": "/a"}},
		{"normalize_path: true\nmerge_slashes: true\npath_with_escaped_slashes_action: UNESCAPE_AND_REDIRECT", map[string]string{
			"/v1/public/..%2fprivate": "307 /v1/private", "/v1/public/%2e%2e//private": "/v1/private",
		}},
	} {
		l := start(t, file{manager: c.options + log, routes: routes}, nil)
		for path, want := range c.paths {
			conn, err := net.Dial("tcp", l.Addr("main"))
			if err != nil {
				t.Fatal(err)
			}
			before := l.accessLog.String()
			fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", path)
			response, err := http.ReadResponse(bufio.NewReader(conn), nil)
			conn.Close()
			if err != nil {
				t.Fatalf("%s: %v", path, err)
			}
			eventually(t, "the access log", func() bool { return l.accessLog.String() != before })
			seen, details, _ := strings.Cut(strings.TrimSpace(strings.TrimPrefix(l.accessLog.String(), before)), " ")
			switch {
			case response.StatusCode == 307:
				seen = "307 " + response.Header.Get("Location")
			case response.StatusCode != 200:
				seen = fmt.Sprint(response.StatusCode)
			}
			if seen != want || (response.StatusCode != 200) != (details == "path_normalization_failed") {
				t.Errorf("%s: %s becomes %s (%s), want %s", c.options, path, seen, details, want)
			}
		}
	}
}
