package config

import (
	"errors"
	"strings"

	"corsfilter/internal/automaton"
	"corsfilter/internal/reach"
)

// matcher is a matcher object that is neither exact nor "*", as an automaton over
// the text of an origin. Origins are parsed strictly first, so they contain nothing but
// scheme, host and port.
type matcher struct {
	raw *SourceOrigin
	*automaton.Automaton
	null bool // it matches the text "null" as well
}

// Bounds of matchers. Package automaton bounds a single one; all matchers of a configuration
// together may take maxMatcherSteps, so that thousands of them cannot delay the proxy's
// start.
const (
	maxRegexLen     = 2048
	maxMatcherSteps = 4_000_000
	// matcherSteps is the minimum for each matcher: reading a regex takes no step of its
	// automaton, but takes time.
	matcherSteps = 2000
)

const patternRemedy = "list the origins as patterns such as \"https://*.example.com\": lookups cost the same however many there are"

// matcherTexts are the messages about matchers of one kind that cannot be compiled.
type matcherTexts struct{ noun, empty, emptyRemedy, remedy, syntax string }

var originTexts = matcherTexts{
	noun: "matcher", empty: "empty, so it would match every origin", emptyRemedy: `write "*" for every origin, or the origins themselves`,
	remedy: patternRemedy, syntax: `write a regex in RE2 syntax, or a pattern such as "https://*.example.com"`,
}

// compileMatcher compiles a matcher object that is not exact, or a regex for paths; nil if
// it cannot.
func (p *parser) compileMatcher(e *SourceOrigin, texts *matcherTexts) *automaton.Automaton {
	fail := func(code Code, reason, remedy string) *automaton.Automaton {
		p.fail(e.place, e.written, code, reason, remedy)
		return nil
	}
	switch {
	case e.Value == "":
		return fail(BadValue, texts.empty, texts.emptyRemedy)
	case len(e.Value) > maxRegexLen:
		return fail(Costly, "a "+texts.noun+" of more than 2,048 bytes", texts.remedy)
	case p.steps > maxMatcherSteps:
		return nil // and that was said of one before
	}
	before := p.automata.Steps
	var a *automaton.Automaton
	var err error
	if e.Kind == Regex {
		a, err = p.automata.Regex(e.Value, e.IgnoreCase)
	} else {
		a, err = p.automata.Part(e.Value, e.Kind != Prefix, e.Kind != Suffix, e.IgnoreCase)
	}
	p.steps += p.automata.Steps - before
	var limit *automaton.LimitError
	switch {
	case errors.As(err, &limit):
		return fail(Costly, limit.Limit, texts.remedy)
	case err != nil:
		return fail(BadRegex, strings.TrimPrefix(err.Error(), "error "), texts.syntax)
	}
	if p.steps += matcherSteps; p.steps > maxMatcherSteps {
		return fail(Costly, tooManySteps, texts.remedy)
	}
	return a
}

const tooManySteps = "takes more than 4,000,000 steps to decide together with the other matchers"

// mayBeLoose refuses a matcher for a part of an origin, unless that is waived.
func (p *parser) mayBeLoose(e *SourceOrigin, s *SourcePolicy) bool {
	return e.Kind == Regex || !p.refuse(s, e, LooseMatch, "a part of an origin also matches origins of others (the prefix \"https://example.com\" matches https://example.com.evil.example)",
		"write a pattern such as \"https://*.example.com\" or \"https://example.com:*\"")
}

// checkMatchers refuses or warns of matchers that let in more than they seem to. It decides
// this from their automata, without trying samples.
func (p *parser) checkMatchers(s *SourcePolicy, policy *Policy, list *entries) {
	for i := range list.matchers {
		m := &list.matchers[i]
		e := m.raw
		if policy.Origins.Any {
			p.warn(e.place, e.written, Covered, `"*" covers it`, "leave it out")
			continue
		}
		if p.steps > maxMatcherSteps {
			return
		}
		if p.reach == nil {
			p.reach = new(reach.Explorer)
		}
		found, err := p.reach.Explore(m.Automaton, SpelledIn(e.Value))
		p.steps += p.reach.Steps()
		if err != nil {
			p.fail(e.place, e.written, Costly, err.Error(), patternRemedy)
			continue
		}
		if p.steps > maxMatcherSteps {
			p.fail(e.place, e.written, Costly, tooManySteps, patternRemedy)
			return
		}
		p.checkReach(s, policy, m, found)
		p.warnPattern(m, found)
		p.warnCoveredBy(m, list.matchers[:i], list.patterns)
	}
	p.warnMatched(list)
}

