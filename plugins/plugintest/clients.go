package plugintest

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// Port is free on 127.0.0.1, and none that a client picks by itself: one that tries a dead port again and again can
// connect to itself.
func Port(t testing.TB) int {
	t.Helper()
	for range 100 {
		port := 20000 + rand.IntN(12000)
		if l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			_ = l.Close() // which was only to try
			return port
		}
	}
	t.Fatal("no port is free")
	return 0
}

var visitor = http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 5 * time.Second}

// Visit asks for http://address/ as a new client does, over a connection of its own, and returns what is answered. A
// status other than 200 is an error.
func Visit(address string) (text string, err error) {
	answer, err := visitor.Get("http://" + address)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %d", answer.StatusCode)
	}
	return string(body), err
}

// Shares wants the clients to get what was asked for. After shift has given the new version each of the percents, visit
// is called 1,000 times, and says whether the new version answered. Chi-square with one degree of freedom: a fair
// backend is refused once in a million runs; 0 and 100 % have to be exact.
func Shares(t *testing.T, percents []int, shift func(percent int), visit func() (canary bool, err error)) {
	t.Helper()
	const refused, n = 23.9, 1000
	for _, percent := range percents {
		shift(percent)
		seen := 0.
		for range n {
			canary, err := visit()
			if err != nil {
				t.Fatalf("at %d%%: %v", percent, err)
			}
			if canary {
				seen++
			}
		}
		want := float64(n*percent) / 100
		if percent == 0 || percent == 100 {
			if seen != want {
				t.Errorf("at %d%% the new version got %v of %d requests", percent, seen, n)
			}
			continue
		}
		chi := (seen-want)*(seen-want)/want + (seen-want)*(seen-want)/(n-want)
		t.Logf("at %d%% the new version got %v of %d requests (chi-square %.2f)", percent, seen, n, chi)
		if chi > refused {
			t.Errorf("at %d%% the new version got %v of %d requests (chi-square %.1f, at most %.1f)", percent, seen, n, chi, refused)
		}
	}
}

// Needs skips a test without a program that it cannot do without, and says how to install it. Where CI is set, that
// is a failure: there, everything is to be tested.
func Needs(t testing.TB, program, install string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		missing(t, program, install)
	}
}

// NeedsModule is Needs for a module of Node. It returns the setting of the environment with which node finds it, also
// where it was installed globally.
func NeedsModule(t testing.TB, module, install string) (setting string) {
	t.Helper()
	global, err := exec.Command("npm", "root", "--global").Output()
	setting = "NODE_PATH=" + strings.TrimSpace(string(global)) + string(os.PathListSeparator) + os.Getenv("NODE_PATH")
	look := exec.Command("node", "-e", "require(process.argv[1])", module)
	look.Env = append(os.Environ(), setting)
	if err != nil || look.Run() != nil {
		missing(t, module, install)
	}
	return setting
}

func missing(t testing.TB, what, install string) {
	t.Helper()
	missing := what + " is not installed: " + install
	if os.Getenv("CI") != "" {
		t.Fatal(missing)
	}
	t.Skip(missing)
}
