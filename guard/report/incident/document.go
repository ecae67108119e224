package incident

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/judge"
	"github.com/golive-dev/golive/guard/report"
	"github.com/golive-dev/golive/guard/report/page"
)

// This file arranges a report as a document for people.

// sections are the parts of a report in their order, and where they stand in a Chinese report, which has five customary parts
// and what belongs around them.
var sections = []struct {
	id, group string
	blocks    func(*Report, language) []page.Block
}{
	{"summary", "basics", (*Report).summary},
	{"impact", "course", (*Report).impact},
	{"times", "course", (*Report).times},
	{"timeline", "course", (*Report).timeline},
	{"detection", "course", (*Report).detection},
	{"decision", "response", (*Report).decision},
	{"executed", "response", (*Report).executed},
	{"verification", "result", (*Report).verification},
	{"communications", "response", (*Report).communications},
	{"cause", "cause", (*Report).cause},
	{"lessons", "cause", (*Report).lessons},
	{"items", "better", (*Report).items},
	{"changes", "better", (*Report).changes},
	{"launch", "attached", (*Report).launch},
	{"evidence", "attached", (*Report).evidence},
	{"proof", "attached", (*Report).proof},
	{"appendix", "attached", (*Report).appendix},
}

// groups are the parts of a Chinese report.
var groups = []string{"basics", "course", "response", "result", "cause", "better", "attached"}

// Write writes the report in one of page.Forms, in one of Languages. As JSON it is the report itself, which has no language.
func (r *Report) Write(w io.Writer, form, in string) error {
	if form == "json" {
		return writeJSON(w, r)
	}
	d, err := r.Document(in)
	if err != nil {
		return err
	}
	return page.Write(w, form, d)
}

// Document is the report for people.
func (r *Report) Document(in string) (page.Document, error) {
	w := language(in)
	d := page.Document{
		Title: w.say("title_"+string(r.Kind), r.Release.Service, change(r.Release)), Language: in, Subtitle: w.say("subtitle"), Compact: true,
		Cover:  r.cover(w),
		Footer: w.say("footer", r.Journal.Name, r.Journal.Records, r.Journal.Last),
	}
	if r.Journal.Broken != "" {
		d.Notes = append(d.Notes, w.say("note_broken", r.Journal.Records, r.Journal.Broken))
	}
	if r.Phase != guard.Over {
		d.Notes = append(d.Notes, w.say("note_open", w.name("phase", string(r.Phase))))
	}
	if n := len(r.Missing); n > 0 {
		d.Notes = append(d.Notes, w.say("note_missing", n))
	}
	if w == "zh" {
		d.Notes = append(d.Notes, w.say("note_quoted"))
		for _, group := range groups {
			c := page.Chapter{ID: group, Title: w.say("group_" + group)}
			for _, s := range sections {
				if s.group == group {
					c.Blocks = append(append(c.Blocks, page.Block{Heading: w.say("chapter_" + s.id)}), s.blocks(r, w)...)
				}
			}
			d.Chapters = append(d.Chapters, c)
		}
	} else {
		for _, s := range sections {
			d.Chapters = append(d.Chapters, page.Chapter{ID: s.id, Title: w.say("chapter_" + s.id), Blocks: s.blocks(r, w)})
		}
	}
	return d, r.draw(w, d.Chapters)
}

// draw puts the pictures where the section about detection has left room for them.
func (r *Report) draw(w language, chapters []page.Chapter) error {
	for c := range chapters {
		for n := range chapters[c].Blocks {
			p := chapters[c].Blocks[n].Picture
			if p == nil {
				continue
			}
			t, id := r.trails[p.SVG], n
			svg, alt, err := r.picture(w, id, t)
			if err != nil {
				return err
			}
			p.SVG, p.Alt = svg, alt
		}
	}
	return nil
}

func text(s string) page.Block    { return page.Block{Text: s} }
func heading(s string) page.Block { return page.Block{Heading: s} }
func table(head []string, rows [][]string, tones ...page.Tone) page.Block {
	return page.Block{Table: &page.Table{Head: head, Rows: rows, Tone: tones}}
}

// heads are the words at the top of a table.
func heads(w language, keys ...string) (all []string) {
	for _, key := range keys {
		all = append(all, w.say("head_"+key))
	}
	return all
}

func (r *Report) moment(name string) time.Time {
	for _, m := range r.Times {
		if m.Name == name {
			return m.At
		}
	}
	return time.Time{}
}

// span is one of Spans by its name.
func (r *Report) span(name string) Span {
	for _, s := range r.Spans {
		if s.Name == name {
			return s
		}
	}
	return Span{}
}

