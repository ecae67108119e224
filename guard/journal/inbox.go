package journal

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"time"
)

const ordersSuffix = ".orders"

// Post leaves an order for the process that holds the journal, and returns once it is on the disk. Nobody
// needs to hold the journal at that time, and any number of processes may post at once: no lock is taken, so
// one that was stopped in the middle cannot keep another from being heard. An order has the form of a record
// with the sequence number 0 and no record before it.
func Post(path, kind string, at time.Time, data any) (Record, error) {
	if _, err := os.Stat(path); err != nil {
		return Record{}, fmt.Errorf("post an order to a journal: %w", err)
	}
	r, line, err := seal(0, at, kind, data, "")
	if err != nil {
		return Record{}, fmt.Errorf("post an order to journal %s: %w", path, err)
	}
	if err := post(path+ordersSuffix, line); err != nil {
		return Record{}, fmt.Errorf("post an order to journal %s: %w", path, err)
	}
	return r, nil
}

func post(path string, line []byte) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	// One write, which the kernel does not mix with another process's. The newline before it ends what a
	// process that died while it posted may have left.
	_, err = file.Write(append([]byte("\n"), line...))
	if err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close(), syncDir(filepath.Dir(path)))
}

// An Inbox is where the holder of a journal finds the orders that were posted to it. The zero Offset is before
// the first of them.
type Inbox struct {
	Path   string // of the journal
	Offset int64  // behind the order taken last; to go on after a crash, keep it with what was done about the order
}

// Take returns the oldest order behind Offset and moves Offset behind it; false says that there is none yet.
// Something that is not an order (a process died while it posted, and so was never told that its order has
// arrived) is an error once, and the next call goes on behind it.
func (in *Inbox) Take() (Record, bool, error) {
	path := in.Path + ordersSuffix
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Record{}, false, nil
	}
	if err != nil {
		return Record{}, false, fmt.Errorf("take an order: %w", err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return Record{}, false, fmt.Errorf("take an order: %w", err)
	}
	if info.Size() < in.Offset {
		return Record{}, false, fmt.Errorf("take an order: %s is shorter than what was taken from it; somebody has replaced it, and an order may be lost", path)
	}
	lines := scanLines(io.NewSectionReader(file, in.Offset, math.MaxInt64-in.Offset))
	for lines.Scan() {
		line := lines.Bytes()
		if !bytes.HasSuffix(line, []byte("\n")) {
			break // still being written
		}
		at := in.Offset
		in.Offset += int64(len(line))
		if len(line) == 1 {
			continue
		}
		r, err := unseal(line)
		if err != nil {
			return Record{}, false, fmt.Errorf("skipped an order at byte %d of %s: %w; whoever sent it should send it again", at, path, err)
		}
		return r, true, nil
	}
	if err := lines.Err(); err != nil {
		return Record{}, false, fmt.Errorf("take an order from %s: %w", path, err)
	}
	return Record{}, false, nil
}
