package filter

import (
	"unsafe"

	"corsfilter/config"
	"corsfilter/internal/header"
)

// Response code details of the replies (shown by access logs).
const (
	detailsPreflight = "cors_preflight"
	detailsDenied    = "cors_origin_denied"
	detailsRejected  = "cors_request_rejected"
)

// debugHeader shows the decision where the policy says debug.
const debugHeader = "x-cors-decision"

const statusForbidden = 403

// Values of Vary on the answer to a preflight: it depends on these of the
// request's headers, on the Origin only where Access-Control-Allow-Origin does.
const (
	varyPreflight = header.RequestMethod + ", " + header.RequestHeaders
	varyAll       = header.Origin + ", " + varyPreflight
)

// replyBuilder holds the headers of one reply and the bytes of those that are
// not constants. A plugin needs one: callbacks do not overlap.
type replyBuilder struct {
	headers [12]Header
	n       int
	bytes   [header.MaxEchoLen + maxDescriptionLen]byte
	used    int
}

func (b *replyBuilder) add(name, value string) {
	if value == "" {
		return
	}
	b.headers[b.n] = Header{name, value}
	b.n++
}

// buildReply returns what answers the request as the decision says. The headers
// are good until the next reply; the strings of r and d still live in the host's
// memory.
func (c *pluginContext) buildReply(p *config.Policy, r *Request, d *Decision) (status uint32, details string, headers []Header) {
	b := &c.builder
	b.n, b.used = 0, 0
	status, details = statusForbidden, detailsDenied
	vary := varyAll
	switch d.Action {
	case Answer:
		status, details = p.PreflightStatus, detailsPreflight
		b.addAnswer(p, r, d)
		if p.Wildcard() {
			vary = varyPreflight
		}
	case Reject:
		details, vary = detailsRejected, header.Origin
	}
	b.add(header.Vary, vary)
	if p.Debug {
		b.add(debugHeader, c.describe(d))
	}
	return status, details, b.headers[:b.n]
}

// addAnswer adds the headers of a preflight's answer (Fetch, section 3.3.3).
func (b *replyBuilder) addAnswer(p *config.Policy, r *Request, d *Decision) {
	b.add(header.AllowOrigin, d.AllowOrigin)
	b.add(header.AllowCredentials, allowCredentials(p, d))
	b.add(header.AllowMethods, d.AllowMethods)
	if d.EchoHeaders {
		echo, ok := header.AppendEcho(b.bytes[:0], r.RequestHeaders)
		if ok {
			b.used = len(echo)
			b.add(header.AllowHeaders, bytesAsString(echo))
		}
	} else {
		b.add(header.AllowHeaders, d.AllowHeaders)
	}
	b.add(header.MaxAge, p.MaxAge)
	if d.PrivateNetwork {
		b.add(header.AllowPrivateNetwork, "true")
	}
}

// maxDescriptionLen bounds what describe writes, in bytes.
const maxDescriptionLen = 64 + maxCulpritLen

// describe says the decision in the words of the debug header; "" where there
// was nothing to decide. The string is good until the next reply.
func (c *pluginContext) describe(d *Decision) string {
	switch {
	case d.Kind == NotCORS:
		return ""
	case d.Reason == Allowed:
		return "allowed"
	}
	b := &c.builder
	text := append(b.bytes[b.used:b.used], "denied; reason="...)
	switch d.Reason {
	case OriginNotAllowed:
		text = append(text, "origin"...)
	case OriginMalformed:
		text = append(text, "malformed-origin"...)
	case MethodNotAllowed:
		text = append(text, "method"...)
	case HeaderNotAllowed:
		text = append(text, "header"...)
	}
	if d.Culprit != "" {
		text = append(text, '=')
		if d.Reason == HeaderNotAllowed {
			text = header.AppendLower(text, d.Culprit)
		} else {
			text = append(text, d.Culprit...)
		}
	}
	return bytesAsString(text)
}

func bytesAsString(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
