package host

import (
	"bytes"
	"encoding/binary"
)

// Error numbers of WASI preview 1.
const (
	wasiOK     status = 0
	wasiBadFD  status = 8
	wasiFault  status = 21
	wasiNoEnt  status = 44
	wasiNoSys  status = 52
	wasiNotSup status = 58
)

// onlyRunning allows a WASI function in callbacks alone.
var onlyRunning []phase

// wasiCalls are the functions of WASI in which Envoy differs from what wazero
// brings: there are no files, output goes to the log, a module can not end the
// process, and there is nothing to wait for. poll_oneoff fails, as it does in
// Envoy before 1.39: a module that calls it does not run everywhere.
var wasiCalls = []call{
	{name: "sched_yield", allowed: onlyRunning, run: func(*VM, []uint64) status { return wasiOK }},
	{name: "proc_exit", params: "rval", noResult: true, allowed: onlyRunning, run: (*VM).procExit},
	{name: "poll_oneoff", params: "in out nsubscriptions result.nevents", allowed: onlyRunning, run: func(*VM, []uint64) status { return wasiNotSup }},
	{name: "fd_read", params: "fd iovs iovs_len result.nread", allowed: onlyRunning, run: func(*VM, []uint64) status { return wasiNoSys }},
	{name: "fd_close", params: "fd", allowed: onlyRunning, run: func(*VM, []uint64) status { return wasiBadFD }},
	{name: "fd_seek", params: "fd offset:64 whence result.newoffset", allowed: onlyRunning, run: func(*VM, []uint64) status { return wasiBadFD }},
	{name: "path_open", params: "fd dirflags path path_len oflags fs_rights_base:64 fs_rights_inheriting:64 fdflags result.opened_fd", allowed: onlyRunning, run: func(*VM, []uint64) status { return wasiNoEnt }},
	{name: "fd_write", params: "fd iovs iovs_len result.nwritten", allowed: always, run: (*VM).fdWrite},
}

// procExit only says so: the module goes on, usually to a trap.
func (vm *VM) procExit(p []uint64) status {
	vm.log(LogError, "the module called proc_exit")
	return wasiOK
}

// fdWrite logs what the module writes to its standard output and error.
func (vm *VM) fdWrite(p []uint64) status {
	level := LogInfo
	switch p[0] {
	case 1:
	case 2:
		level = LogError
	default:
		return wasiBadFD
	}
	vectors, ok := vm.read(p[1], 8*p[2])
	if !ok {
		return wasiFault
	}
	var text []byte
	for ; len(vectors) > 0; vectors = vectors[8:] {
		part, ok := vm.read(uint64(binary.LittleEndian.Uint32(vectors)), uint64(binary.LittleEndian.Uint32(vectors[4:])))
		if !ok {
			return wasiFault
		}
		text = append(text, part...)
	}
	if line := bytes.TrimRight(text, "\n"); len(line) > 0 {
		vm.log(level, string(line))
	}
	if !vm.writeUint32(p[3], uint32(len(text))) {
		return wasiFault
	}
	return wasiOK
}
