package browser

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/chromedp/chromedp"
	"sigs.k8s.io/yaml"

	"corsfilter/internal/gateway"
	"corsfilter/internal/wasmtest"
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

// pass hands a request on to an address, as it is.
func pass(w http.ResponseWriter, r *http.Request, address string) {
	onward := r.Clone(r.Context())
	onward.URL.Scheme, onward.URL.Host, onward.RequestURI = "http", address, ""
	response, err := onwards.RoundTrip(onward)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer response.Body.Close()
	for name, values := range response.Header {
		w.Header()[name] = values
	}
	w.WriteHeader(response.StatusCode)
	io.Copy(w, response.Body)
}

var onwards = &http.Transport{DisableCompression: true}

// serveAll starts the gateway of envoy.yaml with another policy and everything
// routed upstream. It returns the address, the streams that have ended, and what
// ends it.
func serveAll(t *testing.T, policy, upstream string) (g *gateway.Gateway, events <-chan gateway.Event, end func()) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(wasmtest.Root(), "envoy.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var bootstrap any
	if err := yaml.Unmarshal(text, &bootstrap); err != nil {
		t.Fatal(err)
	}
	manager := wasmtest.Within(t, bootstrap, "static_resources", "listeners", 0, "filter_chains", 0, "filters", 0, "typed_config")
	wasmtest.Within(t, manager, "http_filters", 0, "typed_config", "config", "configuration")["value"] = policy
	wasmtest.Within(t, manager, "route_config", "virtual_hosts", 0)["routes"] = []any{
		map[string]any{"match": map[string]any{"prefix": "/"}, "route": map[string]any{"cluster": "api"}},
	}
	changed, err := json.Marshal(bootstrap)
	if err != nil {
		t.Fatal(err)
	}
	config, err := gateway.Load(changed, gateway.LoadOptions{Module: wasmtest.Module(t)})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan gateway.Event, 64)
	g, err = gateway.Start(context.Background(), config, gateway.Options{
		Listen: gateway.Ephemeral, Endpoints: map[string]string{"api": upstream}, AccessLog: io.Discard, Log: io.Discard,
		OnStream: func(e gateway.Event) {
			select {
			case ended <- e:
			default: // nobody looks
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return g, ended, func() {
		onwards.CloseIdleConnections()
		if err := g.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}
}
