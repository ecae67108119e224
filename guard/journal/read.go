package journal

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
)

// Extension is how the name of a journal ends, for List to find it.
const Extension = ".jsonl"

// A Summary says what a journal holds.
type Summary struct {
	Records int
	Bytes   int64  // of all records
	Torn    int64  // bytes after them that a crash left behind; they were never acknowledged
	First   Record // zero if there are none
	Last    Record
}

// add counts a record that was found to follow.
func (s *Summary) add(r Record, line []byte) {
	if s.Records == 0 {
		s.First = r
	}
	s.Last = r
	s.Records++
	s.Bytes += int64(len(line))
}

// A BrokenError says where a journal stops being what was written.
type BrokenError struct {
	Path   string
	Line   int // counts from 1
	Reason string
}

func (e *BrokenError) Error() string {
	return fmt.Sprintf("journal %s is broken at line %d: %s; keep the file as evidence, and go on from a copy of it or start anew",
		e.Path, e.Line, e.Reason)
}

// Read returns the records of a journal, oldest first, without a lock, so also while another process appends.
// What a crash has torn, or is being written just now, is left out. An error ends the loop; it is a
// *BrokenError if the file is not what Append wrote.
func Read(path string) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		file, err := os.Open(path)
		if err != nil {
			yield(Record{}, fmt.Errorf("read journal: %w", err))
			return
		}
		defer file.Close()
		records(path, file)(yield)
	}
}

// Verify checks a journal from its first byte to its last, and changes nothing. While another process appends,
// Torn may be a record that is being written just now.
func Verify(path string) (Summary, error) {
	file, err := os.Open(path)
	if err != nil {
		return Summary{}, fmt.Errorf("verify journal: %w", err)
	}
	defer file.Close()
	return walk(path, file, func(Record) bool { return true })
}

// An Entry is a journal that List has found.
type Entry struct {
	Path    string
	Summary Summary // of what comes before Err, if there is one
	Holder  Holder  // who holds it; zero if nobody does
	Err     error   // why it cannot be read, or not further
}

// List returns the journals of a directory in the order of their names. One that is broken is among them, with
// its error: it does not hide the others.
func List(dir string) ([]Entry, error) {
	files, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("list journals: %w", err)
	}
	var entries []Entry
	for _, file := range files {
		if !file.Type().IsRegular() || filepath.Ext(file.Name()) != Extension {
			continue
		}
		e := Entry{Path: filepath.Join(dir, file.Name())}
		e.Summary, e.Err = Verify(e.Path)
		holder, err := Held(e.Path)
		e.Holder, e.Err = holder, errors.Join(e.Err, err)
		entries = append(entries, e)
	}
	return entries, nil
}

func records(path string, r io.Reader) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		_, err := walk(path, r, func(r Record) bool { return yield(r, nil) })
		if err != nil {
			yield(Record{}, err)
		}
	}
}

// walk reads the records of a journal until the end, until each says no, or until there is something that is
// not a record or does not follow the one before. The summary is of the records that it has passed.
func walk(path string, r io.Reader, each func(Record) bool) (Summary, error) {
	var sum Summary
	lines := scanLines(r)
	for n := 1; lines.Scan(); n++ {
		line := lines.Bytes()
		if torn(line) {
			length := int64(len(line))
			if lines.Scan() {
				return sum, &BrokenError{path, n, "zero bytes, and more lines after it, which no crash leaves"}
			}
			sum.Torn = length
			break
		}
		r, err := unseal(line)
		if err == nil {
			err = follows(sum.Last, r)
		}
		if err != nil {
			return sum, &BrokenError{path, n, err.Error()}
		}
		sum.add(r, line)
		if !each(r) {
			return sum, nil
		}
	}
	if err := lines.Err(); errors.Is(err, bufio.ErrTooLong) {
		return sum, &BrokenError{path, sum.Records + 1, fmt.Sprintf("longer than the %d bytes that a record may have", MaxRecord)}
	} else if err != nil {
		return sum, fmt.Errorf("read journal %s: %w", path, err)
	}
	return sum, nil
}

// follows says what keeps next from being the record after last.
func follows(last, next Record) error {
	if want := last.Seq + 1; next.Seq != want {
		return fmt.Errorf("it has sequence number %d where %d should follow", next.Seq, want)
	}
	if next.Prev != last.Hash {
		return fmt.Errorf("it follows a record with hash %q, and the one before has %q", next.Prev, last.Hash)
	}
	return nil
}

// torn says whether a last line is what a crash leaves: JSON has no zero bytes, and a file that had grown
// before its content arrived has them.
func torn(line []byte) bool {
	return !bytes.HasSuffix(line, []byte("\n")) || bytes.IndexByte(line, 0) >= 0
}

// scanLines returns each line with its newline, so that a line without one is seen to be unfinished.
func scanLines(r io.Reader) *bufio.Scanner {
	s := bufio.NewScanner(r)
	s.Buffer(nil, MaxRecord)
	s.Split(func(data []byte, atEOF bool) (int, []byte, error) {
		if i := bytes.IndexByte(data, '\n'); i >= 0 {
			return i + 1, data[:i+1], nil
		}
		if atEOF && len(data) > 0 {
			return len(data), data, nil
		}
		return 0, nil, nil
	})
	return s
}
