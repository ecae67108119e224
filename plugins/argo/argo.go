// Package argo lets Argo Rollouts ask golive, by its web or its kayenta metrics, and Argo CD tell what it has synced.
// Argo moves the traffic, golive watches (guard.ToWatch); write mode: observe into the plan where golive is not to move
// it back by itself.
//
// # Argo Rollouts, web metric
//
//	apiVersion: argoproj.io/v1alpha1
//	kind: AnalysisTemplate
//	metadata: {name: golive}
//	spec:
//	  args:
//	    - name: hash          # podTemplateHashValue: Latest
//	    - name: token         # secretKeyRef
//	  metrics:
//	    - name: golive
//	      interval: 30s
//	      failureLimit: 0
//	      inconclusiveLimit: 1000     # too little evidence, and blindness, are neither condition
//	      consecutiveErrorLimit: 30   # a restart of golive must not abort
//	      successCondition: result.verdict == 'healthy'
//	      failureCondition: result.verdict == 'regressed'
//	      provider:
//	        web:
//	          url: "https://golive.example.com/v1/hooks/argo/verdict?service=checkout&environment=prod&version={{args.hash}}"
//	          headers: [{key: Authorization, value: "Bearer {{args.token}}"}]
//
// The rollout has to have been opened: by the kayenta metric, by Argo CD, or by the hook generic. /verdict/SERVICE/VERSION
// and /verdict/SERVICE/ENVIRONMENT/VERSION are the same question.
//
// # Argo Rollouts, kayenta metric
//
//	provider:
//	  kayenta:
//	    address: https://golive.example.com/v1/hooks/argo
//	    application: checkout              # the service of the plan
//	    canaryConfigName: checkout~prod    # and the environment; checkout alone if it has one plan
//	    configurationAccountName: prod     # the environment again, or anything
//	    metricsAccountName: golive
//	    storageAccountName: golive
//	    threshold: {pass: 95, marginal: 75}
//	    scopes:
//	      - name: default
//	        controlScope: {scope: "{{args.stable-hash}}", region: all, step: 60, start: "{{args.start}}", end: "{{args.end}}"}
//	        experimentScope: {scope: "{{args.hash}}", region: all, step: 60, start: "{{args.start}}", end: "{{args.end}}"}
//
// This opens the rollout. It is complete when golive's answer is final, or the end of the scope is past: 100 for healthy,
// 0 for regressed, and between marginal and pass for what is not known by then. A rollout that ended before the start of
// the scope is not answered with: another begins. The provider sends no token: put golive behind what adds one.
//
// # Argo CD, notifications
//
//	service.webhook.golive: |
//	  url: https://golive.example.com/v1/hooks/argo
//	  headers: [{name: Authorization, value: "Bearer $golive-token"}]
//	template.golive: |
//	  webhook:
//	    golive:
//	      method: POST
//	      path: /argocd
//	      body: |
//	        {"app":"{{.app.metadata.name}}","revision":"{{.app.status.operationState.syncResult.revision}}",
//	         "phase":"{{.app.status.operationState.phase}}","health":"{{.app.status.health.status}}"}
//	trigger.golive: |
//	  - when: app.status.operationState.phase in ['Succeeded'] and app.status.health.status == 'Healthy'
//	    oncePer: app.status.operationState.syncResult.revision
//	    send: [golive]
//
// Succeeded and Healthy begin to watch the revision; whatever else is told of a revision under watch is kept as a note.
// The app is the service; "service", "environment" and "from" in the body say otherwise. Without from, the old version is
// the one that golive saw go live before; if there was none, there is nothing to go back to.
package argo

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/plugins/hook"
)

const source = "argo"

// NewHook answers /verdict, impersonates Kayenta at /canaryConfig and /canary/, and hears Argo CD at /argocd. Every
// message may come again.
func NewHook(desk guard.Desk) http.Handler {
	h := &handler{desk}
	mux := http.NewServeMux()
	for path, part := range map[string]struct {
		method string
		answer func(http.ResponseWriter, *http.Request) error
	}{
		"/verdict":                     {http.MethodGet, h.verdict},
		"/verdict/{service}/{version}": {http.MethodGet, h.verdict},
		"/verdict/{service}/{environment}/{version}": {http.MethodGet, h.verdict},
		"/canaryConfig": {http.MethodGet, h.canaryConfig},
		"/argocd":       {http.MethodPost, h.argocd},
	} {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			if hook.Method(w, r, part.method) {
				fail(w, r, part.answer(w, r))
			}
		})
	}
	mux.HandleFunc("/canary/{id}", func(w http.ResponseWriter, r *http.Request) {
		switch {
		case !hook.Method(w, r, http.MethodGet, http.MethodPost):
		case r.Method == http.MethodPost:
			fail(w, r, h.start(w, r))
		default:
			fail(w, r, h.score(w, r))
		}
	})
	return mux
}

func fail(w http.ResponseWriter, r *http.Request, err error) {
	if err != nil {
		hook.Fail(w, r, err)
	}
}

type handler struct{ desk guard.Desk }

// A stand is where a rollout stands. The zero value is none.
type stand struct {
	id      string
	state   guard.State
	opinion guard.Opinion
}

