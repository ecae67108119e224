// Package plandoc writes an emergency plan, and the records of its drills, as documents for people to read, sign and keep in a
// drawer. The plan is the one that golive carries out, so that the paper cannot say anything else, and beside each clause
// stands the check that holds the service to it, with what that check found last. It is pure.
package plandoc

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/report"
	"github.com/golive-dev/golive/guard/report/page"
)

// A Source is what the document is made of. The same source always makes the same document.
type Source struct {
	Plan     *guard.Plan
	Ledger   guard.Ledger
	Checks   []guard.Check   // all that hold the service to the plan
	Findings []guard.Finding // what they found last; a check without one was not asked
	Asked    string          // when and how they were, for the cover
	Now      time.Time
	Language string // en or zh; empty: that of the plan
	Contacts bool   // phone numbers and e-mail addresses are printed
	Version  string // of golive
}

// Of is the document of a plan.
func Of(s Source) page.Document {
	s.Language = cmp.Or(s.Language, s.Plan.Language, "en")
	w := &writer{Source: s, plan: s.Plan, open: s.Contacts || s.Plan.Roster.Publish}
	doc := page.Document{Language: s.Language, Title: w.say("Emergency plan: ", "应急预案：") + w.plan.Service}
	doc.Subtitle = w.say("for ", "适用环境：") + w.plan.Environment
	w.cover(&doc)
	for _, c := range chapters {
		doc.Chapters = append(doc.Chapters, w.chapter(c))
	}
	doc.Footer = w.say(
		fmt.Sprintf("Written by golive %s from %s as of %s. Plan digest %s.", s.Version, w.plan.File(), w.moment(s.Now), w.plan.Digest()),
		fmt.Sprintf("由 golive %s 根据 %s 于 %s 生成。预案摘要 %s。", s.Version, w.plan.File(), w.moment(s.Now), w.plan.Digest()))
	text := guard.Printable
	if !w.open {
		text = report.DiscreetText(w.plan)
	}
	return doc.Map(text)
}

// A chapter is some clauses under one heading.
type chapter struct {
	id, en, zh string
	clauses    []clause
}

// A clause is one thing that the plan says, and the checks that hold the service to it.
type clause struct {
	en, zh string
	path   string // the key of the plan; for whoever has to add what is missing
	checks string // IDs, in the order in which they are printed
	write  func(w *writer)
	when   func(p *guard.Plan) bool // nil: always
}

// A writer writes one chapter after the other.
type writer struct {
	Source
	plan   *guard.Plan
	open   bool // contacts may be printed
	blocks []page.Block
}

func (w *writer) chapter(c chapter) page.Chapter {
	w.blocks = nil
	for _, k := range c.clauses {
		if k.when != nil && !k.when(w.plan) {
			continue
		}
		w.add(page.Block{Heading: w.say(k.en, k.zh)})
		before := len(w.blocks)
		if k.write != nil {
			k.write(w)
		}
		if k.path != "" && len(w.blocks) == before {
			w.missing(k)
		}
		w.held(strings.Fields(k.checks))
		if len(w.blocks) == before {
			w.blocks = w.blocks[:before-1] // nothing stands below the heading
		}
	}
	if len(w.blocks) == 0 {
		w.add(page.Block{Text: w.say("Nothing of this is switched on in the plan.", "预案未启用本章内容。")})
	}
	return page.Chapter{ID: c.id, Title: w.say(c.en, c.zh), Blocks: w.blocks}
}

// missing says that the plan says nothing, and who asks for it.
func (w *writer) missing(k clause) {
	var codes []string
	for _, id := range strings.Fields(k.checks) {
		if c, found := w.check(id); found && c.For(w.plan) != guard.Off {
			codes = append(codes, c.Code)
		}
	}
	text := w.say("the plan says nothing of this: write "+k.path+" in "+w.plan.File(), "预案未作规定：请在 "+w.plan.File()+" 中填写 "+k.path)
	if len(codes) > 0 {
		text += w.say("; asked for by ", "；检查项：") + strings.Join(codes, w.say(", ", "、"))
	}
	w.add(page.Block{Missing: text})
}

