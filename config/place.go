package config

import (
	"github.com/tidwall/gjson"

	"corsfilter/internal/fieldpath"
)

// place is the position of something in a configuration: the path is for people, the bytes
// are for tools.
type place struct {
	// base is the path of the object and key its member. The value is that member, or
	// its index-th element, counted from 1. Few values ever need their path, so it is
	// composed on demand.
	base, key      string
	index          int
	offset, length int
}

func (p place) path() string {
	path := fieldpath.Key(p.base, p.key)
	if p.index == 0 {
		return path
	}
	return fieldpath.Index(path, p.index-1)
}

// value is a JSON value and its place.
type value struct {
	gjson.Result
	place
	at   place  // of its key; the value's own for elements of a list
	name string // the key as written
}

// document is the value of the whole text. before is what precedes the text: a byte order
// mark.
func document(root gjson.Result, before int) value {
	root.Index += before
	here := placeOf(root)
	return value{Result: root, place: here, at: here}
}

func placeOf(v gjson.Result) place { return place{offset: v.Index, length: len(v.Raw)} }

// member is the value of a key of the object at a path.
func member(path string, key, v gjson.Result) value {
	m := value{Result: v, place: placeOf(v), at: placeOf(key), name: key.Str}
	m.base, m.key = path, cut(m.name, maxValueLen)
	m.at.base, m.at.key = m.base, m.key
	return m
}

// element is the i-th value of the list v.
func (v value) element(i int, element gjson.Result) value {
	here := placeOf(element)
	here.base, here.key, here.index = v.base, v.key, i+1
	return value{Result: element, place: here, at: here}
}

// part is the place of the bytes from i to j of a string. If the string has escapes, its
// bytes are not those of the text, and the place is the whole string.
func (v value) part(i, j int) place {
	part := v.place
	if len(v.Str)+len(`""`) == len(v.Raw) {
		part.offset, part.length = v.offset+len(`"`)+i, j-i
	}
	return part
}

// inside is the place of a key that an object lacks: the object, under the key's
// path.
func (p place) inside(key string) place {
	p.base, p.key, p.index = p.path(), key, 0
	return p
}
