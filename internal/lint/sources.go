package lint

import (
	"strings"

	"corsfilter/config"
	"corsfilter/internal/convert"
	"corsfilter/internal/convert/source"
)

// Codes of policies that are written for another proxy.
const (
	Converted      config.Code = "converted"
	NotConvertible config.Code = "not-convertible"
)

// CheckSources checks the configuration that [source.Convert] makes of files, with
// the lines of the source.
func CheckSources(files []convert.File) (findings []Finding) {
	result, problems := source.Convert(files, convert.Options{})
	for _, p := range problems {
		f := Finding{
			File: p.File, Line: p.Line, Column: p.Column, Document: p.Document, Config: p.Source,
			Code: NotConvertible, Severity: Error, Reason: p.What, Remedy: p.Remedy, more: p.More,
		}
		if p.Waiver != "" {
			f.Code = p.Waiver
		}
		findings = append(findings, f)
	}
	if result == nil {
		return findings
	}
	first := result.Rules[0].From[0]
	findings = append(findings, Finding{
		File: first.File, Line: first.Line, Column: first.Column, Document: first.Document, Code: Converted, Severity: Note,
		Reason: "converted from " + strings.Join(result.Sources(), ", "), Remedy: "corsctl convert prints the configuration, and what changes",
	})
	c, warnings, _ := result.Source.Compile() // it is accepted, or there were no result
	for _, list := range []struct {
		problems config.Problems
		severity Severity
	}{{warnings, Warning}, {c.Notes, Note}} {
		for _, p := range list.problems {
			from := result.Locate(p.Path)
			f := Finding{
				File: from.File, Line: from.Line, Column: from.Column, Document: from.Document, Config: from.Source,
				Value: p.Value, Code: p.Code, Severity: list.severity, Reason: p.Reason, Remedy: p.Remedy,
			}
			if f.File == "" {
				f.File = first.File
			}
			if p.Code == config.More {
				f.more = p.Rest - 1
			}
			findings = append(findings, f)
		}
	}
	return findings
}
