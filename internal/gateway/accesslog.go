package gateway

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// logFormat is a compiled format string: each part renders a piece of the line.
type logFormat []func(*stream) string

// logOperators are the command operators that take no argument.
var logOperators = map[string]func(*stream) string{
	"START_TIME":            func(st *stream) string { return st.start.UTC().Format("2006-01-02T15:04:05.000Z") },
	"PROTOCOL":              func(st *stream) string { return strings.TrimSuffix(st.r.Proto, ".0") },
	"RESPONSE_CODE":         func(st *stream) string { return strconv.Itoa(st.status) },
	"RESPONSE_CODE_DETAILS": func(st *stream) string { return strings.ReplaceAll(st.details, " ", "_") },
	"DURATION":              func(st *stream) string { return strconv.FormatInt(time.Since(st.start).Milliseconds(), 10) },
	"UPSTREAM_HOST":         func(st *stream) string { return st.upstreamHost },
}

// operator is %NAME% or %NAME(argument)%.
var operator = regexp.MustCompile(`%%|%([A-Z0-9_]+)(?:\(([^)]*)\))?%`)

func (c *compiler) logFormat(path, text string) logFormat {
	var format logFormat
	literal := func(s string) {
		if strings.Contains(s, "%") {
			c.problems.add(path, fmt.Sprintf("%q is no command operator; write %%%% for a percent sign", s))
		}
		format = append(format, func(*stream) string { return s })
	}
	rest := text
	for rest != "" {
		at := operator.FindStringIndex(rest)
		if at == nil {
			literal(rest)
			break
		}
		if at[0] > 0 {
			literal(rest[:at[0]])
		}
		groups := operator.FindStringSubmatch(rest)
		whole, name, argument := groups[0], groups[1], groups[2]
		rest = rest[at[1]:]
		if whole == "%%" {
			format = append(format, func(*stream) string { return "%" })
			continue
		}
		render := logOperator(name, argument)
		if render == nil {
			c.problems.add(path, fmt.Sprintf("%s is %s", whole, refusal))
			continue
		}
		format = append(format, shownInLine(render))
	}
	return format
}

func logOperator(name, argument string) func(*stream) string {
	switch name {
	case "REQ":
		return headerOperator(argument, func(st *stream, name string) (string, bool) { return st.request.Get(name) })
	case "RESP":
		return headerOperator(argument, func(st *stream, name string) (string, bool) {
			if st.response == nil {
				return "", false
			}
			return st.response.Get(name)
		})
	}
	if argument != "" {
		return nil
	}
	return logOperators[name]
}

// headerOperator renders one header, or a second one in its absence: A?B.
func headerOperator(argument string, get func(*stream, string) (string, bool)) func(*stream) string {
	first, second, _ := strings.Cut(strings.ToLower(argument), "?")
	if first == "" {
		return nil
	}
	return func(st *stream) string {
		value, ok := get(st, first)
		if !ok && second != "" {
			value, _ = get(st, second)
		}
		return value
	}
}

// shownInLine stands a dash in for no value, and escapes what would make of the
// line something else than one line.
func shownInLine(render func(*stream) string) func(*stream) string {
	return func(st *stream) string {
		value := render(st)
		if value == "" {
			return "-"
		}
		return printable(value)
	}
}

func (f logFormat) line(st *stream) string {
	var b strings.Builder
	for _, render := range f {
		b.WriteString(render(st))
	}
	return b.String()
}
