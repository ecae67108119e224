package plugins

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	goplugin "github.com/hashicorp/go-plugin"
)

// Versions are those of the protocol, which wire.go describes, that one side speaks. The zero value says nothing.
// A version is for what the other side would misunderstand. New fields, calls and kinds of part need none: a field
// that nobody knows is ignored, and a call or a kind that nobody knows is refused by name.
type Versions struct {
	Oldest int `json:"oldest"`
	Newest int `json:"newest"`
}

// spoken are the versions that this package speaks, in golive and in a plugin.
var spoken = Versions{Oldest: 1, Newest: 1}

func (v Versions) String() string {
	if v.Oldest == v.Newest {
		return fmt.Sprintf("version %d", v.Oldest)
	}
	return fmt.Sprintf("versions %d to %d", v.Oldest, v.Newest)
}

// sets is what go-plugin is to serve, or to use, in each version: the same.
func (v Versions) sets(b bridge) map[int]goplugin.PluginSet {
	sets := make(map[int]goplugin.PluginSet)
	for version := v.Oldest; version <= v.Newest; version++ {
		sets[version] = goplugin.PluginSet{pluginName: b}
	}
	return sets
}

// mismatch says, in a plugin, why golive cannot use it; empty: it can. The versions that golive speaks are told by
// go-plugin in a variable of the environment; one that tells none is taken to speak whatever we do.
func (v Versions) mismatch() string {
	var golive Versions
	for word := range strings.SplitSeq(os.Getenv("PLUGIN_PROTOCOL_VERSIONS"), ",") {
		version, err := strconv.Atoi(word)
		if err != nil || version >= v.Oldest && version <= v.Newest {
			return ""
		}
		if golive == (Versions{}) {
			golive = Versions{version, version}
		}
		golive.Oldest, golive.Newest = min(golive.Oldest, version), max(golive.Newest, version)
	}
	if golive.Newest < v.Oldest {
		return fmt.Sprintf("this plugin speaks %v of the protocol, and this golive only %v: upgrade golive", v, golive)
	}
	return fmt.Sprintf("this plugin speaks only %v of the protocol, and this golive %v: upgrade the plugin", v, golive)
}

// refuses says, in golive, why a plugin that answers with a version cannot be used; empty: it can. A plugin that has
// no version in common with golive answers with the oldest that it speaks.
func (v Versions) refuses(answer string) string {
	version, err := strconv.Atoi(answer)
	switch {
	case err != nil:
		return fmt.Sprintf("its handshake has %q in the place of the version of the protocol: its second field is a number", answer)
	case version > v.Newest:
		return fmt.Sprintf("it speaks version %d of the protocol and later ones, and this golive %v: upgrade golive", version, v)
	case version < v.Oldest:
		return fmt.Sprintf("it speaks version %d of the protocol, and this golive %v: upgrade the plugin, "+
			"or build it anew with a newer github.com/golive-dev/golive", version, v)
	}
	return ""
}
