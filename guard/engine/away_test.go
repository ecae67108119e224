package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/golive-dev/golive/guard"
)

// remote is a journal that can be away: answer says what try (from 0) of fact n (from 0) is answered, and whether the
// fact was kept all the same. It holds the engine to what a Journal may expect.
type remote struct {
	memory
	answer func(n, try int) (err error, kept bool)

	mu     sync.Mutex
	known  int // facts whose keeping was answered
	tries  int // of the next fact
	last   string
	inside bool
	misuse []string
}

func (j *remote) Append(at time.Time, kind string, data json.RawMessage) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.inside {
		j.misuse = append(j.misuse, "two appends at a time")
	}
	j.inside = true
	j.mu.Unlock()
	time.Sleep(time.Millisecond) // so that two at a time would meet
	j.mu.Lock()
	j.inside = false
	call := fmt.Sprint(at, kind, string(data))
	if j.tries > 0 && call != j.last {
		j.misuse = append(j.misuse, fmt.Sprintf("%s was appended before an answer to %s", call, j.last))
	}
	j.last = call
	var err error
	kept := true
	if j.answer != nil {
		err, kept = j.answer(j.known, j.tries)
	}
	if (err == nil || kept) && len(j.events) == j.known {
		if err := j.memory.Append(at, kind, data); err != nil {
			return err
		}
	}
	if err != nil {
		j.tries++
		return fmt.Errorf("append fact %d: %w", j.known, err)
	}
	j.known, j.tries = j.known+1, 0
	return nil
}

// gone says that the latest append had no answer.
func (j *remote) gone() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.tries > 0
}

// warden is a world that writes down what went forward while the journal was away.
type warden struct {
	*world
	journal *remote
	mu      sync.Mutex
	forward []string
}

func (w *warden) Shift(ctx context.Context, o guard.Order, percent int) error {
	w.world.mu.Lock()
	rises := percent > w.percent
	w.world.mu.Unlock()
	if rises && w.journal.gone() {
		w.note(fmt.Sprintf("shift %d", percent))
	}
	return w.world.Shift(ctx, o, percent)
}

func (w *warden) Finish(ctx context.Context, o guard.Order) error {
	if w.journal.gone() {
		w.note("finish")
	}
	return w.world.Finish(ctx, o)
}

func (w *warden) note(what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.forward = append(w.forward, what)
}

// faraway is a rollout whose journal is remote.
func faraway(t *testing.T, w *world, j *remote) (*Rollout, *warden) {
	guarded := &warden{world: w, journal: j}
	r := rollout(t, w, &j.memory)
	r.Journal, r.Parts.Backend = j, guarded
	return r, guarded
}

// wants holds the end of a rollout to what has to hold whenever its journal was away in between.
func wants(t *testing.T, name string, w *warden, s guard.State) {
	t.Helper()
	if len(w.journal.misuse) > 0 {
		t.Errorf("%s: %s", name, strings.Join(w.journal.misuse, "; "))
	}
	if len(w.forward) > 0 {
		t.Errorf("%s: while the journal was away: %v", name, w.forward)
	}
	if w.overlap {
		t.Errorf("%s: two moves at once: %v", name, w.moves)
	}
	if diff := cmp.Diff(s, guard.Fold(plan(t), w.journal.events), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("%s: the journal leads elsewhere (-run +journal):\n%s", name, diff)
	}
}

// TestAwayEverywhere lets the journal give no answer at each fact in turn, for a moment and for longer than a move of
// traffic may take, whether the fact was kept or not: the end is the same.
func TestAwayEverywhere(t *testing.T) {
	for _, bad := range []float64{0, .05} {
		want, facts := guard.Live, 0
		if bad > 0 {
			want = guard.RolledBack
		}
		synctest.Test(t, func(t *testing.T) {
			j := &remote{}
			r, _ := faraway(t, &world{errors: bad}, j)
			if _, err := r.Run(t.Context(), nil, opened()); err != nil {
				t.Fatal(err)
			}
			facts = len(j.events)
		})
		if facts < 10 {
			t.Fatalf("only %d facts", facts)
		}
		for n := range facts {
			for _, tries := range []int{1, 60} {
				for _, kept := range []bool{false, true} {
					name := fmt.Sprintf("errors %v, fact %d of %d, %d tries, kept %v", bad, n, facts, tries, kept)
					synctest.Test(t, func(t *testing.T) {
						w, j := &world{errors: bad}, &remote{}
						j.answer = func(fact, try int) (error, bool) {
							if fact == n && try < tries {
								return ErrAway, kept
							}
							return nil, true
						}
						r, guarded := faraway(t, w, j)
						var told []bool
						r.Away = func(why error) {
							told = append(told, why != nil)
							if why != nil && !errors.Is(why, ErrAway) {
								t.Errorf("%s: away because of %v", name, why)
							}
						}
						s, err := r.Run(t.Context(), nil, opened())
						if err != nil {
							t.Fatalf("%s: %v", name, err)
						}
						wants(t, name, guarded, s)
						if s.Outcome != want || (want == guard.Live) != (w.percent == 100 && w.finished) {
							t.Errorf("%s: %s with %d %%, finished %v: %s\n%v", name, s.Outcome, w.percent, w.finished, s.Why, w.moves)
						}
						if diff := cmp.Diff([]bool{true, false}, told); diff != "" {
							t.Errorf("%s: away or back (-want +got):\n%s", name, diff)
						}
					})
				}
			}
		}
	}
}

