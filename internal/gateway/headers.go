package gateway

import (
	"iter"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"corsfilter/internal/host"
)

// requestHeaders builds what the filters see, the way Envoy's connection manager
// does. net/http keeps no order between names, so they are sorted.
//
// Envoy takes itself for an inner proxy where use_remote_address is unset: it
// believes the client's x-forwarded-proto, and sets :scheme after it for HTTP/1,
// which carries none.
func requestHeaders(r *http.Request) *host.HeaderMap {
	path := r.RequestURI
	if !strings.HasPrefix(path, "/") && r.URL.Host != "" { // absolute form, RFC 9112, section 3.2.2
		path = r.URL.RequestURI()
	}
	h := host.NewHeaderMap([2]string{":authority", r.Host}, [2]string{":path", path}, [2]string{":method", r.Method})
	for _, name := range slices.Sorted(maps.Keys(r.Header)) {
		for _, value := range r.Header[name] {
			h.Add(name, value)
		}
	}
	if protocol, _ := h.Get("upgrade"); strings.EqualFold(protocol, "h2c") {
		h.Remove("upgrade") // Envoy ignores it and answers in HTTP/1.1
	}
	proto, given := h.Get("x-forwarded-proto")
	if !given {
		proto = "http" // listeners here have no TLS
		h.Add("x-forwarded-proto", proto)
	}
	scheme := "http"
	if r.ProtoMajor == 1 && strings.EqualFold(proto, "https") {
		scheme = "https"
	}
	h.Replace(":scheme", scheme)
	return h
}

// finishHead adds what Envoy adds behind the filters and takes the status. One
// that a filter made unusable becomes 503.
func (st *stream) finishHead(head *host.HeaderMap) {
	text, _ := head.Get(":status")
	status, err := strconv.Atoi(text)
	if err != nil || status < 200 && status != http.StatusSwitchingProtocols || status > 599 {
		status = http.StatusServiceUnavailable
		head.Replace(":status", strconv.Itoa(status))
	}
	head.Replace("server", "envoy")
	if _, ok := head.Get("date"); !ok {
		head.Replace("date", time.Now().UTC().Format(http.TimeFormat))
	}
	st.status, st.response = status, head
}

// writeHeaders hands fields to net/http, in lower case as Envoy sends them.
// Content-Length is the exception: net/http frames the message by it and knows it
// in this spelling only.
func writeHeaders(to http.Header, fields iter.Seq2[string, string]) {
	// A nil entry keeps net/http from adding a second one of its own.
	to["Date"], to["Content-Type"] = nil, nil
	for name, value := range fields {
		name = strings.ToLower(name)
		switch {
		case strings.HasPrefix(name, ":"):
		case name == "content-length":
			to.Set(name, value)
		default:
			to[name] = append(to[name], value)
		}
	}
}

// lowerCase is a response writer for ReverseProxy, which spells names as Go does.
type lowerCase struct {
	http.ResponseWriter
	header http.Header
}

func (w *lowerCase) Header() http.Header { return w.header }

// Unwrap is how http.ResponseController finds what flushes and hijacks.
func (w *lowerCase) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *lowerCase) WriteHeader(status int) {
	if status < 200 { // Envoy passes no 1xx on
		return
	}
	writeHeaders(w.ResponseWriter.Header(), func(yield func(string, string) bool) {
		for name, values := range w.header {
			for _, value := range values {
				if !yield(name, value) {
					return
				}
			}
		}
	})
	w.ResponseWriter.WriteHeader(status)
}
