package main

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
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
