package server

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// How fast one caller may ask, and how many may ask at once. Deploy tools and people come nowhere near; what does is
// a mistake or an attack, and must not keep others from being heard.
const (
	perSecond   = 50 // unless Options.PerSecond says otherwise
	burst       = 4 * perSecond
	atOnce      = 512 // of callers who have proved who they are, and as many again of all others
	atOnceHost  = 32  // of those others, from one host
	mostCallers = 10_000
	forgotten   = 5 * time.Minute
	slotWithin  = 2 * time.Second // how long a request waits until others are answered
)

// How long the body of a request may take. A request is under way while its body comes, so that who sends slowly keeps
// others waiting.
const (
	bodyWithin       = 10 * time.Second
	strangerBodyTime = 5 * time.Second // of who has proved nothing
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
	tokens  func([sha256.Size]byte) bool // says that a hash is of a token that lets somebody in; nil: none is
	rate    int                          // of one caller, per second
	mu      sync.Mutex
	callers map[[sha256.Size]byte]*pace

	// One for each request under way: of callers that are known, and of strangers, who so can keep nobody else waiting.
	known, strangers chan struct{}
	hosts            map[string]*slots // of strangers
}

// slots are the requests under way of one host.
type slots struct {
	taken chan struct{}
	users int // that have one or wait for one
}

func (s *Server) newLimiter() *limiter {
	return &limiter{
		tries: s.Access.tries, rate: cmp.Or(s.PerSecond, perSecond), callers: map[[sha256.Size]byte]*pace{}, hosts: map[string]*slots{},
		tokens: func(sum [sha256.Size]byte) bool { _, good := s.Access.listed(sum); return good },
		known:  make(chan struct{}, atOnce), strangers: make(chan struct{}, atOnce),
	}
}

type pace struct {
	*rate.Limiter
	seen time.Time
}

// limited lets requests through that do not come too fast. Those who follow events do not count as under way.
func (s *Server) limited(next http.Handler) http.Handler {
	l := s.newLimiter()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/healthz" || r.URL.Path == "/readyz" {
			next.ServeHTTP(w, r)
			return
		}
		out := http.NewResponseController(w)
		known := s.Access.Open || l.knows(r, time.Now())
		if r.ContentLength != 0 { // also of what is refused: net/http reads on to its end before it answers
			longest := bodyWithin
			if !known {
				longest = strangerBodyTime
			}
			if out.SetReadDeadline(time.Now().Add(longest)) == nil {
				r.Body = &promptBody{r.Body, out}
			}
		}
		if !l.allow(r, time.Now()) {
			s.metrics.limited()
			w.Header().Set("Retry-After", "1")
			refuse(w, tooFast(r), "too many requests: wait a second")
			return
		}
		if follows(r) {
			_ = out.SetReadDeadline(time.Time{}) // net/http takes the end of a deadline for the end of its client
			next.ServeHTTP(w, r)
			return
		}
		release := l.enter(r, known)
		if release == nil {
			s.metrics.limited()
			w.Header().Set("Retry-After", "2")
			refuse(w, http.StatusServiceUnavailable, "too many requests are under way: try again")
			return
		}
		defer release()
		next.ServeHTTP(w, r)
	})
}

// A promptBody has to come within a deadline, which ends with it: the answer may take longer.
type promptBody struct {
	io.ReadCloser
	out *http.ResponseController
}

func (b *promptBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if errors.Is(err, io.EOF) {
		_ = b.out.SetReadDeadline(time.Time{}) // net/http takes the end of a deadline for the end of its client
	}
	return n, err
}

// enter waits until a request may be under way, and returns what says that it is not any more; nil: others take too long.
func (l *limiter) enter(r *http.Request, known bool) (release func()) {
	patience := time.NewTimer(slotWithin)
	defer patience.Stop()
	take := func(slots chan struct{}) bool {
		select {
		case slots <- struct{}{}:
			return true
		default:
		}
		select {
		case slots <- struct{}{}:
			return true
		case <-patience.C:
		case <-r.Context().Done():
		}
		return false
	}
	if known {
		if !take(l.known) {
			return nil
		}
		return func() { <-l.known }
	}
	name := hostOf(r)
	host := l.of(name)
	if !take(host.taken) {
		l.leave(name, host)
		return nil
	}
	if !take(l.strangers) {
		<-host.taken
		l.leave(name, host)
		return nil
	}
	return func() {
		<-l.strangers
		<-host.taken
		l.leave(name, host)
	}
}

