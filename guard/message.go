package guard

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/golive-dev/golive/guard/judge"
)

// News is what there is to say about an incident.
type News string

const (
	NewsOpened    News = "opened"     // it has begun
	NewsEscalated News = "escalated"  // it goes on, and others have to know
	NewsLevel     News = "level"      // it is worse, or less bad, than it was
	NewsUpdate    News = "update"     // how it goes
	NewsBreached  News = "breached"   // something was not done in time
	NewsForward   News = "forward"    // there is no way back, and people have to decide
	NewsFailed    News = "failed"     // it is not certain that the traffic is back, and people have to act
	NewsRecovered News = "recovered"  // the service is well again
	NewsStoodDown News = "stood_down" // it is over
	NewsTest      News = "test"       // nothing: whether it arrives is tried
)

// AboutDrill makes a drill of NewsTest: whoever reads it is asked to answer as in an emergency. It is no news of its own, so
// that a channel which knows a test when it sees one wakes nobody up.
const AboutDrill = "drill"

// Audiences are the kinds of people who are told of an incident in words of their own.
var Audiences = []string{"team", "management", "customer", "vendor"}

// Message says the news of an incident to an audience, in the language of the plan: in the words of plan.Messages for it,
// if there are any, and else in those of golive. An audience that is none of Audiences is a vendor by its name, who hears
// under which contract it is called, or else the team. About is what the news is about, such as the obligation that was
// breached; customers and vendors do not hear it, since it may tell of what is inside. What nobody knows is said to be
// unknown. Words of the plan that cannot be filled in stop no message: those of golive take their place, and the team is
// told. It is pure, but for the table of time zones that it looks up.
func (p *Plan) Message(s State, now time.Time, audience string, news News, about string) (title, text string) {
	w := writer{plan: p, s: s, now: now, zone: p.Zone(), tongue: p.tongue()}
	agreed := audience
	switch {
	case p.Roster.vendor(audience):
		w.vendor, audience = audience, "vendor"
	case audience == "vendor" && len(p.Roster.Vendors) == 1:
		w.vendor = p.Roster.Vendors[0].Name
	case !slices.Contains(Audiences, audience):
		audience = "team"
	}
	w.audience, w.public = audience, audience == "customer" || audience == "vendor"
	w.drill = news == NewsTest && about == AboutDrill
	title = w.title(news)
	if news == NewsTest {
		return title, w.test()
	}
	if own, ok := w.agreed(agreed, audience); ok {
		switch {
		case !w.public:
			own = lines(w.news(news, about), own)
		case w.vendor != "": // whoever passes it on by telephone needs that, whatever the words are
			own = lines(own, w.contract())
		}
		return title, own
	}
	return title, w.own(news, about)
}

// Zone is where most people of the roster live, for the times in messages and reports; UTC if nobody says where, or nobody
// knows the place.
func (p *Plan) Zone() *time.Location {
	count := map[string]int{}
	most := ""
	for _, person := range p.Roster.People {
		if count[person.TZ]++; person.TZ != "" && (most == "" || count[person.TZ] > count[most]) {
			most = person.TZ
		}
	}
	zone, err := time.LoadLocation(most)
	if err != nil {
		return time.UTC
	}
	return zone
}

// A tongue is a place in phrases.
type tongue int

const (
	english tongue = iota
	chinese
)

// tongue is the language of the plan.
func (p *Plan) tongue() tongue {
	if p.Language == "zh" {
		return chinese
	}
	return english
}

// A writer knows what there is to say, and in which words.
type writer struct {
	plan   *Plan
	s      State
	now    time.Time
	zone   *time.Location
	tongue tongue

	audience string // one of Audiences
	public   bool   // those who read it are told nothing of what is inside
	vendor   string // by name, who reads it; empty: no vendor, or not known which
	drill    bool   // it is a test, to be answered as in an emergency
}

