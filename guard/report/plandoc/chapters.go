package plandoc

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/report/page"
)

// chapters is the table of the document. Each check stands beside one clause, and what is not named here stands in the
// appendix.
var chapters = []chapter{
	{"purpose", "Purpose and scope", "编制目的与适用范围", []clause{
		{en: "What this plan is for", zh: "编制目的", write: (*writer).purpose, checks: "plan.valid plan.scope plan.unique plan.owner"},
		{en: "What is promised", zh: "恢复目标", path: "objectives", write: (*writer).objectives, checks: "rto.evidence rpo.evidence"},
	}},
	{"organisation", "Organisation and duties", "组织架构与职责", []clause{
		{en: "Who does what", zh: "人员与职责", path: "roster.people", write: (*writer).people,
			checks: "roster.roles roster.depth roster.fresh contact.valid contact.reachable plan.acknowledged"},
		{en: "Who is on duty", zh: "值班安排", path: "roster.shifts", write: (*writer).shifts, checks: "roster.coverage roster.staffing"},
		{en: "Who answers for what", zh: "责任归属", path: "roster.owners", write: (*writer).owners, checks: "roster.owners"},
		{en: "Who knows what", zh: "专业技能", path: "roster.skills", write: (*writer).skills, checks: "roster.skills"},
	}},
	{"risks", "Risks and scenarios", "风险与场景", []clause{
		{en: "Risks", zh: "风险清单", path: "risks", write: (*writer).risks, checks: "risk.register"},
		{en: "Scenarios", zh: "突发事件场景", path: "scenarios", write: (*writer).scenarios, checks: "scenario.coverage"},
	}},
	{"monitoring", "Early warning and monitoring", "预警与监控", []clause{
		{en: "What is watched", zh: "监控指标", path: "watch.signals", write: (*writer).signals,
			checks: "metrics.live metrics.golden metrics.traffic metrics.baseline_green trace.live clock.skew"},
		{en: "Alerts", zh: "告警", write: (*writer).alerts, checks: "alert.path alerts.none incidents.none security.alerts"},
		{en: "Logs and inspections", zh: "日志与巡检", write: (*writer).inspections, checks: "logs.readable logs.space inspection.fresh"},
		{en: "When a launch may happen", zh: "发布窗口", path: "calendar", write: (*writer).calendar, checks: "window.allowed commit.checked commit.reviewed"},
	}},
	{"response", "Graded response", "分级响应", []clause{
		{en: "Levels of severity", zh: "事件分级", path: "severity", write: (*writer).severity, checks: "severity.defined"},
		{en: "Escalation", zh: "升级上报", path: "escalate", write: (*writer).escalation, checks: "escalation.defined"},
	}},
	{"procedure", "Procedure", "处置流程", []clause{
		{en: "How a version goes live", zh: "上线步骤", path: "rollout.steps", write: (*writer).steps, checks: "rollback.target rollback.compat release.quarantine"},
		{en: "The way back", zh: "回退与恢复步骤", write: (*writer).wayBack, checks: "rollback.dry_run rollback.drill rollback.time rollback.independent"},
		{en: "When going back does not help", zh: "回退无效时的措施", path: "recovery.resorts", write: (*writer).resorts, checks: "standby.ready standby.tested dns.fallback"},
		{en: "Evidence", zh: "证据保全", path: "evidence.collect", write: (*writer).evidence, checks: "evidence.ready"},
		{en: "Deadlines", zh: "时限要求", write: (*writer).deadlines, checks: "report.overdue actions.overdue"},
	}},
	{"recovery", "Backup and recovery", "备份与恢复", []clause{
		{en: "What is backed up", zh: "备份范围", path: "data", write: (*writer).stores, checks: "backup.coverage backup.plan_complete"},
		{en: "Copies", zh: "备份副本", path: "data[].backups", write: (*writer).copies, checks: "backup.age backup.321 backup.verify backup.size_sane backup.target_space",
			when: keepsData},
		{en: "Restoring", zh: "数据恢复", path: "data[].restore", write: (*writer).restores, checks: "backup.restore_path backup.restore_drill", when: keepsData},
	}},
	{"communication", "Communication", "沟通", []clause{
		{en: "Channels", zh: "通知渠道", path: "notify", write: (*writer).channels, checks: "comms.channel_test comms.inbound"},
		{en: "Agreed texts", zh: "通报模板", path: "messages", write: (*writer).messages, checks: "comms.templates"},
	}},
	{"resources", "Resources", "保障资源", []clause{
		{en: "Inventory", zh: "物资清单", path: "inventory", write: (*writer).inventory, checks: "inventory.present license.expiry"},
		{en: "Vendors", zh: "供应商", path: "roster.vendors", write: (*writer).vendors, checks: "vendor.contact vendor.contract vendor.sla"},
		{en: "Programs and capacity", zh: "工具与容量", write: (*writer).tools, checks: "tools.present capacity.headroom tls.expiry component.eol"},
	}},
	{"drills", "Drills and training", "演练与培训", []clause{
		{en: "Drills", zh: "演练计划", path: "drills", write: (*writer).drills, checks: "drill.fresh drill.rotation drill.findings_closed"},
		{en: "Training", zh: "培训", write: (*writer).training, checks: "training.fresh"},
	}},
	{"special", "Special clauses", "特殊条款", []clause{
		{en: "Launch in waves", zh: "分批上线", write: (*writer).waves, checks: "waves.defined", when: has(guard.LargeUpgrade)},
		{en: "Several time zones", zh: "跨境与多时区", write: (*writer).zones, checks: "roster.timezones", when: has(guard.CrossBorder)},
		{en: "New technology", zh: "新技术", checks: "newtech.validation", when: has(guard.NewTech)},
		{en: "Heightened watch", zh: "加强监控", checks: "watch.heightened", when: func(p *guard.Plan) bool { return p.Tier == guard.Critical || len(p.Clauses) > 0 }},
		{en: "Third parties", zh: "第三方依赖", write: (*writer).thirdParties, when: has(guard.ThirdParty)},
		{en: "Attestations", zh: "人工确认", write: (*writer).attestations, checks: "attest.fresh", when: func(p *guard.Plan) bool { return len(p.Attestations) > 0 }},
		{en: "Waivers", zh: "豁免", write: (*writer).waivers, checks: "waivers.good", when: func(p *guard.Plan) bool { return len(p.Checks.Waivers) > 0 }},
	}},
	{"changes", "Record of changes and approval", "修订记录与批准页", []clause{
		{en: "Approvals and reviews", zh: "批准与评审记录", write: (*writer).approvals, checks: "plan.approved plan.reviewed plan.drift plan.references plan.compared"},
		{en: "What is still owed", zh: "未完成事项", write: (*writer).owed, checks: "ledger.intact"},
	}},
	{"appendix", "Appendix", "附录", []clause{
		{en: "Contacts", zh: "通讯录", path: "roster.people", write: (*writer).contacts},
		{en: "Vendors", zh: "供应商联系方式", path: "roster.vendors", write: (*writer).vendorContacts},
		{en: "Checklist", zh: "检查清单", write: (*writer).checklist},
	}},
}