// held is the table of the checks of a clause.
func (w *writer) held(ids []string) {
	t := page.Table{Head: []string{w.say("Check", "检查项"), w.say("What it asks for", "检查要求"), w.say("Last result", "最近结果"), w.say("What was found", "检查所见")}, Wide: []int{22, 32, 18, 28}}
	for _, id := range ids {
		if c, found := w.check(id); found && c.For(w.plan) != guard.Off {
			row, tone := w.row(c)
			t.Rows, t.Tone = append(t.Rows, row), append(t.Tone, tone)
		}
	}
	if len(t.Rows) > 0 {
		w.add(page.Block{Table: &t})
	}
}

func (w *writer) row(c guard.Check) ([]string, page.Tone) {
	title := cmp.Or(c.Title, c.ID)
	if named := zhTitles[c.ID]; w.zh() && named != "" {
		title = named
	}
	result, tone, said := w.result(c)
	need := w.word(c.For(w.plan).String())
	return []string{c.Code + "\n" + c.ID, title + w.say(" (", "（") + need + w.say(")", "）"), result, said}, tone
}

// result is what a check found last: all of what is wrong, or else what it saw.
func (w *writer) result(c guard.Check) (result string, tone page.Tone, said string) {
	var of []guard.Finding
	for _, f := range w.Findings {
		if f.ID == c.ID && f.Code == c.Code {
			of = append(of, f)
		}
	}
	if len(of) == 0 {
		return w.word("not asked"), page.Calm, "—"
	}
	worst := guard.Worst(of)
	var at time.Time
	var lines []string
	waived := false
	for _, f := range of {
		if f.At.After(at) {
			at = f.At
		}
		about := ""
		if f.Subject != "" {
			about = f.Subject + w.say(": ", "：")
		}
		switch {
		case f.Waived != nil && f.Verdict != guard.Pass:
			waived = true
			lines = append(lines, about+cmp.Or(f.Reason, f.Observed)+"; "+f.Waived.String())
		case f.Verdict != guard.Pass:
			lines = append(lines, about+cmp.Or(f.Reason, f.Observed, "—"))
		case worst == guard.Pass && f.Observed != "":
			lines = append(lines, about+f.Observed)
		}
	}
	result = w.word(worst.String())
	if waived {
		result += w.say(", waived", "，已豁免")
	}
	if !at.IsZero() {
		result += "\n" + w.moment(at)
	}
	const most = 6 // lines of one check; golive check has them all
	if extra := len(lines) - most; extra > 0 {
		lines = append(lines[:most], w.say(fmt.Sprintf("and %d more", extra), fmt.Sprintf("另有 %d 项", extra)))
	}
	for i := range lines {
		lines[i] = guard.Line(lines[i], 240)
	}
	tone = page.Bad
	switch worst {
	case guard.Pass:
		tone = page.Good
	case guard.Warn:
		tone = page.Doubt
	}
	return result, tone, cmp.Or(strings.Join(lines, "\n"), "—")
}

func (w *writer) check(id string) (guard.Check, bool) {
	i := slices.IndexFunc(w.Checks, func(c guard.Check) bool { return c.ID == id })
	if i < 0 {
		return guard.Check{}, false
	}
	return w.Checks[i], true
}