func (r *Report) cover(w language) []page.Fact {
	facts := []page.Fact{
		{Name: w.say("cover_id"), Value: r.Release.ID},
		{Name: w.say("cover_service"), Value: strings.TrimSuffix(r.Release.Service+w.say("comma")+r.Release.Environment, w.say("comma"))},
		{Name: w.say("cover_change"), Value: change(r.Release)},
		{Name: w.say("cover_mode"), Value: w.name("mode", string(r.Mode))},
		{Name: w.say("cover_outcome"), Value: r.outcome(w)},
	}
	if r.Cause != "" {
		facts = append(facts, page.Fact{Name: w.say("cover_cause"), Value: w.name("cause", string(r.Cause))})
	}
	if r.Kind == OfIncident {
		facts = append(facts, page.Fact{Name: w.say("cover_scenario"), Value: w.name("scenario", r.Scenario)}, page.Fact{Name: w.say("cover_severity"), Value: r.severity(w)})
	}
	facts = append(facts,
		page.Fact{Name: w.say("cover_plan"), Value: r.Plan.File}, page.Fact{Name: w.say("cover_digest"), Value: r.Plan.Digest},
		page.Fact{Name: w.say("cover_status"), Value: w.name("status", string(r.Status))}, page.Fact{Name: w.say("cover_owner"), Value: w.role(r.Owner)},
		page.Fact{Name: w.say("cover_due"), Value: r.dueWords(w)},
	)
	filed, late := w.say("not_filed"), ""
	if !r.Filed.IsZero() {
		filed, late = r.stamp(r.Filed), cmp.Or(r.Late, w.say("not_late"))
	}
	facts = append(facts, page.Fact{Name: w.say("cover_filed"), Value: filed})
	if late != "" && !r.Due.IsZero() {
		facts = append(facts, page.Fact{Name: w.say("cover_late"), Value: late})
	}
	return append(facts, page.Fact{Name: w.say("cover_asof"), Value: r.stamp(r.AsOf)})
}

func (r *Report) outcome(w language) string {
	if r.Outcome == "" {
		return w.say("not_over", w.name("phase", string(r.Phase)))
	}
	return w.name("outcome", string(r.Outcome))
}

// levelName is a level with the name that the plan has for it.
func (r *Report) levelName(w language, level int) string {
	name := r.levels[level]
	if name != "" {
		name = " (" + name + ")"
	}
	return w.say("level", level, name)
}

// severity is every level that it had, the latest last.
func (r *Report) severity(w language) string {
	if len(r.Grades) == 0 {
		return w.say("no_level")
	}
	var lines []string
	for _, g := range r.Grades {
		by := w.say("by_rules")
		if g.By != "" {
			by = w.say("by_person", w.role(g.By))
		}
		lines = append(lines, w.say("level_of", r.levelName(w, g.Level), r.stamp(g.At), by, g.Why))
	}
	return strings.Join(lines, "\n")
}

func (r *Report) dueWords(w language) string {
	if r.Due.IsZero() {
		return w.say("no_due")
	}
	return r.stamp(r.Due)
}

// ask is what people have said of a field, or that they have not.
func (r *Report) ask(w language, field string) page.Block {
	switch said := r.Answers[field]; {
	case said != "":
		return text(said)
	case r.Kind == OfWatch:
		return text(w.say("nothing_asked"))
	}
	return page.Block{Missing: w.say("missing_field", w.say("field_"+field), r.dueWords(w), field)}
}

// asked are several fields below each other.
func (r *Report) asked(w language, fields ...string) (all []page.Block) {
	if r.Kind == OfWatch {
		return []page.Block{text(w.say("nothing_asked"))}
	}
	for _, field := range fields {
		if r.Answers[field] != "" {
			all = append(all, page.Block{Facts: []page.Fact{{Name: w.say("field_" + field), Value: r.Answers[field]}}})
			continue
		}
		all = append(all, r.ask(w, field))
	}
	return all
}

// summary is three sentences: what happened, how long it took, what it cost.
func (r *Report) summary(w language) []page.Block {
	var blocks []page.Block
	if said := r.Answers["summary"]; said != "" {
		blocks = append(blocks, text(said))
	}
	lines := []string{r.went(w)}
	if r.Cause != "" {
		lines = append(lines, w.say("summary_times", w.span(r.span("ttd")), w.span(r.span("ttc")), w.span(r.span("ttr"))), w.say("summary_cost", r.cost(w)))
	}
	return append(blocks, text(strings.Join(lines, w.say("sentences"))))
}

