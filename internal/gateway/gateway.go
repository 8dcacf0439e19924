// Package gateway serves an Envoy bootstrap (envoy.yaml) over live HTTP, with
// proxy-wasm filters run by internal/host. It is for `corsctl serve` and for the
// tests that send real requests, browsers' ones above all, and offers what they
// need and no more: listeners with one connection manager, wasm filters, routes to
// a cluster of one endpoint, direct responses, WebSockets, path normalization, an
// access log, and the part of the admin port that the roll-out uses. Whatever else
// a bootstrap asks for is refused with its path in the file, never left out. The
// package sees wasm bytes and the wire, and imports nothing of the filter.
package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"corsfilter/internal/host"
)

// AdminListener is the name under which Options.Listen is asked for the admin
// address.
const AdminListener = "admin"

// Options say how a configuration is served. The zero value serves it as it
// stands.
type Options struct {
	// Workers is the number of worker threads, each with its own VMs; 0: one.
	// A connection stays with one worker.
	Workers int
	// Listen replaces the address (host:port) of a listener, or keeps it by
	// returning it. nil: all are kept. See [Ephemeral].
	Listen func(name, address string) string
	// Endpoints replaces the endpoint (host:port) of clusters, by name.
	Endpoints map[string]string
	// AccessLog takes the access logs; nil: os.Stdout.
	AccessLog io.Writer
	// Log takes the gateway's and the modules' own lines; nil: os.Stderr.
	Log io.Writer
	// LogLevel is the least level that Log takes.
	LogLevel host.LogLevel
	// OnStream is told of every stream that has ended; nil: nobody is, and nothing
	// is noted. It is called on the stream's goroutine.
	OnStream func(Event)
	// HeaderTimeout bounds how long a client may take to send a request's headers;
	// 0: ten seconds.
	HeaderTimeout time.Duration
	// UpstreamTimeout bounds how long a response may take, but for WebSockets; 0:
	// fifteen seconds, which is what Envoy gives a route.
	UpstreamTimeout time.Duration
	// Drain bounds the graceful shutdown after the context of Start ends;
	// 0: ten seconds.
	Drain time.Duration
}

// Ephemeral is an Options.Listen that serves everything on loopback, on ports
// that the system chooses.
func Ephemeral(string, string) string { return "127.0.0.1:0" }

const (
	defaultDrain         = 10 * time.Second
	defaultHeaderTimeout = 10 * time.Second

	defaultUpstreamTimeout = 15 * time.Second
	// idleTimeout ends connections that wait for their next request. Envoy's is an
	// hour; this process is not made to run for days.
	idleTimeout = 5 * time.Minute
)

// Gateway is a configuration being served.
type Gateway struct {
	config  *Config
	options Options
	metrics *host.Metrics
	log     *logger

	modules    []*host.Module
	workers    []*worker
	turn       atomic.Uint64 // of the worker for the next connection
	transports map[string]*http.Transport
	servers    []*server
	admin      *admin

	drain     context.Context // done when the gateway begins to end
	stop      context.CancelFunc
	serving   sync.WaitGroup // streams, WebSockets included
	closeOnce sync.Once
	closed    chan struct{}
	closeErr  error
}

// Start compiles the modules, configures the plugins, listens on all addresses
// and serves until ctx ends or Close is called. After an error nothing is left
// running.
func Start(ctx context.Context, config *Config, options Options) (*Gateway, error) {
	if options.Workers <= 0 {
		options.Workers = 1
	}
	if options.Listen == nil {
		options.Listen = func(_, address string) string { return address }
	}
	if options.AccessLog == nil {
		options.AccessLog = os.Stdout
	}
	if options.Log == nil {
		options.Log = os.Stderr
	}
	if options.HeaderTimeout <= 0 {
		options.HeaderTimeout = defaultHeaderTimeout
	}
	if options.Drain <= 0 {
		options.Drain = defaultDrain
	}
	if options.UpstreamTimeout <= 0 {
		options.UpstreamTimeout = defaultUpstreamTimeout
	}
	options.AccessLog = &lockedWriter{w: options.AccessLog}
	g := &Gateway{
		config:     config,
		options:    options,
		metrics:    host.NewMetrics(),
		log:        newLogger(options.Log, options.LogLevel),
		transports: map[string]*http.Transport{},
		closed:     make(chan struct{}),
	}
	for name, c := range config.clusters {
		g.transports[name] = newTransport(c)
	}
	g.drain, g.stop = context.WithCancel(context.WithoutCancel(ctx))
	// What a module allocates must outlive ctx: it is still needed to drain.
	if err := g.startWorkers(context.WithoutCancel(ctx), options.Workers); err != nil {
		return nil, errors.Join(err, g.closeWorkers(context.WithoutCancel(ctx)))
	}
	if err := g.listen(ctx); err != nil {
		for _, s := range g.servers {
			s.listener.Close()
		}
		if g.admin != nil {
			g.admin.listener.Close()
		}
		return nil, errors.Join(err, g.closeWorkers(context.WithoutCancel(ctx)))
	}
	for _, s := range g.servers {
		go s.http.Serve(s.listener)
	}
	if g.admin != nil {
		go g.admin.http.Serve(g.admin.listener)
	}
	go func() {
		select {
		case <-g.closed:
		case <-ctx.Done():
			drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), options.Drain)
			defer cancel()
			g.Close(drain)
		}
	}()
	return g, nil
}

