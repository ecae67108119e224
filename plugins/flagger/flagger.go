// Package flagger lets Flagger ask golive: it hears all eight kinds of webhooks of a Canary, and answers Flagger's
// queries as a metrics server. Flagger moves the traffic, golive watches (guard.ToWatch).
//
// A Canary asks golive for everything that golive knows, and Flagger's own threshold stays out of the way:
//
//	apiVersion: flagger.app/v1beta1
//	kind: Canary
//	metadata: {name: checkout, namespace: prod}
//	spec:
//	  analysis:
//	    interval: 10s
//	    threshold: 100        # failed checks; golive goes back by the rollback hook
//	    maxWeight: 50
//	    stepWeight: 10
//	    webhooks:
//	      - {name: gate, type: confirm-rollout, url: "http://golive.golive:8457/v1/hooks/flagger/confirm-rollout?token=TOKEN", metadata: &golive {environment: prod}}
//	      - {name: begin, type: pre-rollout, timeout: 60s, url: "http://golive.golive:8457/v1/hooks/flagger/pre-rollout?token=TOKEN", metadata: *golive}
//	      - {name: watch, type: rollout, url: "http://golive.golive:8457/v1/hooks/flagger/rollout?token=TOKEN", metadata: *golive}
//	      - {name: hold, type: confirm-traffic-increase, url: "http://golive.golive:8457/v1/hooks/flagger/confirm-traffic-increase?token=TOKEN", metadata: *golive}
//	      - {name: promote, type: confirm-promotion, url: "http://golive.golive:8457/v1/hooks/flagger/confirm-promotion?token=TOKEN", metadata: *golive}
//	      - {name: back, type: rollback, url: "http://golive.golive:8457/v1/hooks/flagger/rollback?token=TOKEN", metadata: *golive}
//	      - {name: end, type: post-rollout, url: "http://golive.golive:8457/v1/hooks/flagger/post-rollout?token=TOKEN", metadata: *golive}
//	      - {name: story, type: event, url: "http://golive.golive:8457/v1/hooks/flagger/event?token=TOKEN", metadata: *golive}
//
// The Canary's name is the service of the plan, its namespace the environment, the checksum that Flagger makes of the
// pods the new version, and "primary" the old one; metadata.service, metadata.environment, metadata.to and metadata.from
// say otherwise. A plan without an environment needs metadata.environment: "". The pods do not know the checksum: write
// selectors that tell the two Deployments apart, and mode: observe, for Flagger alone moves the traffic.
//
// The rollback hook rolls back when it answers 200, and does nothing when golive cannot be asked: where golive is down,
// nobody but Flagger's own metrics guards the canary. A version that golive has taken back is not begun again until
// another one has been released, for Flagger's tries of one version cannot be told apart: change the pods (an
// annotation will do) or metadata.to.
//
// As a metrics server, golive answers golive_verdict with 1 for healthy, 0.5 for not enough evidence, 0.25 where it
// cannot see, and 0 for regressed. What it does not know is no data, which Flagger counts as a failed check:
//
//	apiVersion: flagger.app/v1beta1
//	kind: MetricTemplate
//	metadata: {name: golive}
//	spec:
//	  provider: {type: prometheus, address: "http://golive.golive:8457/v1/hooks/flagger/metrics", secretRef: {name: golive}}
//	  query: golive_verdict{service="{{ target }}", environment="{{ namespace }}"}
//
// with thresholdRange {min: 0.25}, and the rollout begun by the hooks.
package flagger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"sync"
	"time"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/plugins/hook"
)

const (
	source = "flagger"
	tick   = 10 * time.Second // Flagger raises shorter intervals to this
)

