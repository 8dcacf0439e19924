package demo

import "time"

// Event is an exchange that has ended, as far as the page shows it.
type Event struct {
	Time      time.Time `json:"time"`
	Method    string    `json:"method"`
	Authority string    `json:"authority"`
	Path      string    `json:"path"`
	// Request and Response are pairs of name and value, as the filters left them.
	Request  [][2]string `json:"request"`
	Response [][2]string `json:"response"`
	Status   int         `json:"status"`
	Details  string      `json:"details"`
}

// RequestHeaders and ResponseHeaders are the headers that an [Event] has, where they
// were sent: what the filter decides by, and what the page shows. None of them logs
// anybody in.
var (
	RequestHeaders = []string{
		"origin", "access-control-request-method", "access-control-request-headers", "access-control-request-private-network",
		"sec-fetch-site", "sec-fetch-mode", "x-forwarded-proto", "content-type", "x-demo",
	}
	ResponseHeaders = []string{
		"access-control-allow-origin", "access-control-allow-credentials", "access-control-allow-methods", "access-control-allow-headers",
		"access-control-max-age", "access-control-expose-headers", "access-control-allow-private-network",
		"vary", "timing-allow-origin", "x-cors-decision", "location", "content-type", "x-demo-upstream",
	}
)

// Pick returns those of some headers that were sent.
func Pick(names []string, get func(name string) (value string, ok bool)) [][2]string {
	pairs := [][2]string{} // the page expects a list
	for _, name := range names {
		if value, ok := get(name); ok {
			pairs = append(pairs, [2]string{name, value})
		}
	}
	return pairs
}
