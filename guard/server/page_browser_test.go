package server_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/engine"
	"github.com/golive-dev/golive/guard/server"
)

// A browser is a real one, driven by what the W3C says of WebDriver: a few calls of HTTP, which need no module.
type browser struct {
	*testing.T
	session string // address
}

// needsBrowser skips a test where there is no browser, and fails it where there has to be one.
func needsBrowser(t *testing.T) {
	t.Helper()
	for _, program := range []string{"chromium", "chromedriver"} {
		if _, err := exec.LookPath(program); err != nil {
			missing := program + " is not installed: apt-get install -y --no-install-recommends chromium chromium-driver"
			if os.Getenv("CI") != "" {
				t.Fatal(missing)
			}
			t.Skip(missing)
		}
	}
}

// startDriver starts the program that drives browsers, and returns its address.
func startDriver(t *testing.T) string {
	t.Helper()
	cmd := exec.Command("chromedriver", "--port=0")
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir())
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	port := regexp.MustCompile(`started successfully on port (\d+)`)
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if found := port.FindStringSubmatch(lines.Text()); found != nil {
			go func() { _, _ = io.Copy(io.Discard, out) }()
			return "http://127.0.0.1:" + found[1]
		}
	}
	t.Fatal("chromedriver does not say on which port it listens")
	return ""
}

// browse opens a browser, which runs scripts or does not.
func browse(t *testing.T, driver string, scripts bool) *browser {
	t.Helper()
	options := map[string]any{"args": []string{
		"--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-dev-shm-usage", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--window-size=1280,1000",
	}}
	if !scripts {
		options["prefs"] = map[string]any{"profile.managed_default_content_settings.javascript": 2}
	}
	b := &browser{T: t, session: driver + "/session"}
	var made struct{ SessionID string }
	b.call(&made, "POST", "", map[string]any{"capabilities": map[string]any{"alwaysMatch": map[string]any{
		"browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": map[string]string{"browser": "ALL"},
	}}})
	b.session += "/" + made.SessionID
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the page:\n%s", b.text("body"))
		}
		b.call(nil, "DELETE", "", nil)
	})
	return b
}

// try calls the driver. The error is what the driver says.
func (b *browser) try(into any, method, path string, body any) error {
	var content io.Reader
	if method == "POST" {
		if body == nil {
			body = struct{}{}
		}
		text, err := json.Marshal(body)
		if err != nil {
			return err
		}
		content = bytes.NewReader(text)
	}
	request, err := http.NewRequestWithContext(context.Background(), method, b.session+path, content)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	var answer struct{ Value json.RawMessage }
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		var said struct{ Error, Message string }
		_ = json.Unmarshal(answer.Value, &said)
		message, _, _ := strings.Cut(said.Message, "\n")
		return fmt.Errorf("%s: %s", said.Error, message)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(answer.Value, into)
}

func (b *browser) call(into any, method, path string, body any) {
	b.Helper()
	if err := b.try(into, method, path, body); err != nil {
		b.Fatalf("%s %s: %v", method, path, err)
	}
}

func (b *browser) visit(address string) {
	b.Helper()
	b.call(nil, "POST", "/url", map[string]string{"url": address})
}

// element finds the first element that a selector names.
func (b *browser) element(selector string) (string, error) {
	var found map[string]string
	err := b.try(&found, "POST", "/element", map[string]string{"using": "css selector", "value": selector})
	for _, id := range found {
		return "/element/" + id, err
	}
	return "", err
}

// with does something to an element, again if that has just been replaced.
func (b *browser) with(selector string, do func(element string) error) {
	b.Helper()
	var err error
	for range 10 {
		var element string
		if element, err = b.element(selector); err == nil {
			err = do(element)
		}
		if err == nil || !strings.Contains(err.Error(), "stale element") {
			break
		}
	}
	if err != nil {
		b.Fatalf("%s: %v", selector, err)
	}
}

func (b *browser) click(selector string) {
	b.Helper()
	b.with(selector, func(element string) error { return b.try(nil, "POST", element+"/click", nil) })
}