// leaves is a journal that is away from the first fact on that says so, until back is closed.
func leaves(from func(guard.Event) bool, back <-chan struct{}) *remote {
	j := &remote{}
	away := false
	j.answer = func(n, _ int) (error, bool) {
		if n > 0 && !away {
			away = from(j.events[n-1])
		}
		select {
		case <-back:
			return nil, true
		default:
		}
		if away {
			return ErrAway, false
		}
		return nil, true
	}
	return j
}

// sees says that an event measured the new version with some of the traffic.
func sees(e guard.Event) bool {
	m, ok := e.Fact.(guard.Measured)
	return ok && m.Standing != nil && m.Standing.Percent > 0
}

// TestBackNeedsNoJournal takes a bad version back, verified, while the journal is away, and writes it down later.
func TestBackNeedsNoJournal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		back := make(chan struct{})
		w, j := &world{errors: .05}, leaves(sees, back)
		r, guarded := faraway(t, w, j)
		var over bool
		r.Saw = func(_ guard.Event, s guard.State) {
			if s.Phase != guard.Over || over {
				return
			}
			over = true
			if !j.gone() {
				t.Error("the journal was back before the old version was")
			}
			if s.Outcome != guard.RolledBack || s.Cause != guard.CauseRegressed || w.percent != 0 {
				t.Errorf("%s because of %s, with %d %%", s.Outcome, s.Cause, w.percent)
			}
			go func() {
				time.Sleep(time.Hour) // longer than anything but keeping the facts may take
				close(back)
			}()
		}
		s, err := r.Run(t.Context(), nil, opened())
		if err != nil || !over {
			t.Fatalf("over %v, error %v", over, err)
		}
		wants(t, "back", guarded, s)
	})
}

// TestRollbackNeedsNoJournal goes back by hand with a journal that is away from the beginning.
func TestRollbackNeedsNoJournal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		back := make(chan struct{})
		w, j := &world{percent: 50}, &remote{}
		j.answer = func(int, int) (error, bool) {
			select {
			case <-back:
				return nil, true
			default:
				return ErrAway, false
			}
		}
		r, guarded := faraway(t, w, j)
		r.Saw = func(_ guard.Event, s guard.State) {
			if s.Phase == guard.Over && w.percent == 0 && j.known == 0 {
				close(back)
				r.Saw = nil
			}
		}
		open := opened()
		open.Purpose = guard.ToRollback
		s, err := r.Run(t.Context(), nil, open)
		if err != nil || s.Outcome != guard.RolledBack || r.Saw != nil {
			t.Errorf("%s, error %v, over without the journal: %v", s.Outcome, err, r.Saw == nil)
		}
		wants(t, "by hand", guarded, s)
	})
}

// TestNeverBack ends a rollout whose journal never comes back: it is over, and says what is not known to be kept.
func TestNeverBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, j := &world{errors: .05}, leaves(sees, nil)
		r, _ := faraway(t, w, j)
		ctx, cancel := context.WithCancelCause(t.Context())
		defer cancel(nil)
		leave := errors.New("that will do")
		r.Saw = func(_ guard.Event, s guard.State) {
			if s.Phase == guard.Over {
				time.AfterFunc(time.Hour, func() { cancel(leave) })
			}
		}
		s, err := r.Run(ctx, nil, opened())
		if !errors.Is(err, ErrAway) || !errors.Is(err, leave) || errors.Is(err, ErrJournal) {
			t.Errorf("error %v", err)
		}
		if s.Outcome != guard.RolledBack || w.percent != 0 {
			t.Errorf("%s with %d %%", s.Outcome, w.percent)
		}
	})
}

