package kubernetes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/plugins"
	"github.com/golive-dev/golive/plugins/plugintest"
)

func TestClusterReplicas(t *testing.T) {
	plugintest.Both(t, kit, func(t *testing.T, kit plugins.Kit) {
		w := newWorld(t)
		w.pair(t, 4, "")
		plugintest.Backend(t, plugintest.Make(t, kit.Backends["kubernetes-replicas"], w.pairWith(4)), plugintest.BackendCase{Fenced: true})
	})
}

// The clients get what was asked for.
func TestClusterSharesAtTheClients(t *testing.T) {
	const replicas = 10
	w := newWorld(t)
	if !w.inside {
		t.Skip("the pods of this cluster cannot be reached from here")
	}
	address := w.pair(t, replicas, "")
	b := makeBackend(t, "kubernetes-replicas", w.pairWith(replicas))
	seq := int64(0)
	plugintest.Shares(t, []int{0, 10, 30, 50, 90, 100}, func(percent int) {
		seq++
		shift(t, b, seq, percent)
	}, func() (bool, error) {
		version, err := plugintest.Visit(address)
		return version == "v2", err
	})
}

// A way back in the middle of load loses nothing, and afterwards nobody meets the new version any more.
func TestClusterRollbackUnderLoad(t *testing.T) {
	w := newWorld(t)
	if !w.inside {
		t.Skip("the pods of this cluster cannot be reached from here")
	}
	address := w.pair(t, 4, "")
	b := makeBackend(t, "kubernetes-replicas", w.pairWith(4))
	shift(t, b, 1, 50)
	var asked, failed, late atomic.Int64
	var back, stop atomic.Bool
	var load sync.WaitGroup
	for range 4 {
		load.Go(func() {
			for !stop.Load() {
				after := back.Load()
				asked.Add(1)
				version, err := plugintest.Visit(address)
				if err != nil {
					failed.Add(1)
					t.Log(err)
				}
				if after && version != "v1" {
					late.Add(1)
				}
			}
		})
	}
	for seq, percent := range []int{75, 25, 100, 0} {
		time.Sleep(300 * time.Millisecond)
		shift(t, b, int64(seq+2), percent)
	}
	back.Store(true)
	time.Sleep(500 * time.Millisecond)
	stop.Store(true)
	load.Wait()
	t.Logf("%d requests, %d failed, %d met v2 after the way back", asked.Load(), failed.Load(), late.Load())
	if failed.Load() > 0 || asked.Load() < 200 {
		t.Errorf("%d of %d requests failed", failed.Load(), asked.Load())
	}
	if late.Load() > 0 {
		t.Errorf("%d requests met v2 after the way back", late.Load())
	}
}

// Killed at some point of a Shift, it ends right the next time.
func TestClusterKilled(t *testing.T) {
	w := newWorld(t)
	w.pair(t, 4, "2s")
	b := makeBackend(t, "kubernetes-replicas", w.pairWith(4))
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for i, percent := range []int{75, 0, 50, 100, 25} {
		fence := int64(10 * (i + 1))
		text, err := json.Marshal(errand{"kubernetes-replicas", w.pairWith(4), guard.Order{Release: release, Fence: fence, Seq: 9}, percent})
		if err != nil {
			t.Fatal(err)
		}
		child := exec.Command(self)
		child.Env = append(os.Environ(), shiftKey+"="+string(text))
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		// It has begun when its order is noted; how far it comes after that is left to chance.
		eventually(t, "the order is noted", func() bool {
			object, err := w.admin.get(t.Context(), deployments, "shop-v1")
			return err == nil && object.GetAnnotations()[orderKey] == fmt.Sprintf("%d.9", fence)
		})
		time.Sleep(time.Duration(i) * 150 * time.Millisecond)
		if err := child.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		if state, _ := child.Process.Wait(); state.Exited() {
			t.Logf("to %d%%: it had ended already", percent)
		}
		t.Logf("killed on the way to %d%%: %s", percent, detail(b))
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := b.Shift(ctx, guard.Order{Release: release, Fence: fence + 1, Seq: 1}, percent); err != nil {
			t.Fatal(err)
		}
		if s := inspect(t, b); s.Percent != percent || !s.Undo.Open || strings.Contains(s.Detail, "not the 4 replicas") {
			t.Errorf("to %d%%: %+v", percent, s)
		}
		if err := b.Shift(ctx, guard.Order{Release: release, Fence: fence, Seq: 9}, 100-percent); err == nil || !strings.Contains(err.Error(), "older") {
			t.Errorf("the order of the one who was killed, after that of the next one: %v", err)
		}
	}
}

