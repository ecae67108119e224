// Package prometheus makes a source that asks Prometheus, or whatever speaks its HTTP API: Thanos, Mimir,
// VictoriaMetrics. It takes raw values with the times of their scrapes, and leaves all arithmetic to the judge.
package prometheus

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/common/model"
	"golang.org/x/sync/errgroup"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/plugins/internal/client"
)

const (
	bodyBytes = 16 << 20 // of one answer
	// parallel is how many queries are put at once. One query for all of them, joined by or, would be one round trip,
	// and takes Prometheus three times as long as so many in parallel: each or compares all labels of what came before.
	parallel = 8
	// atOnce is how many readings of all rollouts together one server is asked for at once; Prometheus itself runs 20
	// queries. A reading waits as a whole: of many that have a part of their answers each, none would have all in time.
	atOnce = 3
)

// turns are those of each server, by host: a golive that guards many rollouts must not be what takes down the
// monitoring that it depends on.
var turns sync.Map

// turn waits for a turn at a server. The caller ends it.
func turn(ctx context.Context, host string) (end func(), err error) {
	all, _ := turns.LoadOrStore(host, make(chan struct{}, atOnce))
	queue := all.(chan struct{})
	select {
	case queue <- struct{}{}:
		return func() { <-queue }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("%d readings are under way already: %w", atOnce, context.Cause(ctx))
	}
}

// Source asks one server.
type Source struct {
	api     *url.URL
	params  map[string]string
	timeout time.Duration
	client  *http.Client
}

var _ guard.Source = (*Source)(nil)

// NewSource reads {address, params, timeout, headers} and the client settings of a Prometheus configuration: basic_auth,
// authorization, bearer_token_file, oauth2, tls_config, proxy_url and the like. The address may have a path, such as
// /prometheus of Mimir. Params go with every query: Thanos knows dedup and partial_response, VictoriaMetrics
// extra_label. The timeout is for all queries of a reading together.
//
// The arms are told apart by $version in the selectors. A signal without it would read the same series for
// both, and compare the new version with itself; so it is read for the canary alone, to be held to its limits.
func NewSource(with guard.With) (guard.Source, error) {
	settings := struct {
		Address string            `json:"address"`
		Params  map[string]string `json:"params"`
		client.Settings
	}{Settings: client.Defaults()}
	err := with.Decode(&settings)
	address, mistake := parseAddress(settings.Address)
	if err := errors.Join(err, mistake, checkParams(settings.Params), settings.Check()); err != nil {
		return nil, err
	}
	made, err := settings.Client()
	if err != nil {
		return nil, err
	}
	return &Source{address.JoinPath("api/v1"), settings.Params, settings.Timeout.Std(), made}, nil
}

func parseAddress(text string) (*url.URL, error) {
	if text == "" {
		return nil, errors.New("address: missing (like http://127.0.0.1:9090)")
	}
	address, err := client.ParseURL(text)
	if err != nil {
		return nil, fmt.Errorf("address: %w", err)
	}
	return address, nil
}

// checkParams keeps a plan from asking another question than golive's.
func checkParams(params map[string]string) error {
	var mistakes []error
	for _, name := range slices.Sorted(maps.Keys(params)) {
		if name == "" || slices.Contains([]string{"query", "time", "start", "end", "step", "timeout"}, name) {
			mistakes = append(mistakes, fmt.Errorf("params: %q is set by golive itself (remove it)", name))
		}
	}
	return errors.Join(mistakes...)
}

// Read asks for all signals and both arms at once, and as of one instant. That there is no data is an answer;
// a query that fails is an error.
func (s *Source) Read(ctx context.Context, q guard.Query) (guard.Reading, error) {
	at := time.Now()
	reading := guard.Reading{At: at}
	selections, wanted, err := selectionsOf(q)
	if err != nil {
		return guard.Reading{}, err
	}
	samples, remarks, err := s.askAll(ctx, wanted, at)
	if err != nil {
		return guard.Reading{}, err
	}
	reading.Remarks = guard.Remarks(remarks)
	for _, s := range selections {
		reading.Series = append(reading.Series, s.signal.Assemble(s.selected, s.arm, samples)...)
	}
	return reading, nil
}

