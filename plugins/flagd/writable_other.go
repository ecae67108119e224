//go:build !unix

package flagd

import (
	"errors"
	"os"
)

// writable says what keeps golive from writing a file. Nothing is changed to find that out.
func writable(path string) error {
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	return errors.Join(err, file.Close())
}
