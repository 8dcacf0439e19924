package gateway

import (
	"fmt"
	"net"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// logFormat is a compiled format string: each part renders a piece of the line.
type logFormat []func(*stream) string

// defaultLogFormat is Envoy's.
const defaultLogFormat = `[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" ` +
	`%RESPONSE_CODE% %RESPONSE_FLAGS% %BYTES_RECEIVED% %BYTES_SENT% %DURATION% ` +
	`%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" ` +
	`"%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%"` + "\n"

// logOperators are the command operators that take no argument.
var logOperators = map[string]func(*stream) string{
	"START_TIME":            func(st *stream) string { return st.start.UTC().Format("2006-01-02T15:04:05.000Z") },
	"PROTOCOL":              func(st *stream) string { return protocolName(st) },
	"RESPONSE_CODE":         func(st *stream) string { return strconv.Itoa(st.status) },
	"RESPONSE_CODE_DETAILS": func(st *stream) string { return strings.ReplaceAll(st.details, " ", "_") },
	"RESPONSE_FLAGS":        func(st *stream) string { return st.flags },
	"BYTES_RECEIVED":        func(st *stream) string { return strconv.FormatInt(st.received.Load(), 10) },
	"BYTES_SENT":            func(st *stream) string { return strconv.FormatInt(st.sent.Load(), 10) },
	"DURATION":              func(st *stream) string { return strconv.FormatInt(time.Since(st.start).Milliseconds(), 10) },
	"UPSTREAM_HOST":         func(st *stream) string { return st.upstreamHost },
	"UPSTREAM_CLUSTER": func(st *stream) string {
		if st.route == nil || st.route.cluster == nil {
			return ""
		}
		return st.route.cluster.name
	},
	"ROUTE_NAME": func(st *stream) string {
		if st.route == nil {
			return ""
		}
		return st.route.name
	},
	"VIRTUAL_HOST_NAME": func(st *stream) string {
		if st.route == nil {
			return ""
		}
		return st.route.virtualHost
	},
	"DOWNSTREAM_REMOTE_ADDRESS": func(st *stream) string { return st.r.RemoteAddr },
	"DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT": func(st *stream) string {
		address, _, _ := net.SplitHostPort(st.r.RemoteAddr)
		return address
	},
	"DOWNSTREAM_LOCAL_ADDRESS": (*stream).localAddress,
}

// operator is %NAME%, %NAME(argument)% or %NAME(argument):limit%.
var operator = regexp.MustCompile(`%%|%([A-Z0-9_]+)(?:\(([^)]*)\))?(?::([0-9]+))?%`)

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
		whole, name, argument, limit := groups[0], groups[1], groups[2], groups[3]
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
		format = append(format, limited(render, limit))
	}
	return format
}

func logOperator(name, argument string) func(*stream) string {
	switch name {
	case "REQ", "REQUEST_HEADER":
		return headerOperator(argument, func(st *stream, name string) (string, bool) { return st.request.Get(name) })
	case "RESP", "RESPONSE_HEADER":
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

// limited cuts a value to a length in bytes, stands a dash in for none, and
// escapes what would make of the line something else than one line.
func limited(render func(*stream) string, limit string) func(*stream) string {
	n, err := strconv.Atoi(limit)
	return func(st *stream) string {
		value := render(st)
		if value == "" {
			return "-"
		}
		if err == nil && len(value) > n {
			value = value[:n]
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

func protocolName(st *stream) string {
	if st.r.ProtoMajor == 2 {
		return "HTTP/2"
	}
	return st.r.Proto
}
