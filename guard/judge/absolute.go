package judge

// toleratedAlone is rho0 of a comparison with history, which is wider because no day is like another (2.5).
const toleratedAlone = 2.

// newAlone makes the stream that compares the canary with the history of the baseline (2.5), or nil if
// nothing is known of it: one cannot be better or worse than the unknown.
func newAlone(c *Config, s *Signal, p *probe) *stream {
	known := p.Past.add(p.All, 1)
	if known.NB == 0 && s.Objective == 0 {
		return nil
	}
	m := newModel(max(toleratedAlone, p.Harm.Model.Rho0), p.Harm.Model.Episode, c.Episodes.Seconds(), c.Every.Seconds())
	m.Absolute = true
	m.Expected = max(known.EB/max(1, known.NB), s.Objective/2, 1e-6)
	return newStream(m)
}
