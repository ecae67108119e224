package store

import (
	"compress/gzip"
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/golive-dev/golive/guard/journal"
)

// ArchiveExtension is how the name of an archived rollout ends.
const ArchiveExtension = journal.Extension + ".gz"

// ErrNoBackup says that the engine of the store is backed up by means of its own.
var ErrNoBackup = errors.New("PostgreSQL does it better: pg_dump --format=custom --file=FILE DATABASE")

// Backup writes a copy of the store to a new file while the store is in use, and returns once it is on the disk. The copy
// is as the store was at one instant; Open takes it. With PostgreSQL it is an error that says how it is done there.
func (s *Store) Backup(ctx context.Context, path string) error {
	if s.engine.name != "sqlite" {
		return fmt.Errorf("back up the store: %w", ErrNoBackup)
	}
	if err := s.backup(ctx, path); err != nil {
		return fmt.Errorf("back up the store to %s: %w", path, s.explain(err))
	}
	return nil
}

func (s *Store) backup(ctx context.Context, path string) (err error) {
	if _, err := os.Lstat(path); err == nil {
		return fmt.Errorf("%w; name a new file", fs.ErrExist)
	}
	// It gets its name once it is whole.
	part, err := newPart(path)
	if err != nil {
		return err
	}
	if err := part.Close(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, removePart(part.Name())) }()
	if _, err := s.ro.ExecContext(ctx, `VACUUM INTO $1`, part.Name()); err != nil {
		return err
	}
	copied, err := os.OpenFile(part.Name(), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	if err := errors.Join(copied.Sync(), copied.Close()); err != nil {
		return err
	}
	return publish(part.Name(), path)
}

// newPart makes an empty file beside the one that it will become, readable by its owner only.
func newPart(path string) (*os.File, error) {
	return os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".part-*")
}

// removePart removes what a failure has left.
func removePart(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// publish gives a file that is on the disk its name.
func publish(part, path string) error {
	if err := os.Rename(part, path); err != nil {
		return err
	}
	if runtime.GOOS == "windows" {
		return nil // which has no way to ask for that
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// Archive moves rollouts that are over, and whose last record is from before a time, into a directory: the records of
// each as ROLLOUT.jsonl.gz, which unpacked is a journal that journal.Verify accepts. The rows go once the file was read
// again, verified and synced. With them go the deliveries of the rollout, and those without a rollout from before that
// time: their bodies, and the memory that they came in once already, so keep more days than any sender repeats itself.
// It returns how many rollouts it moved, also with an error, and may be repeated after one.
func (s *Store) Archive(ctx context.Context, before time.Time, dir string) (int, error) {
	until, err := nanos(before)
	if err != nil {
		return 0, fmt.Errorf("archive rollouts: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return 0, fmt.Errorf("archive rollouts: %w", err)
	}
	if _, err := s.affected(ctx, `DELETE FROM golive_inbox WHERE rollout = '' AND at_ns < $1`, until); err != nil {
		return 0, fmt.Errorf("archive rollouts: %w", err)
	}
	for moved := 0; ; moved++ {
		var rollout string
		err := s.db.QueryRowContext(ctx, `SELECT r.id FROM golive_rollouts r WHERE r.done = 1 AND r.began_ns < $1
			AND (SELECT l.at_ns FROM golive_journal l WHERE l.rollout = r.id ORDER BY l.seq DESC LIMIT 1) < $1
			ORDER BY r.began_ns, r.id LIMIT 1`, until).Scan(&rollout)
		if errors.Is(err, sql.ErrNoRows) {
			return moved, nil
		}
		if err == nil {
			err = s.archive(ctx, rollout, filepath.Join(dir, rollout+ArchiveExtension))
		}
		if err != nil {
			return moved, fmt.Errorf("archive rollout %s: %w", rollout, s.explain(err))
		}
	}
}

func (s *Store) archive(ctx context.Context, rollout, path string) error {
	records, err := s.pack(ctx, rollout, path)
	if err != nil {
		return err
	}
	return s.transact(ctx, func(tx *sql.Tx) error {
		for _, statement := range []string{
			`UPDATE golive_rollouts SET done = 2 WHERE id = $1 AND done = 1`,
			`INSERT INTO golive_fences (target, fence) SELECT target, fence FROM golive_rollouts WHERE id = $1
				ON CONFLICT (target) DO UPDATE SET fence = excluded.fence WHERE excluded.fence > golive_fences.fence`,
			`DELETE FROM golive_inbox WHERE rollout = $1`,
		} {
			if _, err := tx.ExecContext(ctx, statement, rollout); err != nil {
				return err
			}
		}
		result, err := tx.ExecContext(ctx, `DELETE FROM golive_journal WHERE rollout = $1`, rollout)
		if err != nil {
			return err
		}
		if gone, err := result.RowsAffected(); err != nil {
			return err
		} else if gone != int64(records) && gone != 0 { // another process may have archived it at the same time
			return fmt.Errorf("the file has %d records and the store %d; nothing was removed", records, gone)
		}
		_, err = tx.ExecContext(ctx, `DELETE FROM golive_rollouts WHERE id = $1`, rollout)
		return err
	})
}

// pack writes the records of a rollout to a file, and says how many they are.
func (s *Store) pack(ctx context.Context, rollout, path string) (records int, err error) {
	plain, err := newPart(path)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, removePart(plain.Name())) }()
	defer plain.Close()
	sum := sha256.New()
	if err := s.Export(ctx, rollout, io.MultiWriter(plain, sum)); err != nil {
		return 0, err
	}
	summary, err := journal.Verify(plain.Name())
	if err != nil {
		return 0, err
	}
	if summary.Torn != 0 {
		return 0, fmt.Errorf("the file that was written lacks the end of a record; is the disk full?")
	}
	if _, err := os.Lstat(path); err == nil {
		// It was written before, and the rows were not removed then.
		if err := unpacksTo(path, sum); err != nil {
			return 0, fmt.Errorf("%s is there, and is not this rollout (%w); move it away", path, err)
		}
		return summary.Records, nil
	}
	packed, err := newPart(path)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, removePart(packed.Name())) }()
	zip := gzip.NewWriter(packed)
	_, err = plain.Seek(0, io.SeekStart)
	if err == nil {
		_, err = io.Copy(zip, plain)
	}
	if err = errors.Join(err, zip.Close(), packed.Sync(), packed.Close()); err != nil {
		return 0, err
	}
	if err := unpacksTo(packed.Name(), sum); err != nil {
		return 0, err
	}
	return summary.Records, publish(packed.Name(), path)
}

// unpacksTo reads a packed file, and says whether it holds what has this sum.
func unpacksTo(path string, want hash.Hash) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	zip, err := gzip.NewReader(file)
	if err != nil {
		return err
	}
	got := sha256.New()
	if _, err := io.Copy(got, zip); err != nil {
		return err
	}
	if string(got.Sum(nil)) != string(want.Sum(nil)) {
		return errors.New("its content is another one")
	}
	return zip.Close()
}
