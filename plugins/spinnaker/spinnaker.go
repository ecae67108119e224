// Package spinnaker lets Spinnaker ask golive: a webhook stage opens a rollout and waits for its end (this file), and
// Kayenta, its judge of canaries, may leave the judging to golive (judge.go).
//
// A pipeline has this stage, of which golive watches the traffic and takes it back by itself; Spinnaker waits:
//
//	{
//	  "type": "webhook",
//	  "name": "golive",
//	  "method": "POST",
//	  "url": "https://golive.example.org/v1/hooks/spinnaker/",
//	  "customHeaders": {"Authorization": "Bearer ..."},
//	  "payload": {
//	    "service": "checkout", "environment": "prod", "from": "v41", "to": "v42", "purpose": "watch",
//	    "execution": "${execution.id}"
//	  },
//	  "waitForCompletion": true,
//	  "statusUrlResolution": "locationHeader",
//	  "statusJsonPath": "$.status",
//	  "progressJsonPath": "$.progress",
//	  "successStatuses": "HEALTHY",
//	  "canceledStatuses": "CANCELED",
//	  "terminalStatuses": "REGRESSED,INSUFFICIENT"
//	}
//
// The purpose is watch, where Spinnaker moves the traffic, rollout, where golive does, or rollback. Without the
// execution, golive cannot tell a new run from a repeat of an old one, and refuses it as soon as the old one is over. To
// roll back from another stage, POST to /v1/hooks/spinnaker/ID/cancel. The token belongs into a header: one in the URL
// does not come along to the status URL.
//
// Kayenta asks the judge with this, and a canary configuration whose judge is called RemoteJudge-v1.0:
//
//	kayenta:
//	  remote-judge:
//	    enabled: true
//	    endpoint: {baseUrl: "https://golive.example.org/v1/hooks/spinnaker"}
//
// Its documentation knows no credentials for that; where it sends none, put a proxy before golive that adds them.
package spinnaker

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/plugins/hook"
)

const tool = "spinnaker"

// NewHook answers the webhook stage, and Kayenta's remote judge under /judge. That a rollout was opened, or told to go
// back, is durable before it is answered, and both may be repeated.
func NewHook(desk guard.Desk) http.Handler {
	h := stage{desk}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path := strings.Trim(r.URL.Path, "/")
		id, verb, deep := strings.Cut(path, "/")
		switch {
		case path == "":
			h.open(w, r)
		case path == "judge":
			answerKayenta(w, r)
		case !deep:
			h.status(w, r, id)
		case verb == "cancel":
			h.cancel(w, r, id)
		default:
			hook.Fail(w, r, hook.Refuse(http.StatusNotFound, "there is nothing here (try /, /ID, /ID/cancel, /judge)"))
		}
	})
}

type stage struct{ desk guard.Desk }

// An order is the payload of a stage.
type order struct {
	Service     string        `json:"service"`
	Environment string        `json:"environment,omitempty"`
	From        string        `json:"from,omitempty"`
	To          string        `json:"to"`
	Purpose     guard.Purpose `json:"purpose"`
	Execution   string        `json:"execution,omitempty"` // of the pipeline
}

// progress is the answer about a rollout.
type progress struct {
	ID       string `json:"id"`
	Status   string `json:"status"`
	Progress string `json:"progress"`
}

func (h stage) open(w http.ResponseWriter, r *http.Request) {
	if !hook.Method(w, r, http.MethodPost) {
		return
	}
	id, s, err := h.opened(w, r)
	if err != nil {
		hook.Fail(w, r, err)
		return
	}
	w.Header().Set("Location", mount(r)+"/"+url.PathEscape(id))
	hook.Answer(w, http.StatusAccepted, progress{id, status(s), describeState(s)})
}

func (h stage) opened(w http.ResponseWriter, r *http.Request) (id string, s guard.State, err error) {
	body, err := hook.Read(w, r)
	if err != nil {
		return "", s, err
	}
	o := order{}
	if err := hook.Decode(body, &o); err != nil {
		return "", s, err
	}
	switch o.Purpose {
	case "":
		o.Purpose = guard.ToWatch // which moves no traffic up
	case guard.ToWatch, guard.ToRollout, guard.ToRollback:
	default:
		return "", s, hook.Refuse(http.StatusBadRequest, "purpose is %s, and has to be watch, rollout or rollback", hook.Quote(string(o.Purpose)))
	}
	release := guard.Release{Service: o.Service, Environment: o.Environment, From: o.From, To: o.To}
	err = errors.Join(hook.Release(release), hook.Name("execution", o.Execution, true))
	if err != nil {
		return "", s, err
	}
	// Only what is known goes into the records, since the rest of a payload may hold anything.
	record, err := json.Marshal(o)
	if err != nil {
		return "", s, err
	}
	d := guard.Delivery{ID: hook.ID(tool, "open", string(record)), Source: tool, At: time.Now(), Body: record}
	if id, err = h.desk.Open(r.Context(), d, release, o.Purpose); err != nil {
		return "", s, fmt.Errorf("open a rollout: %w", err)
	}
	_, s, err = h.desk.Get(r.Context(), id)
	if err != nil && !errors.Is(err, guard.ErrNoRollout) { // it may have only been promised so far
		return "", s, fmt.Errorf("look at the rollout %s: %w", id, err)
	}
	if s.Phase == guard.Over && o.Execution == "" {
		return "", s, hook.Refuse(http.StatusConflict,
			`the rollout that this message began is over (%s); for a new one, add "execution": "${execution.id}" to the payload`, s.Outcome)
	}
	return id, s, nil
}

