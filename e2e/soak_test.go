package e2e

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"corsfilter/internal/envoy"
	"corsfilter/internal/envoytest"
	"corsfilter/internal/progress"
)

var soakRequests = flag.Int64("soak", 20_000, "how many requests TestSoak sends")

// soakPolicy is the policy of the nth push. Both kinds let the shop in; the others are
// in with every other push, and each answer tells the push that it is of.
func soakPolicy(n int) string {
	origins := `"https://shop.example.com"`
	if n%2 == 1 {
		origins += `, "https://*.example.org"`
	}
	return fmt.Sprintf(
		`{"allow_origins": [%s], "allow_methods": ["PUT"], "allow_credentials": true, "expose_headers": ["x-push-%d"], "max_age": %[2]d}`,
		origins, n,
	)
}

// asked is a request of the soak.
type asked struct{ method, origin, requestMethod string }

var soakRequestsInTurn = []asked{
	{"GET", "", ""},
	{"GET", "https://shop.example.com", ""},
	{"GET", "https://a.example.org", ""},
	{"GET", "https://evil.example", ""},
	{"OPTIONS", "https://shop.example.com", "PUT"},
	{"OPTIONS", "https://a.example.org", "PUT"},
	{"OPTIONS", "https://shop.example.com", "DELETE"},
	{"OPTIONS", "https://evil.example", "PUT"},
	{"POST", "https://" + strings.Repeat("a.", 300) + "example.org", ""},
}

// answers are what a policy says to it: the status, the headers, and what it counts.
func (a asked) answer(n int) (status int, headers map[string]string, counted []string) {
	allowed := a.origin == "https://shop.example.com" || n%2 == 1 && a.origin == "https://a.example.org"
	status, headers = 200, map[string]string{"Vary": "origin"}
	if allowed {
		headers["Access-Control-Allow-Origin"], headers["Access-Control-Allow-Credentials"] = a.origin, "true"
		headers["Access-Control-Expose-Headers"] = fmt.Sprint("x-push-", n)
	}
	origin := "cors.origin_invalid"
	if allowed {
		origin = "cors.origin_valid"
	}
	switch preflight := a.requestMethod != ""; {
	case a.origin == "":
		return status, headers, nil
	case !preflight && !allowed:
		return status, headers, []string{origin, "cors.request_denied"}
	case !preflight:
		return status, headers, []string{origin, "cors.request_allowed"}
	case !allowed:
		headers["Vary"] = "origin, access-control-request-method, access-control-request-headers"
		return 403, headers, []string{origin, "cors.preflight_denied_origin"}
	default:
		headers["Vary"] = "origin, access-control-request-method, access-control-request-headers"
		headers["Access-Control-Allow-Methods"], headers["Access-Control-Max-Age"] = "PUT", fmt.Sprint(n)
		if a.requestMethod != "PUT" {
			return 204, headers, []string{origin, "cors.preflight_denied_method"}
		}
		return 204, headers, []string{origin, "cors.preflight_allowed"}
	}
}

// soaker is a client with one connection at a time.
type soaker struct {
	address string
	last    *atomic.Int64 // push
	counted map[string]uint64
	wrong   []string

	connection net.Conn
	answers    *bufio.Reader
}

func (s *soaker) ask(a asked) error {
	if s.connection == nil {
		connection, err := net.Dial("tcp", s.address)
		if err != nil {
			return err
		}
		s.connection, s.answers = connection, bufio.NewReader(connection)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s / HTTP/1.1\r\nhost: api.example.com\r\n", a.method)
	for name, value := range map[string]string{"origin": a.origin, "access-control-request-method": a.requestMethod} {
		if value != "" {
			fmt.Fprintf(&b, "%s: %s\r\n", name, value)
		}
	}
	if _, err := io.WriteString(s.connection, b.String()+"\r\n"); err != nil {
		return err
	}
	response, err := http.ReadResponse(s.answers, &http.Request{Method: a.method})
	if err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return err
	}
	s.look(a, response)
	if response.Close { // the listener that it came by is going
		s.connection.Close()
		s.connection = nil
	}
	return nil
}

