package server

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/store"
)

// This file lends rollouts: a client, such as a step of a pipeline, guards by itself, with its own plan and its own parts,
// and this server keeps the journal. For that the client has a session of its own in the store, which lives for as long as
// the client beats. A client that stands still is replaced like a server that does: some server goes on from the journal,
// by the plan that the client sent.
//
// That plan may name commands, which then run on a server. So a server takes plans of clients only if it was told to
// (Options.AcceptPlans), from callers that may operate; any other server lends by its own plan of the service.
//
// A lease is known to the server that gave it alone. A client that has lost that server has lost its lease; the rollout is
// taken over.

// guardSelf is what a client sends that is to guard by itself.
type guardSelf struct {
	Every guard.Duration `json:"every"` // how often it beats; it is replaced after three beats that did not come
	Plan  string         `json:"plan"`  // the text
	At    time.Time      `json:"at"`    // by its clock, which all records of the rollout follow until it is replaced
}

// Bounds of what is lent.
const (
	beatsAtLeast = time.Second
	beatsAtMost  = 5 * time.Minute
	beatsMissed  = 3
	clocksDiffer = time.Minute
)

// planSent is the name of a plan that a client has sent, where the server has none of its own in whose place it stands.
const planSent = "golive.yaml"

// lent are the rollouts that clients of this server guard.
type lent struct {
	mu   sync.Mutex
	byID map[string]*borrowed
}

// borrowed is one of them.
type borrowed struct {
	id, delivery string
	caller       string
	session      *store.Session
	guarding     *guarding // which runs nothing: it has the lease

	mu   sync.Mutex // held while a record is appended
	last sent       // the latest that was kept
}

// sent is a record as a client sends it.
type sent struct {
	Seq  int64           `json:"seq"` // its number in the journal, by which a repeat is known
	At   time.Time       `json:"at"`
	Kind string          `json:"kind"`
	Data json.RawMessage `json:"data"`
}

func (r sent) same(other sent) bool {
	return r.Seq == other.Seq && r.At.Equal(other.At) && r.Kind == other.Kind && bytes.Equal(r.Data, other.Data)
}

// leaseGoneError says that this server did not give a lease, or took it back.
type leaseGoneError struct{}

func (leaseGoneError) Error() string {
	return "this server knows no such lease: it was restarted, or another one gave it; the rollout is taken over"
}

// fencedError says that a client does not guard its rollout any more.
type fencedError struct{ rollout string }

func (e fencedError) Error() string {
	return "the rollout " + e.rollout + " was taken over by a server: do not guard it any more, follow it"
}

func (l *lent) add(b *borrowed) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.byID == nil {
		l.byID = map[string]*borrowed{}
	}
	for id, old := range l.byID {
		if !old.session.Valid() {
			delete(l.byID, id) // its client went without a word
		}
	}
	l.byID[b.id] = b
}

func (l *lent) drop(b *borrowed) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.byID, b.id)
}

func (l *lent) all() (all []*borrowed) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, b := range l.byID {
		all = append(all, b)
	}
	return all
}

// of is what a request is about. Only who borrowed it may speak of it.
func (l *lent) of(r *http.Request) (*borrowed, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.byID[r.PathValue("lease")]
	if b == nil || b.caller != who(r.Context()) || !callerOf(r.Context()).MayFor(Operate, b.guarding.lease.Target) {
		return nil, leaseGoneError{}
	}
	return b, nil
}

// repeated is what the same request has borrowed before; nil: nothing.
func (l *lent) repeated(delivery string) *borrowed {
	all := l.all()
	if i := slices.IndexFunc(all, func(b *borrowed) bool { return b.delivery == delivery && b.session.Valid() }); i >= 0 {
		return all[i]
	}
	return nil
}

// chosenBy is the plan of a rollout that a client guards, and whether it is the one that the client sent.
func (s *Server) chosenBy(o opening) (Chosen, bool, error) {
	own, err := s.Plans.For(o.Service, o.Environment)
	if !s.AcceptPlans {
		return own, err == nil && own.Text == o.Guard.Plan, err
	}
	file := cmp.Or(own.File, planSent)
	plan, err := guard.ParsePlan(planSent, []byte(o.Guard.Plan)) // the client need not know where ours is
	if err == nil {
		plan, err = guard.ParsePlan(file, []byte(o.Guard.Plan))
	}
	switch {
	case err != nil:
		return Chosen{}, false, badRequest("the plan that was sent has mistakes: " + guard.Line(err.Error(), longestText))
	case plan.Service != o.Service, o.Environment != "" && plan.Environment != o.Environment:
		return Chosen{}, false, badRequest(fmt.Sprintf("the plan that was sent is for %s", target(plan.Service, plan.Environment)))
	}
	return Chosen{plan, o.Guard.Plan, file}, true, nil
}

