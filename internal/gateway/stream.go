package gateway

import (
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"corsfilter/internal/host"
)

// stream is one request with its response: through the filters in order, to
// the router, and through the filters in reverse order.
type stream struct {
	server  *server
	worker  *worker
	w       http.ResponseWriter
	r       *http.Request
	start   time.Time
	request *host.HeaderMap
	route   *route
	filters []*host.Stream

	// What the access log says.
	status       int // 0: nothing was sent
	details      string
	flags        string
	response     *host.HeaderMap
	upstreamHost string
	received     atomic.Int64
	sent         atomic.Int64

	counters []string // what Options.OnStream is told
}

// Response flags of Envoy's access log.
const (
	flagNoRoute               = "NR"
	flagNoHealthyUpstream     = "UH"
	flagConnectionFailure     = "UF"
	flagConnectionTermination = "UC"
	flagUpstreamProtocolError = "UPE"
	flagUpstreamTimeout       = "UT"
	flagDownstreamClosed      = "DC"
	flagDownstreamProtocol    = "DPE"
	flagStreamIdleTimeout     = "SI"
)

// streamIdleTimeout is Envoy's default. Here it ends only streams that a
// filter has paused: nothing could ever resume them.
const streamIdleTimeout = 5 * time.Minute

func newStream(s *server, worker *worker, w http.ResponseWriter, r *http.Request) *stream {
	return &stream{
		server:  s,
		worker:  worker,
		w:       w,
		r:       r,
		start:   time.Now(),
		request: requestHeaders(s.spec.manager, r),
	}
}

func (st *stream) serve() {
	st.openFilters()
	if reply := st.refuse(); reply != nil {
		st.reply(reply)
		return
	}
	st.findRoute()
	for _, f := range st.filters {
		action, reply := f.OnRequestHeaders(st.request, st.r.Body == http.NoBody)
		if reply != nil {
			st.reply(localReply(reply))
			return
		}
		if action == host.ActionPause {
			st.hold()
			return
		}
	}
	// Envoy drops its cached route when a module changes request headers.
	st.findRoute()
	switch {
	case st.route == nil:
		st.reply(&reply{status: http.StatusNotFound, details: "route_not_found", flags: flagNoRoute})
	case st.route.direct != nil:
		st.reply(&reply{status: st.route.direct.status, body: st.route.direct.body, details: "direct_response"})
	case st.route.redirect != nil:
		target := st.route.redirect.location(st.request, st.route.match)
		st.reply(&reply{
			status:  st.route.redirect.status,
			details: "direct_response",
			headers: host.NewHeaderMap([2]string{"location", target}),
		})
	default:
		st.proxy()
	}
}

// refuse answers what Envoy's codec and connection manager turn away before
// the filters see the request. The reply passes their response callbacks.
func (st *stream) refuse() *reply {
	bytes, count := 0, 0
	for name, value := range st.request.All() {
		bytes += len(name) + len(value)
		count++
	}
	codec := "http1"
	if st.r.ProtoMajor == 2 {
		codec = "http2"
	}
	path, _ := st.request.Get(":path")
	switch {
	case st.r.ProtoMajor == 1 && st.r.ProtoMinor == 0:
		return &reply{status: http.StatusUpgradeRequired, details: "low_version"}
	case bytes > st.server.spec.manager.maxHeaderBytes:
		return &reply{status: http.StatusRequestHeaderFieldsTooLarge, details: codec + ".headers_too_large", flags: flagDownstreamProtocol}
	case count > maxHeaderCount:
		return &reply{status: http.StatusRequestHeaderFieldsTooLarge, details: codec + ".too_many_headers", flags: flagDownstreamProtocol}
	case st.r.Method == http.MethodConnect, isUpgrade(st.request) && !st.isWebSocket():
		return &reply{status: http.StatusForbidden, details: "upgrade_failed"}
	case !strings.HasPrefix(path, "/"):
		return &reply{status: http.StatusNotFound, details: "absolute_path_rejected"}
	}
	return st.normalizePath()
}

func (st *stream) findRoute() {
	authority, _ := st.request.Get(":authority")
	path, _ := st.request.Get(":path")
	st.route = st.server.spec.manager.routes.find(authority, path)
}

