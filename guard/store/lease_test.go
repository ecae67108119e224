package store

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"path/filepath"
	"testing"
	"time"
)

// lost appends a record of which the owner does not learn that it was kept.
func lost(t *testing.T, s *Store, l *Lease, kind string) {
	t.Helper()
	r, err := seal(l.head, Entry{noon, kind, nil})
	must(t, err)
	p := &appending{rollout: l.Rollout, fence: l.Fence, prev: l.head.Hash, record: r, until: time.Now().Add(time.Hour), answer: make(chan error, 1)}
	left, err := s.insert(t.Context(), []*appending{p})
	if err != nil || len(left) != 0 {
		t.Fatalf("insert leaves %d, %v", len(left), err)
	}
	must(t, <-p.answer)
}

func TestReplyLost(t *testing.T) {
	each(t, func(t *testing.T, address string) {
		s := open(t, address)
		mustAccept(t, s, "r1", "shop/prod")
		l := mustClaim(t, s, mustJoin(t, s, "a"), "r1")[0]
		lost(t, s, l, "shifted")
		must(t, l.Append(noon, "shifted", nil)) // finds itself
		mustAppend(t, l, "counted")
		if got := kinds(mustLoad(t, s, "r1", 0)); got != "opened shifted counted" {
			t.Errorf("the records are %s", got)
		}
	})
}

// Another owner may have the same to say. Its record is not this owner's, which was fenced.
func TestSameRecordOfAnotherOwner(t *testing.T) {
	each(t, func(t *testing.T, address string) {
		s := open(t, address)
		mustAccept(t, s, "r1", "shop/prod")
		a := mustJoin(t, s, "a")
		l := mustClaim(t, s, a, "r1")[0]
		must(t, a.Leave(t.Context()))
		mustAppend(t, mustClaim(t, s, mustJoin(t, s, "b"), "r1")[0], "shifted")
		wantIs(t, l.Append(noon, "shifted", []byte(`{"n":1}`)), ErrFenced)
	})
}

// The store has lost the last records, as after a restore or a fail-over to a standby that was behind.
func TestTailLost(t *testing.T) {
	each(t, func(t *testing.T, address string) {
		s := open(t, address)
		ctx := t.Context()
		a := mustJoin(t, s, "a")
		for name, first := range map[string]func(*Lease) error{
			"append": func(l *Lease) error { return l.Append(noon, "third", nil) },
			"finish": func(l *Lease) error { return l.Finish(ctx, math.MaxInt64) },
		} {
			mustAccept(t, s, name, name)
			l := mustClaim(t, s, a, name)[0]
			mustAppend(t, l, "second")
			unguarded(t, s, `DELETE FROM golive_journal WHERE seq = 2`)
			wantIs(t, first(l), ErrFenced)
			// Nobody else owns it, so the same session may go on with what is there.
			again := mustClaim(t, s, a, name)[0]
			if again.Fence <= l.Fence || again.Seq() != 1 {
				t.Errorf("%s: claimed again with fence %d after %d, and %d records", name, again.Fence, l.Fence, again.Seq())
			}
			mustAppend(t, again, "resumed")
			wantIs(t, l.Append(noon, "late", nil), ErrFenced)
			if got := kinds(mustLoad(t, s, name, 0)); got != "opened resumed" {
				t.Errorf("%s: the records are %s", name, got)
			}
		}
	})
}

// unguarded runs a statement that the triggers forbid.
func unguarded(t *testing.T, s *Store, query string) {
	t.Helper()
	if s.engine.name == "postgres" {
		exec1(t, s.db, `ALTER TABLE golive_journal DISABLE TRIGGER ALL`)
		exec1(t, s.db, query)
		exec1(t, s.db, `ALTER TABLE golive_journal ENABLE TRIGGER ALL`)
		return
	}
	var trigger string
	must(t, s.db.QueryRow(`SELECT sql FROM sqlite_master WHERE name = 'golive_journal_delete'`).Scan(&trigger))
	exec1(t, s.db, `DROP TRIGGER golive_journal_delete`)
	exec1(t, s.db, query)
	exec1(t, s.db, trigger)
}

