package server

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/journal"
)

// showEvents lists what happened, or follows it: with Accept: text/event-stream, each event with its number as its
// id, so that a client that was cut off goes on where it was.
func (s *Server) showEvents(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("id")
	after, err := afterOf(r)
	if err != nil {
		return err
	}
	if _, _, err := s.rollout(r); err != nil {
		return err
	}
	if !strings.Contains(r.Header.Get("Accept"), "text/event-stream") {
		records, err := s.Store.Load(r.Context(), id, after)
		if err != nil {
			return err
		}
		events := []happened{}
		for _, record := range records {
			one, err := asHappened(record)
			if err != nil {
				return err
			}
			events = append(events, one)
		}
		answer(w, http.StatusOK, events)
		return nil
	}
	s.follow(w, r, id, after)
	return nil
}

// afterOf is the number of the event that a client has seen last.
func afterOf(r *http.Request) (int64, error) {
	text := cmp.Or(r.Header.Get("Last-Event-ID"), r.URL.Query().Get("after"), "0")
	after, err := strconv.ParseInt(text, 10, 64)
	if err != nil || after < 0 {
		return 0, badRequest("after is the number of an event")
	}
	return after, nil
}

func asHappened(r journal.Record) (happened, error) {
	e, err := guard.Decode(r.At, r.Kind, r.Data)
	if err != nil {
		return happened{}, err
	}
	return happened{Seq: r.Seq, At: r.At, Kind: r.Kind, Task: e.Task, Fact: e.Fact, Hash: r.Hash}, nil
}

// How often who follows is told that the server is there, and how often it looks where no hint comes.
const (
	aliveEvery = 15 * time.Second
	lookEvery  = 2 * time.Second
	sendWithin = 10 * time.Second
)

// follow sends events until nothing more can happen to the rollout, or the client goes. That it is over is said as soon as
// the traffic's part is and everybody was told; whoever waits for nothing else leaves then. An incident goes on after that.
func (s *Server) follow(w http.ResponseWriter, r *http.Request, id string, after int64) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no")
	out := http.NewResponseController(w)
	ctx := r.Context()
	hints := s.Store.Subscribe(ctx)
	look, alive := time.NewTicker(lookEvery), time.NewTicker(aliveEvery)
	defer look.Stop()
	defer alive.Stop()
	send := func(format string, args ...any) bool {
		_ = out.SetWriteDeadline(time.Now().Add(sendWithin))
		_, err := fmt.Fprintf(w, format, args...)
		return err == nil && out.Flush() == nil
	}
	if !send(": golive\n\n") {
		return
	}
	for said := false; ; {
		over, ended := s.isOver(ctx, id) // before the records: what it ended with is among them then
		records, err := s.Store.Load(ctx, id, after)
		if err != nil && ctx.Err() == nil {
			s.Log.Log(ctx, slog.LevelDebug, "who follows has to wait", "rollout", id, "error", err)
		}
		for _, record := range records {
			one, err := asHappened(record)
			if err != nil {
				return
			}
			text, err := json.Marshal(one)
			if err != nil || !send("id: %d\nevent: %s\ndata: %s\n\n", record.Seq, record.Kind, text) {
				return
			}
			after = record.Seq
		}
		if len(records) == 0 && err == nil {
			if (over || ended) && !said && !send("event: over\ndata: {}\n\n") {
				return
			}
			said = said || over || ended
			if ended {
				send("event: ended\ndata: {}\n\n")
				return
			}
		}
		for waiting := true; waiting; {
			select {
			case hint, open := <-hints:
				waiting = open && hint != id
			case <-look.C:
				waiting = false
			case <-alive.C:
				if !send(": alive\n\n") {
					return
				}
			case <-ctx.Done():
				return
			}
		}
	}
}

// isOver says that the traffic's part of a rollout is over, and that nobody has ordered it back once more, and whether it has
// ended with that: an incident goes on.
func (s *Server) isOver(ctx context.Context, id string) (over, ended bool) {
	one, err := s.Store.Find(ctx, id)
	if err != nil {
		return false, false
	}
	if !one.Open {
		return true, true
	}
	pending, problem := s.Store.Pending(ctx, id) // before the records: what goes from one into the other in between is seen
	h, err := s.histories.read(ctx, id)
	if err != nil || problem != nil || !h.state.Incident.Open() || !settled(h.state, time.Now()) {
		return false, false
	}
	return !h.waits(pending, func(f guard.Fact) bool { return returnsBy(h.state, f) }), false
}

// toldWithin is how long after the traffic's part of a rollout its followers wait for everybody to be told.
const toldWithin = 20 * time.Second

// settled says that the traffic's part of a rollout is over, and that nothing is left of it to be done now.
func settled(s guard.State, now time.Time) bool {
	if s.Phase != guard.Over {
		return false
	}
	due := func(t guard.Task) bool { return !t.NotBefore.After(now) }
	return !slices.ContainsFunc(s.Todo, due) || now.Sub(s.Since) > toldWithin
}
