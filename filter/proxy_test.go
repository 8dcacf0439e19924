//go:build !wasip1

package filter_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/types"

	"corsfilter/filter"
	"corsfilter/internal/header"
	"corsfilter/internal/host"
)

// Host implements filter.Host natively: a proxy in memory that does what Envoy does
// as far as the filter can tell, with the header map of internal/host. It records
// every call, and runs a reply through the response callback at once, unless Late.
type Host struct {
	// What the proxy is like.
	Config     string
	ConfigErr  error
	Variables  map[string]string
	Level      filter.LogLevel
	ReplyErr   error
	NoRequest  bool   // the request headers can be read one by one alone
	NoResponse bool   // there is no map of response headers
	Unjoined   bool   // entries of one name are never joined, as Envoy joins some
	PanicIn    string // the method that panics
	MetricAt   int    // definitions after which DefineCounter fails; 0: never
	NoTicks    bool   // the proxy has none
	Quiet      bool   // record nothing, so that nothing is allocated
	Late       bool   // a reply comes by when the test has it come by
	// Added are headers that the proxy adds to every response of the route: before
	// those of a filter's reply, behind those of upstream.
	Added []filter.Header
	// Behind is what filters behind this one make of its replies.
	Behind func(response []filter.Header) []filter.Header

	// The plugin and the stream in question.
	Plugin   types.PluginContext
	Request  []filter.Header
	Response []filter.Header
	Stream   types.HttpContext

	// What was recorded.
	Calls   []string
	Logs    []string // level and message
	Names   []string // of counters, by number
	counted []int
	Replies int
	Status  uint32
	Details string
	Replied []filter.Header // as handed over
	Reread  []filter.Header // after the response callback went over them

	pairs []byte // a header map, as the filter gets it
}

var _ filter.Host = (*Host)(nil)

func (h *Host) call(method string, arguments ...string) {
	if !h.Quiet {
		h.Calls = append(h.Calls, strings.TrimSpace(method+" "+strings.Join(arguments, " ")))
	}
	if h.PanicIn == method {
		panic("broken " + method)
	}
}

// RequestHeader implements filter.Host.
func (h *Host) RequestHeader(name string) string {
	if !h.Quiet {
		h.call("RequestHeader", name)
	}
	for i := range h.Request {
		if h.Request[i].Name == name {
			return h.Request[i].Value
		}
	}
	return ""
}

// RequestHeaders implements filter.Host.
func (h *Host) RequestHeaders() (pairs []byte, ok bool) {
	if !h.Quiet {
		h.call("RequestHeaders")
	}
	h.pairs = header.AppendPairs(h.pairs[:0], h.Request)
	return h.pairs, !h.NoRequest
}

// ResponseHeaders implements filter.Host.
func (h *Host) ResponseHeaders() (pairs []byte, ok bool) {
	h.call("ResponseHeaders")
	if h.NoResponse {
		return nil, false
	}
	h.pairs = header.AppendPairs(h.pairs[:0], h.Response)
	return h.pairs, true
}

// ReplaceResponseHeader implements filter.Host.
func (h *Host) ReplaceResponseHeader(name, value string) {
	if h.Quiet {
		at := slices.IndexFunc(h.Response, func(e filter.Header) bool { return e.Name == name })
		if at >= 0 {
			h.Response[at].Value = value
		} else {
			h.Response = append(h.Response, filter.Header{Name: name, Value: value})
		}
		return
	}
	h.call("ReplaceResponseHeader", name, value)
	h.remove(name)
	h.Response = append(h.Response, filter.Header{Name: name, Value: value})
}

// AddResponseHeader implements filter.Host.
func (h *Host) AddResponseHeader(name, value string) {
	if h.Quiet {
		h.Response = append(h.Response, filter.Header{Name: name, Value: value})
		return
	}
	h.call("AddResponseHeader", name, value)
	h.Response = append(h.Response, filter.Header{Name: name, Value: value})
	if !h.Unjoined {
		h.Response = Joined(h.Response)
	}
}

// RemoveResponseHeader implements filter.Host.
func (h *Host) RemoveResponseHeader(name string) {
	if !h.Quiet {
		h.call("RemoveResponseHeader", name)
	}
	h.remove(name)
}

func (h *Host) remove(name string) {
	h.Response = slices.DeleteFunc(h.Response, func(e filter.Header) bool { return e.Name == name })
}

// SendReply implements filter.Host.
func (h *Host) SendReply(status uint32, details string, pairs []byte) error {
	h.Replies++
	if h.Quiet {
		h.Stream.OnHttpResponseHeaders(0, true)
		return nil
	}
	h.call("SendReply", fmt.Sprint(status), details)
	if h.ReplyErr != nil {
		return h.ReplyErr
	}
	h.Status, h.Details = status, details
	h.Replied = nil
	for _, e := range header.Entries(pairs) {
		h.Replied = append(h.Replied, filter.Header{Name: e[0], Value: e[1]})
	}
	if h.Late {
		return nil
	}
	h.Response = h.together(h.Added, h.Replied)
	if h.Behind != nil {
		h.Response = h.Behind(h.Response)
	}
	h.Stream.OnHttpResponseHeaders(len(h.Replied), true)
	h.Reread = slices.Clone(h.Response)
	return nil
}

