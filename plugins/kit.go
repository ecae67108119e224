// Package plugins is the bridge between golive and parts that other people build. A part is a Backend, a
// Source, a Notifier, a Probe, a Vault or a Check; a Kit is a set of them. golive's own table of parts is a kit,
// and so is a plugin: a program named golive-plugin-NAME whose main ends in Serve. Open starts such a program
// and returns its kit, whose parts are used like any other.
//
// A plugin needs to import no other package of golive: what its parts speak has its names here too. How to
// write one is told by README.md, beside this file; how to test one, by plugins/plugintest.
package plugins

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/golive-dev/golive/guard"
)

// A Kit is a set of parts. The makers are asked once for each part that a plan uses, with its set-up, in which
// ${NAME} has been expanded; an error is a mistake in the plan.
type Kit struct {
	Name      string // who supplies the parts, for messages
	Backends  map[string]func(guard.With) (guard.Backend, error)
	Sources   map[string]func(guard.With) (guard.Source, error)
	Notifiers map[string]func(guard.With) (guard.Notifier, error)
	Probes    map[string]func(guard.With) (guard.Probe, error)
	Vaults    map[string]func(guard.With) (guard.Vault, error)
	Checks    []guard.Check
}

// Join makes one kit of several. A name that two of them give to the same kind of part is an error, because a
// plan could not say which it means; so are needs of checks that none of the kits can meet.
func Join(kits ...Kit) (Kit, error) {
	joined := Kit{
		Backends:  make(map[string]func(guard.With) (guard.Backend, error)),
		Sources:   make(map[string]func(guard.With) (guard.Source, error)),
		Notifiers: make(map[string]func(guard.With) (guard.Notifier, error)),
		Probes:    make(map[string]func(guard.With) (guard.Probe, error)),
		Vaults:    make(map[string]func(guard.With) (guard.Vault, error)),
	}
	supplier := make(map[string]string) // by kind and name
	var mistakes []error
	claim := func(kit Kit, kind, name string) {
		key := kind + " " + name
		if other, taken := supplier[key]; taken {
			mistakes = append(mistakes, fmt.Errorf("the %s is supplied by %s and by %s", key, other, kit))
		}
		supplier[key] = kit.String()
	}
	for _, kit := range kits {
		for kind, names := range kit.names() {
			for _, name := range names {
				claim(kit, kind, name)
			}
		}
		maps.Copy(joined.Backends, kit.Backends)
		maps.Copy(joined.Sources, kit.Sources)
		maps.Copy(joined.Notifiers, kit.Notifiers)
		maps.Copy(joined.Probes, kit.Probes)
		maps.Copy(joined.Vaults, kit.Vaults)
		for _, check := range kit.Checks {
			claim(kit, "check", check.Code)
			claim(kit, "check", check.ID)
		}
		joined.Checks = append(joined.Checks, kit.Checks...)
	}
	if err := guard.CheckNeeds(joined.Checks); err != nil {
		mistakes = append(mistakes, err)
	}
	slices.SortFunc(mistakes, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return joined, errors.Join(mistakes...)
}

// String names the kit in messages.
func (k Kit) String() string {
	if k.Name == "" {
		return "a kit without name"
	}
	return k.Name
}

// kinds are those of parts, as they are called in messages.
var kinds = []string{"backend", "source", "notifier", "probe", "vault"}

// names lists the parts of a kit by their kind.
func (k Kit) names() map[string][]string {
	return map[string][]string{
		"backend":  slices.Sorted(maps.Keys(k.Backends)),
		"source":   slices.Sorted(maps.Keys(k.Sources)),
		"notifier": slices.Sorted(maps.Keys(k.Notifiers)),
		"probe":    slices.Sorted(maps.Keys(k.Probes)),
		"vault":    slices.Sorted(maps.Keys(k.Vaults)),
	}
}