// errLendsEvidence: who guards by itself also says what it has measured. A watch moves no traffic forward by that; a rollout
// does, and its client could claim any evidence.
var errLendsEvidence = fmt.Errorf(`who guards a rollout by itself says what the evidence is, so %w; a watch does not ("purpose": "watch")`, errApprove)

// lendRollout opens a rollout that its client guards.
func (s *Server) lendRollout(w http.ResponseWriter, r *http.Request, o opening) error {
	ctx := r.Context()
	every := o.Guard.Every.Std()
	if every < beatsAtLeast || every > beatsAtMost {
		return badRequest(fmt.Sprintf("guard.every is from %s to %s", guard.Duration(beatsAtLeast), guard.Duration(beatsAtMost)))
	}
	if ahead := time.Until(o.Guard.At).Abs(); ahead > clocksDiffer {
		return badRequest(fmt.Sprintf("the clocks of client and server differ by %s, and the records of a rollout follow one another: set them", guard.Duration(ahead.Round(time.Second))))
	}
	if o.Purpose != guard.ToWatch && !callerOf(ctx).May(Approve) {
		return errLendsEvidence
	}
	asked := *o.Guard
	asked.Plan = "" // it stands in the first record
	delivery, err := s.delivery(r, opening{o.Service, o.Environment, o.From, o.To, o.Purpose, &asked})
	if err != nil {
		return err
	}
	if b := s.lent.repeated(delivery.ID); b != nil {
		answer(w, http.StatusCreated, b.opened(true))
		return nil
	}
	chosen, accepted, err := s.chosenBy(o)
	if err != nil {
		return err
	}
	release := guard.Release{Service: chosen.Plan.Service, Environment: chosen.Plan.Environment, From: o.From, To: o.To}
	about := target(release.Service, release.Environment)
	if err := permit(ctx, about); err != nil {
		return err
	}
	if o.Purpose != guard.ToWatch && !callerOf(ctx).MayFor(Approve, about) {
		return errLendsEvidence
	}
	if err := release.Validate(); err != nil {
		return &InvalidError{err}
	}
	release.ID = newName(time.Now(), release.To)
	begins := guard.Event{At: o.Guard.At.UTC().Round(0), Fact: guard.Opened{
		Release: release, Purpose: cmp.Or(o.Purpose, guard.ToRollout), Mode: chosen.Plan.Mode, Plan: chosen.Text, File: chosen.File, Version: s.Version,
		By: sender(ctx, delivery),
	}}
	kind, data, err := begins.Encode()
	if err != nil {
		return err
	}
	session, err := s.Store.Join(ctx, guard.Line("a client of "+cmp.Or(who(ctx), s.Node), store.MaxText/2), beatsMissed*every)
	if err != nil {
		return err
	}
	desk := desk{s}
	var lease *store.Lease
	var id string
	inTheWay, old, err := desk.makeRoom(ctx, delivery, o.Purpose, release.To, func() (err error) {
		lease, id, err = s.Store.Lend(ctx, desk.stamped(ctx, delivery), store.Opening{
			Rollout: release.ID, Target: about,
			Records: []store.Entry{{At: begins.At, Kind: kind, Data: data}},
		}, session)
		return err
	})
	if lease == nil {
		_ = session.Leave(ctx) // it owns nothing, and ends by itself
	}
	if inTheWay != "" {
		id, err = desk.underWay(ctx, delivery, inTheWay, old, begins.Fact.(guard.Opened), chosen.Plan)
	}
	if err != nil {
		return err
	}
	if inTheWay == "" {
		desk.audit(ctx, delivery, id, kind, id != release.ID, nil)
	}
	w.Header().Set("Location", "/v1/rollouts/"+id)
	if lease == nil { // the same release is under way
		answer(w, http.StatusCreated, opened{ID: id})
		return nil
	}
	b := &borrowed{id: session.ID(), delivery: delivery.ID, caller: who(ctx), session: session, guarding: newGuarding(s, lease)}
	s.lent.add(b)
	b.guarding.log.Info("lent to a client", "by", who(ctx), "every", every, "accepted", accepted)
	answer(w, http.StatusCreated, b.opened(accepted))
	return nil
}