// phrases are all that golive says of an incident, in English and in Chinese.
var phrases = map[string][2]string{
	"unknown": {"unknown", "未知"},
	"nobody":  {"nobody yet", "暂无"},
	"none":    {"none for now", "暂无"},
	"field":   {"%s: %s", "%s：%s"},
	"and":     {"; ", "；"},
	"time":    {"%s %s (%s UTC)", "%s %s（UTC %s）"},

	// What every message says.
	"Nature":     {"Nature", "事件性质"},
	"Scope":      {"Scope", "影响范围"},
	"Progress":   {"Progress", "处置进展"},
	"ETA":        {"Expected recovery", "预计恢复时间"},
	"NextUpdate": {"Next update", "下次通报"},

	// The nature of it, for those inside and for others.
	"bad_release":                {"a faulty release", Chinese("scenario", "bad_release")},
	"crash":                      {"a crash of the service", Chinese("scenario", "crash")},
	"network":                    {"a network fault", Chinese("scenario", "network")},
	"hardware":                   {"a hardware fault", Chinese("scenario", "hardware")},
	"data_loss":                  {"loss of data", Chinese("scenario", "data_loss")},
	"data_leak":                  {"a leak of data", Chinese("scenario", "data_leak")},
	"vulnerability":              {"a security vulnerability", Chinese("scenario", "vulnerability")},
	"attack":                     {"an attack", Chinese("scenario", "attack")},
	"operator_error":             {"a mistake in operation", Chinese("scenario", "operator_error")},
	"vendor_outage":              {"an outage at a vendor", Chinese("scenario", "vendor_outage")},
	"public":                     {"a disruption of the service", "服务异常"},
	"public.network":             {"a network fault", "网络故障"},
	"public.crash":               {"an interruption of the service", "服务中断"},
	"public.hardware":            {"a technical fault", "系统故障"},
	"public.data_loss":           {"a problem with stored data", "数据异常"},
	"public.data_leak":           {"a security incident", "安全事件"},
	"public.vulnerability":       {"a security incident", "安全事件"},
	"public.attack":              {"a security incident", "安全事件"},
	"public.vendor_outage":       {"a fault at one of our suppliers", "第三方服务故障"},
	"service":                    {"the service %s", "%s 服务"},
	"service.in":                 {"the service %s in %s", "%s 服务（%s 环境）"},
	"some":                       {"some users of the service %s", "%s 服务的部分用户"},
	"all":                        {"users of the service %s", "%s 服务的用户"},
	"traffic":                    {"%s; the new version %s has had up to %d %% of the traffic, and has %d %% now", "%s；新版本 %s 承载流量最高达 %d %%，当前为 %d %%"},
	"traffic.management":         {"%s; up to %d %% of the traffic was on the new version, and %d %% is now", "%s；新版本流量占比最高 %d %%，当前 %d %%"},
	"progress.over":              {"the incident is over, since %s", "事件已处置完毕，应急响应于 %s 终止"},
	"progress.steady":            {"the service is well again, and has stayed so", "服务已恢复，并持续稳定运行"},
	"progress.restored":          {"the service is well again, which was verified; it is still being watched", "服务已恢复并通过验证，正在持续观察"},
	"progress.reverted":          {"the change was taken back; whether all is well again is being verified", "相关变更已回退，正在验证恢复情况"},
	"progress.contained":         {"it spreads no further; the service is being restored", "影响范围已得到控制，正在恢复服务"},
	"progress.forward":           {"it spreads no further, but there is no way back: people have to decide", "影响范围已得到控制，但无法回退，需人工决策"},
	"progress.failed":            {"the way back has failed: people have to act", "回退失败，需人工介入处置"},
	"progress.led":               {"somebody leads, and it is being worked on", "应急响应已启动，正在组织处置"},
	"progress.none":              {"it was noticed; nobody leads yet", "已发现异常，尚无人员接手处置"},
	"progress.public":            {"we are working on it", "我们正在紧急处置"},
	"eta.past":                   {"unknown; %s was aimed at", "未知（原定目标 %s 已过）"},
	"eta.done":                   {"recovered at %s", "已于 %s 恢复"},
	"update.none":                {"none: it is over", "事件已结束，不再通报"},
	"update.last":                {"when it is over", "应急响应终止时"},
	"level":                      {"level %d (%s)", "%d 级（%s）"},
	"level.1":                    {"critical", "特别重大"},
	"level.2":                    {"major", "重大"},
	"level.3":                    {"moderate", "较大"},
	"level.4":                    {"minor", "一般"},
	"because":                    {"%s, because %s", "%s，依据：%s"},
	"title.team":                 {"%s: %s", "【%s】%s"},
	"title.level":                {"%s, %s", "%s · %s"},
	"news.opened":                {"incident opened", "事件发生，启动应急响应"},
	"news.escalated":             {"incident escalated", "事件升级通报"},
	"news.level":                 {"incident level changed", "事件级别调整"},
	"news.update":                {"incident update", "事件处置进展通报"},
	"news.breached":              {"a deadline has passed", "处置时限已逾期"},
	"news.forward":               {"no way back: a decision is needed", "无法回退，需要决策"},
	"news.failed":                {"rollback failed: act now", "回退失败，需立即处置"},
	"news.recovered":             {"service recovered", "服务已恢复"},
	"news.stood_down":            {"incident over", "事件处置完毕，应急响应终止"},
	"news.test":                  {"test of this channel", "通知渠道测试"},
	"news.drill":                 {"DRILL, no emergency", "通知演练（非真实事件）"},
	"public.opened":              {"service disruption", "服务异常通报"},
	"public.update":              {"progress on the service disruption", "服务异常处置进展通报"},
	"public.recovered":           {"service restored", "服务恢复通知"},
	"public.stood_down":          {"the service disruption is over", "服务异常处置完毕通知"},
	"vendor.opened":              {"your support is needed", "请求技术支援"},
	"vendor.update":              {"progress of the incident in which we need your support", "支援事件处置进展通报"},
	"vendor.recovered":           {"recovered; no more support is needed for now", "服务已恢复，暂无需支援"},
	"vendor.stood_down":          {"the incident is over", "事件处置完毕通知"},
	"about":                      {"What is new", "最新情况"},
	"counts":                     {"%s: %s", "%s：%s"},
	"counts.new":                 {"bad on the new version %s", "新版本异常 %s"},
	"counts.slow":                {"slower than %s on the new version %s", "新版本耗时超过 %s 的占 %s"},
	"counts.old":                 {"%s, on the old one %s", "%s，旧版本 %s"},
	"counts.of":                  {"%.3g %% (%.0f of %.0f)", "%.3g %%（%.0f/%.0f）"},
	"late":                       {"not done in time: %s", "未按时完成：%s"},
	"late.until":                 {"%s; owed by %s, until %s", "%s；责任人：%s，时限：%s"},
	"Level":                      {"Level", "事件级别"},
	"Detected":                   {"Detected", "发现时间"},
	"Lead":                       {"Led by", "处置负责人"},
	"Cause":                      {"Cause", "事件原因"},
	"Reason":                     {"Why it goes back", "回退依据"},
	"Trouble":                    {"Trouble", "处置障碍"},
	"Contacted":                  {"Contacted", "已联系"},
	"Owed":                       {"Owed", "待办时限"},
	"owed":                       {"- %s: %s, until %s, %s", "- %s：%s，时限 %s，%s"},
	"Rollout":                    {"Rollout", "发布编号"},
	"version":                    {"%s, from %s to %s", "%s，由 %s 升级至 %s"},
	"version.first":              {"%s, of %s for the first time", "%s，首次发布 %s"},
	"Commands":                   {"Commands", "操作命令"},
	"command.rollback":           {"golive rollback %s   try to take the traffic back once more", "golive rollback %s   再次尝试回退"},
	"command.ack":                {"golive ack %s   you lead", "golive ack %s   接手处置"},
	"command.status":             {"golive status %s   where it stands", "golive status %s   查看当前状态"},
	"command.note":               {`golive note "TEXT" %s   what should be remembered`, `golive note "内容" %s   记录处置过程`},
	"Decisions":                  {"Decisions needed", "需决策事项"},
	"decide.lead":                {"somebody has to lead (%s)", "指定处置负责人（%s）"},
	"decide.forward":             {"how to go on, as there is no way back", "无法回退，确定后续处置方案"},
	"decide.failed":              {"what to do now that the way back has failed", "回退失败，确定后续处置方案"},
	"decide.sign":                {"whether the business is well again (%s)", "确认业务恢复正常（%s）"},
	"decide.over":                {"whether it is over (%s)", "决定是否终止应急响应（%s）"},
	"Vendor":                     {"Vendor", "供应商"},
	"callable":                   {"%s (%s)", "%s（%s）"},
	"list":                       {", ", "，"},
	"contract.id":                {"contract %s", "合同编号 %s"},
	"Contract":                   {"Contract", "合同编号"},
	"contract.own":               {"the one between you and us", "以双方所签合同为准"},
	"Needed":                     {"What we need", "支援需求"},
	"needed":                     {"name somebody who works on this with us, and answer with the number of your ticket", "请指派技术人员协助处置，并回复贵方工单编号"},
	"needed.within":              {"%s, within %s as agreed", "%s（按约定响应时限：%s）"},
	"needed.none":                {"nothing more for now; thank you", "暂无需进一步支援，感谢配合"},
	"test":                       {"This is a test. Nothing has happened, and nothing has to be done.", "这是一次通知渠道测试，并未发生任何事件，无需处置。"},
	"test.ack":                   {"If you read this, please have it written down: golive notify ack NAME", "收到后请登记确认：golive notify ack 姓名"},
	"drill":                      {"This is a drill. Nothing has happened, and nothing has to be mended.", "这是一次通知演练，并未发生任何事件，无需处置。"},
	"drill.ack":                  {"Whoever reads this first answers as in an emergency: golive notify ack NAME", "请首位收到者按应急要求确认：golive notify ack 姓名"},
	"drill.within":               {"Whoever reads this first answers as in an emergency, within %s: golive notify ack NAME", "请首位收到者按应急要求在 %s 内确认：golive notify ack 姓名"},
	"Remark":                     {"Remark", "备注"},
	"remark":                     {"messages[%d] of the plan cannot be filled in (%s); the words of golive are used", "预案 messages[%d] 无法生成（%s），已改用 golive 默认文本"},
	"due." + string(DueActivate): {"somebody leads", Chinese("due", string(DueActivate))},
	"due." + string(DueContain):  {"it is contained", Chinese("due", string(DueContain))},
	"due." + string(DueReport):   {"the first report", Chinese("due", string(DueReport))},
	"due." + string(DueUpdate):   {"an update", Chinese("due", string(DueUpdate))},
	"due." + string(DueVendor):   {"vendors and the customer know", Chinese("due", string(DueVendor))},
	"due." + string(DueRecover):  {"the service is well again", Chinese("due", string(DueRecover))},
	"due." + string(DueNotice):   {"everybody hears that it is over", Chinese("due", string(DueNotice))},
	"due." + string(DueFiled):    {"the report is written", Chinese("due", string(DueFiled))},
	"due." + string(DueLearned):  {"what was learned is in the plan", Chinese("due", string(DueLearned))},
	"open":                       {"open", Chinese("standing", "open")},
	"met":                        {"met", Chinese("standing", "met")},
	"met late":                   {"met late", Chinese("standing", "met late")},
	"breached":                   {"breached", Chinese("standing", "breached")},
	"waived":                     {"waived", Chinese("standing", "waived")},
}

