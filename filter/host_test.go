package filter

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/types"
)

// fakeHost is a proxy in memory that does what Envoy does as far as the filter
// can tell: it records every call, and runs a reply through the response
// callback at once.
type fakeHost struct {
	configuration string
	configErr     error
	level         LogLevel
	replyErr      error
	noResponse    bool   // there is no map of response headers
	panicIn       string // the method that panics

	request  map[string]string
	response []Header
	stream   types.HttpContext

	quiet    bool // record nothing, so that nothing is allocated
	calls    []string
	logs     []string
	names    []string // of counters, by number
	counted  []int
	replies  int
	status   uint32
	details  string
	replied  []Header // as handed over
	reread   []Header // after the response callback went over them
	metricAt int      // definitions after which DefineCounter fails; 0: never
}

func (h *fakeHost) call(method string, arguments ...string) {
	if !h.quiet {
		h.calls = append(h.calls, strings.TrimSpace(method+" "+strings.Join(arguments, " ")))
	}
	if h.panicIn == method {
		panic("broken " + method)
	}
}

func (h *fakeHost) RequestHeader(name string) string {
	if h.quiet {
		return h.request[name]
	}
	h.call("RequestHeader", name)
	return strings.Clone(h.request[name])
}

func (h *fakeHost) RequestHeaders(v HeaderVisitor) bool {
	if !h.quiet {
		h.call("RequestHeaders")
	}
	for name, value := range h.request {
		v.VisitHeader(name, value)
	}
	return true
}

func (h *fakeHost) ResponseHeaders(v HeaderVisitor) bool {
	h.call("ResponseHeaders")
	if h.noResponse {
		return false
	}
	for _, e := range h.response {
		v.VisitHeader(e.Name, e.Value)
	}
	return true
}

func (h *fakeHost) ReplaceResponseHeader(name, value string) {
	if h.quiet {
		at := slices.IndexFunc(h.response, func(e Header) bool { return e.Name == name })
		if at >= 0 {
			h.response[at].Value = value
		} else {
			h.response = append(h.response, Header{name, value})
		}
		return
	}
	h.call("ReplaceResponseHeader", name, value)
	h.remove(name)
	h.response = append(h.response, Header{name, value})
}

func (h *fakeHost) AddResponseHeader(name, value string) {
	if !h.quiet {
		h.call("AddResponseHeader", name, value)
	}
	h.response = append(h.response, Header{name, value})
}

func (h *fakeHost) RemoveResponseHeader(name string) {
	if !h.quiet {
		h.call("RemoveResponseHeader", name)
	}
	h.remove(name)
}

func (h *fakeHost) remove(name string) {
	h.response = slices.DeleteFunc(h.response, func(e Header) bool { return e.Name == name })
}

func (h *fakeHost) SendReply(status uint32, details string, headers []Header) error {
	h.replies++
	if h.quiet {
		h.response = append(h.response[:0], headers...)
		h.stream.OnHttpResponseHeaders(len(headers), true)
		return nil
	}
	h.call("SendReply", fmt.Sprint(status), details)
	if h.replyErr != nil {
		return h.replyErr
	}
	h.status, h.details = status, details
	for _, e := range headers {
		h.replied = append(h.replied, Header{strings.Clone(e.Name), strings.Clone(e.Value)})
	}
	h.response = slices.Clone(h.replied)
	h.stream.OnHttpResponseHeaders(len(headers), true)
	h.reread = slices.Clone(h.response)
	return nil
}

func (h *fakeHost) Configuration() ([]byte, error) {
	h.call("Configuration")
	return []byte(h.configuration), h.configErr
}

func (h *fakeHost) DefineCounter(name string) (uint32, error) {
	h.call("DefineCounter")
	if h.metricAt > 0 && len(h.names) == h.metricAt {
		return 0, fmt.Errorf("no room")
	}
	h.names, h.counted = append(h.names, name), append(h.counted, 0)
	return uint32(len(h.names) - 1), nil
}

func (h *fakeHost) Increment(id uint32) {
	h.call("Increment")
	h.counted[id]++
}

func (h *fakeHost) LogLevel() LogLevel {
	h.call("LogLevel")
	return h.level
}

func (h *fakeHost) Log(level LogLevel, message string) {
	if h.quiet {
		return
	}
	h.logs = append(h.logs, fmt.Sprintf("%d %s", level, message))
	h.call("Log")
}

// counts are the counters that are not 0, as "name=1 name=2".
func (h *fakeHost) counts() string {
	var list []string
	for i, n := range h.counted {
		if n > 0 {
			list = append(list, fmt.Sprintf("%s=%d", h.names[i], n))
		}
	}
	slices.Sort(list)
	return strings.Join(list, " ")
}

// headers are entries as lines, for comparison.
func headers(entries []Header) string {
	var s strings.Builder
	for _, e := range entries {
		fmt.Fprintf(&s, "%s: %s\n", e.Name, e.Value)
	}
	return s.String()
}

// start runs a plugin on the host and forgets the calls up to there.
func start(t testing.TB, configuration string, h *fakeHost) *pluginContext {
	t.Helper()
	if h.level == 0 {
		h.level = LogInfo
	}
	h.configuration = configuration
	plugin := New(h).NewPluginContext(1)
	if status := plugin.OnPluginStart(len(configuration)); status != types.OnPluginStartStatusOK {
		t.Fatalf("the plugin does not start: %q", h.logs)
	}
	h.calls, h.logs = nil, nil
	return plugin.(*pluginContext)
}

// exchange is what became of one stream.
type exchange struct {
	action   types.Action
	response string // as the client gets it
}

// serve runs one stream: the request, then the response of upstream unless the
// filter replied.
func serve(c *pluginContext, h *fakeHost, request map[string]string, upstream ...Header) exchange {
	h.request, h.response = request, nil
	h.stream = c.NewHttpContext(2)
	before := h.replies
	e := exchange{action: h.stream.OnHttpRequestHeaders(len(request), true)}
	h.request = nil // Envoy has no request headers in the response callback
	if h.replies == before || h.replyErr != nil || h.panicIn == "SendReply" {
		h.response = slices.Clone(upstream)
		h.stream.OnHttpResponseHeaders(len(upstream), true)
	}
	e.response = headers(h.response)
	h.stream.OnHttpStreamDone()
	return e
}
