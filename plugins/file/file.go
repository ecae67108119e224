// Package file makes a vault of files: whatever writes its backups to a directory can be watched.
package file

import (
	"context"
	"errors"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/plugins/internal/files"
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
	if err := errors.Join(with.Decode(&config), files.Pattern("path", config.Path)); err != nil {
		return nil, err
	}
	return &Vault{config.Path}, nil
}

// Backups lists the files. That there are none is an answer; that the directory is missing or may not be
// read is an error, since backups may well be there.
func (v *Vault) Backups(ctx context.Context) ([]guard.Backup, error) {
	found, err := files.Find(ctx, v.pattern)
	if err != nil {
		return nil, err
	}
	var backups []guard.Backup
	for _, f := range found {
		if f.Mode().IsRegular() && f.Size() > 0 {
			backups = append(backups, guard.Backup{ID: f.Path, Ended: f.ModTime(), Bytes: f.Size()})
		}
	}
	return backups, nil
}
