// Package cdevents speaks CDEvents, the events of continuous delivery (https://cdevents.dev), version 0.5: it hears
// of deployments (hook.go), and tells what became of rollouts (this file). It writes the events itself, because the
// SDK of CDEvents adds 2.8 MB to a program; its schemas hold the tests to the standard.
//
// Who sends events to golive posts them as CloudEvents over HTTP, binary or structured, to /v1/hooks/NAME/; a sink of
// Knative, for one:
//
//	apiVersion: eventing.knative.dev/v1
//	kind: Trigger
//	metadata: {name: golive}
//	spec:
//	  broker: default
//	  filters: [{prefix: {type: dev.cdevents.service.}}]
//	  subscriber: {uri: "https://golive.example.org/v1/hooks/cdevents/?token=..."}
//
// And golive sends them to whatever takes CloudEvents over HTTP:
//
//	notify:
//	  - use: cdevents
//	    with: {url: "https://broker.example.org/default", token: "${BROKER_TOKEN}", artifact: "pkg:oci/shop@{{.To}}"}
package cdevents

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/prometheus/common/config"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/plugins/internal/client"
)

const (
	specVersion = "0.5.1"  // of the events that are sent
	answerBytes = 64 << 10 // of an answer to an event
	structured  = "application/cloudevents+json"
	producer    = "golive" // customData.producer of golive's own events
)

// A Notifier sends notices as events.
type Notifier struct {
	url      *url.URL
	source   string
	artifact guard.Template
	timeout  time.Duration
	client   *http.Client
}

var _ guard.Notifier = (*Notifier)(nil)

// NewNotifier reads {url, source, artifact, token, timeout, headers} and the client settings of a Prometheus
// configuration. Events go to the url as structured CloudEvents, from the source (default /golive), with the token as
// a bearer. The artifact is the package URL of a version; in it, {{.To}} is the version that the event is about, also
// when that is the old one (default pkg:generic/{{.Service}}@{{.To}}).
//
// A notice that the new version is live is a service.upgraded (service.deployed, if it is the first); that it goes
// back, would go back, or could not go back, an incident.detected; that it is back, a service.rolledback (service.removed,
// if it was the first) and an incident.resolved. The incident is called as the rollout. Where the plan has people answer
// it, what the team hears counts: that it is opened is the incident.detected, that it is back the service.rolledback, and
// the incident.resolved follows when somebody stands it down. Every other notice is an event of golive's own,
// dev.cdeventsx.golive-rollout.noticed. The id of an event is the key of its notice.
func NewNotifier(with guard.With) (guard.Notifier, error) {
	settings := struct {
		URL      string         `json:"url"`
		Source   string         `json:"source"`
		Artifact guard.Template `json:"artifact"`
		Token    string         `json:"token"`
		client.Settings
	}{Source: "/golive", Artifact: "pkg:generic/{{.Service}}@{{.To}}", Settings: client.Defaults()}
	err := errors.Join(with.Decode(&settings), settings.Check())
	wrong := func(text string) { err = errors.Join(err, errors.New(text)) }
	var address *url.URL
	if settings.URL == "" {
		wrong("url: missing (where events are taken, like https://broker.example.org/default)")
	} else if parsed, mistake := client.ParseURL(settings.URL); mistake != nil {
		wrong("url: " + mistake.Error())
	} else {
		address = parsed
	}
	if _, mistake := url.Parse(settings.Source); mistake != nil || settings.Source == "" {
		wrong("source: must be a URI reference (like /golive)")
	}
	if filled, mistake := guard.FillURL(settings.Artifact, sample.Words()); mistake != nil {
		wrong("artifact: " + mistake.Error())
	} else if !strings.HasPrefix(filled, "pkg:") {
		wrong("artifact: must be a package URL (like pkg:oci/shop@{{.To}})")
	}
	if settings.Token != "" {
		if settings.Authorization != nil || settings.BasicAuth != nil || settings.OAuth2 != nil || settings.BearerToken != "" || settings.BearerTokenFile != "" {
			wrong("token: there is another way to log in too (keep one of them)")
		}
		settings.Authorization = &config.Authorization{Type: "Bearer", Credentials: config.Secret(settings.Token)}
	}
	if err != nil {
		return nil, err
	}
	made, err := settings.Client()
	if err != nil {
		return nil, err
	}
	return &Notifier{url: address, source: settings.Source, artifact: settings.Artifact, timeout: settings.Timeout.Std(), client: made}, nil
}

// sample fills a template once, so that a mistake is found before the launch.
var sample = guard.Release{ID: "x", Service: "x", Environment: "x", From: "x", To: "x"}

// Notify sends what a notice means, one event after the other. An error leaves open which of them arrived; a
// repeat sends all of them again, under the same ids.
func (n *Notifier) Notify(ctx context.Context, notice guard.Notice) (guard.Receipt, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, n.timeout, fmt.Errorf("no answer within %v", n.timeout))
	defer cancel()
	events, err := n.events(notice)
	if err != nil {
		return guard.Receipt{}, err
	}
	var types []string
	for _, e := range events {
		if err := n.send(ctx, e); err != nil {
			if ctx.Err() != nil {
				err = context.Cause(ctx)
			}
			return guard.Receipt{}, fmt.Errorf("post %s to %s: %w", e.Context.Type, n.url.Host, err)
		}
		types = append(types, e.Context.Type)
	}
	return guard.Receipt{Detail: n.url.Host + " took " + strings.Join(types, " and ")}, nil
}

