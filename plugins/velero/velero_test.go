package velero

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/plugins"
	"github.com/golive-dev/golive/plugins/internal/backuptest"
	"github.com/golive-dev/golive/plugins/plugintest"
)

var kit = plugins.Kit{
	Name:   "velero",
	Vaults: map[string]func(guard.With) (guard.Vault, error){"velero": NewVault},
}

func TestMain(m *testing.M) { plugintest.Main(m, kit) }

const token = "t0psecret-token"

// now is when the tests of parsing take place.
var now = time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)

type object = map[string]any

// backup is an object as Velero writes it. The zero times of its status are null.
func backup(name, phase string, completion, expiration time.Time, labels object) object {
	stamp := func(t time.Time) any {
		if t.IsZero() {
			return nil
		}
		return t.Format(time.RFC3339)
	}
	return object{
		"apiVersion": "velero.io/v1", "kind": "Backup",
		"metadata": object{"name": name, "namespace": "velero", "labels": labels, "creationTimestamp": "2026-11-24T02:00:00Z"},
		"spec":     object{"ttl": "720h0m0s", "storageLocation": "default", "includedNamespaces": []string{"*"}},
		"status": object{
			"phase": phase, "formatVersion": "1.1.0", "startTimestamp": "2026-11-24T02:00:00Z",
			"completionTimestamp": stamp(completion), "expiration": stamp(expiration), "progress": object{"totalItems": 90, "itemsBackedUp": 90},
		},
	}
}

func list(items ...object) []byte {
	text, err := json.Marshal(object{"apiVersion": "v1", "kind": "List", "metadata": object{"resourceVersion": ""}, "items": append([]object{}, items...)})
	if err != nil {
		panic(err)
	}
	return text
}

func TestPhases(t *testing.T) {
	ended, expires := now.Add(-8*time.Hour), now.Add(700*time.Hour)
	sound := backup("nightly", "Completed", ended, expires, nil)
	got, err := parse(list(sound), now)
	if diff := cmp.Diff([]guard.Backup{{ID: "nightly", Ended: ended}}, got); err != nil || diff != "" {
		t.Errorf("error %v (-want +got):\n%s", err, diff)
	}
	forever := backup("forever", "Completed", ended, time.Time{}, nil)
	if got, err := parse(list(forever), now); err != nil || len(got) != 1 {
		t.Errorf("a backup that never expires: %v, error %v", got, err)
	}
	for _, phase := range []string{
		"", "New", "Queued", "ReadyToStart", "FailedValidation", "InProgress", "WaitingForPluginOperations",
		"WaitingForPluginOperationsPartiallyFailed", "Finalizing", "FinalizingPartiallyFailed", "PartiallyFailed",
		"Failed", "Deleting", "completed", "CompletedSomehow",
	} {
		got, err := parse(list(backup("b", phase, ended, expires, nil), sound), now)
		if err != nil || len(got) != 1 || got[0].ID != "nightly" {
			t.Errorf("phase %q: %v, error %v, want the other one alone", phase, got, err)
		}
	}
	deleted := backup("deleted", "Completed", ended, expires, nil)
	deleted["metadata"].(object)["deletionTimestamp"] = "2026-11-24T09:00:00Z"
	for name, gone := range map[string]object{
		"expired": backup("b", "Completed", ended, now.Add(-time.Second), nil), "expires now": backup("b", "Completed", ended, now, nil), "deleted": deleted,
	} {
		if got, err := parse(list(gone), now); err != nil || len(got) != 0 {
			t.Errorf("%s: %v, error %v, want none", name, got, err)
		}
	}
}

