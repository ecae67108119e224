// Package dump makes a vault of the files that pg_dump, mysqldump and their like write.
//
// pg_restore -l passes over a dump of which half is missing, reading a tar dump to its end does so too, and psql
// restores what there is of a plain one and calls it a success. How much can be proven of a dump without
// restoring it depends on its format, and is never more than that format allows.
package dump

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/plugins/internal/files"
	"github.com/golive-dev/golive/plugins/internal/run"
)

// Vault knows dumps by their files.
type Vault struct {
	pattern string
}

var _ guard.Prover = (*Vault)(nil)

// NewVault reads {path}, a pattern like /backups/*.dump. A dump ended when its file was last changed. Empty
// files, names that say that a copy is under way, and dumps whose last line is missing are no backups. A
// directory is one if pg_dump -Fd wrote it.
func NewVault(with guard.With) (guard.Vault, error) {
	config := struct {
		Path string `json:"path"`
	}{}
	if err := errors.Join(with.Decode(&config), files.Pattern("path", config.Path)); err != nil {
		return nil, err
	}
	return &Vault{config.Path}, nil
}

// A format is a way to write a dump.
type format struct {
	name string
	head string // how such a file begins; "" of a format that is known by other signs
	last string // what stands near its end once it is complete; "": it does not tell
}

var (
	custom    = format{name: "custom", head: "PGDMP"}
	directory = format{name: "directory"}
	archive   = format{name: "tar"}
	gzipped   = format{name: "gzip", head: "\x1f\x8b"}
	unknown   = format{name: "unknown"}

	// plain formats are text.
	plain = []format{
		{"plain", "-- PostgreSQL database dump\n", "-- PostgreSQL database dump complete"},
		{"plain cluster", "-- PostgreSQL database cluster dump\n", "-- PostgreSQL database cluster dump complete"},
		{"MySQL", "-- MySQL dump ", "-- Dump completed"},
		{"MariaDB", "-- MariaDB dump ", "-- Dump completed"},
	}
)

// Near the beginning and near the end are within these many bytes. pg_dump may write a line after its last one,
// and others may write a line before the first.
const (
	headBytes = 512
	tailBytes = 1024
)

// recognise looks at the first bytes of a file.
func recognise(head []byte) format {
	switch {
	case bytes.HasPrefix(head, []byte(custom.head)):
		return custom
	case bytes.HasPrefix(head, []byte(gzipped.head)):
		return gzipped
	case bytes.HasPrefix(head, []byte("toc.dat\x00")) && len(head) > 262 && string(head[257:262]) == "ustar":
		return archive
	}
	for _, f := range plain {
		if bytes.Contains(head, []byte(f.head)) {
			return f
		}
	}
	return unknown
}

// Backups lists the dumps that are complete, as far as a look at their two ends can tell.
func (v *Vault) Backups(ctx context.Context) ([]guard.Backup, error) {
	found, err := files.Find(ctx, v.pattern)
	if err != nil {
		return nil, err
	}
	var backups []guard.Backup
	for _, f := range found {
		b, complete, err := look(f)
		if errors.Is(err, fs.ErrNotExist) {
			continue // rotated away since the listing
		}
		if err != nil {
			return nil, err
		}
		if complete {
			backups = append(backups, b)
		}
	}
	return backups, nil
}

// look says whether a file, or a directory, is a complete dump.
func look(f files.File) (b guard.Backup, complete bool, err error) {
	b = guard.Backup{ID: f.Path, Ended: f.ModTime(), Bytes: f.Size()}
	if strings.HasSuffix(f.Path, digestSuffix) {
		return b, false, nil
	}
	if f.IsDir() {
		contents, err := os.Stat(filepath.Join(f.Path, contentsName)) // which pg_dump writes last
		if errors.Is(err, fs.ErrNotExist) {
			return b, false, nil
		}
		if err != nil {
			return b, false, err
		}
		_, b.Bytes, err = files.Measure(f.Path)
		b.Ended = contents.ModTime()
		return b, contents.Size() > 0, err
	}
	if !f.Mode().IsRegular() || f.Size() == 0 {
		return b, false, nil
	}
	kind, err := kindOf(f.Path)
	if err != nil || kind.last == "" {
		return b, err == nil, err
	}
	file, err := os.Open(f.Path)
	if err != nil {
		return b, false, err
	}
	defer file.Close()
	end := make([]byte, min(tailBytes, f.Size()))
	if _, err := file.ReadAt(end, f.Size()-int64(len(end))); err != nil {
		return b, false, err
	}
	return b, bytes.Contains(end, []byte(kind.last)), nil
}

