package gateway

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"corsfilter/internal/host"
)

// admin is the admin listener at work: the part of Envoy's that is read by
// people and by Prometheus.
type admin struct {
	listener net.Listener
	http     *http.Server
}

func newAdmin(g *Gateway, bound net.Listener) *admin {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collector{g.metrics})
	exposition := promhttp.HandlerFor(registry, promhttp.HandlerOpts{})

	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		text(w, http.StatusOK, "/logging\n/ready\n/stats\n/stats/prometheus\n")
	})
	mux.HandleFunc("GET /ready", func(w http.ResponseWriter, _ *http.Request) {
		if g.drain.Err() != nil {
			text(w, http.StatusServiceUnavailable, "DRAINING\n")
			return
		}
		text(w, http.StatusOK, "LIVE\n")
	})
	mux.HandleFunc("GET /stats", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("format") == "prometheus" {
			exposition.ServeHTTP(w, r)
			return
		}
		var b strings.Builder
		for _, metric := range g.metrics.All() {
			fmt.Fprintf(&b, "%s.%s: %d\n", wasmStatPrefix, metric.Name, metric.Value)
		}
		text(w, http.StatusOK, b.String())
	})
	mux.Handle("GET /stats/prometheus", exposition)
	mux.HandleFunc("POST /logging", g.logging)
	return &admin{
		listener: bound,
		http: &http.Server{
			Handler: loopbackOnly(mux), ReadHeaderTimeout: g.options.HeaderTimeout, IdleTimeout: idleTimeout, ErrorLog: g.log.standard(),
		},
	}
}

// loopbackOnly answers requests for names of this machine. A page elsewhere can
// give its own name this machine's address (DNS rebinding), and would be of this
// origin then: it could read the counters and set log levels.
func loopbackOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !loopbackName(r.Host) {
			text(w, http.StatusForbidden, "the admin listener answers to localhost and loopback addresses alone, not to "+printable(r.Host)+"\n")
			return
		}
		next.ServeHTTP(w, r)
	})
}

func loopbackName(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.ToLower(strings.Trim(host, "[]"))
	address := net.ParseIP(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || address != nil && address.IsLoopback()
}

// wasmStatPrefix is the namespace that Envoy keeps the metrics of modules in.
// /stats shows it; /stats/prometheus strips it, since it is a registered custom
// namespace.
const wasmStatPrefix = "wasmcustom"

// collector gathers the metrics for Prometheus. It is unchecked (it describes
// nothing beforehand): modules define them while running.
type collector struct{ metrics *host.Metrics }

func (collector) Describe(chan<- *prometheus.Desc) {}

func (c collector) Collect(metrics chan<- prometheus.Metric) {
	seen := map[string]bool{}
	for _, metric := range c.metrics.All() {
		name := notInNames.ReplaceAllString(metric.Name, "_")
		if seen[name] { // two names that differ in replaced characters only
			continue
		}
		seen[name] = true
		desc := prometheus.NewDesc(name, "Defined by the wasm module as "+metric.Name+".", nil, nil)
		metrics <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, float64(metric.Value))
	}
}

// notInNames is what a Prometheus name may not hold.
var notInNames = regexp.MustCompile(`[^a-zA-Z0-9_]`)

func text(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "text/plain; charset=UTF-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	io.WriteString(w, body)
}
