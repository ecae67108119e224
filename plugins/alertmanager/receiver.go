package alertmanager

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/plugins/hook"
)

const (
	tool       = "alertmanager"
	alertsMost = 1000 // in one message; more make Alertmanager truncate with max_alerts
	groupMost  = 500  // characters of a group's key that are kept
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
// is about no rollout, or one that is over, is no error: there is nothing to vote on. The answer says which label did not
// fit, and so does hook.Report, once an hour for each alert. What began before the rollout does not vote either, but that
// is for the rollout to decide.
//
// A message that comes again is told again, for nothing in it says whether it is a repeat: an alert that ends and comes
// back may be written as it was the first time. A rollout that is told twice that an alert fires is as it was after once.
//
// Alertmanager tries again after a status 5xx alone, so that whatever is temporary is one.
func NewHook(desk guard.Desk) http.Handler {
	seen := &unheard{at: map[string]time.Time{}}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !hook.Method(w, r, http.MethodPost) {
			return
		}
		answer, err := receive(w, r, desk, seen)
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
	Group     string         `json:"groupKey"`
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

// group is the name of the group that a message is complete about. One that is too long to keep, or no line, has a hash in
// its place: cut off, it could be taken for another.
func (m message) group() string {
	if guard.Line(m.Group, groupMost) != m.Group {
		return hook.ID(tool, "group", m.Group)
	}
	return m.Group
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

// unheard are alerts that were about no rollout, and when the operator was told so.
type unheard struct {
	mu sync.Mutex
	at map[string]time.Time // by the key of the alert
}

const (
	reportEvery = time.Hour
	reportsKept = 10000 // alerts; more are reported anew
)

// report lets the operator know of alerts that are about no rollout, but for those of which that was said lately.
func (u *unheard) report(ctx context.Context, alerts []guard.Alert, reason string) {
	if news := u.news(alerts, time.Now()); len(news) > 0 {
		hook.Report(ctx, fmt.Errorf("%d alerts are about no rollout (%s and so on): %s", len(news), hook.Quote(news[0].Name), reason))
	}
}

func (u *unheard) news(alerts []guard.Alert, now time.Time) (news []guard.Alert) {
	u.mu.Lock()
	defer u.mu.Unlock()
	maps.DeleteFunc(u.at, func(_ string, at time.Time) bool { return now.Sub(at) >= reportEvery })
	for _, a := range alerts {
		if _, told := u.at[a.Key]; told {
			continue
		}
		if len(u.at) >= reportsKept {
			clear(u.at)
		}
		u.at[a.Key] = now
		news = append(news, a)
	}
	return news
}

// misfit says why alerts about a subject are about no rollout. It only explains, so that what cannot be found out is
// left out.
func misfit(ctx context.Context, desk guard.Desk, subject guard.Release, labels [3]string, none error) string {
	latest := func(r guard.Release) (guard.Release, bool) {
		id, err := desk.Find(ctx, r)
		if err != nil {
			return guard.Release{}, false
		}
		_, s, err := desk.Get(ctx, id)
		return s.Release, err == nil
	}
	service := hook.Quote(subject.Service)
	if subject.To != "" {
		if is, found := latest(guard.Release{Service: subject.Service, Environment: subject.Environment}); found {
			return fmt.Sprintf("the label %s is %s, and the latest rollout of %s is of %s",
				hook.Quote(labels[2]), hook.Quote(subject.To), service, hook.Quote(is.To))
		}
	}
	if subject.Environment != "" {
		if is, found := latest(guard.Release{Service: subject.Service}); found {
			return fmt.Sprintf("the label %s is %s, and the latest rollout of %s is in %s",
				hook.Quote(labels[1]), hook.Quote(subject.Environment), service, hook.Quote(is.Environment))
		}
	}
	if errors.Is(none, guard.ErrNoPlan) {
		return hook.Cut("there is no rollout of "+service+": "+none.Error(), hook.Echo)
	}
	return "there is no rollout of " + service
}

// receive tells every rollout of its alerts. An error may come after some were told: they are told again, which changes
// nothing.
func receive(w http.ResponseWriter, r *http.Request, desk guard.Desk, seen *unheard) (reception, error) {
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
	labels := [3]string{label("service"), label("environment"), label("version")}

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
	astray := func(alerts []guard.Alert, reason string) {
		ignore(len(alerts), reason)
		seen.report(r.Context(), alerts, reason)
	}
	voted := map[string]*guard.Voted{}
	var rollouts []string
	for _, subject := range subjects {
		alerts := about[subject]
		if subject.Service == "" {
			astray(alerts, "no label "+hook.Quote(labels[0])+" says which service it is about (?service=LABEL names another)")
			continue
		}
		id, err := desk.Find(r.Context(), subject)
		switch {
		case errors.Is(err, guard.ErrNoRollout):
			astray(alerts, misfit(r.Context(), desk, subject, labels, err))
			continue
		case err != nil:
			return reception{}, fmt.Errorf("find the rollout of %s: %w", guard.Line(subject.Service, 80), temporary(err))
		}
		if voted[id] == nil {
			rollouts, voted[id] = append(rollouts, id), &guard.Voted{Unseen: m.Truncated, Group: m.group(), By: tool}
		}
		voted[id].Alerts = append(voted[id].Alerts, alerts...)
	}
	for _, id := range rollouts {
		v := *voted[id]
		// Each vote has a name of its own. Were it made of the message, an alert that fires, ends and comes back as it was would
		// be dropped as a repeat, and the rollout would go on under a firing alert.
		d := guard.Delivery{ID: hook.ID(tool, "vote", id, rand.Text()), Source: tool, At: time.Now(), Body: slices.Clone(body)}
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
