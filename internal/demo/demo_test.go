package demo

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

func running(t *testing.T) *Demo {
	t.Helper()
	d, err := Start(context.Background(), Ports{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

func get(t *testing.T, method, url string, headers ...string) (*http.Response, string) {
	t.Helper()
	request, err := http.NewRequest(method, url, strings.NewReader("body"))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range headers {
		name, value, _ := strings.Cut(line, ": ")
		request.Header.Set(name, value)
	}
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, string(body)
}

func TestUpstream(t *testing.T) {
	base := "http://" + running(t).Upstream
	t.Run("echoes what it was sent", func(t *testing.T) {
		response, body := get(t, "PUT", base+"/api/x?y", "X-Demo: 1")
		var got Echo
		if err := json.Unmarshal([]byte(body), &got); err != nil {
			t.Fatal(err)
		}
		if got.Method != "PUT" || got.Path != "/api/x?y" || got.Body != "body" || strings.Join(got.Headers["x-demo"], "|") != "1" {
			t.Errorf("%+v", got)
		}
		if response.StatusCode != 200 || response.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%d %v", response.StatusCode, response.Header)
		}
	})
	for path, want := range map[string]int{
		"/api/hello": 200, "/api/status/401": 401, "/api/status/204": 204, "/api/status/99": 400, "/api/status/x": 400,
		"/api/redirect": 302, "/api/slow?ms=1": 200, "/elsewhere": 404,
	} {
		t.Run(path, func(t *testing.T) {
			response, _ := get(t, "GET", base+path)
			if response.StatusCode != want {
				t.Errorf("status %d, want %d", response.StatusCode, want)
			}
			if got := response.Header.Values("Access-Control-Allow-Origin"); len(got) != 1 || got[0] != "*" {
				t.Errorf("its own Access-Control-Allow-Origin: %q, want *", got)
			}
		})
	}
	t.Run("streams", func(t *testing.T) {
		response, err := http.Get(base + "/api/stream?n=2")
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		lines := bufio.NewReader(response.Body)
		begun := time.Now()
		for i := range 2 {
			if line, err := lines.ReadString('\n'); err != nil || line != fmt.Sprintf("chunk %d\n", i+1) {
				t.Errorf("%q, %v", line, err)
			}
		}
		if since := time.Since(begun); since < 100*time.Millisecond {
			t.Errorf("both chunks within %s", since)
		}
	})
	t.Run("echoes WebSocket messages for any origin", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		conn, _, err := websocket.Dial(ctx, base+"/api/ws", &websocket.DialOptions{HTTPHeader: http.Header{"Origin": {"https://other.example"}}})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.CloseNow()
		if err := conn.Write(ctx, websocket.MessageText, []byte("hello")); err != nil {
			t.Fatal(err)
		}
		if _, got, err := conn.Read(ctx); err != nil || string(got) != "hello" {
			t.Errorf("%q, %v", got, err)
		}
	})
}

func TestPages(t *testing.T) {
	d := running(t)
	_, port, _ := net.SplitHostPort(d.Other)
	addresses := []string{d.Page, d.Other}
	if probe, err := net.Listen("tcp", "[::1]:0"); err == nil {
		probe.Close()
		addresses = append(addresses, "[::1]:"+port)
	}
	for _, address := range addresses {
		for path, want := range map[string]string{"/": "text/html", "/style.css": "text/css", "/demo.js": "text/javascript"} {
			response, body := get(t, "GET", "http://"+address+path)
			if response.StatusCode != 200 || !strings.HasPrefix(response.Header.Get("Content-Type"), want) || body == "" {
				t.Errorf("%s%s: %d %s", address, path, response.StatusCode, response.Header.Get("Content-Type"))
			}
		}
	}
}

func TestPortInUse(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	port := taken.Addr().(*net.TCPAddr).Port
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	upstream := free.Addr().(*net.TCPAddr).Port
	free.Close()
	_, err = Start(context.Background(), Ports{Upstream: upstream, Page: port}, nil)
	want := fmt.Sprintf("port %d, which the demo page needs, is in use by another process; stop that process and start again", port)
	if err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	if conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", upstream)); err == nil {
		conn.Close()
		t.Error("the upstream was left running")
	}
}
