package suffix

import (
	"flag"
	"os"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/net/idna"
)

const (
	listFile  = "public_suffix_list.dat"
	tableFile = "table.bin"
	dateFile  = "list.go"
)

var update = flag.Bool("update", false, "rewrite "+tableFile+" and "+dateFile)

// listed are the rules of public_suffix_list.dat in its order, in ASCII, and its date.
// It fails the test where the file is not the whole list: what is cut short would let
// in what it forbids.
func listed(t testing.TB) (rules []string, date string) {
	t.Helper()
	content, err := os.ReadFile(listFile)
	if err != nil {
		t.Fatal(err)
	}
	marks := 0
	for line := range strings.Lines(string(content)) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "// ==="):
			marks++ // where each of the two parts begins and ends
		case strings.HasPrefix(line, "// VERSION: "):
			date, _, _ = strings.Cut(strings.TrimPrefix(line, "// VERSION: "), "_")
		case line != "" && !strings.HasPrefix(line, "//"):
			rule, err := idna.ToASCII(strings.Fields(line)[0])
			if err != nil {
				t.Fatal(err)
			}
			rules = append(rules, rule)
		}
	}
	if !regexp.MustCompile(`^20\d\d-\d\d-\d\d$`).MatchString(date) || marks != 4 || len(rules) < 9000 {
		t.Fatalf("%s is not the whole list: its date is %q, and it has %d rules and %d marks", listFile, date, len(rules), marks)
	}
	return rules, date
}

// TestTheTableIsOfTheList writes the table with -update.
func TestTheTableIsOfTheList(t *testing.T) {
	rules, date := listed(t)
	want := compile(rules)
	if *update {
		dated := "// Code generated from " + listFile + "; DO NOT EDIT.\n\npackage suffix\n\n// Date is that of the list.\nconst Date = \"" +
			date + "\"\n"
		for name, content := range map[string]string{tableFile: want, dateFile: dated} {
			if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		t.Logf("%d rules of %s in %d bytes", len(rules), date, len(want))
		return
	}
	if table != want || Date != date {
		t.Errorf("%s and %s are not of %s of %s; run go generate ./internal/suffix", tableFile, dateFile, listFile, date)
	}
	if len(table) > 52<<10 {
		t.Errorf("the table has %d bytes", len(table))
	}
}

// reference is the algorithm as publicsuffix.org describes it, over the list.
type reference map[string]bool

func newReference(t testing.TB) reference {
	r := reference{}
	rules, _ := listed(t)
	for _, rule := range rules {
		r[rule] = true
	}
	return r
}

// public returns the public suffix of a host: the longest rule that matches decides,
// or an exception.
func (r reference) public(host string) string {
	for name := host; ; {
		_, parent, more := strings.Cut(name, ".")
		switch {
		case r["!"+name]:
			return parent
		case r[name], more && r["*."+parent], !more:
			return name
		}
		name = parent
	}
}

// registrable has one label more; it is empty for a public suffix.
func (r reference) registrable(host string) string {
	public := r.public(host)
	if public == host {
		return ""
	}
	labels := strings.Split(strings.TrimSuffix(host, "."+public), ".")
	return labels[len(labels)-1] + "." + public
}

func (r reference) check(t *testing.T, host string) {
	t.Helper()
	if want := r.public(host); host[Public(host):] != want {
		t.Errorf("Public(%q) = %q, want %q", host, host[Public(host):], want)
	}
	want := r.registrable(host)
	if got, ok := Registrable(host); got != want || ok != (want != "") {
		t.Errorf("Registrable(%q) = %q, %t, want %q", host, got, ok, want)
	}
}

func TestEveryRuleIsLookedUpAsTheReferenceDoes(t *testing.T) {
	r := newReference(t)
	kinds := map[string]int{}
	for rule := range r {
		kind, name := "plain", rule
		switch {
		case strings.HasPrefix(rule, "*."):
			kind, name = "wildcard", rule[2:]
		case strings.HasPrefix(rule, "!"):
			kind, name = "exception", rule[1:]
		}
		kinds[kind]++
		label, parent, below := strings.Cut(name, ".")
		hosts := []string{
			name, "x." + name, "y.x." + name, "z.y.x." + name, "www." + name,
			"x" + name, "x" + name[1:], // another label that ends alike
			name + "x", name + ".x", name + ".com", strings.ReplaceAll(name, ".", "-"),
		}
		if below {
			hosts = append(hosts, parent, "x."+parent, "y.x."+parent, label+"x."+parent, label+"-."+parent)
		}
		for _, host := range hosts {
			r.check(t, host)
		}
	}
	for _, kind := range []string{"plain", "wildcard", "exception"} {
		if kinds[kind] < 5 {
			t.Errorf("%d %s rules", kinds[kind], kind)
		}
	}
}

// TestVectors are those that the list's maintainers publish with it. Those of hosts
// that never arrive here, with capitals or a dot in front, are left out.
func TestVectors(t *testing.T) {
	content, err := os.ReadFile("testdata/test_psl.txt")
	if err != nil {
		t.Fatal(err)
	}
	vectors := regexp.MustCompile(
		`(?m)^checkPublicSuffix\('([^'A-Z.][^'A-Z]*)', (?:null|'([^']*)')\);`,
	).FindAllStringSubmatch(string(content), -1)
	for _, v := range vectors {
		host, err1 := idna.ToASCII(v[1])
		want, err2 := idna.ToASCII(v[2])
		if got, ok := Registrable(host); got != want || ok != (want != "") || err1 != nil || err2 != nil {
			t.Errorf("Registrable(%q) = %q, %t, want %q", host, got, ok, want)
		}
	}
	if len(vectors) < 60 {
		t.Errorf("%d vectors are read", len(vectors))
	}
}

// The reference has no such question; the rules themselves answer it.
func TestWhatIsWithinAHostFollowsFromTheRules(t *testing.T) {
	r := newReference(t)
	shared, known := map[string]bool{}, map[string]bool{}
	for rule := range r {
		name := strings.TrimPrefix(strings.TrimPrefix(rule, "!"), "*.")
		known[name] = true
		if rule[0] != '!' {
			shared[name] = true
		}
		for _, parent, more := strings.Cut(name, "."); more; _, parent, more = strings.Cut(parent, ".") {
			shared[parent], known[parent] = true, true
		}
	}
	for name := range known {
		got, ok := Within(name)
		if ok != shared[name] || ok && (r.public(got) != got || got != name && !strings.HasSuffix(got, "."+name)) {
			t.Errorf("Within(%q) = %q, %t", name, got, ok)
		}
		below := "xyzzy." + name
		if got, ok := Within(below); ok != (r.public(below) == below) {
			t.Errorf("Within(%q) = %q, %t", below, got, ok)
		}
	}
}
