package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/golive-dev/golive/guard"
)

// Replicas moves traffic between two Deployments behind one Service, which gives every ready pod the same share.
type Replicas struct {
	*cluster
	naming         naming
	service        string
	canary, stable guard.Template
	total          int
	autoscaled     bool
}

var (
	_ guard.Backend = (*Replicas)(nil)
	_ guard.Fencer  = (*Replicas)(nil)
)

// NewReplicas reads {service, canary, stable, replicas, container, label, autoscaler, kubeconfig, context, namespace,
// timeout}. Service is the name of the Service whose ready endpoints are counted; canary and stable are the names of
// the Deployments that run the new and the old version, in which {{.To}} and {{.From}} stand for versions; replicas is
// how many pods both have together. What a Deployment runs is looked at, too: the tag, the digest or the whole
// reference of the image of container, or the value of the label of its pods. Autoscaler is refuse, or ignore: then a
// HorizontalPodAutoscaler of either Deployment is put up with.
//
// Replicas can give the shares of whole pods only: of 4 those are 25, 50, 75 and 100. At 100 the old version has no
// pods: the way back starts them, and takes as long as they need to become ready. For that long the new version keeps
// its traffic, since less would be none.
func NewReplicas(with guard.With) (guard.Backend, error) {
	config := struct {
		place
		naming
		Service    string         `json:"service"`
		Canary     guard.Template `json:"canary"`
		Stable     guard.Template `json:"stable"`
		Replicas   int            `json:"replicas"`
		Autoscaler string         `json:"autoscaler"`
	}{place: somewhere, Autoscaler: "refuse"}
	mistakes := []error{with.Decode(&config), config.naming.check()}
	mistakes = append(mistakes, fillNames(map[string]guard.Template{
		"service": guard.Template(config.Service), "canary": config.Canary, "stable": config.Stable})...)
	if config.Replicas < 1 {
		mistakes = append(mistakes, errors.New("replicas: missing, or not a number of pods (how many both Deployments have together)"))
	}
	if config.Autoscaler != "refuse" && config.Autoscaler != "ignore" {
		mistakes = append(mistakes, fmt.Errorf("autoscaler: %q is neither refuse nor ignore", config.Autoscaler))
	}
	cluster, err := config.cluster()
	if err := errors.Join(append(mistakes, err)...); err != nil {
		return nil, err
	}
	return &Replicas{cluster, config.naming, config.Service, config.Canary, config.Stable, config.Replicas, config.Autoscaler == "ignore"}, nil
}

// pair is what both Deployments are at.
type pair struct {
	canary, stable           workload
	canaryReady, stableReady int // ready endpoints of the Service
}

// Inspect counts the ready endpoints of the Service by the Deployment of their pods.
func (b *Replicas) Inspect(ctx context.Context, r guard.Release) (guard.Standing, error) {
	p, err := settled(ctx, func() (pair, error) { return b.pair(ctx, r, true) })
	if err != nil {
		return guard.Standing{}, err
	}
	all := p.canaryReady + p.stableReady
	if all == 0 {
		return guard.Standing{}, fmt.Errorf("the Service %s has no ready endpoint, so nobody has the traffic%s%s", b.service, p.canary.states(), p.stable.states())
	}
	s := guard.Standing{Percent: share(p.canaryReady, all), Shares: b.shares(), Detail: p.detail(b.total)}
	if s.Undo, err = b.undo(ctx, r); err != nil {
		return guard.Standing{}, err
	}
	if s.Undo.Open && !b.autoscaled {
		scaler, err := b.scaler(ctx, p)
		if err != nil {
			return guard.Standing{}, err
		}
		if scaler != "" {
			s.Undo = guard.Undo{Detail: scaler}
		}
	}
	return s, nil
}

