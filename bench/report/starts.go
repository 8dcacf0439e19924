package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"slices"
	"time"

	"corsfilter/bench/figures"
	"corsfilter/bench/workload"
	"corsfilter/internal/host"
)

// startOrigins are the sizes of the policies that a module is started with.
var startOrigins = []int{1, 10_000}

// starts times what it takes until a module can serve, in both engines.
func (r *report) starts(ctx context.Context) error {
	modules := r.modules[1:]
	var job v8Job
	for _, m := range modules {
		start := v8Start{Module: m.path}
		for _, origins := range startOrigins {
			start.Configurations = append(start.Configurations, string(workload.WithOrigins(origins)))
		}
		job.Starts = append(job.Starts, start)
	}
	if err := r.v8(ctx, job, func(i int, result v8Result) error {
		r.started("V8", modules[i], result.Compile, result.Instantiate, result.Configure)
		return nil
	}); err != nil {
		return err
	}
	for _, m := range modules {
		if err := r.startUnderWazero(ctx, m); err != nil {
			return err
		}
	}
	return nil
}

// started makes the figures of milliseconds, and shows them.
func (r *report) started(engine string, m module, compile, instantiate []float64, configure [][]float64) {
	found := figures.Start{Engine: engine, Name: m.name, Compile: figures.Summarize(compile), Instantiate: figures.Summarize(instantiate)}
	fmt.Printf("%s, %s: compile %.0f ms, instantiate %.1f ms", engine, m.name, found.Compile.Median, found.Instantiate.Median)
	for i, samples := range configure {
		c := figures.Configured{Origins: startOrigins[i], MS: figures.Summarize(samples)}
		found.Configure = append(found.Configure, c)
		fmt.Printf(", configure %d origins %.1f ms", c.Origins, c.MS.Median)
	}
	fmt.Println()
	r.data.Starts = append(r.data.Starts, found)
}

func (r *report) startUnderWazero(ctx context.Context, m module) error {
	wasm, err := os.ReadFile(m.path)
	if err != nil {
		return err
	}
	var compile, instantiate []float64
	configure := make([][]float64, len(startOrigins))
	for range r.startRounds {
		if err := ctx.Err(); err != nil {
			return err
		}
		began := time.Now()
		compiled, err := host.Compile(ctx, another(wasm))
		if err != nil {
			return err
		}
		compile = append(compile, since(began))
		for i, origins := range startOrigins {
			began := time.Now()
			vm, err := compiled.NewVM(ctx, host.VMConfig{Env: m.env, LogLevel: host.LogError.Always})
			if err != nil {
				return err
			}
			instantiate = append(instantiate, since(began))
			policy := host.PluginConfig{Name: "cors", Configuration: workload.WithOrigins(origins)}
			began = time.Now()
			if _, err := vm.NewPlugin(ctx, policy); err != nil {
				return err
			}
			configure[i] = append(configure[i], since(began))
		}
		if err := compiled.Close(ctx); err != nil {
			return err
		}
	}
	r.started("wazero", m, compile, instantiate, configure)
	return nil
}

// since is in milliseconds.
func since(began time.Time) float64 { return float64(time.Since(began)) / float64(time.Millisecond) }

var copies uint32

// another is the same module with a section of its own, so that no cache of
// compiled modules knows it.
func another(wasm []byte) []byte {
	copies++
	section := append([]byte{0, 9, 4}, "copy"...)
	return binary.LittleEndian.AppendUint32(append(slices.Clone(wasm), section...), copies)
}