func (w *writer) cover(doc *page.Document) {
	p := w.plan
	doc.Cover = w.facts(
		"Service", "服务", p.Service, "Environment", "环境", p.Environment, "Tier", "等级", w.word(string(p.Tier)),
		"Owner", "预案负责人", cmp.Or(p.Owner, "—"), "Last reviewed", "最近评审", w.date(p.Reviewed),
		"File", "文件", p.File(), "Digest (SHA-256)", "摘要 (SHA-256)", p.Digest(), "As of", "截至", w.moment(w.Now),
		"Checks last asked", "最近检查", cmp.Or(w.Asked, w.say("not asked", "未检查")),
	)
	if w.open {
		doc.Notes = append(doc.Notes, w.say("this copy names phone numbers and e-mail addresses: keep it where only those who need it can read it",
			"本副本含电话号码与电子邮箱，请妥善保管，仅限需要者查阅"))
	} else {
		doc.Notes = append(doc.Notes, w.say("phone numbers and e-mail addresses are left out; golive plan render --with-contacts prints them",
			"已隐去电话号码与电子邮箱；使用 golive plan render --with-contacts 可打印"))
	}
	switch {
	case w.Ledger.Broken != "":
		doc.Notes = append(doc.Notes, w.say("the ledger cannot be trusted, so nothing is said of drills and approvals: ", "台账不可信，故演练与批准记录从缺：")+w.Ledger.Broken)
	case w.Ledger.Missing:
		doc.Notes = append(doc.Notes, w.say("there is no ledger, so nobody knows which drills were held and who approved",
			"没有台账，无从得知已举行的演练与批准情况"))
	}
	if p.Mode == guard.Observe {
		doc.Notes = append(doc.Notes, w.say("mode observe: golive decides and reports, and touches nothing", "观察模式：golive 只判断与报告，不采取行动"))
	}
	for _, role := range []string{"commander", "deputy", "executive"} {
		for _, person := range p.Roster.People {
			if person.Role == role {
				doc.Sign = append(doc.Sign, person.Name+w.say(", ", "，")+w.role(role))
			}
		}
	}
	if len(doc.Sign) == 0 {
		doc.Sign = []string{w.say("(nobody in the plan may approve it)", "（预案中无人有权批准）")}
	}
}

func (w *writer) zh() bool { return w.Language == "zh" }

// say is a text in the language of the document.
func (w *writer) say(en, zh string) string {
	if w.zh() {
		return zh
	}
	return en
}

func (w *writer) add(b page.Block) { w.blocks = append(w.blocks, b) }

func (w *writer) text(en, zh string) { w.add(page.Block{Text: w.say(en, zh)}) }

// facts reads triples: the name in English and Chinese, and the value.
func (w *writer) facts(triples ...string) (all []page.Fact) {
	for i := 0; i+2 < len(triples); i += 3 {
		if triples[i+2] != "" {
			all = append(all, page.Fact{Name: w.say(triples[i], triples[i+1]), Value: triples[i+2]})
		}
	}
	return all
}

// table adds a table, unless it has no rows. The head reads pairs: English and Chinese.
func (w *writer) table(rows [][]string, head ...string) {
	if len(rows) == 0 {
		return
	}
	t := page.Table{Rows: rows}
	for i := 0; i+1 < len(head); i += 2 {
		t.Head = append(t.Head, w.say(head[i], head[i+1]))
	}
	for _, row := range rows {
		for i := range row {
			row[i] = cmp.Or(row[i], "—")
		}
	}
	w.add(page.Block{Table: &t})
}

// word is a word of golive in the language of the document. One that has no translation stays as it is.
func (w *writer) word(word string) string {
	if said := zhWords[word]; w.zh() && said != "" {
		return said
	}
	return strings.ReplaceAll(word, "_", " ")
}

// wordOf is a word of one of the families of guard.Chinese.
func (w *writer) wordOf(family, word string) string {
	if said := guard.Chinese(family, word); w.zh() && said != "" {
		return said
	}
	return w.word(word)
}

// role is the name of a role.
func (w *writer) role(role string) string { return w.named("role", role) }

// named is a name of the plan; in Chinese the word of the plan stands behind it, for that is what people type.
func (w *writer) named(family, name string) string {
	if said := cmp.Or(guard.Chinese(family, name), zhWords[name]); w.zh() && said != "" {
		return said + "（" + name + "）"
	}
	return name
}