func TestNonsense(t *testing.T) {
	secret := backup("b", "Completed", now, now, nil)
	secret["kind"] = "Secret"
	other := backup("b", "Completed", now, now, nil)
	other["apiVersion"] = "postgresql.cnpg.io/v1"
	for name, answer := range map[string][]byte{
		"nothing": nil, "text": []byte("No resources found"), "null": []byte("null"), "no list": []byte(`{"kind":"Backup"}`),
		"cut": list(secret)[:100], "null items": []byte(`{"items":null}`), "null item": []byte(`{"items":[null]}`),
		"another kind": list(secret), "another API": list(other),
		"no end":   list(backup("b", "Completed", time.Time{}, now.Add(time.Hour), nil)),
		"bad time": []byte(strings.Replace(string(list(backup("b", "Completed", now, now, nil))), "2026-11-24T10", "yesterday", 1)),
	} {
		if got, err := parse(answer, now); err == nil {
			t.Errorf("%s: no error, but %v", name, got)
		}
	}
}

// A server is a small API server with Velero's backups, or without.
type server struct {
	*httptest.Server

	mu      sync.Mutex // kubectl is another process: the race detector does not see that it asks later
	backups []object
	missing bool // of Velero
	answer  func(http.ResponseWriter, *http.Request)
}

// newServer starts one, and makes a kubeconfig for it that kubectl finds by itself. It skips where there is no kubectl.
func newServer(t *testing.T) *server {
	t.Helper()
	backuptest.Program(t, "kubectl", "kubernetes-client")
	s := &server{}
	s.Server = httptest.NewTLSServer(s)
	t.Cleanup(s.Close)
	dir := t.TempDir()
	t.Setenv("HOME", dir) // where kubectl keeps what it has learned of a cluster
	authority := filepath.Join(dir, "ca.pem")
	backuptest.Write(t, authority, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}))
	kubeconfig := filepath.Join(dir, "kubeconfig")
	backuptest.Write(t, kubeconfig, fmt.Appendf(nil, `
apiVersion: v1
kind: Config
clusters: [{name: test, cluster: {server: %q, certificate-authority: %q}}]
users: [{name: test, user: {token: %s}}, {name: nobody, user: {token: other-secret}}]
contexts: [{name: test, context: {cluster: test, user: test}}, {name: nobody, context: {cluster: test, user: nobody}}]
current-context: test
`, s.URL, authority, token))
	t.Setenv("KUBECONFIG", kubeconfig)
	return s
}

