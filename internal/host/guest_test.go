package host

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// guestModule builds testdata/guest once. It does what its plugin configuration
// says and logs what the host answers.
var guestModule = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "guest")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	out := filepath.Join(dir, "guest.wasm")
	build := exec.Command("go", "build", "-buildmode=c-shared", "-o", out, ".")
	build.Dir = filepath.Join("testdata", "guest")
	build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	if output, err := build.CombinedOutput(); err != nil {
		return nil, &exec.Error{Name: string(output), Err: err}
	}
	return os.ReadFile(out)
})

func compileGuest(t *testing.T) *Module {
	t.Helper()
	wasm, err := guestModule()
	if err != nil {
		t.Fatal(err)
	}
	m, err := Compile(t.Context(), wasm)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close(context.Background()) })
	return m
}

// recorder keeps what a VM logs.
type recorder struct {
	mu    sync.Mutex
	lines []string
}

func (r *recorder) log(level LogLevel, plugin, message string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, strings.Join(strings.Fields(level.String()+" "+plugin+" "+message), " "))
}

func (r *recorder) take() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	lines := r.lines
	r.lines = nil
	return lines
}

// newGuest starts a VM and a plugin with a script.
func newGuest(t *testing.T, script string, change ...func(*VMConfig)) (*Plugin, *recorder) {
	t.Helper()
	r := &recorder{}
	c := VMConfig{Log: r.log, LogLevel: LogInfo.Always}
	for _, f := range change {
		f(&c)
	}
	vm, err := compileGuest(t).NewVM(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	p, err := vm.NewPlugin(t.Context(), PluginConfig{Name: "guest", Configuration: []byte(script)})
	if err != nil {
		t.Fatal(err)
	}
	r.take()
	return p, r
}

// expect compares what was logged, without the level and the plugin's name.
func expect(t *testing.T, r *recorder, want ...string) {
	t.Helper()
	var got []string
	for _, line := range r.take() {
		got = append(got, strings.TrimPrefix(line, "info guest "))
	}
	if !slices.Equal(got, want) {
		t.Errorf("logged\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func response(pairs ...[2]string) *HeaderMap {
	return NewHeaderMap(append([][2]string{{":status", "200"}}, pairs...)...)
}

// exchange runs one stream; upstream answers with the given headers.
func exchange(p *Plugin, request [][2]string, answer ...[2]string) Response {
	return p.Exchange(NewHeaderMap(request...), func(*HeaderMap) *HeaderMap { return response(answer...) })
}

var simple = [][2]string{
	{":method", "GET"}, {":path", "/"}, {"x-empty", ""}, {"x-two", "1"}, {"x-two", "2"}, {"Origin", "a"}, {"origin", "b"},
}

// TestOrderOfStreams has two of them at once, of which one is reset before there is a
// response.
func TestOrderOfStreams(t *testing.T) {
	p, r := newGuest(
		t, "request: level\nresponse: level\ndone: level\nlog: get request :path; get response :status\ndelete: get request :path",
	)
	one, two := p.NewStream(), p.NewStream()
	one.OnRequestHeaders(NewHeaderMap(simple...), true)
	two.OnRequestHeaders(NewHeaderMap(simple...), true)
	one.OnResponseHeaders(response(), true)
	one.OnDone()
	two.OnDone() // reset early: no response
	expect(t, r,
		"request 2: level = 0 2", "request 3: level = 0 2", "response 2: level = 0 2",
		`log 2: get request :path = 0 size 1 "/" allocations=1`, `log 2: get response :status = 0 size 3 "200" allocations=1`,
		"done 2: level = 0 2", `delete 2: get request :path = 2 untouched "" allocations=0`,
		`log 3: get request :path = 0 size 1 "/" allocations=1`, `log 3: get response :status = 2 untouched "" allocations=0`,
		"done 3: level = 0 2", `delete 3: get request :path = 2 untouched "" allocations=0`,
	)
}

func TestMetrics(t *testing.T) {
	shared := NewMetrics()
	script := "configure: define 0 c; define 1 g; define 2 h\nrequest: increment c 1"
	for worker := range 2 {
		p, r := newGuest(t, script, func(c *VMConfig) { c.Metrics = shared })
		s := p.NewStream()
		s.OnRequestHeaders(NewHeaderMap(simple...), true)
		expect(t, r, "request 2: increment c 1 = 0")
		if got, ok := shared.Counter("c"); !ok || got != uint64(worker+1) {
			t.Errorf("c is %d after %d workers", got, worker+1)
		}
	}
	if want := []Metric{{"c", 2}}; !slices.Equal(shared.All(), want) {
		t.Errorf("%v, want %v", shared.All(), want)
	}
	if _, ok := shared.Counter("g"); ok {
		t.Error("a gauge is there")
	}
}

func TestARejectedConfigurationLeavesTheVMAlive(t *testing.T) {
	p, r := newGuest(t, "request: level")
	_, err := p.VM().NewPlugin(t.Context(), PluginConfig{Name: "bad", Configuration: []byte("refuse")})
	if err == nil || !strings.Contains(err.Error(), `"bad"`) || !strings.Contains(err.Error(), ErrRejected.Error()) {
		t.Errorf("error %v", err)
	}
	r.take()
	exchange(p, simple)
	expect(t, r, "request 3: level = 0 2")
}

// TestWorkersKeepApart shares a VM between goroutines, and runs another beside
// it; under -race this is the proof.
func TestWorkersKeepApart(t *testing.T) {
	shared := NewMetrics()
	script := "configure: define 0 c\nrequest: increment c 1; add request x-seen 1\nresponse: add response x-seen 1"
	one, _ := newGuest(t, script, func(c *VMConfig) { c.Metrics = shared; c.Log = nil })
	two, _ := newGuest(t, script, func(c *VMConfig) { c.Metrics = shared; c.Log = nil })
	var wait sync.WaitGroup
	for i := range 8 {
		wait.Go(func() {
			for range 50 {
				got := exchange([]*Plugin{one, two}[i%2], simple)
				if seen := got.Headers.Values("x-seen"); len(seen) != 1 {
					t.Errorf("seen %v", seen)
				}
			}
		})
	}
	wait.Wait()
	if n, _ := shared.Counter("c"); n != 400 {
		t.Errorf("%d requests counted, want 400", n)
	}
}

func TestHostCallsAndAllocationsAreCounted(t *testing.T) {
	p, _ := newGuest(
		t, "request: get request :path; get request x-none; get request x-empty", func(c *VMConfig) { c.LogLevel = LogError.Always },
	)
	calls, allocations := p.VM().HostCalls(), p.VM().AllocatorCalls()
	exchange(p, simple)
	if got := p.VM().HostCalls() - calls; got != 6 { // three questions, three lines
		t.Errorf("%d host calls", got)
	}
	if got := p.VM().AllocatorCalls() - allocations; got != 1 {
		t.Errorf("%d allocator calls", got)
	}
}

func TestHeaderMap(t *testing.T) {
	h := response([2]string{"X-A", "1"}, [2]string{"x-a", "2"}, [2]string{"vary", ""}, [2]string{"Vary", "b"})
	if got := h.Values("x-a"); !slices.Equal(got, []string{"1", "2"}) || h.Len() != 4 {
		t.Errorf("%v of %d", got, h.Len())
	}
	if got, _ := h.Get("vary"); got != "b" {
		t.Errorf("vary %q", got)
	}
	c := h.Clone()
	c.Replace("x-a", "3")
	c.Remove("VARY")
	if got := h.Values("x-a"); len(got) != 2 || c.Len() != 2 {
		t.Errorf("the copy is not one: %v", got)
	}
}
