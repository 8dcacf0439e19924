package gateway

import (
	"context"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"corsfilter/internal/host"
)

// stamps are the headers of the guest that a response carries.
func (a answer) stamps() []string {
	var lines []string
	for _, line := range a.headers() {
		if slices.ContainsFunc([]string{"x-stamp", "x-local", "x-plugins", "x-env"}, func(name string) bool {
			return strings.HasPrefix(line, name+": ") && !strings.HasSuffix(line, ": ")
		}) {
			lines = append(lines, line)
		}
	}
	return lines
}

func TestFilterChain(t *testing.T) {
	l := start(t, file{
		manager: "upgrade_configs: [{upgrade_type: websocket}]\n" + accessLog(detailsLog),
		filters: plugin("one", ", environment_variables: {key_values: {GUEST: value}}", "") + plugin("two", ", environment_variables: {key_values: {GUEST: value}}", ""),
		routes: `{match: {path: /direct}, direct_response: {status: 200}},
 {match: {prefix: /api/}, route: {cluster: api}},
 {match: {path: /dead}, route: {cluster: none}}`,
		clusters: api + ",{name: none}",
	}, guest(t), withUpstream(upstream(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header()["X-Stamp"] = []string{"upstream"}
		io.WriteString(w, r.URL.Path+" "+strings.Join(r.Header.Values("X-Guest"), " "))
	})))
	// Filters see a response in reverse order.
	both := func(more ...string) []string {
		lines := append([]string{"x-env: value", "x-plugins: 1", "x-stamp: one", "x-stamp: two"}, more...)
		slices.Sort(lines)
		return lines
	}
	tests := map[string]struct {
		path    string
		headers []string
		status  int
		body    string
		stamps  []string
		order   []string // of x-stamp
		log     string
	}{
		"upstream's response": {
			path: "/api/x", status: 200, body: "/api/x one two",
			stamps: both("x-stamp: upstream"), order: []string{"upstream", "two", "one"}, log: "200 via_upstream\n",
		},
		"a direct response": {
			path: "/direct", status: 200, stamps: both(), order: []string{"two", "one"}, log: "200 direct_response\n",
		},
		"no route": {
			path: "/none", status: 404, stamps: both(), order: []string{"two", "one"}, log: "404 route_not_found\n",
		},
		"no healthy upstream": {
			path: "/dead", status: 503, body: "no healthy upstream", stamps: both(), order: []string{"two", "one"}, log: "503 no_healthy_upstream\n",
		},
		"the reply of the first filter passes itself, and not the second, which knows nothing of the request": {
			path: "/local/one", status: 418, body: "local\n", stamps: []string{"x-env: value", "x-local: one", "x-plugins: 1", "x-stamp: one"}, order: []string{"one"}, log: "418 guest_local\n",
		},
		"the reply of the second filter": {
			path: "/local/two", status: 418, body: "local\n", stamps: both("x-local: two"), order: []string{"two", "one"}, log: "418 guest_local\n",
		},
		"a path changed by a filter takes another route": {
			path: "/rewrite", status: 200, body: "/api/rewritten one two",
			stamps: both("x-stamp: upstream"), order: []string{"upstream", "two", "one"}, log: "200 via_upstream\n",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			before := l.accessLog.String()
			got := l.get(t, test.path, test.headers...)
			if got.status != test.status || got.body != test.body {
				t.Errorf("%d %q, want %d %q", got.status, got.body, test.status, test.body)
			}
			expectLines(t, "stamps", got.stamps(), test.stamps)
			expectLines(t, "order of the filters", got.header.Values("X-Stamp"), test.order)
			l.expectLog(t, before, test.log)
		})
	}
	t.Run("the plugins' log lines", func(t *testing.T) {
		for _, tag := range []string{"one", "two"} {
			if line := "[info][wasm] wasm log " + tag + ": configured " + tag + "\n"; !strings.Contains(l.log.String(), line) {
				t.Errorf("no %q in %q", line, l.log.String())
			}
		}
	})
}

func TestEachFilterHasAVMInEachWorker(t *testing.T) {
	l := start(t, file{filters: plugin("one", "", "") + plugin("two", "", "")}, guest(t), func(o *Options) { o.Workers = 3 })
	if got := len(l.VMs()); got != 6 {
		t.Errorf("%d VMs for two filters and three workers", got)
	}
}

