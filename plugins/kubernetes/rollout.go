package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/golive-dev/golive/guard"
)

// argoHash is the label by which Argo Rollouts tells its ReplicaSets apart.
const argoHash = "rollouts-pod-template-hash"

// Rollout moves traffic through Argo Rollouts: it writes the fields that Argo's own command line writes, and believes
// only what Argo's controller and the pods say.
type Rollout struct {
	*cluster
	naming  naming
	rollout string
}

var (
	_ guard.Backend = (*Rollout)(nil)
	_ guard.Fencer  = (*Rollout)(nil)
)

// NewRollout reads {rollout, container, label, kubeconfig, context, namespace, timeout}. Rollout is the name of a
// Rollout with the canary strategy, to whose template somebody has brought the new version. A version is told by the tag,
// the digest or the whole reference of the image of container, or by the label of the pods.
//
// The shares that can be had are those of its steps setWeight that are followed by a pause without end: for golive to
// lead, the steps of the Rollout begin with such a pause, and there is one after each weight. At 100 without such a
// step the Rollout is promoted in full. Back from a Rollout that is not promoted is abort; from a promoted one it is
// the template of the old version, promoted in full. Finish promotes in full.
//
// Where the Rollout routes traffic, the share is what its controller has set and verified (status.canary.weights);
// without routing it is that of the ready pods, and no nearer to a weight than whole pods come.
func NewRollout(with guard.With) (guard.Backend, error) {
	config := struct {
		place
		naming
		Rollout string `json:"rollout"`
	}{place: somewhere}
	mistakes := []error{with.Decode(&config), config.naming.check()}
	mistakes = append(mistakes, fillNames(map[string]guard.Template{"rollout": guard.Template(config.Rollout)})...)
	cluster, err := config.cluster()
	if err := errors.Join(append(mistakes, err)...); err != nil {
		return nil, err
	}
	return &Rollout{cluster, config.naming, config.Rollout}, nil
}

// A course is what a Rollout is at.
type course struct {
	workload
	steps  []step
	status argoStatus
	routed bool   // traffic is routed by weight, and not by the number of pods
	paused bool   // by a person, so that the controller does nothing
	next   string // the version of the template of the next pods: To, From or something else
	to     *set   // nil: there is none
	from   *set   // nil: there is none
}

type step struct {
	SetWeight *int `json:"setWeight"`
	Pause     *struct {
		Duration any `json:"duration"`
	} `json:"pause"`
}

type argoStatus struct {
	Abort            bool   `json:"abort"`
	PromoteFull      bool   `json:"promoteFull"`
	StableRS         string `json:"stableRS"`
	CurrentPodHash   string `json:"currentPodHash"`
	CurrentStepIndex *int   `json:"currentStepIndex"`
	Phase            string `json:"phase"`
	Message          string `json:"message"`
	Canary           struct {
		Weights *struct {
			Canary   weight `json:"canary"`
			Stable   weight `json:"stable"`
			Verified *bool  `json:"verified"` // nil: the router cannot tell
		} `json:"weights"`
	} `json:"canary"`
}

type weight struct {
	Weight int    `json:"weight"`
	Hash   string `json:"podTemplateHash"`
}

// Inspect reads the weights that Argo's controller has set, or counts ready pods where it sets none.
func (b *Rollout) Inspect(ctx context.Context, r guard.Release) (guard.Standing, error) {
	c, err := settled(ctx, func() (course, error) { return b.course(ctx, r) })
	if err != nil {
		return guard.Standing{}, err
	}
	percent, detail, err := b.percent(c, r)
	if err != nil {
		return guard.Standing{}, err
	}
	s := guard.Standing{Percent: percent, Shares: c.shares(), Detail: detail}
	s.Undo, err = b.wayBack(ctx, r, b.back(c, r)...)
	return s, err
}

