package filter

import (
	"math/bits"
	"strings"

	"corsfilter/config"
	"corsfilter/internal/header"
	"corsfilter/internal/origin"
)

// This file implements the CORS protocol, in the order of the Fetch standard: what kind of
// request it is (3.3.2), whether its origin, method and header names are allowed (3.3.3 and
// 4.8), the answer, and the changes to the response (3.3.3 and 3.3.7). All of it is pure:
// nothing here calls the proxy.

// Kind is the kind of a request in the CORS protocol.
type Kind uint8

// A request without an Origin is not a CORS request. An OPTIONS request with an Origin that
// names the method of the next request is a preflight. Every other request with an Origin
// is cross-origin, as far as its headers tell (Fetch, section 3.3.2).
const (
	NotCORS Kind = iota
	Preflight
	CrossOrigin
)

// Action is what happens to a request.
type Action uint8

// Undecided is the zero value: no request has been seen. Ignore leaves the request and its
// response alone. Forward lets upstream answer and edits the response. Answer answers a
// preflight from an allowed origin, Deny answers one from another origin with 403, Reject
// answers any other request with 403.
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

// Allowed means that it does get it. Failed means that a bug in the filter prevented a
// decision, and nothing is allowed.
const (
	Allowed Reason = iota
	OriginNotAllowed
	OriginMalformed
	MethodNotAllowed
	HeaderNotAllowed
	Failed
)

// Decision is the result of a policy for a request. All replies and response headers
// follow from it. Its strings are those of the policy or of the request.
type Decision struct {
	// Policy is the one that decided; nil if there is none.
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
	// AllowMethods and echo are for the answer to a preflight. echo is the request's own
	// list of header names, which is sent back normalized.
	AllowMethods string
	echo         string
	// Culprit is the method or header name at fault, as the request wrote it; "" unless
	// Reason is about one and it is a token.
	Culprit string
}

// matches says whether a policy's lists match a request's Origin.
type matches struct{ origins, timing config.Match }

// Decide applies a policy to a request: the server's side of the CORS protocol
// (Fetch, section 3.3). It writes every field of d, and does not allocate.
func Decide(p *config.Policy, r *Request, d *Decision) {
	*d = Decision{}
	var m matches
	if p != nil {
		m = matches{p.Origins.Match(r.Origin), p.Timing.Match(r.Origin)}
	}
	if decideOrigin(p, r, m, d); d.Action == Answer {
		decideAsked(r, d)
	}
}

// decideOrigin is the part of Decide that depends on the Origin, for a zero Decision. It
// assumes that what an answered preflight asks for is allowed.
func decideOrigin(p *config.Policy, r *Request, m matches, d *Decision) {
	d.Policy = p
	if p == nil || p.Mode == config.Off {
		d.Action = Ignore
		return
	}
	d.Action = Forward
	d.AllowOrigin = sentOrigin(p.Wildcard(), r.Origin, m.origins)
	if r.Origin != "" {
		d.Kind = kind(r)
		switch {
		case d.AllowOrigin != "":
		case m.origins == config.MalformedOrigin:
			d.Reason = OriginMalformed
		default:
			d.Reason = OriginNotAllowed
		}
	}
	if d.Kind == Preflight {
		decidePreflight(p, r, d)
		return
	}
	d.TimingAllowOrigin = sentOrigin(p.Timing.Any, r.Origin, m.timing)
	if d.Reason != Allowed && p.Reject {
		if d.SameOrigin = sameOrigin(r); !d.SameOrigin {
			d.Action = Reject
		}
	}
}

// kind returns the kind of a request with an Origin (Fetch, section 3.3.2).
func kind(r *Request) Kind {
	if r.RequestMethod != "" && r.Method == "OPTIONS" {
		return Preflight
	}
	return CrossOrigin
}

// sameOrigin reports whether the request is known to come from a page of its own origin.
// Browsers send Origin with such requests too if the method is not GET or HEAD, and for a
// WebSocket (Fetch, section 3.1). It is only called if the request would be rejected.
// Behind a load balancer that terminates TLS the last hop is http, whatever the page's
// scheme, so an https origin with the request's own host and port counts as the same. An
// http origin of an https request does not: anyone who can change http traffic can have it.
func sameOrigin(r *Request) bool {
	scheme := r.scheme()
	return r.FetchSite == "same-origin" || IsSameOrigin(r.Origin, scheme, r.Authority) || IsSameOrigin(r.Origin, "https", r.Authority)
}

