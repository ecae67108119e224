package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/journal"
)

// remember adds an entry to the ledger beside the plan, and returns once it is on the disk.
func (p *program) remember(_ context.Context, e guard.Entry) error {
	if err := e.Check(); err != nil {
		return fail(exitUsage, "%w", err)
	}
	path := strings.TrimSuffix(p.settings.Plan, filepath.Ext(p.settings.Plan)) + ".ledger"
	j, err := journal.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		j, err = journal.Create(path)
	}
	if err != nil {
		return fail(exitInternal, "%w", err)
	}
	_, err = j.Append(string(e.Act), e.At, e)
	if err = errors.Join(err, j.Close()); err != nil {
		return fail(exitInternal, "%w", err)
	}
	return nil
}
