package checks

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/golive-dev/golive/guard"
)

// ask runs a primitive on a plan of one commander and one person on duty, over a ledger.
func ask(t *testing.T, by primitive, chapters string, l guard.Ledger) []guard.Finding {
	t.Helper()
	s := scene(t, "\nroster: {people: [{name: Wang Fang, role: commander}, {name: Mei Lin, role: on_duty}]}"+chapters, guard.Answer{Ledger: &l})
	return by.find(t.Context(), s, guard.Check{Code: "GL999", ID: "test.row", Title: "all is well"})
}

func ago(d time.Duration, change ...func(*guard.Entry)) guard.Entry {
	e := guard.Entry{At: now.Add(-d), Act: guard.Result, Kind: "test", Outcome: guard.Pass, Service: "shop"}
	for _, c := range change {
		c(&e)
	}
	return e
}

// verdict looks for a single finding.
func verdict(t *testing.T, findings []guard.Finding, want guard.Verdict, reason string) {
	t.Helper()
	if len(findings) != 1 || findings[0].Verdict != want || !strings.Contains(findings[0].Reason, reason) {
		t.Errorf("got %+v, want %s because %q", findings, want, reason)
	}
}

func TestRecord(t *testing.T) {
	const month = 31 * 24 * time.Hour
	r := record{done: "a test", do: "test it", about: func(guard.Scene) []topic { return topics("test", days(31), "") }}
	failed := func(e *guard.Entry) { e.Outcome, e.Says = guard.Fail, "it broke" }
	for _, tc := range []struct {
		name     string
		chapters string
		entries  []guard.Entry
		want     guard.Verdict
		reason   string
	}{
		{"fresh", "", []guard.Entry{ago(time.Hour)}, guard.Pass, ""},
		{"just fresh", "", []guard.Entry{ago(month)}, guard.Pass, ""},
		{"too old", "", []guard.Entry{ago(month + time.Second)}, guard.Fail, "1s older than it may be"},
		{"never", "", nil, guard.Fail, "no result of it"},
		{"of another subject", "", []guard.Entry{ago(time.Hour, func(e *guard.Entry) { e.Subject = "x" })}, guard.Fail, "no result"},
		{"of another service", "", []guard.Entry{ago(time.Hour, func(e *guard.Entry) { e.Service = "cart" })}, guard.Fail, "no result"},
		{"went wrong last time", "", []guard.Entry{ago(2 * time.Hour), ago(time.Hour, failed)}, guard.Fail, "went wrong: it broke"},
		{"went well again", "", []guard.Entry{ago(2*time.Hour, failed), ago(time.Hour)}, guard.Pass, ""},
		{"only stated", "", []guard.Entry{ago(time.Hour, func(e *guard.Entry) {
			e.Act, e.By, e.Says, e.Until = guard.Attested, "Mei Lin", "yes", now.Add(time.Hour)
		})}, guard.Fail, "no result"},
		{"a little ahead", "", []guard.Entry{ago(-skew)}, guard.Pass, ""},
		{"from tomorrow", "", []guard.Entry{ago(-24 * time.Hour)}, guard.Unknown, "clock skew"},
		{"another one from tomorrow", "", []guard.Entry{ago(time.Hour), ago(-24*time.Hour, func(e *guard.Entry) { e.Kind = "other" })}, guard.Unknown, "clock skew"},
		{"an entry that cannot be", "", []guard.Entry{ago(time.Hour), {}}, guard.Unknown, "entry 2 of the ledger"},
		{"stricter", "\nchecks: {settings: {test.row: {within: 1h}}}", []guard.Entry{ago(2 * time.Hour)}, guard.Fail, "1h older"},
		{"more lenient", "\nchecks: {settings: {test.row: {within: 40d}}}", []guard.Entry{ago(month + time.Hour)}, guard.Pass, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			verdict(t, ask(t, r, tc.chapters, guard.Ledger{Entries: tc.entries}), tc.want, tc.reason)
		})
	}
	t.Run("broken", func(t *testing.T) {
		verdict(t, ask(t, r, "", guard.Ledger{Broken: "line 3"}), guard.Unknown, "cannot be trusted: line 3")
	})
	t.Run("doubt", func(t *testing.T) {
		r := r
		r.doubt = func(_ guard.Scene, _ topic, e guard.Entry) string { return e.Says }
		verdict(t, ask(t, r, "", guard.Ledger{Entries: []guard.Entry{ago(0, func(e *guard.Entry) { e.Says = "it took too long" })}}), guard.Fail, "it took too long")
	})
	t.Run("nothing to record", func(t *testing.T) {
		r := r
		r.about = func(guard.Scene) []topic { return nil }
		verdict(t, ask(t, r, "", guard.Ledger{}), guard.Pass, "")
	})
	t.Run("several", func(t *testing.T) {
		r := r
		r.about = func(guard.Scene) []topic { return topics("test", days(1), "a", "b c") }
		findings := ask(t, r, "", guard.Ledger{Entries: []guard.Entry{ago(0, func(e *guard.Entry) { e.Subject = "a" })}})
		if len(findings) != 2 || findings[0].Verdict != guard.Pass || findings[1].Verdict != guard.Fail {
			t.Fatalf("got %+v", findings)
		}
		if want := `test it, then: golive record test --subject "b c"`; findings[1].Remedy != want {
			t.Errorf("remedy %q, want %q", findings[1].Remedy, want)
		}
	})
}

