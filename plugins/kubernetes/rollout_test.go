package kubernetes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/plugins"
	"github.com/golive-dev/golive/plugins/plugintest"
)

// An argo stands in for the controller of Argo Rollouts, which is not here: it makes ReplicaSets of templates, walks
// through steps, and answers the same fields of the status, by the same rules. Its ReplicaSets are run by the real
// controller of ReplicaSets; its router is a number.
type argo struct {
	w      *world
	routed bool
	stuck  atomic.Bool // like Argo 1.9.0 (argo-rollouts#4841), it leaves the weight as it is after an abort
	lies   atomic.Bool // the router does not have the weights that were set
	idle   atomic.Bool
}

func newArgo(t *testing.T, w *world, routed bool) *argo {
	t.Helper()
	w.define(t, "GOLIVE_E2E_ROLLOUT_CRD", rollouts)
	a := &argo{w: w, routed: routed}
	ctx, stop := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() {
		for ctx.Err() == nil {
			if !a.idle.Load() {
				if err := a.reconcile(ctx); err != nil && ctx.Err() == nil && !strings.Contains(err.Error(), "not found") && !strings.Contains(err.Error(), "modified") {
					t.Logf("the stand-in for Argo: %v", err)
				}
			}
			time.Sleep(30 * time.Millisecond)
		}
	})
	t.Cleanup(func() { stop(); work.Wait() })
	return a
}

// reconcile takes the one Rollout one step further.
func (a *argo) reconcile(ctx context.Context) error {
	object, err := a.w.admin.get(ctx, rollouts, "shop")
	if err != nil {
		return err
	}
	rollout, err := as[struct {
		Spec struct {
			Replicas int  `json:"replicas"`
			Paused   bool `json:"paused"`
			Strategy struct {
				Canary struct {
					Steps []step `json:"steps"`
				} `json:"canary"`
			} `json:"strategy"`
		} `json:"spec"`
		Status struct {
			argoStatus
			ControllerPause bool  `json:"controllerPause"`
			PauseConditions []any `json:"pauseConditions"`
		} `json:"status"`
	}](object)
	if err != nil {
		return err
	}
	if observed := fmt.Sprint(object.GetGeneration()); rollout.Spec.Paused {
		if seen, _, _ := unstructured.NestedString(object.Object, "status", "observedGeneration"); seen == observed {
			return nil
		}
		if err := unstructured.SetNestedField(object.Object, observed, "status", "observedGeneration"); err != nil {
			return err
		}
		_, err = a.w.admin.in(rollouts).UpdateStatus(ctx, object, metav1.UpdateOptions{})
		return err
	}
	template, _, err := unstructured.NestedMap(object.Object, "spec", "template")
	if err != nil {
		return err
	}
	text, err := json.Marshal(template)
	if err != nil {
		return err
	}
	sum := fnv.New32a()
	sum.Write(text)
	hash := fmt.Sprintf("%08x", sum.Sum32())
	s, steps := &rollout.Status, rollout.Spec.Strategy.Canary.Steps
	index := 0
	if s.CurrentStepIndex != nil {
		index = *s.CurrentStepIndex
	}
	if s.CurrentPodHash != hash { // a new template begins at the first step
		s.CurrentPodHash, index, s.Abort, s.PromoteFull, s.ControllerPause, s.PauseConditions = hash, 0, false, false, false, nil
	}
	if s.StableRS == "" {
		s.StableRS = hash
	}
	weight := func() int {
		if s.Abort || s.StableRS == hash {
			return 0
		}
		for i := min(index, len(steps)-1); i >= 0; i-- {
			if steps[i].SetWeight != nil {
				return *steps[i].SetWeight
			}
		}
		return 0
	}
	last := 0
	if s.Canary.Weights != nil {
		last = s.Canary.Weights.Canary.Weight
	}
	canaries, stables := 0, rollout.Spec.Replicas
	switch {
	case s.StableRS == hash:
	case s.PromoteFull:
		canaries = rollout.Spec.Replicas
	case a.routed && weight() > 0:
		canaries = rollout.Spec.Replicas
	case !a.routed:
		canaries = (weight()*rollout.Spec.Replicas + 99) / 100
		stables -= canaries
	}
	canaryReady, stableReady, err := a.scale(ctx, object, template, hash, s.StableRS, canaries, stables)
	if err != nil {
		return err
	}
	set := last
	switch there := canaryReady >= canaries && stableReady >= stables; {
	case s.StableRS == hash:
		index, set, s.Abort = len(steps), 0, false
	case s.Abort:
		index, s.ControllerPause, s.PauseConditions = 0, false, nil
		if set = 0; a.stuck.Load() {
			set = last
		}
	case !there:
	case s.PromoteFull:
		s.StableRS, s.PromoteFull, index, set = hash, false, len(steps), 0
	case index >= len(steps):
		s.StableRS, set = hash, 0
	case steps[index].Pause == nil:
		set = weight()
		index++
	default:
		set = weight()
		switch {
		case s.ControllerPause && len(s.PauseConditions) == 0:
			index, s.ControllerPause = index+1, false
		case !s.ControllerPause:
			s.ControllerPause = true
			s.PauseConditions = []any{map[string]any{"reason": "CanaryPauseStep", "startTime": time.Now().UTC().Format(time.RFC3339)}}
		}
	}
	status := map[string]any{
		"observedGeneration": fmt.Sprint(object.GetGeneration()), "currentPodHash": hash, "stableRS": s.StableRS, "currentStepIndex": int64(index),
		"abort": s.Abort, "promoteFull": s.PromoteFull, "controllerPause": s.ControllerPause, "pauseConditions": s.PauseConditions,
		"phase": "Progressing", "canary": map[string]any{},
	}
	if a.routed {
		status["canary"] = map[string]any{"weights": map[string]any{"verified": !a.lies.Load(),
			"canary": map[string]any{"weight": int64(set), "podTemplateHash": hash}, "stable": map[string]any{"weight": int64(100 - set), "podTemplateHash": s.StableRS}}}
	}
	before := fmt.Sprint(object.Object["status"])
	text, err = json.Marshal(status)
	if err != nil {
		return err
	}
	var plain map[string]any
	if err := json.Unmarshal(text, &plain); err != nil {
		return err
	}
	revised := object.DeepCopy()
	revised.Object["status"] = plain
	if before == fmt.Sprint(plain) {
		return nil
	}
	_, err = a.w.admin.in(rollouts).UpdateStatus(ctx, revised, metav1.UpdateOptions{}) // refused if somebody was faster
	return err
}

