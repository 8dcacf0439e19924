package host

// Callbacks one by one, for tests of modules against hosts that call them in an
// order of their own.

// Callback is one that no headers go with.
type Callback int

// The callbacks.
const (
	Create Callback = iota
	Done
	Log
	Delete
)

func (vm *VM) single(c Callback) (f *guestFunction, ph phase) {
	switch c {
	case Create:
		return &vm.contextCreate, phaseOther
	case Done:
		return &vm.onDone, phaseOther
	case Log:
		return &vm.onLog, phaseLog
	}
	return &vm.onDelete, phaseOther
}

// StreamWithID returns a stream under an id of the caller's choice, of which the
// module has not been told. Callbacks run on it as on any other.
func (p *Plugin) StreamWithID(id uint32) *Stream { return &Stream{plugin: p, id: id, created: true} }

// Run runs one callback of the stream; the error is the trap that it ended in.
func (s *Stream) Run(c Callback) error {
	vm := s.plugin.vm
	vm.mu.Lock()
	defer vm.mu.Unlock()
	f, ph := vm.single(c)
	if c == Create {
		return s.run(f, ph, uint64(s.id), uint64(s.plugin.id))
	}
	return s.run(f, ph, uint64(s.id))
}

// Run runs one callback of the plugin's own context, other than Create; Close is
// Done and then Delete.
func (p *Plugin) Run(c Callback) error {
	vm := p.vm
	vm.mu.Lock()
	defer vm.mu.Unlock()
	vm.plugin = p
	defer func() { vm.plugin = nil }()
	f, ph := vm.single(c)
	_, err := vm.call(f, ph, 1, uint64(p.id))
	return err
}
