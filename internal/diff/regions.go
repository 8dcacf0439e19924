package diff

import (
	"cmp"
	"encoding/binary"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"corsfilter/config"
	"corsfilter/internal/automaton"
)

// side is one of the two configurations.
type side struct {
	source   *config.Source
	policies []*config.Policy // by rule, and behind them the top-level one; nil where there is none
	hosts    map[string][]int // the rules that name a host, "*.host" or "*", ascending
	paths    [][]*paths       // by rule
}

// paths are those of one entry of a rule, as an automaton.
type paths struct {
	*automaton.Automaton
	number int      // of their own
	others []string // by state: the letters that lead elsewhere than most do
}

// area is a pair of rules, one of each configuration, that take the same request: one to that
// host and path.
type area struct {
	old, new   int
	host, path string
}

// letters are the bytes of paths, the plainest first. A question mark ends the path, and
// proxies refuse requests with any other byte.
var letters = func() (all []byte) {
	for c := byte('!'); c <= '~'; c++ {
		if c != '?' && c != '#' {
			all = append(all, c)
		}
	}
	plain := func(c byte) int { return strings.IndexByte("abcdefghijklmnopqrstuvwxyz0123456789", c) & 0xff }
	slices.SortStableFunc(all, func(c, d byte) int { return cmp.Compare(plain(c), plain(d)) })
	return all
}()

func (c *comparer) side(s *config.Source, compiled *config.Config) *side {
	x := &side{source: s, policies: compiled.Policies(), hosts: map[string][]int{}}
	if compiled.Default == nil {
		x.policies = append(x.policies, nil)
	}
	for i := range s.Rules {
		rule := &s.Rules[i]
		for _, h := range rule.Hosts {
			x.host(strings.TrimSuffix(strings.ToLower(h.Value), "."), i)
		}
		if len(rule.Hosts) == 0 {
			x.host("*", i)
		}
		var all []*paths
		for _, p := range rule.Paths {
			all = append(all, c.pathsOf(p))
		}
		if all == nil {
			all = []*paths{c.pathsOf(config.SourcePath{Value: everyone, Regex: true})}
		}
		x.paths = append(x.paths, all)
	}
	return x
}

func (x *side) host(name string, rule int) {
	if list := x.hosts[name]; len(list) == 0 || list[len(list)-1] != rule {
		x.hosts[name] = append(list, rule)
	}
}

func (c *comparer) pathsOf(p config.SourcePath) *paths {
	regex := p.Value
	if !p.Regex {
		if text, below := strings.CutSuffix(p.Value, "/*"); below {
			regex = regexp.QuoteMeta(text) + "(/(?s:.*))?"
		} else if text, more := strings.CutSuffix(p.Value, "*"); more {
			regex = regexp.QuoteMeta(text) + everyone
		} else {
			regex = regexp.QuoteMeta(text)
		}
	}
	if known, ok := c.paths[regex]; ok {
		return known
	}
	made := &paths{number: len(c.paths)}
	c.paths[regex] = made
	a, err := c.builder.Regex(regex, false)
	if c.fails(p.Value, err) {
		a = &automaton.Automaton{}
	}
	made.Automaton, made.others = a, make([]string, a.Len())
	for i := range made.others {
		count := map[automaton.State]int{}
		most := automaton.Dead
		for _, c := range letters {
			next := a.Next(automaton.State(i), c)
			if count[next]++; count[next] > count[most] {
				most = next
			}
		}
		for _, c := range letters {
			if a.Next(automaton.State(i), c) != most {
				made.others[i] += string(c)
			}
		}
	}
	return made
}

// areas returns all pairs of rules that take the same request, in the order of the new rules.
// Hosts with the same rules are examined once.
func (c *comparer) areas(old, new *side) (all []area) {
	seen := map[[2]int]bool{}
	looked := map[string]bool{}
	for _, host := range hosts(old, new) {
		a, b := old.rulesOf(host), new.rulesOf(host)
		key := keyOf(a) + "|" + keyOf(b)
		if looked[key] {
			continue
		}
		looked[key] = true
		c.walk([2]*side{old, new}, [2][]int{a, b}, func(i, j int, path string) {
			if pair := [2]int{i, j}; !seen[pair] {
				seen[pair] = true
				all = append(all, area{i, j, host, path})
			}
		})
	}
	slices.SortFunc(all, func(a, b area) int { return cmp.Or(cmp.Compare(a.new, b.new), cmp.Compare(a.old, b.old)) })
	return all
}

func keyOf(rules []int) (key string) {
	for _, rule := range rules {
		key += strconv.Itoa(rule) + ","
	}
	return key
}