// refuse answers as an API server does.
func refuse(w http.ResponseWriter, code int, reason, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	json.NewEncoder(w).Encode(object{"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason, "message": message})
}

// ServeHTTP gives the list two by two, whatever limit it is asked for.
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	backups, missing, answer := s.backups, s.missing, s.answer
	s.mu.Unlock()
	give := func(o object) {
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(o)
	}
	groups := []object{{"name": "velero.io", "versions": []object{{"groupVersion": "velero.io/v1", "version": "v1"}},
		"preferredVersion": object{"groupVersion": "velero.io/v1", "version": "v1"}}}
	if missing {
		groups = []object{}
	}
	switch path := r.URL.Path; {
	case path == "/version":
		give(object{"major": "1", "minor": "32", "gitVersion": "v1.32.4"})
	case path == "/api":
		give(object{"kind": "APIVersions", "versions": []string{"v1"}})
	case path == "/api/v1":
		give(object{"kind": "APIResourceList", "groupVersion": "v1", "resources": []object{}})
	case path == "/apis":
		give(object{"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
	case path == "/apis/velero.io/v1" && !missing:
		give(object{"kind": "APIResourceList", "groupVersion": "velero.io/v1", "resources": []object{
			{"name": "backups", "singularName": "backup", "namespaced": true, "kind": "Backup", "verbs": []string{"get", "list"}}}})
	case r.Header.Get("Authorization") != "Bearer "+token:
		refuse(w, 403, "Forbidden", `backups.velero.io is forbidden: User "nobody" cannot list resource "backups" in API group "velero.io" in the namespace "velero"`)
	case !strings.HasSuffix(path, "/backups") || missing:
		refuse(w, 404, "NotFound", "the server could not find the requested resource")
	case answer != nil:
		answer(w, r)
	default:
		give(page(backups, r))
	}
}

// page is the part of the backups that a request asks for.
func page(backups []object, r *http.Request) object {
	fitting := []object{}
	for _, b := range backups {
		metadata := b["metadata"].(object)
		fits := r.URL.Path == fmt.Sprintf("/apis/velero.io/v1/namespaces/%s/backups", metadata["namespace"])
		for _, term := range strings.Split(r.URL.Query().Get("labelSelector"), ",") {
			if key, value, equal := strings.Cut(term, "="); equal {
				labels, _ := metadata["labels"].(object)
				fits = fits && labels[key] == value
			}
		}
		if fits {
			fitting = append(fitting, b)
		}
	}
	first, _ := strconv.Atoi(r.URL.Query().Get("continue"))
	last, more := min(first+2, len(fitting)), ""
	if last < len(fitting) {
		more = strconv.Itoa(last)
	}
	return object{"apiVersion": "velero.io/v1", "kind": "BackupList", "metadata": object{"continue": more, "resourceVersion": "7"}, "items": fitting[first:last]}
}

func TestVault(t *testing.T) {
	s := newServer(t)
	s.mu.Lock()
	ended := time.Now().UTC().Truncate(time.Second).Add(-time.Hour)
	for i := range 5 {
		labels := object{"velero.io/schedule-name": "nightly", "tier": strconv.Itoa(i % 2)}
		s.backups = append(s.backups, backup(fmt.Sprintf("nightly-%d", i), "Completed", ended.Add(-time.Duration(i)*time.Hour), ended.Add(720*time.Hour), labels))
	}
	s.backups = append(s.backups,
		backup("by-hand", "Completed", ended, ended.Add(time.Hour*720), nil),
		backup("broken", "PartiallyFailed", ended, ended.Add(time.Hour*720), nil),
		backup("old", "Completed", ended.Add(-800*time.Hour), ended, nil))
	s.mu.Unlock()

	plugintest.Both(t, kit, func(t *testing.T, kit plugins.Kit) {
		// A plugin does not see KUBECONFIG.
		plugintest.Vault(t, plugintest.Make(t, kit.Vaults["velero"], guard.With{"kubeconfig": os.Getenv("KUBECONFIG")}), 6)
	})
	plugintest.Prover(t, plugintest.Make(t, NewVault, nil), guard.RungListed)

	kubeconfig := os.Getenv("KUBECONFIG")
	for name, c := range map[string]struct {
		with guard.With
		want int
		err  string
	}{
		"schedule":           {with: guard.With{"schedule": "nightly"}, want: 5},
		"no such schedule":   {with: guard.With{"schedule": "weekly"}, want: 0},
		"selector":           {with: guard.With{"selector": "tier=1"}, want: 2},
		"both":               {with: guard.With{"schedule": "nightly", "selector": "tier=0"}, want: 3},
		"another namespace":  {with: guard.With{"namespace": "backups"}, want: 0},
		"context":            {with: guard.With{"kubeconfig": kubeconfig, "context": "test"}, want: 6},
		"no rights":          {with: guard.With{"context": "nobody"}, err: "give this user the verb list on backups.velero.io"},
		"no such context":    {with: guard.With{"context": "elsewhere"}, err: `context "elsewhere" does not exist`},
		"no such kubeconfig": {with: guard.With{"kubeconfig": kubeconfig + "2"}, err: "kubectl get"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := plugintest.Make(t, NewVault, c.with).Backups(t.Context())
			if c.err != "" {
				backuptest.Error(t, err, c.err, token, "other-secret")
				return
			}
			if err != nil || len(got) != c.want {
				t.Errorf("%d backups, error %v, want %d: %v", len(got), err, c.want, got)
			}
		})
	}
}

// TestUnknown spoils the answer of the API server: none of it may read as a list without backups.
func TestUnknown(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(*server)
		with  guard.With
		err   string
	}{
		"no Velero": {func(s *server) { s.missing = true }, nil, "this cluster has no Velero"},
		"gone since": {func(s *server) {
			s.answer = func(w http.ResponseWriter, _ *http.Request) {
				refuse(w, 404, "NotFound", "the server could not find the requested resource")
			}
		}, nil, "this cluster has no Velero"},
		"garbage": {func(s *server) {
			s.answer = func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>log in first</html>") }
		}, nil, "kubectl get"},
		"another kind": {func(s *server) {
			s.answer = func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				fmt.Fprint(w, `{"kind":"SecretList","apiVersion":"v1","items":[{"kind":"Secret","apiVersion":"v1","metadata":{"name":"x"}}]}`)
			}
		}, nil, "kubectl get"},
		"logged out": {func(s *server) {
			s.answer = func(w http.ResponseWriter, _ *http.Request) { refuse(w, 401, "Unauthorized", "Unauthorized") }
		}, nil, "logged in"},
		"broken": {func(s *server) {
			s.answer = func(w http.ResponseWriter, _ *http.Request) { refuse(w, 500, "InternalError", "etcd is away") }
		}, nil, "etcd is away"},
		"list expired": {func(s *server) {
			s.answer = func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Query().Has("continue") {
					refuse(w, 410, "Expired", "the continue token is too old")
					return
				}
				w.Header().Set("Content-Type", "application/json")
				fmt.Fprint(w, `{"kind":"BackupList","apiVersion":"velero.io/v1","metadata":{"continue":"x"},"items":[]}`)
			}
		}, nil, "too old"},
		"hang": {func(s *server) {
			s.answer = func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
		}, guard.With{"timeout": "2s"}, "not done after 2s"},
		"nobody listens": {func(s *server) { s.Close() }, nil, "refused"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t)
			s.mu.Lock()
			c.spoil(s)
			s.mu.Unlock()
			got, err := plugintest.Make(t, NewVault, c.with).Backups(t.Context())
			if len(got) > 0 {
				t.Errorf("it lists %v", got)
			}
			backuptest.Error(t, err, c.err, token)
			if err != nil && strings.Contains(err.Error(), "memcache.go") {
				t.Errorf("the error tells what kubectl logs: %v", err)
			}
		})
	}
}

