// Package sample is mutated by a test.
package sample

const limit = 3

type size uint8

var names = []string{"a", "b"}

func decide(n int, s string, deep bool) size {
	if n < limit && s != "x" || !deep {
		return 7
	}
	switch s {
	case "y":
		return size(len(names))
	}
	for i := range 2 {
		n += i
	}
	tell(5)
	panic("a message of words")
}

func tell(n int) bool { return n > 0 }
