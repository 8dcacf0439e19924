// Package filter is the CORS filter. decision.go is the complete decision, in pure
// functions: Decide applies a policy to a request, Decision.Reply returns the answer, and
// Decision.Edits the changes to a response or to that answer. words.go describes a
// decision in words, counters.go counts it. stream.go applies it to one HTTP stream,
// through the given Host; guard.go catches panics; this file has what streams share. The
// package implements the contexts of the proxy-wasm SDK. It imports config,
// internal/header and internal/origin, and only the types of the SDK.
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

// VM is what the plugins of one VM share. Like Plugin and Stream it is a context of the
// SDK, which is also called without the SDK.
type VM struct {
	types.DefaultVMContext
	host Host
	// Finished streams, which any plugin may reuse.
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

// Plugin is one configuration in effect. Several live in one VM, so nothing of it is
// global. Fields that every request needs come first: the struct is large, and the proxy
// uses the processor's cache between requests.
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

	// Scratch memory of one callback. Callbacks do not overlap.
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

// OnPluginStart reads the configuration. If it has a mistake, the plugin does not start
// and the proxy keeps the configuration it had, unless closed returns another.
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

// The variable of the VM's environment that says what to do with a refused configuration,
// and its value for starting closed. It is not part of the configuration, because nothing
// in a refused configuration can be trusted.
const (
	refusedVariable = "CORSFILTER_REFUSED"
	refusedCloses   = "closed"
)

// closed returns a configuration that allows nobody, if the variable asks for one in place
// of a refused configuration; else nil. Each such start is counted. A push to a running
// proxy closes too: the proxy keeps its previous configuration only if the plugin fails
// to start, and the plugin cannot know whether there is one, because Envoy first tries
// each configuration in a new VM.
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

// NewStream starts a stream, reusing a finished one if there is one.
func (c *Plugin) NewStream() *Stream {
	c.open++
	s := c.vm.streams
	if s == nil {
		return &Stream{plugin: c}
	}
	c.vm.streams, s.next, s.plugin = s.next, nil, c
	return s
}

// OnPluginDone passes on the counts. Only the SDK calls it; our own ABI code calls
// OnDelete.
func (c *Plugin) OnPluginDone() bool {
	c.OnTick()
	return true
}

// OnDelete passes on the counts and gives the configuration's memory to the next one.
// Proxies delete a plugin after its streams; if one does not, the last stream gives the
// memory back. proxy_on_done, the callback before, would do too, but the proxy would also
// call it for every stream.
func (c *Plugin) OnDelete() {
	c.deleted = true
	c.leave()
}

// leave gives a deleted plugin's memory back once none of its streams is open. A deleted
// plugin gets no ticks, and neither does one in a proxy without them, so the end of each
// stream counts as a tick.
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

// recycle gives the configuration's memory back if no stream is open. Streams refer to its
// policies, and an overwritten policy could let anyone in.
func (c *Plugin) recycle() {
	if c.config != nil && c.open == 0 {
		c.vm.parser.Recycle(c.config)
		c.config = nil
	}
}
