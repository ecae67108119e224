package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/golive-dev/golive/plugins"
)

// undo tries what Shift begins with: to make a file beside that of the flag.
func (b *backend) undo() plugins.Undo {
	f, err := os.CreateTemp(filepath.Dir(b.File), "*.part")
	if err == nil {
		_ = f.Close() // nothing was written
		err = os.Remove(f.Name())
	}
	if err != nil { // without its path, which would be another each time
		return plugins.Undo{Detail: fmt.Sprintf("no file can be made beside %s: %v", b.File, errors.Unwrap(err))}
	}
	return plugins.Undo{Open: true}
}
