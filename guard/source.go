package guard

import "embed"

// Vocabulary is the text of the files that declare what a plan holds, for `golive schema`: the descriptions that
// editors show are the comments in these files.
//
//go:embed plan.go part.go data.go roster.go quantity.go tier.go calendar.go tuning.go waiver.go severity.go scenario.go recovery.go
var Vocabulary embed.FS
