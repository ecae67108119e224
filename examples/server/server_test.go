// Package server_test tries what lies in this directory: rules, dashboards and the files with which a server is run.
package server_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/util/yaml"
	strict "sigs.k8s.io/yaml"

	"github.com/golive-dev/golive/plugins/plugintest"
)

const installPromtool = "apt-get install -y --no-install-recommends prometheus"

func TestRules(t *testing.T) {
	plugintest.Needs(t, "promtool", installPromtool)
	for _, args := range [][]string{{"check", "rules", "alerts.yaml"}, {"test", "rules", "alerts_test.yaml"}} {
		if out, err := exec.CommandContext(t.Context(), "promtool", args...).CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	rules, tests := read(t, "alerts.yaml"), read(t, "alerts_test.yaml")
	for _, name := range regexp.MustCompile(`alert: (\w+)`).FindAllStringSubmatch(rules, -1) {
		fires := regexp.MustCompile(`alertname: ` + name[1] + `\n +exp_alerts:\n`).MatchString(tests)
		if !fires || !strings.Contains(tests, "alertname: "+name[1]+", exp_alerts: []") {
			t.Errorf("no test has %s fire, or none has it be quiet", name[1])
		}
	}
}

// TestDashboard has Prometheus read each question of the dashboard.
func TestDashboard(t *testing.T) {
	plugintest.Needs(t, "promtool", installPromtool)
	var board struct {
		Panels []struct {
			ID      int
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal([]byte(read(t, "dashboard.json")), &board); err != nil {
		t.Fatal(err)
	}
	type rule struct {
		Record string `json:"record"`
		Expr   string `json:"expr"`
	}
	var rules []rule
	seen := map[int]bool{}
	for _, p := range board.Panels {
		if seen[p.ID] || p.Title == "" || len(p.Targets) == 0 {
			t.Errorf("panel %d (%s) has the number of another, no title or nothing to show", p.ID, p.Title)
		}
		seen[p.ID] = true
		for _, q := range p.Targets {
			rules = append(rules, rule{"panel", strings.NewReplacer("$__rate_interval", "5m", "$instance", ".*", "$service", ".*", "$environment", ".*").Replace(q.Expr)})
		}
	}
	text, err := json.Marshal(map[string]any{"groups": []any{map[string]any{"name": "dashboard", "rules": rules}}})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "rules.yaml")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), "promtool", "check", "rules", "--lint=none", file).CombinedOutput(); err != nil {
		t.Errorf("promtool: %v\n%s", err, out)
	}
}

// TestUnit has systemd read the unit, and say how much of the machine a golive that was taken over could reach.
func TestUnit(t *testing.T) {
	plugintest.Needs(t, "systemd-analyze", "apt-get install -y --no-install-recommends systemd")
	unit := filepath.Join(t.TempDir(), "golive.service")
	text := strings.Replace(read(t, "golive.service"), "/usr/local/bin/golive", "/bin/true", 1) // verify wants the program to be there
	if err := os.WriteFile(unit, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "systemd-analyze", "verify", unit).CombinedOutput()
	if err != nil || strings.Contains(string(out), "golive.service:") {
		t.Errorf("verify: %v\n%s", err, out)
	}
	const exposed = "--threshold=20" // 2.0 of 10
	if out, err := exec.CommandContext(t.Context(), "systemd-analyze", "security", "--offline=true", exposed, unit).CombinedOutput(); err != nil {
		t.Errorf("security: %v\n%s", err, out)
	}
}

func TestContainerfile(t *testing.T) {
	text := strings.ReplaceAll(read(t, "Containerfile"), "\\\n", " ")
	var user, from string
	stages := map[string]bool{"scratch": true}
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) == 0 || words[0][0] == '#' {
			continue
		}
		switch words[0] {
		case "ADD":
			t.Errorf("%s: COPY does what it says, and ADD more", strings.TrimSpace(line))
		case "FROM":
			from, user = words[1], ""
			if !stages[from] && !regexp.MustCompile(`:\d+\.\d+\.\d+\S*$|@sha256:[0-9a-f]{64}$`).MatchString(from) {
				t.Errorf("%s is another image tomorrow", from)
			}
			if len(words) == 4 {
				stages[words[3]] = true
			}
		case "USER":
			user = words[1]
		case "RUN":
			for _, dir := range regexp.MustCompile(`\./cmd/[\w-]+`).FindAllString(line, -1) {
				if _, err := os.Stat(filepath.Join("../..", dir)); err != nil {
					t.Error(err)
				}
			}
		}
	}
	if from != "scratch" {
		t.Errorf("it ends in %s, which brings more than golive", from)
	}
	if !regexp.MustCompile(`^[1-9]\d*:[1-9]\d*$`).MatchString(user) {
		t.Errorf("USER is %q; a number that is not 0 is what Kubernetes can check (runAsNonRoot)", user)
	}
	base := regexp.MustCompile(`FROM golang:(\S+?)-`).FindStringSubmatch(text)
	if needs := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindStringSubmatch(read(t, "../../go.mod")); base == nil || needs == nil || !strings.HasPrefix(base[1], needs[1]+".") {
		t.Errorf("the base is for Go %v, and go.mod wants %v", base, needs)
	}
}