func has(c guard.Clause) func(*guard.Plan) bool {
	return func(p *guard.Plan) bool { return slices.Contains(p.Clauses, c) }
}

func keepsData(p *guard.Plan) bool { return len(p.Data) > 0 }

func (w *writer) purpose() {
	p := w.plan
	w.text(
		fmt.Sprintf("This plan says how %s goes live in %s, how harm is noticed, who leads then, and how the service comes back. golive carries it out as it stands here; whoever has to do so by hand finds the same words.", p.Service, p.Environment),
		fmt.Sprintf("本预案规定 %s 在 %s 环境中的上线方式、异常的发现方法、事件发生时的指挥人员以及服务恢复的步骤。golive 依照同一份文件执行；需要人工处置时，以本文为准。", p.Service, p.Environment))
	w.add(page.Block{Facts: w.facts(
		"Service", "服务", p.Service, "Environment", "环境", p.Environment, "Tier", "等级", w.word(string(p.Tier)),
		"Mode", "模式", w.word(string(p.Mode)), "Clauses", "特殊条款", w.clauseNames(), "Depends on", "依赖服务", strings.Join(p.DependsOn, ", "),
	)})
}

func (w *writer) clauseNames() string {
	var names []string
	for _, c := range w.plan.Clauses {
		names = append(names, w.word(string(c)))
	}
	return strings.Join(names, w.say(", ", "、"))
}

