// Package file makes a vault of files: whatever writes its backups to a directory can be watched.
package file

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/golive-dev/golive/guard"
)

// Vault knows backups by their files.
type Vault struct {
	pattern string
}

var _ guard.Vault = (*Vault)(nil)

// NewVault reads {path}, a pattern like /backups/*.dump. A file is a backup that ended when the file was last
// changed. Empty files, directories, and names that say that a copy is under way are not.
func NewVault(with guard.With) (guard.Vault, error) {
	config := struct {
		Path string `json:"path"`
	}{}
	err := with.Decode(&config)
	if config.Path == "" {
		err = errors.Join(err, errors.New("path: missing (a pattern like /backups/*.dump)"))
	}
	if _, mistake := filepath.Match(config.Path, ""); mistake != nil {
		err = errors.Join(err, fmt.Errorf("path: %q is not a pattern (try /backups/*.dump)", config.Path))
	}
	if err != nil {
		return nil, err
	}
	return &Vault{config.Path}, nil
}

// Backups lists the files. That there are none is an answer; that the directory is missing or may not be
// read is an error, since backups may well be there.
func (v *Vault) Backups(ctx context.Context) ([]guard.Backup, error) {
	if err := cmp.Or(ctx.Err(), v.readable()); err != nil {
		return nil, err
	}
	paths, err := filepath.Glob(v.pattern)
	if err != nil {
		return nil, err
	}
	var backups []guard.Backup
	for _, path := range paths {
		info, err := os.Stat(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue // rotated away since the listing
		}
		if err != nil {
			return nil, err
		}
		if info.Mode().IsRegular() && info.Size() > 0 && !underWay(path) {
			backups = append(backups, guard.Backup{ID: path, Ended: info.ModTime(), Bytes: info.Size()})
		}
	}
	return backups, nil
}

// readable reads the deepest directory that the pattern names outright, as Glob passes over what it cannot read.
func (v *Vault) readable() error {
	dir := filepath.Dir(v.pattern)
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
