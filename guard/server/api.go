package server

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/journal"
	"github.com/golive-dev/golive/guard/store"
)

// A Hook is what one deploy tool calls, under /v1/hooks/NAME. Its handler sees the rest of the path.
type Hook struct {
	Name string
	// Signed says that the handler proves by itself who sends a message. Of others the server asks a token.
	Signed  bool
	Handler http.Handler
}

// A route is one thing that can be asked for, and the right that it takes. The description of the API is made of these.
type route struct {
	method, path string
	right        Right // empty: none
	title        string
	body         any // an example of what is sent; nil: nothing
	answer       any // an example of what is answered; nil: no JSON
	status       int // of success
	serve        func(http.ResponseWriter, *http.Request) error
}

// routes is the table of the API.
func (s *Server) routes() []route {
	metrics := s.metrics.handler() // one for all requests, for it bounds how many are served at once
	return []route{
		{"POST", "/v1/rollouts", Operate, "Open a rollout of a release", opening{}, opened{}, 201, s.openRollout},
		{"GET", "/v1/rollouts", View, "List rollouts, the newest first", nil, listed{}, 200, s.listRollouts},
		{"GET", "/v1/rollouts/{id}", View, "Show a rollout", nil, shown{}, 200, s.showRollout},
		{"GET", "/v1/rollouts/{id}/verdict", View, "Say in one word what golive thinks of the new version", nil, verdict{}, 200, s.showVerdict},
		{"GET", "/v1/rollouts/{id}/events", View, "Follow what happens, as server-sent events, or list it as JSON", nil, []happened{}, 200, s.showEvents},
		{"GET", "/v1/rollouts/{id}/journal", View, "Export the journal, as golive journal verify reads it", nil, nil, 200, s.exportJournal},
		{"GET", "/v1/rollouts/{id}/report", View, "Tell the story of a rollout as text", nil, nil, 200, s.showReport},
		{"POST", "/v1/rollouts/{id}/orders", Operate, "Roll back, hold, resume, extend, or proceed (which takes the right to approve)", order{}, told{}, 202, s.orderRollout},
		{"POST", "/v1/rollouts/{id}/notes", Operate, "Have something remembered", note{}, told{}, 202, s.noteRollout},
		{"POST", "/v1/rollouts/{id}/acknowledgement", Operate, "Say that you look after it", nil, told{}, 202, s.acknowledgeRollout},
		{"POST", "/v1/rollouts/{id}/statements", Operate, "Say something of the incident that a rollout has become: its cause, its severity, that it is over, and what else there is (sign-off and stand-down are for who has the role in the roster; a caller who is not in it takes the right to approve)", statement{}, told{}, 202, s.stateRollout},
		{"GET", "/v1/rollouts/{id}/evidence/{sha256}", View, "Fetch what was kept of a rollout before it went back, as its exhibits name it", nil, nil, 200, s.showEvidence},
		{"POST", "/v1/leases/{lease}/records", Operate, "Keep a record of a rollout that the caller guards", sent{}, told{}, 200, s.keepRecord},
		{"POST", "/v1/leases/{lease}/beat", Operate, "Say that the caller still guards", nil, told{}, 200, s.beatLease},
		{"GET", "/v1/leases/{lease}/told", Operate, "Hear what is told to a rollout that the caller guards, as server-sent events", nil, nil, 200, s.tellLease},
		{"DELETE", "/v1/leases/{lease}", Operate, "Guard no longer: it is over, or a server is to go on", nil, told{}, 200, s.endLease},
		{"POST", "/v1/backup", Approve, "Copy the whole store, as it is now, while everything goes on (of SQLite; PostgreSQL has pg_dump); it takes the right to view as well", nil, nil, 200, alone(s.backup)},
		{"GET", "/v1/openapi.json", "", "Describe this API", nil, nil, 200, s.describe},
		{"GET", "/metrics", View, "Count what the server does, as Prometheus reads it", nil, nil, 200, func(w http.ResponseWriter, r *http.Request) error {
			metrics.ServeHTTP(w, r)
			return nil
		}},
		{"GET", "/healthz", "", "Say that the server runs", nil, nil, 200, s.healthy},
		{"GET", "/readyz", "", "Say whether the server can take rollouts on", nil, nil, 200, s.ready},
	}
}

// Bounds of a request.
const (
	largestBody   = 1 << 20
	answersWithin = 30 * time.Second // but for those who follow
	readyWithin   = 5 * time.Second  // /readyz: who asks does not wait longer
	backupWithin  = 10 * time.Minute
)

