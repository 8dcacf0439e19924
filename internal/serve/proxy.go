package serve

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"corsfilter/internal/demo"
	"corsfilter/internal/host"
)

// Policy is what a [Proxy] decides by.
type Policy struct {
	Module        []byte // wasm
	Configuration []byte // of the module's plugin
}

// ProxyOptions say how a policy is served.
type ProxyOptions struct {
	// Listen and Upstream are addresses (host:port); port 0 of the first is the
	// system's choice.
	Listen, Upstream string
	// Workers is the number of VMs; 0: one. A connection stays with one of them.
	Workers int
	// AccessLog takes a line for each request, Log what the module says from
	// LogLevel on.
	AccessLog, Log io.Writer
	LogLevel       host.LogLevel
	// OnEvent is called with every exchange that has ended, on its goroutine; nil:
	// nobody is.
	OnEvent func(demo.Event)
	// Drain bounds how long Close waits for requests in flight; 0: ten seconds.
	Drain time.Duration
}

// Proxy is a policy at work in front of one server, without Envoy: a reverse proxy
// with the module in internal/host as its only filter.
type Proxy struct {
	options   ProxyOptions
	metrics   *host.Metrics
	log       *logger
	ticks     ticks
	turn      atomic.Uint64 // of the VM for the next connection
	listener  net.Listener
	http      *http.Server
	transport *http.Transport

	mu         sync.RWMutex // of generation
	generation *generation

	reloading sync.Mutex      // one at a time
	retiring  sync.WaitGroup  // generations that end
	ending    context.Context // done when Close begins
	end       context.CancelFunc
}

// Timeouts for clients. A response may take as long as it likes: front ends' own
// servers reload their pages by event streams.
const (
	headerTimeout = 10 * time.Second
	idleTimeout   = 5 * time.Minute
	defaultDrain  = 10 * time.Second
)

// StartProxy compiles the module, configures it and serves until Close is called.
// After an error nothing is left running.
func StartProxy(ctx context.Context, policy Policy, options ProxyOptions) (*Proxy, error) {
	if options.Drain <= 0 {
		options.Drain = defaultDrain
	}
	options.Workers = max(1, options.Workers)
	options.AccessLog = &lockedWriter{w: options.AccessLog}
	p := &Proxy{
		options: options,
		metrics: host.NewMetrics(),
		log:     &logger{w: &lockedWriter{w: options.Log}, level: options.LogLevel},
		transport: &http.Transport{
			DisableCompression: true, // bodies pass as they are
			IdleConnTimeout:    time.Minute,
		},
	}
	// What a module allocates must outlive ctx: it is still needed to drain.
	p.ending, p.end = context.WithCancel(context.WithoutCancel(ctx))
	var err error
	if p.listener, err = bind(ctx, options.Listen); err != nil {
		return nil, err
	}
	if p.generation, err = p.newGeneration(policy); err != nil {
		return nil, errors.Join(err, p.listener.Close())
	}
	protocols := &http.Protocols{}
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	p.http = &http.Server{
		Handler: p, Protocols: protocols, ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout, ErrorLog: p.log.standard(),
		DisableGeneralOptionsHandler: true,
		ConnContext: func(ctx context.Context, _ net.Conn) context.Context {
			return context.WithValue(ctx, turnKey{}, p.turn.Add(1)-1)
		},
	}
	go p.http.Serve(p.listener)
	return p, nil
}

// turnKey is where a connection has its number.
type turnKey struct{}

func bind(ctx context.Context, address string) (net.Listener, error) {
	bound, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("%s is in use by another process; stop that process, or choose another address", address)
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("%s needs privileges; take a port above 1023", address)
	case err != nil:
		return nil, fmt.Errorf("%w; the address must belong to this machine", err)
	}
	return bound, nil
}

// Listeners returns the one that there is.
func (p *Proxy) Listeners() ([]Listener, error) {
	return []Listener{{Name: "main", Address: p.listener.Addr().String()}}, nil
}

// Configurations returns the policy in effect.
func (p *Proxy) Configurations() [][]byte {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return [][]byte{p.generation.configuration}
}

// Counters returns what the modules of all workers have counted.
func (p *Proxy) Counters() map[string]uint64 {
	values := map[string]uint64{}
	for _, metric := range p.metrics.All() {
		values[metric.Name] = metric.Value
	}
	return values
}

