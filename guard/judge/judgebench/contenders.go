package judgebench

import "github.com/golive-dev/golive/guard/judge"

// never takes nothing back: what it harms is what there is to harm.
type never struct{}

func (never) Judge(*Seen) bool { return false }

func of[R Rule](make func() R) func(*Scenario, *Seen) Rule {
	return func(*Scenario, *Seen) Rule { return make() }
}

// perMinute is the ticks of a minute, and of other times, at ticks of 10 s, which all scenarios here have.
const perMinute = 6

// ErrorRules are golive and the rules of others that look at errors only, as their documentation sets them
// for a service of 0.1 % errors.
func ErrorRules() []Contender {
	return []Contender{
		Fixed("golive", judge.Config{}),
		{"Argo 5 min, 5 %, limit 3", of(func() *Argo { return &Argo{Every: 5 * perMinute, Window: 1, MaxErrors: .05, Limit: 3, NaNFails: true} })},
		{"Argo 1 min, 1 %, limit 3", of(func() *Argo {
			return &Argo{Every: perMinute, Window: perMinute, MaxErrors: .01, Limit: 3, NaNFails: true}
		})},
		{"Argo, the same, NaN passes", of(func() *Argo { return &Argo{Every: perMinute, Window: perMinute, MaxErrors: .01, Limit: 3} })},
		{"Argo 1 min, 1 %, limit 0", of(func() *Argo { return &Argo{Every: perMinute, Window: perMinute, MaxErrors: .01} })},
		{"Argo 30 s, 2x baseline, limit 2", of(func() *Argo { return &Argo{Every: 3, Window: 2 * perMinute, TimesErrors: 2, Limit: 2} })},
		{"Flagger 1 min, 99 %, threshold 5", of(func() *Flagger { return &Flagger{Every: perMinute, Window: perMinute, MinOK: .99, Threshold: 5} })},
		{"CloudWatch 3 of 3, 1 %", of(func() *CloudWatch { return &CloudWatch{Period: perMinute, M: 3, N: 3, MaxErrors: .01} })},
		{"CloudWatch 2 of 3, 0.5 %", of(func() *CloudWatch { return &CloudWatch{Period: perMinute, M: 2, N: 3, MaxErrors: .005} })},
		{"burn rate, SLO 99.9 %", of(func() *BurnRate { return &BurnRate{Budget: .001} })},
		{"Kayenta every 10 min", of(func() *Kayenta { return &Kayenta{Period: perMinute, Every: 10 * perMinute} })},
		{"z test at every look", of(func() *ZPeek { return &ZPeek{Z: 2.326} })},
		{"mixture SPRT", of(func() *Sequential { return &Sequential{Alpha: .01} })},
		{"", of(func() never { return never{} })},
	}
}

// LatencyRules look at errors and at the 99th percentile, which is 128 ms.
func LatencyRules() []Contender {
	return []Contender{
		Fixed("golive", judge.Config{}),
		{"Argo 1 min, 500 ms, limit 3", of(func() *Argo {
			return &Argo{Every: perMinute, Window: perMinute, MaxErrors: .01, MaxP99: .5, Limit: 3}
		})},
		{"Argo 1 min, 300 ms, limit 0", of(func() *Argo { return &Argo{Every: perMinute, Window: perMinute, MaxErrors: .01, MaxP99: .3} })},
		{"Argo 30 s, 1.2x baseline, limit 2", of(func() *Argo {
			return &Argo{Every: 3, Window: 2 * perMinute, TimesErrors: 2, TimesP99: 1.2, Limit: 2}
		})},
		{"Flagger 1 min, 500 ms, threshold 5", of(func() *Flagger {
			return &Flagger{Every: perMinute, Window: perMinute, MinOK: .99, MaxP99: .5, Threshold: 5}
		})},
		{"CloudWatch 3 of 3, 300 ms", of(func() *CloudWatch {
			return &CloudWatch{Period: perMinute, M: 3, N: 3, MaxErrors: .01, MaxP99: .3}
		})},
		{"Kayenta every 10 min", of(func() *Kayenta { return &Kayenta{Period: perMinute, Every: 10 * perMinute, Latency: true} })},
		{"", of(func() never { return never{} })},
	}
}
