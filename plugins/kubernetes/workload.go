package kubernetes

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/golive-dev/golive/guard"
)

// A naming is the part of a set-up that says how pods tell their version: by an image's tag, digest or whole
// reference, or by a label.
type naming struct {
	Container string `json:"container"` // whose image; default: the only one
	Label     string `json:"label"`     // of the pods, whose value is the version; then images tell nothing
}

func (n naming) check() error {
	if n.Container != "" && n.Label != "" {
		return errors.New("container, label: either tells the version; leave one out")
	}
	return nil
}

// image is the place in a template of the container whose image tells the version.
func (n naming) image(template *corev1.PodTemplateSpec) (int, error) {
	var names []string
	for i, c := range template.Spec.Containers {
		if c.Name == n.Container || n.Container == "" && len(template.Spec.Containers) == 1 {
			return i, nil
		}
		names = append(names, c.Name)
	}
	if n.Container == "" {
		return 0, fmt.Errorf("its pods have the containers %s: say with container which one tells the version", strings.Join(names, ", "))
	}
	return 0, fmt.Errorf("its pods have no container %s (there are: %s)", n.Container, strings.Join(names, ", "))
}

// runs says whether pods of a template are of a version.
func (n naming) runs(template *corev1.PodTemplateSpec, version string) (bool, error) {
	if n.Label != "" {
		return template.Labels[n.Label] == version && version != "", nil
	}
	i, err := n.image(template)
	if err != nil {
		return false, err
	}
	return version != "" && slices.Contains(imageNames(template.Spec.Containers[i].Image), version), nil
}

// told is what a template says of its version, for messages.
func (n naming) told(template *corev1.PodTemplateSpec) string {
	if n.Label != "" {
		return fmt.Sprintf("%s=%q", n.Label, template.Labels[n.Label])
	}
	if i, err := n.image(template); err == nil {
		return template.Spec.Containers[i].Image
	}
	return "no version"
}

// imageNames are the words by which an image can be meant: the whole reference, its tag, its digest.
func imageNames(image string) []string {
	names := []string{image}
	name, digest, digested := strings.Cut(image, "@")
	if digested {
		names = append(names, digest)
	}
	if _, tag, tagged := strings.Cut(name[strings.LastIndex(name, "/")+1:], ":"); tagged {
		names = append(names, tag)
	}
	return names
}

// A workload is a Deployment or a Rollout with what it has made: ReplicaSets, and their pods.
type workload struct {
	object *unstructured.Unstructured
	sets   []*set // the newest revision first
	pods   []pod
}

// A set is a ReplicaSet of a workload.
type set struct {
	appsv1.ReplicaSet
	revision int
	// The template as the server has it: with fields, too, that this program is too old to know.
	template map[string]any
}

// size is how many pods a set is asked for. Of no set that is none.
func (s *set) size() int {
	switch {
	case s == nil:
		return 0
	case s.Spec.Replicas == nil:
		return 1 // the API's default
	}
	return int(*s.Spec.Replicas)
}

// A pod is one that belongs to a set of a workload.
type pod struct {
	name  string
	set   *set
	ready bool // and not about to end
	state string
}

// workload reads one, and all that it owns.
func (c *cluster) workload(ctx context.Context, r schema.GroupVersionResource, name string) (w workload, err error) {
	if w.object, err = c.get(ctx, r, name); err != nil {
		return w, err
	}
	selects, err := selectorOf(w.object)
	if err != nil {
		return w, err
	}
	sets, err := c.list(ctx, replicaSets, selects)
	if err != nil {
		return w, err
	}
	owned := map[types.UID]*set{}
	for i := range sets {
		if owner := metav1.GetControllerOf(&sets[i]); owner == nil || owner.UID != w.object.GetUID() {
			continue
		}
		s := &set{}
		if s.ReplicaSet, err = as[appsv1.ReplicaSet](&sets[i]); err != nil {
			return w, err
		}
		if s.template, _, err = unstructured.NestedMap(sets[i].Object, "spec", "template"); err != nil {
			return w, err
		}
		s.revision = revisionOf(&s.ReplicaSet)
		owned[s.UID] = s
		w.sets = append(w.sets, s)
	}
	slices.SortFunc(w.sets, func(a, b *set) int {
		return cmp.Or(cmp.Compare(b.revision, a.revision), strings.Compare(a.Name, b.Name))
	})
	all, err := listAs[corev1.Pod](ctx, c, pods, selects)
	if err != nil {
		return w, err
	}
	for i := range all {
		if owner := metav1.GetControllerOf(&all[i]); owner != nil && owned[owner.UID] != nil {
			w.pods = append(w.pods, pod{all[i].Name, owned[owner.UID], isReady(&all[i]), stateOf(&all[i])})
		}
	}
	return w, nil
}

