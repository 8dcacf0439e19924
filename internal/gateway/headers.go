package gateway

import (
	"crypto/rand"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"

	"corsfilter/internal/host"
)

// maxHeaderCount is Envoy's default for max_headers_count.
const maxHeaderCount = 100

// hopByHop never pass a proxy (RFC 9110, section 7.6.1). Connection and upgrade
// are dealt with apart, as a WebSocket handshake needs them.
var hopByHop = []string{"keep-alive", "proxy-connection", "transfer-encoding", "trailer", "te", "expect", "http2-settings"}

// requestHeaders builds what the filters see, the way Envoy's connection
// manager does. net/http keeps no order between names, so they are sorted.
func requestHeaders(m *manager, r *http.Request) *host.HeaderMap {
	path := r.RequestURI
	if !strings.HasPrefix(path, "/") && r.URL.Host != "" { // absolute form, RFC 9112, section 3.2.2
		path = r.URL.RequestURI()
	}
	h := host.NewHeaderMap([2]string{":authority", r.Host}, [2]string{":path", path}, [2]string{":method", r.Method})
	for _, name := range slices.Sorted(maps.Keys(r.Header)) {
		for _, value := range r.Header[name] {
			h.Add(strings.ToLower(name), value)
		}
	}
	trailers := slices.ContainsFunc(h.Values("te"), func(value string) bool { return containsToken(value, "trailers") })
	stripHopByHop(h)
	if trailers {
		h.Add("te", "trailers")
	}
	setForwarded(m, h, r)
	return h
}

// setForwarded sets what tells upstream about the connection. With
// use_remote_address unset, Envoy takes itself for an inner proxy and believes
// the client's x-forwarded-proto; it also sets :scheme after it for HTTP/1,
// which carries none. With use_remote_address nothing of that is believed.
func setForwarded(m *manager, h *host.HeaderMap, r *http.Request) {
	proto, given := h.Get("x-forwarded-proto")
	if m.useRemoteAddress {
		client, _, _ := net.SplitHostPort(r.RemoteAddr)
		forwarded := client
		if list := h.Values("x-forwarded-for"); len(list) > 0 {
			forwarded = strings.Join(list, ",") + "," + client
		}
		h.Replace("x-forwarded-for", forwarded)
		h.Replace("x-envoy-external-address", client)
	}
	if m.useRemoteAddress || !given {
		proto = "http" // listeners here have no TLS
		h.Replace("x-forwarded-proto", proto)
	}
	scheme := "http"
	if r.ProtoMajor == 1 && strings.EqualFold(proto, "https") {
		scheme = "https"
	}
	h.Replace(":scheme", scheme)
	if _, ok := h.Get("x-request-id"); m.generateRequestID && (!ok || m.useRemoteAddress) {
		h.Replace("x-request-id", newRequestID())
	}
}

// newRequestID returns a random UUID (RFC 9562, version 4).
func newRequestID() string {
	var id [16]byte
	rand.Read(id[:])
	id[6] = id[6]&0x0f | 0x40
	id[8] = id[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", id[0:4], id[4:6], id[6:8], id[8:10], id[10:])
}

// isUpgrade reports a request to leave HTTP/1.1. One for h2c is none: Envoy
// ignores it and answers in HTTP/1.1.
func isUpgrade(h *host.HeaderMap) bool {
	_, ok := h.Get("upgrade")
	return ok
}

func (st *stream) isWebSocket() bool {
	protocol, _ := st.request.Get("upgrade")
	return st.server.spec.manager.websocket && strings.EqualFold(protocol, "websocket")
}

// stripHopByHop removes what concerns one connection, and what the sender
// nominated in Connection. An upgrade is kept together with its Connection.
func stripHopByHop(h *host.HeaderMap) {
	upgrade, _ := h.Get("upgrade")
	upgrading := false
	for _, value := range h.Values("connection") {
		for name := range strings.SplitSeq(value, ",") {
			name = strings.ToLower(strings.Trim(name, " \t"))
			switch name {
			case "upgrade":
				upgrading = upgrade != "" && !strings.EqualFold(upgrade, "h2c")
			case "", "close", "keep-alive":
			default:
				h.Remove(name)
			}
		}
	}
	h.Remove("connection")
	if upgrading {
		h.Add("connection", "upgrade")
	} else {
		h.Remove("upgrade")
	}
	for _, name := range hopByHop {
		h.Remove(name)
	}
}

func containsToken(list, token string) bool {
	for element := range strings.SplitSeq(list, ",") {
		element, _, _ = strings.Cut(element, ";")
		if strings.EqualFold(strings.Trim(element, " \t"), token) {
			return true
		}
	}
	return false
}

// finishHead adds what Envoy adds behind the filters and returns the status. A
// status that a filter made unusable becomes 503.
func finishHead(m *manager, head *host.HeaderMap) int {
	text, _ := head.Get(":status")
	status, err := strconv.Atoi(text)
	if err != nil || status < 200 && status != http.StatusSwitchingProtocols || status > 599 {
		status = http.StatusServiceUnavailable
		head.Replace(":status", strconv.Itoa(status))
	}
	_, given := head.Get("server")
	if m.serverHeader == hcmv3.HttpConnectionManager_OVERWRITE ||
		m.serverHeader == hcmv3.HttpConnectionManager_APPEND_IF_ABSENT && !given {
		head.Replace("server", m.serverName)
	}
	if _, ok := head.Get("date"); !ok {
		head.Replace("date", time.Now().UTC().Format(http.TimeFormat))
	}
	return status
}

// writeHeaders hands the headers to net/http, in lower case as Envoy sends
// them. Content-Length is the exception: net/http frames the message by it and
// knows it in this spelling only.
func writeHeaders(to http.Header, head *host.HeaderMap) {
	// A nil entry keeps net/http from adding a second one of its own.
	to["Date"], to["Content-Type"] = nil, nil
	for name, value := range head.All() {
		switch {
		case strings.HasPrefix(name, ":"):
		case name == "content-length":
			to.Set(name, value)
		default:
			to[name] = append(to[name], value)
		}
	}
}
