package journal

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"
)

// A Holder is the process that may append to a journal.
type Holder struct {
	PID   int       `json:"pid"`
	Since time.Time `json:"since"`
}

// A LockedError says that another process holds a journal.
type LockedError struct {
	Path   string
	Holder Holder // zero if it has not said who it is
}

func (e *LockedError) Error() string {
	if e.Holder == (Holder{}) {
		return fmt.Sprintf("journal %s is held by another process; wait until it ends", e.Path)
	}
	return fmt.Sprintf("journal %s is held by process %d since %s; wait until it ends, or stop it with: kill %d",
		e.Path, e.Holder.PID, e.Holder.Since.Format(time.RFC3339), e.Holder.PID)
}

// The kernel keeps the lock, and drops it when its process dies: what the lock file says is for people only.
// The lock file is never removed, for somebody may be waiting for the one that is there.
//
// Windows locks bytes, not files, and nobody may read a locked byte: the lock is on byte 0, and the holder is
// written after it, always at the same length so that nothing needs to be cut off.
const (
	lockSuffix   = ".lock"
	holderAt     = 1
	holderLength = 80
)

// A lock may be about to become free: Held has taken it for an instant, or the kernel has yet to bury the killed
// process that had it. So acquire tries again for this long before it says no.
const lockPatience = 250 * time.Millisecond

func acquire(path string) (*flock.Flock, error) {
	lock := flock.New(path+lockSuffix, flock.SetPermissions(0o600))
	ctx, cancel := context.WithTimeout(context.Background(), lockPatience)
	defer cancel()
	_, err := lock.TryLockContext(ctx, 5*time.Millisecond)
	if errors.Is(err, context.DeadlineExceeded) {
		holder, err := readHolder(lock.Path())
		return nil, errors.Join(&LockedError{path, holder}, err)
	}
	if err != nil {
		return nil, fmt.Errorf("lock journal %s: %w", path, err)
	}
	if err := writeHolder(lock.Path(), Holder{os.Getpid(), time.Now().UTC().Truncate(time.Second)}); err != nil {
		return nil, errors.Join(fmt.Errorf("lock journal %s: %w", path, err), lock.Close())
	}
	return lock, nil
}

// Turn waits until no other process is between looking at the journals of a directory and creating one there for
// the same name, and returns what lets the next one in. The kernel ends the turn of a process that dies. The
// error is the cause of ctx if that ends first.
func Turn(ctx context.Context, dir, name string) (done func() error, err error) {
	if err := makeDir(dir); err != nil {
		return nil, fmt.Errorf("wait for a turn: %w", err)
	}
	lock := flock.New(filepath.Join(dir, lockSuffix+"-"+name), flock.SetPermissions(0o600))
	if _, err := lock.TryLockContext(ctx, 20*time.Millisecond); err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, errors.Join(fmt.Errorf("wait for a turn at %s: %w", lock.Path(), err), lock.Close())
	}
	return lock.Close, nil
}

// Held says which process holds a journal. The zero Holder is nobody.
func Held(path string) (Holder, error) {
	holder, err := readHolder(path + lockSuffix)
	if err != nil || holder == (Holder{}) {
		return Holder{}, err
	}
	// The name stays when its process is gone. Whoever gets the lock knows that nobody has it.
	lock := flock.New(path + lockSuffix)
	free, err := lock.TryRLock()
	if err != nil || free {
		return Holder{}, errors.Join(err, lock.Close())
	}
	return holder, nil
}

func writeHolder(path string, holder Holder) error {
	said, err := json.Marshal(holder)
	if err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = file.WriteAt(fmt.Appendf(nil, "%-*s\n", holderLength, said), holderAt)
	return errors.Join(err, file.Close())
}

func readHolder(path string) (Holder, error) {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Holder{}, nil
	}
	if err != nil {
		return Holder{}, err
	}
	defer file.Close()
	said, err := io.ReadAll(io.NewSectionReader(file, holderAt, holderLength))
	if err != nil {
		return Holder{}, err
	}
	var holder Holder
	if json.Unmarshal(bytes.TrimSpace(said), &holder) != nil {
		return Holder{}, nil // not written yet
	}
	return holder, nil
}
