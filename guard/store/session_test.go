package store

import (
	"math"
	"testing"
	"time"
)

// takeover lets the observer look regularly until it gets a rollout, which the owner has stopped to drive by then.
func takeover(t *testing.T, s *Store, c *clock, observer, owner *Session) *Lease {
	t.Helper()
	for range 10 {
		must(t, observer.Beat(t.Context()))
		leases, err := s.Claim(t.Context(), observer, 1000)
		must(t, err)
		if len(leases) == 1 {
			if owner.Valid() {
				t.Error("a session is valid whose rollout was claimed")
			}
			return leases[0]
		}
		c.pass(ttl / 3)
	}
	t.Fatal("nothing is taken over")
	return nil
}

func TestTakeover(t *testing.T) {
	each(t, func(t *testing.T, address string) {
		s := open(t, address)
		other := second(t, s, address)
		c := timed(s, other)
		ctx := t.Context()
		mustAccept(t, s, "r1", "shop/prod")
		a, b := mustJoin(t, s, "a"), mustJoin(t, other, "b")
		l := mustClaim(t, s, a, "r1")[0]
		mustAppend(t, l, "shifted")

		// While it beats, nobody takes what it owns, however long that is.
		for range 12 {
			must(t, a.Beat(ctx))
			must(t, b.Beat(ctx))
			mustClaim(t, other, b)
			c.pass(ttl / 3)
		}
		// It stands still: it stops by itself before others may take over.
		l2 := takeover(t, other, c, b, a)
		if l2.Fence <= l.Fence || l2.Seq() != 2 {
			t.Errorf("the lease is %+v with %d records, after fence %d", l2, l2.Seq(), l.Fence)
		}
		mustAppend(t, l2, "resumed")
		wantIs(t, l.Append(noon, "late", nil), ErrFenced)
		wantIs(t, l.Append(noon, "later", nil), ErrFenced)
		wantIs(t, l.Finish(ctx, math.MaxInt64), ErrFenced)
		wantIs(t, a.Beat(ctx), ErrLapsed)
		if got := kinds(mustLoad(t, s, "r1", 0)); got != "opened shifted resumed" {
			t.Errorf("the records are %s", got)
		}
	})
}

// An owner whose session lapsed may write down what it did, until there is another.
func TestLapsedOwnerWrites(t *testing.T) {
	each(t, func(t *testing.T, address string) {
		s := open(t, address)
		c := timed(s)
		mustAccept(t, s, "r1", "shop/prod")
		a := mustJoin(t, s, "a")
		l := mustClaim(t, s, a, "r1")[0]
		c.pass(ttl)
		if a.Valid() || a.Deadline().After(time.Now()) {
			t.Error("the session is still valid")
		}
		mustAppend(t, l, "retreated")
	})
}

func TestLapsedIsForEver(t *testing.T) {
	each(t, func(t *testing.T, address string) {
		s := open(t, address)
		c := timed(s)
		ctx := t.Context()
		a := mustJoin(t, s, "a")
		c.pass(validity(ttl) - time.Second)
		if !a.Valid() || !a.Deadline().After(time.Now()) {
			t.Error("the session is over early")
		}
		must(t, a.Beat(ctx))
		c.pass(validity(ttl))
		c.pass(-ttl) // no clock does that, but nothing may depend on it
		if !a.Valid() {
			t.Error("the session is over although nobody has looked")
		}
		c.pass(ttl)
		if a.Valid() {
			t.Error("the session is valid after 4/5 of its ttl")
		}
		wantIs(t, a.Beat(ctx), ErrLapsed)
		c.pass(-ttl)
		if a.Valid() {
			t.Error("a lapsed session is valid again")
		}
		_, err := s.Claim(ctx, a, 1)
		wantIs(t, err, ErrLapsed)
	})
}

// A beat that the store answers after the deadline revives nothing, and does not look like life to others.
func TestLateBeat(t *testing.T) {
	each(t, func(t *testing.T, address string) {
		s := open(t, address)
		ctx := t.Context()
		mustAccept(t, s, "r1", "shop/prod")
		c := timed(s)
		a := mustJoin(t, s, "a")
		mustClaim(t, s, a, "r1")
		// Time passes between the question, which looks twice at the clock, and the answer.
		looks := 0
		s.elapsed = func() time.Duration {
			if looks++; looks > 2 {
				return ttl
			}
			return 0
		}
		wantIs(t, a.Beat(ctx), ErrLapsed)
		if looks < 3 {
			t.Fatalf("Beat has looked at the clock %d times: this test has no answer that is late", looks)
		}
		s.elapsed = func() time.Duration { return time.Duration(c.now.Load()) }
		if a.Valid() {
			t.Error("the session lives again")
		}
		mustClaim(t, s, mustJoin(t, s, "b"), "r1")
	})
}

