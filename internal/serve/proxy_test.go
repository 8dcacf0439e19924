package serve

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"corsfilter/internal/demo"
	"corsfilter/internal/host"
	"corsfilter/internal/locked"
	"corsfilter/internal/wasmtest"
)

const policy = `{"allow_origins": ["https://shop.example.com"], "allow_methods": ["PUT"]}`

// front is a proxy in front of a test's upstream.
type front struct {
	*Proxy
	base           string
	close          func() error
	accessLog, log locked.Buffer
	mu             sync.Mutex
	events         []demo.Event
}

func start(t *testing.T, p Policy, upstream http.HandlerFunc, adapt ...func(*ProxyOptions)) *front {
	t.Helper()
	server := httptest.NewServer(upstream)
	t.Cleanup(server.Close)
	f := &front{}
	options := ProxyOptions{
		Listen: "127.0.0.1:0", Upstream: server.Listener.Addr().String(), AccessLog: &f.accessLog, Log: &f.log, LogLevel: host.LogInfo,
		Drain: 5 * time.Second,
		OnEvent: func(e demo.Event) {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.events = append(f.events, e)
		},
	}
	for _, change := range adapt {
		change(&options)
	}
	var err error
	if f.Proxy, err = StartProxy(t.Context(), p, options); err != nil {
		t.Fatal(err)
	}
	f.close = sync.OnceValue(f.Close)
	t.Cleanup(func() {
		if err := f.close(); err != nil {
			t.Error(err)
		}
	})
	listeners, err := f.Listeners()
	if err != nil || len(listeners) != 1 || listeners[0].Name != "main" {
		t.Fatalf("%v, %v", listeners, err)
	}
	f.base = "http://" + listeners[0].Address
	return f
}

func ours(t *testing.T) Policy { return Policy{wasmtest.Module(t), []byte(policy)} }

// client opens a connection for each request and follows no redirect.
var client = &http.Client{
	Transport:     &http.Transport{DisableKeepAlives: true, DisableCompression: true},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	Timeout:       20 * time.Second,
}

// ask sends a request, with headers in pairs, and returns the response with its body.
func (f *front) ask(t *testing.T, method, path string, headers ...string) (*http.Response, string) {
	t.Helper()
	request, err := http.NewRequest(method, f.base+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		request.Header.Add(headers[i], headers[i+1])
	}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, string(body)
}

// logged waits for a line of the access log.
func (f *front) logged(t *testing.T, want string) {
	t.Helper()
	for begun := time.Now(); !strings.Contains(f.accessLog.String(), want); time.Sleep(5 * time.Millisecond) {
		if time.Since(begun) > 10*time.Second {
			t.Fatalf("the access log has no %s:\n%s", want, f.accessLog.String())
		}
	}
}

func TestAPolicyInFrontOfAServer(t *testing.T) {
	f := start(t, ours(t), func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		w.Header().Set("X-Cookie", "1")
		w.Header().Set("Content-Type", "text/plain")
		fmt.Fprintf(w, "%s %s %s %s%s", r.Method, r.Host, r.RequestURI, r.Header["X-Forwarded-For"], r.Header["Accept-Encoding"])
	}, func(o *ProxyOptions) { o.Workers = 2 })
	const shop = "https://shop.example.com"
	host := strings.TrimPrefix(f.base, "http://")
	response, body := f.ask(t, "PUT", "//a%2Fb/../c?x=1;y&%zz", "Origin", shop, "X-Forwarded-For", "192.0.2.1", "Cookie", "secret=1")
	if want := "PUT " + host + " //a%2Fb/../c?x=1;y&%zz [192.0.2.1][]"; body != want ||
		response.Header.Get("Access-Control-Allow-Origin") != shop || response.Header.Get("Vary") != "origin" ||
		response.Header.Get("X-Cookie") != "1" {
		t.Errorf("%q, want %q; %v", body, want, response.Header)
	}
	f.logged(t, `"PUT //a%2Fb/../c?x=1;y&%zz" 200 via_upstream origin="https://shop.example.com" `)
	if response, _ := f.ask(t, "GET", "/", "Origin", "https://evil.example"); response.StatusCode != 200 ||
		response.Header["Access-Control-Allow-Origin"] != nil {
		t.Errorf("%d %v", response.StatusCode, response.Header)
	}
	response, body = f.ask(t, "OPTIONS", "/", "Origin", shop, "Access-Control-Request-Method", "PUT")
	if response.StatusCode != 204 || body != "" || response.Header.Get("Access-Control-Allow-Methods") != "PUT" {
		t.Errorf("%d %q %v", response.StatusCode, body, response.Header)
	}
	f.logged(t, `"OPTIONS /" 204 cors_preflight origin="https://shop.example.com" `)
	f.ask(t, "GET", "/x", "X-Forwarded-Proto", "https")
	f.logged(t, `"GET /x" 200 via_upstream origin="-" `)

	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.events) != 4 {
		t.Fatalf("%d events", len(f.events))
	}
	put, preflight := f.events[0], f.events[2]
	if put.Method != "PUT" || put.Authority != host || put.Path != "//a%2Fb/../c?x=1;y&%zz" || put.Status != 200 ||
		put.Details != "via_upstream" ||
		fmt.Sprint(put.Request) != "[[origin https://shop.example.com] [x-forwarded-proto http]]" ||
		fmt.Sprint(put.Response) != "[[access-control-allow-origin https://shop.example.com] [vary origin] [content-type text/plain]]" {
		t.Errorf("%+v", put)
	}
	if preflight.Status != 204 || preflight.Details != "cors_preflight" || len(preflight.Response) < 3 {
		t.Errorf("%+v", preflight)
	}
	if string(f.Configurations()[0]) != policy {
		t.Errorf("%s", f.Configurations())
	}
}

