package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golive-dev/golive/guard/journal"
)

// A world is what must be so after a history of calls.
type world struct {
	t        *testing.T
	s        *Store
	c        *clock
	rng      *rand.Rand
	rollouts map[string]*madeUp
	kept     map[string]string // rollout by delivery
	told     map[string][]string
	sessions []*Session
	leases   []*Lease
	fences   map[string]int64 // highest by target
	serial   int
}

type madeUp struct {
	target string
	open   bool
	owner  *Lease // the latest, unless it gave the rollout back
	kinds  []string
}

func (w *world) accept() {
	rollout, target := fmt.Sprint("r", w.rng.IntN(12)), fmt.Sprint("t", w.rng.IntN(4))
	id := fmt.Sprint("d", w.rng.IntN(20))
	got, dup, err := w.s.Accept(w.t.Context(), delivery(id), opening(rollout, target))
	if first, known := w.kept[id]; known {
		if got != first || !dup || err != nil {
			w.t.Fatalf("a repeat of %s says %q, %v, %v; want %q", id, got, dup, err, first)
		}
		return
	}
	busy := ""
	for name, r := range w.rollouts {
		if r.open && r.target == target {
			busy = name
		}
	}
	var other *BusyError
	switch {
	case busy != "" && busy != rollout:
		if !errors.As(err, &other) || other.Rollout != busy {
			w.t.Fatalf("target %s of %s: %v", target, busy, err)
		}
	case w.rollouts[rollout] != nil:
		wantIs(w.t, err, ErrExists)
	case got != rollout || dup || err != nil:
		w.t.Fatalf("accept %s for %s says %q, %v, %v", rollout, target, got, dup, err)
	default:
		w.kept[id] = rollout
		w.rollouts[rollout] = &madeUp{target: target, open: true, kinds: []string{"opened"}}
	}
}

func (w *world) tell() {
	rollout, id := fmt.Sprint("r", w.rng.IntN(12)), fmt.Sprint("d", w.rng.IntN(60))
	dup, err := w.s.Tell(w.t.Context(), delivery(id), rollout, Entry{noon, "order", nil})
	_, known := w.kept[id]
	switch {
	case w.rollouts[rollout] == nil:
		wantIs(w.t, err, ErrNoRollout)
	case !known && !w.rollouts[rollout].open:
		wantIs(w.t, err, ErrOver)
	case err != nil || dup != known:
		w.t.Fatalf("tell %s to %s says %v, %v; it was known: %v", id, rollout, dup, err, known)
	case !known:
		w.kept[id] = rollout
		w.told[rollout] = append(w.told[rollout], id)
	}
}

func (w *world) beat() {
	if len(w.sessions) == 0 {
		return
	}
	x := w.sessions[w.rng.IntN(len(w.sessions))]
	if valid, err := x.Valid(), x.Beat(w.t.Context()); valid != (err == nil) || err != nil && !errors.Is(err, ErrLapsed) {
		w.t.Fatalf("the session of %s is valid: %v; its beat says %v", x.node, valid, err)
	}
}

func (w *world) claim() {
	if len(w.sessions) == 0 {
		return
	}
	x := w.sessions[w.rng.IntN(len(w.sessions))]
	valid := x.Valid()
	leases, err := w.s.Claim(w.t.Context(), x, 100)
	if !valid {
		wantIs(w.t, err, ErrLapsed)
		return
	}
	must(w.t, err)
	for _, l := range leases {
		r := w.rollouts[l.Rollout]
		switch {
		case !r.open:
			w.t.Fatalf("%s is claimed and was over", l.Rollout)
		case r.owner != nil && r.owner.session.Valid():
			w.t.Fatalf("%s is claimed from %s, whose session is valid", l.Rollout, r.owner.session.node)
		case l.Fence <= w.fences[r.target]:
			w.t.Fatalf("fence %d of %s follows %d", l.Fence, r.target, w.fences[r.target])
		case l.Seq() != int64(len(r.kinds)):
			w.t.Fatalf("%s is claimed with %d records and has %d", l.Rollout, l.Seq(), len(r.kinds))
		}
		r.owner, w.fences[r.target] = l, l.Fence
		w.leases = append(w.leases, l)
	}
	for name, r := range w.rollouts {
		if r.open && r.owner == nil {
			w.t.Fatalf("%s has no owner after a claim", name)
		}
	}
}

