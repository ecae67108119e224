// Package store keeps what a golive server must not forget, and decides who may act: the deliveries that came in, the
// rollouts that they opened, the records of each rollout, and which process drives it now. It does not know what a
// record means; package guard does. A rollout that the command line drives by itself is kept in a file of
// guard/journal instead; Export makes such a file of a rollout that is kept here.
//
// # The map
//
//	store.go     Open, Close, and the errors that a caller branches on
//	accept.go    deliveries in: Accept opens a rollout, Tell brings one its news, Delivered and Pending hand them on
//	lend.go      Lend: a rollout that has an owner from the beginning
//	session.go   Join, Beat and Claim: which process lives, and what it drives
//	lease.go     Append, Finish and Release: what the owner of a rollout does with it
//	waits.go     Waits: what deploy tools wait for an answer to, each with one owner at a time
//	write.go     many appends, one statement
//	read.go      Load, Export, Find and Rollouts
//	hints.go     Subscribe
//	keep.go      Backup and Archive
//	schema.go    the tables, their versions, and in what the two engines differ
//
// # Two engines, one SQL text
//
// SQLite is one file on a local disk, for one process: a second one is refused for as long as the first lives, and
// what a dead process drove is free at once. PostgreSQL is for several processes on several machines.
//
// # What is promised, and what keeps the promise
//
//	what was acknowledged is not lost      WAL and synchronous=FULL; fsync=off is refused, synchronous_commit=off is
//	                                       turned on; an answer is given after the commit
//	a delivery has its effect once         its ID is a primary key, in the same transaction as the rollout it opens
//	one open rollout per target            a unique index over those that are open
//	one owner appends                      an append is one statement, which holds the row of its rollout and inserts
//	                                       only under the fence that this row has; a claim changes the fence before it
//	                                       is answered
//	records follow one another             (rollout, seq) is a primary key, and the append asks for the hash of the
//	                                       record before; triggers refuse UPDATE and DELETE; Load checks each hash
//	a tail that the store lost is noticed  the record before is then missing: the owner is fenced, and the next one
//	                                       begins with what is there
//	a reply that was lost harms nobody     a record is known by its hash: repeated, it finds itself
//	a fence only grows                     it is greater than each that its target ever had, also one that was
//	                                       archived, and not less than the time in Unix milliseconds, which also
//	                                       carries it over the restore of an old backup
//	a paused process blocks nobody         it has no transaction open around an append or a claim; where one is
//	                                       needed (Accept, Tell), PostgreSQL ends it after idleInTransaction
//	an owner that stands still is replaced its session has a count of beats; an observer that sees the count stand
//	                                       still for a whole ttl, by its own clock, removes the session. The owner
//	                                       itself stops after 4/5 of the ttl. No two clocks are compared
//	a session that lapsed stays lapsed     a beat that is answered too late does not revive it
//	who was blind removes nobody           observations begin anew after a gap of half a ttl between two looks
//
// What is not promised: PostgreSQL that fails over to a standby which is not synchronous may lose acknowledged records.
// That is noticed as a lost tail, and not undone. Between two looks at the fence a former owner may still speak to a
// backend: the pair (fence, seq) is for the backend to refuse it.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// What a caller may branch on, with errors.Is.
var (
	ErrBusy      = errors.New("the target has an open rollout")                                 // comes as a *BusyError
	ErrExists    = errors.New("a rollout of this name was there before")                        // choose another name
	ErrFull      = errors.New("too many open rollouts")                                         // wait until some are over
	ErrNoRollout = errors.New("there is no such rollout")                                       // or it was archived
	ErrOver      = errors.New("the rollout is over")                                            // nothing is told to it any more
	ErrOpen      = errors.New("the rollout is open")                                            // tell it to its owner
	ErrUntaken   = errors.New("something was told that is in no record yet")                    // append it, and finish again
	ErrFenced    = errors.New("the rollout is no longer this owner's")                          // stop; the next owner goes on
	ErrAway      = errors.New("the store gave no answer")                                       // repeat the same record
	ErrLapsed    = errors.New("the session is over")                                            // join anew
	ErrInUse     = errors.New("another process has the store")                                  // one process per SQLite file
	ErrUnsure    = errors.New("it is not known whether the record before this one was kept")    // repeat that one first
	errAgain     = errors.New("something else happened at the same time; it is worth a repeat") // within transact only
)

