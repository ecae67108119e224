package main

import (
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const (
	module = "github.com/golive-dev/golive"
	root   = "../.." // of the module, seen from here
)

// floors says which of our own packages each package may import. Arrows go down: guard decides, engine does,
// journal remembers, parts look or act, cmd wires. The first line whose pattern fits counts; a package that
// fits none has no place yet, and its author gives it one here.
var floors = []struct{ pattern, may string }{
	{"cmd/*", "*"},
	{"guard/server", "guard guard/engine guard/judge guard/journal guard/report guard/store"},
	{"guard/engine/enginetest", "guard/engine guard/journal"},
	{"guard/engine", "guard guard/judge"},
	{"guard/report/page", "guard"},
	{"guard/report/incident", "guard guard/judge guard/report guard/report/page"},
	{"guard/report/plandoc", "guard guard/report guard/report/page"},
	{"guard/report", "guard guard/judge guard/report/page"},
	{"guard/bundle", "guard"},
	{"guard/scenario", "guard guard/judge"},
	{"guard/store", "guard/journal"},
	{"guard/evidence", ""},
	{"guard/journal", ""},
	{"guard/judge/*", "guard/judge"},
	{"guard/judge", ""},
	{"guard", "guard/judge"},
	{"checks/checktest", "guard checks"},
	{"checks", "guard"},
	{"plugins/plugintest", "guard guard/judge plugins"},
	{"plugins/hook", "guard guard/judge"},
	{"plugins/github/githubtest", ""},
	{"plugins/internal/*", "guard"},
	{"plugins/*", "guard plugins/internal/client plugins/internal/files plugins/hook plugins/internal/run"},
	{"plugins", "guard"},
	{"examples/*", "plugins"},
}

// keptOut says what packages may not import from elsewhere, and why.
var keptOut = []struct{ pattern, imports, why string }{
	{"guard", "os os/exec net net/http log log/slog math/rand math/rand/v2", "every decision is a test of values"},
	{"guard/judge", "os os/exec net net/http log log/slog math/rand math/rand/v2 " + module + "/guard", "numbers in, numbers out"},
	{"checks", "os os/exec net net/http", "a check learns about the world through its scene only"},
}

// bridge is the only package that knows how plugins are spoken to.
const bridge, bridged = "plugins", "github.com/hashicorp/go-plugin google.golang.org/grpc"

// topLevel is what may lie in the top folder, beside what make builds: no Go file does.
var topLevel = strings.Fields(`
	.bin .ci .editorconfig .git .gitattributes .github .gitignore .golangci.yml .golive
	LICENSE Makefile README.md bin checks cmd examples go.mod go.sum guard plugins
`)

func TestFloors(t *testing.T) {
	for _, p := range packages(t) {
		place := slices.IndexFunc(floors, func(f struct{ pattern, may string }) bool { return fits(f.pattern, p.name) })
		if place < 0 {
			t.Errorf("%s has no line in floors", p.name)
			continue
		}
		for _, imported := range p.Imports {
			ours, found := strings.CutPrefix(imported, module+"/")
			if may := floors[place].may; found && may != "*" && !slices.Contains(strings.Fields(may), ours) {
				t.Errorf("%s imports %s; of ours it may import only %q", p.name, ours, may)
			}
		}
	}
}

func TestKeptOut(t *testing.T) {
	for _, p := range packages(t) {
		for _, rule := range keptOut {
			for _, imported := range p.Imports {
				if fits(rule.pattern, p.name) && slices.Contains(strings.Fields(rule.imports), imported) {
					t.Errorf("%s imports %s, which it may not: %s", p.name, imported, rule.why)
				}
			}
		}
		for _, imported := range p.Imports {
			for _, heavy := range strings.Fields(bridged) {
				if p.name != bridge && (imported == heavy || strings.HasPrefix(imported, heavy+"/")) {
					t.Errorf("%s imports %s, which only %s may", p.name, imported, bridge)
				}
			}
		}
	}
}

// Time arrives in guard inside events: whoever decides by a clock cannot be tested by values.
func TestGuardHasNoClock(t *testing.T) {
	clocks := []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker"}
	for _, p := range packages(t) {
		if p.name != "guard" && p.name != "guard/judge" {
			continue
		}
		for _, file := range p.GoFiles {
			set := token.NewFileSet()
			tree, err := parser.ParseFile(set, filepath.Join(p.Dir, file), nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(tree, func(n ast.Node) bool {
				sel, _ := n.(*ast.SelectorExpr)
				if sel == nil {
					return true
				}
				if x, _ := sel.X.(*ast.Ident); x != nil && x.Name == "time" && slices.Contains(clocks, sel.Sel.Name) {
					t.Errorf("%s: time.%s", set.Position(n.Pos()), sel.Sel.Name)
				}
				return true
			})
		}
	}
}

// TestMainIsLight holds golive itself to what everybody's CI fetches: what needs the SDK of Kubernetes is a plugin.
func TestMainIsLight(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "./cmd/golive")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	deps := strings.Fields(string(out))
	if !slices.Contains(deps, module+"/plugins") {
		t.Fatalf("go list names %d packages, and not our own", len(deps))
	}
	for _, dep := range deps {
		if dep == "k8s.io" || strings.HasPrefix(dep, "k8s.io/") || strings.HasPrefix(dep, "sigs.k8s.io/") {
			t.Errorf("cmd/golive depends on %s, whose place is in a plugin", dep)
		}
	}
}

// TestSize builds golive as it is released.
func TestSize(t *testing.T) {
	if testing.Short() {
		t.Skip("it links the whole program")
	}
	golive := filepath.Join(t.TempDir(), "golive")
	release(t, golive, ".")
	info, err := os.Stat(golive)
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() > maxSize {
		t.Errorf("golive has %d bytes, and may have %d", info.Size(), maxSize)
	}
}

func TestTopLevel(t *testing.T) {
	entries, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !slices.Contains(topLevel, e.Name()) {
			t.Errorf("%s lies in the top folder, and topLevel does not know it", e.Name())
		}
	}
}

// A listed package is what go list says of it, and its name within the module.
type listed struct {
	ImportPath, Dir  string
	GoFiles, Imports []string

	name string
}

func packages(t *testing.T) []listed {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-e", "-json=ImportPath,Dir,GoFiles,Imports", "./...")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			t.Fatalf("go list: %v\n%s", err, exit.Stderr)
		}
		t.Fatal(err)
	}
	var all []listed
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		p.name = strings.TrimPrefix(p.ImportPath, module+"/")
		all = append(all, p)
	}
	if len(all) == 0 {
		t.Fatal("go list finds no packages")
	}
	return all
}

func fits(pattern, name string) bool {
	ok, err := path.Match(pattern, name)
	return ok && err == nil
}
