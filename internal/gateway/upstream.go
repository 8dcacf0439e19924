package gateway

import (
	"context"
	"errors"
	"maps"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"corsfilter/internal/host"
)

var errTimeout = errors.New("upstream request timeout")

// proxy forwards the request to the route's cluster and streams the response,
// through the response callbacks of the filters.
func (st *stream) proxy() {
	g := st.gateway
	cluster := st.route.cluster
	if st.upstreamHost = g.endpoint(cluster); st.upstreamHost == "" {
		st.reply(&reply{status: http.StatusServiceUnavailable, body: []byte("no healthy upstream"), details: "no_healthy_upstream"})
		return
	}
	ctx, cancel := context.WithCancelCause(st.r.Context())
	defer cancel(nil)
	if st.isWebSocket() {
		// It would never finish by itself, and net/http forgets such connections.
		defer context.AfterFunc(g.drain, func() { cancel(nil) })()
	} else {
		defer time.AfterFunc(g.options.UpstreamTimeout, func() { cancel(errTimeout) }).Stop()
	}
	sent := time.Now()
	proxy := httputil.ReverseProxy{
		Rewrite:       st.rewrite,
		Transport:     st.generation.transports[cluster.name],
		FlushInterval: -1, // each chunk as it comes
		ErrorLog:      g.log.standard(),
		ModifyResponse: func(response *http.Response) error {
			return st.encodeUpstream(response, time.Since(sent))
		},
		ErrorHandler: func(_ http.ResponseWriter, request *http.Request, err error) {
			st.upstreamFailed(request.Context(), err)
		},
	}
	complete := false
	defer func() {
		if !complete { // it panics, so that a response cut off does not look complete
			st.cutOff(ctx)
		}
	}()
	proxy.ServeHTTP(&lowerCase{ResponseWriter: st.w, header: http.Header{}}, st.filtered(ctx))
	complete = true
}

// forwarded are the fields that ReverseProxy takes out of what it sends, and that
// Envoy lets pass.
var forwarded = []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"}

// rewrite makes the request for upstream.
func (st *stream) rewrite(p *httputil.ProxyRequest) {
	for _, name := range forwarded {
		if values, ok := p.In.Header[name]; ok {
			p.Out.Header[name] = values
		}
	}
	path, _ := st.request.Get(":path")
	p.Out.URL = &url.URL{Scheme: "http", Host: st.upstreamHost, Opaque: path}
	if parsed, err := url.ParseRequestURI(path); err == nil && strings.HasPrefix(path, "//") {
		// Opaque would be taken for an authority here.
		p.Out.URL = parsed
		p.Out.URL.Scheme, p.Out.URL.Host = "http", st.upstreamHost
	}
}

// filtered is the request as the filters left it.
func (st *stream) filtered(ctx context.Context) *http.Request {
	request := st.r.WithContext(ctx)
	request.Method, _ = st.request.Get(":method")
	request.Host, _ = st.request.Get(":authority")
	request.Header = http.Header{}
	for name, value := range st.request.All() {
		if !strings.HasPrefix(name, ":") {
			request.Header.Add(name, value)
		}
	}
	return request
}

// encodeUpstream runs the response callbacks over upstream's response.
func (st *stream) encodeUpstream(response *http.Response, took time.Duration) error {
	head := host.NewHeaderMap([2]string{":status", strconv.Itoa(response.StatusCode)})
	for _, name := range slices.Sorted(maps.Keys(response.Header)) {
		for _, value := range response.Header[name] {
			head.Add(name, value)
		}
	}
	head.Replace("x-envoy-upstream-service-time", strconv.FormatInt(took.Milliseconds(), 10))
	st.details = "via_upstream"
	if failure := st.encode(head, response.Body == http.NoBody); failure != nil {
		return failedReply{failure}
	}
	st.finishHead(head)
	response.StatusCode, response.Status = st.status, ""
	response.Header = http.Header{}
	for name, value := range head.All() {
		if !strings.HasPrefix(name, ":") {
			response.Header.Add(name, value)
		}
	}
	return nil
}

// failedReply is the reply that stands in for a response whose filter has
// failed. No further filter sees it.
type failedReply struct{ *reply }

func (failedReply) Error() string { return "a filter has failed" }

// upstreamFailed answers for an upstream that gave no response, in Envoy's
// words.
func (st *stream) upstreamFailed(ctx context.Context, err error) {
	if failed, ok := err.(failedReply); ok {
		st.details = failed.details
		head := failed.head()
		st.send(head, failed.body)
		return
	}
	if errors.Is(context.Cause(ctx), errTimeout) {
		st.reply(&reply{status: http.StatusGatewayTimeout, body: []byte("upstream request timeout"), details: "upstream_response_timeout"})
		return
	}
	if st.r.Context().Err() != nil {
		panic(http.ErrAbortHandler)
	}
	status, reason, failure := http.StatusServiceUnavailable, "connection termination", ""
	var operation *net.OpError
	switch {
	case errors.As(err, &operation) && operation.Op == "dial" && operation.Timeout():
		reason = "connection timeout"
	case errors.As(err, &operation) && operation.Op == "dial":
		reason, failure = "remote connection failure", "delayed connect error: "+cause(err)
	case strings.Contains(err.Error(), "malformed"): // net/http has no type for it
		status, reason = http.StatusBadGateway, "protocol error"
	}
	text := "upstream connect error or disconnect/reset before headers. reset reason: " + reason
	details := reason
	if failure != "" {
		text += ", transport failure reason: " + failure
		details += "|" + failure
	}
	st.reply(&reply{status: status, body: []byte(text), details: "upstream_reset_before_response_started{" + strings.ReplaceAll(details, " ", "_") + "}"})
}

// cutOff records why a response ended before its end.
func (st *stream) cutOff(ctx context.Context) {
	switch {
	case errors.Is(context.Cause(ctx), errTimeout):
		st.details = "upstream_response_timeout"
	case st.r.Context().Err() != nil:
		st.details = "downstream_remote_disconnect"
	default:
		st.details = "upstream_reset_after_response_started{connection_termination}"
	}
}

// cause is the system's text of an error, with the capital that C libraries
// give it.
func cause(err error) string {
	text := err.Error()
	var number syscall.Errno
	if errors.As(err, &number) {
		text = number.Error()
	}
	return strings.ToUpper(text[:1]) + text[1:]
}