func (w *world) use() {
	if len(w.leases) == 0 {
		return
	}
	l := w.leases[w.rng.IntN(len(w.leases))]
	if w.rng.IntN(2) == 0 {
		l = w.leases[len(w.leases)-1]
	}
	r := w.rollouts[l.Rollout]
	mine := r.owner == l
	what := w.rng.IntN(10)
	var err error
	switch {
	case what == 0:
		must(w.t, l.Release(w.t.Context()))
		if mine && r.open {
			r.owner = nil
		}
		return
	case what == 1:
		err = l.Finish(w.t.Context(), math.MaxInt64)
		mine = mine || err == nil && !r.open // a repeat
		if mine {
			r.open = false
		}
	default:
		w.serial++
		kind := fmt.Sprint("k", w.serial)
		mine = mine && r.open
		if mine && what == 2 {
			lost(w.t, w.s, l, kind)
		}
		if err = l.Append(noon, kind, nil); mine {
			r.kinds = append(r.kinds, kind)
		}
	}
	if mine {
		must(w.t, err)
	} else {
		wantIs(w.t, err, ErrFenced)
	}
}

func (w *world) step() {
	switch n := w.rng.IntN(100); {
	case n < 12:
		w.accept()
	case n < 18:
		w.tell()
	case n < 24 && len(w.sessions) < 12:
		w.sessions = append(w.sessions, mustJoin(w.t, w.s, fmt.Sprint("n", len(w.sessions))))
	case n < 26 && len(w.sessions) > 0:
		must(w.t, w.sessions[w.rng.IntN(len(w.sessions))].Leave(w.t.Context()))
	case n < 38:
		w.beat()
	case n < 55:
		w.claim()
	case n < 65:
		w.c.pass([]time.Duration{time.Second, ttl / 4, ttl / 2, ttl}[w.rng.IntN(4)])
	default:
		w.use()
	}
}

// agree compares what the store holds with what must be so.
func (w *world) agree() {
	ctx := w.t.Context()
	all, err := w.s.Rollouts(ctx, Filter{Limit: 1000})
	must(w.t, err)
	if len(all) != len(w.rollouts) {
		w.t.Fatalf("%d rollouts, want %d", len(all), len(w.rollouts))
	}
	for _, got := range all {
		r := w.rollouts[got.ID]
		if got.Open != r.open || got.Target != r.target || got.Records != int64(len(r.kinds)) {
			w.t.Fatalf("%+v, want %+v", got, r)
		}
		if said := kinds(mustLoad(w.t, w.s, got.ID, 0)); said != strings.Join(r.kinds, " ") {
			w.t.Fatalf("%s holds %s, want %s", got.ID, said, r.kinds)
		}
		pending, err := w.s.Pending(ctx, got.ID)
		must(w.t, err)
		var ids []string
		for _, told := range pending {
			ids = append(ids, told.Delivery)
		}
		if !slices.Equal(ids, w.told[got.ID]) {
			w.t.Fatalf("%s was told %s, want %s", got.ID, ids, w.told[got.ID])
		}
	}
	if found := check(w.t, w.s, nil); len(found) > 0 {
		w.t.Fatal(found)
	}
}

// settle lets one node look on alone: in the end it owns all that is open.
func (w *world) settle() {
	x := mustJoin(w.t, w.s, "last")
	w.sessions = []*Session{x}
	for range 10 {
		must(w.t, x.Beat(w.t.Context()))
		w.claim()
		w.c.pass(ttl / 3)
	}
	for name, r := range w.rollouts {
		if r.open && r.owner.session != x {
			w.t.Fatalf("%s is still owned by %s", name, r.owner.session.node)
		}
	}
}

// Random histories keep every promise.
func TestPromises(t *testing.T) {
	histories := map[string]int{"sqlite": 30, "postgres": 8}
	if testing.Short() {
		histories = map[string]int{"sqlite": 6, "postgres": 2}
	}
	each(t, func(t *testing.T, address string) {
		s := open(t, address)
		for seed := range histories[s.engine.name] {
			for _, table := range []string{"rollouts", "inbox", "sessions"} {
				exec1(t, s.db, `DELETE FROM golive_`+table)
			}
			unguarded(t, s, `DELETE FROM golive_journal`)
			w := &world{
				t: t, s: s, c: timed(s), rng: rand.New(rand.NewPCG(uint64(seed), 1)), rollouts: map[string]*madeUp{},
				kept: map[string]string{}, told: map[string][]string{}, fences: map[string]int64{},
			}
			t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
				w.t = t
				for range 150 {
					w.step()
				}
				w.agree()
				w.settle()
			})
		}
	})
}

// An ack is a record of which its owner was told that it is kept.
type ack struct {
	rollout string
	seq     int64
	kind    string
}

