// Package sarif makes a probe of what scanners found, from the files that they write: SARIF 2.1.0, which CodeQL,
// Trivy, Grype, Semgrep, gosec, golangci-lint and most others can write.
//
// A file without results is easily had: of a scan that failed, of last month, of nothing. So what a file has to show
// before its silence counts is a run of a tool, ended well and not long ago, with a list of results.
package sarif

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/plugins/internal/files"
)

const (
	fileBytes = 128 << 20       // of one file
	named     = 3               // results that a finding names
	hasty     = 5 * time.Minute // that a clock may be ahead of ours
)

// Probe reads the files that fit a pattern.
type Probe struct {
	pattern  string
	level    string
	severity float64 // 0: levels alone count
	maxAge   guard.Duration
}

var _ guard.Probe = (*Probe)(nil)

// levels of results, from the one that matters least.
var levels = []string{"none", "note", "warning", "error"}

// NewProbe reads {file, level, security_severity, max_age}. The file may be a pattern such as reports/*.sarif, of
// which every file counts. The probe passes if no result is open of that level (note, warning or error, which is the
// default) or above. With a security_severity from 0.1 to 10, a result whose rule has such a number (property
// security-severity, from the CVSS) is judged by that number alone, and others by their level. Files may be as old
// as max_age (7d): by the end of the run, if a tool wrote that down, and else by the time of the file.
//
// A result is open if its kind is fail, it is not suppressed, and it is not absent (baselineState).
func NewProbe(with guard.With) (guard.Probe, error) {
	config := struct {
		File     string         `json:"file"`
		Level    string         `json:"level"`
		Severity float64        `json:"security_severity"`
		MaxAge   guard.Duration `json:"max_age"`
	}{Level: "error", MaxAge: guard.Duration(7 * 24 * time.Hour)}
	err := with.Decode(&config)
	if config.File == "" {
		err = errors.Join(err, errors.New("file: missing (like reports/scan.sarif, or reports/*.sarif)"))
	} else if _, mistake := filepath.Match(config.File, ""); mistake != nil {
		err = errors.Join(err, fmt.Errorf("file: %q is not a pattern (try reports/*.sarif)", config.File))
	}
	if !slices.Contains(levels[1:], config.Level) {
		err = errors.Join(err, fmt.Errorf("level: %q is none (there are: note, warning, error)", config.Level))
	}
	if _, set := with["security_severity"]; set && (config.Severity <= 0 || config.Severity > 10) {
		err = errors.Join(err, fmt.Errorf("security_severity: %v is none (they go from 0.1 to 10, as those of CVSS)", config.Severity))
	}
	if config.MaxAge <= 0 {
		err = errors.Join(err, errors.New("max_age: must be longer than nothing"))
	}
	if err != nil {
		return nil, err
	}
	return &Probe{config.File, config.Level, config.Severity, config.MaxAge}, nil
}

// Probe reads. What cannot be read, or is not what a scan that went well writes, is an error.
func (p *Probe) Probe(ctx context.Context, _ guard.Release) (guard.Finding, error) {
	found, err := files.Find(ctx, p.pattern)
	if err != nil {
		return guard.Finding{}, err
	}
	if len(found) == 0 {
		return guard.Finding{}, fmt.Errorf("no file fits %s (let the scanner write one)", p.pattern)
	}
	var reports []report
	var evidence []guard.Evidence
	var mistakes []error
	for _, f := range found {
		if err := ctx.Err(); err != nil {
			return guard.Finding{}, err
		}
		r, digest, err := p.read(f)
		if err != nil {
			mistakes = append(mistakes, fmt.Errorf("%s: %w", f.Path, err))
			continue
		}
		reports = append(reports, r)
		evidence = append(evidence, guard.Evidence{Asked: f.Path, Answer: r.String(), Digest: digest})
	}
	if err := errors.Join(mistakes...); err != nil {
		return guard.Finding{}, err
	}
	finding, err := p.judge(reports, time.Now())
	finding.Evidence = evidence
	return finding, err
}

