package server

import (
	"strings"
	"time"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/judge"
	"github.com/golive-dev/golive/guard/store"
)

// shown is a rollout as the API answers it.
type shown struct {
	ID           string          `json:"id"`
	Service      string          `json:"service"`
	Environment  string          `json:"environment"`
	From         string          `json:"from,omitempty"`
	To           string          `json:"to"`
	Purpose      guard.Purpose   `json:"purpose"`
	Mode         guard.Mode      `json:"mode"`
	Phase        guard.Phase     `json:"phase"`
	Outcome      guard.Outcome   `json:"outcome,omitempty"`
	Cause        guard.Cause     `json:"cause,omitempty"`
	Opinion      guard.Opinion   `json:"opinion"`
	Why          string          `json:"why"`
	Percent      int             `json:"percent"` // last seen
	Aim          int             `json:"aim"`
	Step         int             `json:"step"` // counts from 1
	Steps        int             `json:"steps"`
	Held         string          `json:"held,omitempty"`
	Acknowledged string          `json:"acknowledged,omitempty"`
	Trouble      string          `json:"trouble,omitempty"`
	Alerts       []guard.Alert   `json:"alerts,omitempty"`
	Ruling       *judge.Ruling   `json:"ruling,omitempty"` // the latest of the judge
	Findings     []guard.Finding `json:"findings,omitempty"`
	Proof        []guard.Finding `json:"proof,omitempty"` // of the way back
	Began        time.Time       `json:"began"`
	Since        time.Time       `json:"since"` // in this phase
	Ended        time.Time       `json:"ended,omitzero"`
	Open         bool            `json:"open"`               // somebody has to guard it: its traffic's part goes on, or its incident does
	Incident     *Incident       `json:"incident,omitempty"` // that it has become
	Guard        string          `json:"guard,omitempty"`    // the server that guards it; empty: nobody just now
	Fence        int64           `json:"fence,omitempty"`
	Records      int64           `json:"records"`
}

// show is what the API says of a rollout.
func (s *Server) show(h history, r store.Rollout, now time.Time) shown {
	st := h.state
	one := shown{
		ID: r.ID, Service: st.Release.Service, Environment: st.Release.Environment, From: st.Release.From, To: st.Release.To,
		Purpose: st.Purpose, Mode: st.Mode, Phase: st.Phase, Outcome: st.Outcome, Cause: st.Cause, Opinion: st.Opinion(now, staleAfter(h.plan)),
		Why: st.Why, Percent: st.Seen, Aim: st.Aim, Step: st.Step + 1, Steps: len(h.plan.Rollout.Steps), Held: st.Held,
		Acknowledged: st.Acknowledged, Trouble: st.Trouble, Alerts: st.Alerts, Findings: st.Findings, Proof: st.Proof,
		Began: h.events[0].At, Since: st.Since, Open: !st.Ended(), Incident: IncidentOf(h.plan, st, now), Guard: r.Node, Fence: st.Fence, Records: h.last.Seq,
	}
	if !st.Ruling.At.IsZero() {
		one.Ruling = &st.Ruling
	}
	if st.Phase == guard.Over {
		one.Ended = st.Since
	}
	if !one.Open {
		one.Guard = ""
	}
	return one
}

// unread is what can be said of a rollout whose records this version of golive cannot read.
func unread(r store.Rollout, why error) shown {
	service, environment, _ := strings.Cut(r.Target, "/")
	return shown{
		ID: r.ID, Service: service, Environment: environment, Phase: "unreadable", Guard: r.Node, Fence: r.Fence, Records: r.Records, Open: r.Open,
		Why: "this version of golive cannot read its records: " + guard.Line(why.Error(), longestText), Began: r.Began, Since: r.Last,
	}
}

// staleAfter is how long ago a rollout may have been looked at last for its opinion to count.
func staleAfter(p *guard.Plan) time.Duration {
	return max(3*p.Watch.Every.Std(), 30*time.Second)
}

// happened is one event as the API answers it.
type happened struct {
	Seq  int64      `json:"seq"`
	At   time.Time  `json:"at"`
	Kind string     `json:"kind"`
	Task int        `json:"task,omitempty"`
	Fact guard.Fact `json:"fact"`
	Hash string     `json:"hash"`
}