// say is a phrase, filled in.
func (w writer) say(key string, args ...any) string {
	phrase, known := phrases[key]
	if !known {
		panic("golive has no words for " + key)
	}
	if len(args) == 0 {
		return phrase[w.tongue]
	}
	return fmt.Sprintf(phrase[w.tongue], args...)
}

// either is a phrase if there is one, and else another.
func (w writer) either(key, other string) string {
	if _, known := phrases[key]; known {
		return w.say(key)
	}
	return w.say(other)
}

func (w writer) field(key, value string) string {
	return strings.TrimRight(w.say("field", w.say(key), value), " ")
}

// lines joins texts, each on a line of its own, without those that say nothing.
func lines(texts ...string) string {
	return strings.Join(slices.DeleteFunc(texts, func(text string) bool { return text == "" }), "\n")
}

// moment is a time by the clocks of the plan and by UTC.
func (w writer) moment(t time.Time) string {
	const day, clock = time.DateOnly, "15:04"
	local, utc := t.In(w.zone), t.UTC()
	if w.zone == time.UTC {
		return utc.Format(day + " " + clock + " UTC")
	}
	layout := clock
	if local.Format(day) != utc.Format(day) {
		layout = day + " " + clock
	}
	return w.say("time", local.Format(day+" "+clock), w.zone.String(), utc.Format(layout))
}

