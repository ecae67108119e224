package server

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
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

// follow sends events until the rollout is over or the client goes.
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
	for {
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
		if s.isOver(ctx, id) && len(records) == 0 && err == nil {
			send("event: over\ndata: {}\n\n")
			return
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

// isOver says that nothing more will happen to a rollout.
func (s *Server) isOver(ctx context.Context, id string) bool {
	one, err := s.Store.Find(ctx, id)
	return err == nil && !one.Open
}
