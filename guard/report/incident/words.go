package incident

import (
	"fmt"
	"strings"
	"time"

	"github.com/golive-dev/golive/guard"
)

// A language is what the words around the facts are in: en, or zh. Any other is English.
type language string

// Languages are those that a report can be written in.
var Languages = []string{"en", "zh"}

// say is a text of words, with values in it.
func (w language) say(key string, values ...any) string {
	text, known := words[key]
	if !known {
		panic("no words for " + key)
	}
	in := text[0]
	if w == "zh" {
		in = text[1]
	}
	if len(values) == 0 {
		return in
	}
	return fmt.Sprintf(in, values...)
}

// name is the word for one of a family of names, such as outcome and "rolled back"; of one that is not known it is the name.
func (w language) name(family, name string) string {
	if said := guard.Chinese(family, name); w == "zh" && said != "" {
		return said
	}
	if _, known := words[family+"_"+name]; known {
		return w.say(family + "_" + name)
	}
	if name == "" {
		return w.say("unknown")
	}
	return name
}

// took is a time span as people of the language write it.
func (w language) took(d guard.Duration) string {
	text := d.String()
	if w != "zh" {
		return text
	}
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		switch {
		case strings.HasPrefix(text[i:], "ms"):
			b.WriteString(" 毫秒 ")
			i++
		case text[i] == 'd':
			b.WriteString(" 天 ")
		case text[i] == 'h':
			b.WriteString(" 小时 ")
		case text[i] == 'm':
			b.WriteString(" 分 ")
		case text[i] == 's':
			b.WriteString(" 秒 ")
		default:
			b.WriteByte(text[i])
		}
	}
	return strings.TrimSpace(b.String())
}

// span is the time between two moments, or that it is not known.
func (w language) span(s Span) string {
	if !s.Known {
		return w.say("unknown")
	}
	return w.took(s.Took)
}

// line is one line of the timeline. Of something that was done, the first value is what, the second what came of it, and the
// rest belongs to the first.
func (w language) line(l Line) string {
	if l.Says == "line_done" || l.Says == "line_undone" {
		return strings.TrimRight(w.say(l.Says, w.deed(l.With[0], l.With[2:]), l.With[1]), ":： ")
	}
	values := make([]any, len(l.With))
	for i, v := range l.With {
		values[i] = v
	}
	for i, family := range families[l.Says] {
		if family != "" && i < len(values) {
			values[i] = w.name(family, l.With[i])
		}
	}
	return strings.TrimRight(strings.TrimSpace(w.say(l.Says, values...)), ":： ")
}

// waived is why nobody owes something any more.
func (w language) waived(why string) string {
	if by, stood := strings.CutPrefix(why, "stood down by "); stood {
		return w.say("waive_stood_down", w.role(by))
	}
	return w.name("waive", why)
}

// role is a role of the roster, or the name of an account.
func (w language) role(name string) string { return w.name("role", name) }

func (w language) roles(names []string) string {
	all := make([]string, len(names))
	for i, name := range names {
		all[i] = w.role(name)
	}
	return strings.Join(all, w.say("comma"))
}

// deed is something that was done.
func (w language) deed(name string, with []string) string {
	values := make([]any, len(with))
	for i, v := range with {
		values[i] = v
	}
	return w.say("deed_"+name, values...)
}

// families says which values of a line are names that have words of their own.
var families = map[string][]string{
	"line_opened": {"purpose"}, "line_ordered": {"verb"}, "line_phase": {"phase"}, "line_breached": {"due", "role"}, "line_over": {"outcome"},
	"line_stated_answer": {"field"}, "line_stated_sign-off": {"role"}, "line_stated_action": {"role"},
}

// unless is a text, or that nobody knows.
func (w language) unless(text string) string {
	if text == "" {
		return w.say("unknown")
	}
	return text
}

// place is the time zone in which times are told.
func (r *Report) place() *time.Location {
	if r.zone == nil {
		return time.UTC
	}
	return r.zone
}

// clock is a time of the day, in the zone of the report.
func (r *Report) clock(at time.Time) string { return at.In(r.place()).Format(time.TimeOnly) }

// stamp is a moment in the zone of the report.
func (r *Report) stamp(at time.Time) string {
	return at.In(r.place()).Format("2006-01-02 15:04:05 -07:00")
}

