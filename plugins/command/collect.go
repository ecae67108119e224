package command

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/plugins/internal/run"
)

// Collector keeps what a command prints, on both of its outputs.
type Collector struct {
	run     string
	timeout time.Duration
}

var _ guard.Collector = (*Collector)(nil)

// NewCollector reads {run, timeout}, as NewProbe does; contains, which a probe may have, has no meaning to it.
func NewCollector(with guard.With) (guard.Collector, error) {
	config := struct {
		Run      string         `json:"run"`
		Contains guard.Template `json:"contains"`
		Timeout  guard.Duration `json:"timeout"`
	}{Timeout: guard.Duration(30 * time.Second)}
	if err := errors.Join(with.Decode(&config), need("run", config.Run), positive(config.Timeout)); err != nil {
		return nil, err
	}
	return &Collector{config.Run, config.Timeout.Std()}, nil
}

// Collect runs the command. What it printed before it failed, or before its time was over, is kept, too.
func (c *Collector) Collect(ctx context.Context, r guard.Release) ([]byte, error) {
	command := run.Shell("exec 2>&1\n"+c.run, c.timeout, releaseEnv(r)...)
	command.Limit = guard.ExhibitAtMost
	output, err := command.Run(ctx)
	if err != nil {
		err = fmt.Errorf("the command: %w", err)
	}
	return output.Answer, err
}
