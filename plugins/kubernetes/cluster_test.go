package kubernetes

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/plugins"
	"github.com/golive-dev/golive/plugins/plugintest"
)

// The tests of this file ask a real API server with real controllers: make e2e-kube. Their namespaces are their own,
// and are deleted. Everything is done with the rights of examples/kubernetes/role.yaml, if the kubeconfig has a context
// called deployer for a user deployer.
//
//	GOLIVE_KUBECONFIG           of the cluster; without it they skip
//	GOLIVE_E2E_IMAGE            name of an image with the tags v1 and v2, which serves HTTP on 8080 and answers /ready;
//	                            default: this very program, for a node whose pods are processes of this machine.
//	                            With an image no traffic is measured, since its pods cannot be reached from here.
//	GOLIVE_E2E_GATEWAY_CRD      file of the CRD HTTPRoute, and
//	GOLIVE_E2E_ROLLOUT_CRD      of the CRD Rollout, for a cluster that does not have them

const (
	podKey   = "GOLIVE_TEST_POD"   // a process with it is a pod of this version
	shiftKey = "GOLIVE_TEST_SHIFT" // a process with it does one Shift
)

var kit = plugins.Kit{Name: "kubernetes", Backends: Backends}

func TestMain(m *testing.M) {
	if version := os.Getenv(podKey); version != "" {
		bePod(version)
	}
	if text := os.Getenv(shiftKey); text != "" {
		shiftOnce(text)
	}
	plugintest.Main(m, kit)
}

// bePod says its version to everybody, is ready after a while, and goes on for a second after it was told to end, since
// not everybody has heard by then.
func bePod(version string) {
	began := time.Now()
	slow, _ := time.ParseDuration(os.Getenv("SLOW"))
	if os.Getenv("CRASH") != "" {
		os.Exit(3)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/ready", func(w http.ResponseWriter, _ *http.Request) {
		if time.Since(began) < slow {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, version) })
	server := &http.Server{Addr: os.Getenv("POD_IP") + ":8080", Handler: mux}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, func() {
		time.Sleep(time.Second)
		_ = server.Shutdown(context.Background())
	})
	err := server.ListenAndServe()
	fmt.Println(err)
	time.Sleep(100 * time.Millisecond)
	os.Exit(0)
}

// An errand is a Shift for another process to do.
type errand struct {
	Use     string
	With    guard.With
	Order   guard.Order
	Percent int
}

