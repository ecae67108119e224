package server

// This file is what every request passes on its way to a route, and how it is read and answered.

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/journal"
)

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
	var no forbidden
	var clash conflict
	switch {
	case errors.As(err, &bad), errors.As(err, &invalid):
		refuse(w, http.StatusBadRequest, err.Error())
	case errors.Is(err, errApprove), errors.As(err, &no):
		s.refused(r, who(r.Context()), err.Error())
		refuse(w, http.StatusForbidden, err.Error())
	case errors.As(err, &large):
		refuse(w, http.StatusRequestEntityTooLarge, fmt.Sprintf("a request may have %d bytes", large.Limit))
	case errors.As(err, &clash):
		refuse(w, http.StatusConflict, err.Error())
	case errors.Is(err, guard.ErrNoRollout), errors.Is(err, guard.ErrNoPlan), errors.Is(err, errNoExhibit):
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
