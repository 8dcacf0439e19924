package filter

import (
	"github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/types"

	"corsfilter/config"
	"corsfilter/internal/header"
	"corsfilter/internal/origin"
)

// stream is the life of one HTTP stream: it reads, decides and applies. All that
// it remembers is the decision. Streams are recycled, so that none leaves garbage
// behind.
type stream struct {
	types.DefaultHttpContext
	plugin   *pluginContext
	decision Decision
	// origin is where the decision's own strings are kept past the request
	// callback; the host's memory does not outlive it.
	origin [origin.MaxLen]byte
}

// The callbacks that rescue tells apart.
const (
	requestHeaders  = "proxy_on_request_headers"
	responseHeaders = "proxy_on_response_headers"
)

// OnHttpRequestHeaders decides about the request, and answers it where the
// decision says so.
func (s *stream) OnHttpRequestHeaders(int, bool) (action types.Action) {
	defer s.rescue(requestHeaders)
	c, d := s.plugin, &s.decision
	d.Policy = c.selectPolicy()
	c.readRequest(d.Policy)
	Decide(d.Policy, &c.request, d)
	c.observe(&c.request, d)
	switch {
	case d.Action == Ignore:
		return types.ActionContinue
	case d.Policy.Mode == config.Shadow:
		*d = Decision{Action: Ignore}
		return types.ActionContinue
	case !d.Replies():
		s.keep()
		return types.ActionContinue
	}
	reply := d.Reply(&c.buffer)
	c.replying = true
	err := c.host.SendReply(reply.Status, reply.Details, reply.Headers)
	c.replying = false
	if err != nil {
		d.Action = Forward
		s.keep()
		c.host.Log(LogError, "the proxy took no reply: "+err.Error())
		return types.ActionContinue
	}
	return types.ActionPause
}

// keep makes the decision outlive the request's strings. Of those the response
// needs the Origin alone, and an allowed one fits: longer ones match nothing.
func (s *stream) keep() {
	d := &s.decision
	if d.AllowOrigin != "" && d.AllowOrigin != "*" {
		d.AllowOrigin = s.copy(d.AllowOrigin)
	}
	if d.TimingAllowOrigin != "" && d.TimingAllowOrigin != "*" {
		d.TimingAllowOrigin = s.copy(d.TimingAllowOrigin)
	}
	d.Culprit, d.AllowMethods, d.echo = "", "", ""
}

// copy is given the Origin and nothing else, so that two fields share the place.
func (s *stream) copy(value string) string {
	return header.AsString(s.origin[:copy(s.origin[:], value)])
}

// OnHttpResponseHeaders applies the decision to the response, whoever made it:
// upstream, the proxy itself or a filter behind this one. A reply of our own
// comes by as well, and is complete.
func (s *stream) OnHttpResponseHeaders(int, bool) (action types.Action) {
	defer s.rescue(responseHeaders)
	c, d := s.plugin, &s.decision
	if d.Action == Undecided {
		s.adoptOrphan()
	}
	if d.Action != Forward {
		return types.ActionContinue
	}
	// One call reads all headers: reading four by name would cost four calls, and
	// would miss second entries.
	c.upstream = Upstream{}
	if !c.host.ResponseHeaders(&c.upstream) {
		return types.ActionContinue
	}
	for _, e := range d.Edits(&c.upstream, &c.buffer) {
		switch e.Op {
		case Remove:
			c.host.RemoveResponseHeader(e.Name)
		case Replace:
			c.host.ReplaceResponseHeader(e.Name, e.Value)
		case Add:
			c.host.AddResponseHeader(e.Name, e.Value)
		}
	}
	return types.ActionContinue
}

// adoptOrphan deals with a response whose request never came by: a filter in
// front of this one answered it. Its request headers can not be read any more.
// Without rules the policy is known all the same, and the response is treated
// like one to a request without an Origin; with rules it is left alone.
func (s *stream) adoptOrphan() {
	configuration := s.plugin.config
	s.decision.Action = Ignore
	if p := configuration.Default; !configuration.HasRules() && p != nil && p.Mode == config.Enforce {
		Decide(p, &Request{}, &s.decision)
	}
}

// OnHttpStreamDone gives the stream back.
func (s *stream) OnHttpStreamDone() {
	s.decision = Decision{}
	c := s.plugin
	s.plugin = nil
	c.vm.streams = append(c.vm.streams, s)
	c.open--
	c.leave()
}

// rescue keeps a bug in this filter from failing the request: the stream goes
// on without CORS headers. Where the policy is known, what upstream would open
// still stays closed: a panic over the request leaves that to the response's
// callback, one over the response does it here. After a second panic, and where
// the proxy may have taken a reply, the stream is left alone.
func (s *stream) rescue(callback string) {
	if p := recover(); p != nil {
		c, d := s.plugin, &s.decision
		logPanic(c.host, callback, p)
		if d.Policy == nil || d.Policy.Mode == config.Shadow || d.Reason == Failed || c.replying {
			c.replying = false
			*d = Decision{Action: Ignore}
			return
		}
		responding := callback == responseHeaders && d.Action == Forward && d.Kind != Preflight
		*d = Decision{Policy: d.Policy, Kind: CrossOrigin, Action: Forward, Reason: Failed}
		if responding && !d.Policy.Preserve {
			c.shut()
		}
	}
}

// shut takes CORS headers off a response without looking at it.
func (c *pluginContext) shut() {
	defer func() { _ = recover() }() // the panic may have come from the host
	for _, name := range [...]string{header.AllowOrigin, header.AllowCredentials, header.ExposeHeaders} {
		c.host.RemoveResponseHeader(name)
	}
}