func detail(b guard.Backend) string {
	s, err := b.Inspect(context.Background(), release)
	if err != nil {
		return err.Error()
	}
	return s.Detail
}

// Whoever else scales is seen.
func TestClusterDrift(t *testing.T) {
	w := newWorld(t)
	w.pair(t, 4, "")
	b := makeBackend(t, "kubernetes-replicas", w.pairWith(4))
	shift(t, b, 1, 25)
	w.patch(t, "Deployment", "shop-v2", `{"spec": {"replicas": 3}}`)
	eventually(t, "a share of 50%", func() bool {
		s, err := b.Inspect(t.Context(), release)
		return err == nil && s.Percent == 50 && strings.Contains(s.Detail, "not the 4 replicas of the plan")
	})
	shift(t, b, 2, 25)
	if s := inspect(t, b); s.Percent != 25 || strings.Contains(s.Detail, "not the 4") {
		t.Errorf("after setting it right: %+v", s)
	}
	// Another version in the place of the new one.
	w.deploy(t, "shop-v2", "v3", 1)
	if s, err := b.Inspect(t.Context(), release); err == nil || !strings.Contains(err.Error(), "shop:v3, and not v2") {
		t.Errorf("with another version: %+v, %v", s, err)
	}
	if err := b.Shift(t.Context(), order(3), 25); err == nil || !strings.Contains(err.Error(), "shop:v3, and not v2") {
		t.Errorf("Shift of another version: %v", err)
	}
	shift(t, b, 4, 0) // whatever it is, it can be taken back
	w.deploy(t, "shop-v2", "v2", 1)
	// Pods of neither version in the Service.
	w.deploy(t, "stranger", "v1", 1)
	eventually(t, "the stranger is seen", func() bool {
		_, err := b.Inspect(t.Context(), release)
		return err != nil && strings.Contains(err.Error(), "neither shop-v2 nor shop-v1")
	})
	if err := b.Shift(t.Context(), order(5), 50); err == nil || !strings.Contains(err.Error(), "neither shop-v2 nor shop-v1") {
		t.Errorf("Shift beside a stranger: %v", err)
	}
	shift(t, b, 6, 0)
}

// Pods that do not become ready get no traffic, take none away, and do not stand in the way of the way back.
func TestClusterNotReady(t *testing.T) {
	w := newWorld(t)
	if !w.inside {
		t.Skip("the image cannot be made to crash")
	}
	w.pair(t, 4, "")
	w.deploy(t, "shop-v2", "v2", 0, "CRASH", "yes")
	b := makeBackend(t, "kubernetes-replicas", w.pairWith(4))
	ctx, cancel := context.WithTimeoutCause(t.Context(), 4*time.Second, errors.New("no more time"))
	defer cancel()
	err := b.Shift(ctx, order(1), 50)
	if err == nil || !strings.Contains(err.Error(), "no more time") || !strings.Contains(err.Error(), "shop-v2 has 0 ready endpoints of 2") || !strings.Contains(err.Error(), "CrashLoopBackOff") {
		t.Errorf("Shift to pods that crash: %v", err)
	}
	if s := inspect(t, b); s.Percent != 0 || !s.Undo.Open || !strings.Contains(s.Detail, "shop-v1 4 of 4 ready") {
		t.Errorf("%+v", s)
	}
	shift(t, b, 2, 0)
}

