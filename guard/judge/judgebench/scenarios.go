package judgebench

import "fmt"

// variant returns s under a name and with changes.
func (s Scenario) variant(name string, change func(*Scenario)) Scenario {
	s.Name = name
	if change != nil {
		change(&s)
	}
	return s
}

// Harmless are releases with nothing wrong: every rollback is a false one.
func Harmless(base Scenario) []Scenario {
	return []Scenario{
		base.variant("iid", nil),
		base.variant("arm-cv.5", func(s *Scenario) { s.ArmCV = .5 }),
		base.variant("arm-cv1", func(s *Scenario) { s.ArmCV = 1 }),
		base.variant("burst20", func(s *Scenario) { s.BurstFrac, s.BurstMean = .5, 20 }),
		base.variant("burst100", func(s *Scenario) { s.BurstFrac, s.BurstMean = .7, 100 }),
		base.variant("common", func(s *Scenario) {
			s.ComSD, s.ComRho = .7, .8
			s.IncidentP, s.IncidentX, s.IncidentL = .01, .03, 12
		}),
		base.variant("diurnal", func(s *Scenario) { s.Diurnal = .6 }),
		base.variant("drift", func(s *Scenario) { s.Drift = 3 }),
		base.variant("hetero.1", func(s *Scenario) { s.Hetero = .1 }),
		base.variant("cold10x30", func(s *Scenario) { s.ColdX, s.ColdTau = 10, 30 }),
		base.variant("cold5x60", func(s *Scenario) { s.ColdX, s.ColdTau = 5, 60 }),
		base.variant("cold20x15", func(s *Scenario) { s.ColdX, s.ColdTau = 20, 15 }),
		base.variant("cold3x120", func(s *Scenario) { s.ColdX, s.ColdTau = 3, 120 }),
		base.variant("episodes4", func(s *Scenario) { s.EpiP, s.EpiX, s.EpiL = .01, 4, 6 }),
		base.variant("missing", func(s *Scenario) { s.MissP = .1 }),
	}
}

// HarmlessLatency are releases with nothing wrong, whose latency is watched too.
func HarmlessLatency(base Scenario) []Scenario {
	base.Lat = true
	return []Scenario{
		base.variant("iid", nil),
		base.variant("arm5%", func(s *Scenario) { s.LatArmSD = .05 }),
		base.variant("arm15%", func(s *Scenario) { s.LatArmSD = .15 }),
		base.variant("common30%", func(s *Scenario) { s.LatComSD = .3 }),
		base.variant("hetero3%", func(s *Scenario) { s.LatHet = .03 }),
		base.variant("cold3x30", func(s *Scenario) { s.ColdLat, s.ColdTau, s.ColdX = 3, 30, 5 }),
		base.variant("cold1.5x90", func(s *Scenario) { s.ColdLat, s.ColdTau, s.ColdX = 1.5, 90, 2 }),
		base.variant("mix", func(s *Scenario) {
			s.LatArmSD, s.LatComSD, s.ArmCV = .1, .2, .5
			s.BurstFrac, s.BurstMean = .3, 10
		}),
	}
}

// Harmful are releases whose errors rise, from the start on a cold canary or late.
func Harmful(base Scenario) (all []Scenario) {
	for _, p1 := range []float64{.002, .01, .05, .5} {
		all = append(all,
			base.variant(fmt.Sprintf("%g%%", 100*p1), func(s *Scenario) { s.P1 = p1 }),
			base.variant(fmt.Sprintf("%g%% late", 100*p1), func(s *Scenario) { s.P1, s.Onset, s.ColdX, s.ColdTau = p1, 60, 10, 30 }))
	}
	return all
}

// HarmfulLatency are releases that get slow, hang, or fail while latency is watched too.
func HarmfulLatency(base Scenario) []Scenario {
	base.Lat = true
	return []Scenario{
		base.variant("latency +20%", func(s *Scenario) { s.LatScale = 1.2 }),
		base.variant("+20%, noise 5%", func(s *Scenario) { s.LatScale, s.LatArmSD = 1.2, .05 }),
		base.variant("latency x2", func(s *Scenario) { s.LatScale = 2 }),
		base.variant("1% x10", func(s *Scenario) { s.TailF, s.TailX = .01, 10 }),
		base.variant("hang", func(s *Scenario) { s.Hang = true }),
		base.variant("hang, 10 min in", func(s *Scenario) { s.Hang, s.Onset = true, 60 }),
		base.variant("errors 1%", func(s *Scenario) { s.P1 = .01 }),
	}
}

// Rollouts are whole releases, harmless first.
func Rollouts(base Scenario) (harmless, harmful []Scenario) {
	base.Lat = true
	return []Scenario{
			base.variant("good", nil),
			base.variant("noisy", func(s *Scenario) {
				s.ArmCV, s.LatArmSD, s.LatComSD, s.ComSD, s.ComRho = .5, .05, .2, .5, .8
			}),
			base.variant("cold", func(s *Scenario) { s.ColdX, s.ColdLat, s.ColdTau = 5, 2, 30 }),
			base.variant("cold at every step", func(s *Scenario) { s.ColdX, s.ColdLat, s.ColdTau, s.ColdEach = 8, 2, 30, true }),
		}, []Scenario{
			base.variant("0.2%", func(s *Scenario) { s.P1 = .002 }),
			base.variant("0.5%", func(s *Scenario) { s.P1 = .005 }),
			base.variant("1%", func(s *Scenario) { s.P1 = .01 }),
			base.variant("5%", func(s *Scenario) { s.P1 = .05 }),
			base.variant("50%", func(s *Scenario) { s.P1 = .5 }),
			base.variant("latency +20%", func(s *Scenario) { s.LatScale = 1.2 }),
			base.variant("latency x2", func(s *Scenario) { s.LatScale = 2 }),
			base.variant("1% x10", func(s *Scenario) { s.TailF, s.TailX = .01, 10 }),
		}
}
