package serve

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httputil"
	"slices"
	"strconv"
	"strings"
	"time"

	"corsfilter/internal/demo"
	"corsfilter/internal/host"
)

// exchange is one request with its response: through the filter, to upstream, and
// through the filter again.
type exchange struct {
	proxy   *Proxy
	w       http.ResponseWriter
	r       *http.Request
	began   time.Time
	filter  *host.Stream
	request *host.HeaderMap

	// What the access log says.
	response *host.HeaderMap // nil: nothing was sent
	status   int
	details  string
}

// requestHeaders builds what the filter sees, the way Envoy's connection manager
// does. net/http keeps no order between names, so they are sorted.
//
// Envoy takes itself for an inner proxy where use_remote_address is unset: it
// believes the client's x-forwarded-proto, and sets :scheme after it.
func requestHeaders(r *http.Request) *host.HeaderMap {
	h := host.NewHeaderMap([2]string{":authority", r.Host}, [2]string{":path", r.RequestURI}, [2]string{":method", r.Method})
	for _, name := range slices.Sorted(maps.Keys(r.Header)) {
		for _, value := range r.Header[name] {
			h.Add(name, value)
		}
	}
	scheme := "http"
	switch proto, given := h.Get("x-forwarded-proto"); {
	case !given:
		h.Add("x-forwarded-proto", scheme)
	case strings.EqualFold(proto, "https"):
		scheme = "https"
	}
	h.Replace(":scheme", scheme)
	return h
}

func (x *exchange) serve() {
	action, failure := x.filter.OnRequestHeaders(x.request, x.r.Body == http.NoBody)
	switch {
	case failure != nil:
		x.reply(failure)
	case action == host.ActionPause:
		x.reply(paused)
	default:
		x.forward()
	}
}

// paused answers for a filter that stops a request without a reply: what it may wait
// for, a call or a queue, is not offered here.
var paused = &host.LocalReply{
	Status:  http.StatusServiceUnavailable,
	Body:    []byte("the filter paused this request, and nothing here could resume it\n"),
	Details: "paused_by_filter",
}

// reply sends a response made here. It passes the response callback of the filter,
// as in Envoy.
func (x *exchange) reply(r *host.LocalReply) {
	x.details = r.Details
	head := headOf(r)
	if failure := x.encode(head, len(r.Body) == 0); failure != nil {
		x.send(failure)
		return
	}
	x.write(head, r.Body)
}

// send is reply for what the filter does not see.
func (x *exchange) send(r *host.LocalReply) {
	x.details = r.Details
	x.write(headOf(r), r.Body)
}

func (x *exchange) write(head *host.HeaderMap, body []byte) {
	copyHeaders(x.w.Header(), x.take(head))
	x.w.WriteHeader(x.status)
	if x.r.Method != http.MethodHead {
		x.w.Write(body)
	}
}

func headOf(r *host.LocalReply) *host.HeaderMap {
	head := host.NewHeaderMap([2]string{":status", strconv.Itoa(r.Status)})
	if len(r.Body) > 0 {
		head.Add("content-type", "text/plain")
	}
	if r.Headers != nil {
		for name, value := range r.Headers.All() {
			if name == "content-type" {
				head.Remove(name)
			}
			head.Add(name, value)
		}
	}
	return head
}

// encode runs the response callback. What it returns goes out instead.
func (x *exchange) encode(head *host.HeaderMap, end bool) *host.LocalReply {
	action, failure := x.filter.OnResponseHeaders(head, end)
	if failure == nil && action == host.ActionPause {
		return paused
	}
	return failure
}

// take notes what goes out. A status that the filter made unusable becomes 503.
func (x *exchange) take(head *host.HeaderMap) *host.HeaderMap {
	text, _ := head.Get(":status")
	status, err := strconv.Atoi(text)
	if err != nil || status < 200 && status != http.StatusSwitchingProtocols || status > 599 {
		status = http.StatusServiceUnavailable
	}
	x.status, x.response = status, head
	return head
}

func copyHeaders(to http.Header, from *host.HeaderMap) {
	for name, value := range from.All() {
		if !strings.HasPrefix(name, ":") {
			to.Add(name, value)
		}
	}
}