// look compares a response with what the policies say that were pushed so far. One that
// names its push is of that one; one that does not is of any.
func (s *soaker) look(a asked, response *http.Response) {
	got := map[string]string{}
	for name, values := range response.Header {
		if name == "Vary" || strings.HasPrefix(name, "Access-Control-") {
			got[name] = strings.Join(values, " and ")
		}
	}
	last := int(s.last.Load())
	candidates := []int{last, max(1, last-1)}
	for _, tell := range []string{strings.TrimPrefix(got["Access-Control-Expose-Headers"], "x-push-"), got["Access-Control-Max-Age"]} {
		var n int
		if _, err := fmt.Sscan(tell, &n); err == nil && n <= last {
			candidates = []int{n}
		}
	}
	for _, n := range candidates {
		status, headers, counted := a.answer(n)
		if response.StatusCode == status && maps.Equal(got, headers) {
			for _, name := range counted {
				s.counted[name]++
			}
			return
		}
	}
	if len(s.wrong) < 3 {
		s.wrong = append(s.wrong, fmt.Sprintf("%+v is answered with %d and %v, which no push up to %d says", a, response.StatusCode, got, last))
	}
}

// TestSoak sends many requests to an Envoy with two workers while policies are pushed.
// Each answer is one of a policy that was pushed, whole; no request fails; what the
// filter counts is what was answered; and memory stays what it was after the first
// fifth, but for what Envoy keeps of each push with any filter.
func TestSoak(t *testing.T) {
	const clients, batch = 16, 100
	const perPush, flat = 48 << 10, 16 << 20
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*") // careless
	}))
	defer upstream.Close()
	listener := func(n int) envoytest.Listener {
		return envoytest.Listener{Policy: soakPolicy(n), Manager: `{access_log: []}`}
	}
	pushes := envoytest.NewPushes(t)
	pushes.Push(t, listener(1))
	server := envoytest.Start(t, envoytest.Bootstrap{Upstream: upstream.Listener.Addr().String(), More: pushes.More()}, envoy.Options{
		Concurrency: 2, Arguments: append(pushes.Arguments(), "--drain-time-s", "1", "--drain-strategy", "immediate"),
	})
	ctx, stop := progress.Interruptible(t.Context())
	defer stop()
	meter := progress.Start(os.Stderr, "requests", *soakRequests)
	defer meter.Stop()
	var last, next atomic.Int64
	last.Store(1)
	ctx, failed := context.WithCancelCause(ctx)
	defer failed(nil)
	soakers := make([]*soaker, clients)
	var wait sync.WaitGroup
	for i := range soakers {
		s := &soaker{address: server.Address(""), last: &last, counted: map[string]uint64{}}
		soakers[i] = s
		wait.Go(func() {
			for next.Add(batch) <= *soakRequests && ctx.Err() == nil {
				for i := range batch {
					if err := s.ask(soakRequestsInTurn[i%len(soakRequestsInTurn)]); err != nil {
						failed(err)
						return
					}
				}
				meter.Add(batch)
			}
		})
	}
	over := make(chan struct{})
	go func() {
		wait.Wait()
		close(over)
	}()
	every := max(1, min(*soakRequests/10, 5_000)) // requests, about half a second
	var memory []uint64                           // after each push
	warm := 0
	for asking := true; asking; {
		select {
		case <-over:
			asking = false
		case <-time.After(5 * time.Millisecond):
			if meter.Done() < every*last.Load() {
				break
			}
			pushes.Push(t, listener(int(last.Add(1))))
			memory = append(memory, server.Resident(t))
			if meter.Done() <= *soakRequests/5 {
				warm = len(memory)
			}
		}
	}
	// Nothing is asked any more: what was answered has to be what was counted.
	counted := map[string]uint64{}
	for _, s := range soakers {
		for name, n := range s.counted {
			counted[name] += n
		}
		if s.wrong != nil {
			t.Errorf("%s", strings.Join(s.wrong, "\n"))
		}
	}
	if err := context.Cause(ctx); err != nil {
		t.Error(err)
	}
	server.Counted(t, counted)
	if len(memory) < warm+2 {
		t.Fatalf("%d pushes, %d of them to warm up, tell nothing of memory", len(memory), warm)
	}
	warm = max(1, warm)
	before, most := memory[warm-1], slices.Max(memory[warm:])
	t.Logf("%s requests and %d pushes in %v; %.1f MiB resident after a fifth of them, %.1f at most then; counted %v",
		progress.Count(meter.Done()), len(memory), meter.Elapsed().Round(time.Second), float64(before)/(1<<20), float64(most)/(1<<20), counted)
	if most > before+flat+uint64(len(memory)-warm)*perPush {
		t.Errorf("memory has grown from %d to %d bytes", before, most)
	}
}
