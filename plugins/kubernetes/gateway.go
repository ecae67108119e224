package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/golive-dev/golive/guard"
)

// Gateway moves traffic between two Services by the weights of an HTTPRoute of the Gateway API.
type Gateway struct {
	*cluster
	route          string
	rule           string
	canary, stable guard.Template
}

var (
	_ guard.Backend = (*Gateway)(nil)
	_ guard.Fencer  = (*Gateway)(nil)
)

// NewGateway reads {route, rule, canary, stable, kubeconfig, context, namespace, timeout}. Route is the name of the
// HTTPRoute; canary and stable are the names of the Services of the new and of the old version, in which {{.To}} and
// {{.From}} stand for versions. The weights are set in all rules of the route that have both Services as backends, or
// in the one whose name is rule. Nothing else of the route is written. Any share can be had.
//
// The share is known once every Gateway of the route has accepted its newest generation: it says so in the status.
// The API has no word for "the new weights are in effect"; gateways need some time after that, usually below a second.
func NewGateway(with guard.With) (guard.Backend, error) {
	config := struct {
		place
		Route  string         `json:"route"`
		Rule   string         `json:"rule"`
		Canary guard.Template `json:"canary"`
		Stable guard.Template `json:"stable"`
	}{place: somewhere}
	mistakes := []error{with.Decode(&config)}
	mistakes = append(mistakes, fillNames(map[string]guard.Template{
		"route": guard.Template(config.Route), "canary": config.Canary, "stable": config.Stable})...)
	cluster, err := config.cluster()
	if err := errors.Join(append(mistakes, err)...); err != nil {
		return nil, err
	}
	return &Gateway{cluster, config.Route, config.Rule, config.Canary, config.Stable}, nil
}

// Inspect reads the weights that the gateways have accepted, and whether the way back is open: the right to set
// them, and an old Service with a ready endpoint.
func (b *Gateway) Inspect(ctx context.Context, r guard.Release) (s guard.Standing, err error) {
	forks, err := settled(ctx, func() ([]fork, error) {
		object, err := b.get(ctx, httpRoutes, b.route)
		if err != nil {
			return nil, err
		}
		if err := accepted(object); err != nil {
			return nil, err
		}
		return b.forks(object, r, true)
	})
	if err != nil {
		return s, err
	}
	s.Percent, s.Detail = percentOf(forks)
	if s.Undo, err = b.wayBack(ctx, r, leg{b.target(), b.weigh(r, 0)}); err != nil || !s.Undo.Open {
		return s, err
	}
	stable, err := guard.Fill(b.stable, r.Words())
	if err != nil {
		return s, err
	}
	list, err := listAs[discoveryv1.EndpointSlice](ctx, b.cluster, endpoints, discoveryv1.LabelServiceName+"="+stable)
	if err == nil && len(readyPods(list)) == 0 {
		s.Undo = guard.Undo{Detail: fmt.Sprintf("the Service %s of %s has no ready endpoint", stable, r.From)}
	}
	return s, err
}

// Shift sets the weights and waits until every gateway has accepted them. It may be repeated.
func (b *Gateway) Shift(ctx context.Context, o guard.Order, percent int) error {
	if _, err := b.obey(ctx, b.target(), o, b.weigh(o.Release, percent)); err != nil {
		return err
	}
	return await(ctx, func() (string, error) {
		object, err := b.get(ctx, httpRoutes, b.route)
		if err != nil {
			return "", err
		}
		if err := accepted(object); err != nil {
			if change := (unsettled{}); errors.As(err, &change) {
				return change.Error(), nil
			}
			return "", err
		}
		forks, err := b.forks(object, o.Release, percent > 0)
		if err != nil {
			return "", err
		}
		if got, detail := percentOf(forks); got != percent {
			return "", fmt.Errorf("the weights were set to %d%%, and somebody has changed them since: %s", percent, detail)
		}
		return "", nil
	})
}

// Finish has nothing to retire in a route: that is for whoever made the old Service. It may be repeated.
func (b *Gateway) Finish(ctx context.Context, o guard.Order) error {
	_, err := b.obey(ctx, b.target(), o, nothing)
	return err
}

func (b *Gateway) target() target { return target{httpRoutes, b.route, ""} }

// A fork is a rule of the route that has both versions as backends.
type fork struct {
	rule           int
	canary, stable int   // places among its backends
	weights        []int // of all its backends
}

