package server

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
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
	return s.limited(s.recovered(s.loopbackOnly(s.sameOrigin(mux))))
}

// slashed gives a handler the path "/" where its prefix was all there was.
func slashed(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "" {
			r.URL.Path = "/"
		}
		h.ServeHTTP(w, r)
	})
}

// counting serves a hook, and counts its answers.
func (s *Server) counting(h Hook) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), answersWithin)
		defer cancel()
		if h.Signed {
			ctx = withOrigin(ctx, origin{remote: r.RemoteAddr})
		}
		r.Body = http.MaxBytesReader(w, r.Body, largestBody)
		record := &statusWriter{ResponseWriter: w}
		h.Handler.ServeHTTP(record, r.WithContext(ctx))
		s.metrics.hook(h.Name, record.status)
	})
}

// statusWriter remembers the status of an answer.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

func (w *statusWriter) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(b)
}

func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// allow lets callers through who have a right.
func (s *Server) allow(right Right, next http.Handler) http.Handler {
	if right == "" {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		caller, err := s.Access.caller(r)
		if err != nil {
			s.deny(w, r, err)
			return
		}
		if !caller.May(right) {
			s.refused(r, caller.Name, "has not the right "+string(right))
			refuse(w, http.StatusForbidden, fmt.Sprintf("%s may not do this: it takes the right %q", cmp.Or(caller.Name, "this caller"), right))
			return
		}
		ctx := withOrigin(as(r.Context(), caller), origin{r.RemoteAddr, right})
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// deny answers a caller of whom nothing is proved. Tools send again what could not be known.
func (s *Server) deny(w http.ResponseWriter, r *http.Request, err error) {
	s.refused(r, "", err.Error())
	status := statusOf(err)
	if status == http.StatusTooManyRequests && strings.HasPrefix(r.URL.Path, "/v1/hooks/") {
		w.Header().Set("Retry-After", "60")
		refuse(w, tooFast(r), err.Error())
		return
	}
	switch status {
	case http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", "5")
		refuse(w, status, ErrIssuerAway.Error())
	case http.StatusTooManyRequests:
		w.Header().Set("Retry-After", "60")
		refuse(w, status, err.Error())
	default:
		schemes := `Bearer realm="golive"`
		if r.Header.Get("Sec-Fetch-Mode") == "" { // a browser would ask the person who looks at a page for a password
			schemes += `, Basic realm="golive"`
		}
		w.Header().Set("WWW-Authenticate", schemes)
		refuse(w, status, err.Error())
	}
}

// statusOf is how a caller is answered of whom nothing is proved.
func statusOf(err error) int {
	switch {
	case errors.Is(err, ErrIssuerAway):
		return http.StatusServiceUnavailable
	case errors.Is(err, errTooOften):
		return http.StatusTooManyRequests
	}
	return http.StatusUnauthorized
}

// How many refusals a second the log names, and how many at once: an attack must not fill the disk.
const (
	refusalsLogged = 1
	refusalsAtOnce = 20
)

// refused counts a request that was not served, and logs it. The path is logged and not the query, which may hold a
// token.
func (s *Server) refused(r *http.Request, caller, why string) {
	s.metrics.refused()
	if !s.refusals.Allow() {
		s.untold.Add(1)
		return
	}
	s.Log.Warn("refused", "method", r.Method, "path", guard.Line(r.URL.Path, longestPath), "by", caller, "remote", r.RemoteAddr,
		"why", s.Clean(why), "not_logged_before", s.untold.Swap(0))
}

const longestPath = 200

// loopbackOnly serves requests to this machine by a name of this machine. A page in a browser that has its own name
// point to 127.0.0.1 (DNS rebinding) would else be let in with everybody.
func (s *Server) loopbackOnly(next http.Handler) http.Handler {
	if s.Access.Guarded() {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !isLoopback(hostname(r.Host)) {
			s.refused(r, "", "asked for another host")
			refuse(w, http.StatusMisdirectedRequest, "this server is for its own machine: ask for it as localhost, or give it --tokens")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// hostname is a host without its port, and without the brackets of IPv6.
func hostname(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		return name
	}
	return strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
}

// isLoopback says that a host, without its port, is this machine whatever the DNS says.
func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// sameOrigin refuses what pages of other sites have a browser send. Deploy tools are no browsers, and say nothing of an
// origin. A bearer token is none of what a browser adds by itself, so that who sends one has meant to.
func (s *Server) sameOrigin(next http.Handler) http.Handler {
	protection := http.NewCrossOriginProtection()
	protection.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.refused(r, "", "comes from a page of another site")
		refuse(w, http.StatusForbidden, "a page of another site has sent this")
	}))
	guarded := protection.Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if bearer(r) != "" {
			next.ServeHTTP(w, r)
			return
		}
		guarded.ServeHTTP(w, r)
	})
}

