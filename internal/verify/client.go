// Package verify tests live servers and policies. It derives requests from a policy and
// compares the answers, probes a server for dangerous behaviour, and runs test cases against a
// policy or a server. The filter's own decision says what a policy means, and the textbook
// browser says what a page may read.
package verify

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"

	"corsfilter/internal/browser"
)

// Options say how a server is asked.
type Options struct {
	// Headers are sent along with every request but preflights, which carry no
	// credentials.
	Headers []browser.Header
	// Resolve has addresses by host:port, as curl's --resolve does.
	Resolve map[string]string
	// AnyHost also sends requests for other hosts to the URL's address.
	AnyHost  bool
	Insecure bool          // any certificate will do
	Unsafe   bool          // send other methods than GET, HEAD and OPTIONS
	Timeout  time.Duration // of one request
	Rate     float64       // requests per second
	Max      int           // requests in all
}

// Client sends requests to one server, one at a time, and follows no redirects.
type Client struct {
	Options
	// Asked, if not nil, is called after each request.
	Asked func()

	base  *url.URL
	path  string // what the URL says; "" where it names the host alone
	http  *http.Client
	dial  sync.Map // what is dialed in place of a host:port; connections are made beside
	next  time.Time
	sent  int // requests
	lost  int // since the last answer
	heard bool
}

// NewClient returns a client for the server at a URL. The error says what is wrong with
// the URL.
func NewClient(text string, o Options) (*Client, error) {
	base, err := url.Parse(text)
	switch {
	case err != nil:
		return nil, err
	case base.Scheme != "http" && base.Scheme != "https" || base.Hostname() == "":
		return nil, fmt.Errorf("%q is not the URL of a server; write one such as https://api.example.com", text)
	case base.User != nil || base.Fragment != "":
		return nil, fmt.Errorf("%q: leave out what comes before @ and after #; send credentials with -header", text)
	}
	base.Host = strings.TrimSuffix(strings.ToLower(base.Host), map[string]string{"http": ":80", "https": ":443"}[base.Scheme])
	c := &Client{Options: o, base: base}
	if c.path = base.RequestURI(); c.path == "/" {
		c.path = ""
	}
	for from, to := range o.Resolve {
		c.dial.Store(from, to)
	}
	_, err = netip.ParseAddr(base.Hostname())
	c.AnyHost = c.AnyHost || err == nil || base.Hostname() == "localhost"
	dialer := &net.Dialer{Timeout: o.Timeout}
	c.http = &http.Client{
		Timeout:       o.Timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			Proxy:              http.ProxyFromEnvironment,
			DisableCompression: true, // or Vary might be the transport's doing
			ForceAttemptHTTP2:  true,
			TLSClientConfig:    &tls.Config{InsecureSkipVerify: o.Insecure},
			DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
				return dialer.DialContext(ctx, network, c.dialed(address))
			},
		},
	}
	return c, nil
}

// Target is what requests are derived for.
func (c *Client) Target() Target {
	return Target{Scheme: c.base.Scheme, Host: c.base.Host, Path: c.path, AnyHost: c.AnyHost}
}

// Close ends the connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Exchange is one request and its answer.
type Exchange struct {
	Method   string           `json:"method"`
	URL      string           `json:"url"`
	Request  []browser.Header `json:"request"`
	Status   int              `json:"status,omitempty"` // 0: there was no answer
	Response []browser.Header `json:"response,omitempty"`
	// Err says why there was none.
	Err string `json:"error,omitempty"`
}

// ask sends a request to a host and a path and waits for the head of the answer.
func (c *Client) ask(ctx context.Context, method, host, path string, headers []browser.Header) Exchange {
	x := Exchange{Method: method, URL: c.base.Scheme + "://" + host + path, Request: headers}
	if c.gone() {
		x.Err = "not sent, because the requests before it got no answer"
		return x
	}
	c.lost++
	if err := c.send(ctx, &x, host); err != nil {
		var in *url.Error
		if errors.As(err, &in) {
			err = in.Err
		}
		x.Err = err.Error()
	}
	if c.Asked != nil {
		c.Asked()
	}
	return x
}

// gone reports whether the server cannot be reached, or no longer can.
func (c *Client) gone() bool { return c.lost > 2 || c.lost > 0 && !c.heard }

func (c *Client) send(ctx context.Context, x *Exchange, host string) error {
	select {
	case <-time.After(time.Until(c.next)):
	case <-ctx.Done():
		return ctx.Err()
	}
	c.sent++
	c.next = time.Now().Add(time.Duration(float64(time.Second) / c.Rate))
	request, err := http.NewRequestWithContext(ctx, x.Method, x.URL, nil)
	if err != nil {
		return err
	}
	if host != c.base.Host {
		c.elsewhere(request)
	}
	request.Header.Set("User-Agent", madeUp)
	preflight := false
	for _, h := range x.Request {
		request.Header.Add(h.Name, h.Value)
		preflight = preflight || h.Name == "access-control-request-method"
	}
	if !preflight {
		for _, h := range c.Headers {
			request.Header.Add(h.Name, h.Value)
		}
	}
	response, err := c.http.Do(request)
	if err != nil {
		return err
	}
	if response.ContentLength >= 0 && response.ContentLength < 1<<16 { // else it may have no end
		io.Copy(io.Discard, response.Body) // so that the connection is used again
	}
	response.Body.Close()
	c.lost, c.heard = 0, true
	x.Status = response.StatusCode
	for name, values := range response.Header {
		for _, value := range values {
			x.Response = append(x.Response, browser.Header{Name: strings.ToLower(name), Value: value})
		}
	}
	return nil
}

// elsewhere sends a request for another host to the URL's address, under that host's name.
func (c *Client) elsewhere(request *http.Request) {
	at := *request.URL
	if at.Port() == "" && c.base.Port() != "" { // the port is the server's, and not of the name
		at.Host = net.JoinHostPort(at.Hostname(), c.base.Port())
		request.URL = &at
	}
	c.dial.LoadOrStore(address(&at), c.dialed(address(c.base)))
}

func (c *Client) dialed(address string) string {
	if to, ok := c.dial.Load(address); ok {
		return to.(string)
	}
	return address
}

// address is what is dialed for a URL.
func address(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// ParseResolve reads host:port:address, as in curl's --resolve. It returns the address to
// dial, and for which host and port.
func ParseResolve(text string) (from, to string, err error) {
	host, rest, _ := strings.Cut(text, ":")
	port, ip, _ := strings.Cut(rest, ":")
	at, err := netip.ParseAddr(strings.Trim(ip, "[]"))
	if host == "" || err != nil {
		return "", "", fmt.Errorf("%q: write HOST:PORT:ADDRESS, such as api.example.com:443:127.0.0.1", text)
	}
	return net.JoinHostPort(strings.ToLower(host), port), net.JoinHostPort(at.String(), port), nil
}
