package figures

import "time"

// Clock says how much time has gone by, of whatever kind, since some point.
type Clock func() time.Duration

var start = time.Now()

// Wall is the clock on the wall.
func Wall() time.Duration { return time.Since(start) }

// TakeTurns times what the functions do: each runs n times per call, and has a
// slice of about that length in each round, so that what disturbs the machine for a
// while disturbs all of them. It returns nanoseconds per run, by function and round.
func TakeTurns(rounds int, slice time.Duration, clock Clock, functions ...func(n int)) [][]float64 {
	samples, sizes := make([][]float64, len(functions)), make([]int, len(functions))
	for i, f := range functions {
		for n := 1; sizes[i] == 0; n *= 2 { // which also warms up
			if took := clock.timed(f, n); took >= slice/2 {
				sizes[i] = max(1, int(float64(n)*float64(slice)/float64(took)))
			}
		}
	}
	for round := range rounds {
		for k := range functions {
			i := (k + round) % len(functions)
			samples[i] = append(samples[i], float64(clock.timed(functions[i], sizes[i]).Nanoseconds())/float64(sizes[i]))
		}
	}
	return samples
}

func (c Clock) timed(f func(n int), n int) time.Duration {
	began := c()
	f(n)
	return c() - began
}