// scale gives both ReplicaSets, and all others, their sizes, the growing ones first, and counts ready pods.
func (a *argo) scale(ctx context.Context, rollout *unstructured.Unstructured, template map[string]any, hash, stable string, canaries, stables int) (canaryReady, stableReady int, err error) {
	sets, err := a.w.admin.list(ctx, replicaSets, argoHash)
	if err != nil {
		return 0, 0, err
	}
	revision, found := 0, false
	for i := range sets {
		n := 0
		fmt.Sscan(sets[i].GetAnnotations()[revisionKeys[1]], &n)
		revision = max(revision, n)
		found = found || sets[i].GetLabels()[argoHash] == hash
	}
	if !found {
		template = runtime.DeepCopyJSON(template)
		labels, _, _ := unstructured.NestedMap(template, "metadata", "labels")
		labels[argoHash] = hash
		if err := unstructured.SetNestedMap(template, labels, "metadata", "labels"); err != nil {
			return 0, 0, err
		}
		controller := true
		set := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "apps/v1", "kind": "ReplicaSet",
			"spec": map[string]any{"replicas": int64(0), "selector": map[string]any{"matchLabels": labels}, "template": template}}}
		set.SetName("shop-" + hash)
		set.SetLabels(map[string]string{"app": "shop", argoHash: hash})
		set.SetAnnotations(map[string]string{revisionKeys[1]: fmt.Sprint(revision + 1)})
		set.SetOwnerReferences([]metav1.OwnerReference{{APIVersion: "argoproj.io/v1alpha1", Kind: "Rollout", Name: "shop", UID: rollout.GetUID(), Controller: &controller}})
		if _, err := a.w.admin.in(replicaSets).Create(ctx, set, metav1.CreateOptions{}); err != nil {
			return 0, 0, err
		}
		return 0, 0, nil
	}
	for _, set := range sets {
		want := 0
		if set.GetLabels()[argoHash] == hash {
			want = canaries
		}
		if set.GetLabels()[argoHash] == stable {
			want = stables
		}
		ready, _, _ := unstructured.NestedInt64(set.Object, "status", "readyReplicas")
		now, _, _ := unstructured.NestedInt64(set.Object, "spec", "replicas")
		if set.GetLabels()[argoHash] == hash {
			canaryReady = int(ready)
		}
		if set.GetLabels()[argoHash] == stable {
			stableReady = int(ready)
		}
		if int(now) != want {
			if err := unstructured.SetNestedField(set.Object, int64(want), "spec", "replicas"); err != nil {
				return 0, 0, err
			}
			if _, err := a.w.admin.in(replicaSets).Update(ctx, &set, metav1.UpdateOptions{}); err != nil {
				return 0, 0, err
			}
		}
	}
	return canaryReady, stableReady, nil
}

