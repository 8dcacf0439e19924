package host

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
)

// behaviour is something that a module can tell of its host. Each is run here and in
// a real Envoy: what Envoy does is what is wanted.
type behaviour struct {
	name string // a sentence
	// script is what the guest does, and its configuration; module is a module of its
	// own instead.
	script, vmConfiguration string
	module                  *wasm
	failOpen                bool
	// times is how often the request is sent; 0: once.
	times int
	// request and upstream are headers beyond those that are always there.
	request, upstream [][2]string

	// said are the lines that the module logs, without the numbers of its contexts,
	// and with the level where it is not info.
	said []string
	// What comes of the last request; zero: a 200 by upstream. reaches says that the
	// request came there though the answer is another.
	reaches bool
	status  int
	details string
	body    string
	// headers are the response's and forwarded the request's, as upstream gets it: those
	// that are named, several values with " | " between them, absent for none of them.
	headers, forwarded map[string]string
	counted            map[string]uint64
	// in are the releases that do so; nil: all.
	in func(Profile) bool
}

const absent = "(absent)"

// outcome is what came of a behaviour.
type outcome struct {
	said               []string
	status             int
	details, body      string
	reached            bool // upstream was
	headers, forwarded func(name string) []string
	counted            func(name string) uint64
}

var contextNumber = regexp.MustCompile(`^(\w+ )?(configure|request|response|done|log|delete) \d+:`)

func (b behaviour) check(t *testing.T, got outcome) {
	t.Helper()
	if !slices.Equal(got.said, b.said) {
		t.Errorf("said\n%s\nwant\n%s", strings.Join(got.said, "\n"), strings.Join(b.said, "\n"))
	}
	if want := cmp.Or(b.status, 200); got.status != want {
		t.Errorf("status %d, want %d", got.status, want)
	}
	if want := cmp.Or(b.details, "via_upstream"); got.details != want {
		t.Errorf("details %q, want %q", got.details, want)
	}
	if want := b.reaches || b.details == ""; got.reached != want {
		t.Errorf("reached upstream: %v, want %v", got.reached, want)
	}
	if got.body != b.body {
		t.Errorf("body %q, want %q", got.body, b.body)
	}
	compare := func(what string, want map[string]string, values func(string) []string) {
		t.Helper()
		for _, name := range slices.Sorted(maps.Keys(want)) {
			have := absent
			if all := values(name); all != nil {
				have = strings.Join(all, " | ")
			}
			if have != want[name] {
				t.Errorf("%s %s: %q, want %q", what, name, have, want[name])
			}
		}
	}
	compare("response", b.headers, got.headers)
	compare("forwarded", b.forwarded, got.forwarded)
	for name, want := range b.counted {
		if n := got.counted(name); n != want {
			t.Errorf("%s is %d, want %d", name, n, want)
		}
	}
}

