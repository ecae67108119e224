package github

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/go-github/v60/github"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/plugins/hook"
)

const tool = "github"

// NewHook hears of deployments from webhooks of a repository, an organisation or an app: once GitHub knows that a
// deployment succeeded, golive watches it. Webhooks of GitHub cannot log in; each is signed with the secret that it was
// made with, and only what one of the secrets signed is heard (two, while one takes the place of the other).
//
// Settings, Webhooks, Add webhook:
//
//	Payload URL   https://golive.example.org/v1/hooks/github/
//	Content type  application/json
//	Secret        one of those in GOLIVE_GITHUB_SECRET where golive serve runs (parted by commas), from: openssl rand -hex 32
//	Events        Deployments, Deployment statuses
//
// Only of a repository that the plan names is anything heard (gate: {repositories: [OWNER/NAME]}): whoever may write in
// another one chooses how that is called, and what the payload of its deployments says. Who presses a button is heard by a
// Gate alone. What golive itself has said of a deployment, in words that begin with "golive: ", is not heard.
//
// The service is called as the repository, the new version is the commit. Where they differ, or golive is to know which
// version was there before, the one who creates the deployment says so in its payload:
//
//	gh api repos/OWNER/NAME/deployments -f ref=main -f environment=prod \
//	  -f 'payload[service]=checkout' -f 'payload[from]=8c1f0a6...'
//
// What happens to a deployment otherwise is noted in its rollout, where it has one. GitHub does not repeat what was not
// answered with 2xx; redeliver such messages by hand or by its API; what was heard before changes nothing.
//
// Without a secret, nothing is heard.
func NewHook(desk guard.Desk, secrets ...[]byte) http.Handler {
	// With an empty secret, everybody can sign.
	secrets = slices.DeleteFunc(slices.Clone(secrets), func(secret []byte) bool { return len(secret) == 0 })
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !hook.Method(w, r, http.MethodPost) {
			return
		}
		answer, err := hear(w, r, desk, secrets)
		if err != nil {
			hook.Fail(w, r, err)
			return
		}
		hook.Answer(w, http.StatusOK, answer)
	})
}

// heard is the answer to a message.
type heard struct {
	Did     string `json:"did"`
	Rollout string `json:"rollout,omitempty"`
}

const (
	nothing  = "not handled"
	watching = "watching"
)

// delivery is what is read of the events deployment and deployment_status.
type delivery struct {
	Status *struct {
		State       string    `json:"state"`
		Environment string    `json:"environment"`
		Description string    `json:"description"`
		Created     time.Time `json:"created_at,omitzero"`
		Via         *struct {
			ID int64 `json:"id"`
		} `json:"performed_via_github_app,omitempty"` // the app that said it; nil: none, or GitHub does not tell
	} `json:"deployment_status,omitempty"`
	Deployment *struct {
		ID          int64           `json:"id"`
		SHA         string          `json:"sha"`
		Ref         string          `json:"ref,omitempty"`
		Environment string          `json:"environment"`
		Payload     json.RawMessage `json:"payload,omitempty"`
	} `json:"deployment"`
	Repository *struct {
		Name     string `json:"name"`
		FullName string `json:"full_name,omitempty"` // OWNER/NAME
	} `json:"repository"`
}

func hear(w http.ResponseWriter, r *http.Request, desk guard.Desk, secrets [][]byte) (heard, error) {
	body, err := authentic(w, r, secrets)
	if err != nil {
		return heard{}, err
	}
	return heed(r, body, desk, 0)
}

// authentic reads a message that one of the secrets has signed.
func authentic(w http.ResponseWriter, r *http.Request, secrets [][]byte) ([]byte, error) {
	body, err := hook.Read(w, r)
	if err != nil {
		return nil, err
	}
	signature := r.Header.Get(github.SHA256SignatureHeader)
	if signature == "" {
		return nil, hook.Refuse(http.StatusUnauthorized, "the header %s is missing: set the secret of the webhook", github.SHA256SignatureHeader)
	}
	return body, signed(body, signature, r.Header.Get("Content-Type"), secrets)
}