// Handler is everything that the server answers.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	for _, r := range s.routes() {
		mux.Handle(r.method+" "+r.path, s.allow(r.right, s.answering(r.serve)))
	}
	for _, h := range s.Hooks {
		prefix := "/v1/hooks/" + h.Name
		handler := http.StripPrefix(prefix, slashed(s.tracedHook(h.Name, s.counting(h))))
		if !h.Signed {
			handler = s.allow(Deliver, handler)
		}
		mux.Handle(prefix, handler)
		mux.Handle(prefix+"/", handler)
	}
	s.pages(mux)
	s.signIn(mux)
	s.links(mux)
	return s.limited(s.recovered(s.loopbackOnly(s.sameOrigin(mux))))
}

// delivery is a request as the records keep it. A caller that may send it again names it with Idempotency-Key. The body
// belongs to the name: a key that a caller uses for something else as well must not have that taken for a repeat.
func (s *Server) delivery(r *http.Request, value any) (guard.Delivery, error) {
	body, err := json.Marshal(value)
	if err != nil {
		return guard.Delivery{}, err
	}
	key := r.Header.Get("Idempotency-Key")
	if key == "" {
		key = newName(time.Now(), "request")
	}
	said := body
	if o, is := value.(opening); is && o.Guard != nil {
		// A client that guards by itself says what time it is, which every repeat of it says differently.
		timeless := *o.Guard
		timeless.At, o.Guard = time.Time{}, &timeless
		if said, err = json.Marshal(o); err != nil {
			return guard.Delivery{}, err
		}
	}
	sum := sha256.Sum256([]byte(strings.Join([]string{who(r.Context()), r.Method, r.URL.Path, key, string(said)}, "\x00")))
	return guard.Delivery{ID: "api/" + hex.EncodeToString(sum[:16]), Source: "api", At: clock(), Body: body}, nil
}

type opening struct {
	Service     string        `json:"service"`
	Environment string        `json:"environment,omitempty"`
	From        string        `json:"from,omitempty"`
	To          string        `json:"to"`
	Purpose     guard.Purpose `json:"purpose,omitempty"` // rollout (the default), watch or rollback
	Guard       *guardSelf    `json:"guard,omitempty"`   // of a caller that guards by itself
}

type opened struct {
	ID       string `json:"id"`
	Lease    string `json:"lease,omitempty"`    // of a caller that guards by itself; none: it is under way already
	Fence    int64  `json:"fence,omitempty"`    // of its orders to the backend
	Accepted bool   `json:"accepted,omitempty"` // the plan that was sent is the one of the rollout
}

func (s *Server) openRollout(w http.ResponseWriter, r *http.Request) error {
	var o opening
	if err := read(r, &o); err != nil {
		return err
	}
	if !slices.Contains([]guard.Purpose{"", guard.ToRollout, guard.ToWatch, guard.ToRollback}, o.Purpose) {
		return badRequest(`purpose is "rollout", "watch" or "rollback"`)
	}
	if o.Guard != nil {
		return s.lendRollout(w, r, o)
	}
	delivery, err := s.delivery(r, o)
	if err != nil {
		return err
	}
	release := guard.Release{Service: o.Service, Environment: o.Environment, From: o.From, To: o.To}
	id, err := s.Desk().Open(r.Context(), delivery, release, o.Purpose)
	if err != nil {
		return err
	}
	w.Header().Set("Location", "/v1/rollouts/"+id)
	answer(w, http.StatusCreated, opened{ID: id})
	return nil
}

// Bounds of a list.
const (
	listUsual = 50
	listMost  = 200
)

type listed struct {
	Rollouts []shown `json:"rollouts"`
	Next     string  `json:"next,omitempty"` // for ?before=, to go on with the older ones
}

func (s *Server) listRollouts(w http.ResponseWriter, r *http.Request) error {
	list, err := s.list(r)
	if err != nil {
		return err
	}
	answer(w, http.StatusOK, list)
	return nil
}

