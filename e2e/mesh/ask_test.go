package mesh

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// answer is a status with the headers that CORS is about, and vary, in one line:
// "204 access-control-allow-origin: https://a.example; vary: origin".
type answer struct {
	status  int
	headers map[string]string
	body    string
}

func (a answer) String() string {
	s := strconv.Itoa(a.status)
	for i, name := range slices.Sorted(maps.Keys(a.headers)) {
		s += []string{"; ", " "}[btoi(i == 0)] + name + ": " + a.headers[name]
	}
	return s
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// from asks a port of loopback. Each request has a connection of its own, so that none
// hangs on to a listener that is gone.
type from struct {
	port   int
	host   string // "": any
	origin string
	// headers are more of them.
	headers map[string]string
}

var fresh = &http.Client{
	Transport:     &http.Transport{DisableKeepAlives: true},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

func (f from) ask(method, path string, headers map[string]string) (a answer, err error) {
	request, err := http.NewRequest(method, fmt.Sprintf("http://127.0.0.1:%d%s", f.port, path), nil)
	if err != nil {
		return a, err
	}
	request.Host = f.host
	if f.origin != "" {
		request.Header.Set("Origin", f.origin)
	}
	for _, more := range []map[string]string{f.headers, headers} {
		for name, value := range more {
			request.Header.Set(name, value)
		}
	}
	response, err := fresh.Do(request)
	if err != nil {
		return a, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	a = answer{response.StatusCode, map[string]string{}, string(body)}
	for name, values := range response.Header {
		if name = strings.ToLower(name); name == "vary" || strings.HasPrefix(name, "access-control-") {
			a.headers[name] = strings.Join(values, ", ")
		}
	}
	return a, err
}

func (f from) preflight(method string) (answer, error) {
	return f.ask("OPTIONS", "/", map[string]string{"Access-Control-Request-Method": method})
}

func (f from) get(path string) (answer, error) { return f.ask("GET", path, nil) }

func ready(port int, path string) error {
	a, err := from{port: port}.get(path)
	if err == nil && a.status != 200 {
		err = fmt.Errorf("%s of port %d: %s", path, port, a)
	}
	return err
}

// gives waits until a request is answered as wanted, eight times in a row: each of Envoy's
// workers takes a change by itself, and which of them is asked chance decides.
func gives(t *testing.T, want string, ask func() (answer, error)) {
	t.Helper()
	eventually(t, func() error {
		for range 8 {
			if err := isAnswer(want, ask); err != nil {
				return err
			}
		}
		return nil
	})
}

// expect asks once.
func expect(t *testing.T, want string, ask func() (answer, error)) {
	t.Helper()
	if err := isAnswer(want, ask); err != nil {
		t.Error(err)
	}
}

func isAnswer(want string, ask func() (answer, error)) error {
	got, err := ask()
	if err != nil {
		return err
	}
	if got.String() != want {
		return fmt.Errorf("got  %s\nwant %s", got, want)
	}
	return nil
}

// load asks for preflights and requests, in turn, until it is stopped.
type load struct {
	before  []string
	stopped chan struct{}
	over    sync.WaitGroup
	mu      sync.Mutex
	seen    map[string]int
}

// underLoad starts a load, and returns once each of the answers before a change has come.
func underLoad(t *testing.T, f from, before ...string) *load {
	t.Helper()
	l := &load{before: before, stopped: make(chan struct{}), seen: map[string]int{}}
	l.over.Go(func() {
		for n := 0; ; n++ {
			select {
			case <-l.stopped:
				return
			default:
			}
			ask := func() (answer, error) { return f.preflight("PUT") }
			if n%2 == 1 {
				ask = func() (answer, error) { return f.get("/own") }
			}
			a, err := ask()
			got := a.String()
			if err != nil {
				got = err.Error()
			}
			l.mu.Lock()
			l.seen[got]++
			l.mu.Unlock()
		}
	})
	l.await(t, before)
	return l
}

// await waits until each of the answers has come once more.
func (l *load) await(t *testing.T, answers []string) {
	t.Helper()
	start := l.counted()
	err := until(time.Minute, func() error {
		now := l.counted()
		for _, answer := range answers {
			if now[answer] == start[answer] {
				return fmt.Errorf("under load, never: %s\nonly: %v", answer, now)
			}
		}
		return nil
	})
	if err != nil {
		l.stop()
		t.Fatal(err)
	}
}

func (l *load) counted() map[string]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.seen)
}

func (l *load) stop() {
	close(l.stopped)
	l.over.Wait()
}

// only ends the load once each of the answers after a change has come. Nothing but those
// and the ones before may have.
func (l *load) only(t *testing.T, after ...string) {
	t.Helper()
	l.await(t, after)
	l.stop()
	for answer, n := range l.seen {
		if !slices.Contains(l.before, answer) && !slices.Contains(after, answer) {
			t.Errorf("under load, %d times: %s", n, answer)
		}
	}
}
