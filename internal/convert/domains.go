package convert

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// domain is a host that some virtual host takes, as Envoy and what is built on it
// write them.
type domain struct {
	// owner is what has it; only domains of one owner are put together.
	owner any
	text  string // in lower case
	// rank is how closely it matches: 0 exact, 1 suffix, 2 prefix, 3 any.
	rank int
	// port is that of an exact one, where it is the reason why the host is taken.
	port string
	node *yaml.Node
}

func domainOf(owner any, text string, node *yaml.Node) domain {
	d := domain{owner: owner, text: strings.ToLower(text), node: node}
	switch {
	case d.text == "*" || d.text == "":
		d.rank = 3
	case strings.HasPrefix(d.text, "*"):
		d.rank = 1
	case strings.HasSuffix(d.text, "*"):
		d.rank = 2
	}
	return d
}

// plain reports whether it is a host or a pattern as rules have them.
func (d domain) plain() bool {
	return d.port == "" && (d.rank == 0 || d.rank == 1 && strings.HasPrefix(d.text, "*."))
}

// region is a pattern with every host that the domain takes; "" is any.
func (d domain) region() string {
	switch dot := strings.IndexByte(d.text, '.'); {
	case d.rank == 0 || d.plain():
		return d.text
	case d.rank == 1 && dot > 0:
		return "*" + d.text[dot:]
	}
	return ""
}

// orderDomains sorts domains as Envoy asks them: the exact ones, the longest
// suffix, the longest prefix, any. Those of one owner stand together where nothing
// of another that is asked in between has a host in common with them.
func orderDomains(domains []domain) (groups [][]domain) {
	slices.SortStableFunc(domains, func(a, b domain) int {
		if a.rank != b.rank || a.rank == 0 {
			return a.rank - b.rank
		}
		return len(b.text) - len(a.text)
	})
	last := map[any]int{} // the last group of an owner
	for _, d := range domains {
		g, known := last[d.owner]
		if known && d.plain() && groups[g][0].plain() && !slices.ContainsFunc(groups[g+1:], func(between []domain) bool {
			return slices.ContainsFunc(between, func(o domain) bool { return hostsOverlap(o.region(), d.text) })
		}) {
			groups[g] = append(groups[g], d)
			continue
		}
		last[d.owner] = len(groups)
		groups = append(groups, []domain{d})
	}
	return groups
}

// misspelled reports whether the source gives a host of a group that is written with
// a dot at its end, or with a port that counts, to another owner or to none: Envoy
// takes such a host for another one, which exact domains and suffixes do not match.
// Those that end in a star do, and are carried over where they decide the same.
func misspelled(domains, group []domain) bool {
	owner := group[0].owner
	if group[0].rank == 3 {
		return slices.ContainsFunc(domains, func(d domain) bool { return d.owner != owner && d.rank < 2 })
	}
	return !slices.ContainsFunc(domains, func(d domain) bool { return d.owner == owner && d.rank == 3 })
}

// hostSpelling lists it: how is what counts of "with a port", "with a dot at its end".
func hostSpelling(project, how string) Change {
	return Change{HostSpelling, "a host " + how + " is the host without; " + project + " takes it for another host"}
}

const (
	withPort = "with a port"
	withDot  = "with a dot at its end"
	withBoth = withPort + ", or " + withDot + ","
)

// spelled adds it to the routes that have a policy.
func spelled(routes []route, change Change) {
	for i := range routes {
		if routes[i].policy != nil {
			routes[i].changes = append(slices.Clone(routes[i].changes), change)
		}
	}
}

// dotted lists, where a route names a host, that a dot at the end of one counts.
func dotted(routes []route, project string) {
	if slices.ContainsFunc(routes, func(r route) bool { return len(r.hosts) > 0 }) {
		spelled(routes, hostSpelling(project, withDot))
	}
}

// hostsOf are the patterns of plain domains; nil where they are any.
func hostsOf(domains []domain) (hosts []string) {
	for _, d := range domains {
		if d.rank == 3 {
			return nil
		}
		hosts = append(hosts, d.text)
	}
	return hosts
}
