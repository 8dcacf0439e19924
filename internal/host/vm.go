package host

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
)

// LogLevel is a severity, with its number in the ABI.
type LogLevel uint32

// The severities.
const (
	LogTrace LogLevel = iota
	LogDebug
	LogInfo
	LogWarn
	LogError
	LogCritical
)

var levelNames = []string{"trace", "debug", "info", "warning", "error", "critical"}

// Always returns the level itself: a VMConfig.LogLevel that does not change.
func (l LogLevel) Always() LogLevel { return l }

func (l LogLevel) String() string {
	if int(l) < len(levelNames) {
		return levelNames[l]
	}
	return fmt.Sprintf("level %d", uint32(l))
}

// ErrRejected means that the module refused its configuration.
var ErrRejected = errors.New("the module rejected the configuration")

// VMConfig is what Envoy's vm_config says.
type VMConfig struct {
	Profile       Profile           // which Envoy it is
	ID            string            // vm_id
	Configuration []byte            // vm_config.configuration
	Env           map[string]string // vm_config.environment_variables
	// Log takes the lines that the module logs, with the name of the plugin; nil
	// discards them. It is called while a callback runs and must not call back.
	Log func(level LogLevel, plugin, message string)
	// LogLevel returns the least severe level that is logged, which may change
	// while the VM runs; nil: LogTrace.
	LogLevel func() LogLevel
	// TickPeriod is told how far apart a plugin wants its ticks, 0 for none any
	// more: from then on Plugin.Tick is to be called so often. It is called while a
	// callback runs and must not call back; nil: somebody else calls Tick.
	TickPeriod func(p *Plugin, period time.Duration)
	// Metrics is shared between the VMs of all workers; nil: the VM has its own.
	Metrics *Metrics
	// Answer is asked instead of the host's own functions, and answers the guest
	// with a status of its own: run is the function that it may call. It is for
	// tests of modules against hosts that fail; nil: every function runs.
	Answer func(function string, run func() uint32) uint32
}

// VM is an instance of a module: one worker thread of Envoy. Its methods, and
// those of its plugins and streams, are safe for concurrent use; calls into the
// guest are serialised.
type VM struct {
	mu      sync.Mutex
	ctx     context.Context
	config  VMConfig
	module  api.Module
	memory  api.Memory
	metrics *Metrics

	allocate, contextCreate, onConfigure, onTick, onRequestHeaders, onResponseHeaders, onDone, onLog, onDelete guestFunction

	plugins        []*Plugin // that have not ended
	leaving        []*Plugin // to be deleted after the callback
	lastID         uint32
	hostCalls      uint64
	allocatorCalls uint64
	failure        error

	// What the guest's calls refer to while one of its callbacks runs.
	phase   phase
	plugin  *Plugin
	stream  *Stream
	scratch []byte
}

// phase is which callback of the guest runs; host calls depend on it.
type phase uint8

const (
	phaseNone phase = iota
	phaseInitialize
	phaseAllocate
	phaseVMStart
	phaseConfigure
	phaseRequest
	phaseResponse
	phaseLog
	phaseOther
)

// guestFunction is an export of the guest, or none.
type guestFunction struct {
	function api.Function
	stack    [4]uint64
}

type vmKey struct{}

// NewVM instantiates the module, initializes it and starts it.
func (m *Module) NewVM(ctx context.Context, c VMConfig) (*VM, error) {
	if name := m.missing(c.Profile); name != "" {
		return nil, fmt.Errorf("the module imports %s.%s, which %s does not have", wasi_snapshot_preview1.ModuleName, name, c.Profile)
	}
	vm := &VM{config: c, metrics: c.Metrics}
	if vm.metrics == nil {
		vm.metrics = NewMetrics()
	}
	vm.ctx = context.WithValue(context.WithoutCancel(ctx), vmKey{}, vm)
	config := wazero.NewModuleConfig().WithName("").WithStartFunctions().
		WithSysWalltime().WithSysNanotime().WithRandSource(rand.Reader)
	for _, name := range sortedKeys(c.Env) {
		config = config.WithEnv(name, c.Env[name])
	}
	var err error
	if vm.module, err = m.runtime.InstantiateModule(vm.ctx, m.compiled, config); err != nil {
		return nil, fmt.Errorf("the module cannot be instantiated: %w", err)
	}
	vm.memory = vm.module.Memory()
	if err := vm.start(); err != nil {
		return nil, errors.Join(err, vm.Close(ctx))
	}
	return vm, nil
}

