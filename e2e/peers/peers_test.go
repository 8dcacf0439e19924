// Package peers compares the filter with rs/cors, the middleware of most Go services.
// Both get the same policies and requests, and a textbook browser must come to the same
// result with both, except for the listed differences.
package peers

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"reflect"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/rs/cors"

	"corsfilter/config"
	"corsfilter/filter"
	"corsfilter/internal/browser"
	"corsfilter/internal/host"
	"corsfilter/internal/progress"
)

var (
	cases = flag.Int64("cases", 20_000, "how many policies and requests are compared")
	only  = flag.Int64("case", -1, "compare this case alone, and show it")
)

// throughModule: one of this many cases also runs in the built module.
const throughModule = 50

// upstream is the answer of the service behind both.
var upstream = []filter.Header{
	{Name: "content-type", Value: "text/plain"},
	{Name: "x-total", Value: "1"},
	{Name: "etag", Value: `"1"`},
	{Name: "x-a", Value: "1"},
}

// server answers a browser.
type server func(method string, headers []browser.Header) browser.Response

// result is everything that a browser gives a page.
type result struct {
	Preflight, Allowed bool
	// MaxAge is how long the browser caches a successful answer, in seconds.
	MaxAge   int
	Readable []string
}

func fetch(r browser.Request, s server) (got result) {
	outcome := browser.Fetch(r, func(method string, headers []browser.Header) browser.Response {
		response := s(method, headers)
		if got.MaxAge == 0 {
			got.MaxAge = 1 + browser.PreflightMaxAge(response)
		}
		return response
	})
	switch {
	case outcome.Preflight == nil, !outcome.Preflight.Allowed:
		got.MaxAge = 0
	default:
		got.Preflight, got.MaxAge = true, got.MaxAge-1
	}
	got.Allowed, got.Readable = outcome.Allowed(), outcome.Readable
	return got
}

// native is the filter's decision, applied as the module applies it.
func native(p *config.Policy) server {
	var buffer filter.Buffer
	return func(method string, headers []browser.Header) (answer browser.Response) {
		var request filter.Request
		request.VisitHeader(":method", method)
		for _, h := range headers {
			request.VisitHeader(strings.ToLower(h.Name), h.Value)
		}
		var d filter.Decision
		filter.Decide(p, &request, &d)
		if d.Replies() {
			reply := d.Reply(&buffer)
			answer.Status = int(reply.Status)
			for _, h := range reply.Headers {
				answer.Headers = append(answer.Headers, browser.Header{Name: h.Name, Value: strings.Clone(h.Value)})
			}
			return answer
		}
		answer.Status = 200
		var found filter.Upstream
		for _, h := range upstream {
			found.VisitHeader(h.Name, h.Value)
			answer.Headers = append(answer.Headers, browser.Header(h))
		}
		for _, edit := range d.Edits(&found, &buffer) {
			// This upstream sends none of the fields that are edited.
			if edit.Op != filter.Remove {
				answer.Headers = append(answer.Headers, browser.Header{Name: edit.Name, Value: strings.Clone(edit.Value)})
			}
		}
		return answer
	}
}

// module is the built module.
func module(p *host.Plugin) server {
	return func(method string, headers []browser.Header) (answer browser.Response) {
		request := host.NewHeaderMap(
			[2]string{":method", method}, [2]string{":scheme", "https"}, [2]string{":authority", "api.example.net"}, [2]string{":path", "/"},
		)
		for _, h := range headers {
			request.Add(h.Name, h.Value)
		}
		response := p.Exchange(request, func(*host.HeaderMap) *host.HeaderMap {
			h := host.NewHeaderMap([2]string{":status", "200"})
			for _, u := range upstream {
				h.Add(u.Name, u.Value)
			}
			return h
		})
		for name, value := range response.Headers.All() {
			if name == ":status" {
				answer.Status, _ = strconv.Atoi(value)
				continue
			}
			answer.Headers = append(answer.Headers, browser.Header{Name: name, Value: value})
		}
		return answer
	}
}