// of are the slots of a host, for as long as it has requests.
func (l *limiter) of(host string) *slots {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.hosts[host]
	if s == nil {
		s = &slots{taken: make(chan struct{}, atOnceHost)}
		l.hosts[host] = s
	}
	s.users++
	return s
}

func (l *limiter) leave(host string, s *slots) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s.users--; s.users == 0 {
		delete(l.hosts, host)
	}
}

// tooFast is the status for who comes too fast. Tools send again after a 503, and Alertmanager only then.
func tooFast(*http.Request) int { return http.StatusServiceUnavailable }

// follows says that a request is one whose answer has no end.
func follows(r *http.Request) bool {
	return r.Method == http.MethodGet && (strings.HasSuffix(r.URL.Path, "/told") ||
		strings.HasSuffix(r.URL.Path, "/events") && strings.Contains(r.Header.Get("Accept"), "text/event-stream"))
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
	if l.knows(r, now) {
		return sha256.Sum256([]byte(secretOf(r)))
	}
	return sha256.Sum256([]byte(hostOf(r)))
}

// knows says that a request brings a token of the list, or one that was good lately.
func (l *limiter) knows(r *http.Request, now time.Time) bool {
	secret := secretOf(r)
	if secret == "" {
		return false
	}
	sum := sha256.Sum256([]byte(secret))
	return l.tries.knows(sum, now) || l.tokens != nil && l.tokens(sum)
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

// How many tokens that nobody knows a host may try, and how long one that was proved is let through all the same. What
// carries a signature or a seal cannot be guessed, and costs little to refuse: of that a host may bring more, for its
// tools come with many that have expired.
const (
	triesPerMinute  = 10
	forgedPerMinute = 100
	provedFor       = time.Hour
)

// errTooOften says that a host has tried too many tokens. It is not known whether this one is good.
var errTooOften = errors.New("too many tokens from your host that nobody knows: wait a minute")

// tries keeps hosts from guessing tokens. A token that was good lately is not counted against its host, which may be
// a proxy with an attacker behind it, too.
type tries struct {
	mu     sync.Mutex
	hosts  map[string]*allowance
	forged map[string]*allowance // of hosts, for what carries a signature or a seal
	proved map[[sha256.Size]byte]time.Time
}

// An allowance is how many tries a host has left; it grows back in a minute.
type allowance struct {
	left, most float64
	at         time.Time
}

func newTries() *tries {
	return &tries{hosts: map[string]*allowance{}, forged: map[string]*allowance{}, proved: map[[sha256.Size]byte]time.Time{}}
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
	a := allowanceOf(t.hosts, host, triesPerMinute, now)
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
			a.left = min(a.left+1, a.most)
		case wrong && proved: // it was good, and has expired
			delete(t.proved, sum)
			a.left = max(a.left-1, 0)
		}
		if err == nil {
			t.prove(sum, now)
		}
	}, nil
}

// beginSigned is begin for what carries a signature or a seal: only those that do not hold are counted, so that however
// many good ones come at once, none is refused for the others.
func (t *tries) beginSigned(host string, sum [sha256.Size]byte, now time.Time) (settle func(error), err error) {
	if t == nil {
		return func(error) {}, nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	at, proved := t.proved[sum]
	a := allowanceOf(t.forged, host, forgedPerMinute, now)
	if a.left < 1 && (!proved || now.Sub(at) >= provedFor) {
		return nil, errTooOften
	}
	return func(err error) {
		t.mu.Lock()
		defer t.mu.Unlock()
		switch {
		case err == nil:
			t.prove(sum, now)
		case !errors.Is(err, ErrIssuerAway):
			delete(t.proved, sum)
			a.left = max(a.left-1, 0)
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

// allowanceOf is the allowance of a host. Where there are too many hosts, those that are new share one.
func allowanceOf(hosts map[string]*allowance, host string, most float64, now time.Time) *allowance {
	if hosts[host] == nil && len(hosts) >= mostCallers {
		for other, a := range hosts {
			if a.grown(now) >= a.most {
				delete(hosts, other)
			}
		}
		if len(hosts) >= mostCallers {
			host = ""
		}
	}
	a := hosts[host]
	if a == nil {
		a = &allowance{left: most, most: most}
		hosts[host] = a
	}
	a.left, a.at = a.grown(now), now
	return a
}

// grown is what is left by now.
func (a *allowance) grown(now time.Time) float64 {
	if a.at.IsZero() {
		return a.left
	}
	return min(a.most, a.left+now.Sub(a.at).Minutes()*a.most)
}
