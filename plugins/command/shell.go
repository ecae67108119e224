package command

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"
)

const (
	grace      = 2 * time.Second // between asking a command to end and killing it
	storyBytes = 4 << 10         // of the output that an error tells
	plainBytes = 1 << 20         // of the output that is an answer
)

// shell runs a script, and returns what it wrote to standard output. When the time is over or ctx ends, the
// script and all its children are asked to end, and then killed. An *exec.ExitError says that the script ran
// and said no; any other error, that it did not come to an end. Errors tell the end of the output and never
// the script, which may hold secrets.
func shell(ctx context.Context, script string, timeout time.Duration, env ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("not done after %v", timeout))
	defer cancel()
	answer, story := tail{limit: plainBytes}, tail{limit: storyBytes}

	cmd := exec.CommandContext(ctx, "sh", "-c", script)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout = both{&answer, &story}
	cmd.Stderr = &story
	cmd.WaitDelay = grace
	group(cmd)

	err := cmd.Run()
	switch {
	case ctx.Err() != nil && err != nil:
		killGroup(cmd)
		err = context.Cause(ctx)
	case errors.Is(err, exec.ErrWaitDelay):
		killGroup(cmd)
		err = errors.New("it left a process behind that keeps its output open (redirect the output of that process)")
	case err == nil && answer.cut:
		err = fmt.Errorf("it printed more than %d bytes", plainBytes)
	}
	if err != nil {
		return nil, story.tell(err)
	}
	return answer.kept, nil
}

// A tail keeps the last bytes of what is written to it.
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
	if excess := len(t.kept) - t.limit; excess > 0 {
		t.kept = append(t.kept[:0], t.kept[excess:]...)
		t.cut = true
	}
	return len(p), nil
}

// String is the tail for people, who see that it was cut.
func (t *tail) String() string {
	text := strings.TrimSpace(strings.ToValidUTF8(string(t.kept), "?"))
	if t.cut {
		return "..." + text
	}
	return text
}

// tell adds the tail to an error.
func (t *tail) tell(err error) error {
	text := t.String()
	if text == "" {
		return fmt.Errorf("%w, without any output", err)
	}
	return fmt.Errorf("%w: %s", err, text)
}

// both is an io.MultiWriter of two tails, which never fail.
type both [2]*tail

func (b both) Write(p []byte) (int, error) {
	_, _ = b[0].Write(p)
	return b[1].Write(p)
}
