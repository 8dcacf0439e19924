package gateway

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"

	"corsfilter/internal/host"
)

// generation is a configuration at work: its plugins, started in every worker,
// and the connections to its clusters. A reload makes a new one; the streams of
// the old one end in it.
type generation struct {
	config     *Config
	modules    []*host.Module
	workers    []*worker
	transports map[string]*http.Transport
	serving    sync.WaitGroup // streams, WebSockets included
}

// newGeneration starts the plugins. After an error nothing of it is left.
func (g *Gateway) newGeneration(ctx context.Context, config *Config) (*generation, error) {
	n := &generation{config: config, transports: map[string]*http.Transport{}}
	for name, c := range config.clusters {
		n.transports[name] = newTransport(c)
	}
	if err := g.startWorkers(ctx, n); err != nil {
		return nil, errors.Join(err, n.close(ctx))
	}
	return n, nil
}

// close frees what the generation holds, once its streams have ended.
func (n *generation) close(ctx context.Context) error {
	n.serving.Wait()
	for _, transport := range n.transports {
		transport.CloseIdleConnections()
	}
	var failures []error
	for _, w := range n.workers {
		for _, plugin := range w.plugins {
			if plugin == nil { // it did not start
				continue
			}
			// It hands over what it has counted. One whose VM has failed can not, and
			// its trap was logged.
			if err := plugin.Close(ctx); plugin.VM().Failed() == nil {
				failures = append(failures, err)
			}
		}
		for _, vm := range w.vms {
			failures = append(failures, vm.Close(ctx))
		}
	}
	for _, module := range n.modules {
		failures = append(failures, module.Close(ctx))
	}
	return errors.Join(failures...)
}

// Reload serves another configuration from now on, as Envoy takes a listener's
// update: requests that have begun, WebSockets among them, end by the one that
// they began with, and no connection is closed for it. Listeners that the new one
// does not have stop listening. An error, such as a configuration that a module
// refuses or a port in use, leaves everything as it was.
func (g *Gateway) Reload(ctx context.Context, config *Config) error {
	g.reloading.Lock()
	defer g.reloading.Unlock()
	switch {
	case g.drain.Err() != nil:
		return errors.New("the gateway is ending")
	case config.admin != g.current().config.admin:
		return fmt.Errorf("admin.address changes from %q to %q, which takes a new start", g.current().config.admin, config.admin)
	}
	// What a module allocates must outlive ctx.
	ctx = context.WithoutCancel(ctx)
	next, err := g.newGeneration(ctx, config)
	if err != nil {
		return err
	}
	servers, fresh, err := g.listeners(ctx, next)
	if err != nil {
		return errors.Join(err, next.close(ctx))
	}
	g.mu.Lock()
	before, gone := g.generation, without(g.servers, servers)
	g.generation, g.servers = next, servers
	g.mu.Unlock()
	g.gone = append(g.gone, gone...)
	for i, s := range servers {
		s.serve(next, next.config.listeners[i])
	}
	for _, s := range fresh {
		go s.http.Serve(s.listener)
	}
	g.retiring.Go(func() {
		drain, cancel := context.WithTimeout(ctx, g.options.Drain)
		defer cancel()
		for _, s := range gone {
			s.shutdown(drain)
		}
		if err := before.close(ctx); err != nil {
			g.log.wasm(host.LogError, "", "the configuration before: "+err.Error())
		}
	})
	return nil
}

// without returns those of all that are not among kept.
func without(all, kept []*server) (gone []*server) {
	still := map[*server]bool{}
	for _, s := range kept {
		still[s] = true
	}
	for _, s := range all {
		if !still[s] {
			gone = append(gone, s)
		}
	}
	return gone
}

// standing returns the server that has the address already. A listener may get
// another name; where the system chooses ports, the name tells them apart.
func (g *Gateway) standing(name, wanted string) *server {
	for _, s := range g.servers {
		if s.wanted == wanted && (s.spec.name == name || !strings.HasSuffix(wanted, ":0")) {
			return s
		}
	}
	return nil
}

// holder returns the server whose socket has the port of an address, on another
// address of this machine.
func (g *Gateway) holder(wanted string) *server {
	_, port, _ := net.SplitHostPort(wanted)
	for _, s := range g.servers {
		if _, held, _ := net.SplitHostPort(s.listener.Addr().String()); held == port {
			return s
		}
	}
	return nil
}

// listeners returns the servers of a generation, in the order of its file: those
// that stand already, and fresh ones, bound and not yet serving.
func (g *Gateway) listeners(ctx context.Context, n *generation) (all, fresh []*server, err error) {
	var failures []error
	for _, l := range n.config.listeners {
		wanted := g.options.Listen(l.name, l.address)
		if s := g.standing(l.name, wanted); s != nil {
			all = append(all, s)
			continue
		}
		bound, err := bind(ctx, "listener "+l.name, wanted)
		if s := g.holder(wanted); err != nil && s != nil {
			err = fmt.Errorf("listener %s: %s is in use by listener %s as it stands, on %s; a move on one port takes a new start", l.name, wanted, s.spec.name, s.wanted)
		}
		if err != nil {
			failures = append(failures, err)
			continue
		}
		s := newServer(g, wanted, bound)
		s.serve(n, l)
		all, fresh = append(all, s), append(fresh, s)
	}
	if err := errors.Join(failures...); err != nil {
		for _, s := range fresh {
			s.listener.Close()
		}
		return nil, nil, err
	}
	return all, fresh, nil
}
