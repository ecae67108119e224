package journal_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/golive-dev/golive/guard/journal"
)

// The test binary is also the other process: TestMain runs what this variable names.
const childVariable = "GOLIVE_JOURNAL_TEST_CHILD"

var children = map[string]func(path string) error{
	"append": appendForEver,
	"hold":   hold,
	"post":   postMany,
}

func TestMain(m *testing.M) {
	child := os.Getenv(childVariable)
	if child == "" {
		os.Exit(m.Run())
	}
	if err := children[child](os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func childCommand(t *testing.T, child, path string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe, path)
	cmd.Env = append(os.Environ(), childVariable+"="+child)
	cmd.Stderr = os.Stderr
	return cmd
}

// startChild starts a child and returns the lines that it prints.
func startChild(t *testing.T, child, path string) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	cmd := childCommand(t, child, path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, bufio.NewScanner(out)
}

var noon = time.Date(2026, 11, 24, 12, 0, 0, 500, time.UTC)

func create(t *testing.T) (*journal.Journal, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "r1"+journal.Extension)
	j, err := journal.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	return j, path
}

func mustAppend(t *testing.T, j *journal.Journal, kind string, data any) journal.Record {
	t.Helper()
	r, err := j.Append(kind, noon, data)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func mustClose(t *testing.T, j *journal.Journal) {
	t.Helper()
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
}

func mustOpen(t *testing.T, path string) *journal.Journal {
	t.Helper()
	j, err := journal.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func collect(t *testing.T, records iter.Seq2[journal.Record, error]) []journal.Record {
	t.Helper()
	var all []journal.Record
	for r, err := range records {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
	return all
}

// three is the text of a closed journal of three records.
func three(t *testing.T) string {
	t.Helper()
	j, path := create(t)
	mustAppend(t, j, "opened", map[string]any{"to": "v2", "note": `a "quoted", <marked> & long line`})
	mustAppend(t, j, "shifted", map[string]any{"percent": 10})
	mustAppend(t, j, "over", nil)
	mustClose(t, j)
	return readFile(t, path)
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func writeFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "r1"+journal.Extension)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestWhatIsAppendedIsRead(t *testing.T) {
	j, path := create(t)
	want := []journal.Record{
		mustAppend(t, j, "opened", map[string]string{"to": "v2"}),
		mustAppend(t, j, "shifted", map[string]int{"percent": 10}),
	}
	if diff := cmp.Diff(want, collect(t, j.Records())); diff != "" {
		t.Errorf("its own records (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, collect(t, journal.Read(path))); diff != "" {
		t.Errorf("read without a lock (-want +got):\n%s", diff)
	}
	mustClose(t, j)

	j = mustOpen(t, path)
	want = append(want, mustAppend(t, j, "over", nil))
	mustClose(t, j)
	if diff := cmp.Diff(want, collect(t, journal.Read(path))); diff != "" {
		t.Errorf("after it was opened again (-want +got):\n%s", diff)
	}
	sum, err := journal.Verify(path)
	if err != nil {
		t.Fatal(err)
	}
	wantSum := journal.Summary{Records: 3, Bytes: int64(len(readFile(t, path))), First: want[0], Last: want[2]}
	if diff := cmp.Diff(wantSum, sum); diff != "" {
		t.Errorf("summary (-want +got):\n%s", diff)
	}
}

// What Append returns is what will be read, also where the clock has a zone and a monotonic reading.
func TestTimeIsWhatIsRead(t *testing.T) {
	j, path := create(t)
	r, err := j.Append("k", time.Now().In(time.FixedZone("", 5400)), nil)
	if err != nil {
		t.Fatal(err)
	}
	mustClose(t, j)
	if got := collect(t, journal.Read(path))[0].At; got != r.At {
		t.Errorf("read %#v, and Append returned %#v", got, r.At)
	}
}

// The form of the file is a promise: other programs read it, and journals outlive the golive that wrote them.
func TestForm(t *testing.T) {
	if diff := cmp.Diff(readFile(t, "testdata/example.jsonl"), three(t)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestCheckByHand(t *testing.T) {
	for _, tool := range []string{"sh", "jq", "sha256sum"} {
		if _, err := exec.LookPath(tool); err != nil {
			if os.Getenv("CI") != "" && runtime.GOOS == "linux" {
				t.Fatalf("%s is missing: apt-get install jq coreutils", tool)
			}
			t.Skipf("%s is missing: apt-get install jq coreutils", tool)
		}
	}
	tests := map[string]struct {
		change func(string) string
		want   string
	}{
		"as written": {func(s string) string { return s }, "3 records\n"},
		"changed":    {func(s string) string { return strings.Replace(s, `"percent":10`, `"percent":11`, 1) }, "line 2 is broken\n"},
		"cut out":    {func(s string) string { return dropLine(s, 2) }, "line 2 is broken\n"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			path := writeFile(t, test.change(three(t)))
			out, err := exec.CommandContext(t.Context(), "sh", "testdata/check.sh", path).Output()
			if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, string(out)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestJSONSurvives(t *testing.T) {
	tests := map[string]struct{ data, want string }{
		"big integer":       {`123456789012345678901234567890`, `123456789012345678901234567890`},
		"long fraction":     {`0.10000000000000000000001`, `0.10000000000000000000001`},
		"exponent":          {`1.0E+400`, `1.0E+400`},
		"minus zero":        {`-0`, `-0`},
		"order of keys":     {`{"b":1,"a":2}`, `{"b":1,"a":2}`},
		"a key twice":       {`{"a":1,"a":2}`, `{"a":1,"a":2}`},
		"escapes":           {`"\u00e9 é \/ / \u2028"`, `"\u00e9 é \/ / \u2028"`},
		"line separator":    {"\"\u2028\"", "\"\u2028\""},
		"HTML":              {`"<b>&</b>"`, `"<b>&</b>"`},
		"looks like an end": {`",\"hash\":\"\"}"`, `",\"hash\":\"\"}"`},
		"white space":       {"{\n\t\"a\" : \" b \"\n}\n", `{"a":" b "}`},
		"null":              {`null`, `null`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			j, path := create(t)
			mustAppend(t, j, "k", json.RawMessage(test.data))
			mustClose(t, j)
			got := collect(t, journal.Read(path))[0].Data
			if diff := cmp.Diff(test.want, string(got)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// A record that cannot be is refused, and the journal goes on as if nobody had tried.
func TestRefusedRecords(t *testing.T) {
	full := strings.Repeat("x", journal.MaxRecord)
	tests := map[string]struct {
		kind string
		at   time.Time
		data any
		want string
	}{
		"no kind":       {"", noon, nil, `"" is not a kind`},
		"quote in kind": {`a"b`, noon, nil, `is not a kind`},
		"line in kind":  {"a\n", noon, nil, `is not a kind`},
		"no JSON":       {"k", noon, func() {}, `unsupported type`},
		"broken JSON":   {"k", noon, json.RawMessage(`{`), `unexpected end`},
		"year 10000":    {"k", time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC), nil, `year`},
		"too long":      {"k", noon, full, `16777216 are allowed`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			j, path := create(t)
			first := mustAppend(t, j, "opened", nil)
			_, err := j.Append(test.kind, test.at, test.data)
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("error is %v, want one with %q and the path", err, test.want)
			}
			second := mustAppend(t, j, "over", nil)
			mustClose(t, j)
			if diff := cmp.Diff([]journal.Record{first, second}, collect(t, journal.Read(path))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// The longest record is written and read; one byte more is refused.
func TestLongestRecord(t *testing.T) {
	j, path := create(t)
	mustAppend(t, j, "k", "")
	before := j.Summary().Bytes
	mustAppend(t, j, "k", "")
	room := journal.MaxRecord - int(j.Summary().Bytes-before)

	if _, err := j.Append("k", noon, strings.Repeat("x", room+1)); err == nil {
		t.Errorf("a record of MaxRecord+1 bytes was taken")
	}
	before = j.Summary().Bytes
	mustAppend(t, j, "k", strings.Repeat("x", room))
	if got := j.Summary().Bytes - before; got != journal.MaxRecord {
		t.Errorf("the record has %d bytes, want MaxRecord", got)
	}
	mustAppend(t, j, "over", nil)
	mustClose(t, j)
	if got := len(collect(t, journal.Read(path))); got != 4 {
		t.Errorf("%d records are read, want 4", got)
	}
}

func dropLine(s string, n int) string {
	lines := strings.SplitAfter(s, "\n")
	return strings.Join(append(lines[:n-1:n-1], lines[n:]...), "")
}

func swapLines(s string, a, b int) string {
	lines := strings.SplitAfter(s, "\n")
	lines[a-1], lines[b-1] = lines[b-1], lines[a-1]
	return strings.Join(lines, "")
}

// What a crash leaves is dropped, and the journal goes on.
func TestTornEnd(t *testing.T) {
	whole := three(t)
	lastLine := len(dropLine(whole, 3))
	tests := map[string]struct {
		text string
		kept int // bytes
	}{
		"nothing written":      {"", 0},
		"whole":                {whole, len(whole)},
		"first line torn":      {whole[:20], 0},
		"one byte of the next": {whole + "{", len(whole)},
		"only newline missing": {whole[:len(whole)-1], lastLine},
		"half of the last":     {whole[:lastLine+60], lastLine},
		"zeros at the end":     {whole + strings.Repeat("\x00", 4096), len(whole)},
		"zeros in the last":    {whole[:lastLine+10] + strings.Repeat("\x00", 20) + whole[lastLine+30:], lastLine},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			path := writeFile(t, test.text)
			before := collect(t, journal.Read(path))
			j := mustOpen(t, path)
			if got, want := j.Summary().Torn, int64(len(test.text)-test.kept); got != want {
				t.Errorf("%d bytes are reported as torn, want %d", got, want)
			}
			if diff := cmp.Diff(test.text[:test.kept], readFile(t, path)); diff != "" {
				t.Errorf("file after it was opened (-want +got):\n%s", diff)
			}
			next := mustAppend(t, j, "resumed", nil)
			mustClose(t, j)
			if diff := cmp.Diff(append(before, next), collect(t, journal.Read(path))); diff != "" {
				t.Errorf("records (-want +got):\n%s", diff)
			}
		})
	}
}

// What no crash leaves is refused, with its place, and nothing is touched.
func TestBroken(t *testing.T) {
	whole := three(t)
	other := strings.Replace(whole, `"percent":10`, `"percent":50`, 1)
	tests := map[string]struct {
		text string
		line int
		want string
	}{
		"data changed":        {other, 2, "its hash should be"},
		"hash changed":        {changeHash(whole, 2), 2, "its hash should be"},
		"last line changed":   {strings.Replace(whole, `"over"`, `"oven"`, 1), 3, "its hash should be"},
		"last line not JSON":  {strings.Replace(whole, `"over"`, `over"`, 1), 3, "not a record"},
		"line cut out":        {dropLine(whole, 2), 2, "sequence number 3 where 2 should follow"},
		"first line cut out":  {dropLine(whole, 1), 1, "sequence number 2 where 1 should follow"},
		"line twice":          {whole + strings.SplitAfter(whole, "\n")[2], 4, "sequence number 3 where 4 should follow"},
		"lines swapped":       {swapLines(whole, 2, 3), 2, "sequence number 3 where 2 should follow"},
		"from another":        {strings.SplitAfter(whole, "\n")[0] + rechained(t, 2), 2, "follows a record with hash"},
		"empty line":          {whole + "\n", 4, "not a record"},
		"newline lost":        {strings.Replace(whole, "\n", " ", 1), 1, "not a record"},
		"carriage returns":    {strings.ReplaceAll(whole, "\n", "\r\n"), 1, "form of a record"},
		"white space":         {strings.Replace(whole, `{"seq":1,`, `{"seq":1, `, 1), 1, "form of a record"},
		"key added":           {strings.Replace(whole, `{"seq":1,`, `{"seq":1,"x":2,`, 1), 1, "form of a record"},
		"zeros in the middle": {strings.Replace(whole, "shifted", "\x00\x00\x00\x00\x00\x00\x00", 1), 2, "zero bytes"},
		"line without end":    {strings.Repeat("x", journal.MaxRecord+1), 1, "longer than"},
		"other text":          {"not a journal\n", 1, "not a record"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			path := writeFile(t, test.text)
			j, err := journal.Open(path)
			if err == nil {
				mustClose(t, j)
			}
			var broken *journal.BrokenError
			if !errors.As(err, &broken) {
				t.Fatalf("error is %v, want a BrokenError", err)
			}
			if broken.Line != test.line || !strings.Contains(broken.Reason, test.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("error is %q, want one about line %d with %q and the path", err, test.line, test.want)
			}
			if readFile(t, path) != test.text {
				t.Errorf("the file was changed")
			}
			if _, err := journal.Verify(path); !errors.As(err, &broken) {
				t.Errorf("Verify says %v, want a BrokenError", err)
			}
			var last error
			for _, err := range journal.Read(path) {
				last = err
			}
			if !errors.As(last, &broken) {
				t.Errorf("Read ends with %v, want a BrokenError", last)
			}
		})
	}
}

// changeHash changes one digit of the hash of a line.
func changeHash(s string, line int) string {
	lines := strings.SplitAfter(s, "\n")
	end := len(lines[line-1]) - len("0\"}\n")
	digit := "0"
	if lines[line-1][end] == '0' {
		digit = "1"
	}
	lines[line-1] = lines[line-1][:end] + digit + lines[line-1][end+1:]
	return strings.Join(lines, "")
}

// rechained is a line with the right sequence number and hash, from a journal that began otherwise.
func rechained(t *testing.T, line int) string {
	t.Helper()
	j, path := create(t)
	for range line {
		mustAppend(t, j, "other", nil)
	}
	mustClose(t, j)
	return strings.SplitAfter(readFile(t, path), "\n")[line-1]
}

// Each byte of a journal is covered: whichever is changed, Verify does not say that all is well.
func TestTamper(t *testing.T) {
	whole := three(t)
	path := writeFile(t, whole)
	for i := range whole {
		for _, flip := range []byte{0x01, whole[i]} {
			if err := tamper(path, whole, i, flip); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// tamper says whether a journal with one byte changed passes as whole.
func tamper(path, text string, at int, flip byte) error {
	changed := []byte(text)
	changed[at] ^= flip
	if err := os.WriteFile(path, changed, 0o600); err != nil {
		return err
	}
	sum, err := journal.Verify(path)
	if err == nil && sum.Torn == 0 {
		return fmt.Errorf("byte %d changed from %q to %q, and nobody notices", at, text[at], changed[at])
	}
	return nil
}

func TestCreate(t *testing.T) {
	t.Run("is empty", func(t *testing.T) {
		j, path := create(t)
		mustClose(t, j)
		if diff := cmp.Diff("", readFile(t, path)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
	t.Run("never replaces", func(t *testing.T) {
		path := writeFile(t, three(t))
		if _, err := journal.Create(path); !errors.Is(err, fs.ErrExist) {
			t.Errorf("error is %v, want fs.ErrExist", err)
		}
		if readFile(t, path) != three(t) {
			t.Errorf("the file was changed")
		}
	})
	t.Run("for the owner only", func(t *testing.T) {
		if runtime.GOOS == "windows" {
			t.Skip("Windows has no such modes")
		}
		dir := t.TempDir()
		path := filepath.Join(dir, "a", "b", "r1.jsonl")
		j, err := journal.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		mustClose(t, j)
		if _, err := journal.Post(path, "abort", noon, nil); err != nil {
			t.Fatal(err)
		}
		got := map[string]fs.FileMode{}
		err = filepath.WalkDir(filepath.Join(dir, "a"), func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := d.Info()
			got[filepath.Base(path)] = info.Mode().Perm()
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]fs.FileMode{"a": 0o700, "b": 0o700, "r1.jsonl": 0o600, "r1.jsonl.lock": 0o600, "r1.jsonl.orders": 0o600}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	if _, err := journal.Open(filepath.Join(dir, "missing.jsonl")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file: error is %v, want fs.ErrNotExist", err)
	}
	if _, err := journal.Open(dir); err == nil {
		t.Errorf("a directory was opened as a journal")
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("what could not be opened left %v behind (%v)", left, err)
	}
	device := filepath.Join(t.TempDir(), "device.jsonl")
	if err := os.Symlink(os.DevNull, device); err != nil {
		t.Skip(err)
	}
	if _, err := journal.Open(device); err == nil {
		t.Errorf("a device was opened as a journal, and would forget everything")
	}
}

// A journal whose file is no longer what it was refuses for ever: a second owner must not be overwritten, and
// a record in a file that was removed is not kept.
func TestFileChangedUnderneath(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows does not let anybody remove a file that is open")
	}
	tests := map[string]func(path string) error{
		"removed": os.Remove,
		"replaced": func(path string) error {
			text, err := os.ReadFile(path)
			return errors.Join(err, os.Rename(path, path+".old"), os.WriteFile(path, text, 0o600))
		},
		"cut": func(path string) error { return os.Truncate(path, 10) },
		"grown": func(path string) error {
			return os.WriteFile(path, []byte(strings.Repeat("x", 1000)), 0o600)
		},
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			j, path := create(t)
			mustAppend(t, j, "opened", nil)
			if err := change(path); err != nil {
				t.Fatal(err)
			}
			before, _ := os.ReadFile(path)
			for range 2 {
				if _, err := j.Append("shifted", noon, nil); err == nil || !strings.Contains(err.Error(), "record 2") {
					t.Errorf("error is %v, want one about record 2", err)
				}
			}
			after, _ := os.ReadFile(path)
			if diff := cmp.Diff(before, after); diff != "" {
				t.Errorf("what somebody else wrote was touched (-before +after):\n%s", diff)
			}
		})
	}
}

func TestClosed(t *testing.T) {
	j, path := create(t)
	mustClose(t, j)
	if _, err := j.Append("k", noon, nil); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Append says %v, want os.ErrClosed", err)
	}
	next := mustOpen(t, path)
	if err := j.Close(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("the second Close says %v, want os.ErrClosed", err)
	}
	if holder, err := journal.Held(path); err != nil || holder.PID != os.Getpid() {
		t.Errorf("after a second Close of the former holder, the present one is %v (%v)", holder, err)
	}
	mustClose(t, next)
	if _, err := new(journal.Journal).Append("k", noon, nil); err == nil {
		t.Errorf("the zero journal took a record")
	}
}

func TestAppendFromManyGoroutines(t *testing.T) {
	j, path := create(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 5 {
				if _, err := j.Append("k", noon, nil); err != nil {
					t.Error(err)
				}
				for _, err := range j.Records() {
					if err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	mustClose(t, j)
	if got := len(collect(t, journal.Read(path))); got != 40 {
		t.Errorf("%d records, want 40", got)
	}
}

func TestList(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"a.jsonl":        three(t),
		"b.jsonl":        dropLine(three(t), 2),
		"c.jsonl":        three(t)[:50],
		"notes.txt":      "not a journal",
		"a.jsonl.orders": "",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "d.jsonl"), 0o700); err != nil {
		t.Fatal(err)
	}
	held := mustOpen(t, filepath.Join(dir, "a.jsonl"))
	defer mustClose(t, held)

	entries, err := journal.List(dir)
	if err != nil {
		t.Fatal(err)
	}
	type row struct {
		Name      string
		Records   int
		Last      string
		Torn      int64
		PID, Line int
	}
	var got []row
	for _, e := range entries {
		var broken journal.BrokenError
		if b := new(journal.BrokenError); errors.As(e.Err, &b) {
			broken = *b
		} else if e.Err != nil {
			t.Errorf("%s: %v", e.Path, e.Err)
		}
		got = append(got, row{filepath.Base(e.Path), e.Summary.Records, e.Summary.Last.Kind, e.Summary.Torn, e.Holder.PID, broken.Line})
	}
	want := []row{
		{Name: "a.jsonl", Records: 3, Last: "over", PID: os.Getpid()},
		{Name: "b.jsonl", Records: 1, Last: "opened", Line: 2},
		{Name: "c.jsonl", Torn: 50},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if _, err := journal.List(filepath.Join(dir, "missing")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing directory: error is %v, want fs.ErrNotExist", err)
	}
}

func FuzzOpen(f *testing.F) {
	whole, err := os.ReadFile("testdata/example.jsonl")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add(whole[:len(whole)-40])
	f.Add(append(whole[:len(whole):len(whole)], 0, 0, 0))
	f.Add([]byte("\x00\x00\n"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, text []byte) {
		path := filepath.Join(t.TempDir(), "r.jsonl")
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		j, err := journal.Open(path)
		if err != nil {
			if broken := new(journal.BrokenError); !errors.As(err, &broken) {
				t.Fatalf("error is %v, want a BrokenError", err)
			}
			return
		}
		sum := j.Summary()
		if sum.Bytes+sum.Torn != int64(len(text)) {
			t.Errorf("%d bytes kept and %d dropped, of %d", sum.Bytes, sum.Torn, len(text))
		}
		if kept := readFile(t, path); kept != string(text[:sum.Bytes]) {
			t.Errorf("the file holds %q, which is not how %q begins", kept, text)
		}
		mustAppend(t, j, "resumed", nil)
		mustClose(t, j)
		after, err := journal.Verify(path)
		if err != nil || after.Records != sum.Records+1 {
			t.Errorf("after one more record there are %d (%v), want %d", after.Records, err, sum.Records+1)
		}
	})
}

func FuzzTamper(f *testing.F) {
	f.Add("opened", []byte(`{"to":"v2"}`), uint(10), byte(1))
	f.Add("k", []byte(`",\"hash\":\""`), uint(200), byte(0x20))
	f.Fuzz(func(t *testing.T, kind string, data []byte, at uint, flip byte) {
		j, path := create(t)
		mustAppend(t, j, "opened", nil)
		_, err := j.Append(kind, noon, json.RawMessage(data))
		mustClose(t, j)
		if err != nil || flip == 0 {
			return
		}
		whole := readFile(t, path)
		if _, err := journal.Verify(path); err != nil {
			t.Fatalf("as written: %v", err)
		}
		if err := tamper(path, whole, int(at%uint(len(whole))), flip); err != nil {
			t.Error(err)
		}
	})
}

// BenchmarkAppend takes turns with the least that could be done, a write and an fsync of as many bytes, so
// that a busy disk slows both; x/fsync is how many times longer Append takes.
func BenchmarkAppend(b *testing.B) {
	j, err := journal.Create(filepath.Join(b.TempDir(), "r.jsonl"))
	if err != nil {
		b.Fatal(err)
	}
	defer func() {
		if err := j.Close(); err != nil {
			b.Error(err)
		}
	}()
	plain, err := os.Create(filepath.Join(b.TempDir(), "plain"))
	if err != nil {
		b.Fatal(err)
	}
	defer plain.Close()
	data := strings.Repeat("x", 100) // a line of about 300 bytes
	line := []byte(strings.Repeat("x", 300))
	var ours, theirs time.Duration
	for b.Loop() {
		start := time.Now()
		if _, err := j.Append("measured", noon, data); err != nil {
			b.Fatal(err)
		}
		middle := time.Now()
		if _, err := plain.Write(line); err != nil {
			b.Fatal(err)
		}
		if err := plain.Sync(); err != nil {
			b.Fatal(err)
		}
		ours += middle.Sub(start)
		theirs += time.Since(middle)
	}
	b.ReportMetric(float64(ours)/float64(theirs), "x/fsync")
	b.ReportMetric(float64(ours.Microseconds())/float64(b.N), "us/append")
}

// BenchmarkOpen reads and checks a journal of 1,000 records, as a start after a crash does.
func BenchmarkOpen(b *testing.B) {
	path := filepath.Join(b.TempDir(), "r.jsonl")
	j, err := journal.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	for range 1_000 {
		if _, err := j.Append("measured", noon, strings.Repeat("x", 100)); err != nil {
			b.Fatal(err)
		}
	}
	b.SetBytes(j.Summary().Bytes)
	if err := j.Close(); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		j, err := journal.Open(path)
		if err != nil {
			b.Fatal(err)
		}
		if err := j.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// Who keeps records elsewhere than in a file makes the same ones.
func TestSealIsWhatAppendWrites(t *testing.T) {
	j, path := create(t)
	var last journal.Record
	var lines string
	for _, data := range []any{map[string]string{"to": "v2"}, json.RawMessage(`{ "a": "<b>" }`), nil} {
		r, line, err := journal.Seal(last, noon.Local(), "k", data)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(mustAppend(t, j, "k", data), r); diff != "" {
			t.Errorf("(-appended +sealed):\n%s", diff)
		}
		last = r
		lines += string(line)
	}
	mustClose(t, j)
	if diff := cmp.Diff(readFile(t, path), lines); diff != "" {
		t.Errorf("(-file +lines):\n%s", diff)
	}
	if _, _, err := journal.Seal(last, noon, "two words", nil); err == nil {
		t.Error("a kind of two words is sealed")
	}
}
