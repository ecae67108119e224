package main

import (
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// TestInsisting tells a person who insists from a program that says everything twice.
func TestInsisting(t *testing.T) {
	for _, c := range []struct {
		name     string
		after    []time.Duration // from the first signal
		insisted bool
	}{
		{"once", nil, false},
		{"timeout(1) signals the process and its group", []time.Duration{0, time.Millisecond}, false},
		{"a person presses again", []time.Duration{3 * time.Second}, true},
		{"a repeat, and then a person", []time.Duration{time.Second, 5 * time.Second}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				signals := make(chan os.Signal)
				var first []os.Signal
				ears := listenTo(signals, true, func(s os.Signal) { first = append(first, s) })
				defer ears.close()
				if ears.heard() || ears.code() != exitOK {
					t.Error("heard something before there was anything")
				}
				signals <- syscall.SIGHUP
				begin := time.Now()
				for _, at := range c.after {
					time.Sleep(at - time.Since(begin))
					signals <- os.Interrupt
				}
				synctest.Wait()
				if len(first) != 1 || first[0] != syscall.SIGHUP || ears.code() != exitTerminated {
					t.Errorf("told of %v, exit code %d; want the hangup alone, and %d", first, ears.code(), exitTerminated)
				}
				insisted := false
				select {
				case <-ears.insisted:
					insisted = true
				default:
				}
				if insisted != c.insisted {
					t.Errorf("insisted: %v, want %v", insisted, c.insisted)
				}
			})
		})
	}
}
