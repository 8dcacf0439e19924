package config

import "strings"

// malformed finds out why a text is not JSON (RFC 8259), which gjson.Valid does not say. at
// is the offset of the first wrong byte, and where says what comes before or around it, in
// the words of encoding/json. If the text ends too early, at is its end and where is "". The
// text must not nest deeper than parseJSON allows.
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

// checker reads a text once. Its methods report success; at is then after what they
// checked, else at the wrong byte.
type checker struct {
	text, where string
	at          int
}

// unexpected refuses the current byte, or the end.
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

// next is the current byte, or 0 at the end; JSON never has a 0.
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

// nested checks a list or an object, whose items are separated by commas.
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

// digits checks one digit and those after it.
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
