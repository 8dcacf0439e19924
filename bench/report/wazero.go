package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"corsfilter/bench/figures"
	"corsfilter/bench/workload"
	"corsfilter/internal/host"
)

// wazeroRequests runs the loads of the V8 part under wazero, with the host that
// the tests and the gateway have.
func (r *report) wazeroRequests(ctx context.Context) error {
	compiled, err := r.compile(ctx)
	if err != nil {
		return err
	}
	defer func() {
		for _, m := range compiled {
			_ = m.Close(context.WithoutCancel(ctx))
		}
	}()
	for _, l := range r.loads() {
		if err := ctx.Err(); err != nil {
			return err
		}
		exchanges := l.Exchanges(l.inTurn)
		var functions []func(int)
		var calls []int
		for i, m := range compiled {
			plugin, err := r.start(ctx, m, r.modules[i], workload.WithOrigins(l.origins))
			if err != nil {
				return err
			}
			defer plugin.VM().Close(context.WithoutCancel(ctx))
			n := 0
			for k, e := range exchanges {
				if err := check(plugin, e); err != nil {
					return fmt.Errorf("%s: %w", r.modules[i].name, err)
				}
				if k == 0 { // one in many looks at the log level as well
					before := plugin.VM().HostCalls()
					if err := check(plugin, e); err != nil {
						return err
					}
					n = int(plugin.VM().HostCalls() - before)
				}
			}
			calls = append(calls, n)
			functions = append(functions, requests(plugin, exchanges))
		}
		r.contest("wazero", l, calls, figures.TakeTurns(r.rounds, r.slice, figures.Processor, functions...))
	}
	return nil
}

func (r *report) compile(ctx context.Context) (all []*host.Module, err error) {
	for _, m := range r.modules {
		wasm, err := os.ReadFile(m.path)
		if err != nil {
			return nil, err
		}
		module, err := host.Compile(ctx, wasm)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", m.path, err)
		}
		all = append(all, module)
	}
	return all, nil
}

func (r *report) start(ctx context.Context, module *host.Module, m module, configuration []byte) (*host.Plugin, error) {
	vm, err := module.NewVM(ctx, host.VMConfig{Env: m.env, LogLevel: host.LogError.Always})
	if err != nil {
		return nil, err
	}
	plugin, err := vm.NewPlugin(ctx, host.PluginConfig{Name: "cors", Configuration: configuration})
	if err != nil {
		return nil, errors.Join(err, vm.Close(ctx))
	}
	return plugin, nil
}

// check runs one request and compares what came of it: the reply, or what was set
// or added on the response. Counters are compared in V8.
func check(plugin *host.Plugin, e workload.Exchange) error {
	forwarded := false
	response := plugin.Exchange(host.NewHeaderMap(e.Request...), func(*host.HeaderMap) *host.HeaderMap {
		forwarded = true
		return host.NewHeaderMap(workload.Response...)
	})
	var got, want []string
	upstream := map[string]string{}
	for _, h := range workload.Response {
		upstream[h[0]] = h[1]
	}
	for name, value := range response.Headers.All() {
		if name != ":status" && (!forwarded || upstream[name] != value) {
			got = append(got, name+": "+value)
		}
	}
	for _, h := range e.Want.Headers {
		if value := upstream[h[0]]; forwarded && value != "" { // Envoy joins the entries of vary
			h[1] = value + "," + h[1]
		}
		want = append(want, h[0]+": "+h[1])
	}
	slices.Sort(got)
	slices.Sort(want)
	status, _ := response.Headers.Get(":status")
	if wantStatus := fmt.Sprint(e.Want.Status); !forwarded && status != wantStatus || forwarded != (e.Want.Status == 0) || !slices.Equal(got, want) {
		return fmt.Errorf("wrong outcome: forwarded %v, status %s\n got %q\nwant %q", forwarded, status, got, want)
	}
	return nil
}

// requests returns what runs n requests, taking the exchanges in turn.
func requests(plugin *host.Plugin, exchanges []workload.Exchange) func(n int) {
	answer := func(*host.HeaderMap) *host.HeaderMap { return host.NewHeaderMap(workload.Response...) }
	var incoming []*host.HeaderMap
	for _, e := range exchanges {
		incoming = append(incoming, host.NewHeaderMap(e.Request...))
	}
	return func(n int) {
		for i := range n {
			plugin.Exchange(incoming[i%len(incoming)], answer)
		}
	}
}
