package guard

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// This file is the machine of rollout.go when alerts fire. An alerting system knows nothing of shares and steps, so
// that what it says can hold a rollout or take it back, and never moves it forward.

// voted keeps the alerts that fire now and began after the rollout, and does what the plan says of them.
func (m *machine) voted(f Voted) {
	m.Alerts = slices.Clone(m.Alerts)
	for _, a := range f.Alerts {
		m.Alerts = slices.DeleteFunc(m.Alerts, func(old Alert) bool { return old.Key == a.Key })
		if a.Since.IsZero() {
			a.Since = m.now // nobody knows, and that is no reason to overlook it
		}
		if !a.Ended && !a.Since.Before(m.Opened) {
			m.Alerts = append(m.Alerts, a)
		}
	}
	m.Alarm = ""
	if m.plan.Rollout.Alert.Then != ThenNote {
		m.Alarm = alarm(m.Alerts, f.Unseen)
	}
	m.heed()
}

// alarm says which alerts fire; it is empty if none does. Of those that nobody named it is not known when they began.
func alarm(fire []Alert, unseen int) string {
	if len(fire) == 0 {
		if unseen > 0 {
			return fmt.Sprintf("alerts fire that were not named: %d", unseen)
		}
		return ""
	}
	text := fire[0].String()
	if more := len(fire) - 1 + max(0, unseen); more > 0 {
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
