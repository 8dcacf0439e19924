package filter

import (
	"corsfilter/config"
	"corsfilter/internal/header"
	"corsfilter/internal/origin"
)

// This file is the CORS protocol of the filter, in the order of the Fetch
// standard: what a request is (3.3.2), whether its origin, method and header
// names are allowed (3.3.3 and 4.8), what is answered, and what is done to the
// response (3.3.3 and 3.3.7). All of it is pure: nothing here calls the proxy.

// Kind is what a request is to the CORS protocol.
type Kind uint8

// A request without an Origin is no CORS request; an OPTIONS request that names
// the method to come is a preflight; every other one with an Origin is
// cross-origin, as far as its headers tell (Fetch, section 3.3.2).
const (
	NotCORS Kind = iota
	Preflight
	CrossOrigin
)

// Action is what becomes of a request.
type Action uint8

// Undecided is the zero Decision: no request has come by. Ignore leaves the
// request and its response alone. Forward lets upstream answer and edits the
// response. Answer is the reply to a preflight of an allowed origin, Deny the 403
// to one of another origin, Reject the 403 to any other request.
const (
	Undecided Action = iota
	Ignore
	Forward
	Answer
	Deny
	Reject
)

// Reason is why a page does not get what it asks for.
type Reason uint8

// Allowed means that nothing stands against it. Failed means that a bug in the
// filter kept it from deciding: nothing is allowed then.
const (
	Allowed Reason = iota
	OriginNotAllowed
	OriginMalformed
	MethodNotAllowed
	HeaderNotAllowed
	Failed
)

// Decision is what a policy makes of a request: all that is answered and stamped
// follows from it. Its strings are those of the policy or of the request.
type Decision struct {
	// Policy is the one that decided; nil where there is none.
	Policy *config.Policy
	Kind   Kind
	Action Action
	Reason Reason
	// SameOrigin says that the request would have been rejected if it did not
	// come from a page of its own origin.
	SameOrigin bool
	// PrivateNetwork says that the answer to a preflight allows requests into a
	// more private network.
	PrivateNetwork bool

	// Values of response fields; "" is not sent.
	AllowOrigin       string
	TimingAllowOrigin string
	// AllowMethods and echo belong to the answer to a preflight. echo is the
	// request's own list of header names, to be sent back normalized.
	AllowMethods string
	echo         string
	// Culprit is the method or header name at fault, as the request wrote it; ""
	// unless Reason names one and it is a token.
	Culprit string

	// place is where the plugin remembers the answer to such a preflight, or is to
	// remember it; answered says that it does.
	place    *answer
	answered bool
}

// Decide applies a policy to a request: the server's side of the CORS protocol
// (Fetch, section 3.3). It writes every field of d, and does not allocate.
func Decide(p *config.Policy, r *Request, d *Decision) {
	*d = Decision{}
	decide(p, r, nil, d)
}

// decide is Decide for a zero Decision, with a memory, which makes it faster and no
// different.
func decide(p *config.Policy, r *Request, m *memory, d *Decision) {
	d.Policy = p
	if p == nil || p.Mode == config.Off {
		d.Action = Ignore
		return
	}
	d.Action = Forward
	if r.Origin != "" {
		decideCORS(p, r, m, d)
		return
	}
	d.AllowOrigin = allowOrigin(p, "", config.NoMatch)
	d.TimingAllowOrigin = timingAllowOrigin(p, "", m)
}

// decideCORS decides about a request that has an Origin.
func decideCORS(p *config.Policy, r *Request, m *memory, d *Decision) {
	d.Kind = kind(r)
	match := m.match(&p.Origins, r.Origin)
	d.AllowOrigin = allowOrigin(p, r.Origin, match)
	switch {
	case d.AllowOrigin != "":
	case match == config.MalformedOrigin:
		d.Reason = OriginMalformed
	default:
		d.Reason = OriginNotAllowed
	}
	if d.Kind == Preflight {
		decidePreflight(p, r, m, d)
		return
	}
	d.TimingAllowOrigin = timingAllowOrigin(p, r.Origin, m)
	if d.Reason != Allowed && p.Reject {
		if d.SameOrigin = sameOrigin(r, m); !d.SameOrigin {
			d.Action = Reject
		}
	}
}

// kind tells requests with an Origin apart (Fetch, section 3.3.2).
func kind(r *Request) Kind {
	if r.RequestMethod != "" && r.Method == "OPTIONS" {
		return Preflight
	}
	return CrossOrigin
}

// sameOrigin reports whether the request is known to come from a page of its own
// origin: browsers send Origin with those as well, when the method is not GET or
// HEAD (Fetch, section 3.1). It is asked where a request would be rejected.
func sameOrigin(r *Request, m *memory) bool {
	scheme := r.scheme()
	switch {
	case r.FetchSite == "same-origin":
		return true
	case m == nil:
		return IsSameOrigin(r.Origin, scheme, r.Authority)
	}
	return isSameOrigin(r.Origin, scheme, r.Authority, &m.buffer)
}

