// Package journal keeps what must not be forgotten: one file of records for each rollout, only ever added to.
// A record is on the disk before Append returns, and is tied to the one before it by a hash, so that a file
// that was cut, changed or reordered is noticed. The package does not know what the records mean; package
// guard does.
//
// # The file
//
// A journal is a file of JSON lines. Each line is one record, in exactly this form, without other white space:
//
//	{"seq":1,"at":"2026-11-24T03:12:07.5Z","kind":"opened","data":{...},"prev":"","hash":"9f86d081..."}
//
// Seq counts from 1. Hash is the SHA-256, in hexadecimal, of the bytes of the line up to and without the last
// `,"hash":`; prev is the hash of the line before, and empty in the first. So nothing but sha256sum and jq is
// needed to check a journal by hand; testdata/check.sh does it in ten lines. What the chain cannot show is that
// whole records were cut off the end, or that somebody wrote the file anew with hashes of its own: keep
// Summary.Last.Hash elsewhere to notice that too.
//
// # Crashes
//
// A process that dies while it appends leaves a last line without its end, or with blocks of zero bytes in it
// if the machine died too. Such a line was never acknowledged: Open drops it and says so, readers leave it out.
// Anything else that is not a record, or does not follow the one before, was not done by a crash, and is refused.
//
// Beside PATH lie PATH.lock, which is held by the one process that may append, and PATH.orders, in which other
// processes leave orders for it: see Post.
package journal

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/gofrs/flock"
)

// A Journal is a file of records that this process, and no other, may append to. Its methods may be called
// from several goroutines.
type Journal struct {
	path string
	file *os.File
	info fs.FileInfo // which file it was when it was opened
	lock *flock.Flock

	mu  sync.Mutex
	sum Summary // what the file holds; the next record follows sum.Last
	err error   // why nothing can be appended any more
}

// Create makes an empty journal, and the directories above it where they are missing, readable by their owner
// only. It never replaces a file: the error is then an fs.ErrExist.
func Create(path string) (*Journal, error) {
	if err := makeDir(filepath.Dir(path)); err != nil {
		return nil, fmt.Errorf("create journal: %w", err)
	}
	j, err := open(path, os.O_CREATE|os.O_EXCL)
	if err != nil {
		return nil, err
	}
	if err := syncDir(filepath.Dir(path)); err != nil {
		return nil, errors.Join(fmt.Errorf("create journal %s: %w", path, err), j.Close())
	}
	return j, nil
}

// Open opens a journal to go on with it. It checks every record, and drops what a crash left at the end;
// Summary().Torn says how much that was. The error is a *LockedError if another process holds the journal, a
// *BrokenError if the file is not what Append wrote.
func Open(path string) (*Journal, error) {
	return open(path, 0)
}

func open(path string, flag int) (*Journal, error) {
	file, err := os.OpenFile(path, os.O_RDWR|flag, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	j := &Journal{path: path, file: file}
	if err := j.load(); err != nil {
		return nil, errors.Join(err, j.Close())
	}
	return j, nil
}

// load takes the lock and reads what is there.
func (j *Journal) load() (err error) {
	if j.info, err = j.file.Stat(); err != nil {
		return fmt.Errorf("open journal: %w", err)
	}
	if !j.info.Mode().IsRegular() {
		return fmt.Errorf("open journal %s: not a regular file; name a file that golive may write", j.path)
	}
	if j.lock, err = acquire(j.path); err != nil {
		return err
	}
	if j.sum, err = walk(j.path, j.file, func(Record) bool { return true }); err != nil {
		return err
	}
	if j.sum.Torn == 0 {
		return nil
	}
	if err := j.truncate(); err != nil {
		return fmt.Errorf("drop the torn end of journal %s: %w", j.path, err)
	}
	return nil
}

// truncate cuts the file to the records that it is known to hold.
func (j *Journal) truncate() error {
	if err := j.file.Truncate(j.sum.Bytes); err != nil {
		return err
	}
	return j.file.Sync()
}

// Append adds a record, and returns once it is on the disk. Data is anything that encoding/json can write; a
// json.RawMessage is kept byte for byte but for white space between its tokens.
//
// A record that cannot be written as JSON, or is longer than MaxRecord, is refused and leaves the journal as it
// was. Any other error means that the disk cannot be trusted: the journal takes no further record, and whether
// this one is in the file is known only after it was opened again.
func (j *Journal) Append(kind string, at time.Time, data any) (Record, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.err != nil {
		return Record{}, j.err
	}
	r, line, err := seal(j.sum.Last.Seq+1, at, kind, data, j.sum.Last.Hash)
	if err != nil {
		return Record{}, fmt.Errorf("journal %s: %w", j.path, err)
	}
	if err := j.write(line); err != nil {
		j.err = fmt.Errorf("journal %s takes no more records, since record %d could not be written: %w", j.path, r.Seq, err)
		return Record{}, j.err
	}
	j.sum.add(r, line)
	return r, nil
}

func (j *Journal) write(line []byte) error {
	now, err := os.Stat(j.path)
	if err != nil {
		return err
	}
	if !os.SameFile(now, j.info) || now.Size() != j.sum.Bytes {
		return errors.New("somebody else has replaced or written to the file; find out who before going on")
	}
	_, err = j.file.WriteAt(line, j.sum.Bytes)
	if err == nil {
		err = j.file.Sync()
	}
	if err != nil {
		// Where the disk still allows it, nobody shall later find a record that was reported as not written.
		return errors.Join(err, j.truncate())
	}
	return nil
}

// Records returns the records that the journal holds when the loop begins, oldest first. An error ends the loop.
func (j *Journal) Records() iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		records(j.path, io.NewSectionReader(j.file, 0, j.Summary().Bytes))(yield)
	}
}

// Summary says what the journal holds. Torn is what Open has dropped.
func (j *Journal) Summary() Summary {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.sum
}

// Close lets go of the journal.
func (j *Journal) Close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.err = fmt.Errorf("journal %s: %w", j.path, os.ErrClosed)
	err := j.file.Close()
	if j.lock != nil {
		err = errors.Join(err, j.lock.Close())
	}
	return err
}

// makeDir makes a directory, and those above it, so that a crash of the machine does not undo it.
func makeDir(dir string) error {
	if info, err := os.Stat(dir); err == nil && info.IsDir() {
		return nil
	}
	parent := filepath.Dir(dir)
	if parent != dir {
		if err := makeDir(parent); err != nil {
			return err
		}
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncDir(parent)
}

// syncDir makes the names in a directory durable. Windows has no way to ask for that, and no need to.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
