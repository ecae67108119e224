package main

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/judge"
)

// tapes is the directory, beside the journals, that holds the counts of each rollout for golive replay.
const tapes = "counts"

// A tape records what the judge of a rollout saw. It is a copy for replays, and never in the way: what goes
// wrong with it is said once, and the rollout goes on.
type tape struct {
	program *program
	path    string
	signals []judge.Signal
	every   time.Duration
	history []judge.Series

	file     *os.File
	recorder *judge.Recorder
	step     judge.Step
	broken   bool
}

// tape begins the recording of a rollout, with what its journal holds already: a file that a crash has torn is
// written anew.
func (p *program) tape(h *history) *tape {
	c := h.Plan.Judge(guard.Release{})
	t := &tape{
		program: p, signals: c.Signals, every: c.Every,
		path: filepath.Join(filepath.Dir(h.Path), tapes, filepath.Base(h.Path)),
	}
	var s guard.State
	for _, e := range h.Events {
		s = guard.Next(h.Plan, s, e)
		t.saw(e, s)
	}
	return t
}

// saw records the readings among the events of a rollout, and the steps they belong to.
func (t *tape) saw(e guard.Event, s guard.State) {
	if f, ok := e.Fact.(guard.Inspected); ok && len(f.History) > 0 {
		t.history = f.History
	}
	if m, ok := e.Fact.(guard.Measured); ok && t.recorder != nil {
		t.try(t.recorder.Reading(m.Reading))
	}
	for _, task := range s.Todo {
		m, ok := task.Deed.(guard.Measure)
		if !ok || m.Step == t.step {
			continue
		}
		t.step = m.Step
		if t.file == nil && !t.broken {
			t.try(t.create(s))
		}
		if t.recorder != nil {
			t.try(t.recorder.Step(m.Step))
		}
	}
}

// create makes the file, once there is something to record.
func (t *tape) create(s guard.State) error {
	err := os.MkdirAll(filepath.Dir(t.path), 0o700)
	if err != nil {
		return err
	}
	if t.file, err = os.OpenFile(t.path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600); err != nil {
		return err
	}
	t.recorder, err = judge.NewRecorder(t.file, judge.Recording{
		ID: s.Release.ID, Start: s.Began, Every: t.every, Signals: t.signals, History: t.history,
	})
	return err
}

func (t *tape) try(err error) {
	if err == nil || t.broken {
		return
	}
	t.broken, t.recorder = true, nil
	fmt.Fprintf(t.program.err, "golive: the counts are not recorded any more: %v\n", err)
}

func (t *tape) close() {
	if t.file != nil {
		t.try(t.file.Close())
	}
}
