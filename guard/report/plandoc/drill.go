package plandoc

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/report"
	"github.com/golive-dev/golive/guard/report/page"
)

// DrillID names a drill of the ledger: as the drill was called or, of one that has no name, by when it was written down.
func DrillID(e guard.Entry) string {
	if e.Exercise != nil && e.Exercise.ID != "" {
		return e.Exercise.ID
	}
	return e.At.UTC().Format("20060102-150405") + "-" + strings.TrimPrefix(e.Kind, "drill.")
}

// Drill is the record of a drill: what was asked for, what was seen, and whether that is a pass, which is computed and never
// declared. What the ledger does not hold is said to be missing.
func Drill(s Source, e guard.Entry) page.Document {
	s.Language = cmp.Or(s.Language, s.Plan.Language, "en")
	w := &writer{Source: s, plan: s.Plan, open: s.Plan.Roster.Publish}
	var x guard.Exercise
	if e.Exercise != nil {
		x = *e.Exercise
	}
	kind := cmp.Or(x.Kind, strings.TrimPrefix(e.Kind, "drill."))
	doc := page.Document{
		Language: s.Language, Compact: true, Title: w.say("Record of a drill: ", "演练记录：") + w.role(kind),
		Subtitle: fmt.Sprintf("%s, %s", e.Service, e.Environment),
		Cover: w.facts("Drill", "编号", DrillID(e), "Scenario", "场景", w.named("scenario", x.Scenario), "About", "对象", e.Subject,
			"Began", "开始", w.moment(x.Began), "Ended", "结束", w.moment(cmp.Or(x.Ended, e.At)), "Authorised by", "批准人", x.By, "Written down by", "记录人", e.By,
			"Announced", "事先告知", w.announced(e.Exercise)),
	}
	for _, c := range []struct {
		id, en, zh string
		write      func(guard.Entry, guard.Exercise)
	}{
		{"outcome", "Outcome", "演练结论", w.outcome},
		{"objectives", "Objectives and scope", "目标与范围", w.aims},
		{"participants", "Who took part", "参演人员", w.participants},
		{"injects", "Injects", "情景导入与预期", w.injects},
		{"times", "Times against targets", "用时与目标", w.times},
		{"steady", "Steady state before and after", "演练前后的稳态", w.steady},
		{"timeline", "Timeline", "时间线", w.timeline},
		{"lessons", "Deviations, findings, feedback", "偏差、问题与反馈", w.lessons},
		{"digests", "Digests and evidence", "摘要与证据", w.digests},
	} {
		w.blocks = nil
		c.write(e, x)
		if len(w.blocks) == 0 {
			w.add(page.Block{Missing: w.say("nothing of this was written down", "未记录")})
		}
		doc.Chapters = append(doc.Chapters, page.Chapter{ID: c.id, Title: w.say(c.en, c.zh), Blocks: w.blocks})
	}
	doc.Footer = w.say(fmt.Sprintf("Written by golive %s as of %s, from the ledger.", s.Version, w.moment(s.Now)),
		fmt.Sprintf("由 golive %s 于 %s 根据台账生成。", s.Version, w.moment(s.Now)))
	text := guard.Printable
	if !w.open {
		text = report.DiscreetText(w.plan)
	}
	return doc.Map(text)
}

// Verdict is what a drill came to, and what speaks against it. Of one that nobody has written down in full it is what the
// ledger says.
func Verdict(e guard.Entry) (guard.Verdict, []string) {
	if e.Exercise == nil {
		var against []string
		if e.Outcome != guard.Pass && e.Says != "" {
			against = []string{e.Says}
		}
		return e.Outcome, against
	}
	return e.Exercise.Result()
}

func (w *writer) announced(x *guard.Exercise) string {
	switch {
	case x == nil:
		return ""
	case x.Scripted:
		return w.say("yes, those who took part knew what would come", "是，参演人员事先知晓")
	}
	return w.say("no", "否")
}

func (w *writer) outcome(e guard.Entry, x guard.Exercise) {
	verdict, against := Verdict(e)
	how := w.say("computed from what was seen", "根据实测结果计算")
	if e.Exercise == nil {
		how = w.say("as the ledger has it: what was seen was not written down", "以台账为准：未记录演练过程")
	}
	result := w.word(verdict.String())
	if x.Aborted != "" {
		result = w.say("aborted, which is no pass", "中止（视为不通过）")
	}
	w.add(page.Block{Facts: w.facts("Outcome", "结论", result, "How that is known", "依据", how, "Took", "用时", w.span(e.Took))})
	if verdict != e.Outcome {
		w.add(page.Block{Missing: w.say("the ledger says ", "台账记载为") + w.word(e.Outcome.String()) + w.say(", which what was seen does not bear out", "，与实测不符")})
	}
	if len(against) > 0 {
		w.add(page.Block{Heading: w.say("What speaks against it", "不通过的原因")})
		w.add(page.Block{List: against})
	}
	if !e.OfToday(w.plan) {
		w.add(page.Block{Missing: w.say("this drill no longer counts: the plan does it in another way today", "本次演练已失效：预案中的做法已变更")})
	}
	if e.Says != "" && e.Exercise != nil {
		w.add(page.Block{Text: e.Says})
	}
}

func (w *writer) aims(_ guard.Entry, x guard.Exercise) {
	if len(x.Objectives) > 0 {
		w.add(page.Block{List: x.Objectives})
	}
	if x.Scope != "" {
		w.add(page.Block{Facts: w.facts("What it could touch", "影响范围", x.Scope)})
	}
}

