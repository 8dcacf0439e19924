package convert

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Settings is the table of what a policy of a source may say.
type Settings struct {
	// Of says whose they are: "Envoy's CorsPolicy". Typo is what to say of others, after
	// the advice to check the spelling.
	Of, Typo string
	// Rows are all that there are. Lists says that names are a list, and no string with
	// commas; in those of Star a star stands for all that is beside it.
	Rows  []Setting
	Lists bool
	Star  []string
	// Proto says that keys may be written in lowerCamelCase as well.
	Proto bool
	// Internal is how keys begin that are none of the policy's.
	Internal string
	// MaxAge is how the source writes it.
	MaxAge Unit
}

// Setting is a row of the table.
type Setting struct {
	// Key is how the source calls it, and Becomes what it is here: "" where nothing here is
	// the same.
	Key, Becomes string
	// Default is what the source takes where nothing is written; "" is nothing.
	Default string
	// Note says, for the source's page, what is otherwise here.
	Note string
}

// Unit is how a number of seconds is written.
type Unit struct {
	Seconds func(text string) (int64, error)
	// What says what a text is that is none, and Remedy what to write.
	What, Remedy string
}

// Seconds is a number by itself, with spaces around it, which no header keeps, and Duration
// one of Go.
func Seconds(text string) (int64, error) { return strconv.ParseInt(strings.TrimSpace(text), 10, 64) }

func Duration(text string) (int64, error) {
	d, err := time.ParseDuration(text)
	return int64(d / time.Second), err
}

// Check says which keys of a policy are none.
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

// Lookup finds what a policy says for a key, with the reader of the object where it says so.
type Lookup func(key string) (Reader, *yaml.Node)

// Read checks the keys of a policy that is one mapping, and takes what it says.
func (s Settings) Read(r Reader, p *Policy, node *yaml.Node) {
	s.Check(r, node)
	s.Take(p, r.Object.At(node), func(key string) (Reader, *yaml.Node) { return r, Child(node, key) })
}

// Take reads lists of names, credentials, private networks and max_age, with their defaults.
// What else there is the source reads itself.
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

// Read sets max_age to what a node says; where there is none, nothing is set.
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
