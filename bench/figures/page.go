package figures

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
)

// BarPicture is a picture of contests; Of picks them.
type BarPicture struct {
	Name, Title string
	Of          func(d *Data) []Contest
}

// BarPictures are those of the page, by the name of their file.
var BarPictures = []BarPicture{
	{"v8.svg", "One request in V8", func(d *Data) []Contest { return d.requests("V8", repeated) }},
	{"v8-in-turn.svg", "One request in V8, 10,000 origins, many in turn", func(d *Data) []Contest { return d.requests("V8", varied) }},
	{"wazero.svg", "One request under wazero", func(d *Data) []Contest { return d.requests("wazero", repeated) }},
	{"decide.svg", "The decision, natively", func(d *Data) []Contest { return d.Decide }},
	{"gateway.svg", "One request through the gateway, over loopback", func(d *Data) []Contest { return d.Gateway }},
}

// GrowthPicture is the name of the file with the i-th series.
func GrowthPicture(i int) string { return fmt.Sprintf("growth-%d.svg", i+1) }

func repeated(c Contest) bool { return c.InTurn <= 1 }
func varied(c Contest) bool   { return c.InTurn > 1 }

func (d *Data) requests(engine string, keep func(Contest) bool) (found []Contest) {
	for _, c := range d.Requests {
		if c.Engine == engine && keep(c) {
			found = append(found, c)
		}
	}
	return found
}

// LoadName is how pictures call a load, in one line or two.
func LoadName(c Contest) string {
	if c.InTurn > 1 || c.Engine == "gateway" {
		return c.Case
	}
	return c.Case + "\n" + thousands(c.Origins)
}

