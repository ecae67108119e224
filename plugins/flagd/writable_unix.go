//go:build unix

package flagd

import (
	"fmt"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// writable says what keeps golive from replacing a file. Nothing is changed to find that out.
func writable(path string) error {
	for _, target := range []string{path, filepath.Dir(path)} {
		if err := unix.Access(target, unix.W_OK); err != nil {
			return fmt.Errorf("%s may not be written: %w", target, err)
		}
	}
	return nil
}
