package convert

import (
	"cmp"
	"errors"
	"regexp"
	"slices"
	"strings"

	"corsfilter/config"
)

// Spelling is how a source writes origins, so that remedies can be copied into it.
type Spelling struct {
	// Exact and Regex write one that is compared whole.
	Exact, Regex func(text string) string
	// Search says that regexes are looked for anywhere in an origin, unless they have ^ and $.
	Search bool
}

var (
	// A pattern as people write it, with a star for the labels in front of a name.
	starred = regexp.MustCompile(`^(?:([a-z][a-z0-9+.-]*)://)?\*\.?([A-Za-z0-9-]+(?:\\?\.[A-Za-z0-9-]+)*)(:[0-9]+|:\*)?/?$`)
	origin  = regexp.MustCompile(`^[a-z][a-z0-9+.-]*://(localhost|[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+)(:[0-9]+)?$`)
)

// subdomains is the regex that is meant by a pattern with a star in front of a name, and an
// origin that it matches; "" where the text is none.
func subdomains(text string) (regex, example string) {
	m := starred.FindStringSubmatch(text)
	if m == nil {
		return "", ""
	}
	scheme, host, port := m[1], strings.ReplaceAll(m[2], `\`, ""), m[3]
	if scheme == "" {
		scheme = "https"
	}
	regex, example = scheme+`://[a-z0-9.-]+\.`+regexp.QuoteMeta(host), scheme+"://pr-1."+host
	if port == ":*" {
		return regex + `(:[0-9]+)?`, example
	}
	return regex + port, example + port
}

// remedy says how to write an origin that is refused; "" if the usual remedy will do.
func (w *Spelling) remedy(o config.SourceOrigin, code config.Code) string {
	if w == nil {
		return ""
	}
	if o.Kind != config.Regex { // which keeps its letters; browsers send lower case
		o.Value = strings.ToLower(o.Value)
	}
	meant, example := subdomains(o.Value)
	switch {
	case o.Kind == config.Regex && meant != "" && !matches(o.Value, example):
		return "it is a regex, and does not match " + example + "; write " + w.Regex(meant) + " if its subdomains are meant"
	case o.Kind == config.Regex && code == config.AnyOrigin && w.Search && strings.Trim(o.Value, ".*") != o.Value:
		core := strings.TrimSuffix(strings.TrimPrefix(o.Value, ".*"), ".*")
		return "the regex is looked for anywhere in the origin: write ^ in front and $ behind, as " + w.Regex(cmp.Or(bounded(core), core))
	case o.Kind == config.Regex && code == config.AnyOrigin:
		if better := bounded(o.Value); better != "" {
			return "write the dots of names as " + `\.` + ", and a whole label in front, such as " + w.Regex(better)
		}
		return "write a regex that ends in a name of yours, such as " + w.Regex(`https://[a-z0-9.-]+\.example\.com`)
	case meant != "" && (o.Kind == config.Exact || o.Kind == config.Prefix || o.Kind == config.Suffix):
		return "a star stands for itself there; write " + w.Regex(meant) + " if its subdomains are meant"
	case o.Kind == config.Prefix && origin.MatchString(o.Value):
		return "write " + w.Exact(o.Value) + " for that origin alone, or " + w.Regex(regexp.QuoteMeta(o.Value)+`(:[0-9]+)?`) + " for any port"
	case o.Kind == config.Prefix || o.Kind == config.Contains:
		return "write the whole origins, each as " + w.Exact("https://example.com") + ", or those below a name as " + w.Regex(`https://[a-z0-9.-]+\.example\.com`)
	case o.Kind == config.Suffix:
		name, below := strings.CutPrefix(o.Value, ".")
		if below {
			return "write " + w.Regex(`https://[a-z0-9.-]+\.`+regexp.QuoteMeta(name)) + ", with its scheme and a whole label in front"
		}
		return "write " + w.Regex(`https://([a-z0-9.-]+\.)?`+regexp.QuoteMeta(name)) + " for the name and those below it"
	}
	return ""
}

var (
	bareDot  = regexp.MustCompile(`(^|[^\\])\.($|[^*+?{])`)
	schemed  = regexp.MustCompile(`^[a-z?()|:]+://`)
	anything = regexp.MustCompile(`(?:\.[*+]|\(\.[*+]\))(\\\.)?`)
)

// bounded is a regex that accepts what one is meant for and that can be decided with
// credentials; "" if that is not clear.
func bounded(regex string) string {
	text := strings.TrimSuffix(strings.TrimPrefix(regex, "^"), "$")
	for bareDot.MatchString(text) {
		text = bareDot.ReplaceAllString(text, `${1}\.${2}`)
	}
	text = anything.ReplaceAllStringFunc(text, func(found string) string {
		if strings.HasSuffix(found, `\.`) {
			return `[a-z0-9.-]+\.`
		}
		return `([a-z0-9.-]+\.)?` // the name alone is meant as well
	})
	if strings.Contains(text, `\.-`) || strings.Contains(text, `?-`) { // no label begins with a hyphen
		return ""
	}
	alone := &config.SourcePolicy{AllowOrigins: []config.SourceOrigin{RegexOrigin(text)}, Settings: config.Settings{Credentials: true}}
	_, _, err := (&config.Source{SourcePolicy: alone}).Compile()
	var problems config.Problems
	if errors.As(err, &problems) && slices.ContainsFunc(problems, func(p config.Problem) bool { return p.Code != config.InsecureOrigin }) || text == regex || !schemed.MatchString(text) {
		return ""
	}
	return text
}

// matches reports whether a regex matches a whole text.
func matches(regex, text string) bool {
	re, err := regexp.Compile(`\A(?:` + regex + `)\z`)
	return err == nil && re.MatchString(text)
}

// LooksLikePattern reports a regex that looks like a pattern and matches something else.
func (p *Policy) LooksLikePattern(text, project string) {
	if meant, example := subdomains(text); meant != "" && !matches(text, example) {
		p.Change(ReadAsRegex, "the origin "+text+" is a regex in "+project+", and is carried over as one: it does not match "+example+"; write "+meant+" if its subdomains are meant")
	}
}