func (w writer) title(news News) string {
	service, what := cmp.Or(w.s.Release.Service, w.plan.Service), ""
	switch {
	case !w.public:
		what = w.say("news." + w.tried(news))
		if environment := cmp.Or(w.s.Release.Environment, w.plan.Environment); environment != "" {
			service += " " + environment
		}
		if level := w.level(); level != "" && news != NewsTest {
			what = w.say("title.level", what, level)
		}
	case news == NewsTest:
		what = w.say("news." + w.tried(news))
	default:
		if news != NewsOpened && news != NewsRecovered && news != NewsStoodDown {
			news = NewsUpdate
			heard := w.s.Incident.Heard["vendor"]
			if w.audience == "vendor" && (len(heard) == 0 || w.vendor != "" && !slices.Contains(heard, w.vendor)) { // they hear of it for the first time
				news = NewsOpened
			}
		}
		what = w.either(w.audience+"."+string(news), "public."+string(news))
	}
	return w.say("title.team", service, what)
}

// level is how bad it is, in words: in those of the plan if it has a name for it. Empty: nobody says.
func (w writer) level() string {
	level := w.s.Incident.Level
	if level == 0 {
		return ""
	}
	name := w.say(fmt.Sprintf("level.%d", min(level, 4)))
	for _, l := range w.plan.Severity {
		if l.Level == level && l.Name != "" {
			name = l.Name
		}
	}
	return w.say("level", level, name)
}

