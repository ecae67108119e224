package accesslog

import (
	"context"
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/golive-dev/golive/guard"
)

// mostCounts is how many kinds of requests are told apart in one log.
const mostCounts = 2000

// An accessLog counts the requests of one log.
type accessLog struct {
	tail
	source *Source
	arms   map[guard.Arm][]string // patterns of the instances of each
	counts map[string]*count      // by arm and labels
	failed float64                // lines that were not understood
}

// A count is the requests of one kind.
type count struct {
	arm     guard.Arm
	labels  map[string]string
	total   float64
	timed   float64 // those of them whose duration is known
	seconds float64
	buckets []float64 // by bound, not cumulative
}

// A garbledError says that too many lines of a log were not understood: then it is not the log that the plan means.
type garbledError struct {
	path          string
	lines, failed int
	why           error // of the last of them
}

func (e *garbledError) Error() string {
	return fmt.Sprintf("%s: %d of %d new lines are not understood, the last because %v (look at format and fields)", e.path, e.failed, e.lines, e.why)
}

// read counts what is new. It returns when the log was last written to.
func (l *accessLog) read(ctx context.Context, now time.Time) (modified time.Time, err error) {
	garbled := &garbledError{path: l.path}
	modified, err = l.tail.read(ctx, now, func(text []byte, old bool) {
		garbled.lines++
		if err := l.take(text, old); err != nil {
			garbled.failed++
			garbled.why = err
		}
	})
	l.failed += float64(garbled.failed)
	if err == nil && garbled.failed*20 > garbled.lines {
		err = garbled
	}
	return modified, err
}

// take counts the requests of a line. Of an old line it takes only which kinds there are.
func (l *accessLog) take(text []byte, old bool) error {
	if text == nil {
		return fmt.Errorf("it is longer than %d bytes", lineBytes)
	}
	requests, err := l.source.format.requests(text)
	if err != nil {
		return err
	}
	for _, r := range requests {
		arm := l.armOf(r.instance)
		if arm == "" {
			continue // it went elsewhere
		}
		c, err := l.count(arm, r)
		if err != nil {
			return err
		}
		if old {
			continue
		}
		c.total++
		if r.timed {
			bounds := l.source.bounds
			i, _ := slices.BinarySearch(bounds, r.seconds)
			if i < len(bounds) {
				c.buckets[i]++
			}
			c.timed++
			c.seconds += r.seconds
		}
	}
	return nil
}

// armOf is the arm that an instance belongs to; "" if to none. One that the patterns of both fit is of none, for it
// would be compared with itself.
func (l *accessLog) armOf(instance string) (arm guard.Arm) {
	for a, patterns := range l.arms {
		for _, p := range patterns {
			if fits, _ := path.Match(p, instance); fits { // isPattern has tried it
				if arm != "" && arm != a {
					return ""
				}
				arm = a
			}
		}
	}
	return arm
}

// count finds the count of a request, or makes one.
func (l *accessLog) count(arm guard.Arm, r request) (*count, error) {
	labels := map[string]string{"status": r.status, "instance": l.path}
	switch {
	case r.instance != "" && len(l.source.logs) > 1: // of which several may know the same instance
		labels["instance"] = r.instance + " in " + l.path
	case r.instance != "":
		labels["instance"] = r.instance
	}
	key := []string{string(arm), r.status, r.instance}
	for _, name := range l.source.settings.Labels {
		value, there := r.field(name)
		if !there {
			return nil, fmt.Errorf("it has no field %s", name)
		}
		labels[name] = value
		key = append(key, value)
	}
	joined := strings.Join(key, "\x00")
	if c := l.counts[joined]; c != nil {
		return c, nil
	}
	if len(l.counts) == mostCounts {
		return nil, fmt.Errorf("it is of more than %d kinds of requests (let labels say less)", mostCounts)
	}
	c := &count{arm: arm, labels: labels, buckets: make([]float64, len(l.source.bounds))}
	l.counts[joined] = c
	return c, nil
}

// samples adds what was counted to the samples of each arm.
func (l *accessLog) samples(into map[guard.Arm][]guard.Sample, at time.Time) {
	for arm := range l.arms {
		labels := map[string]string{"instance": l.path}
		into[arm] = append(into[arm], guard.Sample{Name: "log_unreadable_lines", Labels: labels, Value: l.failed, At: at})
	}
	for _, c := range l.counts {
		add := func(name string, value float64, le string) {
			labels := maps.Clone(c.labels)
			if le != "" {
				labels["le"] = le
			}
			into[c.arm] = append(into[c.arm], guard.Sample{Name: name, Labels: labels, Value: value, At: at})
		}
		add("log_requests_total", c.total, "")
		if l.source.format.unit == 0 {
			continue
		}
		within := 0.
		for i, bound := range l.source.bounds {
			within += c.buckets[i]
			add("log_request_duration_seconds_bucket", within, strconv.FormatFloat(bound, 'g', -1, 64))
		}
		add("log_request_duration_seconds_bucket", c.timed, "+Inf")
		add("log_request_duration_seconds_sum", c.seconds, "")
	}
}
