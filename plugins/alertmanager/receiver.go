package alertmanager

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/plugins/hook"
)

const (
	tool       = "alertmanager"
	alertsMost = 1000 // in one message; more make Alertmanager truncate with max_alerts
)

// NewHook receives the webhooks of Alertmanager (version 4 of its messages), so that alerts have a vote in the
// rollouts of the service that they are about:
//
//	receivers:
//	  - name: golive
//	    webhook_configs:
//	      - url: https://golive.example.org/v1/hooks/alertmanager/
//	        send_resolved: true
//	        max_alerts: 100
//	        http_config: {authorization: {credentials_file: /etc/alertmanager/golive-token}}
//	route:
//	  routes:
//	    - {receiver: golive, matchers: ['service!=""'], continue: true, group_by: [service, environment], group_wait: 5s, group_interval: 30s}
//
// The labels service, environment and version of an alert say which rollout it is about: the latest that fits those
// that are set. Where labels are called otherwise, ?service=app&environment=env&version=release says so. An alert that
// is about no rollout, or one that is over, is no error: there is nothing to vote on. What began before the rollout does
// not vote either, but that is for the rollout to decide.
//
// Alertmanager tries again after a status 5xx alone, so that whatever is temporary is one.
func NewHook(desk guard.Desk) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !hook.Method(w, r, http.MethodPost) {
			return
		}
		answer, err := receive(w, r, desk)
		if err != nil {
			hook.Fail(w, r, err)
			return
		}
		hook.Answer(w, http.StatusOK, answer)
	})
}

// A message is what Alertmanager sends.
type message struct {
	Version   string         `json:"version"`
	Truncated int            `json:"truncatedAlerts"`
	Alerts    []notification `json:"alerts"`
}

type notification struct {
	Status      string            `json:"status"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
	Starts      time.Time         `json:"startsAt"`
	Fingerprint string            `json:"fingerprint"`
}

// check refuses a message that cannot be understood.
func (m message) check() error {
	refuse := func(format string, values ...any) error {
		return hook.Refuse(http.StatusBadRequest, format, values...)
	}
	switch {
	case m.Version != "4":
		return refuse("version is %s, and has to be \"4\"", hook.Quote(m.Version))
	case m.Truncated < 0:
		return refuse("truncatedAlerts is negative")
	case len(m.Alerts) == 0:
		return refuse("alerts are missing")
	case len(m.Alerts) > alertsMost:
		return refuse("there are more than %d alerts (set max_alerts)", alertsMost)
	}
	for i, a := range m.Alerts {
		switch {
		case a.Status != "firing" && a.Status != "resolved":
			return refuse("alerts[%d].status is %s, and has to be firing or resolved", i, hook.Quote(a.Status))
		case a.Starts.IsZero():
			return refuse("alerts[%d].startsAt is missing", i)
		case a.Fingerprint == "":
			return refuse("alerts[%d].fingerprint is missing", i)
		}
	}
	return nil
}

// alert is what a rollout is told of a notification. The same alert that begins again has another key.
func (n notification) alert() guard.Alert {
	return guard.Alert{
		Key:     n.Fingerprint + "/" + n.Starts.UTC().Format(time.RFC3339Nano),
		Name:    guard.Line(alert{Labels: n.Labels}.name(), 80),
		Since:   n.Starts,
		Ended:   n.Status == "resolved",
		Summary: guard.Line(cmp.Or(n.Annotations["summary"], n.Annotations["description"]), 200),
	}
}

// reception is the answer to a message that was heard.
type reception struct {
	Told    []ballot `json:"told"`
	Ignored []unused `json:"ignored"`
}

type ballot struct {
	Rollout string `json:"rollout"`
	Alerts  int    `json:"alerts"`
}

type unused struct {
	Alerts int    `json:"alerts"`
	Reason string `json:"reason"`
}

// receive tells every rollout of its alerts. An error may come after some were told: they know the repeat by its name.
func receive(w http.ResponseWriter, r *http.Request, desk guard.Desk) (reception, error) {
	body, err := hook.Read(w, r)
	if err != nil {
		return reception{}, err
	}
	m := message{}
	if err := hook.Decode(body, &m); err != nil {
		return reception{}, err
	}
	if err := m.check(); err != nil {
		return reception{}, err
	}
	label := func(name string) string { return cmp.Or(r.URL.Query().Get(name), name) }
	labels := [...]string{label("service"), label("environment"), label("version")}

	// A group may mix alerts of several services.
	var subjects []guard.Release
	about := map[guard.Release][]guard.Alert{}
	for _, n := range m.Alerts {
		subject := guard.Release{Service: n.Labels[labels[0]], Environment: n.Labels[labels[1]], To: n.Labels[labels[2]]}
		if subject.Service == "" {
			subject = guard.Release{}
		}
		if _, known := about[subject]; !known {
			subjects = append(subjects, subject)
		}
		about[subject] = append(about[subject], n.alert())
	}
	answer := reception{Told: []ballot{}, Ignored: []unused{}}
	ignore := func(count int, reason string) { answer.Ignored = append(answer.Ignored, unused{count, reason}) }
	voted := map[string]*guard.Voted{}
	var rollouts []string
	for _, subject := range subjects {
		alerts := about[subject]
		if subject.Service == "" {
			ignore(len(alerts), "no label "+hook.Quote(labels[0])+" says which service it is about (?service=LABEL names another)")
			continue
		}
		id, err := desk.Find(r.Context(), subject)
		switch {
		case errors.Is(err, guard.ErrNoRollout):
			ignore(len(alerts), "there is no rollout of "+hook.Quote(subject.Service))
			continue
		case err != nil:
			return reception{}, fmt.Errorf("find the rollout of %s: %w", guard.Line(subject.Service, 80), temporary(err))
		}
		if voted[id] == nil {
			rollouts, voted[id] = append(rollouts, id), &guard.Voted{Unseen: m.Truncated, By: tool}
		}
		voted[id].Alerts = append(voted[id].Alerts, alerts...)
	}
	for _, id := range rollouts {
		v := *voted[id]
		// The rollout belongs to the name, for Alertmanager says the same again after hours, maybe to the next rollout.
		d := guard.Delivery{ID: hook.ID(tool, "vote", id, string(body)), Source: tool, At: time.Now(), Body: slices.Clone(body)}
		err := desk.Tell(r.Context(), d, id, v)
		switch {
		case errors.Is(err, guard.ErrOver), errors.Is(err, guard.ErrNoRollout):
			ignore(len(v.Alerts), "the rollout "+id+" is over")
		case err != nil:
			return reception{}, fmt.Errorf("tell the rollout %s of alerts: %w", id, temporary(err))
		default:
			answer.Told = append(answer.Told, ballot{id, len(v.Alerts)})
		}
	}
	return answer, nil
}

// temporary keeps what a desk says from being answered with a status 4xx, after which Alertmanager drops the message.
func temporary(err error) error {
	if hook.Status(err) != http.StatusServiceUnavailable {
		return errors.New("the desk says: " + err.Error())
	}
	return err
}
