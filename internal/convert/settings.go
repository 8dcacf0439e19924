package convert

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Settings is the table of a source's policy settings.
type Settings struct {
	// Of names their owner: "Envoy's CorsPolicy". Typo follows the advice to check the
	// spelling of an unknown key.
	Of, Typo string
	// Rows are all settings. Lists says that names are written as a list, not as a string
	// with commas. In the lists of Star, a star replaces everything beside it.
	Rows  []Setting
	Lists bool
	Star  []string
	// Proto says that keys may be written in lowerCamelCase as well.
	Proto bool
	// Internal is the prefix of keys that do not belong to the policy.
	Internal string
	// MaxAge is how the source writes it.
	MaxAge Unit
}

// Setting is a row of the table.
type Setting struct {
	// Key is its name in the source, and Becomes its name here; "" if there is none.
	Key, Becomes string
	// Default is what the source takes where nothing is written; "" is nothing.
	Default string
	// Note describes, for the source's page, what differs here.
	Note string
}

// Unit is how a number of seconds is written.
type Unit struct {
	Seconds func(text string) (int64, error)
	// What describes a text that is not one, and Remedy says what to write.
	What, Remedy string
}

// Seconds reads a plain number, with spaces around it, which no header keeps, and Duration
// one of Go's durations.
func Seconds(text string) (int64, error) { return strconv.ParseInt(strings.TrimSpace(text), 10, 64) }

func Duration(text string) (int64, error) {
	d, err := time.ParseDuration(text)
	return int64(d / time.Second), err
}

// Check reports unknown keys of a policy.
func (s Settings) Check(r Reader, node *yaml.Node) {
	for _, m := range Members(node) {
		key := m.Key.Value
		if s.Internal != "" && strings.HasPrefix(key, s.Internal) {
			continue
		}
		if !slices.ContainsFunc(s.Rows, func(row Setting) bool { return row.Key == key || s.Proto && Snake(row.Key) == Snake(key) }) {
			r.Fail(m.Key, fmt.Sprintf("%q is not a setting of %s", Shortened(key), s.Of), "check the spelling"+s.Typo)
		}
	}
}

// Default is what the source takes where a key is not written.
func (s Settings) Default(key string) string {
	for _, row := range s.Rows {
		if row.Key == key {
			return row.Default
		}
	}
	return ""
}

// Lookup finds the value of a key, and the reader of the object that has it; nil: none has.
type Lookup func(key string) (Reader, *yaml.Node)

// Read checks the keys of a policy that is one mapping, and takes its values.
func (s Settings) Read(r Reader, p *Policy, node *yaml.Node) {
	s.Check(r, node)
	s.Take(p, r.Object.At(node), func(key string) (Reader, *yaml.Node) { return r, Child(node, key) })
}

// Take reads lists of names, credentials, private networks and max_age, with their defaults.
// The source reads everything else itself.
func (s Settings) Take(p *Policy, at Place, find Lookup) {
	for _, row := range s.Rows {
		key := row.Key
		if row.Becomes == "" || row.Becomes == AllowOrigins {
			continue
		}
		if s.Proto {
			key = Snake(key)
		}
		r, value := find(key)
		given, at := value != nil, at
		switch {
		case given:
			at = r.Object.At(value)
		case row.Default == "":
			continue
		default:
			value = &yaml.Node{Kind: yaml.ScalarNode, Value: row.Default, Line: at.Line, Column: at.Column}
		}
		switch {
		case slices.Contains(NameLists, row.Becomes):
			read := r.Commas
			if s.Lists && given {
				read = r.List
			}
			values := read(value, row.Key)
			if slices.Contains(s.Star, row.Becomes) {
				values = StarAlone(values)
			}
			p.SetList(row.Becomes, at, values)
		case row.Becomes == "allow_credentials":
			p.Credentials, _ = r.Boolean(value, row.Key)
		case row.Becomes == PrivateNetwork && given:
			p.Put(PrivateNetwork, nil, at)
			p.PrivateNetwork, _ = r.Boolean(value, row.Key)
		case row.Becomes == MaxAge:
			s.MaxAge.Read(r, p, value)
		}
	}
}

// Read sets max_age from a node; nil sets nothing.
func (u Unit) Read(r Reader, p *Policy, node *yaml.Node) {
	if node == nil {
		return
	}
	seconds, err := u.Seconds(Text(node))
	if err != nil {
		r.Fail(node, strings.ReplaceAll(u.What, "%q", strconv.Quote(Shortened(Text(node)))), u.Remedy)
		return
	}
	p.SetMaxAge(r.Object.At(node), seconds)
}

// AllowExact adds origins that are compared letter by letter.
func (p *Policy) AllowExact(values []Value) {
	for _, v := range values {
		p.Allow(ExactOrigin(p, v.Text, false), v.At)
	}
}

// StarAlone is the first star of a list where it has one, and otherwise all of it.
func StarAlone(values []Value) []Value {
	if star := slices.IndexFunc(values, Value.IsStar); star >= 0 {
		return values[star : star+1]
	}
	return values
}

// AllowsAny reports whether a star is among the origins.
func (p *Policy) AllowsAny() bool { return slices.ContainsFunc(p.AllowOrigins, Anyone.Same) }
