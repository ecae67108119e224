package server

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"
)

func tryOf(t *tries, host, secret string, now time.Time, outcome error) error {
	settle, err := t.begin(host, sha256.Sum256([]byte(secret)), now)
	if err == nil {
		settle(outcome)
	}
	return err
}

// A host that guesses is refused for a while; tokens that were good lately and other hosts are not.
func TestGuessing(t *testing.T) {
	tries, now := newTries(), time.Now()
	if err := tryOf(tries, "proxy", "good", now, nil); err != nil {
		t.Fatal(err)
	}
	for n := range triesPerMinute {
		if err := tryOf(tries, "proxy", fmt.Sprint("guess", n), now, ErrUnknownToken); err != nil {
			t.Fatalf("guess %d: %v", n, err)
		}
	}
	for _, secret := range []string{"guess", "never seen, and good"} {
		if err := tryOf(tries, "proxy", secret, now, nil); !errors.Is(err, errTooOften) {
			t.Errorf("%s: got %v, want %v", secret, err, errTooOften)
		}
	}
	if err := tryOf(tries, "proxy", "good", now, nil); err != nil {
		t.Errorf("a token that was good a moment ago: %v", err)
	}
	if err := tryOf(tries, "elsewhere", "never seen, and good", now, nil); err != nil {
		t.Errorf("another host: %v", err)
	}
	guesses := 0
	for after := time.Duration(0); after <= 10*time.Minute; after += time.Second {
		if tryOf(tries, "proxy", "guess", now.Add(after), ErrUnknownToken) == nil {
			guesses++
		}
	}
	if guesses < 9*triesPerMinute || guesses > 11*triesPerMinute {
		t.Errorf("%d guesses in ten minutes, want about %d", guesses, 10*triesPerMinute)
	}
}

// Who asks at the same time has no more tries than who asks one after another.
func TestGuessingAtOnce(t *testing.T) {
	tries, now := newTries(), time.Now()
	var begun []func(error)
	for n := range 100 {
		settle, err := tries.begin("host", sha256.Sum256(fmt.Append(nil, n)), now)
		if err == nil {
			begun = append(begun, settle)
		}
	}
	if len(begun) != triesPerMinute {
		t.Errorf("%d tries under way at once, want %d", len(begun), triesPerMinute)
	}
	for _, settle := range begun {
		settle(ErrIssuerAway)
	}
	if err := tryOf(tries, "host", "next", now, ErrUnknownToken); err != nil {
		t.Errorf("an issuer that was away counts as a guess: %v", err)
	}
}

// A token that has expired is a wrong one again.
func TestExpiredIsForgotten(t *testing.T) {
	tries, now := newTries(), time.Now()
	sum := sha256.Sum256([]byte("token"))
	for _, outcome := range []error{nil, errors.New("expired")} {
		if err := tryOf(tries, "host", "token", now, outcome); err != nil {
			t.Fatal(err)
		}
	}
	if tries.knows(sum, now) {
		t.Error("it is let through uncounted")
	}
	if left := tries.hosts["host"].left; left != triesPerMinute-1 {
		t.Errorf("%v tries are left, want %d", left, triesPerMinute-1)
	}
}

// However many hosts there are, as much is remembered, and none gets more tries for it.
func TestManyHosts(t *testing.T) {
	tries, now := newTries(), time.Now()
	refused := 0
	for n := range 2 * mostCallers {
		if tryOf(tries, fmt.Sprint("host", n), "guess", now, ErrUnknownToken) != nil {
			refused++
		}
	}
	if len(tries.hosts) > mostCallers+1 {
		t.Errorf("%d hosts are remembered", len(tries.hosts))
	}
	if want := mostCallers - triesPerMinute; refused != want {
		t.Errorf("%d were refused, want %d", refused, want)
	}
	if err := tryOf(tries, "new", "guess", now.Add(time.Minute), ErrUnknownToken); err != nil || len(tries.hosts) > mostCallers {
		t.Errorf("a minute later: %v, with %d hosts remembered", err, len(tries.hosts))
	}
	for n := range 2 * mostCallers {
		tries.prove(sha256.Sum256(fmt.Append(nil, n)), now)
	}
	if len(tries.proved) > mostCallers {
		t.Errorf("%d tokens are remembered", len(tries.proved))
	}
}

// One caller too fast does not disturb another, and tokens that nobody knows give nobody a pace of their own.
func TestPace(t *testing.T) {
	tries, now := newTries(), time.Now()
	for _, secret := range []string{"fast", "slow"} {
		tries.prove(sha256.Sum256([]byte(secret)), now)
	}
	l := &limiter{tries: tries, rate: perSecond, callers: map[[sha256.Size]byte]*pace{}}
	ask := func(remote, secret string) bool {
		r := httptest.NewRequest("GET", "/v1/rollouts", nil)
		r.RemoteAddr = remote
		if secret != "" {
			r.Header.Set("Authorization", "Bearer "+secret)
		}
		return l.allow(r, now)
	}
	count := func(remote string, secret func(int) string) (allowed int) {
		for n := range 3 * burst {
			if ask(remote, secret(n)) {
				allowed++
			}
		}
		return allowed
	}
	if n := count("192.0.2.1:1", func(int) string { return "fast" }); n != burst {
		t.Errorf("a caller has %d requests at once, want %d", n, burst)
	}
	if !ask("192.0.2.1:1", "slow") {
		t.Error("another caller behind the same proxy is refused")
	}
	if n := count("192.0.2.2:1", func(n int) string { return fmt.Sprint("made up", n) }); n != burst {
		t.Errorf("a host with made-up tokens has %d requests at once, want %d", n, burst)
	}
	if !ask("192.0.2.3:1", "") {
		t.Error("another host is refused")
	}
	if n := count("[2001:db8::1]:1", func(int) string { return "" }); n != burst || ask("[2001:db8::2]:1", "") {
		t.Errorf("an address of the same network of IPv6 is another host (%d requests)", n)
	}
}

