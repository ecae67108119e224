package kubernetes

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/plugins"
	"github.com/golive-dev/golive/plugins/plugintest"
)

// define makes a kind of object known, if the cluster does not know it.
func (w *world) define(t *testing.T, key string, kind schema.GroupVersionResource) {
	t.Helper()
	if file := os.Getenv(key); file != "" {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, document := range strings.Split(string(text), "\n---\n") {
			w.apply(t, document)
		}
	} else if _, err := w.admin.list(t.Context(), kind, ""); err != nil {
		t.Skipf("the cluster has no %s, and %s names no file with the CRD: make e2e-kube sets it", kind.Resource, key)
	}
	eventually(t, "the API server knows "+kind.Resource, func() bool {
		_, err := w.admin.list(t.Context(), kind, "")
		return err == nil
	})
}

// A gatekeeper stands in for the controller of a gateway: it accepts routes, and says so in their status. There is no
// real one here, so that nothing is said about traffic.
type gatekeeper struct {
	idle    atomic.Bool
	refuses atomic.Bool
}

func newGatekeeper(t *testing.T, w *world) *gatekeeper {
	g := &gatekeeper{}
	ctx, stop := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() {
		for ctx.Err() == nil {
			time.Sleep(30 * time.Millisecond)
			route, err := w.admin.get(ctx, httpRoutes, "shop")
			if err != nil || g.idle.Load() || accepted(route) == nil && !g.refuses.Load() {
				continue
			}
			resolved := "True"
			if g.refuses.Load() {
				resolved = "False"
			}
			condition := func(kind, status string) string {
				return fmt.Sprintf(`{"type": %q, "status": %q, "observedGeneration": %d, "reason": "Test", "message": "a test", "lastTransitionTime": %q}`,
					kind, status, route.GetGeneration(), time.Now().UTC().Format(time.RFC3339))
			}
			patch := fmt.Sprintf(`{"status": {"parents": [{"controllerName": "golive.test/gatekeeper", "parentRef": {"name": "edge"}, "conditions": [%s, %s]}]}}`,
				condition("Accepted", "True"), condition("ResolvedRefs", resolved))
			_, _ = w.admin.in(httpRoutes).Patch(ctx, "shop", types.MergePatchType, []byte(patch), metav1.PatchOptions{}, "status") // it is tried again
		}
	})
	t.Cleanup(func() { stop(); work.Wait() })
	return g
}

func (w *world) route(t *testing.T) *gatekeeper {
	t.Helper()
	w.define(t, "GOLIVE_E2E_GATEWAY_CRD", httpRoutes)
	w.serve(t, "shop-v1", "name: shop-v1")
	w.serve(t, "shop-v2", "name: shop-v2")
	w.deploy(t, "shop-v1", "v1", 1)
	w.deploy(t, "shop-v2", "v2", 1)
	w.apply(t, `{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {name: shop}, spec: {parentRefs: [{name: edge}], rules: [
{matches: [{path: {type: PathPrefix, value: /admin}}], backendRefs: [{name: shop-v1, port: 80}]},
{backendRefs: [{name: shop-v1, port: 80, weight: 1}, {name: shop-v2, port: 80, weight: 0}]}]}}`)
	g := newGatekeeper(t, w)
	b := makeBackend(t, "kubernetes-gateway", w.routeWith())
	eventually(t, "the way back is open", func() bool { s, err := b.Inspect(t.Context(), release); return err == nil && s.Undo.Open })
	return g
}

func (w *world) routeWith(change ...any) guard.With {
	return w.with(append([]any{"route", "shop", "canary", "shop-{{.To}}", "stable", "shop-{{.From}}"}, change...)...)
}

func TestClusterGateway(t *testing.T) {
	plugintest.Both(t, kit, func(t *testing.T, kit plugins.Kit) {
		w := newWorld(t)
		w.route(t)
		b := plugintest.Make(t, kit.Backends["kubernetes-gateway"], w.routeWith())
		plugintest.Backend(t, b, plugintest.BackendCase{Shares: []int{1, 10, 33, 50, 99}, Fenced: true})
	})
}

