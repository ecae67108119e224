package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"

	"github.com/spf13/cobra"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/journal"
)

// longestNote is how many characters of a note are kept, here and by a server.
const longestNote = 2000

func (p *program) noteCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "note TEXT [ROLLOUT]",
		Short: "Have something remembered with a rollout under way",
		Long: `note writes a sentence into the journal of a rollout that is under way, with your name. It decides nothing.
With --server it is for a rollout that a server guards, and the name is that of the token.`,
		Example: `  golive note "the batch job was restarted by hand"
  golive note "the batch job was restarted by hand" 20261124-031207-v2 --server https://golive.example.com`,
		Args: cobra.RangeArgs(1, 2),
	}
	f := p.farFlags(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		text := guard.Line(args[0], longestNote)
		if text == "" {
			return fail(exitUsage, "the note says nothing: write a sentence, as in: golive note \"the batch job was restarted\"")
		}
		return p.remark(c, args[1:], f, remark{
			did: "noted", fact: guard.Noted{Text: text, By: p.settings.By}, path: "/notes", body: struct {
				Text string `json:"text"`
			}{text},
		})
	}
	return c
}

func (p *program) ackCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "ack [ROLLOUT]",
		Short: "Say that you look after a rollout under way",
		Long: `ack writes into the journal of a rollout that is under way that you have taken notice, and look after it. It
decides nothing, and the others see who does. Whoever acknowledges an incident leads it, and has to be in the roster. With
--server the name is that of the token.`,
		Example: `  golive ack --by "Ada Obi"
  golive ack 20261124-031207-v2 --server https://golive.example.com`,
		Args: cobra.MaximumNArgs(1),
	}
	f := p.farFlags(c)
	var by string
	c.Flags().StringVar(&by, "by", p.settings.By, "who looks after it, as the roster has the name ($GOLIVE_BY)")
	c.RunE = func(c *cobra.Command, args []string) error {
		by = cmp.Or(by, "somebody") // without a name it would not be seen that there is one
		return p.remark(c, args, f, remark{did: "acknowledged", fact: guard.Acknowledged{By: by}, path: "/acknowledgement"})
	}
	return c
}

// A remark is told to a rollout and moves nothing.
type remark struct {
	did  string // for the answer
	fact guard.Fact
	path string // below the rollout, at a server
	body any    // nil: none
}

// remark tells the rollout that is named, or the one that is under way.
func (p *program) remark(c *cobra.Command, args []string, f *far, r remark) error {
	var id string
	if len(args) > 0 {
		id = args[0]
	}
	far, err := p.atServer(c, "by")
	switch {
	case err != nil:
		return err
	case far:
		return p.remarkFar(c.Context(), id, f, r)
	}
	h, err := p.meant(id)
	if err != nil {
		return err
	}
	if ack, is := r.fact.(guard.Acknowledged); is && h.State.Incident.Open() {
		if err := h.Plan.MayLead(ack.By); err != nil {
			return fail(exitUsage, "ack: %w: --by NAME", err)
		}
	}
	if h.Holder == (journal.Holder{}) && h.State.Incident.Open() && h.over() {
		h, told, err := p.state(c.Context(), h, r.fact)
		if err != nil {
			return err
		}
		return p.tellSaid(h, told, r.did)
	}
	if h, err = p.heldHistory(cmp.Or(id, h.ID())); err != nil {
		return err
	}
	if err := post(h, r.fact); err != nil {
		return err
	}
	fmt.Fprintf(p.out, "%s: %s (process %d)\n", r.did, h.ID(), h.Holder.PID)
	return nil
}

// remarkFar tells a rollout of a server, and answers once the server has it for good; whoever guards it hears of it soon.
func (p *program) remarkFar(ctx context.Context, id string, f *far, r remark) error {
	s, err := p.servers()
	if err != nil {
		return err
	}
	if id, err = p.meantFar(ctx, s, f, id); err != nil {
		return err
	}
	if err := p.tellFar(ctx, s, id, r); err != nil {
		return err
	}
	if p.settings.Output == asJSON {
		return p.answer(map[string]string{"id": id, "page": s.pageOf(id)})
	}
	fmt.Fprintf(p.out, "%s: %s (%s)\n", r.did, id, s.addresses[s.at])
	return nil
}

// tellFar has a server tell a rollout something, once, however many tries that takes.
func (p *program) tellFar(ctx context.Context, s *servers, id string, r remark) error {
	err := s.ask(ctx, patienceToAct, errand{method: http.MethodPost, path: pathOf(id) + r.path, key: rand.Text(), body: r.body}, nil)
	var no *refusal
	if errors.As(err, &no) && no.status == http.StatusConflict {
		return fail(exitUsage, "%s: %w", id, err)
	}
	return s.mend(err)
}

// heldHistory reads the history that is named, or the latest, and wants a process to go on with it, for nobody else would
// hear what is told.
func (p *program) heldHistory(id string) (*history, error) {
	h, err := p.history(id)
	switch {
	case err != nil:
		return nil, err
	case h.State.Ended(), h.over() && h.Holder == (journal.Holder{}):
		return nil, fail(exitUsage, "the rollout of %s (%s) is over: %s", h.State.Release.To, h.ID(), h.State.Outcome)
	case h.Holder == (journal.Holder{}):
		return nil, fail(exitUsage, "no process goes on with the %s of %s (%s); this one does: %s",
			h.State.Purpose, h.State.Release.To, h.ID(), p.goOnWith(h))
	}
	return h, nil
}