func (r *Report) went(w language) string {
	if r.Cause == "" || r.Outcome != guard.RolledBack {
		return w.say("summary_watch", w.name("purpose", string(r.Purpose)), r.Release.Service, r.Release.Environment, r.outcome(w), r.Impact.Peak)
	}
	return w.say("summary_incident", r.Release.To, cmp.Or(r.Release.From, w.say("none")), r.Impact.Peak, r.Release.Service, r.Release.Environment, w.name("cause", string(r.Cause)))
}

// cost is the excess of each signal in a few words.
func (r *Report) cost(w language) string {
	var parts []string
	for _, h := range r.Impact.Signals {
		if h.Compared && !h.Gauge {
			parts = append(parts, fmt.Sprintf("%s %s", h.Signal, report.Number(math.Round(h.Excess))))
		}
	}
	if len(parts) == 0 {
		return w.say("unknown")
	}
	return strings.Join(parts, w.say("comma"))
}

func (h Harmed) name(w language) string {
	if h.Slower > 0 {
		return w.say("slower_than", h.Signal, seconds(h.Slower))
	}
	if h.Gauge {
		return h.Signal + " " + w.say("observations")
	}
	return h.Signal
}

func tally(bad, all float64) string {
	if all == 0 {
		return "—"
	}
	return fmt.Sprintf("%s / %s (%s)", report.Number(bad), report.Number(all), percent(bad/all))
}

func percent(share float64) string { return report.Percent(share) }

func seconds(s float64) string {
	return guard.Duration(time.Duration(s * float64(time.Second)).Round(100 * time.Microsecond)).String()
}

func (r *Report) impact(w language) []page.Block {
	i := r.Impact
	exposed := w.say("unknown")
	if i.Known {
		exposed = w.took(i.Exposed)
	}
	blocks := []page.Block{{Facts: []page.Fact{
		{Name: w.say("impact_exposed"), Value: exposed},
		{Name: w.say("impact_peak"), Value: fmt.Sprintf("%d %%", i.Peak)},
		{Name: w.say("impact_users"), Value: w.say("no_users")},
		{Name: w.say("impact_regions"), Value: w.say("no_regions")},
		{Name: w.say("impact_budget"), Value: w.say("no_budget")},
	}}}
	if len(i.Signals) == 0 {
		blocks = append(blocks, text(w.say("impact_nothing")))
	} else {
		var rows [][]string
		var tones []page.Tone
		for _, h := range i.Signals {
			excess, tone := w.say("no_compare"), page.Calm
			if h.Compared {
				excess = report.Number(math.Round(h.Excess))
				if h.Excess >= 1 {
					tone = page.Bad
				}
			}
			rows, tones = append(rows, []string{h.name(w), tally(h.Bad, h.Requests), tally(h.BaselineBad, h.Baseline), excess}), append(tones, tone)
		}
		blocks = append(blocks, table(heads(w, "signal", "new", "old", "excess"), rows, tones...), text(w.say("impact_method", r.stamp(i.Until))))
	}
	if r.Cause == "" {
		return blocks
	}
	return append(blocks, heading(w.say("avoided")), text(r.avoided(w)))
}

func (r *Report) avoided(w language) string {
	e := r.Impact.Estimate
	switch {
	case r.Mode == guard.Observe:
		return w.say("avoided_observe")
	case e != nil:
		var steps []string
		for _, s := range e.Steps {
			steps = append(steps, fmt.Sprint(s))
		}
		return w.say("avoided_text", report.Number(math.Round(e.Excess)), e.Signal, percent(e.Worse), fmt.Sprintf("%.1f", e.Rate),
			report.Number(math.Round(e.Seconds)), cmp.Or(strings.Join(steps, ", "), "—"), e.Bake)
	case r.Decided != nil && r.Decided.Turned:
		return w.say("avoided_unknown")
	}
	return w.say("avoided_none")
}

