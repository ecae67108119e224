package guard

import (
	"time"

	"github.com/golive-dev/golive/guard/judge"
)

// An Opinion is what golive thinks of a new version now, in one word for deploy tools that ask. The zero value is
// no opinion, and no reason to go on.
type Opinion string

const (
	NoOpinion    Opinion = ""             // not begun, or ended without an answer
	Unseeing     Opinion = "blind"        // it cannot be seen how the version fares
	Insufficient Opinion = "insufficient" // not enough evidence yet, or somebody said to hold
	Healthy      Opinion = "healthy"      // harm is excluded on the traffic that it has now
	Harmful      Opinion = "regressed"    // take it back
)

// String never returns an empty word.
func (o Opinion) String() string {
	if o == NoOpinion {
		return "unknown"
	}
	return string(o)
}

// MarshalText writes the word of String.
func (o Opinion) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// Opinion is what the rollout says of its new version. What nobody has looked at since stale before now is not
// known: the process that watched may be gone.
func (s State) Opinion(now time.Time, stale time.Duration) Opinion {
	switch {
	case s.Cause != "" && s.Cause != CauseInterrupted:
		return Harmful
	case s.Phase == Over && s.Outcome == Live:
		return Healthy
	case s.Phase == Over || s.Phase == "" || s.Cause != "":
		return NoOpinion
	case now.Sub(s.At) > stale:
		return Unseeing
	case s.Phase != Watching && s.Phase != Baking || s.Seen == 0:
		return Insufficient
	case s.Ruling.Call == judge.Blind && !s.Ruling.At.IsZero():
		return Unseeing
	case s.Held != "" || s.Alarm != "":
		return Insufficient
	case s.Ruling.Call == judge.Healthy && !s.Ruling.At.Before(s.Began):
		return Healthy
	}
	return Insufficient
}
