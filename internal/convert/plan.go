package convert

import (
	"fmt"
	"slices"
	"strings"
)

// rule is a rule of the result in the making: a route that asks for nothing but
// hosts and paths.
type rule struct {
	hosts    []string
	paths    []Path
	policy   *Policy
	from     []From
	changes  []Change
	comments []Comment
	// unreachable says that the rules before take all of its requests.
	unreachable bool
}

// maxSteps bounds how often routes and rules are compared.
const maxSteps = 30_000_000

// planner makes rules of one table.
type planner struct {
	*Conversion
	table Table
	seq   *sequence
	rules []*rule
	// waiting are comments for the next rule.
	waiting []Comment
}

// plan makes the rules of a table.
func (c *Conversion) plan(t Table) []*rule {
	p := &planner{Conversion: c, table: t}
	var steps []step
	c.where = t.Routes[0].From.Place
	for i := range t.Routes {
		r := &t.Routes[i]
		for j := range r.Paths {
			r.Paths[j] = Normal(r.Paths[j])
		}
		if slices.ContainsFunc(r.Paths, func(p Path) bool { return p.Kind == AnyPath }) {
			r.Paths = nil
		}
		r.Paths = once(r.Paths, anywhere)
	}
	c.methods(t)
	for _, r := range t.Routes {
		steps = append(steps, step{hosts: r.Hosts, paths: r.Paths, conditional: len(r.When) > 0, policy: r.Policy})
	}
	p.seq = sequenceOf(steps)
	for i := range steps {
		steps[i].gone = c.dead(p.seq, i)
	}
	p.outOfReach()
	for i := range t.Routes {
		if steps[i].gone {
			continue
		}
		if len(t.Routes[i].When) > 0 {
			p.conditional(i)
		} else {
			p.unconditional(i)
		}
		if c.bounded {
			return nil
		}
	}
	if n := len(p.rules); len(p.waiting) > 0 && n > 0 {
		p.rules[n-1].comments = append(p.rules[n-1].comments, p.waiting...)
	} else if len(p.waiting) > 0 {
		p.rules = append(p.rules, &rule{from: []From{t.Routes[0].From}, comments: p.waiting})
	}
	return merge(c.simplify(p.rules))
}

// Normal writes what takes every path as such.
func Normal(p Path) Path {
	if p.Kind == PrefixPath && (p.Text == "" || p.Text == "/") || p.Kind == BelowPath && p.Text == "" {
		p.Kind, p.Text = AnyPath, ""
	}
	return p
}

// spend counts one comparison.
func (c *Conversion) spend() bool {
	if c.steps++; c.steps > maxSteps && !c.bounded {
		c.bounded = true
		c.Problem(c.where, "", "the routes take more than 30,000,000 comparisons", "convert some of the files at a time")
	}
	return !c.bounded
}

// dead reports whether earlier steps take everything that a step takes.
func (c *Conversion) dead(q *sequence, i int) bool {
	return !slices.ContainsFunc(q.steps[i].cells(), func(at cell) bool { return c.taker(q, i, at) < 0 })
}

// outOfReach reports policies that no request reaches, with the route that takes their
// requests and decides differently.
func (p *planner) outOfReach() {
	told := map[From]bool{} // or nothing to report
	for i, s := range p.seq.steps {
		if !s.gone {
			told[p.table.Routes[i].From] = true
		}
	}
	for i := range p.seq.steps {
		s, from := &p.seq.steps[i], p.table.Routes[i].From
		if s.policy == nil || told[from] {
			continue
		}
		for _, at := range s.cells() {
			j := p.Conversion.taker(p.seq, i, at)
			if j < 0 || p.seq.steps[j].policy.Key() == s.policy.Key() {
				continue
			}
			first := &p.table.Routes[j]
			first.Changes = append(slices.Clone(first.Changes), outOfReach(from, first.From.String()+" takes its requests first"))
			told[from] = true
			break
		}
	}
}

func outOfReach(from From, why string) Change {
	return Change{OutOfReach, fmt.Sprintf("the policy of %s (%s:%d) is in no rule: %s, in the source as here; move it there if it is meant to apply", from, from.File, from.Line, why)}
}

// taker is the step before another one that takes all of a cell; -1: none does.
func (c *Conversion) taker(q *sequence, i int, at cell) int {
	taker := -1
	q.from(0, at.host, func(j int) bool {
		if j >= i || !c.spend() {
			return false
		}
		if s := &q.steps[j]; !s.gone && !s.conditional && s.covers(at) {
			taker = j
		}
		return taker < 0
	})
	return taker
}

// verdict is what decides about requests of a cell.
type verdict struct {
	policy *Policy
	by     int // the step; -1: none takes them
}

// after returns everything behind a step that may decide about a cell, until something
// surely does. Steps that are not asked are passed over; nil: all are.
func (c *Conversion) after(q *sequence, i int, at cell, asked func(j int) bool) (all []verdict) {
	decided := false
	q.from(i+1, at.host, func(j int) bool {
		if s := &q.steps[j]; (asked == nil || asked(j)) && s.overlaps(at) {
			all = append(all, verdict{s.policy, j})
			decided = !s.conditional && s.covers(at)
		}
		return c.spend() && !decided
	})
	if decided {
		return all
	}
	return append(all, verdict{nil, -1})
}