// Strangers under way keep other strangers waiting, and nobody whose token is known; one host does not keep out another.
func TestStrangersAtOnce(t *testing.T) {
	tokens, err := ParseTokens("bob view " + personSecret)
	if err != nil {
		t.Fatal(err)
	}
	s := New(Options{Access: Access{Tokens: tokens}, PerSecond: 10_000})
	under, over := make(chan struct{}), make(chan struct{})
	h := s.limited(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			under <- struct{}{}
			<-over
		}
	}))
	ask := func(path, host, secret string) *httptest.ResponseRecorder {
		r := httptest.NewRequest("GET", path, nil)
		r.RemoteAddr = host + ":1"
		if secret != "" {
			r.Header.Set("Authorization", "Bearer "+secret)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	var slow sync.WaitGroup
	for n := range atOnce {
		host := n / atOnceHost
		slow.Go(func() { ask("/slow", fmt.Sprint("192.0.2.", host), "") })
		<-under
		if n == atOnceHost-1 {
			if w := ask("/", "192.0.2.0", ""); w.Code != 503 || w.Header().Get("Retry-After") == "" {
				t.Errorf("one more of a host: %d %v", w.Code, w.Header())
			}
			if w := ask("/", "192.0.2.200", ""); w.Code != 200 {
				t.Errorf("another host: %d", w.Code)
			}
		}
	}
	if w := ask("/", "192.0.2.200", ""); w.Code != 503 {
		t.Errorf("another host when all slots are taken: %d", w.Code)
	}
	if w := ask("/", "192.0.2.0", personSecret); w.Code != 200 {
		t.Errorf("a token that is known: %d", w.Code)
	}
	close(over)
	slow.Wait()
	if w := ask("/", "192.0.2.0", ""); w.Code != 200 {
		t.Errorf("once they are gone: %d", w.Code)
	}
}

// What carries a signature is refused only for others that did not hold, and for a hundred of them.
func TestForging(t *testing.T) {
	tries, now := newTries(), time.Now()
	try := func(n int, outcome error) error {
		settle, err := tries.beginSigned("ci", sha256.Sum256(fmt.Append(nil, n)), now)
		if err == nil {
			settle(outcome)
		}
		return err
	}
	var under []func(error)
	for n := range 2 * forgedPerMinute {
		settle, err := tries.beginSigned("ci", sha256.Sum256(fmt.Append(nil, "at once", n)), now)
		if err != nil {
			t.Fatalf("good one %d at once: %v", n, err)
		}
		under = append(under, settle)
	}
	for _, settle := range under {
		settle(nil)
	}
	for n := range forgedPerMinute {
		if err := try(n, ErrUnknownToken); err != nil {
			t.Fatalf("forged one %d: %v", n, err)
		}
	}
	if err := try(-1, nil); !errors.Is(err, errTooOften) {
		t.Errorf("after %d: %v", forgedPerMinute, err)
	}
	if _, err := tries.beginSigned("ci", sha256.Sum256([]byte("at once0")), now); err != nil {
		t.Errorf("one that was good a moment ago: %v", err)
	}
	if err := tryOf(tries, "ci", "guess", now, nil); err != nil {
		t.Errorf("tokens of the list are counted with them: %v", err)
	}
}

// A request has an end, whatever it waits for, and one that follows has none.
func TestBounded(t *testing.T) {
	for path, want := range map[string]time.Duration{
		"/": answersWithin, "/v1/rollouts": answersWithin, "/readyz": readyWithin, "/v1/backup": backupWithin,
		"/v1/rollouts/x/events": 0, "/v1/leases/x/told": 0,
	} {
		r := httptest.NewRequest("GET", path, nil)
		r.Header.Set("Accept", "text/event-stream, */*")
		var got time.Duration
		began := time.Now()
		serve := func(_ http.ResponseWriter, r *http.Request) error {
			if at, bounded := r.Context().Deadline(); bounded {
				got = at.Sub(began)
			}
			return context.DeadlineExceeded
		}
		s := New(Options{Access: Access{Open: true}})
		for _, h := range []http.Handler{s.answering(serve), s.person(View, serve)} {
			got = 0
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if (want == 0) != (got == 0) || got < want || w.Code != 503 {
				t.Errorf("%s has %s, want %s (%d)", path, got, want, w.Code)
			}
		}
	}
}

// One at a time is served, and the next when that is done.
func TestAlone(t *testing.T) {
	under, over := make(chan struct{}), make(chan struct{})
	serve := alone(func(http.ResponseWriter, *http.Request) error {
		under <- struct{}{}
		<-over
		return nil
	})
	ask := func() int {
		w := httptest.NewRecorder()
		_ = serve(w, nil)
		return w.Code
	}
	for range 2 {
		var first sync.WaitGroup
		first.Go(func() { ask() })
		<-under
		if code := ask(); code != 409 {
			t.Errorf("the second at the same time: %d", code)
		}
		over <- struct{}{}
		first.Wait()
	}
}
