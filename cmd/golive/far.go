package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/journal"
)

// This file is the command line's side of golive serve: the same commands, for rollouts that a server guards.

// far are the flags that mean something with --server alone.
type far struct {
	service, environment string
	detach               bool
	heartbeat            time.Duration // above 0: this call guards
}

// farFlags adds the flags that name a service to servers, which have no plan in this directory.
func (p *program) farFlags(c *cobra.Command) *far {
	f := &far{}
	c.Flags().StringVar(&f.service, "service", "", "with --server: the service (default: that of the plan)")
	c.Flags().StringVar(&f.environment, "environment", "", "with --server: its environment (default: that of the plan, or the only one that the server knows)")
	return f
}

// atServer says whether a call is about a server's rollouts, and what of it makes no sense with or without one.
func (p *program) atServer(c *cobra.Command, elsewhere ...string) (bool, error) {
	if p.settings.Server == "" {
		for _, name := range []string{"service", "environment", "detach", "heartbeat"} {
			if c.Flags().Changed(name) {
				return false, fail(exitUsage, "--%s goes with --server (or GOLIVE_SERVER); without a server the plan says what is meant", name)
			}
		}
		return false, nil
	}
	for _, name := range elsewhere {
		if c.Flags().Changed(name) {
			return true, fail(exitUsage, "--%s cannot be asked of a server: leave out --server, where the plan and its credentials are", name)
		}
	}
	return true, nil
}

// target names the service of the flags, or of the plan. Of a plan with mistakes the name is as good.
func (p *program) target(f *far) (service, environment string, err error) {
	if f.service != "" {
		return f.service, f.environment, nil
	}
	plan, _, err := p.readPlan()
	if err != nil {
		return "", "", fail(exitUsage, "which service is meant? Say --service NAME: %w", err)
	}
	if f.environment != "" {
		return plan.Service, f.environment, nil
	}
	return plan.Service, plan.Environment, nil
}

// pageOf is where people look at a rollout, and journalOf where its journal is.
func (s *servers) pageOf(id string) string {
	return s.addresses[s.at] + "/rollouts/" + url.PathEscape(id)
}
func (s *servers) journalOf(id string) string { return s.addresses[s.at] + pathOf(id) + "/journal" }

func pathOf(id string) string { return "/v1/rollouts/" + url.PathEscape(id) }

// An opening asks a server for a rollout.
type opening struct {
	Service     string        `json:"service"`
	Environment string        `json:"environment,omitempty"`
	From        string        `json:"from,omitempty"`
	To          string        `json:"to"`
	Purpose     guard.Purpose `json:"purpose,omitempty"`
}

// takeFar opens a rollout at the server, or finds that of the same release, and follows it to its end.
func (p *program) takeFar(ctx context.Context, release guard.Release, purpose guard.Purpose, f *far) error {
	s, release, err := p.releaseFar(release, f)
	if err != nil {
		return err
	}
	id, err := p.openFar(ctx, s, release, purpose)
	if err != nil {
		return err
	}
	if f.detach {
		p.step.handed(id, s.pageOf(id))
		if p.settings.Output == asJSON {
			return p.answer(map[string]string{"id": id, "page": s.pageOf(id)})
		}
		_, err := fmt.Fprintf(p.out, "%s\n  page       %s\n  follow     %s\n  take back  %s\n", id, s.pageOf(id), p.call("status", "--follow", id), p.call("rollback", id))
		return err
	}
	return p.concludeFar(ctx, s, id, false)
}

// releaseFar reads what a call to a server is about.
func (p *program) releaseFar(release guard.Release, f *far) (*servers, guard.Release, error) {
	s, err := p.servers()
	if err != nil {
		return nil, release, err
	}
	if release.To == "" {
		return nil, release, fail(exitUsage, "which version? Say --to VERSION, and --from VERSION unless it is the first")
	}
	release.Service, release.Environment, err = p.target(f)
	return s, release, err
}

// openFar opens a rollout. It has one key for all tries, so that an answer that was lost opens nothing twice.
func (p *program) openFar(ctx context.Context, s *servers, r guard.Release, purpose guard.Purpose) (string, error) {
	var opened struct {
		ID string `json:"id"`
	}
	err := s.ask(ctx, patienceToAct, errand{
		method: http.MethodPost, path: "/v1/rollouts", key: rand.Text(),
		body: opening{r.Service, r.Environment, r.From, r.To, purpose},
	}, &opened)
	if err != nil {
		return "", p.notOpened(s, err)
	}
	if opened.ID == "" {
		return "", fail(exitUnknown, "%s does not say what it has opened (is this the address of golive serve?)", s.addresses[s.at])
	}
	return opened.ID, nil
}

