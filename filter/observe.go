package filter

import (
	"fmt"

	"corsfilter/config"
)

// counters are the numbers under which the host knows the counters of a mode.
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

// defineCounters tells the host the names once; a request only says numbers.
func (c *pluginContext) defineCounters(plugin *config.Config) error {
	enforced, shadowed := false, false
	for _, p := range plugin.Policies() {
		enforced = enforced || p.Mode == config.Enforce
		shadowed = shadowed || p.Mode == config.Shadow
	}
	if enforced {
		if err := c.define(&c.enforced, plugin.StatPrefix+"."); err != nil {
			return err
		}
	}
	if shadowed {
		return c.define(&c.shadowed, plugin.StatPrefix+".shadow.")
	}
	return nil
}

func (c *pluginContext) define(ids *counters, prefix string) (err error) {
	for i, name := range counterNames {
		if ids[i], err = c.host.DefineCounter(prefix + name); err != nil {
			return fmt.Errorf("the proxy took no counter %s%s: %w", prefix, name, err)
		}
	}
	return nil
}

// observe counts a decision, once by its origin and once by its outcome, and
// logs it where the proxy's log level asks for that.
func (c *pluginContext) observe(p *config.Policy, r *Request, d *Decision) {
	if d.Kind == NotCORS {
		return
	}
	ids := &c.enforced
	if p.Mode == config.Shadow {
		ids = &c.shadowed
	}
	origin := originValid
	if d.AllowOrigin == "" {
		origin = originInvalid
	}
	c.host.Increment(ids[origin])
	c.host.Increment(ids[outcome(d)])
	if c.level <= LogDebug {
		c.logDecision(p, r, d)
	}
}

func outcome(d *Decision) counter {
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

// maxLineLen bounds a log line about a decision, in bytes.
const maxLineLen = 768

// logDecision writes one line. The Origin is shown only where it is well-formed:
// a log must not carry what a stranger put there.
func (c *pluginContext) logDecision(p *config.Policy, r *Request, d *Decision) {
	line := c.line[:0]
	if p.Mode == config.Shadow {
		line = append(line, "shadow: "...)
	}
	if d.Kind == Preflight {
		line = append(line, "preflight"...)
		if method := token(r.RequestMethod); method != "" {
			line = append(append(line, " for "...), method...)
		}
	} else {
		line = append(line, "request"...)
	}
	if p.Origins.Match(r.Origin) != config.MalformedOrigin {
		line = append(append(line, " from "...), r.Origin...)
	}
	line = append(append(line, ": "...), c.describe(d)...)
	switch d.Action {
	case Forward:
		line = append(line, "; forwarded"...)
	case Deny, Reject:
		line = append(line, "; answered 403"...)
	}
	c.host.Log(LogDebug, bytesAsString(line))
}

// streamsPerLevelCheck is how many streams pass between two looks at the log level: an
// operator who raises it sees decisions after that many requests, and no request
// pays for it.
const streamsPerLevelCheck = 256

func (c *pluginContext) refreshLogLevel() {
	if c.untilLevelCheck--; c.untilLevelCheck < 0 {
		c.untilLevelCheck = streamsPerLevelCheck
		c.level = c.host.LogLevel()
	}
}
