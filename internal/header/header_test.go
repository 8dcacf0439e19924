package header

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestIsToken(t *testing.T) {
	for _, group := range []struct {
		name    string
		accepts []string
		rejects []string
	}{
		{
			name:    "field names and methods as clients write them are tokens",
			accepts: []string{"a", "X-Request-ID", "content-type", "PUT", "M-SEARCH", "0", "x_y", "*"},
		},
		{
			// RFC 9110, section 5.6.2: tchar.
			name:    "every special character of tchar is allowed and no other one",
			accepts: strings.Split("! # $ % & ' * + - . ^ _ ` | ~", " "),
			rejects: strings.Split(`" ( ) , / : ; < = > ? @ [ \ ] { }`, " "),
		},
		{
			name: "white space, controls and letters beyond ASCII make no token",
			rejects: []string{
				"", " ", "a b", "\ta", "a\t", "a\r", "a\n",
				"a\r\nset-cookie: x=1", "a\x00", "\x7f", "\x80", "é", "a\u00a0", "\u2028", "x\u200b", "\xff",
			},
		},
	} {
		t.Run(group.name, func(t *testing.T) {
			for _, s := range group.accepts {
				if !IsToken(s) {
					t.Errorf("IsToken(%q) = false", s)
				}
			}
			for _, s := range group.rejects {
				if IsToken(s) {
					t.Errorf("IsToken(%q) = true", s)
				}
			}
		})
	}
}

// elements collects what Next cuts off.
func elements(list string) (all []string) {
	for element, rest, ok := Next(list); ok; element, rest, ok = Next(rest) {
		all = append(all, element)
	}
	return all
}

func TestNext(t *testing.T) {
	for _, c := range []struct {
		name string
		list string
		want []string
	}{
		{"an empty list has no element", "", nil},
		{"a list of separators and white space has no element", " ,\t,, , \t ", nil},
		{"one name is one element", "x-foo", []string{"x-foo"}},
		{"a browser's list has no spaces", "a,b,c", []string{"a", "b", "c"}},
		{"spaces and tabs around elements go", " a ,\tb\t,  c  ", []string{"a", "b", "c"}},
		{"empty elements are passed over", ",a,,b, ,c,", []string{"a", "b", "c"}},
		{"white space inside an element stays", "a b,c\td", []string{"a b", "c\td"}},
		// Trimmed away, these would let the rest pass for a token.
		{"CR and LF stay at the ends of an element", "a\r\n,\nb", []string{"a\r\n", "\nb"}},
		{"NUL, vertical tab and form feed stay", "\x00a,b\v,\fc", []string{"\x00a", "b\v", "\fc"}},
		{"Unicode spaces stay", "\u00a0a,b\u2003,\u3000", []string{"\u00a0a", "b\u2003", "\u3000"}},
		{"a full-width comma separates nothing", "a\uff0cb", []string{"a\uff0cb"}},
		{"a quoted comma separates all the same", `"a,b"`, []string{`"a`, `b"`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := elements(c.list); !slices.Equal(got, c.want) {
				t.Errorf("elements of %q: %q, want %q", c.list, got, c.want)
			}
		})
	}
}

func TestContains(t *testing.T) {
	for _, group := range []struct {
		name    string
		element string
		accepts []string
		rejects []string
	}{
		{
			name:    "origin is found in Vary however it is written",
			element: "origin",
			accepts: []string{"origin", "Origin", "ORIGIN", "accept-encoding, Origin", "Origin,accept", "a,\torigin\t,b", ",,origin"},
			rejects: []string{"", "origins", "x-origin", "origin-agent", "ori gin", "origin\r", "\u00a0origin", "origi\u0274", "accept; origin"},
		},
		{
			// U+212A and U+017F fold to k and s in Unicode, not in HTTP.
			name:    "letters fold in ASCII only",
			element: "cookies",
			accepts: []string{"COOKIES"},
			rejects: []string{"coo\u212aies", "cookie\u017f"},
		},
	} {
		t.Run(group.name, func(t *testing.T) {
			for _, list := range group.accepts {
				if !Contains(list, group.element) {
					t.Errorf("Contains(%q, %q) = false", list, group.element)
				}
			}
			for _, list := range group.rejects {
				if Contains(list, group.element) {
					t.Errorf("Contains(%q, %q) = true", list, group.element)
				}
			}
		})
	}
}

