package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/journal"
)

func (p *program) orderCommand() *cobra.Command {
	var why, more string
	var noIncident bool
	verbs := make([]string, len(guard.Verbs))
	for i, v := range guard.Verbs {
		verbs[i] = string(v)
	}
	c := &cobra.Command{
		Use:   "order VERB [ROLLOUT]",
		Short: "Tell a rollout under way to hold, resume, proceed, take more time, end or roll back",
		Long: `order tells the process that runs a rollout what a person has decided: hold (take no further step),
resume, proceed (take the next step without enough evidence), extend (give the present step or bake more
time to come to something, 24h at most), or rollback. It is in the journal, with your name, before it is obeyed.
With --server it is for a rollout that a server guards, and the name is that of the token.`,
		Example: `  golive order hold --why "waiting for the batch job to end"
  golive order extend --for 10m
  golive order hold 20261124-031207-v2 --server https://golive.example.com`,
		Args:      cobra.RangeArgs(1, 2),
		ValidArgs: verbs,
	}
	c.Flags().StringVar(&why, "why", "", "the reason, for the journal")
	c.Flags().StringVar(&more, "for", "", "of extend: how much more time, 10m")
	c.Flags().BoolVar(&noIncident, "no-incident", false, "of rollback: nothing has gone wrong, for the reason in --why")
	f := p.farFlags(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		if !slices.Contains(verbs, args[0]) {
			return fail(exitUsage, "%q cannot be ordered: say one of %v", args[0], verbs)
		}
		given, err := moreTime(args[0], more)
		switch {
		case err != nil:
			return err
		case noIncident && args[0] != string(guard.OrderRollback):
			return fail(exitUsage, "--no-incident says of rollback that nothing has gone wrong; %s is none in any case", args[0])
		case noIncident && strings.TrimSpace(why) == "":
			return errReason
		}
		var id string
		if len(args) == 2 {
			id = args[1]
		}
		order := guard.Ordered{Verb: guard.Verb(args[0]), By: p.settings.By, Why: why, For: given, NoIncident: noIncident}
		far, err := p.atServer(c)
		switch {
		case err != nil:
			return err
		case far:
			return p.orderAtServer(c.Context(), id, order, f)
		}
		h, err := p.heldHistory(id)
		if err != nil {
			return err
		}
		if err := p.post(h, order); err != nil {
			return err
		}
		fmt.Fprintf(p.out, "ordered %s of %s (process %d)\n", order.Verb, h.ID(), h.Holder.PID)
		return nil
	}
	return c
}

// moreTime reads what --for says to a verb.
func moreTime(verb, text string) (guard.Duration, error) {
	switch extends := verb == string(guard.OrderExtend); {
	case extends && text == "":
		return 0, fail(exitUsage, "extend by how much? Say it, as in: golive order extend --for 10m")
	case !extends && text != "":
		return 0, fail(exitUsage, "--for says how much more time extend gives; %s gives none", verb)
	case !extends:
		return 0, nil
	}
	d, err := guard.ParseDuration(text)
	if err != nil {
		return 0, fail(exitUsage, "--for: %w", err)
	}
	if d <= 0 || d.Std() > guard.ExtendAtMost {
		return 0, fail(exitUsage, "--for %s: more time is between 1s and %s", text, guard.Duration(guard.ExtendAtMost))
	}
	return d, nil
}

// orderAtServer orders something of a rollout that a server guards.
func (p *program) orderAtServer(ctx context.Context, id string, o guard.Ordered, f *far) error {
	s, err := p.servers()
	if err != nil {
		return err
	}
	if id, err = p.nameFar(ctx, s, f, id, true); err != nil {
		return err
	}
	if err := p.orderFar(ctx, s, id, o); err != nil {
		return err
	}
	fmt.Fprintf(p.out, "ordered %s of %s (%s)\n", o.Verb, id, s.addresses[s.at])
	return nil
}

// withoutSecrets is a fact for a history, whose words hold no secret.
func (p *program) withoutSecrets(h *history, f guard.Fact) guard.Fact {
	p.secrets.of(h.Plan, p.env)
	return guard.Cleaned(f, p.secrets.hide)
}

// post leaves a fact from outside for the process that holds a history.
func (p *program) post(h *history, f guard.Fact) error {
	kind, data, err := guard.Event{Fact: p.withoutSecrets(h, f)}.Encode()
	if err == nil {
		_, err = journal.Post(h.Path, kind, time.Now(), data)
	}
	if err != nil {
		return fail(exitInternal, "tell %s that it is %s: %w", h.ID(), kind, err)
	}
	return nil
}

// follow shows a history that another process makes, until it is over. Asked says that this call wants it taken
// back: if that process ends in the middle, this one goes on.
func (p *program) follow(ctx context.Context, h *history, asked bool) (ending, error) {
	view := p.view(h.Plan)
	defer view.close()
	poll := time.NewTicker(pollEvery)
	defer poll.Stop()
	state := h.State
	for seen := len(h.Events); ; {
		latest, err := readHistory(h.Path)
		if err != nil {
			return ending{}, fail(exitInternal, "%w", err)
		}
		for ; seen < len(latest.Events); seen++ {
			state = guard.Next(latest.Plan, state, latest.Events[seen])
			view.saw(latest.Events[seen], state)
		}
		switch h = latest; {
		case h.over():
			return ending{history: h, state: h.State}, nil
		case h.Holder == (journal.Holder{}) && asked:
			view.close()
			return p.resume(ctx, h, nil)
		case h.Holder == (journal.Holder{}):
			return ending{}, fail(exitNoGo, "nobody goes on any more: %s", p.underWay(h))
		}
		select {
		case <-poll.C:
		case <-ctx.Done(): // what is followed goes on
			return ending{}, context.Cause(ctx)
		}
	}
}