// Page returns the page docs/benchmarks.md.
func (d *Data) Page() string {
	var b strings.Builder
	say := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	picture := func(name string) { say("![%s](benchmarks/%s)\n", strings.TrimSuffix(name, ".svg"), name) }
	run := d.Run

	say("# Benchmarks\n")
	say("`make bench` makes this page, its pictures, [their data](benchmarks.json) and the figures in the README")
	say("anew, in some minutes; Ctrl-C ends it with what there is by then. Nothing here is typed by hand, and")
	say("tests compare the page and the pictures with the data.\n")
	say("| | |\n|---|---|")
	say("| measured | %s, at commit %s, by `%s` |", run.Date, run.Commit, run.Command)
	say("| machine | %s |", run.Machine)
	say("| versions | %s |", strings.Join(run.Versions, "; "))
	say("| method | contenders take turns in slices of %g ms of processor time, which other work on the machine hardly changes; medians of %d rounds, with quartiles in brackets; every outcome (status, headers, counters) is compared with what it must be before it is timed |", run.SliceMS, run.Rounds)
	if run.Quick {
		say("| note | a short run: look at the ratios, and not at the last digit |")
	}
	for _, why := range run.LeftOut {
		say("| left out | %s |", why)
	}
	if run.Missing != nil {
		say("| stopped before | %s |", strings.Join(run.Missing, ", "))
	}
	say("")

	if len(d.Requests) > 0 {
		say("## One request\n")
		say("A request has 12 to 15 headers, the response of upstream has 14. `actual` is a cross-origin request")
		say("of an origin that is allowed, `denied` one of another origin, which is forwarded; a preflight is")
		say("answered by the filter. The policy has one origin or 10,000, a fifth of them patterns. The")
		say("requests come from one origin again and again, or, so that nothing remembered helps, from %s", thousands(inTurn(d)))
		say("in turn.\n")
		say("The first contender is a module of C ([floor.c](../bench/floor/floor.c)) that makes the calls which the")
		say("contract allows and decides nothing. `through the SDK` is the same decision as a user of the")
		say("proxy-wasm SDK would write it ([main.go](../bench/sdk/main.go)), by the official compiler; since the SDK")
		say("exports nothing there, the build adds what is missing. `beyond` is what a request takes more than")
		say("with the first contender: that part does not depend on the host. The host is the same for all, and")
		say("part of every time: a few lines of JavaScript in V8, `internal/host` under wazero. The filter's own")
		say("figures in Envoy, whose calls cost more, have a smaller ratio and the same `beyond`.\n")
	}
	for _, engine := range []string{"V8", "wazero"} {
		for _, part := range []struct {
			keep func(Contest) bool
			name string
		}{{repeated, "one origin sends all requests"}, {varied, "1,000 origins send requests in turn"}} {
			contests := d.requests(engine, part.keep)
			if len(contests) == 0 {
				continue
			}
			say("### %s, %s\n", engine, part.name)
			d.pictures(picture, contests)
			say("%s", table(contests, true))
		}
	}
	if len(d.Growth) > 0 {
		say("## Growth\n")
		say("The module in V8, all sizes in turn. Names of request headers are looked at up to 4,096 bytes; the")
		say("bytes beyond are copied by the host, and not read.\n")
		for i, s := range d.Growth {
			picture(GrowthPicture(i))
			say("| %s: %s | time of one request |\n|---|---|", s.Case, s.Of)
			for _, p := range s.Points {
				say("| %s %s | %s |", thousands(p.N), s.Unit, duration(p.NS))
			}
			say("")
		}
	}
	if len(d.Decide) > 0 {
		say("## The decision, natively\n")
		say("The same requests and policies in Go, beside github.com/rs/cors: the decision over plain values, and")
		say("behind `net/http` as that library is, replies and edits included. The library does less: it knows no")
		say("rules, and leaves upstream's headers as they are.\n")
		d.pictures(picture, d.Decide)
		say("%s", table(d.Decide, false))
	}
	if len(d.Gateway) > 0 {
		say("## Through the gateway\n")
		say("`corsctl serve`'s gateway in front of an upstream, all in one process: one request after the other")
		say("over a connection that stays open, by the clock. Without the filter upstream answers the preflight.\n")
		d.pictures(picture, d.Gateway)
		say("%s", table(d.Gateway, false))
	}
	if len(d.Sizes) > 0 {
		say("## Size\n")
		say("| module | bytes | compressed by gzip |\n|---|---|---|")
		for _, s := range d.Sizes {
			say("| %s | %s | %s |", s.Name, thousands(s.Raw), thousands(s.Gzip))
		}
		say("")
	}
	if len(d.Starts) > 0 {
		say("## Start\n")
		say("V8 compiles in two tiers, and only the first is part of this; wazero compiles everything.\n")
		say("| engine | module | compile | instantiate | configure |\n|---|---|---|---|---|")
		for _, s := range d.Starts {
			var configured []string
			for _, c := range s.Configure {
				configured = append(configured, plural(c.Origins, "origin")+" "+milliseconds(c.MS))
			}
			say("| %s | %s | %s | %s | %s |", s.Engine, s.Name, milliseconds(s.Compile), milliseconds(s.Instantiate), strings.Join(configured, "; "))
		}
		say("")
	}
	if len(d.Memory) > 0 {
		say("## Linear memory\n")
		say("In V8, requests of all four kinds. In a contender that makes garbage, Go's collector runs with its defaults.\n")
		say("| module | origins | after the start | then after |\n|---|---|---|---|")
		for _, m := range d.Memory {
			say("| %s | %s | %s | %s requests: %s |", m.Name, thousands(m.Origins), mebibytes(m.Start), thousands(m.Requests), mebibytes(m.After))
		}
		say("")
	}
	return strings.TrimRight(b.String(), "\n") + "\n"
}

func inTurn(d *Data) (n int) {
	for _, c := range d.Requests {
		n = max(n, c.InTurn)
	}
	return n
}

// pictures shows those that are of these contests.
func (d *Data) pictures(show func(name string), contests []Contest) {
	for _, p := range BarPictures {
		if of := p.Of(d); len(of) > 0 && of[0].Engine == contests[0].Engine && of[0].Case == contests[0].Case && of[0].InTurn == contests[0].InTurn {
			show(p.Name)
		}
	}
}

// table has a row for each contest.
func table(contests []Contest, calls bool) string {
	var b strings.Builder
	first := contests[0].Contenders
	fmt.Fprintf(&b, "| case, origins of the policy | %s |", first[0].Name)
	for _, c := range first[1:] {
		fmt.Fprintf(&b, " %s | ratio | beyond |", c.Name)
	}
	fmt.Fprintf(&b, "\n|---|---|%s\n", strings.Repeat("---|---|---|", len(first)-1))
	for _, c := range contests {
		fmt.Fprintf(&b, "| %s, %s | %s%s |", c.Case, thousands(c.Origins), duration(c.Contenders[0].NS), callsOf(c.Contenders[0], calls))
		for _, one := range c.Contenders[1:] {
			fmt.Fprintf(&b, " %s%s | %s | %s |", duration(one.NS), callsOf(one, calls), ratio(one.Ratio), duration(one.Beyond))
		}
		b.WriteString("\n")
	}
	return b.String()
}

