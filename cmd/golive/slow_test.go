package main

import (
	"bytes"
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golive-dev/golive/guard"
)

// What is slow is named with whom it asks, once where no line can be rewritten, until it answers.
func TestPending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		w := &pending{out: &out, lines: &out, plan: &guard.Plan{}, closed: make(chan struct{})}
		w.clock.Go(w.tick)
		check := w.check(guard.Check{ID: "backup.age", Run: func(ctx context.Context, s guard.Scene) ([]guard.Finding, error) {
			go s.Ask(ctx, guard.Question{Tool: "quick"})
			s.Ask(ctx, guard.Question{Backups: &guard.Part{Use: "pgbackrest"}})
			time.Sleep(10 * time.Second)
			return nil, nil
		}})
		scene := guard.Scene{Ask: func(_ context.Context, q guard.Question) (guard.Answer, error) {
			if q.Backups != nil {
				time.Sleep(5 * time.Second)
			}
			return guard.Answer{}, nil
		}}
		began := time.Now()
		go check.Run(t.Context(), scene)
		for _, c := range []struct {
			at   time.Duration
			want string
		}{
			{2900 * time.Millisecond, ""},
			{4500 * time.Millisecond, "still asking: backup.age (pgbackrest) for 5s"},
			{8500 * time.Millisecond, "still asking: backup.age for 9s"},
			{16 * time.Second, ""},
		} {
			time.Sleep(time.Until(began.Add(c.at)))
			synctest.Wait()
			w.change(func() {
				if got := w.slow(time.Now()); got != c.want {
					t.Errorf("after %s: %q, want %q", c.at, got, c.want)
				}
			})
		}
		w.close()
		if got, want := out.String(), "golive: still asking: backup.age (pgbackrest) for 3s\n"; got != want {
			t.Errorf("it said %q, want %q", got, want)
		}
	})
}
