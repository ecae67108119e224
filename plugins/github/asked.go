package github

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/golive-dev/golive/guard"
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

// Waits is where it is kept what GitHub waits for: guard/store has one, which several servers share. All is by key; every
// change of what is kept there makes another version of it. Every method may be repeated after an error.
type Waits interface {
	// Read returns what is kept, and its version; 0: nothing is.
	Read(ctx context.Context, key string) (version int64, body []byte, err error)
	// Offer keeps what nobody goes on with yet, in place of a version; false: another one is there by now.
	Offer(ctx context.Context, key string, version int64, body []byte) (kept bool, err error)
	// Claim hands all to take that is not done and that no living process goes on with, this one as held says it.
	Claim(ctx context.Context, held func(key string) bool, take func(key string, version int64, body []byte)) error
	// Keep writes down how far the one who claimed it is; the version becomes greater by one. False: it is not for this
	// process any more.
	Keep(ctx context.Context, key string, version int64, body []byte, done bool) (kept bool, err error)
	// Forget lets go of what was done before a time.
	Forget(ctx context.Context, before time.Time) error
}

// An asked is one deployment that waits for the word of golive. It is kept before GitHub is answered, so that it is gone
// on with after a restart, and by another server after the end of this one.
type asked struct {
	Repository   string        `json:"repository"` // OWNER/NAME
	Run          int64         `json:"run"`
	Environment  string        `json:"environment"`
	Deployment   int64         `json:"deployment"`
	Installation int64         `json:"installation,omitempty"` // 0: GitHub is asked
	Event        string        `json:"event,omitempty"`        // that has begun the run: "push"
	Ref          string        `json:"ref,omitempty"`          // the branch or the tag
	Release      guard.Release `json:"release"`
	Looked       bool          `json:"looked,omitempty"` // GitHub was asked what there was before; it stands in Release.From
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
	return "github/" + hex.EncodeToString(sum[:16])
}

func (a *asked) String() string {
	return fmt.Sprintf("run %d of %s to %s", a.Run, a.Repository, guard.Line(a.Environment, 80))
}

// text is how it is kept.
func (a *asked) text() []byte {
	text, err := json.Marshal(a)
	if err != nil {
		panic(err) // it holds nothing that JSON cannot
	}
	return text
}

// parse reads what text has made.
func parse(text []byte) (*asked, error) {
	a := new(asked)
	if err := json.Unmarshal(text, a); err != nil {
		return nil, fmt.Errorf("what GitHub waits for cannot be read: %w", err)
	}
	return a, nil
}
