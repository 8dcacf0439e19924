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

var simple = [][2]string{{":method", "GET"}, {":path", "/"}, {"x-empty", ""}, {"x-two", "1"}, {"x-two", "2"}, {"Origin", "a"}, {"origin", "b"}}

func TestReadingHeaders(t *testing.T) {
	p, r := newGuest(t, `request: get request x-none; get request x-empty; get request x-two; get request origin; get request :path; get request X-Two; get response vary; get nothing x; getfail request x-two
response: get request :path; get response :status; get response vary; pairs request; pairs response`)
	exchange(p, simple, [2]string{"vary", "a"}, [2]string{"Vary", "b"}, [2]string{"x-e", ""})
	expect(t, r,
		"request 2: get request x-none = 1 untouched \"\" allocations=0",
		"request 2: get request x-empty = 0 address 0, size 0 \"\" allocations=0",
		"request 2: get request x-two = 0 size 1 \"1\" allocations=1",
		"request 2: get request origin = 0 size 3 \"a,b\" allocations=1",
		"request 2: get request :path = 0 size 1 \"/\" allocations=1",
		"request 2: get request X-Two = 0 size 1 \"1\" allocations=1",
		"request 2: get response vary = 2 untouched \"\" allocations=0",
		"request 2: get nothing x = 1 untouched \"\" allocations=0",
		"request 2: getfail request x-two = 6 untouched",
		"response 2: get request :path = 2 untouched \"\" allocations=0",
		"response 2: get response :status = 0 size 3 \"200\" allocations=1",
		"response 2: get response vary = 0 size 3 \"a,b\" allocations=1",
		"response 2: pairs request = 2 \"\"",
		`response 2: pairs response = 0 "\x03\x00\x00\x00\a\x00\x00\x00\x03\x00\x00\x00\x04\x00\x00\x00\x03\x00\x00\x00\x03\x00\x00\x00\x00\x00\x00\x00:status\x00200\x00vary\x00a,b\x00x-e\x00\x00"`,
	)
}

func TestWritingHeaders(t *testing.T) {
	p, r := newGuest(t, `request: add request x-a 1; add request x-a 2; replace request x-two 3; remove request origin; remove request x-none; replace response x 1
response: add response vary origin; add response x-b 1; replace response x-b 2; add response x-b 3; add response server z; remove response gone`)
	var forwarded *HeaderMap
	got := p.Exchange(NewHeaderMap(simple...), func(h *HeaderMap) *HeaderMap {
		forwarded = h.Clone()
		return response([2]string{"vary", "accept"}, [2]string{"gone", "1"}, [2]string{"gone", "2"}, [2]string{"x-b", "0"})
	})
	for _, line := range r.take() {
		if ok := strings.HasSuffix(line, "= 0"); ok == strings.Contains(line, "replace response x 1") {
			t.Error(line)
		}
	}
	if want := [][2]string{{":method", "GET"}, {":path", "/"}, {"x-empty", ""}, {"x-a", "1"}, {"x-a", "2"}, {"x-two", "3"}}; !slices.Equal(forwarded.pairs, want) {
		t.Errorf("forwarded %q, want %q", forwarded.pairs, want)
	}
	if want := [][2]string{{":status", "200"}, {"vary", "accept,origin"}, {"x-b", "2"}, {"x-b", "3"}, {"server", "z"}}; !slices.Equal(got.Headers.pairs, want) {
		t.Errorf("response %q, want %q", got.Headers.pairs, want)
	}
}

func TestReplies(t *testing.T) {
	for _, c := range []struct{ name, kind, want string }{
		{"whole", "exact", "x-a=1 x-b= from=callback"},
		{"a byte too long", "long", "from=callback"},
		{"a byte too short", "short", "from=callback"},
		{"1,025 headers", "many", "from=callback"},
		{"more than 1 MiB", "huge", "from=callback"},
		{"a count that does not fit", "counted", "from=callback"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, r := newGuest(t, "request: reply 403 "+c.kind+" x-a=1 x-b=; pause\nresponse: add response from callback")
			got := exchange(p, simple)
			var headers []string
			for name, value := range got.Headers.All() {
				if name != ":status" {
					headers = append(headers, name+"="+value)
				}
			}
			status, _ := got.Headers.Get(":status")
			if strings.Join(headers, " ") != c.want || status != "403" || got.Details != "some_details" || got.Forwarded || len(got.Body) != 0 {
				t.Errorf("%+v %q, want %q", got, got.Headers.pairs, c.want)
			}
			if line := r.take()[0]; !strings.HasSuffix(line, "= 0") { // a malformed buffer is Ok, too
				t.Error(line)
			}
		})
	}
}

func TestOrderOfAStream(t *testing.T) {
	p, r := newGuest(t, "request: level\nresponse: level\ndone: level\nlog: get request :path; get response :status\ndelete: get request :path")
	one, two := p.NewStream(), p.NewStream()
	one.OnRequestHeaders(NewHeaderMap(simple...), true)
	two.OnRequestHeaders(NewHeaderMap(simple...), true)
	one.OnResponseHeaders(response(), true)
	one.OnDone()
	two.OnDone() // reset early: no response
	expect(t, r,
		"request 2: level = 0 2", "request 3: level = 0 2", "response 2: level = 0 2",
		"done 2: level = 0 2", `log 2: get request :path = 0 size 1 "/" allocations=1`, `log 2: get response :status = 0 size 3 "200" allocations=1`, `delete 2: get request :path = 2 untouched "" allocations=0`,
		"done 3: level = 0 2", `log 3: get request :path = 0 size 1 "/" allocations=1`, `log 3: get response :status = 2 untouched "" allocations=0`, `delete 3: get request :path = 2 untouched "" allocations=0`,
	)
}

