package gateway

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

func load(t *testing.T, text string) *Config {
	t.Helper()
	config, err := Load([]byte(text), LoadOptions{Module: guest(t)})
	if err != nil {
		t.Fatal(err)
	}
	return config
}

// tagged is a file whose one plugin stamps the tag.
func tagged(tag string) string {
	return string(file{filters: plugin(tag, "", ""), routes: `{match: {prefix: /}, direct_response: {status: 200}}`}.yaml())
}

// TestReloadUnderLoad swaps configurations under clients that keep their
// connections: no request fails, none gets a mixture, and no connection is
// closed.
func TestReloadUnderLoad(t *testing.T) {
	l := start(t, file{filters: plugin("one", "", ""), routes: `{match: {prefix: /}, direct_response: {status: 200}}`}, guest(t), func(o *Options) { o.Workers = 2 })
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	var clients sync.WaitGroup
	seen := make(chan string, 1000)
	dials := make(chan struct{}, 1000)
	for range 4 {
		clients.Go(func() {
			transport := &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
				dials <- struct{}{}
				return (&net.Dialer{}).DialContext(ctx, network, address)
			}}
			defer transport.CloseIdleConnections()
			last := ""
			for ctx.Err() == nil {
				response, err := (&http.Client{Transport: transport}).Get(l.base)
				if err != nil {
					t.Error(err)
					return
				}
				io.Copy(io.Discard, response.Body)
				response.Body.Close()
				stamp := response.Header.Get("X-Stamp")
				if response.StatusCode != 200 || stamp == "" {
					t.Errorf("%d %v", response.StatusCode, response.Header)
					return
				}
				if stamp != last {
					last = stamp
					seen <- stamp
				}
			}
		})
	}
	got := ""
	for _, tag := range []string{"one", "two", "three", "four"} {
		if tag != "one" {
			if err := l.Reload(t.Context(), load(t, tagged(tag))); err != nil {
				t.Fatal(err)
			}
		}
		for range 4 {
			select {
			case stamp := <-seen:
				got += stamp + " "
			case <-time.After(10 * time.Second):
				t.Fatalf("after %q no client gets %s", got, tag)
			}
		}
	}
	stop()
	clients.Wait()
	if want := strings.Repeat("one ", 4) + strings.Repeat("two ", 4) + strings.Repeat("three ", 4) + strings.Repeat("four ", 4); got != want {
		t.Errorf("seen %s, want %s", got, want)
	}
	if len(dials) != 4 {
		t.Errorf("%d connections for four clients", len(dials))
	}
	if got := len(l.VMs()); got != 2 {
		t.Errorf("%d VMs for two workers", got)
	}
}

// TestWhatHasBegunEndsByItsOwnConfiguration holds a response back over a reload.
func TestWhatHasBegunEndsByItsOwnConfiguration(t *testing.T) {
	arrived, release := make(chan struct{}), make(chan struct{})
	l := start(t, file{filters: plugin("one", "", ""), routes: apiRoute, clusters: api}, guest(t), withUpstream(upstream(t, func(http.ResponseWriter, *http.Request) {
		close(arrived)
		<-release
	})))
	vm := l.VMs()[0]
	got := make(chan answer, 1)
	go func() { got <- do(t, client(), http.MethodGet, l.base) }()
	<-arrived
	if err := l.Reload(t.Context(), load(t, tagged("two"))); err != nil {
		t.Fatal(err)
	}
	if a := l.get(t, "/"); a.header.Get("X-Stamp") != "two" {
		t.Errorf("a new request: %v", a.header)
	}
	close(release)
	if a := <-got; a.status != 200 || a.header.Get("X-Stamp") != "one" {
		t.Errorf("the request that had begun: %d %v", a.status, a.header)
	}
	l.retiring.Wait()
	if _, err := vm.NewPlugin(context.Background(), l.generation.config.plugins()[0].config); err == nil {
		t.Error("the old VM still runs")
	}
}

