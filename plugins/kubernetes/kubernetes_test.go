package kubernetes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/dynamic/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/golive-dev/golive/guard"
)

// What follows needs no cluster. Everything else is in cluster_test.go, and runs on a real API server.

var release = guard.Release{ID: "r1", Service: "shop", Environment: "test", From: "v1", To: "v2"}

func TestMistakes(t *testing.T) {
	t.Setenv("HOME", t.TempDir())
	t.Setenv("KUBECONFIG", "")
	kubeconfig := writeKubeconfig(t, "https://127.0.0.1:1")
	broken := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(broken, []byte("users: [{name: a, user: {token: s3cret"), 0o600); err != nil {
		t.Fatal(err)
	}
	pair := guard.With{"service": "shop", "canary": "shop-{{.To}}", "stable": "shop-{{.From}}", "replicas": 4, "kubeconfig": kubeconfig}
	for name, c := range map[string]struct {
		use  string
		with guard.With
		want []string
	}{
		"nothing is said":     {"kubernetes-replicas", guard.With{"kubeconfig": kubeconfig}, []string{"canary: missing", "service: missing", "stable: missing", "replicas: missing"}},
		"nothing of a route":  {"kubernetes-gateway", guard.With{"kubeconfig": kubeconfig}, []string{"route: missing", "canary: missing", "stable: missing"}},
		"no Deployment":       {"kubernetes-deployment", guard.With{"kubeconfig": kubeconfig}, []string{"deployment: missing"}},
		"no Rollout":          {"argo-rollouts", guard.With{"kubeconfig": kubeconfig}, []string{"rollout: missing"}},
		"a slip of the pen":   {"argo-rollouts", guard.With{"kubeconfig": kubeconfig, "rolout": "shop"}, []string{"rolout: there is no such key (did you mean rollout?)"}},
		"an unknown word":     {"kubernetes-replicas", changed(pair, "canary", "shop-{{.Version}}"), []string{"canary: {{.Version}} means nothing here"}},
		"a word of no choice": {"kubernetes-replicas", changed(pair, "autoscaler", "maybe"), []string{`autoscaler: "maybe" is neither refuse nor ignore`}},
		"two ways to tell":    {"kubernetes-replicas", guard.With{"service": "shop", "canary": "a", "stable": "b", "replicas": 4, "kubeconfig": kubeconfig, "container": "app", "label": "version"}, []string{"container, label: either tells"}},
		"no time":             {"kubernetes-replicas", changed(pair, "timeout", "0s"), []string{"timeout: must be longer than nothing"}},
		"no kubeconfig":       {"kubernetes-replicas", changed(pair, "kubeconfig", ""), []string{"kubeconfig: missing"}},
		"no such kubeconfig":  {"kubernetes-replicas", changed(pair, "kubeconfig", "/nowhere/config"), []string{"kubeconfig: ", "/nowhere/config"}},
		"no such context":     {"kubernetes-replicas", changed(pair, "context", "elsewhere"), []string{"kubeconfig: ", "elsewhere"}},
		"half a kubeconfig":   {"kubernetes-replicas", changed(pair, "kubeconfig", broken), []string{"kubeconfig: "}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Backends[c.use](c.with)
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%v\nwant %q", err, want)
				}
			}
			if strings.Contains(err.Error(), "s3cret") {
				t.Errorf("the error tells a secret: %v", err)
			}
		})
	}
	for _, use := range []string{"kubernetes-replicas", "kubernetes-gateway"} {
		with := guard.With{"service": "shop", "route": "shop", "canary": "same", "stable": "same", "replicas": 4, "kubeconfig": kubeconfig}
		if use == "kubernetes-gateway" {
			delete(with, "service")
			delete(with, "replicas")
		} else {
			delete(with, "route")
		}
		b, err := Backends[use](with)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.Inspect(t.Context(), release); err == nil {
			t.Errorf("%s: canary and stable are the same, and Inspect has an answer", use)
		}
	}
}

func changed(with guard.With, key string, value any) guard.With {
	other := guard.With{key: value}
	for k, v := range with {
		if k != key {
			other[k] = v
		}
	}
	return other
}

