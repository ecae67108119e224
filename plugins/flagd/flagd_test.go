package flagd

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/plugins"
	"github.com/golive-dev/golive/plugins/plugintest"
)

var release = guard.Release{ID: "r1", Service: "shop", Environment: "test", From: "v1", To: "v2"}

var kit = plugins.Kit{
	Name:     "flagd",
	Backends: map[string]func(guard.With) (guard.Backend, error){"flagd": NewBackend},
}

func TestMain(m *testing.M) { plugintest.Main(m, kit) }

// written has an odd layout, on purpose.
const written = `{
  "$schema": "https://flagd.dev/schema/v0/flags.json",
  "flags": {
    "other":   {"state": "ENABLED", "variants": {"on": true, "off": false}, "defaultVariant": "off",
                "targeting": {"fractional": [["on", 1], ["off", 2]]}},
    "shop": {
      "state": "ENABLED",
      "variants": { "v1": "old",  "v2": "new", "v3": "\u00e9" },
      "defaultVariant": "v1",
      "targeting": {"if": [{"==": [{"var": "staff"}, true]}, "v3",
        {"fractional": [{"cat": [{"var": "$flagd.flagKey"}, {"var": "targetingKey"}]},   ["v1", 100], [ "v2" , 0 ]]}]}
    }
  }
}
`

func newFile(t *testing.T, content string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "flags.json")
	if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

func order(seq int64) guard.Order { return guard.Order{Release: release, Fence: 1, Seq: seq} }

func backend(t *testing.T, file string, change ...string) *Backend {
	t.Helper()
	with := guard.With{"file": file, "flag": "shop"}
	for i := 0; i < len(change); i += 2 {
		with[change[i]] = change[i+1]
	}
	return plugintest.Make(t, NewBackend, with).(*Backend)
}

func TestContract(t *testing.T) {
	for name, content := range map[string]string{
		"with a rule":    written,
		"without a rule": regexp.MustCompile(`(?s),\s+"targeting": {"if.*}\]}`).ReplaceAllString(written, ""),
		"with an empty rule and other metadata": regexp.MustCompile(`(?s)"targeting": {"if.*}\]}`).
			ReplaceAllString(written, `"targeting": {}, "metadata": {"owner": "shop"}`),
	} {
		t.Run(name, func(t *testing.T) {
			plugintest.Both(t, kit, func(t *testing.T, kit plugins.Kit) {
				with := guard.With{"file": newFile(t, content), "flag": "shop"}
				plugintest.Backend(t, plugintest.Make(t, kit.Backends["flagd"], with), plugintest.BackendCase{Fenced: true})
			})
		})
	}
}

// Every byte that is not golive's business stays as it was.
func TestLeavesAlone(t *testing.T) {
	file := newFile(t, written)
	if err := backend(t, file).Shift(t.Context(), order(7), 25); err != nil {
		t.Fatal(err)
	}
	want := strings.Replace(written, `["v1", 100], [ "v2" , 0 ]`, `["v1", 75], ["v2", 25]`, 1)
	want = strings.Replace(want, "\"shop\": {\n", "\"shop\": {\"metadata\": {\"goliveFence\": 1, \"goliveSeq\": 7}, \n", 1)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(text)); diff != "" {
		t.Errorf("the file (-want +got):\n%s", diff)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("the file has the mode %v, %v: flagd could not read it", info.Mode(), err)
	}
}

// A file behind a symbolic link is replaced where it is, and the link stays.
func TestLink(t *testing.T) {
	file := newFile(t, written)
	link := filepath.Join(t.TempDir(), "link.json")
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	if err := backend(t, link).Shift(t.Context(), order(1), 10); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if target, broken := os.Readlink(link); err != nil || broken != nil || target != file || !strings.Contains(string(text), `["v2", 10]`) {
		t.Errorf("%s -> %s, %v, %v: %s", link, target, err, broken, text)
	}
}

