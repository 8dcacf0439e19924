package config

import "strings"

// malformed finds out why a text is no JSON (RFC 8259), which gjson.Valid does not
// say: at is the offset of the first byte that cannot stand there, and where says
// what it stands behind or in, in the words of encoding/json. A text that ends too
// early is at fault at its end, and where is "". The text must not nest deeper than
// parseJSON takes.
func malformed(text string) (at int, where string) {
	c := checker{text: text}
	c.space()
	if c.value() {
		if c.space(); c.at < len(text) {
			c.unexpected("after top-level value")
		}
	}
	return c.at, c.where
}

// checker goes through a text once. Its methods report whether they came through;
// at is then behind what they checked, and else at what cannot stand there.
type checker struct {
	text, where string
	at          int
}

// unexpected refuses the byte at hand, or the end.
func (c *checker) unexpected(where string) bool {
	if c.at < len(c.text) {
		c.where = where
	}
	return false
}

func (c *checker) space() {
	for c.at < len(c.text) && strings.IndexByte(space, c.text[c.at]) >= 0 {
		c.at++
	}
}

// next is the byte at hand, or 0 at the end; 0 itself can stand nowhere.
func (c *checker) next() byte {
	if c.at < len(c.text) {
		return c.text[c.at]
	}
	return 0
}

func (c *checker) value() bool {
	switch b := c.next(); {
	case b == '{':
		return c.nested('}', "after object key:value pair", (*checker).member)
	case b == '[':
		return c.nested(']', "after array element", (*checker).value)
	case b == '"':
		return c.str()
	case b == '-' || '0' <= b && b <= '9':
		return c.number()
	case b == 't':
		return c.literal("true")
	case b == 'f':
		return c.literal("false")
	case b == 'n':
		return c.literal("null")
	}
	return c.unexpected("looking for beginning of value")
}

// nested checks a list or an object, whose items stand between commas.
func (c *checker) nested(end byte, behind string, item func(*checker) bool) bool {
	c.at++
	c.space()
	if c.next() != end {
		for {
			c.space()
			if !item(c) {
				return false
			}
			c.space()
			if c.next() != ',' {
				break
			}
			c.at++
		}
		if c.next() != end {
			return c.unexpected(behind)
		}
	}
	c.at++
	return true
}

func (c *checker) member() bool {
	if c.next() != '"' {
		return c.unexpected("looking for beginning of object key string")
	}
	if !c.str() {
		return false
	}
	if c.space(); c.next() != ':' {
		return c.unexpected("after object key")
	}
	c.at++
	c.space()
	return c.value()
}

func (c *checker) str() bool {
	for c.at++; ; c.at++ {
		switch b := c.next(); {
		case b == '"':
			c.at++
			return true
		case b < ' ':
			return c.unexpected("in string literal")
		case b == '\\':
			if c.at++; !c.escape() {
				return false
			}
		}
	}
}

func (c *checker) escape() bool {
	switch c.next() {
	case 'b', 'f', 'n', 'r', 't', '"', '\\', '/':
		return true
	case 'u':
		for i := 0; i < 4; i++ {
			c.at++
			if strings.IndexByte("0123456789abcdefABCDEF", c.next()) < 0 {
				return c.unexpected(`in \u hexadecimal character escape`)
			}
		}
		return true
	}
	return c.unexpected("in string escape code")
}

func (c *checker) number() bool {
	if c.next() == '-' {
		c.at++
	}
	if c.next() == '0' {
		c.at++
	} else if !c.digits("in numeric literal") {
		return false
	}
	if c.next() == '.' {
		c.at++
		if !c.digits("after decimal point in numeric literal") {
			return false
		}
	}
	if b := c.next(); b == 'e' || b == 'E' {
		c.at++
		if b := c.next(); b == '+' || b == '-' {
			c.at++
		}
		return c.digits("in exponent of numeric literal")
	}
	return true
}

// digits checks one digit and those behind it.
func (c *checker) digits(where string) bool {
	begin := c.at
	for b := c.next(); '0' <= b && b <= '9'; b = c.next() {
		c.at++
	}
	return c.at > begin || c.unexpected(where)
}

func (c *checker) literal(word string) bool {
	for i := 0; i < len(word); i++ {
		if c.next() != word[i] {
			return c.unexpected("in literal " + word + " (expecting '" + word[i:i+1] + "')")
		}
		c.at++
	}
	return true
}
