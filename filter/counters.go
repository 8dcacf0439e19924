package filter

import (
	"errors"

	"corsfilter/config"
	"corsfilter/internal/header"
)

// counters are the host's numbers for the counters of a mode.
type counters [numCounters]uint32

type counter int

const (
	originValid counter = iota
	originInvalid
	preflightAllowed
	preflightDeniedOrigin
	preflightDeniedMethod
	preflightDeniedHeaders
	preflightForwarded
	requestAllowed
	requestDenied
	requestRejected
	numCounters
)

var counterNames = [numCounters]string{
	originValid:            "origin_valid",
	originInvalid:          "origin_invalid",
	preflightAllowed:       "preflight_allowed",
	preflightDeniedOrigin:  "preflight_denied_origin",
	preflightDeniedMethod:  "preflight_denied_method",
	preflightDeniedHeaders: "preflight_denied_headers",
	preflightForwarded:     "preflight_forwarded",
	requestAllowed:         "request_allowed",
	requestDenied:          "request_denied",
	requestRejected:        "request_rejected",
}

// prefix is the prefix of the names of a mode's counters.
func prefix(c *config.Config, mode config.Mode) string {
	if mode == config.Shadow {
		return c.StatPrefix + ".shadow."
	}
	return c.StatPrefix + "."
}

// modes are the modes of a configuration that count.
func modes(c *config.Config) (counting []config.Mode) {
	for _, mode := range []config.Mode{config.Enforce, config.Shadow} {
		for _, p := range c.Policies() {
			if p.Mode == mode {
				counting = append(counting, mode)
				break
			}
		}
	}
	return counting
}

// Counters returns the names of all counters that a configuration has.
func Counters(c *config.Config) (names []string) {
	for _, mode := range modes(c) {
		for _, name := range counterNames {
			names = append(names, prefix(c, mode)+name)
		}
	}
	return names
}

// CountedIn returns the names of the counters that a decision increments: one for the
// origin and one for the outcome, or none if there was nothing to decide.
func (d *Decision) CountedIn(c *config.Config) []string {
	if !d.counts() {
		return nil
	}
	prefix := prefix(c, d.Policy.Mode)
	return []string{prefix + counterNames[d.originCounter()], prefix + counterNames[d.outcomeCounter()]}
}

func (d *Decision) counts() bool { return d.Action != Ignore && d.Kind != NotCORS }

func (d *Decision) originCounter() counter {
	if d.AllowOrigin == "" {
		return originInvalid
	}
	return originValid
}

func (d *Decision) outcomeCounter() counter {
	if d.Kind == CrossOrigin {
		switch {
		case d.Reason == Allowed:
			return requestAllowed
		case d.Action == Reject:
			return requestRejected
		}
		return requestDenied
	}
	switch {
	case d.Action == Forward:
		return preflightForwarded
	case d.Action == Deny:
		return preflightDeniedOrigin
	case d.Reason == MethodNotAllowed:
		return preflightDeniedMethod
	case d.Reason == HeaderNotAllowed:
		return preflightDeniedHeaders
	}
	return preflightAllowed
}

// defineCounters registers the names with the host once; later calls use numbers.
func (c *Plugin) defineCounters(configuration *config.Config) error {
	for _, mode := range modes(configuration) {
		for i, name := range counterNames {
			full := prefix(configuration, mode) + name
			id, err := c.host.DefineCounter(full)
			if err != nil {
				return errors.New("the proxy took no counter " + full + ": " + err.Error())
			}
			c.counters[mode][i] = id
		}
	}
	return nil
}

// observe counts a decision, and logs it if the proxy's log level says so.
func (c *Plugin) observe(r *Request, d *Decision) {
	if !d.counts() {
		return
	}
	counted := &c.counted[d.Policy.Mode]
	counted[d.originCounter()]++
	counted[d.outcomeCounter()]++
	if c.level <= LogDebug {
		c.host.Log(LogDebug, header.AsString(d.appendLine(c.line[:0], r, &c.letters)))
	}
}

// tickPeriod is the longest time, in milliseconds, that the proxy's counters lag behind
// and that a changed log level goes unnoticed. Both need calls to the proxy, which
// requests therefore do not pay for.
const tickPeriod = 1000

// OnTick passes on what was counted since the last tick, and reads the log level.
func (c *Plugin) OnTick() {
	defer Rescue(c.host, "proxy_on_tick")
	c.handOver()
	c.level = c.host.LogLevel()
}

// handOver passes new counts to the proxy.
func (c *Plugin) handOver() {
	for mode := range c.counted {
		for i, n := range c.counted[mode] {
			if n > 0 {
				c.counted[mode][i] = 0
				c.host.Increment(c.counters[mode][i], n)
			}
		}
	}
}
