package situations

//lint:file-ignore SA1019 net/http, which is to be used instead, refuses the header :protocol

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"testing"

	"golang.org/x/net/http2"
)

// webSocket2 is webSocket over HTTP/2: an extended CONNECT (RFC 8441).
func webSocket2(t *testing.T, _ *bench, r request) answer {
	t.Helper()
	client := &http2.Transport{
		AllowHTTP: true,
		DialTLS:   func(network, address string, _ *tls.Config) (net.Conn, error) { return net.Dial(network, address) },
	}
	defer client.CloseIdleConnections()
	sends, body := io.Pipe()
	defer body.Close()
	built := r.build(t, "http")
	built.Method, built.Body = http.MethodConnect, sends
	built.Header[":protocol"] = []string{"websocket"}
	built.Header.Set("Sec-WebSocket-Version", "13")
	// HTTP/2 needs none, but upstream speaks HTTP/1.1, and Envoy makes up none.
	built.Header.Set("Sec-WebSocket-Key", "MDEyMzQ1Njc4OWFiY2RlZg==")
	response, err := client.RoundTrip(built)
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != http.StatusOK {
		return answerOf(t, response)
	}
	defer response.Body.Close()
	// A text of four bytes, masked by zeros (RFC 6455, 5.2).
	if _, err := io.WriteString(body, "\x81\x84\x00\x00\x00\x00ping"); err != nil {
		t.Fatal(err)
	}
	frame := make([]byte, 6)
	if _, err := io.ReadFull(response.Body, frame); err != nil {
		t.Fatal(err)
	}
	return answer{response.StatusCode, response.Header, string(frame[2:])}
}
