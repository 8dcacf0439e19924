package load

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"corsfilter/internal/envoy"
	"corsfilter/internal/envoytest"
)

// policy is what Envoy serves; the two versions differ in what scripts may read, and
// in nothing that a browser would be kept out by.
func policy(version int) string {
	return fmt.Sprintf(
		`{"allow_origins": ["https://shop.example.com", "https://*.example.org"], "allow_methods": ["PUT"], `+
			`"allow_headers": ["x-a"], "allow_credentials": true, "expose_headers": ["x-version-%d"]}`,
		version,
	)
}

// upstream answers at once, slowly, with an error, or by hanging up.
func upstream(t *testing.T) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*") // careless
		switch r.URL.Path {
		case "/slow":
			time.Sleep(200 * time.Millisecond)
		case "/error":
			w.WriteHeader(http.StatusInternalServerError)
		case "/hangs-up":
			connection, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				connection.Close()
			}
			return
		}
		fmt.Fprintln(w, "upstream")
	}))
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

// proxy is Envoy with two workers and two listeners, without the filter and with it.
type proxy struct {
	*envoytest.Server
	pushes *envoytest.Pushes
}

const without, with = "without", "with"

// quiet listeners log no request, as the figures are of requests.
func quiet(name, policy string) envoytest.Listener {
	return envoytest.Listener{Name: name, Policy: policy, Manager: `{access_log: []}`}
}

func serve(t *testing.T) *proxy {
	t.Helper()
	p := &proxy{pushes: envoytest.NewPushes(t)}
	p.push(t, policy(1))
	p.Server = envoytest.Start(t, envoytest.Bootstrap{Upstream: upstream(t), More: p.pushes.More()}, envoy.Options{
		Concurrency: 2,
		// What a push replaces goes on for two seconds, for the requests that it has.
		Arguments: append(p.pushes.Arguments(), "--drain-time-s", "2"),
	})
	return p
}

func (p *proxy) push(t *testing.T, policy string) {
	p.pushes.Push(t, quiet(without, ""), quiet(with, policy))
}

// updates are the pushes that Envoy took and refused.
func (p *proxy) updates(t *testing.T) (taken, refused uint64) {
	t.Helper()
	stats, err := p.Stats(`^listener_manager\.(listener_modified|lds\.update_rejected)$`)
	if err != nil {
		t.Fatal(err)
	}
	return stats["listener_manager.listener_modified"], stats["listener_manager.lds.update_rejected"]
}

// complaints are the lines of the log that speak of a filter that failed.
func (p *proxy) complaints() (lines []string) {
	for line := range strings.Lines(p.Log()) {
		if strings.Contains(line, "panic") || strings.Contains(line, "wasm VM failed") || strings.Contains(line, "Function: ") {
			lines = append(lines, line)
		}
	}
	return lines
}
