package report

import (
	"io"
	"strings"

	"github.com/golive-dev/golive/guard"
)

var escapeLabel = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace

// writePrometheus writes what the text file collector of the node exporter reads, and a push gateway takes.
func writePrometheus(w io.Writer, s sheet) error {
	p := &printer{w: w}
	of := `service="` + escapeLabel(s.Release.Service) + `",environment="` + escapeLabel(s.Release.Environment) + `"`

	p.printf("# HELP golive_check_verdict Whether this is the verdict of the last golive check: 1 or 0. Only pass and warn are go.\n# TYPE golive_check_verdict gauge\n")
	for _, v := range gravest {
		is := 0
		if s.Verdict == v {
			is = 1
		}
		p.printf("golive_check_verdict{%s,verdict=%q} %d\n", of, v.String(), is)
	}
	p.printf("# HELP golive_check_exit_code Exit code of the last golive check.\n# TYPE golive_check_exit_code gauge\n")
	p.printf("golive_check_exit_code{%s} %d\n", of, s.ExitCode)

	p.printf("# HELP golive_check_findings Findings of the last golive check by verdict.\n# TYPE golive_check_findings gauge\n")
	tally := s.tally()
	for _, v := range gravest {
		p.printf("golive_check_findings{%s,verdict=%q} %d\n", of, v.String(), tally.By[v])
	}
	p.printf("golive_check_findings{%s,verdict=\"waived\"} %d\n", of, tally.Waived)
	p.printf("# HELP golive_check_skipped Checks that were not asked.\n# TYPE golive_check_skipped gauge\n")
	p.printf("golive_check_skipped{%s} %d\n", of, len(s.Skipped))

	broken := 0
	if s.BreakGlass != nil {
		broken = 1
	}
	p.printf("# HELP golive_check_break_glass Whether the last golive check was made with --break-glass: 1 or 0.\n# TYPE golive_check_break_glass gauge\n")
	p.printf("golive_check_break_glass{%s} %d\n", of, broken)

	// A series may come only once, so findings that have every label in common are counted.
	type labels struct {
		code, id, subject string
		verdict           guard.Verdict
		waived            bool
	}
	count := map[labels]int{}
	var order []labels
	for _, e := range s.entries {
		l := labels{e.Code, e.ID, e.Subject, e.Verdict, e.Waived != nil}
		if count[l] == 0 {
			order = append(order, l)
		}
		count[l]++
	}
	p.printf("# HELP golive_check_finding Findings of the last golive check, each by itself.\n# TYPE golive_check_finding gauge\n")
	for _, l := range order {
		p.printf("golive_check_finding{%s,code=\"%s\",id=\"%s\",subject=\"%s\",verdict=%q,waived=\"%t\"} %d\n",
			of, escapeLabel(l.code), escapeLabel(l.id), escapeLabel(l.subject), l.verdict.String(), l.waived, count[l])
	}
	if at := s.latest(); !at.IsZero() {
		p.printf("# HELP golive_check_timestamp_seconds When the last golive check was made.\n# TYPE golive_check_timestamp_seconds gauge\n")
		p.printf("golive_check_timestamp_seconds{%s} %d\n", of, at.Unix())
	}
	return p.err
}
