package reach

import (
	"slices"

	"corsfilter/internal/automaton"
	"corsfilter/internal/origin"
)

// maxHost is the longest a host can be, and a scheme: an origin has more beside
// either.
const maxHost = origin.MaxLen - len("a://")

// label is where in a name a host is. The last label of a name of http and https
// must not be a number, decimal or hexadecimal: browsers take such a host for an
// IPv4 address (URL, section 3.5).
type label uint8

const (
	begin label = iota
	other
	zero     // 0
	digits   // a number
	hex      // 0x…
	dotOther // behind a dot, that stands behind other
	dotNumber
)

// webBytes are those of names of http and https, and nameBytes those of all hosts.
// The hosts of other schemes are opaque (URL, section 3.5): what a reg-name of RFC
// 3986 consists of may stand in them, but for what sets origins and patterns apart,
// and there may be nothing at all.
const (
	webBytes  = "abcdefghijklmnopqrstuvwxyz0123456789-_."
	nameBytes = webBytes + "~!$&'()+;=%"
)

// bytes are those of names.
func (kind scheme) bytes() string {
	if kind == foreign {
		return nameBytes
	}
	return webBytes
}

// read returns where a name is behind one byte more.
func (l label) read(kind scheme, c byte) (label, bool) {
	digit := '0' <= c && c <= '9'
	dotted := l == begin || l == dotOther || l == dotNumber
	switch {
	case kind == foreign && c == '.':
		return dotOther, true
	case kind == foreign:
		return other, true
	case c == '.' && dotted:
		return 0, false
	case c == '.' && l == other:
		return dotOther, true
	case c == '.':
		return dotNumber, true
	case dotted && c == '0':
		return zero, true
	case digit && (dotted || l == zero || l == digits):
		return digits, true
	case l == zero && c == 'x', l == hex && (digit || 'a' <= c && c <= 'f'):
		return hex, true
	}
	return other, true
}

// graph is every way to spell a name that the automaton accepts as a host: a node
// is a state of the automaton and a place in the name, an edge is a byte. It is
// walked from the ends back, so that nodes which lead to no end are never met.
type graph struct {
	nodes []node
	ids   map[nodeKey]int32
	bytes string // of all edges
	// What leads to a node stands in edges from into[node] to the next.
	edges []edge
	into  []int32
	arcs  []arc
	fill  []int32
	// short says of nodes that a label before them cannot be as long as one likes.
	short []bool
}

type nodeKey struct {
	kind  scheme
	state automaton.State
	label label
}

type node struct {
	nodeKey
	entry int32 // of a node at the begin of a host
	// before is the length of the shortest origin up to here, behind of what
	// follows the host.
	before, behind int
	ends           bool // a host may end here
}

type edge struct {
	from int32
	c    byte
}

// arc is an edge while the graph is made.
type arc struct {
	edge
	to int32
}

const maxEdges = 1_000_000

func (g *graph) build(e *Explorer) {
	g.nodes, g.edges = g.nodes[:0], g.edges[:0]
	if g.ids == nil {
		g.ids = map[nodeKey]int32{}
	}
	clear(g.ids)
	g.arcs = g.arcs[:0]
	visit := func(k nodeKey, before int) int32 {
		id, ok := g.ids[k]
		if !ok {
			id = int32(len(g.nodes))
			g.ids[k] = id
			g.nodes = append(g.nodes, node{nodeKey: k, entry: -1, before: before})
		}
		return id
	}
	g.bytes = webBytes
	for i, x := range e.entries {
		if x.kind == foreign {
			g.bytes = nameBytes
		}
		id := visit(nodeKey{x.kind, x.state, begin}, len(x.name)+len("://"))
		g.nodes[id].entry = int32(i)
	}
	for i := 0; i < len(g.nodes); i++ {
		from := g.nodes[i]
		if from.before >= origin.MaxLen {
			continue
		}
		for _, c := range []byte(from.kind.bytes()) {
			e.spend(1)
			at, ok := from.label.read(from.kind, c)
			if !ok {
				continue
			}
			s := e.a.Next(from.state, c)
			if s == automaton.Dead {
				continue
			}
			to := visit(nodeKey{from.kind, s, at}, from.before+1)
			if g.arcs = append(g.arcs, arc{edge{int32(i), c}, to}); len(g.arcs) > maxEdges {
				panic(TooCostly{})
			}
		}
	}
	// Schemes other than http and https differ in length: what was found from a
	// longer one first may be nearer.
	for shorter := len(e.entries) > 1 && e.entries[len(e.entries)-2].kind == foreign; shorter; {
		shorter = false
		for _, a := range g.arcs {
			if before := g.nodes[a.from].before + 1; before < g.nodes[a.to].before {
				g.nodes[a.to].before, shorter = before, true
			}
		}
		e.spend(len(g.arcs))
	}
	// From the ends back.
	g.into = slices.Grow(g.into[:0], len(g.nodes)+1)[:len(g.nodes)+1]
	clear(g.into)
	for _, a := range g.arcs {
		g.into[a.to+1]++
	}
	for i := range g.nodes {
		g.into[i+1] += g.into[i]
	}
	g.edges = slices.Grow(g.edges, len(g.arcs))[:len(g.arcs)]
	g.fill = append(g.fill[:0], g.into...)
	for _, a := range g.arcs {
		g.edges[g.fill[a.to]] = a.edge
		g.fill[a.to]++
	}
	for i := range g.nodes {
		n := &g.nodes[i]
		if n.label == other || n.label == dotOther || n.label == begin && n.kind == foreign {
			p := e.portsAt(n.kind, n.state)
			n.ends, n.behind = !p.none, len(p.shortest)
		}
	}
}

// before returns the edges into a node.
func (g *graph) before(n int32) []edge { return g.edges[g.into[n]:g.into[n+1]] }

// measure finds the nodes before which a label cannot be as long as one likes: no
// way back from them goes around without a dot. Nodes stand behind those that lead
// to them, mostly, so that going through them twice will do.
func (g *graph) measure(e *Explorer) {
	g.short = append(g.short[:0], make([]bool, len(g.nodes))...)
	for changed := true; changed; {
		changed = false
		e.spend(len(g.edges))
		for i := range g.nodes {
			if !g.short[i] && !slices.ContainsFunc(g.before(int32(i)), func(x edge) bool { return x.c != '.' && !g.short[x.from] }) {
				g.short[i], changed = true, true
			}
		}
	}
}
