package checks

import (
	"maps"
	"slices"
	"strings"

	"github.com/golive-dev/golive/guard"
)

// placeholders are what people write where they mean to write something later.
var placeholders = []string{"todo", "tbd", "xxx", "changeme"}

// placeholder says that a text stands for one that is still missing.
func placeholder(text string) bool {
	words := strings.Fields(strings.ToLower(text))
	return len(words) == 0 || slices.ContainsFunc(words, func(word string) bool {
		return slices.Contains(placeholders, strings.Trim(word, `<>()[]{}"'.,:;!?`))
	})
}

// ways are the kinds of all ways by which somebody can be reached, without addresses, which are nobody
// else's business.
func ways(reach []guard.Reach) []string {
	kinds := map[string]bool{}
	for _, way := range reach {
		for kind, address := range way {
			if !placeholder(address) {
				kinds[kind] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(kinds))
}