// tried is the name of news, and of a test whether it is a drill.
func (w writer) tried(news News) string {
	if w.drill {
		return "drill"
	}
	return string(news)
}

func (w writer) test() string {
	what, within := w.tried(NewsTest), w.plan.Activation()
	switch {
	case w.public:
		return w.say(what)
	case w.drill && within > 0:
		return lines(w.say(what), w.say("drill.within", within))
	}
	return lines(w.say(what), w.say(what+".ack"))
}

// fields are what every message about an incident says, by their names in MessageWords.
func (w writer) fields() map[string]string {
	return map[string]string{
		"Nature": w.nature(), "Scope": w.scope(), "Progress": w.progress(), "ETA": w.eta(), "NextUpdate": w.next(),
	}
}

// nature is what has happened. Others than those inside hear no more than what they can see; a name that the plan gave a
// case of its own is not for them.
func (w writer) nature() string {
	scenario := w.s.Incident.Scenario
	switch {
	case w.public:
		return w.either("public."+scenario, "public")
	case scenario == "":
		return w.say("unknown")
	case slices.Contains(Classes, scenario):
		return w.say(scenario)
	}
	return scenario
}

// scope is whom it concerns, as far as the shares of the traffic tell.
func (w writer) scope() string {
	r := w.s.Release
	service := cmp.Or(r.Service, w.plan.Service)
	peak := max(w.s.Seen, w.s.Peak)
	if w.public {
		switch {
		case w.s.Incident.Scenario != "bad_release" || peak == 0:
			return w.say("service", service)
		case peak < 100:
			return w.say("some", service)
		}
		return w.say("all", service)
	}
	where := w.say("service", service)
	if environment := cmp.Or(r.Environment, w.plan.Environment); environment != "" {
		where = w.say("service.in", service, environment)
	}
	switch {
	case peak == 0 || r.To == "":
		return where
	case w.audience == "management":
		return w.say("traffic.management", where, peak, w.s.Seen)
	}
	return w.say("traffic", where, r.To, peak, w.s.Seen)
}

