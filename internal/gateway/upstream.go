package gateway

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"corsfilter/internal/host"
)

var errTimeout = errors.New("route timeout")

// proxy forwards the request to the route's cluster and streams the response.
func (st *stream) proxy() {
	p := st.server.gateway.pools[st.route.cluster.name]
	address, ok := p.pick(st.r.Context())
	if !ok {
		st.reply(&reply{
			status:  http.StatusServiceUnavailable,
			body:    []byte("no healthy upstream"),
			details: "no_healthy_upstream",
			flags:   flagNoHealthyUpstream,
		})
		return
	}
	st.upstreamHost = address
	ctx, cancel := context.WithCancelCause(st.r.Context())
	defer cancel(nil)
	body := &requestBody{from: st.r.Body, received: &st.received}
	// The transport may still be reading when the response is complete.
	defer body.Close()
	websocket := st.isWebSocket()
	if timeout := st.route.timeout; timeout > 0 && !websocket {
		// Envoy's clock starts when the whole request is here.
		var timer atomic.Pointer[time.Timer]
		body.complete = func() { timer.Store(time.AfterFunc(timeout, func() { cancel(errTimeout) })) }
		defer func() {
			if running := timer.Load(); running != nil {
				running.Stop()
			}
		}()
	}
	if st.r.Body == http.NoBody {
		body.finished()
	} else if st.r.ProtoMajor == 1 {
		// net/http would otherwise read the whole request before the response.
		http.NewResponseController(st.w).EnableFullDuplex()
	}
	request, err := st.upstreamRequest(ctx, address, body)
	if err != nil {
		st.reply(&reply{status: http.StatusServiceUnavailable, details: "upstream_reset_before_response_started{protocol_error}", flags: flagUpstreamProtocolError})
		return
	}
	sent := time.Now()
	response, err := p.transport.RoundTrip(request)
	if err != nil {
		st.upstreamFailed(ctx, body, err)
		return
	}
	defer response.Body.Close()
	head := responseHeaders(response)
	st.details = "via_upstream"
	if !st.server.spec.manager.suppressEnvoyHeaders {
		head.Replace("x-envoy-upstream-service-time", strconv.FormatInt(time.Since(sent).Milliseconds(), 10))
	}
	st.applyRoute(head)
	if !st.encode(head, response.Body == http.NoBody) {
		return
	}
	if response.StatusCode == http.StatusSwitchingProtocols {
		st.tunnel(head, response)
		return
	}
	st.sendHead(head)
	st.stream(ctx, body, response.Body)
}

// upstreamRequest builds the request from the headers as the filters left them.
func (st *stream) upstreamRequest(ctx context.Context, address string, body *requestBody) (*http.Request, error) {
	authority, _ := st.request.Get(":authority")
	if st.route.hostRewrite != "" {
		authority = st.route.hostRewrite
	}
	method, _ := st.request.Get(":method")
	original, _ := st.request.Get(":path")
	path := st.route.rewrite(original)
	suppress := st.server.spec.manager.suppressEnvoyHeaders
	if path != original && !suppress {
		st.request.Replace("x-envoy-original-path", original)
	}
	if timeout := st.route.timeout; timeout > 0 && !suppress {
		st.request.Replace("x-envoy-expected-rq-timeout-ms", strconv.FormatInt(timeout.Milliseconds(), 10))
	}
	target := &url.URL{Scheme: "http", Host: address, Opaque: path}
	if strings.HasPrefix(path, "//") {
		// Opaque would be taken for an authority here.
		parsed, err := url.ParseRequestURI(path)
		if err != nil {
			return nil, err
		}
		target.Opaque, target.Path, target.RawPath, target.RawQuery = "", parsed.Path, parsed.RawPath, parsed.RawQuery
	}
	request := &http.Request{
		Method:        method,
		URL:           target,
		Host:          authority,
		Header:        http.Header{},
		Body:          body,
		ContentLength: st.r.ContentLength,
	}
	if st.r.Body == http.NoBody {
		request.Body, request.ContentLength = nil, 0
	}
	request.Header["User-Agent"] = nil // none of Go's own
	for name, value := range st.request.All() {
		if !strings.HasPrefix(name, ":") {
			request.Header.Add(name, value)
		}
	}
	return request.WithContext(ctx), nil
}

func responseHeaders(response *http.Response) *host.HeaderMap {
	h := host.NewHeaderMap([2]string{":status", strconv.Itoa(response.StatusCode)})
	names := make([]string, 0, len(response.Header))
	for name := range response.Header {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		for _, value := range response.Header[name] {
			h.Add(strings.ToLower(name), value)
		}
	}
	stripHopByHop(h)
	if response.StatusCode != http.StatusSwitchingProtocols {
		h.Remove("connection")
		h.Remove("upgrade")
	}
	return h
}

