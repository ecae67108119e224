// Package accesslog makes a source that counts requests in the access log of a server or a proxy, for services that
// expose no metrics. Where they do, use plugins/scrape or plugins/prometheus: a log tells nothing of requests that
// were never answered.
//
// It offers the signals of a plan two metrics: log_requests_total with the label status and those that the set-up
// names, and the histogram log_request_duration_seconds with the same; the gauge log_unreadable_lines says how many
// lines were not understood. They count from when golive began to read. The source itself keeps the arms apart, so that
// selectors need no $version.
package accesslog

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/golive-dev/golive/guard"
)

// staleness is for how long a log may be without a new line before it is no data: its server may write elsewhere.
const staleness = 5 * time.Minute

// Source reads logs. What it has counted lives as long as it does.
type Source struct {
	settings settings
	format   format

	mu      sync.Mutex
	release guard.Release // that the logs are being read for
	bounds  []float64
	logs    []*accessLog
}

var (
	_ guard.Source = (*Source)(nil)
	_ guard.Clock  = (*Source)(nil)
)

// settings are the set-up of a source.
type settings struct {
	Files       []guard.Template `json:"files"`
	CanaryFiles []guard.Template `json:"canary_files"`
	StableFiles []guard.Template `json:"stable_files"`
	Format      string           `json:"format"`
	Regexp      string           `json:"regexp"`
	Fields      fields           `json:"fields"`
	Labels      []string         `json:"labels"`
	Canary      []guard.Template `json:"canary"`
	Stable      []guard.Template `json:"stable"`
}

// fields say what the fields of a line are called. At most one of the durations is set.
type fields struct {
	Status       string `json:"status"`
	Arm          string `json:"arm"`
	Seconds      string `json:"seconds"`
	Milliseconds string `json:"milliseconds"`
	Microseconds string `json:"microseconds"`
	Nanoseconds  string `json:"nanoseconds"`
}

// NewSource reads {files, fields, canary, stable} or {canary_files, stable_files, fields}, and {format, regexp, labels}.
// Files are logs of both versions, whose requests are told apart by the field that fields.arm names, such as
// upstream_addr: patterns under canary and stable say what it holds for the one and for the other, {{.To}} and
// {{.From}} unless said otherwise. Canary_files and stable_files are logs of one version each. Format is json, common
// or combined; or regexp has a group (?P<name>...) for each field. Fields.status names the status, one of
// fields.seconds, .milliseconds, .microseconds and .nanoseconds the duration. Labels are further fields that
// selectors may ask for, of few values each.
func NewSource(with guard.With) (guard.Source, error) {
	s := settings{Fields: fields{Status: "status"}}
	err := with.Decode(&s)
	if len(s.Files) > 0 && s.Canary == nil {
		s.Canary = []guard.Template{"{{.To}}"}
	}
	if len(s.Files) > 0 && s.Stable == nil {
		s.Stable = []guard.Template{"{{.From}}"}
	}
	made, mistake := newFormat(s)
	if err := errors.Join(err, mistake, s.check()); err != nil {
		return nil, err
	}
	return &Source{settings: s, format: made}, nil
}

// check says what is wrong with the logs and labels of a set-up.
func (s settings) check() error {
	var mistakes []error
	must := func(ok bool, format string, args ...any) {
		if !ok {
			mistakes = append(mistakes, fmt.Errorf(format, args...))
		}
	}
	both, canary, stable := len(s.Files) > 0, len(s.CanaryFiles) > 0, len(s.StableFiles) > 0
	must(both != (canary && stable) && canary == stable, "files: write either files, or both canary_files and stable_files")
	must(!both || s.Fields.Arm != "", "fields.arm: missing (the field that tells the versions apart, such as upstream_addr)")
	must(both || s.Fields.Arm == "" && s.Canary == nil && s.Stable == nil,
		"fields.arm: the files tell the versions apart already (remove it, canary and stable)")
	must(s.Fields.Status != "", "fields.status: missing (the field that holds the status)")
	for _, l := range s.Labels {
		must(labelForm.MatchString(l) && l != "status" && l != "instance" && l != "le",
			"labels: %q cannot be a label (letters, digits and underscores; status and instance are there already)", l)
	}
	_, _, err := s.logs(guard.Release{ID: "x", Service: "x", Environment: "x", From: "x", To: "x"})
	return errors.Join(append(mistakes, err)...)
}

var labelForm = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// fill puts the words of a release into templates, and holds each text to a rule.
func fill(key string, templates []guard.Template, r guard.Release, rule func(text string) error) (texts []string, err error) {
	for i, t := range templates {
		text, err := guard.Fill(t, r.Words())
		if err == nil && text == "" {
			err = errors.New("this is empty")
		}
		if err == nil && slices.Contains(texts, text) {
			err = fmt.Errorf("%s is listed twice", text)
		}
		if err == nil {
			err = rule(text)
		}
		if err != nil {
			return nil, fmt.Errorf("%s[%d]: %w", key, i, err)
		}
		texts = append(texts, text)
	}
	return texts, nil
}

// isPattern is the rule for instances.
func isPattern(text string) error {
	if _, err := path.Match(text, ""); err != nil {
		return fmt.Errorf("%q is neither a name nor a pattern like 10.0.0.7:*", text)
	}
	return nil
}