func (w *writer) objectives() {
	o := w.plan.Objectives
	if o == (guard.Objectives{}) {
		return
	}
	w.add(page.Block{Facts: w.facts(
		"Back within (RTO)", "恢复时间目标 (RTO)", w.span(o.RTO), "Work that may be lost (RPO)", "恢复点目标 (RPO)", w.span(o.RPO),
		"Last rehearsal of going back", "最近一次回退演练", w.last("drill.rollback", ""),
	)})
}

func (w *writer) people() {
	var rows [][]string
	for _, p := range w.plan.Roster.People {
		rows = append(rows, []string{w.role(p.Role), p.Name, w.yes(p.OnCall), p.TZ, w.reach(p.Reach)})
	}
	w.table(rows, "Role", "角色", "Name", "姓名", "Called at night", "夜间待命", "Time zone", "时区", "Reached by", "联系方式")
	if !w.plan.Roster.Verified.IsZero() {
		w.text("The roster was last gone through on "+w.date(w.plan.Roster.Verified)+".", "名单最近核对日期："+w.date(w.plan.Roster.Verified)+"。")
	}
}

func (w *writer) shifts() {
	s := w.plan.Roster.Shifts
	var rows [][]string
	for _, d := range s.List {
		when := d.When.String()
		if when == "" {
			when = d.From + " – " + d.To
		}
		rows = append(rows, []string{d.Name, when})
	}
	w.table(rows, "Name", "姓名", "When", "时间")
	if s.File != "" {
		w.text("Shifts are in the calendar "+s.File+".", "值班表见日历文件 "+s.File+"。")
	}
	if len(rows) > 0 || s.File != "" {
		w.text(fmt.Sprintf("At least %d on duty at every moment of a launch.", w.plan.Roster.MinOnDuty), fmt.Sprintf("上线期间任何时刻至少 %d 人值班。", w.plan.Roster.MinOnDuty))
	}
}

func (w *writer) owners() {
	var rows [][]string
	for _, of := range slices.Sorted(maps.Keys(w.plan.Roster.Owners)) {
		rows = append(rows, []string{of, w.plan.Roster.Owners[of]})
	}
	w.table(rows, "What", "事项", "Who", "责任人")
}

func (w *writer) skills() {
	var rows [][]string
	for _, skill := range w.plan.Roster.Skills {
		var who []string
		for _, p := range w.plan.Roster.People {
			if slices.Contains(p.Skills, skill) && !slices.Contains(who, p.Name) {
				who = append(who, p.Name)
			}
		}
		rows = append(rows, []string{skill, cmp.Or(strings.Join(who, ", "), w.say("nobody", "无人"))})
	}
	w.table(rows, "Skill", "技能", "Who", "人员")
}

func (w *writer) risks() {
	var rows [][]string
	for _, r := range w.plan.Risks {
		rows = append(rows, []string{r.Risk, w.word(r.Likelihood), w.word(r.Impact), r.Response})
	}
	w.table(rows, "Risk", "风险", "Likelihood", "可能性", "Impact", "影响", "Response", "应对措施")
}

func (w *writer) scenarios() {
	var rows [][]string
	seen := map[string]bool{}
	for _, s := range w.plan.Scenarios {
		seen[s.Name] = true
		action := s.Action
		if s.Accept != "" {
			action = w.say("accepted: ", "接受风险：") + s.Accept
		}
		rows = append(rows, []string{w.named("scenario", s.Name), s.Trigger, w.role(s.Owner), action, w.span(s.Within)})
	}
	w.table(rows, "Scenario", "场景", "How it is noticed", "触发条件", "Who leads", "负责人", "What is done first", "首要措施", "Within", "时限")
	if len(rows) == 0 {
		return
	}
	var without []string
	for _, class := range guard.Classes {
		if !seen[class] {
			without = append(without, w.named("scenario", class))
		}
	}
	if len(without) > 0 {
		w.add(page.Block{Missing: w.say("nothing is planned for ", "以下场景未作规定：") + strings.Join(without, w.say(", ", "、")) + w.say("; asked for by GL210", "；检查项：GL210")})
	}
}