// An event is a CDEvent.
type event struct {
	Context        meta           `json:"context"`
	Subject        subject        `json:"subject"`
	CustomData     map[string]any `json:"customData,omitempty"`
	CustomDataType string         `json:"customDataContentType,omitempty"`
}

type meta struct {
	SpecVersion string    `json:"specversion"`
	ID          string    `json:"id"`
	ChainID     string    `json:"chainId,omitempty"`
	Source      string    `json:"source"`
	Type        string    `json:"type"`
	Timestamp   time.Time `json:"timestamp"`
}

type subject struct {
	ID      string         `json:"id"`
	Source  string         `json:"source,omitempty"`
	Content map[string]any `json:"content"`
}

// The types of events that are sent.
const (
	deployed   = "dev.cdevents.service.deployed.0.3.0"
	upgraded   = "dev.cdevents.service.upgraded.0.3.0"
	rolledBack = "dev.cdevents.service.rolledback.0.3.0"
	removed    = "dev.cdevents.service.removed.0.3.0"
	detected   = "dev.cdevents.incident.detected.0.3.0"
	resolved   = "dev.cdevents.incident.resolved.0.3.0"
	noticed    = "dev.cdeventsx.golive-rollout.noticed.0.1.0"
)

// goingBack is the title of the notice that a rollout goes back, which guard writes.
const goingBack = "going back"

// events says a notice in events.
func (n *Notifier) events(notice guard.Notice) ([]event, error) {
	r := notice.Release
	now, err := n.purl(r, r.To)
	if err != nil {
		return nil, err
	}
	before, err := n.purl(r, r.From)
	if err != nil {
		return nil, err
	}
	service := cmp.Or(r.Service, "unknown")
	at := map[string]any{"id": cmp.Or(r.Environment, "unknown")}
	incident := func(kind string) event {
		return n.event(notice, kind, notice.Key+"/incident", r.ID, map[string]any{
			"environment": at, "service": map[string]any{"id": service}, "artifactId": now, "description": notice.Title + ": " + notice.Text,
		})
	}
	of := func(kind, artifact string) event {
		content := map[string]any{"environment": at}
		if artifact != "" {
			content["artifactId"] = artifact
		}
		return n.event(notice, kind, notice.Key, service, content)
	}
	back := func() event {
		if r.First() {
			return of(removed, "")
		}
		return of(rolledBack, before)
	}
	switch title := notice.Title; {
	case notice.News != "" && notice.Audience != "team": // which hears the same news, perhaps through this channel too
	case notice.News == guard.NewsOpened:
		return []event{incident(detected)}, nil
	case notice.News == guard.NewsRecovered && notice.Outcome == guard.RolledBack:
		return []event{back()}, nil
	case notice.News == guard.NewsStoodDown:
		return []event{incident(resolved)}, nil
	case notice.News != "": // an incident.reported would need the address of a ticket
	case title == string(guard.Live) && r.First():
		return []event{of(deployed, now)}, nil
	case title == string(guard.Live):
		return []event{of(upgraded, now)}, nil
	case title == string(guard.RolledBack):
		return []event{back(), incident(resolved)}, nil
	case title == goingBack, title == string(guard.WouldRollBack), title == string(guard.RollbackFailed), title == string(guard.ForwardOnly):
		return []event{incident(detected)}, nil
	}
	content := map[string]any{
		"environment": at, "service": map[string]any{"id": service}, "artifactId": now,
		"title": notice.Title, "text": notice.Text, "urgent": notice.Urgent,
	}
	if notice.News != "" {
		content["news"], content["audience"], content["level"] = string(notice.News), notice.Audience, notice.Level
	}
	return []event{n.event(notice, noticed, notice.Key, r.ID, content)}, nil
}

func (n *Notifier) event(notice guard.Notice, kind, id, about string, content map[string]any) event {
	return event{
		Context: meta{SpecVersion: specVersion, ID: id, ChainID: notice.Release.ID, Source: n.source, Type: kind, Timestamp: notice.At.UTC()},
		Subject: subject{ID: cmp.Or(about, "unknown"), Source: n.source, Content: content},
		CustomData: map[string]any{
			"producer": producer, "rollout": notice.Release.ID, "from": notice.Release.From, "to": notice.Release.To,
			"title": notice.Title, "text": notice.Text,
		},
		CustomDataType: "application/json",
	}
}

// purl is the package URL of a version, which may be one itself.
func (n *Notifier) purl(r guard.Release, version string) (string, error) {
	if strings.HasPrefix(version, "pkg:") {
		return version, nil
	}
	r.To = version
	filled, err := guard.FillURL(n.artifact, r.Words())
	if err != nil {
		return "", fmt.Errorf("artifact: %w", err)
	}
	return filled, nil
}

// send posts one event.
func (n *Notifier) send(ctx context.Context, e event) error {
	body, err := json.Marshal(map[string]any{
		"specversion": "1.0", "id": e.Context.ID, "source": e.Context.Source, "type": e.Context.Type, "time": e.Context.Timestamp,
		"subject": e.Subject.ID, "datacontenttype": "application/json", "data": e,
	})
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, n.url.String(), bytes.NewReader(body))
	if err != nil {
		return errors.New("its address cannot be read")
	}
	request.Header.Set("Content-Type", structured)
	response, err := client.Do(n.client, request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode/100 == 2 {
		return nil
	}
	answer, err := client.ReadAll(response.Body, answerBytes)
	if err != nil {
		return fmt.Errorf("it answers status %d, and then: %w", response.StatusCode, err)
	}
	return fmt.Errorf("it answers status %d: %s", response.StatusCode, guard.Line(string(answer), 200))
}
