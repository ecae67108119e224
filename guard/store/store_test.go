package store

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/golive-dev/golive/guard/journal"
)

// engines make the address of an empty store.
var engines = map[string]func(testing.TB) string{
	"sqlite": func(t testing.TB) string { return filepath.Join(t.TempDir(), "golive.db") },
}

var cleanups []func() error

// The test binary is also the other process: TestMain runs what this variable names.
const childVariable = "GOLIVE_STORE_TEST_CHILD"

var children = map[string]func(address string) error{}

func TestMain(m *testing.M) {
	if child := os.Getenv(childVariable); child != "" {
		if err := children[child](os.Args[1]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	code := m.Run()
	for _, cleanup := range cleanups {
		if err := cleanup(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// each runs a test of the contract on each engine.
func each(t *testing.T, test func(t *testing.T, address string)) {
	for _, name := range []string{"sqlite", "postgres"} {
		t.Run(name, func(t *testing.T) {
			engine := engines[name]
			if engine == nil {
				t.Skip("its tests need Unix")
			}
			test(t, engine(t))
		})
	}
}

func open(t testing.TB, address string) *Store {
	t.Helper()
	s, err := Open(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() }) // a test may have closed it
	return s
}

// second is another process's store, where the engine allows one.
func second(t testing.TB, s *Store, address string) *Store {
	t.Helper()
	if s.engine.name == "sqlite" {
		return s
	}
	return open(t, address)
}

// A clock stands still until it is told to go on.
type clock struct{ now atomic.Int64 }

func (c *clock) pass(d time.Duration) { c.now.Add(int64(d)) }

// timed gives the stores one clock.
func timed(stores ...*Store) *clock {
	c := &clock{}
	for _, s := range stores {
		s.elapsed = func() time.Duration { return time.Duration(c.now.Load()) }
	}
	return c
}

var noon = time.Date(2026, 11, 24, 12, 0, 0, 500, time.UTC)

const ttl = 15 * time.Second

func delivery(id string) Delivery {
	return Delivery{ID: id, Source: "github", By: "ada", At: noon, Body: []byte("body of " + id)}
}

func opening(rollout, target string) Opening {
	return Opening{rollout, target, []Entry{{noon, "opened", json.RawMessage(`{"to": "v2"}`)}}}
}

func mustAccept(t testing.TB, s *Store, rollout, target string) {
	t.Helper()
	got, dup, err := s.Accept(t.Context(), delivery("open "+rollout), opening(rollout, target))
	if err != nil || dup || got != rollout {
		t.Fatalf("Accept says %q, %v, %v", got, dup, err)
	}
}

func mustJoin(t testing.TB, s *Store, node string) *Session {
	t.Helper()
	x, err := s.Join(t.Context(), node, ttl)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// mustClaim claims exactly the rollouts that are named.
func mustClaim(t testing.TB, s *Store, x *Session, want ...string) []*Lease {
	t.Helper()
	leases, err := s.Claim(t.Context(), x, 1000)
	if err != nil {
		t.Fatal(err)
	}
	byName := map[string]*Lease{}
	for _, l := range leases {
		byName[l.Rollout] = l
	}
	var sorted []*Lease
	for _, name := range want {
		if l := byName[name]; l != nil {
			sorted = append(sorted, l)
		}
	}
	if len(leases) != len(want) || len(sorted) != len(want) {
		t.Fatalf("claimed %v, want %v", byName, want)
	}
	return sorted
}

func mustAppend(t testing.TB, l *Lease, kind string) {
	t.Helper()
	if err := l.Append(noon, kind, json.RawMessage(`{"n":1}`)); err != nil {
		t.Fatal(err)
	}
}

func mustLoad(t testing.TB, s *Store, rollout string, after int64) []journal.Record {
	t.Helper()
	records, err := s.Load(t.Context(), rollout, after)
	if err != nil {
		t.Fatal(err)
	}
	return records
}

func wantIs(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("error is %v, want %v", err, want)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func kinds(records []journal.Record) string {
	var all []string
	for _, r := range records {
		all = append(all, r.Kind)
	}
	return strings.Join(all, " ")
}

func exec1(t testing.TB, db *sql.DB, query string, args ...any) {
	t.Helper()
	if _, err := db.ExecContext(t.Context(), query, args...); err != nil {
		t.Fatal(err)
	}
}

// What was appended is what is loaded, and is exported in the form of guard/journal, byte for byte.
func TestAppendLoadExport(t *testing.T) {
	each(t, func(t *testing.T, address string) {
		s := open(t, address)
		mustAccept(t, s, "r1", "shop/prod")
		l := mustClaim(t, s, mustJoin(t, s, "a"), "r1")[0]
		if l.Fence <= 0 || l.Seq() != 1 || l.Target != "shop/prod" {
			t.Errorf("the lease is %+v", l)
		}
		path := filepath.Join(t.TempDir(), "r1.jsonl")
		file, err := journal.Create(path)
		must(t, err)
		entries := []Entry{opening("", "").Records[0],
			{noon.Add(time.Nanosecond), "shifted", json.RawMessage(`{ "percent": 10,  "note": "<a> & \u2028 ü \u0000 \"" }`)},
			{noon.In(time.FixedZone("", 3600)), "null", nil},
			{time.Now(), "now", json.RawMessage(`[1e400, -0]`)},
		}
		for i, e := range entries {
			if i > 0 {
				must(t, l.Append(e.At, e.Kind, e.Data))
			}
			_, err := file.Append(e.Kind, e.At, e.Data)
			must(t, err)
		}
		must(t, file.Close())
		var want []journal.Record
		for r, err := range journal.Read(path) {
			must(t, err)
			want = append(want, r)
		}
		if diff := cmp.Diff(want, mustLoad(t, s, "r1", 0)); diff != "" {
			t.Errorf("(-file +store):\n%s", diff)
		}
		if diff := cmp.Diff(want[2:], mustLoad(t, s, "r1", 2)); diff != "" {
			t.Errorf("after 2 (-file +store):\n%s", diff)
		}
		if got := mustLoad(t, s, "r1", 4); got != nil {
			t.Errorf("after the last: %v", got)
		}
		var exported bytes.Buffer
		must(t, s.Export(t.Context(), "r1", &exported))
		text, err := os.ReadFile(path)
		must(t, err)
		if diff := cmp.Diff(string(text), exported.String()); diff != "" {
			t.Errorf("(-file +exported):\n%s", diff)
		}
		_, err = s.Load(t.Context(), "r2", 0)
		wantIs(t, err, ErrNoRollout)
		wantIs(t, s.Export(t.Context(), "r2", &exported), ErrNoRollout)
	})
}

// A journal longer than one page of the statement that reads it.
func TestLongJournal(t *testing.T) {
	each(t, func(t *testing.T, address string) {
		s := open(t, address)
		o := opening("r1", "shop/prod")
		for i := range 2*page + 1 {
			o.Records = append(o.Records, Entry{noon, "counted", json.RawMessage(fmt.Sprint(i))})
		}
		_, _, err := s.Accept(t.Context(), delivery("1"), o)
		must(t, err)
		if got := len(mustLoad(t, s, "r1", 0)); got != 2*page+2 {
			t.Errorf("%d records are loaded, want %d", got, 2*page+2)
		}
	})
}

func TestAccept(t *testing.T) {
	each(t, func(t *testing.T, address string) {
		s := open(t, address)
		other := second(t, s, address)
		ctx := t.Context()
		mustAccept(t, s, "r1", "shop/prod")

		// A repeat, also of another content and while the target is busy.
		for _, o := range []Opening{opening("r1", "shop/prod"), opening("r2", "shop/prod"), opening("r3", "shop/test"), {}} {
			got, dup, err := other.Accept(ctx, delivery("open r1"), o)
			if got != "r1" || !dup || err != nil {
				t.Errorf("a repeat says %q, %v, %v", got, dup, err)
			}
		}
		if len(mustLoad(t, s, "r1", 0)) != 1 {
			t.Error("a repeat added a record")
		}

		_, _, err := other.Accept(ctx, delivery("2"), opening("r2", "shop/prod"))
		wantIs(t, err, ErrBusy)
		var busy *BusyError
		if !errors.As(err, &busy) || *busy != (BusyError{"shop/prod", "r1"}) {
			t.Errorf("busy says %v", err)
		}
		if _, _, found, err := s.Kept(ctx, "2"); found || err != nil {
			t.Errorf("the busy target's delivery: %v, %v; want nothing kept", found, err)
		}
		_, _, err = s.Accept(ctx, delivery("2"), opening("r1", "shop/test"))
		wantIs(t, err, ErrExists)
		mustAccept(t, s, "r2", "shop/test")

		// A delivery that opens nothing.
		got, dup, err := s.Accept(ctx, delivery("ping"), Opening{})
		if got != "" || dup || err != nil {
			t.Errorf("a delivery alone says %q, %v, %v", got, dup, err)
		}
		d, rollout, found, err := other.Kept(ctx, "open r2")
		if diff := cmp.Diff(delivery("open r2"), d); diff != "" || rollout != "r2" || !found || err != nil {
			t.Errorf("kept: %q, %v, %v (-want +got):\n%s", rollout, found, err, diff)
		}

		s.maxOpen = 2
		_, _, err = s.Accept(ctx, delivery("3"), opening("r3", "shop/third"))
		wantIs(t, err, ErrFull)
		if _, err := s.Find(ctx, "r3"); !errors.Is(err, ErrNoRollout) {
			t.Errorf("after ErrFull, Find says %v", err)
		}
	})
}

func TestRefused(t *testing.T) {
	each(t, func(t *testing.T, address string) {
		s := open(t, address)
		ctx := t.Context()
		change := func(f func(*Delivery, *Opening)) (Delivery, Opening) {
			d, o := delivery("1"), opening("r1", "shop/prod")
			f(&d, &o)
			return d, o
		}
		for name, f := range map[string]func(*Delivery, *Opening){
			"no ID":            func(d *Delivery, _ *Opening) { d.ID = "" },
			"long ID":          func(d *Delivery, _ *Opening) { d.ID = strings.Repeat("x", MaxText+1) },
			"zero byte":        func(d *Delivery, _ *Opening) { d.By = "a\x00b" },
			"not UTF-8":        func(d *Delivery, _ *Opening) { d.Source = "\xff" },
			"no time":          func(d *Delivery, _ *Opening) { d.At = time.Time{} },
			"long body":        func(d *Delivery, _ *Opening) { d.Body = make([]byte, MaxBody+1) },
			"no name":          func(_ *Delivery, o *Opening) { o.Rollout = "" },
			"name of a path":   func(_ *Delivery, o *Opening) { o.Rollout = "../r" },
			"name of a flag":   func(_ *Delivery, o *Opening) { o.Rollout = "-r" },
			"long name":        func(_ *Delivery, o *Opening) { o.Rollout = strings.Repeat("r", 129) },
			"no target":        func(_ *Delivery, o *Opening) { o.Target = "" },
			"no records":       func(_ *Delivery, o *Opening) { o.Records = nil },
			"broken JSON":      func(_ *Delivery, o *Opening) { o.Records[0].Data = json.RawMessage(`{"a":`) },
			"not UTF-8 data":   func(_ *Delivery, o *Opening) { o.Records[0].Data = json.RawMessage("\"\xff\"") },
			"record no time":   func(_ *Delivery, o *Opening) { o.Records[0].At = time.Time{} },
			"kind with spaces": func(_ *Delivery, o *Opening) { o.Records[0].Kind = "a b" },
		} {
			d, o := change(f)
			if _, _, err := s.Accept(ctx, d, o); err == nil {
				t.Errorf("%s: accepted", name)
			}
		}
		mustAccept(t, s, "r1", "shop/prod") // so none of them has kept anything

		d := delivery("limit")
		d.Body = make([]byte, MaxBody)
		_, _, err := s.Accept(ctx, d, Opening{})
		must(t, err)

		l := mustClaim(t, s, mustJoin(t, s, "a"), "r1")[0]
		for name, e := range map[string]Entry{
			"broken":    {noon, "k", json.RawMessage(`{`)},
			"two":       {noon, "k", json.RawMessage(`1 2`)},
			"not UTF-8": {noon, "k", json.RawMessage("\"\xc3\"")},
			"oversize":  {noon, "k", json.RawMessage(`"` + strings.Repeat("x", journal.MaxRecord) + `"`)},
			"no kind":   {noon, "", nil},
			"no time":   {time.Time{}, "k", nil},
		} {
			if err := l.Append(e.At, e.Kind, e.Data); err == nil || errors.Is(err, ErrAway) || errors.Is(err, ErrFenced) {
				t.Errorf("append %s: %v", name, err)
			}
			if _, err := s.Tell(ctx, delivery("tell "+name), "r1", e); err == nil {
				t.Errorf("tell %s: kept", name)
			}
		}
		must(t, l.Append(noon, "large", json.RawMessage(`"`+strings.Repeat("x", 5<<20)+`"`)))
		if got := kinds(mustLoad(t, s, "r1", 0)); got != "opened large" {
			t.Errorf("the records are %s", got)
		}
	})
}

func TestTell(t *testing.T) {
	each(t, func(t *testing.T, address string) {
		s := open(t, address)
		other := second(t, s, address)
		ctx := t.Context()
		entry := func(n int) Entry { return Entry{noon, "order", json.RawMessage(fmt.Sprint(n))} }
		mustAccept(t, s, "r1", "a/prod")
		mustAccept(t, s, "r2", "b/prod")
		_, err := s.Tell(ctx, delivery("0"), "r3", entry(0))
		wantIs(t, err, ErrNoRollout)
		for n := 1; n <= 6; n++ {
			for _, want := range []bool{false, true} {
				dup, err := []*Store{s, other}[n%2].Tell(ctx, delivery(fmt.Sprint(n)), fmt.Sprint("r", 1+n%2), entry(n))
				if dup != want || err != nil {
					t.Fatalf("tell %d: %v, %v", n, dup, err)
				}
			}
		}
		said := func(told []Told) string {
			var all []string
			last := int64(0)
			for _, x := range told {
				if x.N <= last {
					t.Errorf("number %d comes after %d", x.N, last)
				}
				last = x.N
				all = append(all, string(x.Data))
			}
			return strings.Join(all, " ")
		}
		pending, err := other.Pending(ctx, "r1")
		must(t, err)
		want := Told{pending[0].N, "r1", "2", "github", "ada", entry(2)}
		if diff := cmp.Diff(want, pending[0]); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if got := said(pending); got != "2 4 6" {
			t.Errorf("pending: %s", got)
		}
		a, b := mustJoin(t, s, "a"), mustJoin(t, other, "b")
		leases := mustClaim(t, s, a, "r1", "r2")
		told, err := s.Delivered(ctx, a, 0)
		must(t, err)
		if got := said(told); got != "1 2 3 4 5 6" {
			t.Errorf("delivered: %s", got)
		}
		told, err = s.Delivered(ctx, a, told[3].N)
		must(t, err)
		if got := said(told); got != "5 6" {
			t.Errorf("delivered after the fourth: %s", got)
		}
		must(t, leases[0].Release(ctx))
		mustClaim(t, other, b, "r1")
		for x, want := range map[*Session]string{a: "1 3 5", b: "2 4 6"} {
			told, err := s.Delivered(ctx, x, 0)
			must(t, err)
			if got := said(told); got != want {
				t.Errorf("delivered to %s: %s, want %s", x.node, got, want)
			}
		}
		last := pending[len(pending)-1].N
		wantIs(t, leases[1].Finish(ctx, 0), ErrUntaken)
		must(t, leases[1].Finish(ctx, last))
		_, err = s.Tell(ctx, delivery("late"), "r2", entry(7))
		wantIs(t, err, ErrOver)
		if dup, err := s.Tell(ctx, delivery("1"), "r2", entry(1)); !dup || err != nil {
			t.Errorf("a repeat, when it is over: %v, %v", dup, err)
		}
	})
}

// TestAmend adds to a rollout that is over, once, and to no other.
func TestAmend(t *testing.T) {
	each(t, func(t *testing.T, address string) {
		s := open(t, address)
		other := second(t, s, address)
		ctx := t.Context()
		said := func(n int) Entry { return Entry{noon, "stated", json.RawMessage(fmt.Sprint(n))} }
		mustAccept(t, s, "r1", "a/prod")
		_, err := s.Amend(ctx, delivery("0"), "r1", said(0))
		wantIs(t, err, ErrOpen)
		_, err = s.Amend(ctx, delivery("0"), "r2", said(0))
		wantIs(t, err, ErrNoRollout)
		session := mustJoin(t, s, "a")
		lease := mustClaim(t, s, session, "r1")[0]
		later := noon.Add(time.Hour)
		must(t, lease.Append(later, "told", json.RawMessage("1")))
		must(t, lease.Finish(ctx, 0))
		for n := 1; n <= 3; n++ {
			for _, want := range []bool{false, true} {
				if dup, err := []*Store{s, other}[n%2].Amend(ctx, delivery(fmt.Sprint(n)), "r1", said(n)); dup != want || err != nil {
					t.Fatalf("amend %d: %v, %v", n, dup, err)
				}
			}
		}
		records, err := other.Load(ctx, "r1", 0)
		must(t, err)
		var got []string
		for _, r := range records {
			got = append(got, r.Kind+" "+string(r.Data))
		}
		if n := len(got); n < 4 || strings.Join(got[n-4:], ", ") != "told 1, stated 1, stated 2, stated 3" {
			t.Errorf("the records are %q", got)
		}
		if at := records[len(records)-1].At; at.Before(later) {
			t.Errorf("the last record is from %s, before the one before it (%s)", at, later)
		}
		var out bytes.Buffer
		must(t, s.Export(ctx, "r1", &out))
		path := filepath.Join(t.TempDir(), "r1.jsonl")
		must(t, os.WriteFile(path, out.Bytes(), 0o600))
		if sum, err := journal.Verify(path); err != nil || sum.Records != len(records) {
			t.Errorf("the journal has %d records of %d: %v", sum.Records, len(records), err)
		}
		mustAccept(t, s, "r4", "a/prod") // the target is free all the same
	})
}

func TestLists(t *testing.T) {
	each(t, func(t *testing.T, address string) {
		s := open(t, address)
		ctx := t.Context()
		for i, name := range []string{"r1", "r2", "r3", "R4", "r5"} {
			o := opening(name, fmt.Sprintf("shop%d/prod", i))
			o.Records[0].At = noon.Add(time.Duration(i/2) * time.Second) // so that two began at once
			_, _, err := s.Accept(ctx, delivery(name), o)
			must(t, err)
		}
		a := mustJoin(t, s, "a")
		leases := mustClaim(t, s, a, "r1", "r2", "r3", "R4", "r5")
		must(t, leases[0].Append(noon.Add(time.Hour), "shifted", nil))
		must(t, leases[1].Finish(ctx, math.MaxInt64))
		got, err := s.Find(ctx, "r1")
		must(t, err)
		want := Rollout{"r1", "shop0/prod", true, a.ID(), "a", leases[0].Fence, 2, noon, noon.Add(time.Hour)}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("find (-want +got):\n%s", diff)
		}
		list := func(f Filter) string {
			all, err := s.Rollouts(ctx, f)
			must(t, err)
			var ids []string
			for _, r := range all {
				ids = append(ids, r.ID)
			}
			return strings.Join(ids, " ")
		}
		yes, no := true, false
		for _, c := range []struct {
			f    Filter
			want string
		}{
			{Filter{}, "r5 r3 R4 r2 r1"},
			{Filter{Open: &yes}, "r5 r3 R4 r1"},
			{Filter{Open: &no}, "r2"},
			{Filter{Target: "shop2/prod"}, "r3"},
			{Filter{Limit: 2}, "r5 r3"},
			{Filter{Limit: 2, Before: Cursor{noon.Add(time.Second), "r3"}}, "R4 r2"},
			{Filter{Limit: 2, Before: got.Cursor()}, ""},
		} {
			if got := list(c.f); got != c.want {
				t.Errorf("%+v: %s, want %s", c.f, got, c.want)
			}
		}
	})
}

func TestFinishAndRelease(t *testing.T) {
	each(t, func(t *testing.T, address string) {
		s := open(t, address)
		other := second(t, s, address)
		ctx := t.Context()
		mustAccept(t, s, "r1", "shop/prod")
		a, b := mustJoin(t, s, "a"), mustJoin(t, other, "b")
		l := mustClaim(t, s, a, "r1")[0]
		mustClaim(t, other, b)
		mustClaim(t, s, a)
		must(t, l.Release(ctx))
		must(t, l.Release(ctx))
		wantIs(t, l.Append(noon, "late", nil), ErrFenced)
		l2 := mustClaim(t, other, b, "r1")[0]
		if l2.Fence <= l.Fence {
			t.Errorf("fence %d follows %d", l2.Fence, l.Fence)
		}
		must(t, l.Release(ctx)) // which is no longer its own to give
		mustAppend(t, l2, "over")
		must(t, l2.Finish(ctx, math.MaxInt64))
		must(t, l2.Finish(ctx, math.MaxInt64))
		wantIs(t, l2.Append(noon, "late", nil), ErrFenced)
		mustClaim(t, s, a)
		mustAccept(t, s, "r2", "shop/prod")
		l3 := mustClaim(t, s, a, "r2")[0]
		if l3.Fence <= l2.Fence {
			t.Errorf("fence %d of the target follows %d", l3.Fence, l2.Fence)
		}
		must(t, a.Leave(ctx))
		must(t, a.Leave(ctx))
		wantIs(t, a.Beat(ctx), ErrLapsed)
		_, err := s.Claim(ctx, a, 1)
		wantIs(t, err, ErrLapsed)
		mustClaim(t, other, b, "r2")
		wantIs(t, l3.Append(noon, "late", nil), ErrFenced)
		wantIs(t, l3.Finish(ctx, math.MaxInt64), ErrFenced)
		if got := kinds(mustLoad(t, s, "r1", 0)); got != "opened over" {
			t.Errorf("r1 holds %s", got)
		}
	})
}

func TestOpen(t *testing.T) {
	for _, address := range []string{"", "golive.sqlite", "mysql://x", "http://x/a.db", "sqlite:"} {
		if _, err := Open(t.Context(), address); err == nil {
			t.Errorf("%q is opened", address)
		}
	}
	each(t, func(t *testing.T, address string) {
		s := open(t, address)
		must(t, s.Ping(t.Context()))
		must(t, s.Close())
		wantIs(t, s.Ping(t.Context()), os.ErrClosed)
		s = open(t, address) // again
		exec1(t, s.db, `INSERT INTO golive_schema (version) VALUES (99)`)
		must(t, s.Close())
		if _, err := Open(t.Context(), address); err == nil || !strings.Contains(err.Error(), "version 99") {
			t.Errorf("tables of a newer golive: %v", err)
		}
	})
}

func TestSQLiteIsForOneProcess(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a b%20?#ü.db")
	s := open(t, "sqlite:"+path)
	link := filepath.Join(dir, "link.db")
	must(t, os.Symlink(path, link))
	for _, name := range []string{path, link} {
		_, err := Open(t.Context(), name)
		wantIs(t, err, ErrInUse)
	}
	info, err := os.Stat(path)
	must(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("the file has mode %v", info.Mode())
	}
	mustAccept(t, s, "r1", "shop/prod")
	mustClaim(t, s, mustJoin(t, s, "a"), "r1")
	must(t, s.Close())
	// Whoever had joined is dead, and nobody needs to wait for that.
	s = open(t, link)
	mustClaim(t, s, mustJoin(t, s, "b"), "r1")
}

func TestRecordsAreGuarded(t *testing.T) {
	each(t, func(t *testing.T, address string) {
		s := open(t, address)
		mustAccept(t, s, "r1", "shop/prod")
		mustAppend(t, mustClaim(t, s, mustJoin(t, s, "a"), "r1")[0], "shifted")
		for _, query := range []string{`UPDATE golive_journal SET data = '{}'`, `DELETE FROM golive_journal`} {
			if _, err := s.db.ExecContext(t.Context(), query); err == nil {
				t.Errorf("%s succeeds", query)
			}
		}
		// Somebody who takes the guards away is noticed by the hash.
		if s.engine.name == "sqlite" {
			exec1(t, s.db, `DROP TRIGGER golive_journal_update`)
		} else {
			exec1(t, s.db, `ALTER TABLE golive_journal DISABLE TRIGGER ALL`)
		}
		exec1(t, s.db, `UPDATE golive_journal SET data = '{"n":2}' WHERE seq = 2`)
		_, err := s.Load(t.Context(), "r1", 0)
		var broken *journal.BrokenError
		if !errors.As(err, &broken) || broken.Line != 2 {
			t.Errorf("a changed record: %v", err)
		}
	})
}

func TestBackup(t *testing.T) {
	each(t, func(t *testing.T, address string) {
		s := open(t, address)
		mustAccept(t, s, "r1", "shop/prod")
		path := filepath.Join(t.TempDir(), "copy.db")
		err := s.Backup(t.Context(), path)
		if s.engine.name == "postgres" {
			if err == nil || !strings.Contains(err.Error(), "pg_dump") {
				t.Errorf("PostgreSQL: %v", err)
			}
			return
		}
		must(t, err)
		wantIs(t, s.Backup(t.Context(), path), fs.ErrExist)
		files, err := os.ReadDir(filepath.Dir(path))
		if err != nil || len(files) != 1 {
			t.Errorf("beside the copy there is %v, %v", files, err)
		}
		restored := open(t, path)
		if diff := cmp.Diff(mustLoad(t, s, "r1", 0), mustLoad(t, restored, "r1", 0)); diff != "" {
			t.Errorf("(-original +copy):\n%s", diff)
		}
	})
}

func TestSubscribe(t *testing.T) {
	each(t, func(t *testing.T, address string) {
		s := open(t, address)
		other := second(t, s, address)
		ctx, cancel := context.WithCancel(t.Context())
		near, far := s.Subscribe(ctx), other.Subscribe(ctx)
		mustAccept(t, s, "r0", "other/prod")
		mustAccept(t, s, "r1", "shop/prod")
		l := mustClaim(t, s, mustJoin(t, s, "a"), "r0", "r1")[1]
		for <-near != "r1" {
		}
		// A listener that has only just begun may miss what came before, so there is news until it hears of it.
		for heard := false; !heard; {
			mustAppend(t, l, "counted")
			select {
			case rollout := <-far:
				heard = rollout == "r1"
			case <-time.After(50 * time.Millisecond):
			}
		}
		cancel()
		for range near {
		}
		closing := s.Subscribe(t.Context())
		must(t, s.Close())
		for range closing {
		}
		for range s.Subscribe(t.Context()) {
		}
	})
}