func (st *stream) openFilters() {
	info := host.StreamInfo{Property: st.property}
	if st.watched() {
		info.OnCount = st.count
	}
	for _, spec := range st.server.spec.manager.plugins {
		st.filters = append(st.filters, st.worker.plugins[spec].NewStream(info))
	}
}

// property answers the properties that depend on the route; there are none
// without one.
func (st *stream) property(path []string) ([]byte, bool) {
	if st.route == nil {
		return nil, false
	}
	switch strings.Join(path, ".") {
	case "xds.route_name":
		return []byte(st.route.name), true
	case "xds.virtual_host_name":
		return []byte(st.route.virtualHost), true
	case "xds.cluster_name":
		if st.route.cluster != nil {
			return []byte(st.route.cluster.name), true
		}
	}
	return nil, false
}

// hold keeps a stream that a filter paused without a reply. Nothing that the
// host offers could resume it, so it ends as an idle stream does.
func (st *stream) hold() {
	idle := time.NewTimer(streamIdleTimeout)
	defer idle.Stop()
	select {
	case <-st.r.Context().Done():
		st.disconnected()
	case <-idle.C:
		st.reply(&reply{
			status:  http.StatusGatewayTimeout,
			body:    []byte("stream timeout"),
			details: "stream_idle_timeout",
			flags:   flagStreamIdleTimeout,
		})
	}
}

// disconnected records that the client went away.
func (st *stream) disconnected() {
	st.details, st.flags = "downstream_remote_disconnect", flagDownstreamClosed
}

// reply is a response made here.
type reply struct {
	status  int
	headers *host.HeaderMap // nil: none of its own
	body    []byte
	details string
	flags   string
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
	st.details, st.flags = r.details, r.flags
	head := r.head()
	st.applyRoute(head)
	if st.encode(head, len(r.body) == 0) {
		st.sendReply(head, r.body)
	}
}

// applyRoute applies response_headers_to_add and _to_remove, which Envoy does
// before the filters see the response.
func (st *stream) applyRoute(head *host.HeaderMap) {
	if st.route == nil {
		return
	}
	for _, change := range st.route.headers {
		change.apply(head)
	}
}

// encode runs the response callbacks, last filter first. It reports whether
// the response may be sent: not if a filter has failed and its own reply went
// out instead, which no further filter sees.
func (st *stream) encode(head *host.HeaderMap, end bool) bool {
	for i := len(st.filters) - 1; i >= 0; i-- {
		action, failure := st.filters[i].OnResponseHeaders(head, end)
		if failure != nil {
			r := localReply(failure)
			st.details, st.flags = r.details, ""
			st.sendReply(r.head(), r.body)
			return false
		}
		if action == host.ActionPause {
			select {
			case <-st.r.Context().Done():
			case <-time.After(streamIdleTimeout):
			}
			st.disconnected()
			panic(http.ErrAbortHandler)
		}
	}
	return true
}

func (st *stream) sendReply(head *host.HeaderMap, body []byte) {
	st.sendHead(head)
	if st.r.Method == http.MethodHead {
		return
	}
	n, _ := st.w.Write(body)
	st.sent.Add(int64(n))
}

// sendHead writes status and headers downstream.
func (st *stream) sendHead(head *host.HeaderMap) {
	st.status = finishHead(st.server.spec.manager, head)
	st.response = head
	writeHeaders(st.w.Header(), head)
	st.w.WriteHeader(st.status)
}

// finish ends the filters' contexts and writes the access log. It runs after a
// panic too, which is how a response that has begun is broken off.
func (st *stream) finish() {
	for _, f := range st.filters {
		f.OnDone()
	}
	st.server.stats.response(st.status)
	for _, format := range st.server.spec.manager.accessLogs {
		io.WriteString(st.server.gateway.options.AccessLog, format.line(st))
	}
	if st.watched() {
		st.server.gateway.options.OnStream(st.event())
	}
}

func (st *stream) localAddress() string {
	address, _ := st.r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if address == nil {
		return ""
	}
	return address.String()
}
