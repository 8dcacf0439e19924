package config

import (
	"errors"
	"strings"

	"github.com/tidwall/gjson"

	"corsfilter/internal/origin"
)

// matchKind is the form in which an origin is written.
type matchKind uint8

const (
	matchString matchKind = iota // a string: exact or a pattern
	matchExact
	matchRegex
	matchPrefix
	matchSuffix
	matchContains
)

// rawOrigin is an entry of a list of origins as written.
type rawOrigin struct {
	place
	written    string // as JSON, for messages
	kind       matchKind
	value      string
	ignoreCase bool
}

// isNull reports whether the entry is the opaque origin.
func (e *rawOrigin) isNull() bool {
	return e.value == "null" && (e.kind == matchString || e.kind == matchExact)
}

func (r *parser) rawOrigins(v value) (list []rawOrigin) {
	if v.IsArray() {
		list = make([]rawOrigin, 0, v.Get("#").Int())
	}
	r.elements(v, func(v value) {
		o := rawOrigin{place: v.place, written: v.Raw}
		switch {
		case v.Type == gjson.String:
			o.value = v.Str
		case v.IsObject():
			if !r.matcher(&o, v) {
				return
			}
		default:
			r.wrongType(v, "a string or a matcher object")
			return
		}
		list = append(list, o)
	})
	return list
}

// matcherKeys are the keys of Envoy's StringMatcher and Istio's StringMatch.
var matcherKeys = []string{"exact", "regex", "safe_regex", "prefix", "suffix", "contains", "ignore_case"}

var matcherSpan = exactly(matcherKeys)

func (r *parser) matcher(o *rawOrigin, v value) bool {
	before := len(r.problems)
	given := ""
	r.members(v, matcherSpan, matcherKeys,
		func(name string, v value) {
			if name == "ignore_case" {
				o.ignoreCase = r.boolean(v)
				return
			}
			if given != "" {
				r.fail(v.place, v.Raw, BadValue, "a matcher has one way to match, and "+quote(given)+" stands here too", "write two entries")
				return
			}
			given = name
			o.kind = map[string]matchKind{"exact": matchExact, "regex": matchRegex, "safe_regex": matchRegex,
				"prefix": matchPrefix, "suffix": matchSuffix, "contains": matchContains}[name]
			if name == "safe_regex" {
				o.value = r.safeRegex(v)
				return
			}
			o.value, _ = r.text(v)
		})
	if given == "" && len(r.problems) == before {
		r.fail(o.place, o.written, Missing, "the matcher does not say what to match", `write one such as {"exact": "https://example.com"}`)
	}
	return len(r.problems) == before
}

// safeRegex reads Envoy's RegexMatcher. google_re2 names the engine, in older
// policies, and there is only one.
func (r *parser) safeRegex(v value) (regex string) {
	known := []string{"regex", "google_re2"}
	given := false
	r.members(v, exactly(known), known, func(name string, v value) {
		if name == "google_re2" {
			if !v.IsObject() {
				r.wrongType(v, "an object")
			}
			return
		}
		given = true
		regex, _ = r.text(v)
	})
	if v.IsObject() && !given {
		r.fail(v.place, v.Raw, Missing, "the regex is missing", `write {"regex": "…"}`)
	}
	return regex
}

// compileOrigins turns entries into a matcher. Its refusals concern single
// entries; those that depend on credentials follow in checkOrigins.
func (r *parser) compileOrigins(list []rawOrigin, waived *waivers) (o Origins, patterns []placedPattern) {
	patterns = make([]placedPattern, 0, len(list))
	for i := range list {
		e := &list[i]
		switch {
		case e.value == "*" && (e.kind == matchString || e.kind == matchExact):
			if o.Any {
				r.warn(e.place, e.written, Duplicate, "stands twice", "keep one")
			}
			o.Any = true
		case e.isNull():
			if o.Null {
				r.warn(e.place, e.written, Duplicate, "stands twice", "keep one")
			}
			o.Null = true
			if !waived.tolerates(NullOrigin) {
				r.fail(e.place, e.written, NullOrigin, "any page can make its origin null, in a sandboxed frame", "leave it out"+orWaive(NullOrigin))
			}
		case e.kind == matchString || e.kind == matchExact:
			if p, ok := r.pattern(e); ok {
				patterns = append(patterns, placedPattern{e, p})
			}
		default:
			if m, ok := r.looseMatcher(*e, waived); ok {
				o.loose = append(o.loose, m)
			}
		}
	}
	o.patterns = origin.NewSet(func(yield func(origin.Pattern) bool) {
		for i := range patterns {
			if !yield(patterns[i].pattern) {
				return
			}
		}
	})
	return o, patterns
}

