package server_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/engine"
	"github.com/golive-dev/golive/guard/server"
)

// TestPlansTwice: where no environment can tell two plans apart, none is asked for.
func TestPlansTwice(t *testing.T) {
	s := newSite(t)
	s.write("again.yaml", planOf("shop", ""))
	plans, err := server.ReadPlans(s.dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, environment := range []string{"", "test"} {
		_, err := plans.For("shop", environment)
		if !errors.Is(err, guard.ErrNoPlan) || strings.Contains(err.Error(), "say which environment") {
			t.Errorf("%q: %v", environment, err)
		}
		for _, name := range []string{"again.yaml", "shop.yaml"} {
			if err != nil && !strings.Contains(err.Error(), filepath.Join(s.dir, name)) {
				t.Errorf("%q: %v, without %s", environment, err, name)
			}
		}
	}
	s.write("again.yaml", strings.Replace(planOf("shop", ""), "environment: test", "environment: prod", 1))
	if plans, err = server.ReadPlans(s.dir); err != nil {
		t.Fatal(err)
	}
	if _, err := plans.For("shop", ""); err == nil || !strings.Contains(err.Error(), "say which environment") {
		t.Errorf("of two environments: %v", err)
	}
}

// TestAcknowledged: who looks after a rollout is called as the token is, and somebody where nothing says who it is.
func TestAcknowledged(t *testing.T) {
	s := newSite(t)
	r := s.start("one", func(o *server.Options) { o.Access = known(t) })
	id := r.watch("", "v1", "v2")
	r.want(202, "POST", "/v1/rollouts/"+id+"/acknowledgement", "", as(allSecret))
	if got := r.await(id, "acknowledged", func(s guard.State) bool { return s.Acknowledged != "" }); got.Acknowledged != "ann" {
		t.Errorf("%s looks after it, want ann", got.Acknowledged)
	}
	r.end()
	r = s.start("two", nil)
	r.want(202, "POST", "/v1/rollouts/"+id+"/acknowledgement", "")
	r.await(id, "acknowledged by somebody", func(s guard.State) bool { return s.Acknowledged == "somebody" })
}

// watch opens a watch as a hook does.
func (r *running) watch(delivery, from, to string) string {
	r.Helper()
	id, err := r.Desk().Open(r.Context(), message(delivery+"/"+to), guard.Release{Service: "shop", From: from, To: to}, guard.ToWatch)
	if err != nil {
		r.Fatal(err)
	}
	return id
}

func message(id string) guard.Delivery {
	return guard.Delivery{ID: id, Source: "test", At: time.Now(), Body: []byte("{}")}
}

// TestNextWatch: the watch of a version makes room for that of the next, and no traffic is moved for it.
func TestNextWatch(t *testing.T) {
	for _, policy := range []string{"refuse", "supersede", "queue"} {
		t.Run(policy, func(t *testing.T) {
			s := newSite(t)
			s.write("shop.yaml", planOf("shop", "on_new_release: "+policy))
			r := s.start("one", nil)
			s.world.mu.Lock()
			s.world.at("shop").percent = 50
			s.world.mu.Unlock()
			old := r.watch("success", "", "aaa")
			next := r.watch("success", "aaa", "bbb")
			if again := r.watch("success", "aaa", "bbb"); next == old || again != next {
				t.Errorf("%s, then %s, and again %s", old, next, again)
			}
			was := r.state(old)
			if was.Phase != guard.Over || was.Outcome != guard.Live && was.Outcome != guard.Overdue || !strings.Contains(was.Why, "bbb was deployed") {
				t.Errorf("the old one is %s as %q: %s", was.Phase, was.Outcome, was.Why)
			}
			if now := r.state(next); now.Phase == guard.Over || now.Release.To != "bbb" {
				t.Errorf("the next one is %s: %s", now.Phase, now.Why)
			}
			s.world.mu.Lock()
			defer s.world.mu.Unlock()
			if p := s.world.at("shop"); len(p.shifts) > 0 {
				t.Errorf("traffic was moved: %v", p.shifts)
			}
		})
	}
}

// TestCheckedOnce: one asks the world for all that want to know the same, and nobody's leaving changes the answer.
func TestCheckedOnce(t *testing.T) {
	s := newSite(t)
	var runs atomic.Int32
	began, goOn := make(chan struct{}), make(chan struct{})
	r := s.start("one", func(o *server.Options) {
		parts := o.Parts
		o.Parts = func(ctx context.Context, p *guard.Plan) (engine.Parts, func(), error) {
			all, letGo, err := parts(ctx, p)
			all.Checks[0].Run = func(ctx context.Context, _ guard.Scene) ([]guard.Finding, error) {
				runs.Add(1)
				close(began)
				select {
				case <-goOn:
					return []guard.Finding{{Verdict: guard.Pass, Reason: "fine"}}, nil
				case <-ctx.Done():
					return nil, ctx.Err()
				}
			}
			return all, letGo, err
		}
	})
	release := guard.Release{Service: "shop", From: "v1", To: "v2"}
	leaving, leave := context.WithCancel(t.Context())
	left := make(chan error)
	go func() {
		_, err := r.Desk().Check(leaving, release)
		left <- err
	}()
	<-began
	impatient, stop := context.WithCancel(t.Context())
	stop()
	if _, err := r.Desk().Check(impatient, release); !errors.Is(err, context.Canceled) {
		t.Errorf("who waits for another's answer and leaves is told %v", err)
	}
	leave()
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Errorf("who has asked and leaves is told %v", err)
	}
	close(goOn)
	for range 2 {
		findings, err := r.Desk().Check(t.Context(), release)
		if err != nil || len(findings) != 1 || findings[0].Verdict != guard.Pass {
			t.Errorf("%v, %v", findings, err)
		}
	}
	if n := runs.Load(); n != 1 {
		t.Errorf("the checks were asked %d times, want once", n)
	}
}

// TestChecksUnasked: that the checks cannot be asked is remembered for a moment, so that a tool that asks at once does not
// have everything tried at once.
func TestChecksUnasked(t *testing.T) {
	var tries atomic.Int32
	r := newSite(t).start("one", func(o *server.Options) {
		o.Parts = func(context.Context, *guard.Plan) (engine.Parts, func(), error) {
			if tries.Add(1) == 2 {
				panic("of the parts")
			}
			return engine.Parts{}, nil, errors.New("no credentials")
		}
	})
	for range 2 {
		if _, err := r.Desk().Check(t.Context(), guard.Release{Service: "shop", From: "v1", To: "v2"}); err == nil || !strings.Contains(err.Error(), "no credentials") {
			t.Errorf("%v", err)
		}
	}
	if n := tries.Load(); n != 1 {
		t.Errorf("it was tried %d times, want once", n)
	}
	if _, err := r.Desk().Check(t.Context(), guard.Release{Service: "shop", From: "v1", To: "v3"}); err == nil || !strings.Contains(err.Error(), "of the parts") {
		t.Errorf("a panic is %v", err)
	}
}
