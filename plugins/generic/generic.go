// Package generic hears whatever has no hook of its own: a script, a pipeline, a deploy tool that can send JSON and sign
// it. One message opens a rollout, or tells one something:
//
//	SECRET=...   # one of those in GOLIVE_HOOK_SECRET where golive serve runs
//	BODY='{"action":"open","service":"checkout","environment":"prod","from":"v1","to":"v2"}'
//	T=$(date +%s)
//	V1=$(printf '%s.%s' "$T" "$BODY" | openssl dgst -sha256 -hmac "$SECRET" -r | cut -d' ' -f1)
//	curl --fail-with-body --retry 5 --data-binary "$BODY" -H "X-Golive-Signature-256: t=$T,v1=$V1" \
//	  -H "X-Golive-Delivery: $CI_JOB_ID-open" https://golive.example.com/v1/hooks/generic/
//
// The fields, all of them strings:
//
//	action       open, rollback, hold, resume, extend, conclude, note or acknowledge
//	service      of the rollout; what is told goes to the latest rollout of the service
//	environment  of it; may be missing if the service has one plan
//	from, to     versions; open needs to, and without from there is nothing to compare with and to go back to
//	purpose      of open: rollout (golive moves the traffic) or watch (somebody else does); default rollout
//	rollout      the name that open answered, in the place of service
//	why          of an order, for the records; 1000 characters are kept
//	for          of extend: how much longer the step may take, such as 10m
//	text         of note; 1000 characters are kept
//
// To conclude is to say that whoever moves the traffic of a watch is done. To proceed without enough evidence takes a
// person who may approve, whom the secret of a hook does not name: POST /v1/rollouts/NAME/orders with such a token. It is
// answered 403 here.
//
// GOLIVE_HOOK_SECRET has one secret, or several parted by commas while one takes the place of another. Without any, the
// hook is answered 404.
//
// It answers 202 {"rollout":"NAME"} to open, 200 to the rest, 409 with the name of what is under way, or because the
// rollout is over, 401 to a signature that does not hold, other 4xx to what will never work, and 503 to what should be sent again.
//
// A message that comes again changes nothing: it has the same X-Golive-Delivery (200 bytes at most) and the same body, or
// without that name the same time of signing and the same body. So give each message a name of its own, such as the job's
// with what it does, and keep it when you try again: of two equal orders under one name, the second is not obeyed. Another
// body under the same name is another message.
package generic

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/plugins/hook"
)

const (
	source = "generic"

	kept = 1000 // characters of a text

	// Signature is the header that holds the time of signing and the signature: "t=1767225600,v1=HEX".
	Signature = "X-Golive-Signature-256"
	// Delivery is the header that names a message; a repeat has the same.
	Delivery = "X-Golive-Delivery"
	// Tolerance is how far the time of signing may be from now, either way.
	Tolerance = 5 * time.Minute
)

// accepted are the verbs that this hook passes on, beside extend, which has a time of its own. A verb that guard learns
// later is not among them by itself, for it may take more than the secret of a hook.
var accepted = []guard.Verb{guard.OrderRollback, guard.OrderHold, guard.OrderResume, guard.OrderConclude}

// Sign returns the value of the header Signature for a body that is sent at a time.
func Sign(secret []byte, at time.Time, body []byte) string {
	t := strconv.FormatInt(at.Unix(), 10)
	return "t=" + t + ",v1=" + hex.EncodeToString(sum(secret, t, body))
}

func sum(secret []byte, t string, body []byte) []byte {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(t + "."))
	mac.Write(body)
	return mac.Sum(nil)
}

// NewHook hears messages at / that are signed with one of the secrets: while one takes the place of another, there are
// two. An empty secret is none, and without any secret every message is refused.
func NewHook(desk guard.Desk, secrets ...[]byte) http.Handler {
	h := &handler{desk: desk, sent: make(map[[sha256.Size]byte]dispatch)}
	for _, secret := range secrets {
		if len(secret) > 0 {
			h.secrets = append(h.secrets, slices.Clone(secret))
		}
	}
	return h
}

type handler struct {
	desk    guard.Desk
	secrets [][]byte

	mu   sync.Mutex
	sent map[[sha256.Size]byte]dispatch // by the hash of what was signed, for as long as its signature holds
}

// A dispatch is a signed message under the name that it came with.
type dispatch struct {
	name  string
	until time.Time
}

