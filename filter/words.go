package filter

import (
	"strconv"
	"strings"

	"corsfilter/config"
	"corsfilter/internal/header"
	"corsfilter/internal/origin"
)

// This file describes a decision in words: for the debug header, the log, corsctl explain
// and the demo.

// maxSummaryLen bounds what AppendSummary appends, in bytes.
const maxSummaryLen = 64 + maxCulpritLen

// AppendSummary appends the decision in the words of the debug header, such as
// "allowed" or "denied; reason=method=PUT", or nothing if there was nothing to decide.
// Whatever it quotes from the request is a token.
func (d *Decision) AppendSummary(dst []byte) []byte {
	switch {
	case d.Kind == NotCORS:
		return dst
	case d.Reason == Allowed:
		return append(dst, "allowed"...)
	}
	dst = append(dst, "denied; reason="...)
	switch d.Reason {
	case OriginNotAllowed:
		dst = append(dst, "origin"...)
	case OriginMalformed:
		dst = append(dst, "malformed-origin"...)
	case MethodNotAllowed:
		dst = append(dst, "method"...)
	case HeaderNotAllowed:
		dst = append(dst, "header"...)
	case Failed:
		dst = append(dst, "error"...)
	}
	if d.Culprit == "" {
		return dst
	}
	dst = append(dst, '=')
	if d.Reason == HeaderNotAllowed {
		return header.AppendLower(dst, d.Culprit)
	}
	return append(dst, d.Culprit...)
}

// maxLineLen bounds a log line about a decision, in bytes.
const maxLineLen = 768

// appendLine appends the log line about a decision. It shows the Origin only if that is
// well-formed, so that clients cannot write into the log.
func (d *Decision) appendLine(dst []byte, r *Request, buf *origin.Buffer) []byte {
	if d.Policy.Mode == config.Shadow {
		dst = append(dst, "shadow: "...)
	}
	if d.Kind == Preflight {
		dst = append(dst, "preflight"...)
		if method := token(r.RequestMethod); method != "" {
			dst = append(append(dst, " for "...), method...)
		}
	} else {
		dst = append(dst, "request"...)
	}
	if d.Policy.Origins.MatchIn(r.Origin, buf) != config.MalformedOrigin {
		dst = append(append(dst, " from "...), r.Origin...)
	}
	dst = d.AppendSummary(append(dst, ": "...))
	switch d.Action {
	case Forward:
		dst = append(dst, "; forwarded"...)
	case Deny, Reject:
		dst = append(dst, "; answered 403"...)
	}
	return dst
}

// Steps explains the decision, with a sentence for each question in the order in which
// they were asked. It quotes the request unchanged; whoever shows it must escape it.
func (d *Decision) Steps(r *Request) (steps []string) {
	add := func(parts ...string) { steps = append(steps, strings.Join(parts, "")) }
	if d.Action == Ignore {
		return []string{"the filter leaves it alone"}
	}
	switch d.Kind {
	case NotCORS:
		return []string{"there is no Origin, so this is not a CORS request"}
	case Preflight:
		add("OPTIONS with Origin and Access-Control-Request-Method: a preflight")
	case CrossOrigin:
		switch {
		case r.FetchSite == "same-origin" || d.SameOrigin && IsSameOrigin(r.Origin, r.scheme(), r.Authority):
			add("it has an Origin, and comes from a page of the same origin")
		case d.SameOrigin:
			add("its Origin is its own host over https: a page of the same origin, with TLS terminated in front of this proxy")
		default:
			add("it has an Origin and is not a preflight: a cross-origin request")
		}
	}
	switch {
	case d.Reason == OriginMalformed:
		add("the Origin is not one well-formed origin, so it matches nothing")
	case d.Reason == OriginNotAllowed:
		add("the origin ", r.Origin, " is not in allow_origins")
	case d.AllowOrigin == "*":
		add("every origin is allowed, without credentials")
	default:
		add("the origin ", r.Origin, " is in allow_origins")
	}
	if d.Action == Answer {
		if d.Reason == MethodNotAllowed {
			add("the method ", r.RequestMethod, " is not in allow_methods")
		} else {
			add("the method ", r.RequestMethod, " is allowed")
		}
		switch {
		case d.Reason == HeaderNotAllowed && d.Culprit != "":
			add("the header ", strings.ToLower(d.Culprit), " is not in allow_headers")
		case d.Reason == HeaderNotAllowed:
			add("the list of headers is malformed or too long")
		case d.Reason == Allowed && r.RequestHeaders != "":
			add("the headers ", r.RequestHeaders, " are allowed")
		}
	}
	shadow, answered := d.Policy.Mode == config.Shadow, "answered here with "
	if shadow {
		answered = "in mode enforce, " + answered
	}
	switch {
	case d.Action == Answer:
		add(answered, strconv.Itoa(int(d.Policy.PreflightStatus)), " and the complete lists, so that the browser can say what is missing")
	case d.Replies():
		add(answered, "403")
	case d.SameOrigin:
		add("a same-origin request is never rejected: forwarded to upstream")
	case !shadow:
		add("forwarded to upstream")
	}
	if shadow {
		add("mode shadow: counted, logged and forwarded to upstream unchanged")
	}
	return steps
}

// Outcome says in one sentence how the exchange ended, for somebody who does not know
// CORS. status is the response's, whoever sent it.
func (d *Decision) Outcome(r *Request, status int) string {
	switch {
	case d.Action == Ignore || d.Kind == NotCORS:
		return "The filter had nothing to decide."
	case d.Policy.Mode == config.Shadow:
		return "In shadow mode the filter only decides and counts: upstream answered."
	case d.Action == Deny:
		return "The preflight was denied: this page's origin is not in the policy."
	case d.Action == Reject:
		return "The request was rejected before upstream: this page's origin is not in the policy."
	case d.Action == Answer && d.Reason == MethodNotAllowed:
		return "The preflight was answered, but the answer does not list " + r.RequestMethod + "."
	case d.Action == Answer && d.Reason == HeaderNotAllowed:
		return "The preflight was answered, but the answer does not list all of: " + r.RequestHeaders + "."
	case d.Action == Answer:
		return "The preflight was answered: the browser may send the request."
	case d.Kind == Preflight:
		return "The preflight was left to upstream."
	case d.Reason != Allowed && (r.Method == "GET" || r.Method == "HEAD"):
		return "Upstream answered, and its response got no CORS headers: this page's origin is not in the policy."
	case d.Reason != Allowed:
		return "Upstream answered, and its response got no CORS headers: this page's origin is not in the policy. " +
			`The request has still had its effects; "disallowed_requests": "reject" would prevent them.`
	case status >= 300 && status < 400:
		return "Upstream answered with a redirect, and this page may follow it."
	}
	return "Upstream answered, and this page may read the response."
}