func TestListenersComeAndGo(t *testing.T) {
	l := start(t, file{routes: `{match: {prefix: /}, direct_response: {status: 200}}`}, nil)
	kept, old := l.Addr("main"), tagged("two")
	listener := old[strings.Index(old, "  - name: main"):strings.Index(old, "  clusters:")]
	both := strings.Replace(old, "  clusters:", strings.Replace(listener, "main", "more", 1)+"  clusters:", 1)
	if err := l.Reload(t.Context(), load(t, both)); err != nil {
		t.Fatal(err)
	}
	more := l.Addr("more")
	for _, address := range []string{kept, more} {
		if a := do(t, client(), http.MethodGet, "http://"+address); a.header.Get("X-Stamp") != "two" {
			t.Errorf("%s: %v", address, a.header)
		}
	}
	if l.Addr("main") != kept {
		t.Error("the listener that stays has another socket")
	}
	if err := l.Reload(t.Context(), load(t, tagged("three"))); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the end of the listener that went", func() bool {
		conn, err := net.Dial("tcp", more)
		if err == nil {
			conn.Close()
		}
		return err != nil
	})
	if l.Addr("more") != "" || l.get(t, "/").header.Get("X-Stamp") != "three" {
		t.Errorf("%v", l.Listeners())
	}
}

// TestAListenerIsRenamed keeps its socket, and a move of its address on the same
// port is told as what it is.
func TestAListenerIsRenamed(t *testing.T) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	free.Close()
	_, port, _ := net.SplitHostPort(address)
	l := start(t, file{filters: plugin("one", "", ""), routes: `{match: {prefix: /}, direct_response: {status: 200}}`}, guest(t), func(o *Options) {
		o.Listen = func(name, _ string) string {
			switch name {
			case AdminListener:
				return "127.0.0.1:0"
			case "everywhere":
				return "0.0.0.0:" + port
			}
			return address
		}
	})
	if err := l.Reload(t.Context(), load(t, strings.Replace(tagged("two"), "name: main", "name: web", 1))); err != nil {
		t.Fatal(err)
	}
	if a := l.get(t, "/"); a.header.Get("X-Stamp") != "two" || l.Addr("web") != address || l.Addr("main") != "" {
		t.Errorf("%v, listeners %v", a.header, l.Listeners())
	}
	err = l.Reload(t.Context(), load(t, strings.Replace(tagged("three"), "name: main", "name: everywhere", 1)))
	if want := "listener everywhere: 0.0.0.0:" + port + " is in use by listener web as it stands, on " + address + "; a move on one port takes a new start"; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	if a := l.get(t, "/"); a.header.Get("X-Stamp") != "two" {
		t.Errorf("%v", a.header)
	}
}

// TestAReloadThatFailsChangesNothing tries each way to fail.
func TestAReloadThatFailsChangesNothing(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	l := start(t, file{filters: plugin("one", "", ""), routes: `{match: {prefix: /}, direct_response: {status: 200}}`}, guest(t), func(o *Options) {
		o.Listen = func(name, address string) string {
			if name == "other" {
				return taken.Addr().String()
			}
			return "127.0.0.1:0"
		}
	})
	vm := l.VMs()[0]
	for name, test := range map[string]struct{ file, want string }{
		"the module refuses":       {tagged("reject"), `.configuration: plugin "reject": the module rejected the configuration`},
		"a port in use":            {strings.Replace(tagged("two"), "name: main", "name: other", 1), "listener other: " + taken.Addr().String() + " is in use"},
		"the admin address is new": {strings.Replace(tagged("two"), "port_value: 9901", "port_value: 9902", 1), `admin.address changes from "127.0.0.1:9901" to "127.0.0.1:9902", which takes a new start`},
	} {
		t.Run(name, func(t *testing.T) {
			if err := l.Reload(t.Context(), load(t, test.file)); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v, want %s", err, test.want)
			}
			if a := l.get(t, "/"); a.status != 200 || a.header.Get("X-Stamp") != "one" {
				t.Errorf("%d %v", a.status, a.header)
			}
			if now := l.VMs(); len(now) != 1 || now[0] != vm {
				t.Error("other VMs than before")
			}
		})
	}
	if err := l.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := l.Reload(t.Context(), load(t, tagged("two"))); err == nil || err.Error() != "the gateway is ending" {
		t.Errorf("after the end: %v", err)
	}
}
