package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/sethvargo/go-envconfig"

	"github.com/golive-dev/golive/guard"
)

func TestClean(t *testing.T) {
	for name, c := range map[string]struct{ value, text, want string }{
		"nothing":               {"s3cr3t", "all is well", "all is well"},
		"in the middle":         {"s3cr3t", "sh: 1: s3cr3tx: not found", "sh: 1: ${TOKEN}x: not found"},
		"often":                 {"s3cr3t", "s3cr3ts3cr3t s3cr3t", "${TOKEN}${TOKEN} ${TOKEN}"},
		"too short to be one":   {"v1", "v1 serves", "v1 serves"},
		"in a query":            {"p&ss w/rd", "?t=p%26ss+w%2Frd", "?t=${TOKEN}"},
		"as part of a path":     {"p&ss w/rd", "/p&ss%20w%2Frd/x", "/${TOKEN}/x"},
		"as a path":             {"p&ss w/rd", "/p&ss%20w/rd/x", "/${TOKEN}/x"},
		"escaped, and told not": {"s3%2Fcr3t", "http://h/s3/cr3t", "http://h/${TOKEN}"},
		"quoted":                {"a\"b\n\x1bc", `url: "a\"b\n\x1bc" is none`, `url: "${TOKEN}" is none`},
		"as JSON":               {`<a"b&>`, `{"t":"\u003ca\"b\u0026\u003e"}`, `{"t":"${TOKEN}"}`},
		"a line of it":          {"-----BEGIN-----\nMIIEow==\n-----END-----\n", "sh: 3: MIIEow==: not found", "sh: 3: ${TOKEN}: not found"},
		"without its newline":   {"s3cr3t\n", "bearer s3cr3t", "bearer ${TOKEN}"},
		"an address":            {"http://u:hunter2@h/s3cr3t/hook?k=12345", "POST http://h/s3cr3t/hook?...: u, hunter2 and k=12345", "POST http://h${TOKEN}?...: u, ${TOKEN} and ${TOKEN}"},
		"cut at the end":        {"0123456789abcdef", "it answers 0123456789ab...", "it answers ${TOKEN}..."},
		"cut at the beginning":  {"0123456789abcdef", "exit status 1: ...456789abcdef and more", "exit status 1: ...${TOKEN} and more"},
		"cut in quotes":         {"0123456789abcdef", `"say 0123456789" is not a standing`, `"say ${TOKEN}" is not a standing`},
		"not printable":         {"s3cr3t", "\x1b]0;s3cr3t\a", "?]0;${TOKEN}?"},
	} {
		t.Run(name, func(t *testing.T) {
			var s secrets
			s.from(envconfig.MapLookuper(map[string]string{"TOKEN": c.value}))("TOKEN")
			if diff := cmp.Diff(c.want, s.clean(c.text)); diff != "" {
				t.Errorf("clean(%q) of %q (-want +got):\n%s", c.text, c.value, diff)
			}
		})
	}
}

// TestLongestSecret hides a value that holds another one as a whole.
func TestLongestSecret(t *testing.T) {
	var s secrets
	look := s.from(envconfig.MapLookuper(map[string]string{"USER": "golive", "PASS": "golive-s3cr3t"}))
	look("USER")
	look("PASS")
	if got, want := s.clean("golive:golive-s3cr3t"), "${USER}:${PASS}"; got != want {
		t.Errorf("clean = %q, want %q", got, want)
	}
}