func (r *Report) times(w language) []page.Block {
	var rows [][]string
	for _, m := range r.Times {
		zone, utc := w.say("not_known_here"), ""
		if !m.At.IsZero() {
			zone, utc = r.stamp(m.At), report.Moment(m.At)
		}
		row := []string{w.say("moment_" + m.Name), zone, utc, m.Ref.String()}
		if r.place() == time.UTC {
			row = slices.Delete(row, 2, 3)
		}
		rows = append(rows, row)
	}
	head := []string{w.say("head_moment"), w.say("head_zone", r.Zone), w.say("head_utc"), w.say("head_record")}
	if r.place() == time.UTC { // twice the same says nothing
		head = slices.Delete(head, 2, 3)
	}
	var spans []page.Fact
	for _, s := range r.Spans {
		spans = append(spans, page.Fact{Name: w.say("span_" + s.Name), Value: w.span(s)})
	}
	blocks := []page.Block{{Facts: spans}, table(head, rows), heading(w.say("obligations"))}
	if len(r.Owed) == 0 {
		return append(blocks, text(w.say("no_obligations")))
	}
	rows = nil
	var tones []page.Tone
	for _, o := range r.Owed {
		margin, tone := w.waived(o.Waived), page.Calm
		switch {
		case o.Met.IsZero():
		case o.Margin < 0:
			margin = w.say("margin_late", w.took(guard.Duration((-o.Margin.Std()).Round(time.Second))))
		default:
			margin = w.say("margin_left", w.took(guard.Duration(o.Margin.Std().Round(time.Second))))
		}
		switch o.Standing {
		case "met":
			tone = page.Good
		case "met late":
			tone = page.Doubt
		case "breached":
			tone = page.Bad
		}
		rows, tones = append(rows, []string{w.name("due", string(o.Kind)), w.role(o.Role), r.stamp(o.Until), w.name("standing", o.Standing), margin}), append(tones, tone)
	}
	return append(blocks, table(heads(w, "due", "role", "until", "standing", "margin"), rows, tones...))
}

func (r *Report) timeline(w language) []page.Block {
	return []page.Block{text(w.say("times_zone", r.Zone)), table(heads(w, "time", "who", "what", "record"), r.lines(w, r.Timeline))}
}

func (r *Report) lines(w language, all []Line) (rows [][]string) {
	day := ""
	for _, l := range all {
		at := l.At.In(r.place())
		if today := at.Format(time.DateOnly); today != day {
			rows, day = append(rows, []string{"", "", today, ""}), today
		}
		rows = append(rows, []string{at.Format(time.TimeOnly), w.role(l.Who), w.line(l), l.Ref.String()})
	}
	return rows
}

func (r *Report) detection(w language) []page.Block {
	var blocks []page.Block
	if r.Cause != "" {
		by := w.say("by_judge")
		switch r.Cause {
		case guard.CauseAlert:
			by = w.say("by_alert")
		case guard.CauseOrdered, guard.CauseInterrupted, guard.CauseDrift, guard.CauseWithdrawn:
			by = w.say("by_order")
		case guard.CauseBlind, guard.CauseStuck, guard.CauseScarce:
			by = w.say("by_golive")
		}
		blocks = append(blocks, page.Block{Facts: []page.Fact{{Name: w.say("detected_by"), Value: by}, {Name: w.say("fact_sentence"), Value: w.unless(r.Why)}}})
	}
	var rows [][]string
	for _, s := range r.Signals {
		name, bounds := s.Name, w.say("own_past")
		if s.Deciding {
			name = w.say("decided_it", s.Name)
		}
		if s.MaxIncrease != "" {
			bounds = w.say("bounds", s.MaxIncrease, s.IgnoreBelow)
		}
		if s.Never != "" {
			bounds += w.say("comma") + w.say("never", s.Never)
		}
		rows = append(rows, []string{name, w.unless(s.Query), bounds})
	}
	blocks = append(blocks, heading(w.say("watched")), table(heads(w, "signal", "query", "bounds"), rows), heading(w.say("pictures")))
	var sights []judge.Sight
	if r.Decided != nil {
		sights = r.Decided.Sight
	}
	drawn := 0
	for _, s := range r.Signals {
		t := r.trailOf(s.Name, sights)
		if t == nil || len(t.lines(func(c judge.Counts) judge.Tally { return c.Canary }))+len(t.lines(func(c judge.Counts) judge.Tally { return c.Baseline })) == 0 {
			continue
		}
		drawn++
		blocks = append(blocks, page.Block{Picture: &page.Picture{SVG: fmt.Sprintf("%s %g", t.signal, t.slower)}})
	}
	if drawn == 0 {
		blocks = append(blocks, text(w.say("no_pictures")))
	}
	blocks = append(blocks, heading(w.say("tripped")))
	if len(r.Tripped) == 0 {
		return append(blocks, text(w.say("not_tripped")))
	}
	rows = nil
	for _, s := range r.Tripped {
		var counts []string
		for _, sight := range counted(s.Sight) {
			counts = append(counts, fmt.Sprintf("%s: %s | %s", sight.Signal, tally(sight.Step.Canary.Bad, sight.Step.Canary.Requests), tally(sight.Step.Baseline.Bad, sight.Step.Baseline.Requests)))
		}
		rows = append(rows, []string{r.clock(s.At), w.name("call", s.Call.String()), string(s.Rule), report.Odds(s.Odds), strings.Join(counts, "\n"), s.Ref.String()})
	}
	return append(blocks, table(heads(w, "time", "call", "rule", "odds", "counts", "record"), rows))
}

