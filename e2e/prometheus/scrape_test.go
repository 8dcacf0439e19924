package prometheus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/prometheus/prometheus/rules"
	"github.com/prometheus/prometheus/util/teststorage"

	"corsfilter/internal/envoy"
	"corsfilter/internal/envoytest"
)

// Two policies, so that the counters of both modes are there.
const policy = `{"allow_origins": ["https://shop.example.com"], "allow_methods": ["PUT"], "rules": [{"paths": ` +
	`["/api/trial/*"], "policy": {"allow_origins": ["https://shop.example.com"], "mode": "shadow"}}]}`

const (
	scrapes  = 40
	interval = 30 * time.Second
)

// TestEveryQueryRunsOverWhatIsExposed scrapes Envoy while it works, and runs each
// alert and each query of the dashboard over the samples.
func TestEveryQueryRunsOverWhatIsExposed(t *testing.T) {
	s := serve(t)
	storage := promqltest.LoadedStorage(t, "")
	t.Cleanup(func() { storage.Close() })
	start := time.Unix(1_800_000_000, 0)
	for i := range scrapes {
		use(t, s)
		// The filter tells what it counted once a second, and every window of the
		// queries has to see it.
		time.Sleep(150 * time.Millisecond)
		scrape(t, s, storage, start.Add(time.Duration(i)*interval))
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

// TestARefusedPushIsSeen refuses one push by LDS and, an hour later, one by ECDS.
func TestARefusedPushIsSeen(t *testing.T) {
	s := serve(t)
	storage := promqltest.LoadedStorage(t, "")
	t.Cleanup(func() { storage.Close() })
	var expr string
	for _, rule := range alerts(t) {
		if rule.Alert == "CORSPushRefused" {
			expr = rule.Expr
		}
	}
	query := rules.EngineQueryFunc(engine(t), storage)
	now := time.Unix(1_800_000_000, 0)
	fires := func() bool {
		t.Helper()
		now = now.Add(interval)
		scrape(t, s, storage, now)
		result, err := query(context.Background(), expr, now)
		if err != nil {
			t.Fatal(err)
		}
		return len(result) > 0
	}
	fires()
	for _, way := range []struct {
		counter string
		push    func(*testing.T, string)
	}{
		{"listener_manager.lds.update_rejected", s.pushListener},
		{"extension_config_discovery.http_filter.cors.update_rejected", s.pushExtension},
	} {
		if fires() {
			t.Errorf("fires before %s counts", way.counter)
		}
		way.push(t, `{"allow_origins": ["https://shop.example.com/"]}`)
		envoytest.Eventually(t, way.counter+" counts", func() bool {
			stats, err := s.Stats(regexp.QuoteMeta(way.counter))
			return err == nil && stats[way.counter] == 1
		})
		if !fires() {
			t.Errorf("does not fire after %s has counted: %s", way.counter, expr)
		}
		now = now.Add(time.Hour)
		fires() // the same counts as an hour ago
	}
}

// TestAConfigurationThatClosesIsSeen starts Envoy with a refused one.
func TestAConfigurationThatClosesIsSeen(t *testing.T) {
	s := &server{Server: envoytest.Start(t, envoytest.Bootstrap{Listeners: []envoytest.Listener{{
		Policy: `{"allow_orgins": []}`, Plugin: "vm_config: {environment_variables: {key_values: {CORSFILTER_REFUSED: closed}}}",
		Routes: "[{match: {prefix: /}, direct_response: {status: 200}}]",
	}}}, envoy.Options{})}
	storage := promqltest.LoadedStorage(t, "")
	t.Cleanup(func() { storage.Close() })
	now := time.Unix(1_800_000_000, 0)
	scrape(t, s, storage, now)
	for _, rule := range alerts(t) {
		if rule.Alert != "CORSConfigurationRefused" {
			continue
		}
		result, err := rules.EngineQueryFunc(engine(t), storage)(context.Background(), rule.Expr, now)
		if err != nil || len(result) != 1 {
			t.Errorf("%v, %v", result, err)
		}
		return
	}
	t.Error("there is no such alert")
}

// server is an Envoy with the policy: one listener is pushed by LDS, and the filter of
// another by ECDS.
type server struct {
	*envoytest.Server
	pushes    *envoytest.Pushes
	extension string // the file that is watched
}

func serve(t *testing.T) *server {
	t.Helper()
	s := &server{pushes: envoytest.NewPushes(t), extension: filepath.Join(t.TempDir(), "ecds.json")}
	s.pushListener(t, policy)
	s.pushExtension(t, policy)
	s.Server = envoytest.Start(t, envoytest.Bootstrap{
		Listeners: []envoytest.Listener{{
			Name: "discovers",
			Front: fmt.Sprintf(`[{name: cors, config_discovery: {
				config_source: {path_config_source: {path: %q}},
				type_urls: [type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm],
			}}]`, s.extension),
			Routes: routes,
		}},
		More: s.pushes.More(),
	}, envoy.Options{Arguments: s.pushes.Arguments()})
	return s
}

const routes = `[{match: {prefix: /}, direct_response: {status: 404}}]`

func (s *server) pushListener(t *testing.T, policy string) {
	t.Helper()
	s.pushes.Push(t, envoytest.Listener{Policy: policy, Routes: routes})
}

func (s *server) pushExtension(t *testing.T, policy string) {
	t.Helper()
	resource := envoytest.Filter(t, policy, "")
	resource["@type"] = "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig"
	text, err := json.Marshal(map[string]any{"version_info": policy, "resources": []any{resource}})
	if err == nil {
		err = errors.Join(os.WriteFile(s.extension+".next", text, 0o644), os.Rename(s.extension+".next", s.extension))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// use sends what pages and unlisted origins send between two scrapes.
func use(t *testing.T, s *server) {
	t.Helper()
	send := func(method, path string, headers ...string) {
		request, err := http.NewRequest(method, "http://"+s.Address("main")+path, nil)
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
		for range 12 {
			send("OPTIONS", path, "Origin", shop, method, "DELETE")
		}
	}
}

func scrape(t *testing.T, s *server, storage *teststorage.TestStorage, at time.Time) {
	t.Helper()
	response, err := http.Get("http://" + s.Admin + "/stats/prometheus")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	p, err := textparse.New(
		body, response.Header.Get("Content-Type"), labels.NewSymbolTable(), textparse.ParserOptions{FallbackContentType: "text/plain"},
	)
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
