package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"os"

	"corsfilter/bench/figures"
)

// sizes weighs the modules.
func (r *report) sizes(context.Context) error {
	for _, m := range r.modules {
		wasm, err := os.ReadFile(m.path)
		if err != nil {
			return err
		}
		var packed bytes.Buffer
		w, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
		if err != nil {
			return err
		}
		if _, err := w.Write(wasm); err != nil {
			return err
		}
		if err := w.Close(); err != nil {
			return err
		}
		size := figures.Size{Name: m.name, Raw: len(wasm), Gzip: packed.Len()}
		r.data.Sizes = append(r.data.Sizes, size)
		fmt.Printf("%s: %d bytes, %d compressed\n", size.Name, size.Raw, size.Gzip)
	}
	return nil
}

// decide compares the decision with a library for Go's own server, natively. That
// library is no dependency of ours: the comparison is a program of bench/apart.
func (r *report) decide(ctx context.Context) error {
	var out []byte
	if err := r.tool(ctx, &out, "./peers", fmt.Sprint(r.rounds), r.slice.String()); err != nil {
		return err
	}
	if err := json.Unmarshal(out, &r.data.Decide); err != nil {
		return fmt.Errorf("bench/apart/peers: %w", err)
	}
	for _, c := range r.data.Decide {
		show(c)
	}
	return nil
}
