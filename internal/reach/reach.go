// Package reach decides what an automaton lets in: under how many registrable
// domains the origins lie that it accepts, and which is the shortest
// unintended one. It goes through all well-formed origins at once, and not through
// samples of them: the grammar of internal/origin, the public suffix list and the
// automaton are walked together.
//
// It is part of the module: Go 1.23, and of this module internal/automaton,
// internal/origin and internal/suffix.
package reach

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"corsfilter/internal/automaton"
	"corsfilter/internal/origin"
)

// MaxDomains is how many registrable domains a matcher may let in before it counts
// as one of any origin.
const MaxDomains = 32

// Endless stands for an unlimited number of domains, Many for one above
// ManyDomains, and Addresses for more than MaxDomains addresses.
const (
	Endless   = -1
	Many      = -2
	Addresses = -3

	ManyDomains = 1000
)

// Domain is one owner of origins that are let in: a registrable domain, a
// single-label host, an address, a range of addresses, or "no host".
type Domain struct {
	Name string
	// Example is an origin of it that is let in, as short as there is.
	Example string
}

// Reach is what an automaton lets in.
type Reach struct {
	// Domains are those of all origins, in no order of note, where there are no more
	// than MaxDomains.
	Domains []Domain
	// Count is how many there are, or Endless, Many or Addresses.
	Count int
	// Any says that unlisted origins get in: there are more than MaxDomains, or ten or more
	// that differ in one letter or digit.
	Any bool
	// Unintended is the shortest origin with a host of a domain that was not meant, over
	// https where there is one; "" where all were meant.
	Unintended string
	// Insecure is the shortest plain http origin beyond loopback; "" where there is
	// none.
	Insecure string
	// Null and File say that it accepts what is no origin of anyone's: the text "null"
	// of opaque origins, which is in no domain, and "file://" of all files.
	Null, File bool
}

// Owners says under how many registrable domains the origins are.
func (r *Reach) Owners() string {
	switch r.Count {
	case Endless:
		return "an unlimited number of domains, including ones anyone can register"
	case Many:
		return "more than 1,000 registrable domains"
	case Addresses:
		return "more than 32 addresses"
	case 1:
		return "1 registrable domain"
	}
	return strconv.Itoa(r.Count) + " registrable domains"
}

// Owner returns who owns a well-formed origin; "" of a text without a scheme.
func Owner(text string) string {
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok {
		return ""
	}
	host, _, _ := origin.SplitPort(rest)
	if strings.HasPrefix(host, "[") || origin.DefaultPort(scheme) != 0 && isAddress(host) {
		owner, _ := ownerOfAddress(host)
		return owner
	}
	return domainOf(strings.TrimSuffix(host, "."))
}

// TooCostly is the error of a matcher that cannot be decided within the bounds.
type TooCostly struct{}

func (TooCostly) Error() string { return "takes more than 1,000,000 steps to decide what it lets in" }

const maxSteps = 1_000_000

// scheme is a kind of schemes: hosts of http and https have another grammar than
// those of all others.
type scheme uint8

const (
	https scheme = iota
	http
	foreign
)

// entry is a state of the automaton behind a scheme and "://".
type entry struct {
	kind  scheme
	name  string
	state automaton.State
}

// Explorer keeps memory from one automaton to the next.
type Explorer struct {
	a       *automaton.Automaton
	entries []entry
	steps   int
	graph   graph
	ports   map[portKey]ports
	by      [128][]place // by the byte before
	places  []place      // of all tails
	queue   [origin.MaxLen + 1][]candidate
	numbers [2][]number
	seen    []automaton.State
	heads   []beginning
	can     map[spot]bool // whether an address can be completed
}

// Explore decides what the automaton lets in. meant says which domains the author
// wrote down, so that an unlisted origin is none of those.
func (e *Explorer) Explore(a *automaton.Automaton, meant func(domain string) bool) (r Reach, err error) {
	defer func() {
		switch p := recover().(type) {
		case nil:
		case TooCostly:
			err = p
		default:
			panic(p)
		}
	}()
	e.a, e.steps, e.places = a, 0, e.places[:0]
	if e.ports == nil {
		e.ports = map[portKey]ports{}
	}
	clear(e.ports)
	e.schemes()

	e.graph.build(e)
	e.addresses()
	names, count := e.names()
	addresses := e.addressOwners()
	if !names.over {
		for _, d := range addresses.found {
			names.add(d.Name, d.Example)
		}
		count = len(names.found)
		if addresses.over {
			count = Addresses
		}
	}
	r.Count = count
	r.Any = names.over || addresses.over || count > MaxDomains || alike(names.found)
	if count >= 0 && count <= MaxDomains {
		r.Domains = names.found
	}
	r.Null, r.File = a.Match("null"), a.Match("file://")
	r.Unintended = e.unintended(func(owner string) bool { return owner == noHost || meant(owner) })
	r.Insecure = e.shorter(http, func(owner string) bool { return owner == localhost || owner == loopback4 || owner == loopback6 })
	return r, nil
}

