package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/journal"
	incidents "github.com/golive-dev/golive/guard/report/incident"
)

// filedReports is the directory, beside the journals, that holds the reports that were filed.
const filedReports = "reports"

// A reportCall is what a call of golive report asks for.
type reportCall struct {
	*paper
	file bool
	by   string
}

func (p *program) reportCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "report [ROLLOUT]",
		Short: "Write the report on a rollout: what happened, what was done, what it cost",
		Long: `report writes the report on a rollout (the latest one, if none is named) from its journal: times, timeline, what was
detected and how, why golive decided so, what was done, who was told, what it cost by the counts, obligations and whether they
were met, evidence, and the proof of the journal. What only people can say is in it once they have (golive answer, golive
cause, golive action, golive note), and said to be missing until then. The same journal is the same report, byte for byte.
People are named by their roles, and contacts are left out, unless the plan says roster.publish.

The HTML needs nothing else, holds a picture of each signal, and prints on A4: print it to PDF from a browser.

With --file the report is filed: all forms of it, in both languages, are written to reports/ROLLOUT/DIGEST beside the journal,
the journal says so, and the obligation to write it is met in the ledger. A report that is filed again is another revision;
none is ever overwritten.`,
		Example: `  golive report
  golive report 20261124-031207-v3 -o html=report.html --language zh
  golive report 20261124-031207-v3 --file -o json
  golive report 20261124-031207-v3 --server https://golive.example.com`,
		Args: cobra.MaximumNArgs(1),
	}
	f, call := p.farFlags(c), &reportCall{paper: p.paperFlags(c)}
	c.Flags().BoolVar(&call.file, "file", false, "file it beside the journal, and settle the obligation to write it")
	c.Flags().StringVar(&call.by, "by", p.settings.By, "who files it ($GOLIVE_BY)")
	c.RunE = func(c *cobra.Command, args []string) error {
		if call.file && slices.ContainsFunc(call.to.list, func(out outlet) bool { return out.file != "" || out.form != string(asJSON) }) {
			return fail(exitUsage, "--file writes the report in all forms, beside the journal: leave out -o, or say -o json, which says in JSON what was filed")
		}
		if err := call.check(p); err != nil {
			return err
		}
		far, err := p.atServer(c, "by")
		switch {
		case err != nil:
			return err
		case far:
			return p.reportFar(c.Context(), strings.Join(args, ""), f, call)
		}
		return p.report(c.Context(), strings.Join(args, ""), call)
	}
	return c
}

// report writes the report on a rollout of this machine.
func (p *program) report(ctx context.Context, id string, call *reportCall) error {
	path, h, err := p.reported(id)
	if err != nil {
		return err
	}
	ledger, err := p.readLedger()
	if err != nil {
		return fail(exitInternal, "%w", err)
	}
	account, err := accountOf(path)
	if err != nil {
		return fail(exitUsage, "%w", err)
	}
	account.Journal, account.Verify, account.Ledger = path, p.call("journal", "verify", path), &ledger
	filing := call.filing(&account)
	r, err := incidents.New(account)
	if err != nil {
		return fail(exitUsage, "%w", err)
	}
	if !call.file {
		return p.deliverReport(r, account.Plan, call)
	}
	if h == nil {
		return fail(exitNoGo, "%s is broken, and takes no record that the report is filed: %s", path, account.Broken)
	}
	if err := fileable(h); err != nil {
		return err
	}
	if err := h.Plan.MaySay(filing, call.by); err != nil {
		return fail(exitUsage, "%s: %w: --by NAME", h.ID(), err)
	}
	dir, digest, err := p.keepReport(filepath.Dir(path), h.ID(), r)
	if err != nil {
		return fail(exitInternal, "file the report: %w", err)
	}
	filing.Subject = digest
	h, told, err := p.state(ctx, h, filing)
	if err != nil {
		return err
	}
	return p.tellFiled(h, told, dir, digest, r, call)
}

// filing is the statement that a report is filed, but for its digest. If the call files it, the report says so of itself: it is
// written before the journal can.
func (call *reportCall) filing(account *incidents.Account) guard.Stated {
	f := guard.Stated{What: guard.StateFiled, By: call.by}
	if call.file {
		account.Filing = guard.Event{At: time.Now().UTC().Round(0), Fact: f}
	}
	return f
}

// reported finds the journal that a report is about. One that is broken has no history, and its beginning can be reported
// all the same.
func (p *program) reported(id string) (path string, h *history, err error) {
	if h, err = p.history(id); err == nil {
		return h.Path, h, nil
	}
	path = id
	if !strings.HasSuffix(id, journal.Extension) {
		path = filepath.Join(p.settings.Journal, id+journal.Extension)
	}
	if info, broken := os.Stat(path); id != "" && broken == nil && info.Mode().IsRegular() {
		return path, nil, nil
	}
	return "", nil, err
}