// TestPartsKeepQuiet makes every kind of part with a token in its set-up, lets it fail and succeed, and looks for
// the token in all that comes back.
func TestPartsKeepQuiet(t *testing.T) {
	echo := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/standing") {
			fmt.Fprintf(w, `{"percent":10,"undo":{"open":true,"detail":%q},"detail":%q}`, r.URL, r.URL)
			return
		}
		fmt.Fprintf(w, "# you asked for %s\nup 1\n", r.URL)
	}))
	defer echo.Close()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := "http://" + listener.Addr().String()
	listener.Close()

	release := guard.Release{ID: "r7", Service: "shop", Environment: "test", From: "v1", To: "v2"}
	query := guard.Query{Release: release, Signals: []guard.Signal{{Name: "up", Value: "up"}}}
	list := func(urls ...any) []any { return urls }
	for name, c := range map[string]struct {
		use  string
		with guard.With
		call func(context.Context, *program, guard.Part) (any, error)
		says bool // whether ${TOKEN} has to be in the answer
	}{
		"http backend, down":       {"http", guard.With{"inspect": to(closed + "/${TOKEN}/"), "shift": to(closed + "/${TOKEN}/shift?t=${TOKEN}")}, askBackend(release), true},
		"http backend, echo":       {"http", guard.With{"inspect": to(echo.URL + "/standing/${TOKEN}"), "shift": to(echo.URL + "/${TOKEN}")}, askBackend(release), true},
		"http backend, nonsense":   {"http", guard.With{"inspect": to(echo.URL + "/${TOKEN}"), "shift": to(echo.URL)}, askBackend(release), true},
		"http backend, headers":    {"http", guard.With{"inspect": to(echo.URL), "shift": to(echo.URL), "headers": "${TOKEN}"}, askBackend(release), true},
		"http backend, timeout":    {"http", guard.With{"inspect": to(echo.URL), "shift": to(echo.URL), "timeout": "${TOKEN}"}, askBackend(release), true},
		"http backend, method":     {"http", guard.With{"inspect": to(echo.URL), "shift": map[string]any{"url": echo.URL, "method": "${TOKEN} x"}}, askBackend(release), true},
		"http backend, no hole":    {"http", guard.With{"inspect": to(echo.URL + "/{{.${TOKEN}}}"), "shift": to(echo.URL)}, askBackend(release), true},
		"http probe":               {"http", guard.With{"url": echo.URL + "/${TOKEN}", "contains": "not ${TOKEN}"}, askProbe(release), true},
		"http notifier":            {"http", guard.With{"url": closed + "/${TOKEN}"}, askNotifier, false},
		"command backend":          {"command", guard.With{"inspect": "${TOKEN}x", "shift": "set -x; : ${TOKEN}; exit 1"}, askBackend(release), true},
		"command probe, its trace": {"command", guard.With{"run": "set -x; echo ${TOKEN}"}, askProbe(release), false},
		"command probe, contains":  {"command", guard.With{"run": "echo ${TOKEN}; exit 1", "contains": "${TOKEN}"}, askProbe(release), true},
		"command vault":            {"command", guard.With{"list": "echo 2026-11-24T03:00:00Z ${TOKEN}"}, askVault, true},
		"command vault, nonsense":  {"command", guard.With{"list": "echo ${TOKEN}"}, askVault, true},
		"command restorer, check":  {"command", guard.With{"run": "true", "verify": "true", "check": "echo ${TOKEN}; exit 1"}, askRestorer, true},
		"command restorer":         {"command", guard.With{"run": "true", "verify": "echo id ${TOKEN} x"}, restore, true},
		"command restorer, run":    {"command", guard.With{"run": "set -x; : ${TOKEN}; exit 1", "verify": "true"}, restore, true},
		"file vault":               {"file", guard.With{"path": "/nowhere/${TOKEN}/*"}, askVault, true},
		"scrape, down":             {"scrape", guard.With{"canary": list(closed + "/${TOKEN}"), "stable": list(closed + "/${TOKEN}")}, askSource(query), true},
		"scrape, instance":         {"scrape", guard.With{"canary": list(echo.URL + "/${TOKEN}"), "stable": list(echo.URL + "/${TOKEN}")}, askSource(query), true},
		"scrape, headers":          {"scrape", guard.With{"canary": list(echo.URL), "stable": list(echo.URL), "headers": "${TOKEN}"}, askSource(query), true},
		"prometheus, TLS":          {"prometheus", guard.With{"address": echo.URL, "tls_config": map[string]any{"ca": "${TOKEN}"}}, askSource(query), false},
		"prometheus, proxy":        {"prometheus", guard.With{"address": echo.URL, "proxy_url": ":${TOKEN}"}, askSource(query), true},
		"prometheus, nonsense":     {"prometheus", guard.With{"address": echo.URL + "/${TOKEN}"}, askSource(query), true},
		"stdout notifier":          {"stdout", guard.With{"${TOKEN}": "${TOKEN}"}, askNotifier, true},
	} {
		for secret, token := range map[string]string{"plain": "s3cr3t", "a template": "s3cr3t{{.To}}", "open": "s3cr3t{{"} {
			t.Run(name+", "+secret, func(t *testing.T) {
				p := &program{env: envconfig.MapLookuper(map[string]string{"TOKEN": token}), err: t.Output()}
				got, err := c.call(t.Context(), p, guard.Part{Use: c.use, With: c.with})
				text, marshalErr := json.Marshal(got)
				if marshalErr != nil {
					t.Fatal(marshalErr)
				}
				told := fmt.Sprintf("%s, error %v", text, err)
				if strings.Contains(told, "s3cr3t") {
					t.Errorf("the token is told: %s", told)
				}
				if c.says && !strings.Contains(told, "${TOKEN}") {
					t.Errorf("the token is not told by its name: %s", told)
				}
			})
		}
	}
}

