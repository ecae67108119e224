//go:build unix

package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// The test binary is also a golive that does what the story expects, without judging anything; so these tests
// are about the demo's own mechanics: real shop processes, a real proxy, real signals.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "golive" {
		os.Exit(fakeGolive(os.Args[1:]))
	}
	os.Exit(withPrograms(m.Run))
}

// programs are the demo's flags for the fake golive and the real shop.
var programs []string

func withPrograms(tests func() int) int {
	dir, err := os.MkdirTemp("", "demo-test-")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	self, err := os.Executable()
	if err != nil {
		panic(err)
	}
	golive, shop := filepath.Join(dir, "golive"), filepath.Join(dir, "shop")
	if err := os.Symlink(self, golive); err != nil {
		panic(err)
	}
	if out, err := exec.Command("go", "build", "-o", shop, "../shop").CombinedOutput(); err != nil {
		panic(fmt.Sprintf("build the shop: %v\n%s", err, out))
	}
	programs = []string{"--golive", golive, "--shop", shop}
	return tests()
}

// fakeGolive moves traffic as golive would. FAKE_DIARY names a directory where it leaves notes for the test;
// FAKE_MOOD makes it misbehave.
func fakeGolive(args []string) int {
	plan, err := os.ReadFile("golive.yaml")
	if err != nil {
		panic(err)
	}
	note := func(name string, text []byte) {
		if err := os.WriteFile(filepath.Join(os.Getenv("FAKE_DIARY"), name), text, 0o600); err != nil {
			panic(err)
		}
	}
	note("plan", plan)
	admin := regexp.MustCompile(`inspect: {url: "(http://[^/]*)/`).FindSubmatch(plan)[1]
	call := func(method, path, body string) {
		r, err := http.NewRequest(method, string(admin)+path, strings.NewReader(body))
		if err != nil {
			panic(err)
		}
		response, err := http.DefaultClient.Do(r)
		if err != nil || response.StatusCode != http.StatusOK {
			panic(fmt.Sprint(response, err))
		}
	}
	line, mood := strings.Join(args, " "), os.Getenv("FAKE_MOOD")
	fmt.Println("fake golive:", line)
	switch {
	case args[0] == "check" && !bytes.Contains(plan, []byte("157 0123")):
		return goliveNoGo
	case mood == "hangs" && args[0] == "rollout": // until it is told to end; then it contains first
		told := make(chan os.Signal, 1)
		signal.Notify(told, syscall.SIGTERM)
		call("PUT", "/versions/v2/percent", `{"percent": 10}`)
		note("hanging", nil)
		<-told
		time.Sleep(300 * time.Millisecond) // in which the proxy must not go away
		call("PUT", "/versions/v2/percent", `{"percent": 0}`)
		note("contained", nil)
	case mood == "trusting" && args[0] == "rollout": // says live, and moved nothing
	case line == "rollout --from v1 --to v2":
		call("PUT", "/versions/v2/percent", `{"percent": 100}`)
		call("POST", "/versions/v2/finish", "")
	case line == "rollout --from v2 --to v3":
		call("PUT", "/versions/v3/percent", `{"percent": 10}`)
		time.Sleep(100 * time.Millisecond)
		call("PUT", "/versions/v3/percent", `{"percent": 0}`)
		if mood == "blind" {
			return goliveOK
		}
		if err := os.Mkdir(".golive", 0o700); err != nil {
			panic(err)
		}
		journal := strings.Repeat(`{"seq":1}`+"\n", 9) + `{"seq":10,"fact":"` + strings.Repeat("over ", 50) + `"}` + "\n"
		if err := os.WriteFile(".golive/v2-v3.jsonl", []byte(journal), 0o600); err != nil {
			panic(err)
		}
		return goliveRolledBack
	}
	return goliveOK
}