// Whatever the ledger holds, a record passes only by its newest result, and only if that is good and fresh.
func TestRecordPromise(t *testing.T) {
	r := record{done: "a test", do: "test it", about: func(guard.Scene) []topic { return topics("test", days(31), "") }}
	random := rand.New(rand.NewPCG(1, 2))
	passes := 0
	for range 2000 {
		var l guard.Ledger
		newest := guard.Entry{}
		for range random.IntN(6) {
			e := ago(time.Duration(random.IntN(60*24)) * time.Hour)
			if random.IntN(3) == 0 {
				e.Outcome = guard.Fail
			}
			switch random.IntN(5) {
			case 0:
				e.Kind = "other"
			case 1:
				e.Service = "cart"
			default:
				if !e.At.Before(newest.At) {
					newest = e
				}
			}
			l.Entries = append(l.Entries, e)
		}
		want := newest.Outcome == guard.Pass && now.Sub(newest.At) <= days(31).Std()
		if got := guard.Worst(ask(t, r, "", l)) == guard.Pass; got != want {
			t.Fatalf("passes: %t, want %t, with %+v", got, want, l.Entries)
		}
		if want {
			passes++
		}
	}
	if passes < 200 {
		t.Errorf("only %d ledgers were good", passes)
	}
}

func TestAttest(t *testing.T) {
	a := attest{that: "that the power works", about: func(guard.Scene) []topic { return topics("power", days(183), "") }}
	stated := func(change ...func(*guard.Entry)) []guard.Entry {
		return []guard.Entry{ago(time.Hour, append([]func(*guard.Entry){func(e *guard.Entry) {
			e.Act, e.Outcome, e.Kind, e.By, e.Says, e.Until = guard.Attested, guard.Unknown, "power", "Mei Lin", "it does", now
		}}, change...)...)}
	}
	with := func(change func(*attest)) attest { b := a; change(&b); return b }
	for _, tc := range []struct {
		name    string
		by      attest
		entries []guard.Entry
		want    guard.Verdict
		reason  string
	}{
		{"stated", a, stated(), guard.Pass, ""},
		{"never", a, nil, guard.Fail, "nobody states it"},
		{"over", a, stated(func(e *guard.Entry) { e.Until = now.Add(-time.Second) }), guard.Fail, "it held until"},
		{"older than it may be", a, stated(func(e *guard.Entry) { e.At = now.Add(-184 * 24 * time.Hour) }), guard.Fail, "1d older"},
		{"by a stranger", a, stated(func(e *guard.Entry) { e.By = "Eve" }), guard.Fail, "Eve is not in the roster"},
		{"by the wrong role", with(func(a *attest) { a.roles = []string{"commander", "deputy"} }), stated(), guard.Fail, "that takes a commander or deputy"},
		{"by the right role", with(func(a *attest) { a.roles = []string{"on_duty"} }), stated(), guard.Pass, ""},
		{"of another plan", with(func(a *attest) { a.bound = true }), stated(func(e *guard.Entry) { e.Plan = "another" }), guard.Fail, "the plan has changed"},
		{"by another person", with(func(a *attest) {
			a.own = true
			a.about = func(guard.Scene) []topic { return topics("power", days(183), "Wang Fang") }
		}), stated(func(e *guard.Entry) { e.Subject = "Wang Fang" }), guard.Fail, "Mei Lin stated it, and not Wang Fang"},
		{"only a result", a, []guard.Entry{ago(time.Hour, func(e *guard.Entry) { e.Kind = "power" })}, guard.Fail, "nobody states it"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			verdict(t, ask(t, tc.by, "", guard.Ledger{Entries: tc.entries}), tc.want, tc.reason)
		})
	}
}

