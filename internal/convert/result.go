package convert

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tidwall/gjson"

	"corsfilter/config"
	"corsfilter/internal/fieldpath"
)

// Result is the configuration that was made.
type Result struct {
	// Source is the plugin configuration, and JSON the text of it: what config.Parse
	// accepts, the same for the same files.
	Source *config.Source
	JSON   []byte
	// Rules are its rules, in their order.
	Rules []Rule

	index index
}

// Sources are the objects that the rules come from, each once.
func (r *Result) Sources() (names []string) {
	for _, rule := range r.Rules {
		for _, f := range rule.From {
			names = append(names, f.Source)
		}
	}
	return Unique(names)
}

// Locate leads from a path of the configuration, as in config.Problem, back to the
// source.
func (r *Result) Locate(path string) From {
	at, ok := r.index.find(path)
	if !ok {
		return From{Place: Place{Line: 1, Column: 1, Document: 1}}
	}
	return From{Source: at.rule.from[0].String(), Place: at.place}
}

// found is what a path of the configuration refers to.
type found struct {
	rule *rule
	// entry is that of the policy; none where its setting is "".
	Entry
	place Place
}

// index says what the paths of a configuration stand for.
type index map[string]found

// find returns what a path refers to, or else the path around it.
func (x index) find(path string) (f found, ok bool) {
	for {
		if f, ok = x[path]; ok || path == "" {
			return f, ok
		}
		path = path[:max(strings.LastIndexAny(path, ".["), 0)]
	}
}

// add enters a rule.
func (x index) add(path string, r *rule) {
	x[path] = found{rule: r, place: r.from[0].Place}
	for i, p := range r.paths {
		if p.At.File != "" {
			x[fieldpath.Index(fieldpath.Key(path, "paths"), i)] = found{rule: r, place: p.At}
		}
	}
	if r.policy == nil {
		return
	}
	enter := func(setting string, element any, path string) {
		if at, known := r.policy.Places[Entry{setting, element}]; known {
			x[path] = found{r, Entry{setting, element}, at}
		}
	}
	path = fieldpath.Key(path, "policy")
	for _, setting := range append([]string{AllowOrigins, MaxAge, PrivateNetwork}, NameLists...) {
		enter(setting, nil, fieldpath.Key(path, setting))
	}
	for i, o := range r.policy.AllowOrigins {
		enter(AllowOrigins, written(o), fieldpath.Index(fieldpath.Key(path, AllowOrigins), i))
	}
	for _, setting := range NameLists {
		for i, n := range *r.policy.list(setting) {
			enter(setting, n, fieldpath.Index(fieldpath.Key(path, setting), i))
		}
	}
}

// Rule is one rule of the configuration, with its origin, changes and comments.
type Rule struct {
	// Name is the rule's.
	Name string `json:"name"`
	// From is where it comes from; of several the first gives the order.
	From []From `json:"from"`
	// Changes list how it differs from the source.
	Changes []Change `json:"changes,omitempty"`
	// Comments say what was left out; they are there with Options.Partial only.
	Comments []Comment `json:"comments,omitempty"`

	made *rule
}

// result makes the configuration of the rules, and has it compiled. What is refused is
// a problem at its place in the source; with Options.Partial elements of lists are left
// out in place of that.
func (c *Conversion) result(rules []*rule) *Result {
	if len(rules) == 0 || c.bounded {
		return nil
	}
	for _, r := range rules {
		if r.policy != nil {
			own := *r.policy // a waiver, or what is left out, is one rule's
			own.known, own.AllowOrigins = "", slices.Clone(own.AllowOrigins)
			r.policy = &own
		}
	}
	// Each round takes something out, or adds a waiver.
	for range maxRounds {
		result := finished(rules)
		_, _, err := result.Source.Compile()
		var problems config.Problems
		if !errors.As(err, &problems) {
			return result
		}
		if !c.repair(rules, result.index, problems) {
			return nil
		}
		rules = slices.DeleteFunc(rules, func(r *rule) bool { return r.unreachable })
	}
	return nil
}

