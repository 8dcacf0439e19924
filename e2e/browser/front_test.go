package browser

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"strconv"
	"sync"
	"testing"

	"corsfilter/internal/envoy"
	"corsfilter/internal/envoytest"
)

// pagePath is where every host of a front has an empty page.
const pagePath = "/.page"

// front is the whole network, for a browser that has it as its HTTP proxy: every
// name and port leads here, with TLS or without. So a page can come from any origin,
// https://shop.example.com as well as http://[::1]:8080.
type front struct {
	address string
	server  *http.Server
	mu      sync.Mutex
	api     http.HandlerFunc
	page    string // the origin of the page now shown
}

func newFront() *front {
	// Any certificate will do: the browser does not check it.
	secure := httptest.NewTLSServer(nil)
	config := &tls.Config{Certificates: secure.TLS.Certificates, NextProtos: []string{"http/1.1"}}
	secure.Close()
	proxy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	f := &front{address: proxy.Addr().String()}
	inside := &tunnels{conns: make(chan net.Conn)}
	inside.ctx, inside.stop = context.WithCancel(context.Background())
	f.server = &http.Server{ErrorLog: silent, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect {
			f.serve(w, r)
			return
		}
		conn, buffered, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\n")
		select {
		case inside.conns <- tls.Server(bufferedConn{conn, buffered.Reader}, config):
		case <-inside.ctx.Done():
			conn.Close()
		}
	})}
	go f.server.Serve(proxy)
	go f.server.Serve(inside)
	return f
}

func (f *front) close() { f.server.Close() }

func (f *front) serve(w http.ResponseWriter, r *http.Request) {
	r.RequestURI = r.URL.RequestURI() // not as it is sent to a proxy
	r.Header.Del("Proxy-Connection")
	if r.URL.Path == pagePath {
		w.Header().Set("Content-Type", "text/html")
		io.WriteString(w, `<!doctype html><title>page</title><link rel="icon" href="data:,">`)
		return
	}
	f.mu.Lock()
	api := f.api
	f.mu.Unlock()
	switch host := r.URL.Hostname(); {
	case api != nil:
		api(w, r)
	case host == "localhost" || host == "127.0.0.1":
		onward.ServeHTTP(w, r)
	default: // the browser's own business, which leads here as well
		http.NotFound(w, r)
	}
}

// onward passes requests on, and says nothing where one ends early, as a page's stream
// of events does.
var onward = &httputil.ReverseProxy{
	Rewrite: func(*httputil.ProxyRequest) {}, Transport: onwards, FlushInterval: -1, ErrorLog: silent,
}

var silent = log.New(io.Discard, "", 0)

// answer sets what answers requests other than for pages; nil passes those for this
// machine on to where they go.
func (f *front) answer(api http.HandlerFunc) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.api = api
}

// tunnels is a listener for the connections within connections.
type tunnels struct {
	conns chan net.Conn
	ctx   context.Context
	stop  context.CancelFunc
}

func (l *tunnels) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conns:
		return conn, nil
	case <-l.ctx.Done():
		return nil, net.ErrClosed
	}
}
func (l *tunnels) Close() error   { l.stop(); return nil }
func (l *tunnels) Addr() net.Addr { return &net.TCPAddr{} }

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