// forks finds the rules, and refuses, if it is strict, what would make the shares mean something else: a third backend
// with a weight. The way back is not strict: whoever else has traffic, the new version is to have none.
func (b *Gateway) forks(object *unstructured.Unstructured, r guard.Release, strict bool) (forks []fork, err error) {
	canary, err := guard.Fill(b.canary, r.Words())
	if err != nil {
		return nil, err
	}
	stable, err := guard.Fill(b.stable, r.Words())
	if err != nil {
		return nil, err
	}
	if canary == stable {
		return nil, fmt.Errorf("canary and stable are the same Service: %s", canary)
	}
	route, err := as[route](object)
	if err != nil {
		return nil, err
	}
	for i, rule := range route.Spec.Rules {
		if b.rule != "" && rule.Name != b.rule {
			continue
		}
		f := fork{rule: i, canary: -1, stable: -1}
		third := ""
		for j, backend := range rule.BackendRefs {
			weight := 1 // the API's default
			if backend.Weight != nil {
				weight = *backend.Weight
			}
			f.weights = append(f.weights, weight)
			switch {
			case b.is(backend, canary) && f.canary < 0:
				f.canary = j
			case b.is(backend, stable) && f.stable < 0:
				f.stable = j
			case weight > 0:
				third = backend.Name
			}
		}
		switch {
		case f.canary < 0 || f.stable < 0:
			if b.rule != "" {
				return nil, fmt.Errorf("the rule %s of HTTPRoute %s does not have both %s and %s as backendRefs", b.rule, b.route, canary, stable)
			}
		case third != "" && strict:
			return nil, fmt.Errorf("rule %d of HTTPRoute %s has a third backend with a weight, %s: set it to 0, or take it out", i, b.route, third)
		default:
			forks = append(forks, f)
		}
	}
	if len(forks) == 0 {
		name := "rule with both"
		if b.rule != "" {
			name = "rule called " + b.rule + " with both"
		}
		return nil, fmt.Errorf("HTTPRoute %s has no %s %s and %s as backendRefs", b.route, name, canary, stable)
	}
	return forks, nil
}

// is says whether a backend is a Service of this namespace.
func (b *Gateway) is(ref backendRef, service string) bool {
	return ref.Name == service && ref.Group == "" && (ref.Kind == "" || ref.Kind == "Service") &&
		(ref.Namespace == "" || ref.Namespace == b.namespace)
}

// weigh gives the new version a share in percent, in all forks.
func (b *Gateway) weigh(r guard.Release, percent int) change {
	return func(object *unstructured.Unstructured) (operations []operation, err error) {
		forks, err := b.forks(object, r, percent > 0)
		if err != nil {
			return nil, err
		}
		for _, f := range forks {
			for place, weight := range map[int]int{f.canary: percent, f.stable: 100 - percent} {
				if f.weights[place] != weight {
					operations = append(operations, replace(weight, "spec", "rules", strconv.Itoa(f.rule), "backendRefs", strconv.Itoa(place), "weight"))
				}
			}
		}
		return operations, nil
	}
}

// percentOf is the share of the new version. Where rules disagree it is the greatest, so that 0 means 0 in all of
// them; and 100 only when it is in all.
func percentOf(forks []fork) (percent int, detail string) {
	least := 100
	var words []string
	for _, f := range forks {
		canary, stable := f.weights[f.canary], f.weights[f.stable]
		here := share(canary, canary+stable)
		percent, least = max(percent, here), min(least, here)
		words = append(words, fmt.Sprintf("rule %d: weights %d and %d", f.rule, canary, stable))
		if canary+stable == 0 {
			words[len(words)-1] += ", so that it answers with errors only"
		}
	}
	if least != percent {
		words = append(words, "the rules disagree, which golive did not do")
		percent = min(percent, 99)
	} else if slices.ContainsFunc(forks, func(f fork) bool { return f.weights[f.canary]+f.weights[f.stable] != 100 }) {
		words = append(words, "these are not weights that golive set")
	}
	return percent, strings.Join(words, "; ")
}

// accepted is an unsettled error until every gateway has accepted the newest generation of a route.
func accepted(object *unstructured.Unstructured) error {
	route, err := as[route](object)
	if err != nil {
		return err
	}
	name, generation := object.GetName(), object.GetGeneration()
	if len(route.Status.Parents) == 0 {
		return unsettled{fmt.Errorf("no gateway has said anything about HTTPRoute %s (status.parents is empty), so the share is not known", name)}
	}
	for _, p := range route.Status.Parents {
		for _, kind := range []string{"Accepted", "ResolvedRefs"} {
			i := slices.IndexFunc(p.Conditions, func(c metav1.Condition) bool { return c.Type == kind })
			switch {
			case i < 0 || p.Conditions[i].ObservedGeneration < generation:
				return unsettled{fmt.Errorf("the gateway %s has not looked at generation %d of HTTPRoute %s yet (%s), so the share is not known", p.ParentRef.Name, generation, name, kind)}
			case p.Conditions[i].Status != metav1.ConditionTrue:
				return fmt.Errorf("the gateway %s does not take HTTPRoute %s as it is: %s is %s: %s: %s",
					p.ParentRef.Name, name, kind, p.Conditions[i].Status, p.Conditions[i].Reason, p.Conditions[i].Message)
			}
		}
	}
	return nil
}

// A route is what matters here of an HTTPRoute, gateway.networking.k8s.io/v1.
type route struct {
	Spec struct {
		Rules []struct {
			Name        string       `json:"name"`
			BackendRefs []backendRef `json:"backendRefs"`
		} `json:"rules"`
	} `json:"spec"`
	Status struct {
		Parents []struct {
			ParentRef struct {
				Name string `json:"name"`
			} `json:"parentRef"`
			Conditions []metav1.Condition `json:"conditions"`
		} `json:"parents"`
	} `json:"status"`
}

type backendRef struct {
	Group     string `json:"group"`
	Kind      string `json:"kind"`
	Name      string `json:"name"`
	Namespace string `json:"namespace"`
	Weight    *int   `json:"weight"`
}