// here runs it in this host.
func (b behaviour) here(t *testing.T, guest *Module, profile Profile) (got outcome) {
	t.Helper()
	module := guest
	if b.module != nil {
		module = compiled(t, b.module)
	}
	vm, err := module.NewVM(t.Context(), VMConfig{
		Profile: profile, Configuration: []byte(b.vmConfiguration), LogLevel: LogInfo.Always,
		Log: func(level LogLevel, _, message string) { got.say(level.String(), message) },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer vm.Close(t.Context())
	p, err := vm.NewPlugin(t.Context(), PluginConfig{Name: "guest", Configuration: []byte(b.script), FailOpen: b.failOpen})
	if err != nil {
		t.Fatal(err)
	}
	var forwarded *HeaderMap
	var response Response
	for range max(1, b.times) {
		forwarded = NewHeaderMap()
		request := NewHeaderMap(
			append([][2]string{{":method", "GET"}, {":path", "/"}, {":authority", "host"}, {":scheme", "http"}}, b.request...)...,
		)
		response = p.Exchange(request, func(h *HeaderMap) *HeaderMap {
			forwarded = h.Clone()
			return NewHeaderMap(append([][2]string{{":status", "200"}}, b.upstream...)...)
		})
	}
	got.status, got.details, got.body, got.reached = response.status(), response.Details, string(response.Body), response.Forwarded
	got.headers, got.forwarded = response.Headers.Values, forwarded.Values
	got.counted = func(name string) uint64 { n, _ := vm.Metrics().Counter(name); return n }
	return got
}

func (r Response) status() (n int) {
	text, _ := r.Headers.Get(":status")
	fmt.Sscan(text, &n)
	return n
}

// say adds a line, unless it is one of those that every module begins with or
// those about a trap, which are each host's own.
func (o *outcome) say(level, text string) {
	if text == "initialized" || strings.HasPrefix(text, "vm_start: 0 bytes") || level == "critical" {
		return
	}
	if text = contextNumber.ReplaceAllString(text, "$1$2:"); level != "info" {
		text = level + " " + text
	}
	o.said = append(o.said, text)
}

// TestBehaviour runs them all here, those in which releases differ as each.
func TestBehaviour(t *testing.T) {
	guest := compileGuest(t)
	for _, b := range behaviours(t) {
		for _, profile := range []Profile{Envoy133, Envoy139} {
			if b.in == nil && profile == Envoy133 || b.in != nil && b.in(profile) {
				t.Run(fmt.Sprint(b.name, ", ", profile), func(t *testing.T) { b.check(t, b.here(t, guest, profile)) })
			}
		}
	}
}

// trapsForStreams is the body of a function that traps where its second parameter, the
// parent's context, is not 0.
var trapsForStreams = []byte{0x20, 1, 0x04, 0x40, unreachable, 0x0b} // local.get, if, end

// behaviours returns all of them.
func behaviours(t *testing.T) []behaviour {
	some := [][2]string{
		{"x-empty", ""}, {"x-two", "1"}, {"x-two", "2"}, {"Origin", "a"}, {"origin", "b"}, {"Access-Control-Request-Headers", "x"},
		{"access-control-request-headers", "y"},
	}
	all := []behaviour{
		{
			name: "request headers are read by name", request: some,
			script: "request: get request x-none; get request x-empty; get request x-two; get request origin; get request " +
				"access-control-request-headers; get request :path; get request :method; get request :authority; get " +
				"request host; get request :scheme; get request X-Two",
			said: []string{
				`request: get request x-none = 1 untouched "" allocations=0`,
				`request: get request x-empty = 0 address 0, size 0 "" allocations=0`,
				`request: get request x-two = 0 size 1 "1" allocations=1`,
				`request: get request origin = 0 size 3 "a,b" allocations=1`,
				`request: get request access-control-request-headers = 0 size 3 "x,y" allocations=1`,
				`request: get request :path = 0 size 1 "/" allocations=1`,
				`request: get request :method = 0 size 3 "GET" allocations=1`,
				`request: get request :authority = 0 size 4 "host" allocations=1`,
				`request: get request host = 0 size 4 "host" allocations=1`,
				`request: get request :scheme = 0 size 4 "http" allocations=1`,
				`request: get request X-Two = 0 size 1 "1" allocations=1`,
			},
		},
		{
			name: "response headers are read by name",
			upstream: [][2]string{
				{"vary", "a"}, {"Vary", "b"}, {"x-e", ""}, {"access-control-allow-origin", "*"}, {"access-control-allow-origin", "b"},
				{"set-cookie", "a"}, {"set-cookie", "b"},
			},
			script: "response: get response :status; get response vary; get response x-e; get response " +
				"access-control-allow-origin; get response set-cookie",
			said: []string{
				`response: get response :status = 0 size 3 "200" allocations=1`,
				`response: get response vary = 0 size 3 "a,b" allocations=1`,
				`response: get response x-e = 0 address 0, size 0 "" allocations=0`,
				`response: get response access-control-allow-origin = 0 size 3 "*,b" allocations=1`,
				`response: get response set-cookie = 0 size 1 "a" allocations=1`,
			},
		},
		{
			name: "each map belongs to its callback",
			script: "configure: get request :path; get response :status\n" +
				"request: get response vary; add response x 1; replace response x 1; remove response x; pairs response\n" +
				"response: get request :path; add request x 1; replace request x 1; remove request x; pairs request",
			said: []string{
				`configure: get request :path = 2 untouched "" allocations=0`, `configure: get response :status = 2 untouched "" allocations=0`,
				`request: get response vary = 2 untouched "" allocations=0`, "request: add response x 1 = 2", "request: replace response x 1 = 2",
				"request: remove response x = 2", `request: pairs response = 0 ""`,
				`response: get request :path = 2 untouched "" allocations=0`, "response: add request x 1 = 2", "response: replace request x 1 = 2",
				"response: remove request x = 2", `response: pairs request = 0 ""`,
			},
		},
		{
			name: "memory that the module does not give", request: some,
			script: "request: getfail request x-two",
			said:   []string{"request: getfail request x-two = 6 untouched"},
		},
		{
			name: "request headers are written", request: some,
			script: `request: add request x-a 1; add request x-a 2; add request X-Upper 1; replace request x-two 3; replace ` +
				`request x-new 1; remove request Origin; remove request x-none; add request access-control-request-headers z; add request x-empty ""`,
			said: []string{
				"request: add request x-a 1 = 0", "request: add request x-a 2 = 0", "request: add request X-Upper 1 = 0",
				"request: replace request x-two 3 = 0", "request: replace request x-new 1 = 0",
				"request: remove request Origin = 0", "request: remove request x-none = 0",
				"request: add request access-control-request-headers z = 0", `request: add request x-empty "" = 0`,
			},
			forwarded: map[string]string{
				"x-a":     "1 | 2",
				"x-upper": "1",
				"x-two":   "3",
				"x-new":   "1",
				"origin":  absent, "access-control-request-headers": "x,y,z",
				"x-empty": " | ",
			},
		},
		{
			name: "response headers are written",
			upstream: [][2]string{
				{"vary", "accept"}, {"gone", "1"}, {"gone", "2"}, {"x-b", "0"}, {"x-c", "0"}, {"x-c", "1"}, {"access-control-allow-origin", "*"},
				{"access-control-max-age", ""},
			},
			script: "response: add response vary origin; add response x-b 1; replace response x-c 2; add response x-c 3; " +
				"remove response gone; remove response none; replace response access-control-allow-origin a; add " +
				"response access-control-max-age 1; replace response access-control-allow-credentials true",
			said: []string{
				"response: add response vary origin = 0", "response: add response x-b 1 = 0", "response: replace response x-c 2 = 0",
				"response: add response x-c 3 = 0", "response: remove response gone = 0", "response: remove response none = 0",
				"response: replace response access-control-allow-origin a = 0", "response: add response access-control-max-age 1 = 0",
				"response: replace response access-control-allow-credentials true = 0",
			},
			headers: map[string]string{
				"vary": "accept,origin",
				"x-b":  "0 | 1",
				"x-c":  "2 | 3",
				"gone": absent, "access-control-allow-origin": "a",
				"access-control-max-age": "1", "access-control-allow-credentials": "true",
			},
		},
		{
			name: "a reply runs through the sender's own callback, without a body and what goes with one",
			script: "request: reply 403 exact x-a=1 x-b= vary=a vary=b; pause\n" +
				"response: get response :status; get response x-a; get response content-type; get response " +
				"content-length; get response vary; add response from callback; replace response x-a 2",
			said: []string{
				"request: reply 403 exact x-a=1 x-b= vary=a vary=b = 0",
				`response: get response :status = 0 size 3 "403" allocations=1`, `response: get response x-a = 0 size 1 "1" allocations=1`,
				`response: get response content-type = 1 untouched "" allocations=0`,
				`response: get response content-length = 1 untouched "" allocations=0`,
				`response: get response vary = 0 size 3 "a,b" allocations=1`, "response: add response from callback = 0",
				"response: replace response x-a 2 = 0",
			},
			status: 403, details: "some_details",
			headers: map[string]string{"x-a": "2", "x-b": "", "from": "callback", "content-type": absent, "vary": "a,b"},
		},
		{
			name:   "a reply ends the request, whatever the callback answers",
			script: "request: reply 403 exact x-a=1", said: []string{"request: reply 403 exact x-a=1 = 0"},
			status: 403, details: "some_details", headers: map[string]string{"x-a": "1"},
		},
		{
			name:   "of two replies the first counts",
			script: "request: reply 403 exact x-a=1; reply 404 exact x-a=2; pause",
			said:   []string{"request: reply 403 exact x-a=1 = 0", "request: reply 404 exact x-a=2 = 0"},
			status: 403, details: "some_details", headers: map[string]string{"x-a": "1"},
		},
		{
			name:   "a reply to a response",
			script: "response: reply 403 exact x-a=1; pause", said: []string{"response: reply 403 exact x-a=1 = 0"},
			upstream: [][2]string{{"x-b", "1"}},
			reaches:  true, status: 403, details: "some_details", headers: map[string]string{"x-a": "1", "x-b": absent},
		},
		{
			name:            "the configuration of the VM, and of the plugin",
			script:          "configure: buffer 7 0 9; buffer 7 5 4; buffer 7 100000 1; buffer 6 0 9\nrequest: buffer 7 0 9; buffer 6 0 9",
			vmConfiguration: "vm text",
			said: []string{
				"vm_start: 7 bytes, vm text",
				`configure: buffer 7 0 9 = 0 "configure"`, `configure: buffer 7 5 4 = 0 "gure"`, `configure: buffer 7 100000 1 = 0 ""`,
				`configure: buffer 6 0 9 = 0 "vm text"`,
				`request: buffer 7 0 9 = 1 ""`, `request: buffer 6 0 9 = 0 "vm text"`,
			},
		},
		{name: "no configuration", said: []string{"configure: nothing, address 0, size 0"}},
		{
			name:   "what is logged, and what is not",
			script: "request: level; say 1 quiet; say 3 loud; say 4 wrong; say 9 x; print line; print \"\"; print two_words",
			said: []string{
				"request: level = 0 2",
				"request: say 1 quiet = 0", "warning loud",
				"request: say 3 loud = 0", "error wrong",
				"request: say 4 wrong = 0",
				"request: say 9 x = 2", "line",
				"request: print line = 0", "",
				`request: print "" = 0`, "two words",
				"request: print two_words = 0",
			},
		},
		{
			name: "counters",
			script: "configure: define 0 behaviour.c; define 0 behaviour.c; define 3 behaviour.x\n" +
				"request: increment behaviour.c 2; increment behaviour.c 0; increment behaviour.c -1; increment unknown 1",
			said: []string{
				"configure: define 0 behaviour.c = 0", "configure: define 0 behaviour.c = 0 again=false", "configure: define 3 behaviour.x = 2",
				"request: increment behaviour.c 2 = 0", "request: increment behaviour.c 0 = 2", "request: increment behaviour.c -1 = 2",
				"request: increment unknown 1 = 1",
			},
			counted: map[string]uint64{"behaviour.c": 2},
		},
		{
			name: "the end of a stream",
			script: "request: level\nresponse: level\ndone: get request :path; get response :status\n" +
				"log: get request :path; get response :status\n" +
				"delete: get request :path; get response :status",
			said: []string{
				"request: level = 0 2", "response: level = 0 2",
				`log: get request :path = 0 size 1 "/" allocations=1`, `log: get response :status = 0 size 3 "200" allocations=1`,
				`done: get request :path = 2 untouched "" allocations=0`, `done: get response :status = 2 untouched "" allocations=0`,
				`delete: get request :path = 2 untouched "" allocations=0`, `delete: get response :status = 2 untouched "" allocations=0`,
			},
		},
		{
			name:   "proc_exit stops nothing",
			script: "request: exit; level", said: []string{"request: exit = 0", "request: level = 0 2"},
		},
		{name: "no callback at all", module: loadable()},
		{
			name:    "a trap",
			module:  loadable().give("proxy_on_request_headers", "iii", "i", unreachable),
			times:   2,
			status:  503,
			details: detailsFailed,
		},
		{
			name:     "a trap, failing open",
			module:   loadable().give("proxy_on_request_headers", "iii", "i", unreachable),
			failOpen: true,
			status:   503,
			details:  detailsFailed,
		},
		{
			name:     "after a trap, failing open",
			module:   loadable().give("proxy_on_request_headers", "iii", "i", unreachable),
			failOpen: true,
			times:    2,
		},
		{
			name:    "a trap where a context is made",
			module:  loadable().give("proxy_on_context_create", "ii", "", unreachable),
			times:   2,
			status:  503,
			details: detailsFailed,
		},
		{
			name:     "a trap where a context is made, failing open",
			module:   loadable().give("proxy_on_context_create", "ii", "", unreachable),
			failOpen: true,
			times:    2,
		},
		{
			name:    "a trap in the response",
			module:  loadable().give("proxy_on_response_headers", "iii", "i", unreachable),
			reaches: true,
			status:  503,
			details: detailsFailed,
		},
		{
			name:     "a trap in the response, failing open",
			module:   loadable().give("proxy_on_response_headers", "iii", "i", unreachable),
			failOpen: true,
			reaches:  true,
			status:   503,
			details:  detailsFailed,
		},
		{
			name:     "after a trap in the response, failing open",
			module:   loadable().give("proxy_on_response_headers", "iii", "i", unreachable),
			failOpen: true,
			times:    2,
		},
		{
			name:    "a trap where a stream is made",
			module:  loadable().give("proxy_on_context_create", "ii", "", trapsForStreams...),
			status:  503,
			details: detailsFailed,
		},
		{
			name:     "a trap where a stream is made, failing open",
			module:   loadable().give("proxy_on_context_create", "ii", "", trapsForStreams...),
			failOpen: true,
			status:   503,
			details:  detailsFailed,
		},
	}
	for kind, what := range map[string]string{
		"long":    "a byte too long",
		"short":   "a byte too short",
		"many":    "of 1,025 entries",
		"huge":    "larger than 1 MiB",
		"counted": "with a count that does not fit",
	} {
		all = append(all, behaviour{
			name:   "the headers of a reply are a buffer " + what,
			script: "request: reply 403 " + kind + " x-a=1; pause\nresponse: add response from callback",
			said:   []string{"request: reply 403 " + kind + " x-a=1 = 0", "response: add response from callback = 0"},
			status: 403, details: "some_details", headers: map[string]string{"x-a": absent, "x-1": absent, "x-huge": absent, "from": "callback"},
		})
	}
	for what, kind := range map[string]kind{"request": requests, "response": responses} {
		var b behaviour
		b.name = "headers that are joined, in a " + what
		b.script = what + ": get " + what + " none"
		b.said = []string{what + ": get " + what + ` none = 1 untouched "" allocations=0`}
		for _, name := range slices.Concat(
			slices.Sorted(maps.Keys(inline)),
			[]string{"x-a", "cookie", "set-cookie", "timing-allow-origin", "sec-fetch-site", "www-authenticate"},
		) {
			if strings.HasPrefix(name, ":") || name == "x-forwarded-proto" {
				continue // without them there is no route
			}
			b.script += fmt.Sprintf("; remove %[1]s %[2]s; add %[1]s %[2]s 1; add %[1]s %[2]s 2; get %[1]s %[2]s; remove %[1]s %[2]s", what, name)
			got := `size 1 "1"`
			if inline[name]&kind != 0 {
				got = `size 3 "1,2"`
			}
			for _, call := range []string{
				"remove %s %s = 0", "add %s %s 1 = 0", "add %s %s 2 = 0", "get %s %s = 0 " + got + " allocations=1", "remove %s %s = 0",
			} {
				b.said = append(b.said, what+": "+fmt.Sprintf(call, what, name))
			}
		}
		all = append(all, b)
	}
	return slices.Concat(all, replies(), allocations(), wasi(), allocating(t))
}

// answering is a module that replies to a request with 400 and what a function of the
// host answers; details are "answer". Where cell is not 0, what stands there is added.
func answering(module, name, params string, arguments []byte, cell int) *wasm {
	m := &wasm{}
	f := m.use(module, name, params, "i")
	reply := m.use("env", "proxy_send_local_response", "iiiiiiii", "i")
	m.bytesAt(100, []byte("answer"))
	more := put(0)
	if cell != 0 {
		more = load(cell)
	}
	const add = 0x6a
	return m.give("proxy_on_request_headers", "iii", "i", code(
		arguments, invoke(f), more, []byte{add}, put(400), []byte{add},
		put(100), put(6), put(0), put(0), put(0), put(0), put(-1), invoke(reply), []byte{drop}, put(1))...)
}

// replies with bodies, and over replies.
func replies() (all []behaviour) {
	sending := func(again bool) *wasm {
		m := &wasm{}
		reply := m.use("env", "proxy_send_local_response", "iiiiiiii", "i")
		get := m.use("env", "proxy_get_header_map_value", "iiiii", "i")
		log := m.use("env", "proxy_log", "iii", "i")
		send := func(status int) []byte {
			return code(put(status), put(100), put(7), put(110), put(4), put(0), put(0), put(-1), invoke(reply), []byte{drop})
		}
		m.base(1024)
		m.bytesAt(100, []byte("details...body"))
		m.bytesAt(120, []byte("content-typecontent-length"))
		m.give("proxy_on_request_headers", "iii", "i", code(send(418), put(1))...)
		say := func(name, size int) []byte {
			return code(
				put(2), put(name), put(size), put(8), put(12), invoke(get), []byte{drop}, put(int(LogInfo)), load(8), load(12), invoke(log),
				[]byte{drop},
			)
		}
		answer := code(say(120, 12), say(132, 14), put(0))
		if again {
			answer = code(send(500), put(1))
		}
		m.give("proxy_on_response_headers", "iii", "i", answer...)
		return m
	}
	return []behaviour{
		{
			name: "a reply with a body has what goes with one, in the callback already", module: sending(false), said: []string{"text/plain", "4"},
			status: 418, details: "details", body: "body", headers: map[string]string{"content-type": "text/plain", "content-length": "4"},
		},
		{name: "a reply to one's own reply", module: sending(true), status: 500, details: "details", body: "body"},
	}
}

// allocations give out memory, some of which is none: a reply says what reading a
// header answers, and that the cell for the value's size is 3 where it is written.
func allocations() (all []behaviour) {
	for _, c := range []struct {
		name, export string
		body         []byte
		status       int
	}{
		{"no memory", "malloc", put(0), 406},
		{"memory behind the end", "malloc", put(1 << 20), 406},
		{"the last bytes, too few", "malloc", put(1<<16 - 2), 406},
		{"the last bytes, just right", "malloc", put(1<<16 - 3), 403},
		{"memory by proxy_on_memory_allocate", "proxy_on_memory_allocate", put(1024), 403},
	} {
		m := answering("env", "proxy_get_header_map_value", "iiiii", code(put(0), put(32), put(7), put(8), put(12)), 12)
		m.bytesAt(32, []byte(":method")) // GET
		all = append(
			all,
			behaviour{
				name:    c.name,
				module:  m.give("proxy_abi_version_0_2_1", "", "").give(c.export, "i", "i", c.body...),
				status:  c.status,
				details: "answer",
			},
		)
	}
	both := answering("env", "proxy_get_header_map_value", "iiiii", code(put(0), put(32), put(7), put(8), put(12)), 12)
	both.bytesAt(32, []byte(":method"))
	both.give("proxy_abi_version_0_2_1", "", "").give("proxy_on_memory_allocate", "i", "i", unreachable).give("malloc", "i", "i", put(1024)...)
	return append(all, behaviour{name: "malloc is preferred", module: both, status: 403, details: "answer"})
}

// wasi are the functions of WASI in which Envoy is not like others.
func wasi() (all []behaviour) {
	before := func(p Profile) bool { return p == Envoy133 }
	since := func(p Profile) bool { return p == Envoy139 }
	for _, c := range []struct {
		name, params string
		arguments    []byte
		in           func(Profile) bool
		answer       int
	}{
		// Nothing happens, and before 1.39 that is an error. There were 7 events.
		{"poll_oneoff", "iiii", code(put(0), put(0), put(1), put(2048)), before, 52 + 7},
		{"poll_oneoff", "iiii", code(put(0), put(0), put(1), put(2048)), since, 0},
		{"poll_oneoff", "iiii", code(put(0), put(0), put(1), put(-4)), since, 21 + 7},
		{"sched_yield", "", nil, nil, 7},
		{"fd_close", "i", put(1), nil, 7},
		{"fd_read", "iiii", code(put(0), put(0), put(0), put(8)), nil, 52 + 7},
		{"path_open", "iiiiiIIii", code(put(3), put(0), put(0), put(0), put(0), []byte{0x42, 0, 0x42, 0}, put(0), put(8)), nil, 44 + 7},
		{"fd_fdstat_set_flags", "ii", code(put(1), put(0)), nil, 52 + 7},
		{"fd_prestat_dir_name", "iii", code(put(3), put(0), put(0)), nil, 52 + 7},
		{"fd_seek", "iIii", code(put(1), []byte{0x42, 0}, put(0), put(8)), nil, 7},
		{"fd_prestat_get", "ii", code(put(3), put(8)), nil, 8 + 7},
		{"fd_write", "iiii", code(put(3), put(0), put(0), put(8)), nil, 8 + 7},
		{"fd_write", "iiii", code(put(1), put(-8), put(1), put(8)), nil, 21 + 7},
		{"random_get", "ii", code(put(8), put(4)), nil, 7},
		{"clock_time_get", "iIi", code(put(0), []byte{0x42, 1}, put(8)), nil, 7},
	} {
		m := answering(wasi_snapshot_preview1.ModuleName, c.name, c.params, c.arguments, 2048)
		m.bytesAt(2048, []byte{7, 0, 0, 0})
		all = append(
			all,
			behaviour{
				name:    fmt.Sprintf("%s answers %d", c.name, c.answer),
				module:  m.base(1024),
				in:      c.in,
				status:  400 + c.answer,
				details: "answer",
			},
		)
	}
	return all
}

// allocating calls each function where the guest may call few: while it allocates.
func allocating(t *testing.T) (all []behaviour) {
	trapping := &wasm{}
	get := trapping.use("env", "proxy_get_header_map_value", "iiiii", "i")
	trapping.bytesAt(32, []byte(":path"))
	trapping.give("proxy_abi_version_0_2_1", "", "").give("malloc", "i", "i", unreachable)
	trapping.give("proxy_on_request_headers", "iii", "i", code(put(0), put(32), put(5), put(8), put(12), invoke(get), []byte{drop}, put(0))...)
	all = append(all, behaviour{name: "a trap while memory is allocated", module: trapping, status: 503, details: detailsFailed})
	for module, named := range functions(t) {
		for name, params := range named {
			m := &wasm{}
			results := "i"
			if name == "proc_exit" {
				results = ""
			}
			f := m.use(module, name, params, results)
			get := m.use("env", "proxy_get_header_map_value", "iiiii", "i")
			m.bytesAt(32, []byte(":path"))
			m.give("proxy_abi_version_0_2_1", "", "").give("malloc", "i", "i", code(zeros(f, params, results != ""), put(1024))...)
			m.give("proxy_on_request_headers", "iii", "i", code(put(0), put(32), put(5), put(8), put(12), invoke(get), []byte{drop}, put(0))...)
			b := behaviour{name: name + " is called while memory is allocated", module: m}
			there := provided[name]
			b.in = func(p Profile) bool { return module == "env" || p >= there }
			switch name {
			case "poll_oneoff":
				before := b
				before.in, before.status, before.details = func(p Profile) bool { return p < Envoy139 }, 503, detailsFailed
				all = append(all, before)
				b.in = func(p Profile) bool { return p >= Envoy139 }
			case "proxy_log", "fd_write", "clock_time_get":
			default:
				b.status, b.details = 503, detailsFailed
			}
			all = append(all, b)
		}
	}
	return all
}
