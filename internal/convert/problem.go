package convert

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"corsfilter/config"
)

// Problem is one thing that keeps the policies from being converted.
type Problem struct {
	Place
	// Source is the object and the place in it, such as "VirtualService shop/reviews http[0]".
	Source string `json:"source,omitempty"`
	// What is wrong, and Remedy what to do.
	What   string `json:"what"`
	Remedy string `json:"remedy,omitempty"`
	// Waiver is the name for Options.Tolerate that lets it through, where one does.
	Waiver config.Code `json:"waiver,omitempty"`
	// More is how many further problems this one stands for.
	More int `json:"more,omitempty"`
}

// Error returns the problem in one line.
func (p Problem) Error() string {
	text := fmt.Sprintf("%s:%d:%d: ", p.File, p.Line, p.Column)
	if p.Source != "" {
		text += p.Source + ": "
	}
	text += p.What
	if p.Remedy != "" {
		text += "; " + p.Remedy
	}
	return text
}

// Problems are all that stand in the way.
type Problems []Problem

// Error returns one line for each problem.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.Error()
	}
	return strings.Join(lines, "\n")
}

// maxListed is how many problems are listed.
const maxListed = 100

func (c *Conversion) Problem(at Place, source, what, remedy string) {
	c.add(Problem{Place: at, Source: source, What: what, Remedy: remedy})
}

// Idle reports a policy on a route that the proxy answers itself, where it has no effect.
func (r Reader) Idle(policy *yaml.Node, by, filter string) {
	r.NoEffect(policy, "the policy has no effect: the proxy answers these requests itself ("+by+"), and "+filter+" does nothing there",
		"move it to routes that forward requests; to cover the proxy's own answers, write a rule of this filter for their paths")
}

// NoEffect reports settings without effect, which are a problem only if no policy in the
// files has one.
func (r Reader) NoEffect(node *yaml.Node, what, remedy string) {
	at := r.Object.At(node)
	source := r.place()
	r.idle = append(r.idle, Problem{Place: at, Source: source, What: what, Remedy: remedy})
}

// add keeps one problem for each place and text: the same route is looked at more
// than once.
func (c *Conversion) add(p Problem) {
	p.What, p.Remedy, p.Source = Printable(p.What), Printable(p.Remedy), Printable(p.Source)
	if !c.told[p] {
		if c.told == nil {
			c.told = map[Problem]bool{}
		}
		c.told[p] = true
		c.problems = append(c.problems, p)
	}
}

// Printable replaces characters that would break a line or a terminal.
func Printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || r == 0x2028 || r == 0x2029 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
			return '?'
		}
		return r
	}, s)
}

// all returns the problems in the order of the files; the last one counts those that are not
// listed.
func (c *Conversion) all(files []File) Problems {
	order := map[string]int{}
	for i, f := range files {
		order[f.Name] = i
	}
	slices.SortStableFunc(c.problems, func(a, b Problem) int {
		return cmp.Or(order[a.File]-order[b.File], a.Line-b.Line, a.Column-b.Column)
	})
	if len(c.problems) <= maxListed {
		return c.problems
	}
	rest := len(c.problems) - maxListed
	last := c.problems[maxListed]
	return append(c.problems[:maxListed:maxListed], Problem{
		Place: last.Place, What: fmt.Sprintf("%d more problems, the first of them here", rest), Remedy: "fix those above, then run it again", More: rest - 1,
	})
}

// MaxShown is how much of a text from a file messages show.
const MaxShown = 100

// Shortened keeps a text from filling a message.
func Shortened(s string) string {
	if r := []rune(s); len(r) > MaxShown {
		return string(r[:MaxShown]) + "…"
	}
	return s
}
