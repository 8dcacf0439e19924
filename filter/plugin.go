// Package filter is the CORS filter: a pure decision (Decide), the life of one
// HTTP stream around it, and the plugin that holds configuration and counters.
// It speaks to the proxy through the Host it is given and implements the
// contexts of the proxy-wasm SDK. It imports config, internal/header and
// internal/origin, and of the SDK the types alone.
package filter

import (
	"fmt"

	"github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/types"

	"corsfilter/config"
)

// New returns the context of a VM whose plugins run this filter on the host.
func New(host Host) types.VMContext { return &vmContext{host: host} }

type vmContext struct {
	types.DefaultVMContext
	host Host
}

func (v *vmContext) NewPluginContext(uint32) types.PluginContext {
	return &pluginContext{host: v.host}
}

// pluginContext is one configuration in force. Several live in one VM, so that
// nothing of it is global.
type pluginContext struct {
	types.DefaultPluginContext
	host            Host
	config          *config.Config
	enforced        counters
	shadowed        counters
	level           LogLevel
	untilLevelCheck int
	free            []*stream
	incoming        incoming
	builder         replyBuilder
	line            [maxLineLen]byte
}

// OnPluginStart reads the configuration. With a mistake in it the plugin does
// not start, and the proxy keeps what it had.
func (c *pluginContext) OnPluginStart(int) (status types.OnPluginStartStatus) {
	defer func() {
		if p := recover(); p != nil {
			logPanic(c.host, "proxy_on_configure", p)
			status = types.OnPluginStartStatusFailed
		}
	}()
	data, err := c.host.Configuration()
	if err != nil {
		c.host.Log(LogError, "the plugin configuration can not be read: "+err.Error())
		return types.OnPluginStartStatusFailed
	}
	plugin, warnings, err := config.Parse(data)
	for _, w := range warnings {
		c.host.Log(LogWarn, "configuration: "+w.Error())
	}
	if problems, ok := err.(config.Problems); ok {
		for _, p := range problems {
			c.host.Log(LogError, "configuration: "+p.Error())
		}
		c.host.Log(LogError, fmt.Sprintf("configuration refused: %d to mend; nothing of it takes effect", len(problems)))
		return types.OnPluginStartStatusFailed
	}
	if err := c.defineCounters(plugin); err != nil {
		c.host.Log(LogError, err.Error())
		return types.OnPluginStartStatusFailed
	}
	c.config = plugin
	c.level = c.host.LogLevel()
	c.host.Log(LogInfo, "in force: "+plugin.Summary())
	return types.OnPluginStartStatusOK
}

// NewHttpContext starts a stream, in a used one where there is one.
func (c *pluginContext) NewHttpContext(uint32) types.HttpContext {
	if n := len(c.free); n > 0 {
		s := c.free[n-1]
		c.free = c.free[:n-1]
		return s
	}
	return &stream{plugin: c}
}

func logPanic(host Host, callback string, p any) {
	defer func() { _ = recover() }() // the panic may have come from Log
	host.Log(LogError, fmt.Sprintf("bug in the CORS filter: panic in %s: %v", callback, p))
}
