package store

import (
	"testing"
)

func TestLend(t *testing.T) {
	each(t, func(t *testing.T, address string) {
		s := open(t, address)
		other := second(t, s, address)
		clock := timed(s, other)
		ctx := t.Context()
		borrower, server := mustJoin(t, s, "a client"), mustJoin(t, other, "a server")

		lease, rollout, err := s.Lend(ctx, delivery("1"), opening("r1", "shop/prod"), borrower)
		must(t, err)
		if lease == nil || rollout != "r1" || lease.Fence == 0 || lease.Seq() != 1 {
			t.Fatalf("Lend says %+v, %q", lease, rollout)
		}
		mustClaim(t, other, server) // nothing
		mustAppend(t, lease, "checked")
		if got := kinds(mustLoad(t, s, "r1", 0)); got != "opened checked" {
			t.Errorf("the records are %s", got)
		}

		// A repeat by the owner is the same lease; by somebody else it is none.
		again, rollout, err := s.Lend(ctx, delivery("1"), opening("r9", "shop/prod"), borrower)
		if err != nil || again != lease || rollout != "r1" {
			t.Errorf("a repeat says %p, %q, %v, want %p", again, rollout, err, lease)
		}
		none, rollout, err := other.Lend(ctx, delivery("1"), opening("r9", "shop/prod"), server)
		if err != nil || none != nil || rollout != "r1" {
			t.Errorf("a repeat by another session says %v, %q, %v", none, rollout, err)
		}
		// A lease whose answer was lost is found again, with the records that there are.
		delete(borrower.leases, "r1")
		found, _, err := s.Lend(ctx, delivery("1"), opening("r1", "shop/prod"), borrower)
		if err != nil || found == nil || found.Fence != lease.Fence || found.Seq() != 2 {
			t.Fatalf("a repeat after a lost answer says %+v, %v", found, err)
		}
		lease = found
		_, _, err = s.Lend(ctx, delivery("2"), opening("r2", "shop/prod"), borrower)
		wantIs(t, err, ErrBusy)
		told, err := s.Tell(ctx, delivery("note"), "r1", Entry{noon, "noted", []byte(`{}`)})
		if err != nil || told {
			t.Fatalf("Tell says %v, %v", told, err)
		}
		heard, err := s.Delivered(ctx, borrower, 0)
		if err != nil || len(heard) != 1 || heard[0].Kind != "noted" {
			t.Errorf("the borrower is told %v, %v", heard, err)
		}

		// Who borrows and stands still is replaced, under a higher fence, and stays so.
		for range 5 {
			clock.pass(ttl / 4)
			must(t, server.Beat(ctx))
			claimed, err := other.Claim(ctx, server, 10)
			must(t, err)
			if len(claimed) == 0 {
				continue
			}
			if claimed[0].Rollout != "r1" || claimed[0].Fence <= lease.Fence {
				t.Errorf("claimed %+v after fence %d", claimed[0], lease.Fence)
			}
			wantIs(t, lease.Append(noon, "measured", []byte(`{}`)), ErrFenced)
			wantIs(t, borrower.Beat(ctx), ErrLapsed)
			_, _, err = s.Lend(ctx, delivery("3"), opening("r3", "shop/test"), borrower)
			wantIs(t, err, ErrLapsed)
			if _, _, found, err := s.Kept(ctx, "3"); found || err != nil {
				t.Errorf("the delivery of a session that is over: %v, %v; want nothing kept", found, err)
			}
			// The fence grows over the rollouts of a target, also for one that is lent.
			must(t, claimed[0].Finish(ctx, heard[0].N))
			next, _, err := other.Lend(ctx, delivery("4"), opening("r4", "shop/prod"), server)
			if err != nil || next == nil || next.Fence <= claimed[0].Fence {
				t.Errorf("the next is lent as %+v, %v, after fence %d", next, err, claimed[0].Fence)
			}
			return
		}
		t.Error("nobody has claimed what was lent to a session that stands still")
	})
}