func TestConnectionsStayWithAWorker(t *testing.T) {
	l := start(t, file{filters: plugin("one", "", "")}, guest(t), func(o *Options) { o.Workers = 2 })
	connection := func() *http.Client {
		return &http.Client{Transport: &http.Transport{MaxConnsPerHost: 1}}
	}
	a, b := connection(), connection()
	defer a.CloseIdleConnections()
	defer b.CloseIdleConnections()
	// x-requests counts the requests that this VM has seen.
	var seen []string
	for _, c := range []*http.Client{a, a, b, a, b} {
		seen = append(seen, do(t, c, http.MethodGet, l.base).header.Get("X-Requests"))
	}
	expectLines(t, "requests seen per VM", seen, []string{"1", "2", "1", "3", "2"})
}

func TestFailingModule(t *testing.T) {
	tests := map[string]struct {
		config string
		after  int
	}{
		"fails closed by default": {"", 503},
		"FAIL_CLOSED":             {", failure_policy: FAIL_CLOSED", 503},
		"fail_open":               {", fail_open: true", 200},
		"FAIL_OPEN":               {", failure_policy: FAIL_OPEN", 200},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			l := start(t, file{
				manager: accessLog(detailsLog),
				filters: plugin("one", "", test.config),
				routes:  `{match: {prefix: /}, direct_response: {status: 200}}`,
			}, guest(t))
			if got := l.get(t, "/"); got.status != 200 || got.header.Get("X-Stamp") != "one" {
				t.Fatalf("before: %d %v", got.status, got.header)
			}
			before := l.accessLog.String()
			if got := l.get(t, "/trap"); got.status != 503 {
				t.Errorf("the request that breaks it: %d", got.status)
			}
			eventually(t, "the access log", func() bool { return len(l.accessLog.String()) > len(before) })
			if got := strings.TrimPrefix(l.accessLog.String(), before); !strings.HasPrefix(got, "503 ") {
				t.Errorf("logged %q", got)
			}
			got := l.get(t, "/")
			if got.status != test.after || got.header.Get("X-Stamp") != "" {
				t.Errorf("afterwards: %d %v, want %d without the filter", got.status, got.header, test.after)
			}
		})
	}
}

// TestAFilterThatFailsAtTheResponse lets upstream's response break the filter: what
// goes out instead is seen by no filter.
func TestAFilterThatFailsAtTheResponse(t *testing.T) {
	l := start(t, file{manager: accessLog(detailsLog), filters: plugin("one", "", ""), routes: apiRoute, clusters: api}, guest(t),
		withUpstream(upstream(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Break", "1")
			io.WriteString(w, "secret")
		})))
	if got := l.get(t, "/"); got.status != 503 || strings.Contains(got.body, "secret") || len(got.stamps()) != 0 {
		t.Errorf("%d %q %v", got.status, got.body, got.header)
	}
	l.expectLog(t, "", "503 wasm_fail_stream\n")
}

func TestStartFails(t *testing.T) {
	const path = managerPath + ".http_filters[0].typed_config.config"
	tests := map[string]struct {
		module func(*testing.T) []byte
		filter string
		want   string
	}{
		"where a plugin refuses its configuration, fail_open or not": {
			guest, plugin("reject", "", ", fail_open: true"), path + ".configuration: ",
		},
		"where the code is no module": {
			func(*testing.T) []byte { return []byte("not wasm") }, plugin("one", "", ""), path + ".vm_config.code: ",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			config, err := Load(file{filters: test.filter}.yaml(), LoadOptions{Module: test.module(t)})
			if err != nil {
				t.Fatal(err)
			}
			_, err = Start(context.Background(), config, Options{Listen: Ephemeral, Log: io.Discard, LogLevel: host.LogInfo})
			if err == nil || !strings.HasPrefix(err.Error(), test.want) {
				t.Errorf("%v, want it to begin with %s", err, test.want)
			}
		})
	}
}

// TestAPausedStreamIsAnswered asks for what no host call could resume here.
func TestAPausedStreamIsAnswered(t *testing.T) {
	l := start(t, file{manager: accessLog(detailsLog), filters: plugin("one", "", "")}, guest(t))
	if got := l.get(t, "/pause"); got.status != 503 || !strings.Contains(got.body, "paused") {
		t.Errorf("%d %s", got.status, got.body)
	}
	l.expectLog(t, "", "503 paused_by_filter\n")
}
