package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/engine"
)

// This file guards here what a server keeps the journal of, so that a server goes on when this process, or its machine, is
// gone.

// A loan is a rollout that this process guards for as long as it beats.
type loan struct {
	servers *servers // the one that has lent it: no other knows of it
	id      string   // of the lease
	rollout string
	fence   int64
	every   time.Duration

	mu   sync.Mutex
	next int64 // number of the record that comes next

	heard atomic.Pointer[time.Time] // when the last beat that was answered was sent
}

var _ engine.Journal = (*loan)(nil)

// keepsWithin bounds one try to have a record kept: nothing is decided in the meantime. It is longer than a server waits for
// its store, so that this answers first.
const keepsWithin = 4 * time.Second

func (l *loan) path(what string) string { return "/v1/leases/" + url.PathEscape(l.id) + what }

// Append implements engine.Journal. A record has its number, by which the server knows a repeat.
func (l *loan) Append(at time.Time, kind string, data json.RawMessage) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	err := l.servers.try(context.Background(), keepsWithin, errand{method: http.MethodPost, path: l.path("/records"), body: struct { //nolint:contextcheck // a fact is kept whatever else ends
		Seq  int64           `json:"seq"`
		At   time.Time       `json:"at"`
		Kind string          `json:"kind"`
		Data json.RawMessage `json:"data"`
	}{l.next, at, kind, data}}, nil)
	switch {
	case err == nil:
		l.next++
		return nil
	case takenOver(err):
		return fmt.Errorf("%w: %w", engine.ErrFenced, err)
	case mayPass(err):
		return fmt.Errorf("%w: %w", engine.ErrAway, err)
	}
	return err
}

// takenOver says that the server has taken the rollout away, or knows nothing of the loan any more.
func takenOver(err error) bool {
	var no *refusal
	return errors.As(err, &no) && (no.status == http.StatusConflict || no.status == http.StatusGone)
}

// mayPass says that nobody has answered, or that the server cannot just now. A token that has expired is no reason to take
// traffic back: the server goes on once it has not heard of this call for long enough.
func mayPass(err error) bool {
	var no *refusal
	return !errors.As(err, &no) || no.passing() || notLetIn(err)
}

// notLetIn says that the server knows the token no more.
func notLetIn(err error) bool {
	var no *refusal
	return errors.As(err, &no) && (no.status == http.StatusUnauthorized || no.status == http.StatusForbidden)
}

// errTakenOver is the cause when a server guards from now on.
var errTakenOver = errors.New("a server has taken the rollout over")

// beat says again and again that this process lives, until it is told that it is late.
func (l *loan) beat(ctx context.Context, end context.CancelCauseFunc) {
	missed := 0
	for waited(ctx, l.every) {
		sent := time.Now()
		err := l.servers.try(ctx, min(l.every, answersIn), errand{method: http.MethodPost, path: l.path("/beat")}, nil)
		if missed++; err == nil {
			missed = 0
			l.heard.Store(&sent)
		}
		if takenOver(err) || notLetIn(err) && missed > beatsMissed {
			end(errTakenOver)
			return
		}
	}
}

// beatsMissed is after how many heartbeats that did not come a server goes on.
const beatsMissed = 3

// ownedUntil is until when no server guards the rollout. The server counts from when it heard of this process, which is
// later than when that was said; what is left of the time is for clocks that run at a different pace, and for a move that is
// given up under way. The monotonic clock may stand still while a machine sleeps, and the other one may be set: the one that
// has moved further counts.
func (l *loan) ownedUntil() time.Time {
	sent, now := *l.heard.Load(), time.Now()
	passed := max(now.Sub(sent), now.Round(0).Sub(sent.Round(0)))
	return now.Add(beatsMissed*l.every*4/5 - passed)
}