// Without a right that it needs, it says which, and never that all is well.
func TestClusterRights(t *testing.T) {
	w := newWorld(t)
	if w.context == "" {
		t.Skip("the kubeconfig has no context deployer, of a user deployer without rights")
	}
	w.pair(t, 2, "")
	b := makeBackend(t, "kubernetes-replicas", w.pairWith(2))
	for _, right := range []string{"get deployments", "patch deployments", "list replicasets", "list pods", "list endpointslices", "list horizontalpodautoscalers"} {
		verb, resource, _ := strings.Cut(right, " ")
		w.grant(t, right)
		var s guard.Standing
		var err error
		eventually(t, "it is felt that there is no right to "+right, func() bool {
			s, err = b.Inspect(t.Context(), release)
			return err != nil || !s.Undo.Open
		})
		said := s.Undo.Detail
		if err != nil {
			said = err.Error()
		}
		if !strings.Contains(said, verb) || !strings.Contains(said, resource) {
			t.Errorf("without the right to %s: %s", right, said)
		}
		if verb == "patch" {
			if err := b.Shift(t.Context(), order(1), 50); err == nil || !strings.Contains(err.Error(), "cannot patch resource \"deployments\"") {
				t.Errorf("Shift without the right to %s: %v", right, err)
			}
		}
		t.Logf("without the right to %s: %s", right, said)
	}
	w.grant(t, "")
	eventually(t, "the way back is open", func() bool { s, err := b.Inspect(t.Context(), release); return err == nil && s.Undo.Open })
}

// A right is not enough: somebody else may refuse what it is used for. The server is asked with the very change.
func TestClusterRefused(t *testing.T) {
	w := newWorld(t)
	w.pair(t, 2, "")
	b := makeBackend(t, "kubernetes-replicas", w.pairWith(2))
	if s := inspect(t, b); !s.Undo.Open {
		t.Fatalf("%+v", s)
	}
	for _, kind := range []string{"ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"} {
		t.Cleanup(func() {
			_ = w.admin.client.Resource(kinds[kind]).Delete(context.Background(), w.admin.namespace, metav1.DeleteOptions{})
		})
	}
	w.apply(t, fmt.Sprintf(`{apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingAdmissionPolicy, metadata: {name: %[1]s}, spec: {failurePolicy: Fail,
matchConstraints: {namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: %[1]s}}, resourceRules: [{apiGroups: [apps], apiVersions: [v1], operations: [UPDATE], resources: [deployments]}]},
validations: [{expression: "object.metadata.name != 'shop-v1'", message: "shop-v1 is frozen until Monday"}]}}
---
{apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingAdmissionPolicyBinding, metadata: {name: %[1]s}, spec: {policyName: %[1]s, validationActions: [Deny]}}`, w.admin.namespace))
	eventually(t, "the way back is closed", func() bool {
		s, err := b.Inspect(t.Context(), release)
		return err == nil && !s.Undo.Open && strings.Contains(s.Undo.Detail, "shop-v1 is frozen until Monday")
	})
	t.Log(inspect(t, b).Undo.Detail)
}

func TestClusterAutoscaler(t *testing.T) {
	w := newWorld(t)
	w.pair(t, 2, "")
	w.apply(t, `{apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, metadata: {name: more}, spec: {minReplicas: 1, maxReplicas: 5, scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: shop-v1}}}`)
	b := makeBackend(t, "kubernetes-replicas", w.pairWith(2))
	if s := inspect(t, b); s.Undo.Open || !strings.Contains(s.Undo.Detail, "the HorizontalPodAutoscaler more scales shop-v1 too") {
		t.Errorf("%+v", s)
	}
	if err := b.Shift(t.Context(), order(1), 50); err == nil || !strings.Contains(err.Error(), "autoscaler: ignore") {
		t.Errorf("Shift: %v", err)
	}
	shift(t, b, 2, 0) // the way back does not wait for it
	b = makeBackend(t, "kubernetes-replicas", w.pairWith(2, "autoscaler", "ignore"))
	if s := inspect(t, b); !s.Undo.Open {
		t.Errorf("told to ignore it: %+v", s)
	}
}

