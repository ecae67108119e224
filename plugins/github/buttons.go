package github

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/google/go-github/v60/github"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/plugins/hook"
)

// A pressed is a button of a check run that somebody has pressed: what is read of the event check_run with the action
// requested_action, which GitHub sends to the app that made the check run alone.
type pressed struct {
	Action    string `json:"action"`
	Requested *struct {
		Identifier string `json:"identifier"`
	} `json:"requested_action"`
	CheckRun *struct {
		ID         int64  `json:"id"`
		ExternalID string `json:"external_id"` // the rollout
		App        struct {
			ID int64 `json:"id"`
		} `json:"app"` // that made it
	} `json:"check_run"`
	Repository *struct {
		FullName string `json:"full_name"`
	} `json:"repository"`
	Sender *struct {
		Login string `json:"login"`
	} `json:"sender"`
	Installation *struct {
		ID int64 `json:"id"`
	} `json:"installation,omitempty"`
}

// press does what a button is for, if whoever has pressed it may: that is a person of the roster with this login
// (reach: [{github: LOGIN}]), and for the end of an incident one who may say so. Whoever else presses is told so on the
// check run, and nothing is done. The button has to be of this app, in a repository that the plan names: anybody can make
// a check run in a repository of their own, and write into it what they like.
func (g *Gate) press(r *http.Request, body []byte) (heard, error) {
	var m pressed
	if err := hook.Decode(body, &m); err != nil {
		return heard{}, err
	}
	if m.Action != "requested_action" {
		return heard{Did: nothing}, nil
	}
	switch {
	case m.Requested == nil || m.CheckRun == nil || m.CheckRun.ID <= 0 || m.Sender == nil || m.Sender.Login == "":
		return heard{}, hook.Refuse(http.StatusBadRequest, "requested_action.identifier, check_run.id or sender.login is missing")
	case m.Repository == nil || !fullName.MatchString(m.Repository.FullName):
		return heard{}, hook.Refuse(http.StatusBadRequest, "repository.full_name is missing, or no name")
	case m.CheckRun.App.ID != g.setup.App.ID:
		return heard{}, hook.Refuse(http.StatusForbidden, "check_run.app.id is %d, and golive is the app %d: its own buttons alone are heard", m.CheckRun.App.ID, g.setup.App.ID)
	}
	if err := hook.Name("check_run.external_id", m.CheckRun.ExternalID, false); err != nil {
		return heard{}, err
	}
	record, err := json.Marshal(m)
	if err != nil {
		return heard{}, fmt.Errorf("record the message: %w", err)
	}
	// The body names the message, as with deployments. Two presses of one button by one person differ by the check run
	// that the message shows, for golive remarks on it what became of the first.
	d := guard.Delivery{ID: hook.ID(tool, "check_run", string(body)), Source: tool, At: time.Now(), Body: record}
	plan, state, err := g.setup.Desk.Get(r.Context(), m.CheckRun.ExternalID)
	if err != nil {
		return heard{}, fmt.Errorf("look at the rollout %s: %w", hook.Quote(m.CheckRun.ExternalID), err)
	}
	if err := speaks(r, plan, m.Repository.FullName); err != nil {
		return heard{}, err
	}
	did, err := m.order(r.Context(), g.setup.Desk, plan, state, d)
	text := did
	if err != nil {
		if hook.Status(err) == http.StatusServiceUnavailable {
			return heard{}, err // and GitHub's own page lets somebody send it again
		}
		text = "refused: " + hook.Cut(err.Error(), hook.Echo)
		hook.Report(r.Context(), fmt.Errorf("%s has pressed %s of rollout %s: %w", hook.Quote(m.Sender.Login), hook.Quote(m.Requested.Identifier), hook.Quote(m.CheckRun.ExternalID), err))
	}
	ctx, cancel := context.WithTimeoutCause(r.Context(), remarkWithin, fmt.Errorf("no answer within %v", remarkWithin))
	defer cancel()
	line := fmt.Sprintf("%s %s: %s", clock(d.At), guard.Line(m.Sender.Login, 80), text)
	if problem := g.remark(ctx, m, d.ID, line); problem != nil { // what was done is done
		hook.Report(r.Context(), fmt.Errorf("remark on a check run what became of a button: %w", problem))
	}
	if err != nil {
		return heard{}, err
	}
	return heard{did, m.CheckRun.ExternalID}, nil
}

