package prometheus

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/prometheus/prometheus/rules"
	"github.com/prometheus/prometheus/util/teststorage"

	"corsfilter/internal/gateway"
)

// Two policies, so that the counters of both modes are there.
const policy = `{"allow_origins": ["https://shop.example.com"], "allow_methods": ["PUT"], "rules": [{"paths": ["/api/trial/*"], "policy": {"allow_origins": ["https://shop.example.com"], "mode": "shadow"}}]}`

const (
	scrapes  = 40
	interval = 30 * time.Second
)

// TestEveryQueryRunsOverWhatIsExposed scrapes the gateway while it works, and runs
// each alert and each query of the dashboard over the samples.
func TestEveryQueryRunsOverWhatIsExposed(t *testing.T) {
	g := serve(t)
	storage := promqltest.LoadedStorage(t, "")
	t.Cleanup(func() { storage.Close() })
	start := time.Unix(1_800_000_000, 0)
	for i := range scrapes {
		use(t, g)
		scrape(t, g, storage, start.Add(time.Duration(i)*interval))
	}
	query := rules.EngineQueryFunc(engine(t), storage)
	now := start.Add((scrapes - 1) * interval)
	run := func(where, text string) promql.Vector {
		t.Helper()
		result, err := query(context.Background(), strings.ReplaceAll(text, "$__rate_interval", "5m"), now)
		if err != nil {
			t.Errorf("%s: %v\n%s", where, err, text)
		}
		return result
	}
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	text, err := os.ReadFile("../../docs/dashboards/cors.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &dashboard); err != nil {
		t.Fatal(err)
	}
	queries := 0
	for _, panel := range dashboard.Panels {
		for _, target := range panel.Targets {
			queries++
			if result := run("panel "+panel.Title, target.Expr); len(result) != 1 {
				t.Errorf("panel %s: %d results, want one\n%s", panel.Title, len(result), target.Expr)
			}
		}
	}
	if queries < 10 {
		t.Errorf("the dashboard has %d queries; some are lost", queries)
	}
	for _, rule := range alerts(t) {
		run("alert "+rule.Alert, rule.Expr)
	}
	// The traffic has denied preflights in it, and the trial would deny some.
	for _, name := range []string{"CORSPreflightsDenied", "CORSShadowPolicyWouldDeny"} {
		for _, rule := range alerts(t) {
			if rule.Alert == name && len(run(name, rule.Expr)) != 1 {
				t.Errorf("%s does not see what was sent: %s", name, rule.Expr)
			}
		}
	}
}

// serve starts envoy.yaml with the policy.
func serve(t *testing.T) *gateway.Gateway {
	t.Helper()
	module, err := os.ReadFile(os.Getenv("CORSFILTER_WASM"))
	if err != nil {
		t.Fatalf("CORSFILTER_WASM names no module; run make test from the root: %v", err)
	}
	text, err := os.ReadFile(filepath.Join("..", "..", "envoy.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok1 := strings.Cut(string(text), "                          value: |\n")
	_, after, ok2 := strings.Cut(rest, "                  - name: envoy.filters.http.router\n")
	if !ok1 || !ok2 {
		t.Fatal("envoy.yaml has no policy where one is looked for")
	}
	config, err := gateway.Load([]byte(before+"                          value: "+strconv.Quote(policy)+"\n                  - name: envoy.filters.http.router\n"+after), gateway.LoadOptions{Module: module})
	if err != nil {
		t.Fatal(err)
	}
	upstream := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(upstream.Close)
	g, err := gateway.Start(t.Context(), config, gateway.Options{Listen: gateway.Ephemeral, Endpoints: map[string]string{"api": upstream.Listener.Addr().String()}, AccessLog: io.Discard, Log: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// use sends what pages and strangers send between two scrapes.
func use(t *testing.T, g *gateway.Gateway) {
	t.Helper()
	send := func(method, path string, headers ...string) {
		request, err := http.NewRequest(method, "http://"+g.Addr("main")+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(headers); i += 2 {
			request.Header.Set(headers[i], headers[i+1])
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, response.Body)
		response.Body.Close()
	}
	const shop, evil, method = "https://shop.example.com", "https://evil.example", "Access-Control-Request-Method"
	for _, path := range []string{"/api/x", "/api/trial/x"} {
		send("GET", path, "Origin", shop)
		send("GET", path, "Origin", evil)
		send("OPTIONS", path, "Origin", shop, method, "PUT")
		for range 4 {
			send("OPTIONS", path, "Origin", shop, method, "DELETE")
		}
	}
}

func scrape(t *testing.T, g *gateway.Gateway, storage *teststorage.TestStorage, at time.Time) {
	t.Helper()
	for _, vm := range g.VMs() {
		vm.Tick() // what was counted is told once a second
	}
	response, err := http.Get("http://" + g.AdminAddr() + "/stats/prometheus")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	p, err := textparse.New(body, response.Header.Get("Content-Type"), labels.NewSymbolTable(), textparse.ParserOptions{FallbackContentType: "text/plain"})
	if err != nil {
		t.Fatal(err)
	}
	appender := storage.Appender(context.Background())
	for {
		entry, err := p.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if entry != textparse.EntrySeries {
			continue
		}
		_, _, value := p.Series()
		var series labels.Labels
		p.Labels(&series)
		if _, err := appender.Append(0, series, at.UnixMilli(), value); err != nil {
			t.Fatal(err)
		}
	}
	if err := appender.Commit(); err != nil {
		t.Fatal(err)
	}
}