func TestWhatIsNoRequestOfAPathIsRefused(t *testing.T) {
	f := start(t, ours(t), func(http.ResponseWriter, *http.Request) { t.Error("upstream is asked") })
	for _, line := range []string{"OPTIONS * HTTP/1.1", "CONNECT evil.example:443 HTTP/1.1", "GET http://evil.example/ HTTP/1.1"} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(f.base, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprintf(conn, "%s\r\nHost: evil.example\r\n\r\n", line)
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil || response.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: %v, %v", line, response, err)
		}
	}
}

// TestCounters waits for the module to hand them over, as it does once a second, and
// then takes another policy and ends with some that were not told yet.
func TestCounters(t *testing.T) {
	f := start(t, ours(t), func(http.ResponseWriter, *http.Request) {}, func(o *ProxyOptions) { o.Workers = 2 })
	send := func() { f.ask(t, "GET", "/", "Origin", "https://evil.example") }
	told := func() uint64 { return f.Counters()["cors.origin_invalid"] }
	for round := uint64(1); round <= 2; round++ { // it ticks on
		for range 4 {
			send()
		}
		for begun := time.Now(); told() != 4*round; time.Sleep(20 * time.Millisecond) {
			if time.Since(begun) > 20*time.Second {
				t.Fatalf("%d after %v, want %d", told(), time.Since(begun), 4*round)
			}
		}
	}
	send()
	if err := f.Reload(ours(t)); err != nil {
		t.Fatal(err)
	}
	send()
	if err := f.close(); err != nil {
		t.Fatal(err)
	}
	if told() != 10 {
		t.Errorf("%d in the end, want 10", told())
	}
}

func TestUpstreamsThatFail(t *testing.T) {
	half := func(w http.ResponseWriter) {
		io.WriteString(w, "half")
		http.NewResponseController(w).Flush()
	}
	f := start(t, ours(t), func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/half":
			half(w)
		case "/slow":
			half(w)
			<-r.Context().Done()
		}
		panic(http.ErrAbortHandler)
	})
	response, body := f.ask(t, "GET", "/", "Origin", "https://shop.example.com")
	if response.StatusCode != 503 || !strings.Contains(body, " does not answer: EOF") ||
		response.Header.Get("Access-Control-Allow-Origin") != "https://shop.example.com" {
		t.Errorf("%d %q %v", response.StatusCode, body, response.Header)
	}
	f.logged(t, `"GET /" 503 upstream_reset_before_response_started `)
	if response, err := client.Get(f.base + "/half"); err != nil {
		t.Error(err)
	} else if body, err := io.ReadAll(response.Body); string(body) != "half" || err == nil {
		t.Errorf("%q, %v: a response that is cut off looks complete", body, err)
	}
	f.logged(t, `"GET /half" 200 response_cut_off `)
	ctx, leave := context.WithCancel(t.Context())
	request, _ := http.NewRequestWithContext(ctx, "GET", f.base+"/slow", nil)
	if _, err := client.Do(request); err != nil {
		t.Fatal(err)
	}
	leave()
	f.logged(t, `"GET /slow" 200 response_cut_off `)
}