// heed does what a message is for that is about a deployment. App is the one that golive is; 0: that is not known.
func heed(r *http.Request, body []byte, desk guard.Desk, app int64) (heard, error) {
	kind := github.WebHookType(r)
	switch kind {
	case "ping":
		return heard{Did: "pong"}, nil
	case "deployment", "deployment_status":
	default:
		return heard{Did: nothing}, nil
	}
	var m delivery
	if err := hook.Decode(body, &m); err != nil {
		return heard{}, err
	}
	release, err := m.release(kind)
	if err != nil {
		return heard{}, err
	}
	succeeded := kind == "deployment_status" && m.Status.State == "success"
	switch plan, err := desk.Plan(release); {
	case errors.Is(err, guard.ErrNoPlan) && !succeeded:
		return did("", ""), nil
	case errors.Is(err, guard.ErrNoPlan):
		err = fmt.Errorf("watch %s of %s: %w", guard.Line(release.To, 80), guard.Line(release.Service, 80), err)
		hook.Report(r.Context(), err)
		return heard{}, err
	case err != nil:
		return heard{}, err
	default:
		if err := speaks(r, plan, m.Repository.FullName); err != nil {
			return heard{}, err
		}
	}
	switch own, err := m.own(r.Context(), desk, release, app); {
	case err != nil:
		return heard{}, err
	case own:
		return heard{Did: "nothing: golive has said so itself"}, nil // else the end of each watch would begin the next
	}
	if succeeded {
		switch late, err := m.late(r.Context(), desk, release); {
		case err != nil:
			return heard{}, err
		case late:
			return heard{Did: "nothing: a later deployment is known"}, nil
		}
	}
	// The payload stays out of the records, for it may hold anything.
	m.Deployment.Payload = nil
	record, err := json.Marshal(m)
	if err != nil {
		return heard{}, fmt.Errorf("record the message: %w", err)
	}
	// The body names the message: GitHub redelivers the same one, every event has its own numbers and times, and the
	// header X-GitHub-Delivery is not signed, so that whoever has overheard a message could send it again as another.
	d := guard.Delivery{ID: hook.ID(tool, kind, string(body)), Source: tool, At: time.Now(), Body: record}
	if succeeded {
		id, err := hook.Watch(r.Context(), desk, d, release, "GitHub says that the deployment has succeeded")
		return did(watching, id), err
	}
	id, err := hook.Note(r.Context(), desk, d, release, m.text())
	return did("noted", id), err
}

// speaks refuses a repository that the plan does not name, and lets the operator know.
func speaks(r *http.Request, plan *guard.Plan, repository string) error {
	err := plan.Gate.Hears(repository)
	if err == nil {
		return nil
	}
	hook.Report(r.Context(), fmt.Errorf("%s %s: %w", plan.Service, plan.Environment, err))
	return hook.Refuse(http.StatusForbidden, "%s", err)
}

// own says that golive has said a status itself. The words alone prove nothing, for whoever deploys could switch the
// watch off with them: it has to be the app that golive is, or, where GitHub names no app, about a version that golive
// has had to do with.
func (m delivery) own(ctx context.Context, desk guard.Desk, release guard.Release, app int64) (bool, error) {
	if m.Status == nil || !strings.HasPrefix(m.Status.Description, ownWords) {
		return false, nil
	}
	if m.Status.Via != nil && app != 0 {
		return m.Status.Via.ID == app, nil
	}
	for _, known := range []guard.Release{{To: release.To}, {From: release.To}} { // the one before, where it was deployed again
		known.Service, known.Environment = release.Service, release.Environment
		switch _, err := desk.Find(ctx, known); {
		case err == nil:
			return true, nil
		case !errors.Is(err, guard.ErrNoRollout):
			return false, err
		}
	}
	return false, nil
}

