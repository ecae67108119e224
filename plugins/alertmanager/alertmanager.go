// Package alertmanager makes a probe of the alerts that are firing now, asked of a Prometheus Alertmanager or
// whatever speaks its API v2: Mimir, Cortex, Grafana. It also receives what Alertmanager sends by itself (receiver.go).
package alertmanager

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/plugins/internal/client"
)

const (
	bodyBytes = 16 << 20 // of one answer
	named     = 5        // alerts that a finding names
)

// Probe asks one server.
type Probe struct {
	api       *url.URL
	matchers  []string
	heartbeat string
	settle    time.Duration
	timeout   time.Duration
	client    *http.Client
}

var _ guard.Probe = (*Probe)(nil)

// NewProbe reads {address, matchers, heartbeat, settle, timeout, headers} and the client settings of a Prometheus
// configuration. The probe passes if no alert fires that fits all the matchers (those of amtool, such as
// service="shop" or severity=~"page|critical"; none: every alert), is not silenced and not inhibited.
//
// That no alert fires may also mean that nobody sends any. A heartbeat is the name of an alert that always fires,
// often Watchdog; where it does not, nothing is known. An Alertmanager that started less than settle ago (2m) has
// not heard of everything that fires, so that its silence says nothing either.
func NewProbe(with guard.With) (guard.Probe, error) {
	settings := struct {
		Address   string         `json:"address"`
		Matchers  []string       `json:"matchers"`
		Heartbeat string         `json:"heartbeat"`
		Settle    guard.Duration `json:"settle"`
		client.Settings
	}{Settle: guard.Duration(2 * time.Minute), Settings: client.Defaults()}
	err := errors.Join(with.Decode(&settings), settings.Check())
	for i, matcher := range settings.Matchers {
		if !strings.Contains(matcher, "=") && !strings.Contains(matcher, "!~") {
			err = errors.Join(err, fmt.Errorf(`matchers[%d]: %q is no matcher (like service="shop")`, i, matcher))
		}
	}
	address, mistake := parseAddress(settings.Address)
	if err := errors.Join(err, mistake); err != nil {
		return nil, err
	}
	made, err := settings.Client()
	if err != nil {
		return nil, err
	}
	return &Probe{
		api: address.JoinPath("api/v2"), matchers: settings.Matchers, heartbeat: settings.Heartbeat,
		settle: settings.Settle.Std(), timeout: settings.Timeout.Std(), client: made,
	}, nil
}

func parseAddress(text string) (*url.URL, error) {
	if text == "" {
		return nil, errors.New("address: missing (like http://127.0.0.1:9093)")
	}
	address, err := client.ParseURL(text)
	if err != nil {
		return nil, fmt.Errorf("address: %w", err)
	}
	return address, nil
}

// Probe asks. Alerts that fire are a finding, whatever else is wrong; their absence has to be believable.
func (p *Probe) Probe(ctx context.Context, _ guard.Release) (guard.Finding, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, p.timeout, fmt.Errorf("no answer within %v", p.timeout))
	defer cancel()
	finding, err := p.look(ctx)
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		return guard.Finding{}, fmt.Errorf("ask %s: %w", p.api.Host, err)
	}
	return finding, nil
}

func (p *Probe) look(ctx context.Context) (guard.Finding, error) {
	firing, digest, err := p.alerts(ctx, p.matchers, "false")
	if err != nil {
		return guard.Finding{}, err
	}
	firing = slices.DeleteFunc(firing, func(a alert) bool { return p.heartbeat != "" && a.name() == p.heartbeat })
	which := "no alert"
	if len(p.matchers) > 0 {
		which = "no alert with " + guard.Line(strings.Join(p.matchers, ", "), 200)
	}
	f := guard.Finding{
		Verdict:  guard.Pass,
		Subject:  p.api.Host,
		Title:    which + " is firing",
		Expected: which,
		Observed: "none",
	}
	if len(firing) == 0 {
		err = errors.Join(p.beats(ctx), p.settled(ctx, time.Now()))
	} else {
		f.Verdict = guard.Fail
		f.Observed = told(firing)
		f.Reason = "firing: " + f.Observed
		f.Remedy = "mend what they tell about, or silence them in Alertmanager until the launch is over"
	}
	f.Evidence = []guard.Evidence{{Asked: p.api.Host + " for active alerts", Answer: f.Observed, Digest: digest}}
	return f, err
}

