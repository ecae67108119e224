// Package files finds the files that backups are made of, and measures those that come back from one.
package files

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Pattern says what is wrong with a pattern that stands under key in the set-up of a part.
func Pattern(key, pattern string) error {
	if pattern == "" {
		return fmt.Errorf("%s: missing (a pattern like /backups/*.dump)", key)
	}
	if _, err := filepath.Match(pattern, ""); err != nil {
		return fmt.Errorf("%s: %q is not a pattern (try /backups/*.dump)", key, pattern)
	}
	return nil
}

// A File is one that was found: a file or a directory.
type File struct {
	Path string
	fs.FileInfo
}

// Find returns what fits a pattern, in the order of the names. Names that say that a copy is under way are
// left out. That nothing fits is an answer; that the directory is missing or may not be read is an error,
// since files may well be there.
func Find(ctx context.Context, pattern string) ([]File, error) {
	if err := cmp.Or(ctx.Err(), readable(pattern)); err != nil {
		return nil, err
	}
	paths, err := filepath.Glob(pattern)
	if err != nil {
		return nil, err
	}
	var found []File
	for _, path := range paths {
		info, err := os.Stat(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue // rotated away since the listing
		}
		if err != nil {
			return nil, err
		}
		if !underWay(path) {
			found = append(found, File{path, info})
		}
	}
	return found, nil
}

// readable reads the deepest directory that the pattern names outright, as Glob passes over what it cannot read.
func readable(pattern string) error {
	dir := filepath.Dir(pattern)
	for strings.ContainsAny(dir, `*?[`) {
		dir = filepath.Dir(dir)
	}
	_, err := os.ReadDir(dir)
	return err
}

// suffixes are how common tools name a file that is not complete.
var suffixes = []string{".tmp", ".temp", ".part", ".partial", ".inprogress", ".incomplete", ".swp", "~"}

func underWay(path string) bool {
	name := strings.ToLower(filepath.Base(path))
	if strings.HasPrefix(name, ".") {
		return true
	}
	for _, suffix := range suffixes {
		if strings.HasSuffix(name, suffix) {
			return true
		}
	}
	return false
}

// Scratch makes an empty directory for a restore that only its owner can read, inside of parent; empty: where
// the system keeps such things. The caller calls remove.
func Scratch(parent string) (dir string, remove func() error, err error) {
	dir, err = os.MkdirTemp(parent, "golive-restore-")
	if err != nil {
		return "", nil, err
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return "", nil, err
	}
	return dir, func() error { return removeAll(dir) }, nil
}

// removeAll removes also what was restored into directories that may not be written.
func removeAll(dir string) error {
	if os.RemoveAll(dir) == nil {
		return nil
	}
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if d != nil && d.IsDir() {
			_ = os.Chmod(path, 0o700) // RemoveAll says what is still in the way
		}
		return nil
	})
	return os.RemoveAll(dir)
}

// Measure counts the regular files below a directory and their bytes. The bytes of a file with several names
// count once, where the system can tell.
func Measure(dir string) (count int, bytes int64, err error) {
	seen := make(map[identity]bool)
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		count++
		if id, known := identify(info); known {
			if seen[id] {
				return nil
			}
			seen[id] = true
		}
		bytes += info.Size()
		return nil
	})
	return count, bytes, err
}

// Replace puts a file in the place of another at once: a reader sees the old one or the new one, and never a part
// of either. The file keeps the rights, the owner and the group of the old one, and is not replaced if it cannot; a new
// one is for its owner only.
func Replace(path string, content []byte) error {
	file, err := draft(path)
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	if err = errors.Join(err, file.Sync(), file.Close()); err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		_ = os.Remove(file.Name()) // it is no use to anybody
	}
	return err
}

// Beside makes an empty file that whoever may write another may write too: it has the rights, the owner and the group
// of that. If it is there already it is left alone.
func Beside(path, other string) error {
	old, err := os.Stat(other)
	if err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := errors.Join(keepOwner(file, old), file.Chmod(old.Mode().Perm()|0o600), file.Close()); err != nil {
		return fmt.Errorf("%s cannot be made: %w", path, errors.Join(err, os.Remove(path)))
	}
	return nil
}

// Replaceable says what would keep Replace from its work. It tries with an empty file, which it removes again.
func Replaceable(path string) error {
	file, err := draft(path)
	if err != nil {
		return err
	}
	return errors.Join(file.Close(), os.Remove(file.Name()))
}

// draft makes an empty file beside another, with its rights, its owner and its group.
func draft(path string) (file *os.File, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("%s cannot be replaced: %w", path, err)
		}
	}()
	old, missing := os.Stat(path)
	if missing != nil && !errors.Is(missing, fs.ErrNotExist) {
		return nil, missing
	}
	file, err = os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-")
	if err != nil || missing != nil {
		return file, err
	}
	if err = errors.Join(keepOwner(file, old), file.Chmod(old.Mode().Perm())); err != nil {
		return nil, errors.Join(err, file.Close(), os.Remove(file.Name()))
	}
	return file, nil
}
