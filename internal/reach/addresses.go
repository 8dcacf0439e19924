package reach

import (
	"slices"
	"strconv"
	"strings"

	"corsfilter/internal/automaton"
	"corsfilter/internal/origin"
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
// runs of two or more zeros as "::". Texts that go on alike are one state, as for
// quads: of groups before and behind "::" only the sum matters, and of runs only what
// they ask of "::".
type six struct {
	groups uint8 // that are complete
	digits uint8 // of the group that is not
	run    uint8 // groups of zero in a row, up to here
	least  uint8 // so many zeros "::" must stand for
	zero   bool  // the first digit is 0
	colon  bool  // behind a colon that may become "::"
	double bool  // behind "::"
}

func (s six) read(c byte) (six, bool) {
	switch {
	case c == ':' && s.digits > 0:
		s = s.group()
		s.colon = true
	case c == ':' && s.groups == 0 && !s.colon && !s.double: // the first of two
		s.colon = true
	case c == ':' && s.colon && !s.double:
		// A zero before it would belong to the run.
		if s.run > 0 {
			return s, false
		}
		s.double, s.colon = true, false
	case c == ':', s.digits == 4, s.digits > 0 && s.zero:
		return s, false
	case s.digits == 0 && s.groups == 0 && s.colon: // ":" and no second one
		return s, false
	case s.digits == 0 && s.double && !s.colon && c == '0': // it would belong to the run
		return s, false
	default:
		if s.digits == 0 {
			s.zero = c == '0'
		}
		s.digits++
		s.colon = false
	}
	// What cannot be completed is no way to go on.
	groups := s.groups
	if s.digits > 0 || s.colon && s.double {
		groups++
	}
	return s, groups+s.least <= 8 || !s.double && s.least == 2 && (groups < 8 || groups == 8 && !s.colon)
}

// group completes a group.
func (s six) group() six {
	s.groups++
	s.run++
	if !s.zero {
		s.run = 0
	}
	// Of runs of one length the first is "::".
	if s.double {
		s.least = max(s.least, s.run)
	} else {
		s.least = max(s.least, s.run+1)
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
		return s.groups == 8 && s.least == 2
	}
	return s.groups+s.least <= 8
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

// bytes are those that may stand in the address, and closing is what stands behind.
func (f form) bytes() (bytes, closing string) {
	if f.bracketed {
		return ":0123456789abcdef", "]"
	}
	return "0123456789.", ""
}

// spot is where the automaton and the form of an address are. What can follow does
// not depend on more.
type spot struct {
	kind  scheme
	state automaton.State
	form  form
}

// beginning is a spot and how it was come to: by the text, a bracket included,
// behind an entry.
type beginning struct {
	spot
	entry int32
	text  string
}

// addresses finds the beginnings from which there is an address at all.
func (e *Explorer) addresses() {
	e.heads = e.heads[:0]
	e.can = map[spot]bool{}
	for _, f := range []beginning{{}, {text: "[", spot: spot{form: form{bracketed: true, six: six{least: 2}}}}} {
		for i, x := range e.entries {
			f.kind, f.state, f.entry = x.kind, e.a.After(x.state, f.text), int32(i)
			if (f.form.bracketed || x.kind != foreign) && e.mayEnd(f.spot) && e.becomes(f.spot) {
				e.heads = append(e.heads, f)
			}
		}
	}
}

// mayEnd reports whether an origin can end behind any text of the form's bytes:
// where it cannot, which is nearly always, there is no address to look for.
func (e *Explorer) mayEnd(s spot) bool {
	seen := append(e.seen[:0], s.state)
	bytes, _ := s.form.bytes()
	for i := 0; i < len(seen) && s.state != automaton.Dead; i++ {
		if s.state = seen[i]; !e.portsBehind(s).none {
			e.seen = seen
			return true
		}
		for j := range len(bytes) {
			e.spend(1)
			if next := e.a.Next(seen[i], bytes[j]); next != automaton.Dead && !slices.Contains(seen, next) {
				seen = append(seen, next)
			}
		}
	}
	e.seen = seen
	return false
}

// becomes reports whether an address can be completed from a spot.
func (e *Explorer) becomes(s spot) bool {
	if known, ok := e.can[s]; ok {
		return known
	}
	e.spend(1)
	can := e.ends(s)
	bytes, _ := s.form.bytes()
	for i := 0; i < len(bytes) && !can; i++ {
		if next, ok := e.next(s, bytes[i]); ok {
			can = e.becomes(next)
		}
	}
	e.can[s] = can
	return can
}

func (e *Explorer) next(s spot, c byte) (spot, bool) {
	e.spend(1)
	var ok bool
	if s.form, ok = s.form.read(c); !ok {
		return s, false
	}
	s.state = e.a.Next(s.state, c)
	return s, s.state != automaton.Dead
}

func (e *Explorer) ends(s spot) bool { return s.form.ends() && !e.portsBehind(s).none }

func (e *Explorer) portsBehind(s spot) ports {
	_, closing := s.form.bytes()
	return e.portsAt(s.kind, e.a.After(s.state, closing))
}

// end is the host of an address that ends, and its origin.
func (e *Explorer) end(b *beginning) (host, text string) {
	_, closing := b.form.bytes()
	host = b.text + closing
	port := e.portsBehind(b.spot).shortest
	return host, e.entries[b.entry].name + "://" + host + port
}

// addressOwners enumerates the owners of addresses, up to MaxDomains, from the first
// byte on: all that can still become one are carried on together, until there are
// too many.
func (e *Explorer) addressOwners() (r result) {
	brackets := slices.IndexFunc(e.heads, func(b beginning) bool { return b.form.bracketed })
	if brackets < 0 {
		brackets = len(e.heads)
	}
	level := [][]beginning{e.heads[:brackets], e.heads[brackets:]} // of one text each
	for len(level) > 0 {
		var next [][]beginning
		for _, same := range level {
			bytes := ""
			for i := range same {
				bytes, _ = same[i].form.bytes()
				if e.ends(same[i].spot) {
					r.add(e.end(&same[i]))
				}
			}
			for i := range len(bytes) {
				var longer []beginning
				for _, b := range same {
					to, ok := e.next(b.spot, bytes[i])
					if ok && e.becomes(to) && !slices.ContainsFunc(longer, func(known beginning) bool { return known.spot == to }) {
						longer = append(longer, beginning{to, b.entry, b.text + bytes[i:i+1]})
					}
				}
				if len(longer) == 0 {
					continue
				}
				if name := rangeOf(longer[0].text); name != "" {
					_, example := e.nearest(longer[0].kind, longer, nil, origin.MaxLen+1)
					r.add(name, example)
					continue
				}
				next = append(next, longer)
			}
		}
		// One of each at least; those that may end in 172.16.0.0/12 are one together.
		count, mid := len(r.found), 0
		for _, same := range next {
			if strings.HasPrefix(same[0].text, "172.") {
				mid = 1
			} else {
				count++
			}
		}
		if count+mid > MaxDomains {
			r.over = true
			return r
		}
		level = next
	}
	return r
}

// nearest returns the host of the shortest origin of a kind behind some beginnings,
// and that origin, if it is shorter than limit. What is skipped are hosts, and
// begins of hosts up to a dot.
func (e *Explorer) nearest(kind scheme, from []beginning, skipped []string, limit int) (host, found string) {
	// The first way to a spot is the shortest. Only where it may come to what is
	// skipped another one leads elsewhere.
	seen := map[spot]bool{}
	var level []beginning
	for length := 0; length < limit; length++ {
		for _, b := range from {
			if b.kind == kind && len(e.entries[b.entry].name)+len(b.text) == length {
				level = append(level, b)
			}
		}
		var next []beginning
		for i := range level {
			b := &level[i]
			if e.ends(b.spot) {
				if h, text := e.end(b); len(text) < limit && !slices.Contains(skipped, h) {
					host, found, limit = h, text, len(text)
				}
			}
			bytes, _ := b.form.bytes()
			for j := range len(bytes) {
				to, ok := e.next(b.spot, bytes[j])
				if !ok {
					continue
				}
				text := b.text + bytes[j:j+1]
				if slices.ContainsFunc(skipped, func(s string) bool { return strings.HasPrefix(s, text) }) {
					if bytes[j] == '.' && slices.Contains(skipped, text) {
						continue
					}
				} else if seen[to] {
					continue
				} else {
					seen[to] = true
				}
				next = append(next, beginning{to, b.entry, text})
			}
		}
		level = next
	}
	return host, found
}

// shortestAddress returns the shortest origin of a kind whose host is an address
// with an owner that is not to be skipped, if it is shorter than limit; else "".
func (e *Explorer) shortestAddress(kind scheme, skip func(owner string) bool, limit int) string {
	var skipped []string
	for {
		host, found := e.nearest(kind, e.heads, skipped, limit)
		if found == "" {
			return ""
		}
		owner, begin := ownerOfAddress(host)
		if !skip(owner) {
			return found
		}
		skipped = append(skipped, begin)
	}
}

// ownerOfAddress is the range that an address is in, or the address itself, and
// what the hosts of that owner begin with; some others of the owner may begin
// otherwise.
func ownerOfAddress(host string) (owner, begin string) {
	for i := range host {
		if name := rangeOf(host[:i+1]); name != "" {
			return name, host[:i+1]
		}
	}
	return host, host
}
