package reach

import (
	"cmp"
	"slices"
	"strings"

	"corsfilter/internal/origin"
	"corsfilter/internal/suffix"
)

const (
	localhost = "localhost"
	// noHost owns the origins without a host, and those with a dot in its place.
	noHost = "no host"
)

// result is what an enumeration found; over says that there are more than asked
// for, and then found are only some.
type result struct {
	found []Domain
	over  bool
}

func (r *result) add(name, example string) {
	for i := range r.found {
		if d := &r.found[i]; d.Name == name {
			if d.Example == "" || example != "" && better(example, d.Example) {
				d.Example = example
			}
			return
		}
	}
	r.found = append(r.found, Domain{name, example})
}

// better prefers https to http to other schemes, then what is shorter.
func better(a, b string) bool {
	if x, y := kindOf(a), kindOf(b); x != y {
		return x < y
	}
	return len(a) < len(b)
}

// tail is the end of hosts, read from the last byte on: what one registers stands
// at the end of a name.
type tail struct {
	text string
	at   []place // the nodes from which the text leads to an end
	// table is how far the public suffix list has rules that end like the text, and
	// onTable says that there are such.
	table   suffix.State
	onTable bool
	// settled is the registrable domain of the text as far as the next dot; rules
	// that go on beyond it may still say otherwise.
	settled string
	least   int // the length of the shortest origin that ends like this
}

// place is a node, and the length of what stands behind the text: a dot and a port
// at most. It is a number, so that lists of them are sorted by code that the module
// has anyway.
type place int

func at(node int32, behind int) place { return place(node)<<4 | place(behind) }

func (p place) node() int32 { return int32(p >> 4) }
func (p place) behind() int { return int(p & 15) }

// whole are the tails of no text at all, of names of some kinds of schemes, without
// and with a dot at the end, which belong to the same owners.
func (e *Explorer) whole(first, last scheme) tail {
	g := &e.graph
	t := tail{table: suffix.Start, onTable: true}
	for i := range g.nodes {
		switch n := &g.nodes[i]; {
		case !n.ends || n.kind < first || n.kind > last:
		case n.label == dotOther:
			for _, x := range g.before(int32(i)) {
				t.at = append(t.at, at(x.from, n.behind+1))
			}
		default:
			t.at = append(t.at, at(int32(i), n.behind))
		}
	}
	e.tidy(&t)
	return t
}

// tidy keeps the shortest of each node's places, and leaves out those whose origins
// would be too long.
func (e *Explorer) tidy(t *tail) {
	e.spend(len(t.at))
	slices.Sort(t.at)
	t.least = origin.MaxLen + 1
	kept, last := t.at[:0], int32(-1)
	for _, p := range t.at {
		length := e.graph.nodes[p.node()].before + len(t.text) + p.behind()
		if p.node() == last || length > origin.MaxLen {
			continue
		}
		last = p.node()
		t.least = min(t.least, length)
		kept = append(kept, p)
	}
	t.at = kept
}

// longer returns the tails of one byte more, in the order of the bytes: those whose
// shortest origin has one length, or all where that is 0; and the next length there
// is, or one that no origin has.
func (e *Explorer) longer(t *tail, length int) (all []tail, more int) {
	more = origin.MaxLen + 1
	for _, c := range []byte(e.graph.bytes) {
		e.by[c] = e.by[c][:0]
	}
	e.spend(len(e.graph.bytes))
	for _, p := range t.at {
		e.spend(len(e.graph.before(p.node())))
		for _, x := range e.graph.before(p.node()) {
			e.by[x.c] = append(e.by[x.c], at(x.from, p.behind()))
		}
	}
	for _, c := range []byte(e.graph.bytes) {
		least := origin.MaxLen + 1
		for _, p := range e.by[c] {
			least = min(least, e.graph.nodes[p.node()].before+len(t.text)+1+p.behind())
		}
		if least > origin.MaxLen || length > 0 && least != length {
			if least > length {
				more = min(more, least)
			}
			continue
		}
		begin := len(e.places)
		e.places = append(e.places, e.by[c]...)
		next := tail{text: string(c) + t.text, at: e.places[begin:len(e.places):len(e.places)], table: t.table, settled: t.settled}
		if t.onTable {
			next.table, next.onTable = t.table.Next(c)
		}
		e.spend(40) // what making a tail costs
		e.tidy(&next)
		all = append(all, next)
	}
	return all, more
}

// domainOf is who owns a host.
func domainOf(host string) string {
	if host == localhost || strings.HasSuffix(host, "."+localhost) {
		return localhost
	}
	if domain, ok := registrable(host); ok {
		return domain
	}
	return cmp.Or(host, noHost)
}

// registrable returns the public suffix of a host with the label before it, which is
// empty in some hosts of schemes other than http and https; false for a host that is
// a public suffix itself.
func registrable(host string) (string, bool) {
	i := suffix.Public(host)
	if i == 0 {
		return "", false
	}
	return host[strings.LastIndexByte(host[:i-1], '.')+1:], true
}

