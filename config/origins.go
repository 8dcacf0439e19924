package config

import (
	"slices"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"

	"corsfilter/internal/origin"
	"corsfilter/internal/suffix"
)

// isNull reports whether the entry is the opaque origin.
func (e *SourceOrigin) isNull() bool {
	return e.Value == "null" && (e.Kind == Pattern || e.Kind == Exact)
}

// quotedList is the list that a text with commas or spaces was meant to be.
func quotedList(text string) string {
	entries := strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' })
	for i, e := range entries {
		entries[i] = quote(e)
	}
	return "[" + strings.Join(entries, ", ") + "]"
}

// origins reads a list of origins, and appends them.
func (p *parser) origins(list []SourceOrigin, v value) []SourceOrigin {
	if v.IsArray() {
		// A string and its comma take at least three bytes. A list with more elements
		// contains numbers, which get no room.
		n := min(v.count(), len(v.Raw)/3)
		if len(list) == 0 {
			list = origin.Room(list, n)
		} else {
			list = slices.Grow(list, n)
		}
	}
	if v.Type == gjson.String && v.Str != "" && len(v.Str) <= origin.MaxLen {
		if !p.mistakes.skip(v.place) {
			p.fail(v.place, v.Raw, WrongType, "is a string, not a list", "write "+quotedList(v.Str))
		}
		return list
	}
	p.elements(v, func(v value) {
		o := SourceOrigin{place: v.place, written: v.Raw}
		switch {
		case v.Type == gjson.String:
			o.Value = v.Str
		case v.IsObject():
			if !p.matcher(&o, v) {
				return
			}
		default:
			p.wrongType(v, "a string or a matcher object")
			return
		}
		list = append(list, o)
	})
	return list
}

// matcherKeys are the keys of Envoy's StringMatcher and Istio's StringMatch, and two of our
// own: a string as it could be in the list itself, and waivers of this entry alone.
var matcherKeys = keysOf("origin", "exact", "regex", "safe_regex", "prefix", "suffix", "contains", "ignore_case", tolerate)

var matchKinds = map[string]MatchKind{
	"origin": Pattern, "exact": Exact, "regex": Regex, "safe_regex": Regex,
	"prefix": Prefix, "suffix": Suffix, "contains": Contains,
}

func (p *parser) matcher(o *SourceOrigin, v value) bool {
	before := p.mistakes.count
	given := ""
	p.members(v, matcherKeys, func(k key, v value) {
		switch {
		case k.name == "ignore_case":
			o.IgnoreCase = p.boolean(v)
			return
		case k.name == tolerate:
			o.Tolerate = p.waivers(nil, v)
			return
		case given != "":
			p.fail(v.place, v.Raw, BadValue, "a matcher has only one kind, and "+quote(given)+" is here too", "write two entries")
			return
		case k.name == "safe_regex":
			o.Value = p.safeRegex(v)
		default:
			o.Value, _ = p.text(v)
		}
		given, o.Kind = k.name, matchKinds[k.name]
	})
	if given == "" && p.mistakes.count == before {
		p.fail(o.place, o.written, Missing, "the matcher does not say what to match", `write one such as {"exact": "https://example.com"}`)
	}
	return p.mistakes.count == before
}

var regexKeys = keysOf("regex", "google_re2")

// safeRegex reads Envoy's RegexMatcher. google_re2 names the engine, in older
// policies, and there is only one.
func (p *parser) safeRegex(v value) (regex string) {
	given := false
	p.members(v, regexKeys, func(k key, v value) {
		if k.name == "google_re2" {
			if !v.IsObject() {
				p.wrongType(v, "an object")
			}
			return
		}
		given = true
		regex, _ = p.text(v)
	})
	if v.IsObject() && !given {
		p.fail(v.place, v.Raw, Missing, "the regex is missing", `write {"regex": "…"}`)
	}
	return regex
}

// entries are the compiled entries of a list, except "*" and null.
type entries struct {
	patterns []placedPattern
	matchers []matcher
}