func (r *Report) decision(w language) []page.Block {
	d := r.Decided
	if d == nil {
		blocks := []page.Block{text(w.say("decision_none"))}
		if r.Cause != "" {
			blocks = append(blocks, text(w.say("why_other", w.name("cause", string(r.Cause)))), heading(w.say("false_positive")), r.ask(w, "false_positive"))
		}
		return blocks
	}
	key := "decision_last"
	if d.Turned {
		key = "decision_turned"
	}
	into := w.took(guard.Duration(time.Duration(d.Into * float64(time.Second)).Round(time.Second)))
	blocks := []page.Block{
		text(w.say(key, r.stamp(d.At), into, w.name("call", d.Call.String()))),
		{Facts: []page.Fact{
			{Name: w.say("fact_rule"), Value: string(d.Rule)},
			{Name: w.say("fact_meaning"), Value: w.name("rule", string(d.Rule))},
			{Name: w.say("fact_odds"), Value: report.Odds(d.Odds)},
			{Name: w.say("fact_limit"), Value: report.Odds(d.Limit)},
			{Name: w.say("fact_sentence"), Value: w.unless(d.Why)},
		}},
	}
	var rows [][]string
	for _, s := range d.Sight {
		name := s.Signal
		if s.Slower > 0 {
			name = w.say("slower_than", s.Signal, seconds(s.Slower))
		}
		difference := "—"
		if s.Step.Canary.Requests > 0 && s.Step.Baseline.Requests > 0 {
			difference = w.say("points", report.Points(s.Low), report.Points(s.High))
		}
		rows = append(rows, []string{
			name, tally(s.Step.Canary.Bad, s.Step.Canary.Requests), tally(s.Step.Baseline.Bad, s.Step.Baseline.Requests), difference, report.Odds(s.LogOdds), fmt.Sprintf("%.3g", s.Tolerated),
		})
	}
	if len(rows) > 0 {
		blocks = append(blocks, heading(w.say("counts")), table(heads(w, "signal", "new", "old", "difference", "odds", "tolerated"), rows))
	}
	blocks = append(blocks, heading(w.say("decision_why")))
	switch {
	case r.Cause == guard.CauseRegressed:
		blocks = append(blocks, text(w.say("why_harm")))
	case r.Cause != "":
		blocks = append(blocks, text(w.say("why_other", w.name("cause", string(r.Cause)))))
	default:
		blocks = append(blocks, text(w.say("why_not")))
	}
	misses := w.say("misses_none", report.Odds(r.Misses.Highest))
	if r.Misses.Readings > 0 {
		misses = w.say("misses_some", r.Misses.Readings, report.Odds(r.Misses.Highest))
	}
	blocks = append(blocks, heading(w.say("misses")), text(misses))
	if r.Cause != "" {
		blocks = append(blocks, heading(w.say("false_positive")), r.ask(w, "false_positive"))
	}
	return blocks
}

func (r *Report) deeds(w language, all []Deed) page.Block {
	var rows [][]string
	var tones []page.Tone
	for _, d := range all {
		result, tone := w.say("ok"), page.Good
		if !d.OK {
			result, tone = w.say("not_ok"), page.Bad
		}
		if d.Says != "" {
			result += w.say("colon") + d.Says
		}
		if d.Tries > 1 {
			result += " (" + w.say("try", d.Tries) + ")"
		}
		rows = append(rows, []string{
			w.deed(d.Name, d.With), cmp.Or(d.Part, golive), r.clock(d.Began), w.took(guard.Duration(d.Ended.Sub(d.Began).Round(time.Millisecond))), result, d.Ref.String(),
		})
		tones = append(tones, tone)
	}
	return table(heads(w, "deed", "part", "began", "took", "result", "record"), rows, tones...)
}

func (r *Report) executed(w language) []page.Block {
	if len(r.Deeds) == 0 {
		return []page.Block{text(w.say("nothing_done"))}
	}
	blocks := []page.Block{r.deeds(w, r.Deeds), heading(w.say("deviations"))}
	if len(r.Deviations) == 0 {
		return append(blocks, text(w.say("no_deviations")))
	}
	return append(blocks, table(heads(w, "time", "who", "what", "record"), r.lines(w, r.Deviations)))
}

