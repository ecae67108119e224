// golive-plugin-kubernetes is the plugin that moves traffic in Kubernetes clusters. It is a program of its own, for
// golive to stay small: what Kubernetes needs is as much as all the rest.
package main

import (
	"github.com/golive-dev/golive/plugins"
	"github.com/golive-dev/golive/plugins/kubernetes"
)

func main() {
	plugins.Serve(plugins.Kit{Name: "kubernetes", Backends: kubernetes.Backends})
}
