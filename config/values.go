package config

import (
	"slices"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"

	"corsfilter/internal/automaton"
	"corsfilter/internal/header"
	"corsfilter/internal/origin"
	"corsfilter/internal/reach"
)

// parser reads a configuration and collects its mistakes, the warnings and the
// notes.
type parser struct {
	mistakes tally
	warnings tally
	notes    tally

	source Source  // what is read
	config *Config // what is made

	// The following is reused for the next configuration: see Parser.
	policies   []*SourcePolicy
	used       int        // of the policies
	entries    [2]entries // of origins and of timing
	written    origin.PatternParser
	redundant  origin.Redundant
	automata   automaton.Builder
	reach      *reach.Explorer // nil until there is a matcher: it is large
	steps      int             // that matchers took
	list       []*automaton.Automaton
	ruleOfName map[string]int
	reached    reached
	words      []string
	exposed    header.Set
}

// begin prepares for a configuration.
func (p *parser) begin(c *Config) {
	p.config = c
	p.mistakes, p.warnings, p.notes = tally{noun: "mistakes"}, tally{noun: "warnings"}, tally{noun: "notes"}
	p.used, p.steps, p.source = 0, 0, Source{Rules: p.source.Rules[:0]}
	p.written.Reset()
}

func (p *parser) fail(at place, value string, code Code, reason, remedy string) {
	p.mistakes.add(at, value, code, reason, remedy)
}

func (p *parser) warn(at place, value string, code Code, reason, remedy string) {
	p.warnings.add(at, value, code, reason, remedy)
}

// key is what a key as written stands for: the name under which it is read and
// the setting that it means. Two keys of one setting are a duplicate.
type key struct {
	name, setting string
	field         *Field // of a policy's keys
}

// keySet says which keys an object has.
type keySet struct {
	names []string       // those that remedies suggest
	keys  map[string]key // by every spelling
}

// keysOf is the set of the names and their lowerCamelCase forms.
func keysOf(names ...string) keySet {
	set := keySet{names: names, keys: map[string]key{}}
	for _, name := range names {
		set.add(key{name: name, setting: name})
	}
	return set
}

func (s *keySet) add(k key) { s.keys[k.name], s.keys[camel(k.name)] = k, k }

// camel is the lowerCamelCase form of a snake_case key, as protobuf's JSON
// mapping makes it.
func camel(name string) string {
	parts := strings.Split(name, "_")
	for i, part := range parts[1:] {
		parts[i+1] = strings.ToUpper(part[:1]) + part[1:]
	}
	return strings.Join(parts, "")
}

// members walks the members of an object and hands on each whose key is known
// and stands for the first time.
func (p *parser) members(object value, set keySet, each func(k key, v value)) {
	if !object.IsObject() {
		p.wrongType(object, "an object")
		return
	}
	type member struct{ setting, name string }
	var room [24]member
	seen := room[:0]
next:
	for v := range object.members {
		k, ok := set.keys[v.name]
		if !ok {
			if !p.mistakes.skip(v.at) {
				p.fail(v.at, "", UnknownKey, "unknown key", Nearest(v.name, set.names))
			}
			continue
		}
		for _, first := range seen {
			if first.setting != k.setting {
				continue
			}
			reason := "stands twice"
			if first.name != v.name {
				reason = "means the same as " + quote(first.name)
			}
			p.fail(v.at, v.Raw, DuplicateKey, reason, "keep one of the two")
			continue next
		}
		seen = append(seen, member{k.setting, v.name})
		each(k, v)
	}
}

// members is the sequence of an object's members.
func (v value) members(yield func(value) bool) {
	path := v.path()
	v.ForEach(func(key, of gjson.Result) bool { return yield(member(path, key, of)) })
}

// elements walks a list.
func (p *parser) elements(list value, each func(v value)) {
	if !list.IsArray() {
		p.wrongType(list, "a list")
		return
	}
	i := 0
	list.ForEach(func(_, element gjson.Result) bool {
		each(list.element(i, element))
		i++
		return true
	})
}

