package convert

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Domain is a host that some virtual host takes, as Envoy and what is built on it
// write them.
type Domain struct {
	// Owner is the virtual host that has it; only domains of one owner are joined.
	Owner any
	Text  string // in lower case
	// Rank is how closely it matches: 0 exact, 1 suffix, 2 prefix, 3 any.
	Rank int
	// Port is that of an exact one, where it is the reason why the host is taken.
	Port string
	Node *yaml.Node
}

func DomainOf(owner any, text string, node *yaml.Node) Domain {
	d := Domain{Owner: owner, Text: strings.ToLower(text), Node: node}
	switch {
	case d.Text == "*" || d.Text == "":
		d.Rank = 3
	case strings.HasPrefix(d.Text, "*"):
		d.Rank = 1
	case strings.HasSuffix(d.Text, "*"):
		d.Rank = 2
	}
	return d
}

// Plain reports whether it is a host or a pattern as rules have them.
func (d Domain) Plain() bool {
	return d.Port == "" && (d.Rank == 0 || d.Rank == 1 && strings.HasPrefix(d.Text, "*."))
}

// Region is a pattern with every host that the domain takes; "" is any.
func (d Domain) Region() string {
	switch dot := strings.IndexByte(d.Text, '.'); {
	case d.Rank == 0 || d.Plain():
		return d.Text
	case d.Rank == 1 && dot > 0:
		return "*" + d.Text[dot:]
	}
	return ""
}

// OrderDomains sorts domains as Envoy asks them: the exact ones, of which those with a port
// are the closer ones, the longest suffix, the longest prefix, any. Those of one owner stand together where nothing
// of another that is asked in between has a host in common with them.
func OrderDomains(domains []Domain) (groups [][]Domain) {
	slices.SortStableFunc(domains, func(a, b Domain) int {
		switch {
		case a.Rank != b.Rank:
			return a.Rank - b.Rank
		case a.Rank > 0:
			return len(b.Text) - len(a.Text)
		case (a.Port == "") == (b.Port == ""):
			return 0
		case a.Port == "":
			return 1
		}
		return -1
	})
	last := map[any]int{} // the last group of an owner
	for _, d := range domains {
		g, known := last[d.Owner]
		if known && d.Plain() && groups[g][0].Plain() && !slices.ContainsFunc(groups[g+1:], func(between []Domain) bool {
			return slices.ContainsFunc(between, func(o Domain) bool { return HostsOverlap(o.Region(), d.Text) })
		}) {
			groups[g] = append(groups[g], d)
			continue
		}
		last[d.Owner] = len(groups)
		groups = append(groups, []Domain{d})
	}
	return groups
}

// Spelled lists, where it counts for a group, how a host is written: "with a dot at its
// end".
func Spelled(domains, group []Domain, project, how string) []Change {
	if how == "" || !misspelled(domains, group) {
		return nil
	}
	return []Change{hostSpelled(project, how)}
}

// misspelled reports whether the source gives a host of a group that is written with
// a dot at its end, or with a port that counts, to another owner or to none: Envoy
// takes such a host for another one, which exact domains and suffixes do not match.
// Those that end in a star do, and are carried over where they decide the same.
func misspelled(domains, group []Domain) bool {
	owner := group[0].Owner
	if group[0].Rank == 3 {
		return slices.ContainsFunc(domains, func(d Domain) bool { return d.Owner != owner && d.Rank < 2 })
	}
	return !slices.ContainsFunc(domains, func(d Domain) bool { return d.Owner == owner && d.Rank == 3 })
}

func hostSpelled(project, how string) Change {
	return Change{HostSpelling, "a host " + how + " is treated as the plain host; " + project + " treats it as another host"}
}

const (
	WithPort = "with a port"
	WithDot  = "with a dot at its end"
	WithBoth = WithPort + ", or " + WithDot + ","
)

// Dotted lists, where a route names a host, that a dot at the end of one counts.
func Dotted(routes []Route, project string) {
	if slices.ContainsFunc(routes, func(r Route) bool { return len(r.Hosts) > 0 }) {
		WithChanges(routes, hostSpelled(project, WithDot))
	}
}

// Shared are the domains that several may have; those that the same ones have are of
// one owner, for which of has them.
func Shared[T any](all []*T, hosts func(*T) []string) (domains []Domain, of map[any][]*T) {
	having := map[string][]*T{}
	var order []string
	for _, one := range all {
		for _, h := range Unique(hosts(one)) {
			if having[h] == nil {
				order = append(order, h)
			}
			having[h] = append(having[h], one)
		}
	}
	of = map[any][]*T{}
	for _, h := range order {
		owner := ""
		for _, one := range having[h] {
			owner += fmt.Sprintf("%p ", one)
		}
		of[owner] = having[h]
		domains = append(domains, DomainOf(owner, h, nil))
	}
	return domains, of
}

// HostsOf are the patterns of plain domains; nil where they are any.
func HostsOf(domains []Domain) (hosts []string) {
	for _, d := range domains {
		if d.Rank == 3 {
			return nil
		}
		hosts = append(hosts, d.Text)
	}
	return hosts
}

// CutPort cuts the port off a domain; that of "a.example:*" is "*".
func CutPort(domain string) (host, port string, ok bool) {
	i := strings.LastIndexByte(domain, ':')
	if i < 0 || strings.HasSuffix(domain, "]") {
		return domain, "", false
	}
	port = domain[i+1:]
	if _, err := strconv.Atoi(port); err != nil && port != "*" {
		return domain, "", false
	}
	return domain[:i], port, true
}
