package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/google/go-github/v60/github"
)

// sweeps looks for what GitHub could not deliver, now and again: GitHub itself sends nothing twice. It also forgets what
// was answered long ago.
func (g *Gate) sweeps(ctx context.Context) {
	for again := time.NewTicker(g.setup.Sweep); ; {
		if err := g.sweep(ctx); err != nil && ctx.Err() == nil {
			g.setup.Report(fmt.Errorf("look for what GitHub could not deliver: %w", err))
		}
		if err := g.forget(ctx); err != nil && ctx.Err() == nil {
			g.setup.Report(err)
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			again.Stop()
			return
		}
	}
}

// A sent is a message: what has the same name in all of its deliveries.
type sent struct {
	first   time.Time // when it was sent first
	newest  *github.HookDelivery
	tries   int
	arrived bool
}

// sweep has redelivered what has not arrived. A message that fails again and again is tried once an hour then.
func (g *Gate) sweep(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, callWithin, fmt.Errorf("no answer within %v", callWithin))
	defer cancel()
	list, err := g.deliveries(ctx, time.Now().Add(-sweepBack))
	if err != nil {
		return err
	}
	var problems []error
	for _, m := range messages(list) {
		if m.arrived || time.Since(m.first) > sweptFor(m.newest) || m.tries >= sweepTries && time.Since(m.newest.GetDeliveredAt().Time) < time.Hour {
			continue
		}
		_, _, err := g.app.Apps.RedeliverHookDelivery(ctx, m.newest.GetID())
		var accepted *github.AcceptedError // which is what GitHub answers
		if err != nil && !errors.As(err, &accepted) {
			problems = append(problems, fmt.Errorf("redeliver %d: %w", m.newest.GetID(), explained(ctx, g.app, "webhook deliveries", err)))
		}
	}
	return errors.Join(problems...)
}

// sweptFor is how old a message may be that is sent again. A deployment is worth a watch for some hours; and whoever
// pressed a button wanted it then, and not on another day.
func sweptFor(d *github.HookDelivery) time.Duration {
	switch {
	case d.GetEvent() == "deployment_protection_rule":
		return sweepBack
	case d.GetEvent() == "deployment_status":
		return sweepStatus
	case d.GetEvent() == "check_run" && d.GetAction() == "requested_action":
		return sweepPress
	}
	return 0
}

// arrived says that golive has heard a message. What it has refused for good it would refuse again, but for a protection
// rule, whose job waits: there the refusal may be mended.
func arrived(d *github.HookDelivery) bool {
	switch d.GetStatusCode() {
	case http.StatusBadRequest, http.StatusForbidden, http.StatusNotFound, http.StatusConflict:
		return d.GetEvent() != "deployment_protection_rule"
	}
	return d.GetStatusCode()/100 == 2
}

// deliveries lists those that are worth it to be sent again since a time, the newest first.
func (g *Gate) deliveries(ctx context.Context, since time.Time) (all []*github.HookDelivery, err error) {
	at := &github.ListCursorOptions{PerPage: perPage}
	for range sweepPages {
		page, response, err := g.app.Apps.ListHookDeliveries(ctx, at)
		if err != nil {
			return nil, explained(ctx, g.app, "webhook deliveries", err)
		}
		for _, d := range page {
			if d.GetDeliveredAt().Before(since) {
				return all, nil
			}
			if sweptFor(d) > 0 && d.GetID() > 0 {
				all = append(all, d)
			}
		}
		if response.Cursor == "" {
			return all, nil
		}
		at.Cursor = response.Cursor
	}
	return all, nil // what is older was looked at before
}

// messages puts the deliveries of each message together.
func messages(list []*github.HookDelivery) (all []*sent) {
	byName := make(map[string]*sent)
	for _, d := range slices.Backward(list) { // the oldest first
		m := byName[d.GetGUID()]
		if m == nil {
			m = &sent{first: d.GetDeliveredAt().Time}
			byName[d.GetGUID()] = m
			all = append(all, m)
		}
		m.newest = d
		m.tries++
		m.arrived = m.arrived || arrived(d)
	}
	return all
}

// explained says in one sentence why the app itself has no answer.
func explained(ctx context.Context, app *github.Client, asked string, err error) error {
	r := &repository{owner: "the", name: "app", api: app, proofs: &noting{}}
	return r.explain(ctx, need{asked: asked, permission: "an app with a webhook"}, err)
}

// forget lets go of what was answered so long ago that no run can wait for it, and no message about it comes again.
func (g *Gate) forget(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, keepWithin, fmt.Errorf("no answer within %v", keepWithin))
	defer cancel()
	return g.setup.Waits.Forget(ctx, time.Now().Add(-remembered))
}