// IsSameOrigin reports whether the value of an Origin field is the origin of
// scheme and authority (HTML, section 7.1.1, "same origin"). A default port may
// be spelled out or not.
func IsSameOrigin(value, scheme, authority string) bool {
	var buf origin.Buffer
	return isSameOrigin(value, scheme, authority, &buf)
}

func isSameOrigin(value, scheme, authority string, buf *origin.Buffer) bool {
	o, ok := origin.Parse(value, buf)
	return ok && o.Is(scheme, authority)
}

// allowOrigin returns the value of Access-Control-Allow-Origin (Fetch, section
// 3.3.3). "*" goes to requests without an Origin and to malformed ones as well,
// so that a cache can serve the response to all.
func allowOrigin(p *config.Policy, origin string, match config.Match) string {
	switch {
	case p.Wildcard():
		return "*"
	case match == config.Matches:
		return origin
	}
	return ""
}

// timingAllowOrigin returns the value of Timing-Allow-Origin (Resource Timing,
// section 3.5.1). Preflights have none: no script sees their response.
func timingAllowOrigin(p *config.Policy, origin string, m *memory) string {
	switch {
	case p.Timing.Any:
		return "*"
	case origin != "" && !p.Timing.Empty() && m.match(&p.Timing, origin) == config.Matches:
		return origin
	}
	return ""
}

// decidePreflight goes on in the order in which the browser will check the
// answer (Fetch, section 4.8, "CORS-preflight fetch", steps 7 on): origin,
// method, header names. The whole lists go out in any case, so that the
// browser's console names what is missing and its cache holds the rest.
func decidePreflight(p *config.Policy, r *Request, m *memory, d *Decision) {
	if d.Reason != Allowed {
		if !p.ForwardUnmatched {
			d.Action = Deny
		}
		return
	}
	d.Action = Answer
	d.AllowMethods = p.AllowMethods
	if p.EchoHeaders {
		d.echo = r.RequestHeaders
	}
	d.PrivateNetwork = p.PrivateNetwork && r.RequestPrivateNetwork == "true"

	// What is remembered was allowed, and its whole answer with it.
	if d.place = m.place(r); d.place.is(p, d.PrivateNetwork, r) {
		if d.answered = true; p.EchoMethod {
			d.AllowMethods = r.RequestMethod
		}
		return
	}

	allowed := p.AllowsMethod(r.RequestMethod)
	if p.EchoMethod {
		d.AllowMethods = ""
		if allowed && header.IsToken(r.RequestMethod) {
			d.AllowMethods = r.RequestMethod
		}
	}
	if !allowed {
		d.Reason = MethodNotAllowed
		d.Culprit = token(r.RequestMethod)
		return
	}
	if len(r.RequestHeaders) > header.MaxListLen {
		d.Reason = HeaderNotAllowed
		return
	}
	for name, rest, ok := header.Next(r.RequestHeaders); ok; name, rest, ok = header.Next(rest) {
		if !p.AllowsHeader(name) {
			d.Reason = HeaderNotAllowed
			d.Culprit = token(name)
			return
		}
	}
}

// maxCulpritLen bounds what a decision quotes of a request, in bytes.
const maxCulpritLen = 64

// token returns s where it can be shown in a header or a log, else "".
func token(s string) string {
	if len(s) > maxCulpritLen || !header.IsToken(s) {
		return ""
	}
	return s
}

// Replies reports whether the request is answered here.
func (d *Decision) Replies() bool { return d.Action >= Answer }

// Reply is an answer given here, without a body.
type Reply struct {
	Status uint32
	// Details shows up as the response code details of the access log.
	Details string
	Headers []Header
}

// Status and response code details of the replies.
const (
	statusForbidden = 403

	detailsPreflight = "cors_preflight"
	detailsDenied    = "cors_origin_denied"
	detailsRejected  = "cors_request_rejected"
)

// debugHeader shows the decision where the policy says debug.
const debugHeader = "x-cors-decision"

// Reply returns what answers the request, where Replies. It is good until b is
// used again, and as long as the request's strings are.
func (d *Decision) Reply(b *Buffer) Reply {
	b.reset()
	reply := Reply{Status: statusForbidden}
	switch d.Action {
	case Answer:
		reply.Status, reply.Details = d.Policy.PreflightStatus, detailsPreflight
		d.answer(b)
	case Deny:
		reply.Details = detailsDenied
	case Reject:
		reply.Details = detailsRejected
	}
	b.header(header.Vary, d.replyVary())
	if d.Policy.Debug {
		b.header(debugHeader, b.text(d.AppendSummary(b.free())))
	}
	reply.Headers = b.headers[:b.n]
	return reply
}