// notOpened says why a server has opened nothing, and what is in the way.
func (p *program) notOpened(s *servers, err error) error {
	var no *refusal
	if errors.As(err, &no) && no.status == http.StatusConflict && no.rollout != "" {
		return fail(exitNoGo, "%w\nLook:            %s\nor take it back: %s", err, p.call("status", no.rollout), p.call("rollback", no.rollout))
	}
	return s.mend(err)
}

// concludeFar follows a rollout of a server to its end, and ends as if it had been guarded here. Asked says that this
// call wants it taken back.
func (p *program) concludeFar(ctx context.Context, s *servers, id string, asked bool) error {
	p.step.set("page", s.pageOf(id))
	p.handOn(p.step.began(id))
	fmt.Fprintf(p.err, "%s: %s\n", id, s.pageOf(id))
	return p.concludeAfter(ctx, s, id, 0, asked)
}

// concludeAfter is concludeFar where events up to the one with the number told were told already.
func (p *program) concludeAfter(ctx context.Context, s *servers, id string, told int64, asked bool) error {
	h, err := p.followFar(ctx, s, id, told)
	if err != nil {
		return p.leaveFar(ctx, h, err)
	}
	return p.conclude(ending{history: h, state: h.State}, nil, asked)
}

// leaveFar says, when a call ends before the rollout does, that nothing is lost by that. The error is why.
func (p *program) leaveFar(ctx context.Context, h *history, err error) error {
	text := fmt.Sprintf("\n%s goes on with the server, and nobody follows it here any more.\nFollow:    %s\nTake back: %s\n",
		h.ID(), p.call("status", "--follow", h.ID()), p.call("rollback", h.ID()))
	if !p.ears.heard() {
		fmt.Fprint(p.err, text)
		return err
	}
	p.answered = true
	fmt.Fprint(p.err, text)
	code := p.ears.code()
	if p.settings.Output == asJSON && h.Plan != nil {
		return errors.Join(p.answerAbout(h.Plan, conclusion{h.account(), code}), quiet(code))
	}
	return quiet(code)
}

// A tracking is a rollout of a server, as far as it was seen.
type tracking struct {
	program *program
	servers *servers
	history *history
	last    int64 // number of the last event
	told    int64 // number of the last one that was told before it was followed
	over    bool  // the server has said that nothing more will happen
	view    *view
}

// followFar shows what happens to a rollout until it is over, through whatever becomes of its servers: each event is
// seen once and in its place, and those up to told are told no more. It returns what was seen, also with an error.
func (p *program) followFar(ctx context.Context, s *servers, id string, told int64) (*history, error) {
	f := &tracking{program: p, servers: s, told: told, history: &history{Name: id, Path: s.journalOf(id), Page: s.pageOf(id)}}
	defer func() {
		if f.view != nil {
			f.view.close()
		}
	}()
	pause, lost := againAtFirst, false
	for tries := 1; ; tries++ {
		before := f.last
		err := f.listen(ctx)
		var no *refusal
		switch {
		case f.over && f.history.over():
			return f.history, nil
		case f.over:
			return f.history, fail(exitInternal, "%s says that %s is over, and its events do not (%s)", s.addresses[s.at], id, f.history.State.Phase)
		case ctx.Err() != nil:
			return f.history, context.Cause(ctx)
		case errors.As(err, &no) && no.status == http.StatusNotFound && f.history.over():
			return f.history, nil // it was moved into a file since
		case errors.As(err, &no) && !no.passing():
			return f.history, s.mend(err)
		case f.last > before:
			pause, lost, tries = againAtFirst, false, 0
		}
		if !lost && tries >= len(s.addresses) {
			lost = true
			s.tell(fmt.Sprintf("the server is not heard any more (%v); the rollout does not depend on this call, which tries to hear of it again", err))
		}
		s.next()
		if !waited(ctx, pause) {
			return f.history, context.Cause(ctx)
		}
		pause = min(2*pause, againAtMost)
	}
}

// listen hears the events that follow those that were seen, until the connection ends.
func (f *tracking) listen(ctx context.Context) error {
	return f.servers.events(ctx, pathOf(f.history.Name)+"/events", f.last, func(kind string, data []byte) error {
		if kind == "over" {
			f.over = true
			return errEnough
		}
		return f.see(data)
	})
}

