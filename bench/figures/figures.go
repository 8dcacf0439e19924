// Package figures is what the benchmarks found: the data, as they are kept in
// docs/benchmarks.json, and how samples become figures. page.go makes the page of
// them. It imports the standard library alone, so that whatever measures, draws or
// checks can use it.
package figures

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"slices"
)

// Data are all figures of one run.
type Data struct {
	Run Run `json:"run"`

	Requests []Contest `json:"requests"`
	Growth   []Series  `json:"growth"`
	Decide   []Contest `json:"decide"`
	Starts   []Start   `json:"starts"`
	Sizes    []Size    `json:"sizes"`
	Memory   []Memory  `json:"memory"`
	Gateway  []Contest `json:"gateway"`
}

// Run is when, where and how.
type Run struct {
	Command string `json:"command"`
	Date    string `json:"date"` // day
	Commit  string `json:"commit"`
	// Machine and Versions are what the figures depend on, as lines to show.
	Machine  string   `json:"machine"`
	Versions []string `json:"versions"`
	Rounds   int      `json:"rounds"`
	SliceMS  float64  `json:"slice_ms"` // of one contender in one round
	// Quick says that the run was a short one. Missing are the parts that it was
	// stopped before.
	Quick   bool     `json:"quick"`
	Missing []string `json:"missing,omitempty"`
	// LeftOut are the contenders that could not be built, with the reason.
	LeftOut []string `json:"left_out,omitempty"`
}

// Contest is one load, which several contenders took in turn. The first is the
// one that the others are compared with.
type Contest struct {
	Engine     string      `json:"engine"` // V8, wazero, native, gateway
	Case       string      `json:"case"`
	Origins    int         `json:"origins"`           // in the policy
	InTurn     int         `json:"in_turn,omitempty"` // different origins of the requests; 0: none
	Contenders []Contender `json:"contenders"`
}

// Contender is one side of a contest.
type Contender struct {
	Name string `json:"name"`
	// Calls is how often a request calls the host; 0 where there is none.
	Calls int `json:"calls,omitempty"`
	// NS is the time of one request. Ratio and Beyond compare it with the first
	// contender's of the same round.
	NS     Summary `json:"ns"`
	Ratio  Summary `json:"ratio"`
	Beyond Summary `json:"beyond"`
}

// Series is how the time of one request, in nanoseconds, grows with something.
type Series struct {
	Of     string  `json:"of"` // what grows
	Unit   string  `json:"unit"`
	Case   string  `json:"case"`
	Points []Point `json:"points"`
}

// Point is one size of a Series.
type Point struct {
	N  int     `json:"n"`
	NS Summary `json:"ns"`
}

// Start is what it takes until a module can serve, in milliseconds.
type Start struct {
	Engine      string       `json:"engine"`
	Name        string       `json:"name"`
	Compile     Summary      `json:"compile"`
	Instantiate Summary      `json:"instantiate"`
	Configure   []Configured `json:"configure"`
}

// Configured is what a configuration takes.
type Configured struct {
	Origins int     `json:"origins"`
	MS      Summary `json:"ms"`
}

// Size is a module's, in bytes.
type Size struct {
	Name string `json:"name"`
	Raw  int    `json:"raw"`
	Gzip int    `json:"gzip"`
}

// Memory is a module's linear memory, in bytes.
type Memory struct {
	Name     string `json:"name"`
	Origins  int    `json:"origins"`
	Start    int    `json:"start"` // once configured
	Requests int    `json:"requests"`
	After    int    `json:"after"` // so many requests
}

// Summary is the median of samples, with their quartiles.
type Summary struct {
	Median float64 `json:"median"`
	Q1     float64 `json:"q1"`
	Q3     float64 `json:"q3"`
}

// Summarize makes a Summary of at least one sample.
func Summarize(samples []float64) Summary {
	sorted := slices.Sorted(slices.Values(samples))
	quantile := func(q float64) float64 {
		at := q * float64(len(sorted)-1)
		low := int(at)
		high := min(low+1, len(sorted)-1)
		return round(sorted[low] + (at-float64(low))*(sorted[high]-sorted[low]))
	}
	return Summary{quantile(0.5), quantile(0.25), quantile(0.75)}
}

// round keeps four digits: more are noise, and would change with each run.
func round(x float64) float64 {
	var rounded float64
	if _, err := fmt.Sscan(fmt.Sprintf("%.4g", x), &rounded); err != nil {
		panic(err) // its own output
	}
	return rounded
}

// Compare makes the contenders of a contest: samples are nanoseconds by contender
// and round.
func Compare(names []string, calls []int, samples [][]float64) (all []Contender) {
	for i, mine := range samples {
		ratios, beyond := make([]float64, len(mine)), make([]float64, len(mine))
		for round, ns := range mine {
			ratios[round], beyond[round] = ns/samples[0][round], ns-samples[0][round]
		}
		c := Contender{Name: names[i], NS: Summarize(mine), Ratio: Summarize(ratios), Beyond: Summarize(beyond)}
		if calls != nil {
			c.Calls = calls[i]
		}
		all = append(all, c)
	}
	return all
}

// Read reads the data that Write wrote.
func Read(path string) (*Data, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	d := &Data{}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(d); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return d, nil
}

// Write writes the data, whole or not at all.
func (d *Data) Write(path string) error {
	text, err := json.MarshalIndent(d, "", " ")
	if err != nil {
		return err
	}
	return Replace(path, append(text, '\n'))
}

// Replace writes a file, whole or not at all.
func Replace(path string, text []byte) error {
	temporary := path + ".new"
	if err := os.WriteFile(temporary, text, 0o644); err != nil {
		return err
	}
	return os.Rename(temporary, path)
}