func TestAppendEcho(t *testing.T) {
	for _, c := range []struct {
		name string
		list string
		want string
		ok   bool
	}{
		{"a browser's list is joined by comma and space", "a,b", "a, b", true},
		{"names are lower-cased", "X-Foo,AUTHORIZATION", "x-foo, authorization", true},
		{"empty elements and white space go", " ,a ,,\tb,", "a, b", true},
		{"duplicates are the browser's business", "a,A", "a, a", true},
		{"an empty list echoes nothing", "", "", false},
		{"a list of separators echoes nothing", " , ,", "", false},
		{"a colon spoils the whole list", "a,b:c,d", "", false},
		{"an inner space spoils the whole list", "a b", "", false},
		{"CR and LF spoil the whole list", "a\r\nset-cookie: x=1", "", false},
		{"NUL spoils the whole list", "a,\x00", "", false},
		{"a letter beyond ASCII spoils the whole list", "é", "", false},
		{"the last element counts, too", "a,b,c,\"", "", false},
		{"a list of the longest length is echoed", strings.Repeat("a", 4096), strings.Repeat("a", 4096), true},
		{"one byte more is not", strings.Repeat("a", 4097), "", false},
		{"white space counts for the length", strings.Repeat(" ", 4096) + "a", "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			const before = "before"
			got, ok := AppendEcho([]byte(before), c.list)
			if string(got) != before+c.want || ok != c.ok {
				t.Errorf("AppendEcho(%.60q) = %.60q, %v; want %.60q, %v", c.list, got, ok, before+c.want, c.ok)
			}
		})
	}
}

func TestEchoesAreBounded(t *testing.T) {
	worst := strings.Repeat("a,", MaxListLen/2)
	if len(worst) != MaxListLen {
		t.Fatalf("the worst case has %d bytes, want %d", len(worst), MaxListLen)
	}
	echo, ok := AppendEcho(nil, worst)
	if want := strings.TrimSuffix(strings.Repeat("a, ", MaxListLen/2), ", "); string(echo) != want || !ok {
		t.Fatalf("the worst case is not echoed whole: %d bytes, %v", len(echo), ok)
	}
	if len(echo) > MaxEchoLen || len(echo) < MaxEchoLen-2 {
		t.Errorf("the worst case has %d bytes; MaxEchoLen is %d", len(echo), MaxEchoLen)
	}
}

func TestSet(t *testing.T) {
	var set Set
	if set.Has("") || set.Has("a") {
		t.Error("the zero Set has elements")
	}
	longest := strings.Repeat("l", MaxNameLen)
	for _, name := range []string{"x-foo", "authorization", "x-foo", longest} {
		set.Add(name)
	}
	if len(set.names) != 3 {
		t.Errorf("three names are in it as %.100q", set.names)
	}
	for _, name := range []string{"x-foo", "X-FOO", "X-foo", "Authorization", longest, strings.ToUpper(longest)} {
		if !set.Has(name) {
			t.Errorf("Has(%.40q) = false", name)
		}
	}
	for _, name := range []string{
		"", "x-fo", "x-fooo", "x_foo", " x-foo", "x-foo\x00", "auth\u00f6rization", longest + "l", longest[1:], strings.Repeat("x", 1<<20),
	} {
		if set.Has(name) {
			t.Errorf("Has(%.40q) = true", name)
		}
	}
}

// TestSetsThatAreHalfFull looks for names wherever the search for them begins: which
// slots are taken differs from set to set, and from run to run.
func TestSetsThatAreHalfFull(t *testing.T) {
	for i := range 300 {
		var set Set
		for j := range minSlots / 2 {
			set.Add(fmt.Sprint("x-", 7919*j, "-", i))
		}
		if len(set.slots) != minSlots {
			t.Fatalf("%d slots", len(set.slots))
		}
		for j := range 2 * minSlots {
			if name := fmt.Sprint("x-", 7919*j, "-", i); set.Has(name) != (j < minSlots/2) {
				t.Errorf("Has(%q) = %v", name, set.Has(name))
			}
		}
	}
}

// TestBytesFoldInASCIIOnly covers the neighbours of the letters, which a careless
// fold (c|0x20) turns into each other.
func TestBytesFoldInASCIIOnly(t *testing.T) {
	for i := range 256 {
		c, want := byte(i), byte(i)
		if bytes.IndexByte([]byte("ABCDEFGHIJKLMNOPQRSTUVWXYZ"), c) >= 0 {
			want = c + 32
		}
		if got := Lower(c); got != want {
			t.Errorf("Lower(%#x) = %#x, want %#x", c, got, want)
		}
	}
	if got := string(AppendLower([]byte("A"), "B[@É")); got != "Ab[@É" {
		t.Errorf("AppendLower = %q", got)
	}
}

