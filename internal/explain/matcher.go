package explain

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"corsfilter/config"
	"corsfilter/internal/automaton"
	"corsfilter/internal/reach"
	"corsfilter/internal/suffix"
)

// maxUnintended is how many unintended origins are shown for a regex that lets anyone in.
const maxUnintended = 5

// Matcher writes what a regex in allow_origins lets in: the registrable domains, if there are
// few, else the shortest unintended origins, and what the module says about it in a policy
// with credentials. refused reports whether the module refuses it there. The error is about
// writing, or about an invalid regex.
func Matcher(w io.Writer, regex string) (refused bool, err error) {
	var builder automaton.Builder
	a, err := builder.Regex(regex, false)
	if err != nil {
		return false, fmt.Errorf("the regex: %w", err)
	}
	var explorer reach.Explorer
	meant := config.SpelledIn(regex)
	found, err := explorer.Explore(a, meant)
	if err != nil {
		return false, fmt.Errorf("the regex: %w", err)
	}
	var b strings.Builder
	switch {
	case found.Any:
		fmt.Fprintf(&b, "lets in %s; the shortest unintended ones:\n", found.Owners())
		for _, s := range unintendedOrigins(&explorer, a, meant) {
			fmt.Fprintf(&b, "  %s\n", s)
		}
	case len(found.Domains) == 0:
		fmt.Fprintln(&b, "lets in no origin that a browser sends (scheme, \"://\", host in lower case, and a port if it is not the scheme's default)")
	default:
		fmt.Fprintf(&b, "lets in %s, and nothing else\n", found.Owners())
		slices.SortFunc(found.Domains, func(x, y reach.Domain) int { return strings.Compare(x.Name, y.Name) })
		for _, d := range found.Domains {
			fmt.Fprintf(&b, "  %-24s such as %s\n", d.Name, d.Example)
		}
	}
	if found.Insecure != "" {
		fmt.Fprintf(&b, "also over plain http: %s\n", found.Insecure)
	}
	if pattern, ok := explorer.Pattern(found); ok {
		fmt.Fprintf(&b, "is equivalent to the pattern %q\n", pattern.String())
	}
	_, _, err = (&config.Source{SourcePolicy: &config.SourcePolicy{
		AllowOrigins: []config.SourceOrigin{{Kind: config.Regex, Value: regex}}, Settings: config.Settings{Credentials: true},
	}}).Compile()
	var problems config.Problems
	if errors.As(err, &problems) {
		fmt.Fprintf(&b, "with allow_credentials it is refused: %s\n", problems[0].Code)
	} else {
		fmt.Fprintln(&b, "with allow_credentials it is accepted")
	}
	fmt.Fprintf(&b, "(public suffix list of %s)\n", suffix.Date)
	_, failed := io.WriteString(w, b.String())
	return len(problems) > 0, failed
}

// unintendedOrigins returns the shortest origin of a domain that was not meant, then the
// shortest of another one, and so on.
func unintendedOrigins(e *reach.Explorer, a *automaton.Automaton, meant func(string) bool) (all []string) {
	known := map[string]bool{}
	for len(all) < maxUnintended {
		found, err := e.Explore(a, func(domain string) bool { return known[domain] || meant(domain) })
		if err != nil || found.Unintended == "" {
			break
		}
		all = append(all, found.Unintended)
		known[reach.Owner(found.Unintended)] = true
	}
	return all
}
