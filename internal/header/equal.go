package header

// Copy is copy, which for what most values are, 8 to 64 bytes, takes longer in wasm:
// it calls a function that calls the engine. They must not share memory.
func Copy(b []byte, s string) int {
	const word = 8
	n := len(s)
	if n > len(b) || n < word || n > 8*word {
		return copy(b, s)
	}
	for at := 0; at < n-word; at += word {
		putWord(b, at, Word(s, at))
	}
	putWord(b, n-word, Word(s, n-word)) // may overlap the one before
	return n
}

// Equal reports whether the bytes are those of s. Go's own comparison takes longer
// in wasm for what most values are, 8 to 32 bytes.
func Equal(b []byte, s string) bool { return Same(AsString(b), s) }

// Same reports whether the strings are the same, as Equal does.
func Same(s, t string) bool {
	const word = 8
	n := len(s)
	if n != len(t) || n < word/2 || n > 4*word {
		return s == t
	}
	if n < word {
		return (half(s, 0)^half(t, 0))|(half(s, n-4)^half(t, n-4)) == 0
	}
	// Words may overlap.
	last, middle, third := n-word, min(word, n-word), max(0, n-2*word)
	return (Word(s, 0)^Word(t, 0))|(Word(s, middle)^Word(t, middle))|(Word(s, third)^Word(t, third))|(Word(s, last)^Word(t, last)) == 0
}

// Is reports whether s is a name, a constant of 4 to 32 bytes. It is made for being
// inlined: then the words of the name are constants.
func Is(s, name string) bool {
	n := len(name)
	if len(s) != n {
		return false
	}
	if n < 8 {
		return (half(s, 0)^half(name, 0))|(half(s, n-4)^half(name, n-4)) == 0
	}
	middle, third := min(8, n-8), max(0, n-16)
	return (Word(s, 0)^Word(name, 0))|(Word(s, middle)^Word(name, middle))|(Word(s, third)^Word(name, third))|(Word(s, n-8)^Word(name, n-8)) == 0
}
