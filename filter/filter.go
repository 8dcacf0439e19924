// Package filter is the CORS filter. decision.go is the decision, pure and whole:
// Decide says what a policy makes of a request, Decision.Reply what is answered,
// Decision.Edits what is done to a response or to that reply. words.go says it in words,
// counters.go in counters. stream.go applies it to one HTTP stream, through the
// Host it is given; guard.go catches what panics; this file holds what streams share. The
// package implements the contexts of the proxy-wasm SDK and imports config,
// internal/header and internal/origin, and of the SDK the types alone.
package filter

import (
	"strconv"

	"github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/types"

	"corsfilter/config"
	"corsfilter/internal/origin"
	"corsfilter/internal/version"
)

// New returns a VM whose plugins run this filter on the host.
func New(host Host) *VM { return &VM{host: host} }

// VM is what the plugins of one VM share. It is a context of the SDK's, as Plugin
// and Stream are, and is called without the SDK as well.
type VM struct {
	types.DefaultVMContext
	host Host
	// What is over is used again, by any plugin.
	streams *Stream // the first of a list
	asked   *asked  // the first of a list
	plugins []*Plugin
	parser  config.Parser
}

// NewPluginContext implements types.VMContext.
func (v *VM) NewPluginContext(uint32) types.PluginContext { return v.NewPlugin() }

// NewPlugin returns a plugin without a configuration.
func (v *VM) NewPlugin() *Plugin {
	n := len(v.plugins)
	if n == 0 {
		return &Plugin{vm: v, host: v.host, cache: &cache{}}
	}
	c := v.plugins[n-1]
	v.plugins = v.plugins[:n-1]
	*c = Plugin{vm: v, host: v.host, cache: c.cache}
	return c
}

// Plugin is one configuration in effect. Several live in one VM, so that nothing of
// it is global. What every request needs comes first: it is large, and between two
// requests the proxy has used the processor's cache for its own.
type Plugin struct {
	types.DefaultPluginContext
	vm      *VM
	host    Host
	config  *config.Config
	cache   *cache
	open    int // streams
	level   LogLevel
	ruled   bool // rules select the policy
	ticking bool
	deleted bool // by the proxy

	// What one callback works with. Callbacks do not overlap.
	upstream Upstream
	request  Request

	// counters are those of modes Enforce and Shadow, by mode.
	counters [2]counters
	counted  [2][numCounters]uint64 // not handed over yet

	pairs   []byte // a reply's headers, serialized
	buffer  Buffer
	letters origin.Buffer // in lower case
	line    [maxLineLen]byte
}

// OnPluginStart reads the configuration. With a mistake in it the plugin does
// not start, and the proxy keeps what it had, unless closed has another.
func (c *Plugin) OnPluginStart(int) (status types.OnPluginStartStatus) {
	status = types.OnPluginStartStatusFailed // unless it returns
	defer Rescue(c.host, "proxy_on_configure")
	data, err := c.host.Configuration()
	if err != nil {
		c.host.Log(LogError, "the plugin configuration cannot be read: "+err.Error())
		return types.OnPluginStartStatusFailed
	}
	parsed, warnings, err := c.vm.parser.Parse(data)
	for _, w := range warnings {
		c.host.Log(LogWarn, "configuration: "+w.Error())
	}
	if problems, ok := err.(config.Problems); ok {
		for _, p := range problems {
			c.host.Log(LogError, "configuration: "+p.Error())
		}
		refused := "configuration refused: " + strconv.Itoa(problems.Count()) + " to fix; no part of it takes effect"
		if parsed = c.closed(); parsed == nil {
			c.host.Log(LogError, refused)
			return types.OnPluginStartStatusFailed
		}
		c.host.Log(LogError, refused+", and since "+refusedVariable+"="+refusedCloses+" no origin is allowed until it is fixed")
	}
	c.handOver() // under the names of the configuration before, if there was one
	if err := c.defineCounters(parsed); err != nil {
		c.host.Log(LogError, err.Error())
		return types.OnPluginStartStatusFailed
	}
	c.recycle()
	c.config = parsed
	c.ruled = parsed.HasRules()
	*c.cache = cache{}
	c.level = c.host.LogLevel()
	c.ticking = c.host.TickEvery(tickPeriod)
	c.host.Log(LogInfo, "version "+version.String()+", in effect: "+parsed.Summary())
	return types.OnPluginStartStatusOK
}

// The variable of the VM's environment that says what becomes of a refused
// configuration, and its value for one that is closed. It stands outside of the
// configuration, since of a refused one nothing can be believed.
const (
	refusedVariable = "CORSFILTER_REFUSED"
	refusedCloses   = "closed"
)

// closed is the configuration that allows nobody, where the variable asks for that in
// place of a refused one; else nil. Each such start counts. It is the same for a push to
// a proxy that serves: that keeps a good configuration only where the plugin fails to
// start, and whether there is one the plugin cannot know, since Envoy tries each
// configuration in a VM of its own first.
func (c *Plugin) closed() *config.Config {
	if c.host.Environment(refusedVariable) != refusedCloses {
		return nil
	}
	if id, err := c.host.DefineCounter(config.DefaultStatPrefix + ".config_refused"); err == nil {
		c.host.Increment(id, 1)
	}
	nobody, _, _ := c.vm.parser.Parse([]byte(`{"allow_origins": []}`))
	return nobody
}

// NewHttpContext implements types.PluginContext.
func (c *Plugin) NewHttpContext(uint32) types.HttpContext { return c.NewStream() }

// NewStream starts a stream, in a used one where there is one.
func (c *Plugin) NewStream() *Stream {
	c.open++
	s := c.vm.streams
	if s == nil {
		return &Stream{plugin: c}
	}
	c.vm.streams, s.next, s.plugin = s.next, nil, c
	return s
}

// OnPluginDone hands over what was counted. The SDK calls it; spoken directly, the
// ABI has OnDelete.
func (c *Plugin) OnPluginDone() bool {
	c.OnTick()
	return true
}

// OnDelete hands over what was counted and gives the configuration's memory to the
// next one. Proxies delete a plugin after its streams; where one does not, its
// last stream does that. The callback that comes before, proxy_on_done, would do
// as well, but the proxy would call it for every stream, too.
func (c *Plugin) OnDelete() {
	c.deleted = true
	c.leave()
}

// leave gives the memory of a deleted plugin back once none of its streams is
// open. There are no ticks for that one, as in a proxy without any, and so the
// end of each stream is one.
func (c *Plugin) leave() {
	defer Rescue(c.host, "proxy_on_delete")
	if c.deleted || !c.ticking {
		c.OnTick()
	}
	if c.deleted && c.open == 0 {
		c.recycle()
		c.vm.plugins = append(c.vm.plugins, c)
	}
}

// recycle gives the configuration's memory back where no stream is open: streams
// hold on to its policies, and one that is overwritten would let anyone in.
func (c *Plugin) recycle() {
	if c.config != nil && c.open == 0 {
		c.vm.parser.Recycle(c.config)
		c.config = nil
	}
}