// agree reports whether all of them decide as a policy does.
func agree(all []verdict, policy *Policy) bool {
	key := policy.Key()
	return !slices.ContainsFunc(all, func(v verdict) bool { return v.policy.Key() != key })
}

// conditional handles a route that asks for more than a rule can. It is not needed if
// whatever takes its requests instead decides the same.
func (p *planner) conditional(i int) {
	r := &p.table.Routes[i]
	var others []verdict
	for _, at := range p.seq.steps[i].cells() {
		others = append(others, p.after(p.seq, i, at, nil)...)
	}
	if agree(others, r.Policy) {
		return
	}
	for _, w := range r.When {
		remedy := w.Remedy
		if remedy == "" {
			remedy = "take that out of the match, or give the routes that take the same hosts and paths the same policy"
		}
		p.lost(r.From, w.At, "asks for "+w.What+", and rules match only host and path; without it, "+p.instead(others, r.Policy), remedy)
	}
}

// lost reports what cannot be converted: as a problem, or as a comment.
func (p *planner) lost(from From, at Place, what, remedy string) {
	if at.File == "" {
		at = from.Place
	}
	if p.Options.Partial {
		p.waiting = append(p.waiting, Comment{at, Printable(what), from.String()})
		return
	}
	p.Problem(at, from.String(), what, remedy+", or leave it out with -partial")
}

// instead says what takes requests in place of a policy.
func (p *planner) instead(all []verdict, policy *Policy) string {
	key := policy.Key()
	i := slices.IndexFunc(all, func(v verdict) bool { return v.policy.Key() != key })
	v := all[i]
	gets := "its requests would get "
	if policy == nil {
		gets = "its requests, which get no CORS headers now, would get "
	}
	switch {
	case v.by < 0:
		return gets + "no policy"
	case v.policy == nil:
		return gets + "no policy, like those of " + p.table.Routes[v.by].From.String()
	}
	return gets + "the policy of " + p.table.Routes[v.by].From.String()
}

// unconditional makes the rule of a route that asks for host and path alone.
func (p *planner) unconditional(i int) {
	r := &p.table.Routes[i]
	made := &rule{hosts: r.Hosts, policy: r.Policy, from: []From{r.From}, changes: slices.Clone(r.Changes), comments: p.waiting}
	p.waiting = nil
	for _, at := range r.Paths {
		made.paths = append(made.paths, p.segments(i, at))
	}
	made.paths = once(made.paths, anywhere)
	p.rules = append(p.rules, made)
}

// segments writes a prefix that ends in a slash by segment, which is easier to read, if the
// path without the slash gets the same decision anyway.
func (p *planner) segments(i int, at Path) Path {
	stem, slash := strings.CutSuffix(at.Text, "/")
	if at.Kind != PrefixPath || !slash {
		return at
	}
	for _, host := range ListOf(p.seq.steps[i].hosts) {
		exact := cell{host, Path{Kind: ExactPath, Text: stem}}
		if p.taker(p.seq, i, exact) < 0 && !agree(p.after(p.seq, i, exact, nil), p.seq.steps[i].policy) {
			return at
		}
	}
	at.Kind, at.Text = BelowPath, stem
	return at
}

// simplify takes out rules that change nothing: what would decide instead decides
// the same.
func (c *Conversion) simplify(rules []*rule) (kept []*rule) {
	steps := make([]step, len(rules))
	for i, r := range rules {
		steps[i] = step{hosts: r.hosts, paths: r.paths, policy: r.policy}
	}
	q := sequenceOf(steps)
	for i := range rules { // what an earlier one takes whole
		steps[i].gone = c.dead(q, i)
	}
	for i := len(rules) - 1; i >= 0; i-- {
		r := rules[i]
		if steps[i].gone {
			continue
		}
		var others []verdict
		for _, at := range steps[i].cells() {
			others = append(others, c.after(q, i, at, nil)...)
		}
		if c.bounded {
			return nil
		}
		if !agree(others, r.policy) {
			continue
		}
		heir := &rule{}
		if j := slices.IndexFunc(others, func(v verdict) bool { return v.by >= 0 }); j >= 0 {
			heir = rules[others[j].by]
		} else if len(r.comments) > 0 {
			continue
		}
		if !subset(r.changes, heir.changes) {
			continue
		}
		steps[i].gone, r.changes = true, nil
		if r.policy != nil {
			heir.from = slices.Concat(r.from, heir.from)
		}
		heir.remember(r.policy)
	}
	left := &rule{} // what rules that are gone have to say
	for i, r := range rules {
		r.comments, r.changes = slices.Concat(left.comments, r.comments), slices.Concat(left.changes, r.changes)
		if left = r; !steps[i].gone {
			kept, left = append(kept, r), &rule{}
		}
	}
	switch n := len(kept); {
	case len(left.comments)+len(left.changes) == 0:
	case n > 0:
		kept[n-1].comments, kept[n-1].changes = append(kept[n-1].comments, left.comments...), append(kept[n-1].changes, left.changes...)
	default:
		kept = []*rule{{from: rules[0].from, comments: left.comments, changes: left.changes}}
	}
	return kept
}

