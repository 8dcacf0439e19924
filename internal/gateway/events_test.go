package gateway

import (
	"slices"
	"testing"
	"time"
)

func TestEventsTellWhatBecameOfAStream(t *testing.T) {
	events := make(chan Event, 4)
	l := start(t, file{
		filters: plugin("one", "", ""),
		routes:  `{match: {prefix: /}, direct_response: {status: 418, body: {inline_string: tea}}}`,
	}, guest(t), func(o *Options) { o.OnStream = func(e Event) { events <- e } })
	l.get(t, "/pot?size=2", "X-Ask: black")
	select {
	case e := <-events:
		if e.Method != "GET" || e.Path != "/pot?size=2" || e.Authority != l.base[len("http://"):] || e.Status != 418 || e.Details != "direct_response" || e.Forwarded {
			t.Errorf("%+v", e)
		}
		if !slices.Contains(e.Request, [2]string{"x-ask", "black"}) || !slices.Contains(e.Response, [2]string{"x-stamp", "one"}) {
			t.Errorf("request %v\nresponse %v", e.Request, e.Response)
		}
		for _, h := range append(e.Request, e.Response...) {
			if h[0][0] == ':' {
				t.Errorf("the pseudo header %s is among the headers", h[0])
			}
		}
		if time.Since(e.Time) > time.Minute {
			t.Errorf("began at %v", e.Time)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("no event")
	}
}