// answer adds the headers of a preflight's answer (Fetch, section 3.3.3).
func (d *Decision) answer(b *Buffer) {
	p := d.Policy
	b.header(header.AllowOrigin, d.AllowOrigin)
	if p.Credentials {
		b.header(header.AllowCredentials, "true")
	}
	b.header(header.AllowMethods, d.AllowMethods)
	if p.EchoHeaders {
		if echo, ok := header.AppendEcho(b.free(), d.echo); ok {
			b.header(header.AllowHeaders, b.text(echo))
		}
	} else {
		b.header(header.AllowHeaders, p.AllowHeaders)
	}
	b.header(header.MaxAge, p.MaxAge)
	if d.PrivateNetwork {
		b.header(header.AllowPrivateNetwork, "true")
	}
}

// Upstream is what a response brings along of the fields that a decision is
// about. The response's entries are visited to fill it.
type Upstream struct {
	AllowOrigin, AllowCredentials, ExposeHeaders, TimingAllowOrigin, Decision Field
	// VariesByOrigin says that Vary names Origin, or is "*".
	VariesByOrigin bool

	found  bool // one of the fields
	memory *memory
}

// Field is a response field as found.
type Field struct {
	Entries int
	Value   string // of the first entry
}

// upstreamNames are the fields that an Upstream takes.
var upstreamNames = header.NamesOf(header.Vary, header.AllowOrigin, header.AllowCredentials, header.ExposeHeaders, header.TimingAllowOrigin, debugHeader)

// read takes what a header map has of the fields.
func (u *Upstream) read(pairs []byte) {
	header.VisitPairs(pairs, &upstreamNames, u)
}

// VisitHeader takes an entry of the response, if it is one of the fields.
func (u *Upstream) VisitHeader(name, value string) {
	if header.Is(name, header.Vary) {
		u.VariesByOrigin = u.VariesByOrigin || u.memory.namesOrigin(value)
		return
	}
	u.visitField(name, value)
}

func (u *Upstream) visitField(name, value string) {
	var field *Field
	switch name {
	case header.AllowOrigin:
		field = &u.AllowOrigin
	case header.AllowCredentials:
		field = &u.AllowCredentials
	case header.ExposeHeaders:
		field = &u.ExposeHeaders
	case header.TimingAllowOrigin:
		field = &u.TimingAllowOrigin
	case debugHeader:
		field = &u.Decision
	default:
		return
	}
	u.found = true
	if field.Entries++; field.Entries == 1 {
		field.Value = value
	}
}

// reset makes it one of a response without any of the fields.
func (u *Upstream) reset() {
	if u.VariesByOrigin = false; u.found {
		*u = Upstream{memory: u.memory}
	}
}

// Op is what an Edit does.
type Op uint8

// Remove takes every entry of the name away, Replace leaves exactly one, with
// the value, Add appends one.
const (
	Remove Op = iota
	Replace
	Add
)

// Edit is one change of a response.
type Edit struct {
	Op          Op
	Name, Value string
}

// Edits returns what is done to the response of a forwarded request, given what
// upstream sent: nothing where all is as it should be. It is good until b is used
// again.
func (d *Decision) Edits(u *Upstream, b *Buffer) []Edit {
	b.reset()
	if d.Action != Forward {
		return nil
	}
	c := d.changes(u)
	for f := range fieldNames {
		switch {
		case c.remove.has(f):
			b.edit(Remove, fieldNames[f], "")
		case c.replace.has(f):
			b.edit(Replace, fieldNames[f], d.value(f))
		}
	}
	if c.vary {
		b.edit(Add, header.Vary, header.Origin)
	}
	if d.Policy.Debug {
		b.set(debugHeader, b.text(d.AppendSummary(b.free())), u.Decision)
	}
	return b.edits[:b.nEdits]
}

// changes is what is done to a response, except for the debug header: the fields of
// which one entry is to stand there, with the decision's value, those of which none
// is, and whether Vary is to name Origin once more.
type changes struct {
	replace, remove fields
	vary            bool
}

// changes follow from what upstream sent (Fetch, section 3.3.3).
//
// Upstream can not open what the policy closed: its own CORS fields are replaced
// or removed, for origins that are not allowed and for requests without an
// Origin as well, unless the policy preserves them. The answer of upstream to a
// preflight that was forwarded stays as it is, since upstream was asked.
func (d *Decision) changes(u *Upstream) (c changes) {
	if d.Kind != Preflight {
		c.replace = d.sends()
		if u.found {
			c = d.against(u, c.replace)
		}
	}
	c.vary = !u.VariesByOrigin && variesByOrigin(d.Policy)
	return c
}

// fields is a set of the response fields whose values follow from a decision.
type fields uint8