// An alert is what the server says of one.
type alert struct {
	Labels map[string]string `json:"labels"`
	Starts time.Time         `json:"startsAt"`
}

func (a alert) name() string { return cmp.Or(a.Labels["alertname"], "an alert without a name") }

// alerts asks for those that fit all the matchers, the longest firing first; also for muted ones, which are silenced or
// inhibited, if muted is "true".
func (p *Probe) alerts(ctx context.Context, matchers []string, muted string) (all []alert, digest string, err error) {
	query := url.Values{"active": {"true"}, "unprocessed": {"true"}, "silenced": {muted}, "inhibited": {muted}, "filter": matchers}
	body, err := p.get(ctx, "alerts", query)
	if err != nil {
		return nil, "", err
	}
	if err := parse(body, &all); err != nil {
		return nil, "", err
	}
	for _, a := range all {
		if len(a.Labels) == 0 || a.Starts.IsZero() {
			return nil, "", errors.New("it answers with an alert that has no labels, or no beginning")
		}
	}
	slices.SortStableFunc(all, func(a, b alert) int { return a.Starts.Compare(b.Starts) })
	sum := sha256.Sum256(body)
	return all, hex.EncodeToString(sum[:]), nil
}

// beats wants the alert that always fires.
func (p *Probe) beats(ctx context.Context) error {
	if p.heartbeat == "" {
		return nil
	}
	name, err := json.Marshal(p.heartbeat)
	if err != nil {
		return err
	}
	all, _, err := p.alerts(ctx, []string{"alertname=" + string(name)}, "true")
	if err == nil && len(all) == 0 {
		err = fmt.Errorf("no alert is firing, not even %s, which always fires: so nobody sends it alerts", p.heartbeat)
	}
	return err
}

// settled wants the server to run for long enough to have heard of all that fires.
func (p *Probe) settled(ctx context.Context, now time.Time) error {
	if p.settle <= 0 {
		return nil
	}
	body, err := p.get(ctx, "status", nil)
	if err != nil {
		return err
	}
	var status struct {
		Started time.Time `json:"uptime"` // which the API calls what it is not
	}
	if err := parse(body, &status); err != nil {
		return err
	}
	if status.Started.IsZero() {
		return errors.New("it does not say since when it runs (settle: 0s does without)")
	}
	if up := now.Sub(status.Started); up < p.settle {
		return fmt.Errorf("no alert is firing, but it runs only for %s, and may not have heard of all (settle: %s)",
			span(max(0, up)), guard.Duration(p.settle))
	}
	return nil
}

// get asks the API.
func (p *Probe) get(ctx context.Context, call string, query url.Values) ([]byte, error) {
	address := p.api.JoinPath(call)
	address.RawQuery = query.Encode()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address.String(), nil)
	if err != nil {
		return nil, errors.New("its address cannot be read")
	}
	request.Header.Set("Accept", "application/json")
	response, err := client.Do(p.client, request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := client.ReadAll(response.Body, bodyBytes)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("it answers status %d: %s", response.StatusCode, guard.Line(string(body), 200))
	}
	return body, nil
}

// parse reads an answer, which may not be null.
func parse(body []byte, into any) error {
	if err := json.Unmarshal(body, into); err != nil || strings.TrimSpace(string(body)) == "null" {
		return fmt.Errorf("it answers %.100q, which is not the API v2 of Alertmanager", body)
	}
	return nil
}

// told names alerts, each name once, with the time since when the first of them fires.
func told(firing []alert) string {
	var names []string
	first, count := map[string]time.Time{}, map[string]int{}
	for _, a := range firing {
		name := a.name()
		if count[name]++; count[name] == 1 {
			names, first[name] = append(names, name), a.Starts
		}
	}
	var texts []string
	for _, name := range names[:min(named, len(names))] {
		text := guard.Line(name, 80)
		if n := count[name]; n > 1 {
			text += fmt.Sprintf(" (%d of them)", n)
		}
		texts = append(texts, text+" since "+first[name].UTC().Format("2006-01-02 15:04 UTC"))
	}
	if more := len(names) - named; more > 0 {
		texts = append(texts, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(texts, ", ")
}

func span(d time.Duration) string { return guard.Duration(d.Truncate(time.Second)).String() }