// A selection is what is read of one signal for one arm.
type selection struct {
	signal   guard.Signal
	arm      guard.Arm
	selected guard.Selection
	queries  []string
}

// selectionsOf returns the selections of a query, and the selectors that they need, by their text. What one selector
// narrows another gives too, and only that is asked for: two queries may see two scrapes, and then more has gone wrong
// than has happened.
func selectionsOf(q guard.Query) (selections []selection, wanted map[string]guard.Selector, err error) {
	wanted = make(map[string]guard.Selector)
	for _, signal := range q.Signals {
		for _, arm := range arms(signal, q.Release) {
			chosen := selection{signal: signal, arm: arm}
			if chosen.selected, err = signal.Select(q.Release, arm); err != nil {
				return nil, nil, err
			}
			for _, selector := range chosen.selected.Names() {
				selector.Aggregation = ""
				chosen.queries = append(chosen.queries, selector.String())
				wanted[selector.String()] = selector
			}
			selections = append(selections, chosen)
		}
	}
	for _, chosen := range selections {
		for i, query := range chosen.queries {
			chosen.queries[i] = widest(wanted, query)
		}
	}
	asked := make(map[string]guard.Selector)
	for _, chosen := range selections {
		for _, query := range chosen.queries {
			asked[query] = wanted[query]
		}
	}
	return selections, asked, nil
}

// widest is the selector of all that gives what a query does and the most beside it.
func widest(all map[string]guard.Selector, query string) string {
	for _, other := range slices.Sorted(maps.Keys(all)) {
		if narrows(all[query], all[other]) && !narrows(all[other], all[query]) {
			return widest(all, other)
		}
	}
	return query
}

// narrows says that a selector has all conditions of another.
func narrows(s, other guard.Selector) bool {
	if s.Name != other.Name {
		return false
	}
	for _, m := range other.Matchers {
		if !slices.ContainsFunc(s.Matchers, func(own guard.Matcher) bool {
			return own.Label == m.Label && own.Op == m.Op && own.Value == m.Value
		}) {
			return false
		}
	}
	return true
}

// arms are those that a signal can be read for.
func arms(signal guard.Signal, r guard.Release) []guard.Arm {
	for _, text := range []string{signal.Total, signal.Histogram, signal.Value} {
		selector, err := guard.ParseSelector(text)
		if err == nil && selector.PerVersion() && !r.First() {
			return []guard.Arm{guard.Canary, guard.Baseline}
		}
	}
	return []guard.Arm{guard.Canary}
}

// askAll asks for every selector once, and stops at the first failure. The remarks are those on all answers, in the
// order of the selectors.
func (s *Source) askAll(ctx context.Context, wanted map[string]guard.Selector, at time.Time) (samples []guard.Sample, remarks []string, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, s.timeout, fmt.Errorf("no answer within %v", s.timeout))
	defer cancel()
	end, err := turn(ctx, s.api.Host)
	if err != nil {
		return nil, nil, fmt.Errorf("ask %s: %w", s.api.Host, err)
	}
	defer end()
	queries := slices.Sorted(maps.Keys(wanted))
	answers := make([]map[model.Fingerprint]guard.Sample, len(queries))
	remarked := make([][]string, len(queries))
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for i, query := range queries {
		group.Go(func() (err error) {
			answers[i], remarked[i], err = s.ask(groupCtx, wanted[query], at)
			if err != nil {
				return fmt.Errorf("ask %s for %s: %w", s.api.Host, query, err)
			}
			return nil
		})
	}
	err = group.Wait()
	if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("ask %s: %w", s.api.Host, context.Cause(ctx))
	}
	all := make(map[model.Fingerprint]guard.Sample) // selectors overlap: what is bad is a part of the total
	for _, samples := range answers {
		maps.Copy(all, samples)
	}
	return slices.Collect(maps.Values(all)), slices.Concat(remarked...), err
}

// timeLabel marks the samples whose value is the time of another sample.
const timeLabel = "golive_time"

