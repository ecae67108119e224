package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/golive-dev/golive/guard"
)

// owner is a world, and until when the process is known to own its rollout. It writes down what began to go forward when
// it was not.
type owner struct {
	*world
	mu      sync.Mutex
	until   time.Time
	forward []string
	refuses bool // a share of 50 % cannot be given
	tried   int  // in vain
}

func (o *owner) MayAdvance() time.Time {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.until
}

func (o *owner) set(until time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.until = until
}

// lapses ends the ownership now, and gives it back later; 0: never.
func (o *owner) lapses(later time.Duration) {
	o.set(time.Now())
	if later > 0 {
		time.AfterFunc(later, func() { o.set(time.Now().Add(24 * time.Hour)) })
	}
}

func (o *owner) goesForward(what string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !time.Now().Before(o.until) {
		o.forward = append(o.forward, what)
	}
}

func (o *owner) Shift(ctx context.Context, order guard.Order, percent int) error {
	if percent > 0 {
		o.goesForward(fmt.Sprintf("shift %d", percent))
	}
	o.mu.Lock()
	refuses := o.refuses && percent == 50
	if refuses {
		o.tried++
	}
	o.mu.Unlock()
	if refuses {
		return errors.New("try again")
	}
	return o.world.Shift(ctx, order, percent)
}

func (o *owner) Finish(ctx context.Context, order guard.Order) error {
	o.goesForward("finish")
	return o.world.Finish(ctx, order)
}

// owned is a rollout whose ownership may lapse.
func owned(t *testing.T, w *world) (*Rollout, *owner, *memory) {
	o, m := &owner{world: w, until: time.Now().Add(24 * time.Hour)}, &memory{}
	r := rollout(t, w, m)
	r.Parts.Backend, r.MayAdvance = o, o.MayAdvance
	return r, o, m
}

func (o *owner) check(t *testing.T, name string, s guard.State, m *memory) {
	t.Helper()
	if len(o.forward) > 0 {
		t.Errorf("%s: without being known to own the rollout: %v", name, o.forward)
	}
	if o.overlap {
		t.Errorf("%s: two moves at once: %v", name, o.moves)
	}
	if diff := cmp.Diff(s, guard.Fold(plan(t), m.events), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("%s: the journal leads elsewhere (-run +journal):\n%s", name, diff)
	}
}

// TestHaltedWhileRetried lets the ownership lapse while a share is asked for again and again. Nothing goes forward; then
// the phase has its whole time, or somebody has to watch: it goes back.
func TestHaltedWhileRetried(t *testing.T) {
	for _, tt := range []struct {
		later time.Duration
		want  guard.Outcome
	}{{3 * time.Minute, guard.Live}, {0, guard.RolledBack}} {
		synctest.Test(t, func(t *testing.T) {
			w := &world{}
			r, o, m := owned(t, w)
			o.refuses = true
			var lapsed time.Time
			renewed := false
			r.Saw = func(e guard.Event, s guard.State) {
				switch f := e.Fact.(type) {
				case guard.Failed:
					if lapsed.IsZero() && s.Phase == guard.Shifting {
						lapsed = time.Now()
						o.lapses(tt.later)
						o.mu.Lock()
						o.refuses = false
						o.mu.Unlock()
					}
				case guard.Resumed:
					renewed = true
					whole := r.Plan.Rollout.Deadline.Shift.Std()
					if late := time.Since(lapsed) - tt.later; late > 2*lookAgain || s.Until.Sub(e.At) != whole || f.Unmoved {
						t.Errorf("seen %s after it was so, until %s of %s; unmoved %v", late, s.Until.Sub(e.At), whole, f.Unmoved)
					}
				}
				if took := time.Since(lapsed); s.Phase == guard.Restoring && took > guard.BlindAtMost+time.Minute {
					t.Errorf("it went back after %s", took)
				}
			}
			s, err := r.Run(t.Context(), nil, opened())
			if err != nil || s.Outcome != tt.want || o.tried != 1 || renewed != (tt.later > 0) {
				t.Errorf("%s, tried %d times in vain, renewed %v, error %v: %s", s.Outcome, o.tried, renewed, err, s.Why)
			}
			if took := time.Since(lapsed); tt.want == guard.RolledBack && (took < guard.BlindAtMost || w.percent != 0) {
				t.Errorf("with %d %% after %s", w.percent, took)
			}
			o.check(t, string(tt.want), s, m)
		})
	}
}

