package main

import (
	"io"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/golive-dev/golive/plugins"
)

// TestGuide holds the table of the guide to the table of parts: golive plugins describe takes the set-up of a part
// from the one, and its kinds from the other.
func TestGuide(t *testing.T) {
	kit := builtin(io.Discard)
	var all []string
	for _, some := range [][]string{names(kit.Backends), names(kit.Sources), names(kit.Notifiers), names(kit.Probes), names(kit.Vaults), names(restorers), names(collectors)} {
		all = append(all, some...)
	}
	slices.Sort(all)
	all = slices.Compact(all)
	for _, name := range all {
		part, _ := builtinNamed(name)
		if part.With == "" {
			t.Errorf("plugins/README.md has no row for %s", name)
		}
		if row := "| `" + name + "` | " + strings.Join(part.Kinds, ", ") + " | "; !strings.Contains(plugins.Guide, row) {
			t.Errorf("plugins/README.md has no row that begins with %s", row)
		}
	}
	if rows := slices.Sorted(maps.Keys(setUps())); !slices.Equal(rows, all) {
		t.Errorf("plugins/README.md has rows for %q, and golive has %q", rows, all)
	}
}