// lateAfter is how old a status may be before it is asked whether it was overtaken: what was not delivered may come days
// later.
const lateAfter = time.Minute

// late says that a rollout of another version was begun after GitHub has told of this one.
func (m delivery) late(ctx context.Context, desk guard.Desk, release guard.Release) (bool, error) {
	if m.Status.Created.IsZero() || time.Since(m.Status.Created) < lateAfter {
		return false, nil
	}
	id, err := desk.Find(ctx, guard.Release{Service: release.Service, Environment: release.Environment})
	if errors.Is(err, guard.ErrNoRollout) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	_, state, err := desk.Get(ctx, id)
	return err == nil && state.Release.To != release.To && state.Opened.After(m.Status.Created), err
}

// did is the answer to what was done with a rollout, if there is one.
func did(what, rollout string) heard {
	if rollout == "" {
		return heard{Did: "nothing: no rollout of it is under way"}
	}
	return heard{what, rollout}
}

// signed wants the body to be signed with one of the secrets. Only SHA-256 will do; what is signed with SHA-1 alone has
// no such header. GitHub can also send forms, whose JSON is only a part of what is signed.
func signed(body []byte, signature, contentType string, secrets [][]byte) error {
	form := false
	if kind, _, err := mime.ParseMediaType(contentType); err == nil && kind == "application/x-www-form-urlencoded" {
		form = true
	}
	for _, secret := range secrets {
		if strings.HasPrefix(signature, "sha256=") && github.ValidateSignature(signature, body, secret) == nil {
			if form {
				return hook.Refuse(http.StatusUnsupportedMediaType, "the message is a form: set the content type of the webhook to application/json")
			}
			return nil
		}
	}
	return hook.Refuse(http.StatusUnauthorized, "the signature is not of the secret that golive has")
}

// release is what the message is about.
func (m delivery) release(kind string) (guard.Release, error) {
	refuse := func(text string) (guard.Release, error) {
		return guard.Release{}, hook.Refuse(http.StatusBadRequest, "%s", text)
	}
	switch {
	case m.Deployment == nil:
		return refuse("deployment is missing")
	case m.Repository == nil || m.Repository.Name == "":
		return refuse("repository.name is missing")
	case kind == "deployment_status" && (m.Status == nil || m.Status.State == ""):
		return refuse("deployment_status.state is missing")
	}
	said, err := words(m.Deployment.Payload)
	if err != nil {
		return guard.Release{}, err
	}
	r := guard.Release{
		Service:     cmp.Or(said.Service, m.Repository.Name),
		Environment: m.Deployment.Environment,
		From:        said.From,
		To:          m.Deployment.SHA,
	}
	if m.Status != nil {
		r.Environment = cmp.Or(m.Status.Environment, r.Environment)
	}
	if r.Environment == "" {
		return refuse("deployment.environment is missing")
	}
	return r, hook.Release(r)
}

// payload is what golive reads of the payload of a deployment.
type payload struct {
	Service string `json:"service"`
	From    string `json:"from"`
}

// words reads the payload, which is an object, or a string; a string that holds no object says nothing to golive, as
// little as a list.
func words(raw json.RawMessage) (said payload, err error) {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		raw = json.RawMessage(text)
	}
	var fields map[string]json.RawMessage
	if json.Unmarshal(raw, &fields) != nil {
		return payload{}, nil
	}
	if err := hook.Decode(raw, &said); err != nil {
		return payload{}, fmt.Errorf("deployment.payload: %w", err)
	}
	return said, nil
}

// text is the note of a message.
func (m delivery) text() string {
	if m.Status == nil {
		return fmt.Sprintf("GitHub has the deployment %d of %s", m.Deployment.ID, guard.Line(m.Deployment.SHA, 40))
	}
	text := fmt.Sprintf("GitHub says that the deployment %d is %s", m.Deployment.ID, guard.Line(m.Status.State, 20))
	if m.Status.Description != "" {
		text += ": " + guard.Line(m.Status.Description, 140)
	}
	return text
}