// mount is where this hook is from outside, without a / at the end. A token in the query stays out of it.
func mount(r *http.Request) string {
	path := r.URL.EscapedPath()
	if asked, err := url.ParseRequestURI(r.RequestURI); err == nil {
		path = asked.EscapedPath()
	}
	return strings.TrimRight("/"+strings.Trim(path, "/"), "/") // never //host
}

func (h stage) status(w http.ResponseWriter, r *http.Request, id string) {
	if !hook.Method(w, r, http.MethodGet, http.MethodHead) {
		return
	}
	_, s, err := h.desk.Get(r.Context(), id)
	if err != nil {
		hook.Fail(w, r, fmt.Errorf("look at the rollout: %w", err))
		return
	}
	hook.Answer(w, http.StatusOK, progress{id, status(s), describeState(s)})
}

func (h stage) cancel(w http.ResponseWriter, r *http.Request, id string) {
	if !hook.Method(w, r, http.MethodPost, http.MethodDelete) {
		return
	}
	if _, err := hook.Read(w, r); err != nil { // what cancelPayload says does not matter
		hook.Fail(w, r, err)
		return
	}
	d := guard.Delivery{ID: hook.ID(tool, "cancel", id), Source: tool, At: time.Now()}
	err := h.desk.Tell(r.Context(), d, id, guard.Ordered{Verb: guard.OrderRollback, By: tool, Why: "the stage was canceled"})
	if err != nil && !errors.Is(err, guard.ErrOver) {
		hook.Fail(w, r, fmt.Errorf("roll back: %w", err))
		return
	}
	_, s, looked := h.desk.Get(r.Context(), id)
	if looked != nil {
		hook.Fail(w, r, fmt.Errorf("look at the rollout: %w", looked))
		return
	}
	// Who cancels what has come to its end is told so, unless the traffic is where it would be now.
	if err != nil && s.Outcome != guard.RolledBack && s.Outcome != guard.Stopped {
		hook.Fail(w, r, hook.Refuse(http.StatusConflict, "the rollout is over (%s), and cannot be canceled any more: open one with the purpose rollback", s.Outcome))
		return
	}
	hook.Answer(w, http.StatusAccepted, progress{id, status(s), describeState(s)})
}

// status is the word for Spinnaker. Only a rollout that is over has another than RUNNING, and only one that did what it
// was for is HEALTHY.
func status(s guard.State) string {
	if s.Phase != guard.Over {
		return "RUNNING"
	}
	switch s.Outcome {
	case guard.Live:
		return "HEALTHY"
	case guard.RollbackFailed:
		return "REGRESSED"
	case guard.Stopped:
		return "CANCELED"
	case guard.RolledBack, guard.WouldRollBack:
		switch {
		case s.Purpose == guard.ToRollback:
			return "HEALTHY"
		case s.Cause == guard.CauseRegressed:
			return "REGRESSED"
		case s.Cause == guard.CauseBlind, s.Cause == guard.CauseScarce, s.Cause == guard.CauseStuck:
			return "INSUFFICIENT"
		}
		return "CANCELED" // somebody said so, or has done it
	}
	return "INSUFFICIENT"
}

// describeState says where a rollout stands in a line.
func describeState(s guard.State) string {
	text := string(s.Phase)
	switch {
	case s.Phase == "":
		return "waiting to begin"
	case s.Phase == guard.Over:
		text = string(s.Outcome)
	default:
		text += fmt.Sprintf(", %d %% of the traffic", s.Seen)
	}
	if s.Why != "" {
		text += ": " + s.Why
	}
	return guard.Line(text, hook.Echo)
}

// answerKayenta judges, from nothing but the values that it sends.
func answerKayenta(w http.ResponseWriter, r *http.Request) {
	if !hook.Method(w, r, http.MethodPost) {
		return
	}
	body, err := hook.Read(w, r)
	if err != nil {
		hook.Fail(w, r, err)
		return
	}
	q := question{}
	if err := hook.Decode(body, &q); err != nil {
		hook.Fail(w, r, err)
		return
	}
	if err := q.check(); err != nil {
		hook.Fail(w, r, hook.Refuse(http.StatusBadRequest, "%s", err))
		return
	}
	j, err := q.judge(r.Context())
	if err != nil {
		hook.Fail(w, r, fmt.Errorf("judge: %w", err))
		return
	}
	hook.Answer(w, http.StatusOK, j)
}