// TestAwayTooLong decides on the next step while the journal is away. The step waits, with traffic on a version that
// nobody watches, so that it ends by going back.
func TestAwayTooLong(t *testing.T) {
	for _, tt := range []struct {
		minutes int
		want    guard.Outcome
	}{{4, guard.Live}, {60, guard.RolledBack}} {
		synctest.Test(t, func(t *testing.T) {
			back := make(chan struct{})
			w, j := &world{}, leaves(sees, back)
			r, guarded := faraway(t, w, j)
			var waits time.Time
			r.Saw = func(_ guard.Event, s guard.State) {
				if s.Phase == guard.Shifting && s.Aim == 50 && waits.IsZero() {
					waits = time.Now()
					time.AfterFunc(time.Duration(tt.minutes)*time.Minute, func() { close(back) })
				}
				if s.Phase == guard.Over && tt.want == guard.RolledBack {
					if took := time.Since(waits); took < guard.BlindAtMost || took > guard.BlindAtMost+time.Minute || !j.gone() {
						t.Errorf("it was over after %s, with the journal gone: %v", took, j.gone())
					}
				}
			}
			s, err := r.Run(t.Context(), nil, opened())
			if err != nil || s.Outcome != tt.want || waits.IsZero() {
				t.Errorf("%d minutes: %s, error %v: %s", tt.minutes, s.Outcome, err, s.Why)
			}
			wants(t, fmt.Sprint(tt.minutes, " minutes"), guarded, s)
		})
	}
}

// TestFirstTryFails has a store that answers no first try: that is slow, and no reason to begin again for ever.
func TestFirstTryFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, j := &world{}, &remote{}
		j.answer = func(_, try int) (error, bool) {
			if try == 0 {
				return ErrAway, true
			}
			return nil, true
		}
		r, guarded := faraway(t, w, j)
		s, err := r.Run(t.Context(), nil, opened())
		if err != nil || s.Outcome != guard.Live {
			t.Errorf("%s, error %v: %s", s.Outcome, err, s.Why)
		}
		wants(t, "every first try", guarded, s)
	})
}

// TestFenced lets somebody else take the rollout over at each fact, and at each that the journal was away for: the
// engine stops at once, and moves nothing.
func TestFenced(t *testing.T) {
	for _, before := range []int{0, 3} { // tries that have no answer
		for n := 1; n < 40; n++ {
			synctest.Test(t, func(t *testing.T) {
				w, j := &world{}, &remote{}
				var moves []string
				var when time.Time
				j.answer = func(fact, try int) (error, bool) {
					if fact < n {
						return nil, true
					}
					if fact == n && try < before {
						return ErrAway, false
					}
					w.mu.Lock()
					defer w.mu.Unlock()
					moves, when = slices.Clone(w.moves), time.Now()
					return ErrFenced, false
				}
				r, _ := faraway(t, w, j)
				s, err := r.Run(t.Context(), nil, opened())
				if !errors.Is(err, ErrFenced) || errors.Is(err, ErrJournal) || errors.Is(err, ErrAway) {
					t.Fatalf("fact %d: %s, error %v", n, s.Phase, err)
				}
				if took := time.Since(when); took > time.Second {
					t.Errorf("fact %d: it took %s to stop", n, took)
				}
				if diff := cmp.Diff(moves, w.moves); diff != "" {
					t.Errorf("fact %d: moves afterwards (-before +after):\n%s", n, diff)
				}
				if len(j.events) != n {
					t.Errorf("fact %d: %d facts were kept", n, len(j.events))
				}
				if before > 0 {
					return
				}
				if diff := cmp.Diff(guard.Fold(plan(t), j.events), s, cmpopts.EquateEmpty()); diff != "" {
					t.Errorf("fact %d: what was not kept counts (-journal +run):\n%s", n, diff)
				}
			})
		}
	}
}

// TestFencedLetsGo sees that a move of traffic under way is given up when somebody else takes over.
func TestFencedLetsGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		outside := make(chan guard.Fact, 1)
		w, j := &world{hang: func(percent int) bool { return percent == 10 }}, &remote{}
		j.answer = func(n, _ int) (error, bool) {
			if n > 0 {
				if _, ok := j.events[n-1].Fact.(guard.Inspected); ok {
					return ErrFenced, false
				}
			}
			return nil, true
		}
		r, _ := faraway(t, w, j)
		r.Outside = outside
		time.AfterFunc(10*time.Second, func() { outside <- guard.Noted{Text: "hello"} })
		began := time.Now()
		if _, err := r.Run(t.Context(), nil, opened()); !errors.Is(err, ErrFenced) {
			t.Errorf("error %v", err)
		}
		if diff := cmp.Diff([]string{"shift 10"}, w.moves); diff != "" || time.Since(began) > 12*time.Second {
			t.Errorf("after %s, moves (-want +got):\n%s", time.Since(began), diff)
		}
	})
}

