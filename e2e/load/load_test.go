// Package load puts Envoy under load. It measures how many requests Envoy serves and
// how fast, with and without the filter, with a slow or failing upstream, with
// thousands of connections, and during configuration changes. Only requests that
// upstream fails may fail.
package load

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"

	"corsfilter/internal/progress"
)

var (
	duration    = flag.Duration("duration", 500*time.Millisecond, "how long each load lasts")
	connections = flag.Int("connections", 500, "how many connections are open at once")
)

// kind is a request and what must come of it, whichever of the two policies is in
// force. Requests of a kind go to a path of their own, by which a result is known.
type kind struct {
	method, path, origin string
	headers              [][2]string
	status               []uint16
	allow                string // Access-Control-Allow-Origin
}

const shop, page, unlisted = "https://shop.example.com", "https://a.example.org", "https://evil.example"

var (
	usual = []kind{
		{method: "GET", path: "/none", status: []uint16{200}},
		{method: "GET", path: "/cross", origin: shop, status: []uint16{200}, allow: shop},
		{method: "GET", path: "/unlisted", origin: unlisted, status: []uint16{200}},
		{
			method:  "OPTIONS",
			path:    "/preflight",
			origin:  page,
			headers: [][2]string{{"Access-Control-Request-Method", "PUT"}, {"Access-Control-Request-Headers", "x-a"}},
			status:  []uint16{204},
			allow:   page,
		},
	}
	// failing are those whose upstream fails: the error goes out, and the page may
	// read it.
	failing = append(usual[:len(usual):len(usual)],
		kind{method: "GET", path: "/slow", origin: shop, status: []uint16{200}, allow: shop},
		kind{method: "GET", path: "/error", origin: shop, status: []uint16{500}, allow: shop},
		kind{method: "GET", path: "/hangs-up", origin: shop, status: []uint16{502, 503}, allow: shop},
	)
	// bare are requests where there is no filter.
	bare = []kind{{method: "GET", path: "/bare", origin: shop, status: []uint16{200}, allow: "*"}}
)

func (k kind) target(address string) vegeta.Target {
	header := http.Header{}
	if k.origin != "" {
		header.Set("Origin", k.origin)
	}
	for _, h := range k.headers {
		header.Set(h[0], h[1])
	}
	return vegeta.Target{Method: k.method, URL: "http://" + address + k.path, Header: header}
}

// wrong says what is not as it must be, or nothing.
func (k kind) wrong(status int, header http.Header, failure string) string {
	if failure != "" && status == 0 {
		return failure
	}
	for _, want := range k.status {
		if status == int(want) {
			if got := header.Values("Access-Control-Allow-Origin"); strings.Join(got, " and ") != k.allow {
				return fmt.Sprintf("Access-Control-Allow-Origin %q, want %q", got, k.allow)
			}
			return ""
		}
	}
	return fmt.Sprintf("status %d, want %v: %s", status, k.status, failure)
}

// row is what came of one load.
type row struct {
	name     string
	metrics  vegeta.Metrics
	failures map[string]int
}

func (r *row) String() string {
	l := r.metrics.Latencies
	failed := 0
	for _, n := range r.failures {
		failed += n
	}
	return fmt.Sprintf(
		"%-34s %10s %10.0f %10s %10s %10s %8d", r.name, progress.Count(int64(r.metrics.Requests)), r.metrics.Rate, short(l.P50), short(l.P99),
		short(l.Max), failed,
	)
}

func short(d time.Duration) string { return d.Round(10 * time.Microsecond).String() }

// attack sends requests of the kinds, one after the other, from 32 workers at once,
// for as long as told.
func attack(ctx context.Context, address, name string, lasts time.Duration, kinds []kind) *row {
	byPath := map[string]kind{}
	var targets []vegeta.Target
	for _, k := range kinds {
		byPath["http://"+address+k.path] = k
		targets = append(targets, k.target(address))
	}
	attacker := vegeta.NewAttacker(
		vegeta.MaxWorkers(32), vegeta.Workers(32), vegeta.Connections(64), vegeta.Redirects(vegeta.NoFollow), vegeta.Timeout(20*time.Second),
	)
	defer context.AfterFunc(ctx, func() { attacker.Stop() })()
	r := &row{name: name, failures: map[string]int{}}
	meter := progress.Start(os.Stderr, name+", seconds", int64(lasts/time.Second))
	defer meter.Stop()
	began := time.Now()
	for result := range attacker.Attack(vegeta.NewStaticTargeter(targets...), vegeta.Rate{}, lasts, name) {
		r.metrics.Add(result)
		if wrong := byPath[result.URL].wrong(int(result.Code), result.Headers, result.Error); wrong != "" {
			r.failures[result.URL+": "+wrong]++
		}
		meter.Add(int64(time.Since(began)/time.Second) - meter.Done())
	}
	r.metrics.Close()
	return r
}