func writeKubeconfig(t *testing.T, server string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config")
	text := fmt.Sprintf(`{apiVersion: v1, kind: Config, clusters: [{name: c, cluster: {server: %q, insecure-skip-tls-verify: true}}],
users: [{name: u, user: {token: s3cret}}], contexts: [{name: x, context: {cluster: c, user: u, namespace: shop}}], current-context: x}`, server)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// In a pod of the cluster nothing has to be said.
func TestAccountOfAPod(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"token": "t", "ca.crt": "c", "namespace": "shop\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	config, namespace, err := place{}.credentials(dir)
	if err != nil || namespace != "shop" || config.Host != "https://kubernetes.default.svc" || config.BearerTokenFile != filepath.Join(dir, "token") {
		t.Errorf("%+v, %q, %v", config, namespace, err)
	}
	config, namespace, err = place{Kubeconfig: writeKubeconfig(t, "https://127.0.0.1:1")}.credentials(dir)
	if err != nil || namespace != "shop" || config.Host != "https://127.0.0.1:1" {
		t.Errorf("with a kubeconfig: %+v, %q, %v", config, namespace, err)
	}
}

func TestImageNames(t *testing.T) {
	for image, want := range map[string][]string{
		"shop":                                 nil,
		"shop:v2":                              {"v2"},
		"registry.test:5000/shop":              nil,
		"registry.test:5000/team/shop:v2":      {"v2"},
		"registry.test/shop@sha256:ab":         {"sha256:ab"},
		"registry.test/shop:v2@sha256:ab":      {"sha256:ab", "v2"},
		"registry.test:5000/shop:1.2-rc.1_b-3": {"1.2-rc.1_b-3"},
	} {
		if got := imageNames(image); !slices.Equal(got, append([]string{image}, want...)) {
			t.Errorf("%s: %q", image, got)
		}
	}
}

func TestNaming(t *testing.T) {
	one := &corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"version": "v1"}},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "shop:v2"}}}}
	two := one.DeepCopy()
	two.Spec.Containers = append(two.Spec.Containers, corev1.Container{Name: "proxy", Image: "proxy:v1"})
	for name, c := range map[string]struct {
		naming   naming
		template *corev1.PodTemplateSpec
		version  string
		want     bool
		err      string
	}{
		"tag":                    {naming{}, one, "v2", true, ""},
		"another tag":            {naming{}, one, "v1", false, ""},
		"label":                  {naming{Label: "version"}, one, "v1", true, ""},
		"label, not image":       {naming{Label: "version"}, one, "v2", false, ""},
		"no such label":          {naming{Label: "other"}, one, "", false, ""},
		"no version":             {naming{}, one, "", false, ""},
		"which container":        {naming{}, two, "v2", false, "app, proxy: say with container which"},
		"this container":         {naming{Container: "app"}, two, "v2", true, ""},
		"not the other one":      {naming{Container: "app"}, two, "v1", false, ""},
		"no such container":      {naming{Container: "web"}, two, "v1", false, "no container web (there are: app, proxy)"},
		"nor where there is one": {naming{Container: "web"}, one, "v1", false, "no container web (there are: app)"},
	} {
		got, err := c.naming.runs(c.template, c.version)
		if got != c.want || (c.err == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

func TestShare(t *testing.T) {
	for _, c := range [][3]int{{0, 4, 0}, {1, 4, 25}, {4, 4, 100}, {1, 3, 33}, {2, 3, 67}, {1, 1000, 1}, {999, 1000, 99}, {0, 0, 0}} {
		if got := share(c[0], c[1]); got != c[2] {
			t.Errorf("%d of %d are %d%%, want %d%%", c[0], c[1], got, c[2])
		}
	}
	for total := 1; total <= 300; total++ {
		b := &Replicas{total: total}
		possible := b.shares()
		for percent := range 101 {
			n, can := b.pods(percent)
			if wants := percent == 0 || possible == nil || slices.Contains(possible, percent); can != wants {
				t.Errorf("%d%% of %d pods: %d pods, possible %v, and the shares are %v", percent, total, n, can, possible)
			}
			if can && share(n, total) != percent {
				t.Errorf("%d%% of %d pods: %d pods are %d%%", percent, total, n, share(n, total))
			}
		}
	}
}

// deploymentObject is a small Deployment.
func deploymentObject(annotations map[string]any) *unstructured.Unstructured {
	metadata := map[string]any{"name": "shop", "namespace": "shop", "resourceVersion": "1"}
	if annotations != nil {
		metadata["annotations"] = annotations
	}
	return &unstructured.Unstructured{Object: map[string]any{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata,
		"spec": map[string]any{"replicas": int64(3)}}}
}

func fakeCluster(object *unstructured.Unstructured) (*cluster, *fake.FakeDynamicClient) {
	client := fake.NewSimpleDynamicClient(runtime.NewScheme(), object)
	return &cluster{client: client, host: "fake", namespace: "shop"}, client
}

// A change that lost a race is made anew from what is there then, and not sent again as it was.
func TestConflict(t *testing.T) {
	c, client := fakeCluster(deploymentObject(nil))
	conflicts := 3
	client.PrependReactor("patch", "deployments", func(action clienttesting.Action) (bool, runtime.Object, error) {
		if conflicts == 0 {
			return false, nil, nil
		}
		conflicts--
		return true, nil, apierrors.NewConflict(deployments.GroupResource(), "shop", errors.New("it was changed"))
	})
	made := 0
	object, err := c.obey(t.Context(), target{deployments, "shop", ""}, guard.Order{Fence: 7, Seq: 2}, func(object *unstructured.Unstructured) ([]operation, error) {
		made++
		return scale(5)(object)
	})
	if err != nil || made != 4 {
		t.Fatalf("made %d times, %v", made, err)
	}
	if n, _, _ := unstructured.NestedInt64(object.Object, "spec", "replicas"); n != 5 || object.GetAnnotations()[orderKey] != "7.2" {
		t.Errorf("%v", object.Object)
	}
	var sent []operation
	for _, action := range client.Actions() {
		if patch, is := action.(clienttesting.PatchAction); is {
			if err := json.Unmarshal(patch.GetPatch(), &sent); err != nil {
				t.Fatal(err)
			}
		}
	}
	var paths []string
	for _, o := range sent {
		paths = append(paths, o.Path)
	}
	if want := []string{"/metadata/annotations", "/spec/replicas", "/metadata/resourceVersion"}; !slices.Equal(paths, want) {
		t.Errorf("the patch has %q, want nothing but %q", paths, want)
	}

	conflicts = mostTries + 1
	if _, err := c.obey(t.Context(), target{deployments, "shop", ""}, guard.Order{Fence: 7, Seq: 3}, scale(6)); !apierrors.IsConflict(err) {
		t.Errorf("without end: %v", err)
	}
	conflicts = mostTries + 1
	ctx, cancel := context.WithTimeoutCause(t.Context(), 50*time.Millisecond, errors.New("no more time"))
	defer cancel()
	if _, err := c.obey(ctx, target{deployments, "shop", ""}, guard.Order{Fence: 7, Seq: 3}, scale(6)); err == nil || !strings.Contains(err.Error(), "no more time") {
		t.Errorf("given up: %v", err)
	}
}

func TestOrders(t *testing.T) {
	for name, c := range map[string]struct {
		seen string
		o    guard.Order
		want string
	}{
		"first":          {"", guard.Order{Fence: 1, Seq: 1}, ""},
		"next":           {"7.2", guard.Order{Fence: 7, Seq: 3}, ""},
		"again":          {"7.2", guard.Order{Fence: 7, Seq: 2}, ""},
		"next owner":     {"7.200", guard.Order{Fence: 8, Seq: 1}, ""},
		"late":           {"7.2", guard.Order{Fence: 7, Seq: 1}, "older: 7.1"},
		"an older owner": {"7.2", guard.Order{Fence: 6, Seq: 300}, "older: 6.300"},
		"no number":      {"soon", guard.Order{Fence: 7, Seq: 2}, `is "soon"`},
		"too much":       {"7.2.1", guard.Order{Fence: 7, Seq: 2}, `is "7.2.1"`},
	} {
		annotations := map[string]any{"other": "kept"}
		if c.seen != "" {
			annotations[orderKey] = c.seen
		}
		cluster, _ := fakeCluster(deploymentObject(annotations))
		object, err := cluster.obey(t.Context(), target{deployments, "shop", ""}, c.o, scale(1))
		if c.want != "" {
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := object.GetAnnotations(); got[orderKey] != (mark{c.o.Fence, c.o.Seq}).String() || got["other"] != "kept" {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// routeOf is an HTTPRoute with these rules, accepted at a generation.
func routeOf(t *testing.T, rules string, parents string) *unstructured.Unstructured {
	t.Helper()
	var object map[string]any
	text := `{"kind": "HTTPRoute", "metadata": {"name": "shop", "generation": 2}, "spec": {"rules": ` + rules + `}, "status": {"parents": ` + parents + `}}`
	if err := json.Unmarshal([]byte(text), &object); err != nil {
		t.Fatal(err)
	}
	object["metadata"].(map[string]any)["generation"] = int64(2)
	return &unstructured.Unstructured{Object: object}
}

func TestForks(t *testing.T) {
	both := `{"name": "all", "backendRefs": [{"name": "shop-v1", "weight": %d}, {"name": "shop-v2", "weight": %d}]}`
	rule := func(stable, canary int) string { return fmt.Sprintf(both, stable, canary) }
	for name, c := range map[string]struct {
		rule, rules string
		percent     int
		detail, err string
	}{
		"set by golive":     {"", "[" + rule(90, 10) + "]", 10, "rule 0: weights 10 and 90", ""},
		"other weights":     {"", "[" + rule(3, 1) + "]", 25, "not weights that golive set", ""},
		"no weights":        {"", `[{"backendRefs": [{"name": "shop-v1"}, {"name": "shop-v2"}]}]`, 50, "weights 1 and 1", ""},
		"both nothing":      {"", "[" + rule(0, 0) + "]", 0, "answers with errors only", ""},
		"one of the rules":  {"", `[{"backendRefs": [{"name": "shop-v1"}]}, ` + rule(60, 40) + "]", 40, "rule 1: weights 40 and 60", ""},
		"by name":           {"all", `[{"name": "x", "backendRefs": [{"name": "shop-v1"}, {"name": "shop-v2"}]}, ` + rule(60, 40) + "]", 40, "rule 1: weights 40 and 60", ""},
		"rules disagree":    {"", "[" + rule(100, 0) + "," + rule(0, 100) + "]", 99, "the rules disagree", ""},
		"one rule is back":  {"", "[" + rule(100, 0) + "," + rule(90, 10) + "]", 10, "the rules disagree", ""},
		"no rule":           {"", `[{"backendRefs": [{"name": "shop-v1"}]}]`, 0, "", "no rule with both shop-v2 and shop-v1"},
		"no such rule":      {"none", "[" + rule(1, 1) + "]", 0, "", "no rule called none"},
		"not in this rule":  {"x", `[{"name": "x", "backendRefs": [{"name": "shop-v1"}]}]`, 0, "", "rule x of HTTPRoute shop does not have both"},
		"a third":           {"", `[{"backendRefs": [{"name": "shop-v1"}, {"name": "shop-v2"}, {"name": "old", "weight": 1}]}]`, 0, "", "third backend with a weight, old"},
		"an idle third":     {"", `[{"backendRefs": [{"name": "old", "weight": 0}, {"name": "shop-v1"}, {"name": "shop-v2"}]}]`, 50, "", ""},
		"another namespace": {"", `[{"backendRefs": [{"name": "shop-v1"}, {"name": "shop-v2", "namespace": "x"}]}]`, 0, "", "no rule with both"},
		"another kind":      {"", `[{"backendRefs": [{"name": "shop-v1"}, {"name": "shop-v2", "kind": "ServiceImport", "group": "multicluster.x-k8s.io"}]}]`, 0, "", "no rule with both"},
	} {
		t.Run(name, func(t *testing.T) {
			b := &Gateway{cluster: &cluster{namespace: "shop"}, route: "shop", rule: c.rule, canary: "shop-{{.To}}", stable: "shop-{{.From}}"}
			forks, err := b.forks(routeOf(t, c.rules, "[]"), release, true)
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Errorf("%v, want %q", err, c.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if lenient, err := b.forks(routeOf(t, c.rules, "[]"), release, false); err != nil || len(lenient) != len(forks) {
				t.Errorf("on the way back: %v, %v", lenient, err)
			}
			if percent, detail := percentOf(forks); percent != c.percent || !strings.Contains(detail, c.detail) {
				t.Errorf("%d%%, %q", percent, detail)
			}
		})
	}
}

func TestAccepted(t *testing.T) {
	condition := func(kind, status string, generation int) string {
		return fmt.Sprintf(`{"type": %q, "status": %q, "observedGeneration": %d, "reason": "R", "message": "M"}`, kind, status, generation)
	}
	parent := func(conditions ...string) string {
		return `{"parentRef": {"name": "edge"}, "conditions": [` + strings.Join(conditions, ",") + `]}`
	}
	good := parent(condition("Accepted", "True", 2), condition("ResolvedRefs", "True", 2))
	for name, c := range map[string]struct {
		parents, want string
		waits         bool
	}{
		"all is well":        {"[" + good + "]", "", false},
		"nobody":             {"[]", "no gateway has said anything", true},
		"an old generation":  {"[" + parent(condition("Accepted", "True", 2), condition("ResolvedRefs", "True", 1)) + "]", "edge has not looked at generation 2", true},
		"a word is missing":  {"[" + parent(condition("Accepted", "True", 2)) + "]", "(ResolvedRefs)", true},
		"one of two gateway": {"[" + good + "," + parent() + "]", "has not looked", true},
		"refused":            {"[" + parent(condition("Accepted", "True", 2), condition("ResolvedRefs", "False", 2)) + "]", "ResolvedRefs is False: R: M", false},
	} {
		err := accepted(routeOf(t, "[]", c.parents))
		change := unsettled{}
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) || errors.As(err, &change) != c.waits {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCaughtUp(t *testing.T) {
	for name, c := range map[string]struct {
		observed any
		good     bool
	}{
		"a Deployment":           {int64(3), true},
		"one that is behind":     {int64(2), false},
		"a Rollout":              {"3", true},
		"one of these, behind":   {"2", false},
		"a word":                 {"soon", false},
		"no controller so far":   {nil, false},
		"a number of a stranger": {3.0, false},
	} {
		object := map[string]any{"kind": "Deployment", "metadata": map[string]any{"name": "shop", "generation": int64(3)}, "status": map[string]any{}}
		if c.observed != nil {
			object["status"].(map[string]any)["observedGeneration"] = c.observed
		}
		err := workload{object: &unstructured.Unstructured{Object: object}}.caughtUp()
		if change := (unsettled{}); (err == nil) != c.good || err != nil && !errors.As(err, &change) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What Argo shows, and what it means.
func TestCourse(t *testing.T) {
	steps := func(text string) (all []step) {
		if err := json.Unmarshal([]byte(text), &all); err != nil {
			t.Fatal(err)
		}
		return all
	}
	all := steps(`[{"pause": {}}, {"setWeight": 5}, {"pause": {}}, {"setWeight": 20}, {"pause": {"duration": "1m"}}, {"setWeight": 50}, {"pause": {}}, {"setWeight": 70}]`)
	c := course{steps: all}
	if got := c.shares(); !slices.Equal(got, []int{5, 50, 100}) {
		t.Errorf("shares %v", got)
	}
	if i, found := c.find(50); !found || i != 5 {
		t.Errorf("50%% is step %d, %v", i, found)
	}
	for _, percent := range []int{20, 70, 100} {
		if i, found := c.find(percent); found {
			t.Errorf("%d%% is step %d, and Argo would not rest there", percent, i)
		}
	}
	for at, want := range map[int]int{0: -1, 1: -1, 2: 1, 4: -1, 6: 5, 8: -1} {
		c.status.CurrentStepIndex = &at
		i, rests := c.at()
		if !rests {
			i = -1
		}
		if i != want {
			t.Errorf("at step %d the weight is that of step %d, want %d", at, i, want)
		}
	}

	set := func(hash, image string) *set {
		s := &set{}
		s.Labels = map[string]string{argoHash: hash}
		s.Spec.Template.Spec.Containers = []corev1.Container{{Name: "app", Image: "shop:" + image}}
		return s
	}
	from, to := set("aaa", "v1"), set("bbb", "v2")
	ready := []pod{{"p1", from, true, "ready"}, {"p2", to, true, "ready"}}
	weights := func(text string) (status argoStatus) {
		if err := json.Unmarshal([]byte(text), &status); err != nil {
			t.Fatal(err)
		}
		return status
	}
	object := &unstructured.Unstructured{Object: map[string]any{"kind": "Rollout", "metadata": map[string]any{"name": "shop"}}}
	b := &Rollout{rollout: "shop"}
	for name, c := range map[string]struct {
		status  string
		pods    []pod
		routed  bool
		percent int
		err     string
	}{
		"routed":                 {`{"stableRS": "aaa", "currentPodHash": "bbb", "canary": {"weights": {"canary": {"weight": 5, "podTemplateHash": "bbb"}, "stable": {"weight": 95, "podTemplateHash": "aaa"}}}}`, ready, true, 5, ""},
		"verified":               {`{"stableRS": "aaa", "currentPodHash": "bbb", "canary": {"weights": {"canary": {"weight": 5, "podTemplateHash": "bbb"}, "stable": {"weight": 95, "podTemplateHash": "aaa"}, "verified": true}}}`, ready, true, 5, ""},
		"not verified":           {`{"stableRS": "aaa", "currentPodHash": "bbb", "canary": {"weights": {"canary": {"weight": 0, "podTemplateHash": "bbb"}, "stable": {"weight": 100, "podTemplateHash": "aaa"}, "verified": false}}}`, ready, true, 0, "verified is false"},
		"aborted, and not back":  {`{"abort": true, "stableRS": "aaa", "currentPodHash": "bbb", "canary": {"weights": {"canary": {"weight": 7, "podTemplateHash": "bbb"}, "stable": {"weight": 93, "podTemplateHash": "aaa"}}}}`, ready, true, 7, ""},
		"promoted":               {`{"stableRS": "bbb", "currentPodHash": "bbb", "canary": {"weights": {"canary": {"weight": 0, "podTemplateHash": "bbb"}, "stable": {"weight": 100, "podTemplateHash": "bbb"}}}}`, ready[1:], true, 100, ""},
		"undone in part":         {`{"stableRS": "bbb", "currentPodHash": "aaa", "canary": {"weights": {"canary": {"weight": 30, "podTemplateHash": "aaa"}, "stable": {"weight": 70, "podTemplateHash": "bbb"}}}}`, ready, true, 70, ""},
		"weights of max 1000":    {`{"stableRS": "aaa", "currentPodHash": "bbb", "canary": {"weights": {"canary": {"weight": 50, "podTemplateHash": "bbb"}, "stable": {"weight": 950, "podTemplateHash": "aaa"}}}}`, ready, true, 5, ""},
		"routed, and no word":    {`{"stableRS": "aaa", "currentPodHash": "bbb"}`, ready, true, 0, "does not say with which weights"},
		"by pods":                {`{"stableRS": "aaa", "currentPodHash": "bbb"}`, ready, false, 50, ""},
		"a weight of whole pods": {`{"stableRS": "aaa", "currentPodHash": "bbb", "currentStepIndex": 2}`, ready, false, 5, ""},
		"and one too many":       {`{"stableRS": "aaa", "currentPodHash": "bbb", "currentStepIndex": 2}`, append(ready[:1:1], pod{"p2", to, true, "ready"}, pod{"p3", to, true, "ready"}), false, 67, ""},
		"nobody is ready":        {`{"stableRS": "aaa", "currentPodHash": "bbb"}`, nil, false, 0, "no ready pod"},
	} {
		t.Run(name, func(t *testing.T) {
			got, detail, err := b.percent(course{workload: workload{object: object, pods: c.pods}, routed: c.routed, steps: all, status: weights(c.status), next: "v2", from: from, to: to}, release)
			if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) || got != c.percent {
				t.Errorf("%d%%, %q, %v", got, detail, err)
			}
		})
	}
}

// The example is a plan of a set-up that is taken, and so are the other ways that its comments name.
func TestExample(t *testing.T) {
	const file = "../../examples/kubernetes/golive.yaml"
	source, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := guard.ParsePlan(file, source)
	if err != nil {
		t.Fatal(err)
	}
	parts := []guard.Part{plan.Rollout.Backend}
	for line := range strings.Lines(string(source)) {
		if other, found := strings.CutPrefix(strings.TrimSpace(line), "#   {"); found {
			var part guard.Part
			if err := yaml.Unmarshal([]byte("{"+other), &part); err != nil {
				t.Fatalf("%v: %s", err, other)
			}
			parts = append(parts, part)
		}
	}
	used := map[string]bool{}
	for _, part := range parts {
		used[part.Use] = true
		part.With["kubeconfig"] = writeKubeconfig(t, "https://127.0.0.1:1")
		if _, err := Backends[part.Use](part.With); err != nil {
			t.Errorf("%s: %v", part.Use, err)
		}
	}
	if len(used) != len(Backends) {
		t.Errorf("the example shows %v, and there are %d backends", used, len(Backends))
	}
}