// Shift scales up what grows, waits until its pods are ready and have traffic, and scales the other down.
// It may be repeated. What would make a share mean something else stands in the way of every share but 0.
func (b *Replicas) Shift(ctx context.Context, o guard.Order, percent int) error {
	want, possible := b.pods(percent)
	if !possible {
		return fmt.Errorf("%d%% cannot be had of %d pods, only %v: change rollout.steps, or replicas", percent, b.total, b.shares())
	}
	p, err := settled(ctx, func() (pair, error) { return b.pair(ctx, o.Release, percent > 0) })
	if err != nil {
		return err
	}
	if !b.autoscaled && percent > 0 {
		scaler, err := b.scaler(ctx, p)
		if err == nil && scaler != "" {
			err = errors.New(scaler)
		}
		if err != nil {
			return err
		}
	}
	canary := target{deployments, p.canary.object.GetName(), ""}
	stable := target{deployments, p.stable.object.GetName(), ""}
	for _, t := range []target{canary, stable} { // both, for an older order to find the newer one wherever it looks
		if _, err := b.obey(ctx, t, o, nothing); err != nil {
			return err
		}
	}
	arms := []struct {
		target target
		want   int
		now    int
	}{{canary, want, p.canary.replicas()}, {stable, b.total - want, p.stable.replicas()}}
	for _, grow := range []bool{true, false} { // for the traffic always to have somewhere to go
		for _, arm := range arms {
			if arm.want == arm.now || (arm.want > arm.now) != grow {
				continue
			}
			if _, err := b.obey(ctx, arm.target, o, scale(arm.want)); err != nil {
				return err
			}
		}
		// Whoever grows has to be ready before the other one shrinks, also when a call before this one scaled it.
		if err := await(ctx, func() (string, error) { return b.missing(ctx, o, want, !grow) }); err != nil {
			return err
		}
	}
	return nil
}

// missing says what there is to wait for: at least the pods that are wanted, or exactly them.
func (b *Replicas) missing(ctx context.Context, o guard.Order, want int, exactly bool) (string, error) {
	p, err := b.pair(ctx, o.Release, want > 0)
	if change := (unsettled{}); errors.As(err, &change) {
		return change.Error(), nil
	}
	if err != nil {
		return "", err
	}
	for _, arm := range []struct {
		workload workload
		ready    int
		want     int
	}{{p.canary, p.canaryReady, want}, {p.stable, p.stableReady, b.total - want}} {
		if arm.ready < arm.want || exactly && arm.ready != arm.want {
			return fmt.Sprintf("%s has %d ready endpoints of %d in the Service %s%s",
				arm.workload.object.GetName(), arm.ready, arm.want, b.service, arm.workload.states()), nil
		}
	}
	return "", nil
}

// Finish has nothing to retire: at 100 % the old version has no pods any more. It may be repeated.
func (b *Replicas) Finish(ctx context.Context, o guard.Order) error {
	p, err := settled(ctx, func() (pair, error) { return b.pair(ctx, o.Release, true) })
	if err != nil {
		return err
	}
	if p.stableReady > 0 {
		return fmt.Errorf("%s has traffic still: %d ready endpoints", o.From, p.stableReady)
	}
	_, err = b.obey(ctx, target{deployments, p.stable.object.GetName(), ""}, o, nothing)
	return err
}

// undo tries the way back, the two patches that Shift to 0 sends.
func (b *Replicas) undo(ctx context.Context, r guard.Release) (guard.Undo, error) {
	canary, stable, err := b.names(r)
	if err != nil {
		return guard.Undo{}, err
	}
	return b.wayBack(ctx, r,
		leg{target{deployments, stable, ""}, scale(b.total)},
		leg{target{deployments, canary, ""}, scale(0)})
}

// scale asks for a number of pods.
func scale(replicas int) change {
	return func(*unstructured.Unstructured) ([]operation, error) {
		return []operation{replace(replicas, "spec", "replicas")}, nil
	}
}

func (b *Replicas) names(r guard.Release) (canary, stable string, err error) {
	if r.First() && strings.Contains(string(b.stable), "{{") {
		return "", "", fmt.Errorf("stable is %s, and the first release has no older version: scale the Deployment of %s by hand this once", b.stable, r.To)
	}
	if canary, err = guard.Fill(b.canary, r.Words()); err != nil {
		return "", "", err
	}
	if stable, err = guard.Fill(b.stable, r.Words()); err != nil {
		return "", "", err
	}
	if canary == stable {
		return "", "", fmt.Errorf("canary and stable are the same Deployment: %s", canary)
	}
	return canary, stable, nil
}

