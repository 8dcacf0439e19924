package gateway

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"corsfilter/internal/host"
)

// stream is one request with its response: through the filters in order, to
// the router, and through the filters in reverse order.
type stream struct {
	gateway    *Gateway
	generation *generation
	manager    *manager
	worker     *worker
	w          http.ResponseWriter
	r          *http.Request
	start      time.Time
	request    *host.HeaderMap
	route      *route
	filters    []*host.Stream

	// What the access log says.
	status       int // 0: nothing was sent
	details      string
	response     *host.HeaderMap
	upstreamHost string
}

func newStream(g *Gateway, n *generation, m *manager, w http.ResponseWriter, r *http.Request) *stream {
	return &stream{gateway: g, generation: n, manager: m, w: w, r: r, start: time.Now(), request: requestHeaders(r)}
}

func (st *stream) serve() {
	st.openFilters()
	if reply := st.refuse(); reply != nil {
		st.reply(reply)
		return
	}
	for _, f := range st.filters {
		action, failure := f.OnRequestHeaders(st.request, st.r.Body == http.NoBody)
		switch {
		case failure != nil:
			st.reply(localReply(failure))
			return
		case action == host.ActionPause:
			st.reply(paused)
			return
		}
	}
	path, _ := st.request.Get(":path")
	st.route = st.manager.route(path)
	switch {
	case st.route == nil:
		st.reply(&reply{status: http.StatusNotFound, details: "route_not_found"})
	case st.route.direct != nil:
		st.reply(st.route.direct)
	case st.route.redirect != "":
		scheme, _ := st.request.Get("x-forwarded-proto")
		authority, _ := st.request.Get(":authority")
		location := host.NewHeaderMap([2]string{"location", scheme + "://" + authority + st.route.redirect})
		st.reply(&reply{status: http.StatusMovedPermanently, headers: location, details: "direct_response"})
	default:
		st.proxy()
	}
}

// paused answers for a filter that stops a stream without a reply: what it may
// wait for, a call or a queue, is not offered here.
var paused = &reply{
	status:  http.StatusServiceUnavailable,
	body:    []byte("a filter paused this stream, and nothing here could resume it\n"),
	details: "paused_by_filter",
}

// Limits of Envoy for the headers of a request, in bytes and in fields.
const (
	maxHeaderBytes = 60 << 10
	maxHeaderCount = 100
)

// refuse answers what Envoy's codec and connection manager turn away before
// the filters see the request. The reply passes their response callbacks.
func (st *stream) refuse() *reply {
	bytes, count := 0, 0
	for name, value := range st.request.All() {
		bytes += len(name) + len(value)
		count++
	}
	path, _ := st.request.Get(":path")
	_, upgrade := st.request.Get("upgrade")
	switch {
	case st.r.ProtoMajor == 1 && st.r.ProtoMinor == 0:
		return &reply{status: http.StatusUpgradeRequired, details: "low_version"}
	case bytes > maxHeaderBytes:
		return &reply{status: http.StatusRequestHeaderFieldsTooLarge, details: "http1.headers_too_large"}
	case count > maxHeaderCount:
		return &reply{status: http.StatusRequestHeaderFieldsTooLarge, details: "http1.too_many_headers"}
	case st.r.Method == http.MethodConnect, upgrade && !st.isWebSocket():
		return &reply{status: http.StatusForbidden, details: "upgrade_failed"}
	case !strings.HasPrefix(path, "/"):
		return &reply{status: http.StatusNotFound, details: "absolute_path_rejected"}
	}
	return st.normalizePath()
}

func (st *stream) isWebSocket() bool {
	protocol, _ := st.request.Get("upgrade")
	return st.manager.websocket && strings.EqualFold(protocol, "websocket")
}

func (st *stream) openFilters() {
	for _, spec := range st.manager.plugins {
		st.filters = append(st.filters, st.worker.plugins[spec].NewStream())
	}
}

// reply is a response made here.
type reply struct {
	status  int
	headers *host.HeaderMap // nil: none of its own
	body    []byte
	details string
}

func localReply(r *host.LocalReply) *reply {
	return &reply{status: r.Status, headers: r.Headers, body: r.Body, details: r.Details}
}

func (r *reply) head() *host.HeaderMap {
	h := host.NewHeaderMap([2]string{":status", strconv.Itoa(r.status)})
	if len(r.body) > 0 {
		h.Add("content-length", strconv.Itoa(len(r.body)))
		h.Add("content-type", "text/plain")
	}
	if r.headers != nil {
		for name, value := range r.headers.All() {
			switch name {
			case "content-type":
				h.Replace(name, value)
			case "content-length": // follows from the body
			default:
				h.Add(name, value)
			}
		}
	}
	return h
}

// reply sends a response made here. It passes the response callbacks of all
// filters, that of the sender included, as in Envoy.
func (st *stream) reply(r *reply) {
	st.details = r.details
	head := r.head()
	if failure := st.encode(head, len(r.body) == 0); failure != nil {
		r, head = failure, failure.head()
		st.details = r.details
	}
	st.send(head, r.body)
}

// encode runs the response callbacks, last filter first. What it returns goes
// out instead of the response, seen by no further filter: the reply for a filter
// that has failed.
func (st *stream) encode(head *host.HeaderMap, end bool) *reply {
	for i := len(st.filters) - 1; i >= 0; i-- {
		action, failure := st.filters[i].OnResponseHeaders(head, end)
		switch {
		case failure != nil:
			return localReply(failure)
		case action == host.ActionPause:
			return paused
		}
	}
	return nil
}

// send writes a response made here.
func (st *stream) send(head *host.HeaderMap, body []byte) {
	st.finishHead(head)
	writeHeaders(st.w.Header(), head.All())
	st.w.WriteHeader(st.status)
	if st.r.Method != http.MethodHead {
		st.w.Write(body)
	}
}

// finish ends the filters' contexts and writes the access log. It runs after a
// panic too, which is how a response that has begun is broken off.
func (st *stream) finish() {
	for _, f := range st.filters {
		f.OnDone()
	}
	for _, format := range st.manager.accessLogs {
		io.WriteString(st.gateway.options.AccessLog, format.line(st))
	}
	if st.watched() {
		st.gateway.options.OnStream(st.event())
	}
}
