package server

import (
	"crypto/sha256"
	"net"
	"net/http"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// How fast one caller may ask, and how many may ask at once. Deploy tools and people come nowhere near; what does is
// a mistake or an attack, and must not keep others from being heard.
const (
	perSecond   = 50
	burst       = 200
	atOnce      = 512
	mostCallers = 10_000
	forgotten   = 5 * time.Minute
)

// limiter keeps each caller to its pace. A caller is a token, known or not, or the host that sends none.
type limiter struct {
	mu      sync.Mutex
	callers map[[sha256.Size]byte]*pace
	all     chan struct{} // one for each request under way
}

type pace struct {
	*rate.Limiter
	seen time.Time
}

// limited lets requests through that do not come too fast. Those who follow events do not count as under way.
func (s *Server) limited(next http.Handler) http.Handler {
	l := &limiter{callers: map[[sha256.Size]byte]*pace{}, all: make(chan struct{}, atOnce)}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/healthz" || r.URL.Path == "/readyz" {
			next.ServeHTTP(w, r)
			return
		}
		if !l.allow(r, time.Now()) {
			s.metrics.limited()
			w.Header().Set("Retry-After", "1")
			refuse(w, tooFast(r), "too many requests: wait a second")
			return
		}
		if !follows(r) {
			select {
			case l.all <- struct{}{}:
				defer func() { <-l.all }()
			case <-r.Context().Done():
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// tooFast is the status for who comes too fast. Tools send again after a 503, and Alertmanager only then.
func tooFast(*http.Request) int { return http.StatusServiceUnavailable }

func follows(r *http.Request) bool {
	return r.Method == http.MethodGet && r.Header.Get("Accept") == "text/event-stream"
}

func (l *limiter) allow(r *http.Request, now time.Time) bool {
	key := callerKeyOf(r)
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.callers[key]
	if p == nil {
		if len(l.callers) >= mostCallers {
			l.forget(now)
		}
		p = &pace{Limiter: rate.NewLimiter(perSecond, burst)}
		l.callers[key] = p
	}
	p.seen = now
	return p.AllowN(now, 1)
}

// forget drops callers that have not been seen lately; if there are too many all the same, all of them.
func (l *limiter) forget(now time.Time) {
	for key, p := range l.callers {
		if now.Sub(p.seen) > forgotten {
			delete(l.callers, key)
		}
	}
	if len(l.callers) >= mostCallers {
		clear(l.callers)
	}
}

// callerKeyOf tells callers apart before they have proved anything: by host. Behind a proxy all are one host, whose
// pace the token divides.
func callerKeyOf(r *http.Request) [sha256.Size]byte {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	return sha256.Sum256([]byte(host + "\x00" + secretOf(r)))
}
