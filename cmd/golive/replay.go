package main

import (
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/judge"
)

func (p *program) replayCommand() *cobra.Command {
	var set []string
	c := &cobra.Command{
		Use:   "replay [--set KEY=VALUE]... FILE|DIR...",
		Short: "Judge recorded counts again, with the same settings or others",
		Long: `replay reads recordings of counts (JSON lines, plain or .gz; the counts directory beside the journals holds
one for each rollout) and says what the judge makes of them: promote, rollback or inconclusive, when and
why. A directory is walked. With -o json it prints one line for each file.

Settings: ` + strings.Join(settingNames(), ", ") + `,
and SIGNAL.max_increase, SIGNAL.ignore_below, SIGNAL.never for a signal of the recording.`,
		Example: `  golive replay .golive/counts
  golive replay --set false_rollback=5% --set errors.max_increase=50% .golive/counts/20261124-031207-v2.jsonl`,
		Args: cobra.MinimumNArgs(1),
	}
	c.Flags().StringArrayVar(&set, "set", nil, "another value for a setting of the chapter watch (may be repeated)")
	c.RunE = func(_ *cobra.Command, args []string) error { return p.replay(args, set) }
	return c
}

func (p *program) replay(args, set []string) error {
	var base judge.Config
	for _, assignment := range set {
		if err := assign(&base, nil, assignment); err != nil {
			return err
		}
	}
	files, err := recordings(args)
	if err != nil {
		return err
	}
	out := json.NewEncoder(p.out)
	out.SetEscapeHTML(false)
	var unread error
	for _, file := range files {
		d, err := replayFile(file, set)
		switch {
		case err != nil:
			unread = errors.Join(unread, fmt.Errorf("%s: %w", file, err))
		case p.settings.Output == asJSON:
			err = out.Encode(d)
		default:
			_, err = fmt.Fprintf(p.out, "%s: %s after %s: %s\n", d.ID, d.Decision, guard.Duration(seconds(d.T).Round(time.Second)), d.Why)
		}
		if err != nil && unread == nil {
			return fail(exitInternal, "%w", err)
		}
	}
	if unread != nil {
		return fail(exitUsage, "%w", unread)
	}
	return nil
}

// replayFile judges one recording.
func replayFile(path string, set []string) (judge.Decision, error) {
	r, err := readRecording(path)
	if err != nil {
		return judge.Decision{}, err
	}
	if r.ID == "" {
		r.ID = strings.TrimSuffix(strings.TrimSuffix(filepath.Base(path), ".gz"), ".jsonl")
	}
	c := judge.Config{Signals: slices.Clone(r.Signals)}
	for _, assignment := range set {
		if err := assign(&c, r.Signals, assignment); err != nil {
			return judge.Decision{}, err
		}
	}
	return judge.Replay(r, c)
}

func readRecording(path string) (*judge.Recording, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var from io.Reader = file
	if strings.HasSuffix(path, ".gz") {
		if from, err = gzip.NewReader(file); err != nil {
			return nil, err
		}
	}
	return judge.ReadRecording(from)
}

// recordings finds the files that are meant: those named, and those of the directories named, in order.
func recordings(args []string) (files []string, err error) {
	for _, arg := range args {
		info, err := os.Stat(arg)
		if err != nil {
			return nil, fail(exitUsage, "%w", err)
		}
		if !info.IsDir() {
			files = append(files, arg)
			continue
		}
		found := len(files)
		err = filepath.WalkDir(arg, func(path string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() && (strings.HasSuffix(path, ".jsonl") || strings.HasSuffix(path, ".jsonl.gz")) {
				files = append(files, path)
			}
			return err
		})
		if err != nil {
			return nil, fail(exitUsage, "%w", err)
		}
		if len(files) == found {
			return nil, fail(exitUsage, "%s holds no recording (*.jsonl, *.jsonl.gz)", arg)
		}
	}
	return files, nil
}

// A setting is a key of the chapter watch that a replay may change.
type setting struct {
	key string
	set func(c *judge.Config, value string) error
}

