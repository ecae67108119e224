package main

import (
	"cmp"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// released is the version of a release, set by: go build -ldflags "-X main.released=v1.2.3".
var released string

// A build says which golive this is.
type build struct {
	Version  string `json:"version"`
	Commit   string `json:"commit,omitempty"`
	Modified bool   `json:"modified,omitempty"` // built from a tree with changes that are in no commit
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

func thisBuild() build {
	b := build{Version: released, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	if info, ok := debug.ReadBuildInfo(); ok {
		b.Version = cmp.Or(b.Version, info.Main.Version)
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				b.Commit = s.Value
			case "vcs.modified":
				b.Modified = s.Value == "true"
			}
		}
	}
	b.Version = cmp.Or(b.Version, "(devel)")
	return b
}

// version is the version of this golive.
func version() string { return thisBuild().Version }

func (p *program) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Say which golive this is",
		Long:    `version says which release of golive this is, or from which commit it was built.`,
		Example: `  golive version -o json`,
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			b := thisBuild()
			if p.settings.Output == asJSON {
				return p.answer(b)
			}
			commit := b.Commit
			if b.Modified {
				commit += ", modified"
			}
			if commit != "" {
				commit = " (" + commit + ")"
			}
			fmt.Fprintf(p.out, "golive %s%s %s %s\n", b.Version, commit, b.Go, b.Platform)
			return nil
		},
	}
}
