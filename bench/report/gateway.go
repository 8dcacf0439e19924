package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"

	"corsfilter/bench/figures"
	"corsfilter/bench/workload"
	"corsfilter/internal/gateway"
	"corsfilter/internal/host"
)

// bootstrap serves one cluster; %s is the filter, or nothing.
const bootstrap = `
static_resources:
  listeners:
  - name: main
    address: {socket_address: {address: 127.0.0.1, port_value: 10000}}
    filter_chains:
    - filters:
      - name: manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: bench
          http_filters:
%s
          - name: router
            typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
          route_config:
            name: main
            virtual_hosts: [{name: all, domains: ["*"], routes: [{name: api, match: {prefix: /}, route: {cluster: api}}]}]
  clusters:
  - {name: api, load_assignment: {cluster_name: api, endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: 1}}}}]}]}}
`

const wasmFilter = `
          - name: cors
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm
              config:
                name: cors
                vm_config: {runtime: envoy.wasm.runtime.v8, code: {local: {filename: dist/cors.wasm}}, environment_variables: {key_values: {GOGC: "off", GOMEMLIMIT: 64MiB}}}
                configuration: {"@type": type.googleapis.com/google.protobuf.StringValue, value: '%s'}`

// The sides of the gateway's contests.
const (
	withoutFilter = "without the filter"
	withFilter    = "with the filter"
)

// gateway sends requests over loopback to the gateway, with the filter and
// without it, one after the other on a connection that stays open. A preflight is
// answered by the filter, or by upstream.
func (r *report) gateway(ctx context.Context) error {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for _, h := range workload.Response {
			if name := h[0]; !strings.HasPrefix(name, ":") && name != "content-length" && name != "content-encoding" {
				w.Header().Set(name, h[1])
			}
		}
		_, _ = io.WriteString(w, "{}")
	}))
	defer upstream.Close()
	wasm, err := os.ReadFile(r.modules[1].path)
	if err != nil {
		return err
	}
	var bases []string
	for _, filter := range []string{"", fmt.Sprintf(wasmFilter, workload.WithOrigins(1))} {
		config, err := gateway.Load(fmt.Appendf(nil, bootstrap, filter), gateway.LoadOptions{Module: wasm})
		if err != nil {
			return err
		}
		g, err := gateway.Start(context.WithoutCancel(ctx), config, gateway.Options{
			Listen: gateway.Ephemeral, Endpoints: map[string]string{"api": upstream.Listener.Addr().String()}, AccessLog: io.Discard, Log: os.Stderr, LogLevel: host.LogWarn,
		})
		if err != nil {
			return err
		}
		defer g.Close(context.WithoutCancel(ctx))
		bases = append(bases, "http://"+g.Addr("main"))
	}
	for _, c := range workload.Cases {
		if err := ctx.Err(); err != nil {
			return err
		}
		var functions []func(int)
		var failed error
		for i, base := range bases {
			client := &http.Client{Transport: &http.Transport{DisableCompression: true}}
			defer client.CloseIdleConnections()
			request, err := overHTTP(base, c.Exchanges(1)[0].Request)
			if err != nil {
				return err
			}
			if err := asked(client, request, i == 1, c.Exchanges(1)[0].Want); err != nil {
				return fmt.Errorf("%s: %w", c.Name, err)
			}
			functions = append(functions, func(n int) {
				for range n {
					if _, err := send(client, request); err != nil {
						failed = err
					}
				}
			})
		}
		samples := figures.TakeTurns(r.rounds, 4*r.slice, figures.Wall, functions...)
		if failed != nil {
			return failed
		}
		contest := figures.Contest{Engine: "gateway", Case: c.Name, Origins: 1, Contenders: figures.Compare([]string{withoutFilter, withFilter}, nil, samples)}
		r.data.Gateway = append(r.data.Gateway, contest)
		show(contest)
	}
	return nil
}

func overHTTP(base string, headers workload.Pairs) (*http.Request, error) {
	request := &http.Request{Header: http.Header{}}
	path := ""
	for _, h := range headers {
		switch h[0] {
		case ":method":
			request.Method = h[1]
		case ":path":
			path = h[1]
		case ":authority":
			request.Host = h[1]
		case ":scheme":
		default:
			request.Header.Set(h[0], h[1])
		}
	}
	made, err := http.NewRequest(request.Method, base+path, nil)
	if err != nil {
		return nil, err
	}
	made.Header, made.Host = request.Header, request.Host
	return made, nil
}

func send(client *http.Client, request *http.Request) (*http.Response, error) {
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	_, err = io.Copy(io.Discard, response.Body)
	return response, errors.Join(err, response.Body.Close())
}

// asked compares the response with what must come of the request, or, without the
// filter, with what upstream says.
func asked(client *http.Client, request *http.Request, filtered bool, want workload.Want) error {
	response, err := send(client, request)
	if err != nil {
		return err
	}
	status := http.StatusOK
	if filtered && want.Status != 0 {
		status = want.Status
	}
	if response.StatusCode != status {
		return fmt.Errorf("status %d, want %d", response.StatusCode, status)
	}
	allowed := ""
	for _, h := range want.Headers {
		if filtered && h[0] == "access-control-allow-origin" {
			allowed = h[1]
		}
	}
	if got := response.Header.Get("Access-Control-Allow-Origin"); got != allowed {
		return fmt.Errorf("Access-Control-Allow-Origin %q, want %q", got, allowed)
	}
	return nil
}
