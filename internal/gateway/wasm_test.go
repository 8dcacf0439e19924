package gateway

import (
	"context"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"corsfilter/internal/host"
)

// stamps are the headers of the guest that a response carries.
func (a answer) stamps() []string {
	var lines []string
	for _, line := range a.headers() {
		if slices.ContainsFunc([]string{"x-stamp", "x-local", "x-route", "x-plugins", "x-env"}, func(name string) bool {
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
		routes: `{name: direct, match: {path: /direct}, direct_response: {status: 200}},
 {name: redirect, match: {path: /redirect}, redirect: {path_redirect: /direct}},
 {name: api, match: {prefix: /api/}, route: {cluster: api}},
 {name: dead, match: {path: /dead}, route: {cluster: none}}`,
		clusters: api + ",{name: none}",
	}, guest(t), withUpstream(upstream(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header()["X-Stamp"] = []string{"upstream"}
		io.WriteString(w, r.URL.Path+" "+strings.Join(r.Header.Values("X-Guest"), " "))
	})))
	// Filters see a response in reverse order; both live in one VM.
	both := func(more ...string) []string {
		lines := append([]string{"x-env: value", "x-plugins: 2", "x-stamp: one", "x-stamp: two"}, more...)
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
			stamps: both("x-stamp: upstream", "x-route: api"), order: []string{"upstream", "two", "one"}, log: "200 via_upstream -\n",
		},
		"a direct response": {
			path: "/direct", status: 200, stamps: both("x-route: direct"), order: []string{"two", "one"}, log: "200 direct_response -\n",
		},
		"a redirect": {
			path: "/redirect", status: 301, stamps: both("x-route: redirect"), order: []string{"two", "one"}, log: "301 direct_response -\n",
		},
		"no route, no properties of it": {
			path: "/none", status: 404, stamps: both(), order: []string{"two", "one"}, log: "404 route_not_found NR\n",
		},
		"no healthy upstream": {
			path: "/dead", status: 503, body: "no healthy upstream", stamps: both("x-route: dead"), order: []string{"two", "one"}, log: "503 no_healthy_upstream UH\n",
		},
		"the reply of the first filter passes both, itself included": {
			path: "/local/one", status: 418, body: "local\n", stamps: both("x-local: one"), order: []string{"two", "one"}, log: "418 guest_local -\n",
		},
		"the reply of the second filter": {
			path: "/local/two", status: 418, body: "local\n", stamps: both("x-local: two"), order: []string{"two", "one"}, log: "418 guest_local -\n",
		},
		"a path changed by a filter takes another route": {
			path: "/rewrite", status: 200, body: "/api/rewritten one two",
			stamps: both("x-stamp: upstream", "x-route: api"), order: []string{"upstream", "two", "one"}, log: "200 via_upstream -\n",
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

func TestSharedVM(t *testing.T) {
	tests := map[string]struct {
		filters string
		vms     int
		plugins string // that the VM of the last filter holds
	}{
		"equal vm_config, one VM":  {plugin("one", "", "") + plugin("two", "", ""), 1, "2"},
		"other vm_config, two VMs": {plugin("one", ", vm_id: a", "") + plugin("two", ", vm_id: b", ""), 2, "1"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			l := start(t, file{filters: test.filters}, guest(t), func(o *Options) { o.Workers = 3 })
			if got := len(l.VMs()); got != 3*test.vms {
				t.Errorf("%d VMs for 3 workers, want %d", got, 3*test.vms)
			}
			if got := l.get(t, "/").header.Get("X-Plugins"); got != test.plugins {
				t.Errorf("%s plugins in the VM, want %s", got, test.plugins)
			}
		})
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
		config        string
		status, after int
		log           string
	}{
		"fails closed by default": {"", 503, 503, "503"},
		"FAIL_CLOSED":             {", failure_policy: FAIL_CLOSED", 503, 503, "503"},
		"fail_open":               {", fail_open: true", 200, 200, "200 direct_response"},
		"FAIL_OPEN":               {", failure_policy: FAIL_OPEN", 200, 200, "200 direct_response"},
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
			if got := l.get(t, "/trap"); got.status != test.status {
				t.Errorf("the request that breaks it: %d, want %d", got.status, test.status)
			}
			eventually(t, "the access log", func() bool { return len(l.accessLog.String()) > len(before) })
			if got := strings.TrimPrefix(l.accessLog.String(), before); !strings.HasPrefix(got, test.log) {
				t.Errorf("logged %q, want %q first", got, test.log)
			}
			got := l.get(t, "/")
			if got.status != test.after || got.header.Get("X-Stamp") != "" {
				t.Errorf("afterwards: %d %v, want %d without the filter", got.status, got.header, test.after)
			}
		})
	}
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

func TestPausedStreamEndsWithItsClient(t *testing.T) {
	l := start(t, file{manager: accessLog(detailsLog), filters: plugin("one", "", "")}, guest(t))
	c := client()
	c.Timeout = 100 * time.Millisecond
	if _, err := c.Get(l.base + "/pause"); err == nil {
		t.Error("a paused request was answered")
	}
	l.expectLog(t, "", "0 downstream_remote_disconnect DC\n")
}