func TestRestoredBackup(t *testing.T) {
	s := open(t, engines["sqlite"](t))
	mustAccept(t, s, "r1", "shop/prod")
	l := mustClaim(t, s, mustJoin(t, s, "a"), "r1")[0]
	mustAppend(t, l, "second")
	path := filepath.Join(t.TempDir(), "copy.db")
	must(t, s.Backup(t.Context(), path))
	mustAppend(t, l, "third")
	must(t, l.Release(t.Context()))
	l = mustClaim(t, s, mustJoin(t, s, "a"), "r1")[0]
	must(t, s.Close())

	s = open(t, path)
	again := mustClaim(t, s, mustJoin(t, s, "a"), "r1")[0]
	if again.Fence <= l.Fence {
		t.Errorf("after the restore the fence is %d, and was %d before", again.Fence, l.Fence)
	}
	// The owner of before, if it lived on, has a head and a fence that the store does not know.
	old := &Lease{Rollout: "r1", Fence: l.Fence, session: again.session, head: l.head}
	wantIs(t, old.Append(noon, "fourth", nil), ErrFenced)
	mustAppend(t, again, "resumed")
	if got := kinds(mustLoad(t, s, "r1", 0)); got != "opened second resumed" {
		t.Errorf("the records are %s", got)
	}
}

// block keeps the store from answering to an append until it is ended.
func block(t *testing.T, s *Store) (end func()) {
	t.Helper()
	tx, err := s.ro.BeginTx(t.Context(), nil) // immediate with SQLite
	must(t, err)
	if s.engine.name == "postgres" {
		_, err := tx.Exec(`SET LOCAL idle_in_transaction_session_timeout = 0`)
		must(t, err)
		_, err = tx.Exec(`SELECT 1 FROM golive_rollouts FOR UPDATE`)
		must(t, err)
	}
	return func() { must(t, tx.Rollback()) }
}

func TestAway(t *testing.T) {
	each(t, func(t *testing.T, address string) {
		s := open(t, address)
		ctx := t.Context()
		mustAccept(t, s, "r1", "shop/prod")
		l := mustClaim(t, s, mustJoin(t, s, "a"), "r1")[0]
		end := block(t, s)
		wantIs(t, l.Append(noon, "shifted", nil), ErrAway)
		end()
		wantIs(t, l.Append(noon, "another", nil), ErrUnsure)
		wantIs(t, l.Append(noon.Add(1), "shifted", nil), ErrUnsure)
		wantIs(t, l.Finish(ctx, math.MaxInt64), ErrUnsure)
		must(t, l.Append(noon, "shifted", nil))
		mustAppend(t, l, "another")
		if got := kinds(mustLoad(t, s, "r1", 0)); got != "opened shifted another" {
			t.Errorf("the records are %s", got)
		}
		must(t, l.Finish(ctx, math.MaxInt64))
	})
}

func TestAppendAfterClose(t *testing.T) {
	s := open(t, engines["sqlite"](t))
	mustAccept(t, s, "r1", "shop/prod")
	l := mustClaim(t, s, mustJoin(t, s, "a"), "r1")[0]
	must(t, s.Close())
	wantIs(t, l.Append(noon, "shifted", nil), ErrAway)
}

// One statement for records of which some cannot be kept, and one which is refused by the engine itself.
func TestMixedBatch(t *testing.T) {
	each(t, func(t *testing.T, address string) {
		s := open(t, address)
		a := mustJoin(t, s, "a")
		var batch []*appending
		for i := range 5 {
			name := fmt.Sprint("r", i)
			mustAccept(t, s, name, name)
			l := mustClaim(t, s, a, name)[0]
			r, err := seal(l.head, Entry{noon, "second", nil})
			must(t, err)
			batch = append(batch, &appending{rollout: name, fence: l.Fence, prev: l.head.Hash, record: r, until: time.Now().Add(time.Hour), answer: make(chan error, 1)})
		}
		batch[1].fence--
		batch[2].prev = "another"
		batch[3].record.Hash = "" // which stands for whatever the engine refuses
		if s.engine.name == "sqlite" {
			exec1(t, s.db, `CREATE TRIGGER refuses BEFORE INSERT ON golive_journal WHEN NEW.hash = '' BEGIN SELECT RAISE(ABORT, 'no'); END`)
		} else {
			exec1(t, s.db, `ALTER TABLE golive_journal ADD CHECK (hash <> '')`)
		}
		s.flush(batch)
		for i, want := range []error{nil, ErrFenced, ErrFenced, nil, nil} {
			if got := <-batch[i].answer; i == 3 && got == nil || i != 3 && want == nil && got != nil {
				t.Errorf("record %d: %v", i, got)
			} else if want != nil {
				wantIs(t, got, want)
			}
		}
	})
}

