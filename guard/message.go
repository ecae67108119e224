package guard

import "time"

// News is what there is to say about an incident.
type News string

const (
	NewsOpened    News = "opened"     // it has begun
	NewsEscalated News = "escalated"  // it goes on, and others have to know
	NewsLevel     News = "level"      // it is worse, or less bad, than it was
	NewsUpdate    News = "update"     // how it goes
	NewsBreached  News = "breached"   // something was not done in time
	NewsForward   News = "forward"    // there is no way back, and people have to decide
	NewsRecovered News = "recovered"  // the service is well again
	NewsStoodDown News = "stood_down" // it is over
	NewsTest      News = "test"       // nothing: whether it arrives is tried
)

// Audiences are the kinds of people who are told of an incident in words of their own.
var Audiences = []string{"team", "management", "customer", "vendor"}

// Message says the news of an incident to an audience, in the language of the plan: in the words of plan.Messages for it,
// if there are any, and else in those of golive. About is what the news is about, such as the obligation that was breached.
// What nobody knows is said to be unknown. It is pure.
func (p *Plan) Message(s State, now time.Time, audience string, news News, about string) (title, text string) {
	return string(news), about
}
