package gateway

import (
	"context"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestGracefulShutdown(t *testing.T) {
	arrived, release := make(chan struct{}), make(chan struct{})
	f := file{routes: apiRoute, clusters: api}
	handler := func(w http.ResponseWriter, _ *http.Request) {
		close(arrived)
		<-release
		io.WriteString(w, "done")
	}
	config, err := Load(f.yaml(), LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	g, err := Start(ctx, config, Options{
		Listen: Ephemeral, AccessLog: io.Discard, Log: io.Discard,
		Endpoints: map[string]string{"api": upstream(t, handler)},
	})
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan answer, 1)
	go func() { got <- do(t, client(), http.MethodGet, "http://"+g.Addr("main")) }()
	<-arrived
	cancel()
	eventually(t, "the listener's end", func() bool {
		conn, err := net.Dial("tcp", g.Addr("main"))
		if err == nil {
			conn.Close()
		}
		return err != nil
	})
	if ready := do(t, client(), http.MethodGet, "http://"+g.AdminAddr()+"/ready"); ready.status != 503 || ready.body != "DRAINING\n" {
		t.Errorf("/ready while draining: %d %q", ready.status, ready.body)
	}
	select {
	case <-g.Done():
		t.Error("ended with a request in flight")
	default:
	}
	close(release)
	if a := <-got; a.status != 200 || a.body != "done" {
		t.Errorf("the request in flight: %d %q", a.status, a.body)
	}
	select {
	case <-g.Done():
	case <-time.After(5 * time.Second):
		t.Error("did not end")
	}
	if err := g.Close(context.Background()); err != nil {
		t.Error(err)
	}
}

func TestShutdownBreaksWhatDoesNotEnd(t *testing.T) {
	arrived := make(chan struct{})
	l := start(t, file{routes: apiRoute, clusters: api}, nil, withUpstream(upstream(t, func(_ http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-r.Context().Done()
	})))
	ended := make(chan error, 1)
	go func() {
		_, err := client().Get(l.base)
		ended <- err
	}()
	<-arrived
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := l.Close(ctx); err != nil {
		t.Error(err)
	}
	if err := <-ended; err == nil {
		t.Error("the request was answered")
	}
}

func TestPortInUse(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	config, err := Load(file{}.yaml(), LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for who, want := range map[string]string{
		"main":        "listener main: " + taken.Addr().String() + " is in use by another process; stop that process, or change the address in the file",
		AdminListener: "admin listener: " + taken.Addr().String() + " is in use by another process; stop that process, or change the address in the file",
	} {
		t.Run(who, func(t *testing.T) {
			var other string
			_, err := Start(context.Background(), config, Options{Listen: func(name, _ string) string {
				if name == who {
					return taken.Addr().String()
				}
				free, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					t.Fatal(err)
				}
				defer free.Close()
				other = free.Addr().String()
				return other
			}})
			if err == nil || err.Error() != want {
				t.Errorf("%v, want %s", err, want)
			}
			if other == "" {
				return
			}
			if conn, err := net.Dial("tcp", other); err == nil {
				conn.Close()
				t.Error("the other listener is still there")
			}
		})
	}
}

func TestAdmin(t *testing.T) {
	l := start(t, file{
		filters: plugin("one", "", ""),
		routes:  `{match: {path: /}, direct_response: {status: 200}}`,
	}, guest(t), func(o *Options) { o.Workers = 2 })
	for _, path := range []string{"/", "/", "/none"} {
		l.get(t, path)
	}
	admin := func(path string) answer { return do(t, client(), http.MethodGet, "http://"+l.AdminAddr()+path) }

	if a := admin("/ready"); a.status != 200 || a.body != "LIVE\n" {
		t.Errorf("/ready: %d %q", a.status, a.body)
	}
	if a := admin("/quitquitquit"); a.status != 404 {
		t.Errorf("an unknown path: %d", a.status)
	}
	if a := admin("/config_dump"); a.status != 404 {
		t.Errorf("/config_dump: %d", a.status)
	}
	if a := admin("/stats"); a.body != "wasmcustom.guest.requests: 3\n" {
		t.Errorf("/stats: %q", a.body)
	}
	for _, path := range []string{"/stats/prometheus", "/stats?format=prometheus"} {
		a := admin(path)
		lines := strings.Split(a.body, "\n")
		for _, want := range []string{"# TYPE guest_requests counter", "guest_requests 3"} {
			if !slices.Contains(lines, want) {
				t.Errorf("%s lacks %q:\n%s", path, want, a.body)
			}
		}
		if strings.Contains(a.body, "wasmcustom") {
			t.Errorf("%s shows the namespace that Envoy strips:\n%s", path, a.body)
		}
	}
}