const (
	contentsName = "toc.dat" // of a directory
	digestSuffix = ".sha256" // of a file beside the dump, as sha256sum writes it
)

func kindOf(path string) (format, error) {
	if info, err := os.Stat(path); err != nil || info.IsDir() {
		return directory, err
	}
	file, err := os.Open(path)
	if err != nil {
		return unknown, err
	}
	defer file.Close()
	head := make([]byte, headBytes)
	n, err := io.ReadFull(file, head)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return unknown, err
	}
	return recognise(head[:n]), nil
}

// Prove reads the newest dump. A file with a digest beside it, and the formats that have checksums inside, come
// up to Read: those of pg_dump -Fc and -Fd, and whatever is gzipped. Of other formats only the structure can be
// checked, and of unknown ones nothing. No dump is restored here: that takes a database.
func (v *Vault) Prove(ctx context.Context, want guard.Rung) (guard.Proof, error) {
	newest, err := guard.Climb(ctx, v, guard.RungListed, nil)
	if err != nil || newest.Rung < guard.RungListed {
		return newest, err
	}
	kind, err := kindOf(newest.Backup.ID)
	if err != nil {
		return guard.Proof{}, err
	}
	var ascents []guard.Ascent
	switch {
	case kind == custom || kind == directory:
		ascents = append(ascents, guard.Ascent{To: guard.RungRead, Take: pgRestore})
	case kind == gzipped:
		ascents = append(ascents, guard.Ascent{To: guard.RungRead, Take: gunzip})
	case kind == archive:
		ascents = append(ascents, guard.Ascent{To: guard.RungChecked, Take: walk})
	case kind.last != "":
		ascents = append(ascents, guard.Ascent{To: guard.RungChecked, Take: ended})
	}
	switch _, err = os.Stat(newest.Backup.ID + digestSuffix); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return guard.Proof{}, err
	case len(ascents) > 0 && ascents[0].To == guard.RungRead: // that is worth more: a digest may be of half a dump
		ascents = slices.Insert(ascents, 0, guard.Ascent{To: guard.RungChecked, Take: digest})
	default:
		ascents = append(ascents, guard.Ascent{To: guard.RungRead, Take: digest})
	}
	return guard.Climb(ctx, chosen{newest.Backup}, want, ascents)
}

// chosen is a vault of the one backup that was looked at.
type chosen struct{ backup guard.Backup }

func (c chosen) Backups(context.Context) ([]guard.Backup, error) {
	return []guard.Backup{c.backup}, nil
}

// pgRestore has pg_restore write the whole dump to nowhere. It exits with 1 on any fault, so that the faults of
// the machine are told by their words.
func pgRestore(ctx context.Context, b guard.Backup) (guard.Evidence, string, error) {
	output, err := run.Command{Program: "pg_restore", Args: []string{"--file=" + os.DevNull, b.ID}}.Run(ctx)
	seen := output.Evidence("pg_restore --file=" + os.DevNull)
	var no *exec.ExitError
	switch {
	case errors.As(err, &no) && output.Says("unsupported version"):
		return seen, "", fmt.Errorf("pg_restore: %w (install the client of the release that wrote the dump)", err)
	case errors.As(err, &no) && no.ExitCode() == 1 && !output.Trouble():
		return seen, "pg_restore cannot read it: " + output.Story, nil
	case err != nil:
		return seen, "", fmt.Errorf("pg_restore: %w", err)
	}
	return seen, "", nil
}

// gunzip reads all that was compressed, which has a checksum at its end; and wants its last line, if what was
// compressed is a dump that has one.
func gunzip(ctx context.Context, b guard.Backup) (guard.Evidence, string, error) {
	seen := guard.Evidence{Asked: "gunzip"}
	file, err := os.Open(b.ID)
	if err != nil {
		return seen, "", err
	}
	defer file.Close()
	text, err := gzip.NewReader(bufio.NewReader(reader{ctx, file}))
	if err != nil {
		return blame(seen, err)
	}
	head := make([]byte, headBytes)
	n, err := io.ReadFull(text, head)
	if err != nil && !errors.Is(err, io.EOF) && (!errors.Is(err, io.ErrUnexpectedEOF) || n == 0) {
		return blame(seen, err)
	}
	end := ending{kept: head[:n:n]}
	rest, err := io.Copy(&end, text)
	if err != nil {
		return blame(seen, err)
	}
	kind := recognise(head[:n])
	seen.Answer = fmt.Sprintf("%d bytes of the format %s", int64(n)+rest, kind.name)
	if n == 0 {
		return seen, "it holds nothing", nil
	}
	if !bytes.Contains(end.kept, []byte(kind.last)) {
		return seen, fmt.Sprintf("its last line, %q, is missing", kind.last), nil
	}
	return seen, "", nil
}

