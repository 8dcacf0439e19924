package demo

import (
	"encoding/json"
	"net/http"
)

// Question is a request that a page is going to make.
type Question struct {
	Method  string      `json:"method"`
	Path    string      `json:"path"`
	Headers [][2]string `json:"headers"`
	// Credentials says that cookies go along.
	Credentials bool `json:"credentials"`
}

// Answer is what the policy in force says of it.
type Answer struct {
	// Allowed says whether the page gets the response.
	Allowed bool `json:"allowed"`
	// Says is one sentence about what the policy does here; "" where there is
	// nothing to say.
	Says string `json:"says"`
	// Lines are those of a policy under which the page would get the response:
	// all of them are needed, and together they were tried.
	Lines []string `json:"lines"`
}

// Policy is what is in force in the gateway, seen from a page.
type Policy struct {
	// Text is the policy as the gateway has it.
	Text string `json:"text"`
	// Allowed says whether the page's origin is one that the policy allows.
	Allowed bool `json:"allowed"`
	// Says is where the page stands, in a sentence or two.
	Says string `json:"says"`
	// Pages are the addresses of the same page, and how the policy stands to each.
	Pages []Page `json:"pages"`
	// Answers are those to the questions, in their order.
	Answers []Answer `json:"answers"`
}

// Page is one address of the page.
type Page struct {
	URL string `json:"url"`
	// Standing is two words, such as "not allowed".
	Standing string `json:"standing"`
}

// Adviser says what the policy in force says of an origin and its requests.
type Adviser func(origin string, requests []Question) (Policy, error)

// maxQuestions bounds what a page asks at once, in bytes.
const maxQuestions = 64 << 10

func (l *Live) policy(w http.ResponseWriter, r *http.Request) {
	l.mu.Lock()
	advise := l.advise
	l.mu.Unlock()
	if advise == nil {
		http.Error(w, "no gateway", http.StatusNotFound)
		return
	}
	var asked struct {
		Origin   string
		Requests []Question
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxQuestions)).Decode(&asked); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	policy, err := advise(asked.Origin, asked.Requests)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	writeJSON(w, policy)
}
