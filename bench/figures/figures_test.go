package figures

import (
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"
)

func TestSummarizeTakesTheMedianAndTheQuartiles(t *testing.T) {
	for _, c := range []struct {
		samples []float64
		want    Summary
	}{
		{[]float64{7}, Summary{7, 7, 7}},
		{[]float64{3, 1, 2}, Summary{2, 1.5, 2.5}},
		{[]float64{4, 3, 2, 1}, Summary{2.5, 1.75, 3.25}},
		{[]float64{1000000, 1, 1, 1, 1}, Summary{1, 1, 1}}, // one slice in which the machine did something else
		{[]float64{123456, 123456}, Summary{123500, 123500, 123500}},
	} {
		if got := Summarize(c.samples); got != c.want {
			t.Errorf("Summarize(%v) = %v, want %v", c.samples, got, c.want)
		}
	}
}

// TestCompareComparesSlicesOfOneRound has a second round in which the machine is
// ten times slower: the ratio does not notice.
func TestCompareComparesSlicesOfOneRound(t *testing.T) {
	got := Compare([]string{"floor", "ours"}, []int{3, 4}, [][]float64{{10, 100, 10}, {20, 200, 20}})
	want := []Contender{
		{"floor", 3, Summary{10, 10, 55}, Summary{1, 1, 1}, Summary{}},
		{"ours", 4, Summary{20, 20, 110}, Summary{2, 2, 2}, Summary{10, 10, 55}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestTakeTurnsGivesEachItsSlice(t *testing.T) {
	var order []int
	wait := func(i int, d time.Duration) func(int) {
		return func(n int) {
			order = append(order, i)
			time.Sleep(time.Duration(n) * d)
		}
	}
	samples := TakeTurns(4, 4*time.Millisecond, Wall, wait(0, time.Millisecond), wait(1, 4*time.Millisecond))
	for i, least := range []time.Duration{time.Millisecond, 4 * time.Millisecond} {
		if len(samples[i]) != 4 {
			t.Fatalf("%d samples, want 4", len(samples[i]))
		}
		for _, ns := range samples[i] {
			if ns < float64(least) {
				t.Errorf("%v ns for one run, which takes %v", ns, least)
			}
		}
	}
	if got, want := order[len(order)-8:], []int{0, 1, 1, 0, 0, 1, 1, 0}; !reflect.DeepEqual(got, want) {
		t.Errorf("the order of the rounds is %v, want %v", got, want)
	}
}

// TestTheProcessorsTimeIsThatOfWork sleeps, and works.
func TestTheProcessorsTimeIsThatOfWork(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("left out: the clock on the wall stands in for it there")
	}
	const while = 50 * time.Millisecond
	before := Processor()
	time.Sleep(while)
	if took := Processor() - before; took > while/2 {
		t.Errorf("a sleep of %v takes %v", while, took)
	}
	for before, began := Processor(), time.Now(); Processor()-before < while; {
		if time.Since(began) > time.Minute {
			t.Fatal("a minute of work takes no time")
		}
	}
}

func TestDataComeBackAsWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data.json")
	d := &Data{Run: Run{Command: "make bench", Missing: []string{"size"}}, Growth: []Series{{Of: "rules", Points: []Point{{1, Summary{1, 2, 3}}}}}}
	if err := d.Write(path); err != nil {
		t.Fatal(err)
	}
	got, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	if got.Page() != d.Page() || !reflect.DeepEqual(got.Growth, d.Growth) {
		t.Errorf("got %+v, want %+v", got, d)
	}
}

// TestAPageOfARunThatWasStopped says what it lacks, and has no empty parts.
func TestAPageOfARunThatWasStopped(t *testing.T) {
	d := &Data{Run: Run{Command: "make bench", Missing: []string{"growth", "memory"}}, Requests: []Contest{{Engine: "V8", Case: "actual", Origins: 10_000, InTurn: 1,
		Contenders: Compare([]string{"C", "ours"}, []int{7, 9}, [][]float64{{1000}, {1500}})}}}
	page := d.Page()
	for _, want := range []string{"| stopped before | growth, memory |", "### V8, one origin", "(benchmarks/v8.svg)",
		"| actual, 10,000 | 1.00 µs (1.00 to 1.00), 7 calls | 1.50 µs (1.50 to 1.50), 9 calls | 1.50 (1.50 to 1.50) | 500 ns (500 to 500) |"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	for _, no := range []string{"wazero.svg", "## Growth", "## Size", "in-turn.svg"} {
		if strings.Contains(page, no) {
			t.Errorf("the page has %q, which was not measured", no)
		}
	}
	if t.Failed() {
		t.Log(page)
	}
}

func TestFillKeepsTheREADMEAroundTheFigures(t *testing.T) {
	d := &Data{Run: Run{Command: "make bench"}, Sizes: []Size{{"C", 1, 1}, {"ours", 3_500_000, 1_000_000}}}
	filled, err := d.Fill("before\n" + beginNumbers + "old\n" + endNumbers + "after\n")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(filled, "before\n"+beginNumbers) || !strings.HasSuffix(filled, endNumbers+"after\n") ||
		strings.Contains(filled, "old") || !strings.Contains(filled, "The module has 3.5 MB, 1.0 MB compressed.") {
		t.Errorf("got %s", filled)
	}
	if again, err := d.Fill(filled); err != nil || again != filled {
		t.Errorf("filled again it is another: %v\n%s", err, again)
	}
	if _, err := d.Fill("no marks"); err == nil {
		t.Error("a README without marks is taken")
	}
}
