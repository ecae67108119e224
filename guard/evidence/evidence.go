// Package evidence keeps what was collected before going back, each piece under its SHA-256. A piece is whole or not there,
// the same content is kept once, and what is read back is what was kept.
package evidence

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
)

// Extension is how the names of the files end.
const Extension = ".txt"

var digest = regexp.MustCompile(`^[0-9a-f]{64}$`)

// A Dir is a directory of pieces. It is made with the first.
type Dir string

// Keep keeps a piece, and returns its SHA-256 in hexadecimal once it is on the disk. It may be repeated.
func (d Dir) Keep(content []byte) (sha string, err error) {
	sum := sha256.Sum256(content)
	sha = hex.EncodeToString(sum[:])
	if err := os.MkdirAll(string(d), 0o700); err != nil {
		return "", err
	}
	if there, err := d.Open(sha); err == nil {
		return sha, there.Close()
	}
	f, err := os.CreateTemp(string(d), ".new-*")
	if err != nil {
		return "", err
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), d.path(sha))
	}
	if err != nil {
		return "", errors.Join(err, os.Remove(f.Name()))
	}
	return sha, d.sync()
}

// sync makes a new name in the directory durable.
func (d Dir) sync() error {
	dir, err := os.Open(string(d))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// Path is where a piece lies, or would.
func (d Dir) Path(sha string) string { return d.path(sha) }

func (d Dir) path(sha string) string { return filepath.Join(string(d), sha+Extension) }

// Open reads a piece, once it has seen that it is the one that was kept. The error wraps fs.ErrNotExist if there is none, and
// is a ChangedError if it is another by now. Whoever opens it closes it.
func (d Dir) Open(sha string) (io.ReadSeekCloser, error) {
	if !digest.MatchString(sha) {
		return nil, fmt.Errorf("%.80q is no SHA-256: %w", sha, fs.ErrNotExist)
	}
	f, err := os.Open(d.path(sha))
	if err != nil {
		return nil, err
	}
	hash := sha256.New()
	_, err = io.Copy(hash, f)
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if is := hex.EncodeToString(hash.Sum(nil)); err == nil && is != sha {
		err = &ChangedError{Path: d.path(sha), Is: is}
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// A ChangedError says that a piece is no longer what was kept.
type ChangedError struct{ Path, Is string }

func (e *ChangedError) Error() string {
	return fmt.Sprintf("%s was changed since it was kept: its SHA-256 is %s", e.Path, e.Is)
}
