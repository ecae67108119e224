package server

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// How fast one caller may ask, and how many may ask at once. Deploy tools and people come nowhere near; what does is
// a mistake or an attack, and must not keep others from being heard.
const (
	perSecond   = 50 // unless Options.PerSecond says otherwise
	burst       = 4 * perSecond
	atOnce      = 512
	mostCallers = 10_000
	forgotten   = 5 * time.Minute
)

// HTTP serves with bounds on how long a caller may take to say what it wants, and on how much it may say before it has
// proved anything. There is none on the answer, which may follow a rollout for hours: each handler has its own.
func HTTP(h http.Handler) *http.Server {
	return &http.Server{
		Handler: h, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
	}
}

// limiter keeps each caller to its pace. A caller is a token that was proved lately, or else a host: made-up tokens give
// nobody more.
type limiter struct {
	tries   *tries
	rate    int // of one caller, per second
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
	l := &limiter{tries: s.Access.tries, rate: cmp.Or(s.PerSecond, perSecond), callers: map[[sha256.Size]byte]*pace{}, all: make(chan struct{}, atOnce)}
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
	key := l.keyOf(r, now)
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.callers[key]
	if p == nil {
		if len(l.callers) >= mostCallers {
			l.forget(now)
		}
		p = &pace{Limiter: rate.NewLimiter(rate.Limit(l.rate), burst/perSecond*l.rate)}
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

// keyOf tells callers apart before they have proved anything.
func (l *limiter) keyOf(r *http.Request, now time.Time) [sha256.Size]byte {
	if secret := secretOf(r); secret != "" {
		if sum := sha256.Sum256([]byte(secret)); l.tries.knows(sum, now) {
			return sum
		}
	}
	return sha256.Sum256([]byte(hostOf(r)))
}

// hostOf is where a request comes from. Who has one address of IPv6 has 2^64 of them, which count as one.
func hostOf(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	const oneNetwork = 64
	if ip, err := netip.ParseAddr(host); err == nil && ip.Is6() && !ip.Is4In6() {
		if network, err := ip.WithZone("").Prefix(oneNetwork); err == nil {
			return network.String()
		}
	}
	return host
}

// How many tokens that nobody knows a host may try, and how long one that was proved is let through all the same.
const (
	triesPerMinute = 10
	provedFor      = time.Hour
)

// errTooOften says that a host has tried too many tokens. It is not known whether this one is good.
var errTooOften = errors.New("too many tokens from your host that nobody knows: wait a minute")

// tries keeps hosts from guessing tokens. A token that was good lately is not counted against its host, which may be
// a proxy with an attacker behind it, too.
type tries struct {
	mu     sync.Mutex
	hosts  map[string]*allowance
	proved map[[sha256.Size]byte]time.Time
}

// An allowance is how many tries a host has left; it grows back with time.
type allowance struct {
	left float64
	at   time.Time
}

func newTries() *tries {
	return &tries{hosts: map[string]*allowance{}, proved: map[[sha256.Size]byte]time.Time{}}
}

// begin takes a try from the host, or refuses. The function that it returns is told what the token proved to be, and
// gives the try back unless it was wrong.
func (t *tries) begin(host string, sum [sha256.Size]byte, now time.Time) (settle func(error), err error) {
	if t == nil {
		return func(error) {}, nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	at, proved := t.proved[sum]
	proved = proved && now.Sub(at) < provedFor
	a := t.of(host, now)
	if !proved {
		if a.left < 1 {
			return nil, errTooOften
		}
		a.left--
	}
	return func(err error) {
		t.mu.Lock()
		defer t.mu.Unlock()
		wrong := err != nil && !errors.Is(err, ErrIssuerAway)
		switch {
		case !wrong && !proved:
			a.left = min(a.left+1, triesPerMinute)
		case wrong && proved: // it was good, and has expired
			delete(t.proved, sum)
			a.left = max(a.left-1, 0)
		}
		if err == nil {
			t.prove(sum, now)
		}
	}, nil
}

// knows says that a token was good lately.
func (t *tries) knows(sum [sha256.Size]byte, now time.Time) bool {
	if t == nil {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	at, proved := t.proved[sum]
	return proved && now.Sub(at) < provedFor
}

// prove remembers a token that was good.
func (t *tries) prove(sum [sha256.Size]byte, now time.Time) {
	if len(t.proved) >= mostCallers {
		clear(t.proved)
	}
	t.proved[sum] = now
}

// of is the allowance of a host. Where there are too many hosts, those that are new share one.
func (t *tries) of(host string, now time.Time) *allowance {
	if t.hosts[host] == nil && len(t.hosts) >= mostCallers {
		for other, a := range t.hosts {
			if a.grown(now) >= triesPerMinute {
				delete(t.hosts, other)
			}
		}
		if len(t.hosts) >= mostCallers {
			host = ""
		}
	}
	a := t.hosts[host]
	if a == nil {
		a = &allowance{left: triesPerMinute}
		t.hosts[host] = a
	}
	a.left, a.at = a.grown(now), now
	return a
}

// grown is what is left by now.
func (a *allowance) grown(now time.Time) float64 {
	if a.at.IsZero() {
		return a.left
	}
	return min(triesPerMinute, a.left+now.Sub(a.at).Minutes()*triesPerMinute)
}
