package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/journal"
	"github.com/golive-dev/golive/guard/report"
	"github.com/golive-dev/golive/guard/store"
)

func (p *program) journalCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "journal",
		Short: "Check and read journals",
		Long: `A journal is the file in which golive writes each fact before anything is done about it. Its records are
tied to each other by hashes, so that it proves what was known and done, and when. A server keeps the same records in its
store: with --server, verify, show and export take names of rollouts instead of files, and check every record here.`,
		Example: `  golive journal verify .golive/*.jsonl
  golive journal show .golive/20261124-031207-v2.jsonl
  golive journal export 20261124-031207-v2 --server https://golive.example.com`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return fail(exitUsage, "say verify, show, export or backup: golive journal --help")
		},
	}
	c.AddCommand(
		&cobra.Command{
			Use:   "verify FILE...",
			Short: "Check that journals are whole and unchanged",
			Long: `verify checks every record of every journal against its hash and the one before, and changes nothing.
Exit codes: 0 all are whole, 3 one is not, or holds nothing, which proves nothing. A last record that a crash has torn was never acknowledged, and
is no fault.`,
			Example: `  golive journal verify .golive/*.jsonl
  golive journal verify 20261124-031207-v2 --server https://golive.example.com`,
			Args: cobra.MinimumNArgs(1),
			RunE: func(c *cobra.Command, named []string) error {
				return p.withJournals(c, named, p.verify)
			},
		},
		&cobra.Command{
			Use:   "show FILE",
			Short: "Print the records of a journal, one a line",
			Long:  `show prints the facts of a journal, with the number and the time of each, for people to read.`,
			Example: `  golive journal show .golive/20261124-031207-v2.jsonl
  golive journal show 20261124-031207-v2 --server https://golive.example.com`,
			Args: cobra.ExactArgs(1),
			RunE: func(c *cobra.Command, named []string) error {
				return p.withJournals(c, named, func(files []journalFile) error { return p.show(files[0].path) })
			},
		},
		&cobra.Command{
			Use:   "export ROLLOUT [FILE]",
			Short: "Copy the journal of a rollout out of a store",
			Long: `export writes the journal of a rollout that a server guards, or guarded, as golive journal verify reads it: to standard
output, or to a new file. Every record is checked before one is written, and a file is written whole or not at all. Without
--server it reads the store that GOLIVE_STORE names, which no server may have open if it is a file of SQLite.`,
			Example: `  golive journal export 20261124-031207-v2 v2.jsonl --server https://golive.example.com
  golive journal export 20261124-031207-v2`,
			Args: cobra.RangeArgs(1, 2),
			RunE: func(c *cobra.Command, args []string) error {
				return p.export(c, args[0], strings.Join(args[1:], ""))
			},
		},
		&cobra.Command{
			Use:   "backup FILE",
			Short: "Copy a whole store of SQLite",
			Long: `backup writes a copy of a store of SQLite to a new file, whole or not at all: golive serve can be started from it. With
--server it is the store of that server, which goes on meanwhile; without, the one that GOLIVE_STORE names, which no server
may have open. PostgreSQL has pg_dump for this.`,
			Example: `  golive journal backup /backups/golive.db --server https://golive.example.com
  GOLIVE_STORE=sqlite:golive.db golive journal backup /backups/golive.db`,
			Args: cobra.ExactArgs(1),
			RunE: func(c *cobra.Command, args []string) error {
				far, err := p.atServer(c)
				switch {
				case err != nil:
					return err
				case far:
					return p.backupOfServer(c.Context(), args[0])
				}
				return p.backup(c.Context(), args[0])
			},
		},
	)
	return c
}

// A journalFile is a journal that is read from a file, and what it is called: its path, or its address at a server.
type journalFile struct{ name, path string }

// withJournals does something with journals that a call names: files, or rollouts of a server.
func (p *program) withJournals(c *cobra.Command, named []string, do func([]journalFile) error) error {
	far, err := p.atServer(c)
	if err != nil {
		return err
	}
	var files []journalFile
	for _, name := range named {
		if !far || strings.HasSuffix(name, journal.Extension) {
			files = append(files, journalFile{name, name})
			continue
		}
		s, err := p.servers()
		if err != nil {
			return err
		}
		path, remove, err := p.download(c.Context(), s, name)
		if err != nil {
			return err
		}
		defer remove()
		files = append(files, journalFile{s.journalOf(name), path})
	}
	return do(files)
}

