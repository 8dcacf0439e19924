package gateway

import (
	"context"
	"net"
	"net/http"
	"sync"
)

// server is one listener at work. Its socket outlives the configurations that it
// serves.
type server struct {
	gateway  *Gateway
	wanted   string // the address as it was asked for; port 0 is any
	listener net.Listener
	http     *http.Server

	mu         sync.RWMutex // of the two below
	generation *generation
	spec       *listener
}

// turnKey is where a connection has its number: it stays with one worker, of
// whatever generation.
type turnKey struct{}

// headerSlack is how much net/http may read beyond the limit, so
// that the answer to a request just above it is ours and passes the filters.
const headerSlack = 64 << 10

func newServer(g *Gateway, wanted string, bound net.Listener) *server {
	s := &server{gateway: g, wanted: wanted, listener: bound}
	protocols := &http.Protocols{}
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	s.http = &http.Server{
		Handler:        s,
		Protocols:      protocols,
		MaxHeaderBytes: maxHeaderBytes + headerSlack,
		// The listeners stand on all interfaces where the file says so, and Envoy's
		// own default, no limit, lets anyone hold connections for nothing.
		ReadHeaderTimeout: g.options.HeaderTimeout,
		IdleTimeout:       idleTimeout,
		ErrorLog:          g.log.standard(),
		// OPTIONS * is answered by the filters and the router.
		DisableGeneralOptionsHandler: true,
		ConnContext: func(ctx context.Context, _ net.Conn) context.Context {
			return context.WithValue(ctx, turnKey{}, g.turn.Add(1)-1)
		},
	}
	return s
}

// serve takes a generation's listener for the requests to come.
func (s *server) serve(n *generation, l *listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.generation, s.spec = n, l
}

// name is the listener's, in the file as it was last taken.
func (s *server) name() string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.spec.name
}

// begin returns what serves a request, and keeps it from being closed until
// generation.serving is told that the request is done.
func (s *server) begin() (*generation, *listener) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	s.generation.serving.Add(1)
	return s.generation, s.spec
}

// shutdown stops listening, lets the requests in flight finish until ctx ends, and
// breaks what is left.
func (s *server) shutdown(ctx context.Context) {
	if s.http.Shutdown(ctx) != nil {
		s.http.Close()
	}
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	generation, spec := s.begin()
	defer generation.serving.Done()
	turn, _ := r.Context().Value(turnKey{}).(uint64)
	st := newStream(s.gateway, generation, spec.manager, w, r)
	st.worker = generation.workers[turn%uint64(len(generation.workers))]
	defer st.finish()
	st.serve()
}