// ask takes the raw values of a selector, by their series, and in the same query the times of their scrapes. An
// instant query alone gives the time of asking, by which a counter that nobody scrapes any more looks quiet.
func (s *Source) ask(ctx context.Context, selector guard.Selector, at time.Time) (samples map[model.Fingerprint]guard.Sample, remarks []string, err error) {
	status, body, err := s.post(ctx, "query", bodyBytes, url.Values{
		"query":   {withTimes(selector)},
		"time":    {seconds(at)},
		"timeout": {s.timeout.String()},
	})
	if err != nil {
		return nil, nil, err
	}
	vector, remarks, err := parse(status, body)
	if err != nil {
		return nil, nil, err
	}
	samples, err = join(selector, vector)
	return samples, remarks, err
}

// withTimes is the query for the values of a selector and the times of their scrapes.
func withTimes(selector guard.Selector) string {
	return fmt.Sprintf(`%s or label_replace(timestamp(%s),"%s","1","","")`, selector, selector, timeLabel)
}

// seconds is a time as the API reads it.
func seconds(t time.Time) string { return strconv.FormatFloat(float64(t.UnixMilli())/1000, 'f', 3, 64) }

// join gives the values of a vector the times in it.
func join(selector guard.Selector, vector model.Vector) (map[model.Fingerprint]guard.Sample, error) {
	times := make(map[model.Fingerprint]time.Time)
	var values model.Vector
	for _, point := range vector {
		_, isTime := point.Metric[timeLabel]
		delete(point.Metric, timeLabel)
		delete(point.Metric, model.MetricNameLabel) // which a time has lost
		switch seconds := float64(point.Value); {
		case isTime && 0 < seconds && seconds < 1e12:
			times[point.Metric.Fingerprint()] = time.UnixMilli(int64(math.Round(seconds * 1000)))
		case !isTime:
			values = append(values, point)
		}
	}
	samples := make(map[model.Fingerprint]guard.Sample)
	for _, point := range values {
		scraped, known := times[point.Metric.Fingerprint()]
		if !known {
			return nil, fmt.Errorf("it does not say when %s was scraped", point.Metric)
		}
		sample := guard.Sample{Name: selector.Name, Labels: make(map[string]string), Value: float64(point.Value), Native: native(point.Histogram), At: scraped}
		for name, value := range point.Metric {
			sample.Labels[string(name)] = string(value)
		}
		point.Metric[model.MetricNameLabel] = model.LabelValue(selector.Name)
		samples[point.Metric.Fingerprint()] = sample
	}
	return samples, nil
}

// native takes over a native histogram; nil if there is none.
func native(h *model.SampleHistogram) *guard.NativeHistogram {
	if h == nil {
		return nil
	}
	taken := &guard.NativeHistogram{Count: float64(h.Count), Sum: float64(h.Sum)}
	for _, b := range h.Buckets {
		taken.Buckets = append(taken.Buckets, guard.NativeBucket{Lower: float64(b.Lower), Upper: float64(b.Upper), Count: float64(b.Count)})
	}
	return taken
}

// post puts one query, and returns at most so many bytes of the answer.
func (s *Source) post(ctx context.Context, call string, most int64, form url.Values) (status int, body []byte, err error) {
	for name, value := range s.params {
		form.Set(name, value)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.api.JoinPath(call).String(), strings.NewReader(form.Encode()))
	if err != nil {
		return 0, nil, errors.New("its address cannot be read")
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response, err := client.Do(s.client, request)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	body, err = client.ReadAll(response.Body, most)
	return response.StatusCode, body, err
}

// parse reads the answer to an instant query, and what is remarked on it.
func parse(status int, body []byte) (vector model.Vector, remarks []string, err error) {
	if remarks, err = parseInto(status, body, "vector", &vector); err != nil {
		return nil, nil, err
	}
	for _, point := range vector {
		if point == nil || point.Metric == nil {
			return nil, nil, errHole
		}
	}
	return vector, remarks, nil
}

var errHole = errors.New("it answers with a hole among the samples")
