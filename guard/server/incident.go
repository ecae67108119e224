package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/store"
)

// This file is what the API knows of the incident that a rollout has become: what people say of it, how it is shown, and
// what was kept as evidence.

// statement is what a person says of an incident: guard.Stated, as it is sent.
type statement struct {
	What    guard.Statement `json:"what"`
	Text    string          `json:"text,omitempty"`
	Subject string          `json:"subject,omitempty"`
	Class   string          `json:"class,omitempty"`
	Level   int             `json:"level,omitempty"`
	Due     time.Time       `json:"due,omitzero"`
}

func (s statement) fact() guard.Stated {
	return guard.Stated{
		What: s.What, Text: guard.Line(s.Text, longestText), Subject: guard.Line(s.Subject, longestSubject), Class: s.Class,
		Level: s.Level, Due: s.Due.UTC(),
	}
}

// longestSubject is how many characters of a role, a vendor or a digest are kept.
const longestSubject = 200

// A conflict is why something cannot be done as things stand.
type conflict string

func (c conflict) Error() string { return string(c) }

func (s *Server) stateRollout(w http.ResponseWriter, r *http.Request) error {
	var in statement
	if err := read(r, &in); err != nil {
		return err
	}
	f := in.fact()
	if err := s.mayState(r, in, f); err != nil {
		return err
	}
	return s.tell(w, r, in, f)
}

// mayState says why a statement is not taken; nil: it is. A repeat of one that was taken is taken, whatever has followed
// from it since.
func (s *Server) mayState(r *http.Request, value any, f guard.Stated) error {
	if r.Header.Get("Idempotency-Key") != "" {
		delivery, err := s.delivery(r, value)
		if err != nil {
			return err
		}
		if _, _, repeated, err := s.Store.Kept(r.Context(), delivery.ID); err != nil || repeated {
			return err
		}
	}
	h, _, err := s.rollout(r)
	if err != nil {
		return err
	}
	return allowed(h, f, callerOf(r.Context()), time.Now())
}

// allowed says why a caller may not say something of a rollout, or why it makes no sense; nil: the caller may.
func allowed(h history, f guard.Stated, c Caller, now time.Time) error {
	if err := f.Check(h.plan); err != nil {
		return badRequest(err.Error())
	}
	if f.What == guard.StateFiled && !digestShape.MatchString(f.Subject) {
		return badRequest(fmt.Sprintf("%s: subject is the SHA-256 of the report, in 64 hexadecimal digits", f.What))
	}
	if err := maySay(h.plan, f, c); err != nil {
		return err
	}
	if err := f.Timely(h.plan, h.state, now); err != nil {
		return conflict(err.Error())
	}
	return nil
}

// maySay says why something is not for a caller to say. A person of the roster is held to the roles that he has there. A
// token of a team, or somebody of whom the roster says nothing, has none: to say that it is over, or to agree in the name of a
// role, takes the right to approve then, and all else that to operate.
func maySay(p *guard.Plan, f guard.Stated, c Caller) error {
	name, listed := inRoster(p, c.Name)
	err := p.MaySay(f, cmp.Or(name, c.Name))
	switch {
	case err == nil, !listed && c.MayFor(Approve, target(p.Service, p.Environment)):
		return nil
	case !listed:
		return forbidden(fmt.Sprintf("%s; so may a caller who is not in the roster (roster.people, by the name or the e-mail address) and has the right %q", err, Approve))
	}
	return forbidden(err.Error())
}

// inRoster is the person of the roster who has signed in: by the name, or by the e-mail address, for issuers name people so.
func inRoster(p *guard.Plan, name string) (person string, listed bool) {
	for _, one := range p.Roster.People {
		if name == "" {
			break
		}
		mail := slices.ContainsFunc(one.Reach, func(r guard.Reach) bool { return strings.EqualFold(r["email"], name) })
		if one.Name == name || mail {
			return one.Name, true
		}
	}
	return "", false
}

// amend keeps what people say of a rollout that is over and put away: that its report is filed, say. Nobody guards it any
// more, so that it goes into the records at once.
func (d desk) amend(ctx context.Context, delivery guard.Delivery, id string, e guard.Event) error {
	kind, data, err := e.Encode()
	if err != nil {
		return err
	}
	repeated, err := d.Store.Amend(ctx, d.stamped(ctx, delivery), id, store.Entry{At: e.At, Kind: kind, Data: data})
	d.audit(ctx, delivery, id, kind, repeated, err)
	switch {
	case errors.Is(err, store.ErrNoRollout):
		return guard.ErrNoRollout
	case err != nil:
		return err
	}
	h, err := d.histories.read(ctx, id) // of a repeat, too: the ledger may not have heard of the first
	if err != nil {
		d.Log.Warn("what was said is kept, and the ledger does not know of it", "rollout", id, "error", d.Clean(err.Error()))
		return nil
	}
	d.rememberAll(h)
	return nil
}

