package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"corsfilter/internal/envoy"
	"corsfilter/internal/envoytest"
)

// changing are the parts of a response that differ from one to the next.
var changing = regexp.MustCompile(`(?mi)^(date|x-envoy-upstream-service-time): .*$`)

// raw sends a request unchanged and returns the response's bytes.
func raw(t *testing.T, address, request string) string {
	t.Helper()
	connection, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	if _, err := io.WriteString(connection, request); err != nil {
		t.Fatal(err)
	}
	response, err := io.ReadAll(bufio.NewReader(connection))
	if err != nil {
		t.Fatal(err)
	}
	return changing.ReplaceAllString(string(response), "$1: -")
}

// TestShadowTouchesNothingInEnvoy compares responses byte for byte with those of a
// listener that does not have the filter.
func TestShadowTouchesNothingInEnvoy(t *testing.T) {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		w.Header().Set("Access-Control-Allow-Credentials", "true")
		w.Header().Set("X-Cors-Decision", "upstream's own")
		w.Header().Set("Timing-Allow-Origin", "*")
		w.Header().Add("Vary", "accept-encoding")
		fmt.Fprintf(w, "%s %s, origin %q\n", r.Method, r.URL, r.Header.Get("Origin"))
	}))
	defer upstream.Close()
	server := envoytest.Start(t, envoytest.Bootstrap{
		Upstream: upstream.Listener.Addr().String(),
		Listeners: []envoytest.Listener{{Name: "absent"}, {Name: "shadow", Policy: `{
		  "allow_origins": ["https://shop.example.com"], "allow_credentials": true, "expose_headers": "x-a",
		    "timing_allow_origins": ["https://a.example"],
		  "disallowed_requests": "reject", "debug": true, "mode": "shadow"
		}`}},
	}, envoy.Options{})
	for _, request := range []string{
		"GET / HTTP/1.1\r\n",
		"GET /a HTTP/1.1\r\norigin: https://shop.example.com\r\n",
		"POST /a HTTP/1.1\r\norigin: https://evil.example\r\ncontent-length: 0\r\n",
		"HEAD /a HTTP/1.1\r\norigin: null\r\n",
		"OPTIONS /a HTTP/1.1\r\norigin: https://shop.example.com\r\naccess-control-request-method: PUT\r\n",
		"OPTIONS /a HTTP/1.1\r\norigin: https://evil.example\r\naccess-control-request-method: PUT\r\naccess-control-request-headers: x-a\r\n",
	} {
		request += "host: api.example.com\r\nconnection: close\r\n\r\n"
		got, want := raw(t, server.Address("shadow"), request), raw(t, server.Address("absent"), request)
		if got != want || !strings.Contains(want, "200 OK") {
			t.Errorf("%s--- in shadow\n%s--- without the filter\n%s", request, got, want)
		}
	}
}
