//go:build !tinygo

package filter

import (
	"github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/types"

	"corsfilter/config"
	"corsfilter/internal/header"
)

// A bug in this filter must not crash the VM with all its streams. recover is called only
// in this file. TinyGo has no recover on wasm, see guard_tinygo.go.

// guarded runs a callback of the stream, and catches its panics.
func (s *Stream) guarded(cb callback) (action types.Action) {
	ended := false
	defer func() {
		if !ended { // to ask for a panic costs more than to ask for this
			s.rescue(cb, recover())
		}
	}()
	action = s.run(cb)
	ended = true
	return action
}

// Rescue is deferred by callbacks without a stream, which have no response to keep
// closed.
func Rescue(host Host, callback string) {
	if p := recover(); p != nil {
		logPanic(host, callback, p)
	}
}

// rescue lets the stream continue without CORS headers. If the policy is known, upstream
// and others still cannot open what it closes: after a panic in the request callback the
// response callback removes their headers, after one in the response callback rescue
// does, unless a preflight was forwarded upstream. After a second panic the stream is
// left alone.
func (s *Stream) rescue(cb callback, p any) {
	c, d := s.plugin, &s.decision
	logPanic(c.host, callbackNames[cb], p)
	if d.Policy == nil || d.Policy.Mode == config.Shadow || d.Reason == Failed {
		*d = Decision{Action: Ignore}
		return
	}
	responding := cb == responseHeaders && (d.Kind != Preflight || d.Replies())
	*d = Decision{Policy: d.Policy, Kind: CrossOrigin, Action: Forward, Reason: Failed}
	if responding && !bool(d.Policy.Preserve) {
		c.shut()
	}
}

// shut removes CORS headers from a response without reading it.
func (c *Plugin) shut() {
	defer silence() // the panic may have come from the host
	for _, name := range [...]string{header.AllowOrigin, header.AllowCredentials, header.ExposeHeaders} {
		c.host.RemoveResponseHeader(name)
	}
}

func logPanic(host Host, callback string, p any) {
	defer silence() // the panic may have come from Log
	what := "a value that is not an error"
	switch p := p.(type) {
	case error:
		what = p.Error()
	case string:
		what = p
	}
	host.Log(LogError, "bug in the CORS filter: panic in "+callback+": "+what)
}

// silence ends a panic that happened while another one was handled.
func silence() { _ = recover() }
