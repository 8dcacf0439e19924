package host

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// PluginConfig is what Envoy's PluginConfig says.
type PluginConfig struct {
	Name          string
	RootID        string
	Configuration []byte
	// FailOpen lets requests pass that begin after the VM has failed; otherwise they
	// get 503, as those do that the VM had.
	FailOpen bool
}

// Plugin is one plugin context of a VM.
type Plugin struct {
	vm     *VM
	id     uint32
	config PluginConfig
	period time.Duration // between ticks; 0: none
	ended  bool
	// waiting says that the module answered done with no.
	waiting bool
}

// NewPlugin creates a plugin context and configures it. The error is ErrRejected
// where the module refuses the configuration; the VM can be used on. Where the context
// cannot be created the VM has failed, and the plugin is there all the same.
func (vm *VM) NewPlugin(_ context.Context, c PluginConfig) (*Plugin, error) {
	vm.mu.Lock()
	defer vm.mu.Unlock()
	vm.lastID++
	p := &Plugin{vm: vm, id: vm.lastID, config: c}
	vm.plugin = p
	defer func() { vm.plugin = nil }()
	if vm.failure != nil {
		return nil, vm.failure
	}
	if _, err := vm.call(&vm.contextCreate, phaseOther, 0, uint64(p.id), 0); err != nil {
		if vm.module.IsClosed() {
			return nil, err
		}
		return p, nil
	}
	vm.plugins = append(vm.plugins, p)
	started := false
	defer func() {
		if !started {
			p.end()
		}
	}()
	ok, err := vm.call(&vm.onConfigure, phaseConfigure, 1, uint64(p.id), uint64(len(c.Configuration)))
	if err != nil {
		return nil, err
	}
	if ok == 0 {
		_, err := vm.call(&vm.onDelete, phaseOther, 0, uint64(p.id))
		if err != nil {
			return nil, err
		}
		return nil, fmt.Errorf("plugin %q: %w", c.Name, ErrRejected)
	}
	started = true
	return p, nil
}

// setTickPeriod keeps what the guest asks for.
func (p *Plugin) setTickPeriod(period time.Duration) {
	p.period = period
	if p.vm.config.TickPeriod != nil {
		p.vm.config.TickPeriod(p, period)
	}
}

// Tick runs the plugin's tick, where it asked for ticks and has not ended.
func (p *Plugin) Tick() {
	p.vm.mu.Lock()
	defer p.vm.mu.Unlock()
	if p.period == 0 || p.ended || p.vm.failure != nil {
		return
	}
	p.vm.plugin = p
	defer func() { p.vm.plugin = nil }()
	p.vm.call(&p.vm.onTick, phaseOther, 0, uint64(p.id)) // a trap fails the VM, and is logged
}

// end stops the ticks.
func (p *Plugin) end() {
	p.ended = true
	if p.period != 0 {
		p.setTickPeriod(0)
	}
	p.vm.plugins = slices.DeleteFunc(p.vm.plugins, func(e *Plugin) bool { return e == p })
}

// Close ends the plugin context: done, then delete. Where the module answers done
// with no, the context goes on, ticks included, until the module says proxy_done.
func (p *Plugin) Close(context.Context) error {
	p.vm.mu.Lock()
	defer p.vm.mu.Unlock()
	p.vm.plugin = p
	defer func() { p.vm.plugin = nil }()
	done, err := p.vm.call(&p.vm.onDone, phaseOther, 1, uint64(p.id))
	switch {
	case err != nil:
		p.end()
		return err
	case done == 0:
		p.waiting = true
		return nil
	}
	return p.delete()
}

// delete is the last that the module hears of the context.
func (p *Plugin) delete() error {
	defer p.end()
	_, err := p.vm.call(&p.vm.onDelete, phaseOther, 0, uint64(p.id))
	return err
}

// VM returns the VM that the plugin lives in.
func (p *Plugin) VM() *VM { return p.vm }

// Action is what a callback wants done with its headers.
type Action int

// The actions.
const (
	ActionContinue Action = iota
	ActionPause
)

// LocalReply is an answer that does not come from upstream.
type LocalReply struct {
	Status     int
	Details    string
	Headers    *HeaderMap // without :status
	Body       []byte
	GRPCStatus int32 // -1: none
}

// detailsFailed are the response code details of Envoy's reply for a failed VM.
const detailsFailed = "wasm_fail_stream"

// Stream is one HTTP stream of a plugin. Its callbacks must be called one after
// the other. The module hears of it with its request: where a filter in front has
// answered that, the response passes the module by, and so does the stream's end.
type Stream struct {
	plugin   *Plugin
	id       uint32
	created  bool // in the module
	request  *HeaderMap
	response *HeaderMap
	reply    *LocalReply
	// late says that the VM had failed before the stream began. Such a one passes where
	// the plugin fails open; the others that the VM had, or gets its trap, do not.
	late bool
}

// NewStream starts a stream.
func (p *Plugin) NewStream() *Stream {
	p.vm.mu.Lock()
	defer p.vm.mu.Unlock()
	p.vm.lastID++
	return &Stream{plugin: p, id: p.vm.lastID, late: p.vm.failure != nil}
}

