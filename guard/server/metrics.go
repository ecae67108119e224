package server

import (
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/judge"
)

// metrics are what a server says of itself. Their labels are services and environments that have a plan, hooks,
// outcomes and statuses: as many as somebody has set up, however many rollouts there are and whatever callers send.
type metrics struct {
	registry *prometheus.Registry

	outcomes  *prometheus.CounterVec
	hooks     *prometheus.CounterVec
	refusals  prometheus.Counter
	limits    prometheus.Counter
	latency   prometheus.Histogram
	late      prometheus.Histogram
	blind     *prometheus.CounterVec
	troubles  *prometheus.CounterVec
	odds      *prometheus.GaugeVec
	oddsLimit *prometheus.GaugeVec
	awayTotal prometheus.Counter
	breaches  *prometheus.CounterVec

	mu     sync.Mutex
	ticks  map[string]tick        // by rollout under guard
	absent map[string]bool        // rollouts whose store is away
	stands map[string]guard.State // of rollouts under guard
}

// A tick is when a rollout was last measured.
type tick struct {
	at    time.Time
	began time.Time // of the step

	service, environment string // empty: nothing was measured yet
}

func newMetrics(s *Server) *metrics {
	target := []string{"service", "environment"}
	seconds := []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}
	m := &metrics{
		registry:  prometheus.NewRegistry(),
		outcomes:  prometheus.NewCounterVec(prometheus.CounterOpts{Name: "golive_rollouts_over_total", Help: "Rollouts that have ended, by how."}, []string{"outcome"}),
		hooks:     prometheus.NewCounterVec(prometheus.CounterOpts{Name: "golive_hooks_total", Help: "Messages of deploy tools, by the status that they were answered with."}, []string{"hook", "status"}),
		refusals:  prometheus.NewCounter(prometheus.CounterOpts{Name: "golive_requests_refused_total", Help: "Requests of callers who could not prove who they are, or may not do what they asked for."}),
		limits:    prometheus.NewCounter(prometheus.CounterOpts{Name: "golive_requests_limited_total", Help: "Requests that came too fast after others of the same caller."}),
		latency:   prometheus.NewHistogram(prometheus.HistogramOpts{Name: "golive_verdict_seconds", Help: "Time from the reading of the metrics until its verdict was in the journal.", Buckets: seconds}),
		late:      prometheus.NewHistogram(prometheus.HistogramOpts{Name: "golive_tick_late_seconds", Help: "How much later than planned a rollout was measured.", Buckets: seconds}),
		blind:     prometheus.NewCounterVec(prometheus.CounterOpts{Name: "golive_blind_seconds_total", Help: "Time in which the metrics of a rollout said nothing."}, target),
		troubles:  prometheus.NewCounterVec(prometheus.CounterOpts{Name: "golive_source_errors_total", Help: "Readings that a source could not give."}, target),
		odds:      prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "golive_evidence_log_odds", Help: "Evidence of harm by the new version: the logarithm of the odds."}, target),
		oddsLimit: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "golive_evidence_log_odds_limit", Help: "Evidence at which the new version is taken back."}, target),
		awayTotal: prometheus.NewCounter(prometheus.CounterOpts{Name: "golive_store_away_total", Help: "How often the store gave no answer to a rollout."}),
		breaches:  prometheus.NewCounterVec(prometheus.CounterOpts{Name: "golive_obligations_breached_total", Help: "What an incident obliged people to, and was not done in time, by what it is."}, []string{"kind"}),
		ticks:     map[string]tick{}, absent: map[string]bool{}, stands: map[string]guard.State{},
	}
	// A counter that begins with its first event begins at 1, in which Prometheus sees no increase.
	for _, o := range []guard.Outcome{
		guard.Live, guard.Unfinished, guard.NoGo, guard.Unknowable, guard.Overdue, guard.Stopped, guard.RolledBack, guard.RollbackFailed, guard.WouldRollBack,
		guard.Recovered, guard.ForwardOnly,
	} {
		m.outcomes.WithLabelValues(string(o))
	}
	for _, kind := range guard.Dues {
		m.breaches.WithLabelValues(string(kind))
	}
	m.registry.MustRegister(
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		m.outcomes, m.hooks, m.refusals, m.limits, m.latency, m.late, m.blind, m.troubles, m.odds, m.oddsLimit, m.awayTotal, m.breaches,
		m.incidents(prometheus.NewDesc("golive_incidents_open", "Incidents of rollouts that this server guards, by their level; 0: the plan has no levels.", slices.Concat(target, []string{"level"}), nil)),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "golive_rollouts_guarded", Help: "Rollouts that this server guards now."},
			func() float64 { return float64(len(s.all())) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "golive_inbox_waiting", Help: "What was told to rollouts of this server and is not in their journals yet."},
			func() float64 { return float64(s.waiting()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "golive_rollouts_store_away", Help: "Rollouts of this server whose records the store does not take now."},
			func() float64 { m.mu.Lock(); defer m.mu.Unlock(); return float64(len(m.absent)) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "golive_session_valid", Help: "1 while the store knows that this server lives."},
			func() float64 { return oneIf(s.joined()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "golive_plans_wrong", Help: "1 while a file of the plans has a mistake."},
			func() float64 { return oneIf(s.Plans != nil && s.Plans.Mistakes() != nil) }),
	)
	return m
}

