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
	"strings"
	"time"

	"corsfilter/bench/workload"
	"corsfilter/internal/envoy"
	"corsfilter/internal/envoytest"
	"corsfilter/internal/progress"
)

// pushesOfPolicies measures what a new policy takes, by file LDS: the time until it
// is in effect, the processor time of the main thread, and the longest that a request
// waited meanwhile, for the worker has to take it in as well.
func (b *bench) pushesOfPolicies() {
	meter := progress.Start(os.Stderr, "pushes, contenders", int64(len(b.origins)*len(b.contenders)))
	defer meter.Stop()
	for _, origins := range b.origins {
		for _, c := range b.contenders {
			if c.decides && b.ctx.Err() == nil {
				b.pushesOf(c, origins)
			}
			meter.Add(1)
		}
	}
}

func (b *bench) pushesOf(c contender, origins int) {
	push := envoytest.NewPushes(b)
	write := func(version int) {
		l := c.listen(b, origins)
		// A push changes what a page may read, and with that the whole policy.
		for _, part := range []*string{&l.Policy, &l.Front, &l.VirtualHost} {
			*part = strings.ReplaceAll(*part, exposed, label(version))
		}
		push.Push(b, l)
	}
	write(0)
	server := envoytest.Start(b, envoytest.Bootstrap{Upstream: nowhere, More: push.More()}, envoy.Options{Arguments: push.Arguments()})
	defer server.Stop()
	request := overHTTP(workload.Actual.Exchanges(1, 1)[0].Request)
	main := fmt.Sprintf("/proc/%d/task/%[1]d", server.Pid())
	address := server.Address(c.listenerName(origins))
	for version := range b.effort.pushes {
		idle(b, server.Pid())
		before, began, longest := scheduled(b, main), time.Now(), time.Duration(0)
		write(version + 1)
		for {
			asked := time.Now()
			got, err := readable(address, request)
			if err != nil {
				b.Fatalf("%s: %v", c.name, err)
			}
			longest = max(longest, time.Since(asked))
			if got == label(version+1) {
				break
			}
			if got != label(version) {
				b.Fatalf("%s: a page may read %q after push %d", c.name, got, version+1)
			}
			if time.Since(began) > time.Minute {
				b.Fatalf("%s: push %d is not in effect after a minute", c.name, version+1)
			}
			time.Sleep(time.Millisecond)
		}
		took := time.Since(began)
		b.result(
			"Push", origins, c.name, 1, float64(took), "in-effect-ns/op", float64(scheduled(b, main)-before), "main-ns/op", float64(longest),
			"longest-wait-ns/op",
		)
	}
}

// exposed is what the policies of the workload let a page read.
const exposed = "x-total-count"

func label(version int) string {
	if version == 0 {
		return exposed
	}
	return fmt.Sprintf("x-version-%d", version)
}

// readable is what a page may read of a response, over a new connection: those that
// are open keep the policy they were opened under.
func readable(address string, request []byte) (string, error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	c := &connection{Conn: conn, answers: bufio.NewReader(conn)}
	if err := errors.Join(c.ask(&sent{request: request}), c.answer()); err != nil {
		return "", err
	}
	response, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(c.head)), &http.Request{Method: http.MethodHead})
	if err != nil {
		return "", err
	}
	return response.Header.Get("Access-Control-Expose-Headers"), nil
}
