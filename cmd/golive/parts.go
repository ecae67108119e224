package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/golive-dev/golive/checks"
	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/engine"
	"github.com/golive-dev/golive/guard/report"
	"github.com/golive-dev/golive/plugins"
	"github.com/golive-dev/golive/plugins/accesslog"
	"github.com/golive-dev/golive/plugins/alertmanager"
	"github.com/golive-dev/golive/plugins/borg"
	"github.com/golive-dev/golive/plugins/cdevents"
	"github.com/golive-dev/golive/plugins/chat"
	"github.com/golive-dev/golive/plugins/command"
	"github.com/golive-dev/golive/plugins/disk"
	"github.com/golive-dev/golive/plugins/dump"
	"github.com/golive-dev/golive/plugins/email"
	"github.com/golive-dev/golive/plugins/file"
	"github.com/golive-dev/golive/plugins/flagd"
	"github.com/golive-dev/golive/plugins/github"
	"github.com/golive-dev/golive/plugins/haproxy"
	"github.com/golive-dev/golive/plugins/http"
	"github.com/golive-dev/golive/plugins/nginx"
	"github.com/golive-dev/golive/plugins/pgbackrest"
	"github.com/golive-dev/golive/plugins/prometheus"
	"github.com/golive-dev/golive/plugins/releases"
	"github.com/golive-dev/golive/plugins/restic"
	"github.com/golive-dev/golive/plugins/sarif"
	"github.com/golive-dev/golive/plugins/scrape"
	"github.com/golive-dev/golive/plugins/stdout"
	"github.com/golive-dev/golive/plugins/tail"
	"github.com/golive-dev/golive/plugins/tls"
	"github.com/golive-dev/golive/plugins/velero"
)

// builtin is the table of the parts that need no plugin.
func builtin(out io.Writer) plugins.Kit {
	return plugins.Kit{
		Backends: map[string]func(guard.With) (guard.Backend, error){
			"command":  command.NewBackend,
			"flagd":    flagd.NewBackend,
			"github":   github.NewBackend,
			"haproxy":  haproxy.NewBackend,
			"http":     http.NewBackend,
			"nginx":    nginx.NewBackend,
			"releases": releases.NewBackend,
		},
		Sources: map[string]func(guard.With) (guard.Source, error){
			"log":        accesslog.NewSource,
			"prometheus": prometheus.NewSource,
			"scrape":     scrape.NewSource,
		},
		Notifiers: map[string]func(guard.With) (guard.Notifier, error){
			"alertmanager": alertmanager.NewNotifier,
			"cdevents":     cdevents.NewNotifier,
			"chat":         chat.NewNotifier,
			"email":        email.NewNotifier,
			"github":       github.NewNotifier,
			"http":         http.NewNotifier,
			"stdout":       stdout.NewNotifier(out),
		},
		Probes: map[string]func(guard.With) (guard.Probe, error){
			"alerts":             alertmanager.NewProbe,
			"command":            command.NewProbe,
			"disk":               disk.NewProbe,
			"github-alerts":      github.NewAlerts,
			"github-environment": github.NewEnvironment,
			"github-reviews":     github.NewReviews,
			"github-status":      github.NewStatus,
			"http":               http.NewProbe,
			"sarif":              sarif.NewProbe,
			"tail":               tail.NewProbe,
			"tls":                tls.NewProbe,
		},
		Vaults: map[string]func(guard.With) (guard.Vault, error){
			"borg":       borg.NewVault,
			"command":    command.NewVault,
			"dump":       dump.NewVault,
			"file":       file.NewVault,
			"pgbackrest": pgbackrest.NewVault,
			"restic":     restic.NewVault,
			"velero":     velero.NewVault,
		},
		Checks: checks.All(),
	}
}

// restorers are the parts that bring data back. They run as part of golive only: what they restore is too much, and
// takes too long, to be carried over from a plugin.
var restorers = map[string]func(guard.With) (guard.Restorer, error){
	"command": command.NewRestorer,
}

// collectors are the parts that gather evidence. They run as part of golive only, too: what they bring is too much to be
// carried over.
var collectors = map[string]func(guard.With) (guard.Collector, error){
	"command": command.NewCollector,
	"tail":    tail.NewCollector,
}

// kit is every part that a plan can name: ours, and those of the plugins it lists. Behind the checks of these are
// the plan's own. The caller closes it.
func (p *program) kit(ctx context.Context, plan *guard.Plan) (plugins.Kit, func(), error) {
	kits := []plugins.Kit{builtin(p.err)}
	var closers []func()
	closeAll := func() {
		for _, c := range slices.Backward(closers) {
			c()
		}
	}
	for i := range plan.Plugins {
		kit, closeIt, err := p.open(ctx, plan, i)
		if err != nil {
			closeAll()
			return plugins.Kit{}, nil, err
		}
		closers = append(closers, closeIt)
		kits = append(kits, kit)
	}
	kit, err := plugins.Join(kits...)
	if err != nil {
		closeAll()
		return plugins.Kit{}, nil, fail(exitUsage, "%w", err)
	}
	kit.Checks = append(kit.Checks, plan.Extras()...)
	return kit, closeAll, nil
}

// open starts one plugin of a plan. The caller closes it.
func (p *program) open(ctx context.Context, plan *guard.Plan, i int) (plugins.Kit, func(), error) {
	plugin := plan.Plugins[i]
	kit, closeIt, err := plugins.Open(ctx, plugin.Name, p.optionsOf(plugin))
	if err != nil {
		return kit, nil, fail(exitUnknown, "%splugin %s: %w", at(plan, fmt.Sprintf("plugins[%d]", i)), plugin.Name, p.secrets.error(err))
	}
	return kit, closeIt, nil
}

