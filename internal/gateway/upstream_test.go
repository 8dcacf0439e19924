package gateway

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/coder/websocket"
)

const detailsLog = "%RESPONSE_CODE% %RESPONSE_CODE_DETAILS%"

// TestUpstreamFailures asserts Envoy's bodies and details.
func TestUpstreamFailures(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	const connect = "upstream connect error or disconnect/reset before headers. reset reason: "
	tests := map[string]struct {
		clusters, address string
		handler           http.HandlerFunc
		status            int
		body, log         string
	}{
		"a cluster without endpoints": {
			clusters: "{name: api}",
			status:   503, body: "no healthy upstream", log: "503 no_healthy_upstream\n",
		},
		"nothing listens": {
			address: closed.Addr().String(),
			status:  503, body: connect + "remote connection failure, transport failure reason: delayed connect error: Connection refused",
			log: "503 upstream_reset_before_response_started{remote_connection_failure|delayed_connect_error:_Connection_refused}\n",
		},
		"closed before the response": {
			handler: func(w http.ResponseWriter, _ *http.Request) { hijack(w).Close() },
			status:  503, body: connect + "connection termination",
			log: "503 upstream_reset_before_response_started{connection_termination}\n",
		},
		"no HTTP": {
			handler: func(w http.ResponseWriter, _ *http.Request) {
				conn := hijack(w)
				io.WriteString(conn, "SSH-2.0-x\r\n\r\n")
				conn.Close()
			},
			status: 502, body: connect + "protocol error",
			log: "502 upstream_reset_before_response_started{protocol_error}\n",
		},
		"too slow": {
			handler: func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
			status:  504, body: "upstream request timeout", log: "504 upstream_response_timeout\n",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if test.clusters == "" {
				test.clusters = api
			}
			var adapt []func(*Options)
			if test.handler != nil {
				test.address = upstream(t, test.handler)
			}
			if test.address != "" {
				adapt = append(adapt, withUpstream(test.address))
			}
			l := start(t, file{
				manager:  accessLog(detailsLog),
				routes:   apiRoute,
				clusters: test.clusters,
			}, nil, append(adapt, withTimeout(200*time.Millisecond))...)
			got := l.get(t, "/")
			if got.status != test.status || got.body != test.body || got.header.Get("Content-Type") != "text/plain" {
				t.Errorf("%d %q\nwant %d %q", got.status, got.body, test.status, test.body)
			}
			l.expectLog(t, "", test.log)
		})
	}
}

func hijack(w http.ResponseWriter) net.Conn {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err)
	}
	return conn
}

// TestStreaming lets each side wait for the other's last chunk, which only a
// proxy that holds nothing back survives.
func TestStreaming(t *testing.T) {
	l := start(t, file{routes: apiRoute, clusters: api}, nil, withUpstream(upstream(t, func(w http.ResponseWriter, r *http.Request) {
		controller := http.NewResponseController(w)
		controller.EnableFullDuplex()
		lines := bufio.NewScanner(r.Body)
		for lines.Scan() {
			fmt.Fprintln(w, "echo "+lines.Text())
			controller.Flush()
		}
	})))
	reader, writer := io.Pipe()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, l.base, reader)
	if err != nil {
		t.Fatal(err)
	}
	next := make(chan string, 1)
	go func() {
		for line := range next {
			io.WriteString(writer, line+"\n")
		}
		writer.Close()
	}()
	next <- "0"
	response, err := client().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	lines := bufio.NewScanner(response.Body)
	for i := range 5 {
		if !lines.Scan() || lines.Text() != fmt.Sprintf("echo %d", i) {
			t.Fatalf("line %d: %q, %v", i, lines.Text(), lines.Err())
		}
		if i < 4 {
			next <- fmt.Sprint(i + 1)
		}
	}
	close(next)
	if lines.Scan() {
		t.Errorf("more than was sent: %q", lines.Text())
	}
}

