package reach

import (
	"strconv"
	"strings"

	"corsfilter/internal/automaton"
	"corsfilter/internal/origin"
)

// Pattern returns the pattern that says exactly what the automaton says, as far as
// well-formed origins go; false where there is none. It asks for the automaton that
// was explored last.
func (e *Explorer) Pattern(r Reach) (origin.Pattern, bool) {
	if len(r.Domains) != 1 || r.Null {
		return origin.Pattern{}, false
	}
	var buf origin.Buffer
	o, ok := origin.Parse(r.Domains[0].Example, &buf)
	if !ok || origin.DefaultPort(o.Scheme) == 0 {
		return origin.Pattern{}, false
	}
	// The example is as short as any, so that it is the origin itself, or one below
	// the wildcard's host.
	_, parent, _ := strings.Cut(o.Host, ".")
	for _, p := range []origin.Pattern{{Host: o.Host}, {Host: parent, Subdomains: true}} {
		if p.Scheme = o.Scheme; p.Host == "" {
			continue
		}
		switch ports := e.portsAt(kindOf(o.Scheme+"://"), e.a.After(e.a.Start(), o.Scheme+"://"+o.Host)); {
		case ports.plain && ports.others == 0:
			p.Ports = []uint16{0}
		case ports.plain && ports.others == allPorts:
			p.AnyPort = true
		case !ports.plain && ports.others == 1:
			p.Ports = []uint16{o.Port}
		default:
			return origin.Pattern{}, false
		}
		if within, includes := e.Compare(p); within && includes {
			return p, true
		}
	}
	return origin.Pattern{}, false
}

// Compare reports whether all origins that the automaton accepts are the pattern's
// (within), and whether all of the pattern's are accepted (includes). It asks for
// the automaton that was explored last. Of patterns for addresses, for any host, and
// for schemes other than http and https it knows nothing.
func (e *Explorer) Compare(p origin.Pattern) (within, includes bool) {
	kind := kindOf(p.Scheme + "://")
	if kind == foreign || p.Host == "" || isAddress(p.Host) {
		return false, false
	}
	c := comparison{e: e, pattern: p, kind: kind, within: true, includes: true, seen: map[pairing]bool{}}
	for i := range e.graph.nodes {
		n := &e.graph.nodes[i]
		c.within = c.within && (!n.ends || n.kind == kind)
	}
	c.within = c.within && len(e.heads) == 0 && !e.a.Match("null")
	c.walk(pairing{state: e.a.After(e.a.Start(), p.Scheme+"://")})
	return c.within, c.includes
}

// comparison walks over all names, with the automaton and with the pattern.
type comparison struct {
	e                *Explorer
	pattern          origin.Pattern
	kind             scheme
	within, includes bool
	seen             map[pairing]bool
}

// pairing is where both are: matched is how much of the pattern's host the name
// ends with, the dot before it included where the pattern is for names below it;
// -1 where a name of one host has left it.
type pairing struct {
	state   automaton.State
	label   label
	matched int
}

func (c *comparison) walk(first pairing) {
	queue := []pairing{first}
	for len(queue) > 0 && (c.within || c.includes) {
		at := queue[len(queue)-1]
		queue = queue[:len(queue)-1]
		if c.seen[at] {
			continue
		}
		c.seen[at] = true
		c.at(at)
		for _, b := range []byte(webBytes) {
			c.e.spend(1)
			next := pairing{matched: c.read(at.matched, b)}
			var ok bool
			if next.label, ok = at.label.read(c.kind, b); !ok {
				continue
			}
			next.state = c.e.a.Next(at.state, b)
			switch {
			case next.state == automaton.Dead && next.matched < 0:
			case next.state == automaton.Dead:
				// Every name can be completed to one of the pattern's.
				c.includes = false
			default:
				queue = append(queue, next)
			}
		}
	}
}

// at compares what both make of a name that ends here.
func (c *comparison) at(p pairing) {
	if p.label != other && p.label != dotOther {
		return
	}
	ports := c.e.portsAt(c.kind, p.state)
	whole := len(c.pattern.Host)
	if c.pattern.Subdomains {
		whole++
	}
	if p.matched != whole {
		c.within = c.within && ports.none
		return
	}
	if c.pattern.AnyPort {
		c.includes = c.includes && ports.plain && ports.others == allPorts
		return
	}
	plain, others := false, 0
	for _, port := range c.pattern.Ports {
		if port == 0 {
			plain = true
			c.includes = c.includes && ports.plain
			continue
		}
		if c.e.a.Accepts(c.e.a.After(p.state, ":"+strconv.Itoa(int(port)))) {
			others++
		} else {
			c.includes = false
		}
	}
	c.within = c.within && (plain || !ports.plain) && others == ports.others
}

// read is matched behind one byte more.
func (c *comparison) read(matched int, b byte) int {
	if !c.pattern.Subdomains {
		if matched >= 0 && matched < len(c.pattern.Host) && c.pattern.Host[matched] == b {
			return matched + 1
		}
		return -1
	}
	// The longest end of what was matched, and this byte, that the wildcard's host
	// begins with. Hosts are short: there is no table of failures.
	text := "." + c.pattern.Host
	seen := text[:matched] + string(b)
	for n := min(len(seen), len(text)); n > 0; n-- {
		if text[:n] == seen[len(seen)-n:] {
			return n
		}
	}
	return 0
}
