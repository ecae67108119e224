// Package server is golive as a server: it hears deploy tools, guards many rollouts at once, and shows them to people.
//
// What it remembers is in a store (guard/store), and nothing else is: any number of servers may share one. Each joins
// the store with a session, claims rollouts that nobody guards, and guards each in a goroutine of its own with the
// same engine that the command line uses. A server that dies, or stands still, loses its session; the others go on
// with its rollouts, and the store refuses whatever it may still try to write.
//
// The files: server (who guards what), guarding (one rollout under guard), borrowed (one that a client guards by itself),
// desk (what tools and people say, as package guard wants it heard), plans (the directory of plans); access (who may), oidc
// (whom others vouch for), signin (people at the page), limits (how often); api (what can be asked for under /v1), web (what
// every request passes), events (following a rollout), openapi (the description of the API), shown (a rollout as JSON), page
// (HTTP for people), incident (what a rollout has become, and what is said of it), link (to take that on from a notice); metrics (HTTP for Prometheus), trace (spans for OpenTelemetry).
package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/trace"
	"golang.org/x/time/rate"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/engine"
	"github.com/golive-dev/golive/guard/store"
)

// Options are what a server is made of.
type Options struct {
	Store *store.Store
	Plans *Plans
	// Parts makes what a plan names. Its second answer lets go of them.
	Parts func(context.Context, *guard.Plan) (engine.Parts, func(), error)
	// Node names this server to people, and to the others that share its store.
	Node string
	// TTL is how long a server may stand still before others take its rollouts; 15 s if it is 0.
	TTL time.Duration
	// PerSecond is how many requests one caller may make, for long; 50 if it is 0.
	PerSecond int
	Version   string
	Log       *slog.Logger
	Access    Access
	// Tracer makes spans of OpenTelemetry; nil: there are none. See RootIDs.
	Tracer trace.Tracer
	// Clean takes what may not be told out of a text: secrets that a part has learned. Nil: there are none.
	Clean func(string) string
	// Report writes the story of a rollout for people, as plain text.
	Report func(*guard.Plan, []guard.Event) string
	// Hooks are what deploy tools call, by name: /v1/hooks/NAME.
	Hooks []Hook
	// Evidence opens what was kept before going back, by its SHA-256; an error that is fs.ErrNotExist: it is not here. Nil:
	// nothing is.
	Evidence func(sha256 string) (io.ReadCloser, error)
	// Remember writes into the ledger of a plan what a rollout of it has led to, in order, where that does not stand there
	// already: after a restart it is asked for all of it again. Nil: there is no ledger.
	Remember func(plan *guard.Plan, entries []guard.Entry)
	// Address is where people reach this server, as in https://golive.example.com; empty: notices have no address at which
	// they can be answered.
	Address string
	// LinkKey signs those addresses. Several servers that share a store need the same. CheckLinkKey says what is wrong with one.
	LinkKey string
	// AcceptPlans lets callers that may operate send the plans by which they guard: what such a plan names is made on this
	// server when its client is gone.
	AcceptPlans bool
}

// A Server guards rollouts. New makes one.
type Server struct {
	Options
	histories histories
	checked   answers
	metrics   *metrics
	refusals  *rate.Limiter // of the log
	untold    atomic.Int64  // refusals that the log does not name
	lent      lent

	claimed, heard atomic.Int64 // when the store last answered, in nanoseconds

	mu      sync.Mutex
	session *store.Session
	guarded map[string]*guarding // by the name of the rollout
}

