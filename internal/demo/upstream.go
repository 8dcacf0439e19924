package demo

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/coder/websocket"
)

// maxEcho bounds the part of a request's body that is echoed, in bytes.
const maxEcho = 64 << 10

// Upstream returns the demo API. It is a deliberately careless upstream: every
// response carries its own `Access-Control-Allow-Origin: *`, which the filter
// must replace.
//
//	any  /api/...             JSON echo of method, path, headers and body
//	any  /api/status/{code}   answers with that status
//	any  /api/redirect        302 to /api/redirected, with the same query
//	any  /api/slow?ms=1000    waits before it answers, 30 s at most
//	any  /api/stream?n=5      n lines, 200 ms apart, 100 at most
//	GET  /api/ws              WebSocket that echoes messages
func Upstream() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/api/", echo)
	mux.HandleFunc("/api/status/{code}", status)
	mux.HandleFunc("/api/redirect", func(w http.ResponseWriter, r *http.Request) {
		target := url.URL{Path: "/api/redirected", RawQuery: r.URL.RawQuery}
		w.Header().Set("Location", target.String())
		w.WriteHeader(http.StatusFound)
	})
	mux.HandleFunc("/api/slow", slow)
	mux.HandleFunc("/api/stream", stream)
	mux.HandleFunc("GET /api/ws", echoMessages)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		w.Header().Set("X-Demo-Upstream", "corsctl")
		mux.ServeHTTP(w, r)
	})
}

// Echo is the JSON that the API answers with.
type Echo struct {
	Method  string              `json:"method"`
	Path    string              `json:"path"`
	Host    string              `json:"host"`
	Headers map[string][]string `json:"headers"`
	Body    string              `json:"body,omitempty"`
}

func echo(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxEcho))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	headers := make(map[string][]string, len(r.Header))
	for name, values := range r.Header {
		headers[strings.ToLower(name)] = values
	}
	w.Header().Set("Content-Type", "application/json")
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	encoder.Encode(Echo{Method: r.Method, Path: r.RequestURI, Host: r.Host, Headers: headers, Body: string(body)})
}

func status(w http.ResponseWriter, r *http.Request) {
	code, err := strconv.Atoi(r.PathValue("code"))
	if err != nil || code < 200 || code > 599 {
		http.Error(w, "a status is a number from 200 to 599", http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "text/plain")
	w.WriteHeader(code)
	if code != http.StatusNoContent && code != http.StatusNotModified {
		fmt.Fprintf(w, "%d %s\n", code, http.StatusText(code))
	}
}

func slow(w http.ResponseWriter, r *http.Request) {
	wait := time.NewTimer(time.Duration(number(r, "ms", 1000, 30_000)) * time.Millisecond)
	defer wait.Stop()
	select {
	case <-wait.C:
		echo(w, r)
	case <-r.Context().Done():
	}
}

func stream(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain")
	controller := http.NewResponseController(w)
	for i := range number(r, "n", 5, 100) {
		if i > 0 {
			select {
			case <-time.After(200 * time.Millisecond):
			case <-r.Context().Done():
				return
			}
		}
		fmt.Fprintf(w, "chunk %d\n", i+1)
		if controller.Flush() != nil {
			return
		}
	}
}

// number reads a query parameter between 0 and most.
func number(r *http.Request, name string, otherwise, most int) int {
	n, err := strconv.Atoi(r.URL.Query().Get(name))
	if err != nil || n < 0 {
		return otherwise
	}
	return min(n, most)
}

func echoMessages(w http.ResponseWriter, r *http.Request) {
	// The origin is left unchecked on purpose: that is the filter's part
	// (disallowed_requests: reject).
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
	if err != nil {
		return
	}
	defer conn.CloseNow()
	for {
		kind, message, err := conn.Read(r.Context())
		if err != nil {
			return
		}
		if conn.Write(r.Context(), kind, message) != nil {
			return
		}
	}
}
