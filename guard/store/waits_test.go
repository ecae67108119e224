package store

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// claims are what a process gets, as "key version body".
func claims(t testing.TB, w *Waits, held ...string) (all []string) {
	t.Helper()
	err := w.Claim(t.Context(), func(key string) bool { return slices.Contains(held, key) }, func(key string, version int64, body []byte) {
		all = append(all, fmt.Sprint(key, " ", version, " ", string(body)))
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func mustOffer(t testing.TB, w *Waits, key string, version int64, body string, want bool) {
	t.Helper()
	if kept, err := w.Offer(t.Context(), key, version, []byte(body)); err != nil || kept != want {
		t.Fatalf("Offer %s in place of %d says %v, %v, want %v", key, version, kept, err, want)
	}
}

func mustKeep(t testing.TB, w *Waits, key string, version int64, body string, done, want bool) {
	t.Helper()
	if kept, err := w.Keep(t.Context(), key, version, []byte(body), done); err != nil || kept != want {
		t.Fatalf("Keep %s in place of %d says %v, %v, want %v", key, version, kept, err, want)
	}
}

func wantClaims(t testing.TB, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Fatalf("claimed %q, want %q", got, want)
	}
}

func TestWaits(t *testing.T) {
	each(t, func(t *testing.T, address string) {
		s := open(t, address)
		other := second(t, s, address)
		timed(s, other)
		here, there := s.Waits("here", ttl), other.Waits("there", ttl)
		if version, body, err := here.Read(t.Context(), "a"); version != 0 || body != nil || err != nil {
			t.Fatalf("of nothing: %d %q %v", version, body, err)
		}
		wantClaims(t, claims(t, here))
		mustOffer(t, here, "a", 0, "one", true)
		mustOffer(t, there, "a", 0, "another", false)
		wantClaims(t, claims(t, there), "a 2 one")
		wantClaims(t, claims(t, here)) // it has a living owner
		wantClaims(t, claims(t, there, "a"))
		mustKeep(t, there, "a", 2, "two", false, true)
		mustKeep(t, there, "a", 2, "two", false, false) // it knows an old version
		mustOffer(t, here, "a", 2, "later", false)
		mustOffer(t, here, "a", 3, "later", true) // something else is waited for
		mustKeep(t, there, "a", 3, "three", false, false)
		wantClaims(t, claims(t, here), "a 5 later")
		mustKeep(t, here, "a", 5, "said", true, true)
		wantClaims(t, claims(t, here))
		wantClaims(t, claims(t, there))
		if version, body, err := there.Read(t.Context(), "a"); version != 6 || string(body) != "said" || err != nil {
			t.Fatalf("%d %q %v", version, body, err)
		}
		mustOffer(t, there, "a", 6, "again", true)
		wantClaims(t, claims(t, there), "a 8 again")
	})
}

// Whoever stands still is replaced, and then writes nothing more; whoever lives is not.
func TestWaitsOfTheDead(t *testing.T) {
	each(t, func(t *testing.T, address string) {
		s := open(t, address)
		other := second(t, s, address)
		clock := timed(s, other)
		dead, alive := s.Waits("dead", ttl), other.Waits("alive", ttl)
		mustOffer(t, dead, "a", 0, "one", true)
		wantClaims(t, claims(t, dead), "a 2 one")
		for range 20 { // while both call Claim
			wantClaims(t, claims(t, dead, "a"))
			wantClaims(t, claims(t, alive))
			clock.pass(ttl / 4)
		}
		var got []string
		for range 6 {
			got = append(got, claims(t, alive, "a")...)
			if got = append(got, claims(t, alive)...); len(got) > 0 {
				break
			}
			clock.pass(ttl / 4)
		}
		wantClaims(t, got, "a 3 one")
		mustKeep(t, dead, "a", 2, "no", true, false)
		wantClaims(t, claims(t, dead)) // it lives again, and what it had has another owner
		mustKeep(t, alive, "a", 3, "yes", true, true)
	})
}

// Whoever leaves is not waited for, nor is a process whose claim was answered and the answer lost.
func TestWaitsLetGo(t *testing.T) {
	each(t, func(t *testing.T, address string) {
		s := open(t, address)
		other := second(t, s, address)
		timed(s, other)
		here, there := s.Waits("here", ttl), other.Waits("there", ttl)
		if err := here.Leave(t.Context()); err != nil { // before it has joined
			t.Fatal(err)
		}
		mustOffer(t, here, "a", 0, "one", true)
		wantClaims(t, claims(t, here), "a 2 one")
		wantClaims(t, claims(t, here), "a 3 one") // it does not hold what it has
		if err := errors.Join(here.Leave(t.Context()), here.Leave(t.Context())); err != nil {
			t.Fatal(err)
		}
		wantClaims(t, claims(t, there), "a 4 one")
	})
}

// A process whose session lapsed, and that nobody has replaced, goes on under the next one.
func TestWaitsAfterAPause(t *testing.T) {
	each(t, func(t *testing.T, address string) {
		s := open(t, address)
		other := second(t, s, address)
		clock := timed(s, other)
		here, there := s.Waits("here", ttl), other.Waits("there", ttl)
		mustOffer(t, here, "a", 0, "one", true)
		wantClaims(t, claims(t, here), "a 2 one")
		clock.pass(2 * ttl)
		wantClaims(t, claims(t, here, "a"))
		mustKeep(t, here, "a", 2, "two", false, true)
		for range 20 {
			wantClaims(t, claims(t, there))
			wantClaims(t, claims(t, here, "a"))
			clock.pass(ttl / 4)
		}
		mustKeep(t, here, "a", 3, "three", true, true)
	})
}

// However many processes claim at once, each wait has one owner, and each version one writer.
func TestWaitsHaveOneOwner(t *testing.T) {
	each(t, func(t *testing.T, address string) {
		s := open(t, address)
		const all, nodes = 20, 4
		first := s.Waits("first", time.Hour)
		for i := range all {
			mustOffer(t, first, fmt.Sprint("w", i), 0, "x", true)
		}
		var mu sync.Mutex
		owners, writers := map[string]int{}, map[string]int{}
		var running sync.WaitGroup
		for n := range nodes {
			w := second(t, s, address).Waits(fmt.Sprint("node", n), time.Hour)
			running.Go(func() {
				if err := w.Claim(t.Context(), func(string) bool { return false }, func(key string, _ int64, _ []byte) {
					mu.Lock()
					defer mu.Unlock()
					owners[key]++
				}); err != nil {
					t.Error(err)
				}
				for i := range all {
					kept, err := w.Keep(t.Context(), fmt.Sprint("w", i), 2, []byte("y"), true)
					if err != nil {
						t.Error(err)
					}
					if kept {
						mu.Lock()
						writers[fmt.Sprint("w", i)]++
						mu.Unlock()
					}
				}
			})
		}
		running.Wait()
		for i := range all {
			key := fmt.Sprint("w", i)
			if owners[key] != 1 || writers[key] != 1 {
				t.Errorf("%s has %d owners and %d writers, want one of each", key, owners[key], writers[key])
			}
		}
	})
}

// What is kept outlasts the process, and what is done is forgotten in time.
func TestWaitsStay(t *testing.T) {
	each(t, func(t *testing.T, address string) {
		s := open(t, address)
		w := s.Waits("here", ttl)
		mustOffer(t, w, "a", 0, "one", true)
		mustOffer(t, w, "b", 0, "two", true)
		claims(t, w)
		mustKeep(t, w, "b", 2, "said", true, true)
		if err := w.Forget(t.Context(), time.Now().Add(-time.Hour)); err != nil {
			t.Fatal(err)
		}
		if version, _, err := w.Read(t.Context(), "b"); version != 3 || err != nil {
			t.Errorf("forgot what was done just now: %d, %v", version, err)
		}
		if err := errors.Join(w.Leave(t.Context()), s.Close()); err != nil {
			t.Fatal(err)
		}
		s = open(t, address)
		w = s.Waits("here", ttl)
		if err := w.Forget(t.Context(), time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		if version, _, err := w.Read(t.Context(), "b"); version != 0 || err != nil {
			t.Errorf("remembers what was done before: %d, %v", version, err)
		}
		wantClaims(t, claims(t, w), "a 3 one")
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Offer(t.Context(), "c", 0, nil); !errors.Is(err, os.ErrClosed) {
			t.Errorf("the error of a closed store is %v", err)
		}
	})
}

func TestWaitsMistakes(t *testing.T) {
	each(t, func(t *testing.T, address string) {
		w := open(t, address).Waits("here", ttl)
		for _, c := range []struct {
			key, says string
			body      []byte
		}{
			{"", "is empty", nil},
			{strings.Repeat("x", MaxText+1), "are allowed", nil},
			{"a", "are allowed", make([]byte, MaxBody+1)},
		} {
			if kept, err := w.Offer(t.Context(), c.key, 0, c.body); err == nil || kept || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%.10q: %v, %v, want %q", c.key, kept, err, c.says)
			}
		}
		if kept, err := w.Keep(t.Context(), "a", 1, make([]byte, MaxBody+1), false); err == nil || kept {
			t.Errorf("%v, %v", kept, err)
		}
	})
}