// NewHook hears Flagger at the paths /confirm-rollout, /pre-rollout, /rollout, /confirm-traffic-increase,
// /confirm-promotion, /post-rollout, /rollback and /event, and answers queries at /metrics/api/v1/query. A go is always
// 200, for Flagger takes everything above 202 for a failure. Every message may come again.
func NewHook(desk guard.Desk) http.Handler {
	h := &handler{desk: desk, first: make(map[string]time.Time)}
	mux := http.NewServeMux()
	for path, hear := range map[string]func(context.Context, message) (answer, error){
		"/confirm-rollout":          h.confirmRollout,
		"/pre-rollout":              h.preRollout,
		"/rollout":                  h.rollout,
		"/confirm-traffic-increase": h.confirmTrafficIncrease,
		"/confirm-promotion":        h.confirmPromotion,
		"/post-rollout":             h.postRollout,
		"/rollback":                 h.rollback,
		"/event":                    h.event,
	} {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			if !hook.Method(w, r, http.MethodPost) {
				return
			}
			m, err := read(w, r)
			var a answer
			if err == nil {
				a, err = hear(r.Context(), m)
			}
			if err != nil {
				hook.Fail(w, r, err)
				return
			}
			status := http.StatusOK
			if !a.Go {
				status = http.StatusForbidden
			}
			hook.Answer(w, status, a)
		})
	}
	mux.HandleFunc("/metrics/api/v1/query", h.query)
	return mux
}

type handler struct {
	desk guard.Desk

	mu    sync.Mutex
	first map[string]time.Time // when a rollout without any traffic was last told that it may have some
}

// An answer is a 200 if Go, else a 403.
type answer struct {
	Go      bool          `json:"go"`
	Verdict guard.Opinion `json:"verdict"`
	Reason  string        `json:"reason,omitempty"`
	Rollout string        `json:"rollout,omitempty"`
}

// A message is what Flagger sends, understood.
type message struct {
	guard.Release // without ID
	canary        // as it was sent
	body          []byte
	at            time.Time
}

type canary struct {
	Name      string            `json:"name"`
	Namespace string            `json:"namespace"`
	Phase     string            `json:"phase"`
	Checksum  string            `json:"checksum"`
	Metadata  map[string]string `json:"metadata"`
}

func read(w http.ResponseWriter, r *http.Request) (m message, err error) {
	m.at = time.Now()
	if m.body, err = hook.Read(w, r); err != nil {
		return m, err
	}
	if err := hook.Decode(m.body, &m.canary); err != nil {
		return m, err
	}
	said := func(key, otherwise string) string {
		if value, ok := m.Metadata[key]; ok {
			return value
		}
		return otherwise
	}
	m.Release = guard.Release{
		Service: said("service", m.Name), Environment: said("environment", m.Namespace),
		From: said("from", "primary"), To: said("to", m.Checksum),
	}
	for _, field := range []struct{ name, value string }{{"name", m.Name}, {"namespace", m.Namespace}, {"checksum", m.Checksum}} {
		if err := hook.Name(field.name, field.value, false); err != nil {
			return m, err
		}
	}
	return m, hook.Release(m.Release)
}

// delivery names what came in. Flagger gives its messages no names, so that the parts say which are the same.
func (m message) delivery(kind string, parts ...string) guard.Delivery {
	kept := m.canary
	kept.Metadata = maps.Clone(m.Metadata)
	delete(kept.Metadata, "token") // Flagger can send no headers: some put it here
	body, err := json.Marshal(kept)
	if err != nil {
		panic(err) // strings are always JSON
	}
	parts = append([]string{m.Service, m.Environment, m.To, m.Name, m.Namespace}, parts...)
	return guard.Delivery{ID: hook.ID(source, kind, parts...), Source: source, At: m.at, Body: body}
}

// A stand is where the rollout of a message stands. The zero value is none.
type stand struct {
	id      string
	state   guard.State
	opinion guard.Opinion
}

func (s stand) answer(proceed bool) answer {
	return answer{Go: proceed, Verdict: s.opinion, Reason: hook.Why(s.state, s.opinion), Rollout: s.id}
}