// see takes an event. One that was seen already is passed over, and before one whose predecessor was not, the server is
// asked again: a state that misses an event is none.
func (f *tracking) see(text []byte) error {
	var said struct {
		Seq  int64           `json:"seq"`
		At   time.Time       `json:"at"`
		Kind string          `json:"kind"`
		Task int             `json:"task"`
		Fact json.RawMessage `json:"fact"`
	}
	if err := json.Unmarshal(text, &said); err != nil {
		return f.strange("an event cannot be read: %v", err)
	}
	switch {
	case said.Seq <= f.last:
		return nil
	case said.Seq != f.last+1:
		return fmt.Errorf("event %d came after %d", said.Seq, f.last)
	}
	data, err := json.Marshal(struct {
		Task int             `json:"task,omitempty"`
		Fact json.RawMessage `json:"fact"`
	}{said.Task, said.Fact})
	if err != nil {
		return f.strange("event %d: %v", said.Seq, err)
	}
	e, err := guard.Decode(said.At, said.Kind, data)
	if err != nil {
		return f.strange("event %d: %v (is the server newer than this golive?)", said.Seq, err)
	}
	h := f.history
	if opened, ok := e.Fact.(guard.Opened); ok && h.Plan == nil {
		if h.Plan, err = guard.ParsePlan(opened.File, []byte(opened.Plan)); err != nil {
			return f.strange("the plan that it began with: %v", err)
		}
		f.view = f.program.view(h.Plan)
	}
	if h.Plan == nil {
		return f.strange("it does not begin with the opening of a rollout")
	}
	h.Events = append(h.Events, e)
	h.State = guard.Next(h.Plan, h.State, e)
	h.Path, h.Page = f.servers.journalOf(h.Name), f.servers.pageOf(h.Name)
	if said.Seq > f.told {
		f.view.saw(e, h.State)
	} else {
		f.view.knows(e, h.State)
	}
	f.last = said.Seq
	return nil
}

// strange refuses what a server has said: asking again would not change it.
func (f *tracking) strange(format string, args ...any) error {
	return &refusal{address: f.servers.addresses[f.servers.at], text: guard.Line(fmt.Sprintf(format, args...), 500)}
}

// accountFar reads one rollout of a server.
func (p *program) accountFar(ctx context.Context, s *servers, id string) (account, error) {
	var a account
	if err := s.ask(ctx, patienceToRead, errand{method: http.MethodGet, path: pathOf(id)}, &a); err != nil {
		return a, s.mend(err)
	}
	a.Journal, a.Page = s.journalOf(id), s.pageOf(id)
	return a, nil
}

// accountsFar lists the rollouts of a service, the newest first, at most limit; of all services if none is known.
func (p *program) accountsFar(ctx context.Context, s *servers, f *far, open bool, limit int) ([]account, error) {
	query := url.Values{"limit": {strconv.Itoa(limit)}}
	if service, environment, err := p.target(f); err == nil {
		query.Set("service", service)
		if environment != "" {
			query.Set("environment", environment)
		}
	}
	if open {
		query.Set("open", "true")
	}
	var list struct {
		Rollouts []account `json:"rollouts"`
	}
	if err := s.ask(ctx, patienceToRead, errand{method: http.MethodGet, path: "/v1/rollouts?" + query.Encode()}, &list); err != nil {
		return nil, s.mend(err)
	}
	for i := range list.Rollouts {
		a := &list.Rollouts[i]
		a.Journal, a.Page = s.journalOf(a.ID), s.pageOf(a.ID)
	}
	return list.Rollouts, nil
}

// nameFar is the rollout that is meant where none is named: the latest, or the only one that is not over.
func (p *program) nameFar(ctx context.Context, s *servers, f *far, id string, open bool) (string, error) {
	if id != "" {
		return id, nil
	}
	all, err := p.accountsFar(ctx, s, f, open, 20)
	switch {
	case err != nil:
		return "", err
	case len(all) == 0 && open:
		return "", fail(exitUsage, "no rollout is under way at %s: golive status lists what there was", s.addresses[s.at])
	case len(all) == 0:
		return "", fail(exitUsage, "no rollout at %s yet: begin one with golive rollout", s.addresses[s.at])
	case len(all) > 1 && open:
		return "", fail(exitUsage, "%d rollouts are under way, say which is meant: %s, %s ...", len(all), all[0].ID, all[1].ID)
	}
	return all[0].ID, nil
}

