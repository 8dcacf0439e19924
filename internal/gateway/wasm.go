package gateway

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"

	wasmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/wasm/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"corsfilter/internal/fieldpath"
	"corsfilter/internal/host"
)

// pluginSpec is a compiled wasm filter: one plugin context in each worker.
type pluginSpec struct {
	path   string
	vm     vmSpec
	config host.PluginConfig
}

// vmSpec is a compiled vm_config. Each filter has a VM of its own in each worker;
// in Envoy equal ones share it, which a module can not tell.
type vmSpec struct {
	id     string
	config []byte
	env    map[string]string
	code   []byte
}

// runtimes of Envoy that run any proxy-wasm module. Here they all mean wazero.
var runtimes = []string{"envoy.wasm.runtime.v8", "envoy.wasm.runtime.wasmtime", "envoy.wasm.runtime.wamr"}

func (c *compiler) plugin(path string, message *wasmv3.PluginConfig) *pluginSpec {
	//lint:ignore SA1019 Envoy still takes it, and so do the files that people have
	failOpen := message.GetFailOpen()
	spec := &pluginSpec{path: path, config: host.PluginConfig{
		Name:          message.GetName(),
		RootID:        message.GetRootId(),
		Configuration: c.payload(fieldpath.Key(path, "configuration"), message.GetConfiguration()),
		FailOpen:      failOpen,
	}}
	switch policy := message.GetFailurePolicy(); {
	case policy != wasmv3.FailurePolicy_UNSPECIFIED && failOpen:
		c.problems.add(fieldpath.Key(path, "fail_open"), "contradicts failure_policy; keep failure_policy, which replaces it")
	case policy == wasmv3.FailurePolicy_FAIL_OPEN:
		spec.config.FailOpen = true
	}
	if message.GetVmConfig() == nil {
		c.problems.add(fieldpath.Key(path, "vm_config"), "missing: it names the module's code")
	}
	spec.vm = c.vm(fieldpath.Key(path, "vm_config"), message.GetVmConfig())
	return spec
}

func (c *compiler) vm(path string, message *wasmv3.VmConfig) vmSpec {
	vm := vmSpec{
		id:     message.GetVmId(),
		config: c.payload(fieldpath.Key(path, "configuration"), message.GetConfiguration()),
		env:    message.GetEnvironmentVariables().GetKeyValues(),
	}
	if runtime := message.GetRuntime(); message != nil && !slices.Contains(runtimes, runtime) {
		c.problems.add(fieldpath.Key(path, "runtime"), fmt.Sprintf("%q: write one of %s", runtime, strings.Join(runtimes, ", ")))
	}
	if c.options.Module != nil {
		vm.code = c.options.Module
	} else if message != nil {
		at, before := fieldpath.Key(path, "code.local"), len(*c.problems)
		vm.code = c.dataSource(at, message.GetCode().GetLocal())
		if len(vm.code) == 0 && len(*c.problems) == before {
			c.problems.add(at, "no code")
		}
	}
	return vm
}

// payload is what the module reads as its configuration: a string or bytes as
// they are, a Struct as JSON.
func (c *compiler) payload(path string, packed *anypb.Any) []byte {
	if packed == nil {
		return nil
	}
	message, err := packed.UnmarshalNew()
	if err != nil {
		return nil // reported by checkSupported
	}
	switch message := message.(type) {
	case *wrapperspb.StringValue:
		return []byte(message.GetValue())
	case *wrapperspb.BytesValue:
		return message.GetValue()
	case *structpb.Struct:
		text, err := protojson.Marshal(message)
		if err != nil {
			c.problems.add(path, err.Error())
		}
		return text
	}
	c.problems.add(path, fmt.Sprintf("%s: write a google.protobuf.StringValue, BytesValue or Struct", packed.MessageName()))
	return nil
}

// worker is what one worker thread is in Envoy: an instance of every VM, with
// its plugin configured in it.
type worker struct {
	vms     []*host.VM
	plugins map[*pluginSpec]*host.Plugin
}

// plugins are those of all listeners.
func (c *Config) plugins() (all []*pluginSpec) {
	for _, l := range c.listeners {
		all = append(all, l.manager.plugins...)
	}
	return all
}

// startWorkers compiles each distinct code once and instantiates it for every
// worker. A plugin that refuses its configuration is an error, fail_open or
// not: that flag is for modules that break later.
func (g *Gateway) startWorkers(ctx context.Context, n *generation) error {
	modules := map[[sha256.Size]byte]*host.Module{}
	for range g.options.Workers {
		w := &worker{plugins: map[*pluginSpec]*host.Plugin{}}
		n.workers = append(n.workers, w)
		for _, spec := range n.config.plugins() {
			sum := sha256.Sum256(spec.vm.code)
			if modules[sum] == nil {
				module, err := host.Compile(ctx, spec.vm.code)
				if err != nil {
					return fmt.Errorf("%s.vm_config.code: %w", spec.path, err)
				}
				modules[sum] = module
				n.modules = append(n.modules, module)
			}
			vm, err := modules[sum].NewVM(ctx, host.VMConfig{
				ID:            spec.vm.id,
				Configuration: spec.vm.config,
				Env:           spec.vm.env,
				Log:           g.log.wasm,
				LogLevel:      func() host.LogLevel { return g.log.levelOf("wasm") },
				TickPeriod:    g.ticks.set,
				Metrics:       g.metrics,
			})
			if err != nil {
				return fmt.Errorf("%s.vm_config: %w", spec.path, err)
			}
			w.vms = append(w.vms, vm)
			switch w.plugins[spec], err = vm.NewPlugin(ctx, spec.config); {
			case errors.Is(err, host.ErrRejected):
				return fmt.Errorf("%s.configuration: %w; the module's log says why", spec.path, err)
			case err != nil:
				return fmt.Errorf("%s: %w", spec.path, err)
			}
		}
	}
	return nil
}