// latest is the latest rollout of the service, whatever version it brings. There may be none, which is no error.
func (h *handler) latest(ctx context.Context, m message) (s stand, err error) {
	s.id, err = h.desk.Find(ctx, guard.Release{Service: m.Service, Environment: m.Environment})
	if errors.Is(err, guard.ErrNoRollout) {
		return stand{}, nil
	}
	if err != nil {
		return stand{}, err
	}
	plan, state, err := h.desk.Get(ctx, s.id)
	if err != nil {
		return stand{}, err
	}
	s.state, s.opinion = state, hook.Opinion(plan, state, m.at)
	return s, nil
}

// known is the rollout that a message is about. One of the same version that is older than the latest is not: what
// became of that says nothing about this try.
func (h *handler) known(ctx context.Context, m message) (stand, error) {
	s, err := h.latest(ctx, m)
	if err == nil && s.state.Release.To != m.To {
		return stand{}, nil
	}
	return s, err
}

// begun is the rollout that a message is about, which is opened if there is none yet. again says that one that
// ended without an answer against the version begins anew.
func (h *handler) begun(ctx context.Context, m message, again bool) (stand, error) {
	last, err := h.latest(ctx, m)
	if err != nil {
		return stand{}, err
	}
	if last.id != "" && last.state.Release.To == m.To && (!again || !ended(last.state)) {
		return last, nil
	}
	// The rollout before is part of the name: a version that comes back later is not the one of then.
	id, err := h.desk.Open(ctx, m.delivery("open", last.id), m.Release, guard.ToWatch)
	if err != nil {
		return stand{}, err
	}
	plan, state, err := h.desk.Get(ctx, id)
	if err != nil {
		return stand{}, err
	}
	return stand{id: id, state: state, opinion: hook.Opinion(plan, state, m.at)}, nil
}

// ended says whether a rollout is over in a way that another one of the same version may follow.
func ended(s guard.State) bool {
	return s.Outcome == guard.Live || s.Outcome == guard.Overdue && s.Cause == ""
}

// checked asks the checks. Only a pass or a warning is a go.
func (h *handler) checked(ctx context.Context, m message) (answer, error) {
	findings, err := h.desk.Check(ctx, m.Release)
	if err != nil {
		return answer{}, err
	}
	worst := guard.Worst(findings)
	if worst == guard.Pass || worst == guard.Warn {
		return answer{Go: true, Reason: "the checks pass"}, nil
	}
	for _, f := range findings {
		if f.Counts() == worst {
			return answer{Reason: hook.Cut(fmt.Sprintf("%s: %s: %s", f.ID, worst, f.Reason), hook.Echo)}, nil
		}
	}
	return answer{Reason: "there was nothing to check"}, nil
}

func (h *handler) confirmRollout(ctx context.Context, m message) (answer, error) {
	return h.checked(ctx, m)
}

func (h *handler) preRollout(ctx context.Context, m message) (answer, error) {
	s, err := h.known(ctx, m)
	if err != nil {
		return answer{}, err
	}
	if s.id == "" || ended(s.state) {
		if a, err := h.checked(ctx, m); err != nil || !a.Go {
			return a, err
		}
		if s, err = h.begun(ctx, m, true); err != nil {
			return answer{}, err
		}
	}
	return s.answer(s.opinion != guard.Harmful && s.state.Phase != guard.Over), nil
}

// rollout says no to what does harm alone: Flagger counts each no, and what is not known yet is held elsewhere.
func (h *handler) rollout(ctx context.Context, m message) (answer, error) {
	s, err := h.begun(ctx, m, false)
	if err != nil {
		return answer{}, err
	}
	return s.answer(s.opinion != guard.Harmful), nil
}

