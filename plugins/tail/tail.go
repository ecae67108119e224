// Package tail keeps the end of log files as evidence: what was written in the last minutes, where the lines tell when
// that was, and else the last of them.
package tail

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"time"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/plugins/internal/files"
)

// settings are {path, last, bytes}: a pattern of files, how far back, and how many bytes of each at most.
type settings struct {
	Path  string         `json:"path"`
	Last  guard.Duration `json:"last"`
	Bytes int64          `json:"bytes"`
}

func read(with guard.With) (settings, error) {
	s := settings{Last: guard.Duration(10 * time.Minute), Bytes: 1 << 20}
	err := errors.Join(with.Decode(&s), files.Pattern("path", s.Path))
	if s.Last <= 0 {
		err = errors.Join(err, errors.New("last: it has to be more than nothing (try 10m)"))
	}
	if s.Bytes < 1 || s.Bytes > guard.ExhibitAtMost {
		err = errors.Join(err, fmt.Errorf("bytes: from 1 to %d", guard.ExhibitAtMost))
	}
	return s, err
}

// Collector keeps the end of files.
type Collector struct{ settings }

var _ guard.Collector = (*Collector)(nil)

// NewCollector reads {path, last, bytes}.
func NewCollector(with guard.With) (guard.Collector, error) {
	s, err := read(with)
	if err != nil {
		return nil, err
	}
	return &Collector{s}, nil
}

// Collect returns the end of each file, under its name where there are several. That nothing fits the pattern is an error.
func (c *Collector) Collect(ctx context.Context, _ guard.Release) (content []byte, err error) {
	found, err := files.Find(ctx, c.Path)
	switch {
	case err != nil:
		return nil, err
	case len(found) == 0:
		return nil, fmt.Errorf("no file fits %s", c.Path)
	}
	var problems []error
	for _, file := range found {
		if ctx.Err() != nil {
			return content, errors.Join(append(problems, context.Cause(ctx))...)
		}
		if file.IsDir() {
			continue
		}
		text, err := ending(file.Path, c.Bytes)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		if len(found) > 1 {
			content = fmt.Appendf(content, "==> %s\n", file.Path)
		}
		content = append(content, since(text, time.Now().Add(-c.Last.Std()))...)
	}
	return content, errors.Join(problems...)
}

// Probe says whether there is something to collect.
type Probe struct{ settings }

var _ guard.Probe = (*Probe)(nil)

// NewProbe reads {path, last, bytes}.
func NewProbe(with guard.With) (guard.Probe, error) {
	s, err := read(with)
	if err != nil {
		return nil, err
	}
	return &Probe{s}, nil
}

// Probe passes if a file fits the pattern, and all that do can be read.
func (p *Probe) Probe(ctx context.Context, _ guard.Release) (guard.Finding, error) {
	f := guard.Finding{Title: "the log can be read", Expected: "at least one file that can be read", Verdict: guard.Pass}
	found, err := files.Find(ctx, p.Path)
	if err != nil {
		return guard.Finding{}, err
	}
	f.Observed = fmt.Sprintf("%d files", len(found))
	if len(found) == 0 {
		f.Verdict, f.Reason = guard.Fail, "no file fits "+p.Path
	}
	for _, file := range found {
		if _, err := ending(file.Path, 1); err != nil && !file.IsDir() {
			f.Verdict, f.Reason = guard.Fail, err.Error()
		}
	}
	f.Evidence = []guard.Evidence{{Asked: p.Path, Answer: f.Observed}}
	return f, nil
}

// ending returns the last whole lines of a file, of so many bytes at most; of a single line that is longer, its end.
func ending(path string, most int64) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() { // opening a pipe may never end, and reading it takes away what is in it
		return nil, fmt.Errorf("%s is no regular file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	from := max(0, info.Size()-most)
	text, err := io.ReadAll(io.NewSectionReader(f, from, info.Size()-from))
	if err != nil {
		return nil, err
	}
	if from == 0 {
		return text, nil
	}
	if _, whole, found := bytes.Cut(text, []byte("\n")); found && len(whole) > 0 {
		return whole, nil
	}
	return text, nil
}

// stamp finds the time of a line: RFC 3339 with a T or a space, and as access logs write it.
var (
	stamp    = regexp.MustCompile(`\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?`)
	accessed = regexp.MustCompile(`\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}`)
)

// timeOf is the first time in a line. One without a zone is of the zone of this machine, as logs have it.
func timeOf(line []byte) (time.Time, bool) {
	line = line[:min(len(line), 200)]
	if found := accessed.Find(line); found != nil {
		at, err := time.Parse("02/Jan/2006:15:04:05 -0700", string(found))
		return at, err == nil
	}
	found := stamp.Find(line)
	if found == nil {
		return time.Time{}, false
	}
	text := string(bytes.ReplaceAll(bytes.Replace(found, []byte(" "), []byte("T"), 1), []byte(","), []byte(".")))
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999Z0700"} {
		if at, err := time.Parse(layout, text); err == nil {
			return at, true
		}
	}
	at, err := time.ParseInLocation("2006-01-02T15:04:05.999999999", text, time.Local)
	return at, err == nil
}

// since is what was written from a moment on. Lines without a time belong to the one before; a log that never tells the
// time is kept whole.
func since(text []byte, from time.Time) []byte {
	lines := slices.Collect(bytes.Lines(text))
	at := 0
	for _, line := range lines {
		if when, told := timeOf(line); told && !when.Before(from) {
			return text[at:]
		} else if told {
			at += len(line)
			continue
		}
		if at == 0 { // before any time was told
			if !slices.ContainsFunc(lines, func(l []byte) bool { _, told := timeOf(l); return told }) {
				return text
			}
		}
		at += len(line)
	}
	return text[at:]
}
