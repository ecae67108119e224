package client

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/golive-dev/golive/guard"
)

// A clock is a server whose clock is wrong by so much, and that takes its time before it looks at it and after.
type clock struct{ ahead, before, after time.Duration }

func (c clock) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	time.Sleep(c.before)
	w.Header().Set("Date", time.Now().Add(c.ahead).UTC().Format(http.TimeFormat))
	time.Sleep(c.after)
	w.WriteHeader(http.StatusTeapot)
}

func askTime(t *testing.T, h http.Handler, c *http.Client) (guard.Skew, error) {
	t.Helper()
	s := httptest.NewServer(h)
	defer s.Close()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	return Skew(c, request)
}

// TestSkew wants the truth within the margin, and a margin that is no larger than it has to be.
func TestSkew(t *testing.T) {
	for name, c := range map[string]struct {
		clock  clock
		margin time.Duration
	}{
		"right":        {clock{}, time.Second / 2},
		"ahead":        {clock{ahead: time.Hour}, time.Second / 2},
		"behind":       {clock{ahead: -3 * time.Second}, time.Second / 2},
		"slow to look": {clock{before: 2200 * time.Millisecond}, 1600 * time.Millisecond},
		"slow to say":  {clock{ahead: 3 * time.Second, after: 2200 * time.Millisecond}, 1600 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := askTime(t, c.clock, http.DefaultClient)
			if err != nil {
				t.Fatal(err)
			}
			if err := got.Check(); err != nil {
				t.Error(err)
			}
			if off := (got.Ahead - c.clock.ahead).Abs(); off > got.Within {
				t.Errorf("it is %v ahead, and Skew says %v, give or take %v", c.clock.ahead, got.Ahead, got.Within)
			}
			if got.Within < c.margin || got.Within > c.margin+200*time.Millisecond {
				t.Errorf("the margin is %v, want %v", got.Within, c.margin)
			}
		})
	}
}

// A connection that takes long to make says nothing about the clock.
func TestSkewIsWithoutDialing(t *testing.T) {
	slow := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		time.Sleep(time.Second)
		return new(net.Dialer).DialContext(ctx, network, address)
	}}}
	got, err := askTime(t, clock{}, slow)
	if err != nil || got.Within > 800*time.Millisecond {
		t.Errorf("Skew = %+v, error %v", got, err)
	}
}

func TestSkewBelievesNoNonsense(t *testing.T) {
	for name, c := range map[string]struct {
		header, value, want string
	}{
		"cached":    {"Age", "7", "its answer comes from a cache"},
		"a number":  {"Date", "1", "its answer does not tell the time (header Date)"},
		"no header": {"Date", "", "its answer does not tell the time (header Date)"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := askTime(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set(c.header, c.value)
				if c.value == "" {
					w.Header()[c.header] = nil // which keeps net/http from setting it
				}
			}), http.DefaultClient)
			if err == nil || !strings.HasPrefix(err.Error(), c.want) || got != (guard.Skew{}) {
				t.Errorf("Skew = %+v, error %v, want %s", got, err, c.want)
			}
		})
	}
}

// TestShared: the same set-up, made again, uses the same connections; another secret does not.
func TestShared(t *testing.T) {
	set := func(with guard.With) *http.Client {
		settings := Defaults()
		if err := with.Decode(&settings); err != nil {
			t.Fatal(err)
		}
		made, err := settings.Client()
		if err != nil {
			t.Fatal(err)
		}
		return made
	}
	bearer := func(secret string) guard.With {
		return guard.With{"authorization": map[string]any{"credentials": secret}, "headers": map[string]any{"X-Scope-OrgID": "a"}}
	}
	first := set(bearer("one"))
	if again := set(bearer("one")); again != first {
		t.Error("the same set-up has connections of its own")
	}
	if other := set(bearer("two")); other == first {
		t.Error("another secret uses the connections of the first")
	}
	if other := set(guard.With{}); other == first {
		t.Error("no secret uses the connections of one")
	}
}