// TestManifests reads the manifests as the types of Kubernetes, in which no word is unknown.
func TestManifests(t *testing.T) {
	for file, want := range map[string][]string{
		"kubernetes/sqlite.yaml":   {"PersistentVolumeClaim", "Deployment", "Service", "NetworkPolicy"},
		"kubernetes/postgres.yaml": {"Deployment", "PodDisruptionBudget", "Service", "NetworkPolicy"},
	} {
		t.Run(file, func(t *testing.T) {
			var kinds []string
			var deployment apps.Deployment
			var service core.Service
			var network networking.NetworkPolicy
			for documents := yaml.NewYAMLReader(newReader(read(t, file))); ; {
				document, err := documents.Read()
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
				var head struct{ APIVersion, Kind string }
				if err := strict.Unmarshal(document, &head); err != nil {
					t.Fatal(err)
				}
				kinds = append(kinds, head.Kind)
				into := map[string]any{
					"v1 PersistentVolumeClaim": &core.PersistentVolumeClaim{}, "apps/v1 Deployment": &deployment, "v1 Service": &service,
					"networking.k8s.io/v1 NetworkPolicy": &network, "policy/v1 PodDisruptionBudget": &policy.PodDisruptionBudget{},
				}[head.APIVersion+" "+head.Kind]
				if into == nil {
					t.Fatalf("%s %s is not known here", head.APIVersion, head.Kind)
				}
				if err := strict.UnmarshalStrict(document, into); err != nil {
					t.Errorf("%s: %v", head.Kind, err)
				}
			}
			if !slices.Equal(kinds, want) {
				t.Errorf("it has %v, want %v", kinds, want)
			}
			checkDeployment(t, deployment, service, network)
		})
	}
}

func checkDeployment(t *testing.T, d apps.Deployment, s core.Service, n networking.NetworkPolicy) {
	t.Helper()
	pod := d.Spec.Template.Spec
	c := pod.Containers[0]
	if claims := slices.ContainsFunc(pod.Volumes, func(v core.Volume) bool { return v.PersistentVolumeClaim != nil }); claims {
		if *d.Spec.Replicas != 1 || d.Spec.Strategy.Type != apps.RecreateDeploymentStrategyType {
			t.Error("two pods would want the one file of SQLite")
		}
	} else if *d.Spec.Replicas < 2 || !slices.ContainsFunc(c.Env, func(e core.EnvVar) bool { return e.Name == "GOLIVE_STORE" }) {
		t.Error("what it remembers is gone with its pod")
	}
	for name, selector := range map[string]map[string]string{
		"the deployment": d.Spec.Selector.MatchLabels, "the service": s.Spec.Selector, "the network policy": n.Spec.PodSelector.MatchLabels,
	} {
		for key, value := range selector {
			if d.Spec.Template.Labels[key] != value {
				t.Errorf("%s selects %s=%s, which the pod has not", name, key, value)
			}
		}
		if len(selector) == 0 {
			t.Errorf("%s selects everything", name)
		}
	}
	probes := map[string]*core.Probe{"/healthz": c.LivenessProbe, "/readyz": c.ReadinessProbe}
	for path, p := range probes {
		if p == nil || p.HTTPGet == nil || p.HTTPGet.Path != path || p.HTTPGet.Port.String() != c.Ports[0].Name {
			t.Errorf("no probe asks %s", path)
		}
	}
	if s.Spec.Ports[0].TargetPort.String() != c.Ports[0].Name {
		t.Error("the service goes to a port that the pod has not")
	}
	// The comments of the hooks' packages name this port.
	if s.Spec.Ports[0].Port != 8457 || c.Ports[0].ContainerPort != 8457 || !slices.Contains(c.Args, ":8457") {
		t.Errorf("golive listens in %v, and is at %d for the others", c.Args, s.Spec.Ports[0].Port)
	}
	var let []string
	for _, peer := range n.Spec.Ingress[0].From {
		let = append(let, peer.NamespaceSelector.MatchLabels["kubernetes.io/metadata.name"])
	}
	for _, tool := range []string{"flagger-system", "argo-rollouts", "argocd", "spinnaker", "monitoring"} {
		if !slices.Contains(let, tool) {
			t.Errorf("%s cannot reach it: only %v can", tool, let)
		}
	}
	for _, name := range []string{"GOLIVE_HOOK_SECRET", "GOLIVE_GITHUB_SECRET", "GOLIVE_GITHUB_APP_ID", "GOLIVE_GITHUB_APP_KEY"} {
		if !slices.ContainsFunc(c.Env, func(e core.EnvVar) bool {
			return e.Name == name && e.ValueFrom.SecretKeyRef.Optional != nil && *e.ValueFrom.SecretKeyRef.Optional
		}) {
			t.Errorf("it has no %s from a secret that may be missing", name)
		}
	}
	var volumes []string
	for _, v := range pod.Volumes {
		volumes = append(volumes, v.Name)
	}
	for _, m := range c.VolumeMounts {
		if !slices.Contains(volumes, m.Name) {
			t.Errorf("it mounts %s, which is no volume", m.Name)
		}
	}
	own := c.SecurityContext
	switch {
	case pod.SecurityContext == nil || !*pod.SecurityContext.RunAsNonRoot || pod.SecurityContext.SeccompProfile.Type != core.SeccompProfileTypeRuntimeDefault:
		t.Error("the pod may be root, or may call everything of the kernel")
	case own == nil || *own.AllowPrivilegeEscalation || !*own.ReadOnlyRootFilesystem || !slices.Equal(own.Capabilities.Drop, []core.Capability{"ALL"}):
		t.Error("the container may do more than the restricted profile allows")
	case pod.AutomountServiceAccountToken == nil || *pod.AutomountServiceAccountToken:
		t.Error("it has a token of the cluster that it does not need")
	case c.Resources.Limits.Memory().IsZero():
		t.Error("it may take all the memory of its machine")
	}
}

func newReader(text string) *bufio.Reader { return bufio.NewReader(strings.NewReader(text)) }

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n")))
}
