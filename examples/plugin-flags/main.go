// Golive-plugin-flags moves traffic with a feature flag, whose file says how much of the traffic gets which
// version: {"version": {"v1": 90, "v2": 10}}.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/golive-dev/golive/plugins"
)

var kit = plugins.Kit{
	Name:     "flags",
	Backends: map[string]func(plugins.With) (plugins.Backend, error){"flags": newBackend},
	Checks:   []plugins.Check{named},
}

func main() { plugins.Serve(kit) }

type backend struct {
	File string `json:"file"`
	Flag string `json:"flag"`
}

func newBackend(with plugins.With) (plugins.Backend, error) {
	b := &backend{File: "flags.json", Flag: "version"}
	return b, with.Decode(b)
}

func (b *backend) Inspect(ctx context.Context, r plugins.Release) (plugins.Standing, error) {
	var flags map[string]map[string]int
	text, err := os.ReadFile(b.File)
	if err == nil {
		err = json.Unmarshal(text, &flags)
	}
	shares := flags[b.Flag]
	if err == nil && shares[r.From]+shares[r.To] != 100 { // what is not known is an error, and never 0 %
		err = fmt.Errorf("%s: the flag %s does not divide 100 between %q and %q: %v", b.File, b.Flag, r.From, r.To, shares)
	}
	return plugins.Standing{Percent: shares[r.To], Undo: b.undo()}, errors.Join(err, ctx.Err())
}

func (b *backend) Shift(ctx context.Context, o plugins.Order, percent int) error {
	text, err := json.Marshal(map[string]map[string]int{b.Flag: {o.From: 100 - percent, o.To: percent}})
	if err := errors.Join(err, ctx.Err()); err != nil {
		return err
	}
	if err := os.WriteFile(b.File+".part", text, 0o644); err != nil {
		return err
	}
	return os.Rename(b.File+".part", b.File) // nobody ever reads half a file
}

func (b *backend) Finish(ctx context.Context, o plugins.Order) error { return b.Shift(ctx, o, 100) }