// export copies the journal of a rollout to a new file, or to standard output if no file is named.
func (p *program) export(c *cobra.Command, id, to string) error {
	if _, err := os.Lstat(to); err == nil {
		return fail(exitUsage, "%s is there already: name a new file", to)
	}
	if p.settings.Server == "" {
		return p.withStore(c.Context(), func(kept *store.Store) error {
			var text bytes.Buffer
			if err := kept.Export(c.Context(), id, &text); err != nil {
				code := exitInternal
				if errors.Is(err, store.ErrNoRollout) {
					code = exitUsage
				}
				return fail(code, "%w", err)
			}
			return p.deliverJournal(text.Bytes(), to)
		})
	}
	return p.withJournals(c, []string{id}, func(files []journalFile) error {
		if sum, err := journal.Verify(files[0].path); err != nil || sum.Torn > 0 {
			return fail(exitNoGo, "the journal of %s did not arrive as it was written: %w", id, cmp.Or(err, errors.New("its end is missing")))
		}
		text, err := os.ReadFile(files[0].path)
		if err != nil {
			return fail(exitInternal, "%w", err)
		}
		return p.deliverJournal(text, to)
	})
}

func (p *program) deliverJournal(text []byte, to string) error {
	if to == "" {
		_, err := p.out.Write(text)
		return err
	}
	if err := writeWhole(to, text, 0o600); err != nil {
		return fail(exitInternal, "%w", err)
	}
	return nil
}

// withStore opens the store that the environment names, which has to be there: none is made by reading it.
func (p *program) withStore(ctx context.Context, do func(*store.Store) error) error {
	address := p.settings.Store
	if address == "" {
		return fail(exitUsage, "where is the store? Say --server URL, or GOLIVE_STORE=sqlite:FILE while no server has it open")
	}
	if path, isFile := strings.CutPrefix(address, "sqlite:"); isFile || strings.HasSuffix(path, ".db") && !strings.Contains(path, "://") {
		if _, err := os.Stat(path); err != nil {
			return fail(exitUsage, "GOLIVE_STORE: %w", err)
		}
	}
	kept, err := store.Open(ctx, address)
	if errors.Is(err, store.ErrInUse) {
		return fail(exitUsage, "%w: ask the server that has it, with --server", err)
	}
	if err != nil {
		return fail(exitInternal, "%w", err)
	}
	defer func() { _ = kept.Close() }() // nothing was written
	return do(kept)
}

func (p *program) backup(ctx context.Context, to string) error {
	return p.withStore(ctx, func(kept *store.Store) error {
		if err := kept.Backup(ctx, to); err != nil {
			return fail(exitInternal, "%w", err)
		}
		fmt.Fprintf(p.out, "the store is in %s\n", to)
		return nil
	})
}

// backupOfServer takes a copy of a server's store.
func (p *program) backupOfServer(ctx context.Context, to string) error {
	s, err := p.servers()
	if err != nil {
		return err
	}
	if _, err := os.Lstat(to); err == nil {
		return fail(exitUsage, "%s is there already: name a new file", to)
	}
	request, err := s.request(ctx, errand{method: http.MethodPost, path: "/v1/backup"})
	if err != nil {
		return fail(exitUsage, "%w", err)
	}
	body, err := s.once(request)
	if err != nil {
		return s.mend(err)
	}
	defer func() { _ = body.Close() }() // it was only read
	part, err := os.CreateTemp(filepath.Dir(to), "."+filepath.Base(to)+".part-*")
	if err != nil {
		return fail(exitInternal, "%w", err)
	}
	_, err = io.Copy(part, body)
	err = errors.Join(err, part.Sync(), part.Close())
	if err == nil {
		err = os.Rename(part.Name(), to)
	}
	if err != nil {
		return fail(exitInternal, "%w", errors.Join(err, os.Remove(part.Name())))
	}
	fmt.Fprintf(p.out, "the store is in %s\n", to)
	return nil
}

// A proof is what verify found of one journal.
type proof struct {
	Journal string `json:"journal"`
	Whole   bool   `json:"whole"`
	Records int    `json:"records"` // that are as they were written
	Torn    int64  `json:"torn,omitempty"`
	First   string `json:"first,omitempty"` // when the first of them was written
	Last    string `json:"last,omitempty"`
	Hash    string `json:"hash,omitempty"` // of the last
	Line    int    `json:"line,omitempty"` // where it is broken
	Reason  string `json:"reason,omitempty"`
}

func (p *program) verify(files []journalFile) error {
	proofs := []proof{}
	code := exitOK
	for _, file := range files {
		sum, err := journal.Verify(file.path)
		var broken *journal.BrokenError
		if err != nil && !errors.As(err, &broken) {
			return fail(exitUsage, "%w", err)
		}
		one := proof{Journal: file.name, Whole: err == nil && sum.Records > 0, Records: sum.Records, Torn: sum.Torn}
		switch {
		case broken != nil:
			one.Line, one.Reason = broken.Line, broken.Reason
		case sum.Records == 0:
			one.Reason = "it holds no record, and so it proves nothing"
		}
		if sum.Records > 0 {
			one.First, one.Last, one.Hash = moment(sum.First.At), moment(sum.Last.At), sum.Last.Hash
		}
		if !one.Whole {
			code = exitNoGo
		}
		proofs = append(proofs, one)
	}
	if p.settings.Output == asJSON {
		return errors.Join(p.answer(proofs), quiet(code))
	}
	i := p.ink(p.out)
	for _, one := range proofs {
		fmt.Fprintln(p.out, one.text(i))
	}
	return quiet(code)
}

