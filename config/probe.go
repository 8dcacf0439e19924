package config

import (
	"regexp/syntax"
	"strings"

	"corsfilter/internal/origin"
	"corsfilter/internal/suffix"
)

// strangers are origins that nobody configures. A matcher that accepts one of
// them accepts anyone.
var strangers = []string{
	"https://evil.example", "http://evil.example", "https://www.evil.example", "https://evil.example:8443",
	"https://evil.com", "https://evil.org", "https://www.evil.co.uk", "https://evil-example.com",
	"https://evilexample.com", "https://a", "https://192.0.2.1", "https://[2001:db8::1]",
	"chrome-extension://evil",
}

// findings are what probing a matcher brought to light: an origin of a stranger
// that it accepts, and a plain http one. Empty means none was found, which is no
// proof that there is none.
type findings struct {
	stranger string
	insecure string
}

// probe looks for origins that a loose matcher accepts by mistake. Beside the
// fixed strangers it takes origins that the matcher is meant for, found in the
// matcher itself, and bends them the ways attackers do: a name glued to the
// front, a domain behind the end, an unescaped dot taken by another letter.
func (m *looseMatcher) probe() (f findings) {
	try := func(candidate string) bool {
		return f.stranger == "" && m.accepts(candidate)
	}
	for _, stranger := range strangers {
		if try(stranger) {
			f.stranger = stranger
		}
	}
	// Below a public suffix anyone can have a name.
	if p, err := origin.ParsePattern(m.asPattern()); err == nil && p.Subdomains {
		if public, found := suffix.Within(p.Host); found && p.Host != "localhost" {
			p.Host, p.Subdomains = "evil."+public, false
			if candidate := p.String(); try(candidate) {
				f.stranger = candidate
			}
		}
	}
	// What lets in everyone is no worse for plain http.
	anyone := m.accepts("http://evil.example")
	for _, sample := range m.samples() {
		if !m.accepts(sample) {
			continue
		}
		p, err := origin.ParsePattern(sample)
		if err != nil {
			continue
		}
		plain := p
		plain.Scheme = "http"
		if f.insecure == "" && !anyone && plain.Insecure() && m.accepts(plain.String()) {
			f.insecure = plain.String()
		}
		for _, host := range bend(p.Host) {
			candidate := p
			candidate.Host = host
			if !related(p.Host, host) && try(candidate.String()) {
				f.stranger = candidate.String()
			}
		}
	}
	return f
}

// accepts reports whether a request with this Origin would match.
func (m *looseMatcher) accepts(value string) bool {
	var buf origin.Buffer
	o, ok := origin.Parse(value, &buf)
	return ok && o.Serialized() && m.match(value)
}

// bend returns hosts that a careless matcher takes for the given one.
func bend(host string) []string {
	hosts := []string{
		"evil" + host, "evil-" + host, "evil." + host,
		host + ".evil.example", host + "evil.example", host + "-evil.example", host + "evil",
	}
	for i := range host {
		if host[i] == '.' {
			hosts = append(hosts, host[:i]+"x"+host[i+1:])
		}
	}
	return hosts
}

// related reports whether two hosts share their last two labels, and so, most
// likely, their owner. Hosts of one label, such as localhost, must be the same.
func related(a, b string) bool {
	tail := func(host string) string {
		i := strings.LastIndexByte(host, '.')
		if i < 0 {
			return host
		}
		return host[strings.LastIndexByte(host[:i], '.')+1:]
	}
	return tail(a) == tail(b)
}

// starts complete a matcher that does not say how an origin begins; probe tries
// plain http in place of https by itself.
var starts = []string{"", "https://", "https://a", "https:", "https"}

// samples returns strings that the matcher is likely meant for.
func (m *looseMatcher) samples() (samples []string) {
	switch m.kind {
	case matchRegex:
		for _, s := range sampleRegex(m.tree.Simplify()) {
			s = strings.ToLower(s)
			if strings.Contains(s, "://") {
				samples = append(samples, s)
				continue
			}
			for _, start := range starts {
				samples = append(samples, start+s)
			}
		}
	case matchPrefix:
		for _, rest := range []string{"", "a", "example.com", "//example.com", "://example.com", "3000", ".example.com"} {
			samples = append(samples, m.value+rest)
		}
	case matchSuffix:
		for _, start := range starts {
			samples = append(samples, start+m.value)
		}
	case matchContains:
		for _, start := range starts {
			samples = append(samples, start+m.value, start+m.value+"a", start+m.value+"example.com")
		}
	}
	return samples
}

// maxSamples bounds the samples of a regex with many alternatives.
const maxSamples = 64