// list reads the rollouts that the query of a request asks for.
func (s *Server) list(r *http.Request) (listed, error) {
	q := r.URL.Query()
	filter := store.Filter{Limit: listUsual}
	if text := q.Get("before"); text != "" {
		var err error
		if filter.Before, err = parseCursor(text); err != nil {
			return listed{}, err
		}
	}
	if text := q.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > listMost {
			return listed{}, badRequest(fmt.Sprintf("limit is 1 to %d", listMost))
		}
		filter.Limit = n
	}
	if text := q.Get("open"); text != "" {
		open, err := strconv.ParseBool(text)
		if err != nil {
			return listed{}, badRequest("open is true or false")
		}
		filter.Open = &open
	}
	if service := q.Get("service"); service != "" {
		environment := q.Get("environment")
		if environment == "" {
			chosen, err := s.Plans.For(service, "")
			if err != nil {
				return listed{}, err
			}
			environment = chosen.Plan.Environment
		}
		filter.Target = target(service, environment)
	}
	all, err := s.Store.Rollouts(r.Context(), filter)
	if err != nil {
		return listed{}, err
	}
	list := listed{Rollouts: []shown{}}
	for _, one := range all {
		h, err := s.histories.read(r.Context(), one.ID)
		var unreadable *unreadableError
		if errors.As(err, &unreadable) {
			list.Rollouts = append(list.Rollouts, unread(one, unreadable))
			continue
		}
		if err != nil {
			return listed{}, fmt.Errorf("%s: %w", one.ID, err)
		}
		list.Rollouts = append(list.Rollouts, s.show(h, one, time.Now()).brief())
	}
	if len(all) == filter.Limit {
		list.Next = formatCursor(all[len(all)-1].Cursor())
	}
	return list, nil
}

// A place in a list is written as a time in nanoseconds, and a name.
func formatCursor(c store.Cursor) string {
	return strconv.FormatInt(c.Began.UnixNano(), 10) + "~" + c.ID
}

func parseCursor(text string) (store.Cursor, error) {
	nanos, id, _ := strings.Cut(text, "~")
	began, err := strconv.ParseInt(nanos, 10, 64)
	if err != nil || id == "" {
		return store.Cursor{}, badRequest("before is what next said in the answer before")
	}
	return store.Cursor{Began: time.Unix(0, began).UTC(), ID: id}, nil
}

// brief leaves out what only who looks at one rollout wants to know.
func (r shown) brief() shown {
	r.Findings, r.Proof, r.Ruling, r.Incident = nil, nil, nil, r.Incident.brief()
	return r
}

// rollout reads the rollout that a request names.
func (s *Server) rollout(r *http.Request) (history, store.Rollout, error) {
	id := r.PathValue("id")
	one, err := s.Store.Find(r.Context(), id)
	if errors.Is(err, store.ErrNoRollout) {
		return history{}, one, guard.ErrNoRollout
	}
	if err != nil {
		return history{}, one, err
	}
	h, err := s.histories.read(r.Context(), id)
	return h, one, err
}

func (s *Server) showRollout(w http.ResponseWriter, r *http.Request) error {
	h, one, err := s.rollout(r)
	if err != nil {
		return err
	}
	answer(w, http.StatusOK, s.show(h, one, time.Now()))
	return nil
}

type verdict struct {
	Verdict   guard.Opinion `json:"verdict"`
	Regressed bool          `json:"regressed"`
	Enough    bool          `json:"enough"`
	Reason    string        `json:"reason"`
	Over      bool          `json:"over"`
	Outcome   guard.Outcome `json:"outcome,omitempty"`
	Release   string        `json:"release"`
	Percent   int           `json:"percent"`
}

func (s *Server) showVerdict(w http.ResponseWriter, r *http.Request) error {
	h, _, err := s.rollout(r)
	if err != nil {
		return err
	}
	opinion := h.state.Opinion(time.Now(), staleAfter(h.plan))
	answer(w, http.StatusOK, verdict{
		Verdict: opinion, Regressed: opinion == guard.Harmful, Enough: opinion == guard.Healthy || opinion == guard.Harmful,
		Reason: cmp.Or(h.state.Why, h.state.Ruling.Why), Over: h.state.Phase == guard.Over, Outcome: h.state.Outcome,
		Release: r.PathValue("id"), Percent: h.state.Seen,
	})
	return nil
}

type order struct {
	Verb guard.Verb     `json:"verb"`
	Why  string         `json:"why,omitempty"`
	For  guard.Duration `json:"for,omitempty"` // of extend
	// NoIncident, of rollback, says that nothing has gone wrong; why is asked for then.
	NoIncident bool `json:"no_incident,omitempty"`
	// Force is of rollback: over a migration that cannot be undone, too.
	Force bool `json:"force,omitempty"`
}

type told struct {
	Told string `json:"told"` // the rollout
}

func (s *Server) orderRollout(w http.ResponseWriter, r *http.Request) error {
	var o order
	if err := read(r, &o); err != nil {
		return err
	}
	if err := o.check(callerOf(r.Context())); err != nil {
		return err
	}
	return s.tell(w, r, o, guard.Ordered{Verb: o.Verb, Why: guard.Line(o.Why, longestText), For: o.For, NoIncident: o.NoIncident, Force: o.Force})
}

// errApprove says that an order takes a right that the caller has not.
var errApprove = errors.New(`this takes the right "approve"`)