// meantFar is the rollout that somebody means who says something without naming any, as program.meant has it: the one that is
// under way, or else the latest that was an incident.
func (p *program) meantFar(ctx context.Context, s *servers, f *far, id string) (string, error) {
	if id != "" {
		return id, nil
	}
	open, err := p.accountsFar(ctx, s, f, true, 1)
	if err != nil {
		return "", err
	}
	if len(open) == 0 {
		all, err := p.accountsFar(ctx, s, f, false, mostFar)
		if err != nil {
			return "", err
		}
		if i := slices.IndexFunc(all, func(a account) bool { return a.Incident != nil }); i >= 0 {
			return all[i].ID, nil
		}
	}
	return p.nameFar(ctx, s, f, "", true)
}

// orderFar tells a rollout what a person has decided, once.
func (p *program) orderFar(ctx context.Context, s *servers, id string, o guard.Ordered) error {
	return p.tellFar(ctx, s, id, remark{path: "/orders", body: struct {
		Verb  guard.Verb     `json:"verb"`
		Why   string         `json:"why,omitempty"`
		For   guard.Duration `json:"for,omitempty"`
		None  bool           `json:"no_incident,omitempty"`
		Force bool           `json:"force,omitempty"`
	}{o.Verb, o.Why, o.For, o.NoIncident, o.Force}})
}

// rollbackFar takes the traffic back by a server: a rollout that is under way, or whose way back has failed, is told to, one
// that is over is taken back by a rollout of its own.
func (p *program) rollbackFar(ctx context.Context, release guard.Release, id string, back wayBack, f *far) error {
	s, err := p.servers()
	if err != nil {
		return err
	}
	if id == "" && release.To != "" {
		return p.takeBackFar(ctx, s, release, back, f)
	}
	if id, err = p.nameFar(ctx, s, f, id, false); err != nil {
		return err
	}
	a, err := p.accountFar(ctx, s, id)
	if err != nil {
		return err
	}
	of := guard.Release{Service: a.Service, Environment: a.Environment, From: a.From, To: a.To}
	switch {
	case a.returnsAgain():
		return p.backAgainFar(ctx, s, id, back)
	case a.Phase == guard.Over:
		if nothingToTakeBack(guard.State{Outcome: a.Outcome, Purpose: a.Purpose, Mode: a.Mode}) {
			return fail(exitUsage, "the %s of %s (%s) ended as %s: there is nothing to take back", a.Purpose, a.To, id, a.Outcome)
		}
		return p.undoFar(ctx, s, of, back)
	}
	return p.tellBackFar(ctx, s, of, id, back)
}

// returnsAgain says that a rollout at a server is over, and may be ordered to go back once more.
func (a account) returnsAgain() bool {
	s := guard.State{Phase: a.Phase, Outcome: a.Outcome, Seen: a.Percent}
	if a.Incident != nil && a.Incident.Open {
		s.Incident.Began = a.Incident.Began
	}
	return s.ReturnsAgain(true)
}

// backAgainFar has a rollout go back once more whose way back has failed, and follows it.
func (p *program) backAgainFar(ctx context.Context, s *servers, id string, back wayBack) error {
	if err := p.orderFar(ctx, s, id, guard.Ordered{Verb: guard.OrderRollback, Why: back.why, Force: back.force}); err != nil {
		return err
	}
	return p.concludeFar(ctx, s, id, true)
}

// takeBackFar takes a version out of the traffic, of which no rollout is named.
func (p *program) takeBackFar(ctx context.Context, s *servers, release guard.Release, back wayBack, f *far) error {
	var err error
	if release.Service, release.Environment, err = p.target(f); err != nil {
		return err
	}
	under, err := p.accountsFar(ctx, s, &far{service: release.Service, environment: release.Environment}, true, 1)
	if err != nil {
		return err
	}
	if len(under) > 0 && under[0].To == release.To {
		if under[0].returnsAgain() {
			return p.backAgainFar(ctx, s, under[0].ID, back)
		}
		release.From = under[0].From
		return p.tellBackFar(ctx, s, release, under[0].ID, back)
	}
	if release.First() {
		return fail(exitUsage, "to which version? Say --from VERSION: it gets the traffic of %s back", release.To)
	}
	return p.undoFar(ctx, s, release, back)
}

