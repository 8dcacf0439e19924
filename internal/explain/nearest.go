package explain

import (
	"fmt"
	"strings"

	"corsfilter/config"
	"corsfilter/internal/origin"
)

// nearest says how the page's origin differs from the nearest one of the policy, and what
// helps without changing the policy; "" if none is near.
func (x *explanation) nearest(list []config.SourceOrigin) (differs, advice string) {
	var buf origin.Buffer
	page, ok := origin.Parse(x.request.Origin, &buf)
	if !ok || origin.DefaultPort(page.Scheme) == 0 {
		return "", ""
	}
	var parser origin.PatternParser
	best := farthest + 1
	for _, e := range list {
		p, err := parser.Parse(e.Value)
		if e.Kind != config.Pattern && e.Kind != config.Exact || err != nil || !p.Web() || p.AnyHost() {
			continue
		}
		d := distance(page, p)
		if d.cost == 0 { // it is allowed, and something else is in the way
			return "", ""
		}
		if d.cost < best {
			best = d.cost
			differs, advice = fmt.Sprintf("the policy has %s; this %s", e.Value, d.words()), d.advice()
		}
	}
	return differs, advice
}

// farthest is the largest number of differences between origins that count as near.
const farthest = 2

// difference is that of a page's origin and a pattern which does not match it.
type difference struct {
	cost  int
	parts []string // in which it differs
	is    string   // instead of them, for a host that the pattern could have meant
	helps []string // one for each part
	open  string   // an origin that the pattern matches
}

func (d difference) words() string {
	if d.is != "" {
		return d.is
	}
	return "differs in its " + strings.Join(d.parts, " and its ")
}

func (d difference) advice() string {
	switch {
	case d.is != "":
		return ""
	case len(d.helps) == 1:
		return d.helps[0]
	}
	return "open the page at " + d.open
}

func distance(page origin.Origin, p origin.Pattern) (d difference) {
	add := func(cost int, part, help string) {
		d.cost += cost
		d.parts, d.helps = append(d.parts, part), append(d.helps, help)
	}
	host := p.Host
	switch below := strings.HasSuffix(page.Host, "."+p.Host); {
	case page.Host == p.Host && !p.Subdomains:
	case below && p.Subdomains:
		host = page.Host
	case page.Host == p.Host:
		d.cost, d.is = 1, `is the domain itself, which "*." does not cover`
	case page.Host == "www."+p.Host || "www."+page.Host == p.Host:
		add(1, "www", "open the page at "+host+", and redirect the other name to it")
	case p.Loopback() && (origin.Pattern{Host: page.Host}).Loopback():
		add(1, "host", "open the page at "+host)
	case below:
		d.cost, d.is = farthest, "is a subdomain of it, and has an origin of its own"
	case oneLetterOff(page.Host, p.Host):
		add(farthest, "spelling", "correct the wrong one; a lookalike name may belong to somebody else")
	default:
		return difference{cost: farthest + 1}
	}
	if page.Scheme != p.Scheme {
		help := "open the page over " + p.Scheme
		if p.Scheme == "http" {
			help = "write https in the policy, because the page uses it"
		}
		add(1, "scheme", help)
	}
	d.open = p.Scheme + "://" + host
	takes := p.AnyPort
	for _, port := range p.Ports {
		takes = takes || port == page.Port
	}
	if !takes {
		help := "open the page without a port"
		if port := p.Ports[0]; port != 0 {
			help = fmt.Sprintf("open the page at port %d", port)
			d.open += fmt.Sprintf(":%d", port)
		}
		add(1, "port", help)
	}
	return d
}

// oneLetterOff reports whether two names differ in only one label, by one letter that is
// wrong, extra or missing, or by two swapped letters. A short label or a number is more likely
// another host than a mistake.
func oneLetterOff(one, other string) bool {
	names, others := strings.Split(one, "."), strings.Split(other, ".")
	if len(names) != len(others) {
		return false
	}
	a, b := "", ""
	for i := range names {
		switch {
		case names[i] == others[i]:
		case a != "":
			return false
		default:
			a, b = names[i], others[i]
		}
	}
	if len(a) > len(b) {
		a, b = b, a
	}
	if len(a) < 4 || len(b)-len(a) > 1 || strings.Trim(a, "0123456789") == strings.Trim(b, "0123456789") {
		return false
	}
	i := 0
	for i < len(a) && a[i] == b[i] {
		i++
	}
	if len(a) < len(b) {
		return a[i:] == b[i+1:]
	}
	return a[i+1:] == b[i+1:] || i+1 < len(a) && a[i] == b[i+1] && a[i+1] == b[i] && a[i+2:] == b[i+2:]
}