// count is the number of a list's elements.
func (v value) count() (n int) {
	v.ForEach(func(_, _ gjson.Result) bool { n++; return true })
	return n
}

// beginsWithObject reports whether it is a list whose first element is an object.
func (v value) beginsWithObject() (object bool) {
	if v.IsArray() {
		v.ForEach(func(_, first gjson.Result) bool { object = first.IsObject(); return false })
	}
	return object
}

func (p *parser) wrongType(v value, want string) {
	if !p.mistakes.skip(v.place) {
		p.fail(v.place, v.Raw, WrongType, "is "+typeName(v.Result)+", not "+want, "write "+want)
	}
}

func typeName(v gjson.Result) string {
	switch v.Type {
	case gjson.JSON:
		if v.IsObject() {
			return "an object"
		}
		return "a list"
	case gjson.String:
		return "a string"
	case gjson.Number:
		return "a number"
	case gjson.True, gjson.False:
		return "a boolean"
	}
	return "null"
}

func (p *parser) boolean(v value) bool {
	if !v.IsBool() {
		p.wrongType(v, "true or false")
	}
	return v.Type == gjson.True
}

func (p *parser) text(v value) (string, bool) {
	if v.Type != gjson.String {
		p.wrongType(v, "a string")
		return "", false
	}
	return v.Str, true
}

// choice reads one of the given words.
func (p *parser) choice(v value, words ...string) string {
	s, ok := p.text(v)
	if !ok {
		return ""
	}
	if slices.Contains(words, s) {
		return s
	}
	p.fail(v.place, v.Raw, BadValue, "not one of the choices", `write "`+strings.Join(words[:len(words)-1], `", "`)+`" or "`+words[len(words)-1]+`"`)
	return ""
}

// names reads a list of strings, behind those that are there.
func (p *parser) names(names []Name, v value) []Name {
	p.elements(v, func(v value) {
		if s, ok := p.text(v); ok {
			names = append(names, Name{s, v.place})
		}
	})
	return names
}

// namesOrText reads a list of strings, or one comma-separated string, into its
// elements.
func (p *parser) namesOrText(names []Name, v value) []Name {
	switch {
	case v.IsArray():
		return p.names(names, v)
	case v.Type != gjson.String:
		p.wrongType(v, "a list of strings or one comma-separated string")
		return names
	case strings.TrimSpace(v.Str) == "":
		return names
	}
	names = slices.Grow(names, strings.Count(v.Str, ",")+1)
	for begin, rest, more := 0, v.Str, true; more; {
		var part string
		part, rest, more = strings.Cut(rest, ",")
		name := strings.Trim(part, " \t")
		at := begin + strings.Index(part, name)
		names = append(names, Name{name, v.part(at, at+len(name))})
		begin += len(part) + len(",")
	}
	return names
}

// whole reads a whole number however JSON writes it: 600, 600.0 and 6e2 are the
// same number, and what a control plane prints of a protobuf Struct may be any of
// them.
func whole(raw string) (n int64, ok bool) {
	if n, err := strconv.ParseInt(raw, 10, 64); err == nil {
		return n, true
	}
	f, err := strconv.ParseFloat(raw, 64)
	if err != nil || f != float64(int64(f)) || f > 1<<53 || f < -1<<53 {
		return 0, false
	}
	return int64(f), true
}

// Nearest is the remedy for an unknown word: the known one that is the fewest
// edits away, or all of them where none is near.
func Nearest(word string, known []string) string {
	if best := Within(len(word)/2, word, known); best != "" {
		return "did you mean " + quote(best) + "?"
	}
	return "known here: " + strings.Join(known, ", ")
}

// Within is the known word that is the fewest edits away, and no more than so many; ""
// where there is none.
func Within(most int, word string, known []string) (best string) {
	word = strings.ToLower(word)
	for _, k := range known {
		if d := edits(word, strings.ToLower(k)); d <= most {
			best, most = k, d-1
		}
	}
	return best
}

// edits is the Levenshtein distance of a and b.
func edits(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return max(len(a), len(b))
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			diagonal, row[j] = row[j], min(row[j]+1, row[j-1]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}
