package guard_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/golive-dev/golive/guard"
)

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

func TestEntryCheck(t *testing.T) {
	result := guard.Entry{At: noon, Act: guard.Result, Kind: "drill.restore", Outcome: guard.Pass}
	attested := guard.Entry{At: noon, Act: guard.Attested, Kind: "compliance:CN", By: "Ada Obi", Says: "it is kept", Until: noon.Add(time.Hour)}
	obliged := guard.Entry{At: noon, Act: guard.Obliged, Kind: "report", ID: "report-1", Until: noon}
	settled := guard.Entry{At: noon, Act: guard.Settled, Kind: "report", Settles: "report-1"}
	for _, tc := range []struct {
		name   string
		entry  guard.Entry
		change func(*guard.Entry)
		want   string // part of the error; empty: there is none
	}{
		{"result", result, func(*guard.Entry) {}, ""},
		{"attestation", attested, func(*guard.Entry) {}, ""},
		{"obligation", obliged, func(*guard.Entry) {}, ""},
		{"settled", settled, func(*guard.Entry) {}, ""},
		{"failed result", result, func(e *guard.Entry) { e.Outcome = guard.Fail }, ""},
		{"nothing", guard.Entry{}, func(*guard.Entry) {}, "is not what an entry does"},
		{"no time", result, func(e *guard.Entry) { e.At = time.Time{} }, "without a time"},
		{"odd kind", result, func(e *guard.Entry) { e.Kind = "Drill restore" }, "is not a kind of entry"},
		{"no outcome", result, func(e *guard.Entry) { e.Outcome = guard.Unknown }, "pass or fail"},
		{"half an outcome", result, func(e *guard.Entry) { e.Outcome = guard.Warn }, "pass or fail"},
		{"impossible proof", result, func(e *guard.Entry) { e.Proof = &guard.Proof{} }, "a proof of nothing"},
		{"stated by nobody", attested, func(e *guard.Entry) { e.By = " " }, "made by somebody"},
		{"nothing stated", attested, func(e *guard.Entry) { e.Says = "" }, "says something"},
		{"never holds", attested, func(e *guard.Entry) { e.Until = e.At }, "never holds"},
		{"nameless obligation", obliged, func(e *guard.Entry) { e.ID = "" }, "without a name"},
		{"endless obligation", obliged, func(e *guard.Entry) { e.Until = time.Time{} }, "without a name or an end"},
		{"settles nothing", settled, func(e *guard.Entry) { e.Settles = "" }, "which obligation was met"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			e := tc.entry
			tc.change(&e)
			err := e.Check()
			if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
				t.Errorf("Check = %v, want %q", err, tc.want)
			}
			text, err := json.Marshal(e)
			var back guard.Entry
			if err != nil || json.Unmarshal(text, &back) != nil || !cmp.Equal(e, back) {
				t.Errorf("it comes back from JSON as another: %s (%v)", text, err)
			}
		})
	}
}

// What journals know and a ledger does not is put in its place: an end that the ledger has already is the end of it.
func TestWith(t *testing.T) {
	at := func(minutes int, act guard.Act, id string) guard.Entry {
		e := guard.Entry{At: noon.Add(time.Duration(minutes) * time.Minute), Act: act, Kind: guard.KindIncident, Service: "shop"}
		if act == guard.Settled {
			e.Settles = id
		} else {
			e.ID, e.Until = id, noon.Add(time.Hour)
		}
		return e
	}
	began := guard.Entry{At: noon.Add(5 * time.Minute), Act: guard.Begun, Kind: "ledger"}
	for _, tc := range []struct {
		name  string
		has   []guard.Entry
		known []guard.Entry
		owed  []string
		count int
	}{
		{"a ledger that began after the incident", []guard.Entry{began}, []guard.Entry{at(0, guard.Obliged, "a")}, []string{"a"}, 2},
		{"what it has", []guard.Entry{at(0, guard.Obliged, "a")}, []guard.Entry{at(0, guard.Obliged, "a")}, []string{"a"}, 1},
		{"its end alone was written", []guard.Entry{at(9, guard.Settled, "a")}, []guard.Entry{at(0, guard.Obliged, "a"), at(9, guard.Settled, "a")}, nil, 2},
		{"its end alone was not", []guard.Entry{at(0, guard.Obliged, "a"), at(10, guard.Obliged, "b")}, []guard.Entry{at(0, guard.Obliged, "a"), at(9, guard.Settled, "a")}, []string{"b"}, 3},
		{"all at one moment", nil, []guard.Entry{at(0, guard.Obliged, "a"), at(0, guard.Settled, "a"), at(0, guard.Obliged, "b")}, []string{"b"}, 3},
	} {
		l := guard.Ledger{Entries: tc.has}
		got := l.With(tc.known)
		var owed []string
		for _, e := range got.Owed("shop") {
			owed = append(owed, e.ID)
		}
		if diff := cmp.Diff(tc.owed, owed); diff != "" || len(got.Entries) != tc.count || len(l.Entries) != len(tc.has) {
			t.Errorf("%s: %d entries, want %d; owed (-want +got):\n%s", tc.name, len(got.Entries), tc.count, diff)
		}
	}
	for _, l := range []guard.Ledger{{Missing: true}, {Broken: "line 2"}} {
		if got := l.With([]guard.Entry{at(0, guard.Obliged, "a")}); len(got.Entries) > 0 {
			t.Errorf("%+v has become %+v", l, got)
		}
	}
	shared := guard.Ledger{Entries: []guard.Entry{at(0, guard.Obliged, "a")}}
	if !shared.Knows("shop") || shared.Knows("cart") {
		t.Error("a ledger knows the services that it was told of")
	}
}