var watchSettings = []setting{
	{"every", setDuration(func(c *judge.Config) *time.Duration { return &c.Every })},
	{"warmup", func(c *judge.Config, v string) error {
		err := setDuration(func(c *judge.Config) *time.Duration { return &c.Warmup })(c, v)
		c.Prewarmed = c.Warmup == 0
		return err
	}},
	{"warmup.ratio", setNumber(func(c *judge.Config) *float64 { return &c.WarmupRatio })},
	{"episodes", func(c *judge.Config, v string) error {
		err := setDuration(func(c *judge.Config) *time.Duration { return &c.Episodes })(c, v)
		c.NoEpisodes = c.Episodes == 0
		return err
	}},
	{"false_rollback", setShare(func(c *judge.Config) *float64 { return &c.FalseRollback })},
	{"split", func(c *judge.Config, v string) error { c.Split = judge.Split(v); return nil }},
	{"instances", func(c *judge.Config, v string) error { c.Instances = judge.Hosts(v); return nil }},
	{"promote.early", func(c *judge.Config, v string) error {
		early, err := strconv.ParseBool(v)
		c.FullSteps = !early
		return err
	}},
	{"promote.confidence", setShare(func(c *judge.Config) *float64 { return &c.Confidence })},
	{"promote.margin", setShare(func(c *judge.Config) *float64 { return &c.Margin })},
	{"promote.patience", setDuration(func(c *judge.Config) *time.Duration { return &c.Patience })},
	{"promote.min_step", setDuration(func(c *judge.Config) *time.Duration { return &c.MinStep })},
	{"on_too_fast", func(c *judge.Config, v string) error { c.OnTooFast = judge.OnTooFast(v); return nil }},
}

func settingNames() (names []string) {
	for _, s := range watchSettings {
		names = append(names, s.key)
	}
	return names
}

func setDuration(field func(*judge.Config) *time.Duration) func(*judge.Config, string) error {
	return func(c *judge.Config, v string) error {
		d, err := guard.ParseDuration(v)
		*field(c) = d.Std()
		return err
	}
}

func setShare(field func(*judge.Config) *float64) func(*judge.Config, string) error {
	return func(c *judge.Config, v string) error {
		s, err := guard.ParseShare(v)
		*field(c) = float64(s)
		return err
	}
}

func setNumber(field func(*judge.Config) *float64) func(*judge.Config, string) error {
	return func(c *judge.Config, v string) (err error) {
		*field(c), err = strconv.ParseFloat(v, 64)
		return err
	}
}

// assign changes one setting: KEY=VALUE. Without known signals, those of a signal are not looked at.
func assign(c *judge.Config, known []judge.Signal, assignment string) error {
	key, value, found := strings.Cut(assignment, "=")
	if !found {
		return fail(exitUsage, "--set %s: say KEY=VALUE", assignment)
	}
	for _, s := range watchSettings {
		if s.key != key {
			continue
		}
		if err := s.set(c, value); err != nil {
			return fail(exitUsage, "--set %s: %w", assignment, err)
		}
		return nil
	}
	name, field, dotted := strings.Cut(key, ".")
	if !dotted || !slices.Contains([]string{"max_increase", "ignore_below", "never"}, field) {
		return fail(exitUsage, "--set %s: there is no setting %q (%s, or SIGNAL.max_increase, SIGNAL.ignore_below, SIGNAL.never)", assignment, key, strings.Join(settingNames(), ", "))
	}
	if known == nil {
		return nil
	}
	i := slices.IndexFunc(c.Signals, func(s judge.Signal) bool { return s.Name == name })
	if i < 0 {
		return fail(exitUsage, "--set %s: the recording has no signal %q", assignment, name)
	}
	limit, err := guard.ParseShare(value)
	if err != nil {
		return fail(exitUsage, "--set %s: %w", assignment, err)
	}
	switch s := &c.Signals[i]; field {
	case "max_increase":
		s.MaxIncrease = float64(limit)
	case "ignore_below":
		s.IgnoreBelow = float64(limit)
	case "never":
		s.Never = &judge.Ceiling{Rate: float64(limit)}
	}
	return nil
}
