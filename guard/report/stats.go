package report

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/report/page"
)

// Stats are the figures of one service. Every share can be told from its counts, and what nobody knows is not counted as none.
type Stats struct {
	Service   string     `json:"service"`
	GoLives   int        `json:"go_lives"` // launches that are over and had traffic; each is one of the next four
	Live      int        `json:"live"`
	Back      int        `json:"back"`       // rolled back, recovered otherwise, contained, or not back at all
	WouldBack int        `json:"would_back"` // in mode observe
	Other     int        `json:"other"`      // unfinished, stopped, withdrawn, overdue
	Failed    int        `json:"failed"`     // of those that went back: nobody is certain that the old version has the traffic
	NoGo      int        `json:"no_go"`      // ended before any traffic
	UnderWay  int        `json:"under_way"`
	ByHand    int        `json:"by_hand"` // rollbacks that were begun by hand, as histories of their own
	Incidents int        `json:"incidents"`
	Breached  int        `json:"breached"` // obligations of incidents
	Owed      int        `json:"owed"`     // of incidents, and open
	Detect    Spread     `json:"detect"`
	Restore   Spread     `json:"restore"`
	Ledger    string     `json:"ledger,omitempty"`     // why nothing is known of drills and of what is owed in the ledger
	Drills    int        `json:"drills_held"`          // nothing if Ledger is not empty
	Passed    int        `json:"drills_passed"`        // of those
	Pending   int        `json:"owed_in_ledger"`       // obligations that the ledger holds open
	YearAgo   []Case     `json:"a_year_ago,omitempty"` // what began on this day a year ago (UTC)
	Since     guard.Date `json:"since,omitzero"`       // zero: since the first that is known
	First     guard.Date `json:"first_known,omitzero"` // the oldest of what was counted
}

// A Spread says how long something took.
type Spread struct {
	N       int            `json:"n"` // of so many it is known
	Unknown int            `json:"unknown,omitempty"`
	Median  guard.Duration `json:"median,omitempty"`
	Worst   guard.Duration `json:"worst,omitempty"`
}

func spreadOf(all []guard.Duration, unknown int) Spread {
	s := Spread{N: len(all), Unknown: unknown}
	if len(all) == 0 {
		return s
	}
	all = slices.Sorted(slices.Values(all))
	s.Worst = all[len(all)-1]
	s.Median = all[len(all)/2]
	if len(all)%2 == 0 {
		s.Median = (all[len(all)/2-1] + all[len(all)/2]) / 2
	}
	return s
}

// String is the median and the worst, with how many they are of.
func (s Spread) String() string {
	text := "unknown"
	switch {
	case s.N == 0 && s.Unknown == 0:
		return "nothing to measure (n=0)"
	case s.N > 0:
		text = fmt.Sprintf("median %s, worst %s", s.Median, s.Worst)
	}
	text += fmt.Sprintf(" (n=%d", s.N)
	if s.Unknown > 0 {
		text += fmt.Sprintf(", %d not known", s.Unknown)
	}
	return text + ")"
}

// StatsOf counts the cases that began at since or later (zero: all), by service, in the order of their names.
func StatsOf(cases []Case, l guard.Ledger, since, now time.Time) []Stats {
	by := map[string]*Stats{}
	of := func(service string) *Stats {
		if by[service] == nil {
			by[service] = &Stats{Service: service}
			if !since.IsZero() {
				by[service].Since = guard.Date{Time: since.UTC().Truncate(24 * time.Hour)}
			}
		}
		return by[service]
	}
	detect, restore := map[string][]guard.Duration{}, map[string][]guard.Duration{}
	for _, c := range cases {
		s := of(c.Service)
		if sameDay(c.Began, now.UTC().AddDate(-1, 0, 0)) {
			s.YearAgo = append(s.YearAgo, c)
		}
		if c.Began.Before(since) {
			continue
		}
		if s.First.IsZero() || c.Began.Before(s.First.Time) {
			s.First = guard.Date{Time: c.Began.UTC().Truncate(24 * time.Hour)}
		}
		s.count(c)
		if !c.launched() || !c.Back() {
			continue
		}
		if c.Detect != nil {
			detect[c.Service] = append(detect[c.Service], *c.Detect)
		} else {
			s.Detect.Unknown++
		}
		if c.Restore != nil {
			restore[c.Service] = append(restore[c.Service], *c.Restore)
		} else {
			s.Restore.Unknown++
		}
	}
	for _, e := range l.Entries {
		if e.Act == guard.Result && strings.HasPrefix(e.Kind, "drill.") && e.Service != "" {
			of(e.Service)
		}
	}
	var all []Stats
	for service, s := range by {
		s.Detect, s.Restore = spreadOf(detect[service], s.Detect.Unknown), spreadOf(restore[service], s.Restore.Unknown)
		s.remember(l, since)
		all = append(all, *s)
	}
	slices.SortFunc(all, func(a, b Stats) int { return strings.Compare(a.Service, b.Service) })
	return all
}

func sameDay(a, b time.Time) bool {
	return a.UTC().Format(time.DateOnly) == b.UTC().Format(time.DateOnly)
}

