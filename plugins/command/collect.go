package command

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/plugins/internal/run"
)

// Collector keeps what a command prints: its whole output, and what it complains about, in order.
type Collector struct {
	run     string
	timeout time.Duration
}

var _ guard.Collector = (*Collector)(nil)

// NewCollector reads {run, timeout}. Without a timeout the command has as long as the plan gives all evidence.
func NewCollector(with guard.With) (guard.Collector, error) {
	var config struct {
		Run     string         `json:"run"`
		Timeout guard.Duration `json:"timeout"`
	}
	err := errors.Join(with.Decode(&config), need("run", config.Run))
	if _, written := with["timeout"]; written && err == nil {
		err = positive(config.Timeout)
	}
	if err != nil {
		return nil, err
	}
	return &Collector{config.Run, config.Timeout.Std()}, nil
}

// Collect runs the command. What it printed counts also if it ended badly, or was ended.
func (c *Collector) Collect(ctx context.Context, r guard.Release) ([]byte, error) {
	command := run.Shell("exec 2>&1\n"+c.run, c.timeout, releaseEnv(r)...)
	command.Limit = guard.ExhibitBytes
	output, err := command.Run(ctx)
	content := output.Answer
	if len(content) == command.Limit { // the line that was cut in two may begin with the rest of a secret
		if _, whole, found := bytes.Cut(content, []byte("\n")); found {
			content = whole
		}
	}
	switch status, refused := refusal(err); {
	case err == nil:
		return content, nil
	case errors.Is(err, guard.ErrCut):
		return content, fmt.Errorf("%w: these are the last of its lines", guard.ErrCut)
	case refused:
		return content, fmt.Errorf("the command ended with exit status %d", status)
	}
	return content, fmt.Errorf("the command: %w", err)
}