func to(url string) map[string]any { return map[string]any{"url": url} }

func askBackend(r guard.Release) func(context.Context, *program, guard.Part) (any, error) {
	return func(ctx context.Context, p *program, part guard.Part) (any, error) {
		backend, err := makePart(p, nil, "", builtin(p.err).Backends, part)
		if err != nil {
			return nil, err
		}
		standing, err := backend.Inspect(ctx, r)
		shifted := backend.Shift(ctx, guard.Order{Release: r}, 10)
		finished := backend.Finish(ctx, guard.Order{Release: r})
		return []any{standing, fmt.Sprint(shifted, finished)}, err
	}
}

func askSource(q guard.Query) func(context.Context, *program, guard.Part) (any, error) {
	return func(ctx context.Context, p *program, part guard.Part) (any, error) {
		source, err := makePart(p, nil, "", builtin(p.err).Sources, part)
		if err != nil {
			return nil, err
		}
		reading, err := source.Read(ctx, q)
		if historian, remembers := source.(guard.Historian); remembers && err == nil {
			_, err = historian.History(ctx, q, reading.At.Add(-time.Minute), reading.At, time.Minute)
		}
		return reading, err
	}
}

func askProbe(r guard.Release) func(context.Context, *program, guard.Part) (any, error) {
	return func(ctx context.Context, p *program, part guard.Part) (any, error) {
		probe, err := makePart(p, nil, "", builtin(p.err).Probes, part)
		if err != nil {
			return nil, err
		}
		return probe.Probe(ctx, r)
	}
}

func askNotifier(ctx context.Context, p *program, part guard.Part) (any, error) {
	notifier, err := makePart(p, nil, "", builtin(p.err).Notifiers, part)
	if err != nil {
		return nil, err
	}
	return notifier.Notify(ctx, guard.Notice{Title: "v2 is live"})
}

func askRestorer(ctx context.Context, p *program, part guard.Part) (any, error) {
	restorer, err := makePart(p, nil, "", restorers, part)
	if err != nil {
		return nil, err
	}
	return restorer.Ready(ctx)
}

func restore(ctx context.Context, p *program, part guard.Part) (any, error) {
	restorer, err := makePart(p, nil, "", restorers, part)
	if err != nil {
		return nil, err
	}
	return restorer.Restore(ctx, guard.Backup{ID: "nightly", Ended: time.Now()}, "/nowhere")
}

func askVault(ctx context.Context, p *program, part guard.Part) (any, error) {
	vault, err := makePart(p, nil, "", builtin(p.err).Vaults, part)
	if err != nil {
		return nil, err
	}
	return vault.Backups(ctx)
}

