package header

import (
	"strings"
	"testing"
)

// TestEqualLooksAtEveryByte changes each byte of values of every length around the
// words that are compared.
func TestEqualLooksAtEveryByte(t *testing.T) {
	const text = "abcdefghijklmnopqrstuvwxyz0123456789-_ABCDEFGHIJ"
	for n := range len(text) + 1 {
		s := text[:n]
		b := []byte(s)
		if !Equal(b, s) || Equal(b, s+"x") || n > 0 && (Equal(b, s[1:]) || Equal(b, s[:n-1])) {
			t.Errorf("%d bytes are not equal to themselves alone", n)
		}
		named := n >= 4 && n <= 32
		if named && (!Is(string(b), s) || Is(s+"x", s) || Is(s[1:], s)) {
			t.Errorf("a name of %d bytes is not itself", n)
		}
		for i := range b {
			b[i] ^= 0x20
			if Equal(b, s) || named && Is(string(b), s) {
				t.Errorf("byte %d of %d is not looked at", i, n)
			}
			b[i] ^= 0x20
		}
	}
}

func TestCopy(t *testing.T) {
	text := strings.Repeat("0123456789abcdefghijklmnopqrstuvwxyz", 3)
	for n := range len(text) {
		for room := range len(text) {
			b := []byte(strings.Repeat("-", room))
			if got, want := Copy(b, text[:n]), min(n, room); got != want || string(b) != text[:want]+strings.Repeat("-", room-want) {
				t.Fatalf("%d bytes in %d: %d, %q", n, room, got, b)
			}
		}
	}
}