// Other people write the same route all the time. What is theirs stays theirs, and what is ours arrives.
func TestClusterConflicts(t *testing.T) {
	w := newWorld(t)
	w.route(t)
	b := makeBackend(t, "kubernetes-gateway", w.routeWith())
	ctx, stop := context.WithCancel(t.Context())
	var others sync.WaitGroup
	var written atomic.Int64
	for i := range 3 {
		others.Go(func() {
			for ; ctx.Err() == nil; time.Sleep(50 * time.Millisecond) {
				patch := fmt.Sprintf(`{"metadata": {"labels": {"other-%d": "n%d"}}}`, i, written.Load())
				if _, err := w.admin.in(httpRoutes).Patch(ctx, "shop", types.MergePatchType, []byte(patch), metav1.PatchOptions{FieldManager: "other"}); err == nil {
					written.Add(1)
				}
			}
		})
	}
	before := func() *unstructured.Unstructured {
		object, err := w.admin.get(t.Context(), httpRoutes, "shop")
		if err != nil {
			t.Fatal(err)
		}
		return object
	}()
	for seq := range 20 {
		shift(t, b, int64(seq+1), 5*seq)
	}
	stop()
	others.Wait()
	after, err := w.admin.get(t.Context(), httpRoutes, "shop")
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("others wrote %d times meanwhile", written.Load())
	for i := range 3 {
		if after.GetLabels()[fmt.Sprintf("other-%d", i)] == "" {
			t.Errorf("the label of another writer is gone: %v", after.GetLabels())
		}
	}
	// Of the spec nothing has changed but two weights.
	for _, object := range []*unstructured.Unstructured{before, after} {
		rules, _, err := unstructured.NestedSlice(object.Object, "spec", "rules")
		if err != nil {
			t.Fatal(err)
		}
		for _, ref := range rules[1].(map[string]any)["backendRefs"].([]any) {
			delete(ref.(map[string]any), "weight")
		}
		if err := unstructured.SetNestedSlice(object.Object, rules, "spec", "rules"); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := fmt.Sprint(after.Object["spec"]), fmt.Sprint(before.Object["spec"]); got != want {
		t.Errorf("more than the weights has changed:\n%s\n%s", got, want)
	}
}

// Two golives race for one route: the newer order stands, whoever comes last.
func TestClusterTwoOwners(t *testing.T) {
	w := newWorld(t)
	w.route(t)
	b := makeBackend(t, "kubernetes-gateway", w.routeWith())
	var both sync.WaitGroup
	for _, owner := range []struct{ fence, percent int }{{1, 80}, {2, 0}} {
		both.Go(func() {
			for seq := range 15 {
				o := guard.Order{Release: release, Fence: int64(owner.fence), Seq: int64(seq)}
				if err := b.Shift(t.Context(), o, owner.percent); err != nil && owner.fence == 2 {
					t.Errorf("the newer owner: %v", err)
				}
			}
		})
	}
	both.Wait()
	if s := inspect(t, b); s.Percent != 0 {
		t.Errorf("%+v", s)
	}
}

func TestClusterGatewayDrift(t *testing.T) {
	w := newWorld(t)
	g := w.route(t)
	b := makeBackend(t, "kubernetes-gateway", w.routeWith())
	shift(t, b, 1, 10)
	w.apply(t, `{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {name: shop}, spec: {parentRefs: [{name: edge}], rules: [
{backendRefs: [{name: shop-v1, port: 80, weight: 1}, {name: shop-v2, port: 80, weight: 3}]}]}}`)
	if s := inspect(t, b); s.Percent != 75 || !strings.Contains(s.Detail, "not weights that golive set") {
		t.Errorf("after somebody set weights: %+v", s)
	}
	shift(t, b, 2, 10)
	if s := inspect(t, b); s.Percent != 10 || strings.Contains(s.Detail, "not weights") {
		t.Errorf("after setting it right: %+v", s)
	}
	w.apply(t, `{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {name: shop}, spec: {parentRefs: [{name: edge}], rules: [
{backendRefs: [{name: shop-v1, port: 80, weight: 60}, {name: other, port: 80, weight: 1}, {name: shop-v2, port: 80, weight: 40}]}]}}`)
	if err := b.Shift(t.Context(), order(3), 20); err == nil || !strings.Contains(err.Error(), "a third backend with a weight, other") {
		t.Errorf("Shift beside a third: %v", err)
	}
	shift(t, b, 4, 0)
	w.apply(t, `{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {name: shop}, spec: {parentRefs: [{name: edge}], rules: [
{backendRefs: [{name: shop-v1, port: 80, weight: 90}, {name: shop-v2, port: 80, weight: 10}]}]}}`)
	g.idle.Store(true)
	w.patch(t, "HTTPRoute", "shop", `{"spec": {"hostnames": ["shop.test"]}}`)
	if s, err := b.Inspect(t.Context(), release); err == nil || !strings.Contains(err.Error(), "edge has not looked at generation") {
		t.Errorf("with a gateway that is behind: %+v, %v", s, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if err := b.Shift(ctx, order(5), 0); err == nil || !strings.Contains(err.Error(), "edge has not looked at generation") {
		t.Errorf("Shift with a gateway that is behind: %v", err)
	}
	g.idle.Store(false)
	g.refuses.Store(true)
	eventually(t, "the gateway refuses", func() bool {
		_, err := b.Inspect(t.Context(), release)
		return err != nil && strings.Contains(err.Error(), "ResolvedRefs is False: Test: a test")
	})
	g.refuses.Store(false)
	eventually(t, "the gateway accepts", func() bool { _, err := b.Inspect(t.Context(), release); return err == nil })
	shift(t, b, 5, 0)
	// Somebody sets other weights while a gateway takes its time.
	g.idle.Store(true)
	done := make(chan error)
	go func() { done <- b.Shift(t.Context(), order(6), 30) }()
	weights := func(canary int) {
		w.apply(t, fmt.Sprintf(`{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {name: shop}, spec: {parentRefs: [{name: edge}], rules: [
{backendRefs: [{name: shop-v1, port: 80, weight: %d}, {name: shop-v2, port: 80, weight: %d}]}]}}`, 100-canary, canary))
	}
	eventually(t, "the weights are set", func() bool {
		object, err := w.admin.get(t.Context(), httpRoutes, "shop")
		return err == nil && strings.Contains(fmt.Sprint(object.Object["spec"]), "weight:30")
	})
	weights(60)
	g.idle.Store(false)
	if err := <-done; err == nil || !strings.Contains(err.Error(), "somebody has changed them since: rule 0: weights 60 and 40") {
		t.Errorf("somebody was faster: %v", err)
	}
	shift(t, b, 7, 0)
	// Nobody is there to go back to.
	w.patch(t, "Deployment", "shop-v1", `{"spec": {"replicas": 0}}`)
	eventually(t, "the way back is closed", func() bool {
		s, err := b.Inspect(t.Context(), release)
		return err == nil && !s.Undo.Open && strings.Contains(s.Undo.Detail, "the Service shop-v1 of v1 has no ready endpoint")
	})
}

func TestClusterGatewayRights(t *testing.T) {
	w := newWorld(t)
	if w.context == "" {
		t.Skip("the kubeconfig has no context deployer, of a user deployer without rights")
	}
	w.route(t)
	b := makeBackend(t, "kubernetes-gateway", w.routeWith())
	w.grant(t, "patch httproutes")
	eventually(t, "it is felt", func() bool {
		s, err := b.Inspect(t.Context(), release)
		return err == nil && !s.Undo.Open && strings.Contains(s.Undo.Detail, "no right to patch httproutes.gateway.networking.k8s.io shop")
	})
	if err := b.Shift(t.Context(), order(1), 50); err == nil || !strings.Contains(err.Error(), `cannot patch resource "httproutes"`) {
		t.Errorf("Shift: %v", err)
	}
	for _, right := range []string{"get httproutes", "list endpointslices"} {
		w.grant(t, right)
		verb, resource, _ := strings.Cut(right, " ")
		eventually(t, "it is felt that there is no right to "+right, func() bool {
			_, err := b.Inspect(t.Context(), release)
			return err != nil && strings.Contains(err.Error(), fmt.Sprintf("cannot %s resource %q", verb, resource))
		})
	}
}