// progress is how far the way back has come.
func (w writer) progress() string {
	i := w.s.Incident
	forward, failed := w.s.Outcome == ForwardOnly, w.s.Outcome == RollbackFailed
	switch {
	case !i.StoodDown.IsZero():
		return w.say("progress.over", w.moment(i.StoodDown))
	case !i.Steady.IsZero():
		return w.say("progress.steady")
	case forward && !w.public:
		return w.say("progress.forward")
	case failed && !w.public:
		return w.say("progress.failed")
	case !i.Restored.IsZero() && !failed:
		return w.say("progress.restored")
	case !i.Reverted.IsZero():
		return w.say("progress.reverted")
	case !i.Contained.IsZero():
		return w.say("progress.contained")
	case w.public:
		return w.say("progress.public")
	case !i.Activated.IsZero():
		return w.say("progress.led")
	}
	return w.say("progress.none")
}

// eta is when it should be over: the moment that the plan promises, as long as that lies ahead.
func (w writer) eta() string {
	i := w.s.Incident
	if !i.Restored.IsZero() && w.s.Outcome != RollbackFailed {
		return w.say("eta.done", w.moment(i.Restored))
	}
	rto := w.plan.Objectives.RTO.Std()
	if rto <= 0 || i.Began.IsZero() {
		return w.say("unknown")
	}
	until := i.Began.Add(rto)
	if until.Before(w.now) {
		return w.say("eta.past", w.moment(until))
	}
	return w.moment(until)
}

// next is when there is more to hear.
func (w writer) next() string {
	i := w.s.Incident
	if !i.StoodDown.IsZero() {
		return w.say("update.none")
	}
	if o, owed := i.Owes(DueUpdate); owed && o.Open() && o.Until.After(w.now) {
		return w.moment(o.Until)
	}
	if !i.Restored.IsZero() {
		return w.say("update.last")
	}
	return w.say("unknown")
}

// agreed are the words of the plan for an audience, filled in: those for the scenario, and else those for any.
func (w writer) agreed(names ...string) (text string, found bool) {
	for _, scenario := range []string{w.s.Incident.Scenario, "any"} {
		for _, name := range names {
			for _, m := range w.plan.Messages {
				if m.Scenario != scenario || m.Audience != name || !w.mine(m) {
					continue
				}
				if text, err := w.fill(m); err == nil {
					return text, true
				}
			}
		}
	}
	return "", false
}

func (w writer) mine(m Message) bool {
	return cmp.Or(m.Language, w.plan.Language, "en") == cmp.Or(w.plan.Language, "en")
}

func (w writer) fill(m Message) (string, error) {
	words := m.Words(w.s.Release)
	maps.Copy(words, w.fields())
	text, err := Fill(m.Text, words)
	if err == nil && strings.TrimSpace(text) == "" {
		err = errors.New("it says nothing")
	}
	return text, err
}

