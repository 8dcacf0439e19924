package lint

import (
	"errors"
	"regexp"
	"slices"
	"strconv"

	"corsfilter/config"
)

// Severity tells errors from warnings.
type Severity string

// The severities.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
)

// Finding is one mistake or warning, with its place in the file.
type Finding struct {
	File     string `json:"file"`
	Line     int    `json:"line"`
	Column   int    `json:"column"`
	Document int    `json:"document"`
	// Config is where the configuration stands in the document.
	Config string `json:"config,omitempty"`
	// Path is the place in the configuration.
	Path     string      `json:"path,omitempty"`
	Value    string      `json:"value,omitempty"`
	Code     config.Code `json:"code"`
	Severity Severity    `json:"severity"`
	Reason   string      `json:"reason"`
	Remedy   string      `json:"remedy,omitempty"`
}

// Codes that only a file can have.
const (
	NotReadable config.Code = "not-readable"
	NoneFound   config.Code = "no-configuration"
)

// Check returns what is wrong with the configurations in a file, and what is worth
// a warning, in the order of the lines. A file without any configuration is wrong.
func Check(name string, data []byte) (findings []Finding) {
	found, err := Find(data)
	if err != nil {
		findings = append(findings, Finding{File: name, Line: lineOf(err), Column: 1, Document: len(found) + 1, Code: NotReadable, Severity: Error, Reason: err.Error(), Remedy: "mend the YAML first"})
	} else if len(found) == 0 {
		findings = append(findings, Finding{File: name, Line: 1, Column: 1, Document: 1, Code: NoneFound, Severity: Error,
			Reason: "no configuration of this filter is in the file",
			Remedy: "name a file with a plugin configuration, a wasm filter of Envoy, a WasmPlugin, an EnvoyFilter or an EnvoyExtensionPolicy"})
	}
	for _, c := range found {
		for _, f := range c.check() {
			f.File = name
			findings = append(findings, f)
		}
	}
	slices.SortStableFunc(findings, func(a, b Finding) int {
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Column - b.Column
	})
	return findings
}

var yamlLine = regexp.MustCompile(`line (\d+)`)

// lineOf takes the line out of a YAML parser's message.
func lineOf(err error) int {
	if m := yamlLine.FindStringSubmatch(err.Error()); m != nil {
		line, _ := strconv.Atoi(m[1])
		return line
	}
	return 1
}

func (c Configuration) check() (findings []Finding) {
	add := func(p config.Problem, severity Severity) {
		at := c.source.locate(p.Path, p.Code == config.DuplicateKey)
		if text, ok := c.source.(jsonSource); ok && p.Code == config.Malformed {
			at = text.malformed(p.Reason)
		}
		findings = append(findings, Finding{
			Line: at.line, Column: at.column, Document: c.Document, Config: c.Place,
			Path: p.Path, Value: p.Value, Code: p.Code, Severity: severity, Reason: p.Reason, Remedy: p.Remedy,
		})
	}
	_, warnings, err := config.Parse(c.JSON)
	var problems config.Problems
	if errors.As(err, &problems) {
		for _, p := range problems {
			add(p, Error)
		}
	}
	for _, p := range warnings {
		add(p, Warning)
	}
	return findings
}

var lineColumn = regexp.MustCompile(`line (\d+), column (\d+)`)

// malformed takes the place out of the message about broken JSON.
func (s jsonSource) malformed(reason string) position {
	m := lineColumn.FindStringSubmatch(reason)
	if m == nil {
		return s.position(0)
	}
	line, _ := strconv.Atoi(m[1])
	column, _ := strconv.Atoi(m[2])
	at := s.position(0)
	if s.indent < 0 {
		return at
	}
	at.line += line - 1
	at.column = column + s.indent
	return at
}
