package guard

import "time"

// Rehearse plays a rollout in a made-up world with a made-up clock, in no time at all, and returns its
// history. The world answers one task after the other: what happened, and how long it took. A nil fact is a
// task that never ends. Rehearse stops when the rollout is over and everybody was told, when the world
// answers nothing any more, or after a hundred thousand events.
func Rehearse(p *Plan, o Opened, start time.Time, world func(State, Task) (Fact, time.Duration)) []Event {
	return RehearseWith(p, o, start, world, func(State, time.Time, time.Time) (Event, bool) { return Event{}, false })
}

// RehearseWith is Rehearse with people and alerts in the world. Outside hands over, once each, the next fact that comes from
// elsewhere as things stand now, if one comes before a moment; what should have come earlier comes now.
func RehearseWith(
	p *Plan, o Opened, start time.Time, world func(State, Task) (Fact, time.Duration), outside func(s State, now, before time.Time) (Event, bool),
) []Event {
	history := []Event{{At: start, Fact: o}}
	state := Next(p, State{}, history[0])
	silent := map[int]bool{}
	for now := start; len(history) < 100_000; {
		task, found := earliest(state.Todo, silent)
		due := task.NotBefore
		if !found {
			due = now.AddDate(10, 0, 0)
		}
		if due.Before(now) {
			due = now
		}
		e, comes := outside(state, now, due)
		switch {
		case comes && e.At.After(now):
			now = e.At
		case comes:
		case !found:
			return history
		default:
			now = due
			fact, took := world(state, task)
			if fact == nil {
				silent[task.ID] = true
				continue
			}
			now = now.Add(took)
			e = Event{Task: task.ID, Fact: fact}
		}
		e.At = now
		history = append(history, e)
		state = Next(p, state, e)
	}
	return history
}

// earliest returns the task that may begin first; of several the one asked for first.
func earliest(todo []Task, except map[int]bool) (first Task, found bool) {
	for _, t := range todo {
		if except[t.ID] || found && !t.NotBefore.Before(first.NotBefore) {
			continue
		}
		first, found = t, true
	}
	return first, found
}

// Fold returns where a history leads.
func Fold(p *Plan, history []Event) State {
	var s State
	for _, e := range history {
		s = Next(p, s, e)
	}
	return s
}
