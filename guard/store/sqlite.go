package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gofrs/flock"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// minSQLite is the first version in which a restart of the write-ahead log cannot corrupt the file.
const minSQLite = 3_051_003

// lockPatience is how long Open waits for the kernel to bury a killed process that had the file.
const lockPatience = 250 * time.Millisecond

func sqliteEngine() engine {
	return engine{
		name: "sqlite",
		words: strings.NewReplacer(
			"{name}", "TEXT", "{blob}", "BLOB", "{alone}", "", "{skip}", "", "{share}", "",
			"{names}", "json_each($1) AS l",
		),
		writers:  1, // SQLite lets in one at a time
		batch:    sqliteBatch,
		collided: func(error) bool { return false },
		refused: func(err error) bool {
			var e *sqlite.Error
			return errors.As(err, &e) && (e.Code() == sqlite3.SQLITE_TOOBIG || e.Code()&0xff == sqlite3.SQLITE_CONSTRAINT)
		},
	}
}

// sqliteBatch makes a row of parameters for each record.
func sqliteBatch(batch []*appending) (values string, args []any) {
	args = make([]any, 0, 8*len(batch))
	for _, p := range batch {
		r := p.record
		args = append(args, p.rollout, r.Seq, p.fence, r.At.UnixNano(), r.Kind, string(r.Data), r.Hash, p.prev)
	}
	return "VALUES " + strings.Repeat("(?, ?, ?, ?, ?, ?, ?, ?), ", len(batch)-1) + "(?, ?, ?, ?, ?, ?, ?, ?)", args
}

// openSQLite opens a file, which is made if it is not there, readable by its owner only.
func openSQLite(ctx context.Context, path string) (_ *Store, err error) {
	if path == "" {
		return nil, errors.New("no path is given")
	}
	if path, err = filepath.Abs(path); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := file.Close(); err != nil {
		return nil, err
	}
	// Two names of one file shall find one lock.
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return nil, err
	}
	if kind, err := networkFileSystem(path); err != nil {
		return nil, err
	} else if kind != "" {
		return nil, fmt.Errorf("%s lies on %s, where locks and syncs are not to be trusted; put it on a local disk, or use PostgreSQL", path, kind)
	}
	lock, err := lockFile(ctx, path)
	if err != nil {
		return nil, err
	}
	s := &Store{engine: sqliteEngine(), release: lock.Close}
	// Each connection needs the pragmas. An immediate transaction waits for its turn when it begins, not in the middle.
	const pragmas = "?_txlock=immediate&_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=foreign_keys(1)"
	name := (&url.URL{Scheme: "file", OmitHost: true, Path: slashed(path)}).String() + pragmas
	s.db, err = sql.Open("sqlite", name)
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	s.db.SetMaxOpenConns(1)
	if s.ro, err = sql.Open("sqlite", name); err != nil {
		return nil, errors.Join(err, s.db.Close(), lock.Close())
	}
	s.ro.SetMaxOpenConns(4)
	if err := checkSQLite(ctx, s.db); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), s.ro.Close(), s.db.Close(), lock.Close())
	}
	return s, nil
}

// slashed is a path as a URL has it.
func slashed(path string) string {
	if path = filepath.ToSlash(path); !strings.HasPrefix(path, "/") {
		path = "/" + path
	}
	return path
}

// lockFile keeps other processes from a file for as long as this one lives. The lock file is never removed, for somebody
// may be waiting for the one that is there.
func lockFile(ctx context.Context, path string) (*flock.Flock, error) {
	lock := flock.New(path+".lock", flock.SetPermissions(0o600))
	wait, cancel := context.WithTimeout(ctx, lockPatience)
	defer cancel()
	_, err := lock.TryLockContext(wait, 5*time.Millisecond)
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		err = fmt.Errorf("%s: %w; stop it first, or use PostgreSQL for several", path, ErrInUse)
	} else if err != nil {
		err = fmt.Errorf("lock %s: %w", path, err)
	}
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return lock, nil
}

func checkSQLite(ctx context.Context, db *sql.DB) error {
	var version, mode string
	var synchronous int
	err := errors.Join(
		db.QueryRowContext(ctx, `SELECT sqlite_version()`).Scan(&version),
		db.QueryRowContext(ctx, `PRAGMA journal_mode`).Scan(&mode),
		db.QueryRowContext(ctx, `PRAGMA synchronous`).Scan(&synchronous),
	)
	if err != nil {
		return err
	}
	var major, minor, patch int
	if _, err := fmt.Sscanf(version, "%d.%d.%d", &major, &minor, &patch); err != nil {
		return fmt.Errorf("SQLite has the version %q: %w", version, err)
	}
	if major*1_000_000+minor*1000+patch < minSQLite {
		return fmt.Errorf("SQLite %s may corrupt its file; build golive with 3.51.3 or later", version)
	}
	const full = 2
	if mode != "wal" || synchronous != full {
		return fmt.Errorf("SQLite has journal_mode %s and synchronous %d; golive needs wal and %d, so find out what keeps the file from it", mode, synchronous, full)
	}
	return nil
}