func (w *writer) participants(_ guard.Entry, x guard.Exercise) {
	var rows [][]string
	for _, p := range x.Participants {
		rows = append(rows, []string{w.role(p.Role), p.Name, w.moment(p.Acked)})
	}
	w.table(rows, "Role", "角色", "Name", "姓名", "Acknowledged", "响应时间")
}

func (w *writer) injects(_ guard.Entry, x guard.Exercise) {
	var rows [][]string
	var tones []page.Tone
	for _, i := range x.Injects {
		tone := page.Good
		if !i.Met {
			tone = page.Bad
		}
		rows = append(rows, []string{"+" + i.After.String(), i.What, i.Expected, i.Observed, w.yes(i.Met)})
		tones = append(tones, tone)
	}
	if len(rows) > 0 {
		w.table(rows, "At", "时刻", "What happened", "情景", "Expected", "预期", "Observed", "实际", "Met", "达成")
		w.blocks[len(w.blocks)-1].Table.Tone = tones
	}
}

func (w *writer) times(_ guard.Entry, x guard.Exercise) {
	if x.Took == (guard.Spans{}) && x.Targets == (guard.Spans{}) && len(x.Owed) == 0 {
		return
	}
	var rows [][]string
	var tones []page.Tone
	for _, s := range []struct {
		en, zh     string
		took, most guard.Duration
	}{
		{"until it was noticed", "发现", x.Took.Detect, x.Targets.Detect},
		{"until somebody led", "启动应急响应", x.Took.Activate, x.Targets.Activate},
		{"until it did no more harm", "控制影响", x.Took.Contain, x.Targets.Contain},
		{"until the service was well again (RTO)", "服务恢复 (RTO)", x.Took.Recover, x.Targets.Recover},
		{"work that was lost (RPO)", "数据丢失 (RPO)", x.Took.Lost, x.Targets.Lost},
	} {
		took, kept, tone := w.span(s.took), "—", page.Calm
		switch {
		case s.took == 0:
			took = w.say("not measured", "未测量")
		case s.most > 0 && s.took <= s.most:
			kept, tone = w.yes(true), page.Good
		case s.most > 0:
			kept, tone = w.yes(false), page.Bad
		}
		rows, tones = append(rows, []string{w.say(s.en, s.zh), took, w.span(s.most), kept}), append(tones, tone)
	}
	w.table(rows, "What", "项目", "Took", "实测", "Target", "目标", "Kept", "达标")
	w.blocks[len(w.blocks)-1].Table.Tone = tones
	rows = nil
	for _, o := range x.Owed {
		rows = append(rows, []string{w.wordOf("due", string(o.Kind)), w.role(o.Role), w.moment(o.Since), w.moment(o.Until), w.moment(o.Met), w.wordOf("standing", o.Standing(x.Ended))})
	}
	w.table(rows, "Obligation", "义务", "Owed by", "责任角色", "Since", "起算", "Until", "期限", "Met", "完成", "State", "状态")
}

func (w *writer) steady(_ guard.Entry, x guard.Exercise) {
	var rows [][]string
	var tones []page.Tone
	for _, part := range []struct {
		en, zh string
		found  []guard.Finding
	}{{"before", "演练前", x.Before}, {"after", "演练后", x.After}, {"put back", "复原", x.Undone}} {
		for _, f := range part.found {
			tone := page.Bad
			switch f.Verdict {
			case guard.Pass:
				tone = page.Good
			case guard.Warn:
				tone = page.Doubt
			}
			rows = append(rows, []string{w.say(part.en, part.zh), f.Title, w.word(f.Verdict.String()), cmp.Or(f.Reason, f.Observed)})
			tones = append(tones, tone)
		}
	}
	if len(rows) > 0 {
		w.table(rows, "When", "时点", "What was asked", "检查内容", "Result", "结果", "What was found", "所见")
		w.blocks[len(w.blocks)-1].Table.Tone = tones
	}
}

func (w *writer) timeline(_ guard.Entry, x guard.Exercise) {
	var rows [][]string
	for _, m := range x.Timeline {
		rows = append(rows, []string{m.At.UTC().Format(time.DateTime), w.role(m.Who), m.What})
	}
	w.table(rows, "When (UTC)", "时间 (UTC)", "Who", "人员", "What", "事项")
}

func (w *writer) lessons(_ guard.Entry, x guard.Exercise) {
	for _, l := range []struct {
		en, zh string
		list   []string
	}{{"Deviations from the plan", "与预案的偏差", x.Deviations}, {"What is to be mended", "待整改问题", x.Findings}, {"Feedback", "反馈", x.Feedback}} {
		if len(l.list) > 0 {
			w.add(page.Block{Heading: w.say(l.en, l.zh)})
			w.add(page.Block{List: l.list})
		}
	}
}

func (w *writer) digests(e guard.Entry, x guard.Exercise) {
	plan := e.Plan
	if plan != "" && plan != w.plan.Digest() {
		plan += w.say(" (the plan has changed since)", "（预案此后已修订）")
	}
	w.add(page.Block{Facts: w.facts("Plan", "预案摘要", cmp.Or(plan, "—"), "Method", "方法摘要", cmp.Or(e.Method, "—"), "Method of today's plan", "现行方法摘要",
		cmp.Or(w.plan.Method(e.Kind, e.Subject), "—"), "Vault", "备份库摘要", e.Vault, "golive", "golive", x.Version)})
	var rows [][]string
	for _, v := range e.Evidence {
		rows = append(rows, []string{v.Asked, v.Answer, v.Digest})
	}
	w.table(rows, "Evidence", "证据", "What it says", "内容", "SHA-256", "SHA-256")
}
