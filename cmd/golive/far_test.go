package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/sethvargo/go-envconfig"

	"github.com/golive-dev/golive/guard"
)

// calls golive in this process, and returns the exit code, the answer and the story.
func calls(t *testing.T, env map[string]string, args ...string) (code int, out, story string) {
	t.Helper()
	var answer, told safeBuffer
	code = run(t.Context(), args, strings.NewReader(""), &answer, &told, envconfig.MapLookuper(env), make(chan os.Signal))
	return code, answer.String(), told.String()
}

// A desk is a server that plays a part: it opens one rollout, and tells its events as the test says.
type desk struct {
	mu     sync.Mutex
	keys   []string
	tokens []string
	posts  int
	asked  []string // the numbers after which events were asked for
	events []string // as the data of server-sent events, the first with number 1
	serve  func(d *desk, w http.ResponseWriter, after int)
	lose   int // so many answers to the first posts are lost
}

func (d *desk) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.tokens = append(d.tokens, r.Header.Get("Authorization"))
	switch {
	case r.Method == http.MethodPost:
		d.keys = append(d.keys, r.Header.Get("Idempotency-Key"))
		if d.posts++; d.posts <= d.lose {
			panic(http.ErrAbortHandler)
		}
		w.WriteHeader(http.StatusCreated)
		fmt.Fprint(w, `{"id": "r1"}`)
	case strings.HasSuffix(r.URL.Path, "/events"):
		d.asked = append(d.asked, r.Header.Get("Last-Event-ID"))
		after, err := strconv.Atoi(r.Header.Get("Last-Event-ID"))
		if err != nil || r.Header.Get("Accept") != "text/event-stream" {
			http.Error(w, "no", http.StatusBadRequest)
			return
		}
		d.serve(d, w, after)
	default:
		http.NotFound(w, r)
	}
}

// tell sends events by their numbers, and that nothing more will happen behind the last.
func (d *desk) tell(w http.ResponseWriter, numbers ...int) {
	for _, n := range numbers {
		fmt.Fprintf(w, "id: %d\nevent: x\ndata: %s\n\n", n, d.events[n-1])
	}
	if len(numbers) > 0 && numbers[len(numbers)-1] == len(d.events) {
		fmt.Fprint(w, "event: over\ndata: {}\n\n")
	}
}

// upTo are the numbers behind one, up to another.
func upTo(after, last int) (numbers []int) {
	for n := after + 1; n <= last; n++ {
		numbers = append(numbers, n)
	}
	return numbers
}

// told are the events of a whole rollout as a server tells them.
func toldEvents(t *testing.T) (events []string) {
	t.Helper()
	source, err := os.ReadFile("testdata/golive.yaml")
	if err != nil {
		t.Fatal(err)
	}
	plan, err := guard.ParsePlan("golive.yaml", source)
	if err != nil {
		t.Fatal(err)
	}
	percent, ticks := 0, 0
	world := func(s guard.State, task guard.Task) (guard.Fact, time.Duration) {
		switch d := task.Deed.(type) {
		case guard.RunChecks:
			return guard.Checked{Findings: []guard.Finding{{Code: "GL102", ID: "backup.age", Title: "the backup is young", Verdict: guard.Pass}}}, time.Second
		case guard.Inspect:
			return guard.Inspected{Standing: guard.Standing{Percent: percent, Undo: guard.Undo{Open: true}}}, 0
		case guard.Shift:
			percent = d.Percent
			return guard.Shifted{Percent: percent}, 0
		case guard.Measure:
			ticks++
			return guard.Measured{Ruling: testRuling(ticks, s.At), Standing: &guard.Standing{Percent: percent}}, 0
		case guard.Verify:
			return guard.Verified{Standing: guard.Standing{Percent: percent}}, 0
		case guard.Wait:
			return guard.Elapsed{}, 0
		}
		return nil, 0
	}
	opened := guard.Opened{Release: testRelease, Purpose: guard.ToRollout, Mode: guard.Enforce, Plan: string(source), File: "golive.yaml"}
	for i, e := range guard.Rehearse(plan, opened, time.Date(2026, 11, 24, 3, 0, 0, 0, time.UTC), world) {
		kind, _, err := e.Encode()
		if err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(map[string]any{"seq": i + 1, "at": e.At, "kind": kind, "task": e.Task, "fact": e.Fact})
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, string(text))
	}
	return events
}

