package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"corsfilter/bench/workload"
)

// v8Job is what bench/v8.mjs reads, and v8Result a line of what it prints, in the
// order of the job's lists.
type v8Job struct {
	Modules     []string       `json:"modules"`
	Response    workload.Pairs `json:"response"`
	Rounds      int            `json:"rounds"`
	StartRounds int            `json:"startRounds"`
	SliceMS     float64        `json:"sliceMs"`
	WarmUpMS    float64        `json:"warmUpMs"`

	Contests []v8Contest `json:"contests"`
	Starts   []v8Start   `json:"starts"`
	Memories []v8Memory  `json:"memories"`
}

type v8Contest struct {
	Entries []v8Entry `json:"entries"`
}

type v8Entry struct {
	Module        string              `json:"module"`
	Configuration string              `json:"configuration"`
	Exchanges     []workload.Exchange `json:"exchanges"`
}

type v8Start struct {
	Module         string   `json:"module"`
	Configurations []string `json:"configurations"`
}

type v8Memory struct {
	Module        string              `json:"module"`
	Configuration string              `json:"configuration"`
	Exchanges     []workload.Exchange `json:"exchanges"`
	Requests      int                 `json:"requests"`
}

type v8Result struct {
	Calls   []int       `json:"calls"`
	Samples [][]float64 `json:"samples"`

	Compile, Instantiate []float64
	Configure            [][]float64

	Start, After int
}

// v8 runs a job and hands over each result as it comes.
func (r *report) v8(ctx context.Context, job v8Job, take func(i int, result v8Result) error) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	for _, m := range r.modules {
		job.Modules = append(job.Modules, m.path)
	}
	job.Response, job.Rounds, job.StartRounds = workload.Response, r.rounds, r.startRounds
	job.SliceMS, job.WarmUpMS = r.slice.Seconds()*1000, r.warmUp.Seconds()*1000
	text, err := json.Marshal(job)
	if err != nil {
		return err
	}
	node := exec.CommandContext(ctx, "node", "--no-warnings", filepath.Join(r.root, "bench", "v8.mjs"))
	node.Stdin, node.Stderr = bytes.NewReader(text), os.Stderr
	out, err := node.StdoutPipe()
	if err != nil {
		return err
	}
	if err := node.Start(); err != nil {
		return fmt.Errorf("%w; make setup installs Node.js", err)
	}
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 16<<20)
	var taken error
	n := 0
	for ; taken == nil && lines.Scan(); n++ {
		var result v8Result
		if taken = json.Unmarshal(lines.Bytes(), &result); taken == nil {
			taken = take(n, result)
		}
	}
	if taken != nil {
		stop()
		_ = node.Wait()
		return taken
	}
	if err := node.Wait(); err != nil {
		return fmt.Errorf("bench/v8.mjs: %w", err)
	}
	if want := len(job.Contests) + len(job.Starts) + len(job.Memories); n != want {
		return fmt.Errorf("bench/v8.mjs gave %d results of %d", n, want)
	}
	return nil
}