// flagd starts a real evaluator for a file, and returns its address.
func flagd(t *testing.T, evaluator, file string) string {
	t.Helper()
	port := plugintest.Port(t)
	var daemon *exec.Cmd
	switch evaluator {
	case "flagd":
		if _, err := exec.LookPath("flagd"); err != nil {
			t.Skip("flagd is not installed: go install github.com/open-feature/flagd/flagd@latest")
		}
		daemon = exec.Command("flagd", "start", "--uri", "file:"+file, "--ofrep-port", fmt.Sprint(port),
			"--port", fmt.Sprint(plugintest.Port(t)), "--management-port", fmt.Sprint(plugintest.Port(t)), "--sync-port", fmt.Sprint(plugintest.Port(t)))
	case "flagd-core":
		path := plugintest.NeedsModule(t, "@openfeature/flagd-core", "npm install --global @openfeature/flagd-core @openfeature/core")
		daemon = exec.Command("node", "testdata/ofrep.cjs", file, fmt.Sprint(port))
		daemon.Env = append(os.Environ(), path)
	}
	daemon.Stderr = os.Stderr
	if err := daemon.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = daemon.Process.Kill()
		_ = daemon.Wait()
	})
	for range 500 {
		if conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			conn.Close()
			return fmt.Sprintf("http://127.0.0.1:%d", port)
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatalf("%s does not listen", evaluator)
	return ""
}

// The users get what was asked for, as flagd has it, or OpenFeature's own evaluator of its files. Chi-square with one
// degree of freedom: a fair one is refused once in a million runs.
func TestSharesAtTheUsers(t *testing.T) {
	const refused, n = 23.9, 1500
	for _, evaluator := range []string{"flagd", "flagd-core"} {
		t.Run(evaluator, func(t *testing.T) {
			file := newFile(t, written)
			b := backend(t, file, "evaluate", flagd(t, evaluator, file))
			before := map[string]bool{} // who had v2 already
			for seq, percent := range []int{0, 1, 10, 50, 90, 100, 0} {
				if err := b.Shift(t.Context(), order(int64(seq)), percent); err != nil {
					t.Fatal(err)
				}
				if s, err := b.Inspect(t.Context(), release); err != nil || s.Percent != percent {
					t.Errorf("Inspect at %d%%: %+v, %v", percent, s, err)
				}
				got, lost := 0., 0
				for user := range n {
					name := fmt.Sprintf("user-%x", user*7919)
					variant, err := b.variant(t.Context(), name)
					if err != nil {
						t.Fatal(err)
					}
					if variant == "v2" {
						got++
					} else if before[name] && percent > 0 {
						lost++
					}
					before[name] = variant == "v2"
				}
				if lost > 0 {
					t.Errorf("%d users lost v2 while its share grew to %d%%", lost, percent)
				}
				want := float64(n*percent) / 100
				if percent == 0 || percent == 100 {
					if got != want {
						t.Errorf("at %d%% v2 got %v of %d users", percent, got, n)
					}
					continue
				}
				if chi := (got-want)*(got-want)/want + (got-want)*(got-want)/(n-want); chi > refused {
					t.Errorf("at %d%% v2 got %v of %d users (chi-square %.1f)", percent, got, n, chi)
				}
			}
		})
	}
}

// What flagd does not serve is not in force, whatever the file says.
func TestNotInForce(t *testing.T) {
	served, file := newFile(t, written), newFile(t, written)
	b := backend(t, file, "evaluate", flagd(t, "flagd-core", served), "timeout", "5s")
	if err := b.Shift(t.Context(), order(1), 50); err == nil || !strings.Contains(err.Error(), "flagd gives v2 to 0 of 400 users, and the file says 50%") {
		t.Errorf("Shift of a file that flagd does not read: %v", err)
	}
	if s, err := b.Inspect(t.Context(), release); err == nil {
		t.Errorf("Inspect of a file that flagd does not read: %+v", s)
	}
	b.flag = "other"
	if _, err := b.variant(t.Context(), "user"); err == nil || !strings.Contains(err.Error(), "without a variant") {
		t.Errorf("a flag that holds no text: %v", err)
	}
	dead := backend(t, file, "evaluate", "http://me:hunter2@127.0.0.1:9", "timeout", "300ms")
	if err := dead.Shift(t.Context(), order(2), 0); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("Shift with nobody to ask: %v", err)
	}
}

