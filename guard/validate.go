package guard

import (
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"time"

	"github.com/golive-dev/golive/guard/judge"
)

var (
	nameShape    = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$`)
	pluginShape  = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
	envShape     = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	digestShape  = regexp.MustCompile(`^[0-9a-fA-F]{64}$`)
	labelShape   = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	versionShape = regexp.MustCompile(`^[0-9]+(\.[0-9]+){1,3}$`)
	zoneShape    = regexp.MustCompile(`^(` + zonePattern + `)$`)
)

// must applies a rule to a value that could be read. Where a value breaks several rules the first is reported.
func (d *draft) must(ok bool, path, format string, args ...any) {
	if !ok && d.intact(path) {
		d.report(path, format, args...)
	}
}

// A span is the range of a value; both ends belong to it.
type span[T interface {
	Duration | Share
	fmt.Stringer
}] struct {
	path            string
	is, least, most T
}

func (s span[T]) apply(d *draft) {
	d.must(s.is >= s.least, s.path, "%v is too little (at least %v)", s.is, s.least)
	d.must(s.is <= s.most, s.path, "%v is too much (at most %v)", s.is, s.most)
}

// name refuses what could not stand in the name of a file, in a label or in a command.
func (d *draft) name(path, name string) {
	d.must(nameShape.MatchString(name), path, "%q is not a name (letters, digits, dots, dashes and underscores)", name)
}

// unique refuses a name that an earlier item of the same list has.
func (d *draft) unique(seen map[string]bool, path, name, remedy string) {
	d.must(!seen[name], path, "there is a %q already (%s)", name, remedy)
	seen[name] = true
}

// validate applies the rules that types alone do not express.
func (d *draft) validate() {
	p := d.plan
	d.name("service", p.Service)
	d.name("environment", p.Environment)
	d.plugins(p.Plugins)
	d.tools(p.Tools)
	d.rollout(p.Rollout, p.Watch)
	d.watch(p.Watch)
	d.data(p.Data)
	d.roster(p.Roster)
	d.calendar(p.Calendar)
	d.scenarios(p)
	d.severity(p)
	d.recovery(p)
	d.tuning(p.Checks, p.Roster)
	span[Duration]{"objectives.rto", p.Objectives.RTO, 0, 30 * day}.apply(d)
	span[Duration]{"objectives.rpo", p.Objectives.RPO, 0, 30 * day}.apply(d)
	d.gate(p.Gate)
}

func (d *draft) plugins(plugins []Plugin) {
	seen := map[string]bool{}
	for i, plugin := range plugins {
		path := fmt.Sprintf("plugins[%d]", i)
		d.must(pluginShape.MatchString(plugin.Name), path+".name",
			"%q is not the name of a plugin (NAME of the program golive-plugin-NAME, never a path: small letters, digits, dashes)", plugin.Name)
		d.unique(seen, path+".name", plugin.Name, "name each plugin once")
		d.must(plugin.SHA256 == "" || digestShape.MatchString(plugin.SHA256), path+".sha256",
			"%q is not a SHA-256 (64 hexadecimal digits, as sha256sum prints them)", plugin.SHA256)
		passed := map[string]bool{}
		for j, name := range plugin.Env {
			at := fmt.Sprintf("%s.env[%d]", path, j)
			shown, _, _ := strings.Cut(name, "=") // what follows may be a secret
			d.must(envShape.MatchString(name), at, "%q is not the name of a variable alone (write FLAGD_TOKEN, without $ and without a value)", shown)
			d.must(!ownVariable(name), at, "%s is golive's own, and no business of a plugin (give the plugin a variable of its own)", name)
			d.unique(passed, at, name, "name each variable once")
		}
	}
}

// ownVariable says that a variable speaks to golive, or is how golive speaks to its plugins. Whoever could pass those
// on could hand golive's own secrets to a stranger's program, or speak to it in golive's name.
func ownVariable(name string) bool {
	name = strings.ToUpper(name) // Windows knows no difference
	return strings.HasPrefix(name, "GOLIVE_") || strings.HasPrefix(name, "PLUGIN_")
}

func (d *draft) tools(tools []Tool) {
	seen := map[string]bool{}
	for i, t := range tools {
		path := fmt.Sprintf("tools[%d]", i)
		d.name(path+".name", t.Name)
		d.unique(seen, path+".name", t.Name, "name each program once")
		d.must(t.AtLeast == "" || versionShape.MatchString(t.AtLeast), path+".at_least", "%q is not a version (try 1.2 or 1.2.3)", t.AtLeast)
	}
}

func (d *draft) rollout(r Rollout, w Watch) {
	d.must(len(r.Steps) != 1 || r.Bake.For > 0, "rollout.bake.for",
		"with one step and no bake nothing would ever be watched (write a smaller step first, or bake for a while)")
	d.must(len(r.Steps) > 0, "rollout.steps", "there are no steps (try [10, 50, 100])")
	before := 0
	for i, s := range r.Steps {
		path := fmt.Sprintf("rollout.steps[%d]", i)
		possible := s.Percent >= 1 && s.Percent <= 100
		d.must(possible, path+".percent", "%d is not a share of the traffic (1 to 100)", s.Percent)
		d.must(s.Percent > before, path+".percent", "%d does not follow %d (each step has to be larger than the one before)", s.Percent, before)
		d.must(s.AtLeast <= s.AtMost, path+".at_least", "%v is longer than at_most, which is %v (shorten one, lengthen the other)", s.AtLeast, s.AtMost)
		span[Duration]{path + ".at_most", s.AtMost, second, 30 * day}.apply(d)
		if possible {
			before = max(before, s.Percent)
		}
	}
	if r.Rehearsal != nil {
		d.must(r.Rehearsal.Use == r.Backend.Use || r.Backend.Use == "", "rollout.rehearsal.use",
			"%q is another kind of backend than %q (a way back that is rehearsed elsewhere has to be the same way)", r.Rehearsal.Use, r.Backend.Use)
		d.must(!reflect.DeepEqual(*r.Rehearsal, r.Backend), "rollout.rehearsal",
			"it is set up as the backend itself (name another target, or leave it out and say golive drill rollback --production)")
	}
	d.must(before == 100, "rollout.steps", "the last step is %d (it has to be 100: a release is live when it has all of the traffic)", before)
	d.must(r.Bake.HoldBack < 0.5, "rollout.bake.hold_back", "%v would leave most of the traffic on the old version (below 50%%)", r.Bake.HoldBack)
	for _, s := range []span[Duration]{
		{"rollout.bake.for", r.Bake.For, 0, 30 * day},
		{"rollout.blind.after", r.Blind.After, w.Every, hour},
		{"rollout.deadline.shift", r.Deadline.Shift, second, hour},
		{"rollout.deadline.rollback", r.Deadline.Rollback, second, hour},
	} {
		s.apply(d)
	}
}

func (d *draft) watch(w Watch) {
	for _, s := range []span[Duration]{
		{"watch.every", w.Every, second, minute},
		{"watch.warmup.for", w.Warmup.For, 0, hour},
		{"watch.episodes", w.Episodes, 0, 10 * minute},
		{"watch.promote.patience", w.Promote.Patience, 0, day},
		{"watch.promote.min_step", w.Promote.MinStep, 0, 30 * day},
		{"watch.promote.max_step", w.Promote.MaxStep, max(second, w.Promote.MinStep), 30 * day},
	} {
		s.apply(d)
	}
	for _, s := range []span[Share]{
		{"watch.false_rollback", w.FalseRollback, 1e-6, 0.2},
		{"watch.promote.confidence", w.Promote.Confidence, 0.5, 0.9999},
		{"watch.promote.margin", w.Promote.Margin, 1e-6, 0.1},
	} {
		s.apply(d)
	}
	d.must(w.Warmup.Ratio == 0 || w.Warmup.Ratio >= 1 && w.Warmup.Ratio <= 1000, "watch.warmup.ratio",
		"%v is not how many times worse a cold start may be (1 to 1000)", w.Warmup.Ratio)
	d.must(len(w.Signals) > 0, "watch.signals", "there are no signals (watch errors and latency at least)")
	seen := map[string]bool{}
	for i, s := range w.Signals {
		path := fmt.Sprintf("watch.signals[%d]", i)
		d.unique(seen, path+".name", s.Name, "give each signal a name of its own")
		d.signal(path, s)
	}
}

func (d *draft) signal(path string, s Signal) {
	d.name(path+".name", s.Name)
	d.must(s.Preset == "" || s.Name == "errors" || s.Name == "latency", path+".preset",
		"a preset knows no signal %q (name it errors or latency, or write selectors)", s.Name)
	ready := presets[s.Preset]
	if s.Name == "latency" && ready.noLatency != "" && s.Histogram == "" {
		d.reject(path+".preset", "%s (write the histogram of what stands behind it)", ready.noLatency)
	}
	kinds := 0
	for _, said := range []bool{s.Total != "" || s.Bad != "", s.Histogram != "", s.Value != ""} {
		if said {
			kinds++
		}
	}
	d.must(kinds == 1, path, "it is not clear what is measured (write total and bad, or histogram, or value)")
	if kinds == 1 {
		d.selectors(path, s)
		d.limits(path, s)
	}
}

// selectors checks what a signal of a known kind reads.
func (d *draft) selectors(path string, s Signal) {
	kind := s.Kind()
	d.must(kind != judge.Errors || s.Total != "", path+".total", "this is missing (a selector of all events, of which bad are some)")
	d.must(kind != judge.Errors || s.Bad != "", path+".bad", "this is missing (a selector of those events of total that are bad)")
	d.selector(path+".total", s.Total, true)
	d.selector(path+".bad", s.Bad, true)
	d.selector(path+".histogram", s.Histogram, true)
	d.selector(path+".value", s.Value, false)
	d.must(!strings.Contains(s.Histogram, "_bucket"), path+".histogram", "this names the buckets (write the name of the histogram, without _bucket)")
	d.must(s.By == "" || labelShape.MatchString(s.By), path+".by", "%q is not the name of a label (try instance or pod)", s.By)
}

// limits checks what a signal of a known kind tolerates.
func (d *draft) limits(path string, s Signal) {
	kind, never := s.Kind(), s.Never
	for _, key := range []struct {
		name  string
		kinds string // that it has a meaning for
		empty bool   // it is a limit that limits nothing
	}{
		{"max_increase", "errors latency", false},
		{"ignore_below", "errors latency", false},
		{"compare", "errors latency", false},
		{"like", "gauge", s.Like == 0},
		{"unit", "latency", false},
		{"never", "errors latency gauge", never == Ceiling{}},
		{"never.rate", "errors", never.Rate == 0},
		{"never.p50", "latency", never.P50 == 0},
		{"never.p90", "latency", never.P90 == 0},
		{"never.p95", "latency", never.P95 == 0},
		{"never.p99", "latency", never.P99 == 0},
		{"never.above", "gauge", false},
		{"never.below", "gauge", false},
		{"never.for", "gauge", never.For == 0},
	} {
		if at := path + "." + key.name; d.plan.Writes(at) {
			d.must(strings.Contains(key.kinds, string(kind)), at, "this has no meaning beside %s (remove it)", consistsOf[kind])
			d.must(!key.empty, at, "this sets no limit (write a limit, or remove it)")
		}
	}
	for _, r := range []span[Share]{
		{path + ".max_increase", s.MaxIncrease, 0, 100},
		{path + ".ignore_below", s.IgnoreBelow, 0, 1},
		{path + ".never.rate", never.Rate, 0, 1},
	} {
		r.apply(d)
	}
	d.must(kind != judge.Gauge || never.Above != nil || never.Below != nil || s.Like != 0, path,
		"a gauge needs a bound (write never: {above: 1000}, or like: 1d)")
	limits := 0
	for _, set := range []bool{
		never.Above != nil, never.Below != nil, never.P50 != 0, never.P90 != 0, never.P95 != 0, never.P99 != 0,
	} {
		if set {
			limits++
		}
	}
	d.must(limits <= 1, path+".never", "a signal has one limit (write a second signal for the other)")
}

// consistsOf names the keys that make a signal one of a kind.
var consistsOf = map[judge.Kind]string{
	judge.Errors:  "total and bad",
	judge.Latency: "histogram",
	judge.Gauge:   "value",
}

// selector checks one selector of a signal. Counters of several series can be added up, and nothing else.
func (d *draft) selector(path, text string, counter bool) {
	if text == "" {
		return
	}
	s, err := ParseSelector(text)
	d.must(err == nil, path, "this is not a selector: %v", err)
	d.must(!counter || s.Aggregation == "" || s.Aggregation == "sum", path,
		"%s of counters says nothing (write sum, or the bare counter)", s.Aggregation)
}

func (d *draft) data(stores []Store) {
	seen := map[string]bool{}
	for i, s := range stores {
		path := fmt.Sprintf("data[%d]", i)
		d.name(path+".name", s.Name)
		d.unique(seen, path+".name", s.Name, "give each store a name of its own")
		span[Duration]{path + ".schedule", s.Schedule, 0, 3650 * day}.apply(d)
		span[Duration]{path + ".retention", s.Retention, 0, 36500 * day}.apply(d)
		for j, b := range s.Backups {
			span[Duration]{fmt.Sprintf("%s.backups[%d].max_age", path, j), b.MaxAge, second, 3650 * day}.apply(d)
		}
	}
}

func (d *draft) roster(r Roster) {
	people, names, vendors := map[string]bool{}, map[string]bool{}, map[string]bool{}
	d.must(r.MinOnDuty >= 1 && r.MinOnDuty <= 100, "roster.min_on_duty", "%d is not a number of people (1 to 100)", r.MinOnDuty)
	for i, p := range r.People {
		path := fmt.Sprintf("roster.people[%d]", i)
		d.unique(people, path, p.Name+" as "+p.Role, "list each role of a person once")
		names[p.Name] = true
		d.zone(path+".tz", p.TZ)
		d.reach(path, p.Reach)
	}
	d.must(r.Shifts.File == "" || len(r.Shifts.List) == 0, "roster.shifts", "there are both a file and a list (keep one)")
	for i, s := range r.Shifts.List {
		path := fmt.Sprintf("roster.shifts.list[%d]", i)
		d.must(names[s.Name], path+".name", "nobody in roster.people is called %q (write the name as it stands there)", s.Name)
		once := s.From != "" || s.To != ""
		d.must(once == (s.When == Window{}), path, "it is not clear when this shift is (write when, or from and to)")
		if once && s.When == (Window{}) {
			from, to := d.instant(path+".from", s.From), d.instant(path+".to", s.To)
			d.must(from.Before(to), path+".to", "the shift ends before it begins (from has to be earlier than to)")
		}
	}
	for i, v := range r.Vendors {
		path := fmt.Sprintf("roster.vendors[%d]", i)
		d.unique(vendors, path+".name", v.Name, "list each vendor once")
		d.reach(path, v.Reach)
	}
}

func (d *draft) reach(path string, ways []Reach) {
	for i, way := range ways {
		at := fmt.Sprintf("%s.reach[%d]", path, i)
		d.must(len(way) == 1, at, "each item is one way to reach somebody (such as {email: ada@shop.test})")
		for kind, address := range way {
			d.must(strings.TrimSpace(address) != "", child(at, kind), "this is empty (write something)")
		}
	}
}

// instant reads a point in time; it must have a zone, for people are on duty in several.
func (d *draft) instant(path, text string) time.Time {
	t, err := time.Parse(time.RFC3339, text)
	d.must(err == nil, path, "%q is not a point in time (try 2026-11-24T09:00:00+08:00)", text)
	return t
}

func (d *draft) calendar(c Calendar) {
	d.must(c.Allowed == nil || len(c.Allowed) > 0, "calendar.allowed", "no time is allowed (try [24x7], or [Mon-Thu 09:00-16:00 UTC])")
	for i, f := range c.Freezes {
		path := fmt.Sprintf("calendar.freezes[%d]", i)
		d.must(!f.To.Before(f.From.Time), path+".to", "the freeze ends before it begins (from is the first day, to the last)")
		d.zone(path+".tz", f.TZ)
	}
}

// zone refuses what cannot be the name of a time zone. Whether it is one, the checks find out: that takes a file.
func (d *draft) zone(path, name string) {
	d.must(name == "" || zoneShape.MatchString(name), path, "%q is not a time zone (try UTC or Asia/Shanghai)", name)
}