func shiftOnce(text string) {
	var e errand
	if err := json.Unmarshal([]byte(text), &e); err != nil {
		panic(err)
	}
	b, err := Backends[e.Use](e.With)
	if err == nil {
		err = b.Shift(context.Background(), e.Order, e.Percent)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// A world is a namespace of a cluster, which the test owns.
type world struct {
	admin      *cluster
	kubeconfig string
	context    string // whose rights the backend has
	inside     bool   // pods can be reached from here
}

func newWorld(t *testing.T) *world {
	t.Helper()
	path := os.Getenv("GOLIVE_KUBECONFIG")
	if path == "" {
		t.Skip("no cluster: make e2e-kube KUBECONFIG=FILE, with any cluster that you may fill with test namespaces")
	}
	w := &world{kubeconfig: path, inside: os.Getenv("GOLIVE_E2E_IMAGE") == ""}
	var err error
	if w.admin, err = (place{Kubeconfig: path, Namespace: fmt.Sprintf("golive-e2e-%x", rand.Uint32()), Timeout: guard.Duration(10 * time.Second)}).cluster(); err != nil {
		t.Fatal(err)
	}
	w.apply(t, "{apiVersion: v1, kind: Namespace, metadata: {name: "+w.admin.namespace+"}}")
	t.Cleanup(func() {
		_ = w.admin.client.Resource(kinds["Namespace"]).Delete(context.Background(), w.admin.namespace, metav1.DeleteOptions{})
	})
	config, err := clientcmd.LoadFromFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if config.Contexts["deployer"] != nil {
		w.context = "deployer"
		w.grant(t, "")
	}
	return w
}

// kinds are those that the tests make.
var kinds = map[string]schema.GroupVersionResource{
	"Namespace":                        {Version: "v1", Resource: "namespaces"},
	"Service":                          {Version: "v1", Resource: "services"},
	"Deployment":                       deployments,
	"ReplicaSet":                       replicaSets,
	"HorizontalPodAutoscaler":          autoscalers,
	"HTTPRoute":                        httpRoutes,
	"Rollout":                          rollouts,
	"Role":                             {Group: "rbac.authorization.k8s.io", Version: "v1", Resource: "roles"},
	"RoleBinding":                      {Group: "rbac.authorization.k8s.io", Version: "v1", Resource: "rolebindings"},
	"ValidatingAdmissionPolicy":        {Group: "admissionregistration.k8s.io", Version: "v1", Resource: "validatingadmissionpolicies"},
	"ValidatingAdmissionPolicyBinding": {Group: "admissionregistration.k8s.io", Version: "v1", Resource: "validatingadmissionpolicybindings"},
	"CustomResourceDefinition":         {Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"},
}

// everywhere are the kinds that are in no namespace.
var everywhere = []string{"Namespace", "CustomResourceDefinition", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"}

// apply creates or replaces objects, as admin.
func (w *world) apply(t *testing.T, text string) {
	t.Helper()
	for _, document := range strings.Split(text, "\n---\n") {
		object := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(document), &object.Object); err != nil {
			t.Fatalf("%v: %s", err, document)
		}
		kind, known := kinds[object.GetKind()]
		if !known {
			continue
		}
		if slices.Contains(everywhere, object.GetKind()) {
			if _, err := w.admin.client.Resource(kind).Create(t.Context(), object, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
				t.Fatal(err)
			}
			continue
		}
		object.SetNamespace(w.admin.namespace)
		if _, err := w.admin.in(kind).Apply(t.Context(), object.GetName(), object, metav1.ApplyOptions{FieldManager: "pipeline", Force: true}); err != nil {
			t.Fatal(err)
		}
	}
}

// grant gives the deployer the Role of the example, without the rules about a resource.
func (w *world) grant(t *testing.T, without string) {
	t.Helper()
	text, err := os.ReadFile("../../examples/kubernetes/role.yaml")
	if err != nil {
		t.Fatal(err)
	}
	role := &unstructured.Unstructured{}
	first, _, _ := strings.Cut(string(text), "\n---\n")
	if err := yaml.Unmarshal([]byte(first), &role.Object); err != nil {
		t.Fatal(err)
	}
	rules, _, err := unstructured.NestedSlice(role.Object, "rules")
	if err != nil {
		t.Fatal(err)
	}
	var kept []any
	for _, rule := range rules {
		resources, verbs := rule.(map[string]any)["resources"].([]any), rule.(map[string]any)["verbs"].([]any)
		for _, resource := range resources {
			for _, verb := range verbs {
				if fmt.Sprintf("%s %s", verb, resource) != without {
					kept = append(kept, map[string]any{"apiGroups": rule.(map[string]any)["apiGroups"], "resources": []any{resource}, "verbs": []any{verb}})
				}
			}
		}
	}
	rulesText, err := json.Marshal(kept)
	if err != nil {
		t.Fatal(err)
	}
	w.apply(t, `{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: golive}, rules: `+string(rulesText)+`}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: golive},
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: golive}, subjects: [{kind: User, apiGroup: rbac.authorization.k8s.io, name: deployer}]}`)
}

func (w *world) with(change ...any) guard.With {
	with := guard.With{"kubeconfig": w.kubeconfig, "context": w.context, "namespace": w.admin.namespace}
	for i := 0; i < len(change); i += 2 {
		with[change[i].(string)] = change[i+1]
	}
	return with
}

// template is that of a pod of a version. Env is pairs of names and values.
func template(version, labels string, env ...string) string {
	spec := fmt.Sprintf("name: shop, image: %q", cmp.Or(os.Getenv("GOLIVE_E2E_IMAGE"), "registry.shop.test/shop")+":"+version)
	if os.Getenv("GOLIVE_E2E_IMAGE") == "" {
		self, err := os.Executable()
		if err != nil {
			panic(err)
		}
		variables := fmt.Sprintf("{name: %s, value: %q}", podKey, version)
		for i := 0; i < len(env); i += 2 {
			variables += fmt.Sprintf(", {name: %s, value: %q}", env[i], env[i+1])
		}
		spec += fmt.Sprintf(", command: [%q], env: [%s]", self, variables)
	}
	return fmt.Sprintf(`{metadata: {labels: {%s}}, spec: {terminationGracePeriodSeconds: 5, containers: [
{%s, ports: [{containerPort: 8080}], readinessProbe: {periodSeconds: 1, httpGet: {path: /ready, port: 8080}}}]}}`, labels, spec)
}

// deploy makes a Deployment.
func (w *world) deploy(t *testing.T, name, version string, replicas int, env ...string) {
	t.Helper()
	labels := "app: shop, name: " + name
	w.apply(t, fmt.Sprintf(`{apiVersion: apps/v1, kind: Deployment, metadata: {name: %s}, spec: {replicas: %d, selector: {matchLabels: {%s}}, template: %s}}`,
		name, replicas, labels, template(version, labels, env...)))
}

// serve makes a Service before all pods, and returns its address.
func (w *world) serve(t *testing.T, name, selector string) string {
	t.Helper()
	w.apply(t, fmt.Sprintf(`{apiVersion: v1, kind: Service, metadata: {name: %s}, spec: {selector: {%s}, ports: [{name: http, port: 80, targetPort: 8080}]}}`, name, selector))
	service, err := w.admin.get(t.Context(), kinds["Service"], name)
	if err != nil {
		t.Fatal(err)
	}
	address, _, _ := unstructured.NestedString(service.Object, "spec", "clusterIP")
	return address
}

// patch changes an object as admin, like somebody who knows nothing of golive.
func (w *world) patch(t *testing.T, kind, name, patch string, part ...string) {
	t.Helper()
	if _, err := w.admin.in(kinds[kind]).Patch(t.Context(), name, types.MergePatchType, []byte(patch), metav1.PatchOptions{}, part...); err != nil {
		t.Fatal(err)
	}
}

// eventually waits for something to be true.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !is(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within a minute: %s", what)
		}
	}
}

