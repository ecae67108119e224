package engine

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golive-dev/golive/guard"
)

// TestPace sees that the clock of a journal flows from its last record on, whatever the machine that wrote it showed.
func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, ahead := range []time.Duration{-time.Hour, 0, time.Minute, time.Hour} {
			var p pace
			begin := wall(time.Now())
			p.begin(begin.Add(ahead))
			for _, d := range []time.Duration{0, time.Second, time.Hour} {
				time.Sleep(d)
				if want := wall(time.Now()).Add(max(0, ahead)); p.now() != want {
					t.Errorf("a journal that is ahead by %s: %s after %s, want %s", ahead, p.now(), d, want)
				}
			}
		}
	})
}

// TestPaceForward sees that it follows where the clock of the machine is put forward, and flows where it is put back.
func TestPaceForward(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p pace
		p.begin(time.Time{})
		p.last = p.last.Add(-time.Minute) // the clock was put forward by a minute since
		if got, want := p.now(), wall(time.Now()); got != want {
			t.Errorf("put forward: %s, want %s", got, want)
		}
		p.last = p.last.Add(time.Minute) // and back
		time.Sleep(time.Second)
		if got, want := p.now(), wall(time.Now()).Add(time.Minute); got != want {
			t.Errorf("put back: %s, want %s", got, want)
		}
	})
}

// TestOwnerAhead takes a rollout over from a machine whose clock was ahead: it is watched from the first tick on, so that
// a version which turns bad loses its traffic as soon as anywhere.
func TestOwnerAhead(t *testing.T) {
	var usual time.Duration
	for _, ahead := range []time.Duration{0, time.Minute, time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			w, m := &world{}, &memory{}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			m.after = func() {
				if sees(m.events[len(m.events)-1]) {
					cancel()
				}
			}
			if s, err := rollout(t, w, m).Run(ctx, nil, opened()); err == nil || s.Phase != guard.Watching {
				t.Fatalf("%s, error %v", s.Phase, err)
			}
			past := slices.Clone(m.events)
			for i, e := range past {
				past[i].At = e.At.Add(ahead)
				if f, ok := e.Fact.(guard.Measured); ok {
					f.Reading.At, f.Ruling.At = f.Reading.At.Add(ahead), f.Ruling.At.Add(ahead)
					f.Reading.Series = slices.Clone(f.Reading.Series)
					for k := range f.Reading.Series {
						f.Reading.Series[k].At = f.Reading.Series[k].At.Add(ahead)
					}
					past[i].Fact = f
				}
			}
			w.errors, m.after, m.events = .33, nil, past
			began := time.Now()
			s, err := rollout(t, w, m).Run(t.Context(), slices.Clone(past), guard.Resumed{})
			took := time.Since(began)
			if ahead == 0 {
				usual = took
			}
			name := fmt.Sprintf("ahead by %s, over after %s", ahead, took)
			if err != nil || s.Outcome != guard.RolledBack || s.Cause != guard.CauseRegressed {
				t.Errorf("%s: %s because of %s, error %v: %s", name, s.Outcome, s.Cause, err, s.Why)
			}
			if took != usual {
				t.Errorf("%s, and without that after %s", name, usual)
			}
			for i := 1; i < len(m.events); i++ {
				if m.events[i].At.Before(m.events[i-1].At) {
					t.Errorf("%s: fact %d is from before the one in front of it", name, i)
				}
			}
		})
	}
}
