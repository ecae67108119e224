// Package backuptest makes things to back up, and breaks backups in the ways in which they break.
package backuptest

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/golive-dev/golive/guard"
)

// Program finds a program that a test cannot do without, on PATH or in one of the directories. Where it is not
// installed, the test is skipped; in CI, it fails.
func Program(t testing.TB, name, debian string, dirs ...string) string {
	t.Helper()
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	for _, dir := range dirs {
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return path
		}
	}
	how := fmt.Sprintf("%s is not installed (apt-get install -y --no-install-recommends %s)", name, debian)
	if os.Getenv("CI") != "" {
		t.Fatal(how)
	}
	t.Skip(how)
	return ""
}

// Scatter fills a new directory with files of random bytes, which are called 0, 1, 2 and so on.
func Scatter(t testing.TB, count, bytes int) string {
	t.Helper()
	dir := t.TempDir()
	for i := range count {
		noise := make([]byte, bytes)
		random := rand.NewChaCha8([32]byte{byte(i)})
		_, _ = random.Read(noise) // which cannot fail
		Write(t, filepath.Join(dir, fmt.Sprint(i)), noise)
	}
	return dir
}

// Largest is the largest file below a directory.
func Largest(t testing.TB, dir string) (largest string) {
	t.Helper()
	size := int64(-1)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Size() > size {
			largest, size = path, info.Size()
		}
		return err
	})
	if err != nil || size <= 0 {
		t.Fatalf("there is no file with content below %s (error %v)", dir, err)
	}
	return largest
}

// Flip changes one byte in the middle of a file.
func Flip(t testing.TB, path string) {
	t.Helper()
	content := Read(t, path)
	content[len(content)/2] ^= 0x40
	Write(t, path, content)
}

// Truncate drops the second half of a file.
func Truncate(t testing.TB, path string) {
	t.Helper()
	content := Read(t, path)
	Write(t, path, content[:len(content)/2])
}

// Remove removes a file.
func Remove(t testing.TB, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

// Read reads a file.
func Read(t testing.TB, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// Write writes a file, also in place of one that may not be written.
func Write(t testing.TB, path string, content []byte) {
	t.Helper()
	if info, err := os.Stat(path); err == nil {
		if err := os.Chmod(path, info.Mode()|0o200); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// Proof lets a vault climb, and wants it to come to a rung, and there to find a flaw with some text; "" for none.
func Proof(t testing.TB, v guard.Vault, want, rung guard.Rung, flaw string) {
	t.Helper()
	proof, err := guard.Prove(t.Context(), v, want)
	if err != nil {
		t.Fatalf("Prove %s: %v", want, err)
	}
	CheckProof(t, proof, rung, flaw)
}

// CheckProof wants a proof that came to a rung, and there found a flaw with some text; "" for none.
func CheckProof(t testing.TB, proof guard.Proof, rung guard.Rung, flaw string) {
	t.Helper()
	if err := proof.Check(); err != nil {
		t.Error(err)
	}
	if proof.Rung != rung {
		t.Errorf("the backup comes to the rung %s, want %s (flaw %q)", proof.Rung, rung, proof.Flaw)
	}
	if flaw == "" && proof.Flaw != "" || !strings.Contains(proof.Flaw, flaw) {
		t.Errorf("it has the flaw %q, want %q", proof.Flaw, flaw)
	}
}

// Error wants an error with some text, and without any of the secrets.
func Error(t testing.TB, err error, text string, secrets ...string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), text) {
		t.Errorf("the error is %v, want one with %q", err, text)
		return
	}
	for _, secret := range secrets {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("the error tells %q: %v", secret, err)
		}
	}
}

// Eventually waits for another process, which no synctest bubble can hold.
func Eventually(t testing.TB, what string, true func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !true(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within 20s: %s", what)
		}
	}
}