// Whatever somebody else does is seen; and what cannot be told is an error.
func TestDrift(t *testing.T) {
	for name, c := range map[string]struct {
		old, new string
		percent  int
		want     string // of the detail or of the error
	}{
		"a share":            {`["v1", 100], [ "v2" , 0 ]`, `["v1", 2], ["v2"]`, 33, "v2 1, v1 2"},
		"hardly any":         {`["v1", 100], [ "v2" , 0 ]`, `["v1", 9999], ["v2", 1]`, 1, ""},
		"almost all":         {`["v1", 100], [ "v2" , 0 ]`, `["v1", 0], ["v2", 1]`, 99, "by default v1; that is not a default"},
		"the default":        {`"defaultVariant": "v1"`, `"defaultVariant": "v2"`, 1, "by default v2; that is not a default"},
		"disabled":           {"\"state\": \"ENABLED\",\n      \"variants\": { \"v1\"", "\"state\": \"DISABLED\",\n      \"variants\": { \"v1\"", -1, `has the state "DISABLED"`},
		"a third variant":    {`[ "v2" , 0 ]`, `[ "v2" , 0 ], ["v3", 5]`, -1, "is not between v2 and v1 alone"},
		"another default":    {`"defaultVariant": "v1"`, `"defaultVariant": "v3"`, -1, `default variant "v3", which is neither`},
		"no rule of ours":    {`["v1", 100], [ "v2" , 0 ]`, `["v3", 100]`, -1, "has no fractional rule between v2 and v1"},
		"two rules of ours":  {`true]}, "v3",`, `true]}, {"fractional": [["v1", 1], ["v2", 1]]},`, -1, "has two fractional rules"},
		"a share of nothing": {`["v1", 100], [ "v2" , 0 ]`, `["v1", 0], ["v2", 0]`, -1, "is not between"},
		"a share by rule":    {`[ "v2" , 0 ]`, `["v2", {"var": "weight"}]`, -1, "has a share that is not like"},
		"no variant":         {`"v2": "new"`, `"v4": "new"`, -1, `has no variant "v2"`},
		"no flag":            {`"shop": {`, `"ship": {`, -1, "there is no flag shop"},
		"half a file":        {"    }\n  }\n}\n", "", -1, "ends too early"},
		"more than a file":   {"\n}\n", "\n} {}", -1, "something follows the JSON"},
		"a flag twice":       {`"shop": {`, `"shop": {}, "shop": {`, -1, `"shop" is there twice`},
		"a fence of text":    {`"state": "ENABLED",` + "\n", `"state": "ENABLED", "metadata": {"goliveFence": "x"},` + "\n", -1, "that is no number"},
	} {
		t.Run(name, func(t *testing.T) {
			content := strings.Replace(written, c.old, c.new, 1)
			if content == written {
				t.Fatalf("the file does not hold %s", c.old)
			}
			s, err := backend(t, newFile(t, content)).Inspect(t.Context(), release)
			if c.percent < 0 {
				if err == nil || !strings.Contains(err.Error(), c.want) {
					t.Errorf("Inspect: %+v, error %v, want %q", s, err, c.want)
				}
			} else if err != nil || s.Percent != c.percent || !strings.Contains(s.Detail, c.want) {
				t.Errorf("Inspect: %+v, %v, want %d%% and %q", s, err, c.percent, c.want)
			}
		})
	}
}

