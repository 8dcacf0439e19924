package gateway

import (
	"io"
	"net"
	"net/http"
	"strings"

	adminv3 "github.com/envoyproxy/go-control-plane/envoy/admin/v3"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// admin is the admin listener at work: the part of Envoy's that is read by
// people and by Prometheus.
type admin struct {
	listener net.Listener
	http     *http.Server
}

func newAdmin(g *Gateway, bound net.Listener) *admin {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collector{g})
	exposition := promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
	started := timestamppb.Now()

	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		text(w, http.StatusOK, "/config_dump\n/logging\n/ready\n/stats\n/stats/prometheus\n")
	})
	mux.HandleFunc("GET /ready", func(w http.ResponseWriter, _ *http.Request) {
		if g.draining.Load() {
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
		g.writeStats(&b)
		text(w, http.StatusOK, b.String())
	})
	mux.Handle("GET /stats/prometheus", exposition)
	mux.HandleFunc("GET /config_dump", func(w http.ResponseWriter, _ *http.Request) {
		dump, err := g.configDump(started)
		if err != nil {
			text(w, http.StatusInternalServerError, err.Error()+"\n")
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Write(dump)
	})
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
// origin then: it could read /config_dump and set log levels.
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

// configDump is the bootstrap as it was loaded, in the form of Envoy's
// /config_dump.
func (g *Gateway) configDump(started *timestamppb.Timestamp) ([]byte, error) {
	bootstrap, err := anypb.New(&adminv3.BootstrapConfigDump{Bootstrap: g.config.bootstrap, LastUpdated: started})
	if err != nil {
		return nil, err
	}
	return protojson.MarshalOptions{Indent: " ", UseProtoNames: true}.Marshal(&adminv3.ConfigDump{Configs: []*anypb.Any{bootstrap}})
}

func text(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "text/plain; charset=UTF-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	io.WriteString(w, body)
}
