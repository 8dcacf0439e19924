package demo

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// watchEvents opens /events and returns what reads its next event.
func watchEvents(t *testing.T, url string) func() string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), "GET", url+"/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { response.Body.Close() })
	if got := response.Header.Get("Content-Type"); got != "text/event-stream" {
		t.Errorf("content type %q", got)
	}
	lines := bufio.NewScanner(response.Body)
	return func() string {
		for lines.Scan() {
			if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				return data
			}
		}
		return ""
	}
}

func TestEventsReachWatchersAsTheyCome(t *testing.T) {
	live := NewLive()
	server := httptest.NewServer(Pages(live))
	t.Cleanup(server.Close) // after the watcher has left, for which it waits
	live.Publish(map[string]string{"path": "/before\n\ndata: {}"})
	next := watchEvents(t, server.URL)
	if got, want := next(), `{"path":"/before\n\ndata: {}"}`; got != want {
		t.Errorf("history %s, want %s", got, want)
	}
	live.Publish(map[string]string{"path": "/after"})
	if got, want := next(), `{"path":"/after"}`; got != want {
		t.Errorf("event %s, want %s", got, want)
	}
}

func TestHistoryIsBounded(t *testing.T) {
	live := NewLive()
	for i := range 3 * historyLen {
		live.Publish(i)
	}
	history, _, stop := live.watch()
	defer stop()
	if len(history) != historyLen || string(history[0]) != fmt.Sprint(2*historyLen) {
		t.Errorf("%d events from %s on", len(history), history[0])
	}
}

func TestASlowWatcherKeepsNobodyWaiting(t *testing.T) {
	live := NewLive()
	_, events, stop := live.watch()
	done := make(chan struct{})
	go func() {
		for i := range 10 * watcherQueue {
			live.Publish(i)
		}
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatal("the gateway waits for a watcher")
	}
	if len(events) != watcherQueue {
		t.Errorf("%d events wait, want %d", len(events), watcherQueue)
	}
	stop()
	live.Publish("later")
	if len(live.watchers) != 0 {
		t.Error("a watcher that left is still told")
	}
}

func TestCountersAndPlaces(t *testing.T) {
	live := NewLive()
	server := httptest.NewServer(Pages(live))
	defer server.Close()
	get := func(path string, into any) {
		t.Helper()
		response, err := http.Get(server.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		if err := json.NewDecoder(response.Body).Decode(into); err != nil {
			t.Fatal(err)
		}
	}
	var counters map[string]uint64
	get("/counters", &counters)
	if len(counters) != 0 {
		t.Errorf("counters before the gateway runs: %v", counters)
	}
	want := Places{Gateway: "http://localhost:1"}
	live.Show(func() map[string]uint64 { return map[string]uint64{"cors.origin_valid": 7} }, want, nil)
	get("/counters", &counters)
	var places Places
	get("/places", &places)
	if counters["cors.origin_valid"] != 7 || places != want {
		t.Errorf("counters %v, places %+v", counters, places)
	}
}

func TestThePageRunsNothingButItsOwnScript(t *testing.T) {
	server := httptest.NewServer(Pages(nil))
	defer server.Close()
	response, err := http.Get(server.URL + "/")
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	policy := response.Header.Get("Content-Security-Policy")
	for _, part := range []string{"default-src 'none'", "script-src 'self'", "frame-ancestors 'none'"} {
		if !strings.Contains(policy, part) {
			t.Errorf("the policy %q lacks %s", policy, part)
		}
	}
	for _, path := range []string{"/events", "/counters", "/places"} {
		response, err := http.Get(server.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != http.StatusNotFound {
			t.Errorf("%s without a gateway: status %d", path, response.StatusCode)
		}
	}
}

func TestThePageAnswersToItsOwnNamesAlone(t *testing.T) {
	for host, want := range map[string]int{
		"localhost:8000": 200, "LOCALHOST": 200, "127.0.0.1:8000": 200, "[::1]:8000": 200, "[::1]": 200,
		"evil.example:8000": 421, "localhost.evil.example": 421, "192.0.2.1:8000": 421, "": 421,
	} {
		w := httptest.NewRecorder()
		r := httptest.NewRequest("GET", "/", nil)
		r.Host = host
		Pages(NewLive()).ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("Host %q: status %d, want %d", host, w.Code, want)
		}
	}
}

func TestThePolicyIsAskedOfWhoeverKnowsIt(t *testing.T) {
	live := NewLive()
	server := httptest.NewServer(Pages(live))
	defer server.Close()
	ask := func(body string) (*http.Response, Policy) {
		t.Helper()
		response, err := http.Post(server.URL+"/policy", "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		var policy Policy
		json.NewDecoder(response.Body).Decode(&policy)
		return response, policy
	}
	const question = `{"origin": "http://localhost:1", "requests": [{"method": "PUT", "path": "/x", "headers": [["x-a", "1"]], "credentials": true}]}`
	if response, _ := ask(question); response.StatusCode != http.StatusNotFound {
		t.Errorf("without a gateway: %d", response.StatusCode)
	}
	live.Show(nil, Places{}, func(origin string, requests []Question) (Policy, error) {
		if origin != "http://localhost:1" {
			return Policy{}, fmt.Errorf("asked of %s", origin)
		}
		return Policy{Says: fmt.Sprintf("%+v", requests)}, nil
	})
	if response, policy := ask(question); response.StatusCode != http.StatusOK || policy.Says != "[{Method:PUT Path:/x Headers:[[x-a 1]] Credentials:true}]" {
		t.Errorf("%d %+v", response.StatusCode, policy)
	}
	for _, body := range []string{"", "{", `{"origin": "null"}`, `{"origin": "` + strings.Repeat("x", maxQuestions) + `"}`} {
		if response, _ := ask(body); response.StatusCode != http.StatusBadRequest {
			t.Errorf("%.40s: %d", body, response.StatusCode)
		}
	}
}