// IsSameOrigin reports whether the value of an Origin field is the origin of
// scheme and authority (HTML, section 7.1.1, "same origin"). A default port may
// be spelled out or not.
func IsSameOrigin(value, scheme, authority string) bool {
	var buf origin.Buffer
	o, ok := origin.Parse(value, &buf)
	return ok && o.Is(scheme, authority)
}

// sentOrigin returns the value of Access-Control-Allow-Origin (Fetch, section 3.3.3), or of
// Timing-Allow-Origin (Resource Timing, section 3.5.1). Preflights do not get the latter,
// because no script sees their response. Requests without an Origin and with a malformed one
// get "*" too, so that a cache can serve the response to everyone.
func sentOrigin(everyone bool, origin string, match config.Match) string {
	switch {
	case everyone:
		return "*"
	case match == config.Matches:
		return origin
	}
	return ""
}

// decidePreflight denies a preflight, or prepares the answer. The answer always has the
// complete lists, so that the browser's console names what is missing and its cache gets
// the rest.
func decidePreflight(p *config.Policy, r *Request, d *Decision) {
	if d.Reason != Allowed {
		if !p.ForwardUnmatched {
			d.Action = Deny
		}
		return
	}
	d.Action = Answer
	d.AllowMethods = p.AllowMethods
	if p.EchoMethod {
		d.AllowMethods = r.RequestMethod
	}
	if p.EchoHeaders {
		d.echo = r.RequestHeaders
	}
	d.PrivateNetwork = p.PrivateNetwork && r.RequestPrivateNetwork == "true"
}

