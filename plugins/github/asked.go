package github

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"crypto/sha256"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/plugins/internal/files"
)

// A stage is how far the gate is with a deployment.
type stage string

const (
	received   stage = "received"
	evaluating stage = "evaluating"
	waiting    stage = "waiting"  // for what is not ready yet
	approved   stage = "approved" // the last three are verdicts
	rejected   stage = "rejected" // a check has said no
	expired    stage = "expired"  // nothing has said no, and nothing could be found out in time: GitHub hears "rejected"
)

// An asked is one deployment that waits for the word of golive. It is in a file of its own before GitHub is answered, so
// that it is gone on with after a restart.
type asked struct {
	Repository   string        `json:"repository"` // OWNER/NAME
	Run          int64         `json:"run"`
	Environment  string        `json:"environment"`
	Deployment   int64         `json:"deployment"`
	Installation int64         `json:"installation,omitempty"` // 0: GitHub is asked
	Release      guard.Release `json:"release"`
	Received     time.Time     `json:"received"`
	Deliveries   []string      `json:"deliveries,omitempty"` // by which GitHub has asked, as it names them

	Stage    stage     `json:"stage"`
	Since    time.Time `json:"since"`              // of the stage
	Reports  int       `json:"reports,omitempty"`  // that GitHub may have heard; it takes ten
	Said     string    `json:"said,omitempty"`     // the last of them, or the comment to the verdict
	Answered bool      `json:"answered,omitempty"` // GitHub has heard the verdict, or wants none any more
}

// key names what GitHub waits for. A run asks again under the same names when it is run again; the deployment is then
// another.
func (a *asked) key() string {
	sum := sha256.Sum256([]byte(strings.Join([]string{strings.ToLower(a.Repository), strconv.FormatInt(a.Run, 10), a.Environment}, "\x00")))
	return hex.EncodeToString(sum[:16])
}

func (a *asked) String() string {
	return fmt.Sprintf("run %d of %s to %s", a.Run, a.Repository, guard.Line(a.Environment, 80))
}

// keep writes down what is asked, so that it outlasts the machine.
func keep(dir string, a *asked) error {
	text, err := json.Marshal(a)
	if err != nil {
		return err
	}
	if err := files.Replace(filepath.Join(dir, a.key()+".json"), append(text, '\n')); err != nil {
		return fmt.Errorf("keep %s: %w", a, err)
	}
	if runtime.GOOS == "windows" { // which has no way to ask for that
		return nil
	}
	folder, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("keep %s: %w", a, err)
	}
	defer folder.Close()
	if err := folder.Sync(); err != nil { // else the name of the file may be lost
		return fmt.Errorf("keep %s: %w", a, err)
	}
	return nil
}

// kept reads what was asked before. A file that cannot be read is an error, for somebody may wait for the answer.
func kept(dir string) (map[string]*asked, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	names, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		return nil, err
	}
	all := make(map[string]*asked)
	var mistakes []error
	for _, name := range names {
		if strings.HasPrefix(filepath.Base(name), ".") { // of a write that was cut off
			continue
		}
		text, err := os.ReadFile(name)
		a := new(asked)
		if err == nil {
			err = json.Unmarshal(text, a)
		}
		if err == nil && a.key()+".json" != filepath.Base(name) {
			err = errors.New("it has the name of another")
		}
		if err != nil {
			mistakes = append(mistakes, fmt.Errorf("%s: %w (move it away; GitHub can send again what it held)", name, err))
			continue
		}
		all[a.key()] = a
	}
	return all, errors.Join(mistakes...)
}

// forget removes what was answered so long ago that no run can wait for it.
func forget(dir string, a *asked) error { return os.Remove(filepath.Join(dir, a.key()+".json")) }
