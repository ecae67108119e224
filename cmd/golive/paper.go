package main

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/golive-dev/golive/guard/report/page"
)

// A paper says in which language and forms a document is wanted.
type paper struct {
	to       *outlets
	language string
}

// paperFlags are the flags of every command that writes a document.
func (p *program) paperFlags(c *cobra.Command) *paper {
	usual := output("markdown")
	if p.settings.Output == asJSON {
		usual = asJSON
	}
	f := &paper{to: &outlets{forms: page.Forms(), usual: usual}}
	c.Flags().VarP(f.to, "output", "o", "FORM, or FORM=FILE, any number of times: "+strings.Join(page.Forms(), ", "))
	c.Flags().StringVar(&f.language, "language", "", "en or zh; default that of the plan")
	return f
}

// check refuses what cannot be written, before anybody is asked anything.
func (f *paper) check(p *program) error {
	if !slices.Contains([]string{"", "en", "zh"}, f.language) {
		return fail(exitUsage, "--language %s: say en or zh", f.language)
	}
	return f.to.clear(p.settings.Plan)
}

// print writes a document in all forms that are wanted. If all of them go to files, standard output stays empty. What golive
// knows to be a secret stands in none of them.
func (p *program) print(doc page.Document, f *paper) error {
	doc = doc.Map(p.secrets.clean)
	return p.hand(doc.Title, f, func(w io.Writer, form string) error { return page.Write(w, form, doc) })
}

// hand gives out a document in all forms that are wanted, as write makes them.
func (p *program) hand(title string, f *paper, write func(w io.Writer, form string) error) error {
	wanted := f.to.list
	if len(wanted) == 0 {
		wanted = []outlet{{form: string(f.to.usual)}}
	}
	for _, out := range wanted {
		var text bytes.Buffer
		err := write(&text, out.form)
		if err == nil && out.file == "" {
			_, err = p.out.Write(text.Bytes())
		}
		if err == nil && out.file != "" {
			if err = writeWhole(out.file, text.Bytes(), 0o600); err == nil {
				fmt.Fprintf(p.err, "%s is written\n", out.file)
				p.step.wrote(out.form, out.file)
			}
		}
		if err != nil {
			return fail(exitInternal, "write %s: %w", title, err)
		}
	}
	return nil
}
