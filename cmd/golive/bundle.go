package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/golive-dev/golive/checks"
	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/bundle"
	"github.com/golive-dev/golive/guard/report"
)

// clearBundle removes the bundle of an earlier call, which nobody may take for the one of this, and sees to it that
// there is a place for a new one.
func (p *program) clearBundle(name string) error {
	if name == "" {
		return nil
	}
	if dir, err := os.Stat(filepath.Dir(name)); err != nil || !dir.IsDir() {
		return fail(exitUsage, "--save %s: there is no directory %s", name, filepath.Dir(name))
	}
	old, err := os.Stat(name)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fail(exitUsage, "--save: %w", err)
	}
	if of, err := os.Stat(p.settings.Plan); err == nil && os.SameFile(old, of) {
		return fail(exitUsage, "--save %s: that is the plan; name another file", name)
	}
	if !old.Mode().IsRegular() {
		return fail(exitUsage, "--save %s: that is no file; name another one", name)
	}
	if err := os.Remove(name); err != nil {
		return fail(exitUsage, "--save: %w", err)
	}
	return nil
}

// keep writes the bundle of a check.
func (p *program) keep(call checkCall, m matter, r *bundle.Recorder, a report.Assessment, over error) error {
	manifest := bundle.Manifest{
		Version: a.Version, Only: call.which.only, Skip: call.which.skip, Strict: call.strict, BreakGlass: m.glass, Fence: m.fence,
	}
	var e *exit
	if errors.As(over, &e) {
		manifest.Over = &bundle.Over{Code: e.code, Reason: e.Error()}
	}
	known := slices.Concat(checks.All(), m.plan.Extras())
	foreign := func(c guard.Check) bool {
		return !slices.ContainsFunc(known, func(o guard.Check) bool { return o.ID == c.ID })
	}
	var packed bytes.Buffer
	err := r.Bundle(manifest, m.source, m.checks, foreign, a.Findings).Write(&packed)
	if err == nil {
		err = writeWhole(call.save, packed.Bytes(), 0o600)
	}
	if err != nil {
		return fmt.Errorf("save %s: %w", call.save, err)
	}
	return nil
}

// kept is the release of a bundle, and everything that is known about it.
func (p *program) kept(_ context.Context, call *checkCall) (matter, error) {
	file, err := os.Open(call.replay)
	if err != nil {
		return matter{}, fail(exitUsage, "--replay: %w", err)
	}
	defer file.Close()
	b, err := bundle.Read(file)
	if err != nil {
		return matter{}, fail(exitUsage, "--replay %s: %w", call.replay, err)
	}
	plan, err := guard.ParsePlan(guard.Line(b.File, 1000), b.Plan)
	if err != nil {
		return matter{}, fail(exitUsage, "--replay %s: the plan in it: %w", call.replay, err)
	}
	if call.otherPlan {
		with := plan.Plugins
		if plan, _, err = p.readPlan(); err != nil {
			return matter{}, err
		}
		for i, plugin := range plan.Plugins {
			if !slices.ContainsFunc(with, func(other guard.Plugin) bool { return other.Name == plugin.Name }) {
				return matter{}, fail(exitUsage, "%sthe bundle knows nothing of the plugin %s, so its checks cannot be replayed: take it out of this plan",
					at(plan, fmt.Sprintf("plugins[%d]", i)), plugin.Name)
			}
		}
	}
	all, err := b.All(checks.All())
	if err != nil {
		return matter{}, fail(exitUsage, "--replay %s: %w", call.replay, err)
	}
	if err := plan.Fits(all); err != nil {
		return matter{}, fail(exitUsage, "--replay %s: %w", call.replay, err)
	}
	all = append(all, plan.Extras()...)
	if !call.otherPlan {
		if err := b.Repeat(all); err != nil {
			return matter{}, fail(exitUsage, "--replay %s: %w", call.replay, err)
		}
	}
	for i := range all {
		all[i] = p.secrets.check(all[i]) // what a stranger wrote is made fit for a terminal
	}
	if !call.chosen {
		call.which = selection{b.Only, b.Skip}
	}
	if !call.weighed {
		call.strict = b.Strict
	}
	if ours := version(); b.Version != ours {
		fmt.Fprintf(p.err, "golive: golive %s saved this bundle, and %s judges it: the findings may differ\n", guard.Line(b.Version, 40), ours)
	}
	scene := b.Scene(plan)
	m := matter{plan: plan, release: scene.Release, glass: b.BreakGlass, checks: all, close: func() {}, scene: func(context.Context) guard.Scene { return scene }}
	if _, known := fenceMeans[b.Fence]; known && !call.otherPlan { // which may have another backend
		m.fence = b.Fence
	}
	if b.Over != nil {
		m.over = fail(b.Over.Code, "%s", guard.Line(b.Over.Reason, 200))
	}
	return m, nil
}