// TestNothingIsHeldBack lets each side wait for the other's last line.
func TestNothingIsHeldBack(t *testing.T) {
	f := start(t, ours(t), func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "21") // else nothing would be held back anyway
		controller := http.NewResponseController(w)
		controller.EnableFullDuplex()
		for lines := bufio.NewScanner(r.Body); lines.Scan(); {
			fmt.Fprintln(w, "echo "+lines.Text())
			controller.Flush()
		}
	})
	reader, writer := io.Pipe()
	go fmt.Fprintln(writer, 0)
	response, err := client.Post(f.base, "text/plain", reader)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	lines := bufio.NewScanner(response.Body)
	for i := range 3 {
		if !lines.Scan() || lines.Text() != fmt.Sprint("echo ", i) {
			t.Fatalf("%q, %v", lines.Text(), lines.Err())
		}
		fmt.Fprintln(writer, i+1)
	}
	writer.Close()
}

// TestWhatHasBegunGoesOn changes the policy, and then ends the proxy, while a response
// and a WebSocket are on their way.
func TestWhatHasBegunGoesOn(t *testing.T) {
	go1 := make(chan struct{})
	f := start(t, ours(t), func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/ws" {
			http.NewResponseController(w).Flush()
			<-go1
			io.WriteString(w, "the end")
			return
		}
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer conn.CloseNow()
		for {
			kind, message, err := conn.Read(r.Context())
			if err != nil || conn.Write(r.Context(), kind, message) != nil {
				return
			}
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	slow, err := client.Get(f.base + "/slow")
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Body.Close()
	socket, _, err := websocket.Dial(ctx, f.base+"/ws", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer socket.CloseNow()
	echo := func() {
		t.Helper()
		if err := socket.Write(ctx, websocket.MessageText, []byte("x")); err != nil {
			t.Fatal(err)
		}
		if _, got, err := socket.Read(ctx); err != nil || string(got) != "x" {
			t.Fatalf("%q, %v", got, err)
		}
	}
	echo()
	allowed := func() string {
		t.Helper()
		response, _ := f.ask(t, "OPTIONS", "/", "Origin", "https://two.example", "Access-Control-Request-Method", "PUT")
		return response.Header.Get("Access-Control-Allow-Origin")
	}
	if got := allowed(); got != "" {
		t.Error(got)
	}
	if err := f.Reload(Policy{wasmtest.Module(t), []byte(`{"allow_origins": ["https://two.example/"]}`)}); !errors.Is(err, host.ErrRejected) ||
		!strings.Contains(f.log.String(), "no trailing slash") {
		t.Errorf("%v, logged %s", err, f.log.String())
	}
	if err := f.Reload(Policy{[]byte("no module"), nil}); err == nil || !strings.Contains(err.Error(), "not a wasm module") {
		t.Error(err)
	}
	if got := allowed(); got != "" || string(f.Configurations()[0]) != policy {
		t.Errorf("after a refused policy: %q", got)
	}
	if err := f.Reload(Policy{wasmtest.Module(t), []byte(`{"allow_origins": ["https://two.example"]}`)}); err != nil {
		t.Fatal(err)
	}
	if got := allowed(); got != "https://two.example" {
		t.Errorf("after another policy: %q", got)
	}
	echo()
	closed := make(chan error)
	go func() { closed <- f.close() }()
	if _, _, err := socket.Read(ctx); err == nil || ctx.Err() != nil {
		t.Errorf("%v, want a closed WebSocket", err)
	}
	close(go1)
	if body, err := io.ReadAll(slow.Body); string(body) != "the end" || err != nil {
		t.Errorf("%q, %v", body, err)
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
	if _, err := client.Get(f.base); err == nil {
		t.Error("it is still there")
	}
}

func TestCloseBreaksWhatDoesNotEnd(t *testing.T) {
	arrived := make(chan struct{})
	f := start(t, ours(t), func(_ http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-r.Context().Done()
	}, func(o *ProxyOptions) { o.Drain = 50 * time.Millisecond })
	go client.Get(f.base)
	<-arrived
	begun := time.Now()
	if err := f.close(); err != nil || time.Since(begun) > 10*time.Second {
		t.Errorf("%v, after %v", err, time.Since(begun))
	}
}

func TestWhatCanNotStart(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	busy := taken.Addr().String()
	for _, c := range []struct{ address, configuration, want string }{
		{busy, policy, busy + " is in use by another process; stop that process, or choose another address"},
		{"192.0.2.1:0", policy, "the address must belong to this machine"},
		{"127.0.0.1:0", `{"allow_origin": [""]}`, "the module's log says why"},
	} {
		p, err := StartProxy(
			t.Context(), Policy{wasmtest.Module(t), []byte(c.configuration)},
			ProxyOptions{Listen: c.address, AccessLog: io.Discard, Log: io.Discard},
		)
		if p != nil || err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %s", err, c.want)
		}
	}
}

// TestNoControlCharactersReachTheLogs writes what would move a terminal's cursor.
func TestNoControlCharactersReachTheLogs(t *testing.T) {
	if got, want := printable("a\x1b[2J\u202e\u2028\x00\xffé"), `a\x1b[2J\u202e\u2028\x00\xffé`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	var b bytes.Buffer
	l := &logger{w: &b, level: host.LogInfo}
	l.wasm(host.LogInfo, "cors", "a\x1bb")
	l.standard().Print("connection reset")
	if !strings.HasSuffix(b.String(), "[info] wasm log cors: a\\x1bb\n") {
		t.Errorf("%q", b.String())
	}
}

var buildGuest = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "guest")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	out := filepath.Join(dir, "guest.wasm")
	build := exec.Command("go", "build", "-buildmode=c-shared", "-o", out, "./testdata/guest")
	build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	if text, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("building the guest: %w\n%s", err, text)
	}
	return os.ReadFile(out)
})