type message struct {
	Action      string `json:"action"`
	Service     string `json:"service"`
	Environment string `json:"environment"`
	From        string `json:"from"`
	To          string `json:"to"`
	Purpose     string `json:"purpose"`
	Rollout     string `json:"rollout"`
	Why         string `json:"why"`
	For         string `json:"for"`
	Text        string `json:"text"`
}

func (m message) release() guard.Release {
	return guard.Release{Service: m.Service, Environment: m.Environment, From: m.From, To: m.To}
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// No ServeMux: it answers the empty path, which a stripped prefix leaves, with a redirect, and a POST becomes a GET.
	if r.URL.Path != "" && r.URL.Path != "/" {
		hook.Fail(w, r, hook.Refuse(http.StatusNotFound, "messages are heard at / alone"))
		return
	}
	if !hook.Method(w, r, http.MethodPost) {
		return
	}
	id, status, err := h.hear(w, r)
	if err != nil {
		hook.Fail(w, r, err)
		return
	}
	hook.Answer(w, status, struct {
		Rollout string `json:"rollout"`
	}{id})
}

func (h *handler) hear(w http.ResponseWriter, r *http.Request) (id string, status int, err error) {
	now := time.Now()
	body, err := hook.Read(w, r)
	if err != nil {
		return "", 0, err
	}
	by, err := h.verify(r.Header, body, now)
	if err != nil {
		return "", 0, err
	}
	var m message
	if err := hook.Decode(body, &m); err != nil {
		return "", 0, err
	}
	if m.Action == "open" {
		id, err := h.open(r.Context(), by, m)
		return id, http.StatusAccepted, err
	}
	id, err = h.tell(r.Context(), by, m)
	return id, http.StatusOK, err
}

func unsigned(why string) error {
	return hook.Refuse(http.StatusUnauthorized, "%s: sign the message as t=SECONDS,v1=HEX in %s", why, Signature)
}

// verify says whose message it is. What is wrong with a signature is told as far as the sender knows it anyway.
func (h *handler) verify(header http.Header, body []byte, now time.Time) (guard.Delivery, error) {
	none := guard.Delivery{}
	if len(header.Values(Signature)) != 1 {
		return none, unsigned("there is not one signature")
	}
	t, signatures, ok := parse(header.Get(Signature))
	if !ok {
		return none, unsigned("the signature cannot be read")
	}
	seconds, err := strconv.ParseInt(t, 10, 64)
	if err != nil {
		return none, unsigned("the time of the signature cannot be read")
	}
	if !h.signed(t, body, signatures) {
		return none, unsigned("the signature does not hold")
	}
	at := time.Unix(seconds, 0)
	if at.Before(now.Add(-Tolerance)) || at.After(now.Add(Tolerance)) {
		return none, unsigned("the signature is not of the last 5 minutes, by golive's clock")
	}
	name := header.Get(Delivery)
	if err := hook.Name(Delivery, name, true); err != nil {
		return none, err
	}
	if !h.sentAs(name, t, body, at.Add(Tolerance), now) {
		return none, unsigned("the same signed message has come under another " + Delivery)
	}
	// The body belongs to the ID, for a job that gives all its messages its own name must not have its rollback taken for a
	// repeat of its opening.
	by := guard.Delivery{ID: hook.ID(source, "named", name, string(body)), Source: source, By: source, At: now, Body: body}
	if name == "" {
		by.ID = hook.ID(source, "signed", t, string(body))
	}
	return by, nil
}

// parse reads "t=1767225600,v1=HEX": one time, and one or more signatures of the whole length. Other versions of
// signatures are passed over, for they prove nothing.
func parse(header string) (t string, signatures [][]byte, ok bool) {
	for part := range strings.SplitSeq(header, ",") {
		key, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		switch key {
		case "t":
			if t != "" {
				return "", nil, false
			}
			t = value
		case "v1":
			signature, err := hex.DecodeString(value)
			if err != nil || len(signature) != sha256.Size {
				return "", nil, false
			}
			signatures = append(signatures, signature)
		}
	}
	return t, signatures, t != "" && len(signatures) > 0 && len(signatures) <= 4
}

func (h *handler) signed(t string, body []byte, signatures [][]byte) bool {
	holds := false
	for _, secret := range h.secrets {
		want := sum(secret, t, body)
		for _, signature := range signatures {
			holds = hmac.Equal(signature, want) || holds
		}
	}
	return holds
}

