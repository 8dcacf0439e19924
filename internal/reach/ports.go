package reach

import (
	"cmp"
	"slices"
	"strconv"

	"corsfilter/internal/automaton"
)

// ports are those that the automaton accepts behind a host.
type ports struct {
	// shortest is what to write behind the host, ":8080" or "" ; none says that there
	// is no way to end an origin here.
	shortest string
	none     bool
	// plain says that an origin without a port is accepted, and others how many
	// ports are, the default one excluded, which no origin has.
	plain  bool
	others int
}

// allPorts is how many there are beside the default one of http and https; other
// schemes have one more.
const allPorts = 65534

type portKey struct {
	kind  scheme
	state automaton.State
}

// number is the begin of a port.
type number struct {
	state   automaton.State
	compare int // of the digits so far with those of 65535
	usual   int // digits that are those of the default port; -1 where they are not
	count   int
	value   int
}

// portsAt reads all ports at once: numbers of up to five digits that are in the
// same state of the automaton, compare with 65535 and the default port in the same
// way, and so go on alike.
func (e *Explorer) portsAt(kind scheme, s automaton.State) ports {
	key := portKey{kind, s}
	if known, ok := e.ports[key]; ok {
		return known
	}
	p := ports{plain: e.a.Accepts(s)}
	shortest := ""
	usual := [...]string{https: "443", http: "80", foreign: ""}[kind]
	level, next := append(e.numbers[0][:0], number{state: e.a.Next(s, ':'), count: 1}), e.numbers[1]
	for digits := 0; digits < 5 && level[0].state != automaton.Dead; digits++ {
		next = next[:0]
		for _, n := range level {
			for c := byte('0'); c <= '9'; c++ {
				e.spend(1)
				if c == '0' && digits == 0 {
					continue
				}
				m := number{e.a.Next(n.state, c), n.compare, -1, n.count, 10*n.value + int(c-'0')}
				if m.compare == 0 {
					m.compare = cmp.Compare(c, "65535"[digits])
				}
				if n.usual == digits && digits < len(usual) && usual[digits] == c {
					m.usual = digits + 1
				}
				if m.state == automaton.Dead || digits == 4 && m.compare > 0 {
					continue
				}
				known := slices.IndexFunc(next, func(o number) bool { return o.state == m.state && o.compare == m.compare && o.usual == m.usual })
				if known < 0 {
					next = append(next, m)
				} else {
					next[known].count += m.count
				}
			}
		}
		for _, n := range next {
			if !e.a.Accepts(n.state) || usual != "" && n.usual == len(usual) && digits+1 == len(usual) {
				continue
			}
			if p.others == 0 {
				shortest = ":" + strconv.Itoa(n.value)
			}
			p.others += n.count
		}
		if level, next = next, level; len(level) == 0 {
			break
		}
	}
	e.numbers = [2][]number{level, next}
	p.none = !p.plain && p.others == 0
	if !p.plain {
		p.shortest = shortest
	}
	e.ports[key] = p
	return p
}
