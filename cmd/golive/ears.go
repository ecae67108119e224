package main

import (
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

// meantAfter is how long after the first signal another one is a repeat of it: timeout(1) signals a process and
// then its group, and a service manager sends two kinds. A person who insists presses later.
const meantAfter = 2 * time.Second

// ears hear the signals that ask the process to end. A lost connection, a closed terminal, Ctrl-C and kill mean
// the same. They hear from the first instant to the last, whatever golive is doing.
type ears struct {
	asked    chan struct{} // closed by the first signal
	insisted chan struct{} // closed by the first one that is no repeat of it
	signal   os.Signal     // the first one; read it once asked is closed

	deaf chan struct{}
	hear sync.WaitGroup
}

// processSignals are those that end golive, as they come. Writing to a pipe that nobody reads any more must not
// end it in the middle of a launch, so SIGPIPE is heard too, and nothing comes of it: the write fails instead.
func processSignals() <-chan os.Signal {
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	ending := make(chan os.Signal, 4)
	signal.Notify(ending, os.Interrupt, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) { // nohup says that it is
		signal.Notify(ending, syscall.SIGHUP)
	}
	return ending
}

// listenTo begins to listen; first is called at the first signal. Insists says that a later one can mean more than the first
// did. The caller closes the ears.
func listenTo(signals <-chan os.Signal, insists bool, first func(os.Signal)) *ears {
	e := &ears{asked: make(chan struct{}), insisted: make(chan struct{}), deaf: make(chan struct{})}
	e.hear.Go(func() {
		var heard time.Time
		for {
			select {
			case s := <-signals:
				switch {
				case heard.IsZero():
					heard, e.signal = time.Now(), s
					close(e.asked)
					first(s)
				case insists && time.Since(heard) >= meantAfter:
					close(e.insisted)
					return
				}
			case <-e.deaf:
				return
			}
		}
	})
	return e
}

func (e *ears) close() {
	close(e.deaf)
	e.hear.Wait()
}

// heard says whether the process was asked to end.
func (e *ears) heard() bool {
	select {
	case <-e.asked:
		return true
	default:
		return false
	}
}

// code is the exit code of the signal that was heard; 0 if none was.
func (e *ears) code() int {
	if !e.heard() {
		return exitOK
	}
	return exitOfSignal(e.signal)
}

func exitOfSignal(s os.Signal) int {
	if s == os.Interrupt {
		return exitInterrupted
	}
	return exitTerminated
}
