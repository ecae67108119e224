package journal

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"regexp"
	"time"
)

// MaxRecord is the length that a record's line may have, in bytes.
const MaxRecord = 16 << 20

// A Record is one thing that was so, at some time.
type Record struct {
	Seq  int64           `json:"seq"` // counts from 1; 0 in an order, which has no place in the chain
	At   time.Time       `json:"at"`  // UTC
	Kind string          `json:"kind"`
	Data json.RawMessage `json:"data"`
	Prev string          `json:"prev"` // Hash of the record before; empty in the first
	Hash string          `json:"hash"` // SHA-256 of the line up to here, in hexadecimal
}

// A kind is written into its line as it is, so it may hold nothing that JSON would escape.
var kindPattern = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_.-]*$`)

// line writes a record in the one form that it has, with the hash of what it says, whatever r.Hash is.
func (r Record) line() (line []byte, hash string, err error) {
	if !kindPattern.MatchString(r.Kind) {
		return nil, "", fmt.Errorf("%q is not a kind of record: it may hold letters, digits, '_', '.' and '-'", r.Kind)
	}
	at, err := r.At.MarshalText()
	if err != nil {
		return nil, "", fmt.Errorf("time of a record: %w", err)
	}
	line = fmt.Appendf(nil, `{"seq":%d,"at":"%s","kind":"%s","data":%s,"prev":"%s"`, r.Seq, at, r.Kind, r.Data, r.Prev)
	sum := sha256.Sum256(line)
	hash = hex.EncodeToString(sum[:])
	return fmt.Appendf(line, `,"hash":"%s"}`+"\n", hash), hash, nil
}

// Seal makes the record that follows prev, and its line with the newline at the end, for whoever keeps a journal
// elsewhere than in a file: the lines of a rollout, one after another, are a file that Verify accepts. The zero
// Record has the first record after it. Data is what Append takes. A record that Append would refuse is an error.
func Seal(prev Record, at time.Time, kind string, data any) (Record, []byte, error) {
	return seal(prev.Seq+1, at, kind, data, prev.Hash)
}

// seal makes a record, and its line with the newline at the end.
func seal(seq int64, at time.Time, kind string, data any, prev string) (Record, []byte, error) {
	var value bytes.Buffer
	enc := json.NewEncoder(&value)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(data); err != nil {
		return Record{}, nil, fmt.Errorf("data of a record %q: %w", kind, err)
	}
	r := Record{
		Seq:  seq,
		At:   at.UTC(), // which also takes off the monotonic clock, that no file can hold
		Kind: kind,
		Data: bytes.TrimSuffix(value.Bytes(), []byte("\n")),
		Prev: prev,
	}
	line, hash, err := r.line()
	if err != nil {
		return Record{}, nil, err
	}
	if len(line) > MaxRecord {
		return Record{}, nil, fmt.Errorf("record %q has %d bytes, and %d are allowed", kind, len(line), MaxRecord)
	}
	r.Hash = hash
	return r, line, nil
}

// unseal reads a line that seal has made. A line is right if its record, written again, is the same line.
func unseal(line []byte) (Record, error) {
	var r Record
	if err := json.Unmarshal(line, &r); err != nil {
		return Record{}, fmt.Errorf("it is not a record: %w", err)
	}
	again, hash, err := r.line()
	switch {
	case err != nil:
		return Record{}, fmt.Errorf("it is not a record: %w", err)
	case hash != r.Hash:
		return Record{}, fmt.Errorf("it was changed: its hash should be %s and is %q", hash, r.Hash)
	case !bytes.Equal(again, line):
		return Record{}, fmt.Errorf("it was changed: it does not have the form of a record")
	}
	return r, nil
}
