package convert

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// rule is a rule of the result in the making: a route that asks for nothing but
// hosts and whole segments.
type rule struct {
	hosts    []string
	paths    []path
	policy   *policy
	from     []From
	changes  []Change
	comments []Comment
}

// maxSteps bounds how often routes and rules are compared.
const maxSteps = 30_000_000

// planner makes rules of one table.
type planner struct {
	*conversion
	table table
	seq   *sequence
	rules []*rule
	// waiting are comments for the next rule.
	waiting []Comment
}

// plan makes the rules of a table.
func (c *conversion) plan(t table) []*rule {
	p := &planner{conversion: c, table: t}
	var steps []step
	c.where = t.routes[0].from.Place
	for i := range t.routes {
		r := &t.routes[i]
		for j := range r.paths {
			r.paths[j] = normal(r.paths[j])
		}
		if slices.ContainsFunc(r.paths, func(p path) bool { return p.kind == anyPath }) {
			r.paths = nil
		}
		r.paths = distinct(r.paths)
		steps = append(steps, step{hosts: r.hosts, paths: r.paths, conditional: len(r.when) > 0, policy: r.policy})
	}
	p.seq = sequenceOf(steps)
	for i := range steps {
		steps[i].gone = c.dead(p.seq, i)
	}
	p.outOfReach()
	for i := range t.routes {
		if steps[i].gone {
			continue
		}
		if len(t.routes[i].when) > 0 {
			p.conditional(i)
		} else {
			p.unconditional(i)
		}
		if c.bounded {
			return nil
		}
	}
	if len(p.waiting) > 0 {
		if n := len(p.rules); n > 0 {
			p.rules[n-1].comments = append(p.rules[n-1].comments, p.waiting...)
		} else {
			p.rules = append(p.rules, &rule{from: []From{t.routes[0].from}, comments: p.waiting})
		}
	}
	return merge(c.simplify(p.rules))
}

// distinct leaves out what stands twice.
func distinct(paths []path) (once []path) {
	for _, p := range paths {
		if !slices.ContainsFunc(once, func(o path) bool { return o.kind == p.kind && o.text == p.text && o.anyCase == p.anyCase }) {
			once = append(once, p)
		}
	}
	return once
}

// normal writes what takes every path as such.
func normal(p path) path {
	if p.kind == prefixPath && (p.text == "" || p.text == "/") || p.kind == belowPath && p.text == "" {
		p.kind, p.text = anyPath, ""
	}
	return p
}

// spend counts one comparison.
func (c *conversion) spend() bool {
	if c.steps++; c.steps > maxSteps && !c.bounded {
		c.bounded = true
		c.problem(c.where, "", "the routes take more than 30,000,000 comparisons", "convert some of the files at a time")
	}
	return !c.bounded
}

// dead reports whether earlier steps take everything that a step takes.
func (c *conversion) dead(q *sequence, i int) bool {
	return !slices.ContainsFunc(q.steps[i].cells(), func(at cell) bool { return c.taker(q, i, at) < 0 })
}

// outOfReach says of policies that no request reaches what takes their requests
// otherwise: the source is not what it seems.
func (p *planner) outOfReach() {
	told := map[From]bool{} // or with nothing to tell
	for i, s := range p.seq.steps {
		if !s.gone {
			told[p.table.routes[i].from] = true
		}
	}
	for i := range p.seq.steps {
		s, from := &p.seq.steps[i], p.table.routes[i].from
		if s.policy == nil || told[from] {
			continue
		}
		for _, at := range s.cells() {
			j := p.conversion.taker(p.seq, i, at)
			if j < 0 || p.seq.steps[j].policy.key() == s.policy.key() {
				continue
			}
			first := &p.table.routes[j]
			first.changes = append(slices.Clone(first.changes), Change{OutOfReach, fmt.Sprintf(
				"the policy of %s (%s:%d) is in no rule: %s takes its requests first, in the source as here; write the policy there where it is meant", from, from.File, from.Line, first.from)})
			told[from] = true
			break
		}
	}
}

