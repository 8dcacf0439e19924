package host

import (
	"context"
	"strings"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// status is what a function of the ABI answers.
type status uint32

// The statuses, with their numbers in the ABI.
const (
	statusOK status = iota
	statusNotFound
	statusBadArgument
	statusSerializationFailure
	statusParseFailure
	statusBadExpression
	statusInvalidMemoryAccess
	statusEmpty
	statusCASMismatch
	statusResultMismatch
	statusInternalFailure
	statusBrokenConnection
	statusUnimplemented
)

// call describes one function that the guest may import. Parameters are named
// as in the ABI's specification, those of 64 bits with ":64" behind the name;
// run gets their values in that order.
type call struct {
	name   string
	params string
	// noResult is set for the one WASI function that returns nothing.
	noResult bool
	run      func(vm *VM, p []uint64) status
}

// export adds the function to a host module.
func (c call) export(b wazero.HostModuleBuilder) {
	names := strings.Fields(c.params)
	params := make([]api.ValueType, len(names))
	for i, name := range names {
		params[i] = i32
		if before, wide := strings.CutSuffix(name, ":64"); wide {
			names[i], params[i] = before, i64
		}
	}
	results := []api.ValueType{i32}
	if c.noResult {
		results = nil
	}
	abi := strings.HasPrefix(c.name, "proxy_")
	run := c.run
	if run == nil {
		unsupported := statusUnimplemented
		if !abi {
			unsupported = wasiNotSup
		}
		run = func(*VM, []uint64) status { return unsupported }
	}
	f := func(ctx context.Context, _ api.Module, stack []uint64) {
		vm := ctx.Value(vmKey{}).(*VM)
		if abi {
			vm.hostCalls++
		}
		vm.restrict(c.name)
		for i, t := range params {
			if t == i32 { // the upper half of the slot is not defined
				stack[i] = uint64(uint32(stack[i]))
			}
		}
		result := vm.answer(c.name, run, stack[:len(params)])
		if !c.noResult {
			stack[0] = uint64(result)
		}
	}
	b.NewFunctionBuilder().WithGoModuleFunction(api.GoModuleFunc(f), params, results).
		WithParameterNames(names...).WithName(c.name).Export(c.name)
}

// answer runs a function, or lets a test do so in its own way.
func (vm *VM) answer(name string, run func(*VM, []uint64) status, p []uint64) status {
	if vm.config.Answer == nil {
		return run(vm, p)
	}
	return status(vm.config.Answer(name, func() uint32 { return uint32(run(vm, p)) }))
}

// Access to the guest's memory. Values are views, good until the guest runs.

func (vm *VM) read(address, size uint64) ([]byte, bool) {
	return vm.memory.Read(uint32(address), uint32(size))
}

func (vm *VM) writeUint32(address uint64, value uint32) bool {
	return vm.memory.WriteUint32Le(uint32(address), value)
}

// give hands data to the guest: in memory of its own, with address and size put
// where it asked for them. Empty data takes no memory.
func (vm *VM) give(data []byte, addressAt, sizeAt uint64) status {
	address := uint32(0)
	if len(data) > 0 {
		if address = vm.copyToGuest(data); address == 0 {
			return statusInvalidMemoryAccess
		}
	}
	if !vm.writeUint32(addressAt, address) || !vm.writeUint32(sizeAt, uint32(len(data))) {
		return statusInvalidMemoryAccess
	}
	return statusOK
}
