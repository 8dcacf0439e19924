package reach

import (
	"slices"
	"strconv"
	"strings"

	"corsfilter/internal/automaton"
)

// Ranges of addresses that count as one owner (RFC 1122, section 3.2.1.3; RFC
// 1918, section 3).
const (
	loopback4 = "127.0.0.0/8"
	loopback6 = "[::1]"
)

// rangeOf is the range that every address with these first bytes is in, up to a
// dot.
func rangeOf(text string) string {
	switch {
	case text == "127.":
		return loopback4
	case text == "10.":
		return "10.0.0.0/8"
	case text == "192.168.":
		return "192.168.0.0/16"
	case strings.HasPrefix(text, "172.") && strings.Count(text, ".") == 2 && strings.HasSuffix(text, "."):
		if n, _ := strconv.Atoi(text[4 : len(text)-1]); n >= 16 && n <= 31 {
			return "172.16.0.0/12"
		}
	}
	return ""
}

// quad is how far a dotted quad was read: the numbers that are complete, and what
// may follow in the one that is not. Few states are few steps, so that numbers are
// not told apart by their value.
type quad struct {
	done  uint8
	octet octet
}

type octet uint8

const (
	empty     octet = iota
	two             // 2: 0 to 255 may follow from it
	twoFive         // 25
	twoMore         // 1: two more digits of any kind
	oneMore         // one more digit of any kind
	noneAfter       // no more digits
)

func (q quad) read(c byte) (quad, bool) {
	switch {
	case c == '.':
		return quad{done: q.done + 1}, q.octet != empty && q.done < 3
	case c < '0' || c > '9', q.octet == noneAfter, q.octet == twoFive && c > '5':
		return q, false
	case q.octet == empty && c == '0', q.octet == twoFive, q.octet == oneMore, q.octet == two && c > '5':
		q.octet = noneAfter
	case q.octet == empty && c == '1':
		q.octet = twoMore
	case q.octet == empty && c == '2':
		q.octet = two
	case q.octet == two && c == '5':
		q.octet = twoFive
	default:
		q.octet = oneMore
	}
	return q, true
}

func (q quad) ends() bool { return q.done == 3 && q.octet != empty }

// six is how far an IPv6 address was read, in the one form that browsers write
// (URL, section 3.5, after RFC 5952): no leading zeros, and the first of the longest
// runs of two or more zeros as "::".
type six struct {
	left, right uint8 // groups before and behind "::"
	digits      uint8 // of the group that is not complete
	zero        bool  // its first digit is 0
	colon       bool  // behind a colon that may become "::"
	double      bool  // behind "::"
	run         uint8 // zeros in a row, up to here
	most, later uint8 // the longest run before and behind "::"
}

func (s six) read(c byte) (six, bool) {
	switch {
	case c == ':' && s.digits > 0:
		s = s.group()
		s.colon = true
		return s, s.left+s.right < 8
	case c == ':' && !s.double && (s.colon || s.left == 0):
		if s.left == 0 && !s.colon { // the first of two
			s.colon = true
			return s, true
		}
		// A zero before it would belong to the run.
		ok := s.run == 0
		s.double, s.colon, s.run = true, false, 0
		return s, ok
	case c == ':':
		return s, false
	}
	hex := '0' <= c && c <= '9' || 'a' <= c && c <= 'f'
	switch {
	case !hex, s.digits > 0 && s.zero, s.digits == 4:
		return s, false
	case s.digits == 0 && s.left == 0 && s.colon && !s.double: // ":" and no second one
		return s, false
	case s.digits == 0 && s.double && s.right == 0 && c == '0':
		return s, false
	case s.digits == 0:
		s.zero = c == '0'
	}
	s.digits++
	s.colon = false
	return s, s.left+s.right < 8
}

// group completes a group.
func (s six) group() six {
	s.run++
	if !s.zero {
		s.run = 0
	}
	if s.double {
		s.right++
		s.later = max(s.later, s.run)
	} else {
		s.left++
		s.most = max(s.most, s.run)
	}
	s.digits, s.zero = 0, false
	return s
}

func (s six) ends() bool {
	if s.digits > 0 {
		s = s.group()
	} else if s.colon {
		return false
	}
	if !s.double {
		return s.left == 8 && s.most < 2
	}
	zeros := 8 - int(s.left) - int(s.right)
	return zeros >= 2 && int(s.most) < zeros && int(s.later) <= zeros
}

// form is how far an address was read, of either kind. A type parameter would be
// the module's code twice.
type form struct {
	bracketed bool
	four      quad
	six       six
}

func (f form) read(c byte) (_ form, ok bool) {
	if f.bracketed {
		f.six, ok = f.six.read(c)
	} else {
		f.four, ok = f.four.read(c)
	}
	return f, ok
}

func (f form) ends() bool {
	if f.bracketed {
		return f.six.ends()
	}
	return f.four.ends()
}

// spot is where the automaton and the form of an address are.
type spot struct {
	entry int32
	state automaton.State
	form  form
}

// addresses enumerates the addresses of a form, from the first byte on: all that
// can still become one are carried on together, until there are too many.
type addresses struct {
	e     *Explorer
	start form
	bytes string
	close string                 // what stands behind the address
	skip  func(name string) bool // addresses and ranges that are not looked for
	can   map[spot]bool
}

