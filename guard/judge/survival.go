package judge

import "math"

// A survival is the share of the baseline's requests that took longer than each bound, from its history,
// frozen for the whole watch (section 4).
type survival struct {
	Bounds []float64 `json:"bounds"`
	Above  []float64 `json:"above"` // per bound: requests that took longer
	N      float64   `json:"n"`     // requests

	share []float64 // S_k
}

func newSurvival(bounds, above []float64, n float64) *survival {
	s := &survival{Bounds: bounds, Above: above, N: n}
	s.derive()
	return s
}

func (s *survival) derive() {
	s.share = make([]float64, len(s.Bounds))
	for k := range s.share {
		s.share[k] = (s.Above[k] + .5) / (s.N + 1)
	}
}

// slope is kappa_k, the centred log-log slope at bound k.
func (s *survival) slope(k int) float64 {
	between := func(i, j int) float64 {
		return math.Log(s.share[i]/s.share[j]) / math.Log(s.Bounds[j]/s.Bounds[i])
	}
	last := len(s.Bounds) - 1
	unseen := 2 / (s.N + 1) // below that share, nothing is known of the tail
	var v float64
	switch {
	case last == 0:
		v = 1
	case k == 0:
		v = between(0, 1)
	case k == last || s.share[k+1] < unseen:
		v = 1.3 * between(k-1, k)
	default:
		v = (between(k-1, k) + between(k, k+1)) / 2
	}
	return min(max(v, .5), 12)
}

// ratio is r_k(f) = S(b_k/f)/S_k: what the exceedances of bound k are multiplied by when everything takes f
// times as long.
func (s *survival) ratio(k int, f float64) float64 {
	if f <= 1 {
		return 1
	}
	at := math.Log(s.Bounds[k] / f)
	i := k
	for i > 0 && math.Log(s.Bounds[i-1]) > at {
		i--
	}
	var share float64 // logarithm of S(b_k/f)
	switch {
	case i == k:
		share = math.Log(s.share[k]) + s.slope(k)*math.Log(f)
	case i == 0: // below the first bound
		share = 0
	default:
		t := (at - math.Log(s.Bounds[i-1])) / math.Log(s.Bounds[i]/s.Bounds[i-1])
		share = math.Log(s.share[i-1])*(1-t) + math.Log(s.share[i])*t
	}
	return max(1, math.Exp(min(share, math.Log(.98)))/s.share[k])
}

// wanted are the exceedances at which it is worth watching, the most important first (15.5).
var wanted = [...]float64{.5, .15, .05, .015, .004}

// probes returns the bounds to watch: for each wanted exceedance the nearest one that is neither too common
// for the conditional view nor never exceeded, and the first that nothing exceeded if places are left.
func (s *survival) probes() (chosen []int) {
	taken := make([]bool, len(s.share))
	n := 0
	for _, target := range wanted {
		best, least := -1, math.Inf(1)
		for k, share := range s.share {
			if share > .6 || taken[k] || s.unseen(k) {
				continue
			}
			if d := math.Abs(math.Log(share / target)); d < least {
				best, least = k, d
			}
		}
		if best >= 0 {
			taken[best] = true
			n++
		}
	}
	for k := range s.share {
		if s.unseen(k) && n < len(wanted) {
			taken[k] = true
			break
		}
	}
	for k, t := range taken {
		if t {
			chosen = append(chosen, k)
		}
	}
	return chosen
}

// unseen says that nothing exceeded bound k.
func (s *survival) unseen(k int) bool { return s.share[k] < 1.5/(s.N+1) }

// median is the interpolated bound that half of the requests exceed, at most the last one.
func (s *survival) median() float64 {
	for k, share := range s.share {
		if share > .5 {
			continue
		}
		if k == 0 {
			return s.Bounds[0]
		}
		t := math.Log(s.share[k-1]/.5) / math.Log(s.share[k-1]/share)
		return s.Bounds[k-1] * math.Pow(s.Bounds[k]/s.Bounds[k-1], t)
	}
	return s.Bounds[len(s.Bounds)-1]
}

// fast is the bound below which next to no healthy request ends: at most a tenth of the history, and a
// quarter of the median (15.4); -1 if there is none.
func (s *survival) fast() int {
	found, median := -1, s.median()
	for k, share := range s.share {
		if 1-share <= .10 && s.Bounds[k] <= median/4 {
			found = k
		}
	}
	return found
}