func (w *writer) signals() {
	watch := w.plan.Watch
	var rows [][]string
	for _, s := range watch.Signals {
		var never []string
		c := s.Never
		if c.Rate > 0 {
			never = append(never, "> "+c.Rate.String())
		}
		for _, q := range []struct {
			name  string
			bound guard.Duration
		}{{"p50", c.P50}, {"p90", c.P90}, {"p95", c.P95}, {"p99", c.P99}} {
			if q.bound > 0 {
				never = append(never, q.name+" > "+w.span(q.bound))
			}
		}
		if c.Above != nil {
			never = append(never, fmt.Sprintf("> %g", *c.Above))
		}
		if c.Below != nil {
			never = append(never, fmt.Sprintf("< %g", *c.Below))
		}
		what := cmp.Or(s.Preset, strings.TrimSpace(s.Bad+" / "+s.Total), s.Histogram, s.Value)
		if s.Preset == "" && s.Bad == "" {
			what = cmp.Or(s.Histogram, s.Value, s.Total)
		}
		worse := "—"
		if s.MaxIncrease > 0 {
			worse = s.MaxIncrease.String()
		}
		rows = append(rows, []string{s.Name, what, worse, strings.Join(never, "\n")})
	}
	w.table(rows, "Signal", "指标", "What is counted", "计量对象", "Tolerated increase", "允许劣化", "Never", "绝对上限")
	facts := w.facts("Read from", "数据源", w.part(watch.Source), "Looked at every", "采样间隔", w.span(watch.Every),
		"Chance of going back wrongly", "误回退概率", watch.FalseRollback.String(),
		"Metrics gone for", "指标缺失判定", w.span(w.plan.Rollout.Blind.After)+w.say(", then ", "后：")+w.word(string(w.plan.Rollout.Blind.Then)))
	if watch.Fallback != nil {
		facts = append(facts, w.facts("Otherwise from", "备用数据源", w.part(*watch.Fallback))...)
	}
	w.add(page.Block{Facts: facts})
}

func (w *writer) alerts() {
	w.add(page.Block{Facts: w.facts("While an alert fires that began after the launch", "上线后出现新告警时", w.word(string(w.plan.Rollout.Alert.Then)))})
}

func (w *writer) inspections() {
	var rows [][]string
	for _, kind := range []string{"inspection.daily", "inspection.weekly"} {
		if _, found := w.Ledger.Newest(w.plan, guard.Result, kind, ""); found {
			rows = append(rows, []string{w.word(kind), w.last(kind, "")})
		}
	}
	w.table(rows, "Inspection", "巡检", "Last", "最近一次")
}

func (w *writer) calendar() {
	c := w.plan.Calendar
	var lines []string
	for _, window := range c.Allowed {
		lines = append(lines, window.String())
	}
	if len(lines) > 0 {
		w.add(page.Block{Facts: w.facts("Allowed", "允许时段", strings.Join(lines, "\n"))})
	}
	var rows [][]string
	for _, f := range c.Freezes {
		rows = append(rows, []string{w.date(f.From), w.date(f.To), cmp.Or(f.TZ, "UTC"), f.Reason, w.role(f.Owner)})
	}
	w.table(rows, "Frozen from", "封网起", "Until", "封网止", "Time zone", "时区", "Why", "原因", "Lifted by", "解除人")
}

func (w *writer) severity() {
	var rows [][]string
	for _, l := range w.plan.Severity {
		name := fmt.Sprint(l.Level)
		if l.Name != "" {
			name += " " + l.Name
		}
		rows = append(rows, []string{name, l.When, w.span(l.Activate), w.role(l.Lead), w.roles(l.Page), w.span(l.Update)})
	}
	w.table(rows, "Level", "级别", "When", "判定条件", "Somebody leads within", "响应时限", "Who leads", "指挥", "Who is called", "通知对象", "News every", "通报间隔")
	if len(rows) > 0 {
		w.text("The first level from the top whose condition holds is the one. What nobody can tell is not taken for harmless. Times run from detection: the first sample that spoke for harm.",
			"自上而下首个成立的条件即为事件级别；无法判断的不视为无害。时限自发现时起算，即首个异常样本出现之时。")
	}
}