func (o order) check(c Caller) error {
	switch {
	case !slices.Contains(guard.Verbs, o.Verb):
		return badRequest(fmt.Sprintf("verb is one of %v", guard.Verbs))
	case o.Verb == guard.OrderProceed && !c.May(Approve):
		return errApprove
	case o.Verb == guard.OrderExtend && (o.For <= 0 || o.For.Std() > longestExtension):
		return badRequest(`extend takes a time, up to a day: "for": "10m"`)
	case o.NoIncident && o.Verb != guard.OrderRollback:
		return badRequest("no_incident belongs to rollback alone")
	case o.NoIncident && strings.TrimSpace(o.Why) == "":
		return badRequest("no_incident takes a why: say what made you take it back, if nothing has gone wrong")
	case o.Force && o.Verb != guard.OrderRollback:
		return badRequest("force goes with rollback alone")
	}
	return nil
}

const (
	longestExtension = 24 * time.Hour
	longestText      = 2000
)

type note struct {
	Text string `json:"text"`
}

func (s *Server) noteRollout(w http.ResponseWriter, r *http.Request) error {
	var n note
	if err := read(r, &n); err != nil {
		return err
	}
	text := guard.Line(n.Text, longestText)
	if text == "" {
		return badRequest("text says nothing")
	}
	return s.tell(w, r, n, guard.Noted{Text: text})
}

func (s *Server) acknowledgeRollout(w http.ResponseWriter, r *http.Request) error {
	var by string
	if who(r.Context()) == "" {
		by = "somebody" // whom nothing names, and it has to be seen all the same that there is one
	}
	return s.tell(w, r, struct{}{}, guard.Acknowledged{By: by})
}

// tell has a rollout told something, durably, and answers.
func (s *Server) tell(w http.ResponseWriter, r *http.Request, value any, f guard.Fact) error {
	delivery, err := s.delivery(r, value)
	if err != nil {
		return err
	}
	id := r.PathValue("id")
	if err := s.Desk().Tell(r.Context(), delivery, id, f); err != nil {
		return err
	}
	answer(w, http.StatusAccepted, told{id})
	return nil
}

func (s *Server) exportJournal(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("id")
	if _, err := s.Store.Find(r.Context(), id); err != nil {
		if errors.Is(err, store.ErrNoRollout) {
			return guard.ErrNoRollout
		}
		return err
	}
	w.Header().Set("Content-Type", "application/jsonl")
	w.Header().Set("Content-Disposition", fmt.Sprintf("attachment; filename=%q", id+journal.Extension))
	if err := s.Store.Export(r.Context(), id, w); err != nil {
		s.Log.Warn("a journal was not exported whole", "rollout", id, "error", err)
		panic(http.ErrAbortHandler) // half a journal must not look like a whole one
	}
	return nil
}

// backup sends a copy of the store, which is whole or not sent.
func (s *Server) backup(w http.ResponseWriter, r *http.Request) error {
	if c := callerOf(r.Context()); !c.May(View) || !c.MayForAll(Approve) {
		s.refused(r, c.Name, "has not the rights "+string(View)+" and "+string(Approve)+" for all services")
		refuse(w, http.StatusForbidden, fmt.Sprintf("%s may not do this: it takes the rights %q and %q, for all services", cmp.Or(c.Name, "this caller"), View, Approve))
		return nil
	}
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(backupWithin))
	dir, err := os.MkdirTemp("", "golive-backup-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }() // what is left of it is in the way of nobody
	path := filepath.Join(dir, "golive.db")
	if err := s.Store.Backup(r.Context(), path); errors.Is(err, store.ErrNoBackup) {
		return badRequest(err.Error())
	} else if err != nil {
		return err
	}
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // it was only read
	w.Header().Set("Content-Disposition", `attachment; filename="golive.db"`)
	w.Header().Set("Content-Type", "application/vnd.sqlite3")
	http.ServeContent(w, r, "", time.Time{}, file)
	return nil
}

func (s *Server) showReport(w http.ResponseWriter, r *http.Request) error {
	h, _, err := s.rollout(r)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = io.WriteString(w, s.Report(h.plan, h.events))
	return nil
}

func (s *Server) healthy(w http.ResponseWriter, _ *http.Request) error {
	answer(w, http.StatusOK, map[string]string{"version": s.Version, "node": s.Node})
	return nil
}

func (s *Server) ready(w http.ResponseWriter, r *http.Request) error {
	if err := s.Ready(r.Context()); err != nil {
		refuse(w, http.StatusServiceUnavailable, s.Clean(err.Error()))
		return nil
	}
	answer(w, http.StatusOK, map[string]int{"guarded": len(s.all())})
	return nil
}