func TestNewest(t *testing.T) {
	plan := &guard.Plan{Service: "shop", Environment: "production"}
	at := func(hours int, change func(*guard.Entry)) guard.Entry {
		e := guard.Entry{At: noon.Add(time.Duration(hours) * time.Hour), Act: guard.Result, Kind: "drill.restore", Subject: "orders", Outcome: guard.Pass, Service: "shop"}
		change(&e)
		return e
	}
	l := guard.Ledger{Entries: []guard.Entry{
		at(1, func(e *guard.Entry) { e.Says = "the one" }),
		at(0, func(e *guard.Entry) { e.Says = "older, written later" }),
		at(2, func(e *guard.Entry) { e.Subject = "users" }),
		at(3, func(e *guard.Entry) { e.Kind = "drill.rollback" }),
		at(4, func(e *guard.Entry) { e.Service = "cart" }),
		at(5, func(e *guard.Entry) { e.Environment = "staging" }),
		at(6, func(e *guard.Entry) { e.Act = guard.Attested }),
	}}
	if e, found := l.Newest(plan, guard.Result, "drill.restore", "orders"); !found || e.Says != "the one" {
		t.Errorf("the newest is %+v (%t)", e, found)
	}
	if e, found := l.Newest(plan, guard.Result, "drill.restore", "carts"); found {
		t.Errorf("found %+v about nothing", e)
	}
	l.Entries = append(l.Entries, at(1, func(e *guard.Entry) { e.Says = "at the same time, written later"; e.Service = "" }))
	if e, _ := l.Newest(plan, guard.Result, "drill.restore", "orders"); e.Says != "at the same time, written later" {
		t.Errorf("of two at the same time the newest is %q", e.Says)
	}
}

func TestOwed(t *testing.T) {
	obliged := func(id, service string) guard.Entry {
		return guard.Entry{At: noon, Act: guard.Obliged, Kind: "report", ID: id, Service: service, Until: noon}
	}
	l := guard.Ledger{Entries: []guard.Entry{
		{At: noon, Act: guard.Settled, Kind: "report", Settles: "again"},
		obliged("a", "shop"), obliged("b", "cart"), obliged("c", ""), obliged("again", "shop"), obliged("d", "shop"),
		{At: noon, Act: guard.Settled, Kind: "report", Settles: "a"},
	}}
	var ids []string
	for _, e := range l.Owed("shop") {
		ids = append(ids, e.ID)
	}
	if diff := cmp.Diff([]string{"c", "again", "d"}, ids); diff != "" {
		t.Errorf("owed (-want +got):\n%s", diff)
	}
}

// A result of another method says nothing about today's; what has nothing to do with the method does not change it.
func TestMethod(t *testing.T) {
	plan := func(source string) *guard.Plan {
		t.Helper()
		p, err := guard.ParsePlan("", []byte(source))
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	const source = "service: shop\ndata: [{name: orders, restore: {use: command, with: {run: ./a.sh}, expected: 20m}}, {name: mail, restore: {use: command}}]\nrollout: {backend: {use: http}, steps: [10, 100]}\n" +
		"watch: {source: {use: scrape}, signals: [{name: errors, total: requests, bad: failures}]}\n"
	was := plan(source)
	for _, tc := range []struct {
		kind, from, to string
		changes        bool
	}{
		{"drill.rollback", "use: http", "use: command", true},
		{"drill.rollback", "steps: [10, 100]", "steps: [10, 100], needs: [dns]", true},
		{"drill.rollback", "steps: [10, 100]", "steps: [20, 100]", false},
		{"drill.rollback", "total: requests", "total: demands", false},
		{"plan.reviewed", "total: requests", "total: demands", true},
		{"plan.reviewed", "use: http", "use: command", true},
		{"plan.reviewed", "service: shop", "service: shop\nowner: Ada", false},
		{"plan.reviewed", "name: mail", "name: carts", true},
		{"drill.restore", "./a.sh", "./b.sh", true},
		{"drill.restore", "20m", "10m", false},
		{"drill.restore", "name: mail, restore: {use: command}", "name: mail", false},
		{"drill.restore", ", restore: {use: command, with: {run: ./a.sh}, expected: 20m}", "", true},
		{"drill.verify", "./a.sh", "./b.sh", false},
		{"standby.test", "use: http", "use: command", false},
	} {
		is := plan(strings.Replace(source, tc.from, tc.to, 1))
		if changed := was.Method(tc.kind, "orders") != is.Method(tc.kind, "orders"); changed != tc.changes {
			t.Errorf("%s in place of %s changes the method of %s: %t, want %t", tc.to, tc.from, tc.kind, changed, tc.changes)
		}
	}
}
