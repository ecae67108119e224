package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sethvargo/go-envconfig"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/journal"
)

// TestDeliver takes up a rollout that was killed between its end and its last notice: the next command that
// begins something tells it, once.
func TestDeliver(t *testing.T) {
	source, err := os.ReadFile("testdata/golive.yaml")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	t.Chdir(dir)
	path := filepath.Join(dir, ".golive", "r1"+journal.Extension)
	j, err := journal.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	release := testRelease
	for _, e := range []guard.Event{
		{Fact: guard.Opened{Release: release, Purpose: guard.ToRollout, Mode: guard.Enforce, File: "golive.yaml", Plan: string(source) + "\nnotify: [{use: stdout}]\n"}},
		{Fact: guard.Ordered{Verb: guard.OrderRollback, Why: "called off"}},
	} {
		kind, data, err := e.Encode()
		if err == nil {
			_, err = j.Append(kind, time.Now(), data)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	call := func() string {
		var out, story bytes.Buffer
		run(t.Context(), []string{"rollout", "--from", "v1", "--to", "v2"}, strings.NewReader(""), &out, &story,
			envconfig.MapLookuper(map[string]string{"SHOP": "127.0.0.1:1"}), make(chan os.Signal))
		return story.String()
	}
	if err := os.WriteFile("golive.yaml", []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	if story := call(); !strings.Contains(story, "telling what was left untold of r1") || !strings.Contains(story, "called off") {
		t.Errorf("the notice was not delivered:\n%s", story)
	}
	if story := call(); strings.Contains(story, "untold") {
		t.Errorf("the notice was delivered twice:\n%s", story)
	}
}
