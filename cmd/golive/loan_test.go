package main

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golive-dev/golive/guard/engine"
)

// TestLoanAppends says for each answer of a server what the engine is to make of it, and which number the next record has.
func TestLoanAppends(t *testing.T) {
	var mu sync.Mutex
	var status int
	var seqs []int64
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		var sent struct{ Seq int64 }
		if err := json.NewDecoder(r.Body).Decode(&sent); err != nil {
			t.Error(err)
		}
		seqs = append(seqs, sent.Seq)
		if status == 0 {
			panic(http.ErrAbortHandler) // kept, and the answer is lost
		}
		w.WriteHeader(status)
	}))
	defer web.Close()
	l := &loan{servers: &servers{addresses: []string{web.URL}, web: http.DefaultClient, tell: func(string) {}}, id: "l1", next: 2}
	for _, test := range []struct {
		status int
		want   error // nil: kept
		other  bool  // an error that is neither
	}{
		{status: 200},
		{status: 0, want: engine.ErrAway},
		{status: 503, want: engine.ErrAway},
		{status: 401, want: engine.ErrAway},
		{status: 403, want: engine.ErrAway},
		{status: 200},
		{status: 400, other: true},
		{status: 413, other: true},
		{status: 409, want: engine.ErrFenced},
		{status: 410, want: engine.ErrFenced},
	} {
		mu.Lock()
		status = test.status
		mu.Unlock()
		err := l.Append(time.Now(), "noted", json.RawMessage(`{}`))
		away, fenced := errors.Is(err, engine.ErrAway), errors.Is(err, engine.ErrFenced)
		if away != errors.Is(test.want, engine.ErrAway) || fenced != errors.Is(test.want, engine.ErrFenced) || (err == nil) != (test.want == nil && !test.other) {
			t.Errorf("an answer %d: %v, want %v", test.status, err, test.want)
		}
	}
	web.Close()
	if err := l.Append(time.Now(), "noted", json.RawMessage(`{}`)); !errors.Is(err, engine.ErrAway) {
		t.Errorf("a server that is gone: %v, want %v", err, engine.ErrAway)
	}
	if want := []int64{2, 3, 3, 3, 3, 3, 4, 4, 4, 4}; !slices.Equal(seqs, want) {
		t.Errorf("the records have the numbers %v, want %v: a repeat keeps its number, and only what was kept makes room for the next", seqs, want)
	}
}

// TestLoanOwnedUntil sees that the time for which no server guards counts from the last beat that was answered, and from
// when it was sent.
func TestLoanOwnedUntil(t *testing.T) {
	var mu sync.Mutex
	var came []time.Time
	answers := []int{200, 200, 503, 409}
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		came = append(came, time.Now())
		w.WriteHeader(answers[min(len(came), len(answers))-1])
	}))
	defer web.Close()
	l := &loan{servers: &servers{addresses: []string{web.URL}, web: http.DefaultClient, tell: func(string) {}}, id: "l1", every: time.Second}
	begun := time.Now()
	l.heard.Store(&begun)
	var cause error
	l.beat(t.Context(), func(err error) { cause = err })
	if !errors.Is(cause, errTakenOver) || len(came) != len(answers) {
		t.Fatalf("%v after %d beats", cause, len(came))
	}
	if sent := *l.heard.Load(); sent.Before(came[0]) || sent.After(came[1]) {
		t.Errorf("the last beat that was answered was sent at %s, and the beats came at %v", sent, came)
	}
	synctest.Test(t, func(t *testing.T) {
		sent := time.Now()
		want := sent.Add(beatsMissed * l.every * 4 / 5)
		for _, slept := range []time.Duration{0, time.Second, time.Hour} {
			time.Sleep(slept)
			l.heard.Store(&sent)
			if got := l.ownedUntil(); !got.Equal(want) {
				t.Errorf("after %s: %s, want %s", slept, got, want)
			}
		}
		asleep := time.Now().Add(-time.Hour).Round(0) // the other clock has moved on, and the monotonic one says nothing
		l.heard.Store(&asleep)
		if got := l.ownedUntil(); got.After(time.Now()) {
			t.Errorf("after a sleep of an hour it is owned until %s", got)
		}
	})
}
