//go:build linux

package envoy

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"corsfilter/bench/workload"
)

// processor is the time that a process has had of the processor, user and system,
// in all its threads, those that have ended included.
func processor(t testing.TB, pid int) time.Duration {
	t.Helper()
	var at unix.Timespec
	const scheduled = 2 // CPUCLOCK_SCHED of clock_getcpuclockid(3)
	if err := unix.ClockGettime(int32(^pid<<3|scheduled), &at); err != nil {
		t.Fatal(err)
	}
	return time.Duration(at.Nano())
}

// thread returns the folder in /proc of a process' thread of that name.
func thread(t testing.TB, pid int, name string) string {
	t.Helper()
	all, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, folder := range all {
		if text, err := os.ReadFile(folder + "/comm"); err == nil && strings.TrimSpace(string(text)) == name {
			return folder
		}
	}
	t.Fatalf("Envoy has no thread %s", name)
	return ""
}

// scheduled is the time that a thread has had of the processor.
func scheduled(t testing.TB, folder string) time.Duration {
	t.Helper()
	text, err := os.ReadFile(folder + "/schedstat")
	if err != nil {
		t.Fatal(err)
	}
	var ns time.Duration
	if _, err := fmt.Sscan(string(text), &ns); err != nil {
		t.Fatal(err)
	}
	return ns
}

// idle waits until a process does next to nothing: its workers start after it says
// that it is ready.
func idle(t testing.TB, pid int) {
	t.Helper()
	const window = 100 * time.Millisecond
	before := processor(t, pid)
	for begun := time.Now(); time.Since(begun) < time.Minute; {
		time.Sleep(window)
		now := processor(t, pid)
		if now-before < window/50 {
			return
		}
		before = now
	}
	t.Fatal("Envoy is busy for a minute without a request")
}

// pin keeps Envoy's worker on one processor: where it is moved it finds the caches
// cold.
func pin(t testing.TB, worker string) {
	t.Helper()
	n := runtime.NumCPU()
	if n < 2 {
		return
	}
	var tid int
	if _, err := fmt.Sscan(filepath.Base(worker), &tid); err != nil {
		t.Fatal(err)
	}
	var last unix.CPUSet
	last.Set(n - 1)
	if err := unix.SchedSetaffinity(tid, &last); err != nil {
		t.Log("the worker is not pinned: ", err)
	}
}

// client has some connections to a listener that stay open.
type client struct {
	connections []*connection
	exchanges   []*sent
	next        int
}

type connection struct {
	net.Conn
	answers *bufio.Reader
	head    []byte
	asked   *sent
}

// sent is a request as it is sent, what must come of it, and how long the headers of
// its response are.
type sent struct {
	request []byte
	want    workload.Exchange
	size    int
}

// atOnce is how many requests are under way at once.
const atOnce = 4

func connect(t testing.TB, address string, exchanges []workload.Exchange) *client {
	t.Helper()
	c := &client{}
	for range atOnce {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		c.connections = append(c.connections, &connection{Conn: conn, answers: bufio.NewReader(conn)})
	}
	for _, e := range exchanges {
		c.exchanges = append(c.exchanges, &sent{request: overHTTP(e.Request), want: e})
	}
	return c
}

// overHTTP is a request in HTTP/1.1.
func overHTTP(headers workload.Pairs) []byte {
	var start, rest bytes.Buffer
	for _, h := range headers {
		switch h[0] {
		case ":method":
			start.WriteString(h[1])
		case ":path":
			start.WriteString(" " + h[1] + " HTTP/1.1\r\n")
		case ":authority":
			rest.WriteString("host: " + h[1] + "\r\n")
		case ":scheme":
		default:
			rest.WriteString(h[0] + ": " + h[1] + "\r\n")
		}
	}
	return append(append(start.Bytes(), rest.Bytes()...), "\r\n"...)
}

func (c *connection) ask(e *sent) error {
	c.asked = e
	_, err := c.Write(e.request)
	return err
}

// answer reads a response and keeps its head.
func (c *connection) answer() error {
	c.head = c.head[:0]
	body := 0
	for {
		line, err := c.answers.ReadSlice('\n')
		if err != nil {
			return err
		}
		c.head = append(c.head, line...)
		if len(line) == len("\r\n") {
			_, err := c.answers.Discard(body)
			return err
		}
		if value, ok := bytes.CutPrefix(line, []byte("content-length: ")); ok {
			if body, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return err
			}
		}
	}
}

// check sends each request once and compares what comes of it with what must: who
// answers it, and for whom.
func (c *client) check(of contender) error {
	for _, e := range c.exchanges {
		conn := c.connections[0]
		if err := errors.Join(conn.ask(e), conn.answer()); err != nil {
			return err
		}
		e.size = len(conn.head)
		response, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(conn.head)), &http.Request{Method: http.MethodHead})
		if err != nil {
			return err
		}
		status, allowed := http.StatusOK, ""
		if of.name != none {
			for _, h := range e.want.Want.Headers {
				if h[0] == "access-control-allow-origin" {
					allowed = h[1]
				}
			}
			if e.want.Want.Status != 0 && of.name != "native" { // which answers with 200
				status = e.want.Want.Status
			}
		}
		if got := response.Header.Get("Access-Control-Allow-Origin"); response.StatusCode != status || got != allowed {
			return fmt.Errorf("%s: status %d and Access-Control-Allow-Origin %q, want %d and %q", of.name, response.StatusCode, got, status, allowed)
		}
	}
	return nil
}

// send sends at least n requests, atOnce of them at once, and returns how many.
func (c *client) send(n int) (done int, err error) {
	for ; done < n; done += len(c.connections) {
		for _, conn := range c.connections {
			e := c.exchanges[c.next]
			if c.next++; c.next == len(c.exchanges) {
				c.next = 0
			}
			if err := conn.ask(e); err != nil {
				return done, err
			}
		}
		for _, conn := range c.connections {
			if err := conn.answer(); err != nil {
				return done, err
			}
			if len(conn.head) != conn.asked.size {
				return done, fmt.Errorf("another response than before:\n%s", conn.head)
			}
		}
	}
	return done, nil
}
