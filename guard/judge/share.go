package judge

// settled is how long a step runs before its counts are trusted (sections 5 and 6); a shorter step settles
// in its own least time.
const settled = 30.

// A share follows the canary's share of the requests (15.3): its dispersion says whether the split is by
// client, which scatters the share and clusters the errors.
type share struct {
	A       float64       `json:"a"` // canary requests of this step before the tick
	B       float64       `json:"b"` // all requests of it
	Queue   [3][2]float64 `json:"queue"`
	Waiting int           `json:"waiting"`
	Sum     float64       `json:"sum"`
	Ticks   float64       `json:"ticks"`
	Total   float64       `json:"total"`
}

// update adds the raw counts of a tick under weight w. A tick counts only when three later ones have come,
// so that the beginning of an outage does not excuse itself.
func (s *share) update(nc, total, w float64) {
	q := (50*w + s.A) / (50 + s.B)
	d := min(30, (nc-q*total)*(nc-q*total)/(total*q*(1-q)))
	s.A += nc
	s.B += total
	if s.Waiting == len(s.Queue) {
		s.Sum += s.Queue[0][0]
		s.Total += s.Queue[0][1]
		s.Ticks++
		copy(s.Queue[:], s.Queue[1:])
		s.Waiting--
	}
	s.Queue[s.Waiting] = [2]float64{d, total}
	s.Waiting++
}

// dispersion is D, the variance of the canary's requests over that of a split by request.
func (s *share) dispersion() float64 {
	if s.Ticks < 5 {
		return 1
	}
	return max(1, s.Sum/s.Ticks)
}

// byClient says that the split looks like one by client.
func (s *share) byClient() bool {
	if s.Ticks < 20 {
		return false
	}
	d := s.Sum / s.Ticks
	return d >= 4 && d-1 >= .01*(s.Total/s.Ticks-1)
}
