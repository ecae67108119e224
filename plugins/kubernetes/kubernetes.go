// Package kubernetes moves traffic between two versions in a Kubernetes cluster. It is four backends, one for each way
// in which clusters are run:
//
//	kubernetes-gateway     the weights of an HTTPRoute of the Gateway API
//	kubernetes-replicas    two Deployments behind one Service, by the number of their pods
//	kubernetes-deployment  one Deployment, all or nothing, as kubectl rollout undo does it
//	argo-rollouts          a Rollout of Argo, by the fields that Argo's own command line writes
//
// What they have in common is in four files. cluster.go asks the API server; order.go changes one object under its
// resourceVersion, so that nobody's change is overwritten and no order is obeyed after a newer one; undo.go tries the
// way back without going it; workload.go says which version each pod runs.
//
// A share is always read from what is – ready endpoints, weights that a controller has confirmed – and never from what
// was asked for. While a controller has not looked at the newest change, the share is not known, and Inspect says so.
package kubernetes

import (
	"github.com/golive-dev/golive/guard"
)

// Backends are all backends of this package by the names that a plan uses.
var Backends = map[string]func(guard.With) (guard.Backend, error){
	"kubernetes-gateway":    NewGateway,
	"kubernetes-replicas":   NewReplicas,
	"kubernetes-deployment": NewDeployment,
	"argo-rollouts":         NewRollout,
}
