package judgebench

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/golive-dev/golive/guard/judge"
)

// answer is what the header of an experiment says of it. The judge never sees it.
type answer struct {
	Kind   string   `json:"kind"`
	Mode   string   `json:"aa_mode"`
	Onset  *float64 `json:"onset_t"`
	Effect *struct {
		Type     string `json:"type"`
		Material bool   `json:"material"`
	} `json:"effect"`
}

// class is the row of the table that an experiment counts in.
func (a *answer) class() string {
	if a.Kind == "aa" {
		return "harmless: " + a.Mode
	}
	source, material := "injected", ""
	if a.Effect.Type == "real_fault" {
		source = "real fault"
	}
	if a.Kind == "regression" && !a.Effect.Material {
		material = ", not material"
	}
	return a.Kind + ": " + source + material
}

// Experiments judges recordings of real traffic, and adds the table.
func (r *Results) Experiments(dir string) error {
	files, err := filepath.Glob(filepath.Join(dir, "*.jsonl.gz"))
	if err != nil || len(files) == 0 {
		return fmt.Errorf("no experiments in %s: %w", dir, err)
	}
	type row struct {
		n, early, rollback, inconclusive float64
		delays                           []float64
	}
	rows := map[string]*row{}
	for _, file := range files {
		a, d, err := experiment(file)
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		class := a.class()
		if rows[class] == nil {
			rows[class] = &row{}
		}
		c := rows[class]
		c.n++
		switch {
		case d.Decision == "inconclusive":
			c.inconclusive++
		case d.Decision == "rollback" && a.Kind == "regression" && a.Onset != nil && d.T <= *a.Onset:
			c.early++
		case d.Decision == "rollback":
			c.rollback++
			if a.Onset != nil {
				c.delays = append(c.delays, d.T-*a.Onset)
			}
		}
	}
	t := Table{
		Title: "Real traffic: recordings of public services, with real and injected faults",
		Note: fmt.Sprintf("%d experiments. Harmless ones should not be taken back; those of kind cross compare different times and are "+
			"a stress test. Decisions are those of `golive replay`.", len(files)),
		Head: []string{"class", "experiments", "rolled back %", "before the onset %", "undecided %", "median delay"},
	}
	for _, class := range slices.Sorted(maps.Keys(rows)) {
		c := rows[class]
		delay := "-"
		if len(c.delays) > 0 {
			delay = short(median(c.delays)) + " s"
		}
		t.Rows = append(t.Rows, []string{
			class, fmt.Sprint(c.n), percent(c.rollback / c.n), percent(c.early / c.n), percent(c.inconclusive / c.n), delay,
		})
	}
	r.Tables = append(r.Tables, t)
	return nil
}

func experiment(file string) (a answer, d judge.Decision, err error) {
	f, err := os.Open(file)
	if err != nil {
		return a, d, err
	}
	defer f.Close()
	plain, err := gzip.NewReader(f)
	if err != nil {
		return a, d, err
	}
	all, err := io.ReadAll(plain)
	if err != nil {
		return a, d, err
	}
	if err := json.NewDecoder(bytes.NewReader(all)).Decode(&a); err != nil {
		return a, d, err
	}
	recording, err := judge.ReadRecording(bytes.NewReader(all))
	if err != nil {
		return a, d, err
	}
	d, err = judge.Replay(recording, judge.Config{})
	return a, d, err
}