const maxRounds = 200

// repair fixes what the options allow, and reports whether another try is worth it.
func (c *Conversion) repair(rules []*rule, index index, problems config.Problems) bool {
	refused := false
	drop := map[*rule][]Entry{}
	for _, p := range problems {
		if p.Code == config.Unreachable && len(c.problems) > 0 { // of what does not agree
			refused = true
			continue
		}
		at, ok := index.find(p.Path)
		if !ok {
			refused = true
			c.add(Problem{Place: rules[0].from[0].Place, What: p.Error()})
			continue
		}
		r, from := at.rule, at.rule.from[0].String()
		if p.Code == config.Unreachable { // several rules take together what none of them takes alone
			r.unreachable = true
			if r.policy != nil {
				rules[0].changes = append(rules[0].changes, outOfReach(r.from[0], "earlier routes take its requests"))
			}
			continue
		}
		waivable := slices.Contains(config.Waivers, p.Code)
		if waivable && c.tolerates(p.Code) {
			r.policy.waive(at.Entry, p.Code)
			continue
		}
		what := p.Reason
		if p.Value != "" {
			what = p.Value + ": " + what
		}
		if at.Setting != "" {
			what = at.Setting + ": " + what
		}
		problem := Problem{Place: at.place, Source: from, What: what, Remedy: cmp.Or(r.policy.remedy(at.Entry, p.Code), p.Remedy)}
		switch {
		case waivable:
			problem.Waiver = p.Code
			before, _, _ := strings.Cut(problem.Remedy, ", or add \"")
			problem.Remedy = before + ", or convert with -tolerate " + string(p.Code)
		case c.Options.Partial && at.Element != nil:
			if !slices.Contains(drop[r], at.Entry) {
				drop[r] = append(drop[r], at.Entry)
				r.comments = append(r.comments, Comment{at.place, Printable(what), from})
			}
			continue
		}
		refused = true
		c.add(problem)
	}
	for r, gone := range drop {
		r.policy.drop(gone)
		if len(r.policy.AllowOrigins) == 0 {
			r.comments = append(r.comments, Comment{r.policy.Places[Entry{AllowOrigins, nil}], "every origin of the policy; it allows nobody", r.from[0].String()})
		}
	}
	return !refused
}

// remedy says in the source's words what to do about an origin that is refused.
func (p *Policy) remedy(entry Entry, code config.Code) string {
	if p == nil {
		return ""
	}
	for _, o := range p.AllowOrigins {
		if written(o) == entry.Element {
			return p.Spelling.remedy(o, code)
		}
	}
	return ""
}

// waive gives an origin a waiver.
func (p *Policy) waive(entry Entry, code config.Code) {
	for i := range p.AllowOrigins {
		if o := &p.AllowOrigins[i]; written(*o) == entry.Element {
			o.Tolerate = append(slices.Clone(o.Tolerate), config.Waiver{Code: code})
		}
	}
}

// drop takes elements out of the lists.
func (p *Policy) drop(gone []Entry) {
	p.AllowOrigins = slices.DeleteFunc(slices.Clone(p.AllowOrigins), func(o config.SourceOrigin) bool { return slices.Contains(gone, Entry{AllowOrigins, written(o)}) })
	for _, setting := range NameLists {
		list := p.list(setting)
		*list = slices.DeleteFunc(slices.Clone(*list), func(n config.Name) bool { return slices.Contains(gone, Entry{setting, n}) })
	}
}

// finished writes the rules.
func finished(rules []*rule) *Result {
	result := &Result{Source: &config.Source{}, index: index{}}
	names := map[string]int{}
	for i, r := range rules {
		made := Rule{Name: nameOfRule(r.from), From: r.from, made: r, Comments: slices.Clone(r.comments), Changes: r.changes}
		if names[made.Name]++; names[made.Name] > 1 {
			made.Name = fmt.Sprintf("%s (%d)", made.Name, names[made.Name])
		}
		if r.policy != nil {
			made.Changes = append(slices.Clone(made.Changes), r.policy.Changes...)
			made.Comments = append(made.Comments, r.policy.Comments...)
		}
		for j, comment := range made.Comments {
			made.Comments[j] = comment.named(rules)
		}
		result.Rules = append(result.Rules, made)
		result.Source.Rules = append(result.Source.Rules, r.source(made.Name))
		result.index.add(fieldpath.Index("rules", i), r)
	}
	result.JSON = result.text(false)
	return result
}