func (b *browser) enter(selector, text string) {
	b.Helper()
	b.with(selector, func(element string) error {
		return b.try(nil, "POST", element+"/value", map[string]string{"text": text})
	})
}

// text is what can be read in an element; nothing while it is not there.
func (b *browser) text(selector string) (text string) {
	if element, err := b.element(selector); err == nil {
		_ = b.try(&text, "GET", element+"/text", nil)
	}
	return text
}

// await waits until an element says something.
func (b *browser) await(selector, what string) {
	b.Helper()
	b.until(selector+" says "+what, func() bool { return strings.Contains(b.text(selector), what) })
}

func (b *browser) until(what string, done func() bool) {
	b.Helper()
	for !done() {
		if end, limited := b.Deadline(); limited && time.Until(end) < 10*time.Second {
			b.Fatalf("waited in vain until %s", what) // while there is time to say what the page shows
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// run runs a script in the page.
func (b *browser) run(into any, script string) {
	b.Helper()
	b.call(into, "POST", "/execute/sync", map[string]any{"script": script, "args": []any{}})
}

// quiet wants a console without complaints: no error of a script, nothing that the policy has refused, nothing missing.
func (b *browser) quiet() {
	b.Helper()
	var entries []struct{ Level, Message string }
	b.call(&entries, "POST", "/se/log", map[string]string{"type": "browser"})
	for _, e := range entries {
		b.Errorf("the console says: %s %s", e.Level, e.Message)
	}
}

// shoot keeps a picture of the whole page in the directory that GOLIVE_SHOTS names, if it does, and wants a page that is
// no wider than its window.
func (b *browser) shoot(name string, width int, dark bool) {
	b.Helper()
	scheme := "light"
	if dark {
		scheme = "dark"
	}
	b.devtools(nil, "Emulation.setEmulatedMedia", map[string]any{"features": []any{map[string]string{"name": "prefers-color-scheme", "value": scheme}}})
	b.devtools(nil, "Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false})
	defer b.devtools(nil, "Emulation.clearDeviceMetricsOverride", map[string]any{})
	var metrics struct {
		CSSContentSize struct{ Width, Height float64 } `json:"cssContentSize"`
	}
	b.devtools(&metrics, "Page.getLayoutMetrics", map[string]any{})
	if size := metrics.CSSContentSize; size.Width > float64(width) {
		b.Errorf("%s is %g wide in a window of %d", name, size.Width, width)
	}
	dir := os.Getenv("GOLIVE_SHOTS")
	if dir == "" {
		return
	}
	var shot struct{ Data string }
	b.devtools(&shot, "Page.captureScreenshot", map[string]any{
		"captureBeyondViewport": true,
		"clip":                  map[string]any{"x": 0, "y": 0, "width": width, "height": metrics.CSSContentSize.Height, "scale": 1},
	})
	png, err := base64.StdEncoding.DecodeString(shot.Data)
	if err := errors.Join(err, os.WriteFile(filepath.Join(dir, fmt.Sprintf("%s-%d-%s.png", name, width, scheme)), png, 0o644)); err != nil {
		b.Error(err)
	}
}

func (b *browser) shots(name string) {
	b.Helper()
	b.shoot(name, 1280, false)
	b.shoot(name, 1280, true)
	b.shoot(name, 400, false)
}

func (b *browser) devtools(into any, method string, params map[string]any) {
	b.Helper()
	b.call(into, "POST", "/goog/cdp/execute", map[string]any{"cmd": method, "params": params})
}

// A moody world serves a version whose health the test decides. It counts a thousand requests at each reading, whatever
// the clock says.
type moody struct {
	mu      sync.Mutex
	percent int
	counts  map[guard.Arm]*guard.Series
	bad     float64 // share of the requests of the new version
	once    float64 // so many are bad at the next reading, beside those
}

func newMoody() *moody {
	m := &moody{counts: map[guard.Arm]*guard.Series{}}
	for _, arm := range []guard.Arm{guard.Canary, guard.Baseline} {
		bounds := []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5}
		m.counts[arm] = &guard.Series{Signal: "latency", Arm: arm, Instance: string(arm), Bounds: bounds, Buckets: make([]float64, len(bounds))}
	}
	return m
}

func (m *moody) be(bad, once float64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.bad, m.once = bad, once
}

func (m *moody) Inspect(context.Context, guard.Release) (guard.Standing, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return guard.Standing{Percent: m.percent, Undo: guard.Undo{Open: true}}, nil
}

func (m *moody) Shift(_ context.Context, _ guard.Order, percent int) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.percent = percent
	return nil
}

func (m *moody) Finish(context.Context, guard.Order) error { return nil }

func (m *moody) Read(context.Context, guard.Query) (guard.Reading, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	reading := guard.Reading{At: time.Now()}
	for arm, c := range m.counts {
		n := 10 * float64(m.percent)
		if arm == guard.Baseline {
			n = 1000 - n
		} else {
			c.Bad += n*m.bad + m.once
			m.once = 0
		}
		c.Total += n
		for i, below := range []float64{.05, .3, .6, .8, .9, .97, .995, .999, 1} {
			c.Buckets[i] = c.Total * below
		}
		latency := *c
		latency.Bad, latency.At, latency.Buckets = 0, reading.At, append([]float64(nil), c.Buckets...)
		reading.Series = append(reading.Series, latency, guard.Series{Signal: "errors", Arm: arm, Instance: string(arm), At: reading.At, Total: c.Total, Bad: c.Bad})
	}
	return reading, nil
}

// moodyPlan is watched for as long as the test wants: nothing is found healthy before its time is over.
const moodyPlan = `
service: SERVICE
environment: production
rollout:
  backend: {use: world}
  steps: [{percent: 10, name: one host, at_least: 1h, at_most: 2h}, 50, 100]
  bake: {for: 1s}
watch:
  source: {use: world}
  every: 1s
  warmup: 0s
  episodes: 0s
  false_rollback: 0.0001%
  signals:
    - {name: errors, total: requests, bad: 'requests{code="500"}'}
    - {name: latency, histogram: request_seconds}
`

// startMoody starts a server with a world of its own for each service.
func startMoody(t *testing.T, services ...string) (*running, map[string]*moody) {
	s := newSite(t)
	worlds := map[string]*moody{}
	for _, service := range services {
		s.write(service+".yaml", strings.Replace(moodyPlan, "SERVICE", service, 1))
		worlds[service] = newMoody()
	}
	return s.start("node-1", func(o *server.Options) {
		o.Parts = func(ctx context.Context, p *guard.Plan) (engine.Parts, func(), error) {
			parts, letGo, err := s.world.parts(ctx, p)
			if w := worlds[p.Service]; w != nil {
				parts.Backend, parts.Source = w, w
			}
			return parts, letGo, err
		}
	}), worlds
}

// TestBrowser watches rollouts in a real browser, as a person does. It never loads a page again by itself.
func TestBrowser(t *testing.T) {
	needsBrowser(t)
	r, worlds := startMoody(t, "checkout", "search")
	b := browse(t, startDriver(t), true)
	id := r.open("checkout", "v1", "v2")
	r.await(id, "watching", watching)

	b.visit(r.web.URL + "/")
	b.await("#part-open", "checkout")
	b.run(nil, "window.sameDocument = true")
	other := r.open("search", "v41", "v42")
	b.await("#part-open", "v42") // without being loaded again
	b.await("#part-open", "watching")
	b.shots("list")
	b.click("#r-" + id)

	b.await("#part-head", "watching")
	b.await("#part-evidence", "errors")
	b.await("#live", "Live")
	b.run(nil, "window.sameDocument = true")
	worlds["checkout"].be(0, 9)
	b.await("#part-opinion", "canary 9 of")
	b.await("#part-evidence", "against the new version")

	// Somebody writes while the page is brought up to date below his hands.
	b.click("#do-rollback")
	b.enter("#why-rollback", "customers <b>complain</b>")
	var before, after struct {
		Records, Why, Focus string
		Open, Same          bool
	}
	const look = `const why = document.getElementById("why-rollback");
return {Records: document.querySelector("#act-rollback [name=form]").value, Why: why.value, Focus: document.activeElement.id,
Open: document.getElementById("act-rollback").open, Same: window.sameDocument === true}`
	b.run(&before, look)
	b.until("the form is a newer one", func() bool { b.run(&after, look); return after.Records != before.Records })
	if before.Records = after.Records; after != before || !after.Open || !after.Same || after.Why == "" || after.Focus != "why-rollback" {
		t.Errorf("after the page was brought up to date: %+v, before: %+v", after, before)
	}
	b.shots("watching")
	b.click("#sure-rollback")
	b.await(".told", "Recorded: roll back")
	b.await("#part-head", "rolled back")
	b.await("#part-timeline", "somebody ordered rollback: customers <b>complain</b>")
	b.await("#part-acts", "nothing to decide")
	r.over(id, guard.RolledBack)
	b.shots("rolled-back")

	// The next one goes bad by itself, and so it goes back by itself.
	b.visit(r.web.URL + "/rollouts/" + other)
	b.await("#part-head", "watching")
	b.run(nil, "window.sameDocument = true")
	worlds["search"].be(.5, 0)
	b.await("#part-head", "regressed")
	b.await("#part-head", "rolled back")
	var same bool
	if b.run(&same, "return window.sameDocument === true"); !same {
		t.Error("the page was loaded again")
	}
	b.shots("regressed")
	b.visit(r.web.URL + "/?show=open")
	b.await("#part-open", "No rollout is open")
	b.quiet()
}

// TestBrowserLosesConnection says so when the server is gone.
func TestBrowserLosesConnection(t *testing.T) {
	needsBrowser(t)
	r, _ := startMoody(t, "checkout")
	b := browse(t, startDriver(t), true)
	id := r.open("checkout", "v1", "v2")
	r.await(id, "watching", watching)
	b.visit(r.web.URL + "/rollouts/" + id)
	b.await("#live", "Live")
	r.web.Listener.Close()
	r.web.CloseClientConnections()
	b.await("#live", "Connection lost")
	b.await("#part-head", "watching") // as it was
	b.shoot("lost", 1280, false)
}

// TestBrowserWithoutScripts reads and acts where no script runs.
func TestBrowserWithoutScripts(t *testing.T) {
	needsBrowser(t)
	r, worlds := startMoody(t, "checkout")
	b := browse(t, startDriver(t), false)
	id := r.open("checkout", "v1", "v2")
	worlds["checkout"].be(0, 3)
	r.await(id, "measured", func(s guard.State) bool { return !s.Ruling.At.IsZero() && len(s.Ruling.Signals) > 0 })
	b.visit(r.web.URL + "/")
	b.await("#live", "Not live")
	b.click("#r-" + id)
	for part, want := range map[string]string{
		"#part-happening": "v2 has 10 % of the traffic", "#part-opinion": "insufficient", "#part-checks": "1 passed",
		"#part-owed": "read the metrics", "#part-timeline": "opened", "#part-journal": "records", "#part-acts": "Roll back to v1",
	} {
		if text := b.text(part); !strings.Contains(text, want) {
			t.Errorf("%s does not say %q:\n%s", part, want, text)
		}
	}
	if text := b.text("#sure-rollback"); text != "" {
		t.Errorf("the traffic goes back without a question: %q", text)
	}
	b.click("#do-rollback")
	b.enter("#why-rollback", "no scripts here")
	b.click("#sure-rollback")
	b.await(".told", "Recorded: roll back")
	r.over(id, guard.RolledBack)
	b.visit(r.web.URL + "/rollouts/" + id)
	b.await("#part-head", "rolled back")
	b.await("#part-timeline", "no scripts here")
	b.quiet()
}
