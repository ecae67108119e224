package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// versionHeader names the version that answered a request, for the clients' own books.
const versionHeader = "X-Shop-Version"

// serve is one version of the shop.
type serve struct {
	version  string
	listen   string
	announce bool

	mu    sync.Mutex
	fault fault
}

// A fault is what is wrong with a version. It can change while the version runs.
type fault struct {
	errors  share         // of the pages that answer 500
	slow    share         // of the pages that take ten times as long
	latency time.Duration // added to every page
}

func (s *serve) flags(fs *flag.FlagSet) {
	fs.StringVar(&s.version, "version", "", "")
	fs.StringVar(&s.listen, "listen", "127.0.0.1:0", "")
	fs.BoolVar(&s.announce, "announce", false, "")
	s.fault.flags(fs)
}

func (f *fault) flags(fs *flag.FlagSet) {
	fs.Var(&f.errors, "errors", "")
	fs.Var(&f.slow, "slow", "")
	fs.DurationVar(&f.latency, "latency", f.latency, "")
}

func (f fault) String() string {
	return fmt.Sprintf("errors=%v slow=%v latency=%v", f.errors, f.slow, f.latency)
}

func (s *serve) check() error {
	if s.version == "" {
		return errors.New("serve needs --version")
	}
	return nil
}

func (s *serve) run(ctx context.Context, stdout, _ io.Writer) error {
	return serveSites(ctx, announcer(s.announce, stdout), site{s.listen, s.handler()})
}

func (s *serve) handler() http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	measured := measure(prometheus.WrapRegistererWith(prometheus.Labels{"version": s.version}, registry))

	mux := http.NewServeMux()
	mux.Handle("GET /{$}", measured(s.page("Tea, pots and cups. All of it is in stock.\n")))
	mux.Handle("GET /cart", measured(s.page("Your cart: one pot, two cups.\n")))
	mux.HandleFunc("GET /version", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, s.version) })
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /-/fault", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, s.current()) })
	mux.HandleFunc("PUT /-/fault", s.putFault)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(versionHeader, s.version)
		mux.ServeHTTP(w, r)
	})
}

// measure counts and times requests. Both outcomes exist from the start, because a counter that first appears
// with its first error cannot be told from one that nobody measures.
func measure(registry prometheus.Registerer) func(http.Handler) http.Handler {
	requests := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "http_requests_total",
		Help: "Pages answered, by status code.",
	}, []string{"code"})
	seconds := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "http_request_duration_seconds",
		Help:    "Time to answer a page.",
		Buckets: []float64{.002, .003, .004, .005, .0075, .01, .015, .02, .03, .05, .1, .25, .5, 1, 2.5},
	}, nil)
	registry.MustRegister(requests, seconds)
	requests.WithLabelValues("200")
	requests.WithLabelValues("500")
	seconds.WithLabelValues()
	return func(next http.Handler) http.Handler {
		return promhttp.InstrumentHandlerCounter(requests, promhttp.InstrumentHandlerDuration(seconds, next))
	}
}

// page answers text after some work, some waiting, and whatever is wrong with this version.
func (s *serve) page(text string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fault := s.current()
		work()
		select {
		case <-time.After(fault.delay()):
		case <-r.Context().Done():
			return
		}
		if fault.errors.hit() {
			http.Error(w, "the till is jammed", http.StatusInternalServerError)
			return
		}
		fmt.Fprint(w, text)
	})
}

// work keeps a processor busy for a few hundred microseconds.
func work() {
	sum := sha256.Sum256([]byte("tea"))
	for range 2000 {
		sum = sha256.Sum256(sum[:])
	}
}

// delay draws the time spent waiting for databases and the like: lognormal with a median of 5 ms.
func (f fault) delay() time.Duration {
	d := time.Duration(float64(5*time.Millisecond) * math.Exp(0.35*rand.NormFloat64()))
	if f.slow.hit() {
		d *= 10
	}
	return d + f.latency
}

func (s *serve) current() fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fault
}

// putFault takes the fault flags as query parameters; what is not mentioned stays as it is.
func (s *serve) putFault(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	wanted := s.fault
	fs := flag.NewFlagSet("fault", flag.ContinueOnError)
	wanted.flags(fs)
	for name, values := range r.URL.Query() {
		if err := fs.Set(name, values[0]); err != nil {
			http.Error(w, fmt.Sprintf("%s: %v", name, err), http.StatusBadRequest)
			return
		}
	}
	s.fault = wanted
	fmt.Fprintln(w, s.fault)
}

// A share is a part of all requests, 0 to 1, written as a percentage: 2%.
type share float64

func (s share) String() string { return strconv.FormatFloat(float64(s)*100, 'f', -1, 64) + "%" }

// Set implements flag.Value.
func (s *share) Set(text string) error {
	number, found := strings.CutSuffix(text, "%")
	percent, err := strconv.ParseFloat(number, 64)
	if err != nil || !found || !(percent >= 0 && percent <= 100) {
		return errors.New("want a share from 0% to 100%")
	}
	*s = share(percent / 100)
	return nil
}

func (s share) hit() bool { return rand.Float64() < float64(s) }