// recovered answers a panic like any other trouble.
func (s *Server) recovered(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			if p := recover(); p != nil && p != http.ErrAbortHandler { //nolint:errorlint // a panic is no error
				s.Log.Error("a request made golive panic", "method", r.Method, "path", r.URL.Path, "panic", p)
				refuse(w, http.StatusInternalServerError, "this is a mistake in golive; its log says more")
			}
		}()
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

// answering serves one route. What its function returns is answered by its kind.
func (s *Server) answering(serve func(http.ResponseWriter, *http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		largest := int64(largestBody)
		if r.PathValue("lease") != "" {
			largest += journal.MaxRecord
		}
		r.Body = http.MaxBytesReader(w, r.Body, largest)
		r, done := bounded(r)
		defer done()
		if err := serve(w, r); err != nil {
			s.fail(w, r, err)
		}
	})
}

// bounded is a request that ends in time, unless its answer has no end.
func bounded(r *http.Request) (*http.Request, context.CancelFunc) {
	longest := answersWithin
	switch {
	case follows(r):
		return r, func() {}
	case r.URL.Path == "/readyz":
		longest = readyWithin
	case r.URL.Path == "/v1/backup":
		longest = backupWithin
	}
	ctx, done := context.WithTimeout(r.Context(), longest)
	return r.WithContext(ctx), done
}

// alone serves one request at a time, and refuses others meanwhile.
func alone(serve func(http.ResponseWriter, *http.Request) error) func(http.ResponseWriter, *http.Request) error {
	var busy sync.Mutex
	return func(w http.ResponseWriter, r *http.Request) error {
		if !busy.TryLock() {
			refuse(w, http.StatusConflict, "somebody else asks for the same just now: try again when that is done")
			return nil
		}
		defer busy.Unlock()
		return serve(w, r)
	}
}

// A badRequest is a mistake of the caller's.
type badRequest string

func (b badRequest) Error() string { return string(b) }

// fail answers an error.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	var bad badRequest
	var invalid *InvalidError
	var underWay *guard.UnderWayError
	var gone leaseGoneError
	var fenced fencedError
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &bad), errors.As(err, &invalid):
		refuse(w, http.StatusBadRequest, err.Error())
	case errors.Is(err, errApprove):
		s.refused(r, who(r.Context()), err.Error())
		refuse(w, http.StatusForbidden, err.Error())
	case errors.As(err, &large):
		refuse(w, http.StatusRequestEntityTooLarge, fmt.Sprintf("a request may have %d bytes", large.Limit))
	case errors.Is(err, guard.ErrNoRollout), errors.Is(err, guard.ErrNoPlan):
		refuse(w, http.StatusNotFound, err.Error())
	case errors.As(err, &underWay):
		answer(w, http.StatusConflict, trouble{Error: err.Error(), Rollout: underWay.ID})
	case errors.Is(err, guard.ErrOver):
		refuse(w, http.StatusConflict, err.Error())
	case errors.As(err, &gone):
		refuse(w, http.StatusGone, err.Error())
	case errors.As(err, &fenced):
		answer(w, http.StatusConflict, trouble{Error: err.Error(), Rollout: fenced.rollout})
	case r.Context().Err() != nil:
		refuse(w, http.StatusServiceUnavailable, "it took too long")
	default:
		s.Log.Warn("a request could not be answered", "method", r.Method, "path", r.URL.Path, "error", s.Clean(err.Error()))
		w.Header().Set("Retry-After", "2")
		refuse(w, http.StatusServiceUnavailable, "golive cannot answer just now; try again")
	}
}

// trouble is an answer that is none.
type trouble struct {
	Error   string `json:"error"`
	Rollout string `json:"rollout,omitempty"` // that is in the way
}

func refuse(w http.ResponseWriter, status int, why string) { answer(w, status, trouble{Error: why}) }

func answer(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(value) // whoever asked may be gone
}

