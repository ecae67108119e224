package plugintest_test

import (
	"errors"
	"testing"
	"time"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/judge"
	"github.com/golive-dev/golive/plugins/plugintest"
)

const deskPlan = `
service: shop
environment: prod
rollout:
  backend: {use: command, with: {inspect: "true", shift: "true"}}
  steps: [10, 50, 100]
watch:
  source: {use: scrape, with: {canary: ["http://c/metrics"], stable: ["http://s/metrics"]}}
  signals: [{name: errors, total: requests, bad: 'requests{code="500"}'}]
`

// TestDesk is what the hooks rely on: that the desk of their tests keeps the contract of guard.Desk.
func TestDesk(t *testing.T) {
	ctx := t.Context()
	d := plugintest.NewDesk(t, deskPlan)
	delivery := func(id string) guard.Delivery { return guard.Delivery{ID: id, Source: "test", At: time.Now()} }
	v2 := guard.Release{Service: "shop", From: "v1", To: "v2"}

	if _, err := d.Open(ctx, delivery("0"), guard.Release{Service: "cart", To: "v2"}, guard.ToWatch); !errors.Is(err, guard.ErrNoPlan) {
		t.Errorf("a service without a plan: %v", err)
	}
	if _, err := d.Find(ctx, v2); !errors.Is(err, guard.ErrNoRollout) {
		t.Errorf("before the first rollout: %v", err)
	}
	id, err := d.Open(ctx, delivery("1"), v2, guard.ToWatch)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := d.Open(ctx, delivery("1"), v2, guard.ToWatch); err != nil || again != id {
		t.Errorf("the same delivery opens %q, %v", again, err)
	}
	var underWay *guard.UnderWayError
	if _, err := d.Open(ctx, delivery("2"), guard.Release{Service: "shop", To: "v3"}, guard.ToWatch); !errors.As(err, &underWay) || underWay.ID != id {
		t.Errorf("another rollout: %v", err)
	}
	if found, err := d.Find(ctx, guard.Release{Service: "shop", Environment: "prod", To: "v2"}); err != nil || found != id {
		t.Errorf("found %q, %v", found, err)
	}

	opinion := func() guard.Opinion {
		_, s, err := d.Get(ctx, id)
		if err != nil {
			t.Fatal(err)
		}
		return s.Opinion(time.Now(), time.Minute)
	}
	for _, step := range []struct {
		percent int
		call    judge.Call
		want    guard.Opinion
	}{
		{0, judge.Continue, guard.Insufficient}, {10, judge.Continue, guard.Insufficient}, {10, judge.Blind, guard.Unseeing},
		{10, judge.Healthy, guard.Healthy}, {50, judge.Continue, guard.Insufficient}, {50, judge.Healthy, guard.Healthy},
	} {
		if d.Watch(t, id, step.percent, step.call); opinion() != step.want {
			t.Errorf("%s at %d%% is %s, want %s", step.call, step.percent, opinion(), step.want)
		}
	}

	for range 2 {
		if err := d.Tell(ctx, delivery("3"), id, guard.Ordered{Verb: guard.OrderRollback, By: "ada"}); err != nil {
			t.Fatal(err)
		}
	}
	if told := d.Told(id); len(told) != 1 || opinion() != guard.Harmful {
		t.Errorf("told %v, and it is %s", told, opinion())
	}
	d.Happen(t, id, guard.Shifted{})
	d.Happen(t, id, guard.Verified{})
	if err := d.Tell(ctx, delivery("4"), id, guard.Noted{Text: "late"}); !errors.Is(err, guard.ErrOver) {
		t.Errorf("told a rollout that is over: %v", err)
	}
	if err := d.Tell(ctx, delivery("5"), "shop-9", guard.Noted{}); !errors.Is(err, guard.ErrNoRollout) {
		t.Errorf("told a rollout that is not known: %v", err)
	}

	next := func(delivery, to string, purpose guard.Purpose) string {
		id, err := d.Open(ctx, guard.Delivery{ID: delivery, Source: "test", At: time.Now()}, guard.Release{Service: "shop", To: to}, purpose)
		if err != nil && !errors.As(err, &underWay) {
			t.Fatal(err)
		}
		return id
	}
	old := next("6", "v3", guard.ToWatch)
	d.Watch(t, old, 10, judge.Continue)
	if id := next("7", "v4", guard.ToRollout); id != "" {
		t.Errorf("a rollout pushes a watch out: %s", id)
	}
	id = next("8", "v4", guard.ToWatch)
	if _, s, err := d.Get(ctx, old); err != nil || id == "" || s.Outcome != guard.Overdue {
		t.Errorf("the next watch is %q, and the old one %s, %v", id, s.Outcome, err)
	}

	gone, asked := errors.New("gone"), d.Asked()
	d.Away(gone)
	if _, err := d.Check(ctx, v2); !errors.Is(err, gone) || d.Asked() != asked+1 {
		t.Errorf("away: %v, and it was asked %d times more", err, d.Asked()-asked)
	}
	d.Away(nil)
	d.Say(guard.Finding{ID: "backup.age", Verdict: guard.Fail})
	if findings, err := d.Check(ctx, v2); err != nil || guard.Worst(findings) != guard.Fail {
		t.Errorf("the checks say %v, %v", findings, err)
	}
}