// selectorOf is the selector of a workload's pods.
func selectorOf(object *unstructured.Unstructured) (string, error) {
	labels, _, err := unstructured.NestedMap(object.Object, "spec", "selector")
	if err != nil || labels == nil {
		return "", fmt.Errorf("%s %s has no selector", object.GetKind(), object.GetName())
	}
	typed, err := as[metav1.LabelSelector](&unstructured.Unstructured{Object: labels})
	if err != nil {
		return "", err
	}
	return metav1.FormatLabelSelector(&typed), nil
}

// The annotations in which the controllers number the revisions.
var revisionKeys = []string{"deployment.kubernetes.io/revision", "rollout.argoproj.io/revision"}

func revisionOf(s *appsv1.ReplicaSet) (revision int) {
	for _, key := range revisionKeys {
		if n, err := strconv.Atoi(s.Annotations[key]); err == nil {
			revision = n
		}
	}
	return revision
}

func isReady(p *corev1.Pod) bool {
	return p.DeletionTimestamp == nil && slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

// stateOf says in a word or two what a pod is at: what keeps it from work, if anything does.
func stateOf(p *corev1.Pod) string {
	switch {
	case p.DeletionTimestamp != nil:
		return "ending"
	case isReady(p):
		return "ready"
	}
	for _, c := range p.Status.ContainerStatuses {
		if waiting := c.State.Waiting; waiting != nil && waiting.Reason != "" {
			return waiting.Reason
		}
	}
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse {
			return "not scheduled: " + c.Message
		}
	}
	return "not ready"
}

// template is the template of a workload's next pods.
func (w workload) template() (*corev1.PodTemplateSpec, error) {
	spec, found, err := unstructured.NestedMap(w.object.Object, "spec", "template")
	if err != nil || !found {
		return nil, fmt.Errorf("%s %s has no template of its own", w.object.GetKind(), w.object.GetName())
	}
	template, err := as[corev1.PodTemplateSpec](&unstructured.Unstructured{Object: spec})
	return &template, err
}

// newest is the newest ReplicaSet that runs a version; nil: there is none.
func (w workload) newest(n naming, version string) (*set, error) {
	for _, s := range w.sets {
		runs, err := n.runs(&s.Spec.Template, version)
		if err != nil {
			return nil, fmt.Errorf("ReplicaSet %s: %w", s.Name, err)
		}
		if runs {
			return s, nil
		}
	}
	return nil, nil
}

// replicas is how many pods the spec asks for: one if it does not say.
func (w workload) replicas() int {
	n, found, err := unstructured.NestedInt64(w.object.Object, "spec", "replicas")
	if err != nil || !found {
		return 1
	}
	return int(n)
}

// ready counts the ready pods.
func (w workload) ready() (n int) {
	for _, p := range w.pods {
		if p.ready {
			n++
		}
	}
	return n
}

// states says what each pod is at that is not ready.
func (w workload) states() string {
	var words []string
	for _, p := range w.pods {
		if !p.ready {
			words = append(words, p.name+": "+p.state)
		}
	}
	if len(words) == 0 {
		return ""
	}
	return " (" + strings.Join(words, ", ") + ")"
}

// caughtUp is an unsettled error while the controller has not looked at the newest spec of a workload.
func (w workload) caughtUp() error {
	observed, _, err := unstructured.NestedFieldNoCopy(w.object.Object, "status", "observedGeneration")
	seen, numeric := observed.(int64)
	if text, is := observed.(string); is { // Argo writes it as text
		if seen, err = strconv.ParseInt(text, 10, 64); err == nil {
			numeric = true
		}
	}
	if err != nil || !numeric || seen < w.object.GetGeneration() {
		return unsettled{fmt.Errorf("the controller of %s %s has not looked at its newest spec yet (generation %d, looked at %v), so the share is not known",
			w.object.GetKind(), w.object.GetName(), w.object.GetGeneration(), observed)}
	}
	return nil
}

// share is the share in percent that some of all have. A little is not nothing, and not quite all is not all.
func share(some, all int) int {
	if all == 0 {
		return 0
	}
	percent := (200*some + all) / (2 * all) // rounded
	if 0 < some && some < all {
		percent = min(max(percent, 1), 99)
	}
	return percent
}

// fillNames fills templates of names once, so that a slip of the pen is found before the launch.
func fillNames(names map[string]guard.Template) (mistakes []error) {
	for key, name := range names {
		filled, err := guard.Fill(name, guard.Release{From: "v1", To: "v2"}.Words())
		if err == nil && filled == "" {
			err = errors.New("missing")
		}
		if err != nil {
			mistakes = append(mistakes, fmt.Errorf("%s: %w", key, err))
		}
	}
	slices.SortFunc(mistakes, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return mistakes
}
