// golive-plugin-chat is the plugin that tells people in the chats and through the paging services that the library
// shoutrrr speaks to. It is a program of its own, for golive to stay small, and since that library cannot be called off.
package main

import (
	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/plugins"
	"github.com/golive-dev/golive/plugins/shoutrrr"
)

func main() {
	plugins.Serve(plugins.Kit{Name: "chat", Notifiers: map[string]func(guard.With) (guard.Notifier, error){"shoutrrr": shoutrrr.NewNotifier}})
}