// optionsOf are how a plugin is started that a plan lists.
func (p *program) optionsOf(plugin guard.Plugin) plugins.Options {
	for _, name := range plugin.Env {
		p.secrets.from(p.env)(name)
	}
	return plugins.Options{
		SHA256: plugin.SHA256,
		Env:    plugin.Env,
		Log:    func(line plugins.Line) { fmt.Fprintf(p.err, "%s: %s\n", plugin.Name, p.secrets.name(line.String())) },
	}
}

// parts makes what a plan names. This is where ${NAME} meets the environment. The caller closes them.
func (p *program) parts(ctx context.Context, plan *guard.Plan) (engine.Parts, func(), error) {
	p.secrets.of(plan, p.env) // it may be the plan of a journal
	kit, closeKit, err := p.kit(ctx, plan)
	if err != nil {
		return engine.Parts{}, nil, err
	}
	made, err := p.assemble(plan, kit)
	if err != nil {
		closeKit()
		return engine.Parts{}, nil, err
	}
	return made, closeKit, nil
}

func (p *program) assemble(plan *guard.Plan, kit plugins.Kit) (made engine.Parts, err error) {
	for _, check := range kit.Checks {
		made.Checks = append(made.Checks, p.secrets.check(check))
	}
	made.Vault = func(part guard.Part) (guard.Vault, error) { return makePart(p, plan, "", kit.Vaults, part) }
	made.Ledger = func() (guard.Ledger, error) { return p.knownLedger(plan) }
	made.Plans = func() ([]string, error) { return otherPlans(plan) }
	made.Probe = func(part guard.Part) (guard.Probe, error) { return makePart(p, plan, "", kit.Probes, part) }
	made.Restorer = func(part guard.Part) (guard.Restorer, error) { return makePart(p, plan, "", restorers, part) }
	if made.Backend, err = makePart(p, plan, "rollout.backend", kit.Backends, plan.Rollout.Backend); err != nil {
		return made, err
	}
	sources := following(kit.Sources, made.Backend)
	if made.Source, err = makePart(p, plan, "watch.source", sources, plan.Watch.Source); err != nil {
		return made, err
	}
	if plan.Watch.Fallback != nil {
		if made.Fallback, err = makePart(p, plan, "watch.fallback", sources, *plan.Watch.Fallback); err != nil {
			return made, err
		}
	}
	for i, part := range plan.Rollout.Verify {
		probe, err := makePart(p, plan, fmt.Sprintf("rollout.verify[%d]", i), kit.Probes, part)
		if err != nil {
			return made, err
		}
		made.Verify = append(made.Verify, probe)
	}
	for i := range plan.Notify {
		notifier, err := p.notifier(plan, kit, i)
		if err != nil {
			return made, err
		}
		made.Notifiers = append(made.Notifiers, notifier)
	}
	err = p.recovers(plan, kit, &made)
	return made, err
}

// notifier makes a channel of the plan.
func (p *program) notifier(plan *guard.Plan, kit plugins.Kit, i int) (guard.Notifier, error) {
	channel := plan.Notify[i]
	notifier, err := makePart(p, plan, fmt.Sprintf("notify[%d]", i), kit.Notifiers, channel.Part)
	if err == nil && (channel.Use != "stdout" || p.terminal(p.err) == nil) {
		notifier = discreetNotifier{notifier, report.DiscreetText(plan)}
	}
	return notifier, err
}

// following are makers of sources, of which those that can follow the backend's list of instances do.
func following(makers map[string]func(guard.With) (guard.Source, error), backend guard.Backend) map[string]func(guard.With) (guard.Source, error) {
	lister, _ := backend.(guard.Lister) // nil: it lists nothing
	table := make(map[string]func(guard.With) (guard.Source, error), len(makers))
	for name, maker := range makers {
		table[name] = func(with guard.With) (guard.Source, error) {
			source, err := maker(with)
			if follower, follows := source.(guard.Follower); follows && err == nil {
				err = follower.Follow(lister)
			}
			return source, err
		}
	}
	return table
}

// makePart makes one part, which keeps to itself what it learns from the environment. Path is its place in the
// plan, for messages; "" if it has none.
func makePart[T any](p *program, plan *guard.Plan, path string, makers map[string]func(guard.With) (T, error), part guard.Part) (made T, err error) {
	maker := makers[part.Use]
	if maker == nil {
		known := strings.Join(slices.Sorted(maps.Keys(makers)), ", ")
		return made, fail(exitUsage, "%s%q is not a part that can be used here (%s, or one of a plugin: golive plugins)", at(plan, path), part.Use, known)
	}
	with, err := part.With.Expand(p.secrets.from(p.env))
	if err != nil {
		return made, fail(exitUsage, "%s%w", at(plan, path), err)
	}
	if made, err = maker(with); err != nil {
		return made, fail(exitUsage, "%s%s: %w", at(plan, path), part.Use, p.secrets.error(err))
	}
	return keepQuiet(&p.secrets, made), nil
}

// at is the place of a key in a plan, as the beginning of a message.
func at(plan *guard.Plan, path string) string {
	if path == "" {
		return ""
	}
	where := plan.Position(path)
	return fmt.Sprintf("%s:%d:%d: %s: ", plan.File(), where.Line, where.Column, path)
}