const (
	allowOriginField = iota
	allowCredentialsField
	exposeHeadersField
	timingField

	allowFields fields = 1<<allowOriginField | 1<<allowCredentialsField | 1<<exposeHeadersField
)

var fieldNames = [...]string{header.AllowOrigin, header.AllowCredentials, header.ExposeHeaders, header.TimingAllowOrigin}

func (f fields) has(field int) bool { return f>>field&1 != 0 }

// sends returns the fields that go out with a response.
func (d *Decision) sends() (f fields) {
	if d.AllowOrigin != "" {
		f = 1 << allowOriginField
		if d.Policy.Credentials {
			f |= 1 << allowCredentialsField
		}
		if d.Policy.ExposeHeaders != "" {
			f |= 1 << exposeHeadersField
		}
	}
	if d.TimingAllowOrigin != "" {
		f |= 1 << timingField
	}
	return f
}

// value is that of a field that goes out.
func (d *Decision) value(field int) string {
	switch field {
	case allowOriginField:
		return d.AllowOrigin
	case allowCredentialsField:
		return "true"
	case exposeHeadersField:
		return d.Policy.ExposeHeaders
	}
	return d.TimingAllowOrigin
}

// against compares the fields that go out with those that upstream sent.
func (d *Decision) against(u *Upstream, sent fields) (c changes) {
	concerned := allowFields
	if !d.Policy.Timing.Empty() {
		concerned |= 1 << timingField
	}
	found := [...]Field{u.AllowOrigin, u.AllowCredentials, u.ExposeHeaders, u.TimingAllowOrigin}
	if d.Policy.Preserve {
		if u.AllowOrigin.Entries > 0 {
			concerned &^= allowFields
		}
		if u.TimingAllowOrigin.Entries > 0 {
			concerned &^= 1 << timingField
		}
	}
	for f := range found {
		switch {
		case !concerned.has(f):
		case !sent.has(f):
			if found[f].Entries > 0 {
				c.remove |= 1 << f
			}
		case found[f].Entries != 1 || found[f].Value != d.value(f):
			c.replace |= 1 << f
		}
	}
	return c
}

// Vary (RFC 9110, section 12.5.5) tells caches which of the request's fields a
// response depends on (Fetch, section 3.3.7, "CORS protocol and HTTP caches").

const (
	varyPreflight = header.RequestMethod + ", " + header.RequestHeaders
	varyAll       = header.Origin + ", " + varyPreflight
)

// replyVary is the value of Vary on a reply. The answer to a preflight depends on
// the Origin where Access-Control-Allow-Origin does: a request without any is no
// preflight, and not answered here.
func (d *Decision) replyVary() string {
	switch {
	case d.Action == Reject:
		return header.Origin
	case d.Action == Answer && d.Policy.Wildcard():
		return varyPreflight
	}
	return varyAll
}

// namesOrigin reports whether a value of Vary names Origin, or is "*". A list that
// is longer than any service sends is not read: that Origin stands there twice then
// does no harm.
func namesOrigin(value string) bool {
	if len(value) > header.MaxListLen {
		return false
	}
	return header.Contains(value, header.Origin) || header.Contains(value, "*")
}

// variesByOrigin reports whether responses of upstream depend on the request's
// Origin, and so must say it whether or not there is one in this request: where
// Access-Control-Allow-Origin or Timing-Allow-Origin name one origin, and where
// the decision is shown, which requests without an Origin have none of.
func variesByOrigin(p *config.Policy) bool {
	return !p.Wildcard() || p.Debug || !p.Timing.Empty() && !p.Timing.Any
}

// Buffer is the memory that replies and edits are made in, so that nothing is
// left behind for the collector. Callbacks do not overlap: a plugin needs one.
type Buffer struct {
	headers [12]Header
	n       int
	edits   [8]Edit
	nEdits  int
	bytes   [header.MaxEchoLen + maxSummaryLen]byte
	used    int
}

func (b *Buffer) reset() { b.n, b.nEdits, b.used = 0, 0, 0 }

func (b *Buffer) header(name, value string) {
	if value == "" {
		return
	}
	b.headers[b.n] = Header{name, value}
	b.n++
}

func (b *Buffer) edit(op Op, name, value string) {
	b.edits[b.nEdits] = Edit{op, name, value}
	b.nEdits++
}

// set leaves one entry with the value, or none where the value is "", and edits
// only what is different.
func (b *Buffer) set(name, value string, found Field) {
	switch {
	case value == "" && found.Entries > 0:
		b.edit(Remove, name, "")
	case value != "" && (found.Entries != 1 || found.Value != value):
		b.edit(Replace, name, value)
	}
}

// free is where the next text can be appended; text keeps it.
func (b *Buffer) free() []byte { return b.bytes[b.used:b.used] }

func (b *Buffer) text(s []byte) string {
	b.used += len(s)
	return header.AsString(s)
}
