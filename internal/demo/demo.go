// Package demo is the demo of corsctl serve: a small API that plays the upstream, a
// page that calls it from two origins, and the decisions of the policy in effect. It is
// for development only. It imports the filter's packages and knows the gateway only
// through the events it gets.
package demo

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"time"
)

//go:embed page
var pageFiles embed.FS

// pagePolicy is the Content-Security-Policy of the page: nothing but its own
// files, and requests to itself and to gateways on this machine.
const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; " +
	"connect-src 'self' http://localhost:* http://127.0.0.1:*; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// Pages returns the demo page, and what the page asks for: with live, the events
// and counters of the gateway, from the page's own origin, so that CORS does not
// stand between the page and what it tells about CORS.
func Pages(live *Live) http.Handler {
	files, err := fs.Sub(pageFiles, "page")
	if err != nil {
		panic(err) // the directory is embedded above
	}
	mux := http.NewServeMux()
	mux.Handle("/", http.FileServerFS(files))
	if live != nil {
		mux.HandleFunc("GET /events", live.events)
		mux.HandleFunc("GET /counters", live.counters)
		mux.HandleFunc("GET /places", live.places)
		mux.HandleFunc("POST /policy", live.policy)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// A page elsewhere can give its own name this machine's address, and would
		// be of this origin then: it could read the events.
		if !loopbackHost(r.Host) {
			http.Error(w, "the demo answers only as localhost", http.StatusMisdirectedRequest)
			return
		}
		// Whoever changes the page wants to see the change.
		w.Header().Set("Cache-Control", "no-cache")
		w.Header().Set("Content-Security-Policy", pagePolicy)
		w.Header().Set("X-Content-Type-Options", "nosniff")
		mux.ServeHTTP(w, r)
	})
}

// loopbackHost reports whether a Host is a name of this machine alone.
func loopbackHost(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	address := net.ParseIP(strings.Trim(host, "[]"))
	return strings.EqualFold(host, "localhost") || address != nil && address.IsLoopback()
}

// Ports are where the demo listens, on loopback only; 0: chosen by the system.
type Ports struct {
	Upstream int
	// Page and Other serve the same page, so that it comes from two origins: what
	// the policy says of each is the policy's business.
	Page, Other int
}

// DefaultPorts are those that envoy.yaml speaks of.
var DefaultPorts = Ports{Upstream: 9000, Page: 8000, Other: 8001}

// Demo is the running demo; its fields are addresses, host:port.
type Demo struct {
	Upstream    string
	Page, Other string

	servers []*http.Server
}

// Start listens on all ports or, after an error, on none. live may be nil.
func Start(ctx context.Context, ports Ports, live *Live) (*Demo, error) {
	d := &Demo{}
	var all []func()
	var listeners []net.Listener
	serve := func(who string, port int, both bool, handler http.Handler) (string, error) {
		bound, err := listenLoopback(ctx, who, port, both)
		if err != nil {
			return "", err
		}
		listeners = append(listeners, bound...)
		server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute}
		d.servers = append(d.servers, server)
		for _, l := range bound {
			all = append(all, func() { server.Serve(l) })
		}
		return bound[0].Addr().String(), nil
	}
	var failures [3]error
	d.Upstream, failures[0] = serve("the demo upstream", ports.Upstream, false, Upstream())
	d.Page, failures[1] = serve("the demo page", ports.Page, true, Pages(live))
	d.Other, failures[2] = serve("the demo page of another origin", ports.Other, true, Pages(live))
	if err := errors.Join(failures[:]...); err != nil {
		for _, l := range listeners {
			l.Close()
		}
		return nil, err
	}
	for _, run := range all {
		go run()
	}
	return d, nil
}

// Close ends the demo, requests in flight included.
func (d *Demo) Close() error {
	var failures []error
	for _, server := range d.servers {
		failures = append(failures, server.Close())
	}
	return errors.Join(failures...)
}

// listenLoopback binds 127.0.0.1 and, where asked for and available, [::1]:
// browsers resolve localhost to either.
func listenLoopback(ctx context.Context, who string, port int, both bool) ([]net.Listener, error) {
	var config net.ListenConfig
	v4, err := config.Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return nil, portError(who, port, err)
	}
	if !both {
		return []net.Listener{v4}, nil
	}
	_, bound, _ := net.SplitHostPort(v4.Addr().String())
	v6, err := config.Listen(ctx, "tcp", net.JoinHostPort("::1", bound))
	switch {
	case err == nil:
		return []net.Listener{v4, v6}, nil
	case errors.Is(err, syscall.EADDRINUSE):
		v4.Close()
		return nil, portError(who, port, err)
	}
	return []net.Listener{v4}, nil // no IPv6 here
}

func portError(who string, port int, err error) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("port %d, which %s needs, is in use by another process; stop that process and start again", port, who)
	}
	return fmt.Errorf("port %d: needed by %s: %w", port, who, err)
}
