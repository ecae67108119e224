package checks

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/golive-dev/golive/guard"
)

// skew is how far in the future a time may lie before it is taken for a clock that is wrong.
const skew = 5 * time.Minute

// standing asks where the traffic is. An answer that cannot be is none.
func standing(ctx context.Context, s guard.Scene) (guard.Answer, error) {
	answer, err := s.Ask(ctx, guard.Question{Standing: true})
	if err == nil {
		err = answer.Standing.Check()
	}
	return answer, err
}

// readings asks for n readings of all signals. Answers that no source could give are none.
func readings(ctx context.Context, s guard.Scene, n int) (guard.Answer, error) {
	answer, err := s.Ask(ctx, guard.Question{Readings: n})
	if err != nil {
		return answer, err
	}
	if len(answer.Readings) != n {
		return answer, fmt.Errorf("asked for %d readings, the source gave %d", n, len(answer.Readings))
	}
	return answer, possible(s, answer)
}

// possible says what is impossible in readings.
func possible(s guard.Scene, answer guard.Answer) (err error) {
	query := guard.Query{Release: s.Release, Signals: s.Plan.Watch.Signals}
	for _, reading := range answer.Readings {
		err = errors.Join(err, guard.CheckReading(query, reading))
	}
	return err
}

// each asks about all items at once and returns the answers in the order of the items. A panic comes out
// where each was called, as if nothing had been done at once.
func each[T, A any](items []T, ask func(T) A) []A {
	answers, panics := make([]A, len(items)), make([]any, len(items))
	var asking sync.WaitGroup
	for i, item := range items {
		asking.Go(func() {
			defer func() { panics[i] = recover() }()
			answers[i] = ask(item)
		})
	}
	asking.Wait()
	for _, p := range panics {
		if p != nil {
			panic(p)
		}
	}
	return answers
}

// unknown makes f the finding of a question that got no answer.
func unknown(f guard.Finding, err error, remedy string) guard.Finding {
	f.Verdict, f.Reason, f.Remedy = guard.Unknown, brief(err.Error()), remedy
	return f
}

// firstRelease is the finding about an old version where there is none.
func firstRelease(s guard.Scene, title, reason string) []guard.Finding {
	return []guard.Finding{{
		Verdict:  guard.Warn,
		Title:    title,
		Reason:   "this is a first release: " + reason,
		Remedy:   fmt.Sprintf("if a version serves already, name it: golive check --from VERSION --to %s", s.Release.To),
		Expected: "a version that serves now",
		Observed: "none is named",
	}}
}

// evidence says whom an answer came from and what it came to; the digest is that of the whole answer.
func evidence(asked, said string, whole guard.Answer) []guard.Evidence {
	e := guard.Evidence{Asked: asked, Answer: said}
	if text, err := json.Marshal(whole); err == nil {
		e.Digest = fmt.Sprintf("%x", sha256.Sum256(text))
	}
	return []guard.Evidence{e}
}

// place says where in the plan to write something. Of a key that is not there yet it is where its line can begin.
func place(p *guard.Plan, path string) string {
	if p.File() == "" {
		return path
	}
	at, added := p.Position(path), ""
	if !p.Writes(path) {
		added = "new, at "
	}
	return fmt.Sprintf("%s (%s%s:%d:%d)", path, added, p.File(), at.Line, at.Column)
}

// mendSource mends a source that gives no answer.
func mendSource(p *guard.Plan) string {
	return "see that the source answers, or name another in " + place(p, "watch.source")
}

// brief makes a text from outside fit for a finding.
func brief(text string) string { return guard.Line(text, 300) }

// count says how many there are of something whose plural ends in s.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// span says how long something is, to the second.
func span(d time.Duration) string { return guard.Duration(d.Round(time.Second)).String() }