// pair reads both Deployments and the endpoints of the Service, and refuses what would make the shares mean something
// else: Deployments that run another version, and, if it is strict, endpoints that are pods of neither. The way back
// is not strict: whatever the new Deployment runs, it is to have no traffic.
func (b *Replicas) pair(ctx context.Context, r guard.Release, strict bool) (p pair, err error) {
	canary, stable, err := b.names(r)
	if err != nil {
		return p, err
	}
	list, err := listAs[discoveryv1.EndpointSlice](ctx, b.cluster, endpoints, discoveryv1.LabelServiceName+"="+b.service)
	if err != nil {
		return p, err
	}
	if len(list) == 0 {
		return p, fmt.Errorf("the Service %s has no EndpointSlice: is there such a Service in the namespace %s, with a selector?", b.service, b.namespace)
	}
	arms := map[string]*int{}
	for _, arm := range []struct {
		name, version string
		workload      *workload
		count         *int
	}{{canary, r.To, &p.canary, &p.canaryReady}, {stable, r.From, &p.stable, &p.stableReady}} {
		if *arm.workload, err = b.workload(ctx, deployments, arm.name); err != nil {
			return p, err
		}
		if err := arm.workload.caughtUp(); err != nil {
			return p, err
		}
		if arm.version != "" && (strict || arm.version == r.From) {
			if err := b.mustRun(*arm.workload, arm.version); err != nil {
				return p, err
			}
		}
		for _, pod := range arm.workload.pods {
			arms[pod.name] = arm.count
		}
	}
	for name := range readyPods(list) {
		if arms[name] == nil && !strict {
			continue
		}
		if arms[name] == nil {
			return p, unsettled{fmt.Errorf("the Service %s has a ready endpoint %s, which is a pod of neither %s nor %s: narrow the selector of the Service", b.service, name, canary, stable)}
		}
		*arms[name]++
	}
	return p, nil
}

// mustRun refuses a Deployment whose pods, now or next, are of another version than the release says.
func (b *Replicas) mustRun(w workload, version string) error {
	template, err := w.template()
	if err != nil {
		return err
	}
	templates := map[string]bool{}
	for _, p := range w.pods {
		if p.ready && !templates[p.set.Name] {
			templates[p.set.Name] = true
			runs, err := b.naming.runs(&p.set.Spec.Template, version)
			if err == nil && !runs {
				err = fmt.Errorf("the pod %s runs %s, and not %s", p.name, b.naming.told(&p.set.Spec.Template), version)
			}
			if err != nil {
				return fmt.Errorf("deployment %s: %w", w.object.GetName(), err)
			}
		}
	}
	runs, err := b.naming.runs(template, version)
	if err == nil && !runs {
		err = fmt.Errorf("it runs %s, and not %s", b.naming.told(template), version)
	}
	if err != nil {
		return fmt.Errorf("deployment %s: %w", w.object.GetName(), err)
	}
	return nil
}

// readyPods are the names of the pods that a Service sends traffic to. A pod may be in several slices, one for each
// family of addresses.
func readyPods(list []discoveryv1.EndpointSlice) map[string]bool {
	names := map[string]bool{}
	for _, slice := range list {
		for _, e := range slice.Endpoints {
			if e.Conditions.Ready != nil && !*e.Conditions.Ready {
				continue
			}
			name := strings.Join(e.Addresses, " ") // an endpoint that is no pod
			if e.TargetRef != nil && e.TargetRef.Kind == "Pod" {
				name = e.TargetRef.Name
			}
			names[name] = true
		}
	}
	return names
}

// scaler names the autoscaler that would undo what Shift does; empty: there is none.
func (b *Replicas) scaler(ctx context.Context, p pair) (string, error) {
	list, err := b.list(ctx, autoscalers, "")
	if err != nil {
		return "", err
	}
	for _, scaler := range list {
		kind, _, _ := unstructured.NestedString(scaler.Object, "spec", "scaleTargetRef", "kind")
		name, _, _ := unstructured.NestedString(scaler.Object, "spec", "scaleTargetRef", "name")
		if kind == "Deployment" && (name == p.canary.object.GetName() || name == p.stable.object.GetName()) {
			return fmt.Sprintf("the HorizontalPodAutoscaler %s scales %s too, and would move the traffic by itself: delete it for the rollout, or say autoscaler: ignore", scaler.GetName(), name), nil
		}
	}
	return "", nil
}

// pods is how many of the pods run the new version at a share.
func (b *Replicas) pods(percent int) (want int, possible bool) {
	want = (2*percent*b.total + 100) / 200 // rounded
	return want, share(want, b.total) == percent
}

// shares are those that whole pods can give; nil: all of them.
func (b *Replicas) shares() (shares []int) {
	for n := 1; n <= b.total; n++ {
		shares = append(shares, share(n, b.total))
	}
	if shares = slices.Compact(shares); len(shares) == 100 {
		return nil
	}
	return shares
}

func (p pair) detail(total int) string {
	arm := func(w workload, ready int) string {
		return fmt.Sprintf("%s %d of %d ready%s", w.object.GetName(), ready, w.replicas(), w.states())
	}
	text := arm(p.canary, p.canaryReady) + "; " + arm(p.stable, p.stableReady)
	if p.canary.replicas()+p.stable.replicas() != total {
		text += fmt.Sprintf("; together these are not the %d replicas of the plan: a change is under way, or somebody else scaled them", total)
	}
	return text
}
