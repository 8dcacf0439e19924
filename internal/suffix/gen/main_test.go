package main

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"

	"golang.org/x/net/publicsuffix"

	"corsfilter/internal/suffix"
)

func TestTheTableIsUpToDate(t *testing.T) {
	rules := theRules(t)
	have, err := os.ReadFile("../table.go")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(have, source(rules)) {
		t.Error("table.go is not what this package writes; run go generate ./internal/suffix")
	}
	if table := compile(rules); len(table) > 52<<10 {
		t.Errorf("the table has %d bytes", len(table))
	}
}

func TestEveryRuleIsLookedUpAsTheReferenceDoes(t *testing.T) {
	rules := theRules(t)
	if len(rules) != suffix.Rules {
		t.Errorf("%d rules, and the constant says %d", len(rules), suffix.Rules)
	}
	if !strings.Contains(publicsuffix.List.String(), suffix.Revision) || !strings.Contains(publicsuffix.List.String(), suffix.Date) {
		t.Errorf("the list is %s, and the constants say %s of %s", publicsuffix.List, suffix.Revision, suffix.Date)
	}
	kinds := map[string]int{}
	for _, r := range rules {
		kind, name := "plain", r
		switch {
		case strings.HasPrefix(r, "*."):
			kind, name = "wildcard", r[2:]
		case strings.HasPrefix(r, "!"):
			kind, name = "exception", r[1:]
		}
		kinds[kind]++
		label, parent, _ := strings.Cut(name, ".")
		for _, host := range []string{
			name, "x." + name, "y.x." + name, "z.y.x." + name, "www." + name,
			"x" + name, "x" + name[1:], // another label that ends alike
			parent, "x." + parent, "y.x." + parent, label + "x." + parent, label + "-." + parent,
			name + "x", name + ".x", name + ".com", strings.ReplaceAll(name, ".", "-"),
		} {
			check(t, host)
		}
	}
	for _, kind := range []string{"plain", "wildcard", "exception"} {
		if kinds[kind] < 5 {
			t.Errorf("%d %s rules", kinds[kind], kind)
		}
	}
}

func check(t *testing.T, host string) {
	t.Helper()
	if want, _ := publicsuffix.PublicSuffix(host); host[suffix.Public(host):] != want {
		t.Errorf("Public(%q) = %q, want %q", host, host[suffix.Public(host):], want)
	}
	want, err := publicsuffix.EffectiveTLDPlusOne(host)
	if got, ok := suffix.Registrable(host); got != want || ok != (err == nil) {
		t.Errorf("Registrable(%q) = %q, %t, want %q, %v", host, got, ok, want, err)
	}
}

// The reference has no such question; the rules themselves answer it.
func TestWhatIsWithinAHostFollowsFromTheRules(t *testing.T) {
	shared, known := map[string]bool{}, map[string]bool{}
	for _, r := range theRules(t) {
		name := strings.TrimPrefix(strings.TrimPrefix(r, "!"), "*.")
		known[name] = true
		if r[0] != '!' {
			shared[name] = true
		}
		for _, parent, more := strings.Cut(name, "."); more; _, parent, more = strings.Cut(parent, ".") {
			shared[parent], known[parent] = true, true
		}
	}
	for name := range known {
		got, ok := suffix.Within(name)
		public, _ := publicsuffix.PublicSuffix(got)
		if ok != shared[name] || ok && (public != got || got != name && !strings.HasSuffix(got, "."+name)) {
			t.Errorf("Within(%q) = %q, %t", name, got, ok)
		}
		below := "xyzzy." + name
		public, _ = publicsuffix.PublicSuffix(below)
		if got, ok := suffix.Within(below); ok != (public == below) {
			t.Errorf("Within(%q) = %q, %t", below, got, ok)
		}
	}
}

// theRules fails the test where the list is not as expected.
func theRules(t *testing.T) []string {
	t.Helper()
	rules, err := readRules()
	if err != nil {
		t.Fatal(err)
	}
	return rules
}

func TestRulesThatCanNotBeReadAreNamed(t *testing.T) {
	if _, err := readFile("no-such-file.go"); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}