// step goes one byte on from a tail, to tails of a length as longer does. owned is
// called with each owner that has become certain; the tails that are returned may lead to
// others.
func (e *Explorer) step(t *tail, length int, owned func(domain string, t *tail)) (open []tail, more int) {
	exact := tail{text: t.text}
	for _, p := range t.at {
		if e.graph.nodes[p.node()].label == begin {
			exact.at = append(exact.at, p)
		}
	}
	if len(exact.at) > 0 && length <= t.least {
		owned(domainOf(t.text), &exact)
	}
	all, more := e.longer(t, length)
	for _, next := range all {
		if next.text[0] == '.' {
			domain, registered := registrable(t.text)
			_, shared := suffix.Within(t.text)
			switch {
			case t.text == localhost:
				owned(localhost, &next)
				continue
			case !shared:
				owned(domain, &next)
				continue
			case registered && t.table.Kind()&suffix.Wildcard == 0:
				next.settled = domain
			default:
				next.settled = ""
			}
		}
		if next.settled != "" && !next.onTable {
			owned(next.settled, &next)
			continue
		}
		open = append(open, next)
	}
	return open, more
}

// names enumerates the owners of all names, and says how many there are: those that
// are found, Many or Endless. Each open tail has one more at least, and all those
// that have settled on one domain one together, so that going on until there are too
// many is soon over.
func (e *Explorer) names() (r result, count int) {
	level := []tail{e.whole(https, foreign)}
	for len(level) > 0 {
		var next []tail
		for i := range level {
			if r.over && e.endless(level[i]) {
				return r, Endless
			}
			open, _ := e.step(&level[i], 0, func(domain string, t *tail) {
				example := ""
				if !r.over {
					example = e.example(t)
				}
				r.add(domain, example)
			})
			next = append(next, open...)
			count = r.atLeast(next)
			if count > MaxDomains && !r.over {
				r.over, open = true, next
				e.graph.measure(e)
			}
			if r.over && slices.ContainsFunc(open, e.endless) {
				return r, Endless
			}
			if count > ManyDomains {
				return r, Many
			}
		}
		level = next
	}
	return r, len(r.found)
}

// atLeast is how many owners there are, those of open tails included.
func (r *result) atLeast(open []tail) int {
	n := len(r.found)
	var settled []string
	for i := range open {
		switch s := open[i].settled; {
		case s == "":
			n++
		case !slices.Contains(settled, s) && !slices.ContainsFunc(r.found, func(d Domain) bool { return d.Name == s }):
			settled = append(settled, s)
			n++
		}
	}
	return n
}

// endless reports whether each of the names that end like the tail, and are as many
// as one likes, has an owner of its own.
func (e *Explorer) endless(t tail) bool {
	return !t.onTable && t.settled == "" && slices.ContainsFunc(t.at, func(p place) bool { return !e.graph.short[p.node()] })
}

// candidate is a tail, or an origin that is known to be as short as any.
type candidate struct {
	tail
	origin string
}

// shortest returns the shortest origin of a kind of scheme whose owner is not to be
// skipped; "" where there is none.
func (e *Explorer) shortest(kind scheme, skip func(domain string) bool) string {
	queue := &e.queue // by the length of the shortest origin
	for length := range queue {
		queue[length] = queue[length][:0]
	}
	if t := e.whole(kind, kind); len(t.at) > 0 {
		queue[t.least] = append(queue[t.least], candidate{tail: t})
	}
	for length := range queue {
		for len(queue[length]) > 0 {
			last := len(queue[length]) - 1
			next := queue[length][last]
			queue[length] = queue[length][:last]
			if next.origin != "" {
				return next.origin
			}
			var found []string
			open, more := e.step(&next.tail, length, func(domain string, owner *tail) {
				if !skip(domain) {
					found = append(found, e.example(owner))
				}
			})
			if more < len(queue) {
				queue[more] = append(queue[more], next)
			}
			for i := len(open) - 1; i >= 0; i-- {
				queue[length] = append(queue[length], candidate{tail: open[i]})
			}
			for i := len(found) - 1; i >= 0; i-- { // before what is open and no shorter
				queue[len(found[i])] = append(queue[len(found[i])], candidate{origin: found[i]})
			}
		}
	}
	return ""
}

// example returns the shortest origin that ends like the tail, over https if there
// is one.
func (e *Explorer) example(t *tail) string {
	g := &e.graph
	length := func(p place) int { return g.nodes[p.node()].before + len(t.text) + p.behind() }
	best := t.at[0]
	for _, p := range t.at[1:] {
		if cmp.Or(cmp.Compare(g.nodes[p.node()].kind, g.nodes[best.node()].kind), cmp.Compare(length(p), length(best))) < 0 {
			best = p
		}
	}
	n, front := best.node(), ""
	for g.nodes[n].label != begin {
		edges := g.before(n)
		i := slices.IndexFunc(edges, func(x edge) bool { return g.nodes[x.from].before == g.nodes[n].before-1 })
		n, front = edges[i].from, string(edges[i].c)+front
	}
	x := e.entries[g.nodes[n].entry]
	host := front + t.text
	state := e.a.After(x.state, host)
	port := e.portsAt(x.kind, state)
	if port.none || len(port.shortest) != best.behind() {
		host += "."
		port = e.portsAt(x.kind, e.a.Next(state, '.'))
	}
	return x.name + "://" + host + port.shortest
}
