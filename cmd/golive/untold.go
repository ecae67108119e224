package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/engine"
	"github.com/golive-dev/golive/guard/journal"
)

// untoldFor is how long after its end the notices of a rollout are still news.
const untoldFor = 24 * time.Hour

// deliver sends the notices that a golive which was killed after the end of a rollout has left untold. It comes
// after whatever else a command does, and changes nothing about how that went.
func (p *program) deliver(ctx context.Context) {
	all, _ := p.histories() // what cannot be read was told, or is told by status
	for _, h := range all {
		if ctx.Err() != nil {
			return
		}
		untold := h.over() && hasNews(h.State, time.Now()) && time.Since(h.State.Since) < untoldFor
		if !untold || h.Holder != (journal.Holder{}) {
			continue
		}
		fmt.Fprintf(p.err, "telling what was left untold of %s\n", h.ID())
		if err := p.deliverNotices(ctx, h.Path); err != nil {
			fmt.Fprintf(p.err, "golive: %v\n", err)
		}
	}
}

// hasNews says that people are still to be told something: a notice waits, or a moment has come that an incident waited for.
func hasNews(s guard.State, now time.Time) bool {
	return slices.ContainsFunc(s.Todo, func(t guard.Task) bool {
		switch t.Deed.(type) {
		case guard.Remind, guard.Escalate:
			return !t.NotBefore.After(now)
		}
		return true
	})
}

func (p *program) deliverNotices(ctx context.Context, path string) error {
	j, err := journal.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = j.Close() }() // every record is on the disk already
	h, err := readHistory(path)
	if err != nil {
		return err
	}
	parts, closeParts, err := p.parts(ctx, h.Plan)
	if err != nil {
		return err
	}
	defer closeParts()
	rollout := engine.Rollout{Plan: h.Plan, Parts: parts, Journal: keeper{j}}
	_, err = rollout.Run(ctx, h.Events, guard.Resumed{Version: version()})
	return err
}
