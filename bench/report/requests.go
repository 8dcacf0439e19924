package main

import (
	"context"
	"fmt"

	"corsfilter/bench/figures"
	"corsfilter/bench/workload"
)

// load is a contest to be run: requests of one kind, from a number of origins in
// turn, under a policy of a number of origins.
type load struct {
	workload.Case
	origins, inTurn int
}

// inTurn is how many origins send requests in turn where they differ: more than
// any memory of recent ones could hold.
const inTurn = 1_000

// loads are those of the report: each case with one origin and with ten thousand,
// and there once from one origin again and again and once from many in turn.
func (r *report) loads() (all []load) {
	for _, origins := range []int{1, 10_000} {
		for _, c := range workload.Cases {
			if r.only != "" && r.only != c.Name {
				continue
			}
			all = append(all, load{c, origins, 1})
			if origins > 1 && c.HasOrigin() {
				all = append(all, load{c, origins, inTurn})
			}
		}
	}
	return all
}

// contest makes the figures of a load, and shows them.
func (r *report) contest(engine string, l load, calls []int, samples [][]float64) {
	var names []string
	for _, m := range r.modules {
		names = append(names, m.name)
	}
	c := figures.Contest{Engine: engine, Case: l.Name, Origins: l.origins, Contenders: figures.Compare(names, calls, samples)}
	if l.HasOrigin() {
		c.InTurn = l.inTurn
	}
	r.data.Requests = append(r.data.Requests, c)
	show(c)
}

// show prints a contest as it comes.
func show(c figures.Contest) {
	fmt.Printf("%s, %s, policy of %d, requests of %d\n", c.Engine, c.Case, c.Origins, c.InTurn)
	for i, one := range c.Contenders {
		fmt.Printf("  %-20s %9.0f ns", one.Name, one.NS.Median)
		if i > 0 {
			fmt.Printf("  %5.2f (%.2f to %.2f)  %+.0f ns", one.Ratio.Median, one.Ratio.Q1, one.Ratio.Q3, one.Beyond.Median)
		}
		if one.Calls > 0 {
			fmt.Printf("  %d calls", one.Calls)
		}
		fmt.Println()
	}
}

func (r *report) v8Requests(ctx context.Context) error {
	loads := r.loads()
	var contests []v8Contest
	for _, l := range loads {
		var c v8Contest
		for _, m := range r.modules {
			c.Entries = append(c.Entries, v8Entry{m.path, string(workload.WithOrigins(l.origins)), l.Exchanges(l.inTurn)})
		}
		contests = append(contests, c)
	}
	return r.v8(ctx, v8Job{Contests: contests}, func(i int, result v8Result) error {
		if floor := result.Calls[0]; floor != loads[i].Calls {
			return fmt.Errorf("the floor makes %d calls, and the contract allows %d", floor, loads[i].Calls)
		}
		r.contest("V8", loads[i], result.Calls, result.Samples)
		return nil
	})
}

// growth times the module alone, with all sizes of one thing in turn.
func (r *report) growth(ctx context.Context) error {
	type point struct {
		n     int
		entry v8Entry
	}
	ours := r.modules[1].path
	exchange := func(c workload.Case) []workload.Exchange { return c.Exchanges(1) }
	series := []figures.Series{
		{Of: "origins of the policy", Unit: "entries", Case: workload.Actual.Name},
		{Of: "rules by host", Unit: "rules", Case: workload.Actual.Name},
		{Of: "Access-Control-Request-Headers", Unit: "bytes", Case: workload.Preflight.Name},
	}
	points := make([][]point, len(series))
	for _, n := range []int{1, 10, 100, 1_000, 10_000} {
		points[0] = append(points[0], point{n, v8Entry{ours, string(workload.WithOrigins(n)), exchange(workload.Actual)}})
	}
	for _, n := range []int{1, 10, 100, 1_000} {
		points[1] = append(points[1], point{n, v8Entry{ours, string(workload.WithRules(n)), exchange(workload.Actual)}})
	}
	for _, n := range []int{10, 100, 1_000, 4_000, 16_000, 64_000} {
		points[2] = append(points[2], point{n, v8Entry{ours, string(workload.WithOrigins(1)), []workload.Exchange{workload.WithRequestHeaders(n)}}})
	}
	var contests []v8Contest
	for _, list := range points {
		var c v8Contest
		for _, p := range list {
			c.Entries = append(c.Entries, p.entry)
		}
		contests = append(contests, c)
	}
	return r.v8(ctx, v8Job{Contests: contests}, func(i int, result v8Result) error {
		s := series[i]
		fmt.Printf("%s, by %s\n", s.Case, s.Of)
		for k, p := range points[i] {
			s.Points = append(s.Points, figures.Point{N: p.n, NS: figures.Summarize(result.Samples[k])})
			fmt.Printf("  %6d %s %9.0f ns\n", p.n, s.Unit, s.Points[k].NS.Median)
		}
		r.data.Growth = append(r.data.Growth, s)
		return nil
	})
}

func (r *report) memory(ctx context.Context) error {
	var job v8Job
	var found []figures.Memory
	var mixed []workload.Exchange
	for _, c := range workload.Cases {
		mixed = append(mixed, c.Exchanges(1)...)
	}
	for _, m := range r.modules[1:] {
		for _, origins := range []int{1, 10_000} {
			found = append(found, figures.Memory{Name: m.name, Origins: origins, Requests: r.requests})
			job.Memories = append(job.Memories, v8Memory{m.path, string(workload.WithOrigins(origins)), mixed, r.requests})
		}
	}
	return r.v8(ctx, job, func(i int, result v8Result) error {
		found[i].Start, found[i].After = result.Start, result.After
		r.data.Memory = append(r.data.Memory, found[i])
		fmt.Printf("%s, %d origins: %.2f MiB after the start, %.2f after %d requests\n", found[i].Name, found[i].Origins,
			float64(result.Start)/(1<<20), float64(result.After)/(1<<20), r.requests)
		return nil
	})
}