// read reads one file.
func (p *Probe) read(f files.File) (report, string, error) {
	if !f.Mode().IsRegular() {
		return report{}, "", errors.New("is not a file")
	}
	file, err := os.Open(f.Path)
	if err != nil {
		return report{}, "", err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, fileBytes+1))
	if err != nil {
		return report{}, "", err
	}
	if len(text) > fileBytes {
		return report{}, "", fmt.Errorf("has more than %d bytes", fileBytes)
	}
	r, err := parse(text, p.counts)
	r.file = f.Path
	r.ended = cmp.Or(r.ended, f.ModTime())
	sum := sha256.Sum256(text)
	return r, hex.EncodeToString(sum[:]), err
}

// counts says whether an open result is bad enough.
func (p *Probe) counts(r result) bool {
	if p.severity > 0 && r.rated {
		return r.severity >= p.severity
	}
	return slices.Index(levels, r.level) >= slices.Index(levels, p.level)
}

// judge says what reports are worth now.
func (p *Probe) judge(reports []report, now time.Time) (guard.Finding, error) {
	f := guard.Finding{
		Verdict:  guard.Fail,
		Subject:  p.pattern,
		Title:    fmt.Sprintf("no result of level %s or above is open in %s", p.level, p.pattern),
		Expected: fmt.Sprintf("no open result of level %s or above, in reports at most %s old", p.level, p.maxAge),
	}
	if p.severity > 0 {
		f.Title = fmt.Sprintf("no result of security severity %s or above is open in %s", number(p.severity), p.pattern)
		f.Expected = fmt.Sprintf("no open result of security severity %s or above, nor of level %s or above without one, in reports at most %s old",
			number(p.severity), p.level, p.maxAge)
	}
	oldest := slices.MinFunc(reports, func(a, b report) int { return a.ended.Compare(b.ended) })
	newest := slices.MaxFunc(reports, func(a, b report) int { return a.ended.Compare(b.ended) })
	if lead := newest.ended.Sub(now); lead > hasty {
		return guard.Finding{}, fmt.Errorf("clock skew: %s is %s from now", newest.file, span(lead))
	}
	var bad []result
	open, all := 0, 0
	var tools []string
	for _, r := range reports {
		bad = append(bad, r.bad...)
		open, all = open+r.open, all+r.all
		tools = append(tools, r.tools...)
	}
	slices.Sort(tools)
	age := max(0, now.Sub(oldest.ended))
	f.Observed = fmt.Sprintf("%d that count, of %d open and %d results by %s; the oldest report is %s old",
		len(bad), open, all, guard.Line(strings.Join(slices.Compact(tools), ", "), 200), span(age))
	switch {
	case len(bad) > 0:
		f.Reason = worst(bad)
		f.Remedy = "mend them and scan again, or suppress with a reason, in the scanner, what is none"
	case age > p.maxAge.Std():
		f.Reason = fmt.Sprintf("%s is %s old, and may be %s", oldest.file, span(age), p.maxAge)
		f.Remedy = "scan again"
	default:
		f.Verdict = guard.Pass
	}
	return f, nil
}

// worst names the worst of several results.
func worst(bad []result) string {
	slices.SortStableFunc(bad, func(a, b result) int {
		return cmp.Or(cmp.Compare(b.severity, a.severity), cmp.Compare(slices.Index(levels, b.level), slices.Index(levels, a.level)))
	})
	var texts []string
	for _, r := range bad[:min(named, len(bad))] {
		texts = append(texts, r.String())
	}
	if more := len(bad) - named; more > 0 {
		texts = append(texts, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(texts, "; ")
}

func number(severity float64) string { return strconv.FormatFloat(severity, 'f', 1, 64) }

// span says how long something is: to the hour, or to the second where it is less than a day.
func span(d time.Duration) string {
	if d > 24*time.Hour {
		return guard.Duration(d.Truncate(time.Hour)).String()
	}
	return guard.Duration(d.Truncate(time.Second)).String()
}
