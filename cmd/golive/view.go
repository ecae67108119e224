package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/judge"
)

// A view shows a rollout while it runs: what happened as lines, each once, and at a terminal what stands now as
// a block below them. Its methods may be called from several goroutines.
type view struct {
	out      io.Writer
	lines    io.Writer // out, if it is no terminal
	ink      ink
	terminal *os.File // where the block is; nil: lines only

	mu     sync.Mutex
	story  story
	state  guard.State
	closed chan struct{}
	clock  sync.WaitGroup // redraws the block each second, for the times in it
}

// view shows a rollout of a plan on p.err. The caller closes it.
func (p *program) view(plan *guard.Plan) *view {
	v := &view{out: p.err, lines: p.discreet(p.err, plan), ink: p.ink(p.err), closed: make(chan struct{})}
	v.story = story{plan: plan, ink: v.ink, call: p.call}
	if p.lookup("CI") != "" {
		return v
	}
	if v.terminal = p.terminal(p.err); v.terminal != nil {
		v.clock.Go(v.tick)
	}
	return v
}

func (v *view) tick() {
	second := time.NewTicker(time.Second)
	defer second.Stop()
	for {
		select {
		case now := <-second.C:
			v.mu.Lock()
			v.show(now, nil)
			v.mu.Unlock()
		case <-v.closed:
			return
		}
	}
}

// saw tells of an event, and shows the state that it led to.
func (v *view) saw(e guard.Event, s guard.State) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.state = s
	v.show(e.At, v.story.tell(e, s))
}

// knows takes an event that was told before.
func (v *view) knows(e guard.Event, s guard.State) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.state = s
	_ = v.story.tell(e, s)
}

// found tells of a finding of the checks, before the event that holds all of them.
func (v *view) found(f guard.Finding) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.story.findings = true
	if optional(f) {
		return
	}
	v.show(time.Now(), []line{findingLine(f, v.ink)})
}

// close takes the block away and leaves the lines. It waits until they are written, for a bounded time, so that
// the answer comes after the story. It may be repeated.
func (v *view) close() {
	v.mu.Lock()
	select {
	case <-v.closed:
	default:
		close(v.closed)
		if v.terminal != nil {
			_, _ = io.WriteString(v.out, eraseBelow)
		}
	}
	v.mu.Unlock()
	v.clock.Wait()
	if out, ok := v.out.(*voice); ok {
		out.flush()
	}
}

// Between two frames the cursor rests on the empty line above the block, so that whoever else writes a line to
// the terminal writes it where the next line would stand, and the next frame goes on below it. While the block is
// drawn the terminal does not wrap, so that it has as many lines as it seems to have, whatever is in them.
const (
	eraseBelow  = "\r\x1b[J"
	eraseToEnd  = "\x1b[K"
	wrapOff     = "\x1b[?7l"
	wrapOn      = "\x1b[?7h"
	upLines     = "\x1b[%dA\r"
	stampIndent = len("15:04:05Z  ")
)

// show writes lines, and the block below them in one piece, so that nothing flickers.
func (v *view) show(now time.Time, lines []line) {
	select {
	case <-v.closed:
		return
	default:
	}
	if v.terminal == nil {
		for _, l := range lines {
			fmt.Fprintf(v.lines, "%s  %s\n", clock(now), v.ink.paint(l.tone, hang(stampIndent, l.text, v.ink.width)))
		}
		return
	}
	width, height := size(v.terminal)
	var frame bytes.Buffer
	for _, l := range lines {
		stamp := clock(now)
		for _, text := range wrap(l.text, width-stampIndent) {
			fmt.Fprintf(&frame, "\r%s  %s%s\n", v.ink.paint(faint, fmt.Sprintf("%-*s", stampIndent-2, stamp)), v.ink.paint(l.tone, text), eraseToEnd)
			stamp = ""
		}
	}
	block := block(v.story.plan, v.state, now, min(width, 110), v.ink)
	block = block[:min(len(block), max(0, height-2))]
	frame.WriteString(wrapOff + eraseToEnd)
	for _, l := range block {
		frame.WriteString("\n" + v.ink.paint(l.tone, l.text) + eraseToEnd)
	}
	frame.WriteString("\x1b[J" + wrapOn)
	if len(block) > 0 {
		fmt.Fprintf(&frame, upLines, len(block))
	}
	_, _ = v.out.Write(frame.Bytes()) // a terminal that is gone can be told nothing
}

