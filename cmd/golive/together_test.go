package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/golive-dev/golive/guard/journal"
)

// TestTogether starts eight releases of one service at the same moment: one of them begins.
func TestTogether(t *testing.T) {
	s := killedShop(t, "30")
	var started []*exec.Cmd
	for _, to := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
		cmd := exec.CommandContext(t.Context(), "golive", "rollout", "--from", "v1", "--to", to)
		cmd.Dir = s.dir
		cmd.Env = append(os.Environ(), "SHOP="+s.addr)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		started = append(started, cmd)
	}
	var codes []int
	for _, cmd := range started {
		cmd.Wait() // its exit code says more
		codes = append(codes, cmd.ProcessState.ExitCode())
	}
	slices.Sort(codes)
	if diff := cmp.Diff([]int{3, 3, 3, 3, 3, 3, 3, exitRolledBack}, codes); diff != "" {
		t.Errorf("exit codes (-want +got):\n%s", diff)
	}
	journals, err := filepath.Glob(filepath.Join(s.dir, ".golive", "*"+journal.Extension))
	if err != nil || len(journals) != 1 {
		t.Errorf("%d rollouts began (%v), want one", len(journals), err)
	}
}
