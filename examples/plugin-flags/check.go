package main

import (
	"context"
	"strings"

	"github.com/golive-dev/golive/plugins"
)

// named is a check of the plugin's own, which every golive check asks.
var named = plugins.Check{
	Code: "FLAGS1",
	ID:   "flags.name",
	Doc:  "Has the version a name that a flag can have, without spaces?",
	Run: func(_ context.Context, s plugins.Scene) ([]plugins.Finding, error) {
		f := plugins.Finding{Title: "the version has a name that a flag can have", Verdict: plugins.Pass, Observed: s.Release.To}
		if s.Release.To == "" || strings.Contains(s.Release.To, " ") {
			f.Verdict, f.Reason, f.Remedy = plugins.Fail, "it is empty or has a space", "tag the release without spaces"
		}
		return []plugins.Finding{f}, nil
	},
}
