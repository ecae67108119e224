package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/golive-dev/golive/guard"
)

// The kinds of objects that are read or written, as the API server calls them.
var (
	deployments = schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}
	replicaSets = schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "replicasets"}
	pods        = schema.GroupVersionResource{Version: "v1", Resource: "pods"}
	endpoints   = schema.GroupVersionResource{Group: "discovery.k8s.io", Version: "v1", Resource: "endpointslices"}
	autoscalers = schema.GroupVersionResource{Group: "autoscaling", Version: "v2", Resource: "horizontalpodautoscalers"}
	reviews     = schema.GroupVersionResource{Group: "authorization.k8s.io", Version: "v1", Resource: "selfsubjectaccessreviews"}
	httpRoutes  = schema.GroupVersionResource{Group: "gateway.networking.k8s.io", Version: "v1", Resource: "httproutes"}
	rollouts    = schema.GroupVersionResource{Group: "argoproj.io", Version: "v1alpha1", Resource: "rollouts"}
)

// A place is the part of every set-up that says where the objects are, and as whom they are looked at.
type place struct {
	Kubeconfig string         `json:"kubeconfig"` // path; default: the account of the pod that golive runs in, else ~/.kube/config
	Context    string         `json:"context"`    // default: the current one
	Namespace  string         `json:"namespace"`  // default: that of the context or of the pod
	Timeout    guard.Duration `json:"timeout"`    // of one request
}

// somewhere is the default of a place.
var somewhere = place{Timeout: guard.Duration(10 * time.Second)}

// A cluster is an API server, asked with the credentials that the way back will use.
type cluster struct {
	client    dynamic.Interface
	host      string
	namespace string
}

// accountDir is where a pod finds the account that it runs as.
const accountDir = "/var/run/secrets/kubernetes.io/serviceaccount"

// cluster reads credentials. It asks nobody yet.
func (p place) cluster() (*cluster, error) {
	if p.Timeout <= 0 {
		return nil, errors.New("timeout: must be longer than nothing")
	}
	config, namespace, err := p.credentials(accountDir)
	if err != nil {
		return nil, err
	}
	if p.Namespace != "" {
		namespace = p.Namespace
	}
	config.Timeout = p.Timeout.Std()
	config.UserAgent = manager
	config.QPS = -1                           // golive asks a few times a second at most, and nothing may hold up a way back
	config.WarningHandler = rest.NoWarnings{} // they would reach the person who runs golive once a tick
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("kubeconfig: %w", err)
	}
	return &cluster{client: client, host: config.Host, namespace: namespace}, nil
}

// credentials are those of a kubeconfig, or of the pod whose account lies in dir. A plugin does not see the variables
// that usually tell a pod where its API server is, so the name is used that every cluster has for it.
func (p place) credentials(dir string) (config *rest.Config, namespace string, err error) {
	token := filepath.Join(dir, "token")
	if _, err := os.Stat(token); err == nil && p.Kubeconfig == "" && p.Context == "" {
		namespace, err := os.ReadFile(filepath.Join(dir, "namespace"))
		if err != nil {
			return nil, "", fmt.Errorf("namespace: %w", err)
		}
		return &rest.Config{
			Host:            "https://kubernetes.default.svc",
			BearerTokenFile: token,
			TLSClientConfig: rest.TLSClientConfig{CAFile: filepath.Join(dir, "ca.crt")},
		}, strings.TrimSpace(string(namespace)), nil
	}
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = p.Kubeconfig
	loader := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: p.Context})
	if config, err = loader.ClientConfig(); clientcmd.IsEmptyConfig(err) {
		return nil, "", errors.New("kubeconfig: missing, and there is no ~/.kube/config (the path of a file that kubectl can use)")
	}
	if err != nil {
		return nil, "", fmt.Errorf("kubeconfig: %w", err)
	}
	if namespace, _, err = loader.Namespace(); err != nil {
		return nil, "", fmt.Errorf("kubeconfig: %w", err)
	}
	return config, namespace, nil
}

func (c *cluster) in(r schema.GroupVersionResource) dynamic.ResourceInterface {
	return c.client.Resource(r).Namespace(c.namespace)
}

// get reads one object.
func (c *cluster) get(ctx context.Context, r schema.GroupVersionResource, name string) (*unstructured.Unstructured, error) {
	object, err := c.in(r).Get(ctx, name, metav1.GetOptions{})
	return object, c.explain(ctx, err)
}

// list reads all objects that a selector finds. An empty list is an answer.
func (c *cluster) list(ctx context.Context, r schema.GroupVersionResource, selector string) ([]unstructured.Unstructured, error) {
	list, err := c.in(r).List(ctx, metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		return nil, c.explain(ctx, err)
	}
	return list.Items, nil
}

// listAs reads all objects that a selector finds into a type of theirs.
func listAs[T any](ctx context.Context, c *cluster, r schema.GroupVersionResource, selector string) ([]T, error) {
	items, err := c.list(ctx, r, selector)
	if err != nil {
		return nil, err
	}
	typed := make([]T, len(items))
	for i := range items {
		if typed[i], err = as[T](&items[i]); err != nil {
			return nil, err
		}
	}
	return typed, nil
}

// as reads an object into a type of its own.
func as[T any](object *unstructured.Unstructured) (typed T, err error) {
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &typed); err != nil {
		return typed, fmt.Errorf("%s %s is not what its kind says: %w", object.GetKind(), object.GetName(), err)
	}
	return typed, nil
}

// explain says which cluster an error came from, and why a call ended that was given up.
func (c *cluster) explain(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	}
	return fmt.Errorf("kubernetes at %s: %w", c.host, err)
}

// pollEvery is how often a change is looked for.
const pollEvery = 200 * time.Millisecond

// await asks until there is nothing left to wait for. The error of a wait that was given up says what was missing.
func await(ctx context.Context, missing func() (string, error)) error {
	var last string
	for {
		left, err := missing()
		switch {
		case err != nil && ctx.Err() != nil && last != "":
			return fmt.Errorf("%w, waiting for this: %s", context.Cause(ctx), last)
		case err != nil || left == "":
			return err
		}
		last = left
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w, waiting for this: %s", context.Cause(ctx), last)
		case <-time.After(pollEvery):
		}
	}
}

// settleTime is how long Inspect waits for controllers to look at the newest change, before it says that they do not.
const settleTime = 3 * time.Second

// An unsettled error says that the share is not known for the moment, because a change is under way.
type unsettled struct{ error }

// settled asks again for a while as long as a change is under way.
func settled[T any](ctx context.Context, look func() (T, error)) (T, error) {
	for end := time.Now().Add(settleTime); ; {
		seen, err := look()
		if change := (unsettled{}); !errors.As(err, &change) || time.Now().After(end) {
			return seen, err
		}
		select {
		case <-ctx.Done():
			return seen, err
		case <-time.After(pollEvery):
		}
	}
}
