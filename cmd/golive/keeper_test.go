package main

import (
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/golive-dev/golive/guard/engine/enginetest"
	"github.com/golive-dev/golive/guard/journal"
)

// TestKeeper holds the journals of files to the contract that those of a store keep, too.
func TestKeeper(t *testing.T) {
	enginetest.Journal(t, func(t *testing.T) enginetest.Kept {
		path := filepath.Join(t.TempDir(), "r"+journal.Extension)
		j, err := journal.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		return inFile(t, j, path)
	})
}

func inFile(t *testing.T, j *journal.Journal, path string) enginetest.Kept {
	t.Helper()
	t.Cleanup(func() { _ = j.Close() })
	return enginetest.Kept{
		Journal: keeper{j},
		Close:   j.Close,
		Export: func(w io.Writer) error {
			text, err := os.ReadFile(path)
			if err == nil {
				_, err = w.Write(text)
			}
			return err
		},
		Again: func() enginetest.Kept {
			again, err := journal.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			return inFile(t, again, path)
		},
	}
}
