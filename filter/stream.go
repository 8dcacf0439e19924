package filter

import (
	"github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/types"

	"corsfilter/config"
	"corsfilter/internal/header"
	"corsfilter/internal/origin"
)

// Stream handles one HTTP stream: it reads, decides and applies. It keeps only the
// decision. Streams are recycled, so they leave no garbage.
type Stream struct {
	types.DefaultHttpContext
	plugin   *Plugin
	next     *Stream // of those that are over
	decision Decision
	// origin and asked keep the decision's strings after the request callback, because the
	// host's memory does not outlive it. Few streams have an asked.
	origin [origin.MaxLen]byte
	asked  *asked
}

// asked is what a reply may repeat from a preflight, except its Origin. It is large and
// needed only until a stream that is answered at once has ended, so the streams of a VM
// share a few.
type asked struct {
	next *asked // of those that are free
	// A method, a list of header names, the culprit.
	bytes [header.MaxNameLen + header.MaxListLen + maxCulpritLen]byte
}

// callback is one of the two callbacks of a stream that decide and apply.
type callback uint8

const (
	requestHeaders callback = iota
	responseHeaders
)

// callbackNames are the names that a bug is logged with.
var callbackNames = [...]string{"proxy_on_request_headers", "proxy_on_response_headers"}

// OnHttpRequestHeaders implements types.HttpContext.
func (s *Stream) OnHttpRequestHeaders(int, bool) types.Action { return s.guarded(requestHeaders) }

// OnHttpResponseHeaders implements types.HttpContext.
func (s *Stream) OnHttpResponseHeaders(int, bool) types.Action { return s.guarded(responseHeaders) }

// run runs a callback; guarded catches its panics.
func (s *Stream) run(cb callback) types.Action {
	if cb == requestHeaders {
		return s.decideRequest()
	}
	s.editResponse()
	return types.ActionContinue
}

// decideRequest decides about the request, and answers it if the decision says so.
func (s *Stream) decideRequest() types.Action {
	c, d := s.plugin, &s.decision
	if d.Action != Undecided {
		*d = Decision{} // a host that hands over a second request
	}
	p := c.selectPolicy()
	d.Policy = p
	if p == nil || p.Mode == config.Off {
		d.Action = Ignore
		return types.ActionContinue
	}
	if c.readOrigin() {
		return s.decideWithOrigin()
	}
	decideOrigin(p, &c.request, matches{}, d)
	if p.Mode == config.Shadow {
		*d = Decision{Action: Ignore}
	}
	return types.ActionContinue
}

// decideWithOrigin continues for a request with an Origin.
func (s *Stream) decideWithOrigin() types.Action {
	c, d := s.plugin, &s.decision
	c.readRequest(d.Policy)
	cached, known := c.cache.decide(d.Policy, &c.request, d)
	c.observe(&c.request, d)
	if d.Policy.Mode == config.Shadow {
		*d = Decision{Action: Ignore}
		return types.ActionContinue
	}
	s.keep()
	if !d.Replies() {
		return types.ActionContinue
	}
	return s.answer(cached, known)
}

// answer answers the request here.
func (s *Stream) answer(cached *cachedAnswer, known bool) types.Action {
	c, d := s.plugin, &s.decision
	status, details, pairs := c.reply(d, cached, known)
	if err := c.host.SendReply(status, details, pairs); err != nil {
		return s.notAnswered(err)
	}
	return types.ActionPause
}

// notAnswered continues if the proxy refused the reply.
func (s *Stream) notAnswered(err error) types.Action {
	s.decision.Action = Forward
	s.plugin.host.Log(LogError, "the proxy refused the reply: "+err.Error())
	return types.ActionContinue
}

// reply is the decision's reply in the proxy's form.
func (c *Plugin) reply(d *Decision, cached *cachedAnswer, known bool) (status uint32, details string, pairs []byte) {
	if known {
		if pairs := cached.to(d.AllowOrigin); pairs != nil {
			return d.Policy.PreflightStatus, detailsPreflight, pairs
		}
	}
	reply := d.Reply(&c.buffer)
	c.pairs = header.AppendPairs(c.pairs[:0], reply.Headers)
	if cached != nil && d.Reason == Allowed {
		cached.store(d, &c.request, reply.Headers, c.pairs)
	}
	return reply.Status, reply.Details, c.pairs
}

// keep makes the decision outlive the request's strings. A response needs only the Origin,
// and an allowed one always fits, because longer ones match nothing.
func (s *Stream) keep() {
	d := &s.decision
	if d.AllowOrigin != "" && d.AllowOrigin != "*" {
		d.AllowOrigin = s.copy(d.AllowOrigin)
	}
	if d.TimingAllowOrigin != "" && d.TimingAllowOrigin != "*" {
		d.TimingAllowOrigin = s.copy(d.TimingAllowOrigin)
	}
	if p := d.Policy; d.Kind == Preflight && (p.EchoMethod || p.EchoHeaders || p.Debug) {
		s.keepAsked()
	}
}

// keepAsked keeps what a reply repeats. A list that does not fit is not repeated.
func (s *Stream) keepAsked() {
	d, a := &s.decision, s.asked
	if a == nil {
		a = s.plugin.vm.takeAsked()
		s.asked = a
	}
	if len(d.echo) > header.MaxListLen {
		d.echo = ""
	}
	rest := a.bytes[:]
	for i, text := range [...]*string{&d.AllowMethods, &d.echo, &d.Culprit} {
		if i > 0 || d.Policy.EchoMethod { // else it is the policy's
			n := copy(rest, *text)
			*text, rest = header.AsString(rest[:n]), rest[n:]
		}
	}
}

// takeAsked returns a free one.
func (v *VM) takeAsked() *asked {
	a := v.asked
	if a == nil {
		return &asked{}
	}
	v.asked = a.next
	return a
}

// copy only gets the Origin, so two fields can share the place.
func (s *Stream) copy(value string) string {
	return header.AsString(s.origin[:header.Copy(s.origin[:], value)])
}

// editResponse applies the decision to the response, whether it comes from upstream, the
// proxy itself, a filter behind this one, or this filter. Envoy passes this filter's own
// reply through here too, after others have added to it.
func (s *Stream) editResponse() {
	c, d := s.plugin, &s.decision
	if d.Action < Forward {
		return
	}
	// One call reads all headers: reading four by name would cost four calls, and
	// would miss second entries.
	u := &c.upstream
	*u = Upstream{}
	pairs, ok := c.host.ResponseHeaders()
	if !ok {
		return
	}
	u.read(pairs)
	// A list in between would take 0.05 µs if three fields are set.
	changes := d.changes(u, u.vary|c.cache.varies(u.values[varyField]), &c.buffer)
	for rest := changes.all(); rest != 0; rest &= rest - 1 {
		f := rest.first()
		name, value := fieldNames[f], d.value(f, &c.buffer)
		switch changes.op(f) {
		case Remove:
			c.host.RemoveResponseHeader(name)
		case Replace:
			c.host.ReplaceResponseHeader(name, value)
		case Add:
			c.host.AddResponseHeader(name, value)
		}
	}
}

// OnHttpStreamDone recycles the stream.
func (s *Stream) OnHttpStreamDone() {
	s.decision = Decision{}
	c := s.plugin
	if a := s.asked; a != nil {
		a.next, c.vm.asked, s.asked = c.vm.asked, a, nil
	}
	s.plugin, s.next, c.vm.streams = nil, c.vm.streams, s
	c.open--
	if c.deleted || !c.ticking {
		c.leave()
	}
}
