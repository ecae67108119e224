package plugins

import (
	"context"
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golive-dev/golive/guard"
)

// echo is a kit whose parts answer with what they are asked for.
var echo = Kit{
	Name: "echo",
	Backends: map[string]func(guard.With) (guard.Backend, error){
		"b": func(guard.With) (guard.Backend, error) { return &echoBackend{}, nil },
	},
	Checks: []guard.Check{{Code: "E1", ID: "echo", Doc: "d", Run: func(_ context.Context, s guard.Scene) ([]guard.Finding, error) {
		return []guard.Finding{{Title: s.Release.To, Verdict: guard.Pass}}, nil
	}}},
}

type echoBackend struct{ percent int }

func (b *echoBackend) Inspect(context.Context, guard.Release) (guard.Standing, error) {
	return guard.Standing{Percent: b.percent}, nil
}

func (b *echoBackend) Shift(_ context.Context, _ guard.Order, percent int) error {
	b.percent = percent
	return nil
}

func (b *echoBackend) Finish(context.Context, guard.Order) error { return nil }

// TestServiceIsComplete holds the table of methods to the one in the comment above it.
func TestServiceIsComplete(t *testing.T) {
	var names []string
	for _, m := range service().Methods {
		names = append(names, m.MethodName)
	}
	want := []string{"Describe", "Make", "Inspect", "Shift", "Finish", "Read", "Notify", "Probe", "Backups", "Prove", "Run"}
	if !slices.Equal(names, want) {
		t.Errorf("methods %q, want %q", names, want)
	}
}

func TestReplyCheck(t *testing.T) {
	q := request{Query: guard.Query{Signals: []guard.Signal{{Name: "s"}}}}
	at := time.Unix(1764000000, 0)
	series := func(change func(*guard.Series)) reply {
		s := guard.Series{Signal: "s", Arm: guard.Canary, At: at, Total: 2, Bounds: []float64{1, 2}, Buckets: []float64{1, 2}}
		change(&s)
		return reply{Reading: guard.Reading{At: at, Series: []guard.Series{s}}}
	}
	stands := func(percent int, shares ...int) reply {
		return reply{Standing: &standing{guard.Standing{Shares: shares}, &percent}}
	}
	for name, c := range map[string]struct {
		reply reply
		err   string
	}{
		"nothing":          {reply{}, ""},
		"standing":         {stands(100, 0, 100), ""},
		"400%":             {stands(400), "a share of 400% cannot be"},
		"shares":           {stands(0, -1), "a share of -1% cannot be"},
		"series":           {series(func(*guard.Series) {}), ""},
		"no time":          {series(func(s *guard.Series) { s.At = time.Time{} }), "it has no time"},
		"other signal":     {series(func(s *guard.Series) { s.Signal = "t" }), "nobody asked for this signal"},
		"other arm":        {series(func(s *guard.Series) { s.Arm = "left" }), `there is no arm "left"`},
		"negative":         {series(func(s *guard.Series) { s.Total = -1 }), "a counter is negative"},
		"NaN":              {series(func(s *guard.Series) { s.Sum = math.NaN() }), "a value is not a finite number"},
		"infinite bound":   {series(func(s *guard.Series) { s.Bounds[1] = math.Inf(1) }), "a value is not a finite number"},
		"bounds missing":   {series(func(s *guard.Series) { s.Bounds = s.Bounds[:1] }), "1 bounds do not fit 2 buckets"},
		"bounds fall":      {series(func(s *guard.Series) { s.Bounds[1] = 0 }), "its bounds do not ascend"},
		"bounds repeat":    {series(func(s *guard.Series) { s.Bounds[1] = 1 }), "its bounds do not ascend"},
		"buckets fall":     {series(func(s *guard.Series) { s.Buckets[1] = 0 }), "its cumulative buckets fall"},
		"backup not ended": {reply{Backups: []guard.Backup{{ID: "a"}}}, `backup "a" has not ended`},
		"proof":            {reply{Proof: &guard.Proof{Rung: guard.RungRead, Backup: guard.Backup{ID: "a", Ended: at}}}, ""},
		"proof of nothing": {reply{Proof: &guard.Proof{}}, "a proof of nothing"},
	} {
		t.Run(name, func(t *testing.T) {
			err := c.reply.check(q)
			if c.err == "" && err != nil || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
				t.Errorf("check: %v, want %q", err, c.err)
			}
		})
	}
}

// TestShareHasToBeSaid has a plugin say all of a standing but the share: to take that for 0% would verify a way back
// that nobody went.
func TestShareHasToBeSaid(t *testing.T) {
	for message, want := range map[string]string{
		`{"standing":{"percent":0,"undo":{"open":true}}}`:                "",
		`{"standing":{"percent":10,"undo":{"open":true},"mood":"calm"}}`: "", // a newer plugin
		`{"standing":{"undo":{"open":true}}}`:                            "its standing has no percent",
		`{"standing":{"percent":null,"undo":{"open":true}}}`:             "its standing has no percent",
		`{"standing":{}}`: "its standing has no percent",
	} {
		var r reply
		if err := (codec{}).Unmarshal([]byte(message), &r); err != nil {
			t.Fatal(err)
		}
		if err := r.check(request{}); (want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", message, err, want)
		}
	}
}

// FuzzMessages gives a plugin any bytes as a request, and golive the same bytes as a reply: neither panics, and
// whatever is accepted can be sent on.
func FuzzMessages(f *testing.F) {
	for _, message := range []string{
		``, `null`, `[]`, `{}`, `{"kind":"backend","part":{"use":"b","with":{"a":[1,{"b":null}]}}}`,
		`{"part":{"use":"b"},"order":{"id":"r","to":"v2","fence":1,"seq":2,"key":"k"},"percent":10}`,
		`{"part":{"use":"b"},"release":{"to":"v2"}}`, `{"check":"E1","scene":{"plan":null,"release":{"to":"v2"},"now":"2026-11-24T03:00:00Z"}}`,
		`{"standing":{"percent":400}}`, `{"standing":{"undo":{"open":true}}}`, `{"standing":{"percent":1e400}}`, `{"findings":[{"verdict":99}]}`, `{"findings":[{"verdict":"pass","title":"t"}]}`,
		`{"reading":{"at":"2026-11-24T03:00:00Z","series":[{"signal":"s","arm":"canary","at":"2026-11-24T03:00:00Z","total":1,"bounds":[1],"buckets":[2]}]}}`,
		`{"catalog":{"parts":{"backend":["b"]},"checks":[{"Code":"E1"}]}}`, `{"percent":"` + strings.Repeat("9", 100) + `"}`,
	} {
		f.Add([]byte(message))
	}
	methods := service().Methods
	f.Fuzz(func(t *testing.T, message []byte) {
		s := newServer(echo)
		for _, m := range methods {
			answer, err := m.Handler(s, t.Context(), func(into any) error { return codec{}.Unmarshal(message, into) }, nil)
			if err != nil {
				continue
			}
			if _, err := (codec{}).Marshal(answer); err != nil {
				t.Errorf("%s(%s): the answer %+v cannot be sent: %v", m.MethodName, message, answer, err)
			}
		}
		var r reply
		if (codec{}).Unmarshal(message, &r) != nil || r.check(request{}) != nil {
			return
		}
		if _, err := json.Marshal(r); err != nil {
			t.Errorf("%s is accepted, and cannot be written down: %v", message, err)
		}
	})
}
