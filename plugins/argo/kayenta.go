package argo

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/plugins/hook"
)

// Argo Rollouts looks for the ID of a configuration by its name, starts an execution of it, and asks every 15 s whether
// that is complete.

type config struct {
	ID           string   `json:"id"`
	Name         string   `json:"name"`
	Updated      int64    `json:"updatedTimestamp"`
	Applications []string `json:"applications"`
}

// canaryConfig lists what an application may be called, without asking whether there is a plan: start does that.
func (h *handler) canaryConfig(w http.ResponseWriter, r *http.Request) error {
	service, environment := r.URL.Query().Get("application"), r.URL.Query().Get("configurationAccountName")
	if err := hook.Name("application", service, false); err != nil {
		return err
	}
	if err := hook.Name("configurationAccountName", environment, true); err != nil {
		return err
	}
	all := []config{{ID: service, Name: service, Applications: []string{service}}}
	if environment != "" {
		id := service + "~" + environment
		all = append(all, config{ID: id, Name: id, Applications: []string{service}})
	}
	hook.Answer(w, http.StatusOK, all)
	return nil
}

type analysis struct {
	Scopes     map[string]scopes `json:"scopes"`
	Thresholds thresholds        `json:"thresholds"`
}

type scopes struct {
	Control    scope `json:"controlScope"`
	Experiment scope `json:"experimentScope"`
}

type scope struct {
	Scope string `json:"scope"`
	Start string `json:"start"`
	End   string `json:"end"`
}

type thresholds struct {
	Pass     float64 `json:"pass"`
	Marginal float64 `json:"marginal"`
}

// sound says that there is a score for every opinion: with a marginal of 0 a regressed version would be inconclusive,
// and with one that is not below pass nothing would be.
func (t thresholds) sound() bool { return 0 < t.Marginal && t.Marginal < t.Pass && t.Pass <= 100 }

// An execution is what its ID says: golive keeps nothing of it but the rollout.
type execution struct {
	Rollout string     `json:"r"`
	End     time.Time  `json:"e"`
	Limits  thresholds `json:"t"`
}

func (e execution) id() string {
	text, err := json.Marshal(e)
	if err != nil {
		panic(err) // checked holds its times and numbers to what JSON can say
	}
	return base64.RawURLEncoding.EncodeToString(text)
}

// start finds the rollout that an analysis asks about, or opens it.
func (h *handler) start(w http.ResponseWriter, r *http.Request) error {
	now := time.Now()
	body, err := hook.Read(w, r)
	if err != nil {
		return err
	}
	var a analysis
	if err := hook.Decode(body, &a); err != nil {
		return err
	}
	service, environment, _ := strings.Cut(r.PathValue("id"), "~")
	release, begin, end, err := a.checked(guard.Release{Service: service, Environment: environment})
	if err != nil {
		return err
	}
	last, err := h.latest(r.Context(), release, now)
	if err != nil {
		return err
	}
	id, over := last.id, last.state.Phase == guard.Over && last.state.Since.Before(begin)
	if id == "" || last.state.Release.To != release.To || over {
		if id, err = h.open(r.Context(), release, last, body, now); err != nil {
			return err
		}
	}
	hook.Answer(w, http.StatusOK, struct {
		ID string `json:"canaryExecutionId"`
	}{execution{Rollout: id, End: end, Limits: a.Thresholds}.id()})
	return nil
}

// checked completes a release from the scopes, which have to agree: one rollout has one version.
func (a analysis) checked(r guard.Release) (_ guard.Release, start, end time.Time, err error) {
	refuse := func(reason string) (guard.Release, time.Time, time.Time, error) {
		return r, start, end, hook.Refuse(http.StatusBadRequest, "%s", reason)
	}
	if len(a.Scopes) == 0 {
		return refuse("scopes is missing")
	}
	first := true
	for name, s := range a.Scopes {
		if !first && (s.Experiment.Scope != r.To || s.Control.Scope != r.From) {
			return refuse("the scopes name more than one version: experimentScope.scope is the new one, controlScope.scope the old one, in all of them")
		}
		r.To, r.From = s.Experiment.Scope, s.Control.Scope
		from, mistake := time.Parse(time.RFC3339, s.Experiment.Start)
		if mistake != nil {
			return refuse("start of the experimentScope of " + hook.Quote(name) + " is no time like 2026-01-31T12:00:00Z")
		}
		to, mistake := time.Parse(time.RFC3339, s.Experiment.End)
		if mistake != nil || to.Before(from) || to.UTC().Year() > 9999 || to.UTC().Year() < 1 {
			return refuse("end of the experimentScope of " + hook.Quote(name) + " is no time after its start")
		}
		if first || from.Before(start) {
			start = from
		}
		if first || to.After(end) {
			end = to
		}
		first = false
	}
	if !a.Thresholds.sound() {
		return refuse("thresholds has to hold 0 < marginal < pass <= 100, such as 75 and 95")
	}
	return r, start, end.UTC(), hook.Release(r)
}

type result struct {
	Complete bool    `json:"complete"`
	Status   string  `json:"status"`
	Result   *judged `json:"result,omitempty"`
}

type judged struct {
	Judge struct {
		Score struct {
			Score  float64 `json:"score"`
			Reason string  `json:"classificationReason"`
		} `json:"score"`
	} `json:"judgeResult"`
}

// score is complete once nothing can change golive's mind any more, or the analysis is over. What is not known then
// scores between marginal and pass, so that it is neither a success nor a failure.
func (h *handler) score(w http.ResponseWriter, r *http.Request) error {
	now := time.Now()
	text, err := base64.RawURLEncoding.DecodeString(r.PathValue("id"))
	var e execution
	if err != nil || json.Unmarshal(text, &e) != nil || e.Rollout == "" || e.End.IsZero() || !e.Limits.sound() {
		return hook.Refuse(http.StatusNotFound, "there is no such execution: the name is the one that POST /canary/SERVICE answers")
	}
	s, err := h.get(r.Context(), e.Rollout, now)
	if err != nil {
		return err
	}
	final := s.opinion == guard.Harmful || s.state.Phase == guard.Over
	if !final && now.Before(e.End) {
		hook.Answer(w, http.StatusOK, result{Status: "running"})
		return nil
	}
	var j judged
	switch s.opinion {
	case guard.Healthy:
		j.Judge.Score.Score = 100
	case guard.Harmful:
		j.Judge.Score.Score = 0
	default:
		j.Judge.Score.Score = (e.Limits.Marginal + e.Limits.Pass) / 2
	}
	j.Judge.Score.Reason = s.opinion.String() + ": " + hook.Why(s.state, s.opinion)
	hook.Answer(w, http.StatusOK, result{Complete: true, Status: "succeeded", Result: &j})
	return nil
}
