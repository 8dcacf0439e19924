package convert

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"corsfilter/config"
)

// Result is the configuration that was made.
type Result struct {
	// JSON is the plugin configuration: what config.Parse accepts, the same for
	// the same files.
	JSON []byte
	// Rules are its rules, in their order.
	Rules []Rule

	made []*rule
}

// Sources are the objects that the rules come from, each once.
func (r *Result) Sources() (names []string) {
	for _, rule := range r.Rules {
		for _, f := range rule.From {
			if !slices.Contains(names, f.Source) {
				names = append(names, f.Source)
			}
		}
	}
	return names
}

// Locate leads from a path of the configuration, as in config.Problem, back to the
// source.
func (r *Result) Locate(path string) From {
	at, ok := locate(r.made, path)
	if !ok {
		return From{Place: Place{Line: 1, Column: 1, Document: 1}}
	}
	return From{Source: at.rule.from[0].String(), Place: at.place}
}

// found is what a path of the configuration stands for.
type found struct {
	rule *rule
	// setting is that of the policy; nil where the path is none of a setting.
	setting *setting
	element int // of the setting's list; -1: none
	place   Place
}

var inRule = regexp.MustCompile(`^rules\[(\d+)\](?:\.paths\[(\d+)\]|\.policy\.(\w+)(?:\[(\d+)\])?)?`)

func locate(rules []*rule, path string) (f found, ok bool) {
	m := inRule.FindStringSubmatch(path)
	if m == nil {
		return f, false
	}
	number, _ := strconv.Atoi(m[1])
	f = found{rule: rules[number], element: -1, place: rules[number].from[0].Place}
	if i, err := strconv.Atoi(m[2]); err == nil && f.rule.paths[i].at.File != "" {
		f.place = f.rule.paths[i].at
	}
	if f.rule.policy == nil || m[3] == "" {
		return f, true
	}
	if f.setting = f.rule.policy.find(m[3]); f.setting != nil {
		f.place = f.setting.at
		if i, err := strconv.Atoi(m[4]); err == nil && i < len(f.setting.values) {
			f.element, f.place = i, f.setting.values[i].at
		}
	}
	return f, true
}

// Rule is one rule of the configuration, and what is to be said of it.
type Rule struct {
	// Name is the rule's.
	Name string `json:"name"`
	// From is where it comes from; of several the first gives the order.
	From []From `json:"from"`
	// Changes are what is otherwise here than in the source.
	Changes []Change `json:"changes,omitempty"`
	// Comments say what was left out; they are there with Options.Partial only.
	Comments []Comment `json:"comments,omitempty"`

	hosts, paths []string
	policy       *policy
}

// result makes the configuration of the rules, and has it parsed. What the parser
// refuses is a problem at its place in the source; with Options.Partial elements
// of lists are left out in place of that.
func (c *conversion) result(rules []*rule) *Result {
	if len(rules) == 0 || c.bounded {
		return nil
	}
	for _, r := range rules {
		if r.policy != nil {
			own := *r.policy // a waiver, or what is left out, is one rule's
			own.known = ""
			own.settings = slices.Clone(own.settings)
			r.policy = &own
		}
	}
	// Each round takes something out, or adds a waiver.
	for range maxRounds {
		result := finished(rules)
		_, _, err := config.Parse(result.JSON)
		var problems config.Problems
		if !errors.As(err, &problems) {
			return result
		}
		if !c.repair(rules, problems) {
			return nil
		}
	}
	return nil
}

const maxRounds = 200

// repair does what the options allow about what the parser refuses; it reports
// whether another try is worth it.
func (c *conversion) repair(rules []*rule, problems config.Problems) bool {
	changed, refused := false, false
	drop := map[*setting][]int{}
	for _, p := range problems {
		at, ok := locate(rules, p.Path)
		if !ok {
			refused = true
			c.add(Problem{Place: rules[0].from[0].Place, What: p.Error()})
			continue
		}
		r, from := at.rule, at.rule.from[0].String()
		waivable := slices.Contains(config.Waivers, p.Code)
		if waivable && c.tolerates(p.Code) && r.policy != nil {
			if !slices.Contains(r.policy.waivers, p.Code) { // of several that need it, the first asks for it
				r.policy.waivers = append(r.policy.waivers, p.Code)
			}
			changed = true
			continue
		}
		what := p.Reason
		if p.Value != "" {
			what = p.Value + ": " + what
		}
		if at.setting != nil {
			what = at.setting.name + ": " + what
		}
		problem := Problem{Place: at.place, Source: from, What: what, Remedy: p.Remedy}
		switch {
		case waivable:
			problem.Waiver = p.Code
			before, _, _ := strings.Cut(p.Remedy, ", or add \"")
			problem.Remedy = before + ", or convert with -tolerate " + string(p.Code)
		case c.options.Partial && at.element >= 0:
			if !slices.Contains(drop[at.setting], at.element) {
				drop[at.setting] = append(drop[at.setting], at.element)
				r.comments = append(r.comments, Comment{at.place, printable(from + ": " + what)})
			}
			changed = true
			continue
		case c.options.Partial && p.Code == config.Missing && at.setting != nil && at.setting.name == "allow_origins":
			r.comments = append(r.comments, Comment{at.place, from + ": the policy, of which no origin is left; it is off"})
			r.policy = nil
			changed = true
			continue
		}
		refused = true
		c.add(problem)
	}
	for s, elements := range drop {
		slices.Sort(elements)
		s.values = slices.Clone(s.values)
		for _, i := range slices.Backward(elements) {
			s.values = slices.Delete(s.values, i, i+1)
		}
	}
	return changed && !refused
}