// A BusyError says which rollout keeps a target from another one. It is an ErrBusy.
type BusyError struct{ Target, Rollout string }

func (e *BusyError) Error() string {
	return fmt.Sprintf("target %s has the open rollout %s; wait until it is over, or abort it", e.Target, e.Rollout)
}

// Unwrap makes it an ErrBusy.
func (e *BusyError) Unwrap() error { return ErrBusy }

// Limits of what is kept. Records have those of guard/journal.
const (
	MaxBody = 1 << 20 // bytes of the body of a delivery
	MaxOpen = 20_000  // open rollouts; several processes that accept at the same instant may pass it by a few
	MaxText = 256     // bytes of each of: delivery ID, source, sender, target, node
)

// A Store is where rollouts are kept. Its methods may be called from several goroutines. Each that changes something
// may be repeated with the same arguments after any error, to the same effect as one call.
type Store struct {
	db      *sql.DB // everything that changes something or decides who may act
	ro      *sql.DB // everything else; the same as db with PostgreSQL
	engine  engine
	release func() error // lets go of what keeps others from the store

	elapsed func() time.Duration // on a clock that is never set and does not stop while the machine sleeps
	maxOpen int

	queue   chan *appending
	hub     hub
	closing context.Context // done once Close was called
	close   context.CancelFunc
	running sync.WaitGroup
}

// Open opens a store, and makes or upgrades its tables. The address is a path that ends in ".db" or follows "sqlite:",
// or the URL of a PostgreSQL database, "postgres://...". The error is an ErrInUse if another process has the file. A
// store that a newer golive made is refused, and so is one that would not keep what it acknowledges: a file on a
// network file system, a PostgreSQL with fsync=off. No error holds the password of the URL.
func Open(ctx context.Context, address string) (*Store, error) {
	var s *Store
	var err error
	path, isSQLite := strings.CutPrefix(address, "sqlite:")
	switch {
	case isSQLite || strings.HasSuffix(address, ".db") && !strings.Contains(address, "://"):
		s, err = openSQLite(ctx, path)
	case strings.HasPrefix(address, "postgres://") || strings.HasPrefix(address, "postgresql://"):
		s, err = openPostgres(ctx, address)
	default:
		return nil, errors.New("open the store: its address should be sqlite:PATH, a path that ends in .db, or postgres://USER@HOST/DATABASE")
	}
	if err != nil {
		return nil, fmt.Errorf("open the store: %w", err)
	}
	s.elapsed, s.maxOpen = elapsed, MaxOpen
	s.queue = make(chan *appending, 4*maxBatch)
	s.closing, s.close = context.WithCancel(context.Background()) // the life of the store is not that of the call
	if err := s.migrate(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open the store: %w", err), s.Close())
	}
	for range s.engine.writers {
		s.running.Go(s.write)
	}
	if s.engine.notify != nil {
		s.running.Go(func() { s.engine.notify(s) })
	}
	return s, nil
}

// Close ends what the store does and lets go of it. Appends that wait for an answer get an ErrAway. Sessions are not
// left: call Leave before, or others wait for a whole ttl.
func (s *Store) Close() error {
	s.hub.mu.Lock() // nobody subscribes while it waits for those who did
	s.close()
	s.hub.mu.Unlock()
	s.running.Wait()
	err := s.db.Close()
	if s.ro != s.db {
		err = errors.Join(s.ro.Close(), err)
	}
	return errors.Join(err, s.release())
}