// accountOf reads as much of a journal as can be read.
func accountOf(path string) (a incidents.Account, err error) {
	for r, err := range journal.Read(path) {
		var e guard.Event
		if err == nil {
			if e, err = guard.Decode(r.At, r.Kind, r.Data); err != nil {
				err = fmt.Errorf("record %d: %w", r.Seq, err)
			}
		}
		if opened, ok := e.Fact.(guard.Opened); ok && err == nil && a.Plan == nil {
			if a.Plan, err = guard.ParsePlan(opened.File, []byte(opened.Plan)); err != nil {
				return a, fmt.Errorf("%s: the plan it began with: %w", path, err)
			}
			a.Zone = a.Plan.Zone()
		}
		if err != nil {
			a.Broken = err.Error()
			break
		}
		a.Records = append(a.Records, incidents.Record{Seq: r.Seq, Hash: r.Hash, Event: e})
	}
	switch {
	case len(a.Records) == 0 && a.Broken != "":
		return a, errors.New(a.Broken)
	case len(a.Records) > 0 && a.Plan == nil:
		return a, fmt.Errorf("%s does not begin with the opening of a rollout", path)
	}
	return a, nil
}

// deliverReport writes a report where the call wants it.
func (p *program) deliverReport(r *incidents.Report, plan *guard.Plan, call *reportCall) error {
	in := cmp.Or(call.language, plan.Language)
	return p.hand("the report on "+r.Release.ID, call.paper, func(w io.Writer, form string) error { return r.Write(w, form, in) })
}

// fileable says why there is no report to file yet.
func fileable(h *history) error {
	switch i := h.State.Incident; {
	case i.Open():
		return fail(exitUsage, "the incident of %s is open, so its report is not finished: end it first, golive stand-down %s --why WHY", h.ID(), h.ID())
	case !h.over():
		return fail(exitUsage, "the %s of %s (%s) is not over (%s), so its report is not finished", h.State.Purpose, h.State.Release.To, h.ID(), h.State.Phase)
	}
	return nil
}

// keepReport writes all forms of a report into a directory of its own, whole or not at all, and returns the digest of the JSON,
// which the others are made of. A revision that is there already stays as it is.
func (p *program) keepReport(beside, id string, r *incidents.Report) (dir, digest string, err error) {
	files := map[string][]byte{}
	put := func(name, form, in string) error {
		var text bytes.Buffer
		err := r.Write(&text, form, in)
		files[name] = text.Bytes()
		return err
	}
	if err := put("report.json", "json", ""); err != nil {
		return "", "", err
	}
	for _, in := range incidents.Languages {
		if err := errors.Join(put("report."+in+".md", "markdown", in), put("report."+in+".html", "html", in)); err != nil {
			return "", "", err
		}
	}
	digest = fmt.Sprintf("%x", sha256.Sum256(files["report.json"]))
	above := filepath.Join(beside, filedReports, id)
	dir = filepath.Join(above, digest[:16])
	if _, err := os.Stat(dir); err == nil {
		return dir, digest, nil
	}
	if err := os.MkdirAll(above, 0o700); err != nil {
		return "", "", err
	}
	part, err := os.MkdirTemp(above, ".part-")
	if err != nil {
		return "", "", err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(part))
		}
	}()
	for name, text := range files {
		if err := writeWhole(filepath.Join(part, name), text, 0o600); err != nil {
			return "", "", err
		}
	}
	return dir, digest, os.Rename(part, dir)
}

// tellFiled answers a call that has filed a report.
func (p *program) tellFiled(h *history, told bool, dir, digest string, r *incidents.Report, call *reportCall) error {
	if call.to.here() == asJSON {
		return p.answer(struct {
			ID      string   `json:"id"`
			Report  string   `json:"report"`
			SHA256  string   `json:"sha256"`
			Missing []string `json:"missing,omitempty"`
		}{h.ID(), dir, digest, r.Missing})
	}
	fmt.Fprintf(p.out, "filed: %s\n  report     %s\n  sha256     %s\n", h.ID(), dir, digest)
	if !told {
		fmt.Fprintf(p.out, "  journal    process %d has not taken it yet\n", h.Holder.PID)
	}
	if len(r.Missing) > 0 {
		fmt.Fprintf(p.out, "  missing    %s; say it with golive answer, and file again\n", strings.Join(r.Missing, ", "))
	}
	return nil
}

// reportFar writes the report on a rollout of a server, from its journal. The ledger of the server is not seen from here.
func (p *program) reportFar(ctx context.Context, id string, f *far, call *reportCall) error {
	s, err := p.servers()
	if err != nil {
		return err
	}
	if id, err = p.nameFar(ctx, s, f, id, false); err != nil {
		return err
	}
	path, remove, err := p.download(ctx, s, id)
	if err != nil {
		return err
	}
	defer remove()
	account, err := accountOf(path)
	if err != nil {
		return fail(exitNoGo, "the journal of %s from %s: %w", id, s.addresses[s.at], err)
	}
	account.Journal, account.Verify = s.journalOf(id), p.call("journal", "verify", id)
	call.by = "" // the server knows who calls
	filing := call.filing(&account)
	r, err := incidents.New(account)
	if err != nil {
		return fail(exitUsage, "%w", err)
	}
	if !call.file {
		return p.deliverReport(r, account.Plan, call)
	}
	h, err := readHistory(path)
	if err != nil {
		return fail(exitNoGo, "the journal of %s from %s: %w", id, s.addresses[s.at], err)
	}
	h.Name = id
	if err := fileable(h); err != nil {
		return err
	}
	dir, digest, err := p.keepReport(p.settings.Journal, id, r)
	if err != nil {
		return fail(exitInternal, "file the report: %w", err)
	}
	filing.Subject = digest
	if err := p.tellFar(ctx, s, id, remark{path: "/statements", body: filing}); err != nil {
		return err
	}
	return p.tellFiled(h, true, dir, digest, r, call)
}
