package kubernetes

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/golive-dev/golive/guard"
)

// manager is the name under which the API server notes who owns which field.
const manager = "golive"

// orderKey is the annotation that holds the highest order that an object has seen, as FENCE.SEQ.
const orderKey = "golive.dev/order"

// mostTries is how often a change is made anew because the object was changed by somebody else meanwhile.
const mostTries = 100

// A mark is the place of an order among all orders.
type mark struct{ fence, seq int64 }

func (m mark) String() string { return fmt.Sprintf("%d.%d", m.fence, m.seq) }

func (m mark) before(other mark) bool {
	return m.fence < other.fence || m.fence == other.fence && m.seq < other.seq
}

// markOf reads the highest order that an object has seen. An object that has seen none has the mark zero.
func markOf(object *unstructured.Unstructured) (m mark, err error) {
	text, marked := object.GetAnnotations()[orderKey]
	if !marked {
		return mark{}, nil
	}
	if _, err := fmt.Sscanf(text, "%d.%d", &m.fence, &m.seq); err != nil || m.String() != text {
		return mark{}, fmt.Errorf("the annotation %s of %s %s is %.50q, and golive writes FENCE.SEQ there; remove it if no rollout is under way",
			orderKey, object.GetKind(), object.GetName(), text)
	}
	return m, nil
}

// An operation is one of a JSON patch: what it does not name stays as it is, whoever owns it.
type operation struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value"`
}

// replace is the operation that sets a field, whether it is there or not; all but the last name of the path has to be.
func replace(value any, path ...string) operation {
	escaper := strings.NewReplacer("~", "~0", "/", "~1")
	var b strings.Builder
	for _, name := range path {
		b.WriteString("/" + escaper.Replace(name))
	}
	return operation{"add", b.String(), value}
}

// A change makes the operations of a patch from an object as it is now.
type change func(object *unstructured.Unstructured) ([]operation, error)

// nothing is the change that only notes the order.
func nothing(*unstructured.Unstructured) ([]operation, error) { return nil, nil }

// A target is an object that is to be changed, or a part of it: status.
type target struct {
	resource schema.GroupVersionResource
	name     string
	part     string
}

func (t target) parts() []string {
	if t.part == "" {
		return nil
	}
	return []string{t.part}
}

// String names it as kubectl auth can-i does: deployments.apps/shop.
func (t target) String() string {
	text := t.resource.GroupResource().String()
	if t.part != "" {
		text += "/" + t.part
	}
	return text + " " + t.name
}

// obey changes an object for an order, unless it has seen a later one. The change is made from what was read and sent
// with its resourceVersion: when somebody else was faster, it is read and made again. It returns the object as it is
// then. It may be repeated.
func (c *cluster) obey(ctx context.Context, t target, o guard.Order, change change) (*unstructured.Unstructured, error) {
	now := mark{o.Fence, o.Seq}
	return c.retry(ctx, t, func(object *unstructured.Unstructured) ([]operation, error) {
		seen, err := markOf(object)
		if err != nil {
			return nil, err
		}
		if now.before(seen) {
			return nil, fmt.Errorf("%s has seen the order %s, and this one is older: %s (another golive has taken over)", t, seen, now)
		}
		operations, err := change(object)
		if err != nil || seen == now {
			return operations, err
		}
		return append(noted(object, now), operations...), nil
	}, nil)
}

// Fences is enforced: the highest order stands in an annotation of each object, which obey compares and sets.
func (c *cluster) Fences() guard.Fence { return guard.FenceEnforced }

// try sends a change that the server checks and does not make, as obey would send it.
func (c *cluster) try(ctx context.Context, t target, change change) error {
	_, err := c.retry(ctx, t, func(object *unstructured.Unstructured) ([]operation, error) {
		seen, err := markOf(object)
		if err != nil {
			return nil, err
		}
		operations, err := change(object)
		return append(noted(object, seen), operations...), err
	}, []string{metav1.DryRunAll})
	return err
}

// noted is the operation that notes an order. Status has no annotations: its mark was set on the object before.
func noted(object *unstructured.Unstructured, m mark) []operation {
	if len(object.GetAnnotations()) == 0 {
		return []operation{replace(map[string]string{orderKey: m.String()}, "metadata", "annotations")}
	}
	return []operation{replace(m.String(), "metadata", "annotations", orderKey)}
}

func (c *cluster) retry(ctx context.Context, t target, change change, dryRun []string) (*unstructured.Unstructured, error) {
	for tries := 1; ; tries++ {
		object, err := c.get(ctx, t.resource, t.name)
		if err != nil {
			return nil, err
		}
		operations, err := change(object)
		if err != nil || len(operations) == 0 {
			return object, err
		}
		patch, err := json.Marshal(append(operations, replace(object.GetResourceVersion(), "metadata", "resourceVersion")))
		if err != nil {
			return nil, err
		}
		revised, err := c.in(t.resource).Patch(ctx, t.name, types.JSONPatchType, patch, metav1.PatchOptions{FieldManager: manager, DryRun: dryRun}, t.parts()...)
		if !apierrors.IsConflict(err) || tries == mostTries {
			return revised, c.explain(ctx, err)
		}
		select {
		case <-ctx.Done():
			return nil, c.explain(ctx, err)
		case <-time.After(rand.N(20 * time.Millisecond)): // by chance, for two golives not to keep in step
		}
	}
}