func (w *writer) escalation() {
	var rows [][]string
	for _, e := range w.plan.Escalate {
		rows = append(rows, []string{w.span(e.After), w.roles(e.To), w.word(e.Unless)})
	}
	w.table(rows, "After detection", "发现后", "Who is told", "上报对象", "Unless", "除非")
}

func (w *writer) steps() {
	var rows [][]string
	for _, s := range w.plan.Rollout.Steps {
		rows = append(rows, []string{fmt.Sprintf("%d %%", s.Percent), s.Name, w.span(s.AtLeast), w.span(s.AtMost), s.Goal, s.Risk})
	}
	w.table(rows, "Share", "流量", "Who it reaches", "范围", "At least", "至少", "At most", "至多", "Goal", "目标", "Risk", "风险")
	r := w.plan.Rollout
	w.add(page.Block{Facts: w.facts("Traffic moved by", "流量切换", w.part(r.Backend), "Old version kept ready for", "旧版本保留", w.span(r.Bake.For),
		"Without enough evidence", "证据不足时", w.word(string(r.Scarce.Then)))})
}

// wayBack is the order of recovery, which never changes; only what the plan has for each step does.
func (w *writer) wayBack() {
	p, r := w.plan, w.plan.Recovery
	contain := w.say("nothing beside taking the traffic away", "除切走流量外无其他措施")
	if r.Contain != nil {
		contain = w.part(*r.Contain)
	}
	rows := [][]string{
		{w.say("Contain", "控制影响"), contain, w.span(r.Deadline.Contain)},
		{w.say("Keep evidence", "保全证据"), w.parts(p.Evidence.Collect), w.span(p.Evidence.Budget)},
		{w.say("Take the traffic back", "回退流量"), w.part(p.Rollout.Backend), w.span(p.Rollout.Deadline.Rollback)},
		{w.say("Verify", "验证"), w.parts(p.Rollout.Verify), w.span(p.Rollout.Deadline.Rollback)},
		{w.say("See whether it stays well", "观察稳定性"), w.say("by the limits of the signals", "依据监控指标上限"), w.span(r.Soak)},
		{w.say("Let the traffic in again", "恢复流量"), w.parts(r.Ramp), w.span(r.Soak)},
		{w.say("The business agrees", "业务确认"), w.role(r.SignOff), "—"},
		{w.say("Stand down", "解除应急"), w.role(r.StandDown), "—"},
	}
	for i := range rows {
		rows[i] = append([]string{fmt.Sprint(i + 1)}, rows[i]...)
	}
	w.table(rows, "", "", "Step", "步骤", "By", "执行", "Within", "时限")
	w.add(page.Block{Facts: w.facts("Depends on", "回退依赖", strings.Join(p.Rollout.Needs, ", "), "Last rehearsed", "最近演练", w.last("drill.rollback", ""))})
	for _, s := range p.Data {
		if s.ForwardOnly != "" {
			w.add(page.Block{Text: w.say("After an irreversible migration of ", "以下数据完成不可逆迁移后：") + s.Name + w.say(": ", "：") + s.ForwardOnly})
		}
	}
}

func (w *writer) resorts() {
	var rows [][]string
	for i, r := range w.plan.Recovery.Resorts {
		verify := r.Verify
		if len(verify) == 0 {
			verify = w.plan.Rollout.Verify
		}
		rows = append(rows, []string{fmt.Sprint(i + 1), r.Name, w.part(r.Do), r.Data, w.span(r.Within), w.role(r.Approval), w.parts(verify)})
	}
	w.table(rows, "", "", "Resort", "措施", "How", "方式", "Data", "数据", "Within", "时限", "Approved by", "批准", "Success test", "成功判据")
}

