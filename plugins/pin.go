package plugins

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
)

// A pin holds a program to its SHA-256 from before its start to after it. The file that was read is held open: Linux
// starts that very file, whatever has its name by then, and elsewhere the name has to mean it still. A program that was
// written to or replaced after it was read is ended at once. What no pin can hold is a script: its interpreter reads it
// later, and may read what was written after the start.
type pin struct {
	path   string
	file   *os.File
	before os.FileInfo
}

// newPin reads a program, which has to have the digest, hexadecimal. The caller closes the pin's file.
func newPin(path, digest string) (*pin, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	p := &pin{path: path, file: file}
	var found string
	if p.before, err = file.Stat(); err == nil {
		found, err = digestOf(file)
	}
	if err == nil && !strings.EqualFold(found, digest) {
		err = fmt.Errorf("it is another program: its SHA-256 is %s, and the plan has %s", found, digest)
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return p, nil
}

// start starts the program as cmd, whose path is the one that was read.
func (p *pin) start(cmd *exec.Cmd) error {
	p.aim(cmd)
	if err := cmd.Start(); err != nil {
		return err
	}
	after, err := p.now()
	if err == nil && (!os.SameFile(p.before, after) || p.before.Size() != after.Size() || changed(p.before) != changed(after)) {
		err = errors.New("it was changed or replaced while it was being started (start it again when nobody writes to it)")
	}
	if err != nil {
		endGroup(cmd.Process)
		_ = cmd.Wait() // says that it was killed
	}
	return err
}

// digestOf is the SHA-256 of what is read, hexadecimal.
func digestOf(r io.Reader) (string, error) {
	digest := sha256.New()
	if _, err := io.Copy(digest, r); err != nil {
		return "", err
	}
	return hex.EncodeToString(digest.Sum(nil)), nil
}