// Ended is closed where the proxy ends by itself, which it does not.
func (p *Proxy) Ended() <-chan struct{} { return nil }

// Close stops listening, lets the requests in flight finish, breaks what is left
// after a while, and frees the VMs. WebSockets are closed at once, as they would
// never finish.
func (p *Proxy) Close() error {
	p.end()
	p.reloading.Lock()
	defer p.reloading.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), p.options.Drain)
	defer cancel()
	if p.http.Shutdown(ctx) != nil {
		p.http.Close()
	}
	p.retiring.Wait()
	err := p.generation.close()
	p.transport.CloseIdleConnections()
	return err
}

// Reload decides by another policy from now on. Requests that have begun, WebSockets
// among them, end by the one that they began with. An error, such as a configuration
// that the module refuses, leaves everything as it was.
func (p *Proxy) Reload(policy Policy) error {
	p.reloading.Lock()
	defer p.reloading.Unlock()
	next, err := p.newGeneration(policy)
	if err != nil {
		return err
	}
	p.mu.Lock()
	before := p.generation
	p.generation = next
	p.mu.Unlock()
	p.retiring.Go(func() {
		if err := before.close(); err != nil {
			p.log.print(host.LogError, "the policy before: "+err.Error())
		}
	})
	return nil
}

// generation is a policy at work: the module with the policy's plugin in one VM for
// each worker.
type generation struct {
	configuration []byte
	module        *host.Module
	vms           []*host.VM
	plugins       []*host.Plugin
	serving       sync.WaitGroup // requests, WebSockets included
}

// newGeneration starts the plugins. After an error nothing of it is left.
func (p *Proxy) newGeneration(policy Policy) (*generation, error) {
	g := &generation{configuration: policy.Configuration}
	if err := p.startPlugins(g, policy); err != nil {
		return nil, errors.Join(err, g.close())
	}
	return g, nil
}

func (p *Proxy) startPlugins(g *generation, policy Policy) (err error) {
	ctx := context.WithoutCancel(p.ending)
	if g.module, err = host.Compile(ctx, policy.Module); err != nil {
		return err
	}
	for range p.options.Workers {
		vm, err := g.module.NewVM(ctx, host.VMConfig{
			Log:        p.log.wasm,
			LogLevel:   func() host.LogLevel { return p.options.LogLevel },
			TickPeriod: p.ticks.set,
			Metrics:    p.metrics,
		})
		if err != nil {
			return err
		}
		g.vms = append(g.vms, vm)
		plugin, err := vm.NewPlugin(ctx, host.PluginConfig{Name: "cors", Configuration: policy.Configuration})
		switch {
		case errors.Is(err, host.ErrRejected):
			return fmt.Errorf("%w; the module's log says why", err)
		case err != nil:
			return err
		}
		g.plugins = append(g.plugins, plugin)
	}
	return nil
}

// close frees what the generation holds, once its requests have ended.
func (g *generation) close() error {
	g.serving.Wait()
	ctx := context.Background()
	var failures []error
	for _, plugin := range g.plugins {
		// It hands over what it has counted. One whose VM has failed cannot, and
		// its trap was logged.
		if err := plugin.Close(ctx); plugin.VM().Failed() == nil {
			failures = append(failures, err)
		}
	}
	for _, vm := range g.vms {
		failures = append(failures, vm.Close(ctx))
	}
	if g.module != nil {
		failures = append(failures, g.module.Close(ctx))
	}
	return errors.Join(failures...)
}

// begin returns what serves a request, and keeps it from being closed until
// generation.serving has to know that the request is done.
func (p *Proxy) begin() *generation {
	p.mu.RLock()
	defer p.mu.RUnlock()
	p.generation.serving.Add(1)
	return p.generation
}

func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !strings.HasPrefix(r.RequestURI, "/") { // CONNECT, OPTIONS *, and what is meant for forward proxies
		http.Error(w, "a request of a path is served here", http.StatusBadRequest)
		return
	}
	g := p.begin()
	defer g.serving.Done()
	turn, _ := r.Context().Value(turnKey{}).(uint64)
	x := &exchange{
		proxy: p, w: w, r: r, began: time.Now(), request: requestHeaders(r),
		filter: g.plugins[turn%uint64(len(g.plugins))].NewStream(),
	}
	defer x.finish()
	x.serve()
}
