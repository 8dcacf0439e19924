package gateway

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"corsfilter/internal/host"
)

// listenerStats are the few counters of a listener that help to read those of
// the filter.
type listenerStats struct {
	connections atomic.Uint64
	active      atomic.Int64
	requests    atomic.Uint64
	classes     [6]atomic.Uint64 // responses by the first digit of the status
}

// connection is an http.Server.ConnState.
func (s *listenerStats) connection(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		s.connections.Add(1)
		s.active.Add(1)
	case http.StateClosed, http.StateHijacked:
		s.active.Add(-1)
	}
}

// response counts a finished request; status 0 is one without response.
func (s *listenerStats) response(status int) {
	s.requests.Add(1)
	if class := status / 100; class > 0 && class < len(s.classes) {
		s.classes[class].Add(1)
	}
}

// wasmStatPrefix is the namespace that Envoy keeps the metrics of modules in.
// /stats shows it; /stats/prometheus strips it, since it is a registered custom
// namespace.
const wasmStatPrefix = "wasmcustom"

// writeStats prints the counters in the form of Envoy's /stats.
func (g *Gateway) writeStats(b *strings.Builder) {
	for _, s := range g.servers {
		prefix := "http." + s.spec.manager.statPrefix
		fmt.Fprintf(b, "%s.downstream_cx_active: %d\n", prefix, s.stats.active.Load())
		fmt.Fprintf(b, "%s.downstream_cx_total: %d\n", prefix, s.stats.connections.Load())
		for class := 1; class < len(s.stats.classes); class++ {
			fmt.Fprintf(b, "%s.downstream_rq_%dxx: %d\n", prefix, class, s.stats.classes[class].Load())
		}
		fmt.Fprintf(b, "%s.downstream_rq_total: %d\n", prefix, s.stats.requests.Load())
	}
	for _, metric := range g.metrics.All() {
		fmt.Fprintf(b, "%s.%s: %d\n", wasmStatPrefix, metric.Name, metric.Value)
	}
}

// collector gathers the same counters for Prometheus. It is unchecked (it
// describes nothing beforehand): modules define their metrics while running.
type collector struct{ gateway *Gateway }

func (collector) Describe(chan<- *prometheus.Desc) {}

var (
	connectionsDesc = listenerDesc("envoy_http_downstream_cx_total", "Connections accepted by the listener.")
	activeDesc      = listenerDesc("envoy_http_downstream_cx_active", "Connections open at the listener.")
	requestsDesc    = listenerDesc("envoy_http_downstream_rq_total", "Requests that have ended.")
	responsesDesc   = listenerDesc("envoy_http_downstream_rq_xx", "Responses by class of their status.", "envoy_response_code_class")
)

func listenerDesc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, append(labels, "envoy_http_conn_manager_prefix"), nil)
}

func (c collector) Collect(metrics chan<- prometheus.Metric) {
	// Listeners may share a stat_prefix, as in Envoy: their counts add up.
	type sum struct {
		connections, requests uint64
		active                int64
		classes               [6]uint64
	}
	sums := map[string]*sum{}
	for _, s := range c.gateway.servers {
		total := sums[s.spec.manager.statPrefix]
		if total == nil {
			total = &sum{}
			sums[s.spec.manager.statPrefix] = total
		}
		total.connections += s.stats.connections.Load()
		total.active += s.stats.active.Load()
		total.requests += s.stats.requests.Load()
		for class := range s.stats.classes {
			total.classes[class] += s.stats.classes[class].Load()
		}
	}
	for prefix, total := range sums {
		counter := func(desc *prometheus.Desc, value uint64, labels ...string) {
			metrics <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, float64(value), append(labels, prefix)...)
		}
		counter(connectionsDesc, total.connections)
		counter(requestsDesc, total.requests)
		for class := 1; class < len(total.classes); class++ {
			counter(responsesDesc, total.classes[class], fmt.Sprint(class))
		}
		metrics <- prometheus.MustNewConstMetric(activeDesc, prometheus.GaugeValue, float64(total.active), prefix)
	}
	seen := map[string]bool{}
	for _, metric := range c.gateway.metrics.All() {
		kind := prometheus.GaugeValue
		if metric.Kind == host.Counter {
			kind = prometheus.CounterValue
		}
		name := sanitize(metric.Name)
		if seen[name] { // two names that differ in replaced characters only
			continue
		}
		seen[name] = true
		desc := prometheus.NewDesc(name, "Defined by the wasm module as "+metric.Name+".", nil, nil)
		metrics <- prometheus.MustNewConstMetric(desc, kind, float64(metric.Value))
	}
}

// sanitize replaces what a Prometheus name may not hold.
func sanitize(name string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '_':
			return r
		}
		return '_'
	}, name)
}
