// Sdk is the filter as a user of the proxy-wasm SDK would write it: the same
// policy, decision, reply and edits, with the SDK's contexts and its functions for
// headers around them. The benchmarks run it beside the module. It ships nowhere,
// and has neither rules nor a recovery from panics.
//
// The SDK is made for TinyGo: by the official compiler it exports nothing. Build
// adds the missing half, bridge/bridge.go, to the SDK's own package.
package main

import (
	"github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm"
	"github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/types"

	"corsfilter/config"
	"corsfilter/filter"
)

func main() {}

func init() { proxywasm.SetVMContext(&vm{}) }

type vm struct{ types.DefaultVMContext }

func (*vm) NewPluginContext(uint32) types.PluginContext { return &plugin{} }

type plugin struct {
	types.DefaultPluginContext
	config   *config.Config
	counters map[string]proxywasm.MetricCounter
	buffer   filter.Buffer
}

func (p *plugin) OnPluginStart(int) types.OnPluginStartStatus {
	data, err := proxywasm.GetPluginConfiguration()
	if err != nil {
		proxywasm.LogError(err.Error())
		return types.OnPluginStartStatusFailed
	}
	if p.config, _, err = config.Parse(data); err != nil {
		proxywasm.LogError(err.Error())
		return types.OnPluginStartStatusFailed
	}
	p.counters = map[string]proxywasm.MetricCounter{}
	for _, name := range filter.Counters(p.config) {
		p.counters[name] = proxywasm.DefineCounterMetric(name)
	}
	return types.OnPluginStartStatusOK
}

func (p *plugin) NewHttpContext(uint32) types.HttpContext { return &stream{plugin: p} }

type stream struct {
	types.DefaultHttpContext
	plugin   *plugin
	decision filter.Decision
}

func (s *stream) OnHttpRequestHeaders(int, bool) types.Action {
	var r filter.Request
	r.Origin = header("origin")
	if r.Origin != "" {
		r.RequestMethod = header("access-control-request-method")
	}
	if r.RequestMethod != "" {
		r.Method, r.RequestHeaders = header(":method"), header("access-control-request-headers")
	}
	d := &s.decision
	filter.Decide(s.plugin.config.Default, &r, d)
	for _, name := range d.CountedIn(s.plugin.config) {
		s.plugin.counters[name].Increment(1)
	}
	if !d.Replies() {
		return types.ActionContinue
	}
	reply := d.Reply(&s.plugin.buffer)
	headers := make([][2]string, len(reply.Headers))
	for i, h := range reply.Headers {
		headers[i] = [2]string{h.Name, h.Value}
	}
	if err := proxywasm.SendHttpResponse(reply.Status, headers, nil, -1); err != nil {
		proxywasm.LogError(err.Error())
		return types.ActionContinue
	}
	return types.ActionPause
}

// header returns a request header, "" where there is none.
func header(name string) string {
	value, err := proxywasm.GetHttpRequestHeader(name)
	if err != nil {
		return ""
	}
	return value
}

func (s *stream) OnHttpResponseHeaders(int, bool) types.Action {
	headers, err := proxywasm.GetHttpResponseHeaders()
	if err != nil {
		proxywasm.LogError(err.Error())
		return types.ActionContinue
	}
	var upstream filter.Upstream
	for _, h := range headers {
		upstream.VisitHeader(h[0], h[1])
	}
	for _, e := range s.decision.Edits(&upstream, &s.plugin.buffer) {
		switch e.Op {
		case filter.Remove:
			err = proxywasm.RemoveHttpResponseHeader(e.Name)
		case filter.Replace:
			err = proxywasm.ReplaceHttpResponseHeader(e.Name, e.Value)
		case filter.Add:
			err = proxywasm.AddHttpResponseHeader(e.Name, e.Value)
		}
		if err != nil {
			proxywasm.LogError(err.Error())
		}
	}
	return types.ActionContinue
}