func (w *writer) evidence() {
	var rows [][]string
	for _, p := range w.plan.Evidence.Collect {
		rows = append(rows, []string{w.part(p)})
	}
	w.table(rows, "What is kept", "保全内容")
	if len(rows) > 0 {
		w.text("The way back waits for it at most "+w.span(w.plan.Evidence.Budget)+".", "回退最多为此等待 "+w.span(w.plan.Evidence.Budget)+"。")
	}
}

func (w *writer) deadlines() {
	t := w.plan.Recovery.Deadline
	w.table([][]string{
		{w.say("the harm is contained", "影响已受控制"), w.say("the decision to go back", "决定回退"), w.span(t.Contain)},
		{w.say("those who command have heard of it", "完成首次报告"), w.say("the decision to go back", "决定回退"), w.span(t.Report)},
		{w.say("vendors and the customer know, unless the cause does", "通知供应商与客户（原因已明除外）"), w.say("the decision to go back", "决定回退"), w.span(t.Vendor)},
		{w.say("the service is well again", "服务恢复"), w.say("detection", "发现"), w.span(w.plan.Objectives.RTO)},
		{w.say("everybody who heard of it knows that it is over", "通报恢复"), w.say("standing down", "解除应急"), w.span(t.Notice)},
		{w.say("the report is written", "提交处置报告"), w.say("standing down", "解除应急"), w.span(t.File)},
		{w.say("the plan has changed, or somebody has signed that it need not", "修订预案或签字确认无需修订"), w.say("the report", "提交报告"), w.span(t.Learn)},
	}, "What", "事项", "From", "起算", "Within", "时限")
}

func (w *writer) stores() {
	var rows [][]string
	for _, s := range w.plan.Data {
		rows = append(rows, []string{s.Name, w.word(s.Kind), w.yes(s.Critical), w.role(s.Owner), w.span(s.Schedule), w.span(s.Retention), w.word(s.Assurance.String())})
	}
	w.table(rows, "Store", "数据", "Kind", "类型", "Critical", "关键", "Owner", "负责人", "Backed up every", "备份周期", "Kept for", "保留期", "Proven", "验证等级")
	if len(rows) == 0 && w.plan.Writes("data") {
		w.text("The plan says that the service keeps no data.", "预案声明本服务不保存数据。")
	}
}

func (w *writer) copies() {
	var rows [][]string
	for _, s := range w.plan.Data {
		for _, b := range s.Backups {
			rows = append(rows, []string{s.Name, w.part(b.Part), b.Medium, w.yes(b.Offsite), w.span(b.MaxAge)})
		}
	}
	w.table(rows, "Store", "数据", "Vault", "备份位置", "Medium", "介质", "Elsewhere", "异地", "Newest at most", "最新备份不超过")
}

func (w *writer) restores() {
	var rows [][]string
	for _, s := range w.plan.Data {
		if s.Restore != nil {
			rows = append(rows, []string{s.Name, w.part(s.Restore.Part), w.span(s.Restore.Expected), w.last("drill.restore", s.Name)})
		}
	}
	w.table(rows, "Store", "数据", "How", "恢复方式", "Takes", "预计用时", "Last restored for practice", "最近恢复演练")
}

func (w *writer) channels() {
	var rows [][]string
	for _, c := range w.plan.Notify {
		serves := w.roles(c.For)
		if serves == "" {
			serves = w.say("the team", "团队")
		}
		rows = append(rows, []string{c.Use, serves})
	}
	w.table(rows, "Channel", "渠道", "Whom it reaches", "对象")
}

func (w *writer) messages() {
	var rows [][]string
	for _, m := range w.plan.Messages {
		rows = append(rows, []string{w.named("scenario", m.Scenario), w.role(m.Audience), cmp.Or(m.Language, w.plan.Language), string(m.Text)})
	}
	w.table(rows, "Scenario", "场景", "For", "对象", "Language", "语言", "Text", "内容")
}

