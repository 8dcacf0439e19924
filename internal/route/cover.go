package route

import (
	"slices"
	"sort"

	"corsfilter/internal/automaton"
)

// Verdict says which of some requests of a rule earlier rules leave to it.
type Verdict uint8

const (
	// Open: some of them, or undecided.
	Open Verdict = iota
	// Asterisk: only those of OPTIONS *, which have no path.
	Asterisk
	// Taken: none.
	Taken
)

// Bounds in steps, for one entry of a rule and for all rules. What takes more is Open.
const (
	maxWalkSteps = 1_000_000
	maxSteps     = 4_000_000
)

// Cover decides which hosts and paths of a rule earlier rules leave to it.
//
// Hosts need no walk. The rules for a host that no other entry names apply to all hosts of
// the same entry; a host with an entry of its own, or below a longer name, has these rules
// and some more. So such a host represents them all.
//
// Paths are walked letter by letter, as far as rules differ. A state consists of the
// position in the path in question, the positions in the texts of other rules, and the
// states of their regexes. The walk is only needed if rules may together take what none
// takes alone.
type Cover struct {
	// By are the rules that take what was Taken last.
	By RuleSet

	x      *Index
	steps  int
	limit  int
	before int32  // the rule in question
	hosts  []list // of its host, as far as rules before are in them
	last   []list // of the host before

	sorted []int32 // the entries of the paths by their text, once it was asked for
	own    *automaton.Automaton
	states []state
	live   []running
	slots  []int32 // of the states, from 1
}

// RuleSet is a set of rules in order; only the first few are kept.
type RuleSet struct {
	Rules [3]int32
	Len   int
	More  bool // there are others
}

// Add adds a rule.
//
//go:noinline
func (s *RuleSet) Add(rule int32) {
	at := 0
	for at < s.Len && s.Rules[at] < rule {
		at++
	}
	if at < s.Len && s.Rules[at] == rule {
		return
	}
	if s.Len < len(s.Rules) {
		s.Len++
	} else {
		s.More = true
	}
	if at < s.Len {
		copy(s.Rules[at+1:s.Len], s.Rules[at:s.Len-1])
		s.Rules[at] = rule
	}
}

// Join adds the rules of another set.
func (s *RuleSet) Join(other RuleSet) {
	for _, rule := range other.Rules[:other.Len] {
		s.Add(rule)
	}
	s.More = s.More || other.More
}

// Begin prepares for the rules of a sealed index.
func (c *Cover) Begin(x *Index) {
	c.x, c.steps, c.sorted, c.hosts, c.own = x, 0, c.sorted[:0], c.hosts[:0], nil
}

// Exhausted reports whether the steps are used up.
func (c *Cover) Exhausted() bool { return c.steps >= maxSteps }

// Host looks for earlier rules that also have a rule's host; "*.example.com" means all
// hosts below example.com, and "*" all hosts. It reports whether there are any, and whether
// they are in the same lists as those of the previous host.
func (c *Cover) Host(rule int, host string) (some, same bool) {
	c.before = int32(rule)
	c.last, c.hosts = c.hosts, c.last[:0]
	c.include(c.x.anyHost)
	// The host below a wildcard that no entry names has the label "*".
	for i, at := c.x.hosts.First("", host); i >= 0; i, at = c.x.hosts.Next("", host, at) {
		c.include(c.x.byHost[i])
	}
	return len(c.hosts) > 0, slices.Equal(c.hosts, c.last)
}

//go:noinline
func (c *Cover) include(l list) {
	c.steps++
	if l.from < l.to && c.x.order[l.from] < c.before {
		c.hosts = append(c.hosts, l)
	}
}

// AnyPath decides about all paths, on the host of the last call of Host.
func (c *Cover) AnyPath() Verdict {
	c.By = RuleSet{}
	switch {
	case c.takes(c.x.anyPath):
		return Taken
	case c.Path(Below, "") == Taken:
		return c.butAsterisk()
	}
	return Open
}

// butAsterisk reports whether "*" is taken too, if every path is.
func (c *Cover) butAsterisk() Verdict {
	rule := c.x.match("*", c.hosts, allKinds, c.before)
	if rule == c.before {
		return Asterisk
	}
	c.By.Add(rule)
	return Taken
}

// Path decides about the paths that a text means.
func (c *Cover) Path(kind Kind, text string) Verdict {
	c.By = RuleSet{}
	c.steps += 8 + len(text)/8
	among := uint8(1<<Below | 1<<Letters)
	switch kind {
	case Exact:
		among |= 1<<Exact | whole
	case Below:
		among |= whole
	}
	if rule := c.x.match(text, c.hosts, among, c.before); rule < c.before {
		c.By.Add(rule)
		return Taken
	}
	if !c.together() {
		return Open
	}
	c.walks(nil)
	at, covered := c.root()
	for i := 0; i < len(text) && !covered; i++ {
		if c.steps > c.limit {
			return Open
		}
		at, covered = c.step(at, text[i])
	}
	switch {
	case covered:
		return Taken
	case text != "" && !c.ends(at): // "" is no path
		return Open
	case kind == Letters:
		return c.walk(state{at, everyPath})
	case kind == Below:
		return c.walk(state{at, thePath})
	}
	return Taken
}