func TestObligation(t *testing.T) {
	late := obligation{owed: "reports", kinds: []string{"report"}, do: "write it"}
	anyOpen := obligation{owed: "incidents", kinds: []string{"report"}, open: true, do: "end it", services: func(*guard.Plan) []string { return []string{"payments"} }}
	owed := func(due time.Duration, change ...func(*guard.Entry)) guard.Entry {
		return ago(time.Hour, append([]func(*guard.Entry){func(e *guard.Entry) {
			e.Act, e.Outcome, e.Kind, e.ID, e.Until = guard.Obliged, guard.Unknown, "report", "report-1", now.Add(due)
		}}, change...)...)
	}
	elsewhere := func(e *guard.Entry) { e.Service = "payments" }
	settled := ago(0, func(e *guard.Entry) { e.Act, e.Outcome, e.Settles = guard.Settled, guard.Unknown, "report-1" })
	for _, tc := range []struct {
		name    string
		by      obligation
		entries []guard.Entry
		want    guard.Verdict
		reason  string
	}{
		{"nothing owed", late, nil, guard.Pass, ""},
		{"due now", late, []guard.Entry{owed(0)}, guard.Pass, ""},
		{"overdue", late, []guard.Entry{owed(-time.Second)}, guard.Fail, "overdue for 1s"},
		{"met", late, []guard.Entry{owed(-time.Second), settled}, guard.Pass, ""},
		{"of another kind", late, []guard.Entry{owed(-time.Second, func(e *guard.Entry) { e.Kind = "action" })}, guard.Pass, ""},
		{"of another service", late, []guard.Entry{owed(-time.Second, elsewhere)}, guard.Pass, ""},
		{"open", anyOpen, []guard.Entry{owed(time.Hour)}, guard.Fail, "owed since"},
		{"open elsewhere", anyOpen, []guard.Entry{owed(time.Hour, elsewhere)}, guard.Fail, "at payments"},
		{"open everywhere, once", anyOpen, []guard.Entry{owed(time.Hour, func(e *guard.Entry) { e.Service = "" })}, guard.Fail, "owed since"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			verdict(t, ask(t, tc.by, "", guard.Ledger{Entries: tc.entries, Others: map[string]guard.Ledger{"payments": {}}}), tc.want, tc.reason)
		})
	}
}

func TestProbe(t *testing.T) {
	p := probe{whether: "whether it answers", want: "an answer", example: `{use: http, with: {url: "http://x.test"}}`}
	const asked = "\nchecks: {settings: {test.row: {ask: [{use: http}]}}}"
	find := func(chapters string, f guard.Finding, err error) []guard.Finding {
		s := scene(t, chapters, guard.Answer{})
		s.Ask = func(context.Context, guard.Question) (guard.Answer, error) { return guard.Answer{Finding: f}, err }
		return p.find(t.Context(), s, guard.Check{ID: "test.row", Title: "all is well"})
	}
	good := guard.Finding{Verdict: guard.Pass, Title: "it answers well"}
	verdict(t, find("", good, nil), guard.Fail, "not configured: the plan does not say whether it answers")
	verdict(t, find(asked, good, nil), guard.Pass, "")
	verdict(t, find(asked, good, errors.New("refused")), guard.Unknown, "refused")
	verdict(t, find(asked, guard.Finding{}, nil), guard.Unknown, "nothing to say")
	verdict(t, find(asked, guard.Finding{Verdict: 99}, nil), guard.Unknown, "nothing to say")
	verdict(t, find(asked, guard.Finding{Verdict: guard.Fail}, nil), guard.Fail, "the probe says no")
	verdict(t, find(asked, guard.Finding{Verdict: guard.Waiting, Reason: "not yet"}, nil), guard.Waiting, "not yet")
	two := find("\nchecks: {settings: {test.row: {ask: [{use: http}, {use: tls}]}}}", good, nil)
	if len(two) != 2 || two[0].Subject == two[1].Subject || two[1].Path != "checks.settings.test.row.ask[1]" {
		t.Errorf("two parts give %+v", two)
	}
}