func (w *writer) inventory() {
	var rows [][]string
	for _, a := range w.plan.Inventory {
		contact := a.Contact
		if !w.open && contact != "" {
			contact = w.say("(left out)", "（已隐去）")
		}
		rows = append(rows, []string{a.Name, w.word(a.Kind), fmt.Sprintf("%d / %d", a.Quantity, a.Minimum), a.Owner, contact, w.date(a.Expires)})
	}
	w.table(rows, "What", "名称", "Kind", "类别", "There / needed", "现有/最低", "Owner", "保管人", "Contact", "联系方式", "Good until", "有效期至")
}

func (w *writer) vendors() {
	var rows [][]string
	for _, v := range w.plan.Roster.Vendors {
		rows = append(rows, []string{v.Name, v.Contract.ID, w.date(v.Contract.Until), w.span(v.SLA.Respond), v.SLA.Hours.String()})
	}
	w.table(rows, "Vendor", "供应商", "Contract", "合同", "Until", "有效期至", "Answers within", "响应时限", "Hours", "服务时间")
}

func (w *writer) tools() {
	var rows [][]string
	for _, t := range w.plan.Tools {
		rows = append(rows, []string{t.Name, t.AtLeast})
	}
	w.table(rows, "Program", "工具", "Version at least", "最低版本")
}

func (w *writer) drills() {
	var rows [][]string
	for _, d := range w.plan.Drills {
		kind := "drill." + d.Name
		about := cmp.Or(d.Data, strings.Join(d.Scenarios, ", "))
		rows = append(rows, []string{w.role(d.Name), about, w.span(d.Every), w.last(kind, d.Data), w.next(kind, d.Data, d.Every)})
	}
	w.table(rows, "Drill", "演练", "What is rehearsed", "内容", "Every", "周期", "Last", "最近一次", "Next", "下次")
}

func (w *writer) training() {
	var rows [][]string
	seen := map[string]bool{}
	for _, p := range w.plan.Roster.People {
		if !seen[p.Name] {
			seen[p.Name] = true
			if _, found := w.Ledger.Newest(w.plan, guard.Result, "training", p.Name); found {
				rows = append(rows, []string{p.Name, w.last("training", p.Name)})
			}
		}
	}
	w.table(rows, "Name", "姓名", "Last trained", "最近培训")
}

func (w *writer) waves() {
	w.text("The launch comes in waves: see the steps of the procedure.", "上线分批进行：见处置流程中的上线步骤。")
}

func (w *writer) zones() {
	zones := map[string][]string{}
	for _, p := range w.plan.Roster.People {
		zone := cmp.Or(p.TZ, w.say("not said", "未填写"))
		if !slices.Contains(zones[zone], p.Name) {
			zones[zone] = append(zones[zone], p.Name)
		}
	}
	var rows [][]string
	for _, zone := range slices.Sorted(maps.Keys(zones)) {
		rows = append(rows, []string{zone, strings.Join(zones[zone], ", ")})
	}
	w.table(rows, "Time zone", "时区", "Who", "人员")
}

func (w *writer) thirdParties() {
	w.text("The service depends on vendors: see the resources and the escalation.", "服务依赖供应商：见保障资源与升级上报。")
}

func (w *writer) attestations() {
	var rows [][]string
	for _, a := range w.plan.Attestations {
		last := w.say("never", "无记录")
		if e, found := w.Ledger.Newest(w.plan, guard.Attested, a.Kind, ""); found {
			last = fmt.Sprintf("%s, %s: %s", w.moment(e.At), e.By, guard.Line(e.Says, 120))
		}
		rows = append(rows, []string{a.Kind, w.span(a.Within), last})
	}
	w.table(rows, "What is stated", "确认事项", "Every", "周期", "Last", "最近一次")
}

func (w *writer) waivers() {
	var rows [][]string
	for _, v := range w.plan.Checks.Waivers {
		state := w.say("in force", "生效中")
		if err := v.Holds(w.plan.Roster, w.Now); err != nil {
			state = w.say("does not count: ", "不生效：") + err.Error()
		}
		name := v.Check
		if v.Subject != "" {
			name += " (" + v.Subject + ")"
		}
		rows = append(rows, []string{name, v.Reason, v.By, v.ApprovedBy, w.date(v.Expires), state})
	}
	w.table(rows, "Check", "检查项", "Why", "理由", "Asked for by", "申请人", "Approved by", "批准人", "Last day", "截止日", "State", "状态")
}

