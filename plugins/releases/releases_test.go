//go:build linux

package releases

import (
	"testing"

	"github.com/golive-dev/golive/plugins"
	"github.com/golive-dev/golive/plugins/plugintest"
)

func TestContract(t *testing.T) {
	for supervisor, hosts := range map[string]int{"runit": 2, "supervisor": 1, "s6": 1, "command": 1} {
		t.Run(supervisor, func(t *testing.T) {
			plugintest.Both(t, kit, func(t *testing.T, kit plugins.Kit) {
				w := newWorld(t, supervisor, hosts)
				plugintest.Backend(t, plugintest.Make(t, kit.Backends["releases"], w.with()), plugintest.BackendCase{Fenced: true})
			})
		})
	}
}
