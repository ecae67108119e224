package main

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golive-dev/golive/guard"
)

// TestServeSoak keeps a server busy for as long as GOLIVE_SOAK says, with rollouts that begin and end, hooks, people who
// follow and pages that are looked at; then its memory, goroutines and open files are what they were after the first
// third. make soak runs it for half an hour.
func TestServeSoak(t *testing.T) {
	length, err := time.ParseDuration(os.Getenv("GOLIVE_SOAK"))
	if err != nil {
		t.Skip("takes long: GOLIVE_SOAK=30m go test ./cmd/golive -run TestServeSoak -v -timeout 1h")
	}
	f := newFleet(t, 50)
	s := f.station(t, "sqlite:"+filepath.Join(t.TempDir(), "golive.db"), "one")
	eventually(t, "the server is ready", s.ready)
	c := newClient(s)
	var stop atomic.Bool
	var busy sync.WaitGroup
	var rollouts, notes, pages atomic.Int64
	for service := range f.services {
		busy.Go(func() {
			for n := 0; !stop.Load(); n++ {
				to := fmt.Sprintf("v2.%d", n)
				if rand.IntN(2) == 0 {
					to = fmt.Sprintf("bad.%d", n)
				}
				f.reset(service)
				id := c.open(t, service, "v1", to)
				rollouts.Add(1)
				if n%5 == 0 {
					busy.Go(func() { s.watchEvents(id) })
				}
				for c.rollout(t, id).Phase != guard.Over {
					text := fmt.Sprintf("note %d", notes.Add(1))
					c.send(t, "POST", "/v1/hooks/generic", service+text, fmt.Sprintf(`{"action": "note", "rollout": %q, "text": %q}`, id, text))
					c.send(t, "GET", "/rollouts/"+id, "", "")
					pages.Add(1)
					time.Sleep(2 * time.Second)
				}
				c.standDown(t, id)
			}
		})
	}
	var samples []map[string]float64
	for began := time.Now(); time.Since(began) < length; {
		time.Sleep(length / 60)
		g := gauges(t, s.url)
		samples = append(samples, g)
		t.Logf("%4.0f s: %.0f MB, heap %.0f MB, %.0f goroutines, %.0f files, %d rollouts, %d notes, %d pages", time.Since(began).Seconds(),
			g["process_resident_memory_bytes"]/1e6, g["go_memstats_heap_inuse_bytes"]/1e6, g["go_goroutines"], g["process_open_fds"], rollouts.Load(), notes.Load(), pages.Load())
	}
	stop.Store(true)
	busy.Wait()
	third := len(samples) / 3
	for name, more := range map[string]float64{"process_resident_memory_bytes": 1.3, "go_goroutines": 1.2, "process_open_fds": 1.2} {
		early, late := medianOf(samples[third:2*third], name), medianOf(samples[2*third:], name)
		if late > early*more {
			t.Errorf("%s grows: %.0f in the second third, %.0f in the last", name, early, late)
		}
	}
}

func medianOf(samples []map[string]float64, name string) float64 {
	var values []float64
	for _, s := range samples {
		values = append(values, s[name])
	}
	slices.Sort(values)
	return values[len(values)/2]
}

// watchEvents follows a rollout to its end.
func (s *station) watchEvents(id string) {
	request, err := http.NewRequest(http.MethodGet, s.url+"/v1/rollouts/"+id+"/events", nil)
	if err != nil {
		return
	}
	request.Header.Set("Accept", "text/event-stream")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return
	}
	_, _ = io.Copy(io.Discard, response.Body) // it may be cut off: nobody looks at it
	_ = response.Body.Close()
}
