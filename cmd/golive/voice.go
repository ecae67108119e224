package main

import (
	"bytes"
	"fmt"
	"io"
	"sync/atomic"
	"time"
)

const (
	voiceHolds  = 1024            // pieces that wait to be written; each is a few lines
	voiceCloses = 2 * time.Second // for so long the end waits for a stream that does not move
)

// A voice tells the story on a stream that may stall: a pipe that nobody empties, a terminal that was stopped with
// Ctrl-S. Write never waits and never fails, so that no stream can stop the guard: what finds no room is dropped,
// and counted. It may be called from several goroutines.
type voice struct {
	to      io.Writer
	queue   chan spoken
	dropped atomic.Int64
	ended   chan struct{}
}

// spoken is a piece of a story. Said, if there is one, is closed once everything up to here is written.
type spoken struct {
	text []byte
	said chan<- struct{}
}

// speak begins a voice. The caller closes it.
func speak(to io.Writer) *voice {
	v := &voice{to: to, queue: make(chan spoken, voiceHolds), ended: make(chan struct{})}
	go v.write() // nobody waits for it: a stream that has stalled may never let it go
	return v
}

func (v *voice) write() {
	for {
		select {
		case s := <-v.queue:
			if n := v.dropped.Swap(0); n > 0 {
				fmt.Fprintf(v.to, "golive: this stream had stalled, and %d pieces of the story are missing here: the journal has all of it\n", n)
			}
			_, _ = v.to.Write(s.text) // a stream that is gone can be told nothing
			if s.said != nil {
				close(s.said)
			}
		case <-v.ended:
			return
		}
	}
}

func (v *voice) Write(text []byte) (int, error) {
	select {
	case v.queue <- spoken{text: bytes.Clone(text)}:
	default:
		v.dropped.Add(1)
	}
	return len(text), nil
}

// flush waits until everything is written, but not for ever.
func (v *voice) flush() {
	patience := time.NewTimer(voiceCloses)
	defer patience.Stop()
	said := make(chan struct{})
	select {
	case v.queue <- spoken{said: said}:
	case <-patience.C:
		return
	}
	select {
	case <-said:
	case <-patience.C:
	}
}

func (v *voice) close() {
	v.flush()
	close(v.ended)
}
