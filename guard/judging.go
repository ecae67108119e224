package guard

import (
	"strings"

	"github.com/golive-dev/golive/guard/judge"
)

// Judge is the chapter watch as the judge wants it for a release.
func (p *Plan) Judge(r Release) judge.Config {
	w := p.Watch
	c := judge.Config{
		Every:         w.Every.Std(),
		Warmup:        w.Warmup.For.Std(),
		WarmupRatio:   w.Warmup.Ratio,
		Prewarmed:     w.Warmup.For == 0,
		Episodes:      w.Episodes.Std(),
		NoEpisodes:    w.Episodes == 0,
		FalseRollback: float64(w.FalseRollback),
		Split:         judge.Split(w.Split),
		Instances:     judge.Hosts(w.Instances),
		Confidence:    float64(w.Promote.Confidence),
		Margin:        float64(w.Promote.Margin),
		Patience:      w.Promote.Patience.Std(),
		MinStep:       w.Promote.MinStep.Std(),
		MaxStep:       w.Promote.MaxStep.Std(),
		FullSteps:     !w.Promote.Early,
		OnTooFast:     judge.OnTooFast(w.OnTooFast),
		LimitsOnly:    r.First(),
		BlindAfter:    p.Rollout.Blind.After.Std(),
		HoldAlone:     w.OnAbsoluteOnly == "hold",
	}
	for _, s := range w.Signals {
		c.Signals = append(c.Signals, judge.Signal{
			Name:        s.Name,
			Kind:        s.Kind(),
			MaxIncrease: float64(s.MaxIncrease),
			IgnoreBelow: float64(s.IgnoreBelow),
			Never:       s.Never.judged(),
			Compare:     s.compared(),
		})
	}
	return c
}

// OwnPast says that the signal is compared with its own past, and not with the old version.
func (s Signal) OwnPast() bool { return s.Compare != "" || s.Like != 0 }

func (s Signal) compared() judge.Compare {
	if s.OwnPast() {
		return judge.WithBefore
	}
	return judge.WithBaseline
}

// Kind says how the signal is read.
func (s Signal) Kind() judge.Kind {
	switch {
	case s.Value != "":
		return judge.Gauge
	case s.Histogram != "", strings.HasPrefix(s.Preset, "latency"):
		return judge.Latency
	}
	return judge.Errors
}

func (c Ceiling) judged() *judge.Ceiling {
	j := judge.Ceiling{Rate: float64(c.Rate), For: c.For.Std(), Below: c.Below}
	if c.Above != nil {
		j.Above = *c.Above
		return &j
	}
	for _, q := range []struct {
		quantile float64
		limit    Duration
	}{{.5, c.P50}, {.9, c.P90}, {.95, c.P95}, {.99, c.P99}} {
		if q.limit > 0 {
			j.Quantile, j.Above = q.quantile, q.limit.Std().Seconds()
		}
	}
	if j == (judge.Ceiling{}) {
		return nil
	}
	return &j
}