// approvals are what people have said of the plan, the newest first.
func (w *writer) approvals() {
	var rows [][]string
	today := w.plan.Digest()
	for _, e := range slices.Backward(w.Ledger.Entries) {
		if !strings.HasPrefix(e.Kind, "plan.") || !e.For(w.plan.Service, w.plan.Environment) {
			continue
		}
		about := w.say("this plan, as it stands", "本预案（现行版本）")
		switch {
		case e.Plan == "":
			about = w.say("not said", "未注明")
		case e.Plan != today:
			about = w.say("an earlier plan: ", "早期版本：") + e.Plan[:min(12, len(e.Plan))]
		}
		rows = append(rows, []string{w.moment(e.At), w.word(e.Kind), e.By, guard.Line(e.Says, 200), about})
	}
	if len(rows) == 0 {
		w.add(page.Block{Missing: w.say("nobody has approved or reviewed the plan, as far as the ledger knows: golive attest plan.approved --by NAME --says WHAT",
			"台账中没有批准或评审记录：golive attest plan.approved --by NAME --says WHAT")})
		return
	}
	w.table(rows, "When", "时间", "What", "事项", "Who", "人员", "Says", "说明", "About", "针对版本")
}

func (w *writer) owed() {
	var rows [][]string
	for _, e := range w.Ledger.Owed(w.plan.Service) {
		state := w.say("open", "未完成")
		if w.Now.After(e.Until) {
			state = w.say("overdue", "已逾期")
		}
		rows = append(rows, []string{e.ID, w.word(e.Kind), guard.Line(cmp.Or(e.Says, e.Subject), 200), e.By, w.moment(e.Until), state})
	}
	if len(rows) == 0 && !w.Ledger.Missing && w.Ledger.Broken == "" {
		w.text("Nothing is owed, as far as the ledger knows.", "据台账记载，没有未完成事项。")
		return
	}
	w.table(rows, "ID", "编号", "Kind", "类别", "What", "内容", "By", "责任人", "Due", "期限", "State", "状态")
}

func (w *writer) contacts() {
	var rows [][]string
	seen := map[string]bool{}
	for _, p := range w.plan.Roster.People {
		if seen[p.Name] {
			continue
		}
		seen[p.Name] = true
		var held []string
		for _, q := range w.plan.Roster.People {
			if q.Name == p.Name {
				held = append(held, q.Role)
			}
		}
		rows = append(rows, []string{p.Name, w.roles(held), w.reach(p.Reach)})
	}
	w.table(rows, "Name", "姓名", "Roles", "角色", "Reached by", "联系方式")
}

func (w *writer) vendorContacts() {
	var rows [][]string
	for _, v := range w.plan.Roster.Vendors {
		rows = append(rows, []string{v.Name, w.reach(v.Reach)})
	}
	w.table(rows, "Vendor", "供应商", "Reached by", "联系方式")
}

// checklist is every check, with what it answers of the demands on an emergency plan, and a box for a pen.
func (w *writer) checklist() {
	var rows [][]string
	var tones []page.Tone
	for _, c := range w.Checks {
		var demands []string
		for _, s := range c.S {
			demands = append(demands, fmt.Sprintf("S%d", s))
		}
		title := cmp.Or(c.Title, c.ID)
		if named := zhTitles[c.ID]; w.zh() && named != "" {
			title = named
		}
		result, tone, _ := w.result(c)
		result, _, _ = strings.Cut(result, "\n")
		if c.For(w.plan) == guard.Off {
			result, tone = w.word("off"), page.Calm
		}
		rows = append(rows, []string{"☐", c.Code, title, w.word(c.For(w.plan).String()), strings.Join(demands, " "), result})
		tones = append(tones, tone)
	}
	if len(rows) == 0 {
		return
	}
	w.table(rows, "", "", "Code", "编号", "Check", "检查项", "Need", "要求", "Demands", "对应条款", "Last result", "最近结果")
	w.blocks[len(w.blocks)-1].Table.Tone = tones
}