// TestFollowed tells the same story whatever becomes of the connection, each event once and in its place.
func TestFollowed(t *testing.T) {
	events := toldEvents(t)
	follow := func(t *testing.T, d *desk) (story string) {
		t.Helper()
		d.events = events
		web := httptest.NewServer(d)
		defer web.Close()
		env := map[string]string{"GOLIVE_SERVER": web.URL, "GOLIVE_TOKEN": "a-token-of-the-test", "LANG": "C.UTF-8"}
		code, out, told := calls(t, env, "rollout", "--service", "shop", "--from", "v1", "--to", "v2")
		if code != exitRolledBack || !strings.HasPrefix(out, "v2 was rolled back to v1, verified: errors: 47 of 480") {
			t.Fatalf("exit code %d, want %d: %s%s", code, exitRolledBack, out, told)
		}
		if strings.Contains(told+out, env["GOLIVE_TOKEN"]) {
			t.Errorf("the token is told: %s%s", out, told)
		}
		for _, token := range d.tokens {
			if token != "Bearer "+env["GOLIVE_TOKEN"] {
				t.Errorf("the server gets the token %q", token)
			}
		}
		var lines []string
		for line := range strings.Lines(told) {
			if !strings.HasPrefix(line, "golive: ") && !strings.Contains(line, web.URL) {
				lines = append(lines, line)
			}
		}
		return strings.Join(lines, "")
	}
	want := follow(t, &desk{serve: func(d *desk, w http.ResponseWriter, after int) { d.tell(w, upTo(after, len(events))...) }})
	if !strings.Contains(want, "step 1 of 2: v2 has 20 %") || !strings.Contains(want, "over: rolled back") {
		t.Fatalf("the story is %s", want)
	}
	half := len(events) / 2
	for name, serve := range map[string]func(d *desk, w http.ResponseWriter, after int){
		"cut off in the middle of an event": func(d *desk, w http.ResponseWriter, after int) {
			if after == 0 {
				d.tell(w, upTo(0, half)...)
				fmt.Fprintf(w, "id: %d\nevent: x\ndata: %s", half+1, d.events[half][:10])
				w.(http.Flusher).Flush()
				panic(http.ErrAbortHandler)
			}
			d.tell(w, upTo(after, len(events))...)
		},
		"told again from the beginning": func(d *desk, w http.ResponseWriter, after int) {
			if after == 0 {
				d.tell(w, upTo(0, half)...)
				return
			}
			d.tell(w, upTo(0, len(events))...)
		},
		"with a gap": func(d *desk, w http.ResponseWriter, after int) {
			if after == 0 {
				d.tell(w, append(upTo(0, half), half+2)...)
				return
			}
			d.tell(w, upTo(after, len(events))...)
		},
		"away for a while": func(d *desk, w http.ResponseWriter, after int) {
			if len(d.asked) < 3 {
				w.WriteHeader(http.StatusServiceUnavailable)
				return
			}
			d.tell(w, upTo(after, len(events))...)
		},
		"archived before the end was heard": func(d *desk, w http.ResponseWriter, after int) {
			if after == 0 {
				for _, n := range upTo(0, len(events)) {
					fmt.Fprintf(w, "data: %s\n\n", d.events[n-1])
				}
				return
			}
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, `{"error": "there is no such rollout"}`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := &desk{serve: serve}
			if diff := cmp.Diff(want, follow(t, d)); diff != "" {
				t.Errorf("the story (-want +got):\n%s", diff)
			}
			if len(d.asked) < 2 {
				t.Errorf("events were asked for after %v: the connection was never lost", d.asked)
			}
		})
	}
}

