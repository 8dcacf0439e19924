package filter

import (
	"github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/types"

	"corsfilter/config"
	"corsfilter/internal/origin"
)

// stream is the life of one HTTP stream. Streams are recycled, so that none
// leaves garbage behind.
type stream struct {
	types.DefaultHttpContext
	plugin *pluginContext

	// policy is nil where the filter leaves the stream alone.
	policy   *config.Policy
	decision Decision
	phase    phase
	upstream upstreamHeaders

	// The Origin must outlive the request callback; the host's memory does not.
	origin [origin.MaxLen]byte
}

// phase is how far a stream has come.
type phase uint8

const (
	fresh   phase = iota // no callback yet
	decided              // the request was forwarded
	replied              // the request was answered here
	broken               // a callback panicked
)

// OnHttpRequestHeaders decides about the request, and answers it where the
// decision says so.
func (s *stream) OnHttpRequestHeaders(int, bool) (action types.Action) {
	defer s.rescue("proxy_on_request_headers")
	s.plugin.refreshLogLevel()
	in := &s.plugin.incoming
	*in = incoming{}
	if s.policy = s.selectPolicy(in); s.policy == nil {
		return types.ActionContinue
	}
	s.phase = decided
	in.begin(s.plugin.host)
	r := in.request()
	s.decision = Decide(s.policy, &r)
	if s.decision.Action == Reject && s.sameOrigin(in) {
		r.SameOrigin = true
		s.decision = Decide(s.policy, &r)
	}
	s.plugin.observe(s.policy, &r, &s.decision)
	if s.policy.Mode == config.Shadow {
		s.policy = nil
		return types.ActionContinue
	}
	if s.decision.Action == Forward {
		s.keepOrigin()
		return types.ActionContinue
	}
	status, details, headers := s.plugin.buildReply(s.policy, &r, &s.decision)
	// Before the call, since a host may run the reply through the response
	// callback at once.
	s.phase = replied
	if err := s.plugin.host.SendReply(status, details, headers); err != nil {
		s.phase = decided
		s.keepOrigin()
		s.plugin.host.Log(LogError, "the proxy took no reply: "+err.Error())
		return types.ActionContinue
	}
	return types.ActionPause
}

// selectPolicy returns nil where the filter has nothing to do. The host and the
// path are read only where rules ask for them, and then the rest comes along.
func (s *stream) selectPolicy(in *incoming) *config.Policy {
	plugin := s.plugin.config
	policy := plugin.Default
	if plugin.HasRules() {
		in.all(s.plugin.host)
		policy, _ = plugin.Select(in.authority, in.path)
	}
	if policy == nil || policy.Mode == config.Off {
		return nil
	}
	return policy
}

// sameOrigin reports whether the request comes from a page of its own origin:
// browsers send Origin with those, too, when the method is not GET or HEAD
// (Fetch, section 3.1).
func (s *stream) sameOrigin(in *incoming) bool {
	in.all(s.plugin.host)
	if in.fetchSite == "same-origin" {
		return true
	}
	var buf origin.Buffer
	o, ok := origin.Parse(in.origin, &buf)
	if !ok {
		return false
	}
	scheme := in.forwardedProto
	if scheme == "" {
		scheme = in.scheme
	}
	switch scheme {
	case "ws":
		scheme = "http"
	case "wss":
		scheme = "https"
	}
	return o.Is(scheme, in.authority)
}

// keepOrigin moves the strings of the decision that are the request's Origin
// into the stream's own memory. An allowed Origin fits: longer ones match
// nothing.
func (s *stream) keepOrigin() {
	d := &s.decision
	if d.AllowOrigin != "" && d.AllowOrigin != "*" {
		d.AllowOrigin = s.keep(d.AllowOrigin)
	}
	if d.TimingAllowOrigin != "" && d.TimingAllowOrigin != "*" {
		d.TimingAllowOrigin = s.keep(d.TimingAllowOrigin)
	}
	d.Culprit, d.AllowMethods, d.AllowHeaders = "", "", ""
}

func (s *stream) keep(value string) string {
	return bytesAsString(s.origin[:copy(s.origin[:], value)])
}

// OnHttpResponseHeaders stamps the decision on the response, whoever made it:
// upstream, the proxy itself or a filter behind this one.
func (s *stream) OnHttpResponseHeaders(int, bool) (action types.Action) {
	defer s.rescue("proxy_on_response_headers")
	if s.phase == fresh {
		s.adoptOrphan()
	}
	if s.policy == nil || s.phase == replied {
		return types.ActionContinue
	}
	s.stamp()
	return types.ActionContinue
}

// adoptOrphan deals with a response whose request never came by: a filter in
// front of this one answered it. Its request headers can not be read any more.
// Without rules the policy is known all the same, and the response is treated
// like one to a request without an Origin; with rules it is left alone.
func (s *stream) adoptOrphan() {
	s.phase = decided
	p := s.plugin.config.Default
	if s.plugin.config.HasRules() || p == nil || p.Mode != config.Enforce {
		return
	}
	s.policy = p
	s.decision = Decide(p, &Request{})
}

// OnHttpStreamDone gives the stream back.
func (s *stream) OnHttpStreamDone() {
	s.policy = nil
	s.decision = Decision{}
	s.phase = fresh
	s.plugin.free = append(s.plugin.free, s)
}

// rescue keeps a bug in this filter from failing the request: the stream goes
// on without CORS headers. Where the policy is known, what upstream would open
// still stays closed.
func (s *stream) rescue(callback string) {
	if p := recover(); p != nil {
		logPanic(s.plugin.host, callback, p)
		if s.phase == broken || s.phase == replied || s.policy != nil && s.policy.Mode == config.Shadow {
			s.policy = nil
			return
		}
		s.phase = broken
		s.decision = Decision{Kind: CrossOrigin, Reason: OriginNotAllowed}
	}
}