func (s *Stats) count(c Case) {
	if c.Incident {
		s.Incidents++
	}
	s.Breached += len(c.Breached)
	s.Owed += len(c.Owed)
	switch {
	case c.Purpose == guard.ToRollback:
		s.ByHand++
		return
	case c.Outcome == "":
		s.UnderWay++
		return
	case !c.launched():
		s.NoGo++
		return
	}
	s.GoLives++
	switch {
	case c.Outcome == guard.Live:
		s.Live++
	case c.Outcome == guard.WouldRollBack:
		s.WouldBack++
	case c.Back():
		s.Back++
		if c.Outcome == guard.RollbackFailed {
			s.Failed++
		}
	default:
		s.Other++
	}
}

// remember adds what the ledger knows of the service.
func (s *Stats) remember(l guard.Ledger, since time.Time) {
	switch {
	case l.Broken != "":
		s.Ledger = "the ledger cannot be trusted: " + l.Broken
		return
	case l.Missing:
		s.Ledger = "there is no ledger"
		return
	}
	for _, e := range l.Entries {
		drill := e.Act == guard.Result && strings.HasPrefix(e.Kind, "drill.") && (e.Service == "" || e.Service == s.Service)
		if !drill || e.At.Before(since) {
			continue
		}
		s.Drills++
		if e.Outcome == guard.Pass {
			s.Passed++
		}
	}
	s.Pending = len(l.Owed(s.Service))
}

// ratio is a share with its counts beside it; of nothing there is no share.
func ratio(n, of int) string {
	if of == 0 {
		return "unknown (0 of 0)"
	}
	return fmt.Sprintf("%s (%d of %d)", Percent(float64(n)/float64(of)), n, of)
}

// Facts are the figures in words.
func (s Stats) Facts() []page.Fact {
	ledger := func(text string) string {
		if s.Ledger != "" {
			return "unknown: " + s.Ledger
		}
		return text
	}
	since := "unknown: no rollout is known"
	switch {
	case !s.Since.IsZero():
		since = s.Since.String()
	case !s.First.IsZero():
		since = s.First.String() + ", the first that is known"
	}
	ago := "nothing that is known"
	if len(s.YearAgo) > 0 {
		var lines []string
		for _, c := range s.YearAgo {
			lines = append(lines, c.Line())
		}
		ago = strings.Join(lines, "\n")
	}
	facts := []page.Fact{
		{Name: "since", Value: since},
		{Name: "go-lives", Value: fmt.Sprintf("%d over, %d under way, %d ended before any traffic", s.GoLives, s.UnderWay, s.NoGo)},
		{Name: "success rate", Value: ratio(s.Live, s.GoLives)},
		{Name: "rollback rate", Value: ratio(s.Back, s.GoLives)},
		{Name: "rollbacks", Value: fmt.Sprintf("%d, %d of them not certain; %d more by hand", s.Back, s.Failed, s.ByHand)},
		{Name: "time to detect", Value: s.Detect.String()},
		{Name: "time to restore", Value: s.Restore.String()},
		{Name: "incidents", Value: fmt.Sprintf("%d, with %s", s.Incidents, breaches(s.Breached))},
		{Name: "still owed", Value: fmt.Sprintf("%d in incidents; in the ledger: %s", s.Owed, ledger(fmt.Sprint(s.Pending)))},
		{Name: "drills passed", Value: ledger(ratio(s.Passed, s.Drills))},
		{Name: "a year ago today", Value: ago},
	}
	if s.WouldBack+s.Other > 0 {
		other := page.Fact{Name: "other ends", Value: fmt.Sprintf("%d would have gone back (mode observe), %d unfinished, stopped, withdrawn or overdue", s.WouldBack, s.Other)}
		facts = slices.Insert(facts, 5, other)
	}
	return facts
}

func breaches(n int) string {
	if n == 1 {
		return "1 breach"
	}
	return fmt.Sprintf("%d breaches", n)
}

// Line is a case in one line.
func (c Case) Line() string {
	change := c.To + " (first)"
	if c.From != "" {
		change = c.From + " -> " + c.To
	}
	outcome := string(c.Outcome)
	if outcome == "" {
		outcome = "not over"
	}
	text := fmt.Sprintf("%s  %s/%s  %s  %s", Moment(c.Began), c.Service, c.Environment, change, outcome)
	if c.Cause != "" {
		text += "  " + oneLine(guard.Printable(c.Cause))
	} else if c.Why != "" {
		text += "  " + string(c.Why)
	}
	return text
}

// StatsDocument is the figures of all services as a document. Broken are the journals that could not be read, and are in no
// figure.
func StatsDocument(all []Stats, broken []string, now time.Time) page.Document {
	doc := page.Document{Title: "Figures", Language: "en", Compact: true, Subtitle: "as of " + Moment(now)}
	if len(broken) > 0 {
		doc.Notes = append(doc.Notes, fmt.Sprintf("%s could not be read, and in no figure: %s", Plural(len(broken), "journal"), strings.Join(broken, "; ")))
	}
	for _, s := range all {
		doc.Chapters = append(doc.Chapters, page.Chapter{ID: s.Service, Title: s.Service, Blocks: []page.Block{{Facts: s.Facts()}}})
	}
	if len(all) == 0 {
		doc.Notes = append(doc.Notes, "no rollout and no drill is known")
	}
	return doc
}