func (vm *VM) start() error {
	for name, f := range map[string]*guestFunction{
		"proxy_on_context_create": &vm.contextCreate, "proxy_on_configure": &vm.onConfigure, "proxy_on_tick": &vm.onTick,
		"proxy_on_request_headers": &vm.onRequestHeaders, "proxy_on_response_headers": &vm.onResponseHeaders,
		"proxy_on_done": &vm.onDone, "proxy_on_log": &vm.onLog, "proxy_on_delete": &vm.onDelete,
	} {
		f.function = vm.module.ExportedFunction(name)
	}
	for _, name := range allocators {
		if f := vm.module.ExportedFunction(name); f != nil {
			vm.allocate.function = f
			break
		}
	}
	initialize := guestFunction{function: vm.module.ExportedFunction("_initialize")}
	if initialize.function == nil {
		initialize.function = vm.module.ExportedFunction("_start")
	}
	if _, err := vm.call(&initialize, phaseInitialize, 0); err != nil {
		return fmt.Errorf("the module failed to initialize: %w", err)
	}
	onStart := guestFunction{function: vm.module.ExportedFunction("proxy_on_vm_start")}
	started, err := vm.call(&onStart, phaseVMStart, 1, 0, uint64(len(vm.config.Configuration)))
	if err != nil {
		return fmt.Errorf("the module failed to start: %w", err)
	}
	if started == 0 {
		return errors.New("the module refused to start")
	}
	return nil
}

// call runs an export in a phase; where there is none it answers absent. After
// a trap the VM has failed for good.
func (vm *VM) call(f *guestFunction, p phase, absent uint64, params ...uint64) (uint64, error) {
	if f.function == nil {
		return absent, nil
	}
	if vm.failure != nil {
		return 0, vm.failure
	}
	before := vm.phase
	vm.phase = p
	copy(f.stack[:], params)
	err := f.function.CallWithStack(vm.ctx, f.stack[:])
	vm.phase = before
	if err != nil {
		vm.failure = fmt.Errorf("the module trapped in %s: %w", f.function.Definition().DebugName(), err)
		vm.log(LogCritical, vm.failure.Error())
		return 0, vm.failure
	}
	result := f.stack[0] & 0xffffffff
	if before == phaseNone {
		vm.deleteLeaving()
	}
	return result, nil
}

func (vm *VM) deleteLeaving() {
	for len(vm.leaving) > 0 {
		p := vm.leaving[0]
		vm.leaving = vm.leaving[1:]
		_ = p.delete() // a trap fails the VM, and is logged
	}
}

// copyToGuest puts data into memory that the guest allocates and returns the
// address, or 0 where the guest gives none.
func (vm *VM) copyToGuest(data []byte) uint32 {
	vm.allocatorCalls++
	address, err := vm.call(&vm.allocate, phaseAllocate, 0, uint64(len(data)))
	if err != nil {
		panic(err) // unwinds the callback that wanted the memory
	}
	if address == 0 || !vm.memory.Write(uint32(address), data) {
		return 0
	}
	return uint32(address)
}

func (vm *VM) logLevel() LogLevel {
	if vm.config.LogLevel == nil {
		return LogTrace
	}
	return vm.config.LogLevel()
}

func (vm *VM) log(level LogLevel, message string) {
	if vm.config.Log == nil || level < vm.logLevel() {
		return
	}
	name := ""
	if vm.plugin != nil {
		name = vm.plugin.config.Name
	}
	vm.config.Log(level, name, message)
}

// MemorySize returns the size of the linear memory, in bytes.
func (vm *VM) MemorySize() uint32 { return vm.memory.Size() }

// HostCalls returns how often the guest has called a function of the ABI; WASI
// does not count.
func (vm *VM) HostCalls() uint64 {
	vm.mu.Lock()
	defer vm.mu.Unlock()
	return vm.hostCalls
}

// AllocatorCalls returns how often the host has asked the guest for memory.
func (vm *VM) AllocatorCalls() uint64 {
	vm.mu.Lock()
	defer vm.mu.Unlock()
	return vm.allocatorCalls
}

// Tick runs the tick of every plugin that asked for ticks, as if a period had
// passed.
func (vm *VM) Tick() {
	vm.mu.Lock()
	plugins := slices.Clone(vm.plugins)
	vm.mu.Unlock()
	for _, p := range plugins {
		p.Tick()
	}
}

// Failed returns the trap that ended the VM, or nil.
func (vm *VM) Failed() error {
	vm.mu.Lock()
	defer vm.mu.Unlock()
	return vm.failure
}

// Metrics returns the metrics that the VM counts in.
func (vm *VM) Metrics() *Metrics { return vm.metrics }

// Close drops the instance.
func (vm *VM) Close(ctx context.Context) error { return vm.module.Close(ctx) }

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