const fewSteps = `[{pause: {}}, {setWeight: 25}, {pause: {}}, {setWeight: 50}, {pause: {}}]`

// bring gives the Rollout a version, as a pipeline does.
func (w *world) bring(t *testing.T, version, steps string, routed bool) {
	t.Helper()
	routing := ""
	if routed {
		routing = ", canaryService: shop-canary, stableService: shop-stable, trafficRouting: {nginx: {stableIngress: shop}}"
	}
	w.apply(t, fmt.Sprintf(`{apiVersion: argoproj.io/v1alpha1, kind: Rollout, metadata: {name: shop}, spec: {replicas: 4, selector: {matchLabels: {app: shop}},
template: %s, strategy: {canary: {steps: %s%s}}}}`, template(version, "app: shop"), steps, routing))
	eventually(t, "the Rollout has "+version, func() bool {
		b := &Rollout{cluster: w.admin, rollout: "shop"}
		c, err := b.course(t.Context(), release)
		return err == nil && c.next == version && c.ready() == 4
	})
}

func (w *world) rolloutWith() guard.With { return w.with("rollout", "shop") }

func TestClusterRollout(t *testing.T) {
	for _, routed := range []bool{true, false} {
		t.Run(fmt.Sprintf("routed=%v", routed), func(t *testing.T) {
			plugintest.Both(t, kit, func(t *testing.T, kit plugins.Kit) {
				w := newWorld(t)
				newArgo(t, w, routed)
				w.bring(t, "v1", fewSteps, routed)
				w.bring(t, "v2", fewSteps, routed)
				b := plugintest.Make(t, kit.Backends["argo-rollouts"], w.rolloutWith())
				plugintest.Backend(t, b, plugintest.BackendCase{Fenced: true})
				object, err := w.admin.get(t.Context(), rollouts, "shop")
				if err != nil {
					t.Fatal(err)
				}
				if status, _ := as[struct{ Status argoStatus }](object); status.Status.StableRS != status.Status.CurrentPodHash {
					t.Errorf("after Finish: %+v", status)
				}
			})
		})
	}
}

// With a step for all of the traffic the old version stays ready until Finish.
func TestClusterRolloutAll(t *testing.T) {
	w := newWorld(t)
	newArgo(t, w, true)
	const steps = `[{pause: {}}, {setWeight: 50}, {pause: {}}, {setWeight: 100}, {pause: {}}]`
	w.bring(t, "v1", steps, true)
	w.bring(t, "v2", steps, true)
	b := makeBackend(t, "argo-rollouts", w.rolloutWith())
	shift(t, b, 1, 100)
	if s := inspect(t, b); s.Percent != 100 || !strings.Contains(s.Detail, "4 of 8 ready pods run v2") {
		t.Errorf("at 100%%: %+v", s)
	}
	shift(t, b, 2, 0)
	if s := inspect(t, b); s.Percent != 0 || !s.Undo.Open {
		t.Errorf("back: %+v", s)
	}
	shift(t, b, 3, 100)
	if err := b.Finish(t.Context(), order(4)); err != nil {
		t.Error(err)
	}
	if s := inspect(t, b); s.Percent != 100 {
		t.Errorf("finished: %+v", s)
	}
}