// TestSourceStaysWhatItIs looks through keepQuiet: a source remembers as much after it as before, and tells the time.
func TestSourceStaysWhatItIs(t *testing.T) {
	urls := []any{"http://shop.test/metrics"}
	for use, c := range map[string]struct {
		with guard.With
		want bool
	}{
		"prometheus": {guard.With{"address": "http://prometheus.test"}, true},
		"scrape":     {guard.With{"canary": urls, "stable": urls}, false},
	} {
		p := &program{env: envconfig.MapLookuper(nil)}
		source, err := makePart(p, nil, "", builtin(p.err).Sources, guard.Part{Use: use, With: c.with})
		if err != nil {
			t.Fatal(err)
		}
		if _, got := source.(guard.Historian); got != c.want {
			t.Errorf("%s is a Historian: %v, want %v", use, got, c.want)
		}
		if _, ok := source.(guard.Clock); !ok {
			t.Errorf("%s is no Clock", use)
		}
	}
	for name, c := range map[string]struct {
		source           guard.Source
		historian, clock bool
	}{
		"source": {struct{ guard.Source }{}, false, false},
		"historian": {struct {
			guard.Source
			guard.Historian
		}{}, true, false},
		"clock": {struct {
			guard.Source
			guard.Clock
		}{}, false, true},
	} {
		quiet := keepQuiet(&secrets{}, c.source)
		_, historian := quiet.(guard.Historian)
		_, clock := quiet.(guard.Clock)
		if historian != c.historian || clock != c.clock {
			t.Errorf("a %s becomes a Historian: %v, a Clock: %v", name, historian, clock)
		}
	}
}

// teller is every kind of part, and a check. It tells the token wherever it can say something.
type teller struct{}

func tell[T any]() (told T, err error) {
	say(reflect.ValueOf(&told).Elem())
	return told, errors.New("s3cr3t")
}

// say writes the token into every text of a value.
func say(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString("s3cr3t")
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		say(v.Index(0))
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Field(i).CanSet() {
				say(v.Field(i))
			}
		}
	}
}

func (teller) Inspect(context.Context, guard.Release) (guard.Standing, error) {
	return tell[guard.Standing]()
}
func (teller) Shift(context.Context, guard.Order, int) error            { return errors.New("s3cr3t") }
func (teller) Finish(context.Context, guard.Order) error                { return errors.New("s3cr3t") }
func (teller) Read(context.Context, guard.Query) (guard.Reading, error) { return tell[guard.Reading]() }
func (teller) Notify(context.Context, guard.Notice) (guard.Receipt, error) {
	return tell[guard.Receipt]()
}
func (teller) Probe(context.Context, guard.Release) (guard.Finding, error) {
	return tell[guard.Finding]()
}
func (teller) Backups(context.Context) ([]guard.Backup, error)        { return tell[[]guard.Backup]() }
func (teller) Prove(context.Context, guard.Rung) (guard.Proof, error) { return tell[guard.Proof]() }
func (teller) Collect(context.Context, guard.Release) ([]byte, error) {
	return nil, errors.New("s3cr3t")
}
func (teller) Ready(context.Context) (guard.Finding, error) { return tell[guard.Finding]() }
func (teller) Restore(context.Context, guard.Backup, string) (guard.Proof, error) {
	return tell[guard.Proof]()
}
func (teller) Run(context.Context, guard.Scene) ([]guard.Finding, error) {
	return tell[[]guard.Finding]()
}
func (teller) Instances(context.Context, guard.Release) ([]guard.Instance, error) {
	return tell[[]guard.Instance]()
}
func (teller) Skew(context.Context, guard.Release) (guard.Skew, error) { return tell[guard.Skew]() }
func (teller) History(context.Context, guard.Query, time.Time, time.Time, time.Duration) ([]guard.Reading, error) {
	return tell[[]guard.Reading]()
}

