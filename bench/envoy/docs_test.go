// Package envoy measures the built module in Envoy, compared with Envoy without a
// filter and with other ways to do the same: the cost of a start, of a request and of a
// push of another policy. make bench runs it and fills docs/benchmarks.md and the
// README from its output, which is in the format of Go's benchmarks, for benchstat.
// make test runs the shortest form, for the outcomes that are asserted before each
// timing.
package envoy

import (
	"bytes"
	"cmp"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/aclements/go-moremath/stats"
	"golang.org/x/perf/benchfmt"
)

var update = flag.Bool("update", false, "write the figures into docs/benchmarks.md and README.md")

const (
	measured        = "../../docs/benchmarks.txt"
	begins, endings = "<!-- numbers: made by make bench -->\n", "<!-- end of numbers -->\n"
)

// figures are the output of a run: its description, and the samples by the benchmark's
// name and unit.
type figures struct {
	about   map[string]string
	samples map[string][]float64
}

func read(t testing.TB, text *bytes.Buffer) figures {
	t.Helper()
	f := figures{map[string]string{}, map[string][]float64{}}
	lines := benchfmt.NewReader(bytes.NewReader(text.Bytes()), measured)
	for lines.Scan() {
		switch line := lines.Result().(type) {
		case *benchfmt.SyntaxError:
			t.Fatal(line)
		case *benchfmt.Result:
			for _, c := range line.Config {
				f.about[c.Key] = string(c.Value)
			}
			for _, v := range line.Values {
				key := line.Name.String() + " " + cmp.Or(v.OrigUnit, v.Unit)
				f.samples[key] = append(f.samples[key], v.Value)
			}
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return f
}

// row is a line of the tables. Its benchmark has the filter's name at its end.
type row struct {
	what, benchmark string
	// unit is that of the figure, and beyond that of what it is more than without a
	// filter; "": there is nothing to compare with.
	unit, beyond string
	scale        float64
	format       string
	readme       bool // the README shows it too
}

func rows() (all []row) {
	const s, ms, us, mib = 1, 1e-3, 1e-6, 1 << 20
	for _, p := range []struct{ what, benchmark string }{
		{"start", "Start/workers=1/origins=1"}, {"start with 10,000 origins", "Start/workers=1/origins=10000"},
	} {
		all = append(all, row{p.what + ": processor time", p.benchmark, "processor-ns/op", "beyond-ns/op", s, "%.2f s", p.what == "start"})
	}
	for _, p := range []struct{ what, benchmark string }{
		{"1 worker", "Start/workers=1/origins=1"}, {"4 workers", "Start/workers=4/origins=1"},
		{"4 workers and 10,000 origins", "Start/workers=4/origins=10000"},
	} {
		all = append(
			all,
			row{"resident memory with " + p.what, p.benchmark, "resident-B", "beyond-B", mib, "%.0f MiB", !strings.Contains(p.what, "origins")},
		)
	}
	for _, policy := range []struct{ origins, what string }{{"1", ""}, {"10000", ", 10,000 origins"}} {
		for _, c := range []struct{ name, what string }{
			{"no-origin", "request without Origin"}, {"actual", "cross-origin request"}, {"denied", "request from an unlisted origin"},
			{"preflight", "preflight"},
		} {
			all = append(
				all,
				row{
					c.what + policy.what, "Request/case=" + c.name + "/origins=" + policy.origins, "worker-ns/op", "beyond-ns/op", us, "%.1f µs",
					policy.what == "",
				},
			)
		}
	}
	for _, p := range []struct{ origins, what string }{{"1", "push of a new policy"}, {"10000", "push of 10,000 new origins"}} {
		all = append(all,
			row{p.what + ": time until in effect", "Push/origins=" + p.origins, "in-effect-ns/op", "", ms, "%.0f ms", p.origins == "1"},
			row{p.what + ": longest wait for a response", "Push/origins=" + p.origins, "longest-wait-ns/op", "", ms, "%.0f ms", false})
	}
	return all
}

// The contenders that the code names.
const none, ours = "none", "module"

type column struct{ filter, what string }

var columns = []column{
	{none, "no filter"}, {"native", "Envoy's own filter"}, {"lua", "the same policy in Lua"}, {"floor", "C with fixed answers"},
	{ours, "this module"},
}

// quantile is a figure of a row and column, or false where it was not measured.
func (f figures) quantile(r row, filter string, q float64) (float64, bool) {
	unit := r.unit
	if filter != none && r.beyond != "" {
		unit = r.beyond
	}
	values := f.samples[r.benchmark+"/filter="+filter+" "+unit]
	if values == nil {
		return 0, false
	}
	return stats.Sample{Xs: values}.Quantile(q) / r.scale, true
}

// table has the medians; on the page it has all rows, and quartiles, for which the README
// has no room.
func (f figures) table(columns []column, page bool) string {
	var b strings.Builder
	b.WriteString("| |")
	for _, c := range columns {
		b.WriteString(" " + c.what + " |")
	}
	b.WriteString("\n|---" + strings.Repeat("|---:", len(columns)) + "|\n")
	for _, r := range rows() {
		if !page && !r.readme {
			continue
		}
		b.WriteString("| " + r.what + " |")
		for _, c := range columns {
			median, ok := f.quantile(r, c.filter, 0.5)
			if !ok {
				b.WriteString(" |")
				continue
			}
			number, unit, _ := strings.Cut(r.format, " ")
			sign := ""
			if c.filter != none && r.beyond != "" && !strings.HasPrefix(rounded(number, median), "-") {
				sign = "+"
			}
			b.WriteString(" " + sign + rounded(number, median) + " " + unit)
			if page {
				low, _ := f.quantile(r, c.filter, 0.25)
				high, _ := f.quantile(r, c.filter, 0.75)
				b.WriteString(" (" + rounded(number, low) + " to " + rounded(number, high) + ")")
			}
			b.WriteString(" |")
		}
		b.WriteString("\n")
	}
	return b.String()
}

// rounded is a number without a sign where it is rounded to nothing.
func rounded(format string, value float64) string {
	text := fmt.Sprintf(format, value)
	if strings.Trim(text, "-0.") == "" {
		return strings.TrimPrefix(text, "-")
	}
	return text
}

// page is the text between the marks of docs/benchmarks.md.
func (f figures) page() string {
	all := append(columns[:4:4], column{"emptygo", "an empty Go program"}, columns[4])
	for _, build := range otherBuilds() {
		all = append(all, column{build.name, build.name})
	}
	return fmt.Sprintf(
		"Measured on %s at commit %s: %s, Envoy %s, Go %s.\n\n", f.about["date"], f.about["commit"], f.about["machine"], f.about["envoy"],
		f.about["go"],
	) +
		f.table(all, true)
}

// readme is the text between the README's marks.
func (f figures) readme(t testing.TB) string {
	ours := func(what string) float64 {
		for _, r := range rows() {
			if r.what == what {
				if value, ok := f.quantile(r, ours, 0.5); ok {
					return value
				}
			}
		}
		t.Fatalf("no figure of %q", what)
		return 0
	}
	start, one, four := ours("start: processor time"), ours("resident memory with 1 worker"), ours("resident memory with 4 workers")
	var b strings.Builder
	fmt.Fprintf(&b, `%s measured these figures in Envoy %s on %s
(%s). Each figure is a median. %s marks the increase over Envoy
without a filter. [docs/benchmarks.md](docs/benchmarks.md) describes the method and has more figures.

`, "`make bench`", f.about["envoy"], f.about["date"], f.about["machine"], "`+`")
	b.WriteString(f.table(columns, false))
	fmt.Fprintf(&b, `
**Plan for the start.** V8 compiles the whole module before Envoy listens, once per process. That takes %.1f s of
processor time, so %.0f s under a CPU limit of %s, and %.0f s under %s. Give such a container a %s
that waits several times as long, or the liveness probe kills it before it listens. If a running Envoy loads the module,
its main thread is busy for as long: requests are still served, but the admin listener waits. Allow %.0f MiB more memory,
and %.0f MiB more per worker (%s; in Istio %s). [The small build](docs/install.md#which-build) starts
in a fraction of that time.
`, start, 2*start, "`500m`", 10*start, "`100m`", "`startupProbe`", one, (four-one)/3, "`--concurrency 2`", "`concurrency: 2`")
	return b.String()
}

// TestDocumentsHaveTheFigures compares the page and the README with what was
// measured, by a whole run of make bench.
func TestDocumentsHaveTheFigures(t *testing.T) { document(t, *update) }

func document(t *testing.T, write bool) {
	text, err := os.ReadFile(measured)
	if err != nil {
		t.Fatal(err)
	}
	f := read(t, bytes.NewBuffer(text))
	for _, document := range []struct{ path, want string }{{"../../docs/benchmarks.md", f.page()}, {"../../README.md", f.readme(t)}} {
		text, err := os.ReadFile(document.path)
		if err != nil {
			t.Fatal(err)
		}
		before, rest, ok1 := strings.Cut(string(text), begins)
		_, after, ok2 := strings.Cut(rest, endings)
		if !ok1 || !ok2 {
			t.Fatalf("%s: no lines %q and %q", document.path, begins, endings)
		}
		want := []byte(before + begins + document.want + endings + after)
		if bytes.Equal(text, want) {
			continue
		}
		if !write {
			t.Errorf("%s does not have the figures of %s; run make bench, or this test with -update", document.path, measured)
		} else if err := os.WriteFile(document.path, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
