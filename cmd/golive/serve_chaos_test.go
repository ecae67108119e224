package main

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/golive-dev/golive/guard"
)

// TestServeChaos lets servers die, or stand still, every few seconds, while rollouts run and messages arrive: no message
// that was taken is lost, no rollout is stuck, no shift has its effect twice, and every rollout ends as it should.
func TestServeChaos(t *testing.T) {
	if testing.Short() {
		t.Skip("takes minutes; make test runs it")
	}
	t.Run("killed, on SQLite", func(t *testing.T) {
		f := newFleet(t, 20)
		one := f.station(t, "sqlite:"+filepath.Join(t.TempDir(), "golive.db"), "one")
		chaos(t, f, []*station{one}, func(s *station) { end(s); s.start(t) })
	})
	// Each has a fault for one of two servers, before a database that both reach by wires of their own.
	for name, fault := range map[string]func(*testing.T, *station, *wire, *database){
		"killed":      func(t *testing.T, s *station, _ *wire, _ *database) { end(s); s.start(t) },
		"stand still": func(_ *testing.T, s *station, _ *wire, _ *database) { standStill(s) },
		"cut off": func(_ *testing.T, _ *station, w *wire, _ *database) {
			w.set(true)
			time.Sleep(6 * time.Second)
			w.set(false)
		},
		"database restarted": func(t *testing.T, _ *station, _ *wire, d *database) { d.stop(t); d.start(t) },
	} {
		t.Run(name+", two on PostgreSQL", func(t *testing.T) {
			f, d := newFleet(t, 20), newDatabase(t)
			one, two := d.wire(t), d.wire(t)
			stations := []*station{f.station(t, d.address(one.port), "one"), f.station(t, d.address(two.port), "two")}
			wires := map[*station]*wire{stations[0]: one, stations[1]: two}
			chaos(t, f, stations, func(s *station) { fault(t, s, wires[s], d) })
		})
	}
}

// end kills a server, or tells it to end, as an upgrade does.
func end(s *station) {
	if rand.IntN(2) == 0 {
		s.signal(syscall.SIGTERM)
		<-s.ended
		return
	}
	s.kill()
}

// standStill stops a server for longer than others wait for it.
func standStill(s *station) {
	s.signal(syscall.SIGSTOP)
	time.Sleep(6 * time.Second)
	s.signal(syscall.SIGCONT)
}

// enough faults for a trial to prove something.
const enough = 3

// chaos runs a rollout of every service, half of them bad, and another, again until enough servers have had the fault, one
// after the other, while notes are sent to the rollouts without a pause.
func chaos(t *testing.T, f *fleet, stations []*station, fault func(*station)) {
	t.Helper()
	for _, s := range stations {
		eventually(t, "the server is ready", s.ready)
	}
	c := newClient(stations...)
	var faults atomic.Int64
	var stop atomic.Bool
	var working sync.WaitGroup
	working.Go(func() {
		for i := 0; !stop.Load(); i++ {
			time.Sleep(time.Duration(3000+rand.IntN(4000)) * time.Millisecond)
			fault(stations[i%len(stations)])
			faults.Add(1)
		}
	})
	var mu sync.Mutex
	services := map[string]string{} // by rollout: all that there ever were
	var latest []string             // rollouts of this round
	taken := map[string]string{}    // notes that a server has said to keep, and the rollouts they are for
	sent := 0
	for sender := range 8 {
		working.Go(func() {
			for n := 0; !stop.Load(); n++ {
				time.Sleep(50 * time.Millisecond)
				mu.Lock()
				if len(latest) == 0 {
					mu.Unlock()
					continue
				}
				id := latest[rand.IntN(len(latest))]
				sent++
				mu.Unlock()
				text := fmt.Sprintf("note %d of %d", n, sender)
				path, body := "/v1/rollouts/"+id+"/notes", fmt.Sprintf(`{"text": %q}`, text)
				if n%2 == 0 {
					path, body = "/v1/hooks/generic", fmt.Sprintf(`{"action": "note", "rollout": %q, "text": %q}`, id, text)
				}
				switch status, answer := c.send(t, "POST", path, text, body); status {
				case http.StatusAccepted, http.StatusOK:
					mu.Lock()
					taken[text] = id
					mu.Unlock()
				case http.StatusConflict: // it is over
				default:
					t.Errorf("%s: %d %s", text, status, answer)
				}
			}
		})
	}
	for round := 0; round < 2 || faults.Load() < enough; round++ {
		var opened []string
		for service := range f.services {
			to := fmt.Sprintf("v2.%d", round)
			if rand.IntN(2) == 0 {
				to = fmt.Sprintf("bad.%d", round)
			}
			f.reset(service)
			id := c.open(t, service, "v1", to)
			opened = append(opened, id)
			mu.Lock()
			services[id] = service
			mu.Unlock()
		}
		mu.Lock()
		latest = opened
		mu.Unlock()
		for _, id := range opened {
			eventually(t, id+" is over", func() bool { return c.rollout(t, id).Phase == guard.Over })
			c.standDown(t, id)
			want := 100
			if strings.Contains(id, "-bad.") {
				want = 0
			}
			if _, percent := f.standing(services[id]); percent != want {
				t.Errorf("%s has %d %% of the traffic, want %d %%: %+v", id, percent, want, c.rollout(t, id))
			}
		}
	}
	stop.Store(true)
	working.Wait()
	for _, s := range stations {
		eventually(t, "the server is ready again", s.ready)
	}

	kept := map[string]string{}
	resumed := 0
	for id := range services {
		for _, e := range c.facts(t, id) {
			switch fact := e.Fact.(type) {
			case guard.Noted:
				if before, again := kept[fact.Text]; again {
					t.Errorf("%s is in a journal twice (%s and %s)", fact.Text, before, id)
				}
				kept[fact.Text] = id
			case guard.Resumed:
				resumed++
			}
		}
		want := guard.Live
		if strings.Contains(id, "-bad.") {
			want = guard.RolledBack
		}
		if r := c.rollout(t, id); r.Outcome != want {
			t.Errorf("%s is %s, want %s: %s", id, r.Outcome, want, r.Why)
		}
	}
	for text, id := range taken {
		if kept[text] != id {
			t.Errorf("%s to %s was taken, and is in the journal of %q", text, id, kept[text])
		}
	}
	twice, stale := f.twice()
	for _, text := range twice {
		t.Error(text)
	}
	if len(taken) < sent/10 {
		t.Errorf("only %d of %d notes were taken: this proves nothing", len(taken), sent)
	}
	t.Logf("%d faults, %d rollouts, taken on %d times, %d of %d notes taken, %d stale calls refused", faults.Load(), len(services), resumed, len(taken), sent, stale)
}
