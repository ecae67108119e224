package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/golive-dev/golive/guard"
)

// Plans are the plans of a directory, or one plan in a file of its own. They are read again when they change. A plan
// that has become wrong is left as it was, and said to be wrong: a slip of the keyboard takes no service out of guard.
type Plans struct {
	path string

	mu    sync.Mutex
	files map[string]*planFile
}

// A planFile is a file that holds a plan, or should.
type planFile struct {
	size     int64
	changed  time.Time
	text     string      // of plan
	plan     *guard.Plan // the latest that was right; nil: there was none
	mistakes error       // of what the file holds now
}

// largestPlan is the most that a plan may have, in bytes.
const largestPlan = 1 << 20

// ReadPlans reads all plans of a directory: the files *.yaml and *.yml in it, and golive.yaml in the directories
// below it, to a depth of three. A file is a plan alone. The error says which of them are wrong; the others can be
// used. If there is no such place, or nothing in it, there are no plans.
func ReadPlans(path string) (*Plans, error) {
	p := &Plans{path: path, files: map[string]*planFile{}}
	_, err := p.look()
	return p, err
}

// reloadEvery is how often a server looks for plans that have changed.
const reloadEvery = 2 * time.Second

// watch keeps the plans as the files are.
func (p *Plans) watch(ctx context.Context, log *slog.Logger) {
	for pause(ctx, reloadEvery) {
		changed, err := p.look()
		for _, name := range changed {
			log.Info("read the plan anew; rollouts under way keep the one they began with", "file", name)
		}
		if err != nil && len(changed) > 0 {
			log.Error("plans with mistakes keep the form in which they were right", "error", err)
		}
	}
}

// look reads what has changed, and says which files that were.
func (p *Plans) look() (changed []string, err error) {
	names, err := planNames(p.path)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	var mistakes []error
	for _, name := range names {
		info, err := os.Stat(name) // through symbolic links, which is how a ConfigMap is laid out
		if err != nil || !info.Mode().IsRegular() {
			continue
		}
		file := p.files[name]
		if file == nil {
			file = &planFile{}
			p.files[name] = file
		}
		if file.size != info.Size() || !file.changed.Equal(info.ModTime()) {
			changed = append(changed, name)
			file.size, file.changed = info.Size(), info.ModTime()
			file.read(name)
		}
		mistakes = append(mistakes, file.mistakes)
	}
	for name := range p.files {
		if !slices.Contains(names, name) {
			changed = append(changed, name)
			delete(p.files, name)
		}
	}
	slices.Sort(changed)
	return changed, errors.Join(mistakes...)
}

func (f *planFile) read(name string) {
	if f.size > largestPlan {
		f.mistakes = fmt.Errorf("%s has %d bytes, and a plan may have %d", name, f.size, largestPlan)
		return
	}
	text, err := os.ReadFile(name)
	if err != nil {
		f.mistakes = err
		return
	}
	plan, err := guard.ParsePlan(name, text)
	if f.mistakes = err; err == nil {
		f.plan, f.text = plan, string(text)
	}
}

// deepest is how far below the directory a plan may lie.
const deepest = 3

func planNames(path string) (names []string, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("read the plans: %w", err)
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	err = filepath.WalkDir(path, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		inside, _ := filepath.Rel(path, name)
		depth := strings.Count(inside, string(filepath.Separator))
		base, ext := filepath.Base(name), filepath.Ext(name)
		switch {
		case entry.IsDir() && name != path && (strings.HasPrefix(base, ".") || depth >= deepest):
			return filepath.SkipDir
		case entry.IsDir():
		case base == "golive.yaml", depth == 0 && (ext == ".yaml" || ext == ".yml"):
			names = append(names, name)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the plans: %w", err)
	}
	return names, nil
}

// A Chosen plan, with the text that a rollout keeps.
type Chosen struct {
	Plan *guard.Plan
	Text string
	File string
}

// All returns the plans that can be used, in the order of their files.
func (p *Plans) All() (all []Chosen) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for name, f := range p.files {
		if f.plan != nil {
			all = append(all, Chosen{f.plan, f.text, name})
		}
	}
	slices.SortFunc(all, func(a, b Chosen) int { return strings.Compare(a.File, b.File) })
	return all
}

// Mistakes says what is wrong with the files as they are now.
func (p *Plans) Mistakes() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var mistakes []error
	for _, f := range p.files {
		mistakes = append(mistakes, f.mistakes)
	}
	return errors.Join(mistakes...)
}

// For returns the plan of a service, and environment if that is not empty. The error is a guard.ErrNoPlan that says
// what there is.
func (p *Plans) For(service, environment string) (Chosen, error) {
	var found []Chosen
	var known []string
	for _, c := range p.All() {
		known = append(known, target(c.Plan.Service, c.Plan.Environment))
		if c.Plan.Service == service && (environment == "" || c.Plan.Environment == environment) {
			found = append(found, c)
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1 && found[0].Plan.Environment == found[1].Plan.Environment:
		return Chosen{}, fmt.Errorf("%w: %s and %s are both for %s, so remove one of them", guard.ErrNoPlan, found[0].File, found[1].File,
			target(service, found[0].Plan.Environment))
	case len(found) > 1:
		return Chosen{}, fmt.Errorf("%w: %d plans fit, so say which environment (%s and %s are two of them)", guard.ErrNoPlan, len(found), found[0].File, found[1].File)
	case len(known) == 0:
		return Chosen{}, fmt.Errorf("%w: the server has no plans", guard.ErrNoPlan)
	}
	const some = 5
	if len(known) > some {
		known = append(known[:some], "...")
	}
	return Chosen{}, fmt.Errorf("%w: none is for %q; there are %s", guard.ErrNoPlan, guard.Line(target(service, environment), 200), strings.Join(known, ", "))
}

// target is what one rollout at a time may change.
func target(service, environment string) string {
	return service + "/" + environment
}

// targetOf is what a rollout is about.
func targetOf(s guard.State) string { return target(s.Release.Service, s.Release.Environment) }
