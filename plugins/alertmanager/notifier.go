package alertmanager

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/plugins/internal/client"
)

// The names of the alerts that notices become.
const (
	incidentAlert = "GoliveIncident"
	testAlert     = "GoliveTest"
)

const (
	testFires    = 5 * time.Minute // that the alert of a test does
	endedForgets = 1000            // rollouts whose end is remembered
)

// severities are the words of the label severity, by level; lesser levels have the last.
var severities = []string{1: "critical", 2: "warning", 3: "info"}

// Notifier shows an incident as an alert.
type Notifier struct {
	probe *Probe // which knows how to ask
	keep  time.Duration

	mu    sync.Mutex
	ended map[string]time.Time // by rollout: the notice that ended its alert
}

var _ guard.Notifier = (*Notifier)(nil)

// NewNotifier reads {address, keep, timeout, headers} and the client settings of a Prometheus configuration. The alert
// fires from the first notice about an incident until the one that says that it is over, or else until no notice has come
// for so long as keep says (2h): let it be twice as long as your rarest updates.
//
// It is called GoliveIncident, and has the labels service, environment, rollout, level and severity, which is critical,
// warning or info for levels 1, 2 and below. All notices about a rollout are one alert, and where the level changes the
// old one ends. Of notices that are not about an incident the urgent ones fire, and the next that is not ends it. A test
// is an alert called GoliveTest, which ends by itself.
func NewNotifier(with guard.With) (guard.Notifier, error) {
	settings := struct {
		Address string         `json:"address"`
		Keep    guard.Duration `json:"keep"`
		client.Settings
	}{Keep: guard.Duration(2 * time.Hour), Settings: client.Defaults()}
	err := errors.Join(with.Decode(&settings), settings.Check())
	if settings.Keep < guard.Duration(time.Minute) {
		err = errors.Join(err, errors.New("keep: must be at least 1m, and longer than the updates are apart"))
	}
	address, mistake := parseAddress(settings.Address)
	if err := errors.Join(err, mistake); err != nil {
		return nil, err
	}
	made, err := settings.Client()
	if err != nil {
		return nil, err
	}
	return &Notifier{
		probe: &Probe{api: address.JoinPath("api/v2"), timeout: settings.Timeout.Std(), client: made},
		keep:  settings.Keep.Std(), ended: make(map[string]time.Time),
	}, nil
}

// A posted alert is one as the API takes it.
type posted struct {
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations,omitempty"`
	Starts      time.Time         `json:"startsAt"`
	Ends        time.Time         `json:"endsAt"`
}

// Notify fires the alert, keeps it firing, or ends it. A repeat does the same again. A notice from before the end, which
// comes after it, is not shown any more.
func (n *Notifier) Notify(ctx context.Context, notice guard.Notice) (guard.Receipt, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, n.probe.timeout, fmt.Errorf("no answer within %v", n.probe.timeout))
	defer cancel()
	detail, err := n.show(ctx, notice, time.Now().UTC())
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return guard.Receipt{}, fmt.Errorf("post to %s: %w", n.probe.api.Host, err)
	}
	return guard.Receipt{Detail: n.probe.api.Host + " " + detail}, nil
}

func (n *Notifier) show(ctx context.Context, notice guard.Notice, now time.Time) (detail string, err error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	if notice.Passing {
		return "has no alert for how far a rollout is", nil
	}
	labels := labelsOf(notice)
	fires := notice.Audience != "" && !notice.Ends || notice.Urgent
	if notice.News == guard.NewsTest {
		labels["alertname"] = testAlert
		test := n.alert(notice, labels, now.Add(testFires))
		return "has the alert of a test", n.post(ctx, []posted{test})
	}
	if fires && n.late(notice) {
		return "is not told again what is over", nil
	}
	firing, err := n.firing(ctx, notice.Release.ID)
	if err != nil {
		return "", err
	}
	var all []posted
	for _, old := range firing {
		if !fires || old.Labels["level"] != labels["level"] || old.Labels["severity"] != labels["severity"] {
			all = append(all, posted{Labels: old.Labels, Annotations: old.Annotations, Starts: old.Starts, Ends: now})
		}
	}
	detail = "has no alert of it any more"
	if fires {
		detail = "has the alert"
		all = append(all, n.alert(notice, labels, now.Add(n.keep)))
	}
	if len(all) > 0 {
		err = n.post(ctx, all)
	}
	if err == nil && !fires {
		n.end(notice)
	}
	return detail, err
}

// alert is the one that a notice asks for.
func (n *Notifier) alert(notice guard.Notice, labels map[string]string, until time.Time) posted {
	a := posted{
		Labels: labels, Starts: notice.At.UTC(), Ends: until,
		Annotations: map[string]string{
			"summary": notice.Headline(), "description": strings.TrimRight(guard.Printable(notice.Text), "\n"), "key": guard.Line(notice.Key, 200),
		},
	}
	if notice.Reply != "" {
		a.Annotations["reply"] = guard.Line(notice.Reply, 2000)
	}
	return a
}

// labelsOf are what makes an alert the one that it is. Alertmanager takes an empty label for one that is not there.
func labelsOf(notice guard.Notice) map[string]string {
	r := notice.Release
	severity := severities[len(severities)-1]
	if notice.Level > 0 && notice.Level < len(severities) {
		severity = severities[notice.Level]
	}
	labels := map[string]string{
		"alertname": incidentAlert, "service": r.Service, "environment": r.Environment, "rollout": r.ID, "severity": severity,
	}
	switch {
	case notice.Level > 0:
		labels["level"] = strconv.Itoa(notice.Level)
	case notice.Urgent:
		labels["severity"] = severities[1]
	}
	for name, value := range labels {
		if labels[name] = guard.Line(value, 200); value == "" {
			delete(labels, name)
		}
	}
	return labels
}

// late says that the alert of the rollout was ended by a later notice.
func (n *Notifier) late(notice guard.Notice) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return notice.At.Before(n.ended[notice.Release.ID])
}

func (n *Notifier) end(notice guard.Notice) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.ended) >= endedForgets {
		clear(n.ended)
	}
	n.ended[notice.Release.ID] = notice.At
}

// firing are the alerts of the rollout that are there, also where they are silenced.
func (n *Notifier) firing(ctx context.Context, rollout string) (all []posted, err error) {
	id, err := json.Marshal(guard.Line(rollout, 200))
	if err != nil {
		return nil, err
	}
	body, err := n.probe.get(ctx, "alerts", url.Values{"filter": {`alertname="` + incidentAlert + `"`, "rollout=" + string(id)}})
	if err == nil {
		err = parse(body, &all)
	}
	return all, err
}

func (n *Notifier) post(ctx context.Context, all []posted) error {
	body, err := json.Marshal(all)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, n.probe.api.JoinPath("alerts").String(), bytes.NewReader(body))
	if err != nil {
		return errors.New("its address cannot be read")
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := client.Do(n.probe.client, request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	answer, err := client.ReadAll(response.Body, bodyBytes)
	if err != nil {
		return err
	}
	if response.StatusCode/100 != 2 {
		return fmt.Errorf("it answers status %d: %s", response.StatusCode, guard.Line(string(answer), 200))
	}
	return nil
}