// upstreamFailed answers for an upstream that gave no response, in Envoy's
// words.
func (st *stream) upstreamFailed(ctx context.Context, body *requestBody, err error) {
	if errors.Is(context.Cause(ctx), errTimeout) {
		st.reply(&reply{
			status:  http.StatusGatewayTimeout,
			body:    []byte("upstream request timeout"),
			details: "upstream_response_timeout",
			flags:   flagUpstreamTimeout,
		})
		return
	}
	if st.r.Context().Err() != nil || body.broken.Load() {
		st.disconnected()
		panic(http.ErrAbortHandler)
	}
	status, reason, failure, flags := http.StatusServiceUnavailable, "connection termination", "", flagConnectionTermination
	var operation *net.OpError
	switch {
	case errors.As(err, &operation) && operation.Op == "dial" && operation.Timeout():
		reason, flags = "connection timeout", flagConnectionFailure
	case errors.As(err, &operation) && operation.Op == "dial":
		reason, flags = "remote connection failure", flagConnectionFailure
		failure = "delayed connect error: " + cause(err)
	case strings.Contains(err.Error(), "malformed"): // net/http has no type for it
		status, reason, flags = http.StatusBadGateway, "protocol error", flagUpstreamProtocolError
	}
	text := "upstream connect error or disconnect/reset before headers. reset reason: " + reason
	details := reason
	if failure != "" {
		text += ", transport failure reason: " + failure
		details += "|" + failure
	}
	st.reply(&reply{
		status:  status,
		body:    []byte(text),
		details: "upstream_reset_before_response_started{" + strings.ReplaceAll(details, " ", "_") + "}",
		flags:   flags,
	})
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

// stream copies the response body, each chunk as it comes.
func (st *stream) stream(ctx context.Context, request *requestBody, body io.Reader) {
	controller := http.NewResponseController(st.w)
	buffer := make([]byte, 32<<10)
	for {
		n, err := body.Read(buffer)
		if n > 0 {
			written, failed := st.w.Write(buffer[:n])
			st.sent.Add(int64(written))
			if failed == nil {
				failed = controller.Flush()
			}
			if failed != nil && !errors.Is(failed, http.ErrBodyNotAllowed) {
				st.disconnected()
				panic(http.ErrAbortHandler)
			}
		}
		switch {
		case err == nil:
			continue
		case err == io.EOF:
			return
		case errors.Is(context.Cause(ctx), errTimeout):
			st.details, st.flags = "upstream_response_timeout", flagUpstreamTimeout
		case st.r.Context().Err() != nil || request.broken.Load():
			st.disconnected()
		default:
			st.details, st.flags = "upstream_reset_after_response_started{connection_termination}", flagConnectionTermination
		}
		// A response that was cut off must not look complete.
		panic(http.ErrAbortHandler)
	}
}

// tunnel completes a WebSocket handshake and copies both ways until one side
// is done.
func (st *stream) tunnel(head *host.HeaderMap, response *http.Response) {
	upstream, ok := response.Body.(io.ReadWriteCloser)
	if !ok {
		panic(http.ErrAbortHandler)
	}
	conn, buffered, err := http.NewResponseController(st.w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	defer conn.Close()
	defer st.server.gateway.hijack(conn)()
	st.status = finishHead(st.server.spec.manager, head)
	st.response = head
	if err := writeHandshake(conn, st.status, head); err != nil {
		st.disconnected()
		return
	}
	var both sync.WaitGroup
	both.Go(func() {
		n, _ := io.Copy(upstream, buffered.Reader)
		st.received.Add(n)
		upstream.Close()
	})
	both.Go(func() {
		n, _ := io.Copy(conn, upstream)
		st.sent.Add(n)
		conn.Close()
	})
	both.Wait()
}

func writeHandshake(conn net.Conn, status int, head *host.HeaderMap) error {
	w := bufio.NewWriter(conn)
	fmt.Fprintf(w, "HTTP/1.1 %d %s\r\n", status, http.StatusText(status))
	for name, value := range head.All() {
		if !strings.HasPrefix(name, ":") {
			fmt.Fprintf(w, "%s: %s\r\n", name, value)
		}
	}
	w.WriteString("\r\n")
	return w.Flush()
}

// requestBody counts what the client sends and knows how it ended.
type requestBody struct {
	from     io.ReadCloser
	received *atomic.Int64
	complete func() // nil: none; called once
	once     sync.Once
	broken   atomic.Bool // the client went away in the middle
}

func (b *requestBody) Read(p []byte) (int, error) {
	n, err := b.from.Read(p)
	b.received.Add(int64(n))
	switch {
	case err == io.EOF:
		b.finished()
	case err != nil && !errors.Is(err, http.ErrBodyReadAfterClose):
		b.broken.Store(true)
	}
	return n, err
}

func (b *requestBody) Close() error { return b.from.Close() }

func (b *requestBody) finished() {
	b.once.Do(func() {
		if b.complete != nil {
			b.complete()
		}
	})
}