// ended says again what the listing saw, for a proof that tells what it rests on.
func ended(_ context.Context, b guard.Backup) (guard.Evidence, string, error) {
	info, err := os.Stat(b.ID)
	if err != nil {
		return guard.Evidence{}, "", err
	}
	kind, err := kindOf(b.ID)
	if err != nil {
		return guard.Evidence{}, "", err
	}
	seen := guard.Evidence{Asked: "the last line", Answer: kind.last}
	switch _, complete, err := look(files.File{Path: b.ID, FileInfo: info}); {
	case err != nil:
		return seen, "", err
	case !complete:
		return seen, fmt.Sprintf("its last line, %q, is missing", kind.last), nil
	}
	return seen, "", nil
}

// walk goes through a tar archive, which has to have its end.
func walk(ctx context.Context, b guard.Backup) (guard.Evidence, string, error) {
	seen := guard.Evidence{Asked: "tar --list"}
	file, err := os.Open(b.ID)
	if err != nil {
		return seen, "", err
	}
	defer file.Close()
	members, archive := 0, tar.NewReader(bufio.NewReader(reader{ctx, file}))
	for {
		_, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			_, err = io.Copy(io.Discard, archive)
		}
		if err != nil {
			return blame(seen, err)
		}
		members++
	}
	// The end of an archive is two empty blocks; a file that is cut off between two members has none.
	end := make([]byte, 1024)
	if _, err := file.ReadAt(end, max(0, b.Bytes-int64(len(end)))); err != nil {
		return blame(seen, err)
	}
	seen.Answer = fmt.Sprintf("%d files", members)
	if len(bytes.Trim(end, "\x00")) > 0 {
		return seen, "the end of the tar archive is missing", nil
	}
	return seen, "", nil
}

// digest compares the file with the digest beside it.
func digest(ctx context.Context, b guard.Backup) (guard.Evidence, string, error) {
	seen := guard.Evidence{Asked: "sha256sum --check"}
	text, err := os.ReadFile(b.ID + digestSuffix)
	if err != nil {
		return seen, "", err
	}
	want, _, _ := strings.Cut(strings.TrimSpace(string(text)), " ")
	if raw, err := hex.DecodeString(want); err != nil || len(raw) != sha256.Size {
		return seen, "", fmt.Errorf("%s%s does not begin with a SHA-256 in hexadecimal", b.ID, digestSuffix)
	}
	file, err := os.Open(b.ID)
	if err != nil {
		return seen, "", err
	}
	defer file.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, reader{ctx, file}); err != nil {
		return seen, "", err
	}
	seen.Digest = hex.EncodeToString(sum.Sum(nil))
	seen.Answer = "SHA-256 " + seen.Digest
	if !strings.EqualFold(seen.Digest, want) {
		return seen, fmt.Sprintf("its SHA-256 is %s, and %s%s has %s", seen.Digest, filepath.Base(b.ID), digestSuffix, want), nil
	}
	return seen, "", nil
}

// blame tells a dump that cannot be read because of what is in it from one that the machine does not let us read.
func blame(seen guard.Evidence, err error) (guard.Evidence, string, error) {
	var machine *fs.PathError
	if errors.As(err, &machine) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return seen, "", err
	}
	return seen, "it cannot be read to its end: " + err.Error(), nil
}

// A reader reads as long as the context lasts.
type reader struct {
	ctx context.Context
	io.Reader
}

func (r reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(p)
}

// An ending keeps the last bytes of what is written to it.
type ending struct{ kept []byte }

func (e *ending) Write(p []byte) (int, error) {
	e.kept = append(e.kept, p...)
	if excess := len(e.kept) - tailBytes; excess > 0 {
		e.kept = append(e.kept[:0:0], e.kept[excess:]...)
	}
	return len(p), nil
}