// hosts returns one host for each set of entries that a host can match: the names, an unnamed
// one below each wildcard, and one that no entry matches.
func hosts(sides ...*side) (all []string) {
	named := map[string]bool{}
	for _, x := range sides {
		for name := range x.hosts {
			named[name] = true
		}
	}
	fresh := func(choices []string, behind string) string {
		for i := 0; ; i++ {
			name := "host" + strconv.Itoa(i) + behind
			if i < len(choices) {
				name = choices[i] + behind
			}
			if !named[name] {
				return name
			}
		}
	}
	for name := range named {
		if parent, below := strings.CutPrefix(name, "*."); below {
			name = fresh([]string{"a", "b", "c"}, "."+parent)
		} else if name == "*" {
			continue
		}
		all = append(all, name)
	}
	// A name of one label is below no wildcard.
	all = append(all, fresh([]string{"anywhere"}, ""))
	slices.Sort(all)
	return all
}

// rulesOf returns the rules that have a host, in their order.
func (x *side) rulesOf(host string) (rules []int) {
	rules = append(rules, x.hosts["*"]...)
	rules = append(rules, x.hosts[host]...)
	for rest := host; ; {
		var ok bool
		if _, rest, ok = strings.Cut(rest, "."); !ok {
			break
		}
		rules = append(rules, x.hosts["*."+rest]...)
	}
	slices.Sort(rules)
	return slices.Compact(rules)
}

// item is a path entry of a rule, and the state of its automaton.
type item struct {
	rule  int
	entry *paths
	state automaton.State
}

// maxSteps bounds a walk over the paths, which rules with regexes may make long.
const maxSteps = 30_000_000

// walk finds the pairs of rules of one host that take the same path, shortest path first. It
// follows all paths at once: a state has the states of all entries that can still match.
func (c *comparer) walk(sides [2]*side, rules [2][]int, found func(old, new int, path string)) {
	type state struct {
		items [2][]item
		path  string
	}
	step := func(from state, letter byte) state {
		to := state{path: from.path + string(letter)}
		for side, items := range from.items {
			for _, it := range items {
				if it.state = it.entry.Next(it.state, letter); it.state != automaton.Dead {
					to.items[side] = append(to.items[side], it)
				}
			}
		}
		return to
	}
	meet := func(s state) {
		var pair [2]int
		for side, items := range s.items {
			pair[side] = len(sides[side].paths)
			if i := slices.IndexFunc(items, func(it item) bool { return it.entry.Accepts(it.state) }); i >= 0 {
				pair[side] = items[i].rule
			}
		}
		found(pair[0], pair[1], s.path)
	}
	root := state{}
	for side, x := range sides {
		for _, rule := range rules[side] {
			for _, p := range x.paths[rule] {
				root.items[side] = append(root.items[side], item{rule, p, p.Start()})
			}
		}
	}
	var key []byte
	seen := map[string]bool{}
	queue := []state{step(root, '/')}
	for i := 0; i < len(queue); i++ {
		s := queue[i]
		// Of the letters that move each entry like most others do, one represents all.
		others, most := [256]bool{}, false
		key = key[:0]
		for _, items := range s.items {
			key = binary.AppendUvarint(key, uint64(len(items)))
			for _, it := range items {
				key = binary.AppendUvarint(binary.AppendUvarint(key, uint64(it.entry.number)), uint64(it.state))
				for _, letter := range []byte(it.entry.others[it.state]) {
					others[letter] = true
				}
			}
		}
		if seen[string(key)] {
			continue
		}
		seen[string(key)] = true
		meet(s)
		for _, letter := range letters {
			if !others[letter] && most {
				continue
			}
			most = most || !others[letter]
			if c.steps += 1 + len(s.items[0]) + len(s.items[1]); c.steps > maxSteps {
				c.undecided("the paths of the rules: comparing them takes more than 30,000,000 steps")
				return
			}
			queue = append(queue, step(s, letter))
		}
	}
	meet(step(root, '*')) // OPTIONS * has no path
}

// same reports whether the hosts and paths of two rules are written alike.
func same(a, b *config.SourceRule) bool {
	hosts := func(a, b config.Name) bool { return strings.EqualFold(a.Value, b.Value) }
	paths := func(a, b config.SourcePath) bool { return a.Value == b.Value && a.Regex == b.Regex }
	return slices.EqualFunc(a.Hosts, b.Hosts, hosts) && slices.EqualFunc(a.Paths, b.Paths, paths)
}

// labelOf names a rule, or the policy at the top level.
func (x *side) labelOf(rule int) string {
	switch {
	case rule == len(x.source.Rules) && x.policies[rule] == nil:
		return "no policy"
	case rule == len(x.source.Rules):
		return "the top-level policy"
	}
	label := "rules[" + strconv.Itoa(rule) + "]"
	if name := x.source.Rules[rule].Name.Value; name != "" {
		label += " " + strconv.Quote(name)
	}
	return label
}