func (p *parser) checkReach(s *SourcePolicy, policy *Policy, m *matcher, found reach.Reach) {
	e := m.raw
	if found.File && !found.Any { // what lets in anyone is no worse for files
		p.refuse(s, e, NullOrigin, "matches file:// as well: "+anyFile, "write it so that it matches only your origins")
	}
	const remedy = "write a pattern such as \"https://*.example.com\", which matches by component"
	if len(found.Domains) == 0 && !found.Any {
		if m.null {
			return
		}
		p.warn(e.place, e.written, NoEffect, "no origin matches it: browsers send a scheme, \"://\", a host in lower case, and a port if it is not the scheme's default", "write it for the whole origin, such as \"https://([a-z]+\\\\.)?example\\\\.com\"")
		return
	}
	refused := false
	if found.Any {
		owners := found.Owners()
		reason := "lets in " + owners + orSuchAs(found.Unintended)
		if policy.Credentials {
			refused = p.refuse(s, e, AnyOrigin, reason+": pages there could read with their visitors' credentials", remedy)
		} else {
			p.warn(e.place, e.written, MatchesAnything, reason, remedy)
		}
	}
	// If it lets in anyone, plain http makes it no worse.
	if found.Insecure == "" || found.Any && (refused || found.Count < 0) {
		return
	}
	if policy.Credentials {
		p.refuse(s, e, InsecureOrigin, "lets in the origin "+found.Insecure+": anyone on the network path can forge a page of it and read with its visitors' credentials", "write https")
	}
	if policy.PrivateNetwork {
		p.warn(e.place, e.written, PrivateNetwork, "lets in the origin "+found.Insecure+": "+insecurePage, "write https")
	}
}

// orSuchAs is an unintended origin as an example, if one was found.
func orSuchAs(unintended string) string {
	if unintended == "" {
		return ""
	}
	return ", such as " + unintended
}

// warnPattern names an equivalent pattern.
func (p *parser) warnPattern(m *matcher, found reach.Reach) {
	e := m.raw
	if e.Kind != Regex || m.null {
		return
	}
	if pattern, ok := p.reach.Pattern(found); ok {
		p.warn(e.place, e.written, BetterAsPattern, "an equivalent pattern matches by component", "write "+quote(pattern.String()))
	}
}

// maxCompared bounds the entries that matchers are compared with as languages, and maxTried
// the single origins that are tried; a hint is not worth more.
const (
	maxCompared = 16
	maxTried    = 1_000_000
)

// warnMatched warns of single origins that a matcher accepts, if there are too many patterns
// to compare them all.
func (p *parser) warnMatched(list *entries) {
	if len(list.patterns) <= maxCompared || len(list.patterns)*len(list.matchers) > maxTried {
		return
	}
	for i := range list.patterns {
		o := &list.patterns[i]
		if o.pattern.Subdomains || o.pattern.AnyHost() || o.pattern.AnyPort {
			continue
		}
		for j := range list.matchers {
			if m := &list.matchers[j]; m.Match(o.Value) {
				p.warn(o.place, o.written, Covered, m.raw.path()+" covers it", "leave it out")
				break
			}
		}
	}
}

// warnCoveredBy looks for an entry that accepts everything the matcher accepts, and for
// patterns that the matcher makes redundant.
func (p *parser) warnCoveredBy(m *matcher, before []matcher, patterns []placedPattern) {
	if len(patterns) <= maxCompared {
		for i := range patterns {
			o := &patterns[i]
			if o.pattern.AnyHost() {
				continue
			}
			switch within, includes := p.reach.Compare(o.pattern); {
			case within:
				p.warn(m.raw.place, m.raw.written, Covered, o.written+" covers it", "leave it out")
				return
			case includes:
				p.warn(o.place, o.written, Covered, m.raw.path()+" covers it", "leave it out")
			}
		}
	}
	if len(before) > maxCompared {
		return
	}
	for i := range before {
		o := &before[i]
		switch joined, err := p.automata.Union([]*automaton.Automaton{o.Automaton, m.Automaton}); {
		case err != nil || len(joined) != 1:
		case joined[0].Equal(o.Automaton):
			p.warn(m.raw.place, m.raw.written, Covered, o.raw.path()+" covers it", "leave it out")
			return
		case joined[0].Equal(m.Automaton):
			p.warn(o.raw.place, o.raw.written, Covered, m.raw.path()+" covers it", "leave it out")
		}
	}
}

// SpelledIn says which registrable domains are spelled out in a matcher's text, so that its
// author meant them.
func SpelledIn(text string) func(domain string) bool {
	text = strings.ToLower(strings.ReplaceAll(text, `\`, ""))
	return func(domain string) bool {
		for at := 0; ; at++ {
			i := strings.Index(text[at:], domain)
			if i < 0 {
				return false
			}
			at += i
			end := at + len(domain)
			if (at == 0 || !inLabel(text[at-1])) && (end == len(text) || !inLabel(text[end])) {
				return true
			}
		}
	}
}

func inLabel(c byte) bool {
	return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '_'
}

// unite makes one automaton of those of a list, if it fits the bounds.
func (p *parser) unite(o *Origins, matchers []matcher) {
	p.list = p.list[:0]
	for i := range matchers {
		p.list = append(p.list, matchers[i].Automaton)
	}
	united, err := p.automata.Union(p.list)
	if err != nil {
		e := matchers[len(matchers)-1].raw
		p.fail(e.place, e.written, Costly, err.Error(), patternRemedy)
	}
	o.matchers = len(matchers)
	o.automata = append(o.automata[:0], united...)
	clear(p.list)
}