// crowd opens many connections, sends a request over each, and another one when
// all are open.
func crowd(ctx context.Context, address string, n int) *row {
	r := &row{name: progress.Count(int64(n)) + " connections", failures: map[string]int{}}
	meter := progress.Start(os.Stderr, "requests over connections", int64(2*n))
	defer meter.Stop()
	var mu sync.Mutex
	all := make([]net.Conn, n)
	defer func() {
		for _, c := range all {
			if c != nil {
				c.Close()
			}
		}
	}()
	ask := func(i int) string {
		k := usual[i%len(usual)]
		if all[i] == nil {
			c, err := net.DialTimeout("tcp", address, 20*time.Second)
			if err != nil {
				return err.Error()
			}
			all[i] = c
		}
		c := all[i]
		c.SetDeadline(time.Now().Add(20 * time.Second))
		t := k.target(address)
		request, err := t.Request()
		if err != nil {
			return err.Error()
		}
		if err := request.Write(c); err != nil {
			return err.Error()
		}
		response, err := http.ReadResponse(bufio.NewReader(c), request)
		if err != nil {
			return err.Error()
		}
		defer response.Body.Close()
		length, _ := strconv.Atoi(response.Header.Get("Content-Length"))
		if _, err := bufio.NewReader(response.Body).Discard(length); err != nil {
			return err.Error()
		}
		return k.wrong(response.StatusCode, response.Header, "")
	}
	for range 2 {
		var next atomic.Int64
		var wait sync.WaitGroup
		for range 64 {
			wait.Go(func() {
				for i := int(next.Add(1)) - 1; i < n && ctx.Err() == nil; i = int(next.Add(1)) - 1 {
					began := time.Now()
					wrong := ask(i)
					mu.Lock()
					result := &vegeta.Result{Code: 200, Timestamp: began, Latency: time.Since(began)}
					r.metrics.Add(result)
					if wrong != "" {
						r.failures[wrong]++
					}
					mu.Unlock()
					meter.Add(1)
				}
			})
		}
		wait.Wait()
	}
	r.metrics.Close()
	return r
}

// TestLoad is every load in turn. Its figures are shown with -v.
func TestLoad(t *testing.T) {
	ctx, stop := progress.Interruptible(t.Context())
	defer stop()
	p := serve(t)
	bareAt, at := p.Address(without), p.Address(with)
	var rows []*row
	for _, load := range []func() *row{
		func() *row { return attack(ctx, bareAt, "without the filter", *duration, bare) },
		func() *row {
			return attack(
				ctx, at, "with the filter, the same request", *duration,
				[]kind{{method: "GET", path: "/bare", origin: shop, status: []uint16{200}, allow: shop}},
			)
		},
		func() *row { return attack(ctx, at, "with the filter, all kinds", *duration, usual) },
		func() *row { return attack(ctx, at, "upstream slow and failing", *duration, failing) },
		func() *row { return changing(t, ctx, p) },
		func() *row { return crowd(ctx, at, *connections) },
	} {
		if ctx.Err() == nil {
			rows = append(rows, load())
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%-34s %10s %10s %10s %10s %10s %8s\n", "", "requests", "per second", "median", "99 %", "longest", "failed")
	for _, r := range rows {
		fmt.Fprintln(&b, r)
		for failure, n := range r.failures {
			if ctx.Err() == nil || !strings.Contains(failure, "context canceled") {
				t.Errorf("%s: %d times %s", r.name, n, failure)
			}
		}
		if r.metrics.Requests == 0 && ctx.Err() == nil {
			t.Errorf("%s: no requests", r.name)
		}
	}
	if ctx.Err() != nil {
		fmt.Fprintln(&b, "interrupted")
	}
	t.Log("\n" + b.String())
	if said := p.complaints(); said != nil {
		t.Errorf("Envoy says\n%s", strings.Join(said, ""))
	}
}

// changing changes the configuration while requests come: to another policy, to one
// that is refused, and so on.
func changing(t *testing.T, ctx context.Context, p *proxy) *row {
	const settles = 300 * time.Millisecond
	taken, refused := p.updates(t)
	ctx, stop := context.WithCancel(ctx)
	var wait sync.WaitGroup
	wait.Go(func() {
		for version := 2; ctx.Err() == nil; version++ {
			if version%3 == 0 {
				p.push(t, `{"allow_origins": ["https://shop.example.com/"]}`)
			} else {
				p.push(t, policy(version))
			}
			select {
			case <-ctx.Done():
			case <-time.After(settles):
			}
		}
	})
	r := attack(ctx, p.Address(with), "configuration changed under load", max(*duration, 5*settles), usual)
	stop()
	wait.Wait()
	takenNow, refusedNow := p.updates(t)
	taken, refused = takenNow-taken, refusedNow-refused
	r.name = fmt.Sprintf("%d changes taken, %d refused", taken, refused)
	if r.metrics.Duration > 4*settles && (taken == 0 || refused == 0) {
		t.Errorf("%s under load:\n%s", r.name, p.Log())
	}
	return r
}