// placedPattern is a pattern and the entry it comes from.
type placedPattern struct {
	*rawOrigin
	pattern origin.Pattern
}

func (r *parser) pattern(e *rawOrigin) (origin.Pattern, bool) {
	p, err := origin.ParsePattern(e.value)
	var bad *origin.PatternError
	if errors.As(err, &bad) {
		r.fail(e.place, e.written, BadOrigin, bad.Reason, bad.Remedy)
		return p, false
	}
	if e.kind == matchExact && (p.Subdomains || p.AnyPort || len(p.Ports) > 1) {
		r.fail(e.place, e.written, BadOrigin, "exact takes no wildcard", "write the pattern as a string, "+quote(p.String()))
		return p, false
	}
	if p.Lowered && !e.ignoreCase {
		r.warn(e.place, e.written, Lowered, "browsers send origins in lower case", "write "+quote(p.String()))
	}
	return p, true
}

// warnOrigins warns of entries that have no effect beside others.
func (r *parser) warnOrigins(list []rawOrigin, o *Origins, patterns []placedPattern) {
	if o.Any && o.Null {
		for _, e := range list {
			if e.isNull() {
				r.warn(e.place, e.written, Covered, `"*" covers it`, "leave it out")
			}
		}
	}
	// Entries are grouped by what could cover them, so that a list of ten
	// thousand is compared in one pass.
	type place struct {
		scheme, host string
		below        bool
	}
	groups := make(map[place][]int, len(patterns))
	for i, e := range patterns {
		key := place{e.pattern.Scheme, e.pattern.Host, e.pattern.Subdomains}
		groups[key] = append(groups[key], i)
	}
	for i, e := range patterns {
		if o.Any {
			r.warn(e.place, e.written, Covered, `"*" covers it`, "leave it out")
			continue
		}
		r.warnCoveredPattern(patterns, i, func(scheme, host string, below bool) []int {
			return groups[place{scheme, host, below}]
		})
	}
}

func (r *parser) warnCoveredPattern(patterns []placedPattern, i int, group func(scheme, host string, below bool) []int) {
	e := patterns[i]
	covers := func(candidates []int) bool {
		for _, j := range candidates {
			other := patterns[j]
			if j == i || !other.pattern.Covers(e.pattern) {
				continue
			}
			if e.pattern.Covers(other.pattern) {
				if j > i {
					continue // the later one of two equals is warned of
				}
				r.warn(e.place, e.written, Duplicate, "is the same as "+other.path, "keep one")
				return true
			}
			r.warn(e.place, e.written, Covered, other.written+" covers it", "leave it out")
			return true
		}
		return false
	}
	p := e.pattern
	if covers(group(p.Scheme, p.Host, p.Subdomains)) {
		return
	}
	for host := p.Host; ; {
		_, parent, more := strings.Cut(host, ".")
		if !more || covers(group(p.Scheme, parent, true)) {
			return
		}
		host = parent
	}
}

// checkOrigins refuses what is dangerous together with credentials.
func (r *parser) checkOrigins(raw *rawPolicy, o *Origins, patterns []placedPattern, waived *waivers) {
	if !raw.credentials {
		return
	}
	if o.Any && !waived.tolerates(AnyOrigin) {
		for _, e := range raw.origins {
			if e.value == "*" {
				r.fail(e.place, e.written, AnyOrigin, "with allow_credentials any page on the web could read its visitors' data here", "list the origins"+orWaive(AnyOrigin))
				break
			}
		}
	}
	for _, e := range patterns {
		if e.pattern.Insecure() && !waived.tolerates(InsecureOrigin) {
			r.fail(e.place, e.written, InsecureOrigin, "anyone on the network path can forge a page of a plain http origin and read with its visitors' credentials", "write https"+orWaive(InsecureOrigin))
		}
		// Which suffixes of several labels are public is not known here, so that
		// any wildcard may be what the waiver is for.
		if e.pattern.Subdomains && !waived.tolerates(PublicSuffix) && e.pattern.WholeTLD() {
			r.fail(e.place, e.written, PublicSuffix, "anyone can register a name below "+quote(e.pattern.Host), "write the domain that is yours, such as "+quote(e.pattern.Scheme+"://*.example."+e.pattern.Host)+orWaive(PublicSuffix))
		}
	}
}

func orWaive(c Code) string {
	return ", or add " + quote(string(c)) + " to dangerously_tolerate"
}

// waivers are the named exceptions of one policy; used ones are marked, so that
// those without effect can be warned of.
type waivers struct {
	given map[Code]place
	used  map[Code]bool
}

// tolerates reports whether the policy waives the refusal, and marks the waiver
// as needed.
func (w *waivers) tolerates(c Code) bool {
	_, ok := w.given[c]
	if ok {
		w.used[c] = true
	}
	return ok
}