// together are headers of two origins in one map.
func (h *Host) together(first, second []filter.Header) []filter.Header {
	all := cloned(slices.Concat(first, second))
	if len(h.Added) > 0 && !h.Unjoined {
		all = Joined(all)
	}
	return all
}

// Configuration implements filter.Host.
func (h *Host) Configuration() ([]byte, error) {
	h.call("Configuration")
	return []byte(h.Config), h.ConfigErr
}

// Environment implements filter.Host.
func (h *Host) Environment(name string) string {
	h.call("Environment", name)
	return h.Variables[name]
}

// DefineCounter implements filter.Host.
func (h *Host) DefineCounter(name string) (uint32, error) {
	h.call("DefineCounter")
	if h.MetricAt > 0 && len(h.Names) == h.MetricAt {
		return 0, fmt.Errorf("no room")
	}
	h.Names, h.counted = append(h.Names, name), append(h.counted, 0)
	return uint32(len(h.Names) - 1), nil
}

// Increment implements filter.Host.
func (h *Host) Increment(id uint32, by uint64) {
	h.call("Increment")
	h.counted[id] += int(by)
}

// TickEvery implements filter.Host.
func (h *Host) TickEvery(uint32) bool {
	h.call("TickEvery")
	return !h.NoTicks
}

// LogLevel implements filter.Host.
func (h *Host) LogLevel() filter.LogLevel {
	h.call("LogLevel")
	return h.Level
}

// Log implements filter.Host.
func (h *Host) Log(level filter.LogLevel, message string) {
	if h.Quiet {
		return
	}
	h.Logs = append(h.Logs, fmt.Sprintf("%d %s", level, message))
	h.call("Log")
}

// Counted returns the value of each counter that is not 0, after a tick.
func (h *Host) Counted() map[string]int {
	if h.Plugin != nil {
		h.Plugin.OnTick()
	}
	values := map[string]int{}
	for i, n := range h.counted {
		if n > 0 {
			values[h.Names[i]] = n
		}
	}
	return values
}

// Counts is Counted in one line, as "name=1 name=2".
func (h *Host) Counts() string {
	var list []string
	for name, n := range h.Counted() {
		list = append(list, fmt.Sprintf("%s=%d", name, n))
	}
	slices.Sort(list)
	return strings.Join(list, " ")
}

// Joined joins the entries that Envoy joins.
func Joined(entries []filter.Header) []filter.Header {
	joined := host.NewHeaderMap()
	for _, e := range entries {
		joined.Add(e.Name, e.Value)
	}
	list := make([]filter.Header, 0, joined.Len())
	for name, value := range joined.All() {
		list = append(list, filter.Header{Name: name, Value: value})
	}
	return list
}

// cloned copies entries out of memory that the filter uses again.
func cloned(entries []filter.Header) (list []filter.Header) {
	for _, e := range entries {
		list = append(list, filter.Header{Name: strings.Clone(e.Name), Value: strings.Clone(e.Value)})
	}
	return list
}

// Lines are entries as lines, for comparison.
func Lines(entries []filter.Header) string {
	var s strings.Builder
	for _, e := range entries {
		fmt.Fprintf(&s, "%s: %s\n", e.Name, e.Value)
	}
	return s.String()
}

// Start runs a plugin on the host and forgets the calls up to there.
func Start(t testing.TB, configuration string, h *Host) types.PluginContext {
	t.Helper()
	if h.Level == 0 {
		h.Level = filter.LogInfo
	}
	h.Config = configuration
	plugin := filter.New(h).NewPluginContext(1)
	if status := plugin.OnPluginStart(len(configuration)); status != types.OnPluginStartStatusOK {
		t.Fatalf("the plugin does not start: %q", h.Logs)
	}
	h.Calls, h.Logs, h.Plugin = nil, nil, plugin
	return plugin
}

// Headers are those of a request.
type Headers interface {
	Entries() []filter.Header
}

// List are headers in their order.
type List [][2]string

// Entries implements Headers.
func (l List) Entries() (entries []filter.Header) {
	for _, h := range l {
		entries = append(entries, filter.Header{Name: h[0], Value: h[1]})
	}
	return entries
}

// Entries are headers as a Host has them.
type Entries []filter.Header

// Entries implements Headers.
func (e Entries) Entries() []filter.Header { return e }

// Request are headers in no order.
type Request map[string]string

// Entries implements Headers.
func (r Request) Entries() (entries []filter.Header) {
	for name, value := range r {
		entries = append(entries, filter.Header{Name: name, Value: value})
	}
	return entries
}

// Exchange is what became of one stream.
type Exchange struct {
	Action   types.Action
	Response string // the headers that the client gets, as Lines
}

// Serve runs one stream: the request, then the response of upstream unless the
// filter replied.
func Serve(plugin types.PluginContext, h *Host, request Headers, upstream ...filter.Header) Exchange {
	h.Request, h.Response = request.Entries(), nil
	h.Stream = plugin.NewHttpContext(2)
	before := h.Replies
	e := Exchange{Action: h.Stream.OnHttpRequestHeaders(len(h.Request), true)}
	h.Request = nil // Envoy has no request headers in the response callback
	if h.Replies == before || h.ReplyErr != nil || h.PanicIn == "SendReply" {
		h.Response = h.together(upstream, h.Added)
		h.Stream.OnHttpResponseHeaders(len(upstream), true)
	}
	e.Response = Lines(h.Response)
	h.Stream.OnHttpStreamDone()
	return e
}
