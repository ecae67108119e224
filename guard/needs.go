package guard

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// CheckNeeds says what is impossible in the needs of checks: an ID that none of them has, a check that is asked after
// the one that needs it, and a circle, in which each would wait for the next.
func CheckNeeds(all []Check) error {
	byID := make(map[string]Check, len(all))
	for _, c := range all {
		byID[c.ID] = c
	}
	var mistakes []error
	for _, c := range all {
		for _, id := range c.Needs {
			need, known := byID[id]
			switch {
			case !known:
				mistakes = append(mistakes, fmt.Errorf("the check %s needs %q, and there is no such check%s", c.ID, id, suggest(id, byID)))
			case need.Last && !c.Last:
				mistakes = append(mistakes, fmt.Errorf("the check %s needs %s, which is asked when all others have answered (let %s be last too)", c.ID, id, c.ID))
			}
		}
	}
	// sound are checks from which no way leads into a circle.
	sound := make(map[string]bool, len(all))
	var walk func(id string, way []string) error
	walk = func(id string, way []string) error {
		if sound[id] {
			return nil
		}
		if at := slices.Index(way, id); at >= 0 {
			return fmt.Errorf("the check %s needs itself: %s", id, strings.Join(append(way[at:], id), " needs "))
		}
		for _, need := range byID[id].Needs {
			if err := walk(need, append(way, id)); err != nil {
				return err
			}
		}
		sound[id] = true
		return nil
	}
	for _, c := range all {
		if err := walk(c.ID, nil); err != nil {
			return errors.Join(append(mistakes, err)...) // the others may lead into the same circle
		}
	}
	return errors.Join(mistakes...)
}