// order hands over what a press asks for, by the name of the person, and says what that was. A Refusal says why not.
func (m pressed) order(ctx context.Context, desk guard.Desk, plan *guard.Plan, state guard.State, d guard.Delivery) (did string, err error) {
	id := m.CheckRun.ExternalID
	by, listed := holder(plan, m.Sender.Login)
	if !listed {
		return "", hook.Refuse(http.StatusForbidden, "%s is not in the roster (write reach: [{github: LOGIN}] at the person in roster.people)", hook.Quote(m.Sender.Login))
	}
	why := fmt.Sprintf("a button at GitHub, pressed by %s", guard.Line(m.Sender.Login, 80))
	var fact guard.Fact
	switch m.Requested.Identifier {
	case pressRollback:
		fact, did = guard.Ordered{Verb: guard.OrderRollback, By: by, Why: why}, "roll back now, ordered by "+by
	case pressExtend:
		more, err := guard.ParseDuration(pressedFor)
		if err != nil {
			return "", err
		}
		fact, did = guard.Ordered{Verb: guard.OrderExtend, By: by, Why: why, For: more}, pressedFor+" more, ordered by "+by
	case pressStandDown:
		stated := guard.Stated{What: guard.StateStandDown, Text: why, By: by}
		if err := plan.MaySay(stated, by); err != nil {
			return "", hook.Refuse(http.StatusForbidden, "%s", err)
		}
		if missing, ready := plan.Ready(state); !ready && state.Incident.StoodBy != by {
			return "", hook.Refuse(http.StatusConflict, "it cannot be stood down: %s", missing)
		}
		fact, did = stated, "stood down by "+by
	default:
		return "", hook.Refuse(http.StatusBadRequest, "requested_action.identifier %s is no button of golive", hook.Quote(m.Requested.Identifier))
	}
	if err := desk.Tell(ctx, d, id, fact); err != nil {
		return "", fmt.Errorf("rollout %s: %w", hook.Quote(id), err)
	}
	return did, nil
}

// holder is the person of the roster who has a login at GitHub, which knows no small and large letters. A login of two
// people is nobody's.
func holder(plan *guard.Plan, login string) (name string, listed bool) {
	for _, person := range plan.Roster.People {
		for _, way := range person.Reach {
			if !strings.EqualFold(strings.TrimPrefix(way[guard.GitHubLogin], "@"), login) || login == "" {
				continue
			}
			if listed && name != person.Name {
				return "", false
			}
			name, listed = person.Name, true
		}
	}
	return name, listed
}

// remarkWithin is the time for a remark: GitHub waits ten seconds for the answer to its message.
const remarkWithin = 8 * time.Second

// remarksMost is how many bytes of a check run are for remarks: the oldest give way.
const remarksMost = 16 << 10

// remark adds a line to a check run of the app, unless it is there.
func (g *Gate) remark(ctx context.Context, m pressed, id, text string) error {
	s := defaults()
	s.Repository, s.Address, s.spares = m.Repository.FullName, g.setup.Address, true
	s.AppID, s.PrivateKey, s.InstallationID = g.setup.App.ID, g.setup.App.Key, g.setup.App.Installation
	if m.Installation != nil && m.Installation.ID > 0 {
		s.InstallationID = m.Installation.ID
	}
	r, err := s.open(&github.InstallationPermissions{Checks: github.String("write")})
	if err != nil {
		return err
	}
	run, _, err := r.api.Checks.GetCheckRun(ctx, r.owner, r.name, m.CheckRun.ID)
	if err != nil {
		return r.explain(ctx, need{asked: "a check run", permission: "Checks: write"}, err)
	}
	known := "<!-- " + escaped(id) + " -->"
	old := run.GetOutput().GetText()
	if strings.Contains(old, known) {
		return nil
	}
	lines := strings.Split(strings.TrimSuffix(old+"- "+guard.EscapeMarkdown(text)+" "+known+"\n", "\n"), "\n")
	for len(lines) > 1 && len(strings.Join(lines, "\n")) > remarksMost {
		lines = lines[1:]
	}
	output := run.GetOutput()
	if output.GetTitle() == "" || output.GetSummary() == "" {
		return errors.New("the check run is none of golive")
	}
	_, _, err = r.api.Checks.UpdateCheckRun(ctx, r.owner, r.name, run.GetID(), github.UpdateCheckRunOptions{
		Name: run.GetName(), Output: &github.CheckRunOutput{Title: output.Title, Summary: output.Summary, Text: github.String(strings.Join(lines, "\n") + "\n")},
	})
	if err != nil {
		return r.explain(ctx, writeChecks, err)
	}
	return nil
}
