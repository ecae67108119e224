package kubernetes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/golive-dev/golive/guard"
)

// Deployment gives one Deployment the new version or the old one, all or nothing.
type Deployment struct {
	*cluster
	naming     naming
	deployment string
	image      guard.Template
}

var (
	_ guard.Backend = (*Deployment)(nil)
	_ guard.Fencer  = (*Deployment)(nil)
)

// NewDeployment reads {deployment, image, container, label, kubeconfig, context, namespace, timeout}. Deployment is its
// name. Image is the image of a version, like registry.test/shop:{{.To}}, for the way there when the Deployment has no
// ReplicaSet of the new version yet; without it somebody else has to bring it, by kubectl apply for one. Container is
// the one whose image it is. A version is told by the tag, the digest or the whole reference of that image, or by the
// label of the pods.
//
// The way back is that of kubectl rollout undo: the template of the newest ReplicaSet of the old version. Like that it
// does not touch the annotation from which the next kubectl apply starts, nor any file in Git: whoever applies again
// what was applied last brings the new version back.
func NewDeployment(with guard.With) (guard.Backend, error) {
	config := struct {
		place
		naming
		Deployment string         `json:"deployment"`
		Image      guard.Template `json:"image"`
	}{place: somewhere}
	mistakes := []error{with.Decode(&config), config.naming.check()}
	mistakes = append(mistakes, fillNames(map[string]guard.Template{"deployment": guard.Template(config.Deployment)})...)
	if config.Image != "" {
		mistakes = append(mistakes, fillNames(map[string]guard.Template{"image": config.Image})...)
	}
	cluster, err := config.cluster()
	if err := errors.Join(append(mistakes, err)...); err != nil {
		return nil, err
	}
	return &Deployment{cluster, config.naming, config.Deployment, config.Image}, nil
}

// Inspect counts the ready pods of both versions. In the midst of a Shift that is any share; else 0 or 100.
func (b *Deployment) Inspect(ctx context.Context, r guard.Release) (guard.Standing, error) {
	w, err := settled(ctx, func() (workload, error) { return b.read(ctx) })
	if err != nil {
		return guard.Standing{}, err
	}
	to, all, err := countReady(w, b.naming, r)
	if err != nil {
		return guard.Standing{}, err
	}
	s := guard.Standing{Percent: share(to, all), Shares: []int{100}}
	s.Detail = fmt.Sprintf("%d of %d ready pods run %s%s", to, all, r.To, w.states())
	if warning := b.reapplied(w, r); warning != "" {
		s.Detail += "; " + warning
	}
	s.Undo, err = b.wayBack(ctx, r, leg{b.target(), func(*unstructured.Unstructured) ([]operation, error) { return b.back(w, r) }})
	return s, err
}

// Shift to 100 gives the Deployment the new version, to 0 the old one, and waits until all its pods are of it and
// ready. It may be repeated. Between two tries somebody else may change the Deployment: it is looked at anew each time.
func (b *Deployment) Shift(ctx context.Context, o guard.Order, percent int) error {
	var turn func(w workload, r guard.Release) ([]operation, error)
	version := o.To
	switch percent {
	case 100:
		turn = b.forth
	case 0:
		version = o.From
		turn = func(w workload, r guard.Release) ([]operation, error) {
			if is, err := w.runsNext(b.naming, r.From); is || err != nil {
				return nil, err
			}
			return b.back(w, r)
		}
	default:
		return fmt.Errorf("%d%% cannot be had of one Deployment, only 0 and 100: change rollout.steps, or use kubernetes-replicas", percent)
	}
	_, err := b.obey(ctx, b.target(), o, func(*unstructured.Unstructured) ([]operation, error) {
		w, err := b.workload(ctx, deployments, b.deployment)
		if err != nil {
			return nil, err
		}
		return turn(w, o.Release)
	})
	if err != nil {
		return err
	}
	return await(ctx, func() (string, error) { return b.missing(ctx, version) })
}

// Finish has nothing to retire: the old ReplicaSet has no pods any more, and revisionHistoryLimit removes it.
// It may be repeated.
func (b *Deployment) Finish(ctx context.Context, o guard.Order) error {
	_, err := b.obey(ctx, b.target(), o, nothing)
	return err
}

func (b *Deployment) target() target { return target{deployments, b.deployment, ""} }

func (b *Deployment) read(ctx context.Context) (workload, error) {
	w, err := b.workload(ctx, deployments, b.deployment)
	if err != nil {
		return w, err
	}
	return w, w.caughtUp()
}

// countReady counts the ready pods, and those of them that run To. A pod of neither version is an error.
func countReady(w workload, n naming, r guard.Release) (to, all int, err error) {
	for _, p := range w.pods {
		if !p.ready {
			continue
		}
		isTo, err := n.runs(&p.set.Spec.Template, r.To)
		if err != nil {
			return 0, 0, fmt.Errorf("pod %s: %w", p.name, err)
		}
		isFrom, err := n.runs(&p.set.Spec.Template, r.From)
		if err != nil {
			return 0, 0, fmt.Errorf("pod %s: %w", p.name, err)
		}
		switch {
		case isTo:
			to++
		case !isFrom:
			return 0, 0, fmt.Errorf("the pod %s runs %s, which is neither %s nor %q", p.name, n.told(&p.set.Spec.Template), r.To, r.From)
		}
		all++
	}
	if all == 0 {
		return 0, 0, fmt.Errorf("%s %s has no ready pod, so nobody has the traffic%s", w.object.GetKind(), w.object.GetName(), w.states())
	}
	return to, all, nil
}