// A node that could not look for some time does not conclude from that that others stood still.
func TestBlindNodeRemovesNobody(t *testing.T) {
	each(t, func(t *testing.T, address string) {
		s := open(t, address)
		other := second(t, s, address)
		c := timed(s, other)
		ctx := t.Context()
		mustAccept(t, s, "r1", "shop/prod")
		a, b := mustJoin(t, s, "a"), mustJoin(t, other, "b")
		mustClaim(t, s, a, "r1")
		for range 20 {
			mustClaim(t, other, b)
			must(t, b.Beat(ctx))
			c.pass(ttl/2 + 1) // the gap between two looks
		}
		takeover(t, other, c, b, a) // now it looks often enough
	})
}

// The answer to a claim is lost: what was claimed is not forgotten, and comes under a new fence.
func TestClaimWithoutAnswer(t *testing.T) {
	each(t, func(t *testing.T, address string) {
		s := open(t, address)
		mustAccept(t, s, "r1", "shop/prod")
		mustAccept(t, s, "r2", "shop/test")
		a := mustJoin(t, s, "a")
		exec1(t, s.db, `ALTER TABLE golive_journal RENAME TO away`) // which the claim looks for once it is committed
		if leases, err := s.Claim(t.Context(), a, 1); err == nil {
			t.Fatalf("claimed %v without a journal", leases)
		}
		exec1(t, s.db, `ALTER TABLE away RENAME TO golive_journal`)
		lost, err := s.Find(t.Context(), "r1")
		if err != nil || lost.Session != a.ID() {
			t.Fatalf("r1 is %+v, %v: this test has no claim whose answer was lost", lost, err)
		}
		got := mustClaim(t, s, a, "r1", "r2")
		if got[0].Fence <= lost.Fence {
			t.Errorf("fence %d follows %d", got[0].Fence, lost.Fence)
		}
		mustAppend(t, got[0], "shifted")
		mustClaim(t, s, a)
	})
}

func TestClaimAtMost(t *testing.T) {
	each(t, func(t *testing.T, address string) {
		s := open(t, address)
		for _, r := range []string{"r1", "r2", "r3"} {
			mustAccept(t, s, r, r)
		}
		a := mustJoin(t, s, "a")
		for _, want := range []int{2, 1, 0} {
			leases, err := s.Claim(t.Context(), a, 2)
			if len(leases) != want || err != nil {
				t.Fatalf("claimed %d, %v; want %d", len(leases), err, want)
			}
		}
	})
}

func TestJoinRefuses(t *testing.T) {
	s := open(t, engines["sqlite"](t))
	if _, err := s.Join(t.Context(), "", ttl); err == nil {
		t.Error("a node without a name joins")
	}
	if _, err := s.Join(t.Context(), "a", MinTTL-1); err == nil {
		t.Error("a session of less than MinTTL joins")
	}
}

// TestSkew has a store on this machine, whose clock is this one, and one that is ahead.
func TestSkew(t *testing.T) {
	each(t, func(t *testing.T, address string) {
		s := open(t, address)
		began := time.Now()
		skew, err := s.Skew(t.Context())
		must(t, err)
		if took := time.Since(began); skew.Abs() > took { // the answer is from some time in between
			t.Errorf("this machine is %s away from itself, after %s", skew, took)
		}
		if s.engine.clock == "" {
			return
		}
		s.engine.clock = "SELECT CAST(60000000 AS BIGINT) + (" + s.engine.clock + ")"
		began = time.Now()
		skew, err = s.Skew(t.Context())
		must(t, err)
		if took := time.Since(began); (skew - time.Minute).Abs() > took {
			t.Errorf("a store that is a minute ahead is ahead by %s, after %s", skew, took)
		}
		must(t, s.Close())
		if _, err := s.Skew(t.Context()); err == nil {
			t.Error("a store that was closed tells the time")
		}
	})
}
