// Package lint finds configurations of the filter in the files that people have
// (a bare configuration, an envoy.yaml, Kubernetes resources), and says for each
// mistake in which line it stands. Which configurations are wrong is the module's
// own parser's verdict; lint adds what only files have. It imports config, YAML
// and the types of the resources' APIs.
package lint

import (
	"errors"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/idna"

	"corsfilter/config"
	"corsfilter/internal/convert"
	"corsfilter/internal/convert/source"
	"corsfilter/internal/suffix"
)

// Severity tells errors, warnings and notes apart.
type Severity string

// The severities. A Note asks for nothing: it says what somebody who moves a
// policy here should know, or that a file was skipped.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
	Note    Severity = "note"
)

// Finding is one mistake, warning or note, with its place in the file.
type Finding struct {
	File     string `json:"file"`
	Line     int    `json:"line"`
	Column   int    `json:"column"`
	Document int    `json:"document"`
	// Config is where the configuration stands in the document.
	Config string `json:"config,omitempty"`
	// Path is the place in the configuration, or in the resource around it.
	Path     string      `json:"path,omitempty"`
	Value    string      `json:"value,omitempty"`
	Code     config.Code `json:"code"`
	Severity Severity    `json:"severity"`
	Reason   string      `json:"reason"`
	Remedy   string      `json:"remedy,omitempty"`

	// more is how many findings this one stands for beside itself.
	more int
}

// Codes that only a file can have.
const (
	NotReadable config.Code = "not-readable"
	NoneFound   config.Code = "no-configuration"
	BadResource config.Code = "bad-resource"
	// NotText is a configuration that reaches the module as something else than JSON.
	NotText     config.Code = "not-text"
	AddedBeside config.Code = "added-beside"
	// OldList is that the public suffix list is over a year old.
	OldList config.Code = "old-suffix-list"
	// Paths is what the connection manager does with the spellings of a path.
	Paths config.Code = "path-spelling"
)

// Check returns what is wrong with the configurations in a file, what is worth a
// warning and what a note, in the order of the lines. required says that a file
// without any configuration is wrong, unless it holds policies of another proxy,
// which are converted; otherwise it gets a note. plugins are names
// of WasmPlugins and wasm filters that are this filter's whatever they hold.
func Check(name string, data []byte, required bool, plugins ...string) (findings []Finding) {
	all, err := read(data, plugins)
	found := all.found
	missing := Note
	if required {
		missing = Error
	}
	switch {
	case err != nil && len(found) == 0 && !required && !mentionsOurs(string(data)):
		findings = append(findings, Finding{File: name, Line: lineOf(err), Column: 1, Document: 1, Code: NoneFound, Severity: Note,
			Reason: "skipped: it cannot be parsed, and does not seem to have a configuration of this filter: " + err.Error()})
	case err != nil:
		findings = append(findings, Finding{File: name, Line: lineOf(err), Column: 1, Document: len(found) + 1, Code: NotReadable, Severity: Error, Reason: err.Error(), Remedy: "fix that first"})
	case len(found) == 0 && required && source.Recognises(convert.File{Name: name, Data: data}):
		return CheckSources([]convert.File{{Name: name, Data: data}})
	case len(found) == 0:
		f := Finding{File: name, Line: 1, Column: 1, Document: 1, Code: NoneFound, Severity: missing, Reason: "the file has no configuration of this filter"}
		if required {
			f.Remedy = "name a file with a plugin configuration, a wasm filter of Envoy, a WasmPlugin, a TrafficExtension, an EnvoyFilter or an EnvoyExtensionPolicy, or one that corsctl convert reads; -plugin NAME checks a plugin of that name whatever its configuration"
		} else {
			f.Reason = "skipped: " + f.Reason
		}
		findings = append(findings, f)
	}
	for _, c := range found {
		findings = slices.Concat(findings, c.check(), c.checkMessage(), c.checkPaths(), c.checkResource())
	}
	findings = append(findings, all.beside()...)
	for i := range findings {
		findings[i].File = name
	}
	slices.SortStableFunc(findings, func(a, b Finding) int {
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Column - b.Column
	})
	return findings
}

// ListAge returns a note on the age of the public suffix list that the checks go by,
// once it is over a year old: names that hand out subdomains since then are not in it.
func ListAge(now time.Time) (note Finding, old bool) {
	of, err := time.Parse(time.DateOnly, suffix.Date)
	if err != nil || now.Before(of.AddDate(1, 0, 0)) {
		return Finding{}, false
	}
	return Finding{Code: OldList, Severity: Note,
		Reason: "the public suffix list of this release is from " + suffix.Date + ", more than a year ago: a wildcard below a newer public suffix is not refused",
		Remedy: "use a newer release of the filter and of corsctl"}, true
}

// Hash is that of the configuration in a file, as the module's start line has it; "" for
// a file that does not hold one alone.
func Hash(data []byte, plugins ...string) string {
	all, err := read(data, plugins)
	if err != nil || len(all.found) != 1 {
		return ""
	}
	c, _, err := config.Parse(all.found[0].JSON)
	if err != nil {
		return ""
	}
	return c.Hash
}

// Count returns how many findings there are of a severity, those that are not
// listed included.
func Count(findings []Finding, severity Severity) (n int) {
	for _, f := range findings {
		if f.Severity == severity {
			n += 1 + f.more
		}
	}
	return n
}

var yamlLine = regexp.MustCompile(`line (\d+)`)

// lineOf takes the line out of a YAML parser's message, or out of one of ours.
func lineOf(err error) int {
	if m := yamlLine.FindStringSubmatch(err.Error()); m != nil {
		if line, _ := strconv.Atoi(m[1]); line > 0 {
			return line
		}
	}
	return 1
}

func (c Configuration) check() (findings []Finding) {
	add := func(problems config.Problems, severity Severity) {
		for _, p := range problems {
			at := c.source.Locate(p.Offset)
			f := Finding{
				Line: at.Line, Column: at.Column, Document: c.Document, Config: c.Place,
				Path: p.Path, Value: p.Value, Code: p.Code, Severity: severity, Reason: p.Reason, Remedy: p.Remedy,
			}
			if p.Code == config.More {
				f.more = p.Rest - 1
			}
			if instead := punycode(p); instead != "" {
				f.Remedy = "write " + strconv.Quote(instead)
			}
			findings = append(findings, f)
		}
	}
	parsed, warnings, err := config.Parse(c.JSON)
	var problems config.Problems
	if errors.As(err, &problems) {
		add(problems, Error)
	}
	add(warnings, Warning)
	if parsed != nil {
		add(parsed.Notes, Note)
	}
	return findings
}

var label = regexp.MustCompile(`[^\s/:*.@\[\]"]*[^\x00-\x7f][^\s/:*.@\[\]"]*`)

// punycode returns an origin or a host with its international labels as browsers
// send them; "" where there are none, or none that a domain may have. The module
// does not do this: the tables would double it.
func punycode(p config.Problem) string {
	if p.Code != config.BadOrigin && p.Code != config.BadHost {
		return ""
	}
	value, err := strconv.Unquote(p.Value)
	if err != nil || !label.MatchString(value) {
		return ""
	}
	fine := true
	ascii := label.ReplaceAllStringFunc(value, func(s string) string {
		converted, err := idna.Lookup.ToASCII(strings.ToLower(s))
		fine = fine && err == nil
		return converted
	})
	if !fine {
		return ""
	}
	return ascii
}
