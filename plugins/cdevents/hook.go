package cdevents

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/plugins/hook"
)

const (
	tool     = "cdevents"
	watching = "watching"
)

// NewHook hears CDEvents. A service.deployed and a service.upgraded open a rollout that watches the service, which is
// the id of the subject, in its environment; the new version is that of the package URL artifactId, or all of it if that
// is none. The version before is customData.from, where the sender gives it. Other events about a service or its
// incidents are noted in its rollout, where one is under way. What golive itself sent, and types that it does not know,
// are taken and not kept.
//
// An event that comes again, which is one with the same id and source, changes nothing.
func NewHook(desk guard.Desk) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !hook.Method(w, r, http.MethodPost) {
			return
		}
		answer, err := hear(w, r, desk)
		if err != nil {
			hook.Fail(w, r, err)
			return
		}
		hook.Answer(w, http.StatusAccepted, answer)
	})
}

// heard is the answer to an event.
type heard struct {
	Did     string `json:"did"`
	Rollout string `json:"rollout,omitempty"`
}

// A cloudEvent is the envelope of an event.
type cloudEvent struct {
	SpecVersion string          `json:"specversion"`
	ID          string          `json:"id"`
	Source      string          `json:"source"`
	Type        string          `json:"type"`
	Data        json.RawMessage `json:"data"`
	Data64      []byte          `json:"data_base64"`
}

// incoming is what is read of a CDEvent.
type incoming struct {
	Context struct {
		Type string `json:"type"`
	} `json:"context"`
	Subject struct {
		ID      string `json:"id"`
		Content struct {
			Environment *struct {
				ID string `json:"id"`
			} `json:"environment"`
			Service *struct {
				ID string `json:"id"`
			} `json:"service"`
			ArtifactID  string `json:"artifactId"`
			Description string `json:"description"`
		} `json:"content"`
	} `json:"subject"`
	CustomData json.RawMessage `json:"customData"`
}

// custom is what golive reads of customData.
type custom struct {
	Producer json.RawMessage `json:"producer"` // of others, it may be anything
	From     string          `json:"from"`
}

func hear(w http.ResponseWriter, r *http.Request, desk guard.Desk) (heard, error) {
	body, err := hook.Read(w, r)
	if err != nil {
		return heard{}, err
	}
	cloud, err := unwrap(r.Header, body)
	if err != nil {
		return heard{}, err
	}
	subject, predicate := kindOf(cloud.Type)
	if subject != "service" && subject != "incident" {
		return heard{Did: "nothing: golive does not use events of this type"}, nil
	}
	var e incoming
	if err := hook.Decode(cloud.Data, &e); err != nil {
		return heard{}, err
	}
	if e.Context.Type != cloud.Type {
		return heard{}, hook.Refuse(http.StatusBadRequest, "context.type is %s, and the type of the CloudEvent %s", hook.Quote(e.Context.Type), hook.Quote(cloud.Type))
	}
	said, err := e.custom()
	if err != nil {
		return heard{}, err
	}
	if string(said.Producer) == `"`+producer+`"` {
		return heard{Did: "nothing: golive sent it"}, nil
	}
	release, err := e.release(subject)
	if err != nil {
		return heard{}, err
	}
	// What a sender adds for itself stays out of the records, for it may hold anything.
	e.CustomData = nil
	record, err := json.Marshal(e)
	if err != nil {
		return heard{}, fmt.Errorf("record the event: %w", err)
	}
	d := guard.Delivery{ID: hook.ID(tool, "event", cloud.Source, cloud.ID), Source: tool, At: time.Now(), Body: record}
	if subject == "service" && (predicate == "deployed" || predicate == "upgraded") {
		release.From = said.From
		if err := hook.Release(release); err != nil {
			return heard{}, err
		}
		id, err := hook.Watch(r.Context(), desk, d, release, "the new version is deployed")
		return did(watching, id), err
	}
	release.To = "" // of a rollback, it is the version before
	text := fmt.Sprintf("%s says %s.%s", guard.Line(cloud.Source, 80), subject, guard.Line(predicate, 40))
	if e.Subject.Content.Description != "" {
		text += ": " + guard.Line(e.Subject.Content.Description, 200)
	}
	if release.Service == "" {
		return heard{Did: "nothing: the event names no service"}, nil
	}
	id, err := hook.Note(r.Context(), desk, d, release, text)
	return did("noted", id), err
}

