package checktest

import (
	"context"
	"errors"
	"math"
	"slices"
	"time"

	"github.com/golive-dev/golive/guard"
)

// A trouble is one way in which the answer to a question can go wrong.
type trouble struct {
	name   string
	befall func(ctx context.Context, q guard.Question, good guard.Answer) (guard.Answer, error)
}

// troubles must all keep the gate shut.
var troubles = []trouble{
	{"a refusal", func(context.Context, guard.Question, guard.Answer) (guard.Answer, error) {
		return guard.Answer{}, errors.New("permission denied\n\x1b[31mgo away\x1b[0m")
	}},
	{"an error beside a good answer", func(_ context.Context, _ guard.Question, good guard.Answer) (guard.Answer, error) {
		return good, errors.New("connection reset")
	}},
	{"a time-out", func(ctx context.Context, _ guard.Question, _ guard.Answer) (guard.Answer, error) {
		if ctx.Done() == nil {
			panic("it asks without the context that it was given")
		}
		<-ctx.Done()
		return guard.Answer{}, ctx.Err()
	}},
	{"an empty answer", func(context.Context, guard.Question, guard.Answer) (guard.Answer, error) {
		return guard.Answer{}, nil
	}},
	{"the answer to another question", func(_ context.Context, q guard.Question, _ guard.Answer) (guard.Answer, error) {
		return otherwise(q), nil
	}},
	{"an answer without times", func(_ context.Context, _ guard.Question, good guard.Answer) (guard.Answer, error) {
		return timeless(good), nil
	}},
	{"an answer that cannot be", func(_ context.Context, _ guard.Question, good guard.Answer) (guard.Answer, error) {
		return impossible(good), nil
	}},
	{"half an answer", func(_ context.Context, _ guard.Question, good guard.Answer) (guard.Answer, error) {
		return guard.Answer{Readings: good.Readings[:len(good.Readings)/2], Text: good.Text[:len(good.Text)/2]}, nil
	}},
}

// otherwise answers every question but q, and well.
func otherwise(q guard.Question) guard.Answer {
	a := guard.Answer{
		Standing: guard.Standing{Percent: 0, Undo: guard.Undo{Open: true}},
		Readings: []guard.Reading{{At: time.Unix(1, 0)}, {At: time.Unix(2, 0)}},
		Clock:    guard.Skew{Within: time.Second},
		Backups:  []guard.Backup{{ID: "good", Ended: time.Unix(1, 0), Bytes: 1}},
		Finding:  guard.Finding{Verdict: guard.Pass, Title: "all is well", Expected: "good", Observed: "good"},
		Path:     "/bin/true",
		Text:     "good",
		Ledger:   &guard.Ledger{Entries: []guard.Entry{{At: time.Unix(1, 0), Act: guard.Begun, Kind: "ledger"}}},
		Plans:    []string{},
	}
	switch {
	case q.Standing:
		a.Standing = guard.Standing{}
	case q.Readings > 0, q.Past:
		a.Readings = nil
	case q.Clock:
		a.Clock = guard.Skew{}
	case q.Backups != nil:
		a.Backups = nil
	case q.Probe != nil:
		a.Finding = guard.Finding{}
	case q.Tool != "":
		a.Path = ""
	case q.File != "":
		a.Text = ""
	case q.Ledger:
		a.Ledger = nil
	case q.Plans:
		a.Plans = nil
	case q.Restore != nil:
		a.Finding = guard.Finding{}
	}
	return a
}

// timeless takes from an answer whatever says when it was true, and what has no time at all.
func timeless(good guard.Answer) guard.Answer {
	var a guard.Answer
	for _, r := range good.Readings {
		series := slices.Clone(r.Series)
		for i := range series {
			series[i].At = time.Time{}
		}
		a.Readings = append(a.Readings, guard.Reading{Series: series})
	}
	for _, b := range good.Backups {
		a.Backups = append(a.Backups, guard.Backup{ID: b.ID, Bytes: b.Bytes})
	}
	a.Ledger = entries(good.Ledger, func(e *guard.Entry) { e.At = time.Time{} })
	return a
}

// impossible is an answer in the right shape with values that nothing in the world has.
func impossible(good guard.Answer) guard.Answer {
	a := guard.Answer{
		Standing: guard.Standing{Percent: 101, Undo: guard.Undo{Open: true}},
		Clock:    guard.Skew{Ahead: good.Clock.Ahead, Within: -1, NoClock: good.Clock.NoClock},
		Finding:  guard.Finding{Verdict: 99},
	}
	for _, r := range good.Readings {
		series := slices.Clone(r.Series)
		for i := range series {
			series[i].Total = math.NaN()
		}
		a.Readings = append(a.Readings, guard.Reading{At: r.At, Series: series})
	}
	for _, b := range good.Backups {
		a.Backups = append(a.Backups, guard.Backup{ID: b.ID, Ended: b.Ended.AddDate(500, 0, 0), Bytes: -1})
	}
	a.Ledger = entries(good.Ledger, func(e *guard.Entry) { e.At = e.At.AddDate(500, 0, 0) })
	return a
}

// entries is a ledger whose entries were changed. One without any gets an entry, for a change to be seen.
func entries(l *guard.Ledger, change func(*guard.Entry)) *guard.Ledger {
	if l == nil {
		return nil
	}
	changed := slices.Clone(l.Entries)
	if len(changed) == 0 {
		changed = []guard.Entry{{At: time.Unix(1, 0), Act: guard.Result, Kind: "test", Outcome: guard.Pass}}
	}
	for i := range changed {
		change(&changed[i])
	}
	return &guard.Ledger{Entries: changed}
}
