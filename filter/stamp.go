package filter

import (
	"corsfilter/config"
	"corsfilter/internal/header"
)

// upstreamHeaders is what a response brings along.
type upstreamHeaders struct {
	allowOrigin, allowCredentials, exposeHeaders, timing, debug field
	varyOrigin                                                  bool
}

// field is a header as found on a response.
type field struct {
	entries int
	same    bool // the only entry has the value that the decision wants
}

// stamp applies the decision to the response (spec of the plugin, 2.3 and 2.4).
// One call reads all headers: asking for four by name would cost four calls,
// and would miss second entries.
func (s *stream) stamp() {
	p, d := s.policy, &s.decision
	s.upstream = upstreamHeaders{}
	if !s.plugin.host.ResponseHeaders(s) {
		return
	}
	keep := p.Preserve && s.upstream.allowOrigin.entries > 0 || d.Kind == Preflight
	if !keep {
		s.set(header.AllowOrigin, d.AllowOrigin, s.upstream.allowOrigin)
		s.set(header.AllowCredentials, allowCredentials(p, d), s.upstream.allowCredentials)
		s.set(header.ExposeHeaders, exposeHeaders(p, d), s.upstream.exposeHeaders)
	}
	if !p.Timing.Empty() && !(p.Preserve && s.upstream.timing.entries > 0) && d.Kind != Preflight {
		s.set(header.TimingAllowOrigin, d.TimingAllowOrigin, s.upstream.timing)
	}
	if p.VariesByOrigin() && !s.upstream.varyOrigin {
		s.plugin.host.AddResponseHeader(header.Vary, header.Origin)
	}
	if p.Debug {
		s.set(debugHeader, s.plugin.describe(d), s.upstream.debug)
	}
}

// set leaves one entry with the value, or none where the value is "", and calls
// the host only where the response is different.
func (s *stream) set(name, value string, found field) {
	switch {
	case value == "" && found.entries > 0:
		s.plugin.host.RemoveResponseHeader(name)
	case value != "" && !found.same:
		s.plugin.host.ReplaceResponseHeader(name, value)
	}
}

func allowCredentials(p *config.Policy, d *Decision) string {
	if p.Credentials && d.AllowOrigin != "" {
		return "true"
	}
	return ""
}

func exposeHeaders(p *config.Policy, d *Decision) string {
	if d.AllowOrigin == "" {
		return ""
	}
	return p.ExposeHeaders
}

// VisitHeader notes what of a response concerns this filter.
func (s *stream) VisitHeader(name, value string) {
	d, found := &s.decision, &s.upstream
	switch name {
	case header.Vary:
		if header.Contains(value, header.Origin) || header.Contains(value, "*") {
			found.varyOrigin = true
		}
	case header.AllowOrigin:
		found.allowOrigin.note(value, d.AllowOrigin)
	case header.AllowCredentials:
		found.allowCredentials.note(value, allowCredentials(s.policy, d))
	case header.ExposeHeaders:
		found.exposeHeaders.note(value, exposeHeaders(s.policy, d))
	case header.TimingAllowOrigin:
		found.timing.note(value, d.TimingAllowOrigin)
	case debugHeader:
		found.debug.note(value, "")
	}
}

func (f *field) note(value, want string) {
	f.entries++
	f.same = f.entries == 1 && value == want
}