// TestWhatAModuleMayDo runs one that does what the filter never does.
func TestWhatAModuleMayDo(t *testing.T) {
	guest, err := buildGuest()
	if err != nil {
		t.Fatal(err)
	}
	upstream := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Guest", r.URL.Query().Get("guest"))
		io.WriteString(w, "from upstream")
	}
	f := start(t, Policy{Module: guest}, upstream, func(o *ProxyOptions) { o.Workers = 2 })
	for _, c := range []struct {
		path, want, log string
	}{
		{"/", "200 from upstream", " 200 via_upstream "},
		{"/reply", "418 a reply\n", " 418 guest_reply "},
		{"/pause", "503 the filter paused this request, and nothing here could resume it\n", " 503 paused_by_filter "},
		{"/?guest=pause", "503 the filter paused this request, and nothing here could resume it\n", " 503 paused_by_filter "},
		{"/?guest=status", "503 from upstream", " 503 via_upstream "},
		{"/?guest=break", "503 ", " 503 wasm_fail_stream "},
	} {
		response, body := f.ask(t, "GET", c.path)
		if got := fmt.Sprint(response.StatusCode, " ", body); got != c.want {
			t.Errorf("%s: %q, want %q", c.path, got, c.want)
		}
		if kind := response.Header.Get("Content-Type"); c.path == "/reply" && kind != "text/tale" {
			t.Error(kind)
		}
		f.logged(t, `"GET `+c.path+`"`+c.log)
	}
	f = start(t, Policy{Module: guest}, upstream, func(o *ProxyOptions) { o.Workers = 2 })
	var seen []string // by the VM of each of two connections
	connections := []*http.Client{{Transport: &http.Transport{}}, {Transport: &http.Transport{}}}
	for _, i := range []int{0, 0, 1, 0, 1} {
		response, err := connections[i].Get(f.base)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, response.Body)
		response.Body.Close()
		seen = append(seen, response.Header.Get("X-Requests"))
	}
	if got := strings.Join(seen, " "); got != "1 2 1 3 2" {
		t.Errorf("requests that a VM has seen: %s", got)
	}
	for _, c := range connections {
		c.CloseIdleConnections()
	}
	f = start(t, Policy{Module: guest}, upstream)
	if response, _ := f.ask(t, "GET", "/trap"); response.StatusCode != 503 {
		t.Errorf("a trap: %d", response.StatusCode)
	}
	if response, body := f.ask(t, "GET", "/"); response.StatusCode != 503 || body != "" {
		t.Errorf("after a trap: %d %q", response.StatusCode, body)
	}
}