func (o proof) text(i ink) string {
	if !o.Whole && o.Line == 0 {
		return fmt.Sprintf("%s %s\n    %s", i.mark(guard.Fail), o.Journal, o.Reason)
	}
	if !o.Whole {
		return fmt.Sprintf("%s %s\n    BROKEN at line %d: %s\n    %s keep the file as evidence; what follows the first %d records proves nothing",
			i.mark(guard.Fail), o.Journal, o.Line, o.Reason, i.either("→", "->"), o.Records)
	}
	text := fmt.Sprintf("%s %s is whole: %s, %s to %s, last hash %s",
		i.mark(guard.Pass), o.Journal, plural(o.Records, "record"), o.First, o.Last, o.Hash)
	if o.Torn > 0 {
		text += fmt.Sprintf("\n    a crash has torn %d bytes off the end; they were never acknowledged", o.Torn)
	}
	return text
}

// An entry is a record as show says it.
type entry struct {
	Seq  int64  `json:"seq"`
	At   string `json:"at"`
	Kind string `json:"kind"`
	Text string `json:"text"`
}

func (p *program) show(file string) error {
	entries := []entry{}
	var broken error
	for r, err := range journal.Read(file) {
		if err != nil {
			broken = fail(exitNoGo, "%w", err)
			break
		}
		text := string(r.Data)
		if e, err := guard.Decode(r.At, r.Kind, r.Data); err == nil {
			text = factText(e.Fact)
		}
		entries = append(entries, entry{r.Seq, moment(r.At), r.Kind, text})
	}
	if p.settings.Output == asJSON {
		return errors.Join(p.answer(entries), broken)
	}
	for _, e := range entries {
		fmt.Fprintf(p.out, "%5d  %s  %-11s  %s\n", e.Seq, e.At, e.Kind, e.Text)
	}
	return broken
}

// factText says a fact in one line.
func factText(fact guard.Fact) string {
	switch f := fact.(type) {
	case guard.Opened:
		text := fmt.Sprintf("%s of %s (%s): %s, mode %s, golive %s", f.Purpose, f.Release.Service, f.Release.Environment, ink{}.change(f.Release), f.Mode, f.Version)
		if f.BreakGlass != nil {
			text += ", " + f.BreakGlass.String()
		}
		return text
	case guard.Resumed:
		return "golive " + f.Version + " goes on"
	case guard.Ordered:
		return report.Ordered(f)
	case guard.Voted:
		return oneLine(joinLines(voteLines(f)))
	case guard.Noted:
		return notedWords(f)
	case guard.Acknowledged:
		return acknowledgedWords(f)
	case guard.Interrupted:
		return f.Signal
	case guard.Checked:
		return report.TallyOf(f.Findings).String()
	case guard.Inspected:
		return standingText(f.Standing)
	case guard.Shifted:
		return fmt.Sprintf("the backend took the order: %d %%", f.Percent)
	case guard.Measured:
		text := fmt.Sprintf("%s: %s", f.Ruling.Call, f.Ruling.Why)
		if f.Problem != "" {
			text += "; the source: " + f.Problem
		}
		if len(f.Reading.Remarks) > 0 {
			text += "; the source remarks: " + strings.Join(f.Reading.Remarks, "; ")
		}
		return oneLine(text)
	case guard.Verified:
		text := standingText(f.Standing)
		if len(f.Findings) > 0 {
			text += "; probes: " + findingWords(f.Findings)
		}
		return text
	case guard.Stated:
		return report.Stated(f)
	case guard.Intervened:
		return findingWords(f.Findings)
	case guard.Gathered:
		return plural(len(f.Exhibits), "exhibit")
	case guard.Soaked:
		text := fmt.Sprintf("%s: %s", f.Ruling.Call, f.Ruling.Why)
		if f.Problem != "" {
			text += "; the source: " + f.Problem
		}
		if len(f.Findings) > 0 {
			text += "; probes: " + findingWords(f.Findings)
		}
		return oneLine(text)
	case guard.Finished:
		return "the old version may be retired"
	case guard.Told:
		return oneLine(f.Receipt.Detail)
	case guard.Elapsed:
		return "a time is over"
	case guard.Failed:
		return oneLine(f.Error)
	}
	panic(fmt.Sprintf("no words for %T", fact))
}

func standingText(s guard.Standing) string {
	text := fmt.Sprintf("%d %% of the traffic", s.Percent)
	if !s.Undo.Open {
		text += ", the way back is closed"
	}
	if s.Detail != "" {
		text += ", " + s.Detail
	}
	return oneLine(text)
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }
