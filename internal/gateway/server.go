package gateway

import (
	"context"
	"net"
	"net/http"
)

// server is one listener at work.
type server struct {
	gateway  *Gateway
	spec     *listener
	listener net.Listener
	http     *http.Server
}

type workerKey struct{}

// headerSlack is how much net/http may read beyond the limit, so
// that the answer to a request just above it is ours and passes the filters.
const headerSlack = 64 << 10

func newServer(g *Gateway, l *listener, bound net.Listener) *server {
	s := &server{gateway: g, spec: l, listener: bound}
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
			turn := g.turn.Add(1) - 1
			return context.WithValue(ctx, workerKey{}, g.workers[turn%uint64(len(g.workers))])
		},
	}
	return s
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.gateway.serving.Add(1)
	defer s.gateway.serving.Done()
	worker, _ := r.Context().Value(workerKey{}).(*worker)
	st := newStream(s, worker, w, r)
	defer st.finish()
	st.serve()
}
