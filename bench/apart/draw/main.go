// Draw makes the pictures of docs/benchmarks.md of its data: docs/benchmarks/*.svg.
// Its argument is the folder docs.
package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"

	"corsfilter/bench/figures"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: draw DOCS, such as draw ../../docs")
		os.Exit(2)
	}
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "draw: "+err.Error())
		os.Exit(1)
	}
}

func run(docs string) error {
	data, err := figures.Read(filepath.Join(docs, "benchmarks.json"))
	if err != nil {
		return err
	}
	pictures, err := draw(data)
	if err != nil {
		return err
	}
	folder := filepath.Join(docs, "benchmarks")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	for name, svg := range pictures {
		path := filepath.Join(folder, name)
		if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, svg) {
			continue
		}
		if err := figures.Replace(path, svg); err != nil {
			return err
		}
	}
	return nil
}