// A former owner's append that waits for a claim does not go by what it saw before it waited.
func TestAppendWaitsForClaim(t *testing.T) {
	address := engineAddress(t, "postgres")
	s := open(t, address)
	mustAccept(t, s, "r1", "shop/prod")
	l := mustClaim(t, s, mustJoin(t, s, "a"), "r1")[0]
	tx, err := s.db.BeginTx(t.Context(), nil)
	must(t, err)
	_, err = tx.Exec(`UPDATE golive_rollouts SET fence = fence + 1`)
	must(t, err)
	result := make(chan error)
	go func() { result <- l.Append(noon, "late", nil) }()
	for waits := 0; waits == 0; {
		must(t, s.db.QueryRow(`SELECT COUNT(*) FROM pg_locks WHERE NOT granted`).Scan(&waits))
	}
	must(t, tx.Commit())
	wantIs(t, <-result, ErrFenced)
	if got := kinds(mustLoad(t, s, "r1", 0)); got != "opened" {
		t.Errorf("the records are %s", got)
	}
}

// A claim does not overtake an append of the former owner that is about to be committed.
func TestClaimSeesLastAppend(t *testing.T) {
	address := engineAddress(t, "postgres")
	s := open(t, address)
	mustAccept(t, s, "r1", "shop/prod")
	a := mustJoin(t, s, "a")
	l := mustClaim(t, s, a, "r1")[0]
	r, err := seal(l.head, Entry{noon, "second", nil})
	must(t, err)
	tx, err := s.db.BeginTx(t.Context(), nil)
	must(t, err)
	insertWithin(t, tx, s, &appending{rollout: "r1", fence: l.Fence, prev: l.head.Hash, record: r})
	must(t, a.Leave(context.WithoutCancel(t.Context())))
	b := mustJoin(t, s, "b")
	mustClaim(t, s, b) // it is locked by the append
	must(t, tx.Commit())
	if got := mustClaim(t, s, b, "r1")[0].Seq(); got != 2 {
		t.Errorf("the claim found %d records, want 2", got)
	}
}

func insertWithin(t *testing.T, tx *sql.Tx, s *Store, p *appending) {
	t.Helper()
	query, args := s.insertion([]*appending{p})
	result, err := tx.Exec(query, args...)
	must(t, err)
	if n, err := result.RowsAffected(); n != 1 || err != nil {
		t.Fatalf("inserted %d, %v", n, err)
	}
}

func engineAddress(t *testing.T, name string) string {
	t.Helper()
	if engines[name] == nil {
		t.Skip("its tests need Unix")
	}
	return engines[name](t)
}

// Who has read what was told with one number does not miss a smaller one that is committed later.
func TestToldInTheOrderOfCommits(t *testing.T) {
	s := open(t, engineAddress(t, "postgres"))
	mustAccept(t, s, "r1", "shop/prod")
	ctx := t.Context()
	tx, err := s.db.BeginTx(ctx, nil)
	must(t, err)
	var first int64
	must(t, tx.QueryRow(`UPDATE golive_counter SET n = n + 1 RETURNING n`).Scan(&first)) // another Tell, half-way
	result := make(chan error)
	go func() {
		_, err := s.Tell(ctx, delivery("2"), "r1", Entry{noon, "order", nil})
		result <- err
	}()
	for waits := 0; waits == 0; {
		must(t, s.db.QueryRow(`SELECT COUNT(*) FROM pg_locks WHERE NOT granted`).Scan(&waits))
	}
	if told, err := s.Pending(ctx, "r1"); len(told) != 0 || err != nil {
		t.Fatalf("told %v, %v before the number in front of it is known", told, err)
	}
	must(t, tx.Commit())
	must(t, <-result)
	told, err := s.Pending(ctx, "r1")
	if err != nil || len(told) != 1 || told[0].N != first+1 {
		t.Errorf("told %v, %v; want the number %d", told, err, first+1)
	}
}