func (r *Report) verification(w language) []page.Block {
	if r.Cause == "" {
		return []page.Block{text(w.say("not_back"))}
	}
	var blocks []page.Block
	if r.moment("verified").IsZero() {
		blocks = append(blocks, page.Block{Missing: w.say("not_verified")})
	}
	blocks = append(blocks, heading(w.say("verified_by")))
	if len(r.Proof) == 0 {
		blocks = append(blocks, text(w.say("no_probes")))
	} else {
		blocks = append(blocks, findings(w, "probe", r.Proof))
	}
	steady := w.say("not_known_here")
	if at := r.moment("steady"); !at.IsZero() {
		steady = r.stamp(at)
	}
	signed := w.say("signed_none")
	if r.SignOff != "" {
		signed = w.say("signed_not", w.role(r.SignOff))
	}
	if len(r.Signed) > 0 {
		var all []string
		for _, role := range sorted(r.Signed) {
			all = append(all, w.say("handed", w.role(role), w.role(r.Signed[role])))
		}
		signed = strings.Join(all, w.say("comma"))
	}
	blocks = append(blocks, page.Block{Facts: []page.Fact{{Name: w.say("soaked"), Value: steady}, {Name: w.say("signed"), Value: signed}}}, heading(w.say("restored")))
	if len(r.Restores) == 0 {
		return append(blocks, text(w.say("no_restores")))
	}
	blocks = append(blocks, r.deeds(w, r.Restores))
	for _, d := range r.Restores {
		switch {
		case d.Backup != nil:
			blocks = append(blocks, page.Block{Facts: []page.Fact{{Name: w.say("backup"), Value: r.backup(w, *d.Backup)}}})
		case d.OK:
			blocks = append(blocks, page.Block{Facts: []page.Fact{{Name: w.say("data_lost"), Value: w.say("lost_unknown")}}})
		}
		if len(d.Findings) > 0 {
			blocks = append(blocks, heading(w.say("resort_by", w.deed(d.Name, d.With))), findings(w, "probe", d.Findings))
		}
	}
	return blocks
}

// backup is which backup was restored, and what of the data cannot be in it.
func (r *Report) backup(w language, b guard.Backup) string {
	detected := r.moment("detected")
	if detected.IsZero() || b.Ended.After(detected) {
		return w.say("backup_ended", b.ID, r.stamp(b.Ended))
	}
	return w.say("backup_gap", b.ID, r.stamp(b.Ended), w.took(about(detected.Sub(b.Ended))))
}

// findings are what was asked, and what it came to.
func findings(w language, what string, all []guard.Finding) page.Block {
	var rows [][]string
	var tones []page.Tone
	for _, f := range all {
		name := strings.TrimSpace(strings.Join([]string{f.Code, f.ID, f.Subject}, " "))
		found := strings.Join(slices.DeleteFunc([]string{f.Title, f.Reason, report.Expectation(f)}, func(s string) bool { return s == "" }), "\n")
		if f.Waived != nil {
			found += "\n" + w.say("head_waiver") + w.say("colon") + w.say("waived_by", w.role(f.Waived.By), w.role(f.Waived.ApprovedBy), f.Waived.Reason)
		}
		rows = append(rows, []string{cmp.Or(name, f.Title), w.name("verdict", f.Verdict.String()), found})
		tones = append(tones, map[guard.Verdict]page.Tone{guard.Pass: page.Good, guard.Warn: page.Doubt, guard.Fail: page.Bad, guard.Unknown: page.Bad, guard.Waiting: page.Doubt}[f.Verdict])
	}
	return table(heads(w, what, "verdict", "found"), rows, tones...)
}

func (r *Report) communications(w language) []page.Block {
	var blocks []page.Block
	if len(r.Told) == 0 {
		blocks = append(blocks, text(w.say("nobody_told")))
	} else {
		var rows [][]string
		var tones []page.Tone
		for _, t := range r.Told {
			audience := w.name("audience", cmp.Or(t.Audience, "team"))
			if len(t.Roles) > 0 {
				audience += "\n" + w.roles(t.Roles)
			}
			delivery, tone := w.say("undelivered"), page.Bad
			switch {
			case t.Delivered():
				delivery, tone = w.say("delivered", r.clock(t.Arrived)), page.Good
			case t.Problem != "":
				delivery = w.say("undelivered_why", t.Problem)
			}
			for _, h := range t.Handed {
				who := w.say("handed", w.role(cmp.Or(h.Role, h.Name)), cmp.Or(h.Way, "—"))
				if h.Problem != "" {
					who, tone = w.say("handed_not", w.role(cmp.Or(h.Role, h.Name)), h.Problem), page.Doubt
				}
				delivery += "\n" + who
			}
			if t.Tries > 0 {
				delivery += "\n" + w.say("tries", t.Tries)
			}
			rows = append(rows, []string{r.clock(t.At), audience, t.Channel, t.Title + "\n" + w.say("hash", t.Sum[:refLength]), delivery, t.Ref.String()})
			tones = append(tones, tone)
		}
		blocks = append(blocks, table(heads(w, "time", "audience", "channel", "message", "delivery", "record"), rows, tones...))
	}
	if len(r.Contacted) > 0 {
		var facts []page.Fact
		for _, who := range sorted(r.Contacted) {
			facts = append(facts, page.Fact{Name: who, Value: r.Contacted[who]})
		}
		blocks = append(blocks, heading(w.say("contacted")), page.Block{Facts: facts})
	}
	if len(r.Notes) > 0 {
		blocks = append(blocks, heading(w.say("notes")), table(heads(w, "time", "who", "what", "record"), r.lines(w, r.Notes)))
	}
	return blocks
}

