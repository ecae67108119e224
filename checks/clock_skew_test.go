package checks

import (
	"math"
	"testing"
	"time"

	"github.com/golive-dev/golive/checks/checktest"
	"github.com/golive-dev/golive/guard"
)

func TestClockSkew(t *testing.T) {
	const (
		exact  = time.Nanosecond
		second = time.Second
		coarse = second / 2
	)
	tells := func(ahead, within time.Duration) guard.Scene {
		return scene(t, "", guard.Answer{Clock: guard.Skew{Ahead: ahead, Within: within}})
	}
	passes, warns := []guard.Finding{{Verdict: guard.Pass}}, []guard.Finding{{Verdict: guard.Warn}}
	fails, unknown := []guard.Finding{{Verdict: guard.Fail}}, []guard.Finding{{Verdict: guard.Unknown}}
	const remedy = "set the clocks of this machine and of the source by the network (NTP), then check again"
	checktest.Run(t, clockSkew, []checktest.Case{
		{Name: "together", Scene: tells(0, coarse), Want: []guard.Finding{{
			Verdict: guard.Pass, Title: "the clock of the source is at most 2s from ours",
			Expected: "at most 2s from ours, and never more than 5s", Observed: "0s ahead, give or take 500ms", Path: "watch.source",
		}}},
		{Name: "two seconds", Scene: tells(2*second-exact, exact), Want: passes},
		{Name: "two seconds behind", Scene: tells(exact-2*second, exact), Want: passes},
		{Name: "a moment more", Scene: tells(2*second, exact), Want: []guard.Finding{{
			Verdict: guard.Warn, Reason: "it is more than 2s from ours, or cannot be told from that", Remedy: remedy,
		}}},
		{Name: "a moment more behind", Scene: tells(-2*second, exact), Want: warns},
		{Name: "two seconds with the margin", Scene: tells(1500*time.Millisecond, coarse), Want: passes},
		{Name: "perhaps more than two", Scene: tells(1600*time.Millisecond, coarse), Want: warns},
		{Name: "five seconds", Scene: tells(5*second-exact, exact), Want: warns},
		{Name: "five seconds with the margin", Scene: tells(4500*time.Millisecond, coarse), Want: warns},
		{Name: "perhaps more than five", Scene: tells(4600*time.Millisecond, coarse), Want: []guard.Finding{{
			Verdict: guard.Unknown, Reason: "it may be more than 5s from ours, and cannot be told more exactly", Observed: "4.6s ahead, give or take 500ms",
		}}},
		{Name: "perhaps less than five", Scene: tells(-5500*time.Millisecond, coarse), Want: unknown},
		{Name: "surely more", Scene: tells(-5501*time.Millisecond, coarse), Want: []guard.Finding{{
			Verdict: guard.Fail, Reason: "it is more than 5s from ours", Remedy: remedy, Observed: "5.5s behind, give or take 500ms",
		}}},
		{Name: "the end of time", Scene: tells(math.MaxInt64, coarse), Want: fails},
		{Name: "the beginning of time", Scene: tells(math.MinInt64, coarse), Want: fails},
		{Name: "an answer after ages", Scene: tells(second, math.MaxInt64), Want: unknown},
		{Name: "not measured", Scene: tells(0, 0), Want: []guard.Finding{{Verdict: guard.Unknown, Reason: "nobody measures a clock exactly, so this was not measured"}}},
		{Name: "no clock", Scene: scene(t, "", guard.Answer{Clock: guard.Skew{NoClock: true}}), Want: []guard.Finding{{
			Verdict: guard.Warn, Reason: "the source scrape does not tell the time", Observed: "no clock",
			Remedy: "compare the clock of the source scrape with this one by hand: date -u on both",
		}}},
		{Name: "no clock, and ahead", Scene: scene(t, "", guard.Answer{Clock: guard.Skew{NoClock: true, Within: 1}}), Want: unknown},
	})
}