// written is a response in net/http's form.
type written struct {
	header http.Header
	status int
}

func (w *written) Header() http.Header         { return w.header }
func (w *written) Write(b []byte) (int, error) { return len(b), nil }
func (w *written) WriteHeader(status int)      { w.status = status }

// peer is rs/cors in front of the same upstream.
func peer(options cors.Options) server {
	handler := cors.New(options).Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for _, h := range upstream {
			w.Header().Set(h.Name, h.Value)
		}
		w.WriteHeader(200)
	}))
	return func(method string, headers []browser.Header) (answer browser.Response) {
		request := &http.Request{Method: method, Header: http.Header{}}
		for _, h := range headers {
			request.Header.Add(h.Name, h.Value)
		}
		w := &written{header: http.Header{}}
		handler.ServeHTTP(w, request)
		answer.Status = w.status
		for name, values := range w.header {
			for _, value := range values {
				answer.Headers = append(answer.Headers, browser.Header{Name: strings.ToLower(name), Value: value})
			}
		}
		return answer
	}
}

// compiled is the filter's policy, or the message that refuses it.
func compiled(o ours) (*config.Policy, error) {
	c, _, err := config.Parse(o.json())
	if err != nil {
		return nil, fmt.Errorf("%s\n%w", o.json(), err)
	}
	return c.Default, nil
}

// compared is one case.
type compared struct {
	policy       policy
	request      browser.Request
	ours, theirs result
}

func (c compared) String() string {
	return fmt.Sprintf(
		"policy %s\nrs/cors %+v\nrequest %+v\nours   %+v\ntheirs %+v", c.policy.ours.json(), c.policy.theirs, c.request, c.ours, c.theirs,
	)
}

func (c compared) agree() bool { return reflect.DeepEqual(c.ours, c.theirs) }

func compare(p policy, r browser.Request) (compared, error) {
	mine, err := compiled(p.ours)
	if err != nil {
		return compared{}, err
	}
	return compared{p, r, fetch(r, native(mine)), fetch(r, peer(p.theirs))}, nil
}

// mended is the policy without some differences.
func mended(p policy, r browser.Request, without ...difference) policy {
	p.theirs.AllowedOrigins = slices.Clone(p.theirs.AllowedOrigins)
	p.theirs.AllowedMethods = slices.Clone(p.theirs.AllowedMethods)
	for _, d := range without {
		d.mend(&p, r)
	}
	return p
}

// explained names the differences that cause a disagreement: the one without which both
// agree, or all that apply if they agree only without all of those.
func explained(c compared) (names []string, err error) {
	var apply []difference
	for _, d := range differences {
		if d.applies(c.policy, c.request) {
			apply = append(apply, d)
		}
	}
	for i := range apply {
		again, err := compare(mended(c.policy, c.request, apply[i]), c.request)
		if err != nil {
			return nil, err
		}
		if again.agree() {
			return []string{apply[i].name}, nil
		}
	}
	again, err := compare(mended(c.policy, c.request, apply...), c.request)
	if err != nil {
		return nil, err
	}
	if len(apply) < 2 || !again.agree() {
		return nil, fmt.Errorf("no difference explains it\n%v\nwithout all that apply\n%v", c, again)
	}
	for _, d := range apply {
		names = append(names, d.name)
	}
	return names, nil
}

func draw(n int64) (policy, browser.Request) {
	r := rand.New(rand.NewPCG(uint64(n), 1))
	return drawPolicy(r), drawRequest(r)
}

// report counts the outcomes.
type report struct {
	agreed, allowed, module atomic.Int64
	mu                      sync.Mutex
	alone, along            map[string]int64 // by difference
}

func (r *report) count(names []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(names) == 1 {
		r.alone[names[0]]++
		return
	}
	for _, name := range names {
		r.along[name]++
	}
}