// read reads what was sent, strictly: a word that is not known may have meant everything.
func read(r *http.Request, into any) error {
	decoder := json.NewDecoder(r.Body)
	decoder.DisallowUnknownFields()
	err := decoder.Decode(into)
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return err
	case err != nil:
		return badRequest("the request is not the JSON that is wanted: " + guard.Line(err.Error(), 200))
	case decoder.More():
		return badRequest("the request goes on after its JSON")
	}
	return nil
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
	r.Findings, r.Proof, r.Ruling = nil, nil, nil
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
	return s.tell(w, r, o, guard.Ordered{Verb: o.Verb, Why: guard.Line(o.Why, longestText), For: o.For})
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
	if c := callerOf(r.Context()); !c.May(View) {
		s.refused(r, c.Name, "has not the right "+string(View))
		refuse(w, http.StatusForbidden, fmt.Sprintf("%s may not do this: it takes the rights %q and %q", cmp.Or(c.Name, "this caller"), View, Approve))
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

// showEvents lists what happened, or follows it: with Accept: text/event-stream, each event with its number as its
// id, so that a client that was cut off goes on where it was.
func (s *Server) showEvents(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("id")
	after, err := afterOf(r)
	if err != nil {
		return err
	}
	if _, _, err := s.rollout(r); err != nil {
		return err
	}
	if !strings.Contains(r.Header.Get("Accept"), "text/event-stream") {
		records, err := s.Store.Load(r.Context(), id, after)
		if err != nil {
			return err
		}
		events := []happened{}
		for _, record := range records {
			one, err := asHappened(record)
			if err != nil {
				return err
			}
			events = append(events, one)
		}
		answer(w, http.StatusOK, events)
		return nil
	}
	s.follow(w, r, id, after)
	return nil
}

// afterOf is the number of the event that a client has seen last.
func afterOf(r *http.Request) (int64, error) {
	text := cmp.Or(r.Header.Get("Last-Event-ID"), r.URL.Query().Get("after"), "0")
	after, err := strconv.ParseInt(text, 10, 64)
	if err != nil || after < 0 {
		return 0, badRequest("after is the number of an event")
	}
	return after, nil
}

func asHappened(r journal.Record) (happened, error) {
	e, err := guard.Decode(r.At, r.Kind, r.Data)
	if err != nil {
		return happened{}, err
	}
	return happened{Seq: r.Seq, At: r.At, Kind: r.Kind, Task: e.Task, Fact: e.Fact, Hash: r.Hash}, nil
}

// How often who follows is told that the server is there, and how often it looks where no hint comes.
const (
	aliveEvery = 15 * time.Second
	lookEvery  = 2 * time.Second
	sendWithin = 10 * time.Second
)

// follow sends events until the rollout is over or the client goes.
func (s *Server) follow(w http.ResponseWriter, r *http.Request, id string, after int64) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no")
	out := http.NewResponseController(w)
	ctx := r.Context()
	hints := s.Store.Subscribe(ctx)
	look, alive := time.NewTicker(lookEvery), time.NewTicker(aliveEvery)
	defer look.Stop()
	defer alive.Stop()
	send := func(format string, args ...any) bool {
		_ = out.SetWriteDeadline(time.Now().Add(sendWithin))
		_, err := fmt.Fprintf(w, format, args...)
		return err == nil && out.Flush() == nil
	}
	if !send(": golive\n\n") {
		return
	}
	for {
		records, err := s.Store.Load(ctx, id, after)
		if err != nil && ctx.Err() == nil {
			s.Log.Log(ctx, slog.LevelDebug, "who follows has to wait", "rollout", id, "error", err)
		}
		for _, record := range records {
			one, err := asHappened(record)
			if err != nil {
				return
			}
			text, err := json.Marshal(one)
			if err != nil || !send("id: %d\nevent: %s\ndata: %s\n\n", record.Seq, record.Kind, text) {
				return
			}
			after = record.Seq
		}
		if s.isOver(ctx, id) && len(records) == 0 && err == nil {
			send("event: over\ndata: {}\n\n")
			return
		}
		for waiting := true; waiting; {
			select {
			case hint, open := <-hints:
				waiting = open && hint != id
			case <-look.C:
				waiting = false
			case <-alive.C:
				if !send(": alive\n\n") {
					return
				}
			case <-ctx.Done():
				return
			}
		}
	}
}

// isOver says that nothing more will happen to a rollout.
func (s *Server) isOver(ctx context.Context, id string) bool {
	one, err := s.Store.Find(ctx, id)
	return err == nil && !one.Open
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