func TestClusterTrouble(t *testing.T) {
	w := newWorld(t)
	w.pair(t, 2, "")
	for name, c := range map[string]struct {
		change []any
		want   string
	}{
		"no such Service":    {[]any{"service", "other"}, "the Service other has no EndpointSlice"},
		"no such Deployment": {[]any{"canary", "shop-v3"}, `deployments.apps "shop-v3" not found`},
		"no such container":  {[]any{"container", "app"}, "no container app"},
		"by another label":   {[]any{"label", "name"}, `name="shop-v`},
	} {
		if _, err := makeBackend(t, "kubernetes-replicas", w.pairWith(2, c.change...)).Inspect(t.Context(), release); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	b := makeBackend(t, "kubernetes-replicas", w.pairWith(2))
	if err := b.Shift(t.Context(), order(1), 10); err == nil || !strings.Contains(err.Error(), "10% cannot be had of 2 pods, only [50 100]") {
		t.Errorf("Shift to 10%%: %v", err)
	}
	first := guard.Release{ID: "r1", Service: "shop", To: "v2"}
	if s, err := makeBackend(t, "kubernetes-replicas", w.pairWith(2, "stable", "shop-v1")).Inspect(t.Context(), first); err != nil || s.Undo.Open || s.Percent != 0 {
		t.Errorf("the first release: %+v, %v", s, err)
	}
}

// The API server is gone in the middle of a Shift, and back again.
func TestClusterServerGone(t *testing.T) {
	w := newWorld(t)
	w.pair(t, 2, "3s")
	wire := newWire(t, w)
	with := w.pairWith(2, "kubeconfig", wire.kubeconfig, "timeout", "2s")
	b := makeBackend(t, "kubernetes-replicas", with)
	time.AfterFunc(time.Second, wire.cut)
	began := time.Now()
	err := b.Shift(t.Context(), order(1), 50)
	if err == nil || !strings.Contains(err.Error(), "kubernetes at https://"+wire.address) {
		t.Errorf("Shift: %v", err)
	}
	t.Logf("Shift after %v: %v", time.Since(began).Round(10*time.Millisecond), err)
	if _, err := b.Inspect(t.Context(), release); err == nil || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("Inspect: %v", err)
	}
	wire.mend(t)
	shift(t, b, 1, 50)
	if s := inspect(t, b); s.Percent != 50 {
		t.Errorf("%+v", s)
	}
	// One that hangs is given up after the timeout.
	wire.hang.Store(true)
	wire.cut()
	wire.mend(t)
	began = time.Now()
	if _, err := b.Inspect(t.Context(), release); err == nil || time.Since(began) > 20*time.Second {
		t.Errorf("Inspect of a server that hangs, after %v: %v", time.Since(began), err)
	}
}

// A wire leads to the API server, until it is cut.
type wire struct {
	address, server, kubeconfig string
	hang                        atomic.Bool

	mu       sync.Mutex
	listener net.Listener
	open     []net.Conn
}

func newWire(t *testing.T, w *world) *wire {
	t.Helper()
	config, err := clientcmd.LoadFromFile(w.kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	name := config.CurrentContext
	if w.context != "" {
		name = w.context
	}
	cluster := config.Clusters[config.Contexts[name].Cluster]
	server, err := url.Parse(cluster.Server)
	if err != nil {
		t.Fatal(err)
	}
	v := &wire{address: "127.0.0.1:0", server: server.Host}
	v.mend(t)
	if !cluster.InsecureSkipTLSVerify {
		cluster.TLSServerName = server.Hostname()
	}
	cluster.Server = "https://" + v.address
	v.kubeconfig = filepath.Join(t.TempDir(), "config")
	if err := clientcmd.WriteToFile(*config, v.kubeconfig); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.cut)
	return v
}

func (v *wire) cut() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.listener.Close()
	for _, c := range v.open {
		c.Close()
	}
	v.open = nil
}

func (v *wire) mend(t *testing.T) {
	t.Helper()
	v.mu.Lock()
	defer v.mu.Unlock()
	l, err := net.Listen("tcp", v.address)
	if err != nil {
		t.Fatal(err)
	}
	v.listener, v.address = l, l.Addr().String()
	go func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			v.mu.Lock()
			v.open = append(v.open, near)
			v.mu.Unlock()
			if v.hang.Load() {
				continue
			}
			far, err := net.Dial("tcp", v.server)
			if err != nil {
				near.Close()
				continue
			}
			go func() { _, _ = near.(*net.TCPConn).ReadFrom(far); near.Close() }()
			go func() { _, _ = far.(*net.TCPConn).ReadFrom(near); far.Close() }()
		}
	}()
}
