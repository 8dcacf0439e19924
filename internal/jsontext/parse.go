package jsontext

// Error is where and why a text is no JSON.
type Error struct {
	// Offset is that of the first byte which can not stand there, or the text's
	// length where it ends too early.
	Offset int
	Reason Reason
	// Where says what the byte stands behind or in, such as "after array element";
	// it is "" for the other reasons.
	Where string
}

// Reason is what is wrong with a text.
type Reason uint8

// Unexpected is a byte that can not stand where it does. Ends is a text that ends
// before its value does; an empty one does, too. TooDeep is a list or an object
// inside more others than the reader was told to take.
const (
	Unexpected Reason = iota
	Ends
	TooDeep
)

// Parse checks that the text is one JSON value with nothing but white space
// around it, nested maxDepth levels deep at most, and returns the value. Whether it is
// valid UTF-8 is not looked at. The time is in proportion to the text's length.
func Parse(text string, maxDepth int) (Value, *Error) {
	c := checker{text: text, maxDepth: maxDepth}
	c.space()
	begin := c.at
	if !c.value() {
		return Value{}, &c.err
	}
	end := c.at
	if c.space(); c.at < len(text) {
		c.unexpected("after top-level value")
		return Value{}, &c.err
	}
	return read(text[begin:end], begin), nil
}

// checker goes through a text once. Its methods report whether they came through;
// at is then behind what they checked, and else err says what was wrong. The words
// of errors are those that encoding/json has for the same.
type checker struct {
	text            string
	at              int
	depth, maxDepth int
	err             Error
}

// unexpected refuses the byte at hand, or the end.
func (c *checker) unexpected(where string) bool {
	c.err = Error{c.at, Unexpected, where}
	if c.at >= len(c.text) {
		c.err = Error{len(c.text), Ends, ""}
	}
	return false
}

func (c *checker) space() {
	for c.at < len(c.text) && isSpace(c.text[c.at]) {
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
	if c.depth++; c.depth > c.maxDepth {
		c.err = Error{c.at, TooDeep, ""}
		return false
	}
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
	c.depth--
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
			if _, ok := digit(c.next()); !ok {
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