func TestNothingIsAllocated(t *testing.T) {
	var set Set
	set.Add("x-request-id")
	buf := make([]byte, 0, MaxEchoLen)
	list := "X-Request-Id, authorization,, content-type" + strings.Repeat(",x", 500)
	hostile := strings.Repeat(",", MaxListLen)
	for _, c := range []struct {
		name string
		call func() bool
	}{
		{"going through a list", func() bool {
			n := 0
			for _, rest, ok := Next(list); ok; _, rest, ok = Next(rest) {
				n++
			}
			return n == 503
		}},
		{"looking for an element", func() bool { return Contains(list, "content-type") && !Contains(hostile, "origin") }},
		{"echoing a list", func() bool { _, ok := AppendEcho(buf, list); return ok }},
		{"refusing an echo", func() bool { _, ok := AppendEcho(buf, list+""); _, bad := AppendEcho(buf, hostile); return ok && !bad }},
		{"looking a name up", func() bool { return set.Has("X-Request-ID") && !set.Has("x-request-ie") }},
		{"normalizing a method", func() bool { return NormalizeMethod("put") == "PUT" && ForbiddenMethod("trace") }},
		{"asking for a forbidden header", func() bool { return ForbiddenRequestHeader("cookie") && !ForbiddenRequestHeader("x-y") }},
	} {
		t.Run(c.name, func(t *testing.T) {
			if !c.call() {
				t.Fatal("the call gives the wrong result")
			}
			if n := testing.AllocsPerRun(100, func() { c.call() }); n != 0 {
				t.Errorf("%v allocations", n)
			}
		})
	}
}

// naiveElements is the textbook reading of a list: split, then trim.
func naiveElements(list string) (all []string) {
	for _, element := range strings.Split(list, ",") {
		if element = strings.Trim(element, " \t"); element != "" {
			all = append(all, element)
		}
	}
	return all
}

func naiveToken(s string) bool {
	for _, c := range []byte(s) {
		if !strings.ContainsRune("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", rune(c)) {
			return false
		}
	}
	return s != ""
}

func FuzzLists(f *testing.F) {
	for _, list := range []string{
		"", ",", "a,b", " A\t,, b ", "a\r\n", "é,ü", "\u00a0a", "a b", strings.Repeat("a,", 2048), strings.Repeat("A", 4097), "origin, *",
	} {
		f.Add(list)
	}
	f.Fuzz(func(t *testing.T, list string) {
		want := naiveElements(list)
		if got := elements(list); !slices.Equal(got, want) {
			t.Fatalf("elements of %q: %q, want %q", list, got, want)
		}
		contained, tokens := false, true
		var lower []string
		for _, element := range want {
			if IsToken(element) != naiveToken(element) {
				t.Fatalf("IsToken(%q) = %v", element, IsToken(element))
			}
			tokens = tokens && naiveToken(element)
			lower = append(lower, string(bytes.ToLower([]byte(element))))
			contained = contained || tokens && lower[len(lower)-1] == "origin"
		}
		if tokens && Contains(list, "origin") != contained {
			t.Fatalf("Contains(%q, origin) = %v", list, !contained)
		}
		echo, ok := AppendEcho(nil, list)
		if wantOK := tokens && len(want) > 0 && len(list) <= 4096; ok != wantOK {
			t.Fatalf("AppendEcho(%q): %v, want %v", list, ok, wantOK)
		}
		if ok && string(echo) != strings.Join(lower, ", ") || !ok && len(echo) != 0 || len(echo) > MaxEchoLen {
			t.Fatalf("AppendEcho(%q) = %q", list, echo)
		}
	})
}

// TestTokensByteByByte holds IsToken to the characters of RFC 9110, section 5.6.2.
func TestTokensByteByByte(t *testing.T) {
	const token = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	for c := range 256 {
		want := strings.IndexByte(token, byte(c)) >= 0
		for _, s := range []string{string([]byte{byte(c)}), "x" + string([]byte{byte(c)}), string([]byte{byte(c)}) + "x"} {
			if IsToken(s) != want {
				t.Errorf("IsToken(%q) is %v", s, !want)
			}
		}
	}
}

// TestContainsComparesEveryLetter changes a name in each place.
func TestContainsComparesEveryLetter(t *testing.T) {
	const name = "origin"
	for i := range name {
		for _, changed := range []string{name[:i] + "x" + name[i+1:], name[:i] + name[i+1:], name[:i] + "x" + name[i:]} {
			if Contains(changed, name) || Contains("a, "+changed+" ,b", name) {
				t.Errorf("%q contains %q", changed, name)
			}
		}
		if upper := name[:i] + strings.ToUpper(name[i:i+1]) + name[i+1:]; !Contains("a,\t"+upper, name) {
			t.Errorf("%q does not contain %q", upper, name)
		}
	}
}

func TestTheEndOfAListIsEmpty(t *testing.T) {
	for _, list := range []string{"", ",", " , \t,"} {
		if element, rest, ok := Next(list); element != "" || rest != "" || ok {
			t.Errorf("Next(%q) is %q, %q, %v", list, element, rest, ok)
		}
	}
}