// tellBackFar tells a rollout that is under way to go back, and stays until it has. Where the order came too late, or
// the rollout touches nothing, another one goes back.
func (p *program) tellBackFar(ctx context.Context, s *servers, release guard.Release, id string, back wayBack) error {
	err := p.orderFar(ctx, s, id, guard.Ordered{Verb: guard.OrderRollback, Why: back.why, NoIncident: back.noIncident, Force: back.force})
	var no *refusal
	if err != nil && !(errors.As(err, &no) && no.status == http.StatusConflict) { // which says that it is over
		return err
	}
	fmt.Fprintf(p.err, "%s: %s\n", id, s.pageOf(id))
	h, err := p.followFar(ctx, s, id, 0)
	if err != nil {
		return p.leaveFar(ctx, h, err)
	}
	ended := h.State
	if ended.Outcome == guard.RollbackFailed || ended.Purpose == guard.ToRollback || nothingToTakeBack(ended) {
		return p.conclude(ending{history: h, state: ended}, nil, true)
	}
	fmt.Fprintf(p.err, "%s\nthat rollout took nothing back; going back all the same\n", verdict(ended))
	return p.undoFar(ctx, s, release, back)
}

// undoFar opens a rollout whose only purpose is the way back, and follows it.
func (p *program) undoFar(ctx context.Context, s *servers, release guard.Release, back wayBack) error {
	if back.noIncident {
		return fail(exitUsage, "--no-incident: at a server that can be said of a rollout that is under way, and this one is over; take it back without")
	}
	if back.force {
		return fail(exitUsage, "--force cannot be asked of a server where no rollout can be told: leave out --server, where the plan and its credentials are")
	}
	id, err := p.openFar(ctx, s, release, guard.ToRollback)
	if err != nil {
		return err
	}
	return p.concludeFar(ctx, s, id, true)
}

// statusFar lists the rollouts of a server, or shows one.
func (p *program) statusFar(ctx context.Context, id string, f *far, follow bool) error {
	s, err := p.servers()
	if err != nil {
		return err
	}
	if follow {
		if id, err = p.nameFar(ctx, s, f, id, true); err != nil {
			return err
		}
		return p.concludeFar(ctx, s, id, false)
	}
	if id != "" {
		a, err := p.accountFar(ctx, s, id)
		if err != nil {
			return err
		}
		return p.showAccount(nil, a, nil)
	}
	all, err := p.accountsFar(ctx, s, f, false, 50)
	if err != nil {
		return err
	}
	if p.settings.Output == asJSON {
		return p.answerAbout(nil, slices.Concat([]account{}, all))
	}
	if len(all) == 0 {
		fmt.Fprintf(p.out, "no rollout at %s yet\n", s.addresses[s.at])
		return nil
	}
	fmt.Fprintln(p.out, strings.Join(standings(all, p.ink(p.out), time.Now()), "\n"))
	return nil
}

// download fetches the journal of a rollout into a file of its own, whole and unchanged. The caller removes it.
func (p *program) download(ctx context.Context, s *servers, id string) (path string, remove func(), err error) {
	dir, err := os.MkdirTemp("", "golive-journal-")
	if err != nil {
		return "", nil, fail(exitInternal, "fetch the journal of %s: %w", id, err)
	}
	remove = func() { _ = os.RemoveAll(dir) } // a copy in a directory for such things
	path = filepath.Join(dir, "copy"+journal.Extension)
	err = s.insist(ctx, patienceToRead, func(ctx context.Context) error {
		r, err := s.request(ctx, errand{method: http.MethodGet, path: pathOf(id) + "/journal"})
		if err != nil {
			return err
		}
		body, err := s.once(r)
		if err != nil {
			return err
		}
		defer body.Close()
		file, err := os.Create(path)
		if err != nil {
			return err
		}
		_, err = io.Copy(file, body)
		return errors.Join(err, file.Close())
	})
	if err != nil {
		remove()
		return "", nil, s.mend(err)
	}
	return path, remove, nil
}

// historyFar reads the history of a rollout of a server out of its journal, every record of which is checked.
func (p *program) historyFar(ctx context.Context, s *servers, id string) (*history, error) {
	path, remove, err := p.download(ctx, s, id)
	if err != nil {
		return nil, err
	}
	defer remove()
	h, err := readHistory(path)
	if err != nil {
		return nil, fail(exitNoGo, "the journal of %s from %s: %w", id, s.addresses[s.at], err)
	}
	h.Name, h.Path, h.Page = id, s.journalOf(id), s.pageOf(id)
	return h, nil
}
