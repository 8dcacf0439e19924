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
	options Options
	metrics *host.Metrics
	log     *logger
	ticks   ticks
	turn    atomic.Uint64 // of the worker for the next connection
	admin   *admin

	mu         sync.Mutex // of the two below
	generation *generation
	servers    []*server

	gone      []*server       // that a reload took away
	reloading sync.Mutex      // one at a time, and none once the gateway ends
	retiring  sync.WaitGroup  // generations that end
	drain     context.Context // done when the gateway begins to end
	stop      context.CancelFunc
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
		options: options,
		metrics: host.NewMetrics(),
		log:     newLogger(options.Log, options.LogLevel),
		closed:  make(chan struct{}),
	}
	g.drain, g.stop = context.WithCancel(context.WithoutCancel(ctx))
	// What a module allocates must outlive ctx: it is still needed to drain.
	lasting := context.WithoutCancel(ctx)
	var err error
	if g.generation, err = g.newGeneration(lasting, config); err != nil {
		return nil, err
	}
	if err := g.listen(ctx); err != nil {
		return nil, errors.Join(err, g.generation.close(lasting))
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
	servers, _, err := g.listeners(ctx, g.generation)
	if g.generation.config.admin != "" {
		bound, adminErr := bind(ctx, "admin listener", g.options.Listen(AdminListener, g.generation.config.admin))
		switch {
		case adminErr != nil:
			err = errors.Join(err, adminErr)
		case err != nil:
			bound.Close()
		default:
			g.admin = newAdmin(g, bound)
		}
	}
	if err != nil {
		for _, s := range servers {
			s.listener.Close()
		}
		return err
	}
	g.servers = servers
	return nil
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
	g.mu.Lock()
	defer g.mu.Unlock()
	names := make([]string, len(g.servers))
	for i, s := range g.servers {
		names[i] = s.name()
	}
	return names
}

// Addr returns the address (host:port) a listener is bound to; empty if there
// is none of that name.
func (g *Gateway) Addr(listener string) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, s := range g.servers {
		if s.name() == listener {
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

// current is what new requests are served by.
func (g *Gateway) current() *generation {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.generation
}

// VMs returns the VMs of all workers, worker by worker.
func (g *Gateway) VMs() []*host.VM {
	var vms []*host.VM
	for _, w := range g.current().workers {
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
	g.reloading.Lock() // until one that has begun is done
	defer g.reloading.Unlock()
	var wait sync.WaitGroup
	for _, s := range append(g.gone, g.servers...) {
		wait.Go(func() { s.shutdown(ctx) })
	}
	wait.Wait()
	g.retiring.Wait()
	err := g.generation.close(context.WithoutCancel(ctx))
	if g.admin != nil {
		g.admin.http.Close()
	}
	return err
}

// endpoint is where requests for the cluster go; empty: nowhere.
func (g *Gateway) endpoint(c *cluster) string {
	if replaced, ok := g.options.Endpoints[c.name]; ok {
		return replaced
	}
	return c.address
}