func TestBuffersAndLevels(t *testing.T) {
	r := &recorder{}
	vm, err := compileGuest(t).NewVM(t.Context(), VMConfig{Configuration: []byte("vm text"), Log: r.log, LogLevel: LogInfo.Always})
	if err != nil {
		t.Fatal(err)
	}
	if got := r.take(); !slices.Equal(got, []string{"info initialized", "info vm_start: 7 bytes, vm text"}) {
		t.Errorf("%q", got)
	}
	script := "configure: buffer 7 0 9; buffer 7 5 100000; buffer 7 100000 1; buffer 6 0 9\nrequest: buffer 7 0 9; tick 0; say 1 quiet; say 3 loud; say 9 x; print line\n"
	p, err := vm.NewPlugin(t.Context(), PluginConfig{Name: "guest", Configuration: []byte(script)})
	if err != nil {
		t.Fatal(err)
	}
	expect(t, r, `configure 1: buffer 7 0 9 = 0 "configure"`, "configure 1: buffer 7 5 100000 = 0 "+quoteFrom(script, 5), `configure 1: buffer 7 100000 1 = 0 ""`, `configure 1: buffer 6 0 9 = 1 ""`)
	s := p.NewStream()
	s.OnRequestHeaders(NewHeaderMap(simple...), true)
	expect(t, r, `request 2: buffer 7 0 9 = 1 ""`,
		"request 2: tick 0 = 0", "request 2: say 1 quiet = 0", "warning guest loud", "request 2: say 3 loud = 0", "request 2: say 9 x = 2", "line", "request 2: print line = 0")

	if _, err := vm.NewPlugin(t.Context(), PluginConfig{Name: "empty"}); err != nil {
		t.Fatal(err)
	}
}

func quoteFrom(s string, from int) string {
	b := []byte{'"'}
	for _, c := range []byte(s[from:]) {
		if c == '\n' {
			b = append(b, `\n`...)
		} else {
			b = append(b, c)
		}
	}
	return string(append(b, '"'))
}

func TestMetrics(t *testing.T) {
	shared := NewMetrics()
	script := "configure: define 0 c; define 1 g; define 2 h; define 3 x; define 0 c\nrequest: increment 0 1; increment 0 0; increment 0 -1; increment 9 1"
	for worker := range 2 {
		p, r := newGuest(t, script, func(c *VMConfig) { c.Metrics = shared })
		s := p.NewStream()
		s.OnRequestHeaders(NewHeaderMap(simple...), true)
		expect(t, r, "request 2: increment 0 1 = 0", "request 2: increment 0 0 = 2", "request 2: increment 0 -1 = 2", "request 2: increment 9 1 = 1")
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

func TestAModuleThatFails(t *testing.T) {
	for _, open := range []bool{false, true} {
		r := &recorder{}
		vm, err := compileGuest(t).NewVM(t.Context(), VMConfig{Log: r.log})
		if err != nil {
			t.Fatal(err)
		}
		p, err := vm.NewPlugin(t.Context(), PluginConfig{Name: "guest", Configuration: []byte("request: trap"), FailOpen: open})
		if err != nil {
			t.Fatal(err)
		}
		early := p.NewStream() // open while the other one fails
		for i := range 2 {
			got := exchange(p, simple)
			status, _ := got.Headers.Get(":status")
			if got.Forwarded != open || (status == "503") == open || (got.Details == "wasm_fail_stream") == open {
				t.Errorf("open %v, stream %d: %+v, status %s", open, i, got, status)
			}
		}
		if _, reply := early.OnRequestHeaders(NewHeaderMap(simple...), true); (reply == nil) != open {
			t.Errorf("open %v: an open stream gets %+v", open, reply)
		}
		early.OnDone()
		if err := vm.Failed(); err == nil || !strings.Contains(err.Error(), "proxy_on_request_headers") {
			t.Errorf("failed: %v", err)
		}
		// What the guest writes to its standard error is logged.
		if lines := strings.Join(r.take(), "\n"); !strings.Contains(lines, "error guest fatal error:") || !strings.Contains(lines, "critical guest the module trapped in") {
			t.Error(lines)
		}
		if _, err := vm.NewPlugin(t.Context(), PluginConfig{}); err == nil {
			t.Error("a failed VM takes a plugin")
		}
	}
}

func TestLeavingTheProcessStopsNothing(t *testing.T) {
	p, r := newGuest(t, "request: exit; level")
	got := exchange(p, simple)
	if !got.Forwarded || p.VM().Failed() != nil {
		t.Errorf("%+v, %v", got, p.VM().Failed())
	}
	expect(t, r, "error guest the module called proc_exit", "request 2: exit = 0", "request 2: level = 0 2")
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
	script := "configure: define 0 c\nrequest: increment 0 1; add request x-seen 1\nresponse: add response x-seen 1"
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
	p, _ := newGuest(t, "request: get request :path; get request x-none; get request x-empty", func(c *VMConfig) { c.LogLevel = LogError.Always })
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
	h := NewHeaderMap([2]string{"X-A", "1"}, [2]string{"x-a", "2"}, [2]string{"vary", ""}, [2]string{"Vary", "b"})
	if got := h.Values("x-a"); !slices.Equal(got, []string{"1", "2"}) || h.Len() != 3 {
		t.Errorf("%v of %d", got, h.Len())
	}
	if got, _ := h.Get("vary"); got != "b" {
		t.Errorf("vary %q", got)
	}
	c := h.Clone()
	c.Replace("x-a", "3")
	c.Remove("VARY")
	if got := h.Values("x-a"); len(got) != 2 || c.Len() != 1 {
		t.Errorf("the copy is not one: %v", got)
	}
}