// TestOpenedOnce opens a rollout with one key, however many answers are lost.
func TestOpenedOnce(t *testing.T) {
	d := &desk{lose: 3}
	web := httptest.NewServer(d)
	defer web.Close()
	code, out, told := calls(t, map[string]string{"GOLIVE_SERVER": web.URL}, "rollout", "--service", "shop", "--to", "v2", "--detach")
	if code != exitOK || !strings.HasPrefix(out, "r1\n") {
		t.Fatalf("exit code %d: %s%s", code, out, told)
	}
	if len(d.keys) != 4 || d.keys[0] == "" || d.keys[0] != d.keys[1] || d.keys[0] != d.keys[2] || d.keys[0] != d.keys[3] {
		t.Errorf("the keys of the tries are %q, want the same each time", d.keys)
	}
}

// TestStrangeServers says what is wrong with an address.
func TestStrangeServers(t *testing.T) {
	for name, test := range map[string]struct {
		answer http.HandlerFunc
		code   int
		says   string
	}{
		"no golive": {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") }, exitInternal, "is this the address of golive serve?"},
		"not found": {http.NotFound, exitUsage, "it answers 404 Not Found, and not as golive serve does"},
		"elsewhere": {http.RedirectHandler("https://sso.test/", http.StatusFound).ServeHTTP, exitInternal, "it points to https://sso.test/"},
		"a long line": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(400)
			fmt.Fprintf(w, `{"error": "\u001b[31m%s"}`, strings.Repeat("x", 5000))
		}, exitUsage, "xxx"},
	} {
		t.Run(name, func(t *testing.T) {
			web := httptest.NewServer(test.answer)
			defer web.Close()
			code, out, told := calls(t, map[string]string{"GOLIVE_SERVER": web.URL}, "status", "r1")
			if code != test.code || !strings.Contains(told, test.says) || len(told) > 2000 || strings.Contains(told, "\x1b") {
				t.Errorf("exit code %d, want %d: %s%s", code, test.code, out, told)
			}
		})
	}
}

// TestTwoServers kills the server that a call follows, while another shares its store.
func TestTwoServers(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a PostgreSQL; make test runs it")
	}
	d := newDatabase(t)
	address, f := d.address(d.port), newFleet(t, 1)
	one, two := f.station(t, address, "one"), f.station(t, address, "two")
	for _, s := range []*station{one, two} {
		eventually(t, "the server is ready", s.ready)
	}
	var out, story safeBuffer
	follow := exec.Command("golive", "rollout", "--service", "svc00", "--environment", "test", "--from", "v1", "--to", "v2", "--server", one.url+","+two.url)
	follow.Stdout, follow.Stderr, follow.Dir = &out, &story, t.TempDir()
	if err := follow.Start(); err != nil {
		t.Fatal(err)
	}
	over := make(chan error, 1)
	go func() { over <- follow.Wait() }()
	eventually(t, "the call follows", func() bool { return strings.Contains(story.String(), "step 1 of ") || len(over) > 0 })
	one.kill()
	err := <-over
	var exit *exec.ExitError
	if errors.As(err, &exit) || err != nil || !strings.HasPrefix(out.String(), "v2 is live") {
		t.Fatalf("it ends with %v: %s%s", err, out.String(), story.String())
	}
	for _, once := range []string{"rollout of svc00", "baked for 2s without harm", "over: live"} {
		if n := strings.Count(story.String(), once); n != 1 {
			t.Errorf("%q is told %d times:\n%s", once, n, story.String())
		}
	}
	if bytes.Contains([]byte(out.String()), []byte(one.url)) {
		t.Errorf("the answer points to the server that is gone: %s", out.String())
	}
}