// Regex decides about the paths that an automaton accepts.
func (c *Cover) Regex(a *automaton.Automaton) Verdict {
	c.By = RuleSet{}
	if c.takes(c.x.anyPath) {
		return Taken
	}
	c.walks(a)
	at, covered := c.root()
	switch {
	case !covered && c.walk(state{at, a.Start()}) == Open, c.By.Len == 0: // where it accepts no path
		return Open
	case a.Match("*"):
		return c.butAsterisk()
	}
	return Taken
}

// together reports whether several rules may together take what none of them takes alone:
// with regexes, or with texts for each next letter.
func (c *Cover) together() bool {
	if c.x.letters >= pathBytes-1 { // "/a/*" stands for one of them
		return true
	}
	for _, host := range c.hosts {
		if c.x.common(host, c.x.regexes, c.before) < c.before {
			return true
		}
	}
	return false
}

// takes reports whether an earlier rule is in the list, and notes it.
//
//go:noinline
func (c *Cover) takes(l list) bool {
	rule := c.before
	for _, host := range c.hosts {
		c.steps++
		rule = c.x.common(host, l, rule)
	}
	if rule == c.before {
		return false
	}
	c.By.Add(rule)
	return true
}

// node is the state of the earlier rules after some letters of a path.
type node struct {
	// The sorted entries from lo to hi begin with these letters, whose number is depth.
	// There are none if all are 0, except at the root.
	lo, hi, depth int32
	// The live regexes from here to there may accept what follows.
	from, to int32
}

// running is a regex of an earlier rule.
type running struct {
	rule, number int32
	state        automaton.State
}

// state is a node and the position of the path in question: a state of its automaton, or
// one of two positions.
type state struct {
	node
	own automaton.State
}

const (
	thePath   automaton.State = 1 + iota // behind the text of "/text/*"
	everyPath                            // where all that comes is in question
)

// walks prepares for a walk.
func (c *Cover) walks(own *automaton.Automaton) {
	if len(c.sorted) == 0 {
		for i := range c.x.paths.entries {
			c.sorted = append(c.sorted, int32(i))
		}
		sort.Sort((*byText)(c))
	}
	c.own, c.limit = own, min(c.steps+maxWalkSteps, maxSteps)
	c.states, c.live, c.slots = c.states[:0], c.live[:0], c.slots[:min(len(c.slots), minStates)]
	clear(c.slots)
}

// minStates is the initial number of slots, of which states fill at most half.
const minStates = 64

// byText sorts the entries, through the interface, which the module already contains.
type byText Cover

func (c *byText) Len() int      { return len(c.sorted) }
func (c *byText) Swap(i, j int) { c.sorted[i], c.sorted[j] = c.sorted[j], c.sorted[i] }
func (c *byText) Less(i, j int) bool {
	entries := c.x.paths.entries
	return entries[c.sorted[i]].text < entries[c.sorted[j]].text
}

// root is the node before the first letter.
func (c *Cover) root() (at node, covered bool) {
	at.hi = int32(len(c.sorted))
	covered = c.enter(&at)
	return at, covered
}

// step returns the node after one more letter. covered says that earlier rules take
// everything that begins like this.
func (c *Cover) step(at node, letter byte) (next node, covered bool) {
	if letter == '/' && c.marked(at, Below) {
		return node{}, true
	}
	next.from = int32(len(c.live))
	if lo, hi := c.behind(at, int(letter)), c.behind(at, int(letter)+1); lo < hi {
		next.lo, next.hi, next.depth = lo, hi, at.depth+1
	}
	for i := at.from; i < at.to; i++ {
		if r := c.live[i]; c.run(r, c.x.automata[r.rule][r.number].Next(r.state, letter)) {
			return node{}, true
		}
	}
	next.to = int32(len(c.live))
	covered = c.marked(next, Letters) || c.enter(&next)
	return next, covered
}

// behind returns the first of a node's entries whose next letter is this one or a later
// one.
func (c *Cover) behind(at node, letter int) int32 {
	lo, hi := at.lo, at.hi
	for lo < hi {
		middle := lo + (hi-lo)/2
		if text := c.text(middle); len(text) == int(at.depth) || int(text[at.depth]) < letter {
			lo = middle + 1
		} else {
			hi = middle
		}
	}
	return lo
}

func (c *Cover) text(i int32) string { return c.x.paths.entries[c.sorted[i]].text }

