// Package jsontext reads one JSON text (RFC 8259), strictly, and knows where each
// value stands. Nothing is converted: a value has a kind, its text, and for a
// string what it says. It takes the place of a library that would bring
// encoding/json, fmt and reflect into the module, a third of its size. It imports
// the standard library alone, and of that little.
package jsontext

// Kind is what a value is.
type Kind uint8

// The kinds.
const (
	Null Kind = iota
	False
	True
	Number
	String
	List
	Object
)

// Value is a value of a text that Parse has accepted.
type Value struct {
	Kind Kind
	// Raw is the value as written, and Offset where it begins, in bytes of the
	// text.
	Raw    string
	Offset int
	// Str is what a string says, and "" for other kinds. It shares the text's
	// memory where the string has no escapes.
	Str string
}

// IsObject reports whether it is an object.
func (v Value) IsObject() bool { return v.Kind == Object }

// IsList reports whether it is a list, which JSON calls an array.
func (v Value) IsList() bool { return v.Kind == List }

// Elements visits the elements of a list, in their order, until yield returns
// false. What is no list has none.
func (v Value) Elements(yield func(Value) bool) {
	if v.Kind != List {
		return
	}
	for i, more := v.next(1, ']'); more; i, more = v.next(i, ']') {
		element := v.at(i)
		if !yield(element) {
			return
		}
		i += len(element.Raw)
	}
}

// Members visits the keys of an object and their values, in their order and as
// often as they stand, until yield returns false. What is no object has none.
func (v Value) Members(yield func(key, of Value) bool) {
	if v.Kind != Object {
		return
	}
	for i, more := v.next(1, '}'); more; i, more = v.next(i, '}') {
		key := v.at(i)
		i, _ = v.next(i+len(key.Raw), '}') // the colon
		of := v.at(i)
		if !yield(key, of) {
			return
		}
		i += len(of.Raw)
	}
}

// next goes on from i to where a value begins; more is false where the list or
// the object ends.
func (v Value) next(i int, end byte) (at int, more bool) {
	for {
		switch c := v.Raw[i]; {
		case c == end:
			return i, false
		case !isSpace(c) && c != ',' && c != ':':
			return i, true
		}
		i++
	}
}

// at is the value that begins at i of this one.
func (v Value) at(i int) Value {
	return read(v.Raw[i:], v.Offset+i)
}

// read is the value with which a valid text begins.
func read(text string, offset int) Value {
	v := Value{Offset: offset}
	switch text[0] {
	case '{', '[':
		v.Kind = List
		if text[0] == '{' {
			v.Kind = Object
		}
		v.Raw = text[:endOfNested(text)]
	case '"':
		v.Kind = String
		end, escaped := endOfString(text)
		v.Raw, v.Str = text[:end], text[1:end-1]
		if escaped {
			v.Str = unescape(v.Str)
		}
	case 't':
		v.Kind, v.Raw = True, text[:len("true")]
	case 'f':
		v.Kind, v.Raw = False, text[:len("false")]
	case 'n':
		v.Kind, v.Raw = Null, text[:len("null")]
	default:
		v.Kind = Number
		end := 1
		for end < len(text) && !isSpace(text[end]) && text[end] != ',' && text[end] != ']' && text[end] != '}' {
			end++
		}
		v.Raw = text[:end]
	}
	return v
}

// endOfNested is the length of the list or object with which the text begins.
func endOfNested(text string) int {
	depth := 0
	for i := 0; ; i++ {
		switch text[i] {
		case '"':
			n, _ := endOfString(text[i:])
			i += n - 1
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
}

// endOfString is the length of the string with which the text begins.
func endOfString(text string) (n int, escaped bool) {
	for i := 1; ; i++ {
		switch text[i] {
		case '"':
			return i + 1, escaped
		case '\\':
			escaped = true
			i++
		}
	}
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }
