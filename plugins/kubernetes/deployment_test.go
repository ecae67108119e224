package kubernetes

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/plugins"
	"github.com/golive-dev/golive/plugins/plugintest"
)

// single makes a Deployment of three pods that runs v1, behind a Service, and returns its address.
func (w *world) single(t *testing.T) string {
	t.Helper()
	address := w.serve(t, "shop", "app: shop")
	w.deploy(t, "shop", "v1", 3)
	w.rests(t, "v1")
	return address
}

// rests waits until all three pods are of a version.
func (w *world) rests(t *testing.T, version string) {
	t.Helper()
	b := &Deployment{cluster: w.admin, deployment: "shop"}
	eventually(t, "all pods are of "+version, func() bool {
		missing, err := b.missing(t.Context(), version)
		return err == nil && missing == ""
	})
}

func (w *world) singleWith(change ...any) guard.With {
	return w.with(append([]any{"deployment", "shop", "image", cmp.Or(os.Getenv("GOLIVE_E2E_IMAGE"), "registry.shop.test/shop") + ":{{.To}}"}, change...)...)
}

func TestClusterDeployment(t *testing.T) {
	plugintest.Both(t, kit, func(t *testing.T, kit plugins.Kit) {
		w := newWorld(t)
		w.single(t)
		b := plugintest.Make(t, kit.Backends["kubernetes-deployment"], w.singleWith())
		plugintest.Backend(t, b, plugintest.BackendCase{Fenced: true})
	})
}

// The way back is to what the pods of the old version were, whatever else has changed in the template.
func TestClusterDeploymentAtTheClients(t *testing.T) {
	w := newWorld(t)
	if !w.inside {
		t.Skip("the pods of this cluster cannot be reached from here")
	}
	address := w.single(t)
	w.deploy(t, "shop", "v2", 3, "MORE", "yes") // a pipeline brings v2
	w.rests(t, "v2")
	b := makeBackend(t, "kubernetes-deployment", w.singleWith())
	if s := inspect(t, b); s.Percent != 100 || !s.Undo.Open {
		t.Errorf("after the pipeline: %+v", s)
	}
	for seq, percent := range []int{0, 100, 0} {
		shift(t, b, int64(seq), percent)
		want := map[int]string{0: "v1", 100: "v2"}[percent]
		for range 200 {
			if version, err := plugintest.Visit(address); err != nil || version != want {
				t.Fatalf("at %d%% answers %q, %v", percent, version, err)
			}
		}
	}
	object, err := w.admin.get(t.Context(), deployments, "shop")
	if err != nil {
		t.Fatal(err)
	}
	if text := fmt.Sprint(object.Object["spec"]); strings.Contains(text, "MORE") || strings.Contains(text, "pod-template-hash") {
		t.Errorf("after the way back: %s", text)
	}
}

// kubectl apply starts from what was applied last, which is the bad version: it is said, and it is true.
func TestClusterLastApplied(t *testing.T) {
	kubectl, err := exec.LookPath("kubectl")
	if err != nil {
		t.Skip("kubectl is not installed: apt-get install kubernetes-client")
	}
	w := newWorld(t)
	apply := func(version string) {
		file := filepath.Join(t.TempDir(), "shop.yaml")
		text := "---\n" + `{apiVersion: apps/v1, kind: Deployment, metadata: {name: shop}, spec: {replicas: 3, selector: {matchLabels: {app: shop}}, template: ` + template(version, "app: shop") + `}}`
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command(kubectl, "--kubeconfig", w.kubeconfig, "--namespace", w.admin.namespace, "apply", "-f", file).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		w.rests(t, version)
	}
	apply("v1")
	b := makeBackend(t, "kubernetes-deployment", w.singleWith())
	if s := inspect(t, b); s.Percent != 0 || strings.Contains(s.Detail, "apply") {
		t.Errorf("at first: %+v", s)
	}
	apply("v2")
	if s := inspect(t, b); s.Percent != 100 || !strings.Contains(s.Detail, "kubectl applied v2 last") {
		t.Errorf("with v2: %+v", s)
	}
	shift(t, b, 1, 0)
	if s := inspect(t, b); s.Percent != 0 || !strings.Contains(s.Detail, "correct the file first") {
		t.Errorf("after the way back: %+v", s)
	}
	apply("v2")
	if s := inspect(t, b); s.Percent != 100 {
		t.Errorf("after another apply: %+v", s)
	}
}

// A version that does not come up is told, and gone back from.
func TestClusterDeploymentNotReady(t *testing.T) {
	w := newWorld(t)
	if !w.inside {
		t.Skip("the image cannot be made to crash")
	}
	w.single(t)
	w.deploy(t, "shop", "v2", 3, "CRASH", "yes")
	b := makeBackend(t, "kubernetes-deployment", w.singleWith())
	ctx, cancel := context.WithTimeoutCause(t.Context(), 4*time.Second, errors.New("no more time"))
	defer cancel()
	err := b.Shift(ctx, order(1), 100)
	if err == nil || !strings.Contains(err.Error(), "0 of 3 pods of the Deployment shop run v2") || !strings.Contains(err.Error(), "CrashLoopBackOff") {
		t.Errorf("Shift: %v", err)
	}
	if s := inspect(t, b); s.Percent != 0 || !s.Undo.Open {
		t.Errorf("%+v", s)
	}
	shift(t, b, 2, 0)
	// Drift: somebody brings another version.
	w.deploy(t, "shop", "v9", 3)
	eventually(t, "another version is seen", func() bool {
		_, err := b.Inspect(t.Context(), release)
		return err != nil && strings.Contains(err.Error(), "shop:v9, which is neither v2 nor")
	})
}

func TestClusterDeploymentWayBack(t *testing.T) {
	w := newWorld(t)
	w.single(t)
	b := makeBackend(t, "kubernetes-deployment", w.singleWith())
	for name, c := range map[string]struct{ patch, undo, want string }{
		"paused":     {`{"spec": {"paused": true}}`, `{"spec": {"paused": false}}`, "the Deployment shop is paused"},
		"no history": {`{"spec": {"revisionHistoryLimit": 0}}`, `{"spec": {"revisionHistoryLimit": 5}}`, "revisionHistoryLimit of the Deployment shop is 0"},
	} {
		w.patch(t, "Deployment", "shop", c.patch)
		if s := inspect(t, b); s.Undo.Open || !strings.Contains(s.Undo.Detail, c.want) {
			t.Errorf("%s: %+v", name, s)
		}
		w.patch(t, "Deployment", "shop", c.undo)
	}
	if err := b.Shift(t.Context(), order(1), 50); err == nil || !strings.Contains(err.Error(), "50% cannot be had of one Deployment") {
		t.Errorf("Shift to 50%%: %v", err)
	}
	if err := makeBackend(t, "kubernetes-deployment", w.singleWith("image", "registry.shop.test/shop:latest")).Shift(t.Context(), order(1), 100); err == nil || !strings.Contains(err.Error(), "does not tell that it is v2") {
		t.Errorf("an image without its version: %v", err)
	}
	with := w.singleWith()
	delete(with, "image")
	if err := makeBackend(t, "kubernetes-deployment", with).Shift(t.Context(), order(1), 100); err == nil || !strings.Contains(err.Error(), "bring it there first") {
		t.Errorf("nobody has brought v2: %v", err)
	}
	other := release
	other.From, other.To = "v0", "v1"
	if s, err := b.Inspect(t.Context(), other); err != nil || s.Percent != 100 || s.Undo.Open || !strings.Contains(s.Undo.Detail, "no ReplicaSet of the Deployment shop runs v0 any more") {
		t.Errorf("back to what is no more: %+v, %v", s, err)
	}
	first := guard.Release{ID: "r1", Service: "shop", To: "v1"}
	if s, err := b.Inspect(t.Context(), first); err != nil || s.Undo.Open || s.Percent != 100 {
		t.Errorf("the first release: %+v, %v", s, err)
	}
	if w.context == "" {
		return
	}
	w.grant(t, "patch deployments")
	eventually(t, "the way back is closed", func() bool {
		s, err := b.Inspect(t.Context(), release)
		return err == nil && !s.Undo.Open && strings.Contains(s.Undo.Detail, "no right to patch deployments.apps shop in the namespace "+w.admin.namespace)
	})
}