func TestResponseCutOff(t *testing.T) {
	tests := map[string]struct {
		handler http.HandlerFunc
		log     string
	}{
		"by upstream": {
			func(w http.ResponseWriter, _ *http.Request) {
				io.WriteString(w, "half")
				http.NewResponseController(w).Flush()
				panic(http.ErrAbortHandler)
			},
			"200 upstream_reset_after_response_started{connection_termination}\n",
		},
		"by the timeout": {
			func(w http.ResponseWriter, r *http.Request) {
				io.WriteString(w, "half")
				http.NewResponseController(w).Flush()
				<-r.Context().Done()
			},
			"200 upstream_response_timeout\n",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			l := start(t, file{
				manager:  accessLog(detailsLog),
				routes:   apiRoute,
				clusters: api,
			}, nil, withTimeout(300*time.Millisecond), withUpstream(upstream(t, test.handler)))
			response, err := client().Get(l.base)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			if body, err := io.ReadAll(response.Body); !errors.Is(err, io.ErrUnexpectedEOF) || string(body) != "half" {
				t.Errorf("%q, %v, want a response that is visibly incomplete", body, err)
			}
			l.expectLog(t, "", test.log)
		})
	}
}

func TestCancellation(t *testing.T) {
	tests := map[string]struct {
		begin bool // the response, before the client goes away
		log   string
	}{
		"before the response": {false, "0 downstream_remote_disconnect\n"},
		"during the response": {true, "200 downstream_remote_disconnect\n"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			arrived, gone := make(chan struct{}), make(chan struct{})
			l := start(t, file{manager: accessLog(detailsLog), routes: apiRoute, clusters: api}, nil,
				withUpstream(upstream(t, func(w http.ResponseWriter, r *http.Request) {
					if test.begin {
						http.NewResponseController(w).Flush()
					}
					close(arrived)
					<-r.Context().Done()
					close(gone)
				})))
			ctx, cancel := context.WithCancel(context.Background())
			request, err := http.NewRequestWithContext(ctx, http.MethodGet, l.base, nil)
			if err != nil {
				t.Fatal(err)
			}
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				if response, err := client().Do(request); err == nil {
					io.Copy(io.Discard, response.Body)
					response.Body.Close()
				}
			}()
			<-arrived
			time.Sleep(20 * time.Millisecond) // the head is on its way
			cancel()
			<-ended
			select {
			case <-gone:
			case <-time.After(5 * time.Second):
				t.Fatal("upstream was not told within five seconds")
			}
			l.expectLog(t, "", test.log)
		})
	}
}

func TestWebSocket(t *testing.T) {
	f := file{
		manager:  "upgrade_configs: [{upgrade_type: WebSocket}]\n" + accessLog(detailsLog),
		routes:   apiRoute,
		clusters: api,
	}
	serve := func(t *testing.T) live {
		// Longer lived than the timeout, which does not count for an upgrade.
		return start(t, f, nil, withTimeout(100*time.Millisecond), withUpstream(upstream(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/refuse" {
				http.Error(w, "no", http.StatusTeapot)
				return
			}
			conn, err := websocket.Accept(w, r, nil)
			if err != nil {
				return
			}
			defer conn.CloseNow()
			for {
				kind, message, err := conn.Read(r.Context())
				if err != nil || conn.Write(r.Context(), kind, append([]byte("echo "), message...)) != nil {
					return
				}
			}
		})))
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	t.Run("messages pass both ways", func(t *testing.T) {
		l := serve(t)
		conn, response, err := websocket.Dial(ctx, l.base, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.CloseNow()
		if got := response.Header.Get("Server"); got != "envoy" {
			t.Errorf("server: %q", got)
		}
		for i := range 3 {
			time.Sleep(70 * time.Millisecond)
			text := fmt.Sprint("m", i)
			if err := conn.Write(ctx, websocket.MessageText, []byte(text)); err != nil {
				t.Fatal(err)
			}
			if _, got, err := conn.Read(ctx); err != nil || string(got) != "echo "+text {
				t.Fatalf("%q, %v", got, err)
			}
		}
		if err := conn.Close(websocket.StatusNormalClosure, ""); err != nil {
			t.Error(err)
		}
		l.expectLog(t, "", "101 via_upstream\n")
	})
	t.Run("upstream may refuse", func(t *testing.T) {
		l := serve(t)
		_, response, err := websocket.Dial(ctx, l.base+"/refuse", nil)
		if err == nil || response.StatusCode != http.StatusTeapot {
			t.Errorf("%v, %v", response, err)
		}
	})
	t.Run("shutdown ends it", func(t *testing.T) {
		l := serve(t)
		conn, _, err := websocket.Dial(ctx, l.base, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.CloseNow()
		if err := l.Close(ctx); err != nil {
			t.Error(err)
		}
		if _, _, err := conn.Read(ctx); err == nil || ctx.Err() != nil {
			t.Errorf("%v, want a closed connection", err)
		}
	})
}
