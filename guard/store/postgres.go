package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
)

const (
	idleInTransaction = "3s"  // a process that is paused within a transaction holds others up for this long
	lockTimeout       = "2s"  // less than a session's ttl, so that waiting for a row does not look like death
	statementTimeout  = "30s" // for the longest: a list of many rollouts, or the archive of a long one

	notifyEvery   = 30 * time.Millisecond
	listenAgain   = time.Second
	notifyChannel = "golive"
	maxNotice     = 7900 // bytes of a payload, of which PostgreSQL allows 8,000
)

func postgresEngine(config *pgx.ConnConfig) engine {
	return engine{
		name: "postgres",
		words: strings.NewReplacer(
			// Bytes are compared, as SQLite does.
			"{name}", `TEXT COLLATE "C"`, "{blob}", "BYTEA",
			"{alone}", "SELECT pg_advisory_xact_lock(4715128890)",
			"{skip}", "FOR UPDATE OF r SKIP LOCKED", "{share}", "FOR SHARE",
			"{names}", "json_array_elements_text(CAST(CAST($1 AS TEXT) AS JSON)) AS l(value)",
		),
		clock:   `SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)`,
		writers: 3,
		batch:   postgresBatch,
		collided: func(err error) bool {
			var e *pgconn.PgError
			return errors.As(err, &e) && (e.Code == "40001" || e.Code == "40P01") // serialization failure, deadlock
		},
		refused: func(err error) bool {
			var e *pgconn.PgError
			// A wrong value, a constraint, a limit of the program.
			return errors.As(err, &e) && (strings.HasPrefix(e.Code, "22") || strings.HasPrefix(e.Code, "23") || strings.HasPrefix(e.Code, "54"))
		},
		notify: notifyOthers,
		listen: func(s *Store) { listen(s, config) },
	}
}

// postgresBatch makes a column of each parameter, so that the statement is the same for each size. The rows are in the
// order of the rollouts: two statements that lock the same ones then do not wait for each other in a ring.
func postgresBatch(batch []*appending) (values string, args []any) {
	batch = slices.SortedFunc(slices.Values(batch), func(a, b *appending) int { return strings.Compare(a.rollout, b.rollout) })
	n := len(batch)
	rollout, kind, data, hash, prev := make([]string, n), make([]string, n), make([]string, n), make([]string, n), make([]string, n)
	seq, fence, at := make([]int64, n), make([]int64, n), make([]int64, n)
	for i, p := range batch {
		r := p.record
		rollout[i], seq[i], fence[i], at[i], kind[i] = p.rollout, r.Seq, p.fence, r.At.UnixNano(), r.Kind
		data[i], hash[i], prev[i] = string(r.Data), r.Hash, p.prev
	}
	const columns = `SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::text[], $6::text[], $7::text[], $8::text[])`
	return columns, []any{rollout, seq, fence, at, kind, data, hash, prev}
}

func openPostgres(ctx context.Context, address string) (*Store, error) {
	config, err := pgx.ParseConfig(address)
	if err != nil {
		return nil, err // which leaves out the password
	}
	for name, value := range map[string]string{
		"application_name":                    "golive",
		"default_transaction_isolation":       "read committed",
		"idle_in_transaction_session_timeout": idleInTransaction,
		"lock_timeout":                        lockTimeout,
		"statement_timeout":                   statementTimeout,
	} {
		if _, given := config.RuntimeParams[name]; !given || name == "default_transaction_isolation" {
			config.RuntimeParams[name] = value
		}
	}
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = 5 * time.Second
	}
	// Only the primary decides, also where a URL names several servers and says nothing about that.
	config.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	s := &Store{engine: postgresEngine(config), release: func() error { return nil }}
	s.hub.wake, s.hub.outside = make(chan struct{}, 1), names{}
	s.db = stdlib.OpenDB(*config, stdlib.OptionAfterConnect(checkPostgres))
	s.ro = s.db
	s.db.SetMaxOpenConns(10)
	s.db.SetMaxIdleConns(10)
	s.db.SetConnMaxLifetime(5 * time.Minute) // a server that became a standby is not asked for longer than this
	if err := s.db.PingContext(ctx); err != nil {
		return nil, errors.Join(err, s.db.Close())
	}
	return s, nil
}

// checkPostgres refuses a server that would not keep what it acknowledges. It is asked at each connection, for the server
// may be another one after a fail-over.
func checkPostgres(ctx context.Context, conn *pgx.Conn) error {
	var fsync, commit, encoding string
	err := conn.QueryRow(ctx, `SELECT current_setting('fsync'), current_setting('synchronous_commit'), current_setting('server_encoding')`).Scan(&fsync, &commit, &encoding)
	if err != nil {
		return err
	}
	if fsync != "on" {
		return errors.New("PostgreSQL has fsync=off and would lose what it acknowledged; set fsync=on in postgresql.conf and reload it")
	}
	if encoding != "UTF8" {
		return fmt.Errorf("the database has the encoding %s; make one with: CREATE DATABASE golive ENCODING 'UTF8' TEMPLATE template0", encoding)
	}
	if commit == "off" {
		_, err = conn.Exec(ctx, `SET synchronous_commit = on`)
	}
	return err
}

// notifyOthers tells other processes what has news. It is not part of an append, whose commit would then wait for every
// other one in the database, and so a notice may be lost.
func notifyOthers(s *Store) {
	for {
		select {
		case <-s.hub.wake:
		case <-s.closing.Done():
			return
		}
		select {
		case <-time.After(notifyEvery): // for more news to come together
		case <-s.closing.Done():
			return
		}
		s.hub.mu.Lock()
		news := s.hub.outside
		s.hub.outside = names{}
		s.hub.mu.Unlock()
		for _, notice := range notices(news) {
			ctx, cancel := context.WithTimeout(s.closing, Patience)
			_, err := s.db.ExecContext(ctx, `SELECT pg_notify($1, $2)`, notifyChannel, notice)
			cancel()
			if err != nil {
				break // the notices are lost, and readers look slowly without them
			}
		}
	}
}

// notices are payloads that hold the names of rollouts.
func notices(news names) []string {
	var all []string
	var notice strings.Builder
	for _, name := range slices.Sorted(maps.Keys(news)) {
		if notice.Len()+1+len(name) > maxNotice {
			all = append(all, notice.String())
			notice.Reset()
		}
		if notice.Len() > 0 {
			notice.WriteByte(' ')
		}
		notice.WriteString(name)
	}
	if notice.Len() > 0 {
		all = append(all, notice.String())
	}
	return all
}

// listen hears what processes have to say, this one among them: a reader that hears of its own news twice looks twice.
func listen(s *Store, config *pgx.ConnConfig) {
	for s.closing.Err() == nil {
		_ = hear(s, config) // the server is away, or a pooler hands no notices on: readers look slowly without them
		select {
		case <-time.After(listenAgain):
		case <-s.closing.Done():
		}
	}
}

func hear(s *Store, config *pgx.ConnConfig) error {
	conn, err := pgx.ConnectConfig(s.closing, config.Copy())
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(s.closing)) //nolint:errcheck // nothing was written through it
	if _, err := conn.Exec(s.closing, `LISTEN `+notifyChannel); err != nil {
		return err
	}
	for {
		notice, err := conn.WaitForNotification(s.closing)
		if err != nil {
			return err
		}
		s.hub.mu.Lock()
		for _, rollout := range strings.Fields(notice.Payload) {
			s.hub.inside(rollout)
		}
		s.hub.mu.Unlock()
	}
}