// sampleRegex returns strings that the regex matches, one for each alternative
// and for the shortest and the next longer repetition.
func sampleRegex(tree *syntax.Regexp) []string {
	switch tree.Op {
	case syntax.OpLiteral:
		return []string{string(tree.Rune)}
	case syntax.OpCharClass:
		return []string{representative(tree.Rune)}
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		// The dot comes first: it is what the author of example.com without a
		// backslash meant, and bounded cuts off the end.
		return []string{".", "a"}
	case syntax.OpCapture, syntax.OpPlus:
		return sampleRegex(tree.Sub[0])
	case syntax.OpStar, syntax.OpQuest:
		return bounded(append([]string{""}, sampleRegex(tree.Sub[0])...))
	case syntax.OpAlternate:
		var all []string
		for _, sub := range tree.Sub {
			all = bounded(append(all, sampleRegex(sub)...))
		}
		return all
	case syntax.OpConcat:
		all := []string{""}
		for _, sub := range tree.Sub {
			var longer []string
			for _, end := range sampleRegex(sub) {
				for _, start := range all {
					longer = append(longer, start+end)
				}
			}
			all = bounded(longer)
		}
		return all
	}
	return []string{""} // anchors and empty matches
}

func bounded(samples []string) []string { return samples[:min(len(samples), maxSamples)] }

// representative picks a character of a class, given as ranges: one that can
// stand in a host, where there is one.
func representative(ranges []rune) string {
	for _, c := range "a1-.:" {
		for i := 0; i+1 < len(ranges); i += 2 {
			if ranges[i] <= c && c <= ranges[i+1] {
				return string(c)
			}
		}
	}
	if len(ranges) == 0 {
		return ""
	}
	return string(ranges[0])
}

// checkLoose refuses or warns of matchers that let in more than they say.
func (p *parser) checkLoose(raw *rawPolicy, waived *waivers) {
	o := &raw.policy.Origins
	for i := range o.loose {
		m := &o.loose[i]
		e := m.raw
		if o.Any {
			p.warn(e.place, e.written, Covered, `"*" covers it`, "leave it out")
			continue
		}
		found := m.probe()
		remedy := "write a pattern such as \"https://*.example.com\", which matches by component"
		switch {
		case found.stranger == "":
		case raw.policy.Credentials && !waived.tolerates(AnyOrigin):
			p.fail(e.place, e.written, AnyOrigin, "lets in the origin "+found.stranger+", which could read with its visitors' credentials", remedy+orWaive(AnyOrigin))
		case !raw.policy.Credentials:
			p.warn(e.place, e.written, MatchesAnything, "lets in the origin "+found.stranger, remedy)
		}
		if found.insecure != "" && raw.policy.Credentials && !waived.tolerates(InsecureOrigin) {
			p.fail(e.place, e.written, InsecureOrigin, "lets in the origin "+found.insecure+": anyone on the network path can forge a page of it and read with its visitors' credentials", "write https"+orWaive(InsecureOrigin))
		}
		if found.insecure != "" && raw.policy.PrivateNetwork {
			p.warn(e.place, e.written, PrivateNetwork, "lets in the origin "+found.insecure+": "+insecurePage, "write https")
		}
		if better := m.asPattern(); better != "" {
			p.warn(e.place, e.written, BetterAsPattern, "a pattern says the same by component", "write "+quote(better))
		}
	}
}

// asPattern returns the pattern that says what a regex of the usual forms
// means, or nothing. The pattern may be wider in what a label may hold, never
// narrower in which domain it names.
func (m *looseMatcher) asPattern() string {
	if m.kind != matchRegex || m.fold {
		return ""
	}
	s := strings.TrimSuffix(strings.TrimPrefix(m.raw.value, "^"), "$")
	scheme, rest, found := strings.Cut(s, "://")
	if !found {
		return ""
	}
	for _, any := range []string{`.*\.`, `.+\.`, `[^.]+\.`, `[^.]*\.`, `[a-z0-9-]+\.`, `[a-zA-Z0-9-]+\.`, `[\w-]+\.`, `\w+\.`,
		`([a-z0-9-]+\.)+`, `(.*\.)`, `(.+\.)`, `(.*)\.`, `(.+)\.`} {
		if after, ok := strings.CutPrefix(rest, any); ok {
			rest = "*." + after
			break
		}
	}
	for _, any := range []string{`(:\d+)?`, `(:[0-9]+)?`, `(?::\d+)?`, `(?::[0-9]+)?`, `:\d+`, `:[0-9]+`, `(:.*)?`, `(:.+)?`} {
		if before, ok := strings.CutSuffix(rest, any); ok {
			rest = before + ":*"
			break
		}
	}
	plain := strings.ReplaceAll(rest, `\.`, "")
	if strings.ContainsAny(strings.TrimPrefix(plain, "*."), `\()[]{}|+?^$.`) {
		return ""
	}
	candidate := scheme + "://" + strings.ReplaceAll(rest, `\.`, ".")
	pattern, err := origin.ParsePattern(candidate)
	if err != nil {
		return ""
	}
	return pattern.String()
}
