package convert

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// Report is everything but the configuration, for programs.
type Report struct {
	Problems Problems `json:"problems,omitempty"`
	Rules    []Rule   `json:"rules,omitempty"`
}

// WriteChanges says in text which rules do what otherwise than their source, each
// change once, and what was left out. Where every policy has a change, the rules are
// not named.
func (r *Result) WriteChanges(w io.Writer) error {
	var b strings.Builder
	var seen []Change
	policies := 0
	for _, rule := range r.Rules {
		if rule.made.policy != nil {
			policies++
		}
	}
	for _, rule := range r.Rules {
		for _, change := range rule.Changes {
			if slices.Contains(seen, change) {
				continue
			}
			seen = append(seen, change)
			if len(seen) == 1 {
				b.WriteString("what changes:\n")
			}
			fmt.Fprintf(&b, "  %s [%s]\n", Printable(change.Text), change.Kind)
			if rules := r.with(change); len(rules) < policies {
				fmt.Fprintf(&b, "    in %s\n", strings.Join(rules, "; "))
			}
		}
	}
	var left []string
	for _, rule := range r.Rules {
		for _, c := range rule.Comments {
			left = append(left, Printable(c.String())+"\n")
		}
	}
	b.WriteString(strings.Join(Unique(left), ""))
	for i, rule := range r.Rules {
		for _, o := range r.Source.Rules[i].Policy.AllowOrigins {
			for _, waiver := range o.Tolerate {
				fmt.Fprintf(&b, "rules[%d] %s: tolerates %s: %s\n", i, rule.Name, waiver.Code, Printable(written(o)))
			}
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// with returns the names of the rules that have a change.
func (r *Result) with(change Change) (names []string) {
	for _, rule := range r.Rules {
		if slices.Contains(rule.Changes, change) {
			names = append(names, rule.Name)
		}
	}
	return names
}