// forward sends the request to upstream, and streams the response.
func (x *exchange) forward() {
	ctx, cancel := context.WithCancel(x.r.Context())
	defer cancel()
	if _, upgrade := x.request.Get("upgrade"); upgrade {
		// It would never finish by itself, and net/http forgets such connections.
		defer context.AfterFunc(x.proxy.ending, cancel)()
	}
	proxy := httputil.ReverseProxy{
		Rewrite:        x.rewrite,
		Transport:      x.proxy.transport,
		FlushInterval:  -1, // each chunk as it comes
		ErrorLog:       x.proxy.log.standard(),
		ModifyResponse: x.encodeUpstream,
		ErrorHandler:   x.upstreamFailed,
	}
	complete := false
	defer func() {
		if !complete { // it panics, so that a response cut off does not look complete
			x.details = "response_cut_off"
		}
	}()
	request := x.r.WithContext(ctx)
	request.Header = http.Header{}
	copyHeaders(request.Header, x.request) // as the filter left them
	proxy.ServeHTTP(x.w, request)
	complete = true
}

// rewrite makes the request for upstream: to another address, and else as it came.
func (x *exchange) rewrite(p *httputil.ProxyRequest) {
	p.Out.URL.Scheme, p.Out.URL.Host, p.Out.URL.RawQuery = "http", x.proxy.options.Upstream, p.In.URL.RawQuery
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"} {
		if values, ok := p.In.Header[name]; ok {
			p.Out.Header[name] = values
		}
	}
}

// encodeUpstream runs the response callback over upstream's response.
func (x *exchange) encodeUpstream(response *http.Response) error {
	head := host.NewHeaderMap([2]string{":status", strconv.Itoa(response.StatusCode)})
	for _, name := range slices.Sorted(maps.Keys(response.Header)) {
		for _, value := range response.Header[name] {
			head.Add(name, value)
		}
	}
	if failure := x.encode(head, response.Body == http.NoBody); failure != nil {
		return filterFailed{failure}
	}
	x.details, response.Header = "via_upstream", http.Header{}
	copyHeaders(response.Header, x.take(head))
	response.StatusCode = x.status
	return nil
}

// filterFailed is the reply that stands in for a response whose filter has failed.
type filterFailed struct{ *host.LocalReply }

func (filterFailed) Error() string { return "the filter has failed" }

// upstreamFailed answers for an upstream that gave no response.
func (x *exchange) upstreamFailed(_ http.ResponseWriter, _ *http.Request, err error) {
	if failed, ok := err.(filterFailed); ok {
		x.send(failed.LocalReply)
		return
	}
	if x.r.Context().Err() != nil { // nobody waits for it
		panic(http.ErrAbortHandler)
	}
	x.reply(&host.LocalReply{
		Status:  http.StatusServiceUnavailable,
		Details: "upstream_reset_before_response_started",
		Body:    fmt.Appendf(nil, "http://%s does not answer: %v\n", x.proxy.options.Upstream, cause(err)),
	})
}

// cause is the innermost error, without the names of the calls around it.
func cause(err error) error {
	for inner := errors.Unwrap(err); inner != nil; inner = errors.Unwrap(inner) {
		err = inner
	}
	return err
}

// finish ends the filter's context and reports the exchange. It runs after a panic
// too, which is how a response that has begun is broken off.
func (x *exchange) finish() {
	x.filter.OnDone()
	origin, ok := x.request.Get("origin")
	if !ok {
		origin = "-"
	}
	io.WriteString(x.proxy.options.AccessLog, printable(fmt.Sprintf("\"%s %s\" %d %s origin=\"%s\" %dms",
		x.r.Method, x.r.RequestURI, x.status, x.details, origin, time.Since(x.began).Milliseconds()))+"\n")
	if x.proxy.options.OnEvent == nil {
		return
	}
	e := demo.Event{
		Time: x.began, Method: x.r.Method, Authority: x.r.Host, Path: x.r.RequestURI, Status: x.status, Details: x.details,
		Request: demo.Pick(demo.RequestHeaders, x.request.Get), Response: [][2]string{},
	}
	if x.response != nil {
		e.Response = demo.Pick(demo.ResponseHeaders, x.response.Get)
	}
	x.proxy.options.OnEvent(e)
}
