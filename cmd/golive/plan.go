package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/golive-dev/golive/guard"
)

// planHolds is how long a plan may be, in bytes. A longer file is no plan, and reading it could take for ever.
const planHolds = 1 << 20

// readPlan reads and parses the plan that this call is about.
func (p *program) readPlan() (*guard.Plan, []byte, error) {
	source, err := readAtMost(p.settings.Plan, planHolds)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil, fail(exitUsage, "there is no %s: write one with golive init, or say where it is with --plan", p.settings.Plan)
	}
	if err != nil {
		return nil, nil, fail(exitUsage, "%w", err)
	}
	plan, err := guard.ParsePlan(p.settings.Plan, source)
	if err != nil {
		return nil, nil, fail(exitUsage, "%w", err)
	}
	p.secrets.of(plan, p.env)
	return plan, source, nil
}

func readAtMost(path string, bytes int64) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	source, err := io.ReadAll(io.LimitReader(file, bytes+1))
	if err == nil && int64(len(source)) > bytes {
		err = fmt.Errorf("%s is longer than %d KiB, which no plan is: say with --plan which file is meant", path, bytes>>10)
	}
	return source, err
}

// compare says which rules of golive.yaml are others than those of the plan that a history began with, and keeps to.
func (p *program) compare(h *history, now *guard.Plan) {
	if changed := changes("", tree(h.Plan), tree(now)); len(changed) > 0 {
		fmt.Fprintf(p.err, "%s has changed since %s began, which keeps to the plan of its beginning: %s\n",
			p.settings.Plan, h.ID(), strings.Join(changed, ", "))
	}
}

// tree is a plan with all its defaults, as JSON has it.
func tree(plan *guard.Plan) (root any) {
	text, err := json.Marshal(plan)
	if err == nil {
		err = json.Unmarshal(text, &root)
	}
	if err != nil {
		panic(err) // a parsed plan holds nothing that JSON cannot
	}
	return root
}

// changes lists the keys below path whose values differ, in order. A list counts as one value.
func changes(path string, was, is any) (changed []string) {
	before, maps1 := was.(map[string]any)
	after, maps2 := is.(map[string]any)
	if !maps1 || !maps2 {
		if reflect.DeepEqual(was, is) {
			return nil
		}
		return []string{path}
	}
	keys := map[string]bool{}
	for key := range before {
		keys[key] = true
	}
	for key := range after {
		keys[key] = true
	}
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		changed = append(changed, changes(strings.TrimPrefix(path+"."+key, "."), before[key], after[key])...)
	}
	return changed
}

// otherPlans are the files beside a plan that hold another one for the same service and environment. What is no
// plan is passed over, whatever is wrong with it.
func otherPlans(plan *guard.Plan) ([]string, error) {
	dir := filepath.Dir(plan.File())
	files, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	others := []string{}
	for _, file := range files {
		path := filepath.Join(dir, file.Name())
		if ext := filepath.Ext(path); (ext != ".yaml" && ext != ".yml") || filepath.Clean(plan.File()) == path {
			continue
		}
		source, err := readAtMost(path, planHolds)
		if err != nil {
			continue
		}
		other, err := guard.ParsePlan(path, source)
		if err == nil && other.Service == plan.Service && other.Environment == plan.Environment {
			others = append(others, file.Name())
		}
	}
	return others, nil
}