// TestAwayThenBroken lets the disk be full when the journal is back at last: it goes back, as without a backlog.
func TestAwayThenBroken(t *testing.T) {
	full := errors.New("no space left on device")
	for n := 1; n < 40; n++ {
		synctest.Test(t, func(t *testing.T) {
			w, j := &world{}, &remote{}
			j.answer = func(fact, try int) (error, bool) {
				switch {
				case fact < n:
					return nil, true
				case fact == n && try < 5:
					return ErrAway, false
				}
				return full, false
			}
			r, guarded := faraway(t, w, j)
			s, err := r.Run(t.Context(), nil, opened())
			if !errors.Is(err, ErrJournal) || !errors.Is(err, full) || s.Phase != guard.Over {
				t.Fatalf("fact %d: %s, error %v", n, s.Phase, err)
			}
			if w.percent != 0 || w.finished || len(j.events) != n || len(guarded.forward) > 0 {
				t.Errorf("fact %d: %s with %d %%, finished %v, %d facts, forward %v", n, s.Outcome, w.percent, w.finished, len(j.events), guarded.forward)
			}
		})
	}
}

// TestBrokenAtOnce sees that nothing begins whose beginning could not be kept.
func TestBrokenAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, j := &world{}, &remote{answer: func(int, int) (error, bool) { return errors.New("no space left on device"), false }}
		r, _ := faraway(t, w, j)
		s, err := r.Run(t.Context(), nil, opened())
		if !errors.Is(err, ErrJournal) || len(w.moves) > 0 {
			t.Errorf("%s %s, error %v, moves %v", s.Phase, s.Outcome, err, w.moves)
		}
	})
}

// TestAwayAtRandom plays rollouts with a store that comes and goes, people who order things, and versions that turn
// bad: whatever happens, what is kept is what happened, and nothing went forward while the store was away.
func TestAwayAtRandom(t *testing.T) {
	outcomes, gone := map[guard.Outcome]int{}, 0
	for seed := range uint64(150) {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 7))
			w, j := &world{}, &remote{}
			var until time.Time // the store is away
			dice := rand.New(rand.NewPCG(seed, 8))
			j.answer = func(int, int) (error, bool) {
				if now := time.Now(); now.After(until) && dice.IntN(12) == 0 {
					until = now.Add(time.Duration(dice.ExpFloat64() * float64(40*time.Second)))
					gone++
				}
				if time.Now().Before(until) {
					return ErrAway, dice.IntN(2) == 0
				}
				return nil, true
			}
			r, guarded := faraway(t, w, j)
			outside := make(chan guard.Fact)
			r.Outside = outside
			ctx, cancel := context.WithCancel(t.Context())
			var people sync.WaitGroup
			people.Go(func() {
				for {
					select {
					case <-time.After(time.Duration(random.ExpFloat64() * float64(2*time.Minute))):
					case <-ctx.Done():
						return
					}
					now := time.Now().UTC()
					var f guard.Fact
					switch random.IntN(14) {
					case 0:
						f = guard.Ordered{Verb: guard.OrderRollback}
					case 1, 2:
						f = guard.Ordered{Verb: guard.OrderHold}
					case 3, 4, 5:
						f = guard.Ordered{Verb: guard.OrderResume}
					case 6:
						f = guard.Ordered{Verb: guard.OrderExtend, For: guard.Duration(5 * time.Minute)}
					case 7:
						f = guard.Voted{Alerts: []guard.Alert{{Key: "a", Name: "errors", Since: now}}}
					case 8:
						w.mu.Lock()
						w.errors = .05
						w.mu.Unlock()
						continue
					default:
						f = guard.Voted{Alerts: []guard.Alert{{Key: "a", Name: "errors", Since: now, Ended: true}}}
					}
					select {
					case outside <- f:
					case <-ctx.Done():
						return
					}
				}
			})
			s, err := r.Run(t.Context(), nil, opened())
			cancel()
			people.Wait()
			if err != nil || s.Phase != guard.Over {
				t.Errorf("seed %d: %s, error %v", seed, s.Phase, err)
			}
			wants(t, fmt.Sprint("seed ", seed), guarded, s)
			outcomes[s.Outcome]++
		})
	}
	t.Log(outcomes, gone)
	if outcomes[guard.Live] == 0 || outcomes[guard.RolledBack] == 0 || gone < 100 {
		t.Errorf("a test that never gets anywhere: %v, the store was away %d times", outcomes, gone)
	}
}
