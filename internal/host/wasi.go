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

// wasiCalls are the functions of WASI in which Envoy differs from what wazero
// brings: there are no files, output goes to the log, a module that ends the
// process goes on, usually to a trap, and there is nothing to wait for.
var wasiCalls = []call{
	{name: "sched_yield", run: func(*VM, []uint64) status { return wasiOK }},
	{name: "proc_exit", params: "rval", noResult: true, run: func(*VM, []uint64) status { return wasiOK }},
	{name: "poll_oneoff", params: "in out nsubscriptions result.nevents", run: (*VM).pollOneoff},
	{name: "fd_read", params: "fd iovs iovs_len result.nread", run: func(*VM, []uint64) status { return wasiNoSys }},
	{name: "fd_close", params: "fd", run: func(*VM, []uint64) status { return wasiOK }},
	{name: "fd_seek", params: "fd offset:64 whence result.newoffset", run: func(*VM, []uint64) status { return wasiOK }},
	{name: "path_open", params: "fd dirflags path path_len oflags fs_rights_base:64 fs_rights_inheriting:64 fdflags result.opened_fd", run: func(*VM, []uint64) status { return wasiNoEnt }},
	{name: "fd_fdstat_set_flags", params: "fd flags", run: func(*VM, []uint64) status { return wasiNoSys }},
	{name: "fd_prestat_get", params: "fd result.prestat", run: func(*VM, []uint64) status { return wasiBadFD }},
	{name: "fd_prestat_dir_name", params: "fd path path_len", run: func(*VM, []uint64) status { return wasiNoSys }},
	{name: "fd_write", params: "fd iovs iovs_len result.nwritten", run: (*VM).fdWrite},

	// Since Envoy 1.39. No module that is tested here calls one of them; they answer
	// that they are not supported, as most do there. path_link and path_symlink have one
	// parameter less there than in WASI.
	{name: "fd_advise", params: "fd offset:64 len:64 advice"},
	{name: "fd_allocate", params: "fd offset:64 len:64"},
	{name: "fd_datasync", params: "fd"},
	{name: "fd_fdstat_set_rights", params: "fd fs_rights_base:64 fs_rights_inheriting:64"},
	{name: "fd_filestat_get", params: "fd result.filestat"},
	{name: "fd_filestat_set_size", params: "fd size:64"},
	{name: "fd_filestat_set_times", params: "fd atim:64 mtim:64 fst_flags"},
	{name: "fd_pread", params: "fd iovs iovs_len offset:64 result.nread"},
	{name: "fd_pwrite", params: "fd iovs iovs_len offset:64 result.nwritten"},
	{name: "fd_readdir", params: "fd buf buf_len cookie:64 result.bufused"},
	{name: "fd_renumber", params: "fd to"},
	{name: "fd_sync", params: "fd"},
	{name: "fd_tell", params: "fd result.offset"},
	{name: "path_create_directory", params: "fd path path_len"},
	{name: "path_filestat_get", params: "fd flags path path_len result.filestat"},
	{name: "path_filestat_set_times", params: "fd flags path path_len atim:64 mtim:64 fst_flags"},
	{name: "path_link", params: "old_fd old_path old_path_len new_fd new_path new_path_len"},
	{name: "path_readlink", params: "fd path path_len buf buf_len result.bufused"},
	{name: "path_remove_directory", params: "fd path path_len"},
	{name: "path_rename", params: "fd old_path old_path_len new_fd new_path new_path_len"},
	{name: "path_symlink", params: "old_path old_path_len new_path new_path_len"},
	{name: "path_unlink_file", params: "fd path path_len"},
	{name: "sock_accept", params: "fd flags result.fd"},
	{name: "sock_recv", params: "fd ri_data ri_data_len ri_flags result.ro_datalen result.ro_flags"},
	{name: "sock_send", params: "fd si_data si_data_len si_flags result.so_datalen"},
	{name: "sock_shutdown", params: "fd how"},
}

// pollOneoff waits for nothing. Before Envoy 1.39 it fails, and Go's runtime with
// it.
func (vm *VM) pollOneoff(p []uint64) status {
	if vm.config.Profile < Envoy139 {
		return wasiNoSys
	}
	if !vm.writeUint32(p[3], 0) {
		return wasiFault
	}
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
	if len(text) > 0 {
		vm.log(level, string(bytes.TrimSuffix(text, []byte("\n"))))
	}
	if !vm.writeUint32(p[3], uint32(len(text))) {
		return wasiFault
	}
	return wasiOK
}