// hear hands on what is told to the rollout, each once.
func (l *loan) hear(ctx context.Context, tell func(context.Context, guard.Fact)) {
	var after int64
	for pause := againAtFirst; ; pause = min(2*pause, againAtMost) {
		err := l.servers.events(ctx, l.path("/told"), after, func(_ string, data []byte) error {
			pause = againAtFirst
			var told struct {
				Seq  int64           `json:"seq"`
				At   time.Time       `json:"at"`
				Kind string          `json:"kind"`
				Data json.RawMessage `json:"data"`
			}
			if err := json.Unmarshal(data, &told); err != nil {
				return err
			}
			e, err := guard.Decode(told.At, told.Kind, told.Data)
			if err != nil {
				l.servers.tell("something was told that this golive cannot read: " + guard.Line(err.Error(), 300))
			} else {
				tell(ctx, guard.Taken(e.Fact, told.Seq))
			}
			after = told.Seq
			return nil
		})
		if takenOver(err) || !waited(ctx, pause) {
			return // the beat says so too
		}
	}
}

// giveBack ends the loan: the rollout is over, or the servers are to go on.
func (l *loan) giveBack(ctx context.Context, patience time.Duration) error {
	err := l.servers.insist(ctx, patience, func(ctx context.Context) error {
		return l.servers.try(ctx, answersIn, errand{method: http.MethodDelete, path: l.path("")}, nil)
	})
	if takenOver(err) {
		return nil
	}
	return err
}

// guardFar guards a release here by the plan and the parts of this machine, with the journal at a server.
func (p *program) guardFar(ctx context.Context, release guard.Release, purpose guard.Purpose, f *far) error {
	if f.service != "" || f.environment != "" || f.detach {
		return fail(exitUsage, "--heartbeat guards here, by the plan of this machine: leave out --service, --environment and --detach")
	}
	plan, source, err := p.readPlan()
	if err != nil {
		return err
	}
	s, release, err := p.releaseFar(release, f)
	if err != nil {
		return err
	}
	if err := release.Validate(); err != nil {
		return fail(exitUsage, "%w", err)
	}
	parts, closeParts, err := p.parts(ctx, plan)
	if err != nil {
		return err
	}
	defer closeParts()
	l, taken, err := p.borrow(ctx, s, release, purpose, string(source), f.heartbeat)
	if err != nil {
		return err
	}
	if l.id == "" {
		fmt.Fprintln(p.err, "golive: it is under way already, so that this call follows it")
		return p.concludeFar(ctx, s, l.rollout, false)
	}
	if !taken {
		fmt.Fprintf(p.err, "golive: the server has a plan of its own for %s, which is not the one in %s, and takes no other (golive serve --accept-plans would): the server guards, and this call follows\n", release.Service, p.settings.Plan)
		if err := l.giveBack(ctx, patienceToAct); err != nil {
			return s.mend(err)
		}
		return p.concludeFar(ctx, s, l.rollout, false)
	}
	h, err := p.historyFar(ctx, l.servers, l.rollout)
	if err != nil {
		return errors.Join(err, l.giveBack(ctx, patienceToRead))
	}
	l.next = int64(len(h.Events)) + 1
	p.step.set("page", s.pageOf(l.rollout))
	p.handOn(p.step.began(l.rollout))
	fmt.Fprintf(p.err, "%s: %s (guarded here; a server goes on when it has not heard of this call for %s)\n", l.rollout, s.pageOf(l.rollout), spell(beatsMissed*l.every))
	return p.guardLoan(ctx, s, l, h, parts)
}

// borrow opens a rollout that this call guards. Taken says that the server goes on by the plan that was sent, should it come
// to that. A loan without a lease says that the same release is under way.
func (p *program) borrow(ctx context.Context, s *servers, r guard.Release, purpose guard.Purpose, plan string, every time.Duration) (l *loan, taken bool, err error) {
	type guardSelf struct {
		Every guard.Duration `json:"every"`
		Plan  string         `json:"plan"`
		At    time.Time      `json:"at"`
	}
	var answer struct {
		ID       string `json:"id"`
		Lease    string `json:"lease"`
		Fence    int64  `json:"fence"`
		Accepted bool   `json:"accepted"`
	}
	key := rand.Text()
	var sent time.Time
	err = s.insist(ctx, patienceToAct, func(ctx context.Context) error {
		if sent.IsZero() { // a repeat borrows nothing anew
			sent = time.Now()
		}
		return s.try(ctx, answersIn, errand{method: http.MethodPost, path: "/v1/rollouts", key: key, body: struct {
			opening
			Guard guardSelf `json:"guard"`
		}{opening{r.Service, r.Environment, r.From, r.To, purpose}, guardSelf{guard.Duration(every), plan, time.Now().UTC()}}}, &answer)
	})
	if err != nil {
		return nil, false, p.notOpened(s, err)
	}
	lender := *s
	lender.addresses, lender.at = s.addresses[s.at:s.at+1], 0
	l = &loan{servers: &lender, id: answer.Lease, rollout: answer.ID, fence: answer.Fence, every: every}
	l.heard.Store(&sent)
	return l, answer.Accepted, nil
}

