package explain

import (
	"fmt"
	"io"
	"strings"

	"corsfilter/internal/browser"
)

// Text writes the report for people.
func (report *Report) Text(w io.Writer) error {
	var b strings.Builder
	if report.Policy != "" { // else no exchange was looked at
		report.exchanges(&b)
	}
	fmt.Fprintf(&b, "%s\n", report.Verdict)
	for _, d := range report.Engines {
		fmt.Fprintf(&b, "browsers differ: %s\n", d.Says)
	}
	if report.Otherwise != "" {
		fmt.Fprintf(&b, "%s\n", report.Otherwise)
	}
	if len(report.Causes) > 0 {
		b.WriteString("likely causes:\n")
		for _, cause := range report.Causes {
			fmt.Fprintf(&b, "  - %s\n", cause)
		}
	}
	if report.Remedy != "" {
		fmt.Fprintf(&b, "remedy: %s\n", report.Remedy)
	}
	if len(report.Changes) > 0 {
		where := "in the settings at the top level"
		if report.Rule != "" {
			where = fmt.Sprintf("in the policy of the rule %q", report.Rule)
		}
		fmt.Fprintf(&b, "tried, with these lines %s:\n", where)
		for _, c := range report.Changes {
			fmt.Fprintf(&b, "  %s\n", c.Line)
		}
	}
	switch {
	case report.ReadsAll:
		b.WriteString("the script may read: every header except set-cookie\n")
	case len(report.Readable) > 0:
		fmt.Fprintf(&b, "the script may read, if the response has them: %s\n", strings.Join(report.Readable, ", "))
	}
	for _, note := range report.Notes {
		fmt.Fprintf(&b, "note: %s\n", note)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (report *Report) exchanges(b *strings.Builder) {
	fmt.Fprintf(b, "policy: %s\n", report.Policy)
	switch {
	case report.Preflight != nil:
		fmt.Fprintf(b, "\nthe browser sends a preflight, since %s\n", strings.Join(report.WhyPreflight, ", and "))
		report.Preflight.text(b)
	case report.WebSocket:
		b.WriteString("\nthe browser sends a WebSocket handshake, without a preflight\n")
	case report.SameOrigin:
		b.WriteString("\nthe page calls its own origin: the browser sends the request without a preflight\n")
	default:
		b.WriteString("\nthe browser sends the request without a preflight\n")
	}
	if report.Request != nil {
		if report.Preflight != nil {
			fmt.Fprintf(b, "\nthe browser sends the request, and no further preflight for %d seconds\n", report.PreflightSeconds)
		}
		report.Request.text(b)
	}
	b.WriteString("\n")
}

func (s *Stage) text(b *strings.Builder) {
	x := s.Exchange
	fmt.Fprintf(b, "  > %s %s%s\n", x.Method, value(x.Request, ":authority"), value(x.Request, ":path"))
	for _, h := range x.Request {
		if !strings.HasPrefix(h.Name, ":") {
			fmt.Fprintf(b, "  > %s: %s\n", h.Name, h.Value)
		}
	}
	b.WriteString("  filter\n")
	for _, step := range s.Filter {
		fmt.Fprintf(b, "    - %s\n", step)
	}
	if len(x.Counters) > 0 {
		fmt.Fprintf(b, "    - counted in %s\n", strings.Join(x.Counters, ", "))
	}
	if s.Unknown {
		b.WriteString("  < what upstream answers\n  browser\n    checks the CORS headers that upstream sends (-upstream-header names them)\n")
		return
	}
	details := ""
	if x.Details != "" {
		details = " (" + x.Details + ")"
	}
	if x.Forwarded {
		details = " (from upstream, for example)"
	}
	fmt.Fprintf(b, "  < %d%s\n", x.Status, details)
	for _, h := range x.Response {
		fmt.Fprintf(b, "  < %s: %s\n", h.Name, h.Value)
	}
	b.WriteString("  browser\n")
	for _, step := range s.Browser.Steps {
		mark := "ok  "
		if !step.Passed {
			mark = "FAIL"
		}
		fmt.Fprintf(b, "    %s %s: %s\n", mark, step.Check, step.Why)
	}
}

func value(headers []browser.Header, name string) string {
	for _, h := range headers {
		if h.Name == name {
			return h.Value
		}
	}
	return ""
}
