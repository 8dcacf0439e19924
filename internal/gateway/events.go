package gateway

import "time"

// Event is a stream that has ended, for those who watch. The gateway knows
// nothing of what its filters decide.
type Event struct {
	Time      time.Time `json:"time"`
	Method    string    `json:"method"`
	Authority string    `json:"authority"`
	Path      string    `json:"path"`
	// Request and Response are the headers as the filters left them, pseudo
	// headers excluded.
	Request  [][2]string `json:"request"`
	Response [][2]string `json:"response"`
	Status   int         `json:"status"`
	Details  string      `json:"details"`
	// Forwarded says that upstream answered.
	Forwarded bool `json:"forwarded"`
}

// watched tells whether somebody wants events.
func (st *stream) watched() bool { return st.gateway.options.OnStream != nil }

// event describes the stream at its end.
func (st *stream) event() Event {
	e := Event{
		Time: st.start, Status: st.status, Details: st.details, Forwarded: st.upstreamHost != "",
		Request: [][2]string{}, Response: [][2]string{},
	}
	for name, value := range st.request.All() {
		switch name {
		case ":method":
			e.Method = value
		case ":authority":
			e.Authority = value
		case ":path":
			e.Path = value
		case ":scheme":
		default:
			e.Request = append(e.Request, [2]string{name, shown(name, value)})
		}
	}
	if st.response != nil {
		for name, value := range st.response.All() {
			if name != ":status" {
				e.Response = append(e.Response, [2]string{name, shown(name, value)})
			}
		}
	}
	return e
}

// shown is a header's value as watchers get it: those that log people in are kept
// back, since a watcher may be a page.
func shown(name, value string) string {
	switch name {
	case "cookie", "set-cookie", "authorization", "proxy-authorization":
		return "(not shown)"
	}
	return value
}