// TestStandIn has a script in place of kubectl, for what a real one cannot be brought to do.
func TestStandIn(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a shell script stands in for kubectl")
	}
	for name, c := range map[string]struct{ script, err string }{
		"nothing":     {"exit 0", "is no list of backups"},
		"half a list": {`printf '{"items":['`, "is no list of backups"},
		"list and no": {`printf '{"items":[]}'; echo away >&2; exit 1`, "exit status 1"},
		"hang":        {"exec sleep 60", "not done after 1s"},
		"password":    {"echo at https://me:t0psecret-token@host/ >&2; exit 1", "https://***@host"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "kubectl")
			backuptest.Write(t, path, []byte("#!/bin/sh\n"+c.script+"\n"))
			if err := os.Chmod(path, 0o700); err != nil {
				t.Fatal(err)
			}
			t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
			_, err := plugintest.Make(t, NewVault, guard.With{"timeout": "1s"}).Backups(t.Context())
			backuptest.Error(t, err, c.err, token)
		})
	}
	t.Run("not installed", func(t *testing.T) {
		t.Setenv("PATH", t.TempDir())
		_, err := plugintest.Make(t, NewVault, nil).Backups(t.Context())
		backuptest.Error(t, err, "kubectl is not installed on this machine (https://", token)
	})
}

func TestMistakes(t *testing.T) {
	for name, c := range map[string]struct {
		with guard.With
		err  string
	}{
		"namespace":     {guard.With{"namespace": ""}, "namespace: "},
		"option":        {guard.With{"namespace": "-A"}, "namespace: "},
		"schedule":      {guard.With{"schedule": "a,b=c"}, "schedule: "},
		"long schedule": {guard.With{"schedule": strings.Repeat("a", 64)}, "use selector"},
		"timeout":       {guard.With{"timeout": "0s"}, "timeout: must be longer"},
		"unknown":       {guard.With{"cluster": "x"}, "cluster"},
	} {
		with := guard.With{}
		maps.Copy(with, c.with)
		if _, err := NewVault(with); err == nil || !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: error %v, want %q", name, err, c.err)
		}
	}
}