// Shift writes the step of that weight, abort, or a full promotion, and waits until the share is there.
// It may be repeated.
func (b *Rollout) Shift(ctx context.Context, o guard.Order, percent int) error {
	c, err := settled(ctx, func() (course, error) { return b.course(ctx, o.Release) })
	if err != nil {
		return err
	}
	if percent > 0 && !slices.Contains(c.shares(), percent) {
		return fmt.Errorf("%d%% cannot be had of the Rollout %s, only %v: change rollout.steps, or give it a step setWeight: %d with a pause: {} after it",
			percent, b.rollout, c.shares(), percent)
	}
	if _, err := b.obey(ctx, b.target(""), o, nothing); err != nil {
		return err
	}
	var legs []leg
	switch {
	case percent == 0:
		legs = b.back(c, o.Release)
	case c.paused:
		return fmt.Errorf("somebody has paused the Rollout %s (spec.paused): kubectl argo rollouts promote %s lifts that", b.rollout, b.rollout)
	case c.to == nil:
		return fmt.Errorf("no ReplicaSet of the Rollout %s runs %s: bring it there first, by kubectl apply for one", b.rollout, o.To)
	default:
		legs = []leg{{b.target(""), c.turn(o.To, c.to)}, {b.target("status"), c.goTo(percent)}}
	}
	if got, _, err := b.percent(c, o.Release); err == nil && got == percent && b.stays(c, o.Release, percent) {
		return nil
	}
	for _, l := range legs {
		if _, err := b.obey(ctx, l.target, o, l.change); err != nil {
			return err
		}
		// The controller looks at a template before it looks at the status of its rollout.
		if err := await(ctx, func() (string, error) { _, missing, err := b.look(ctx, o.Release); return missing, err }); err != nil {
			return err
		}
	}
	return await(ctx, func() (string, error) {
		c, missing, err := b.look(ctx, o.Release)
		if err != nil || missing != "" {
			return missing, err
		}
		got, detail, err := b.percent(c, o.Release)
		if err != nil {
			return err.Error(), nil // a router may take its time, and pods may
		}
		if got == percent && b.stays(c, o.Release, percent) {
			return "", nil
		}
		return fmt.Sprintf("the share is %d%% and has to become %d%%: %s", got, percent, detail), nil
	})
}

// Finish promotes the new version in full, which makes it the stable one. It may be repeated.
func (b *Rollout) Finish(ctx context.Context, o guard.Order) error {
	if _, err := b.obey(ctx, b.target(""), o, nothing); err != nil {
		return err
	}
	c, err := settled(ctx, func() (course, error) { return b.course(ctx, o.Release) })
	if err != nil {
		return err
	}
	if c.next != o.To {
		return fmt.Errorf("the template of the Rollout %s is not of %s, so there is nothing to promote", b.rollout, o.To)
	}
	if c.promoted() {
		return nil
	}
	if _, err := b.obey(ctx, b.target("status"), o, promoteFull); err != nil {
		return err
	}
	return await(ctx, func() (string, error) {
		c, missing, err := b.look(ctx, o.Release)
		if err == nil && missing == "" && !c.promoted() {
			missing = fmt.Sprintf("Argo has not promoted %s yet: %s %s", o.To, c.status.Phase, c.status.Message)
		}
		return missing, err
	})
}

func (b *Rollout) target(part string) target { return target{rollouts, b.rollout, part} }

// look is course, with what is under way as a thing to wait for.
func (b *Rollout) look(ctx context.Context, r guard.Release) (c course, missing string, err error) {
	c, err = b.course(ctx, r)
	if change := (unsettled{}); errors.As(err, &change) {
		return c, change.Error(), nil
	}
	return c, "", err
}

// course reads the Rollout, and refuses those that golive cannot lead.
func (b *Rollout) course(ctx context.Context, r guard.Release) (c course, err error) {
	if c.workload, err = b.workload(ctx, rollouts, b.rollout); err != nil {
		return c, err
	}
	if err := c.caughtUp(); err != nil {
		return c, err
	}
	typed, err := as[struct {
		Spec struct {
			Paused   bool `json:"paused"`
			Strategy struct {
				Canary *struct {
					Steps          []step         `json:"steps"`
					TrafficRouting map[string]any `json:"trafficRouting"`
				} `json:"canary"`
			} `json:"strategy"`
		} `json:"spec"`
		Status argoStatus `json:"status"`
	}](c.object)
	if err != nil {
		return c, err
	}
	if typed.Spec.Strategy.Canary == nil {
		return c, fmt.Errorf("the Rollout %s does not have the canary strategy, and golive leads no other", b.rollout)
	}
	c.steps, c.routed, c.status = typed.Spec.Strategy.Canary.Steps, typed.Spec.Strategy.Canary.TrafficRouting != nil, typed.Status
	c.paused = typed.Spec.Paused
	template, err := c.template()
	if err != nil {
		return c, err
	}
	c.next = b.naming.told(template)
	for _, version := range []string{r.From, r.To} {
		if is, err := b.naming.runs(template, version); err != nil {
			return c, err
		} else if is {
			c.next = version
		}
	}
	if c.to, err = c.newest(b.naming, r.To); err != nil {
		return c, err
	}
	if c.from, err = c.newest(b.naming, r.From); err != nil {
		return c, err
	}
	if hash := c.status.CurrentPodHash; hash == "" || c.hashOf(r, c.next) != hash {
		return c, unsettled{fmt.Errorf("the controller of the Rollout %s has not made a ReplicaSet of its newest template yet (%s), so the share is not known", b.rollout, c.next)}
	}
	return c, nil
}

// hashOf is the hash of the ReplicaSet of a version: one of the release's two, or what Argo says of another.
func (c course) hashOf(r guard.Release, version string) string {
	s := c.from
	switch version {
	case r.To:
		s = c.to
	case r.From:
	default:
		return c.status.CurrentPodHash
	}
	if s == nil {
		return ""
	}
	return s.Labels[argoHash]
}

// promoted says that the template of the Rollout is its stable version.
func (c course) promoted() bool { return c.status.StableRS == c.status.CurrentPodHash }

// percent is the share of To: by the weights that are set and verified, or by ready pods.
func (b *Rollout) percent(c course, r guard.Release) (percent int, detail string, err error) {
	to := c.hashOf(r, r.To)
	state := fmt.Sprintf("%s %s", c.status.Phase, c.status.Message)
	count, all, err := countReady(c.workload, b.naming, r)
	if err != nil {
		return 0, "", err
	}
	detail = fmt.Sprintf("%s; %d of %d ready pods run %s%s", state, count, all, r.To, c.states())
	w := c.status.Canary.Weights
	switch {
	case !c.routed:
		// A weight that whole pods only come near to counts as reached when Argo has come to rest on its step, with
		// all pods ready that it asked for.
		if i, at := c.at(); at && c.next == r.To && 0 < count && count == c.to.size() && all-count == c.from.size() {
			asked := *c.steps[i].SetWeight
			return asked, fmt.Sprintf("%s; setWeight %d", detail, asked), nil
		}
		return share(count, all), detail, nil
	case w == nil && c.promoted() && c.status.StableRS == to:
		return 100, detail, nil
	case w == nil && c.status.StableRS != to && (c.to == nil || count == 0):
		return 0, detail, nil
	case w == nil:
		return 0, "", fmt.Errorf("the Rollout %s routes traffic, and Argo does not say with which weights (status.canary.weights): %s", b.rollout, detail)
	case w.Verified != nil && !*w.Verified:
		return 0, "", fmt.Errorf("Argo has set the weights of the Rollout %s to %d and %d, and its router has other ones (status.canary.weights.verified is false)",
			b.rollout, w.Canary.Weight, w.Stable.Weight)
	}
	total := w.Canary.Weight + w.Stable.Weight
	some := 0
	for _, side := range []weight{w.Canary, w.Stable} {
		if side.Hash == to && to != "" {
			some = side.Weight
			break
		}
	}
	if w.Canary.Hash == w.Stable.Hash && to == w.Stable.Hash {
		some = total
	}
	return share(some, total), fmt.Sprintf("%s; weights %d and %d", detail, w.Canary.Weight, w.Stable.Weight), nil
}