// taker is the step before another one that takes all of a cell; -1: none does.
func (c *conversion) taker(q *sequence, i int, at cell) int {
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
	policy *policy
	by     int // the step; -1: none takes them
}

// after returns everything behind a step that may decide about a cell, until
// something surely does.
func (c *conversion) after(q *sequence, i int, at cell) (all []verdict) {
	decided := false
	q.from(i+1, at.host, func(j int) bool {
		if s := &q.steps[j]; s.overlaps(at) {
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
func agree(all []verdict, policy *policy) bool {
	key := policy.key()
	return !slices.ContainsFunc(all, func(v verdict) bool { return v.policy.key() != key })
}

// conditional sees to a route that asks for more than a rule can: it is not needed
// where whatever takes its requests instead decides the same.
func (p *planner) conditional(i int) {
	r := &p.table.routes[i]
	var others []verdict
	for _, at := range p.seq.steps[i].cells() {
		others = append(others, p.after(p.seq, i, at)...)
	}
	if agree(others, r.policy) {
		return
	}
	for _, w := range r.when {
		remedy := w.remedy
		if remedy == "" {
			remedy = "take that out of the match, or give the routes that take the same hosts and paths the same policy"
		}
		p.lost(r.from, w.at, "asks for "+w.what+", and rules ask for host and path alone; without it "+p.instead(others, r.policy), remedy)
	}
}

// lost is what can not be carried over: a problem, or a comment.
func (p *planner) lost(from From, at Place, what, remedy string) {
	if at.File == "" {
		at = from.Place
	}
	if p.options.Partial {
		p.waiting = append(p.waiting, Comment{at, printable(from.String() + ": " + what)})
		return
	}
	p.problem(at, from.String(), what, remedy+", or leave it out with -partial")
}

// instead says what takes requests in place of a policy.
func (p *planner) instead(all []verdict, policy *policy) string {
	key := policy.key()
	i := slices.IndexFunc(all, func(v verdict) bool { return v.policy.key() != key })
	v := all[i]
	gets := "its requests would get "
	if policy == nil {
		gets = "its requests, which get no CORS headers now, would get "
	}
	switch {
	case v.by < 0:
		return gets + "no policy"
	case v.policy == nil:
		return gets + "none, as " + p.table.routes[v.by].from.String() + " has it"
	}
	return gets + "the policy of " + p.table.routes[v.by].from.String()
}

// unconditional makes the rules of a route that asks for host and path alone.
func (p *planner) unconditional(i int) {
	r := &p.table.routes[i]
	made := &rule{hosts: r.hosts, policy: r.policy, from: []From{r.from}, changes: slices.Clone(r.changes)}
	for _, at := range pathsOf(r.paths) {
		if at.kind == anyPath {
			break
		}
		if strings.Contains(at.text, "*") {
			p.lost(r.from, at.at, fmt.Sprintf("the path %q has a star in it, which rules read as a wildcard", at.text), "write the path without it")
			continue
		}
		own := at
		if at.anyCase && strings.ToUpper(at.text) != strings.ToLower(at.text) {
			p.residue(i, made, own, path{kind: at.kind, text: at.text, anyCase: true}, LetterCase, fmt.Sprintf("the path %q in other letter case", at.text))
		}
		at.anyCase = false
		switch {
		case at.kind != prefixPath:
			made.paths = append(made.paths, at)
		case strings.HasSuffix(at.text, "/"):
			at.kind, at.text = belowPath, strings.TrimSuffix(at.text, "/")
			p.hole(i, at)
			made.paths = append(made.paths, at)
		default:
			at.kind = belowPath
			made.paths = append(made.paths, at)
			p.residue(i, made, own, path{kind: besidePath, text: at.text}, WholeSegments, fmt.Sprintf("a path such as %q, which the prefix %q takes as well,", at.text+"x", at.text))
		}
	}
	made.paths = distinctPaths(made.paths)
	if len(r.paths) > 0 && len(made.paths) == 0 {
		return
	}
	made.comments, p.waiting = p.waiting, nil
	p.rules = append(p.rules, made)
}

// hole puts the path that a prefix with a slash at its end does not take in front
// of the rule, which takes it, with what decides about it in the source.
func (p *planner) hole(i int, below path) {
	r := &p.table.routes[i]
	exact := path{kind: exactPath, text: below.text, at: below.at}
	if somePath(r.paths, func(p path) bool { return pathCovers(p, exact) }) {
		return
	}
	for _, host := range listOf(r.hosts) {
		at := cell{host, exact}
		others := p.after(p.seq, i, at)
		if agree(others, r.policy) {
			continue
		}
		for _, v := range others {
			made := &rule{paths: []path{exact}}
			if v.by < 0 {
				made.from = []From{r.from}
				made.hosts = hostList(host)
			} else {
				s := &p.seq.steps[v.by]
				if s.conditional {
					continue // it is told, or needless, where it stands itself
				}
				made.policy, made.from = s.policy, []From{p.table.routes[v.by].from}
				if made.policy != nil {
					made.changes = slices.Clone(p.table.routes[v.by].changes)
				}
				made.hosts = intersect(host, s.hosts)
			}
			p.rules = append(p.rules, made)
		}
	}
}

func hostList(host string) []string {
	if host == "" {
		return nil
	}
	return []string{host}
}

// intersect returns the hosts that are in both; nil is any.
func intersect(host string, hosts []string) (both []string) {
	for _, h := range listOf(hosts) {
		switch {
		case hostCovers(h, host):
			return hostList(host)
		case hostCovers(host, h):
			both = append(both, h)
		}
	}
	return both
}

// named returns the paths within some that steps behind one name: the rule can take
// these one by one.
func (p *planner) named(i int, within path, have []path) (paths []path) {
	behind := map[int]bool{}
	for _, host := range listOf(p.seq.steps[i].hosts) {
		p.seq.from(i+1, host, func(j int) bool {
			if p.seq.steps[j].set.overlaps(host) {
				behind[j] = true
			}
			return p.spend()
		})
	}
	for _, j := range slices.Sorted(maps.Keys(behind)) {
		s := &p.seq.steps[j]
		if s.policy.key() == p.seq.steps[i].policy.key() && !s.gone {
			continue
		}
		for _, own := range s.paths {
			if own.anyCase || own.kind == besidePath || strings.Contains(own.text, "*") || !pathCovers(within, own) {
				continue
			}
			if own.kind == prefixPath {
				own.kind, own.text = belowPath, strings.TrimSuffix(own.text, "/")
			}
			if !slices.ContainsFunc(append(paths, have...), func(p path) bool { return pathCovers(p, own) }) {
				paths = append(paths, own)
			}
		}
	}
	return paths
}

// residue sees to paths that the route takes and its rule does not. Single paths
// that have a route of their own behind it are added to the rule. The rest goes to
// whatever comes next, where that gives no more.
func (p *planner) residue(i int, made *rule, at, rest path, kind ChangeKind, what string) {
	r := &p.table.routes[i]
	if slices.ContainsFunc(r.paths, func(p path) bool {
		return (p.kind != at.kind || p.text != at.text || p.anyCase != at.anyCase) && pathCovers(p, rest)
	}) {
		return
	}
	if kind == WholeSegments {
		made.paths = append(made.paths, p.named(i, rest, made.paths)...)
	}
	var others []verdict
	for _, host := range listOf(r.hosts) {
		for _, v := range p.after(p.seq, i, cell{host, rest}) {
			// What takes none but paths that the rule has now is out of its reach.
			if v.by < 0 || len(p.seq.steps[v.by].paths) == 0 || slices.ContainsFunc(p.seq.steps[v.by].paths, func(own path) bool {
				return pathsOverlap(own, rest) && !slices.ContainsFunc(made.paths, func(p path) bool { return pathCovers(p, own) && own.kind != prefixPath })
			}) {
				others = append(others, v)
			}
		}
	}
	if agree(others, r.policy) {
		return
	}
	if !slices.ContainsFunc(others, func(v verdict) bool { return !v.policy.within(r.policy) }) {
		made.changes = append(made.changes, Change{kind, what + " gets less: " + p.instead(others, r.policy)})
		return
	}
	remedy := fmt.Sprintf("write the path %q and the prefix %q where whole segments are meant", at.text, at.text+"/")
	if kind == LetterCase {
		remedy = "give what takes them the same policy"
	}
	p.lost(r.from, at.at, what+" is none of the rule's, which takes whole segments in the letter case written: "+p.instead(others, r.policy), remedy)
}

// simplify takes out rules that change nothing: what would decide instead decides
// the same.
func (c *conversion) simplify(rules []*rule) (kept []*rule) {
	steps := make([]step, len(rules))
	gone := make([]bool, len(rules))
	changesLeft := make([][]Change, len(rules)) // of those that nothing takes over
	for i, r := range rules {
		steps[i] = step{hosts: r.hosts, paths: r.paths, policy: r.policy}
	}
	q := sequenceOf(steps)
	for i := range rules { // what an earlier one takes whole
		gone[i] = c.dead(q, i)
		steps[i].gone = gone[i]
		if gone[i] {
			changesLeft[i] = rules[i].changes
		}
	}
	for i := len(rules) - 1; i >= 0; i-- {
		r := rules[i]
		if gone[i] {
			continue
		}
		var others []verdict
		for _, at := range steps[i].cells() {
			others = append(others, c.after(q, i, at)...)
		}
		if c.bounded {
			return nil
		}
		if !agree(others, r.policy) {
			continue
		}
		heir := -1
		for _, v := range others {
			if v.by >= 0 {
				heir = v.by
				break
			}
		}
		if heir < 0 && len(r.comments)+len(r.changes) > 0 || heir >= 0 && !subset(r.changes, rules[heir].changes) {
			continue
		}
		gone[i] = true
		steps[i].gone = true
		if heir >= 0 {
			h := rules[heir]
			if r.policy != nil {
				h.from = append(slices.Clone(r.from), h.from...)
			}
			h.remember(r.policy)
		}
	}
	left := &rule{} // what rules that are gone have to say
	for i, r := range rules {
		if gone[i] {
			left.comments, left.changes = append(left.comments, r.comments...), append(left.changes, changesLeft[i]...)
			continue
		}
		r.comments, r.changes = append(left.comments, r.comments...), append(left.changes, r.changes...)
		left = &rule{}
		kept = append(kept, r)
	}
	switch n := len(kept); {
	case len(left.comments)+len(left.changes) == 0:
	case n > 0:
		kept[n-1].comments, kept[n-1].changes = append(kept[n-1].comments, left.comments...), append(kept[n-1].changes, left.changes...)
	default:
		left.from = rules[0].from
		kept = []*rule{left}
	}
	return kept
}

// merge makes one rule of neighbours that say the same for the same hosts, or for
// the same paths.
func merge(rules []*rule) (merged []*rule) {
	for _, r := range rules {
		for {
			if len(merged) == 0 || !merged[len(merged)-1].join(r) {
				break
			}
			// What it has become may fit the one before.
			r = merged[len(merged)-1]
			merged = merged[:len(merged)-1]
		}
		merged = append(merged, r)
	}
	return merged
}

// join takes the next rule in, where that changes nothing.
func (r *rule) join(next *rule) bool {
	if r.policy.key() != next.policy.key() || !subset(r.changes, next.changes) || !subset(next.changes, r.changes) {
		return false
	}
	switch {
	case slices.Equal(r.hosts, next.hosts):
		if len(r.paths) == 0 || len(next.paths) == 0 {
			r.paths = nil
		} else {
			r.paths = append(slices.Clone(r.paths), next.paths...)
		}
	case samePaths(r.paths, next.paths):
		if len(r.hosts) == 0 || len(next.hosts) == 0 {
			r.hosts = nil
		} else {
			r.hosts = append(slices.Clone(r.hosts), next.hosts...)
		}
	default:
		return false
	}
	r.from = append(slices.Clone(r.from), next.from...)
	r.comments = append(slices.Clone(r.comments), next.comments...)
	r.remember(next.policy)
	return true
}

// remember keeps what is to be said of a policy that the rule's own stands for from
// here on: the two have the same settings, and may have lost others on the way.
func (r *rule) remember(other *policy) {
	if r.policy == nil || other == nil || r.policy == other {
		return
	}
	both := *r.policy
	for _, change := range other.changes {
		if !slices.Contains(both.changes, change) {
			both.changes = append(slices.Clone(both.changes), change)
		}
	}
	for _, comment := range other.comments {
		if !slices.Contains(both.comments, comment) {
			both.comments = append(slices.Clone(both.comments), comment)
		}
	}
	r.policy = &both
}

func subset(some, all []Change) bool {
	return !slices.ContainsFunc(some, func(c Change) bool { return !slices.Contains(all, c) })
}

// distinctPaths leaves out what stands twice.
func distinctPaths(paths []path) (distinct []path) {
	for _, p := range paths {
		if !slices.ContainsFunc(distinct, func(q path) bool { return p.kind == q.kind && p.text == q.text }) {
			distinct = append(distinct, p)
		}
	}
	return distinct
}

func samePaths(a, b []path) bool {
	return slices.EqualFunc(a, b, func(a, b path) bool { return a.kind == b.kind && a.text == b.text })
}

// apart sees to it that no request is decided by two tables: where they share
// hosts, they must say the same of them. A table that passes nothing on steps back.
func (c *conversion) apart(tables []table) (kept []table) {
	for _, t := range tables {
		c.where = t.routes[0].from.Place
		if t.idle() {
			continue
		}
		for _, k := range kept {
			mine, others := c.sharing(t, k.hosts()), c.sharing(k, t.hosts())
			if len(mine) == 0 && len(others) == 0 {
				continue
			}
			if !sameRoutes(mine, others) {
				c.problem(t.routes[0].from.Place, t.name, "takes hosts that "+k.name+" takes as well, and the two do not agree", fmt.Sprintf("convert one at a time, with -only %q", t.name))
				break
			}
			there := k.hosts()
			t.routes = slices.DeleteFunc(slices.Clone(t.routes), func(r route) bool { return c.meets(r, there) })
		}
		if len(t.routes) > 0 {
			kept = append(kept, t)
		}
	}
	for _, t := range tables {
		if !t.idle() {
			continue
		}
		there := t.hosts()
		for i := range kept {
			for j := range kept[i].routes {
				if r := &kept[i].routes[j]; r.policy != nil && c.meets(*r, there) {
					r.changes = append(slices.Clone(r.changes), Change{MoreResponses, "redirects and replies of " + t.name + " carry CORS headers as well, where the filter is in its chain"})
				}
			}
		}
	}
	return kept
}

// sharing returns the routes that may take a host of the other table.
func (c *conversion) sharing(t table, other *sequence) (routes []route) {
	for _, r := range t.routes {
		if c.meets(r, other) {
			routes = append(routes, r)
		}
	}
	return routes
}

// meets reports whether a table has a host of the route.
func (c *conversion) meets(r route, t *sequence) bool {
	return slices.ContainsFunc(listOf(r.hosts), func(h string) bool {
		met := false
		t.from(0, h, func(j int) bool {
			met = t.steps[j].set.overlaps(h)
			return c.spend() && !met
		})
		return met
	})
}

// hosts are the routes as steps, of which only the hosts are asked.
func (t table) hosts() *sequence {
	steps := make([]step, len(t.routes))
	for i, r := range t.routes {
		steps[i].hosts = r.hosts
	}
	return sequenceOf(steps)
}

func sameRoutes(a, b []route) bool {
	return slices.EqualFunc(a, b, func(a, b route) bool {
		return slices.Equal(a.hosts, b.hosts) && samePaths(a.paths, b.paths) && a.policy.key() == b.policy.key() &&
			slices.EqualFunc(a.when, b.when, func(a, b condition) bool { return a.what == b.what })
	})
}