// opened is the answer to who has borrowed.
func (b *borrowed) opened(accepted bool) opened {
	return opened{ID: b.guarding.lease.Rollout, Lease: b.id, Fence: b.guarding.lease.Fence, Accepted: accepted}
}

// keepRecord appends what a client has to remember.
func (s *Server) keepRecord(w http.ResponseWriter, r *http.Request) error {
	b, err := s.lent.of(r)
	if err != nil {
		return err
	}
	var in sent
	if err := read(r, &in); err != nil {
		return err
	}
	e, err := guard.Decode(in.At, in.Kind, in.Data)
	if err != nil {
		return badRequest("the record is none of a rollout: " + guard.Line(err.Error(), longestText))
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	lease := b.guarding.lease
	switch next := lease.Seq() + 1; {
	case in.same(b.last):
		answer(w, http.StatusOK, told{lease.Rollout})
		return nil
	case in.Seq != next:
		return badRequest(fmt.Sprintf("record %d was sent, and %d is the next", in.Seq, next))
	}
	h, err := s.histories.read(r.Context(), lease.Rollout)
	if err != nil {
		return err
	}
	if one, err := s.Store.Find(r.Context(), lease.Rollout); err != nil {
		return err
	} else if one.Fence != lease.Fence { // what its journal holds by now is of another owner
		return s.takeAway(r.Context(), b)
	}
	if e, err = s.believed(r.Context(), b, h, e); err != nil {
		return err
	}
	kind, data, err := e.Encode()
	if err != nil {
		return err
	}
	err = lease.Append(e.At, kind, data)
	switch {
	case errors.Is(err, store.ErrFenced):
		return s.takeAway(r.Context(), b)
	case errors.Is(err, store.ErrAway):
		return err
	case err != nil:
		return badRequest("the record cannot be kept: " + guard.Line(s.Clean(err.Error()), longestText))
	}
	b.last = in
	answer(w, http.StatusOK, told{lease.Rollout})
	return nil
}

// believed is a record of a client as it is kept. What a client says of its own work is its to say; what people and tools
// have said it can only hand on, or say in the name of its caller, who may not say more there than elsewhere.
func (s *Server) believed(ctx context.Context, b *borrowed, h history, e guard.Event) (guard.Event, error) {
	caller := callerOf(ctx)
	switch f := e.Fact.(type) {
	case guard.Opened:
		return e, badRequest("the rollout is opened already")
	case guard.Resumed:
		if fence := b.guarding.lease.Fence; f.Fence != fence {
			return e, badRequest(fmt.Sprintf("the fence of this lease is %d, and not %d", fence, f.Fence))
		}
	}
	switch {
	case e.At.Before(h.state.At):
		return e, badRequest("the record is from before the last one")
	case time.Until(e.At) > recordsAhead:
		return e, badRequest("the record is from a time to come: set the clocks of client and server")
	}
	if offset := e.Offset(); offset != 0 {
		return e, s.handedOn(ctx, h, e, offset)
	}
	if o, ok := e.Fact.(guard.Ordered); ok && o.Verb == guard.OrderProceed && !caller.MayFor(Approve, b.guarding.lease.Target) {
		return e, errApprove
	}
	if f, stated := e.Fact.(guard.Stated); stated {
		err := allowed(h, f, caller, e.At)
		if clash := conflict(""); errors.As(err, &clash) { // which is how a client hears that it has lost its lease
			err = badRequest(err.Error())
		}
		if err != nil {
			return e, err
		}
	}
	e.Fact = guard.Cleaned(by(e.Fact, caller.Name, caller.Name), s.Clean)
	return e, nil
}

// recordsAhead is how far the clock of a client may have run ahead by the time of a record. How long ago a record was made
// has no bound but the record before: a client keeps what happened while nobody could take it.
const recordsAhead = 5 * time.Minute

// handedOn says why a record is not what was told to the rollout at a place of its inbox; nil: it is, for the first time.
func (s *Server) handedOn(ctx context.Context, h history, e guard.Event, offset int64) error {
	if h.taken()[offset] {
		return badRequest(fmt.Sprintf("what was told as number %d stands in the journal already", offset))
	}
	pending, err := s.Store.Pending(ctx, h.state.Release.ID)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(pending, func(t store.Told) bool { return t.N == offset })
	if i < 0 {
		return badRequest(fmt.Sprintf("nothing was told to this rollout as number %d", offset))
	}
	told, err := guard.Decode(pending[i].At, pending[i].Kind, pending[i].Data)
	if err != nil {
		return badRequest("what was told cannot be read by this server, which is older than the one that took it")
	}
	told.Fact = guard.Taken(told.Fact, offset)
	_, was, err := told.Encode()
	if err != nil {
		return err
	}
	kind, is, err := e.Encode()
	if err != nil {
		return err
	}
	if kind != pending[i].Kind || !bytes.Equal(was, is) {
		return badRequest(fmt.Sprintf("what was told as number %d says something else", offset))
	}
	return nil
}

// takeAway forgets what is not the client's any more.
func (s *Server) takeAway(ctx context.Context, b *borrowed) error {
	s.lent.drop(b)
	_ = b.session.Leave(ctx) // it is over for the client either way
	return fencedError{b.guarding.lease.Rollout}
}

// beatLease says that a client lives.
func (s *Server) beatLease(w http.ResponseWriter, r *http.Request) error {
	b, err := s.lent.of(r)
	if err != nil {
		return err
	}
	err = b.session.Beat(r.Context())
	switch {
	case errors.Is(err, store.ErrLapsed):
		return s.takeAway(r.Context(), b)
	case err != nil:
		return err
	}
	answer(w, http.StatusOK, told{b.guarding.lease.Rollout})
	return nil
}

// endLease takes a lease back: the rollout is over, or the client leaves it to the servers. There is no lease after it, which
// is the answer to a repeat.
func (s *Server) endLease(w http.ResponseWriter, r *http.Request) error {
	b, err := s.lent.of(r)
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := s.giveUp(r.Context(), b); err != nil {
		return err
	}
	answer(w, http.StatusOK, told{b.guarding.lease.Rollout})
	return nil
}

// giveUp ends a lease. Of a rollout that is over nothing is left to do; one that is not, or whose incident goes on, is
// anybody's.
func (s *Server) giveUp(ctx context.Context, b *borrowed) error {
	g := newGuarding(s, b.guarding.lease) // each try has a context of its own: one that was cut off ends no other
	h, err := s.histories.read(ctx, g.lease.Rollout)
	if err != nil {
		return err
	}
	if h.state.Ended() {
		defer context.AfterFunc(ctx, func() { g.stop(context.Cause(ctx)) })()
		err = g.finish()
	} else {
		err = g.lease.Release(ctx)
	}
	if err != nil && !errors.Is(err, store.ErrFenced) {
		return err
	}
	s.lent.drop(b)
	return b.session.Leave(ctx)
}

// giveUpAll leaves to other servers what clients of this one guard: it does not hear them any more.
func (s *Server) giveUpAll(ctx context.Context) {
	for _, b := range s.lent.all() {
		if err := s.giveUp(ctx, b); err != nil {
			b.guarding.log.Warn("not taken back from its client: others wait until its session has lapsed", "error", s.Clean(err.Error()))
		}
	}
}

// tellLease hands on what was told to a rollout that a client guards, as server-sent events.
func (s *Server) tellLease(w http.ResponseWriter, r *http.Request) error {
	b, err := s.lent.of(r)
	if err != nil {
		return err
	}
	after, err := afterOf(r)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no")
	ctx, out := r.Context(), http.NewResponseController(w)
	send := func(format string, args ...any) bool {
		_ = out.SetWriteDeadline(time.Now().Add(sendWithin))
		_, err := fmt.Fprintf(w, format, args...)
		return err == nil && out.Flush() == nil
	}
	hints := s.Store.Subscribe(ctx)
	look, alive := time.NewTicker(lookEvery), time.NewTicker(aliveEvery)
	defer look.Stop()
	defer alive.Stop()
	for send(": golive\n\n") {
		all, err := s.Store.Delivered(ctx, b.session, after)
		if err != nil && ctx.Err() == nil {
			b.guarding.log.Warn("what was told cannot be heard", "error", s.Clean(err.Error()))
		}
		for _, t := range all {
			after = t.N
			if t.Rollout != b.guarding.lease.Rollout {
				continue
			}
			text, err := json.Marshal(sent{Seq: t.N, At: t.At, Kind: t.Kind, Data: t.Data})
			if err != nil || !send("id: %d\nevent: told\ndata: %s\n\n", t.N, text) {
				return nil
			}
		}
		for waiting := true; waiting; {
			select {
			case hint, open := <-hints:
				waiting = open && hint != b.guarding.lease.Rollout
			case <-look.C:
				waiting = false
			case <-alive.C:
				waiting = send(": alive\n\n")
			case <-ctx.Done():
				return nil
			}
		}
	}
	return nil
}
