package config

import (
	"strconv"
	"strings"

	"github.com/tidwall/gjson"
)

// place is where something stands in a configuration: the path is for people,
// the bytes are for tools.
type place struct {
	path           string
	offset, length int
}

// value is a JSON value and where it stands. key is the place of its key, and
// the value's own for elements of a list.
type value struct {
	gjson.Result
	place
	key place
}

// document is the value of the whole text. before is what stands in front of
// the text: a byte order mark.
func document(text string, before int) value {
	v := value{Result: gjson.Parse(text)}
	v.Raw = strings.TrimRight(v.Raw, " \t\r\n") // gjson leaves what follows on the value
	v.Index += before
	v.place = placeOf("", v.Result)
	v.key = v.place
	return v
}

// placeOf relies on an index that counts from the begin of the text: gjson adds
// that of the surrounding value where ForEach walks.
func placeOf(path string, v gjson.Result) place { return place{path, v.Index, len(v.Raw)} }

// member is the value of a key of the object v.
func (v value) member(key, member gjson.Result) value {
	path := join(v.path, shorten(key.String()))
	return value{member, placeOf(path, member), placeOf(path, key)}
}

// element is the i-th value of the list v.
func (v value) element(i int, element gjson.Result) value {
	here := placeOf(v.path+"["+strconv.Itoa(i)+"]", element)
	return value{element, here, here}
}

// part is the place of the bytes of a string from i to j. Where the string holds
// escapes, its bytes are not those of the text, and the whole string has to do.
func (v value) part(i, j int) place {
	if len(v.Str)+len(`""`) != len(v.Raw) {
		return v.place
	}
	return place{v.path, v.offset + len(`"`) + i, j - i}
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}
