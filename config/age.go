package config

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/tidwall/gjson"
)

// longestCached is the longest time, in seconds, for which any browser caches a
// preflight: Firefox takes 24 hours, Chromium two.
const longestCached = 86400

// maxAge reads seconds or a duration, as written. A number is kept as plain digits if
// possible.
func (p *parser) maxAge(v value) Age {
	switch v.Type {
	case gjson.Number:
		if n, ok := whole(v.Raw); ok {
			return Age(strconv.FormatInt(n, 10))
		}
		return Age(v.Raw)
	case gjson.String:
		if v.Str == "" {
			p.fail(v.place, v.Raw, BadValue, notSeconds, ageRemedy)
		}
		return Age(v.Str)
	}
	p.wrongType(v, "seconds or a duration")
	return ""
}

const (
	notSeconds = "is not a whole number of seconds"
	ageRemedy  = `write seconds, such as 600, or a duration, such as "10m"`
)

// compileAge makes the value of the response field. Access-Control-Max-Age is
// delta-seconds (Fetch, section 3.3.3), which has no sign: -1, which some servers send
// for "do not cache", is sent as 0.
func (p *parser) compileAge(s *SourcePolicy, policy *Policy) {
	if s.MaxAge == "" {
		return
	}
	const setting = "max_age"
	switch seconds, ok := wholeSeconds(string(s.MaxAge)); {
	case !ok:
		p.fail(s.at(setting), s.written(setting), BadValue, notSeconds, ageRemedy)
	case seconds < -1 || seconds > math.MaxInt32:
		p.fail(s.at(setting), s.written(setting), OutOfRange, "is not from -1 to "+strconv.Itoa(math.MaxInt32)+" seconds", ageRemedy)
	default:
		if seconds > longestCached {
			p.warn(s.at(setting), s.written(setting), NoEffect, "no browser caches a preflight for more than 24 hours", "write 86400 or less")
		}
		policy.MaxAge = strconv.FormatInt(max(seconds, 0), 10)
	}
}

// wholeSeconds reads seconds in digits, or a duration such as "1h30m" that is a whole number
// of seconds. Blanks around it do not belong to a field's value (RFC 9110, section 5.5). A
// plus sign is not a digit, and browsers read no number that has one.
func wholeSeconds(s string) (int64, bool) {
	s = strings.Trim(s, " \t")
	if strings.HasPrefix(s, "+") {
		return 0, false
	}
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return n, true
	}
	d, err := time.ParseDuration(s)
	return int64(d / time.Second), err == nil && d%time.Second == 0
}
