package accesslog

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"
)

const (
	lineBytes = 64 << 10    // of the longest line that is understood
	lookBack  = 1 << 20     // bytes of a log that are looked at when it is first opened
	linger    = time.Minute // for so long a file is read on after another has taken its place
)

// A tail follows the file at a path through its rotations. A file that was renamed is read on for a while, for its
// writer may not know yet; one that was cut off (copytruncate) is read again from its beginning, and what was written
// since the last time is lost with it.
type tail struct {
	path   string
	files  []*followed // the one at the path last
	missed bool        // there was no file at first: all that stands in it when there is one is new
}

// A followed file is one that may still be written to.
type followed struct {
	file     *os.File
	offset   int64     // behind the last line that was read
	old      int64     // where it ended when the path was first opened
	before   []byte    // that line, by which a file is known again that was cut off and has grown since
	replaced time.Time // when the path was first found to be another file's; zero if it is not
}

// read gives every line that was finished since the last time to line; nil stands for one that is too long. The lines
// that were there when the path was first opened are old. It returns when the log was last written to.
func (t *tail) read(ctx context.Context, now time.Time, line func(text []byte, old bool)) (modified time.Time, err error) {
	if err := t.look(now); err != nil {
		return time.Time{}, err
	}
	kept := t.files[:0]
	for i, f := range t.files { // all of them, whatever comes of one: no closed file may stay among those that are kept
		written, failed := f.read(ctx, line)
		if failed != nil {
			err = fmt.Errorf("read %s: %w", t.path, failed)
		}
		if written.After(modified) {
			modified = written
		}
		if i < len(t.files)-1 && now.Sub(f.replaced) > linger && ctx.Err() == nil { // or it is looked at once more
			f.file.Close()
			continue
		}
		kept = append(kept, f)
	}
	t.files = kept
	return modified, err
}

// look finds out which file is at the path now. None is, for a moment, while it is rotated.
func (t *tail) look(now time.Time) error {
	var last *followed
	if len(t.files) > 0 {
		last = t.files[len(t.files)-1]
	}
	file, err := os.Open(t.path)
	if err != nil {
		missing := errors.Is(err, fs.ErrNotExist)
		if last == nil || !missing {
			t.missed = t.missed || missing
			return err
		}
		last.replace(now)
		if now.Sub(last.replaced) > linger {
			return err
		}
		return nil
	}
	info, err := file.Stat()
	if err == nil && info.IsDir() {
		err = fmt.Errorf("%s is a directory", t.path)
	}
	if err != nil {
		file.Close()
		return err
	}
	if last != nil {
		if known, err := last.file.Stat(); err == nil && os.SameFile(info, known) {
			last.replaced = time.Time{}
			return file.Close()
		}
		last.replace(now)
		t.files = append(t.files, &followed{file: file})
		return nil
	}
	f := &followed{file: file}
	if !t.missed {
		f.old = info.Size()
		if err := f.skip(f.old - lookBack); err != nil {
			file.Close()
			return err
		}
	}
	t.files = []*followed{f}
	return nil
}

func (f *followed) replace(now time.Time) {
	if f.replaced.IsZero() {
		f.replaced = now
	}
}

// skip goes to the first line that begins behind a place.
func (f *followed) skip(from int64) error {
	if from <= 0 {
		return nil
	}
	rest := bufio.NewReader(io.NewSectionReader(f.file, from, lookBack))
	cut, err := rest.ReadBytes('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	f.offset = from + int64(len(cut))
	return nil
}

// read reads the lines up to the end of a file, and leaves a line that has no end yet for the next time. It returns when
// the file was last written to.
func (f *followed) read(ctx context.Context, line func(text []byte, old bool)) (written time.Time, err error) {
	info, err := f.file.Stat()
	if err != nil {
		return time.Time{}, err
	}
	return info.ModTime(), f.readTo(ctx, info.Size(), line)
}

func (f *followed) readTo(ctx context.Context, size int64, line func(text []byte, old bool)) error {
	same, err := f.same(size)
	if err != nil {
		return err
	}
	if !same {
		f.offset, f.old, f.before = 0, 0, f.before[:0]
	}
	rest := bufio.NewReaderSize(io.NewSectionReader(f.file, f.offset, size-f.offset), lineBytes)
	for ctx.Err() == nil {
		text, err := rest.ReadSlice('\n')
		length, long := len(text), errors.Is(err, bufio.ErrBufferFull)
		for errors.Is(err, bufio.ErrBufferFull) {
			text, err = rest.ReadSlice('\n')
			length += len(text)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		f.offset += int64(length)
		f.before = append(f.before[:0], text...)
		text = bytes.TrimRight(text, "\r\n")
		if long {
			text = nil
		}
		line(text, f.offset <= f.old)
	}
	return ctx.Err()
}

// same says whether what stands before the offset is what was read there.
func (f *followed) same(size int64) (bool, error) {
	if size < f.offset {
		return false, nil
	}
	found := make([]byte, len(f.before))
	if _, err := f.file.ReadAt(found, f.offset-int64(len(f.before))); err != nil && !errors.Is(err, io.EOF) {
		return false, err
	}
	return bytes.Equal(found, f.before), nil
}

func (t *tail) close() {
	for _, f := range t.files {
		f.file.Close()
	}
}