// isFile is the rule for logs.
func isFile(text string) error {
	if strings.ContainsAny(text, "*?[") {
		return fmt.Errorf("%q is a pattern, and has to be one file", text)
	}
	return nil
}

// logs are those of a release, by the arm whose requests they hold; what is under "" holds those of both, which the
// patterns tell apart.
func (s settings) logs(r guard.Release) (paths map[guard.Arm][]string, patterns map[guard.Arm][]string, err error) {
	paths, patterns = make(map[guard.Arm][]string), make(map[guard.Arm][]string)
	var mistakes []error
	for _, list := range []struct {
		into      map[guard.Arm][]string
		arm       guard.Arm
		key       string
		templates []guard.Template
		rule      func(string) error
	}{
		{paths, "", "files", s.Files, isFile},
		{paths, guard.Canary, "canary_files", s.CanaryFiles, isFile},
		{paths, guard.Baseline, "stable_files", s.StableFiles, isFile},
		{patterns, guard.Canary, "canary", s.Canary, isPattern},
		{patterns, guard.Baseline, "stable", s.Stable, isPattern},
	} {
		if list.arm == guard.Baseline && r.First() {
			continue // it has none
		}
		texts, err := fill(list.key, list.templates, r, list.rule)
		list.into[list.arm] = texts
		mistakes = append(mistakes, err)
	}
	return paths, patterns, errors.Join(mistakes...)
}

// Read reads the lines that are new since the last time. At the first time it only learns, from the last lines of each
// log, which instances there are: they count from 0, so that a golive that was started again counts no line twice. A
// log that cannot be read, and one without a new line for 5 minutes, has no data; that none can be read is an error,
// and so is a log of whose new lines more than one in twenty is not understood.
func (s *Source) Read(ctx context.Context, q guard.Query) (guard.Reading, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return guard.Reading{}, err
	}
	if wanted := boundsFor(q.Signals); s.logs == nil || s.release != q.Release || !covers(s.bounds, wanted) {
		if err := s.begin(q.Release, wanted); err != nil {
			return guard.Reading{}, err
		}
	}
	reading := guard.Reading{At: time.Now()}
	samples := make(map[guard.Arm][]guard.Sample)
	var unread []error
	for _, l := range s.logs {
		modified, err := l.read(ctx, reading.At)
		var garbled *garbledError
		switch {
		case errors.As(err, &garbled) || ctx.Err() != nil:
			return guard.Reading{}, cmp.Or(context.Cause(ctx), err)
		case err != nil:
			unread = append(unread, err)
		case reading.At.Sub(modified) <= staleness:
			l.samples(samples, reading.At)
		}
	}
	if len(unread) == len(s.logs) {
		return guard.Reading{}, fmt.Errorf("no log can be read: %w", errors.Join(unread...))
	}
	for _, signal := range q.Signals {
		for _, arm := range []guard.Arm{guard.Canary, guard.Baseline} {
			selection, err := signal.Select(q.Release, arm)
			if err != nil {
				return guard.Reading{}, err
			}
			reading.Series = append(reading.Series, signal.Assemble(selection, arm, samples[arm])...)
		}
	}
	return reading, nil
}

// begin lets go of what was counted, and of the files, and begins for a release.
func (s *Source) begin(r guard.Release, bounds []float64) error {
	paths, patterns, err := s.settings.logs(r)
	if err != nil {
		return err
	}
	for _, l := range s.logs {
		l.close()
	}
	s.release, s.bounds, s.logs = r, bounds, nil
	for arm, paths := range paths {
		arms := patterns
		if arm != "" {
			arms = map[guard.Arm][]string{arm: {""}} // its lines name no instance
		}
		for _, p := range paths {
			s.logs = append(s.logs, &accessLog{tail: tail{path: p}, source: s, arms: arms, counts: make(map[string]*count)})
		}
	}
	return nil
}

// Skew is none: the times of its samples are those of our own clock, at which it reads.
func (s *Source) Skew(ctx context.Context, _ guard.Release) (guard.Skew, error) {
	return guard.Skew{Within: time.Millisecond}, ctx.Err()
}

// grid are the bounds of the histogram, beside the limits of the plan.
var grid = []float64{
	.001, .002, .003, .005, .007, .01, .015, .02, .03, .05, .07, .1, .15, .2, .3, .5, .7,
	1, 1.5, 2, 3, 5, 7, 10, 15, 20, 30, 60,
}

// boundsFor are the grid and the limits that signals have for latency, in seconds.
func boundsFor(signals []guard.Signal) []float64 {
	bounds := make(map[float64]bool)
	for _, b := range grid {
		bounds[b] = true
	}
	for _, s := range signals {
		for _, limit := range []guard.Duration{s.Never.P50, s.Never.P90, s.Never.P95, s.Never.P99} {
			if limit > 0 {
				bounds[limit.Std().Seconds()] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(bounds))
}

func covers(have, wanted []float64) bool {
	for _, b := range wanted {
		if _, found := slices.BinarySearch(have, b); !found {
			return false
		}
	}
	return true
}