// remarks are on words of the plan that cannot be filled in.
func (w writer) remarks() (all []string) {
	for i, m := range w.plan.Messages {
		if _, err := w.fill(m); err != nil && w.mine(m) {
			all = append(all, w.field("Remark", w.say("remark", i, err)))
		}
	}
	return all
}

// own is the message in the words of golive.
func (w writer) own(news News, about string) string {
	fields := w.fields()
	var all []string
	for _, name := range MessageWords {
		all = append(all, w.field(name, fields[name]))
	}
	text := lines(all...)
	switch w.audience {
	case "customer":
		return text
	case "vendor":
		return lines(text, w.contract(), w.needed(news))
	case "management":
		return lines(w.news(news, about), text, w.graded(), w.decisions())
	}
	return lines(w.news(news, about), text, w.inside(about))
}

// news is what has made this message necessary.
func (w writer) news(news News, about string) string {
	if news != NewsBreached {
		if about == "" {
			return ""
		}
		return w.field("about", w.reason(about))
	}
	what := about
	if _, known := phrases["due."+about]; known {
		what = w.say("due." + about)
	}
	if o, owed := w.s.Incident.Owes(Due(about)); owed {
		what = w.say("late.until", what, o.Role, w.moment(o.Until))
	}
	return w.field("about", w.say("late", what))
}

// reason is why something happened. The sentence of the judge in it is English: in another language its counts stand in its
// place, and the whole of it is in the journal.
func (w writer) reason(text string) string {
	r := w.s.Ruling
	if w.tongue == english || r.Why == "" || !strings.Contains(text, r.Why) {
		return text
	}
	for _, sight := range r.Signals {
		if sight.Signal == r.Signal && sight.Step.Canary.Requests > 0 {
			return strings.Replace(text, r.Why, w.counts(sight), 1)
		}
	}
	return text // no signal has decided alone, or nobody counted
}

// counts are those of a signal in this step.
func (w writer) counts(s judge.Sight) string {
	of := func(t judge.Tally) string { return w.say("counts.of", t.Rate*100, t.Bad, t.Requests) }
	text := w.say("counts.new", of(s.Step.Canary))
	if s.Slower > 0 {
		text = w.say("counts.slow", Duration(s.Slower*float64(time.Second)), of(s.Step.Canary))
	}
	if s.Step.Baseline.Requests > 0 {
		text = w.say("counts.old", text, of(s.Step.Baseline))
	}
	return w.say("counts", s.Signal, text)
}

// graded is how bad it is, and why.
func (w writer) graded() string {
	level := w.level()
	if level == "" {
		return ""
	}
	if grades := w.s.Incident.Grades; len(grades) > 0 && grades[len(grades)-1].Why != "" {
		level = w.say("because", level, grades[len(grades)-1].Why)
	}
	return w.field("Level", level)
}

// decisions are what management has to see to.
func (w writer) decisions() string {
	i, r := w.s.Incident, w.plan.Recovery
	var all []string
	if i.Open() && i.Activated.IsZero() {
		all = append(all, w.say("decide.lead", w.leader()))
	}
	if i.Open() && i.Restored.IsZero() {
		switch w.s.Outcome {
		case ForwardOnly:
			all = append(all, w.say("decide.forward"))
		case RollbackFailed:
			all = append(all, w.say("decide.failed"))
		}
	}
	if i.Open() && !i.Restored.IsZero() && r.SignOff != "" && i.Signed[r.SignOff] == "" {
		all = append(all, w.say("decide.sign", r.SignOff))
	}
	if i.Open() && !i.Steady.IsZero() {
		all = append(all, w.say("decide.over", cmp.Or(r.StandDown, w.leader())))
	}
	if len(all) == 0 {
		all = []string{w.say("none")}
	}
	return w.field("Decisions", strings.Join(all, w.say("and")))
}

