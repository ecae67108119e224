package githubtest

import (
	"net/http"
	"slices"
)

// Hears makes the app hear of these events; without it, of those of deployments.
func (h *Hub) Hears(events ...string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lists["events"] = []Object{{"events": slices.Clone(events)}}
}

// self is what the app is.
func (h *Hub) self(w http.ResponseWriter, _ *http.Request) {
	o := Object{"id": AppID, "slug": "golive-test", "permissions": h.permissions, "events": []string{"deployment", "deployment_protection_rule", "deployment_status"}}
	if list := h.lists["events"]; len(list) > 0 {
		o["events"] = list[0]["events"]
	}
	answer(w, http.StatusOK, o)
}