// check reads all records, and says what two owners at once, or a store that forgets, have left in them.
func check(t testing.TB, s *Store, acks []ack) (found []string) {
	t.Helper()
	rows, err := s.db.QueryContext(t.Context(), `SELECT rollout, seq, fence, kind FROM golive_journal ORDER BY rollout, seq`)
	must(t, err)
	defer rows.Close()
	kept := map[ack]bool{}
	names := map[string]bool{}
	var last struct {
		rollout string
		fence   int64
	}
	for rows.Next() {
		var a ack
		var fence int64
		must(t, rows.Scan(&a.rollout, &a.seq, &fence, &a.kind))
		if a.rollout == last.rollout && fence < last.fence {
			found = append(found, fmt.Sprintf("record %d of %s has fence %d, and the one before %d", a.seq, a.rollout, fence, last.fence))
		}
		last.rollout, last.fence = a.rollout, fence
		kept[a], names[a.rollout] = true, true
	}
	must(t, errors.Join(rows.Err(), rows.Close()))
	for name := range names {
		if _, err := s.Load(t.Context(), name, 0); err != nil {
			found = append(found, err.Error())
		}
	}
	for _, a := range acks {
		if !kept[a] {
			found = append(found, fmt.Sprintf("record %d (%s) of %s was acknowledged and is not there", a.seq, a.kind, a.rollout))
		}
	}
	return found
}

// Owners who do not know yet that they are replaced append at the same time as those who replace them.
func TestManyOwners(t *testing.T) {
	each(t, func(t *testing.T, address string) {
		stores := []*Store{open(t, address)}
		stores = append(stores, second(t, stores[0], address))
		const rollouts, owners, rounds = 6, 4, 12
		for i := range rollouts {
			mustAccept(t, stores[0], fmt.Sprint("r", i), fmt.Sprint("t", i))
		}
		var mu sync.Mutex
		var acks []ack
		fenced := 0
		var wg sync.WaitGroup
		for owner := range owners {
			wg.Go(func() {
				s := stores[owner%2]
				var leases []*Lease
				for round := range rounds {
					x, err := s.Join(t.Context(), fmt.Sprint("n", owner), ttl)
					if err != nil {
						t.Error(err)
						return
					}
					claimed, err := s.Claim(t.Context(), x, 3)
					if err != nil {
						t.Error(err)
						return
					}
					leases = append(leases, claimed...)
					if err := x.Leave(t.Context()); err != nil { // and goes on as if it had not
						t.Error(err)
						return
					}
					for i, l := range leases {
						kind := fmt.Sprintf("n%d.%d.%d", owner, round, i)
						err := l.Append(noon, kind, nil)
						mu.Lock()
						if err == nil {
							acks = append(acks, ack{l.Rollout, l.Seq(), kind})
						} else if errors.Is(err, ErrFenced) {
							fenced++
						} else {
							t.Error(err)
						}
						mu.Unlock()
					}
				}
			})
		}
		wg.Wait()
		if found := check(t, stores[0], acks); len(found) > 0 {
			t.Error(strings.Join(found, "\n"))
		}
		if len(acks) == 0 || fenced == 0 {
			t.Errorf("%d appends were kept and %d fenced: nobody was in anybody's way", len(acks), fenced)
		}
	})
}

// The checker is worth something: it finds an owner that does not ask for the fence, and a record that went missing.
func TestCheckerFindsOut(t *testing.T) {
	each(t, func(t *testing.T, address string) {
		s := open(t, address)
		mustAccept(t, s, "r1", "shop/prod")
		a := mustJoin(t, s, "a")
		l := mustClaim(t, s, a, "r1")[0]
		mustAppend(t, l, "mine")
		must(t, l.Release(t.Context()))
		l2 := mustClaim(t, s, a, "r1")[0]
		mustAppend(t, l2, "theirs")
		if found := check(t, s, []ack{{"r1", 2, "mine"}, {"r1", 3, "theirs"}}); len(found) > 0 {
			t.Fatal(found)
		}
		r, _, err := journal.Seal(l2.head, noon, "stale", json.RawMessage("1"))
		must(t, err)
		exec1(t, s.db, `INSERT INTO golive_journal (rollout, seq, fence, at_ns, kind, data, hash) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
			"r1", r.Seq, l.Fence, noon.UnixNano(), r.Kind, string(r.Data), r.Hash)
		if found := check(t, s, []ack{{"r1", 3, "theirs"}, {"r1", 5, "never"}}); len(found) != 2 {
			t.Errorf("the checker finds %q, want the fence and the record that is not there", found)
		}
	})
}