// An Incident is one as the API answers it, and as golive status does.
type Incident struct {
	Open      bool              `json:"open"`
	Began     time.Time         `json:"began"`
	Scenario  string            `json:"scenario,omitempty"`
	Level     int               `json:"level,omitempty"`
	LevelName string            `json:"level_name,omitempty"`
	Why       string            `json:"why,omitempty"` // of the level
	Grades    []guard.Grade     `json:"grades,omitempty"`
	Lead      string            `json:"lead,omitempty"`
	Cause     string            `json:"cause,omitempty"`
	Activated time.Time         `json:"activated,omitzero"`
	Contained time.Time         `json:"contained,omitzero"`
	Preserved time.Time         `json:"preserved,omitzero"`
	Reverted  time.Time         `json:"reverted,omitzero"`
	Restored  time.Time         `json:"restored,omitzero"`
	Steady    time.Time         `json:"steady,omitzero"`
	StoodDown time.Time         `json:"stood_down,omitzero"`
	StoodBy   string            `json:"stood_down_by,omitempty"`
	Filed     time.Time         `json:"filed,omitzero"`
	Missing   string            `json:"missing,omitempty"` // what keeps it from being stood down
	Signed    map[string]string `json:"signed,omitempty"`  // who has agreed, by role
	Contacts  map[string]string `json:"contacts,omitempty"`
	Unreached []string          `json:"unreached,omitempty"` // whom no channel could reach when they were told last
	Untold    int               `json:"untold,omitempty"`    // notices that are still to be delivered
	Owed      []Obligation      `json:"obligations,omitempty"`
	Actions   []guard.Action    `json:"actions,omitempty"`
	Exhibits  []guard.Exhibit   `json:"exhibits,omitempty"`
}

// An Obligation is one, and how it stands as of the answer.
type Obligation struct {
	guard.Obligation
	Standing string `json:"standing"` // open, met, met late, breached or waived
}

// IncidentOf is the incident of a rollout; nil: it has become none.
func IncidentOf(p *guard.Plan, s guard.State, now time.Time) *Incident {
	i := s.Incident
	if i.Began.IsZero() {
		return nil
	}
	shown := &Incident{
		Open: i.Open(), Began: i.Began, Scenario: i.Scenario, Level: i.Level, LevelName: levelOf(p, i.Level).Name, Grades: i.Grades, Lead: i.Lead,
		Cause: i.Cause, Activated: i.Activated, Contained: i.Contained, Preserved: i.Preserved, Reverted: i.Reverted, Restored: i.Restored,
		Steady: i.Steady, StoodDown: i.StoodDown, StoodBy: i.StoodBy, Filed: i.Filed, Signed: i.Signed, Contacts: i.Contacts,
		Actions: i.Actions, Exhibits: i.Exhibits, Unreached: i.Unreached, Untold: s.Untold(),
	}
	if len(i.Grades) > 0 {
		shown.Why = i.Grades[len(i.Grades)-1].Why
	}
	if i.Open() {
		shown.Missing, _ = p.Ready(s)
	}
	for _, o := range i.Owed {
		shown.Owed = append(shown.Owed, Obligation{o, o.Standing(now)})
	}
	return shown
}

// levelOf is a level of the plan; the zero one if there is none.
func levelOf(p *guard.Plan, level int) guard.Level {
	if i := slices.IndexFunc(p.Severity, func(l guard.Level) bool { return l.Level == level }); i >= 0 {
		return p.Severity[i]
	}
	return guard.Level{}
}

// brief leaves out what only who looks at one incident wants to know.
func (i *Incident) brief() *Incident {
	if i == nil {
		return nil
	}
	short := *i
	short.Grades, short.Signed, short.Contacts, short.Owed, short.Actions, short.Exhibits, short.Unreached = nil, nil, nil, nil, nil, nil, nil
	return &short
}

var digestShape = regexp.MustCompile(`^[0-9a-f]{64}$`)

// errNoExhibit says that nothing of this digest belongs to a rollout.
var errNoExhibit = errors.New("there is no such evidence of this rollout")

// showEvidence sends what was kept as evidence of a rollout, and of no other: whoever may see this one may not need to see
// all. It is for the disk of who asks, since it holds whatever a program has written.
func (s *Server) showEvidence(w http.ResponseWriter, r *http.Request) error {
	h, _, err := s.rollout(r)
	if err != nil {
		return err
	}
	digest := r.PathValue("sha256")
	i := slices.IndexFunc(h.state.Incident.Exhibits, func(e guard.Exhibit) bool { return e.SHA256 == digest })
	if i < 0 || !digestShape.MatchString(digest) {
		return errNoExhibit
	}
	if s.Evidence == nil {
		return fmt.Errorf("%w here: this server keeps none", errNoExhibit)
	}
	content, err := s.Evidence(digest)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w here: another server, or the client that guarded the rollout, has kept it", errNoExhibit)
	}
	if err != nil {
		return err
	}
	defer func() { _ = content.Close() }() // it was only read
	name := cmp.Or(unsafeInName.ReplaceAllString(h.state.Incident.Exhibits[i].Name, "_"), "evidence")
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": name + ".txt"}))
	w.Header().Set("Content-Security-Policy", "default-src 'none'; sandbox")
	if _, err := io.Copy(w, content); err != nil {
		s.Log.Warn("evidence was not sent whole", "rollout", r.PathValue("id"), "sha256", digest, "error", s.Clean(err.Error()))
		panic(http.ErrAbortHandler) // half of it must not look like the whole
	}
	return nil
}

// unsafeInName is what no name of a file should hold, whatever the exhibit is called.
var unsafeInName = regexp.MustCompile(`[^A-Za-z0-9._-]+|^\.+`)