func (w *writer) roles(names []string) string {
	var all []string
	for _, name := range names {
		all = append(all, w.role(name))
	}
	return strings.Join(all, w.say(", ", "、"))
}

func (w *writer) yes(b bool) string {
	if b {
		return w.say("yes", "是")
	}
	return w.say("no", "否")
}

func (w *writer) moment(t time.Time) string {
	if t.IsZero() {
		return "—"
	}
	return t.UTC().Format("2006-01-02 15:04 UTC")
}

func (w *writer) date(d guard.Date) string {
	if d.IsZero() {
		return "—"
	}
	return d.String()
}

var spanUnits = strings.NewReplacer("ms", " 毫秒 ", "µs", " 微秒 ", "ns", " 纳秒 ", "d", " 天 ", "h", " 小时 ", "m", " 分钟 ", "s", " 秒 ")

// span is a duration; the zero value is a dash, for nothing is promised.
func (w *writer) span(d guard.Duration) string {
	switch {
	case d == 0:
		return "—"
	case w.zh():
		return strings.TrimSpace(strings.ReplaceAll(spanUnits.Replace(d.String()), "  ", " "))
	}
	return d.String()
}

// telling are the settings of a part that say what it does. Others may hold what does not belong on paper.
var telling = []string{"run", "url", "address", "path", "name"}

// query is the end of an address, which may hold what is nobody's business.
var query = regexp.MustCompile(`\?[^\s'"]*`)

// part says what a part does, as far as that can stand on paper. Secrets of the environment are still names in a plan; what
// looks like one that was written down is left out.
func (w *writer) part(p guard.Part) string {
	text := p.Use
	for _, key := range telling {
		said, is := p.With[key].(string)
		if !is || said == "" {
			continue
		}
		if key != "run" {
			said = query.ReplaceAllString(said, "")
		}
		text += ": " + guard.Line(guard.Redact(said), 160)
		break
	}
	return text
}

func (w *writer) parts(all []guard.Part) string {
	var lines []string
	for _, p := range all {
		lines = append(lines, w.part(p))
	}
	return strings.Join(lines, "\n")
}

// reach says how somebody can be reached, or by what kinds of address if the addresses are left out.
func (w *writer) reach(ways []guard.Reach) string {
	var lines []string
	for _, way := range ways {
		for kind, address := range way {
			if w.open {
				lines = append(lines, kind+" "+address)
			} else {
				lines = append(lines, w.word(kind))
			}
		}
	}
	slices.Sort(lines)
	if w.open {
		return strings.Join(lines, "\n")
	}
	return strings.Join(slices.Compact(lines), w.say(", ", "、"))
}

// last says how something went last that the ledger remembers, and whether that still counts.
func (w *writer) last(kind, subject string) string {
	e, found := w.Ledger.Newest(w.plan, guard.Result, kind, subject)
	if !found {
		return w.say("never, as far as the ledger knows", "台账中无记录")
	}
	text := w.word(e.Outcome.String()) + w.say(" on ", "，") + w.moment(e.At)
	if e.Took > 0 {
		text += w.say(", took ", "，用时 ") + w.span(e.Took)
	}
	if e.Lost > 0 {
		text += w.say(", lost the work of ", "，丢失数据时长 ") + w.span(e.Lost)
	}
	if !e.OfToday(w.plan) {
		text += w.say("; no longer counts: the plan does it in another way today", "；已失效：预案中的做法已变更")
	}
	return text
}

// next says when something is due again.
func (w *writer) next(kind, subject string, every guard.Duration) string {
	e, found := w.Ledger.Newest(w.plan, guard.Result, kind, subject)
	if !found || !e.OfToday(w.plan) {
		return w.say("now", "立即")
	}
	due := e.At.Add(every.Std())
	if due.Before(w.Now) {
		return w.say("overdue since ", "已逾期，应于 ") + due.UTC().Format(time.DateOnly)
	}
	return due.UTC().Format(time.DateOnly)
}