func (r *report) String() string {
	var b strings.Builder
	total := r.agreed.Load()
	for _, d := range differences {
		total += r.alone[d.name]
	}
	fmt.Fprintf(&b, "%s agree, %s of them on a request that is allowed; %s went through the module as well\n%10s %10s  difference\n",
		progress.Count(r.agreed.Load()), progress.Count(r.allowed.Load()), progress.Count(r.module.Load()), "alone", "with more")
	for _, d := range differences {
		fmt.Fprintf(&b, "%10s %10s  %s (%s)\n", progress.Count(r.alone[d.name]), progress.Count(r.along[d.name]), d.name, d.section)
	}
	return b.String()
}

// TestPeers draws policies and requests, and compares. Case n is the same in every
// run. An entry of differences that never explains anything fails the test.
func TestPeers(t *testing.T) {
	if *only >= 0 {
		c, err := compare(draw(*only))
		if err != nil {
			t.Fatal(err)
		}
		names, err := explained(c)
		t.Logf("%v\nagree: %v; %q, %v", c, c.agree(), names, err)
		return
	}
	compiledModule, err := host.Compile(t.Context(), built(t))
	if err != nil {
		t.Fatal(err)
	}
	defer compiledModule.Close(context.Background())

	ctx, stop := progress.Interruptible(t.Context())
	defer stop()
	meter := progress.Start(os.Stderr, "policies and requests", *cases)
	r := &report{alone: map[string]int64{}, along: map[string]int64{}}
	var next atomic.Int64
	var wait sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		vm, err := compiledModule.NewVM(
			t.Context(), host.VMConfig{Env: map[string]string{"GOGC": "off", "GOMEMLIMIT": "64MiB"}, LogLevel: host.LogError.Always},
		)
		if err != nil {
			t.Fatal(err)
		}
		wait.Go(func() {
			for n := next.Add(1) - 1; n < *cases && ctx.Err() == nil && !t.Failed(); n = next.Add(1) - 1 {
				if err := one(n, vm, r); err != nil {
					t.Errorf("case %d (run it with -case %d): %v", n, n, err)
				}
				meter.Add(1)
			}
		})
	}
	wait.Wait()
	meter.Stop()
	t.Logf("%s cases in %v: %v", progress.Count(meter.Done()), meter.Elapsed().Round(1e6), r)
	if ctx.Err() != nil {
		t.Logf("interrupted after %s of %s cases", progress.Count(meter.Done()), progress.Count(*cases))
		return
	}
	for _, d := range differences {
		if d.reason == "" || d.section == "" {
			t.Errorf("%s: no reason, or no section", d.name)
		}
		if r.alone[d.name] == 0 && !t.Failed() {
			t.Errorf("%s: explains no disagreement; either it is not a difference, or there are too few cases", d.name)
		}
	}
}

func one(n int64, vm *host.VM, r *report) error {
	c, err := compare(draw(n))
	if err != nil {
		return err
	}
	if n%throughModule == 0 {
		plugin, err := vm.NewPlugin(context.Background(), host.PluginConfig{Name: "cors", Configuration: c.policy.ours.json()})
		if err != nil {
			return err
		}
		if got := fetch(c.request, module(plugin)); !reflect.DeepEqual(got, c.ours) {
			return fmt.Errorf("the module returns %+v\n%v", got, c)
		}
		if err := plugin.Close(context.Background()); err != nil {
			return err
		}
		r.module.Add(1)
	}
	if c.agree() {
		r.agreed.Add(1)
		if c.ours.Allowed {
			r.allowed.Add(1)
		}
		return nil
	}
	names, err := explained(c)
	if err != nil {
		return err
	}
	r.count(names)
	return nil
}

// built is the built module.
func built(t *testing.T) []byte {
	t.Helper()
	path := os.Getenv("CORSFILTER_WASM")
	if path == "" {
		t.Fatal("CORSFILTER_WASM names no module; run make test from the root")
	}
	wasm, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return wasm
}