// block is what stands now, in lines no wider than width.
func block(plan *guard.Plan, s guard.State, now time.Time, width int, i ink) []line {
	if s.Phase == "" || s.Phase == guard.Over {
		return nil
	}
	lines := []line{{loud, headline(plan, s, i)}, {calm, activity(plan, s, now)}}
	if s.Phase == guard.Watching || s.Phase == guard.Baking {
		lines = append(lines, evidenceText(s, now, width, i)...)
	}
	for _, note := range []struct {
		tone       tone
		name, text string
	}{
		{doubt, "held", s.Held},
		{doubt, "alerts", s.Alarm},
		{doubt, "asked", asked(s)},
		{doubt, "trouble", s.Trouble},
	} {
		if note.text == "" {
			continue
		}
		for n, text := range wrap(note.text, width-labelWidth) {
			name := note.name
			if n > 0 {
				name = ""
			}
			lines = append(lines, line{note.tone, label(name) + text})
		}
	}
	for n := range lines {
		lines[n].text = cut(lines[n].text, width)
	}
	return lines
}

const labelWidth = 10

func label(name string) string { return fmt.Sprintf("  %-*s", labelWidth-2, name) }

func headline(plan *guard.Plan, s guard.State, i ink) string {
	head := fmt.Sprintf("%s  %s", s.Release.Service, i.change(s.Release))
	if !follows(s) && s.Purpose != guard.ToRollback {
		head += fmt.Sprintf("  step %d of %d", s.Step+1, len(plan.Rollout.Steps))
	}
	return head + fmt.Sprintf("  %d %%", s.Seen)
}

// activity says what goes on, since when, and until when.
func activity(plan *guard.Plan, s guard.State, now time.Time) string {
	since, within := spell(now.Sub(s.Since)), spell(s.Until.Sub(s.Since))
	switch s.Phase {
	case guard.Checking:
		return "checking for " + since
	case guard.Shifting:
		return fmt.Sprintf("moving the traffic to %d %% for %s, at most %s", s.Aim, since, within)
	case guard.Watching:
		text := "watching for " + spell(now.Sub(s.Since))
		if left := eta(s, now); left > 0 && s.Held == "" && s.Alarm == "" {
			text += ", about " + spell(left) + " more"
		}
		return text
	case guard.Baking:
		return fmt.Sprintf("baking for %s of %s", since, plan.Rollout.Bake.For)
	case guard.Finishing:
		return fmt.Sprintf("finishing for %s, at most %s", since, within)
	}
	return fmt.Sprintf("GOING BACK for %s, at most %s", since, within)
}

// eta is how much longer the step probably takes; 0 if that cannot be said.
func eta(s guard.State, now time.Time) time.Duration {
	if s.Ruling.Remain == 0 || s.Ruling.At.Before(s.Since) {
		return 0
	}
	return seconds(s.Ruling.Remain) - now.Sub(s.Ruling.At)
}

func asked(s guard.State) string {
	if !s.Asked {
		return ""
	}
	return s.Ruling.Why
}

// evidenceText shows the counts of both arms, how much speaks for harm, and what is missing.
func evidenceText(s guard.State, now time.Time, width int, i ink) []line {
	r := s.Ruling
	if r.At.Before(s.Since) || r.Limit == 0 {
		return []line{{faint, "  nothing was counted yet"}}
	}
	lines := counts(r.Signals, width)
	tone := calm
	if r.LogOdds > 0 {
		tone = doubt
	}
	text := fmt.Sprintf("  odds %s, back at %s", odds(r.LogOdds), odds(r.Limit))
	bar := i.bar(r.LogOdds/r.Limit, max(0, min(20, width-labelWidth-len(text))))
	lines = append(lines, line{tone, label("harm") + bar + text})
	if r.Missing != "" {
		for n, text := range wrap(r.Missing, width-labelWidth) {
			name := "missing"
			if n > 0 {
				name = ""
			}
			lines = append(lines, line{calm, label(name) + text})
		}
	}
	return lines
}

// counts is a table of the signals.
func counts(sights []judge.Sight, width int) (lines []line) {
	rows := [][]string{{"", "canary", "baseline"}}
	for _, s := range sights {
		rows = append(rows, []string{nameOf(s), tally(s.Step.Canary), tally(s.Step.Baseline)})
	}
	for _, text := range table(rows, width-2) {
		lines = append(lines, line{calm, "  " + text})
	}
	return lines
}
