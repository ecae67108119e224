package kubernetes

import (
	"context"
	"errors"
	"fmt"

	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/golive-dev/golive/guard"
)

// A leg is one change of a way back.
type leg struct {
	target target
	change change
}

// wayBack asks for each leg whether these credentials may make its change, and has the server check the very patch
// that would be sent, admission and all, without making it. An error means that the server could not be asked.
func (c *cluster) wayBack(ctx context.Context, r guard.Release, legs ...leg) (guard.Undo, error) {
	if r.First() {
		return guard.Undo{Detail: "there is no older version to go back to"}, nil
	}
	for _, l := range legs {
		missing, err := c.missing(ctx, "patch", l.target)
		if err != nil {
			return guard.Undo{}, err
		}
		if missing != "" {
			return guard.Undo{Detail: missing}, nil
		}
	}
	for _, l := range legs {
		err := c.try(ctx, l.target, l.change)
		if refused := apierrors.APIStatus(nil); errors.As(err, &refused) {
			return guard.Undo{Detail: fmt.Sprintf("the server would refuse the change of %s: %v", l.target, err)}, nil
		}
		if closed := (noWay{}); errors.As(err, &closed) {
			return guard.Undo{Detail: closed.Error()}, nil
		}
		if err != nil {
			return guard.Undo{}, err
		}
	}
	return guard.Undo{Open: true}, nil
}

// A noWay error of a change says that there is no way back, and why.
type noWay struct{ error }

// missing says which right these credentials do not have; empty: they have it.
func (c *cluster) missing(ctx context.Context, verb string, t target) (string, error) {
	review := authorizationv1.SelfSubjectAccessReview{
		TypeMeta: metav1.TypeMeta{APIVersion: "authorization.k8s.io/v1", Kind: "SelfSubjectAccessReview"},
		Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &authorizationv1.ResourceAttributes{
			Namespace: c.namespace, Verb: verb, Name: t.name,
			Group: t.resource.Group, Resource: t.resource.Resource, Subresource: t.part,
		}},
	}
	question, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&review)
	if err != nil {
		return "", err
	}
	answer, err := c.client.Resource(reviews).Create(ctx, &unstructured.Unstructured{Object: question}, metav1.CreateOptions{})
	if err != nil {
		return "", c.explain(ctx, err)
	}
	if review, err = as[authorizationv1.SelfSubjectAccessReview](answer); err != nil || review.Status.Allowed {
		return "", err
	}
	return fmt.Sprintf("golive has no right to %s %s in the namespace %s (a Role has to grant it)", verb, t, c.namespace), nil
}
