package command

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/plugins/plugintest"
)

// The recipes in examples/ keep the contract of a backend, before stand-ins that speak the documented API of Envoy
// and of Traefik: neither can be installed everywhere.

func recipe(t *testing.T, name string) guard.With {
	t.Helper()
	for _, program := range []string{"curl", "jq"} {
		plugintest.Needs(t, program, "apt-get install -y --no-install-recommends "+program)
	}
	script, err := filepath.Abs("../../examples/" + name + "/weights.sh")
	if err != nil {
		t.Fatal(err)
	}
	return guard.With{"inspect": script + " inspect", "shift": script + " shift", "timeout": "20s"}
}

// strangeVersions has versions that would be something else in a URL, in YAML or in a regular expression.
func strangeVersions(t *testing.T, b guard.Backend, state func() string) {
	t.Helper()
	before := state()
	for _, version := range []string{"v2&admin=1", "v2, weight: 9}", "v2|v1", "v2\nx: 1", "v2/../v1", "v2+build"} {
		for _, r := range []guard.Release{{ID: "r1", From: "v1", To: version}, {ID: "r1", From: version, To: "v2"}} {
			const want = "a version has a character that is not of"
			if s, err := b.Inspect(t.Context(), r); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("Inspect from %q to %q = %+v, %v, want %q", r.From, r.To, s, err, want)
			}
			if err := b.Shift(t.Context(), guard.Order{Release: r, Fence: 9}, 50); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("Shift from %q to %q: error %v, want %q", r.From, r.To, err, want)
			}
		}
	}
	if after := state(); after != before {
		t.Errorf("this has changed\n%s\nto\n%s", before, after)
	}
}

// An envoy has a runtime.
type envoy struct {
	mu      sync.Mutex
	runtime map[string]string
	healthy atomic.Int32
}

// Set changes the runtime, as somebody else would.
func (e *envoy) set(keysAndValues ...string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for i := 0; i < len(keysAndValues); i += 2 {
		e.runtime["routing.shop."+keysAndValues[i]] = keysAndValues[i+1]
	}
}

func (e *envoy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case r.Method == http.MethodPost && r.URL.Path == "/runtime_modify":
		for key, values := range r.URL.Query() {
			e.runtime[key] = values[0]
		}
		fmt.Fprintln(w, "OK")
	case r.URL.Path == "/runtime":
		type entry struct {
			Final string `json:"final_value"`
		}
		entries := map[string]entry{}
		for key, value := range e.runtime {
			entries[key] = entry{value}
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"layers": []string{"static", "admin"}, "entries": entries})
	case r.URL.Path == "/stats":
		name := "cluster.shop-v1.membership_healthy"
		if pattern, err := regexp.Compile(r.URL.Query().Get("filter")); err == nil && pattern.MatchString(name) {
			fmt.Fprintf(w, "%s: %d\n", name, e.healthy.Load())
		}
	default:
		http.NotFound(w, r)
	}
}

func TestEnvoy(t *testing.T) {
	with := recipe(t, "envoy")
	e := &envoy{runtime: map[string]string{"routing.shop.shop-v1": "100", "routing.shop.shop-v2": "0"}}
	e.healthy.Store(2)
	server := httptest.NewServer(e)
	defer server.Close()
	t.Setenv("ADMIN", server.URL)
	b := plugintest.Make(t, NewBackend, with)
	plugintest.Backend(t, b, plugintest.BackendCase{Fenced: true})
	strangeVersions(t, b, func() string { e.mu.Lock(); defer e.mu.Unlock(); return fmt.Sprint(e.runtime) })
	release := guard.Release{ID: "r1", Service: "shop", From: "v1", To: "v2"}

	e.set("golive-seq", "mine")
	if err := b.Shift(t.Context(), guard.Order{Release: release}, 0); err != nil {
		t.Errorf("somebody wrote something else over the latest order: Shift %v", err)
	}
	e.set("shop-v1", "100", "shop-v2", "60")
	if s, err := b.Inspect(t.Context(), release); err == nil || !strings.Contains(err.Error(), "not 100 together") {
		t.Errorf("somebody changed one weight: %+v, %v", s, err)
	}
	e.set("shop-v1", "40")
	e.healthy.Store(0)
	if s, err := b.Inspect(t.Context(), release); err != nil || s.Percent != 60 || s.Undo.Open {
		t.Errorf("somebody changed both, and the old version is down: %+v, %v", s, err)
	}
	server.Close()
	if s, err := b.Inspect(t.Context(), release); err == nil {
		t.Errorf("Envoy is gone, and this is taken for a standing: %+v", s)
	}
	if err := b.Shift(t.Context(), guard.Order{Release: release}, 0); err == nil {
		t.Error("Envoy is gone, and Shift says that all is well")
	}
}