// New makes a server, which does nothing before Run.
func New(o Options) *Server {
	if o.TTL == 0 {
		o.TTL = 15 * time.Second
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Clean == nil {
		o.Clean = func(text string) string { return text }
	}
	if o.Report == nil {
		o.Report = func(*guard.Plan, []guard.Event) string { return "" }
	}
	if o.LinkKey == "" {
		o.LinkKey = NewLinkKey()
	}
	o.Access.tries, o.Access.sealer = newTries(), newSealer(o.Access.CookieKey)
	s := &Server{Options: o, refusals: rate.NewLimiter(refusalsLogged, refusalsAtOnce), guarded: map[string]*guarding{}}
	s.histories.server = s
	s.metrics = newMetrics(s)
	return s
}

// How often a server looks, where nobody tells it that there is something to see.
const (
	claimEvery = time.Second
	hearEvery  = time.Second
	// claimAtMost is how many rollouts are taken on at once: what a dead server leaves is shared by the others.
	claimAtMost = 200
	// skewAtMost is by how much the clock of the store may differ before a server says so.
	skewAtMost = 2 * time.Second
	// leaveWithin bounds saying goodbye to the store.
	leaveWithin = 5 * time.Second
	// standDownWithin bounds waiting for parts that should let go.
	standDownWithin = 15 * time.Second
	// hearPause is how long what is told may wait for more: each hint would be a question to the store otherwise.
	hearPause = 50 * time.Millisecond
)

// Run guards rollouts until ctx ends. Then it stands each down as it is, for another server to go on with, or for
// this one when it is started again; no traffic is moved for that.
func (s *Server) Run(ctx context.Context) {
	var plans sync.WaitGroup
	plans.Go(func() { s.Plans.watch(ctx, s.Log) })
	defer plans.Wait()
	for ctx.Err() == nil {
		limited, joined := context.WithTimeout(ctx, storeAnswers)
		session, err := s.Store.Join(limited, s.Node, s.TTL)
		joined()
		if err != nil {
			s.Log.Warn("the store cannot be joined", "error", err)
			pause(ctx, claimEvery)
			continue
		}
		s.serve(ctx, session)
	}
	goodbye, done := context.WithTimeout(context.WithoutCancel(ctx), leaveWithin)
	defer done()
	s.giveUpAll(goodbye)
}

// serve guards rollouts for as long as a session lasts: until ctx ends, or until the store can be reached again
// after the session has lapsed. While the store is away nothing is given up: whoever guarded last goes on.
func (s *Server) serve(ctx context.Context, session *store.Session) {
	s.Log.Info("joined the store", "session", session.ID())
	limited, done := context.WithTimeout(ctx, storeAnswers)
	skew, err := s.Store.Skew(limited)
	done()
	if err == nil && skew.Abs() > skewAtMost {
		s.Log.Warn("the clocks of this machine and of the store differ: set them, for a server that takes rollouts over cannot tell that from a time in which nobody watched", "store_ahead_by", skew)
	}
	ctx, end := context.WithCancel(ctx)
	s.setSession(session)
	var running sync.WaitGroup // rollouts under guard
	var actors sync.WaitGroup
	actors.Go(func() { s.beat(ctx, session, end) })
	actors.Go(func() { s.claim(ctx, session, &running) })
	actors.Go(func() { s.hear(ctx, session) })
	<-ctx.Done()
	actors.Wait()
	s.standDown()
	ended := make(chan struct{})
	go func() { running.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-time.After(standDownWithin): // a part that ends for nobody; what it holds belongs to nobody from now on
		s.Log.Error("a rollout does not let go of its parts; the others go on without it")
	}
	s.setSession(nil)
	goodbye, left := context.WithTimeout(context.WithoutCancel(ctx), leaveWithin)
	defer left()
	if err := session.Leave(goodbye); err != nil {
		s.Log.Warn("left without a goodbye to the store: others wait until the session has lapsed", "error", err)
	}
}

func (s *Server) setSession(session *store.Session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.session = session
}

// beat keeps the session alive, and ends the service once it is over: others may have taken its rollouts. It is
// never revived, for rollouts would be owned and not guarded.
func (s *Server) beat(ctx context.Context, session *store.Session, end func()) {
	for pause(ctx, s.TTL/4) {
		limited, done := context.WithTimeout(ctx, max(s.TTL/4, time.Second))
		err := session.Beat(limited)
		done()
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, store.ErrLapsed):
			s.Log.Warn("the session has lapsed", "session", session.ID())
			if s.untilKept(ctx) {
				s.Log.Info("joining anew")
				end()
			}
			return
		case err != nil:
			s.Log.Warn("no beat: the store gives no answer; no traffic moves forward, and a breach is taken back all the same", "error", err)
		}
	}
}