// compileOrigins compiles the entries of a list. Its refusals concern single
// entries; those that depend on credentials follow in checkOrigins.
func (p *parser) compileOrigins(o *Origins, to *entries, list []SourceOrigin, s *SourcePolicy) {
	patterns := origin.Room(to.patterns, len(list))
	clear(to.matchers)
	matchers := to.matchers[:0]
	var first *SourceOrigin // the one that allows every origin
	for i := range list {
		e := &list[i]
		p.checkWaivers(e.Tolerate)
		switch {
		case e.isNull():
			if o.Null {
				p.warn(e.place, e.written, Duplicate, "stands twice", "keep one")
			}
			o.Null = true
			p.refuse(s, e, NullOrigin, anyPageIsNull, "leave it out")
		case e.Value == "*" && (e.Kind == Pattern || e.Kind == Exact):
			e.any = true
		case e.Kind == Pattern || e.Kind == Exact:
			pattern, ok := p.pattern(e)
			if !ok {
				break
			}
			patterns = append(patterns, placedPattern{e, pattern})
			if pattern.Scheme == "file" {
				p.refuse(s, e, NullOrigin, anyFile, "leave it out")
			}
		default:
			a := p.compileMatcher(e, &originTexts)
			if a == nil {
				break
			}
			// Envoy first tests each matcher with the text "*", so some policies
			// say "any origin" this way.
			e.any = a.Match("*")
			if !e.any && p.mayBeLoose(e, s) {
				null := a.Match("null")
				m := matcher{raw: e, Automaton: a, null: null}
				if m.null {
					o.Null = true
					p.refuse(s, e, NullOrigin, `matches the text "null" as well: `+anyPageIsNull, "write it so that it matches only your origins")
				}
				matchers = append(matchers, m)
			}
		}
		if !e.any {
			continue
		}
		o.Any = true
		switch {
		case first == nil:
			first = e
		case first.written == e.written:
			p.warn(e.place, e.written, Duplicate, "stands twice", "keep one")
		default:
			p.warn(e.place, e.written, Duplicate, "allows every origin, as "+first.path()+" does", "keep one")
		}
	}
	o.patterns.Reset(len(patterns), func(i int) *origin.Pattern { return &patterns[i].pattern })
	*to = entries{patterns, matchers}
	p.unite(o, matchers)
}

const (
	anyPageIsNull = "any page can make its origin null, in a sandboxed frame"
	anyFile       = "every file has this origin, whoever made it, in browsers and apps that give files one"
)

// placedPattern is a pattern and the entry it comes from.
type placedPattern struct {
	*SourceOrigin
	pattern origin.Pattern
}

func (p *parser) pattern(e *SourceOrigin) (pattern origin.Pattern, ok bool) {
	pattern, err := p.written.Parse(e.Value)
	if err != nil {
		bad := err.(*origin.PatternError)
		p.fail(e.place, e.written, BadOrigin, bad.Reason, bad.Remedy)
		return pattern, false
	}
	if e.Kind == Exact && (pattern.Subdomains || pattern.AnyHost() || pattern.AnyPort || len(pattern.Ports) > 1) {
		p.fail(e.place, e.written, BadOrigin, "exact takes no wildcard", "write the pattern as a string, "+quote(pattern.String()))
		return pattern, false
	}
	if pattern.Lowered && !e.IgnoreCase {
		p.warn(e.place, e.written, Lowered, "browsers send origins in lower case", "write "+quote(pattern.String()))
	}
	if page := pageOfWebSocket(pattern.Scheme); page != "" {
		text := page + strings.TrimPrefix(pattern.String(), pattern.Scheme)
		text = strings.TrimSuffix(text, ":"+strconv.Itoa(int(origin.DefaultPort(page))))
		p.warn(e.place, e.written, NoEffect, "no page has this origin: a WebSocket carries the origin of its page", "write "+quote(text))
	}
	return pattern, true
}

// pageOfWebSocket is the scheme of pages that open WebSockets of a scheme; "" for any other.
func pageOfWebSocket(scheme string) string {
	switch scheme {
	case "ws":
		return "http"
	case "wss":
		return "https"
	}
	return ""
}

// warnOrigins warns of entries that mean any origin in disguise, and of those that others
// make redundant.
func (p *parser) warnOrigins(list []SourceOrigin, o *Origins, patterns []placedPattern) {
	for _, e := range list {
		switch {
		case e.any && e.Kind != Pattern:
			p.warn(e.place, e.written, MatchesAnything, "matches the text \"*\", so it means any origin, as in Envoy", "write \"*\" if that is meant, or the origins")
		case o.Any && e.isNull():
			p.warn(e.place, e.written, Covered, `"*" covers it`, "leave it out")
		}
	}
	if !o.Any {
		p.warnRedundant(&o.patterns, patterns)
		return
	}
	for _, e := range patterns {
		p.warn(e.place, e.written, Covered, `"*" covers it`, "leave it out")
	}
}

