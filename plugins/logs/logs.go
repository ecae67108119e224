// Package logs makes a collector of the last lines of log files, for evidence. To count requests in an access log, use
// plugins/accesslog.
package logs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/plugins/internal/files"
)

// undated is how much of the end of a file is kept whose lines do not say when they were written.
const undated = 256 << 10

// Collector reads the ends of logs.
type Collector struct {
	path guard.Template
	last time.Duration
}

var _ guard.Collector = (*Collector)(nil)

// NewCollector reads {path, last}. Path is a file or a pattern like /var/log/shop/*.log, in which {{.To}}, {{.From}} and the
// other words of a release may stand; last is how far back to go, ten minutes unless said otherwise. Of a file whose lines
// begin with no time that is known here, the last 256 KiB are kept.
func NewCollector(with guard.With) (guard.Collector, error) {
	config := struct {
		Path guard.Template `json:"path"`
		Last guard.Duration `json:"last"`
	}{Last: guard.Duration(10 * time.Minute)}
	if err := with.Decode(&config); err != nil {
		return nil, err
	}
	pattern, err := guard.Fill(config.Path, guard.Release{ID: "x", Service: "x", Environment: "x", From: "x", To: "x"}.Words())
	if err != nil {
		return nil, fmt.Errorf("path: %w", err)
	}
	if config.Last <= 0 {
		err = errors.New("last: must be longer than nothing")
	}
	if err := errors.Join(files.Pattern("path", pattern), err); err != nil {
		return nil, err
	}
	return &Collector{config.Path, config.Last.Std()}, nil
}

// Collect returns the lines of the latest time of every file that was written to since then, the file that was written to
// last at the end.
func (c *Collector) Collect(ctx context.Context, r guard.Release) ([]byte, error) {
	pattern, err := guard.Fill(c.path, r.Words())
	if err != nil {
		return nil, fmt.Errorf("path: %w", err)
	}
	found, err := files.Find(ctx, pattern)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("no file fits %s", pattern)
	}
	since := time.Now().Add(-c.last)
	found = slices.DeleteFunc(found, func(f files.File) bool { return !f.Mode().IsRegular() || f.ModTime().Before(since) })
	slices.SortStableFunc(found, func(a, b files.File) int { return b.ModTime().Compare(a.ModTime()) })
	var pieces [][]byte // the one that was written to last first: it counts most if there is too much
	var problems []error
	left := guard.ExhibitBytes
	for _, f := range found {
		if ctx.Err() != nil {
			problems = append(problems, ctx.Err())
			break
		}
		head := fmt.Sprintf("==> %s <==\n", f.Path)
		text, cut, err := read(ctx, f.Path, since, left-len(head)-1)
		if err != nil {
			problems = append(problems, err)
		}
		if cut {
			problems = append(problems, fmt.Errorf("%w: %s", guard.ErrCut, f.Path))
		}
		if len(text) == 0 {
			continue
		}
		piece := slices.Concat([]byte(head), text)
		if !bytes.HasSuffix(piece, []byte("\n")) {
			piece = append(piece, '\n')
		}
		pieces, left = append(pieces, piece), left-len(piece)
	}
	slices.Reverse(pieces)
	return bytes.Join(pieces, nil), errors.Join(problems...)
}

// read returns the lines of a file since a time, at most so many bytes of them; cut says that there were more.
func read(ctx context.Context, path string, since time.Time, most int) (text []byte, cut bool, err error) {
	if most <= 0 {
		return nil, true, nil
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, false, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, false, err
	}
	from := max(0, info.Size()-int64(most))
	text, err = io.ReadAll(io.NewSectionReader(file, from, info.Size()-from))
	if from > 0 {
		text = wholeLines(text)
	}
	begins, dated := window(ctx, text, since)
	switch {
	case !dated, begins == len(text): // or its clock is in another zone: it was written to since then
		if most = min(most, undated); len(text) > most {
			text = wholeLines(text[len(text)-most:])
		}
		return text, false, err
	}
	return text[begins:], from > 0 && begins == 0, err
}

// wholeLines is a text without the line that it begins in the middle of, unless that is all of it.
func wholeLines(text []byte) []byte {
	if _, rest, found := bytes.Cut(text, []byte("\n")); found {
		return rest
	}
	return text
}

// window is where the first line begins that was written since a time; dated says that any line tells its time.
func window(ctx context.Context, text []byte, since time.Time) (begins int, dated bool) {
	at := 0
	for line := range bytes.Lines(text) {
		if written, known := timeOf(line, since); known {
			dated = true
			if !written.Before(since) {
				return at, true
			}
		}
		at += len(line)
		if ctx.Err() != nil {
			return 0, false
		}
	}
	return len(text), dated
}
