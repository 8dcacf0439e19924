package figures

import "time"

// TakeTurns times what the functions do: each runs n times per call, and has a
// slice of about that length in each round. A machine that is busy for a while
// so slows all of them. It returns nanoseconds per run, by function and round.
func TakeTurns(rounds int, slice time.Duration, functions ...func(n int)) [][]float64 {
	samples, sizes := make([][]float64, len(functions)), make([]int, len(functions))
	for i, f := range functions {
		for n := 1; sizes[i] == 0; n *= 2 { // which also warms up
			if took := timed(f, n); took >= slice/2 {
				sizes[i] = max(1, int(float64(n)*float64(slice)/float64(took)))
			}
		}
	}
	for round := range rounds {
		for k := range functions {
			i := (k + round) % len(functions)
			samples[i] = append(samples[i], float64(timed(functions[i], sizes[i]).Nanoseconds())/float64(sizes[i]))
		}
	}
	return samples
}

func timed(f func(n int), n int) time.Duration {
	began := time.Now()
	f(n)
	return time.Since(began)
}