func makeBackend(t *testing.T, use string, with guard.With) guard.Backend {
	t.Helper()
	return plugintest.Make(t, Backends[use], with)
}

func inspect(t *testing.T, b guard.Backend) guard.Standing {
	t.Helper()
	s, err := b.Inspect(t.Context(), release)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// shift moves the traffic, and says how long that took.
func shift(t *testing.T, b guard.Backend, seq int64, percent int) {
	t.Helper()
	began := time.Now()
	ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, errors.New("no more time"))
	defer cancel()
	if err := b.Shift(ctx, order(seq), percent); err != nil {
		t.Fatalf("Shift to %d%%: %v", percent, err)
	}
	t.Logf("Shift to %d%% took %v", percent, time.Since(began).Round(10*time.Millisecond))
}

func order(seq int64) guard.Order { return guard.Order{Release: release, Fence: 1, Seq: seq} }

// pair makes the two Deployments of the example and their Service, and returns its address.
func (w *world) pair(t *testing.T, replicas int, slow string) string {
	t.Helper()
	address := w.serve(t, "shop", "app: shop")
	w.deploy(t, "shop-v1", "v1", replicas)
	w.deploy(t, "shop-v2", "v2", 0, "SLOW", slow)
	b := makeBackend(t, "kubernetes-replicas", w.pairWith(replicas))
	eventually(t, "v1 serves", func() bool {
		s, err := b.Inspect(t.Context(), release)
		return err == nil && strings.Contains(s.Detail, fmt.Sprintf("shop-v1 %d of %d ready", replicas, replicas))
	})
	return address
}

func (w *world) pairWith(replicas int, change ...any) guard.With {
	return w.with(append([]any{"service", "shop", "canary", "shop-{{.To}}", "stable", "shop-{{.From}}", "replicas", replicas}, change...)...)
}