// untilKept waits until the store answers and every rollout has told it what happened in the meantime, or was told that
// it belongs to another server by now. It says whether ctx goes on.
func (s *Server) untilKept(ctx context.Context) bool {
	answers := func() bool {
		limited, done := context.WithTimeout(ctx, storeAnswers)
		defer done()
		return s.Store.Ping(limited) == nil
	}
	for !answers() {
		if !pause(ctx, claimEvery) {
			return false
		}
	}
	for _, g := range s.all() {
		select {
		case <-g.kept():
		case <-g.ended:
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// claim takes rollouts on that nobody guards.
func (s *Server) claim(ctx context.Context, session *store.Session, running *sync.WaitGroup) {
	hints := s.Store.Subscribe(ctx)
	for {
		limited, done := context.WithTimeout(ctx, storeAnswers)
		leases, err := s.Store.Claim(limited, session, claimAtMost)
		done()
		if err == nil {
			s.claimed.Store(time.Now().UnixNano())
		}
		if err != nil && ctx.Err() == nil && !errors.Is(err, store.ErrLapsed) {
			s.Log.Warn("no rollouts can be taken on", "error", err)
		}
		for _, lease := range leases {
			g := newGuarding(s, lease)
			s.mu.Lock()
			s.guarded[lease.Rollout] = g
			s.mu.Unlock()
			running.Go(func() {
				g.run(context.WithoutCancel(ctx))
				s.mu.Lock()
				defer s.mu.Unlock()
				if s.guarded[lease.Rollout] == g {
					delete(s.guarded, lease.Rollout)
				}
			})
		}
		if len(leases) == claimAtMost {
			continue
		}
		if !s.untilNews(ctx, hints, min(claimEvery, s.TTL/5)) {
			return
		}
	}
}

// untilNews waits until there may be a rollout that nobody guards: some rollout has news and is not ours, or time
// is over. It says whether ctx goes on.
func (s *Server) untilNews(ctx context.Context, hints <-chan string, longest time.Duration) bool {
	timer := time.NewTimer(longest)
	defer timer.Stop()
	for {
		select {
		case id, open := <-hints:
			if !open {
				return false
			}
			if s.guards(id) == nil {
				return true
			}
		case <-timer.C:
			return true
		case <-ctx.Done():
			return false
		}
	}
}

// hear hands on what was told to the rollouts of the session: one question to the store for all of them.
func (s *Server) hear(ctx context.Context, session *store.Session) {
	hints := s.Store.Subscribe(ctx)
	var after int64 // what was told up to here was heard; a rollout that is claimed later hears from the beginning
	for {
		limited, done := context.WithTimeout(ctx, storeAnswers)
		told, err := s.Store.Delivered(limited, session, after)
		done()
		if err == nil {
			s.heard.Store(time.Now().UnixNano())
		}
		if err != nil && ctx.Err() == nil {
			s.Log.Warn("what was told cannot be heard", "error", err)
		}
		for _, t := range told {
			after = t.N
			if g := s.guards(t.Rollout); g != nil {
				g.hear(t)
			}
		}
		if len(told) == store.MaxTold {
			continue
		}
		if !anyNews(ctx, hints, hearEvery) {
			return
		}
	}
}

// anyNews waits for a hint, and a moment longer for those that come with it, or until time is over. It says whether ctx
// goes on.
func anyNews(ctx context.Context, hints <-chan string, longest time.Duration) bool {
	timer := time.NewTimer(longest)
	defer timer.Stop()
	select {
	case _, open := <-hints:
		if !open {
			return false
		}
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
	timer.Reset(hearPause)
	for {
		select {
		case _, open := <-hints:
			if !open {
				return false
			}
		case <-timer.C:
			return true
		case <-ctx.Done():
			return false
		}
	}
}

// guards is the rollout of this name under guard here; nil if it is not.
func (s *Server) guards(id string) *guarding {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.guarded[id]
}

func (s *Server) all() []*guarding {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Values(s.guarded))
}

// standDown ends the guard of every rollout, each as it is.
func (s *Server) standDown() {
	for _, g := range s.all() {
		g.stop(errStoodDown)
	}
}

// errStoodDown is why a rollout is not guarded here any more, and goes on elsewhere.
var errStoodDown = errors.New("stood down")

// Ready says why the server cannot take anything on; nil: it can.
func (s *Server) Ready(ctx context.Context) error {
	s.mu.Lock()
	session := s.session
	s.mu.Unlock()
	if session == nil || !session.Valid() {
		return errors.New("the store was not joined yet, or gives no answer")
	}
	for what, last := range map[string]*atomic.Int64{"what rollouts there are": &s.claimed, "what was told to them": &s.heard} {
		at := last.Load()
		if at == 0 {
			return fmt.Errorf("the store has not said yet %s", what)
		}
		if since := time.Since(time.Unix(0, at)); since > s.TTL+storeAnswers {
			return fmt.Errorf("the store has not said %s for %s", what, since.Round(time.Second))
		}
	}
	if err := s.Store.Ping(ctx); err != nil {
		return fmt.Errorf("the store gives no answer: %w", err)
	}
	return nil
}

// pause waits, and says whether ctx goes on.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