// run calls an export for this stream.
func (s *Stream) run(f *guestFunction, ph phase, params ...uint64) error {
	_, err := s.ask(f, ph, 0, params...)
	return err
}

func (s *Stream) ask(f *guestFunction, ph phase, absent uint64, params ...uint64) (uint64, error) {
	vm := s.plugin.vm
	vm.plugin, vm.stream = s.plugin, s
	result, err := vm.call(f, ph, absent, params...)
	vm.plugin, vm.stream = nil, nil
	return result, err
}

// OnRequestHeaders runs the request's headers through the filter, which may
// change them. The reply is what the filter answered, or the 503 of a VM that
// failed; the caller runs its headers through OnResponseHeaders of every filter,
// this one's included, as Envoy does.
func (s *Stream) OnRequestHeaders(h *HeaderMap, endOfStream bool) (Action, *LocalReply) {
	s.plugin.vm.mu.Lock()
	defer s.plugin.vm.mu.Unlock()
	if !s.created {
		s.created = s.run(&s.plugin.vm.contextCreate, phaseOther, uint64(s.id), uint64(s.plugin.id)) == nil
	}
	s.request = h
	return s.headers(&s.plugin.vm.onRequestHeaders, phaseRequest, h, endOfStream)
}

// OnResponseHeaders runs the response's headers, with :status, through the
// filter.
func (s *Stream) OnResponseHeaders(h *HeaderMap, endOfStream bool) (Action, *LocalReply) {
	s.plugin.vm.mu.Lock()
	defer s.plugin.vm.mu.Unlock()
	s.response = h
	return s.headers(&s.plugin.vm.onResponseHeaders, phaseResponse, h, endOfStream)
}

func (s *Stream) headers(f *guestFunction, ph phase, h *HeaderMap, endOfStream bool) (Action, *LocalReply) {
	end := uint64(0)
	if endOfStream {
		end = 1
	}
	s.reply = nil
	action := uint64(ActionContinue)
	var err error
	if s.created {
		action, err = s.ask(f, ph, uint64(ActionContinue), uint64(s.id), uint64(h.Len()), end)
	}
	if !s.created || err != nil {
		if s.late && s.plugin.config.FailOpen || ph != phaseRequest && !s.created {
			return ActionContinue, nil
		}
		return ActionPause, &LocalReply{Status: 503, Details: detailsFailed, Headers: NewHeaderMap(), GRPCStatus: -1}
	}
	if s.reply != nil {
		return ActionPause, s.reply
	}
	return Action(action), nil
}

// OnDone ends the stream: log, done, delete.
func (s *Stream) OnDone() {
	vm := s.plugin.vm
	vm.mu.Lock()
	defer vm.mu.Unlock()
	if !s.created {
		return
	}
	for _, end := range []struct {
		f  *guestFunction
		ph phase
	}{{&vm.onLog, phaseLog}, {&vm.onDone, phaseOther}, {&vm.onDelete, phaseOther}} {
		if s.run(end.f, end.ph, uint64(s.id)) != nil {
			return
		}
	}
}

// Response is what a client sees of an exchange.
type Response struct {
	Headers   *HeaderMap // with :status
	Body      []byte
	Forwarded bool   // upstream was asked
	Details   string // response code details
	Paused    bool   // the filter neither replied nor let the stream go on
}

// Exchange runs a stream's whole life with this plugin as the only filter: the
// request's headers, the local reply or upstream's response, the response's
// headers, the end. upstream gets the request as forwarded and returns response
// headers with :status.
func (p *Plugin) Exchange(request *HeaderMap, upstream func(request *HeaderMap) *HeaderMap) Response {
	return p.ExchangeAdding(request, upstream, nil)
}

// ExchangeAdding is Exchange on a route with response_headers_to_add, which are
// appended: behind those of upstream, and before those of the filter's own reply.
func (p *Plugin) ExchangeAdding(request *HeaderMap, upstream func(request *HeaderMap) *HeaderMap, toAdd [][2]string) Response {
	s := p.NewStream()
	defer s.OnDone()
	action, reply := s.OnRequestHeaders(request, true)
	response := Response{Details: "via_upstream"}
	switch {
	case reply != nil:
		response.takeReply(reply, toAdd)
	case action == ActionPause:
		return Response{Paused: true}
	default:
		response.Headers, response.Forwarded = upstream(request), true
		response.Headers.addAll(toAdd)
	}
	action, again := s.OnResponseHeaders(response.Headers, true)
	if again != nil {
		response.takeReply(again, toAdd)
	}
	response.Paused = again == nil && action == ActionPause
	return response
}

func (r *Response) takeReply(reply *LocalReply, toAdd [][2]string) {
	r.Headers = NewHeaderMap([2]string{":status", fmt.Sprint(reply.Status)})
	r.Headers.addAll(toAdd)
	for name, value := range reply.Headers.All() {
		r.Headers.Add(name, value)
	}
	if len(reply.Body) > 0 {
		r.Headers.Replace("content-length", fmt.Sprint(len(reply.Body)))
		if _, ok := r.Headers.Get("content-type"); !ok {
			r.Headers.Add("content-type", "text/plain")
		}
	}
	r.Body, r.Details = reply.Body, reply.Details
}