// decideAsked checks what an answered preflight asks for, in the order in which the browser
// will check the answer (Fetch, section 4.8, "CORS-preflight fetch", from step 7): method,
// header names.
func decideAsked(r *Request, d *Decision) {
	p := d.Policy
	if !p.AllowsMethod(r.RequestMethod) {
		d.Reason = MethodNotAllowed
		d.Culprit = token(r.RequestMethod)
		if p.EchoMethod {
			d.AllowMethods = ""
		}
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

// maxCulpritLen bounds what a decision quotes from a request, in bytes.
const maxCulpritLen = 64

// token returns s if it can be shown in a header or a log, else "".
func token(s string) string {
	if len(s) > maxCulpritLen || !header.IsToken(s) {
		return ""
	}
	return s
}

// Replies reports whether the filter answers the request.
func (d *Decision) Replies() bool { return d.Action >= Answer }

// Reply is an answer of the filter, without a body.
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

// debugHeader shows the decision if the policy says debug.
const debugHeader = "x-cors-decision"

// Reply returns the answer to the request, if Replies. It is valid until b is used again
// and as long as the request's strings are.
func (d *Decision) Reply(b *Buffer) Reply {
	reply := Reply{Status: statusForbidden}
	switch d.Action {
	case Answer:
		reply.Status, reply.Details = d.Policy.PreflightStatus, detailsPreflight
	case Deny:
		reply.Details = detailsDenied
	case Reject:
		reply.Details = detailsRejected
	}
	edits := d.Edits(&Upstream{}, b)
	for i, e := range edits {
		b.headers[i] = Header{e.Name, e.Value}
	}
	reply.Headers = b.headers[:len(edits)]
	return reply
}

// Upstream has a response's values of the fields that a decision is about, whoever sent the
// response. Visiting the response's entries fills it.
type Upstream struct {
	found, more fields            // those that are there, and those with several entries
	vary        varyNames         // of all entries of Vary but the last
	values      [numFields]string // of the first entry; of Vary the last
}

// upstreamNames are the fields in an Upstream.
var upstreamNames = header.NamesOf(fieldNames[:]...)

// read reads the fields that a header map has.
func (u *Upstream) read(pairs []byte) {
	header.VisitPairs(pairs, &upstreamNames, u)
}

// VisitHeader reads an entry of the response, if it is one of the fields.
func (u *Upstream) VisitHeader(name, value string) {
	if header.Is(name, header.Vary) {
		if u.values[varyField] != "" {
			u.vary |= varyNamesIn(u.values[varyField])
		}
		u.values[varyField] = value
		return
	}
	u.visitField(name, value)
}

func (u *Upstream) visitField(name, value string) {
	for f := range fieldNames {
		switch {
		case name != fieldNames[f]:
			continue
		case u.found.has(f):
			u.more |= 1 << f
		default:
			u.found |= 1 << f
			u.values[f] = value
		}
		return
	}
}

// Op is what an Edit does.
type Op uint8

// Remove removes all entries with the name, Replace leaves exactly one with the value, Add
// appends one.
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

// Edits returns the changes to a response, given what it has; none if it needs none. They
// are valid until b is used again.
func (d *Decision) Edits(u *Upstream, b *Buffer) []Edit {
	if d.Action < Forward {
		return nil
	}
	c := d.changes(u, u.vary|varyNamesIn(u.values[varyField]), b)
	n := 0
	for rest := c.all(); rest != 0; rest &= rest - 1 {
		f := rest.first()
		e := Edit{Op: c.op(f), Name: fieldNames[f]}
		if e.Op != Remove {
			e.Value = d.value(f, b)
		}
		b.edits[n] = e
		n++
	}
	return b.edits[:n]
}

// changes are the changes to a response: the fields to send with exactly the decision's
// value (Vary is appended to instead), and the fields to remove.
type changes struct {
	send, remove fields
}

func (c changes) all() fields { return c.send | c.remove }

// op is the operation for one of all.
func (c changes) op(field int) Op {
	switch {
	case c.remove.has(field):
		return Remove
	case field == varyField:
		return Add
	}
	return Replace
}

// changes returns the changes to a response (Fetch, section 3.3.3). vary are the names in
// its Vary. b gets the texts that the changes need.
//
// Upstream cannot open what the policy closes: its CORS fields are replaced or removed,
// also for unlisted origins and for requests without an Origin, unless the policy preserves
// them. Upstream's answer to a forwarded preflight stays unchanged, because upstream was
// asked. The filter's own replies pass through here too, with what routes and filters
// behind this one have added to them; none of that stays.
func (d *Decision) changes(u *Upstream, vary varyNames, b *Buffer) (c changes) {
	b.write(d)
	if c.send = d.sends(b); u.found != 0 {
		c.send, c.remove = d.against(u, c.send, b)
	}
	names := d.varies()
	missing := names &^ vary
	if d.Replies() && vary != 0 && len(u.values[varyField]) > len(varyTexts[names]) {
		c.send, missing = dividedVary(u.values[varyField], c.send, names, missing, b)
	}
	if missing != 0 {
		c.send |= 1 << varyField
		b.vary = varyTexts[missing]
	}
	return c
}

// dividedVary keeps a reply's Vary from naming anything twice. If others have added names
// to the filter's own value that it has too, theirs stay, and the missing ones are
// appended.
func dividedVary(value string, send fields, own, missing varyNames, b *Buffer) (fields, varyNames) {
	b.others = othersVary(value, varyTexts[own], &b.joined)
	if names := varyNamesIn(b.others); names&own != 0 {
		return send | 1<<othersVaryField, own &^ names
	}
	return send, missing
}

// othersVary is what others have put before and after the filter's own value of Vary,
// joined as proxies do; "" if its own value is not there as it was sent. The value is
// longer than own, and buf is large enough for any value that is read.
func othersVary(value, own string, buf *[header.MaxListLen]byte) string {
	for at := 0; ; at++ {
		i := strings.Index(value[at:], own)
		if i < 0 {
			return ""
		}
		at += i
		before, after := strings.TrimRight(value[:at], " \t"), strings.TrimLeft(value[at+len(own):], " \t")
		if before != "" && before[len(before)-1] != ',' || after != "" && after[0] != ',' {
			continue // a part of another name
		}
		before, after = strings.TrimSuffix(before, ","), strings.TrimPrefix(after, ",")
		switch {
		case after == "":
			return before
		case before == "":
			return after
		}
		return header.AsString(append(append(append(buf[:0], before...), ','), after...))
	}
}

// against compares the fields to send with those that are there.
func (d *Decision) against(u *Upstream, sent fields, b *Buffer) (send, remove fields) {
	concerned := d.concerned(u, sent)
	sent &= concerned
	send, remove = sent&(u.more|^u.found), concerned&^sent&u.found
	for alike := sent & u.found &^ u.more; alike != 0; alike &= alike - 1 {
		if f := alike.first(); u.values[f] != d.value(f, b) {
			send |= 1 << f
		}
	}
	return send, remove
}

// concerned are the fields that the decision is about; all others are left alone.
func (d *Decision) concerned(u *Upstream, sent fields) (f fields) {
	p := d.Policy
	switch {
	case d.Replies():
		f = answerFields
	case d.Kind != Preflight:
		f = responseFields
	}
	if f != 0 && !p.Timing.Empty() {
		f |= 1 << timingField
	}
	switch {
	case !bool(p.Preserve):
	case d.Replies():
		// What others added stays. But a field that is not a list gets one value, ours:
		// browsers accept no second one, which Envoy would join with a comma.
		f &= sent &^ (listFields & u.found)
	default:
		if u.found.has(allowOriginField) {
			f &^= responseFields
		}
		f &^= u.found & (1 << timingField)
	}
	if p.Debug {
		f |= 1 << decisionField
	}
	return f
}

// fields is a set of the response fields whose values follow from a decision.
type fields uint16

// In the order in which they are sent.
const (
	allowOriginField = iota
	allowCredentialsField
	allowMethodsField
	allowHeadersField
	exposeHeadersField
	maxAgeField
	privateNetworkField
	timingField
	othersVaryField // Vary without the filter's own names, to which varyField appends
	varyField
	decisionField
	numFields

	// The fields of a response, those of the answer to a preflight, and those that are
	// lists.
	responseFields fields = 1<<allowOriginField | 1<<allowCredentialsField | 1<<exposeHeadersField
	answerFields          = responseFields | 1<<allowMethodsField | 1<<allowHeadersField | 1<<maxAgeField | 1<<privateNetworkField
	listFields     fields = 1<<allowMethodsField | 1<<allowHeadersField | 1<<exposeHeadersField | 1<<timingField
)

var fieldNames = [numFields]string{
	header.AllowOrigin, header.AllowCredentials, header.AllowMethods, header.AllowHeaders, header.ExposeHeaders, header.MaxAge,
	header.AllowPrivateNetwork, header.TimingAllowOrigin, header.Vary, header.Vary, debugHeader,
}

func (f fields) has(field int) bool { return f>>field&1 != 0 }

// first is the first field of a set that is not empty.
func (f fields) first() int { return bits.TrailingZeros16(uint16(f)) }

// sends returns the fields to send with a response or a reply, except for Vary.
func (d *Decision) sends(b *Buffer) (f fields) {
	p := d.Policy
	if d.AllowOrigin != "" {
		f = 1 << allowOriginField
		if p.Credentials {
			f |= 1 << allowCredentialsField
		}
		if p.ExposeHeaders != "" {
			f |= 1 << exposeHeadersField
		}
	}
	if d.TimingAllowOrigin != "" {
		f |= 1 << timingField
	}
	if d.Kind == Preflight {
		f = d.answers(f, b)
	}
	if p.Debug && d.Kind != NotCORS {
		f |= 1 << decisionField
	}
	return f
}

// answers is sends for preflights (Fetch, section 3.3.3). Browsers do not need
// Access-Control-Expose-Headers there; Envoy, Istio and the Gateway API expect it.
func (d *Decision) answers(f fields, b *Buffer) fields {
	if d.Action != Answer {
		return 0
	}
	if d.AllowMethods != "" {
		f |= 1 << allowMethodsField
	}
	if d.value(allowHeadersField, b) != "" {
		f |= 1 << allowHeadersField
	}
	if d.Policy.MaxAge != "" {
		f |= 1 << maxAgeField
	}
	if d.PrivateNetwork {
		f |= 1 << privateNetworkField
	}
	return f
}

// value returns the value of a field to send. b has been written for it.
func (d *Decision) value(field int, b *Buffer) string {
	switch field {
	case allowOriginField:
		return d.AllowOrigin
	case allowMethodsField:
		return d.AllowMethods
	case allowHeadersField:
		if d.Policy.EchoHeaders {
			return b.echo
		}
		return d.Policy.AllowHeaders
	case exposeHeadersField:
		return d.Policy.ExposeHeaders
	case maxAgeField:
		return d.Policy.MaxAge
	case timingField:
		return d.TimingAllowOrigin
	case othersVaryField:
		return b.others
	case varyField:
		return b.vary
	case decisionField:
		return b.summary
	}
	return "true" // credentials, a more private network
}

// varyNames is a set of the names that Vary has because of the filter. Vary (RFC 9110,
// section 12.5.5) tells caches which of the request's fields a response depends on
// (Fetch, section 3.3.7, "CORS protocol and HTTP caches").
type varyNames uint8

const (
	varyOrigin varyNames = 1 << iota
	varyRequestMethod
	varyRequestHeaders

	varyPreflight = varyRequestMethod | varyRequestHeaders
	varyAll       = varyOrigin | varyPreflight
)

const varyPreflightText = header.RequestMethod + ", " + header.RequestHeaders

var varyTexts = [...]string{
	varyOrigin:                      header.Origin,
	varyRequestMethod:               header.RequestMethod,
	varyOrigin | varyRequestMethod:  header.Origin + ", " + header.RequestMethod,
	varyRequestHeaders:              header.RequestHeaders,
	varyOrigin | varyRequestHeaders: header.Origin + ", " + header.RequestHeaders,
	varyPreflight:                   varyPreflightText,
	varyAll:                         header.Origin + ", " + varyPreflightText,
}

// varies returns the names that Vary must have.
//
// The answer to a preflight depends on the Origin if Access-Control-Allow-Origin does: a
// request without an Origin is not a preflight, and is not answered here.
func (d *Decision) varies() varyNames {
	switch {
	case d.Action == Answer && d.Policy.Wildcard():
		return varyPreflight
	case d.Action == Answer || d.Action == Deny:
		return varyAll
	case variesByOrigin(d.Policy): // who rejects does not allow everyone
		return varyOrigin
	}
	return 0
}

// variesByOrigin reports whether responses of upstream depend on the request's Origin, and
// so must say so even if this request has none: if Access-Control-Allow-Origin or
// Timing-Allow-Origin name one origin, and if the decision is shown, which requests without
// an Origin do not have.
func variesByOrigin(p *config.Policy) bool {
	return !p.Wildcard() || p.Debug || !p.Timing.Empty() && !p.Timing.Any
}

// varyNamesIn returns the names in a value of Vary; "*" means all. A list that is longer
// than any service sends is not read: a name that is then there twice does no harm.
func varyNamesIn(value string) (n varyNames) {
	switch {
	case value == varyTexts[varyAll]:
		return varyAll
	case value == "" || len(value) > header.MaxListLen:
		return 0
	case header.Contains(value, "*"):
		return varyAll
	}
	for name := varyOrigin; name <= varyRequestHeaders; name <<= 1 {
		if header.Contains(value, varyTexts[name]) {
			n |= name
		}
	}
	return n
}

// Buffer is the memory for replies and edits, so that they leave no garbage. Callbacks do
// not overlap, so a plugin needs only one.
type Buffer struct {
	headers [numFields]Header
	edits   [numFields]Edit
	// Values that are made for one decision: the request's own list of header names,
	// normalized, and the decision in words.
	echo, summary string
	vary, others  string // the values of varyField and of othersVaryField
	bytes         [header.MaxEchoLen + maxSummaryLen]byte
	joined        [header.MaxListLen]byte // of others, which stand on both sides
}

// write writes the values of a decision.
func (b *Buffer) write(d *Decision) {
	used := 0
	if d.Action == Answer && d.Policy.EchoHeaders {
		echo, _ := header.AppendEcho(b.bytes[:0], d.echo)
		b.echo, used = header.AsString(echo), len(echo)
	}
	if d.Policy.Debug {
		b.summary = header.AsString(d.AppendSummary(b.bytes[used:used]))
	}
}