// warnRedundant warns of the patterns that have no effect beside others.
func (p *parser) warnRedundant(set *origin.Set, patterns []placedPattern) {
	if len(patterns) < 2 {
		return
	}
	r := &p.redundant
	r.Find(set, func(i int) *origin.Pattern { return &patterns[i].pattern })
	for i := range patterns {
		e := &patterns[i]
		if !r.Dropped(i) || p.warnings.skip(e.place) {
			continue
		}
		// The number of warnings is bounded, and so is the cost of looking for the other
		// pattern.
		other := 0
		for other < len(patterns) && (r.Dropped(other) || !patterns[other].pattern.Covers(e.pattern)) {
			other++
		}
		switch {
		case other == len(patterns):
			p.warn(e.place, e.written, Covered, "other entries accept all of its ports", "leave it out")
		case e.pattern.Covers(patterns[other].pattern):
			p.warn(e.place, e.written, Duplicate, "is the same as "+patterns[other].path(), "keep one")
		default:
			p.warn(e.place, e.written, Covered, patterns[other].written+" covers it", "leave it out")
		}
	}
}

// checkOrigins refuses what is dangerous with credentials, and warns of entries that without
// them are as open as "*".
func (p *parser) checkOrigins(s *SourcePolicy, policy *Policy, patterns []placedPattern) {
	if policy.Credentials && policy.Origins.Any {
		e := &s.AllowOrigins[slices.IndexFunc(s.AllowOrigins, func(e SourceOrigin) bool { return e.any })]
		p.refuse(s, e, AnyOrigin, "with allow_credentials any page on the web could read its visitors' data here", "list the origins")
	}
	for i := range patterns {
		e := &patterns[i]
		switch {
		case e.pattern.AnyHost():
			// If it lets in anyone, plain http makes it no worse, and "*" covers it.
			if !policy.Origins.Any {
				p.checkAnyHost(e, s, policy)
			}
			continue
		case !policy.Credentials:
		case e.pattern.Insecure():
			p.refuse(s, e.SourceOrigin, InsecureOrigin, "anyone on the network path can forge a page of a plain http origin and read with its visitors' credentials", "write https")
		case e.pattern.AnyPort && e.pattern.Loopback():
			p.notes.add(e.place, e.written, LocalPrograms, "any program on a visitor's machine that serves pages can read with the visitor's credentials", "write the port of the development server, or leave it out if the policy is for production")
		}
		p.checkSuffix(e.SourceOrigin, e.pattern, s, policy)
	}
}

// checkAnyHost refuses every host of a scheme with credentials. Without them it warns only of
// http and https: there is no other way to list extensions, whose ids differ in each
// Firefox.
func (p *parser) checkAnyHost(e *placedPattern, s *SourcePolicy, policy *Policy) {
	if !policy.Credentials {
		if e.pattern.Web() {
			p.warn(e.place, e.written, MatchesAnything, "allows every host, and so any page on the web", `write "*" if that is meant, or the origins`)
		}
		return
	}
	reason, remedy := "lets in every app that uses this scheme: with allow_credentials any of them could read its user's data here", "list the hosts of your app"
	switch {
	case e.pattern.Web():
		p.refuse(s, e.SourceOrigin, AnyOrigin, "lets in every host: with allow_credentials any page on the web could read its visitors' data here", "list the origins")
		return
	case e.pattern.Extension():
		reason, remedy = "lets in every extension of the browser: with allow_credentials any of them could read its user's data here", "list the extensions by their ids"
	}
	p.refuse(s, e.SourceOrigin, AnyOrigin, reason, remedy+", such as "+quote(e.pattern.Example()))
}

// checkSuffix refuses a wildcard that covers names of many owners with credentials, and
// warns of it without. Nobody owns hosts of other schemes than http and https: each app
// chooses its own.
func (p *parser) checkSuffix(e *SourceOrigin, pattern origin.Pattern, s *SourcePolicy, policy *Policy) {
	name := strings.TrimSuffix(pattern.Host, ".")
	if !pattern.Subdomains || !pattern.Web() || name == "localhost" { // all below it is the visitor's own machine
		return
	}
	if public, found := suffix.Within(name); found {
		reason := "anyone can register a name below " + quote(public) + " (public suffix list of " + suffix.Date + ")"
		pattern.Host = "example." + public
		remedy := "write the domain that is yours, such as " + quote(pattern.String())
		if policy.Credentials {
			p.refuse(s, e, PublicSuffix, reason, remedy)
		} else {
			p.warn(e.place, e.written, PublicSuffix, reason, remedy)
		}
	} else if domain, found := suffix.HandsOut(name); found {
		pattern.Subdomains, pattern.Host = false, "example."+domain
		p.warn(e.place, e.written, HandsOut, "anyone can get a name below "+quote(domain)+", although the public suffix list does not have it", "write the names that are yours, such as "+quote(pattern.String()))
	}
}
