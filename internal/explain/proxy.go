package explain

import (
	"errors"
	"strconv"
	"strings"

	"github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/types"

	"corsfilter/filter"
	"corsfilter/internal/browser"
)

// proxy runs the filter in memory, with an upstream that answers 200 and sends
// no CORS header of its own.
type proxy struct {
	configuration []byte
	plugin        types.PluginContext
	lastID        uint32
	counters      []string

	request  []browser.Header
	response []browser.Header
	status   int
	details  string
	counted  []string
}

// Exchange is what the filter made of one request.
type Exchange struct {
	Method  string           `json:"method"`
	Request []browser.Header `json:"request"`
	// Forwarded says that upstream was asked.
	Forwarded bool             `json:"forwarded"`
	Status    int              `json:"status"`
	Details   string           `json:"details,omitempty"`
	Response  []browser.Header `json:"response"`
	// Counters are those that the request counted in.
	Counters []string `json:"counters,omitempty"`
}

func newProxy(configuration []byte) (*proxy, error) {
	p := &proxy{configuration: configuration}
	p.plugin = filter.New(p).NewPluginContext(1)
	if p.plugin.OnPluginStart(len(configuration)) != types.OnPluginStartStatusOK {
		return nil, errors.New("the configuration is refused")
	}
	return p, nil
}

func (p *proxy) exchange(request []browser.Header) Exchange {
	p.request, p.response, p.status, p.details, p.counted = request, nil, 0, "", nil
	p.lastID++
	stream := p.plugin.NewHttpContext(p.lastID)
	defer stream.OnHttpStreamDone()
	x := Exchange{Request: request, Method: p.RequestHeader(":method")}
	if stream.OnHttpRequestHeaders(len(request), true) == types.ActionContinue {
		x.Forwarded = true
		p.status = 200
		p.response = []browser.Header{{Name: "content-type", Value: "text/plain"}}
	}
	stream.OnHttpResponseHeaders(len(p.response), true)
	x.Status, x.Details, x.Response, x.Counters = p.status, p.details, p.response, p.counted
	return x
}

// RequestHeader implements filter.Host.
func (p *proxy) RequestHeader(name string) string {
	for _, h := range p.request {
		if strings.EqualFold(h.Name, name) {
			return h.Value
		}
	}
	return ""
}

// RequestHeaders implements filter.Host.
func (p *proxy) RequestHeaders(v filter.HeaderVisitor) bool {
	for _, h := range p.request {
		v.VisitHeader(strings.ToLower(h.Name), h.Value)
	}
	return true
}

// ResponseHeaders implements filter.Host.
func (p *proxy) ResponseHeaders(v filter.HeaderVisitor) bool {
	v.VisitHeader(":status", strconv.Itoa(p.status))
	for _, h := range p.response {
		v.VisitHeader(h.Name, h.Value)
	}
	return true
}

// ReplaceResponseHeader implements filter.Host.
func (p *proxy) ReplaceResponseHeader(name, value string) {
	p.RemoveResponseHeader(name)
	p.AddResponseHeader(name, value)
}

// AddResponseHeader implements filter.Host.
func (p *proxy) AddResponseHeader(name, value string) {
	p.response = append(p.response, browser.Header{Name: name, Value: strings.Clone(value)})
}

// RemoveResponseHeader implements filter.Host.
func (p *proxy) RemoveResponseHeader(name string) {
	var kept []browser.Header
	for _, h := range p.response {
		if h.Name != name {
			kept = append(kept, h)
		}
	}
	p.response = kept
}

// SendReply implements filter.Host.
func (p *proxy) SendReply(status uint32, details string, headers []filter.Header) error {
	p.status, p.details = int(status), details
	for _, h := range headers {
		p.AddResponseHeader(h.Name, h.Value)
	}
	return nil
}

// Configuration implements filter.Host.
func (p *proxy) Configuration() ([]byte, error) { return p.configuration, nil }

// DefineCounter implements filter.Host.
func (p *proxy) DefineCounter(name string) (uint32, error) {
	p.counters = append(p.counters, name)
	return uint32(len(p.counters) - 1), nil
}

// Increment implements filter.Host.
func (p *proxy) Increment(id uint32) { p.counted = append(p.counted, p.counters[id]) }

// LogLevel implements filter.Host.
func (p *proxy) LogLevel() filter.LogLevel { return filter.LogError }

// Log implements filter.Host. What is wrong with the configuration is known
// before the filter sees it.
func (p *proxy) Log(filter.LogLevel, string) {}

// Counters returns the names of the counters that the filter defines for a
// configuration.
func Counters(configuration []byte) ([]string, error) {
	p, err := newProxy(configuration)
	if err != nil {
		return nil, err
	}
	return p.counters, nil
}