// finished writes the rules.
func finished(rules []*rule) *Result {
	result := &Result{made: rules}
	names := map[string]int{}
	for _, r := range rules {
		made := Rule{Name: nameOfRule(r.from), From: r.from, hosts: r.hosts, policy: r.policy, Comments: r.comments, Changes: r.changes}
		if names[made.Name]++; names[made.Name] > 1 {
			made.Name = fmt.Sprintf("%s (%d)", made.Name, names[made.Name])
		}
		for _, p := range r.paths {
			made.paths = append(made.paths, p.pattern())
		}
		if r.policy != nil {
			made.Changes = append(slices.Clone(made.Changes), r.policy.changes...)
			made.Comments = append(slices.Clone(made.Comments), r.policy.comments...)
		}
		result.Rules = append(result.Rules, made)
	}
	result.JSON = result.text(false)
	return result
}

// maxNamed is how many places a rule's name has.
const maxNamed = 3

// nameOfRule says where a rule comes from: "VirtualService shop/a http[0], http[2]".
func nameOfRule(from []From) string {
	var parts []string
	last := ""
	seen := map[string]bool{}
	for _, f := range from {
		text := f.String()
		if seen[text] {
			continue
		}
		seen[text] = true
		if f.Source == last && f.Part != "" {
			text = f.Part
		}
		last = f.Source
		parts = append(parts, printable(text))
	}
	if more := len(parts) - maxNamed; more > 0 {
		parts = append(parts[:maxNamed], fmt.Sprintf("and %d more", more))
	}
	return strings.Join(parts, ", ")
}

// object is the rule as JSON. JSON has no comments, so the name takes them where
// they are wanted.
func (r Rule) object(comments bool) (o jsonObject) {
	name := r.Name
	if comments && len(r.Comments) > 0 {
		var places []string
		for _, c := range r.Comments {
			if place := fmt.Sprintf("%s:%d", printable(c.File), c.Line); !slices.Contains(places, place) {
				places = append(places, place)
			}
		}
		name += " (left out: " + strings.Join(places, ", ") + ")"
	}
	if name != "" {
		o = append(o, member{"name", name})
	}
	if len(r.hosts) > 0 {
		o = append(o, member{"hosts", r.hosts})
	}
	if len(r.paths) > 0 {
		o = append(o, member{"paths", r.paths})
	}
	return append(o, member{"policy", r.policy.object()})
}

// text is the configuration as JSON, a line for each setting.
func (r *Result) text(comments bool) []byte {
	var b bytes.Buffer
	b.WriteString("{\n  \"rules\": [")
	for i, rule := range r.Rules {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString("\n    {")
		for j, m := range rule.object(comments) {
			if j > 0 {
				b.WriteByte(',')
			}
			fmt.Fprintf(&b, "\n      %s: ", compact(m.key))
			policy, ok := m.value.(jsonObject)
			if !ok {
				b.Write(spaced(m.value))
				continue
			}
			b.WriteByte('{')
			for k, s := range policy {
				if k > 0 {
					b.WriteByte(',')
				}
				fmt.Fprintf(&b, "\n        %s: %s", compact(s.key), spaced(s.value))
			}
			b.WriteString("\n      }")
		}
		b.WriteString("\n    }")
	}
	b.WriteString("\n  ]\n}\n")
	return b.Bytes()
}

// spaced is compact with a space between the elements of a list.
func spaced(v any) []byte {
	var elements [][]byte
	switch list := v.(type) {
	case []any:
		for _, e := range list {
			elements = append(elements, compact(e))
		}
	case []string:
		for _, e := range list {
			elements = append(elements, compact(e))
		}
	default:
		return compact(v)
	}
	return append(append([]byte("["), bytes.Join(elements, []byte(", "))...), ']')
}