// mayEnd reports whether an origin can end behind any text of the form's bytes:
// where it can not, which is nearly always, there is no address to look for.
func (x *addresses) mayEnd(s spot) bool {
	seen := append(x.e.seen[:0], s.state)
	for i := 0; i < len(seen) && s.state != automaton.Dead; i++ {
		if s.state = seen[i]; !x.port(s).none {
			x.e.seen = seen
			return true
		}
		for j := range len(x.bytes) {
			x.e.spend(1)
			if next := x.e.a.Next(seen[i], x.bytes[j]); next != automaton.Dead && !slices.Contains(seen, next) {
				seen = append(seen, next)
			}
		}
	}
	x.e.seen = seen
	return false
}

// becomes reports whether an address can be completed from a spot.
func (x *addresses) becomes(s spot) bool {
	if known, ok := x.can[s]; ok {
		return known
	}
	x.e.spend(1)
	can := x.ends(s)
	for i := 0; i < len(x.bytes) && !can; i++ {
		if next, ok := x.next(s, x.bytes[i]); ok {
			can = x.becomes(next)
		}
	}
	x.can[s] = can
	return can
}

func (x *addresses) next(s spot, c byte) (spot, bool) {
	x.e.spend(1)
	var ok bool
	if s.form, ok = s.form.read(c); !ok {
		return s, false
	}
	s.state = x.e.a.Next(s.state, c)
	return s, s.state != automaton.Dead
}

func (x *addresses) ends(s spot) bool {
	return s.form.ends() && !x.port(s).none
}

func (x *addresses) port(s spot) ports {
	return x.e.portsAt(x.e.entries[s.entry].kind, x.e.a.After(s.state, x.close))
}

// list enumerates; open is what stands before the address, and within the range
// that all addresses with these first bytes belong to, or "".
func (x *addresses) list(open string, most int, keep func(entry) bool, within func(text string) string) (r result) {
	type partial struct {
		text string
		at   []spot
	}
	var start partial
	for i, entry := range x.e.entries {
		s := spot{int32(i), x.e.a.After(entry.state, open), x.start}
		if keep(entry) && x.mayEnd(s) && x.becomes(s) {
			start.at = append(start.at, s)
		}
	}
	if len(start.at) == 0 {
		return r
	}
	level := []partial{start}
	for len(level) > 0 {
		var next []partial
		for _, p := range level {
			for _, s := range p.at {
				if x.ends(s) && !x.skip(open+p.text+x.close) {
					entry := x.e.entries[s.entry]
					port := x.port(s).shortest
					host := open + p.text + x.close
					r.add(host, entry.name+"://"+host+port)
				}
			}
			for i := range len(x.bytes) {
				longer := partial{text: p.text + x.bytes[i:i+1]}
				for _, s := range p.at {
					if to, ok := x.next(s, x.bytes[i]); ok && x.becomes(to) {
						longer.at = append(longer.at, to)
					}
				}
				if len(longer.at) == 0 {
					continue
				}
				if name := within(longer.text); name != "" {
					if !x.skip(name) {
						r.add(name, x.first(longer.at, open+longer.text))
					}
					continue
				}
				next = append(next, longer)
			}
		}
		// One of each at least; those that may end in 172.16.0.0/12 are one together.
		count, mid := len(r.found), false
		for _, p := range next {
			if strings.HasPrefix(p.text, "172.") {
				mid = true
			} else {
				count++
			}
		}
		if mid {
			count++
		}
		if count > most {
			r.over = true
			// What is open gives examples of strangers.
			for _, p := range next {
				if example := x.first(p.at, open+p.text); example != "" && len(r.found) <= most {
					r.add(open+p.text, example)
				}
			}
			return r
		}
		level = next
	}
	return r
}

// first returns an origin whose address begins like the text, over https if there
// is one; "" where all of those are skipped.
func (x *addresses) first(at []spot, text string) string {
	best := at[0]
	for _, s := range at {
		if x.e.entries[s.entry].kind < x.e.entries[best.entry].kind {
			best = s
		}
	}
	// Addresses are short, so the first way to an end will do but for being the
	// shortest: each level of bytes is tried before the next.
	type way struct {
		spot
		text string
	}
	level := []way{{best, ""}}
	for len(level) > 0 {
		var next []way
		for _, w := range level {
			if x.ends(w.spot) && !x.skip(text+w.text+x.close) {
				port := x.port(w.spot).shortest
				return x.e.entries[w.entry].name + "://" + text + w.text + x.close + port
			}
			for i := range len(x.bytes) {
				if to, ok := x.next(w.spot, x.bytes[i]); ok && x.becomes(to) && len(next) < 64 {
					next = append(next, way{to, w.text + x.bytes[i:i+1]})
				}
			}
		}
		level = next
	}
	return ""
}

func (e *Explorer) addresses4(most int, keep func(entry) bool, skip func(name string) bool) result {
	x := addresses{e: e, skip: skip, bytes: "0123456789.", can: map[spot]bool{}}
	return x.list("", most, func(n entry) bool { return n.kind != foreign && keep(n) }, rangeOf)
}

func (e *Explorer) addresses6(most int, keep func(entry) bool, skip func(name string) bool) result {
	x := addresses{e: e, start: form{bracketed: true}, skip: skip, bytes: ":0123456789abcdef", close: "]", can: map[spot]bool{}}
	return x.list("[", most, keep, func(string) string { return "" })
}
