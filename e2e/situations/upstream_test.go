package situations

import (
	"bufio"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"corsfilter/internal/envoytest"
)

// upstream opens itself to everybody, which the filter has to close: each of its
// answers has access-control-allow-origin: *.
type upstream struct {
	*httptest.Server
	mu   sync.Mutex
	ask  map[string]int           // by attempt
	wait map[string]chan struct{} // for the client to say that it has the first event
}

func newUpstream(t *testing.T) *upstream {
	t.Helper()
	u := &upstream{ask: map[string]int{}, wait: map[string]chan struct{}{}}
	u.Server = httptest.NewUnstartedServer(u)
	u.Config.Protocols = new(http.Protocols)
	u.Config.Protocols.SetHTTP1(true)
	u.Config.Protocols.SetUnencryptedHTTP2(true)
	u.Start()
	t.Cleanup(u.Close)
	return u
}

func (u *upstream) address() string { return u.Listener.Addr().String() }

// clusters are those beside the one that is named upstream: its HTTP/2, and one
// whose port nobody listens on.
func (u *upstream) clusters(t *testing.T) string {
	t.Helper()
	grpc := envoytest.Cluster(t, "grpc", u.address())
	grpc["typed_extension_protocol_options"] = map[string]any{"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": map[string]any{
		"@type":                "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
		"explicit_http_config": map[string]any{"http2_protocol_options": map[string]any{}},
	}}
	return yamlOf(t, []any{grpc, envoytest.Cluster(t, "down", "127.0.0.1:1")})
}

// yamlOf is a value as YAML, which JSON is.
func yamlOf(t *testing.T, value any) string {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// asked is how often it was asked in an attempt.
func (u *upstream) asked(attempt string) int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.ask[attempt]
}

// received is closed once a client says that it has the first event.
func (u *upstream) received(attempt string) chan struct{} {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.wait[attempt] == nil {
		u.wait[attempt] = make(chan struct{})
	}
	return u.wait[attempt]
}

func (u *upstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	attempt := r.Header.Get(envoytest.Attempt)
	u.mu.Lock()
	u.ask[attempt]++
	times := u.ask[attempt]
	u.mu.Unlock()
	w.Header().Set("Access-Control-Allow-Origin", "*")
	switch r.URL.Path {
	case "/reset":
		connection, _, err := http.NewResponseController(w).Hijack()
		if err == nil {
			connection.Close()
		}
	case "/slow":
		<-r.Context().Done()
	case "/flaky":
		if times == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		fmt.Fprintf(w, "try %d", times)
	case "/moved":
		w.Header().Set("Location", "http://"+r.Host+"/final")
		w.WriteHeader(http.StatusFound)
	case "/events":
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprint(w, "data: one\n\n")
		http.NewResponseController(w).Flush()
		select {
		case <-u.received(attempt):
			fmt.Fprint(w, "data: two\n\n")
		case <-r.Context().Done():
		}
	case "/websocket":
		connection, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
		if err != nil {
			return
		}
		if kind, message, err := connection.Read(r.Context()); err == nil {
			connection.Write(r.Context(), kind, message)
		}
		connection.Close(websocket.StatusNormalClosure, "")
	case "/grpc":
		if got := r.Header.Get("Content-Type"); got != "application/grpc+proto" && got != "application/grpc" || r.ProtoMajor != 2 {
			http.Error(w, "no gRPC: "+r.Proto+" "+got, http.StatusBadRequest)
			return
		}
		io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/grpc")
		w.Header().Set("Trailer", "Grpc-Status")
		fmt.Fprint(w, "\x00\x00\x00\x00\x05reply")
		w.Header().Set("Grpc-Status", "0")
	case "/text":
		w.Header().Set("Content-Type", "text/plain")
		fmt.Fprint(w, strings.Repeat("text ", 1000))
	case "/deny/":
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprint(w, "denied by the service")
	default:
		if body, _ := io.ReadAll(r.Body); len(body) > 0 {
			w.Header().Set("X-Received", string(body))
		}
		fmt.Fprint(w, "upstream has "+r.URL.Path)
	}
}

// overHTTP1 asks in plain HTTP/1.1.
func overHTTP1(t *testing.T, _ *bench, r request) answer {
	t.Helper()
	return by(&http.Transport{DisableKeepAlives: true}, "http", "HTTP/1.1")(t, nil, r)
}

// by asks by a transport, and has an answer in the protocol.
func by(client *http.Transport, scheme, protocol string) asker {
	return func(t *testing.T, _ *bench, r request) answer {
		t.Helper()
		response, err := client.RoundTrip(r.build(t, scheme))
		if err != nil {
			t.Fatal(err)
		}
		if response.Proto != protocol {
			t.Errorf("answered in %s", response.Proto)
		}
		return answerOf(t, response)
	}
}

// certificate is one for 127.0.0.1, as YAML for a listener, with a pool for clients.
func certificate(t *testing.T) (chain, key string, pool *x509.CertPool) {
	t.Helper()
	s := httptest.NewTLSServer(nil)
	defer s.Close()
	private, err := x509.MarshalPKCS8PrivateKey(s.TLS.Certificates[0].PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	pool = x509.NewCertPool()
	pool.AddCert(s.Certificate())
	text := func(kind string, b []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}))
	}
	return text("CERTIFICATE", s.Certificate().Raw), text("PRIVATE KEY", private), pool
}

// expecting sends the body only after a 100 Continue.
func expecting(t *testing.T, _ *bench, r request) answer {
	t.Helper()
	told := false
	built := r.build(t, "http")
	built.Header.Set("Expect", "100-continue")
	built = built.WithContext(httptrace.WithClientTrace(built.Context(), &httptrace.ClientTrace{
		Got1xxResponse: func(code int, _ textproto.MIMEHeader) error { told = told || code == http.StatusContinue; return nil },
	}))
	client := &http.Transport{ExpectContinueTimeout: 20 * time.Second, DisableKeepAlives: true}
	response, err := client.RoundTrip(built)
	if err != nil {
		t.Fatal(err)
	}
	if !told {
		t.Error("nobody said 100")
	}
	return answerOf(t, response)
}

// streaming wants the first event before there is a second one.
func streaming(t *testing.T, b *bench, r request) answer {
	t.Helper()
	client := &http.Transport{DisableKeepAlives: true}
	response, err := client.RoundTrip(r.build(t, "http"))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body := bufio.NewReader(response.Body)
	first, err := body.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	close(b.upstream.received(r.attempt))
	rest, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{response.StatusCode, response.Header, first + string(rest)}
}

// webSocket shakes hands over HTTP/1.1 and, where that works, sends a message and
// has it back.
func webSocket(t *testing.T, _ *bench, r request) answer {
	t.Helper()
	connection, response, err := websocket.Dial(t.Context(), r.url("ws"), &websocket.DialOptions{HTTPHeader: r.header})
	if err != nil {
		if response == nil {
			t.Fatal(err)
		}
		return answerOf(t, response)
	}
	defer connection.CloseNow()
	if err := connection.Write(t.Context(), websocket.MessageText, []byte("ping")); err != nil {
		t.Fatal(err)
	}
	_, message, err := connection.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := connection.Close(websocket.StatusNormalClosure, ""); err != nil {
		t.Error(err)
	}
	return answer{response.StatusCode, response.Header, string(message)}
}
