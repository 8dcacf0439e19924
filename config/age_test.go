package config

import (
	"math/big"
	"regexp"
	"testing"
	"time"
)

var durations = []string{
	"0", "-0", "+5", "", "-", "+", "s", ".s", "1", "1.", "1.s", ".5s", "0.5m", "1.5h", "-1.5h", "+10m", "1h30m10s", "1h1h", "500ms", "1000ms", "1000000us", "1000000µs", "1000000μs", "1000000000ns",
	"1.0000000000s", "1.0000000001s", "0.00000000001h", "1.9999999999s", "0.33333333333333333333h", "1e3s", "1s1", "1 s", " 1s", "1S", "1d", "--1s", "1h-30m", "1..5s", "1.5.5s",
	"0s", "1h0s", "1m9s", "1.05m", "1.5s.5s", "1.9:s", "1s:", "1000000000d", "2251799813685248h", "36028797018963968s", // the last two run over, to 0
	"9223372036854775807ns", "9223372036854775808ns", "9223372036s", "9223372037s", "2562047h47m16s", "2562047h47m17s", "9223372036.9s", "99999999999999999999h", "9223372036854775807", "9223372036854775808", "1\x00s", "1µ", "1\xc2s",
}

// TestDurationsAreThoseOfTheStandardLibrary: time.ParseDuration says what is a
// duration, and fractions that are added up say which are whole seconds.
func TestDurationsAreThoseOfTheStandardLibrary(t *testing.T) {
	for _, s := range durations {
		compareDurations(t, s)
	}
}

func FuzzDuration(f *testing.F) {
	for _, s := range durations {
		f.Add(s)
	}
	f.Fuzz(compareDurations)
}

var part = regexp.MustCompile(`(\d*(?:\.\d*)?)(ns|us|µs|μs|ms|s|m|h)`)

func compareDurations(t *testing.T, s string) {
	seconds, ok := wholeSeconds(s)
	_, err := time.ParseDuration(s)
	switch {
	case regexp.MustCompile(`^[-+]?\d+$`).MatchString(s): // seconds without a unit
		return
	case err != nil:
		if ok {
			t.Fatalf("%q is %d seconds, and no duration: %v", s, seconds, err)
		}
	default: // the library rounds what is finer than a nanosecond
		sum := new(big.Rat)
		for _, m := range part.FindAllStringSubmatch(s, -1) {
			unit, _ := time.ParseDuration("1" + m[2])
			number, _ := new(big.Rat).SetString("0" + m[1])
			sum.Add(sum, number.Mul(number, big.NewRat(int64(unit), int64(time.Second))))
		}
		if s[0] == '-' {
			sum.Neg(sum)
		}
		if ok != sum.IsInt() || ok && sum.Cmp(new(big.Rat).SetInt64(seconds)) != 0 {
			t.Fatalf("%q is %d seconds, %v; want %v", s, seconds, ok, sum)
		}
	}
}
