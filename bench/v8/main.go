// V8 times requests in modules under Node.js, whose engine is Envoy's: v8.mjs runs
// them, this says which. It prints the format of Go's benchmarks, for benchstat. What
// users meet are the figures of bench/envoy; these are for work on the filter, where a
// difference of a tenth of a microsecond counts.
package main

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"

	"corsfilter/bench/workload"
)

//go:embed v8.mjs
var script string

// contest is one kind of request under one configuration.
type contest struct {
	Name          string              `json:"name"`
	Configuration string              `json:"configuration"`
	Exchanges     []workload.Exchange `json:"exchanges"`
	// Calls is how often the request has to call the proxy; 0: that depends
	// on the configuration, and the floor, which reads none, has no part in it.
	Calls int `json:"calls"`
}

// effort is how much is measured.
type effort struct{ rounds, sliceMS, warmUpMS int }

var full, quick = effort{41, 4, 250}, effort{9, 2, 150}

func main() {
	only := flag.String("case", "", "the one `case` of requests to run, such as actual")
	short := flag.Bool("quick", false, "measure less")
	flag.Parse()
	e := full
	if *short {
		e = quick
	}
	if err := run(os.Stdout, e, contests(*only), flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "v8: "+err.Error())
		os.Exit(1)
	}
}

// inTurn is how many origins send requests in turn, where they differ: more than any
// memory of recent ones could hold.
const inTurn = 1_000

// contests are each case under one origin and under ten thousand, by one origin again
// and again and by many in turn; and what grows otherwise.
func contests(only string) (all []contest) {
	for _, c := range workload.Cases {
		if only != "" && only != c.Name {
			continue
		}
		add := func(name string, calls int, configuration []byte, exchanges []workload.Exchange) {
			all = append(all, contest{"case=" + c.Name + "/" + name, string(configuration), exchanges, calls})
		}
		for _, origins := range []int{1, 10_000} {
			add(fmt.Sprintf("origins=%d", origins), c.Calls, workload.WithOrigins(origins), c.Exchanges(1, origins))
		}
		if c.HasOrigin() {
			add("origins=10000/inturn=1000", c.Calls, workload.WithOrigins(10_000), c.Exchanges(inTurn, 10_000))
		}
		switch c.Name {
		case workload.Actual.Name:
			add("rules=1000", 0, workload.WithRules(1_000), c.Exchanges(1, 1))
		case workload.Preflight.Name:
			for _, n := range []int{400, 4_000, 40_000} {
				add(fmt.Sprintf("headers=%d", n), 0, workload.WithOrigins(1), []workload.Exchange{workload.WithRequestHeaders(n)})
			}
		}
	}
	return all
}

// run has Node.js run the contests between modules, each NAME=PATH or PATH.
func run(out io.Writer, e effort, contests []contest, modules []string) error {
	if len(contests) == 0 {
		return errors.New("-case: write no-origin, actual, denied or preflight")
	}
	job, err := json.Marshal(map[string]any{"response": workload.Response, "contests": contests})
	if err != nil {
		return err
	}
	arguments := []string{"--no-warnings", "--input-type=module", "-e", script, "--", fmt.Sprint(e.rounds), fmt.Sprint(e.sliceMS), fmt.Sprint(e.warmUpMS)}
	node := exec.Command("node", append(arguments, modules...)...)
	node.Stdin, node.Stdout, node.Stderr = bytes.NewReader(job), out, os.Stderr
	err = node.Run()
	if errors.Is(err, exec.ErrNotFound) {
		err = fmt.Errorf("%w; make setup installs Node.js", err)
	}
	return err
}
