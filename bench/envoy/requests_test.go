//go:build linux

package envoy

import (
	"os"
	"testing"
	"time"

	"corsfilter/bench/workload"
	"corsfilter/internal/envoy"
	"corsfilter/internal/envoytest"
	"corsfilter/internal/progress"
)

// inTurn is how many origins send requests in turn where the policy has many, so
// that nothing remembered helps, and no list is left at its first entry.
const inTurn = 1_000

// contest is one kind of request under policies of one size.
type contest struct {
	of      workload.Case
	origins int
	runners []*runner // none first
}

// runner is a contender in a contest.
type runner struct {
	contender
	client *client
	n      int // requests in a slice
}

// requests measures the processor time of the worker per request. All contenders
// have a listener each in one process with one worker, so that the same thread
// serves them all, with the same memory and at the same speed, and only the filter
// differs.
func (b *bench) requests() {
	contests := len(workload.Cases) * len(sizes)
	meter := progress.Start(os.Stderr, "requests, rounds", int64(b.processes*contests*b.rounds))
	defer meter.Stop()
	for range b.processes {
		if b.ctx.Err() != nil {
			return
		}
		var listeners []envoytest.Listener
		for _, origins := range sizes {
			for _, c := range b.contenders {
				if !c.starts {
					listeners = append(listeners, c.listen(b, origins))
				}
			}
		}
		server := envoytest.Start(b, envoytest.Bootstrap{Listeners: listeners, Upstream: nowhere}, envoy.Options{})
		worker := thread(b, server.Pid(), "wrk:worker_0")
		pin(b, worker)
		for _, of := range workload.Cases {
			for _, origins := range sizes {
				c := b.contest(server, of, origins)
				for round := range b.rounds {
					if b.ctx.Err() != nil {
						return
					}
					c.round(b, worker, round)
					meter.Add(1)
				}
			}
		}
		server.Stop()
	}
}

// contest connects, asserts the outcomes, and finds out how many requests a slice is.
func (b *bench) contest(server *envoytest.Server, of workload.Case, origins int) contest {
	c := contest{of: of, origins: origins}
	n := 1
	if origins > 1 && of.HasOrigin() {
		n = inTurn
	}
	for _, contender := range b.contenders {
		if contender.starts {
			continue
		}
		r := &runner{contender: contender, client: connect(b, server.Address(contender.listenerName(origins)), of.Exchanges(n, origins))}
		if err := r.client.check(contender); err != nil {
			b.Fatalf("%s, %d origins: %v", of.Name, origins, err)
		}
		for r.n = 64; ; r.n *= 4 {
			began := time.Now()
			if _, err := r.client.send(r.n); err != nil {
				b.Fatal(err)
			}
			if took := time.Since(began); took > b.slice/8 {
				r.n = max(1, int(float64(r.n)*float64(b.slice)/float64(took)))
				break
			}
		}
		c.runners = append(c.runners, r)
	}
	return c
}

// round has each contender run one slice. Each round begins with another one.
func (c contest) round(b *bench, worker string, round int) {
	ns := make([]float64, len(c.runners))
	sent := make([]int, len(c.runners))
	for i := range c.runners {
		i = (i + round) % len(c.runners)
		r := c.runners[i]
		before := scheduled(b, worker)
		n, err := r.client.send(r.n)
		if err != nil {
			b.Fatalf("%s: %v", r.name, err)
		}
		sent[i], ns[i] = n, float64(scheduled(b, worker)-before)/float64(n)
	}
	for i, r := range c.runners {
		b.result("Request/case="+c.of.Name, c.origins, r.name, sent[i], ns[i], "worker-ns/op", ns[i]-ns[0], "beyond-ns/op")
	}
}

// TestAWrongOutcomeIsNotTimed has an Envoy without a filter stand for one with it.
func TestAWrongOutcomeIsNotTimed(t *testing.T) {
	l := contender{name: none}.listen(t, 1)
	server := envoytest.Start(t, envoytest.Bootstrap{Listeners: []envoytest.Listener{l}, Upstream: nowhere}, envoy.Options{})
	for _, of := range workload.Cases {
		c := connect(t, server.Address(l.Name), of.Exchanges(1, 1))
		if err := c.check(contender{name: none}); err != nil {
			t.Errorf("%s: %v", of.Name, err)
		}
		if _, err := c.send(1); err != nil {
			t.Errorf("%s: %v", of.Name, err)
		}
		c.exchanges[0].size++
		if _, err := c.send(1); err == nil {
			t.Errorf("%s: a response of another size is timed", of.Name)
		}
		allows := of.Name == workload.Actual.Name || of.Name == workload.Preflight.Name
		if err := c.check(contender{name: ours}); (err != nil) != allows {
			t.Errorf("%s: without a filter it is taken for the module: %v", of.Name, err)
		}
	}
}