func (r *Report) cause(w language) []page.Block {
	if r.Kind == OfWatch {
		return []page.Block{text(w.say("nothing_asked"))}
	}
	stated := page.Block{Missing: w.say("missing_cause", r.dueWords(w))}
	if r.Stated != "" {
		stated = page.Block{Facts: []page.Fact{{Name: w.say("stated"), Value: r.Stated}}}
	}
	return append([]page.Block{stated}, r.asked(w, "trigger", "factors", "whys", "surprise")...)
}

func (r *Report) lessons(w language) []page.Block { return r.asked(w, "well", "wrong", "lucky") }

func (r *Report) items(w language) []page.Block {
	switch {
	case len(r.Actions) == 0 && r.Kind == OfWatch:
		return []page.Block{text(w.say("nothing_asked"))}
	case len(r.Actions) == 0:
		return []page.Block{{Missing: w.say("missing_items", r.dueWords(w))}}
	}
	var rows [][]string
	for _, a := range r.Actions {
		due := w.say("no_due")
		if !a.Due.IsZero() {
			due = a.Due.In(r.place()).Format(time.DateOnly)
		}
		rows = append(rows, []string{a.ID, w.name("class", a.Class), a.Text, w.role(a.Owner), due, cmp.Or(a.Link, "—")})
	}
	return []page.Block{table(heads(w, "id", "class", "item", "owner", "by", "link"), rows)}
}

func (r *Report) changes(w language) []page.Block { return r.asked(w, "plan_change") }

func (r *Report) launch(w language) []page.Block {
	var blocks []page.Block
	if r.Broke != nil {
		blocks = append(blocks, page.Block{Facts: []page.Fact{{Name: w.say("glass"), Value: w.say("glass_text", w.role(r.Broke.By), w.role(r.Broke.ApprovedBy), r.Broke.Reason)}}})
	}
	if len(r.Checks) == 0 {
		return append(blocks, text(w.say("launch_none")))
	}
	var counts []string
	for _, v := range []string{"fail", "unknown", "waiting", "warn", "pass"} {
		if n := r.Checks[v]; n > 0 {
			counts = append(counts, fmt.Sprintf("%d %s", n, w.name("verdict", v)))
		}
	}
	blocks = append(blocks, page.Block{Facts: []page.Fact{{Name: w.say("launch_counts"), Value: strings.Join(counts, w.say("comma"))}}})
	var said []guard.Finding
	var unset []string
	for _, f := range r.Launched {
		if f.Unset && f.Verdict == guard.Warn && f.Waived == nil {
			unset = append(unset, f.ID)
			continue
		}
		said = append(said, f)
	}
	switch {
	case len(r.Launched) == 0:
		blocks = append(blocks, text(w.say("launch_pass")))
	case len(said) > 0:
		blocks = append(blocks, findings(w, "check", said))
	}
	if len(unset) > 0 {
		blocks = append(blocks, text(w.say("launch_unset", len(unset), strings.Join(slices.Compact(unset), w.say("comma")))))
	}
	return blocks
}

func (r *Report) evidence(w language) []page.Block {
	if len(r.Exhibits) == 0 {
		return []page.Block{text(w.say("no_evidence"))}
	}
	var rows [][]string
	for _, x := range r.Exhibits {
		problem := x.Problem
		if x.Cut {
			problem = strings.TrimSuffix(w.say("cut")+w.say("colon")+problem, w.say("colon"))
		}
		rows = append(rows, []string{x.Name, cmp.Or(x.SHA256, "—"), report.Number(float64(x.Bytes)), fmt.Sprint(x.Redacted), cmp.Or(problem, "—")})
	}
	return []page.Block{table(heads(w, "file", "sha", "bytes", "redacted", "problem"), rows)}
}

