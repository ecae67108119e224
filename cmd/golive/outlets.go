package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/report"
)

// An outlet is one form of an answer, and the file that it goes to; without a file it goes to stdout.
type outlet struct{ form, file string }

// outlets are all forms that an answer is asked for in. It is a flag that can be given several times.
type outlets struct {
	forms []string // that there are; nil: those of an answer of golive check
	usual output   // what goes to stdout if nothing else does
	list  []outlet
}

func (p *program) outlets() *outlets { return &outlets{usual: p.settings.Output} }

// known are the forms that there are.
func (o *outlets) known() []string {
	if o.forms != nil {
		return o.forms
	}
	return append([]string{string(asText)}, report.Forms()...)
}

func (o *outlets) Type() string   { return "form" }
func (o *outlets) String() string { return string(o.usual) }

// Set adds FORM or FORM=FILE.
func (o *outlets) Set(text string) error {
	form, file, toFile := strings.Cut(text, "=")
	switch {
	case !slices.Contains(o.known(), form):
		return fmt.Errorf("%q is not a form; there are %s", form, strings.Join(o.known(), ", "))
	case toFile && file == "":
		return fmt.Errorf("%s= names no file", form)
	case !toFile && slices.ContainsFunc(o.list, func(other outlet) bool { return other.file == "" }):
		return fmt.Errorf("only one form can go to stdout; write %s=FILE", form)
	case toFile && slices.ContainsFunc(o.list, func(other outlet) bool { return other.file == file }):
		return fmt.Errorf("%s has another form already", file)
	}
	o.list = append(o.list, outlet{form, file})
	return nil
}

// all are the outlets, the one that goes to stdout first.
func (o *outlets) all() []outlet {
	here := outlet{form: string(o.usual)}
	var files []outlet
	for _, out := range o.list {
		if out.file == "" {
			here = out
			continue
		}
		files = append(files, out)
	}
	return append([]outlet{here}, files...)
}

// here is the form that goes to stdout.
func (o *outlets) here() output { return output(o.all()[0].form) }

// clear removes the files of an earlier call, which nobody may take for the answer of this one, and sees to it that
// there is a place for new ones. None of them may be the plan, or another file that the call names.
func (o *outlets) clear(plan string, others ...string) error {
	for _, out := range o.all()[1:] {
		if dir, err := os.Stat(filepath.Dir(out.file)); err != nil || !dir.IsDir() {
			return fail(exitUsage, "-o %s=%s: there is no directory %s", out.form, out.file, filepath.Dir(out.file))
		}
		if slices.Contains(others, out.file) {
			return fail(exitUsage, "-o %s=%s: that is the bundle; name another file", out.form, out.file)
		}
		old, err := os.Stat(out.file)
		if err == nil && old.IsDir() {
			return fail(exitUsage, "-o %s=%s: that is a directory; name a file", out.form, out.file)
		}
		if err != nil || !old.Mode().IsRegular() {
			continue
		}
		if of, err := os.Stat(plan); err == nil && os.SameFile(old, of) {
			return fail(exitUsage, "-o %s=%s: that is the plan; name another file", out.form, out.file)
		}
		if err := os.Remove(out.file); err != nil {
			return fail(exitUsage, "-o %s: %w", out.form, err)
		}
	}
	return nil
}

// A speaker says an answer in one form. Found is called for each finding as soon as it is there, end when all are.
type speaker interface {
	found(guard.Finding)
	end(report.Assessment) error
}

// speakers are those of one call, the one that speaks to stdout first.
type speakers []speaker

// speakers gives each outlet its speaker; a is what is known before the first finding.
func (p *program) speakers(to *outlets, a report.Assessment, verbose bool) speakers {
	var all speakers
	for _, out := range to.all() {
		if out.file == "" {
			all = append(all, p.speaker(p.out, out.form, a, verbose))
			continue
		}
		f := &fileForm{name: out.file, wrote: func() { p.step.wrote(out.form, out.file) }}
		f.speaker = p.speaker(&f.text, out.form, a, verbose)
		all = append(all, f)
	}
	return all
}

func (p *program) speaker(w io.Writer, form string, a report.Assessment, verbose bool) speaker {
	switch form {
	case "github":
		if w == p.out {
			w = p.plain // it is all commands, and they are meant
		}
	case string(asText):
		b := &blocks{out: w, ink: p.ink(w), verbose: verbose}
		if p.terminal(w) == nil {
			b.discreet = report.Discreet(a.Plan)
		}
		b.begin(a)
		return b
	case "ndjson":
		return streamForm{report.NewStream(w, a)}
	}
	return wholeForm{w, form}
}

func (t speakers) found(f guard.Finding) {
	for _, v := range t {
		v.found(f)
	}
}

func (t speakers) end(whole report.Assessment) error {
	var errs []error
	for _, v := range t {
		errs = append(errs, v.end(whole))
	}
	return errors.Join(errs...)
}

// streamForm speaks as it goes.
type streamForm struct{ *report.Stream }

func (v streamForm) found(f guard.Finding)             { v.Found(f) }
func (v streamForm) end(whole report.Assessment) error { return v.End(whole) }

// wholeForm speaks at the end.
type wholeForm struct {
	out  io.Writer
	form string
}

func (wholeForm) found(guard.Finding)                 {}
func (v wholeForm) end(whole report.Assessment) error { return report.Write(v.out, v.form, whole) }

// fileForm writes what another speaker says into a file: all of it, or nothing.
type fileForm struct {
	speaker
	name  string
	text  bytes.Buffer
	wrote func() // called once the file is there
}

func (v *fileForm) end(whole report.Assessment) error {
	err := v.speaker.end(whole)
	if err == nil {
		err = writeWhole(v.name, v.text.Bytes(), 0o644)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", v.name, err)
	}
	v.wrote()
	return nil
}

// writeWhole puts a file in its place when it is complete. What is there and no file, such as a pipe, is written to.
func writeWhole(name string, text []byte, mode fs.FileMode) error {
	if there, err := os.Stat(name); err == nil && !there.Mode().IsRegular() {
		return os.WriteFile(name, text, mode)
	}
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+"-*")
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}
