package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/journal"
)

// A history is a journal, understood.
type history struct {
	Name   string      // of the rollout; empty: that of the file
	Path   string      // of the journal; of a rollout of a server its address
	Page   string      // of a server, for people
	Plan   *guard.Plan // the one it began with
	Events []guard.Event
	State  guard.State
	Holder journal.Holder // who goes on with it; zero if nobody does
}

// readHistory reads and folds a journal, also while somebody else adds to it.
func readHistory(path string) (*history, error) {
	h := &history{Path: path}
	for r, err := range journal.Read(path) {
		if err != nil {
			return nil, err
		}
		e, err := guard.Decode(r.At, r.Kind, r.Data)
		if err != nil {
			return nil, fmt.Errorf("%s: record %d: %w", path, r.Seq, err)
		}
		if opened, ok := e.Fact.(guard.Opened); ok && h.Plan == nil {
			if h.Plan, err = guard.ParsePlan(opened.File, []byte(opened.Plan)); err != nil {
				return nil, fmt.Errorf("%s: the plan it began with: %w", path, err)
			}
		}
		if h.Plan == nil {
			return nil, fmt.Errorf("%s does not begin with the opening of a rollout", path)
		}
		h.Events = append(h.Events, e)
		h.State = guard.Next(h.Plan, h.State, e)
	}
	if h.Plan == nil {
		return nil, fmt.Errorf("%s holds nothing", path)
	}
	holder, err := journal.Held(path)
	h.Holder = holder
	return h, err
}

// ID is the name of the rollout.
func (h *history) ID() string {
	if h.Name != "" {
		return h.Name
	}
	return strings.TrimSuffix(filepath.Base(h.Path), journal.Extension)
}

// over says that nobody needs to go on with it.
func (h *history) over() bool { return h.State.Phase == guard.Over }

// histories reads all journals of the directory, the oldest first. One that cannot be read does not hide
// the others: its error is returned beside them.
func (p *program) histories() (all []*history, broken error) {
	all, problems, err := p.historiesHere()
	if err != nil {
		return nil, err
	}
	for _, problem := range problems {
		broken = errors.Join(broken, problem)
	}
	return all, broken
}

// historiesHere reads all journals of the directory, the oldest first, and says what is wrong with those that it cannot read.
func (p *program) historiesHere() (all []*history, problems []error, err error) {
	entries, err := journal.List(p.settings.Journal)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fail(exitInternal, "%w", err)
	}
	for _, entry := range entries {
		if entry.Err == nil && entry.Summary.Records == 0 {
			continue // it never began
		}
		h, err := readHistory(entry.Path)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		all = append(all, h)
	}
	sortByBegin(all)
	return all, problems, nil
}

func sortByBegin(all []*history) {
	slices.SortStableFunc(all, func(a, b *history) int { return a.Events[0].At.Compare(b.Events[0].At) })
}

// history finds one rollout: by its name, by the beginning of its name, by the path of its journal, or, for
// "", the latest.
func (p *program) history(id string) (*history, error) {
	if strings.HasSuffix(id, journal.Extension) {
		h, err := readHistory(id)
		if err != nil {
			return nil, fail(exitUsage, "%w", err)
		}
		return h, nil
	}
	all, broken := p.histories()
	var found []*history
	for _, h := range all {
		if h.ID() == id {
			return h, nil // that another name begins with it does not matter
		}
		if strings.HasPrefix(h.ID(), id) {
			found = append(found, h)
		}
	}
	switch {
	case len(found) == 0 && broken != nil:
		return nil, fail(exitInternal, "%w", broken)
	case len(found) == 0 && id == "":
		return nil, fail(exitUsage, "no rollout in %s yet: begin one with golive rollout, or say --journal DIR", p.settings.Journal)
	case len(found) == 0:
		return nil, fail(exitUsage, "no rollout %q in %s: golive status lists them", id, p.settings.Journal)
	case len(found) > 1 && id != "":
		return nil, fail(exitUsage, "%q is the beginning of %d rollouts, among them %s and %s", id, len(found), found[0].ID(), found[1].ID())
	case id != "":
		return found[0], nil
	}
	return found[len(found)-1], nil
}

// newID names a rollout by when it began and what it brings.
func newID(now time.Time, to string) string {
	safe := strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', r == '.', r == '_', r == '-':
			return r
		}
		return '-'
	}, to)
	return now.UTC().Format("20060102-150405") + "-" + safe[:min(len(safe), 60)]
}

// keeper lets the engine write into a journal.
type keeper struct{ *journal.Journal }

func (k keeper) Append(at time.Time, kind string, data json.RawMessage) error {
	_, err := k.Journal.Append(kind, at, data)
	return err
}