// Steps is how many steps the last automaton took.
func (e *Explorer) Steps() int { return e.steps }

// spend counts work, and gives up where it is too much.
func (e *Explorer) spend(n int) {
	if e.steps += n; e.steps > maxSteps {
		panic(TooCostly{})
	}
}

// schemes finds the states behind every scheme (RFC 3986, section 3.1, in lower
// case). Of those other than http and https the shortest one is kept for each
// state.
func (e *Explorer) schemes() {
	e.entries = e.entries[:0]
	enter := func(kind scheme, name string, s automaton.State) {
		s = e.a.After(s, "://")
		if s != automaton.Dead && !slices.ContainsFunc(e.entries, func(known entry) bool { return known.kind == kind && known.state == s }) {
			e.entries = append(e.entries, entry{kind, name, s})
		}
	}
	start := e.a.Start()
	enter(https, "https", e.a.After(start, "https"))
	enter(http, "http", e.a.After(start, "http"))
	// What a scheme may still become depends on whether it begins as http and https
	// do: by that it is seen.
	type at struct {
		state automaton.State
		name  string
	}
	seen := map[at]bool{}
	queue := []at{{state: start}}
	for i := 0; i < len(queue); i++ {
		from := queue[i]
		for _, c := range []byte("abcdefghijklmnopqrstuvwxyz0123456789+-.") {
			e.spend(1)
			s := e.a.Next(from.state, c)
			if s == automaton.Dead || i == 0 && (c < 'a' || c > 'z') || len(from.name) == maxHost {
				continue
			}
			next := at{s, from.name + string(c)}
			known := next
			if !strings.HasPrefix("https", known.name) {
				known.name = ""
			}
			if seen[known] {
				continue
			}
			seen[known] = true
			if next.name != "http" && next.name != "https" {
				enter(foreign, next.name, s)
			}
			queue = append(queue, next)
		}
	}
}

// alike reports whether ten or more names differ in one letter or digit alone:
// that many are no list of someone's own, but a class of characters.
func alike(domains []Domain) bool {
	for _, d := range domains {
		for at := range len(d.Name) {
			same := 0
			for _, other := range domains {
				if len(other.Name) == len(d.Name) && other.Name[:at] == d.Name[:at] && other.Name[at+1:] == d.Name[at+1:] && isLetterOrDigit(other.Name[at]) {
					same++
				}
			}
			if same >= 10 && !isAddress(d.Name) {
				return true
			}
		}
	}
	return false
}

func isLetterOrDigit(c byte) bool { return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' }

// isAddress distinguishes addresses and their ranges from names: a name does not end in a
// number.
func isAddress(name string) bool {
	return strings.HasSuffix(name, "]") || strings.Contains(name, "/") ||
		strings.Count(name, ".") == 3 && !strings.HasSuffix(name, ".") && strings.Trim(name, ".0123456789") == ""
}

// unintended returns the shortest origin of a domain that was not meant: over https
// if there is one, else over http, else over any other scheme.
func (e *Explorer) unintended(meant func(string) bool) string {
	for _, kind := range []scheme{https, http, foreign} {
		if best := e.shorter(kind, meant); best != "" {
			return best
		}
	}
	return ""
}

// shorter returns the shortest origin of a kind whose owner is not to be skipped;
// "" where there is none.
func (e *Explorer) shorter(kind scheme, skip func(owner string) bool) string {
	name := e.shortest(kind, skip)
	limit := origin.MaxLen + 1
	if name != "" {
		limit = len(name)
	}
	return cmp.Or(e.shortestAddress(kind, skip, limit), name)
}

func kindOf(origin string) scheme {
	switch {
	case strings.HasPrefix(origin, "https://"):
		return https
	case strings.HasPrefix(origin, "http://"):
		return http
	}
	return foreign
}
