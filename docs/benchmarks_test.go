package docs

import (
	"testing"

	"corsfilter/bench/figures"
)

// TestTheFiguresAreThoseThatWereMeasured compares the page and the README with
// the data, which a whole run of make bench has written.
func TestTheFiguresAreThoseThatWereMeasured(t *testing.T) {
	data, err := figures.Read("benchmarks.json")
	if err != nil {
		t.Fatal(err)
	}
	if data.Run.Missing != nil {
		t.Errorf("the run was stopped before %v; run make bench to its end", data.Run.Missing)
	}
	if got := read(t, "benchmarks.md"); got != data.Page() {
		t.Error("benchmarks.md is not made of benchmarks.json; run make bench, or go test ./docs -update")
		if *update {
			if err := figures.Replace("benchmarks.md", []byte(data.Page())); err != nil {
				t.Fatal(err)
			}
		}
	}
	text := read(t, readme)
	filled, err := data.Fill(text)
	if err != nil {
		t.Fatal(err)
	}
	if filled != text {
		t.Error("the README's figures are not made of benchmarks.json; run make bench, or go test ./docs -update")
		if *update {
			if err := figures.Replace(readme, []byte(filled)); err != nil {
				t.Fatal(err)
			}
		}
	}
}