// Ping says whether the store answers.
func (s *Store) Ping(ctx context.Context) error {
	var one int
	if err := s.db.QueryRowContext(ctx, `SELECT 1 FROM golive_schema`).Scan(&one); err != nil {
		return fmt.Errorf("ask the store for an answer: %w", s.explain(err))
	}
	return nil
}

// Skew is how far the clock of the store is ahead of that of this machine; negative: behind. It is right to within half of
// the time that the answer takes. It is 0 where the store has no clock of its own, which is the case with SQLite. It waits
// for Patience at most, and may be repeated.
func (s *Store) Skew(ctx context.Context) (time.Duration, error) {
	if s.engine.clock == "" {
		return 0, nil
	}
	ctx, cancel := context.WithTimeout(ctx, Patience)
	defer cancel()
	var micros int64
	sent := time.Now()
	if err := s.db.QueryRowContext(ctx, s.engine.clock).Scan(&micros); err != nil {
		return 0, fmt.Errorf("ask the store for its time: %w", s.explain(err))
	}
	return time.UnixMicro(micros).Sub(sent.Add(time.Since(sent) / 2)), nil
}

// explain says that a store was closed where database/sql says it in its own words.
func (s *Store) explain(err error) error {
	if s.closing.Err() != nil {
		return fmt.Errorf("the store is closed: %w", errors.Join(os.ErrClosed, err))
	}
	return err
}

// transact runs a transaction, again if another one was in its way. An error of do rolls it back.
func (s *Store) transact(ctx context.Context, do func(*sql.Tx) error) error {
	for try := 1; ; try++ {
		err := s.transactOnce(ctx, do)
		if try < 5 && ctx.Err() == nil && (errors.Is(err, errAgain) || s.engine.collided(err)) {
			continue
		}
		if err != nil {
			return s.explain(err)
		}
		return nil
	}
}

func (s *Store) transactOnce(ctx context.Context, do func(*sql.Tx) error) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := do(tx); err != nil {
		_ = tx.Rollback() // whatever it says, nothing was committed
		return err
	}
	return tx.Commit()
}

// affected runs a statement outside of a transaction and says how many rows it changed.
func (s *Store) affected(ctx context.Context, query string, args ...any) (int64, error) {
	result, err := s.db.ExecContext(ctx, s.engine.dialect(query), args...)
	if err != nil {
		return 0, s.explain(err)
	}
	return result.RowsAffected()
}

// text says what keeps a short text from being kept.
func text(what, value string) error {
	switch {
	case value == "":
		return fmt.Errorf("the %s is empty", what)
	case len(value) > MaxText:
		return fmt.Errorf("the %s has %d bytes, and %d are allowed", what, len(value), MaxText)
	case !utf8.ValidString(value) || strings.ContainsRune(value, 0):
		return fmt.Errorf("the %s %q is not UTF-8 text", what, value)
	}
	return nil
}

// named says what keeps a name from being that of a rollout. It becomes the name of a file, too.
func named(rollout string) error {
	ok := len(rollout) >= 1 && len(rollout) <= 128 && rollout[0] != '.' && rollout[0] != '-'
	for _, c := range []byte(rollout) {
		ok = ok && (c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '.' || c == '_' || c == '-')
	}
	if !ok {
		return fmt.Errorf("%q is not a name for a rollout: it may have 128 of A-Z, a-z, 0-9, '.', '_' and '-', and begins with neither '.' nor '-'", rollout)
	}
	return nil
}

// nanos is how a time is kept: nanoseconds since 1970, which a record's hash can be made of again.
func nanos(at time.Time) (int64, error) {
	n := at.UnixNano()
	if !time.Unix(0, n).Equal(at) {
		return 0, fmt.Errorf("the time %s is not between the years 1678 and 2262", at.UTC().Format(time.RFC3339))
	}
	return n, nil
}

func timeOf(nanos int64) time.Time { return time.Unix(0, nanos).UTC() }