func callsOf(c Contender, calls bool) string {
	if !calls {
		return ""
	}
	return fmt.Sprintf(", %d calls", c.Calls)
}

func ratio(s Summary) string {
	if s.Median < 0.1 {
		return fmt.Sprintf("%.3f (%.3f to %.3f)", s.Median, s.Q1, s.Q3)
	}
	return fmt.Sprintf("%.2f (%.2f to %.2f)", s.Median, s.Q1, s.Q3)
}

// duration is a Summary of nanoseconds, in one unit.
func duration(s Summary) string {
	switch size := math.Abs(s.Median); {
	case size >= 10_000:
		return fmt.Sprintf("%.1f µs (%.1f to %.1f)", s.Median/1000, s.Q1/1000, s.Q3/1000)
	case size >= 1000:
		return fmt.Sprintf("%.2f µs (%.2f to %.2f)", s.Median/1000, s.Q1/1000, s.Q3/1000)
	}
	return fmt.Sprintf("%.0f ns (%.0f to %.0f)", s.Median, s.Q1, s.Q3)
}

func milliseconds(s Summary) string {
	digits := 1
	if s.Median >= 10 {
		digits = 0
	}
	return fmt.Sprintf("%.*f ms (%.*f to %.*f)", digits, s.Median, digits, s.Q1, digits, s.Q3)
}

func mebibytes(n int) string { return fmt.Sprintf("%.2f MiB", float64(n)/(1<<20)) }

// thousands writes a number with commas.
func thousands(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// The marks around what Fill writes.
const (
	beginNumbers = "<!-- numbers: made by make bench -->\n"
	endNumbers   = "<!-- end of numbers -->\n"
)

// Fill returns the README with its figures made of the data: the page's most
// telling ones. Parts that were not measured are left out.
func (d *Data) Fill(readme string) (string, error) {
	before, rest, found := strings.Cut(readme, beginNumbers)
	_, after, closed := strings.Cut(rest, endNumbers)
	if !found || !closed {
		return "", errors.New("the marks around the numbers are gone: " + strings.TrimSpace(beginNumbers) + " and " + strings.TrimSpace(endNumbers))
	}
	return before + beginNumbers + d.numbers() + endNumbers + after, nil
}

func (d *Data) numbers() string {
	var b strings.Builder
	say := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	say("Measured by `%s` on %s (%s).", d.Run.Command, d.Run.Date, d.Run.Machine)
	say("[docs/benchmarks.md](docs/benchmarks.md) has all of it: spreads, growth, pictures, other contenders, and how it is done.\n")
	if contests := d.requests("V8", repeated); len(contests) > 0 {
		say("| one request in V8, the engine of Envoy | time | C that makes the least calls and decides nothing | ratio | calls to the proxy |\n|---|---|---|---|---|")
		for _, c := range contests {
			floor, ours := c.Contenders[0], c.Contenders[1]
			say("| %s, policy of %s | %.1f µs | %.1f µs | %.1f | %d |", c.Case, plural(c.Origins, "origin"), ours.NS.Median/1000, floor.NS.Median/1000, ours.Ratio.Median, ours.Calls)
		}
		say("")
	}
	if i := slices.IndexFunc(d.Starts, func(s Start) bool { return s.Engine == "V8" }); i >= 0 && len(d.Memory) > 0 {
		start := d.Starts[i]
		say("| the module in V8 | time to configure | linear memory then | after %s requests |\n|---|---|---|---|", thousands(d.Memory[0].Requests))
		for _, c := range start.Configure {
			for _, m := range d.Memory {
				if m.Name == start.Name && m.Origins == c.Origins {
					say("| %s | %.0f ms | %s | %s |", plural(c.Origins, "origin"), c.MS.Median, mebibytes(m.Start), mebibytes(m.After))
				}
			}
		}
		say("")
	}
	if len(d.Sizes) > 1 {
		say("The module has %.1f MB, %.1f MB compressed.", float64(d.Sizes[1].Raw)/1e6, float64(d.Sizes[1].Gzip)/1e6)
	}
	return b.String()
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return thousands(n) + " " + what + "s"
}