// sentAs says whether a signed message may come under a name. The name is not signed, and whoever has overheard a
// message could make another of it by another name, for as long as the signature holds.
func (h *handler) sentAs(name, t string, body []byte, until, now time.Time) bool {
	key := sha256.Sum256(append([]byte(t+"."), body...))
	h.mu.Lock()
	defer h.mu.Unlock()
	maps.DeleteFunc(h.sent, func(_ [sha256.Size]byte, d dispatch) bool { return d.until.Before(now) })
	first, again := h.sent[key]
	if !again {
		h.sent[key] = dispatch{name: name, until: until}
	}
	return !again || first.name == name
}

func (h *handler) open(ctx context.Context, by guard.Delivery, m message) (string, error) {
	purpose := guard.ToRollout
	switch m.Purpose {
	case "", string(guard.ToRollout):
	case string(guard.ToWatch):
		purpose = guard.ToWatch
	default:
		return "", hook.Refuse(http.StatusBadRequest, "purpose is %s, and has to be rollout or watch", hook.Quote(m.Purpose))
	}
	if err := hook.Release(m.release()); err != nil {
		return "", err
	}
	return h.desk.Open(ctx, by, m.release(), purpose)
}

func (h *handler) tell(ctx context.Context, by guard.Delivery, m message) (string, error) {
	fact, err := m.fact()
	if err != nil {
		return "", err
	}
	id, err := h.rollout(ctx, m)
	if err != nil {
		return "", err
	}
	return id, h.desk.Tell(ctx, by, id, fact)
}

func (m message) fact() (guard.Fact, error) {
	switch verb := guard.Verb(m.Action); {
	case m.Action == "note":
		if strings.TrimSpace(m.Text) == "" {
			return nil, hook.Refuse(http.StatusBadRequest, "text is missing: a note has to say something")
		}
		return guard.Noted{Text: hook.Cut(m.Text, kept), By: source}, nil
	case m.Action == "acknowledge":
		return guard.Acknowledged{By: source}, nil
	case verb == guard.OrderExtend:
		more, err := guard.ParseDuration(m.For)
		if err != nil || more <= 0 {
			return nil, hook.Refuse(http.StatusBadRequest, "for is %s, and extend needs how much longer, such as 10m", hook.Quote(m.For))
		}
		return guard.Ordered{Verb: verb, By: source, Why: hook.Cut(m.Why, kept), For: more}, nil
	case verb == guard.OrderProceed:
		return nil, hook.Refuse(http.StatusForbidden, "proceed takes a person who may approve: POST /v1/rollouts/NAME/orders with a token of such a one")
	case slices.Contains(accepted, verb):
		return guard.Ordered{Verb: verb, By: source, Why: hook.Cut(m.Why, kept)}, nil
	}
	return nil, hook.Refuse(http.StatusBadRequest, "action is %s, and has to be open, rollback, hold, resume, extend, conclude, note or acknowledge", hook.Quote(m.Action))
}

// rollout is what a message is for. One that names a rollout and a service that do not belong together is a slip, and an
// order must not go to either.
func (h *handler) rollout(ctx context.Context, m message) (string, error) {
	for _, field := range []struct {
		name, value string
		optional    bool
	}{
		{"service (or rollout)", m.Service, m.Rollout != ""}, {"rollout", m.Rollout, true}, {"environment", m.Environment, true},
		{"from", m.From, true}, {"to", m.To, true},
	} {
		if err := hook.Name(field.name, field.value, field.optional); err != nil {
			return "", err
		}
	}
	if m.Rollout == "" {
		return h.desk.Find(ctx, m.release())
	}
	_, s, err := h.desk.Get(ctx, m.Rollout)
	if err != nil {
		return "", err
	}
	is := s.Release
	for _, part := range []struct{ said, is string }{
		{m.Service, is.Service}, {m.Environment, is.Environment}, {m.From, is.From}, {m.To, is.To},
	} {
		if part.said != "" && part.said != part.is {
			return "", hook.Refuse(http.StatusBadRequest, "the rollout %s is of %s, and not of %s",
				hook.Quote(m.Rollout), hook.Quote(part.is), hook.Quote(part.said))
		}
	}
	return m.Rollout, nil
}