// merge makes one rule of neighbours that say the same for the same hosts, or for
// the same paths.
func merge(rules []*rule) (merged []*rule) {
	for _, r := range rules {
		for len(merged) > 0 && merged[len(merged)-1].join(r) {
			// The joined rule may now fit the one before.
			r = merged[len(merged)-1]
			merged = merged[:len(merged)-1]
		}
		merged = append(merged, r)
	}
	return merged
}

// join takes the next rule in, where that changes nothing.
func (r *rule) join(next *rule) bool {
	if r.policy.Key() != next.policy.Key() || !subset(r.changes, next.changes) || !subset(next.changes, r.changes) {
		return false
	}
	switch {
	case slices.Equal(r.hosts, next.hosts):
		r.paths = either(r.paths, next.paths)
	case samePaths(r.paths, next.paths):
		r.hosts = either(r.hosts, next.hosts)
	default:
		return false
	}
	r.from = slices.Concat(r.from, next.from)
	r.comments = slices.Concat(r.comments, next.comments)
	r.remember(next.policy)
	return true
}

// either are the elements of both lists; nil is any.
func either[T any](some, others []T) []T {
	if len(some) == 0 || len(others) == 0 {
		return nil
	}
	return slices.Concat(some, others)
}

// remember keeps the changes and comments of a policy that the rule's own now replaces: the
// two have the same settings, but may have lost different ones.
func (r *rule) remember(other *Policy) {
	if r.policy == nil || other == nil || r.policy == other {
		return
	}
	both := *r.policy
	both.Changes, both.Comments = Unique(slices.Concat(both.Changes, other.Changes)), Unique(slices.Concat(both.Comments, other.Comments))
	r.policy = &both
}

func subset(some, all []Change) bool {
	return !slices.ContainsFunc(some, func(c Change) bool { return !slices.Contains(all, c) })
}

// anywhere is a path without its place.
func anywhere(p Path) Path {
	return Path{Kind: p.Kind, Text: p.Text}
}

func samePaths(a, b []Path) bool {
	return slices.EqualFunc(a, b, func(a, b Path) bool { return a.Kind == b.Kind && a.Text == b.Text })
}

// withoutOverlap makes sure that only one table decides each request: tables that share hosts
// must agree on them. A table that forwards no request is dropped.
func (c *Conversion) withoutOverlap(tables []Table) (kept []Table) {
	for _, t := range tables {
		c.where = t.Routes[0].From.Place
		if t.idle() {
			continue
		}
		for _, k := range kept {
			there := k.hosts()
			mine, others := c.sharing(t, there), c.sharing(k, t.hosts())
			if !sameRoutes(mine, others) {
				c.Problem(t.Routes[0].From.Place, t.Name, "takes hosts that "+k.Name+" takes as well, and the two do not agree", fmt.Sprintf("convert one at a time, with -only %q", t.Name))
				break
			}
			t.Routes = slices.DeleteFunc(slices.Clone(t.Routes), func(r Route) bool { return c.meets(r, there) })
		}
		if len(t.Routes) > 0 {
			kept = append(kept, t)
		}
	}
	for _, t := range tables {
		if !t.idle() {
			continue
		}
		there := t.hosts()
		for _, k := range kept {
			for i, r := range k.Routes {
				if c.meets(r, there) {
					WithChanges(k.Routes[i:i+1], Change{MoreResponses, "redirects and replies of " + t.Name + " carry CORS headers as well, where the filter is in its chain"})
				}
			}
		}
	}
	return kept
}

// sharing returns the routes that may take a host of the other table.
func (c *Conversion) sharing(t Table, other *sequence) []Route {
	return slices.DeleteFunc(slices.Clone(t.Routes), func(r Route) bool { return !c.meets(r, other) })
}

// meets reports whether a table has a host of the route.
func (c *Conversion) meets(r Route, t *sequence) bool {
	return slices.ContainsFunc(ListOf(r.Hosts), func(h string) bool {
		met := false
		t.from(0, h, func(j int) bool {
			met = t.steps[j].set.overlaps(h)
			return c.spend() && !met
		})
		return met
	})
}

// hosts are the routes as steps, of which only the hosts are asked.
func (t Table) hosts() *sequence {
	steps := make([]step, len(t.Routes))
	for i, r := range t.Routes {
		steps[i].hosts = r.Hosts
	}
	return sequenceOf(steps)
}

func sameRoutes(a, b []Route) bool {
	return slices.EqualFunc(a, b, func(a, b Route) bool {
		return slices.Equal(a.Hosts, b.Hosts) && samePaths(a.Paths, b.Paths) && a.Policy.Key() == b.Policy.Key() &&
			slices.EqualFunc(a.Methods, b.Methods, func(a, b Value) bool { return a.Text == b.Text }) &&
			slices.EqualFunc(a.When, b.When, func(a, b Condition) bool { return a.What == b.What })
	})
}
