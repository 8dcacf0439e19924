package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"corsfilter/bench/figures"
)

// TestThePicturesAreDrawnFromTheData compares those that are committed, and their
// number, with what the data make.
func TestThePicturesAreDrawnFromTheData(t *testing.T) {
	const docs = "../../../docs"
	data, err := figures.Read(filepath.Join(docs, "benchmarks.json"))
	if err != nil {
		t.Fatal(err)
	}
	pictures, err := draw(data)
	if err != nil {
		t.Fatal(err)
	}
	for name, svg := range pictures {
		committed, err := os.ReadFile(filepath.Join(docs, "benchmarks", name))
		if err != nil || !bytes.Equal(committed, svg) {
			t.Errorf("%s is not drawn from the data (%v); run make bench, or go run ./draw ../../docs in bench/apart", name, err)
		}
		if !strings.Contains(data.Page(), "(benchmarks/"+name+")") {
			t.Errorf("the page does not show %s", name)
		}
	}
	files, err := os.ReadDir(filepath.Join(docs, "benchmarks"))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != len(pictures) {
		t.Errorf("%d files in docs/benchmarks, and %d pictures", len(files), len(pictures))
	}
}

// TestWhatWasNotMeasuredIsNotDrawn draws nothing from nothing.
func TestWhatWasNotMeasuredIsNotDrawn(t *testing.T) {
	pictures, err := draw(&figures.Data{})
	if err != nil || len(pictures) != 0 {
		t.Errorf("%d pictures, %v", len(pictures), err)
	}
}
