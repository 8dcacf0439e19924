package browser

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"

	"github.com/chromedp/chromedp"

	"corsfilter/internal/envoy"
	"corsfilter/internal/envoytest"
)

// pagePath is where every host of a front has an empty page.
const pagePath = "/.page"

// front is the whole network, as a Chromium sees it that is started with its
// options: every name and port leads here, with TLS or without. So a page can
// come from any origin, https://shop.example.com as well as http://[::1]:8080.
type front struct {
	address string
	mu      sync.Mutex
	api     http.HandlerFunc
	page    string // the origin of the page now shown
}

func newFront(t *testing.T) *front {
	t.Helper()
	// Any certificate will do: the browser is told not to look at it.
	secure := httptest.NewTLSServer(nil)
	certificates := secure.TLS.Certificates
	secure.Close()

	f := &front{}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == pagePath {
			w.Header().Set("Content-Type", "text/html")
			io.WriteString(w, `<!doctype html><title>page</title><link rel="icon" href="data:,">`)
			return
		}
		f.mu.Lock()
		api := f.api
		f.mu.Unlock()
		if api == nil {
			http.NotFound(w, r)
			return
		}
		api(w, r)
	}))
	server.Listener = either{server.Listener, &tls.Config{Certificates: certificates, NextProtos: []string{"http/1.1"}}}
	server.Start()
	t.Cleanup(server.Close)
	f.address = server.Listener.Addr().String()
	return f
}

// options are what a browser needs to see the front everywhere.
func (f *front) options() []chromedp.ExecAllocatorOption {
	return []chromedp.ExecAllocatorOption{
		chromedp.IgnoreCertErrors,
		chromedp.Flag("host-resolver-rules", "MAP * "+f.address),
		// A page of http:// has to stay one, and port 1 is as good as any.
		chromedp.Flag("disable-features", "HttpsUpgrades,HttpsFirstBalancedModeAutoEnable"),
		chromedp.Flag("explicitly-allowed-ports", "1"),
	}
}

// answer sets what answers requests other than for pages.
func (f *front) answer(api http.HandlerFunc) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.api = api
}

// run evaluates a promise in a page of the origin; null is a sandboxed frame.
func run[T any](t *testing.T, ctx context.Context, f *front, origin, script string) T {
	t.Helper()
	page := origin
	if origin == "null" {
		page = "https://frame.example"
	}
	if f.page != page {
		do(t, ctx, chromedp.Navigate(page+pagePath))
		if is := evaluate[string](t, ctx, "location.origin"); is != page {
			t.Fatalf("the page comes from %s, not from %s", is, page)
		}
		f.page = page
	}
	if origin != "null" {
		return evaluate[T](t, ctx, script)
	}
	quoted, err := json.Marshal(script)
	if err != nil {
		t.Fatal(err)
	}
	return evaluate[T](t, ctx, fmt.Sprintf(`new Promise((resolve) => {
		const frame = document.createElement("iframe");
		frame.sandbox = "allow-scripts";
		addEventListener("message", (e) => { frame.remove(); resolve(e.data); }, { once: true });
		frame.srcdoc = "<script>onmessage = (e) => eval(e.data).then((r) => parent.postMessage(r, '*'))</scr" + "ipt>";
		frame.onload = () => frame.contentWindow.postMessage(%s, "*");
		document.body.append(frame);
	})`, quoted))
}

// either is a listener for TLS and plain connections alike: the first byte of a
// TLS connection is that of a handshake record, and no method begins with it.
type either struct {
	net.Listener
	config *tls.Config
}

func (l either) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &eitherConn{Conn: conn, config: l.config}, nil
}

// eitherConn decides at the first read, which is in the connection's own
// goroutine.
type eitherConn struct {
	net.Conn
	config *tls.Config
	once   sync.Once
	inner  net.Conn
}

func (c *eitherConn) decide() net.Conn {
	c.once.Do(func() {
		buffered := bufferedConn{c.Conn, bufio.NewReader(c.Conn)}
		c.inner = buffered
		if first, err := buffered.reader.Peek(1); err == nil && first[0] == 0x16 {
			c.inner = tls.Server(buffered, c.config)
		}
	})
	return c.inner
}

func (c *eitherConn) Read(p []byte) (int, error)  { return c.decide().Read(p) }
func (c *eitherConn) Write(p []byte) (int, error) { return c.decide().Write(p) }

type bufferedConn struct {
	net.Conn
	reader *bufio.Reader
}

func (c bufferedConn) Read(p []byte) (int, error) { return c.reader.Read(p) }

// pass hands a request on to an address, as it is, and returns what answered it.
func pass(w http.ResponseWriter, r *http.Request, address string) *http.Response {
	onward := r.Clone(r.Context())
	onward.URL.Scheme, onward.URL.Host, onward.RequestURI = "http", address, ""
	response, err := onwards.RoundTrip(onward)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return nil
	}
	defer response.Body.Close()
	maps.Copy(w.Header(), response.Header)
	w.WriteHeader(response.StatusCode)
	io.Copy(w, response.Body)
	return response
}

var onwards = &http.Transport{DisableCompression: true}

// serveAll starts an Envoy with a listener for each policy, in their order, that
// sends everything upstream. It returns the listeners' addresses.
func serveAll(t *testing.T, upstream string, policies ...string) (s *envoytest.Server, addresses []string) {
	t.Helper()
	b := envoytest.Bootstrap{Upstream: upstream}
	for i, policy := range policies {
		b.Listeners = append(b.Listeners, envoytest.Listener{Name: strconv.Itoa(i), Policy: policy})
	}
	s = envoytest.Start(t, b, envoy.Options{})
	t.Cleanup(onwards.CloseIdleConnections)
	for i := range policies {
		addresses = append(addresses, s.Address(strconv.Itoa(i)))
	}
	return s, addresses
}