// named says whether a part of a rule's source was left out, or the whole.
func (c Comment) named(rules []*rule) Comment {
	if c.of == "" {
		return c
	}
	of := c.of
	if slices.ContainsFunc(rules, func(r *rule) bool {
		return slices.ContainsFunc(r.from, func(f From) bool { return f.String() == c.of })
	}) {
		of = "a part of " + of
	}
	c.Text, c.of = Printable(of+": "+c.Text), ""
	return c
}

// source is the rule as the configuration has it. Compiling writes into the lists, which
// rules may share.
func (r *rule) source(name string) config.SourceRule {
	made := config.SourceRule{Name: config.Name{Value: name}, Policy: &config.SourcePolicy{Settings: config.Settings{Mode: config.Off}}}
	for _, h := range r.hosts {
		made.Hosts = append(made.Hosts, config.Name{Value: h})
	}
	for _, p := range r.paths {
		made.Paths = append(made.Paths, p.source())
	}
	if r.policy != nil {
		own := *r.policy
		own.AllowOrigins = slices.Clone(own.AllowOrigins)
		for i, o := range own.AllowOrigins {
			own.AllowOrigins[i].Tolerate = slices.Clone(o.Tolerate)
		}
		for _, setting := range NameLists {
			*own.list(setting) = slices.Clone(*own.list(setting))
		}
		made.Policy = &own.SourcePolicy
	}
	return made
}

// maxNamed is how many places a rule's name has.
const maxNamed = 3

// nameOfRule says where a rule comes from: "VirtualService shop/a http[0], http[2]".
func nameOfRule(from []From) string {
	var parts []string
	last := ""
	for _, f := range once(from, From.String) {
		text := f.String()
		if f.Source == last && f.Part != "" {
			text = f.Part
		}
		last = f.Source
		parts = append(parts, Printable(text))
	}
	if more := len(parts) - maxNamed; more > 0 {
		parts = append(parts[:maxNamed], fmt.Sprintf("and %d more", more))
	}
	return strings.Join(parts, ", ")
}

// text is the configuration as JSON, a line for each setting. JSON has no comments, so
// that the names of rules take them where they are wanted.
func (r *Result) text(comments bool) []byte {
	source := *r.Source
	source.Rules = slices.Clone(source.Rules)
	for i, rule := range r.Rules {
		if !comments || len(rule.Comments) == 0 {
			continue
		}
		var places []string
		for _, c := range rule.Comments {
			places = append(places, fmt.Sprintf("%s:%d", Printable(c.File), c.Line))
		}
		source.Rules[i].Name.Value += " (without " + strings.Join(Unique(places), ", ") + ")"
	}
	var b strings.Builder
	lines(&b, gjson.ParseBytes(compact(&source)), "\n")
	return []byte(b.String() + "\n")
}

// lines writes JSON with a line for each member of the rules and policies; other lists
// stand in one.
func lines(b *strings.Builder, v gjson.Result, newline string) {
	open, end, within, between := "{", newline+"}", newline+"  ", ","
	switch {
	case v.IsArray() && v.Get("0.policy").Exists():
		open, end = "[", newline+"]"
	case v.IsArray():
		open, end, within, between = "[", "]", "", ", "
	case !v.IsObject() || newline == "":
		b.WriteString(v.Raw)
		return
	}
	b.WriteString(open)
	separator := within
	v.ForEach(func(key, value gjson.Result) bool {
		b.WriteString(separator)
		separator = between + within
		if v.IsObject() {
			b.WriteString(key.Raw + ": ")
		}
		lines(b, value, within)
		return true
	})
	b.WriteString(end)
}