// stays says whether the share is one that Argo leaves as it is, rather than one that it is passing by.
func (b *Rollout) stays(c course, r guard.Release, percent int) bool {
	if percent == 0 {
		return c.status.StableRS == c.hashOf(r, r.From) && (c.status.Abort || c.promoted())
	}
	if percent == 100 && c.next == r.To && c.promoted() {
		return true
	}
	i, at := c.at()
	return !c.status.Abort && c.next == r.To && at && *c.steps[i].SetWeight == percent
}

// at is the setWeight on whose pause a Rollout rests.
func (c course) at() (i int, at bool) {
	now := c.status.CurrentStepIndex
	if now == nil || *now >= len(c.steps) || *now == 0 || !endless(c.steps[*now]) || c.status.Abort {
		return 0, false
	}
	return *now - 1, c.steps[*now-1].SetWeight != nil
}

func endless(s step) bool { return s.Pause != nil && s.Pause.Duration == nil }

// find is the place of a step that gives a weight and rests there.
func (c course) find(percent int) (i int, found bool) {
	for i := range c.steps[:max(0, len(c.steps)-1)] {
		if w := c.steps[i].SetWeight; w != nil && *w == percent && endless(c.steps[i+1]) {
			return i, true
		}
	}
	return 0, false
}

// shares are those that golive can hold a Rollout at.
func (c course) shares() []int {
	shares := []int{100}
	for i, s := range c.steps {
		if s.SetWeight != nil && *s.SetWeight > 0 && i+1 < len(c.steps) && endless(c.steps[i+1]) {
			shares = append(shares, *s.SetWeight)
		}
	}
	slices.Sort(shares)
	return slices.Compact(shares)
}

// goTo takes a Rollout to the step of a weight, out of an abort and out of a pause. Argo takes a pause whose condition
// is gone for one that was lifted, unless controllerPause is gone too.
func (c course) goTo(percent int) change {
	i, found := c.find(percent)
	if !found {
		return promoteFull
	}
	return func(*unstructured.Unstructured) ([]operation, error) {
		return []operation{
			replace(false, "status", "abort"),
			replace(nil, "status", "abortedAt"),
			replace(false, "status", "promoteFull"),
			replace(nil, "status", "pauseConditions"),
			replace(false, "status", "controllerPause"),
			replace(i, "status", "currentStepIndex"),
		}, nil
	}
}

// promoteFull is Argo's promote --full.
func promoteFull(*unstructured.Unstructured) ([]operation, error) {
	return []operation{
		replace(false, "status", "abort"),
		replace(nil, "status", "abortedAt"),
		replace(true, "status", "promoteFull"),
	}, nil
}

// abort is Argo's abort.
func abort(*unstructured.Unstructured) ([]operation, error) {
	return []operation{replace(true, "status", "abort")}, nil
}

// back is the way back: abort, as long as the old version is the stable one; else its template, promoted in full.
func (b *Rollout) back(c course, r guard.Release) []leg {
	if c.from != nil && c.status.StableRS == c.from.Labels[argoHash] && c.next != r.From {
		return []leg{{b.target(""), c.turn(c.next, nil)}, {b.target("status"), abort}}
	}
	if c.from == nil {
		return []leg{{b.target(""), func(*unstructured.Unstructured) ([]operation, error) {
			return nil, noWay{fmt.Errorf("no ReplicaSet of the Rollout %s runs %s any more: there is nothing to go back to", b.rollout, r.From)}
		}}}
	}
	return []leg{{b.target(""), c.turn(r.From, c.from)}, {b.target("status"), promoteFull}}
}

// turn gives a Rollout the template of a version, unless it has it, and lets its controller work.
func (c course) turn(version string, s *set) change {
	return func(*unstructured.Unstructured) (operations []operation, err error) {
		if c.paused {
			operations = append(operations, replace(false, "spec", "paused"))
		}
		if c.next != version {
			operations = append(operations, turnTo(s))
		}
		return operations, nil
	}
}