// Who is given a version outside the rule stays with it. So nobody may take 0 % for 0, or 100 % for all.
func TestOutsideTheRule(t *testing.T) {
	staff := func(to string) string { return strings.Replace(written, `"v3",`+"\n", to+",\n", 1) }
	for name, c := range map[string]struct {
		content string
		variant string
	}{
		"the new variant":                  {staff(`"v2"`), "v2"},
		"the new variant, for some":        {staff(`{"fractional": [["v3", 90], ["v4", 10]]}, {"in": [1, []]}, {"if": [true, "v2"]}`), "v2"},
		"the new variant by a shared rule": {strings.Replace(staff(`{"$ref": "staff"}`), `"flags": {`, `"$evaluators": {"staff": {"if": [true, "v2"]}}, "flags": {`, 1), "v2"},
		"the old variant":                  {staff(`"v1"`), "v1"},
	} {
		t.Run(name, func(t *testing.T) {
			file := newFile(t, c.content)
			b := backend(t, file)
			want := "the targeting of the flag shop names " + c.variant + " outside the fractional rule"
			// The share is the one that Shift leaves, and it leaves it though it says that this is not all.
			for seq, percent := range []int{0, 50, 100} {
				err := b.Shift(t.Context(), order(int64(seq)), percent)
				s, unseen := b.Inspect(t.Context(), release)
				seen := percent
				if c.variant == "v2" && percent == 0 {
					seen = 1
				}
				if c.variant == "v1" && percent == 100 {
					seen = 99
				}
				if seen == percent && err != nil || seen != percent && (err == nil || !strings.Contains(err.Error(), want)) {
					t.Errorf("Shift to %d%%: %v", percent, err)
				}
				if unseen != nil || s.Percent != seen || !strings.Contains(s.Detail, want) {
					t.Errorf("Inspect at %d%%: %+v, %v", percent, s, unseen)
				}
				if back := c.variant != "v2"; s.Undo.Open != back || !back && !strings.Contains(s.Undo.Detail, want) {
					t.Errorf("the way back at %d%%: %+v", percent, s)
				}
				if all := c.variant != "v1"; all != (len(s.Shares) == 0) || slices.Contains(s.Shares, 100) {
					t.Errorf("the shares are %v", s.Shares)
				}
			}
		})
	}
	shared := strings.Replace(written, `"flags": {`, `"$evaluators": {"others": {"if": [true, "v2"]}}, "flags": {`, 1)
	if s, err := backend(t, newFile(t, shared)).Inspect(t.Context(), release); err != nil || s.Percent != 0 || !s.Undo.Open {
		t.Errorf("a shared rule of others: %+v, %v", s, err)
	}
}

// Without evaluate nobody has seen more than what golive itself wrote.
func TestNotSeen(t *testing.T) {
	if s, err := backend(t, newFile(t, written)).Inspect(t.Context(), release); err != nil || !strings.Contains(s.Detail, "not seen in force") {
		t.Errorf("Inspect without evaluate: %+v, %v", s, err)
	}
}

func TestWayBack(t *testing.T) {
	if s, err := backend(t, newFile(t, written)).Inspect(t.Context(), release); err != nil || !s.Undo.Open {
		t.Errorf("all is well: %+v, %v", s, err)
	}
	if os.Geteuid() == 0 {
		return // nothing is closed to root
	}
	file := newFile(t, written)
	if err := os.Chmod(file, 0o444); err != nil {
		t.Fatal(err)
	}
	if s, err := backend(t, file).Inspect(t.Context(), release); err != nil || s.Undo.Open || !strings.Contains(s.Undo.Detail, "may not be written") {
		t.Errorf("a file that may only be read: %+v, %v", s, err)
	}
}

func TestWritable(t *testing.T) {
	if err := writable(filepath.Join(t.TempDir(), "nowhere")); err == nil || !strings.Contains(err.Error(), "may not be written") {
		t.Errorf("a file that there is not: %v", err)
	}
}

func TestConfig(t *testing.T) {
	good := guard.With{"file": "/etc/flagd/flags.json", "flag": "shop"}
	for want, change := range map[string]guard.With{
		"file: missing":                {"file": ""},
		"flag: missing":                {"flag": ""},
		"canary: missing":              {"canary": ""},
		"stable: {{.Fron}} means":      {"stable": "{{.Fron}}"},
		"evaluate: the address must":   {"evaluate": "localhost"},
		"timeout: must be longer than": {"timeout": "0"},
		"there is no such key":         {"flags": "shop"},
	} {
		with := guard.With{}
		for key, value := range good {
			with[key] = value
		}
		for key, value := range change {
			with[key] = value
		}
		if _, err := NewBackend(with); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", change, err, want)
		}
	}
}

// Whatever is taken for JSON is JSON, and each part of it stands where it is said to.
func FuzzParse(f *testing.F) {
	f.Add(written)
	f.Add(` [1, "a\"b", {"c" : null }, -1e3, true]`)
	f.Add(`{"a":1,"a":2}`)
	f.Fuzz(func(t *testing.T, text string) {
		v, err := parse([]byte(text))
		if err != nil {
			return
		}
		if !json.Valid([]byte(text)) {
			t.Fatalf("%q is taken for JSON", text)
		}
		var check func(v *value)
		check = func(v *value) {
			if !json.Valid([]byte(text[v.from:v.to])) {
				t.Fatalf("%q of %q is not a value", text[v.from:v.to], text)
			}
			for _, item := range v.items {
				check(item)
			}
			for _, member := range v.members {
				check(member)
			}
		}
		check(v)
	})
}