// A screen is where several processes write at once, as at a terminal.
type screen struct {
	mu   sync.Mutex
	text strings.Builder
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// theatre gives the demo a place for temporary files, and the fake golive one for its diary.
func theatre(t *testing.T, mood string) (tmp, diary string) {
	t.Helper()
	tmp, diary = t.TempDir(), t.TempDir()
	t.Setenv("TMPDIR", tmp)
	t.Setenv("FAKE_DIARY", diary)
	t.Setenv("FAKE_MOOD", mood)
	t.Setenv("GORACE", "atexit_sleep_ms=0") // under -race the fake golive would end a second late
	return tmp, diary
}

// checkCleared demands that the demo has left no files and that nobody listens any more.
func checkCleared(t *testing.T, tmp, diary string) {
	t.Helper()
	left, err := os.ReadDir(tmp)
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	plan, err := os.ReadFile(filepath.Join(diary, "plan"))
	if err != nil {
		t.Fatal(err)
	}
	addrs := regexp.MustCompile(`127\.0\.0\.1:\d+`).FindAllString(string(plan), -1)
	slices.Sort(addrs)
	addrs = slices.Compact(addrs)
	if slices.Contains(addrs, "127.0.0.1:18080") || len(addrs) < 2 {
		t.Fatalf("addresses in the plan: %v", addrs)
	}
	for _, addr := range addrs {
		if c, err := net.Dial("tcp", addr); err == nil {
			_ = c.Close()
			t.Errorf("somebody still listens on %s", addr)
		}
	}
}

func TestStory(t *testing.T) {
	tmp, diary := theatre(t, "")
	var stdout, stderr screen
	if code := run(t.Context(), programs, &stdout, &stderr); code != exitOK {
		t.Fatalf("exit %d: %s\n%s", code, stderr.String(), stdout.String())
	}
	rest := stdout.String()
	for _, want := range []string{
		"\n1. Are we ready?\n", "\n$ golive check --from v1 --to v2\nfake golive: check", "\n# exit 3\n",
		"\n2. Now we are\n", "\n# exit 0\n",
		"\n3. A good release\n", "\n$ golive rollout --from v1 --to v2\n", "\n$ curl http://127.0.0.1:", `"percent":100`,
		"\n4. A bad release\n", "\n# exit 10\n", `{"percent":0,"undo":{"open":true,"detail":"v2 answers and holds 100 %"}}`,
		"\nWhat the customers saw, from first to last:\nv1 ", " requests ",
		"\n5. Why?\n", "\n$ golive explain\n", "\n$ tail -n 3 .golive/v2-v3.jsonl", "\n" + `{"seq":1}` + "\n", `{"seq":10,"fact":"over `,
		"\n$ golive journal verify .golive/v2-v3.jsonl\n", "\n6. The report\n", "\n$ golive report -o html=", "\nThe end\n",
	} {
		_, after, found := strings.Cut(rest, want)
		if !found {
			t.Fatalf("no %q, in this order, in:\n%s", want, stdout.String())
		}
		rest = after
	}
	if strings.Contains(stdout.String(), "\x1b") {
		t.Error("colours, and this is no terminal")
	}
	if stderr.String() != "" {
		t.Errorf("stderr: %s", stderr.String())
	}
	checkCleared(t, tmp, diary)
}

func TestStoryEndsWhenGoliveErrs(t *testing.T) {
	for mood, want := range map[string]string{
		"blind":    "demo: 4. A bad release: golive rollout --from v2 --to v3: exit 0, want 10",
		"trusting": "demo: 3. A good release: the proxy says that v2 has 0 % of the traffic, want 100 %",
	} {
		t.Run(mood, func(t *testing.T) {
			tmp, diary := theatre(t, mood)
			var stderr screen
			if code := run(t.Context(), programs, io.Discard, &stderr); code != exitFailed || !strings.Contains(stderr.String(), want) {
				t.Errorf("exit %d: %s\nwant %d with %q", code, stderr.String(), exitFailed, want)
			}
			checkCleared(t, tmp, diary)
		})
	}
}

func TestInterrupt(t *testing.T) {
	tmp, diary := theatre(t, "hangs")
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	go func() {
		for {
			if _, err := os.Stat(filepath.Join(diary, "hanging")); err == nil || ctx.Err() != nil {
				interrupt()
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
	}()
	var stderr screen
	began := time.Now()
	if code := run(ctx, programs, io.Discard, &stderr); code != exitInterrupted || !strings.Contains(stderr.String(), "interrupted") {
		t.Errorf("exit %d: %s", code, stderr.String())
	}
	if _, err := os.Stat(filepath.Join(diary, "contained")); err != nil {
		t.Errorf("golive could not bring the traffic back: %v", err)
	}
	if took := time.Since(began); took > grace {
		t.Errorf("took %v", took)
	}
	checkCleared(t, tmp, diary)
}

func TestKeep(t *testing.T) {
	args := append(slices.Clone(programs), "--keep")
	tmp, _ := theatre(t, "blind")
	run(t.Context(), args, io.Discard, io.Discard)
	if plans, _ := filepath.Glob(filepath.Join(tmp, "golive-demo-*", "golive.yaml")); len(plans) != 1 {
		t.Errorf("kept %v, want one plan", plans)
	}
}

func TestUsage(t *testing.T) {
	for _, test := range []struct {
		args string
		code int
		want string
	}{
		{"--speed 2", exitUsage, "flag provided but not defined"},
		{"again", exitUsage, `unexpected argument "again"`},
		{"--golive no-such --shop main.go", exitUsage, "no-such"},
		{"-h", exitOK, "Example:"},
	} {
		var stdout, stderr screen
		code := run(t.Context(), strings.Fields(test.args), &stdout, &stderr)
		if text := stdout.String() + stderr.String(); code != test.code || !strings.Contains(text, test.want) ||
			!strings.Contains(text, "Example:") {
			t.Errorf("%s: exit %d: %s\nwant %d with %q and an example", test.args, code, text, test.code, test.want)
		}
	}
}

// A server that ends, or says nothing, before it is ready is an error, with its own words on stderr.
func TestServerThatDoesNotStart(t *testing.T) {
	shop := programs[3]
	var stderr screen
	_, err := server(t.Context(), &stderr, shop, "serve", "--version", "v1", "--listen", "nowhere", "--announce")
	if err == nil || !strings.Contains(stderr.String(), "nowhere") {
		t.Errorf("%v: %s", err, stderr.String())
	}
}

// Whatever a process has started ends with it, even if it does not listen to anybody: both hold the pipe's
// other end, so that reading ends when they are gone.
func TestStopEndsTheWholeGroup(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	stop, err := server(t.Context(), w, "/bin/sh", "-c", `(trap "" TERM; sleep 60) & echo ready; wait`)
	w.Close()
	if err != nil {
		t.Fatal(err)
	}
	stop()
	stop()
	if err := r.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(r); err != nil {
		t.Errorf("the group is still there: %v", err)
	}
}
