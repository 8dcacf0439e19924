package config

import (
	"math"
	"strconv"
	"time"

	"github.com/tidwall/gjson"
)

// longestCached is the longest time, in seconds, for which any browser caches a
// preflight: Firefox takes 24 hours, Chromium two.
const longestCached = 86400

// maxAge reads seconds or a duration and returns the value of the response
// field. Access-Control-Max-Age is delta-seconds (Fetch, section 3.3.3), which
// has no sign: -1, which some servers send for "do not cache", is sent as 0.
func (p *parser) maxAge(v value) string {
	remedy := `write seconds, such as 600, or a duration, such as "10m"`
	var seconds int64
	var ok bool
	switch v.Type {
	case gjson.Number:
		seconds, ok = whole(v.Raw)
	case gjson.String:
		seconds, ok = wholeSeconds(v.Str)
	default:
		p.wrongType(v, "seconds or a duration")
		return ""
	}
	switch {
	case !ok:
		p.fail(v.place, v.Raw, BadValue, "is no whole number of seconds", remedy)
		return ""
	case seconds < -1 || seconds > math.MaxInt32:
		p.fail(v.place, v.Raw, OutOfRange, "is not from -1 to "+strconv.Itoa(math.MaxInt32)+" seconds", remedy)
		return ""
	case seconds > longestCached:
		p.warn(v.place, v.Raw, NoEffect, "no browser caches a preflight for more than 24 hours", "write 86400 or less")
	}
	return strconv.FormatInt(max(seconds, 0), 10)
}

// wholeSeconds reads seconds, or a duration such as "1h30m" that is a whole number of
// them.
func wholeSeconds(s string) (int64, bool) {
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return n, true
	}
	d, err := time.ParseDuration(s)
	return int64(d / time.Second), err == nil && d%time.Second == 0
}
