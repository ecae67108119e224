package judge

// A release that returns early, an empty answer without an error, makes latency fall. A fast stream finds
// that (15.4). It cannot tell a broken release from a new cache, so it never takes the canary back.
type fast struct {
	Place  int     `json:"place"`
	Bound  float64 `json:"bound"`
	Stream *stream `json:"stream"`
	Sum    counts  `json:"sum"`   // requests that ended within the bound
	Found  bool    `json:"found"` // once, and it stays so
}

// The tolerated ratio of fast requests, the ratio of an episode of them, and the difference that matters.
const (
	toleratedFast = 3.
	episodeFast   = 2.
	materialFast  = .10
)

// newFast returns nil if no bound is fast for this service.
func newFast(c *Config, past *survival) *fast {
	k := past.fast()
	if k < 0 {
		return nil
	}
	m := newModel(toleratedFast, episodeFast, c.Episodes.Seconds(), c.Every.Seconds())
	return &fast{Place: k, Bound: past.Bounds[k], Stream: newStream(m)}
}

func (f *fast) update(c counts, limit float64) {
	if c.NB <= 0 {
		return
	}
	f.Stream.update(c, flat, false)
	f.Sum = f.Sum.add(c, 1)
	if f.Stream.logE(false) >= limit && f.Sum.difference() > materialFast {
		f.Found = true
	}
}

// tooFast is the signal whose answers are suspiciously fast.
func (j *Judge) tooFast() *watch {
	for _, w := range j.Signals {
		if w.Fast != nil && w.Fast.Found {
			return w
		}
	}
	return nil
}