// guardLoan guards until the rollout is over, until a server has taken it over, or until somebody insists on leaving.
func (p *program) guardLoan(ctx context.Context, s *servers, l *loan, h *history, parts engine.Parts) error {
	p.guarding.Lock()
	defer p.guarding.Unlock()
	if ctx.Err() != nil {
		return errors.Join(context.Cause(ctx), l.giveBack(context.WithoutCancel(ctx), patienceToRead))
	}
	view := p.view(h.Plan)
	defer view.close()
	outside, listening := p.listen(ctx, h, nil)
	defer outside.close()
	var speaking sync.WaitGroup
	speaking.Go(func() { l.beat(listening, outside.end) })
	speaking.Go(func() { l.hear(listening, outside.tell) })
	defer speaking.Wait()
	defer outside.close()

	var state guard.State
	for _, e := range h.Events {
		state = guard.Next(h.Plan, state, e)
		view.saw(e, state)
	}
	var unheard *time.Timer // ends what is left to do once it is over, if the server does not hear of that
	rollout := &engine.Rollout{
		Plan: h.Plan, Parts: parts, Journal: l, Outside: outside.facts,
		Saw: func(e guard.Event, s guard.State) {
			h.Events = append(h.Events, e)
			view.saw(e, s)
			switch over := s.Phase == guard.Over; {
			case over && state.Phase != guard.Over:
				unheard = time.AfterFunc(unheardFor+beatsMissed*l.every, func() { outside.end(errUnheard) })
			case !over && unheard != nil: // somebody has it taken back once more
				unheard.Stop()
				unheard = nil
			}
			state = s
		},
		Found:      view.found,
		MayAdvance: l.ownedUntil,
		Away: func(why error) {
			text := "the server keeps everything again"
			if why != nil {
				text = fmt.Sprintf("the server does not keep what happens: no traffic moves forward, and a breach is taken back all the same (%v)", why)
			}
			l.servers.tell(text)
		},
	}
	past := slices.Clone(h.Events)
	state, err := rollout.Run(listening, past, guard.Resumed{Version: version(), Fence: l.fence})
	view.close()
	outside.close()
	speaking.Wait()
	h.State = state
	e := ending{history: h, state: state, signalled: p.ears.code()}
	switch {
	case errors.Is(err, engine.ErrFenced), errors.Is(err, errTakenOver):
		fmt.Fprintln(p.err, "golive: a server has taken the rollout over, since it had not heard of this call in time; this call guards no more, and follows it")
		l.mu.Lock()
		told := l.next - 1
		l.mu.Unlock()
		return p.concludeAfter(ctx, s, l.rollout, told, false)
	case errors.Is(err, errLeft) && state.Phase != guard.Over:
		back := l.giveBack(context.WithoutCancel(ctx), patienceToRead)
		if back != nil {
			s.tell(fmt.Sprintf("the server was not told, and goes on in %s: %v", spell(beatsMissed*l.every), back))
		}
		return p.leaveFar(ctx, h, nil)
	case err != nil && state.Phase != guard.Over:
		return fail(exitInternal, "%w", errors.Join(err, l.giveBack(context.WithoutCancel(ctx), patienceToRead)))
	case errors.Is(err, errLeft):
		fmt.Fprintln(p.err, "golive: left before everybody was told")
	default:
		e.unkept = err
	}
	p.answered = p.ears.heard()
	if err := l.giveBack(context.WithoutCancel(ctx), patienceToRead); err != nil {
		s.tell(fmt.Sprintf("the server was not told that it is over, and finds out in %s: %v", spell(beatsMissed*l.every), err))
	}
	return p.conclude(e, nil, false)
}

// unheardFor is how long a rollout that is over waits, beside the time in which a server takes over, for what happened to be
// kept and told.
const unheardFor = 30 * time.Second

// errUnheard is the cause when a rollout is over and no server was told.
var errUnheard = errors.New("no server has kept how it ended")