// leader is the role that leads at this level.
func (w writer) leader() string { return (&machine{plan: w.plan, State: &w.s, now: w.now}).lead() }

// supplier is the vendor who reads it; the zero one: it is not known which.
func (w writer) supplier() Vendor {
	for _, v := range w.plan.Roster.Vendors {
		if v.Name == w.vendor {
			return v
		}
	}
	return Vendor{}
}

// contract is which vendor is called, where, and under which right.
func (w writer) contract() string {
	v := w.supplier()
	who := ""
	if v.Name != "" {
		who = w.field("Vendor", w.callable(v, false))
	}
	return lines(who, w.field("Contract", cmp.Or(v.Contract.ID, w.say("contract.own"))))
}

// callable is a vendor as somebody needs it who has to call: with the addresses, which whoever sends it takes out again
// unless the plan publishes them, and with the contract if that does not stand beside it.
func (w writer) callable(v Vendor, contract bool) string {
	var how []string
	for _, way := range v.Reach {
		for _, kind := range slices.Sorted(maps.Keys(way)) {
			how = append(how, kind+" "+way[kind])
		}
	}
	if contract && v.Contract.ID != "" {
		how = append(how, w.say("contract.id", v.Contract.ID))
	}
	if len(how) == 0 {
		return v.Name
	}
	return w.say("callable", v.Name, strings.Join(how, w.say("list")))
}

// needed is what a vendor is asked for.
func (w writer) needed(news News) string {
	needed := w.say("needed")
	if v := w.supplier(); v.SLA.Respond > 0 {
		needed = w.say("needed.within", needed, v.SLA.Respond)
	}
	if news == NewsRecovered || news == NewsStoodDown {
		needed = w.say("needed.none")
	}
	return w.field("Needed", needed)
}

// inside is what the team has to know beside what everybody does.
func (w writer) inside(about string) string {
	i, r := w.s.Incident, w.s.Release
	all := []string{w.graded()}
	if !i.Began.IsZero() {
		all = append(all, w.field("Detected", w.moment(i.Began)))
	}
	all = append(all, w.field("Lead", cmp.Or(i.Lead, w.say("nobody"))), w.field("Cause", cmp.Or(i.Cause, w.say("unknown"))))
	if w.s.Why != "" && w.s.Why != about {
		all = append(all, w.field("Reason", w.reason(w.s.Why)))
	}
	if w.s.Trouble != "" {
		all = append(all, w.field("Trouble", w.s.Trouble))
	}
	if len(i.Contacts) > 0 {
		var known []string
		for _, name := range slices.Sorted(maps.Keys(i.Contacts)) {
			known = append(known, strings.TrimSpace(name+" "+i.Contacts[name]))
		}
		all = append(all, w.field("Contacted", strings.Join(known, w.say("and"))))
	}
	var owed []string
	for _, o := range i.Owed {
		if latest, _ := i.Owes(o.Kind); o.Open() && o == latest { // an update that was missed is made up for by the next
			owed = append(owed, w.say("owed", w.say("due."+string(o.Kind)), o.Role, w.moment(o.Until), w.say(o.Standing(w.now))))
		}
	}
	if len(owed) > 0 {
		all = append(all, w.field("Owed", ""))
		all = append(all, owed...)
	}
	all = append(all, w.remarks()...)
	if r.ID != "" {
		version := w.say("version", r.ID, r.From, r.To)
		if r.First() {
			version = w.say("version.first", r.ID, r.To)
		}
		all = append(all, w.field("Rollout", version), w.field("Commands", ""))
		if i.Open() && i.Activated.IsZero() {
			all = append(all, "  "+w.say("command.ack", r.ID))
		}
		if i.Open() && w.s.Outcome == RollbackFailed {
			all = append(all, "  "+w.say("command.rollback", r.ID))
		}
		all = append(all, "  "+w.say("command.status", r.ID), "  "+w.say("command.note", r.ID))
	}
	return lines(all...)
}