func (r *Report) proof(w language) []page.Block {
	j := r.Journal
	blocks := []page.Block{{Facts: []page.Fact{
		{Name: w.say("fact_journal"), Value: j.Name}, {Name: w.say("fact_records"), Value: fmt.Sprint(j.Records)},
		{Name: w.say("fact_first"), Value: j.First}, {Name: w.say("fact_last"), Value: j.Last},
		{Name: w.say("fact_verify"), Value: j.Verify}, {Name: w.say("fact_ledger"), Value: "golive ledger verify"},
	}}}
	if j.Broken != "" {
		blocks = append(blocks, page.Block{Missing: w.say("chain_broken", j.Broken)})
	}
	blocks = append(blocks, heading(w.say("in_ledger")))
	switch {
	case r.LedgerFault == "unseen":
		return append(blocks, text(w.say("ledger_unseen")))
	case r.LedgerFault == "missing":
		return append(blocks, text(w.say("ledger_missing")))
	case r.LedgerFault != "":
		return append(blocks, text(w.say("ledger_broken", r.LedgerFault)))
	case len(r.Remembered) == 0:
		return append(blocks, text(w.say("ledger_nothing")))
	}
	var rows [][]string
	for _, e := range r.Remembered {
		until := "—"
		if !e.Until.IsZero() {
			until = r.stamp(e.Until)
		}
		rows = append(rows, []string{r.stamp(e.At), w.name("act", string(e.Act)) + " " + e.ID, e.Kind, until, cmp.Or(e.Says, "—")})
	}
	return append(blocks, table(heads(w, "time", "act", "kind", "until", "says"), rows))
}

// appendix has what others are told: half a page for those who command, and a draft for the world.
func (r *Report) appendix(w language) []page.Block {
	begun := r.moment("introduced")
	if begun.IsZero() && len(r.Timeline) > 0 {
		begun = r.Timeline[0].At
	}
	lines := []string{w.say("executive_what", begun.In(r.place()).Format(time.DateOnly), w.name("purpose", string(r.Purpose)), r.Release.Service, r.Release.Environment, change(r.Release), r.outcome(w))}
	if r.Cause != "" {
		lines = append(lines,
			w.say("executive_cause", w.name("cause", string(r.Cause)), cmp.Or(r.Stated, w.say("cause_open"))),
			w.say("summary_times", w.span(r.span("ttd")), w.span(r.span("ttc")), w.span(r.span("ttr"))), w.say("summary_cost", r.cost(w)))
	}
	if len(r.Owed) > 0 {
		count := map[string]int{}
		for _, o := range r.Owed {
			count[o.Standing]++
		}
		lines = append(lines, w.say("executive_owed", len(r.Owed), count["met"], count["met late"], count["breached"], count["open"], count["waived"]))
	}
	if r.Kind != OfWatch {
		lines = append(lines, w.say("executive_items", len(r.Actions), len(r.Missing)))
	}
	blocks := []page.Block{heading(w.say("executive")), {List: lines}, heading(w.say("statement"))}
	return append(blocks, r.statement(w)...)
}

// statement is a draft of what the world is told, without names, versions and numbers of ours. That requests were harmed it
// says only if they were counted, and that the former version serves only if that was verified.
func (r *Report) statement(w language) []page.Block {
	verified := r.moment("verified")
	switch {
	case r.Cause == "":
		return []page.Block{text(w.say("statement_none"))}
	case verified.IsZero():
		return []page.Block{text(w.say("statement_open"))}
	}
	begun, measures := r.moment("introduced"), w.say("cause_open")
	if begun.IsZero() {
		return []page.Block{text(w.say("statement_none"))}
	}
	if n := len(r.Actions); n > 0 {
		measures = w.say("items_count", n)
	}
	what := []any{begun.In(r.place()).Format(time.DateOnly), r.clock(begun), r.clock(verified), r.Zone, r.Release.Service}
	said, well := w.say("statement_harm_unknown", what...), "statement_well"
	if r.Impact.harmed() {
		said = w.say("statement_harm", append(what, w.span(r.span("ttd")))...)
	}
	if r.Outcome == guard.RolledBack {
		well = "statement_back"
	}
	return []page.Block{text(w.say("statement_draft")), text(strings.Join([]string{
		said, w.say(well, w.span(r.span("ttr"))), w.say("statement_next", cmp.Or(r.Stated, w.say("cause_open")), measures, w.say("unknown")),
	}, w.say("sentences")))}
}
