package config

import (
	"math"
	"strconv"
	"strings"

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

// units are those of a duration, as Go writes it, in nanoseconds.
var units = []struct {
	name string
	ns   int64
}{
	{"ns", 1}, {"us", 1e3}, {"µs", 1e3}, {"μs", 1e3}, {"ms", 1e6}, {"s", 1e9}, {"m", 60e9}, {"h", 3600e9},
}

// wholeSeconds reads seconds, or a duration such as "1h30m" or "1.5h" that is a
// whole number of them: what time.ParseDuration reads. The package time would
// bring system calls and settings of its own into the module, a tenth of its size.
func wholeSeconds(s string) (int64, bool) {
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return n, true
	}
	negative := strings.HasPrefix(s, "-")
	if negative || strings.HasPrefix(s, "+") {
		s = s[1:]
	}
	total := int64(0)
	for more := true; more; more = s != "" {
		ns, rest, ok := nanoseconds(s)
		if !ok || total > math.MaxInt64-ns {
			return 0, false
		}
		total, s = total+ns, rest
	}
	if negative {
		total = -total
	}
	return total / 1e9, total%1e9 == 0
}

// nanoseconds reads a number and its unit. Fractions of a nanosecond are not
// rounded away: they are no whole second.
func nanoseconds(s string) (ns int64, rest string, ok bool) {
	whole, rest := digits(s)
	fraction := ""
	if behind, point := strings.CutPrefix(rest, "."); point {
		fraction, rest = digits(behind)
	}
	fraction = strings.TrimRight(fraction, "0")
	unit := int64(0)
	name := rest[:strings.IndexFunc(rest+"0", func(r rune) bool { return r == '.' || '0' <= r && r <= '9' })]
	for _, u := range units {
		if u.name == name {
			unit = u.ns
		}
	}
	if unit == 0 || len(s) == len(rest) || s[:len(s)-len(rest)] == "." {
		return 0, "", false
	}
	n, err := strconv.ParseInt("0"+whole, 10, 64)
	if err != nil || n > math.MaxInt64/unit {
		return 0, "", false
	}
	ns = n * unit
	for i := 0; i < len(fraction); i++ {
		if unit%10 != 0 {
			return 0, "", false
		}
		unit /= 10
		part := int64(fraction[i]-'0') * unit
		if ns > math.MaxInt64-part {
			return 0, "", false
		}
		ns += part
	}
	return ns, rest[len(name):], true
}

// digits cuts s behind its leading digits.
func digits(s string) (before, after string) {
	i := 0
	for i < len(s) && '0' <= s[i] && s[i] <= '9' {
		i++
	}
	return s[:i], s[i:]
}