// runsNext says whether the template of a workload's next pods is of a version.
func (w workload) runsNext(n naming, version string) (bool, error) {
	template, err := w.template()
	if err != nil {
		return false, err
	}
	return n.runs(template, version)
}

// forth gives the Deployment the new version: the template that it had before, or else its image in the present one.
func (b *Deployment) forth(w workload, r guard.Release) ([]operation, error) {
	if is, err := w.runsNext(b.naming, r.To); is || err != nil {
		return nil, err
	}
	set, err := w.newest(b.naming, r.To)
	if err != nil {
		return nil, err
	}
	if set != nil {
		return []operation{turnTo(set)}, nil
	}
	if b.image == "" {
		return nil, fmt.Errorf("no ReplicaSet of the Deployment %s runs %s: bring it there first, or say with image what to run", b.deployment, r.To)
	}
	image, err := guard.Fill(b.image, r.Words())
	if err != nil {
		return nil, err
	}
	template, err := w.template()
	if err != nil {
		return nil, err
	}
	i := 0
	if b.naming.Label == "" || len(template.Spec.Containers) > 1 {
		if i, err = b.naming.image(template); err != nil {
			return nil, err
		}
	}
	operations := []operation{replace(image, "spec", "template", "spec", "containers", strconv.Itoa(i), "image")}
	template.Spec.Containers[i].Image = image
	if b.naming.Label != "" {
		operations = append(operations, replace(r.To, "spec", "template", "metadata", "labels", b.naming.Label))
	} else if is, err := b.naming.runs(template, r.To); err != nil || !is {
		return nil, errors.Join(err, fmt.Errorf("image: %s does not tell that it is %s (by its tag or digest)", image, r.To))
	}
	return operations, nil
}

// back gives the Deployment the template of the old version. Its error is a noWay if there is none.
func (b *Deployment) back(w workload, r guard.Release) ([]operation, error) {
	if r.First() {
		return nil, noWay{errors.New("there is no older version to go back to")}
	}
	set, err := w.newest(b.naming, r.From)
	if err != nil {
		return nil, err
	}
	if set == nil {
		return nil, noWay{fmt.Errorf("no ReplicaSet of the Deployment %s runs %s any more: there is nothing to go back to", b.deployment, r.From)}
	}
	deployment, err := as[appsv1.Deployment](w.object)
	if err != nil {
		return nil, err
	}
	if deployment.Spec.Paused {
		return nil, noWay{fmt.Errorf("the Deployment %s is paused, and would not go back: kubectl rollout resume deployment/%s", b.deployment, b.deployment)}
	}
	if limit := deployment.Spec.RevisionHistoryLimit; limit != nil && *limit == 0 {
		return nil, noWay{fmt.Errorf("revisionHistoryLimit of the Deployment %s is 0, so that nothing is left of %s once %s runs: set it to 2 or more", b.deployment, r.From, r.To)}
	}
	return []operation{turnTo(set)}, nil
}

// turnTo gives a workload the template of one of its ReplicaSets, without the label by which these are told apart.
func turnTo(s *set) operation {
	template := runtime.DeepCopyJSON(s.template)
	for _, label := range []string{appsv1.DefaultDeploymentUniqueLabelKey, argoHash} {
		unstructured.RemoveNestedField(template, "metadata", "labels", label)
	}
	return replace(template, "spec", "template")
}

// missing says what there is to wait for until all pods are of a version and ready.
func (b *Deployment) missing(ctx context.Context, version string) (string, error) {
	w, err := b.read(ctx)
	if change := (unsettled{}); errors.As(err, &change) {
		return change.Error(), nil
	}
	if err != nil {
		return "", err
	}
	if is, err := w.runsNext(b.naming, version); err != nil || !is {
		return "", errors.Join(err, fmt.Errorf("the Deployment %s was given %s, and somebody has changed it since", b.deployment, version))
	}
	deployment, err := as[appsv1.Deployment](w.object)
	if err != nil {
		return "", err
	}
	if i := slices.IndexFunc(deployment.Status.Conditions, func(c appsv1.DeploymentCondition) bool {
		return c.Type == appsv1.DeploymentReplicaFailure && c.Status == corev1.ConditionTrue
	}); i >= 0 {
		return "its pods cannot be made: " + deployment.Status.Conditions[i].Message, nil
	}
	good, others := 0, 0
	for _, p := range w.pods {
		is, err := b.naming.runs(&p.set.Spec.Template, version)
		switch {
		case err != nil:
			return "", err
		case is && p.ready:
			good++
		case p.ready:
			others++
		}
	}
	if s := deployment.Status; good != w.replicas() || others > 0 || s.UpdatedReplicas != s.Replicas || int(s.AvailableReplicas) < w.replicas() {
		return fmt.Sprintf("%d of %d pods of the Deployment %s run %s and are ready, %d run something else%s",
			good, w.replicas(), b.deployment, version, others, w.states()), nil
	}
	return "", nil
}

// reapplied warns of what the next kubectl apply would bring back.
func (b *Deployment) reapplied(w workload, r guard.Release) string {
	text := w.object.GetAnnotations()[corev1.LastAppliedConfigAnnotation]
	if text == "" {
		return ""
	}
	var applied appsv1.Deployment
	if err := json.Unmarshal([]byte(text), &applied); err != nil {
		return "the annotation " + corev1.LastAppliedConfigAnnotation + " cannot be read"
	}
	bad, err := b.naming.runs(&applied.Spec.Template, r.To)
	if err != nil || !bad {
		return ""
	}
	running := "a way back does not change that"
	if is, err := w.runsNext(b.naming, r.To); err == nil && !is {
		running = "correct the file first"
	}
	return strings.Join([]string{"kubectl applied", r.To, "last, and the next apply of that file brings it (back):", running}, " ")
}