// words is what a report says in English and in Chinese. Verbs of both have the same values in the same order. What has no
// Chinese here is a name, whose Chinese guard.Chinese has.
var words = map[string][2]string{
	"comma": {", ", "，"}, "colon": {": ", "："}, "unknown": {"unknown", "未知"}, "none": {"none", "无"}, "yes": {"yes", "是"}, "no": {"no", "否"},
	"stop": {". ", "。"}, "nobody": {"nobody", "无人"},

	"title_incident": {"Incident report: %s, %s", "应急处置报告：%s，%s"},
	"title_rollback": {"Rollback report: %s, %s", "回退报告：%s，%s"},
	"title_watch":    {"Watch report: %s, %s", "上线观察报告：%s，%s"},
	"subtitle":       {"What happened, what was done, what it cost, and what is still to be said", "事发经过、处置过程、处置结果、原因分析与改进建议"},
	"footer":         {"Written by golive from the journal %s, records 1 to %d, last hash %s. The same journal is the same report.", "由 golive 依据日志 %s（第 1 至 %d 条记录，末条哈希 %s）生成；同一日志生成同一报告。"},
	"note_broken":    {"The journal could be read up to record %d only, and this report is about that part: %s", "日志只能读到第 %d 条记录，本报告仅涉及该部分：%s"},
	"note_open":      {"The rollout is not over (%s): this report says what was known at its last record.", "发布尚未结束（%s）：本报告只反映截至最后一条记录的情况。"},
	"note_missing":   {"What only people can say is not yet filled: %d fields.", "尚有 %d 项须由人员填写的内容未填写。"},
	"note_quoted":    {"Sentences of golive and of tools are quoted from the journal as they stand there.", "引自日志的 golive 与工具原文，保持原样（多为英文）。"},

	"cover_id": {"Rollout", "发布编号"}, "cover_service": {"Service, environment", "服务与环境"}, "cover_change": {"Version", "版本"},
	"cover_outcome": {"Outcome", "结果"}, "cover_cause": {"Reason for going back", "回退触发原因"}, "cover_severity": {"Severity", "事件级别"},
	"cover_plan": {"Plan", "应急预案"}, "cover_digest": {"Digest of the plan", "预案摘要值"}, "cover_status": {"Status", "报告状态"},
	"cover_owner": {"Owes the report", "报告责任角色"}, "cover_due": {"Due", "应提交时间"}, "cover_filed": {"Filed", "提交时间"},
	"cover_late": {"Late by", "逾期"}, "cover_asof": {"As of", "数据截至"}, "cover_scenario": {"Kind of trouble", "事件类型"}, "cover_mode": {"Mode", "模式"},
	"level": {"level %d%s", "%d 级%s"}, "level_of": {"%s since %s, %s: %s", "%s，自 %s，%s：%s"}, "by_rules": {"by the rules of the plan", "按预案规则"}, "by_person": {"by %s", "由 %s 判定"},
	"no_level": {"none was given", "未定级"}, "no_due": {"no deadline is known", "无已知期限"}, "not_filed": {"not yet", "尚未提交"}, "not_late": {"not late", "未逾期"},
	"status_draft": {"draft", "草稿"}, "status_in review": {"in review", "审核中"}, "status_reviewed": {"reviewed", "已审核"}, "status_closed": {"closed", "已关闭"},
	"mode_enforce": {"enforce: golive acts", "执行（golive 自动处置）"}, "mode_observe": {"observe: golive says what it would do, and touches nothing", "观察（golive 只报告，不操作）"},

	"chapter_summary": {"Summary", "概要"}, "chapter_impact": {"Impact", "影响"}, "chapter_times": {"Times", "关键时间"}, "chapter_timeline": {"Timeline", "时间线"},
	"chapter_detection": {"Detection", "发现"}, "chapter_decision": {"Decision", "决策依据"}, "chapter_executed": {"Actions executed", "已执行的操作"},
	"chapter_verification": {"Recovery, verified", "恢复与核实"}, "chapter_communications": {"Communications", "通报记录"}, "chapter_cause": {"Cause", "原因"},
	"chapter_lessons": {"What went well, what went wrong, where we were lucky", "做得好的、做得不好的与侥幸之处"}, "chapter_items": {"Action items", "整改事项"},
	"chapter_changes": {"Changes to the plan", "预案修订建议"}, "chapter_launch": {"Waivers, and what was known at launch", "上线前检查与豁免"},
	"chapter_evidence": {"Evidence", "证据清单"}, "chapter_proof": {"Proof", "日志与台账证明"}, "chapter_appendix": {"Appendix", "附录"}, "chapter_header": {"About this report", "报告信息"},
	"group_basics": {"基本情况", "基本情况"}, "group_course": {"事发经过", "事发经过"}, "group_response": {"处置过程", "处置过程"}, "group_result": {"处置结果", "处置结果"},
	"group_cause": {"原因分析", "原因分析"}, "group_better": {"改进建议", "改进建议"}, "group_attached": {"附件", "附件"},

	"missing_field": {"%s — not yet filled (due %s). To fill it: golive answer %s \"...\"", "%s — 尚未填写（应于 %s 前填写）。填写方法：golive answer %s \"……\""},
	"missing_cause": {"What made it happen — not yet filled (due %s). To fill it: golive cause \"...\"", "直接原因 — 尚未填写（应于 %s 前填写）。填写方法：golive cause \"……\""},
	"missing_items": {"Action items — not yet filled (due %s). To add one: golive action \"...\" --class prevent --owner ROLE --due DAY", "整改事项 — 尚未填写（应于 %s 前填写）。填写方法：golive action \"……\" --class prevent --owner 角色 --due 日期"},
	"nothing_asked": {"Nothing was taken back, so nothing is asked of anybody here.", "本次上线没有回退，此处无须填写。"},
	"field_summary": {"Summary", "概要"}, "field_trigger": {"Trigger", "触发因素"}, "field_factors": {"Contributing factors", "促成因素"}, "field_whys": {"Five whys", "五个为什么"},
	"field_surprise": {"Why we were surprised", "为何出乎意料"}, "field_well": {"What went well", "做得好的"}, "field_wrong": {"What went wrong", "做得不好的"},
	"field_lucky": {"Where we were lucky", "侥幸之处"}, "field_false_positive": {"Was it a false alarm?", "是否误判"}, "field_plan_change": {"What changes in the plan, or why nothing does, and who signs that", "预案如何修订；若不修订，说明理由与签字人"},

	"outcome_live": {"live", "已上线"}, "outcome_unfinished": {"live, but not finished", "已上线但未收尾"}, "outcome_no-go": {"no-go", "不予上线"}, "outcome_unknown": {"no-go, since it could not be found out", "无法判定，不予上线"},
	"outcome_overdue": {"time ran out before anything was decided", "超时未决"}, "outcome_stopped": {"stopped before any traffic was moved", "未切流量即停止"}, "outcome_rolled back": {"rolled back, verified", "已回退并核实"},
	"outcome_rollback failed": {"ROLLBACK FAILED: it is not certain that the old version has the traffic", "回退失败：不能确定旧版本已接管流量"}, "outcome_would roll back": {"would have gone back (observe mode)", "本应回退（观察模式）"},
	"outcome_recovered": {"recovered by other means, verified", "通过其他手段恢复并核实"}, "outcome_forward only": {"there was no way back: contained, and people were called", "无法回退：已控制并通知人员"},
	"not_over": {"not over yet: %s", "尚未结束：%s"},

	"cause_regressed": {"the new version does harm", "新版本造成损害"}, "cause_blind": {"the metrics were gone", "指标丢失"}, "cause_scarce": {"not enough evidence in the time of the step", "在步骤时限内证据不足"},
	"cause_stuck": {"the traffic could not be moved", "流量无法切换"}, "cause_ordered": {"a person said so", "人工下令"}, "cause_interrupted": {"golive was asked to end", "golive 被要求终止"},
	"cause_drift": {"somebody else took the traffic away", "他人移走了流量"}, "cause_alert": {"an alert fired that did not before", "出现新的告警"},

	"phase_checking": {"checking", "检查"}, "phase_shifting": {"moving the traffic", "切换流量"}, "phase_watching": {"watching", "观察"}, "phase_baking": {"baking", "稳定期观察"}, "phase_finishing": {"finishing", "收尾"},
	"phase_restoring": {"taking the traffic back", "回退流量"}, "phase_verifying": {"verifying", "核实"}, "phase_containing": {"containing", "控制影响"}, "phase_preserving": {"keeping evidence", "保全证据"},
	"phase_resorting": {"trying other means", "尝试其他手段"}, "phase_soaking": {"seeing whether it stays well", "恢复后观察"}, "phase_ramping": {"letting traffic in again", "逐步放量"}, "phase_over": {"over", "已结束"},

	"purpose_rollout": {"rollout", "发布"}, "purpose_watch": {"watch", "观察"}, "purpose_rollback": {"rollback", "回退"},
	"verb_rollback": {"going back", "回退"}, "verb_hold": {"holding", "暂停"}, "verb_resume": {"going on", "继续"}, "verb_proceed": {"the next step without enough evidence", "证据不足时进入下一步"},
	"verb_extend": {"more time for the step", "延长步骤时间"}, "verb_conclude": {"the end of the watch", "结束观察"},

	"scenario_bad_release": {"bad release"}, "scenario_crash": {"crash"}, "scenario_network": {"network"}, "scenario_hardware": {"hardware"}, "scenario_data_loss": {"data loss"},
	"scenario_data_leak": {"data leak"}, "scenario_vulnerability": {"vulnerability"}, "scenario_attack": {"attack"}, "scenario_operator_error": {"operator error"}, "scenario_vendor_outage": {"vendor outage"},

	"summary_incident": {"%s, in the place of %s, got at most %d %% of the traffic of %s (%s) and was taken back: %s.", "%s（原版本 %s）最多承接了 %[4]s（%[5]s）%[3]d %% 的流量后被回退：%[6]s。"},
	"summary_watch":    {"%s of %s (%s) ended as: %s. The new version was seen with at most %d %% of the traffic.", "%[2]s（%[3]s）的%[1]s结果：%[4]s。新版本最多承接 %[5]d %% 的流量。"},
	"summary_times":    {"Time to detect %s, to contain %s, to restore %s.", "发现用时 %s，控制用时 %s，恢复用时 %s。"},
	"summary_cost":     {"Bad requests above those of the old version: %s.", "高于旧版本水平的异常请求：%s。"},

	"impact_method":  {"Counted from the readings in the journal up to %s: of all requests of the new version, the bad ones minus the share of bad ones on the old version at the same time (bad − share of the old version × requests; not below zero). What failed after the last reading, while the traffic went back, was not counted.", "统计依据为日志中截至 %s 的读数：新版本的异常请求数减去同期旧版本异常比例乘以新版本请求数（异常数 − 旧版本比例 × 请求数；不低于零）。最后一次读数之后、流量回退期间的失败未计入。"},
	"impact_nothing": {"No reading of the new version is in the journal, so what it cost is not known.", "日志中没有新版本的读数，影响未知。"},
	"head_signal":    {"signal", "信号"}, "head_new": {"new version: bad / all", "新版本：异常 / 全部"}, "head_old": {"old version: bad / all", "旧版本：异常 / 全部"}, "head_excess": {"above the old version", "超出旧版本"},
	"no_compare":     {"unknown: there was no old version to compare with", "未知：没有可比较的旧版本"},
	"observations":   {"of a gauge: observations above its bound", "（瞬时值：超出界限的观测数）"},
	"impact_exposed": {"Traffic on the new version until contained", "新版本承接流量至受控的时长"}, "impact_peak": {"Greatest share of the traffic", "最大流量占比"}, "impact_users": {"Users hit", "受影响用户"}, "impact_regions": {"Regions", "受影响地区"},
	"impact_budget": {"Error budget burnt", "消耗的错误预算"}, "no_users": {"unknown: golive counts requests, not users", "未知：golive 统计请求数，不统计用户数"}, "no_regions": {"unknown: golive does not tell regions apart", "未知：golive 不区分地区"}, "no_budget": {"unknown: golive does not reckon with error budgets", "未知：golive 不计算错误预算"},
	"avoided": {"Avoided (an estimate)", "避免的影响（估算）"},
	"avoided_text": {"ESTIMATE, not a count: had the rollout gone on by the plan at the quickest, about %s more bad requests (%s). Formula: excess share × requests per second × seconds at full traffic = %s × %s/s × %s s, where the last is the sum of share × shortest time over the further steps (%s %%) and the bake (%s).",
		"估算，并非统计：若发布按预案以最快速度继续，预计将多出约 %s 个异常请求（%s）。公式：超出比例 × 每秒请求数 × 折合全量流量秒数 = %s × %s/秒 × %s 秒，其中末项为后续各步骤（%s %%）的占比 × 最短时间与稳定期（%s）之和。"},
	"avoided_unknown": {"Unknown: nothing that could be compared was counted on the step that decided.", "未知：作出决策的步骤上没有可比较的计数。"},
	"avoided_observe": {"Nothing was avoided: in mode observe golive has taken nothing back.", "未避免任何影响：观察模式下 golive 未执行回退。"},
	"avoided_none":    {"Nothing was avoided by going back: it did not go back because of what golive has measured.", "不适用：并非依据 golive 的测量而回退。"},

	"times_zone": {"The plan's time zone is %s.", "预案时区：%s。"}, "head_moment": {"moment", "时刻"}, "head_zone": {"time (%s)", "时间（%s）"}, "head_utc": {"UTC", "UTC"}, "head_record": {"record", "记录"},
	"moment_introduced": {"introduced", "引入"}, "moment_detected": {"detected", "发现"}, "moment_decided": {"decided", "决策"}, "moment_activated": {"activated", "启动应急响应"}, "moment_contained": {"contained", "控制"},
	"moment_preserved": {"evidence kept", "证据保全"}, "moment_reverted": {"reverted", "回退"}, "moment_verified": {"verified", "核实"}, "moment_steady": {"steady", "稳定"}, "moment_signed_off": {"signed off", "业务确认"},
	"moment_over": {"rollout over", "发布结束"}, "moment_stood_down": {"stood down", "解除响应"}, "moment_filed": {"report filed", "报告提交"},
	"not_known_here": {"not so far", "暂无"},
	"span_ttd":       {"TTD, introduced to detected", "发现用时 TTD（引入→发现）"}, "span_ttc": {"TTC, detected to contained", "控制用时 TTC（发现→控制）"}, "span_ttm": {"TTM, introduced to contained", "缓解用时 TTM（引入→控制）"}, "span_ttr": {"TTR, detected to verified", "恢复用时 TTR（发现→核实）"},
	"obligations": {"Obligations", "时限义务"}, "head_due": {"obligation", "义务"}, "head_role": {"role", "责任角色"}, "head_until": {"by", "时限"}, "head_standing": {"standing", "状态"}, "head_margin": {"margin", "余量"},
	"standing_met": {"met"}, "standing_met late": {"met late"}, "standing_breached": {"breached"}, "standing_waived": {"waived"}, "standing_open": {"open"},
	"margin_left": {"%s to spare", "提前 %s"}, "margin_late": {"%s late", "逾期 %s"}, "no_obligations": {"None began: the plan has nobody answer for this, or nothing that it asks for has happened.", "无：预案未规定响应责任，或未发生相应情形。"},
	"due_activate": {"somebody leads"}, "due_contain": {"contained"}, "due_initial_report": {"first report"}, "due_update": {"update"}, "due_vendor": {"vendor and customer know"},
	"due_recovered": {"recovered"}, "due_recovery_notice": {"notice that it is over"}, "due_report_filed": {"report filed"}, "due_learned": {"learned"},

	"head_time": {"time", "时间"}, "head_who": {"who", "执行者"}, "head_what": {"what", "事项"},
	"line_opened": {"the %s begins: %s", "%s开始：%s"}, "line_glass": {"BREAK-GLASS, approved by %s: %s", "强制放行，由 %s 批准：%s"}, "line_resumed": {"another process goes on, after %s", "另一进程接续，间隔 %s"},
	"line_ordered": {"ordered %s: %s", "下令%s：%s"}, "line_alert": {"alert %s fires: %s", "告警 %s 触发：%s"}, "line_alert_ended": {"alert %s ends: %s", "告警 %s 结束：%s"}, "line_noted": {"note: %s", "备注：%s"},
	"line_acknowledged": {"has taken notice, and looks after it", "已确认并负责处理"}, "line_interrupted": {"golive was asked to end (%s)", "golive 被要求终止（%s）"}, "line_checked": {"the checks have answered: %s", "检查完成：%s"},
	"line_shifted": {"the backend took the order: %s %%", "后端接受指令：%s %%"}, "line_back": {"going back: %s", "开始回退：%s"}, "line_phase": {"%s: %s", "%s：%s"}, "line_suspect": {"the readings begin to speak for harm: %s", "读数开始显示损害：%s"},
	"line_unsuspect": {"the readings speak for harm no more: %s", "读数不再显示损害：%s"}, "line_unread": {"the source could not be read: %s", "无法读取指标：%s"}, "line_verified": {"the way back is verified%s", "回退已核实%s"},
	"line_unverified": {"the way back is not verified: %s", "回退未核实：%s"}, "line_finished": {"the old version may be retired", "旧版本可以下线"}, "line_done": {"%s, done: %s", "%s，完成：%s"}, "line_undone": {"%s has not helped: %s", "%s未奏效：%s"},
	"line_gathered": {"evidence kept: %s pieces", "证据保全：%s 件"}, "line_told": {"told through %s: %s", "经 %s 通报：%s"}, "line_failed": {"could not be done: %s", "未能完成：%s"}, "line_breached": {"not done in time: %s (%s)", "未按时完成：%s（%s）"},
	"line_over": {"over: %s", "结束：%s"}, "line_level": {"level %s: %s", "%s 级：%s"},
	"line_stated_cause": {"cause: %s", "原因：%s"}, "line_stated_severity": {"severity set to level %s: %s", "定为 %s 级：%s"}, "line_stated_sign-off": {"signed off as %s", "以 %s 身份确认"}, "line_stated_stand-down": {"stood down: %s", "解除响应：%s"},
	"line_stated_contacted": {"%s knows, reference %s", "已通知 %s，编号 %s"}, "line_stated_action": {"action item for %s: %s", "整改事项（%s）：%s"}, "line_stated_answer": {"%s: %s", "%s：%s"}, "line_stated_filed": {"report filed, SHA-256 %s", "报告已提交，SHA-256 %s"},
	"line_stated_learned": {"learned: %s", "已吸取教训：%s"},

	"detected_by": {"Noticed by", "发现方式"}, "by_judge": {"golive, from the counts of both versions", "golive（依据两个版本的计数）"}, "by_alert": {"an alert", "告警"}, "by_order": {"a person", "人工"}, "by_golive": {"golive, which found the way blocked or the metrics gone", "golive（发现受阻或指标丢失）"},
	"watched": {"What was watched", "监测内容"}, "head_query": {"query", "查询"}, "head_bounds": {"tolerated", "容许"}, "bounds": {"%s worse; differences below %s do not matter", "恶化 %s 以内；低于 %s 的差异忽略"}, "never": {"never %s", "绝不超过 %s"}, "own_past": {"compared with its own past", "与自身历史比较"},
	"decided_it": {"%s (decided)", "%s（决定因素）"}, "tripped": {"Readings that spoke for harm, up to the one that decided", "显示损害直至决策的读数"}, "head_call": {"call", "判定"}, "head_rule": {"rule", "规则"}, "head_odds": {"odds of harm", "损害几率"}, "head_counts": {"bad / all in the step: new | old", "本步骤异常 / 全部：新 | 旧"},
	"not_tripped": {"No reading spoke for harm.", "没有读数显示损害。"}, "pictures": {"Pictures", "图示"}, "no_pictures": {"Nothing was counted that could be drawn.", "没有可绘制的计数。"},
	"picture_title": {"Share of bad requests: %s", "异常请求比例：%s"},
	"picture_alt":   {"Share of bad requests of %s over time, %s to %s. New version (thick line): at most %s; old version (dashed line): at most %s. Moments: %s.", "%s 的异常请求比例，%s 至 %s。新版本（粗实线）最高 %s；旧版本（虚线）最高 %s。时刻：%s。"},
	"slower_than":   {"%s, slower than %s", "%s，慢于 %s"}, "arm_new": {"new version %s (thick)", "新版本 %s（粗实线）"}, "arm_old": {"old version %s (dashed)", "旧版本 %s（虚线）"},

	"decision_turned": {"Decided at %s, %s into the step: %s", "于 %s 决策（进入步骤 %s）：%s"}, "decision_last": {"The last reading, at %s, %s into the step: %s", "最后一次读数于 %s（进入步骤 %s）：%s"}, "decision_none": {"golive has judged no reading.", "golive 没有判定任何读数。"},
	"decision_why": {"Why go back rather than wait", "为何回退而不是等待"}, "why_harm": {"The odds of harm passed the limit that keeps wrong rollbacks below what the plan tolerates (watch.false_rollback), or a rule that needs no statistics was met. Waiting would have added bad requests without making the answer more certain.", "损害几率已超过预案容许的误回退概率（watch.false_rollback）所定的界限，或满足无须统计的规则；继续等待只会增加异常请求，并不会使结论更可靠。"},
	"why_other": {"It did not go back for the counts: %s.", "并非依据计数回退：%s。"}, "why_not": {"Nothing spoke for going back.", "没有需要回退的依据。"},
	"fact_rule": {"Rule", "规则"}, "fact_odds": {"Odds of harm", "损害几率"}, "fact_limit": {"Limit", "界限"}, "fact_sentence": {"In the words of golive", "golive 原文"}, "fact_meaning": {"Which means", "含义"},
	"counts": {"Counts that decided", "决策依据的计数"}, "head_difference": {"difference, 95 % sure", "差异（95 % 置信）"}, "head_tolerated": {"tolerated ratio", "容许倍数"},
	"points": {"%s to %s points", "%s 至 %s 个百分点"}, "misses": {"Near misses", "临界读数"}, "misses_some": {"Readings before that spoke for harm, which later ones took back: %d; the highest odds were %s.", "此前有 %d 次读数显示损害、后被推翻；最高几率 %s。"}, "misses_none": {"Before, no reading reached the bound; the highest odds of harm were %s.", "此前没有读数达到界限；最高损害几率 %s。"}, "false_positive": {"False alarm?", "是否误判"},

	"head_deed": {"step", "操作"}, "head_part": {"by", "执行部件"}, "head_began": {"began", "开始"}, "head_took": {"took", "用时"}, "head_result": {"result", "结果"}, "nothing_done": {"Nothing was done to the world.", "没有执行任何操作。"},
	"ok": {"done", "完成"}, "not_ok": {"not done", "未完成"}, "deed_checks": {"asking the checks", "执行检查"}, "deed_shift": {"moving the traffic to %s %%", "流量切至 %s %%"}, "deed_verify": {"verifying the way back", "核实回退"}, "deed_finish": {"finishing", "收尾"},
	"deed_contain": {"containing", "控制影响"}, "deed_ramp": {"letting traffic in, part %s", "逐步放量（第 %s 步）"}, "deed_resort": {"%s", "%s"}, "deed_gather": {"keeping evidence, %s pieces", "保全证据（%s 件）"}, "deviations": {"Deviations from the plan", "与预案的偏离"}, "no_deviations": {"None.", "无。"}, "try": {"try %d", "第 %d 次"},

	"verified_by": {"Probes of the way back", "核实回退的探测"}, "resort_by": {"Probes of: %s", "核实的探测：%s"}, "head_probe": {"probe", "探测"}, "head_verdict": {"verdict", "结论"}, "head_found": {"found", "结果"}, "no_probes": {"The plan names no probe (rollout.verify): what is verified is where the traffic was, as the backend says.", "预案未配置探测（rollout.verify）：仅依据后端报告的流量位置核实。"},
	"soaked": {"Stayed well until", "恢复后稳定至"}, "signed": {"Signed off", "业务确认"}, "signed_none": {"the plan asks nobody (recovery.sign_off)", "预案未要求（recovery.sign_off）"}, "signed_not": {"not so far by %s, whom the plan asks", "%s尚未确认（预案要求）"}, "restored": {"Restores and other means", "恢复及其他手段"}, "no_restores": {"No backup was used, so no data was lost by restoring one.", "未使用备份，因此不存在因恢复备份造成的数据丢失。"},
	"backup": {"Backup used", "所用备份"}, "backup_gap": {"%s, which ended at %s, %s before the trouble was detected: what was written since is not in it", "%s，完成于 %s，早于发现 %s：此后写入的数据不在其中"}, "backup_ended": {"%s, which ended at %s: what was written since is not in it", "%s，完成于 %s：此后写入的数据不在其中"},
	"data_lost": {"Data loss", "数据丢失"}, "lost_unknown": {"unknown: the journal names no backup that was used, and golive has not measured what was not brought back", "未知：日志未记录所用备份，golive 未测量未能找回的数据"},
	"not_back": {"It did not go back.", "本次没有回退。"}, "not_verified": {"It is not verified that the old version has the traffic.", "未能核实旧版本已接管流量。"},

	"head_audience": {"audience", "对象"}, "head_channel": {"channel", "渠道"}, "head_message": {"message", "通报"}, "head_delivery": {"delivery", "送达"}, "audience_team": {"team", "团队"}, "audience_management": {"management", "管理层"}, "audience_customer": {"customer", "客户"}, "audience_vendor": {"vendor", "供应商"},
	"delivered": {"delivered %s", "已送达 %s"}, "undelivered": {"NOT delivered", "未送达"}, "undelivered_why": {"NOT delivered: %s", "未送达：%s"}, "tries": {"tries in vain: %d", "未成功 %d 次"}, "handed": {"%s (%s)", "%s（%s）"}, "handed_not": {"%s NOT: %s", "%s 未送达：%s"}, "nobody_told": {"Nobody was told: the plan has no channel (notify), or there was nothing to tell.", "没有通报：预案未配置渠道（notify），或无可通报内容。"}, "contacted": {"Vendors and customers who know", "已知悉的供应商与客户"},
	"notes": {"Notes", "备注"}, "hash": {"SHA-256 %s", "SHA-256 %s"},

	"stated": {"What made it happen", "直接原因"}, "head_id": {"no.", "编号"}, "head_class": {"kind", "类别"}, "head_item": {"item", "事项"}, "head_owner": {"owner", "责任角色"}, "head_by": {"due", "期限"}, "head_link": {"issue", "链接"}, "class_prevent": {"prevent", "预防"}, "class_detect": {"detect", "发现"}, "class_mitigate": {"mitigate", "减轻"}, "class_process": {"process", "流程"},
	"launch_counts": {"Checks before the launch", "上线前检查"}, "verdict_pass": {"passed", "通过"}, "verdict_warn": {"warned", "警告"}, "verdict_fail": {"failed", "失败"}, "verdict_unknown": {"could not be found out", "未能查明"}, "verdict_waiting": {"waiting", "等待"}, "launch_none": {"No checks were asked: a watch and a rollback by hand have nothing to forbid.", "未执行检查：观察与人工回退不设准入。"}, "launch_unset": {"Warned because the plan has not set up what they ask for, which says nothing of the world: %d (%s).", "因预案未配置而警告（并不说明实际情况）：%d 项（%s）。"}, "launch_pass": {"All passed.", "全部通过。"},
	"head_check": {"check", "检查"}, "head_waiver": {"waived", "豁免"}, "glass": {"Break-glass", "强制放行"}, "glass_text": {"By %s, approved by %s: %s", "由 %s 申请、%s 批准：%s"}, "waived_by": {"by %s, approved by %s: %s", "由 %s 申请、%s 批准：%s"},
	"head_file": {"piece", "证据"}, "head_sha": {"SHA-256", "SHA-256"}, "head_bytes": {"bytes", "字节"}, "head_redacted": {"redactions", "脱敏处数"}, "head_problem": {"problem", "问题"}, "no_evidence": {"No evidence was kept beside the journal itself.", "除日志外没有另行保全的证据。"}, "cut": {"cut off", "已截断"},
	"fact_journal": {"Journal", "日志"}, "fact_records": {"Records", "记录数"}, "fact_first": {"First hash", "首条哈希"}, "fact_last": {"Last hash", "末条哈希"}, "fact_verify": {"To verify it", "验证命令"}, "fact_ledger": {"To verify the ledger", "台账验证命令"}, "chain_broken": {"The journal is broken, and what follows proves nothing: %s", "日志已损坏，其后内容不能作为证明：%s"}, "in_ledger": {"What the ledger has about it", "台账相关条目"}, "ledger_missing": {"There is no ledger.", "没有台账。"}, "ledger_unseen": {"The ledger of the server is not seen from here: ask there.", "从本机无法查看服务器的台账，请在服务器上查询。"}, "ledger_nothing": {"The ledger has nothing about it.", "台账没有相关条目。"}, "ledger_broken": {"The ledger cannot be trusted: %s", "台账不可信：%s"}, "head_act": {"entry", "条目"}, "head_kind": {"kind", "类别"}, "head_says": {"says", "内容"}, "act_obligation": {"owed", "应办"}, "act_settled": {"settled", "已办"}, "act_result": {"result", "结果"}, "act_attestation": {"stated", "声明"}, "act_begun": {"begins", "开始"},

	"executive": {"Executive summary", "管理层摘要"}, "statement": {"Draft of an external statement", "对外声明草稿"}, "statement_draft": {"DRAFT: a person has to read it, and to agree, before it leaves the house.", "草稿：对外发布前须经人员审阅并批准。"},
	"executive_what":  {"On %s, %s of %s (%s), %s, ended as: %s.", "%s，%[3]s（%[4]s）%[2]s（%[5]s），结果：%[6]s。"},
	"executive_cause": {"Reason for going back: %s. What made it happen: %s.", "回退触发原因：%s。直接原因：%s。"}, "executive_owed": {"Obligations: %d. Met in time: %d, met late: %d, breached: %d, open: %d, waived: %d.", "共 %d 项时限义务：按时 %d 项，逾期完成 %d 项，已逾期 %d 项；未完成 %d 项，已豁免 %d 项。"},
	"executive_items": {"Action items: %d. Still to be said in this report: %d.", "整改事项 %d 项；本报告尚有 %d 项待填写。"}, "cause_open": {"not known yet", "尚未查明"},
	"statement_harm":         {"On %s, from %s to %s (%s), a part of the requests to %s did not get the answer they should have. We noticed it after %s.", "%s %s 至 %s（%s），%s 的部分请求未能得到正常响应。我们在 %s后发现。"},
	"statement_harm_unknown": {"On %s, from %s to %s (%s), we intervened in a change of %s. Whether requests did not get the answer they should have is not known.", "%s %s 至 %s（%s），我们对 %s 的一次变更进行了干预。是否有请求未能得到正常响应，目前未知。"},
	"statement_back":         {"After another %s the service was back on its former version, verified.", "其后 %s内服务恢复至原版本并完成核实。"},
	"statement_well":         {"After another %s the service was verified to be well again. Whether it is back on its former version is not known.", "其后 %s内服务恢复并完成核实。是否已恢复至原版本，目前未知。"},
	"statement_next":         {"Cause: %s. What we do so that it does not happen again: %s. Next information: %s.", "原因：%s。后续改进：%s。下次通报：%s。"},
	"statement_none":         {"There is nothing to state: no request is known to have been answered worse.", "无须声明：未发现请求受到影响。"}, "statement_open": {"There is no statement yet: it is not certain that the service is well again.", "暂不能声明：尚不能确定服务已恢复。"}, "items_count": {"measures decided: %d", "已定措施 %d 项"},

	"role_commander": {"commander"}, "role_deputy": {"deputy"}, "role_on_duty": {"on duty"}, "role_technical_lead": {"technical lead"}, "role_comms": {"comms"},
	"role_scribe": {"scribe"}, "role_executive": {"executive"}, "role_business": {"business"}, "role_customer": {"customer"}, "role_management": {"management"}, "role_everyone": {"everyone"}, "role_somebody": {"somebody", "某人"},
	"waive_the service is well again": {"the service is well again", "服务已恢复"}, "waive_the cause is known": {"the cause is known", "原因已查明"}, "waive_nobody has heard of it": {"nobody has heard of it", "无人获知过事件"}, "waive_": {"", ""}, "waive_stood_down": {"stood down by %s", "由%s解除响应"},
	"sentences": {" ", ""},

	"call_blind": {"blind", "无数据"}, "call_continue": {"not yet", "继续"}, "call_hold": {"holding", "暂停"}, "call_inconclusive": {"not enough evidence", "证据不足"}, "call_healthy": {"healthy", "健康"}, "call_regressed": {"harm", "有损害"},

	"rule_not-started": {"no step has begun", "尚未开始步骤"}, "rule_odds": {"the counts of all signals together are so much likelier if the new version does harm that the limit is passed", "所有信号的计数合并后，新版本有损害的几率超过界限"}, "rule_stopped-answering": {"the new version answers far fewer requests than its share", "新版本应答的请求远少于其应得份额"}, "rule_overwhelming-errors": {"every fifth request fails on the new version, and not on the old one", "新版本五分之一以上请求失败，而旧版本没有"}, "rule_never": {"a limit of the plan is broken, whatever the old version does", "突破预案的绝对上限"}, "rule_both-failing": {"a limit of the plan is broken by both versions", "两个版本都突破上限"}, "rule_both-degraded": {"the old version does far worse than it used to", "旧版本远差于其历史水平"}, "rule_within-limits": {"a first release keeps every limit of the plan", "首次发布符合全部上限"}, "rule_non-inferiority": {"harm larger than the margins of the plan is excluded", "已排除超出预案容差的损害"}, "rule_leaning": {"the counts favour harm, but not enough to go back", "计数倾向于有损害，但不足以回退"}, "rule_too-fast": {"the new version answers faster than real work can be done", "新版本应答快得不合常理"}, "rule_collecting": {"there are not enough requests yet", "请求数尚不足"}, "rule_too-few-requests": {"the time of the step is over, and there were too few requests", "步骤时间已到而请求过少"}, "rule_learning": {"the old version is too young to know what is normal", "旧版本运行时间太短，尚不知常态"}, "rule_nothing-to-read": {"nothing was read of one of the versions for too long", "长时间读不到某一版本的数据"},
}
