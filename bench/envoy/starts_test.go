//go:build linux

package envoy

import (
	"fmt"
	"os"

	"corsfilter/internal/envoy"
	"corsfilter/internal/envoytest"
	"corsfilter/internal/progress"
)

// nowhere is an upstream that no request gets to.
const nowhere = "127.0.0.1:1"

// starts measures what Envoy takes of the processor until it is ready and its
// workers wait, and how much memory it has then. Each start is a process of its own.
func (b *bench) starts() {
	meter := progress.Start(os.Stderr, "starts, rounds", int64(b.effort.starts))
	defer meter.Stop()
	for range b.effort.starts {
		for _, workers := range b.workers {
			for _, origins := range b.origins {
				var without [2]float64
				for _, c := range b.contenders {
					if origins > 1 && !c.decides && c.name != none {
						continue
					}
					if b.ctx.Err() != nil {
						return
					}
					took, memory := b.start(c, origins, workers)
					if c.name == none {
						without = [2]float64{took, memory}
					}
					b.result(fmt.Sprintf("Start/workers=%d", workers), origins, c.name, 1,
						took, "processor-ns/op", took-without[0], "beyond-ns/op", memory, "resident-B", memory-without[1], "beyond-B")
				}
			}
		}
		meter.Add(1)
	}
}

func (b *bench) start(c contender, origins, workers int) (took, memory float64) {
	server := envoytest.Start(
		b, envoytest.Bootstrap{Listeners: []envoytest.Listener{c.listen(b, origins)}, Upstream: nowhere}, envoy.Options{Concurrency: workers},
	)
	defer server.Stop()
	idle(b, server.Pid())
	return float64(processor(b, server.Pid())), float64(server.Resident(b))
}