// confirmTrafficIncrease lets a healthy version have more. The first traffic is given before there can be any evidence,
// once the rollout stands by to watch it.
func (h *handler) confirmTrafficIncrease(ctx context.Context, m message) (answer, error) {
	s, err := h.begun(ctx, m, false)
	if err != nil {
		return answer{}, err
	}
	a := s.answer(s.opinion == guard.Healthy)
	if a.Go || s.state.Phase != guard.Watching || s.state.Seen != 0 || s.opinion != guard.Insufficient {
		h.forget(s.id)
		return a, nil
	}
	switch {
	case s.state.Held != "" || len(s.state.Alerts) > 0:
	case h.mayBegin(s, m.at):
		a.Go, a.Reason = true, "there is no traffic yet, and golive stands by to watch it"
	default:
		a.Reason = "the first traffic has been let through, and golive has not seen it yet"
	}
	return a, nil
}

// mayBegin says whether a version without traffic may have its first. Flagger asks again before golive has looked
// again, and a second go would be a second step; so that one waits for a look after Flagger has moved the traffic.
// Kept in memory: after a restart of golive, one step may come too early.
func (h *handler) mayBegin(s stand, now time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if at, before := h.first[s.id]; before && s.state.Looked.Before(at.Add(tick)) {
		return false
	}
	if len(h.first) >= 10000 { // canaries that Flagger never asks about again
		clear(h.first)
	}
	h.first[s.id] = now
	return true
}

func (h *handler) forget(id string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.first, id)
}

func (h *handler) confirmPromotion(ctx context.Context, m message) (answer, error) {
	s, err := h.known(ctx, m)
	if err != nil || s.opinion != guard.Healthy || s.state.Phase == guard.Over {
		return s.answer(s.opinion == guard.Healthy), err
	}
	// What Flagger does next takes all traffic away from the canary: its version is in the place of the old one then.
	// golive must not take that for a way back.
	d := m.delivery("promote", s.id)
	err = h.desk.Tell(ctx, d, s.id, guard.Ordered{Verb: guard.OrderConclude, By: source, Why: "it is promoted"})
	if errors.Is(err, guard.ErrOver) {
		err = nil
	}
	return s.answer(err == nil), err
}

// rollback is the one hook whose 200 moves traffic: it is given for what does harm, and for nothing else.
func (h *handler) rollback(ctx context.Context, m message) (answer, error) {
	s, err := h.known(ctx, m)
	return s.answer(s.opinion == guard.Harmful), err
}

func (h *handler) postRollout(ctx context.Context, m message) (answer, error) {
	if err := hook.Name("phase", m.Phase, false); err != nil {
		return answer{}, err
	}
	text := "Flagger has ended the canary: phase " + m.Phase
	if m.Phase == "Failed" {
		text = "Flagger has gone back by itself: phase Failed"
	}
	return h.note(ctx, m, "post-rollout", text, m.Phase)
}

func (h *handler) event(ctx context.Context, m message) (answer, error) {
	text := m.Metadata["eventMessage"]
	if text == "" {
		return answer{}, hook.Refuse(http.StatusBadRequest, "metadata.eventMessage is missing: this is the hook of type event")
	}
	text = fmt.Sprintf("Flagger (%s, phase %s): %s", m.Metadata["eventType"], m.Phase, text)
	return h.note(ctx, m, "event", hook.Cut(text, 1000), string(m.body))
}

// note keeps a text with the rollout. Where there is none, or it is over, there is nothing to keep it with: Flagger
// sends events of all canaries, from before they begin until after they end.
func (h *handler) note(ctx context.Context, m message, kind, text string, parts ...string) (answer, error) {
	s, err := h.known(ctx, m)
	if err != nil {
		return answer{}, err
	}
	a := s.answer(true)
	if s.id == "" {
		a.Reason = "golive knows no rollout of this, and keeps nothing"
		return a, nil
	}
	err = h.desk.Tell(ctx, m.delivery(kind, append([]string{s.id}, parts...)...), s.id, guard.Noted{Text: text, By: source})
	if errors.Is(err, guard.ErrOver) {
		a.Reason = "the rollout is over, and golive keeps nothing"
		return a, nil
	}
	return a, err
}