// did is the answer to what was done with a rollout, if there is one.
func did(what, rollout string) heard {
	if rollout == "" {
		return heard{Did: "nothing: no rollout of the service is under way"}
	}
	return heard{what, rollout}
}

// unwrap reads the envelope, which is all of the body (structured), or is in the headers (binary).
func unwrap(header http.Header, body []byte) (cloudEvent, error) {
	var e cloudEvent
	kind, _, err := mime.ParseMediaType(header.Get("Content-Type"))
	switch {
	case err == nil && kind == "application/cloudevents+json":
		if err := hook.Decode(body, &e); err != nil {
			return e, err
		}
		if len(e.Data) == 0 {
			e.Data = e.Data64
		}
	case err == nil && strings.HasPrefix(kind, "application/cloudevents"):
		return e, hook.Refuse(http.StatusUnsupportedMediaType, "the format %s is not known: send application/cloudevents+json, one event at a time", hook.Quote(kind))
	default:
		attribute := func(name string) string {
			text, err := url.PathUnescape(header.Get("Ce-" + name)) // headers hold ASCII, and everything else in percent
			if err != nil {
				return header.Get("Ce-" + name)
			}
			return text
		}
		e = cloudEvent{SpecVersion: attribute("Specversion"), ID: attribute("Id"), Source: attribute("Source"), Type: attribute("Type"), Data: body}
	}
	for _, a := range []struct{ name, value string }{{"specversion", e.SpecVersion}, {"id", e.ID}, {"source", e.Source}, {"type", e.Type}} {
		if a.value == "" {
			return e, hook.Refuse(http.StatusBadRequest, "the attribute %s is missing: send a CloudEvent, structured (Content-Type: application/cloudevents+json) or binary (headers ce-id, ce-type...)", a.name)
		}
	}
	if !strings.HasPrefix(e.SpecVersion, "1.") {
		return e, hook.Refuse(http.StatusBadRequest, "specversion is %s, and has to be 1.0", hook.Quote(e.SpecVersion))
	}
	return e, nil
}

// kindOf takes a type like dev.cdevents.service.deployed.0.3.0 apart. Its version is not looked at: what is read of an
// event has been the same since 0.1, and whatever is not as expected is refused.
func kindOf(name string) (subject, predicate string) {
	parts := strings.SplitN(name, ".", 5)
	if len(parts) < 5 || parts[0] != "dev" || parts[1] != "cdevents" {
		return "", ""
	}
	return parts[2], parts[3]
}

// custom reads customData, which may also be a base64 string of something else.
func (e incoming) custom() (said custom, err error) {
	if !bytes.HasPrefix(bytes.TrimSpace(e.CustomData), []byte("{")) {
		return custom{}, nil
	}
	if err := hook.Decode(e.CustomData, &said); err != nil {
		return custom{}, fmt.Errorf("customData: %w", err)
	}
	return said, nil
}

// release is what the event is about, without the version before.
func (e incoming) release(subject string) (guard.Release, error) {
	content := e.Subject.Content
	r := guard.Release{Service: e.Subject.ID, To: version(content.ArtifactID)}
	if subject == "incident" { // whose own id is that of the incident
		r.Service = ""
		if content.Service != nil {
			r.Service = content.Service.ID
		}
	}
	if content.Environment != nil {
		r.Environment = content.Environment.ID
	}
	return r, errors.Join(
		hook.Name("subject.content.environment.id", r.Environment, false),
		hook.Name("the id of the service", r.Service, subject == "incident"),
		hook.Name("subject.content.artifactId", content.ArtifactID, true),
	)
}

// version is the version in a package URL: what is behind its @, without qualifiers.
func version(artifact string) string {
	rest, is := strings.CutPrefix(artifact, "pkg:")
	if !is {
		return artifact
	}
	rest, _, _ = strings.Cut(rest, "#")
	rest, _, _ = strings.Cut(rest, "?")
	at := strings.LastIndex(rest, "@")
	if at <= strings.LastIndex(rest, "/") {
		return artifact
	}
	text, err := url.PathUnescape(rest[at+1:])
	if err != nil {
		return artifact
	}
	return cmp.Or(text, artifact)
}
