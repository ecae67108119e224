package main

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"path/filepath"
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
		f := newFleet(t, 50)
		one := f.station(t, "sqlite:"+filepath.Join(t.TempDir(), "golive.db"), "one")
		chaos(t, f, []*station{one}, func(s *station) {
			s.kill()
			s.start(t)
		})
	})
	for name, fault := range map[string]func(restart func()) func(*station){
		"killed":               func(func()) func(*station) { return func(s *station) { s.kill(); s.start(t) } },
		"stand still":          func(func()) func(*station) { return standStill },
		"PostgreSQL restarted": func(restart func()) func(*station) { return func(*station) { restart() } },
	} {
		t.Run(name+", two on PostgreSQL", func(t *testing.T) {
			f := newFleet(t, 50)
			store, restart := storeOnPostgres(t)
			stations := []*station{f.station(t, store, "one"), f.station(t, store, "two")}
			chaos(t, f, stations, fault(restart))
		})
	}
}

// standStill stops a server for longer than others wait for it.
func standStill(s *station) {
	s.signal(syscall.SIGSTOP)
	time.Sleep(6 * time.Second)
	s.signal(syscall.SIGCONT)
}

// chaos runs a rollout of every service, half of them bad, and sends a thousand notes, while one server after the
// other has the fault.
func chaos(t *testing.T, f *fleet, stations []*station, fault func(*station)) {
	t.Helper()
	for _, s := range stations {
		eventually(t, "the server is ready", s.ready)
	}
	c := newClient(stations...)
	rollouts := map[string]string{} // by service
	for service := range f.services {
		to := "v2"
		if rand.IntN(2) == 0 {
			to = "bad"
		}
		rollouts[service] = c.open(t, service, "v1", to)
	}
	var faults atomic.Int64
	var stop atomic.Bool
	var working sync.WaitGroup
	working.Go(func() {
		for i := 0; !stop.Load(); i++ {
			time.Sleep(time.Duration(2000+rand.IntN(3000)) * time.Millisecond)
			fault(stations[i%len(stations)])
			faults.Add(1)
		}
	})
	const notes, senders = 1000, 8
	var taken, late sync.Map // notes that a server has said to keep, and those that came when all was over
	var sending sync.WaitGroup
	for sender := range senders {
		sending.Go(func() {
			for n := sender; n < notes; n += senders {
				time.Sleep(200 * time.Millisecond)
				service := fmt.Sprintf("svc%02d", rand.IntN(len(f.services)))
				text := fmt.Sprintf("note %d", n)
				status, body := c.send(t, "POST", "/v1/rollouts/"+rollouts[service]+"/notes", text, fmt.Sprintf(`{"text": %q}`, text))
				switch status {
				case http.StatusAccepted:
					taken.Store(text, service)
				case http.StatusConflict:
					late.Store(text, service)
				default:
					t.Errorf("%s: %d %s", text, status, body)
				}
			}
		})
	}
	for service, id := range rollouts {
		eventually(t, service+" is over", func() bool { return c.rollout(t, id).Phase == guard.Over })
	}
	sending.Wait()
	stop.Store(true)
	working.Wait()
	for _, s := range stations {
		eventually(t, "the server is ready again", s.ready)
	}

	kept := map[string]string{}
	gaps, resumed := 0, 0
	for service, id := range rollouts {
		events := c.facts(t, id)
		to := ""
		for _, e := range events {
			switch fact := e.Fact.(type) {
			case guard.Opened:
				to = fact.Release.To
			case guard.Noted:
				if before, again := kept[fact.Text]; again {
					t.Errorf("%s is in a journal twice (%s and %s)", fact.Text, before, service)
				}
				kept[fact.Text] = service
			case guard.Resumed:
				resumed++
			}
		}
		r := c.rollout(t, id)
		wantOutcome, wantPercent := guard.Live, 100
		if harmful(to) {
			wantOutcome, wantPercent = guard.RolledBack, 0
		}
		if _, percent := f.standing(service); r.Outcome != wantOutcome || percent != wantPercent {
			t.Errorf("%s of %s is %s with %d %% of the traffic, want %s with %d %%: %s", to, service, r.Outcome, percent, wantOutcome, wantPercent, r.Why)
		}
	}
	count := 0
	taken.Range(func(text, service any) bool {
		count++
		if kept[text.(string)] != service {
			t.Errorf("%s to %s was taken, and is in the journal of %q", text, service, kept[text.(string)])
		}
		return true
	})
	twice, stale := f.twice()
	for _, text := range twice {
		t.Error(text)
	}
	if faults.Load() < 3 || count < notes/10 {
		t.Errorf("only %d faults and %d notes: this proves nothing", faults.Load(), count)
	}
	t.Logf("%d faults, %d rollouts taken on again, %d notes kept, %d stale calls refused, %d gaps", faults.Load(), resumed, count, stale, gaps)
}