// marked reports whether the letters of a node are the text of an entry of that kind in an
// earlier rule.
//
//go:noinline
func (c *Cover) marked(at node, kind Kind) bool {
	for i := at.lo; i < at.hi && len(c.text(i)) == int(at.depth); i++ {
		if entry := c.sorted[i]; c.x.paths.entries[entry].kind == kind && c.takes(c.x.byPath[entry]) {
			return true
		}
	}
	return false
}

// enter starts the regexes whose text the letters of a node are, and reports whether one of
// them accepts everything that begins like this.
func (c *Cover) enter(at *node) (covered bool) {
	for i := at.lo; i < at.hi && len(c.text(i)) == int(at.depth); i++ {
		entry := c.sorted[i]
		if c.x.paths.entries[entry].kind != Regex {
			continue
		}
		for _, host := range c.hosts {
			for with := c.x.byPath[entry]; ; with.from++ {
				rule := c.x.meet(&host, &with, c.before)
				if rule == c.before {
					break
				}
				for number, a := range c.x.automata[rule] {
					r := running{rule: rule, number: int32(number)}
					if !c.runs(*at, r) && c.run(r, a.After(a.Start(), c.text(i))) {
						return true
					}
					at.to = int32(len(c.live))
				}
			}
		}
	}
	return false
}

// runs reports whether a regex is live already.
func (c *Cover) runs(at node, r running) bool {
	return slices.ContainsFunc(c.live[at.from:at.to], func(l running) bool { return l.rule == r.rule && l.number == r.number })
}

// run makes a regex live in a state, unless it can no longer match, and reports whether it
// accepts everything that begins like this.
func (c *Cover) run(r running, state automaton.State) (covered bool) {
	c.steps++
	if r.state = state; state == automaton.Dead {
		return false
	}
	if everything(c.x.automata[r.rule][r.number], state) {
		c.By.Add(r.rule)
		return true
	}
	c.live = append(c.live, r)
	return false
}

// ends reports whether earlier rules take the path that ends in a node.
func (c *Cover) ends(at node) bool {
	if c.marked(at, Exact) || c.marked(at, Below) {
		return true
	}
	for _, r := range c.live[at.from:at.to] {
		if c.x.automata[r.rule][r.number].Accepts(r.state) {
			c.By.Add(r.rule)
			return true
		}
	}
	return false
}

// walk looks for a path in question after a state that no earlier rule takes.
func (c *Cover) walk(first state) Verdict {
	c.visit(first)
	for i := 0; i < len(c.states); i++ {
		at := c.states[i]
		for letter := byte(firstByte); letter <= lastByte; letter++ {
			own := c.ask(at.own, letter)
			if own == automaton.Dead || !inPath(letter) || c.own != nil && i == 0 && letter != '/' { // a path begins with one
				continue
			}
			if c.steps++; c.steps > c.limit {
				return Open
			}
			live := len(c.live)
			next, covered := c.step(at.node, letter)
			switch {
			case covered:
			case (c.own == nil || c.own.Accepts(own)) && !c.ends(next):
				return Open
			case c.visit(state{next, own}):
				continue
			}
			c.live = c.live[:live]
		}
	}
	return Taken
}

// ask is the position of the path in question after one more letter.
func (c *Cover) ask(own automaton.State, letter byte) automaton.State {
	switch {
	case c.own != nil:
		return c.own.Next(own, letter)
	case own == everyPath || letter == '/':
		return everyPath
	}
	return automaton.Dead
}

// visit notes a state, unless it is known.
func (c *Cover) visit(s state) (added bool) {
	hash := c.hash(s)
	if 2*len(c.states) >= len(c.slots) {
		c.slots = append(c.slots, make([]int32, max(minStates, len(c.slots)))...)
		clear(c.slots)
		for i := range c.states {
			*c.slot(c.hash(c.states[i]), c.states[i]) = int32(i + 1)
		}
	}
	slot := c.slot(hash, s)
	if *slot != 0 {
		return false
	}
	c.states = append(c.states, s)
	*slot = int32(len(c.states))
	return true
}

// slot is the place of a state, whether it is there or not.
func (c *Cover) slot(hash uint32, s state) *int32 {
	mask := uint32(len(c.slots) - 1)
	for i := hash & mask; ; i = (i + 1) & mask {
		if at := c.slots[i]; at == 0 || c.same(c.states[at-1], s) {
			return &c.slots[i]
		}
	}
}

func (c *Cover) same(s, t state) bool {
	return s.own == t.own && s.lo == t.lo && s.hi == t.hi && s.depth == t.depth && slices.Equal(c.live[s.from:s.to], c.live[t.from:t.to])
}

func (c *Cover) hash(s state) uint32 {
	h := seed.add(uint64(s.own)<<32 | uint64(s.lo)).add(uint64(s.depth))
	for _, r := range c.live[s.from:s.to] {
		h = h.add(uint64(r.rule)<<32 | uint64(r.number)<<16 | uint64(r.state))
	}
	return h.sum(0)
}
