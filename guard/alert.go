package guard

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// This file is the machine of rollout.go when alerts fire. An alerting system knows nothing of shares and steps, so
// that what it says can hold a rollout or take it back, and never moves it forward.

// alertsAtMost is how many alerts a rollout remembers by name, and of how many groups how many they did not name.
const alertsAtMost = 200

// Unnamed is how many alerts fire that one group of an alerting system has not named, or that are too many to remember.
type Unnamed struct {
	By, Group string
	N         int
}

// voted keeps the alerts that fire now and began after the rollout, and does what the plan says of them.
func (m *machine) voted(f Voted) {
	m.Alerts = slices.Clone(m.Alerts)
	unnamed := max(0, f.Unseen)
	for _, a := range f.Alerts {
		m.Alerts = slices.DeleteFunc(m.Alerts, func(old Alert) bool { return old.Key == a.Key })
		if a.Since.IsZero() {
			a.Since = m.now // nobody knows, and that is no reason to overlook it
		}
		switch {
		case a.Ended, a.Since.Before(m.Opened):
		case len(m.Alerts) < alertsAtMost:
			m.Alerts = append(m.Alerts, a)
		default:
			unnamed++
		}
	}
	m.unname(Unnamed{f.By, f.Group, unnamed})
	m.Alarm = ""
	if m.plan.Rollout.Alert.Then != ThenNote {
		m.Alarm = m.fires()
	}
	m.heed()
}

// fires says which alerts fire now that began after the rollout; empty: none.
func (m *machine) fires() string {
	all := m.Uncounted
	for _, u := range m.Unnamed {
		all += u.N
	}
	return alarm(m.Alerts, all)
}

// unname puts a number in the place of the one that the same group gave before, and leaves those of others alone. Of the
// groups that are too many to remember the greatest number stays for good: what nobody can tell apart is not taken for
// ended.
func (m *machine) unname(u Unnamed) {
	order := func(a, b Unnamed) int {
		return cmp.Or(strings.Compare(a.By, b.By), strings.Compare(a.Group, b.Group))
	}
	all := slices.Clone(m.Unnamed)
	at, known := slices.BinarySearchFunc(all, u, order)
	switch {
	case known && u.N == 0:
		all = slices.Delete(all, at, at+1)
	case known:
		all[at] = u
	case u.N == 0:
	case len(all) < alertsAtMost:
		all = slices.Insert(all, at, u)
	default:
		m.Uncounted = max(m.Uncounted, u.N)
	}
	m.Unnamed = all
}

// alarm says which alerts fire; it is empty if none does. Of those that nobody named it is not known when they began.
func alarm(fire []Alert, unnamed int) string {
	if len(fire) == 0 {
		if unnamed > 0 {
			return fmt.Sprintf("alerts fire that were not named: %d", unnamed)
		}
		return ""
	}
	text := fire[0].String()
	if more := len(fire) - 1 + unnamed; more > 0 {
		text += fmt.Sprintf(" (and %d more)", more)
	}
	return text
}

// String says in one line that it fires, since when, and what it means.
func (a Alert) String() string {
	text := fmt.Sprintf("alert %s fires since %s", a.Name, a.Since.UTC().Format(time.RFC3339))
	if a.Summary != "" {
		text += ": " + a.Summary
	}
	return strings.Join(strings.Fields(Printable(text)), " ")
}

// heed does what the plan says of the alerts that fire, and says whether they forbid to go on.
func (m *machine) heed() bool {
	moves := m.Phase == Shifting || m.Phase == Finishing && !m.finishes()
	watches := m.Phase == Watching || m.Phase == Baking
	begins := m.Phase == Checking && m.Purpose == ToRollout
	switch {
	case m.Alarm == "":
		return false
	case m.plan.Rollout.Alert.Then == ThenRollback && len(m.Alerts) > 0 && (moves || watches && m.Seen > 0):
		m.retreat(CauseAlert, m.Alarm)
	case !m.Alarmed && (m.Phase == Baking || !m.follows() && (begins || m.Phase == Shifting || m.Phase == Watching)):
		m.Alarmed = true
		m.tell(false, "holding", m.Alarm)
	}
	return true
}