// TestHaltedEverywhere lets the ownership lapse at each fact in turn, for a moment and for longer than a phase may take:
// the end is the same, and a bad version is taken back all the same.
func TestHaltedEverywhere(t *testing.T) {
	for _, bad := range []float64{0, .05} {
		want := guard.Live
		if bad > 0 {
			want = guard.RolledBack
		}
		for n, facts := 1, 2; n < facts; n++ {
			for _, later := range []time.Duration{time.Second, 3 * time.Minute} {
				name := fmt.Sprintf("errors %v, fact %d, %s", bad, n, later)
				synctest.Test(t, func(t *testing.T) {
					w := &world{errors: bad}
					r, o, m := owned(t, w)
					m.after = func() {
						if len(m.events) == n {
							o.lapses(later)
						}
					}
					s, err := r.Run(t.Context(), nil, opened())
					if err != nil || s.Outcome != want || (want == guard.Live) != (w.percent == 100 && w.finished) {
						t.Errorf("%s: %s with %d %%, finished %v, error %v: %s\n%v", name, s.Outcome, w.percent, w.finished, err, s.Why, w.moves)
					}
					o.check(t, name, s, m)
					facts = max(facts, len(m.events))
				})
			}
		}
	}
}

// TestHaltedWatch sees that a bad version is taken back by a process that does not know whether it owns the rollout.
func TestHaltedWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{errors: .05}
		r, o, m := owned(t, w)
		m.after = func() {
			if sees(m.events[len(m.events)-1]) && o.MayAdvance().After(time.Now()) {
				o.lapses(0)
			}
		}
		s, err := r.Run(t.Context(), nil, opened())
		if err != nil || s.Outcome != guard.RolledBack || s.Cause != guard.CauseRegressed || w.percent != 0 {
			t.Errorf("%s because of %s, with %d %%, error %v", s.Outcome, s.Cause, w.percent, err)
		}
		o.check(t, "watching", s, m)
	})
}

// TestHaltedUnderWay sees that a move forward under way ends with the ownership, and not when its own time is over; and
// that it goes on for as long as the ownership is renewed.
func TestHaltedUnderWay(t *testing.T) {
	for _, lapses := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			const lease = 12 * time.Second
			ctx, cancel := context.WithCancel(t.Context())
			w := &world{hang: func(percent int) bool { return percent == 10 }}
			r, o, _ := owned(t, w)
			o.set(time.Now().Add(lease))
			if !lapses {
				stop := time.NewTicker(lease / 3)
				defer stop.Stop()
				go func() {
					for {
						select {
						case <-stop.C:
							o.set(time.Now().Add(lease))
						case <-ctx.Done():
							return
						}
					}
				}()
			}
			began := time.Now()
			var why string
			r.Saw = func(e guard.Event, s guard.State) {
				if f, ok := e.Fact.(guard.Failed); ok && why == "" {
					why = f.Error
					cancel()
				}
			}
			if _, err := r.Run(ctx, nil, opened()); !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
			cancel()
			took, limit := time.Since(began), r.Plan.Rollout.Deadline.Shift.Std()/3
			if lapses != (took < lease+2*time.Second) || lapses == (took > limit) {
				t.Errorf("lapses: %v; it was given up after %s: %s", lapses, took, why)
			}
		})
	}
}

// TestNothingMoved waits for longer than anybody may be blind before the first move, for the journal and to own the
// rollout: no version has traffic that nobody watches, so that it goes on. A process before this one may have moved it.
func TestNothingMoved(t *testing.T) {
	begins := func(e guard.Event) bool {
		_, ok := e.Fact.(guard.Inspected)
		return ok
	}
	const long = 2 * guard.BlindAtMost
	t.Run("journal", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			back := make(chan struct{})
			w := &world{}
			j := leaves(func(e guard.Event) bool { // so that where the traffic is cannot be kept
				_, ok := e.Fact.(guard.Checked)
				return ok
			}, back)
			r, guarded := faraway(t, w, j)
			r.Away = func(why error) {
				if why != nil {
					time.AfterFunc(long, func() { close(back) })
				}
			}
			outside := make(chan guard.Fact, 1) // what is told in the meantime, and cannot be kept
			r.Outside = outside
			time.AfterFunc(2*time.Second, func() { outside <- guard.Noted{Text: "lunch"} })
			s, err := r.Run(t.Context(), nil, opened())
			if err != nil || s.Outcome != guard.Live {
				t.Errorf("%s, error %v: %s", s.Outcome, err, s.Why)
			}
			wants(t, "journal", guarded, s)
		})
	})
	for _, before := range []bool{false, true} {
		t.Run(fmt.Sprint("owner, moved before: ", before), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := &world{}
				r, o, m := owned(t, w)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				m.after = func() {
					if begins(m.events[len(m.events)-1]) {
						o.lapses(long)
						m.after = nil
						if before {
							cancel()
						}
					}
				}
				s, err := r.Run(ctx, nil, opened())
				want := guard.Live
				if before { // the same as if that process had begun to move
					want = guard.RolledBack
					s, err = r.Run(t.Context(), slices.Clone(m.events), guard.Resumed{})
				}
				if err != nil || s.Outcome != want {
					t.Errorf("%s, error %v: %s", s.Outcome, err, s.Why)
				}
				o.check(t, "owner", s, m)
			})
		})
	}
}
