package main

import (
	"cmp"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"strings"

	"corsfilter/internal/lint"
)

// outcome is one row of a command's findings, in a form that other programs can show with
// those of other tools.
type outcome struct {
	name         string        // "": its place is all the name it has
	severity     lint.Severity // "": as it should be
	code         string
	file         string // "": it stands in none
	line, column int
	message      string
	detail       string // of several lines
}

// writeOutcomes writes rows as junit or github has them, or else a value as JSON.
func writeOutcomes(w io.Writer, format, suite string, all []outcome, value any) error {
	switch format {
	case "github":
		return writeGitHub(w, all)
	case "junit":
		return writeJUnit(w, suite, all)
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(value)
}

// writeGitHub writes commands that show rows in the lines of a change, in the form of
// GitHub's runners, which others read as well.
func writeGitHub(w io.Writer, all []outcome) error {
	commands := map[lint.Severity]string{lint.Error: "error", lint.Warning: "warning", lint.Note: "notice"}
	data := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	property := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
	var b strings.Builder
	for _, o := range all {
		if o.severity == "" {
			continue
		}
		place, message := "", o.message
		if o.name != "" {
			message = o.name + ": " + message
		}
		if o.file != "" {
			place = fmt.Sprintf("file=%s,line=%d,col=%d,", property.Replace(o.file), o.line, o.column)
		}
		fmt.Fprintf(&b, "::%s %stitle=%s::%s\n", commands[o.severity], place, property.Replace("corsctl: "+o.code), data.Replace(message))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// junitSuite is a report in the form of JUnit's, as far as all who read it agree.
type junitSuite struct {
	XMLName  xml.Name    `xml:"testsuite"`
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Name    string        `xml:"name,attr"`
	Class   string        `xml:"classname,attr"`
	File    string        `xml:"file,attr,omitempty"`
	Line    int           `xml:"line,attr,omitempty"`
	Failure *junitFailure `xml:"failure"`
	Out     string        `xml:"system-out,omitempty"`
}

type junitFailure struct {
	Type    string `xml:"type,attr"`
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

// writeJUnit writes rows as test cases, of which errors are failures.
func writeJUnit(w io.Writer, suite string, all []outcome) error {
	s := junitSuite{Name: suite, Tests: len(all)}
	for _, o := range all {
		c := junitCase{Name: cmp.Or(o.name, fmt.Sprintf("%s:%d:%d", o.file, o.line, o.column)), Class: suite, File: o.file, Line: o.line}
		if o.severity == lint.Error {
			s.Failures++
			c.Failure = &junitFailure{Type: o.code, Message: o.message, Text: o.detail}
		} else {
			c.Out = o.message
		}
		s.Cases = append(s.Cases, c)
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	e := xml.NewEncoder(w)
	e.Indent("", "  ")
	if err := e.Encode(s); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}