// TestNothingIsForgotten has the token in every text that can come back, of which a new one may be forgotten.
func TestNothingIsForgotten(t *testing.T) {
	var s secrets
	s.from(envconfig.MapLookuper(map[string]string{"TOKEN": "s3cr3t"}))("TOKEN")
	backend, source := keepQuiet[guard.Backend](&s, teller{}), keepQuiet[guard.Source](&s, teller{})
	for name, ask := range map[string]func() (any, error){
		"Inspect": func() (any, error) { return backend.Inspect(t.Context(), guard.Release{}) },
		"Shift":   func() (any, error) { return "", backend.Shift(t.Context(), guard.Order{}, 0) },
		"Finish":  func() (any, error) { return "", backend.Finish(t.Context(), guard.Order{}) },
		"Instances": func() (any, error) { // which are told by nobody but the readings of a source
			all, err := backend.(guard.Lister).Instances(t.Context(), guard.Release{})
			if len(all) != 1 || all[0].Address != "s3cr3t" {
				t.Errorf("Instances = %+v, and no source finds them", all)
			}
			return "", err
		},
		"Read": func() (any, error) {
			reading, err := source.Read(t.Context(), guard.Query{})
			return withoutNames([]guard.Reading{reading}), err
		},
		"History": func() (any, error) {
			readings, err := source.(guard.Historian).History(t.Context(), guard.Query{}, time.Time{}, time.Time{}, 0)
			return withoutNames(readings), err
		},
		"Skew": func() (any, error) { return source.(guard.Clock).Skew(t.Context(), guard.Release{}) },
		"Notify": func() (any, error) {
			return keepQuiet[guard.Notifier](&s, teller{}).Notify(t.Context(), guard.Notice{})
		},
		"Probe":   func() (any, error) { return keepQuiet[guard.Probe](&s, teller{}).Probe(t.Context(), guard.Release{}) },
		"Backups": func() (any, error) { return keepQuiet[guard.Vault](&s, teller{}).Backups(t.Context()) },
		"Prove": func() (any, error) {
			return guard.Prove(t.Context(), keepQuiet[guard.Vault](&s, teller{}), guard.RungRead)
		},
		"Collect": func() (any, error) { // what it brings is cleaned by whoever keeps it: TestEvidenceIsRedacted
			_, err := keepQuiet[guard.Collector](&s, teller{}).Collect(t.Context(), guard.Release{})
			return nil, err
		},
		"Ready": func() (any, error) { return keepQuiet[guard.Restorer](&s, teller{}).Ready(t.Context()) },
		"Restore": func() (any, error) {
			return keepQuiet[guard.Restorer](&s, teller{}).Restore(t.Context(), guard.Backup{}, "")
		},
		"Run": func() (any, error) { return s.check(guard.Check{Run: teller{}.Run}).Run(t.Context(), guard.Scene{}) },
	} {
		got, err := ask()
		if text := fmt.Sprintf("%+v", got); strings.Contains(text, "s3cr3t") {
			t.Errorf("%s tells the token: %s", name, text)
		}
		if err == nil || err.Error() != "${TOKEN}" {
			t.Errorf("%s: error %v, want ${TOKEN}", name, err)
		}
	}
}

// withoutNames takes out of readings what golive named itself when it asked.
func withoutNames(readings []guard.Reading) []guard.Reading {
	for i := range readings {
		for j := range readings[i].Series {
			readings[i].Series[j].Signal, readings[i].Series[j].Arm = "", ""
		}
	}
	return readings
}

// TestChecksKeepQuiet takes a check that tells the token from a plugin's kit to the engine.
func TestChecksKeepQuiet(t *testing.T) {
	plan, err := guard.ParsePlan("golive.yaml", []byte(`
service: shop
rollout:
  backend: {use: command, with: {inspect: "${TOKEN}", shift: "false"}}
  steps: [100]
watch:
  source: {use: prometheus, with: {address: "http://prometheus.test"}}
  signals: [{name: errors, preset: promhttp}]
`))
	if err != nil {
		t.Fatal(err)
	}
	p := &program{env: envconfig.MapLookuper(map[string]string{"TOKEN": "s3cr3t"})}
	kit := builtin(p.err)
	kit.Checks = []guard.Check{{Code: "TELL", ID: "tell.all", Run: func(context.Context, guard.Scene) ([]guard.Finding, error) {
		return []guard.Finding{{Title: "s3cr3t\n03:00:00Z  v2 is live", Reason: "\x1b[2Js3cr3t"}}, nil
	}}}
	parts, err := p.assemble(plan, kit)
	if err != nil {
		t.Fatal(err)
	}
	got, err := parts.Checks[0].Run(t.Context(), guard.Scene{})
	if err != nil {
		t.Fatal(err)
	}
	want := []guard.Finding{{Title: "${TOKEN} 03:00:00Z  v2 is live", Reason: "?[2J${TOKEN}"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
}
