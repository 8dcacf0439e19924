package main

import (
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/go/packages"
)

func sample(t *testing.T, without map[int]bool) ([]mutant, string) {
	t.Helper()
	loaded, err := packages.Load(&packages.Config{
		Mode: packages.NeedName | packages.NeedCompiledGoFiles | packages.NeedSyntax | packages.NeedTypes | packages.NeedTypesInfo | packages.NeedImports | packages.NeedDeps,
	}, "./testdata/sample")
	if err != nil || len(loaded[0].Errors) > 0 {
		t.Fatal(err, loaded[0].Errors)
	}
	root, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	mutants, files, next, err := find(loaded[0], root, "sample", 1, without)
	if err != nil || len(files) != 1 {
		t.Fatal(err, len(files))
	}
	if next != 1+len(mutants)+len(without) {
		t.Errorf("the next is %d, after %d", next, len(mutants))
	}
	for _, text := range files {
		return mutants, string(text)
	}
	return nil, ""
}

func TestEveryPlaceIsFlipped(t *testing.T) {
	mutants, text := sample(t, nil)
	var got []string
	for _, m := range mutants {
		got = append(got, m.change)
		if m.in != "decide" && m.in != "tell" || !strings.HasSuffix(m.file, "testdata/sample/sample.go") {
			t.Errorf("%+v", m)
		}
	}
	want := []string{
		"limit -> limit+1", "n < limit -> n <= limit", "n < limit -> !(n < limit)", `"x" -> "x"+"~"`, `s != "x" -> !(s != "x")`,
		`n < limit && s != "x" -> n < limit || s != "x"`, "deep -> !(deep)", `n < limit && s != "x" || !deep -> n < limit && s != "x" && !deep`,
		"7 -> 7+1", `"y" -> "y"+"~"`, "2 -> 2+1", "5 -> 5+1", "0 -> 0+1", "n > 0 -> n >= 0", "n > 0 -> !(n > 0)",
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q\nwant\n%q", got, want)
	}
	for _, part := range []string{
		`mutant_.Or(8, mutant_.And(6, mutant_.Not(3, mutant_.Less(2, n, mutant_.Add[int](1, limit))), func() bool {`,
		`return mutant_.Add[size](9, 7)`, `case mutant_.Text[string](10, "y"):`, `range mutant_.Add[int](11, 2)`, "\ttell(mutant_.Add[int](12, 5))\n", `panic("a message of words")`, `[]string{"a", "b"}`,
	} {
		if !strings.Contains(text, part) {
			t.Errorf("%s is missing in\n%s", part, text)
		}
	}
}

func TestWhatDoesNotCompileIsLeftOutUnderItsNumber(t *testing.T) {
	all, _ := sample(t, nil)
	some, text := sample(t, map[int]bool{2: true, 9: true})
	want := slices.DeleteFunc(slices.Clone(all), func(m mutant) bool { return m.id == 2 || m.id == 9 })
	if !slices.Equal(some, want) || strings.Contains(text, "Less(2") || strings.Contains(text, "(9,") {
		t.Errorf("%+v\nwant %+v\n%s", some, want, text)
	}
}

func TestExplanations(t *testing.T) {
	known, err := explanations("# a comment\n\na/b.go f: x -> y # because # of it\n")
	if err != nil || len(known) != 1 || known["a/b.go f: x -> y # because"] != "of it" {
		t.Errorf("%q, %v", known, err)
	}
	if _, err := explanations("a/b.go f: x -> y"); err == nil || !strings.Contains(err.Error(), "line 1") {
		t.Errorf("%v", err)
	}
	if _, err := explanations(explained); err != nil {
		t.Error(err)
	}
}