// listen binds every address before the first connection is served, so that a
// port in use leaves nothing half started. The error names all that are.
func (g *Gateway) listen(ctx context.Context) error {
	var failures []error
	for _, l := range g.config.listeners {
		bound, err := bind(ctx, "listener "+l.name, g.options.Listen(l.name, l.address))
		if err != nil {
			failures = append(failures, err)
			continue
		}
		g.servers = append(g.servers, newServer(g, l, bound))
	}
	if g.config.admin != "" {
		bound, err := bind(ctx, "admin listener", g.options.Listen(AdminListener, g.config.admin))
		if err != nil {
			failures = append(failures, err)
		} else {
			g.admin = newAdmin(g, bound)
		}
	}
	return errors.Join(failures...)
}

func bind(ctx context.Context, who, address string) (net.Listener, error) {
	// Envoy's 0.0.0.0 is IPv4 alone and its :: IPv6 alone, which "tcp" is not.
	network := "tcp4"
	if strings.HasPrefix(address, "[") {
		network = "tcp6"
	}
	bound, err := (&net.ListenConfig{}).Listen(ctx, network, address)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("%s: %s is in use by another process; stop that process, or change the address in the file", who, address)
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("%s: %s needs privileges; take a port above 1023", who, address)
	case err != nil:
		return nil, fmt.Errorf("%s: %w; the address must belong to this machine", who, err)
	}
	return bound, nil
}

// Listeners returns the names of the listeners, in the order of the file. One
// without a name goes by its address in the file.
func (g *Gateway) Listeners() []string {
	names := make([]string, len(g.servers))
	for i, s := range g.servers {
		names[i] = s.spec.name
	}
	return names
}

// Addr returns the address (host:port) a listener is bound to; empty if there
// is none of that name.
func (g *Gateway) Addr(listener string) string {
	for _, s := range g.servers {
		if s.spec.name == listener {
			return s.listener.Addr().String()
		}
	}
	return ""
}

// AdminAddr returns the address the admin listener is bound to; empty if the
// file has none.
func (g *Gateway) AdminAddr() string {
	if g.admin == nil {
		return ""
	}
	return g.admin.listener.Addr().String()
}

// Metrics returns what the modules of all workers count.
func (g *Gateway) Metrics() *host.Metrics { return g.metrics }

// VMs returns the VMs of all workers, worker by worker.
func (g *Gateway) VMs() []*host.VM {
	var vms []*host.VM
	for _, w := range g.workers {
		vms = append(vms, w.vms...)
	}
	return vms
}

// Done is closed when the gateway has ended.
func (g *Gateway) Done() <-chan struct{} { return g.closed }

// Close stops listening, lets the requests in flight finish until ctx ends,
// breaks what is left, and frees the VMs. It may be called more than once.
// WebSockets are closed at once, as they would never finish.
func (g *Gateway) Close(ctx context.Context) error {
	g.closeOnce.Do(func() {
		g.closeErr = g.close(ctx)
		close(g.closed)
	})
	<-g.closed
	return g.closeErr
}

func (g *Gateway) close(ctx context.Context) error {
	g.stop()
	var wait sync.WaitGroup
	for _, s := range g.servers {
		wait.Go(func() {
			if s.http.Shutdown(ctx) != nil {
				s.http.Close()
			}
		})
	}
	wait.Wait()
	g.serving.Wait()
	for _, transport := range g.transports {
		transport.CloseIdleConnections()
	}
	if g.admin != nil {
		g.admin.http.Close()
	}
	return g.closeWorkers(context.WithoutCancel(ctx))
}

// endpoint is where requests for the cluster go; empty: nowhere.
func (g *Gateway) endpoint(c *cluster) string {
	if replaced, ok := g.options.Endpoints[c.name]; ok {
		return replaced
	}
	return c.address
}