// It is not believed that the traffic is back, but looked at.
func TestClusterRolloutStuck(t *testing.T) {
	w := newWorld(t)
	a := newArgo(t, w, true)
	w.bring(t, "v1", fewSteps, true)
	w.bring(t, "v2", fewSteps, true)
	b := makeBackend(t, "argo-rollouts", w.rolloutWith())
	shift(t, b, 1, 25)
	back := func() error {
		ctx, cancel := context.WithTimeoutCause(t.Context(), 3*time.Second, errors.New("no more time"))
		defer cancel()
		return b.Shift(ctx, order(2), 0)
	}
	a.stuck.Store(true)
	if err := back(); err == nil || !strings.Contains(err.Error(), "the share is 25% and has to become 0%") {
		t.Errorf("the weight stays: %v", err)
	}
	if s := inspect(t, b); s.Percent != 25 {
		t.Errorf("the weight stays: %+v", s)
	}
	a.stuck.Store(false)
	a.lies.Store(true)
	if err := back(); err == nil || !strings.Contains(err.Error(), "verified is false") {
		t.Errorf("the router has other weights: %v", err)
	}
	a.lies.Store(false)
	eventually(t, "it is back", func() bool { return back() == nil })
	if s := inspect(t, b); s.Percent != 0 || !s.Undo.Open {
		t.Errorf("back: %+v", s)
	}
	a.idle.Store(true)
	w.patch(t, "Rollout", "shop", `{"spec": {"replicas": 5}}`)
	if s, err := b.Inspect(t.Context(), release); err == nil || !strings.Contains(err.Error(), "has not looked at its newest spec yet") {
		t.Errorf("without a controller: %+v, %v", s, err)
	}
}

func TestClusterRolloutDriftAndRights(t *testing.T) {
	w := newWorld(t)
	newArgo(t, w, true)
	w.bring(t, "v1", fewSteps, true)
	w.bring(t, "v2", fewSteps, true)
	b := makeBackend(t, "argo-rollouts", w.rolloutWith())
	shift(t, b, 1, 25)
	eventually(t, "somebody promoted it", func() bool {
		s, err := b.Inspect(t.Context(), release)
		if err == nil && s.Percent == 25 { // what kubectl argo rollouts promote does; the stand-in may write over it
			w.patch(t, "Rollout", "shop", `{"status": {"pauseConditions": null}}`, "status")
		}
		return err == nil && s.Percent == 50
	})
	w.patch(t, "Rollout", "shop", `{"status": {"abort": true}}`, "status")
	eventually(t, "somebody aborted it", func() bool { s, err := b.Inspect(t.Context(), release); return err == nil && s.Percent == 0 })
	if err := b.Shift(t.Context(), order(2), 30); err == nil || !strings.Contains(err.Error(), "30% cannot be had of the Rollout shop, only [25 50 100]") {
		t.Errorf("Shift to 30%%: %v", err)
	}
	w.patch(t, "Rollout", "shop", `{"spec": {"paused": true}}`)
	if err := b.Shift(t.Context(), order(3), 25); err == nil || !strings.Contains(err.Error(), "somebody has paused the Rollout shop") {
		t.Errorf("Shift of one that is paused: %v", err)
	}
	w.patch(t, "Rollout", "shop", `{"spec": {"paused": false}}`)
	if w.context == "" {
		return
	}
	for _, right := range []string{"patch rollouts", "patch rollouts/status"} {
		w.grant(t, right)
		resource := strings.TrimPrefix(right, "patch rollouts")
		eventually(t, "it is felt that there is no right to "+right, func() bool {
			s, err := b.Inspect(t.Context(), release)
			return err == nil && !s.Undo.Open && strings.Contains(s.Undo.Detail, "no right to patch rollouts.argoproj.io"+resource+" shop")
		})
	}
}