func oneIf(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}

// joined says whether the session with the store is good.
func (s *Server) joined() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.session != nil && s.session.Valid()
}

// waiting counts what was told and not handed on yet.
func (s *Server) waiting() (n int) {
	for _, g := range s.all() {
		g.mu.Lock()
		n += len(g.told)
		g.mu.Unlock()
	}
	return n
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4, Timeout: answersWithin})
}

func (m *metrics) hook(name string, status int) {
	m.hooks.WithLabelValues(name, strconv.Itoa(status)).Inc()
}

func (m *metrics) refused() { m.refusals.Inc() }
func (m *metrics) limited() { m.limits.Inc() }

func (m *metrics) begin(rollout string, s guard.State) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ticks[rollout] = tick{}
	m.stands[rollout] = s
}

func (m *metrics) end(rollout string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	last := m.ticks[rollout]
	delete(m.ticks, rollout)
	delete(m.absent, rollout)
	delete(m.stands, rollout)
	if last.service != "" { // evidence that nobody gathers any more would look like evidence of today
		m.odds.DeleteLabelValues(last.service, last.environment)
		m.oddsLimit.DeleteLabelValues(last.service, last.environment)
	}
}

func (m *metrics) over(s guard.State) { m.outcomes.WithLabelValues(string(s.Outcome)).Inc() }

func (m *metrics) away(rollout string, away bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !away {
		delete(m.absent, rollout)
		return
	}
	if !m.absent[rollout] {
		m.awayTotal.Inc()
	}
	m.absent[rollout] = true
}

// incidents counts the open incidents of the rollouts under guard when that is asked for.
func (m *metrics) incidents(what *prometheus.Desc) prometheus.Collector {
	return collector{what, func(ch chan<- prometheus.Metric) {
		type where struct{ service, environment, level string }
		open := map[where]int{}
		m.mu.Lock()
		for _, s := range m.stands {
			if s.Incident.Open() {
				open[where{s.Release.Service, s.Release.Environment, strconv.Itoa(s.Incident.Level)}]++
			}
		}
		m.mu.Unlock()
		for w, n := range open {
			ch <- prometheus.MustNewConstMetric(what, prometheus.GaugeValue, float64(n), w.service, w.environment, w.level)
		}
	}}
}

// A collector counts when it is asked.
type collector struct {
	what  *prometheus.Desc
	count func(chan<- prometheus.Metric)
}

func (c collector) Describe(ch chan<- *prometheus.Desc) { ch <- c.what }
func (c collector) Collect(ch chan<- prometheus.Metric) { c.count(ch) }

// breached counts what was not done in time since a rollout was in another state, by kind.
func (m *metrics) breached(was, now guard.State) {
	before := breaches(was)
	for kind, n := range breaches(now) {
		m.breaches.WithLabelValues(string(kind)).Add(max(0, float64(n-before[kind])))
	}
}

func breaches(s guard.State) map[guard.Due]int {
	all := map[guard.Due]int{}
	for _, o := range s.Incident.Owed {
		if o.Breached(s.At) {
			all[o.Kind]++
		}
	}
	return all
}

// saw learns from an event of a rollout under guard.
func (m *metrics) saw(rollout string, p *guard.Plan, e guard.Event, was, s guard.State) {
	m.breached(was, s)
	m.mu.Lock()
	m.stands[rollout] = s
	m.mu.Unlock()
	measured, ok := e.Fact.(guard.Measured)
	if !ok {
		return
	}
	service, environment := s.Release.Service, s.Release.Environment
	m.latency.Observe(max(0, time.Since(measured.Reading.At).Seconds()))
	m.odds.WithLabelValues(service, environment).Set(measured.Ruling.LogOdds)
	m.oddsLimit.WithLabelValues(service, environment).Set(measured.Ruling.Limit)
	if measured.Problem != "" {
		m.troubles.WithLabelValues(service, environment).Inc()
	}
	m.mu.Lock()
	before := m.ticks[rollout]
	m.ticks[rollout] = tick{e.At, s.Began, service, environment}
	m.mu.Unlock()
	if before.at.IsZero() || before.began != s.Began {
		return // the first of its step
	}
	since := e.At.Sub(before.at)
	m.late.Observe(max(0, (since - p.Watch.Every.Std()).Seconds()))
	if measured.Ruling.Call == judge.Blind {
		m.blind.WithLabelValues(service, environment).Add(since.Seconds())
	}
}
