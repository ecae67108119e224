package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/golive-dev/golive/guard"
)

// slowAfter is how long a check may take before it is named.
const slowAfter = 3 * time.Second

// A pending says on stderr what golive check waits for: at a terminal in a line that is rewritten in place, and
// otherwise once. Its methods may be called from several goroutines.
type pending struct {
	out      io.Writer
	lines    io.Writer // out, if it is no terminal
	terminal *os.File  // nil: none, or one that nobody looks at
	plan     *guard.Plan

	mu      sync.Mutex
	open    []*unanswered // in the order in which they began
	waiting string        // for which checks, said while nothing is slow; "" is none
	why     string        // the first of them blocks
	ends    time.Time
	shown   bool // the line is there
	said    bool // without a terminal, what is slow was said

	closed chan struct{}
	clock  sync.WaitGroup
}

// An unanswered check is one that was asked and has not said anything yet.
type unanswered struct {
	id        string
	since     time.Time
	questions []*guard.Question // that are open
}

// pending begins to look at what is slow. The caller closes it.
func (p *program) pending(plan *guard.Plan) *pending {
	w := &pending{out: p.err, lines: p.discreet(p.err, plan), plan: plan, closed: make(chan struct{})}
	if p.lookup("CI") == "" {
		w.terminal = p.terminal(p.err)
	}
	w.clock.Go(w.tick)
	return w
}

func (w *pending) tick() {
	second := time.NewTicker(time.Second)
	defer second.Stop()
	for {
		select {
		case now := <-second.C:
			w.show(now)
		case <-w.closed:
			return
		}
	}
}

// close takes the line away.
func (w *pending) close() {
	close(w.closed)
	w.clock.Wait()
	w.told(func() {})
}

// check is a check that is named when it is slow.
func (w *pending) check(c guard.Check) guard.Check {
	run := c.Run
	c.Run = func(ctx context.Context, s guard.Scene) ([]guard.Finding, error) {
		a := &unanswered{id: c.ID, since: time.Now()}
		w.change(func() { w.open = append(w.open, a) })
		defer w.answered(c.ID)
		if ask := s.Ask; ask != nil {
			s.Ask = func(ctx context.Context, q guard.Question) (guard.Answer, error) {
				w.change(func() { a.questions = append(a.questions, &q) })
				defer w.change(func() {
					a.questions = slices.DeleteFunc(a.questions, func(other *guard.Question) bool { return other == &q })
				})
				return ask(ctx, q)
			}
		}
		return run(ctx, s)
	}
	return c
}

// answered takes a check off the list: it has answered, or nobody waits for it any more.
func (w *pending) answered(id string) {
	w.change(func() { w.open = slices.DeleteFunc(w.open, func(a *unanswered) bool { return a.id == id }) })
}

func (w *pending) change(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
}

// told calls what writes to the same terminal, without the line in its way.
func (w *pending) told(write func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.shown {
		_, _ = io.WriteString(w.out, "\r"+eraseToEnd)
		if out, ok := w.out.(*voice); ok {
			out.flush()
		}
		w.shown = false
	}
	write()
}

// wait says for which checks golive waits from now on, why the first of them blocks, and until when. Without a
// terminal it is a line of its own if the checks are others than before.
func (w *pending) wait(checks, why string, ends time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	news := checks != w.waiting
	w.waiting, w.why, w.ends = checks, why, ends
	if w.terminal == nil && checks != "" && news {
		fmt.Fprintf(w.lines, "golive: %s\n", w.wish(time.Now()))
	}
}

// wish says what is waited for, and how much longer; "" if nothing is.
func (w *pending) wish(now time.Time) string {
	if w.waiting == "" {
		return ""
	}
	return fmt.Sprintf("waiting up to %s for %s: %s", spell(w.ends.Sub(now)), w.waiting, w.why)
}

func (w *pending) show(now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	text := w.slow(now)
	if w.terminal == nil {
		if text != "" && !w.said {
			w.said = true
			fmt.Fprintf(w.lines, "golive: %s\n", text)
		}
		return
	}
	if text == "" {
		text = w.wish(now)
	}
	if text == "" && !w.shown {
		return
	}
	width, _ := size(w.terminal)
	fmt.Fprintf(w.out, "\r%s%s", cut(text, width-1), eraseToEnd)
	w.shown = text != ""
}

// mostSlow is how many slow checks are named; the others are counted.
const mostSlow = 3

// slow says which checks take long, what they ask, and for how long; "" if none does.
func (w *pending) slow(now time.Time) string {
	var names []string
	for _, a := range w.open {
		if took := now.Sub(a.since); took >= slowAfter {
			names = append(names, fmt.Sprintf("%s%s for %s", a.id, w.whom(a), spell(took)))
		}
	}
	if len(names) == 0 {
		return ""
	}
	if more := len(names) - mostSlow; more > 0 {
		names = append(names[:mostSlow], fmt.Sprintf("and %d more", more))
	}
	return "still asking: " + strings.Join(names, ", ")
}

// whom says in brackets who has not answered a check yet, if that is known.
func (w *pending) whom(a *unanswered) string {
	var all []string
	for _, q := range a.questions {
		var who string
		switch {
		case q.Standing:
			who = w.plan.Rollout.Backend.Use
		case q.Readings > 1:
			who = fmt.Sprintf("%s, %d readings %s apart", w.plan.Watch.Source.Use, q.Readings, w.plan.Watch.Every)
		case q.Readings > 0, q.Past:
			who = w.plan.Watch.Source.Use
		case q.Backups != nil:
			who = q.Backups.Use
		case q.Probe != nil:
			who = q.Probe.Use
		default:
			who = guard.Line(q.Tool+q.File, 40)
		}
		if who != "" && !slices.Contains(all, who) {
			all = append(all, who)
		}
	}
	if len(all) == 0 {
		return ""
	}
	return " (" + strings.Join(all, ", ") + ")"
}