// latest is the latest rollout of the service, whatever version it brings. There may be none, which is no error.
func (h *handler) latest(ctx context.Context, r guard.Release, now time.Time) (stand, error) {
	id, err := h.desk.Find(ctx, guard.Release{Service: r.Service, Environment: r.Environment})
	if errors.Is(err, guard.ErrNoRollout) {
		return stand{}, nil
	}
	if err != nil {
		return stand{}, err
	}
	return h.get(ctx, id, now)
}

func (h *handler) get(ctx context.Context, id string, now time.Time) (stand, error) {
	plan, state, err := h.desk.Get(ctx, id)
	if err != nil {
		return stand{}, err
	}
	return stand{id: id, state: state, opinion: hook.Opinion(plan, state, now)}, nil
}

// open begins to watch r after the rollout last. That one is part of the delivery's name: a version that comes back
// later is not the one of then.
func (h *handler) open(ctx context.Context, r guard.Release, last stand, body []byte, now time.Time) (string, error) {
	by := guard.Delivery{ID: hook.ID(source, "open", r.Service, r.Environment, r.To, last.id), Source: source, At: now, Body: body}
	return h.desk.Open(ctx, by, r, guard.ToWatch)
}

// A verdict is the answer to a web metric.
type verdict struct {
	Verdict   guard.Opinion `json:"verdict"`
	Regressed bool          `json:"regressed"`
	Enough    bool          `json:"enough"` // to say healthy or regressed
	Reason    string        `json:"reason"`
	Release   string        `json:"release"` // the name of the rollout
}

// verdict answers for the latest rollout of the service alone: what became of a version once, before another one, says
// nothing about its coming again.
func (h *handler) verdict(w http.ResponseWriter, r *http.Request) error {
	now := time.Now()
	asked := func(name string) string {
		if value := r.PathValue(name); value != "" {
			return value
		}
		return r.URL.Query().Get(name)
	}
	about := guard.Release{Service: asked("service"), Environment: asked("environment"), To: asked("version")}
	for _, field := range []struct {
		name, value string
		optional    bool
	}{{"service", about.Service, false}, {"environment", about.Environment, true}, {"version", about.To, false}} {
		if err := hook.Name(field.name, field.value, field.optional); err != nil {
			return err
		}
	}
	s, err := h.latest(r.Context(), about, now)
	if err != nil {
		return err
	}
	if s.id == "" || s.state.Release.To != about.To {
		hook.Answer(w, http.StatusNotFound, verdict{Reason: "golive has no current rollout of this version: open one first"})
		return nil
	}
	hook.Answer(w, http.StatusOK, verdict{
		Verdict: s.opinion, Regressed: s.opinion == guard.Harmful,
		Enough: s.opinion == guard.Harmful || s.opinion == guard.Healthy,
		Reason: hook.Why(s.state, s.opinion), Release: s.id,
	})
	return nil
}

// A notification is what Argo CD tells of an application.
type notification struct {
	App         string `json:"app"`
	Revision    string `json:"revision"`
	Phase       string `json:"phase"`
	Health      string `json:"health"`
	Service     string `json:"service"`
	Environment string `json:"environment"`
	From        string `json:"from"`
}

func (n notification) check() error {
	for _, field := range []struct {
		name, value string
		optional    bool
	}{{"app", n.App, false}, {"revision", n.Revision, false}, {"phase", n.Phase, false}, {"health", n.Health, true}} {
		if err := hook.Name(field.name, field.value, field.optional); err != nil {
			return err
		}
		if field.value == "<no value>" {
			return hook.Refuse(http.StatusBadRequest, "%s is not there in Argo CD: take another field in the template", field.name)
		}
	}
	return nil
}

func (h *handler) argocd(w http.ResponseWriter, r *http.Request) error {
	now := time.Now()
	body, err := hook.Read(w, r)
	if err != nil {
		return err
	}
	var n notification
	if err := hook.Decode(body, &n); err != nil {
		return err
	}
	if err := n.check(); err != nil {
		return err
	}
	release := guard.Release{Service: n.Service, Environment: n.Environment, From: n.From, To: n.Revision}
	if release.Service == "" {
		release.Service = n.App
	}
	if err := hook.Release(release); err != nil {
		return err
	}
	last, err := h.latest(r.Context(), release, now)
	if err != nil {
		return err
	}
	current := last.id != "" && last.state.Release.To == n.Revision
	deployed := n.Phase == "Succeeded" && n.Health == "Healthy"
	answer := struct {
		Rollout string `json:"rollout,omitempty"`
		Did     string `json:"did"`
	}{last.id, "noted"}
	switch {
	case !current && deployed:
		if release.From == "" && last.state.Outcome == guard.Live {
			release.From = last.state.Release.To
		}
		answer.Did = "opened"
		answer.Rollout, err = h.open(r.Context(), release, last, body, now)
	case !current:
		answer.Rollout, answer.Did = "", "nothing: golive does not watch this revision"
	default:
		text := fmt.Sprintf("Argo CD: %s at revision %s is %s, and its health is %s", n.App, n.Revision, n.Phase, n.Health)
		by := guard.Delivery{ID: hook.ID(source, "argocd", last.id, string(body)), Source: source, At: now, Body: body}
		err = h.desk.Tell(r.Context(), by, last.id, guard.Noted{Text: text, By: source})
		if errors.Is(err, guard.ErrOver) {
			answer.Did, err = "nothing: the rollout is over", nil
		}
	}
	if err != nil {
		return err
	}
	hook.Answer(w, http.StatusOK, answer)
	return nil
}
