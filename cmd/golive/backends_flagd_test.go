package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/golive-dev/golive/plugins/plugintest"
)

// newFlagdRig is a file of flags and OpenFeature's own evaluator of it, whom golive asks by way of a relay that can stop
// once the file is written. Each customer is given a variant, and goes to that version. The evaluator dies together with
// its file.
func newFlagdRig(t *testing.T, s *storefront) rig {
	path := plugintest.NeedsModule(t, "@openfeature/flagd-core", "npm install --global @openfeature/flagd-core @openfeature/core")
	file := filepath.Join(t.TempDir(), "flags.json")
	write(t, file, `{"flags": {"shop": {
  "state": "ENABLED", "variants": {"v1": "v1", "v2": "v2"}, "defaultVariant": "v1",
  "targeting": {"fractional": [["v1", 100], ["v2", 0]]}
}}}
`)
	s.door = func() (string, error) {
		version, err := variant(s.front, fmt.Sprintf("user-%x", rand.Uint64()))
		if err != nil {
			return "", err
		}
		return plugintest.Visit(s.arms[version].address())
	}
	_, port, err := net.SplitHostPort(s.front)
	if err != nil {
		t.Fatal(err)
	}
	c := &component{args: []string{"env", path, "node", "../../plugins/flagd/testdata/ofrep.cjs", file, port}}
	c.start(t, s)
	t.Cleanup(c.kill)

	var (
		mu      sync.Mutex
		shut    chan struct{} // nil: it is open
		before  string        // the file, when it was shut
		waiting atomic.Bool
	)
	read := func() string {
		text, _ := os.ReadFile(file) // it may be away
		return string(text)
	}
	evaluator := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: s.front})
	evaluator.Transport = askers
	evaluator.ErrorLog = log.New(io.Discard, "", 0) // it dies on purpose
	relay := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		wait := shut
		mu.Unlock()
		if wait == nil || read() == before {
			evaluator.ServeHTTP(w, r)
			return
		}
		waiting.Store(true)
		_, _ = io.Copy(io.Discard, r.Body) // only then it is noticed when the client is gone
		select {
		case <-wait:
		case <-r.Context().Done():
		}
		panic(http.ErrAbortHandler)
	}))
	t.Cleanup(relay.Close)
	return rig{
		backend: fmt.Sprintf("{use: flagd, with: {file: %s, flag: shop, evaluate: %q, timeout: 10s}}", file, relay.URL),
		stall: func() {
			mu.Lock()
			defer mu.Unlock()
			shut, before = make(chan struct{}), read()
		},
		stalled: waiting.Load,
		thaw: func() {
			mu.Lock()
			defer mu.Unlock()
			close(shut)
			shut = nil
		},
		kill: func() {
			c.kill()
			if err := os.Rename(file, file+".away"); err != nil {
				t.Error(err)
			}
		},
		revive: func() {
			if err := os.Rename(file+".away", file); err != nil {
				t.Error(err)
			}
			c.start(t, s)
		},
		meddle: func(percent int) {
			text := regexp.MustCompile(`\["v2", \d+\]`).ReplaceAllString(read(), fmt.Sprintf(`["v2", %d]`, percent))
			text = regexp.MustCompile(`\["v1", \d+\]`).ReplaceAllString(text, fmt.Sprintf(`["v1", %d]`, 100-percent))
			if err := errors.Join(os.WriteFile(file+".new", []byte(text), 0o600), os.Rename(file+".new", file)); err != nil {
				t.Error(err)
			}
		},
	}
}

// askers keep as many connections to an evaluator as there are who ask at once.
var askers = &http.Transport{MaxIdleConnsPerHost: 8}

// variant asks an evaluator of flags which version a user is given.
func variant(evaluator, user string) (string, error) {
	answer, err := (&http.Client{Transport: askers}).Post("http://"+evaluator+"/ofrep/v1/evaluate/flags/shop", "application/json",
		strings.NewReader(fmt.Sprintf(`{"context": {"targetingKey": %q}}`, user)))
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	var given struct {
		Variant string `json:"variant"`
	}
	if err := json.NewDecoder(answer.Body).Decode(&given); err != nil {
		return "", err
	}
	if given.Variant != "v1" && given.Variant != "v2" {
		return "", fmt.Errorf("%s is given the variant %q", user, given.Variant)
	}
	return given.Variant, nil
}
