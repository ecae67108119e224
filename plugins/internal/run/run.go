// Package run runs the programs that parts are made of, and ends them with all that they started. What it tells
// of them is short, and holds no secrets.
package run

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/golive-dev/golive/guard"
)

const (
	grace       = 2 * time.Second // between asking a command to end and killing it
	storyBytes  = 4 << 10         // of the output that an error tells
	answerBytes = 1 << 20         // of the output that is an answer, unless a command says otherwise
)

// A Command is a program and what it is given. It reads nothing from standard input.
type Command struct {
	Program string
	Args    []string
	Dir     string        // where it runs; empty: where golive does
	Env     []string      // what it sees beside the environment of golive, as NAME=value
	Timeout time.Duration // 0: the context alone ends it
	Limit   int           // bytes of its answer; 0: a mebibyte
	Daemons bool          // what it leaves running after a success, with its output redirected, stays: it may be a server
	Secrets []string      // left out of what is told; those of less than four characters are none
}

// Shell is the command that runs a script.
func Shell(script string, timeout time.Duration, env ...string) Command {
	return Command{Program: "sh", Args: []string{"-c", script}, Timeout: timeout, Env: env}
}

// An Output is what a command wrote.
type Output struct {
	Answer []byte // standard output, whole
	Story  string // the end of all output, without secrets
}

// Evidence is the output as an answer to what was asked.
func (o Output) Evidence(asked string) guard.Evidence {
	digest := sha256.Sum256(o.Answer)
	return guard.Evidence{Asked: asked, Answer: o.Story, Digest: hex.EncodeToString(digest[:])}
}

// Says tells whether the answer or the story has one of these phrases, in upper or in lower case.
func (o Output) Says(phrases ...string) bool {
	said := strings.ToLower(string(o.Answer) + "\n" + o.Story)
	return slices.ContainsFunc(phrases, func(phrase string) bool { return strings.Contains(said, strings.ToLower(phrase)) })
}

// Trouble says that the output blames the machine or the way to the backups, and not the backups themselves.
func (o Output) Trouble() bool {
	return o.Says("no space left on device", "disk quota exceeded", "permission denied", "operation not permitted",
		"connection refused", "connection reset", "no such host", "i/o timeout", "cannot allocate memory", "too many open files")
}

// Run runs the command, and ends whatever it leaves running. When the time is over or ctx ends, the command and all its children are asked to end,
// and then killed. An *exec.ExitError says that it ran and said no; any other error, that it could not be
// started or did not come to an end. Errors tell the end of the output, and never the arguments, which may hold
// secrets. The output is returned also with an *exec.ExitError.
func (c Command) Run(ctx context.Context) (Output, error) {
	if c.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, c.Timeout, fmt.Errorf("not done after %v", c.Timeout))
		defer cancel()
	}
	limit := c.Limit
	if limit == 0 {
		limit = answerBytes
	}
	answer, story := tail{limit: limit}, tail{limit: storyBytes}

	cmd := exec.CommandContext(ctx, c.Program, c.Args...)
	cmd.Dir = c.Dir
	cmd.Env = append(os.Environ(), c.Env...)
	cmd.Stdout = io.MultiWriter(&answer, &story)
	cmd.Stderr = &story
	cmd.WaitDelay = grace
	group(cmd)

	err := cmd.Run()
	if err != nil || !c.Daemons {
		killGroup(cmd) // also after a success, whose children may have redirected their output
	}
	switch {
	case ctx.Err() != nil && err != nil:
		err = context.Cause(ctx)
	case errors.Is(err, exec.ErrWaitDelay):
		err = errors.New("it left a process behind that keeps its output open (redirect the output of that process)")
	case err == nil && answer.cut:
		err = fmt.Errorf("it printed more than %d bytes", limit)
	}
	output := Output{Answer: answer.last(), Story: hide(story.text(), c.Secrets)}
	switch {
	case err == nil:
		return output, nil
	case output.Story == "":
		return output, fmt.Errorf("%w, without any output", err)
	}
	return output, fmt.Errorf("%w: %s", err, output.Story)
}

// Ending is what evidence keeps of an output.
func Ending(output []byte) string {
	t := tail{limit: storyBytes}
	_, _ = t.Write(output) // which cannot fail
	return hide(t.text(), nil)
}

// userinfo is what stands before the host in an address: a name, a password, or both.
var userinfo = regexp.MustCompile(`://[^/\s]*@`)

// hide takes out of a text the secrets, and the passwords in addresses.
func hide(text string, secrets []string) string {
	for _, secret := range secrets {
		if len(secret) >= 4 {
			text = strings.ReplaceAll(text, secret, "***")
		}
	}
	return userinfo.ReplaceAllString(text, "://***@")
}

// A tail keeps the last bytes of what is written to it. A command's two outputs share one.
type tail struct {
	limit int

	mu   sync.Mutex
	kept []byte
	cut  bool
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.kept = append(t.kept, p...)
	t.cut = t.cut || len(t.kept) > t.limit
	if len(t.kept) > 2*t.limit { // seldom, for it moves all that is kept
		t.kept = append(t.kept[:0], t.kept[len(t.kept)-t.limit:]...)
	}
	return len(p), nil
}

// last is what was kept, no more than the limit.
func (t *tail) last() []byte { return t.kept[max(0, len(t.kept)-t.limit):] }

// text is what was kept. The word that was cut in two is left out: it may be the end of a secret.
func (t *tail) text() string {
	text := strings.ToValidUTF8(string(t.last()), "?")
	if t.cut {
		if i := strings.IndexAny(text, " \n"); i >= 0 {
			text = text[i:]
		}
		return "..." + strings.TrimSpace(text)
	}
	return strings.TrimSpace(text)
}