// A traefik has read its file.
type traefik struct {
	file   string
	status atomic.Value // of the old servers, a string
	stuck  atomic.Bool  // it goes on as before, whatever the file says
}

func (x *traefik) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/api/http/services/shop@file":
		type service struct {
			Name   string `json:"name"`
			Weight int    `json:"weight"`
		}
		var services []service
		text, _ := os.ReadFile(x.file)
		for _, found := range regexp.MustCompile(`name: (\S+), weight: (\d+)`).FindAllStringSubmatch(string(text), -1) {
			weight, _ := strconv.Atoi(found[2])
			if x.stuck.Load() {
				weight = map[string]int{"shop-v1": 100}[found[1]]
			}
			services = append(services, service{found[1], weight})
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"weighted": map[string]any{"services": services}, "status": "enabled"})
	case "/api/http/services/shop-v1@file":
		_ = json.NewEncoder(w).Encode(map[string]any{"status": "enabled", "serverStatus": map[string]any{"http://127.0.0.1:9001": x.status.Load()}})
	default:
		http.NotFound(w, r)
	}
}

func TestTraefik(t *testing.T) {
	with := recipe(t, "traefik")
	x := &traefik{file: filepath.Join(t.TempDir(), "shop.yaml")}
	x.status.Store("UP")
	if err := os.WriteFile(x.file, []byte("- {name: shop-v1, weight: 100}\n- {name: shop-v2, weight: 0}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(x)
	defer server.Close()
	t.Setenv("API", server.URL+"/api/http/services")
	t.Setenv("FILE", x.file)
	b := plugintest.Make(t, NewBackend, with)
	plugintest.Backend(t, b, plugintest.BackendCase{Shares: []int{1, 50}, Fenced: true})
	strangeVersions(t, b, func() string { text, err := os.ReadFile(x.file); return fmt.Sprint(string(text), err) })
	release := guard.Release{ID: "r1", Service: "shop", From: "v1", To: "v2"}

	for _, change := range []func() error{
		func() error { return os.WriteFile(x.file, []byte("# golive: the latest order is mine\n"), 0o600) },
		func() error { return os.Remove(x.file) },
	} {
		if err := change(); err != nil {
			t.Fatal(err)
		}
		if err := b.Shift(t.Context(), guard.Order{Release: release}, 0); err != nil {
			t.Errorf("the latest order is not known: Shift %v", err)
		}
	}

	x.status.Store("DOWN")
	if s, err := b.Inspect(t.Context(), release); err != nil || s.Undo.Open || s.Undo.Detail == "" {
		t.Errorf("the old version is down: %+v, %v", s, err)
	}
	if s, err := b.Inspect(t.Context(), guard.Release{From: "v1", To: "v3"}); err == nil || !strings.Contains(err.Error(), "divides between others") {
		t.Errorf("another release: %+v, %v", s, err)
	}
	x.stuck.Store(true)
	short := plugintest.Make(t, NewBackend, guard.With{"inspect": with["inspect"], "shift": with["shift"], "timeout": "2s"})
	if err := short.Shift(t.Context(), guard.Order{Release: release}, 50); err == nil {
		t.Error("Traefik does not take the file over, and Shift says that all is well")
	}
}
